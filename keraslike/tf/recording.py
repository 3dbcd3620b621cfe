"""How operations are recorded: pullbacks of functions, and of layers and losses as a whole."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.core import base, context, lowering, rng
from keraslike.core.boxed import Boxed, is_recorded, unbox
from keraslike.core.context import trace_state_clean
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.layer import Layer
from keraslike.tf.tensor import Tensor, _is_inexact, _value, precision, raw, run, wrap


@dataclasses.dataclass(eq=False, slots=True)
class Node:
    """An operation that was recorded.

    `pullback(cotangents of all outputs) -> cotangents of inputs`; `again(*inputs) -> outputs` is
    the operation once more, for gradients of gradients.
    """

    inputs: list[Any]  # Tensors and Variables
    values: list[Any]  # of the inputs, as they were
    outputs: list[Any]  # Tensors
    pullback: Callable
    again: Callable
    taken: list[Any]  # all arrays that went in: they say whether 64 bits are at play


# -- structures of tensors ------------------------------------------------------------------------


def leaves_of(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in leaves_of(item)]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves_of(tree[key])]
    return [tree]


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, (list, tuple)):
        items = [rebuilt(item, leaves) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if isinstance(tree, dict):
        made = {key: rebuilt(tree[key], leaves) for key in sorted(tree)}
        return {key: made[key] for key in tree}
    return next(leaves)


# -- operations on arrays -----------------------------------------------------------------------


def _merged(fn: Callable, mask: tuple[bool, ...], others: Sequence[Any], rest: tuple, kwargs: Any):
    """`fn` as a function of the arguments that `mask` chooses."""

    def of_chosen(*chosen: Any) -> Any:
        ours, theirs = iter(chosen), iter(others)
        with context.using(tapes=()):
            return fn(*[next(ours) if m else next(theirs) for m in mask], *rest, **dict(kwargs))

    return of_chosen


@functools.lru_cache(maxsize=4096)
def _vjp_program(fn: Callable, mask: tuple[bool, ...], rest: tuple, kwargs: tuple) -> Callable:
    def program(chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        return jax.vjp(_merged(fn, mask, others, rest, kwargs), *chosen)

    return jax.jit(program)


_apply = jax.jit(lambda pullback, cotangents: pullback(cotangents))


def run_recorded(
    fn: Callable,
    tensors: Sequence[Any],
    values: Sequence[Any],
    followed: tuple[bool, ...],
    rest: tuple,
    kwargs: dict[str, Any],
    lasting: bool,
    within: Sequence[Any] = (),
) -> Any:
    """Runs an operation and keeps its pullback; `within` are the arrays that `fn` itself holds."""
    taken = [*within, *values]
    chosen = [v for v, f in zip(values, followed) if f]
    others = [v for v, f in zip(values, followed) if not f]
    pairs = tuple(kwargs.items())
    again = _merged(fn, followed, others, rest, pairs)
    compiled = lasting and trace_state_clean() and not _has_tracer(values)
    with precision(taken):
        if compiled:
            try:
                program = _vjp_program(fn, followed, rest, pairs)
            except TypeError:  # an argument that cannot be hashed
                compiled = False
        if compiled:
            out, pullback = program(chosen, others)
            pullback = functools.partial(_apply, pullback)
        else:
            out, pullback = jax.vjp(again, *chosen)
    wrapped = wrap(out)
    inputs = [t for t, f in zip(tensors, followed) if f]
    keep(inputs, chosen, wrapped, jax.tree.structure(out), pullback, again, taken)
    return wrapped


def _has_tracer(values: Sequence[Any]) -> bool:
    return any(isinstance(v, jax.core.Tracer) for v in values)


def keep(
    inputs: list[Any],
    values: list[Any],
    wrapped: Any,
    structure: Any,
    pullback: Callable,
    again: Callable,
    taken: list[Any],
) -> None:
    """Gives the operation to the tapes that follow one of its inputs."""
    outputs = [x for x in leaves_of(wrapped) if x is not None]
    if not any(_is_inexact(x._value) for x in outputs):
        return
    flat = lambda *xs: jax.tree.leaves(again(*xs))  # noqa: E731
    back = lambda g: pullback(jax.tree.unflatten(structure, g))  # noqa: E731
    node = Node(inputs, values, outputs, back, flat, taken)
    for tape in context.state.tapes:
        if any(tape._follows(x) for x in inputs):
            tape._record(node)


def pull(node: Node, given: list[Tensor | None]) -> list[Tensor]:
    """The cotangents of a node's inputs, themselves recorded where a tape records now."""
    with precision([*(o._value for o in node.outputs), *node.taken]):
        cotangents = [
            Tensor(zero(o._value)) if g is None else g for o, g in zip(node.outputs, given)
        ]
        tapes = context.state.tapes
        if not tapes or not any(is_recorded(x) for x in (*node.inputs, *cotangents)):
            return [Tensor(g) for g in node.pullback([c._value for c in cotangents])]
    n = len(node.inputs)
    places = [i for i, o in enumerate(node.outputs) if _is_inexact(o._value)]
    fixed = {i: c._value for i, c in enumerate(cotangents) if i not in places}

    def backward(*values: Any) -> Any:
        seeds = dict(zip(places, values[n:])) | fixed
        _, pullback = jax.vjp(node.again, *values[:n])
        return list(pullback([seeds[i] for i in range(len(node.outputs))]))

    tensors = [*node.inputs, *(cotangents[i] for i in places)]
    values = [*node.values, *(cotangents[i]._value for i in places)]
    followed = tuple(is_recorded(x) for x in tensors)
    return run_recorded(backward, tensors, values, followed, (), {}, False, node.taken)


