"""Ops: values are Keras's, lists and Variables are taken, KerasTensors give shapes."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import Input, Model, layers, ops, random
from keraslike.core.symbolic import KerasTensor
from keraslike.core.variable import Variable

pytestmark = pytest.mark.slow

rng = np.random.default_rng(2)
A = rng.normal(size=(3, 4)).astype("float32")
B = rng.normal(size=(3, 4)).astype("float32")
P = np.abs(A) + 0.5
UNIT = np.tanh(A)
N = rng.integers(1, 9, (3, 4)).astype("int32")
T = rng.normal(size=(2, 8, 9, 4)).astype("float32")
K = rng.normal(size=(3, 2, 4, 6)).astype("float32")
S = A[:, :3] @ A[:, :3].T + 3 * np.eye(3, dtype="float32")
NAN = np.where(A > 0, A, np.nan).astype("float32")

UNARY = [
    (
        """
        negative absolute abs fabs exp exp2 expm1 square cbrt sign signbit floor
        ceil trunc sin cos tan sinh cosh tanh arcsinh arctan sinc isnan isinf
        isfinite isposinf isneginf isreal real imag conj conjugate angle copy ravel
        fliplr flipud deg2rad rad2deg erf erfc i0 relu relu6 sigmoid silu
        sparse_sigmoid log_sigmoid softplus softsign sparse_plus hard_sigmoid
        hard_silu selu hard_tanh tanh_shrink leaky_relu elu celu gelu squareplus glu
        soft_shrink hard_shrink softmax log_softmax normalize rms_normalization
        layer_normalization stop_gradient logical_not cumsum cumprod sort argsort
        diff transpose squeeze flip nan_to_num count_nonzero average size ndim
        logsumexp zeros_like ones_like round corrcoef nancumsum nancumprod trapezoid
        diagflat view_as_real
        """,
        A,
    ),
    (
        """
        log log1p log2 log10 sqrt rsqrt reciprocal
        """,
        P,
    ),
    (
        """
        arcsin arccos arctanh erfinv
        """,
        UNIT,
    ),
    (
        """
        arccosh
        """,
        P + 1,
    ),
    (
        """
        bitwise_not bitwise_invert
        """,
        N,
    ),
    (
        """
        det inv slogdet cholesky logdet matrix_rank lu_factor cholesky_inverse
        """,
        S,
    ),
]
UNARY_CASES = [(n, x) for names, x in UNARY for n in names.split()]
REDUCTIONS = """
    sum mean var std median ptp amax amin all any argmax argmin max min prod nansum
    nanmean nanvar nanstd nanmax nanmin nanprod nanmedian nanargmax nanargmin
"""
BINARY = """
    add subtract multiply divide true_divide floor_divide mod fmod equal not_equal less
    less_equal greater greater_equal logical_and logical_or logical_xor maximum minimum
    fmax fmin arctan2 hypot heaviside logaddexp logaddexp2 nextafter vdot inner outer kron
    cdist isin polar divide_no_nan isclose allclose append binary_crossentropy
"""
INTEGER_BINARY = """
    gcd lcm bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift
    bitwise_right_shift power
