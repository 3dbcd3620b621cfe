"""`tf.autodiff`, and `tf.gradients` and `tf.hessians` of values that a traced function has
computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context
from keraslike.core.context import trace_state_clean
from keraslike.core.jax_internals import has_operation
from keraslike.tf import dtypes
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.recording import GivenNode, Node, leaves_of, rebuilt
from keraslike.tf.tape import (
    GradientTape,
    Recorder,
    UnconnectedGradients,
    _ones,
    _zeros_for,
    check_unconnected,
)
from keraslike.tf.tensor import Tensor, _is_inexact, precision, raw, run


class ForwardAccumulator(Recorder):
    """Computes derivatives along a direction in its block, together with the values.

    Args:
        primals: a tensor or variable, or a structure of them.
        tangents: the direction, a tensor for each of these.

    Raises ValueError for tangents that differ from the primals in number, shape or dtype, and for
    a primal that is given several times.

    >>> x = tf.constant([2.0, 3.0])
    >>> with ForwardAccumulator(x, tf.constant([1.0, 0.0])) as accumulator:
    ...     y = tf.reduce_sum(x**3)
    >>> accumulator.jvp(y)
    <tf.Tensor: shape=(), dtype=float32, numpy=12.0>
    """

    def __init__(self, primals: Any, tangents: Any):
        found, along = leaves_of(primals), [convert_to_tensor(t) for t in leaves_of(tangents)]
        if len(found) != len(along):
            raise ValueError(f"There are {len(found)} primals and {len(along)} tangents.")
        if len(set(map(id, found))) < len(found):
            raise ValueError("A primal was given several times: add up its tangents instead.")
        self._tangents: dict[int, Tensor] = {}
        self._primals: dict[int, Any] = {}  # the objects keep their ids
        for x, tangent in zip(found, along):
            if not isinstance(x, (Tensor, nnx.Variable)):
                raise ValueError(f"primals must be tensors and variables. Received: {type(x)}")
            value = raw(x)
            if (tuple(value.shape), value.dtype) != (tuple(tangent.shape), tangent._value.dtype):
                raise ValueError(
                    f"A tangent must be like its primal, {dtypes.as_dtype(value.dtype).name} of "
                    f"shape {tuple(value.shape)}. Received: {tangent.dtype.name}, "
                    f"{tuple(tangent.shape)}"
                )
            self._set(x, tangent)

    def __enter__(self) -> ForwardAccumulator:
        if self._active:
            raise ValueError("The block of this accumulator has been entered already.")
        self._start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop()

    def jvp(self, primals: Any, unconnected_gradients: str = UnconnectedGradients.NONE) -> Any:
        """The derivatives of tensors, in their structure.

        Args:
            unconnected_gradients: `"none"` or `"zero"`, for tensors that depend on no primal.
        """
        check_unconnected(unconnected_gradients)
        found = [self._tangents.get(id(x)) for x in leaves_of(primals)]
        if unconnected_gradients == UnconnectedGradients.ZERO:
            found = [
                _zeros_for(x, raw(x).shape) if t is None else t
                for x, t in zip(leaves_of(primals), found)
            ]
        return rebuilt(primals, iter(found))

    # -- as a tape ------------------------------------------------------------------------------

    def _set(self, x: Any, tangent: Tensor) -> None:
        known = self._tangents.get(id(x))
        self._primals[id(x)] = x
        self._tangents[id(x)] = tangent if known is None else run(jnp.add, (known, tangent))

    def _follows(self, x: Any) -> bool:
        return id(x) in self._tangents

    _knows = _follows

    def _tensors(self) -> list[Tensor]:
        return [x for x in self._primals.values() if isinstance(x, Tensor)]

    def _pass_on(self, inputs: Sequence[Any], output: Tensor) -> None:
        """No derivative passes."""

    def _record(self, node: Node) -> None:
        if not any(self._follows(x) for x in node.inputs):
            return
        around = context.state.tapes
        # The enclosing tapes record this computation.
        outer = around[: around.index(self)] if self in around else ()
        with context.using(tapes=outer):
            tangents = [
                self._tangents.get(id(x), Tensor(np.zeros(raw(x).shape, raw(x).dtype)))
                for x in node.inputs
            ]
            if isinstance(node, GivenNode):
                found = _by_user(node, tangents)
            else:
                found = _along(node, tangents)
            for output, tangent in zip([o for o in node.outputs if _smooth(o)], found):
                self._set(output, tangent)


def _smooth(x: Tensor) -> bool:
    return _is_inexact(x._value)


def _along(node: Node, tangents: list[Tensor]) -> list[Tensor]:
    count = len(node.inputs)
    places = [i for i, o in enumerate(node.outputs) if _smooth(o)]

    def smooth(*values: Any) -> list[Any]:
        out = node.again(*values)
        return [out[i] for i in places]

    def forward(*values: Any) -> list[Any]:
        return jax.jvp(smooth, values[:count], values[count:])[1]

    def along(*values: Any) -> list[Any]:
        try:
            traced = any(isinstance(x, jax.core.Tracer) for x in values)
            if not traced or not has_operation(
                jax.make_jaxpr(forward)(*values).jaxpr, "custom_lin"
            ):
                return forward(*values)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
        # Part of it, such as a loop, has gradients in reverse mode only.
        out, pullback = jax.vjp(smooth, *values[:count])
        _, transposed = jax.vjp(pullback, [jnp.zeros_like(x) for x in out])
        return transposed(values[count:])[0]

    with precision(node.taken):
        return run(along, [*node.inputs, *tangents], lasting=False)


def _by_user(node: GivenNode, tangents: list[Tensor]) -> list[Tensor]:
    """The derivatives by the user's gradients, which are linear in those of the outputs."""
    outputs = [o for o in node.outputs if _smooth(o)]
    seeds = {id(o): Tensor(np.zeros(raw(o).shape, raw(o).dtype)) for o in outputs}
    with GradientTape() as tape:
        tape.watch(list(seeds.values()))
        found = node.pull([seeds.get(id(o)) for o in node.outputs])
    pairs = [(g, t) for g, t in zip(found, tangents) if g is not None]
    targets, along = map(list, zip(*pairs)) if pairs else ([], [])
    return tape.gradient(targets, list(seeds.values()), along, UnconnectedGradients.ZERO)


