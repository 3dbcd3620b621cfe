"""Rules of `tf_graph` for convolutions and pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keraslike.export.primitives import NoOperator
from keraslike.export.tf_graph import Graph, ints, kind_of, rule, text, type_
from keraslike.export.tf_slices import padded

_FIRST_LAST = {4: "NHWC", 5: "NDHWC"}


@rule("conv_general_dilated")
def _convolution(g: Graph, eqn: Any, x: str, w: str) -> str:
    p = eqn.params
    numbers, groups = p["dimension_numbers"], p["feature_group_count"]
    if p["batch_group_count"] != 1:
        raise NoOperator("groups of samples")
    if kind_of(eqn.outvars[0].aval.dtype) != "float32":
        raise NoOperator("convolutions of whole numbers")
    kind, avals = "float32", [v.aval for v in eqn.invars]
    (n, c, *space), (o, i, *reach) = numbers.lhs_spec, numbers.rhs_spec
    x = g.transpose(g.cast(x, avals[0].dtype, kind), [n, *space, c], kind)
    w = g.transpose(g.cast(w, avals[1].dtype, kind), [*reach, i, o], kind)
    shape = [avals[0].shape[axis] for axis in (n, *space, c)]
    kernel = [avals[1].shape[axis] for axis in (*reach, i, o)]
    strides, dilations = list(p["window_strides"]), list(p["rhs_dilation"])
    config = [(0, 0, 0), *_padding(p), (0, 0, 0)]
    x = padded(g, x, g.constant(0, kind), shape, config, kind)

    if len(space) == 1:
        # TensorFlow.js has no convolution along one axis: this adds a second axis of size 1.
        size = _padded_size(avals[0].shape[space[0]], config[1])
        x = g.reshape(x, [avals[0].shape[n], 1, size, avals[0].shape[c]], kind)
        w = g.reshape(w, [1, *kernel], kind)
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
    if len(strides) not in (2, 3):
        raise NoOperator(f"a convolution along {len(space)} axes")
    y = _grouped(g, x, w, kernel, groups, strides, dilations, avals[0].shape[c])
    out = eqn.outvars[0].aval.shape
    if len(space) == 1:
        n, c, *space = numbers.out_spec
        y = g.reshape(y, [out[n], out[space[0]], out[c]], kind)
    n, c, *space = numbers.out_spec
    return g.transpose(y, np.argsort([n, *space, c]), kind)


def _padding(p: dict[str, Any]) -> list[tuple[Any, Any, int]]:
    return [(low, high, n - 1) for (low, high), n in zip(p["padding"], p["lhs_dilation"])]


def _padded_size(size: Any, config: tuple[Any, Any, int]) -> Any:
    low, high, inner = config
    return size + (size - 1) * inner + low + high


def _grouped(
    g: Graph, x: str, w: str, kernel: Any, groups: int, strides: Any, dilations: Any, channels: Any
) -> str:
    kind, out = "float32", kernel[-1]
    if groups == 1:
        return _plain(g, "Conv", x, w, strides, dilations)
    if groups == channels and len(strides) == 2:
        w = g.reshape(w, [*kernel[:2], channels, out // groups], kind)
        return _plain(g, "Depthwise", x, w, strides, dilations)
    rank = len(kernel)
    parts = []
    for one, number in ((x, channels), (w, out)):
        sizes, axis = g.integers([number // groups] * groups), g.constant(rank - 1, "int32")
        about = {"num_split": {"i": str(groups)}, "Tlen": type_("int32")}
        parts.append(g.node("SplitV", one, sizes, axis, outputs=groups, of=kind, **about))
    found = [_plain(g, "Conv", a, b, strides, dilations) for a, b in zip(*parts)]
    return g.concat(found, rank - 1, kind)


def _plain(g: Graph, name: str, x: str, w: str, strides: list[int], dilations: list[int]) -> str:
    """A convolution without padding. Strides that the operation lacks become a strided slice."""
    rank, later = len(strides), None
    uneven = name == "Depthwise" and len(set(strides)) > 1
    if max(strides) > 1 and (max(dilations) > 1 or uneven):
        strides, later = [1] * rank, strides
    names = {("Conv", 2): "Conv2D", ("Conv", 3): "Conv3D"}
    about = {
        "strides": ints([1, *strides, 1]),
        "dilations": ints([1, *dilations, 1]),
        "padding": text("VALID"),
        "data_format": text(_FIRST_LAST[rank + 2]),
    }
    kind = names.get((name, rank), "DepthwiseConv2dNative")
    y = g.node(kind, x, w, of="float32", **about)
    if later is None:
        return y
    steps, nothing = [1, *later, 1], [0] * (rank + 2)
    masks = {m: {"i": "0"} for m in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    all_of = {"i": str((1 << (rank + 2)) - 1)}
    given = [g.integers(n) for n in (nothing, nothing, steps)]
    masks |= {"begin_mask": all_of, "end_mask": all_of}
    return g.node("StridedSlice", y, *given, of="float32", Index=type_("int32"), **masks)


@rule("reduce_window_max", "reduce_window_sum", "reduce_window_min")
def _pool(g: Graph, eqn: Any, x: str) -> str:
    p, aval, name = eqn.params, eqn.invars[0].aval, eqn.primitive.name
    each = list(zip(p["window_dimensions"], p["window_strides"], p["padding"]))
    fixed = [i for i, one in enumerate(each) if one == (1, 1, (0, 0))]
    rank = len(each)
    if rank not in (3, 4, 5) or len(fixed) < 2 or any(n != 1 for n in p["base_dilation"]):
        raise NoOperator("windows along all axes")
    if any(n != 1 for n in p["window_dilation"]):
        raise NoOperator("windows with gaps")
    outer = [fixed[0], fixed[-1]]
    space = [i for i in range(rank) if i not in outer]
    order = [outer[0], *space, outer[1]]
    kind, whole = "float32", kind_of(aval.dtype)
    x = g.transpose(g.cast(x, aval.dtype, kind), order, kind)
    if name == "reduce_window_min":
        x = g.node("Neg", x, of=kind)
    least = 0 if name == "reduce_window_sum" else np.finfo("float32").min
    config = [(*each[i][2], 0) for i in order]
    shape = [aval.shape[i] for i in order]
    x = padded(g, x, g.constant(least, kind), shape, config, kind)
    sizes, strides = ([each[i][at] for i in space] for at in (0, 1))
    if rank == 3:
        x = g.reshape(x, [shape[0], 1, _padded_size(shape[1], config[1]), shape[2]], kind)
        sizes, strides = [1, *sizes], [1, *strides]
    about = {
        "ksize": ints([1, *sizes, 1]),
        "strides": ints([1, *strides, 1]),
        "padding": text("VALID"),
        "data_format": text(_FIRST_LAST[max(rank, 4)]),
    }
    operation = "AvgPool" if name == "reduce_window_sum" else "MaxPool"
    y = g.node(operation + ("3D" if rank == 5 else ""), x, of=kind, **about)
    if name == "reduce_window_sum":
        y = g.binary("Mul", y, g.constant(math.prod(sizes), kind), kind)
    if name == "reduce_window_min":
        y = g.node("Neg", y, of=kind)
    out = eqn.outvars[0].aval
    if rank == 3:
        y = g.reshape(y, [out.shape[i] for i in order], kind)
    return g.cast(g.transpose(y, np.argsort(order), kind), kind, whole)
