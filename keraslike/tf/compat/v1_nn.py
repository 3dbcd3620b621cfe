"""`tf.compat.v1.nn`: functions whose arguments TensorFlow 2 has changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.tf import (
    argument_tables,
    decoding,
    embeddings,
    linalg,
    nn,
    ops,
    pooling,
    samplers,
    windows,
)
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.tensor import Tensor, run


def _renamed(name: str, function: Callable, arguments: str) -> Callable:
    """A function with TensorFlow 1's arguments, according to `argument_tables`. An argument that it
    does not have is ignored. Of two names for the same argument only one may be given."""
    parameters, ours = argument_tables.parsed(arguments)
    signature = inspect.Signature(parameters)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        taken: dict[str, Any] = {}
        for theirs, value in bound.arguments.items():
            own = ours[theirs]
            if not own or value is None:
                continue
            if own in taken:
                raise ValueError(f"{name}: only one of two names of {own!r} can be given.")
            taken[own] = value
        return function(**taken)

    call.__name__ = call.__qualname__ = name
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = f"`{function.__name__}` of TensorFlow 2, with TensorFlow 1's arguments."
    return call


_KEPT = "name=[None] keep_dims=keepdims[None] keepdims[None]"
_OF_RANK = "strides[None] padding[None] use_cudnn_on_gpu=[None] data_format['NHWC'] dilations[None]"
_SPARSE = "max_norm[None] allow_fast_lookup=[False]"
_TABLE: dict[str, tuple[Callable, str]] = {
    "avg_pool": (
        pooling.avg_pool,
        "value=input[None] ksize[None] strides[None] padding[None] data_format['NHWC'] name=[None] "
        "input[None]",
    ),
    "max_pool": (
        pooling.max_pool,
        "value=input[None] ksize[None] strides[None] padding[None] data_format['NHWC'] name=[None] "
        "input[None]",
    ),
    "avg_pool2d": (
        pooling.avg_pool2d,
        "value=input[None] ksize[None] strides[None] padding[None] data_format['NHWC'] name=[None] "
        "input[None]",
    ),
    "avg_pool_v2": (pooling.avg_pool, "input ksize strides padding data_format[None] name=[None]"),
    "max_pool_v2": (pooling.max_pool, "input ksize strides padding data_format[None] name=[None]"),
    "max_pool_with_argmax": (
        pooling.max_pool_with_argmax,
        "input ksize strides padding data_format['NHWC'] Targmax=output_dtype[None] name=[None] "
        "output_dtype[None] include_batch_in_index[False]",
    ),
    "conv1d": (
        windows.conv1d,
        "value=input[None] filters[None] stride[None] padding[None] use_cudnn_on_gpu=[None] "
        "data_format[None] name=[None] input[None] dilations[None]",
    ),
    "conv2d": (
        windows.conv2d,
        f"input filter=filters[None] {_OF_RANK} name=[None] filters[None]",
    ),
    "conv3d": (
        windows.conv3d,
        "input filter=filters[None] strides[None] padding[None] data_format['NDHWC'] "
        "dilations[None] name=[None] filters[None]",
    ),
    "conv2d_transpose": (
        windows.conv2d_transpose,
        "value=input[None] filter=filters[None] output_shape[None] strides[None] padding['SAME'] "
        "data_format['NHWC'] name=[None] input[None] filters[None] dilations[None]",
    ),
    "conv3d_transpose": (
        windows.conv3d_transpose,
        "value=input[None] filter=filters[None] output_shape[None] strides[None] padding['SAME'] "
        "data_format['NDHWC'] name=[None] input[None] filters[None] dilations[None]",
    ),
    "conv2d_backprop_input": (
        windows.conv2d_backprop_input,
        f"input_sizes filter[None] out_backprop[None] {_OF_RANK} name=[None] filters=filter[None]",
    ),
    "conv2d_backprop_filter": (
        windows.conv2d_backprop_filter,
        f"input filter_sizes out_backprop {_OF_RANK} name=[None]",
    ),
    "conv3d_backprop_filter": (
        windows.conv3d_backprop_filter,
        "input filter_sizes out_backprop strides padding data_format['NDHWC'] dilations[None] "
        "name=[None]",
    ),
    "convolution": (
        windows.convolution,
        "input filter=filters[None] padding[None] strides[None] dilation_rate=dilations[None] "
        "name=[None] data_format[None] filters[None] dilations[None]",
    ),
    "depthwise_conv2d": (
        windows.depthwise_conv2d,
        "input filter strides padding rate=dilations[None] name=[None] data_format[None] "
        "dilations[None]",
    ),
    "depthwise_conv2d_native": (
        windows.depthwise_conv2d,
        "input filter strides padding data_format['NHWC'] dilations[None] name=[None]",
    ),
    "separable_conv2d": (
        windows.separable_conv2d,
        "input depthwise_filter pointwise_filter strides padding rate=dilations[None] name=[None] "
        "data_format[None] dilations[None]",
    ),
    "pool": (
        pooling.pool,
        "input window_shape pooling_type padding dilation_rate=dilations[None] strides[None] "
        "name=[None] data_format[None] dilations[None]",
    ),
    "crelu": (nn.crelu, "features name=[None] axis[-1]"),
    "embedding_lookup": (
        embeddings._looked_up,
        "params ids partition_strategy=strategy['mod'] name=[None] validate_indices=[True] "
        "max_norm[None]",
    ),
    "in_top_k": (nn.in_top_k, "predictions targets k name=[None]"),
    "log_softmax": (nn.log_softmax, "logits axis[None] name=[None] dim=axis[None]"),
    "moments": (nn.moments, f"x axes shift[None] {_KEPT}"),
    "softmax": (nn.softmax, "logits axis[None] name=[None] dim=axis[None]"),
    "softmax_cross_entropy_with_logits_v2": (
        nn.softmax_cross_entropy_with_logits,
        "labels logits axis[None] name=[None] dim=axis[None]",
    ),
    "space_to_depth": (nn.space_to_depth, "input block_size name=[None] data_format['NHWC']"),
    "depth_to_space": (nn.depth_to_space, "input block_size name=[None] data_format['NHWC']"),
    "weighted_cross_entropy_with_logits": (
        nn.weighted_cross_entropy_with_logits,
        "labels[None] logits[None] pos_weight[None] name=[None] targets=labels[None]",
    ),
    "weighted_moments": (nn.weighted_moments, f"x axes frequency_weights {_KEPT}"),
}
globals().update({_name: _renamed(_name, *_entry) for _name, _entry in _TABLE.items()})
log_uniform_candidate_sampler = samplers.log_uniform_candidate_sampler
uniform_candidate_sampler = samplers.uniform_candidate_sampler
ctc_beam_search_decoder_v2, ctc_loss_v2 = decoding.ctc_beam_search_decoder, decoding.ctc_loss
erosion_of, dilation_of = pooling.erosion2d, pooling.dilation2d


def dilation2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    name: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """`tf.nn.dilation2d` of images whose channels come last.

    >>> ones, x = [1, 1, 1, 1], tf.constant([[[[1.0], [2.0]]]])
    >>> tf.compat.v1.nn.dilation2d(x, tf.zeros([1, 2, 1]), ones, ones, "VALID").numpy().tolist()
    [[[[2.0]]]]
    """
    kernel = filters if filter is None else filter
    rates = dilations if rates is None else rates
    return dilation_of(input, kernel, strides, padding, "NHWC", rates)


def erosion2d(
    value: Any, kernel: Any, strides: Any, rates: Any, padding: Any, name: Any = None
) -> Tensor:
    """`tf.nn.erosion2d` of images whose channels come last.

    >>> ones, x = [1, 1, 1, 1], tf.constant([[[[1.0], [2.0]]]])
    >>> tf.compat.v1.nn.erosion2d(x, tf.zeros([1, 2, 1]), ones, ones, "VALID").numpy().tolist()
    [[[[1.0]]]]
    """
    return erosion_of(value, kernel, strides, padding, "NHWC", rates)


def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: Any = None,
    name: Any = None,
    rate: Any = None,
) -> Tensor:
    """`tf.nn.dropout`, with the probability to keep an element, or its complement `rate`.

    >>> tf.compat.v1.nn.dropout([1.0, 2.0], keep_prob=1.0).numpy().tolist()
    [1.0, 2.0]
    """
    if (keep_prob is None) == (rate is None):
        raise ValueError(
            f"Either keep_prob or rate must be given. Received: {keep_prob}, rate={rate}"
        )
    return nn.dropout(x, 1 - keep_prob if rate is None else rate, noise_shape, seed)


def softmax_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, dim: int = -1, name: Any = None, axis: Any = None
) -> Tensor:
    """`tf.nn.softmax_cross_entropy_with_logits`, without a gradient for the labels.

    >>> tf.compat.v1.nn.softmax_cross_entropy_with_logits(
    ...     labels=[[1.0, 0.0]], logits=[[0.0, 0.0]]
    ... ).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    axis = dim if axis is None else axis
    return nn.softmax_cross_entropy_with_logits(ops.stop_gradient(labels), logits, axis)


