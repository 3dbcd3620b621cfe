"""Data made ready for training, by the names of Keras 1 and 2."""

from keraslike.preprocessing import image, sequence
from keraslike.utils import (
    image_dataset_from_directory,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
