"""Conversion of numbers, lists, text and arrays to tensors."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export

from keraslike.core import host
from keraslike.core.errors import NeedsPython
from keraslike.core.variable import Variable as _Variable
from keraslike.tf import dtypes
from keraslike.tf.dimensions import Dimension
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.promotion import promotes
from keraslike.tf.structure import NotDense, Operating, Structure, operates
from keraslike.tf.tensor import WIDE, Tensor, WeakTensor, _on_device, precision, read, run


@promotes
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A tensor with the value of a number, a text, a nested list, an array or a tensor.

    Args:
        dtype: the dtype of the result. By default arrays keep theirs; Python numbers become int32
            (int64 if necessary), float32 or complex128.
        shape: the shape of the result; a single value is broadcast to it.

    Raises ValueError for lists of different lengths, TypeError for values that do not fit the
    dtype.

    >>> constant([[1.0, 2.0]])
    <tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[1., 2.]], dtype=float32)>
    >>> constant(42)
    <tf.Tensor: shape=(), dtype=int32, numpy=42>
    """
    tensor = convert_to_tensor(value, dtype)
    if dtype is not None and tensor.dtype != dtype:
        tensor = Tensor(cast_value(tensor._value, dtypes.as_dtype(dtype)))
    if shape is None:
        return tensor
    shape = static(shape)
    size = int(np.prod(shape))
    with precision((tensor._value,)):
        xp = library((tensor._value,))
        values = xp.reshape(tensor._value, -1)
        if values.size not in (1, size):
            raise TypeError(f"{values.size} values do not fill shape={shape}.")
        return Tensor(xp.broadcast_to(values, size).reshape(shape))


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> Tensor:
    """Like `constant`, but a tensor or a variable of another dtype raises ValueError.

    Args:
        dtype_hint: the dtype to use if the value can be converted to it.

    >>> tf.convert_to_tensor([1, 2], tf.float32).numpy().tolist()
    [1.0, 2.0]
    """
    if type(value) is Tensor and dtype is None:
        return value
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(value, nnx.Variable):
        value = read(value)
    elif isinstance(value, jax.Array):
        value = Tensor(_widened(value, wanted or dtype_hint))
    if isinstance(value, Tensor):
        value = value.to_tensor() if isinstance(value, WeakTensor) else value
        if wanted is not None and value.dtype is not wanted:
            raise ValueError(
                f"Tensor conversion requested dtype {wanted.name} for a tensor with dtype "
                f"{value.dtype.name}. Nothing is cast silently: use tf.cast()."
            )
        return value
    hint = None if dtype_hint is None else dtypes.as_dtype(dtype_hint)
    if not isinstance(value, _NATIVE):
        found = _by_user(value, wanted, hint)
        if found is not NotImplemented:
            return convert_to_tensor(found)
    if isinstance(value, Operating):
        raise NotDense(value)
    if hasattr(value, "_as_tensor"):
        return convert_to_tensor(value._as_tensor(), dtype)
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        if wanted is not None:
            value = [
                convert_to_tensor(v, None if isinstance(v, _TENSORS) else wanted) for v in value
            ]
            value = [run(cast_value, (v,), (wanted,)) if v.dtype != wanted else v for v in value]
        tensor = _stack(list(value))
        return tensor if wanted in (None, tensor.dtype) else run(cast_value, (tensor,), (wanted,))
    if _holds_sizes(value):
        kind = wanted or hint or dtypes.int32
        several = isinstance(value, (list, tuple))
        with WIDE(kind.size == 8):  # each is cast, since symbols are int64 where a trace is lowered
            given = [jnp.asarray(v).astype(kind.dtype) for v in (value if several else [value])]
            return Tensor(jnp.stack(given) if several else given[0])
    array = _numpy_of(value, wanted, hint)
    if not isinstance(value, (list, tuple, int, float, str, bytes, np.generic)):
        array = host.own(array)
    return Tensor(_on_device(array))


