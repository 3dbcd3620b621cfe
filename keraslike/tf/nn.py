"""`tf.nn`: activations, losses of logits, statistics, convolution and pooling."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.ops import patches
from keraslike.tf import (
    blocks,
    candidates,
    decoding,
    derivatives,
    documentation,
    dtypes,
    embeddings,
    ops,
    pooling,
    random,
    samplers,
    table,
    windows,
)
from keraslike.tf.conversion import _as_operand, convert_to_tensor, is_tensor, static
from keraslike.tf.distribute import compute_average_loss, scale_regularization_loss
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.indexing import check_places
from keraslike.tf.operation import operands, operation
from keraslike.tf.segments import isotonic_regression
from keraslike.tf.sorting import top_k
from keraslike.tf.structure import operates
from keraslike.tf.table import l2_normalize, reduce_sum, sigmoid, softplus, softsign, square, tanh
from keraslike.tf.tensor import Tensor, raw, run
from keraslike.tf.windows import _format, either_order

_MODULES = (blocks, candidates, decoding, embeddings, pooling, windows)
all_candidate_sampler = samplers.all_candidate_sampler
# TensorFlow has these only as functions of `tf`.
_OF_TF = [
    "batch_to_space",
    "edit_distance",
    "required_space_to_batch_paddings",
    "space_to_batch_nd",
]
for _module in _MODULES:
    globals().update(
        {_name: getattr(_module, _name) for _name in _module.__all__ if _name not in _OF_TF}
    )

_FROM_OPS = ["relu", "relu6", "selu"]
for _name in _FROM_OPS:
    globals()[_name] = operation(f"nn.{_name}", "features")(
        table.checked(f"nn.{_name}", table.plain(_name), _name == "selu")
    )
elu = operation("nn.elu", "features")(table.checked("nn.elu", derivatives.elu, True))


@operation("nn.silu", "features", named=False)
def silu(x: Any, beta: float = 1.0) -> Any:
    """`x * sigmoid(beta * x)`.

    >>> tf.nn.silu([0.0, 2.0]).numpy().round(4)
    array([0.    , 1.7616], dtype=float32)
    """
    table.check_kind("nn.silu", x, "bui")
    return x * jax.nn.sigmoid(beta * x)


swish = silu


@operation("nn.gelu", "features")
def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the cumulative normal distribution at `x`.

    >>> tf.nn.gelu([-1.0, 1.0]).numpy().round(4)
    array([-0.1587,  0.8413], dtype=float32)
    """
    table.check_kind("nn.gelu", x, "buic")
    return jax.nn.gelu(x, approximate=approximate)


@operation("nn.leaky_relu", "features")
def leaky_relu(x: Any, alpha: float = 0.2) -> Any:
    """`x` where it is positive, `alpha x` elsewhere.

    >>> tf.nn.leaky_relu([-1.0, 2.0], 0.5).numpy().tolist()
    [-0.5, 2.0]
    """
    table.check_kind("nn.leaky_relu", x, "bc")
    return derivatives.leaky_relu(x.astype("float32") if x.dtype.kind in "ui" else x, alpha)


@operation("nn.crelu", "features")
def crelu(x: Any, axis: int = -1) -> Any:
    """The positive parts of `x` and of `-x`, concatenated.

    >>> tf.nn.crelu([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0, 1.0, 0.0]
    """
    table.check_kind("nn.crelu", x, "buc")
    return jnp.concatenate([derivatives.relu(x), derivatives.relu(-x)], axis)


@operation("nn.softmax", "logits")
def softmax(x: Any, axis: Any = None) -> Any:
    """`exp(x) / sum(exp(x))` along an axis, by default the last one.

    >>> tf.math.softmax([0.0, 0.0]).numpy().tolist()
    [0.5, 0.5]
    """
    table.check_kind("nn.softmax", x, "buic")
    return jax.nn.softmax(x, -1 if axis is None else axis)


