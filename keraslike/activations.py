"""Activation functions, element by element unless their line says otherwise.

All take and return arrays (or KerasTensors) of any shape and of a floating-point dtype.
Most are the operations of `keraslike.ops` that have the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from keraslike.core import registry, serialization
from keraslike.core.operation import op
from keraslike.ops import nn, numpy
from keraslike.ops.nn import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh_shrink,
    threshold,
)
from keraslike.ops.numpy import tanh
from keraslike.ops.wrap import array


@op
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """`max(x, 0)`, or `x` above `threshold` and `negative_slope * (x - threshold)` below it.

    Args:
        x: the input.
        negative_slope: the slope below the threshold.
        max_value: the largest value returned.
        threshold: where the function starts to grow.

    >>> relu(jnp.array([-2.0, 3.0])).tolist()
    [0.0, 3.0]
    >>> relu(jnp.array([-2.0, 3.0]), negative_slope=0.5, max_value=2.0).tolist()
    [-1.0, 2.0]
    """
    x = array(x)
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return nn.relu(x)
    if negative_slope != 0.0 and max_value is None and threshold == 0.0:
        return nn.leaky_relu(x, negative_slope)
    above = nn.relu(x) if threshold == 0.0 else jnp.where(x > threshold, x, 0)
    if max_value == 6.0 and threshold == 0.0:
        above = nn.relu6(x)  # The same values, but another gradient at 6 than clip has.
    elif max_value is not None:
        above = numpy.clip(above, 0, max_value)
    if negative_slope == 0.0:
        return above
    return above - negative_slope * nn.relu(threshold - x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel, arXiv:1606.08415).

    Args:
        x: the input.
        approximate: whether to use the formula with tanh instead of the error function.

    >>> gelu(jnp.array([0.0])).tolist()
    [0.0]
    """
    return nn.gelu(x, approximate)


def keras2_hard_sigmoid(x: Any) -> Any:
    """`clip(0.2 * x + 0.5, 0, 1)`: what `hard_sigmoid` was in Keras 1 and 2.

    It stands in models whose file is that old. Keras 3 does not know the name.

    >>> print(keras2_hard_sigmoid(jnp.array([-2.5, 0.0, 1.0])))
    [0.  0.5 0.7]
    """
    return numpy.clip(numpy.add(numpy.multiply(x, 0.2), 0.5), 0.0, 1.0)


def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))` (Misra, arXiv:1908.08681).

    >>> mish(jnp.array([0.0])).tolist()
    [0.0]
    """
    return x * numpy.tanh(nn.softplus(x))


def exponential(x: Any) -> Any:
    """`exp(x)`.

    >>> exponential(jnp.array([0.0])).tolist()
    [1.0]
    """
    return numpy.exp(x)


def linear(x: Any) -> Any:
    """`x` itself.

    >>> linear(3.0)
    3.0
    """
    return x


_functions = (
    *(relu, leaky_relu, relu6, softmax, celu, elu, selu, softplus, softsign, squareplus),
    *(soft_shrink, sparse_plus, silu, gelu, glu, tanh, tanh_shrink, threshold, sigmoid),
    *(sparse_sigmoid, exponential, hard_sigmoid, hard_silu, hard_tanh, hard_shrink, linear),
    *(mish, log_softmax, log_sigmoid, sparsemax),
)
swish, hard_swish = silu, hard_silu

registry.publish(
    "keras.activations",
    {f.__name__: f for f in _functions},
    aliases={
        "swish": silu,
        "hard_swish": hard_silu,
        "keras2_hard_sigmoid": keras2_hard_sigmoid,
    },
)


def get(identifier: Any) -> Callable:
    """An activation from a name, a config, a function or a layer; `None` gives `linear`.

    Raises ValueError for a name that does not exist.

    >>> get("relu") is relu, get(None) is linear
    (True, True)
    """
    return linear if identifier is None else serialization.get("activations", identifier)


def serialize(activation: Callable) -> Any:
    """The name of one of this module's functions; a config dict for any other.

    >>> serialize(relu)
    'relu'
    """
    config = serialization.serialize_argument(activation)
    if isinstance(config, dict) and config["class_name"] == "function":
        return {**config, "config": registry.get_registered_name(activation)}
    return config


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Callable:
    """The activation that `serialize` made this config of.

    Raises ValueError or TypeError for a name that is not known.

    >>> deserialize("relu") is relu
    True
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [f.__name__ for f in _functions] + [
    *("swish", "hard_swish", "get", "serialize", "deserialize")
]
__dir__ = __all__.copy
