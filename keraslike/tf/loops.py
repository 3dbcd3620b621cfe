"""Loops with gradients and any number of steps; JAX alone differentiates only loops with a bounded
number of steps.

The steps are counted while the loop runs. The backward pass keeps the states of the loop at `_KEPT`
steps, then again at `_KEPT` steps between two of these, and recomputes the states between them. Up
to `_KEPT` squared steps each state is computed at most three times, and the memory never depends on
the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.jax_internals import without_callbacks

_KEPT = 32

Arrays = Sequence[Any]


def while_loop(going: Callable, step: Callable, state: Arrays) -> list[Any]:
    """Repeats `state = step(state)` while `going(state)` holds; a state is a list of arrays.

    It has gradients of any order, in reverse mode.
    """
    on = [jnp.asarray(x) for x in state]
    test = jax.make_jaxpr(lambda *s: going(list(s)))(*on)
    body = jax.make_jaxpr(lambda *s: step(list(s)))(*on)
    count = len(test.consts)

    def holds(taken: Arrays, state: Arrays) -> Any:
        return jax.core.eval_jaxpr(test.jaxpr, taken[:count], *state)[0]

    def next_state(taken: Arrays, state: Arrays) -> list[Any]:
        return jax.core.eval_jaxpr(body.jaxpr, taken[count:], *state)

    silent = without_callbacks(body.jaxpr)  # so that recomputation prints nothing

    def again(taken: Arrays, state: Arrays) -> list[Any]:
        return jax.core.eval_jaxpr(silent, taken[count:], *state)

    @jax.custom_vjp
    def run(taken: Arrays, state: Arrays) -> list[Any]:
        return list(
            jax.lax.while_loop(lambda s: holds(taken, s), lambda s: next_state(taken, s), state)
        )

    def forward(taken: Arrays, state: Arrays) -> tuple[list[Any], Any]:
        def counted(s: Any) -> Any:
            return s[0] + 1, next_state(taken, s[1])

        start = (jnp.int32(0), state)
        steps, end = jax.lax.while_loop(lambda s: holds(taken, s[1]), counted, start)
        return end, (taken, state, steps)

    def backward(kept: Any, cotangents: Arrays) -> tuple[list[Any], list[Any]]:
        taken, state, steps = kept
        by_taken, by_state = _Backward(again, taken, state).all(steps, cotangents)
        return by_taken, by_state

    run.defvjp(forward, backward)
    return run([*test.consts, *body.consts], on)


class _Backward:
    """The gradients of a loop with respect to its inputs and its first state."""

    def __init__(self, step: Callable, taken: Arrays, state: Arrays):
        self.step, self.taken, self.state = step, list(taken), list(state)
        self.of_taken = [i for i, x in enumerate(taken) if _is_inexact(x)]
        self.of_state = [i for i, x in enumerate(state) if _is_inexact(x)]

    def all(self, steps: Any, cotangents: Arrays) -> tuple[list[Any], list[Any]]:
        given = [
            jnp.zeros_like(self.taken[i]) for i in self.of_taken
        ], [cotangents[i] for i in self.of_state]  # fmt: skip
        by_taken, by_state = self.over(self.state, steps, given, levels=2)
        return _spread(by_taken, self.of_taken, self.taken), _spread(
            by_state, self.of_state, self.state
        )

    def over(self, start: Arrays, steps: Any, grads: Any, levels: int) -> Any:
        """The gradients before a number of steps from a state, from those after the steps."""
        if not levels:

            def one(done: Any, grads: Any) -> Any:
                return self.before(self.advanced(start, steps - 1 - done), grads)

            return _repeated(steps, one, grads)
        part = (steps + _KEPT - 1) // _KEPT
        parts = jnp.where(part > 0, (steps + part - 1) // jnp.maximum(part, 1), 0)
        places = [jnp.zeros((_KEPT, *x.shape), x.dtype) for x in start]

        def keep(number: Any, carried: Any) -> Any:
            state, places = carried
            places = [p.at[number].set(x) for p, x in zip(places, state)]
            return self.advanced(state, jnp.minimum(part, steps - number * part)), places

        _, places = _repeated(parts, keep, (list(start), places))

        def one_part(done: Any, grads: Any) -> Any:
            number = parts - 1 - done
            state = [jax.lax.dynamic_index_in_dim(p, number, keepdims=False) for p in places]
            return self.over(state, jnp.minimum(part, steps - number * part), grads, levels - 1)

        return _repeated(parts, one_part, grads)

    def advanced(self, state: Arrays, steps: Any) -> list[Any]:
        return _repeated(steps, lambda _, s: self.step(self.taken, s), list(state))

    def before(self, state: Arrays, grads: Any) -> Any:
        """The gradients before one step from a state."""
        by_taken, by_state = grads

        def smooth(taken: Arrays, inner: Arrays) -> list[Any]:
            full = list(self.taken), list(state)
            for whole, places, new in zip(full, (self.of_taken, self.of_state), (taken, inner)):
                for place, value in zip(places, new):
                    whole[place] = value
            out = self.step(*full)
            return [out[i] for i in self.of_state]

        _, pullback = jax.vjp(
            smooth, [self.taken[i] for i in self.of_taken], [state[i] for i in self.of_state]
        )
        more, by_state = pullback(by_state)
        return [a + b for a, b in zip(by_taken, more)], by_state


def _repeated(times: Any, body: Callable, value: Any) -> Any:
    """Repeats `value = body(number, value)` for the given count."""
    leaves, structure = jax.tree.flatten(value)

    def step(state: Arrays) -> list[Any]:
        number, *leaves = state
        return [number + 1, *jax.tree.leaves(body(number, jax.tree.unflatten(structure, leaves)))]

    out = while_loop(lambda s: s[0] < times, step, [jnp.int32(0), *leaves])
    return jax.tree.unflatten(structure, out[1:])


def _spread(grads: Arrays, places: Sequence[int], values: Arrays) -> list[Any]:
    """The gradients with respect to all values; values that are not floats have none."""
    known = dict(zip(places, grads))
    return [known.get(i, np.zeros(x.shape, jax.dtypes.float0)) for i, x in enumerate(values)]


def _is_inexact(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)
