"""The registry of public and user-defined names, and the lookup of objects by name."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.core.naming import to_snake_case
from keraslike.core.tracebacks import is_ours

KERAS_VERSION = "3.15.1"  # The version of Keras whose names and file formats these are.

_public: dict[tuple[str, str], Any] = {}  # (Keras's module, name) -> object, for files.
_names: dict[str, dict[str, Any]] = {}  # "losses" -> the names in `_public` -> object.
_public_name: dict[int, tuple[str, str]] = {}  # id(object) -> (module, name).
_families: dict[str, dict[str, Any]] = {}  # "losses" -> every accepted name -> object.
# id(function) -> the function, and the one that it replaces.
_stand_ins: dict[int, tuple[Any, Any]] = {}
_registered: dict[str, Any] = {}  # "package>Name" -> object.
_registered_name: dict[Any, str] = {}
# Packages whose classes need not be registered, as in Keras: those that are written for Keras and
# derive from keraslike's classes after `as_keras()`.
packages: set[str] = set()

# The families whose objects a file may name: the parts of models. Others (callbacks, saving, ...)
# may read and write files, which no config may cause. Of `utils`, only FeatureSpace is published.
_IN_FILES = frozenset(
    ("activations", "constraints", "distillation", "dtype_policies", "feature_space")
    + ("functional", "index_lookup", "initializers", "keras", "layers", "losses", "metrics", "ops")
    + ("optimizers", "quantizers", "random", "regularizers", "schedules", "utils")
)


class _Scope(threading.local):
    def __init__(self):
        self.custom_objects: dict[str, Any] = {}
        self.safe_mode: bool | None = None  # The argument of the outermost call of `deserialize`.


# The state of scopes in this thread.
scope = _Scope()


# -- registering ------------------------------------------------------------------------------


def publish(module: str, objects: dict[str, Any], aliases: dict[str, Any] | None = None) -> None:
    """Registers public objects under Keras's module name, so that saved files can refer to them.

    Args:
        module: for example `"keras.losses"`; its last part is the family for `get`. Files may only
            refer to objects of families that models consist of.
        objects: a dict from names to classes or functions; classes are also found by their
            snake-case name.
        aliases: further names, such as `"mse"`.
    """
    last = module.rpartition(".")[2]
    family = _families.setdefault(last, {})
    for name, obj in objects.items():
        if last in _IN_FILES:
            _public[module, name] = _names.setdefault(last, {})[name] = obj
            _public_name.setdefault(id(obj), (module, name))
        family[name] = obj
        if inspect.isclass(obj):
            family.setdefault(to_snake_case(name), obj)
    family.update(aliases or {})


def members(names: dict[str, Any], *packages: str) -> list[str]:
    """The names in a module whose values are classes and functions defined in these packages, in
    order: a family's public names are those that its `__init__` imports or defines."""
    return [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and any(is_ours(value, package) for package in packages)
    ]


def public_name(obj: Any) -> tuple[str | None, str | None]:
    """Keras's module and name for a public object that files may name; else `(None, None)`."""
    _, obj = _stand_ins.get(id(obj), (obj, obj))
    module, name = found = _public_name.get(id(obj), (None, None))
    return found if _public.get((module, name)) is obj else (None, None)  # type: ignore[arg-type]


