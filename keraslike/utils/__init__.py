"""Utilities for models and data, with Keras's names."""

from keraslike.core.dtypes import standardize_dtype
from keraslike.core.messages import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from keraslike.core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from keraslike.core.rng import set_random_seed
from keraslike.core.serialization import deserialize as deserialize_keras_object
from keraslike.core.serialization import serialize as serialize_keras_object
from keraslike.core.session import clear_session
from keraslike.core.symbolic import get_source_inputs, is_keras_tensor
from keraslike.training.arrays import pack_x_y_sample_weight, unpack_x_y_sample_weight
from keraslike.training.progress import Progbar
from keraslike.training.py_dataset import PyDataset
from keraslike.utils import bounding_boxes, legacy
from keraslike.utils.config import Config
from keraslike.utils.directories import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from keraslike.utils.dot import model_to_dot
from keraslike.utils.downloads import get_file
from keraslike.utils.feature_space import FeatureSpace
from keraslike.utils.images import array_to_img, img_to_array, load_img, save_img
from keraslike.utils.numerical import normalize, pad_sequences, to_categorical
from keraslike.utils.plotting import plot_model
from keraslike.utils.splitting import split_dataset
from keraslike.utils.timeseries import timeseries_dataset_from_array

CustomObjectScope = custom_object_scope
Sequence = PyDataset  # the name in Keras 2

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
__dir__ = __all__.copy
