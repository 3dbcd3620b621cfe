"""The functions of `tf.math` that `keraslike.ops` has too: one table, and a few that it cannot say.

Numbers take the dtype of the tensor they meet; tensors of two dtypes raise InvalidArgumentError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from keraslike import ops
from keraslike.tf import dtypes
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import WIDE, operation

# -- the table --------------------------------------------------------------------------------
# `name=op` where keraslike.ops has another name. Those under "float" take no integers.

_TABLE = {
    "x": "abs sign=sign negative square zeros_like ones_like real imag conj round floor ceil "
    "logical_not is_nan=isnan is_finite=isfinite is_inf=isinf",
    "x float": "sqrt rsqrt exp expm1 log log1p sin cos tan asin=arcsin acos=arccos atan=arctan "
    "sinh cosh tanh asinh=arcsinh acosh=arccosh atanh=arctanh sigmoid log_sigmoid erf erfc "
    "erfinv softplus reciprocal angle",
    "x y": "add subtract multiply floordiv=floor_divide floormod=mod pow=power maximum minimum "
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor "
    "divide_no_nan atan2=arctan2",
    "input_tensor axis=None keepdims=False": "reduce_sum=sum reduce_mean=mean reduce_max=max "
    "reduce_min=min reduce_prod=prod reduce_any=any reduce_all=all reduce_logsumexp=logsumexp "
    "reduce_std=std reduce_variance=var",
}


def _checked(name: str, fn: Callable, floats: bool) -> Callable:
    def run_on(x: Any) -> Any:
        if floats and x.dtype.kind in "buiO":
            raise InvalidArgumentError(
                f"tf.{name}: expected a tensor of floating-point or complex numbers, received one "
                f"of {dtypes.as_dtype(x.dtype).name}. Nothing is cast silently: use tf.cast()."
            )
        return fn(x)

    return run_on


def plain(name: str) -> Callable:
    return getattr(getattr(ops, name), "__wrapped__", getattr(ops, name))


def _reduction(name: str, fn: Callable) -> Callable:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if x.dtype.kind in "ui" and name == "reduce_mean":  # an integer stays one
            return (fn(x.astype(float), axis, keepdims)).astype(x.dtype)
        out = fn(x, axis, keepdims)
        return out.astype(x.dtype) if x.dtype.kind in "ui" and out.dtype != x.dtype else out

    return reduce


def _from_table() -> dict[str, Callable]:
    made: dict[str, Callable] = {}
    for kind, names in _TABLE.items():
        for entry in names.split():
            name, _, op = entry.partition("=")
            fn = plain(op or name)
            if kind.startswith("input_tensor"):
                made[name] = operation(name, "input_tensor")(_reduction(name, fn))
            elif kind == "x y":
                made[name] = operation(name, "x y")(_two(name, fn))
            else:
                made[name] = operation(name, "x")(_checked(name, fn, kind == "x float"))
            made[name].__doc__ = f"As `keraslike.ops.{op or name}`, on tensors."
            made[name].__module__ = "keraslike.tf"
    return made


_OF_TEXT = {"add": np.add, "equal": np.equal, "not_equal": np.not_equal}


def _two(name: str, fn: Callable) -> Callable:
    of_text = _OF_TEXT.get(name, fn)
    # A function of its own: errors and caches tell them apart.
    return lambda x, y: (of_text if x.dtype.kind == "O" else fn)(x, y)


globals().update(_from_table())
globals()["mod"] = globals()["floormod"]
lgamma = operation("lgamma", "x")(special.gammaln)
digamma = operation("digamma", "x")(special.digamma)
zeta = operation("zeta", "x y")(special.zeta)
xlogy = operation("xlogy", "x y")(special.xlogy)
xdivy = operation("xdivy", "x y")(lambda x, y: jnp.where(x == 0, 0, x / jnp.where(x == 0, 1, y)))
squared_difference = operation("squared_difference", "x y")(lambda x, y: jnp.square(x - y))
multiply_no_nan = operation("multiply_no_nan", "x y")(lambda x, y: jnp.where(y == 0, 0, x * y))
invert_permutation = operation("invert_permutation", "x")(jnp.argsort)
l2_normalize = operation("l2_normalize", "x")(
    lambda x, axis=None, epsilon=1e-12: (
        x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis, keepdims=True), epsilon))
    )
)


@operation("truediv", "x y")
def truediv(x: Any, y: Any) -> Any:
    """`x / y`; integers of 32 bits and more give float64, shorter ones float32."""
    if x.dtype.kind in "ui":
        with WIDE(True):
            wide = np.float32 if x.dtype.itemsize < 4 else np.float64
            return jnp.divide(jnp.asarray(x).astype(wide), jnp.asarray(y).astype(wide))
    return jnp.divide(x, y)


divide = truediv

__all__ = sorted(
    [
        *(entry.partition("=")[0] for names in _TABLE.values() for entry in names.split()),
        *("mod", "lgamma", "digamma", "zeta", "xlogy", "xdivy", "squared_difference"),
        *("multiply_no_nan", "invert_permutation", "l2_normalize", "truediv", "divide"),
    ]
)
