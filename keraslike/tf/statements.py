"""The operators that replace Python's statements in functions that `tf.function` traces.

If a condition is known, Python's control flow is used. With a traced condition an `if` becomes
`tf.cond` and a loop `tf.while_loop`, whose state are the names that the statement changes.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.core import base, rng
from keraslike.core.boxed import Boxed
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.structures import flatten
from keraslike.tf import autograph, control, effects, ops, table
from keraslike.tf.autograph import operator
from keraslike.tf.conversion import convert_to_tensor, is_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.sizes import SizeTensor
from keraslike.tf.structure import Structure, is_traced
from keraslike.tf.tensor import Tensor, raw
from keraslike.tf.tensor import _flatten as _flatten_tensor
from keraslike.tf.tensor import _unflatten as _unflatten_tensor
from keraslike.tf.tensor_array import TensorArray, settled

_NUMBERS = (bool, int, float, complex, np.ndarray, np.generic)


def _is_value(x: Any) -> bool:
    return isinstance(x, (Boxed, jax.Array, *_NUMBERS))


def _has_value(x: Any) -> bool:
    """Whether a result of a branch or an iteration can become a tensor, as a Variable can."""
    return isinstance(x, nnx.Variable) or _is_value(x)


def _is_unset(x: Any) -> bool:
    """Whether a value is the placeholder of an unset name or of a missing return value."""
    from malt.operators.variables import Undefined, UndefinedReturnValue

    return isinstance(x, (Undefined, UndefinedReturnValue))


def _is_leaf(x: Any) -> bool:
    return isinstance(x, (Boxed, nnx.Variable, base.Object)) or _is_unset(x)


def _flatten(value: Any) -> tuple[list[Any], Any]:
    return flatten(value, _is_leaf)


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and isinstance(a, (*_NUMBERS[:4], str)) and a == b)


@operator
def if_stmt(
    cond: Any,
    body: Callable,
    orelse: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: Sequence[str],
    nouts: int,
) -> None:
    """`if`, as `tf.cond` if the condition is traced."""
    if not is_traced(cond):
        (body if cond else orelse)()
        return
    before = get_state()
    states: list[tuple[Any, ...]] = []  # the values of the names after each branch

    def branch(block: Callable) -> Callable:
        def run() -> list[Any]:
            set_state(before)
            block()
            states.append(get_state()[:nouts])
            leaves = [leaf for value in states[-1] for leaf in _flatten(value)[0]]
            return [convert_to_tensor(leaf) for leaf in leaves if _has_value(leaf)]

        return run

    try:
        branches = [control._Traced(branch(orelse)), control._Traced(branch(body))]
    finally:
        set_state(before)
    merged = _Merged()
    names = symbol_names[:nouts]
    states = _after_returning(cond, before, names, states)
    values = [merged.value(*given) for given in zip(names, *states, strict=True)]
    index = control._as_index(cond)
    out = iter(control._choose(index, branches, merged.places, merged.names))
    after = [
        jax.tree.unflatten(structure, [next(out) if x is _COMPUTED else x for x in leaves])
        for leaves, structure in values
    ]
    set_state((*after, *before[nouts:]))


_COMPUTED = object()


class _Not(Tensor):
    """`not a` for a traced `a`."""

    __slots__ = ("of",)


jax.tree_util.register_pytree_node(_Not, _flatten_tensor, _unflatten_tensor)


def _after_returning(
    cond: Any, before: Sequence[Any], names: Sequence[str], states: list[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """The states after the branches of an `if`, refined by its condition.

    After a possible return, the rest of a function becomes the body of `if not do_return:`. If the
    rest always returns, `do_return` is true after it.
    """
    orelse, body = states
    for place, name in enumerate(names):
        known = isinstance(cond, _Not) and name.startswith("do_return")
        if known and cond.of is before[place] is orelse[place] and body[place] is True:
            orelse = (*orelse[:place], True, *orelse[place + 1 :])
    return [orelse, body]


class _Merged:
    """The correspondence of the results of the two branches of an `if`."""

    def __init__(self) -> None:
        # Positions among the results of each branch, `None` if only the other branch returns.
        self.places: tuple[list[int | None], list[int | None]] = [], []
        self.names: list[str] = []
        self._counts = [0, 0]

    def value(self, name: str, orelse: Any, body: Any) -> tuple[list[Any], Any]:
        """The value of the name after the `if`: leaves, some of them `_COMPUTED`, and structure."""
        if _is_unset(orelse) and _is_unset(body):
            return [orelse], jax.tree.structure(0)
        if _is_unset(orelse) or _is_unset(body):
            if not (_is_no_return(orelse) or _is_no_return(body)):
                branch = "else" if _is_unset(orelse) else "main"
                raise ValueError(f"{name!r} must also be set in the {branch} branch of this if.")
            missing = 0 if _is_unset(orelse) else 1
            leaves, structure = _flatten(body if missing == 0 else orelse)
            pairs = [(None, x) if missing == 0 else (x, None) for x in leaves]
        else:
            (ours, structure), (theirs, other) = _flatten(orelse), _flatten(body)
            if (orelse is None) is not (body is None):
                raise ValueError(
                    f"{name!r} is None in one branch of this if, and in the other one it is not."
                )
            if _grows(orelse) and _grows(body) and orelse._length() != body._length():
                raise NeedsPython(
                    f"The size of the TensorArray {name!r} depends on a traced tensor."
                )
            if structure != other:
                raise TypeError(
                    f"{name!r} must have the same structure in both branches of this if. It has "
                    f"{other} and {structure}."
                )
            pairs = list(zip(ours, theirs))
        return [self._leaf(name, *pair) for pair in pairs], structure

    def _leaf(self, name: str, orelse: Any, body: Any) -> Any:
        given = [_has_value(orelse), _has_value(body)]
        found = [n if g else None for n, g in zip(self._counts, given)]
        self._counts = [n + g for n, g in zip(self._counts, given)]
        if _same(orelse, body):
            return body
        if not any(given) and (orelse is None or body is None):
            return body if orelse is None else orelse  # the value of the branch that returns
        if not all(given) and orelse is not None and body is not None:
            if isinstance(orelse, str) and isinstance(body, str):
                raise NeedsPython(
                    f"{name!r} is text that depends on a tensor, and XLA has no strings."
                )
            raise TypeError(
                f"{name!r} must be a tensor, or the same, in both branches of this if. "
                f"Received: {body!r} and {orelse!r}."
            )
        for places, place in zip(self.places, found):
            places.append(place)
        self.names.append(name)
        return _COMPUTED


def _is_no_return(x: Any) -> bool:
    from malt.operators.variables import UndefinedReturnValue

    return isinstance(x, UndefinedReturnValue)


@operator
def if_exp(cond: Any, if_true: Callable, if_false: Callable, expr_repr: str = "") -> Any:
    """`a if cond else b`, as `tf.cond` if the condition is traced."""
    if not is_traced(cond):
        return if_true() if cond else if_false()
    return control.cond(cond, if_true, if_false)


@operator
def and_(a: Callable, b: Callable) -> Any:
    """`a and b`; both are computed if `a` is traced."""
    first = a()
    return table.logical_and(first, b()) if is_traced(first) else first and b()


@operator
def or_(a: Callable, b: Callable) -> Any:
    """`a or b`; both are computed if `a` is traced."""
    first = a()
    return table.logical_or(first, b()) if is_traced(first) else first or b()


@operator
def not_(a: Any) -> Any:
    """`not a`."""
    if not is_traced(a):
        return not a
    opposite = _Not(raw(table.logical_not(a)))
    opposite.of = a
    return opposite


@operator
def while_stmt(
    test: Callable,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: Sequence[str],
    opts: dict[str, Any],
) -> None:
    """`while`, as `tf.while_loop` once the condition is traced. After some steps, a loop whose
    condition is a known tensor becomes one too, if possible, because unrolling all of it would give
    a long program. With a condition of Python's it is unrolled, as in TensorFlow."""
    bound, steps, going = opts.get("maximum_iterations"), 0, test()
    while not is_traced(going):
        of_tensors = is_tensor(going) and not trace_state_clean()
        if not going or of_tensors and bound is not None and steps >= bound:
            return
        if of_tensors and steps == control.MOST_UNROLLED:
            now = get_state()
            try:
                rest = None if bound is None else bound - steps
                with rng.continued():
                    return _loop(test, body, get_state, set_state, symbol_names, rest)
            except (TypeError, ValueError):
                set_state(now)
        with rng.one_step() if of_tensors else contextlib.nullcontext():
            body()
        going, steps = test(), steps + 1
    try:
        with rng.continued() if steps else contextlib.nullcontext():
            _loop(test, body, get_state, set_state, symbol_names, bound)
    except control.ShapeChanges as error:
        if "shape_invariants" not in opts:
            raise
        raise NeedsPython(str(error)) from error


