"""`Optimizer`: the state and the computations around an update rule, which is an optax
transform."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from keraslike.core import base, context, dtypes, lowering, precision, registry
from keraslike.core.annotations import checked
from keraslike.core.arguments import require, warn_user
from keraslike.core.boxed import boxed_if_asked, unbox, unboxed
from keraslike.core.errors import InvalidArgument
from keraslike.core.naming import auto_name, to_snake_case
from keraslike.core.notes import shown
from keraslike.core.one_kernel import run_in_one_kernel
from keraslike.core.pending import Pending, zeros_to_come
from keraslike.core.tracebacks import is_ours
from keraslike.core.variable import Variable, spec_of
from keraslike.optimizers.gradients import clip, overwrite, with_gradients
from keraslike.optimizers.schedules import LearningRateSchedule
from keraslike.optimizers.shared import take_shared
from keraslike.optimizers.state import (
    Cache,
    dtype_of,
    field,
    is_overwritten,
    label,
    owner,
    state_name,
    write,
)
from keraslike.optimizers.stateful import Stateful

LearningRate = float | LearningRateSchedule | Callable[[], Any]


class Optimizer(Stateful):
    """Base of the optimizers: `apply(gradients, variables)` changes the variables.

    A subclass defines its update rule in one of two ways. `transform()` returns an optax transform,
    whose `update` is called with the keywords `learning_rate` and `iterations` as well; params are
    a dict `{0: ..., 1: ...}` and every leaf of its state becomes a Variable. Or, as in Keras,
    `build(variables)` makes Variables with `add_optimizer_variables`, and `update_step(gradient,
    variable, learning_rate)` changes them and the variable.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: before each update a variable is multiplied by
            `1 - learning_rate * weight_decay`.
        clipnorm: the largest norm of each gradient.
        clipvalue: the largest absolute value of a gradient's elements.
        global_clipnorm: the largest norm of all gradients together.
        use_ema: whether to keep an exponential moving average of the variables.
        ema_momentum: `average = ema_momentum * average + (1 - ema_momentum) * variable`.
        ema_overwrite_frequency: the number of steps after which the variables are set to their
            averages; `None` for only at the end of `fit`.
        loss_scale_factor: gradients are divided by it, for a loss that `scale_loss` multiplied.
        gradient_accumulation_steps: the number of calls (at least 2) for one update, from the mean
            of their gradients.
        name: a name; generated if it is omitted.

    A variable with `overwrite_with_gradient` is set to its gradient (the largest of accumulated
    ones), and none of the above applies to it.

    Raises ValueError for an argument out of its range.

    >>> from keraslike.core.variable import Variable
    >>> class SignDescent(Optimizer):
    ...     def transform(self):
    ...         return optax.stateless_with_tree_map(lambda g, p: -0.5 * jnp.sign(g))
    >>> w = Variable([1.0, 2.0])
    >>> SignDescent(learning_rate=0.5).apply([jnp.array([3.0, -3.0])], [w])
    >>> w.numpy().tolist()
    [0.5, 2.5]
    """

    _object_kind = "optimizer"
    # The trained variables belong to the model, not to the optimizer's tree.
    _untracked = Stateful._untracked | {"_trainable_variables", "_excluded", "_compiled"}
    _excluded: tuple[tuple[nnx.Variable, ...], re.Pattern | None] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        take_shared(cls, Optimizer)
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if kwargs.pop("decay", None) is not None:
            warn_user("decay has no effect: use a learning rate schedule.")
        if kwargs:
            raise ValueError(f"{type(self).__name__} has no such arguments: {sorted(kwargs)}")
        steps, every = gradient_accumulation_steps, ema_overwrite_frequency
        if steps:
            require(steps >= 2, "an integer of at least 2", gradient_accumulation_steps=steps)
        if use_ema:
            require(0 <= ema_momentum <= 1, "between 0 and 1", ema_momentum=ema_momentum)
            fits = not every or (isinstance(every, int) and every >= 1)
            require(fits, "None or an integer of at least 1", ema_overwrite_frequency=every)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {k: v for k, v in clips.items() if v is not None}
        if len(given) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can clip gradients. "
                f"Received: {given}"
            )

        self._name = auto_name(to_snake_case(type(self).__name__)) if name is None else name
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        # State is listed in the order of these attributes, which is that of Keras's files.
        self._iterations = self._state(0, "iteration", "int32")
        self._learning_rate = self._checked_rate(learning_rate)
        self._model_variables_moving_average: list[Variable] = []
        self._accumulated_gradients: list[Variable] = []
        self._slots: list[Variable] = []  # Variables of the update rule.
        self._skeleton: Any = None  # The rule's state, with indices of slots as leaves.
        self._owners: tuple[int | None, ...] = ()  # For each slot, the variable that it belongs to.
        self._keys: tuple[Any, ...] = ()  # The variables' keys in the rule's parameters.
        self._decays: tuple[bool, ...] = ()  # Whether each variable decays.

    def _checked_rate(self, rate: Any) -> Any:
        if _is_function(rate):
            return rate
        expected = "a float (1.0, not 1), a LearningRateSchedule or a function without arguments"
        require(isinstance(rate, float), expected, learning_rate=rate)
        return self._state(rate, "learning_rate", dtypes.floatx())

    # -- the update rule ----------------------------------------------------------------------

    # Whether the initial state of the rule depends on the values of the weights.
    _begins_with_weights = False

    def transform(self) -> optax.GradientTransformation:
        """The update rule with the current hyperparameters; a subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no update rule: write transform(), which returns an "
            "optax transform, or update_step(gradient, variable, learning_rate)."
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable with its gradient. A subclass may define it in place of
        `transform()`, or extend it by calling this one."""
        self._run_rule([variable], [gradient], learning_rate, of_all=False)

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Optimizer, method)

    # -- state --------------------------------------------------------------------------------

    @property
    def variables(self) -> list[nnx.Variable]:
        """All state: the step count, the learning rate, averages, then the state of the rule."""
        if not is_ours(type(self)):  # A user's class may keep Variables anywhere.
            return base.variables_of(self)
        rate = self._learning_rate
        own = [self._iterations, *([rate] if isinstance(rate, nnx.Variable) else [])]
        # Otherwise it is not built, or is being built by another thread.
        if self.built:
            own += (*self._model_variables_moving_average, *self._accumulated_gradients)
            own += self._slots
        return [*own, *(v for part in self._parts() for v in part.variables)]

    def _parts(self) -> Sequence[Optimizer]:
        """The optimizers to which this one passes gradients."""
        return ()

    @property
    def iterations(self) -> Any:
        """The number of updates made: a Variable, or an array where gradients accumulate."""
        return self._updates_made() if self.gradient_accumulation_steps else self._iterations

    def _updates_made(self) -> jax.Array:
        count, steps = self._iterations._raw_value, self.gradient_accumulation_steps
        return count // steps if steps else count

    @property
    def learning_rate(self) -> Any:
        """A Variable that can be assigned to, or the current value of a schedule."""
        if isinstance(self._learning_rate, nnx.Variable):
            return self._learning_rate
        return boxed_if_asked(self, self._current_rate)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, nnx.Variable):
            self._learning_rate = value
            vars(self).pop("_compiled", None)  # There is one Variable fewer.
        elif isinstance(self._learning_rate, nnx.Variable):
            require(not isinstance(value, str), "a number or a schedule", learning_rate=value)
            self._learning_rate.assign(value)
        else:
            kind = type(self._learning_rate).__name__
            raise TypeError(
                f"This optimizer was created with a `LearningRateSchedule` ({kind}), so that its "
                f"rate cannot be set to {value!r}. Make it with a float, or set another schedule."
            )

    def _current_rate(self) -> Any:
        return self._rate_at(self._iterations._raw_value)

    def _rate_at(self, step: Any) -> Any:
        rate = self._learning_rate
        if isinstance(rate, nnx.Variable):
            return rate._raw_value
        return rate(step) if isinstance(rate, LearningRateSchedule) else rate()

    @checked
    def build(self, variables: Iterable[nnx.Variable]) -> None:
        """Makes the state for these variables, and ties the optimizer to them."""
        if self.built:
            return
        variables = list(variables)
        with jax.ensure_compile_time_eval():
            if self.use_ema:
                self._model_variables_moving_average = self._zeros_like(variables, "average")
            if self.gradient_accumulation_steps:
                self._accumulated_gradients = self._zeros_like(variables, "gradient_accumulator")
            self._trainable_variables = tuple(variables)
            self._keys = self._param_keys(variables)
            self._choose_decays()
            if self._overrides("transform") or not self._overrides("update_step"):
                self._build_rule()
        self.built = True

    def _param_keys(self, variables: Sequence[nnx.Variable]) -> tuple[Any, ...]:
        return tuple(range(len(variables)))

    def _build_rule(self) -> None:
        ruled, first = self._ruled(), zip(self._keys, self._first_params())
        params: dict[Any, Any] = {key: param for key, param in first if key in ruled}
        leaves, structure = jax.tree_util.tree_flatten_with_path(self.transform().init(params))
        numbers = {key: i for i, key in enumerate(self._keys)}
        owners = [owner(path, numbers) for path, _ in leaves]
        order = self._slot_order([path for path, _ in leaves], owners)
        for i in order:
            path, value = leaves[i]
            name, number, of = field(path), owners[i], None
            if number is not None:
                of = self._trainable_variables[number]
                name = state_name(of, number, name)
            value = value if isinstance(value, Pending) else jnp.asarray(value)
            self._slots.append(self._state(value, name, of=of))
        self._owners = tuple(owners[i] for i in order)
        places = sorted(range(len(order)), key=order.__getitem__)
        self._skeleton = jax.tree.unflatten(structure, places)

    def _ruled(self) -> dict[Any, nnx.Variable]:
        """The variables that the rule updates; the others are set to their gradients."""
        pairs = zip(self._keys, self._trainable_variables)
        return {key: v for key, v in pairs if not is_overwritten(v)}

    def _first_params(self) -> Sequence[Any]:
        """The parameters with which a rule's state is initialized: the weights, or, for keraslike's
        rules that only depend on shapes, their shapes. Then pending weights need not be computed
        before a step."""
        variables = self._trainable_variables
        if (
            self._begins_with_weights
            or not is_ours(type(self).transform)
            or context.state.distribution is not None
        ):
            return lowering.values_of(variables)
        return [zeros_to_come(s.shape, s.dtype) for s in map(spec_of, variables)]

    def _slot_order(self, paths: Sequence[Any], owners: Sequence[Any]) -> list[int]:
        return list(range(len(paths)))

    # -- applying gradients -------------------------------------------------------------------

    @checked
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, nnx.Variable]]) -> Any:
        """Changes the variables of `(gradient, variable)` pairs; returns the count of calls."""
        pairs = list(grads_and_vars)
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise InvalidArgument(
                "grads_and_vars must be pairs of a gradient and a variable. "
                f"Received: grads_and_vars={shown(pairs)}"
            )
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    @unboxed
    def apply(
        self, grads: Iterable[Any], trainable_variables: Iterable[nnx.Variable] | None = None
    ) -> None:
        """Changes the variables by their gradients, one for each; builds the state at first.

        Args:
            grads: arrays of the variables' shapes; `None` leaves a variable unchanged.
            trainable_variables: those of `build`, or some of them; `None` for all.

        Raises ValueError for variables it was not built with, where the numbers or shapes do not
        match, and if every gradient is `None`.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._bound(grads, trainable_variables)
        with precision.of(self):
            self._apply(*with_gradients(grads, variables))

    def _apply(self, grads: list[Any], variables: list[Any]) -> None:
        # Each replica has the gradients of its part of the batch.
        if context.state.replicas is not None:
            grads = [jax.lax.psum(g, context.state.replicas) for g in grads]
        rate = self._current_rate()
        everything = [*self._trainable_variables, *self.variables]
        given = lowering.values_of(everything), grads, rate
        step: Callable = functools.partial(self._step, variables)
        if not self._is_pure():
            step(grads, rate)
        else:
            step = functools.partial(run_in_one_kernel, lowering.changes(step, everything))
            if not any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(given)):
                key = (self._numbers(), tuple((id(v), is_overwritten(v)) for v in variables))
                step = vars(self).setdefault("_compiled", Cache()).compiled(key, step)
            new = step(*given)
            write([everything[i] for i in new], list(new.values()))
        self._constrain(variables)

    def _is_pure(self) -> bool:
        """Whether a step is a pure function of arrays as long as `_numbers()` are the same."""
        parts = self._parts()
        asked = any(_is_function(part._learning_rate) for part in parts)
        return is_ours(type(self)) and not asked and all(part._is_pure() for part in parts)

    def _numbers(self) -> tuple[Any, ...]:
        own = [type(v) in (bool, int, float) and v for v in vars(self).values()]
        return (*own, *(part._numbers() for part in self._parts()))

    def _constrain(self, variables: list[Any]) -> None:
        for v in variables:
            if getattr(v, "constraint", None) is not None and not is_overwritten(v):
                write([v], [unbox(v.constraint(v._raw_value))])

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """`apply` as a pure function: `(trainable_variables, optimizer_variables)`, as arrays.

        The values are in the order of `build`'s variables and of `variables`.
        """
        if not self.built or not self._trainable_variables:
            raise ValueError("Call build(trainable_variables) before stateless_apply().")
        own = self.variables
        need = len(own), len(self._trainable_variables)
        got = len(optimizer_variables), len(trainable_variables)
        if need != got:
            raise ValueError(
                f"optimizer_variables and trainable_variables must hold {need[0]} and {need[1]} "
                f"values. Received: {got[0]} and {got[1]}"
            )
        values = [jnp.asarray(v) for v in (*trainable_variables, *optimizer_variables)]
        pure = lowering.lower(lambda: self.apply(grads), [*self._trainable_variables, *own])
        new = pure(values)[1]
        count = len(self._trainable_variables)
        return list(new[:count]), list(new[count:])

    def _bound(self, grads: list[Any], variables: Iterable[nnx.Variable] | None) -> list[Any]:
        """The variables of the gradients, if this optimizer was built with them."""
        if variables is None:
            if not self._trainable_variables:
                raise ValueError(
                    "This optimizer is not tied to any variables yet: pass trainable_variables, "
                    "or call build(trainable_variables) first."
                )
            variables = self._trainable_variables
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(f"There are {len(grads)} gradients for {len(variables)} variables.")
        if not self.built:
            self.build(variables)
        if not self._trainable_variables:  # a copy made by tree operations, together with the model
            if len(variables) != len(self._keys):
                raise ValueError(
                    f"This optimizer was built for {len(self._keys)} variables; "
                    f"it cannot be tied to {len(variables)}."
                )
            self._tie(variables)
        known = {id(v) for v in self._trainable_variables}
        unknown = [label(v, i) for i, v in enumerate(variables) if id(v) not in known]
        if unknown:
            raise ValueError(
                f"This optimizer was built with other variables than {unknown}. An optimizer "
                "stays with the variables of its first use: make another one for these."
            )
        return variables

    def _tie(self, variables: list[Any]) -> None:
        self._trainable_variables = tuple(variables)

    def _step(self, variables: list[Any], grads: list[Any], rate: Any) -> None:
        steps = self.gradient_accumulation_steps
        last = steps and (self._iterations._raw_value + 1) % steps == 0
        accumulators = dict(zip(map(id, self._trainable_variables), self._accumulated_gradients))
        grads, variables = overwrite(grads, variables, accumulators, last)
        if not variables:
            self._iterations.assign_add(1)
            return
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        (self._accumulate if steps else self._update)(variables, grads, rate)
        if self.use_ema:
            self._average()
        self._iterations.assign_add(1)

    def _accumulate(self, variables: list[Any], grads: list[Any], rate: Any) -> None:
        steps = self.gradient_accumulation_steps
        numbers = {id(v): i for i, v in enumerate(self._trainable_variables)}
        accumulators = [self._accumulated_gradients[numbers[id(v)]] for v in variables]
        sums = [g.astype(dtype_of(a)) + a._raw_value for g, a in zip(grads, accumulators)]
        changing = (self._iterations._raw_value + 1) % steps == 0
        touched = [*variables, *self.variables]
        values = lowering.values_of(touched)

        def update() -> tuple[Any, ...]:
            step = lowering.lower(
                lambda: self._update(variables, [s / steps for s in sums], rate), touched
            )
            return step(values)[1]

        write(touched, jax.lax.cond(changing, update, lambda: values))
        write(accumulators, [jnp.where(changing, jnp.zeros_like(s), s) for s in sums])

    def _update(self, variables: list[Any], grads: list[Any], rate: Any) -> None:
        grads = self._clip_gradients(grads)
        # As in Keras, where this method has no access to the learning rate.
        if self._overrides("_apply_weight_decay"):
            self._apply_weight_decay(variables)
        else:
            self._apply_weight_decay(variables, rate)
        if not self._overrides("update_step"):
            self._run_rule(variables, grads, rate)
            return
        for v, g in zip(variables, grads):
            self.update_step(g, v, rate)
        if self._skeleton is not None:
            self._run_rule([], [], rate)

    def _run_rule(
        self, variables: list[Any], grads: list[Any], rate: Any, of_all: bool = True
    ) -> None:
        """Updates variables and state by the rule; with `of_all` also state without an owner."""
        given = {id(v): g for v, g in zip(variables, grads)}
        ruled = self._ruled()
        params = dict(zip(ruled, lowering.values_of([*ruled.values()])))
        full = {
            key: given[id(v)].astype(p.dtype) if id(v) in given else jnp.zeros_like(p)
            for (key, p), v in zip(params.items(), ruled.values())
        }
        slots = list(lowering.values_of(self._slots))
        state = jax.tree.map(slots.__getitem__, self._skeleton)
        extra = {} if rate is None else {"learning_rate": rate, "iterations": self._updates_made()}
        transform = optax.with_extra_args_support(self.transform())
        updates, state = transform.update(full, state, params, **extra)
        params: dict[Any, Any] = optax.apply_updates(params, updates)  # type: ignore[assignment]
        places = jax.tree.leaves(self._skeleton)
        for place, value in zip(places, jax.tree.leaves(state), strict=True):
            number = self._owners[place]
            if of_all if number is None else id(self._trainable_variables[number]) in given:
                slots[place] = value
        write(self._slots, slots)
        for key, v in ruled.items():
            if id(v) in given:
                write([v], [params[key]])

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        return clip(grads, self.clipnorm, self.global_clipnorm, self.clipvalue)

    def _apply_weight_decay(self, variables: Sequence[Any], rate: Any = None) -> None:
        rate = self._current_rate() if rate is None else rate
        numbers = {id(v): i for i, v in enumerate(self._trainable_variables)}
        for v in variables:
            i, value = numbers[id(v)], v._raw_value
            if self._decays[i]:
                write([v], [self._decayed(self._keys[i], value, rate)])

    def _decayed(self, key: Any, value: Any, rate: Any) -> Any:
        """A variable's value after weight decay; `key` is the variable's key in the rule's
        parameters."""
        decay = self._weight_decay_of(key, value)
        if decay is None:
            return value
        factor = jnp.asarray(decay, value.dtype)
        return value - value * factor * jnp.asarray(rate, value.dtype)

    def _weight_decay_of(self, key: Any, value: Any) -> float | None:
        return self.weight_decay

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[nnx.Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Excludes variables from weight decay: the given ones, and those whose names contain one
        of the texts.

        >>> from keraslike.optimizers.adam import AdamW
        >>> AdamW().exclude_from_weight_decay(var_names=["bias"])
        """
        names = "|".join(sorted(set(var_names or ())))
        pattern = re.compile(names) if names else None
        self._excluded = (tuple(var_list or ()), pattern)
        self._choose_decays()
        vars(self).pop("_compiled", None)

    def _choose_decays(self) -> None:
        self._decays = tuple(map(self._use_weight_decay, self._trainable_variables))

    def _use_weight_decay(self, variable: Any) -> bool:
        excluded, pattern = self._excluded or ((), None)
        if any(v is variable for v in excluded):
            return False
        name = label(variable, self._get_variable_index(variable), "name")
        return not (pattern and pattern.search(name))

    # -- averages, loss scale -----------------------------------------------------------------

    def _average(self) -> None:
        done = self._updates_made()
        every = self.ema_overwrite_frequency
        for v, average in zip(self._trainable_variables, self._model_variables_moving_average):
            if is_overwritten(v):
                continue
            value = v._raw_value
            # The first average is the variable itself.
            momentum = (done != 0).astype(value.dtype) * self.ema_momentum
            new = momentum * average._raw_value + (1 - momentum) * value
            write([average], [new])
            if every:
                write([v], [jnp.where((done + 1) % every == 0, new, value)])

    def finalize_variable_values(self, var_list: Sequence[nnx.Variable]) -> None:
        """Sets the variables to their averages if `use_ema` is on; `fit` calls it at its end."""
        if not self.use_ema:
            return
        averages = self._model_variables_moving_average
        if len(var_list) != len(averages):
            raise ValueError(f"There are {len(averages)} averages for {len(var_list)} variables.")
        for v, average in zip(var_list, lowering.values_of(averages)):
            if not is_overwritten(v):
                write([v], [average])

    def scale_loss(self, loss: Any) -> Any:
        """The loss multiplied by `loss_scale_factor`, for computing gradients."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """The optimizer described by a config of `get_config()`, without its state."""
        with registry.custom_object_scope(custom_objects or {}):
            return super().from_config(config)

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        if "learning_rate" in args:
            rate = self._learning_rate
            variable = isinstance(rate, nnx.Variable)
            args["learning_rate"] = float(rate._raw_value) if variable else rate
        return args


def _is_function(rate: Any) -> bool:
    return callable(rate) and not isinstance(rate, nnx.Variable)  # A class with a __call__.
