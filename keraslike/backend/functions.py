"""The backend functions of Keras 2, over `keraslike.ops`: a table, and longer functions.

Like those of `keraslike.ops` they accept arrays and symbolic tensors. The default dtype is
`floatx()`.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import activations, layers, ops, random
from keraslike.backend.documentation import DOCUMENTATION
from keraslike.backend.networks import (  # noqa: F401 (in `__all__`)
    bias_add,
    conv2d_transpose,
    convolution,
    folded,
    padded,
    pooling,
    rnn,
    softmax,
)
from keraslike.core import sparsity
from keraslike.core.boxed import Boxed
from keraslike.core.dtypes import epsilon, floatx, standardize_dtype
from keraslike.core.scopes import name_scope  # noqa: F401 (in `__all__`)
from keraslike.core.variable import Variable

_TABLE: dict[str, Callable] = {
    # Functions of one and two arrays
    "abs": lambda x: ops.abs(x),
    "cos": lambda x: ops.cos(x),
    "equal": lambda x, y: ops.equal(x, y),
    "exp": lambda x: ops.exp(x),
    "greater": lambda x, y: ops.greater(x, y),
    "greater_equal": lambda x, y: ops.greater_equal(x, y),
    "less": lambda x, y: ops.less(x, y),
    "less_equal": lambda x, y: ops.less_equal(x, y),
    "log": lambda x: ops.log(x),
    "maximum": lambda x, y: ops.maximum(x, y),
    "minimum": lambda x, y: ops.minimum(x, y),
    "not_equal": lambda x, y: ops.not_equal(x, y),
    "pow": lambda x, a: ops.power(x, a),
    "round": lambda x: ops.round(x),
    "sigmoid": lambda x: ops.sigmoid(x),
    "sign": lambda x: ops.sign(x),
    "sin": lambda x: ops.sin(x),
    "sqrt": lambda x: ops.sqrt(ops.maximum(x, 0)),
    "square": lambda x: ops.square(x),
    "tanh": lambda x: ops.tanh(x),
    # Along axes
    "all": lambda x, axis=None, keepdims=False: ops.all(ops.cast(x, "bool"), axis, keepdims),
    "any": lambda x, axis=None, keepdims=False: ops.any(ops.cast(x, "bool"), axis, keepdims),
    "argmax": lambda x, axis=-1: ops.argmax(x, axis),
    "argmin": lambda x, axis=-1: ops.argmin(x, axis),
    "cumprod": lambda x, axis=0: ops.cumprod(x, axis),
    "cumsum": lambda x, axis=0: ops.cumsum(x, axis),
    "max": lambda x, axis=None, keepdims=False: ops.max(x, axis, keepdims),
    "mean": lambda x, axis=None, keepdims=False: ops.mean(x, axis, keepdims),
    "min": lambda x, axis=None, keepdims=False: ops.min(x, axis, keepdims),
    "prod": lambda x, axis=None, keepdims=False: ops.prod(x, axis, keepdims),
    "std": lambda x, axis=None, keepdims=False: ops.std(x, axis, keepdims),
    "sum": lambda x, axis=None, keepdims=False: ops.sum(x, axis, keepdims),
    "var": lambda x, axis=None, keepdims=False: ops.var(x, axis, keepdims),
    "l2_normalize": lambda x, axis=None: ops.multiply(
        x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))
    ),
    # Shapes and parts
    "batch_flatten": lambda x: ops.reshape(x, (-1, math.prod(x.shape[1:]))),
    "concatenate": lambda tensors, axis=-1: ops.concatenate(tensors, axis),
    "expand_dims": lambda x, axis=-1: ops.expand_dims(x, axis),
    "flatten": lambda x: ops.reshape(x, (-1,)),
    "gather": lambda reference, indices: ops.take(reference, indices, axis=0),
    "int_shape": lambda x: tuple(ops.shape(x)),
    "ndim": lambda x: ops.ndim(x),
    "permute_dimensions": lambda x, pattern: ops.transpose(x, pattern),
    "repeat_elements": lambda x, rep, axis: ops.repeat(x, rep, axis),
    "reshape": lambda x, shape: ops.reshape(x, shape),
    "reverse": lambda x, axes: ops.flip(x, axes),
    "shape": lambda x: ops.shape(x),
    "squeeze": lambda x, axis: ops.squeeze(x, axis),
    "stack": lambda x, axis=0: ops.stack(x, axis),
    "tile": lambda x, n: ops.tile(x, n),
    "transpose": lambda x: ops.transpose(x),
    "dot": lambda x, y: ops.dot(x, y),
    # Dtypes and values
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "cast_to_floatx": lambda x: _to_floatx(x),
    "dtype": lambda x: ops.dtype(x),
    "eval": lambda x: get_value(x),
    "is_sparse": lambda tensor: sparsity.is_sparse(tensor),
    "to_dense": lambda tensor: sparsity.dense(tensor),
    "stop_gradient": lambda variables: (
        [ops.stop_gradient(v) for v in variables]
        if isinstance(variables, (list, tuple))
        else ops.stop_gradient(variables)
    ),
    # Arrays of a shape
    "arange": lambda start, stop=None, step=1, dtype="int32": ops.arange(start, stop, step, dtype),
    "constant": lambda value, dtype=None, shape=None, name=None: (
        ops.convert_to_tensor(value, dtype or floatx())
        if shape is None
        else ops.broadcast_to(ops.convert_to_tensor(value, dtype or floatx()), shape)
    ),
    "eye": lambda size, dtype=None, name=None: ops.eye(size, dtype=dtype or floatx()),
    "ones": lambda shape, dtype=None, name=None: ops.ones(shape, dtype or floatx()),
    "ones_like": lambda x, dtype=None, name=None: ops.ones_like(x, dtype=dtype),
    "zeros": lambda shape, dtype=None, name=None: ops.zeros(shape, dtype or floatx()),
    "zeros_like": lambda x, dtype=None, name=None: ops.zeros_like(x, dtype=dtype),
    "one_hot": lambda indices, num_classes: ops.one_hot(indices, num_classes),
    # Random numbers
    "random_bernoulli": lambda shape, p=0.0, dtype=None, seed=None: ops.cast(
        ops.less_equal(random.uniform(shape, seed=seed), p), dtype or floatx()
    ),
    "random_normal": lambda shape, mean=0.0, stddev=1.0, dtype=None, seed=None: random.normal(
        shape, mean, stddev, dtype, seed
    ),
    "random_uniform": lambda shape, minval=0.0, maxval=1.0, dtype=None, seed=None: random.uniform(
        shape, minval, maxval, dtype, seed
    ),
    "truncated_normal": lambda shape, mean=0.0, stddev=1.0, dtype=None, seed=None: (
        random.truncated_normal(shape, mean, stddev, dtype, seed)
    ),
    "random_normal_variable": lambda shape, mean, scale, dtype=None, name=None, seed=None: variable(
        random.normal(shape, mean, scale, dtype, seed), dtype, name
    ),
    "random_uniform_variable": lambda shape, low, high, dtype=None, name=None, seed=None: variable(
        random.uniform(shape, low, high, dtype, seed), dtype, name
    ),
    "dropout": lambda x, level, noise_shape=None, seed=None: random.dropout(
        x, level, noise_shape, seed
    ),
    # Variables
    "batch_get_value": lambda tensors: [get_value(x) for x in tensors],
    "count_params": lambda x: int(np.prod(x.shape)),
    "moving_average_update": lambda x, value, momentum: x.assign(
        x * momentum + value * (1 - momentum)
    ),
    "set_value": lambda x, value: _assigned(x, np.asarray(value)),
    "update": lambda x, new_x: x.assign(new_x),
    "update_add": lambda x, increment: x.assign_add(increment),
    "update_sub": lambda x, decrement: x.assign_sub(decrement),
    # Networks
    "batch_normalization": lambda x, mean, var, beta, gamma, axis=-1, epsilon=1e-3: (
        ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)
    ),
    "elu": lambda x, alpha=1.0: ops.elu(x, alpha),
    "hard_sigmoid": lambda x: activations.get("keras2_hard_sigmoid")(x),
    "in_top_k": lambda predictions, targets, k: ops.in_top_k(targets, predictions, k),
    "relu": lambda x, alpha=0.0, max_value=None, threshold=0.0: activations.relu(
        x, alpha, max_value, threshold
    ),
    "softplus": lambda x: ops.softplus(x),
    "softsign": lambda x: ops.softsign(x),
    "conv1d": lambda x, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1: (
        convolution(x, kernel, strides, padding, data_format, dilation_rate)
    ),
    "conv2d": lambda x, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1: (
        convolution(x, kernel, strides, padding, data_format, dilation_rate)
    ),
    "conv3d": lambda x, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1: (
        convolution(x, kernel, strides, padding, data_format, dilation_rate)
    ),
    "depthwise_conv2d": lambda x, depthwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1: (  # noqa: E501
        ops.depthwise_conv(x, depthwise_kernel, strides, padding, data_format, dilation_rate)
    ),
    "separable_conv2d": lambda x, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1: (  # noqa: E501
        ops.separable_conv(
            x, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate
        )
    ),
    "pool2d": lambda x, pool_size, strides=(1, 1), padding="valid", data_format=None, pool_mode="max": (  # noqa: E501
        pooling(x, pool_size, strides, padding, data_format, pool_mode)
    ),
    "pool3d": lambda x, pool_size, strides=(1, 1, 1), padding="valid", data_format=None, pool_mode="max": (  # noqa: E501
        pooling(x, pool_size, strides, padding, data_format, pool_mode)
    ),
    "resize_images": lambda x, height_factor, width_factor, data_format, interpolation="nearest": (
        layers.UpSampling2D((height_factor, width_factor), data_format, interpolation)(x)
    ),
    "resize_volumes": lambda x, depth_factor, height_factor, width_factor, data_format: (
        layers.UpSampling3D((depth_factor, height_factor, width_factor), data_format)(x)
    ),
    "temporal_padding": lambda x, padding=(1, 1): ops.pad(x, [(0, 0), tuple(padding), (0, 0)]),
    "spatial_2d_padding": lambda x, padding=((1, 1), (1, 1)), data_format=None: padded(
        x, padding, data_format
    ),
    "spatial_3d_padding": lambda x, padding=((1, 1), (1, 1), (1, 1)), data_format=None: padded(
        x, padding, data_format
    ),
    # Losses
    "binary_crossentropy": lambda target, output, from_logits=False: ops.binary_crossentropy(
        target, output, from_logits
    ),
    "categorical_crossentropy": lambda target, output, from_logits=False, axis=-1: (
        ops.categorical_crossentropy(target, output, from_logits, axis)
    ),
    # Loops
    "foldl": lambda fn, elems, initializer=None, name=None: folded(fn, elems, initializer, False),
    "foldr": lambda fn, elems, initializer=None, name=None: folded(fn, elems, initializer, True),
    "map_fn": lambda fn, elems, name=None, dtype=None: ops.map(fn, elems),
}

for _name, _function in _TABLE.items():
    _function.__name__ = _function.__qualname__ = _name
    _function.__doc__ = DOCUMENTATION[_name]
    globals()[_name] = _function


# -- values -----------------------------------------------------------------------------------


def _to_floatx(x: Any) -> Any:
    return np.asarray(x, floatx()) if isinstance(x, np.ndarray) else ops.cast(x, floatx())


def _assigned(x: Any, value: Any) -> None:
    x.assign(value.astype(x.dtype))


def get_value(x: Any) -> Any:
    """The value of an array or Variable as a numpy array; other values are returned unchanged.

    >>> get_value(Variable([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    return ops.convert_to_numpy(x) if isinstance(x, (jax.Array, Variable, Boxed)) else x


def batch_set_value(tuples: Sequence[tuple[Variable, Any]]) -> None:
    """Assigns values to Variables, for pairs of a Variable and a value.

    >>> x = variable(1.0)
    >>> batch_set_value([(x, 2.0)])
    >>> float(x)
    2.0
    """
    for x, value in tuples:
        _assigned(x, np.asarray(value))


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A Variable.

    >>> variable([1, 2]).numpy()
    array([1., 2.], dtype=float32)
    """
    dtype = standardize_dtype(dtype)
    return Variable(ops.convert_to_tensor(value, dtype), name=name, constraint=constraint)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """The values limited to an interval; `None` is no limit.

    >>> clip([-1.0, 0.5, 2.0], 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    numbers = isinstance(min_value, (int, float)) and isinstance(max_value, (int, float))
    if numbers and max_value < min_value:
        max_value = min_value
    low = -math.inf if min_value is None else min_value
    return ops.clip(x, low, math.inf if max_value is None else max_value)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values or results of functions, by a scalar condition, or elementwise.

    A condition of several axes applies to the first axes of the values, one of a single axis to
    their last axis.

    >>> switch(jnp.array(True), lambda: jnp.ones(2), lambda: jnp.zeros(2)).tolist()
    [1.0, 1.0]
    """
    condition = ops.cast(condition, "bool")
    choices = [e if callable(e) else functools.partial(lambda e: e, e)
               for e in (then_expression, else_expression)]  # fmt: skip
    rank = len(condition.shape)
    if not rank:
        return ops.cond(condition, *choices)
    then, other = (choice() for choice in choices)
    more = len(then.shape) - rank
    if more < 0:
        raise ValueError(
            "condition must have at most as many axes as then_expression. Received: condition of "
            f"shape {tuple(condition.shape)}, then_expression of {tuple(then.shape)}"
        )
    if rank > 1:
        condition = ops.reshape(condition, (*condition.shape, *[1] * more))
    return ops.where(condition, then, other)


def gradients(loss: Any, variables: Any) -> Any:
    """Raises RuntimeError, since a value does not have a graph to differentiate.

    >>> gradients(constant(1.0), [variable(1.0)])
    Traceback (most recent call last):
        ...
    RuntimeError: gradients(loss, variables) needs a graph of TensorFlow 1. ...
    """
    raise RuntimeError(
        "gradients(loss, variables) needs a graph of TensorFlow 1. Use jax.grad, "
        "keraslike.value_and_grad or a tf.GradientTape."
    )


def repeat(x: Any, n: int) -> Any:
    """`(samples, n, features)` of `(samples, features)`.

    >>> repeat(ones((2, 3)), 4).shape
    (2, 4, 3)
    """
    if len(x.shape) != 2:
        raise ValueError(f"x must have 2 axes. Received: x of shape {tuple(x.shape)}")
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The sums of products along an axis of each array, per sample.

    Args:
        axes: the axis of both, or a pair of axes, by default the last of `x` and the last but one
            of `y`.

    >>> batch_dot(jnp.ones((3, 2, 4)), jnp.ones((3, 4, 5))).shape
    (3, 2, 5)
    """
    ranks = len(x.shape), len(y.shape)
    if builtins.min(ranks) < 2:
        raise ValueError(
            f"x and y must have at least 2 axes. Received: {ranks[0]} and {ranks[1]} axes"
        )
    if axes is None:
        axes = (ranks[0] - 1, ranks[1] - 1 if ranks[1] == 2 else ranks[1] - 2)
    axes = (axes, axes) if isinstance(axes, int) else axes
    if builtins.any(not isinstance(a, int) for a in axes):
        raise ValueError(f"axes must be an integer or two of them. Received: axes={axes}")
    a, b = (axis % rank for axis, rank in zip(axes, ranks))
    if not (a and b):
        raise ValueError(f"axes must not include axis 0, that of samples. Received: axes={axes}")
    letters = "abcdefghijklmnopqrstuvwxy"
    left = letters[: ranks[0]]
    right = [left[0], *letters[ranks[0] : ranks[0] + ranks[1] - 1]]
    right[b] = left[a]
    out = [c for c in left if c != left[a]] + [c for c in right[1:] if c != left[a]]
    found = ops.einsum(f"{left},{''.join(right)}->{''.join(out)}", x, y)
    return ops.expand_dims(found, 1) if len(out) == 1 else found


# -- losses -----------------------------------------------------------------------------------


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """The cross-entropy of class numbers; zero for the ignored class.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(2)
    Array([0.69], dtype=float32)
    """
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    counts = ops.not_equal(target, ignore_class)
    target = ops.where(counts, target, 0)
    found = ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    return ops.where(counts, found, 0)


def binary_focal_crossentropy(
    target: Any,
    output: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
) -> Any:
    """The binary cross-entropy, times `(1 - probability of the target) ** gamma`.

    >>> binary_focal_crossentropy(constant([1.0]), constant([0.5])).round(3)
    Array([0.17300001], dtype=float32)
    """
    p = ops.sigmoid(output) if from_logits else ops.convert_to_tensor(output)
    t = ops.cast(target, p.dtype)
    of_target = t * p + (1 - t) * (1 - p)
    found = ops.power(1 - of_target, gamma) * ops.binary_crossentropy(t, p)
    return (t * alpha + (1 - t) * (1 - alpha)) * found if apply_class_balancing else found


def categorical_focal_crossentropy(
    target: Any,
    output: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    axis: int = -1,
) -> Any:
    """The categorical cross-entropy, each term times `alpha * (1 - probability) ** gamma`.

    >>> categorical_focal_crossentropy(constant([[0.0, 1.0]]), constant([[0.5, 0.5]])).shape
    (1,)
    """
    p = ops.softmax(output, axis) if from_logits else ops.convert_to_tensor(output)
    p = ops.clip(p / ops.sum(p, axis, keepdims=True), epsilon(), 1 - epsilon())
    terms = -ops.cast(target, p.dtype) * ops.log(p)
    return ops.sum(alpha * ops.power(1 - p, gamma) * terms, axis)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The CTC loss of each sample, `(samples, 1)`. The blank is the last class.

    Args:
        y_true: `(samples, labels)`.
        y_pred: `(samples, steps, classes)`, probabilities.
        input_length, label_length: `(samples, 1)`.

    >>> y_pred = softmax(ones((1, 4, 3)))
    >>> ctc_batch_cost([[0, 1]], y_pred, [[4]], [[2]]).shape
    (1, 1)
    """
    blank = y_pred.shape[-1] - 1
    lengths = [ops.cast(ops.squeeze(n, -1), "int32") for n in (label_length, input_length)]
    logits = ops.log(y_pred + epsilon())
    return ops.expand_dims(ops.ctc_loss(ops.cast(y_true, "int32"), logits, *lengths, blank), 1)


def ctc_decode(
    y_pred: Any,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> tuple[list[Any], Any]:
    """The decoded labels of probabilities `(samples, steps, classes)`, padded with -1, and their
    scores. The blank is the last class.

    >>> paths, scores = ctc_decode(softmax(ones((1, 4, 3))), [4])
    >>> scores.shape
    (1, 1)
    """
    paths, scores = ops.ctc_decode(
        ops.log(y_pred + epsilon()),
        ops.cast(input_length, "int32"),
        strategy="greedy" if greedy else "beam_search",
        beam_width=beam_width,
        top_paths=top_paths,
        merge_repeated=True,
        mask_index=y_pred.shape[-1] - 1,
    )
    return list(paths), scores


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """Labels `(samples, labels)` as a sparse array of the first `label_lengths` of each sample.

    >>> ctc_label_dense_to_sparse(constant([[1, 2]], "int32"), constant([1], "int32")).shape
    (1, 2)
    """
    labels, lengths = np.asarray(labels), np.asarray(label_lengths)
    kept = np.arange(labels.shape[1]) < lengths[:, None]
    indices = np.argwhere(kept)
    return sparsity.from_parts(jnp.asarray(labels[kept]), jnp.asarray(indices), labels.shape)


__all__ = sorted(
    [*_TABLE, "name_scope", "bias_add", "conv2d_transpose", "rnn", "softmax"]
    + [
        name
        for name, value in globals().items()
        if inspect.isfunction(value) and value.__module__ == __name__ and name[0] != "_"
    ]
)
