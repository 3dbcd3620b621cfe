"""Layers that assign categories by hashing: Hashing and HashedCrossing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, hashing
from keraslike.core.arguments import one_of
from keraslike.core.symbolic import KerasTensor
from keraslike.core.text import Text, as_bytes, as_characters, is_text
from keraslike.layers.data_layer import (
    DataLayer,
    _size,
    _sparse,
    encode,
    encoded_shape,
    hash_buckets,
    hash_key,
)
from keraslike.layers.layer_state import number_of


class Hashing(DataLayer):
    """Maps each string or number to a category by its hash, with TensorFlow's values.

    Args:
        num_bins: how many categories there are.
        mask_value: a string or a number that is category 0, to which no other value is then mapped.
        salt: one or two integers for a hash that depends on them (SipHash).
        output_mode: `"int"` for the categories, or as in `CategoryEncoding`.
        sparse: whether to return a sparse JAX array.

    Floats are truncated to integers. Raises ValueError for contradictory arguments.

    >>> Hashing(3)(["A", "B", "C"]).tolist()
    [1, 0, 1]
    """

    _takes_text = True

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else dtypes.floatx()
        super().__init__(**kwargs)
        if num_bins is None or num_bins <= 0:
            raise ValueError(
                "The `num_bins` for `Hashing` cannot be `None` or non-positive values. "
                f"Received: num_bins={num_bins}."
            )
        if output_mode == "int" and self.dtype_policy.name not in ("int32", "int64"):
            raise ValueError(
                "When `output_mode=\"int\"`, `dtype` should be an integer type, 'int32' or "
                f"'int64'. Received: dtype={kwargs['dtype']}"
            )
        modes = ("int", "one_hot", "multi_hot", "count")
        if output_mode not in modes:
            raise ValueError(
                f"Invalid value for argument `output_mode`. Expected one of {modes}. "
                f"Received: output_mode={output_mode}"
            )
        if sparse and output_mode == "int":
            raise ValueError(
                '`sparse` may only be true if `output_mode` is `"one_hot"`, `"multi_hot"`, or '
                f'`"count"`. Received: sparse={sparse} and output_mode={output_mode}'
            )
        self.num_bins, self.mask_value, self.output_mode = num_bins, mask_value, output_mode
        self.sparse = sparse
        self.salt = None if salt is None else hash_key(salt, "Hashing")
        self.strong_hash = salt is not None

    def _computed(self, values: np.ndarray) -> np.ndarray:
        bins = self._hash_values_to_bins(values)
        return encode(bins, self.output_mode, self.num_bins, self.compute_dtype)

    def _hash_values_to_bins(self, values: np.ndarray) -> np.ndarray:
        masked = self.mask_value is not None and self.num_bins > 1
        mask = self.mask_value
        texts = as_bytes(values)
        if texts is not None:
            mask = mask.encode() if isinstance(mask, str) else mask
            found = texts.reshape(-1).tolist()
        else:
            whole = values.astype(np.int64) if values.dtype.kind not in "biu" else values
            found = [str(v).lower().encode() for v in whole.reshape(-1).tolist()]
        bins = hash_buckets(found, self.num_bins - masked, self.salt).reshape(values.shape)
        if not masked:
            return bins
        return np.where((values if texts is None else texts) == mask, 0, bins + 1)

    def _described(self, texts: Text) -> dict[str, Any]:
        masked = self.mask_value is not None and self.num_bins > 1
        mask = as_bytes(np.asarray([self.mask_value])) if masked else None
        hashed = {"count": self.num_bins - masked, "salt": self.salt, "first": int(masked)}
        hashed["mask"] = None if mask is None else as_characters(mask)[0]
        return {"hash": hashed, "mode": self.output_mode, "depth": self.num_bins}

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)


class HashedCrossing(DataLayer):
    """Maps combinations of several features to categories by their hash, with TensorFlow's values.

    Args:
        num_bins: how many categories there are.
        output_mode: `"int"` for the categories, or `"one_hot"`.
        sparse: whether to return a sparse JAX array.

    Accepts a list of arrays of one shape: `()`, `(batch,)` or `(batch, 1)`. Raises ValueError for
    other inputs.

    >>> HashedCrossing(5)((["A", "B", "A"], [101, 101, 102])).tolist()
    [1, 4, 3]
    """

    _takes_text = _several = True

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        if output_mode == "int" and dtype is None:
            dtype = "int64"
        super().__init__(name=name, dtype=dtype, **kwargs)
        one_of(("int", "one_hot"), output_mode=output_mode)
        self.num_bins, self.output_mode, self.sparse = num_bins, output_mode, sparse

    def _convert_input(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [self._one(item) for item in x]
        return super()._convert_input(x)

    def _one(self, x: Any) -> Any:
        nested = isinstance(x, (list, tuple))
        return super()._convert_input(np.asarray(x) if nested else x)

    def call(self, inputs: Any) -> Any:
        self._check_several(inputs)
        traced = [is_text(x) and x.values is None or isinstance(x, jax.core.Tracer) for x in inputs]
        shape = inputs[0].shape
        if not any(traced):
            values = [x.values.reshape(x.shape) if is_text(x) else np.asarray(x) for x in inputs]
            dense = self._crossed(*map(_fingerprints, values))
        else:
            # JAX has no 64-bit integers by default, so hashes of text are passed as two halves.
            parts = [
                x.apply(number_of(self), _fingerprints, lambda s: ((*s, 2), "uint32"))
                if is_text(x)
                else x
                for x in inputs
            ]
            dense = self._in_program(shape, parts)
        return jnp.asarray(dense) if not self.sparse else _sparse(dense, _size(inputs[0]))

    def _in_program(self, shape: tuple, parts: list[Any]) -> Any:
        context.needs_python(self.name)
        spec = jax.ShapeDtypeStruct(
            encoded_shape(shape, self.output_mode, self.num_bins),
            jax.dtypes.canonicalize_dtype(self.compute_dtype),
        )
        if context.state.symbolic:
            return jnp.zeros(spec.shape, spec.dtype)

        def compute(*values: Any) -> np.ndarray:
            found = [np.asarray(v) for v in values]
            found = [v if v.dtype == np.uint32 else _fingerprints(v) for v in found]
            return self._crossed(*found).astype(spec.dtype)

        parts = [
            p.astype("int32") if p.dtype == "uint32" and p.shape == shape else p for p in parts
        ]
        return jax.pure_callback(compute, spec, *parts, vmap_method="sequential")

    def _crossed(self, *halves: np.ndarray) -> np.ndarray:
        features = [np.ascontiguousarray(h).view(np.uint64)[..., 0] for h in halves]
        hashed = np.full(features[0].shape, 0xDECAFCAFFE, np.uint64)
        for feature in features:
            hashed = hashing.combined(hashed, feature)
        bins = (hashed % np.uint64(self.num_bins)).astype(np.int64)
        return encode(bins, self.output_mode, self.num_bins, self.compute_dtype)

    def _check_several(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                "`HashedCrossing` should be called on a list or tuple of inputs. "
                f"Received: inputs={inputs}"
            )
        if len(inputs) < 2:
            raise ValueError(f"`HashedCrossing` crosses at least two inputs. Received: {inputs}")
        shapes = [tuple(x.shape) for x in inputs]
        if len(shapes[0]) > 2 or (len(shapes[0]) == 2 and shapes[0][1] != 1):
            raise ValueError(
                "All `HashedCrossing` inputs should have shape `()`, `(batch_size)` or "
                f"`(batch_size, 1)`. Received: shapes {shapes}"
            )
        if len(set(shapes)) > 1:
            raise ValueError(
                f"The inputs of `HashedCrossing` must be of one shape. Received: shapes {shapes}"
            )
        kinds = [str(x.dtype) for x in inputs]
        if not all(kind == "string" or "int" in kind for kind in kinds):
            raise ValueError(
                "All `HashedCrossing` inputs should have an integer or string dtype. "
                f"Received: dtypes {kinds}"
            )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shapes = [tuple(s) for s in input_shape if isinstance(s, (list, tuple))]
        if len(shapes) != len(input_shape) or len(shapes) < 2:
            raise ValueError(
                f"Expected as input a list/tuple of 2 tensors. Received input_shape={input_shape}"
            )
        if any(s[-1:] != shapes[0][-1:] for s in shapes):
            raise ValueError(
                "The inputs of `HashedCrossing` must be of one shape. "
                f"Received input_shape={input_shape}"
            )
        return encoded_shape(shapes[0], self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:  # type: ignore[override]
        self._check_several(inputs)
        shape = self.compute_output_shape([tuple(x.shape) for x in inputs])
        return KerasTensor(shape, self.compute_dtype, sparse=self.sparse)

    def get_config(self) -> dict[str, Any]:
        names = ("num_bins", "output_mode", "sparse", "name", "dtype")
        return {name: getattr(self, name) for name in names}


def _fingerprints(values: np.ndarray) -> np.ndarray:
    """A 64-bit number for each string or integer, as two halves."""
    texts = as_bytes(values)
    if texts is None:
        found = values.astype(np.int64).view(np.uint64)
    else:
        found = hashing.hashed(hashing.farm, texts.reshape(-1).tolist()).reshape(texts.shape)
    return np.ascontiguousarray(found)[..., None].view(np.uint32)
