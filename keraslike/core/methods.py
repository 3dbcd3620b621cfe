"""Decorators of functions of tensors, on methods: the object is not one of the tensors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


class DecoratedMethod:
    """A method whose decorator is applied to the method of each object, not to the function.

    >>> class Scale:
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def scaled(self, x):
    ...         return self.factor * x
    ...     scaled = DecoratedMethod(lambda method: lambda x: method(x) + 1, scaled)
    >>> Scale(3).scaled(2)
    7
    """

    def __init__(self, decorator: Callable[[Callable], Callable], function: Callable):
        functools.update_wrapper(self, function)
        self._decorator, self._function = decorator, function

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return self._decorator(self._function.__get__(instance, owner))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function of the class body, as a static method does."""
        return self._decorator(functools.partial(self._function))(*args, **kwargs)


def is_in_class_body(function: Any) -> bool:
    """Whether a function is defined in the body of a class.

    >>> is_in_class_body(DecoratedMethod.__get__), is_in_class_body(is_in_class_body)
    (True, False)
    """
    around = getattr(function, "__qualname__", "").rpartition(".")[0]
    return inspect.isfunction(function) and around != "" and not around.endswith("<locals>")
