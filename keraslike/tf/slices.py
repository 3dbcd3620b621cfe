"""`tf.IndexedSlices`: some rows of a tensor, as in gradients of `tf.gather`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.boxed import Boxed
from keraslike.core.errors import NeedsPython
from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.tensor import Tensor, run


class IndexedSlices(Boxed):
    """Some rows of a tensor: `values[i]` is row `indices[i]`, and rows with one index are added.

    Functions of tensors convert it to the whole tensor; optimizers and functions that clip
    gradients accept it unconverted.

    >>> rows = tf.IndexedSlices([[1.0, 2.0]], [1], dense_shape=[3, 2])
    >>> tf.convert_to_tensor(rows).numpy().tolist()
    [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None):
        self._values, self._indices = convert_to_tensor(values), convert_to_tensor(indices)
        self._sizes = None if dense_shape is None else tuple(static(dense_shape))

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def indices(self) -> Tensor:
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        return None if self._sizes is None else constant(np.asarray(self._known(), np.int32))

    def _known(self) -> tuple[int, ...] | None:
        if self._sizes is not None and None in self._sizes:
            raise NeedsPython("The dense shape of these IndexedSlices is not known.")
        return self._sizes

    @property
    def shape(self) -> TensorShape:
        if self._sizes is None:
            return TensorShape([None, *self._values.shape[1:]])
        return TensorShape(self._sizes)

    @property
    def dtype(self) -> dtypes.DType:
        return self._values.dtype

    @property
    def device(self) -> str:
        return self._values.device

    def consumers(self) -> list[Any]:
        """The operations that use it, which are unknown: an empty list."""
        return []

    def with_values(self, new_values: Any) -> IndexedSlices:
        """Other values for the same rows."""
        return IndexedSlices(new_values, self._indices, self._sizes)

    def _as_tensor(self) -> Tensor:
        if self._sizes is None:
            raise ValueError(
                "IndexedSlices can only be converted to a tensor if dense_shape is given."
            )
        return run(_scattered, (self._values, self._indices), (self._known(),))

    def unbox(self) -> jax.Array:
        return self._as_tensor().unbox()

    @staticmethod
    def _dispatch(
        function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None
    ) -> Any:
        return Tensor._dispatch(function, args, kwargs, owner)

    def __neg__(self) -> IndexedSlices:
        return self.with_values(-self._values)

    def __repr__(self) -> str:
        shape = "" if self._sizes is None else f", dense_shape={self.dense_shape!s}"
        return f"IndexedSlices(indices={self._indices!s}, values={self._values!s}{shape})"


def _scattered(values: Any, indices: Any, sizes: tuple[int, ...]) -> Any:
    return jnp.zeros(sizes, values.dtype).at[indices].add(values)


def _unflatten(sizes: Any, children: Any) -> IndexedSlices:
    made = object.__new__(IndexedSlices)
    (made._values, made._indices), made._sizes = children, sizes
    return made


jax.tree_util.register_pytree_node(
    IndexedSlices, lambda s: ((s._values, s._indices), s._sizes), _unflatten
)


def by_rows(function: Callable) -> Callable:
    """A decorator with which a function applies to the values of `IndexedSlices`; its result must
    be correct for those alone."""

    @functools.wraps(function)
    def call(t: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(t, IndexedSlices):
            return t.with_values(function(t.values, *args, **kwargs))
        return function(t, *args, **kwargs)

    return call


def rows_of(t: Any) -> Any:
    """The values of `IndexedSlices`; any other tensor unchanged."""
    return t.values if isinstance(t, IndexedSlices) else t
