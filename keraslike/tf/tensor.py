"""`tf.Tensor`, how it is made of other things, and how an operation runs on it."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export

from keraslike.core import context, host, jax_internals, symbolic
from keraslike.core.boxed import Boxed, Refusal, is_recorded, refuse_recorded
from keraslike.core.context import trace_state_clean
from keraslike.core.operation import FunctionOperation
from keraslike.core.tracebacks import handled, shorten
from keraslike.core.variable import Variable
from keraslike.data.pipeline import NeedsPython
from keraslike.tf import dtypes
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import NotDense, Structure

if TYPE_CHECKING:

    def _Operator(self: Any, other: Any) -> Tensor: ...


PLACE = "/job:localhost/replica:0/task:0/device:"  # what a device's name begins with


def name_of_device(array: Any) -> str:
    """Where an array is, as TensorFlow names it; the first device where it is on several."""
    devices = getattr(array, "devices", None)
    if devices is None:
        return f"{PLACE}CPU:0"
    device = min(devices(), key=lambda d: d.id)
    return f"{PLACE}{device.platform.upper()}:{device.id}"


class Tensor(Boxed):
    """An array in TensorFlow's clothes: what `tf` functions take and give.

    `numpy()` is its value; JAX and numpy functions take it as an array. As a pytree its leaf is
    the JAX array. 64-bit values stay 64-bit.
    """

    __slots__ = ("_array", "_label", "_place", "__weakref__")

    def __init__(self, value: Any):
        self._array = value

    # What a followed tensor holds in a trace is the tracing thread's own, as with Variables.
    @property
    def _value(self) -> Any:
        held = context.state.held
        if held:
            found = held.get(id(self))
            if found is not None:
                return found.value
        return self._array

    if TYPE_CHECKING:  # `operators.py` gives the class its operators
        __add__ = __sub__ = __mul__ = __truediv__ = __mod__ = __pow__ = __matmul__ = _Operator
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmatmul__ = _Operator
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _Operator

        def __neg__(self) -> Tensor: ...

    # -- a slice of a variable ----------------------------------------------------------------

    def _assign(self, how: str, value: Any) -> Any:
        if not hasattr(self, "_place"):
            raise AttributeError(
                "A tensor never changes. Variables do, and their slices: v[0].assign(value)."
            )
        variable, key = self._place
        given = _as_operand(value, variable.dtype)
        key = tuple(k if isinstance(k, slice) or k is Ellipsis else static(k) for k in _parts(key))
        with precision((variable._raw_value,)):
            values = getattr(variable._raw_value.at[key], how)(_value(given))
        return variable._put(Tensor(values))

    def assign(self, value: Any, name: str | None = None) -> Any:
        """Replaces these elements of the variable that this is a slice of."""
        return self._assign("set", value)

    def assign_add(self, value: Any, name: str | None = None) -> Any:
        """Adds to these elements of the variable that this is a slice of."""
        return self._assign("add", value)

    def assign_sub(self, value: Any, name: str | None = None) -> Any:
        """Subtracts from these elements of the variable that this is a slice of."""
        return self._assign("subtract", value)

    # -- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._value.shape)

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Raises ValueError where the shape is another: here it is always known."""
        if shape is not None and not self.shape.is_compatible_with(shape):
            raise ValueError(f"Shapes {self.shape} and {TensorShape(shape)} are not compatible.")

    @property
    def dtype(self) -> DType:
        return dtypes._BY_NUMPY[self._value.dtype]

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> int:
        return self._value.size

    @property
    def name(self) -> str:
        if not hasattr(self, "_label"):
            raise AttributeError("Tensors have no names here, where there is no graph.")
        return f"{self._label}:0"  # an argument of a function that is being traced

    @property
    def device(self) -> str:
        """Where the value is, as TensorFlow names it."""
        return name_of_device(self._value)

    @property
    def _keras_mask(self) -> Tensor | None:
        mask = context.masks.get(self)
        return None if mask is None else Tensor(mask)

    @_keras_mask.setter
    def _keras_mask(self, mask: Any) -> None:
        context.set_mask(self, mask if mask is None else jnp.asarray(mask))

    def numpy(self) -> Any:
        """The value: a numpy array, or a scalar where the shape is `()`."""
        if isinstance(self._value, jax.core.Tracer):
            raise AttributeError(
                "A tensor inside tf.function, or any traced function, has no value yet: numpy() "
                "works outside. tf.cond and tf.while_loop branch on values."
            )
        value = np.array(self._value)  # of the caller's own
        return value[()] if value.ndim == 0 else value

    def ref(self) -> TensorRef:
        """A key for dicts and sets, by identity."""
        return TensorRef(self)

    # -- as an array --------------------------------------------------------------------------

    def unbox(self) -> Any:
        return self._value

    def __jax_array__(self) -> Any:
        return Refusal() if is_recorded(self) else self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._value, dtype=dtype, copy=copy)

    __array_priority__ = 1000  # numpy arrays leave `array * tensor` to us

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __index__(self) -> int:
        return self._value.__index__()

    def __complex__(self) -> complex:
        return complex(self._value)

    def __bool__(self) -> bool:
        if isinstance(self._value, jax.core.Tracer):
            raise TypeError(
                "A tensor that is being traced has no truth value. tf.function compiles if, while, "
                "and, or and not where it finds the function's source in a file or notebook; "
                "elsewhere use tf.cond(), tf.while_loop() or tf.where()."
            )
        return bool(self._value)

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if spec else str(self)

    def __len__(self) -> int:
        if not self._value.shape:
            raise TypeError("A scalar tensor has no length.")
        return self._value.shape[0]

    def __iter__(self) -> Any:
        if not self._value.shape:
            raise TypeError("A scalar tensor cannot be iterated over.")
        return (self[i] for i in range(self._value.shape[0]))

    def __repr__(self) -> str:
        if hasattr(self, "_label"):
            return f"<tf.Tensor {self.name!r} shape={self.shape} dtype={self.dtype.name}>"
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, {self._shown(repr)}>"

    def __str__(self) -> str:
        if hasattr(self, "_label"):
            return f'Tensor("{self.name}", shape={self.shape}, dtype={self.dtype.name})'
        if isinstance(self._value, jax.core.Tracer):
            return repr(self)
        text = str(self.numpy())
        line = "\n" if "\n" in text else ""
        return f"tf.Tensor({line}{text}, shape={self.shape}, dtype={self.dtype.name})"

    def _shown(self, form: Callable[[Any], str]) -> str:
        return shown_value(self._value, form)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self  # it never changes

    def __reduce__(self) -> Any:
        return _from_numpy, (np.asarray(self._value),)

    __hash__ = None  # type: ignore[assignment]  # use ref()