@operator
def for_stmt(
    iter_: Any,
    extra_test: Callable | None,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: Sequence[str],
    opts: dict[str, Any],
) -> None:
    """`for`, as `tf.while_loop` over the first axis of a tensor, or over a traced `tf.range`."""
    if isinstance(iter_, _Range):
        count, item = iter_.count(), iter_.item
    elif isinstance(iter_, (Tensor, nnx.Variable, jax.Array)) and not trace_state_clean():
        values = convert_to_tensor(iter_)
        if not values.shape:
            raise TypeError("A scalar tensor cannot be iterated over.")
        count = values._value.shape[0]
        # The body of a loop over nothing is traced as well, for what it returns.
        item = values.__getitem__ if count else lambda _: ops.zeros(values.shape[1:], values.dtype)
    else:
        _python_for(iter_, extra_test, body, get_state, set_state, symbol_names)
        return
    if isinstance(count, int) and any(_grows(value) for value in get_state()):
        steps = map(item, range(count))
        _python_for(steps, extra_test, body, get_state, set_state, symbol_names)
        return
    number: list[Any] = [convert_to_tensor(0)]

    def test() -> Any:
        more = table.less(number[0], count)
        return more if extra_test is None else and_(extra_test, lambda: more)

    def step() -> None:
        body(item(number[0]))
        number[0] = number[0] + 1

    def set_both(state: Sequence[Any]) -> None:
        number[0] = state[0]
        set_state(state[1:])

    bounds = (opts.get("maximum_iterations"), count if isinstance(count, int) else None)
    bound = min((b for b in bounds if b is not None), default=None)
    names = ("the number of the iteration", *symbol_names)
    try:
        _loop(test, step, lambda: (number[0], *get_state()), set_both, names, bound)
    except control.ShapeChanges as error:
        if "shape_invariants" not in opts:
            raise
        if not isinstance(count, int):
            raise NeedsPython(str(error)) from error
        _python_for(map(item, range(count)), extra_test, body, get_state, set_state, symbol_names)


