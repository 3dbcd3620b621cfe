"""`tf.experimental.numpy`: numpy's functions on tensors, with numpy's dtypes.

Numbers of Python are int64 and float64 (float32 after
`experimental_enable_numpy_behavior(prefer_float32=True)`); operands of two dtypes get the one that
numpy gives their result.

>>> tf.experimental.numpy.add([1, 2], 0.5).numpy().tolist()
[1.5, 2.5]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.ops.documentation import DOCUMENTATION, for_tensors
from keraslike.tf import (
    bitwise,
    derivatives,
    dtypes,
    indexing,
    linalg,
    operators,
    ops,
    promotion,
    table,
    weak_tensor,
)
from keraslike.tf import math as tf_math
from keraslike.tf.conversion import constant
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.experimental import numpy_random, numpy_shapes
from keraslike.tf.experimental.numpy_documentation import EXAMPLES
from keraslike.tf.experimental.numpy_values import (
    alike,
    array_of,
    as_bytes,
    at_least,
    call,
    flat,
    floats,
    kind_of,
    no_output,
    of_two,
    prefer_float32,
    result_type,
    two_alike,
)
from keraslike.tf.promotion import promotes
from keraslike.tf.tensor import Tensor

ndarray = Tensor
random = numpy_random
newaxis, pi, e, inf = None, np.pi, np.e, np.inf
bool_, object_, string_, unicode_ = np.bool_, np.object_, np.bytes_, np.str_
int8, int16, int32, int64, int_ = np.int8, np.int16, np.int32, np.int64, np.int_
uint8, uint16, uint32, uint64 = np.uint8, np.uint16, np.uint32, np.uint64
float16, float32, float64, float_ = np.float16, np.float32, np.float64, np.float64
complex64, complex128, complex_, inexact = np.complex64, np.complex128, np.complex128, np.inexact
finfo, iinfo, issubdtype = np.finfo, np.iinfo, np.issubdtype

# -- functions of each element --------------------------------------------------------------------

# Names of those of fractions, and after `=` the function of `tf` where it has another name.
_OF_FRACTIONS = (
    "sin cos tan sinh cosh tanh arcsin=asin arccos=acos arctan=atan arcsinh=asinh arccosh=acosh "
    "arctanh=atanh exp expm1 log log1p sqrt ceil floor isnan=is_nan isfinite=is_finite"
)
_OF_NUMBERS = (
    "abs absolute=abs fabs=abs negative square reciprocal conj conjugate=conj sign real imag"
)
# Those of two arrays: of bools the second function.
_OF_TWO: dict[str, tuple[Callable, Callable | None]] = {
    "add": (table.add, table.logical_or),
    "subtract": (table.subtract, None),
    "multiply": (table.multiply, table.logical_and),
    "true_divide": (table.truediv, lambda a, b: table.truediv(*map(floats, (a, b)))),
    "floor_divide": (table.floordiv, None),
    "mod": (table.floormod, None),
    "maximum": (table.maximum, table.logical_or),
    "minimum": (table.minimum, table.logical_and),
    "power": (table.pow, None),
    "arctan2": (table.atan2, None),
    "nextafter": (lambda a, b: call(jnp.nextafter, a, b), None),
    "bitwise_and": (bitwise.bitwise_and, table.logical_and),
    "bitwise_or": (bitwise.bitwise_or, table.logical_or),
    "bitwise_xor": (bitwise.bitwise_xor, table.not_equal),
    "gcd": (lambda a, b: call(jnp.gcd, a, b), None),
    "lcm": (lambda a, b: call(jnp.lcm, a, b), None),
    "equal": (table.equal, table.equal),
    "not_equal": (table.not_equal, table.not_equal),
    **{
        name: (getattr(table, name), lambda a, b, name=name: getattr(table, name)(*as_bytes(a, b)))
        for name in ("less", "less_equal", "greater", "greater_equal")
    },
}


def _named(names: str) -> list[tuple[str, str]]:
    pairs = (name.partition("=") for name in names.split())
    return [(name, other or name) for name, _, other in pairs]


_SAME = {
    **{"divide": "true_divide", "remainder": "mod", "float_power": "power"},
    **{"max": "amax", "min": "amin", "round": "around", "asanyarray": "asarray"},
}


def _elementwise(fn: Callable, prepared: Callable) -> Callable:
    def of_each(x: Any) -> Any:
        return fn(prepared(x))

    return of_each


def _logical(fn: Callable) -> Callable:
    def of_truths(x1: Any, x2: Any) -> Any:
        return fn(array_of(x1, np.bool_), array_of(x2, np.bool_))

    return of_truths


def _zero_from_below(x: Any) -> Any:
    return indexing.where(x < 0, table.ceil(x), table.floor(x))


def _angle(z: Any, deg: bool = False) -> Any:
    z = floats(z)
    is_real = dtypes.as_dtype(z.dtype).is_floating
    # TensorFlow gives float32 for all real numbers.
    found = indexing.where(z < 0, np.float32(np.pi), np.float32(0)) if is_real else tf_math.angle(z)
    return found * (180 / np.pi) if deg else found


def _cbrt(x: Any) -> Any:
    root = table.pow(table.abs(x), 1.0 / 3)
    return indexing.where(x < 0, -root, root)


def _sinc(x: Any) -> Any:
    return indexing.where(x == 0, table.ones_like(x), table.sin(x * np.pi) / (x * np.pi))


def _heaviside(x1: Any, x2: Any) -> Any:
    a, b = two_alike(x1, x2)
    found = indexing.where(a < 0, table.zeros_like(b), indexing.where(a > 0, table.ones_like(b), b))
    return floats(found)


def _logarithm(base: int) -> Callable:
    def logarithm(x: Any) -> Any:
        found = tf_math.log(x)
        # TensorFlow divides by a number of numpy's, a float64, whose dtype counts in these modes.
        if promotion.hook is not None and dtypes.as_dtype(found.dtype).is_floating:
            found = array_of(found, np.float64)
        return found / np.log(base)

    return logarithm


def _log_sum(base: float) -> Callable:
    def log_sum(x1: Any, x2: Any) -> Any:
        a, b = map(floats, two_alike(x1, x2))
        delta = a - b
        power = table.exp(-table.abs(delta) * np.log(base))
        more = tf_math.log1p(power) / np.log(base)
        return indexing.where(tf_math.is_nan(delta), a + b, table.maximum(a, b) + more)

    return log_sum


def _isclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    a, b = two_alike(a, b)
    if not np.issubdtype(kind_of(a), np.inexact):
        return table.equal(a, b)
    return call(jnp.isclose, a, b, rtol=rtol, atol=atol, equal_nan=bool(equal_nan))


def _is_infinite(sign: int) -> Callable:
    def of_sign(x: Any) -> Any:
        x = array_of(x)
        if not dtypes.as_dtype(x.dtype).is_floating:
            return False
        return table.equal(table.abs(x) if not sign else x * sign, array_of(np.inf, x.dtype))

    return of_sign


_larger = of_two(*_OF_TWO["maximum"])


def _maximum(x1: Any, x2: Any) -> Any:
    # As in TensorFlow, the maximum with the number 0 has the gradient of `relu`.
    if type(x2) in (int, float) and x2 == 0 and isinstance(x1, Tensor) and x1.dtype.is_floating:
        return call(derivatives.relu, x1)
    return _larger(x1, x2)


def _signbit(x: Any) -> Any:
    x = array_of(x)
    return table.zeros_like(x) if kind_of(x).kind == "b" else x < 0


def _clip(a: Any, a_min: Any, a_max: Any) -> Any:
    if a_min is None and a_max is None:
        raise ValueError("Not more than one of `a_min` and `a_max` may be `None`.")
    if a_min is None or a_max is None:
        fn = table.maximum if a_max is None else table.minimum
        return fn(*alike(a, a_min if a_max is None else a_max))
    a, low, high = alike(a, a_min, a_max)
    return linalg.clip_by_value(a, low, high)


def _around(a: Any, decimals: int = 0) -> Any:
    a = array_of(a)
    factor = array_of(10.0**decimals, floats(a).dtype)
    return ops.cast(table.round(floats(a) * factor) / factor, a.dtype)


# -- sums and what is like them -------------------------------------------------------------------


def _summable(a: Any, dtype: Any, fractions: bool) -> Any:
    """The array in the dtype in which it is summed up."""
    a = array_of(a, dtype)
    kind = kind_of(a)
    if dtype is not None or kind.kind not in "biu":
        return a
    if fractions:
        return array_of(a, result_type(float))
    wide = np.dtype(np.uint64 if kind.kind == "u" else np.int64)
    if promotion.hook is not None:
        wide = np.dtype(np.uint32 if kind.kind == "u" else np.int32)
    return array_of(a, wide) if kind.itemsize < wide.itemsize else a


def _reduction(name: str, fractions: bool = False) -> Callable:
    def reduce(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = None) -> Any:
        return _reduced(name, a, axis, dtype, keepdims, fractions)

    return reduce


def _reduced(
    name: str, a: Any, axis: Any, dtype: Any, keepdims: Any, fractions: bool = False
) -> Any:
    of_bools = {"sum": table.reduce_any, "prod": table.reduce_all}.get(name)
    if of_bools is not None and dtype is not None and dtypes.as_dtype(dtype).is_bool:
        return of_bools(array_of(a, np.bool_), axis, bool(keepdims))
    found = _summable(a, dtype, fractions)
    return getattr(table, f"reduce_{name}")(found, axis, bool(keepdims))


def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = None
) -> Any:
    no_output(out)
    return _reduced("mean", a, axis, dtype, keepdims, True)


def _extreme(name: str, of_bools: Callable) -> Callable:
    def extreme(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
        no_output(out)
        a = array_of(a)
        fn = of_bools if kind_of(a).kind == "b" else getattr(table, name)
        return fn(a, axis, bool(keepdims))

    return extreme


def _var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: Any = None,
) -> Any:
    no_output(out)
    found = floats(array_of(a, None if dtype is None else result_type(a, dtype)))
    value = tf_math.reduce_variance(found, axis, bool(keepdims))
    if ddof:
        axes = range(len(found.shape)) if axis is None else np.atleast_1d(axis)
        count = int(np.prod([found.shape[int(i)] for i in axes]))
        value = value * (count / (count - ddof))
    return value if dtype is None else ops.cast(value, dtype)


def _std(a: Any, axis: Any = None, keepdims: Any = None) -> Any:
    return tf_math.reduce_std(floats(a), axis, bool(keepdims))


def _truth(name: str) -> Callable:
    def of_truths(a: Any, axis: Any = None, keepdims: Any = None) -> Any:
        return getattr(table, name)(array_of(a, np.bool_), axis, bool(keepdims))

    return of_truths


def _without_nan(name: str, instead: int) -> Callable:
    def reduce(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        a = array_of(a)
        kept = indexing.where(tf_math.is_nan(floats(a)), array_of(instead, a.dtype), a)
        return _reduced(name, kept, axis, dtype, keepdims)

    return reduce


def _nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    a = array_of(a)
    if kind_of(a).kind in "biu":
        return _mean(a, axis, dtype, keepdims=keepdims)
    there = array_of(table.logical_not(tf_math.is_nan(a)), dtype or a.dtype)
    total = _without_nan("sum", 0)(a, axis, dtype, keepdims)
    return total / _reduced("sum", there, axis, dtype, keepdims)


def _cumulative(fn: Callable) -> Callable:
    def of_array(a: Any, axis: Any = None, dtype: Any = None) -> Any:
        a = array_of(a, dtype)
        if kind_of(a).kind == "b":
            raise InvalidArgumentError("Bools cannot be summed up or multiplied: name a dtype.")
        if dtype is None and kind_of(a).kind in "iu":
            wide = np.promote_types(kind_of(a), np.int64)
            if promotion.hook is not None and wide == np.int64 != kind_of(a):
                wide = np.dtype(np.int32)
            a = array_of(a, wide)
        return fn(flat(a), 0) if axis is None else fn(a, axis)

    return of_array


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False) -> Any:
    if axis is not None and not isinstance(axis, int):
        raise ValueError(f"axis must be an integer. Received: axis={axis!r}")
    if weights is None:
        a = floats(a)
        found = table.reduce_mean(a, axis)
        count = math.prod(a.shape) if axis is None else a.shape[axis]
        total = array_of(count, a.dtype)
    else:
        a, weights = map(floats, alike(a, weights))
        if len(weights.shape) not in (1, len(a.shape)):
            raise InvalidArgumentError(
                f"weights must be a vector or of the shape {a.shape}. Received: {weights.shape}"
            )
        if len(weights.shape) != len(a.shape):
            shape = [1] * len(a.shape)
            shape[axis] = -1  # type: ignore[index]
            weights = table.ones_like(a) * ops.reshape(weights, shape)
        elif weights.shape != a.shape:
            raise InvalidArgumentError(
                f"weights must have shape {a.shape}. Received: {weights.shape}"
            )
        total = table.reduce_sum(weights, axis)
        found = table.reduce_sum(a * weights, axis) / total
    return (found, ops.broadcast_to(total, found.shape)) if returned else found


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    a = array_of(a, dtype)
    rank = len(a.shape)
    if not offset and (axis1 % rank, axis2 % rank) == (rank - 2, rank - 1):
        return linalg.trace(a)  # type: ignore[attr-defined]
    found = call(jnp.diagonal, a, offset=offset, axis1=axis1, axis2=axis2)
    return _reduced("sum", found, -1, dtype, False)


def _ptp(a: Any, axis: Any = None, keepdims: Any = None) -> Any:
    a, keep = array_of(a), bool(keepdims)
    return table.reduce_max(a, axis, keep) - table.reduce_min(a, axis, keep)


def _index_of(fn: Callable) -> Callable:
    def of_array(a: Any, axis: Any = None) -> Any:
        a = array_of(a)
        return fn(flat(a), 0) if axis is None else fn(at_least(a, 1), axis)

    return of_array


# -- products -------------------------------------------------------------------------------------


def _product(name: str) -> Callable:
    fn = getattr(jnp, name)

    def product(a: Any, b: Any) -> Any:
        return call(fn, *two_alike(a, b))

    return product


def _matmul(x1: Any, x2: Any) -> Any:
    try:
        return call(jnp.matmul, *two_alike(x1, x2))
    except ValueError as error:
        raise ValueError(str(error)) from None


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = two_alike(a, b)
    return linalg.tensordot(a, b, axes)


def _einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    casting = kwargs.get("casting", "safe")
    if casting not in ("safe", "no"):
        raise ValueError(f"casting must be 'safe' or 'no'. Received: casting={casting!r}")
    return linalg.einsum(
        subscripts, *(alike(*operands) if casting == "safe" else map(array_of, operands))
    )


# Name: the function, with numpy's arguments.
_FUNCTIONS: dict[str, Callable] = {
    **numpy_shapes.FUNCTIONS,
    "all": _truth("reduce_all"),
    "allclose": lambda a, b, rtol=1e-05, atol=1e-08, equal_nan=False: table.reduce_all(
        _isclose(a, b, rtol, atol, equal_nan)
    ),
    "amax": _extreme("reduce_max", table.reduce_any),
    "amin": _extreme("reduce_min", table.reduce_all),
    "angle": _angle,
    "any": _truth("reduce_any"),
    "argmax": _index_of(ops.argmax),
    "argmin": _index_of(ops.argmin),
    "around": _around,
    "array_equal": lambda a1, a2: constant(
        array_of(a1).shape == array_of(a2).shape and bool(np.all(table.equal(*alike(a1, a2))))
    ),
    "average": _average,
    "bitwise_not": lambda x: ~array_of(x),
    "cbrt": _elementwise(_cbrt, floats),
    "clip": _clip,
    "count_nonzero": lambda a, axis=None: tf_math.count_nonzero(array_of(a), axis),
    "cross": lambda a, b, axisa=-1, axisb=-1, axisc=-1, axis=None: call(
        jnp.cross, *two_alike(a, b), axisa=axisa, axisb=axisb, axisc=axisc, axis=axis
    ),
    "cumprod": _cumulative(tf_math.cumprod),
    "cumsum": _cumulative(ops.cumsum),
    "deg2rad": _elementwise(lambda x: x * (np.pi / 180), floats),
    "divmod": lambda x1, x2: (_FUNCTIONS["floor_divide"](x1, x2), _FUNCTIONS["mod"](x1, x2)),
    "dot": _product("dot"),
    "einsum": _einsum,
    "exp2": _elementwise(lambda x: table.pow(array_of(2, x.dtype), x), floats),
    "fix": _elementwise(_zero_from_below, floats),
    "heaviside": _heaviside,
    "hypot": lambda x1, x2: table.sqrt(
        floats(table.square(array_of(x1)) + table.square(array_of(x2)))
    ),
    "inner": _product("inner"),
    "isclose": _isclose,
    "iscomplex": lambda x: tf_math.imag(array_of(x)) != 0,
    "iscomplexobj": lambda x: np.issubdtype(kind_of(array_of(x)), np.complexfloating),
    "isinf": _is_infinite(0),
    "isneginf": _is_infinite(-1),
    "isposinf": _is_infinite(1),
    "isreal": lambda x: tf_math.imag(array_of(x)) == 0,
    "isrealobj": lambda x: not np.issubdtype(kind_of(array_of(x)), np.complexfloating),
    "kron": lambda a, b: call(jnp.kron, *alike(a, b)),
    "log10": _elementwise(_logarithm(10), floats),
    "log2": _elementwise(_logarithm(2), floats),
    "logaddexp": _log_sum(np.e),
    "logaddexp2": _log_sum(2),
    **{f"logical_{n}": _logical(getattr(table, f"logical_{n}")) for n in ("and", "or")},
    "logical_not": lambda x: table.logical_not(array_of(x, np.bool_)),
    "logical_xor": _logical(table.not_equal),
    "matmul": _matmul,
    "mean": _mean,
    "nanmean": _nanmean,
    "nanprod": _without_nan("prod", 1),
    "nansum": _without_nan("sum", 0),
    "outer": _product("outer"),
    "polyval": lambda p, x: call(jnp.polyval, *two_alike(p, x)),
    "prod": _reduction("prod"),
    "promote_types": lambda type1, type2: np.promote_types(
        *(dtypes.as_dtype(t).dtype for t in (type1, type2))
    ),
    "ptp": _ptp,
    "rad2deg": _elementwise(lambda x: x * (180 / np.pi), floats),
    "result_type": result_type,
    "signbit": lambda x: (
        array_of(x) < 0 if kind_of(array_of(x)).kind != "b" else table.zeros_like(array_of(x))
    ),
    "sinc": _elementwise(_sinc, floats),
    "std": _std,
    "sum": _reduction("sum"),
    "tensordot": _tensordot,
    "trace": _trace,
    "var": _var,
    "vdot": lambda a, b: call(jnp.vdot, *alike(a, b)),
    **{n: _elementwise(getattr(tf_math, tf), floats) for n, tf in _named(_OF_FRACTIONS)},
    **{n: _elementwise(getattr(tf_math, tf), array_of) for n, tf in _named(_OF_NUMBERS)},
    **{name: of_two(*functions) for name, functions in _OF_TWO.items()},
    "maximum": _maximum,
}
_FUNCTIONS |= {name: _FUNCTIONS[other] for name, other in _SAME.items()}


def _document(name: str, function: Callable) -> None:
    rule = DOCUMENTATION.get(name, "What numpy's function of this name gives.").split("\n\n>>>")[0]
    # Its results are float64 where those of the op are float32.
    example = EXAMPLES.get(name) or for_tensors(name, "tnp").replace(", dtype=float32", "")
    example = example.removeprefix(f"{rule}\n\n")
    function.__doc__ = f"{rule}\n\n>>> tnp = tf.experimental.numpy\n{example}"
    function.__name__ = function.__qualname__ = name


for _name, _function in _FUNCTIONS.items():
    if not isinstance(_function, type) and _function is not result_type and _name not in _SAME:
        _document(_name, _function)
_FUNCTIONS |= {
    name: promotes(function)
    for name, function in _FUNCTIONS.items()
    if name in (*weak_tensor.OF_ONE_IN_NUMPY.split(), "matmul")
}
globals().update(_FUNCTIONS)


# -- numpy's behaviour of tensors -----------------------------------------------------------------


@promotes
def _reshape_method(x: Any, *newshape: Any, order: str = "C") -> Any:
    shape = newshape[0] if len(newshape) == 1 else newshape
    return numpy_shapes.FUNCTIONS["reshape"](x, shape, order)


weak_tensor.METHODS.append(_reshape_method)


def experimental_enable_numpy_behavior(
    prefer_float32: bool = False, dtype_conversion_mode: str = "legacy"
) -> None:
    """Gives tensors numpy's methods (`T`, `reshape`, `ravel`, `astype`, `mean` and others), and
    operands of two dtypes one dtype.

    Args:
        prefer_float32: whether Python's floats are float32 rather than float64.
        dtype_conversion_mode: how operands of different dtypes are converted.
            "legacy": operators give numpy's dtypes: an int32 and a float32 give a float64.
            "all": operators and most functions give the first dtype that both operands can
            become: an int32 and a float32 give a float32, a uint64 and a float16 a float16. What
            is made without a dtype, as `tf.constant(1.0)`, is weak: it has the dtype of the other
            operand if that can hold it.
            "safe": as "all", but what may lose precision, or gives a dtype that neither operand
            has, raises TypeError.
            "off": they are not converted.

    Raises ValueError for another mode.

    Example (it lasts until the program ends)::

        tf.experimental.numpy.experimental_enable_numpy_behavior()
        tf.constant([[1, 2]]).T + 0.5
    """
    if dtype_conversion_mode not in ("legacy", "off", "all", "safe"):
        raise ValueError(
            "tf.experimental.numpy.experimental_enable_numpy_behavior: dtype_conversion_mode must "
            f"be 'legacy', 'all', 'safe' or 'off'. Received: {dtype_conversion_mode!r}"
        )
    _prefer(prefer_float32)
    promotion.mode = dtype_conversion_mode
    promotion.hook = weak_tensor.call if dtype_conversion_mode in ("all", "safe") else None
    operators.promoted = alike if dtype_conversion_mode == "legacy" else None
    methods: dict[str, Any] = {
        "T": property(_FUNCTIONS["transpose"]),
        "__round__": _FUNCTIONS["around"],
        "astype": array_of,
        "data": property(lambda x: x),
        "reshape": _reshape_method,
        "tolist": lambda x: np.asarray(x).tolist(),
        **{n: _FUNCTIONS[n] for n in ("clip", "flatten", "max", "mean", "min", "ravel")},
        "transpose": _FUNCTIONS["transpose"],
    }
    for name, method in methods.items():
        setattr(Tensor, name, method)
    Tensor.__getitem__ = numpy_shapes.get_item  # type: ignore[method-assign]


_prefer = prefer_float32
_CONSTANTS = (
    "bool_ complex128 complex64 complex_ e finfo float16 float32 float64 float_ iinfo inexact inf "
    "int16 int32 int64 int8 int_ issubdtype ndarray newaxis object_ pi random string_ uint16 "
    "uint32 uint64 uint8 unicode_"
)
__all__ = sorted([*_FUNCTIONS, *_CONSTANTS.split(), "experimental_enable_numpy_behavior"])
__dir__ = __all__.copy