def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
    name: Any = None,
    exponential_avg_factor: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalization over all axes but the channels.

    Args:
        mean, variance: used for the normalization unless `is_training`; otherwise moving averages,
            to which the batch contributes with the weight `exponential_avg_factor`.

    Returns the normalized values, the mean, and the variance (of a sample, with n - 1).

    >>> x = tf.constant([[[[1.0]]], [[[3.0]]]])
    >>> y, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, [1.0], [0.0], epsilon=0.0011)
    >>> y.numpy().round(2).ravel().tolist(), mean.numpy().tolist(), variance.numpy().tolist()
    ([-1.0, 1.0], [2.0], [2.0])
    """
    if not is_training and (mean is None or variance is None):
        raise ValueError("mean and variance must be given unless is_training.")
    x = _as_operand(x)
    nothing = ops.zeros([0], "float32")
    given = [x, *(nothing if v is None else v for v in (scale, offset, mean, variance))]
    epsilon = max(float(static(epsilon)), 1.001e-5)
    rest = (epsilon, data_format, bool(is_training), float(exponential_avg_factor))
    return run(batch_normalized, [*map(_as_operand, given)], rest)[:3]


def batch_normalized(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any,
    variance: Any,
    epsilon: float,
    data_format: str,
    training: bool,
    share: float,
) -> Any:
    """The normalized values, the new moving mean and variance (of a sample), and those used for the
    normalization."""
    if data_format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise ValueError(f"data_format must be 'NHWC' or 'NCHW'. Received: {data_format!r}")
    channels = 1 if data_format.startswith("NC") else x.ndim - 1
    axes = tuple(i for i in range(x.ndim) if i != channels)
    kept_mean, kept_variance = mean, variance
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if training:
        mean, variance = jnp.mean(wide, axes), jnp.var(wide, axes)
        count = x.size // x.shape[channels]
        sample = variance * (count / max(count - 1, 1))
        if share == 1:
            kept_mean, kept_variance = mean, sample
        else:
            kept_mean = (1 - share) * kept_mean + share * mean
            kept_variance = (1 - share) * kept_variance + share * sample
    shape = [1] * x.ndim
    shape[channels] = -1
    factor, first, more = (
        v.reshape(shape) for v in (scale * jax.lax.rsqrt(variance + epsilon), mean, offset)
    )
    out = ((wide - first) * factor + more).astype(x.dtype)
    kept = (kept_mean, kept_variance, mean, variance)
    return out, *map(jax.lax.stop_gradient, kept)  # as in TensorFlow's gradient


def xw_plus_b(x: Any, weights: Any, biases: Any, name: Any = None) -> Tensor:
    """`x @ weights + biases`.

    >>> tf.compat.v1.nn.xw_plus_b([[1.0]], [[2.0]], [3.0]).numpy().tolist()
    [[5.0]]
    """
    return nn.bias_add(linalg.matmul(x, weights), biases)


def relu_layer(x: Any, weights: Any, biases: Any, name: Any = None) -> Tensor:
    """`max(x @ weights + biases, 0)`.

    >>> tf.compat.v1.nn.relu_layer([[1.0]], [[2.0]], [-3.0]).numpy().tolist()
    [[0.0]]
    """
    return nn.relu(xw_plus_b(x, weights, biases))


def ctc_beam_search_decoder(
    inputs: Any,
    sequence_length: Any,
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
) -> tuple[list[SparseTensor], Tensor]:
    """`tf.nn.ctc_beam_search_decoder`, with repeated labels merged in the results unless
    `merge_repeated` is false.

    >>> logits = 9 * tf.one_hot([[0], [2], [0], [1]], 3)
    >>> decoded, _ = tf.compat.v1.nn.ctc_beam_search_decoder(logits, [4])
    >>> tf.sparse.to_dense(decoded[0]).numpy().tolist()
    [[0, 1]]
    """
    found, scores = decoding.ctc_beam_search_decoder(inputs, sequence_length, beam_width, top_paths)
    return [decoding.merged(s) for s in found] if merge_repeated else found, scores


def ctc_loss(
    labels: Any,
    inputs: Any = None,
    sequence_length: Any = None,
    preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True,
    ignore_longer_outputs_than_inputs: bool = False,
    time_major: bool = True,
    logits: Any = None,
) -> Tensor:
    """`tf.nn.ctc_loss` of sparse labels, where the last class is the blank.

    Args:
        preprocess_collapse_repeated: whether repeated labels are merged.
        ignore_longer_outputs_than_inputs: whether samples with more labels than steps cost 0; else
            they raise InvalidArgumentError.

    >>> labels = tf.sparse.from_dense([[1]])
    >>> tf.compat.v1.nn.ctc_loss(labels, tf.zeros([2, 1, 3]), [2]).numpy().round(4)
    array([1.0986], dtype=float32)
    """
    if not isinstance(labels, SparseTensor):
        raise TypeError(f"labels must be a SparseTensor. Received: {type(labels).__name__}")
    if not ctc_merge_repeated:
        raise NotImplementedError("tf.compat.v1.nn.ctc_loss: ctc_merge_repeated can only be True.")
    labels = decoding.merged(labels) if preprocess_collapse_repeated else labels
    logits = inputs if logits is None else logits
    return decoding.ctc_loss_of_sparse(
        labels, logits, sequence_length, time_major, ignore_longer_outputs_than_inputs
    )


__all__ = sorted(
    [
        *_TABLE,
        *("ctc_beam_search_decoder", "ctc_beam_search_decoder_v2", "ctc_loss", "ctc_loss_v2"),
        *("log_uniform_candidate_sampler", "uniform_candidate_sampler"),
        *("dilation2d", "dropout", "erosion2d", "fused_batch_norm", "relu_layer"),
        *("softmax_cross_entropy_with_logits", "xw_plus_b"),
    ]
)
__dir__ = __all__.copy
