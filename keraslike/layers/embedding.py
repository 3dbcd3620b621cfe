"""Embeddings, which map integers to vectors, and the reverse."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.core import context, sparsity
from keraslike.core.arguments import given
from keraslike.core.boxed import note_rows
from keraslike.core.errors import InvalidArgument
from keraslike.layers.lora import _AdaptedWeight, _BareWeight
from keraslike.layers.quantized import Matrix, Quantizable
from keraslike.ops.products import matmul


class Embedding(Quantizable):
    """Maps integers to the rows of a table of vectors.

    Args:
        input_dim: the number of rows; inputs must be below it.
        output_dim: the size of a row.
        mask_zero: whether 0 marks padding; the output then has a mask that is false there.
        weights: values for the table to begin with, `(input_dim, output_dim)`.
        quantization_config: the configuration, if `dtype` is a quantized policy.

    Accepts integers of any shape and returns `(..., output_dim)` in the compute dtype. The row of
    an integer out of range is NaN.

    >>> layer = Embedding(10, 4)
    >>> layer(jnp.array([[1, 2, 0]])).shape
    (1, 3, 4)
    """

    autocast = False  # Half precision would round the inputs, which are indices.
    _saves_activity_regularizer = True
    _adapted = "embeddings"
    _modes = ("int8", "int4")
    _quantizes_inputs = ()
    embeddings_initializer: Any
    embeddings_regularizer: Any
    embeddings_constraint: Any
    mask_zero: bool
    embeddings = _AdaptedWeight()
    _embeddings = _BareWeight("embeddings")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        kwargs.pop("input_length", None)  # An argument in Keras 2.
        arguments = given(locals())
        del arguments["weights"]  # It is the name of a property here.
        super().__init__(Embedding, **arguments)
        self.input_dim = _size(input_dim=input_dim)
        self.output_dim = _size(output_dim=output_dim)
        self.supports_masking = mask_zero
        if weights is not None:
            self.build((None,))
            self.set_weights(weights if isinstance(weights, (list, tuple)) else [weights])

    def build(self, input_shape: Any = None) -> None:
        self._add_matrix("embeddings", (self.input_dim, self.output_dim))
        self._adapt_built()

    def call(self, inputs: jax.Array) -> jax.Array:
        inputs = sparsity.dense(inputs)  # whose numbers are 0 where none is stored, as in Keras
        if inputs.dtype not in (jnp.int32, jnp.int64):
            inputs = inputs.astype(jnp.int32)
        if self.quantization_mode is None:
            table = vars(self)["embeddings"].value
            rows = jnp.take(table, inputs, axis=0)
            note_rows(table, inputs, rows)
        else:
            rows, scale = self._numbers(self._matrices()[0], inputs)
            if scale is not None:
                rows = rows.astype(self.compute_dtype) / scale[..., None]
        if self.lora_enabled:
            a, b = self._factors()
            a = jnp.take(a.value, inputs, axis=0)
            rows = rows + self.lora_alpha / self.lora_rank * matmul(a, b.value)
        return rows.astype(self.compute_dtype)

    def _matrices(self) -> list[Matrix]:
        shape = (self.input_dim, self.output_dim)
        return [Matrix("embeddings", shape, (1,), shape, side=1)]

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        spec = super().variable_serialization_spec
        return {mode: [n for n in names if n != "bias"] for mode, names in spec.items()}

    def compute_mask(self, inputs: jax.Array, mask: Any = None) -> jax.Array | None:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        args.pop("weights", None)  # It is the name of a property here.
        return args


def _size(**argument: Any) -> int:
    ((name, value),) = argument.items()
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise InvalidArgument(
            f"`{name}` must be a positive integer. Received: {name}={value!r} "
            f"(of type {type(value).__name__})"
        )
    return int(value)


class ReversibleEmbedding(Embedding):
    """An `Embedding` that can also be applied in reverse: it maps vectors to a score for each row.

    Args:
        input_dim: the number of rows.
        output_dim: the size of a row.
        tie_weights: whether the reverse direction uses the same rows instead of separate ones.
        reverse_dtype: a dtype for the reverse direction.
        logit_soft_cap: `c` for scores `c * tanh(scores / c)`.

    Call arguments:
        reverse: whether to map vectors `(..., output_dim)` to scores `(..., input_dim)`.

    >>> layer = ReversibleEmbedding(10, 4)
    >>> layer(layer(jnp.array([[1, 2]])), reverse=True).shape
    (1, 2, 10)
    """

    _quantizes_inputs = ("int8", "int4")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        weights = kwargs.pop("weights", None)
        self.tie_weights = tie_weights
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            weights,
            **kwargs,
        )
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            free = {"regularizer": None, "constraint": None}
            self._add_matrix("reverse_embeddings", shape, "embeddings", **free)

    def call(self, inputs: jax.Array, reverse: bool = False) -> jax.Array:
        if not reverse:
            outputs = super().call(inputs)
            if self.mask_zero:
                context.set_mask(outputs, jnp.not_equal(inputs, 0))
            return outputs
        if self.quantization_mode is not None:
            tied = self.tie_weights
            scores = (
                self._multiplied(inputs)
                if tied
                else self._rounded_product(inputs, self._matrices()[1])
            )
        else:
            kernel = self._merged() if self.tie_weights else self.reverse_embeddings.value
            if self.reverse_dtype is not None:
                inputs = inputs.astype(self.reverse_dtype)
                kernel = kernel.astype(self.reverse_dtype)
            scores = self._product(inputs, kernel)
        if self.logit_soft_cap is not None:
            scores = jnp.tanh(scores / self.logit_soft_cap) * self.logit_soft_cap
        return scores

    def _product(self, inputs: Any, weight: Any) -> Any:
        return matmul(inputs, weight.T if self.tie_weights else weight)

    def _adapted_product(self, inputs: Any) -> Any:
        a, b = self._factors()
        return self._product(self._product(inputs, b.value), a.value)

    def _matrices(self) -> list[Matrix]:
        found = super()._matrices()
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            found.append(Matrix("reverse_embeddings", shape, (0,), shape, pack=-2, zero=None))
        return found

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        spec, name = super().variable_serialization_spec, "reverse_embeddings"
        more = {None: [name], "int8": [name, f"{name}_scale"]}
        more["int4"] = [*more["int8"], f"{name}_zero"]
        return spec if self.tie_weights else {mode: spec[mode] + more[mode] for mode in spec}

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None  # `call` sets the mask, which depends on the direction.
