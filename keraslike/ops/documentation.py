"""The documentation, with an example each, of ops that are defined in one line from functions of
JAX."""

import re

_TEXT = """
abs
`|x|`, element by element; of a complex number its absolute value.
>>> abs([-1.5, 2.0]).tolist()
[1.5, 2.0]

absolute
`|x|`, element by element: the same function as `abs`.
>>> absolute([-1.5, 2.0]).tolist()
[1.5, 2.0]

add
`x1 + x2`, broadcast against each other.
>>> add([1.0, 2.0], 3.0).tolist()
[4.0, 5.0]

all
Whether all values along axes are true (not 0), a bool array.
>>> all([[True, False], [True, True]], axis=1).tolist()
[False, True]

amax
The largest value along axes: the same function as `max`.
>>> amax([[1, 4], [3, 2]], axis=1).tolist()
[4, 3]

amin
The smallest value along axes: the same function as `min`.
>>> amin([[1, 4], [3, 2]], axis=1).tolist()
[1, 2]

angle
The angle of complex numbers in the plane, in radians from -pi to pi.
>>> angle([1j, -1.0 + 0j]).round(4)
Array([1.5708, 3.1416], dtype=float32)

any
Whether any value along axes is true (not 0), a bool array.
>>> any([[True, False], [False, False]], axis=1).tolist()
[True, False]

arccos
The inverse of the cosine, in radians from 0 to pi; NaN beyond [-1, 1].
>>> arccos([1.0, 0.0]).round(4)
Array([0.    , 1.5708], dtype=float32)

arccosh
The inverse of the hyperbolic cosine, at least 0; NaN below 1.
>>> arccosh([1.0, 2.0]).round(3)
Array([0.   , 1.317], dtype=float32)

arcsin
The inverse of the sine, in radians from -pi/2 to pi/2; NaN beyond [-1, 1].
>>> arcsin([0.0, 1.0]).round(4)
Array([0.    , 1.5708], dtype=float32)

arcsinh
The inverse of the hyperbolic sine.
>>> arcsinh([0.0, 1.0]).round(4)
Array([0.    , 0.8814], dtype=float32)

arctan
The inverse of the tangent, in radians from -pi/2 to pi/2.
>>> arctan([0.0, 1.0]).round(4)
Array([0.    , 0.7854], dtype=float32)

arctan2
The angle of the point `(x2, x1)` in the plane, in radians from -pi to pi.
>>> arctan2([1.0, -1.0], [0.0, -1.0]).round(4)
Array([ 1.5708, -2.3562], dtype=float32)

arctanh
The inverse of the hyperbolic tangent; NaN beyond [-1, 1].
>>> arctanh([0.0, 0.5]).round(4)
Array([0.    , 0.5493], dtype=float32)

argmax
The index of the largest value along an axis, or of the flattened array if it is `None`; int32.
>>> argmax([[1, 4], [3, 2]], axis=1).tolist()
[1, 0]

argmin
The index of the smallest value along an axis, or of the flattened array if it is `None`; int32.
>>> argmin([[1, 4], [3, 2]], axis=1).tolist()
[0, 1]

bitwise_and
The bits that are set in both integers.
>>> bitwise_and([6, 12], 10).tolist()
[2, 8]

bitwise_invert
Every bit of an integer flipped; logical not of bools.
>>> bitwise_invert([0, 5]).tolist()
[-1, -6]

bitwise_left_shift
`x * 2**y` of integers, by a shift of their bits.
>>> bitwise_left_shift([1, 3], 2).tolist()
[4, 12]

bitwise_not
Every bit of an integer flipped: the same function as `bitwise_invert`.
>>> bitwise_not([0, 5]).tolist()
[-1, -6]

bitwise_or
The bits that are set in either integer.
>>> bitwise_or([6, 12], 10).tolist()
[14, 14]

bitwise_right_shift
`floor(x / 2**y)` of integers, by a shift of their bits.
>>> bitwise_right_shift([8, 5], 1).tolist()
[4, 2]

bitwise_xor
The bits that are set in one of two integers and not in both.
>>> bitwise_xor([6, 12], 10).tolist()
[12, 6]

cbrt
The real cube root.
>>> cbrt([8.0, -27.0]).round(4)
Array([ 2., -3.], dtype=float32)

ceil
The smallest whole numbers that are not less, as floats.
>>> ceil([1.2, -1.2]).tolist()
[2.0, -1.0]

conj
The complex conjugate: the same function as `conjugate`.
>>> conj([1.0 + 2.0j]).tolist()
[(1-2j)]

conjugate
`a - bi` of complex numbers `a + bi`; real numbers are unchanged.
>>> conjugate([1.0 + 2.0j]).tolist()
[(1-2j)]

copy
A copy of an array.
>>> copy([1.0, 2.0]).tolist()
[1.0, 2.0]

corrcoef
The correlation of each pair of rows, from -1 to 1, `(rows, rows)`.
>>> corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).round(4)
Array([[ 1., -1.],
       [-1.,  1.]], dtype=float32)

cos
The cosine of angles in radians.
>>> cos([0.0, 3.1415927]).round(4)
Array([ 1., -1.], dtype=float32)

cosh
`(exp(x) + exp(-x)) / 2`.
>>> cosh([0.0, 1.0]).round(4)
Array([1.    , 1.5431], dtype=float32)

cumprod
The products of the values up to each one along an axis, of the flattened array where it is
`None`.
>>> cumprod([1, 2, 3]).tolist()
[1, 2, 6]

cumsum
The sums of the values up to each one along an axis, of the flattened array where it is `None`.
>>> cumsum([1, 2, 3]).tolist()
[1, 3, 6]

deg2rad
`x * pi / 180`: degrees in radians.
>>> deg2rad([180.0, 90.0]).round(4)
Array([3.1416, 1.5708], dtype=float32)

det
The determinants of square matrices `(..., n, n)`, `(...)`.
>>> det([[1.0, 2.0], [3.0, 4.0]]).round(4)
Array(-2., dtype=float32)

divide
`x1 / x2`, broadcast against each other; floats, also for integers.
>>> divide([1, 3], 2).tolist()
[0.5, 1.5]

dot
The sum of products over the last axis of `x1` and the last but one of `x2` (of a vector its only
one).
>>> dot([[1, 2], [3, 4]], [1, 1]).tolist()
[3, 7]

eig
The eigenvalues `(..., n)` and the eigenvectors, as columns `(..., n, n)`, of square matrices;
complex.
>>> eig([[2.0, 0.0], [0.0, 3.0]])[0].real.tolist()
[2.0, 3.0]

eigh
The eigenvalues, in ascending order, and the eigenvectors, as columns, of symmetric or Hermitian
matrices.
>>> eigh([[2.0, 1.0], [1.0, 2.0]])[0].round(4)
Array([1., 3.], dtype=float32)

equal
Whether `x1 == x2`, element by element, broadcast against each other.
>>> equal([1, 2], [1, 3]).tolist()
[True, False]

erf
The error function: `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x`.
>>> erf([0.0, 1.0]).round(4)
Array([0.    , 0.8427], dtype=float32)

erfc
`1 - erf(x)`, without the loss of digits where `erf(x)` is near 1.
>>> erfc([0.0, 1.0]).round(4)
Array([1.    , 0.1573], dtype=float32)

erfinv
The inverse of `erf`, of values between -1 and 1.
>>> erfinv([0.0, 0.5]).round(2)
Array([0.  , 0.48], dtype=float32)

exp
`e**x`.
>>> exp([0.0, 1.0]).round(2)
Array([1.  , 2.72], dtype=float32)

exp2
`2**x`.
>>> exp2([0.0, 3.0]).tolist()
[1.0, 8.0]

expm1
`exp(x) - 1`, exact to the last digits for small `x`.
>>> expm1([0.0, 1.0]).round(4)
Array([0.    , 1.7183], dtype=float32)

fabs
`|x|` as a float, also for integers.
>>> fabs([-1, 2]).tolist()
[1.0, 2.0]

fliplr
Reverses the order along the second axis.
>>> fliplr([[1, 2], [3, 4]]).tolist()
[[2, 1], [4, 3]]

flipud
Reverses the order along the first axis.
>>> flipud([[1, 2], [3, 4]]).tolist()
[[3, 4], [1, 2]]

floor
The largest whole numbers that are not greater, as floats.
>>> floor([1.8, -1.2]).tolist()
[1.0, -2.0]

floor_divide
`floor(x1 / x2)`, broadcast against each other.
>>> floor_divide([7, -7], 2).tolist()
[3, -4]

fmax
The larger of two values; where one is NaN, the other.
>>> fmax([1.0, float("nan")], [2.0, 3.0]).tolist()
[2.0, 3.0]

fmin
The smaller of two values; where one is NaN, the other.
>>> fmin([1.0, float("nan")], [2.0, 3.0]).tolist()
[1.0, 3.0]

fmod
The remainder of `x1 / x2` with the sign of `x1`, as in C.
>>> fmod([7, -7], 3).tolist()
[1, -1]

gcd
The greatest common divisor of integers.
>>> gcd([12, 9], 6).tolist()
[6, 3]

greater
Whether `x1 > x2`, element by element, broadcast against each other.
>>> greater([1, 3], 2).tolist()
[False, True]

greater_equal
Whether `x1 >= x2`, element by element, broadcast against each other.
>>> greater_equal([1, 2], 2).tolist()
[False, True]

hard_sigmoid
`clip(x / 6 + 1/2, 0, 1)`: straight lines in place of the sigmoid.
>>> hard_sigmoid([-3.0, 0.0, 1.5]).tolist()
[0.0, 0.5, 0.75]

hard_silu
`x * hard_sigmoid(x)`.
>>> hard_silu([-3.0, 0.0, 3.0]).tolist()
[-0.0, 0.0, 3.0]

hard_tanh
`clip(x, -1, 1)`.
>>> hard_tanh([-3.0, 0.5]).tolist()
[-1.0, 0.5]

heaviside
0 where `x1 < 0`, 1 where `x1 > 0`, and `x2` where `x1` is 0.
>>> heaviside([-1.0, 0.0, 2.0], 0.5).tolist()
[0.0, 0.5, 1.0]

hypot
`sqrt(x1**2 + x2**2)`, without overflow on the way.
>>> hypot([3.0], [4.0]).tolist()
[5.0]

i0
The modified Bessel function of the first kind and of order 0.
>>> i0([0.0, 1.0]).round(3)
Array([1.   , 1.266], dtype=float32)

imag
The imaginary part; 0 of real numbers.
>>> imag([1.0 + 2.0j]).tolist()
[2.0]

inner
The sum of products over the last axis of both.
>>> inner([1, 2, 3], [1, 0, 2]).tolist()
7

inv
The inverses of square matrices `(..., n, n)`; not finite where there is none.
>>> inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
[[0.5, 0.0], [0.0, 0.25]]

isfinite
Whether a value is neither infinite nor NaN.
>>> isfinite([1.0, float("inf"), float("nan")]).tolist()
[True, False, False]

isinf
Whether a value is infinite.
>>> isinf([1.0, float("-inf")]).tolist()
[False, True]

isnan
Whether a value is NaN.
>>> isnan([1.0, float("nan")]).tolist()
[False, True]

isneginf
Whether a value is minus infinity.
>>> isneginf([float("inf"), float("-inf")]).tolist()
[False, True]

isposinf
Whether a value is plus infinity.
>>> isposinf([float("inf"), float("-inf")]).tolist()
[True, False]

isreal
Whether a value's imaginary part is 0.
>>> isreal([1.0 + 0j, 1j]).tolist()
[True, False]

kron
Kronecker's product: each element of `x1` times the whole of `x2`, as blocks.
>>> kron([[1, 2]], [[1, 1]]).tolist()
[[1, 1, 2, 2]]

lcm
The least common multiple of integers.
>>> lcm([4, 6], 10).tolist()
[20, 30]

left_shift
`x * 2**y` of integers: the same function as `bitwise_left_shift`.
>>> left_shift([1, 3], 2).tolist()
[4, 12]

less
Whether `x1 < x2`, element by element, broadcast against each other.
>>> less([1, 3], 2).tolist()
[True, False]

less_equal
Whether `x1 <= x2`, element by element, broadcast against each other.
>>> less_equal([2, 3], 2).tolist()
[True, False]

logdet
The logarithms of the determinants of positive definite Hermitian matrices `(..., n, n)`, `(...)`.
>>> logdet([[2.0, 0.0], [0.0, 3.0]]).round(3)
Array(1.792, dtype=float32)

log
The natural logarithm; -inf at 0, NaN below.
>>> log([1.0, 2.7182817]).round(4)
Array([0., 1.], dtype=float32)

log10
The logarithm to the base 10.
>>> log10([1.0, 1000.0]).round(4)
Array([0., 3.], dtype=float32)

log1p
`log(1 + x)`, exact to the last digits for small `x`.
>>> log1p([0.0, 1.0]).round(4)
Array([0.    , 0.6931], dtype=float32)

log2
The logarithm to the base 2.
>>> log2([1.0, 8.0]).round(4)
Array([0., 3.], dtype=float32)

log_sigmoid
`log(1 / (1 + exp(-x)))`, without overflow.
>>> log_sigmoid([0.0, -100.0]).round(4)
Array([  -0.6931, -100.    ], dtype=float32)

logaddexp
`log(exp(x1) + exp(x2))`, without overflow.
>>> logaddexp([0.0, 1000.0], [0.0, 999.0]).round(1)
Array([7.0000e-01, 1.0003e+03], dtype=float32)

logaddexp2
`log2(2**x1 + 2**x2)`, without overflow.
>>> logaddexp2([0.0, 1000.0], [0.0, 1000.0]).tolist()
[1.0, 1001.0]

logical_and
Whether both are true (not 0).
>>> logical_and([True, True], [True, False]).tolist()
[True, False]

logical_not
Whether a value is false (0).
>>> logical_not([True, False]).tolist()
[False, True]

logical_or
Whether one of them at least is true (not 0).
>>> logical_or([True, False], [False, False]).tolist()
[True, False]

logical_xor
Whether one of them is true (not 0) and the other is not.
>>> logical_xor([True, True], [True, False]).tolist()
[False, True]

logsumexp
`log(sum(exp(x)))` along axes, without overflow.
>>> logsumexp([1000.0, 999.0]).round(4)
Array(1000.3132, dtype=float32)

matmul
The product of matrices `(..., n, k)` and `(..., k, m)`, `(..., n, m)`, the axes before them
broadcast.
>>> matmul([[1, 2], [3, 4]], [[1], [1]]).tolist()
[[3], [7]]

maximum
The larger of two values, broadcast against each other; NaN where one is.
>>> maximum([1.0, 5.0], 3.0).tolist()
[3.0, 5.0]

mean
The mean of the values along axes; a float, also for integers.
>>> mean([[1.0, 2.0], [3.0, 5.0]], axis=1).tolist()
[1.5, 4.0]

median
The median of the values along axes: the mean of the middle two where their number is even.
>>> median([1.0, 9.0, 2.0, 3.0]).tolist()
2.5

minimum
The smaller of two values, broadcast against each other; NaN where one is.
>>> minimum([1.0, 5.0], 3.0).tolist()
[1.0, 3.0]

mod
The remainder of `x1 / x2` with the sign of `x2`, as Python's `%`.
>>> mod([7, -7], 3).tolist()
[1, 2]

multiply
`x1 * x2`, broadcast against each other.
>>> multiply([1.0, 2.0], 3.0).tolist()
[3.0, 6.0]

nanargmax
Like `argmax`, but NaN values are ignored; -1 if all are NaN.
>>> nanargmax([1.0, float("nan"), 3.0]).tolist()
2

nanargmin
Like `argmin`, but NaN values are ignored; -1 if all are NaN.
>>> nanargmin([1.0, float("nan"), 3.0]).tolist()
0

nancumprod
Like `cumprod`, with NaN counted as 1.
>>> nancumprod([2.0, float("nan"), 3.0]).tolist()
[2.0, 2.0, 6.0]

nancumsum
Like `cumsum`, with NaN counted as 0.
>>> nancumsum([2.0, float("nan"), 3.0]).tolist()
[2.0, 2.0, 5.0]

nanmax
Like `max`, but NaN values are ignored.
>>> nanmax([1.0, float("nan"), 3.0]).tolist()
3.0

nanmean
Like `mean`, but NaN values are ignored.
>>> nanmean([1.0, float("nan"), 3.0]).tolist()
2.0

nanmedian
Like `median`, but NaN values are ignored.
>>> nanmedian([1.0, float("nan"), 3.0]).tolist()
2.0

nanmin
Like `min`, but NaN values are ignored.
>>> nanmin([1.0, float("nan"), 3.0]).tolist()
1.0

nanpercentile
Like `percentile`, but NaN values are ignored.
>>> nanpercentile([1.0, float("nan"), 3.0], 50).tolist()
2.0

nanprod
Like `prod`, with NaN counted as 1.
>>> nanprod([2.0, float("nan"), 3.0]).tolist()
6.0

nanquantile
Like `quantile`, but NaN values are ignored.
>>> nanquantile([1.0, float("nan"), 3.0], 0.5).tolist()
2.0

nanstd
Like `std`, but NaN values are ignored.
>>> nanstd([1.0, float("nan"), 3.0]).tolist()
1.0

nansum
Like `sum`, with NaN counted as 0.
>>> nansum([2.0, float("nan"), 3.0]).tolist()
5.0

nanvar
Like `var`, but NaN values are ignored.
>>> nanvar([1.0, float("nan"), 3.0]).tolist()
1.0

negative
`-x`.
>>> negative([1.0, -2.0]).tolist()
[-1.0, 2.0]

nextafter
The next number that the dtype can hold, from `x1` in the direction of `x2`.
>>> (nextafter([1.0], [2.0]) > 1).tolist()
[True]

not_equal
Whether `x1 != x2`, element by element, broadcast against each other.
>>> not_equal([1, 2], [1, 3]).tolist()
[False, True]

ones_like
Ones in the shape of `x` and its dtype, or another.
>>> ones_like([2.0, 3.0]).tolist()
[1.0, 1.0]

outer
The products of each element of `x1` and each of `x2`, both flattened.
>>> outer([1, 2], [3, 4]).tolist()
[[3, 4], [6, 8]]

percentile
The values below which `q` percent of those along axes are; `method` selects the value between two.
>>> percentile([1.0, 2.0, 3.0], 50).tolist()
2.0

power
`x1 ** x2`, broadcast against each other.
>>> power([2.0, 3.0], 2).tolist()
[4.0, 9.0]

ptp
The largest less the smallest value along axes.
>>> ptp([1, 5, 3]).tolist()
4

quantile
The values below which the share `q`, from 0 to 1, of those along axes is; `method` says what is
between two.
>>> quantile([1.0, 2.0, 3.0], 0.25).tolist()
1.5

rad2deg
`x * 180 / pi`: radians in degrees.
>>> rad2deg([3.1415927]).round(2)
Array([180.], dtype=float32)

ravel
All elements in one axis, the last axis running fastest.
>>> ravel([[1, 2], [3, 4]]).tolist()
[1, 2, 3, 4]

real
The real part.
>>> real([1.0 + 2.0j]).tolist()
[1.0]

reciprocal
`1 / x`.
>>> reciprocal([2.0, 4.0]).tolist()
[0.5, 0.25]

relu
`max(x, 0)`.
>>> relu([-1.0, 2.0]).tolist()
[0.0, 2.0]

relu6
`min(max(x, 0), 6)`.
>>> relu6([-1.0, 2.0, 8.0]).tolist()
[0.0, 2.0, 6.0]

right_shift
`floor(x / 2**y)` of integers: the same function as `bitwise_right_shift`.
>>> right_shift([8, 5], 1).tolist()
[4, 2]

rsqrt
`1 / sqrt(x)`.
>>> rsqrt([4.0, 16.0]).tolist()
[0.5, 0.25]

selu
`1.0507 * x` where positive, `1.0507 * 1.6733 * (exp(x) - 1)` elsewhere (arXiv:1706.02515).
>>> selu([1.0, -1.0]).round(4)
Array([ 1.0507, -1.1113], dtype=float32)

sigmoid
`1 / (1 + exp(-x))`.
>>> sigmoid([0.0, 2.0]).round(2)
Array([0.5 , 0.88], dtype=float32)

sign
-1, 0 or 1, as `x` is negative, 0 or positive.
>>> sign([-2.0, 0.0, 3.0]).tolist()
[-1.0, 0.0, 1.0]

signbit
Whether the sign is minus, of -0.0 too.
>>> signbit([-0.0, 1.0]).tolist()
[True, False]

silu
`x * sigmoid(x)`.
>>> silu([0.0, 2.0]).round(2)
Array([0.  , 1.76], dtype=float32)

sin
The sine of angles in radians.
>>> sin([0.0, 1.5707964]).round(4)
Array([0., 1.], dtype=float32)

sinc
`sin(pi x) / (pi x)`, and 1 at 0.
>>> sinc([0.0, 0.5]).round(3)
Array([1.   , 0.637], dtype=float32)

sinh
`(exp(x) - exp(-x)) / 2`.
>>> sinh([0.0, 1.0]).round(4)
Array([0.    , 1.1752], dtype=float32)

slogdet
The signs and the logarithms of the absolute values of the determinants of matrices `(..., n, n)`.
>>> slogdet([[0.0, 1.0], [1.0, 0.0]])[0].tolist()
-1.0

softplus
`log(1 + exp(x))`, without overflow.
>>> softplus([0.0, 100.0]).round(4)
Array([  0.6931, 100.    ], dtype=float32)

softsign
`x / (1 + |x|)`.
>>> softsign([1.0, -3.0]).tolist()
[0.5, -0.75]

sparse_plus
0 up to -1, `(x + 1)**2 / 4` from there to 1, `x` beyond.
>>> sparse_plus([-2.0, 0.0, 2.0]).tolist()
[0.0, 0.25, 2.0]

sparse_sigmoid
0 up to -1, `(x + 1) / 2` from there to 1, 1 beyond.
>>> sparse_sigmoid([-2.0, 0.0, 2.0]).tolist()
[0.0, 0.5, 1.0]

sqrt
The square root; NaN below 0.
>>> sqrt([4.0, 9.0]).tolist()
[2.0, 3.0]

square
`x * x`.
>>> square([2.0, -3.0]).tolist()
[4.0, 9.0]

std
The standard deviation of the values along axes (of all, without a correction).
>>> std([1.0, 3.0]).tolist()
1.0

subtract
`x1 - x2`, broadcast against each other.
>>> subtract([1.0, 2.0], 3.0).tolist()
[-2.0, -1.0]

sum
The sum of the values along axes.
>>> sum([[1, 2], [3, 4]], axis=0).tolist()
[4, 6]

tan
The tangent of angles in radians.
>>> tan([0.0, 0.7853982]).round(4)
Array([0., 1.], dtype=float32)

tanh
`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
>>> tanh([0.0, 1.0]).round(3)
Array([0.   , 0.762], dtype=float32)

true_divide
`x1 / x2`: the same function as `divide`.
>>> true_divide([1, 3], 2).tolist()
[0.5, 1.5]

trunc
The whole part, as a float: the fraction is cut off.
>>> trunc([1.8, -1.8]).tolist()
[1.0, -1.0]

var
The variance of the values along axes (of all, without a correction).
>>> var([1.0, 3.0]).tolist()
1.0

vdot
The sum of products of all elements, the complex conjugate of `x1` being taken.
>>> vdot([1.0, 2.0], [3.0, 4.0]).tolist()
11.0

zeros_like
Zeros in the shape of `x` and its dtype, or another.
>>> zeros_like([2.0, 3.0]).tolist()
[0.0, 0.0]

empty_like
An array in the shape of `x` whose values do not matter: zeros.
>>> empty_like([2.0, 3.0]).shape
(2,)

dsplit
As `split`, along the third axis.
>>> [part.shape for part in dsplit(zeros((1, 1, 4)), 2)]
[(1, 1, 2), (1, 1, 2)]

hsplit
As `split`, along the second axis, of a vector along its only one.
>>> [part.tolist() for part in hsplit([1, 2, 3, 4], 2)]
[[1, 2], [3, 4]]

vsplit
As `split`, along the first axis.
>>> [part.tolist() for part in vsplit([[1], [2]], 2)]
[[[1]], [[2]]]
"""


def read(text: str) -> dict[str, str]:
    """The docstrings in a text, which has for each a line with the name, the rule, and an
    example."""
    found = {}
    for entry in text.strip().split("\n\n"):
        name, _, entry = entry.partition("\n")
        rule, _, example = entry.partition("\n>>> ")
        found[name] = f"{rule}\n\n>>> {example}"
    return found


DOCUMENTATION = read(_TEXT)

_RESULT = re.compile(r"(?m)^>>> (\w+\(.*\))(\.\w+\(\d*\))$")


def for_tensors(name: str, module: str) -> str:
    """The documentation of an op, as that of the function of `tf` with the same name and result."""
    text = _RESULT.sub(rf">>> {module}.\1.numpy()\2", DOCUMENTATION[name])
    return text.replace("\nArray(", "\narray(")


def with_x_and_y(text: str) -> str:
    """The documentation of an op for a function whose arguments are `x` and `y`."""
    return text.replace("x1", "x").replace("x2", "y")
