"""Maps TensorFlow's functions in graphs of Keras 2 to equivalent ops.

A layer `TFOpLambda` holds the name of a function (`"math.reduce_sum"`) and is called with that
function's arguments. `call` converts such a call to one of the op.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class _Op(NamedTuple):
    """An op, and its names for the arguments of TensorFlow's function."""

    name: str
    arguments: dict[str, str]
    # Arguments -> the values for which the op computes the same.
    only: dict[str, tuple[Any, ...]] = {}
    # A further conversion of the keyword arguments.
    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None


def _two(op: str) -> _Op:
    return _Op(op, {"y": "x2"})


def _one(op: str) -> _Op:
    return _Op(op, {})


def _reduction(op: str, **names: str) -> _Op:
    return _Op(op, {"axis": "axis", "keepdims": "keepdims", **names})


def _first_axis(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"axis": 0, **kwargs}


def _sizes(kwargs: dict[str, Any]) -> dict[str, Any]:
    """`tf.split` takes sizes, `ops.split` takes indices."""
    parts = kwargs["indices_or_sections"]
    if isinstance(parts, list):
        kwargs["indices_or_sections"] = [int(i) for i in np.cumsum(parts)[:-1]]
    return _first_axis(kwargs)


def _lower(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v.lower() if k == "mode" else v for k, v in kwargs.items()}


def _slices(kwargs: dict[str, Any]) -> dict[str, Any]:
    """`x[...]`: in the file a slice is a dict of its three parts."""
    spec = kwargs["key"]
    if not isinstance(spec, list):
        return {"key": _slice(spec)}
    return {"key": [_slice(s) for s in spec]}


def _slice(part: Any) -> Any:
    if isinstance(part, dict) and {"start", "stop", "step"} == set(part):
        return {"class_name": "__slice__", "config": part}
    return part


_INTEGERS = {"output_type": ("int32", "int64")}

