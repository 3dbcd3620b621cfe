"""The functions of `tf.math` that `keraslike.ops` has as well, from a table, and some others.

Numbers take the dtype of the other operand; tensors of two dtypes raise InvalidArgumentError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from keraslike import ops
from keraslike.tf import derivatives, documentation, dtypes, effects
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation
from keraslike.tf.structure import operates
from keraslike.tf.tensor import WIDE

# -- the table --------------------------------------------------------------------------------
# `name=op` if keraslike.ops has another name. Functions under "float" do not accept integers, and
# those under "constant" have no gradient.

_TABLE = {
    "x": "abs sign negative square",
    "x constant": "round rint=round floor ceil logical_not is_nan=isnan "
    "is_finite=isfinite is_inf=isinf",
    "x float": "sqrt rsqrt exp expm1 log log1p sin cos tan asin=arcsin acos=arccos atan=arctan "
    "sinh cosh tanh asinh=arcsinh acosh=arccosh atanh=arctanh sigmoid log_sigmoid erf erfc "
    "erfinv reciprocal",
    "features float": "softplus softsign",
    "x y": "add subtract multiply floormod=mod pow=power maximum minimum divide_no_nan",
    "y x": "atan2=arctan2",
    "x y constant": "floordiv=floor_divide equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_xor",
    "input_tensor axis=None keepdims=False": "reduce_sum=sum reduce_mean=mean reduce_max=max "
    "reduce_min=min reduce_prod=prod reduce_any=any reduce_all=all reduce_logsumexp=logsumexp "
    "reduce_std=std reduce_variance=var",
}


# The kinds of numbers that functions reject: booleans, unsigned and signed integers, floating-point
# and complex numbers, and bfloat16 ("V").
_REFUSED = {
    name: kinds
    for kinds, names in {
        "b": "add subtract multiply floormod square divide_no_nan reduce_sum reduce_mean "
        "reduce_prod",
        "bu": "abs pow",
        "u": "negative sign",
        "c": "round softplus softsign log_sigmoid nn.elu nn.selu",
        "bc": "nn.relu nn.relu6 floordiv maximum minimum less less_equal greater greater_equal "
        "reduce_max reduce_min",
        "bui": "reduce_std reduce_variance",
        "buic": "rint floor ceil is_nan is_finite is_inf atan2 reduce_logsumexp",
        "uicfV": "logical_not logical_and logical_or logical_xor reduce_any reduce_all",
    }.items()
    for name in names.split()
}


def check_kind(name: str, x: Any, refused: str) -> None:
    if x.dtype.kind in refused:
        raise InvalidArgumentError(
            f"tf.{name} does not accept tensors of {dtypes.as_dtype(x.dtype).name}. Nothing is "
            "cast silently: use tf.cast()."
        )


_NARROW = frozenset({"bool", "int8", "uint8", "int16", "uint16", "uint32", "uint64"})


def check_wide(name: str, x: Any, but: str = "") -> None:
    """Raises InvalidArgumentError for integers of which sums of products could overflow, or
    differences be below zero, unnoticed."""
    if x.dtype.name in _NARROW and x.dtype.name != but:
        check_kind(name, x, "bui")


def checked(name: str, fn: Callable, floats: bool) -> Callable:
    refused = ("buiO" if floats else "") + _REFUSED.get(name, "")

    def run_on(x: Any) -> Any:
        check_kind(name, x, refused)
        return fn(x)

    return run_on


def plain(name: str) -> Callable:
    """The function of `keraslike.ops`, with TensorFlow's gradient."""
    function: Callable = getattr(getattr(ops, name), "__wrapped__", getattr(ops, name))
    return derivatives.CHOICES.get(function, function)


_OF_NOTHING = {"reduce_max": 0, "reduce_min": 1}  # the limit of the dtype for empty reductions


def _reduction(name: str, fn: Callable) -> Callable:
    refused = _REFUSED.get(name, "")

    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        check_kind(name, x, refused)
        if x.size == 0 and name in _OF_NOTHING and x.dtype.kind in "uif":
            info = jnp.finfo(x.dtype) if x.dtype.kind == "f" else jnp.iinfo(x.dtype)
            ends = (-jnp.inf, jnp.inf) if x.dtype.kind == "f" else (info.min, info.max)
            first = jnp.asarray(ends[_OF_NOTHING[name]], x.dtype)
            return getattr(jnp, name[-3:])(x, axis, keepdims=keepdims, initial=first)
        if isinstance(keepdims, tuple):
            raise ValueError(f"keepdims must be True or False. Received: {keepdims}")
        if x.dtype.kind in "ui" and name == "reduce_mean":
            return _integer_mean(x, axis, keepdims)
        out = fn(x, axis, keepdims)
        return out.astype(x.dtype) if x.dtype.kind in "ui" and out.dtype != x.dtype else out

    return reduce


