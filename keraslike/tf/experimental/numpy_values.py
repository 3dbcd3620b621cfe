"""Values as tensors of the dtypes that numpy gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.tf import dtypes, ops, promotion
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.tensor import Tensor, run
from keraslike.tf.weak_tensor import promoted_kind

_settings = {"prefer_float32": False}


def prefer_float32(wanted: bool) -> None:
    """Sets whether Python's floats are float32."""
    _settings["prefer_float32"] = bool(wanted)


def result_type(*arrays_and_dtypes: Any) -> dtypes.DType:
    """The dtype that numpy gives what is computed of several arrays, numbers or dtypes.

    >>> tf.experimental.numpy.result_type(tf.constant(1), np.float32)
    tf.float64
    """
    if promotion.mode in ("all", "safe"):
        return promoted_kind(*arrays_and_dtypes)[0]
    return _by_numpy(*arrays_and_dtypes)


def _by_numpy(*arrays_and_dtypes: Any) -> dtypes.DType:
    given = list(map(_promoted, _leaves(arrays_and_dtypes))) or [np.asarray([])]
    return dtypes.as_dtype(np.result_type(*given))


def named(dtype: Any) -> dtypes.DType:
    """The dtype that an argument names, where Python's types stand for numpy's: `int` for int64."""
    return result_type(dtype) if isinstance(dtype, type) else dtypes.as_dtype(dtype)


def _promoted(x: Any) -> Any:
    if isinstance(x, dtypes.DType):
        return x.dtype
    if is_tensor(x):
        return dtypes.as_dtype(x.dtype).dtype
    if _settings["prefer_float32"] and not isinstance(x, np.generic):
        if x is float or isinstance(x, float):
            return np.float32
        if x is complex or isinstance(x, complex):
            return np.complex64
    return x


def is_tensor(x: Any) -> bool:
    return isinstance(x, (Tensor, nnx.Variable, jax.Array)) or hasattr(x, "_as_tensor")


def array_of(x: Any, dtype: Any = None) -> Any:
    """A tensor of numpy's dtype of the value, or of another one."""
    if not is_tensor(x):
        if isinstance(x, (list, tuple)) and any(map(is_tensor, _leaves(x))):
            kind = result_type(x) if dtype is None else named(dtype)
            return ops.stack([array_of(item, kind) for item in x])
        # Numpy finds the dtype of lists of many items, where the mode does not say another one.
        if dtype is None and (promotion.hook is None or isinstance(x, (str, bytes))):
            x = np.asarray(x) if isinstance(x, (list, tuple, str, bytes)) else x
        kind = result_type(x) if dtype is None else named(dtype)
        return constant(np.asarray(x).astype(kind.as_numpy_dtype))  # which wraps large integers
    x = _as_operand(x)
    return x if dtype is None or x.dtype == named(dtype) else ops.cast(x, named(dtype))


def _leaves(x: Any) -> Iterator[Any]:
    for item in x:
        yield from _leaves(item) if isinstance(item, (list, tuple)) else (item,)


def alike(*arrays: Any) -> list[Any]:
    kind = result_type(*arrays)
    return [array_of(x, kind) for x in arrays]


def two_alike(a: Any, b: Any) -> list[Any]:
    """Two arrays of the dtype that numpy gives both, which the modes "all" and "safe" only decide
    for lists, as in TensorFlow."""
    lists = isinstance(a, (list, tuple)) or isinstance(b, (list, tuple))
    kind = result_type(a, b) if lists else _by_numpy(a, b)
    return [array_of(a, kind), array_of(b, kind)]


def as_bytes(*arrays: Any) -> list[Any]:
    return [array_of(x, np.int8) for x in arrays]


def of_two(fn: Callable, of_bools: Callable | None) -> Callable:
    def combined(x1: Any, x2: Any) -> Any:
        a, b = two_alike(x1, x2)
        if kind_of(a).kind != "b":
            return fn(a, b)
        return fn(*as_bytes(a, b)) if of_bools is None else of_bools(a, b)

    return combined


def floats(x: Any) -> Any:
    """The array, where it has no fractions as one of the dtype of Python's floats."""
    x = array_of(x)
    kind = dtypes.as_dtype(x.dtype)
    return x if kind.is_floating or kind.is_complex else array_of(x, result_type(float))


def call(fn: Callable, *arrays: Any, **rest: Any) -> Any:
    """What a function of arrays gives, one of `jax.numpy`."""
    return run(fn, arrays, (), {k: static(v) for k, v in rest.items()}, name=fn.__name__)


def kind_of(x: Any) -> np.dtype:
    return dtypes.as_dtype(x.dtype).dtype


def at_least(x: Any, rank: int) -> Any:
    missing = rank - len(x.shape)
    return ops.reshape(x, [1] * missing + list(x.shape)) if missing > 0 else x


def flat(a: Any) -> Any:
    return ops.reshape(a, [-1])


def no_output(out: Any) -> None:
    if out is not None:
        raise ValueError("Setting out is not supported.")
