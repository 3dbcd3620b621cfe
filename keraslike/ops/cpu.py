"""One function on the CPU, another one on every other platform.

XLA's CPU backend computes some convolutions and poolings a hundred times slower than an equivalent
form: `cpu_conv.py`, `cpu_pool.py`. The function is selected when a program is lowered, so that a
program which is traced here and exported to another platform is fast there.

`lax.platform_dependent` would be simpler, but it is a conditional. Its derivative passes the index
of the platform from the forward to the backward pass as data, XLA removes the conditional only
after it has selected its convolution algorithms, and convolutions in it are up to eighty times
slower. So this is a primitive. Its derivatives, transposes and batched forms are the same primitive
with the derivatives, transposes and batched forms of both functions: forward mode, reverse mode,
`vmap` and derivatives of any order work as for ordinary operations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from keraslike.core import dtypes, one_kernel

_choice = Primitive("on_cpu")
_choice.multiple_results = True


class Call(NamedTuple):
    """A function with its static arguments; equal calls have equal functions and arguments."""

    function: Callable
    args: tuple = ()

    def __call__(self, *arrays: Any) -> tuple:
        out = self.function(*arrays, *self.args)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)


def on_cpu(fast: Call, plain: Call, *args: jax.Array, alone: Call | None = None) -> jax.Array:
    """`fast` on the CPU and `plain` elsewhere; half precision is computed in float32.

    `alone` is the form on the CPU of a value that no derivative is taken of, where it has another.
    """
    alone = alone or fast
    if dtypes.is_half(args[0].dtype):
        fast, alone = Call(_wide, (fast,)), Call(_wide, (alone,))
    (out,) = _choice.bind(*args, fast=fast, plain=plain, alone=alone)
    return out


def _wide(*given: Any) -> tuple:
    *arrays, function = given
    out = function(*(a.astype("float32") for a in arrays))
    return tuple(o.astype(arrays[0].dtype) for o in out)


@functools.lru_cache(maxsize=1024)
def _compiled(**calls: Call) -> Callable:
    return jax.jit(lambda *args: _choice.bind(*args, **calls))


@_choice.def_impl
def _(*args: Any, **calls: Call) -> Any:
    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        return calls["plain"](*args)
    return _compiled(**calls)(*args)


@_choice.def_abstract_eval
def _(*args: Any, plain: Call, **_: Call) -> Any:
    return jax.make_jaxpr(plain)(*args).out_avals


mlir.register_lowering(_choice, mlir.lower_fun(lambda *a, plain, **_: plain(*a), True))
mlir.register_lowering(
    _choice, mlir.lower_fun(lambda *a, alone, **_: alone(*a), True), platform="cpu"
)


def _tangents(*given: Any) -> tuple:
    """The tangents of `function` for those of its arguments that have one."""
    *arrays, function, moving = given
    primals, tangents = arrays[: len(moving)], arrays[len(moving) :]

    def of(*some: Any) -> tuple:
        rest = iter(some)
        return function(*(next(rest) if m else p for m, p in zip(moving, primals)))

    return jax.jvp(of, [p for m, p in zip(moving, primals) if m], tangents)[1]


def _bound(args: Sequence[Any], fast: Call, plain: Call) -> list:
    return _choice.bind(*args, fast=fast, plain=plain, alone=fast)


def _choice_jvp(primals: Any, tangents: Any, *, fast: Call, plain: Call, alone: Call) -> tuple:
    del alone
    moving = tuple(not isinstance(t, ad.Zero) for t in tangents)
    there = [ad.instantiate_zeros(t) for t in tangents if not isinstance(t, ad.Zero)]
    moved = (Call(_tangents, (function, moving)) for function in (fast, plain))
    return _bound(primals, fast, plain), _bound([*primals, *there], *moved)


ad.primitive_jvps[_choice] = _choice_jvp


def _cotangents(*given: Any) -> tuple:
    """The transpose of `function` in the arguments in which it is linear."""
    *arrays, function, linear = given
    known = len(linear) - sum(x is not None for x in linear)
    fixed, cotangents = arrays[:known], arrays[known:]

    def of(*some: Any) -> tuple:
        rest, others = iter(some), iter(fixed)
        return function(*(next(others) if x is None else next(rest) for x in linear))

    return jax.linear_transpose(of, *(x for x in linear if x is not None))(tuple(cotangents))


def _choice_transpose(cotangents: Any, *args: Any, fast: Call, plain: Call, alone: Call) -> list:
    del alone
    linear = tuple(a.aval if ad.is_undefined_primal(a) else None for a in args)
    known = [a for a in args if not ad.is_undefined_primal(a)]
    back = (Call(_cotangents, (function, linear)) for function in (fast, plain))
    found = iter(_bound([*known, *map(ad.instantiate_zeros, cotangents)], *back))
    return [None if x is None else next(found) for x in linear]


ad.primitive_transposes[_choice] = _choice_transpose


def _mapped(*given: Any) -> tuple:
    *arrays, function, axes = given
    return jax.vmap(function, axes)(*arrays)


def _choice_batch(args: Any, axes: Any, **calls: Call) -> tuple:
    mapped = {name: Call(_mapped, (call, tuple(axes))) for name, call in calls.items()}
    out = _choice.bind(*args, **mapped)
    return out, [0] * len(out)


batching.primitive_batchers[_choice] = _choice_batch


# -- fusion -----------------------------------------------------------------------------------


def once(x: jax.Array) -> jax.Array:
    """`x`, computed once before all operations that read it; its derivatives are, too.

    XLA's CPU backend fuses the computation of `x` into each loop that reads it, and repeats it
    there: a normalization is computed nine times for the nine taps of a window, in a slow memory
    order. XLA removes an optimization barrier before it fuses, but it does not fuse across a
    function that must not be inlined. This is such a function; it returns its argument.
    """
    return _once.bind(x)


_once = Primitive("once")
_once.def_impl(lambda x: x)
_once.def_abstract_eval(lambda x: x)


def _itself(x: jax.Array) -> jax.Array:
    with set_xla_metadata(inlineable="false"):
        return jax.jit(lambda x: x)(x)


mlir.register_lowering(_once, mlir.lower_fun(lambda x: x, False))
mlir.register_lowering(_once, mlir.lower_fun(_itself, False), platform="cpu")
ad.deflinear(_once, lambda t: [_once.bind(t)])
batching.defvectorized(_once)


# The rules with which `export` lowers these primitives on all platforms.
PORTABLE = (
    *one_kernel.PORTABLE,
    (_choice, mlir.lower_fun(lambda *a, plain, **_: plain(*a), True)),
    (_once, mlir.lower_fun(lambda x: x, False)),
)


# -- derivatives ------------------------------------------------------------------------------


class Bilinear(NamedTuple):
    """Three functions of two arrays, each a sum of the third's products with those of the others.

    `value(x, w)` is linear in both; `along_x(dy, w)` and `along_w(x, dy)` are the gradients of
    `sum(value(x, w) * dy)`. Each may be computed its own way: derivatives of any order come down
    to these three, and never to a transpose of how one of them is written.
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    along_x: Callable[[jax.Array, jax.Array], jax.Array]
    along_w: Callable[[jax.Array, jax.Array], jax.Array]

    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        return _bilinear.bind(x, w, forms=self)


