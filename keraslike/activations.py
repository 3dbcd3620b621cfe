"""Activation functions, element by element unless their line says otherwise.

All take and return arrays (or KerasTensors) of any shape and of a floating-point dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from keraslike.core import registry, serialization
from keraslike.core.operation import op
from keraslike.ops import nn, numpy
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


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """`x` where positive, `negative_slope * x` elsewhere.

    >>> leaky_relu(jnp.array([-1.0, 1.0])).tolist()
    [-0.20000000298023224, 1.0]
    """
    return nn.leaky_relu(x, negative_slope)


def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`.

    >>> relu6(jnp.array([-1.0, 3.0, 9.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return nn.relu6(x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al., arXiv:1511.07289).

    >>> elu(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return nn.elu(x, alpha)


def selu(x: Any) -> Any:
    """`1.0507 * elu(x, 1.6733)`, which keeps mean 0, variance 1 (Klambauer, arXiv:1706.02515).

    >>> selu(jnp.array([0.0])).tolist()
    [0.0]
    """
    return nn.selu(x)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """`max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)` (Barron, arXiv:1704.07483).

    >>> celu(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return nn.celu(x, alpha)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel, arXiv:1606.08415).

    Args:
        x: the input.
        approximate: whether to use the formula with tanh instead of the error function.

    >>> gelu(jnp.array([0.0])).tolist()
    [0.0]
    """
    return nn.gelu(x, approximate)


def silu(x: Any) -> Any:
    """`x * sigmoid(x)`, also known as swish (Ramachandran et al., arXiv:1710.05941).

    >>> silu(jnp.array([0.0])).tolist()
    [0.0]
    """
    return nn.silu(x)


def softplus(x: Any) -> Any:
    """`log(exp(x) + 1)`, finite for large `x` as well.

    >>> softplus(jnp.array([1000.0])).tolist()
    [1000.0]
    """
    return nn.softplus(x)


def softsign(x: Any) -> Any:
    """`x / (abs(x) + 1)`.

    >>> softsign(jnp.array([-1.0, 3.0])).tolist()
    [-0.5, 0.75]
    """
    return nn.softsign(x)


def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x**2 + b)) / 2` (Barron, arXiv:2112.11687).

    >>> squareplus(jnp.array([0.0])).tolist()
    [1.0]
    """
    return nn.squareplus(x, b)


def sparse_plus(x: Any) -> Any:
    """0 below -1, `(x + 1)**2 / 4` from -1 to 1, `x` above.

    >>> sparse_plus(jnp.array([-2.0, 0.0, 2.0])).tolist()
    [0.0, 0.25, 2.0]
    """
    return nn.sparse_plus(x)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards 0 by `threshold`, and 0 where it would pass it.

    >>> soft_shrink(jnp.array([-2.0, 0.25, 2.0])).tolist()
    [-1.5, 0.0, 1.5]
    """
    return nn.soft_shrink(x, threshold)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` where `abs(x) > threshold`, 0 elsewhere.

    >>> hard_shrink(jnp.array([-2.0, 0.25, 2.0])).tolist()
    [-2.0, 0.0, 2.0]
    """
    return nn.hard_shrink(x, threshold)


def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`.

    >>> tanh_shrink(jnp.array([0.0])).tolist()
    [0.0]
    """
    return nn.tanh_shrink(x)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` where it is above `threshold`, `default_value` elsewhere.

    >>> threshold(jnp.array([0.5, 2.0]), 1.0, -1.0).tolist()
    [-1.0, 2.0]
    """
    return nn.threshold(x, threshold, default_value)


def tanh(x: Any) -> Any:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.

    >>> tanh(jnp.array([0.0])).tolist()
    [0.0]
    """
    return numpy.tanh(x)


def hard_tanh(x: Any) -> Any:
    """`min(max(x, -1), 1)`.

    >>> hard_tanh(jnp.array([-2.0, 0.5, 2.0])).tolist()
    [-1.0, 0.5, 1.0]
    """
    return nn.hard_tanh(x)


def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`.

    >>> sigmoid(jnp.array([0.0])).tolist()
    [0.5]
    """
    return nn.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """`relu6(x + 3) / 6`.

    >>> hard_sigmoid(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return nn.hard_sigmoid(x)


def keras2_hard_sigmoid(x: Any) -> Any:
    """`clip(0.2 * x + 0.5, 0, 1)`: what `hard_sigmoid` was in Keras 1 and 2.

    It stands in models whose file is that old. Keras 3 does not know the name.

    >>> print(keras2_hard_sigmoid(jnp.array([-2.5, 0.0, 1.0])))
    [0.  0.5 0.7]
    """
    return numpy.clip(numpy.add(numpy.multiply(x, 0.2), 0.5), 0.0, 1.0)


def sparse_sigmoid(x: Any) -> Any:
    """0 below -1, `(x + 1) / 2` from -1 to 1, 1 above.

    >>> sparse_sigmoid(jnp.array([-2.0, 0.0, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return nn.sparse_sigmoid(x)


def log_sigmoid(x: Any) -> Any:
    """`log(1 / (1 + exp(-x)))`, finite for `x` far below 0 as well.

    >>> log_sigmoid(jnp.array([-1000.0])).tolist()
    [-1000.0]
    """
    return nn.log_sigmoid(x)


def hard_silu(x: Any) -> Any:
    """`x * relu6(x + 3) / 6`, also known as hard swish (Howard et al., arXiv:1905.02244).

    >>> hard_silu(jnp.array([0.0, 3.0])).tolist()
    [0.0, 3.0]
    """
    return nn.hard_silu(x)


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


def softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis (or several): values that sum to 1 there.

    >>> softmax(jnp.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    return nn.softmax(x, axis)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """`x - log(sum(exp(x)))` along an axis.

    >>> log_softmax(jnp.array([3.0])).tolist()
    [0.0]
    """
    return nn.log_softmax(x, axis)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The point of the probability simplex nearest to `x` along an axis (arXiv:1602.02068).

    >>> sparsemax(jnp.array([0.0, 3.0])).tolist()
    [0.0, 1.0]
    """
    return nn.sparsemax(x, axis)


def glu(x: Any, axis: int = -1) -> Any:
    """`a * sigmoid(b)` where `a` and `b` are the halves of `x` along an axis (arXiv:1612.08083).

    >>> glu(jnp.array([2.0, 0.0])).tolist()
    [1.0]
    """
    return nn.glu(x, axis)


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
