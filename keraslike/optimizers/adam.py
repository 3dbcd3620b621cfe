"""Adam and its variants: AdamW, Nadam, Adamax, Lamb, ScheduleFreeAdamW, and Lion.

They are defined like those in `gradient_descent`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import optax

from keraslike.core import host
from keraslike.core.arguments import require
from keraslike.optimizers.gradient_descent import leafwise, rule, zeros_like
from keraslike.optimizers.optimizer import LearningRate, Optimizer
from keraslike.optimizers.shared import Shared, SharedButDecay

__all__ = ["Adam", "AdamW", "Nadam", "Adamax", "Lamb", "ScheduleFreeAdamW", "Lion"]


class Moments(NamedTuple):
    momentum: Any
    velocity: Any


def _moments(params: Any) -> Any:
    return jax.tree.map(Moments, zeros_like(params), zeros_like(params))


def moved(g: Any, old: Moments, beta_1: Any, beta_2: Any) -> Moments:
    """The moving averages after the next gradient."""
    m = old.momentum + (g - old.momentum) * (1 - beta_1)
    return Moments(m, old.velocity + (jnp.square(g) - old.velocity) * (1 - beta_2))


def powers(iterations: Any, *betas: float) -> Callable[[Any], list[Any]]:
    """For each dtype, the bias of moving averages at step `t`, counted from 1: `beta**t`."""

    @functools.cache  # Shared by all variables of a dtype.
    def of(dtype: Any) -> list[Any]:
        t = jnp.asarray(iterations + 1, dtype)
        return [jnp.power(jnp.asarray(beta, dtype), t) for beta in betas]

    return of


def step_size(
    learning_rate: Any, iterations: Any, beta_1: float, beta_2: float
) -> Callable[[Any], Any]:
    """For each dtype, the factor with which Adam multiplies `m / sqrt(v)`."""
    left = powers(iterations, beta_1, beta_2)

    @functools.cache
    def of(dtype: Any) -> Any:
        power_1, power_2 = left(dtype)
        return jnp.asarray(learning_rate, dtype) * jnp.sqrt(1 - power_2) / (1 - power_1)

    return of


class AdamState(NamedTuple):
    moments: Any
    velocity_hat: Any


class _TwoMoments(Optimizer):
    """Base of optimizers with two moving averages: their decay rates, and `epsilon`."""

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon


class Adam(_TwoMoments):
    """`w -= a * m / (sqrt(v) + epsilon)` with moving means `m` of `g` and `v` of `g**2`.

    `m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v)`, and at step `t = 1, 2, ...`
    `a = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)`: `epsilon` is the paper's epsilon-hat
    (Kingma and Ba 2014, https://arxiv.org/abs/1412.6980).

    Args:
        beta_1: the decay rate of the mean of gradients.
        beta_2: the decay rate of the mean of squared gradients.
        epsilon: a small number added to the square root.
        amsgrad: whether to use the largest `v` so far (Reddi et al. 2018, "On the Convergence of
            Adam and Beyond").

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 2.0])
    >>> Adam(0.1).apply([jnp.array([3.0, -5.0])], [w])
    >>> print(w.numpy().round(4))
    [0.9 2.1]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)
        self.amsgrad = amsgrad

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon, amsgrad = self.beta_1, self.beta_2, self.epsilon, self.amsgrad

        def init(params: Any) -> AdamState:
            return AdamState(_moments(params), zeros_like(params) if amsgrad else None)

        def update(grads, state, params=None, *, learning_rate, iterations):
            size = step_size(learning_rate, iterations, beta_1, beta_2)

            def step(g, old, hat=None):
                m, v = new = moved(g, old, beta_1, beta_2)
                top = v if hat is None else jnp.maximum(hat, v)
                down = m * size(g.dtype) / (jnp.sqrt(top) + epsilon)
                return -down, new, top

            hats = [state.velocity_hat] if amsgrad else []
            updates, moments, tops = leafwise(step, grads, state.moments, *hats)
            return updates, AdamState(moments, tops if amsgrad else None)

        return rule(init, update)


