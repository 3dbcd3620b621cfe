"""Makes `import keras` and `tensorflow.keras` give keraslike, for unmodified scripts and packages.

A finder on `sys.meta_path` finds the modules. Public modules of Keras are those of keraslike
itself, so that names that are added later are visible; modules of `keras.src` are created from the
tables in `src_names.py`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import os
import sys
import types
from collections.abc import Iterator, Sequence
from multiprocessing import spawn
from typing import Any

import numpy as np

from keraslike import src_names
from keraslike.core import jax_internals, registry
from keraslike.core.registry import KERAS_VERSION

_FACES = ("keras", "keras.api", "keras._tf_keras.keras")
# Public modules that their parent module does not list.
_SPACES = ("keras.ops.image", "keras.ops.linalg", "keras.ops.nn", "keras.ops.numpy")
# Modules of Keras 2 that old programs import, by the module that has their public names today.
_KERAS_2 = {
    f"keras.{module}": place
    for place, modules in {
        "keras": "engine engine.base_layer engine.input_spec engine.topology engine.training",
        "keras.layers": (
            "layers.advanced_activations layers.convolutional layers.convolutional_recurrent "
            "layers.core layers.embeddings layers.merge layers.noise layers.normalization "
            "layers.pooling layers.recurrent layers.wrappers"
        ),
        "keras.losses": "objectives",
        "keras.utils": (
            "utils.data_utils utils.generic_utils utils.io_utils utils.layer_utils utils.np_utils "
            "utils.vis_utils"
        ),
    }.items()
    for module in modules.split()
}


def as_keras() -> types.ModuleType:
    """Makes `import keras` import keraslike in this process, and returns the module.

    The same applies to `keras.api`, `keras.src` (for the names in `keraslike/src_names.py`),
    `tensorflow.keras` and `tf.keras`. Where TensorFlow is not installed, `import tensorflow as tf`
    imports `keraslike.tf`, whose `tf.keras` returns `tf.Tensor`s. `keras.__version__` is the
    version of Keras whose API keraslike has. Modules of Keras 2 that old programs import, such as
    `keras.utils.np_utils` and `keras.layers.core`, have the names that are public today.

    `python -m keraslike SCRIPT` does the same for a script, `pytest -p keraslike.as_keras` for
    tests, and `import keraslike` if the environment variable `KERASLIKE_AS_KERAS` is `1`. It also
    applies to processes that `multiprocessing` starts.

    JAX's arrays then also have the method `numpy()`, which programs for Keras on TensorFlow call.

    Raises RuntimeError if Keras itself was imported before, since its classes are in use already.

    >>> import subprocess, sys
    >>> program = "import keraslike; keraslike.as_keras(); import keras; print(keras.layers.Dense)"
    >>> print(subprocess.check_output([sys.executable, "-c", program], text=True))
    <class 'keraslike.layers.dense.Dense'>
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        if "keras" in sys.modules:
            raise RuntimeError(
                "as_keras() has to come before the first `import keras`: Keras itself has been "
                f"imported in this process, from {getattr(sys.modules['keras'], '__file__', '?')}. "
                "Call keraslike.as_keras() at the top of the program, or run it by "
                "`python -m keraslike SCRIPT`."
            )
        sys.meta_path.insert(0, _Finder())
        # Programs for Keras on TensorFlow call this on what layers, models and ops return.
        jax_internals.Computed.numpy = lambda array: np.array(array)[()]
        registry.packages |= {"keras", "keras_hub", "keras_cv", "keras_nlp"}
        given = spawn.get_preparation_data
        spawn.get_preparation_data = lambda name: given(name) | {"keras": _InChild()}  # type: ignore[assignment]
        for name, place in _KERAS_2.items():  # As attributes: `keras.utils.generic_utils`.
            holder, (_, _, last) = importlib.import_module(place), name.rpartition(".")
            if name.startswith(f"{place}.") and place != "keras" and not hasattr(holder, last):
                setattr(holder, last, holder)
    return importlib.import_module("keras")


class _InChild:
    """Part of the data that `multiprocessing` sends to a spawned process, which unpickles it before
    it imports the program's modules."""

    def __reduce__(self) -> tuple[Any, tuple]:
        return as_keras, ()


def version() -> str:
    """The version of Keras whose API keraslike follows; its own is `keraslike.__version__`.

    >>> version().startswith("3.")
    True
    """
    return KERAS_VERSION


def pytest_addoption() -> None:
    """pytest calls this as soon as it has imported this module as a plugin, before any conftest."""
    as_keras()
    # Workers of pytest-xdist import the plugins in this variable as early, and others later.
    plugins = os.environ.get("PYTEST_PLUGINS", "").split(",")
    if __name__ not in plugins:
        os.environ["PYTEST_PLUGINS"] = ",".join(filter(None, (*plugins, __name__)))


