"""Neural network functions: activations, normalization, cross-entropy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context, dtypes, sparsity
from keraslike.core.operation import op
from keraslike.ops import attention, convolution, ctc, patches
from keraslike.ops.attention import *  # noqa: F403
from keraslike.ops.convolution import *  # noqa: F403
from keraslike.ops.ctc import *  # noqa: F403
from keraslike.ops.patches import *  # noqa: F403
from keraslike.ops.variance import mean_and_variance
from keraslike.ops.wrap import array, axes_of, integers, public, reduction, unary

_MODULES = (attention, convolution, ctc, patches)  # Modules whose functions Keras has in this one.

# -- activations ------------------------------------------------------------------------------

relu = unary(jax.nn.relu, "relu")
relu6 = unary(jax.nn.relu6, "relu6")
sigmoid = unary(jax.nn.sigmoid, "sigmoid")
sparse_sigmoid = unary(jax.nn.sparse_sigmoid, "sparse_sigmoid")
log_sigmoid = unary(jax.nn.log_sigmoid, "log_sigmoid")
softplus = unary(jax.nn.softplus, "softplus")
softsign = unary(jax.nn.soft_sign, "softsign")
sparse_plus = unary(jax.nn.sparse_plus, "sparse_plus")
silu = unary(jax.nn.silu, "silu")
swish = silu
hard_sigmoid = unary(jax.nn.hard_sigmoid, "hard_sigmoid")
hard_silu = unary(jax.nn.hard_silu, "hard_silu")
hard_swish = hard_silu
selu = unary(jax.nn.selu, "selu")
hard_tanh = unary(jax.nn.hard_tanh, "hard_tanh")
logsumexp = reduction(jax.nn.logsumexp, "logsumexp")


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> jax.Array:
    """`x` where positive, `negative_slope * x` elsewhere.

    >>> leaky_relu([-1.0, 2.0], 0.5).tolist()
    [-0.5, 2.0]
    """
    return jax.nn.leaky_relu(array(x), negative_slope)


@op
def elu(x: Any, alpha: float = 1.0) -> jax.Array:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    >>> elu([-1.0, 2.0]).round(4)
    Array([-0.6321,  2.    ], dtype=float32)
    """
    return jax.nn.elu(array(x), alpha)


@op
def celu(x: Any, alpha: float = 1.0) -> jax.Array:
    """`max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`.

    >>> celu([-1.0, 2.0]).round(4)
    Array([-0.6321,  2.    ], dtype=float32)
    """
    return jax.nn.celu(array(x), alpha)


@op
def gelu(x: Any, approximate: bool = True) -> jax.Array:
    """`x * P(X <= x)` for a standard normal X.

    >>> gelu([-1.0, 2.0]).round(4)
    Array([-0.15879999,  1.9546    ], dtype=float32)
    """
    return jax.nn.gelu(array(x), approximate)


@op
def squareplus(x: Any, b: float = 4) -> jax.Array:
    """`(x + sqrt(x**2 + b)) / 2`.

    >>> squareplus([0.0, 3.0]).round(4)
    Array([1.    , 3.3028], dtype=float32)
    """
    return jax.nn.squareplus(array(x), b)


@op
def glu(x: Any, axis: int = -1) -> jax.Array:
    """`a * sigmoid(b)` where `a` and `b` are the halves of `x` along an axis.

    >>> glu([1.0, 0.0]).tolist()
    [0.5]
    """
    return jax.nn.glu(array(x), axis)


@op
def tanh_shrink(x: Any) -> jax.Array:
    """`x - tanh(x)`.

    >>> tanh_shrink([0.0, 2.0]).round(3)
    Array([0.   , 1.036], dtype=float32)
    """
    x = array(x)
    return x - jnp.tanh(x)


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> jax.Array:
    """`x` moved towards 0 by `threshold`, and 0 where it would pass it.

    >>> soft_shrink([-1.0, 0.2]).tolist()
    [-0.5, 0.0]
    """
    x = array(x)
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> jax.Array:
    """`x` where `abs(x) > threshold`, 0 elsewhere.

    >>> hard_shrink([-1.0, 0.2]).tolist()
    [-1.0, 0.0]
    """
    x = array(x)
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


@op
def threshold(x: Any, threshold: float, default_value: float) -> jax.Array:
    """`x` where it is above `threshold`, `default_value` elsewhere.

    >>> threshold([1.0, 3.0], 2.0, 0.0).tolist()
    [0.0, 3.0]
    """
    x = array(x)
    return jnp.where(x > threshold, x, default_value)


