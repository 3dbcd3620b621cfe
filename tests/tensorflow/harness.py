"""The pytest plugin under which TensorFlow's own tests run against `keraslike.tf`.

The tests import private modules (`tensorflow.python.ops.math_ops`). These are made of the table of
`names.py`, which knows the public name of each attribute. `stand_ins.py` has what test files use
of TensorFlow's tools for tests, and a few modules that are Python only come from the sources. Tests
run eagerly, as in TensorFlow 2: those of graphs are skipped. A name that keraslike does not have
fails the tests that use it. `run.py` starts it and says by the environment:

    TENSORFLOW_SOURCES   a checkout of TensorFlow
    TENSORFLOW_NAMES     the table of `names.py`
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from keraslike import tf
from keraslike.data.pipeline import DatasetIterator
from tests.conformance.harness import (
    Absent,
    pytest_runtest_protocol,  # noqa: F401 (this plugin's hook as well)
)
from tests.tensorflow import stand_ins

SOURCES = pathlib.Path(os.environ.get("TENSORFLOW_SOURCES", ""))
TABLE: dict[str, dict] = {}  # of `names.py`
# Python modules of TensorFlow that serve its tests; all others are made of the table.
FROM_SOURCES = re.compile(
    r"tensorflow\.python\.(.*_test|.*\.\w*_?test_base|framework\.(test_)?combinations"
    r"|ops\.(linalg\.linear_operator|parallel_for\.)_?test_util|util\.(compat|tf_inspect))"
)
# Where the public function is that a private one of the same name implements.
PUBLIC_MODULES = (
    *("", "math.", "ragged.", "strings.", "linalg.", "nn.", "sparse.", "random.", "image."),
    *("errors.", "data.experimental.", "train."),
)


def public(path: str) -> Any:
    """What has this name in `keraslike.tf`. Raises AttributeError if nothing has."""
    value = tf
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except ImportError as error:
            raise AttributeError(path) from error
    return value


def _first(paths: Sequence[str]) -> Any:
    for path in paths:
        try:
            return public(path)
        except AttributeError:
            continue
    return None


def _attribute(module: str, name: str) -> Any:
    full = f"{module}.{name}"
    if full in stand_ins.VALUES:
        return stand_ins.VALUES[full]
    if full in stand_ins.PUBLIC:
        return public(stand_ins.PUBLIC[full])
    known = TABLE.get(module, {}).get(name)
    if known is None and (
        full in TABLE or SOURCES.joinpath(*full.split(".")).with_suffix(".py").exists()
    ):
        return importlib.import_module(full)
    known = known or {}
    if "module" in known or "python" in known:
        return importlib.import_module(known.get("module") or known["python"])
    if "value" in known:
        return known["value"]
    if "raw" in known:
        operation = getattr(tf.raw_ops, known["raw"], None)
        return (
            _by_position(operation, known["args"])
            if operation
            else Absent(f"tf.raw_ops.{known['raw']}")
        )
    api = known.get("api", [])
    if not api and not name.startswith("_"):
        numpy = ("experimental.numpy.",) if ".numpy_ops." in module else ()
        api = [prefix + name for prefix in (*numpy, *PUBLIC_MODULES)]
    found = _first(api)
    if found is None and api and api[0].startswith("compat.v1."):
        found = _first([path.removeprefix("compat.v1.") for path in api])
        if inspect.isfunction(found):
            found = _of_tensorflow_2(found, f"tf.{api[0]}")
    return Absent(f"tf.{known['api'][0]}" if "api" in known else full) if found is None else found


def _of_tensorflow_2(function: Callable, name: str) -> Callable:
    """A function of TensorFlow 2 for calls of the one of TensorFlow 1. Calls with arguments that
    only the latter has are calls of a function that keraslike does not have."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError:
            Absent(name)()
        return function(*args, **kwargs)

    return call


def _by_position(operation: Callable, names: Sequence[str]) -> Callable:
    """An operation of `raw_ops`, which takes arguments by name, for calls by position."""

    def call(*args: Any, name: Any = None, **kwargs: Any) -> Any:
        return operation(**dict(zip(names, args)), **kwargs)

    return call


class Finder:
    """Finds the modules of TensorFlow."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] != "tensorflow":
            return None
        file = SOURCES.joinpath(*name.split(".")).with_suffix(".py")
        if FROM_SOURCES.fullmatch(name) and name not in stand_ins.MODULES and file.exists():
            return importlib.util.spec_from_file_location(name, file)
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        made = stand_ins.MODULES.get(spec.name)
        if made is None:
            made = stand_ins.Module(spec.name, {}, functools.partial(_attribute, spec.name))
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is left to do."""


def pytest_addoption() -> None:
    """Called as soon as the plugin has been imported, before any test file is."""
    TABLE.update(json.loads(pathlib.Path(os.environ["TENSORFLOW_NAMES"]).read_text()))
    DatasetIterator._next_internal = DatasetIterator.get_next  # type: ignore[attr-defined]
    tf.Tensor._USE_EQUALITY = True  # type: ignore[attr-defined]
    sys.meta_path.insert(0, Finder())
    of_tf = functools.partial(getattr, tf)
    sys.modules["tensorflow"] = stand_ins.Module("tensorflow", {"test": stand_ins.TEST}, of_tf)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Leaves out graphs, TensorFlow 1 and benchmarks."""
    left_out = re.compile(r"mode_graph|tfapiversion_1|::test_session$|Benchmark")
    items[:] = [item for item in items if not left_out.search(item.nodeid)]
