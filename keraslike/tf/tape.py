"""`GradientTape`, which records operations as they run, for reverse-mode differentiation.

For each operation on a value that it follows, a tape stores the pullback of `jax.vjp`, a pytree
that compiled programs can return. A call of a layer, model or loss is one operation: it is lowered
to a pure function of its weights and arguments, compiled once, and differentiated as a whole. In a
trace (`jax.jit`, `tf.function`, `fit`) the same code runs on tracers, so the compiled program
contains only the gradients.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Container, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context
from keraslike.core.boxed import Refusal
from keraslike.core.tracebacks import entry
from keraslike.tf import calls, dtypes, recording
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.recording import Node, leaves_of, rebuilt, trains
from keraslike.tf.slices import IndexedSlices, by_rows
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.tensor import (
    Tensor,
    WeakTensor,
    _is_inexact,
    pass_on,
    precision,
    raw,
    read,
    run,
    weakened,
)
from keraslike.tf.text_variable import TextVariable


class UnconnectedGradients:
    """The results of `gradient` for a source that the target does not depend on.

    >>> x, y = tf.Variable(1.0), tf.Variable(2.0)
    >>> with tf.GradientTape() as tape:
    ...     z = 3.0 * x
    >>> tape.gradient(z, y, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy().tolist()
    0.0
    """

    NONE = "none"
    ZERO = "zero"


def check_unconnected(value: str) -> None:
    """Raises ValueError for an object that is not a value of `unconnected_gradients`."""
    if value not in (UnconnectedGradients.NONE, UnconnectedGradients.ZERO):
        raise ValueError(f"unconnected_gradients must be 'none' or 'zero'. Received: {value!r}")


class Recorder:
    """What the operations in a block are recorded by."""

    _active = False
    _run, _dispatch = staticmethod(recording.run_recorded), staticmethod(calls.dispatch)

    def _start(self) -> None:
        context.state.tapes = (*context.state.tapes, self)
        self._active = True

    def _stop(self) -> None:
        context.state.tapes = tuple(t for t in context.state.tapes if t is not self)
        self._active = False


class GradientTape(Recorder):
    """Records operations on variables and watched tensors, to compute gradients.

    Args:
        persistent: whether more than one gradient may be computed.
        watch_accessed_variables: whether the tape follows all trainable variables that are read.

    >>> x = tf.constant(3.0)
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=6.0>
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent, self._accessed = persistent, watch_accessed_variables
        self._nodes: list[Node] = []
        self._watched: dict[int, Any] = {}  # by id; the reference keeps the id valid
        self._recorded: dict[int, Tensor] = {}
        self._spent = False

    # -- recording ----------------------------------------------------------------------------

    def __enter__(self) -> GradientTape:
        if self._active:
            raise ValueError("The tape is already recording.")
        self._start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._active:
            self._stop()

    def _follows(self, x: Any) -> bool:
        if self._knows(x):
            return True
        return self._accessed and isinstance(x, nnx.Variable) and trains(x)

    def _knows(self, x: Any) -> bool:
        return id(x) in self._recorded or id(x) in self._watched

    def _tensors(self) -> list[Tensor]:
        """The tensors that it follows."""
        watched = [x for x in self._watched.values() if isinstance(x, Tensor)]
        return [*watched, *self._recorded.values()]

    def watch(self, tensor: Any) -> None:
        """Follows tensors from now on. Integers are ignored with a warning.

        It has no effect while no tape records, as in TensorFlow.

        Raises ValueError for anything but tensors and variables, or lists and dicts of them.
        """
        recording = bool(context.state.tapes)
        for x in leaves_of(tensor):
            x = x.values if isinstance(x, SparseTensor) else x
            if not _is_followable(x):
                raise ValueError(
                    f"A tape can only watch tensors and variables. Received: {type(x).__name__}. "
                    "Convert an array to a tensor first: x = tf.constant(x)."
                )
            if _is_inexact(raw(x)):
                if recording:
                    self._watched[id(x)] = x
            else:
                warnings.warn(
                    f"A tape watches floating-point and complex numbers, and passes over this: "
                    f"{x.dtype}.",
                    stacklevel=2,
                )

    def watched_variables(self) -> tuple[Any, ...]:
        """The variables that were followed."""
        return tuple(x for x in self._watched.values() if isinstance(x, nnx.Variable))

    def stop_recording(self) -> _Paused:
        """A context in which nothing is recorded: `with tape.stop_recording(): ...`."""
        if not self._active:
            raise ValueError("The tape is not recording.")
        return _Paused(self)

    def reset(self) -> None:
        """Discards all recorded operations and watched tensors.

        Raises ValueError for a tape that is not recording.
        """
        if not self._active:
            raise ValueError("The tape is not recording.")
        self._nodes, self._watched, self._recorded = [], {}, {}

    def _record(self, node: Node) -> None:
        """Records the operation, if one of its outputs depends on a followed value."""
        bits = used = 0
        for mask in node.depends:
            used |= mask
        for k, x in enumerate(node.inputs):
            if used >> k & 1 and self._follows(x):
                bits |= 1 << k
                if isinstance(x, nnx.Variable):
                    self._watched[id(x)] = x
        if bits:
            self._nodes.append(node)
            for output, mask in zip(node.outputs, node.depends):
                if mask & bits:
                    self._recorded[id(output)] = output

    def _pass_on(self, inputs: Sequence[Any], output: Tensor) -> None:
        """Follows the output if it follows one of the inputs."""
        followed = [x for x in inputs if self._follows(x)]
        self._watched |= {id(x): x for x in followed if isinstance(x, nnx.Variable)}
        if followed:
            self._recorded[id(output)] = output

    # `tensor.run` and `core.boxed` call these on the innermost tape, for all tapes.

    # -- gradients ----------------------------------------------------------------------------

    @entry
    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = UnconnectedGradients.NONE,
    ) -> Any:
        """The gradient of the sum of all targets, in the structure of `sources`.

        Args:
            target: a tensor, or a structure of tensors.
            sources: variables and watched tensors, which may be ragged.
            output_gradients: the upstream gradients, in the structure of the targets; by default
                ones.
            unconnected_gradients: `"none"` or `"zero"` for sources that no target depends on.

        Raises RuntimeError for a second gradient of a tape that is not persistent, TypeError for a
        target that is not a tensor.
        """
        self._use()
        targets, found = leaves_of(target), leaves_of(sources)
        self._check(targets, found, unconnected_gradients)
        given = [None] * len(targets) if output_gradients is None else leaves_of(output_gradients)
        if len(given) != len(targets):
            raise ValueError(
                f"output_gradients must have {len(targets)} tensors, like target. "
                f"Received: {len(given)}."
            )
        seeds = [
            None if not _is_inexact(raw(t)) else _ones(raw(t)) if g is None else _operand(g)
            for t, g in zip(targets, given)
        ]
        grads = self._back(targets, seeds, found, by_rows=True)
        self._forget()
        return rebuilt(sources, iter(self._filled(grads, found, unconnected_gradients)))

    @entry
    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The gradient of each element of the target: shape `target.shape + source.shape`."""
        self._use()
        found = leaves_of(sources)
        self._check([target], found, unconnected_gradients)
        value = raw(target)
        with precision((value,)):
            basis = jnp.eye(value.size, dtype=value.dtype).reshape(value.size, *value.shape)
        rows = self._rows(target, found, basis)
        self._forget()
        grads = [
            None if g is None else _reshape(g, (*value.shape, *raw(s).shape))
            for g, s in zip(rows, found)
        ]
        shapes = [(*value.shape, *raw(s).shape) for s in found]
        return rebuilt(sources, iter(self._filled(grads, found, unconnected_gradients, shapes)))

    @entry
    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The Jacobian of each sample's target with respect to its own source: `(batch, ...,
        ...)`."""
        self._use()
        self._check([target], [source], unconnected_gradients)
        value, of = raw(target), raw(source)
        if value.ndim < 2 or of.ndim < 2 or value.shape[0] != of.shape[0]:
            raise ValueError(
                "target and source must have one batch axis, and others. "
                f"Received shapes: {value.shape}, {of.shape}."
            )
        batch, size = value.shape[0], int(np.prod(value.shape[1:]))
        with precision((value,)):
            one = jnp.eye(size, dtype=value.dtype).reshape(size, 1, *value.shape[1:])
            basis = jnp.broadcast_to(one, (size, *value.shape))
        (rows,) = self._rows(target, [source], basis)
        self._forget()
        shape = (batch, *value.shape[1:], *of.shape[1:])
        if rows is None:  # TensorFlow returns zeros regardless of unconnected_gradients
            return Tensor(np.zeros(shape, value.dtype))
        return run(_rows_to_batch, (rows,), (shape,))

    def _rows(self, target: Any, found: list[Any], basis: Any) -> list[Any]:
        if not self._follows(target):
            return [None] * len(found)
        if not context.state.tapes:  # no tape records the backward pass, so it can be vectorized
            connected: list[bool] = []

            def row(seed: Any) -> list[Any]:
                grads = self._back([target], [Tensor(seed)], found)
                connected[:] = [g is not None for g in grads]
                return [g._value for g in grads if g is not None]

            # Exported functions with unknown sizes have no batching rule.
            with precision((basis, *map(raw, found))), contextlib.suppress(NotImplementedError):
                stacked = iter(jax.vmap(row)(basis))
                return [Tensor(next(stacked)) if c else None for c in connected]
        if not len(basis):
            return [Tensor(np.zeros((0, *raw(x).shape), raw(x).dtype)) for x in found]
        rows = [self._back([target], [Tensor(b)], found) for b in basis]
        return [
            None if column[0] is None else run(_stacked, column)
            for column in zip(*rows, strict=True)
        ]

    def _use(self) -> None:
        if self._spent:
            raise RuntimeError(
                "A non-persistent tape can only compute one gradient. Use "
                "GradientTape(persistent=True) to compute several."
            )
        if not self._persistent:
            if self._active:
                self._stop()
            self._spent = True

    def _check(self, targets: list[Any], found: list[Any], unconnected: str) -> None:
        check_unconnected(unconnected)
        for what, values in (("target", targets), ("sources", found)):
            for x in values:
                if not _is_followable(x):
                    raise TypeError(
                        f"{what} must be tensors and variables. Received: {type(x).__name__}. "
                        "Results of plain JAX or numpy functions are not recorded: "
                        + Refusal.message
                    )

    def _back(
        self,
        targets: list[Any],
        seeds: list[Any],
        found: list[Any],
        stops: Container[int] = (),
        by_rows: bool = False,
    ) -> list[Any]:
        """The gradients with respect to `found`, `None` for those that no target depends on.

        Args:
            stops: the ids of tensors that no gradient passes through.
            by_rows: whether a gradient with respect to a value of which only rows were gathered
                is given as `IndexedSlices`.
        """
        # The operations between the sources and the targets:
        followed = {id(x) for x in found if self._knows(x)}
        needed, between = set(followed), []
        sliced = set(followed if by_rows else ())  # values whose gradients may be IndexedSlices
        for node in self._nodes:
            if not needed.isdisjoint(map(id, node.passed)):
                node = node.widened()
            bits = sum([1 << k for k, x in enumerate(node.inputs) if id(x) in needed])
            reached = [id(o) for o, mask in zip(node.outputs, node.depends) if mask & bits]
            reached = [output for output in reached if output not in stops]
            if reached:
                needed.update(reached)
                between.append(node)
                if node.keeps_rows and id(node.inputs[0]) in sliced:
                    sliced.update(reached)
        grads: dict[int, Any] = {}

        def add(x: Any, g: Any) -> None:
            known = grads.get(id(x))
            grads[id(x)] = g if known is None else _sum(known, g)

        for target, seed in zip(targets, seeds):
            if seed is not None:  # a source that is a target has a gradient on every tape
                add(target, _conjugate(seed))
        for node in reversed(between):
            given = [grads.get(id(output)) for output in node.outputs]
            if node.keeps_rows and isinstance(given[0], IndexedSlices):
                add(node.inputs[0], _rows_through(node, given[0]))
                continue
            given = list(map(_whole, given))
            if node.rows is not None and id(node.inputs[0]) in sliced:
                if given[0] is not None:
                    add(node.inputs[0], _rows_at(node.inputs[0], given[0], node.rows))
            elif any(g is not None for g in given):
                for x, g in zip(node.inputs, node.pull(given)):
                    if g is not None and id(x) in needed:
                        add(x, g if by_rows else _whole(g))
        hidden = set(map(id, found)) & set(map(id, targets)) - followed
        for lost in self._lost(targets, hidden):
            grads.pop(lost, None)
        return [_conjugate(grads[id(x)]) if id(x) in grads else None for x in found]

    def _lost(self, targets: list[Any], hidden: set[int]) -> set[int]:
        """Sources that are targets, and for which TensorFlow nevertheless has no gradient.

        Args:
            hidden: the sources that are targets and that the tape does not follow. Those that are
                inputs of an operation before another target are lost.
        """
        lost: set[int] = set()
        before = set(map(id, targets)) if hidden else set()
        for node in reversed(self._nodes if hidden else ()):
            if not before.isdisjoint(map(id, node.outputs)):
                before.update(map(id, node.inputs))
                lost.update(hidden.intersection(map(id, (*node.passed, *node.inputs))))
        return lost

    def _forget(self) -> None:
        if not self._persistent:
            self._nodes, self._recorded = [], {}

    def _filled(
        self, grads: list[Any], found: list[Any], unconnected: str, shapes: Any = None
    ) -> list[Any]:
        grads = [
            weakened(read(g)) if isinstance(x, WeakTensor) and isinstance(g, Tensor) else g
            for g, x in zip(grads, found, strict=True)
        ]
        if unconnected == UnconnectedGradients.NONE:
            return grads
        shapes = [raw(x).shape for x in found] if shapes is None else shapes
        return [
            _zeros_for(x, shape) if g is None else g
            for g, x, shape in zip(grads, found, shapes, strict=True)
        ]


