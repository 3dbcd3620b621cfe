"""Scaled dot-product attention, and a form of it that is fast on XLA's CPU backend."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core import config
from keraslike.core.operation import op
from keraslike.ops.cpu import Call, on_cpu
from keraslike.ops.wrap import array, public

# The size of scores, in bytes, that fits into the CPU's caches.
_CACHED = 1 << 22
# From this number of targets on, causal attention is computed in blocks of targets, and each block
# leaves out the sources after it. For fewer targets compilation costs more than this saves.
_IN_BLOCKS, _BLOCKS = 512, 4


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
        mask: of the same shape; where it is false, a target does not attend to a source.
        scale: `1 / sqrt(dim)` if omitted.
        is_causal: whether target `i` attends to no source after the `i`-th.
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
            "attn_logits_soft_cap is not supported: omit it. "
            f"Received: attn_logits_soft_cap={attn_logits_soft_cap!r}"
        )
    allowed = config.is_flash_attention_enabled() is not False
    fused = bool(flash_attention) and allowed and jax.default_backend() == "gpu"
    return _attend(query, key, value, {"bias": bias, "mask": mask}, scale, is_causal, fused=fused)


def _dropped_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    kept: jax.Array,
    rate: float,
    mask: jax.Array | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> jax.Array:
    """`dot_product_attention` with dropout of the weights.

    Args:
        kept: `(batch, heads, targets, sources)`; where it is false a weight is set to zero.
        rate: below 1; what is left of the weights is divided by `1 - rate`.

    >>> x = jnp.ones((1, 2, 1, 1))
    >>> _dropped_attention(x, x, x, jnp.array([[[[True, False], [True, True]]]]), 0.5).ravel()
    Array([1., 2.], dtype=float32)
    """
    return _attend(query, key, value, {"mask": mask, "kept": kept}, scale, is_causal, rate)


def _attend(
    query: Any,
    key: Any,
    value: Any,
    extra: dict[str, Any],
    scale: float | None,
    is_causal: bool,
    rate: float = 0.0,
    fused: bool = False,
) -> jax.Array:
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
    arrays = {n: _to_scores(n, array(x), scores) for n, x in extra.items() if x is not None}
    for name, x in arrays.items():
        arrays[name] = x.astype(dtype if name == "bias" else bool)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    settings = (tuple(arrays), scale, bool(is_causal), rate)
    plain = Call(_plain, (*settings, "cudnn" if fused else None))
    return on_cpu(Call(_deferred, settings), plain, q, k, v, *arrays.values())


def _to_scores(name: str, x: jax.Array, scores: tuple) -> jax.Array:
    """Expands to four axes, each of the scores' size or 1."""
    if x.ndim <= 4:
        x = x.reshape((1,) * (4 - x.ndim) + x.shape)
    if x.ndim != 4 or any(n not in (1, m) for n, m in zip(x.shape, scores)):
        raise ValueError(
            f"{name} must broadcast to (batch, heads, targets, sources) = {scores}. "
            f"Received: {name} of shape {x.shape}"
        )
    return x


