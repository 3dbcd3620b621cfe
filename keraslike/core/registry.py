"""Names and objects: what is public, what users registered, and what a name stands for."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.core.naming import to_snake_case
from keraslike.core.tracebacks import is_ours

KERAS_VERSION = "3.15.1"  # whose names and files these are

_public: dict[tuple[str, str], Any] = {}  # (Keras's module, name) -> object, for files
_names: dict[str, dict[str, Any]] = {}  # "losses" -> the names in `_public` -> object
_public_name: dict[int, tuple[str, str]] = {}  # id(object) -> (module, name)
_families: dict[str, dict[str, Any]] = {}  # "losses" -> every name it answers to -> object
_stand_ins: dict[int, tuple[Any, Any]] = {}  # id(function) -> it, and the one it stands for
_registered: dict[str, Any] = {}  # "package>Name" -> object
_registered_name: dict[Any, str] = {}
# Packages whose classes need not be registered, as in Keras: those written for it, which are
# derived from keraslike's classes once `as_keras()` was called.
packages: set[str] = set()

# The families that a file may name: what models are made of. Of all others (callbacks, saving, ...)
# some read and write files, and no config is to make them do so. Of `utils`, FeatureSpace alone is
# published.
_IN_FILES = frozenset(
    ("activations", "constraints", "distillation", "dtype_policies", "feature_space")
    + ("functional", "index_lookup", "initializers", "keras", "layers", "losses", "metrics", "ops")
    + ("optimizers", "quantizers", "random", "regularizers", "schedules", "utils")
)


class _Scope(threading.local):
    def __init__(self):
        self.custom_objects: dict[str, Any] = {}
        self.safe_mode: bool | None = None  # what the outermost call of `deserialize` said


# What holds within blocks, for the thread that they are in.
scope = _Scope()


# -- registering ------------------------------------------------------------------------------


def publish(module: str, objects: dict[str, Any], aliases: dict[str, Any] | None = None) -> None:
    """Makes public objects known under Keras's module name, so that saved files can name them.

    Args:
        module: e.g. `"keras.losses"`; its last part is the family that `get` looks in. Files may
            name the objects of families that models are made of, and no others.
        objects: name -> class or function; classes answer to their snake-case name as well.
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


def members(names: dict[str, Any], *rooms: str) -> list[str]:
    """Of the names in a module those of classes and functions of these rooms, in their order: what
    a family's `__init__` imports or defines is public."""
    return [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and any(is_ours(value, room) for room in rooms)
    ]


def public_name(obj: Any) -> tuple[str | None, str | None]:
    """Keras's module and name of a public object that files may name; else `(None, None)`."""
    _, obj = _stand_ins.get(id(obj), (obj, obj))
    module, name = found = _public_name.get(id(obj), (None, None))
    return found if _public.get((module, name)) is obj else (None, None)  # type: ignore[arg-type]


def publish_as(function: Callable, other: Any) -> None:
    """Makes a function known by the name that another, which it stands for, has in files."""
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
    except TypeError:  # unhashable
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
    """Within the block, names in `custom_objects` are found when something is deserialized.

    >>> from keraslike import activations
    >>> with custom_object_scope({"half": lambda x: x / 2}):
    ...     activations.get("half")(3.0)
    1.5
    """
    with using(custom_objects, scope.safe_mode):
        yield


@contextlib.contextmanager
def safe_mode_scope(safe_mode: bool = True) -> Iterator[None]:
    """Within the block a lambda's bytecode is refused, or run, when something is deserialized."""
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
    """What one member of a family is called in messages."""
    return {"losses": "loss", "activations": "activation function"}.get(family, family[:-1])


def named(family: str, name: str) -> Any:
    """What was registered under a name, or has it in a family; `None` where nothing has."""
    found = get_registered_object(name)
    return names_of(family).get(name) if found is None else found


def names_of(family: str) -> dict[str, Any]:
    """Every name of a family, aliases and snake case too, and what it stands for."""
    return _families.get(family, {})


def unknown(family: str, name: str) -> str:
    """The message for a name that nothing in a family has, with the nearest ones that do."""
    known = [*_families.get(family, {}), *scope.custom_objects, *_registered]
    # Of names that differ in case only, "mse" rather than "MSE".
    lowered = {k.lower(): k for k in sorted(known, key=str.islower)}
    close = [lowered[m] for m in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return (
        f"Could not interpret {singular(family)} identifier: {name!r}.{hint} If it is "
        f"your own, pass the function or object itself, or custom_objects={{{name!r}: ...}} when "
        "loading."
    )


def registered_in_any_package(name: str) -> Any:
    """What is registered under a name in one package; `None` where none, or several, have it."""
    same = [obj for full, obj in _registered.items() if full.partition(">")[2] == name]
    return same[0] if len(same) == 1 else None


def find_public(module: Any, name: str, is_function: bool = False) -> Any:
    """A public object by Keras's module name, however deep the file says that it lies there.

    Args:
        name: its name or an alias.
        is_function: whether a function is looked for rather than a class, where both have the name.
    """
    if (module, name) in _public:
        return _public[module, name]
    root = (module or "keras").partition(".")[0]
    if root not in ("keras", "keraslike", "builtins", "tf_keras", "tensorflow"):
        return None
    # First the families in the module's name ("keras.src.layers.core.dense" -> "layers"), then all,
    # ops last; in either the names themselves before aliases.
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
