"""Activation layers with arguments or weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import activations
from keraslike.core.arguments import given
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.layers.weighted import Weighted


def _at_least_0(of: str, **arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, (int, float)) or value < 0:
            what = "a" if name == "max_value" else "None or a"
            raise ValueError(f"{name} {of} cannot be {what} negative value. Received: {value!r}")


class ReLU(Layer):
    """`x` above the threshold (at most `max_value`), `negative_slope * (x - threshold)` below.

    Raises ValueError for a negative argument.

    >>> ReLU(max_value=1.0)(jnp.array([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    built = True
    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float | None = 0.0,
        threshold: float | None = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _at_least_0("of a ReLU layer", negative_slope=negative_slope, threshold=threshold)
        if max_value is not None:
            _at_least_0("of a ReLU layer", max_value=max_value)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


class LeakyReLU(Layer):
    """`x` where it is positive, `negative_slope * x` elsewhere.

    >>> LeakyReLU(0.5)(jnp.array([-2.0, 3.0])).tolist()
    [-1.0, 3.0]
    """

    built = True
    supports_masking = True

    def __init__(self, negative_slope: float | None = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)  # The argument's name in Keras 2.
        super().__init__(**kwargs)
        if negative_slope is None:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None, expecting a number."
            )
        _at_least_0("of a Leaky ReLU layer", negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ELU(Layer):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere (Clevert, arXiv:1511.07289).

    >>> ELU()(jnp.array([-1000.0, 3.0])).tolist()
    [-1.0, 3.0]
    """

    built = True
    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.elu(inputs, alpha=self.alpha)


class PReLU(Weighted):
    """`x` where it is positive, `alpha * x` elsewhere; `alpha` is learned (arXiv:1502.01852).

    Args:
        shared_axes: axes, counted from 1, along which `alpha` is shared: `[1, 2]` for one value per
            channel of images.

    Raises ValueError where it is built, for an axis that the inputs do not have: 0 is the batch,
    and negative ones are not counted.

    >>> PReLU(alpha_initializer="ones")(jnp.array([[-2.0, 3.0]])).tolist()
    [[-2.0, 3.0]]
    """

    supports_masking = True
    alpha_initializer: Any
    alpha_regularizer: Any
    alpha_constraint: Any

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(PReLU, **given(locals()))
        if isinstance(shared_axes, int):
            shared_axes = [shared_axes]
        self.shared_axes = None if shared_axes is None else list(shared_axes)

    def build(self, input_shape: Sequence[int | None]) -> None:
        sizes = {axis: n for axis, n in enumerate(input_shape) if axis > 0}
        if unknown := [axis for axis in self.shared_axes or () if axis not in sizes]:
            raise ValueError(
                f"Layer '{self.name}': shared_axes must be between 1 and {len(sizes)} for inputs "
                f"of shape {tuple(input_shape)}. Received: {unknown} in {self.shared_axes}"
            )
        own = {axis: n for axis, n in sizes.items() if axis not in (self.shared_axes or ())}
        self.alpha = self._add("alpha", [own.get(axis, 1) for axis in sizes])
        self.input_spec = InputSpec(ndim=len(input_shape), axes=own)

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.relu(inputs) - self.alpha.value * activations.relu(-inputs)


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` along an axis, or several.

    Where a mask is false the output is 0.

    >>> Softmax()(jnp.array([[1.0, 1.0]])).tolist()
    [[0.5, 0.5]]
    """

    built = True
    supports_masking = True

    def __init__(self, axis: int | Sequence[int] | None = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        axis = tuple(self.axis) if isinstance(self.axis, Sequence) else self.axis
        if mask is None:
            return activations.softmax(inputs, axis)
        pairs = zip(mask.shape[::-1], inputs.shape[::-1])
        if mask.ndim > inputs.ndim or any(m not in (1, n) for m, n in pairs):
            raise ValueError(
                f"Layer '{self.name}' (Softmax): the mask must be broadcastable to the inputs, and "
                "must not have more dimensions. "
                f"Received: mask of shape {mask.shape}, inputs of shape {inputs.shape}"
            )
        keep = mask if mask.dtype == bool else mask > 0.5
        lowest = -3e4 if inputs.dtype == jnp.float16 else -1e9
        outputs = activations.softmax(jnp.where(keep, inputs, lowest), axis)
        return jnp.where(keep, outputs, 0)