@operation("nn.log_softmax", "logits")
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`.

    >>> tf.math.log_softmax([0.0, 0.0]).numpy().round(4)
    array([-0.6931, -0.6931], dtype=float32)
    """
    table.check_kind("nn.log_softmax", x, "buic")
    return jax.nn.log_softmax(x, -1 if axis is None else axis)


# -- losses -------------------------------------------------------------------------------------


def _alike(name: str, targets: Any, logits: Any) -> tuple[Any, Any]:
    if targets.shape != logits.shape:
        raise ValueError(
            f"tf.nn.{name}: both must have the same shape, not {targets.shape} and {logits.shape}"
        )
    table.check_kind(f"nn.{name}", logits, "bui")
    return targets, logits


@operates
def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Tensor:
    """`-y log(p) - (1 - y) log(1 - p)` for `p = sigmoid(logits)`, element by element.

    >>> tf.nn.sigmoid_cross_entropy_with_logits(
    ...     labels=[1.0, 0.0], logits=[0.0, 0.0]
    ... ).numpy().round(4)
    array([0.6931, 0.6931], dtype=float32)
    """
    return run(_sigmoid_loss, operands("nn.sigmoid_cross_entropy_with_logits", labels, logits))


def _sigmoid_loss(y: Any, z: Any) -> Any:
    return derivatives.sigmoid_loss(*_alike("sigmoid_cross_entropy_with_logits", y, z))


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: Any = None
) -> Tensor:
    """`-sum(y log(softmax(logits)))` along an axis.

    >>> tf.nn.softmax_cross_entropy_with_logits([[1.0, 0.0]], [[0.0, 0.0]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    logits = _as_operand(logits)  # the labels get its dtype if possible
    labels = labels if is_tensor(labels) else convert_to_tensor(labels, dtype_hint=logits.dtype)
    given = operands("nn.softmax_cross_entropy_with_logits", labels, logits)
    return run(_softmax_loss, given, (static(axis),))


def _softmax_loss(y: Any, z: Any, axis: int) -> Any:
    table.check_kind("nn.softmax_cross_entropy_with_logits", z, "buic")
    return derivatives.softmax_loss(y, z, axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Tensor:
    """`-log(softmax(logits)[label])` for labels that are class numbers.

    >>> tf.nn.sparse_softmax_cross_entropy_with_logits([1], [[0.0, 0.0]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    logits, labels = _as_operand(logits), _as_operand(labels)
    if not logits.shape or tuple(labels.shape) != tuple(logits.shape)[:-1]:
        raise ValueError(
            f"labels must have the shape of logits without its last axis. Received: labels of "
            f"shape {tuple(labels.shape)}, logits of shape {tuple(logits.shape)}"
        )
    check_places("labels", labels, tuple(logits.shape)[-1])
    return run(_sparse_loss, (logits, labels))


def _sparse_loss(z: Any, labels: Any) -> Any:
    table.check_kind("nn.sparse_softmax_cross_entropy_with_logits", z, "buic")
    found = jnp.take_along_axis(jax.nn.log_softmax(z), labels[..., None], -1)
    return -found[..., 0]


def l2_loss(t: Any, name: Any = None) -> Tensor:
    """Half the sum of squares.

    >>> tf.nn.l2_loss([1.0, 3.0]).numpy().tolist()
    5.0
    """
    table.check_kind("nn.l2_loss", raw(_as_operand(t)), "buic")
    return reduce_sum(square(t)) / 2


# -- statistics and normalization ---------------------------------------------------------------


def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes.

    >>> mean, variance = tf.nn.moments(tf.constant([1.0, 3.0]), [0])
    >>> mean.numpy().tolist(), variance.numpy().tolist()
    (2.0, 1.0)
    """
    return run(_moments, (_as_operand(x),), (static(axes), keepdims))


def _moments(x: Any, axes: Any, keepdims: bool) -> Any:
    table.check_wide("nn.moments", x)
    # As in TensorFlow, the variance takes the mean as a constant, for second derivatives.
    wide = x.astype("float32") if x.dtype.itemsize == 2 and x.dtype.kind not in "ui" else x
    mean = jnp.mean(wide, axes, keepdims=True).astype(wide.dtype)  # integers have integer means
    apart = wide - jax.lax.stop_gradient(mean)
    variance = jnp.mean(jnp.conj(apart) * apart, axes, keepdims=keepdims)
    return jnp.mean(wide, axes, keepdims=keepdims).astype(x.dtype), variance.astype(x.dtype)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: Any = None,
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`.

    >>> tf.nn.batch_normalization(
    ...     tf.constant([1.0, 3.0]), 2.0, 1.0, 0.0, 1.0, 0.0
    ... ).numpy().tolist()
    [-1.0, 1.0]
    """
    x = _as_operand(x)
    factor = table.rsqrt(_as_operand(variance) + variance_epsilon)
    factor = factor if scale is None else factor * scale
    shift = -mean * factor if offset is None else offset - mean * factor
    return x * ops.cast(factor, x.dtype) + ops.cast(shift, x.dtype)


@operation("nn.bias_add", "value bias")
def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """`value` plus a vector along its channels.

    >>> tf.nn.bias_add([[1.0, 2.0]], [10.0, 20.0]).numpy().tolist()
    [[11.0, 22.0]]
    """
    if x.ndim < 2 or (data_format and not re.fullmatch("N[DHW.]*C|NC[DHW.]*", data_format)):
        raise InvalidArgumentError(f"value: {x.shape} does not fit data_format={data_format!r}.")
    if data_format and data_format.startswith("NC") and x.ndim > 2:
        bias = bias.reshape(-1, *(1,) * (x.ndim - 2))
    elif bias.shape != x.shape[-1:]:
        raise InvalidArgumentError(
            f"tf.nn.bias_add: bias must have shape {x.shape[-1:]}, that of the channels. "
            f"Received: {bias.shape}"
        )
    return x + bias


def dropout(
    x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: Any = None
) -> Tensor:
    """Elements set to 0 with probability `rate`, the others scaled up; `x` itself at rate 0.

    >>> tf.nn.dropout([1.0, 2.0], 0.0).numpy().tolist()
    [1.0, 2.0]
    """

    def uniform(shape: Any, dtype: Any) -> Tensor:
        return random.uniform(shape, dtype=dtype, seed=seed)

    return general_dropout(x, rate, uniform, noise_shape)


@operates
def general_dropout(
    x: Any, rate: Any, uniform_sampler: Callable, noise_shape: Any = None, name: Any = None
) -> Tensor:
    """`dropout` with the numbers that `uniform_sampler(shape=, dtype=)` returns.

    >>> def numbers(shape, dtype):
    ...     return tf.constant([0.2, 0.7])
    >>> tf.nn.experimental.general_dropout([1.0, 2.0], 0.5, numbers).numpy().tolist()
    [0.0, 4.0]
    """
    x = _as_operand(x)
    kind, is_number = dtypes.as_dtype(x.dtype), not is_tensor(rate)
    rate = float(rate) if is_number else rate
    if not 0 <= rate < 1 if is_number else len(rate.shape):
        raise ValueError(f"tf.nn.dropout: rate must be a number in [0, 1). Received: rate={rate}")
    if not kind.is_floating:
        raise ValueError(f"tf.nn.dropout: x must be floating-point numbers, not {kind.name}.")
    if is_number and rate == 0:
        return convert_to_tensor(x)
    shape = tuple(x.shape)
    if noise_shape is not None:
        given = static(noise_shape)
        fits = len(given) == len(shape)
        shape = tuple(n if m is None else m for m, n in zip(given, shape)) if fits else given
    kept = uniform_sampler(shape=shape, dtype=kind)
    if is_number:
        return run(_drop, (x, kept), (rate,))
    return run(_drop, (x, kept, ops.cast(rate, kind)))


def stateless_dropout(
    x: Any,
    rate: Any,
    seed: Any,
    rng_alg: Any = None,
    noise_shape: Any = None,
    name: Any = None,
) -> Tensor:
    """`dropout` with numbers that a seed of two numbers determines.

    >>> tf.nn.experimental.stateless_dropout([1.0, 2.0], 0.5, [1, 0]).shape
    TensorShape([2])
    """

    def uniform(shape: Any, dtype: Any) -> Tensor:
        return random.stateless_uniform(shape, seed, dtype=dtype)

    return general_dropout(x, rate, uniform, noise_shape)


def _drop(x: Any, numbers: Any, rate: Any) -> Any:
    scale = 1 / (1 - rate)
    scaled = x * scale if isinstance(rate, float) else x / (1 - rate)
    return jnp.where(numbers >= rate, scaled, 0)


experimental = types.SimpleNamespace(
    general_dropout=general_dropout, stateless_dropout=stateless_dropout
)


def in_top_k(targets: Any, predictions: Any, k: Any, name: Any = None) -> Tensor:
    """Whether each target is among the `k` largest predictions, which must be finite.

    >>> tf.math.in_top_k([0, 1], [[0.9, 0.1], [0.8, 0.2]], 1).numpy().tolist()
    [True, False]
    """
    given = (_as_operand(predictions), _as_operand(targets))
    return run(_in_top_k, given, (static(k),), constant=(0, 1))


def _in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    own = jnp.take_along_axis(predictions, targets[:, None], -1)
    inside = (targets >= 0) & (targets < predictions.shape[-1])
    return inside & jnp.isfinite(predictions).all(-1) & (jnp.sum(predictions > own, -1) < k)


# -- other functions ------------------------------------------------------------------------------


@either_order
@operation("nn.depth_to_space", "input")
def depth_to_space(x: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """Channels rearranged to blocks of pixels.

    >>> tf.nn.depth_to_space([[[[1, 2, 3, 4]]]], 2).numpy().tolist()
    [[[[1], [2]], [[3], [4]]]]
    """
    _format("depth_to_space", data_format)
    return patches.depth_to_space(x, block_size, "channels_last")


@either_order
@operation("nn.space_to_depth", "input")
def space_to_depth(x: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """Blocks of pixels rearranged to channels.

    >>> tf.nn.space_to_depth([[[[1], [2]], [[3], [4]]]], 2).numpy().tolist()
    [[[[1, 2, 3, 4]]]]
    """
    _format("space_to_depth", data_format)
    return patches.space_to_depth(x, block_size, "channels_last")


@operation("nn.weighted_cross_entropy_with_logits", "labels logits")
def weighted_cross_entropy_with_logits(y: Any, z: Any, pos_weight: Any) -> Any:
    """`-w y log(p) - (1 - y) log(1 - p)` for `p = sigmoid(logits)`.

    >>> tf.nn.weighted_cross_entropy_with_logits([1.0, 0.0], [0.0, 0.0], 2.0).numpy().round(4)
    array([1.3863, 0.6931], dtype=float32)
    """
    _alike("weighted_cross_entropy_with_logits", y, z)
    return derivatives.weighted_sigmoid_loss(y, z, pos_weight)


@operation("nn.local_response_normalization", "input")
def local_response_normalization(
    x: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5
) -> Any:
    """Each value divided by a power of the sum of squares in neighbouring channels.

    >>> tf.nn.local_response_normalization(
    ...     [[[[1.0, 2.0]]]], depth_radius=0, alpha=3.0, beta=1.0
    ... ).numpy().round(4)
    array([[[[0.25  , 0.1538]]]], dtype=float32)
    """
    table.check_kind("nn.local_response_normalization", x, "buic")
    if x.ndim != 4:
        raise InvalidArgumentError(f"input must have 4 axes. Received shape: {x.shape}")
    width = 2 * depth_radius + 1
    window = (1,) * (x.ndim - 1) + (width,)
    room = [(0, 0)] * (x.ndim - 1) + [(depth_radius, depth_radius)]
    total = jax.lax.reduce_window(jnp.square(x), 0.0, jax.lax.add, window, (1,) * x.ndim, room)
    return x / (bias + alpha * total) ** beta


lrn = local_response_normalization


@operation("nn.log_poisson_loss", "targets log_input")
def log_poisson_loss(y: Any, z: Any, compute_full_loss: bool = False) -> Any:
    """`exp(z) - z y`, plus Stirling's approximation of `log(y!)` with `compute_full_loss`.

    >>> tf.nn.log_poisson_loss([1.0, 2.0], [0.0, 0.0]).numpy().tolist()
    [1.0, 1.0]
    """
    _alike("log_poisson_loss", y, z)
    loss = jnp.exp(z) - z * y
    if not compute_full_loss:
        return loss
    stirling = y * jnp.log(y) - y + 0.5 * jnp.log(2 * jnp.pi * y)
    return loss + jnp.where((y >= 0) & (y <= 1), 0, stirling)


def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: Any = None
) -> tuple[Tensor, Tensor]:
    """The weighted mean and variance over axes.

    >>> mean, variance = tf.nn.weighted_moments([1.0, 3.0], [0], [3.0, 1.0])
    >>> mean.numpy().tolist(), variance.numpy().tolist()
    (1.5, 0.75)
    """
    given = operands("nn.weighted_moments", x, frequency_weights)
    return run(_weighted_moments, given, (static(axes), keepdims))


def _weighted_moments(x: Any, weights: Any, axes: Any, keepdims: bool) -> Any:
    weights = jnp.broadcast_to(weights, x.shape)
    total = jnp.sum(weights, axes, keepdims=True)
    divisor = jnp.where(total == 0, 1, total)
    mean = jnp.sum(weights * x, axes, keepdims=True) / divisor
    variance = jnp.sum(weights * jnp.square(x - mean), axes, keepdims=True) / divisor
    return tuple(v if keepdims else jnp.squeeze(v, axes) for v in (mean, variance))


@operation("nn.zero_fraction", "value", constant="value")
def zero_fraction(x: Any) -> Any:
    """The fraction of elements that are 0, float32.

    >>> tf.math.zero_fraction([0, 1, 0, 2]).numpy().tolist()
    0.5
    """
    return jnp.mean((x == 0).astype("float32"))


def sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """The number of elements along axes, the sums of the elements and of their squares, and
    `shift`, which is subtracted first.

    >>> count, total, squares, _ = tf.nn.sufficient_statistics(tf.constant([1.0, 3.0]), [0])
    >>> [v.numpy().tolist() for v in (count, total, squares)]
    [2.0, 4.0, 10.0]
    """
    x, axes = _as_operand(x), static(axes)
    axes = (axes,) if isinstance(axes, int) else tuple(set(axes))
    count = math.prod(x.shape[axis] for axis in axes)
    shift = None if shift is None else _as_operand(shift, x.dtype)
    moved = x if shift is None else table.subtract(x, shift)
    total = reduce_sum(moved, axes, keepdims=keepdims)
    squares = square(x) if shift is None else table.squared_difference(x, shift)
    squares = reduce_sum(squares, axes, keepdims=keepdims)
    return convert_to_tensor(float(count), dtype=x.dtype), total, squares, shift


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: Any = None
) -> tuple[Tensor, Tensor]:
    """The mean and variance from the result of `sufficient_statistics`.

    >>> mean, variance = tf.nn.normalize_moments(2.0, 4.0, 10.0, None)
    >>> mean.numpy().tolist(), variance.numpy().tolist()
    (2.0, 1.0)
    """
    divisor = table.reciprocal(counts)
    mean = table.multiply(mean_ss, divisor)
    variance = table.subtract(table.multiply(variance_ss, divisor), square(mean))
    return (mean if shift is None else table.add(mean, shift)), variance


def batch_norm_with_global_normalization(
    input: Any,
    mean: Any,
    variance: Any,
    beta: Any,
    gamma: Any,
    variance_epsilon: float,
    scale_after_normalization: bool,
    name: Any = None,
) -> Tensor:
    """`batch_normalization`, with `gamma` as its scale if `scale_after_normalization`.

    >>> tf.nn.batch_norm_with_global_normalization(
    ...     tf.constant([1.0, 3.0]), 2.0, 1.0, 0.0, 5.0, 0.0, False
    ... ).numpy().tolist()
    [-1.0, 1.0]
    """
    scale = gamma if scale_after_normalization else None
    return batch_normalization(input, mean, variance, beta, scale, variance_epsilon)


def _approximate(name_of: str, sign: int) -> Callable:
    def k_of(
        operand: Any,
        k: int,
        reduction_dimension: int = -1,
        recall_target: float = 0.95,
        reduction_input_size_override: int = -1,
        aggregate_to_topk: bool = True,
        name: Any = None,
    ) -> tuple[Tensor, Tensor]:
        return run(_k_of, (_as_operand(operand),), (static(k), reduction_dimension, sign))

    k_of.__name__ = k_of.__qualname__ = name_of
    return k_of


def _k_of(x: Any, k: int, axis: int, sign: int) -> Any:
    values, places = jax.lax.top_k(sign * jnp.moveaxis(x, axis, -1), k)
    return jnp.moveaxis(sign * values, -1, axis), jnp.moveaxis(places, -1, axis)


approx_max_k, approx_min_k = _approximate("approx_max_k", 1), _approximate("approx_min_k", -1)

documentation.describe(globals(), "nn")

__all__ = [
    *_FROM_OPS,
    *(name for module in _MODULES for name in module.__all__ if name not in _OF_TF),
    *("approx_max_k", "approx_min_k", "batch_norm_with_global_normalization", "experimental"),
    *("all_candidate_sampler", "normalize_moments", "sufficient_statistics", "zero_fraction"),
    "silu",
    "softsign",
    "swish",
    "depth_to_space",
    "isotonic_regression",
    *("local_response_normalization", "log_poisson_loss", "lrn"),
    *("space_to_depth", "weighted_cross_entropy_with_logits", "weighted_moments"),
    "elu",
    "batch_normalization",
    "bias_add",
    "compute_average_loss",
    "crelu",
    "dropout",
    "gelu",
    "in_top_k",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "log_softmax",
    "moments",
    "scale_regularization_loss",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "sparse_softmax_cross_entropy_with_logits",
    "tanh",
    "top_k",
]
__dir__ = __all__.copy
