"""`tf.Variable`: a `keraslike.Variable` with TensorFlow's interface."""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, flax_internals
from keraslike.core import variable as core
from keraslike.core.boxed import Boxed, BoxedResults, Dispatching
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.guards import updating
from keraslike.core.variable import Param
from keraslike.tf import calls, dtypes, effects, indexing, ops
from keraslike.tf.conversion import _as_operand, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operators import give_operators
from keraslike.tf.promotion import promotes
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import (
    Tensor,
    TensorRef,
    array_in,
    name_of_device,
    precision,
    raw,
    read,
    shown_value,
)
from keraslike.tf.text_variable import TextVariable, is_text


class VariableAggregation(enum.Enum):
    """How the values that replicas of a strategy assign to a variable are combined.

    >>> tf.Variable(1.0, aggregation=tf.VariableAggregation.SUM).numpy().tolist()
    1.0
    """

    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = range(4)


class VariableSynchronization(enum.Enum):
    """When the values of replicas are combined: here always immediately.

    >>> tf.Variable(1.0, synchronization=tf.VariableSynchronization.AUTO).numpy().tolist()
    1.0
    """

    AUTO, NONE, ON_WRITE, ON_READ = range(4)


def _is_trained(trainable: bool | None, synchronization: Any) -> bool:
    """Whether a variable is trained: by default, unless it is combined when it is read."""
    if trainable is None:
        return synchronization is not VariableSynchronization.ON_READ
    return trainable is not False


class _Ref:
    """`variable.ref`: a method in TensorFlow, and a bool in flax, for which it is false."""

    def __init__(self, variable: Any):
        self._variable = variable

    def __call__(self) -> TensorRef:
        return TensorRef(self._variable)

    def __bool__(self) -> bool:
        return False


def _first(initial: Any) -> Any:
    """The initial value, which a function may compute. Variables are callable in flax."""
    return initial() if callable(initial) and not isinstance(initial, nnx.Variable) else initial