def _is_followable(x: Any) -> bool:
    return isinstance(x, (Tensor, nnx.Variable, TextVariable))


def _zeros_for(source: Any, shape: Any) -> Tensor:
    if source.dtype is dtypes.string:
        return Tensor(np.full(shape, b"", object))
    zeros = Tensor(np.zeros(shape, raw(source).dtype))
    pass_on([source], zeros)
    return zeros


class _Paused:
    def __init__(self, tape: GradientTape):
        self._tape = tape

    def __enter__(self) -> None:
        self._tape._stop()

    def __exit__(self, *_: Any) -> None:
        self._tape._start()


# TensorFlow's gradients for complex numbers are the conjugates of JAX's.
@by_rows
def _conjugate(x: Tensor) -> Tensor:
    return run(jnp.conj, (x,)) if x._value.dtype.kind == "c" else x


def _rows_at(source: Any, gradient: Tensor, indices: Tensor) -> IndexedSlices:
    shape = tuple(raw(source).shape)
    return IndexedSlices(
        _reshape(gradient, (-1, *shape[1:])), _reshape(indices, (-1,)), list(shape)
    )


def _rows_through(node: Node, gradient: IndexedSlices) -> IndexedSlices:
    """The gradient with respect to the input of an operation that keeps rows."""

    def pulled(rows: Any) -> Any:
        of = jax.ShapeDtypeStruct(rows.shape, node.values[0].dtype)
        return jax.linear_transpose(node.again, of)([rows])[0]

    with precision(node.taken):
        return gradient.with_values(run(pulled, (gradient.values,), lasting=False))


def _whole(gradient: Any) -> Any:
    return gradient._as_tensor() if isinstance(gradient, IndexedSlices) else gradient


def _sum(first: Any, second: Any) -> Any:
    if not (isinstance(first, IndexedSlices) and isinstance(second, IndexedSlices)):
        return run(jnp.add, (_whole(first), _whole(second)))
    values, indices = zip((second.values, second.indices), (first.values, first.indices))
    return IndexedSlices(
        run(_concatenated, values), run(_concatenated, indices), list(first._sizes or ())
    )


def _concatenated(*parts: Any) -> Any:
    return jnp.concatenate(parts)


def _operand(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else convert_to_tensor(x)


def _ones(value: Any) -> Tensor:
    with precision((value,)):
        return Tensor(jnp.ones(value.shape, value.dtype))


def _reshape(x: Tensor, shape: tuple[int, ...]) -> Any:
    return run(jnp.reshape, (x,), (shape,))


def _rows_to_batch(rows: Any, shape: tuple[int, ...]) -> Any:
    return jnp.moveaxis(rows, 0, 1).reshape(shape)


def _stacked(*rows: Any) -> Any:
    return jnp.stack(rows)
