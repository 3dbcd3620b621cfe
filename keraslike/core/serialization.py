"""Conversion of objects to plain values and back.

A saved model is data. A class or function that it names is looked up among the custom objects in
scope, the registered ones and keraslike's own public names (`registry`); after `as_keras()` also in
modules of packages that were written for Keras, as Keras does. Nothing else is imported. The format
is Keras's: `{"module", "class_name", "config", "registered_name"}`.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import copy
import importlib
import inspect
import marshal
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import config, dtypes
from keraslike.core.boxed import Boxed
from keraslike.core.registry import (
    find_public,
    get_registered_name,
    get_registered_object,
    is_registered,
    named,
    packages,
    public_name,
    registered_in_any_package,
    scope,
    singular,
    unknown,
    using,
)
from keraslike.core.tracebacks import is_ours

# The most bytes in an array of strings: numpy stores every string with the length of the longest.
_MOST_TEXT = 64 << 20


class _Form(threading.local):
    """The form in which this thread serializes and deserializes objects."""

    def __init__(self):
        self.keep_functions = False  # Makes `serialize` return functions unchanged.
        # Within `serialize_shared()`: the id of an object -> (its number, the object, which is kept
        # alive so that its id stays unique). Within `sharing()`: the number of an entry -> (the
        # entry, its object).
        self.written: dict[int, tuple[int, Any]] | None = None
        self.read: dict[int, tuple[dict[str, Any] | None, Any]] | None = None


_form = _Form()


# -- how objects are written and read ---------------------------------------------------------


@contextlib.contextmanager
def keeping_functions() -> Iterator[None]:
    """Within the block, configs contain functions themselves. This is for copies that are not
    written to a file."""
    before, _form.keep_functions = _form.keep_functions, True
    try:
        yield
    finally:
        _form.keep_functions = before


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within the block, entries that `serialize_shared` marked as one object are deserialized as
    one object."""
    with _numbering(None, {}):
        yield


@contextlib.contextmanager
def numbering() -> Iterator[None]:
    """Within the block, each serialized object gets a number, and entries with the same number are
    deserialized as one object."""
    with _numbering({}, {}):
        yield


def record(obj: Any, number: int) -> None:
    """Within a block of `numbering`, makes entries with this number be deserialized as the object,
    which a package deserialized on its own."""
    if _form.read is not None:
        _form.read[number] = (None, obj)


@contextlib.contextmanager
def _numbering(written: dict | None, read: dict | None) -> Iterator[None]:
    # Reading a file assigns no numbers, and writing one looks none up: a constructor or a
    # get_config() may copy a layer through its config, and the copy's numbers differ.
    before = _form.written, _form.read
    _form.written, _form.read = written, read
    try:
        yield
    finally:
        _form.written, _form.read = before


