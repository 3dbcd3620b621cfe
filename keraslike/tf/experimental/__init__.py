"""`tf.experimental`: numpy's functions, and values that need not be there."""

from keraslike.tf.data.experimental import Optional
from keraslike.tf.experimental import numpy

__all__ = ["Optional", "numpy"]
__dir__ = __all__.copy
