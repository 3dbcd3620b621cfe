"""Recurrent layers, which run a cell over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import base, context, naming, rng
from keraslike.core.arguments import given, names_of, one_of
from keraslike.core.boxed import boxes_result, unbox
from keraslike.core.variable import Buffer, Param
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.layers.recurrent_cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    _as_list,
    _build_cell,
    _Cell,
    _check_cell,
    _initial_state,
    _step,
)
from keraslike.layers.shapes import map_shapes
from keraslike.ops import recurrent


def _run(
    cell: Any, inputs: Any, states: list[Any], training: Any, zero: bool, **options: Any
) -> tuple[Any, list[Any], bool]:
    """The outputs, the last states, and whether the last output equals the first state."""
    if isinstance(cell, StackedRNNCells) and type(cell).call is StackedRNNCells.call:
        # Running the cells one after another over the whole sequence is equivalent to running all
        # of them step by step, and allows the fast implementation of each cell.
        new, last = [], False
        for i, (c, old) in enumerate(zip(cell.cells, states)):
            zeros = zero or i < len(cell.cells) - 1  # These outputs are not visible outside.
            inputs, state, last = _run(c, inputs, _as_list(old), training, zeros, **options)
            new.append(state if isinstance(old, (list, tuple)) else state[0])
        return inputs, new, last
    mask = options["mask"]
    if isinstance(cell, _Cell) and type(cell).call is _Cell.call:
        outputs, states = cell._run_sequence(inputs, states, training, **options)
        if zero and mask is not None:
            outputs = jnp.where(mask.reshape(*mask.shape, *(1,) * (outputs.ndim - 2)), outputs, 0)
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


class _States(base.Object):
    """States that persist across batches. The wrapper keeps the layer from listing them as
    weights."""

    def __init__(self, values: Any):
        self.values = values


class RNN(Layer):
    """Runs a cell along a sequence.

    Args:
        cell: an object with `call(inputs, states) -> (output, states)`, `state_size` (an integer or
            a list of them) and optionally `output_size` and `get_initial_state(batch_size)`; or a
            list of such cells, which are stacked.
        return_sequences: whether to return the outputs of all steps, or of the last one only.
        return_state: whether to return the last states after the output.
        go_backwards: whether to process the sequence backwards; outputs are in the order of
            computation.
        stateful: whether a batch starts with the last states of the previous batch.
        unroll: whether to unroll the loop over steps.
        zero_output_for_mask: whether outputs are zero where the mask is false; otherwise they
            repeat the previous step.

    Accepts `(batch, steps, ...)` and returns `(batch, output_size)` or `(batch, steps,
    output_size)`; or structures of such, if the cell takes and gives structures. The size of a
    state may be a shape, a tuple. Where a mask is false the states are unchanged. Raises ValueError
    for an object that is not a cell, and for a stateful layer without a fixed batch size.

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
        if not isinstance(cell.state_size, (int, list, tuple)) and not hasattr(
            cell.state_size, "as_list"
        ):
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
        """The state Variables of a stateful layer; `None` for any other."""
        return None if self._kept is None else self._kept.values

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        batches: list[int | None] = []  # One entry for each sequence in a structure.

        def step_shape(shape: Any) -> tuple[int | None, ...]:
            batches.append(shape[0])
            return (shape[0], *shape[2:])

        step = map_shapes(step_shape, sequences_shape)
        batch = batches[0]
        _build_cell(self.cell, step, batch)
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

        def keep(value: Any) -> Any:
            return Buffer(value, dtype=self.variable_dtype, trainable=False, name="rnn_state")

        self._kept = _States(jax.tree.map(keep, unbox(self.get_initial_state(batch))))

    @boxes_result
    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The initial states: a list of arrays `(batch_size, state_size)`."""
        return _initial_state(self.cell, batch_size)

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        for variable in base.iter_state(self.states):
            variable.assign(jnp.zeros(variable.shape, variable.dtype))

    reset_states = reset_state

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
    ) -> Any:
        batch, steps = jax.tree.leaves(sequences)[0].shape[:2]
        states = self._begin(initial_state, batch)
        masks = jax.tree.leaves(mask)
        outputs, states, is_state = _run(
            self.cell,
            jax.tree.map(lambda s: jnp.swapaxes(s, 0, 1), sequences),
            states,
            training,
            self.zero_output_for_mask,
            mask=jnp.swapaxes(masks[0], 0, 1).astype(bool) if masks else None,
            reverse=self.go_backwards,
            # The number of steps may be unknown in a trace of shapes.
            unroll=self.unroll and isinstance(steps, int),
        )
        if self.return_sequences:
            flip = (lambda o: jnp.flip(o, 0)) if self.go_backwards else (lambda o: o)
            output = jax.tree.map(lambda o: jnp.swapaxes(flip(o), 0, 1), outputs)
        elif is_state:
            last = states[-1] if isinstance(self.cell, StackedRNNCells) else states
            output = _as_list(last)[0]
        else:
            output = jax.tree.map(lambda o: o[0 if self.go_backwards else -1], outputs)
        output, states = jax.tree.map(lambda a: a.astype(self.compute_dtype), (output, states))
        if self.stateful and isinstance(batch, int):
            for variable, value in zip(base.iter_state(self.states), jax.tree.leaves(states)):
                variable.assign(value)
        return (output, *states) if self.return_state else output

    def _begin(self, initial_state: Any, batch: Any) -> list[Any]:
        # The batch size may be unknown in a trace of shapes.
        known = isinstance(batch, int) or context.state.exporting
        keeps = self._kept is not None and known
        if keeps:
            (size,) = {v.shape[0] for v in base.iter_state(self.states)}
            if not isinstance(batch, int) or batch != size:
                raise ValueError(
                    f"Layer '{self.name}' is stateful and keeps states for a batch size of {size}. "
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


class _CellRNN(RNN):
    """Base of RNN layers with a fixed cell class, which are made from the cell's arguments."""

    input_spec = InputSpec(ndim=3)
    _saves_activity_regularizer = True
    _cell: type[_Cell]

    # Properties, which read the attributes of the cell.
    units: int
    activation: Any
    recurrent_activation: Any
    use_bias: bool
    unit_forget_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any
    dropout: float
    recurrent_dropout: float
    reset_after: bool
    seed: int | None

    def __init__(self, **arguments: Any):
        names = set(names_of(self._cell)) | {"implementation"}
        cell_arguments = {name: arguments.pop(name) for name in names & set(arguments)}
        for name in ("dtype", "trainable"):
            if name in arguments:
                cell_arguments[name] = arguments[name]
        name = naming.to_snake_case(self._cell.__name__)
        # For layers that have the argument, which has no effect here.
        use_cudnn = arguments.pop("use_cudnn", None)
        if use_cudnn is not None and not isinstance(use_cudnn, bool):
            use_cudnn = one_of(("auto",), use_cudnn=use_cudnn)
        super().__init__(self._cell(**cell_arguments, name=name), **arguments)
        if use_cudnn is not None:
            self.use_cudnn = use_cudnn

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("cell")
        config.pop("use_cudnn", None)
        return config


