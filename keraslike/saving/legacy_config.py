"""The form in which Keras 3 writes configs to `.h5` files.

Models, layers, losses and optimizers are identified by the name of their class, without a module,
and functions by their bare name. Reading, including configs of Keras 1, is in `old_config`.
"""

from __future__ import annotations

from typing import Any

from keraslike.core import registry
from keraslike.models.graph_config import is_graph_config


def legacy_model(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a model or layer for a `.h5` file: without the module's name.

    Nested objects in its config have the same form as in a `.keras` file.
    """
    class_name, module = entry["class_name"], str(entry.get("module"))
    if class_name.startswith("__") or module.startswith(("keras.src.ops", "keras.ops")):
        return entry  # An op and a layer may have the same name.
    config = entry["config"]
    if class_name == "Sequential" or is_graph_config(config):
        config = {**config, "layers": [legacy_model(x) for x in config["layers"]]}
    left_out = ("module", "registered_name", "build_config", "compile_config")
    rest = {k: v for k, v in entry.items() if k not in left_out}
    return {**rest, "class_name": entry["registered_name"] or class_name, "config": config}


def legacy_identifiers(value: Any) -> Any:
    """Losses or metrics for a `.h5` file: functions by name."""
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
    """Like `legacy_identifiers`, with the full names of losses: Keras cannot read "mse" back."""
    if isinstance(value, str):
        return getattr(registry.names_of("losses").get(value), "__name__", value)
    if isinstance(value, list):
        return [legacy_loss(v) for v in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {k: legacy_loss(v) for k, v in value.items()}
    return value