# The classes for which users have registered functions, by priority.
_converters: list[tuple[int, Any, Callable]] = []
_TENSORS = (Tensor, nnx.Variable, jax.Array)
_NATIVE = (int, float, complex, np.generic, np.ndarray, list, tuple)


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Callable, priority: int = 100
) -> None:
    """Makes functions of tensors accept objects of a user's class.

    Args:
        base_type: the class, or a tuple of classes.
        conversion_func: a function that takes `value, dtype, name, as_ref` and returns a tensor, or
            `NotImplemented`.
        priority: functions of lower numbers are tried first, those of one number in the order in
            which they were registered.

    Raises TypeError for numbers, numpy's arrays, and what is no class or function. A conversion
    raises RuntimeError if the function returns no tensor, or one of another dtype than asked for.

    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> tf.register_tensor_conversion_function(
    ...     Point, lambda value, dtype=None, name=None, as_ref=False:
    ...     tf.constant([value.x, value.y], dtype))
    >>> (tf.constant(1.0) + Point(2.0, 3.0)).numpy().tolist()
    [3.0, 4.0]
    """
    kinds = base_type if isinstance(base_type, tuple) else (base_type,)
    if not all(isinstance(kind, type) for kind in kinds):
        raise TypeError(f"base_type must be a class or a tuple of classes. Received: {base_type}")
    if any(issubclass(kind, (int, float, np.generic, np.ndarray)) for kind in kinds):
        raise TypeError(f"Numbers and arrays have a conversion already. Received: {base_type}")
    if not callable(conversion_func):
        raise TypeError(f"conversion_func must be callable. Received: {conversion_func!r}")
    _converters.append((priority, kinds, conversion_func))
    _converters.sort(key=lambda entry: entry[0])


def _by_user(value: Any, wanted: DType | None, hint: DType | None) -> Any:
    """The tensor that the class of an object, or a registered function, makes of it, or
    `NotImplemented`."""
    if hasattr(type(value), "__tf_tensor__"):
        return value.__tf_tensor__(wanted, None)
    for _, kinds, function in _converters:
        if not isinstance(value, kinds):
            continue
        found: Any = NotImplemented
        if wanted is None and hint is not None:
            with contextlib.suppress(TypeError, ValueError):
                found = function(value, dtype=hint, name=None, as_ref=False)
        if found is NotImplemented:
            found = function(value, dtype=wanted, name=None, as_ref=False)
        elif found.dtype != hint:
            wanted = hint
        if found is NotImplemented:
            continue
        if not isinstance(found, (Tensor, nnx.Variable)):
            raise RuntimeError(f"The conversion of {type(value)} returned no tensor: {found!r}")
        if wanted is not None and found.dtype != wanted:
            raise RuntimeError(
                f"The conversion of {type(value)} returned dtype {found.dtype.name}. Requested: "
                f"{wanted.name}"
            )
        return found
    return NotImplemented


def _widened(array: jax.Array, target: Any) -> jax.Array:
    """Converts integers of JAX's arrays, which JAX has narrowed to 32 bits, to the 64 bits of the
    other operand."""
    kind = array.dtype.kind
    if target is None or kind not in "iu" or array.dtype.itemsize != 4:
        return array
    wide = dtypes.as_dtype(target)
    if jax.config.read("jax_enable_x64") or wide.name not in ("int64", "uint64"):
        return array
    return cast_value(array, wide) if wide.dtype.kind == kind else array


