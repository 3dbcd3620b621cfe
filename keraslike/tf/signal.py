"""`tf.signal`: Fourier transforms, frames and windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.layers.spectrogram import mel_weights
from keraslike.ops.signal import add_sequences, sequences
from keraslike.tf import documentation, dtypes
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.moves import moves
from keraslike.tf.operation import operation
from keraslike.tf.tensor import Tensor, run


def _check(name: str, x: Any, kind: str = "f", rank: int = 1) -> None:
    """Raises ValueError unless an array is of `kind`, "f" or "c", in 32 or 64 bits each, and has at
    least `rank` axes: other numbers would be cast silently."""
    if x.dtype.kind != kind or x.dtype == np.float16:
        kinds = "float32 or float64" if kind == "f" else "complex64 or complex128"
        raise ValueError(
            f"tf.signal.{name} takes {kinds}. Received: {dtypes.as_dtype(x.dtype).name}"
        )
    if x.ndim < rank:
        raise ValueError(f"tf.signal.{name} takes {rank} axes. Received shape: {x.shape}")


def _over(name: str, of: Callable, axes: tuple[int, ...]) -> Callable:
    def transform(x: Any) -> Any:
        _check(name, x, "c", len(axes))
        return of(x, axes=axes)

    return transform


for _name in ("fft", "ifft", "fft2d", "ifft2d", "fft3d", "ifft3d"):
    _axes = tuple(range(-int(_name[-2]) if _name.endswith("d") else -1, 0))
    _of = jnp.fft.ifftn if _name[0] == "i" else jnp.fft.fftn
    globals()[_name] = operation(f"signal.{_name}", "input")(_over(_name, _of, _axes))


def _real(name: str) -> Callable:
    """The transform of real numbers along the last axes, or its inverse."""
    rank, inverse = int(name[-2]) if name.endswith("d") else 1, name[0] == "i"
    of, axes = jnp.fft.irfftn if inverse else jnp.fft.rfftn, tuple(range(-rank, 0))

    @operation(f"signal.{name}", "input_tensor")
    def transform(x: Any, fft_length: Any = None) -> Any:
        _check(name, x, "c" if inverse else "f", rank)
        sizes = list(x.shape[-rank:] if fft_length is None else fft_length)
        if len(sizes) != rank:
            raise ValueError(
                f"tf.signal.{name}: fft_length must have {rank} numbers. Received: {fft_length}"
            )
        if fft_length is None and inverse:
            sizes[-1] = 2 * max(sizes[-1] - 1, 0)
        if (0 not in sizes and 0 not in x.shape) or min(sizes) < 0:
            return of(x, sizes, axes)  # which refuses negative lengths
        # XLA cannot lower it if there are no elements.
        if not inverse:
            sizes[-1] = (sizes[-1] + 2) // 2 if sizes[-1] else 0
        some = jax.eval_shape(of, jax.ShapeDtypeStruct((2,) * rank, x.dtype))
        return jnp.zeros((*x.shape[:-rank], *sizes), some.dtype)

    return transform


rfft, irfft, rfft2d, irfft2d, rfft3d, irfft3d = map(
    _real, ("rfft", "irfft", "rfft2d", "irfft2d", "rfft3d", "irfft3d")
)


@operation("signal.fftshift", "x")
@moves
def fftshift(x: Any, axes: Any = None) -> Any:
    """Shifts frequency 0 to the middle.

    >>> tf.signal.fftshift([0, 1, 2, 3]).numpy().tolist()
    [2, 3, 0, 1]
    """
    return jnp.fft.fftshift(x, axes)


@operation("signal.ifftshift", "x")
@moves
def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`.

    >>> tf.signal.ifftshift([2, 3, 0, 1]).numpy().tolist()
    [0, 1, 2, 3]
    """
    return jnp.fft.ifftshift(x, axes)


