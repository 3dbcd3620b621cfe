"""Global switches that several packages read."""

from __future__ import annotations

import os
from typing import Any

from keraslike.core import session
from keraslike.core.arguments import whole

_unsafe_deserialization = False
_flash_attention: bool | None = None


def enable_unsafe_deserialization() -> None:
    """Allows the bytecode of lambdas to be loaded from configs and files, regardless of
    `safe_mode`.

    Use it only if you trust all files that the program loads: bytecode can do anything.

    Example (it lets files run code):

        enable_unsafe_deserialization()
    """
    global _unsafe_deserialization
    _unsafe_deserialization = True


def is_unsafe_deserialization_enabled() -> bool:
    """Whether `enable_unsafe_deserialization()` was called."""
    return _unsafe_deserialization


def is_flash_attention_enabled() -> bool | None:
    """`False` if layers must not use a fused attention kernel; `None` if they may.

    >>> is_flash_attention_enabled()
    """
    return _flash_attention


def enable_flash_attention() -> None:
    """Allows attention to use a GPU's fused kernel if a layer requests it, which is the default.

    >>> enable_flash_attention()
    """
    global _flash_attention
    _flash_attention = None


def disable_flash_attention() -> None:
    """Prevents attention from using a GPU's fused kernel.

    >>> disable_flash_attention()
    >>> enable_flash_attention()
    """
    global _flash_attention
    _flash_attention = False


@session.at_clear_session
def _reset() -> None:
    global _unsafe_deserialization, _flash_attention
    _unsafe_deserialization, _flash_attention = False, None


def _at_least_1(value: Any, **argument: Any) -> int | None:
    return None if value is None else whole(1, **argument)


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name)
    if not value:
        return None
    try:
        return whole(1, **{name: int(value)})
    except ValueError:
        raise ValueError(f"{name} must be an integer of at least 1. Received: {value!r}") from None


_max_epochs = _from_environment("KERAS_MAX_EPOCHS")
_max_steps_per_epoch = _from_environment("KERAS_MAX_STEPS_PER_EPOCH")


def max_epochs() -> int | None:
    """The upper limit on the epochs of every `fit`, or `None`.

    >>> max_epochs()
    """
    return _max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Limits the epochs of every `fit`, to test a script without changes.

    The environment variable `KERAS_MAX_EPOCHS` does the same. `None` removes the limit.

    >>> set_max_epochs(None)
    """
    global _max_epochs
    _max_epochs = _at_least_1(max_epochs, max_epochs=max_epochs)


def max_steps_per_epoch() -> int | None:
    """The upper limit on the steps of every epoch, `evaluate` and `predict`; `None` without limit.

    >>> max_steps_per_epoch()
    """
    return _max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limits the steps of every epoch, `evaluate` and `predict`.

    The environment variable `KERAS_MAX_STEPS_PER_EPOCH` does the same. `None` removes the limit.

    >>> set_max_steps_per_epoch(None)
    """
    global _max_steps_per_epoch
    _max_steps_per_epoch = _at_least_1(max_steps_per_epoch, max_steps_per_epoch=max_steps_per_epoch)