_NAMES: dict[str, _Op] = {
    # Arithmetic.
    "__operators__.add": _two("add"),
    "__operators__.eq": _Op("equal", {"other": "x2"}),
    "__operators__.getitem": _Op("get_item", {"slice_spec": "key"}, change=_slices),
    "__operators__.ne": _Op("not_equal", {"other": "x2"}),
    "math.abs": _one("absolute"),
    "math.add": _two("add"),
    "math.argmax": _Op("argmax", {"axis": "axis"}, _INTEGERS, _first_axis),
    "math.argmin": _Op("argmin", {"axis": "axis"}, _INTEGERS, _first_axis),
    "math.atan2": _Op("arctan2", {"x": "x2"}),
    "math.ceil": _one("ceil"),
    "math.cos": _one("cos"),
    "math.cosh": _one("cosh"),
    "math.cumprod": _Op("cumprod", {"axis": "axis"}, {"exclusive": (False,), "reverse": (False,)}),
    "math.cumsum": _Op("cumsum", {"axis": "axis"}, {"exclusive": (False,), "reverse": (False,)}),
    "math.divide": _two("divide"),
    "math.divide_no_nan": _two("divide_no_nan"),
    "math.equal": _two("equal"),
    "math.erf": _one("erf"),
    "math.exp": _one("exp"),
    "math.expm1": _one("expm1"),
    "math.floor": _one("floor"),
    "math.floordiv": _two("floor_divide"),
    "math.floormod": _two("mod"),
    "math.greater": _two("greater"),
    "math.greater_equal": _two("greater_equal"),
    "math.is_finite": _one("isfinite"),
    "math.is_inf": _one("isinf"),
    "math.is_nan": _one("isnan"),
    "math.less": _two("less"),
    "math.less_equal": _two("less_equal"),
    "math.log": _one("log"),
    "math.log1p": _one("log1p"),
    "math.log_sigmoid": _one("log_sigmoid"),
    "math.logical_and": _two("logical_and"),
    "math.logical_not": _one("logical_not"),
    "math.logical_or": _two("logical_or"),
    "math.logical_xor": _two("logical_xor"),
    "math.maximum": _two("maximum"),
    "math.minimum": _two("minimum"),
    "math.mod": _two("mod"),
    "math.multiply": _two("multiply"),
    "math.negative": _one("negative"),
    "math.not_equal": _two("not_equal"),
    "math.pow": _two("power"),
    "math.reciprocal": _one("reciprocal"),
    "math.reduce_all": _reduction("all"),
    "math.reduce_any": _reduction("any"),
    "math.reduce_logsumexp": _reduction("logsumexp"),
    "math.reduce_max": _reduction("max"),
    "math.reduce_mean": _reduction("mean"),
    "math.reduce_min": _reduction("min"),
    "math.reduce_prod": _reduction("prod"),
    "math.reduce_std": _reduction("std"),
    "math.reduce_sum": _reduction("sum"),
    "math.reduce_variance": _reduction("var"),
    "math.round": _one("round"),
    "math.rsqrt": _one("rsqrt"),
    "math.sigmoid": _one("sigmoid"),
    "math.sign": _one("sign"),
    "math.sin": _one("sin"),
    "math.sinh": _one("sinh"),
    "math.softplus": _one("softplus"),
    "math.sqrt": _one("sqrt"),
    "math.square": _one("square"),
    "math.subtract": _two("subtract"),
    "math.tan": _one("tan"),
    "math.tanh": _one("tanh"),
    "math.top_k": _Op("top_k", {"k": "k", "sorted": "sorted"}),
    "math.truediv": _two("divide"),
    "clip_by_value": _Op("clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    # Activations.
    "nn.elu": _one("elu"),
    "nn.gelu": _Op(
        "gelu", {"approximate": "approximate"}, change=lambda k: {"approximate": False} | k
    ),
    "nn.leaky_relu": _Op("leaky_relu", {"alpha": "negative_slope"}),
    "nn.log_softmax": _Op("log_softmax", {"axis": "axis"}),
    "nn.relu": _one("relu"),
    "nn.relu6": _one("relu6"),
    "nn.selu": _one("selu"),
    "nn.silu": _Op("silu", {}, {"beta": (1.0,)}),
    "nn.softmax": _Op("softmax", {"axis": "axis"}),
    "nn.softsign": _one("softsign"),
    # Shapes.
    "broadcast_to": _Op("broadcast_to", {"shape": "shape"}),
    "cast": _Op("cast", {"dtype": "dtype"}),
    "concat": _Op("concatenate", {"axis": "axis"}),
    "expand_dims": _Op("expand_dims", {"axis": "axis"}),
    "gather": _Op(
        "take",
        {"indices": "indices", "axis": "axis"},
        {"batch_dims": (0,), "validate_indices": ()},
        _first_axis,
    ),
    "identity": _one("copy"),
    "one_hot": _Op(
        "one_hot",
        {"depth": "num_classes", "axis": "axis", "dtype": "dtype"},
        {"on_value": (1.0,), "off_value": (0.0,)},
    ),
    "ones_like": _Op("ones_like", {"dtype": "dtype"}),
    "pad": _Op(
        "pad",
        {"paddings": "pad_width", "mode": "mode", "constant_values": "constant_values"},
        change=_lower,
    ),
    "repeat": _Op("repeat", {"repeats": "repeats", "axis": "axis"}),
    "reshape": _Op("reshape", {"shape": "newshape"}),
    "reverse": _Op("flip", {"axis": "axis"}),
    "roll": _Op("roll", {"shift": "shift", "axis": "axis"}),
    "sort": _Op("sort", {"axis": "axis"}, {"direction": ("ASCENDING",)}),
    "split": _Op(
        "split", {"num_or_size_splits": "indices_or_sections", "axis": "axis"}, {"num": ()}, _sizes
    ),
    "squeeze": _Op("squeeze", {"axis": "axis"}),
    "stack": _Op("stack", {"axis": "axis"}),
    "stop_gradient": _one("stop_gradient"),
    "tile": _Op("tile", {"multiples": "repeats"}),
    "transpose": _Op("transpose", {"perm": "axes"}, {"conjugate": (False,)}),
    "unstack": _Op("unstack", {"num": "num", "axis": "axis"}),
    "where": _Op("where", {"x": "x1", "y": "x2"}),
    "zeros_like": _Op("zeros_like", {"dtype": "dtype"}),
    # Products.
    "linalg.matmul": _Op(
        "matmul",
        {"b": "x2"},
        dict.fromkeys(
            ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"),
            (False,),
        ),
    ),
    "tensordot": _Op("tensordot", {"b": "x2", "axes": "axes"}),
}

# Functions with two names in TensorFlow.
_SECOND = {
    "compat.v1.concat": "concat",
    "compat.v1.expand_dims": "expand_dims",
    "compat.v1.floor_div": "math.floordiv",
    "compat.v1.gather": "gather",
    "compat.v1.pad": "pad",
    "compat.v1.squeeze": "squeeze",
    "compat.v1.transpose": "transpose",
    "matmul": "linalg.matmul",
    "nn.sigmoid": "math.sigmoid",
    "nn.softplus": "math.softplus",
    "nn.swish": "nn.silu",
    "nn.tanh": "math.tanh",
}


def _find(function: str) -> _Op:
    for name in (function, _SECOND.get(function, ""), f"math.{function}"):
        if name in _NAMES:
            return _NAMES[name]
    raise ValueError(
        f"The model calls TensorFlow's '{function}', for which keraslike.ops has no function. "
        "Make the model anew, and load its weights."
    )


def operation(function: str, name: Any) -> dict[str, Any]:
    """The entry of the op that corresponds to a function of TensorFlow's.

    Raises ValueError if there is none.
    """
    class_name = "".join(part.capitalize() for part in _find(function).name.split("_"))
    return {
        "module": "keras.ops",
        "class_name": class_name,
        "config": {"name": name},
        "registered_name": class_name,
        "name": name,
    }


def call(function: str, node: dict[str, Any]) -> dict[str, Any]:
    """The call of the op that corresponds to a call of TensorFlow's function.

    Args:
        function: its name in TensorFlow.
        node: `{"args", "kwargs"}`, the arguments by TensorFlow's names.

    Raises ValueError for an argument that the op does not have and that changes the result.
    """
    op = _find(function)
    kwargs: dict[str, Any] = {}
    for name, value in node["kwargs"].items():
        if name in op.arguments:
            # This is not TensorFlow's default either, which may differ from the op's.
            if value is not None:
                kwargs[op.arguments[name]] = value
        elif value is not None and name != "name" and value not in op.only.get(name, ()):
            raise ValueError(
                f"The model calls TensorFlow's '{function}' with {name}={value!r}, for which "
                f"keraslike.ops.{op.name} has no argument. Make the model anew, and load its "
                "weights."
            )
    if op.change is not None:
        kwargs = op.change(kwargs)
    args = list(node["args"])
    if op.name == "get_item":  # Keras 3 passes the key by position.
        args.append(kwargs.pop("key"))
    if "x2" in op.arguments.values():  # TensorFlow converts lists to tensors there.
        args = [_constant(a) for a in args]
        kwargs = {k: _constant(v) if k in ("x1", "x2") else v for k, v in kwargs.items()}
    return {"args": args, "kwargs": kwargs}


def _constant(value: Any) -> Any:
    if not isinstance(value, list) or any(isinstance(v, dict) for v in value):
        return value
    array = np.asarray(value)
    dtype = {"f": "float32", "i": "int32"}.get(array.dtype.kind, "bool")
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}
