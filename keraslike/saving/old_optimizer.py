"""Optimizers in files of Keras 1 and 2: their arguments, and the order of their state.

There were two families. The older one (the package `keras`, TensorFlow's until 2.10, and
`optimizers.legacy` afterwards) has `decay` or `lr` in its config, and lists the slots by kind. The
newer one (from TensorFlow 2.11 on) lists the slots by weight, as Keras 3 does, but without a
learning rate.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.core.arguments import warn_user
from keraslike.core.variable import spec_of
from keraslike.optimizers import Ftrl, Nadam, Optimizer
from keraslike.saving.old_names import Origin

_EPSILON, _SMALL = 1e-7, 1e-6
_VANISHED = 100_000  # The number of steps after which a product of momentums below 1 is 0.


def is_older(config: Any, origin: Origin) -> bool:
    """Whether an optimizer's config belongs to the older family."""
    if not origin.is_old or not isinstance(config, dict):
        return False
    return ("decay" in config or "lr" in config) and config.get("is_legacy_optimizer") is not False


def arguments(name: str, config: dict[str, Any], origin: Origin, older: bool) -> dict[str, Any]:
    """The arguments with which the current optimizer computes what the one in the file did.

    Args:
        name: the name of its class.
        config: its config, with current names of arguments.
        origin: the version that wrote the file.
        older: whether it belongs to the older family.
    """
    config = dict(config)
    rate = config.get("learning_rate")
    if isinstance(rate, int):
        config["learning_rate"] = rate = float(rate)
    decay = config.pop("decay", None)
    config.pop("schedule_decay", None)
    if decay and older and name != "Nadam":  # Its decay is that of the momentum.
        config["learning_rate"] = _decayed(rate, decay)
    if not config.get("epsilon"):
        config.pop("epsilon", None)
    added = name == "Adagrad" or (name == "RMSprop" and not _is_under_root(config))
    # It was added to the root and is now added under it, so it has to be squared.
    if older and added:
        epsilon = config.get("epsilon", _EPSILON)
        config["epsilon"] = epsilon**2
        if epsilon > _SMALL:
            warn_user(
                f"{name} added its epsilon, {epsilon}, to a root under which it is today: where "
                "the root of the mean square is about as large, steps are now up to 1.4 times as "
                "long."
            )
    if origin.is_standalone and config.get("clipnorm"):
        config["global_clipnorm"] = config.pop("clipnorm")  # The norm of all gradients together.
    return config


def _is_under_root(config: dict[str, Any]) -> bool:
    """Whether RMSprop added epsilon under the root, as it did with momentum. With `centered` it
    stays there: the variance may be rounded to a number below zero, for which only an epsilon
    of that size compensates."""
    return bool(config.get("momentum")) or bool(config.get("centered"))


def _decayed(rate: Any, decay: float) -> Any:
    if not isinstance(rate, float):
        raise ValueError(
            f"The optimizer has both a schedule of learning rates and decay={decay}, which Keras 3 "
            "has no more. Load with compile=False, and compile the model with one schedule."
        )
    config = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
    return {
        "module": "keras.optimizers.schedules",
        "class_name": "InverseTimeDecay",
        "config": config,
        "registered_name": None,
    }


# -- state ------------------------------------------------------------------------------------


def places(optimizer: Optimizer, stored: list[Any], older: bool) -> list[tuple[Any, Any]] | None:
    """`(variable, array)` for the state of an optimizer that is built; `None` if the arrays are not
    laid out like this optimizer's.

    Args:
        stored: the file's arrays, or datasets, in order.
        older: whether the file has an optimizer of the older family.
    """
    if older and type(optimizer) is Nadam:
        return None  # Its momentum grew in another way, so that its moments differ from ours.
    found: list[tuple[Any, Any]] = []
    rest = list(stored)
    if rest and tuple(rest[0].shape) == ():
        steps = np.asarray(rest.pop(0)[()])  # It had a floating-point dtype at first.
        found.append((optimizer.iterations, steps.astype("int64")))
    elif not older:
        return None
    slots = _slots_of_weights(optimizer)
    count, kinds = len(slots), len(slots[0]) if slots else 0
    if count and len(rest) == (kinds + 1) * count:
        # A momentum of 0; or `amsgrad`, which the package `keras` had switched off.
        unused = rest[-count:]
        if kinds == 0 or (older and all(tuple(a.shape) == (1,) for a in unused)):
            rest = rest[:-count]
    averages = [] if older else list(optimizer._model_variables_moving_average)
    if older:
        in_pairs = isinstance(optimizer, Ftrl)  # It is the only one.
        wanted = [slot for group in (slots if in_pairs else zip(*slots)) for slot in group]
    else:
        owned = [s for s, owner in zip(optimizer._slots, optimizer._owners) if owner is not None]
        # For a vector, Keras 3 has numbers in place of Adafactor's statistics of rows and columns.
        kept = [s for s in owned if jnp.issubdtype(spec_of(s).dtype, jnp.inexact)]
        wanted = [*averages, *kept]
    shapes = [tuple(spec_of(v).shape) for v in wanted]
    if shapes != [tuple(a.shape) for a in rest]:
        return None
    found += zip(wanted, rest, strict=True)
    if type(optimizer) is Nadam:
        found.append((optimizer._slots[-1], _product(optimizer, int(found[0][1]))))
    return found


def _slots_of_weights(optimizer: Optimizer) -> list[list[Any]]:
    """The slots of each weight, in the order of their kinds."""
    slots: list[list[Any]] = [[] for _ in optimizer._trainable_variables]
    for slot, owner in zip(optimizer._slots, optimizer._owners):
        if owner is not None:
            slots[owner].append(slot)
    return slots


def _product(optimizer: Nadam, count: int) -> np.ndarray:
    """The product of all momentums up to a step, which TensorFlow does not save."""
    steps = np.arange(1, min(count, _VANISHED) + 1)
    return np.asarray(np.prod(optimizer.beta_1 * (1.0 - 0.5 * 0.96**steps)), "float32")
