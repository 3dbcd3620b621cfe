"""Functions of the slices along a first axis, such as `tf.map_fn` and `tf.scan`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.structures import map_items
from keraslike.tf import nest
from keraslike.tf.autograph import converted
from keraslike.tf.concrete import wrap_values
from keraslike.tf.control import _flat, _run, _Traced, _written, is_composite
from keraslike.tf.conversion import convert_to_tensor, stacked
from keraslike.tf.dtypes import DType
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.one_by_one import is_dense, one_by_one, specs
from keraslike.tf.ops import concat, expand_dims
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.signatures import TensorSpec
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.specs import RaggedTensorSpec, SparseTensorSpec
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import Tensor, raw


def map_fn(
    fn: Callable,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: Any = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """The stacked results of `fn` for each slice along the first axis, one after the other.

    The results must have the structure and dtypes of `fn_output_signature`, by default those of
    `elems`: otherwise this raises ValueError, TypeError or InvalidArgumentError.

    >>> tf.map_fn(lambda x: x * x, tf.constant([1, 2, 3])).numpy().tolist()
    [1, 4, 9]
    """
    signature = specs(dtype if fn_output_signature is None else fn_output_signature)
    if _has_composites(elems):
        return _looped(converted(fn), elems)
    if not (is_dense(signature) and is_dense(elems)):
        expected = nest.map_structure(_slice_spec, elems) if signature is None else signature
        fn = fn if trace_state_clean() else converted(fn)
        return one_by_one(functools.partial(_fitting, fn, expected), elems, expected)
    elems = _elements(elems)
    expected = nest.map_structure(_slice_spec, elems) if signature is None else signature
    fn = functools.partial(_fitting, converted(fn), expected)
    return _unless_python(lambda: _looped(fn, elems), lambda: one_by_one(fn, elems, expected))


def _has_composites(tree: Any) -> bool:
    if isinstance(tree, (list, tuple, dict)):
        return any(map(_has_composites, tree.values() if isinstance(tree, dict) else tree))
    return is_composite(tree)


def _looped(fn: Callable, elems: Any) -> Any:
    return _over(elems, lambda each, _: (None, fn(each)), None, reverse=False)[1]


def _unless_python(traced: Callable, in_python: Callable) -> Any:
    """The result of `traced()`, or of a loop in Python if the function cannot be traced."""
    try:
        return traced()
    except NeedsPython:
        if not trace_state_clean():
            raise
    return in_python()


def _slice_spec(x: Any) -> DType | RaggedTensorSpec | SparseTensorSpec:
    """What describes a slice along the first axis: a spec, or the dtype of a dense tensor."""
    if isinstance(x, RaggedTensor):  # whose results have rows of any length
        return RaggedTensorSpec.from_value(x).rows()
    if isinstance(x, SparseTensor):
        return SparseTensorSpec(x.shape[1:], x.dtype)
    return convert_to_tensor(x).dtype


def _fitting(fn: Callable, signature: Any, each: Any) -> Any:
    """The result of a function for a slice as tensors, if it fits the signature."""
    out = fn(each)
    nest.assert_same_structure(signature, out)
    return nest.map_structure(_fit, signature, out)


def _fit(spec: Any, value: Any) -> Any:
    dtype = spec if isinstance(spec, DType) else spec.dtype
    if not isinstance(value, Structure):
        value = convert_to_tensor(value, dtype_hint=dtype)
    if value.dtype is not dtype:
        dense = isinstance(spec, (DType, TensorSpec))
        raise (InvalidArgumentError if dense else ValueError)(
            f"tf.map_fn: expected a result of dtype {dtype.name}, by fn_output_signature or else "
            f"elems. Received: {value.dtype.name}"
        )
    if not isinstance(spec, DType) and not spec.shape.is_compatible_with(value.shape):
        raise ValueError(
            f"tf.map_fn: expected a result of shape {spec.shape}, by fn_output_signature. "
            f"Received: {value.shape}"
        )
    return value


def vectorized_map(
    fn: Callable, elems: Any, fallback_to_while_loop: bool = True, warn: bool = True
) -> Any:
    """The stacked results of `fn` for each slice along the first axis, vectorized.

    Elements whose first axis has size 1 are broadcast to the others.

    >>> tf.vectorized_map(lambda x: x * x, tf.constant([1, 2, 3])).numpy().tolist()
    [1, 4, 9]
    """
    return _unless_python(
        lambda: _vectorized(converted(fn), elems), lambda: one_by_one(fn, elems, None)
    )


def _vectorized(fn: Callable, elems: Any) -> Any:
    flat, tree = _flat(elems)
    slices = [_slice_of(t) for t in flat]
    traced = _Traced(lambda *v: fn(wrap_values(jax.tree.unflatten(tree, list(v)))), *slices)
    if traced.changed:  # one slice after the other, such as draws of random numbers
        return _looped(fn, elems)

    def mapped(*values: Any) -> list[Any]:
        inside, taken = values[: len(flat)], values[len(flat) :]
        ones = [isinstance(v.shape[0], int) and v.shape[0] == 1 for v in inside]
        axes = tuple(None if one and not all(ones) else 0 for one in ones)
        inside = [v[0] if axis is None else v for v, axis in zip(inside, axes)]
        return jax.vmap(lambda *v: traced(taken, *v), axes)(*inside)

    return traced.built(_run(mapped, [*flat, *traced.taken]))


def _slice_of(tensor: Tensor) -> Any:
    return jax.ShapeDtypeStruct(tensor._value.shape[1:], tensor._value.dtype)


def scan(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """The stacked states of `state = fn(state, slice)` along the first axis.

    >>> tf.scan(lambda total, x: total + x, tf.constant([1, 2, 3])).numpy().tolist()
    [1, 3, 6]
    """
    rest, state = _first(elems, initializer, reverse)
    fn = _keeping(converted(fn), state)

    def step(each: Any, s: Any) -> Any:
        return (fn(s, each),) * 2

    states = _unless_python(
        lambda: _over(rest, step, state, reverse)[1],
        lambda: _stacked(_in_python(rest, fn, state, reverse)[1:], state, reverse),
    )
    if initializer is not None:
        return states

    def whole(first: Any, others: Any) -> Any:  # without an initializer, a slice is a state
        ends = [expand_dims(first, 0), others]
        return concat(ends[::-1] if reverse else ends, 0)

    return nest.map_structure(whole, state, states)


def foldl(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last state of `state = fn(state, slice)` along the first axis.

    >>> tf.foldl(lambda total, x: 2 * total + x, tf.constant([1, 2, 3])).numpy().tolist()
    11
    """
    return _fold(fn, elems, initializer, reverse=False)


