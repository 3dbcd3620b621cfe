"""Functions whose gradients at kinks, ties or poles differ between TensorFlow and JAX.

The values are the same, and the gradients here are TensorFlow's: for equal arguments, that of a
maximum flows to the first one; that of `abs` at 0 is 0; and so on. `CHOICES` maps functions of
`keraslike.ops` to these, for calls with tensors or while a tape records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from keraslike import ops
from keraslike.ops.wrap import array, operand


def differentiated(derivative: Callable) -> Callable:
    """A decorator that defines the derivative `derivative(out, x, tangent, y, tangent)`."""

    def decorate(function: Callable) -> Callable:
        custom = jax.custom_jvp(function)

        @custom.defjvp
        def jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
            out = custom(*primals)
            pairs = [x for pair in zip(primals, tangents) for x in pair]
            tangent = derivative(out, *pairs)
            return out, jnp.broadcast_to(tangent, out.shape).astype(out.dtype)

        return jax.jit(custom)  # Eagerly, a call of a custom_jvp function takes ten times as long.

    return decorate


@differentiated(lambda out, x, t: t * jnp.sign(x))
def _real_abs(x: Any) -> Any:
    return jnp.abs(x)


def absolute(x: Any) -> Any:
    """`abs(x)`, with the slope 0 at 0."""
    return _real_abs(x) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.abs(x)


# TensorFlow's gradients of roots and reciprocals are 0 for a zero cotangent, where the product with
# an infinite slope is nan: `tf.where(x > 0, tf.sqrt(x), 0.)` has a gradient at 0. Such a function
# is not linear, so the product is a primitive of its own, whose transpose is `guarded`.


@differentiated(lambda out, c, t, slope, s: t * slope + c * s)
def guarded(c: Any, slope: Any) -> Any:
    """`c * slope`, and 0 where `c` is 0."""
    return jnp.where(c == 0, jnp.zeros((), c.dtype), c * slope)


def _batched(args: Sequence[Any], axes: Sequence[Any]) -> tuple[Any, int]:
    size = next(x.shape[axis] for x, axis in zip(args, axes) if axis is not None)
    t, slope = (
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(args, axes)
    )
    return _sloped.bind(t, slope), 0


_sloped = Primitive("sloped")
_sloped.def_impl(jnp.multiply)
_sloped.def_abstract_eval(lambda t, slope: t)
mlir.register_lowering(_sloped, mlir.lower_fun(jnp.multiply, multiple_results=False))
ad.defbilinear(_sloped, lambda c, t, slope: guarded(c, slope), lambda c, t, slope: c * t)
batching.primitive_batchers[_sloped] = _batched


@differentiated(lambda out, x, t: t / jnp.sinh(out))
def _complex_acosh(x: Any) -> Any:
    return jnp.arccosh(x)


def acosh(x: Any) -> Any:
    """`arccosh(x)`. JAX's slope has the wrong sign where the real part is negative."""
    return _complex_acosh(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else jnp.arccosh(x)


def _by_slope(function: Callable, slope: Callable[[Any], Any]) -> Callable:
    """A function with the slope `slope(result)`."""

    @differentiated(lambda out, x, t: _sloped.bind(t, slope(out)))
    def of_inexact(x: Any) -> Any:
        return function(x)

    def of_any(x: Any) -> Any:
        x = array(x)
        return of_inexact(x) if jnp.issubdtype(x.dtype, jnp.inexact) else function(x)

    return of_any


# name: the function, and its slope as a function of the result
_ROOTS: dict[str, tuple[Callable, Callable[[Any], Any]]] = {
    "sqrt": (jnp.sqrt, lambda y: 0.5 / y),
    "rsqrt": (jax.lax.rsqrt, lambda y: -0.5 * y * y * y),
    "reciprocal": (jnp.reciprocal, lambda y: -y * y),
}
_WITH_SLOPES = {name: _by_slope(*root) for name, root in _ROOTS.items()}
sqrt = _WITH_SLOPES["sqrt"]


def _two(function: Callable, derivative: Callable) -> Callable:
    """A function of two arrays, or numbers, that broadcast against each other."""
    of_arrays = differentiated(derivative)(function)

    def of_two(x: Any, y: Any) -> Any:
        dtype = jnp.result_type(x, y)
        x, y = jnp.asarray(x), jnp.asarray(y)
        if not jnp.issubdtype(dtype, jnp.inexact):
            return function(x, y)
        return of_arrays(*jnp.broadcast_arrays(x.astype(dtype), y.astype(dtype)))

    return of_two


def _power_tangent(out: Any, x: Any, t: Any, y: Any, s: Any) -> Any:
    has_log = x > 0 if jnp.issubdtype(x.dtype, jnp.floating) else x != 0
    log = jnp.where(has_log, jnp.log(jnp.where(has_log, x, 1)), 0)
    return t * y * jnp.power(x, y - 1) + s * out * log


def _zero_where(zero: Any, value: Any) -> Any:
    return jnp.where(zero, jnp.zeros((), jnp.result_type(value)), value)


maximum = _two(jnp.maximum, lambda out, x, t, y, s: jnp.where(x >= y, t, s))
minimum = _two(jnp.minimum, lambda out, x, t, y, s: jnp.where(x <= y, t, s))
power = _two(jnp.power, _power_tangent)
nextafter = _two(jnp.nextafter, lambda out, x, t, y, s: t + 0 * s)
multiply_no_nan = _two(
    lambda x, y: jnp.where(y == 0, 0, x * y),
    lambda out, x, t, y, s: _zero_where(y == 0, y) * t + _sloped.bind(s, x),
)
xlogy = _two(
    lambda x, y: _zero_where(x == 0, x * jnp.log(jnp.where(x == 0, 1, y))),
    lambda out, x, t, y, s: (
        _zero_where(x == 0, jnp.log(jnp.where(x == 0, 1, y))) * t
        + _zero_where(x == 0, x / jnp.where(x == 0, 1, y)) * s
    ),
)
xlog1py = _two(
    lambda x, y: _zero_where(x == 0, x * jnp.log1p(jnp.where(x == 0, 0, y))),
    lambda out, x, t, y, s: (
        _zero_where(x == 0, jnp.log1p(jnp.where(x == 0, 0, y))) * t
        + _zero_where(x == 0, x / (jnp.where(x == 0, 0, y) + 1)) * s
    ),
)
xdivy = _two(
    lambda x, y: _zero_where(x == 0, x / jnp.where(x == 0, 1, y)),
    lambda out, x, t, y, s: (
        _zero_where(x == 0, 1 / jnp.where(x == 0, 1, y)) * t
        - _zero_where(x == 0, x / jnp.square(jnp.where(x == 0, 1, y))) * s
    ),
)


@differentiated(lambda out, x, t, low, s, high, u: jnp.where(x < low, s, jnp.where(x > high, u, t)))
def _clip(x: Any, low: Any, high: Any) -> Any:
    return jnp.maximum(jnp.minimum(x, high), low)


@jax.jit
def clip(x: Any, low: Any, high: Any) -> Any:
    """`x` limited to a range. At the ends of the range the gradient is 1."""
    x = jnp.asarray(x)
    low = jnp.asarray(-jnp.inf if low is None else low)
    high = jnp.asarray(jnp.inf if high is None else high)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.maximum(jnp.minimum(x, high), low).astype(x.dtype)
    return _clip(*jnp.broadcast_arrays(x, low.astype(x.dtype), high.astype(x.dtype)))


# -- activations ----------------------------------------------------------------------------------


# A product, where JAX uses a select: so an infinite gradient (of a root at 0) is nan at the kink.
@differentiated(lambda out, x, t: t * _step(x))
def relu(x: Any) -> Any:
    """The positive part.

    >>> tf.nn.relu([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """
    return jnp.maximum(x, 0)


@differentiated(lambda out, x, t: t * (_step(x) * _step(6 - x)))
def relu6(x: Any) -> Any:
    """The positive part, at most 6.

    >>> tf.nn.relu6([-1.0, 8.0]).numpy().tolist()
    [0.0, 6.0]
    """
    return jnp.minimum(jnp.maximum(x, 0), 6)


def leaky_relu(x: Any, slope: float = 0.2) -> Any:
    """`x` where it is positive, `slope * x` elsewhere."""
    return _leaky_relu(x, slope)


@differentiated(lambda out, x, t, slope, s: t * (jnp.where(x > 0, 1, slope) + _zero_by(x)))
def _leaky_relu(x: Any, slope: Any) -> Any:
    return jnp.where(x > 0, x, x * slope)


@differentiated(lambda out, x, t: t * jnp.where(out < 0, out + 1, 1))
def elu(x: Any) -> Any:
    """`x` where it is positive, `exp(x) - 1` elsewhere.

    >>> tf.nn.elu([-1.0, 2.0]).numpy().round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    return jax.nn.elu(x)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.7580993408473766


@differentiated(lambda out, x, t: t * jnp.where(out < 0, out + _SELU_ALPHA, _SELU_SCALE))
def selu(x: Any) -> Any:
    """A scaled `elu`.

    >>> tf.nn.selu([-1.0, 1.0]).numpy().round(4)
    array([-1.1113,  1.0507], dtype=float32)
    """
    return jax.nn.selu(x)


# -- losses ---------------------------------------------------------------------------------------


def sigmoid_loss(y: Any, z: Any) -> Any:
    """The cross-entropy of the probabilities `y` and `sigmoid(z)`."""
    positive = z >= 0
    return jnp.where(positive, z, 0) - z * y + jnp.log1p(jnp.exp(jnp.where(positive, -z, z)))


def weighted_sigmoid_loss(y: Any, z: Any, positive: Any) -> Any:
    """`sigmoid_loss` with a weight of what `y` is positive for."""
    rest = jnp.log1p(jnp.exp(-absolute(z))) + relu(-z)
    return (1 - y) * z + (1 + (positive - 1) * y) * rest


def softmax_loss(y: Any, z: Any, axis: int = -1) -> Any:
    """The cross-entropy of `y` and `softmax(z)`. Its gradient with respect to `z` is
    `softmax(z) - y`, which is exact if `y` sums to 1."""

    @differentiated(
        lambda out, y, t, z, s: (
            jnp.sum((jax.nn.softmax(z, axis) - y) * s, axis)
            - jnp.sum(jax.nn.log_softmax(z, axis) * t, axis)
        )
    )
    def loss(y: Any, z: Any) -> Any:
        return -jnp.sum(y * jax.nn.log_softmax(z, axis), axis)

    return loss(*jnp.broadcast_arrays(y, z))


# -- decompositions -------------------------------------------------------------------------------


def hermitian(x: Any) -> Any:
    """The Hermitian matrices with given lower triangles."""
    return jnp.tril(x) + jnp.conj(jnp.swapaxes(jnp.tril(x, -1), -1, -2))


def cholesky(x: Any) -> Any:
    """The lower Cholesky factor. Its gradient has values in both triangles.

    >>> tf.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]]).numpy().tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    return jnp.linalg.cholesky(x + jax.lax.stop_gradient(hermitian(x) - x))


