"""How operations are recorded: pullbacks of functions, and of layers and losses as a whole."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import base, context, lowering, rng
from keraslike.core.boxed import Answers, Boxed, Taking, is_recorded, unbox
from keraslike.core.context import trace_state_clean
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.layer import Layer
from keraslike.tf import dependence
from keraslike.tf.gradients import CHOICES
from keraslike.tf.tensor import (
    Tensor,
    _is_inexact,
    _value,
    is_shared_number,
    precision,
    raw,
    run,
    wrap,
)


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
    depends: list[int]  # for each output a bit mask of the inputs that it can be differentiated by
    passed: list[Any] = dataclasses.field(default_factory=list)  # went in, but no tape followed it
    widen: Callable | None = None  # the same operation by what was passed in, too

    def widened(self) -> Node:
        """The operation by all that went in, for a tape that came to follow it afterwards."""
        assert self.widen is not None
        return self.widen()

    def pull(self, given: list[Tensor | None]) -> list[Tensor | None]:
        """The cotangents of the inputs, recorded where a tape records now.

        `None` for those on which no output depends that has a cotangent.
        """
        reached = 0
        for mask, g in zip(self.depends, given):
            reached |= 0 if g is None else mask
        found = _pulled(self, given)
        return [g if reached >> k & 1 else None for k, g in enumerate(found)]


class GivenNode(Node):
    """An operation whose gradient is a function of tensors that the user wrote."""

    __slots__ = ("gradients",)

    def __init__(self, inputs: list[Any], outputs: list[Any], gradients: Callable):
        every = [(1 << len(inputs)) - 1] * len(outputs)
        super().__init__(inputs, [], outputs, gradients, gradients, [], every)
        self.gradients = gradients

    def pull(self, given: list[Tensor | None]) -> list[Tensor | None]:
        return self.gradients(given)


def _pulled(node: Node, given: list[Tensor | None]) -> list[Tensor]:
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
    return run_recorded(
        backward, tensors, values, followed, (), {}, False, node.taken, analyse=True
    )


def zero(value: Any) -> Any:
    if _is_inexact(value):
        return np.zeros(value.shape, value.dtype)
    return np.zeros(value.shape, jax.dtypes.float0)


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


@contextlib.contextmanager
def holding_tensors(tensors: Sequence[Tensor], values: Sequence[Any]) -> Iterator[None]:
    """Within the block the tensors hold `values`; afterwards they hold what they held."""
    before = [t._value for t in tensors]
    try:
        for tensor, value in zip(tensors, values):
            tensor._value = value
        yield
    finally:
        for tensor, value in zip(tensors, before):
            tensor._value = value


# -- operations on arrays -----------------------------------------------------------------------


def _merged(fn: Callable, mask: tuple[bool, ...], others: Sequence[Any], rest: tuple, kwargs: Any):
    """`fn` as a function of the arguments that `mask` chooses."""

    def of_chosen(*chosen: Any) -> Any:
        ours, theirs = iter(chosen), iter(others)
        with context.using(tapes=()):
            return fn(*[next(ours) if m else next(theirs) for m in mask], *rest, **dict(kwargs))

    return of_chosen


def _dependence(again: Callable, chosen: Sequence[Any]) -> list[int] | None:
    """What each output of an operation depends on; `None` where only values can tell."""
    try:
        return dependence.depends(jax.make_jaxpr(again)(*chosen))
    except (jax.errors.JAXTypeError, TypeError):
        return None


class _Program:
    """An operation that comes again, differentiated by the arguments that `mask` chooses."""

    def __init__(self, fn: Callable, mask: tuple[bool, ...], rest: tuple, kwargs: tuple):
        def program(chosen: Sequence[Any], others: Sequence[Any]) -> Any:
            return jax.vjp(_merged(fn, mask, others, rest, kwargs), *chosen)

        self.compiled = jax.jit(program)
        self._depends: dict[Any, list[int] | None] = {}

    def depends(self, again: Callable, chosen: Sequence[Any], key: Any) -> list[int] | None:
        if key not in self._depends:
            self._depends[key] = _dependence(again, chosen)
        return self._depends[key]


@functools.lru_cache(maxsize=4096)
def _program(fn: Callable, mask: tuple[bool, ...], rest: tuple, kwargs: tuple) -> _Program:
    return _Program(fn, mask, rest, kwargs)


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
    analyse: bool = False,
) -> Any:
    """Runs an operation and keeps its pullback.

    Args:
        within: the arrays that `fn` itself holds.
        analyse: whether what does not last is asked what it depends on, as what lasts is.
    """
    taken = [*within, *values]
    pairs = tuple(kwargs.items())

    def by(mask: tuple[bool, ...]) -> tuple[list[Any], Callable, list[Any]]:
        chosen = [v for v, m in zip(values, mask) if m]
        others = [v for v, m in zip(values, mask) if not m]
        return chosen, _merged(fn, mask, others, rest, pairs), others

    chosen, again, others = by(followed)
    program = None
    if lasting:
        with contextlib.suppress(TypeError):  # an argument that cannot be hashed
            program = _program(fn, followed, rest, pairs)
    depends = None
    with precision(taken):
        if program is not None:
            key = tuple([(v.shape, v.dtype) for v in values])
            depends = program.depends(again, chosen, key)
        elif analyse:
            depends = _dependence(again, chosen)
        if depends is not None and not any(depends):  # no gradient passes
            return wrap(again(*chosen))
        if program is not None and trace_state_clean() and not _has_tracer(values):
            out, pullback = program.compiled(chosen, others)
            pullback = functools.partial(_apply, pullback)
        else:
            out, pullback = jax.vjp(again, *chosen)
    wrapped = wrap(out)
    outputs = [x for x in leaves_of(wrapped) if x is not None]
    structure = jax.tree.structure(out)
    known = (Tensor, nnx.Variable)
    wide = tuple([isinstance(t, known) and _is_inexact(v) for t, v in zip(tensors, values)])

    def node(mask: tuple[bool, ...], pullback: Callable, again: Callable, depends: Any) -> Node:
        inputs = [t for t, m in zip(tensors, mask) if m]
        every = [(1 << len(inputs)) - 1] * len(outputs)
        return Node(
            inputs,
            [v for v, m in zip(values, mask) if m],
            outputs,
            lambda g: pullback(jax.tree.unflatten(structure, g)),
            lambda *xs: jax.tree.leaves(again(*xs)),
            taken,
            every if depends is None else depends,
        )

    def widen() -> Node:
        chosen, again, _ = by(wide)
        return node(wide, lambda g: jax.vjp(again, *chosen)[1](g), again, None)

    made = node(followed, pullback, again, depends)
    made.passed = [t for t, m, w in zip(tensors, followed, wide) if w and not m]
    made.widen = widen
    keep(made)
    return wrapped


def _has_tracer(values: Sequence[Any]) -> bool:
    return any(isinstance(v, jax.core.Tracer) for v in values)


def keep(node: Node) -> None:
    """Gives the operation to the tapes that follow one of its inputs."""
    if any(_is_inexact(x._value) for x in node.outputs):
        for tape in context.state.tapes:
            tape._record(node)


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
        boxed = any(isinstance(t, (Tensor, Taking)) for t in tensors)
        if not boxed and not any(is_recorded(t) for t in tensors):
            with context.using(tapes=()):
                return unbox(function(*args, **kwargs))
        return run(_call, tensors, (CHOICES.get(function, function), spec))
    if isinstance(owner, Layer) and not owner.built:
        _make_state(owner, args, kwargs)
    return _call_owner(function, owner, spec, tensors)


def _call(*given: Any) -> Any:
    *values, function, spec = given
    args, kwargs = _joined(spec, values)
    with context.using(tapes=(), choices=CHOICES):
        return unbox(function(*args, **kwargs))


Tensor.take = staticmethod(take)  # type: ignore[method-assign]
Answers.box, Answers.choices = Tensor, CHOICES


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


class Reader:
    """In the place of a tape while something is traced: it notes what is read from outside.

    Each tensor noted has an array of its own, so that an array tells which one was read.
    """

    def __init__(self) -> None:
        self.variables: dict[int, Any] = {}  # by id: those that train
        self.tensors: dict[int, Tensor] = {}  # by the id of their array

    def _follows(self, x: Any) -> bool:
        if isinstance(x, nnx.Variable):
            if trains(x):
                self.variables[id(x)] = x
        elif isinstance(x, Tensor) and _is_outside(x):
            known = self.tensors.setdefault(id(x._value), x)
            if known is not x:
                with jax.ensure_compile_time_eval(), precision((x._value,)):
                    x._value = jnp.array(x._value, copy=True)
                self.tensors[id(x._value)] = x
        return False

    def _tensors(self) -> list[Tensor]:
        return list(self.tensors.values())

    def _record(self, node: Node) -> None:
        """Nothing is kept."""

    def take(self, function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None):
        tensors: list[Any] = []
        _split((args, kwargs), tensors)
        if any(isinstance(t, Tensor) for t in tensors):
            return take(function, args, kwargs, owner)
        for t in (*tensors, *([] if owner is None else base.variables_of(owner))):
            self._follows(t)
        return function(*args, **kwargs)


class _Foreign(Reader):
    """Notes the variables that a call reads besides those of its object: a closure's, say."""

    def __init__(self, known: Sequence[Any]):
        super().__init__()
        self._known = {id(v) for v in known}

    def _follows(self, x: Any) -> bool:
        if isinstance(x, nnx.Variable) and id(x) not in self._known:
            self.variables[id(x)] = x
        return False


