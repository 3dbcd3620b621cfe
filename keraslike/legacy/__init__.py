"""What Keras keeps of its older versions."""

from keraslike.legacy import saving

__all__ = ["saving"]
__dir__ = __all__.copy
