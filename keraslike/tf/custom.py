"""`tf.custom_gradient`, over `jax.custom_gradient`."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context, lowering, operation, symbolic
from keraslike.core.boxed import unbox
from keraslike.core.context import trace_state_clean
from keraslike.core.jax_internals import TRANSPARENT, current_trace
from keraslike.core.methods import DecoratedMethod, is_in_class_body
from keraslike.tf.autodiff import ForwardAccumulator
from keraslike.tf.calls import Reader
from keraslike.tf.conversion import _as_operand, convert_to_tensor
from keraslike.tf.recording import GivenNode, is_ragged, leaves_of, rebuilt, zero
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.tape import GradientTape
from keraslike.tf.tensor import Tensor, _identity, _is_inexact, array_in, raw, run, wrap


class _Watcher(Reader):
    """Notes which trainable variables are read, and which tensors of the enclosing trace, or of an
    outer tape."""

    def __init__(self, tapes: tuple[Any, ...], around: Any, known: set[int]) -> None:
        super().__init__()
        self._tapes, self._around, self._known = tapes, around, known

    def _follows(self, x: Any) -> bool:
        if isinstance(x, Tensor):
            trace = getattr(x._value, "_trace", None)
            outer = trace is not None and trace is self._around is not current_trace()
            outer = outer and id(x._value) not in self._known
            if outer or any(tape._follows(x) for tape in self._tapes):
                self.tensors[id(x)] = x
            return False
        return super()._follows(x)


def custom_gradient(f: Callable | None = None) -> Callable:
    """A decorator for a function that returns `(outputs, grad_fn)`, whose gradient is `grad_fn`.

    Args:
        f: a function of tensors, or of lists and dicts of them. `grad_fn(*upstream)` takes a
            tensor for each output, and returns one for each tensor of the arguments. If `f` reads
            trainable variables, it is called as `grad_fn(*upstream, variables=variables)`, and
            returns the gradients with respect to arguments and those with respect to variables.
            In the body of a class, the first argument is the object.

    Raises TypeError if `f` reads trainable variables and `grad_fn` does not accept them.

    >>> @custom_gradient
    ... def better_softplus(z):
    ...     exp = tf.exp(z)
    ...     return tf.math.log(exp + 1), lambda grad: grad / (1 + 1 / exp)
    >>> x = tf.constant(1000.0)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = better_softplus(x)
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=1.0>
    """
    if f is None:
        return custom_gradient
    if is_in_class_body(f):
        return DecoratedMethod(custom_gradient, f)

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        if symbolic.is_symbolic(args, kwargs):
            return operation.FunctionOperation(decorated)(*args, **kwargs)
        if any(isinstance(a, (list, tuple, dict)) or is_ragged(a) for a in args):
            flat = custom_gradient(lambda *leaves: f(*rebuilt(args, iter(leaves)), **kwargs))
            return flat(*leaves_of(args))
        tensors = [_as_operand(a) for a in args]
        if trace_state_clean():
            return _run_eagerly(f, tensors, kwargs)
        read: list[Any] = []
        constant: frozenset[int] | None = None
        tapes, structure = context.state.tapes, []
        while True:
            of_arrays = _of_arrays(f, len(args), kwargs, read, tapes, constant is None, structure)
            call = _stopping(_with_gradient(of_arrays), constant or frozenset())
            try:
                results = run(call, [*tensors, *read], lasting=False, own=False)
                return rebuilt(structure[0], iter(results))
            except _Reads as e:
                read += e.read
            except _Constant as e:
                constant = e.places

    return decorated


def grad_pass_through(f: Callable) -> Callable:
    """The function with the gradient of the identity: a straight-through estimator.

    >>> x = tf.constant(1.7)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = grad_pass_through(tf.round)(x)
    >>> float(y), float(tape.gradient(y, x))
    (2.0, 1.0)
    """

    @custom_gradient
    def passing(*args: Any, **kwargs: Any) -> Any:
        def gradient(*upstream: Any, variables: Any = None) -> Any:
            return upstream if variables is None else (upstream, [None] * len(variables))

        return f(*args, **kwargs), gradient

    return functools.wraps(f)(passing)


def recompute_grad(f: Callable) -> Callable:
    """The function, recomputed for its gradient instead of keeping intermediate values.

    >>> cube = recompute_grad(lambda x: x**3)
    >>> x = tf.constant(2.0)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = cube(x)
    >>> float(tape.gradient(y, x))
    12.0
    """

    @functools.wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        @custom_gradient
        def once(*args: Any) -> Any:
            def gradient(*upstream: Any, variables: Any = None) -> Any:
                every = list(variables or ())
                ours = leaves_of(args)
                with GradientTape() as tape:
                    tape.watch([*ours, *every])
                    again = f(*args, **kwargs)
                found = tape.gradient(again, [*ours, *every], rebuilt(again, iter(upstream)))
                ours, theirs = found[: len(ours)], found[len(ours) :]
                return ours if variables is None else (ours, theirs)

            return f(*args, **kwargs), gradient

        return once(*args)

    return recomputed


class _Reads(Exception):
    """The function reads variables and tensors that are not among its inputs yet."""

    def __init__(self, read: list[Any]):
        self.read = read


class _Constant(Exception):
    """The gradients with respect to some arguments are None."""

    def __init__(self, places: frozenset[int]):
        self.places = places


def _stopping(function: Callable, places: frozenset[int]) -> Callable:
    if not places:
        return function

    def stopping(*values: Any) -> Any:
        return function(
            *[jax.lax.stop_gradient(v) if i in places else v for i, v in enumerate(values)]
        )

    stopping.analyse = True  # type: ignore[attr-defined]  # see `recording.run_recorded`
    return stopping


def _with_gradient(function: Callable) -> Callable:
    """`jax.custom_gradient(function)` whose gradient also holds in gradients of gradients.

    There JAX differentiates the operations in `function`, since `made.fwd` consists of them. Here
    its results pass through `given`, an identity with the gradient of the whole function.
    """
    made: Any = jax.custom_gradient(function)
    forward, backward = made.fwd, made.bwd

    @jax.custom_vjp
    def given(out: Any, values: Any, residuals: Any) -> Any:
        return out

    def given_forward(*args: Any) -> Any:
        return given(*args), args[-1]

    given.defvjp(given_forward, lambda residuals, g: (None, backward(residuals, g), None))

    def forward_again(*values: Any) -> Any:
        out, residuals = forward(*values)
        return given(out, values, residuals), residuals

    made.defvjp(forward_again, backward)
    return made


def _of_arrays(
    f: Callable,
    count: int,
    kwargs: dict[str, Any],
    read: list[Any],
    tapes: tuple,
    asks: bool,
    structure: list[Any],
) -> Callable:
    """`f` as a function for `jax.custom_gradient`, of its arguments and of the values it reads. It
    returns the tensors among the results of `f`.

    Args:
        asks: whether `_Constant` is raised if a gradient is None.
        structure: a list that receives what `f` returns.
    """
    variables = [x for x in read if not isinstance(x, Tensor)]
    around, arrays = current_trace(), {id(x._value) for x in read if isinstance(x, Tensor)}
    known = {id(x) for x in read}

    @contextlib.contextmanager
    def holding(state: dict[int, Any], within: Any) -> Iterator[None]:
        # What `f` computes itself belongs to the enclosing trace, too, where JAX calls it in that
        # trace, or within a transparent one.
        separate = within is not around and not isinstance(within, TRANSPARENT)
        watcher = _Watcher(tapes, around if separate else None, arrays)
        with (
            lowering.holding(read, [state[id(x)] for x in read]),
            context.using(tapes=(watcher,)),
        ):
            yield
        found = watcher.variables | watcher.tensors
        missing = [x for x in found.values() if id(x) not in known]
        if missing:
            raise _Reads(missing)

    def of_arrays(*given: Any) -> Any:
        values = tuple(map(jnp.asarray, given))  # JAX may pass Python numbers
        state, within = dict(zip(map(id, read), values[count:])), current_trace()
        with holding(state, within):
            made, grad_fn = f(*[Tensor(v) for v in values[:count]], **kwargs)
            _check(grad_fn, variables)
        structure[:], out = [made], [unbox(x) for x in leaves_of(made)]
        if asks:
            with lowering.holding(read, values[count:]), context.using(tapes=()):
                places = _places_of_none(grad_fn, out, count, variables)
            if places:
                at = {id(x): count + i for i, x in enumerate(read)}
                by_variables = [at[id(v)] for v in variables]
                raise _Constant(
                    frozenset(i if i < count else by_variables[i - count] for i in places)
                )

        def rule(upstream: Any) -> Any:
            with holding(state, within):
                found = _gradients(grad_fn, leaves_of(wrap(upstream)), count, variables)
            by_read = dict(zip(map(id, variables), found[count:]))
            found = [*found[:count], *(by_read.get(id(x)) for x in read)]
            grads: Any = tuple(_cotangent(g, v) for g, v in zip(found, values, strict=True))
            return grads if len(grads) > 1 else grads[0]

        return out, rule

    return of_arrays


def _places_of_none(
    grad_fn: Callable, out: Any, count: int, variables: list[Any]
) -> frozenset[int]:
    """The positions of None among the results of `_gradients`. Errors are ignored, since they are
    raised again by the actual call."""
    places: list[int] = []

    def probe(upstream: Any) -> None:
        found = _gradients(grad_fn, leaves_of(wrap(upstream)), count, variables)
        places[:] = [i for i, g in enumerate(found) if g is None]

    with contextlib.suppress(Exception):
        jax.eval_shape(probe, out)
    return frozenset(places)


def _gradients(grad_fn: Callable, seeds: list[Any], count: int, variables: list[Any]) -> list[Any]:
    """The gradients of the user's function, for each argument and then for each variable.

    The gradients that tapes and JAX pass on are the complex conjugates of TensorFlow's, which the
    user's function takes and returns.
    """
    by_variables: Any = ()
    seeds = [_conjugate(s) for s in seeds]
    if variables:
        grads, by_variables = grad_fn(*seeds, variables=variables)
    else:
        grads = grad_fn(*seeds)
    flat = leaves_of(grads)
    if len(flat) != count:
        raise ValueError(
            f"The gradient function must return {count} gradients, one for each argument. "
            f"It returned {len(flat)}."
        )
    return [_conjugate(g) for g in (*flat, *by_variables)]


def _conjugate(gradient: Any) -> Any:
    if isinstance(gradient, IndexedSlices):
        return gradient.with_values(_conjugate(gradient.values))
    if gradient is None or not jnp.iscomplexobj(array_in(gradient)):
        return gradient
    return run(jnp.conj, (convert_to_tensor(gradient),))


# -- eager calls ----------------------------------------------------------------------------------


def _run_eagerly(f: Callable, tensors: list[Any], kwargs: dict[str, Any]) -> Any:
    """Runs and records the call.

    As in TensorFlow, a tape that follows an argument, or a variable that `f` reads, uses the user's
    gradient; any other tape uses those of the operations in `f`. The user's gradient function is
    itself recorded if it runs inside of a tape.
    """
    tapes = context.state.tapes
    watcher = Reader()
    with context.using(tapes=(watcher, *tapes)):
        out, grad_fn = f(*tensors, **kwargs)
    given = {id(x) for x in tensors}
    variables = [v for key, v in watcher.variables.items() if key not in given]
    _check(grad_fn, variables)
    inputs = [*tensors, *variables]
    own = [
        t for t in tapes
        # It follows the operations in `f`, where the outputs are computed by operations.
        if not (isinstance(t, ForwardAccumulator) and any(map(t._follows, leaves_of(out))))
        and any(t._follows(x) and _is_inexact(raw(x)) for x in inputs)
    ]  # fmt: skip
    with context.using(tapes=tuple(t for t in tapes if t not in own)):
        results = [run(_identity, (convert_to_tensor(x),)) for x in leaves_of(out)]

    def gradients(seeds: list[Tensor | None]) -> list[Tensor | None]:
        seeds = [Tensor(zero(r._value)) if s is None else s for s, r in zip(seeds, results)]
        found = _gradients(grad_fn, seeds, len(tensors), variables)
        return [None if g is None else _fitted(g, raw(x)) for g, x in zip(found, inputs)]

    for tape in own:
        tape._record(GivenNode(inputs, results, gradients))
    return rebuilt(out, iter(results))


def _fitted(gradient: Any, value: Any) -> Any:
    """The gradient as a tensor, broadcast to the shape of the value. Rows remain rows."""
    if isinstance(gradient, IndexedSlices):
        return IndexedSlices(gradient.values, gradient.indices, list(value.shape))
    tensor = convert_to_tensor(gradient)
    if tensor._value.shape == value.shape:
        return tensor
    return run(jnp.broadcast_to, (tensor,), (value.shape,))


def _check(grad_fn: Callable, variables: list[Any]) -> None:
    """Raises TypeError for a gradient function that does not accept variables but has to."""
    if not variables:
        return
    try:
        parameters = inspect.signature(grad_fn).parameters.values()
    except ValueError:  # a built-in function without a signature
        return
    if not any(p.name == "variables" or p.kind is p.VAR_KEYWORD for p in parameters):
        names = ", ".join(str(getattr(v, "name", v)) for v in variables)
        raise TypeError(
            f"The function reads trainable variables ({names}), so its gradient function must "
            "accept `variables=`, and return (gradients for arguments, gradients for variables)."
        )


def _cotangent(gradient: Any, value: Any) -> Any:
    if gradient is None or not _is_inexact(value):
        return zero(value)
    if isinstance(gradient, IndexedSlices):
        gradient = _fitted(gradient, value)._as_tensor()
    array = gradient._value if isinstance(gradient, Tensor) else jnp.asarray(gradient)
    return jnp.broadcast_to(array, value.shape).astype(value.dtype)
