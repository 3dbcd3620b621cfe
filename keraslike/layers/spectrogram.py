"""Spectrograms, which show the frequencies of a signal over time."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import initializers, ops
from keraslike.core import dtypes
from keraslike.core.arguments import one_of, positive, standardize_data_format, warn_user
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.ops import convolution

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """The short-time Fourier transform of a signal, by convolutions whose kernels can be trained.

    Args:
        mode: the kind of output: `"log"` of magnitudes, `"magnitude"`, the power spectral density
            `"psd"`, `"real"` or `"imag"` parts, `"angle"`, or `"stft"`, real then imaginary parts.
        frame_length: the number of values in a frame.
        frame_step: the distance between frames; half of `frame_length` by default.
        fft_length: the length of the transform; `frame_length` or the next power of two by default.
        window, scaling, periodic: see `initializers.STFT`.
        padding: `"valid"`, or `"same"` for frames that extend beyond the ends.
        expand_dims: whether channels have a separate axis, the last one (with `"channels_first"`
            the first), instead of sharing that of the frequencies.
        data_format: `"channels_last"`, `(batch, time, channels)`, or `"channels_first"`.

    Returns `(batch, frames, frequencies * channels)`, with `fft_length // 2 + 1` frequencies.
    Raises TypeError for inputs that are not of float16, float32 or float64.

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
                "`fft_length` must be at least `frame_length`. "
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
            """`(batch, channels, frames, frequencies)`."""
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
        # All frequencies but the first and the last represent two, of either sign.
        if self.mode == "psd":
            return power + jnp.pad(power[..., 1:-1], [(0, 0)] * 3 + [(1, 1)])
        magnitude = jnp.sqrt(jnp.maximum(power, dtypes.epsilon()))
        if self.mode == "magnitude":
            return magnitude
        return jnp.log(jnp.maximum(magnitude, dtypes.epsilon()))


class MelSpectrogram(Layer):
    """The spectrogram of a signal on the mel scale, which is perceptually even.

    Args:
        fft_length: the length of a Fourier transform.
        sequence_stride: the distance between segments of the signal.
        sequence_length: the length of a segment; `fft_length` by default.
        window: `"hann"`, `"hamming"`, a vector or `None`.
        sampling_rate: the sampling rate of the signal, in hertz.
        num_mel_bins: the number of frequencies in the output.
        min_freq, max_freq: the range, in hertz; up to half of `sampling_rate` by default.
        power_to_db: whether to return decibels, relative to `ref_power`.
        top_db: the maximal distance below the loudest value of the batch.
        mag_exp: the power of the magnitudes.
        min_power: a lower bound of the power.

    Accepts `(time,)` or `(batch, time)` and returns `(..., num_mel_bins, parts)`.

    >>> MelSpectrogram(fft_length=8, sequence_stride=4, num_mel_bins=3)(jnp.ones((2, 16))).shape
    (2, 3, 5)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.fft_length = fft_length
        self.sequence_stride = sequence_stride
        self.sequence_length = sequence_length or fft_length
        if self.fft_length < self.sequence_length:
            raise ValueError(
                "`fft_length` must be greater than or equal to `sequence_length`. "
                f"Received: {fft_length=}, {sequence_length=}"
            )
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = num_mel_bins
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power = min_power
        self.ref_power = ref_power

    def call(self, inputs: jax.Array) -> jax.Array:
        wide = self.compute_dtype if self.compute_dtype == "float64" else "float32"
        real, imag = ops.stft(
            inputs.astype(wide),
            self.sequence_length,
            self.sequence_stride,
            self.fft_length,
            self.window,
        )
        power = jnp.square(real) + jnp.square(imag)
        silent = power == 0  # The power function has no derivative there for exponents below 2.
        spectrum = jnp.where(silent, 0, jnp.power(jnp.where(silent, 1, power), self.mag_exp / 2))
        weights = self.linear_to_mel_weight_matrix(
            self.num_mel_bins,
            spectrum.shape[-1],
            self.sampling_rate,
            self.min_freq,
            self.max_freq,
        )
        mel = spectrum @ weights
        if self.power_to_db:
            mel = 10.0 * jnp.log10(jnp.maximum(mel, self.min_power))
            mel -= 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
            mel = jnp.maximum(mel, jnp.max(mel) - self.top_db)
        return jnp.swapaxes(mel, -1, -2).astype(self.compute_dtype)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> jax.Array:
        """The weight of each frequency of a spectrogram in each band of the mel scale.

        Bands are triangles of equal width in mel that overlap by half (HTK's formula); frequency 0
        has no weight. Returns `(num_spectrogram_bins, num_mel_bins)`.
        """
        edges = lower_edge_hertz, upper_edge_hertz
        weights = mel_weights(num_mel_bins, num_spectrogram_bins, sampling_rate, *edges)
        return jnp.asarray(weights, dtype)


def mel_weights(
    num_mel_bins: int,
    num_spectrogram_bins: int,
    sampling_rate: float,
    lower_edge_hertz: float,
    upper_edge_hertz: float,
) -> np.ndarray:
    """The matrix of `MelSpectrogram.linear_to_mel_weight_matrix`, in float64."""
    frequencies = _mel(np.linspace(0.0, sampling_rate / 2.0, num_spectrogram_bins)[1:, None])
    edges = np.linspace(_mel(lower_edge_hertz), _mel(upper_edge_hertz), num_mel_bins + 2)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - lower) / (center - lower)
    falling = (upper - frequencies) / (upper - center)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return np.pad(weights, ((1, 0), (0, 0)))


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log(1.0 + hertz / 700.0)