@op
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> jax.Array:
    """`exp(x) / sum(exp(x))` along axes, all of them where `None`.

    Warns if the axis has size 1, since all results are then 1.

    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    x = array(x)
    one_axis = isinstance(axis, int) and -x.ndim <= axis < x.ndim
    if one_axis and x.shape[axis] == 1 and not context.state.symbolic:
        warnings.warn(
            f"You are using a softmax over axis {axis} of a tensor of shape {x.shape}: of one "
            "value it is always 1. A sigmoid may be what is meant.",
            stacklevel=2,
        )
    return jax.nn.softmax(x, axes_of(axis))


@op
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> jax.Array:
    """`x - log(sum(exp(x)))` along axes, all of them where `None`.

    >>> log_softmax([0.0, 0.0]).round(4)
    Array([-0.6931, -0.6931], dtype=float32)
    """
    return jax.nn.log_softmax(array(x), axes_of(axis))


@op
def sparsemax(x: Any, axis: int = -1) -> jax.Array:
    """The point of the probability simplex nearest to `x` along an axis (arXiv:1602.02068).

    >>> sparsemax([0.0, 0.5]).tolist()
    [0.25, 0.75]
    """
    x = jnp.moveaxis(array(x), axis, -1)
    descending = jnp.flip(jnp.sort(x, -1), -1)
    excess = jnp.cumsum(descending, -1) - 1
    count = jnp.arange(1, x.shape[-1] + 1)
    # The values above the threshold are the k largest ones, for the largest k that satisfies this.
    k = jnp.sum(descending * count > excess, -1, keepdims=True)
    tau = jnp.take_along_axis(excess, k - 1, -1) / k
    return jnp.moveaxis(jnp.maximum(x - tau, 0), -1, axis)


# -- normalization ----------------------------------------------------------------------------


@op
def moments(
    x: Any, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False
) -> tuple[jax.Array, jax.Array]:
    """The mean and the variance along axes; half precision is summed in float32.

    >>> [float(m) for m in moments([1.0, 3.0], 0)]
    [2.0, 1.0]
    """
    if synchronized:
        raise ValueError("moments: arrays are global here; synchronized=True has no meaning.")
    x = array(x)
    axes = axes_of(axes)
    wide = x.astype("float32") if dtypes.is_half(x.dtype) else x
    if jnp.issubdtype(wide.dtype, jnp.floating):
        mean, variance = mean_and_variance(wide, axes, keepdims)
    else:
        mean, variance = (f(wide, axes, keepdims=keepdims) for f in (jnp.mean, jnp.var))
    if x.dtype == wide.dtype:
        return mean, variance
    limit = float(jnp.finfo(x.dtype).max)
    mean, variance = (jnp.clip(m, -limit, limit).astype(x.dtype) for m in (mean, variance))
    return mean, variance


@op
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> jax.Array:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, all vectors along `axis`.

    >>> batch_normalization([[1.0, 4.0]], mean=[1.0, 2.0], variance=[1.0, 4.0], axis=-1).round(3)
    Array([[0., 1.]], dtype=float32)
    """
    x = array(x)
    shape = [1] * x.ndim
    shape[axis] = -1
    vectors = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    vectors = {name: array(v) for name, v in vectors.items() if v is not None}
    size = x.shape[axis]
    for name, vector in vectors.items():
        if vector.shape != (size,):
            raise ValueError(
                f"`{name}` must be a vector of length `x.shape[axis]`, {size}. "
                f"Received: {name} of shape {vector.shape}, x of shape {x.shape}."
            )
    factor = jax.lax.rsqrt(vectors["variance"] + epsilon)
    if scale is not None:
        factor = factor * vectors["scale"]
    shift = -vectors["mean"] * factor
    if offset is not None:
        shift = shift + vectors["offset"]
    return x * factor.reshape(shape) + shift.reshape(shape)


