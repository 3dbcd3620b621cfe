"""`Configured`, the base of objects that are described completely by their constructor's
arguments."""

from __future__ import annotations

from typing import Any

from keraslike.core.annotations import check_constructor
from keraslike.core.base import ConstructorSignature, Object
from keraslike.core.boxed import dispatches_calls
from keraslike.core.static import ComparedByAttributes


class Configured(ComparedByAttributes):
    """Base of initializers, regularizers and constraints: callables with a config and no state.

    `get_config()` reads the constructor's signature, as that of `Object` does. Two objects are
    equal if they are of one class and have equal attributes.

    >>> class Scale(Configured):
    ...     def __init__(self, factor=2.0):
    ...         self.factor = factor
    >>> Scale(3.0).get_config(), Scale() == Scale(2.0), Scale() == Scale(1.0)
    ({'factor': 3.0}, True, False)
    """

    __signature__ = ConstructorSignature()

    _not_compared = frozenset({"_init_args", "_gives_boxes"})

    _gives_boxes = False  # As in `Object`.

    def __new__(cls, *args: Any, **kwargs: Any):
        return Object.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_constructor(cls)
        if "__call__" in vars(cls):
            cls.__call__ = dispatches_calls(cls.__call__)

    _constructor_args = Object._constructor_args
    get_config = Object.get_config
    __reduce_ex__ = Object.__reduce_ex__
    from_config = classmethod(Object.from_config.__func__)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self._constructor_args().items())
        return f"{type(self).__name__}({arguments})"
