"""Calls of ops, layers and losses on tensors: a layer or a loss is recorded as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from keraslike.core import base, context, lowering, rng
from keraslike.core.boxed import (
    Boxed,
    BoxedResults,
    Dispatching,
    boxed_call,
    is_array_of_text,
    is_recorded,
    unbox,
    with_sizes,
)
from keraslike.core.collector import collect_dropped_models
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import DEPENDS_ON_VALUES, NeedsPython
from keraslike.core.scopes import StatelessScope
from keraslike.core.structures import Keyed, flatten, is_structure, keeping_order, map_items
from keraslike.core.symbolic import KerasTensor
from keraslike.core.text import Functions, Text, as_bytes, no_text, without_values
from keraslike.layers.layer import Layer
from keraslike.tf import dependence
from keraslike.tf.attributes import (
    Traced,
    attributes_of,
    set_attributes,
    without_leaving,
    without_results,
)
from keraslike.tf.derivatives import CHOICES
from keraslike.tf.dtypes import DType
from keraslike.tf.moves import moves
from keraslike.tf.operation import is_shared_number
from keraslike.tf.parts import Gathers, recorded_parts
from keraslike.tf.recording import Node, Pullbacks, has_tracer, trains
from keraslike.tf.surroundings import Surroundings
from keraslike.tf.tensor import WIDE, Tensor, _is_inexact, array_in, precision, raw, run, wrap


class _Place(int):
    """The position of a tensor in the arguments of a call."""


def _split(tree: Any, tensors: list[Any]) -> Any:
    """The structure as a hashable value, with its tensors moved to the list `tensors`."""
    if isinstance(tree, (Tensor, nnx.Variable, jax.Array, np.ndarray)):
        tensors.append(tree)
        return _Place(len(tensors) - 1)
    if isinstance(tree, Boxed):
        return _split(tree._as_tensor(), tensors)
    if type(tree) is Text and tree.values is not None:
        return _split(tree._as_tensor(), tensors)
    if type(tree) is Text:
        results = [_split(_array(x), tensors) for x in tree.results.values()]
        return (Text, (tree.shape, tree.place, tuple(tree.results), tuple(results)))
    if not is_structure(tree):
        return (None, tree)
    if isinstance(tree, dict):
        return (Keyed.of(tree), tuple([_split(item, tensors) for item in tree.values()]))
    kind = getattr(tree, "_make", type(tree))  # how a named tuple is made of its items
    return (kind, tuple([_split(item, tensors) for item in tree]))


def _array(x: Any) -> Any:
    return x if type(x) is Text else jnp.asarray(x)


def _joined(spec: Any, values: Sequence[Any]) -> Any:
    if type(spec) is _Place:
        return values[spec]
    kind, items = spec
    if kind is None:
        return items
    if kind is Text:
        shape, place, keys, results = items
        return Text(None, shape, dict(zip(keys, [_joined(x, values) for x in results])), place)
    return kind(_joined(item, values) for item in items)


def dispatch(function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None) -> Any:
    """Runs a call with tensors among its arguments, or while a tape records, and records it.

    Args:
        owner: the layer or loss whose method `function` is; `None` for a pure function.
    """
    args, kwargs = with_sizes((args, kwargs))
    tensors: list[Any] = []
    spec = _split((args, kwargs), tensors)
    if owner is None:
        boxed = any(isinstance(t, (Tensor, Dispatching)) for t in tensors)
        if not boxed and not any(is_recorded(t) for t in tensors):
            with context.using(tapes=()):
                return unbox(function(*args, **kwargs))
        with WIDE(True) if _asks_wide(args, kwargs) else contextlib.nullcontext():
            moving = moves(_call) if getattr(function, "__name__", "") in _MOVES else _call
            return run(moving, tensors, (CHOICES.get(function, function), spec), own=False)
    has_text = any(map(_is_text, tensors))
    raw_inputs = not getattr(owner, "_convert_input_args", True)
    if has_text and raw_inputs and not owner.trainable_variables:
        with context.using(tapes=()):  # the layer takes tensors, and what it makes of text is data
            return wrap(unbox(function(*args, **kwargs)))
    if has_text:
        args, kwargs = _joined(spec, [_as_text(x) if _is_text(x) else x for x in tensors])
    if isinstance(owner, Layer) and not owner.built:
        _make_state(owner, args, kwargs)
    if not has_text:
        return _call_owner(function, owner, spec, tensors)

    def call(given: tuple) -> Any:
        numbers: list[Any] = []
        return _call_owner(function, owner, _split(without_values(given), numbers), numbers)

    calls = _calls_of(owner)
    if not calls.reads_text:
        try:
            return calls.of_text.run(call, (args, kwargs))
        except NeedsPython:
            _calls_of(owner).reads_text = True
    return _call_owner(function, owner, spec, tensors)


# Ops that only move elements, and therefore take text.
_MOVES = frozenset(
    ("broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "ravel", "repeat", "reshape")
    + ("roll", "slice", "split", "squeeze", "stack", "swapaxes", "take", "take_along_axis", "tile")
    + ("transpose", "unstack", "where")
)


def _asks_wide(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether an argument names a dtype of 64 bits; tensors keep such dtypes."""
    return any(
        (x.name if isinstance(x, (DType, np.dtype)) else x) in _WIDE_NAMES
        for x in (*args[1:], *kwargs.values())
        if isinstance(x, (str, DType, np.dtype))
    )