@op
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> jax.Array:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, mean and variance along axes.

    With `rms_scaling=True`, which old models have and `rms_normalization` should replace, it is
    `x / sqrt(variance + epsilon) * gamma`.

    >>> layer_normalization([[1.0, 3.0]]).round(3)
    Array([[-1.,  1.]], dtype=float32)
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unexpected arguments {sorted(kwargs)}")
    if rms_scaling:
        warnings.warn(
            "You passed `rms_scaling=True`, which is deprecated: it scales by the variance, not by "
            "the mean square. Use `ops.rms_normalization`.",
            stacklevel=2,
        )
    x = array(x)
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(sorted(a % x.ndim for a in axes))
    shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    # The mean is subtracted first: this is exact for a mean far from 0, and its gradient is faster.
    centered = wide - jnp.mean(wide, axes, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axes, keepdims=True)
    factor = jax.lax.rsqrt(variance + (dtypes.epsilon() if epsilon is None else epsilon))
    if gamma is not None:
        factor = factor * array(gamma).astype(wide.dtype).reshape(shape)
    out = (wide if rms_scaling else centered) * factor
    if beta is not None and not rms_scaling:
        out = out + array(beta).astype(wide.dtype).reshape(shape)
    return out.astype(x.dtype)


@op
def rms_normalization(
    x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> jax.Array:
    """`x / sqrt(mean(x**2) + epsilon) * scale`, the mean along axes (arXiv:1910.07467).

    >>> rms_normalization([3.0, 4.0]).round(3)
    Array([0.84900004, 1.131     ], dtype=float32)
    """
    x = array(x)
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    axis = axes_of(axis)
    square = jnp.mean(jnp.square(wide), axis, keepdims=True)
    out = wide * jax.lax.rsqrt(square + (dtypes.epsilon() if epsilon is None else epsilon))
    return (out if scale is None else out * array(scale)).astype(x.dtype)


@op
def normalize(
    x: Any, axis: int | Sequence[int] = -1, order: Any = 2, epsilon: float | None = None
) -> jax.Array:
    """`x` divided by its norm along axes, or by `epsilon` if that is larger.

    >>> [round(float(v), 4) for v in normalize([3.0, 4.0])]
    [0.6, 0.8]
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"Argument `order` must be an int >= 1. Received: order={order!r}")
    x = jnp.atleast_1d(array(x))
    axis = axes_of(axis)
    least = dtypes.epsilon() if epsilon is None else epsilon
    if order == 2:  # In this order the gradient is finite if all of x is 0.
        square = jnp.sum(jnp.square(x), axis, keepdims=True)
        return x * jax.lax.rsqrt(jnp.maximum(square, least**2))
    return x / jnp.maximum(jnp.linalg.norm(x, order, axis, keepdims=True), least)


def l2_normalize(x: Any, axis: int | Sequence[int] = -1, epsilon: float | None = None) -> jax.Array:
    """`x` divided by its Euclidean norm along axes.

    >>> [round(float(v), 4) for v in l2_normalize([3.0, 4.0])]
    [0.6, 0.8]
    """
    return normalize(x, axis, 2, epsilon)


@op
def polar(abs_: Any, angle: Any) -> jax.Array:
    """The complex numbers of a distance from 0 and an angle.

    >>> polar([2.0], [0.0]).tolist()
    [(2+0j)]
    """
    radius, angle = array(abs_), array(angle)
    return jax.lax.complex(radius * jnp.cos(angle), radius * jnp.sin(angle))


@op
def psnr(x1: Any, x2: Any, max_val: Any) -> jax.Array:
    """The peak signal-to-noise ratio of two arrays of one shape, in decibels.

    >>> round(float(psnr([0.0, 1.0], [0.0, 0.9], 1.0)), 2)
    23.01
    """
    x1, x2 = array(x1), array(x2)
    if x1.shape != x2.shape:
        raise ValueError(f"x1 and x2: shapes must match. Received: {x1.shape} and {x2.shape}")
    error = jnp.mean(jnp.square(x1 - x2))
    return 20 * jnp.log10(array(max_val).astype(x2.dtype)) - 10 * jnp.log10(error)


# -- classes ----------------------------------------------------------------------------------


@op
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Ones at the positions of the classes along a new axis, zeros elsewhere; a class out of
    range has only zeros.

    With `sparse` the result is a sparse array of JAX's, which keeps the ones only.

    >>> one_hot([1, 0], 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    dtype = dtypes.standardize_dtype(dtype)
    if sparse:
        return sparsity.one_hot(array(x), num_classes, axis, dtype)
    return jax.nn.one_hot(array(x), num_classes, axis=axis, dtype=dtype)


@op
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> jax.Array:
    """Ones at the places of all classes of a row, zeros elsewhere; see `one_hot` for `sparse`.

    >>> multi_hot([[0, 2]], 3).tolist()
    [[1.0, 0.0, 1.0]]
    """
    if num_classes is None:
        raise ValueError("num_classes must be given.")
    x = array(inputs).astype("int32")
    if sparse:
        return sparsity.multi_hot(x, num_classes, axis, dtypes.standardize_dtype(dtype))
    return jnp.max(one_hot(x, num_classes, axis, dtype), axis=1 if x.ndim > 1 else 0)


def _check_same(target: jax.Array, output: jax.Array) -> None:
    if target.shape != output.shape:
        raise ValueError(
            "target and output must have the same shape. "
            f"Received: target of shape {target.shape}, output of shape {output.shape}."
        )


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> jax.Array:
    """`-target * log(output) - (1 - target) * log(1 - output)`, element by element.

    Args:
        target: probabilities, 0 to 1.
        output: of the same shape; probabilities, or logits with `from_logits`.
        from_logits: whether `sigmoid(output)` is the probability.

    >>> binary_crossentropy([1.0, 0.0], [0.5, 0.5]).round(4)
    Array([0.6931, 0.6931], dtype=float32)
    """
    target, output = array(target), array(output)
    _check_same(target, output)
    if from_logits:
        yes, no = jax.nn.log_sigmoid(output), jax.nn.log_sigmoid(-output)
    else:
        output = jnp.clip(output, dtypes.epsilon(), 1 - dtypes.epsilon())
        yes, no = jnp.log(output), jnp.log(1 - output)
    return -(target * yes + (1 - target) * no)


def _log_probabilities(output: jax.Array, from_logits: bool, axis: int) -> jax.Array:
    if from_logits:
        return jax.nn.log_softmax(output, axis)
    output = output / jnp.sum(output, axis, keepdims=True)
    return jnp.log(jnp.clip(output, dtypes.epsilon(), 1 - dtypes.epsilon()))


@op
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> jax.Array:
    """`-sum(target * log(output))` along the axis of the classes.

    Args:
        target: probabilities that sum to 1 along the axis, such as one-hot classes.
        output: of the same shape; probabilities (they are made to sum to 1), or logits.
        from_logits: whether `softmax(output)` are the probabilities.
        axis: of the classes.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    Array([0.6931], dtype=float32)
    """
    target, output = array(target), array(output)
    _check_same(target, output)
    if not target.ndim:
        raise ValueError("target and output must have an axis of classes; both are scalars.")
    return -jnp.sum(target * _log_probabilities(output, from_logits, axis), axis)


@op
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> jax.Array:
    """`-log(output[target])` along the axis of the classes, `target` being their numbers.

    A class out of range contributes 0, as in `one_hot`.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4)
    Array([0.6931], dtype=float32)
    """
    target, output = array(target).astype("int32"), array(output)
    if target.ndim and target.ndim == output.ndim and target.shape[-1] == 1:
        target = target[..., 0]
    if not output.ndim or target.shape != output.shape[:axis] + output.shape[axis:][1:]:
        raise ValueError(
            "target must have output's shape without the axis of classes. "
            f"Received: target of shape {target.shape}, output of shape {output.shape}."
        )
    log_p = _log_probabilities(output, from_logits, axis)
    classes = output.shape[axis]
    place = jnp.expand_dims(jnp.clip(target, 0, classes - 1), axis)
    chosen = jnp.squeeze(jnp.take_along_axis(log_p, place, axis), axis)
    chosen = chosen.astype(jnp.promote_types(chosen.dtype, "float32"))
    return -jnp.where((target >= 0) & (target < classes), chosen, 0)


@op
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[jax.Array, jax.Array]:
    """The `k` largest values along the last axis and their indices, the largest first.

    >>> values, indices = top_k([1, 5, 3], 2)
    >>> values.tolist(), indices.tolist()
    ([5, 3], [1, 2])
    """
    del sorted  # They always are.
    values, indices = jax.lax.top_k(array(x), k)
    return values, indices


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> jax.Array:
    """Whether the class `targets` is among the `k` with the largest predictions.

    A class is if fewer than `k` others have a larger one.

    >>> in_top_k([1, 0], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], 2).tolist()
    [True, False]
    """
    targets, predictions = integers(targets), array(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return jnp.sum(predictions > own, axis=-1) < k


__all__ = [*public(globals()), *(name for module in _MODULES for name in module.__all__)]


def __dir__() -> list[str]:
    return list(__all__)
