"""`tf.custom_gradient`, on JAX's: the gradient that the user wrote, wherever one is taken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from keraslike.core import context, lowering, symbolic
from keraslike.core.boxed import unbox
from keraslike.tf import recording
from keraslike.tf.recording import leaves_of, zero
from keraslike.tf.tape import _trains
from keraslike.tf.tensor import Tensor, _as_operand, _is_inexact, run, wrap


class _Reader:
    """A tape that records nothing and notes the trainable variables that are read."""

    def __init__(self) -> None:
        self.variables: dict[int, Any] = {}

    def _follows(self, x: Any) -> bool:
        if isinstance(x, nnx.Variable) and _trains(x):
            self.variables.setdefault(id(x), x)
        return False

    take = staticmethod(recording.take)


def custom_gradient(f: Callable | None = None) -> Callable:
    """Decorator for a function that gives `(outputs, grad_fn)`: its gradient is `grad_fn`'s.

    Args:
        f: takes tensors. `grad_fn(*upstream)` takes a tensor for each output and gives one for each
            argument. Where `f` reads trainable variables it is `grad_fn(*upstream, variables)`, and
            gives `(gradients by arguments, gradients by variables)`.

    Raises TypeError where `f` reads trainable variables and `grad_fn` does not take them.

    >>> from keraslike import tf
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

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        if symbolic.is_symbolic(args, kwargs):
            return symbolic.FunctionOperation(decorated)(*args, **kwargs)
        tensors = [_as_operand(a) for a in args]
        variables: list[Any] = []
        while True:
            call = jax.custom_gradient(_of_arrays(f, len(args), kwargs, variables))
            try:
                return run(call, [*tensors, *variables], lasting=False)
            except _Reads as e:
                variables += e.variables

    return decorated


class _Reads(Exception):
    """The function reads these variables too."""

    def __init__(self, variables: list[Any]):
        self.variables = variables


def _of_arrays(f: Callable, count: int, kwargs: dict[str, Any], variables: list[Any]) -> Callable:
    """`f` as JAX's `custom_gradient` takes it, of its arguments and the variables it reads."""

    def of_arrays(*given: Any) -> Any:
        values = tuple(map(jnp.asarray, given))  # JAX may give Python's numbers
        state = values[count:]
        reader = _Reader()
        with lowering.holding(variables, state), context.using(tapes=(reader,)):
            out, grad_fn = f(*[Tensor(v) for v in values[:count]], **kwargs)
        known = {id(v) for v in variables}
        missing = [v for key, v in reader.variables.items() if key not in known]
        if missing:
            raise _Reads(missing)

        def rule(upstream: Any) -> Any:
            seeds = leaves_of(wrap(upstream))
            with lowering.holding(variables, state), context.using(tapes=()):
                if not variables:
                    grads = grad_fn(*seeds)
                else:
                    grads, by_variables = _with_variables(grad_fn, seeds, variables)
            flat: list[Any] = list(grads) if isinstance(grads, (list, tuple)) else [grads]
            if len(flat) != count:
                raise ValueError(
                    f"The gradient function must give {count} gradients, one for each argument. "
                    f"It gave {len(flat)}."
                )
            if variables:
                flat += list(by_variables)
            found: Any = tuple(_cotangent(g, v) for g, v in zip(flat, values, strict=True))
            return found if len(found) > 1 else found[0]

        return unbox(out), rule

    return of_arrays


def _with_variables(grad_fn: Callable, seeds: list[Any], variables: list[Any]) -> Any:
    try:
        return grad_fn(*seeds, variables=variables)
    except TypeError as e:
        if "variables" not in str(e):
            raise
        names = ", ".join(str(getattr(v, "name", v)) for v in variables)
        raise TypeError(
            f"The function reads trainable variables ({names}): its gradient function must take "
            "`variables=` and give (gradients by arguments, gradients by variables)."
        ) from None


def _cotangent(gradient: Any, value: Any) -> Any:
    if gradient is None or not _is_inexact(value):
        return zero(value)
    array = gradient._value if isinstance(gradient, Tensor) else jnp.asarray(gradient)
    return jnp.broadcast_to(array, value.shape).astype(value.dtype)