"""

CASES = [
    ("power", (P, B), {}),
    ("ldexp", (A, N), {}),
    ("matmul", (A, B.T), {}),
    ("dot", (A, B.T), {}),
    ("tensordot", (A, B), {"axes": [[0, 1], [0, 1]]}),
    ("einsum", ("ij,kj->ik", A, B), {}),
    ("cross", (A[:, :3], B[:, :3]), {}),
    ("quantile", (A, 0.3), {"axis": 1, "keepdims": True}),
    ("clip", (A, -0.5, 0.5), {}),
    ("where", (A > 0, A, B), {}),
    ("where", (A > 0, 1.0, B), {}),
    ("reshape", (A, (2, -1)), {}),
    ("expand_dims", (A, (0, 2)), {}),
    ("squeeze", (A[:, :1],), {"axis": 1}),
    ("transpose", (T, (0, 3, 1, 2)), {}),
    ("swapaxes", (T, 1, 3), {}),
    ("moveaxis", (T, 1, -1), {}),
    ("broadcast_to", (A, (2, 3, 4)), {}),
    ("concatenate", ([A, B],), {"axis": 1}),
    ("stack", ([A, B],), {"axis": -1}),
    ("hstack", ([A, B],), {}),
    ("vstack", ([A, B],), {}),
    ("split", (A, 2), {"axis": 1}),
    ("split", (A, [1, 3]), {"axis": 1}),
    ("array_split", (A, 2), {}),
    ("unstack", (A,), {"axis": 1}),
    ("tile", (A, (2, 1)), {}),
    ("repeat", (A, 2), {"axis": 1}),
    ("roll", (A, 1), {"axis": 1}),
    ("rot90", (A,), {}),
    ("pad", (A, ((1, 0), (0, 2))), {"constant_values": 3.0}),
    ("pad", (A, ((1, 0), (0, 2))), {"mode": "reflect"}),
    ("meshgrid", (A[0], A[1]), {}),
    ("take", (A, np.array([2, 0])), {"axis": 1}),
    ("take_along_axis", (A, np.array([[0], [2], [1]])), {"axis": 1}),
    ("searchsorted", (np.sort(A[0]), A[1]), {}),
    ("digitize", (A, np.array([-1.0, 0.0, 1.0])), {}),
    ("bincount", (N[0],), {"minlength": 12}),
    ("bincount", (N,), {"weights": P, "minlength": 12}),
    ("diag", (A[0],), {"k": 1}),
    ("diagonal", (T,), {"axis1": 1, "axis2": 2}),
    ("trace", (A,), {}),
    ("tril", (A,), {"k": 1}),
    ("triu", (A,), {}),
    ("zeros", ((2, 3),), {}),
    ("ones", ((2, 3),), {"dtype": "int32"}),
    ("full", ((2, 3), 4.0), {}),
    ("full_like", (A, 4.0), {}),
    ("eye", (3, 4), {"k": 1}),
    ("identity", (3,), {}),
    ("tri", (3,), {}),
    ("arange", (5,), {}),
    ("arange", (1, 9, 3), {"dtype": "float32"}),
    ("linspace", (0.0, 1.0), {"num": 5}),
    ("array", ([1.0, 2.0],), {}),
    ("cast", (A, "int32"), {}),
    ("saturate_cast", (300 * A, "uint8"), {}),
    ("saturate_cast", (1e10 * A, "int32"), {}),
    ("saturate_cast", (1e5 * A, "float16"), {}),
    ("slice", (A, (1, 0), (2, 3)), {}),
    ("slice_update", (A, (1, 1), B[:2, :2]), {}),
    ("scatter", (np.array([[0, 1], [2, 3]]), np.array([1.0, 2.0], "float32"), (3, 4)), {}),
    ("scatter_update", (A, np.array([[0, 1], [2, 3]]), np.array([1.0, 2.0], "float32")), {}),
    (
        *("scatter_update", (A, np.array([[0, 1], [2, 3]]), np.array([1.0, 2.0], "float32"))),
        {"reduction": "mul"},
    ),
    ("threshold", (A, 0.3, -1.0), {}),
    ("normalize", (A,), {"order": 3, "axis": 0}),
    ("layer_normalization", (A, P[0], B[0]), {"epsilon": 1e-3}),
    ("rms_normalization", (A, P[0]), {}),
    ("batch_normalization", (A, A[0], P[0], -1, B[0], P[1]), {}),
    ("moments", (T, [0, 1, 2]), {}),
    ("moments", (T.astype("float16"), (0, 1)), {"keepdims": True}),
    ("one_hot", (N, 10), {}),
    ("one_hot", (np.array([-1, 0, 5]), 3), {"axis": 0, "dtype": "int32"}),
    ("multi_hot", (N, 10), {}),
    ("categorical_crossentropy", (P / P.sum(-1, keepdims=True), P), {}),
    ("sparse_categorical_crossentropy", (np.array([0, 3, 9]), A), {"from_logits": True}),
    ("top_k", (A, 2), {}),
    ("in_top_k", (np.array([0, 3, 1]), A, 2), {}),
    ("max_pool", (T, 2), {"strides": 2}),
    ("max_pool", (T, (3, 2)), {"strides": (2, 1), "padding": "same"}),
    ("max_pool", (T, 2), {"strides": 2, "data_format": "channels_first", "padding": "same"}),
    ("average_pool", (T, 2), {"strides": 3}),
    ("average_pool", (T, (3, 2)), {"strides": (2, 1), "padding": "same"}),
    ("conv", (T, K), {}),
    ("conv", (T, K), {"strides": (2, 1), "padding": "same"}),
    ("conv", (T, K[:, :, :2]), {"dilation_rate": 2}),
    ("conv", (T.transpose(0, 3, 1, 2), K), {"data_format": "channels_first", "strides": 2}),
    ("depthwise_conv", (T, K[..., :2]), {"padding": "same"}),
    ("separable_conv", (T, K[..., :1], rng.normal(size=(1, 1, 4, 5)).astype("float32")), {}),
    ("norm", (A,), {"ord": 1, "axis": 1}),
    ("solve", (S, A), {}),
    ("solve_triangular", (np.tril(S), A), {"lower": True}),
    ("pinv", (A,), {}),
    ("solve", (S, A[0, :3]), {}),
    ("jvp", (lambda x: x**2, (A,), (B,)), {}),
    ("percentile", (A, [30.0, 70.0]), {"axis": 1}),
    ("nanquantile", (NAN, 0.3), {"axis": (0, 1), "keepdims": True}),
    ("nanpercentile", (NAN, 70), {"axis": 0}),
    ("trapezoid", (A, B), {"axis": 0}),
    ("histogram", (A[0], 3), {"range": (-1.0, 1.0)}),
    ("correlate", (A[0], B[1, :3]), {"mode": "same"}),
    ("kaiser", (5, 3.0), {}),
    ("bartlett", (5,), {}),
    ("blackman", (5,), {}),
    ("hamming", (5,), {}),
    ("hanning", (5,), {}),
    ("geomspace", (1.0, 9.0, 5), {"endpoint": False}),
    ("logspace", (P, 2.0, 5), {"base": 3, "axis": 1}),
    ("vander", (A[0],), {"N": 3, "increasing": True}),
    ("dstack", ([A, B],), {}),
    ("hsplit", (A, 2), {}),
    ("vsplit", (A, [1, 2]), {}),
    ("dsplit", (T, 3), {}),
    ("argpartition", (A, 1), {"axis": None}),
    ("unravel_index", (N, (5, 2)), {}),
    ("select", ([A > 0, B > 0], [A, B]), {"default": 3}),
    ("unique", (N,), {"return_counts": True, "size": 5, "fill_value": -1}),
    ("view", (A, "int16"), {}),
    ("view_as_complex", (A[:, :2],), {}),
    ("segment_sum", (A, np.array([0, 2, 2])), {"num_segments": 4, "sorted": True}),
    ("segment_prod", (A, np.array([1, 0, 1])), {"num_segments": 2}),
    ("segment_max", (A, np.array([1, 0, 1])), {"num_segments": 2}),
    ("segment_min", (A, np.array([1, 0, 1])), {"num_segments": 2}),
    ("fft", ((A, B),), {}),
    ("fft2", ((A, B),), {}),
    ("ifft2", ((A, B),), {}),
    ("rfft", (A,), {"fft_length": 6}),
    ("irfft", ((A, B),), {}),
    ("extract_sequences", (T, 3, 2), {}),
    ("stft", (K.reshape(6, 24), 6, 2, 8), {"window": "hamming"}),
    ("stft", (K.reshape(6, 24), 6, 5, 6), {"window": P.ravel()[:6], "center": False}),
    ("istft", (keras.ops.stft(K.reshape(6, 24), 6, 2, 8), 6, 2, 8), {"length": 23}),
    ("istft", (keras.ops.stft(K.reshape(6, 24), 6, 2, 8), 6, 2, 8), {"window": None}),
    ("psnr", (A, B, 2.0), {}),
    ("rearrange", (T, "b (h i) w c -> (b w) h (c i)"), {"i": 2}),
    ("unfold", (T, (3, 2)), {"dilation": 2, "padding": (1, 0), "stride": (1, 2)}),
    ("depth_to_space", (T, 2), {}),
    ("depth_to_space", (T[:, :, :4], 2), {"data_format": "channels_first"}),
    ("space_to_depth", (T[:, :, :6], 2), {}),
    ("space_to_depth", (T[:, :, :6], 2), {"data_format": "channels_first"}),
    ("fold", (K.reshape(2, 8, 9), (6, 6), 2), {"stride": 2}),
    ("fold", (K.reshape(2, 8, 9), (4, 5), 2), {"dilation": (1, 2)}),
    ("adaptive_average_pool", (T, (3, 4)), {}),
    ("adaptive_average_pool", (T, (8, 2)), {"data_format": "channels_first"}),
    ("adaptive_max_pool", (T, (3, 4)), {}),
    ("adaptive_max_pool", (T.reshape(2, 4, 6, 3, 4), (3, 4, 2)), {}),
    ("ctc_loss", (N % 3 + 1, K.reshape(3, 12, 4), np.array([4, 0, 2]), np.array([12, 9, 5])), {}),
    ("ctc_decode", (T.reshape(3, 48, 4) * 3, np.array([48, 20, 1])), {}),
    (
        *("ctc_decode", (T.reshape(3, 48, 4)[:, :8], np.array([8, 7, 1]), "greedy")),
        {"merge_repeated": False, "mask_index": None},
    ),
    (
        *("ctc_decode", (T.reshape(3, 48, 4)[:, :8], np.array([8, 7, 6]), "beam_search")),
        {"beam_width": 12, "top_paths": 3, "mask_index": 2},
    ),
    ("switch", (1, [lambda x: x + 1, lambda x: x * 2], A), {}),
    ("while_loop", (lambda i, x: i < 5, lambda i, x: (i + 1, x * 2), (0, 1.0)), {}),
    (
        *("while_loop", (lambda i: i < 50, lambda i: i + 1, 0)),
        {"maximum_iterations": 7},
    ),
    ("fori_loop", (0, 4, lambda i, x: x + i, A), {}),
    ("scan", (lambda c, x: (c + x, c * x), A[0], B), {"reverse": True}),
    ("associative_scan", (lambda a, b: a + b, A), {}),
    ("map", (lambda x: x.sum(), A), {}),
    ("vectorized_map", (lambda x: x.sum(), A), {}),
]


def same(ours, theirs):
    a, b = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(a) == len(b)
    for x, y in zip(a, b):
        wide = "complex128" if np.iscomplexobj(y) else "float64"
        np.testing.assert_allclose(np.asarray(x, wide), np.asarray(y, wide), rtol=2e-5, atol=2e-6)
        assert np.shape(x) == np.shape(y)
        if hasattr(x, "dtype") and hasattr(y, "dtype"):
            assert x.dtype == y.dtype


@pytest.mark.parametrize("name, x", UNARY_CASES)
def test_functions_of_one_array(name, x):
    ours = getattr(ops, name)
    same(ours(x), getattr(keras.ops, name)(x))
    same(ours(x.tolist()), ours(x))
    same(ours(Variable(x)), ours(x))
    if name not in ("size", "ndim"):
        out = ours(KerasTensor(x.shape, str(x.dtype)))
        shapes = [tuple(o.shape) for o in jax.tree.leaves(out)]
        assert shapes == [o.shape for o in jax.tree.leaves(ours(x))]


@pytest.mark.parametrize("name", REDUCTIONS.split())
def test_reductions(name):
    x = NAN if name.startswith("nan") and "arg" not in name else A
    ours, theirs = getattr(ops, name), getattr(keras.ops, name)
    for axis in (None, 1, -1, 0) if name.startswith(("arg", "nanarg")) else (None, 1, (0, 1)):
        for keepdims in (False, True):
            same(ours(x, axis, keepdims), theirs(x, axis, keepdims))
    assert ours(KerasTensor((None, 4)), axis=1).shape == (None,)
    assert ours(KerasTensor((None, 4)), axis=1, keepdims=True).shape == (None, 1)


@pytest.mark.parametrize("name", BINARY.split())
def test_functions_of_two_arrays(name):
    ours, theirs = getattr(ops, name), getattr(keras.ops, name)
    a, b = (UNIT**2, UNIT**2 / 2 + 0.1) if name == "binary_crossentropy" else (A, B)
    same(ours(a, b), theirs(a, b))
    same(ours(a.tolist(), Variable(b)), ours(a, b))
    if name in (
        "cdist",
        "polar",
        "outer",
        "inner",
        "vdot",
        "kron",
        "append",
        "allclose",
        "nextafter",
    ):
        return
    x, y = KerasTensor((None, 4)), KerasTensor((None, 4))
    assert ours(x, y).shape == (None, 4)
    if name != "binary_crossentropy":
        assert ours(x, 2.0).shape == (None, 4)
        same(ours(A, 2.0), theirs(A, 2.0))
        same(ours(A, B[0]), theirs(A, B[0]))


@pytest.mark.parametrize("name", INTEGER_BINARY.split())
def test_functions_of_two_arrays_of_integers(name):
    a, b = N, (N + 1) % 4
    same(getattr(ops, name)(a, b), getattr(keras.ops, name)(a, b))


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_functions_of_other_signatures(name, args, kwargs):
    same(getattr(ops, name)(*args, **kwargs), getattr(keras.ops, name)(*args, **kwargs))


@pytest.mark.parametrize("name", sorted(set(ops.__all__) - {"swish", "hard_swish", "l2_normalize"}))
def test_signatures_are_keras_s(name):
    ours = inspect.signature(getattr(ops, name)).parameters.values()
    theirs = inspect.signature(getattr(keras.ops, name)).parameters.values()
    theirs = [p for p in theirs if (name, p.name) != ("multi_hot", "kwargs")]
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_every_op_has_a_name_and_a_line_of_doc():
    for name in ops.__all__:
        function = getattr(ops, name)
        assert function.__doc__
        assert function.__name__ == {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)


# -- KerasTensors -----------------------------------------------------------------------------


def test_operators_of_kerastensors():
    x, y = KerasTensor((None, 4)), KerasTensor((None, 4), "int32")
    for out in (x + y, 1 - x, 2 * x, x / 2, x // 2, x % 2, x**2, 2**x, -x, abs(x), x[:2], x - A[0]):
        assert out.dtype == "float32"
        assert out.shape in ((None, 4), (2, 4))
    for out in (x < y, x <= 0, x > 1, x >= y, (x > 0) & (x < 1), (x > 0) | (y > 0), ~(x > 0)):
        assert out.dtype == "bool"
    assert (x @ A.T).shape == (None, 3)
    assert (A @ KerasTensor((4, 2))).shape == (3, 2)
    assert x.astype("int32").dtype == "int32"
    assert x.reshape(-1, 2).shape == (None, 2)
    assert x.reshape((2, -1)).shape == (2, None)
    assert x[:, 0].shape == (None,)
    assert x[..., None].shape == (None, 4, 1)


@pytest.mark.parametrize(
    "call, shape",
    [
        (lambda x: ops.conv(x, K, padding="same", strides=2), (None, 4, 5, 6)),
        (lambda x: ops.max_pool(x, 2), (None, 4, 4, 4)),
        (lambda x: ops.average_pool(x, 2, padding="same"), (None, 4, 5, 4)),
        (lambda x: ops.concatenate([x, x], axis=-1), (None, 8, 9, 8)),
        (lambda x: ops.reshape(x, (-1, 72, 4)), (None, 72, 4)),
        (lambda x: ops.transpose(x, (0, 3, 1, 2)), (None, 4, 8, 9)),
        (lambda x: ops.mean(x, axis=(1, 2)), (None, 4)),
        (lambda x: ops.einsum("bhwc,cd->bhwd", x, A.T), (None, 8, 9, 3)),
        (lambda x: ops.where(x > 0, x, 0.0), (None, 8, 9, 4)),
        (lambda x: ops.one_hot(ops.argmax(x, axis=-1), 4), (None, 8, 9, 4)),
        (lambda x: ops.softmax(x, axis=(1, 2)), (None, 8, 9, 4)),
        (lambda x: ops.moments(x, (1, 2))[1], (None, 4)),
        (lambda x: ops.split(x, 2, axis=1)[1], (None, 4, 9, 4)),
        (lambda x: ops.map(lambda i: ops.sum(i), x), (None,)),
        (lambda x: ops.top_k(x, 2)[1], (None, 8, 9, 2)),
        (lambda x: ops.fori_loop(0, 3, lambda i, v: v * 2, x), (None, 8, 9, 4)),
    ],
)
def test_shapes_with_an_unknown_size(call, shape):
    assert call(KerasTensor((None, 8, 9, 4))).shape == shape


def test_sizes_that_the_values_decide_are_unknown():
    x = KerasTensor((None, 4), "int32")
    assert [i.shape for i in ops.nonzero(x)] == [i.shape for i in ops.where(x)] == [(None,)] * 2
    assert ops.bincount(x).shape == (None, None)
    assert ops.segment_sum(x, KerasTensor((None,), "int32")).shape == (None, 4)
    values, index, inverse = ops.unique(x, return_index=True, return_inverse=True, axis=1)
    assert (values.shape, index.shape, inverse.shape) == ((None, None), (None,), (4,))
    assert (values.dtype, index.dtype) == ("int32", "int32")


def test_what_keeps_arrays_sparse():
    from jax.experimental import sparse

    def check(function, *arrays, stays=True):
        out = function(*arrays)
        dense = [ops.convert_to_tensor(x, sparse=False) for x in arrays]
        assert isinstance(out, sparse.BCOO) == stays
        same(ops.convert_to_tensor(out, sparse=False), function(*dense))
        symbols = [KerasTensor(x.shape, x.dtype, isinstance(x, sparse.BCOO)) for x in arrays]
        spec = function(*symbols)
        assert (spec.shape, spec.sparse) == (tuple(out.shape), stays)

    twice = sparse.BCOO((jnp.array([0.5, 0.25, -2]), jnp.array([[1], [1], [2]])), shape=(4,))
    for name in ("sqrt", "abs", "copy", "round", "signbit"):
        check(getattr(ops, name), twice)
    a = sparse.BCOO.fromdense(jnp.array([[0, 2.0, -1], [3, 0, 0]]))
    b = sparse.BCOO.fromdense(jnp.array([[1, -2.0, 0], [0, 0, 0]]))
    slices = sparse.BCOO((jnp.ones((1, 3)), jnp.array([[1]])), shape=(2, 3))
    full = jnp.array([[1, 2.0, 4], [jnp.nan, 0, 5]])
    for name in ("add", "subtract", "maximum", "minimum", "multiply"):
        function = getattr(ops, name)
        check(function, a, b)
        check(function, slices, sparse.BCOO((slices.data, slices.indices - 1), shape=(2, 3)))
        same(jax.jit(function)(a, b).todense(), function(a.todense(), b.todense()))
        check(function, a, full[:1], stays=name == "multiply")
    check(ops.divide, a, full)
    check(ops.divide, a, jnp.array(2.0))
    check(ops.divide, full, a, stays=False)
    same(ops.divide(a, 0.0), a.todense() / 0.0)
    for function in (
        lambda x: ops.sum(x, 0),
        lambda x: ops.mean(x, 1, keepdims=True),
        lambda x: ops.reshape(x, (3, -1)),
        lambda x: ops.expand_dims(ops.transpose(x), 1),
        lambda x: ops.concatenate([x, x], 1),
        lambda x: ops.digitize(x, [0.5, 2.5]),
    ):
        check(function, a)
    check(lambda x: ops.digitize(x, [-0.5, 2.5]), a, stays=False)
    check(ops.matmul, ops.expand_dims(a, 0), ops.expand_dims(ops.transpose(b), 0))
    same(ops.bincount(N, sparse=True).todense(), ops.bincount(N))
    assert not ops.convert_to_tensor(KerasTensor((2, 3), sparse=True), sparse=False).sparse


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.unstack(KerasTensor((2, None)), axis=1), "Cannot infer argument `num`"),
        (lambda: ops.convert_to_numpy(KerasTensor((2,))), "symbolic"),
        (lambda: ops.cond(jnp.array(True), lambda: A, lambda: A[0]), "the same structure"),
        (lambda: ops.scan(lambda c, x: (c, x), 0.0), "to scan over"),
        (lambda: ops.batch_normalization(A, A[0], A[0], 0), "`mean` must be a vector of length"),
        (lambda: ops.depthwise_conv(A[None], A[None, :, :2]), "input channels must match"),
        (lambda: ops.swapaxes(A, 0, 5), "axis 5 is out of bounds"),
        (lambda: ops.transpose(A, (0, 0)), "valid permutation"),
        (lambda: ops.transpose(A, (1, 2)), "must be an integer in"),
        (lambda: ops.reshape(A, (-1, -1)), "at most one unknown dimension"),
        (lambda: ops.reshape(A, (-3, 4)), "non-negative integer"),
        (lambda: ops.get_item(A, (..., 4)), "index 4 is out of bounds for an axis of size 4"),
        (lambda: KerasTensor((None, 5, 6))[:, 17, :], "index 17 is out of bounds"),
        (lambda: KerasTensor((None, 5, 6))[..., 0, ...], "ellips"),
        (lambda: ops.matmul(A, KerasTensor((3, 5))), "same shape"),
        (lambda: ops.max_pool(A[None], 4), "would be zero or negative"),
        (lambda: ops.average_pool(KerasTensor((None, 2, 1)), 3), "would be zero or negative"),
        (lambda: jax.jit(lambda: random.uniform(()))(), "only use seeded random ops"),
    ],
)
def test_what_is_refused_in_keras_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_classes_of_cross_entropy_along_another_axis():
    classes, cross_entropy = np.array([[0, 2, 1, 1]]), ops.sparse_categorical_crossentropy
    rows = cross_entropy(classes, P[None], axis=1)
    same(rows, cross_entropy(classes, P[None].transpose(0, 2, 1)))
    assert cross_entropy(KerasTensor((None, 4), "int32"), P[None], axis=1).shape == (1, 4)


def test_shape_size_and_dtype():
    x = KerasTensor((None, 4))
    assert ops.shape(x) == (None, 4)
    assert ops.shape(A) == (3, 4)
    assert ops.size(np.ones((2, 4))) == 8
    count = Model(x, x / ops.cast(ops.size(x), "float32"))
    same(count(np.ones((3, 4), "float32")), np.full((3, 4), 1 / 12, "float32"))
    assert (ops.ndim(x), ops.ndim(A)) == (2, 2)
    assert (ops.dtype(x), ops.dtype(A), ops.dtype([1])) == ("float32", "float32", "int32")


# -- conversion -------------------------------------------------------------------------------


def test_conversion():
    variable = Variable(A)
    assert ops.convert_to_tensor(variable) is variable.value
    assert ops.convert_to_tensor(A, dtype="float16").dtype == "float16"
    x = KerasTensor((None, 4))
    assert ops.convert_to_tensor(x) is x
    assert isinstance(ops.convert_to_numpy(variable), np.ndarray)
    assert ops.is_tensor(jnp.ones(2)) and not ops.is_tensor(A) and not ops.is_tensor(x)
    same(ops.convert_to_tensor(A, sparse=True), A)  # what is dense stays so
    with pytest.raises(ValueError, match="ragged"):
        ops.convert_to_tensor(A, ragged=True)


def test_weak_types_do_not_widen():
    half = jnp.ones(3, "bfloat16")
    assert (ops.multiply(half, 2.0) + ops.maximum(half, 0)).dtype == "bfloat16"
    assert ops.clip(half, 0.0, 1.0).dtype == "bfloat16"
    assert ops.where(half > 0, half, 0.0).dtype == "bfloat16"


def test_windows_lie_side_by_side_where_no_strides_are_given():
    same(ops.max_pool(T, 2), ops.max_pool(T, 2, strides=2))  # Keras 3.15 fails here
    same(ops.average_pool(T, (2, 3)), ops.average_pool(T, (2, 3), strides=(2, 3)))
    assert ops.max_pool(N.reshape(1, 12, 1), 4).dtype == "int32"


def test_sparse_classes():
    for x in (N, N[0], N - 2):
        same(ops.multi_hot(x, 6, sparse=True).todense(), ops.multi_hot(x, 6))
    for function in (ops.one_hot, ops.multi_hot):
        assert function(KerasTensor((None, 3), "int32"), 4, sparse=True).sparse
        assert not function(KerasTensor((None, 3), "int32"), 4).sparse


def test_cond():
    assert float(ops.cond(False, lambda: 1.0, lambda: 2.0)) == 2.0
    pick = jax.jit(lambda p: ops.cond(p, lambda: jnp.sin(A), lambda: jnp.cos(A)))
    same(pick(True), jnp.sin(A))
    same(pick(False), keras.ops.cond(jnp.array(False), lambda: jnp.sin(A), lambda: jnp.cos(A)))


def test_divide_no_nan_has_finite_gradients():
    grads = jax.grad(lambda a, b: ops.divide_no_nan(a, b).sum(), (0, 1))(jnp.ones(2), jnp.zeros(2))
    assert np.isfinite(grads).all()


def test_batches_of_vectors_are_solved_one_by_one():
    a, b = np.stack([S, S + 1]), A[:2, :3]
    x = np.stack([np.linalg.solve(a[i], b[i]) for i in range(2)])
    same(ops.solve(a, b), x)
    for solve in (ops.solve, ops.solve_triangular):
        assert solve(KerasTensor((None, 3, 3)), KerasTensor((None, 3))).shape == (None, 3)


def test_l2_normalize_of_zeros_has_finite_values_and_gradients():
    assert ops.l2_normalize(jnp.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(jax.jacobian(ops.l2_normalize)(jnp.zeros(3))).all()
    same(ops.l2_normalize(A, axis=0), A / np.linalg.norm(A, axis=0))


# -- custom gradients -------------------------------------------------------------------------


def better_softplus(z):
    exp = jnp.exp(z)

    def my_softplus_gradients(grad):
        return grad / (1 + 1 / exp)

    return jnp.log(exp + 1), my_softplus_gradients


def keras_softplus(x):
    e = ops.exp(x)

    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

    return ops.log(1 + e), grad


def torch_softplus(x):
    e = ops.exp(x)

    def grad(*args, upstream):
        (again,) = args
        return upstream * (1 - 1 / (1 + ops.exp(again)))

    return ops.log(1 + e), grad


@pytest.mark.parametrize("function", [better_softplus, keras_softplus, torch_softplus])
def test_a_custom_gradient_is_the_one_used(function):
    softplus = ops.custom_gradient(function)
    assert softplus.__name__ == function.__name__
    x = jnp.array([-2.0, 0.0, 3.0])
    same(softplus(x), jax.nn.softplus(x))
    for wrap in (lambda f: f, jax.jit):
        grad = wrap(jax.grad(lambda v: softplus(v).sum()))
        np.testing.assert_allclose(grad(x), jax.nn.sigmoid(x), rtol=1e-5)
        assert np.isfinite(grad(jnp.array([1000.0]))).all()  # where the plain one is NaN
    np.testing.assert_allclose(jax.vmap(jax.grad(softplus))(x), jax.nn.sigmoid(x), rtol=1e-5)
    assert softplus(KerasTensor((None, 3))).shape == (None, 3)
    assert float(softplus(Variable(0.0))) == pytest.approx(np.log(2))


def test_a_plain_softplus_has_no_gradient_there():
    assert np.isnan(jax.grad(lambda z: jnp.log(jnp.exp(z) + 1))(1000.0))


def test_a_custom_gradient_of_several_arguments_and_values():
    @ops.custom_gradient
    def swap(a, b):
        def grad(upstream):
            da, db = upstream
            return 10 * da, 100 * db

        return (a + b, a * b), grad

    grads = jax.grad(lambda a, b: sum(swap(a, b)), (0, 1))(2.0, 3.0)
    assert [float(g) for g in grads] == [10.0, 100.0]


class Reversal(layers.Layer):
    @ops.custom_gradient
    def reversed(self, x):
        return x, lambda upstream: -2.0 * upstream

    def call(self, x):
        return self.reversed(x)


def test_a_method_may_have_a_custom_gradient():
    given = Input((3,))
    model = Model(given, Reversal()(given))
    x = np.ones((2, 3), "float32")
    assert np.array_equal(jax.grad(lambda x: model(x).sum())(x), np.full((2, 3), -2.0))


def test_a_custom_gradient_may_use_a_value_from_around_it_inside_jit():
    def f(x, scale):
        @ops.custom_gradient
        def g(v):
            return v * scale, lambda up: up * scale * 7

        return g(x)

    assert float(jax.jit(jax.grad(f))(2.0, 3.0)) == 21.0


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.conv(T, K[:, :, :3]), "input channels must match the kernel: 4 .*kernel's 3"),
        (lambda: ops.conv(T[:, :2], K), r"\(2, 2, 9, 4\).*too small"),
        (lambda: ops.conv(T, K, strides=(1, 1, 1)), "strides.*2 integers"),
        (lambda: ops.max_pool(T, 2, padding="full"), "padding.*'full'"),
        (lambda: ops.max_pool(T, 2, data_format="nhwc"), "data_format.*'nhwc'"),
        (lambda: ops.average_pool(T, (2,)), "pool_size.*2 integers"),
        (lambda: ops.normalize(A, order=0), "order.*0"),
        (lambda: ops.scatter_update(A, [[0, 0]], [1.0], reduction="mean"), "reduction.*'mean'"),
        (lambda: ops.multi_hot(N), "num_classes"),
        (lambda: ops.moments(A, 0, synchronized=True), "synchronized"),
        (lambda: ops.unstack(A, num=5), "num.*3.*5"),
        (lambda: ops.qr(A, mode="full"), "mode.*full"),
        (lambda: ops.binary_crossentropy(A, B[:2]), r"\(3, 4\).*\(2, 4\)"),
        (lambda: ops.sparse_categorical_crossentropy(A, B), r"\(3, 4\).*\(3, 4\)"),
        (lambda: ops.cast(A, "float33"), "float33"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dir_lists_ops_only():
    assert not {"jnp", "wrap", "signal", "core", "op", "registry"} & set(dir(ops))
    assert {"relu", "add", "cond", "inv", "max"} <= set(dir(ops))


def test_scatter_update_of_sizes_that_are_not_known():
    # As many updates as indices once there are numbers, though the formulas differ.
    x, places = Input((None, 8)), Input((None,), dtype="int32")
    parts = Input((4, 8))
    flat = ops.reshape(x, (-1, 8))
    where = ops.reshape(places, (-1, 1))
    found = ops.scatter_update(flat, where, ops.reshape(parts, (-1, 8)))
    assert found.shape == (None, 8)
    model = Model([x, places, parts], found)
    given = [np.zeros((1, 6, 8)), np.array([[0, 2, 3, 5]]), np.ones((1, 4, 8))]
    assert model(given).sum(-1).tolist() == [8, 0, 8, 8, 0, 8]
    with pytest.raises(ValueError, match="scatter_update"):
        ops.scatter_update(KerasTensor((4, 8)), np.zeros((3, 1), int), KerasTensor((2, 8)))