class TensorRef:
    """A tensor or variable as a key, by identity; `deref()` gives it back."""

    __slots__ = ("_of",)

    def __init__(self, of: Any):
        self._of = of

    def deref(self) -> Any:
        return self._of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorRef) and self._of is other._of

    def __hash__(self) -> int:
        return id(self._of)


def _flatten(tensor: Tensor) -> tuple[tuple[Any], None]:
    refuse_recorded(tensor)
    return (tensor._value,), None


def _unflatten(_: None, children: Any) -> Tensor:
    (value,) = children  # a tensor where one is put into a structure, as tapes know it
    return value if isinstance(value, Tensor) else Tensor(value)


jax.tree_util.register_pytree_node(Tensor, _flatten, _unflatten)


def _from_numpy(value: np.ndarray) -> Tensor:
    return Tensor(_on_device(value))


def shown_value(value: Any, form: Callable[[Any], str] = repr) -> str:
    """`numpy=...`, as a repr has it."""
    if isinstance(value, jax.core.Tracer):
        return "no value yet"
    value = np.asarray(value)
    text = form(value if value.ndim else value.item())
    line = "\n" if "\n" in text else ""
    return f"numpy={line}{text}"


# -- 64 bits ----------------------------------------------------------------------------------

WIDE = jax.enable_x64
_NARROW = contextlib.nullcontext()


def _is_wide(value: Any) -> bool:
    return value.dtype.itemsize >= 8 and value.dtype.kind != "O"


def precision(values: Sequence[Any]) -> Any:
    """The context in which JAX keeps 64-bit values as they are, where there are any."""
    for value in values:
        if _is_wide(value):
            return WIDE(True)
    return _NARROW


