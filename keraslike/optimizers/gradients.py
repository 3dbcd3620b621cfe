"""Processing of gradients before the update rule: selection, overwriting, clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from keraslike.core import sparsity
from keraslike.core.arguments import warn_user
from keraslike.optimizers.state import dtype_of, is_overwritten, label, write


def with_gradients(
    grads: list[Any], variables: list[nnx.Variable]
) -> tuple[list[Any], list[nnx.Variable]]:
    """The gradients that are not `None`, as arrays, with their variables."""
    pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
    if not pairs:
        raise ValueError(
            f"No gradients provided for any variable. All {len(grads)} gradients are None: the "
            "loss depends on no variable."
        )
    if len(pairs) < len(grads):
        missing = [label(v, i) for i, (g, v) in enumerate(zip(grads, variables)) if g is None]
        warn_user(f"The loss does not depend on {missing}: no gradient.")
    arrays = [sparsity.dense(g) for g, _ in pairs]
    arrays = [g if isinstance(g, jax.Array) else jnp.asarray(g) for g in arrays]
    for i, (g, (_, v)) in enumerate(zip(arrays, pairs)):
        if g.shape != v._raw_value.shape:
            raise ValueError(
                f"The gradient of '{label(v, i)}' has shape {g.shape}; "
                f"the variable has shape {v._raw_value.shape}."
            )
    return arrays, [v for _, v in pairs]


def overwrite(
    grads: list[Any],
    variables: list[nnx.Variable],
    accumulators: Mapping[int, nnx.Variable],
    last: Any,
) -> tuple[list[Any], list[nnx.Variable]]:
    """Assigns gradients to variables that are overwritten with them; returns the other pairs.

    With accumulators (by the ids of variables) the value is the maximum of the accumulated
    gradients, and it is assigned in the last step of the accumulation.
    """
    rest: tuple[list[Any], list[nnx.Variable]] = [], []
    for g, v in zip(grads, variables):
        if not is_overwritten(v):
            rest[0].append(g)
            rest[1].append(v)
            continue
        g = g.astype(dtype_of(v))
        accumulator = accumulators.get(id(v))
        if accumulator is not None:
            g = jnp.maximum(g, accumulator._raw_value)
            write([accumulator], [jnp.where(last, jnp.zeros_like(g), g)])
            g = jnp.where(last, g, v._raw_value)
        write([v], [g])
    return rest


def clip(
    grads: list[Any],
    norm: float | None = None,
    global_norm: float | None = None,
    value: float | None = None,
) -> list[Any]:
    """Gradients clipped to a norm each, to a norm together, and to a largest element.

    >>> [g.tolist() for g in clip([jnp.array([3.0, 4.0])], norm=1.0, global_norm=None, value=None)]
    [[0.6000000238418579, 0.800000011920929]]
    """
    if norm and norm > 0:
        return [g * norm / jnp.maximum(optax.tree.norm(g), norm) for g in grads]
    if global_norm and global_norm > 0:
        size = optax.tree.norm(grads)
        scale = global_norm * jnp.minimum(1 / size, 1 / global_norm)
        scale = scale + (size - size)  # For an infinite norm the result is NaN.
        return [g * scale.astype(g.dtype) for g in grads]
    if value and value > 0:
        return [jnp.clip(g, -value, value) for g in grads]
    return grads
