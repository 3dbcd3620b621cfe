"""Gradient descent and the rules that scale it by past gradients: SGD, RMSprop, Adagrad, Adadelta,
Ftrl.

Each class is a Keras name and its hyperparameters over an optax transform, which follows Keras's
arithmetic to the order of operations. The transform's state, flattened, is in the order in which
Keras's files hold an optimizer's variables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import optax

from keraslike.core import host
from keraslike.core.pending import Pending, zeros_to_come
from keraslike.optimizers.optimizer import LearningRate, Optimizer
from keraslike.optimizers.shared import Shared

__all__ = ["SGD", "RMSprop", "Adagrad", "Adadelta", "Ftrl"]


def rule(init: Callable, update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transform with `init(params)` and `update(grads, state, params, learning_rate,
    iterations)`.

    The result of `update` is added to the parameters. `iterations` counts from 0.
    """
    return optax.GradientTransformationExtraArgs(init, update)


def leafwise(function: Callable, grads: Any, *trees: Any) -> list[Any]:
    """Maps a function that returns several values over trees; returns a tree for each value, with
    the structure of `grads`."""
    leaves, structure = jax.tree.flatten(grads)
    rows = zip(leaves, *(structure.flatten_up_to(tree) for tree in trees), strict=True)
    return [structure.unflatten(column) for column in zip(*(function(*row) for row in rows))]


def zeros_like(params: Any) -> Any:
    """Zeros with the shapes of arrays; for pending weights, pending zeros."""
    return jax.tree.map(lambda p: zeros(p, p.shape), params)


def zeros(like: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(like, Pending):
        return zeros_to_come(shape, like.dtype)
    return host.full(shape, 0, like.dtype)


class SGDState(NamedTuple):
    momentum: Any


class SGD(Optimizer):
    """Gradient descent, `w = w - rate * g`, or with momentum.

    Momentum: `m = momentum * m - rate * g; w = w + m`. Nesterov's:
    `w = w + momentum * m - rate * g` (Sutskever et al. 2013, "On the importance of
    initialization and momentum in deep learning").

    Args:
        momentum: a float between 0 and 1.
        nesterov: whether to use Nesterov momentum.

    The other arguments are those of `Optimizer`. Raises ValueError for a momentum out of range.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 2.0])
    >>> SGD(0.5).apply([jnp.array([1.0, -1.0])], [w])
    >>> w.numpy().tolist()
    [0.5, 2.5]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(
                f"`momentum` must be a float between [0, 1]. Received: momentum={momentum!r}"
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def transform(self) -> optax.GradientTransformationExtraArgs:
        momentum, nesterov = self.momentum, self.nesterov

        def init(params: Any) -> SGDState:
            return SGDState(zeros_like(params) if momentum else None)

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, m=None):
                down = g * jnp.asarray(learning_rate, g.dtype)
                if m is None:
                    return -down, None
                m = m * momentum - down
                return (m * momentum - down if nesterov else m), m

            if not momentum:
                return leafwise(step, grads)[0], state
            updates, m = leafwise(step, grads, state.momentum)
            return updates, SGDState(m)

        return rule(init, update)


class RMSpropState(NamedTuple):
    velocity: Any
    momentum: Any
    average_gradient: Any


class RMSprop(Optimizer):
    """`v = rho * v + (1 - rho) * g**2; w = w - rate * g / sqrt(v + epsilon)` (Hinton 2012).

    Args:
        rho: the decay rate of the average of squares.
        momentum: the fraction of the last step that is added to the next; 0 for none.
        epsilon: a small number added under the square root.
        centered: whether to subtract the square of the average gradient from `v`, which gives its
            variance.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 2.0])
    >>> RMSprop(0.1, rho=0.0).apply([jnp.array([3.0, -3.0])], [w])
    >>> print(w.numpy().round(4))
    [0.9 2.1]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def transform(self) -> optax.GradientTransformationExtraArgs:
        rho, momentum, epsilon, centered = self.rho, self.momentum, self.epsilon, self.centered

        def init(params: Any) -> RMSpropState:
            return RMSpropState(
                velocity=zeros_like(params),
                momentum=zeros_like(params) if momentum > 0 else None,
                average_gradient=zeros_like(params) if centered else None,
            )

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, v, *others):
                others = list(others)
                v = rho * v + (1 - rho) * jnp.square(g)
                variance = v
                if centered:
                    others[-1] = rho * others[-1] + (1 - rho) * g
                    variance = v - jnp.square(others[-1])
                down = jnp.asarray(learning_rate, g.dtype) * g / jnp.sqrt(variance + epsilon)
                if momentum > 0:
                    others[0] = down = momentum * others[0] + down
                return -down, v, *others

            used = [tree for tree in state if tree is not None]
            updates, *new = leafwise(step, grads, *used)
            new = iter(new)
            return updates, RMSpropState(*(None if tree is None else next(new) for tree in state))

        return rule(init, update)


class AdagradState(NamedTuple):
    accumulator: Any


