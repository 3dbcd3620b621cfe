"""Recurrent layers: a cell, which is one step, and what runs it along a sequence."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import activations, constraints, initializers, random, regularizers
from keraslike.core import base, rng
from keraslike.core.arguments import one_of, positive
from keraslike.core.rng import SeedGenerator
from keraslike.core.symbolic import KerasTensor
from keraslike.core.variable import Buffer, Param
from keraslike.layers.layer import InputSpec, Layer
from keraslike.ops import recurrent

# Functions of each element by itself.
_ELEMENTWISE = frozenset(
    (activations.tanh, activations.relu, activations.sigmoid, activations.linear, activations.elu)
    + (activations.selu, activations.gelu, activations.silu, activations.softplus)
    + (activations.softsign, activations.hard_sigmoid, activations.hard_tanh, activations.relu6)
)

_FAMILIES = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
    "activation": activations,
}


# -- cells ------------------------------------------------------------------------------------


class _Cell(Layer):
    """A step that is a function of `x @ kernel` and `h @ recurrent_kernel`.

    A subclass says how many gates there are, how the bias is begun and, in `_advance`, what a step
    does with the first of the two products; in `_fast` how a sequence is run where there is a
    faster way than by steps.
    """

    _gates: int

    def __init__(self, cls: type[_Cell], **given: Any):
        own = _names(cls)
        implementation = given.pop("implementation", 2)
        super().__init__(**{name: v for name, v in given.items() if name not in own})
        for name in own:
            family = _FAMILIES.get(name.rpartition("_")[2])
            setattr(self, name, given[name] if family is None else family.get(given[name]))
        self.units = positive(units=self.units)
        self.dropout = _rate(dropout=self.dropout)
        self.recurrent_dropout = _rate(recurrent_dropout=self.recurrent_dropout)
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed_generator = SeedGenerator(self.seed)
        self.output_size = self.units
        self.state_size: Any = self.units

    def build(self, input_shape: Sequence[int | None]) -> None:
        size = self._gates * self.units
        for name, shape, kind in (
            ("kernel", (input_shape[-1], size), "kernel"),
            ("recurrent_kernel", (self.units, size), "recurrent"),
            ("bias", self._bias_shape(size), "bias"),
        ):
            if name == "bias" and not self.use_bias:
                self.bias = None
                return
            initializer = getattr(self, f"{kind}_initializer")
            weight = self.add_weight(
                shape,
                self._begin_bias if name == "bias" else initializer,
                regularizer=getattr(self, f"{kind}_regularizer"),
                constraint=getattr(self, f"{kind}_constraint"),
                name=name,
            )
            setattr(self, name, weight)

    def _bias_shape(self, size: int) -> tuple[int, ...]:
        return (size,)

    def _begin_bias(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return self.bias_initializer(shape, dtype=dtype)

    def get_initial_state(self, batch_size: Any = None) -> list[jax.Array]:
        """Zeros: the states before the first step."""
        return _zeros(self, batch_size)

    def call(
        self, inputs: jax.Array, states: Any, training: bool | None = False
    ) -> tuple[jax.Array, Any]:
        several = isinstance(states, (list, tuple))
        old = list(states) if several else [states]
        masks, recurrent_masks = self._draw(inputs, old[0], training)
        new = self._advance(self._enter(inputs, masks), old, recurrent_masks)
        return new[0], new if several else new[0]

    def _draw(self, inputs: jax.Array, state: jax.Array, training: Any) -> tuple[Any, Any]:
        """Factors for the inputs and for the state, the same at every step of a sequence."""
        if not training:
            return None, None
        return self._factors(inputs, self.dropout), self._factors(state, self.recurrent_dropout)

    def _factors(self, like: jax.Array, rate: float) -> Any:
        if not 0 < rate < 1:
            return None
        ones = jnp.ones_like(like)
        count = self._gates if self.implementation == 1 else 1
        drawn = [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]
        return drawn if self.implementation == 1 else drawn[0]

    def _weight(self, name: str) -> Any:
        weight = getattr(self, name)
        return None if weight is None else weight.value.astype(self.compute_dtype)

    def _input_bias(self) -> Any:
        return self._weight("bias")

    def _enter(self, inputs: jax.Array, masks: Any) -> jax.Array:
        """The part of the sums that the inputs of a step, or of all steps, make."""
        product, bias = _product(inputs, self._weight("kernel"), masks), self._input_bias()
        return product if bias is None else product + bias

    def _recur(self, state: jax.Array, masks: Any) -> jax.Array:
        return _product(state, self._weight("recurrent_kernel"), masks)

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        raise NotImplementedError

    def _fast(self) -> Callable | None:
        raise NotImplementedError

    def _along(
        self, inputs: jax.Array, states: list[Any], training: Any, **options: Any
    ) -> tuple[jax.Array, list[Any]]:
        """All outputs and the last states for inputs `(steps, batch, features)`."""
        masks, recurrent_masks = self._draw(inputs[0], states[0], training)
        fast = self._fast()
        if fast is None or recurrent_masks is not None or isinstance(masks, list):

            def step(x: jax.Array, states: list[Any]) -> tuple[jax.Array, list[Any]]:
                new = self._advance(x, states, recurrent_masks)
                return new[0], new

            return recurrent.rnn(step, self._enter(inputs, masks), states, **options)
        weights = map(self._weight, ("kernel", "recurrent_kernel", "bias"))
        inputs = inputs if masks is None else inputs * masks
        outputs, states = fast(inputs, *weights, *states, **options)
        return outputs, list(states)


def _names(cls: type) -> list[str]:
    """The arguments of a constructor, without `self` and `**kwargs`."""
    return list(inspect.signature(cls.__init__).parameters)[1:-1]


def _given(scope: dict[str, Any]) -> dict[str, Any]:
    """What a constructor was given, from its `locals()`."""
    names = _names(scope["__class__"])
    return {**{name: scope[name] for name in names}, **scope["kwargs"]}


def _rate(**argument: Any) -> float:
    ((name, value),) = argument.items()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ValueError(f"{name} must be a number from 0 to 1. Received: {name}={value!r}")
    return min(1.0, max(0.0, value))


def _product(x: jax.Array, kernel: jax.Array, masks: Any) -> jax.Array:
    """`(x * mask) @ kernel`, where there are several masks each for its share of the columns."""
    if not isinstance(masks, list):
        return recurrent.project(x if masks is None else x * masks, kernel)
    parts = jnp.split(kernel, len(masks), -1)
    return jnp.concatenate([recurrent.project(x * m, k) for m, k in zip(masks, parts)], -1)


def _zeros(cell: Any, batch_size: Any) -> list[jax.Array]:
    dtype = getattr(cell, "compute_dtype", None)
    return [jnp.zeros((batch_size, size), dtype) for size in _as_list(cell.state_size)]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


class SimpleRNNCell(_Cell):
    """A step of a simple recurrent network: `h = activation(x @ kernel + h @ recurrent_kernel + b)`.

    Args:
        units: the size of the output and of the state.
        activation: of the new state.
        use_bias: whether there is a bias.
        dropout: the share of the inputs that is dropped in training.
        recurrent_dropout: the share of the state that is dropped in training.
        seed: of the random stream.

    Takes `(batch, features)` and the state `(batch, units)`, in a list or not, gives the output
    and the new state.

    >>> y, (h,) = SimpleRNNCell(4)(jnp.ones((2, 3)), [jnp.zeros((2, 4))])
    >>> y.shape, bool((y == h).all())
    ((2, 4), True)
    """

    _gates = 1

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(SimpleRNNCell, **_given(locals()))
        self.implementation = 2  # one gate has one mask

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        return [self.activation(entered + self._recur(states[0], masks))]

    def _fast(self) -> Callable | None:
        if self.activation not in _ELEMENTWISE:
            return None

        def run(*args: Any, **options: Any) -> Any:
            return recurrent.simple_rnn(*args, activation=self.activation, **options)

        return run


class LSTMCell(_Cell):
    """A step of an LSTM: `c = f * c + i * activation(g); h = o * activation(c)`.

    The gates `i`, `f` and `o` are `recurrent_activation` of their parts of
    `x @ kernel + h @ recurrent_kernel + bias`, which come in the order `i, f, g, o` (Hochreiter and
    Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735).

    Args:
        units: the size of the output and of each of the two states.
        activation, recurrent_activation: of candidates and states, and of gates.
        unit_forget_bias: whether the bias of `f` is 1 to begin with (Jozefowicz et al. 2015).

    The other arguments are those of `SimpleRNNCell`. Takes `(batch, features)` and `[h, c]`, gives
    the output and the new `[h, c]`.

    >>> y, (h, c) = LSTMCell(4)(jnp.ones((2, 3)), [jnp.zeros((2, 4)), jnp.zeros((2, 4))])
    >>> y.shape, bool((y == h).all())
    ((2, 4), True)
    """

    _gates = 4

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        recurrent_activation: str | Callable | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(LSTMCell, **_given(locals()))
        self.state_size = [self.units, self.units]

    def _begin_bias(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if not self.unit_forget_bias:
            return super()._begin_bias(shape, dtype)
        n, begin = self.units, self.bias_initializer
        parts = begin((n,), dtype=dtype), jnp.ones((n,), dtype), begin((2 * n,), dtype=dtype)
        return jnp.concatenate(parts)

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        h, c = states
        i, f, g, o = jnp.split(entered + self._recur(h, masks), 4, -1)
        gate = self.recurrent_activation
        c = gate(f) * c + gate(i) * self.activation(g)
        return [gate(o) * self.activation(c), c]

    def _fast(self) -> Callable | None:
        return recurrent.lstm if _usual(self) else None


def _usual(cell: Any) -> bool:
    return (
        cell.activation in (activations.tanh, jnp.tanh)
        and cell.recurrent_activation in (activations.sigmoid, jax.nn.sigmoid)
    )  # fmt: skip


class GRUCell(_Cell):
    """A step of a GRU: `h = z * h + (1 - z) * activation(x_h + r * h_h)`.

    The gates `z` and `r` are `recurrent_activation` of their parts of `x @ kernel` and
    `h @ recurrent_kernel`, which come in the order `z, r, h` (Cho et al. 2014,
    https://arxiv.org/abs/1406.1078).

    Args:
        units: the size of the output and of the state.
        activation, recurrent_activation: of candidates, and of gates.
        reset_after: whether `r` multiplies the product, which then has a bias of its own: the bias
            is `(2, 3 * units)`. Otherwise it multiplies the state, and the bias is `(3 * units,)`.

    The other arguments are those of `SimpleRNNCell`. Takes `(batch, features)` and the state
    `(batch, units)`, in a list or not, gives the output and the new state.

    >>> y, (h,) = GRUCell(4)(jnp.ones((2, 3)), [jnp.zeros((2, 4))])
    >>> y.shape, bool((y == h).all())
    ((2, 4), True)
    """

    _gates = 3

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        recurrent_activation: str | Callable | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(GRUCell, **_given(locals()))

    def _bias_shape(self, size: int) -> tuple[int, ...]:
        return (2, size) if self.reset_after else (size,)

    def _input_bias(self) -> Any:
        bias = self._weight("bias")
        return bias if bias is None or not self.reset_after else bias[0]

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        (h,) = states
        n = self.units
        if self.reset_after:
            product = self._recur(h, masks)
            if self.bias is not None:
                product = product + self._weight("bias")[1]
            gates, rest = product[:, : 2 * n], product[:, 2 * n :]
        else:
            kernel, several = self._weight("recurrent_kernel"), isinstance(masks, list)
            gates = _product(h, kernel[:, : 2 * n], masks[:2] if several else masks)
        z, r = jnp.split(self.recurrent_activation(entered[:, : 2 * n] + gates), 2, -1)
        if self.reset_after:
            rest = r * rest
        else:
            rest = _product(r * h, kernel[:, 2 * n :], masks[2:] if several else masks)
        return [z * h + (1 - z) * self.activation(entered[:, 2 * n :] + rest)]

    def _fast(self) -> Callable | None:
        return recurrent.gru if self.reset_after and _usual(self) else None


class StackedRNNCells(Layer):
    """Several cells as one, each fed by the output of the one before.

    Args:
        cells: the cells.

    Its states are a list with the states of each cell. Raises ValueError for what is no cell.

    >>> layer = RNN(StackedRNNCells([LSTMCell(4), GRUCell(3)]))
    >>> layer(jnp.ones((2, 5, 6))).shape
    (2, 3)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            _check_cell(cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states of each cell before the first step."""
        states = [_initial_state(cell, batch_size) for cell in self.cells]
        return [s[0] if isinstance(c.state_size, int) else s for c, s in zip(self.cells, states)]

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape)
        for cell in self.cells:
            _build_cell(cell, shape)
            shape = (shape[0], _output_size(cell))

    def call(
        self, inputs: jax.Array, states: Sequence[Any], training: bool | None = None
    ) -> tuple[jax.Array, list[Any]]:
        new = []
        for cell, old in zip(self.cells, states):
            inputs, state = _step(cell, inputs, _as_list(old))
            new.append(state if isinstance(old, (list, tuple)) else state[0])
        return inputs, new


def _check_cell(cell: Any) -> None:
    for name in ("call", "state_size"):
        if not hasattr(cell, name):
            raise ValueError(
                f"A cell has a method `call` and an attribute `state_size`, an integer or a list "
                f"of them. {cell!r} has no `{name}`."
            )


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return _as_list(cell.state_size)[0] if size is None else size


def _initial_state(cell: Any, batch_size: Any) -> list[Any]:
    begin = getattr(cell, "get_initial_state", None)
    return _as_list(_zeros(cell, batch_size) if begin is None else begin(batch_size=batch_size))


def _build_cell(cell: Any, shape: tuple[int | None, ...]) -> None:
    if not isinstance(cell, Layer) or cell.built:
        return
    if type(cell).build is not Layer.build:
        cell.build(shape)
        return
    # It makes its weights in its constructor, or its sublayers do when it is called.
    make = jax.tree.map
    states = make(lambda s: KerasTensor((shape[0], s), cell.compute_dtype), _state_sizes(cell))
    cell.compute_output_spec(KerasTensor(shape, cell.compute_dtype), states)
    cell.built = True


def _state_sizes(cell: Any) -> list[Any]:
    return _as_list(cell.state_size)


def _step(cell: Any, inputs: jax.Array, states: list[Any]) -> tuple[jax.Array, list[Any]]:
    output, new = cell(inputs, states) if callable(cell) else cell.call(inputs, states)
    return output, _as_list(new)


def _run(
    cell: Any, inputs: jax.Array, states: list[Any], training: Any, zero: bool, **options: Any
) -> tuple[jax.Array, list[Any], bool]:
    """Outputs, last states, and whether the last output is the first of them."""
    if isinstance(cell, StackedRNNCells) and type(cell).call is StackedRNNCells.call:
        # Cell by cell is the same as step by step, and what is fast for one cell is so for all.
        new, last = [], False
        for i, (c, old) in enumerate(zip(cell.cells, states)):
            zeros = zero or i < len(cell.cells) - 1  # nothing sees these outputs
            inputs, state, last = _run(c, inputs, _as_list(old), training, zeros, **options)
            new.append(state if isinstance(old, (list, tuple)) else state[0])
        return inputs, new, last
    mask = options["mask"]
    if isinstance(cell, _Cell) and type(cell).call is _Cell.call:
        outputs, states = cell._along(inputs, states, training, **options)
        if zero and mask is not None:
            outputs = jnp.where(mask[..., None], outputs, 0)
        return outputs, states, mask is None or not zero
    stateful = [v for v in base.variables_of(cell, rng.global_stream()) if not _is_weight(v)]
    outputs, states = recurrent.rnn(
        lambda x, s: _step(cell, x, s),
        inputs,
        states,
        zero_output_for_mask=zero,
        variables=stateful,
        **options,
    )
    return outputs, states, False


def _is_weight(variable: Any) -> bool:
    return isinstance(variable, Param)


# -- layers -----------------------------------------------------------------------------------


class _States(base.Object):
    """States that stay from batch to batch. They are no weights, so no layer holds them itself."""

    def __init__(self, values: Any):
        self.values = values


class RNN(Layer):
    """Runs a cell along a sequence.

    Args:
        cell: an object with `call(inputs, states) -> (output, states)`, `state_size` (an integer
            or a list of them) and, if it wants, `output_size` and `get_initial_state(batch_size)`;
            or a list of such cells, which are stacked.
        return_sequences: whether to give the outputs of all steps rather than the last one's.
        return_state: whether to give the last states after the output.
        go_backwards: whether to begin at the end; outputs come in the order they were computed.
        stateful: whether a batch begins with the states that the one before ended with.
        unroll: whether to compile the steps one after another rather than as a loop.
        zero_output_for_mask: whether outputs are zero where the mask is false; otherwise they are
            those of the step before.

    Takes `(batch, steps, ...)`, gives `(batch, output_size)` or `(batch, steps, output_size)`.
    Where a mask is false the states stay. Raises ValueError for what is no cell, for a stateful
    layer without a fixed batch size.

    >>> class Sum(Layer):
    ...     state_size = output_size = 2
    ...     def call(self, inputs, states):
    ...         total = states[0] + inputs
    ...         return total, [total]
    >>> RNN(Sum())(jnp.ones((1, 5, 2))).tolist()
    [[5.0, 5.0]]
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        _check_cell(cell)
        if not isinstance(cell.state_size, (int, list, tuple)):
            raise ValueError(
                "A cell's state_size must be an integer or a list of them. "
                f"Received: state_size={cell.state_size!r}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self._kept: _States | None = None

    @property
    def state_size(self) -> list[Any]:
        return _as_list(self.cell.state_size)

    @property
    def states(self) -> Any:
        """The Variables with the states of a stateful layer; `None` of any other."""
        return None if self._kept is None else self._kept.values

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        batch = sequences_shape[0]
        _build_cell(self.cell, (batch, *sequences_shape[2:]))
        if not self.stateful:
            return
        if self._kept is not None:
            self.reset_state()
            return
        if batch is None:
            raise ValueError(
                f"The batch size must be fixed for layer '{self.name}', which is stateful: "
                "give Input() a batch_size, or the model a batch of data. "
                f"Received: an input of shape {tuple(sequences_shape)}"
            )

        def keep(value: Any) -> Buffer:
            return Buffer(value, dtype=self.variable_dtype, trainable=False, name="rnn_state")

        self._kept = _States(jax.tree.map(keep, self.get_initial_state(batch)))

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step, a list of arrays `(batch_size, state_size)`."""
        return _initial_state(self.cell, batch_size)

    def reset_state(self) -> None:
        """Makes the states of a stateful layer zero."""
        for variable in base.iter_state(self.states):
            variable.assign(jnp.zeros(variable.shape, variable.dtype))

    reset_states = reset_state

    def call(
        self,
        sequences: jax.Array,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
    ) -> Any:
        states = self._begin(initial_state, sequences.shape[0])
        masks = jax.tree.leaves(mask)
        outputs, states, is_state = _run(
            self.cell,
            jnp.swapaxes(sequences, 0, 1),
            states,
            training,
            self.zero_output_for_mask,
            mask=jnp.swapaxes(masks[0], 0, 1).astype(bool) if masks else None,
            reverse=self.go_backwards,
            # Where shapes only are asked for, the number of steps may not be known.
            unroll=self.unroll and isinstance(sequences.shape[1], int),
        )
        if self.return_sequences:
            output = jnp.swapaxes(jnp.flip(outputs, 0) if self.go_backwards else outputs, 0, 1)
        elif is_state:
            last = states[-1] if isinstance(self.cell, StackedRNNCells) else states
            output = _as_list(last)[0]
        else:
            output = outputs[0 if self.go_backwards else -1]
        output, states = jax.tree.map(lambda a: a.astype(self.compute_dtype), (output, states))
        if self.stateful and isinstance(sequences.shape[0], int):
            for variable, value in zip(base.iter_state(self.states), jax.tree.leaves(states)):
                variable.assign(value)
        return (output, *states) if self.return_state else output

    def _begin(self, initial_state: Any, batch: Any) -> list[Any]:
        # Where shapes only are asked for, the batch's size may not be known.
        keeps = self._kept is not None and isinstance(batch, int)
        if keeps:
            (size,) = {v.shape[0] for v in base.iter_state(self.states)}
            if batch != size:
                raise ValueError(
                    f"Layer '{self.name}' is stateful and keeps states for batches of {size}. "
                    f"Received: a batch of {batch}"
                )
        if initial_state is None and keeps:
            initial_state = jax.tree.map(lambda v: v.value, self.states, is_leaf=base.is_variable)
        elif initial_state is None:
            initial_state = self.get_initial_state(batch)
        states = _as_list(initial_state)
        if len(states) != len(self.state_size):
            raise ValueError(
                f"initial_state of layer '{self.name}' must hold {len(self.state_size)} states. "
                f"Received: {len(states)}"
            )
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return jax.tree.map(lambda a: jnp.asarray(a).astype(dtype), states)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = jax.tree.leaves(previous_mask)
        mask = masks[0] if masks and self.return_sequences else None
        return [mask, *[None] * len(self.state_size)] if self.return_state else mask


class _OfCell(RNN):
    """An RNN of one of the cells here, made from the cell's arguments."""

    input_spec = InputSpec(ndim=3)
    _saves_activity_regularizer = True
    _cell: type[_Cell]

    def __init__(self, **given: Any):
        names = set(_names(self._cell)) | {"implementation"}
        cell_arguments = {name: given.pop(name) for name in names & set(given)}
        for name in ("dtype", "trainable"):
            if name in given:
                cell_arguments[name] = given[name]
        name = base.to_snake_case(self._cell.__name__)
        use_cudnn = given.pop("use_cudnn", "auto")  # there is none here to be chosen or not
        if not isinstance(use_cudnn, bool):
            use_cudnn = one_of(("auto",), use_cudnn=use_cudnn)
        super().__init__(self._cell(**cell_arguments, name=name), **given)
        self.use_cudnn = use_cudnn

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("cell")
        config.pop("use_cudnn", None)
        return config


def _of_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name))


for _name in dict.fromkeys([*_names(LSTMCell), *_names(GRUCell)]):
    setattr(_OfCell, _name, _of_cell(_name))


class SimpleRNN(_OfCell):
    """A recurrent network whose output is fed back: see `SimpleRNNCell`, and `RNN` for the rest.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the shares of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.

    Takes `(batch, steps, features)`, gives `(batch, units)` or `(batch, steps, units)`.

    >>> SimpleRNN(4, return_sequences=True)(jnp.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    _cell = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**_given(locals()))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("seed")  # Keras leaves it out here, and here only
        return config


class LSTM(_OfCell):
    """Long short-term memory: see `LSTMCell` for a step, and `RNN` for what is done with it.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the shares of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.
        use_cudnn: has no effect.

    Takes `(batch, steps, features)`, gives `(batch, units)` or `(batch, steps, units)`, then `h`
    and `c` with `return_state`. With tanh and sigmoid, and no `recurrent_dropout`, training is a
    good deal faster than with other functions.

    >>> y, h, c = LSTM(4, return_sequences=True, return_state=True)(jnp.ones((2, 5, 3)))
    >>> y.shape, bool((y[:, -1] == h).all())
    ((2, 5, 4), True)
    """

    _cell = LSTMCell

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        recurrent_activation: str | Callable | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ):
        super().__init__(**_given(locals()))


class GRU(_OfCell):
    """Gated recurrent units: see `GRUCell` for a step, and `RNN` for what is done with it.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the shares of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.
        reset_after: see `GRUCell`.
        use_cudnn: has no effect.

    Takes `(batch, steps, features)`, gives `(batch, units)` or `(batch, steps, units)`, then the
    state with `return_state`. With tanh, sigmoid and `reset_after`, and no `recurrent_dropout`,
    training is a good deal faster than otherwise.

    >>> GRU(4, return_sequences=True)(jnp.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    _cell = GRUCell

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        recurrent_activation: str | Callable | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ):
        super().__init__(**_given(locals()))