def _grows(value: Any) -> bool:
    """Whether a loop may grow a TensorArray, whose final length XLA would need to know."""
    return isinstance(value, TensorArray) and value.dynamic_size


def _python_for(
    iterable: Iterable[Any],
    extra_test: Callable | None,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    names: Sequence[str],
) -> None:
    """A loop over a Python iterable. If a traced condition may leave it, the remaining iterations
    are computed as well, and used only if it was not left."""
    for item in iterable:
        going = extra_test() if extra_test is not None else True
        if is_traced(going):
            once = functools.partial(body, item)
            if_stmt(going, once, lambda: None, get_state, set_state, names, len(names))
        elif going:
            body(item)
        else:
            return


class _State:
    """The values of the names that a loop changes, as leaves: tensors and numbers, which are loop
    variables, and other values, which must not change."""

    def __init__(self, names: Sequence[str], values: Sequence[Any]):
        self.leaves: list[Any] = []
        self.names: list[str] = []  # one for each leaf
        self.symbols = names
        self.structure: list[Any] = []
        for name, value in zip(names, values):
            leaves, structure = _flatten(value)
            self.structure.append(structure)
            self.leaves += leaves
            self.names += [name] * len(leaves)
        self.places = [i for i, leaf in enumerate(self.leaves) if _is_value(leaf)]

    def values(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """The values of the names, with given tensors for the loop variables."""
        leaves, found, start = list(self.leaves), [], 0
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = convert_to_tensor(tensor)
        for structure in self.structure:
            stop = start + structure.num_leaves
            found.append(jax.tree.unflatten(structure, leaves[start:stop]))
            start = stop
        return tuple(found)

    def after(self, new: _State) -> list[Any]:
        """The tensors after an iteration. Raises TypeError if other values have changed."""
        for name, a, b in zip(self.symbols, self.structure, new.structure, strict=True):
            if a != b:
                kinds = [(tree.node_data() or (None,))[0] for tree in (a, b)]
                same = kinds[0] is kinds[1] and issubclass(kinds[0] or int, Structure)
                raise (control.ShapeChanges if same else TypeError)(
                    f"A loop over tensors must keep the structure of {name!r}: it had {a}, "
                    f"then {b}."
                )
        for name, a, b in zip(self.names, self.leaves, new.leaves):
            if isinstance(b, _Range):
                b._refuse()
            if not (_has_value(b) if _is_value(a) else _same(a, b)):
                raise TypeError(f"A loop over tensors cannot change {name!r} from {a!r} to {b!r}.")
        return [convert_to_tensor(new.leaves[place]) for place in self.places]


def _loop(
    test: Callable,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    names: Sequence[str],
    bound: Any,
) -> None:
    before = get_state()
    state = _State(names, before)
    if any(_is_missing(x) or isinstance(x, (TensorArray, nnx.Variable)) for x in before):
        formed = _formed(state, before, body, get_state, set_state)
        state = _State(names, formed)
        set_by_loop = [
            name for name, old, new in zip(names, before, formed)
            if _is_missing(old) and not _is_missing(new)
        ]  # fmt: skip
        if set_by_loop:
            _check_first(set_by_loop, formed, test, set_state)
    start = [convert_to_tensor(state.leaves[place]) for place in state.places]

    def going(*tensors: Any) -> Any:
        set_state(state.values(tensors))
        return test()

    def step(*tensors: Any) -> list[Any]:
        set_state(state.values(tensors))
        body()
        return state.after(_State(names, get_state()))

    try:
        out = control._while(going, step, start, bound, [state.names[i] for i in state.places])
    finally:
        set_state(before)
    set_state(state.values(out))


def _formed(
    state: _State, before: Sequence[Any], body: Callable, get_state: Callable, set_state: Callable
) -> list[Any]:
    """The values before the loop, in the form in which an iteration returns them.

    Names that are unset or None before the loop and have a value after an iteration become zeros,
    as in TensorFlow, and Variables that an iteration replaces become tensors. The element shape of
    a TensorArray is known after the first write.
    """
    found: list[Any] = []

    def once(*arrays: Any) -> list[Any]:
        set_state(state.values([convert_to_tensor(a) for a in arrays]))
        body()
        found.extend(get_state())
        return []

    try:
        control._Traced(once, *(raw(convert_to_tensor(state.leaves[i])) for i in state.places))
        return [_as_after(old, new) for old, new in zip(before, found)]
    finally:
        set_state(before)


def _as_after(old: Any, new: Any) -> Any:
    if _is_missing(old):
        return jax.tree.map(_zeros, new, is_leaf=_is_leaf)
    if isinstance(old, nnx.Variable) and new is not old:
        return convert_to_tensor(old)
    return settled(old, new)


def _is_missing(value: Any) -> bool:
    return value is None or _is_unset(value)


def _check_first(
    names: Sequence[str], before: Sequence[Any], test: Callable, set_state: Callable
) -> None:
    """Raises InvalidArgumentError, when the function runs, if a loop that sets the names has no
    iteration."""

    def check(going: Any) -> None:
        if not going:
            raise InvalidArgumentError(
                f"The loop must iterate at least once to initialize {', '.join(names)}."
            )

    set_state(before)
    effects.required(check, raw(convert_to_tensor(test())))


def _zeros(like: Any) -> Any:
    if not _is_value(like):
        return like
    like = raw(convert_to_tensor(like))
    return convert_to_tensor(np.zeros(like.shape, like.dtype))


class _Range(autograph.Unsized):
    """`tf.range` of traced tensors. XLA cannot make an array of such a size, but a loop over it
    does not need one."""

    def __init__(self, start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, **_: Any):
        start, limit = (0, start) if limit is None else (start, limit)
        example = next(x for x in (limit, start, delta) if is_traced(x))
        dtype = dtype or convert_to_tensor(example).dtype
        self._start, self._limit, self._delta = (ops.cast(x, dtype) for x in (start, limit, delta))

    def count(self) -> Any:
        if self._start.dtype.is_floating:
            count = table.ceil((self._limit - self._start) / self._delta)
        else:  # rounded up: floor division rounds towards minus infinity
            count = -((self._start - self._limit) // self._delta)
        return ops.cast(table.maximum(count, 0), "int32")

    def item(self, number: Any) -> Any:
        return self._start + ops.cast(number, self._start.dtype) * self._delta

    def _refuse(self, *_: Any) -> Any:
        raise NeedsPython(
            "tf.range of a traced tensor can only be used as the iterable of a for loop."
        )

    __getattr__ = __getitem__ = __len__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __pow__ = _refuse


def _range(of: Callable) -> Callable:
    def replaced(*args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        if any(is_traced(x) and type(x) is not SizeTensor for x in given):
            return _Range(*args, **kwargs)
        return of(*args, **kwargs)

    return replaced


def _cast(kind: type, dtype: str) -> Callable:
    def replaced(x: Any = 0, *args: Any) -> Any:
        return ops.cast(x, dtype) if is_traced(x) else kind(x, *args)

    return replaced


autograph.REPLACED |= {
    range: _range(range),
    ops.range: _range(ops.range),
    int: _cast(int, "int32"),
    float: _cast(float, "float32"),
    bool: _cast(bool, "bool"),
}
