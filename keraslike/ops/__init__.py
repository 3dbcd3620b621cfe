"""Functions of arrays and KerasTensors: those of NumPy, of neural networks, and control flow."""

from __future__ import annotations

from keraslike.core import registry
from keraslike.ops import core, image, linalg, math, nn, numpy, signal
from keraslike.ops.core import *  # noqa: F403
from keraslike.ops.linalg import *  # noqa: F403
from keraslike.ops.math import *  # noqa: F403
from keraslike.ops.nn import *  # noqa: F403
from keraslike.ops.numpy import *  # noqa: F403
from keraslike.ops.signal import *  # noqa: F403

_MODULES = (core, linalg, math, nn, numpy, signal)
__all__ = sorted({name for module in _MODULES for name in module.__all__})

# Files refer to the functions of `image` by names without the module.
registry.publish(
    "keras.ops",
    {name: globals()[name] for name in __all__}
    | {name: getattr(image, name) for name in image.__all__},
)


def __dir__() -> list[str]:
    return [*__all__, "image", "linalg", "nn", "numpy"]