def frame(
    signal: Any,
    frame_length: Any,
    frame_step: Any,
    pad_end: bool = False,
    pad_value: float = 0,
    axis: int = -1,
    name: Any = None,
) -> Tensor:
    """Frames of a signal, one every `frame_step` samples.

    >>> tf.signal.frame([1, 2, 3, 4], 2, 1).numpy().tolist()
    [[1, 2], [2, 3], [3, 4]]
    """
    rest = (static(frame_length), static(frame_step), pad_end, static(pad_value), axis)
    if any(isinstance(v, tuple) for v in rest) or not len(_as_operand(signal).shape):
        raise ValueError(
            "signal must have an axis, and the other arguments must be numbers. Received: "
            f"{signal}, frame_length={frame_length}, frame_step={frame_step}, pad_value={pad_value}"
        )
    _check_step("frame", rest[1])
    return run(_frame, (_as_operand(signal),), rest)


def _frame(x: Any, length: int, step: int, pad_end: bool, value: float, axis: int) -> Any:
    x = jnp.moveaxis(x, axis, -1)
    if pad_end:
        count = -(-x.shape[-1] // step)
        room = max(0, (count - 1) * step + length - x.shape[-1])
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, room)], constant_values=value)
    out = sequences(x, length, step)
    return jnp.moveaxis(out, (-2, -1), (axis - 1, axis) if axis < 0 else (axis, axis + 1))


def overlap_and_add(signal: Any, frame_step: Any, name: Any = None) -> Tensor:
    """The signal composed of frames, with overlaps added.

    >>> tf.signal.overlap_and_add([[1, 2], [3, 4]], 1).numpy().tolist()
    [1, 5, 4]
    """
    step = static(frame_step)
    _check_step("overlap_and_add", step)
    return run(add_sequences, (_as_operand(signal),), (step,))


def _check_step(name: str, step: Any) -> None:
    if step < 1:
        raise InvalidArgumentError(
            f"tf.signal.{name}: frame_step must be positive. Received: {step}"
        )


def _of_window(length: Any, dtype: Any) -> tuple[int, Any]:
    """The length of a window, and its dtype in numpy. Raises ValueError for no floating-point
    dtype, TypeError for a length that is no integer, and InvalidArgumentError for one below 0."""
    kind = dtypes.as_dtype(dtype)
    if not kind.is_floating:
        raise ValueError(f"dtype must be of floating-point numbers. Received: {kind.name}")
    found = static(length)
    if not isinstance(found, (int, np.integer)):
        raise TypeError(f"window_length must be an integer. Received: {length}")
    if found < 0:
        raise InvalidArgumentError(f"window_length must not be negative. Received: {found}")
    return int(found), kind.as_numpy_dtype


def _window(name: str, terms: tuple[float, ...]) -> Callable:
    def window(
        window_length: Any, periodic: bool = True, dtype: Any = dtypes.float32, name: Any = None
    ) -> Tensor:
        n, kind = _of_window(window_length, dtype)
        # In TensorFlow a window of odd length is symmetric, whatever `periodic` is.
        angle = 2 * np.pi * np.arange(n) / max(1, n if periodic and n % 2 == 0 else n - 1)
        values = sum(a * np.cos(k * angle) for k, a in enumerate(terms))
        values = np.ones(1) if n == 1 else values
        return constant(np.asarray(values).astype(kind))

    window.__name__ = window.__qualname__ = name
    window.__doc__ = "A window of cosines, to multiply a frame by."
    return window


hann_window = _window("hann_window", (0.5, -0.5))
hamming_window = _window("hamming_window", (0.54, -0.46))


def kaiser_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dtypes.float32, name: Any = None
) -> Tensor:
    """Kaiser's window.

    >>> tf.signal.kaiser_window(3, 2.0).numpy().round(4)
    array([0.4387, 1.    , 0.4387], dtype=float32)
    """
    n, kind = _of_window(window_length, dtype)
    return constant(np.kaiser(n, static(beta)).astype(kind))


