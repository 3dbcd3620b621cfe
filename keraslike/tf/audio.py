"""`tf.audio`: sounds in WAV files with 16 bits a sample."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any, NamedTuple

import numpy as np

from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor


class DecodeWav(NamedTuple):
    audio: Tensor
    sample_rate: Tensor


def decode_wav(
    contents: Any, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> DecodeWav:
    """The samples of a WAV file, float32 from -1 to 1 of shape `(samples, channels)`, and their
    number a second: `(audio, sample_rate)`.

    Args:
        contents: the bytes of the file, as `tf.io.read_file` gives them.
        desired_channels: the number of channels: others are left out, or the last one is repeated.
        desired_samples: the number of samples: others are left out, or zeros follow.

    Raises InvalidArgumentError for bytes that are no WAV file of 16 bits a sample.

    >>> coded = tf.audio.encode_wav([[0.5], [-0.5]], 8000)
    >>> audio, rate = tf.audio.decode_wav(coded, desired_samples=3)
    >>> audio.numpy().tolist(), int(rate)
    ([[0.5], [-0.5], [0.0]], 8000)
    """
    data = convert_to_tensor(contents)
    if len(data.shape) or data.dtype != "string":
        raise InvalidArgumentError(
            f"tf.audio.decode_wav: contents must be one text. Received: {data!r}"
        )
    try:
        with wave.open(io.BytesIO(data.numpy())) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, struct.error) as error:
        raise InvalidArgumentError(f"The bytes cannot be decoded as a WAV file: {error}") from None
    if width != 2:
        raise InvalidArgumentError(
            f"tf.audio.decode_wav: expected 16 bits a sample. Received: {8 * width}"
        )
    found = np.frombuffer(frames, "<i2").reshape(-1, channels).astype(np.float32) / 2**15
    if desired_channels >= 0:
        found = found[:, np.minimum(np.arange(desired_channels), channels - 1)]
    if desired_samples >= 0:
        missing = max(desired_samples - len(found), 0)
        found = np.pad(found[:desired_samples], [(0, missing), (0, 0)])
    return DecodeWav(constant(found), constant(np.int32(rate)))


def encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> Tensor:
    """The bytes of a WAV file of 16 bits a sample, for samples from -1 to 1 of shape
    `(samples, channels)`.

    >>> len(tf.audio.encode_wav([[0.0], [1.0]], 8000).numpy())
    48
    """
    given = audio if isinstance(audio, Tensor) else convert_to_tensor(audio, dtypes.float32)
    sound = host(given, "Encoding of sounds", "encode outside of compiled functions.")
    if sound.ndim != 2 or sound.dtype != np.float32:
        raise InvalidArgumentError(
            "tf.audio.encode_wav: audio must be float32 of shape (samples, channels). Received: "
            f"{sound.dtype} of shape {sound.shape}"
        )
    scaled = sound * np.float32(2**15)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # halves away from zero
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(static(sample_rate)))
        file.writeframes(np.clip(rounded, -(2**15), 2**15 - 1).astype("<i2").tobytes())
    return convert_to_tensor(made.getvalue())


__all__ = ["decode_wav", "encode_wav"]
__dir__ = __all__.copy