def _integer_mean(x: Any, axis: Any, keepdims: bool) -> Any:
    """The mean of integers, which is rounded towards zero."""
    with WIDE(True):
        wide = np.uint64 if x.dtype == np.uint64 else np.int64
        total = jnp.sum(jnp.asarray(x).astype(wide), axis, keepdims=keepdims)
        count = x.size // total.size if total.size else 1
        return jax.lax.div(total, jnp.full_like(total, max(count, 1))).astype(x.dtype)


def _from_table() -> dict[str, Callable]:
    made: dict[str, Callable] = {}
    for kind, names in _TABLE.items():
        for entry in names.split():
            name, _, op = entry.partition("=")
            fn = _OWN.get(name) or plain(op or name)
            constant = "x y" if kind.endswith("constant") else ""
            if kind.startswith("input_tensor"):
                hint = dtypes.bool_ if name in ("reduce_any", "reduce_all") else None  # of []
                made[name] = operation(name, "input_tensor", hint=hint)(_reduction(name, fn))
            elif kind.startswith(("x y", "y x")):
                made[name] = operation(name, kind.removesuffix(" constant"), constant)(
                    _two(name, fn)
                )
            else:
                made[name] = operation(name, kind.split()[0], constant)(
                    checked(name, fn, kind.endswith("float"))
                )
            made[name].__doc__ = documentation.of_math(name)
            made[name].__module__ = "keraslike.tf"
    return made


def _sign(x: Any) -> Any:
    if x.dtype.kind == "c":  # JAX's sign of complex numbers has no gradient
        size = derivatives.absolute(x)
        return jnp.where(x == 0, 0, x / jnp.where(x == 0, 1, size))
    return jnp.where(x == 0, jnp.zeros_like(x), jnp.sign(x))  # never -0.0


def _floordiv(x: Any, y: Any) -> Any:
    """The quotient of floats, rounded down. Python instead computes it from the remainder."""
    if x.dtype.kind in "ui":
        return jnp.floor_divide(x, divisor(y))
    return jnp.floor(jnp.divide(x, y))


def _floormod(x: Any, y: Any) -> Any:
    return jnp.mod(x, divisor(y))


def divisor(y: Any) -> Any:
    """The divisor of integers. Raises InvalidArgumentError if a known value is 0."""
    if y.dtype.kind in "ui":
        effects.checked(_refuse_zeros, y)
    return y


def _refuse_zeros(y: Any) -> None:
    if not np.asarray(y).all():
        raise InvalidArgumentError("Integer division by zero.")


def _divide_no_nan(x: Any, y: Any) -> Any:
    if x.dtype.kind in "ui":
        kind = np.float64 if x.dtype.itemsize > 2 else np.float32
        with WIDE(True):
            return ops.divide_no_nan(*(jnp.asarray(v).astype(kind) for v in (x, y)))
    return ops.divide_no_nan(x, y)


def _pow(x: Any, y: Any) -> Any:
    """Powers. Raises InvalidArgumentError if a known exponent of integers is negative."""
    if y.dtype.kind == "i":
        effects.checked(_refuse_negative, y)
    return plain("power")(x, y)


def _refuse_negative(y: Any) -> None:
    if (np.asarray(y) < 0).any():
        raise InvalidArgumentError("Integers to negative integer powers are not allowed.")


_OWN: dict[str, Callable] = {
    "pow": _pow,
    "sign": _sign,
    "floordiv": _floordiv,
    "floormod": _floormod,
    "divide_no_nan": _divide_no_nan,
}


_OF_TEXT = {"add": np.add, "equal": np.equal, "not_equal": np.not_equal}


_OF_PICTURES = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}


def _are_pictures(x: Any, y: Any) -> bool:
    """Whether numbers are on the host already, like decoded images. For these numpy gives the same
    values as XLA, without compiling a program for each size."""
    kinds = {type(a) for a in (x, y) if a.ndim}
    traced = isinstance(x, jax.core.Tracer) or isinstance(y, jax.core.Tracer)
    return x.dtype == np.float32 and kinds == {np.ndarray} and not traced