def vorbis_window(window_length: Any, dtype: Any = dtypes.float32, name: Any = None) -> Tensor:
    """The window of the Vorbis format.

    >>> tf.signal.vorbis_window(4).numpy().round(4)
    array([0.228 , 0.9737, 0.9737, 0.228 ], dtype=float32)
    """
    n, kind = _of_window(window_length, dtype)
    values = np.sin(np.pi / 2 * np.sin(np.pi / max(n, 1) * (np.arange(n) + 0.5)) ** 2)
    return constant(values.astype(kind))


def inverse_stft_window_fn(
    frame_step: Any, forward_window_fn: Callable = hann_window, name: Any = None
) -> Callable:
    """The window for `inverse_stft` that inverts a `stft` with a given window.

    >>> window = tf.signal.inverse_stft_window_fn(2)
    >>> window(4, tf.float32).numpy().round(4)
    array([0., 1., 1., 1.], dtype=float32)
    """

    def window(frame_length: Any, dtype: Any = dtypes.float32) -> Tensor:
        length, step = static(frame_length), static(frame_step)
        forward = forward_window_fn(length, dtype=dtype).numpy()
        overlaps = -(-length // step)
        squares = np.pad(np.square(forward), (0, overlaps * step - length))
        total = np.tile(squares.reshape(overlaps, step).sum(0), overlaps)[:length]
        return constant(np.divide(forward, total, out=np.zeros_like(forward), where=total != 0))

    return window


def inverse_stft(
    stfts: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = hann_window,
    name: Any = None,
) -> Tensor:
    """The inverse of `stft`, exact with the window of `inverse_stft_window_fn`.

    >>> x = tf.ones([8])
    >>> spectra = tf.signal.stft(x, 4, 2)
    >>> window = tf.signal.inverse_stft_window_fn(2)
    >>> tf.signal.inverse_stft(spectra, 4, 2, window_fn=window).numpy().round(4)[2:6].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    length = static(frame_length)
    size = _fft_length(length, fft_length)
    frames = run(_front, (irfft(stfts, [size]),), (length,))
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return overlap_and_add(frames, frame_step)


def _fft_length(frame_length: int, given: Any) -> int:
    """The length to which frames are padded, by default the next power of two."""
    return 2 ** (frame_length - 1).bit_length() if given is None else static(given)


def _front(x: Any, length: int) -> Any:
    room = max(0, length - x.shape[-1])
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, room)])[..., :length]


def linear_to_mel_weight_matrix(
    num_mel_bins: int = 20,
    num_spectrogram_bins: int = 129,
    sample_rate: Any = 8000,
    lower_edge_hertz: float = 125.0,
    upper_edge_hertz: float = 3800.0,
    dtype: Any = dtypes.float32,
    name: Any = None,
) -> Tensor:
    """The matrix that converts a spectrogram to bands on the mel scale.

    >>> tf.signal.linear_to_mel_weight_matrix(2, 5, 8000).shape
    TensorShape([5, 2])
    """
    rate, kind = float(static(sample_rate)), dtypes.as_dtype(dtype)
    if not kind.is_floating:
        raise ValueError(f"dtype must be of floating-point numbers. Received: {kind.name}")
    if num_mel_bins <= 0:
        raise ValueError(f"num_mel_bins must be positive. Received: {num_mel_bins}")
    if not 0 <= lower_edge_hertz < upper_edge_hertz <= rate / 2:
        raise ValueError(
            "0 <= lower_edge_hertz < upper_edge_hertz <= sample_rate / 2 was expected. Received: "
            f"{lower_edge_hertz}, {upper_edge_hertz}, {rate}"
        )
    edges = lower_edge_hertz, upper_edge_hertz
    weights = mel_weights(num_mel_bins, num_spectrogram_bins, rate, *edges)
    return constant(weights.astype(kind.as_numpy_dtype))


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms: Any, name: Any = None) -> Tensor:
    """The cepstral coefficients of logarithmic mel spectrograms.

    >>> tf.signal.mfccs_from_log_mel_spectrograms([[1.0, 1.0]]).numpy().round(4)
    array([[2., 0.]], dtype=float32)
    """
    found = dct(log_mel_spectrograms)
    if not found.shape[-1]:
        raise ValueError(f"There must be mel bins. Received shape: {tuple(found.shape)}")
    return found * (1.0 / float(np.sqrt(2.0 * found.shape[-1])))


def stft(
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = hann_window,
    pad_end: bool = False,
    name: Any = None,
) -> Tensor:
    """The Fourier transform of each windowed frame of a signal.

    >>> tf.signal.stft(tf.ones([8]), 4, 2).shape
    TensorShape([3, 3])
    """
    length = static(frame_length)
    size = _fft_length(length, fft_length)
    frames = frame(signals, length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return rfft(frames, [size])


@operation("signal.dct", "input")
def dct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None) -> Any:
    """The cosine transform of type 1 to 4 along the last axis, which is truncated or zero-padded to
    `n` values; `norm="ortho"` makes it orthonormal.

    Raises ValueError for type 1 with a norm, and NotImplementedError for another axis.

    >>> tf.signal.dct([1.0, 1.0]).numpy().round(4).tolist()
    [4.0, 0.0]
    """
    return _cosine_transform(_of_length("dct", x, n, axis), type, norm)


def _of_length(name: str, x: Any, n: int | None, axis: Any) -> Any:
    """Values along the last axis, truncated or zero-padded to `n`."""
    _check(name, x)
    if axis != -1:
        raise NotImplementedError(f"tf.signal.{name}: axis must be -1. Received: axis={axis}")
    if n is None:
        return x
    if n < 1:
        raise ValueError(f"tf.signal.{name}: n must be positive. Received: n={n}")
    x = x[..., :n]
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n - x.shape[-1])])


def _cosine_transform(x: Any, type: int, norm: str | None) -> Any:
    if norm not in (None, "ortho"):
        raise ValueError(f"norm must be None or 'ortho'. Received: norm={norm!r}")
    count = x.shape[-1]
    if not count and type in (2, 3, 4):
        return x
    if type == 2:
        return jax.scipy.fft.dct(x, type=2, norm=norm)
    if type == 3:  # equals JAX's inverse of type 2 up to a factor
        return jax.scipy.fft.idct(x, type=2, norm=norm) * (2 * count if norm is None else 1)
    if type == 1:
        if norm is not None or count < 2:
            raise ValueError(
                "Type 1 of the cosine transform has no norm, and needs at least two values. "
                f"Received: norm={norm!r}, {count} values"
            )
        angles = np.outer(np.arange(count), np.arange(count)) * np.pi / (count - 1)
        weights = 2 * np.cos(angles)
        weights[[0, -1]] /= 2
        return x @ jnp.asarray(weights, x.dtype)
    if type == 4:
        odd = 2 * np.arange(count) + 1
        weights = 2 * np.cos(np.outer(odd, odd) * np.pi / (4 * count))
        scale = 1 if norm is None else np.sqrt(0.5 / count)
        return x @ jnp.asarray(weights * scale, x.dtype)
    raise ValueError(f"type must be 1, 2, 3 or 4. Received: type={type}")


@operation("signal.idct", "input")
def idct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `dct` of a type; without a norm, up to the factor `2 n` (`2 (n - 1)` for
    type 1). `n` is a length as in `dct`.

    Raises NotImplementedError for another axis.

    >>> tf.signal.idct([2.0, 0.0], norm=None).numpy().round(4).tolist()
    [2.0, 2.0]
    """
    x = _of_length("idct", x, n, axis)
    return _cosine_transform(x, {2: 3, 3: 2}.get(type, type), norm)


def kaiser_bessel_derived_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dtypes.float32, name: Any = None
) -> Tensor:
    """The Kaiser-Bessel derived window, whose squares sum to 1 where halves of frames overlap.

    >>> tf.signal.kaiser_bessel_derived_window(4, 2.0).numpy().round(4)
    array([0.4834, 0.8754, 0.8754, 0.4834], dtype=float32)
    """
    n, kind = _of_window(window_length, dtype)
    sums = np.cumsum(np.kaiser(n // 2 + 1, static(beta)))
    half = np.sqrt(sums[:-1] / sums[-1])
    return constant(np.concatenate([half, half[::-1]]).astype(kind))


def mdct(
    signals: Any,
    frame_length: Any,
    window_fn: Any = vorbis_window,
    pad_end: bool = False,
    norm: str | None = None,
    name: Any = None,
) -> Tensor:
    """The modified discrete cosine transform of frames that overlap by half.

    Args:
        signals: `(..., samples)`.
        frame_length: a multiple of 4.
        window_fn: returns the window for a length and a dtype; `None` for a constant window.
        pad_end: whether the last frame is padded with zeros.

    Returns `(..., frames, frame_length // 2)`.

    >>> tf.signal.mdct(tf.ones([8]), 4).shape
    TensorShape([3, 2])
    """
    length = static(frame_length)
    if length % 4:
        raise ValueError(f"frame_length must be a multiple of 4. Received: {length}")
    frames = frame(signals, length, length // 2, pad_end)
    weights = np.sqrt(0.5) if window_fn is None else window_fn(length, dtype=frames.dtype)
    return run(_mdct, (frames * weights,), (norm,))


def _mdct(frames: Any, norm: str | None) -> Any:
    _check("mdct", frames)
    a, b, c, d = jnp.split(frames, 4, -1)
    folded = jnp.concatenate([-c[..., ::-1] - d, a - b[..., ::-1]], -1)
    return _cosine_transform(folded, 4, norm)


def inverse_mdct(
    mdcts: Any, window_fn: Any = vorbis_window, norm: str | None = None, name: Any = None
) -> Tensor:
    """The inverse of `mdct`; with the same window it is exact except for the first and the last
    half frame.

    >>> found = tf.signal.inverse_mdct(tf.signal.mdct(tf.ones([8]), 4))
    >>> found.numpy().round(4)[2:6].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    mdcts = _as_operand(mdcts)
    half = mdcts.shape[-1]
    frames = run(_inverse_mdct, (mdcts,), (norm,))
    weights = np.sqrt(0.5) if window_fn is None else window_fn(2 * half, dtype=frames.dtype)
    return overlap_and_add(frames * weights, half)


def _inverse_mdct(x: Any, norm: str | None) -> Any:
    _check("inverse_mdct", x)
    scale = 0.5 / x.shape[-1] if norm is None else 1
    first, second = jnp.split(_cosine_transform(x, 4, norm) * scale, 2, -1)
    parts = (second, -second[..., ::-1], -first[..., ::-1], -first)
    return jnp.concatenate(parts, -1)


def _over_any(name: str, of: Callable, kind: str = "c") -> Callable:
    @operation(f"signal.{name}", "input_tensor")
    def transform(x: Any, fft_length: Any = None, axes: Any = None, norm: Any = None) -> Any:
        _check(name, x, kind)
        return of(x, fft_length, axes, norm)

    return transform


fftnd, ifftnd = _over_any("fftnd", jnp.fft.fftn), _over_any("ifftnd", jnp.fft.ifftn)
rfftnd, irfftnd = _over_any("rfftnd", jnp.fft.rfftn, "f"), _over_any("irfftnd", jnp.fft.irfftn)

documentation.describe(globals(), "signal")

__all__ = [
    *("fft", "ifft", "fft2d", "ifft2d", "fft3d", "ifft3d", "rfft", "irfft"),
    *("fftshift", "ifftshift", "frame", "overlap_and_add", "hann_window", "hamming_window"),
    *("stft", "dct", "idct", "inverse_stft", "inverse_stft_window_fn", "kaiser_window"),
    *("linear_to_mel_weight_matrix", "mfccs_from_log_mel_spectrograms", "vorbis_window"),
    *("rfft2d", "irfft2d", "rfft3d", "irfft3d", "fftnd", "ifftnd", "rfftnd", "irfftnd"),
    *("inverse_mdct", "kaiser_bessel_derived_window", "mdct"),
]
__dir__ = __all__.copy