def _plain(q: jax.Array, k: jax.Array, v: jax.Array, *rest: Any) -> jax.Array:
    *arrays, names, scale, causal, rate, implementation = rest
    given = dict(zip(names, arrays))
    if "kept" in given:  # JAX's own function does not support it.
        k, v = (jnp.repeat(x, q.shape[2] // x.shape[2], 2) for x in (k, v))
        exact = jnp.promote_types(q.dtype, "float32")
        scores = jnp.einsum("bthd,bshd->bhts", q * scale, k, preferred_element_type=exact)
        weights = jax.nn.softmax(_limited(scores, given, causal), -1).astype(v.dtype)
        return jnp.einsum("bhts,bshd->bthd", _dropped(weights, given, rate), v)
    if v.shape[-1] == k.shape[-1]:
        return jax.nn.dot_product_attention(
            q, k, v, **given, scale=scale, is_causal=causal, implementation=implementation
        )
    # JAX's function requires values of the keys' size; columns of zeros give columns of zeros.
    size = max(v.shape[-1], k.shape[-1])
    q, k, padded = (jnp.pad(x, [(0, 0)] * 3 + [(0, size - x.shape[-1])]) for x in (q, k, v))
    out = _plain(q, k, padded, *arrays, names, scale, causal, rate, implementation)
    return out[..., : v.shape[-1]]


# XLA's CPU backend is slow at products whose contracted axis is not in the right place, and each
# pass over the scores, the largest array, costs as much as a product. So heads precede tokens, the
# keys (the smaller array) are transposed before the product, and the output is divided by the sum
# of the exponentials rather than the exponentials themselves: the gradient then only needs the sum
# of `output * its gradient` over the sources. If the scores exceed the caches, they are computed
# for a few samples at a time and recomputed for the gradient, which is faster than keeping them.


def _deferred(q: jax.Array, k: jax.Array, v: jax.Array, *rest: Any) -> jax.Array:
    *arrays, names, scale, causal, rate = rest
    given = dict(zip(names, arrays))
    # As elsewhere, a target whose sources are all masked gets the mean of all sources.
    form = _in_blocks if causal and not {"mask", "bias"} & set(given) else _some
    some = functools.partial(form, scale=scale, causal=causal, rate=rate)
    batch, size = q.shape[0], (q.shape[2], q.shape[1], k.shape[1])
    if not all(isinstance(n, int) for n in (batch, *size)):  # In an export.
        return some((q, k, v), given)
    parts = min(batch, -(-4 * batch * math.prod(size) // _CACHED))
    if parts <= 1:
        return some((q, k, v), given)
    each = -(-batch // parts)
    shared = {n: x for n, x in given.items() if x.shape[0] == 1}
    own = (q, k, v), {n: x for n, x in given.items() if n not in shared}

    def part(own: Any) -> jax.Array:
        return some(own[0], {**shared, **own[1]})

    whole, left = batch // each * each, []
    looped = jax.tree.map(lambda x: x[:whole].reshape(-1, each, *x.shape[1:]), own)
    if whole < batch:
        left.append(part(jax.tree.map(lambda x: x[whole:], own)))
    out = lax.map(jax.checkpoint(part), looped)
    return jnp.concatenate([out.reshape(whole, *out.shape[2:]), *left])


def _in_blocks(qkv: tuple, given: dict[str, jax.Array], scale: float, causal: bool, rate: float):
    q, k, v = qkv
    targets, sources = q.shape[1], k.shape[1]
    if not (isinstance(targets, int) and isinstance(sources, int)) or targets < _IN_BLOCKS:
        return _some(qkv, given, scale, causal, rate)
    size, found = -(-targets // _BLOCKS), []
    for first in range(0, targets, size):
        last = min(first + size, targets)
        seen = min(last, sources)
        there = {name: x[:, :, first:last] if x.shape[2] > 1 else x for name, x in given.items()}
        there = {name: x[..., :seen] if x.shape[3] > 1 else x for name, x in there.items()}
        part = q[:, first:last], k[:, :seen], v[:, :seen]
        found.append(_some(part, there, scale, causal, rate, first))
    return jnp.concatenate(found, 1)


def _some(
    qkv: tuple,
    given: dict[str, jax.Array],
    scale: float,
    causal: bool,
    rate: float,
    first: int = 0,
) -> jax.Array:
    """The attention of targets from the position `first` on."""
    q, k, v = qkv
    batch, targets, heads, dim = q.shape
    sources, groups = k.shape[1:3]
    # The heads of a group are treated as additional targets of one product.
    q = (q * scale).reshape(batch, targets, groups, heads // groups, dim)
    q = q.transpose(0, 2, 3, 1, 4).reshape(batch, groups, -1, dim)
    scores = q @ k.transpose(0, 2, 3, 1)
    shape, whole = scores.shape, (batch, heads, targets, sources)
    scores = _limited(scores.reshape(whole), given, causal, first).reshape(shape)
    top = lax.stop_gradient(jnp.max(scores, -1, keepdims=True))
    powers = jnp.exp(scores - top)
    total = jnp.sum(powers, -1, keepdims=True)
    powers = _dropped(powers.reshape(whole), given, rate).reshape(shape)
    out = powers @ v.transpose(0, 2, 1, 3) / total
    out = out.reshape(batch, groups, heads // groups, targets, v.shape[-1])
    return out.transpose(0, 3, 1, 2, 4).reshape(batch, targets, heads, v.shape[-1])


def _limited(
    scores: jax.Array, given: dict[str, jax.Array], causal: bool, first: int = 0
) -> jax.Array:
    """Scores with the bias added, and masked ones so low that their weight is zero."""
    if "bias" in given:
        scores = scores + given["bias"]
    if causal:
        targets, sources = scores.shape[-2:]
        scores = jnp.where(_causal(targets, sources, first), scores, _lowest(scores))
    if "mask" in given:
        scores = jnp.where(given["mask"].astype(bool), scores, _lowest(scores))
    return scores


def _dropped(weights: jax.Array, given: dict[str, jax.Array], rate: float) -> jax.Array:
    if "kept" not in given:
        return weights
    return jnp.where(given["kept"].astype(bool), weights / (1 - rate), 0)


def _causal(targets: int, sources: int, first: int = 0) -> jax.Array:
    """The causal mask of targets from the position `first` on: a target (row) sees the sources up
    to its own position."""
    return first + jnp.arange(targets)[:, None] >= jnp.arange(sources)


def _lowest(scores: jax.Array) -> float:
    """The value that JAX's own function assigns to masked scores."""
    return -0.7 * float(jnp.finfo(scores.dtype).max)


__all__ = public(globals())
