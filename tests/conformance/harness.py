"""The pytest plugin under which Keras's own tests run, against keraslike or against Keras.

Against keraslike it is `as_keras()` and what the test files need beyond it: they find each other
and `keras.src.testing` in Keras's sources, and a name of `keras.src` that keraslike has not fails
the tests that use it, not the whole file that imports it. `run.py` starts it and says by the
environment:

    CONFORMANCE_SOURCES  the root of Keras's source distribution
    CONFORMANCE_LIBRARY  keraslike or keras
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib
import re
import sys
import types
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest


def pytest_addoption() -> None:
    """Called as soon as the plugin has been imported, before any test file is."""
    sources = pathlib.Path(os.environ["CONFORMANCE_SOURCES"])
    sys.modules["conftest"] = _conftest()
    if os.environ["CONFORMANCE_LIBRARY"] == "keras":
        sys.path.insert(0, str(sources))  # that Keras, not the one that is installed
        return
    import keraslike

    keraslike.as_keras()
    keraslike.config.disable_traceback_filtering()
    sys.meta_path.insert(0, _TestFiles(sources))
    face = sys.modules["keraslike.as_keras"]
    face._absent = Absent.of  # type: ignore[attr-defined]
    for file in (sources / "keras/src").rglob("*.py"):  # all modules are there, of what is in them
        module = ".".join(file.relative_to(sources / "keras/src").with_suffix("").parts)
        if not module.endswith("_test"):
            face._table().places.setdefault(module.removesuffix("__init__").rstrip("."), {})


def _conftest() -> types.ModuleType:
    """What test files import of Keras's conftest.py, which the distribution leaves out."""
    module: Any = types.ModuleType("conftest")
    module.skip_if_backend = lambda backend, reason: pytest.mark.skipif(
        backend == "jax", reason=reason
    )
    return module


class _TestFiles:
    """Finds test files, and `keras.src.testing`, in Keras's sources."""

    def __init__(self, sources: pathlib.Path):
        self.sources = sources

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> Any:
        is_test = name.startswith("keras.src.") and name.endswith("_test")
        if not is_test and not f"{name}.".startswith("keras.src.testing."):
            return None
        file = self.sources.joinpath(*name.split("."))
        if file.is_dir():
            return importlib.util.spec_from_file_location(
                name, file / "__init__.py", submodule_search_locations=[str(file)]
            )
        return importlib.util.spec_from_file_location(name, file.with_suffix(".py"))


# What pytest looks for in modules and packages.
OF_PYTEST = ("pytest_", "setUpModule", "setup_", "tearDownModule", "teardown_")


class Absent:
    """A name of `keras.src` that keraslike has not, for files that import it and for what they do
    with it while they are imported. A test that uses it fails."""

    running = False  # whether a test is

    def __init__(self, name: str):
        self.__dict__.update(_name=name, __name__=name.rpartition(".")[2], __qualname__=name)

    @staticmethod
    def of(module: str, name: str, error: type[Exception]) -> Any:
        if name.endswith("_test"):  # another test file
            return importlib.import_module(f"{module}.{name}")
        if name.startswith(OF_PYTEST):
            raise AttributeError(name)
        if Absent.running:
            raise error(f"{module}.{name} is not in keraslike")
        return Absent(f"{module}.{name}")

    def _used(self, result: Any = None) -> Any:
        if Absent.running:
            raise ImportError(f"{self._name} is not in keraslike")
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._used(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._used(Absent(f"{self._name}.{name}"))

    def __iter__(self) -> Iterator[Any]:
        return self._used(iter(()))

    def __instancecheck__(self, value: Any) -> bool:
        return self._used(False)

    def __mro_entries__(self, bases: tuple) -> tuple:
        return self._used(())


# Of `applications`, whose tests build networks: the smallest of every family, and no weights.
_NETWORKS = re.compile(
    r"::(test_application_(?!base)\w+)_(ConvNeXtTiny|DenseNet121|EfficientNetB0|EfficientNetV2B0|"
    "InceptionResNetV2|InceptionV3|MobileNet|MobileNetV2|MobileNetV3Small|NASNetMobile|ResNet50|"
    "ResNet50V2|VGG16|Xception)_channels"
)
_NETWORKS_A_TEST = 8


def _is_run(item: Any, networks: Counter[str]) -> bool:
    if "applications_test.py" not in item.nodeid:
        return True
    found = _NETWORKS.search(item.nodeid)
    if found:
        networks[found[1]] += 1
    return found is not None and networks[found[1]] <= _NETWORKS_A_TEST


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Leaves out networks."""
    networks: Counter[str] = Counter()
    by_chance = sorted(
        items, key=lambda item: zlib.crc32(item.nodeid.removeprefix("keras/src/").encode())
    )
    left_out = {id(item) for item in by_chance if not _is_run(item, networks)}
    items[:] = [item for item in items if id(item) not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    Absent.running = True
    try:
        return (yield)
    finally:
        Absent.running = False
