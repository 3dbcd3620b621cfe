"""Settings: the default float dtype, the dtype policy, epsilon."""

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
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
]


def __dir__() -> list[str]:
    return list(__all__)
