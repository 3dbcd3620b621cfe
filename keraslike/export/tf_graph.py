"""TensorFlow graphs, in the JSON form of TensorFlow.js, of programs of JAX primitives.

Only operations that TensorFlow.js has are used. Its numbers are `float32` and `int32`, to which all
integer dtypes are converted. Padding, dilation and groups that its convolutions lack are separate
operations before and after them. Loops become `While`.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.export import primitives
from keraslike.export.endpoints import Endpoint
from keraslike.export.primitives import NoOperator, is_number

_NARROW = ("int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64")
_MOST_EXACT = 1 << 24  # float32 represents all integers up to this one


def kind_of(dtype: Any) -> str:
    """The graph's dtype: `float32`, `int32` or `bool`. Raises NoOperator for others."""
    name = np.dtype(dtype).name
    if name in ("float32", "bool"):
        return name
    if np.dtype(dtype).kind in "iu":
        return "int32"
    raise NoOperator(f"numbers of {name}")


def type_(kind: str) -> dict[str, str]:
    return {"type": {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL"}.get(kind, kind)}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def ints(values: Sequence[int]) -> dict[str, Any]:
    return {"list": {"i": [str(int(n)) for n in values]}}


class Graph(primitives.Graph):
    """Nodes, functions and constants of a graph."""

    format = "TensorFlow.js"

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[dict[str, Any]] = []
        self.functions: list[dict[str, Any]] = []
        self.values: dict[str, np.ndarray] = {}  # the values of constants, by name
        self._known: dict[Any, str] = {}  # a cache of small constants and of operations on sizes
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def node(
        self, kind: str, *inputs: str, outputs: Any = 1, of: Any = None, **attributes: Any
    ) -> Any:
        """Adds a node. Args: of: the dtype of the operation, its attribute `T`."""
        name = self.name()
        if of is not None:
            attributes["T"] = type_(of)
        self.nodes.append({"name": name, "op": kind, "input": list(inputs), "attr": attributes})
        return name if outputs == 1 else [name, *(f"{name}:{i}" for i in range(1, outputs))]

    def constant(self, value: Any, dtype: Any = None, name: str | None = None) -> str:
        array = np.asarray(value, dtype)
        kind, key = kind_of(array.dtype), None
        if array.size < 16 and name is None:
            key = (kind, array.shape, array.tobytes(), array.dtype)
            if key in self._known:
                return self._known[key]
        name = name or self.name()
        self.values[name] = array
        shape = {"dim": [{"size": str(n)} for n in array.shape]}
        value = {"tensor": {"dtype": type_(kind)["type"], "tensorShape": shape}}
        attributes = {"dtype": type_(kind), "value": value}
        self.nodes.append({"name": name, "op": "Const", "attr": attributes})
        if key is not None:
            self._known[key] = name
        return name

    def cast(self, x: str, before: Any, after: Any) -> str:
        before, after = kind_of(before), kind_of(after)
        if before == after:
            return x
        return self.node("Cast", x, SrcT=type_(before), DstT=type_(after))

    # -- sizes ------------------------------------------------------------------------------------

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.asarray(values, "int32").reshape(-1))

    def size_op(self, kind: str, *inputs: str) -> str:
        key = (kind, inputs)
        if key not in self._known:
            name = {"add": "AddV2", "max": "Maximum", "min": "Minimum", "mod": "FloorMod"}
            name |= {"floordiv": "FloorDiv"}
            self._known[key] = self.node(name.get(kind, kind.capitalize()), *inputs, of="int32")
        return self._known[key]

    def shape(self, sizes: Sequence[Any]) -> str:
        """A shape as an int32 tensor."""
        if all(map(is_number, sizes)):
            return self.integers([int(n) for n in sizes])
        parts = list(map(self.size, sizes))
        if len(parts) == 1:
            return parts[0]
        key = ("shape", tuple(parts))
        if key not in self._known:
            self._known[key] = self.concat(parts, 0, "int32")
        return self._known[key]

    def scalar(self, n: Any) -> str:
        """A size as an int32 scalar."""
        if is_number(n):
            return self.constant(int(n), "int32")
        return self.reshape(self.size(n), (), "int32")

    # -- operations that several primitives share -------------------------------------------------

    def concat(self, parts: Sequence[str], axis: int, kind: str) -> str:
        many = {"N": {"i": str(len(parts))}, "Tidx": type_("int32")}
        return self.node("ConcatV2", *parts, self.constant(axis, "int32"), of=kind, **many)

    def reshape(self, x: str, sizes: Sequence[Any], kind: str) -> str:
        return self.node("Reshape", x, self.shape(sizes), of=kind, Tshape=type_("int32"))

    def select(
        self, xs: Sequence[str], given: Sequence[Sequence[Any]], shape: Sequence[Any], kind: str
    ) -> str:
        """Elements of one of two tensors.

        Args:
            xs: the condition, the values where it is true, and the values elsewhere.
            given: the shapes of these three.
            shape: the shape of the result.
        """
        kinds = ("bool", kind, kind)
        if len(shape) > 4:  # TensorFlow.js on WebGL supports at most four axes here
            whole = [self.broadcast(x, at, shape, of) for x, at, of in zip(xs, given, kinds)]
            xs = [self.reshape(x, [-1], of) for x, of in zip(whole, kinds)]
        found = self.node("SelectV2", *xs, of=kind)
        return self.reshape(found, shape, kind) if len(shape) > 4 else found

    def broadcast(self, x: str, given: Sequence[Any], shape: Sequence[Any], kind: str) -> str:
        """Broadcasts `x`, of the shape `given`."""
        if tuple(given) == tuple(shape):
            return x
        return self.node("BroadcastTo", x, self.shape(shape), of=kind, Tidx=type_("int32"))

    def numbers_along(self, axis: int, shape: Sequence[Any]) -> str:
        """An int32 tensor of a shape, each element of which is its index along an axis."""
        zero, one = self.constant(0, "int32"), self.constant(1, "int32")
        x = self.node("Range", zero, self.scalar(shape[axis]), one, Tidx=type_("int32"))
        ones: list[Any] = [1] * len(shape)
        ones[axis] = shape[axis]
        return self.broadcast(self.reshape(x, ones, "int32"), ones, shape, "int32")

    def transpose(self, x: str, order: Any, kind: str) -> str:
        if list(order) == sorted(order):
            return x
        order = [int(n) for n in order]
        return self.node("Transpose", x, self.integers(order), of=kind, Tperm=type_("int32"))

    def slice(
        self, x: str, starts: Any, ends: Any, kind: str, steps: Any = None, shape: Any = None
    ) -> str:
        """A strided slice along all axes. If `shape`, that of `x`, is given, an end that is a whole
        unknown size needs no nodes."""
        whole = [not is_number(n) and bool(end == n) for end, n in zip(ends, shape or ())]
        whole = whole or [False] * len(ends)
        ends = [0 if all_of else end for all_of, end in zip(whole, ends)]
        given = [self.shape(s) for s in (starts, ends, steps or [1] * len(starts))]
        masks = ("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
        about: dict[str, Any] = {name: {"i": "0"} for name in masks}
        about["end_mask"] = {"i": str(sum(1 << i for i, all_of in enumerate(whole) if all_of))}
        return self.node("StridedSlice", x, *given, of=kind, Index=type_("int32"), **about)

    def binary(self, kind: str, x: str, y: str, of: str) -> str:
        return self.node(kind, x, y, of=of)

    def gathered(self, x: str, at: str, axis: int, kind: str) -> str:
        types = {"Tparams": type_(kind), "Tindices": type_("int32"), "Taxis": type_("int32")}
        axis_of = self.constant(axis, "int32")
        return self.node("GatherV2", x, at, axis_of, batch_dims={"i": "0"}, **types)

    def function(
        self, kinds: Sequence[str], build: Callable[[list[str]], Sequence[tuple[str, str]]]
    ) -> str:
        """A function of tensors of the dtypes `kinds`, and of all symbols for sizes.

        Args:
            build: maps the names of its arguments to those of its results, each with its dtype.
        """
        outer = self.nodes, self._known, self.symbols
        self.nodes, self._known = [], {}
        arguments = [self.name() for _ in kinds]
        self.symbols = {symbol: self.name() for symbol in outer[2]}
        given = [*zip(arguments, kinds), *((n, "int32") for n in self.symbols.values())]
        # The identities keep a tensor that is returned twice two outputs.
        found = [(self.node("Identity", n, of=kind), kind) for n, kind in build(arguments)]
        name = f"function_{self.name()}"
        signature = {
            "name": name,
            "inputArg": [{"name": n, **type_(kind)} for n, kind in given],
            "outputArg": [{"name": f"out_{n}", **type_(kind)} for n, kind in found],
        }
        returned = {f"out_{n}": f"{n}:0" for n, _ in found}
        self.functions.append({"signature": signature, "nodeDef": self.nodes, "ret": returned})
        self.nodes, self._known, self.symbols = outer
        return name

    # -- programs ---------------------------------------------------------------------------------

    def primitive(self, kind: str, eqn: Any, given: Sequence[str]) -> Any:
        if kind in _WRAPPING and eqn.outvars[0].aval.dtype.name in _NARROW:
            raise NoOperator(f"arithmetic of {eqn.outvars[0].aval.dtype.name}")
        if kind in self.simple:
            return self.node(self.simple[kind], *given, of=kind_of(eqn.invars[0].aval.dtype))
        return super().primitive(kind, eqn, given)

    def fill(
        self, endpoint: Endpoint, arrays: dict[str, tuple[Any, np.ndarray]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Adds an endpoint, and returns its inputs and its outputs as abstract arrays by name.

        Raises ValueError for one that changes state, and for a primitive without an operator.
        """
        try:
            return self._filled(endpoint, arrays)
        except NoOperator as e:  # for the dtype of a weight, an input or an output
            raise ValueError(
                f"{self.format} cannot express the endpoint '{endpoint.name}', which has {e}."
            ) from e

    def _filled(
        self, endpoint: Endpoint, arrays: dict[str, tuple[Any, np.ndarray]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        program, outputs = self.program(endpoint, arrays)
        weights = [
            self.constant(a, name=self._weight(n)) if used else ""
            for (n, (_, a)), used in zip(arrays.items(), _used(program.jaxpr, len(arrays)))
        ]
        tree = dict(zip(endpoint.argument_names, endpoint.signature))
        names = [_clean(n) for n in primitives.names_of(tree, "input")]
        names = [n + "_" if n in self.values else n for n in names]
        avals = [v.aval for v in program.jaxpr.invars[len(weights) :]]
        given = [self.input(name, aval) for name, aval in zip(names, avals, strict=True)]
        for x, aval in zip(given, avals):
            for axis, symbol in self.unnamed_sizes(aval):
                types = {"out_type": type_("int32")}
                whole = self.node("Shape", x, of=kind_of(aval.dtype), **types)
                self.symbols[symbol] = self.slice(whole, [axis], [axis + 1], "int32")
        found = self.run(program.jaxpr, program.consts, [*weights, *given])
        taken = {*self.values, *names}
        results = [_clean(n) for n in primitives.names_of(outputs, "output")]
        results = [n + "_out" if n in taken else n for n in results]
        for name, at, v in zip(results, found, program.jaxpr.outvars, strict=True):
            attributes = {"T": type_(kind_of(v.aval.dtype))}
            self.nodes.append({"name": name, "op": "Identity", "input": [at], "attr": attributes})
        made = dict(zip(results, (v.aval for v in program.jaxpr.outvars), strict=True))
        self._drop_unused(results)
        return dict(zip(names, avals, strict=True)), made

    def input(self, name: str, aval: Any, kind: str | None = None) -> str:
        """Adds an input, and returns the name of the tensor that the program uses for it."""
        sizes = [{"size": str(n) if isinstance(n, int) else "-1"} for n in aval.shape]
        types = {"dtype": type_(kind or kind_of(aval.dtype)), "shape": {"shape": {"dim": sizes}}}
        self.nodes.append({"name": name, "op": "Placeholder", "attr": types})
        return name

    def _weight(self, path: str) -> str:
        name = _clean(path)
        return name if name not in self.values else f"{name}_{len(self.values)}"

    def _drop_unused(self, results: Sequence[str]) -> None:
        by_name, wanted, rest = {n["name"]: n for n in self.nodes}, set(), list(results)
        while rest:
            name = rest.pop().partition(":")[0]
            if name not in wanted:
                wanted.add(name)
                rest += by_name[name].get("input", [])
        self.nodes = [n for n in self.nodes if n["name"] in wanted or n["op"] == "Placeholder"]
        within = (n["name"] for f in self.functions for n in f["nodeDef"])
        kept = {n["name"] for n in self.nodes} | set(within)
        self.values = {name: a for name, a in self.values.items() if name in kept}

    def as_json(self) -> dict[str, Any]:
        """The graph for JSON, without the values of constants."""
        topology = {"node": self.nodes, "versions": {"producer": 1882}}
        return {**topology, "library": {"function": self.functions}}


def _used(jaxpr: Any, count: int) -> list[bool]:
    read = {id(v) for eqn in jaxpr.eqns for v in eqn.invars} | {id(v) for v in jaxpr.outvars}
    return [id(v) in read for v in jaxpr.invars[:count]]


def _clean(name: str) -> str:
    """A name that TensorFlow accepts, and that no generated name is equal to."""
    name = re.sub(r"[^A-Za-z0-9_./-]", "_", name).lstrip("_/-.") or "x"
    return f"{name}_" if re.fullmatch(r"n\d+", name) else name


# -- primitives -----------------------------------------------------------------------------------

_WRAPPING = {
    "add", "add_any", "sub", "mul", "neg", "integer_pow", "square", "reduce_sum", "reduce_prod",
    "cumsum", "cumprod", "dot_general", "shift_left", "abs",
}  # fmt: skip

_SIMPLE = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "AddV2", "add_any": "AddV2",
    "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atan2": "Atan2", "atanh": "Atanh",
    "ceil": "Ceil", "copy": "Identity", "copy_p": "Identity", "cos": "Cos", "cosh": "Cosh",
    "eq": "Equal", "erf": "Erf", "exp": "Exp", "expm1": "Expm1", "floor": "Floor",
    "ge": "GreaterEqual", "gt": "Greater", "le": "LessEqual", "log": "Log", "log1p": "Log1p",
    "logistic": "Sigmoid", "lt": "Less", "mul": "Mul", "ne": "NotEqual", "neg": "Neg",
    "once": "Identity", "pow": "Pow", "rsqrt": "Rsqrt", "sign": "Sign", "sin": "Sin",
    "sinh": "Sinh", "sqrt": "Sqrt", "square": "Square", "stop_gradient": "Identity", "sub": "Sub",
    "tan": "Tan", "tanh": "Tanh", "is_finite": "IsFinite",
}  # fmt: skip


Graph.simple, Graph.rules = _SIMPLE, {}
rule = Graph.rule


def argument_kind(eqn: Any, at: int = 0) -> str:
    return kind_of(eqn.invars[at].aval.dtype)


@rule("convert_element_type")
def _convert(g: Graph, eqn: Any, x: str) -> str:
    before, after = eqn.invars[0].aval.dtype, eqn.params["new_dtype"]
    if np.dtype(after).name == "uint32" and before.kind != "b":
        raise NoOperator(f"a conversion of {before} to {np.dtype(after)}")
    if np.dtype(after).kind not in "iu" or np.dtype(after).itemsize > 2 or before.kind == "b":
        return g.cast(x, before, after)
    # The graph's integers have 32 bits. As in XLA, a float saturates at the limits of the narrow
    # dtype, and an integer keeps its lowest bits.
    low, high = int(np.iinfo(after).min), int(np.iinfo(after).max)
    if before.kind not in "iu":
        kept = g.binary("Maximum", x, g.constant(low, "float32"), "float32")
        kept = g.binary("Minimum", kept, g.constant(high, "float32"), "float32")
        return g.cast(kept, before, after)
    if np.iinfo(before).min >= low and np.iinfo(before).max <= high:
        return g.cast(x, before, after)
    moved = g.binary("Sub", x, g.constant(low, "int32"), "int32") if low else x
    rest = g.binary("FloorMod", moved, g.constant(high - low + 1, "int32"), "int32")
    return g.binary("AddV2", rest, g.constant(low, "int32"), "int32") if low else rest


@rule("erfc")
def _erfc(g: Graph, eqn: Any, x: str) -> str:
    return g.binary("Sub", g.constant(1, "float32"), g.node("Erf", x, of="float32"), "float32")


@rule("exp2")
def _exp2(g: Graph, eqn: Any, x: str) -> str:
    return g.binary("Pow", g.constant(2, "float32"), x, "float32")


@rule("integer_pow")
def _power(g: Graph, eqn: Any, x: str) -> str:
    n, kind = eqn.params["y"], argument_kind(eqn)
    found = x
    for _ in range(min(abs(n), 4) - 1):
        found = g.binary("Mul", found, x, kind)
    if abs(n) > 4 or n == 0:
        return g.binary("Pow", x, g.constant(n, kind), kind)
    return found if n > 0 else g.node("Reciprocal", found, of=kind)


@rule("div")
def _divide(g: Graph, eqn: Any, x: str, y: str) -> str:
    if argument_kind(eqn) == "float32":
        return g.binary("RealDiv", x, y, "float32")
    a, b = (g.node("Sign", z, of="int32") for z in (x, y))
    sign = g.binary("Mul", a, b, "int32")
    a, b = (g.node("Abs", z, of="int32") for z in (x, y))
    return g.binary("Mul", sign, g.binary("FloorDiv", a, b, "int32"), "int32")


@rule("rem")
def _remainder(g: Graph, eqn: Any, x: str, y: str) -> str:
    kind = argument_kind(eqn)
    a, b = (g.node("Abs", z, of=kind) for z in (x, y))
    rest = g.binary("FloorMod", a, b, kind)
    return g.binary("Mul", g.node("Sign", x, of=kind), rest, kind)


@rule("clamp")
def _clamp(g: Graph, eqn: Any, low: str, x: str, high: str) -> str:
    kind = argument_kind(eqn, 1)
    return g.binary("Minimum", g.binary("Maximum", x, low, kind), high, kind)


@rule("max", "min")
def _extreme(g: Graph, eqn: Any, x: str, y: str) -> str:
    high, kind = eqn.primitive.name == "max", argument_kind(eqn)
    if kind == "bool":
        return g.node("LogicalOr" if high else "LogicalAnd", x, y)
    return g.binary("Maximum" if high else "Minimum", x, y, kind)


@rule("and", "or", "xor", "not")
def _logical(g: Graph, eqn: Any, *xs: str) -> str:
    kind = eqn.primitive.name
    if argument_kind(eqn) != "bool":
        raise NoOperator("bits of integers")
    if kind == "xor":
        return g.binary("NotEqual", xs[0], xs[1], "bool")
    return g.node(f"Logical{kind.capitalize()}", *xs)


@rule("select_n")
def _select(g: Graph, eqn: Any, which: str, *cases: str) -> str:
    if len(cases) != 2 or argument_kind(eqn) != "bool":
        raise NoOperator("more than two cases")
    shape, of = eqn.invars[0].aval.shape, eqn.outvars[0].aval
    if shape != of.shape:  # the condition is a scalar
        shape = [1] * len(of.shape)
        which = g.reshape(which, shape, "bool")
    xs, given = (which, cases[1], cases[0]), (shape, of.shape, of.shape)
    return g.select(xs, given, of.shape, kind_of(of.dtype))


@rule("round")
def _round(g: Graph, eqn: Any, x: str) -> str:
    if int(eqn.params["rounding_method"]) == 1:
        return g.node("Round", x, of="float32")
    half = g.constant(0.5, "float32")
    raised = g.binary("AddV2", g.node("Abs", x, of="float32"), half, "float32")
    up = g.node("Floor", raised, of="float32")
    return g.binary("Mul", g.node("Sign", x, of="float32"), up, "float32")


@rule("reshape", "squeeze", "expand_dims")
def _reshape(g: Graph, eqn: Any, x: str, *_: str) -> str:
    if eqn.params.get("dimensions") is not None and eqn.primitive.name == "reshape":
        raise NoOperator("an order of dimensions")
    return g.reshape(x, eqn.outvars[0].aval.shape, argument_kind(eqn))


@rule("broadcast_in_dim")
def _broadcast(g: Graph, eqn: Any, x: str, *_: str) -> str:
    given, shape, kind = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape, argument_kind(eqn)
    ones: list[Any] = [1] * len(shape)
    for axis, n in zip(eqn.params["broadcast_dimensions"], given):
        ones[axis] = n
    if given != tuple(ones):
        x = g.reshape(x, ones, kind)
    return g.broadcast(x, ones, shape, kind)


@rule("transpose")
def _transpose(g: Graph, eqn: Any, x: str) -> str:
    return g.transpose(x, eqn.params["permutation"], argument_kind(eqn))


@rule("concatenate")
def _concatenate(g: Graph, eqn: Any, *xs: str) -> str:
    return xs[0] if len(xs) == 1 else g.concat(xs, eqn.params["dimension"], argument_kind(eqn))


@rule("cumsum", "cumprod")
def _cumulative(g: Graph, eqn: Any, x: str) -> str:
    about = {"reverse": {"b": bool(eqn.params["reverse"])}, "exclusive": {"b": False}}
    axis, name = g.constant(eqn.params["axis"], "int32"), eqn.primitive.name.capitalize()
    return g.node(name, x, axis, of=argument_kind(eqn), Tidx=type_("int32"), **about)


@rule("iota")
def _iota(g: Graph, eqn: Any, *_: str) -> str:
    shape, axis = eqn.outvars[0].aval.shape, eqn.params["dimension"]
    return g.cast(g.numbers_along(axis, shape), "int32", eqn.params["dtype"])


@rule("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or")
def _reduce(g: Graph, eqn: Any, x: str) -> str:
    kind, of = eqn.primitive.name.removeprefix("reduce_"), argument_kind(eqn)
    if kind in ("and", "or") and of != "bool":
        raise NoOperator("bits of integers")
    if not eqn.params["axes"]:
        return x
    name = {"and": "All", "or": "Any"}.get(kind, kind.capitalize())
    about = {"keep_dims": {"b": False}, "Tidx": type_("int32")}
    if kind not in ("and", "or"):
        about["T"] = type_(of)
    return g.node(name, x, g.integers(list(eqn.params["axes"])), **about)


@rule("argmax", "argmin")
def _arg(g: Graph, eqn: Any, x: str) -> str:
    kind = "ArgMax" if eqn.primitive.name == "argmax" else "ArgMin"
    types = {"Tidx": type_("int32"), "output_type": type_("int32")}
    return g.node(
        kind, x, g.constant(eqn.params["axes"][0], "int32"), of=argument_kind(eqn), **types
    )


@rule("dot_general")
def _dot(g: Graph, eqn: Any, x: str, y: str) -> str:
    (left, right), (batch_left, batch_right) = eqn.params["dimension_numbers"]
    avals = [v.aval for v in eqn.invars]
    out = eqn.outvars[0].aval
    deep = math.prod(avals[0].shape[i] for i in left)
    kind = kind_of(out.dtype)
    small = all(a.dtype.name in ("int8", "uint8") for a in avals)
    most = deep
    if kind == "int32" and small and is_number(deep):
        kind = "float32"  # faster than int32, and exact for sums of up to `most` products
        bits = 14 if all(a.dtype.name == "int8" for a in avals) else 16
        most = (_MOST_EXACT - 1) >> bits
    several = is_number(deep) and deep > most  # then the product is a sum of products of slices
    sums, cut = kind_of(out.dtype), kind_of(out.dtype) if several else kind
    x, y = (g.cast(z, a.dtype, cut) for z, a in zip((x, y), avals))
    free = [
        [i for i in range(len(a.shape)) if i not in (*contracted, *batch)]
        for a, contracted, batch in zip(avals, (left, right), (batch_left, batch_right))
    ]
    shapes = [[a.shape[i] for i in some] for a, some in zip(avals, free)]
    batch = [avals[0].shape[i] for i in batch_left]
    wide = [math.prod(s) for s in shapes]
    lead = [math.prod(batch)] if batch else []
    x = g.transpose(x, [*batch_left, *free[0], *left], cut)
    y = g.transpose(y, [*batch_right, *right, *free[1]], cut)
    if [*batch, *shapes[0], deep] != [*lead, wide[0], deep]:
        x = g.reshape(x, [*lead, wide[0], deep], cut)
    if [avals[1].shape[i] for i in (*batch_right, *right, *free[1])] != [*lead, deep, wide[1]]:
        y = g.reshape(y, [*lead, deep, wide[1]], cut)
    names = ("adj_x", "adj_y") if batch else ("transpose_a", "transpose_b")
    plain = {name: {"b": False} for name in names}
    operation, found = "BatchMatMulV2" if batch else "MatMul", ""
    for start in range(0, deep, most) if several else (0,):
        a, b = x, y
        if several:
            end, nothing = min(start + most, deep), [0] * len(lead)
            sizes = [*lead, wide[0], deep], [*lead, deep, wide[1]]
            a = g.slice(x, [*nothing, 0, start], [*lead, wide[0], end], cut, shape=sizes[0])
            b = g.slice(y, [*nothing, start, 0], [*lead, end, wide[1]], cut, shape=sizes[1])
            a, b = (g.cast(z, cut, kind) for z in (a, b))
        part = g.cast(g.node(operation, a, b, of=kind, **plain), kind, sums)
        found = g.binary("AddV2", found, part, sums) if found else part
    return found if list(out.shape) == [*lead, *wide] else g.reshape(found, out.shape, sums)