def transposed(function: Callable, index: int, like: jax.Array) -> Callable:
    """The gradient form of a bilinear `function`, derived by JAX."""
    shape = jax.ShapeDtypeStruct(like.shape, like.dtype)

    def gradient(*args: jax.Array) -> jax.Array:
        def of(x: jax.Array) -> jax.Array:
            return function(*args[:index], x, *args[index + 1 :])

        return jax.linear_transpose(of, shape)(args[index])[0]

    return gradient


_bilinear = Primitive("bilinear")
_bilinear.def_impl(lambda x, w, forms: forms.value(x, w))
_bilinear.def_abstract_eval(lambda x, w, forms: jax.make_jaxpr(forms.value)(x, w).out_avals[0])
mlir.register_lowering(_bilinear, mlir.lower_fun(lambda x, w, forms: forms.value(x, w), False))


def _bilinear_jvp(primals: Any, tangents: Any, *, forms: Bilinear) -> tuple:
    (x, w), (dx, dw) = primals, tangents
    y = forms(x, w)
    parts = [] if isinstance(dx, ad.Zero) else [forms(dx, w)]
    parts += [] if isinstance(dw, ad.Zero) else [forms(x, dw)]
    return y, sum(parts[1:], parts[0])


ad.primitive_jvps[_bilinear] = _bilinear_jvp


def _bilinear_transpose(dy: Any, x: Any, w: Any, *, forms: Bilinear) -> list:
    value, along_x, along_w = forms
    if isinstance(dy, ad.Zero):
        return [ad.Zero(a.aval) if ad.is_undefined_primal(a) else None for a in (x, w)]
    if ad.is_undefined_primal(x):
        return [Bilinear(along_x, value, lambda dy, x: along_w(x, dy))(dy, w), None]
    return [None, Bilinear(along_w, lambda w, dy: along_x(dy, w), value)(x, dy)]


ad.primitive_transposes[_bilinear] = _bilinear_transpose


def _bilinear_batch(args: Any, axes: Any, *, forms: Bilinear) -> tuple:
    x, w = (a if i is None else jnp.moveaxis(a, i, 0) for a, i in zip(args, axes))
    along = [None if i is None else 0 for i in axes]

    def mapped(function: Callable, axes: Sequence[int | None], single: bool) -> Callable:
        def of(*arrays: jax.Array) -> jax.Array:
            y = jax.vmap(function, axes)(*arrays)
            return y.sum(0) if single else y

        return of

    each = Bilinear(
        mapped(forms.value, along, False),
        mapped(forms.along_x, (0, along[1]), along[0] is None),
        mapped(forms.along_w, (along[0], 0), along[1] is None),
    )
    return each(x, w), 0


batching.primitive_batchers[_bilinear] = _bilinear_batch


# -- shapes -----------------------------------------------------------------------------------


def known(x: jax.Array, batch: int = 0) -> bool:
    """Whether all sizes but the batch's are numbers (in an export they may be symbols)."""
    return all(isinstance(n, int) for i, n in enumerate(x.shape) if i != batch)


def is_small(shape: Sequence[Any]) -> bool:
    """Whether an array is so small (as for a single image) that XLA's own form is as fast."""
    return isinstance(shape[0], int) and math.prod(shape) < 1 << 16


def pads_of(
    size: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Any
) -> Any:
    if isinstance(padding, str):
        return tuple(lax.padtype_to_pads(size, window, strides, padding))
    return tuple((int(before), int(after)) for before, after in padding)


def pad(x: jax.Array, value: Any, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Pads with a value; negative numbers crop."""
    if not any(map(any, pads)):
        return x
    return lax.pad(x, jnp.asarray(value, x.dtype), [(*p, 0) for p in pads])