def get(family: str, identifier: Any) -> Any:
    """An object of a family from a name, a config, a class or the object itself.

    Args:
        family: `"activations"`, `"losses"`, …: the last part of the public module's name.
        identifier: a name (`"mse"`, `"MeanSquaredError"`), a config dict, a class, a function, an
            instance, or `None`, which is returned.

    Raises ValueError for a name that does not exist, with the nearest ones that do.

    >>> get("initializers", "zero")((2,)).tolist()
    [0.0, 0.0]
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = named(family, identifier)
        if found is None:
            raise _uninterpreted(unknown(family, identifier), identifier)
        return found() if inspect.isclass(found) else found
    if isinstance(identifier, dict) and _is_entry(identifier):
        return deserialize(identifier)
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier) or hasattr(identifier, "get_config"):
        return identifier
    raise _uninterpreted(
        f"Could not interpret {singular(family)} identifier: {identifier!r}. Expected a name, "
        "a config, a function or an instance.",
        identifier,
    )


def _uninterpreted(message: str, identifier: Any) -> ValueError:
    """An error that carries its identifier, so that a constructor can name the argument that caused
    it."""
    error: Any = ValueError(message)
    error.identifier = identifier
    return error


# -- objects to plain values ------------------------------------------------------------------


def serialize(obj: Any) -> Any:
    """Plain values, as in JSON, from which `deserialize` makes an equal object.

    Raises TypeError for an object without `get_config` that is not a plain value.

    >>> serialize((1, 2.5, "a"))
    (1, 2.5, 'a')
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (list, tuple)):
        values = [serialize(o) for o in obj]
        return tuple(values) if isinstance(obj, tuple) else values
    if isinstance(obj, dict):
        return {str(k): serialize(v) for k, v in obj.items()}
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, (np.ndarray, jax.Array, Boxed)):
        kind = "__numpy__" if isinstance(obj, np.ndarray) else "__tensor__"
        value = np.asarray(obj)
        return {"class_name": kind, "config": {"value": value.tolist(), "dtype": str(value.dtype)}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if isinstance(obj, slice):
        config = {k: serialize(getattr(obj, k)) for k in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": config}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.dtype) or (inspect.isclass(obj) and issubclass(obj, np.generic)):
        return jnp.dtype(obj).name
    if hasattr(obj, "__serialize__"):  # A KerasTensor.
        return obj.__serialize__()
    if inspect.isroutine(obj) or isinstance(obj, jax.custom_jvp | jax.custom_vjp):
        return _serialize_function(obj)
    if not hasattr(obj, "get_config") or inspect.isclass(obj):
        raise TypeError(
            f"Cannot serialize {obj!r} of type {type(obj).__name__}: "
            "it is neither a plain value nor an object with get_config()."
        )
    cls = type(obj)
    module, name = public_name(cls)
    config = serialize(obj.get_config())  # A user's config may contain values that are not plain.
    if module and name and not is_registered(cls):
        entry = _entry(module, name, config, None)
    else:
        entry = _entry(cls.__module__, cls.__name__, config, get_registered_name(cls))
    if hasattr(obj, "get_build_config"):
        build_config = obj.get_build_config()
        if build_config is not None:
            entry["build_config"] = serialize(build_config)
    if hasattr(obj, "get_compile_config"):
        compile_config = obj.get_compile_config() if getattr(obj, "compiled", True) else None
        if compile_config is not None:
            entry["compile_config"] = serialize(compile_config)
    if _form.written is not None:
        number = len(_form.written)
        entry["shared_object_id"] = _form.written.setdefault(id(obj), (number, obj))[0]
    return entry


def serialize_shared(obj: Any) -> Any:
    """Like `serialize`, with a number for each object that occurs more than once (such as a
    regularizer of two layers), by which `sharing()` restores it as one object."""
    with _numbering({}, None):
        config = serialize(obj)
    numbered: list[dict[str, Any]] = []
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "shared_object_id" in value and _is_entry(value):
                numbered.append(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    # Only entries in the config count: get_config() may serialize objects and then leave them out.
    times = collections.Counter(entry["shared_object_id"] for entry in numbered)
    for entry in numbered:
        if times[entry["shared_object_id"]] == 1:
            del entry["shared_object_id"]
    return config


def _entry(module: str, class_name: str, config: Any, registered_name: str | None) -> dict:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered_name,
    }


def _serialize_function(function: Any) -> Any:
    if _form.keep_functions:
        return function
    if getattr(function, "__name__", "") == "<lambda>":
        return {"class_name": "__lambda__", "config": {"value": dump_function(function)}}
    module, name = public_name(function)
    if module is not None:
        # Keras finds its functions in this module only; an op may be used as a loss.
        ours = _entry(module, "function", name, name)
        return ours if module == "keras.ops" else _entry("builtins", "function", name, "function")
    if "<locals>" not in function.__qualname__ and "." in function.__qualname__:
        raise TypeError(
            f"Cannot serialize the method {function.__qualname__}: pass a function instead."
        )
    return _entry("builtins", "function", get_registered_name(function), "function")


def serialize_argument(value: Any) -> Any:
    """Like `serialize`, but a public function becomes its bare name, as Keras's configs have it."""
    name = public_name(value)[1]
    if name is not None and not inspect.isclass(value):
        return name
    return serialize(value)


def dump_function(function: types.FunctionType) -> list[Any]:
    """A lambda's `[bytecode, defaults, closure]`: reads back only on the same Python, and only with
    safe_mode=False. Raises TypeError if it uses a variable that holds nothing plain."""
    try:
        closure = serialize([c.cell_contents for c in function.__closure__ or ()]) or None
    except (TypeError, ValueError) as e:
        raise TypeError(
            "A lambda that uses objects of the function around it cannot be saved. "
            "Give it a name and pass it in custom_objects."
        ) from e
    code = base64.b64encode(marshal.dumps(function.__code__)).decode("ascii")
    return [code, serialize(function.__defaults__), closure]


# -- plain values to objects ------------------------------------------------------------------


def deserialize(
    config: Any,
    custom_objects: dict[str, Any] | None = None,
    safe_mode: bool | None = True,
    module_objects: dict[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object from which `serialize` made these values; plain values are returned unchanged.

    Args:
        config: what `serialize` (or Keras) wrote.
        custom_objects: a dict from names that are neither public nor registered to classes and
            functions.
        safe_mode: `False` allows the bytecode of lambdas. Use it only for trusted files. Within a
            call of this function or of `load_model`, the value of the outer call applies.
        module_objects: like `custom_objects`, with lower priority; a string that is a key is
            replaced by its value.
        printable_module_name: accepted as in Keras, and ignored.

    Raises TypeError for a class or function that is not known, ValueError for bytecode and for
    excessive nesting.

    >>> import keraslike
    >>> config = serialize(keraslike.losses.Huber(delta=2.0))
    >>> deserialize(config).delta
    2.0
    """
    if module_objects:
        custom_objects = {**module_objects, **(custom_objects or {})}
        if isinstance(config, str) and config in custom_objects:
            found = custom_objects[config]
            return found() if inspect.isclass(found) else found
    if scope.safe_mode is not None:
        safe_mode = scope.safe_mode
    with using(custom_objects, safe_mode is not False), _shallow():
        return _deserialize(config)


def deserialize_arguments(cls: Any, config: dict[str, Any]) -> dict[str, Any]:
    """A constructor's arguments: serialized objects among them are made objects again.

    For a user's class with its own `get_config`, these are only the arguments of keraslike's
    classes: as in Keras, the user's class deserializes the others.
    """
    names, mro = set(config), cls.__mro__
    if any("get_config" in vars(c) and not is_ours(c) for c in mro):
        ours = [vars(c)["__init__"] for c in mro if is_ours(c) and "__init__" in vars(c)]
        names = {name for init in ours for name in inspect.signature(init).parameters}
    with _shallow():
        return {
            k: _deserialize(v) if k in names and _holds_entry(v) else v for k, v in config.items()
        }


@contextlib.contextmanager
def _shallow() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError("The config is nested too deeply.") from None


def _holds_entry(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_entry(value) or any(map(_holds_entry, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_entry, value))


def _is_entry(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" in config and "config" in config


def _deserialize(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [_nested(c) for c in config]
    if not isinstance(config, dict):
        return config
    if not _is_entry(config):
        return {k: _nested(v) for k, v in config.items()}
    class_name, inner = config["class_name"], config["config"]
    if not isinstance(class_name, str):
        raise TypeError(f"class_name must be a string. Received: {class_name!r}")
    special = _SPECIAL.get(class_name)
    if special is not None:
        return special(inner)
    made = {} if _form.read is None else _form.read
    shared = config.get("shared_object_id")
    # In Keras's files one number may stand for two objects, where the second was created after the
    # first was freed. Entries that differ are therefore not shared.
    if isinstance(shared, int) and shared in made and made[shared][0] in (None, config):
        return made[shared][1]
    as_written = copy.deepcopy(config) if isinstance(shared, int) else config
    module, registered_name = config.get("module"), config.get("registered_name")
    if class_name == "function":
        registered_name = None if registered_name == "function" else registered_name
        found = find(module, inner, registered_name, is_function=True)
        if inspect.isclass(found) and public_name(found)[0] is not None:
            raise TypeError(f"{inner!r} is a class where a function was expected.")
        return found
    cls = find(module, class_name, registered_name)
    if not inspect.isclass(cls):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(
            f"Unable to reconstruct an instance of {class_name}: it has no from_config() method."
        )
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' to be a dict, for {class_name}. Received: {inner!r}")
    try:
        obj = cls.from_config(dict(inner))
    except TypeError as e:
        if "__init__" in str(e):
            raise TypeError(
                f"{cls.__name__} could not be made from its config {inner}: {e}. "
                "Its get_config() and its constructor must name the same arguments."
            ) from e
        _advise(cls, e)
        raise
    except AttributeError as e:
        _advise(cls, e)
        raise
    build_config = config.get("build_config")
    if build_config and hasattr(obj, "build_from_config") and not getattr(obj, "built", False):
        obj.build_from_config(build_config)
    compile_config = config.get("compile_config")
    if compile_config and hasattr(obj, "compile_from_config"):
        obj.compile_from_config(compile_config)
    if isinstance(shared, int):
        made[shared] = (as_written, obj)
    return obj


_own = deserialize


def _nested(config: Any) -> Any:
    """Like `_deserialize`, for the contents of lists and dicts. A package may replace
    `deserialize` by a function of its own, which is then called for these as well."""
    return _deserialize(config) if deserialize is _own else deserialize(config)


def find(module: Any, name: Any, registered_name: Any, is_function: bool = False) -> Any:
    if not isinstance(name, str):
        raise TypeError(
            "Expected 'config' to be a non-null str, the name of a function or class. "
            f"Received: {name!r}"
        )
    # A registered function is stored with its package's name, and custom_objects may contain it
    # without.
    for candidate in (registered_name, name, name.rpartition(">")[2]):
        if isinstance(candidate, str):
            found = get_registered_object(candidate)
            if found is not None:
                return found
    found = find_public(module, name, is_function)
    if found is not None and registered_name not in (None, "", name):
        raise ValueError(
            f"registered_name={registered_name!r} is not known here, and {name!r}, which resolved "
            "to a Keras built-in, is not the same."
        )
    if found is None and is_function and module == "builtins":
        found = registered_in_any_package(name)
    if found is None:
        found = _find_in_package(module, name)
    if found is not None:
        return found
    raise TypeError(
        f"{name!r} is not known here. If it is your own class or function, load with "
        f"custom_objects={{{name!r}: {name}}}, or put @register_keras_serializable() above it "
        "before saving and loading."
    )


def _find_in_package(module: Any, name: str) -> Any:
    if not isinstance(module, str) or module.partition(".")[0] not in packages:
        return None
    try:
        found = vars(importlib.import_module(module)).get(name)
    except ImportError:
        return None
    is_class = inspect.isclass(found) and any(map(is_ours, found.__mro__))
    return found if is_class else None


def in_safe_mode() -> bool:
    """Whether an object is being created from a config of unknown origin."""
    return scope.safe_mode is True and not config.is_unsafe_deserialization_enabled()


def refuse_unless_trusted(what: str) -> None:
    """Raises ValueError unless safe_mode=False is in force, for a file that contains code."""
    if scope.safe_mode is not False and not config.is_unsafe_deserialization_enabled():
        raise ValueError(
            f"This file holds {what}, which could do anything once it runs (arbitrary code "
            "execution). If you trust where the file comes from, load it with safe_mode=False."
        )


def load_function(value: Any) -> types.FunctionType:
    """The lambda that `dump_function` (or Keras) wrote; it sees `jax`, `jnp`, `np` and the custom
    objects in scope. Raises ValueError unless safe_mode=False is in force."""
    refuse_unless_trusted("the bytecode of a Python lambda, of a Lambda layer say")
    parts: Any = [value.get(k) for k in _LAMBDA_PARTS] if isinstance(value, dict) else value
    code, defaults, closure = parts
    raw = marshal.loads(base64.b64decode(code))
    defaults = tuple(_deserialize(defaults)) if defaults else None
    cells = tuple(types.CellType(_deserialize(c)) for c in closure or ())
    namespace = {"jax": jax, "jnp": jnp, "np": np, **scope.custom_objects}
    return types.FunctionType(raw, namespace, "<lambda>", defaults, cells)


# The parts of a saved lambda: a list, or in a Lambda layer's config a dict with these keys.
_LAMBDA_PARTS = ("code", "defaults", "closure")


def _array(config: dict[str, Any]) -> np.ndarray:
    """An array made of nested lists and the name of a dtype; its size is limited by that of the
    lists."""
    value, name = config["value"], config["dtype"]
    if not isinstance(name, str) or name.lstrip("<>|=")[:1] not in ("U", "S"):
        return np.array(value, dtype=dtypes.standardize_dtype(name))
    texts = np.array(value, dtype=object)
    lengths = [len(text) if isinstance(text, str) else 0 for text in texts.flat]
    if 4 * texts.size * max(lengths, default=0) > _MOST_TEXT:
        raise ValueError(f"An array of {texts.size:,} texts of up to {max(lengths):,} characters.")
    return texts.astype(name.lstrip("<>|=")[0])


def _advise(cls: type, error: Exception) -> None:
    """Raises TypeError if a class received the plain values of an object in place of the object."""
    text = str(error)
    if "'dict' object" in text and "explicitly deserialized" not in text:
        raise TypeError(
            f"{cls.__name__} could not be made from its config: {text}. Layers and other "
            "objects that its own get_config() returns must be explicitly deserialized in its "
            "from_config()."
        ) from error


def _type_spec(config: Any) -> Any:
    if not isinstance(config, (list, tuple)):
        raise TypeError(
            f"Expected 'config' to be a list or a tuple for a TypeSpec. Received: {config!r}"
        )
    raise TypeError(f"A TypeSpec is TensorFlow's, and not known here. Received: {config!r}")


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__numpy__": _array,
    "__tensor__": lambda c: jnp.asarray(_array(c)),
    "__bytes__": lambda c: c["value"].encode("latin-1"),
    "__slice__": lambda c: slice(*(_deserialize(c[k]) for k in ("start", "stop", "step"))),
    "__ellipsis__": lambda c: Ellipsis,
    "__typespec__": _type_spec,
    "__lambda__": lambda c: load_function(c.get("value", c)),
}
