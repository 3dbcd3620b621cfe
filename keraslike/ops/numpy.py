"""NumPy's functions under Keras's names and signatures, on arrays and on KerasTensors.

Where only the signature differs, an op is one line of a table; each takes what `jax.numpy`'s
function of that name takes, lists and Variables too, and promotes dtypes as it does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context, dtypes, sparsity
from keraslike.core.operation import op
from keraslike.ops import arrays, choosing, cpu_argmax, products, wrap
from keraslike.ops.arrays import *  # noqa: F403
from keraslike.ops.choosing import *  # noqa: F403
from keraslike.ops.wrap import axes_of, binary, bitwise, operand, reduction, unary

# -- f(x1, x2) --------------------------------------------------------------------------------

add = binary(jnp.add, sparse=sparsity.add)
subtract = binary(jnp.subtract, sparse=sparsity.subtract)
multiply = binary(jnp.multiply, sparse=sparsity.multiply)
divide = binary(jnp.divide, "divide", sparse=sparsity.divide)
true_divide = binary(jnp.true_divide, "true_divide", sparse=sparsity.divide)
floor_divide = binary(jnp.floor_divide)
mod = binary(jnp.mod, "mod")
power = binary(jnp.power)
matmul = binary(products.matmul, sparse=sparsity.matmul)
equal = binary(jnp.equal)
not_equal = binary(jnp.not_equal)
less = binary(jnp.less)
less_equal = binary(jnp.less_equal)
greater = binary(jnp.greater)
greater_equal = binary(jnp.greater_equal)
logical_and = binary(jnp.logical_and)
logical_or = binary(jnp.logical_or)
logical_xor = binary(jnp.logical_xor)
maximum = binary(jnp.maximum, sparse=sparsity.maximum)
minimum = binary(jnp.minimum, sparse=sparsity.minimum)
fmax = binary(jnp.fmax)
fmin = binary(jnp.fmin)
fmod = binary(jnp.fmod)
arctan2 = binary(jnp.arctan2, strong=True)
hypot = binary(jnp.hypot)
heaviside = binary(jnp.heaviside)
logaddexp = binary(jnp.logaddexp, strong=True)
logaddexp2 = binary(jnp.logaddexp2, strong=True)
nextafter = binary(jnp.nextafter)
gcd = binary(jnp.gcd)
lcm = binary(jnp.lcm)
dot = binary(jnp.dot)
vdot = binary(jnp.vdot)
inner = binary(jnp.inner)
outer = binary(jnp.outer)
kron = binary(jnp.kron)
bitwise_and = bitwise(jnp.bitwise_and)
bitwise_or = bitwise(jnp.bitwise_or)
bitwise_xor = bitwise(jnp.bitwise_xor)
bitwise_left_shift = bitwise(jnp.left_shift, "bitwise_left_shift")
bitwise_right_shift = bitwise(jnp.right_shift, "bitwise_right_shift")
left_shift = bitwise(jnp.left_shift)
right_shift = bitwise(jnp.right_shift)

# -- f(x) -------------------------------------------------------------------------------------


negative = unary(jnp.negative, sparse=True)
absolute = unary(jnp.absolute, "absolute", sparse=True)
abs = unary(jnp.abs, "abs", sparse=True)
fabs = unary(jnp.fabs)
logical_not = unary(jnp.logical_not)
bitwise_not = unary(jnp.invert, "bitwise_not")
bitwise_invert = unary(jnp.invert, "bitwise_invert")
exp = unary(jnp.exp)
exp2 = unary(jnp.exp2)
expm1 = unary(jnp.expm1, sparse=True)
log = unary(jnp.log)
log1p = unary(jnp.log1p, sparse=True)
log2 = unary(jnp.log2)
log10 = unary(jnp.log10)
sqrt = unary(jnp.sqrt, sparse=True)
cbrt = unary(jnp.cbrt)
square = unary(jnp.square, sparse=True)
reciprocal = unary(jnp.reciprocal)
sign = unary(jnp.sign, sparse=True)
signbit = unary(jnp.signbit, sparse=True)
floor = unary(jnp.floor, floats=True, sparse=True)
ceil = unary(jnp.ceil, floats=True, sparse=True)
trunc = unary(jnp.trunc)
sin = unary(jnp.sin, sparse=True)
cos = unary(jnp.cos)
tan = unary(jnp.tan, sparse=True)
arcsin = unary(jnp.arcsin, "arcsin", sparse=True)
arccos = unary(jnp.arccos, "arccos")
arctan = unary(jnp.arctan, "arctan", sparse=True)
sinh = unary(jnp.sinh, sparse=True)
cosh = unary(jnp.cosh)
tanh = unary(jnp.tanh, sparse=True)
arcsinh = unary(jnp.arcsinh, "arcsinh", sparse=True)
arccosh = unary(jnp.arccosh, "arccosh")
arctanh = unary(jnp.arctanh, "arctanh", sparse=True)
sinc = unary(jnp.sinc)
rsqrt = unary(jax.lax.rsqrt, "rsqrt")
erf = unary(jax.scipy.special.erf, "erf")
erfc = unary(jax.scipy.special.erfc, "erfc")
erfinv = unary(jax.scipy.special.erfinv, "erfinv")
i0 = unary(jnp.i0)
deg2rad = unary(jnp.deg2rad)
rad2deg = unary(jnp.rad2deg)
isnan = unary(jnp.isnan, sparse=True)
isinf = unary(jnp.isinf, sparse=True)
isfinite = unary(jnp.isfinite)
isposinf = unary(jnp.isposinf)
isneginf = unary(jnp.isneginf)
isreal = unary(jnp.isreal)
real = unary(jnp.real, sparse=True)
imag = unary(jnp.imag, sparse=True)
angle = unary(jnp.angle)
conj = unary(jnp.conj, "conj", sparse=True)
conjugate = unary(jnp.conjugate, "conjugate", sparse=True)
copy = unary(jnp.array, "copy", sparse=True)
ravel = unary(jnp.ravel)
fliplr = unary(jnp.fliplr)
flipud = unary(jnp.flipud)
slogdet = unary(jnp.linalg.slogdet)
corrcoef = unary(jnp.corrcoef)

# -- f(x, axis=None, keepdims=False) ----------------------------------------------------------

sum = reduction(jnp.sum, sparse=functools.partial(sparsity.by_structure, jnp.sum))
mean = reduction(jnp.mean, sparse=sparsity.mean)
var = reduction(jnp.var)
std = reduction(jnp.std)
median = reduction(jnp.median)
ptp = reduction(jnp.ptp)
amax = reduction(jnp.amax, "amax")
amin = reduction(jnp.amin, "amin")
all = reduction(jnp.all)
any = reduction(jnp.any)
argmax = reduction(cpu_argmax.argmax)
argmin = reduction(cpu_argmax.argmin)
nansum = reduction(jnp.nansum)
nanmean = reduction(jnp.nanmean)
nanvar = reduction(jnp.nanvar)
nanstd = reduction(jnp.nanstd)
nanmax = reduction(jnp.nanmax)
nanmin = reduction(jnp.nanmin)
nanprod = reduction(jnp.nanprod)
nanmedian = reduction(jnp.nanmedian)
nanargmax = reduction(jnp.nanargmax)
nanargmin = reduction(jnp.nanargmin)


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """The largest value along axes, and no less than `initial`.

    >>> max([[1.0, 3.0], [2.0, 0.0]], axis=1).tolist()
    [3.0, 2.0]

    >>> max([[1, 4], [3, 2]], axis=1).tolist()
    [4, 3]
    """
    return jnp.max(wrap.array(x), axis=axes_of(axis), keepdims=keepdims, initial=initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """The smallest value along axes, and no more than `initial`.

    >>> min([[1.0, 3.0], [2.0, 0.0]], axis=1).tolist()
    [1.0, 0.0]

    >>> min([[1, 4], [3, 2]], axis=1).tolist()
    [1, 2]
    """
    return jnp.min(wrap.array(x), axis=axes_of(axis), keepdims=keepdims, initial=initial)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> jax.Array:
    """The product of the values along axes.

    >>> prod([2, 3, 4]).tolist()
    24
    """
    return jnp.prod(wrap.array(x), axis=axes_of(axis), keepdims=keepdims, dtype=dtype)


@op
def average(x: Any, axis: Any = None, weights: Any = None) -> jax.Array:
    """The mean along axes, weighted.

    >>> average([1.0, 3.0], weights=[3.0, 1.0]).tolist()
    1.5
    """
    weights = None if weights is None else wrap.array(weights)
    return jnp.average(wrap.array(x), axis=axes_of(axis), weights=weights)


@op
def count_nonzero(x: Any, axis: Any = None) -> jax.Array:
    """The number of values that are not 0 along axes.

    >>> count_nonzero([0, 1, 2]).tolist()
    2
    """
    return jnp.count_nonzero(wrap.array(x), axis=axes_of(axis))


def _quantiles(like: Callable) -> Callable:
    def function(
        x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
    ) -> jax.Array:
        x, q = wrap.floats(wrap.array(x)), wrap.array(q)
        return like(x, q, axis=axes_of(axis), method=method, keepdims=keepdims)

    return wrap._named(function, like, None)


quantile = _quantiles(jnp.quantile)
nanquantile = _quantiles(jnp.nanquantile)
percentile = _quantiles(jnp.percentile)
nanpercentile = _quantiles(jnp.nanpercentile)


def _cumulative(like: Callable) -> Callable:
    def function(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
        dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
        return like(wrap.array(x), axis=axis, dtype=dtype)

    return wrap._named(function, like, None)


cumsum = _cumulative(jnp.cumsum)
cumprod = _cumulative(jnp.cumprod)
nancumsum = _cumulative(jnp.nancumsum)
nancumprod = _cumulative(jnp.nancumprod)


@op
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> jax.Array:
    """The integral of `y` along an axis by the trapezoidal rule.

    Args:
        y: the values.
        x: their positions; by default they are `dx` apart.

    >>> float(trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    x = None if x is None else wrap.array(x)
    return jnp.trapezoid(wrap.array(y), x, wrap.array(dx), axis)


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> jax.Array:
    """The powers of a vector's elements as rows, the highest first.

    Args:
        x: a vector.
        N: the number of powers, by default that of elements.
        increasing: whether the lowest power comes first.

    >>> vander([2.0, 3.0], 3).tolist()
    [[4.0, 2.0, 1.0], [9.0, 3.0, 1.0]]
    """
    x = wrap.array(x)
    if x.ndim != 1:
        raise ValueError(f"Input tensor must be 1-dimensional. Received: shape {x.shape}")
    if N is not None and not isinstance(N, int):
        raise TypeError(f"Argument `N` must be of type `int`. Received: N={N!r}")
    if N is not None and N < 0:
        raise ValueError(f"Argument `N` must be nonnegative. Received: N={N}")
    if not isinstance(increasing, bool):
        raise TypeError(f"`increasing` must be of type `bool`. Received: {increasing!r}")
    return jnp.vander(x, wrap.steps(N=N), increasing)


@op
def histogram(
    x: Any, bins: int = 10, range: tuple[float, float] | None = None
) -> tuple[jax.Array, jax.Array]:
    """The numbers of values of a vector in `bins` equal intervals of a range, and their edges.

    Args:
        x: a vector.
        bins: the number of intervals.
        range: its two ends, by default the smallest and the largest value.

    >>> histogram([0.0, 1.0, 4.0], bins=2)[0].tolist()
    [2.0, 1.0]
    """
    if not isinstance(bins, int):
        raise TypeError(f"Argument `bins` must be of type `int`. Received: bins={bins!r}")
    if bins < 0:
        raise ValueError(f"Argument `bins` should be a non-negative integer. Received: bins={bins}")
    if range and (not isinstance(range, tuple) or len(range) != 2):
        raise ValueError(
            f"Argument `range` must be a tuple of two elements. Received: range={range!r}"
        )
    if range and range[1] < range[0]:
        raise ValueError(
            f"The second element of `range` must be greater than the first. Received: range={range}"
        )
    x = wrap.array(x)
    if x.ndim > 1:
        raise ValueError(f"Input tensor must be 1-dimensional. Received: shape {x.shape}")
    counts, edges = jnp.histogram(x, wrap.steps(bins=bins), range or None)
    return counts, edges


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> jax.Array:
    """The cross-correlation of two vectors: the sums of their products at each offset.

    Args:
        mode: `"valid"` where they overlap wholly, `"full"` wherever they do, `"same"` for as many
            values as the longer vector has.

    >>> correlate([1.0, 2.0, 3.0], [1.0, 1.0]).tolist()
    [3.0, 5.0]
    """
    return jnp.correlate(wrap.array(x1), wrap.array(x2), mode)


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> jax.Array:
    """Whether each element of `x1` is among those of `x2` (or is not, with `invert`).

    >>> isin([1, 2], [2, 3]).tolist()
    [False, True]
    """
    return jnp.isin(wrap.array(x1), wrap.array(x2), assume_unique, invert)


def vectorize(pyfunc: Callable, *, excluded: Any = None, signature: str | None = None) -> Callable:
    """A function of elements as a function of arrays.

    Args:
        pyfunc: of arrays without axes, or with those that `signature` names.
        excluded: places and names of arguments that are not taken apart.
        signature: such as `"(n),(n)->()"`.

    >>> vectorize(lambda a, b: jnp.where(a > b, a, b))(jnp.array([1, 5]), 3).tolist()
    [3, 5]
    """
    if not callable(pyfunc):
        raise ValueError(f"`pyfunc` must be a callable. Received: pyfunc={pyfunc!r}")
    return op(jnp.vectorize(pyfunc, excluded=frozenset(excluded or ()), signature=signature))


# -- elements ---------------------------------------------------------------------------------


@op
def clip(x: Any, x_min: Any, x_max: Any) -> jax.Array:
    """Values limited to `[x_min, x_max]`.

    >>> clip([-1.0, 5.0], 0, 2).tolist()
    [0.0, 2.0]
    """
    x = wrap.array(x)
    x = x.astype("int32") if x.dtype == bool else x
    return jnp.clip(x, operand(x_min), operand(x_max))


@op
def round(x: Any, decimals: int = 0) -> jax.Array:
    """Values rounded to `decimals`, halves to even; whole tens, hundreds, ... if that is negative.

    >>> round([151, 149], -1).tolist()
    [150, 150]
    """
    if sparsity.is_sparse(x):
        return sparsity.elementwise(lambda values: round(values, decimals), x)
    x = wrap.array(x)
    if decimals < 0 and jnp.issubdtype(x.dtype, jnp.integer):
        tens = 10.0**-decimals
        return (jnp.round(wrap.floats(x) / tens) * tens).astype(x.dtype)
    return jnp.round(x, decimals)


@op
def ldexp(x1: Any, x2: Any) -> jax.Array:
    """`x1 * 2**x2` for integers `x2`.

    >>> ldexp([1.5], [2]).tolist()
    [6.0]
    """
    x2 = wrap.array(x2)
    if not jnp.issubdtype(x2.dtype, jnp.integer):
        raise TypeError(f"ldexp exponent must be an integer type. Received: x2 of {x2.dtype}")
    return jnp.ldexp(wrap.array(x1), x2)


@op
def divide_no_nan(x1: Any, x2: Any) -> jax.Array:
    """`x1 / x2`, and 0 where `x2` is 0; the gradient is finite there, too.

    >>> divide_no_nan([1.0, 1.0], [2.0, 0.0]).tolist()
    [0.5, 0.0]
    """
    x1, x2 = operand(x1), wrap.array(x2)
    zero = x2 == 0
    quotient = jnp.divide(x1, jnp.where(zero, 1, x2))
    return jnp.where(zero, 0, quotient)


@op
def nonzero(x: Any) -> tuple[jax.Array, ...]:
    """The indices of the values that are not 0, an array for each axis.

    >>> [i.tolist() for i in nonzero([0, 3, 4])]
    [[1, 2]]
    """
    x = wrap.array(x)
    if context.state.symbolic:
        return tuple(wrap.found(None) for _ in x.shape)
    return jnp.nonzero(x)


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, `x2` elsewhere; without them the indices where it holds.

    >>> where([True, False], 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    if (x1 is None) != (x2 is None):
        raise ValueError("`x1` and `x2` either both should be `None` or both should be given.")
    if x1 is None:
        return nonzero(condition)
    return jnp.where(wrap.array(condition), operand(x1), operand(x2))


@op
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> jax.Array:
    """Whether `abs(x1 - x2) <= atol + rtol * abs(x2)`.

    >>> isclose([1.0, 2.0], [1.0, 2.1]).tolist()
    [True, False]
    """
    return jnp.isclose(wrap.array(x1), wrap.array(x2), rtol, atol, equal_nan)


@op
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> jax.Array:
    """Whether all values are close in the sense of `isclose`.

    >>> bool(allclose([1.0, 2.0], [1.0, 2.0 + 1e-7]))
    True
    """
    return jnp.allclose(wrap.array(x1), wrap.array(x2), rtol, atol, equal_nan)


@op
def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> jax.Array:
    """Values with NaN and the infinities replaced, the latter by the largest finite numbers.

    >>> nan_to_num([1.0, float("nan")]).tolist()
    [1.0, 0.0]
    """
    return jnp.nan_to_num(wrap.array(x), nan=nan, posinf=posinf, neginf=neginf)


# -- products ---------------------------------------------------------------------------------


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> jax.Array:
    """The sum of products over pairs of axes.

    >>> tensordot([[1, 2]], [[3], [4]], axes=1).tolist()
    [[11]]
    """
    axes = tuple(map(axes_of, axes)) if isinstance(axes, (list, tuple)) else axes
    return jnp.tensordot(wrap.array(x1), wrap.array(x2), axes)


@op
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> jax.Array:
    """The sum of products in the notation of Einstein, such as `"ij,jk->ik"`.

    >>> einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    if len(operands) > 8 and kwargs.get("optimize") not in (None, True, False, "auto", "greedy"):
        raise ValueError(
            f"optimize={kwargs['optimize']!r} tries orders of the operands, exponentially many: "
            f"it takes at most 8. Received: {len(operands)}"
        )
    arrays = [wrap.array(x) for x in operands]
    if {x.dtype for x in arrays} == {jnp.dtype("int8")}:  # As in `matmul`.
        kwargs.setdefault("preferred_element_type", jnp.int32)
    return jnp.einsum(subscripts, *arrays, **kwargs)


@op
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> jax.Array:
    """The cross product of vectors.

    >>> cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    return jnp.cross(wrap.array(x1), wrap.array(x2), axisa, axisb, axisc, axis)


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> jax.Array:
    """The differences between neighbours along an axis, taken `n` times.

    >>> diff([1, 4, 9]).tolist()
    [3, 5]
    """
    return jnp.diff(wrap.array(a), wrap.steps(n=n), axis)


# -- windows ----------------------------------------------------------------------------------


def _factors(like: Callable, what: str) -> Callable:
    def window(x: Any) -> jax.Array:
        return like(int(wrap.array(x))).astype(dtypes.floatx())

    name = like.__name__
    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"""The {what} window of `x` factors.

    >>> {name}(3).shape
    (3,)
    """
    return op(window)


bartlett = _factors(jnp.bartlett, "triangular (Bartlett's)")
blackman = _factors(jnp.blackman, "Blackman")
hamming = _factors(jnp.hamming, "Hamming")
hanning = _factors(jnp.hanning, "Hann")


@op
def kaiser(x: Any, beta: Any) -> jax.Array:
    """The Kaiser window of `x` factors; the larger `beta` is, the narrower it is.

    >>> kaiser(3, 0.0).tolist()
    [1.0, 1.0, 1.0]
    """
    return jnp.kaiser(int(wrap.array(x)), wrap.array(beta)).astype(dtypes.floatx())


__all__ = [*arrays.__all__, *choosing.__all__, *wrap.public(globals())]


def __dir__() -> list[str]:
    return list(__all__)
