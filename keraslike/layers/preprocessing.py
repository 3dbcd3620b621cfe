"""Layers that shift and scale numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes
from keraslike.core.arguments import image_data_format
from keraslike.core.boxed import boxes_result
from keraslike.layers.adapting import batches
from keraslike.layers.keras_names import Backend
from keraslike.layers.layer import Layer
from keraslike.ops.wrap import array


class Rescaling(Layer):
    """`inputs * scale + offset`, in the layer's floating-point dtype, for inputs of any dtype.

    Args:
        scale: a number, or an array with one per channel.
        offset: likewise.

    >>> Rescaling(1 / 127.5, offset=-1.0)(jnp.array([0, 255])).tolist()
    [-1.0, 1.0]
    """

    backend = Backend()
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
    """A number or nested lists of numbers, which a config can contain."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a number or an array of them. Received: {name}={value!r}")
    return numbers.tolist()


class Normalization(Layer):
    """`(inputs - mean) / sqrt(variance)`, with given moments or those of data.

    Args:
        axis: the axis or axes that the moments have; `None` for one mean and one variance of all
            values.
        mean, variance: numbers for these axes; if omitted `adapt` finds them.
        invert: whether to do the reverse, `mean + inputs * sqrt(variance)`.

    Accepts numbers of any dtype and returns the layer's floating-point dtype. Raises ValueError if
    one of `mean` and `variance` is given without the other or does not fit the axes.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0], [3.0]]))
    >>> layer(np.array([[1.0], [5.0]])).tolist()
    [[-1.0], [3.0]]
    """

    backend = Backend()
    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: {mean=}, {variance=}"
            )
        if np.shape(mean) != np.shape(variance):
            raise ValueError(
                "`mean` and `variance` must have the same shape. Received: mean of shape "
                f"{np.shape(mean)}, variance of shape {np.shape(variance)}"
            )
        if np.ndim(mean) > len(self.axis):
            raise ValueError(
                "The rank of `mean` must be less than or equal to the number of axes, "
                f"{len(self.axis)}. Received: mean of shape {np.shape(mean)}, axis={self.axis}"
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                f"All `axis` values must be in the range [-{rank}, {rank}) for inputs of shape "
                f"{tuple(input_shape)}. Received: axis={self.axis}"
            )
        kept = sorted(axis % rank for axis in self.axis)
        if any(input_shape[axis] is None for axis in kept):
            raise ValueError(
                "All `axis` values to be kept need known sizes. "
                f"Received: axis={self.axis}, input_shape={tuple(input_shape)}"
            )
        self._kept, self._ndim = kept, rank
        self._sizes: Any = tuple(input_shape[axis] for axis in kept)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(self._sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(
                self._sizes, "ones", trainable=False, name="variance"
            )
            self.count = self.add_weight((), "zeros", "int32", trainable=False, name="count")

    def adapt(self, data: Any) -> None:
        """Sets the moments to those of data.

        Args:
            data: an array, a `PyDataset`, or batches in any iterable; of batches that are tuples
                the first part is used.

        Raises ValueError for data of another shape than the layer was built for, and where `mean`
        and `variance` were given.
        """
        if self.input_mean is not None:
            raise ValueError("adapt() is for a layer that was not given `mean` and `variance`.")
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in map(_numbers_of, batches(data, lists=False)):
            if not self.built:
                self.build(tuple(batch.shape))
            self._check(batch)
            reduced = tuple(a for a in range(batch.ndim) if a not in self._kept)
            # The moments of the batches are combined.
            n = max(1, batch.size // max(1, int(np.prod(self._sizes))))
            here, count = np.mean(batch, reduced), count + n
            moved = here - mean
            mean = mean + moved * (n / count)
            variance = variance + (np.var(batch, reduced) - variance) * (n / count)
            variance = variance + moved**2 * (n / count) * (1 - n / count)
        if not count:
            raise ValueError("adapt() received an empty iterable (no batches).")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _check(self, batch: np.ndarray) -> None:
        fits = batch.ndim == self._ndim
        if not fits or tuple(batch.shape[axis] for axis in self._kept) != self._sizes:
            raise ValueError(
                f"adapt() was given data with an incompatible shape, {batch.shape}: layer "
                f"'{self.name}' takes inputs of rank {self._ndim} and sizes {self._sizes} along "
                f"axes {tuple(self._kept)}."
            )

    def _moment(self, given: Any, adapted: str) -> Any:
        if not self.built:
            return None
        if given is None:
            value = getattr(self, adapted).value
        else:
            value = jnp.asarray(given)
            value = jnp.broadcast_to(value, self._sizes)
        shape = [1] * self._ndim
        for axis, size in zip(self._kept, self._sizes):
            shape[axis] = size
        return value.astype(self.compute_dtype).reshape(shape)

    @property
    @boxes_result
    def mean(self) -> Any:
        """The means, in a shape that broadcasts to the inputs; `None` before the layer is built."""
        return self._moment(self.input_mean, "adapt_mean")

    @property
    @boxes_result
    def variance(self) -> Any:
        """The variances, in the same shape as the means."""
        return self._moment(self.input_variance, "adapt_variance")

    def call(self, inputs: Any) -> jax.Array:
        x = array(inputs).astype(self.compute_dtype)
        deviation = jnp.maximum(jnp.sqrt(self.variance), dtypes.epsilon())
        return self.mean + x * deviation if self.invert else (x - self.mean) / deviation

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["mean"] = np.array(self.input_mean).tolist()
        config["variance"] = np.array(self.input_variance).tolist()
        return config


def _numbers_of(batch: Any) -> np.ndarray:
    if not hasattr(batch, "shape"):
        raise TypeError(
            "adapt() takes batches that are arrays with a `.shape`. "
            f"Received: one of type {type(batch).__name__}"
        )
    return np.asarray(array(batch), dtype=np.float64)
