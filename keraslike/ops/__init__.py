"""Functions on arrays and KerasTensors: NumPy's, those of networks, control flow."""

from __future__ import annotations

from keraslike.core import registry
from keraslike.ops import core, linalg, nn, numpy
from keraslike.ops.core import *
from keraslike.ops.linalg import *
from keraslike.ops.nn import *
from keraslike.ops.numpy import *

__all__ = sorted({*core.__all__, *linalg.__all__, *nn.__all__, *numpy.__all__})

registry.publish("keras.ops", {name: globals()[name] for name in __all__})


def __dir__() -> list[str]:
    return list(__all__)
