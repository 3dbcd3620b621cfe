"""`tf.math`: mathematical functions."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, special, table
from keraslike.tf.conversion import _as_operand, constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.nn import (
    approx_max_k,
    approx_min_k,
    in_top_k,
    log_softmax,
    softmax,
    zero_fraction,
)
from keraslike.tf.operation import operation
from keraslike.tf.ops import (
    add_n,
    argmax,
    argmin,
    count_nonzero,
    cumprod,
    cumsum,
    reduce_euclidean_norm,
)
from keraslike.tf.segments import (
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    unsorted_segment_max,
    unsorted_segment_mean,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sqrt_n,
    unsorted_segment_sum,
)
from keraslike.tf.slices import by_rows
from keraslike.tf.sorting import bincount, top_k
from keraslike.tf.structure import operates
from keraslike.tf.tensor import Tensor


@operation("complex", "real imag")
def complex(x: Any, y: Any) -> Any:  # noqa: A001
    """The numbers `real + i imag`.

    >>> tf.complex([1.0], [2.0])
    <tf.Tensor: shape=(1,), dtype=complex64, numpy=array([1.+2.j], dtype=complex64)>
    """
    return jax.lax.complex(*jnp.broadcast_arrays(x, y))


@operation("math.cumulative_logsumexp", "x")
def cumulative_logsumexp(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False
) -> Any:
    """The logarithm of the sums of `exp(x)` up to each element along an axis.

    >>> tf.math.cumulative_logsumexp([0.0, 0.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """
    table.check_kind("math.cumulative_logsumexp", x, "buicO")
    if exclusive:
        edge = [(0, 0)] * x.ndim
        edge[axis] = (0, 1) if reverse else (1, 0)
        kept = slice(1, None) if reverse else slice(None, -1)
        x = jnp.pad(x, edge, constant_values=-jnp.inf)
        x = jnp.moveaxis(jnp.moveaxis(x, axis, 0)[kept], 0, axis)
    return jax.lax.cumlogsumexp(x, axis % x.ndim, reverse)


@operation("math.truncatediv", "x y", constant="x y")
def truncatediv(x: Any, y: Any) -> Any:
    """The quotient, rounded towards 0.

    >>> tf.truncatediv([7, -7], 2).numpy().tolist()
    [3, -3]
    """
    y = table.divisor(y)
    return jax.lax.div(*jnp.broadcast_arrays(x, y)) if x.dtype.kind in "ui" else jnp.trunc(x / y)


@operation("math.truncatemod", "x y")
def truncatemod(x: Any, y: Any) -> Any:
    """The remainder of a division that rounds towards 0.

    >>> tf.truncatemod([7, -7], 2).numpy().tolist()
    [1, -1]
    """
    return jnp.fmod(x, table.divisor(y))


def polyval(coeffs: Any, x: Any, name: Any = None) -> Tensor:
    """The value at `x` of the polynomial with given coefficients, the highest power first.

    >>> tf.math.polyval([2.0, 0.0, 1.0], 3.0).numpy().tolist()
    19.0
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"coeffs must be a list. Received: {coeffs}")
    total, *others = coeffs or [table.zeros_like(x)]
    for coefficient in others:
        total = table.add(table.multiply(total, x), coefficient)
    return convert_to_tensor(total)


def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    weights: Any = None,
    dtype: Any = dtypes.int32,
    name: Any = None,
) -> Tensor:
    """The confusion matrix: the number of predictions (columns) for each class (rows).

    >>> confusion_matrix([0, 1, 1], [1, 1, 0]).numpy().tolist()
    [[0, 1], [1, 1]]
    """
    rows, columns = (np.ravel(static(v)).astype(np.int64) for v in (labels, predictions))
    if len(rows) != len(columns):
        raise ValueError(f"labels and predictions differ: {len(rows)} and {len(columns)}.")
    largest = max([*rows, *columns], default=-1) + 1
    count = int(largest if num_classes is None else static(num_classes))
    if largest > count or min([*rows, *columns], default=0) < 0:
        raise InvalidArgumentError(f"Classes from 0 to {count - 1} were expected.")
    kind = dtypes.as_dtype(dtype).dtype
    found = np.zeros((count, count), kind)
    given = 1 if weights is None else np.ravel(np.asarray(static(weights))).astype(kind)
    np.add.at(found, (rows, columns), given)
    return constant(found)


def sobol_sample(
    dim: Any, num_results: Any, skip: Any = 0, dtype: Any = dtypes.float32, name: Any = None
) -> Tensor:
    """Points of the Sobol sequence, which fill the unit cube evenly, as rows.

    Args:
        dim: the number of axes, at most 21201.
        skip: how many points are omitted after the origin.

    >>> tf.math.sobol_sample(2, 3).numpy().tolist()
    [[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]
    """
    from scipy.stats import qmc  # imported here, because its import is slow

    size, count, first = (int(static(n)) for n in (dim, num_results, skip))
    if not 1 <= size <= qmc.Sobol.MAXDIM or count < 1 or first < 0:
        raise InvalidArgumentError(
            f"sobol_sample needs 1 <= dim <= {qmc.Sobol.MAXDIM}, num_results >= 1 and skip >= 0. "
            f"Received: dim={size}, num_results={count}, skip={first}"
        )
    points = qmc.Sobol(size, scramble=False).fast_forward(first + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # which it issues for numbers of points that
        # are not powers of two
        return constant(points.random(count).astype(dtypes.as_dtype(dtype).dtype))


@operates
def scalar_mul(scalar: Any, x: Any, name: Any = None) -> Tensor:
    """`scalar * x`. Raises ValueError if `scalar` has any axes.

    >>> tf.math.scalar_mul(2.0, tf.constant([1.0, 2.0])).numpy().tolist()
    [2.0, 4.0]
    """
    if shape := tuple(_as_operand(scalar).shape):
        raise ValueError(f"scalar must be a single number. Received: a tensor of shape {shape}")
    return by_rows(lambda x: table.multiply(scalar, x))(x)


def accumulate_n(
    inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None
) -> Tensor:
    """The sum of several tensors of one shape and dtype: `add_n`. Raises ValueError if they are
    not in a list or tuple.

    >>> tf.math.accumulate_n([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
    [4.0, 6.0]
    """
    if not isinstance(inputs, (list, tuple)):
        raise ValueError(f"inputs must be a list of tensors. Received: {inputs!r}")
    return add_n(inputs)


globals().update({_name: getattr(table, _name) for _name in table.__all__})

__all__ = [
    *table.__all__,
    "add_n",
    "approx_max_k",
    "approx_min_k",
    "argmax",
    "argmin",
    "bincount",
    "complex",
    "accumulate_n",
    "confusion_matrix",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_logsumexp",
    "in_top_k",
    "log_softmax",
    "polyval",
    "reduce_euclidean_norm",
    *("scalar_mul", "sobol_sample"),
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "softmax",
    "special",
    "top_k",
    "truncatediv",
    "truncatemod",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
    "zero_fraction",
]
__dir__ = __all__.copy
