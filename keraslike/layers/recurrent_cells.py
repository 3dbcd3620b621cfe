"""Cells, which compute one step of a recurrent layer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import activations, random
from keraslike.core.arguments import given, positive
from keraslike.core.boxed import boxes_result
from keraslike.core.rng import SeedGenerator
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tensor_methods import applied
from keraslike.layers.layer import Layer
from keraslike.layers.shapes import map_shapes
from keraslike.layers.weighted import Weighted
from keraslike.ops import recurrent
from keraslike.ops.products import matmul

# Activations that work element by element.
_ELEMENTWISE = frozenset(
    (activations.tanh, activations.relu, activations.sigmoid, activations.linear, activations.elu)
    + (activations.selu, activations.gelu, activations.silu, activations.softplus)
    + (activations.softsign, activations.hard_sigmoid, activations.hard_tanh, activations.relu6)
)


class _Cell(Weighted):
    """Base of cells that are functions of `x @ kernel` and `h @ recurrent_kernel`.

    A subclass defines the number of gates, the initial bias, and in `_advance` the computation of a
    step from the first of the two products. `_fast_sequence` returns a faster function for a whole
    sequence, if there is one.
    """

    _gates: int
    _units = "units"  # The name of the argument with the size of the state.
    _axis = -1  # The feature axis.
    units: int
    recurrent_activation: Any
    recurrent_initializer: Any
    recurrent_regularizer: Any
    recurrent_constraint: Any
    dropout: float
    recurrent_dropout: float
    seed: int | None

    def __init__(self, cls: type[_Cell], **arguments: Any):
        implementation = arguments.pop("implementation", 2)
        super().__init__(cls, **arguments)
        units = positive(**{self._units: getattr(self, self._units)})
        setattr(self, self._units, units)
        self.dropout = _rate(dropout=self.dropout)
        self.recurrent_dropout = _rate(recurrent_dropout=self.recurrent_dropout)
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed_generator = SeedGenerator(self.seed)
        self.output_size = units
        self.state_size: Any = units

    def build(self, input_shape: Sequence[int | None]) -> None:
        size = self._gates * getattr(self, self._units)
        kernel, recurrent = self._shapes(input_shape, size)
        for name, shape, kind in (
            ("kernel", kernel, "kernel"),
            ("recurrent_kernel", recurrent, "recurrent"),
            ("bias", self._bias_shape(size), "bias"),
        ):
            if name == "bias" and not self.use_bias:
                self.bias = None
                return
            begin = {"initializer": self._initial_bias} if name == "bias" else {}
            setattr(self, name, self._add(name, shape, kind, **begin))

    def _shapes(self, input_shape: Sequence[int | None], size: int) -> tuple[tuple, tuple]:
        """The shapes of the kernel and of the recurrent kernel."""
        return (input_shape[-1], size), (self.units, size)

    def _bias_shape(self, size: int) -> tuple[int, ...]:
        return (size,)

    def _initial_bias(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return self.bias_initializer(shape, dtype=dtype)

    @boxes_result
    def get_initial_state(self, batch_size: Any = None) -> list[jax.Array]:
        """The initial states, which are zeros."""
        return _zeros(self, batch_size)

    def call(
        self, inputs: jax.Array, states: Any, training: bool | None = False
    ) -> tuple[jax.Array, Any]:
        several, old = isinstance(states, (list, tuple)), _as_list(states)
        masks, recurrent_masks = self._draw(inputs, old[0], training)
        new = self._advance(self._input_part(inputs, masks), old, recurrent_masks)
        return new[0], new if several else new[0]

    def _draw(self, inputs: jax.Array, state: jax.Array, training: Any) -> tuple[Any, Any]:
        """Dropout factors for the inputs and for the state, which are the same at every step of a
        sequence."""
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

    def _input_part(self, inputs: jax.Array, masks: Any) -> jax.Array:
        """The contribution of the inputs of one step, or of all steps, to the pre-activations."""
        product, bias = _product(inputs, self._weight("kernel"), masks), self._input_bias()
        return product if bias is None else product + bias

    def _state_part(self, state: jax.Array, masks: Any) -> jax.Array:
        return _product(state, self._weight("recurrent_kernel"), masks)

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        raise NotImplementedError

    def _fast_sequence(self) -> Callable | None:
        return None

    def _run_sequence(
        self, inputs: jax.Array, states: list[Any], training: Any, **options: Any
    ) -> tuple[jax.Array, list[Any]]:
        """All outputs and the last states for inputs of shape `(steps, batch, features)`."""
        masks, recurrent_masks = self._draw(inputs[0], states[0], training)
        fast = self._fast_sequence()
        if fast is None or recurrent_masks is not None or isinstance(masks, list):

            def step(x: jax.Array, states: list[Any]) -> tuple[jax.Array, list[Any]]:
                new = self._advance(x, states, recurrent_masks)
                return new[0], new

            return recurrent.rnn(step, self._input_part(inputs, masks), states, **options)
        weights = map(self._weight, ("kernel", "recurrent_kernel", "bias"))
        inputs = inputs if masks is None else inputs * masks
        outputs, states = fast(inputs, *weights, *states, **options)
        return outputs, list(states)


def _rate(**argument: Any) -> float:
    ((name, value),) = argument.items()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ValueError(f"{name} must be a number from 0 to 1. Received: {name}={value!r}")
    return min(1.0, max(0.0, value))


def _product(x: jax.Array, kernel: jax.Array, masks: Any) -> jax.Array:
    """`(x * mask) @ kernel`; if there are several masks, each applies to an equal part of the
    columns."""
    if not isinstance(masks, list):
        return matmul(x if masks is None else x * masks, kernel)
    parts = jnp.split(kernel, len(masks), -1)
    return jnp.concatenate([matmul(x * m, k) for m, k in zip(masks, parts)], -1)


def _zeros(cell: Any, batch_size: Any) -> list[jax.Array]:
    dtype = getattr(cell, "compute_dtype", None)
    return [jnp.zeros((batch_size, *_sizes(s)), dtype) for s in _as_list(cell.state_size)]


def _sizes(size: Any) -> tuple[int, ...]:
    """The shape of a state without the batch axis, from a number or a shape."""
    if hasattr(size, "as_list"):  # A `TensorShape` of TensorFlow.
        return tuple(size.as_list())
    return size if isinstance(size, tuple) else (size,)


def _as_list(value: Any) -> list[Any]:
    several = isinstance(value, (list, tuple)) and not hasattr(value, "as_list")
    return list(value) if several else [value]


class SimpleRNNCell(_Cell):
    """A simple recurrent step: `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Args:
        units: the size of the output and of the state.
        activation: the activation of the new state.
        use_bias: whether to add a bias.
        dropout: the fraction of the inputs that is dropped in training.
        recurrent_dropout: the fraction of the state that is dropped in training.
        seed: the seed of the random stream.

    Accepts `(batch, features)` and the state `(batch, units)`, optionally in a list, and returns
    the output and the new state.

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
        super().__init__(SimpleRNNCell, **given(locals()))
        self.implementation = 2  # With a single gate there is one mask only.

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        return [applied(self.activation, entered + self._state_part(states[0], masks))]

    def _fast_sequence(self) -> Callable | None:
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
        activation, recurrent_activation: the activations of candidates and states, and of gates.
        unit_forget_bias: whether the bias of `f` is 1 initially (Jozefowicz et al. 2015).

    The other arguments are those of `SimpleRNNCell`. Accepts `(batch, features)` and `[h, c]` and
    returns the output and the new `[h, c]`.

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
        super().__init__(LSTMCell, **given(locals()))
        self.state_size = [self.units, self.units]

    def _initial_bias(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape, dtype)
        n, begin = shape[0] // 4, self.bias_initializer
        parts = begin((n,), dtype=dtype), jnp.ones((n,), dtype), begin((2 * n,), dtype=dtype)
        return jnp.concatenate(parts)

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        h, c = states
        i, f, g, o = jnp.split(entered + self._state_part(h, masks), 4, self._axis)
        gate = functools.partial(applied, self.recurrent_activation)
        c = gate(f) * c + gate(i) * applied(self.activation, g)
        return [gate(o) * applied(self.activation, c), c]

    def _fast_sequence(self) -> Callable | None:
        return recurrent.lstm if usual(self) else None


def usual(cell: Any) -> bool:
    """Whether the activations are tanh and sigmoid."""
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
        activation, recurrent_activation: the activations of candidates, and of gates.
        reset_after: whether `r` multiplies the product, which then has a separate bias; the bias is
            `(2, 3 * units)`. Otherwise it multiplies the state, and the bias is `(3 * units,)`.

    The other arguments are those of `SimpleRNNCell`. Accepts `(batch, features)` and the state
    `(batch, units)`, optionally in a list, and returns the output and the new state.

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
        super().__init__(GRUCell, **given(locals()))

    def _bias_shape(self, size: int) -> tuple[int, ...]:
        return (2, size) if self.reset_after else (size,)

    def _input_bias(self) -> Any:
        bias = self._weight("bias")
        return bias if bias is None or not self.reset_after else bias[0]

    def _advance(self, entered: jax.Array, states: list[Any], masks: Any) -> list[Any]:
        (h,) = states
        n = self.units
        if self.reset_after:
            product = self._state_part(h, masks)
            if self.bias is not None:
                product = product + self._weight("bias")[1]
            gates, rest = product[:, : 2 * n], product[:, 2 * n :]
        else:
            kernel, several = self._weight("recurrent_kernel"), isinstance(masks, list)
            gates = _product(h, kernel[:, : 2 * n], masks[:2] if several else masks)
        z, r = jnp.split(applied(self.recurrent_activation, entered[:, : 2 * n] + gates), 2, -1)
        if self.reset_after:
            rest = r * rest
        else:
            rest = _product(r * h, kernel[:, 2 * n :], masks[2:] if several else masks)
        return [z * h + (1 - z) * applied(self.activation, entered[:, 2 * n :] + rest)]

    def _fast_sequence(self) -> Callable | None:
        return recurrent.gru if self.reset_after and usual(self) else None


class StackedRNNCells(Layer):
    """Several cells as one; the output of each cell is the input of the next.

    Args:
        cells: the cells.

    Its states are a list with the states of each cell. Raises ValueError for an object that is not
    a cell.

    >>> cell = StackedRNNCells([LSTMCell(4), GRUCell(3)])
    >>> y, states = cell(jnp.ones((2, 6)), cell.get_initial_state(batch_size=2))
    >>> y.shape, [s.shape for s in jax.tree.leaves(states)]
    ((2, 3), [(2, 4), (2, 4), (2, 3)])
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

    @boxes_result
    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The initial states of each cell."""
        states = [_initial_state(cell, batch_size) for cell in self.cells]
        return [s[0] if isinstance(c.state_size, int) else s for c, s in zip(self.cells, states)]

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape)
        for cell in self.cells:
            _build_cell(cell, shape, shape[0])
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
                "cell must have a method `call` and an attribute `state_size`, an integer or a "
                f"list of them. Received: cell={cell!r}, which has no `{name}`."
            )


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return _as_list(cell.state_size)[0] if size is None else size


def _initial_state(cell: Any, batch_size: Any) -> list[Any]:
    begin = getattr(cell, "get_initial_state", None)
    return _as_list(_zeros(cell, batch_size) if begin is None else begin(batch_size=batch_size))


def _build_cell(cell: Any, shape: Any, batch: int | None) -> None:
    if not isinstance(cell, Layer) or cell.built:
        return
    if type(cell).build is not Layer.build:
        cell.build(shape)
        return
    # The cell makes its weights in its constructor, or its sublayers are built when it is called.
    sizes, dtype = _as_list(cell.state_size), cell.compute_dtype
    states = jax.tree.map(
        lambda size: KerasTensor((batch, *_sizes(size)), dtype),
        sizes,
        is_leaf=lambda size: isinstance(size, tuple),
    )
    cell.compute_output_spec(map_shapes(lambda s: KerasTensor(s, dtype), shape), states)
    cell.built = True


def _step(cell: Any, inputs: jax.Array, states: list[Any]) -> tuple[jax.Array, list[Any]]:
    run: Any = cell if callable(cell) else cell.call
    output, new = run(inputs, states)
    return output, _as_list(new)