def stacked(values: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape, stacked along a new axis."""
    values = list(values)
    if values and axis == 0 and not _holds_tensors(values):
        with contextlib.suppress(TypeError, ValueError):
            return convert_to_tensor(values)
    known = next(_tensors_in(values), None) if axis == 0 else None
    return run(_stacked_arrays, joined("stack", values, known), (), {"axis": axis})


def _stacked_arrays(*values: Any, axis: int) -> Any:
    return library(values).stack(values, axis)


_stack = operates(stacked, "stack")


def _tensors_in(values: Any) -> Iterator[Any]:
    """The tensors and variables in a nested list; those of outer lists come first."""
    yield from (v for v in values if isinstance(v, (Tensor, nnx.Variable)))
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _tensors_in(value)


def joined(name: str, values: Any, known: Any = None) -> list[Any]:
    """The items of a list as tensors of one dtype.

    Numbers, lists and arrays of numpy are converted to the dtype of the first tensor in the list,
    or of the first item if there is none, as TensorFlow does for the inputs of an operation.

    Args:
        known: something that has the dtype.
    """
    values = list(values)
    if not values:
        raise ValueError(f"tf.{name}: expected at least one tensor, received none.")
    if known is None:
        known = next((v for v in values if isinstance(v, _TENSORS)), None)
    if known is None:
        known = values[0] = _as_operand(values[0])
    dtype = dtypes.as_dtype(known.dtype)
    given = [
        _as_operand(v) if isinstance(v, _TENSORS) else convert_to_tensor(v, dtype) for v in values
    ]
    same_dtype(name, given)
    return given


def mismatch(name: str, a: Any, b: Any, position: int = 1) -> str:
    """The message for an argument of dtype `b` where `a` was expected."""
    a, b = dtypes.as_dtype(a), dtypes.as_dtype(b)
    return (
        f"tf.{name}: argument {position} was expected to be a {a.spoken} tensor but is a "
        f"{b.spoken} tensor. Nothing is cast silently: use tf.cast()."
    )


def same_dtype(name: str, tensors: Sequence[Any]) -> None:
    """Raises InvalidArgumentError, with the name of the function, for tensors of two dtypes."""
    first = dtypes.as_dtype(tensors[0].dtype)
    for i, tensor in enumerate(tensors):
        if dtypes.as_dtype(tensor.dtype) is not first:
            raise InvalidArgumentError(mismatch(name, first, tensor.dtype, i))


def index_dtype(name: str, given: Any, *more: DType) -> DType:
    """The dtype that a function is asked to give indices in.

    Raises InvalidArgumentError unless it is int32, int64 or one of `more`.
    """
    found = dtypes.as_dtype(given)
    if found not in (allowed := (dtypes.int32, dtypes.int64, *more)):
        raise InvalidArgumentError(
            f"tf.{name} gives indices or sizes of the dtypes {', '.join(t.name for t in allowed)}. "
            f"Received: {found.name}"
        )
    return found


def library(values: Sequence[Any]) -> Any:
    """numpy for texts and for known values in a trace, so that sizes stay known; else jax.numpy."""
    known = not any(isinstance(v, jax.core.Tracer) for v in values)
    is_numpy = known and any(isinstance(v, np.ndarray) for v in values)
    return np if values[0].dtype.kind == "O" or is_numpy else jnp


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor or a variable of any kind.

    >>> tf.is_tensor(tf.constant(1)), tf.is_tensor(1)
    (True, False)
    """
    return isinstance(x, (Tensor, nnx.Variable, Structure)) or hasattr(x, "_as_tensor")


def _holds_sizes(value: Any) -> bool:
    """Whether a value is a symbolic size, or a list with one."""
    if isinstance(value, (list, tuple)):
        return any(export.is_symbolic_dim(v) for v in value)
    return export.is_symbolic_dim(value)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_tensors, value))
    return isinstance(value, _TENSORS)


def _numpy_of(value: Any, wanted: DType | None, hint: DType | None) -> np.ndarray:
    """The value as a numpy array of the wanted dtype, or else, if possible, of the hint's.

    As in TensorFlow, numpy arrays are cast to any dtype by numpy's rules. Python numbers are only
    converted to dtypes of their kind, and integers that do not fit are wrapped.
    """
    if isinstance(value, TensorShape):
        return _sizes(value, wanted)
    if type(value) in (int, float, bool) and (wanted or hint) is None:
        return _plain_number(value)
    from_numpy = isinstance(value, np.generic) or hasattr(value, "__array__")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"Cannot convert {value!r} to a tensor: its lists have different lengths."
        ) from e
    if array.dtype.kind == "O" and any(isinstance(item, Dimension) for item in array.flat):
        sizes = [int(item) if isinstance(item, Dimension) else item for item in array.flat]
        array = np.asarray(sizes).reshape(array.shape)
    target = wanted or hint
    if target is not None:
        found = (_forced if from_numpy else _in_kind)(array, target)
        if found is not None:
            return found
    if array.dtype.kind in "SUO":
        array = _texts(array, value)
        if wanted not in (None, dtypes.string):
            kind = ValueError if from_numpy else TypeError
            raise kind(f"Cannot convert {value!r} to a tensor of dtype {wanted}.")
        return array
    if wanted is not None:
        raise TypeError(f"Cannot convert {value!r} to a tensor of dtype {wanted.name}.")
    return array if from_numpy else _default_width(array, value)


