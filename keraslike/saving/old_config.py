"""Converts configs of Keras 1 and later to the form of Keras 3.

All formats use this: `.h5` files, `.keras` files of TensorFlow 2.12 to 2.15, and JSON of `to_json`.
In old configs an object's entry has no module, or one that no longer exists; the calls of a
functional model are lists (`old_graph`), and names have their former meaning (`old_names`). The
arguments of users' classes are unchanged.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from keraslike.core import registry
from keraslike.models.graph_config import is_graph_config
from keraslike.saving import old_graph, old_names, old_optimizer
from keraslike.saving.old_names import Origin, is_custom, origin_of

# The family of a nested object, by the last word of the argument's name.
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


def from_json(config: Any) -> Any:
    """The argument for `serialization.deserialize`, from the `to_json` text of any version of
    Keras.

    Names are looked up among the custom objects in scope.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        return config
    if "keras_version" not in config and config.get("module") is not None:
        return config
    origin = origin_of(config.get("keras_version"), config.get("backend"))
    config = {k: v for k, v in config.items() if k not in ("keras_version", "backend")}
    try:
        return modern(config, "layers", origin)
    except RecursionError:
        raise ValueError("The config is nested too deeply.") from None


def from_archive(config: dict[str, Any], version: Any) -> dict[str, Any]:
    """The config in a `.keras` file, converted from the version in the file's metadata."""
    origin = origin_of(version)
    if not origin.is_old or version is None:
        return config
    compiled = config.get("compile_config")
    made = modern(config, "layers", origin)
    if compiled is not None:
        made["compile_config"] = compile_config(compiled, origin)
    return made


def modern(value: Any, family: str, origin: Origin) -> Any:
    """A config with all entries in the form of a `.keras` file of Keras 3.

    Args:
        value: a config, or a part of one.
        family: the family of the object, for entries that name no module.
        origin: the version that wrote the file.
    """
    if isinstance(value, list):
        return [modern(v, family, origin) for v in value]
    if isinstance(value, str):
        return _named(value, family, origin)
    if not isinstance(value, dict):
        return value
    class_name, config = value.get("class_name"), value.get("config")
    if class_name in ("TensorShape", "__tuple__") and "items" in value:
        return modern(value["items"], family, origin)
    if class_name == "__ellipsis__":
        return {"class_name": class_name, "config": {}}
    if set(value) == {"type", "value"} and value["type"] == "ndarray":
        return value["value"]
    if not isinstance(class_name, str) or "config" not in value:
        return _without_class(value, family, origin)
    if class_name.startswith("__"):
        return value
    if class_name in ("Policy", "PolicyV1") and isinstance(config, dict):
        return config.get("name")
    if value.get("module") is not None and not origin.is_old:
        return value
    if class_name == "function":
        known = origin.is_old and isinstance(config, str) and not is_custom(config)
        name = old_names.FUNCTIONS.get(str(config)) if known else None
        return value if name is None else function(name)
    return _entry(value, family, origin)


def _entry(entry: dict[str, Any], family: str, origin: Origin) -> dict[str, Any]:
    class_name, config = entry["class_name"], entry["config"]
    if isinstance(config, list):  # A Sequential of Keras 1.
        config = {"name": None, "layers": config}
    if not isinstance(config, dict):
        raise ValueError(f"The config of {class_name} must be a dict. Received: {config!r}")
    name, family = class_name.rpartition(">")[2], _family_of(entry) or family
    custom = is_custom(class_name) or is_custom(str(entry.get("registered_name")))
    if not custom and not is_graph_config(config):
        name, config = _in_current_form(name, config, family, origin)
    if is_graph_config(config):
        config = {**config, **old_graph.modern_graph(config, origin, modern)}
    elif name == "Lambda" and not custom:
        config = _modern_lambda(config, origin)
    else:
        config = {k: _argument(k, v, origin) for k, v in config.items()}
    rest = {k: v for k, v in entry.items() if k not in ("class_name", "config", "compile_config")}
    if origin.is_old:
        if not custom:  # Its graph or its first call builds it.
            rest.pop("build_config", None)
        # Equal objects may have one number although they are not the same object.
        if family != "layers":
            rest.pop("shared_object_id", None)
    # Keras 2 also gives registered names to its own optimizers.
    rest["registered_name"] = (rest.get("registered_name") or class_name) if custom else None
    module = entry.get("module") if custom else None
    module = module or (f"keras.{family}" if family else None)
    return {**rest, "module": module, "class_name": name, "config": config}