class Adagrad(Optimizer):
    """`a = a + g**2; w = w - rate * g / sqrt(a + epsilon)`.

    (Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html.)

    Args:
        initial_accumulator_value: `a` at the start.
        epsilon: a small number added under the square root.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Adagrad(0.5, initial_accumulator_value=0.0).apply([jnp.array([2.0])], [w])
    >>> print(w.numpy().round(4))
    [0.5]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def transform(self) -> optax.GradientTransformationExtraArgs:
        initial, epsilon = self.initial_accumulator_value, self.epsilon

        def init(params: Any) -> AdagradState:
            return AdagradState(
                jax.tree.map(lambda p: host.full(p.shape, initial, p.dtype), params)
            )

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, a):
                a = a + jnp.square(g)
                return -(jnp.asarray(learning_rate, g.dtype) * g / jnp.sqrt(a + epsilon)), a

            updates, accumulator = leafwise(step, grads, state.accumulator)
            return updates, AdagradState(accumulator)

        return rule(init, update)


class Accumulated(NamedTuple):
    accumulated_grad: Any
    accumulated_delta_var: Any


class Adadelta(Optimizer):
    """`w = w + rate * d` with `d = -g * rms(d) / rms(g)`, both means moving ones.

    `rms(x) = sqrt(mean + epsilon); mean = rho * mean + (1 - rho) * x**2`
    (Zeiler 2012, https://arxiv.org/abs/1212.5701).

    Args:
        rho: the decay rate of the moving means.
        epsilon: a small number added under the square root.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0])
    >>> Adadelta(1.0).apply([jnp.array([2.0])], [w])
    >>> 0.99 < float(w[0]) < 1
    True
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.rho = rho
        self.epsilon = epsilon

    def transform(self) -> optax.GradientTransformationExtraArgs:
        rho, epsilon = self.rho, self.epsilon

        def init(params: Any) -> Any:
            return jax.tree.map(Accumulated, zeros_like(params), zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, old):
                grad = rho * old.accumulated_grad + (1 - rho) * jnp.square(g)
                past = jnp.sqrt(old.accumulated_delta_var + epsilon)
                delta = -(past * g / jnp.sqrt(grad + epsilon))
                deltas = rho * old.accumulated_delta_var + (1 - rho) * jnp.square(delta)
                return jnp.asarray(learning_rate, g.dtype) * delta, Accumulated(grad, deltas)

            return tuple(leafwise(step, grads, state))

        return rule(init, update)


class FtrlState(NamedTuple):
    accumulator: Any
    linear: Any


class Ftrl(Optimizer):
    """Follow the regularized leader: computes the weights from all gradients so far, with an l1
    penalty that makes many of them exactly zero.

    With `G = g + 2 * l2_shrinkage * w`, `p = -learning_rate_power`, and `n` the accumulator:
    `z = z + G - ((n + g**2)**p - n**p) / rate * w; n = n + g**2;
    w = (clip(z, -l1, l1) - z) / (n**p / rate + 2 * l2 + beta / rate)`
    (McMahan et al. 2013, https://research.google.com/pubs/archive/41159.pdf).

    Args:
        learning_rate_power: the power by which steps decrease; 0 keeps their length.
        initial_accumulator_value: `n` at the start.
        l1_regularization_strength, l2_regularization_strength: weights of the two penalties.
        l2_shrinkage_regularization_strength: the weight of an l2 penalty that is added to the
            gradient.
        beta: a number added to `n**p`.

    The other arguments are those of `Optimizer`. Raises ValueError for a negative strength or
    start, or a positive power.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 1.0])
    >>> Ftrl(0.5, l1_regularization_strength=1.0).apply([jnp.array([-9.0, 0.5])], [w])
    >>> print(w.numpy().round(4))
    [1.4091 0.    ]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        for sign, argument in (
            (-1, "learning_rate_power"),
            (1, "initial_accumulator_value"),
            (1, "l1_regularization_strength"),
            (1, "l2_regularization_strength"),
            (1, "l2_shrinkage_regularization_strength"),
        ):
            value = locals()[argument]
            if value * sign < 0:
                raise ValueError(
                    f"`{argument}` needs to be {'positive' if sign > 0 else 'negative'} or zero. "
                    f"Received: {argument}={value!r}."
                )
            setattr(self, argument, value)
        self.beta = beta

    def transform(self) -> optax.GradientTransformationExtraArgs:
        initial, power = self.initial_accumulator_value, -self.learning_rate_power
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength
        shrinkage, beta = self.l2_shrinkage_regularization_strength, self.beta

        def init(params: Any) -> Any:
            full = jax.tree.map(lambda p: host.full(p.shape, initial, p.dtype), params)
            return jax.tree.map(FtrlState, full, zeros_like(params))

        def update(grads, state, params=None, *, learning_rate, iterations):
            def step(g, old, w):
                rate = jnp.asarray(learning_rate, g.dtype)
                n = old.accumulator + jnp.square(g)
                longer = (n**power - old.accumulator**power) / rate
                z = old.linear + (g + 2 * shrinkage * w - longer * w)
                quadratic = n**power / rate + 2 * (l2 + beta / (2.0 * rate))
                return (jnp.clip(z, -l1, l1) - z) / quadratic - w, FtrlState(n, z)

            return tuple(leafwise(step, grads, state, params))

        return rule(init, update)
