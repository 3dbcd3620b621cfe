"""Control flow on values: `tf.cond`, `tf.while_loop` and similar functions.

If the values are known, Python's control flow is used, and XLA's if a function is being traced. In
that case the branches are traced first, and the tensors and variables that they capture become
arguments, so that a tape records one operation.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, lowering, rng
from keraslike.core.boxed import Boxed, unbox
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.structures import flatten, map_leaves
from keraslike.core.variable import every_variable
from keraslike.distribution import devices
from keraslike.tf import effects, loops, nest
from keraslike.tf.autograph import converted
from keraslike.tf.calls import Reader
from keraslike.tf.concrete import wrap_values
from keraslike.tf.conversion import _as_operand, convert_to_tensor, static
from keraslike.tf.dependence import constant_when_assigned
from keraslike.tf.device_spec import DeviceSpec
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.moves import is_text
from keraslike.tf.structure import Structure, is_traced
from keraslike.tf.tensor import PLACE, WIDE, Tensor, precision, raw, run
from keraslike.tf.tensor_array import TensorArray, settled

MOST_UNROLLED = 32  # steps of a loop whose condition is known while it is traced


class CriticalSection:
    """A lock within which functions are run, one thread at a time.

    >>> section = tf.CriticalSection()
    >>> section.execute(lambda: tf.constant(1) + 1).numpy().tolist()
    2
    """

    def __init__(
        self,
        name: str | None = None,
        shared_name: str | None = None,
        critical_section_def: Any = None,
        import_scope: Any = None,
    ):
        self.name, self._lock = name or "critical_section", threading.RLock()

    def execute(
        self, fn: Callable[[], Any], exclusive_resource_access: bool = True, name: Any = None
    ) -> Any:
        """The results of `fn()`, as tensors."""
        with self._lock:
            return map_leaves(lambda x: x if x is None else convert_to_tensor(x), fn())


def device(device_name: Any) -> contextlib.AbstractContextManager:
    """A context in which tensors are created and computed on a device: `"/GPU:0"`, `"cpu:0"`.

    If there is no such device, JAX's default is used, as in TensorFlow; after
    `tf.config.set_soft_device_placement(False)` this raises InvalidArgumentError. `None` stands for
    the default as well.

    >>> with device("/device:CPU:0"):
    ...     convert_to_tensor([1.0, 2.0]).shape
    TensorShape([2])
    """
    if device_name is None:
        return contextlib.nullcontext()
    if isinstance(device_name, DeviceSpec):
        device_name = device_name.to_string().removesuffix(":*")
    if isinstance(device_name, str):
        device_name = device_name.rpartition("/")[2].removeprefix("device:")
        device_name = device_name.removeprefix("physical_device:")
    try:
        return devices.device(device_name)
    except ValueError as e:
        kind, _, number = str(device_name).partition(":")
        if kind.lower() not in ("cpu", "gpu", "tpu"):
            raise
        if soft_placement:
            return contextlib.nullcontext()
        there = [f"{d.platform.upper()}:{d.id}" for d in jax.devices()]
        types = ", ".join(dict.fromkeys(name.partition(":")[0] for name in there))
        raise InvalidArgumentError(
            f"There is no device '{PLACE}{kind.upper()}:{number or 0}', and soft placement is off. "
            f"Kinds: [{types}]. Devices: [{', '.join(PLACE + name for name in there)}]."
        ) from e


soft_placement = True  # see `tf.config.set_soft_device_placement`


class _Traced:
    """A traced function of arrays. `taken` are the values that it captures.

    During the trace every variable, and every tensor that a tape follows, holds its own tracer.
    Those whose tracers the jaxpr uses are captured.
    """

    def __init__(self, fn: Callable, *examples: Any):
        if any(x.dtype == object for x in examples):
            raise NeedsPython("Text cannot enter a traced branch or loop.")
        outside = [*_variables(), *_followed()]
        variables = [v for v in outside if not isinstance(v, Tensor)]
        held = [_struct_of(raw(x)) for x in outside]
        self.changed: list[Any] = []
        readers = tuple(t for t in context.state.tapes if isinstance(t, Reader))
        wide = jax.config.jax_enable_x64 or precision(examples) is not precision(())

        def pure(state: Sequence[Any], *values: Any) -> list[Any]:
            before = state[: len(variables)]
            with (
                WIDE(wide),
                lowering.holding(outside, state),
                context.using(tapes=readers),  # the enclosing function captures these values, too
                rng.inner_graph(),
            ):
                constant_when_assigned(variables)
                out = unbox(wrap_values(fn(*values)))
                new = lowering.values_of(variables)
            self.changed[:] = [v for v, a, b in zip(variables, before, new) if a is not b]
            flat, self.structure = flatten(out)
            if any(map(is_text, flat)):
                raise NeedsPython("Text cannot be the result of a traced branch or loop.")
            return [*flat, *[b for a, b in zip(before, new) if a is not b]]

        with WIDE(True):
            closed = jax.make_jaxpr(pure)(held, *map(_struct_of, examples))
        self._jaxpr = closed.jaxpr
        self.out_avals = closed.out_avals
        read = {id(v) for eqn in closed.jaxpr.eqns for v in eqn.invars}
        read |= {id(v) for v in closed.jaxpr.outvars}
        self._used = [i for i in range(len(held)) if id(closed.jaxpr.invars[i]) in read]
        self._count = len(held)
        self.taken = [*(outside[i] for i in self._used), *closed.consts]

    def __call__(self, taken: Sequence[Any], *values: Any) -> list[Any]:
        """The results, followed by the new values of the variables in `changed`."""
        count = len(self._used)
        state = dict(zip(self._used, taken))
        full = [state.get(i) for i in range(self._count)]
        return jax.core.eval_jaxpr(self._jaxpr, taken[count:], *full, *values)

    def built(self, tensors: list[Tensor]) -> Any:
        """The structure of the results, with these tensors."""
        return jax.tree.unflatten(self.structure, tensors)


def _struct_of(value: Any) -> Any:
    return jax.ShapeDtypeStruct(value.shape, value.dtype)


def _variables() -> list[Any]:
    """All live variables, except those that hold a tracer of a trace that has ended."""
    return [
        v
        for v in every_variable()
        if not isinstance(v._raw_value, jax.core.Tracer) or lowering.is_held(v)
    ]


def _followed() -> list[Tensor]:
    """The tensors that active tapes follow."""
    found: dict[int, Tensor] = {}
    for tape in context.state.tapes:
        found |= {id(x): x for x in tape._tensors()}
    return list(found.values())


def _run(fn: Callable, given: Sequence[Any]) -> list[Tensor]:
    """Runs one operation on tensors, variables (without autocasting) and arrays."""
    with context.using(autocast=None):
        return run(fn, given, lasting=False)


def _flat(tree: Any) -> tuple[list[Tensor], Any]:
    """The tensors in a structure, and the structure."""
    leaves, structure = flatten(tree, _is_leaf)
    return [convert_to_tensor(x) for x in leaves], structure


def _is_leaf(x: Any) -> bool:
    return isinstance(x, (Boxed, nnx.Variable))


def is_composite(x: Any) -> bool:
    """Whether a value is an object that consists of tensors, such as one of an `ExtensionType`."""
    known = (Boxed, nnx.Variable, Structure, list, tuple, dict, type(None))
    return not isinstance(x, known) and not jax.tree_util.all_leaves([x])


def cond(
    pred: Any, true_fn: Callable | None = None, false_fn: Callable | None = None, name: Any = None
) -> Any:
    """`true_fn()` if the predicate holds, otherwise `false_fn()`.

    Raises TypeError if a function is missing, or if the results differ in structure, shape or
    dtype.

    >>> absolute = tf.function(lambda x: cond(x > 0, lambda: x, lambda: -x))
    >>> absolute(tf.constant(-3.0))
    <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """
    for argument, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise TypeError(f"tf.cond: {argument} must be callable. Received: {function!r}")
    return switch_case(_as_index(pred), [false_fn, true_fn])  # type: ignore[list-item]


def _as_index(pred: Any) -> Any:
    if isinstance(pred, bool):
        return int(pred)
    pred = _as_operand(pred)
    if math.prod(pred.shape) != 1:
        raise TypeError(f"tf.cond: pred must be a scalar. Received shape {tuple(pred.shape)}.")
    return run(_to_index, (pred,)) if is_traced(pred) else int(bool(pred))


def _to_index(pred: Any) -> Any:
    return pred.reshape(()).astype(np.int32)


def case(
    pred_fn_pairs: Any,
    default: Callable | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The function of the first pair whose predicate holds, or `default`.

    Args:
        exclusive: whether at most one predicate may hold.

    Raises InvalidArgumentError if several predicates hold although they are exclusive, or none
    holds and there is no `default`; TypeError for a predicate that is not a boolean.

    >>> x = tf.constant(3)
    >>> tf.case(
    ...     [(x < 0, lambda: "negative"), (x > 0, lambda: "positive")], default=lambda: "zero"
    ... )
    'positive'
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    preds = [_as_operand(pred) for pred, _ in pairs if not callable(pred)]
    if len(preds) < len(pairs) or any(raw(pred).dtype != bool for pred in preds):
        raise TypeError(f"tf.case: the predicates must be booleans. Received: {pairs}")

    def check(*holding: Any) -> None:
        count = sum(map(bool, holding))
        if count > 1 and exclusive or not count and default is None:
            raise InvalidArgumentError(f"tf.case: {count} of {len(holding)} predicates hold.")

    if exclusive or default is None:
        effects.required(check, *map(raw, preds))
    chosen = default or pairs[-1][1]
    for pred, (_, fn) in reversed([*zip(preds, pairs)]):
        chosen = functools.partial(cond, pred, fn, chosen)
    return chosen()


def switch_case(
    branch_index: Any,
    branch_fns: Any,
    default: Callable | None = None,
    name: str = "switch_case",
) -> Any:
    """The result of the function with an index; of the last one, or `default`, for other indices.

    Args:
        branch_fns: a list of functions, or pairs or a dict of indices and functions.

    Raises ValueError if the indices are not 0, 1, ....

    >>> tf.switch_case(tf.constant(1), [lambda: 10, lambda: 20])
    20
    """
    fns = list(branch_fns.items() if isinstance(branch_fns, dict) else branch_fns)
    if fns and isinstance(fns[0], tuple):
        fns.sort(key=operator.itemgetter(0))
        if [i for i, _ in fns] != list(range(len(fns))):
            raise ValueError(
                f"branch_fns must have the indices from 0 to {len(fns) - 1}. Received: "
                f"{[i for i, _ in fns]}"
            )
        fns = [fn for _, fn in fns]
    if not fns:
        raise ValueError("branch_fns must have at least one function.")
    fns = [*fns, *([] if default is None else [default])]
    index = _as_operand(branch_index)
    if not np.issubdtype(raw(index).dtype, np.integer):
        raise TypeError(f"branch_index must be an integer. Received: {index}")
    if not is_traced(index):
        i = int(index)
        return fns[i if 0 <= i < len(fns) else -1]()
    index = run(_in_range, (index,), (len(fns),))
    branches = [_Traced(converted(fn)) for fn in fns]
    first = branches[0]
    for other in branches[1:]:
        if other.structure != first.structure:
            raise TypeError(
                "The branches must give the same structure of tensors. "
                f"They give {first.structure} and {other.structure}."
            )
    every = list(range(first.structure.num_leaves))
    return first.built(_choose(index, branches, [every] * len(branches)))


def _choose(
    index: Any,
    branches: Sequence[_Traced],
    places: Sequence[Sequence[int | None]],
    names: Sequence[str] = (),
) -> list[Tensor]:
    """The results of one of the branches, and its changes of variables.

    Args:
        places: for each branch, which of its results to take; `None` stands for zeros.
        names: the names of results in errors.
    """
    avals = [_given(branches, each) for each in zip(*places)]
    for number, (each, aval) in enumerate(zip(zip(*places), avals)):
        for branch, place in zip(branches, each):
            other = aval if place is None else branch.out_avals[place]
            if (aval.shape, aval.dtype) != (other.shape, other.dtype):
                what = f"for {names[number]!r} " if names else ""
                raise TypeError(
                    f"The branches must give tensors of the same shapes and dtypes. They give "
                    f"{what}{aval.dtype}{list(aval.shape)} and {other.dtype}{list(other.shape)}."
                )
    changed = list({id(v): v for b in branches for v in b.changed}.values())
    taken = [v for b in branches for v in b.taken] + changed
    starts = np.cumsum([0, *[len(b.taken) for b in branches]])

    def choose(index: Any, *values: Any) -> list[Any]:
        state = dict(zip(map(id, changed), values[starts[-1] :]))

        def branch(number: int) -> Callable:
            b = branches[number]

            def go() -> list[Any]:
                out = b(values[starts[number] : starts[number + 1]])
                new = state | dict(zip(map(id, b.changed), out[b.structure.num_leaves :]))
                found = [
                    jnp.zeros(aval.shape, aval.dtype) if place is None else out[place]
                    for place, aval in zip(places[number], avals)
                ]
                return [*found, *new.values()]

            return go

        return jax.lax.switch(index, [branch(i) for i in range(len(branches))])

    choose.analyse = True  # type: ignore[attr-defined]
    choose.results = [jnp.issubdtype(a.dtype, jnp.inexact) for a in avals]  # type: ignore[attr-defined]
    return _written(_run(choose, [index, *taken]), changed)


def _given(branches: Sequence[_Traced], places: Sequence[int | None]) -> Any:
    """The shape and dtype of the first of these results that a branch has."""
    return next(b.out_avals[p] for b, p in zip(branches, places) if p is not None)


def _in_range(index: Any, count: int) -> Any:
    return jnp.where((index < 0) | (index >= count), count - 1, index)


def _written(out: list[Tensor], changed: list[Any]) -> list[Tensor]:
    """Writes the values that follow the results to the variables, and returns the results."""
    n = len(out) - len(changed)
    lowering.write(changed, [t._value for t in out[n:]])
    return out[:n]


def while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: Any = None,
) -> Any:
    """`loop_vars = body(*loop_vars)` as long as `cond(*loop_vars)` holds.

    A traced loop that is bounded by `maximum_iterations` keeps all values that its gradient needs.
    A loop without a bound computes most of them a second time for the gradient.

    >>> i, total = while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), [tf.constant(0)] * 2)
    >>> total
    <tf.Tensor: shape=(), dtype=int32, numpy=6>
    """
    kept = (list, tuple, dict, Structure, TensorArray)

    def as_var(value: Any) -> Any:
        return value if isinstance(value, kept) or is_composite(value) else convert_to_tensor(value)

    if not loop_vars:
        raise ValueError("loop_vars must have at least one value.")
    if isinstance(loop_vars, dict):  # the keys are passed, as in TensorFlow
        start = [convert_to_tensor(v) for v in loop_vars]
    else:
        start = [as_var(v) for v in loop_vars]
    bound = static(maximum_iterations)
    state, steps, given, decision = start, 0, loop_vars, cond(*start)

    def rest() -> Any:
        # The steps that were made may have changed variables, so the loop goes on from here.
        now = [as_var(v) for v in state]
        left = None if bound is None else bound - steps
        with rng.continued() if steps else contextlib.nullcontext():
            return _traced_loop(cond, body, given, now, left)

    while not is_traced(_as_operand(decision)):
        if not bool(decision) or (bound is not None and steps >= bound):
            if not steps and isinstance(loop_vars, dict):
                return {k: convert_to_tensor(v) for k, v in loop_vars.items()}
            return _as_given(given, state)
        if steps == MOST_UNROLLED and not trace_state_clean():
            with contextlib.suppress(TypeError, ValueError):
                return rest()
        with rng.one_step():
            found = body(*state)
        if isinstance(found, (list, tuple)) and trace_state_clean():
            given = found  # the type of the result, as in TensorFlow
        state, steps = _listed(found), steps + 1
        _check_structure(start, state)
        decision = cond(*state)
    try:
        return rest()
    except ShapeChanges as error:
        if shape_invariants is None:
            raise
        raise NeedsPython(str(error)) from error


def _check_structure(start: list[Any], now: list[Any]) -> None:
    """Raises ValueError for results of a body that are not like the variables of the loop."""
    try:
        nest.assert_same_structure(start, now, check_types=False)
    except ValueError:
        raise ValueError(
            f"The body of a loop must return values of the same structure as the {len(start)} loop "
            f"variables: {start!r}. Received: {now!r}"
        ) from None
    if not trace_state_clean():  # TensorFlow does not compare dtypes in eager loops
        for before, after in zip(start, now):
            kinds = [getattr(value, "dtype", None) for value in (before, after)]
            if None not in kinds and kinds[0] != kinds[1]:
                raise TypeError(
                    f"A loop variable of dtype {kinds[0]} has dtype {kinds[1]} after an iteration."
                )


def _traced_loop(cond: Any, body: Any, loop_vars: Any, start: list[Any], bound: Any) -> Any:
    both = converted(cond), converted(body)
    flat, tree = _flat(start)

    def on_arrays(fn: Callable) -> Callable:
        return lambda *values: fn(*wrap_values(jax.tree.unflatten(tree, list(values))))

    if any(isinstance(v, TensorArray) for v in start):
        step = _Traced(on_arrays(both[1]), *map(raw, flat))  # finds shapes of the arrays' elements
        avals = step.out_avals[: step.structure.num_leaves]
        given = _listed(jax.tree.unflatten(step.structure, avals))
        start = [settled(*pair) for pair in zip(start, given)]
        flat, tree = _flat(start)
    end = jax.tree.unflatten(tree, _while(on_arrays(both[0]), on_arrays(both[1]), flat, bound))
    return _as_given(loop_vars, end)


class ShapeChanges(ValueError):
    """A variable of a traced loop changes its shape."""


def _as_given(loop_vars: Any, values: list[Any]) -> Any:
    """A list of values converted to the type of `loop_vars`."""
    if not isinstance(loop_vars, tuple):
        return values
    return type(loop_vars)(*values) if hasattr(loop_vars, "_fields") else tuple(values)


def _while(
    cond: Callable, body: Callable, flat: list[Tensor], bound: Any, names: Sequence[str] = ()
) -> list[Tensor]:
    """The tensors after a traced loop; `names` are their names in errors."""
    values = list(map(raw, flat))
    going, step = _Traced(cond, *values), _Traced(body, *values)
    if going.changed:
        names_of = ", ".join(str(getattr(v, "name", v)) for v in going.changed)
        raise TypeError(f"The condition of a loop cannot assign to variables: {names_of}.")
    n = len(flat)
    if len(step.out_avals) - len(step.changed) != n:
        raise ValueError("The body must give as many tensors as there are loop variables.")
    for number, (before, after) in enumerate(zip(values, step.out_avals)):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            kind = TypeError if before.dtype != after.dtype else ShapeChanges
            raise kind(
                f"Loop variable {repr(names[number]) if names else number} must keep its shape and "
                f"dtype. It was {before.dtype}{list(before.shape)}, the body gives {after.dtype}"
                f"{list(after.shape)}."
            )
    changed = step.changed
    places = {id(v): n + i for i, v in enumerate(changed)}

    def loop(*values: Any) -> list[Any]:
        state, taken = list(values[: n + len(changed)]), values[n + len(changed) :]

        def on(traced: _Traced, taken: Sequence[Any]) -> Callable:
            """A traced function of the loop's state, which includes changed variables."""
            at = [places.get(id(v)) for v in traced.taken]

            def run(s: Sequence[Any]) -> list[Any]:
                given = [t if i is None else s[i] for i, t in zip(at, taken)]
                return traced(given, *s[:n])

            return run

        goes = on(going, taken[: len(going.taken)])
        go = on(step, taken[len(going.taken) :])
        if bound is None:
            return loops.while_loop(lambda s: goes(s)[0], go, state)

        def once(s: list[Any], _: Any) -> tuple[list[Any], None]:
            return jax.lax.cond(goes(s)[0], lambda: go(s), lambda: s), None

        return jax.lax.scan(once, state, None, length=bound)[0]

    return _written(_run(loop, [*flat, *changed, *going.taken, *step.taken]), changed)


def _listed(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (list, tuple)) else [out]