def _on_host(fn: Callable, x: Any, y: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return fn(np.asarray(x), np.asarray(y))


def _two(name: str, fn: Callable) -> Callable:
    of_text, of_pictures = _OF_TEXT.get(name, fn), _OF_PICTURES.get(name)
    refused = _REFUSED.get(name, "")

    # A separate function object for each name, by which errors and caches distinguish them.
    def two(x: Any, y: Any) -> Any:
        check_kind(name, x, refused)
        if of_pictures is not None and _are_pictures(x, y):
            return _on_host(of_pictures, x, y)
        return (of_text if x.dtype.kind == "O" else fn)(x, y)

    return two


globals().update(_from_table())
globals()["mod"] = globals()["floormod"]


# -- functions that keraslike.ops does not have -------------------------------------------------


def _like(name: str, number: int) -> Callable:
    def like(x: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Any:
        wanted = x.dtype if dtype is None else dtypes.as_dtype(dtype).dtype
        if wanted.kind == "O":
            if number:
                raise TypeError("tf.ones_like: input must be a tensor of numbers, not of text.")
            return np.full(x.shape, b"", object)
        with WIDE(wanted.itemsize >= 8):
            return jnp.full(x.shape, number, wanted)

    return operation(name, "input", "input")(like)


zeros_like, ones_like = _like("zeros_like", 0), _like("ones_like", 1)
for _function in (zeros_like, ones_like):
    _function.__doc__ = documentation.of_math(_function.__name__)
    _function.__module__ = "keraslike.tf"


def _zeta(x: Any, q: Any) -> Any:
    far = (q == jnp.inf) & (x > 1)  # where JAX gives NaN
    return jnp.where(far, 0, jnp.where(x < 1, jnp.nan, special.zeta(x, q)))


def _invert_permutation(x: Any) -> Any:
    effects.checked(_check_permutation, x)
    return jnp.argsort(x)


def _check_permutation(x: Any) -> None:
    if not np.array_equal(np.sort(np.asarray(x)), np.arange(len(x))):
        raise InvalidArgumentError(f"Expected each number below {len(x)} once. Received: {x}")


def _polygamma(a: Any, x: Any) -> Any:
    whole = (a >= 0) & (a == jnp.floor(a))  # JAX takes integers, TensorFlow numbers of one dtype
    out = special.polygamma(jnp.where(whole, a, 0).astype(int), x)
    out = jnp.where((x == jnp.inf) & (a > 0), 0, out)  # where JAX gives NaN
    return jnp.where(whole, out, jnp.nan)


def _l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Any:
    axis = dim if axis is None else axis
    check_kind("l2_normalize", x, "bui")
    squares = jnp.real(x * jnp.conj(x)) if x.dtype.kind == "c" else jnp.square(x)
    total = jnp.sum(squares, axis, keepdims=True)
    return x * jax.lax.rsqrt(derivatives.maximum(total, epsilon))


def _squared_difference(x: Any, y: Any) -> Any:
    check_wide("squared_difference", x)
    return jnp.conj(x - y) * (x - y)


def _next_after(x: Any, towards: Any) -> Any:
    if x.dtype.itemsize == 2:
        raise InvalidArgumentError(f"tf.nextafter does not accept tensors of {x.dtype.name}.")
    return derivatives.nextafter(x, towards)


@derivatives.differentiated(lambda out, x, t: t * special.i1(x))
def _bessel_i0(x: Any) -> Any:
    return special.i0(x)  # of which JAX's slope at 0 is 1


_MORE = {  # name: (function, tensors, those by which no gradient is taken)
    "lgamma": (special.gammaln, "x", ""),
    "digamma": (special.digamma, "x", ""),
    "ndtri": (special.ndtri, "x", ""),
    "reciprocal_no_nan": (lambda x: ops.divide_no_nan(jnp.ones_like(x), x), "x", ""),
    "zeta": (_zeta, "x q", "x"),
    "polygamma": (_polygamma, "a x", "a"),
    "xlogy": (derivatives.xlogy, "x y", ""),
    "xlog1py": (derivatives.xlog1py, "x y", ""),
    "xdivy": (derivatives.xdivy, "x y", ""),
    "squared_difference": (_squared_difference, "x y", ""),
    "multiply_no_nan": (derivatives.multiply_no_nan, "x y", ""),
    "invert_permutation": (_invert_permutation, "x", "x"),
    "l2_normalize": (_l2_normalize, "x", ""),
    "bessel_i0": (_bessel_i0, "x", ""),
    "bessel_i0e": (special.i0e, "x", ""),
    "bessel_i1": (special.i1, "x", ""),
    "bessel_i1e": (special.i1e, "x", ""),
    "betainc": (special.betainc, "a b x", "a b"),
    "erfcinv": (lambda x: -special.ndtri(x / 2) / np.sqrt(2).astype(x.dtype), "x", ""),
    "igamma": (special.gammainc, "a x", ""),
    "igammac": (special.gammaincc, "a x", ""),
    "lbeta": (lambda x: jnp.sum(special.gammaln(x), -1) - special.gammaln(jnp.sum(x, -1)), "x", ""),
    "nextafter": (_next_after, "x1 x2", ""),
    "is_non_decreasing": (lambda x: jnp.all(x.ravel()[1:] >= x.ravel()[:-1]), "x", "x"),
    "is_strictly_increasing": (lambda x: jnp.all(x.ravel()[1:] > x.ravel()[:-1]), "x", "x"),
}
# Those that accept integers. l2_normalize refuses them itself.
_OF_INTEGERS = (
    *("squared_difference", "invert_permutation", "is_non_decreasing", "is_strictly_increasing"),
    "l2_normalize",
)


def _of_floats(name: str, fn: Callable) -> Callable:
    @functools.wraps(fn)
    def of_floats(x: Any, *rest: Any) -> Any:
        check_kind(name, x, "buiO")
        return fn(x, *rest)

    return of_floats


for _name, (_function, _tensors, _constant) in _MORE.items():
    if _name not in _OF_INTEGERS:
        _function = _of_floats(_name, _function)
    globals()[_name] = operation(_name, _tensors, _constant)(_function)
    globals()[_name].__doc__ = documentation.of_math(_name)
    globals()[_name].__module__ = "keraslike.tf"


def _of_complex(
    name: str, fn: Callable, of_real: Callable | None = None, refused: tuple[str, ...] = ()
) -> Callable:
    """A function of complex numbers, which has no gradient for real ones.

    Args:
        of_real: the function of real numbers. By default these are returned unchanged.
        refused: the dtypes that are not accepted.
    """
    complex_one, real_one = operation(name)(fn), convert_to_tensor
    if of_real is not None:
        real_one = operation(name, constant="x")(of_real)

    def either(input: Any, name: Any = None) -> Any:
        if not hasattr(input, "dtype") or isinstance(input, (np.ndarray, np.generic)):
            input = convert_to_tensor(input)
        if getattr(input.dtype, "name", None) in refused:
            raise TypeError(f"tf.{name} does not accept tensors of {input.dtype.name}.")
        kind = getattr(input.dtype, "is_complex", None)
        return (real_one if kind is False else complex_one)(input)

    either.__name__ = either.__qualname__ = name
    return operates(either)


_conj = _of_complex("conj", jnp.conj, refused=("bool", "string"))


@operates
def conj(x: Any, name: Any = None) -> Any:
    """The complex conjugate; tensors of real numbers are returned unchanged.

    >>> tf.math.conj(tf.constant([1 + 2j])).numpy().tolist()
    [(1-2j)]
    """
    return _conj(x)


real = _of_complex("real", jnp.real, refused=("bool", "string"))
imag = _of_complex("imag", jnp.imag, jnp.zeros_like)
angle = _of_complex(
    "angle",
    jnp.angle,
    lambda x: jnp.where(x < 0, jnp.pi, 0).astype(x.dtype),
    ("bool", "string", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


@operation("truediv", "x y")
def truediv(x: Any, y: Any) -> Any:
    """`x / y`, which for integers is float64, or float32 if they have fewer than 32 bits.

    >>> tf.truediv(3, 2).numpy().tolist()
    1.5
    """
    if x.dtype.kind == "b":
        raise TypeError("tf.truediv does not accept tensors of bool. Use tf.cast().")
    if x.dtype.kind in "ui":
        with WIDE(True):
            wide = np.float32 if x.dtype.itemsize < 4 else np.float64
            return jnp.divide(jnp.asarray(x).astype(wide), jnp.asarray(y).astype(wide))
    if _are_pictures(x, y):
        return _on_host(np.divide, x, y)
    return jnp.divide(x, y)


divide = truediv

documentation.describe(globals())

__all__ = sorted(
    [
        *(entry.partition("=")[0] for names in _TABLE.values() for entry in names.split()),
        *_MORE,
        *("angle", "conj", "divide", "imag", "mod", "ones_like", "real", "truediv", "zeros_like"),
    ]
)
