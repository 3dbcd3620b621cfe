"""`tf.raw_ops`: operations by their names in graphs, with keyword arguments only.

>>> tf.raw_ops.MatMul(a=[[1.0, 2.0]], b=[[3.0], [4.0]]).numpy().tolist()
[[11.0]]
"""

from __future__ import annotations

import ast
import inspect
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from keraslike.tf import (
    argument_tables,
    bitwise,
    blocks,
    debugging,
    general,
    image,
    indexing,
    io,
    linalg,
    math,
    nn,
    ops,
    pooling,
    projections,
    quantization,
    random,
    segments,
    signal,
    sizes,
    sorting,
    strings,
    table,
    windows,
)
from keraslike.tf.compat import v1_nn
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.documentation import MADE
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import run

# The arguments of operations, in the form of `argument_tables`. An argument that a function does
# not have may only be given its default.
_TABLE = {
    "x": "Abs Sign Neg=negative Square ZerosLike OnesLike Round Rint Floor Ceil LogicalNot "
    "IsNan IsFinite IsInf Sqrt Rsqrt Exp Expm1 Log Log1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh "
    "Asinh Acosh Atanh Sigmoid Erf Erfc Erfinv Reciprocal Lgamma Digamma Ndtri BesselI0=bessel_i0 "
    "BesselI0e=bessel_i0e BesselI1=bessel_i1 BesselI1e=bessel_i1e InvertPermutation",
    "x y": "Add AddV2=add Sub=subtract Mul=multiply FloorMod=floormod Pow Maximum Minimum "
    "DivNoNan=divide_no_nan FloorDiv=floordiv Less LessEqual Greater GreaterEqual LogicalAnd "
    "LogicalOr RealDiv=truediv SquaredDifference Xlogy Xlog1py Xdivy MulNoNan=multiply_no_nan",
    "y x": "Atan2",
    "a x": "Igamma Igammac Polygamma",
    "x q": "Zeta",
    "a b x": "Betainc",
    "x1 x2": "NextAfter=nextafter",
    "x y incompatible_shape_error=[True]": "Equal NotEqual",
    "input=input_tensor axis keep_dims=keepdims[False]": "Sum=reduce_sum Mean=reduce_mean "
    "Max=reduce_max Min=reduce_min Prod=reduce_prod Any=reduce_any All=reduce_all",
}
_OF_INPUT = {"ZerosLike", "OnesLike"}  # their functions call `x` by the name `input`
_BITWISE = {
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "LeftShift": "left_shift",
    "RightShift": "right_shift",
}


def _einsum(inputs: Any, equation: str) -> Any:
    """Sums of products of tensors according to `equation`; see `tf.einsum`.

    >>> tf.raw_ops.Einsum(inputs=[[1.0, 2.0], [3.0, 4.0]], equation="i,i->").numpy().tolist()
    11.0
    """
    return linalg.einsum(equation, *inputs)


def _select(condition: Any, x: Any, y: Any) -> Any:
    """`x` where a condition of the same shape holds, `y` elsewhere; a condition of one axis selects
    rows.

    >>> tf.raw_ops.Select(
    ...     condition=[True, False], x=[[1, 2], [3, 4]], y=[[5, 6], [7, 8]]
    ... ).numpy().tolist()
    [[1, 2], [7, 8]]
    """
    condition, x = (convert_to_tensor(v) for v in (condition, x))
    y = convert_to_tensor(y, dtype_hint=x.dtype)
    fits = condition.shape in ((), x.shape) or condition.shape == x.shape[:1]
    if x.shape != y.shape or not fits:
        raise InvalidArgumentError(
            f"x and y must have one shape, and condition this or that of its first axis. Received "
            f"shapes: x {x.shape}, y {y.shape}, condition {condition.shape}"
        )
    more = len(x.shape) - len(condition.shape)
    return indexing.where(ops.reshape(condition, [*condition.shape, *[1] * more]), x, y)


