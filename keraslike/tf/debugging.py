"""`tf.debugging`: assertions about values at run time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.tracebacks import (
    disable_traceback_filtering,
    enable_traceback_filtering,
    is_traceback_filtering_enabled,
)
from keraslike.tf import documentation, dtypes, effects
from keraslike.tf import tensor as tensor_module
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation
from keraslike.tf.structure import Structure, operates
from keraslike.tf.tensor import Tensor, raw


@operates
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """Returns the tensor, if all its elements are finite.

    Raises InvalidArgumentError with the message for NaN or infinite elements. In a traced function
    the check is made when the function runs, and raises JAX's `JaxRuntimeError` with that message.

    >>> check_numerics(tf.constant([1.0, 2.0]), "weights")
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>
    >>> check_numerics(tf.constant([1.0]) / 0.0, "weights")
    Traceback (most recent call last):
        ...
    keraslike.tf.errors.InvalidArgumentError: weights : Tensor had Inf values
    """
    tensor = _as_operand(tensor)
    value = raw(tensor)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise InvalidArgumentError(
            "tf.debugging.check_numerics: expected a tensor of floating-point numbers, received "
            f"one of {value.dtype}."
        )
    if not isinstance(value, jax.core.Tracer):
        _refuse(np.asarray(value), message)
    elif effects.noted(lambda given: _refuse(given, message), [value]):
        return tensor
    return _checked(tensor, message)


@operation("debugging.check_numerics")
def _checked(x: Any, message: str) -> Any:
    if isinstance(x, jax.core.Tracer):
        effects.call_back(lambda given: _refuse(given[0], message), [x])
    return x


def _refuse(value: np.ndarray, message: str) -> None:
    found = [name for name, is_one in (("Inf", np.isinf), ("NaN", np.isnan)) if is_one(value).any()]
    if found:
        raise InvalidArgumentError(f"{message} : Tensor had {' and '.join(found)} values")


# -- assertions -------------------------------------------------------------------------------

_COMPARISONS = {
    "equal": (np.equal, "=="),
    "none_equal": (np.not_equal, "!="),
    "less": (np.less, "<"),
    "less_equal": (np.less_equal, "<="),
    "greater": (np.greater, ">"),
    "greater_equal": (np.greater_equal, ">="),
}
_SIGNS = {
    "positive": (np.greater, "> 0"),
    "negative": (np.less, "< 0"),
    "non_negative": (np.greater_equal, ">= 0"),
    "non_positive": (np.less_equal, "<= 0"),
}


def _assert(holds: Callable, message: Any, tensors: list[Any], described: str) -> None:
    """Raises InvalidArgumentError unless `holds(*arrays)` is true of all elements.

    In a traced function the check is made whenever the function runs.
    """
    values = [raw(_as_operand(t)) for t in tensors]

    def check(*arrays: Any) -> None:
        if not np.all(holds(*map(np.asarray, arrays))):
            shown = "".join(f"\n{np.asarray(a)}" for a in arrays)
            raise InvalidArgumentError(
                f"{message or ''}\nCondition {described} did not hold.{shown}"
            )

    effects.required(check, *values)


def _comparison(name: str, compare: Callable, sign: str) -> Callable:
    def check(x: Any, y: Any, message: Any = None, summarize: Any = None, name: Any = None) -> None:
        _assert(compare, message, [x, y], f"x {sign} y")

    def check_none(
        x: Any, y: Any, summarize: Any = None, message: Any = None, name: Any = None
    ) -> None:  # TensorFlow has another order of arguments for this function
        check(x, y, message, summarize, name)

    made = check_none if name == "none_equal" else check
    made.__name__ = made.__qualname__ = f"assert_{name}"
    made.__doc__ = f"Raises InvalidArgumentError unless `x {sign} y` of all elements."
    return made


def _sign(name: str, compare: Callable, sign: str) -> Callable:
    def check(x: Any, message: Any = None, summarize: Any = None, name: Any = None) -> None:
        _assert(lambda v: compare(v, 0), message, [x], f"x {sign}")

    check.__name__ = check.__qualname__ = f"assert_{name}"
    check.__doc__ = f"Raises InvalidArgumentError unless `x {sign}` of all elements."
    return check


for _name, _how in _COMPARISONS.items():
    globals()[f"assert_{_name}"] = operates(_comparison(_name, *_how))
for _name, _how in _SIGNS.items():
    globals()[f"assert_{_name}"] = _sign(_name, *_how)


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: Any = None,
    summarize: Any = None,
    name: Any = None,
) -> None:
    """Raises InvalidArgumentError unless `|x - y| <= atol + rtol |y|` of all elements.

    >>> tf.debugging.assert_near([1.0], [1.0000001])
    """
    eps = 10 * float(jnp.finfo(raw(_as_operand(x)).dtype).eps)
    relative, absolute = (eps if v is None else float(v) for v in (rtol, atol))
    _assert(lambda a, b: np.abs(a - b) <= absolute + relative * np.abs(b), message, [x, y], "x ~ y")


def Assert(condition: Any, data: Any, summarize: Any = None, name: Any = None) -> None:  # noqa: N802
    """Raises InvalidArgumentError, with the data, unless the condition is true.

    >>> tf.Assert(True, ["fine"])
    """
    _assert(lambda *a: a[0], "assertion failed", [condition, *data], "given")


def _rank(value: Any) -> int:
    rank = static(value)
    if isinstance(rank, tuple):
        raise ValueError(f"A rank must be a scalar. Received: {value}")
    if not isinstance(rank, int):
        raise TypeError(f"A rank must be an integer. Received: {value}")
    return rank


def assert_rank(x: Any, rank: Any, message: Any = None, name: Any = None) -> None:
    """Raises ValueError unless the tensor has a given number of axes.

    >>> tf.assert_rank([[1, 2]], 2)
    """
    assert_rank_in(x, [rank], message)


def assert_rank_in(x: Any, ranks: Any, message: Any = None, name: Any = None) -> None:
    """Raises ValueError unless the tensor has one of these numbers of axes.

    >>> tf.debugging.assert_rank_in([[1]], [1, 2])
    """
    found, ranks = len(_as_operand(x).shape), [_rank(r) for r in ranks]
    if found not in ranks:
        raise ValueError(f"{message or ''} Tensor must have rank {ranks}. Received rank {found}.")


def assert_rank_at_least(x: Any, rank: Any, message: Any = None, name: Any = None) -> None:
    """Raises ValueError unless the tensor has at least a given number of axes.

    >>> tf.debugging.assert_rank_at_least([[1]], 1)
    """
    found = len(_as_operand(x).shape)
    if found < _rank(rank):
        raise ValueError(
            f"{message or ''} Tensor must have rank at least {rank}. Received rank {found}."
        )


def assert_type(tensor: Any, tf_type: Any, message: Any = None, name: Any = None) -> None:
    """Raises TypeError unless the tensor has a given dtype.

    >>> tf.debugging.assert_type(tf.constant(1.0), tf.float32)
    """
    found = (tensor if isinstance(tensor, Structure) else _as_operand(tensor)).dtype
    if found != tf_type:
        raise TypeError(f"{message or ''} Expected dtype {tf_type!r}. Received: {found}")


def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: Any = None, name: Any = None
) -> None:
    """Raises ValueError unless tensors have given shapes.

    Args:
        shapes: pairs, or a dict, of a tensor and its sizes: numbers, `None` or `"."` for any size,
            and names, each of which stands for one size in all shapes; or a text with a letter for
            each. `...` or `"*"` before them stands for any outer axes. A scalar has the shape
            `(1,)`.

    >>> tf.debugging.assert_shapes([(tf.ones([2, 3]), ("rows", 3)), (tf.ones([5, 3]), "*3")])
    """
    known: dict[Any, int] = {}
    for tensor, asked in shapes.items() if isinstance(shapes, dict) else shapes:
        if asked is None:
            continue
        if not hasattr(asked, "__iter__"):
            raise ValueError(f"{message or ''} A shape must be iterable. Received: {asked!r}")
        tensor = tensor.deref() if hasattr(tensor, "deref") else tensor
        tensor = tensor if isinstance(tensor, Structure) else _as_operand(tensor)
        found, wanted = list(tensor.shape) or [1], list(asked) or [1]
        if wanted[0] in (..., "*"):
            del wanted[0], found[: max(0, len(found) - len(wanted))]
        if ... in wanted or "*" in wanted:
            raise ValueError(f"{message or ''} ... and '*' must come first. Received: {asked!r}")
        fits = len(found) == len(wanted)
        for have, want in zip(found, wanted):
            if want is None or want == ".":
                continue
            try:
                size = int(want)
            except ValueError:
                size = known.setdefault(want, have)
            fits = fits and size == have
        if not fits:
            raise ValueError(f"{message or ''} Expected shape {asked}. Received: {tensor.shape}")


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Tensor:
    """Returns the tensor, if all its elements are finite: the same as `check_numerics`.

    >>> tf.debugging.assert_all_finite([1.0, 2.0], "weights").numpy().tolist()
    [1.0, 2.0]
    """
    return check_numerics(x, message)


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless the tensor has a dtype of integers.

    >>> tf.debugging.assert_integer([1, 2])
    """
    found = _as_operand(x).dtype
    if not dtypes.as_dtype(found).is_integer:
        raise TypeError(f"{message or ''} x must have an integer dtype. Received: {found}")


