"""Programs of `tf` outside of nn and math whose results TensorFlow gives: `python -m
tests.tf.wide_reference`, where it is installed, writes `wide_reference.json`."""

import json
import os

import numpy as np

from tests.tf.more_reference import result

PATH = os.path.splitext(__file__)[0] + ".json"


def names(tf):
    rng = np.random.default_rng(0)
    draw = lambda *size: rng.normal(size=size).astype("float32")  # noqa: E731
    matrix = draw(3, 3)
    corners = rng.random((2, 6, 2)).astype("float32")

    def gradients(function, *values):
        variables = [tf.Variable(v) for v in values]
        with tf.GradientTape() as tape:
            out = function(*variables)
        return [tf.convert_to_tensor(g) for g in tape.gradient(out, variables)]

    def slope(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = function(x)
        return tape.gradient(out, x, tf.cast(tf.fill(out.shape, 1 + 0.5j), out.dtype))

    full = tf.linalg.LinearOperatorFullMatrix(matrix)
    diag = tf.linalg.LinearOperatorDiag(matrix[0])
    return {
        "tf": tf,
        "np": np,
        "tnp": tf.experimental.numpy,
        "L": tf.linalg,
        "Q": tf.quantization,
        "grad": gradients,
        "slope": slope,
        "U": tf.constant([1, 3], tf.uint8),
        "seeded": lambda draw: (tf.random.set_seed(3), list(draw()))[1],
        "total": lambda x: tf.reduce_sum(x**2),
        "im": tf.constant(rng.random((5, 4, 2)).astype("float32")),
        "m": tf.constant(matrix),
        "v": tf.constant(draw(3, 2)),
        "q": tf.constant(4 * draw(3, 4)),
        "three": tf.constant(draw(3, 5)),
        "rhs": tf.constant(draw(5, 2)),
        "boxes": tf.constant(np.concatenate([corners / 2, corners / 2 + 0.4], -1)),
        "scores": tf.constant(rng.random((2, 6, 2)).astype("float32")),
        "corners": np.array([[0.1, 0.2, 0.75, 0.9]], np.float32),
        "pair": tf.constant([matrix, matrix.T]),
        "sound": tf.constant(draw(6, 2) / 2),
        "ragged": tf.ragged.constant([[1.0, 2.0], [], [3.0, 4.0, 5.0]]),
        "rows": tf.RaggedTensor.from_row_lengths(draw(5, 2), [2, 0, 3]),
        "words": lambda *places: tf.SparseTensor(
            [[n // 3, n % 3] for n in places], [n * n % 5 for n in places], [3, 3]
        ),
        "full": full,
        "low": tf.linalg.LinearOperatorLowRankUpdate(
            tf.linalg.LinearOperatorDiag([1.0, 2.0, 3.0]), draw(3, 2)
        ),
        "blocks": tf.linalg.LinearOperatorBlockDiag([diag, full]),
        "product": tf.linalg.LinearOperatorComposition([full, diag]),
        "kronecker": tf.linalg.LinearOperatorKronecker([diag, full]),
    }


_METHODS = ["bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]
PROGRAMS = [
    *(f"tf.image.resize(im, {size}, {m!r})" for m in _METHODS for size in ([3, 6], [7, 2])),
    *(
        f"tf.image.resize(im, [2, 6], {m!r}, antialias=True)"
        for m in ("bilinear", "bicubic", "lanczos3", "gaussian")
    ),
    *(
        f"grad(lambda x: total(tf.image.resize(x, [2, 6], {m!r}, antialias=True)), im)"
        for m in ("bicubic", "mitchellcubic")
    ),
]
PROGRAMS += """
tf.image.resize(im, [3, 3], "box")
tf.image.resize(im, [3.5, 3])
tf.image.resize(im, [0, 3])
list(tf.image.combined_non_max_suppression(boxes[:, :, None], scores, 3, 5, 0.3, 0.2))
list(tf.image.combined_non_max_suppression(boxes[:, :, None], scores, 2, 9, 0.5, 0.2, True))
list(tf.image.non_max_suppression_padded(boxes, scores[..., 0], 4, 0.3, 0.2, True))
tf.image.non_max_suppression_overlaps(m, m[0], 3, 0.5, -9.0)
list(tf.image.stateless_sample_distorted_bounding_box([50, 80, 3], boxes[:1], (1, 3), 0.4))
list(tf.image.sample_distorted_bounding_box([50, 80, 3], boxes[:1, :0], 1))
tf.image.ssim_multiscale(im, im**2, 1.0, (0.5, 0.5), filter_size=2)
tf.image.ssim(im, im**2, 1.0, filter_size=3, return_index_map=True)
tf.image.ssim(im, im, 1.0)
grad(lambda b: total(tf.image.crop_and_resize(im[None], b, [0], [3, 4])), corners)
tf.image.crop_and_resize(im[None], boxes[0, :1], [5], [3, 4])
tf.image.grayscale_to_rgb(im)
tf.image.rgb_to_grayscale(im)
tf.image.random_hue(tf.concat([im, im[..., :1]], -1), 0.9)
tf.audio.encode_wav(sound, 8000)
list(tf.audio.decode_wav(tf.audio.encode_wav(sound, 8000), 3, 7))
tf.audio.decode_wav("RIFF")
seeded(lambda: tf.random.log_uniform_candidate_sampler([[3]], 1, 4, True, 100, seed=42))
seeded(lambda: tf.random.log_uniform_candidate_sampler([[3], [1]], 1, 9, False, 100, seed=7))
seeded(lambda: tf.random.uniform_candidate_sampler([[3]], 1, 6, True, 20, seed=42))
tf.random.log_uniform_candidate_sampler([[3]], 1, 40, True, 10)
tf.random.experimental.stateless_split([1, 2], 2)
tf.argsort([3.0, 1.0, 2.0, 1.0], direction="DESCENDING")
tf.sort([1.0], direction="down")
tf.argsort([True, False])
L.lu_solve(*L.lu(m), v)
L.lu_matrix_inverse(*L.lu(m))
L.lu_reconstruct(*L.lu(m))
L.lu_solve(*L.lu(m), v[:2])
L.tridiagonal_solve(three, rhs)
L.tridiagonal_solve(m, v, "matrix")
L.tridiagonal_solve(three, rhs[:3])
L.tridiagonal_solve(tf.zeros([3, 4]), rhs[:4])
L.tridiagonal_matmul(three, rhs)
tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3])).as_list()
tf.broadcast_dynamic_shape([2, 1], [3])
tf.one_hot([0, 1], 2, on_value=5, off_value=1)
tf.pad(m, [[1, 0], [0, 3]], "REFLECT")
tf.pad(m, [[1, 0]])
tf.pad(m, [[0, 0], [0, 3]], "SYMMETRIC")
tf.unravel_index([100], [7, 6])
tf.ensure_shape(m, [2, None])
tf.broadcast_static_shape(tf.TensorShape([2]), tf.TensorShape([3]))
tf.edit_distance(words(0, 2, 3, 4, 6, 7), words(0, 2, 3, 5), normalize=True)
tf.edit_distance(words(0, 2, 3, 4, 6), words(0, 2, 3, 5, 6), normalize=False)
grad(lambda a, b: total(L.tridiagonal_solve(a, b)), three, rhs)
L.banded_triangular_solve(three, rhs)
L.banded_triangular_solve(three, rhs, lower=False)
L.eigh_tridiagonal(three[0], three[1][:4])
L.eigh_tridiagonal(three[0], three[1][:4], select="i", select_range=(1, 2))
L.logm(tf.cast([[2.0, 1.0], [1.0, 3.0]], tf.complex64))
L.logm(m)
[L.lstsq(pair, v), L.lstsq(pair, v, l2_regularizer=0.1), L.lstsq(v[None], m[None])]
grad(lambda x: total(L.sqrtm(x)), [[2.0, 1.0], [1.0, 3.0]])
L.band_part(m, 5, 0)
[o.to_dense() for o in (low, blocks, product, kronecker)]
[o.solve(v) for o in (full, low, product)]
[o.matmul(v, adjoint=True) for o in (full, low, product)]
[o.log_abs_determinant() for o in (full, low, blocks, product, kronecker)]
[o.name for o in (full, full.inverse(), full.adjoint(), product)]
L.LinearOperatorToeplitz([1.0, 2.0, 3.0], [1.0, 5.0, 6.0]).to_dense()
L.LinearOperatorHouseholder(m[0]).matvec(m[1])
L.LinearOperatorFullMatrix(v).determinant()
L.LinearOperatorZeros(3).solve(v)
[L.matmul(full, v), L.det(full), tf.matmul(tf.transpose(v), full)]
grad(lambda a: L.LinearOperatorLowerTriangular(a).log_abs_determinant(), m)
Q.fake_quant_with_min_max_args(q, -1, 3, 4, True)
Q.fake_quant_with_min_max_vars_per_channel(q, [-1.0, -2.0, 0.1, -5.0], [1.0, 2.0, 3.0, -1.0])
grad(lambda x, a, b: total(Q.fake_quant_with_min_max_vars(x, a, b)), q, -2.0, 4.0)
Q.quantize_and_dequantize_v2(q, -2.0, 3.0, range_given=True, num_bits=3)
grad(lambda x: total(Q.quantize_and_dequantize_v2(x, -2.0, 3.0)), q)
Q.fake_quant_with_min_max_args(q, 3, 1)
tf.reverse(ragged, [1])
tf.reverse(rows, [0, 1])
tf.tile(ragged, [2, 3])
tf.nn.softmax(ragged)
tf.split(ragged, [1, 2])
tf.gather_nd(rows, [[0, 1], [2, 0]])
tf.gather_nd(ragged, [[0, 5]])
tf.matmul(rows, rows, transpose_b=True)
tf.ragged.cross([[["a"], ["b"]], tf.ragged.constant([["c"], ["d", "e"]])])
tnp.add(tf.constant([1, 2]), np.float32(1.5))
[tnp.sum(tf.constant([1, 2])), tnp.mean([1.5, 2.0]), tnp.max([True, False]), tnp.std(m, 0)]
[tnp.where([True, False], 1, 2.5), tnp.concatenate([[1], [2.0]]), tnp.take(m, [0, 9])]
[tnp.matmul(m, [1, 2, 3]), tnp.outer([1, 2], [3.0]), tnp.kron([1, 2], [1, 10])]
[tnp.linspace(0, 1, 3), tnp.arange(3), tnp.tri(2, 3, 1), tnp.full([2], 7), tnp.eye(2)]
[tnp.add([True], [True]), tnp.less([True], [False]), tnp.add(tf.constant([1], tf.int8), 300)]
tnp.split(np.arange(5), 2)
[*tnp.split(tnp.arange(8), [3, 5, 6, 10]), tnp.argsort(3)]
[f([1, 2], dtype=float) for f in (tnp.sum, tnp.cumprod)]
[tnp.mean([1.5, 2.0], dtype=int), tnp.full(2, 1, dtype=float), tnp.trace([[1]], dtype=float)]
[tnp.array("abc"), tnp.zeros_like(b"abc")]
tnp.average(m, weights=[[1.0]])
grad(lambda x, y: tnp.sum(tnp.logaddexp(x, y)), m, m * 2)
tf.debugging.assert_integer(1.0)
tf.debugging.assert_scalar([1])
tf.debugging.assert_proper_iterable("a")
tf.debugging.assert_same_float_dtype([m, tf.constant(1)])
tf.debugging.assert_all_finite([1.0, np.inf], "m")
[tf.errors.OpError(None, None, "m", 3).error_code, tf.errors.DATA_LOSS]
tf.errors.ResourceExhaustedError(None, None, "m").error_code
[slope(f, tf.constant([-1.3 + 0.7j, 1.2 - 0.3j])) for f in (tf.math.acosh, tf.sign)]
slope(lambda x: slope(L.cholesky, x), L.matmul(m, m, transpose_b=True) + tf.eye(3))
slope(lambda x: slope(L.cholesky, x), tf.constant([[4 + 0j, 1 + 2j], [1 - 2j, 3 + 0j]]))
tf.math.squared_difference([1.0 + 2.0j], [2.0 - 1.0j])
[*L.slogdet(tf.constant([[1j]])), L.eigh(tf.constant([[2 + 0j]]))[0], L.eigvalsh([[2 + 0j]])]
[tf.reduce_all([]), tf.math.bincount([]), tf.math.bincount([1.5]), tf.math.polyval([], [2.0])]
tf.clip_by_value([1.0], [1.0, 2.0], 3.0)
tf.math.segment_sum(np.ones([1, 10, 1]), [1676240524292489355])
tf.zeros([10**10, 10**10])
tf.math.unsorted_segment_max(tf.reshape(tf.range(12.0), [2, 3, 2]), [[0, 1, 0], [2, -1, 1]], 4)
[tf.math.unsorted_segment_mean([3, 4], [0, 0], 2), tf.math.unsorted_segment_min(U, [1, 1], 2)]
[L.trace([U, U]), tf.linspace(U[0], U[1], 3), tf.math.is_non_decreasing(U[::-1])]
tf.saturate_cast([-np.inf, np.nan, 1e30], tf.half)
[tf.saturate_cast(tf.constant([-1e300], tf.float64), t) for t in (tf.complex64, tf.half)]
[tf.pad(7, np.zeros([0, 2], int)), tf.scatter_nd([[1], [1]], [True, True], [3])]
tf.pad([[1, 2]], [1, 2])
tf.pad([1], [[1, 0]], "weird")
tf.tensor_scatter_nd_add([0.0, 0.0], [[0], [1]], [5.0])
tf.nn.softmax(U)
tf.math.lgamma(2)
grad(tf.math.nextafter, [1.0, 2.0], [2.0, 1.0])
""".strip().splitlines()


if __name__ == "__main__":
    import tensorflow as tf

    with open(PATH, "w") as file:
        known = names(tf)
        json.dump({p: result(p, known) for p in PROGRAMS}, file, separators=(",", ":"))
