"""Fourier transforms, frames of a signal, and windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.ops.wrap import array, public

# -- Fourier transforms -----------------------------------------------------------------------


def _complex(x: Any, rank: int = 1) -> jax.Array:
    """A complex array from a pair of real ones."""
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(
            f"Input `x` should be a tuple of two tensors, real and imaginary. Received: x={x!r}"
        )
    real, imag = map(array, x)
    if real.shape != imag.shape:
        raise ValueError(
            "x: Both the real and imaginary parts should have the same shape. "
            f"Received: shapes {real.shape} and {imag.shape}"
        )
    _check_rank(real, rank)
    if not (dtypes.is_float(real.dtype) and dtypes.is_float(imag.dtype)):
        raise ValueError(
            "x: the real and the imaginary part must be of type float. "
            f"Received: {real.dtype} and {imag.dtype}"
        )
    return jax.lax.complex(real, imag)


def _check_rank(x: jax.Array, rank: int) -> None:
    if x.ndim < rank:
        raise ValueError(f"Input should have rank >= {rank}. Received: x of shape {x.shape}")


def _parts(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.real(x), jnp.imag(x)


def _transform(name: str, like: Callable, rank: int, what: str) -> Callable:
    def transform(x: Any) -> tuple[jax.Array, jax.Array]:
        return _parts(like(_complex(x, rank)))

    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = f"""The {what}, of a pair of real and imaginary part, as such a pair.

    >>> [part.shape for part in {name}((jnp.ones((2, 4)), jnp.zeros((2, 4))))]
    [(2, 4), (2, 4)]
    """
    return op(transform)


fft = _transform("fft", jnp.fft.fft, 1, "discrete Fourier transform along the last axis")
fft2 = _transform("fft2", jnp.fft.fft2, 2, "discrete Fourier transform along the last two axes")
ifft2 = _transform("ifft2", jnp.fft.ifft2, 2, "inverse of `fft2`")


@op
def rfft(x: Any, fft_length: int | None = None) -> tuple[jax.Array, jax.Array]:
    """The Fourier transform along the last axis of real numbers, as real and imaginary part.

    Args:
        x: `(..., n)`, truncated or padded with zeros to `fft_length` if that is given.
        fft_length: the number of values that are transformed.

    Returns two arrays `(..., fft_length // 2 + 1)`: the other frequencies are their conjugates.

    >>> rfft([1.0, 1.0, 1.0, 1.0])[0].tolist()
    [4.0, 0.0, 0.0]
    """
    x = array(x)
    _check_rank(x, 1)
    return _parts(jnp.fft.rfft(x, n=fft_length))


@op
def irfft(x: Any, fft_length: int | None = None) -> jax.Array:
    """The inverse of `rfft`: real numbers of a pair of real and imaginary part.

    >>> irfft((jnp.array([4.0, 0.0, 0.0]), jnp.zeros(3))).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return jnp.fft.irfft(_complex(x), n=fft_length)


# -- sequences of a signal --------------------------------------------------------------------


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> jax.Array:
    """Parts of `x`, `(..., n)`, along a new axis: `(..., count, sequence_length)`.

    Args:
        sequence_length: the length of each part.
        sequence_stride: the distance between the beginnings of two parts.

    >>> extract_sequences([1, 2, 3, 4], 2, 1).tolist()
    [[1, 2], [2, 3], [3, 4]]
    """
    x = array(x)
    _check_rank(x, 1)
    return sequences(x, sequence_length, sequence_stride)


