"""Structures of shapes, as `build` and `compute_output_shape` receive them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.core import sparsity, symbolic, text
from keraslike.core.static import Shape
from keraslike.core.structures import map_items
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.input_spec import InputSpec


def is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        s is None or isinstance(s, (int, np.integer)) for s in value
    )


def as_shapes(value: Any) -> Any:
    """Converts each shape in a structure to a `Shape`."""
    if hasattr(value, "as_list") and not isinstance(value, Shape):
        value = value.as_list()
    if is_shape(value):
        return Shape(value)
    return map_items(as_shapes, value)


def map_shapes(function: Callable, value: Any) -> Any:
    if is_shape(value) and (value or isinstance(value, Shape)):
        return function(value)
    return map_items(functools.partial(map_shapes, function), value)


def tensors_of(shapes: Any, dtype: str) -> Any:
    """Converts each shape in a structure to a symbolic tensor."""
    if hasattr(shapes, "as_list") or (is_shape(shapes) and (shapes or isinstance(shapes, Shape))):
        return KerasTensor(shapes, dtype)
    return map_items(lambda inner: tensors_of(inner, dtype), shapes)


def shapes_of(inputs: Any) -> Any:
    if hasattr(inputs, "shape"):
        return Shape(symbolic.show_shape(inputs.shape))
    return map_items(shapes_of, inputs)


def given_dtypes_in(inputs: Any) -> list[str | None]:
    """The dtypes of text, integer and boolean arrays in an argument, and `None` for others, in the
    order of `shapes_of`."""
    found: list[str | None] = []

    def visit(x: Any) -> Any:
        if not hasattr(x, "shape"):
            return map_items(visit, x)
        dtype = getattr(x, "dtype", None)
        dtype = str(getattr(dtype, "name", dtype))
        found.append(dtype if dtype.startswith(("int", "uint", "bool", "string")) else None)

    visit(inputs)
    return found


def kinds_of(inputs: Any) -> Any:
    """The shapes and dtypes of the arrays in an argument."""
    if isinstance(inputs, (list, tuple)):
        return [kinds_of(i) for i in inputs]
    if isinstance(inputs, dict):
        return {k: kinds_of(v) for k, v in inputs.items()}
    if not hasattr(inputs, "shape") or not hasattr(inputs, "dtype"):
        return inputs
    return InputSpec(inputs.dtype, symbolic.show_shape(inputs.shape))


def has_parts(tree: Any) -> bool:
    """Whether a structure holds sparse or ragged tensors, of which shapes do not tell."""

    def of_parts(x: Any) -> bool:
        return hasattr(x, "with_values") or sparsity.is_sparse(x)

    return any(map(of_parts, jax.tree.leaves(tree, is_leaf=of_parts)))


def given_shapes(method: Callable) -> Callable:
    """Wraps a user's `compute_output_shape`, which may call `as_list()` on its argument."""

    @functools.wraps(method)
    def given(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs = {k: as_shapes(v) for k, v in kwargs.items()}
        return method(self, *map(as_shapes, args), **kwargs)

    return given


def leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=lambda x: sparsity.is_sparse(x) or text.is_text(x))