def _uniform_integers(shape: Any, minval: Any, maxval: Any) -> Any:
    """Draws integers from `minval` up to `maxval` (exclusive), in their dtype.

    >>> tf.raw_ops.RandomUniformInt(shape=[2], minval=3, maxval=4).numpy().tolist()
    [3, 3]
    """
    minval = convert_to_tensor(minval)
    return random.uniform(shape, minval, maxval, dtype=minval.dtype)


_Losses = namedtuple("SoftmaxCrossEntropyWithLogits", "loss backprop")
_SparseLosses = namedtuple("SparseSoftmaxCrossEntropyWithLogits", "loss backprop")
_BatchNorm = namedtuple(
    "FusedBatchNormV3",
    "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3",
)


def _softmax_loss(features: Any, labels: Any) -> _Losses:
    """The cross-entropies between rows of probabilities and the softmax of logits, and their
    gradients for the logits.

    >>> loss, gradient = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
    ...     features=[[0.0, 0.0]], labels=[[1.0, 0.0]]
    ... )
    >>> loss.numpy().round(4), gradient.numpy().tolist()
    (array([0.6931], dtype=float32), [[-0.5, 0.5]])
    """
    loss = nn.softmax_cross_entropy_with_logits(labels, features)
    return _Losses(loss, table.subtract(nn.softmax(features), labels))


def _sparse_softmax_loss(features: Any, labels: Any) -> _SparseLosses:
    """The cross-entropies between classes and the softmax of logits, and their gradients for the
    logits.

    >>> loss, gradient = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
    ...     features=[[0.0, 0.0]], labels=[0]
    ... )
    >>> loss.numpy().round(4), gradient.numpy().tolist()
    (array([0.6931], dtype=float32), [[-0.5, 0.5]])
    """
    loss = nn.sparse_softmax_cross_entropy_with_logits(labels, features)
    found = nn.softmax(features)
    classes = general.one_hot(labels, found.shape[-1], dtype=found.dtype)
    return _SparseLosses(loss, table.subtract(found, classes))


def _batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any,
    variance: Any,
    epsilon: float,
    exponential_avg_factor: float,
    data_format: str,
    is_training: bool,
) -> _BatchNorm:
    """Batch normalization over all axes but the channels, the new moving mean and variance (of a
    sample, with n - 1), and those used for the normalization.

    >>> x, none = tf.constant([[[[1.0]]], [[[3.0]]]]), tf.zeros([0])
    >>> found = tf.raw_ops.FusedBatchNormV3(
    ...     x=x, scale=[1.0], offset=[0.0], mean=none, variance=none
    ... )
    >>> found.y.numpy().round(2).ravel().tolist(), found.batch_variance.numpy().tolist()
    ([-1.0, 1.0], [2.0])
    """
    given = [convert_to_tensor(v) for v in (x, scale, offset, mean, variance)]
    rest = (float(epsilon), data_format, bool(is_training), float(exponential_avg_factor))
    found = run(v1_nn.batch_normalized, given, rest)
    return _BatchNorm._make([*found, ops.zeros([0])])


_BatchNormV2 = namedtuple("FusedBatchNormV2", _BatchNorm._fields[:5])


def _batch_norm_v2(**given: Any) -> _BatchNormV2:
    """The results of `FusedBatchNormV3` without the last, which is empty.

    >>> x, none = tf.constant([[[[1.0]]], [[[3.0]]]]), tf.zeros([0])
    >>> found = tf.raw_ops.FusedBatchNormV2(
    ...     x=x, scale=[1.0], offset=[0.0], mean=none, variance=none
    ... )
    >>> len(found), found.batch_mean.numpy().tolist()
    (5, [2.0])
    """
    return _BatchNormV2._make(_batch_norm(**given)[:5])


