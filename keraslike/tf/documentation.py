"""What `tf.math`'s functions that come of a table compute, and an example of each; the outputs are
TensorFlow's."""

from keraslike.ops.documentation import read

_TEXT = """
abs
The absolute value `|x|`; of complex numbers the modulus.
>>> from keraslike import tf
>>> tf.math.abs([-2.0, 3.0]).numpy().tolist()
[2.0, 3.0]

sign
-1, 0 or 1 by the sign of each element.
>>> from keraslike import tf
>>> tf.math.sign([-2.0, 0.0, 5.0]).numpy().tolist()
[-1.0, 0.0, 1.0]

negative
`-x`.
>>> from keraslike import tf
>>> tf.math.negative([1.0, -2.0]).numpy().tolist()
[-1.0, 2.0]

square
`x * x`.
>>> from keraslike import tf
>>> tf.math.square([2.0, -3.0]).numpy().tolist()
[4.0, 9.0]

zeros_like
Zeros of the tensor's shape and dtype.
>>> from keraslike import tf
>>> tf.math.zeros_like([1.0, 2.0]).numpy().tolist()
[0.0, 0.0]

ones_like
Ones of the tensor's shape and dtype.
>>> from keraslike import tf
>>> tf.math.ones_like([3.0, 2.0]).numpy().tolist()
[1.0, 1.0]

round
The nearest whole number; halves go to the even one.
>>> from keraslike import tf
>>> tf.math.round([0.5, 1.5, -1.2]).numpy().tolist()
[0.0, 2.0, -1.0]

rint
The nearest whole number; halves go to the even one.
>>> from keraslike import tf
>>> tf.math.rint([0.5, 1.5, -1.2]).numpy().tolist()
[0.0, 2.0, -1.0]

floor
The largest whole number that is not above `x`.
>>> from keraslike import tf
>>> tf.math.floor([1.5, -1.5]).numpy().tolist()
[1.0, -2.0]

ceil
The smallest whole number that is not below `x`.
>>> from keraslike import tf
>>> tf.math.ceil([1.5, -1.5]).numpy().tolist()
[2.0, -1.0]

logical_not
True where `x` is False.
>>> from keraslike import tf
>>> tf.math.logical_not([True, False]).numpy().tolist()
[False, True]

is_nan
Whether each element is not a number.
>>> from keraslike import tf
>>> tf.math.is_nan([1.0, float("nan")]).numpy().tolist()
[False, True]

is_finite
Whether each element is neither infinite nor NaN.
>>> from keraslike import tf
>>> tf.math.is_finite([1.0, float("inf")]).numpy().tolist()
[True, False]

is_inf
Whether each element is infinite.
>>> from keraslike import tf
>>> tf.math.is_inf([1.0, float("inf")]).numpy().tolist()
[False, True]

sqrt
The square root; NaN for negative numbers.
>>> from keraslike import tf
>>> tf.math.sqrt([4.0, 9.0]).numpy().tolist()
[2.0, 3.0]

rsqrt
`1 / sqrt(x)`.
>>> from keraslike import tf
>>> tf.math.rsqrt([4.0, 0.25]).numpy().tolist()
[0.5, 2.0]

exp
`e**x`.
>>> from keraslike import tf
>>> tf.math.exp([0.0, float("-inf")]).numpy().tolist()
[1.0, 0.0]

expm1
`e**x - 1`, accurate near 0.
>>> from keraslike import tf
>>> tf.math.expm1([0.0, float("-inf")]).numpy().tolist()
[0.0, -1.0]

log
The natural logarithm; -inf at 0, NaN for negative numbers.
>>> from keraslike import tf
>>> tf.math.log([1.0, 0.0]).numpy().tolist()
[0.0, -inf]

log1p
`log(1 + x)`, accurate near 0.
>>> from keraslike import tf
>>> tf.math.log1p([0.0, -1.0]).numpy().tolist()
[0.0, -inf]

sin
The sine of angles in radians.
>>> from keraslike import tf
>>> tf.math.sin([0.0]).numpy().tolist()
[0.0]

cos
The cosine of angles in radians.
>>> from keraslike import tf
>>> tf.math.cos([0.0]).numpy().tolist()
[1.0]

tan
The tangent of angles in radians.
>>> from keraslike import tf
>>> tf.math.tan([0.0]).numpy().tolist()
[0.0]

asin
The angle in radians whose sine is `x`.
>>> from keraslike import tf
>>> tf.math.asin([0.0]).numpy().tolist()
[0.0]

acos
The angle in radians whose cosine is `x`.
>>> from keraslike import tf
>>> tf.math.acos([1.0]).numpy().tolist()
[0.0]

atan
The angle in radians whose tangent is `x`.
>>> from keraslike import tf
>>> tf.math.atan([0.0]).numpy().tolist()
[0.0]

sinh
`(exp(x) - exp(-x)) / 2`.
>>> from keraslike import tf
>>> tf.math.sinh([0.0]).numpy().tolist()
[0.0]

cosh
`(exp(x) + exp(-x)) / 2`.
>>> from keraslike import tf
>>> tf.math.cosh([0.0]).numpy().tolist()
[1.0]

tanh
`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
>>> from keraslike import tf
>>> tf.math.tanh([0.0, 20.0]).numpy().tolist()
[0.0, 1.0]

asinh
The inverse of `sinh`.
>>> from keraslike import tf
>>> tf.math.asinh([0.0]).numpy().tolist()
[0.0]

acosh
The inverse of `cosh`; NaN below 1.
>>> from keraslike import tf
>>> tf.math.acosh([1.0]).numpy().tolist()
[0.0]

atanh
The inverse of `tanh`; infinite at -1 and 1.
>>> from keraslike import tf
>>> tf.math.atanh([0.0, 1.0]).numpy().tolist()
[0.0, inf]

sigmoid
`1 / (1 + exp(-x))`.
>>> from keraslike import tf
>>> tf.math.sigmoid([0.0]).numpy().tolist()
[0.5]

log_sigmoid
`-log(1 + exp(-x))`.
>>> from keraslike import tf
>>> tf.math.log_sigmoid([100.0]).numpy().tolist()
[-0.0]

erf
The error function, `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x`.
>>> from keraslike import tf
>>> tf.math.erf([0.0, 5.0]).numpy().tolist()
[0.0, 1.0]

erfc
`1 - erf(x)`, accurate where `erf` is near 1.
>>> from keraslike import tf
>>> tf.math.erfc([0.0]).numpy().tolist()
[1.0]

erfinv
The inverse of `erf`; infinite at -1 and 1.
>>> from keraslike import tf
>>> tf.math.erfinv([0.0, 1.0]).numpy().tolist()
[0.0, inf]

softplus
`log(1 + exp(x))`.
>>> from keraslike import tf
>>> tf.math.softplus([100.0]).numpy().tolist()
[100.0]

softsign
`x / (1 + abs(x))`.
>>> from keraslike import tf
>>> tf.math.softsign([1.0, -3.0]).numpy().tolist()
[0.5, -0.75]

reciprocal
`1 / x`.
>>> from keraslike import tf
>>> tf.math.reciprocal([2.0, -4.0]).numpy().tolist()
[0.5, -0.25]

add
`x + y`; text is joined.
>>> from keraslike import tf
>>> tf.math.add([1.0, 2.0], 3.0).numpy().tolist()
[4.0, 5.0]

subtract
`x - y`.
>>> from keraslike import tf
>>> tf.math.subtract([1.0, 2.0], 3.0).numpy().tolist()
[-2.0, -1.0]

multiply
`x * y`, element by element.
>>> from keraslike import tf
>>> tf.math.multiply([1.0, 2.0], 3.0).numpy().tolist()
[3.0, 6.0]

floormod
`x - floor(x / y) * y`, which has the sign of `y`.
>>> from keraslike import tf
>>> tf.math.floormod([7, -7], 3).numpy().tolist()
[1, 2]

pow
`x**y`.
>>> from keraslike import tf
>>> tf.math.pow([2.0, 3.0], 2.0).numpy().tolist()
[4.0, 9.0]

maximum
The larger of both; NaN where either is NaN.
>>> from keraslike import tf
>>> tf.math.maximum([1.0, 5.0], 3.0).numpy().tolist()
[3.0, 5.0]

minimum
The smaller of both; NaN where either is NaN.
>>> from keraslike import tf
>>> tf.math.minimum([1.0, 5.0], 3.0).numpy().tolist()
[1.0, 3.0]

divide_no_nan
`x / y`, and 0 where `y` is 0.
>>> from keraslike import tf
>>> tf.math.divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist()
[0.0, 0.5]

atan2
The angle in radians of the point with ordinate `x` and abscissa `y`.
>>> from keraslike import tf
>>> tf.math.atan2([0.0], [1.0]).numpy().tolist()
[0.0]

floordiv
`floor(x / y)`.
>>> from keraslike import tf
>>> tf.math.floordiv([7, -7], 2).numpy().tolist()
[3, -4]

equal
Whether `x == y`.
>>> from keraslike import tf
>>> tf.math.equal([1, 2], 2).numpy().tolist()
[False, True]

not_equal
Whether `x != y`.
>>> from keraslike import tf
>>> tf.math.not_equal([1, 2], 2).numpy().tolist()
[True, False]

less
Whether `x < y`.
>>> from keraslike import tf
>>> tf.math.less([1, 2], 2).numpy().tolist()
[True, False]

less_equal
Whether `x <= y`.
>>> from keraslike import tf
>>> tf.math.less_equal([1, 2], 2).numpy().tolist()
[True, True]

greater
Whether `x > y`.
>>> from keraslike import tf
>>> tf.math.greater([1, 2], 1).numpy().tolist()
[False, True]

greater_equal
Whether `x >= y`.
>>> from keraslike import tf
>>> tf.math.greater_equal([1, 2], 2).numpy().tolist()
[False, True]

logical_and
True where both are.
>>> from keraslike import tf
>>> tf.math.logical_and([True, False], True).numpy().tolist()
[True, False]

logical_or
True where one of them is.
>>> from keraslike import tf
>>> tf.math.logical_or([True, False], False).numpy().tolist()
[True, False]

logical_xor
True where exactly one of them is.
>>> from keraslike import tf
>>> tf.math.logical_xor([True, False], True).numpy().tolist()
[False, True]

reduce_sum
The sum along `axis`, of all elements where it is None.
>>> from keraslike import tf
>>> tf.math.reduce_sum([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[4.0, 6.0]

reduce_mean
The mean along `axis`, of all elements where it is None; of integers an integer.
>>> from keraslike import tf
>>> tf.math.reduce_mean([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[2.0, 3.0]

reduce_max
The largest element along `axis`, of all where it is None.
>>> from keraslike import tf
>>> tf.math.reduce_max([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[3.0, 4.0]

reduce_min
The smallest element along `axis`, of all where it is None.
>>> from keraslike import tf
>>> tf.math.reduce_min([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[1.0, 2.0]

reduce_prod
The product along `axis`, of all elements where it is None.
>>> from keraslike import tf
>>> tf.math.reduce_prod([[1.0, 2.0], [3.0, 4.0]], 0).numpy().tolist()
[3.0, 8.0]

reduce_any
Whether any element along `axis` is True.
>>> from keraslike import tf
>>> tf.math.reduce_any([[True, False], [False, False]], 1).numpy().tolist()
[True, False]

reduce_all
Whether all elements along `axis` are True.
>>> from keraslike import tf
>>> tf.math.reduce_all([[True, True], [True, False]], 1).numpy().tolist()
[True, False]

reduce_logsumexp
`log(sum(exp(x)))` along `axis`, computed without overflow.
>>> from keraslike import tf
>>> tf.math.reduce_logsumexp([1000.0, 0.0]).numpy().tolist()
1000.0

reduce_std
The standard deviation along `axis`, divided by the number of elements.
>>> from keraslike import tf
>>> tf.math.reduce_std([1.0, 3.0]).numpy().tolist()
1.0

reduce_variance
The mean of the squared distances from the mean along `axis`.
>>> from keraslike import tf
>>> tf.math.reduce_variance([1.0, 5.0]).numpy().tolist()
4.0

lgamma
`log(abs(gamma(x)))`.
>>> from keraslike import tf
>>> tf.math.lgamma([1.0]).numpy().round(4).tolist()
[0.0]

digamma
The derivative of `lgamma`.
>>> from keraslike import tf
>>> tf.math.digamma([float("inf")]).numpy().tolist()
[inf]

ndtri
The quantile function of the standard normal distribution.
>>> from keraslike import tf
>>> tf.math.ndtri([0.5]).numpy().tolist()
[0.0]

reciprocal_no_nan
`1 / x`, and 0 where `x` is 0.
>>> from keraslike import tf
>>> tf.math.reciprocal_no_nan([2.0, 0.0]).numpy().tolist()
[0.5, 0.0]

zeta
Hurwitz's zeta function, the sum of `(k + q)**-x` over `k` from 0; NaN for `x` below 1.
>>> from keraslike import tf
>>> tf.math.zeta([0.5], [1.0]).numpy().tolist()
[nan]

polygamma
The derivative of order `a` of `digamma` at `x`.
>>> from keraslike import tf
>>> tf.math.polygamma([1.0], [float("inf")]).numpy().tolist()
[0.0]

xlogy
`x * log(y)`, and 0 where `x` is 0.
>>> from keraslike import tf
>>> tf.math.xlogy([0.0, 2.0], [0.0, 1.0]).numpy().tolist()
[0.0, 0.0]

xlog1py
`x * log(1 + y)`, and 0 where `x` is 0.
>>> from keraslike import tf
>>> tf.math.xlog1py([0.0, 2.0], [-1.0, 0.0]).numpy().tolist()
[0.0, 0.0]

xdivy
`x / y`, and 0 where `x` is 0.
>>> from keraslike import tf
>>> tf.math.xdivy([0.0, 2.0], [0.0, 4.0]).numpy().tolist()
[0.0, 0.5]

squared_difference
`(x - y)**2`.
>>> from keraslike import tf
>>> tf.math.squared_difference([1.0, 5.0], 3.0).numpy().tolist()
[4.0, 4.0]

multiply_no_nan
`x * y`, and 0 where `y` is 0, even if `x` is infinite or NaN.
>>> from keraslike import tf
>>> tf.math.multiply_no_nan([float("nan"), 2.0], [0.0, 3.0]).numpy().tolist()
[0.0, 6.0]

invert_permutation
The permutation `y` with `y[x[i]] == i`.
>>> from keraslike import tf
>>> tf.math.invert_permutation([2, 0, 1]).numpy().tolist()
[1, 2, 0]

l2_normalize
`x / sqrt(max(sum(x**2), epsilon))`, the sum along `axis`.
>>> from keraslike import tf
>>> tf.math.l2_normalize([0.0, 4.0]).numpy().tolist()
[0.0, 1.0]

bessel_i0
The modified Bessel function of the first kind, of order 0.
>>> from keraslike import tf
>>> tf.math.bessel_i0([0.0]).numpy().round(4).tolist()
[1.0]

bessel_i0e
`exp(-abs(x)) * bessel_i0(x)`.
>>> from keraslike import tf
>>> tf.math.bessel_i0e([0.0]).numpy().round(4).tolist()
[1.0]

bessel_i1
The modified Bessel function of the first kind, of order 1.
>>> from keraslike import tf
>>> tf.math.bessel_i1([0.0]).numpy().tolist()
[0.0]

bessel_i1e
`exp(-abs(x)) * bessel_i1(x)`.
>>> from keraslike import tf
>>> tf.math.bessel_i1e([0.0]).numpy().tolist()
[0.0]

betainc
The regularized incomplete beta function.
>>> from keraslike import tf
>>> tf.math.betainc([1.0], [1.0], [0.5]).numpy().round(4).tolist()
[0.5]

erfcinv
The inverse of `erfc`.
>>> from keraslike import tf
>>> tf.math.erfcinv([1.0]).numpy().tolist()
[-0.0]

igamma
The regularized lower incomplete gamma function.
>>> from keraslike import tf
>>> tf.math.igamma([1.0], [0.0]).numpy().tolist()
[0.0]

igammac
The regularized upper incomplete gamma function, `1 - igamma(a, x)`.
>>> from keraslike import tf
>>> tf.math.igammac([1.0], [0.0]).numpy().tolist()
[1.0]

lbeta
The logarithm of the beta function of the numbers along the last axis.
>>> from keraslike import tf
>>> tf.math.lbeta([1.0, 1.0]).numpy().round(4).tolist()
0.0

nextafter
The floating-point number next to `x1` in the direction of `x2`.
>>> from keraslike import tf
>>> tf.math.nextafter([1.0], [1.0]).numpy().tolist()
[1.0]

is_non_decreasing
Whether no element is below the one before it.
>>> from keraslike import tf
>>> tf.math.is_non_decreasing([1, 1, 2]).numpy().tolist()
True

is_strictly_increasing
Whether each element is above the one before it.
>>> from keraslike import tf
>>> tf.math.is_strictly_increasing([1, 1, 2]).numpy().tolist()
False
"""

DOCUMENTATION = read(_TEXT)
