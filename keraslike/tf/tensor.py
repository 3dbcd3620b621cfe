"""`tf.Tensor`, and the execution of operations on tensors."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, host, jax_internals
from keraslike.core.boxed import Boxed, Refusal, is_recorded, refuse_recorded
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import AsksForValue, InvalidArgument, InvalidIndex
from keraslike.core.structures import map_items
from keraslike.core.tracebacks import handled, shorten
from keraslike.core.variable import Variable
from keraslike.tf import dtypes
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.errors import OperatorNotAllowedInGraphError, as_invalid_argument

if TYPE_CHECKING:

    def _Operator(self: Any, other: Any) -> Tensor: ...


PLACE = "/job:localhost/replica:0/task:0/device:"  # the prefix of names of devices


def name_of_device(array: Any) -> str:
    """TensorFlow's name of the device of an array, the first one if it is on several."""
    devices = getattr(array, "devices", None)
    if devices is None:
        return f"{PLACE}CPU:0"
    device = min(devices(), key=lambda d: d.id)
    return f"{PLACE}{device.platform.upper()}:{device.id}"


class _NoNumpy(AsksForValue, AttributeError):
    """A tensor that is being traced has no value."""


class _NoArray(NotImplementedError, TypeError):
    """numpy asks for the array of a tensor that is being traced: TensorFlow's kind of error, and
    JAX's."""


_NoArray.__name__ = _NoArray.__qualname__ = NotImplementedError.__name__


