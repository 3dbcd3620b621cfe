"""Training on several devices: `set_distribution(DataParallel())`."""

from keraslike.distribution.devices import get_device_count, initialize, list_devices
from keraslike.distribution.layout import DeviceMesh, TensorLayout, distribute_tensor
from keraslike.distribution.parallel import (
    DataParallel,
    Distribution,
    LayoutMap,
    ModelParallel,
    distribution,
    set_distribution,
)
from keraslike.distribution.planning import Plan, plan

__all__ = [
    "DataParallel",
    "DeviceMesh",
    "Distribution",
    "LayoutMap",
    "ModelParallel",
    "Plan",
    "TensorLayout",
    "distribute_tensor",
    "distribution",
    "get_device_count",
    "initialize",
    "list_devices",
    "plan",
    "set_distribution",
]
__dir__ = __all__.copy
