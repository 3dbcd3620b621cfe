"""Analysis of which inputs the outputs of a jaxpr depend on, and its division into parts.

The gradient with respect to an input that a result does not depend on is zero in JAX, but `None` in
TensorFlow. A tape therefore finds from the jaxpr which inputs each output can be differentiated
with respect to. It also defines what no gradient passes through: values assigned in a function.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from keraslike.core import context

# Primitives without a gradient. (The gradients of `sign` are zeros, in TensorFlow too.)
_BLOCKED = ("stop_gradient", "floor", "ceil", "round")


def _is_inexact(v: Any) -> bool:
    return bool(jnp.issubdtype(getattr(v.aval, "dtype", np.int32), np.inexact))


def _masks(
    jaxpr: Any,
    given: Sequence[int],
    marks: dict[Any, int] | None = None,
    stop: bool = False,
    blocked: Sequence[str] = _BLOCKED,
) -> tuple[dict[Any, int], dict[Any, int]]:
    """Bit masks of the inputs that each value in a jaxpr can be differentiated with respect to.

    Args:
        given: the masks of the inputs.
        marks: bits that are added to the masks of some values, or with `stop` replace them.
        blocked: the primitives without a gradient.

    Returns the masks, and the masks of marked values without the marks.
    """
    marks = marks or {}
    before: dict[Any, int] = {}
    masks = {v: m if _is_inexact(v) else 0 for v, m in zip(jaxpr.invars, given)}
    for eqn in jaxpr.eqns:
        inputs = [0 if isinstance(v, core.Literal) else masks.get(v, 0) for v in eqn.invars]
        inner = _inner(eqn)
        if eqn.primitive.name in blocked or not any(inputs):
            out = [0] * len(eqn.outvars)
        elif eqn.primitive.name == "cond":
            branches = [branch.jaxpr for branch in eqn.params["branches"]]
            each = [(b, _masks(b, inputs[1:], blocked=blocked)[0]) for b in branches]
            results = [[_of(v, found) for v in b.outvars] for b, found in each]
            out = [functools.reduce(operator.or_, masks) for masks in zip(*results)]
        elif _reads_again(eqn):
            value, first = inputs
            out = [first if blocked else value | first]
        elif inner is not None:
            found, _ = _masks(inner, inputs, blocked=blocked)
            out = [_of(v, found) for v in inner.outvars]
        else:
            out = [functools.reduce(operator.or_, inputs)] * len(eqn.outvars)
        for v, mask in zip(eqn.outvars, out):
            masks[v] = mask = mask if _is_inexact(v) else 0
            if v in marks:
                before[v] = mask
                masks[v] = marks[v] if stop else mask | marks[v]
    return masks, before


def constant_when_assigned(variables: Sequence[Any]) -> None:
    """While these Variables hold tracers, no gradient passes through values assigned to them.

    As in TensorFlow, the gradient with respect to a variable counts all reads of it, before and
    after an assignment; JAX alone would differentiate the computation of the new value.
    """
    for variable in variables:
        held = context.state.held.get(id(variable))
        if held is not None and jnp.issubdtype(held.value.dtype, np.inexact):
            held.assigned = functools.partial(_assigned, held.value)


def _assigned(first: Any, value: Any) -> Any:
    same = (value.shape, value.dtype) == (first.shape, first.dtype)
    return _read_again(value, first) if same else value


@jax.custom_jvp
def _read_again(value: Any, first: Any) -> Any:
    """The value, with the derivative of the variable's first value."""
    return jax.lax.select_n(np.True_, first, value)  # so that the program depends on both


# The rule calls the function itself, so that the second derivative is that of this value, too.
_read_again.defjvp(lambda primals, tangents: (_read_again(*primals), tangents[1]))


def _reads_again(eqn: Any) -> bool:
    """Whether an equation is a call of `_read_again`, a selection by the constant `True`."""
    if eqn.primitive.name != "custom_jvp_call" or len(eqn.invars) != 2:
        return False
    inside = eqn.params["call_jaxpr"].jaxpr.eqns
    chosen = len(inside) == 1 and inside[0].primitive.name == "select_n"
    return chosen and isinstance(inside[0].invars[0], core.Literal)