class Tensor(Boxed):
    """An array with TensorFlow's interface, the argument and result of `tf` functions.

    `numpy()` returns its value; JAX and numpy functions accept it as an array. It is a pytree with
    the JAX array as its leaf. 64-bit dtypes are kept.

    >>> x = tf.constant([1, 2])
    >>> isinstance(x, tf.Tensor), x.shape, x.dtype
    (True, TensorShape([2]), tf.int32)
    """

    __slots__ = ("_array", "_label", "_place", "__weakref__")

    def __init__(self, value: Any):
        self._array = value

    # The tracer of a followed tensor in a trace belongs to the tracing thread, as with Variables.
    @property
    def _value(self) -> Any:
        held = context.state.held
        if held:
            found = held.get(id(self))
            if found is not None:
                return found.value
        return self._array

    if TYPE_CHECKING:  # `operators.py` adds the operators to the class
        __add__ = __sub__ = __mul__ = __truediv__ = __mod__ = __pow__ = __matmul__ = _Operator
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmatmul__ = _Operator
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _Operator

        def __neg__(self) -> Tensor: ...

    # -- a slice of a variable ----------------------------------------------------------------

    def _assign(self, how: str, value: Any) -> Any:
        if not hasattr(self, "_place"):
            raise AttributeError(
                "Tensors are immutable. Use a variable, or a slice of one: v[0].assign(value)."
            )
        return self._place(how, value)

    def assign(self, value: Any, name: str | None = None) -> Any:
        """Replaces the elements of the variable of which this is a slice."""
        return self._assign("set", value)

    def assign_add(self, value: Any, name: str | None = None) -> Any:
        """Adds to the elements of the variable of which this is a slice."""
        return self._assign("add", value)

    def assign_sub(self, value: Any, name: str | None = None) -> Any:
        """Subtracts from the elements of the variable of which this is a slice."""
        return self._assign("subtract", value)

    # -- attributes ---------------------------------------------------------------------------

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._value.shape)

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Raises ValueError for another shape, since the shape is always known here."""
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
            raise AttributeError("Eager tensors have no names.")
        return f"{self._label}:0"  # the argument of a function that is being traced

    @property
    def device(self) -> str:
        """TensorFlow's name of the device of the value."""
        return name_of_device(self._value)

    @property
    def _keras_mask(self) -> Tensor | None:
        mask = context.masks.get(self)
        return None if mask is None else Tensor(mask)

    @_keras_mask.setter
    def _keras_mask(self, mask: Any) -> None:
        mask = mask if mask is None else jnp.asarray(mask)
        for tensor in (self, self._value):  # in a layer, the value is what the layer returns
            context.set_mask(tensor, mask)

    @_keras_mask.deleter
    def _keras_mask(self) -> None:
        if self._keras_mask is None:
            raise AttributeError("The tensor has no '_keras_mask'.")
        self._keras_mask = None

    def numpy(self) -> Any:
        """The value as a numpy array, or as a numpy scalar for the shape `()`."""
        known = self._known()
        if isinstance(known, jax.core.Tracer):
            raise _NoNumpy(
                "A tensor inside of tf.function, or of any traced function, has no value, so "
                "numpy() only works outside. Use tf.cond and tf.while_loop to branch on values."
            )
        value = np.array(known)  # a copy, which the caller may change
        return value[()] if value.ndim == 0 else value

    def _known(self) -> Any:
        """The array, also of a tracer that JAX differentiates while it computes values."""
        value = self._value
        if isinstance(value, jax.core.Tracer):
            return jax_internals.known_value(value)
        return host.awaited(value)

    def ref(self) -> TensorRef:
        """A key for dicts and sets, by identity."""
        return TensorRef(self)

    # -- conversion to arrays -----------------------------------------------------------------

    def unbox(self) -> Any:
        return self._value

    def __jax_array__(self) -> Any:
        return Refusal() if is_recorded(self) else self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        try:
            return np.array(self._value, dtype=dtype, copy=copy)
        except jax.errors.TracerArrayConversionError:
            raise _NoArray(
                "A tensor inside of tf.function, or of any traced function, cannot become a numpy "
                "array, since it has no value yet. Use functions of tf in place of numpy's, or "
                "tf.numpy_function."
            ) from None

    def __dlpack__(self, **options: Any) -> Any:
        return self._known().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._known().__dlpack_device__()

    __array_priority__ = 1000  # numpy defers `array * tensor` to this class

    def __float__(self) -> float:
        return float(self._known())

    def __int__(self) -> int:
        return int(self._known())

    def __index__(self) -> int:
        return self._value.__index__()

    def __complex__(self) -> complex:
        return complex(self._known())

    def __bool__(self) -> bool:
        value = self._known()
        if isinstance(value, jax.core.Tracer):
            raise OperatorNotAllowedInGraphError(
                "A tensor that is being traced has no truth value. tf.function compiles if, while, "
                "and, or and not only if the function's source is in a file or notebook; otherwise "
                "use tf.cond(), tf.while_loop() or tf.where()."
            )
        return bool(value) if value.size else False

    def __format__(self, spec: str) -> str:
        if isinstance(self._value, jax.core.Tracer) and not spec:
            return str(self)
        return format(self.numpy(), spec)

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
        return self  # tensors are immutable

    def __reduce__(self) -> Any:
        return _from_numpy, (np.asarray(self._value),)

    __hash__ = None  # type: ignore[assignment]  # use ref()


class WeakTensor(Tensor):
    """A tensor of a dtype that nobody has named, which gives way to that of another operand: see
    `promotion.py`."""

    __slots__ = ()

    def to_tensor(self) -> Tensor:
        """The tensor, of a dtype that does not give way."""
        return run(_identity, (self,), name="identity")

    @property
    def tensor(self) -> Tensor:
        return self.to_tensor()

    def __iter__(self) -> Any:
        return map(weakened, super().__iter__())

    def __format__(self, spec: str) -> str:
        return f"{super().__format__(spec)} weakly typed"

    def __repr__(self) -> str:
        return _marked(super().__repr__())

    def __str__(self) -> str:
        return _marked(super().__str__())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self

    __hash__ = None  # type: ignore[assignment]


def _marked(text: str) -> str:
    return text if text.endswith("weak=True)") else f"{text[:-1]}, weak=True{text[-1]}"


