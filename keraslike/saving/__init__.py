"""Saving and loading of models, and the registration of objects that files may name."""

from __future__ import annotations

from keraslike.core import registry
from keraslike.core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from keraslike.core.serialization import deserialize as deserialize_keras_object
from keraslike.core.serialization import serialize as serialize_keras_object
from keraslike.saving import old_config
from keraslike.saving.file_editor import KerasFileEditor
from keraslike.saving.orbax_store import open_checkpoints
from keraslike.saving.saving_api import (
    load_exported,
    load_model,
    load_weights,
    save_model,
    save_weights,
)

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_exported",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

# Models and callbacks, which must not import this package, find these functions by name. They are
# registered as aliases only, so that no file can name them: a config must not be able to call
# save_model().
registry.publish(
    "keras.saving",
    {},
    aliases={
        "load_model": load_model,
        "load_weights": load_weights,
        "modern_config": old_config.from_json,
        "open_checkpoints": open_checkpoints,
        "save_model": save_model,
        "save_weights": save_weights,
    },
)
__dir__ = __all__.copy
