"""Writes the table of names that `harness.py` makes TensorFlow's private modules from.

    PYTHON tests/tensorflow/names.py SOURCES TABLE

PYTHON is an interpreter that has TensorFlow, SOURCES a checkout of it with its tests. TABLE becomes
a file of JSON: for each module that the tests import, its attributes and of each one

    {"api": [...]}                  the public names of the same object
    {"raw": "MatMul", "args": [..]} the operation of `tf.raw_ops`, and the order of its arguments
    {"module": "..."}               another module of TensorFlow
    {"python": "..."}               a module of another package
    {"value": ...}                  a number or a text
    {}                              something private
"""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

IMPORT = re.compile(r"^\s*(?:from (tensorflow[\w.]*) import (\w+)|import (tensorflow[\w.]*))", re.M)


def imported(sources: pathlib.Path) -> set[str]:
    """The modules that test files import, and what may be one."""
    found = set()
    for file in (sources / "tensorflow/python").rglob("*test*.py"):
        for module, name, whole in IMPORT.findall(file.read_text(errors="replace")):
            found |= {module, f"{module}.{name}"} if module else {whole}
    return found


def public(module: Any, path: str, found: dict[int, list[str]]) -> dict[int, list[str]]:
    """The public names of the objects of a module and of its modules, by `id`."""
    for name in (name for name in dir(module) if not name.startswith("_")):
        try:
            value = getattr(module, name)
            is_part = isinstance(value, types.ModuleType) and "._api." in value.__name__
        except Exception:  # of modules that are loaded lazily, some cannot be
            continue
        here = f"{path}.{name}".lstrip(".")
        if is_part and name not in ("compat", "keras") and here.count(".") < 5:
            public(value, here, found)
        elif not isinstance(
            value, (types.ModuleType, int, float, str, tuple, list, dict, type(None))
        ):
            found.setdefault(id(value), []).append(here)
    return found


def described(module: types.ModuleType, new: dict, old: dict, operations: set[str]) -> Iterator:
    """The attributes of a module, with what is known of them."""
    for name in dir(module):
        try:
            value = getattr(module, name)
            kind = value.__name__ if isinstance(value, types.ModuleType) else ""
        except Exception:
            continue
        if name.startswith("__"):
            continue
        # Some functions are wrapped on their way to the public modules, and know their names.
        known = vars(value).get("_tf_api_names", ()) if hasattr(value, "__dict__") else ()
        if kind:
            yield name, {"module" if kind.startswith("tensorflow") else "python": kind}
        elif api := [*known, *new.get(id(value), ())]:
            yield name, {"api": api}
        elif id(value) in old:
            yield name, {"api": [f"compat.v1.{path}" for path in old[id(value)]]}
        elif ".gen_" in module.__name__ and inspect.isfunction(value):
            raw = "".join(part.capitalize() for part in name.split("_"))
            same = [op for op in operations if op.lower() == raw.lower()]
            args = list(inspect.signature(value).parameters)
            yield name, {"raw": (same or [raw])[0], "args": args}
        else:
            yield name, {"value": value} if isinstance(value, (bool, int, float, str)) else {}


def main() -> None:
    import tensorflow as tf

    sources, place = map(pathlib.Path, sys.argv[1:])
    new, old = public(tf, "", {}), public(tf.compat.v1, "", {})
    table = {}
    for name in sorted(imported(sources)):
        try:
            module = importlib.import_module(name)
        except Exception:  # a test's own module, or no module at all
            continue
        table[name] = dict(described(module, new, old, set(dir(tf.raw_ops))))
    place.write_text(json.dumps(table))
    print(f"{place}: {len(table)} modules, {sum(map(len, table.values()))} names")


if __name__ == "__main__":
    main()