_OF_BATCH_NORM = (
    "x scale offset mean variance epsilon[0.0001] exponential_avg_factor[1] data_format['NHWC'] "
    "is_training[True]"
)
_OWN: dict[str, tuple[Callable, str]] = {
    "Einsum": (_einsum, "inputs equation"),
    "FusedBatchNormV2": (_batch_norm_v2, _OF_BATCH_NORM),
    "FusedBatchNormV3": (_batch_norm, _OF_BATCH_NORM),
    "RandomUniformInt": (_uniform_integers, "shape minval maxval seed=[0] seed2=[0]"),
    "Select": (_select, "condition x y"),
    "SoftmaxCrossEntropyWithLogits": (_softmax_loss, "features labels"),
    "SparseSoftmaxCrossEntropyWithLogits": (_sparse_softmax_loss, "features labels"),
}
_MORE: dict[str, tuple[Callable, str]] = {
    "MatMul": (
        linalg.matmul,
        "a b transpose_a[False] transpose_b[False] grad_a[False] grad_b[False]",
    ),
    "BatchMatMulV2": (
        linalg.matmul,
        "x=a y=b adj_x=adjoint_a[False] adj_y=adjoint_b[False] grad_x=grad_a[False] "
        "grad_y=grad_b[False]",
    ),
    "Cast": (ops.cast, "x DstT=dtype Truncate=[False]"),
    "Relu": (nn.relu, "features"),
    "Relu6": (nn.relu6, "features"),
    "Elu": (nn.elu, "features"),
    "Selu": (nn.selu, "features"),
    "LeakyRelu": (nn.leaky_relu, "features alpha[0.2]"),
    "Softplus": (table.softplus, "features"),
    "Softsign": (table.softsign, "features"),
    "Softmax": (nn.softmax, "logits"),
    "LogSoftmax": (nn.log_softmax, "logits"),
    "BiasAdd": (nn.bias_add, "value bias data_format['NHWC']"),
    "Conv2D": (
        windows.conv2d,
        "input filter=filters strides padding use_cudnn_on_gpu=[True] explicit_paddings=[[]] "
        "data_format['NHWC'] dilations[[1,1,1,1]]",
    ),
    "MaxPool": (
        pooling.max_pool2d,
        "input ksize strides padding explicit_paddings=[[]] data_format['NHWC']",
    ),
    "AvgPool": (pooling.avg_pool2d, "value=input ksize strides padding data_format['NHWC']"),
    "L2Loss": (nn.l2_loss, "t"),
    "Reshape": (ops.reshape, "tensor shape"),
    "Transpose": (ops.transpose, "x=a perm"),
    "ConcatV2": (ops.concat, "values axis"),
    "Pack": (ops.stack, "values axis[0]"),
    "Unpack": (indexing.unstack, "value num axis[0]"),
    "ExpandDims": (ops.expand_dims, "input axis"),
    "Squeeze": (ops.squeeze, "input axis[[]]"),
    "Tile": (ops.tile, "input multiples"),
    "Fill": (ops.fill, "dims value"),
    "Pad": (ops.pad, "input=tensor paddings"),
    "GatherV2": (indexing.gather, "params indices axis batch_dims[0]"),
    "GatherNd": (indexing.gather_nd, "params indices bad_indices_policy['']"),
    "SelectV2": (indexing.where, "condition t=x e=y"),
    "Range": (ops.range, "start limit delta"),
    "ListDiff": (sorting.list_diff, "x y out_idx[int32]"),
    "OneHot": (general.one_hot, "indices depth on_value off_value axis[-1]"),
    "ArgMax": (ops.argmax, "input dimension=axis output_type[int64]"),
    "ArgMin": (ops.argmin, "input dimension=axis output_type[int64]"),
    "Cumsum": (ops.cumsum, "x axis exclusive[False] reverse[False]"),
    "Shape": (sizes.shape, "input out_type[int32]"),
    "Size": (sizes.size, "input out_type[int32]"),
    "Rank": (sizes.rank, "input"),
    "Identity": (ops.identity, "input"),
    "StopGradient": (ops.stop_gradient, "input"),
    "AddN": (ops.add_n, "inputs"),
    "Cholesky": (linalg.cholesky, "input"),
    "MatrixInverse": (linalg.inv, "input adjoint[False]"),
    "MatrixDeterminant": (linalg.det, "input"),
    "Qr": (linalg.qr, "input full_matrices[False]"),
    "HSVToRGB": (image.hsv_to_rgb, "images"),
    "RGBToHSV": (image.rgb_to_hsv, "images"),
    # slices and positions
    "Where": (indexing.where, "condition"),
    "Split": (indexing.split, "axis value num_split=num_or_size_splits"),
    "SplitV": (indexing.split, "value size_splits=num_or_size_splits axis num_split=num"),
    "Slice": (indexing.slice_, "input=input_ begin size"),
    "StridedSlice": (
        indexing.strided_slice,
        "input=input_ begin end strides begin_mask[0] end_mask[0] ellipsis_mask[0] "
        "new_axis_mask[0] shrink_axis_mask[0]",
    ),
    "Gather": (indexing.gather, "params indices validate_indices[True]"),
    "ScatterNd": (indexing.scatter_nd, "indices updates shape bad_indices_policy['']"),
    "TensorScatterUpdate": (
        indexing.tensor_scatter_nd_update,
        "tensor indices updates bad_indices_policy=['']",
    ),
    **{
        f"TensorScatter{kind}": (
            getattr(indexing, f"tensor_scatter_nd_{kind.lower()}"),
            "tensor indices updates bad_indices_policy['']",
        )
        for kind in ("Add", "Sub", "Max", "Min")
    },
    "Concat": (ops.concat, "concat_dim=axis values"),
    "BroadcastTo": (ops.broadcast_to, "input shape"),
    "ReverseV2": (ops.reverse, "tensor axis"),
    "ReverseSequence": (
        general.reverse_sequence,
        "input seq_lengths seq_dim=seq_axis batch_dim=batch_axis[0]",
    ),
    "Roll": (ops.roll, "input shift axis"),
    "PadV2": (ops.pad, "input=tensor paddings constant_values"),
    "MirrorPad": (ops.pad, "input=tensor paddings mode"),
    "DynamicPartition": (general.dynamic_partition, "data partitions num_partitions"),
    "DynamicStitch": (general.dynamic_stitch, "indices data"),
    "UnravelIndex": (general.unravel_index, "indices dims"),
    "SpaceToBatchND": (blocks.space_to_batch, "input block_shape paddings"),
    "BatchToSpaceND": (blocks.batch_to_space, "input block_shape crops"),
    "SpaceToDepth": (nn.space_to_depth, "input block_size data_format['NHWC']"),
    "DepthToSpace": (nn.depth_to_space, "input block_size data_format['NHWC']"),
    # sorting and counting
    "TopKV2": (sorting.top_k, "input k sorted[True] index_type[int32]"),
    "Unique": (sorting.unique, "x out_idx[int32]"),
    "UniqueWithCounts": (sorting.unique_with_counts, "x out_idx[int32]"),
    "InTopKV2": (nn.in_top_k, "predictions targets k"),
    "HistogramFixedWidth": (
        general.histogram_fixed_width,
        "values value_range nbins dtype[int32]",
    ),
    **{
        f"Segment{kind}": (getattr(segments, f"segment_{kind.lower()}"), "data segment_ids")
        for kind in ("Sum", "Mean", "Prod", "Max", "Min")
    },
    **{
        f"UnsortedSegment{kind}": (
            getattr(segments, f"unsorted_segment_{kind.lower()}"),
            "data segment_ids num_segments",
        )
        for kind in ("Sum", "Prod", "Max", "Min")
    },
    # arithmetic
    "Cumprod": (ops.cumprod, "x axis exclusive[False] reverse[False]"),
    "ClipByValue": (linalg.clip_by_value, "t clip_value_min clip_value_max"),
    "TruncateDiv": (math.truncatediv, "x y"),
    "TruncateMod": (math.truncatemod, "x y"),
    "Mod": (math.truncatemod, "x y"),
    "Inv": (table.reciprocal, "x"),
    "Real": (table.real, "input Tout=[float32]"),
    "Imag": (table.imag, "input Tout=[float32]"),
    "Angle": (table.angle, "input Tout=[float32]"),
    "ComplexAbs": (table.abs, "x Tout=[float32]"),
    "CheckNumerics": (debugging.check_numerics, "tensor message"),
    "Complex": (math.complex, "real imag Tout=[complex64]"),
    "Conj": (table.conj, "input=x"),
    "LinSpace": (general.linspace, "start stop num"),
    "Bitcast": (general.bitcast, "input type"),
    **{name: (getattr(bitwise, _of), "x y") for name, _of in _BITWISE.items()},
    "Invert": (bitwise.invert, "x"),
    # networks
    "Conv3D": (
        windows.conv3d,
        "input filter=filters strides padding data_format['NDHWC'] dilations[[1,1,1,1,1]]",
    ),
    "DepthwiseConv2dNative": (
        windows.depthwise_conv2d,
        "input filter strides padding explicit_paddings=[[]] data_format['NHWC'] "
        "dilations[[1,1,1,1]]",
    ),
    "DepthwiseConv2dNativeBackpropInput": (
        windows.depthwise_conv2d_backprop_input,
        "input_sizes filter out_backprop strides padding explicit_paddings=[[]] "
        "data_format['NHWC'] dilations[[1,1,1,1]]",
    ),
    "DepthwiseConv2dNativeBackpropFilter": (
        windows.depthwise_conv2d_backprop_filter,
        "input filter_sizes out_backprop strides padding explicit_paddings=[[]] "
        "data_format['NHWC'] dilations[[1,1,1,1]]",
    ),
    "MaxPool3D": (pooling.max_pool3d, "input ksize strides padding data_format['NDHWC']"),
    "AvgPool3D": (pooling.avg_pool3d, "input ksize strides padding data_format['NDHWC']"),
    "MaxPoolWithArgmax": (
        pooling.max_pool_with_argmax,
        "input ksize strides padding Targmax=output_dtype[int64] include_batch_in_index[False]",
    ),
    "LRN": (
        nn.local_response_normalization,
        "input depth_radius[5] bias[1] alpha[1] beta[0.5]",
    ),
    "FakeQuantWithMinMaxArgs": (
        quantization.fake_quant_with_min_max_args,
        "inputs min[-6] max[6] num_bits[8] narrow_range[False]",
    ),
    "FakeQuantWithMinMaxVars": (
        quantization.fake_quant_with_min_max_vars,
        "inputs min max num_bits[8] narrow_range[False]",
    ),
    "FakeQuantWithMinMaxVarsPerChannel": (
        quantization.fake_quant_with_min_max_vars_per_channel,
        "inputs min max num_bits[8] narrow_range[False]",
    ),
    # matrices
    "MatrixBandPart": (linalg.band_part, "input num_lower num_upper"),
    "MatrixDiag": (linalg.diag, "diagonal"),
    "MatrixDiagPart": (linalg.diag_part, "input"),
    "MatrixSetDiag": (linalg.set_diag, "input diagonal"),
    "MatrixSolve": (linalg.solve, "matrix rhs adjoint[False]"),
    "MatrixTriangularSolve": (linalg.triangular_solve, "matrix rhs lower[True] adjoint[False]"),
    "MatrixSquareRoot": (linalg.sqrtm, "input"),
    "LogMatrixDeterminant": (linalg.slogdet, "input"),
    "SelfAdjointEigV2": (linalg.eigh, "input=tensor compute_v=[True]"),
    "Svd": (linalg.svd, "input=tensor compute_uv=[True] full_matrices[False]"),
    "Lu": (linalg.lu, "input output_idx_type[int32]"),
    "Cross": (linalg.cross, "a b"),
    "Diag": (linalg.tensor_diag, "diagonal"),
    "DiagPart": (linalg.tensor_diag_part, "input"),
    **{
        name: (getattr(signal, name.lower()), "input")
        for name in ("FFT", "IFFT", "FFT2D", "IFFT2D", "FFT3D", "IFFT3D")
    },
    "RFFT": (signal.rfft, "input=input_tensor fft_length Tcomplex=[complex64]"),
    "IRFFT": (signal.irfft, "input=input_tensor fft_length Treal=[float32]"),
    # random numbers
    "Multinomial": (
        random.categorical,
        "logits num_samples seed=[0] seed2=[0] output_dtype=dtype[int64]",
    ),
    "RandomShuffle": (random.shuffle, "value seed=[0] seed2=[0]"),
    "RandomStandardNormal": (random.normal, "shape dtype seed=[0] seed2=[0]"),
    "RandomUniform": (random.uniform, "shape dtype seed=[0] seed2=[0]"),
    "TruncatedNormal": (random.truncated_normal, "shape dtype seed=[0] seed2=[0]"),
    "StatelessRandomNormal": (random.stateless_normal, "shape seed dtype[float32]"),
    "StatelessRandomUniform": (random.stateless_uniform, "shape seed dtype[float32]"),
    "StatelessTruncatedNormal": (random.stateless_truncated_normal, "shape seed dtype[float32]"),
    # text, files and images
    "AsString": (
        strings.as_string,
        "input precision[-1] scientific[False] shortest[False] width[-1] fill['']",
    ),
    "StringJoin": (strings.join, "inputs separator['']"),
    "StringLength": (strings.length, "input unit['BYTE']"),
    "StringLower": (strings.lower, "input encoding['']"),
    "StringUpper": (strings.upper, "input encoding['']"),
    "StringStrip": (strings.strip, "input"),
    "StringToHashBucketFast": (strings.to_hash_bucket_fast, "input num_buckets"),
    "StringToNumber": (strings.to_number, "string_tensor=input out_type[float32]"),
    "Substr": (strings.substr, "input pos len unit['BYTE']"),
    "RegexFullMatch": (strings.regex_full_match, "input pattern"),
    "RegexReplace": (strings.regex_replace, "input pattern rewrite replace_global[True]"),
    "DecodeBmp": (image.decode_bmp, "contents channels[0]"),
    "DecodeGif": (image.decode_gif, "contents"),
    "DecodePng": (image.decode_png, "contents channels[0] dtype[uint8]"),
    "DecodeJpeg": (
        image.decode_jpeg,
        "contents channels[0] ratio[1] fancy_upscaling[True] try_recover_truncated[False] "
        "acceptable_fraction[1] dct_method['']",
    ),
    "ReadFile": (io.read_file, "filename"),
    "WriteFile": (io.write_file, "filename contents"),
    "DecodeRaw": (io.decode_raw, "bytes=input_bytes out_type little_endian[True]"),
    "SerializeTensor": (io.serialize_tensor, "tensor"),
    "ParseTensor": (io.parse_tensor, "serialized out_type"),
    "EncodePng": (image.encode_png, "image compression[-1]"),
    "AdjustHue": (image.adjust_hue, "images=image delta"),
    "AdjustSaturation": (image.adjust_saturation, "images=image scale=saturation_factor"),
    "CropAndResize": (
        image.crop_and_resize,
        "image boxes box_ind=box_indices crop_size method['bilinear'] extrapolation_value[0]",
    ),
    "ImageProjectiveTransformV3": (
        projections.image_projective_transform,
        "images transforms output_shape fill_value interpolation fill_mode['CONSTANT']",
    ),
    "DrawBoundingBoxesV2": (image.draw_bounding_boxes, "images boxes colors"),
    "ExtractImagePatches": (
        image.extract_patches,
        "images ksizes=sizes strides rates padding",
    ),
    "NonMaxSuppressionV3": (
        image.non_max_suppression,
        "boxes scores max_output_size iou_threshold score_threshold",
    ),
    # under the same name
    "EnsureShape": (general.ensure_shape, "input=x shape"),
    "IdentityN": (general.identity_n, "input"),
    "ShapeN": (general.shape_n, "input out_type[int32]"),
    "Snapshot": (ops.identity, "input"),
    **_OWN,
}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _operation(name: str, function: Callable, arguments: str) -> Callable:
    parameters, ours = argument_tables.parsed(arguments)
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    def call(**kwargs: Any) -> Any:
        kwargs.pop("name", None)
        unknown = [k for k in kwargs if k not in ours]
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
        missing = [k for k in ours if k not in kwargs and k not in defaults]
        if missing:
            raise TypeError(f"{name}() lacks the arguments: {', '.join(missing)}")
        for k in [k for k in kwargs if not ours[k]]:
            if kwargs.pop(k) != defaults[k]:
                raise NotImplementedError(f"tf.raw_ops.{name}: {k} can only be {defaults[k]!r}.")
        given = {**{k: v for k, v in defaults.items() if ours[k]}, **kwargs}
        return function(**{ours[k]: v for k, v in given.items()})

    call.__name__ = call.__qualname__ = name
    call.__module__ = "keraslike.tf"
    called = inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*parameters, called], return_annotation="Any"
    )
    call.__doc__ = MADE.get(f"raw_ops.{name}") or _documentation(name, function, ours)
    return call


