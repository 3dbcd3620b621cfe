"""Python's control flow over tensors: `if`, `while`, `for`, `and`, `or`, `not` in `tf.function`.

DiastaticMalt, a standalone version of TensorFlow's AutoGraph, rewrites the source of a function
before it is traced. In the rewritten function each of these statements is a call of an operator;
`keraslike.tf.statements` has those that differ from Python's. Functions that it calls are rewritten
when they are called.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import inspect
import linecache
import sys
import textwrap
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

# Functions of these packages are not rewritten.
_LIBRARIES = sys.stdlib_module_names | {
    "PIL", "flax", "h5py", "jax", "jaxlib", "keraslike", "malt", "matplotlib", "numpy", "optax",
    "orbax", "pandas", "pytest", "rich", "scipy", "sklearn",
}  # fmt: skip

# The operators that rewritten functions call in place of statements, by name.
OPERATORS: dict[str, Callable] = {}
# Replacements of functions that rewritten functions call, such as `range`, which takes tensors.
REPLACED: dict[Any, Callable] = {}

_not_rewritten: weakref.WeakSet = weakref.WeakSet()


class Unsized:
    """The base class of placeholders for arrays whose size is unknown while a function is
    traced."""


def operator(function: Callable) -> Callable:
    """Registers an operator that rewritten functions call by the function's name."""
    OPERATORS[function.__name__] = function
    return function


@functools.cache
def _transpiler() -> Any:
    import importlib.util  # noqa: F401  (malt uses it without importing it)

    from malt import operators
    from malt.core import converter
    from malt.impl import api
    from malt.lang import special_functions

    class Transpiler(api.PyToPy):
        def transform_ast(self, node: Any, ctx: Any) -> Any:
            for handler in _handlers(node):  # malt takes the names of exceptions for nodes
                name = ast.Name(handler.name, ast.Store())
                handler.name = ast.copy_location(name, handler)
            new = super().transform_ast(node, ctx)
            for handler in _handlers(new):
                handler.name = handler.name.id
            return new

        def get_extra_locals(self) -> dict[str, Any]:
            if self._extra_locals is None:
                names = {**vars(special_functions), **vars(operators), **OPERATORS}
                names["FunctionScope"] = _scope_class()
                names |= {"ConversionOptions": converter.ConversionOptions,
                          "Feature": converter.Feature, "STD": converter.STANDARD_OPTIONS,
                          "autograph_artifact": _artifact}  # fmt: skip
                self._extra_locals = {"ag__": types.SimpleNamespace(**names)}
            return self._extra_locals

    return Transpiler()


def _handlers(nodes: Any) -> Iterator[Any]:
    """The handlers `except ... as name:` in parts of a source."""
    for node in nodes if isinstance(nodes, (list, tuple)) else [nodes]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.ExceptHandler) and inner.name is not None:
                yield inner


@functools.cache
def _scope_class() -> type:
    from malt import operators
    from malt.operators.variables import UndefinedReturnValue

    class Scope(operators.FunctionScope):
        """The body of a rewritten function."""

        def ret(self, value: Any, did_return: Any) -> Any:
            """The value that the function returns.

            Raises ValueError if only the compiled program determines whether it returns a value.
            """
            if not isinstance(did_return, bool) and not (
                value is None or isinstance(value, UndefinedReturnValue)
            ):
                raise ValueError(
                    "A function that returns a value in one branch of an if over tensors, or in a "
                    "loop over them, must return one in every case: the else branch must also have "
                    "a return statement."
                )
            return super().ret(value, did_return)

    return Scope


def _artifact(function: Callable, extras: Any = None) -> Callable:
    """Marks a function that was defined in rewritten code, so that it is not rewritten again."""
    if isinstance(function, types.FunctionType):
        _not_rewritten.add(function)
    return function


