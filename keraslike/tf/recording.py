"""The recording of operations with their pullbacks, by the tapes that follow their inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from keraslike.core import context
from keraslike.core.boxed import is_recorded
from keraslike.core.context import trace_state_clean
from keraslike.core.structures import Keyed, map_items
from keraslike.tf import dependence, derivatives
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.structure import Structure, is_traced
from keraslike.tf.tensor import WIDE, Tensor, _is_inexact, pass_on, precision, wrap


@dataclasses.dataclass(eq=False, slots=True)
class Node:
    """A recorded operation.

    `pullback(cotangents of all outputs) -> cotangents of inputs`; `again(*inputs) -> outputs`
    repeats the operation, for gradients of gradients.
    """

    inputs: list[Any]  # Tensors and Variables
    values: list[Any]  # the values of the inputs at that time
    outputs: list[Any]  # Tensors
    pullback: Callable
    again: Callable
    taken: list[Any]  # all input arrays, which determine whether 64-bit types are used
    depends: list[int]  # for each output, a bit mask of the inputs that it has a gradient for
    passed: list[Any] = dataclasses.field(default_factory=list)  # inputs that no tape followed
    widen: Callable | None = None  # the same operation with respect to those inputs as well
    cotangent: Callable | None = None  # see `derivatives.by_result`
    factor: Callable | None = None
    rows: Tensor | None = None  # if the operation gathers rows of its first input, their indices
    keeps_rows: bool = False  # whether each row of its result is the same function of one row
    scales: Callable | None = None  # see `Call.scales`, of the call of a `tf.function`

    def widened(self) -> Node:
        """The operation with respect to all inputs, for a tape that follows further ones later."""
        assert self.widen is not None
        return self.widen()

    def pull(self, given: list[Tensor | None]) -> list[Tensor | None]:
        """The cotangents of the inputs, which is itself recorded if a tape is active.

        The cotangent is `None` if no output with a cotangent depends on the input.
        """
        reached = 0
        for mask, g in zip(self.depends, given):
            reached |= 0 if g is None else mask
        found = _pulled(self, given)
        return [g if reached >> k & 1 else None for k, g in enumerate(found)]


class GivenNode(Node):
    """An operation with a gradient function of tensors by the user."""

    __slots__ = ("gradients",)

    def __init__(self, inputs: list[Any], outputs: list[Any], gradients: Callable):
        every = [(1 << len(inputs)) - 1] * len(outputs)
        super().__init__(inputs, [], outputs, gradients, gradients, [], every)
        self.gradients = gradients

    def pull(self, given: list[Tensor | None]) -> list[Tensor | None]:
        return self.gradients(given)


def as_one_operation(out: Any) -> Any:
    """The results of a function that is inlined in a trace, with gradients as if its call were one
    operation: of each result with respect to all that one of them depends on."""
    if not context.state.tapes:
        return out
    tensors = [x for x in leaves_of(out) if isinstance(x, Tensor) and _is_inexact(x._value)]
    # Arrays from outside of the trace stay as they are, since they stand for captured tensors.
    inputs = [x for x in tensors if is_traced(x) or isinstance(x._value, np.ndarray)]
    outputs = [type(x)(x._value) for x in inputs]

    def gradients(given: list[Tensor | None]) -> list[Tensor | None]:
        return [Tensor(zero(x._value)) if g is None else g for x, g in zip(inputs, given)]

    keep(GivenNode(inputs, outputs, gradients))
    ours = {id(x): y for x, y in zip(inputs, outputs)}
    return rebuilt(out, iter([ours.get(id(x), x) for x in leaves_of(out)]))


def _pulled(node: Node, given: list[Tensor | None]) -> list[Tensor]:
    with precision([*(o._value for o in node.outputs), *node.taken]):
        cotangents = [
            Tensor(zero(o._value)) if g is None else g for o, g in zip(node.outputs, given)
        ]
        tapes = context.state.tapes
        written_by = node.outputs if node.cotangent or node.factor else ()
        if not tapes or not any(is_recorded(x) for x in (*node.inputs, *cotangents, *written_by)):
            return [Tensor(g) for g in node.pullback([c._value for c in cotangents])]
    if node.cotangent is not None:
        return [_by_result(node.cotangent, node.outputs[0], cotangents[0], node.taken)]
    if node.factor is not None:
        cotangents = [_scaled(node, cotangents[0])]
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
    joint = None
    if node.scales is not None:  # Its gradient is a function, too, of all its values.
        used = functools.reduce(operator.or_, node.depends, 0)
        ours = [k for k, f in enumerate(followed) if f]
        further = sum((used >> k & 1) << j for j, k in enumerate(ours) if k < n)
        joint = Joint([True] * n, further, node.scales())
    return run_recorded(
        backward, tensors, values, followed, (), {}, False, node.taken, analyse=True, joint=joint
    )


def _by_result(fn: Callable, result: Tensor, cotangent: Tensor, taken: list[Any]) -> Tensor:
    tensors = [result, cotangent]
    values = [t._value for t in tensors]
    followed = tuple([is_recorded(t) for t in tensors])
    if not any(followed):
        with precision([*values, *taken]):
            return Tensor(fn(*values))
    return run_recorded(fn, tensors, values, followed, (), {}, False, taken, analyse=True)


def _scaled(node: Node, cotangent: Tensor) -> Tensor:
    """The cotangent times the factor as a function of the result, divided by the same factor as a
    function of the arguments."""
    factor = node.factor
    assert factor is not None

    def scaled(result: Any, cotangent: Any, *values: Any) -> Any:
        return cotangent * (factor(result) / factor(node.again(*values)[0]))

    tensors = [node.outputs[0], cotangent, *node.inputs]
    values = [node.outputs[0]._value, cotangent._value, *node.values]
    followed = tuple([is_recorded(t) for t in tensors])
    return run_recorded(scaled, tensors, values, followed, (), {}, False, node.taken, analyse=True)


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
    return [tree.flat_values if is_ragged(tree) else tree]


def is_ragged(x: Any) -> bool:
    """Whether it is a ragged tensor, whose gradients are those of its values."""
    return isinstance(x, Structure) and hasattr(x, "with_flat_values")


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """The structure with other leaves. A ragged tensor has one leaf, its values."""
    if isinstance(tree, (list, tuple)):
        return map_items(lambda item: rebuilt(item, leaves), tree)
    if isinstance(tree, dict):
        made = {key: rebuilt(tree[key], leaves) for key in sorted(tree)}
        return Keyed.of(tree)(made[key] for key in tree)
    leaf = next(leaves)
    if leaf is not None and is_ragged(tree):
        return tree.with_flat_values(convert_to_tensor(leaf))
    return leaf


# -- operations on arrays -----------------------------------------------------------------------


def _merged(fn: Callable, mask: tuple[bool, ...], others: Sequence[Any], rest: tuple, kwargs: Any):
    """`fn` as a function of the arguments in `mask`."""

    def of_chosen(*chosen: Any) -> Any:
        ours, theirs = iter(chosen), iter(others)
        with context.using(tapes=()):
            return fn(*[next(ours) if m else next(theirs) for m in mask], *rest, **dict(kwargs))

    return of_chosen


def _dependence(again: Callable, chosen: Sequence[Any]) -> tuple[Any, Any]:
    """The inputs that outputs have gradients for, and those that they are computed from; `None` if
    this depends on values."""
    try:
        closed = jax.make_jaxpr(again)(*chosen)
    except (jax.errors.JAXTypeError, TypeError):
        return None, None
    return _dependence_in(closed)


def _dependence_in(closed: Any) -> tuple[list[int], list[int]]:
    # A result without elements has gradients, of zeros, though JAX computes it from no input.
    every = (1 << len(closed.in_avals)) - 1
    empty = [any(isinstance(n, int) and n == 0 for n in a.shape) for a in closed.out_avals]
    found = [every if e else mask for mask, e in zip(dependence.depends(closed), empty)]
    return found, dependence.descends(closed)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class _Packed:
    """A pullback as its arrays and the number of their structure."""

    arrays: list[Any]
    number: int = dataclasses.field(metadata={"static": True})


class Pullbacks:
    """The pullbacks that compiled programs of one operation return, for use in other programs.

    The structure of a pullback holds its jaxpr. JAX caches the structures of arguments and results
    of programs globally, so structures are kept here instead, and are freed with the operation.
    """

    def __init__(self) -> None:
        self._structures: list[Any] = []
        self._applied = jax.jit(self._apply)

    def pack(self, pullback: Any) -> _Packed:
        """The pullback in the form in which a program returns it."""
        arrays, structure = jax.tree.flatten(pullback)
        self._structures.append(structure)
        return _Packed(arrays, len(self._structures) - 1)

    def unpack(self, packed: _Packed) -> Callable:
        """`(cotangents of outputs) -> cotangents of inputs`, compiled."""
        return functools.partial(self._applied, packed)

    def _apply(self, packed: _Packed, cotangents: Any) -> Any:
        return jax.tree.unflatten(self._structures[packed.number], packed.arrays)(cotangents)


class _Program:
    """A recurring operation, differentiated with respect to the arguments in `mask`."""

    def __init__(self, fn: Callable, mask: tuple[bool, ...], rest: tuple, kwargs: tuple):
        def program(chosen: Sequence[Any], others: Sequence[Any]) -> Any:
            out, pullback = jax.vjp(_merged(fn, mask, others, rest, kwargs), *chosen)
            return out, self.pullbacks.pack(pullback)

        self.pullbacks = Pullbacks()
        self.compiled = jax.jit(program)
        self._depends: dict[Any, tuple[Any, Any]] = {}

    def depends(self, again: Callable, chosen: Sequence[Any], key: Any) -> tuple[Any, Any]:
        if key not in self._depends:
            self._depends[key] = _dependence(again, chosen)
        return self._depends[key]


def _program(fn: Any, mask: tuple[bool, ...], rest: tuple, kwargs: tuple) -> _Program:
    """The program of an operation. If `fn` has `programs`, it is kept there and freed with `fn`."""
    programs = getattr(fn, "programs", None)
    if programs is None:
        return _lasting_program(fn, mask, rest, kwargs)
    key = (mask, rest, kwargs)
    if key not in programs:
        programs[key] = _Program(fn, mask, rest, kwargs)
    return programs[key]


@functools.lru_cache(maxsize=4096)
def _lasting_program(fn: Callable, mask: tuple[bool, ...], rest: tuple, kwargs: tuple) -> _Program:
    return _Program(fn, mask, rest, kwargs)


# The name of the operation that gathers the rows of its first input at the indices in its second.
ROWS = "ResourceGather"

# Operations whose gradient in TensorFlow has rows if their cotangent has.
KEEPING_ROWS = ("identity", "cast", "negative")


class Joint(NamedTuple):
    """Results with one gradient for all, such as those of a `tf.function`: each depends on all that
    one of them depends on, and its gradient is zero for inputs of the other results."""

    is_inexact: Sequence[bool]  # Whether each of these results has a gradient; others may follow.
    inputs: int = 0  # Further ones that they depend on if they depend on one of them, or `always`.
    always: bool = False

    def depend_on(self, depends: Sequence[int]) -> list[int]:
        """What the results depend on, from what each of them would depend on alone."""
        count = len(self.is_inexact)
        every = functools.reduce(operator.or_, depends[:count], 0)
        every |= self.inputs if self.always or every & self.inputs else 0
        return [every if inexact else 0 for inexact in self.is_inexact] + list(depends[count:])


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
    name: str = "",
    constant: Container[int] = (),
    joint: Joint | None = None,
) -> Any:
    """Runs an operation and records its pullback.

    Args:
        within: the arrays that `fn` captures.
        analyse: whether dependences are analysed even if the operation does not recur; they also
            are if `fn.analyse` is true.
        name: TensorFlow's name of the operation.
        constant: the positions of tensors without a gradient.
        joint: its results with one gradient for all; by default those of `fn.results`, if it has
            that attribute.
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
    depends, descends = None, None
    known = fn.dependence(followed) if isinstance(fn, Call) else None
    with precision(taken):
        if known is not None:
            depends, descends = known
        elif program is not None:
            key = tuple([(v.shape, v.dtype) for v in values])
            depends, descends = program.depends(again, chosen, key)
        elif analyse or getattr(fn, "analyse", False):
            depends, _ = _dependence(again, chosen)
        if joint is None and hasattr(fn, "results"):
            joint = Joint(fn.results)
        if depends is not None and joint is not None:
            depends = joint.depend_on(depends)
        if depends is not None and not any(depends):  # no output has a gradient
            wrapped = wrap(again(*chosen))
            inputs = [t for t, m in zip(tensors, followed) if m]
            for output, mask in zip(leaves_of(wrapped), descends or ()):
                pass_on([t for k, t in enumerate(inputs) if mask >> k & 1], output)
            return wrapped
        if program is not None and trace_state_clean() and not has_tracer(values):
            out, packed = program.compiled(chosen, others)
            pullback = program.pullbacks.unpack(packed)
        else:
            out, pullback = jax.vjp(again, *chosen)
    wrapped = wrap(out)
    outputs = [x for x in leaves_of(wrapped) if x is not None]
    structure = jax.tree.structure(out)
    # For a variable that no tape follows, the node has its value, which cannot be followed later.
    wide = tuple(
        [
            (m or isinstance(t, Tensor))
            and _is_inexact(v)
            and k not in constant
            and (name, k) not in derivatives.REACHED_BY_A_COPY
            for k, (t, v, m) in enumerate(zip(tensors, values, followed))
        ]
    )

    cotangent, factor = None, None
    if name and len(values) == len(outputs) == 1:
        cotangent, factor = derivatives.by_result(name, rest, kwargs, outputs[0]._value.ndim)

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
            cotangent=cotangent,
            factor=factor,
            rows=Tensor(values[1]) if name == ROWS and mask[0] else None,
            keeps_rows=name in KEEPING_ROWS,
            scales=functools.partial(fn.scales, mask)
            if isinstance(fn, Call) and fn.results
            else None,
        )

    def widen() -> Node:
        chosen, again, _ = by(wide)
        return node(wide, lambda g: jax.vjp(again, *chosen)[1](g), again, None)

    made = node(followed, pullback, again, depends)
    made.passed = [t for t, m, w in zip(tensors, followed, wide) if w and not m]
    made.widen = widen
    keep(made)
    return wrapped


