"""Configs as `.h5` files have them: written like Keras 3's, read from as far back as Keras 1.

A model, a layer, a loss or an optimizer goes by the name of its class there, without a module, and
a function by its bare name. Before Keras 3 the graph of a functional model was written in another
way too, and a Lambda, and some arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keraslike.core import registry
from keraslike.core.base import to_snake_case
from keraslike.models.functional import is_graph_config

# -- configs to the older form ----------------------------------------------------------------


def legacy_model(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a model or layer as a `.h5` file has it: without the module's name.

    The objects within its config stay as they are in a `.keras` file.
    """
    class_name, module = entry["class_name"], str(entry.get("module"))
    if class_name.startswith("__") or module.startswith(("keras.src.ops", "keras.ops")):
        return entry  # an op and a layer may have one name
    config = entry["config"]
    if class_name == "Sequential" or is_graph_config(config):
        config = {**config, "layers": [legacy_model(x) for x in config["layers"]]}
    left_out = ("module", "registered_name", "build_config", "compile_config")
    rest = {k: v for k, v in entry.items() if k not in left_out}
    return {**rest, "class_name": entry["registered_name"] or class_name, "config": config}


def legacy_identifiers(value: Any) -> Any:
    """Losses or metrics as a `.h5` file has them: functions by their names."""
    if isinstance(value, list):
        return [legacy_identifiers(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {k: legacy_identifiers(v) for k, v in value.items()}
    if value["class_name"] == "function":
        return value["config"]
    return value if value["class_name"].startswith("__") else legacy_model(value)


def legacy_loss(value: Any) -> Any:
    """As `legacy_identifiers`, with the full names of losses: Keras cannot read back "mse"."""
    if isinstance(value, str):
        return getattr(_builtin("losses").get(value), "__name__", value)
    if isinstance(value, list):
        return [legacy_loss(v) for v in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {k: legacy_loss(v) for k, v in value.items()}
    return value


# -- configs to Keras 3's form ----------------------------------------------------------------

# The family of an object that a config holds, by the last word of the argument's name.
_FAMILIES = {
    "activation": "activations",
    "cell": "layers",
    "cells": "layers",
    "constraint": "constraints",
    "initializer": "initializers",
    "layer": "layers",
    "layers": "layers",
    "regularizer": "regularizers",
}

# Arguments that Keras 3 does not have any more: (class or None for any, name) -> what it implies.
_GONE = {
    ("DepthwiseConv2D", "groups"): (1,),
    (None, "time_major"): (False,),
}


def modern(value: Any, family: str = "") -> Any:
    """A config with all entries in it in the form of a `.keras` file."""
    if isinstance(value, list):
        return [modern(v, family) for v in value]
    if not isinstance(value, dict):
        return value
    class_name, config = value.get("class_name"), value.get("config")
    if class_name in ("TensorShape", "__tuple__") and "items" in value:
        return modern(value["items"])
    if not isinstance(class_name, str) or "config" not in value:
        return {
            k: modern(v, _FAMILIES.get(str(k).rpartition("_")[2], "")) for k, v in value.items()
        }
    if class_name.startswith("__") or value.get("module") is not None:
        return value
    if class_name in ("Policy", "PolicyV1") and isinstance(config, dict):
        return config.get("name")
    if isinstance(config, list):  # a Sequential of Keras 1
        config = {"layers": config}
    if not isinstance(config, dict):
        raise ValueError(f"The config of {class_name} must be a dict. Received: {config!r}")
    name = class_name.rpartition(">")[2]
    rest = {k: v for k, v in value.items() if k not in ("class_name", "config")}
    if not _is_custom(class_name):
        config = _without_old_arguments(name, config, family)
    if is_graph_config(config):
        config = {**config, **_modern_graph(config)}
    elif name == "Lambda" and not _is_custom(class_name):
        config = _modern_lambda(config)
    else:
        config = modern(config)
    module = f"keras.{family}" if family else None
    rest.setdefault("registered_name", class_name)
    return {**rest, "module": module, "class_name": name, "config": config}


def _builtin(family: str) -> dict[str, Any]:
    return registry._families.get(family, {})


def _is_custom(class_name: str) -> bool:
    short = class_name.rpartition(">")[2]
    return any(registry.get_registered_object(n) is not None for n in (class_name, short))


def _without_old_arguments(name: str, config: dict[str, Any], family: str) -> dict[str, Any]:
    """The config of one of Keras's own classes, with what has another form since Keras 3."""
    config = {
        k: v for k, v in config.items() if v not in _GONE.get((name, k), _GONE.get((None, k), ()))
    }
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if family == "initializers":
        config.pop("dtype", None)
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return config


def _function(value: Any) -> Any:
    """The entry of a function that an older config has as a name or as a lambda's parts."""
    if isinstance(value, str):
        short = value.rpartition(">")[2]
        name = value if registry.get_registered_object(value) is not None else short
        return {"module": "builtins", "class_name": "function", "config": name}
    if isinstance(value, list):
        return {"class_name": "__lambda__", "config": {"value": value}}
    return value


def _modern_lambda(config: dict[str, Any]) -> dict[str, Any]:
    config = dict(config)
    kinds = {
        name: config.pop(f"{name}_type", None) for name in ("function", "output_shape", "mask")
    }
    for name in ("module", "output_shape_module", "mask_module"):
        config.pop(name, None)
    config["function"] = _function(config.get("function"))
    for name in ("output_shape", "mask"):
        if kinds[name] in ("lambda", "function"):
            config[name] = _function(config.get(name))
    return config


def _modern_graph(config: dict[str, Any]) -> dict[str, Any]:
    """`layers`, `input_layers` and `output_layers` of a functional model's config."""
    entries = config["layers"]
    if any(not isinstance(e, dict) or not isinstance(e.get("config"), dict) for e in entries):
        raise ValueError("The config is damaged: a layer of a functional model has no config.")
    names = {e.get("name") or e["config"].get("name") for e in entries}
    ends = {k: config[k] for k in ("input_layers", "output_layers")}
    layers = [_operation(e) for e in entries]
    if not any(isinstance(node, (list, dict)) and _is_old(node) for node in _nodes(entries)):
        return {**ends, "layers": layers}

    # Keras 2 counts the calls of a nested model from 1, those of a layer from 0; Keras 3 does so
    # at the model's ends only, and for functional models only.
    calls: dict[str, int] = {}
    for name, number, *_ in _references([*_nodes(entries), *ends.values()], names):
        calls[name] = min(number, calls.get(name, number))
    functional = {
        e.get("name") or e["config"].get("name") for e in entries if is_graph_config(e["config"])
    }

    def tensor(reference: list[Any]) -> dict[str, Any]:
        name, number, index = reference[:3]
        history = [name, number - min(calls[name], 1), index]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def end(reference: list[Any]) -> list[Any]:
        name, number, index = reference[:3]
        return [name, number - min(calls[name], 1) + (name in functional), index]

    def one(value: Any, names_of_ends: Any = end) -> Any:
        value = _map_references(names_of_ends, value, names)
        return value[0] if len(value) == 1 and isinstance(value[0], list) else value

    for layer, entry in zip(layers, entries, strict=True):
        layer["inbound_nodes"] = [
            node if not _is_old(node) else _modern_node(node, tensor, names)
            for node in entry.get("inbound_nodes", ())
        ]
    return {"layers": layers, **{k: one(v) for k, v in ends.items()}}


def _operation(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a layer, or of an op: an entry without what every layer's config has."""
    class_name, config = entry.get("class_name"), entry["config"]
    rest = {k: v for k, v in entry.items() if k != "inbound_nodes"}
    is_op = (
        isinstance(class_name, str)
        and entry.get("module") is None
        and not {"trainable", "dtype"} & set(config)
        and not _is_custom(class_name)
        and to_snake_case(class_name) in _builtin("ops")
    )
    made = {**rest, "module": "keras.ops"} if is_op else modern(rest, "layers")
    return {**made, "inbound_nodes": entry.get("inbound_nodes", [])}


def _nodes(entries: list[dict[str, Any]]) -> list[Any]:
    return [node for entry in entries for node in entry.get("inbound_nodes", ())]


def _is_old(node: Any) -> bool:
    return not (isinstance(node, dict) and "args" in node)


def _modern_node(node: Any, tensor: Any, names: set[Any]) -> dict[str, Any]:
    """A call, from `[[layer, call, index, keywords], ...]`."""
    first = next(iter(_references(node, names)), [])
    kwargs = first[3] if len(first) > 3 and isinstance(first[3], dict) else {}
    if isinstance(node, list) and len(node) == 1:
        node = node[0]
    arguments = _map_references(tensor, node, names)
    return {"args": [arguments], "kwargs": modern(_map_references(tensor, kwargs, names))}


def _is_reference(value: Any, names: set[Any]) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(n, int) for n in value[1:3])
    )


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
    if isinstance(value, list) and len(value) == 4 and value[0] == "_CONSTANT_VALUE":
        return value[2]
    if isinstance(value, list):
        return [_map_references(function, v, names) for v in value]
    if isinstance(value, dict):
        return {k: _map_references(function, v, names) for k, v in value.items()}
    return value


# -- the arguments of compile -----------------------------------------------------------------


def compile_config(training: dict[str, Any]) -> dict[str, Any]:
    """What `compile_from_config` takes."""
    plain = ("loss_weights", "run_eagerly", "steps_per_execution", "jit_compile")
    config = {k: training[k] for k in plain if training.get(k) is not None}
    return {
        **config,
        "optimizer": _optimizer(training["optimizer_config"]),
        "loss": _identifiers(training.get("loss"), "losses"),
        "metrics": _identifiers(training.get("metrics"), "metrics"),
        "weighted_metrics": _identifiers(training.get("weighted_metrics"), "metrics"),
    }


def _optimizer(entry: Any) -> Any:
    entry = modern(entry, "optimizers")
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return entry
    if _is_custom(entry.get("registered_name") or entry["class_name"]):
        return entry
    config = dict(entry["config"])
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    if isinstance(config.get("learning_rate"), int):
        config["learning_rate"] = float(config["learning_rate"])
    for name in ("jit_compile", "is_legacy_optimizer"):
        config.pop(name, None)
    for name in ("decay", "epsilon"):
        if not config.get(name):
            config.pop(name, None)
    return {**entry, "config": config}


def _identifiers(value: Any, family: str) -> Any:
    """Losses or metrics. A name that is none of Keras's own has to be a function's."""
    if isinstance(value, list):
        return [_identifiers(v, family) for v in value]
    if isinstance(value, str):
        known = _builtin(family)
        builtin = value in known or value in ("accuracy", "acc", "crossentropy", "ce")
        return value if builtin and not _is_custom(value) else _function(value)
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {k: _identifiers(v, family) for k, v in value.items()}
    entry = modern(value, family)
    if (
        isinstance(entry, dict)
        and isinstance(entry["config"], dict)
        and not _is_custom(str(entry["class_name"]))
    ):
        config = entry["config"]
        if entry["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper") and "fn" in config:
            config = {**config, "fn": _function(config["fn"])}
        elif isinstance(config.get("fn"), str):
            config = {k: v for k, v in config.items() if k != "fn"}
        entry = {**entry, "config": config}
    return entry
