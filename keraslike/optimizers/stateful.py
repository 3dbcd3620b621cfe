"""`Stateful`: how an optimizer's state Variables are created, named, read and set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flax import nnx

from keraslike.core import context, precision
from keraslike.core.base import Object
from keraslike.core.variable import OptimizerState, Variable
from keraslike.optimizers.state import dtype_of, is_overwritten, state_name


class Stateful(Object):
    """The part of `Optimizer` that is independent of gradients: its name and its Variables."""

    _name: Any
    _slots: list[Variable]  # Variables of the update rule.
    _trainable_variables: tuple[nnx.Variable, ...] = ()
    built: bool

    @property
    def name(self) -> str:
        return str(self._name)

    @property
    def variables(self) -> list[nnx.Variable]:
        raise NotImplementedError

    def _state(
        self,
        value: Any,
        name: str | None,
        dtype: Any = None,
        of: Any = None,
        shape: Any = None,
        layout: Any = None,
    ) -> Variable:
        boxes = self._gives_boxes or context.state.boxes
        with context.using(names=(self.name,), boxes=boxes), precision.of_dtype(dtype):
            return OptimizerState(
                value, shape, dtype, trainable=False, name=name, layout=layout, reference=of
            )

    def _is_in_float64(self) -> bool:
        return any(dtype_of(v) == "float64" for v in self._trainable_variables)

    def _zeros_like(self, variables: Sequence[Any], name: str) -> list[Variable]:
        return [
            self._state("zeros", state_name(v, i, name), dtype_of(v), of=v, shape=v.shape)
            for i, v in enumerate(variables)
        ]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Creates a state Variable; for use in a subclass's `build`."""
        del aggregation
        self._slots.append(self._state(initializer, name, dtype, shape=shape, layout=layout))
        return self._slots[-1]

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Creates a state Variable with the shape and dtype of another one."""
        shape, dtype = reference_variable.shape, dtype_of(reference_variable)
        full = state_name(reference_variable, len(self._slots), name or "var")
        self._slots.append(self._state(initializer, full, dtype, reference_variable, shape))
        return self._slots[-1]

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Any], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Creates a state Variable for each variable, or `None` for one that is overwritten with
        its gradient; for several names, a list of them for each."""
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        initializers = list(initializer) if several else [initializer] * len(names)
        if len(names) != len(initializers):
            raise ValueError(
                f"{len(names)} names {names} need as many initializers. "
                f"Received: initializer={initializer!r}"
            )

        def make(v: Any, n: str, i: Any) -> Variable | None:
            return None if is_overwritten(v) else self.add_variable_from_reference(v, n, i)

        rows = [[make(v, n, i) for n, i in zip(names, initializers)] for v in trainable_variables]
        columns = tuple([row[i] for row in rows] for i in range(len(names)))
        return columns[0] if isinstance(name, str) else columns

    def assign(self, variable: Any, value: Any) -> None:
        variable.assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        variable.assign_add(value)

    def assign_sub(self, variable: Any, value: Any) -> None:
        variable.assign_sub(value)

    def _get_variable_index(self, variable: Any) -> int:
        return [id(v) for v in self._trainable_variables].index(id(variable))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all state from arrays in the order of `variables`."""
        if not self.built:
            raise ValueError(
                f"You are calling set_weights() of '{self.name}', which is not built: call "
                "build(trainable_variables) first."
            )
        if len(weights) != len(self.variables):
            raise ValueError(
                f"weights must hold {len(self.variables)} arrays. Received: {len(weights)}"
            )
        for variable, weight in zip(self.variables, weights):
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Stores the optimizer's variables in a dict by number."""
        store.update({str(i): v for i, v in enumerate(self.variables)})

    def load_own_variables(self, store: Any) -> None:
        """Sets the variables from arrays with the names of `save_own_variables`."""
        if len(store) != len(self.variables):
            raise ValueError(
                f"The optimizer '{self.name}' has {len(self.variables)} variables; {len(store)} "
                "were given for it."
            )
        self.set_weights([store[str(i)] for i in range(len(store))])
