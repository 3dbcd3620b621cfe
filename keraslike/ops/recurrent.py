"""The recurrent loop, and loops for LSTM, GRU and the simple recurrence that are fast in training.

Everything here has time first: inputs are `(steps, batch, features)`.

What makes the latter fast, on any platform: the inputs of all steps are projected in one product,
and so are the gradients of the weights formed, after the loop. Their derivative is written as a
linear loop whose coefficients are all known before it begins; transposed by JAX it is the backward
pass. Being an ordinary JVP it serves forward mode and higher derivatives as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core import dtypes, lowering
from keraslike.core.flax_internals import check_can_update
from keraslike.core.structures import keeping_order, tree_map
from keraslike.ops.products import matmul

# -- any cell ---------------------------------------------------------------------------------


def rnn(
    step: Callable,
    inputs: Any,
    states: Any,
    mask: jax.Array | None = None,
    reverse: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    variables: Sequence[Any] = (),
) -> tuple[Any, Any]:
    """`output, states = step(input, states)` for every step: all outputs, and the last states.

    Args:
        inputs: `(steps, batch, ...)`, or a structure of them; so are the outputs.
        states: a structure of arrays; the first of them is taken for the output of the step before.
        mask: `(steps, batch)`; where it is false the states stay and the output is repeated.
        reverse: whether to begin at the end; outputs stay where their inputs are.
        unroll: whether to write the steps out one after another.
        zero_output_for_mask: whether outputs are zero where the mask is false.
        variables: Variables that `step` may change: what one step leaves is there for the next.

    Raises ValueError if an output is to be repeated that the states do not hold.

    >>> outputs, last = rnn(lambda x, s: (x + s, x + s), jnp.arange(3.0)[:, None], jnp.zeros(1))
    >>> outputs.ravel().tolist(), last.tolist()
    ([0.0, 1.0, 3.0], [3.0])
    """

    def body(carry: Any, given: Any) -> Any:
        (values, states), (x, keep) = carry, given
        with lowering.holding(changed, values):
            output, new = step(x, states)
            values = lowering.values_of(changed)
        if keep is not None:
            zeros = jax.tree.map(jnp.zeros_like, output)
            before = zeros if zero_output_for_mask else _output(states)
            if jax.tree.map(jnp.shape, before) != jax.tree.map(jnp.shape, output):
                raise ValueError(
                    f"A cell whose output has shape {jax.tree.map(jnp.shape, output)} and whose "
                    f"state has shape {jax.tree.map(jnp.shape, before)} needs "
                    "zero_output_for_mask=True for inputs with a mask: there is no output of the "
                    "step before to repeat."
                )
            output, new = tree_map(functools.partial(_where, keep), (output, new), (before, states))
        return keeping_order(((values, new), output))

    changed = _changed(step, inputs, states, variables)
    carry = lowering.values_of(changed), states
    carry, given = keeping_order((carry, (inputs, mask)))
    carry, outputs = lax.scan(body, carry, given, reverse=reverse, unroll=unroll)
    for variable in changed:
        check_can_update(variable)
    lowering.write(changed, carry[0])
    return outputs, carry[1]


def _changed(step: Callable, inputs: Any, states: Any, variables: Sequence[Any]) -> list[Any]:
    """The Variables that a step changes."""
    changed: list[Any] = []

    def trial(x: Any, states: Any, before: Any) -> Any:
        with lowering.holding(variables, before):
            out = step(x, states)
            now = lowering.values_of(variables)
        changed.extend(v for v, a, b in zip(variables, before, now) if a is not b)
        return out

    if variables:
        first = tree_map(lambda a: a[0], inputs)
        first, before = keeping_order((first, states))
        jax.eval_shape(trial, first, before, lowering.values_of(variables))
    return changed


def _output(states: Any) -> jax.Array:
    """The output of the previous step: the first state, of the last cell if cells are stacked."""
    first = states[0]
    return states[-1][0] if isinstance(first, (list, tuple)) else first


def _where(keep: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(keep.reshape(*keep.shape, *(1,) * (new.ndim - keep.ndim)), new, old)


# -- the fast loops ---------------------------------------------------------------------------


class _Form(NamedTuple):
    """A recurrence and its derivative, as functions of one step and of all steps.

    `advance(x, states, product, bias) -> (states, saved)` is a step, where `product` is that of the
    first state and the recurrent kernel, `multiply(state, kernel)`, a bilinear function with any
    number of leading axes. `coefficients(saved, every, before, mask)` gives, for all steps at once,
    what `tangent(inputs, states, product, coefficients)` needs, a step of the linear loop;
    `enter(x, product, bias)` forms its inputs from changes of the inputs, of that product and of
    the bias.
    """

    advance: Callable
    coefficients: Callable
    tangent: Callable
    enter: Callable
    reverse: bool = False
    unroll: bool = False
    multiply: Callable = matmul


def _loop(form: _Form, x: Any, kernel: Any, bias: Any, states: tuple, mask: Any) -> tuple:
    """The last states, and for every step the states after it and the values for the derivative."""

    def body(states: tuple, given: tuple) -> tuple:
        x, keep = given
        new, saved = form.advance(x, states, form.multiply(states[0], kernel), bias)
        if keep is not None:
            new = tuple(jnp.where(keep, a, b) for a, b in zip(new, states))
        return new, (new, saved)

    last, (every, saved) = lax.scan(
        body, states, (x, mask), reverse=form.reverse, unroll=form.unroll
    )
    return last, every, saved


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _run(form: _Form, x: Any, kernel: Any, bias: Any, states: tuple, mask: Any) -> tuple:
    last, every, _ = _loop(form, x, kernel, bias, states, mask)
    return every[0], last


@_run.defjvp
def _(form: _Form, primals: tuple, tangents: tuple) -> tuple:
    _, kernel, _, states, mask = primals
    dx, dkernel, dbias, dstates, _ = tangents
    last, every, saved = _loop(form, *primals)
    before = tuple(_before(e, s, form.reverse) for e, s in zip(every, states))
    dx = form.enter(dx, form.multiply(before[0], dkernel), dbias)
    coefficients = form.coefficients(saved, every, before, mask)
    multiplied = _multiplied(form, kernel)

    def body(dstates: tuple, given: tuple) -> tuple:
        dx, coefficients = given
        new = form.tangent(dx, dstates, multiplied(dstates[0]), coefficients)
        return new, new[0]

    dlast, devery = lax.scan(
        body, dstates, (dx, coefficients), reverse=form.reverse, unroll=form.unroll
    )
    return (every[0], last), (devery, dlast)


def _multiplied(form: _Form, kernel: jax.Array) -> Callable:
    """The product with the recurrent kernel, for the linear loop."""
    if form.multiply is not matmul:
        return lambda state: form.multiply(state, kernel)
    # The backward pass multiplies by the transpose, which should not be computed in every step.
    transposed = lax.optimization_barrier(kernel.T)
    return lambda state: lax.dot_general(state, transposed, (((1,), (1,)), ((), ())))


def _before(every: jax.Array, first: jax.Array, reverse: bool) -> jax.Array:
    """For each step the state before it."""
    if reverse:
        return jnp.concatenate([every[1:], first[None]])
    return jnp.concatenate([first[None], every[:-1]])


def _moving(mask: Any, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Coefficients of a step's changes, which are zero where the mask is false."""
    return arrays if mask is None else tuple(jnp.where(mask, a, 0) for a in arrays)


