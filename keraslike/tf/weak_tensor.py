"""Tensors of weak dtypes, and calls of functions with them in the modes "all" and "safe" of
`tf.experimental.numpy.experimental_enable_numpy_behavior`.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.tf import dtypes, promotion
from keraslike.tf.conversion import cast_value, convert_to_tensor
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.promotion import Kind
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.structure import Operating
from keraslike.tf.tensor import Tensor, WeakTensor, read, run, weakened

# What of one operand is as weak as that: the functions by their names in `tf`.
_OF_ONE = (
    "bitwise.invert debugging.check_numerics expand_dims identity image.extract_patches "
    "linalg.diag linalg.diag_part linalg.matrix_transpose linalg.tensor_diag_part linalg.trace "
    "abs acos acosh math.angle asin asinh atan atanh math.ceil math.conj cos cosh math.digamma "
    "math.erf math.erfc math.erfcinv math.erfinv exp math.expm1 floor math.imag math.lgamma "
    "math.log1p math.log_sigmoid math.log math.ndtri negative math.real math.reciprocal_no_nan "
    "math.reciprocal math.reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean "
    "reduce_min reduce_prod math.reduce_std reduce_sum math.reduce_variance math.rint round "
    "math.rsqrt sigmoid sign sin sinh math.softplus sqrt square tan tanh nn.depth_to_space "
    "nn.gelu nn.leaky_relu nn.log_softmax nn.relu6 nn.space_to_depth nn.silu ones_like reshape "
    "squeeze stop_gradient transpose zeros_like math.special.dawsn math.special.expint "
    "math.special.fresnel_cos math.special.fresnel_sin math.special.spence math.bessel_i0 "
    "math.bessel_i0e math.bessel_i1 math.bessel_i1e math.special.bessel_j0 "
    "math.special.bessel_j1 math.special.bessel_k0 math.special.bessel_k0e "
    "math.special.bessel_k1 math.special.bessel_k1e math.special.bessel_y0 "
    "math.special.bessel_y1"
)
OF_ONE_IN_NUMPY = (
    "abs absolute amax amin angle arange arccos arcsin arcsinh arctan arctanh around array "
    "asanyarray asarray ascontiguousarray atleast_1d atleast_2d atleast_3d average bitwise_not "
    "cbrt ceil conj conjugate copy cos cosh cumprod cumsum deg2rad diag diagflat diagonal diff "
    "empty_like exp2 exp expand_dims expm1 fabs fix flatten flip fliplr flipud floor full_like "
    "imag log10 log1p log2 log max mean min moveaxis nanmean negative ones_like positive prod "
    "ptp rad2deg ravel real reciprocal repeat reshape rot90 round sign sin sinc sinh sort sqrt "
    "square squeeze std sum swapaxes tan tanh trace transpose triu vander var zeros_like"
)
METHODS: list[Callable] = []  # of tensors, which are as weak as these
# Their two operands are promoted.
_OF_TWO = (
    "add subtract multiply divide math.multiply_no_nan math.divide_no_nan truediv realdiv "
    "truncatediv truncatemod math.floordiv math.floormod pow matmul experimental.numpy.matmul"
)
_COMPARED = "maximum minimum equal"  # their results are not weak


# -- the dtypes of operands -----------------------------------------------------------------------


def kind_of(x: Any) -> Kind:
    """The dtype of an operand, or one that it names, and whether it is weak.

    Raises OverflowError for a Python integer beyond the range of int32, NotImplementedError for
    what has no dtype.
    """
    if isinstance(x, WeakTensor):
        return x.dtype, True
    if isinstance(x, DType):
        return x, False
    if isinstance(x, (Tensor, nnx.Variable, jax.Array, np.ndarray, np.generic, IndexedSlices)):
        return dtypes.as_dtype(x.dtype), False
    if isinstance(x, (str, bytes)):
        return dtypes.string, False
    number = x if isinstance(x, type) else type(x)
    if number is bool:
        return dtypes.bool_, False
    if isinstance(x, int) and not -(2**31) <= x < 2**31:
        raise OverflowError(f"The Python integer {x} is beyond the range of int32.")
    for plain, dtype in _PLAIN.items():
        if issubclass(number, plain) and not issubclass(number, np.generic):
            return dtype, True
    if isinstance(x, TensorShape):
        return dtypes.int32, False
    if isinstance(x, (type, np.dtype)):
        try:
            return dtypes.as_dtype(x), False
        except TypeError:
            pass
    raise NotImplementedError(f"{type(x)} has no dtype that could be promoted.")


_PLAIN = {int: dtypes.int32, float: dtypes.float32, complex: dtypes.complex128}


def promoted_kind(*values: Any) -> Kind:
    """The dtype of what is computed of operands, numbers, nested lists and dtypes, and whether it
    is weak. `None` does not count.

    Raises TypeError where the mode does not allow it, NotImplementedError where there is none.
    """
    found: Kind | None = None
    for value in values:
        if isinstance(value, Operating) and not isinstance(value, IndexedSlices):
            raise NotImplementedError(f"The dtype of a {type(value)} is not promoted.")
        for kind in dict.fromkeys(map(kind_of, _leaves(value))):
            found = kind if found is None else promotion.joined(found, kind, promotion.mode)
    return (dtypes.float32, True) if found is None else found


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)) and not isinstance(value, TensorShape):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _as(x: Any, dtype: DType) -> Any:
    """An operand as a tensor of a dtype, whose weakness does not count."""
    if isinstance(x, nnx.Variable):
        x = read(x)
    if isinstance(x, (IndexedSlices, jax.Array)):
        x = convert_to_tensor(x)
    if not isinstance(x, Tensor):
        return convert_to_tensor(x, dtype)
    return x if x.dtype is dtype else run(cast_value, (x,), (dtype,), name="Cast")


# -- calls ----------------------------------------------------------------------------------------


def _of_one(function: Callable, given: dict[str, Any], first: str) -> Any:
    x = given[first]
    is_strong = isinstance(x, Tensor) and not isinstance(x, WeakTensor)
    if is_strong or given.get("dtype") is not None:
        return function(**given)
    dtype, weak = promoted_kind(x)
    given[first] = _as(x, dtype)
    found = function(**given)
    return weakened(found) if weak else found


def _of_two(function: Callable, given: dict[str, Any], *names: str, compared: bool = False) -> Any:
    first, second = names
    dtype, weak = promoted_kind(given[first], given[second])
    given[first], given[second] = _as(given[first], dtype), _as(given[second], dtype)
    found = function(**given)
    return weakened(found) if weak and not compared else found


def _clipped(function: Callable, given: dict[str, Any], x: str, low: str, high: str) -> Any:
    """`clip_by_value`, which is the maximum of a limit and a minimum."""
    dtype, weak = promoted_kind(given[x])
    first, _ = promoted_kind(dtype, given[high])
    last, _ = promoted_kind(first, given[low])
    given[x] = _as(_as(given[x], dtype), last)
    given[high], given[low] = _as(_as(given[high], first), last), _as(given[low], last)
    found = function(**given)
    return weakened(found) if weak else found


def _constant(function: Callable, given: dict[str, Any], value: str) -> Any:
    x, asked = given[value], given.get("dtype")
    dtype, weak = promoted_kind(x, asked)
    if asked is None:
        found = function(**given | {"dtype": dtype, value: _strong(x)})
        return weakened(found) if weak else found
    if dtype == dtypes.as_dtype(asked) and isinstance(x, (Tensor, nnx.Variable)):
        given[value] = _as(x, dtype)
    return function(**given)


def _assigned(function: Callable, given: dict[str, Any], variable: str, value: str) -> Any:
    x = given[variable]
    dtype, _ = promoted_kind(x, given[value])
    if dtype is not x.dtype:
        raise TypeError(
            f"The dtype of a variable cannot change from {x.dtype.name} to {dtype.name}: convert "
            f"the value {given[value]!r} by tf.cast()."
        )
    given[value] = _as(given[value], dtype)
    return function(**given)


def _strong(x: Any) -> Any:
    return convert_to_tensor(x) if isinstance(x, WeakTensor) else x


@functools.cache
def _rules() -> dict[Any, tuple[Callable, inspect.Signature, tuple[str, ...]]]:
    """By functions, what promotes their operands, with their signatures and the operands' names."""
    root: Any = sys.modules["keraslike.tf"]
    variable = root.Variable
    names: dict[Any, Callable] = {
        **dict.fromkeys(_OF_ONE.split(), _of_one),
        **{f"experimental.numpy.{name}": _of_one for name in OF_ONE_IN_NUMPY.split()},
        **dict.fromkeys(_OF_TWO.split(), _of_two),
        **dict.fromkeys(_COMPARED.split(), functools.partial(_of_two, compared=True)),
        "clip_by_value": _clipped,
        "constant": _constant,
    }
    found = {operator.attrgetter(name)(root): rule for name, rule in names.items()}
    found |= dict.fromkeys(METHODS, _of_one)
    found |= {getattr(variable, f"assign{how}"): _assigned for how in ("", "_add", "_sub")}
    counts = {_of_one: 1, _constant: 1, _clipped: 3}
    rules = {}
    for function, rule in found.items():
        signature = inspect.signature(function)
        parameters = tuple(signature.parameters)[: counts.get(rule, 2)]
        rules[inspect.unwrap(function)] = rule, signature, parameters
    scalar_mul = inspect.unwrap(root.scalar_mul)
    rules[scalar_mul] = _of_one, inspect.signature(scalar_mul), ("x",)
    return rules


def call(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a function gives for promoted operands, or `NotImplemented` where nothing is promoted:
    for other functions, and for calls by this package itself."""
    found = _rules().get(inspect.unwrap(function))
    if found is None or not promotion.by_user(2):
        return NotImplemented
    rule, signature, names = found
    bound = signature.bind(*args, **kwargs)
    given = dict(bound.arguments)
    if any(name not in given for name in names):
        return NotImplemented  # the function raises the error
    try:
        return rule(functools.partial(_called, function, signature), given, *names)
    except NotImplementedError:
        return NotImplemented


def _called(function: Callable, signature: inspect.Signature, **given: Any) -> Any:
    bound = inspect.BoundArguments(signature, given)  # type: ignore[arg-type]
    return function(*bound.args, **bound.kwargs)