class _Reads(Exception):
    """A call reads these variables too."""

    def __init__(self, variables: list[Any]):
        self.variables = variables


def _is_outside(x: Tensor) -> bool:
    """Whether a tensor was there before the trace, and may be followed by a tape some day."""
    value = x._value
    return (
        isinstance(value, jax.Array)
        and not isinstance(value, jax.core.Tracer)
        and _is_inexact(value)
        and not is_shared_number(x)
    )


def trains(variable: Any) -> bool:
    """Whether it was made to train: TensorFlow follows the weights of frozen layers as well."""
    return isinstance(variable, nnx.Param) and _is_inexact(variable._raw_value)


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
        self.structure: Any = None  # of the outputs and losses
        self.layout: Any = None
        self.compiled = jax.jit(self.differentiated)
        self.plain = jax.jit(self.function)

    def function(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        ours, theirs = iter(chosen), iter(others)
        values = [next(ours) if m else next(theirs) for m in self.mask]
        masks = list(theirs)
        n = len(self.variables)
        state, tensors = values[:n], values[n:]
        foreign = _Foreign(self.variables)
        with (
            lowering.holding(self.variables, state, roots=[self.owner]),
            context.using(tapes=(foreign,), training=self.training, choices=CHOICES),
        ):
            for place, mask in zip(self.masked, masks):
                context.set_mask(tensors[place], mask)
            args, kwargs = _joined(self.spec, tensors)
            out = unbox(self.method(*args, **kwargs))
            added = self.owner._added_losses() if isinstance(self.owner, Layer) else []
            self.loss_owners, losses = [o for o, _ in added], [values for _, values in added]
            out_masks = [context.get_mask(o) for o in jax.tree.leaves(out)]
            new = lowering.values_of(self.variables)
        if foreign.variables:
            raise _Reads(list(foreign.variables.values()))
        self.changed = [i for i, (a, b) in enumerate(zip(state, new)) if a is not b]
        return (out, losses), (out_masks, [new[i] for i in self.changed])

    def differentiated(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """`(outputs and losses, flat, a pullback for each part, (masks, new values))`."""
        layout, runs, (out, aux) = self.split(chosen, others)
        self.structure, self.layout = jax.tree.structure(out), layout
        found: dict[int, Any] = {}
        pullbacks = []
        for part, part_of in zip(layout.parts, runs):
            count = len(part.outputs)

            def both(*values: Any, part_of: Callable = part_of, count: int = count) -> Any:
                out = part_of(*values)
                return out[:count], out[count:]

            given = (*chosen, *(found[j] for j in part.cuts))
            out, pullback, rest = jax.vjp(both, *given, has_aux=True)
            found.update(zip(part.outputs, out))
            pullbacks.append(pullback)
        flat = [found[j] for j in layout.first]
        return flat, pullbacks, jax.tree.unflatten(jax.tree.structure(aux), rest)

    def split(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """The parts of a call, the functions of them, and the shapes of what `function` gives."""
        closed, shapes = jax.make_jaxpr(lambda *c: self.function(c, others), return_shape=True)(
            *chosen
        )
        return *dependence.split(closed, len(jax.tree.leaves(shapes[0]))), shapes

    def whole(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """As `differentiated`, for Python that branches on values: they are there."""
        out, pullback, aux = jax.vjp(lambda *c: self.function(c, others), *chosen, has_aux=True)
        flat, self.structure = jax.tree.flatten(out)
        self.layout = dependence.Layout.whole(len(flat), len(chosen))
        structure = self.structure
        return flat, [lambda g: pullback(jax.tree.unflatten(structure, g))], aux


def _call_owner(method: Callable, owner: Any, spec: Any, tensors: list[Any]) -> Any:
    while True:
        calls = _calls_of(owner)
        try:
            return _call_with(calls, method, owner, spec, tensors)
        except _Reads as e:
            calls.add(e.variables)


def _call_with(calls: _Calls, method: Callable, owner: Any, spec: Any, tensors: list[Any]) -> Any:
    variables = calls.variables
    inputs = [*variables, *tensors]
    recorded = [is_recorded(x) for x in inputs]
    values = [*lowering.values_of(variables), *map(_value, tensors)]
    mask = tuple([r and _is_inexact(v) for r, v in zip(recorded, values)])
    masks = [(i, context.get_mask(t)) for i, t in enumerate(tensors)] if context.masks else []
    masked = tuple(i for i, m in masks if m is not None)
    call = calls.find(method, owner, spec, mask, masked)
    chosen = [v for v, m in zip(values, mask) if m]
    others = [v for v, m in zip(values, mask) if not m]
    others += [m for _, m in masks if m is not None]
    compiled = trace_state_clean() and not _has_tracer(values)
    pullbacks = []
    with precision(values):
        if chosen:
            try:
                run_it = call.compiled if compiled else call.differentiated
                flat, pullbacks, aux = run_it(chosen, others)
                wrap_pullback = functools.partial(functools.partial, _apply)
                pullbacks = list(map(wrap_pullback, pullbacks)) if compiled else pullbacks
            except jax.errors.ConcretizationTypeError:
                flat, pullbacks, aux = call.whole(chosen, others)
            structure = call.structure
        else:
            out, aux = (call.plain if compiled else call.function)(chosen, others)
            flat, structure = jax.tree.flatten(out)
    out_masks, new = aux
    lowering.write([variables[i] for i in call.changed], new)
    made = [Tensor(v) for v in flat]
    followed = [x for x, m in zip(inputs, mask) if m]
    if pullbacks:
        made = _recorded_parts(call, chosen, others, followed, made, pullbacks, values)
    wrapped, losses = jax.tree.unflatten(structure, made)
    for tensor, mask_of in zip(made, out_masks):
        if mask_of is not None:
            context.set_mask(tensor, mask_of)
    if isinstance(owner, Layer) and context.state.losses:
        owner._forget_losses()
    for layer, added in zip(call.loss_owners, losses):
        context.state.losses.set(layer, added)
    return wrapped


def _recorded_parts(
    call: _OwnerCall,
    chosen: list[Any],
    others: list[Any],
    followed: list[Any],
    made: list[Tensor],
    pullbacks: list[Callable],
    taken: list[Any],
) -> list[Tensor]:
    """Keeps an operation for each part of a call; gives the tensors that are its results.

    What is one value is one tensor: an output that is an input, or another output.
    """
    layout = call.layout
    results = [made[j] for j in layout.first]
    for j, i in enumerate(layout.inputs):
        if i is not None and isinstance(followed[i], Tensor):
            results[j] = followed[i]
    for number, (part, pullback) in enumerate(zip(layout.parts, pullbacks)):
        if not any(part.depends):
            continue

        def again(*values: Any, number: int = number, count: int = len(part.outputs)) -> Any:
            if len(layout.parts) == 1:
                return jax.tree.leaves(call.function(values, others)[0])
            _, runs, _ = call.split(chosen, others)
            return runs[number](*values)[:count]

        cuts = [made[j] for j in part.cuts]
        outputs = [made[j] for j in part.outputs]
        values = [*chosen, *(t._value for t in cuts)]
        keep(Node([*followed, *cuts], values, outputs, pullback, again, taken, list(part.depends)))
    return results


class _Calls:
    """The calls of one object that were recorded, and what they were compiled for."""

    def __init__(self, owner: Any):
        self.variables = base.variables_of(owner, rng.global_stream())
        self._snapshot = base.Snapshot(owner)
        self._compiled: dict[Any, _OwnerCall] = {}

    def add(self, variables: list[Any]) -> None:
        """Takes in variables that a call reads and the object does not have."""
        known = {id(v) for v in self.variables}
        self.variables = [*(v for v in variables if id(v) not in known), *self.variables]
        self._compiled.clear()

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