# -- finding modules ------------------------------------------------------------------------------


class _Finder:
    """Finds and loads Keras's modules, and TensorFlow's if that is not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        if top == "keras" or (top == "tensorflow" and _is_ours(name)):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None  # The default module, until its content is known.

    def exec_module(self, module: types.ModuleType) -> None:
        # After the import, Python takes the module from sys.modules.
        sys.modules[module.__name__] = _module(module)


def _is_ours(name: str) -> bool:
    if name == "tensorflow.keras" or name.startswith("tensorflow.keras."):
        return True
    return not _has_tensorflow()


@functools.cache
def _has_tensorflow() -> bool:
    finders = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    return any(
        finder.find_spec("tensorflow", None) is not None
        for finder in finders
        if hasattr(finder, "find_spec")
    )


def _module(module: types.ModuleType) -> types.ModuleType:
    """The module to import for a name."""
    name = module.__name__
    if name.startswith("tensorflow.keras") and _has_tensorflow():
        name = name.replace("tensorflow", "keras._tf_keras", 1)
    if f"{name}.".startswith("keras._tf_keras.keras."):  # Where names of Keras 2 are, too.
        return _of_both(_module(types.ModuleType(name.removeprefix("keras._tf_keras."))))
    for face in reversed(_FACES):
        name = "keras" + name.removeprefix(face) if f"{name}.".startswith(f"{face}.") else name
    name = _KERAS_2.get(name, name)
    if name in ("keras", "keras._tf_keras"):
        return _face()
    if name == "keras.src" or name.startswith("keras.src."):
        return _source(module, name)
    top, *parts = name.split(".")
    found: Any = importlib.import_module("keraslike.tf" if top == "tensorflow" else "keraslike")
    for part in parts:
        public = part in dir(found) or name in _SPACES
        found = getattr(found, part, None) if public else None
    if isinstance(found, types.ModuleType):
        return found
    *above, last = module.__name__.split(".")
    raise ImportError(
        f"cannot import name {last!r} from {'.'.join(above)!r}: keraslike has no such module or "
        "name there",
        name=module.__name__,
    )


class _Face(types.ModuleType):
    """The module `keras`: keraslike's public names, with the version of Keras."""

    __version__ = KERAS_VERSION

    def __getattr__(self, name: str) -> Any:
        ours = importlib.import_module("keraslike")
        if name in dir(ours) or name in ("__all__", "__file__", "__path__"):
            return getattr(ours, name)
        if name in ("api", "src"):
            return importlib.import_module(f"keras.{name}")
        raise AttributeError(
            f"module 'keras' has no attribute {name!r}: keraslike has no such name"
        )

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module("keraslike"))


@functools.cache
def _face() -> types.ModuleType:
    face = _Face("keras", importlib.import_module("keraslike").__doc__)
    face.__spec__ = importlib.machinery.ModuleSpec("keras", None, is_package=True)
    return face