class AdamW(Adam):
    """Adam with decoupled weight decay: `w -= rate * weight_decay * w` first.

    (Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101.) The arguments are those of Adam.
    Raises ValueError where `weight_decay` is `None`.

    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Unpack[SharedButDecay],
    ):
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        own = (learning_rate, beta_1, beta_2, epsilon, amsgrad)
        super().__init__(*own, weight_decay=weight_decay, **shared)


class NadamState(NamedTuple):
    moments: Any
    u_product: Any


class Nadam(_TwoMoments):
    """Adam with Nesterov momentum, whose momentum warms up: `u(t) = beta_1 * (1 - 0.96**t / 2)`.

    With `m` and `v` as Adam's and `U = u(1) * ... * u(t)`,
    `m_hat = u(t+1) * m / (1 - U * u(t+1)) + (1 - u(t)) * g / (1 - U)` and
    `w -= rate * m_hat / (sqrt(v / (1 - beta_2**t)) + epsilon)`
    (Dozat 2015, http://cs229.stanford.edu/proj2015/054_report.pdf).

    Args:
        beta_1: the decay rate of the mean of gradients.
        beta_2: the decay rate of the mean of squared gradients.
        epsilon: a small number added to the square root.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Nadam(0.1).apply([jnp.array([3.0])], [w])
    >>> 0.8 < float(w[0]) < 0.95
    True
    """

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon = self.beta_1, self.beta_2, self.epsilon

        def init(params: Any) -> NadamState:
            dtypes = [p.dtype for p in jax.tree.leaves(params)]
            return NadamState(
                _moments(params), host.full((), 1, dtypes[0] if dtypes else "float32")
            )

        def update(grads, state, params=None, *, learning_rate, iterations):
            def warm(step, dtype):
                decay = jnp.power(jnp.asarray(0.96, dtype), jnp.asarray(step, dtype))
                return jnp.asarray(beta_1, dtype) * (1.0 - 0.5 * decay)

            own = state.u_product.dtype
            product = state.u_product * warm(iterations + 1, own)

            @functools.cache  # Shared by all variables of a dtype.
            def scalars(dtype):
                u, u_next = warm(iterations + 1, dtype), warm(iterations + 2, dtype)
                done = product.astype(dtype)
                power = jnp.power(jnp.asarray(beta_2, dtype), jnp.asarray(iterations + 1, dtype))
                return (
                    *(1 - jnp.asarray(beta, dtype) for beta in (beta_1, beta_2)),
                    *(u_next, 1 - done * u_next, 1 - u, 1 - done, 1 - power),
                    jnp.asarray(learning_rate, dtype),
                )

            def step(g, old):
                new_1, new_2, u_next, left_next, rest, left, left_2, rate = scalars(g.dtype)
                m = old.momentum + (g - old.momentum) * new_1
                v = old.velocity + (jnp.square(g) - old.velocity) * new_2
                m_hat = u_next * m / left_next + rest * g / left
                return -(m_hat * rate / (jnp.sqrt(v / left_2) + epsilon)), Moments(m, v)

            updates, moments = leafwise(step, grads, state.moments)
            return updates, NadamState(moments, product)

        return rule(init, update)


class MomentAndNorm(NamedTuple):
    momentum: Any
    norm: Any


class Adamax(_TwoMoments):
    """Adam by the largest gradient: `u = max(beta_2 * u, |g|); w -= a * m / (u + epsilon)`.

    `a = rate / (1 - beta_1**t)` (Kingma and Ba 2014, section 7, https://arxiv.org/abs/1412.6980).

    Args:
        beta_1: the decay rate of the mean of gradients.
        beta_2: the decay rate of the largest gradient.
        epsilon: a small number added to it.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Adamax(0.1).apply([jnp.array([3.0])], [w])
    >>> print(w.numpy().round(4))
    [0.9]
    """

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon = self.beta_1, self.beta_2, self.epsilon

        def init(params: Any) -> Any:
            return jax.tree.map(MomentAndNorm, zeros_like(params), zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            @functools.cache  # Shared by all variables of a dtype.
            def left(dtype):
                return 1 - jnp.power(jnp.asarray(beta_1, dtype), jnp.asarray(iterations + 1, dtype))

            def step(g, old):
                m = old.momentum + (g - old.momentum) * (1 - beta_1)
                u = jnp.maximum(beta_2 * old.norm, jnp.abs(g))
                rate = jnp.asarray(learning_rate, g.dtype)
                return -(rate * m / (left(g.dtype) * (u + epsilon))), MomentAndNorm(m, u)

            return tuple(leafwise(step, grads, state))

        return rule(init, update)


class Lamb(_TwoMoments):
    """Adam with steps whose length is proportional to the norm of each variable.

    With Adam's `m` and `v`, `u = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)` and
    `w -= rate * norm(w) / norm(u) * u`, where the ratio is 1 if either norm is 0
    (You et al. 2019, https://arxiv.org/abs/1904.00962).

    Args:
        beta_1: the decay rate of the mean of gradients.
        beta_2: the decay rate of the mean of squared gradients.
        epsilon: a small number added to the square root.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([3.0, 4.0])
    >>> Lamb(0.1).apply([jnp.array([2.0, 2.0])], [w])
    >>> print(w.numpy().round(3))
    [2.646 3.646]
    """

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon = self.beta_1, self.beta_2, self.epsilon
        trust = optax.scale_by_trust_ratio()

        def update(grads, state, params=None, *, learning_rate, iterations):
            left = powers(iterations, beta_1, beta_2)

            def step(g, old):
                m, v = new = moved(g, old, beta_1, beta_2)
                power_1, power_2 = left(g.dtype)
                return m / (1 - power_1) / (jnp.sqrt(v / (1 - power_2)) + epsilon), new

            updates, moments = leafwise(step, grads, state)
            # The transform has no state.
            updates, _ = trust.update(updates, trust.init(grads), params)
            down = jax.tree.map(lambda u: -jnp.asarray(learning_rate, u.dtype) * u, updates)
            return down, moments

        return rule(_moments, update)


class ScheduleFreeAdamW(Optimizer):
    """Adam with averaging of the iterates in place of a decreasing learning rate.

    The state's `momentum` is the point `z` that steps are made from, `z -= rate * g /
    (sqrt(v / (1 - beta_2**t)) + epsilon)`, and `x` is the mean of all `z` so far. The variables
    are, where gradients are taken, `(1 - beta_1) * z + beta_1 * x`, from which `x` can be computed
    (Defazio et al. 2024, https://arxiv.org/abs/2405.15682).

    Args:
        beta_1: the weight of the mean in the variables.
        beta_2: the decay rate of the mean of squared gradients.
        epsilon: a small number added to the square root.
        warmup_steps: the number of steps in which the learning rate rises to its value.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> ScheduleFreeAdamW(0.1).apply([jnp.array([2.0])], [w])
    >>> print(w.numpy().round(4))
    [0.9]
    """

    _begins_with_weights = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def init(params: Any) -> Any:
            start = jax.tree.map(lambda p: jnp.array(p, copy=True), params)
            return jax.tree.map(Moments, start, zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            left = powers(iterations, self.beta_2)

            def step(g, old, y):
                beta_1, beta_2 = (jnp.asarray(b, g.dtype) for b in (self.beta_1, self.beta_2))
                count, rate = (
                    jnp.asarray(iterations + 1, g.dtype),
                    jnp.asarray(learning_rate, g.dtype),
                )
                if self.warmup_steps > 0:
                    rate = rate * jnp.minimum(count / self.warmup_steps, 1)
                v = old.velocity + (jnp.square(g) - old.velocity) * (1 - beta_2)
                root = jnp.sqrt(v / (1 - left(g.dtype)[0])) + jnp.asarray(self.epsilon, g.dtype)
                z = old.momentum - rate * g / root
                x = (y - (1 - beta_1) * old.momentum) / beta_1
                x = (1 - 1 / count) * x + 1 / count * z
                return (1 - beta_1) * z + beta_1 * x - y, Moments(z, v)

            return tuple(leafwise(step, grads, state, params))

        return rule(init, update)


class LionState(NamedTuple):
    momentum: Any


class Lion(Optimizer):
    """`w -= rate * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g`.

    (Chen et al. 2023, https://arxiv.org/abs/2302.06675.)

    Args:
        beta_1: the fraction of the momentum in a step; greater than 0 and at most 1.
        beta_2: the decay rate of the momentum.

    The other arguments are those of `Optimizer`. Raises ValueError for a `beta_1` out of range.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 2.0])
    >>> Lion(0.5).apply([jnp.array([3.0, -1.0])], [w])
    >>> w.numpy().tolist()
    [0.5, 2.5]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        # At 0 a step would only depend on the sign of the gradient.
        require(0 < beta_1 <= 1, "greater than 0 and at most 1", beta_1=beta_1)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def init(params: Any) -> LionState:
            return LionState(zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, m):
                beta_1, beta_2 = (
                    jnp.asarray(self.beta_1, g.dtype),
                    jnp.asarray(self.beta_2, g.dtype),
                )
                sign = jnp.sign(m * beta_1 + g * (1.0 - beta_1))
                rate = jnp.asarray(learning_rate, g.dtype)
                return -(rate * sign), m * beta_2 + g * (1.0 - beta_2)

            updates, momentum = leafwise(step, grads, state.momentum)
            return updates, LionState(momentum)

        return rule(init, update)