def weakened(x: Any) -> Any:
    """A tensor that an operation has just made, as a weak one."""
    if type(x) is Tensor:
        x.__class__ = WeakTensor  # the same object, since tapes know it by identity
    return x


class TensorRef:
    """A tensor or variable as a key, compared by identity; `deref()` returns it."""

    __slots__ = ("_of",)

    def __init__(self, of: Any):
        self._of = of

    def deref(self) -> Any:
        return self._of

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._of!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorRef) and self._of is other._of

    def __hash__(self) -> int:
        return id(self._of)


def _flatten(tensor: Tensor) -> tuple[tuple[Any], None]:
    refuse_recorded(tensor)
    return (tensor._value,), None


def _unflatten(_: None, children: Any, kind: type[Tensor] = Tensor) -> Tensor:
    (value,) = children  # a Tensor is kept, since tapes know it by identity
    return value if isinstance(value, Tensor) else kind(value)


jax.tree_util.register_pytree_node(Tensor, _flatten, _unflatten)
jax.tree_util.register_pytree_node(
    WeakTensor, _flatten, functools.partial(_unflatten, kind=WeakTensor)
)


def _from_numpy(value: np.ndarray) -> Tensor:
    return Tensor(_on_device(value))


def shown_value(value: Any, form: Callable[[Any], str] = repr) -> str:
    """The part `numpy=...` of a repr."""
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
    """A context in which JAX keeps 64-bit dtypes, if the values have any."""
    for value in values:
        if _is_wide(value):
            return WIDE(True)
    return _NARROW


def _on_device(value: np.ndarray) -> Any:
    """The array as a JAX array; text, and arrays in a trace, are returned unchanged."""
    if isinstance(value, jax.Array) or value.dtype.kind == "O" or not trace_state_clean():
        return value
    with precision((value,)):
        return jax_internals.put(value)


# -- creation of tensors ----------------------------------------------------------------------


def read(variable: Any) -> Tensor:
    """The value of a Variable, as an operation that tapes record if they follow it."""
    return run(_identity, (variable,), name="identity")


def _identity(x: Any) -> Any:
    return x


# -- execution of operations --------------------------------------------------------------------


_SMALL = 32


def _is_small(value: Any) -> bool:
    """Whether a host array is small enough for computations during a trace."""
    return type(value) is np.ndarray and value.size <= _SMALL and value.dtype.kind in "biuf"


