"""Optimizers that delegate gradients to others: LossScaleOptimizer, MultiOptimizer,
OptimizerMap."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from keraslike.core import lowering, registry, serialization
from keraslike.core.arguments import require
from keraslike.core.path_map import PathMap
from keraslike.optimizers.optimizer import Optimizer
from keraslike.optimizers.shared import Shared
from keraslike.optimizers.state import is_overwritten, label, write

__all__ = ["LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"]


class Wrapper(Optimizer):
    """Base of optimizers without a rule of their own, which contain optimizers with one."""

    def _constrain(self, variables: list[Any]) -> None:
        """The inner optimizers apply constraints."""

    def _constructor_args(self) -> dict[str, Any]:
        """The constructor's arguments; of the shared ones only those that it names."""
        names = inspect.signature(type(self).__init__).parameters
        return {k: v for k, v in super()._constructor_args().items() if k in names}


class LossScaleOptimizer(Wrapper):
    """An optimizer for float16: the loss is scaled up so that small gradients do not vanish.

    `scale_loss` multiplies the loss by `dynamic_scale`, and `apply` divides the gradients by it. If
    one of them is not finite, the step is skipped and the scale halved; after
    `dynamic_growth_steps` successive finite steps it is doubled. `compile()` wraps the optimizer of
    a model in one whose policy is `"mixed_float16"`.

    Args:
        inner_optimizer: the wrapped optimizer, which keeps all other settings except its
            `loss_scale_factor`.
        initial_scale: the initial scale.
        dynamic_growth_steps: the number of steps after which the scale is doubled.
        name: a name; generated if it is omitted.

    Raises ValueError for an argument that belongs to the inner optimizer.

    >>> from keraslike.core.variable import Variable
    >>> from keraslike.optimizers.gradient_descent import SGD
    >>> w, optimizer = Variable([1.0]), LossScaleOptimizer(SGD(0.5), initial_scale=8.0)
    >>> optimizer.apply([jnp.array([16.0])], [w])
    >>> optimizer.apply([jnp.array([jnp.inf])], [w])
    >>> float(w[0]), float(optimizer.dynamic_scale.value)
    (0.0, 4.0)
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer changes its scale: dynamic=False is not supported. For a scale "
                "that stays, set `loss_scale_factor` of the optimizer itself."
            )
        # Older files contain the arguments that all optimizers share, with their default values.
        defaults = {**dict.fromkeys(Shared.__annotations__), "use_ema": False, "ema_momentum": 0.99}
        for argument in defaults.keys() & kwargs.keys():
            value = kwargs.pop(argument)
            if value != defaults[argument]:
                raise ValueError(
                    f"Set {argument} on the `inner_optimizer`: LossScaleOptimizer has none. "
                    f"Received: {argument}={value!r}"
                )
        if kwargs:
            unknown = ", ".join(f"`{k}`" for k in kwargs)
            raise ValueError(f"LossScaleOptimizer does not take the arguments: {unknown}.")
        fits = isinstance(inner_optimizer, Optimizer)
        require(fits, "an Optimizer", inner_optimizer=inner_optimizer)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def _parts(self) -> Sequence[Optimizer]:
        return (self.inner_optimizer,)

    def _build_rule(self) -> None:
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (),
            lambda shape, dtype: jnp.full(shape, self.initial_scale, dtype),
            "float32",
            name="dynamic_scale",
        )
        self.inner_optimizer.build(self._trainable_variables)

    def _tie(self, variables: list[Any]) -> None:
        super()._tie(variables)
        self.inner_optimizer._tie(variables)

    def _step(self, variables: list[Any], grads: list[Any], rate: Any) -> None:
        touched = [*self._trainable_variables, *self.variables]
        values = lowering.values_of(touched)

        def apply() -> None:
            scale, count = self.dynamic_scale._raw_value, self.step_counter._raw_value
            unscaled = [
                g if is_overwritten(v) else g / scale.astype(g.dtype)
                for g, v in zip(grads, variables)
            ]
            self.inner_optimizer.apply(unscaled, variables)
            grows = count == self.dynamic_growth_steps - 1
            new = [jnp.where(grows, 0, count + 1), jnp.where(grows, scale * 2, scale)]
            write([self.step_counter, self.dynamic_scale], new)

        def leave_out() -> None:
            scale, count = self.dynamic_scale._raw_value, self.step_counter._raw_value
            write([self.step_counter, self.dynamic_scale], [jnp.zeros_like(count), scale * 0.5])

        branches = [
            lambda step=step: lowering.lower(step, touched)(values)[1]
            for step in (apply, leave_out)
        ]
        write(touched, jax.lax.cond(self.check_finite(grads), *branches))

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Whether no gradient contains a NaN or an infinity; gradients that are `None` are
        ignored."""
        found = [jnp.isfinite(g).all() for g in grads if g is not None]
        return jnp.all(jnp.asarray(found))

    def scale_loss(self, loss: Any) -> Any:
        """The loss multiplied by the scale, for computing gradients."""
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[nnx.Variable]) -> None:
        """Calls the inner optimizer's method at the end of `fit`."""
        self.inner_optimizer.finalize_variable_values(var_list)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """The number of steps that were not skipped."""
        return self.inner_optimizer.iterations