def _documentation(name: str, function: Callable, ours: dict[str, str]) -> str:
    """The function's docstring, with its example converted to a call of the operation."""
    if f"tf.raw_ops.{name}(" in (function.__doc__ or ""):  # the function has no other public name
        return inspect.cleandoc(function.__doc__ or "")
    rule, _, _ = (function.__doc__ or "").partition(">>> ")
    rule = " ".join(rule.split("\n\n")[0].split())
    example = _example_of(name, function, ours)
    behind = f"The operation behind `{_public(function)}`; its arguments are named."
    return f"{rule}\n\n{behind}\n\n{example}"


def _public(function: Callable) -> str:
    part = function.__module__.removeprefix("keraslike.").removeprefix("tf.")
    shown = "tf" if part in ("tf", "ops") else f"tf.{part}"
    return f"{shown}.{function.__name__}"


def _example_of(name: str, function: Callable, ours: dict[str, str]) -> str:
    """The example of the function, with keyword arguments in its first call."""
    theirs = {to: k for k, to in ours.items()}
    names = list(inspect.signature(function).parameters)
    lines = inspect.cleandoc(function.__doc__ or "").split("\n")
    first = next((i for i, line in enumerate(lines) if f".{function.__name__}(" in line), None)
    if first is None:
        return ""  # a test fails for a docstring without an example
    last = first + 1
    while last < len(lines) and lines[last].startswith("..."):
        last += 1
    code = "".join(line[4:].strip() for line in lines[first:last])
    call = next(
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == function.__name__
    )
    given = [(theirs[n], a) for n, a in zip(names, call.args)]
    given += [(theirs[k.arg or ""], k.value) for k in call.keywords]
    named = [f"{k}={code[a.col_offset : a.end_col_offset]}" for k, a in given]
    start, end = code[: call.col_offset], code[call.end_col_offset :]
    start += f"tf.raw_ops.{name}("
    code = f"{start}{', '.join(named)}){end}"
    if len(code) > 84:
        code = "\n... ".join([start, *(f"    {argument}," for argument in named), f"){end}"])
    return "\n".join([f">>> {code}", *lines[last:]]).strip()


def _all() -> dict[str, Callable]:
    made = {name: _operation(name, *of) for name, of in _MORE.items()}
    for arguments, entries in _TABLE.items():
        for entry in entries.split():
            name, _, ours = entry.partition("=")
            named = "x=input" if name in _OF_INPUT else arguments
            made[name] = _operation(name, getattr(table, ours or _snake(name)), named)
    return made


_ALL = _all()
globals().update(_ALL)
__all__ = sorted(_ALL)
__dir__ = __all__.copy
