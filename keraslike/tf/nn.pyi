"""Types of `keraslike.tf.nn`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

def all_candidate_sampler(
    true_classes: _Any,
    num_true: _builtins.int,
    num_sampled: _builtins.int,
    unique: _builtins.bool,
    seed: _builtins.int | None = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def approx_max_k(
    operand: _Any,
    k: _builtins.int,
    reduction_dimension: _builtins.int = ...,
    recall_target: _builtins.float = ...,
    reduction_input_size_override: _builtins.int = ...,
    aggregate_to_topk: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def approx_min_k(
    operand: _Any,
    k: _builtins.int,
    reduction_dimension: _builtins.int = ...,
    recall_target: _builtins.float = ...,
    reduction_input_size_override: _builtins.int = ...,
    aggregate_to_topk: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def atrous_conv2d(
    value: _Any, filters: _Any, rate: _Any, padding: _Any, name: _Any = ...
) -> _Any: ...
def atrous_conv2d_transpose(
    value: _Any, filters: _Any, output_shape: _Any, rate: _Any, padding: _Any, name: _Any = ...
) -> _Any: ...
def avg_pool(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def avg_pool1d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def avg_pool2d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def avg_pool3d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def batch_norm_with_global_normalization(
    input: _Any,
    mean: _Any,
    variance: _Any,
    beta: _Any,
    gamma: _Any,
    variance_epsilon: _builtins.float,
    scale_after_normalization: _builtins.bool,
    name: _Any = ...,
) -> _Any: ...
def batch_normalization(
    x: _Any,
    mean: _Any,
    variance: _Any,
    offset: _Any,
    scale: _Any,
    variance_epsilon: _builtins.float,
    name: _Any = ...,
) -> _Any: ...
def bias_add(
    value: _Any,
    bias: _Any,
    data_format: _builtins.str | None = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def collapse_repeated(labels: _Any, seq_length: _Any, name: _Any = ...) -> _Any: ...
def compute_accidental_hits(
    true_classes: _Any,
    sampled_candidates: _Any,
    num_true: _builtins.int,
    seed: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def compute_average_loss(
    per_example_loss: _Any, sample_weight: _Any = ..., global_batch_size: _Any = ...
) -> _Any: ...
def conv1d(
    input: _Any,
    filters: _Any,
    stride: _Any,
    padding: _Any,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv1d_transpose(
    input: _Any,
    filters: _Any,
    output_shape: _Any,
    strides: _Any,
    padding: _builtins.str = ...,
    data_format: _builtins.str = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv2d(
    input: _Any,
    filters: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv2d_transpose(
    input: _Any,
    filters: _Any,
    output_shape: _Any,
    strides: _Any,
    padding: _builtins.str = ...,
    data_format: _builtins.str = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv3d(
    input: _Any,
    filters: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv3d_transpose(
    input: _Any,
    filters: _Any,
    output_shape: _Any,
    strides: _Any,
    padding: _builtins.str = ...,
    data_format: _builtins.str = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def conv_transpose(
    input: _Any,
    filters: _Any,
    output_shape: _Any,
    strides: _Any,
    padding: _builtins.str = ...,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def convolution(
    input: _Any,
    filters: _Any,
    strides: _Any = ...,
    padding: _Any = ...,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def crelu(features: _Any, axis: _builtins.int = ..., name: _builtins.str | None = ...) -> _Any: ...
def ctc_beam_search_decoder(
    inputs: _Any,
    sequence_length: _Any,
    beam_width: _builtins.int = ...,
    top_paths: _builtins.int = ...,
) -> _Any: ...
def ctc_greedy_decoder(
    inputs: _Any,
    sequence_length: _Any,
    merge_repeated: _builtins.bool = ...,
    blank_index: _Any = ...,
) -> _Any: ...
def ctc_loss(
    labels: _Any,
    logits: _Any,
    label_length: _Any,
    logit_length: _Any,
    logits_time_major: _builtins.bool = ...,
    unique: _Any = ...,
    blank_index: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def ctc_unique_labels(labels: _Any, name: _Any = ...) -> _Any: ...
def depth_to_space(
    input: _Any,
    block_size: _builtins.int,
    data_format: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def depthwise_conv2d(
    input: _Any,
    filter: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def depthwise_conv2d_backprop_filter(
    input: _Any,
    filter_sizes: _Any,
    out_backprop: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _builtins.str = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def depthwise_conv2d_backprop_input(
    input_sizes: _Any,
    filter: _Any,
    out_backprop: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _builtins.str = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def dilation2d(
    input: _Any,
    filters: _Any,
    strides: _Any,
    padding: _builtins.str,
    data_format: _builtins.str,
    dilations: _Any,
    name: _Any = ...,
) -> _Any: ...
def dropout(
    x: _Any, rate: _Any, noise_shape: _Any = ..., seed: _Any = ..., name: _Any = ...
) -> _Any: ...
def elu(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def embedding_lookup(params: _Any, ids: _Any, max_norm: _Any = ..., name: _Any = ...) -> _Any: ...
def embedding_lookup_sparse(
    params: _Any,
    sp_ids: _Any,
    sp_weights: _Any,
    combiner: _builtins.str | None = ...,
    max_norm: _Any = ...,
    name: _Any = ...,
    allow_fast_lookup: _builtins.bool = ...,
) -> _Any: ...
def erosion2d(
    value: _Any,
    filters: _Any,
    strides: _Any,
    padding: _builtins.str,
    data_format: _builtins.str,
    dilations: _Any,
    name: _Any = ...,
) -> _Any: ...

experimental: _Any

def fixed_unigram_candidate_sampler(
    true_classes: _Any,
    num_true: _builtins.int,
    num_sampled: _builtins.int,
    unique: _builtins.bool,
    range_max: _builtins.int,
    vocab_file: _builtins.str = ...,
    distortion: _builtins.float = ...,
    num_reserved_ids: _builtins.int = ...,
    num_shards: _builtins.int = ...,
    shard: _builtins.int = ...,
    unigrams: _Any = ...,
    seed: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def fractional_avg_pool(
    value: _Any,
    pooling_ratio: _Any,
    pseudo_random: _builtins.bool = ...,
    overlapping: _builtins.bool = ...,
    seed: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def fractional_max_pool(
    value: _Any,
    pooling_ratio: _Any,
    pseudo_random: _builtins.bool = ...,
    overlapping: _builtins.bool = ...,
    seed: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def gelu(
    features: _Any, approximate: _builtins.bool = ..., name: _builtins.str | None = ...
) -> _Any: ...
def in_top_k(targets: _Any, predictions: _Any, k: _Any, name: _Any = ...) -> _Any: ...
def isotonic_regression(
    inputs: _Any, decreasing: _builtins.bool = ..., axis: _builtins.int = ...
) -> _Any: ...
def l2_loss(t: _Any, name: _Any = ...) -> _Any: ...
def l2_normalize(
    x: _Any,
    axis: _Any = ...,
    epsilon: _builtins.float = ...,
    name: _builtins.str | None = ...,
    dim: _Any = ...,
) -> _Any: ...
def leaky_relu(
    features: _Any, alpha: _builtins.float = ..., name: _builtins.str | None = ...
) -> _Any: ...
def local_response_normalization(
    input: _Any,
    depth_radius: _builtins.int = ...,
    bias: _builtins.float = ...,
    alpha: _builtins.float = ...,
    beta: _builtins.float = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def log_poisson_loss(
    targets: _Any,
    log_input: _Any,
    compute_full_loss: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def log_softmax(logits: _Any, axis: _Any = ..., name: _builtins.str | None = ...) -> _Any: ...
def lrn(
    input: _Any,
    depth_radius: _builtins.int = ...,
    bias: _builtins.float = ...,
    alpha: _builtins.float = ...,
    beta: _builtins.float = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def max_pool(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def max_pool1d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def max_pool2d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def max_pool3d(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _Any,
    data_format: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def max_pool_with_argmax(
    input: _Any,
    ksize: _Any,
    strides: _Any,
    padding: _builtins.str,
    data_format: _builtins.str = ...,
    output_dtype: _Any = ...,
    include_batch_in_index: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def moments(
    x: _Any, axes: _Any, shift: _Any = ..., keepdims: _builtins.bool = ..., name: _Any = ...
) -> _Any: ...
def nce_loss(
    weights: _Any,
    biases: _Any,
    labels: _Any,
    inputs: _Any,
    num_sampled: _builtins.int,
    num_classes: _builtins.int,
    num_true: _builtins.int = ...,
    sampled_values: _Any = ...,
    remove_accidental_hits: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def normalize_moments(
    counts: _Any, mean_ss: _Any, variance_ss: _Any, shift: _Any, name: _Any = ...
) -> _Any: ...
def pool(
    input: _Any,
    window_shape: _Any,
    pooling_type: _builtins.str,
    strides: _Any = ...,
    padding: _Any = ...,
    data_format: _Any = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def relu(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def relu6(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def safe_embedding_lookup_sparse(
    embedding_weights: _Any,
    sparse_ids: _Any,
    sparse_weights: _Any = ...,
    combiner: _builtins.str = ...,
    default_id: _Any = ...,
    max_norm: _Any = ...,
    name: _Any = ...,
    allow_fast_lookup: _builtins.bool = ...,
) -> _Any: ...
def sampled_softmax_loss(
    weights: _Any,
    biases: _Any,
    labels: _Any,
    inputs: _Any,
    num_sampled: _builtins.int,
    num_classes: _builtins.int,
    num_true: _builtins.int = ...,
    sampled_values: _Any = ...,
    remove_accidental_hits: _builtins.bool = ...,
    seed: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def scale_regularization_loss(regularization_loss: _Any) -> _Any: ...
def selu(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def separable_conv2d(
    input: _Any,
    depthwise_filter: _Any,
    pointwise_filter: _Any,
    strides: _Any,
    padding: _builtins.str,
    data_format: _builtins.str | None = ...,
    dilations: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def sigmoid(x: _Any, name: _builtins.str | None = ...) -> _Any: ...
def sigmoid_cross_entropy_with_logits(
    labels: _Any = ..., logits: _Any = ..., name: _Any = ...
) -> _Any: ...
def silu(features: _Any, beta: _builtins.float = ...) -> _Any: ...
def softmax(logits: _Any, axis: _Any = ..., name: _builtins.str | None = ...) -> _Any: ...
def softmax_cross_entropy_with_logits(
    labels: _Any, logits: _Any, axis: _builtins.int = ..., name: _Any = ...
) -> _Any: ...
def softplus(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def softsign(features: _Any, name: _builtins.str | None = ...) -> _Any: ...
def space_to_batch(
    input: _Any, block_shape: _Any, paddings: _Any, name: _builtins.str | None = ...
) -> _Any: ...
def space_to_depth(
    input: _Any,
    block_size: _builtins.int,
    data_format: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def sparse_softmax_cross_entropy_with_logits(
    labels: _Any, logits: _Any, name: _Any = ...
) -> _Any: ...
def sufficient_statistics(
    x: _Any, axes: _Any, shift: _Any = ..., keepdims: _builtins.bool = ..., name: _Any = ...
) -> _Any: ...
def swish(features: _Any, beta: _builtins.float = ...) -> _Any: ...
def tanh(x: _Any, name: _builtins.str | None = ...) -> _Any: ...
def top_k(
    input: _Any,
    k: _Any = ...,
    sorted: _builtins.bool = ...,
    index_type: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def weighted_cross_entropy_with_logits(
    labels: _Any, logits: _Any, pos_weight: _Any, name: _builtins.str | None = ...
) -> _Any: ...
def weighted_moments(
    x: _Any, axes: _Any, frequency_weights: _Any, keepdims: _builtins.bool = ..., name: _Any = ...
) -> _Any: ...
def with_space_to_batch(
    input: _Any,
    dilation_rate: _Any,
    padding: _builtins.str,
    op: _Callable,
    filter_shape: _Any = ...,
    spatial_dims: _Any = ...,
    data_format: _Any = ...,
) -> _Any: ...
def zero_fraction(value: _Any, name: _builtins.str | None = ...) -> _Any: ...