def _of(v: Any, masks: dict[Any, int]) -> int:
    return 0 if isinstance(v, core.Literal) else masks.get(v, 0)


def _inner(eqn: Any) -> Any:
    """The jaxpr that an equation calls with its own arguments, or `None`."""
    if eqn.primitive.name.startswith(("custom_vjp", "custom_jvp")):
        return None  # the gradient follows from a rule of its own, not from the computation of the
        # value
    for name in ("jaxpr", "call_jaxpr"):
        found = eqn.params.get(name)
        found = getattr(found, "jaxpr", found)
        if isinstance(found, core.Jaxpr):
            alike = (len(found.invars), len(found.outvars)) == (len(eqn.invars), len(eqn.outvars))
            calls = eqn.primitive.name not in ("scan", "while", "cond")
            return found if alike and calls else None
    return None


def depends(closed: Any) -> list[int]:
    """Masks of the inputs that each output can be differentiated with respect to."""
    jaxpr = closed.jaxpr
    masks, _ = _masks(jaxpr, [1 << i for i in range(len(jaxpr.invars))])
    return [_of(v, masks) for v in jaxpr.outvars]


def descends(closed: Any) -> list[int]:
    """Masks of the inputs that each output is computed from, with or without a gradient.

    Inputs of `stop_gradient` do not count.
    """
    jaxpr = closed.jaxpr
    given = [1 << i for i in range(len(jaxpr.invars))]
    unstopped, _ = _masks(jaxpr, given, blocked=())
    stopped, _ = _masks(jaxpr, given, blocked=_BLOCKED[:1])
    return [
        sum(given) if _of(v, unstopped) == _of(v, stopped) else _of(v, stopped)
        for v in jaxpr.outvars
    ]


# Primitives whose derivative by one operand has the other one as a factor.
_SCALING = ("mul", "div", "dot_general", "conv_general_dilated")


def scales(closed: Any, followed: Sequence[bool]) -> bool:
    """Whether a derivative by the followed inputs has factors that do not depend on these."""
    return _scales(closed.jaxpr, list(map(int, followed)))


def _scales(jaxpr: Any, given: Sequence[int]) -> bool:
    masks, _ = _masks(jaxpr, given)
    summed: dict[Any, float] = {}  # how many values are added, for the results of sums
    for eqn in jaxpr.eqns:
        name, inputs = eqn.primitive.name, [_of(v, masks) for v in eqn.invars]
        if not any(inputs):
            continue
        first, out = eqn.invars[0], eqn.outvars[0]
        if name == "reduce_sum":
            summed[out] = first.aval.size / max(out.aval.size, 1)
        elif name in ("broadcast_in_dim", "reshape") and first in summed:
            summed[out] = summed[first]
        if name in _SCALING and not all(inputs):
            divisor = getattr(eqn.invars[1], "val", None)
            if divisor is None or divisor != summed.get(first):  # It is no mean.
                return True
        inner, ours = _inner(eqn), inputs
        if name == "scan":
            inner = eqn.params["jaxpr"].jaxpr
            count, carried = eqn.params["num_consts"], eqn.params["num_carry"]
            ours = [*inputs[:count], *[1] * carried, *inputs[count + carried :]]
        elif name == "while":
            inner, before = eqn.params["body_jaxpr"].jaxpr, eqn.params["cond_nconsts"]
            count = eqn.params["body_nconsts"]
            ours = [*inputs[before : before + count], *[1] * (len(inner.invars) - count)]
        if inner is not None and _scales(inner, ours):
            return True
    return False


@dataclasses.dataclass(eq=False)
class Part:
    """Some outputs of a traced function, as a function of its inputs and of earlier outputs, the
    `cuts`.

    `depends` has a mask of the inputs and cuts for each output.
    """

    outputs: list[int]
    cuts: list[int]
    depends: list[int]


