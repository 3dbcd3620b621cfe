"""The docstrings of functions that are made by tables rather than by a `def`. The outputs of the
examples are TensorFlow's.

The first table is for functions of `tf.math` that differ from the operation of `keraslike.ops` with
the same name, or have none. Names in the second table begin with their module, unless it is `tf` or
`tf.math`.
"""

from __future__ import annotations

from typing import Any

from keraslike.ops.documentation import for_tensors, read, with_x_and_y

_TEXT = """
zeros_like
Zeros of the tensor's shape and dtype.
>>> tf.zeros_like([1.0, 2.0]).numpy().tolist()
[0.0, 0.0]

ones_like
Ones of the tensor's shape and dtype.
>>> tf.ones_like([3.0, 2.0]).numpy().tolist()
[1.0, 1.0]

round
The nearest whole number; halves go to the even one.
>>> tf.math.round([0.5, 1.5, -1.2]).numpy().tolist()
[0.0, 2.0, -1.0]

rint
The nearest whole number; halves go to the even one.
>>> tf.math.rint([0.5, 1.5, -1.2]).numpy().tolist()
[0.0, 2.0, -1.0]

logical_not
True where `x` is False.
>>> tf.math.logical_not([True, False]).numpy().tolist()
[False, True]

is_nan
Whether each element is not a number.
>>> tf.math.is_nan([1.0, float("nan")]).numpy().tolist()
[False, True]

is_finite
Whether each element is neither infinite nor NaN.
>>> tf.math.is_finite([1.0, float("inf")]).numpy().tolist()
[True, False]

is_inf
Whether each element is infinite.
>>> tf.math.is_inf([1.0, float("inf")]).numpy().tolist()
[False, True]

asin
The angle in radians whose sine is `x`.
>>> tf.math.asin([0.0]).numpy().tolist()
[0.0]

acos
The angle in radians whose cosine is `x`.
>>> tf.math.acos([1.0]).numpy().tolist()
[0.0]

atan
The angle in radians whose tangent is `x`.
>>> tf.math.atan([0.0]).numpy().tolist()
[0.0]

asinh
The inverse of `sinh`.
>>> tf.math.asinh([0.0]).numpy().tolist()
[0.0]

acosh
The inverse of `cosh`; NaN below 1.
>>> tf.math.acosh([1.0]).numpy().tolist()
[0.0]

atanh
The inverse of `tanh`; infinite at -1 and 1.
>>> tf.math.atanh([0.0, 1.0]).numpy().tolist()
[0.0, inf]

add
`x + y`; strings are concatenated.
>>> tf.math.add([1.0, 2.0], 3.0).numpy().tolist()
[4.0, 5.0]

floormod
`x - floor(x / y) * y`, which has the sign of `y`.
>>> tf.math.floormod([7, -7], 3).numpy().tolist()
[1, 2]

pow
`x**y`.
>>> tf.math.pow([2.0, 3.0], 2.0).numpy().tolist()
[4.0, 9.0]

divide_no_nan
`x / y`, and 0 where `y` is 0.
>>> tf.math.divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist()
[0.0, 0.5]

atan2
The angle in radians of the point with ordinate `x` and abscissa `y`.
>>> tf.math.atan2([0.0], [1.0]).numpy().tolist()
[0.0]

floordiv
`floor(x / y)`.
>>> tf.math.floordiv([7, -7], 2).numpy().tolist()
[3, -4]

logical_and
True where both `x` and `y` are True.
>>> tf.math.logical_and([True, False], True).numpy().tolist()
[True, False]

logical_or
True where `x` or `y` is True.
>>> tf.math.logical_or([True, False], False).numpy().tolist()
[True, False]

logical_xor
True where exactly one of `x` and `y` is True.
>>> tf.math.logical_xor([True, False], True).numpy().tolist()
[False, True]

reduce_sum
The sum along `axis`, or of all elements if `axis` is None.
>>> tf.math.reduce_sum([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[4.0, 6.0]

reduce_mean
The mean along `axis`, or of all elements if `axis` is None; the mean of integers is an integer.
>>> tf.math.reduce_mean([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[2.0, 3.0]

reduce_max
The largest element along `axis`, or of all elements if `axis` is None.
>>> tf.math.reduce_max([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[3.0, 4.0]

reduce_min
The smallest element along `axis`, or of all elements if `axis` is None.
>>> tf.math.reduce_min([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[1.0, 2.0]

reduce_prod
The product along `axis`, or of all elements if `axis` is None.
>>> tf.math.reduce_prod([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[3.0, 8.0]

reduce_any
Whether any element along `axis` is True.
>>> tf.math.reduce_any([[True, False], [False, False]], 1).numpy().tolist()
[True, False]

reduce_all
Whether all elements along `axis` are True.
>>> tf.math.reduce_all([[True, True], [True, False]], 1).numpy().tolist()
[True, False]

reduce_logsumexp
`log(sum(exp(x)))` along `axis`, computed without overflow.
>>> tf.math.reduce_logsumexp([1000.0, 0.0]).numpy().tolist()
1000.0

reduce_std
The square root of `reduce_variance`, the standard deviation along `axis`.
>>> tf.math.reduce_std([1.0, 3.0]).numpy().tolist()
1.0

reduce_variance
The mean of the squared distances from the mean along `axis`.
>>> tf.math.reduce_variance([1.0, 5.0]).numpy().tolist()
4.0

lgamma
`log(abs(gamma(x)))`.
>>> tf.math.lgamma([1.0]).numpy().round(4).tolist()
[0.0]

digamma
The derivative of `lgamma`.
>>> tf.math.digamma([float("inf")]).numpy().tolist()
[inf]

ndtri
The quantile function of the standard normal distribution.
>>> tf.math.ndtri([0.5]).numpy().tolist()
[0.0]

reciprocal_no_nan
`1 / x`, and 0 where `x` is 0.
>>> tf.math.reciprocal_no_nan([2.0, 0.0]).numpy().tolist()
[0.5, 0.0]

zeta
Hurwitz's zeta function, the sum of `(k + q)**-x` for `k = 0, 1, ...`; NaN for `x` below 1.
>>> tf.math.zeta([0.5], [1.0]).numpy().tolist()
[nan]

polygamma
The derivative of order `a` of `digamma` at `x`.
>>> tf.math.polygamma([1.0], [float("inf")]).numpy().tolist()
[0.0]

xlogy
`x * log(y)`, and 0 where `x` is 0.
>>> tf.math.xlogy([0.0, 2.0], [0.0, 1.0]).numpy().tolist()
[0.0, 0.0]

xlog1py
`x * log(1 + y)`, and 0 where `x` is 0.
>>> tf.math.xlog1py([0.0, 2.0], [-1.0, 0.0]).numpy().tolist()
[0.0, 0.0]

xdivy
`x / y`, and 0 where `x` is 0.
>>> tf.math.xdivy([0.0, 2.0], [0.0, 4.0]).numpy().tolist()
[0.0, 0.5]

squared_difference
`(x - y)**2`.
>>> tf.math.squared_difference([1.0, 5.0], 3.0).numpy().tolist()
[4.0, 4.0]

multiply_no_nan
`x * y`, and 0 where `y` is 0, even if `x` is infinite or NaN.
>>> tf.math.multiply_no_nan([float("nan"), 2.0], [0.0, 3.0]).numpy().tolist()
[0.0, 6.0]

invert_permutation
The permutation `y` with `y[x[i]] == i`.
>>> tf.math.invert_permutation([2, 0, 1]).numpy().tolist()
[1, 2, 0]

l2_normalize
`x / sqrt(max(sum(x**2), epsilon))`, with the sum along `axis`.
>>> tf.math.l2_normalize([0.0, 4.0]).numpy().tolist()
[0.0, 1.0]

bessel_i0
The modified Bessel function of the first kind, of order 0.
>>> tf.math.bessel_i0([0.0]).numpy().round(4).tolist()
[1.0]

bessel_i0e
`exp(-abs(x)) * bessel_i0(x)`.
>>> tf.math.bessel_i0e([0.0]).numpy().round(4).tolist()
[1.0]

bessel_i1
The modified Bessel function of the first kind, of order 1.
>>> tf.math.bessel_i1([0.0]).numpy().tolist()
[0.0]

bessel_i1e
`exp(-abs(x)) * bessel_i1(x)`.
>>> tf.math.bessel_i1e([0.0]).numpy().tolist()
[0.0]

betainc
The regularized incomplete beta function.
>>> tf.math.betainc([1.0], [1.0], [0.5]).numpy().round(4).tolist()
[0.5]

erfcinv
The inverse of `erfc`.
>>> tf.math.erfcinv([1.0]).numpy().tolist()
[-0.0]

igamma
The regularized lower incomplete gamma function.
>>> tf.math.igamma([1.0], [0.0]).numpy().tolist()
[0.0]

igammac
The regularized upper incomplete gamma function, `1 - igamma(a, x)`.
>>> tf.math.igammac([1.0], [0.0]).numpy().tolist()
[1.0]

lbeta
The logarithm of the beta function of the elements along the last axis.
>>> tf.math.lbeta([1.0, 1.0]).numpy().round(4).tolist()
0.0

nextafter
The floating-point number next to `x1` in the direction of `x2`.
>>> tf.math.nextafter([1.0], [1.0]).numpy().tolist()
[1.0]

is_non_decreasing
Whether no element is less than the one before it.
>>> tf.math.is_non_decreasing([1, 1, 2]).numpy().tolist()
True

is_strictly_increasing
Whether each element is greater than the one before it.
>>> tf.math.is_strictly_increasing([1, 1, 2]).numpy().tolist()
False
"""