def do_not_convert(func: Callable | None = None) -> Any:
    """Marks a function whose control flow `tf.function` must not convert.

    >>> @do_not_convert
    ... def first(x):
    ...     return x[0]
    """
    if func is None:
        return do_not_convert

    @functools.wraps(func)
    def unconverted(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return _artifact(unconverted)


def converted(function: Callable) -> Callable:
    """The function with Python's control flow converted to that of tensors.

    It is returned unchanged if it has no source, is part of a library, or cannot be rewritten.
    """
    if isinstance(function, functools.partial):
        return functools.partial(converted(function.func), *function.args, **function.keywords)
    if isinstance(function, types.MethodType):
        new = converted(function.__func__)
        same = new is function.__func__
        return function if same else functools.partial(new, function.__self__)
    if isinstance(function, types.FunctionType):
        return _rewritten(function) or function
    call = (
        None
        if isinstance(function, type)
        else inspect.getattr_static(type(function), "__call__", None)
    )
    if isinstance(call, types.FunctionType) and (new := _rewritten(call)):
        return functools.partial(new, function)
    return function


def _rewritten(function: types.FunctionType) -> Callable | None:
    # A decorated function has the `__module__` of the wrapped one and the decorator's globals.
    package = str(function.__globals__.get("__name__") or "").partition(".")[0]
    code = function.__code__
    # What a decorator of these modules returns calls the function that it decorates.
    decorated = package in ("contextlib", "functools") and "<locals>" in code.co_qualname
    if (package in _LIBRARIES and not decorated) or function in _not_rewritten:
        return None
    flags = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    if (
        code.co_flags & flags
        or not _has_source(code)
        or "__autograph_generated" in code.co_filename
    ):
        return None
    try:
        new, _, places = _transpiler().transform(function, _program())
    except Exception as error:
        _not_rewritten.add(function)
        if any(op.opcode in dis.hasjrel for op in dis.get_instructions(code)):
            warnings.warn(
                f"The control flow of {function.__qualname__}() is not converted, since its "
                f"source cannot be rewritten: {type(error).__name__}: {error}",
                stacklevel=2,
            )
        return None

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return new(*args, **kwargs)
        except Exception as error:
            _note_place(error, new.__code__.co_filename, places)
            raise

    return _artifact(run)


@functools.cache
def _program() -> Any:
    from malt.core import converter

    none: Any = ()
    return converter.ProgramContext(converter.ConversionOptions(optional_features=none))


def _has_source(code: types.CodeType) -> bool:
    return bool(linecache.getlines(code.co_filename)) or code.co_filename.startswith("<ipython")


def _note_place(error: Exception, file: str, places: dict[Any, Any]) -> None:
    """Adds the line of the user's source to an error, whose traceback has the rewritten source."""
    lines = {place.lineno: origin for place, origin in places.items()}
    frame, found = error.__traceback__, None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            found = lines.get(frame.tb_lineno, found)
        frame = frame.tb_next
    if found is not None:
        at = found.loc
        text = found.source_code_line.strip()
        error.add_note(f'In {found.function_name}(), "{at.filename}", line {at.lineno}: {text}')


@operator
def converted_call(
    function: Any,
    args: tuple,
    kwargs: dict | None,
    caller_fn_scope: Any = None,
    options: Any = None,
) -> Any:
    """A call in a rewritten function."""
    from malt.operators import py_builtins

    kwargs = kwargs or {}
    if function is super:
        return py_builtins.super_in_original_context(function, args, caller_fn_scope)
    if function is eval:
        return py_builtins.eval_in_original_context(function, args, caller_fn_scope)
    if function is globals:
        return py_builtins.globals_in_original_context(caller_fn_scope)
    if function is locals:
        return py_builtins.locals_in_original_context(caller_fn_scope)
    with contextlib.suppress(TypeError):  # an object that cannot be hashed
        function = REPLACED.get(function, function)
    return converted(function)(*args, **kwargs)


def to_graph(
    entity: Callable, recursive: bool = True, experimental_optional_features: Any = None
) -> Callable:
    """The function with Python's control flow converted to that of tensors.

    Raises ValueError if it cannot be rewritten.

    Example (in a file, since the source is needed)::

        def positive(x):
            if x > 0:
                return x
            return -x

        tf.autograph.to_graph(positive)(tf.constant(-1.0))
    """
    new = _rewritten(inspect.unwrap(entity)) if callable(entity) else None
    if new is None:
        raise ValueError(
            f"to_graph: entity must be a Python function with source code. Received: {entity!r}"
        )
    return new


def to_code(
    entity: Callable, recursive: bool = True, experimental_optional_features: Any = None
) -> str:
    """The rewritten source of the function, which `tf.function` traces.

    Raises ValueError if it cannot be rewritten.

    Example (in a file, since the source is needed)::

        print(tf.autograph.to_code(function))
    """
    to_graph(entity)
    new, _, _ = _transpiler().transform(inspect.unwrap(entity), _program())
    return textwrap.dedent(inspect.getsource(new))


class _Experimental(types.ModuleType):
    """`tf.autograph.experimental`."""

    do_not_convert = staticmethod(do_not_convert)

    @property
    def set_loop_options(self) -> Callable:
        """Sets options of the enclosing loop. With `maximum_iterations`, a loop whose condition is
        a tensor can be differentiated."""
        from malt.lang import directives

        return directives.set_loop_options

    @property
    def Feature(self) -> Any:  # noqa: N802
        """Names of optional conversions, which are accepted and have no effect."""
        from malt.core import converter

        return converter.Feature


experimental = _Experimental(f"{__name__}.experimental")

_verbosity = [0]


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Stores the setting, which has no effect, since conversions are not logged.

    >>> tf.autograph.set_verbosity(0)
    """
    _verbosity[:] = [int(level)]


def trace(*args: Any) -> None:
    """Prints values while a function is traced.

    >>> tf.autograph.trace("tracing", 1)
    tracing 1
    """
    print(*args)


__all__ = ["do_not_convert", "experimental", "set_verbosity", "to_code", "to_graph", "trace"]


__dir__ = __all__.copy