# JAX's derivatives are NaN where eigenvalues or singular values are equal, as those of the identity
# are. TensorFlow leaves the vectors of equal values as they are.


def _inverse(x: Any) -> Any:
    """`1 / x`, which falls to 0 near 0."""
    divisor = jnp.where(x == 0, 1, x)  # Derivatives of the quotient at 0 would overflow.
    return _zero_where(x == 0, divisor / (divisor * divisor + 1e-20))


def _differences(x: Any) -> Any:
    """The difference between elements `j` and `i` of vectors at `(i, j)`."""
    return x[..., None, :] - x[..., :, None]


def _diagonal(x: Any) -> Any:
    return jnp.diagonal(x, axis1=-2, axis2=-1)


@jax.custom_jvp
def eigh(x: Any) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors of Hermitian matrices."""
    values, vectors = jnp.linalg.eigh(x, symmetrize_input=False)
    return values, vectors


@eigh.defjvp
def _eigh_tangent(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    values, vectors = out = eigh(*primals)
    inner = _adjoint(vectors) @ tangents[0] @ vectors
    turned = vectors @ (_inverse(_differences(values)) * inner)
    return out, (jnp.real(_diagonal(inner)), turned)


@jax.custom_jvp
def eig(x: Any) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors of square matrices."""
    values, vectors = jnp.linalg.eig(x)
    return values, vectors


