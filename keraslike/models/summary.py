"""`model.summary()`: a table that rich draws."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from keraslike.core.symbolic import tensors_in
from keraslike.layers.layer import Layer
from keraslike.models.sequential import Sequential


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], None] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> None:
    """Prints a model's layers, output shapes and parameters, or hands the text to `print_fn`."""
    listed = isinstance(model, Sequential)  # with a row for each time that a layer is used
    operations = list(model.layers if listed else model._operations or model.layers)
    shapes = _chain_shapes(model) if listed else None
    branches = model._graph is not None and any(len(n.args) != 1 for n in model._graph.steps)
    branches = branches or not _is_chain(model)
    table = Table(box=box.HEAVY_HEAD, show_lines=True, width=line_length)
    table.add_column("Layer (type)", overflow="fold", ratio=4 if line_length else None)
    table.add_column("Output Shape", overflow="fold")
    table.add_column("Param #", justify="right", no_wrap=True)
    if branches:
        table.add_column("Connected to", overflow="fold")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for depth, layer in _rows(operations, expand_nested):
        if not branches and depth == 0 and type(layer).__name__ == "InputLayer":
            continue
        name = f"{'  ' * depth}[b]{escape(str(layer.name))}[/] ({type(layer).__name__})"
        shape = next(shapes) if shapes and not depth else _output_shape(layer)
        cells = [name, shape, _params(layer)]
        if branches:
            cells.append(_sources(layer))
        if show_trainable:
            weights = getattr(layer, "weights", [])
            cells.append(("Y" if layer.trainable else "N") if weights else "-")
        table.add_row(*cells)

    # A Console of its own width where no terminal says how wide to be.
    out: Any = io.StringIO() if print_fn is not None else None
    console = Console(
        file=out, width=line_length, highlight=False, force_terminal=False if out else None
    )
    parts: list[Any] = [f'[b]Model: "{escape(model.name)}"[/]', table]
    trainable, other = _count(model.trainable_weights), _count(model.non_trainable_weights)
    optimizer = model.optimizer
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


def _rows(operations: list[Any], expand: bool, depth: int = 0) -> Iterator[tuple[int, Any]]:
    for op in operations:
        yield depth, op
        inner = getattr(op, "layers", None)
        if expand and inner:
            yield from _rows(list(inner), expand, depth + 1)


def _is_chain(model: Any) -> bool:
    """Whether every layer is fed by the one before: no column is needed to say so."""
    if model._graph is None:
        return True
    previous = {i.index for i in model._graph.inputs}
    for step in model._graph.steps:
        leaves = [x for x in jax.tree.leaves((step.args, step.kwargs)) if hasattr(x, "index")]
        if {r.index for r in leaves} != previous or len(leaves) != 1:
            return False
        previous = set(step.outputs)
    return True


def _output_shape(layer: Any) -> str:
    nodes = vars(layer).get("_inbound_nodes")
    return _shapes(nodes[0].outputs) if nodes else "?"


def _shapes(tensors: list[Any]) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)


def _chain_shapes(model: Any) -> Iterator[str] | None:
    """The output shapes of a Sequential's layers, each where it stands; `None` before it is built
    (and of a copy, which has no symbolic tensors)."""
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


def _sources(layer: Any) -> str:
    found = []
    for node in vars(layer).get("_inbound_nodes", ()):
        for t in tensors_in((node.args, node.kwargs)):
            source, index = t._keras_history  # type: ignore[misc]
            number = vars(source.operation)["_inbound_nodes"].index(source)
            found.append(f"{source.operation.name}[{number}][{index}]")
    return ", ".join(found) or "-"


def _count(variables: list[Any]) -> tuple[int, int]:
    arrays = [v._raw_value for v in variables]
    return sum(int(np.prod(a.shape)) for a in arrays), sum(a.nbytes for a in arrays)


def _size(nbytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if nbytes < 1024 or unit == "GB":
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    raise AssertionError