_WIDE_NAMES = frozenset({"int64", "uint64", "float64", "complex128"})


def _is_text(x: Any) -> bool:
    array = x._value if isinstance(x, Tensor) else x
    return isinstance(array, np.ndarray) and array.dtype.kind in "USTO"


def _as_text(x: Any) -> Any:
    texts = as_bytes(x._value if isinstance(x, Tensor) else x)
    return x if texts is None else Text(texts)


def _call(*given: Any) -> Any:
    *values, function, spec = given
    args, kwargs = _joined(spec, values)
    with context.using(tapes=(), choices=CHOICES):
        return unbox(function(*args, **kwargs))


Tensor._dispatch = staticmethod(dispatch)  # type: ignore[method-assign]
BoxedResults.box, BoxedResults.choices = Tensor, CHOICES


def _make_state(layer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Builds a layer and its sublayers by a symbolic call, without computing values."""

    def symbol(x: Any) -> Any:
        if isinstance(x, Text):
            return KerasTensor(x.shape, x.dtype)
        if isinstance(x, (Tensor, nnx.Variable, jax.Array, np.ndarray)):
            return KerasTensor(x.shape, raw(x).dtype if isinstance(x, Tensor) else x.dtype)
        return map_items(symbol, x)

    with context.using(tapes=()):
        symbols, keywords = symbol(args), symbol(kwargs)
        layer._maybe_build(symbols, keywords)
        before, count = dict(vars(layer)), len(base.variables_of(layer))
        # A call that branches on values cannot be traced, so only build() creates state.
        with contextlib.suppress(*DEPENDS_ON_VALUES):
            layer.compute_output_spec(*symbols, **keywords)
        if len(base.variables_of(layer)) == count:  # The call made nothing, and is not counted.
            for name, value in list(vars(layer).items()):
                old = before.get(name, getattr(type(layer), name, None))
                if type(value) in (int, float) and type(old) is type(value):
                    vars(layer)[name] = old


class Reader:
    """Takes the place of a tape during a trace, and notes which outside values are read.

    Each noted tensor gets its own copy of its array, so that an array identifies a tensor.
    """

    def __init__(self) -> None:
        self.variables: dict[int, Any] = {}  # trainable variables by their ids
        self.tensors: dict[int, Tensor] = {}  # tensors by the ids of their arrays

    def _follows(self, x: Any) -> bool:
        if isinstance(x, nnx.Variable):
            if trains(x):
                self.variables[id(x)] = x
        elif isinstance(x, Tensor) and _is_unobserved(x):
            known = self.tensors.setdefault(id(x._value), x)
            if known is not x:
                with jax.ensure_compile_time_eval(), precision((x._value,)):
                    x._array = jnp.array(x._array, copy=True)
                self.tensors[id(x._value)] = x
        return False

    def _knows(self, x: Any) -> bool:
        return False

    def _tensors(self) -> list[Tensor]:
        return list(self.tensors.values())

    def _record(self, node: Node) -> None:
        """Does nothing: a reader does not record operations."""

    def _pass_on(self, inputs: Sequence[Any], output: Tensor) -> None:
        """Does nothing: a reader does not follow results."""

    def _dispatch(self, function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None):
        args, kwargs = with_sizes((args, kwargs))
        tensors: list[Any] = []
        _split((args, kwargs), tensors)
        if any(isinstance(t, Tensor) for t in tensors):
            return dispatch(function, args, kwargs, owner)
        for t in (*tensors, *([] if owner is None else base.variables_of(owner))):
            self._follows(t)
        asked = [getattr(x, "_gives_boxes", False) for x in (owner, *tensors)]
        if any(asked) or BoxedResults.everywhere:
            return boxed_call(function, args, kwargs)
        return function(*args, **kwargs)


class _Foreign(Reader):
    """Records the variables that a call reads besides those of its object, such as those of
    closures.

    It records tensors as well, since a tape may watch them in this or a later run of the call.

    Args:
        given: the call's own arrays, which are not recorded.
        tapes: if the call is not traced, the tapes that watch tensors; its arrays then do not show
            whether a tensor existed before the call.
    """

    def __init__(self, known: Sequence[Any], given: Sequence[Any], tapes: tuple | None = None):
        super().__init__()
        self._known, self._tapes = {id(v) for v in known}, tapes
        self._given = {id(v): v for v in given}

    def _is_outside(self, x: Any) -> bool:
        if isinstance(x, nnx.Variable):
            return True
        if not isinstance(x, Tensor) or id(x._value) in self._given:
            return False
        if self._tapes is None:
            return _is_unobserved(x)
        return any(tape._knows(x) for tape in self._tapes)

    def _follows(self, x: Any) -> bool:
        outside = self._is_outside(x)
        if outside and id(x) not in self._known:
            self.variables[id(x)] = x
        return False

    @contextlib.contextmanager
    def noting_writes(self) -> Iterator[None]:
        """Within the block an assignment to a variable that the trace does not hold asks for that
        variable as an input."""
        try:
            yield
        except TraceContextError as error:
            variable = getattr(error, "variable", None)
            if variable is None or id(variable) in self._known:
                raise
            self.variables[id(variable)] = variable
            raise _Reads(list(self.variables.values())) from None


class _Reads(Exception):
    """A call reads variables and tensors that are not among its inputs yet."""

    def __init__(self, variables: list[Any]):
        self.variables = variables


def _is_unobserved(x: Tensor) -> bool:
    """Whether a tensor existed before the trace, and is one that a tape may follow."""
    value = x._value
    return (
        isinstance(value, jax.Array)
        and not isinstance(value, jax.core.Tracer)
        and _is_inexact(value)
        and not is_shared_number(x)
    )


class _Found(NamedTuple):
    """What a trace of a call finds out besides its results."""

    loss_owners: list[Any]  # the layers that added a loss, in order
    changed: list[int]  # the numbers of Variables that the call changes
    gathered: list[int]  # the numbers of inputs that rows were gathered from
    passed: list[int | None]  # for each output, the input tensor that it is, if any


class _OwnerCall:
    """A method of a layer or a loss as a pure function of its Variables and its tensors.

    `function(chosen, others) -> ((outputs, losses, attributes, rows), (masks, new values, indices,
    Traced(Found)))`, where `chosen` are the values with respect to which it is differentiated,
    `attributes` those that the call left in attributes, and `rows` those that were gathered from
    inputs at `indices`.
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
        # Whether the call always runs in Python: because it needs concrete values, or because it is
        # a loss of a model that runs eagerly.
        self.by_values = context.state.plain and not isinstance(owner, Layer)
        self.is_built = self.by_values  # whether it then ran once before, see `_build`
        self.in_program = False  # whether a trace will be run again without Python
        self.in_python = False  # whether Python runs each call although it could be traced
        self.pullbacks = Pullbacks()
        collect_dropped_models()
        self.compiled = jax.jit(self.packed)
        self.plain = jax.jit(self.flat)

    def function(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        ours, theirs = iter(chosen), iter(others)
        values = [next(ours) if m else next(theirs) for m in self.mask]
        masks = list(theirs)
        n = len(self.variables)
        state, tensors = values[:n], values[n:]
        tapes = context.state.tapes if self.by_values or self.in_python else None
        foreign = _Foreign(self.variables, tensors, tapes)
        gathers = Gathers()
        left: list[Any] = []
        with (
            without_results(self.owner) if self.in_program else contextlib.nullcontext(),
            lowering.holding(self.variables, state, roots=[self.owner], left=left),
            context.using(tapes=(foreign,), training=self.training, choices=CHOICES),
            context.using(gathers=gathers) if any(self.mask) else contextlib.nullcontext(),
        ):
            dependence.constant_when_assigned(self.variables)
            for place, mask in zip(self.masked, masks):
                context.set_mask(tensors[place], mask)
            args, kwargs = _joined(self.spec, tensors)
            with foreign.noting_writes():
                out = keeping_order(no_text(unbox(self.method(*args, **kwargs))))
            if self.in_program and any(map(is_array_of_text, jax.tree.leaves(out))):
                raise NeedsPython("Text cannot be a result of a compiled program.")
            given = {id(t): i for i, t in enumerate(tensors)}
            passed = [given.get(id(leaf)) for leaf in jax.tree.leaves(out)]
            added = self.owner._added_losses() if isinstance(self.owner, Layer) else []
            losses = [values for _, values in added]
            out_masks = [context.get_mask(o) for o in jax.tree.leaves(out)]
            new = lowering.values_of(self.variables)
        if self.in_program and any(isinstance(value, lowering.Change) for *_, value in left):
            raise NeedsPython("A call adds tensors to a list or dict, which each call does anew.")
        if foreign.variables:
            raise _Reads(list(foreign.variables.values()))
        changed = [i for i, (a, b) in enumerate(zip(state, new)) if a is not b]
        numbers = {id(v): i for i, v in enumerate(values) if self.mask[i]}
        taken = [(numbers[id(v)], i, r) for v, i, r in gathers.noted if id(v) in numbers]
        indices, rows = [i for _, i, _ in taken], [r for _, _, r in taken]
        found = _Found([o for o, _ in added], changed, [n for n, _, _ in taken], passed)
        return (
            (out, losses, attributes_of(left, _split), rows),
            (out_masks, [new[i] for i in changed], indices, Traced(found)),
        )

    def flat(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """`(flat first part of the results, the second part, Traced(structure of the first))`."""
        out, aux = self.function(chosen, others)
        leaves, structure = flatten(out)
        return leaves, aux, Traced(structure)

    def differentiated(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """`(flat first part of the results, one pullback for each part, the second part of the
        results, Traced(the structure of the first part and its layout))`."""
        layout, runs, (shapes, aux) = self.split(chosen, others)
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
        aux = jax.tree.unflatten(jax.tree.structure(aux), rest)
        return flat, pullbacks, aux, Traced((flatten(shapes)[1], layout))

    def packed(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """Like `differentiated`, with pullbacks packed as results of a compiled program."""
        flat, pullbacks, *rest = self.differentiated(chosen, others)
        return flat, list(map(self.pullbacks.pack, pullbacks)), *rest

    def split(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """The parts of a call, a function for each, and the shapes of the results of `function`."""
        closed, shapes = jax.make_jaxpr(lambda *c: self.function(c, others), return_shape=True)(
            *chosen
        )
        return *dependence.split(closed, len(jax.tree.leaves(shapes[0]))), shapes

    def whole(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """Like `differentiated`, but not traced first, for code that branches on values."""
        out, pullback, aux = jax.vjp(lambda *c: self.function(c, others), *chosen, has_aux=True)
        flat, structure = flatten(out)
        layout = dependence.Layout.whole(len(flat), len(chosen))

        def pull(given: list[Any]) -> Any:
            return pullback(keeping_order(jax.tree.unflatten(structure, given)))

        return flat, [pull], aux, Traced((structure, layout))


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
    values = [*lowering.values_of(variables), *map(array_in, tensors)]
    mask = tuple([r and _is_inexact(v) for r, v in zip(recorded, values)])
    masks = [(i, context.get_mask(t)) for i, t in enumerate(tensors)]
    masked = tuple(i for i, m in masks if m is not None)
    call = calls.find(method, owner, spec, mask, masked)
    chosen = [v for v, m in zip(values, mask) if m]
    others = [v for v, m in zip(values, mask) if not m]
    others += [m for _, m in masks if m is not None]
    call.by_values = call.by_values or any(map(_is_text, values))
    compiled = not call.by_values and trace_state_clean() and not has_tracer(values)
    call.in_python = compiled and calls.need_python()
    call.in_program = compiled = compiled and not call.in_python
    pullbacks = []
    with precision(values):
        if chosen:
            try:
                if compiled:
                    flat, packed, aux, traced = call.compiled(chosen, others)
                    pullbacks = list(map(call.pullbacks.unpack, packed))
                elif call.by_values:
                    _build(calls, call, chosen, others)
                    flat, pullbacks, aux, traced = call.whole(chosen, others)
                else:
                    flat, pullbacks, aux, traced = call.differentiated(chosen, others)
            except DEPENDS_ON_VALUES:
                call.by_values, call.in_program, calls.by_values = True, False, True
                _build(calls, call, chosen, others)
                flat, pullbacks, aux, traced = call.whole(chosen, others)
            structure, layout = traced.found
        else:
            try:
                if call.by_values:
                    _build(calls, call, chosen, others)
                flat, aux, traced = (call.plain if compiled else call.flat)(chosen, others)
            except DEPENDS_ON_VALUES:
                if not compiled:
                    raise
                call.by_values, call.in_program, calls.by_values = True, False, True
                _build(calls, call, chosen, others)
                flat, aux, traced = call.flat(chosen, others)
            structure = traced.found
    out_masks, new, indices, traced = aux
    found = traced.found
    lowering.write([variables[i] for i in found.changed], new)
    made = [Tensor(v) for v in flat]
    followed = [x for x, m in zip(inputs, mask) if m]
    if pullbacks:
        gathered = {}
        if indices and len(pullbacks) == len(layout.parts):
            first = len(made) - len(indices)
            followed_at = {i: n for n, i in enumerate(i for i, m in enumerate(mask) if m)}
            for j, (number, at) in enumerate(zip(found.gathered, indices), first):
                gathered[layout.first[j]] = followed_at[number], at
        made = recorded_parts(
            call, layout, chosen, others, followed, made, pullbacks, values, gathered
        )
    for j, i in enumerate(found.passed):
        if i is not None and isinstance(tensors[i], (Tensor, nnx.Variable)):
            made[j] = tensors[i]
    wrapped, losses, attributes, _ = jax.tree.unflatten(structure, made)
    set_attributes(attributes, _joined)
    for tensor, mask_of in zip(made, out_masks):
        if mask_of is not None:
            context.set_mask(tensor, mask_of)
    if isinstance(owner, Layer) and context.state.losses:
        owner._forget_losses()
    for layer, added in zip(found.loss_owners, losses):
        context.state.losses.set(layer, added)
    return wrapped


def _build(calls: _Calls, call: _OwnerCall, chosen: Sequence[Any], others: Sequence[Any]) -> None:
    """Runs a call that cannot be traced once, without effects, to build layers whose weights are
    inputs of the call from then on."""
    if call.is_built:
        return
    with StatelessScope(), without_leaving(call.owner):
        call.function(chosen, others)
    known = set(map(id, calls.variables))
    if any(id(v) not in known for v in base.variables_of(call.owner)):
        raise _Reads([])
    call.is_built = True


class _Calls:
    """The recorded calls of one object, compiled by their signatures."""

    def __init__(self, owner: Any, earlier: _Calls | None = None):
        # The inputs besides arguments: Variables, and tensors of closures.
        self.variables: list[Any] = base.variables_of(owner, rng.global_stream())
        self._snapshot = base.Snapshot(owner)
        self._surroundings = Surroundings(owner)
        self._compiled: dict[Any, _OwnerCall] = {}
        # Whether a call ran in Python, and did so before something else than a value changed.
        self.ran_by_values = earlier is not None and earlier.by_values
        self.by_values = self.ran_by_values
        self.of_text = Functions()
        self.reads_text = False  # whether a call with text uses it itself, which needs Python

    def add(self, variables: list[Any]) -> None:
        """Adds inputs that a call reads and that do not belong to the object."""
        known = {id(v) for v in self.variables}
        self.variables = [*(v for v in variables if id(v) not in known), *self.variables]
        self._compiled.clear()

    def is_current(self) -> bool:
        """Whether the object, its closures and the global random stream are unchanged."""
        stream = rng.global_stream().state
        return (
            self._snapshot.is_current()
            and self._surroundings.are_current()
            and stream is self.variables[-1]
        )

    def need_python(self) -> bool:
        """Whether Python has to run each call, because it does more than to compute a result."""
        return self._surroundings.need_python()

    def find(
        self, method: Callable, owner: Any, spec: Any, mask: tuple[bool, ...], masked: tuple
    ) -> _OwnerCall:
        key = (spec, mask, masked, context.state.training, context.state.plain)
        try:
            found = self._compiled.get(key)
        except TypeError:  # an argument that cannot be hashed
            return _OwnerCall(method, owner, self.variables, spec, mask, masked)
        if found is None:
            if len(self._compiled) >= 16:  # an argument changes in every call
                self._compiled.clear()
            found = _OwnerCall(method, owner, self.variables, spec, mask, masked)
            found.by_values = found.is_built = found.by_values or self.ran_by_values
            self._compiled[key] = found
        return found


def _calls_of(owner: Any) -> _Calls:
    calls = vars(owner).get("_recorded_calls")
    if calls is None or not calls.is_current():
        calls = vars(owner)["_recorded_calls"] = _Calls(owner, calls)
    return calls