def foldr(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """Like `foldl`, from the last slice to the first.

    >>> tf.foldr(lambda total, x: 2 * total + x, tf.constant([1, 2, 3])).numpy().tolist()
    17
    """
    return _fold(fn, elems, initializer, reverse=True)


def _fold(fn: Callable, elems: Any, initializer: Any, reverse: bool) -> Any:
    elems, state = _first(elems, initializer, reverse)
    fn = _keeping(converted(fn), state)

    def step(each: Any, s: Any) -> Any:
        return fn(s, each), None

    return _unless_python(
        lambda: _over(elems, step, state, reverse)[0],
        lambda: _in_python(elems, fn, state, reverse)[-1],
    )


def _in_python(elems: Any, fn: Callable, state: Any, reverse: bool) -> list[Any]:
    """The first state and those after each slice, by a Python loop."""
    states, flat = [state], nest.flatten(elems)
    places = range(len(flat[0]))
    for i in reversed(places) if reverse else places:
        after = fn(states[-1], nest.pack_sequence_as(elems, [x[i] for x in flat]))
        states.append(nest.map_structure(_alike, state, after))
    return states


def _alike(before: Any, after: Any) -> Tensor:
    return convert_to_tensor(after, convert_to_tensor(before).dtype)


def _stacked(states: list[Any], state: Any, reverse: bool) -> Any:
    if not states:
        return nest.map_structure(lambda s: expand_dims(s, 0)[:0], state)
    states = states[::-1] if reverse else states
    return nest.map_structure(lambda *values: stacked(values), *states)


def _keeping(fn: Callable, state: Any) -> Callable:
    """The function of a state and a slice, if its result has the structure of the state."""

    def keeping(before: Any, each: Any) -> Any:
        after = fn(before, each)
        nest.assert_same_structure(state, after)
        return after

    return keeping


def _elements(elems: Any) -> Any:
    """The structure as tensors. Raises ValueError if there is none, or one has no first axis."""
    flat = [] if isinstance(elems, list) and not elems else _flat(elems := _tensors(elems))[0]
    if not flat or any(not t._value.shape for t in flat):
        raise ValueError(f"elems must be tensors of one or more axes. Received: {elems}")
    return elems


def _first(elems: Any, initializer: Any, reverse: bool) -> tuple[Any, Any]:
    elems = _elements(elems)
    if initializer is not None:
        return elems, _tensors(initializer)
    rest, first = (slice(None, -1), -1) if reverse else (slice(1, None), 0)
    flat, tree = _flat(elems)
    parts = [[t[at] for t in flat] for at in (rest, first)]
    return tuple(jax.tree.unflatten(tree, part) for part in parts)


def _tensors(tree: Any) -> Any:
    """The structure with its leaves as tensors. A list is one, or a tensor if it holds numbers."""
    if isinstance(tree, (tuple, dict)) or (isinstance(tree, list) and _holds_arrays(tree)):
        return map_items(_tensors, tree)
    return tree if is_composite(tree) else convert_to_tensor(tree)


def _holds_arrays(tree: Any) -> bool:
    if isinstance(tree, (list, tuple)):
        return any(map(_holds_arrays, tree))
    return isinstance(tree, dict) or len(getattr(tree, "shape", ())) > 0


def _over(elems: Any, step: Callable, state: Any, reverse: bool) -> tuple[Any, Any]:
    """The last state and the stacked outputs of `state, out = step(slice, state)` along the first
    axis."""
    flat, tree = _flat(_tensors(elems))
    held, state_tree = _flat(state)
    slices = [_slice_of(t) for t in flat]

    def on_arrays(*values: Any) -> Any:
        s = jax.tree.unflatten(state_tree, list(values[: len(held)]))
        each = jax.tree.unflatten(tree, list(values[len(held) :]))
        return step(wrap_values(each), wrap_values(s))

    traced = _Traced(on_arrays, *map(raw, held), *slices)
    changed, n, results = traced.changed, len(held), traced.structure.num_leaves
    places = {id(v): n + i for i, v in enumerate(changed)}
    at = [places.get(id(v)) for v in traced.taken]

    def loop(*values: Any) -> list[Any]:
        first, rest = list(values[: n + len(changed)]), values[n + len(changed) :]
        inside, taken = list(rest[: len(flat)]), rest[len(flat) :]

        def once(s: list[Any], each: list[Any]) -> tuple[list[Any], list[Any]]:
            given = [t if i is None else s[i] for i, t in zip(at, taken)]
            out = traced(given, *s[:n], *each)
            return [*out[:n], *out[results:]], out[n:results]

        last, outs = jax.lax.scan(once, first, inside, reverse=reverse)
        return [*last[:n], *outs, *last[n:]]

    out = _run(loop, [*held, *changed, *flat, *traced.taken])
    return traced.built(_written(out, changed))
