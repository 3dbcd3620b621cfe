"""Layers of Keras 2 that have another name in Keras 3."""

from __future__ import annotations

from typing import Any

from keraslike.layers.activation import ReLU

__all__ = ["ThresholdedReLU"]


class ThresholdedReLU(ReLU):
    """`x` where it is above `theta`, 0 elsewhere.

    Raises ValueError if `theta` is below 0.

    >>> import numpy as np
    >>> ThresholdedReLU(1.0)(np.array([0.5, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(threshold=theta, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        left = {
            k: config[k] for k in config if k not in ("max_value", "negative_slope", "threshold")
        }
        return left | {"theta": self.threshold}