def _family_of(entry: dict[str, Any]) -> str:
    """The family to which the module in an entry belongs."""
    parts = str(entry.get("module") or "").split(".")
    return next((part for part in parts if part in set(_FAMILIES.values())), "")


def _argument(name: str, value: Any, origin: Origin) -> Any:
    return modern(value, _FAMILIES.get(str(name).rpartition("_")[2], ""), origin)


def _without_class(value: dict[str, Any], family: str, origin: Origin) -> Any:
    """A dict; or a regularizer or constraint of Keras 1, whose name is that of its class."""
    name = value.get("name")
    if isinstance(name, str) and family in ("regularizers", "constraints"):
        config = {k: v for k, v in value.items() if k != "name"}
        if name in ("L1L2Regularizer", "WeightRegularizer", "ActivityRegularizer"):
            name = "L1L2"
        return modern({"class_name": name, "config": config}, family, origin)
    return {k: _argument(k, v, origin) for k, v in value.items()}


def _named(value: str, family: str, origin: Origin) -> Any:
    """An object that a config identifies only by name."""
    if not origin.is_old or is_custom(value):
        return value
    if family == "activations" and value in old_names.FUNCTIONS:
        return function(old_names.FUNCTIONS[value])
    if family == "initializers":
        return _named_initializer(value, origin)
    return value


def _named_initializer(name: str, origin: Origin) -> Any:
    if origin.version < (2,) and name in old_names.INITIALIZERS_1:
        class_name, config = old_names.INITIALIZERS_1[name]
    elif _is_not_made_up(origin) and name in old_names.TRUNCATED:
        scale, mode = old_names.TRUNCATED[name]
        scale *= old_names.TRUNCATED_VARIANCE
        class_name = "VarianceScaling"
        config = {"scale": scale, "mode": mode, "distribution": "truncated_normal"}
    else:
        return name
    return {
        "module": "keras.initializers",
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    }


def _is_not_made_up(origin: Origin) -> bool:
    return origin.is_standalone and (2,) <= origin.version < old_names.NOT_MADE_UP


# -- one class --------------------------------------------------------------------------------


def _in_current_form(
    name: str, config: dict[str, Any], family: str, origin: Origin
) -> tuple[str, dict[str, Any]]:
    """The class and the arguments that correspond to one of Keras's older classes.

    Raises ValueError for an argument that Keras 3 does not have and that changes the model.
    """
    config = dict(config)
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if family == "initializers":
        config.pop("dtype", None)
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    if not origin.is_old:
        return name, config
    if name == "Merge" and "layers" not in config:
        name = old_names.MERGES.get(str(config.get("mode")), name)
    name, implied = old_names.CLASSES.get(name, (name, {}))
    known = registry.names_of(family).get(name)
    if inspect.isclass(known):  # "Convolution2D"
        name = known.__name__
    config.update(implied)
    config = _with_sizes(config)
    if name.startswith("SeparableConv") and "init" in config:
        for argument in ("depthwise_initializer", "pointwise_initializer"):
            config.setdefault(argument, config["init"])
    if "forget_bias_init" in config:
        config["unit_forget_bias"] = config.pop("forget_bias_init") in ("one", "ones")
    renamed: dict[str, str] = {}
    for classes, names in old_names.RENAMED:
        if re.fullmatch(classes, name):
            renamed |= names
    if name not in ("Concatenate", "Dot") or "mode" in config:
        for old, new in renamed.items():
            if old in config:
                value = config.pop(old)
                config.setdefault(new, value)
    if isinstance(config.get("data_format"), str):
        ordering = config["data_format"]
        config["data_format"] = old_names.DATA_FORMATS.get(ordering, ordering)
    for classes, gone in old_names.GONE:
        if re.fullmatch(classes, name):
            _drop(name, config, gone)
    for default in old_names.DEFAULTS:
        lacks = config.get(default.argument) is None
        if lacks and re.fullmatch(default.classes, name) and default.applies(origin):
            config[default.argument] = default.value
    truncated = name == "VarianceScaling" and config.get("distribution") == "normal"
    if truncated and _is_not_made_up(origin):
        config["scale"] = config.get("scale", 1.0) * old_names.TRUNCATED_VARIANCE
    return name, config