def _on_device(value: np.ndarray) -> Any:
    """The array as JAX's; text, and all that is made while something is traced, as it is."""
    if value.dtype.kind == "O" or not trace_state_clean():
        return value
    with precision((value,)):
        return jax_internals.put(value)


# -- making tensors ---------------------------------------------------------------------------


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of a number, a text, a nested list, an array or a tensor.

    Args:
        dtype: of the result. Where it is left out arrays keep theirs; Python's numbers are int32,
            float32 or complex128, int64 where int32 is too small.
        shape: sizes of the result, which a single value fills.

    Raises ValueError for lists of uneven lengths, TypeError for values that do not fit the dtype.

    >>> constant([[1.0, 2.0]])
    <tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[1., 2.]], dtype=float32)>
    >>> constant(42)
    <tf.Tensor: shape=(), dtype=int32, numpy=42>
    """
    tensor = convert_to_tensor(value, dtype)
    if dtype is not None and tensor.dtype != dtype:
        tensor = Tensor(_cast_value(tensor._value, dtypes.as_dtype(dtype)))
    if shape is None:
        return tensor
    shape = static(shape)
    size = int(np.prod(shape))
    with precision((tensor._value,)):
        values = jnp.reshape(tensor._value, -1)
        if values.size not in (1, size):
            raise TypeError(f"{values.size} values do not fill shape={shape}.")
        return Tensor(jnp.broadcast_to(values, size).reshape(shape))


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> Tensor:
    """As `constant`; a tensor or a variable of another dtype raises ValueError.

    Args:
        dtype_hint: the dtype to have where the value can have it.
    """
    if type(value) is Tensor and dtype is None:
        return value
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(value, nnx.Variable):
        value = read(value)
    elif isinstance(value, jax.Array):
        value = Tensor(value)
    if isinstance(value, Tensor):
        if wanted is not None and value.dtype is not wanted:
            raise ValueError(
                f"A tensor of dtype {value.dtype.name} was given where {wanted.name} is wanted. "
                "Nothing is cast silently: use tf.cast()."
            )
        return value
    if isinstance(value, Structure):
        raise NotDense(value)
    if hasattr(value, "_as_tensor"):
        return convert_to_tensor(value._as_tensor(), dtype)
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        from keraslike.tf import ops

        return (
            ops.stack(list(value)) if wanted is None else ops.cast(ops.stack(list(value)), wanted)
        )
    hint = None if dtype_hint is None else dtypes.as_dtype(dtype_hint)
    if _holds_sizes(value):
        given = (
            jnp.stack([jnp.asarray(v) for v in value]) if isinstance(value, tuple | list) else value
        )
        kind = wanted or hint or dtypes.int32
        return Tensor(jnp.asarray(given).astype(kind.as_numpy_dtype))
    array = _numpy_of(value, wanted, hint)
    if not isinstance(value, (list, tuple, int, float, str, bytes, np.generic)):
        array = host.own(array)
    return Tensor(_on_device(array))


def is_tensor(x: Any) -> bool:
    """Whether it is a tensor or a variable of any kind."""
    return isinstance(x, (Tensor, nnx.Variable)) or hasattr(x, "_as_tensor")


def _holds_sizes(value: Any) -> bool:
    """Whether it is a size that is not known while shapes are traced, or a list with one."""
    if isinstance(value, (list, tuple)):
        return any(export.is_symbolic_dim(v) for v in value)
    return export.is_symbolic_dim(value)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_tensors, value))
    return isinstance(value, (Tensor, nnx.Variable, jax.Array))


def _numpy_of(value: Any, wanted: DType | None, hint: DType | None) -> np.ndarray:
    from_numpy = isinstance(value, (np.ndarray, np.generic))
    if isinstance(value, TensorShape):
        value = value.as_list()
    if type(value) in (int, float, bool) and (wanted or hint) is None:
        return _plain_number(value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"Cannot make a tensor of {value!r}: its lists are not of one size."
        ) from e
    if array.dtype.kind in "SUO":
        array = _texts(array, value)
        if wanted not in (None, dtypes.string):
            raise TypeError(f"Cannot make a tensor of dtype {wanted} of {value!r}.")
        return array
    target = wanted or hint
    if target is dtypes.string and not array.size and not from_numpy:
        return np.empty(array.shape, object)
    if target is None:
        return array if from_numpy else _default_width(array)
    if _may_become(array, target, from_numpy):
        return array.astype(target.as_numpy_dtype)
    if wanted is not None:
        raise TypeError(f"Cannot convert {value!r} to a tensor of dtype {target.name}.")
    return array if from_numpy else _default_width(array)


def _plain_number(value: Any) -> np.ndarray:
    kind = type(value)
    if kind is bool:
        return np.asarray(value)
    if kind is float:
        return np.asarray(value, np.float32)
    return np.asarray(value, np.int32 if -(2**31) <= value < 2**31 else np.int64)


def _default_width(array: np.ndarray) -> np.ndarray:
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float32)
    if kind == "i":
        small = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        return array.astype(np.int32 if small else np.int64)
    return array


def _may_become(array: np.ndarray, target: DType, from_numpy: bool) -> bool:
    if target is dtypes.string:
        return False
    kinds = "buifc"
    kind = "f" if target is dtypes.bfloat16 else target.dtype.kind
    if array.size == 0 and not from_numpy:
        return True
    if array.dtype.kind not in kinds:
        return array.dtype == target.dtype
    if array.dtype.kind == "b" or kind == "b":
        return array.dtype.kind == kind
    if array.dtype.kind in "ui" and kind in "ui":
        info = np.iinfo(target.as_numpy_dtype)
        return array.size == 0 or (array.min() >= info.min and array.max() <= info.max)
    if array.dtype.kind == "f" and kind in "ui":
        return from_numpy and bool((array == np.trunc(array)).all())
    return kinds.index(array.dtype.kind) <= kinds.index(kind)


def _texts(array: np.ndarray, value: Any) -> np.ndarray:
    def encoded(item: Any) -> bytes:
        if isinstance(item, str):
            return item.encode()
        if isinstance(item, bytes):
            return bytes(item)
        if isinstance(item, (list, tuple)):
            raise ValueError(f"Cannot make a tensor of {value!r}: its lists are not of one size.")
        raise ValueError(f"Cannot make a tensor of text of {value!r}, which holds {item!r}.")

    if array.dtype.kind in "SU" and not isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value, object)  # numpy's own kinds of text drop zeros at the end
    items = array.reshape(-1).tolist()
    if not set(map(type, items)) <= {bytes}:
        items = list(map(encoded, items))
    out = np.empty(len(items), object)
    out[:] = items
    return out.reshape(array.shape)


def _cast_value(value: Any, dtype: DType) -> Any:
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
        return jnp.asarray(value).astype(dtype.dtype)


def read(variable: Any) -> Tensor:
    """The value of a Variable; on a tape that follows it, an operation like any other."""
    return run(_identity, (variable,))


def _identity(x: Any) -> Any:
    return x


def static(value: Any) -> Any:
    """Plain numbers (a shape, an axis) out of a tensor or what else has values now.

    Raises NeedsPython, a TypeError, for a tensor that is being traced.
    """
    if type(value) is int or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(static(v) for v in value)
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    if isinstance(value, Tensor):
        value = value._value
    if isinstance(value, jax.core.Tracer):
        raise NeedsPython(
            "Shapes, axes and counts must have values while a function is traced. This one is "
            "computed from the function's arguments: use tf.shape(), whose result has values, or "
            "pass a Python number."
        )
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value)
        if value.dtype == object:
            return tuple(value.ravel().tolist()) if value.ndim else value.item()
        return static(value.tolist())
    return value


# -- running an operation -----------------------------------------------------------------------


_SMALL = 32


def _is_small(value: Any) -> bool:
    """Whether an array of the host is small enough to be computed with while a trace is made."""
    return type(value) is np.ndarray and value.size <= _SMALL and value.dtype.kind in "biuf"


def _known_now(fn: Callable, values: Sequence[Any], rest: tuple, kwargs: dict[str, Any]) -> Any:
    """What a trace computes of known values only has a value as well: sizes that are computed of
    `tf.shape` serve as shapes and counts."""
    with jax.ensure_compile_time_eval():
        out = fn(*values, *rest, **kwargs)
    return wrap(jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, out))


@handled
def run(
    fn: Callable,
    tensors: Sequence[Any],
    rest: tuple = (),
    kwargs: dict[str, Any] | None = None,
    lasting: bool = True,
    constant: Container[int] = (),
    stops: bool = False,
    name: str = "",
) -> Any:
    """`fn(*arrays, *rest, **kwargs)` with tensors in and out, recorded by tapes that follow one.

    Args:
        fn: a function of JAX arrays.
        tensors: Tensors, Variables and arrays.
        rest, kwargs: what is no tensor; hashable.
        lasting: whether `fn` comes again, so that compiling its gradient pays.
        constant: the places of tensors by which no gradient is taken: it is None.
        stops: whether the tapes that follow those do not even follow what comes of them.
        name: of the operation, in TensorFlow.
    """
    kwargs = kwargs or {}
    tapes = context.state.tapes
    recorded = (
        [i not in constant and is_recorded(t) for i, t in enumerate(tensors)] if tapes else ()
    )
    values = [t._value if isinstance(t, Tensor) else _value(t) for t in tensors]
    if True in recorded:
        followed = tuple([r and _is_inexact(v) for r, v in zip(recorded, values)])
        if True in followed:
            return tapes[-1]._run(fn, tensors, values, followed, rest, kwargs, lasting, name)
    try:
        with precision(values):
            if not trace_state_clean() and all(map(_is_small, values)) and values:
                out = _known_now(fn, values, rest, kwargs)
            else:
                out = wrap(fn(*values, *rest, **kwargs))
    except Exception as error:
        shorten(error)
        raise
    if tapes and constant and not stops:
        pass_on([t for i, t in enumerate(tensors) if i in constant], out)
    return out


def pass_on(inputs: Sequence[Any], output: Any) -> None:
    """Tapes that follow one of the inputs follow the output, too, though no gradient passes.

    So a result of `tf.floor` can be a source, as in TensorFlow.
    """
    inputs = [x for x in inputs if isinstance(x, (Tensor, nnx.Variable)) and _is_inexact(raw(x))]
    if inputs and isinstance(output, Tensor) and _is_inexact(output._value):
        for tape in context.state.tapes:
            tape._pass_on(inputs, output)


def raw(x: Any) -> Any:
    """The array in a tensor or a variable, as it is kept."""
    return x._value if isinstance(x, Tensor) else x._raw_value


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _value(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x._value
    if isinstance(x, Variable):
        return x.get_value()
    if isinstance(x, nnx.Variable):
        return x._raw_value
    return x


def _is_inexact(value: Any) -> bool:
    known = _INEXACT.get(value.dtype)
    if known is None:
        known = _INEXACT[value.dtype] = bool(jnp.issubdtype(value.dtype, np.inexact))
    return known


_INEXACT: dict[Any, bool] = {}


def wrap(out: Any) -> Any:
    """Tensors in place of the arrays in lists, tuples and dicts."""
    if isinstance(out, (jax.Array, np.ndarray)):
        return Tensor(out)
    if isinstance(out, bytes):  # one element of an array of text
        return Tensor(np.asarray(out, object))
    if isinstance(out, (list, tuple)):
        items = [wrap(o) for o in out]
        return type(out)(*items) if hasattr(out, "_fields") else type(out)(items)
    if isinstance(out, dict):
        return {k: wrap(v) for k, v in out.items()}
    return Tensor(np.asarray(out)) if isinstance(out, np.generic) else out


def operands(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two tensors of one dtype, a number taking that of what it meets.

    Raises InvalidArgumentError, which names both, where they have different ones.
    """
    x_is, y_is = isinstance(x, (Tensor, nnx.Variable)), isinstance(y, (Tensor, nnx.Variable))
    if not x_is:
        x = _meeting(x, _value_dtype(y) if y_is else None)
    if not y_is:
        y = _meeting(y, _value_dtype(x))
    a, b = _value_dtype(x), _value_dtype(y)
    if a != b:
        raise InvalidArgumentError(mismatch(name, a, b))
    return x, y