def zero(value: Any) -> Any:
    if _is_inexact(value):
        return np.zeros(value.shape, value.dtype)
    return np.zeros(value.shape, jax.dtypes.float0)


# -- calls of ops, layers and losses ----------------------------------------------------------


class _Place(int):
    """Where a tensor stands in the arguments of a call."""


def _split(tree: Any, tensors: list[Any]) -> Any:
    """The structure as a value that can be hashed, its tensors moved to `tensors`."""
    if isinstance(tree, (Tensor, nnx.Variable, jax.Array, np.ndarray)):
        tensors.append(tree)
        return _Place(len(tensors) - 1)
    if isinstance(tree, Boxed):
        return _split(tree._as_tensor(), tensors)
    if type(tree) in (list, tuple):
        return (type(tree), tuple([_split(item, tensors) for item in tree]))
    if type(tree) is dict:
        return (dict, tuple([(key, _split(item, tensors)) for key, item in tree.items()]))
    return (None, tree)


def _joined(spec: Any, values: Sequence[Any]) -> Any:
    if type(spec) is _Place:
        return values[spec]
    kind, items = spec
    if kind is None:
        return items
    if kind is dict:
        return {key: _joined(item, values) for key, item in items}
    return kind(_joined(item, values) for item in items)


def take(function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None) -> Any:
    """A call that is given tensors, or made while a tape records: with tensors out if so.

    Args:
        owner: the layer or loss whose method it is; `None` for a function of its arguments.
    """
    tensors: list[Any] = []
    spec = _split((args, kwargs), tensors)
    if owner is None:
        boxed = any(isinstance(t, Tensor) for t in tensors)
        if not boxed and not any(is_recorded(t) for t in tensors):
            with context.using(tapes=()):
                return unbox(function(*args, **kwargs))
        return run(_call, tensors, (function, spec))
    if isinstance(owner, Layer) and not owner.built:
        _make_state(owner, args, kwargs)
    return _call_owner(function, owner, spec, tensors)


def _call(*given: Any) -> Any:
    *values, function, spec = given
    args, kwargs = _joined(spec, values)
    with context.using(tapes=()):
        return unbox(function(*args, **kwargs))


Tensor.take = staticmethod(take)  # type: ignore[method-assign]


