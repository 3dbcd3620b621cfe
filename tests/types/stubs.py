"""Writes the type stubs of modules whose functions are made of tables: `make stubs`.

A type checker reads a stub in place of its module. It lists the public names with their arguments;
a function's result is `Any`, since one function takes tensors, symbolic tensors and arrays.
"""

from __future__ import annotations

import importlib
import inspect
import pathlib
import re
import sys
import types
from typing import Any

import keraslike
from keraslike.tf import face, keras

# The modules of `tf.keras`, which exist at run time only; without those that are there only if
# keraslike's was imported before, of which the stub of `tf.keras` has the names.
FACE = sorted(
    name
    for name in sys.modules
    if f"{name}.".startswith(f"{keras.__name__}.")
    and name.removeprefix(f"{keras.__name__}.").partition(".")[0] not in keraslike._LATER
)
MODULES = (
    *FACE,
    "keraslike.tf",
    *(f"keraslike.tf.{name}" for name in ("bitwise", "debugging", "image", "io", "linalg")),
    *(f"keraslike.tf.{name}" for name in ("math", "nn", "raw_ops", "signal", "train")),
    "keraslike.ops",
    *("keraslike.tf.compat.v1", "keraslike.tf.data.experimental", "keraslike.backend.functions"),
)
# Those most of whose functions are defined one by one, with types of their own.
_DEFINED = ("keraslike.ops",)
_NAMES = r"(Any|None|bool|bytes|complex|dict|float|int|list|object|str|tuple|Callable|Sequence)"
_SIMPLE = re.compile(rf"{_NAMES}([\[\], |.]+{_NAMES}|\.\.\.|[\[\], ])*")


def path_of(module: str) -> pathlib.Path:
    """The path of a stub: beside its module, or in `tf/keras`, which contains nothing but stubs."""
    if module in FACE:
        package = pathlib.Path(importlib.import_module("keraslike").__path__[0]).parent
        is_package = any(name.startswith(f"{module}.") for name in FACE)
        file = "__init__.pyi" if is_package else f"{module.rpartition('.')[2]}.pyi"
        parent = module if is_package else module.rpartition(".")[0]
        return package.joinpath(*parent.split("."), file)
    source = importlib.import_module(module).__file__
    assert source is not None
    return pathlib.Path(source).with_suffix(".pyi")


def stub(name: str) -> str:
    """The stub of a module."""
    module = importlib.import_module(name)
    if isinstance(module, face.Module):  # has the names of other modules
        sources = sorted({home.__name__ for home in (module._module, module._old()) if home})
        lines = [f"from {source} import *" for source in sources]
        return "\n".join(
            [f'"""Types of `{name}`. Written by tests/types/stubs.py."""', "", *lines, ""]
        )
    listed = dir(module) if "__dir__" in vars(module) else getattr(module, "__all__", dir(module))
    imports, lines = set(), []
    for public in sorted({n for n in listed if not n.startswith("_")}):
        value = getattr(module, public)
        if isinstance(value, types.ModuleType):
            if isinstance(value, face.Module):  # one of `tf.keras`
                imports.add(f"from {name} import {public} as {public}")
                continue
            if type(value) is not types.ModuleType:  # one that stands for another
                value = getattr(value, "_module", value)
            package, _, last = value.__name__.rpartition(".")
            if package == name and value.__spec__ is None:  # made, of no file that is read
                lines.append(f"{public}: _Any")
                continue
            imports.add(
                f"from {package} import {last} as {public}"
                if package
                else f"import {last} as {public}"
            )
        elif isinstance(value, type):
            lines.append(_of_class(name, public, value, imports))
        elif name in _DEFINED and (home := _home_of(public, value)):
            imports.add(f"from {home} import {value.__name__} as {public}")
        elif callable(value):
            lines.append(f"def {public}{_signature(value)} -> _Any: ...")
        else:
            lines.append(f"{public}: {_type_of(value, imports)}")
    head = [
        f'"""Types of `{name}`. Written by tests/types/stubs.py, see there."""',
        "",
        "import builtins as _builtins",
        "from collections.abc import Callable as _Callable",
        "from collections.abc import Sequence as _Sequence",
        "from typing import Any as _Any",
        "",
    ]
    return "\n".join([*head, *sorted(imports), "", *filter(None, lines)]) + "\n"


def _home_of(public: str, value: Any) -> str | None:
    """The module in whose source a function is defined."""
    home = importlib.import_module(value.__module__) if callable(value) else None
    source = inspect.getsource(home) if home and home.__name__.startswith("keraslike.") else ""
    return home.__name__ if home and f"\ndef {value.__name__}(" in source else None


def _of_class(module: str, public: str, value: type, imports: set[str]) -> str:
    if value.__module__ == module:  # the stub stands in its place
        return f"class {public}(_Any): ..."
    # Classes of protocol buffers are made of descriptions, which a type checker does not read.
    if (value.__module__ or "").startswith("keraslike."):
        home = importlib.import_module(value.__module__)
        if getattr(home, value.__qualname__, None) is value:
            imports.add(f"from {value.__module__} import {value.__qualname__} as {public}")
            return ""
    return f"{public}: _Any"


def _type_of(value: Any, imports: set[str]) -> str:
    kind = type(value)
    if kind in (bool, bytes, float, int, str):
        return _hidden(kind.__name__)
    if kind.__module__.startswith("keraslike.tf") and kind.__name__ == "DType":
        imports.add("from keraslike.tf.dtypes import DType as DType")
        return "DType"
    return "_Any"


def _signature(value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "(*args: _Any, **kwargs: _Any)"

    def of(parameter: inspect.Parameter) -> inspect.Parameter:
        annotation = parameter.annotation
        simple = isinstance(annotation, str) and _SIMPLE.fullmatch(annotation)
        default = parameter.default if parameter.default is parameter.empty else _Ellipsis()
        return parameter.replace(
            annotation=_Text(_hidden(annotation) if simple else "_Any"), default=default
        )

    parameters = [of(parameter) for parameter in signature.parameters.values()]
    empty = inspect.Signature.empty
    return str(signature.replace(parameters=parameters, return_annotation=empty))


def _hidden(annotation: str) -> str:
    """An annotation by names that no public one hides: `tf.bool` is a dtype, `tf.raw_ops.Any` an
    operation."""
    annotation = re.sub(r"\b(Any|Callable|Sequence)\b", r"_\1", annotation)
    return re.sub(r"(?<![_\w])([a-z]\w+)", r"_builtins.\1", annotation)


class _Text(str):
    def __repr__(self) -> str:
        return str(self)


class _Ellipsis:
    def __repr__(self) -> str:
        return "..."


def main() -> None:
    for name in MODULES:
        path_of(name).parent.mkdir(parents=True, exist_ok=True)
        path_of(name).write_text(stub(name))


if __name__ == "__main__":
    main()
