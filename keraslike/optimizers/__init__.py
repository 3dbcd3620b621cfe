"""Optimizers with Keras's names and arithmetic, and any optax transform as one."""

from __future__ import annotations

from typing import Any

from keraslike.core import registry, serialization
from keraslike.optimizers import legacy, optax_optimizer, schedules
from keraslike.optimizers.adam import Adam, Adamax, AdamW, Lamb, Lion, Nadam, ScheduleFreeAdamW
from keraslike.optimizers.gradient_descent import SGD, Adadelta, Adagrad, Ftrl, RMSprop
from keraslike.optimizers.matrices import Adafactor, Muon
from keraslike.optimizers.optax_optimizer import OptaxOptimizer, to_optax
from keraslike.optimizers.optimizer import Optimizer
from keraslike.optimizers.wrappers import LossScaleOptimizer, MultiOptimizer, OptimizerMap

# No file may name objects that are made from functions: `OptaxOptimizer`, `to_optax`.
_classes = [
    globals()[name]
    for name in registry.members(globals(), "optimizers")
    if name not in ("OptaxOptimizer", "to_optax")
]
_by_name = {c.__name__.lower(): c for c in _classes}
registry.publish("keras.optimizers", {c.__name__: c for c in _classes}, aliases=_by_name)


def get(identifier: Any) -> Optimizer | None:
    """An optimizer from a name in any case, a config, a class, an optax transform, or itself.

    Raises ValueError for a name that does not exist, or anything else.

    >>> import optax
    >>> get("RMSprop").rho, type(get(optax.adam(0.1))).__name__
    (0.9, 'OptaxOptimizer')
    """
    if optax_optimizer.is_transform(identifier):
        return OptaxOptimizer(identifier)
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    else:
        if isinstance(identifier, str) and identifier.lower() in _by_name:
            identifier = identifier.lower()
        found = serialization.get("optimizers", identifier)
    if found is not None and not isinstance(found, Optimizer):
        raise ValueError(
            f"Could not interpret optimizer identifier: {identifier!r}. Expected a name, a "
            "config, an Optimizer or an optax transform."
        )
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The config dict of an optimizer, without its state.

    Raises TypeError for an optax transform.

    >>> serialize(SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    return serialization.serialize(optimizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer that a config of `serialize` describes.

    >>> deserialize({"class_name": "SGD", "config": {"momentum": 0.9}}).momentum
    0.9
    """
    public = _by_name.get(str(config.get("class_name")).lower())
    if public is not None and not config.get("registered_name"):
        config = {**config, "class_name": public.__name__}
    return serialization.deserialize(config, custom_objects=custom_objects)


__all__ = ["legacy", "schedules", *registry.members(globals(), "optimizers")]
__dir__ = __all__.copy
