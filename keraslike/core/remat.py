"""Rematerialization: activations that are recomputed for the gradient instead of being kept."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from keraslike.core import context
from keraslike.core.arguments import whole
from keraslike.core.boxed import unbox
from keraslike.core.context import Attached, state
from keraslike.core.jax_internals import keep_nothing
from keraslike.core.scopes import StatelessScope
from keraslike.core.structures import flatten
from keraslike.core.variable import Variable


class RematMode(NamedTuple):
    """The settings of a `RematScope`."""

    mode: str | None
    output_size_threshold: int
    layer_names: Sequence[str | type]

    def names(self, layer: Any) -> bool:
        """Whether a layer is among `layer_names`.

        >>> from keraslike.layers import Dense
        >>> RematMode("list_of_layers", 0, ("block_.*",)).names(Dense(2, name="block_3"))
        True
        """
        return any(
            isinstance(layer, one) if isinstance(one, type) else _matches(one, layer.name)
            for one in self.layer_names
        )


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:  # a name that is not a regular expression
        return False


class RematScope:
    """Layers and operations created in the block recompute their activations for the gradient.

    This costs the time of an additional forward pass, and stores only their inputs and outputs.

    Args:
        mode: `"full"` for all; `"activations"` for the activation functions of layers;
            `"larger_than"` for those whose outputs (of a whole batch) have more numbers than the
            threshold; `"list_of_layers"` for those named; `None` for none.
        output_size_threshold: the threshold of `"larger_than"`.
        layer_names: for `"list_of_layers"`: names, regular expressions for whole names, and classes
            of layers.

    Raises ValueError for another mode.

    >>> with RematScope("list_of_layers", layer_names=["encoder"]):
    ...     get_current_remat_mode().mode
    'list_of_layers'
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str | type] | None = None,
    ):
        modes = ("full", "activations", "larger_than", "list_of_layers", None)
        if mode not in modes:
            raise ValueError(f"mode must be one of {list(modes)}. Received: mode={mode!r}")
        self.mode = mode
        self.output_size_threshold = whole(output_size_threshold=output_size_threshold)
        self.layer_names = list(layer_names or ())

    def __enter__(self) -> RematScope:
        self._outer = state.remat
        state.remat = RematMode(self.mode, self.output_size_threshold, tuple(self.layer_names))
        return self

    def __exit__(self, *error: Any) -> None:
        state.remat = self._outer


def get_current_remat_mode() -> RematMode | None:
    """The settings of the innermost `RematScope`; `None` outside of any."""
    return state.remat


def remat(f: Callable) -> Callable:
    """The function, layer or method, with intermediate values recomputed for the gradient.

    State changes (moving averages, random streams), losses that its layers add, and masks of its
    outputs are the same as without it.

    >>> f = remat(lambda x: jax.numpy.sin(jax.numpy.sin(x)))
    >>> round(float(jax.grad(f)(1.0)), 4)
    0.36
    """

    @functools.wraps(f, updated=())
    def again(*args: Any, **kwargs: Any) -> Any:
        flat, structure = flatten((args, kwargs), is_leaf=_is_whole)
        arrays = [i for i, x in enumerate(flat) if isinstance(x, jax.Array)]
        # Without a trace there is no gradient to compute.
        if context.trace_state_clean() or state.symbolic:
            return f(*args, **kwargs)
        masks = [context.get_mask(flat[i]) for i in arrays]
        changed: list[Variable] = []
        owners: list[Any] = []
        rest: list[Any] = []

        def pure(values: list[Any], masks: list[Any]) -> Any:
            given = list(flat)
            for i, value, mask in zip(arrays, values, masks):
                given[i] = value
                if mask is not None:
                    context.set_mask(value, mask)
            args, kwargs = jax.tree.unflatten(structure, given)
            with StatelessScope() as scope, context.using(losses=Attached()):
                out = f(*args, **kwargs)
                added = state.losses.items()
            leaves, rest[:] = flatten(unbox(out), is_leaf=_is_whole)[0], [out]
            is_array = [isinstance(x, jax.Array) for x in leaves]
            changed[:] = [v for v, _ in scope.changed]
            owners[:] = [owner for owner, _ in added]
            return (
                [x for x, yes in zip(leaves, is_array) if yes],
                [context.get_mask(x) if yes else None for x, yes in zip(leaves, is_array)],
                [value for _, value in scope.changed],
                [values for _, values in added],
            )

        outputs, out_masks, new, losses = jax.checkpoint(pure, policy=keep_nothing)(
            [flat[i] for i in arrays], masks
        )
        for variable, value in zip(changed, new):
            variable.assign(value)
        for owner, values in zip(owners, losses):
            state.losses.set(owner, [*state.losses.get(owner, ()), *values])
        left = iter(outputs)
        leaves, out_structure = flatten(unbox(rest.pop()), is_leaf=_is_whole)
        leaves = [next(left) if isinstance(x, jax.Array) else x for x in leaves]
        for leaf, mask in zip(leaves, out_masks):
            if mask is not None:
                context.set_mask(leaf, mask)
        return jax.tree.unflatten(out_structure, leaves)

    return again


def _is_whole(x: Any) -> bool:
    return isinstance(x, Variable) or not isinstance(x, (list, tuple, dict))


def rematerialized(
    mode: RematMode | None, function: Callable, spec: Callable, args: tuple, kwargs: dict[str, Any]
) -> Callable:
    """The function rematerialized as a mode says that does not depend on layers; `spec` computes
    its symbolic outputs."""
    if mode is None or mode.mode in (None, "activations", "list_of_layers"):
        return function
    if state.symbolic:
        return function
    if mode.mode == "larger_than":
        with context.using(symbolic=True):
            outputs = jax.tree.leaves(spec(*args, **kwargs))
        sizes = [math.prod(d or 1 for d in x.shape) for x in outputs if hasattr(x, "shape")]
        if sum(sizes) <= mode.output_size_threshold:
            return function
    return remat(function)
