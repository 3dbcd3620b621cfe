"""Configs as Keras 3 writes them to `.h5` files.

A model, a layer, a loss or an optimizer goes by the name of its class there, without a module, and
a function by its bare name. How they are read, from as far back as Keras 1, is in `old_config`.
"""

from __future__ import annotations

from typing import Any

from keraslike.core import registry
from keraslike.models.graph_config import is_graph_config


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
        return getattr(registry.names_of("losses").get(value), "__name__", value)
    if isinstance(value, list):
        return [legacy_loss(v) for v in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {k: legacy_loss(v) for k, v in value.items()}
    return value
