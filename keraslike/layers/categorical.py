"""Layers that assign numbers to categories, and that encode categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes
from keraslike.core.arguments import one_of
from keraslike.layers.adapting import batches
from keraslike.layers.data_layer import DataLayer, _size, _sparse, encode, encoded_shape


class CategoryEncoding(DataLayer):
    """Encodes categories, integers below `num_tokens`, as arrays of that size.

    Args:
        num_tokens: the number of categories.
        output_mode: `"one_hot"` for an array per category, `"multi_hot"` for an array per sample
            with ones for all its categories, or `"count"` for one with the number of occurrences.
        sparse: whether to return a sparse JAX array.

    Accepts `(...)` or `(..., length)` and returns the compute dtype. Numbers that are not
    categories are ignored. Raises ValueError for weights in a mode other than `"count"`.

    >>> CategoryEncoding(4, "count")([[0, 1, 1]]).tolist()
    [[1.0, 2.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(f"Unknown arg for output_mode: {output_mode}")
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer. If it is not known, use IntegerLookup, "
                "whose adapt() finds it."
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self.num_tokens, self.output_mode, self.sparse = num_tokens, output_mode, sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is None:
            return super().call(inputs)
        if self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. "
                f"Received: count_weights={count_weights}"
            )
        counts = self._encode(jnp.asarray(inputs), jnp.asarray(count_weights))
        return _sparse(counts, _size(inputs)) if self.sparse else counts

    def _encode(self, inputs: Any, count_weights: Any = None) -> Any:
        return encode(inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    _computed = _traced = _encode  # type: ignore[assignment]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)


class Discretization(DataLayer):
    """Maps each value to the index of the bin that contains it.

    Args:
        bin_boundaries: the boundaries between bins, in ascending order.
        num_bins: alternatively, the number of bins, for which `adapt` finds boundaries such that
            they contain equally many values.
        epsilon: the approximate fraction of values that may be in a wrong bin.
        output_mode: `"int"` for the indices, or as in `CategoryEncoding`.
        sparse: whether to return a sparse JAX array.

    Raises ValueError unless one of `bin_boundaries` and `num_bins` is given.

    >>> Discretization([0.0, 1.0])(np.array([-1.0, 0.0, 0.5, 7.0])).tolist()
    [0, 1, 1, 2]
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if sparse and output_mode == "int":
            raise ValueError(
                "`sparse=True` requires an `output_mode` of `'one_hot'`, `'multi_hot'` or "
                f"`'count'`. Received: sparse={sparse} and output_mode={output_mode}"
            )
        one_of(("int", "one_hot", "multi_hot", "count"), output_mode=output_mode)
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                f"`num_bins` must be greater than or equal to 0. Received: `num_bins={num_bins}`"
            )
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                "Both `num_bins` and `bin_boundaries` should not be set. "
                f"Received: `num_bins={num_bins}` and `bin_boundaries={bin_boundaries}`"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("You need to set either `num_bins` or `bin_boundaries`.")
        self.bin_boundaries, self.num_bins = bin_boundaries, num_bins
        self.epsilon, self.output_mode, self.sparse = epsilon, output_mode, sparse
        self.reset_state()

    # A summary has two rows: values, and how many values of the data each represents.

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds boundaries of bins that contain equally many values of the data.

        Args:
            data: an array, or batches in any iterable.
            steps: the maximal number of batches.

        Raises ValueError if `bin_boundaries` were given.
        """
        if self.num_bins is None:
            raise ValueError(
                f"Layer '{self.name}' was made with `bin_boundaries`, so there is nothing to "
                "adapt. Make it with `num_bins` to find boundaries from data."
            )
        self.reset_state()
        for batch in batches(data, steps, lists=False):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the summary."""
        values = np.sort(np.asarray(data, dtype="float32").reshape(-1))
        step = max(values.size * self.epsilon, 1)
        chosen = values[int(step - 1) :: int(step)]
        both = np.concatenate([[chosen, np.full_like(chosen, step)], self._summary], axis=1)
        self._summary = _compressed(both[:, np.argsort(both[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Computes the boundaries from the batches that were added."""
        if self.num_bins is not None:
            summary = _compressed(self._summary, 1.0 / self.num_bins)
            self.bin_boundaries = summary[0, :-1].tolist()
            self._adapted += 1

    def reset_state(self) -> None:
        """Discards the summary."""
        self._summary = np.zeros((2, 0), "float32")

    def _edges(self) -> np.ndarray:
        if self.bin_boundaries is None:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument or call `adapt(dataset)` "
                "before you use the `Discretization` layer."
            )
        return np.asarray(self.bin_boundaries, dtypes.floatx())

    def _computed(self, values: np.ndarray) -> np.ndarray:
        return self._encoded(np.digitize(values.astype(dtypes.floatx()), self._edges()))

    def _traced(self, values: jax.Array) -> jax.Array:
        return self._encoded(jnp.digitize(values.astype(dtypes.floatx()), self._edges()))

    def _encoded(self, bins: Any) -> Any:
        return encode(bins, self.output_mode, len(self._edges()) + 1, self._output_dtype())

    def _output_dtype(self) -> str:
        return "int32" if self.output_mode == "int" else self.compute_dtype

    @property
    def output_dtype(self) -> str:
        return self._output_dtype()

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        known = self.bin_boundaries is not None
        depth = len(self.bin_boundaries) + 1 if known else self.num_bins  # type: ignore[arg-type]
        return encoded_shape(input_shape, self.output_mode, depth)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        found = None
        if config.get("num_bins") is not None:  # The boundaries were found by `adapt`.
            config = dict(config)
            found = config.pop("bin_boundaries", None)
        layer = super().from_config(config)
        if found is not None:
            layer.bin_boundaries = found
        return layer


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of about `1 / epsilon` values that represent equally many each."""
    if summary.shape[1] * epsilon < 1:
        return summary
    wanted = epsilon + np.arange(0.0, 1.0, epsilon)
    so_far = summary[1].cumsum()
    shares = so_far / so_far[-1]
    values, counts = (np.interp(wanted, shares, row) for row in (summary[0], so_far))
    return np.stack([values, np.diff(counts, prepend=0)]).astype("float32")