class OptimizerMap(PathMap):
    """A dict from the paths of variables, or regular expressions for them, to optimizers.

    Args:
        default_optimizer: the optimizer of variables without a key.
        optimizer_map: an initial dict.

    `optimizer_map[path]` returns the optimizer of the key that equals the path, otherwise that of
    the regular expression that matches the whole path. Raises ValueError if several match, if a key
    is set twice, and for objects that are not optimizers with their own rule.

    >>> from keraslike.optimizers.adam import Adam
    >>> from keraslike.optimizers.gradient_descent import SGD
    >>> optimizer_map = OptimizerMap(SGD())
    >>> optimizer_map["encoder/.*"] = Adam()
    >>> [type(optimizer_map[k]).__name__ for k in ("encoder/dense/kernel", "decoder/dense/bias")]
    ['Adam', 'SGD']
    """

    def __init__(
        self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None
    ):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                f"default_optimizer must be a Keras Optimizer. Received: {default_optimizer!r}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(
                f"optimizer_map must be a dictionary. Received: optimizer_map={optimizer_map!r}"
            )
        super().__init__(optimizer_map)
        self.default_optimizer = default_optimizer

    def _default(self) -> Optimizer:
        return self.default_optimizer

    def _checked(self, value: Any) -> Optimizer:
        return _with_a_rule(value, "optimizer")

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer for a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        return {
            "default_optimizer": serialization.serialize(self.default_optimizer),
            "optimizer_map": serialization.serialize(self._values),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> OptimizerMap:
        with registry.custom_object_scope(custom_objects or {}):
            return cls(**serialization.deserialize_arguments(cls, config))


def _with_a_rule(optimizer: Any, what: str) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"{what} must be a Keras Optimizer instance. Received: {optimizer!r}")
    if isinstance(optimizer, Wrapper):
        raise ValueError(
            f"{what} cannot be {type(optimizer).__name__}, which has no rule of its own."
        )
    return optimizer


class MultiOptimizer(Wrapper):
    """Several optimizers, each for some of the variables.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable to its optimizer, which may
            be the same for several.
        loss_scale_factor: the factor for all of them.
        name: a name; generated if it is omitted.

    `optimizers` lists them; each has its own learning rate. Raises ValueError in `build` if the
    function returns anything but an optimizer with its own rule.

    >>> from keraslike.core.variable import Variable
    >>> from keraslike.optimizers.gradient_descent import SGD
    >>> fast, slow = SGD(1.0), SGD(0.1)
    >>> optimizer = MultiOptimizer(lambda v: fast if v.path.startswith("head") else slow)
    >>> w = [Variable([1.0], name="head"), Variable([1.0], name="body")]
    >>> optimizer.apply([jnp.ones(1), jnp.ones(1)], w)
    >>> [round(float(v[0]), 3) for v in w]
    [0.0, 0.9]
    """

    # A copy made by tree operations contains the optimizers and their assignment to variables, if
    # it is built.
    _untracked = Wrapper._untracked | {"_optimizer_map"}
    _optimizer_map: Any = None
    _inner_optimizers: list[Optimizer] | tuple[()] = ()

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Any], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ):
        fits = callable(optimizer_map)
        require(fits, "an OptimizerMap or a function", optimizer_map=optimizer_map)
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._inner_optimizers = []
        self._which: tuple[int, ...] = ()  # The index of the optimizer of each variable.
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map._values.values(), optimizer_map.default_optimizer):
                self._number_of(optimizer)

    @property
    def optimizers(self) -> list[Optimizer]:
        return list(self._inner_optimizers)

    def _parts(self) -> Sequence[Optimizer]:
        return self._inner_optimizers

    def _number_of(self, optimizer: Optimizer) -> int:
        for i, known in enumerate(self._inner_optimizers):
            if known is optimizer:
                return i
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner_optimizers.append(optimizer)
        return len(self._inner_optimizers) - 1

    def _build_rule(self) -> None:
        if self._optimizer_map is None:
            raise ValueError(
                "A copy of a MultiOptimizer that tree operations made before it was built does not "
                "know the variables' optimizers: call build() first."
            )
        found = [
            _with_a_rule(self._optimizer_map(v), f"The optimizer of '{label(v, i)}'")
            for i, v in enumerate(self._trainable_variables)
        ]
        self._which = tuple(map(self._number_of, found))
        for part, variables in self._by_optimizer(self._trainable_variables):
            part.build(variables)

    def _by_optimizer(
        self, variables: Sequence[Any], values: Sequence[Any] | None = None
    ) -> list[tuple[Optimizer, list[Any]]]:
        """The optimizers that have some of the variables, with these or with values for them."""
        which = dict(zip(map(id, self._trainable_variables), self._which))
        groups: dict[int, list[Any]] = {}
        for v, value in zip(variables, variables if values is None else values, strict=True):
            groups.setdefault(which[id(v)], []).append(value)
        return [(self._inner_optimizers[i], groups[i]) for i in sorted(groups)]

    def _tie(self, variables: list[Any]) -> None:
        super()._tie(variables)
        for part, own in self._by_optimizer(variables):
            part._tie(own)

    def _step(self, variables: list[Any], grads: list[Any], rate: Any) -> None:
        own = self._by_optimizer(variables)
        for (part, chosen), (_, theirs) in zip(own, self._by_optimizer(variables, grads)):
            part.apply(theirs, chosen)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[nnx.Variable]) -> None:
        """Calls the method of each optimizer, with its own variables, at the end of `fit`."""
        for part, variables in self._by_optimizer(var_list):
            part.finalize_variable_values(variables)

    @property
    def loss_scale_factor(self) -> float | None:
        """The loss scale factor of all optimizers."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for part in self._inner_optimizers:
            part.loss_scale_factor = value

    @property
    def learning_rate(self) -> Any:
        """Raises AttributeError: each optimizer has its own."""
        raise AttributeError(
            "A MultiOptimizer has no learning rate: its optimizers have one each "
            "(see its attribute `optimizers`)."
        )

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(
            "The learning rate of a MultiOptimizer cannot be set: set those of its `optimizers`."
        )
