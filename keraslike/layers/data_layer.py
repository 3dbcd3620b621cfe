"""`DataLayer`, the base of layers that encode data as categories, and the encodings.

Concrete values are processed by numpy: in eager calls and in the map of a data pipeline. The same
holds for text in a model, which compiled programs cannot contain.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, foreign, hashing, sparsity
from keraslike.core.boxed import BoxedResults, dispatcher, is_boxed, unbox
from keraslike.core.jax_internals import put
from keraslike.core.structures import tree_map
from keraslike.core.symbolic import KerasTensor, size_of_values
from keraslike.core.text import Text, as_bytes, is_text, of_lists
from keraslike.layers.keras_names import Backend
from keraslike.layers.layer import Layer
from keraslike.layers.layer_state import number_of


class DataLayer(Layer):
    """A layer whose output is computed by numpy, of text or of numbers.

    A subclass defines `_computed`, which maps an array (for text, one of bytes) to an array, and
    `compute_output_shape`; `_traced` does the same for numbers in a compiled program.
    """

    autocast = False
    backend = Backend()
    sparse = False
    _counts_wide = False  # Whether boxed counts and codes are int64 as well, as in TensorFlow.
    _several = False  # Whether a list of arrays is a list of inputs, and not one array.
    # Counts the changes of adapted values, which compiled programs may contain as constants.
    _adapted = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and hasattr(args[0], "with_flat_values"):  # A ragged tensor.
            return self._of_ragged(args[0], **kwargs)
        if dispatcher(args, kwargs) is None:
            outputs = super().__call__(*args, **kwargs)
            return (
                tree_map(self._boxed, outputs, is_leaf=is_boxed)
                if _holds_boxed(outputs)
                else outputs
            )
        bare = unbox((args, kwargs))
        boxed = bare[0] is not args or bare[1] is not kwargs
        with context.using(tapes=()):  # Categories have no gradient.
            outputs = super().__call__(*bare[0], **bare[1])
        return tree_map(self._boxed, outputs) if boxed else outputs

    def _of_ragged(self, ragged: Any, **kwargs: Any) -> Any:
        mode, values = getattr(self, "output_mode", "int"), ragged.flat_values
        if mode in ("int", "one_hot"):
            return ragged.with_flat_values(self(values, **kwargs))
        if ragged.ragged_rank > 1 or len(values.shape) > 1:
            raise ValueError(
                f"Layer '{self.name}' with output_mode={mode!r} takes ragged tensors of two axes. "
                f"Received: {ragged.shape}"
            )
        codes = unbox(self(values[:, None], **kwargs))
        rows, count = unbox(ragged.value_rowids()), len(ragged.row_splits) - 1
        sums = jax.ops.segment_sum(codes, jnp.asarray(rows), count)
        return self._boxed(jnp.minimum(sums, 1) if mode == "multi_hot" else sums)

    def _boxed(self, x: Any) -> Any:
        x = unbox(x)
        texts = as_bytes(x) if isinstance(x, np.ndarray) else None
        if texts is not None:
            return BoxedResults.box(texts)  # type: ignore[misc]
        if self._boxed_dtype() == "int64" and getattr(x, "dtype", None) != np.int64:
            with jax.enable_x64(True):
                if isinstance(x, jax.core.Tracer) or not context.trace_state_clean():
                    x = jnp.asarray(x).astype("int64")
                else:  # numpy is faster.
                    x = put(np.asarray(x).astype("int64"))
        return BoxedResults.box(x)  # type: ignore[misc]

    def _boxed_dtype(self) -> str:
        """The dtype of boxed results."""
        mode = getattr(self, "output_mode", "int")
        return "int64" if self._counts_wide and mode != "tf_idf" else self._output_dtype()

    def _convert_input(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            arrays = any(hasattr(item, "shape") for item in x)
            if self._several or any(is_text(i) or isinstance(i, KerasTensor) for i in x):
                return type(x)(map(self._convert_input, x))
            if not arrays and (text := of_lists(x)) is not None:
                return self._convert_input(text)
            return self._convert_input(np.asarray(x))
        if isinstance(x, (str, bytes, int, float)) and not isinstance(x, bool):
            x = np.asarray(x)
        if isinstance(x, np.ndarray):
            texts = as_bytes(x)
            return x if texts is None else super()._convert_input(Text(texts))
        if isinstance(x, (KerasTensor, jax.Array, Text)) or (found := foreign.array_of(x)) is None:
            return super()._convert_input(x)
        return self._convert_input(np.asarray(found))

    def call(self, inputs: Any) -> Any:
        dense = self._applied(inputs)
        if not self.sparse:
            return jnp.asarray(dense)
        return _sparse(dense, _size(inputs))

    def _applied(self, inputs: Any) -> Any:
        if is_text(inputs):
            described = self._described_for(inputs) if context.state.exports_text else None
            if described is None:
                context.needs_python(self.name)
            return inputs.apply(number_of(self), self._computed, self._shape_and_dtype, described)
        if not isinstance(inputs, jax.core.Tracer):
            return self._computed(np.asarray(inputs))
        if context.state.symbolic:
            shape, dtype = self._shape_and_dtype(inputs.shape)
            return jnp.zeros(shape, jax.dtypes.canonicalize_dtype(dtype))
        return self._traced(inputs)

    def _described_for(self, texts: Text) -> dict[str, Any] | None:
        """`_computed` for texts, as plain values: see `Text.apply`."""
        own = self._described(texts)
        if own is None:
            return None
        result = self.compute_output_shape((None, *texts.shape[1:]))
        about = texts.described(result, self._output_dtype())
        return None if about is None else about | own

    def _described(self, texts: Text) -> dict[str, Any] | None:
        """What `_computed` does with texts, as plain values, if TensorFlow has functions for it."""
        return None

    def _computed(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _traced(self, values: jax.Array) -> jax.Array:
        context.needs_python(self.name)
        shape, dtype = self._shape_and_dtype(values.shape)
        spec = jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))

        def compute(values: Any) -> np.ndarray:
            return np.asarray(self._computed(np.asarray(values)), spec.dtype)

        return jax.pure_callback(compute, spec, values, vmap_method="sequential")

    def _output_dtype(self) -> str:
        return self.compute_dtype

    def _shape_and_dtype(self, shape: tuple) -> tuple[tuple, str]:
        found = self.compute_output_shape(tuple(shape))
        return tuple(size_of_values() if n is None else n for n in found), self._output_dtype()

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> KerasTensor:
        shape = self.compute_output_shape(tuple(inputs.shape))
        return KerasTensor(shape, self._output_dtype(), sparse=self.sparse)


def _holds_boxed(outputs: Any) -> bool:
    return any(map(is_boxed, jax.tree.leaves(outputs, is_leaf=is_boxed)))


def _size(inputs: Any) -> int:
    return int(np.prod(inputs.shape))


def _sparse(dense: Any, most: int) -> Any:
    """A dense array as a sparse one; of a tracer, `most` values are stored."""
    if isinstance(dense, jax.core.Tracer):
        return sparsity.from_dense(dense, most)
    places = np.nonzero(np.asarray(dense))
    return sparsity.from_coordinates(np.stack(places, 1), np.asarray(dense)[places], dense.shape)


def encoded_shape(shape: tuple, mode: str, depth: int | None) -> tuple:
    """The shape of the result of `encode` for categories of a shape."""
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


def encode(categories: Any, mode: str, depth: int, dtype: Any, weights: Any = None) -> Any:
    """Categories, numbers below `depth`, as arrays of zeros and ones, or of counts. Other numbers
    are ignored.

    Args:
        categories: a numpy or JAX array; the result is of the same kind.
        mode: `"int"` for the categories as they are, `"one_hot"` for an array per category,
            `"multi_hot"` for an array per row, or `"count"` for the counts of a row's categories.
        weights: the amounts by which categories are counted, with `"count"`.

    >>> encode(np.array([[0, 2, 2]]), "count", 3, "int32").tolist()
    [[1, 0, 2]]
    """
    xp: Any = np if isinstance(categories, np.ndarray) else jnp
    dtype = jnp.dtype(dtypes.standardize_dtype(dtype))
    if mode == "int":
        return categories.astype(dtype)
    if not categories.ndim:
        categories = categories.reshape(1)
    if mode == "one_hot":
        if categories.ndim > 1 and categories.shape[-1] == 1:
            categories = categories[..., 0]
        return (categories[..., None] == xp.arange(depth)).astype(dtype)
    if categories.ndim > 2:
        categories = xp.moveaxis(categories, 1, -1)
        weights = None if weights is None else xp.moveaxis(weights, 1, -1)
    lead = categories.shape[:-1]
    rows = categories.reshape(math.prod(lead), categories.shape[-1])
    size = rows.shape[0] * depth
    place = xp.where(
        (rows >= 0) & (rows < depth), rows + depth * xp.arange(rows.shape[0])[:, None], size
    )
    length = {"minlength": size + 1} if xp is np else {"length": size + 1}
    weights = None if weights is None else weights.reshape(-1)
    counts = xp.bincount(place.reshape(-1).astype(int), weights, **length)[:size]
    counts = counts > 0 if mode == "multi_hot" else counts
    return counts.reshape(*lead, depth).astype(dtype)


def hash_key(salt: Any, kind: str) -> list[int]:
    """A salt as two numbers; raises ValueError for an invalid one."""
    if isinstance(salt, int):
        return [salt, salt]
    if isinstance(salt, (tuple, list)) and len(salt) == 2:
        return list(salt)
    raise ValueError(
        f"`salt` of `{kind}` can only be a tuple of size 2, of integers, or one. Received: "
        f"salt={salt}."
    )


def hash_buckets(texts: list[bytes], count: int, salt: list[int] | None = None) -> np.ndarray:
    """The buckets of strings, out of `count`, by FarmHash, or by SipHash if there is a salt.

    >>> hash_buckets([b"a", b"b"], 3).tolist()
    [0, 1]
    """
    if not texts:
        return np.zeros(0, np.int64)

    def salted(text: bytes) -> int:
        return hashing.sip(text, *salt)  # type: ignore[misc]

    found = hashing.hashed(hashing.farm if salt is None else salted, texts)
    return (found % np.uint64(count)).astype(np.int64)