class Call:
    """A compiled function of flat values. It is kept, so that tapes compile its gradient once.

    Args:
        jaxpr: the function as a jaxpr, for the analysis of dependences, where it is known.
    """

    def __init__(self, function: Callable, jaxpr: Any = None):
        self.function, self._jaxpr = function, jaxpr
        self.programs: dict[Any, Any] = {}  # programs that tapes compile for it
        # Whether each result of the function has a gradient; new values of variables follow.
        self.results: list[bool] = []
        self._compiled = jax.jit(function)

    def __call__(self, *values: Any) -> Any:
        with WIDE(True):
            return self._compiled(*values)

    @functools.cached_property
    def _every(self) -> tuple[list[int], list[int]] | None:
        return None if self._jaxpr is None else _dependence_in(self._jaxpr)

    def scales(self, followed: Sequence[bool]) -> bool:
        """Whether its gradient reads factors, which in TensorFlow are results of the function."""
        return self._jaxpr is not None and dependence.scales(self._jaxpr, followed)

    def dependence(self, followed: Sequence[bool]) -> tuple[list[int], list[int]] | None:
        """Which of the followed inputs the results depend on, and are computed from."""
        places = [k for k, f in enumerate(followed) if f]

        def among(masks: list[int]) -> list[int]:
            return [sum((mask >> k & 1) << j for j, k in enumerate(places)) for mask in masks]

        return None if self._every is None else (among(self._every[0]), among(self._every[1]))


def has_tracer(values: Sequence[Any]) -> bool:
    return any(isinstance(v, jax.core.Tracer) for v in values)


def keep(node: Node) -> None:
    """Records the operation on the tapes that follow one of its inputs."""
    if any(_is_inexact(x._value) for x in node.outputs):
        for tape in context.state.tapes:
            tape._record(node)


def trains(variable: Any) -> bool:
    """Whether a variable was created as trainable. TensorFlow follows weights of frozen layers
    too."""
    return isinstance(variable, nnx.Param) and _is_inexact(variable._raw_value)
