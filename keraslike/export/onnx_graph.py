"""ONNX graphs of programs of JAX primitives.

Each primitive of the traced function becomes nodes by a line or a function of the tables below.
Loops, branches, sorting and scatter are in `onnx_loops.py`. The package `onnx` serializes nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.core import dtypes
from keraslike.export import primitives
from keraslike.export.endpoints import Endpoint
from keraslike.export.primitives import NoOperator, is_number

OPSET, IR = 20, 9


class Graph(primitives.Graph):
    """Nodes and constants of an ONNX graph."""

    format = "ONNX"
    scans = True  # whether Scan, whose body reads outer tensors, may be used

    def __init__(self, onnx: Any):
        super().__init__()
        self.onnx, self.helper = onnx, onnx.helper
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"/{self.count}"  # no path of a variable begins with a slash

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name() for _ in range(outputs)]
        # Runtimes give the name of a node in their errors, so it begins with that of the layer.
        name = f"{self.where}{names[0]}" if self.where else ""
        self.nodes.append(self.helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = None, name: str | None = None) -> str:
        array = np.asarray(value, dtype)
        name = name or self.name()
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def type_of(self, dtype: Any) -> int:
        return self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def info(self, name: str, aval: Any) -> Any:
        shape = [n if isinstance(n, int) else str(n) for n in aval.shape]
        return self.helper.make_tensor_value_info(name, self.type_of(aval.dtype), shape)

    def cast(self, x: str, dtype: Any) -> str:
        return self.node("Cast", x, to=self.type_of(dtype))

    # -- sizes ------------------------------------------------------------------------------------

    def shape(self, sizes: Sequence[Any]) -> str:
        """A shape as an int64 tensor."""
        if all(map(is_number, sizes)):
            return self.constant(sizes, "int64")
        return self.node("Concat", *map(self.size, sizes), axis=0)

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(values, "int64")

    def size_op(self, kind: str, *inputs: str) -> str:
        if kind != "floordiv":
            return self.node(kind.capitalize(), *inputs)
        a, b = inputs  # Div rounds towards zero, but the result of Mod has the divisor's sign
        return self.node("Div", self.node("Sub", a, self.node("Mod", a, b)), b)

    # -- programs ---------------------------------------------------------------------------------

    def model(self, endpoint: Endpoint, arrays: dict[str, tuple[Any, np.ndarray]]) -> Any:
        """The endpoint as a `ModelProto`."""
        program, outputs = self.program(endpoint, arrays)
        names = [self.constant(a, name=n) for n, (_, a) in arrays.items()]
        inputs = primitives.names_of(
            dict(zip(endpoint.argument_names, endpoint.signature)), "input"
        )
        inputs = [n + "_" if n in self.constants else n for n in inputs]
        avals = [v.aval for v in program.jaxpr.invars[len(names) :]]
        for name, aval in zip(inputs, avals, strict=True):
            for axis, symbol in self.unnamed_sizes(aval):
                self.symbols[symbol] = self.node("Shape", name, start=axis, end=axis + 1)
        found = self.run(program.jaxpr, program.consts, [*names, *inputs])
        taken = {*self.constants, *inputs}
        results = [n + "_out" if n in taken else n for n in primitives.names_of(outputs, "output")]
        for name, at in zip(results, found, strict=True):
            self.nodes.append(self.helper.make_node("Identity", [at], [name]))
        graph = self.helper.make_graph(
            self.nodes,
            endpoint.name,
            [self.info(n, a) for n, a in zip(inputs, avals)],
            [self.info(n, v.aval) for n, v in zip(results, program.jaxpr.outvars)],
            list(_used(self.nodes, self.constants)),
        )
        opset = self.helper.make_opsetid("", OPSET)
        return self.helper.make_model(
            graph, opset_imports=[opset], ir_version=IR, producer_name="keraslike"
        )

    def transpose(self, x: str, order: Sequence[int]) -> str:
        if list(order) == sorted(order):
            return x
        return self.node("Transpose", x, perm=[int(n) for n in order])

    def slice(self, x: str, axes: Any, starts: Any, ends: Any, steps: Any = None) -> str:
        steps = steps or [1] * len(axes)
        given = [s if isinstance(s, str) else self.shape(s) for s in (starts, ends)]
        return self.node("Slice", x, *given, self.shape(axes), self.shape(steps))

    def reverse(self, x: str, axes: Sequence[int]) -> str:
        least, back = [np.iinfo("int64").min] * len(axes), [-1] * len(axes)
        return self.slice(x, axes, back, least, back)


def _used(nodes: Sequence[Any], constants: dict[str, Any]) -> Any:
    names: set[str] = set()
    rest = list(nodes)
    while rest:
        node = rest.pop()
        names.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                rest += attribute.g.node
                names.update(o.name for o in attribute.g.output)
    return (value for name, value in constants.items() if name in names)


# -- primitives -----------------------------------------------------------------------------------

_SIMPLE = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "add_any": "Add", "asin": "Asin",
    "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "copy": "Identity",
    "copy_p": "Identity", "cos": "Cos", "cosh": "Cosh", "div": "Div", "eq": "Equal", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual",
    "log": "Log", "logistic": "Sigmoid", "lt": "Less", "mul": "Mul", "neg": "Neg",
    "once": "Identity", "pow": "Pow", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt",
    "stop_gradient": "Identity", "sub": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip

_RULES: dict[str, Callable[..., Any]] = {}
Graph.simple, Graph.rules = _SIMPLE, _RULES
rule = Graph.rule


def _scalar_like(g: Graph, eqn: Any, value: float = 1) -> str:
    return g.constant(value, eqn.invars[0].aval.dtype)


_RULES.update(
    {
        "rsqrt": lambda g, eqn, x: g.node("Reciprocal", g.node("Sqrt", x)),
        "square": lambda g, eqn, x: g.node("Mul", x, x),
        "erfc": lambda g, eqn, x: g.node("Sub", _scalar_like(g, eqn), g.node("Erf", x)),
        "log1p": lambda g, eqn, x: g.node("Log", g.node("Add", x, _scalar_like(g, eqn))),
        "expm1": lambda g, eqn, x: g.node("Sub", g.node("Exp", x), _scalar_like(g, eqn)),
        "exp2": lambda g, eqn, x: g.node("Pow", _scalar_like(g, eqn, 2), x),
        "integer_pow": lambda g, eqn, x: g.node("Pow", x, _scalar_like(g, eqn, eqn.params["y"])),
        "ne": lambda g, eqn, x, y: g.node("Not", g.node("Equal", x, y)),
        "rem": lambda g, eqn, x, y: g.node("Mod", x, y, fmod=1),
        "clamp": lambda g, eqn, low, x, high: g.node("Min", g.node("Max", x, low), high),
        "is_finite": lambda g, eqn, x: g.node(
            "Not", g.node("Or", g.node("IsInf", x), g.node("IsNaN", x))
        ),
        "convert_element_type": lambda g, eqn, x: g.cast(x, eqn.params["new_dtype"]),
        "transpose": lambda g, eqn, x: g.node("Transpose", x, perm=eqn.params["permutation"]),
        "concatenate": lambda g, eqn, *xs: g.node("Concat", *xs, axis=eqn.params["dimension"]),
        "cumsum": lambda g, eqn, x: g.node(
            "CumSum", x, g.constant(eqn.params["axis"], "int64"), reverse=int(eqn.params["reverse"])
        ),
    }
)


@rule("max", "min")
def _extreme(g: Graph, eqn: Any, x: str, y: str) -> str:
    high = eqn.primitive.name == "max"
    if eqn.invars[0].aval.dtype == bool:
        return g.node("Or" if high else "And", x, y)
    return g.node("Max" if high else "Min", x, y)


@rule("and", "or", "xor", "not")
def _logical(g: Graph, eqn: Any, *xs: str) -> str:
    kind = eqn.primitive.name.capitalize()
    return g.node(kind if eqn.invars[0].aval.dtype == bool else f"Bitwise{kind}", *xs)


@rule("select_n")
def _select(g: Graph, eqn: Any, which: str, *cases: str) -> str:
    if len(cases) != 2 or eqn.invars[0].aval.dtype != bool:
        raise NoOperator("more than two cases")
    if eqn.outvars[0].aval.dtype == bool:  # onnxruntime has no Where of bools
        no = g.node("And", g.node("Not", which), cases[0])
        return g.node("Or", g.node("And", which, cases[1]), no)
    return g.node("Where", which, cases[1], cases[0])


@rule("round")
def _round(g: Graph, eqn: Any, x: str) -> str:
    if int(eqn.params["rounding_method"]) == 1:
        return g.node("Round", x)
    up = g.node("Floor", g.node("Add", g.node("Abs", x), _scalar_like(g, eqn, 0.5)))
    return g.node("Mul", g.node("Sign", x), up)


@rule("reshape", "squeeze", "expand_dims")
def _reshape(g: Graph, eqn: Any, x: str, *_: str) -> str:
    if eqn.params.get("dimensions") is not None and eqn.primitive.name == "reshape":
        raise NoOperator("an order of dimensions")
    return g.node("Reshape", x, g.shape(eqn.outvars[0].aval.shape), allowzero=1)


@rule("broadcast_in_dim")
def _broadcast(g: Graph, eqn: Any, x: str, *_: str) -> str:
    given, shape = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
    places = eqn.params["broadcast_dimensions"]
    ones: list[Any] = [1] * len(shape)
    for axis, n in zip(places, given):
        ones[axis] = n
    if given != tuple(ones):
        x = g.node("Reshape", x, g.shape(ones), allowzero=1)
    return x if tuple(ones) == tuple(shape) else g.node("Expand", x, g.shape(shape))


@rule("iota")
def _iota(g: Graph, eqn: Any, *_: str) -> str:
    shape, axis = eqn.outvars[0].aval.shape, eqn.params["dimension"]
    end = g.node("Squeeze", g.size(shape[axis]))
    x = g.node("Range", g.constant(0, "int64"), end, g.constant(1, "int64"))
    ones: list[Any] = [1] * len(shape)
    ones[axis] = shape[axis]
    x = g.node("Expand", g.node("Reshape", x, g.shape(ones), allowzero=1), g.shape(shape))
    return g.cast(x, eqn.params["dtype"])


@rule("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or")
def _reduce(g: Graph, eqn: Any, x: str) -> str:
    kind = eqn.primitive.name.removeprefix("reduce_")
    name = {"and": "Min", "or": "Max"}.get(kind, kind.capitalize())
    axes, logical = g.constant(eqn.params["axes"], "int64"), kind in ("and", "or")
    if logical and eqn.invars[0].aval.dtype != bool:
        raise NoOperator("bits of integers")
    if not eqn.params["axes"]:
        return x
    x = g.node(f"Reduce{name}", g.cast(x, "int32") if logical else x, axes, keepdims=0)
    return g.cast(x, bool) if logical else x


@rule("argmax", "argmin")
def _arg(g: Graph, eqn: Any, x: str) -> str:
    kind = "ArgMax" if eqn.primitive.name == "argmax" else "ArgMin"
    found = g.node(kind, x, axis=eqn.params["axes"][0], keepdims=0)
    return g.cast(found, eqn.params["index_dtype"])


@rule("stack")
def _stack(g: Graph, eqn: Any, *xs: str) -> str:
    axis = g.constant([eqn.params["axis"]], "int64")
    parts = [g.node("Unsqueeze", x, axis) for x in xs]
    return g.node("Concat", *parts, axis=eqn.params["axis"])


@rule("dim_as_value")
def _dim(g: Graph, eqn: Any, *_: str) -> str:
    size = g.node("Squeeze", g.size(eqn.params["dim"]))
    return g.cast(size, eqn.outvars[0].aval.dtype)


@rule("slice")
def _slice(g: Graph, eqn: Any, x: str) -> str:
    p, axes = eqn.params, range(len(eqn.invars[0].aval.shape))
    return g.slice(x, list(axes), p["start_indices"], p["limit_indices"], p["strides"])


@rule("rev")
def _reverse(g: Graph, eqn: Any, x: str) -> str:
    return g.reverse(x, list(eqn.params["dimensions"]))


@rule("split")
def _split(g: Graph, eqn: Any, x: str) -> Any:
    sizes = eqn.params["sizes"]
    return g.node("Split", x, g.shape(sizes), outputs=len(sizes), axis=eqn.params["axis"])


@rule("pad")
def _pad(g: Graph, eqn: Any, x: str, value: str) -> str:
    sizes = list(eqn.invars[0].aval.shape)
    low, high, inner = zip(*eqn.params["padding_config"])
    for axis, more in enumerate(inner):
        if more:  # pads after each element, then removes the padding after the last one
            x = g.node("Unsqueeze", x, g.constant([axis + 1], "int64"))
            ends = [0] * (len(sizes) + 1)
            ends[axis + 1] = more
            x = g.node("Pad", x, g.shape([*[0] * len(ends), *ends]), value)
            sizes[axis] = sizes[axis] * (more + 1)
            x = g.node("Reshape", x, g.shape(sizes), allowzero=1)
            sizes[axis] = sizes[axis] - more
            x = g.slice(x, [axis], [0], [sizes[axis]])
    if not any((*low, *high)):
        return x
    return g.node("Pad", x, g.shape([*low, *high]), value)


@rule("dot_general")
def _dot(g: Graph, eqn: Any, x: str, y: str) -> str:
    (left, right), (batch_left, batch_right) = eqn.params["dimension_numbers"]
    dtype, ranks = eqn.outvars[0].aval.dtype, [len(v.aval.shape) for v in eqn.invars]
    x, y = (z if v.aval.dtype == dtype else g.cast(z, dtype) for z, v in zip((x, y), eqn.invars))
    if tuple(left) == (ranks[0] - 1,) and tuple(right) == (0,) and ranks[1] == 2:
        return g.node("MatMul", x, y)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    a, b = [next(letters) for _ in range(ranks[0])], [next(letters) for _ in range(ranks[1])]
    for i, j in zip((*left, *batch_left), (*right, *batch_right)):
        b[j] = a[i]
    out = [a[i] for i in batch_left]
    out += [c for i, c in enumerate(a) if i not in (*left, *batch_left)]
    out += [c for i, c in enumerate(b) if i not in (*right, *batch_right)]
    return g.node("Einsum", x, y, equation=f"{''.join(a)},{''.join(b)}->{''.join(out)}")


@rule("conv_general_dilated")
def _conv(g: Graph, eqn: Any, x: str, w: str) -> str:
    p = eqn.params
    numbers, groups, stretch = p["dimension_numbers"], p["feature_group_count"], p["lhs_dilation"]
    if p["batch_group_count"] != 1:
        raise NoOperator("groups of samples")
    x = g.transpose(x, numbers.lhs_spec)
    low, high = zip(*p["padding"])
    known = all(map(is_number, (*low, *high)))
    if not known and all(n == 1 for n in stretch):
        x = g.node("Pad", x, g.shape([0, 0, *low, 0, 0, *high]))
        low = high = [0] * len(low)
    elif not known:
        raise NoOperator("padding of a transposed convolution that depends on the sizes")
    extra: dict[str, Any] = {}
    dilations, strides = list(p["rhs_dilation"]), list(p["window_strides"])
    if all(n == 1 for n in stretch):
        if min(*low, *high) < 0:
            raise NoOperator("negative padding")
        w, kind = g.transpose(w, numbers.rhs_spec), "Conv"
    else:
        if groups != 1 or any(n != 1 for n in strides):
            raise NoOperator("groups or strides of a transposed convolution")
        out, into, *space = numbers.rhs_spec
        w = g.transpose(w, (into, out, *space))
        w = g.reverse(w, list(range(2, 2 + len(space))))
        reach = [(eqn.invars[1].aval.shape[i] - 1) * d for i, d in zip(space, dilations)]
        low, high = ([r - n for r, n in zip(reach, some)] for some in (low, high))
        more = [max(0, -n) for n in high]
        if min(low) < 0 or any(n >= s for n, s in zip(more, stretch)):
            raise NoOperator("such padding of a transposed convolution")
        high, strides = [max(0, n) for n in high], list(stretch)
        kind, extra = "ConvTranspose", {"output_padding": more}
    pads = [int(n) for n in (*low, *high)]
    y = g.node(kind, x, w, strides=strides, dilations=dilations, pads=pads, group=groups, **extra)
    return g.transpose(y, np.argsort(numbers.out_spec).tolist())


@rule("reduce_window_max", "reduce_window_sum")
def _pool(g: Graph, eqn: Any, x: str) -> str:
    p = eqn.params
    each = list(zip(p["window_dimensions"], p["window_strides"], p["padding"]))
    fixed = [i for i, one in enumerate(each) if one == (1, 1, (0, 0))]
    if any(n != 1 for n in p["base_dilation"]) or len(fixed) < 2:
        raise NoOperator("windows along all axes")
    outer = [fixed[0], fixed[-1]]
    space = [i for i in range(len(each)) if i not in outer]
    order = [*outer, *space]
    about: dict[str, Any] = {
        "kernel_shape": [each[i][0] for i in space],
        "strides": [each[i][1] for i in space],
        "pads": [each[i][2][end] for end in (0, 1) for i in space],
        "dilations": [p["window_dilation"][i] for i in space],
    }
    x = g.transpose(x, order)
    if not all(map(is_number, about["pads"])):
        is_max, dtype = eqn.primitive.name == "reduce_window_max", eqn.invars[0].aval.dtype
        if is_max and not dtypes.is_float(dtype):
            raise NoOperator("padding of integers that depends on the sizes")
        low, high = about["pads"][: len(space)], about["pads"][len(space) :]
        outside = g.constant(-np.inf if is_max else 0, dtype)
        x = g.node("Pad", x, g.shape([0, 0, *low, 0, 0, *high]), outside)
        about["pads"] = [0] * len(about["pads"])
    if eqn.primitive.name == "reduce_window_max":
        y = g.node("MaxPool", x, **about)
    else:
        y = g.node("AveragePool", x, count_include_pad=1, **about)
        y = g.node("Mul", y, _scalar_like(g, eqn, math.prod(about["kernel_shape"])))
    return g.transpose(y, np.argsort(order).tolist())


@rule("gather")
def _gather(g: Graph, eqn: Any, x: str, at: str) -> str:
    p, numbers = eqn.params, eqn.params["dimension_numbers"]
    (shape, indices), out = (v.aval.shape for v in eqn.invars), eqn.outvars[0].aval
    axes, sizes, mode = list(numbers.start_index_map), p["slice_sizes"], p["mode"].name
    offsets, batch, collapsed = (
        list(numbers.offset_dims),
        indices[:-1],
        numbers.collapsed_slice_dims,
    )
    along = list(numbers.operand_batching_dims)  # batch axes of both the operand and the indices
    along_in = list(numbers.start_indices_batching_dims)
    rest = [i for i in range(len(shape)) if i not in (*axes, *along)]
    whole = all(shape[i] == sizes[i] for i in rest)
    if not whole or not set(collapsed) <= set(axes):
        raise NoOperator("parts along axes without an index")
    at, zero = g.cast(at, "int64"), g.constant(0, "int64")
    size = g.shape([sizes[i] for i in axes])
    inside = ""
    if mode != "PROMISE_IN_BOUNDS":
        last = g.node("Sub", g.shape([shape[i] for i in axes]), size)
        within = g.node("And", g.node("GreaterOrEqual", at, zero), g.node("LessOrEqual", at, last))
        inside = g.node("ReduceMin", g.cast(within, "int32"), g.constant([-1], "int64"), keepdims=0)
        at = g.node("Min", g.node("Max", at, zero), last)
    if not batch:
        y = g.slice(x, axes, at, g.node("Add", at, size))
        y = g.node("Squeeze", y, g.constant(collapsed, "int64")) if collapsed else y
    elif set(collapsed) == set(axes):
        first = [*along_in, *(i for i in range(len(batch)) if i not in along_in)]
        at, x = g.transpose(at, [*first, len(batch)]), g.transpose(x, [*along, *axes, *rest])
        y = g.node("GatherND", x, at, batch_dims=len(along))
        places = [i for i in range(len(out.shape)) if i not in offsets]
        y = g.transpose(y, np.argsort([*(places[i] for i in first), *offsets]).tolist())
    else:
        raise NoOperator("parts at several places")
    if mode != "FILL_OR_DROP":
        return y
    if out.dtype.kind == "b":
        raise NoOperator("truth values at places that may be outside")
    fill = primitives.fill_value(p["fill_value"], out.dtype)
    spread: list[Any] = [1 if i in offsets else n for i, n in enumerate(out.shape)]
    inside = g.node("Reshape", g.cast(inside, bool), g.shape(spread), allowzero=1)
    return g.node("Where", inside, y, g.constant(fill, out.dtype))