def _is_known(fn: Callable, values: Sequence[Any], rest: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether an operation in a trace can be computed immediately: on small host arrays, or from
    integers to integers (such as the edges of a graph), which have no gradients."""
    if not values or all(map(_is_small, values)):
        return bool(values)
    if not all(map(_is_whole, values)):
        return False
    out = jax.eval_shape(lambda: fn(*values, *rest, **kwargs))
    return all(x.dtype.kind in "biu" for x in jax.tree.leaves(out))


def _is_whole(value: Any) -> bool:
    """Whether an array holds known integers."""
    is_array = isinstance(value, (np.ndarray, jax.Array)) and value.dtype.kind in "biu"
    return is_array and not isinstance(value, jax.core.Tracer)


_NOT_KNOWN = object()


def _known_now(fn: Callable, values: Sequence[Any], rest: tuple, kwargs: dict[str, Any]) -> Any:
    """Computes an operation on known values during a trace, so that sizes computed from `tf.shape`
    stay known and can be used as shapes and counts."""
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
    constant: Collection[int] = (),
    stops: bool = False,
    name: str = "",
    own: bool = True,
) -> Any:
    """`fn(*arrays, *rest, **kwargs)` on tensors, recorded by the tapes that follow one of them.

    Args:
        fn: a function of JAX arrays.
        tensors: Tensors, Variables and arrays.
        rest, kwargs: other arguments, which must be hashable.
        lasting: whether `fn` recurs, so that compiling its gradient is worthwhile.
        constant: the positions of tensors without a gradient.
        stops: whether tapes do not follow results that depend only on those.
        name: TensorFlow's name of the operation.
        own: whether `fn` calls no users' code. Errors for its arguments are then raised as
            InvalidArgumentError, like those of TensorFlow's operations.
    """
    kwargs = kwargs or {}
    tapes = context.state.tapes
    recorded = (
        [i not in constant and is_recorded(t) for i, t in enumerate(tensors)] if tapes else ()
    )
    values = [t._value if isinstance(t, Tensor) else array_in(t) for t in tensors]
    for i in constant if constant and not trace_state_clean() else ():
        if isinstance(values[i], jax.core.Tracer) and _is_inexact(values[i]):
            values[i] = jax.lax.stop_gradient(values[i])  # in the gradient of the trace
    try:
        if True in recorded:
            followed = tuple([r and _is_inexact(v) for r, v in zip(recorded, values)])
            if True in followed:
                given = (fn, tensors, values, followed, rest, kwargs, lasting)
                out = tapes[-1]._run(*given, name=name, constant=constant)
                return out if inspected is None else inspected(name, out)
        with precision(values):
            out = _NOT_KNOWN
            if not trace_state_clean() and _is_known(fn, values, rest, kwargs):
                with contextlib.suppress(jax_internals.UnexpectedSize):  # of a shape with symbols
                    out = _known_now(fn, values, rest, kwargs)
            if out is _NOT_KNOWN:
                out = wrap(fn(*values, *rest, **kwargs))
                if follows_sizes is not None and not trace_state_clean():
                    out = follows_sizes(fn, name, tensors, rest, kwargs, out)
    except Exception as error:
        if not own or type(error) not in _REFUSALS or not _fits(fn, values, rest, kwargs):
            shorten(error)
            raise
        refusal = as_invalid_argument(error, name)
        shorten(refusal)
        raise refusal from None
    if tapes and constant and not stops:
        pass_on([t for i, t in enumerate(tensors) if i in constant], out)
    return out if inspected is None else inspected(name, out)


# Makes results in a trace remember the sizes that they hold: see `sizes.py`.
follows_sizes: Callable | None = None

# If set, this is called with the name and the results of each operation, and returns the results.
inspected: Callable[[str, Any], Any] | None = None

# The classes themselves, and none of their subclasses.
_REFUSALS = frozenset({TypeError, ValueError, IndexError, InvalidArgument, InvalidIndex})


def _fits(fn: Callable, values: Sequence[Any], rest: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether the arguments match the function's signature, so that an error is about their
    values."""
    try:
        inspect.signature(fn).bind(*values, *rest, **kwargs)
    except TypeError:
        return False
    except ValueError:  # the function has no signature
        return True
    return True


def pass_on(inputs: Sequence[Any], output: Any) -> None:
    """Makes tapes that follow one of the inputs follow the output as well, without a gradient.

    So a result of `tf.floor` can be a source, as in TensorFlow.
    """
    inputs = [x for x in inputs if isinstance(x, (Tensor, nnx.Variable)) and _is_inexact(raw(x))]
    if inputs and isinstance(output, Tensor) and _is_inexact(output._value):
        for tape in context.state.tapes:
            tape._pass_on(inputs, output)


def raw(x: Any) -> Any:
    """The array in a tensor or a variable, without autocasting."""
    return x._value if isinstance(x, Tensor) else x._raw_value


def array_in(x: Any) -> Any:
    """The array in a tensor or a variable, autocast in a context with that; other values
    unchanged."""
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
    """The structure with arrays in lists, tuples and dicts converted to tensors."""
    if isinstance(out, (jax.Array, np.ndarray)):
        return Tensor(out)
    if isinstance(out, bytes):  # an element of an array of text
        return Tensor(np.asarray(out, object))
    if isinstance(out, (list, tuple, dict)):
        return map_items(wrap, out)
    return Tensor(np.asarray(out)) if isinstance(out, np.generic) else out


def _value_dtype(x: Any) -> Any:
    return x._value.dtype if isinstance(x, Tensor) else x.get_value().dtype
