"""Programs for all sizes of an axis up to a maximum, for calls of ever new sizes.

XLA compiles a program for each shape, which takes longer than most calls: text that grows by a
token a step would compile in every step. Here a function is traced once with a symbol for the size,
and its operations are run on arrays that are padded to a larger size: what lies beyond the size is
never read, since sums, products and other reductions along such an axis leave it out. Results are
those of the function up to the order of sums. `Unsupported` is raised for an operation that this
module does not know, and for sizes that are computed from the symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from jax.interpreters.partial_eval import dce_jaxpr

from keraslike.core import dtypes

_LEAST, _STEP = 16, 64  # of the padded sizes: powers of two up to `_STEP`, and its multiples


class Unsupported(Exception):
    """A function cannot be run on padded arrays."""


def padded_size(size: int) -> int:
    """The size to which an axis is padded."""
    if size > _STEP:
        return -(-size // _STEP) * _STEP
    return max(_LEAST, 1 << (size - 1).bit_length())


def common_axes(some: Sequence[tuple], others: Sequence[tuple]) -> tuple[tuple[int, ...], ...]:
    """For each of two lists of shapes of equal ranks, the axes that differ; none at all if they do
    not differ in one size only."""
    axes = tuple(
        tuple([i for i, pair in enumerate(zip(a, b)) if pair[0] != pair[1]])
        for a, b in zip(some, others, strict=True)
    )
    sizes = {(a[i], b[i]) for a, b, of in zip(some, others, axes) for i in of}
    return axes if len(sizes) == 1 else ()


class Sizes:
    """The shapes of calls so far, by the kinds of their arguments."""

    def __init__(self) -> None:
        # The last shapes, and the axes of the size that changed before; `None` after a refusal.
        self._last: dict[Any, tuple[list[tuple], tuple] | None] = {}

    def changing(self, kind: Any, shapes: list[tuple]) -> tuple[tuple[int, ...], ...]:
        """For each argument the axes of the size that changes, once it has changed along the same
        axes twice; otherwise none at all."""
        last = self._last.setdefault(kind, (shapes, ()))
        if last is None or last[0] == shapes:
            return ()
        axes = common_axes(last[0], shapes)
        if axes and axes == last[1]:
            return axes
        self._last[kind] = shapes, (axes if not last[1] else ())
        return ()

    def refuse(self, kind: Any) -> None:
        """No axes are returned for this kind any more."""
        self._last[kind] = None


def pad(array: Any, axes: Sequence[int], size: int) -> np.ndarray:
    """The array with zeros added along the axes, up to a size."""
    array = np.asarray(array)
    if not axes:
        return array
    out = np.zeros([size if i in axes else n for i, n in enumerate(array.shape)], array.dtype)
    out[tuple([slice(n) for n in array.shape])] = array
    return out


def cut(array: Any, axes: Sequence[int], size: int) -> np.ndarray:
    """The first elements along the axes."""
    index = [slice(size if i in axes else None) for i in range(array.ndim)]
    return np.ascontiguousarray(np.asarray(array)[tuple(index)])


def run_padded(
    function: Callable, arrays: Sequence[Any], axes: Sequence[Sequence[int]], size: Any
) -> tuple[list[Any], list[tuple[int, ...]]]:
    """The padded results of a function `arrays -> list of arrays`, and for each of them the axes
    that are padded.

    Args:
        arrays: the arguments, of which all `axes` are padded to one size.
        size: the number of elements along those axes that count, an array.
    """
    (symbol,) = export.symbolic_shape("size")
    (padded,) = {a.shape[i] for a, of in zip(arrays, axes) for i in of}
    specs = [
        jax.ShapeDtypeStruct([symbol if i in of else n for i, n in enumerate(a.shape)], a.dtype)
        for a, of in zip(arrays, axes)
    ]
    try:
        closed = jax.make_jaxpr(function)(*specs)
    except Exception as error:
        raise Unsupported(str(error)) from error
    if closed.effects:
        raise Unsupported("effects")
    run = _Run(symbol, padded, size, all(i == 0 for of in axes for i in of))
    found = run.jaxpr(closed.jaxpr, closed.consts, arrays)
    if any(n != symbol for aval in closed.out_avals for n in aval.shape if _is_sized(n)):
        raise Unsupported("a result of another size")
    return found, [run.axes(aval) for aval in closed.out_avals]


class _Run:
    """Runs the operations of a program on padded arrays.

    A multiple of the symbol is the size of an axis of which other axes became part. With `outer`,
    the padded one comes first, so that the first elements count; otherwise it comes last, and the
    first elements of each part do.
    """

    def __init__(self, symbol: Any, padded: int, size: Any, outer: bool):
        self.symbol, self.padded, self.size, self.outer = symbol, padded, size, outer

    def axes(self, aval: Any) -> tuple[int, ...]:
        """The axes of an array that are padded."""
        return tuple([i for i, n in enumerate(aval.shape) if export.is_symbolic_dim(n)])

    def factor(self, n: Any) -> int:
        """By what the symbol is multiplied."""
        factor = n // self.symbol
        if export.is_symbolic_dim(factor) or factor * self.symbol != n:
            raise Unsupported(f"a size of {n}")
        return int(factor)

    def shape(self, sizes: Sequence[Any]) -> list[int]:
        return [
            self.factor(n) * self.padded if export.is_symbolic_dim(n) else int(n) for n in sizes
        ]

    def counted(self, x: Any, aval: Any, axes: Sequence[int], instead: Any) -> Any:
        """The array with another value for the elements that do not count along these axes."""
        for axis in set(axes) & set(self.axes(aval)):
            place = lax.broadcasted_iota("int32", x.shape, axis)
            if self.outer:
                counts = place < self.size * self.factor(aval.shape[axis])
            else:
                counts = place % self.padded < self.size
            x = jnp.where(counts, x, jnp.asarray(instead, x.dtype))
        return x

    def jaxpr(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        # Operations whose results are not used may be unknown here.
        jaxpr, _ = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), instantiate=True)
        values = dict(zip(jaxpr.constvars, consts)) | dict(zip(jaxpr.invars, args))

        def read(v: Any) -> Any:
            return v.val if hasattr(v, "val") else values[v]

        for eqn in jaxpr.eqns:
            given = [read(v) for v in eqn.invars]
            out = self.operation(eqn, given) if _is_sized(eqn) else _plain(eqn, given)
            values.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out]))
        return [read(v) for v in jaxpr.outvars]

    def operation(self, eqn: Any, given: list[Any]) -> Any:
        name, p = eqn.primitive.name, eqn.params
        avals = [v.aval for v in eqn.invars]
        if name in _ELEMENTWISE:
            return _plain(eqn, given)
        if name in ("jit", "pjit", "closed_call"):
            return self.jaxpr(p["jaxpr"].jaxpr, p["jaxpr"].consts, given)
        if name in ("custom_jvp_call", "custom_vjp_call"):
            return self.jaxpr(p["call_jaxpr"].jaxpr, p["call_jaxpr"].consts, given)
        if name == "on_cpu" and not dtypes.is_half(avals[0].dtype):  # two forms of one result
            specs = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
            closed = jax.make_jaxpr(p["plain"])(*specs)
            return self.jaxpr(closed.jaxpr, closed.consts, given)
        if name in _REDUCTIONS:
            if name.startswith("arg"):
                self.in_order(avals[0], p["axes"])
            instead = _REDUCTIONS[name](avals[0].dtype)
            return _plain(eqn, [self.counted(given[0], avals[0], p["axes"], instead)])
        if name == "dot_general":
            summed = p["dimension_numbers"][0]
            both = zip(given, avals, summed)
            return _plain(eqn, [self.counted(x, aval, axes, 0) for x, aval, axes in both])
        if name == "dim_as_value":
            return (self.size * self.factor(p["dim"])).astype(eqn.outvars[0].aval.dtype)
        if name == "broadcast_in_dim":
            return lax.broadcast_in_dim(given[0], self.shape(p["shape"]), p["broadcast_dimensions"])
        if name == "iota":
            self.in_order(eqn.outvars[0].aval, [p["dimension"]])
            return lax.broadcasted_iota(p["dtype"], self.shape(p["shape"]), p["dimension"])
        regrouped = name == "reshape" and p["dimensions"] is None
        if regrouped and self.between(avals[0].shape) == self.between(p["new_sizes"]):
            return lax.reshape(given[0], self.shape(p["new_sizes"]))
        if name in ("transpose", "squeeze"):
            return _plain(eqn, given)
        if name == "split" and p["axis"] not in self.axes(avals[0]):
            return _plain(eqn, given)
        if name == "concatenate" and all(p["dimension"] not in self.axes(a) for a in avals):
            return _plain(eqn, given)
        if name in _CUMULATIVE and not (p["reverse"] and p["axis"] in self.axes(avals[0])):
            self.in_order(avals[0], [p["axis"]])
            return _plain(eqn, given)
        if name in ("slice", "gather", "dynamic_slice"):
            return getattr(self, name)(eqn, given, avals[0])
        raise Unsupported(name)

    def slice(self, eqn: Any, given: list[Any], aval: Any) -> Any:
        p = eqn.params
        for i in self.axes(aval):
            whole = p["start_indices"][i] == 0 and p["limit_indices"][i] == aval.shape[i]
            if not whole or (p["strides"] and p["strides"][i] != 1):
                raise Unsupported("slice")
        return _plain(eqn, given, limit_indices=tuple(self.shape(p["limit_indices"])))

    def gather(self, eqn: Any, given: list[Any], aval: Any) -> Any:
        of, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
        chosen = {*of.start_index_map, *of.collapsed_slice_dims, *of.operand_batching_dims}
        if chosen & set(self.axes(aval)):
            raise Unsupported("gather")
        return _plain(eqn, given, slice_sizes=tuple(self.shape(sizes)))

    def dynamic_slice(self, eqn: Any, given: list[Any], aval: Any) -> Any:
        x, *places = given
        sizes = eqn.params["slice_sizes"]
        for i in self.axes(aval):
            self.in_order(aval, [i])
            if export.is_symbolic_dim(sizes[i]):
                places[i] = jnp.zeros_like(places[i])
            else:  # places outside are moved to the end of what counts
                end = (self.size * self.factor(aval.shape[i]) - sizes[i]).astype(places[i].dtype)
                places[i] = jnp.clip(places[i], 0, end)
        return lax.dynamic_slice(x, places, self.shape(sizes))

    def in_order(self, aval: Any, axes: Sequence[int]) -> None:
        """Raises `Unsupported` if the elements that count are not the first along these axes."""
        for n in [aval.shape[i] for i in axes if export.is_symbolic_dim(aval.shape[i])]:
            if self.factor(n) != 1 and not self.outer:
                raise Unsupported(f"an axis of {n}")

    def between(self, shape: Sequence[Any]) -> list[int]:
        """The numbers of elements before, between and after the padded axes."""
        found = [1]
        for n in shape:
            if export.is_symbolic_dim(n):
                found.append(self.factor(n) if self.outer else 1)
                found[-2] *= 1 if self.outer else self.factor(n)
            else:
                found[-1] *= int(n)
        return found


def _plain(eqn: Any, given: Sequence[Any], **changed: Any) -> Any:
    return eqn.primitive.bind(*given, **eqn.primitive.get_bind_params({**eqn.params, **changed}))


def _is_sized(value: Any) -> bool:
    """Whether a size that is not known occurs in an equation, or in a parameter of one."""
    if export.is_symbolic_dim(value):
        return True
    if isinstance(value, (tuple, list)):
        return any(map(_is_sized, value))
    if isinstance(value, dict):
        return any(map(_is_sized, value.values()))
    if hasattr(value, "eqns"):
        return any(map(_is_sized, value.eqns))
    if hasattr(value, "jaxpr"):
        return _is_sized(value.jaxpr)
    if hasattr(value, "primitive"):
        shapes = [getattr(v.aval, "shape", ()) for v in (*value.invars, *value.outvars)]
        return _is_sized(shapes) or _is_sized(value.params)
    return False


# The values that do not change a reduction, by dtype.
_REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "reduce_sum": lambda dtype: 0,
    "reduce_prod": lambda dtype: 1,
    "reduce_max": dtypes.lowest,
    "reduce_min": dtypes.highest,
    "reduce_and": lambda dtype: True,
    "reduce_or": lambda dtype: False,
    "argmax": dtypes.lowest,
    "argmin": dtypes.highest,
}
_CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
_ELEMENTWISE = {
    "abs", "add", "and", "atan2", "cbrt", "ceil", "clamp", "convert_element_type", "copy",
    "copy_p", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1",
    "floor", "ge", "gt", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic",
    "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow", "reduce_precision", "rem",
    "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient",
    "sub", "tan", "tanh", "xor",
}  # fmt: skip
