"""Public names of Keras, which has to be installed.

python tests/conformance/names.py            those that keraslike has not
python tests/conformance/names.py --table    `PUBLIC` of keraslike/src_names.py: where in
                                             `keras.src` each is defined
"""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
import types
from collections.abc import Iterator

os.environ["KERAS_BACKEND"] = "jax"

import keras

import keraslike


def public_names(module: types.ModuleType, path: str = "") -> Iterator[tuple[str, object]]:
    """Each public name below a module, with its namespace, and its value."""
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            inside = value.__name__ == f"{module.__name__}.{name}"
            if inside and name[0] != "_" and name not in ("src", "api"):
                yield from public_names(value, f"{path}{name}.")
        elif not name.startswith("_"):
            yield path + name, value


def missing() -> Iterator[str]:
    """The names that keraslike has not."""
    for path, _ in public_names(keras):
        found = keraslike
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is None:
            yield path


def home(value: object) -> tuple[str, str] | None:
    """The module of `keras.src` that an object says it is from, and its name there."""
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__name__", None) or ""
    if not module.startswith("keras.src"):
        return None
    found = getattr(importlib.import_module(module), name, None)
    return (module.removeprefix("keras.src").lstrip("."), name) if found is value else None


def table() -> str:
    """A line or more a module: the names defined there, where they are public."""
    lines: dict[str, dict[str, str]] = {}
    for path, value in public_names(keras):
        if (found := home(value)) is not None:
            module, name = found
            names = lines.setdefault(module, {})
            # Of several places the one of the same name, and of those the first.
            if (
                name not in names
                or names[name].rpartition(".")[2] != name == path.rpartition(".")[2]
            ):
                names[name] = path
    text = []
    for module, names in sorted(lines.items()):
        tokens, before = [f"{module}:"], None
        for name, path in sorted(names.items(), key=lambda item: (item[1].rpartition("."), item)):
            namespace, _, last = path.rpartition(".")
            token = f".{last}" if namespace == before else path
            tokens.append(token if last == name else f"{name}={path}")
            before = namespace
        text.append(
            textwrap.fill(
                " ".join(tokens),
                98,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(text)


if __name__ == "__main__":
    if "--table" in sys.argv:
        print(table())
    else:
        print(*(names := list(missing())), sep="\n")
        print(
            f"{len(names)} of {len(list(public_names(keras)))} names of Keras {keras.__version__}"
        )
