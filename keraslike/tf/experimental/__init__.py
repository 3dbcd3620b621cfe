"""`tf.experimental`: numpy's functions, extension types, and values that need not be there."""

from keraslike.tf.data.experimental import Optional
from keraslike.tf.dispatch import (
    dispatch_for_api,
    dispatch_for_binary_elementwise_apis,
    dispatch_for_binary_elementwise_assert_apis,
    dispatch_for_unary_elementwise_apis,
    unregister_dispatch_for,
)
from keraslike.tf.experimental import numpy
from keraslike.tf.extension_type import BatchableExtensionType, ExtensionType

__all__ = [
    "BatchableExtensionType",
    "ExtensionType",
    "Optional",
    "dispatch_for_api",
    "dispatch_for_binary_elementwise_apis",
    "dispatch_for_binary_elementwise_assert_apis",
    "dispatch_for_unary_elementwise_apis",
    "numpy",
    "unregister_dispatch_for",
]
__dir__ = __all__.copy
