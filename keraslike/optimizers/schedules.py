"""Learning rate schedules, which are functions of the step: `rate = schedule(step)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes, registry, serialization
from keraslike.core.configured import Configured


class LearningRateSchedule(Configured):
    """Base of the schedules; a subclass defines `__call__(step)`, which returns a scalar.

    `step` is an integer scalar, an array or a tracer. An optimizer calls its schedule with the
    number of steps done so far.

    >>> class Halving(LearningRateSchedule):
    ...     def __init__(self, start):
    ...         self.start = start
    ...     def __call__(self, step):
    ...         return self.start / (step + 1)
    >>> Halving(0.5)(1), Halving(0.5).get_config()
    (0.25, {'start': 0.5})
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __call__(step) method.")


def _scalar(value: Any) -> jax.Array:
    """A number or a Variable as a floating-point scalar."""
    value = jnp.asarray(value)
    return value if dtypes.is_float(value.dtype) else value.astype(dtypes.floatx())


def _check_steps(name: str, steps: Any) -> Any:
    if steps <= 0:
        raise ValueError(f"{name} must be greater than 0. Received: {name}={steps}")
    return steps


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the steps in which the rate decreases by the factor `decay_rate`; greater than
            0.
        decay_rate: the factor.
        staircase: whether the exponent is rounded down, so that the rate decreases in steps.

    >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> round(float(schedule(20)), 6)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _check_steps("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        exponent = _scalar(step) / self.decay_steps
        if self.staircase:
            exponent = jnp.floor(exponent)
        return _scalar(self.initial_learning_rate) * jnp.power(_scalar(self.decay_rate), exponent)


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` for the first `i` with `step <= boundaries[i]`, and the last value after them.

    Args:
        boundaries: increasing steps.
        values: the rates, one more than boundaries.

    Raises ValueError if the two lengths do not match.

    >>> schedule = PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (2, 3, 5)]
    [1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str | None = "PiecewiseConstant",
    ):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "values must hold one number more than boundaries. Received: "
                f"{len(boundaries)} boundaries {boundaries} and {len(values)} values {values}"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        step = jnp.asarray(step)
        passed = step > jnp.asarray(self.boundaries).astype(step.dtype)
        return jnp.asarray(self.values)[jnp.sum(passed, dtype="int32")]


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - step / decay_steps) ** power + end`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps after which the end is reached; greater than 0.
        end_learning_rate: the rate at the end.
        power: the power of the polynomial; 1 is linear.
        cycle: whether to extend `decay_steps` to the next multiple once it is exceeded, so that the
            rate rises again, instead of staying at the end.

    >>> round(float(PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _check_steps("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        start, end = _scalar(self.initial_learning_rate), _scalar(self.end_learning_rate)
        step, steps = _scalar(step), _scalar(self.decay_steps)
        if self.cycle:
            steps = steps * jnp.where(step == 0, 1.0, jnp.ceil(step / steps))
        else:
            step = jnp.minimum(step, steps)
        return (start - end) * jnp.power(1 - step / steps, _scalar(self.power)) + end


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the unit in which steps are counted; greater than 0.
        decay_rate: the speed of the decay.
        staircase: whether `step / decay_steps` is rounded down.

    >>> round(float(InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _check_steps("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        time = _scalar(step) / self.decay_steps
        if self.staircase:
            time = jnp.floor(time)
        return _scalar(self.initial_learning_rate) / (1 + self.decay_rate * time)


class CosineDecay(LearningRateSchedule):
    """Half a cosine from a rate down to `alpha` times it, after an optional linear warm-up.

    With `f = step / decay_steps`: `rate * ((1 - alpha) * (1 + cos(pi * f)) / 2 + alpha)`
    (Loshchilov and Hutter, "SGDR", https://arxiv.org/abs/1608.03983).

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: length of the decay, which comes after the warm-up; greater than 0.
        alpha: the last rate, as a fraction of the highest.
        warmup_target: the rate to warm up to, and to decay from; `None` for no warm-up.
        warmup_steps: length of the warm-up.

    >>> schedule = CosineDecay(0.0, decay_steps=10, warmup_target=0.1, warmup_steps=10)
    >>> [round(float(schedule(step)), 6) for step in (0, 5, 10, 15, 20)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _check_steps("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> jax.Array:
        step, start = _scalar(step), _scalar(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._decay(step, start)
        top = _scalar(self.warmup_target)
        warming = (top - start) * (step / self.warmup_steps) + start if self.warmup_steps else top
        decaying = self._decay(step - self.warmup_steps, top)
        return jnp.where(step < self.warmup_steps, warming, decaying)

    def _decay(self, step: jax.Array, rate: jax.Array) -> jax.Array:
        fraction = jnp.minimum(step, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1.0 + jnp.cos(math.pi * fraction))
        return rate * ((1 - self.alpha) * cosine + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay`, restarted in periods of growing length and from changing rates.

    (Loshchilov and Hutter, "SGDR", https://arxiv.org/abs/1608.03983.)

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: length of the first period; greater than 0.
        t_mul: the ratio of the lengths of successive periods.
        m_mul: the ratio of the initial rates of successive periods.
        alpha: the lowest rate, as a fraction of `initial_learning_rate`.

    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> [round(float(schedule(step)), 6) for step in (0, 5, 10, 20)]
    [0.1, 0.05, 0.05, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = "SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _check_steps("first_decay_steps", first_decay_steps)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        periods = _scalar(step) / self.first_decay_steps  # The time in units of the first period.
        t_mul = _scalar(self.t_mul)
        if self.t_mul == 1.0:
            restarts = jnp.floor(periods)
            fraction = periods - restarts
        else:
            # Period i starts at (1 - t_mul**i) / (1 - t_mul), the sum of the periods before it.
            restarts = jnp.floor(jnp.log(1.0 - periods * (1.0 - t_mul)) / jnp.log(t_mul))
            length = jnp.power(t_mul, restarts)
            fraction = (periods - (1.0 - length) / (1.0 - t_mul)) / length
        cosine = 0.5 * jnp.power(_scalar(self.m_mul), restarts) * (1 + jnp.cos(math.pi * fraction))
        return _scalar(self.initial_learning_rate) * ((1 - self.alpha) * cosine + self.alpha)


_classes = (
    LearningRateSchedule,
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    InverseTimeDecay,
    CosineDecay,
    CosineDecayRestarts,
)
registry.publish("keras.optimizers.schedules", {c.__name__: c for c in _classes})


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The config dict of a schedule.

    >>> serialize(PiecewiseConstantDecay([1], [0.1, 0.01]))["class_name"]
    'PiecewiseConstantDecay'
    """
    return serialization.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule that a config of `serialize` describes.

    >>> schedule = CosineDecay(0.1, 100)
    >>> deserialize(serialize(schedule)) == schedule
    True
    """
    return serialization.deserialize(config, custom_objects=custom_objects)


__all__ = [*(c.__name__ for c in _classes), "serialize", "deserialize"]
__dir__ = __all__.copy