@dataclasses.dataclass(eq=False)
class Layout:
    """The parts of a traced function. No output of a part depends on another output of that part.

    `first[j]` is the number of the first output that is the same value as output `j`.
    """

    parts: list[Part]
    first: list[int]

    @classmethod
    def whole(cls, count: int, inputs: int) -> Layout:
        """A single part, in which every output depends on every input."""
        part = Part(list(range(count)), [], [(1 << inputs) - 1] * count)
        return cls([part], list(range(count)))


def split(closed: Any, count: int) -> tuple[Layout, list[Callable]]:
    """Divides the first `count` outputs of a traced function into parts, with a function for each.

    The functions take the inputs and the cuts. The last one also returns the outputs beyond
    `count`, after its own.
    """
    jaxpr = closed.jaxpr
    n, outvars = len(jaxpr.invars), list(jaxpr.outvars)[:count]
    inputs = set(jaxpr.invars)
    firsts: dict[Any, int] = {}
    first = [
        j if isinstance(v, core.Literal) else firsts.setdefault(v, j) for j, v in enumerate(outvars)
    ]
    own = [j for j in range(count) if first[j] == j]
    given = [1 << i for i in range(n)]
    masks, before = _masks(
        jaxpr, given, {v: 1 << (n + j) for v, j in firsts.items() if v not in inputs}
    )
    used = functools.reduce(operator.or_, before.values(), 0)
    order = {v: k for k, eqn in enumerate(jaxpr.eqns) for v in eqn.outvars}
    cuts = [j for j in own if used >> (n + j) & 1 and before[outvars[j]]]
    cuts.sort(key=lambda j: order[outvars[j]])
    at = {outvars[j]: 1 << (n + k) for k, j in enumerate(cuts)}
    masks, before = _masks(jaxpr, given, at, stop=True)
    parts, runs = [], []
    for k, j in enumerate(cuts):
        runs.append(_function(closed, [outvars[c] for c in cuts[:k]], [outvars[j]], False))
        parts.append(Part([j], cuts[:k], [before[outvars[j]]]))
    rest = [j for j in own if j not in cuts]
    tail = [outvars[j] for j in rest] + list(jaxpr.outvars)[count:]
    runs.append(_function(closed, [outvars[c] for c in cuts], tail, True))
    parts.append(Part(rest, cuts, [_of(outvars[j], masks) for j in rest]))
    return Layout(parts, first), runs


def _function(closed: Any, cuts: list[Any], outvars: list[Any], last: bool) -> Callable:
    """The part of the jaxpr that computes `outvars` from its inputs and the values at `cuts`.

    Args:
        last: whether it includes equations with effects, such as prints.
    """
    jaxpr = closed.jaxpr
    n = len(jaxpr.invars)

    def variables(values: Sequence[Any]) -> set[Any]:
        return {v for v in values if not isinstance(v, core.Literal) and v not in cuts}

    needed = variables(outvars)
    chosen = []
    for eqn in reversed(jaxpr.eqns):
        if needed.intersection(eqn.outvars) or (last and eqn.effects):
            chosen.append(eqn)
            needed |= variables(eqn.invars)
    chosen.reverse()

    def run(*values: Any) -> list[Any]:
        held = dict(zip(jaxpr.constvars, closed.consts))
        held.update(zip(jaxpr.invars, values[:n]))
        held.update(zip(cuts, values[n:]))

        def read(v: Any) -> Any:
            return v.val if isinstance(v, core.Literal) else held[v]

        for eqn in chosen:
            params = eqn.primitive.get_bind_params(eqn.params)
            with eqn.ctx.manager:
                out = eqn.primitive.bind(*map(read, eqn.invars), **params)
            for v, value in zip(eqn.outvars, out if eqn.primitive.multiple_results else [out]):
                if v not in cuts:
                    held[v] = value
        return [read(v) for v in outvars]

    return run
