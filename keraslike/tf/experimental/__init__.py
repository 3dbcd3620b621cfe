"""`tf.experimental`: numpy's functions, extension types, and values that need not be there."""

from keraslike.tf.data.experimental import Optional
from keraslike.tf.dispatch import (
    dispatch_for_api,
    dispatch_for_binary_elementwise_apis,
    dispatch_for_binary_elementwise_assert_apis,
    dispatch_for_unary_elementwise_apis,
    unregister_dispatch_for,
)
from keraslike.tf.dtypes import as_dtype as _as_dtype
from keraslike.tf.experimental import dlpack, extension_type, numpy
from keraslike.tf.extension_type import BatchableExtensionType, ExtensionType
from keraslike.tf.ragged_shape import DynamicRaggedShape, RowPartition

float8_e4m3fn, float8_e5m2 = _as_dtype("float8_e4m3fn"), _as_dtype("float8_e5m2")

__all__ = [
    "BatchableExtensionType",
    "DynamicRaggedShape",
    "ExtensionType",
    "Optional",
    "RowPartition",
    "dispatch_for_api",
    "dispatch_for_binary_elementwise_apis",
    "dispatch_for_binary_elementwise_assert_apis",
    "dispatch_for_unary_elementwise_apis",
    "dlpack",
    "extension_type",
    "float8_e4m3fn",
    "float8_e5m2",
    "numpy",
    "unregister_dispatch_for",
]
__dir__ = __all__.copy