def _sizes(shape: TensorShape, wanted: DType | None) -> np.ndarray:
    if not shape.is_fully_defined():
        raise ValueError(f"A partially known TensorShape has no value: {shape}")
    sizes = [int(size) for size in shape]
    if wanted not in (None, dtypes.int32, dtypes.int64):
        raise TypeError(f"Cannot convert a TensorShape to a tensor of dtype {wanted}.")
    large = any(size >= 2**31 for size in sizes)
    if large and wanted is dtypes.int32:
        raise ValueError(f"A size is beyond the range of int32: {shape}")
    kind = np.int64 if large or wanted is dtypes.int64 else np.int32
    return np.asarray(sizes, kind)


def _holds_bools(value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return type(value) is bool
    kinds = set(map(type, value))
    return bool in kinds or (bool(kinds & {list, tuple}) and any(map(_holds_bools, value)))


def _plain_number(value: Any) -> np.ndarray:
    kind = type(value)
    if kind is bool:
        return np.asarray(value)
    if kind is float:
        if _LARGEST < abs(value) < math.inf:
            raise _too_large(value)
        return np.asarray(value, np.float32)
    if not -(2**63) <= value < 2**63:
        raise _too_large(value)
    return np.asarray(value, np.int32 if -(2**31) <= value < 2**31 else np.int64)


_LARGEST = float(np.finfo(np.float32).max)


def _too_large(value: Any) -> ValueError:
    return ValueError(f"{value!r} is beyond the range of its dtype. Give a wider dtype=.")


def _default_width(array: np.ndarray, value: Any) -> np.ndarray:
    """The numbers of a list, or a number: integers as int32, or int64 if one needs it, and floats
    as float32, or as the dtype of the first one if numpy has it; nothing is float32. Integers of
    numpy and complex numbers do not keep their dtype, either."""
    kind = array.dtype.kind
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, np.ndarray) and array.size == 0:
        return array.astype(np.float32)
    if kind == "c":
        return array.astype(np.complex128)
    if kind in "iuf" and _holds_bools(value):
        raise ValueError(f"Cannot convert {value!r} to a tensor: it mixes bools and numbers.")
    if kind == "f":
        if isinstance(first, (np.floating, np.ndarray)) and first.dtype.kind == "f":
            return array.astype(first.dtype)
        with np.errstate(over="ignore"):
            out = array.astype(np.float32)
        if np.isinf(out).any() and not np.array_equal(np.isinf(out), np.isinf(array)):
            raise _too_large(value)
        return out
    if kind == "u" and array.size and array.max() >= 2**63:
        raise _too_large(value)
    if kind in "iu":
        small = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        return array.astype(np.int32 if small else np.int64)
    return array


def _forced(array: np.ndarray, target: DType) -> np.ndarray | None:
    """A numpy array cast to another dtype by numpy; `None` from numbers to strings, and for strings
    that are not numbers."""
    if (target is dtypes.string) != (array.dtype.kind in "SUO"):
        if target is dtypes.string:
            return np.empty(array.shape, object) if not array.size else None
    elif target is dtypes.string:
        return None
    with warnings.catch_warnings():  # of discarded imaginary parts, NaN and values out of range
        warnings.simplefilter("ignore")
        try:
            return array.astype(target.as_numpy_dtype)
        except (ValueError, TypeError):
            return None


# To these, Python's numbers are converted directly, including bools and integers of any length.
_DIRECT = frozenset(
    {"bool", "float16", "float32", "float64", "int32", "int64", "uint64", "complex128"}
)


def _in_kind(array: np.ndarray, target: DType) -> np.ndarray | None:
    """An array of Python's numbers in a dtype of their kind or a more general one; otherwise
    `None`."""
    kind, to = array.dtype.kind, "f" if target.is_floating else target.dtype.kind
    if array.size == 0:
        return array.astype(target.as_numpy_dtype)
    if kind == "O" and to in "fc" and all(type(v) in (int, float) for v in array.flat):
        if target.name not in _DIRECT:
            raise ValueError(
                f"{array} is beyond the range of int64, of which {target.name} is made."
            )
        try:
            return array.astype(float).astype(target.as_numpy_dtype)  # integers of any length
        except OverflowError:
            raise ValueError(f"{array} is beyond the range of {target.name}.") from None
    if target is dtypes.string or kind not in "biufc":
        return None
    if kind == "b":
        fits = target.name in _DIRECT
    elif kind in "iu" and to in "iu":
        fits = not (kind == "u" and array.dtype != target.dtype and array.max() >= 2**63)
        fits = fits and not (target is dtypes.uint64 and kind == "i" and array.min() < 0)
    else:
        fits = to != "b" and _KINDS.index(kind) <= _KINDS.index(to)
    if not fits:
        return None
    with np.errstate(over="ignore"):
        return array.astype(target.as_numpy_dtype)


