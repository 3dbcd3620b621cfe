"""Data pipelines: `Dataset`, which `fit` accepts, and its sources and transformations."""

from keraslike.data.dataset import Dataset
from keraslike.data.elements import AUTOTUNE, INFINITE, UNKNOWN, ArraySpec

__all__ = ["AUTOTUNE", "INFINITE", "UNKNOWN", "ArraySpec", "Dataset"]
__dir__ = __all__.copy
