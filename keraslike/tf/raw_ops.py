"""`tf.raw_ops`: operations by the names that they have in graphs; all arguments are named.

>>> from keraslike import tf
>>> tf.raw_ops.MatMul(a=[[1.0, 2.0]], b=[[3.0], [4.0]]).numpy().tolist()
[[11.0]]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike.tf import image, linalg, math, nn, ops, sorting, table

# Names of functions, and of arguments where the operation's are others: `theirs=ours`.
_TABLE = {
    "x": "Abs Sign Neg=negative Square ZerosLike OnesLike Round Rint Floor Ceil LogicalNot "
    "IsNan IsFinite IsInf Sqrt Rsqrt Exp Expm1 Log Log1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh "
    "Asinh Acosh Atanh Sigmoid Erf Erfc Erfinv Reciprocal Lgamma Digamma Ndtri",
    "x y": "Add AddV2=add Sub=subtract Mul=multiply FloorMod=floormod Pow Maximum Minimum "
    "DivNoNan=divide_no_nan Atan2 FloorDiv=floordiv Equal NotEqual Less LessEqual Greater "
    "GreaterEqual LogicalAnd LogicalOr RealDiv=truediv SquaredDifference Xlogy Xlog1py Xdivy "
    "MulNoNan=multiply_no_nan",
    "input axis keep_dims": "Sum=reduce_sum Mean=reduce_mean Max=reduce_max Min=reduce_min "
    "Prod=reduce_prod Any=reduce_any All=reduce_all",
}
_MORE: dict[str, tuple[Callable, str]] = {
    "MatMul": (linalg.matmul, "a b transpose_a transpose_b"),
    "BatchMatMulV2": (linalg.matmul, "x=a y=b adj_x=adjoint_a adj_y=adjoint_b"),
    "Cast": (ops.cast, "x DstT=dtype"),
    "Relu": (nn.relu, "features"),
    "Relu6": (nn.relu6, "features"),
    "Elu": (nn.elu, "features"),
    "Selu": (nn.selu, "features"),
    "LeakyRelu": (nn.leaky_relu, "features alpha"),
    "Softplus": (math.softplus, "features=x"),
    "Softsign": (math.softsign, "features=x"),
    "Softmax": (nn.softmax, "logits"),
    "LogSoftmax": (nn.log_softmax, "logits"),
    "BiasAdd": (nn.bias_add, "value bias"),
    "Conv2D": (nn.conv2d, "input filter=filters strides padding dilations"),
    "MaxPool": (nn.max_pool2d, "input ksize strides padding"),
    "AvgPool": (nn.avg_pool2d, "value=input ksize strides padding"),
    "L2Loss": (nn.l2_loss, "t"),
    "Reshape": (ops.reshape, "tensor shape"),
    "Transpose": (ops.transpose, "x=a perm"),
    "ConcatV2": (ops.concat, "values axis"),
    "Pack": (ops.stack, "values axis"),
    "Unpack": (ops.unstack, "value num axis"),
    "ExpandDims": (ops.expand_dims, "input axis"),
    "Squeeze": (ops.squeeze, "input axis"),
    "Tile": (ops.tile, "input multiples"),
    "Fill": (ops.fill, "dims value"),
    "Pad": (ops.pad, "input=tensor paddings"),
    "GatherV2": (ops.gather, "params indices axis"),
    "GatherNd": (ops.gather_nd, "params indices"),
    "SelectV2": (ops.where, "condition t=x e=y"),
    "Range": (ops.range, "start limit delta"),
    "ListDiff": (sorting.list_diff, "x y out_idx"),
    "OneHot": (ops.one_hot, "indices depth on_value off_value axis"),
    "ArgMax": (ops.argmax, "input dimension=axis output_type"),
    "ArgMin": (ops.argmin, "input dimension=axis output_type"),
    "Cumsum": (ops.cumsum, "x axis exclusive reverse"),
    "Shape": (ops.shape, "input out_type"),
    "Size": (ops.size, "input out_type"),
    "Rank": (ops.rank, "input"),
    "Identity": (ops.identity, "input"),
    "StopGradient": (ops.stop_gradient, "input"),
    "AddN": (ops.add_n, "inputs"),
    "Cholesky": (linalg.cholesky, "input"),
    "MatrixInverse": (linalg.inv, "input adjoint"),
    "MatrixDeterminant": (linalg.det, "input"),
    "Qr": (linalg.qr, "input full_matrices"),
    "HSVToRGB": (image.hsv_to_rgb, "images"),
    "RGBToHSV": (image.rgb_to_hsv, "images"),
}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _operation(name: str, function: Callable, arguments: str) -> Callable:
    parts = [a.partition("=") for a in arguments.split()]
    names = {name: ours or name for name, _, ours in parts}

    def call(**kwargs: Any) -> Any:
        kwargs.pop("name", None)
        unknown = [k for k in kwargs if k not in names]
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
        return function(**{names[k]: v for k, v in kwargs.items()})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The operation `{name}` of {', '.join(names)}, all named."
    return call


def _all() -> dict[str, Callable]:
    made = {name: _operation(name, *of) for name, of in _MORE.items()}
    for arguments, entries in _TABLE.items():
        for entry in entries.split():
            name, _, ours = entry.partition("=")
            names = arguments
            if arguments.startswith("input"):
                names = "input=input_tensor axis keep_dims=keepdims"
            made[name] = _operation(name, getattr(table, ours or _snake(name)), names)
    return made


globals().update(_all())
__all__ = sorted(_all())
__dir__ = __all__.copy