def assert_scalar(tensor: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless the tensor has no axes.

    >>> tf.debugging.assert_scalar(1.0)
    """
    found = _as_operand(tensor).shape
    if len(found):
        raise ValueError(f"{message or ''} Expected a scalar. Received shape {found}.")


def assert_proper_iterable(values: Any) -> None:
    """Raises TypeError for what is no iterable, and for tensors, arrays and texts, which are.

    >>> tf.debugging.assert_proper_iterable([tf.constant(1.0)])
    """
    if isinstance(values, (Tensor, Structure, np.ndarray, str, bytes)) or not hasattr(
        values, "__iter__"
    ):
        raise TypeError(f"values must be a list or another iterable. Received: {type(values)}")


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> dtypes.DType:
    """The dtype of all tensors, a floating-point one, by default float32.

    Raises ValueError if they have different dtypes, or another kind of dtype.

    >>> tf.debugging.assert_same_float_dtype([tf.constant(1.0), None], tf.float32)
    tf.float32
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    for tensor in tensors or ():
        if tensor is None:
            continue
        found = dtypes.as_dtype(tensor.dtype)
        if wanted not in (None, found):
            raise ValueError(f"Tensor has dtype {found.name} where {wanted.name} was expected.")
        wanted = found
    wanted = wanted or dtypes.float32
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted.name}.")
    return wanted