# -- gradients of what a traced function has computed so far --------------------------------------


class NeedsHistory(Exception):
    """A traced function asks for gradients of values that it has computed."""


class History(GradientTape):
    """A tape that records a traced function from its beginning and watches all tensors."""

    def __init__(self) -> None:
        super().__init__(persistent=True)

    def _follows(self, x: Any) -> bool:
        followed = isinstance(x, (Tensor, nnx.Variable)) and _is_inexact(raw(x))
        if followed and isinstance(x, Tensor):
            self._watched[id(x)] = x  # loops and branches need the tensors that they may capture
        return followed

    _knows = _follows


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: str = UnconnectedGradients.NONE,
) -> list[Any]:
    """Within a `tf.function`, the gradients of the sum of `ys` with respect to each of `xs`.

    Args:
        ys, xs: a tensor, or a list of them.
        grad_ys: the gradients with respect to `ys`, by default ones.
        stop_gradients: tensors to treat as constants.
        unconnected_gradients: `"none"` or `"zero"`, the gradient if no `ys` depends on one of
            `xs`.

    Raises RuntimeError outside of a `tf.function`; use a `GradientTape` there.

    >>> slope = tf.function(lambda x: tf.gradients(x**2, x))
    >>> slope(tf.constant(3.0))
    [<tf.Tensor: shape=(), dtype=float32, numpy=6.0>]
    """
    history = _history("gradients")
    targets, sources = leaves_of(ys), leaves_of(xs)
    history._check(targets, sources, unconnected_gradients)
    given = [None] * len(targets) if grad_ys is None else leaves_of(grad_ys)
    seeds = [
        _ones(raw(y)) if g is None else convert_to_tensor(g)
        for y, g in zip(targets, given, strict=True)
    ]
    stops = set(map(id, leaves_of([] if stop_gradients is None else stop_gradients)))
    found = history._back(targets, seeds, sources, stops, by_rows=True)
    return history._filled(found, sources, unconnected_gradients)


def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
) -> list[Any]:
    """Within a `tf.function`, the Hessians of the sum of `ys` with respect to each of `xs`.

    Raises RuntimeError outside of a `tf.function`.

    >>> curvature = tf.function(lambda x: tf.hessians(tf.reduce_sum(x**3), x)[0])
    >>> curvature(tf.constant([1.0, 2.0])).numpy().tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    found = []
    for x in leaves_of(xs):
        (slope,) = gradients(ys, x, unconnected_gradients=UnconnectedGradients.ZERO)
        shape = tuple(raw(x).shape)
        flat = run(jnp.ravel, (convert_to_tensor(slope),))
        rows = [
            gradients(flat[i], x, unconnected_gradients=UnconnectedGradients.ZERO)[0]
            for i in range(int(np.prod(shape)))
        ]
        found.append(run(_square, rows, (shape + shape,), lasting=False))
    return found


def _square(*given: Any) -> Any:
    *rows, shape = given
    return jnp.stack(rows).reshape(shape)


def _history(name: str) -> History:
    for tape in context.state.tapes:
        if isinstance(tape, History):
            return tape
    if trace_state_clean():
        raise RuntimeError(
            f"tf.{name} works only within a tf.function. Use tf.GradientTape instead."
        )
    raise NeedsHistory(f"tf.{name} works only in a trace of tf.function, not in other traces.")


def recorded(function: Callable) -> Callable:
    """The function, recorded from its beginning if it asks for gradients of its own values."""

    def run_recorded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except NeedsHistory:
            with History() as history:
                for x in jax.tree.leaves((args, kwargs), is_leaf=lambda x: isinstance(x, Tensor)):
                    history._follows(x)
                return function(*args, **kwargs)

    return run_recorded


__all__ = ["ForwardAccumulator", "GradientTape"]
__dir__ = __all__.copy
