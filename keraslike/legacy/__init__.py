"""Features of older versions that Keras still contains."""

from keraslike.legacy import saving

__all__ = ["saving"]
__dir__ = __all__.copy
