"""`model.summary()`, a table that rich renders."""

from __future__ import annotations

import io
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from keraslike.core.variable import spec_of
from keraslike.layers.layer import Layer
from keraslike.models.graph_config import nodes_of
from keraslike.models.operations import class_name_of


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], None] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    positions: Any = None,
    layer_range: Any = None,
) -> None:
    """Prints a model's layers, output shapes and parameters, or passes the text to `print_fn`."""
    listed = getattr(model, "_is_sequential", False)
    operations = list(model.layers if listed else model._operations or model.layers)
    shapes = _chain_shapes(model) if listed else None
    branches = model._tensor_graph is not None and any(
        len(n.args) != 1 for n in model._tensor_graph.steps
    )
    branches = branches or not _is_chain(model)
    columns = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * branches
    positions = positions or ([0.3, 0.56, 0.74, 1.0] if branches else [0.45, 0.8, 1.0])
    if show_trainable:
        columns.append("Trainable")
        positions = [p * 0.9 for p in positions] + [1.0]
    width = line_length or min(
        (108 if branches else 88) + 12 * show_trainable, shutil.get_terminal_size().columns - 4
    )
    table = Table(box=box.HEAVY_HEAD, show_lines=True, width=width)
    sides: Any = {"Param #": "right", "Trainable": "center"}
    for column, size in zip(columns, _widths(positions, width, columns)):
        table.add_column(column, justify=sides.get(column, "left"), width=size)
    of_model = None
    if branches and model._tensor_graph is not None:
        of_model = {id(node) for found in nodes_of(model).values() for node in found}
    shown = _range(operations, layer_range)
    for depth, layer in _rows(operations, expand_nested):
        if depth == 0:
            is_shown = next(shown)
        if not is_shown:
            if depth == 0 and shapes:
                next(shapes)
            continue
        is_layer = isinstance(layer, Layer)
        kind = type(layer).__name__ if is_layer else class_name_of(layer)
        name = f"[b]{escape(str(layer.name))}[/] ({escape(kind)})"
        if depth:
            name = f"{'   ' * depth}└ {name}"
        shape = next(shapes) if shapes and not depth else _output_shape(layer)
        cells = [name, shape, _params(layer)]
        if branches:
            cells.append(_sources(layer, None if depth else of_model))
        if show_trainable:
            weights = getattr(layer, "weights", [])
            cells.append(("Y" if layer.trainable else "N") if weights else "-")
        table.add_row(*cells)

    # A console with a width of its own, since no terminal determines it.
    out: Any = io.StringIO() if print_fn is not None else None
    console = Console(
        file=out, width=line_length, highlight=False, force_terminal=False if out else None
    )
    parts: list[Any] = [f'[b]Model: "{escape(model.name)}"[/]', table]
    trainable, other = _count(model.trainable_weights), _count(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    state = _count(optimizer.variables) if optimizer is not None and optimizer.built else None
    total = (trainable[0] + other[0], trainable[1] + other[1])
    if state is not None:
        total = (total[0] + state[0], total[1] + state[1])
    for label, counted in (
        ("Total params", total),
        ("Trainable params", trainable),
        ("Non-trainable params", other),
        ("Optimizer params", state),
    ):
        if counted is not None:
            parts.append(f"[b] {label}:[/] {counted[0]:,} ({_size(counted[1])})")
    console.print(Group(*parts))
    if out is not None:
        print_fn(out.getvalue())  # type: ignore[misc]


def _range(operations: list[Any], layer_range: Any) -> Iterator[bool]:
    """For each operation, whether it is in the range; ValueError for an invalid range."""
    if layer_range is None:
        return iter([True] * len(operations))
    names = list(layer_range) if isinstance(layer_range, (list, tuple)) else []
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "layer_range must be a list or tuple of two strings, names of layers. "
            f"Received: layer_range={layer_range!r}"
        )
    places = [[i for i, o in enumerate(operations) if re.match(n, o.name)] for n in names]
    if not all(places):
        raise ValueError(
            f"layer_range={layer_range!r} names layers that are not there. "
            f"There are: {[o.name for o in operations]}."
        )
    first, last = min(places[0]), max(places[1])
    if first > last:
        first, last = min(places[1]), max(places[0])
    return iter([first <= i <= last for i in range(len(operations))])


