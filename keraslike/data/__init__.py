"""Pipelines of data: `Dataset`, which `fit` takes, and what reads and prepares its elements."""

from keraslike.data.dataset import AUTOTUNE, INFINITE, UNKNOWN, ArraySpec, Dataset

__all__ = ["AUTOTUNE", "INFINITE", "UNKNOWN", "ArraySpec", "Dataset"]
