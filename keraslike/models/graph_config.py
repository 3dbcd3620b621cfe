"""Functional models in configs and files."""

from __future__ import annotations

from collections import deque
from typing import Any

import jax

from keraslike.core import serialization
from keraslike.core.operation import FunctionOperation, Operation
from keraslike.core.structures import map_items, map_leaves
from keraslike.core.symbolic import KerasTensor, Node, is_symbolic, nodes_before
from keraslike.models import operations


def is_graph_config(config: dict[str, Any]) -> bool:
    """Whether a config is that of a functional model."""
    return {"layers", "input_layers", "output_layers"} <= set(config)


def graph_config(model: Any) -> dict[str, Any]:
    """The config of a functional model, in Keras's form."""
    nodes = nodes_of(model)
    number = {id(node): (op, i) for op, of in nodes.items() for i, node in enumerate(of)}
    names = [str(op.name) for op in model._operations]

    def where(tensor: KerasTensor) -> list[Any]:
        for spec, given in zip(model._tensor_graph.inputs, model.inputs):  # type: ignore[union-attr]
            if given is tensor:
                return [spec.name, 0, 0]
        history = tensor._keras_history
        op, i = number[id(history.node)]  # type: ignore[union-attr]
        return [names[op], i, history.tensor_index]  # type: ignore[union-attr]

    def at_end(tensor: KerasTensor) -> list[Any]:
        name, i, index = where(tensor)
        op = model._operations[names.index(name)]
        return [name, i + _first_number(op), index]

    def plain(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            config = {
                "shape": list(value.shape),
                "dtype": value.dtype,
                "keras_history": where(value),
            }
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return serialization.serialize(value)

    layers = []
    for i, op in enumerate(model._operations):
        calls = [(node.args, node.kwargs) for node in nodes[i]]
        if not isinstance(op, FunctionOperation):
            entry = serialization.serialize(op)
        else:
            entry, calls = operations.operation_entry(op, calls)
        entry["name"] = names[i]
        entry["inbound_nodes"] = [{"args": plain(a), "kwargs": plain(k)} for a, k in calls]
        layers.append(entry)
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": map_leaves(at_end, model._inputs),
        "output_layers": map_leaves(at_end, model._outputs),
    }


def _first_number(op: Any) -> int:
    """The number with which a model's inputs and outputs refer to the first call of an operation:
    as in Keras, it is 1 for a functional model, and 0 for everything else."""
    return int(getattr(op, "_tensor_graph", None) is not None and not op._is_sequential)


def nodes_of(model: Any) -> dict[int, list[Node]]:
    """The nodes of the graph by operation, in the order of their creation."""
    outputs = {id(t) for t in model.inputs}
    found: dict[int, Node] = {}

    def enter(tensor: KerasTensor) -> Node | None:
        node = tensor._keras_history.node  # type: ignore[union-attr]
        if id(node) in found or (id(tensor) in outputs):
            return None
        found[id(node)] = node
        return node

    for t in model.outputs:
        deque(nodes_before(t, enter), maxlen=0)
    by_operation: dict[int, list[Node]] = {}
    for i, op in enumerate(model._operations):
        mine = [n for n in found.values() if n.operation is op and n.inputs]
        by_operation[i] = sorted(mine, key=op._inbound_nodes.index)
    return by_operation


# -- from plain values ------------------------------------------------------------------------


def from_graph_config(cls: type, config: dict[str, Any]) -> Any:
    """The model of such a config. Raises ValueError if its graph is inconsistent."""
    if any(isinstance(node, list) for x in config["layers"] for node in x.get("inbound_nodes", ())):
        # A config of an older version than Keras 3.
        modern = serialization.get("saving", "modern_config")
        config = modern({"class_name": "Functional", "config": config})["config"]
    made_of: dict[str, Any] = {}  # The operations by name.
    entries: dict[str, dict[str, Any]] = {}
    ready: deque[tuple[str, int, dict[str, Any]]] = deque()
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        entries[name], made_of[name] = entry, _operation(entry)
        ready += [(name, i, node) for i, node in enumerate(entry.get("inbound_nodes", ()))]
    made: dict[tuple[str, int], list[KerasTensor]] = {}
    for name, op in made_of.items():
        # An InputLayer creates its own node.
        for i, node in enumerate(op._inbound_nodes):
            made[name, i] = node.outputs

    def find(history: Any) -> KerasTensor:
        name, node, index = history[:3]
        return made[name, node][index]

    # Calls by the call that they wait for.
    blocked: dict[Any, list[tuple[str, int, dict[str, Any]]]] = {}
    while ready:
        name, i, node = call = ready.popleft()
        try:
            args, kwargs = _call_arguments(node, find)
        except KeyError as e:
            blocked.setdefault(e.args[0], []).append(call)
            continue
        # The call would be computed immediately and would not be part of the graph.
        if not is_symbolic(tuple(args), kwargs):
            raise ValueError(f"The config is damaged: '{name}' is called on none of its tensors.")
        op = made_of[name]
        if isinstance(op, FunctionOperation):
            args, kwargs = operations.call_arguments(entries[name], op.function, args, kwargs)
        made[name, i] = jax.tree.leaves(op(*args, **kwargs))
        ready += blocked.pop((name, i), ())
    if blocked:
        names = sorted({str(name) for calls in blocked.values() for name, _, _ in calls})
        missing = [str(name) for name, _ in blocked if name not in made_of]
        why = (
            f"Missing node: {missing[0]}" if missing else "They form a loop, or nothing makes them"
        )
        raise ValueError(
            f"The config is damaged: the inputs of {names[:10]} are nowhere made. {why}."
        )

    def find_at_end(history: Any) -> KerasTensor:
        name, node, index = history
        return find((name, node - _first_number(made_of[name]), index))

    try:
        inputs = _structure(config["input_layers"], find_at_end)
        outputs = _structure(config["output_layers"], find_at_end)
    except KeyError as e:
        raise ValueError(f"The config is damaged: it names {e}, which is not in it.") from None
    rest = {
        k: v
        for k, v in config.items()
        if k not in ("layers", "input_layers", "output_layers", "trainable")
    }
    model = cls(inputs=inputs, outputs=outputs, **rest)
    if config.get("trainable") is False:
        model._trainable = False  # The configs of the layers contain this for each of them.
    return model


def _operation(entry: dict[str, Any]) -> Any:
    if operations.is_operation_entry(entry):
        return operations.operation(entry)
    layer = serialization.deserialize(
        {k: v for k, v in entry.items() if k not in ("name", "inbound_nodes")}
    )
    if not isinstance(layer, Operation):
        raise ValueError(f"{entry.get('class_name')!r} is no layer, and stands where one should.")
    return layer


def _call_arguments(node: Any, find: Any) -> tuple[list[Any], dict[str, Any]]:
    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return find(value["config"]["keras_history"])
            if "class_name" in value and "config" in value:
                return serialization.deserialize(value)
            return {k: restore(v) for k, v in value.items()}
        if isinstance(value, list):
            return [restore(v) for v in value]
        return value

    return restore(node["args"]), restore(node.get("kwargs", {}))


def _structure(spec: Any, find: Any) -> Any:
    if isinstance(spec, (list, tuple)) and len(spec) == 3 and isinstance(spec[0], str):
        return find(spec)
    if not isinstance(spec, (list, tuple, dict)):
        raise ValueError(f"The config is damaged: {spec!r} stands where a tensor should.")
    return map_items(lambda item: _structure(item, find), spec)
