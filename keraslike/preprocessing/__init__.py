"""Data made ready for training, by the names of Keras 1 and 2."""

from keraslike.preprocessing import sequence

__all__ = ["sequence"]
