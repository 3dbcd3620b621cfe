"""Sequences made ready for training."""

from keraslike.utils.numerical import pad_sequences

__all__ = ["pad_sequences"]