def _with_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """Combines sizes that Keras 1 has as separate arguments."""
    sizes = [k for k in ("kernel_dim1", "kernel_dim2", "kernel_dim3") if k in config]
    sizes = sizes or [k for k in ("nb_row", "nb_col") if k in config]
    if not sizes:
        return config
    rest = {k: v for k, v in config.items() if k not in sizes}
    return {**rest, "kernel_size": [config[k] for k in sizes]}


def _drop(name: str, config: dict[str, Any], gone: dict[str, Any]) -> None:
    for argument, harmless in gone.items():
        if argument not in config:
            continue
        if config[argument] not in harmless:
            raise ValueError(
                f"The {name} '{config.get('name')}' was made with {argument}={config[argument]!r}, "
                "which Keras 3 has no more, and without which it would compute something else."
            )
        del config[argument]


# -- functions --------------------------------------------------------------------------------


def function(value: Any) -> Any:
    """The entry of a function that an older config stores as a name or as the parts of a lambda."""
    if isinstance(value, str):
        short = value.rpartition(">")[2]
        name = value if registry.get_registered_object(value) is not None else short
        return {"module": "builtins", "class_name": "function", "config": name}
    if isinstance(value, list):
        return {"class_name": "__lambda__", "config": {"value": value}}
    return value


def _modern_lambda(config: dict[str, Any], origin: Origin) -> dict[str, Any]:
    config = dict(config)
    kinds = {
        name: config.pop(f"{name}_type", None) for name in ("function", "output_shape", "mask")
    }
    for name in ("module", "output_shape_module", "mask_module"):
        config.pop(name, None)
    config["function"] = modern(function(config.get("function")), "", origin)
    for name in ("output_shape", "mask"):
        if kinds[name] in ("lambda", "function"):
            config[name] = function(config.get(name))
    return config


# -- the arguments of compile -----------------------------------------------------------------


def compile_config(training: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """The argument for `compile_from_config`, from the `training_config` of a `.h5` file or the
    `compile_config` of a `.keras` file."""
    plain = ("loss_weights", "run_eagerly", "steps_per_execution", "jit_compile")
    config = {k: training[k] for k in plain if training.get(k) is not None}
    optimizer = training["optimizer"] if "optimizer" in training else training["optimizer_config"]
    return {
        **config,
        "optimizer": _optimizer(optimizer, origin),
        "loss": _identifiers(training.get("loss"), "losses", origin),
        "metrics": _identifiers(training.get("metrics"), "metrics", origin),
        "weighted_metrics": _identifiers(training.get("weighted_metrics"), "metrics", origin),
    }


def _optimizer(entry: Any, origin: Origin) -> Any:
    if isinstance(entry, str) and origin.is_old and not is_custom(entry):
        found = registry.names_of("optimizers").get(entry.lower())
        name = getattr(found, "__name__", entry)
        _, config = _in_current_form(name, {}, "optimizers", origin)
        entry = {"class_name": name, "config": config} if config else entry
    older = isinstance(entry, dict) and old_optimizer.is_older(entry.get("config"), origin)
    entry = modern(entry, "optimizers", origin)
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return entry
    if is_custom(entry.get("registered_name") or entry["class_name"]):
        return entry
    name, config = entry["class_name"], entry["config"]
    return {**entry, "config": old_optimizer.arguments(name, config, origin, older)}


def _identifiers(value: Any, family: str, origin: Origin) -> Any:
    """Losses or metrics. A name that Keras does not know must be a function's."""
    if isinstance(value, list):
        return [_identifiers(v, family, origin) for v in value]
    if isinstance(value, str):
        if is_custom(value):
            return function(value)
        value = old_names.FUNCTIONS.get(value, value)
        known = value in registry.names_of(family) or value in (
            "accuracy",
            "acc",
            "crossentropy",
            "ce",
        )
        return value if known else function(value)
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {k: _identifiers(v, family, origin) for k, v in value.items()}
    entry = modern(value, family, origin)
    if (
        isinstance(entry, dict)
        and isinstance(entry["config"], dict)
        and not is_custom(str(entry["class_name"]))
    ):
        config = entry["config"]
        if entry["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper") and "fn" in config:
            config = {**config, "fn": modern(function(config["fn"]), "", origin)}
        elif isinstance(config.get("fn"), str):
            config = {k: v for k, v in config.items() if k != "fn"}
        entry = {**entry, "config": config}
    return entry
