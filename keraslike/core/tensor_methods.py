"""Which functions are written for the tensors of TensorFlow, by the attributes that they read.

A layer's `call`, a loss or a metric gets JAX's arrays. One that reads, say, `x.shape.as_list()` or
`x.get_shape()`, which only tensors have, gets tensors instead, and so does one that differentiates
with respect to what it gets, since a tape follows tensors. So do functions that layers are given.
"""

from __future__ import annotations

import dis
import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

import jax

from keraslike.core import context
from keraslike.core.boxed import BoxedResults, boxed, unbox
from keraslike.core.jax_internals import enabled_64_bits_in_block
from keraslike.core.lowering import contents_of
from keraslike.core.structures import iter_leaves
from keraslike.core.tracebacks import is_ours, is_users

_ATTRIBUTES = frozenset(
    ("as_list", "as_numpy_dtype", "assert_has_rank", "base_dtype", "get_shape", "is_complex")
    + ("is_floating", "is_fully_defined", "num_elements", "set_shape", "with_rank")
    + ("_keras_mask", "GradientTape", "ForwardAccumulator", "watch")
)
_OF_SHAPES = ("ndims", "rank")
_OF_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR")
_known: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def with_tensors(function: Callable, code: Any, owner: Any = None) -> Callable:
    """The function, called with tensors in the place of arrays if its code takes them.

    So is every function where 64-bit dtypes are enabled for one of its arguments alone: operators
    of tensors convert numpy's numbers of 64 bits as in TensorFlow, and those of arrays would give
    results of 64 bits.

    Args:
        code: the function of a user, or a class whose `call` it is.
        owner: the layer whose method it is. Arrays that an eager call leaves in its attributes
            become tensors if its results do.
    """
    if owner is not None and owner._gives_boxes and context.trace_state_clean():
        function = _leaving_tensors(function, owner)
    for_argument = enabled_64_bits_in_block() and not context.state.in_float64
    if BoxedResults.box is None or not (
        for_argument or _takes_tensors(code) or (owner is not None and _holds_takers(owner))
    ):
        return function
    return lambda *args, **kwargs: unbox(function(*boxed(args), **boxed(kwargs)))


def applied(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """The result of a function that a user gives to a layer, called with tensors in the place of
    arrays if its code takes them."""
    if is_ours(function):
        return function(*args, **kwargs)
    return with_tensors(function, function)(*args, **kwargs)


def _holds_takers(owner: Any) -> bool:
    """Whether an attribute of a user's layer is a function that takes tensors."""
    kind = types.FunctionType
    return any(type(value) is kind and _takes_tensors(value) for value in vars(owner).values())


def _leaving_tensors(function: Callable, owner: Any) -> Callable:
    def run(*args: Any, **kwargs: Any) -> Any:
        before = dict(vars(owner))
        containers = contents_of([before])
        try:
            return function(*args, **kwargs)
        finally:
            _box_new(vars(owner), before, containers)

    return run


def _box_new(now: Any, before: Any, containers: dict[int, tuple[Any, Any]]) -> None:
    """Boxes the arrays in those values of a list or dict that are not as before."""
    for key, value in list(now.items() if isinstance(now, dict) else enumerate(now)):
        if id(value) in containers:
            _box_new(*containers[id(value)], {})
            continue
        is_new = key not in before if isinstance(now, dict) else key >= len(before)
        is_new = is_new or before[key] is not value
        if is_new and any(isinstance(leaf, jax.Array) for leaf in iter_leaves(value)):
            now[key] = boxed(value)


def of_user(method: Callable) -> Callable:
    """A method of a user's class, called with tensors in the place of arrays if its code takes
    them."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        return with_tensors(functools.partial(method, self), method)(*args, **kwargs)

    return method if is_ours(method) else run


def given_tensors(method: Callable) -> Callable:
    """A method of a user's class, which gets tensors if its code takes them or if the results of
    its object are tensors, and whose result is left as it is: a tape of the caller follows it."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if BoxedResults.box is not None and (
            self._gives_boxes or BoxedResults.everywhere or _takes_tensors(method, type(self))
        ):
            args, kwargs = boxed(args), boxed(kwargs)
        return method(self, *args, **kwargs)

    return run if isinstance(method, types.FunctionType) and not is_ours(method) else method


def _takes_tensors(code: Any, cls: type = object) -> bool:
    """Whether a function, or a function of a user that it calls, reads attributes that TensorFlow's
    tensors, shapes, dtypes and tapes have, and JAX's arrays do not have.

    Args:
        cls: the class whose methods the function may call.
    """
    if not isinstance(code, (type, types.FunctionType)):
        return False
    found = _known.get(code)
    if found is None:
        function = code
        if isinstance(code, type):
            cls, function = code, getattr(code, "call", code)
        found = _known[code] = _reads(function, cls, _package(code), set())
    return found


def _package(value: Any) -> str:
    return (getattr(value, "__module__", None) or "").partition(".")[0]


def _reads(function: Any, cls: type, package: str, seen: set[Any]) -> bool:
    if not isinstance(function, types.FunctionType) or function in seen or is_ours(function):
        return False
    if _package(function) != package and not is_users(function.__code__.co_filename):
        return False  # another library's
    seen.add(function)
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        before = None
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            reads = instruction.opname in _OF_ATTRIBUTES
            of_shape = name in _OF_SHAPES and before not in ("tf", *code.co_varnames[:1])
            of_dtype = name == "is_integer" and before == "dtype"  # numbers have one, too
            found = name in _ATTRIBUTES or of_dtype or (of_shape and "shape" in code.co_names)
            if reads and found:
                return True
            before = name
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    names = {name for code in codes for name in code.co_names}
    called = [function.__globals__.get(name) for name in names]
    called += [getattr(cls, name, None) for name in names]
    return any(_reads(each, cls, package, seen) for each in (*called, *cells))


def _is_full(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