def _meeting(value: Any, dtype: Any) -> Tensor:
    """A number, list or array as a tensor of the dtype that it meets, where it can have it."""
    if type(value) not in (int, float):
        return convert_to_tensor(value, dtype_hint=dtype)
    if not trace_state_clean():  # where it stays numpy's: what is computed of it is known then
        return convert_to_tensor(value, dtype_hint=dtype)
    key = (type(value), value, dtype, math.copysign(1, value))  # 0.0 and -0.0 are equal
    found = _numbers.get(key)
    if found is None:
        found = convert_to_tensor(value, dtype_hint=dtype)
        if len(_numbers) < 1000 and isinstance(found._value, jax.Array):
            _numbers[key] = found
            _number_ids.add(id(found))
    return found


_numbers: dict[Any, Tensor] = {}  # that operations have met: sending one to the device takes long
_number_ids: set[int] = set()


def is_shared_number(x: Tensor) -> bool:
    """Whether a tensor stands for a Python number, for whoever uses that number."""
    return id(x) in _number_ids


def _value_dtype(x: Any) -> Any:
    return x._value.dtype if isinstance(x, Tensor) else x.get_value().dtype


def _dtype_of(x: Any) -> DType:
    return dtypes.as_dtype(_value_dtype(x))


def mismatch(name: str, a: Any, b: Any, position: int = 1) -> str:
    """The message for an argument of dtype `b` where `a` was expected."""
    a, b = dtypes.as_dtype(a), dtypes.as_dtype(b)
    return (
        f"tf.{name}: argument {position} was expected to be a {a.spoken} tensor but is a "
        f"{b.spoken} tensor. Nothing is cast silently: use tf.cast()."
    )


