"""Small helpers around models and data, as in Keras."""

from keraslike.core.base import reset_names as clear_session
from keraslike.core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from keraslike.core.registry import deserialize as deserialize_keras_object
from keraslike.core.registry import serialize as serialize_keras_object
from keraslike.core.rng import set_random_seed
from keraslike.training.data import PyDataset, unpack_x_y_sample_weight
from keraslike.utils.downloads import get_file
from keraslike.utils.numerical import normalize, to_categorical
from keraslike.utils.plotting import plot_model

__all__ = [
    "PyDataset",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def __dir__() -> list[str]:
    return list(__all__)
