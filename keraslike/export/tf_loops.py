"""Rules of `tf_graph` for loops, branches and sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.export.primitives import NoOperator
from keraslike.export.tf_graph import Graph, kind_of, rule, type_


def _kinds(variables: Sequence[Any]) -> list[str]:
    return [kind_of(v.aval.dtype) for v in variables]


def _loop(g: Graph, cond: str, body: str, given: Sequence[str], kinds: Sequence[str]) -> list[str]:
    # The functions take the symbols for sizes as additional loop variables.
    given = [*given, *g.symbols.values()]
    types = {
        "T": {"list": {"type": [type_(k)["type"] for k in kinds] + ["DT_INT32"] * len(g.symbols)}}
    }
    functions = {"cond": {"func": {"name": cond}}, "body": {"func": {"name": body}}}
    found = g.node("StatelessWhile", *given, outputs=len(given), **functions, **types)
    return [found] if isinstance(found, str) else found


@rule("scan")
def _scan(g: Graph, eqn: Any, *xs: str) -> list[str]:
    p, inner = eqn.params, eqn.params["jaxpr"]
    consts, carries, length = p["num_consts"], p["num_carry"], p["length"]
    fixed, state, arrays = xs[:consts], xs[consts : consts + carries], xs[consts + carries :]
    made = inner.jaxpr.outvars[carries:]
    kinds_in, kinds_out = _kinds(inner.jaxpr.invars), _kinds(made)
    count = g.scalar(length)
    full = []
    for v, kind in zip(made, kinds_out):
        zero = g.constant(np.zeros((), kind))
        full.append(g.broadcast(zero, (), [length, *v.aval.shape], kind))
    kinds = ["int32", "int32", *kinds_in, *kinds_out]

    def step(given: list[str]) -> list[tuple[str, str]]:
        i, n, *rest = given
        values, filled = rest[: len(kinds_in)], rest[len(kinds_in) :]
        at, one = i, g.constant(1, "int32")
        if p["reverse"]:
            at = g.binary("Sub", g.binary("Sub", n, one, "int32"), i, "int32")
        slices = [
            g.gathered(x, at, 0, kind)
            for x, kind in zip(values[consts + carries :], kinds_in[consts + carries :])
        ]
        found = g.run(inner.jaxpr, inner.consts, [*values[: consts + carries], *slices])
        places = g.node("Range", g.constant(0, "int32"), n, one, Tidx=type_("int32"))
        here = g.binary("Equal", places, at, "int32")
        put = []
        for array, y, v, kind in zip(filled, found[carries:], made, kinds_out):
            shape = [length, *v.aval.shape]
            along = [length, *[1] * (len(shape) - 1)]
            cases = (g.reshape(here, [-1, *along[1:]], "bool"), y, array)
            put.append(g.select(cases, (along, v.aval.shape, shape), shape, kind))
        after = [*values[:consts], *found[:carries], *values[consts + carries :]]
        next_i = g.binary("AddV2", i, one, "int32")
        sizes = [(s, "int32") for s in g.symbols.values()]
        return [*zip([next_i, n, *after, *put], kinds), *sizes]

    def goes_on(given: list[str]) -> list[tuple[str, str]]:
        return [(g.binary("Less", given[0], given[1], "int32"), "bool")]

    body, cond = g.function(kinds, step), g.function(kinds, goes_on)
    zero = g.constant(0, "int32")
    found = _loop(g, cond, body, [zero, count, *fixed, *state, *arrays, *full], kinds)[2:]
    return [*found[consts : consts + carries], *found[len(kinds_in) : len(kinds_in) + len(full)]]


@rule("while")
def _while(g: Graph, eqn: Any, *xs: str) -> list[str]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    cond, body = p["cond_jaxpr"], p["body_jaxpr"]
    kinds = _kinds(eqn.invars)

    def step(given: list[str]) -> list[tuple[str, str]]:
        kept = given[: tests + steps]
        found = g.run(
            body.jaxpr, body.consts, [*given[tests : tests + steps], *given[tests + steps :]]
        )
        return [*zip([*kept, *found], kinds), *((s, "int32") for s in g.symbols.values())]

    def goes_on(given: list[str]) -> list[tuple[str, str]]:
        found = g.run(cond.jaxpr, cond.consts, [*given[:tests], *given[tests + steps :]])
        return [(found[0], "bool")]

    body_name, cond_name = g.function(kinds, step), g.function(kinds, goes_on)
    return _loop(g, cond_name, body_name, xs, kinds)[tests + steps : len(kinds)]


@rule("cond")
def _cond(g: Graph, eqn: Any, which: str, *xs: str) -> Any:
    branches = eqn.params["branches"]
    if len(branches) != 2:
        raise NoOperator("more than two branches")
    kinds, made = _kinds(eqn.invars[1:]), _kinds(eqn.outvars)
    names = []
    for branch in branches:

        def run(given: list[str], branch: Any = branch) -> list[tuple[str, str]]:
            return list(zip(g.run(branch.jaxpr, branch.consts, given), made))

        names.append({"func": {"name": g.function(kinds, run)}})
    which = g.cast(which, eqn.invars[0].aval.dtype, bool)
    given = [*xs, *g.symbols.values()]
    types = {
        "Tcond": type_("bool"),
        "Tin": {
            "list": {"type": [type_(k)["type"] for k in kinds] + ["DT_INT32"] * len(g.symbols)}
        },
        "Tout": {"list": {"type": [type_(k)["type"] for k in made]}},
    }
    about = {"then_branch": names[1], "else_branch": names[0], **types}
    return g.node("StatelessIf", which, *given, outputs=len(made), **about)


def _largest(g: Graph, x: str, count: str, kind: str) -> list[str]:
    """The largest elements along the last axis and their indices. Equal ones keep their order."""
    about = {"sorted": {"b": True}, "Tk": type_("int32"), "index_type": type_("int32")}
    return g.node("TopKV2", x, count, outputs=2, of=kind, **about)


@rule("top_k")
def _top_k(g: Graph, eqn: Any, x: str) -> list[str]:
    kind, axis = kind_of(eqn.invars[0].aval.dtype), eqn.params["axis"]
    order = [i for i in range(len(eqn.invars[0].aval.shape)) if i != axis] + [axis]
    found = _largest(g, g.transpose(x, order, kind), g.scalar(eqn.params["k"]), kind)
    back = [order.index(i) for i in range(len(order))]
    return [g.transpose(y, back, of) for y, of in zip(found, (kind, "int32"), strict=True)]


@rule("sort")
def _sort(g: Graph, eqn: Any, *xs: str) -> list[str]:
    p, aval = eqn.params, eqn.invars[0].aval
    axis, rank = p["dimension"], len(aval.shape)
    if p["num_keys"] != 1 or aval.dtype == bool:
        raise NoOperator("several keys")
    order = [*(i for i in range(rank) if i != axis), axis]
    back = [order.index(i) for i in range(rank)]
    kinds, size = _kinds(eqn.invars), g.scalar(aval.shape[axis])
    rows = [g.transpose(x, order, kind) for x, kind in zip(xs, kinds)]
    lead = [aval.shape[i] for i in order]
    # The largest negatives are the smallest elements, and equal ones keep their order.
    found, at = _largest(g, g.node("Neg", rows[0], of=kinds[0]), size, kinds[0])
    results = [g.node("Neg", found, of=kinds[0])]
    if len(rows) > 1:
        places = [g.reshape(at, [*lead, 1], "int32")]
        for i in range(rank - 1):
            places.insert(i, g.numbers_along(i, [*lead, 1]))
        places = g.concat(places, rank, "int32")
        for x, kind in zip(rows[1:], kinds[1:]):
            types = {"Tparams": type_(kind), "Tindices": type_("int32")}
            results.append(g.node("GatherNd", x, places, **types))
    return [g.transpose(y, back, kind) for y, kind in zip(results, kinds)]