def _make_state(layer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Builds a layer and all in it, without arithmetic."""

    def symbol(x: Any) -> Any:
        if isinstance(x, (Tensor, nnx.Variable, jax.Array, np.ndarray)):
            return KerasTensor(x.shape, raw(x).dtype if isinstance(x, Tensor) else x.dtype)
        if type(x) in (list, tuple):
            return type(x)(map(symbol, x))
        return {k: symbol(v) for k, v in x.items()} if type(x) is dict else x

    with context.using(tapes=()):
        symbols, keywords = symbol(args), symbol(kwargs)
        layer._maybe_build(symbols, keywords)
        # Where Python branches on values, no more than build() made can be known.
        with contextlib.suppress(jax.errors.ConcretizationTypeError):
            layer.compute_output_spec(*symbols, **keywords)


class _OwnerCall:
    """A method of a layer or a loss as a pure function of its Variables and its tensors.

    `function(chosen, others) -> ((outputs, losses), (masks, new values))`, where `chosen` are the
    values by which gradients are taken.
    """

    def __init__(
        self,
        method: Callable,
        owner: Any,
        variables: list[Any],
        spec: Any,
        mask: tuple[bool, ...],
        masked: tuple[int, ...],
    ):
        self.method, self.owner, self.variables = method, owner, variables
        self.spec, self.mask, self.masked = spec, mask, masked
        self.training = context.state.training
        self.loss_owners: list[Any] = []  # the layers that added a loss, in order
        self.changed: list[int] = []  # which Variables the call changes
        self.compiled = jax.jit(self.differentiated)
        self.plain = jax.jit(self.function)

    def function(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        ours, theirs = iter(chosen), iter(others)
        values = [next(ours) if m else next(theirs) for m in self.mask]
        masks = list(theirs)
        n = len(self.variables)
        state, tensors = values[:n], values[n:]
        with (
            lowering.holding(self.variables, state, roots=[self.owner]),
            context.using(tapes=(), training=self.training),
        ):
            for place, mask in zip(self.masked, masks):
                context.set_mask(tensors[place], mask)
            args, kwargs = _joined(self.spec, tensors)
            out = unbox(self.method(*args, **kwargs))
            self.loss_owners = list(getattr(self.owner, "_loss_owners", ()))
            losses = [list(vars(o).get("_losses", ())) for o in self.loss_owners]
            out_masks = [context.get_mask(o) for o in jax.tree.leaves(out)]
            new = lowering.values_of(self.variables)
        self.changed = [i for i, (a, b) in enumerate(zip(state, new)) if a is not b]
        return (out, losses), (out_masks, [new[i] for i in self.changed])

    def differentiated(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        return jax.vjp(lambda *c: self.function(c, others), *chosen, has_aux=True)


def _call_owner(method: Callable, owner: Any, spec: Any, tensors: list[Any]) -> Any:
    calls = _calls_of(owner)
    variables = calls.variables
    inputs = [*variables, *tensors]
    values = [*lowering.values_of(variables), *map(_value, tensors)]
    mask = tuple([_is_inexact(v) and is_recorded(x) for x, v in zip(inputs, values)])
    masks = [(i, context.get_mask(t)) for i, t in enumerate(tensors)] if context._masks else []
    masked = tuple(i for i, m in masks if m is not None)
    call = calls.find(method, owner, spec, mask, masked)
    chosen = [v for v, m in zip(values, mask) if m]
    others = [v for v, m in zip(values, mask) if not m]
    others += [m for _, m in masks if m is not None]
    compiled = trace_state_clean() and not _has_tracer(values)
    pullback = None
    with precision(values):
        if chosen:
            run_it = call.compiled if compiled else call.differentiated
            try:
                out, pullback, aux = run_it(chosen, others)
            except jax.errors.ConcretizationTypeError:
                if not compiled:
                    raise
                compiled = False  # Python that branches on values: they are there without jit
                out, pullback, aux = call.differentiated(chosen, others)
            pullback = functools.partial(_apply, pullback) if compiled else pullback
        else:
            out, aux = (call.plain if compiled else call.function)(chosen, others)
    out_masks, new = aux
    lowering.write([variables[i] for i in call.changed], new)
    wrapped, losses = wrap(out)
    for tensor, mask_of in zip(leaves_of(wrapped), out_masks):
        if mask_of is not None:
            context.set_mask(tensor, mask_of)
    if call.loss_owners:
        for layer, added in zip(call.loss_owners, losses):
            vars(layer)["_losses"] = added
        owner._loss_owners = call.loss_owners
    if pullback is not None:
        again = lambda *c: call.function(c, others)[0]  # noqa: E731
        followed = [x for x, m in zip(inputs, mask) if m]
        keep(followed, chosen, (wrapped, losses), jax.tree.structure(out), pullback, again, values)
    return wrapped


class _Calls:
    """The calls of one object that were recorded, and what they were compiled for."""

    def __init__(self, owner: Any):
        self.variables = base.variables_of(owner, rng.global_stream())
        self._snapshot = base.Snapshot(owner)
        self._compiled: dict[Any, _OwnerCall] = {}

    def is_current(self) -> bool:
        """Whether nothing about the object has changed since."""
        return self._snapshot.is_current() and rng.global_stream().state is self.variables[-1]

    def find(
        self, method: Callable, owner: Any, spec: Any, mask: tuple[bool, ...], masked: tuple
    ) -> _OwnerCall:
        key = (spec, mask, masked, context.state.training)
        try:
            found = self._compiled.get(key)
        except TypeError:  # an argument that cannot be hashed
            return _OwnerCall(method, owner, self.variables, spec, mask, masked)
        if found is None:
            if len(self._compiled) >= 16:  # an argument that changes all the time
                self._compiled.clear()
            found = _OwnerCall(method, owner, self.variables, spec, mask, masked)
            self._compiled[key] = found
        return found


def _calls_of(owner: Any) -> _Calls:
    calls = vars(owner).get("_recorded_calls")
    if calls is None or not calls.is_current():
        calls = vars(owner)["_recorded_calls"] = _Calls(owner)
    return calls