class _Kind(type(core.Variable)):  # type: ignore[misc]
    """The type of `Variable`, which makes a TextVariable of texts."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not Variable or not context.state.creators:
            return cls._make(*args, **kwargs)
        given = inspect.signature(Variable.__init__).bind(None, *args, **kwargs)
        given.apply_defaults()
        make: Any = cls._make
        for creator in context.state.creators:
            make = functools.partial(creator, make)
        del given.arguments["self"]
        return make(**given.arguments)

    def _make(cls, *args: Any, **kwargs: Any) -> Any:
        initial = args[0] if args else kwargs.get("initial_value")
        if cls is not Variable or not (is_text(initial) or kwargs.get("dtype") == dtypes.string):
            return super().__call__(*args, **kwargs)
        initial = _first(initial)
        trainable = args[1] if len(args) > 1 else kwargs.get("trainable")
        return TextVariable(initial, trainable, kwargs.get("name"), kwargs.get("shape"))

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or (
            cls is Variable and isinstance(instance, TextVariable)
        )


def variable_creator_scope(
    variable_creator: Callable[..., Any],
) -> contextlib.AbstractContextManager[None]:
    """While the block runs, `tf.Variable(...)` in this thread returns what
    `variable_creator(next_creator, **kwargs)` does.

    `kwargs` are all arguments of `tf.Variable`; `next_creator(**kwargs)` is the function of the
    enclosing block, or makes the variable. Weights of layers are no such variables.

    >>> def constant(next_creator, **kwargs):
    ...     return next_creator(**{**kwargs, "trainable": False})
    >>> with tf.variable_creator_scope(constant):
    ...     v = tf.Variable(1.0)
    >>> v.trainable
    False
    """
    return context.using(creators=(*context.state.creators, variable_creator))


class NeedsFirstCall(NeedsPython):
    """A function makes a variable of a value that it computes, so its first call runs in Python."""


class Variable(core.Variable, Dispatching, metaclass=_Kind):
    """A mutable tensor. It is interchangeable with the weights of layers.

    Args:
        initial_value: a tensor, an array, a number, a nested list, or a function that returns one.
        trainable: whether tapes follow it and optimizers change it.
        name: a name.
        dtype: the dtype of the value, by default that of `tf.constant`.
        shape: the shape that the value must have. Sizes that it leaves open may change when a value
            is assigned.

    >>> v = Variable([[1.0, 2.0], [3.0, 4.0]])
    >>> v[0, 1].assign(42.0)
    <tf.Variable 'UnreadVariable' shape=(2, 2) dtype=float32, numpy=
    array([[ 1., 42.],
           [ 3.,  4.]], dtype=float32)>
    """

    if TYPE_CHECKING:  # added at the end of this module, for `v[key].assign(value)`

        def __getitem__(self, key: Any) -> Any: ...

    made_in_traces = 0  # the number of variables created while functions were traced
    # A layer that is called on a variable returns a tensor.
    _dispatch = staticmethod(calls.dispatch)

    def __new__(cls, *args: Any, trainable: bool | None = None, **kwargs: Any):
        train = _is_trained(trainable, kwargs.get("synchronization")) and cls is Variable
        return object.__new__(TrainableVariable if train else cls)

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ):
        if initial_value is None:
            raise ValueError("tf.Variable: initial_value must be given.")
        if not trace_state_clean():
            Variable.made_in_traces += 1
        value = _first(initial_value)
        if isinstance(value, nnx.Variable):
            value = Tensor(value._raw_value)
        if is_traced(value):
            raise NeedsFirstCall(
                "The initial value of a variable that is made while a function is traced cannot "
                "be computed from the function's arguments."
            )
        with jax.ensure_compile_time_eval():
            tensor = convert_to_tensor(value, dtype)
            if tensor.dtype is dtypes.string:
                raise TypeError("Name dtype=tf.string for a variable of text.")
            if shape is not None and not TensorShape(shape).is_compatible_with(tensor.shape):
                raise ValueError(
                    f"initial_value must have the shape {shape}. Received: {tensor.shape}"
                )
            *around, own = ("Variable" if name is None else name).split("/")
            names = (*context.state.names, *around)
            with precision((tensor._value,)), context.using(names=names):
                super().__init__(
                    jnp.asarray(tensor._value),
                    trainable=_is_trained(trainable, synchronization),
                    autocast=False,
                    name=own,
                    aggregation=getattr(aggregation, "name", aggregation or "none").lower(),
                    constraint=constraint,
                )
            if shape is not None and not TensorShape(shape).is_fully_defined():
                self._open_shape = TensorShape(shape)

    # -- attributes ---------------------------------------------------------------------------

    name = property(lambda self: f"{self._info.path}:0")  # type: ignore[assignment]

    @property
    def shape(self) -> TensorShape:  # type: ignore[override]
        declared = self._info.user_attributes.get("_open_shape")
        return TensorShape(self._raw_value.shape) if declared is None else declared

    def get_shape(self) -> TensorShape:
        return self.shape

    @property
    def dtype(self) -> dtypes.DType:
        return dtypes.as_dtype(self._raw_value.dtype)

    @property
    def initializer(self) -> None:
        """No operation, since the variable has a value from its creation."""

    @property
    def device(self) -> str:  # type: ignore[override]
        """TensorFlow's name of the device of the value."""
        return name_of_device(self._raw_value)

    def value(self) -> Tensor:  # type: ignore[override]
        """The value, which a tape follows if it follows the variable."""
        return read(self)

    read_value = value

    def numpy(self) -> Any:
        return Tensor(self._raw_value).numpy()

    @property
    def ref(self) -> _Ref:  # type: ignore[override]
        """`ref()` gives a key for dicts and sets, by identity."""
        return _Ref(self)

    def __repr__(self) -> str:
        return _shown(self.name, self._raw_value, self.shape)

    __str__ = __repr__

    def __len__(self) -> int:
        return len(self.value())

    def __bool__(self) -> bool:
        return bool(self.value())

    def __iter__(self) -> Any:
        return iter(self.value())

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if spec else str(self)

    # -- assignments --------------------------------------------------------------------------

    @promotes
    def assign(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ):
        """Replaces the value by one of the same shape and dtype. Returns None, like the other
        methods that assign, if `read_value` is False."""
        put = self._put(_as_operand(value, self.dtype))
        return put if read_value else None

    def _alike(self, delta: Any) -> Any:
        delta = _as_operand(delta, self.dtype)
        if tuple(raw(delta).shape) != tuple(self._raw_value.shape):
            raise InvalidArgumentError(
                f"Cannot update variable '{self.name}' of shape {self.shape} by a tensor of shape "
                f"{delta.shape}: the shapes must be equal."
            )
        return delta

    def _put(self, tensor: Any) -> _Unread:
        value = tensor._value if isinstance(tensor, Tensor) else tensor._raw_value
        raw = self._raw_value
        resized = value.shape != raw.shape
        if resized and not self.shape.is_compatible_with(value.shape):
            raise ValueError(
                f"Cannot assign to variable '{self.name}' of shape {self.shape} a value of shape "
                f"{TensorShape(value.shape)}."
            )
        if resized and self.shape.is_fully_defined():
            # The error says which sizes the unknown ones of the trace must be.
            jnp.broadcast_shapes(value.shape, raw.shape)
        if value.dtype != raw.dtype:
            raise ValueError(
                f"Cannot assign to variable '{self.name}' of dtype {self.dtype.name} a value of "
                f"dtype {dtypes.as_dtype(value.dtype).name}: use tf.cast()."
            )
        with precision((value,)):
            if resized:
                flax_internals.check_can_update(self, value)
                object.__setattr__(self, "_raw_value", jnp.asarray(value))
            else:
                super().assign(jnp.asarray(value))
        return _Unread(self)

    @promotes
    def assign_add(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ):
        """Adds to the value. The shapes must be equal."""
        with updating:
            put = self._put(_now(self) + self._alike(delta))
        return put if read_value else None

    @promotes
    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ):
        """Subtracts from the value. The shapes must be equal."""
        with updating:
            put = self._put(_now(self) - self._alike(delta))
        return put if read_value else None

    def scatter_nd_update(self, indices: Any, updates: Any, name: Any = None) -> _Unread:
        """Sets the elements at `indices[i]` to `updates[i]`."""
        return self._put(indexing.tensor_scatter_nd_update(_now(self), indices, updates))

    def scatter_nd_add(self, indices: Any, updates: Any, name: Any = None) -> _Unread:
        """Adds `updates[i]` to the elements at `indices[i]`."""
        return self._put(indexing.tensor_scatter_nd_add(_now(self), indices, updates))

    def scatter_nd_sub(self, indices: Any, updates: Any, name: Any = None) -> _Unread:
        """Subtracts `updates[i]` from the elements at `indices[i]`."""
        return self._put(indexing.tensor_scatter_nd_sub(_now(self), indices, updates))

    def scatter_nd_max(self, indices: Any, updates: Any, name: Any = None) -> _Unread:
        """Sets the elements at `indices[i]` to their maximum with `updates[i]`."""
        return self._put(indexing.tensor_scatter_nd_max(_now(self), indices, updates))

    def scatter_nd_min(self, indices: Any, updates: Any, name: Any = None) -> _Unread:
        """Sets the elements at `indices[i]` to their minimum with `updates[i]`."""
        return self._put(indexing.tensor_scatter_nd_min(_now(self), indices, updates))

    def sparse_read(self, indices: Any, name: Any = None) -> Tensor:
        """Gathers the rows at the indices."""
        return indexing.gather(self, indices)

    def gather_nd(self, indices: Any, name: Any = None) -> Tensor:
        """The elements, or slices, at the multi-dimensional indices in `indices`."""
        return indexing.gather_nd(self, indices)

    def set_shape(self, shape: Any) -> None:
        """Raises ValueError for another shape."""
        self.shape.assert_is_compatible_with(shape)

    def is_initialized(self, name: Any = None) -> Tensor:
        """True, since variables are always initialized."""
        return convert_to_tensor(True)

    def scatter_update(
        self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None
    ):
        """Replaces rows."""
        return self.scatter_nd_update(*_rows(self, sparse_delta))

    def scatter_add(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Adds to rows."""
        return self.scatter_nd_add(*_rows(self, sparse_delta))

    def scatter_sub(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Subtracts from rows."""
        return self.scatter_nd_sub(*_rows(self, sparse_delta))

    def scatter_max(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Replaces rows by their elementwise maximum with given ones."""
        return self.scatter_nd_max(*_rows(self, sparse_delta))

    def scatter_min(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Replaces rows by their elementwise minimum with given ones."""
        return self.scatter_nd_min(*_rows(self, sparse_delta))

    def scatter_mul(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Multiplies rows by the updates."""
        return self._scatter_rows(sparse_delta, "multiply")

    def scatter_div(self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None):
        """Divides rows by the updates, integers with the quotients rounded towards zero.

        Raises InvalidArgumentError for integers divided by zero.
        """
        return self._scatter_rows(sparse_delta, "divide")

    def _scatter_rows(self, delta: Any, how: str) -> _Unread:
        places, rows = _rows(self, delta)
        indexing.check_places("indices", delta.indices, self._raw_value.shape[0])
        with precision((self._raw_value,)):
            # No gradient passes through assignments, and JAX has none of repeated products.
            value, rows = jax.lax.stop_gradient((self._raw_value, array_in(rows)))
            at = array_in(places)[..., 0]
            if how == "divide" and self.dtype.is_integer:
                effects.checked(_refuse_zeros, rows)
                divisors = jnp.ones_like(value).at[at].multiply(rows)
                return self._put(Tensor(jax.lax.div(value, divisors)))
            return self._put(Tensor(getattr(value.at[at], how)(rows)))

    def batch_scatter_update(
        self, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None
    ):
        """Replaces elements at indices along one axis, separately for each position of the
        preceding axes."""
        _rows(self, sparse_delta)
        places = np.asarray(sparse_delta.indices._value)
        leading = np.indices(places.shape)[:-1]
        places = np.stack([*leading, places], -1).astype(np.int32)
        return self.scatter_nd_update(places, sparse_delta.values)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "Variables do not support item assignment: use v[key].assign(value) or "
            "scatter_nd_update()."
        )


give_operators(Variable)


def _slice(variable: core.Variable, key: Any) -> Tensor:
    tensor = indexing.get_item(variable, key)
    # So that v[key].assign(value) changes the variable.
    tensor._place = functools.partial(_assign_slice, variable, key)
    return tensor


def _assign_slice(variable: Any, key: Any, how: str, value: Any) -> Any:
    """Sets the elements at a key, or adds to them or subtracts from them."""
    raw = variable._raw_value
    given = convert_to_tensor(value, dtypes.as_dtype(raw.dtype))  # which casts no tensors
    key = tuple(
        k if isinstance(k, slice) or k is Ellipsis else static(k)
        for k in (key if isinstance(key, tuple) else (key,))
    )
    with precision((raw,)):
        values = getattr(raw.at[key], how)(array_in(given))
    if isinstance(variable, Variable):
        return variable._put(Tensor(values))
    variable.assign(values)
    return _Unread(variable)


Variable.__getitem__ = BoxedResults.item = _slice  # type: ignore[method-assign,assignment]


def _no_change(self: Variable, value: Any) -> Any:
    raise RuntimeError(
        "`variable += value` and the like are not supported for a tf.Variable. Use "
        "`variable.assign_add(value)`, or `variable = variable + value` for a tensor."
    )


for _name in ("iadd", "isub", "imul", "itruediv", "ipow"):  # TensorFlow has the others.
    setattr(Variable, f"__{_name}__", _no_change)


class TrainableVariable(Variable, Param):
    """A trainable variable."""


class _Unread(Boxed):
    """The result of an assignment: the variable, and its value at that time for a repr."""

    def __init__(self, variable: core.Variable):
        self._variable, self._value = variable, variable._raw_value

    def __getattr__(self, name: str) -> Any:
        if name in ("_variable", "_value"):  # missing while the object is copied
            raise AttributeError(name)
        return getattr(self._variable, name)

    def _as_tensor(self) -> Tensor:
        return read(self._variable)

    def unbox(self) -> Any:
        return self._variable._raw_value

    _dispatch = staticmethod(calls.dispatch)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._value, dtype=dtype, copy=copy)

    def __jax_array__(self) -> Any:
        return self._variable.__jax_array__()

    def __repr__(self) -> str:
        shape = self._variable.shape if isinstance(self._variable, Variable) else self._value.shape
        return _shown("UnreadVariable", self._value, TensorShape(shape))


give_operators(_Unread)
for _name in ("bool", "float", "int", "iter", "len"):  # found on the class only

    def _of_variable(self: _Unread, *args: Any, _name: str = f"__{_name}__") -> Any:
        return getattr(self._variable, _name)(*args)

    setattr(_Unread, f"__{_name}__", _of_variable)


def _shown(name: str, value: Any, shape: TensorShape) -> str:
    dtype = dtypes.as_dtype(value.dtype).name
    return f"<tf.Variable '{name}' shape={shape} dtype={dtype}, {shown_value(value)}>"


def _now(variable: Variable) -> Tensor:
    return Tensor(variable._raw_value)


def _refuse_zeros(values: Any) -> None:
    if (np.asarray(values) == 0).any():
        raise InvalidArgumentError("scatter_div: updates must not contain 0.")


def _rows(variable: Any, delta: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(delta, IndexedSlices):
        raise TypeError(f"sparse_delta must be IndexedSlices. Received: {type(delta).__name__}")
    indices, values = ops.expand_dims(delta.indices, -1), delta.values
    if values.shape.rank == 0:
        values = ops.broadcast_to(values, (*delta.indices.shape, *variable.shape[1:]))
    return indices, values
