"""`Metric`, the base class of metrics, whose state is in Variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from keraslike import initializers
from keraslike.core import base, context, dtypes, host, lowering, naming, policies, precision
from keraslike.core.arguments import name_first
from keraslike.core.boxed import boxes_result, unboxed
from keraslike.core.repeated import compiled_if_repeated
from keraslike.core.tensor_methods import of_user
from keraslike.core.tracebacks import entry
from keraslike.core.variable import MetricState, Variable


class Metric(base.Object):
    """A value that is accumulated over batches.

    A subclass creates its state with `add_weight` in its constructor, and implements
    `update_state(y_true, y_pred, sample_weight=None)` and `result()`, a number or a dict of them.

    Args:
        dtype: the dtype or policy of the computation, by default `floatx()`.
        name: a name; by default one is generated.

    >>> class Largest(Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_weight(name="largest", initializer="zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(jnp.maximum(self.largest, jnp.max(jnp.abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = Largest()
    >>> metric.update_state(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
    >>> float(metric.result())
    3.0
    """

    _object_kind = "metric"

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self._policy = None if dtype is None else policies.get(dtype)

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        policy = vars(self).get("_policy")
        return policy.compute_dtype if policy else dtypes.floatx()

    def _is_in_float64(self) -> bool:
        return self.dtype == "float64"

    _dtype = dtype  # the name that custom metrics written for Keras use

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in vars(cls):
            compiled = compiled_if_repeated(of_user(cls.update_state))
            cls.update_state = unboxed(precision.kept(compiled))
        if "result" in vars(cls):
            cls.result = boxes_result(precision.kept(compiled_if_repeated(cls.result)))

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nnx.Variable) and "_added_weights" in vars(self):
            # The list is only for state that is not an attribute.
            self._added_weights[:] = [v for v in self._added_weights if v is not value]
        object.__setattr__(self, name, value)
        if base.awaited:
            base.notify(self)

    # -- state --------------------------------------------------------------------------------

    @precision.kept
    @name_first
    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Creates a Variable for state.

        Args:
            shape: the shape of the Variable.
            initializer: a name or a function `(shape, dtype=...)`, by default zeros.
            dtype: the dtype, by default `floatx()`.
            aggregation: accepted as in Keras, and ignored.
            name: the name of the Variable.
        """
        del aggregation
        if "name" not in vars(self):
            raise RuntimeError(
                f"{type(self).__name__} adds a weight before super().__init__() was called."
            )
        initializer = "zeros" if initializer is None else initializer
        names = (str(self.name).replace("/", ">"),)
        with context.using(names=names, boxes=self._gives_boxes or context.state.boxes):
            variable = MetricState(
                initializers.get(initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                autocast=False,
                name=name,
            )
        vars(self).setdefault("_added_weights", []).append(variable)
        return variable

    @name_first
    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Like `add_variable`, by default with a scalar. The name may be the first argument, as in
        TensorFlow."""
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    @property
    def variables(self) -> list[nnx.Variable]:
        """The state, including that of metrics in attributes."""
        known = self._cached_facts()
        if "variables" not in known:
            known["variables"] = base.variables_of(self)
        return list(known["variables"])

    def reset_state(self) -> None:
        """Sets all state to zeros."""
        for v in self.variables:
            v._assign(host.full(v.shape, 0, v.dtype))

    # -- the value ----------------------------------------------------------------------------

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch to the state. Every subclass implements it."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state() method.")

    def result(self) -> Any:
        """The value, or a dict of values, of all batches so far. Every subclass implements it."""
        raise NotImplementedError(f"{type(self).__name__} has no result() method.")

    @entry
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch to the state, and returns the value of all batches so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    # -- pure functions -----------------------------------------------------------------------

    def _run(self, method: Any, values: Sequence[Any]) -> tuple[Any, list[Any]]:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"metric_variables must hold a value for each of the {len(variables)} variables of "
                f"metric '{self.name}'. Received: {len(values)}."
            )
        values = [jnp.asarray(v) for v in values]
        result, new = lowering.lower(method, variables, roots=[self])(values)
        return result, list(new)

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[jax.Array]:
        """The new values of the state, from given values and a batch, without changing the state.

        >>> from keraslike.metrics import Mean
        >>> mean = Mean()
        >>> [float(v) for v in mean.stateless_update_state([1.0, 1.0], 3.0)]
        [4.0, 2.0]
        """
        return self._run(lambda: self.update_state(*args, **kwargs), metric_variables)[1]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The result for given values of the state."""
        return self._run(self.result, metric_variables)[0]

    def stateless_reset_state(self) -> list[jax.Array]:
        """The values of the state after `reset_state`."""
        return self._run(self.reset_state, lowering.values_of(self.variables))[1]
