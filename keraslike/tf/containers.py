"""Lists and dicts that tell when something is put into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike.core import base


def watch(obj: Any, name: str) -> None:
    """Makes a list or dict in an attribute tell of what is put into it."""
    found = vars(obj).get(name) if isinstance(obj, base.Object) else None
    if type(found) in _TELLING:
        telling = _TELLING[type(found)](found)
        telling._owner = obj
        vars(obj)[name] = telling


def _telling(kind: type, names: str) -> type:
    """A list or dict that tells the object whose attribute it is when something is put into it."""

    class Telling(kind):  # type: ignore[misc,valid-type]
        _owner: Any = None

        def __reduce__(self) -> Any:
            return kind, (kind(self),)

    def changed(change: Callable) -> Callable:
        def then_tells(self: Any, *args: Any, **kwargs: Any) -> Any:
            out = change(self, *args, **kwargs)
            if self._owner is not None:
                base.notify(self._owner)
            return out

        return then_tells

    for name in names.split():
        setattr(Telling, name, changed(getattr(kind, name)))
    Telling.__name__ = Telling.__qualname__ = kind.__name__
    return Telling


_TELLING = {
    list: _telling(list, "append extend insert __setitem__ __iadd__"),
    dict: _telling(dict, "update setdefault __setitem__ __ior__"),
}
