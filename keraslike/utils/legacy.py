"""Serialization of objects in the format of Keras 2: `{"class_name", "config"}`."""

from __future__ import annotations

import inspect
from typing import Any

from keraslike.core.registry import (
    custom_object_scope,
    get_registered_name,
    get_registered_object,
)

# The key that marks the config of an object within the config of another.
_MARK = "__passive_serialization__"

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance: Any) -> Any:
    """The config of an object in the format of Keras 2, or the name of a function or class.

    Raises ValueError for an object without `get_config()`.

    >>> import keraslike
    >>> config = serialize_keras_object(keraslike.regularizers.L2(0.5))
    >>> config["class_name"], config["config"]
    ('L2', {'l2': 0.5})
    """
    if instance is None:
        return None
    instance = inspect.unwrap(instance) if callable(instance) else instance
    if inspect.isclass(instance) or not hasattr(instance, "get_config"):
        if hasattr(instance, "__name__"):
            return get_registered_name(instance)
        raise ValueError(f"Cannot serialize {instance!r}: it doesn't implement `get_config()`.")
    config = {}
    for key, value in instance.get_config().items():
        config[key] = value
        if not isinstance(value, (str, dict)) and (
            hasattr(value, "get_config") or hasattr(value, "__name__")
        ):
            config[key] = serialize_keras_object(value)
            if isinstance(config[key], dict):
                config[key][_MARK] = True
    return {"class_name": get_registered_name(type(instance)), "config": config}


def deserialize_keras_object(
    identifier: Any,
    module_objects: dict[str, Any] | None = None,
    custom_objects: dict[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object for a config in the format of Keras 2, or for a name.

    Args:
        identifier: a result of `serialize_keras_object`.
        module_objects: a dict of classes and functions that are not registered, by name.
        custom_objects: a dict of the same form, which has priority over all others.
        printable_module_name: how errors refer to the object.

    Raises ValueError for an unknown name, and for a config of another format.

    >>> import keraslike
    >>> config = {"class_name": "L2", "config": {"l2": 0.5}}
    >>> deserialize_keras_object(config, vars(keraslike.regularizers)).get_config()
    {'l2': 0.5}
    """

    def find(name: Any) -> Any:
        if custom_objects and name in custom_objects:
            return custom_objects[name]
        return get_registered_object(name, custom_objects, module_objects)

    def found(name: Any) -> Any:
        obj = find(name)
        if obj is None:
            raise ValueError(
                f"Unknown {printable_module_name}: {name!r}. Pass a custom object in "
                "custom_objects, or use a `keras.utils.custom_object_scope`."
            )
        return obj

    if identifier is None or inspect.isfunction(identifier):
        return identifier
    if isinstance(identifier, str):
        obj = found(identifier)
        return obj() if inspect.isclass(obj) else obj
    if not isinstance(identifier, dict):
        raise ValueError(f"Could not interpret {printable_module_name}: {identifier!r}")
    if "class_name" not in identifier or "config" not in identifier:
        raise ValueError(
            f"Improper config format for {identifier}: it has no `class_name` and `config`."
        )
    cls, config = found(identifier["class_name"]), identifier["config"]
    if isinstance(config, dict):
        config = dict(config)
        for key, value in config.items():
            if isinstance(value, dict) and _MARK in value:
                config[key] = deserialize_keras_object(
                    value, module_objects, custom_objects, f"{printable_module_name}'s {key}"
                )
            elif key != "name" and isinstance(value, str) and inspect.isfunction(find(value)):
                config[key] = find(value)
    with custom_object_scope(custom_objects or {}):
        if not hasattr(cls, "from_config"):
            return cls(**config)
        if "custom_objects" in inspect.signature(cls.from_config).parameters:
            return cls.from_config(config, custom_objects=custom_objects or {})
        return cls.from_config(config)


__dir__ = __all__.copy
