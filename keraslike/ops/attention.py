"""Scaled dot-product attention, and the form of it that XLA's CPU backend is fast at."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core.symbolic import op
from keraslike.ops.cpu import Call, on_cpu
from keraslike.ops.wrap import array, public


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> jax.Array:
    """`softmax(scale * query @ key.T + bias) @ value`, head by head (arXiv:1706.03762).

    Args:
        query: `(batch, targets, heads, dim)`.
        key: `(batch, sources, groups, dim)`; each of the `groups` serves `heads / groups` heads.
        value: `(batch, sources, groups, value_dim)`.
        bias: added to the scores; broadcasts to `(batch, heads, targets, sources)`.
        mask: of the same shape; where it is false a target does not see a source.
        scale: `1 / sqrt(dim)` where it is left out.
        is_causal: whether target `i` sees no source after the `i`-th.
        flash_attention: whether a GPU must use cuDNN's fused kernel; by default XLA's code runs.
        attn_logits_soft_cap: must be left out.

    Returns `(batch, targets, heads, value_dim)`. Raises ValueError for arrays of another rank,
    heads that are no multiple of the groups, and a bias or mask that does not broadcast.

    >>> x = jnp.ones((1, 3, 2, 4))
    >>> dot_product_attention(x, x, x).shape
    (1, 3, 2, 4)
    """
    if attn_logits_soft_cap is not None:
        raise ValueError(
            "attn_logits_soft_cap is not supported: leave it out. "
            f"Received: attn_logits_soft_cap={attn_logits_soft_cap!r}"
        )
    q, k, v = array(query), array(key), array(value)
    for name, x in (("query", q), ("key", k), ("value", v)):
        if x.ndim != 4:
            raise ValueError(f"{name} must have 4 axes. Received: {name} of shape {x.shape}")
    dtype = jnp.result_type(q, k, v)
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    heads, groups = q.shape[2], k.shape[2]
    if heads % groups or v.shape[2] != groups:
        raise ValueError(
            "The query's heads must be a multiple of those of key and value, which are the same. "
            f"Received: query of shape {q.shape}, key of {k.shape}, value of {v.shape}"
        )
    scores = (q.shape[0], heads, q.shape[1], k.shape[1])
    extra = {"bias": bias, "mask": mask}
    arrays = {n: _to_scores(n, array(x), scores) for n, x in extra.items() if x is not None}
    if "mask" in arrays:
        arrays["mask"] = arrays["mask"].astype(bool)
    if "bias" in arrays:
        arrays["bias"] = arrays["bias"].astype(dtype)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    settings = (tuple(arrays), scale, bool(is_causal))
    fused = bool(flash_attention) and jax.default_backend() == "gpu"
    return on_cpu(
        Call(_deferred, settings),
        Call(_plain, (*settings, "cudnn" if fused else None)),
        q,
        k,
        v,
        *arrays.values(),
    )


def _to_scores(name: str, x: jax.Array, scores: tuple) -> jax.Array:
    """With all four axes, each of them of the scores' size or 1."""
    if x.ndim <= 4:
        x = x.reshape((1,) * (4 - x.ndim) + x.shape)
    if x.ndim != 4 or any(n not in (1, m) for n, m in zip(x.shape, scores)):
        raise ValueError(
            f"{name} must broadcast to (batch, heads, targets, sources) = {scores}. "
            f"Received: {name} of shape {x.shape}"
        )
    return x


def _plain(q: jax.Array, k: jax.Array, v: jax.Array, *rest: Any) -> jax.Array:
    *arrays, names, scale, causal, implementation = rest
    given = dict(zip(names, arrays))
    if v.shape[-1] == k.shape[-1]:
        return jax.nn.dot_product_attention(
            q, k, v, **given, scale=scale, is_causal=causal, implementation=implementation
        )
    # JAX's function wants values of the keys' size; columns of zeros add columns of zeros.
    size = max(v.shape[-1], k.shape[-1])
    q, k, padded = (jnp.pad(x, [(0, 0)] * 3 + [(0, size - x.shape[-1])]) for x in (q, k, v))
    out = _plain(q, k, padded, *arrays, names, scale, causal, implementation)
    return out[..., : v.shape[-1]]


# XLA's CPU backend is slow at products whose contracted axis is not where it wants it, and each
# pass over the scores, the largest array there is, costs as much as a product. So the heads come
# before the tokens, the keys are transposed before the product (the smaller array), and it is the
# output that is divided by the sum of the exponentials, not they themselves: the gradient then
# needs the sum over the sources of `output * its gradient` only.


def _deferred(q: jax.Array, k: jax.Array, v: jax.Array, *rest: Any) -> jax.Array:
    *arrays, names, scale, causal = rest
    batch, targets, heads, dim = q.shape
    sources, groups = k.shape[1:3]
    # The heads of a group follow each other as more targets of one product.
    q = (q * scale).reshape(batch, targets, groups, heads // groups, dim)
    q = q.transpose(0, 2, 3, 1, 4).reshape(batch, groups, -1, dim)
    scores = q @ k.transpose(0, 2, 3, 1)
    whole = (batch, heads, targets, sources)
    if arrays or causal:
        given = dict(zip(names, arrays))
        shape, scores = scores.shape, scores.reshape(whole)
        if "bias" in given:
            scores = scores + given["bias"]
        if causal:
            scores = jnp.where(_causal(targets, sources), scores, _lowest(scores))
        if "mask" in given:
            scores = jnp.where(given["mask"].astype(bool), scores, _lowest(scores))
        scores = scores.reshape(shape)
    top = lax.stop_gradient(jnp.max(scores, -1, keepdims=True))
    powers = jnp.exp(scores - top)
    out = powers @ v.transpose(0, 2, 1, 3) / jnp.sum(powers, -1, keepdims=True)
    out = out.reshape(batch, groups, heads // groups, targets, v.shape[-1])
    return out.transpose(0, 3, 1, 2, 4).reshape(batch, targets, heads, v.shape[-1])


def _causal(targets: int, sources: int) -> jax.Array:
    """Whether a target, a row, sees a source: none after its own place."""
    return jnp.arange(targets)[:, None] >= jnp.arange(sources)


def _lowest(scores: jax.Array) -> float:
    """What JAX's own function gives scores that are masked."""
    return -0.7 * float(jnp.finfo(scores.dtype).max)


__all__ = public(globals())
