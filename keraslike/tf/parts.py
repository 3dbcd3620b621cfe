"""The operations that the call of a layer, a loss or a function consists of, as a tape records
them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from keraslike.core.boxed import is_recorded
from keraslike.core.jax_internals import current_trace
from keraslike.tf import dependence
from keraslike.tf.recording import ROWS, Call, Node, keep, zero
from keraslike.tf.tensor import Tensor, _is_inexact, array_in, run


class Gathers:
    """The rows that a traced function gathers: `(array, indices, rows)` for each time.

    Within loops and branches nothing is noted.
    """

    def __init__(self) -> None:
        self._trace = current_trace()
        self.noted: list[tuple[Any, Any, Any]] = []

    def note(self, value: Any, indices: Any, rows: Any) -> None:
        if current_trace() is self._trace and _is_inexact(value):
            self.noted.append((value, indices, rows))


class RowsOfInputs:
    """A traced function in two: the gathering of rows of its inputs, and the rest of it, which has
    these rows as further inputs. A tape records the gatherings as operations of their own.

    Args:
        closed: the jaxpr of the function.
        noted: the variables of the jaxpr for what was gathered, as in `Gathers`.
        compiled: compiles a function of the inputs of a jaxpr.
    """

    def __init__(self, closed: Any, noted: list[Any], compiled: Callable):
        numbers = {id(v): n for n, v in enumerate(closed.jaxpr.invars)}
        self.gathered = [(numbers[id(v)], *rest) for v, *rest in noted if id(v) in numbers]
        self._closed, self._compiled = closed, compiled

    def are_recorded(self, inputs: list[Any]) -> bool:
        return any(is_recorded(inputs[n]) for n, *_ in self.gathered)

    def apart(self, inputs: list[Any], results: list[bool]) -> tuple[list[Any], Call]:
        """Gathers the rows. Returns all inputs of the rest of the function, and this function."""
        indices = map(Tensor, self._indices(*map(array_in, inputs)))
        given = [(inputs[n], i) for (n, *_), i in zip(self.gathered, indices)]
        rows = [run(gathered_rows, pair, name=ROWS) for pair in given]
        self._rest.results = results
        return [*inputs, *rows], self._rest

    @functools.cached_property
    def _indices(self) -> Call:
        outvars = [i for _, i, _ in self.gathered]
        function = dependence._function(self._closed, [], outvars, last=False)
        return self._compiled(function, self._closed)

    @functools.cached_property
    def _rest(self) -> Call:
        jaxpr, rows = self._closed.jaxpr, [r for *_, r in self.gathered]
        ours = set(rows)
        eqns = [e for e in jaxpr.eqns if ours.isdisjoint(e.outvars)]
        jaxpr = jaxpr.replace(invars=[*jaxpr.invars, *rows], eqns=eqns)
        closed = self._closed.replace(jaxpr=jaxpr)
        return self._compiled(jaxpr_as_fun(closed), closed)


def gathered_rows(value: Any, indices: Any) -> Any:
    return jnp.take(value, indices, axis=0)


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
        return [gathered_rows(value, indices)]

    def pullback(cotangents: list[Any]) -> tuple[Any, ...]:
        return jax.vjp(again, value)[1](cotangents)

    at = Tensor(indices)
    return Node([variable], [value], [rows], pullback, again, taken, [1], rows=at)
