"""Layers of Keras 2 that only `tf.keras` still has, or that have another name in Keras 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from keraslike import random
from keraslike.core.rng import SeedGenerator
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.activation import ReLU
from keraslike.layers.layer import Layer
from keraslike.ops import image

__all__ = ["RandomHeight", "RandomWidth", "ThresholdedReLU"]


class ThresholdedReLU(ReLU):
    """`x` where it is above `theta`, 0 elsewhere.

    Raises ValueError if `theta` is below 0.

    >>> import numpy as np
    >>> ThresholdedReLU(1.0)(np.array([0.5, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(threshold=theta, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        left = {
            k: config[k] for k in config if k not in ("max_value", "negative_slope", "threshold")
        }
        return left | {"theta": self.threshold}


class _RandomSize(Layer):
    """Base of layers that draw the size of one axis, `_axis`, of images with channels last."""

    _axis: int

    def __init__(
        self,
        factor: float | Sequence[float],
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        low, high = (-factor, factor) if isinstance(factor, (int, float)) else factor
        if not -1 <= low <= high:
            raise ValueError(
                "The `factor` argument should be a number above 0, or a lower and an upper bound, "
                f"-1 or more. Received: factor={factor}"
            )
        self.factor, self.interpolation, self.seed = factor, interpolation, seed
        self.bounds = 1.0 + low, 1.0 + high
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        images = jax.numpy.asarray(inputs, self.compute_dtype)
        if not training:
            return images
        scale: Any = random.uniform((), *self.bounds, seed=self.seed_generator)
        if isinstance(scale, jax.core.Tracer):
            raise jax.errors.ConcretizationTypeError(
                scale,
                f"Layer '{self.name}' draws the size of its output, which a compiled program must "
                "know: call it on batches before they are given to `fit`, or with training=False.",
            )
        size = list(images.shape[-3:-1])
        size[self._axis + 3] = int(scale * size[self._axis + 3])
        return image.resize(images, size, self.interpolation, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        shape = list(input_shape)
        shape[self._axis] = None
        return tuple(shape)

    def compute_output_spec(self, inputs: Any, training: bool = True) -> KerasTensor:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"factor": self.factor, "interpolation": self.interpolation, "seed": self.seed}
        return super().get_config() | own


class RandomHeight(_RandomSize):
    """Resizes images to a random height, which is drawn for a whole batch.

    The height is multiplied by 1 + a number drawn from [-factor, factor], or from the two bounds
    of `factor`: (..., height, width, channels) -> (..., drawn, width, channels). Outside training
    images keep their size. The size is drawn when the layer is called, so that it cannot be part
    of a compiled program.

    Args:
        factor: the largest change, a number above 0; or a lower and an upper bound, each -1 or
            more.
        interpolation: as of `ops.image.resize`.
        seed: of the random stream.

    >>> import numpy as np
    >>> RandomHeight((0.5, 0.5))(np.ones((1, 4, 4, 3)), training=True).shape
    (1, 6, 4, 3)
    """

    _axis = -3


class RandomWidth(_RandomSize):
    """Resizes images to a random width, which is drawn for a whole batch.

    As `RandomHeight`, but for (..., height, width, channels) -> (..., height, drawn, channels).

    Args:
        factor: the largest change, a number above 0; or a lower and an upper bound, each -1 or
            more.
        interpolation: as of `ops.image.resize`.
        seed: of the random stream.

    >>> import numpy as np
    >>> RandomWidth((0.5, 0.5))(np.ones((1, 4, 4, 3)), training=True).shape
    (1, 4, 6, 3)
    """

    _axis = -2