def _cell_attribute(name: str) -> property:
    return property(lambda self: getattr(self.cell, name))


for _name in vars(_CellRNN)["__annotations__"].keys() - {"_cell"}:
    setattr(_CellRNN, _name, _cell_attribute(_name))


class SimpleRNN(_CellRNN):
    """A recurrent layer that feeds its output back; see `SimpleRNNCell`, and `RNN` for other
    arguments.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the fractions of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.

    Accepts `(batch, steps, features)` and returns `(batch, units)` or `(batch, steps, units)`.

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
        super().__init__(**given(locals()))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("seed")  # Keras omits it from the config of this class only.
        return config


class LSTM(_CellRNN):
    """Long short-term memory; see `LSTMCell` for the step, and `RNN` for other arguments.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the fractions of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.
        use_cudnn: has no effect.

    Accepts `(batch, steps, features)` and returns `(batch, units)` or `(batch, steps, units)`, then
    `h` and `c` with `return_state`. With tanh and sigmoid, and no `recurrent_dropout`, training is
    considerably faster than with other functions.

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
        super().__init__(**given(locals()))


class GRU(_CellRNN):
    """Gated recurrent units; see `GRUCell` for the step, and `RNN` for other arguments.

    Args:
        units: the size of the output.
        dropout, recurrent_dropout: the fractions of the inputs and of the state that are dropped in
            training, the same ones at every step of a sequence.
        reset_after: see `GRUCell`.
        use_cudnn: has no effect.

    Accepts `(batch, steps, features)` and returns `(batch, units)` or `(batch, steps, units)`, then
    the state with `return_state`. With tanh, sigmoid and `reset_after`, and no `recurrent_dropout`,
    training is considerably faster than otherwise.

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
        super().__init__(**given(locals()))
