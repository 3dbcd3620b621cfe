"""How TensorFlow's public functions are called, a line each, for those that keraslike has too.

Run with TensorFlow and keraslike's names on standard input, it prints what is in signatures.txt:

    python -m tests.tf.signatures | python-with-tensorflow tests/tf/signatures.py - > signatures.txt
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from typing import Any


def shown(function: Any) -> str:
    """Arguments and defaults; that of `name` does not count, a label in TensorFlow's graphs."""
    parts, star = [], False
    for p in inspect.signature(function).parameters.values():
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        default = "" if p.default is p.empty else f"={p.default!r}"
        parts.append(mark + p.name + ("=None" if p.name == "name" and default else default))
    return re.sub(r"<function (\w+) at \w+>", r"\1", f"({', '.join(parts)})")


def names_of(module: types.ModuleType, path: str) -> list[str]:
    """The functions of a module and of those below it."""
    found = []
    for name in dir(module):
        if name.startswith("_") or f"{path}.{name}" in ("tf.keras", "tf.lite.Interpreter"):
            continue
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            if value.__name__ == f"{module.__name__}.{name}":
                found += names_of(value, f"{path}.{name}")
        elif callable(value) and not inspect.isclass(value):
            found.append(f"{path}.{name}")
    return found


def resolved(library: Any, name: str) -> Any:
    for part in name.split(".")[1:]:
        library = getattr(library, part, None)
    return library


def main() -> None:
    if sys.argv[1:] != ["-"]:
        from keraslike import tf

        print("\n".join(names_of(tf, "tf")))
        return
    import tensorflow  # type: ignore

    for name in sys.stdin.read().split():
        function = resolved(tensorflow, name)
        if function is not None and not inspect.isclass(function):
            print(name + shown(function))


if __name__ == "__main__":
    main()
