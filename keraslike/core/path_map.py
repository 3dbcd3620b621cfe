"""`PathMap`: dicts whose keys are paths, or regular expressions of paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from keraslike.core.arguments import require


class PathMap(MutableMapping):
    """A dict with paths as keys. A value is looked up under the path itself, under the one regular
    expression that matches the whole path, and then in `_default()`.

    Raises ValueError if several expressions match, and where a key that is there is set.
    """

    _what = ""  # What the keys are used for, in error messages.

    def __init__(self, values: dict[str, Any] | None) -> None:
        self._values = {} if values is None else values

    def _default(self) -> Any:
        raise NotImplementedError

    def _checked(self, value: Any) -> Any:
        """Validates and converts a value before it is stored."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        if key in self._values:
            return self._values[key]
        found = [pattern for pattern in self._values if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(f"Path {key!r} matches multiple {self._what}keys: {found}.")
        return self._values[found[0]] if found else self._default()

    def __setitem__(self, key: str, value: Any) -> None:
        require(isinstance(key, str), "a string", key=key)
        if key in self._values:
            raise ValueError(
                f"{key} already exist in the {type(self).__name__}, with the value "
                f"{self._values[key]!r}. Delete it first."
            )
        self._values[key] = self._checked(value)

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)