def enable_check_numerics(stack_height_limit: int = 30, path_length_limit: int = 50) -> None:
    """From now on, operations raise InvalidArgumentError where they give NaN or infinite numbers.

    Functions check this too if they are traced afterwards. A call of a layer is one operation.

    Args:
        stack_height_limit, path_length_limit: accepted without effect; the error has a traceback.

    >>> tf.debugging.enable_check_numerics()
    >>> tf.math.log(-1.0)
    Traceback (most recent call last):
        ...
    keraslike.tf.errors.InvalidArgumentError: The output of log : Tensor had NaN values
    >>> tf.debugging.disable_check_numerics()
    """
    tensor_module.inspected = _inspected


def disable_check_numerics() -> None:
    """Ends what `enable_check_numerics` began.

    >>> tf.debugging.disable_check_numerics()
    """
    tensor_module.inspected = None


def _inspected(name: str, out: Any) -> Any:
    message = f"The output of {name or 'an operation'}"
    for leaf in jax.tree.leaves(out, is_leaf=lambda x: isinstance(x, Tensor)):
        value = getattr(leaf, "_value", None)
        if value is None or not jnp.issubdtype(value.dtype, jnp.inexact):
            continue
        if not isinstance(value, jax.core.Tracer):
            _refuse(np.asarray(value), message)
        elif not effects.noted(lambda given: _refuse(np.asarray(given), message), [value]):
            effects.call_back(lambda given: _refuse(given[0], message), [value])
    return out


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether `tensor` is a tensor of numbers.

    >>> tf.debugging.is_numeric_tensor(tf.constant(1)), tf.debugging.is_numeric_tensor("text")
    (True, False)
    """
    return isinstance(tensor, Tensor) and raw(tensor).dtype.kind in "uifcV"


def set_log_device_placement(enabled: bool) -> None:
    """Stores the setting, which has no effect, since XLA places whole programs.

    >>> tf.debugging.set_log_device_placement(False)
    """
    _placement[:] = [bool(enabled)]


def get_log_device_placement() -> bool:
    """The setting of `set_log_device_placement`.

    >>> tf.debugging.get_log_device_placement()
    False
    """
    return _placement[0]


_placement = [False]


def get_logger() -> logging.Logger:
    """`tf.get_logger`: Python's logger "tensorflow", to which keraslike itself writes nothing.

    >>> get_logger().name
    'tensorflow'
    """
    return logging.getLogger("tensorflow")


documentation.describe(globals(), "debugging")

__all__ = [
    *("assert_all_finite", "assert_integer", "assert_proper_iterable", "assert_same_float_dtype"),
    *("assert_scalar", "disable_check_numerics", "enable_check_numerics"),
    *("Assert", "assert_near", "assert_rank", "assert_rank_at_least", "assert_rank_in"),
    *("assert_shapes", "assert_type", "check_numerics", "get_log_device_placement"),
    *("is_numeric_tensor", "set_log_device_placement"),
    *(f"assert_{name}" for name in (*_COMPARISONS, *_SIGNS)),
    "disable_traceback_filtering",
    "enable_traceback_filtering",
    "is_traceback_filtering_enabled",
]
__dir__ = __all__.copy
