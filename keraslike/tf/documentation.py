"""What `tf.math`'s functions that come of a table compute, and an example of each.

`name: (description, arguments of the example, its output)`; the outputs are TensorFlow's.
"""

from __future__ import annotations

OF_TABLE = {
    "abs": (
        "The absolute value `|x|`; of complex numbers the modulus.",
        "[-2.0, 3.0]",
        "[2.0, 3.0]",
    ),
    "sign": ("-1, 0 or 1 by the sign of each element.", "[-2.0, 0.0, 5.0]", "[-1.0, 0.0, 1.0]"),
    "negative": ("`-x`.", "[1.0, -2.0]", "[-1.0, 2.0]"),
    "square": ("`x * x`.", "[2.0, -3.0]", "[4.0, 9.0]"),
    "zeros_like": ("Zeros of the tensor's shape and dtype.", "[1.0, 2.0]", "[0.0, 0.0]"),
    "ones_like": ("Ones of the tensor's shape and dtype.", "[3.0, 2.0]", "[1.0, 1.0]"),
    "round": (
        "The nearest whole number; halves go to the even one.",
        "[0.5, 1.5, -1.2]",
        "[0.0, 2.0, -1.0]",
    ),
    "rint": (
        "The nearest whole number; halves go to the even one.",
        "[0.5, 1.5, -1.2]",
        "[0.0, 2.0, -1.0]",
    ),
    "floor": ("The largest whole number that is not above `x`.", "[1.5, -1.5]", "[1.0, -2.0]"),
    "ceil": ("The smallest whole number that is not below `x`.", "[1.5, -1.5]", "[2.0, -1.0]"),
    "logical_not": ("True where `x` is False.", "[True, False]", "[False, True]"),
    "is_nan": ("Whether each element is not a number.", '[1.0, float("nan")]', "[False, True]"),
    "is_finite": (
        "Whether each element is neither infinite nor NaN.",
        '[1.0, float("inf")]',
        "[True, False]",
    ),
    "is_inf": ("Whether each element is infinite.", '[1.0, float("inf")]', "[False, True]"),
    "sqrt": ("The square root; NaN for negative numbers.", "[4.0, 9.0]", "[2.0, 3.0]"),
    "rsqrt": ("`1 / sqrt(x)`.", "[4.0, 0.25]", "[0.5, 2.0]"),
    "exp": ("`e**x`.", '[0.0, float("-inf")]', "[1.0, 0.0]"),
    "expm1": ("`e**x - 1`, accurate near 0.", '[0.0, float("-inf")]', "[0.0, -1.0]"),
    "log": (
        "The natural logarithm; -inf at 0, NaN for negative numbers.",
        "[1.0, 0.0]",
        "[0.0, -inf]",
    ),
    "log1p": ("`log(1 + x)`, accurate near 0.", "[0.0, -1.0]", "[0.0, -inf]"),
    "sin": ("The sine of angles in radians.", "[0.0]", "[0.0]"),
    "cos": ("The cosine of angles in radians.", "[0.0]", "[1.0]"),
    "tan": ("The tangent of angles in radians.", "[0.0]", "[0.0]"),
    "asin": ("The angle in radians whose sine is `x`.", "[0.0]", "[0.0]"),
    "acos": ("The angle in radians whose cosine is `x`.", "[1.0]", "[0.0]"),
    "atan": ("The angle in radians whose tangent is `x`.", "[0.0]", "[0.0]"),
    "sinh": ("`(exp(x) - exp(-x)) / 2`.", "[0.0]", "[0.0]"),
    "cosh": ("`(exp(x) + exp(-x)) / 2`.", "[0.0]", "[1.0]"),
    "tanh": ("`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.", "[0.0, 20.0]", "[0.0, 1.0]"),
    "asinh": ("The inverse of `sinh`.", "[0.0]", "[0.0]"),
    "acosh": ("The inverse of `cosh`; NaN below 1.", "[1.0]", "[0.0]"),
    "atanh": ("The inverse of `tanh`; infinite at -1 and 1.", "[0.0, 1.0]", "[0.0, inf]"),
    "sigmoid": ("`1 / (1 + exp(-x))`.", "[0.0]", "[0.5]"),
    "log_sigmoid": ("`-log(1 + exp(-x))`.", "[100.0]", "[-0.0]"),
    "erf": (
        "The error function, `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x`.",
        "[0.0, 5.0]",
        "[0.0, 1.0]",
    ),
    "erfc": ("`1 - erf(x)`, accurate where `erf` is near 1.", "[0.0]", "[1.0]"),
    "erfinv": ("The inverse of `erf`; infinite at -1 and 1.", "[0.0, 1.0]", "[0.0, inf]"),
    "softplus": ("`log(1 + exp(x))`.", "[100.0]", "[100.0]"),
    "softsign": ("`x / (1 + abs(x))`.", "[1.0, -3.0]", "[0.5, -0.75]"),
    "reciprocal": ("`1 / x`.", "[2.0, -4.0]", "[0.5, -0.25]"),
    "add": ("`x + y`; text is joined.", "[1.0, 2.0], 3.0", "[4.0, 5.0]"),
    "subtract": ("`x - y`.", "[1.0, 2.0], 3.0", "[-2.0, -1.0]"),
    "multiply": ("`x * y`, element by element.", "[1.0, 2.0], 3.0", "[3.0, 6.0]"),
    "floormod": ("`x - floor(x / y) * y`, which has the sign of `y`.", "[7, -7], 3", "[1, 2]"),
    "pow": ("`x**y`.", "[2.0, 3.0], 2.0", "[4.0, 9.0]"),
    "maximum": ("The larger of both; NaN where either is NaN.", "[1.0, 5.0], 3.0", "[3.0, 5.0]"),
    "minimum": ("The smaller of both; NaN where either is NaN.", "[1.0, 5.0], 3.0", "[1.0, 3.0]"),
    "divide_no_nan": ("`x / y`, and 0 where `y` is 0.", "[1.0, 2.0], [0.0, 4.0]", "[0.0, 0.5]"),
    "atan2": (
        "The angle in radians of the point with ordinate `x` and abscissa `y`.",
        "[0.0], [1.0]",
        "[0.0]",
    ),
    "floordiv": ("`floor(x / y)`.", "[7, -7], 2", "[3, -4]"),
    "equal": ("Whether `x == y`.", "[1, 2], 2", "[False, True]"),
    "not_equal": ("Whether `x != y`.", "[1, 2], 2", "[True, False]"),
    "less": ("Whether `x < y`.", "[1, 2], 2", "[True, False]"),
    "less_equal": ("Whether `x <= y`.", "[1, 2], 2", "[True, True]"),
    "greater": ("Whether `x > y`.", "[1, 2], 1", "[False, True]"),
    "greater_equal": ("Whether `x >= y`.", "[1, 2], 2", "[False, True]"),
    "logical_and": ("True where both are.", "[True, False], True", "[True, False]"),
    "logical_or": ("True where one of them is.", "[True, False], False", "[True, False]"),
    "logical_xor": ("True where exactly one of them is.", "[True, False], True", "[False, True]"),
    "reduce_sum": (
        "The sum along `axis`, of all elements where it is None.",
        "[[1.0, 2.0], [3.0, 4.0]], 0",
        "[4.0, 6.0]",
    ),
    "reduce_mean": (
        "The mean along `axis`, of all elements where it is None; of integers an integer.",
        "[[1.0, 2.0], [3.0, 4.0]], 0",
        "[2.0, 3.0]",
    ),
    "reduce_max": (
        "The largest element along `axis`, of all where it is None.",
        "[[1.0, 2.0], [3.0, 4.0]], 0",
        "[3.0, 4.0]",
    ),
    "reduce_min": (
        "The smallest element along `axis`, of all where it is None.",
        "[[1.0, 2.0], [3.0, 4.0]], 0",
        "[1.0, 2.0]",
    ),
    "reduce_prod": (
        "The product along `axis`, of all elements where it is None.",
        "[[1.0, 2.0], [3.0, 4.0]], 0",
        "[3.0, 8.0]",
    ),
    "reduce_any": (
        "Whether any element along `axis` is True.",
        "[[True, False], [False, False]], 1",
        "[True, False]",
    ),
    "reduce_all": (
        "Whether all elements along `axis` are True.",
        "[[True, True], [True, False]], 1",
        "[True, False]",
    ),
    "reduce_logsumexp": (
        "`log(sum(exp(x)))` along `axis`, computed without overflow.",
        "[1000.0, 0.0]",
        "1000.0",
    ),
    "reduce_std": (
        "The standard deviation along `axis`, divided by the number of elements.",
        "[1.0, 3.0]",
        "1.0",
    ),
    "reduce_variance": (
        "The mean of the squared distances from the mean along `axis`.",
        "[1.0, 5.0]",
        "4.0",
    ),
    "lgamma": ("`log(abs(gamma(x)))`.", "[1.0]", "[0.0]"),
    "digamma": ("The derivative of `lgamma`.", '[float("inf")]', "[inf]"),
    "ndtri": ("The quantile function of the standard normal distribution.", "[0.5]", "[0.0]"),
    "reciprocal_no_nan": ("`1 / x`, and 0 where `x` is 0.", "[2.0, 0.0]", "[0.5, 0.0]"),
    "zeta": (
        "Hurwitz's zeta function, the sum of `(k + q)**-x` over `k` from 0; NaN for `x` below 1.",
        "[0.5], [1.0]",
        "[nan]",
    ),
    "polygamma": (
        "The derivative of order `a` of `digamma` at `x`.",
        '[1.0], [float("inf")]',
        "[0.0]",
    ),
    "xlogy": ("`x * log(y)`, and 0 where `x` is 0.", "[0.0, 2.0], [0.0, 1.0]", "[0.0, 0.0]"),
    "xlog1py": ("`x * log(1 + y)`, and 0 where `x` is 0.", "[0.0, 2.0], [-1.0, 0.0]", "[0.0, 0.0]"),
    "xdivy": ("`x / y`, and 0 where `x` is 0.", "[0.0, 2.0], [0.0, 4.0]", "[0.0, 0.5]"),
    "squared_difference": ("`(x - y)**2`.", "[1.0, 5.0], 3.0", "[4.0, 4.0]"),
    "multiply_no_nan": (
        "`x * y`, and 0 where `y` is 0, even if `x` is infinite or NaN.",
        '[float("nan"), 2.0], [0.0, 3.0]',
        "[0.0, 6.0]",
    ),
    "invert_permutation": ("The permutation `y` with `y[x[i]] == i`.", "[2, 0, 1]", "[1, 2, 0]"),
    "l2_normalize": (
        "`x / sqrt(max(sum(x**2), epsilon))`, the sum along `axis`.",
        "[0.0, 4.0]",
        "[0.0, 1.0]",
    ),
    "bessel_i0": ("The modified Bessel function of the first kind, of order 0.", "[0.0]", "[1.0]"),
    "bessel_i0e": ("`exp(-abs(x)) * bessel_i0(x)`.", "[0.0]", "[1.0]"),
    "bessel_i1": ("The modified Bessel function of the first kind, of order 1.", "[0.0]", "[0.0]"),
    "bessel_i1e": ("`exp(-abs(x)) * bessel_i1(x)`.", "[0.0]", "[0.0]"),
    "betainc": ("The regularized incomplete beta function.", "[1.0], [1.0], [0.5]", "[0.5]"),
    "erfcinv": ("The inverse of `erfc`.", "[1.0]", "[-0.0]"),
    "igamma": ("The regularized lower incomplete gamma function.", "[1.0], [0.0]", "[0.0]"),
    "igammac": (
        "The regularized upper incomplete gamma function, `1 - igamma(a, x)`.",
        "[1.0], [0.0]",
        "[1.0]",
    ),
    "lbeta": (
        "The logarithm of the beta function of the numbers along the last axis.",
        "[1.0, 1.0]",
        "0.0",
    ),
    "nextafter": (
        "The floating-point number next to `x1` in the direction of `x2`.",
        "[1.0], [1.0]",
        "[1.0]",
    ),
    "is_non_decreasing": ("Whether no element is below the one before it.", "[1, 1, 2]", "True"),
    "is_strictly_increasing": (
        "Whether each element is above the one before it.",
        "[1, 1, 2]",
        "False",
    ),
}
_ROUNDED = {"lgamma", "bessel_i0", "bessel_i0e", "betainc", "lbeta"}  # float32 is not exact there


def of_table(name: str) -> str:
    """The docstring of a function of the table."""
    description, arguments, shown = OF_TABLE[name]
    value = "numpy().round(4)" if name in _ROUNDED else "numpy()"
    return (
        f"{description}\n\n>>> from keraslike import tf\n"
        f">>> tf.math.{name}({arguments}).{value}.tolist()\n{shown}\n"
    )
