"""Attention with several heads, each of which has its own projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import initializers, random, regularizers
from keraslike.core import context, policies, serialization
from keraslike.core.arguments import fraction, positive
from keraslike.layers.activation import Softmax
from keraslike.layers.dense import EinsumDense
from keraslike.layers.layer import Layer
from keraslike.layers.regularization import Dropout
from keraslike.layers.signatures import call_takes
from keraslike.layers.weighted import resolved
from keraslike.ops.attention import _causal, _dropped_attention, dot_product_attention
from keraslike.quantizers import AbsMaxQuantizer


def _alias_of(name: str) -> Any:
    return property(
        lambda self: getattr(self, name), lambda self, layer: setattr(self, name, layer)
    )


class _Heads(Layer):
    """The common base of `MultiHeadAttention` and `GroupedQueryAttention`."""

    supports_masking = True
    _saves_activity_regularizer = True
    _softmax: Any
    _dropout_layer: Any
    _query_dense: Any
    _key_dense: Any
    _value_dense: Any
    _output_dense: Any
    _flash_attention = _alias_of("flash_attention")
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    def __init__(
        self,
        heads: int,
        groups: int,
        sizes: tuple[int, int],
        output_shape: tuple[int, ...] | None,
        settings: dict[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._heads, self._groups, self._sizes = heads, groups, sizes
        self._outputs = output_shape
        self._scale = 1 / math.sqrt(sizes[0])
        for kind in ("initializer", "regularizer", "constraint"):
            for name in (f"kernel_{kind}", f"bias_{kind}"):
                setattr(self, name, resolved(name, settings[name]))
        # It applies to the outputs of the projections, not to those of this layer.
        self._activities = regularizers.get(settings["activity_regularizer"])
        self.dropout = fraction(dropout=settings["dropout"])
        self.use_bias = settings["use_bias"]
        self.use_gate = settings["use_gate"]
        self.seed = settings["seed"]
        window = settings["sliding_window"]
        self.sliding_window = None if window is None else positive(sliding_window=window)
        self.flash_attention = settings["flash_attention"]
        if self.flash_attention and self.dropout > 0:
            raise ValueError(
                "Dropout is not supported when flash attention is enabled. "
                f"Received: dropout={self.dropout}, flash_attention={self.flash_attention}"
            )

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        # It depends on the hardware and is not part of the model.
        args.pop("flash_attention", None)
        return {**args, "activity_regularizer": self._activities}

    def get_config(self) -> dict[str, Any]:
        """The arguments. If projections are quantized, `dtype` is a map that contains their
        policies."""
        config = super().get_config()
        quantized = {x.name: x for x in self._sublayers if x._is_quantized}
        for x in quantized.values():
            default = AbsMaxQuantizer() if x.quantization_mode in x._quantizes_inputs else None
            if x.inputs_quantizer != default:
                raise ValueError(
                    f"Layer '{self.name}' cannot store in its config how the inputs of "
                    f"'{x.name}' are quantized. Received: activation_quantizer="
                    f"{x.inputs_quantizer!r} for mode={x.quantization_mode!r}"
                )
        if quantized:
            found = {f"(.*/)?{name}": x._own_policy() for name, x in quantized.items()}
            default = policies.get(self.dtype_policy.name.removeprefix("map_"))
            config["dtype"] = serialization.serialize(policies.DTypePolicyMap(default, found))
        return config

    # -- weights ------------------------------------------------------------------------------

    def build(
        self,
        query_shape: Sequence[int | None],
        value_shape: Sequence[int | None],
        key_shape: Sequence[int | None] | None = None,
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"Layer '{self.name}': the sizes of value and key must be equal but for the last. "
                f"Received: value of shape {tuple(value_shape)}, key of {tuple(key_shape)}"
            )
        dim, value_dim = self._sizes
        self._query_dense = self._projection("query", query_shape, (self._heads, dim))
        self._key_dense = self._projection("key", key_shape, (self._groups, dim))
        if self.use_gate:
            gate = (self._heads, value_dim)
            self._gate_dense = self._projection("gate", query_shape, gate, "sigmoid")
        self._value_dense = self._projection("value", value_shape, (self._groups, value_dim))
        self._build_attention(len(query_shape) + 1)
        inner = (*query_shape[:-1], self._heads, value_dim)
        outputs = self._outputs or (query_shape[-1],)
        self._output_dense = self._projection("attention_output", inner, outputs, contracted=2)

    def _build_attention(self, rank: int) -> None:
        """Creates the layers between the projections, whose outputs have rank `rank`."""
        self._softmax = Softmax(self._build_axes(rank - 1), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)

    def _build_axes(self, rank: int) -> Any:
        return -1

    def _get_common_kwargs_for_sublayer(self) -> dict[str, Any]:
        """The arguments with which every projection is created."""
        return {
            # An initializer with a seed returns the same values on every call, so each projection
            # gets a copy.
            "kernel_initializer": _fresh_copy(self.kernel_initializer),
            "bias_initializer": _fresh_copy(self.bias_initializer),
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
            "activity_regularizer": self._activities,
            "dtype": self.dtype_policy,
        }

    def _projection(
        self,
        name: str,
        input_shape: Sequence[int | None],
        sizes: Sequence[int | None],
        activation: Any = None,
        contracted: int = 1,
    ) -> EinsumDense:
        letters = iter("abcdefghijklmnopqrstuvwxyz")
        free = "".join(next(letters) for _ in input_shape[contracted:])
        inside = "".join(next(letters) for _ in range(contracted))
        new = "".join(next(letters) for _ in sizes)
        layer = EinsumDense(
            f"{free}{inside},{inside}{new}->{free}{new}",
            (*(None for _ in free[1:]), *sizes),
            activation,
            new if self.use_bias else None,
            name=name,
            **self._get_common_kwargs_for_sublayer(),
        )
        layer.build(input_shape)
        return layer

    # -- masks --------------------------------------------------------------------------------

    def _compute_attention_mask(
        self,
        query: jax.Array,
        value: jax.Array,
        query_mask: jax.Array | None = None,
        value_mask: jax.Array | None = None,
        key_mask: jax.Array | None = None,
        attention_mask: jax.Array | None = None,
        use_causal_mask: bool = False,
    ) -> jax.Array | None:
        """Which sources a target sees, in a shape that broadcasts to `(batch, targets, sources)`,
        or `None`."""
        masks = [] if attention_mask is None else [jnp.asarray(attention_mask).astype(bool)]
        if query_mask is not None:
            masks.append(jnp.asarray(query_mask).astype(bool)[..., :, None])
        masks += [
            jnp.asarray(mask).astype(bool)[..., None, :]
            for mask in (value_mask, key_mask)
            if mask is not None
        ]
        targets, sources = query.shape[1], value.shape[1]
        if use_causal_mask:
            masks.append(_causal(targets, sources)[None])
        if self.sliding_window is not None:
            distance = jnp.arange(targets)[:, None] - jnp.arange(sources)
            masks.append((abs(distance) < self.sliding_window)[None])
        seen = None
        for mask in masks:
            seen = mask if seen is None else seen & mask
        return seen

    # -- calling ------------------------------------------------------------------------------

    def call(
        self,
        query: jax.Array,
        value: jax.Array,
        key: jax.Array | None = None,
        query_mask: jax.Array | None = None,
        value_mask: jax.Array | None = None,
        key_mask: jax.Array | None = None,
        attention_mask: jax.Array | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        if self.flash_attention and return_attention_scores:
            raise ValueError(
                "Returning attention scores is not supported when flash attention is enabled. "
                "Please disable flash attention to access attention scores. "
                f"Received: return_attention_scores={return_attention_scores}, and "
                f"flash_attention=True in layer '{self.name}'"
            )
        query_mask = context.get_mask(query) if query_mask is None else query_mask
        value_mask = context.get_mask(value) if value_mask is None else value_mask
        if key_mask is None and key is not None:
            key_mask = context.get_mask(key)
        masks = (query_mask, value_mask, key_mask, attention_mask)
        # A `_compute_attention` that a subclass defines may only support masks.
        causal_only = use_causal_mask and self.sliding_window is None
        causal_only = causal_only and all(mask is None for mask in masks)
        compute = type(self)._compute_attention
        causal_only = causal_only and compute is _Heads._compute_attention
        seen = None
        if not causal_only:
            seen = self._compute_attention_mask(query, value, *masks, use_causal_mask)
        # The masks are applied to the scores; the projections must not see them.
        with context.masked(
            [(x, None) for x in (query, value, key) if context.get_mask(x) is not None]
        ):
            gate = self._gate_dense(query) if self.use_gate else None
            projected = (
                self._query_dense(query),
                self._key_dense(value if key is None else key),
                self._value_dense(value),
            )
        outputs, scores = self._compute_attention(
            *projected,
            attention_mask=seen,
            training=training,
            **({"use_causal_mask": True} if causal_only else {}),
            **(
                {"return_attention_scores": return_attention_scores}
                if "return_attention_scores" in call_takes(compute)
                else {}
            ),
        )
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, scores) if return_attention_scores else outputs

    def _compute_attention(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        attention_mask: jax.Array | None = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[jax.Array, jax.Array | None]:
        """The outputs of the heads, and the attention weights if they are requested; a subclass may
        override it.

        Queries are `(batch, ..., heads, dim)`; keys and values have `groups` in place of `heads`.
        """
        axes = self._axes(query.ndim)
        # The axes of the mask are the first ones of the batch and the last ones of the scores.
        if attention_mask is not None:
            attention_mask = _for_heads(attention_mask, query.ndim - 1 + len(axes), len(axes))
        rate = self.dropout if training else 0.0
        if query.ndim == 4 and rate < 1 and not return_attention_scores:
            more = {"mask": attention_mask, "scale": self._scale, "is_causal": use_causal_mask}
            # As in Keras, the output for a target that sees no source is zero in a layer with
            # dropout, in training and inference, and the mean of all values in a layer without.
            kept = attention_mask if self.dropout > 0 else None
            if rate:
                shape = (query.shape[0], self._heads, query.shape[1], key.shape[1])
                drawn = random._kept(shape, rate, self._dropout_layer.seed_generator)
                kept = drawn if kept is None else kept & drawn
            if kept is None:
                flash = self.flash_attention
                return dot_product_attention(query, key, value, flash_attention=flash, **more), None
            return _dropped_attention(query, key, value, kept, rate, **more), None
        if use_causal_mask:
            causal = _causal(query.shape[axes[0]], key.shape[axes[0]])
            seen = None if attention_mask is None else attention_mask.astype(bool)
            attention_mask = causal if seen is None else seen & causal
        repeats = self._heads // self._groups
        if repeats > 1:
            key, value = (jnp.repeat(x, repeats, axis=-2) for x in (key, value))
        # The attended axes are moved to the end, before the features, and merged.
        last = query.ndim - 1
        order = [*(a for a in range(last) if a not in axes), *axes, last]
        query, key, value = (x.transpose(order) for x in (query * self._scale, key, value))
        *batch, dim = query.shape
        rest = len(batch) - len(axes)
        targets, sources = query.shape[rest:-1], key.shape[rest:-1]
        batch = batch[:rest]
        keys = key.reshape(*batch, -1, dim).swapaxes(-1, -2)
        scores = jnp.matmul(query.reshape(*batch, -1, dim), keys)
        weights = self._masked_softmax(scores.reshape(*batch, *targets, *sources), attention_mask)
        kept = self._dropout_layer(weights, training=training)
        kept = kept.reshape(*batch, math.prod(targets), -1)
        outputs = jnp.matmul(kept, value.reshape(*batch, -1, value.shape[-1]))
        outputs = outputs.reshape(*batch, *targets, -1)
        return outputs.transpose(sorted(range(last + 1), key=order.__getitem__)), weights

    def _masked_softmax(
        self, attention_scores: jax.Array, attention_mask: jax.Array | None = None
    ) -> jax.Array:
        """The attention weights for scores; the mask may lack the axis of the heads."""
        rank = attention_scores.ndim
        if attention_mask is not None:
            axes = len(self._axes(rank - 1))
            attention_mask = _for_heads(attention_mask, rank, axes)
        return self._softmax(attention_scores, mask=attention_mask)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return (1,)


def _for_heads(mask: jax.Array, rank: int, axes: int) -> jax.Array:
    """Inserts an axis of size one for the heads into a mask without one, before the axes of targets
    and sources."""
    place = mask.ndim - 2 * axes
    return jnp.expand_dims(mask, tuple(range(place, place + rank - mask.ndim)))


def _fresh_copy(initializer: Any) -> Any:
    """A copy of an initializer, which draws other values unless its seed is fixed."""
    if not isinstance(initializer, initializers.Initializer):
        return initializer
    return type(initializer).from_config(initializer.get_config())


class MultiHeadAttention(_Heads):
    """Attention with several heads, each with separate projections (arXiv:1706.03762).

    Computes `softmax(q @ k.T / sqrt(key_dim)) @ v` for each head, where `q`, `k` and `v` are
    projections of query, key and value, and projects all heads to the output.

    Args:
        num_heads: the number of heads.
        key_dim: the size of a head's queries and keys.
        value_dim: the size of a head's values; `key_dim` if omitted.
        dropout: the fraction of weights set to zero in training.
        use_bias: whether the projections have biases.
        output_shape: the output's sizes after batch and targets; the query's if omitted.
        attention_axes: the axes over which to attend; all but the first and the last if omitted.
        sliding_window: the maximal distance of a target from the sources that it attends to, plus
            one.
        flash_attention: whether a GPU must use cuDNN's fused kernel, without dropout and scores.
        use_gate: whether the heads' outputs are multiplied by `sigmoid` of a further projection of
            the query (arXiv:2505.06708).
        seed: the seed of the dropout's random stream; drawn if it is omitted.

    Call arguments:
        query: `(batch, targets, features)`.
        value: `(batch, sources, features)`.
        key: `(batch, sources, features)`; the values if omitted.
        attention_mask: `(batch, targets, sources)`; where it is false a target does not attend to a
            source. The masks of query, value and key apply as well.
        return_attention_scores: whether to return the weights `(batch, heads, targets, sources)` as
            well.
        use_causal_mask: whether target `i` attends only to sources up to the `i`-th.

    Returns `(batch, targets, *output_shape)`. Raises ValueError for invalid arguments.

    >>> layer, x = MultiHeadAttention(num_heads=2, key_dim=8), jnp.ones((1, 3, 4))
    >>> outputs, weights = layer(x, x, return_attention_scores=True)
    >>> outputs.shape, weights.shape
    ((1, 3, 4), (1, 2, 3, 3))
    """

    _sliding_window = _alias_of("sliding_window")
    # Keras's private names, which subclasses in other packages use.
    _num_heads = _alias_of("num_heads")
    _key_dim = _alias_of("key_dim")
    _value_dim = _alias_of("value_dim")
    _use_bias = _alias_of("use_bias")
    _output_shape = _alias_of("output_shape")
    _kernel_initializer = _alias_of("kernel_initializer")
    _bias_initializer = _alias_of("bias_initializer")
    _kernel_regularizer = _alias_of("kernel_regularizer")
    _bias_regularizer = _alias_of("bias_regularizer")
    _activity_regularizer = _alias_of("activity_regularizer")
    _kernel_constraint = _alias_of("kernel_constraint")
    _bias_constraint = _alias_of("bias_constraint")
    # Files contain the projections under the public names.
    _query_dense = _alias_of("query_dense")
    _key_dense = _alias_of("key_dense")
    _value_dense = _alias_of("value_dense")
    _output_dense = _alias_of("output_dense")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        settings = dict(locals())
        self.num_heads = positive(num_heads=num_heads)
        self.key_dim = positive(key_dim=key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive(value_dim=value_dim)
        self.output_shape = _several("output_shape", output_shape)
        self.attention_axes = _several("attention_axes", attention_axes)
        sizes = (self.key_dim, self.value_dim)
        super().__init__(num_heads, num_heads, sizes, self.output_shape, settings, **kwargs)

    def _build_attention(self, rank: int) -> None:
        super()._build_attention(rank)
        # Keras's private names for the two equations, which subclasses in other packages use.
        letters = "abcdefghijklmnopqrstuvwxyz"
        axes = self._axes(rank)
        target, source = letters[:rank], list(letters[:rank])
        for new, axis in enumerate(axes, rank):
            source[axis] = letters[new]
        others = [target[i] for i in range(rank - 1) if i not in axes]
        scores = "".join([*others, *(x[i] for x in (target, source) for i in axes)])
        self._dot_product_equation = f"{''.join(source)},{target}->{scores}"
        self._combine_equation = f"{scores},{''.join(source)}->{target}"

    def _build_axes(self, rank: int) -> tuple[int, ...]:
        axes = range(1, rank - 1) if self.attention_axes is None else self.attention_axes
        for axis in axes:
            if not -rank <= axis < rank or axis % rank in (0, rank - 1):
                raise ValueError(
                    f"attention_axes must be axes between the first and the last of {rank}. "
                    f"Received: attention_axes={self.attention_axes}"
                )
        self.attention_axes = tuple(axis % rank for axis in axes)
        return tuple(range(-len(self.attention_axes), 0))

    def _axes(self, rank: int) -> tuple[int, ...]:
        del rank
        return self.attention_axes or ()


class GroupedQueryAttention(_Heads):
    """Multi-head attention in which several heads share their keys and values (arXiv:2305.13245).

    Args:
        head_dim: the size of a head's queries, keys and values.
        num_query_heads: the number of heads.
        num_key_value_heads: the number of distinct keys and values, a divisor of the number of
            heads.

    The other arguments, the call arguments and the output are those of `MultiHeadAttention`. Raises
    ValueError if the heads cannot be grouped.

    >>> x = jnp.ones((1, 3, 4))
    >>> GroupedQueryAttention(8, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        settings = dict(locals())
        self.head_dim = positive(head_dim=head_dim)
        self.num_query_heads = heads = positive(num_query_heads=num_query_heads)
        self.num_key_value_heads = groups = positive(num_key_value_heads=num_key_value_heads)
        if heads % groups:
            raise ValueError(
                "num_query_heads must be a multiple of num_key_value_heads. "
                f"Received: {num_query_heads=}, {num_key_value_heads=}"
            )
        super().__init__(heads, groups, (head_dim, head_dim), None, settings, **kwargs)

    def build(
        self,
        query_shape: Sequence[int | None],
        value_shape: Sequence[int | None],
        key_shape: Sequence[int | None] | None = None,
    ) -> None:
        for name, shape in (("query", query_shape), ("value", value_shape), ("key", key_shape)):
            if shape is not None and len(shape) != 3:
                raise ValueError(
                    f"Layer '{self.name}': {name} must have 3 axes. "
                    f"Received: {name} of shape {tuple(shape)}"
                )
        super().build(query_shape, value_shape, key_shape)


def _several(name: str, value: Any) -> tuple[int, ...] | None:
    """A tuple from one integer or several; as in Keras, an empty sequence counts as none."""
    if value is None or isinstance(value, int):
        return None if value is None else (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, int) for v in value):
        raise ValueError(
            f"Invalid `{name}`: it must be an integer or a sequence of them. "
            f"Received: {name}={value!r}"
        )
    return tuple(value) or None
