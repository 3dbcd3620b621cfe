"""Rules of `onnx_graph` for loops, branches, sorting, dynamic slices, scatter and shifts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.export.onnx_graph import Graph, rule
from keraslike.export.primitives import NoOperator

_FLAG = jax.ShapeDtypeStruct((), bool)
_COUNT = jax.ShapeDtypeStruct((), np.dtype("int64"))


def _run(g: Graph, program: Any, given: Sequence[str]) -> list[tuple[str, Any]]:
    """The names of a program's results, each with its abstract value."""
    found = g.run(program.jaxpr, program.consts, given)
    return [(name, v.aval) for name, v in zip(found, program.jaxpr.outvars)]


def _graph(g: Graph, inputs: Sequence[Any], build: Callable[[], list[tuple[str, Any]]]) -> Any:
    """A subgraph, which may read the tensors of the enclosing graph."""
    outside, g.nodes = g.nodes, []
    found = [(g.node("Identity", name), aval) for name, aval in build()]
    body = g.helper.make_graph(g.nodes, "part", inputs, [g.info(n, aval) for n, aval in found])
    g.nodes = outside
    return body


def _list(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


@rule("cond")
def _cond(g: Graph, eqn: Any, which: str, *xs: str) -> Any:
    branches = eqn.params["branches"]

    def choose(number: int) -> list[str]:
        if number == len(branches) - 1:
            return [name for name, _ in _run(g, branches[number], xs)]
        avals = [v.aval for v in eqn.outvars]
        this = g.node("LessOrEqual", g.cast(which, "int64"), g.constant(number, "int64"))
        now = _graph(g, [], lambda: _run(g, branches[number], xs))
        rest = _graph(g, [], lambda: list(zip(choose(number + 1), avals)))
        return _list(g.node("If", this, outputs=len(avals), then_branch=now, else_branch=rest))

    return choose(0)


@rule("while")
def _while(g: Graph, eqn: Any, *xs: str) -> Any:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    of_test, of_step, state = xs[:tests], xs[tests : tests + steps], xs[tests + steps :]
    avals = [v.aval for v in eqn.outvars]
    names = [g.name() for _ in state]

    def step() -> list[tuple[str, Any]]:
        new = _run(g, p["body_jaxpr"], [*of_step, *names])
        return [*_run(g, p["cond_jaxpr"], [*of_test, *(name for name, _ in new)]), *new]

    infos = [g.info(g.name(), _COUNT), g.info(g.name(), _FLAG)]
    body = _graph(g, [*infos, *(g.info(n, a) for n, a in zip(names, avals))], step)
    ((first, _),) = _run(g, p["cond_jaxpr"], [*of_test, *state])
    return g.node("Loop", "", first, *state, outputs=len(state), body=body)


def _scan_as_loop(g: Graph, p: dict[str, Any], xs: Sequence[str]) -> Any:
    """A scan as a Loop, whose body gathers its own slices of the scanned arrays."""
    consts, carries, inner = p["num_consts"], p["num_carry"], p["jaxpr"]
    given = inner.jaxpr.invars[consts : consts + carries]
    count = g.node("Squeeze", g.size(p["length"]))
    names, going, at = [g.name() for _ in given], g.constant(True), g.name()

    def step() -> list[tuple[str, Any]]:
        row = at
        if p["reverse"]:
            row = g.node("Sub", g.node("Sub", count, g.constant(1, "int64")), at)
        rows = [g.node("Gather", x, row, axis=0) for x in xs[consts + carries :]]
        return [(going, _FLAG), *_run(g, inner, [*xs[:consts], *names, *rows])]

    infos = [g.info(at, _COUNT), g.info(g.name(), _FLAG)]
    body = _graph(g, [*infos, *(g.info(n, v.aval) for n, v in zip(names, given))], step)
    state, outputs = xs[consts : consts + carries], len(body.output) - 1
    found = _list(g.node("Loop", count, going, *state, outputs=outputs, body=body))
    if p["reverse"]:
        found[carries:] = [g.reverse(y, [0]) for y in found[carries:]]
    return found


@rule("scan")
def _scan(g: Graph, eqn: Any, *xs: str) -> Any:
    p, inner = eqn.params, eqn.params["jaxpr"]
    consts, carries = p["num_consts"], p["num_carry"]
    given = inner.jaxpr.invars
    if len(given) == consts + carries or not g.scans:
        return _scan_as_loop(g, p, xs)
    names = [g.name() for _ in given[consts:]]
    infos = [g.info(n, v.aval) for n, v in zip(names, given[consts:])]
    body = _graph(g, infos, lambda: _run(g, inner, [*xs[:consts], *names]))
    inputs, outputs = len(given) - consts - carries, len(body.output) - carries
    backwards = int(p["reverse"])
    return g.node(
        "Scan",
        *xs[consts:],
        outputs=len(body.output),
        body=body,
        num_scan_inputs=inputs,
        scan_input_directions=[backwards] * inputs,
        **({"scan_output_directions": [backwards] * outputs} if outputs else {}),
    )


@rule("sort")
def _sort(g: Graph, eqn: Any, *xs: str) -> Any:
    p, aval = eqn.params, eqn.invars[0].aval
    if p["num_keys"] != 1 or aval.dtype == bool:
        raise NoOperator("several keys, or truth values")
    size, axis = g.size(aval.shape[p["dimension"]]), p["dimension"]
    # TopK keeps the order of equal elements, so the sort is stable.
    found, at = g.node("TopK", xs[0], size, outputs=2, axis=axis, largest=0, sorted=1)
    return [found, *(g.node("GatherElements", x, at, axis=axis) for x in xs[1:])]


@rule("top_k")
def _top(g: Graph, eqn: Any, x: str) -> Any:
    axis = eqn.params.get("axis", -1)
    found, at = g.node("TopK", x, g.size(eqn.params["k"]), outputs=2, axis=axis, largest=1)
    return [found, g.cast(at, eqn.outvars[1].aval.dtype)]


def _starts(g: Graph, at: Sequence[str], shape: Sequence[Any], sizes: Sequence[Any]) -> str:
    """The start indices of a slice, clamped so that the slice lies within the array."""
    one = g.constant([1], "int64")
    start = g.node("Concat", *(g.node("Reshape", g.cast(n, "int64"), one) for n in at), axis=0)
    last = g.node("Sub", g.shape(shape), g.shape(sizes))
    return g.node("Min", g.node("Max", start, g.constant(0, "int64")), last)


@rule("dynamic_slice")
def _part(g: Graph, eqn: Any, x: str, *at: str) -> str:
    shape, sizes = eqn.invars[0].aval.shape, eqn.params["slice_sizes"]
    if not shape:
        return x
    start = _starts(g, at[: len(shape)], shape, sizes)
    ends = g.node("Add", start, g.shape(sizes))
    return g.slice(x, list(range(len(shape))), start, ends)


@rule("dynamic_update_slice")
def _put_part(g: Graph, eqn: Any, x: str, part: str, *at: str) -> str:
    shape, sizes = (v.aval.shape for v in eqn.invars[:2])
    axes = [i for i, (n, m) in enumerate(zip(shape, sizes)) if n != m]
    if not axes:
        return part
    if len(axes) > 1:
        raise NoOperator("a part along several axes")
    (axis,) = axes
    start = _starts(g, [at[axis]], [shape[axis]], [sizes[axis]])
    end, least = g.node("Add", start, g.size(sizes[axis])), g.constant([0], "int64")
    before = g.slice(x, [axis], least, start)
    after = g.slice(x, [axis], end, g.size(shape[axis]))
    return g.node("Concat", before, part, after, axis=axis)


_REDUCTIONS = {"scatter": "none", "scatter-add": "add", "scatter-mul": "mul"}
_REDUCTIONS |= {"scatter-min": "min", "scatter-max": "max"}


@rule(*_REDUCTIONS, *(name.replace("-", "_") for name in _REDUCTIONS))
def _scatter(g: Graph, eqn: Any, x: str, at: str, new: str) -> str:
    p, numbers = eqn.params, eqn.params["dimension_numbers"]
    shape, indices, given = (v.aval.shape for v in eqn.invars)
    axes, window = list(numbers.scatter_dims_to_operand_dims), list(numbers.update_window_dims)
    rest = [i for i in range(len(shape)) if i not in axes]
    whole = [given[i] for i in window] == [shape[i] for i in rest]
    if numbers.operand_batching_dims or set(numbers.inserted_window_dims) != set(axes) or not whole:
        raise NoOperator("parts along axes with an index")
    if eqn.invars[0].aval.dtype == bool:
        raise NoOperator("truth values")
    at, zero = g.cast(at, "int64"), g.constant(0, "int64")
    sizes = [shape[i] for i in axes]
    x = g.transpose(x, [*axes, *rest])
    new = g.transpose(new, [*(i for i in range(len(given)) if i not in window), *window])
    mode, end = p["mode"].name, g.shape(sizes)
    if mode == "CLIP":
        last = g.node("Sub", end, g.constant(1, "int64"))
        at = g.node("Min", g.node("Max", at, zero), last)
    drops = mode == "FILL_OR_DROP"
    if drops:  # values outside of the array go to an additional row, which is removed again
        within = g.node("And", g.node("GreaterOrEqual", at, zero), g.node("Less", at, end))
        within = g.node("ReduceMin", g.cast(within, "int32"), g.constant([-1], "int64"), keepdims=1)
        outside = g.shape([sizes[0], *[0] * (len(axes) - 1)])
        at = g.node("Where", g.cast(within, bool), at, outside)
        pads = g.constant([0] * len(shape) + [1] + [0] * (len(shape) - 1), "int64")
        x = g.node("Pad", x, pads, g.constant(0, eqn.invars[0].aval.dtype))
    kind = _REDUCTIONS[eqn.primitive.name.replace("_", "-")]
    about: dict[str, Any] = {} if kind == "none" else {"reduction": kind}
    y = g.node("ScatterND", x, at, new, **about)
    if drops:
        y = g.slice(y, [0], [0], g.size(sizes[0]))
    return g.transpose(y, np.argsort([*axes, *rest]).tolist())


@rule("shift_left", "shift_right_arithmetic")
def _shift(g: Graph, eqn: Any, x: str, n: str) -> str:
    kind = eqn.outvars[0].aval.dtype
    if kind.name not in ("int8", "uint8", "int16", "int32"):
        raise NoOperator(f"a shift of {kind}")
    x, power = g.cast(x, "int32"), g.node("Pow", g.constant(2, "int32"), g.cast(n, "int32"))
    if eqn.primitive.name == "shift_left":
        return g.cast(g.node("Mul", x, power), kind)
    whole = g.node("Sub", x, g.node("Mod", x, power))  # the result of Mod has the divisor's sign
    return g.cast(g.node("Div", whole, power), kind)