_OF_MATH = read(_TEXT)


def of_math(name: str) -> str:
    """The docstring of a function of `tf.math`."""
    return _OF_MATH.get(name) or with_x_and_y(for_tensors(name, "tf.math"))


_MADE = r"""
argmax
The index of the largest value along `axis`, by default the first; int64, or `output_type`.
>>> tf.argmax([[1, 5, 2], [3, 0, 9]], 1).numpy().tolist()
[1, 2]

argmin
The index of the smallest value along `axis`, by default the first; int64, or `output_type`.
>>> tf.argmin([[1, 5, 2], [3, 0, 9]], 1).numpy().tolist()
[0, 1]

tensor_scatter_nd_add
The tensor with `updates` added at the positions that the last axis of `indices` holds.
>>> tf.tensor_scatter_nd_add([1, 2, 3], [[0], [2]], [10, 20]).numpy().tolist()
[11, 2, 23]

tensor_scatter_nd_max
The tensor with the larger of its elements and `updates` at the positions in `indices`.
>>> tf.tensor_scatter_nd_max([1, 2, 3], [[0], [2]], [10, 0]).numpy().tolist()
[10, 2, 3]

tensor_scatter_nd_min
The tensor with the smaller of its elements and `updates` at the positions in `indices`.
>>> tf.tensor_scatter_nd_min([1, 2, 3], [[0], [2]], [10, 0]).numpy().tolist()
[1, 2, 0]

tensor_scatter_nd_sub
The tensor with `updates` subtracted at the positions that the last axis of `indices` holds.
>>> tf.tensor_scatter_nd_sub([1, 2, 3], [[0], [2]], [10, 20]).numpy().tolist()
[-9, 2, -17]

angle
The angle of complex numbers in the complex plane, in radians; for real numbers 0 or pi.
>>> tf.math.angle(tf.constant([1 + 0j, -1 + 0j])).numpy().round(4).tolist()[0]
0.0

imag
The imaginary part of complex numbers; for real numbers zeros.
>>> tf.math.imag(tf.constant([1 + 2j])).numpy().tolist()
[2.0]

real
The real part of complex numbers; real numbers are returned unchanged.
>>> tf.math.real(tf.constant([1 + 2j])).numpy().tolist()
[1.0]

segment_max
The maximum of the rows of each segment, for `segment_ids` in ascending order; 0 for a segment
without rows.
>>> tf.math.segment_max([1, 4, 3], [0, 0, 1]).numpy().tolist()
[4, 3]

segment_mean
The mean of the rows of each segment, for `segment_ids` in ascending order; 0 for a segment without
rows.
>>> tf.math.segment_mean([1.0, 4.0, 3.0], [0, 0, 1]).numpy().tolist()
[2.5, 3.0]

segment_min
The minimum of the rows of each segment, for `segment_ids` in ascending order; 0 for a segment
without rows.
>>> tf.math.segment_min([1, 4, 3], [0, 0, 1]).numpy().tolist()
[1, 3]

segment_prod
The product of the rows of each segment, for `segment_ids` in ascending order; 1 for a segment
without rows.
>>> tf.math.segment_prod([2, 4, 3], [0, 0, 1]).numpy().tolist()
[8, 3]

segment_sum
The sum of the rows of each segment, for `segment_ids` in ascending order; 0 for a segment without
rows.
>>> tf.math.segment_sum([1, 4, 3], [0, 0, 1]).numpy().tolist()
[5, 3]

unsorted_segment_max
The maximum of the rows of each of `num_segments` segments; the lowest number of the dtype for a
segment without rows.
>>> tf.math.unsorted_segment_max([1, 4, 3], [1, 0, 1], 2).numpy().tolist()
[4, 3]

unsorted_segment_mean
The mean of the rows of each of `num_segments` segments; 0 for a segment without rows.
>>> tf.math.unsorted_segment_mean([1.0, 4.0, 3.0], [1, 0, 1], 2).numpy().tolist()
[4.0, 2.0]

unsorted_segment_min
The minimum of the rows of each of `num_segments` segments; the highest number of the dtype for a
segment without rows.
>>> tf.math.unsorted_segment_min([1, 4, 3], [1, 0, 1], 2).numpy().tolist()
[4, 1]

unsorted_segment_prod
The product of the rows of each of `num_segments` segments; 1 for a segment without rows.
>>> tf.math.unsorted_segment_prod([2, 4, 3], [1, 0, 1], 2).numpy().tolist()
[4, 6]

unsorted_segment_sum
The sum of the rows of each of `num_segments` segments; 0 for a segment without rows.
>>> tf.math.unsorted_segment_sum([1, 4, 3], [1, 0, 1], 2).numpy().tolist()
[4, 4]

unsorted_segment_sqrt_n
The sum of the rows of each of `num_segments` segments, divided by the square root of their number.
>>> tf.math.unsorted_segment_sqrt_n(
...     [1.0, 4.0, 3.0, 2.0, 2.0], [1, 0, 1, 1, 1], 2
... ).numpy().tolist()
[4.0, 4.0]

bitwise.bitwise_and
The bits that are set in both integers.
>>> tf.bitwise.bitwise_and([6, 12], [10, 10]).numpy().tolist()
[2, 8]

bitwise.bitwise_or
The bits that are set in either integer.
>>> tf.bitwise.bitwise_or([6, 12], [10, 10]).numpy().tolist()
[14, 14]

bitwise.bitwise_xor
The bits that are set in exactly one of the two integers.
>>> tf.bitwise.bitwise_xor([6, 12], [10, 10]).numpy().tolist()
[12, 6]

bitwise.invert
The integer with every bit inverted.
>>> tf.bitwise.invert([0, 5]).numpy().tolist()
[-1, -6]

bitwise.left_shift
`x * 2**y` for integers: the bits of `x` shifted left by `y`.
>>> tf.bitwise.left_shift([1, 3], [2, 2]).numpy().tolist()
[4, 12]

bitwise.right_shift
`floor(x / 2**y)` for integers: the bits of `x` shifted right by `y`.
>>> tf.bitwise.right_shift([8, -5], [1, 1]).numpy().tolist()
[4, -3]

linalg.adjoint
The conjugate transpose of matrices `(..., n, m)`: `(..., m, n)`.
>>> tf.linalg.adjoint(tf.constant([[1 + 1j, 2 + 0j]])).numpy().tolist()
[[(1-1j)], [(2-0j)]]

linalg.cholesky
The lower triangular factor of positive definite matrices, `factor @ adjoint(factor) == input`.
>>> tf.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]]).numpy().tolist()
[[2.0, 0.0], [1.0, 2.0]]

linalg.det
The determinants `(...)` of square matrices `(..., n, n)`.
>>> tf.linalg.det([[1.0, 2.0], [0.0, 3.0]]).numpy().tolist()
3.0

linalg.eig
The eigenvalues `(..., n)`, in no particular order, and the eigenvectors, as columns, of square
matrices; both complex.
>>> values, vectors = tf.linalg.eig(tf.constant([[2.0, 0.0], [0.0, 3.0]]))
>>> values.numpy().tolist()
[(2+0j), (3+0j)]

linalg.eigh
The eigenvalues, in ascending order, and the eigenvectors, as columns, of symmetric or Hermitian
matrices. Only the lower triangle is read.
>>> values, vectors = tf.linalg.eigh([[2.0, 0.0], [0.0, 3.0]])
>>> values.numpy().tolist()
[2.0, 3.0]

linalg.eigvals
The eigenvalues `(..., n)` of square matrices; complex.
>>> tf.linalg.eigvals(tf.constant([[2.0, 0.0], [0.0, 3.0]])).numpy().tolist()
[(2+0j), (3+0j)]

linalg.eigvalsh
The eigenvalues, in ascending order, of symmetric or Hermitian matrices. Only the lower triangle is
read.
>>> tf.linalg.eigvalsh([[2.0, 0.0], [0.0, 3.0]]).numpy().tolist()
[2.0, 3.0]

linalg.expm
The exponential of square matrices, the sum of `x**k / k!` for `k = 0, 1, ...`.
>>> tf.linalg.expm([[0.0, 1.0], [0.0, 0.0]]).numpy().tolist()
[[1.0, 1.0], [0.0, 1.0]]

linalg.logdet
The logarithm of the determinant of Hermitian positive definite matrices.
>>> tf.linalg.logdet([[1.0, 0.0], [0.0, 1.0]]).numpy().tolist()
0.0

linalg.qr
The QR decomposition `(q, r)` of matrices, with orthogonal `q` and upper triangular `r`; with
`full_matrices` `q` is square.
>>> q, r = tf.linalg.qr([[0.0, 2.0], [3.0, 0.0]])
>>> tf.abs(r).numpy().round(4).tolist()
[[3.0, 0.0], [0.0, 2.0]]

linalg.slogdet
The sign and the logarithm of the absolute value of the determinant of square matrices.
>>> sign, logarithm = tf.linalg.slogdet([[0.0, 1.0], [1.0, 0.0]])
>>> sign.numpy().tolist(), logarithm.numpy().tolist()
(-1.0, 0.0)

linalg.sqrtm
The matrix square root, `y @ y == x`; NaN if there is none.
>>> tf.linalg.sqrtm([[4.0, 0.0], [0.0, 9.0]]).numpy().round(4).tolist()
[[2.0, 0.0], [0.0, 3.0]]

linalg.tensor_diag
A tensor of shape `shape(x) * 2` with the elements of `x` on its diagonal.
>>> tf.linalg.tensor_diag([1, 2]).numpy().tolist()
[[1, 0], [0, 2]]

linalg.tensor_diag_part
The diagonal of a tensor of shape `shape * 2`; the inverse of `tensor_diag`.
>>> tf.linalg.tensor_diag_part([[1, 2], [3, 4]]).numpy().tolist()
[1, 4]

linalg.trace
The sum of the main diagonal of matrices.
>>> tf.linalg.trace([[1, 2], [3, 4]]).numpy().tolist()
5

nn.avg_pool
Average pooling over all axes of `input` between the batch and the channels (channels last): one,
two or three.
>>> tf.nn.avg_pool(tf.constant([[[[1.0], [3.0]]]]), 2, 2, "SAME").numpy().tolist()
[[[[2.0]]]]

nn.avg_pool1d
The mean of each window of `ksize` steps of `(batch, steps, channels)`.
>>> tf.nn.avg_pool1d([[[1.0], [3.0], [5.0]]], 2, 1, "VALID").numpy().tolist()
[[[2.0], [4.0]]]

nn.avg_pool2d
The mean of each window of size `ksize` of `(batch, rows, columns, channels)`, without padded
positions.
>>> tf.nn.avg_pool2d(
...     [[[[1.0], [3.0]], [[5.0], [7.0]]]], [1, 2, 2, 1], [1, 2, 2, 1], "VALID"
... ).numpy().tolist()
[[[[4.0]]]]

nn.avg_pool3d
The mean of each window of size `ksize` of `(batch, depth, rows, columns, channels)`.
>>> tf.nn.avg_pool3d(tf.ones([1, 2, 2, 2, 1]), 2, 2, "VALID").numpy().tolist()
[[[[[1.0]]]]]

nn.conv1d_transpose
The gradient of `conv1d` with respect to its input: from `(batch, steps, channels)` to
`output_shape`.
>>> tf.nn.conv1d_transpose(
...     [[[1.0], [2.0]]], [[[1.0]], [[1.0]]], [1, 4, 1], 2
... ).numpy().tolist()
[[[1.0], [1.0], [2.0], [2.0]]]

nn.conv2d
The convolution of `(batch, rows, columns, channels)` with filters `(rows, columns, channels,
filters)`.
>>> tf.nn.conv2d(
...     tf.ones([1, 2, 2, 1]), tf.ones([2, 2, 1, 1]), [1, 1, 1, 1], "VALID"
... ).numpy().tolist()
[[[[4.0]]]]

nn.conv2d_transpose
The gradient of `conv2d` with respect to its input: from `(batch, rows, columns, channels)` to
`output_shape`.
>>> tf.nn.conv2d_transpose(
...     tf.ones([1, 1, 1, 1]), tf.ones([2, 2, 1, 1]), [1, 2, 2, 1], 2
... ).numpy().tolist()
[[[[1.0], [1.0]], [[1.0], [1.0]]]]

nn.conv3d
The convolution of `(batch, depth, rows, columns, channels)` with filters `(depth, rows, columns,
channels, filters)`.
>>> tf.nn.conv3d(
...     tf.ones([1, 2, 2, 2, 1]), tf.ones([2, 2, 2, 1, 1]), [1, 1, 1, 1, 1], "VALID"
... ).numpy().tolist()
[[[[[8.0]]]]]

nn.conv3d_transpose
The gradient of `conv3d` with respect to its input: from `(batch, depth, rows, columns, channels)`
to `output_shape`.
>>> tf.nn.conv3d_transpose(
...     tf.ones([1, 1, 1, 1, 1]), tf.ones([2, 2, 2, 1, 1]), [1, 2, 2, 2, 1], 2
... ).shape
TensorShape([1, 2, 2, 2, 1])

nn.elu
`x` where positive, `exp(x) - 1` elsewhere.
>>> tf.nn.elu([-1.0, 2.0]).numpy().round(4)
array([-0.6321,  2.    ], dtype=float32)

nn.max_pool
Maximum pooling over all axes of `input` between the batch and the channels (channels last): one,
two or three.
>>> tf.nn.max_pool(tf.constant([[[[1.0], [3.0]]]]), 2, 2, "SAME").numpy().tolist()
[[[[3.0]]]]

nn.max_pool1d
The maximum of each window of `ksize` steps of `(batch, steps, channels)`.
>>> tf.nn.max_pool1d([[[1.0], [3.0], [2.0]]], 2, 1, "VALID").numpy().tolist()
[[[3.0], [3.0]]]

nn.max_pool2d
The maximum of each window of size `ksize` of `(batch, rows, columns, channels)`.
>>> tf.nn.max_pool2d(
...     [[[[1.0], [3.0]], [[5.0], [7.0]]]], [1, 2, 2, 1], [1, 2, 2, 1], "VALID"
... ).numpy().tolist()
[[[[7.0]]]]

nn.max_pool3d
The maximum of each window of size `ksize` of `(batch, depth, rows, columns, channels)`.
>>> tf.nn.max_pool3d(tf.ones([1, 2, 2, 2, 1]), 2, 2, "VALID").numpy().tolist()
[[[[[1.0]]]]]

nn.relu
`max(x, 0)`.
>>> tf.nn.relu([-1.0, 2.0]).numpy().tolist()
[0.0, 2.0]

nn.relu6
`min(max(x, 0), 6)`.
>>> tf.nn.relu6([-1.0, 8.0]).numpy().tolist()
[0.0, 6.0]

nn.selu
`1.0507 * x` where positive, `1.0507 * 1.6733 * (exp(x) - 1)` elsewhere (arXiv:1706.02515).
>>> tf.nn.selu([-1.0, 1.0]).numpy().round(4)
array([-1.1113,  1.0507], dtype=float32)

signal.fft
The Fourier transform of complex numbers along the last axis.
>>> tf.signal.fft([1 + 0j, 1 + 0j]).numpy().tolist()
[(2+0j), 0j]

signal.fft2d
The Fourier transform of complex numbers along the last two axes.
>>> tf.signal.fft2d([[1 + 0j, 1 + 0j]]).numpy().tolist()
[[(2+0j), 0j]]

signal.fft3d
The Fourier transform of complex numbers along the last three axes.
>>> tf.signal.fft3d([[[1 + 0j, 1 + 0j]]]).numpy().tolist()
[[[(2+0j), 0j]]]

signal.hamming_window
`0.54 - 0.46 cos(2 pi i / n)`, a window for multiplying frames.
>>> tf.signal.hamming_window(4, periodic=False).numpy().round(2)
array([0.08, 0.77, 0.77, 0.08], dtype=float32)

signal.hann_window
`0.5 - 0.5 cos(2 pi i / n)`, a window for multiplying frames.
>>> tf.signal.hann_window(4).numpy().round(4)
array([0. , 0.5, 1. , 0.5], dtype=float32)

signal.ifft
The inverse Fourier transform of complex numbers along the last axis.
>>> tf.signal.ifft([2 + 0j, 0j]).numpy().tolist()
[(1+0j), (1+0j)]

signal.ifft2d
The inverse Fourier transform of complex numbers along the last two axes.
>>> tf.signal.ifft2d([[2 + 0j, 0j]]).numpy().tolist()
[[(1+0j), (1+0j)]]

signal.ifft3d
The inverse Fourier transform of complex numbers along the last three axes.
>>> tf.signal.ifft3d([[[2 + 0j, 0j]]]).numpy().tolist()
[[[(1+0j), (1+0j)]]]

signal.irfft
The inverse of `rfft` along the last axis: `fft_length` real numbers.
>>> tf.signal.irfft([2 + 0j, 0j]).numpy().tolist()
[1.0, 1.0]

signal.rfft
The Fourier transform of `n` real numbers along the last axis: its first `n // 2 + 1` values.
>>> tf.signal.rfft([1.0, 1.0]).numpy().tolist()
[(2+0j), 0j]

image.hsv_to_rgb
Converts colours from hue, saturation and value to red, green and blue; all range from 0 to 1.
>>> tf.image.hsv_to_rgb([[[0.5, 1.0, 1.0]]]).numpy().tolist()
[[[0.0, 1.0, 1.0]]]

image.rgb_to_hsv
Converts colours from red, green and blue to hue, saturation and value; all range from 0 to 1.
>>> tf.image.rgb_to_hsv([[[0.0, 1.0, 1.0]]]).numpy().tolist()
[[[0.5, 1.0, 1.0]]]

image.rgb_to_yiq
Converts colours from red, green and blue to NTSC's luma and two chroma components.
>>> tf.image.rgb_to_yiq([[[0.0, 0.0, 1.0]]]).numpy().round(3).tolist()[0][0][0]
0.11400000005960464

image.rgb_to_yuv
Converts colours from red, green and blue to PAL's luma and two chroma components.
>>> tf.image.rgb_to_yuv([[[0.0, 0.0, 1.0]]]).numpy().round(3)
array([[[ 0.114,  0.436, -0.1  ]]], dtype=float32)

image.yiq_to_rgb
Converts colours from NTSC's luma and two chroma components to red, green and blue.
>>> tf.image.yiq_to_rgb([[[1.0, 0.0, 0.0]]]).numpy().tolist()
[[[1.0, 1.0, 1.0]]]

image.yuv_to_rgb
Converts colours from PAL's luma and two chroma components to red, green and blue.
>>> tf.image.yuv_to_rgb([[[1.0, 0.0, 0.0]]]).numpy().tolist()
[[[1.0, 1.0, 1.0]]]

image.stateless_random_brightness
`adjust_brightness` with a `delta` in `[-max_delta, max_delta)` that is drawn with the seed, two
integers.
>>> tf.image.stateless_random_brightness(tf.zeros([2, 2, 3]), 0.5, seed=(1, 2)).shape
TensorShape([2, 2, 3])

image.stateless_random_contrast
`adjust_contrast` with a factor in `[lower, upper)` that is drawn with the seed, two integers.
>>> tf.image.stateless_random_contrast(
...     tf.zeros([2, 2, 3]), 0.5, 1.5, seed=(1, 2)
... ).numpy().max()
np.float32(0.0)

image.stateless_random_crop
A part of the given size of a tensor, whose position is drawn with the seed, two integers.
>>> tf.image.stateless_random_crop([1, 2, 3, 4], [2], seed=(1, 2)).shape
TensorShape([2])

image.stateless_random_flip_left_right
Flips each image of a batch horizontally or not, as drawn with the seed, two integers.
>>> bool(
...     tf.reduce_sum(tf.image.stateless_random_flip_left_right([[[1], [2]]], seed=(1, 2)))
...     == 3
... )
True

image.stateless_random_flip_up_down
Flips each image of a batch vertically or not, as drawn with the seed, two integers.
>>> bool(
...     tf.reduce_sum(tf.image.stateless_random_flip_up_down([[[1]], [[2]]], seed=(1, 2)))
...     == 3
... )
True

image.stateless_random_hue
`adjust_hue` with a `delta` in `[-max_delta, max_delta)` that is drawn with the seed, two integers.
>>> tf.image.stateless_random_hue(tf.zeros([2, 2, 3]), 0.25, seed=(1, 2)).shape
TensorShape([2, 2, 3])

image.stateless_random_jpeg_quality
`adjust_jpeg_quality` with a quality that is drawn with the seed, two integers.
>>> tf.image.stateless_random_jpeg_quality(tf.zeros([8, 8, 3]), 50, 90, seed=(1, 2)).shape
TensorShape([8, 8, 3])

image.stateless_random_saturation
`adjust_saturation` with a factor in `[lower, upper)` that is drawn with the seed, two integers.
>>> tf.image.stateless_random_saturation(tf.zeros([2, 2, 3]), 0.5, 1.5, seed=(1, 2)).shape
TensorShape([2, 2, 3])

sparse.maximum
The elementwise maximum at each position where either tensor has a value; missing values count as 0.
>>> x, y = tf.sparse.from_dense([0, 1]), tf.sparse.from_dense([2, 0])
>>> tf.sparse.to_dense(tf.sparse.maximum(x, y)).numpy().tolist()
[2, 1]

sparse.minimum
The elementwise minimum at each position where either tensor has a value; missing values count as 0.
>>> x, y = tf.sparse.from_dense([0, 1]), tf.sparse.from_dense([2, 0])
>>> tf.sparse.to_dense(tf.sparse.minimum(x, y)).numpy().tolist()
[0, 0]

sparse.reduce_max
The largest of the values along `axis`, or of all if it is None; 0 if there is no value. Dense, or
sparse with `output_is_sparse`.
>>> tf.sparse.reduce_max(tf.sparse.from_dense([[0, 1], [2, 3]]), 1).numpy().tolist()
[1, 3]

sparse.reduce_sum
The sum of the values along `axis`, or of all if it is None; 0 if there is no value. Dense, or
sparse with `output_is_sparse`.
>>> tf.sparse.reduce_sum(tf.sparse.from_dense([[0, 1], [2, 3]]), 1).numpy().tolist()
[1, 5]

sparse.segment_mean
The mean of the rows of `data` selected by `indices`, for each segment.
>>> tf.sparse.segment_mean(
...     tf.constant([[1.0], [3.0], [5.0]]), [0, 1, 2], [0, 0, 1]
... ).numpy().tolist()
[[2.0], [5.0]]

sparse.segment_sqrt_n
The sum of the rows of `data` selected by `indices`, for each segment, divided by the square root of
their number.
>>> tf.sparse.segment_sqrt_n(
...     tf.constant([[1.0], [3.0], [5.0]]), [0, 1, 2], [0, 0, 1]
... ).numpy().round(4).tolist()[1]
[5.0]

sparse.segment_sum
The sum of the rows of `data` selected by `indices`, for each segment.
>>> tf.sparse.segment_sum(
...     tf.constant([[1.0], [3.0], [5.0]]), [0, 1, 2], [0, 0, 1]
... ).numpy().tolist()
[[4.0], [5.0]]

strings.lower
The strings in lower case: ASCII letters only, or with `encoding="utf-8"` all letters.
>>> tf.strings.lower("AbC").numpy()
b'abc'

strings.upper
The strings in upper case: ASCII letters only, or with `encoding="utf-8"` all letters.
>>> tf.strings.upper("AbC").numpy()
b'ABC'

compat.v1.enable_control_flow_v2
Has no effect: branches and loops are always those of TensorFlow 2.
>>> tf.compat.v1.enable_control_flow_v2()

compat.v1.enable_resource_variables
Has no effect: variables are always those of TensorFlow 2.
>>> tf.compat.v1.enable_resource_variables()

compat.v1.enable_tensor_equality
Has no effect: `==` always compares tensors element by element.
>>> tf.compat.v1.enable_tensor_equality()

compat.v1.enable_v2_behavior
Has no effect: the behaviour is always that of TensorFlow 2.
>>> tf.compat.v1.enable_v2_behavior()

compat.v1.enable_v2_tensorshape
Has no effect: sizes in shapes are always integers.
>>> tf.compat.v1.enable_v2_tensorshape()

compat.v1.disable_control_flow_v2
Raises NotImplementedError: branches and loops of TensorFlow 1 are not available.
>>> try:
...     tf.compat.v1.disable_control_flow_v2()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.disable_eager_execution
Raises NotImplementedError: graphs of TensorFlow 1 are not available.
>>> try:
...     tf.compat.v1.disable_eager_execution()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.disable_resource_variables
Raises NotImplementedError: variables of TensorFlow 1 are not available.
>>> try:
...     tf.compat.v1.disable_resource_variables()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.disable_tensor_equality
Raises NotImplementedError: `==` always compares tensors element by element.
>>> try:
...     tf.compat.v1.disable_tensor_equality()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.disable_v2_behavior
Raises NotImplementedError: the behaviour is always that of TensorFlow 2.
>>> try:
...     tf.compat.v1.disable_v2_behavior()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.disable_v2_tensorshape
Raises NotImplementedError: sizes in shapes are always integers.
>>> try:
...     tf.compat.v1.disable_v2_tensorshape()
... except NotImplementedError:
...     print("not here")
not here

compat.v1.to_bfloat16
The tensor cast to bfloat16.
>>> tf.compat.v1.to_bfloat16([1]).dtype
tf.bfloat16

compat.v1.to_double
The tensor cast to float64.
>>> tf.compat.v1.to_double([1]).dtype
tf.float64

compat.v1.to_float
The tensor cast to float32.
>>> tf.compat.v1.to_float([1]).dtype
tf.float32

compat.v1.to_int32
The tensor cast to int32; fractions are truncated.
>>> tf.compat.v1.to_int32([1.7]).numpy().tolist()
[1]

compat.v1.to_int64
The tensor cast to int64; fractions are truncated.
>>> tf.compat.v1.to_int64([1.7]).dtype
tf.int64

data.experimental.bucket_by_sequence_length
`Dataset.bucket_by_sequence_length` as a function for `Dataset.apply`: batches elements of similar
lengths.
>>> dataset = tf.data.Dataset.from_generator(
...     lambda: [[1], [2, 3], [4]], output_signature=tf.TensorSpec([None], tf.int32)
... )
>>> buckets = tf.data.experimental.bucket_by_sequence_length(
...     lambda x: tf.size(x), [2], [2, 2]
... )
>>> sorted(batch.numpy().tolist() for batch in dataset.apply(buckets))
[[[1], [4]], [[2, 3]]]

data.experimental.dense_to_ragged_batch
`Dataset.ragged_batch` as a function for `Dataset.apply`: batches elements of any lengths.
>>> dataset = tf.data.Dataset.range(1, 3).map(lambda n: tf.range(n))
>>> [b.to_list() for b in dataset.apply(tf.data.experimental.dense_to_ragged_batch(2))]
[[[0], [0, 1]]]

data.experimental.dense_to_sparse_batch
`Dataset.sparse_batch` as a function for `Dataset.apply`: batches of elements of any lengths.
>>> dataset = tf.data.Dataset.range(1, 3).map(lambda n: tf.range(n))
>>> batches = dataset.apply(tf.data.experimental.dense_to_sparse_batch(2, [3]))
>>> [tf.sparse.to_dense(batch).numpy().tolist() for batch in batches]
[[[0, 0, 0], [0, 1, 0]]]

data.experimental.enumerate_dataset
`Dataset.enumerate` as a function for `Dataset.apply`: pairs each element with its number.
>>> dataset = tf.data.Dataset.range(5, 7).apply(tf.data.experimental.enumerate_dataset())
>>> [(int(i), int(n)) for i, n in dataset]
[(0, 5), (1, 6)]

data.experimental.group_by_window
`Dataset.group_by_window` as a function for `Dataset.apply`: groups elements with the same key into
windows.
>>> by_parity = tf.data.experimental.group_by_window(
...     lambda n: n % 2, lambda key, group: group.batch(2), 2
... )
>>> [b.numpy().tolist() for b in tf.data.Dataset.range(4).apply(by_parity)]
[[0, 2], [1, 3]]

data.experimental.ignore_errors
`Dataset.ignore_errors` as a function for `Dataset.apply`: drops elements that raise an error.
>>> dataset = tf.data.Dataset.from_tensor_slices([1.0, 0.0]).map(
...     lambda x: tf.debugging.check_numerics(1.0 / x, "infinite")
... )
>>> [float(x) for x in dataset.apply(tf.data.experimental.ignore_errors())]
[1.0]

data.experimental.rejection_resample
`Dataset.rejection_resample` as a function for `Dataset.apply`: resamples the classes to the
distribution `target_dist`.
>>> resample = tf.data.experimental.rejection_resample(
...     lambda n: tf.cast(n % 2, tf.int32), [0.0, 1.0], [0.5, 0.5], seed=1
... )
>>> {int(label) for label, n in tf.data.Dataset.range(20).apply(resample)}
{1}

data.experimental.scan
`Dataset.scan` as a function for `Dataset.apply`: a `map` that passes on a state.
>>> running = tf.data.experimental.scan(
...     tf.constant(0, tf.int64), lambda total, n: (total + n, total + n)
... )
>>> [int(n) for n in tf.data.Dataset.range(4).apply(running)]
[0, 1, 3, 6]

data.experimental.snapshot
`Dataset.snapshot` as a function for `Dataset.apply`: stores the elements in files.
>>> import tempfile
>>> dataset = tf.data.Dataset.range(2).apply(
...     tf.data.experimental.snapshot(tempfile.mkdtemp())
... )
>>> [int(n) for n in dataset]
[0, 1]

data.experimental.take_while
`Dataset.take_while` as a function for `Dataset.apply`: the elements before the first for which the
predicate is false.
>>> dataset = tf.data.Dataset.range(9).apply(
...     tf.data.experimental.take_while(lambda n: n < 2)
... )
>>> [int(n) for n in dataset]
[0, 1]

data.experimental.unbatch
`Dataset.unbatch` as a function for `Dataset.apply`: splits batches into their rows.
>>> dataset = tf.data.Dataset.range(4).batch(2).apply(tf.data.experimental.unbatch())
>>> [int(n) for n in dataset]
[0, 1, 2, 3]

data.experimental.unique
`Dataset.unique` as a function for `Dataset.apply`: each distinct element once.
>>> dataset = tf.data.Dataset.from_tensor_slices([1, 2, 1]).apply(
...     tf.data.experimental.unique()
... )
>>> [int(n) for n in dataset]
[1, 2]

debugging.assert_equal
Raises InvalidArgumentError unless `x == y` holds for all elements.
>>> tf.debugging.assert_equal([1, 2], [1, 2])

debugging.assert_greater
Raises InvalidArgumentError unless `x > y` holds for all elements.
>>> tf.debugging.assert_greater([2, 3], 1)

debugging.assert_less
Raises InvalidArgumentError unless `x < y` holds for all elements.
>>> tf.debugging.assert_less([0, 1], 2)

debugging.assert_greater_equal
Raises InvalidArgumentError unless `x >= y` holds for all elements.
>>> tf.debugging.assert_greater_equal([2, 3], 2)

debugging.assert_less_equal
Raises InvalidArgumentError unless `x <= y` holds for all elements.
>>> tf.debugging.assert_less_equal([0, 2], 2)

debugging.assert_negative
Raises InvalidArgumentError unless `x < 0` holds for all elements.
>>> tf.debugging.assert_negative([-1.0])

debugging.assert_non_negative
Raises InvalidArgumentError unless `x >= 0` holds for all elements.
>>> tf.debugging.assert_non_negative([0, 1])

debugging.assert_non_positive
Raises InvalidArgumentError unless `x <= 0` holds for all elements.
>>> tf.debugging.assert_non_positive([0, -1])

debugging.assert_none_equal
Raises InvalidArgumentError unless `x != y` holds for all elements.
>>> tf.debugging.assert_none_equal([1, 2], [2, 3])

debugging.assert_positive
Raises InvalidArgumentError unless `x > 0` holds for all elements.
>>> tf.debugging.assert_positive([1, 2])

train.BytesList
The values of a feature as bytes, a protocol buffer message.
>>> tf.train.BytesList(value=[b"a"]).value[0]
b'a'

train.Example
Features by name, the records of TFRecord files; a protocol buffer message.
>>> feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
>>> example = tf.train.Example(features=tf.train.Features(feature={"a": feature}))
>>> tf.train.Example.FromString(example.SerializeToString()).features.feature[
...     "a"
... ].int64_list.value[0]
7

train.Feature
A `bytes_list`, a `float_list` or an `int64_list`; a protocol buffer message.
>>> tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])).float_list.value[0]
0.5

train.FeatureList
The features of a sequence, one for each step; a protocol buffer message.
>>> step = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
>>> len(tf.train.FeatureList(feature=[step, step]).feature)
2

train.FeatureLists
Feature lists by name; a protocol buffer message.
>>> lists = tf.train.FeatureLists(feature_list={"a": tf.train.FeatureList()})
>>> list(lists.feature_list)
['a']

train.Features
Features by name; a protocol buffer message.
>>> list(tf.train.Features(feature={"a": tf.train.Feature()}).feature)
['a']

train.FloatList
The values of a feature as float32; a protocol buffer message.
>>> tf.train.FloatList(value=[0.5]).value[0]
0.5

train.Int64List
The values of a feature as int64; a protocol buffer message.
>>> tf.train.Int64List(value=[7]).value[0]
7

train.SequenceExample
Features of a whole sequence (`context`) and of its steps (`feature_lists`); a protocol buffer
message.
>>> lists = tf.train.FeatureLists(feature_list={"a": tf.train.FeatureList()})
>>> list(tf.train.SequenceExample(feature_lists=lists).feature_lists.feature_list)
['a']

raw_ops.AsString
Numbers as text; see `tf.strings.as_string`.
>>> tf.raw_ops.AsString(input=[1, 2]).numpy().tolist()
[b'1', b'2']

raw_ops.DepthwiseConv2dNativeBackpropFilter
The gradient of a depthwise convolution by its filters.
>>> tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
...     input=[[[[2.0]]]],
...     filter_sizes=[1, 1, 1, 1],
...     out_backprop=[[[[3.0]]]],
...     strides=[1, 1, 1, 1],
...     padding="VALID",
... ).numpy().tolist()
[[[[6.0]]]]

raw_ops.DepthwiseConv2dNativeBackpropInput
The gradient of a depthwise convolution by its input.
>>> tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
...     input_sizes=[1, 1, 1, 1],
...     filter=[[[[2.0]]]],
...     out_backprop=[[[[3.0]]]],
...     strides=[1, 1, 1, 1],
...     padding="VALID",
... ).numpy().tolist()
[[[[6.0]]]]

raw_ops.Gather
The rows of `params` at `indices`.
>>> tf.raw_ops.Gather(params=[[1, 2], [3, 4]], indices=[1]).numpy().tolist()
[[3, 4]]

raw_ops.CheckNumerics
Returns the tensor, if all its elements are finite; see `tf.debugging.check_numerics`. Raises
InvalidArgumentError with the message otherwise.
>>> tf.raw_ops.CheckNumerics(tensor=[1.0], message="lost").numpy().tolist()
[1.0]

raw_ops.ComplexAbs
The magnitudes of complex numbers; see `tf.abs`.
>>> tf.raw_ops.ComplexAbs(x=tf.constant([3 + 4j])).numpy().tolist()
[5.0]

raw_ops.DecodeRaw
The bytes of texts, reinterpreted as numbers along a last axis; see `tf.io.decode_raw`.
>>> tf.raw_ops.DecodeRaw(bytes=["a"], out_type=tf.uint8).numpy().tolist()
[[97]]

raw_ops.IRFFT
The inverse of `RFFT`; see `tf.signal.irfft`.
>>> tf.raw_ops.IRFFT(input=[2 + 0j, 0j], fft_length=[2]).numpy().tolist()
[1.0, 1.0]

raw_ops.RFFT
The Fourier transform of real numbers; see `tf.signal.rfft`.
>>> tf.raw_ops.RFFT(input=[1.0, 1.0], fft_length=[2]).numpy().tolist()
[(2+0j), 0j]

raw_ops.DecodeJpeg
The pixels of a JPEG image; see `tf.io.decode_jpeg`.
>>> coded = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
>>> tf.raw_ops.DecodeJpeg(contents=coded).shape
TensorShape([8, 8, 3])

raw_ops.ReadFile
The contents of a file, as one text; see `tf.io.read_file`.
>>> import os, tempfile
>>> path = os.path.join(tempfile.mkdtemp(), "a")
>>> tf.io.write_file(path, "text")
>>> tf.raw_ops.ReadFile(filename=path).numpy()
b'text'

raw_ops.WriteFile
Writes a text to a file, whose directory is created if necessary; see `tf.io.write_file`.
>>> import os, tempfile
>>> path = os.path.join(tempfile.mkdtemp(), "a")
>>> tf.raw_ops.WriteFile(filename=path, contents="text")
>>> tf.io.read_file(path).numpy()
b'text'

raw_ops.RandomUniform
Draws of a uniform distribution over `[0, 1)`.
>>> tf.raw_ops.RandomUniform(shape=[2, 3], dtype=tf.float32).shape
TensorShape([2, 3])

raw_ops.RegexReplace
Texts with matches of a pattern replaced; see `tf.strings.regex_replace`.
>>> tf.raw_ops.RegexReplace(input=["a1b2"], pattern="[0-9]", rewrite="_").numpy().tolist()
[b'a_b_']

raw_ops.Slice
The part of a tensor that begins at `begin` and has the sizes `size`, where -1 is the rest.
>>> tf.raw_ops.Slice(input=[1, 2, 3, 4], begin=[1], size=[2]).numpy().tolist()
[2, 3]

raw_ops.StridedSlice
The elements from `begin` to before `end` along each axis; see `tf.strided_slice`.
>>> tf.raw_ops.StridedSlice(input=[1, 2, 3, 4], begin=[0], end=[4], strides=[2]).numpy().tolist()
[1, 3]

raw_ops.StringJoin
Texts of several tensors, joined element by element.
>>> tf.raw_ops.StringJoin(inputs=[["a"], ["b"]], separator="-").numpy().tolist()
[b'a-b']

raw_ops.StringLength
How many bytes, or characters with `unit="UTF8_CHAR"`, texts have.
>>> tf.raw_ops.StringLength(input=["abc", ""]).numpy().tolist()
[3, 0]

raw_ops.StringToNumber
The numbers that texts spell.
>>> tf.raw_ops.StringToNumber(string_tensor=["1.5", "2"]).numpy().tolist()
[1.5, 2.0]

raw_ops.Substr
The `len` bytes of texts from `pos` on.
>>> tf.raw_ops.Substr(input=["hello"], pos=1, len=3).numpy().tolist()
[b'ell']

raw_ops.UniqueWithCounts
The different values, which of them each one is, and how often each occurs.
>>> found = tf.raw_ops.UniqueWithCounts(x=[7, 8, 7])
>>> found.y.numpy().tolist(), found.idx.numpy().tolist(), found.count.numpy().tolist()
([7, 8], [0, 1, 0], [2, 1])

raw_ops.Where
The indices of the elements that are true or not 0.
>>> tf.raw_ops.Where(condition=[True, False, True]).numpy().tolist()
[[0], [2]]

nn.uniform_candidate_sampler
Classes drawn from 0 to `range_max - 1` with equal chances, and how often the true classes and
these are expected.
>>> drawn = tf.random.uniform_candidate_sampler([[1]], 1, 2, True, 2)
>>> sorted(drawn.sampled_candidates.numpy().tolist())
[0, 1]

nn.log_uniform_candidate_sampler
Classes drawn from 0 to `range_max - 1` with the chances `log((n + 2) / (n + 1))`, like words that
are sorted by how often they occur, and how often the true classes and these are expected.
>>> drawn = tf.random.log_uniform_candidate_sampler([[1]], 1, 2, True, 2)
>>> sorted(drawn.sampled_candidates.numpy().tolist())
[0, 1]

nn.fractional_max_pool
The largest of regions of nearly equal sizes, of which there are `sizes / pooling_ratio`, and where
rows and columns of regions begin (Graham 2014).
>>> x = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
>>> values, rows, columns = tf.nn.fractional_max_pool(x, 2.0)
>>> values.numpy().ravel().tolist(), rows.numpy().tolist()
([3.0], [0, 2])

nn.fractional_avg_pool
The means of regions of nearly equal sizes, of which there are `sizes / pooling_ratio`, and where
rows and columns of regions begin (Graham 2014).
>>> x = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
>>> values, rows, columns = tf.nn.fractional_avg_pool(x, [1.0, 2.0, 2.0, 1.0])
>>> values.numpy().ravel().tolist(), rows.numpy().tolist()
([1.5], [0, 2])

nn.depthwise_conv2d_backprop_input
The gradient of `depthwise_conv2d` by its input, of the shape `input_sizes`.
>>> ones = [1, 1, 1, 1]
>>> tf.nn.depthwise_conv2d_backprop_input(
...     ones, [[[[2.0]]]], [[[[3.0]]]], ones, "VALID"
... ).numpy().tolist()
[[[[6.0]]]]

nn.depthwise_conv2d_backprop_filter
The gradient of `depthwise_conv2d` by its filters, of the shape `filter_sizes`.
>>> ones = [1, 1, 1, 1]
>>> tf.nn.depthwise_conv2d_backprop_filter(
...     [[[[2.0]]]], ones, [[[[3.0]]]], ones, "VALID"
... ).numpy().tolist()
[[[[6.0]]]]

nn.approx_max_k
The `k` largest values along an axis and their places: exact ones, whatever `recall_target`.
>>> values, places = tf.math.approx_max_k([1.0, 3.0, 2.0], 2)
>>> values.numpy().tolist(), places.numpy().tolist()
([3.0, 2.0], [1, 2])

nn.approx_min_k
The `k` smallest values along an axis and their places: exact ones, whatever `recall_target`.
>>> values, places = tf.math.approx_min_k([1.0, 3.0, 2.0], 2)
>>> values.numpy().tolist(), places.numpy().tolist()
([1.0, 2.0], [0, 2])

signal.rfft2d
The Fourier transform of real numbers along the last two axes.
>>> tf.signal.rfft2d([[1.0, 1.0]]).numpy().tolist()
[[(2+0j), 0j]]

signal.irfft2d
The inverse of `rfft2d`.
>>> tf.signal.irfft2d([[2 + 0j, 0j]]).numpy().tolist()
[[1.0, 1.0]]

signal.rfft3d
The Fourier transform of real numbers along the last three axes.
>>> tf.signal.rfft3d([[[1.0, 1.0]]]).numpy().tolist()
[[[(2+0j), 0j]]]

signal.irfft3d
The inverse of `rfft3d`.
>>> tf.signal.irfft3d(tf.constant([[[2 + 0j, 0j]]], tf.complex64)).numpy().tolist()
[[[1.0, 1.0]]]

signal.fftnd
The Fourier transform along `axes`, of the lengths `fft_length`.
>>> x = tf.constant([[1 + 0j, 1 + 0j]], tf.complex64)
>>> tf.signal.fftnd(x, [2], [1]).numpy().tolist()
[[(2+0j), 0j]]

signal.ifftnd
The inverse of `fftnd`.
>>> x = tf.constant([[2 + 0j, 0j]], tf.complex64)
>>> tf.signal.ifftnd(x, [2], [1]).numpy().tolist()
[[(1+0j), (1+0j)]]

signal.rfftnd
The Fourier transform of real numbers along `axes`, of the lengths `fft_length`.
>>> tf.signal.rfftnd([[1.0, 1.0]], [2], [1]).numpy().tolist()
[[(2+0j), 0j]]

signal.irfftnd
The inverse of `rfftnd`.
>>> x = tf.constant([[2 + 0j, 0j]], tf.complex64)
>>> tf.signal.irfftnd(x, [2], [1]).numpy().tolist()
[[1.0, 1.0]]

quantization.fake_quant_with_min_max_vars_gradient
The gradients by `inputs`, `min` and `max` of `fake_quant_with_min_max_vars`.
>>> found = tf.quantization.fake_quant_with_min_max_vars_gradient(
...     [1.0], [7.0], 0.0, 3.0
... )
>>> [v.numpy().tolist() for v in found]
[[0.0], 0.0, 1.0]

quantization.fake_quant_with_min_max_vars_per_channel_gradient
The gradients by `inputs`, `min` and `max` of `fake_quant_with_min_max_vars_per_channel`.
>>> found = tf.quantization.fake_quant_with_min_max_vars_per_channel_gradient(
...     [1.0], [7.0], [0.0], [3.0]
... )
>>> [v.numpy().tolist() for v in found]
[[0.0], [0.0], [1.0]]

math.special.bessel_j0
The Bessel function of the first kind of order 0.
>>> tf.math.special.bessel_j0([0.5]).numpy().round(4)
array([0.9385], dtype=float32)

math.special.bessel_j1
The Bessel function of the first kind of order 1.
>>> tf.math.special.bessel_j1([0.5]).numpy().round(4)
array([0.2423], dtype=float32)

math.special.bessel_k0
The modified Bessel function of the second kind of order 0.
>>> tf.math.special.bessel_k0([0.5]).numpy().round(4)
array([0.9244], dtype=float32)

math.special.bessel_k0e
The modified Bessel function of the second kind of order 0, times `exp(x)`.
>>> tf.math.special.bessel_k0e([0.5]).numpy().round(4)
array([1.5241], dtype=float32)

math.special.bessel_k1
The modified Bessel function of the second kind of order 1.
>>> tf.math.special.bessel_k1([0.5]).numpy().round(4)
array([1.6564], dtype=float32)

math.special.bessel_k1e
The modified Bessel function of the second kind of order 1, times `exp(x)`.
>>> tf.math.special.bessel_k1e([0.5]).numpy().round(4)
array([2.731], dtype=float32)

math.special.bessel_y0
The Bessel function of the second kind of order 0.
>>> tf.math.special.bessel_y0([0.5]).numpy().round(4)
array([-0.4445], dtype=float32)

math.special.bessel_y1
The Bessel function of the second kind of order 1.
>>> tf.math.special.bessel_y1([0.5]).numpy().round(4)
array([-1.4715], dtype=float32)

math.special.dawsn
Dawson's integral: `exp(-x**2)` times the integral of `exp(t**2)` from 0 to `x`.
>>> tf.math.special.dawsn([0.5]).numpy().round(4)
array([0.4244], dtype=float32)

math.special.expint
The exponential integral Ei: that of `exp(t) / t` up to `x`.
>>> tf.math.special.expint([0.5]).numpy().round(4)
array([0.4542], dtype=float32)

math.special.fresnel_cos
The integral of `cos(pi t**2 / 2)` from 0 to `x`.
>>> tf.math.special.fresnel_cos([0.5]).numpy().round(4)
array([0.4923], dtype=float32)

math.special.fresnel_sin
The integral of `sin(pi t**2 / 2)` from 0 to `x`.
>>> tf.math.special.fresnel_sin([0.5]).numpy().round(4)
array([0.0647], dtype=float32)

math.special.spence
Spence's integral: that of `log(t) / (1 - t)` from 1 to `x`.
>>> tf.math.special.spence([0.5]).numpy().round(4)
array([0.5822], dtype=float32)

raw_ops.CropAndResize
Crops of images, resized to `crop_size`; see `tf.image.crop_and_resize`.
>>> tf.raw_ops.CropAndResize(
...     image=[[[[0.0], [1.0]], [[2.0], [3.0]]]],
...     boxes=[[0.0, 0.0, 1.0, 1.0]],
...     box_ind=[0],
...     crop_size=[1, 1],
... ).numpy().tolist()
[[[[1.5]]]]

raw_ops.Cumprod
Products of the elements up to each one along an axis; see `tf.math.cumprod`.
>>> tf.raw_ops.Cumprod(x=[2, 3, 4], axis=0).numpy().tolist()
[2, 6, 24]

raw_ops.DecodeBmp
The picture in a BMP file, uint8; see `tf.io.decode_bmp`.
>>> tf.raw_ops.DecodeBmp(contents=b"BM")
Traceback (most recent call last):
    ...
keraslike.tf.errors.InvalidArgumentError: ...

raw_ops.DecodeGif
The images in a GIF file, uint8; see `tf.io.decode_gif`.
>>> tf.raw_ops.DecodeGif(contents=b"GIF")
Traceback (most recent call last):
    ...
keraslike.tf.errors.InvalidArgumentError: ...

raw_ops.DecodePng
The picture in a PNG file; see `tf.io.decode_png`.
>>> file = tf.raw_ops.EncodePng(image=tf.constant([[[7]]], tf.uint8))
>>> tf.raw_ops.DecodePng(contents=file).numpy().tolist()
[[[7]]]

raw_ops.DrawBoundingBoxesV2
Images with the outlines of boxes; see `tf.image.draw_bounding_boxes`.
>>> tf.raw_ops.DrawBoundingBoxesV2(
...     images=tf.zeros([1, 3, 3, 1]), boxes=[[[0.0, 0.0, 1.0, 1.0]]], colors=[[1.0]]
... )[0, :, :, 0].numpy().tolist()
[[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]

raw_ops.ExtractImagePatches
Patches of images, whose values become channels; see `tf.image.extract_patches`.
>>> ones = [1, 1, 1, 1]
>>> tf.raw_ops.ExtractImagePatches(
...     images=[[[[0], [1]], [[2], [3]]]],
...     ksizes=[1, 2, 2, 1],
...     strides=ones,
...     rates=ones,
...     padding="VALID",
... ).numpy().tolist()
[[[[0, 1, 2, 3]]]]

raw_ops.MaxPoolWithArgmax
The largest of each window, and where it is; see `tf.nn.max_pool_with_argmax`.
>>> found = tf.raw_ops.MaxPoolWithArgmax(
...     input=[[[[1.0], [4.0]]]], ksize=[1, 1, 2, 1], strides=[1, 1, 2, 1], padding="VALID"
... )
>>> [v.numpy().ravel().tolist() for v in found]
[[4.0], [1]]

raw_ops.MirrorPad
A tensor with its elements mirrored at its ends; see `tf.pad`.
>>> tf.raw_ops.MirrorPad(input=[1, 2, 3], paddings=[[1, 0]], mode="REFLECT").numpy().tolist()
[2, 1, 2, 3]

raw_ops.NonMaxSuppressionV3
The indices of the boxes with the highest scores that do not overlap.
>>> tf.raw_ops.NonMaxSuppressionV3(
...     boxes=[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9]],
...     scores=[0.9, 0.8],
...     max_output_size=2,
...     iou_threshold=0.5,
...     score_threshold=0.0,
... ).numpy().tolist()
[0]

raw_ops.PadV2
A tensor with a value before and after it along each axis; see `tf.pad`.
>>> tf.raw_ops.PadV2(input=[1, 2], paddings=[[1, 0]], constant_values=7).numpy().tolist()
[7, 1, 2]

raw_ops.RandomStandardNormal
Draws of a normal distribution with the mean 0 and the deviation 1.
>>> tf.raw_ops.RandomStandardNormal(shape=[2, 3], dtype=tf.float32).shape
TensorShape([2, 3])

raw_ops.Split
Equal parts of a tensor along an axis.
>>> [v.numpy().tolist() for v in tf.raw_ops.Split(axis=0, value=[1, 2, 3, 4], num_split=2)]
[[1, 2], [3, 4]]

raw_ops.SplitV
Parts of given sizes of a tensor along an axis.
>>> parts = tf.raw_ops.SplitV(value=[1, 2, 3], size_splits=[1, 2], axis=0, num_split=2)
>>> [v.numpy().tolist() for v in parts]
[[1], [2, 3]]

raw_ops.TruncatedNormal
Draws of a normal distribution within two standard deviations.
>>> tf.raw_ops.TruncatedNormal(shape=[2, 3], dtype=tf.float32).shape
TensorShape([2, 3])
"""

MADE = read(_MADE)


def describe(names: dict[str, Any], module: str = "") -> None:
    """Sets the docstrings of the functions of a module that are in the second table."""
    for name, text in MADE.items():
        of, _, last = name.rpartition(".")
        if of == module and last in names:
            names[last].__doc__ = text