def operation(name: str, tensors: str = "x", constant: str = "", stops: bool = False) -> Callable:
    """Decorator that makes a function of arrays one of tensors.

    Args:
        name: as errors say it.
        tensors: the names of the leading parameters that are tensors, all of one dtype; after `;`
            more, of any dtype each. The rest are plain values, for which tensors may stand that
            have values already.
        constant: the names of those by which no gradient is taken.
        stops: whether the tapes that follow those do not even follow what comes of them.
    """
    alike, _, free = tensors.partition(";")
    alike, free = alike.split(), free.split()
    names = (*alike, *free)
    count = len(names)
    places = frozenset(i for i, n in enumerate(names) if n in constant.split())

    def decorate(fn: Callable) -> Callable:
        @handled
        @functools.wraps(fn)
        def of_tensors(*args: Any, **kwargs: Any) -> Any:
            try:
                if symbolic.is_symbolic(args, kwargs):
                    return FunctionOperation(of_tensors)(*args, **kwargs)
                if kwargs:
                    kwargs.pop("name", None)
                    if len(args) < count:
                        args = (*args, *[kwargs.pop(n) for n in names[len(args) :] if n in kwargs])
                if len(args) < count:
                    missing = ", ".join(names[len(args) :])
                    raise TypeError(f"tf.{name}() lacks: {missing}.")
                try:
                    if len(alike) == 2:
                        given = [*operands(name, args[0], args[1]), *args[2:count]]
                        given[2:] = [_as_operand(a) for a in given[2:]]
                    else:
                        given = [_as_operand(a) for a in args[:count]]
                except NotDense as e:
                    structure = e.given
                else:
                    structure = None
                # Outside of `except`: its errors are not caused by this one.
                if structure is not None:
                    return structure._operate(name, of_tensors, args, kwargs)
                rest = tuple([static(a) for a in args[count:]])
                if kwargs:
                    kwargs = {k: static(v) for k, v in kwargs.items()}
                return run(fn, given, rest, kwargs, constant=places, stops=stops, name=name)
            except Exception as error:
                shorten(error)
                raise

        of_tensors.__name__ = of_tensors.__qualname__ = name.rpartition(".")[2]
        del of_tensors.__wrapped__
        return of_tensors

    return decorate


def _as_operand(x: Any, hint: Any = None) -> Any:
    if isinstance(x, (Tensor, nnx.Variable)):
        return x
    return convert_to_tensor(x, dtype_hint=hint)
