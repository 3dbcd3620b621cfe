"""Convolutional LSTMs in one, two and three dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core.arguments import given, one_of, sizes, standardize_data_format
from keraslike.core.boxed import boxes_result
from keraslike.layers.convolutional import check_strides_or_dilation
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.recurrent import _cell_attribute, _CellRNN
from keraslike.layers.recurrent_cells import LSTMCell, usual
from keraslike.ops import convolution, recurrent


class ConvLSTMCell(LSTMCell):
    """A step of a convolutional LSTM: an `LSTMCell` with convolutions in place of products.

    Args:
        rank: the number of spatial axes.
        filters: the number of channels of the output and of each of the two states.
        kernel_size, strides, padding, dilation_rate: for the convolution of the inputs, as in
            `Conv2D`. That of the state has strides of 1 and keeps its size.

    Accepts `(batch, *spatial, channels)` and `[h, c]` and returns the output and the new `[h, c]`.

    >>> cell = ConvLSTMCell(2, 4, 3)
    >>> y, (h, c) = cell(jnp.ones((2, 5, 6, 3)), [jnp.zeros((2, 3, 4, 4))] * 2)
    >>> y.shape, bool((y == h).all())
    ((2, 3, 4, 4), True)
    """

    _units = "filters"

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        super(LSTMCell, self).__init__(ConvLSTMCell, **given(locals()))
        self.kernel_size = sizes(rank, kernel_size=kernel_size)
        self.strides = sizes(rank, strides=strides)
        self.padding = one_of(("valid", "same"), padding=padding)
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = sizes(rank, dilation_rate=dilation_rate)
        check_strides_or_dilation(self.strides, self.dilation_rate)
        self._axis = -1 if self.data_format == "channels_last" else 1
        self.implementation = 1  # Each gate has its own dropout mask.
        self.state_size = [self.filters, self.filters]

    def build(self, input_shape: Sequence[int | None]) -> None:
        if None in input_shape[1:]:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) needs all sizes of a step but the "
                f"batch's. Received: a step of shape {tuple(input_shape)}"
            )
        super().build(input_shape)
        one = jax.ShapeDtypeStruct((1, *input_shape[1:]), self.compute_dtype)
        state = list(jax.eval_shape(lambda x: self._input_part(x, None), one).shape[1:])
        state[self._axis if self._axis < 0 else 0] = self.filters
        self._state_shape = tuple(state)

    def _shapes(self, input_shape: Sequence[int | None], size: int) -> tuple[tuple, tuple]:
        channels = input_shape[self._axis]
        return (*self.kernel_size, channels, size), (*self.kernel_size, self.filters, size)

    @boxes_result
    def get_initial_state(self, batch_size: Any = None) -> list[jax.Array]:
        """The initial states, which are zeros. The cell must be built."""
        return [jnp.zeros((batch_size, *self._state_shape), self.compute_dtype)] * 2

    def _input_part(self, inputs: jax.Array, masks: Any) -> jax.Array:
        product = self._product(self._enter, inputs, "kernel", masks)
        bias = self._input_bias()
        after = (1,) * (self.rank if self._axis == 1 else 0)
        return product if bias is None else product + bias.reshape(-1, *after)

    def _state_part(self, state: jax.Array, masks: Any) -> jax.Array:
        return self._product(self._repeat, state, "recurrent_kernel", masks)

    def _product(self, convolve: Callable, x: jax.Array, name: str, masks: Any) -> jax.Array:
        masks = masks if isinstance(masks, list) else [masks]
        kernels = jnp.split(self._weight(name), len(masks), -1)
        found = [convolve(x if m is None else x * m, k) for m, k in zip(masks, kernels)]
        return jnp.concatenate(found, self._axis if self._axis < 0 else -self.rank - 1)

    def _enter(self, inputs: jax.Array, kernel: jax.Array, data_format: Any = None) -> jax.Array:
        """The convolution of the inputs of one step, or of all steps."""
        window = (self.strides, self.padding, data_format or self.data_format, self.dilation_rate)
        return self._convolved(inputs, kernel, *window)

    def _repeat(self, state: jax.Array, kernel: jax.Array, data_format: Any = None) -> jax.Array:
        """The convolution of the state of one step, or of all steps."""
        return self._convolved(state, kernel, 1, "same", data_format or self.data_format)

    def _convolved(self, x: jax.Array, kernel: jax.Array, *window: Any) -> jax.Array:
        images = x.reshape(-1, *x.shape[-self.rank - 1 :])
        outputs = convolution.conv(images, kernel, *window)
        return outputs.reshape(*x.shape[: -self.rank - 1], *outputs.shape[1:])

    def _fast_sequence(self) -> Callable | None:
        return self._lstm if usual(self) else None

    def _lstm(self, inputs: jax.Array, *arrays: Any, **options: Any) -> Any:
        """All steps by `recurrent.lstm`, whose channels are the last axis."""
        weights, states = arrays[:3], arrays[3:]
        convolve = (self._enter, self._repeat)
        options["multiply"] = [functools.partial(c, data_format="channels_last") for c in convolve]
        if self._axis < 0:
            return recurrent.lstm(inputs, *weights, *states, **options)
        first = -self.rank - 1
        inputs, *states = (jnp.moveaxis(x, first, -1) for x in (inputs, *states))
        found = recurrent.lstm(inputs, *weights, *states, **options)
        return jax.tree.map(lambda x: jnp.moveaxis(x, -1, first), found)


class _ConvLSTM(_CellRNN):
    """Base of RNN layers with a ConvLSTMCell; subclasses define the rank only."""

    rank: int
    _cell = ConvLSTMCell

    # Properties, which read the attributes of the cell.
    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    data_format: str
    dilation_rate: tuple[int, ...]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        **kwargs: Any,
    ):
        super().__init__(rank=self.rank, **given(locals()))
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = InputSpec(shape=(None, None, *sequences_shape[2:]))


for _name in vars(_ConvLSTM)["__annotations__"].keys() - {"rank"}:
    setattr(_ConvLSTM, _name, _cell_attribute(_name))


class ConvLSTM1D(_ConvLSTM):
    """A convolutional LSTM for sequences of rows, `(batch, steps, size, channels)`; see
    `ConvLSTM2D`.

    >>> ConvLSTM1D(4, 3)(jnp.ones((1, 2, 5, 3))).shape
    (1, 3, 4)
    """

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """A convolutional LSTM for sequences of images (Shi et al., arXiv:1506.04214).

    Args:
        filters: the number of channels of the output.
        kernel_size: the window's height and width, or one integer for both; likewise `strides` and
            `dilation_rate`, of which only one may be above 1.
        padding: `"valid"` or `"same"`; the convolution of the state always keeps its size.
        data_format: `"channels_last"`, `(batch, steps, height, width, channels)`, or
            `"channels_first"`.
        dropout, recurrent_dropout: the fractions of the inputs and of the state that are dropped in
            training, with the same mask at every step of a sequence.

    The other arguments are those of `LSTM` and `RNN`. Returns `(batch, height, width, filters)`, or
    with `return_sequences` all steps of them. Raises ValueError for images of unknown size.

    >>> ConvLSTM2D(4, 3, return_sequences=True)(jnp.ones((1, 2, 5, 6, 3))).shape
    (1, 2, 3, 4, 4)
    """

    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """A convolutional LSTM for volumes, `(batch, steps, *spatial, channels)`; see `ConvLSTM2D`.

    >>> ConvLSTM3D(2, 2)(jnp.ones((1, 2, 3, 3, 3, 1))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3
