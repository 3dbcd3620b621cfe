"""Adafactor and Muon, whose rules treat matrices specially. They are defined like those in
`gradient_descent`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from keraslike.core import host
from keraslike.optimizers.adam import Moments, moved, step_size
from keraslike.optimizers.gradient_descent import leafwise, rule, zeros
from keraslike.optimizers.optimizer import LearningRate, Optimizer
from keraslike.optimizers.shared import Shared, SharedButDecay
from keraslike.optimizers.state import key_of, label

__all__ = ["Adafactor", "Muon"]


class Factors(NamedTuple):
    r: Any  # Means over rows, and over columns. A vector has none, for which files contain a 0.
    c: Any
    velocity: Any


class Adafactor(Optimizer):
    """Adam with second moments factored into rows and columns, and steps relative to the weights.

    At step `t`, with `b = 1 - t**beta_2_decay`: `v = b * v + (1 - b) * (g**2 + epsilon_1)`, stored
    for matrices as the means over the last two axes; `u = g / sqrt(v)`, clipped to the length
    `clip_threshold`; `w -= min(rate, 1 / sqrt(t)) * max(epsilon_2, rms(w)) * u` (Shazeer & Stern
    2018, https://arxiv.org/abs/1804.04235).

    Args:
        beta_2_decay: the exponent with which the decay rate of the moments approaches 1.
        epsilon_1: a number added to the squared gradients.
        epsilon_2: a lower bound of the size of weights to which steps are relative.
        clip_threshold: the greatest root mean square of a step before it is scaled.
        relative_step: whether a constant learning rate is bounded by `1 / sqrt(t)`. As in Keras,
            every rate is.

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
        **shared: Unpack[Shared],
    ):
        super().__init__(learning_rate, **shared)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def start(p: Any) -> Factors:
            whole = zeros(p, p.shape)
            if p.ndim < 2:
                nothing = host.full((), 0, "int32")
                return Factors(nothing, nothing, whole)
            rows = zeros(p, p.shape[:-1])
            return Factors(rows, zeros(p, (*p.shape[:-2], p.shape[-1])), whole)

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


class Muon(Optimizer):
    """Momentum with orthogonalized steps for matrices, and AdamW for other variables.

    `m = momentum * m + g`, and with `u` the matrix `m` (or `g + momentum * m`) with all singular
    values moved close to 1 by `ns_steps` Newton-Schulz iterations, `w -= rate * rms_rate *
    sqrt(max(w.shape)) * u` (https://kellerjordan.github.io/posts/muon, and Liu et al. 2025,
    https://arxiv.org/abs/2502.16982).

    Adam updates variables that are not matrices, embeddings, and those of `exclude_layers` (usually
    the last layer).

    Args:
        adam_beta_1, adam_beta_2, epsilon: Adam's.
        adam_weight_decay: the weight decay of variables that Adam updates; `weight_decay` is that
            of the others.
        exclude_layers: regular expressions of paths of variables that are left to Adam.
        exclude_embeddings: whether Adam updates variables whose paths contain "embedding".
        muon_a, muon_b, muon_c: the coefficients of the iteration.
        adam_lr_ratio: the ratio of Adam's learning rate to the other.
        momentum: the decay rate of the sum of gradients.
        ns_steps: the number of iterations.
        nesterov: whether to use Nesterov momentum.
        rms_rate: the length of the steps; `None` for `w -= rate * u`.

    The other arguments are those of `Optimizer`.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable(jnp.zeros((2, 2)))
    >>> Muon(1.0, rms_rate=None).apply([jnp.array([[5.0, 0.0], [0.0, 5.0]])], [w])
    >>> bool((abs(w.numpy() + jnp.eye(2)) < 0.3).all())
    True
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **shared: Unpack[SharedButDecay],
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **shared)
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _param_keys(self, variables: Sequence[nnx.Variable]) -> tuple[Any, ...]:
        return tuple((i, label(v, i)) for i, v in enumerate(variables))

    def _uses_adam(self, key: Any, value: Any) -> bool:
        """Whether Adam updates the variable with this key."""
        path = key[1] if isinstance(key, tuple) else str(key)
        if value.ndim != 2 or (self.exclude_embeddings and "embedding" in path.lower()):
            return True
        return any(re.search(pattern, path) for pattern in self.exclude_layers)

    def _weight_decay_of(self, key: Any, value: Any) -> float | None:
        return self.adam_weight_decay if self._uses_adam(key, value) else self.weight_decay

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def start(path: Any, p: Any) -> Moments:
            zero = zeros(p, p.shape)
            second = zeros(p, p.shape) if self._uses_adam(key_of(path), p) else None
            return Moments(zero, second)

        def init(params: Any) -> Any:
            return jax.tree_util.tree_map_with_path(start, params)

        def update(grads, state, params=None, *, learning_rate, iterations):
            betas = self.adam_beta_1, self.adam_beta_2
            size = step_size(learning_rate * self.adam_lr_ratio, iterations, *betas)

            def step(g, old):
                if old.velocity is None:
                    return self._matrix_step(g, old, learning_rate)
                m, v = new = moved(g, old, *betas)
                return -(m * size(g.dtype) / (jnp.sqrt(v) + self.epsilon)), new

            return tuple(leafwise(step, grads, state))

        return rule(init, update)

    def _matrix_step(self, g: Any, old: Moments, learning_rate: Any) -> tuple[Any, Moments]:
        m = old.momentum + (g + old.momentum * (self.momentum - 1))
        u = g + self.momentum * m if self.nesterov else m
        u = self.zeropower_via_newtonschulz5(u, self.ns_steps)
        return -self.lr_adjust(jnp.asarray(learning_rate, u.dtype) * u), Moments(m, None)

    def lr_adjust(self, x: Any) -> Any:
        """Scales an update to the length that `rms_rate` requests."""
        return x if self.rms_rate is None else x * max(x.shape) ** 0.5 * self.rms_rate

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """A matrix with the singular vectors of `x`, and singular values near 1."""
        if x.ndim != 2:
            raise ValueError(f"x must be a matrix. Received: shape={x.shape}")
        if x.shape[0] > x.shape[1]:
            return self.zeropower_via_newtonschulz5(x.T, steps).T
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x