def publish_as(function: Callable, other: Any) -> None:
    """Makes files refer to a function by the name of another one that it replaces."""
    _stand_ins[id(function)] = function, other


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorator that makes a class or function loadable without `custom_objects`.

    >>> @register_keras_serializable(package="docs")
    ... def twice(x):
    ...     return 2 * x
    >>> get_registered_name(twice)
    'docs>twice'
    """

    def decorate(obj: Any) -> Any:
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"Cannot register a class that does not have a get_config() method: {obj.__name__}"
            )
        full = f"{package}>{name or obj.__name__}"
        _registered[full] = obj
        _registered_name[obj] = full
        return obj

    return decorate


def get_registered_name(obj: Any) -> str:
    """The name an object was registered under, or else its own name.

    >>> get_registered_name(len)
    'len'
    """
    try:
        return _registered_name.get(obj) or obj.__name__
    except TypeError:  # An unhashable object.
        return obj.__name__


def is_registered(obj: Any) -> bool:
    """Whether a class or function was registered."""
    return obj in _registered_name


def get_registered_object(
    name: str,
    custom_objects: dict[str, Any] | None = None,
    module_objects: dict[str, Any] | None = None,
) -> Any:
    """The object registered under a name, or `None`.

    >>> get_registered_object("a name that nothing has") is None
    True
    """
    for table in (scope.custom_objects, custom_objects, _registered, module_objects):
        if table and name in table:
            return table[name]
    return None


@contextlib.contextmanager
def custom_object_scope(custom_objects: dict[str, Any]) -> Iterator[None]:
    """A block in which deserialization finds the names in `custom_objects`.

    >>> from keraslike import activations
    >>> with custom_object_scope({"half": lambda x: x / 2}):
    ...     activations.get("half")(3.0)
    1.5
    """
    with using(custom_objects, scope.safe_mode):
        yield


@contextlib.contextmanager
def safe_mode_scope(safe_mode: bool = True) -> Iterator[None]:
    """A block in which deserialization refuses, or allows, the bytecode of lambdas."""
    with using(None, safe_mode):
        yield


@contextlib.contextmanager
def using(custom_objects: dict[str, Any] | None, safe_mode: bool | None) -> Iterator[None]:
    before = scope.custom_objects, scope.safe_mode
    scope.custom_objects = {**scope.custom_objects, **(custom_objects or {})}
    scope.safe_mode = safe_mode
    try:
        yield
    finally:
        scope.custom_objects, scope.safe_mode = before


def get_custom_objects() -> dict[str, Any]:
    """The names registered for every load: a dict that may be added to.

    >>> "MyLayer" in get_custom_objects()
    False
    """
    return _registered


# -- looking up -------------------------------------------------------------------------------


def singular(family: str) -> str:
    """The word for one member of a family in messages."""
    return {"losses": "loss", "activations": "activation function"}.get(family, family[:-1])


def named(family: str, name: str) -> Any:
    """The object registered under a name, or known by it in a family; `None` where there is
    none."""
    found = get_registered_object(name)
    return names_of(family).get(name) if found is None else found


def names_of(family: str) -> dict[str, Any]:
    """All names of a family, aliases and snake case included, with their objects."""
    return _families.get(family, {})


def unknown(family: str, name: str) -> str:
    """The message for a name that is unknown in a family, with the closest known names."""
    known = [*_families.get(family, {}), *scope.custom_objects, *_registered]
    # Of names that differ only in case, "mse" is suggested rather than "MSE".
    lowered = {k.lower(): k for k in sorted(known, key=str.islower)}
    close = [lowered[m] for m in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return (
        f"Could not interpret {singular(family)} identifier: {name!r}.{hint} If it is "
        f"your own, pass the function or object itself, or custom_objects={{{name!r}: ...}} when "
        "loading."
    )


def registered_in_any_package(name: str) -> Any:
    """The object registered under a name in any one package; `None` where none or several have
    it."""
    same = [obj for full, obj in _registered.items() if full.partition(">")[2] == name]
    return same[0] if len(same) == 1 else None


def find_public(module: Any, name: str, is_function: bool = False) -> Any:
    """A public object by Keras's module name, at any depth that the file states.

    Args:
        name: its name or an alias.
        is_function: whether to look for a function instead of a class of the same name.
    """
    if (module, name) in _public:
        return _public[module, name]
    root = (module or "keras").partition(".")[0]
    if root not in ("keras", "keraslike", "builtins", "tf_keras", "tensorflow"):
        return None
    # First the families in the module's name ("keras.src.layers.core.dense" -> "layers"), then all
    # others, ops last; within each, names before aliases.
    every = sorted(_IN_FILES, key=lambda family: family == "ops")
    named = [part for part in (module or "").split(".") if part in _IN_FILES]
    found = [
        table[name]
        for families in (named, every)
        for tables in (_names, _families)
        for table in (tables.get(family, {}) for family in families)
        if name in table
    ]
    right = (obj for obj in found if inspect.isclass(obj) != is_function)
    return next(right, found[0] if found else None)
