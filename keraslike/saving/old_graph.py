"""Converts the graphs of functional models of Keras 1 and 2 to the form of Keras 3.

There a call is `[[layer, call, index, keywords], ...]`. A computation of TensorFlow's on symbolic
tensors is a layer named after the function (`TFOpLambda`, `SlicingOpLambda`), which becomes a call
of an op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keraslike.core import registry
from keraslike.core.naming import to_snake_case
from keraslike.models.graph_config import is_graph_config
from keraslike.saving import tensorflow_names
from keraslike.saving.old_names import Origin, is_custom

_CONSTANT = "_CONSTANT_VALUE"


# `old_config.modern`, which converts configs that are not graphs.
Modern = Callable[[Any, str, Origin], Any]


def modern_graph(config: dict[str, Any], origin: Origin, modern: Modern) -> dict[str, Any]:
    """The `layers`, `input_layers` and `output_layers` of a functional model's config."""
    entries = config["layers"]
    if any(not isinstance(e, dict) or not isinstance(e.get("config"), dict) for e in entries):
        raise ValueError("The config is damaged: a layer of a functional model has no config.")
    names = {_name(e) for e in entries}
    ends = {k: config[k] for k in ("input_layers", "output_layers")}
    layers = [_operation(e, origin, modern) for e in entries]
    if not any(isinstance(node, (list, dict)) and _is_old(node) for node in _nodes(entries)):
        return {**ends, "layers": layers}

    # Keras 2 counts the calls of a nested model from 1, and those of a layer from 0. Keras 3 does
    # so only for the inputs and outputs of a model, and only for functional models.
    calls: dict[str, int] = {}
    for name, number, *_ in _references([*_nodes(entries), *ends.values()], names):
        calls[name] = min(number, calls.get(name, number))
    functional = {_name(e) for e in entries if is_graph_config(e["config"])}

    def tensor(reference: list[Any]) -> dict[str, Any]:
        name, number, index = reference[:3]
        history = [name, number - min(calls[name], 1), index]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def end(reference: list[Any]) -> list[Any]:
        name, number, index = reference[:3]
        return [name, number - min(calls[name], 1) + (name in functional), index]

    def one(value: Any) -> Any:
        value = _map_references(end, value, names)
        return value[0] if len(value) == 1 and isinstance(value[0], list) else value

    for layer, entry in zip(layers, entries, strict=True):
        nodes = [
            _modern_node(node, tensor, names, origin, modern) if _is_old(node) else node
            for node in entry.get("inbound_nodes", ())
        ]
        function = _tensorflow_function(entry)
        if function is not None:
            nodes = [tensorflow_names.call(function, node) for node in nodes]
        layer["inbound_nodes"] = nodes
    return {"layers": layers, **{k: one(v) for k, v in ends.items()}}


def _name(entry: dict[str, Any]) -> Any:
    return entry.get("name") or entry["config"].get("name")


def _operation(entry: dict[str, Any], origin: Origin, modern: Modern) -> dict[str, Any]:
    """The entry of a layer or of an op, which lacks the arguments that every layer has."""
    class_name, config = entry.get("class_name"), entry["config"]
    rest = {k: v for k, v in entry.items() if k != "inbound_nodes"}
    nodes = {"inbound_nodes": entry.get("inbound_nodes", [])}
    function = _tensorflow_function(entry)
    if function is not None:
        return {**tensorflow_names.operation(function, _name(entry)), **nodes}
    is_op = (
        isinstance(class_name, str)
        and entry.get("module") is None
        and not {"trainable", "dtype"} & set(config)
        and not is_custom(class_name)
        and not origin.is_old
        and to_snake_case(class_name) in registry.names_of("ops")
    )
    made = {**rest, "module": "keras.ops"} if is_op else modern(rest, "layers", origin)
    return {**made, **nodes}


def _tensorflow_function(entry: dict[str, Any]) -> str | None:
    """TensorFlow's name for the function that a layer calls."""
    class_name, config = entry.get("class_name"), entry["config"]
    if class_name in ("TFOpLambda", "SlicingOpLambda") and not is_custom(class_name):
        return str(config.get("function"))
    foreign = ("TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "InstanceProperty")
    if class_name in foreign and not is_custom(class_name):
        raise ValueError(
            f"The model's '{_name(entry)}' is a {class_name}: an operation of TensorFlow's "
            "that keraslike.ops has not. Make the model anew, and load its weights."
        )
    return None


def _nodes(entries: list[dict[str, Any]]) -> list[Any]:
    return [node for entry in entries for node in entry.get("inbound_nodes", ())]


def _is_old(node: Any) -> bool:
    return not (isinstance(node, dict) and "args" in node)


def _modern_node(
    node: Any, tensor: Callable[[Any], Any], names: set[Any], origin: Origin, modern: Modern
) -> dict[str, Any]:
    """A call, from `[[layer, call, index, keywords], ...]`."""
    kwargs = next(_keywords(node, names), {})
    if isinstance(node, list) and len(node) == 1:
        node = node[0]
    arguments = _map_references(tensor, node, names)
    kwargs = modern(_map_references(tensor, kwargs, names), "", origin)
    return {"args": [arguments], "kwargs": kwargs}


def _keywords(node: Any, names: set[Any]) -> Iterator[dict[str, Any]]:
    """The keyword arguments of a call, which every tensor in it repeats."""
    if _is_reference(node, names) or _is_constant(node):
        yield from (value for value in node[3:] if isinstance(value, dict))
    elif isinstance(node, (list, dict)):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _keywords(item, names)


def _is_reference(value: Any, names: set[Any]) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(n, int) for n in value[1:3])
    )


def _is_constant(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and value[0] == _CONSTANT


def _references(value: Any, names: set[Any]) -> Iterable[list[Any]]:
    if _is_reference(value, names):
        yield value
        value = value[3:]
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _references(item, names)


def _map_references(function: Any, value: Any, names: set[Any]) -> Any:
    if _is_reference(value, names):
        return function(value)
    if _is_constant(value):
        return value[2]
    if isinstance(value, list):
        return [_map_references(function, v, names) for v in value]
    if isinstance(value, dict):
        return {k: _map_references(function, v, names) for k, v in value.items()}
    return value
