"""Spectrograms: which frequencies a signal has at which time."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import initializers
from keraslike.core import dtypes
from keraslike.core.arguments import one_of, positive, standardize_data_format, warn_user
from keraslike.layers.layer import InputSpec, Layer
from keraslike.ops import convolution

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """The short-time Fourier transform of a signal, by convolutions whose kernels can be trained.

    Args:
        mode: what is given: `"log"` of magnitudes, `"magnitude"`, the power spectral density
            `"psd"`, `"real"` or `"imag"` parts, `"angle"`, or `"stft"`, real then imaginary parts.
        frame_length: how many values are transformed at a time.
        frame_step: from one frame to the next; half of `frame_length` by default.
        fft_length: the length of the transform; `frame_length` or the next power of two by default.
        window, scaling, periodic: see `initializers.STFT`.
        padding: `"valid"`, or `"same"` for frames that reach beyond the ends.
        expand_dims: whether channels keep an axis of their own, the last one (with
            `"channels_first"` the first), rather than share that of the frequencies.
        data_format: `"channels_last"`, `(batch, time, channels)`, or `"channels_first"`.

    Gives `(batch, frames, frequencies * channels)`, with `fft_length // 2 + 1` frequencies. Raises
    TypeError for inputs that are not of float16, float32 or float64.

    >>> STFTSpectrogram("magnitude", frame_length=8)(jnp.ones((1, 16, 1))).shape
    (1, 3, 5)
    """

    real_kernel: Any = None
    imag_kernel: Any = None

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mode = one_of(_MODES, mode=mode)
        self.frame_length = positive(frame_length=frame_length)
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            raise ValueError(
                "`frame_step` should be a positive integer not greater than `frame_length`. "
                f"Received: {frame_step=}, {frame_length=}"
            )
        if fft_length is not None and fft_length < frame_length:
            raise ValueError(
                "`fft_length` should be not less than `frame_length`. "
                f"Received: {fft_length=}, {frame_length=}"
            )
        if fft_length is not None and fft_length & (fft_length - 1):
            warn_user(f"`fft_length` is recommended to be a power of two. Received: {fft_length=}")
        self.frame_step, self.fft_length = frame_step, fft_length
        self.window, self.periodic, self.scaling = window, periodic, scaling
        self.padding = one_of(("valid", "same"), padding=padding)
        self.expand_dims = expand_dims
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)
        self._kernels = {
            side: initializers.STFT(side, window, scaling, periodic) for side in ("real", "imag")
        }

    def build(self, input_shape: Any) -> None:
        length = self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        shape = (self.frame_length, 1, length // 2 + 1)
        if self.mode != "imag":
            self.real_kernel = self.add_weight(shape, self._kernels["real"], name="real_kernel")
        if self.mode != "real":
            self.imag_kernel = self.add_weight(shape, self._kernels["imag"], name="imag_kernel")

    def call(self, inputs: jax.Array) -> jax.Array:
        if inputs.dtype not in ("float16", "float32", "float64"):
            raise TypeError(
                "Invalid input type. Expected `float16`, `float32` or `float64`. "
                f"Received: inputs of {inputs.dtype}"
            )
        last = self.data_format == "channels_last"
        x = jnp.swapaxes(inputs, 1, 2) if last else inputs
        batch, channels, time = x.shape
        signals = x.reshape(batch * channels, time, 1)

        def transformed(kernel: Any) -> Any:
            """`(batch, channels, frames, frequencies)`"""
            if kernel is None:
                return None
            step = self.frame_step or self.frame_length // 2
            kernel = kernel.value.astype(x.dtype)
            out = convolution.conv(signals, kernel, step, self.padding, "channels_last")
            return out.reshape(batch, channels, *out.shape[1:])

        real, imag = transformed(self.real_kernel), transformed(self.imag_kernel)
        found = self._shown(real, imag)
        if self.expand_dims:
            return jnp.moveaxis(found, 1, 3) if last else found
        found = jnp.swapaxes(found, 2, 3)
        found = found.reshape(batch, channels * found.shape[2], found.shape[3])
        return jnp.swapaxes(found, 1, 2) if last else found

    def _shown(self, real: Any, imag: Any) -> jax.Array:
        if self.mode in ("real", "imag"):
            return real if self.mode == "real" else imag
        if self.mode == "angle":
            return jnp.arctan2(imag, real)
        if self.mode == "stft":
            return jnp.concatenate([real, imag], 3)
        power = jnp.square(real) + jnp.square(imag)
        if self.mode == "psd":  # frequencies of either sign but for the first and the last
            return power + jnp.pad(power[..., 1:-1], [(0, 0)] * 3 + [(1, 1)])
        magnitude = jnp.sqrt(jnp.maximum(power, dtypes.epsilon()))
        if self.mode == "magnitude":
            return magnitude
        return jnp.log(jnp.maximum(magnitude, dtypes.epsilon()))
