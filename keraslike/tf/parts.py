"""The operations that the call of a layer or a loss consists of, as a tape records them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context
from keraslike.core.jax_internals import current_trace
from keraslike.tf.recording import Node, keep, zero
from keraslike.tf.tensor import Tensor


class Gathers(list):
    """What a traced call gathers from its variables: `(variable, indices, rows)` for each time.

    Within loops and branches nothing is recorded.
    """

    def __init__(self) -> None:
        self._trace = current_trace()

    def note(self, variable: Any, value: Any, indices: Any, rows: Any) -> None:
        held = context.state.held.get(id(variable))
        if held is not None and held.value is value and current_trace() is self._trace:
            self.append((variable, indices, rows))


def recorded_parts(
    call: Any,
    layout: Any,
    chosen: list[Any],
    others: list[Any],
    followed: list[Any],
    made: list[Tensor],
    pullbacks: list[Callable],
    taken: list[Any],
    gathered: dict[int, tuple[int, Any]],
) -> list[Tensor]:
    """Records an operation for each part of a call, and returns the tensors that are its results.

    Outputs that are the same value are the same tensor.

    Args:
        gathered: for the numbers of outputs that are rows of an input, which input it is, and the
            indices of the rows.
    """
    results = [made[j] for j in layout.first]
    for number, (part, pullback) in enumerate(zip(layout.parts, pullbacks)):
        kept = []
        for k, (j, depends) in enumerate(zip(part.outputs, part.depends)):
            n, at = gathered.get(j, (-1, None))
            if at is not None and depends == 1 << n:
                keep(_rows_node(followed[n], chosen[n], at, made[j], taken))
            else:
                kept.append(k)
        if not any(part.depends[k] for k in kept):
            continue

        def again(*values: Any, number: int = number, kept: list[int] = kept) -> Any:
            if len(layout.parts) == 1:
                found = jax.tree.leaves(call.function(values, others)[0])
            else:
                found = call.split(chosen, others)[1][number](*values)
            return [found[k] for k in kept]

        def pull(given: list[Any], part: Any = part, back: Any = pullback, kept: Any = kept) -> Any:
            every = [zero(made[j]._value) for j in part.outputs]
            for k, g in zip(kept, given):
                every[k] = g
            return back(every)

        cuts = [made[j] for j in part.cuts]
        outputs = [made[part.outputs[k]] for k in kept]
        values = [*chosen, *(t._value for t in cuts)]
        depends = [part.depends[k] for k in kept]
        pull = pullback if len(kept) == len(part.outputs) else pull
        keep(Node([*followed, *cuts], values, outputs, pull, again, taken, depends))
    return results


def _rows_node(variable: Any, value: Any, indices: Any, rows: Tensor, taken: list[Any]) -> Node:
    """The gathering of rows from a variable as an operation."""

    def again(value: Any) -> list[Any]:
        return [jnp.take(value, indices, axis=0)]

    def pullback(cotangents: list[Any]) -> tuple[Any, ...]:
        return jax.vjp(again, value)[1](cotangents)

    at = Tensor(indices)
    return Node([variable], [value], [rows], pullback, again, taken, [1], rows=at)
