"""The parameters of a layer's methods."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable


@functools.cache
def parameters_of(function: Callable) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())[1:]


@functools.cache
def call_takes(function: Callable) -> frozenset[str]:
    """The names of a call's parameters. `training` is included where `**kwargs` accepts it."""
    parameters = parameters_of(function)
    return frozenset(p.name for p in parameters if p.kind != p.VAR_KEYWORD)


@functools.cache
def takes_masks(function: Callable) -> bool:
    return any(name.endswith("mask") for name in call_takes(function))


@functools.cache
def call_names(function: Callable) -> list[str]:
    """The names of a call's positional parameters."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters_of(function) if p.kind not in several]
