"""Dtype policies and loss scaling, under their names in Keras 2."""

from keraslike.core.policies import DTypePolicy, dtype_policy, set_dtype_policy
from keraslike.optimizers import LossScaleOptimizer

Policy, global_policy, set_global_policy = DTypePolicy, dtype_policy, set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
__dir__ = __all__.copy
