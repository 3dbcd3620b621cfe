"""Layers that wrap another layer: for every step of a sequence, and for both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import base, context, lowering, registry, rng, serialization
from keraslike.core.structures import ordered, tree_map
from keraslike.layers.layer import Layer
from keraslike.layers.signatures import call_takes


class Wrapper(Layer):
    """Base of layers that wrap another one, in the attribute `layer`.

    Args:
        layer: the wrapped layer.

    Raises ValueError if that is not a layer.

    >>> from keraslike.layers.dense import Dense
    >>> wrapper = Wrapper(Dense(3))
    >>> wrapper.build((None, 2))
    >>> [w.shape for w in wrapper.weights]
    [(2, 3), (3,)]
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.layer = _checked(layer=layer)

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True


def _checked(**argument: Any) -> Layer:
    ((name, layer),) = argument.items()
    if not isinstance(layer, Layer):
        raise ValueError(
            f"Layer {layer!r} supplied to Wrapper isn't a supported layer type. "
            f"Please ensure wrapped layer is a valid Keras layer. Received: {name}={layer!r}"
        )
    return layer


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence.

    Args:
        layer: a layer for `(batch, ...)`.

    Accepts `(batch, steps, ...)` and returns the layer's outputs as `(batch, steps, ...)`. All
    steps are computed at once, or sequentially if the layer has state that it changes (random
    numbers, moving averages). Raises ValueError for an input without steps and for a mask
    that is not `(batch, steps, ...)`.

    >>> from keraslike.layers.dense import Dense
    >>> TimeDistributed(Dense(3))(jnp.ones((2, 5, 4))).shape
    (2, 5, 3)
    """

    supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        if len(input_shape) < 3:
            raise ValueError(
                f"Layer '{self.name}' takes inputs (batch, steps, ...) of at least 3 axes. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: jax.Array, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None and mask.shape[:2] != inputs.shape[:2]:
            raise ValueError(
                "The `mask` passed to the `TimeDistributed` layer has a shape that does not begin "
                "with the batch and the steps of its inputs. "
                f"Received: a mask of shape {mask.shape}, inputs of shape {inputs.shape}"
            )
        takes_mask = mask is not None and "mask" in call_takes(type(self.layer).call)
        masks = mask if takes_mask else None
        variables = base.variables_of(self.layer, rng.global_stream())
        before = lowering.values_of(variables)
        changed = False

        def step(x: jax.Array, m: Any) -> Any:
            return self.layer(x) if m is None else self.layer(x, mask=m)

        def alone(x: jax.Array, m: Any) -> Any:
            nonlocal changed
            with lowering.holding(variables, before, [self.layer]):
                output = step(x, m)
                now = lowering.values_of(variables)
            changed = changed or any(a is not b for a, b in zip(before, now))
            return output

        outputs = jax.vmap(ordered(alone), 1, 1)(inputs, masks)
        if not changed or context.state.symbolic:
            return outputs
        each = [
            step(inputs[:, i], None if masks is None else masks[:, i])
            for i in range(inputs.shape[1])
        ]
        return tree_map(lambda *steps: jnp.stack(steps, 1), *each)


class Bidirectional(Layer):
    """Runs two recurrent layers over a sequence, one forward and one backward.

    Args:
        layer: the recurrent layer, of which a copy is made from its config.
        merge_mode: how to combine the two outputs: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or `None`
            to return both.
        weights: initial values, those of the forward layer first.
        backward_layer: the other layer; by default like `layer`, with `go_backwards` set.

    The outputs of a sequence are in its order, for both directions. With `return_state` the states
    of the forward layer follow, then those of the backward layer; `initial_state` has them in this
    order, too. Raises ValueError for an object that is not a layer, for another `merge_mode`, and
    for two incompatible layers.

    >>> from keraslike.layers.recurrent import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(jnp.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    supports_masking = True

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ):
        layer = _checked(layer=layer)
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(
                "merge_mode must be 'sum', 'mul', 'ave', 'concat' or None. "
                f"Received: merge_mode={merge_mode!r}"
            )
        super().__init__(**kwargs)
        # The config does not contain it.
        kept = {"use_cudnn": layer.use_cudnn} if hasattr(layer, "use_cudnn") else {}
        name = f"forward_{layer.name.removeprefix('forward_')}"
        self.forward_layer: Any = _like(layer, name, **kept)
        if backward_layer is None:
            name = f"backward_{layer.name.removeprefix('backward_')}"
            self.backward_layer: Any = _like(layer, name, go_backwards=True, **kept)
        else:
            self.backward_layer = _checked(backward_layer=backward_layer)
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError(
                "Of layer and backward_layer exactly one must have go_backwards=True. "
                f"Received: {self.forward_layer.go_backwards} for both"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(self.forward_layer, name), getattr(self.backward_layer, name)
            if values[0] != values[1]:
                raise ValueError(
                    f"layer and backward_layer must have the same {name}. "
                    f"Received: {values[0]} and {values[1]}"
                )
            setattr(self, name, values[0])
        for each in (self.forward_layer, self.backward_layer):
            if hasattr(each, "zero_output_for_mask"):
                each.zero_output_for_mask = each.return_sequences
        self.merge_mode = merge_mode
        self.input_spec = layer.input_spec
        self._begin_with = weights

    @property
    def layer(self) -> Any:
        return self.forward_layer

    @property
    def states(self) -> Any:
        """The state Variables of a stateful layer; `None` for any other."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None or backward is None else (*forward, *backward)

    def reset_state(self) -> None:
        """Sets the states to zero; raises AttributeError unless the layers are stateful."""
        if not self.stateful:
            raise AttributeError(f"Layer '{self.name}' is not stateful: it keeps no states.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._begin_with is not None:
            self.set_weights(self._begin_with)
            self._begin_with = None

    def call(
        self,
        sequences: jax.Array,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        states: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            states = initial_state[:half], initial_state[half:]

        def run(layer: Any, state: Any) -> tuple[Any, tuple]:
            takes, given = call_takes(type(layer).call), {}
            if state is not None:
                given["initial_state"] = state
            if mask is not None and "mask" in takes:
                given["mask"] = mask
            outputs = layer(sequences, **given)
            output, *state = outputs if self.return_state else (outputs,)
            if self.return_sequences and layer.go_backwards:
                output = jnp.flip(output, 1)
            return output.astype(self.compute_dtype), tuple(state)

        y, forward = run(self.forward_layer, states[0])
        y_rev, backward = run(self.backward_layer, states[1])
        output = _merge(self.merge_mode, y, y_rev)
        if not self.return_state:
            return output
        return (*(output if self.merge_mode is None else (output,)), *forward, *backward)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = jax.tree.leaves(previous_mask)
        mask = masks[0] if masks and self.return_sequences else None
        masks = [mask] if self.merge_mode else [mask, mask]
        if self.return_state:
            masks += [None] * (2 * len(self.forward_layer.state_size))
        return masks[0] if len(masks) == 1 else masks

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        args.pop("weights", None)  # The name is that of a property here.
        return args


def _like(layer: Layer, name: str, **changes: Any) -> Layer:
    """A new layer with the config of another layer, under a different name."""
    classes = {type(o).__name__: type(o) for o in base.iter_objects(layer)}
    with serialization.keeping_functions(), registry.custom_object_scope(classes):
        return type(layer).from_config({**layer.get_config(), "name": name, **changes})


def _merge(mode: str | None, y: jax.Array, y_rev: jax.Array) -> Any:
    if mode == "concat":
        return jnp.concatenate([y, y_rev], -1)
    if mode == "sum":
        return y + y_rev
    if mode == "ave":
        return (y + y_rev) / 2
    return y * y_rev if mode == "mul" else (y, y_rev)