def _staying(mask: Any, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Coefficients of a state in itself, which is unchanged where the mask is false."""
    return arrays if mask is None else tuple(jnp.where(mask, a, 1) for a in arrays)


def _stay(mask: Any, dtype: Any) -> Any:
    """The coefficient of the output's state in itself: 1 where the mask is false, 0 elsewhere."""
    return None if mask is None else jnp.where(mask, jnp.zeros((), dtype), 1)


def _kept(new: jax.Array, stay: Any, old: jax.Array) -> jax.Array:
    return new if stay is None else new + stay * old


def _in_float32(loop: Callable) -> Callable:
    """Half precision is computed in float32, since rounding errors would accumulate over the
    steps."""

    @functools.wraps(loop)
    def run(inputs: jax.Array, *arrays: Any, **options: Any) -> tuple:
        dtype = inputs.dtype
        if not dtypes.is_half(dtype):
            return loop(inputs, *arrays, **options)
        inputs, arrays = jax.tree.map(lambda a: a.astype("float32"), (inputs, arrays))
        return jax.tree.map(lambda a: a.astype(dtype), loop(inputs, *arrays, **options))

    return run


def _columns(mask: jax.Array | None, state: jax.Array) -> jax.Array | None:
    return None if mask is None else mask.reshape(*mask.shape, *(1,) * (state.ndim - 1))


# sigmoid(x) is (1 + tanh(x / 2)) / 2. With the weights halved, all gates of a step are one tanh of
# a contiguous array, which XLA's CPU backend computes eight times as fast as functions of slices.


def _gate(t: jax.Array) -> jax.Array:
    return 0.5 * t + 0.5


def _slope(t: jax.Array) -> jax.Array:
    return 0.5 - 0.5 * t * t


def _halved(units: int, gates: Sequence[bool], dtype: Any) -> jax.Array:
    return jnp.concatenate([jnp.full(units, 0.5 if gate else 1.0, dtype) for gate in gates])


def _lstm_advance(x: Any, states: tuple, product: Any, bias: Any) -> tuple:
    c = states[1]
    t = jnp.tanh(x + product + bias)
    i, f, g, o = jnp.split(t, 4, -1)
    c = _gate(f) * c + _gate(i) * g
    return (_gate(o) * jnp.tanh(c), c), (t,)


def _lstm_coefficients(saved: tuple, every: tuple, before: tuple, mask: Any) -> tuple:
    i, f, g, o = jnp.split(saved[0], 4, -1)
    t = jnp.tanh(every[1])
    gates = [g * _slope(i), before[1] * _slope(f), _gate(i) * (1 - g * g), t * _slope(o)]
    out, *gates = _moving(mask, _gate(o) * (1 - t * t), *gates)
    (forget,) = _staying(mask, _gate(f))
    return jnp.concatenate(gates, -1), forget, out, _stay(mask, t.dtype)


def _lstm_tangent(dx: Any, states: tuple, product: Any, coefficients: tuple) -> tuple:
    gates, forget, out, stay = coefficients
    h, c = states
    i, f, g, o = jnp.split((dx + product) * gates, 4, -1)
    c = forget * c + i + f + g
    return _kept(out * c + o, stay, h), c


def _add(dx: Any, product: Any, dbias: Any) -> Any:
    return dx + product + dbias


_LSTM = _Form(_lstm_advance, _lstm_coefficients, _lstm_tangent, _add)


@_in_float32
def lstm(
    inputs: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None,
    h: jax.Array,
    c: jax.Array,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    unroll: bool = False,
    multiply: Sequence[Callable] = (matmul, matmul),
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """All outputs and the last `(h, c)` of an LSTM with tanh and sigmoid.

    `c = f * c + i * g; h = o * tanh(c)` with `i, f, g, o` from `x @ kernel + h @ recurrent_kernel
    + bias`, in this order (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735).

    Args:
        inputs: `(steps, batch, features)`.
        kernel: `(features, 4 * units)`.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)` or `None`.
        h, c: `(batch, units)`, the initial states.
        mask: `(steps, batch)`; where it is false the states are unchanged.
        reverse: whether to begin at the end; outputs stay where their inputs are.
        unroll: whether to unroll the loop.
        multiply: the products of inputs and of states with their kernels: bilinear functions of a
            kernel and of an array with any number of leading axes. For convolutions
            inputs and states have spatial axes before the last one.

    >>> outputs, (h, c) = lstm(
    ...     jnp.ones((3, 1, 2)), jnp.ones((2, 8)), jnp.ones((2, 8)), None, *jnp.zeros((2, 1, 2))
    ... )
    >>> outputs.shape, bool((outputs[-1] == h).all())
    ((3, 1, 2), True)
    """
    scale = _halved(h.shape[-1], (True, True, False, True), inputs.dtype)
    bias = jnp.zeros_like(scale) if bias is None else bias * scale
    x = multiply[0](inputs, kernel * scale)
    form = _LSTM._replace(reverse=reverse, unroll=unroll, multiply=multiply[1])
    return _run(form, x, recurrent_kernel * scale, bias, (h, c), _columns(mask, h))


def _gru_advance(x: Any, states: tuple, product: Any, bias: tuple) -> tuple:
    h, before = states
    units = h.shape[-1]
    a = product + bias[0]
    t = jnp.tanh(x[:, : 2 * units] + a[:, : 2 * units])
    z, r = jnp.split(t, 2, -1)
    a = a[:, 2 * units :]
    g = jnp.tanh(x[:, 2 * units :] + bias[1] + _gate(r) * a)
    # Tanh never exceeds 1, so this has no effect on the values. As `t` is used in the next step,
    # XLA keeps it as an array; otherwise it would compute it from slices if no derivative is
    # needed.
    z = jnp.where(before[:, :units] <= 1, _gate(z), before[:, :units])
    return (g + z * (h - g), t), (t, g, a)


def _gru_coefficients(saved: tuple, every: tuple, before: tuple, mask: Any) -> tuple:
    t, g, a = saved
    z, r = jnp.split(t, 2, -1)
    inner = (1 - _gate(z)) * (1 - g * g)
    gates = [(before[0] - g) * _slope(z), inner * a * _slope(r), inner * _gate(r)]
    inner, *gates = _moving(mask, inner, *gates)
    (stay,) = _staying(mask, _gate(z))
    return jnp.concatenate(gates, -1), inner, stay


def _gru_tangent(dx: tuple, states: tuple, product: Any, coefficients: tuple) -> tuple:
    gates, inner, stay = coefficients
    h, t = states
    z, r, a = jnp.split((dx[0] + product) * gates, 3, -1)
    return stay * h + z + r + a + inner * dx[1], t


def _gru_enter(dx: Any, product: Any, dbias: tuple) -> tuple:
    units = dx.shape[-1] // 3
    gates = jnp.pad(dx[..., : 2 * units], ((0, 0), (0, 0), (0, units)))
    return gates + product + dbias[0], dx[..., 2 * units :] + dbias[1]


_GRU = _Form(_gru_advance, _gru_coefficients, _gru_tangent, _gru_enter)


@_in_float32
def gru(
    inputs: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None,
    h: jax.Array,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    unroll: bool = False,
) -> tuple[jax.Array, tuple[jax.Array]]:
    """All outputs and the last state of a GRU with tanh and sigmoid, reset after the product.

    `h = z * h + (1 - z) * tanh(x_h + r * h_h)`, with `z`, `r` and the third part in this order in
    `x @ kernel` and `h @ recurrent_kernel` (Cho et al. 2014, https://arxiv.org/abs/1406.1078v1).

    Args:
        inputs: `(steps, batch, features)`.
        kernel: `(features, 3 * units)`.
        recurrent_kernel: `(units, 3 * units)`.
        bias: `(2, 3 * units)`, that of the inputs and that of the state, or `None`.
        h: `(batch, units)`, the state to begin with.
        mask, reverse, unroll: as for `lstm`.

    >>> outputs, (h,) = gru(
    ...     jnp.ones((3, 1, 2)), jnp.ones((2, 6)), jnp.ones((2, 6)), None, jnp.zeros((1, 2))
    ... )
    >>> outputs.shape, bool((outputs[-1] == h).all())
    ((3, 1, 2), True)
    """
    units = h.shape[-1]
    scale = _halved(units, (True, True, False), inputs.dtype)
    both = jnp.zeros((2, 3 * units), inputs.dtype) if bias is None else bias * scale
    bias = jnp.concatenate([both[0, : 2 * units] + both[1, : 2 * units], both[1, 2 * units :]])
    x = matmul(inputs, kernel * scale)
    form = _GRU._replace(reverse=reverse, unroll=unroll)
    states = (h, jnp.zeros((h.shape[0], 2 * units), h.dtype))
    kernel = recurrent_kernel * scale
    outputs, (h, _) = _run(form, x, kernel, (bias, both[0, 2 * units :]), states, _columns(mask, h))
    return outputs, (h,)


def _simple_advance(
    x: Any, states: tuple, product: Any, bias: Any, activation: Callable = jnp.tanh
) -> tuple:
    z = x + product + bias
    y, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
    return (y,), (slope,)


def _simple_coefficients(saved: tuple, every: tuple, before: tuple, mask: Any) -> tuple:
    return *_moving(mask, *saved), _stay(mask, saved[0].dtype)


def _simple_tangent(dx: Any, states: tuple, product: Any, coefficients: tuple) -> tuple:
    slope, stay = coefficients
    return (_kept(slope * (dx + product), stay, states[0]),)


@functools.lru_cache(maxsize=256)
def _simple(activation: Callable) -> _Form:
    advance = functools.partial(_simple_advance, activation=activation)
    return _Form(advance, _simple_coefficients, _simple_tangent, _add)


@_in_float32
def simple_rnn(
    inputs: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None,
    h: jax.Array,
    *,
    activation: Callable = jnp.tanh,
    mask: jax.Array | None = None,
    reverse: bool = False,
    unroll: bool = False,
) -> tuple[jax.Array, tuple[jax.Array]]:
    """All outputs and the last state of `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Args:
        inputs: `(steps, batch, features)`.
        kernel: `(features, units)`.
        recurrent_kernel: `(units, units)`.
        bias: `(units,)` or `None`.
        h: `(batch, units)`, the state to begin with.
        activation: a function of each element by itself.
        mask, reverse, unroll: as for `lstm`.

    >>> outputs, (h,) = simple_rnn(
    ...     jnp.ones((3, 1, 2)), jnp.eye(2), jnp.eye(2), None, jnp.zeros((1, 2)),
    ...     activation=lambda x: x,
    ... )
    >>> outputs[:, 0, 0].tolist()
    [1.0, 2.0, 3.0]
    """
    bias = jnp.zeros(h.shape[-1], inputs.dtype) if bias is None else bias
    form = _simple(activation)._replace(reverse=reverse, unroll=unroll)
    return _run(form, matmul(inputs, kernel), recurrent_kernel, bias, (h,), _columns(mask, h))
