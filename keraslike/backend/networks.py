"""Softmax, convolutions, pooling and recurrence of Keras 2's `keras.backend`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.core.arguments import one_of, standardize_data_format


def softmax(x: Any, axis: Any = -1) -> Any:
    """The softmax along an axis. Raises ValueError for an array of one axis.

    >>> softmax(jnp.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if len(x.shape) <= 1:
        raise ValueError(f"x must have at least 2 axes. Received: x of shape {tuple(x.shape)}")
    return ops.softmax(x, axis)


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """`x` plus a bias of shape `(channels,)`, or of all axes but that of samples.

    >>> bias_add(jnp.ones((1, 2)), jnp.array([1.0, 2.0])).tolist()
    [[2.0, 3.0]]
    """
    rank, own = len(x.shape), len(bias.shape)
    if own not in (1, rank - 1):
        raise ValueError(
            f"bias must have 1 or {rank - 1} axes. Received: bias of shape {tuple(bias.shape)}"
        )
    shape = (*[1] * (rank - 1 - own), *bias.shape)
    if standardize_data_format(data_format) == "channels_first" and rank > 2:
        shape = (shape[-1], *shape[:-1])
    return ops.add(x, ops.reshape(bias, (1, *shape)))


def convolution(
    x: Any, kernel: Any, strides: Any, padding: str, data_format: str | None, dilation_rate: Any
) -> Any:
    if padding == "causal":
        size = kernel.shape[0]
        before = (dilation_rate if isinstance(dilation_rate, int) else dilation_rate[0]) * (
            size - 1
        )
        x, padding = padded(x, [(before, 0)], data_format), "valid"
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def padded(x: Any, padding: Any, data_format: str | None) -> Any:
    spatial = [tuple(p) for p in padding]
    first = standardize_data_format(data_format) == "channels_first"
    none = (0, 0)
    return ops.pad(x, [none, none, *spatial] if first else [none, *spatial, none])


def pooling(
    x: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None, pool_mode: str
) -> Any:
    pool = {"max": ops.max_pool, "avg": ops.average_pool}[
        one_of(("max", "avg"), pool_mode=pool_mode)
    ]
    return pool(x, pool_size, strides, padding, data_format)


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Sequence[int | None],
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """The transposed convolution with a given output shape, out of several possible ones.

    >>> conv2d_transpose(jnp.ones((1, 2, 2, 3)), jnp.ones((2, 2, 4, 3)), (1, 3, 3, 4)).shape
    (1, 3, 3, 4)
    """
    first = standardize_data_format(data_format) == "channels_first"
    given, wanted = (s[2:] if first else s[1:-1] for s in (tuple(x.shape), tuple(output_shape)))
    strides, dilation = (v if isinstance(v, Sequence) else (v, v) for v in (strides, dilation_rate))
    more: Any = []
    for n, out, k, s, d in zip(given, wanted, kernel.shape, strides, dilation):
        if n is None or out is None:
            more = None
            break
        whole = (k - 1) * d + 1
        more.append(out - (n - 1) * s - whole + (2 * (whole // 2) if padding == "same" else 0))
    usual = ops.conv_transpose(x, kernel, strides, padding, None, data_format, dilation)
    if more is None or all(
        a in (None, b) for a, b in zip(tuple(output_shape)[1:], usual.shape[1:])
    ):
        return usual
    return ops.conv_transpose(x, kernel, strides, padding, tuple(more), data_format, dilation)


def rnn(
    step_function: Callable,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | None = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, list[Any]]:
    """`output, states = step_function(input, states)` for each step of inputs.

    Args:
        inputs: `(samples, steps, ...)`, or `(steps, samples, ...)` with `time_major`.
        initial_states: a list of arrays.
        mask: `(samples, steps)`; where it is false, states and output keep their previous values.
        constants: arrays that are passed to the step after the states.
        return_all_outputs: whether all outputs are returned, rather than the last one only.

    Returns the last output, the outputs and the last states.

    >>> step = lambda x, states: (x + states[0], [x + states[0]])
    >>> last, outputs, states = rnn(step, jnp.ones((1, 3, 2)), [jnp.zeros((1, 2))])
    >>> last.tolist(), outputs.shape
    ([[3.0, 3.0]], (1, 3, 2))
    """
    axis = 0 if time_major else 1
    x = jax.tree.map(lambda a: jnp.moveaxis(jnp.asarray(a), axis, 0), inputs)
    steps = jax.tree.leaves(x)[0].shape[0]
    seen = None if mask is None else jnp.moveaxis(jnp.asarray(mask).astype(bool), axis, 0)
    more, states, output = tuple(constants or ()), list(map(jnp.asarray, initial_states)), None
    if go_backwards:
        x = jax.tree.map(lambda a: jnp.flip(a, 0), x)
        seen = None if seen is None else jnp.flip(seen, 0)

    def shaped(flag: Any, like: Any) -> Any:
        return flag.reshape(flag.shape[0], *[1] * (like.ndim - 1))

    def step(carry: tuple[Any, list[Any]], now: tuple[Any, Any]) -> tuple[Any, Any]:
        before, states = carry
        x, seen = now
        output, new = step_function(x, (*states, *more))
        new = list(new)
        if seen is not None:
            kept = jnp.zeros_like(output) if zero_output_for_mask else before
            output = jnp.where(shaped(seen, output), output, kept)
            new = [jnp.where(shaped(seen, n), n, s) for n, s in zip(new, states)]
        return (output, new), output

    first = jax.eval_shape(
        lambda x: step_function(x, (*states, *more))[0], jax.tree.map(lambda a: a[0], x)
    )
    carry = (jnp.zeros(first.shape, first.dtype), states)
    (output, states), outputs = jax.lax.scan(step, carry, (x, seen), unroll=steps if unroll else 1)
    if not return_all_outputs:
        outputs = output[None]
    return output, jnp.moveaxis(outputs, 0, axis), states


def folded(fn: Callable, elems: Any, initializer: Any, reverse: bool) -> Any:
    elems = jax.tree.map(jnp.asarray, elems)
    if initializer is None:
        first, rest = (-1, slice(None, -1)) if reverse else (0, slice(1, None))
        initializer, elems = (jax.tree.map(lambda a, i=i: a[i], elems) for i in (first, rest))
    return jax.lax.scan(lambda a, x: (fn(a, x), None), initializer, elems, reverse=reverse)[0]