@eig.defjvp
def _eig_tangent(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    values, vectors = out = eig(*primals)
    inner = jnp.linalg.solve(vectors, tangents[0].astype(vectors.dtype) @ vectors)
    turned = vectors @ (_inverse(_differences(values)) * inner)
    stretched = jnp.real(jnp.sum(jnp.conj(vectors) * turned, -2, keepdims=True))
    return out, (_diagonal(inner), turned - vectors * stretched)


@jax.custom_jvp
def svd(x: Any) -> tuple[Any, Any, Any]:
    """The left singular vectors of matrices, their singular values, and the adjoint of the right
    singular vectors."""
    u, s, vh = jnp.linalg.svd(x, full_matrices=False)
    return u, s, vh


@svd.defjvp
def _svd_tangent(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    u, s, vh = out = svd(*primals)
    t, v = tangents[0], _adjoint(vh)
    inner = _adjoint(u) @ t @ v
    between = _inverse(_differences(s) * (s[..., None, :] + s[..., :, None]))
    over = _inverse(s)[..., None, :]
    right = inner * s[..., None, :]
    left = inner * s[..., :, None]
    phases = jnp.eye(s.shape[-1], dtype=s.dtype) * (inner - _adjoint(inner)) / 2 * over
    du = u @ (between * (right + _adjoint(right)) + phases)
    dv = v @ (between * (left + _adjoint(left)))
    du = du + (t @ v - u @ inner) * over  # the part outside of the space of u, if there is one
    dv = dv + (_adjoint(t) @ u - v @ _adjoint(inner)) * over
    return out, (du, jnp.real(_diagonal(inner)), _adjoint(dv))


def _alone(function: Callable, whole: Callable, place: int) -> Callable:
    """The result of `whole` at `place`, which `function` computes faster."""
    custom = jax.custom_jvp(function)
    custom.defjvp(lambda primals, tangents: jax.jvp(lambda x: whole(x)[place], primals, tangents))
    return custom


eigvals = _alone(jnp.linalg.eigvals, eig, 0)
svdvals = _alone(jnp.linalg.svdvals, svd, 1)


@jax.custom_jvp
def least_squares(a: Any, b: Any) -> Any:
    """The solution of `a @ x == b` with the least error, or with the least norm."""
    return jnp.linalg.lstsq(a, b)[0]


@least_squares.defjvp
def _least_squares_tangent(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    (a, b), (da, db) = primals, tangents
    out, inverse = least_squares(a, b), jnp.linalg.pinv(a)
    across, rest = _adjoint(da), b - a @ out
    moved = inverse @ (db - da @ out + _adjoint(inverse) @ (across @ rest))
    free = across @ (_adjoint(inverse) @ out)
    return out, moved + free - inverse @ (a @ free)


@jax.custom_vjp
def sqrtm(x: Any) -> Any:
    """The square root of a matrix: NaN if that of a real matrix is not real."""
    found = jax.scipy.linalg.sqrtm(x)
    if jnp.iscomplexobj(x):
        return found
    # An eigenvalue of 0 may have been rounded to a negative one.
    rounding = 8 * jnp.sqrt(jnp.finfo(x.dtype).eps) * jnp.max(jnp.abs(found))
    return jnp.where(jnp.max(jnp.abs(found.imag)) > rounding, jnp.nan, found.real)


def _sqrtm_cotangent(root: Any, c: Any) -> tuple[Any]:
    """The solution of Sylvester's equation `root^H @ x + x @ root^H == c`."""
    eye, adjoint = jnp.eye(len(root), dtype=root.dtype), jnp.conj(root.T)
    sums = jnp.kron(adjoint, eye) + jnp.kron(eye, adjoint.T)
    return (jnp.linalg.solve(sums, c.reshape(-1)).reshape(c.shape),)


sqrtm.defvjp(lambda x: (sqrtm(x),) * 2, _sqrtm_cotangent)


# -- gradients that are functions of the result ----------------------------------------------------
# In TensorFlow these gradients use the result of the operation, so a second gradient can be taken
# with respect to the result, without the way in which it was computed.


def _step(y: Any) -> Any:
    """1 where `y` is positive, with a gradient of 0 rather than None."""
    return (y > 0).astype(y.dtype) + _zero_by(y)


def _zero_by(y: Any) -> Any:
    """Zeros that have a gradient with respect to `y`."""
    return jnp.where(jnp.zeros(y.shape, bool), y, 0)


def _cholesky_cotangent(y: Any, c: Any) -> Any:
    inverse = jax.scipy.linalg.solve_triangular(y, jnp.eye(y.shape[-1], dtype=y.dtype), lower=True)
    middle = jnp.tril(jnp.swapaxes(y, -1, -2) @ c)
    middle = middle - 0.5 * jnp.eye(y.shape[-1], dtype=y.dtype) * middle
    found = jnp.swapaxes(inverse, -1, -2) @ middle @ jnp.conj(inverse)
    return 0.5 * (found + _adjoint(found))


def _adjoint(x: Any) -> Any:
    return jnp.conj(jnp.swapaxes(x, -1, -2))


# name: the argument's cotangent as a function of the result and its cotangent
_BY_RESULT: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda y, c: c * y,
    **{name: lambda y, c, slope=slope: guarded(c, slope(y)) for name, (_, slope) in _ROOTS.items()},
    "tanh": lambda y, c: c * (1 - y * y),
    "sigmoid": lambda y, c: c * y * (1 - y),
    "acosh": lambda y, c: c / jnp.sinh(y),
    "asinh": lambda y, c: c / jnp.cosh(y),
    "erfinv": lambda y, c: c * (0.5 * jnp.sqrt(jnp.pi)).astype(y.dtype) * jnp.exp(y * y),
    "ndtri": lambda y, c: c * jnp.sqrt(2 * jnp.pi).astype(y.dtype) * jnp.exp(0.5 * y * y),
    "nn.relu": lambda y, c: c * _step(y),
    "nn.relu6": lambda y, c: c * (_step(y) * _step(6 - y)),
    "nn.elu": lambda y, c: c * jnp.where(y < 0, y + 1, 1),
    "nn.selu": lambda y, c: c * jnp.where(y < 0, y + _SELU_ALPHA, _SELU_SCALE),
    "nn.softmax": lambda y, c: (c - jnp.sum(c * y, -1, keepdims=True)) * y,
    "nn.log_softmax": lambda y, c: c - jnp.sum(c, -1, keepdims=True) * jnp.exp(y),
    "linalg.inv": lambda y, c: -jnp.swapaxes(y, -1, -2) @ c @ jnp.swapaxes(y, -1, -2),
    "linalg.cholesky": _cholesky_cotangent,
}

# name: the factor of the gradient that depends on the result; the rest depends on the argument
_FACTOR_OF_RESULT: dict[str, Callable[[Any], Any]] = {
    "linalg.det": lambda y: y,
    **dict.fromkeys(("reduce_std", "reduce_euclidean_norm"), lambda y: 1 / y),
}


def by_result(
    name: str, rest: tuple, kwargs: dict[str, Any], rank: int
) -> tuple[Callable | None, Callable | None]:
    """How TensorFlow's gradient of an operation depends on its result: the argument's cotangent as
    a function of the result and its cotangent, or a factor, or neither.

    Args:
        rest, kwargs: the other arguments of the operation.
        rank: the rank of the result.
    """
    given = (*rest, *kwargs.values())
    if name in ("nn.softmax", "nn.log_softmax"):
        return (_BY_RESULT[name] if given in ((), (-1,), (rank - 1,)) else None), None
    return (None if given else _BY_RESULT.get(name)), _FACTOR_OF_RESULT.get(name)


# Operations for which TensorFlow first reshapes an argument. A tape that follows the argument only
# later has not recorded it as an input of the operation.
REACHED_BY_A_COPY = {("linalg.matvec", 1)}


# -- replacements of functions of `keraslike.ops` -------------------------------------------------


def _plain(name: str) -> Callable:
    return getattr(ops, name).__wrapped__


def _categorical(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    if not from_logits or jnp.ndim(target) < 1:
        return _plain("categorical_crossentropy")(target, output, from_logits, axis)
    return softmax_loss(array(target), array(output), axis)


CHOICES: dict[Callable, Callable] = {
    _plain(name): function
    for name, function in {
        **_WITH_SLOPES,
        "std": lambda x, axis=None, keepdims=False: sqrt(_plain("var")(x, axis, keepdims)),
        "abs": lambda x: absolute(array(x)),
        "arccosh": lambda x: acosh(array(x)),
        "absolute": lambda x: absolute(array(x)),
        "fabs": lambda x: absolute(array(x)),
        "maximum": lambda x1, x2: maximum(operand(x1), operand(x2)),
        "minimum": lambda x1, x2: minimum(operand(x1), operand(x2)),
        "power": lambda x1, x2: power(operand(x1), operand(x2)),
        "clip": lambda x, x_min, x_max: clip(array(x), operand(x_min), operand(x_max)),
        "relu": lambda x: relu(array(x)),
        "relu6": lambda x: relu6(array(x)),
        "leaky_relu": lambda x, negative_slope=0.2: leaky_relu(array(x), negative_slope),
        "selu": lambda x: selu(array(x)),
        "categorical_crossentropy": _categorical,
    }.items()
}
