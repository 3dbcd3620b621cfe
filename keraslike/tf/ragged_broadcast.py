"""Elementwise functions of ragged tensors, which are broadcast against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, ops
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_partition import _count
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import Tensor, run


def map_flat_values(op: Callable, *args: Any, **kwargs: Any) -> Any:
    """`op` applied to the flat values of ragged arguments, which must have the same rows.

    Arguments may be lists and dicts of ragged tensors.

    >>> r = tf.ragged.constant([[1, 2], [], [3]])
    >>> tf.ragged.map_flat_values(tf.square, r)
    <tf.RaggedTensor [[1, 4], [], [9]]>
    """
    given: list[RaggedTensor] = []
    args, kwargs = _flat((args, kwargs), given)
    out = op(*args, **kwargs)
    if not given:
        return out
    for other in given[1:]:
        _check_rows(given[0], other)
    count = given[0].flat_values.shape[0]
    if not tuple(out.shape)[:1] == (count,):
        raise ValueError(
            f"tf.ragged.map_flat_values: the result of op must have {count} rows, like the flat "
            f"values. Received shape: {tuple(out.shape)}"
        )
    uniform = lambda r: sum(level._uniform is not None for level in r._levels())  # noqa: E731
    return max(given, key=uniform).with_flat_values(out)


def _flat(x: Any, found: list[RaggedTensor]) -> Any:
    """The structure with flat values in place of ragged tensors, which are added to a list."""
    if isinstance(x, RaggedTensor):
        found.append(x)
        return x.flat_values
    if isinstance(x, dict):
        return {key: _flat(value, found) for key, value in x.items()}
    return type(x)(_flat(item, found) for item in x) if type(x) in (list, tuple) else x


def _check_rows(a: RaggedTensor, b: RaggedTensor) -> None:
    if a.ragged_rank != b.ragged_rank:
        raise InvalidArgumentError(
            f"Ragged tensors of ragged_rank {a.ragged_rank} and {b.ragged_rank} do not broadcast."
        )
    for x, y in zip(a._levels(), b._levels()):
        _check_splits(x, y)


def _check_splits(x: RaggedTensor, y: RaggedTensor) -> None:
    if x._splits is y._splits or is_traced(x._splits) or is_traced(y._splits):
        return
    if not np.array_equal(x._splits, y._splits):
        raise InvalidArgumentError(
            f"The rows of two ragged tensors end at different places: {x._splits.tolist()} "
            f"and {y._splits.tolist()}."
        )


def _elementwise(function: Callable, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("name", None)
    given = [*args, *kwargs.values()]
    kind = next(a.dtype for a in given if isinstance(a, RaggedTensor))
    given = [a if _is_plain(a) else _operand(a, kind) for a in given]
    rank = max(len(getattr(a, "shape", ())) for a in given)
    given = [_of_rank(a, rank) if isinstance(a, RaggedTensor) else a for a in given]
    pattern = max((a for a in given if isinstance(a, RaggedTensor)), key=_breadth)
    for a in given:
        pattern = _widened(pattern, a)

    def spread(a: Any) -> Any:
        if not isinstance(a, RaggedTensor):
            return _spread(pattern, a)
        return a if _same_rows(pattern, a) else pattern.with_flat_values(_aligned(pattern, a))

    given = [spread(a) for a in given]
    named = dict(zip(kwargs, given[len(args) :]))
    return map_flat_values(function, *given[: len(args)], **named)


def _of_rank(x: RaggedTensor, rank: int) -> RaggedTensor:
    """The tensor with leading axes of size 1."""
    while len(x.shape) < rank:
        x = _expand_dims(ops.expand_dims, x, 0)
    return x


def _widened(pattern: RaggedTensor, x: Any) -> RaggedTensor:
    """The pattern, repeated along axes of size 1 that are longer in `x`."""
    own, sizes = tuple(pattern.shape), tuple(getattr(x, "shape", ()))
    sizes = (*(1,) * (len(own) - len(sizes)), *sizes)[: 1 + pattern.ragged_rank]
    counts = [n if mine == 1 and n is not None else 1 for mine, n in zip(own, sizes)]
    if all(n == 1 for n in counts):
        return pattern
    return ops.tile(pattern, [*counts, *(1,) * (len(own) - len(counts))])


def _breadth(r: RaggedTensor) -> tuple[int, int, int]:
    """Orders tensors by which is broadcast to which: those with axes of size 1 are."""
    ones = sum(level._uniform == 1 for level in r._levels()) + (r._rows == 1)
    return r.ragged_rank, -ones, _count(r.flat_values)


def _same_rows(a: RaggedTensor, b: RaggedTensor) -> bool:
    if a.ragged_rank != b.ragged_rank:
        return False
    pairs = [(x._splits, y._splits) for x, y in zip(a._levels(), b._levels())]
    return all(x is y or is_traced(x) or is_traced(y) or np.array_equal(x, y) for x, y in pairs)


def _aligned(pattern: RaggedTensor, x: RaggedTensor, exact: bool = True) -> Tensor:
    """The values of `x` for the elements of `pattern`: rows of length 1 are broadcast.

    Unless `exact`, rows may be longer than those of `pattern`.
    """
    places = pattern._coordinates()
    fits = len(x.shape) == len(pattern.shape) and x.ragged_rank <= pattern.ragged_rank
    fits = fits and x._rows in (1, pattern._rows)
    mine, node = places[0], places[0] if x._rows == pattern._rows else places[0] * 0
    for column, level, other in zip(places[1:], x._levels(), pattern._levels()):
        what = "Whether rows are as long as the other's"
        splits, own = level._known(what), other._known(what)
        lengths = np.diff(splits)[node], np.diff(own)[mine]
        one = level._uniform == 1
        fits = fits and (one or not exact or np.array_equal(*lengths))
        if not fits:
            break
        node, mine = splits[node] + (column * 0 if one else column), own[mine] + column
    rest, inner = places[1 + x.ragged_rank :], tuple(x.flat_values.shape)[1:]
    fits = fits and all(n == 1 or p.max(initial=-1) < n for n, p in zip(inner, rest))
    if not fits:
        raise InvalidArgumentError(
            f"Ragged tensors of shapes {pattern.shape} and {x.shape} do not broadcast: the rows of "
            f"one end at {[level._splits.tolist() for level in pattern._levels()]}, those of the "
            f"other at {[level._splits.tolist() for level in x._levels()]}."
        )
    return _picked(x.flat_values, [node, *(p if n != 1 else p * 0 for n, p in zip(inner, rest))])


def _is_plain(x: Any) -> bool:
    return x is None or isinstance(x, (int, float, str, bytes, dtypes.DType, type, np.generic))


def _spread(pattern: RaggedTensor, x: Any, exact: bool = True) -> Any:
    """The values of a dense tensor, broadcast to the elements of a ragged one.

    Unless `exact`, the rows of the dense tensor may be longer.
    """
    if _is_plain(x):
        return x
    x = convert_to_tensor(x, dtype_hint=pattern.dtype)
    if not x.ndim:
        return x
    rank = len(pattern.shape)
    if x.ndim > rank:
        raise InvalidArgumentError(f"Shape {x.shape} does not broadcast to {pattern.shape}.")
    sizes = (1,) * (rank - x.ndim) + tuple(x.shape)
    places = []
    for n, level, place in zip(sizes, [None, *pattern._levels()], pattern._coordinates()):
        if n != 1 and level is None and n != pattern._rows:
            raise InvalidArgumentError(f"Shape {x.shape} does not broadcast to {pattern.shape}.")
        if n != 1 and level is not None and exact:
            lengths = np.diff(level._known("Whether rows are as long as the other's"))
            if (lengths != n).any():
                raise InvalidArgumentError(
                    f"Rows of lengths {lengths.tolist()} do not broadcast with shape {x.shape}."
                )
        places.append(place if n != 1 else place * 0)
    return _picked(ops.reshape(x, sizes), places)


def _picked(x: Tensor, places: list) -> Tensor:
    if x.dtype is dtypes.string:
        return Tensor(x._value[tuple(places)])
    return run(_pick, (x, *places))


def _pick(x: Any, *places: Any) -> Any:
    return jnp.asarray(x)[places]


def _operand(x: Any, hint: Any = None) -> Any:
    return x if isinstance(x, RaggedTensor) else convert_to_tensor(x, dtype_hint=hint)


def _expand_dims(function: Callable, input: Any, axis: Any, name: Any = None) -> Any:
    rank = len(input.shape) + 1
    axis = static(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"axis={axis} is out of bounds: expected {-rank} <= axis < {rank}")
    axis %= rank
    if not isinstance(input, RaggedTensor):
        return ops.expand_dims(input, axis)
    if axis == 0:
        return RaggedTensor.from_uniform_row_length(input, input._rows, 1)
    if axis == 1:
        return RaggedTensor.from_uniform_row_length(input, 1, input._rows)
    return input.with_values(_expand_dims(function, input._values, axis - 1))
