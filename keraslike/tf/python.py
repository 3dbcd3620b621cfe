"""`tf.py_function` and `tf.numpy_function`: Python functions as operations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.tf import dtypes
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError, of_python
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import Tensor
from keraslike.tf.type_spec import TypeSpec


def run_by_python(name: str) -> None:
    """Raises NeedsPython in a trace: it must run in each call of the traced function."""
    if not trace_state_clean():  # tf.function and Dataset.map() then run the function in Python
        raise NeedsPython(
            f"tf.{name} runs Python, which a compiled program cannot do. tf.function and "
            "Dataset.map() then do not compile the function; other traces do not support it."
        )


def _called(name: str, func: Any, inp: Any, wanted: Any, arrays: bool) -> Any:
    if func is None:  # a decorator
        return functools.partial(_decorated, name, wanted, arrays)
    given = [x if isinstance(x, Structure) and not arrays else convert_to_tensor(x) for x in inp]
    run_by_python(name)
    try:
        out = func(*[x.numpy() for x in given] if arrays else given)
    except Exception as error:
        raise of_python(error) from error
    several = isinstance(wanted, (list, tuple))
    kinds = list(wanted) if several else [wanted]
    if wanted is None or not kinds:
        return []
    parts = list(out) if isinstance(out, (list, tuple)) else [out]
    if not arrays:
        parts = parts[: len(kinds)]  # as in TensorFlow, which ignores the rest
    if len(parts) != len(kinds):
        raise InvalidArgumentError(f"{name} returns {len(parts)} values; Tout has {len(kinds)}.")
    try:
        found = [_result(name, *pair) for pair in zip(parts, kinds)]
    except (TypeError, ValueError) as error:
        raise of_python(error) from error
    return found if several else found[0]


def _decorated(name: str, wanted: Any, arrays: bool, func: Callable) -> Callable:
    return functools.wraps(func)(lambda *args: _called(name, func, args, wanted, arrays))


def _result(name: str, value: Any, wanted: Any) -> Any:
    if isinstance(wanted, TypeSpec) and wanted.value_type is not Tensor:
        if not wanted.is_compatible_with(value):
            raise ValueError(f"{name}: Tout is {wanted}. Received: {value!r}")
        return value
    dtype = dtypes.as_dtype(getattr(wanted, "dtype", wanted))
    arrays = (np.ndarray, np.generic) if name == "numpy_function" else ()
    if not isinstance(value, (*arrays, Tensor, jax.Array)):
        return convert_to_tensor(value, dtype)
    tensor = convert_to_tensor(value)
    if tensor.dtype is not dtype:
        raise ValueError(
            f"{name}: Tout is {dtype.name}, but the function returned a tensor of dtype "
            f"{tensor.dtype.name}."
        )
    return tensor


def py_function(
    func: Any = None,
    inp: Any = None,
    Tout: Any = None,  # noqa: N803
    name: str | None = None,
) -> Any:
    """The results of a Python function of tensors, as tensors of the dtypes `Tout`.

    Without `func`, it is a decorator of such a function, whose calls give `inp`.

    >>> py_function(lambda x: x + 1, [1], dtypes.int32)
    <tf.Tensor: shape=(), dtype=int32, numpy=2>
    """
    return _called("py_function", func, inp, Tout, arrays=False)


def numpy_function(
    func: Any = None,
    inp: Any = None,
    Tout: Any = None,  # noqa: N803
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """The results of a Python function of numpy arrays, as tensors of the dtypes `Tout`.

    Without `func`, it is a decorator of such a function, whose calls give `inp`.

    >>> numpy_function(lambda x: x + np.float32(1), [1.0], dtypes.float32)
    <tf.Tensor: shape=(), dtype=float32, numpy=2.0>
    """
    return _called("numpy_function", func, inp, Tout, arrays=True)