class _Both(types.ModuleType):
    """A module of keraslike, with the names of Keras 2 that only `tf.keras` still has."""

    def __init__(self, module: types.ModuleType):
        super().__init__(module.__name__, module.__doc__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return dir(self)
        found = getattr(self._module, name, self)
        if found is self and (old := src_names.OLDER.get(self._module.__name__)):
            return getattr(importlib.import_module(old), name)
        if found is self:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _of_both(found) if isinstance(found, types.ModuleType) else found

    def __dir__(self) -> list[str]:
        old = src_names.OLDER.get(self._module.__name__)
        return sorted({*dir(self._module), *(importlib.import_module(old).__all__ if old else ())})


@functools.cache
def _of_both(module: types.ModuleType) -> types.ModuleType:
    return _Both(module)


# -- keras.src ------------------------------------------------------------------------------------


class _Table:
    """Maps the modules and names of `keras.src` to those of keraslike."""

    def __init__(self, *tables: str):
        self.places: dict[str, dict[str, str]] = {"": {}}  # Module -> name -> place.
        self.spaces: dict[str, list[str]] = {}  # Module -> places whose names it has.
        self.modules: dict[str, str] = {}  # Module -> the module of keraslike that it is.
        names: dict[str, str] = {}
        module = before = ""
        for token in " ".join(tables).split():
            if token.endswith(":"):
                module = token[:-1]
                names = self.places.setdefault(module, {})
            elif token[0] == "&":
                self.modules[module] = token[1:]
            elif token[0] == "@":
                self.spaces.setdefault(module, []).append(token[1:])
            else:
                name, _, place = token.rpartition("=")
                place = (before + place).lstrip(".") if place[0] == "." else place
                before, _, last = place.rpartition(".")
                names[name or last] = place
        for module in list(self.places):
            while module:  # The packages that contain it.
                self.places.setdefault(module, {})
                module = module.rpartition(".")[0]

    def places_of(self, module: str, name: str) -> Iterator[str]:
        """The possible places of a name of a module, the most likely first."""
        if name in self.places[module]:
            yield self.places[module][name]
        for space in self.spaces.get(module, ()):
            yield f"{space}.{name}".lstrip(".")
        for other, names in self.places.items():
            if (
                other.startswith(f"{module}.")
                and name in names
                and (module or "." not in names[name])
            ):
                yield names[name]
        if "." not in module:
            yield f"{module}.{name}".lstrip(".")

    def names_of(self, module: str) -> set[str]:
        """The possible names of a module."""
        found = set(self.places[module])
        for space in (*self.spaces.get(module, ()), *((module,) if "." not in module else ())):
            with contextlib.suppress(LookupError):
                found.update(dir(_at(space)))
        if module:
            below = [
                names for other, names in self.places.items() if other.startswith(f"{module}.")
            ]
            found.update(*below)
        return found


@functools.cache
def _table() -> _Table:
    return _Table(src_names.PUBLIC, src_names.PRIVATE)


def _at(place: str) -> Any:
    """The module or name at a place in keraslike; LookupError if there is none."""
    outside = place.startswith("/")
    top, *parts = (place[1:] if outside else f"keraslike.{place}".rstrip(".")).split(".")
    found: Any = importlib.import_module(top)
    for part in parts:
        if not hasattr(found, part):
            try:
                importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                raise LookupError(place) from None
        found = getattr(found, part)
    return found


class _Source(types.ModuleType):
    """A module of `keras.src`, whose names are looked up on access."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # `from keras.src.ops.numpy import *`.
            return [name for name in dir(self) if name[0] != "_" and hasattr(self, name)]
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__.removeprefix("keras.src").lstrip(".")
        full = f"{module}.{name}".lstrip(".")
        if full in _table().places:
            return importlib.import_module(f"keras.src.{full}")
        if name == "ALL_OBJECTS_DICT" and registry.names_of(module):
            return registry.names_of(module)  # Packages add names there, which `get` then finds.
        for place in _table().places_of(module, name):
            with contextlib.suppress(LookupError):
                return _at(place)
        if f"{module}.".startswith("ops.") and name[0].isupper():  # Keras's class for a function.
            with contextlib.suppress(ValueError):
                return importlib.import_module("keraslike.models.operations").operation_class(name)
        return _absent(self.__name__, name, AttributeError)

    # A test that patches a name of Keras's means the corresponding name of keraslike.

    def _holder(self, name: str) -> tuple[Any, str]:
        module = self.__name__.removeprefix("keras.src").lstrip(".")
        places = () if name.startswith("__") else _table().places_of(module, name)
        for place in places:
            holder, _, last = place.rpartition(".")
            with contextlib.suppress(LookupError):
                if not place.startswith("/") and last in vars(found := _at(holder)):
                    return found, last
        return None, name

    def __setattr__(self, name: str, value: Any) -> None:
        found, last = (None, name) if isinstance(value, types.ModuleType) else self._holder(name)
        if found is None:
            return super().__setattr__(name, value)
        vars(self).setdefault("_before", {}).setdefault(name, getattr(found, last))
        setattr(found, last, value)

    def __delattr__(self, name: str) -> None:
        found, last = self._holder(name)
        if found is None:
            return super().__delattr__(name)
        with contextlib.suppress(KeyError):  # The value before the name was first set.
            setattr(found, last, vars(self).get("_before", {}).pop(name))

    def __dir__(self) -> list[str]:
        return sorted(_table().names_of(self.__name__.removeprefix("keras.src").lstrip(".")))


def _source(module: types.ModuleType, name: str) -> types.ModuleType:
    place = name.removeprefix("keras.src").lstrip(".")
    if place in _table().modules:
        return _at(_table().modules[place])
    if place not in _table().places:
        parent, _, last = name.rpartition(".")
        return _absent(parent, last, ImportError)
    made = _Source(module.__name__, "Made of keraslike/src_names.py.")
    made.__spec__, made.__path__, made.__file__ = module.__spec__, [], src_names.__file__
    if place in ("", "version"):
        made.__version__ = KERAS_VERSION
    return made


def _absent(module: str, name: str, error: type[Exception]) -> Any:
    raise error(
        f"cannot import name {name!r} from {module!r}: of keras.src keraslike has what the table "
        f"in {src_names.__file__} names, as far as it is there yet"
    )