def _widths(positions: Any, line_length: int, columns: list[str]) -> list[int]:
    """The widths of the columns; ValueError for invalid positions."""
    numbers = list(positions) if isinstance(positions, (list, tuple)) else []
    ends = [0, *(int(p * line_length if numbers[-1] <= 1 else p) for p in numbers)]
    widths = [b - a for a, b in itertools.pairwise(ends)]
    if len(widths) < len(columns) or min(widths) < 4:
        raise ValueError(
            f"positions must be {len(columns)} growing numbers, the ends of the columns, at least "
            f"4 apart. Received: positions={positions!r}, in a line of {line_length}"
        )
    return widths


def _rows(operations: list[Any], expand: bool, depth: int = 0) -> Iterator[tuple[int, Any]]:
    for op in operations:
        yield depth, op
        inner = getattr(op, "layers", None)
        if expand and inner:
            yield from _rows(list(inner), expand, depth + 1)


def _is_chain(model: Any) -> bool:
    """Whether every layer's input is the output of the previous one, so that no column for
    connections is needed."""
    if model._tensor_graph is None:
        return True
    previous = {i.index for i in model._tensor_graph.inputs}
    for step in model._tensor_graph.steps:
        leaves = [x for x in jax.tree.leaves((step.args, step.kwargs)) if hasattr(x, "index")]
        if {r.index for r in leaves} != previous or len(leaves) != 1:
            return False
        previous = set(step.outputs)
    return True


def _output_shape(layer: Any) -> str:
    if layer._inbound_nodes:
        return _shapes(layer._inbound_nodes[-1].outputs)
    given = layer._build_shapes if isinstance(layer, Layer) and layer.built else None
    if given is None:
        return "?"
    try:  # The output shape for the shapes with which the layer was built.
        args, by_name = ((), given) if isinstance(given, dict) else ((given,), {})
        shapes = layer.compute_output_shape(*args, **by_name)
    # The layer cannot compute it, or was built with something that is not the shape of an input.
    except Exception:
        return "?"
    return _listed(jax.tree.leaves(shapes, is_leaf=_is_shape)) or "?"


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, (int, type(None))) for n in value)


def _shapes(tensors: list[Any]) -> str:
    return _listed([tuple(t.shape) for t in tensors])


def _listed(shapes: list[Any]) -> str:
    return str(shapes[0] if len(shapes) == 1 else shapes) if shapes else ""


def _chain_shapes(model: Any) -> Iterator[str] | None:
    """The output shapes of a Sequential's layers; `None` before it is built, and for a copy without
    symbolic tensors."""
    tensors = jax.tree.leaves(vars(model).get("_outputs"))
    found: list[str] = []
    while tensors and len(found) < len(model.layers):
        found.append(_shapes(tensors))
        tensors = tensors[0]._keras_history.node.inputs
    return reversed(found) if len(found) == len(model.layers) else None


def _params(layer: Any) -> str:
    if not isinstance(layer, Layer):
        return "0"
    if not layer.built:
        return "0 (unbuilt)"
    return f"{_count(layer.weights)[0]:,}"


def _sources(layer: Any, of_model: set[int] | None) -> str:
    """What the calls of a layer are connected to: all of them, or those whose nodes' ids are in
    `of_model`."""
    found = []
    for node in layer._inbound_nodes:
        if of_model is not None and id(node) not in of_model:
            continue  # A call in another model.
        for t in node.inputs:
            operation, number, index = t._keras_history
            found.append(f"{operation.name}[{number}][{index}]")
    return ", ".join(found) or "-"


def _count(variables: list[Any]) -> tuple[int, int]:
    arrays = [spec_of(v) for v in variables]
    return sum(int(np.prod(a.shape)) for a in arrays), sum(a.nbytes for a in arrays)


def _size(nbytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if nbytes < 1024 or unit == "GB":
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    raise AssertionError
