"""Rules of `tf_graph` for slices, padding, gather and scatter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keraslike.export.primitives import NoOperator, fill_value, is_number
from keraslike.export.tf_graph import Graph, argument_kind, rule, type_


@rule("slice")
def _slice(g: Graph, eqn: Any, x: str) -> str:
    p, shape = eqn.params, eqn.invars[0].aval.shape
    ends, steps = p["limit_indices"], p["strides"]
    return g.slice(x, p["start_indices"], ends, argument_kind(eqn), steps, shape)


@rule("dynamic_slice")
def _dynamic_slice(g: Graph, eqn: Any, x: str, *at: str) -> str:
    shape, sizes = eqn.invars[0].aval.shape, eqn.params["slice_sizes"]
    if not at:
        return x
    parts = [g.reshape(a, (1,), "int32") for a in at]
    start = g.concat(parts, 0, "int32") if len(parts) > 1 else parts[0]
    return _part(g, x, start, shape, sizes, argument_kind(eqn))


def _part(g: Graph, x: str, start: str, shape: Any, sizes: Any, kind: str) -> str:
    """A slice of a size, whose start is clamped so that it lies within the array."""
    last = g.size_op("sub", g.shape(shape), g.shape(sizes))
    start = g.size_op("min", g.size_op("max", start, g.integers([0])), last)
    return g.node("Slice", x, start, g.shape(sizes), of=kind, Index=type_("int32"))


@rule("rev")
def _reverse(g: Graph, eqn: Any, x: str) -> str:
    axes = g.integers(list(eqn.params["dimensions"]))
    return g.node("ReverseV2", x, axes, of=argument_kind(eqn), Tidx=type_("int32"))


@rule("split")
def _split(g: Graph, eqn: Any, x: str) -> Any:
    sizes = eqn.params["sizes"]
    about = {"num_split": {"i": str(len(sizes))}, "Tlen": type_("int32")}
    axis = g.constant(eqn.params["axis"], "int32")
    return g.node(
        "SplitV", x, g.shape(sizes), axis, outputs=len(sizes), of=argument_kind(eqn), **about
    )


@rule("tile")
def _tile(g: Graph, eqn: Any, x: str) -> str:
    reps = g.shape(eqn.params["reps"])
    return g.node("Tile", x, reps, of=argument_kind(eqn), Tmultiples=type_("int32"))


@rule("stack")
def _stack(g: Graph, eqn: Any, *xs: str) -> str:
    about = {"N": {"i": str(len(xs))}, "axis": {"i": str(eqn.params["axis"])}}
    return g.node("Pack", *xs, of=argument_kind(eqn), **about)


@rule("dim_as_value")
def _size(g: Graph, eqn: Any) -> str:
    return g.scalar(eqn.params["dim"])


@rule("pad")
def _pad(g: Graph, eqn: Any, x: str, value: str) -> str:
    return padded(
        g, x, value, eqn.invars[0].aval.shape, eqn.params["padding_config"], argument_kind(eqn)
    )


def padded(g: Graph, x: str, value: str, shape: Any, config: Any, kind: str) -> str:
    """An array padded at its edges and between its elements; negative padding crops."""
    shape = list(shape)
    for axis, (_, _, inner) in enumerate(config):
        if not inner:
            continue
        # TensorFlow.js on WebGL pads at most four axes, so others are merged.
        apart = [math.prod(shape[:axis]), shape[axis], 1, math.prod(shape[axis + 1 :])]
        x = g.reshape(x, apart, kind)
        x = _pad_array(g, x, value, [(0, 0), (0, 0), (0, inner), (0, 0)], kind)
        shape[axis] = shape[axis] * (inner + 1)
        x = g.reshape(x, shape, kind)
        wide, shape = shape, [*shape]
        shape[axis] = shape[axis] - inner
        x = g.slice(x, [0] * len(shape), shape, kind, shape=wide)
    config = [(low, high) for low, high, _ in config]
    if any(is_number(n) and n < 0 for pair in config for n in pair):
        starts = [-low if is_number(low) and low < 0 else 0 for low, _ in config]
        ends = [
            n + high if is_number(high) and high < 0 else n for n, (_, high) in zip(shape, config)
        ]
        x = g.slice(x, starts, ends, kind, shape=shape)
        config = [tuple(max(n, 0) if is_number(n) else n for n in pair) for pair in config]
    if all(is_number(n) and n == 0 for pair in config for n in pair):
        return x
    return _pad_array(g, x, value, config, kind)


def _pad_array(g: Graph, x: str, value: str, around: Any, kind: str) -> str:
    flat = g.shape([n for pair in around for n in pair])
    pairs = g.reshape(flat, (len(around), 2), "int32")
    if kind != "bool":
        return g.node("PadV2", x, pairs, value, of=kind, Tpaddings=type_("int32"))
    x, value = (g.cast(z, "bool", "int32") for z in (x, value))
    x = g.node("PadV2", x, pairs, value, of="int32", Tpaddings=type_("int32"))
    return g.cast(x, "int32", "bool")


@rule("gather")
def _gather(g: Graph, eqn: Any, x: str, at: str) -> str:
    p, numbers, kind = eqn.params, eqn.params["dimension_numbers"], argument_kind(eqn)
    (shape, indices), out = (v.aval.shape for v in eqn.invars), eqn.outvars[0].aval
    at = g.cast(at, eqn.invars[1].aval.dtype, "int32")
    axes, sizes, mode = list(numbers.start_index_map), p["slice_sizes"], p["mode"].name
    aligned = list(numbers.operand_batching_dims)
    offsets, collapsed = list(numbers.offset_dims), set(numbers.collapsed_slice_dims)
    batch = list(indices[:-1])
    rest = [i for i in range(len(shape)) if i not in (*axes, *aligned)]
    if any(shape[i] != sizes[i] for i in rest) or collapsed - set(axes):
        raise NoOperator("parts along axes without an index")
    inside = ""
    if mode != "PROMISE_IN_BOUNDS":
        last = g.size_op(
            "sub", g.shape([shape[i] for i in axes]), g.shape([sizes[i] for i in axes])
        )
        zero = g.integers([0])
        if mode == "FILL_OR_DROP":
            low = g.binary("GreaterEqual", at, zero, "int32")
            within = g.node("LogicalAnd", low, g.binary("LessEqual", at, last, "int32"))
            about = {"keep_dims": {"b": False}, "Tidx": type_("int32")}
            inside = g.node("All", within, g.integers([len(batch)]), **about)
        at = g.binary("Minimum", g.binary("Maximum", at, zero, "int32"), last, "int32")
    if not batch:
        zero = g.integers([0])
        parts = [
            g.slice(at, [axes.index(i)], [axes.index(i) + 1], "int32") if i in axes else zero
            for i in range(len(shape))
        ]
        start = g.concat(parts, 0, "int32") if len(parts) > 1 else parts[0]
        y = g.node("Slice", x, start, g.shape(sizes), of=kind, Index=type_("int32"))
        y = g.reshape(y, out.shape, kind)
    elif collapsed == set(axes):
        if len(axes) == 1 and not aligned:
            y = g.gathered(x, g.reshape(at, batch, "int32"), axes[0], kind)
            places = [i for i in range(len(out.shape)) if i not in offsets]
            before = [offsets[i] for i in range(axes[0])]
            y = g.transpose(y, np.argsort([*before, *places, *offsets[axes[0] :]]), kind)
        else:
            for place in numbers.start_indices_batching_dims:
                own = g.numbers_along(place, [*batch, 1])
                at = g.concat([at, own], len(batch), "int32")
            types = {"Tparams": type_(kind), "Tindices": type_("int32")}
            y = g.node("GatherNd", g.transpose(x, [*axes, *aligned, *rest], kind), at, **types)
            places = [i for i in range(len(out.shape)) if i not in offsets]
            y = g.transpose(y, np.argsort([*places, *offsets]), kind)
    else:
        raise NoOperator("parts at several places")
    if mode != "FILL_OR_DROP":
        return y
    fill = fill_value(p["fill_value"], out.dtype)
    spread: list[Any] = [1 if i in offsets else n for i, n in enumerate(out.shape)]
    cases = (g.reshape(inside, spread, "bool"), y, g.constant(fill, out.dtype))
    return g.select(cases, (spread, out.shape, ()), out.shape, kind)


@rule("scatter", "scatter-add", "scatter_add")
def _scatter(g: Graph, eqn: Any, x: str, at: str, new: str) -> str:
    p, numbers, kind = eqn.params, eqn.params["dimension_numbers"], argument_kind(eqn)
    shape, _, given = (list(v.aval.shape) for v in eqn.invars)
    axes, window = list(numbers.scatter_dims_to_operand_dims), list(numbers.update_window_dims)
    rest = [i for i in range(len(shape)) if i not in axes]
    whole = [given[i] for i in window] == [shape[i] for i in rest]
    if numbers.operand_batching_dims or set(numbers.inserted_window_dims) != set(axes) or not whole:
        raise NoOperator("parts along axes with an index")
    if kind not in ("float32", "int32"):
        raise NoOperator(f"values of {kind}")
    at, zero = g.cast(at, eqn.invars[1].aval.dtype, "int32"), g.integers([0])
    sizes, order = [shape[i] for i in axes], [*axes, *rest]
    x = g.transpose(x, order, kind)
    places = [i for i in range(len(given)) if i not in window]
    new = g.transpose(new, [*places, *window], kind)
    mode, full = p["mode"].name, [shape[i] for i in order]
    last = g.size_op("sub", g.shape(sizes), g.integers([1]))
    if mode == "CLIP":
        at = g.binary("Minimum", g.binary("Maximum", at, zero, "int32"), last, "int32")
    if mode == "FILL_OR_DROP":  # values outside go to an additional row, which is removed again
        low = g.binary("GreaterEqual", at, zero, "int32")
        within = g.node("LogicalAnd", low, g.binary("LessEqual", at, last, "int32"))
        about = {"keep_dims": {"b": True}, "Tidx": type_("int32")}
        within = g.node("All", within, g.integers([len(places)]), **about)
        outside = g.shape([sizes[0], *[0] * (len(axes) - 1)])
        at = g.node("SelectV2", within, at, outside, of="int32")
        more = [(0, 1), *[(0, 0)] * (len(full) - 1)]
        x = _pad_array(g, x, g.constant(0, eqn.invars[0].aval.dtype), more, kind)
        full[0] = full[0] + 1
    types = {"Tindices": type_("int32")}
    if eqn.primitive.name == "scatter":
        y = g.node("TensorScatterUpdate", x, at, new, of=kind, **types)
    else:
        y = g.binary(
            "AddV2", x, g.node("ScatterNd", at, new, g.shape(full), of=kind, **types), kind
        )
    if mode == "FILL_OR_DROP":
        ends = [sizes[0], *full[1:]]
        y = g.slice(y, [0] * len(full), ends, kind, shape=full)
    return g.transpose(y, np.argsort(order), kind)
