"""`tf.experimental`: numpy's functions, and values that need not be there."""

from keraslike.tf.data.experimental import Optional
from keraslike.tf.experimental import numpy
from keraslike.tf.extension_type import BatchableExtensionType, ExtensionType

__all__ = ["BatchableExtensionType", "ExtensionType", "Optional", "numpy"]
__dir__ = __all__.copy
