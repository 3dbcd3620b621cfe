"""Pipelines of data: `Dataset`, which `fit` takes, and what reads and prepares its elements."""

from keraslike.data.dataset import Dataset
from keraslike.data.elements import AUTOTUNE, INFINITE, UNKNOWN, ArraySpec

__all__ = ["AUTOTUNE", "INFINITE", "UNKNOWN", "ArraySpec", "Dataset"]
__dir__ = __all__.copy
