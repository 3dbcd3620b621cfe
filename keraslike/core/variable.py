"""Variables: named, mutable arrays that layers, metrics and optimizers keep their state in."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import (
    assignment,
    context,
    dtypes,
    flax_internals,
    host,
    operators,
    precision,
    serialization,
)
from keraslike.core.annotations import checked
from keraslike.core.arguments import one_of
from keraslike.core.boxed import Refusal, boxed_if_asked, boxes_result, is_recorded, refuse_recorded
from keraslike.core.context import OUTSIDE, state
from keraslike.core.guards import guard_of, updating
from keraslike.core.pending import Pending, array_of, drawing, initial_value, pending_value
from keraslike.core.pickling import picklable
from keraslike.core.static import AutoName, Shape
from keraslike.core.tracebacks import is_ours
from keraslike.core.variable_info import (
    AGGREGATIONS,
    SYNCHRONIZATIONS,
    Info,
    few_numbers,
    function_or_none,
    is_compilable,
    made_with_layout,
)

_alive: weakref.WeakValueDictionary[int, Variable] = weakref.WeakValueDictionary()


def every_variable() -> list[Variable]:
    """Every Variable that is alive and holds an array, or a tracer in place of it."""
    found = [v for v in (of() for of in _alive.valuerefs()) if v is not None]
    return [v for v in found if isinstance(getattr(v, "_spec", None), (jax.Array, Pending))]


def _is_array(content: Any) -> bool:
    known = isinstance(content, (jax.Array, np.ndarray, Pending))
    return known and not isinstance(content, jax.core.Tracer)


_read_slot, _write_slot = flax_internals.read_value, flax_internals.write_value


def spec_of(variable: Any) -> Any:
    """An object with the shape and dtype of a Variable's value; a pending value is not computed for
    it."""
    return variable._spec if isinstance(variable, Variable) else variable._raw_value


class _Leaf(nnx.Variable):
    """Base that registers each subclass as a pytree node. Flattening a Variable that a tape records
    raises, since its gradient would be lost."""

    def __init_subclass__(cls) -> None:
        if "__slots__" not in vars(cls):
            cls.__slots__ = ()

        def unflatten(metadata: Any, values: Any) -> Any:
            return cls._new(values[0], dict(metadata))

        jax.tree_util.register_pytree_with_keys(
            cls,
            lambda v: (((jax.tree_util.GetAttrKey("value"), v._leaf()),), v._metadata()),
            unflatten,
            lambda v: ((v._leaf(),), v._metadata()),
        )

    def _leaf(self) -> Any:
        refuse_recorded(self)
        return self.get_raw_value()

    def _metadata(self) -> tuple:
        return tuple(sorted(flax_internals.metadata_of(self).items()))


class Variable(_Leaf):
    """A mutable array with a name; a trainable weight is also an `nnx.Param`.

    Args:
        initializer: the value (an array or a number), or a function `(shape, dtype=...)` or the
            name of an initializer, which needs `shape`.
        shape: sizes, for an initializer.
        dtype: the dtype; by default that of the given array, or `floatx()`.
        trainable: whether an optimizer may change it.
        autocast: whether reads inside a mixed-precision layer are cast to its compute dtype.
        aggregation, synchronization: accepted as in Keras; there are no replicas here.
        name: a name; generated if it is omitted.
        layout: a `keraslike.distribution.TensorLayout` or a JAX sharding, which shards the value
            over devices.
        regularizer: a function from the value to a scalar that is added to the loss.
        constraint: a function applied to the value after every update.

    Raises ValueError for a shape that does not fit and TypeError for a cast that loses values.

    >>> v = Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0]).tolist()
    [2.0, 3.0]
    >>> (v * 2).tolist(), v.trainable, v.shape
    ([4.0, 6.0], True, (2,))
    """

    # `_escaped` is the id of the array that was last handed out. Its memory must not be donated,
    # since the receiver may have made another array that shares it. `_guard` holds the locks that
    # threads take to use the Variable, once a program was made for it.
    __slots__ = ("_escaped", "_guard", "__weakref__")

    def __new__(cls, *args: Any, trainable: bool = True, **kwargs: Any):
        return object.__new__(Param if cls is Variable and trainable else cls)

    @classmethod
    def _new(cls, value: Any, metadata: dict[str, Any]) -> Variable:
        new: Any = super()._new(value, metadata)
        _alive[id(new)] = new
        return new

    @functools.partial(checked, is_constructor=True)
    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
        *,
        regularizer: Callable | None = None,
        constraint: Callable | None = None,
    ):
        # Both describe replicas as TensorFlow has them; arrays are global here.
        aggregation = one_of(AGGREGATIONS, aggregation=aggregation or "none")
        synchronization = one_of(SYNCHRONIZATIONS, synchronization=synchronization or "none")
        if isinstance(initializer, str):
            initializer = serialization.get("initializers", initializer)
        name = AutoName("variable") if name is None else name
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name!r}"
            )
        # A Variable may be made while a function is traced, but its initial value is no part of the
        # trace.
        make = functools.partial(initial_value, initializer, shape, dtype)
        placed = layout is not None or state.distribution is not None
        pending = None if placed else pending_value(initializer, shape, dtype)
        with contextlib.nullcontext() if pending else jax.ensure_compile_time_eval():
            if pending is not None:
                value: Any = pending
            elif layout is not None:
                value = made_with_layout(
                    getattr(layout, "backend_layout", layout), initializer, make
                )
            elif state.distribution is not None and shape is not None and callable(initializer):
                canonical = jax.dtypes.canonicalize_dtype(dtypes.standardize_dtype(dtype))
                # The array is made once the layout is known.
                value = jax.ShapeDtypeStruct(tuple(shape), canonical)
            else:
                value = make()
            asked = value.dtype if dtype is None else np.dtype(dtypes.standardize_dtype(dtype))
            info = Info(
                name=name,
                path="/".join((*context.state.names, name)),
                trainable=bool(trainable),
                autocast=bool(autocast) and dtypes.is_float(value.dtype),
                regularizer=regularizer,
                constraint=constraint,
                aggregation=aggregation,
                synchronization=synchronization,
                layout=layout,
                boxes=state.boxes,
                dtype=None if asked == value.dtype else asked,
            )
            if is_ours(type(self)):
                flax_internals.fill(self, value, info=info)
            else:
                super().__init__(value, info=info)
            if state.distribution is not None and layout is None:
                is_made = isinstance(value, jax.Array)
                first = (lambda: value) if is_made else make
                compiled = not is_made and is_compilable(initializer)
                _write_slot(self, state.distribution.made(self, first, compiled))
        object.__setattr__(self, "_trace_state", OUTSIDE)
        _alive[id(self)] = self
        if state.outsiders is not None:
            state.outsiders[id(self)] = None

    # -- properties ---------------------------------------------------------------------------

    name: str = property(lambda self: str(self._info.name))  # type: ignore[assignment]
    path: str = property(lambda self: self._info.path)  # type: ignore[assignment]

    @property
    def _info(self) -> Info:
        return flax_internals.metadata_of(self)["info"]

    @property
    def _gives_boxes(self) -> bool:
        return self._info.boxes

    def _change(self, **changes: Any) -> None:
        flax_internals.metadata_of(self)["info"] = dataclasses.replace(self._info, **changes)

    @property
    def trainable(self) -> bool:
        return self._info.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._change(trainable=bool(value))

    aggregation: str = property(lambda self: self._info.aggregation)  # type: ignore[assignment]
    synchronization: str = property(  # type: ignore[assignment]
        lambda self: self._info.synchronization
    )

    @property
    def _layout(self) -> Any:
        """The layout that the Variable was made with."""
        return self._info.layout

    @_layout.setter
    def _layout(self, value: Any) -> None:
        self._change(layout=value)

    @property
    def regularizer(self) -> Any:
        return self._info.regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        self._change(regularizer=function_or_none("regularizer", value))

    @property
    def constraint(self) -> Any:
        return self._info.constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        self._change(constraint=function_or_none("constraint", value))

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer takes the gradient for the variable's new value."""
        return self._info.overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(
                "`overwrite_with_gradient` must be a boolean. "
                f"Received: overwrite_with_gradient={value!r}"
            )
        self._change(overwrite_with_gradient=value)

    @property
    def shape(self) -> tuple[int, ...]:
        return Shape(self._spec.shape)

    @property
    def ndim(self) -> int:
        return self._spec.ndim

    @property
    def size(self) -> int:
        return self._spec.size

    @property
    def dtype(self) -> Any:
        info = self._info
        cast = state.autocast if info.autocast else None
        return cast or info.dtype or self._spec.dtype

    def __setattr__(self, name: str, value: Any) -> None:
        # These attributes are no part of a trace and may be set within one (a frozen layer may be
        # built by its first call). nnx would refuse that.
        if name in ("trainable", "regularizer", "constraint", "overwrite_with_gradient", "_layout"):
            object.__setattr__(self, name, value)
        elif hasattr(type(self), name) or name in flax_internals.metadata_of(self):
            super().__setattr__(name, value)
        else:
            self._change(user_attributes={**self._info.user_attributes, name: value})

    def __delattr__(self, name: str) -> None:
        if name in self._info.user_attributes:
            kept = {k: v for k, v in self._info.user_attributes.items() if k != name}
            self._change(user_attributes=kept)
        else:
            super().__delattr__(name)

    # -- its value ----------------------------------------------------------------------------

    # While a function is lowered, a Variable holds a tracer. The tracer is kept in
    # `context.state.held` of the tracing thread, so that other threads still read the array.

    def _read(self) -> Any:
        held = state.held
        if held:
            found = held.get(id(self))
            if found is not None:
                return found.value
            # jax makes copies of Variables that inner functions get, which belong to the trace:
            # they hold tracers, or whatever jax gives to each leaf of a structure.
            if state.outsiders is not None and _is_array(_read_slot(self)):
                state.outsiders.setdefault(id(self), (self, False))
        guard = guard_of(self)
        if guard is None:
            value = _read_slot(self)
        else:
            with guard.values:
                guard.uses += 1
                value = _read_slot(self)
        return self._draw() if type(value) is Pending else value

    def _draw(self) -> jax.Array:
        with drawing:
            value: Any = _read_slot(self)
            if type(value) is Pending:
                _write_slot(self, value := value.drawn())
            return value

    def _write(self, value: Any) -> None:
        found, scope = state.held.get(id(self)), state.scope
        if found is not None:
            found.value = value if found.assigned is None else found.assigned(value)
            if scope is not None:
                scope.note(self, found)
            return
        if scope is not None and scope.take(self, value):
            return
        guard = guard_of(self)
        if guard is None:
            with drawing:
                _write_slot(self, value)
            return
        with guard.values, drawing:
            guard.uses += 1
            _write_slot(self, value)

    _raw_value = property(_read, _write)  # type: ignore[assignment]

    @property
    def _spec(self) -> Any:
        """The value, or an object with its shape and dtype while the value is pending."""
        found = state.held.get(id(self))
        return _read_slot(self) if found is None else found.value

    def _read_trace(self) -> Any:
        found = state.held.get(id(self))
        if found is None:
            return flax_internals.read_trace(self) if state.scope is None else state.scope.trace
        return found.trace

    _trace_state = property(_read_trace, flax_internals.write_trace)  # type: ignore[assignment]

    def get_raw_value(self) -> Any:
        value = self._raw_value
        if id(self) not in state.held:
            object.__setattr__(self, "_escaped", id(value))
        return value

    # Keras's private name for the array, which other packages use. A `jax.Array` has another
    # `_value`.
    _value = property(get_raw_value)

    def __getattr__(self, name: str) -> Any:
        if name == "_var_metadata":
            raise AttributeError(
                f"A {type(self).__name__} is used before its constructor has called super()."
            )
        info = flax_internals.metadata_of(self).get("info")
        if info is not None and name in info.user_attributes:
            return info.user_attributes[name]
        found = super().__getattr__(name)
        self.get_raw_value()  # `found` may be a bound method of the array.
        return found

    def get_value(self, *, index: Any = ...) -> jax.Array:
        value = self.get_raw_value()
        cast = context.state.autocast
        if cast is not None and self._info.autocast:
            value = value.astype(cast)
        return value if index is ... else value[index]

    def set_value(self, value: Any, *, index: Any = ...) -> None:
        self.assign(value if index is ... else self._raw_value.at[index].set(value))

    @property
    def value(self) -> jax.Array:
        return boxed_if_asked(self, self.get_value)

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(value)

    @boxes_result
    def assign(self, value: Any) -> jax.Array:
        """Replaces the value by one of the same shape; returns the new value."""
        self._assign(value)
        return self.get_raw_value()

    def _assign(self, value: Any) -> None:
        """Like `assign`, for callers that do not need the array back."""
        # In a trace, a read records that the Variable is used there.
        raw = self._spec if state.outsiders is None else self._raw_value
        if isinstance(value, nnx.Variable):
            value = value.get_value()
        if not isinstance(value, jax.Array) or value.dtype != raw.dtype:
            value = assignment.cast(value, self)
        if value.shape != raw.shape:
            raise ValueError(
                f"Variable '{self.path}' has shape {tuple(raw.shape)}; "
                f"a value of shape {tuple(value.shape)} cannot be assigned to it."
            )
        if state.distribution is not None:
            value = state.distribution.assigned(self._raw_value, value)
        if (noted := state.outsiders) and noted.get(id(self)) is not None and state.scope is None:
            noted[id(self)] = (self, True)
        flax_internals.check_can_update(self, value)
        object.__setattr__(self, "_raw_value", value)

    def assign_add(self, value: Any) -> jax.Array:
        """Adds to the value; returns the new value."""
        return self._updated(operator.add, value)

    def assign_sub(self, value: Any) -> jax.Array:
        """Subtracts from the value; returns the new value."""
        return self._updated(operator.sub, value)

    def _updated(self, update: Callable, value: Any) -> jax.Array:
        known = isinstance(value, (int, float, complex, jax.Array, nnx.Variable))
        with updating, precision.of_dtype(self._spec.dtype):
            operand = array_of(value if known else assignment.converted(value, self))
            return self.assign(update(self._raw_value, operand))

    def numpy(self) -> np.ndarray:
        """The value as a numpy array on the host, which shares no memory with the Variable."""
        value = np.array(host.whole(self.get_value()))
        return value[()] if self._gives_boxes else value  # TensorFlow gives a number for a scalar.

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(host.whole(self.get_value()), dtype=dtype, copy=copy)

    def __jax_array__(self) -> Any:
        return Refusal() if is_recorded(self) else self.get_value()

    # Makes numpy arrays return NotImplemented for `array * variable`, so that our operator is used.
    __array_priority__ = 1000

    def __iter__(self):
        return iter(self.value)

    def __bool__(self) -> bool:
        raise TypeError("A Keras Variable cannot be used as a boolean: look at its value.")

    def __int__(self) -> int:
        return int(self._one_number())

    def __float__(self) -> float:
        return float(self._one_number())

    def __index__(self) -> int:
        return operator.index(self._one_number())

    def _one_number(self) -> Any:
        if self.ndim:
            raise TypeError(
                "Only scalar arrays can be converted to Python scalars. Variable "
                f"'{self.path}' has shape {self.shape}."
            )
        return self.get_value()

    def __pos__(self) -> jax.Array:
        return self.get_value()

    def __round__(self, ndigits: int | None = None) -> Any:
        return jnp.round(self.get_value(), ndigits or 0)

    def __repr__(self) -> str:
        return (
            f"<Variable path={self.path}, shape={self.shape}, "
            f"dtype={self._spec.dtype}, value={few_numbers(self._raw_value)}>"
        )

    __str__ = __repr__

    # `nnx.Variable` pickles its slots through these methods. The state of a trace cannot be pickled
    # and is left out.
    def __getstate__(self) -> dict[str, Any]:
        info = self._info
        info = dataclasses.replace(
            info, regularizer=picklable(info.regularizer), constraint=picklable(info.constraint)
        )
        return {
            "value": self._raw_value,
            "metadata": {**flax_internals.metadata_of(self), "info": info},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_raw_value", state["value"])
        flax_internals.write_metadata(self, state["metadata"])
        object.__setattr__(self, "_trace_state", OUTSIDE)
        _alive[id(self)] = self

    def __reduce__(self):
        return _blank, (type(self),), self.__getstate__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        new = _blank(type(self))
        memo[id(self)] = new
        metadata = dict(flax_internals.metadata_of(self))
        new.__setstate__({"value": self._spec, "metadata": metadata})
        return new


operators.give_to_variables(Variable)


class Param(Variable, nnx.Param):
    """A weight that trains."""


class Buffer(Variable):
    """State of a layer that no optimizer touches, such as a moving average."""


class MetricState(Variable):
    """The accumulated state of a metric."""


class OptimizerState(Variable):
    """A learning rate, a step count or a moment of an optimizer."""

    __slots__ = ("_of",)

    def __init__(self, *args: Any, reference: nnx.Variable | None = None, **kwargs: Any):
        object.__setattr__(self, "_of", reference)  # A distribution asks for it.
        super().__init__(*args, **kwargs)

    @property
    def reference(self) -> nnx.Variable | None:
        """The Variable that this is a moment of; `None` where it belongs to none, or is a copy."""
        try:
            return object.__getattribute__(self, "_of")
        except AttributeError:
            return None


class RandomState(Variable):
    """The seed and the counter of a random stream."""


def _blank(cls: type) -> Any:
    return object.__new__(cls)
