"""Adam, AdamW, Nadam, Adamax, Adafactor and Lion, made as those in `gradient_descent` are."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from keraslike.core import host
from keraslike.core.arguments import require
from keraslike.optimizers.gradient_descent import leafwise, rule, zeros_like
from keraslike.optimizers.optimizer import LearningRate, Optimizer, shared_arguments

__all__ = ["Adam", "AdamW", "Nadam", "Adamax", "Adafactor", "Lion"]


class Moments(NamedTuple):
    momentum: Any
    velocity: Any


def _moments(params: Any) -> Any:
    return jax.tree.map(Moments, zeros_like(params), zeros_like(params))


class AdamState(NamedTuple):
    moments: Any
    velocity_hat: Any


class Adam(Optimizer):
    """`w -= a * m / (sqrt(v) + epsilon)` with moving means `m` of `g` and `v` of `g**2`.

    `m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v)`, and at step `t = 1, 2, ...`
    `a = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)`: `epsilon` is the paper's epsilon-hat
    (Kingma and Ba 2014, https://arxiv.org/abs/1412.6980).

    Args:
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of their squares is kept.
        epsilon: a small number beside the root.
        amsgrad: whether the largest `v` so far is taken (Reddi et al. 2018, "On the Convergence
            of Adam and Beyond").

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
        super().__init__(**shared_arguments(locals()))
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon, amsgrad = self.beta_1, self.beta_2, self.epsilon, self.amsgrad

        def init(params: Any) -> AdamState:
            return AdamState(_moments(params), zeros_like(params) if amsgrad else None)

        def update(grads, state, params=None, *, learning_rate, iterations):
            @functools.cache  # the same for all variables of a dtype
            def size(dtype):
                t = jnp.asarray(iterations + 1, dtype)
                power_1 = jnp.power(jnp.asarray(beta_1, dtype), t)
                power_2 = jnp.power(jnp.asarray(beta_2, dtype), t)
                return jnp.asarray(learning_rate, dtype) * jnp.sqrt(1 - power_2) / (1 - power_1)

            def step(g, old, hat=None):
                m = old.momentum + (g - old.momentum) * (1 - beta_1)
                v = old.velocity + (jnp.square(g) - old.velocity) * (1 - beta_2)
                top = v if hat is None else jnp.maximum(hat, v)
                down = m * size(g.dtype) / (jnp.sqrt(top) + epsilon)
                return -down, Moments(m, v), top

            hats = [state.velocity_hat] if amsgrad else []
            updates, moments, tops = leafwise(step, grads, state.moments, *hats)
            return updates, AdamState(moments, tops if amsgrad else None)

        return rule(init, update)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: `w -= rate * weight_decay * w` first.

    (Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101.) Arguments as Adam's; raises
    ValueError where `weight_decay` is `None`.

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
        require(weight_decay is not None, "a float", weight_decay=weight_decay)
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
        super().__init__(**shared_arguments(locals()), **own)


class NadamState(NamedTuple):
    moments: Any
    u_product: Any


class Nadam(Optimizer):
    """Adam with Nesterov momentum, whose momentum warms up: `u(t) = beta_1 * (1 - 0.96**t / 2)`.

    With `m` and `v` as Adam's and `U = u(1) * ... * u(t)`,
    `m_hat = u(t+1) * m / (1 - U * u(t+1)) + (1 - u(t)) * g / (1 - U)` and
    `w -= rate * m_hat / (sqrt(v / (1 - beta_2**t)) + epsilon)`
    (Dozat 2015, http://cs229.stanford.edu/proj2015/054_report.pdf).

    Args:
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of their squares is kept.
        epsilon: a small number beside the root.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Nadam(0.1).apply([jnp.array([3.0])], [w])
    >>> 0.8 < float(w[0]) < 0.95
    True
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        super().__init__(**shared_arguments(locals()))
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

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

            @functools.cache  # the same for all variables of a dtype
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


class Adamax(Optimizer):
    """Adam by the largest gradient: `u = max(beta_2 * u, |g|); w -= a * m / (u + epsilon)`.

    `a = rate / (1 - beta_1**t)` (Kingma and Ba 2014, section 7, https://arxiv.org/abs/1412.6980).

    Args:
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the largest one is kept.
        epsilon: a small number beside it.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Adamax(0.1).apply([jnp.array([3.0])], [w])
    >>> print(w.numpy().round(4))
    [0.9]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        super().__init__(**shared_arguments(locals()))
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def transform(self) -> optax.GradientTransformationExtraArgs:
        beta_1, beta_2, epsilon = self.beta_1, self.beta_2, self.epsilon

        def init(params: Any) -> Any:
            return jax.tree.map(MomentAndNorm, zeros_like(params), zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            @functools.cache  # the same for all variables of a dtype
            def left(dtype):
                return 1 - jnp.power(jnp.asarray(beta_1, dtype), jnp.asarray(iterations + 1, dtype))

            def step(g, old):
                m = old.momentum + (g - old.momentum) * (1 - beta_1)
                u = jnp.maximum(beta_2 * old.norm, jnp.abs(g))
                rate = jnp.asarray(learning_rate, g.dtype)
                return -(rate * m / (left(g.dtype) * (u + epsilon))), MomentAndNorm(m, u)

            return tuple(leafwise(step, grads, state))

        return rule(init, update)


class Factors(NamedTuple):
    r: Any  # means of rows, and of columns; of a vector nothing, for which files have a 0
    c: Any
    velocity: Any


class Adafactor(Optimizer):
    """Adam's second moments by their rows and columns, steps relative to the size of the weights.

    With `t` the number of the step and `b = 1 - t**beta_2_decay`: `v = b * v + (1 - b) * (g**2 +
    epsilon_1)`, of matrices kept as the means of its last two axes; `u = g / sqrt(v)`, no longer
    than `clip_threshold`; `w -= min(rate, 1 / sqrt(t)) * max(epsilon_2, rms(w)) * u`
    (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235).

    Args:
        beta_2_decay: how the part of the moments that is kept grows.
        epsilon_1: what is added to the squares of the gradients.
        epsilon_2: the least size of weights that steps are relative to.
        clip_threshold: the greatest root mean square of a step before it is scaled.
        relative_step: whether a constant learning rate is bounded by `1 / sqrt(t)`. In Keras, and
            so here, every rate is.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([[2.0, -2.0], [2.0, 2.0]])
    >>> Adafactor(0.5).apply([jnp.full((2, 2), 3.0)], [w])
    >>> print(w.numpy())
    [[ 1. -3.]
     [ 1.  1.]]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        super().__init__(**shared_arguments(locals()))
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def start(p: Any) -> Factors:
            whole = host.full(p.shape, 0, p.dtype)
            if p.ndim < 2:
                nothing = host.full((), 0, "int32")
                return Factors(nothing, nothing, whole)
            rows = host.full(p.shape[:-1], 0, p.dtype)
            return Factors(rows, host.full((*p.shape[:-2], p.shape[-1]), 0, p.dtype), whole)

        def init(params: Any) -> Any:
            return jax.tree.map(start, params)

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, old, w):
                count = jnp.asarray(iterations + 1, g.dtype)
                kept = 1 - count**self.beta_2_decay
                square = jnp.square(g) + self.epsilon_1
                r, c = old.r, old.c
                if g.ndim < 2:
                    v = kept * old.velocity + (1 - kept) * square
                else:
                    r = kept * r + (1 - kept) * square.mean(-1)
                    c = kept * c + (1 - kept) * square.mean(-2)
                    v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
                u = g / jnp.sqrt(v)
                u = u / jnp.maximum(jnp.asarray(1, g.dtype), _rms(u) / self.clip_threshold)
                size = jnp.maximum(jnp.asarray(self.epsilon_2, g.dtype), _rms(w))
                rate = jnp.minimum(jnp.asarray(learning_rate, g.dtype), 1 / jnp.sqrt(count))
                return -(size * rate * u), Factors(r, c, v)

            return tuple(leafwise(step, grads, state, params))

        return rule(init, update)


def _rms(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(jnp.square(x)))


class LionState(NamedTuple):
    momentum: Any


class Lion(Optimizer):
    """`w -= rate * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g`.

    (Chen et al. 2023, https://arxiv.org/abs/2302.06675.)

    Args:
        beta_1: the part of the momentum in a step; greater than 0 and at most 1.
        beta_2: how much of the momentum is kept.

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
        super().__init__(**shared_arguments(locals()))
        # At 0 only the sign of the gradient would count.
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
