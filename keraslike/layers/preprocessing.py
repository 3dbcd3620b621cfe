"""Layers that prepare data: their arguments are given, and nothing in them is trained."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes
from keraslike.core.arguments import image_data_format
from keraslike.layers.layer import Layer
from keraslike.ops.wrap import array


class Rescaling(Layer):
    """`inputs * scale + offset`, in the layer's floating-point dtype, for inputs of any dtype.

    Args:
        scale: a number, or an array that has one for each channel.
        offset: likewise.

    >>> Rescaling(1 / 127.5, offset=-1.0)(jnp.array([0, 255])).tolist()
    [-1.0, 1.0]
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = _numbers(scale, "scale"), _numbers(offset, "offset")

    def call(self, inputs: Any) -> jax.Array:
        dtype = dtypes.standardize_dtype(self.compute_dtype)
        scale, offset = (jnp.asarray(v, dtype) for v in (self.scale, self.offset))
        if scale.ndim and image_data_format() == "channels_first":
            scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
        return array(inputs).astype(dtype) * scale + offset

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


def _numbers(value: Any, name: str) -> Any:
    """A number or nested lists of numbers, which a config can hold."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a number or an array of them. Received: {name}={value!r}")
    return numbers.tolist()
