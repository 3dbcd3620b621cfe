"""Attention: for each target, a mean of the values that is weighted by how well its query matches
the keys.

Queries have axes `(batch, targets, features)`, keys and values `(batch, sources, features)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import random
from keraslike.core.arguments import fraction
from keraslike.core.rng import SeedGenerator
from keraslike.core.static import Shape
from keraslike.layers.layer import Layer
from keraslike.ops.attention import _causal
from keraslike.ops.products import matmul


class Attention(Layer):
    """`softmax(query @ key.T) @ value`, Luong's attention (arXiv:1508.04025).

    Args:
        use_scale: whether the scores are multiplied by a weight.
        score_mode: `"dot"` for `query @ key.T`, `"concat"` for a weight times the sum over the
            features of `tanh(query + key)`.
        dropout: the fraction of weights set to zero in training.
        seed: the seed of the dropout's random stream; drawn if it is omitted.

    Call arguments:
        inputs: a list `[query, value]` or `[query, value, key]`; by default the keys are the
            values.
        mask: a list of masks in the same order, `(batch, targets)` and `(batch, sources)`. Values
            whose mask is false are ignored, and the output for such a query is zero.
        return_attention_scores: whether to return the weights `(batch, targets, sources)` as well.
        use_causal_mask: whether target `i` attends only to sources up to the `i`-th.

    Returns `(batch, targets, features of value)`. Raises ValueError for other inputs.

    >>> x = jnp.ones((1, 3, 4))
    >>> Attention()([x, x]).shape
    (1, 3, 4)
    """

    supports_masking = True
    scale: Any = None
    concat_score_weight: Any = None

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                "Invalid value for argument score_mode. Expected one of {'dot', 'concat'}. "
                f"Received: score_mode={score_mode}"
            )
        self.score_mode = score_mode
        self.dropout = fraction(dropout=dropout)
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Sequence[Any]) -> None:
        _check_list(self, "inputs", input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _calculate_scores(self, query: jax.Array, key: jax.Array) -> jax.Array:
        if self.score_mode == "dot":
            scores = jnp.matmul(query, jnp.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale.value
        both = query[..., :, None, :] + key[..., None, :, :]
        if self.scale is not None:
            both = both * self.scale.value
        return self.concat_score_weight.value * jnp.sum(jnp.tanh(both), -1)

    def _calculate_score_mask(
        self, scores: jax.Array, v_mask: jax.Array | None, use_causal_mask: bool
    ) -> jax.Array | None:
        """The mask of visible sources, which broadcasts to the scores; `None` if all are
        visible."""
        seen = None if v_mask is None else v_mask[..., None, :].astype(bool)
        if not use_causal_mask:
            return seen
        causal = _causal(*scores.shape[-2:])[None]
        return causal if seen is None else seen & causal

    def call(
        self,
        inputs: Sequence[jax.Array],
        mask: Sequence[jax.Array | None] | None = None,
        training: bool | None = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        _check_list(self, "inputs", inputs)
        if mask is not None:
            _check_list(self, "mask", mask)
        query, value, *rest = inputs
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        scores = self._calculate_scores(query, rest[0] if rest else value)
        seen = self._calculate_score_mask(scores, value_mask, use_causal_mask)
        if seen is not None:
            far = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(seen, scores, scores - far)
        weights = jax.nn.softmax(scores, -1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        outputs = jnp.matmul(weights, value)
        if query_mask is not None:
            outputs = jnp.where(query_mask[..., None].astype(bool), outputs, 0)
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> jax.Array | None:
        return None if mask is None else mask[0]


class AdditiveAttention(Attention):
    """Bahdanau's attention (arXiv:1409.0473), with scores `sum(scale * tanh(query + key))`.

    Args:
        use_scale: whether there is a weight `scale` with one entry per feature.
        dropout: the fraction of weights set to zero in training.

    >>> x = jnp.ones((1, 3, 4))
    >>> AdditiveAttention()([x, x]).shape
    (1, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Sequence[Any]) -> None:
        _check_list(self, "inputs", input_shape)
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _calculate_scores(self, query: jax.Array, key: jax.Array) -> jax.Array:
        terms = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        if self.scale is None:
            return jnp.sum(terms, -1)
        return matmul(terms, self.scale.value.astype(terms.dtype))

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        args.pop("score_mode", None)
        return args


def _check_list(layer: Layer, name: str, values: Any) -> None:
    several = isinstance(values, (list, tuple)) and not isinstance(values, Shape)
    if not several or len(values) not in (2, 3):
        raise ValueError(
            f"Layer '{layer.name}': {type(layer).__name__} layer "
            f"{'must be called on' if name == 'inputs' else f'{name} must be'} a list of length "
            f"2 or 3, of query, value and key. Received: {name}={values}"
        )
