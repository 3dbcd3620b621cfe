"""`Config`: named values that are attributes and items of a dict."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, MutableMapping
from typing import Any


class Config(MutableMapping):
    """Named values, which are read and set as attributes or as items of a dict.

    Once it is frozen, setting a value raises ValueError. An unknown name raises AttributeError,
    which suggests the most similar name, or KeyError.

    >>> config = Config(learning_rate=0.1)
    >>> config.momentum = 0.9
    >>> config["momentum"], config.to_json()
    (0.9, '{"learning_rate": 0.1, "momentum": 0.9}')
    >>> config.freeze()
    >>> config.seed = 1
    Traceback (most recent call last):
        ...
    ValueError: This Config is frozen and cannot be changed. Call unfreeze(), or change a copy.
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        return self._frozen

    def freeze(self) -> None:
        """Forbids changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allows changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """A dict of the values."""
        return dict(self._config)

    def to_json(self) -> str:
        """The values as JSON text."""
        return json.dumps(self._config)

    def _changing(self) -> dict[str, Any]:
        if self._frozen:
            raise ValueError(
                "This Config is frozen and cannot be changed. Call unfreeze(), or change a copy."
            )
        return self._config

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self._changing()[key] = item

    def __delitem__(self, key: str) -> None:
        del self._changing()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def keys(self) -> Any:
        return self._config.keys()

    def values(self) -> Any:
        return self._config.values()

    def items(self) -> Any:
        return self._config.items()

    def pop(self, *args: Any) -> Any:
        return self._changing().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._changing().update(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(
                f"'{name}' is an attribute of the class Config. Set config[{name!r}] instead."
            )
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_config", "_frozen"):  # missing during unpickling
            raise AttributeError(name)
        if name in self._config:
            return self._config[name]
        close = difflib.get_close_matches(name, self._config, n=1, cutoff=0.7)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise AttributeError(f"Unknown attribute: '{name}'.{hint}")

    def __getstate__(self) -> Any:
        return self._config, self._frozen

    def __setstate__(self, state: Any) -> None:
        for name, value in zip(("_config", "_frozen"), state):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
