"""`tf.raw_ops`: operations by their names in graphs, with keyword arguments only.

>>> from keraslike import tf
>>> tf.raw_ops.MatMul(a=[[1.0, 2.0]], b=[[3.0], [4.0]]).numpy().tolist()
[[11.0]]
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from keraslike.tf import dtypes, image, indexing, linalg, nn, ops, sorting, table, windows

# The arguments of operations: `theirs=ours` if the function has another name for an argument, with
# a default in brackets. Nothing after `=` means that the function lacks the argument, so that only
# the default may be given.
_TABLE = {
    "x": "Abs Sign Neg=negative Square ZerosLike OnesLike Round Rint Floor Ceil LogicalNot "
    "IsNan IsFinite IsInf Sqrt Rsqrt Exp Expm1 Log Log1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh "
    "Asinh Acosh Atanh Sigmoid Erf Erfc Erfinv Reciprocal Lgamma Digamma Ndtri",
    "x y": "Add AddV2=add Sub=subtract Mul=multiply FloorMod=floormod Pow Maximum Minimum "
    "DivNoNan=divide_no_nan FloorDiv=floordiv Less LessEqual Greater GreaterEqual LogicalAnd "
    "LogicalOr RealDiv=truediv SquaredDifference Xlogy Xlog1py Xdivy MulNoNan=multiply_no_nan",
    "y x": "Atan2",
    "x y incompatible_shape_error=[True]": "Equal NotEqual",
    "input=input_tensor axis keep_dims=keepdims[False]": "Sum=reduce_sum Mean=reduce_mean "
    "Max=reduce_max Min=reduce_min Prod=reduce_prod Any=reduce_any All=reduce_all",
}
_OF_INPUT = {"ZerosLike", "OnesLike"}  # their functions call `x` by the name `input`
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
        windows.max_pool2d,
        "input ksize strides padding explicit_paddings=[[]] data_format['NHWC']",
    ),
    "AvgPool": (windows.avg_pool2d, "value=input ksize strides padding data_format['NHWC']"),
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
    "OneHot": (ops.one_hot, "indices depth on_value off_value axis[-1]"),
    "ArgMax": (ops.argmax, "input dimension=axis output_type[int64]"),
    "ArgMin": (ops.argmin, "input dimension=axis output_type[int64]"),
    "Cumsum": (ops.cumsum, "x axis exclusive[False] reverse[False]"),
    "Shape": (ops.shape, "input out_type[int32]"),
    "Size": (ops.size, "input out_type[int32]"),
    "Rank": (ops.rank, "input"),
    "Identity": (ops.identity, "input"),
    "StopGradient": (ops.stop_gradient, "input"),
    "AddN": (ops.add_n, "inputs"),
    "Cholesky": (linalg.cholesky, "input"),
    "MatrixInverse": (linalg.inv, "input adjoint[False]"),
    "MatrixDeterminant": (linalg.det, "input"),
    "Qr": (linalg.qr, "input full_matrices[False]"),
    "HSVToRGB": (image.hsv_to_rgb, "images"),
    "RGBToHSV": (image.rgb_to_hsv, "images"),
}
_DTYPES = {"int32": dtypes.int32, "int64": dtypes.int64}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _parameter(entry: str) -> tuple[inspect.Parameter, str]:
    """The name of an argument in the table, and its name in the function."""
    names, bracket, default = entry.partition("[")
    name, equals, ours = names.partition("=")
    value: Any = inspect.Parameter.empty
    if bracket:
        text = default.removesuffix("]")
        value = _DTYPES[text] if text in _DTYPES else ast.literal_eval(text)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=value, annotation="Any"), ours if equals else name


def _operation(name: str, function: Callable, arguments: str) -> Callable:
    entries = [_parameter(entry) for entry in arguments.split()]
    ours = {p.name: to for p, to in entries}
    defaults = {p.name: p.default for p, _ in entries if p.default is not p.empty}

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
        return function(**{ours[k]: v for k, v in kwargs.items()})

    call.__name__ = call.__qualname__ = name
    call.__module__ = "keraslike.tf"
    called = inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(p for p, _ in entries), called], return_annotation="Any"
    )
    call.__doc__ = _documentation(name, function, ours)
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
    return "\n".join([">>> from keraslike import tf", f">>> {code}", *lines[last:]]).strip()


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
