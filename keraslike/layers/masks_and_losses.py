"""Masks and losses of layers."""

from __future__ import annotations

from typing import Any

import jax

from keraslike.core import context, naming, operation
from keraslike.core.arguments import warn_user
from keraslike.core.boxed import boxes_result, dispatcher, unbox
from keraslike.core.structures import is_structure, iter_leaves, map_leaves
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.shapes import leaves
from keraslike.layers.signatures import call_names, takes_masks


class MasksAndLosses:
    """The part of `Layer` that passes masks on and collects losses."""

    # -- masks --------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output; by default the input's."""
        return previous_mask

    def _pass_masks(self, takes: frozenset[str], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Passes the masks of the arguments to the call: the first argument's as `mask`, that of an
        argument `x` as `x_mask`. Returns the mask from which that of the output is computed, or
        `None`."""
        masks = masks_of(self._first_of(args, kwargs))
        given = kwargs
        if takes_masks(type(self).call):
            given = {**dict(zip(call_names(type(self).call), args)), **kwargs}
        named = [k for k in given if f"{k}_mask" in takes]
        for name in named:
            if given.get(f"{name}_mask") is None and (found := masks_of(given[name])) is not None:
                kwargs[f"{name}_mask"] = found
        if "mask" in takes and given.get("mask") is None:
            if masks is not None:
                kwargs["mask"] = masks
        elif jax.tree.leaves(masks) and not (self.supports_masking or named or "mask" in takes):
            warn_user(
                f"Layer '{self.name}' ({type(self).__name__}) was given an input with a mask, but "
                "does not support masking: the mask ends here."
            )
        return masks if given.get("mask") is None else given["mask"]

    def _first_of(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The first argument of a call, whether it is passed by position or by keyword."""
        if args:
            return args[0]
        names = call_names(type(self).call)
        return next((kwargs[name] for name in names if name in kwargs), None)

    def _set_masks(self, inputs: Any, outputs: Any, previous: Any) -> None:
        masks = unbox(self.compute_mask(inputs, previous))  # functions of TensorFlow give boxes
        flat = jax.tree.leaves(masks, is_leaf=lambda mask: mask is None)
        for tensor, mask in zip(leaves(outputs), flat, strict=False):
            if mask is not None:
                context.set_mask(tensor, mask)

    # -- losses -------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds a number, or a structure of them, to the loss that training minimizes, for use in
        `call`. Of an array, the sum is added.

        Raises ValueError for a symbolic tensor outside of a call.
        """
        for value in jax.tree.leaves(unbox(loss)):
            if isinstance(value, KerasTensor) and not context.state.depth:
                raise ValueError(
                    f"add_loss() of '{self.name}' was given a symbolic tensor, which has no value "
                    f"for any batch: {value!r}. Call add_loss() in the call() of a layer, with a "
                    "value that is computed there."
                )
            scope = context.state.scope
            if scope is not None and scope.collect_losses:
                scope.add_loss(value)
            losses = context.state.losses
            losses.set(self, [*losses.get(self, ()), value])

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError: metrics belong in attributes, or in the arguments of
        `compile`."""
        raise NotImplementedError(
            "add_metric() exists in Keras 2 only. Keep a metric in an attribute and update it in "
            "call(), or pass it to compile(metrics=...)."
        )

    # Added losses are kept by the calling thread and not by the layer, so that another thread that
    # calls or traces the same layer has its own.

    def _forget_losses(self) -> None:
        for layer in self._known_layers():
            context.state.losses.pop(layer)

    def _added_losses(self) -> list[tuple[Any, list[Any]]]:
        """The losses that each layer in this one added in the last call."""
        losses = context.state.losses
        found = [(layer, losses.get(layer)) for layer in self._known_layers()] if losses else []
        return [(layer, list(added)) for layer, added in found if added]

    @property
    @boxes_result
    def losses(self) -> list[Any]:
        """What the last call added, and the values of the weights' regularizers."""
        found = [value for _, added in self._added_losses() for value in added]
        for v in self.trainable_weights:
            regularizer = getattr(v, "regularizer", None)
            if regularizer is not None:
                dispatch = dispatcher((), {})
                found.append(
                    unbox(regularizer(v)) if dispatch is None else dispatch(regularizer, (v,), {})
                )
        return found


class MaskOf(operation.FunctionOperation):
    """The mask that a tensor carries, as an operation of a graph."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(context.get_mask, naming.auto_name("mask") if name is None else name)

    def again(self) -> MaskOf:
        return MaskOf()

    def compute_output_spec(self, x: KerasTensor) -> Any:
        mask = x._keras_mask
        return None if mask is None else KerasTensor(mask.shape, mask.dtype)


def masks_of(value: Any) -> Any:
    """The masks of the arrays in a structure, in the same structure; `None` without arrays."""
    if not is_structure(value):
        return context.get_mask(value)
    holds_arrays = any(isinstance(x, jax.Array) for x in iter_leaves(value))
    return map_leaves(context.get_mask, value) if holds_arrays else None
