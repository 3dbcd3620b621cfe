"""Settings: the default float dtype, the dtype policy, epsilon, memory, the compilation cache."""

from keraslike.core.arguments import (
    image_data_format,
    nan_in_data,
    set_image_data_format,
    set_nan_in_data,
)
from keraslike.core.compilation import keep_memory, set_compilation_cache
from keraslike.core.dtypes import (
    dtype_policy,
    epsilon,
    floatx,
    set_dtype_policy,
    set_epsilon,
    set_floatx,
)

__all__ = [
    "dtype_policy",
    "epsilon",
    "floatx",
    "image_data_format",
    "keep_memory",
    "nan_in_data",
    "set_compilation_cache",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_nan_in_data",
]


def __dir__() -> list[str]:
    return list(__all__)
