"""Functions on arrays and KerasTensors: NumPy's, those of networks, control flow."""

from __future__ import annotations

from keraslike.core import registry
from keraslike.ops import arrays, attention, convolution, core, linalg, nn, numpy
from keraslike.ops.arrays import *  # noqa: F403
from keraslike.ops.attention import *  # noqa: F403
from keraslike.ops.convolution import *  # noqa: F403
from keraslike.ops.core import *  # noqa: F403
from keraslike.ops.linalg import *  # noqa: F403
from keraslike.ops.nn import *  # noqa: F403
from keraslike.ops.numpy import *  # noqa: F403

_ROOMS = (arrays, attention, convolution, core, linalg, nn, numpy)
__all__ = sorted(name for room in _ROOMS for name in room.__all__)

registry.publish("keras.ops", {name: globals()[name] for name in __all__})


def __dir__() -> list[str]:
    return list(__all__)