def sequences(x: jax.Array, length: int, stride: int) -> jax.Array:
    """`extract_sequences` for an array.

    >>> sequences(jnp.arange(4), 2, 2).tolist()
    [[0, 1], [2, 3]]
    """
    return x[..., _places((x.shape[-1] - length) // stride + 1, length, stride)]


def _places(count: Any, length: int, stride: int) -> Any:
    """The index of each element of each frame; the number of frames may be unknown."""
    arange = np.arange if isinstance(count, int) else jnp.arange
    return arange(count)[:, None] * stride + np.arange(length)


def add_sequences(x: jax.Array, sequence_stride: int) -> jax.Array:
    """The signal of parts `(..., count, length)` that lie `sequence_stride` apart, overlaps added.

    >>> add_sequences(jnp.ones((3, 2)), 1).tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    count, length = x.shape[-2:]
    places = _places(count, length, sequence_stride)
    out = jnp.zeros((*x.shape[:-2], (count - 1) * sequence_stride + length), x.dtype)
    return out.at[..., places].add(x)


def _check_stride(sequence_stride: int) -> None:
    if not isinstance(sequence_stride, int) or sequence_stride < 1:
        raise ValueError(
            "`sequence_stride` must be a positive integer. "
            f"Received: sequence_stride={sequence_stride!r}"
        )


def _window(window: Any, sequence_length: int, fft_length: int, dtype: Any) -> jax.Array:
    """The window, zero-padded on both sides to `fft_length`."""
    if fft_length < sequence_length:
        raise ValueError(
            "`fft_length` must equal or be larger than `sequence_length`. "
            f"Received: fft_length={fft_length}, sequence_length={sequence_length}"
        )
    if window is None:
        return jnp.ones(fft_length, dtype)
    if isinstance(window, str):
        share = {"hann": 0.5, "hamming": 0.54}
        if window not in share:
            raise ValueError(
                f"If a string is passed to `window`, it must be one of {list(share)}. "
                f"Received: window={window!r}"
            )
        angle = 2 * np.pi * np.arange(sequence_length) / sequence_length
        window = share[window] - (1 - share[window]) * np.cos(angle)
        window = np.ones(1) if sequence_length == 1 else window
    window = array(window).astype(dtype)
    if window.shape != (sequence_length,):
        raise ValueError(
            f"The shape of `window` must be equal to that of a sequence, ({sequence_length},). "
            f"Received: window of shape {window.shape}"
        )
    before = (fft_length - sequence_length) // 2
    return jnp.pad(window, (before, fft_length - sequence_length - before))


@op
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """The Fourier transforms of parts of a signal (short-time Fourier transform).

    Args:
        x: the signal, `(..., n)`, of floats.
        sequence_length: the length of a part.
        sequence_stride: from one part to the next.
        fft_length: the number of values that are transformed: a part, with zeros around it.
        window: the factors of a part: `"hann"`, `"hamming"`, a vector or `None`.
        center: whether the signal is mirrored at its ends, so that the middle of the first part
            is its first value.

    Returns real and imaginary part, `(..., count, fft_length // 2 + 1)`.

    >>> stft(jnp.ones(16), 4, 2, 4)[0].shape
    (9, 3)
    """
    x = array(x)
    if x.dtype not in ("float32", "float64"):
        raise TypeError(f"x must be of `float32` or `float64`. Received: x of {x.dtype}")
    _check_stride(sequence_stride)
    factors = _window(window, sequence_length, fft_length, x.dtype)
    if center:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2,) * 2], mode="reflect")
    return _parts(jnp.fft.rfft(sequences(x, fft_length, sequence_stride) * factors))


@op
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> jax.Array:
    """The signal whose `stft`, with the same arguments, is `x`.

    Args:
        x: real and imaginary part, `(..., count, fft_length // 2 + 1)`.
        length: the length of the signal, by default as far as the parts reach.

    >>> x = jnp.arange(16.0)
    >>> [round(v, 3) for v in istft(stft(x, 8, 2, 8), 8, 2, 8).tolist()[:3]]
    [0.0, 1.0, 2.0]
    """
    x = _complex(x, rank=2)
    _check_stride(sequence_stride)
    dtype = jnp.real(x).dtype
    factors = _window(window, sequence_length, fft_length, dtype)
    parts = jnp.fft.irfft(x, n=fft_length)
    weights = jnp.broadcast_to(factors * factors, parts.shape[-2:])
    weights = add_sequences(weights, sequence_stride)
    signal = add_sequences(parts * factors, sequence_stride) / jnp.where(
        weights > 1e-10, weights, 1
    )
    if window is None:  # as in Keras
        signal = signal * (fft_length / sequence_stride)
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else signal.shape[-1] - start
    return signal[..., start:stop].astype(dtype)


__all__ = [n for n in public(globals()) if n not in ("add_sequences", "sequences")]