_KINDS = "iufc"


def _texts(array: np.ndarray, value: Any) -> np.ndarray:
    def encoded(item: Any) -> bytes:
        if isinstance(item, str):
            return item.encode()
        if isinstance(item, bytes):
            return bytes(item)
        if isinstance(item, (list, tuple)):
            raise ValueError(
                f"Cannot convert {value!r} to a tensor: its lists have different lengths."
            )
        raise ValueError(f"Cannot convert {value!r} to a tensor of text: it contains {item!r}.")

    if array.dtype.kind in "SU" and not isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value, object)  # numpy's text dtypes drop zero bytes at the end
    items = array.reshape(-1).tolist()
    if not set(map(type, items)) <= {bytes}:
        items = list(map(encoded, items))
    out = np.empty(len(items), object)
    out[:] = items
    return out.reshape(array.shape)


def cast_value(value: Any, dtype: DType) -> Any:
    kind = value.dtype.kind
    if (kind == "O") != (dtype is dtypes.string):
        raise TypeError(f"Cannot cast between text and numbers: {value.dtype} to {dtype.name}.")
    if value.dtype == dtype.dtype:
        return value
    if type(value) is np.ndarray and kind in "biuf" and dtype.dtype.kind == "f":
        return value.astype(dtype.dtype)
    with WIDE(True):
        if kind == "c" and not dtype.is_complex:
            value = jnp.real(value)
        value = jnp.asarray(value)
        if value.dtype.kind == "f" and dtype.is_integer:
            return _truncated(value, dtype)
        return value.astype(dtype.dtype)


@functools.partial(jax.jit, static_argnums=1)
def _truncated(value: Any, dtype: DType) -> Any:
    """Floating-point numbers as integers. Numbers out of range become the lowest integer, of which
    a narrower dtype has the last bits, as processors and TensorFlow convert them; JAX would take
    the nearest."""
    if dtype is dtypes.uint64:
        return value.astype(dtype.dtype)
    wide = np.dtype(np.int64 if dtype.size == 8 or dtype is dtypes.uint32 else np.int32)
    low, end = float(np.iinfo(wide).min), 2.0 ** (wide.itemsize * 8 - 1)
    inside = (value >= low) & (value < end)
    if value.dtype == jnp.float16:
        inside = jnp.isfinite(value)
    found = jnp.where(inside, value, 0).astype(wide)
    return jnp.where(inside, found, np.iinfo(wide).min).astype(dtype.dtype)


def static(value: Any) -> Any:
    """The plain numbers (a shape, an axis) of a tensor or another value.

    Raises NeedsPython, a TypeError, for a tensor that is being traced, and NotDense for
    what is no dense tensor.
    """
    if type(value) is int or value is None:
        return value
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    if isinstance(value, Tensor):
        value = value._held.tolist() if hasattr(value, "_held") else value._value
    if isinstance(value, (list, tuple)):
        return tuple(static(v) for v in value)
    if isinstance(value, jax.core.Tracer):
        raise NeedsPython(
            "Shapes, axes and counts must be known while a function is traced, but this one is "
            "computed from the function's arguments. Use tf.shape(), whose result is known, or "
            "pass a Python number."
        )
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value)
        if value.dtype == object:
            return tuple(value.ravel().tolist()) if value.ndim else value.item()
        return static(value.tolist())
    if isinstance(value, Operating):
        raise NotDense(value)
    return value


def _as_operand(x: Any, hint: Any = None) -> Any:
    if isinstance(x, _Variable) and "_open_shape" in x._info.user_attributes:
        return read(x)  # The shape that it declares is not that of its value.
    if isinstance(x, (Tensor, nnx.Variable)):
        return x
    return convert_to_tensor(x, dtype_hint=hint)
