"""Linear operators: parts of a batch, and circular convolutions. The values are TensorFlow's."""

from __future__ import annotations

import numpy as np
import pytest

from keraslike import tf

L = tf.linalg
X = np.arange(24.0, dtype="float32").reshape(2, 3, 2, 2)


def _operators() -> dict[str, L.LinearOperator]:
    full, diag = L.LinearOperatorFullMatrix(X), L.LinearOperatorDiag(X[..., 0])
    return {
        "full": full,
        "diag": diag,
        "lower": L.LinearOperatorLowerTriangular(X),
        "identity": L.LinearOperatorIdentity(2, [2, 3]),
        "scaled": L.LinearOperatorScaledIdentity(2, X[..., 0, 0]),
        "product": L.LinearOperatorComposition([full, L.LinearOperatorFullMatrix(X[0])]),
        "update": L.LinearOperatorLowRankUpdate(diag, X[..., :1]),
        "circulant": L.LinearOperatorCirculant(X[..., 0], tf.float32),
        "2d": L.LinearOperatorCirculant2D(X, tf.float32),
        "zeros": L.LinearOperatorZeros(2, batch_shape=[2, 3]),
        "toeplitz": L.LinearOperatorToeplitz(X[..., 0], X[..., 0]),
        "kronecker": L.LinearOperatorKronecker([full, diag]),
        "blocks": L.LinearOperatorBlockDiag([full, L.LinearOperatorDiag(X[0, ..., 0])]),
        "triangle": L.LinearOperatorBlockLowerTriangular(
            [[full], [L.LinearOperatorFullMatrix(X[0]), full]]
        ),
        "adjoint": L.LinearOperatorAdjoint(full),
        "inverse": L.LinearOperatorInversion(full),
    }


@pytest.mark.parametrize("name", _operators())
def test_matrices_of_a_batch(name: str) -> None:
    operator = _operators()[name]
    whole = operator.to_dense().numpy()
    for index in (1, (1, slice(1, None)), (..., 0), (slice(None, None, -1), tf.newaxis, 2)):
        chosen = operator[index]
        places = index if isinstance(index, tuple) else (index,)
        wanted = whole[(*places, *[slice(None)] * 2)] if ... in places else whole[index]
        assert type(chosen) is type(operator) and chosen.name == operator.name
        assert chosen.is_self_adjoint == operator.is_self_adjoint
        np.testing.assert_allclose(chosen.to_dense().numpy(), wanted, rtol=1e-5)
    assert np.array_equal(operator.to_dense().numpy(), whole)


@pytest.mark.parametrize("index", [5, (0, 0, 0), (0, 0, 0, 0)])
def test_an_index_outside_of_the_batch(index: object) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        L.LinearOperatorFullMatrix(X)[index]
    with pytest.raises(tf.errors.InvalidArgumentError):
        L.LinearOperatorDiag([1.0, 2.0])[0]


def test_gradients_of_a_part() -> None:
    diag = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(diag)
        out = L.LinearOperatorDiag(diag)[1].determinant()
    assert tape.gradient(out, diag).numpy().tolist() == [[0.0, 0.0], [4.0, 3.0]]


def test_a_real_spectrum() -> None:
    one = L.LinearOperatorCirculant([3.0, 1.0, 2.0])
    assert one.dtype is tf.complex64 and one.spectrum.dtype is tf.float32 and one.is_self_adjoint
    kernel = [2.0, 0.5 - 0.28867513j, 0.5 + 0.28867513j]
    np.testing.assert_allclose(one.convolution_kernel().numpy(), kernel, atol=1e-6)
    np.testing.assert_allclose(one.to_dense()[:, 0].numpy(), kernel, atol=1e-6)
    assert np.isclose(one.determinant(), 6) and np.isclose(one.trace(), 6)
    assert np.isclose(one.log_abs_determinant(), np.log(6)) and one.cond().numpy() == 3.0
    assert one.eigvals().numpy().tolist() == [3.0, 1.0, 2.0] and one.adjoint() is one
    x = np.array([[1, 2], [3, 4], [5, 6]], "complex64")
    wanted = [[6 - 0.57735j, 9 - 0.57735j], [9 + 1.1547j, 12 + 1.1547j]]
    np.testing.assert_allclose(one.matmul(x)[:2].numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(one.solve(one.matmul(x)).numpy(), x, atol=1e-5)
    np.testing.assert_allclose(one.inverse().matmul(one.matmul(x)).numpy(), x, atol=1e-5)
    square = one.matmul(one)
    assert type(square) is L.LinearOperatorCirculant and square.is_self_adjoint
    assert square.spectrum.numpy().tolist() == [9.0, 1.0, 4.0]


def test_the_real_part_of_a_kernel() -> None:
    spectrum = tf.constant([3, 1j, 2], tf.complex64)
    one = L.LinearOperatorCirculant(spectrum, tf.float32)
    rows = [[1.667, 0.955, 0.378], [0.378, 1.667, 0.955]]
    np.testing.assert_allclose(one.to_dense()[:2].numpy(), rows, atol=1e-3)
    assert one.determinant().numpy() == 0.0 and np.isclose(one.log_abs_determinant(), np.log(6))
    assert np.isclose(one.trace(), 5) and np.allclose(one.diag_part(), 5 / 3)
    with pytest.raises(NotImplementedError):
        one.eigvals()
    with pytest.raises(tf.errors.InvalidArgumentError):
        one.assert_positive_definite()
    with pytest.raises(tf.errors.InvalidArgumentError):
        one.assert_self_adjoint()
    with pytest.raises(tf.errors.InvalidArgumentError):
        one.assert_hermitian_spectrum()
    one.assert_non_singular()
    L.LinearOperatorCirculant(tf.signal.fft([1 + 0j, 2, 4])).assert_hermitian_spectrum()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_convolution_along_axes(rank: int) -> None:
    shape = (2, 3, 2)[:rank]
    kernel, x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    name = "LinearOperatorCirculant" + ("" if rank == 1 else f"{rank}D")
    operator = getattr(L, name)(np.fft.fftn(kernel).astype("complex64"), tf.float32)
    assert operator.block_shape.as_list() == list(shape) and operator.block_depth == rank
    assert operator.block_shape_tensor().numpy().tolist() == list(shape)
    wanted = np.zeros(shape)
    for i in np.ndindex(shape):
        for j in np.ndindex(shape):
            wanted[i] += kernel[tuple((np.array(i) - j) % shape)] * x[j]
    np.testing.assert_allclose(operator.matvec(x.ravel()).numpy(), wanted.ravel(), rtol=1e-4)
    dense = operator.to_dense().numpy()
    np.testing.assert_allclose(operator.convolution_kernel().numpy(), kernel, atol=1e-6)
    np.testing.assert_allclose(dense[:, 0], kernel.ravel(), atol=1e-6)
    np.testing.assert_allclose(operator.matvec(x.ravel(), adjoint=True), dense.T @ x.ravel(), 1e-3)
    np.testing.assert_allclose(operator.determinant(), np.linalg.det(dense), rtol=1e-3)
    np.testing.assert_allclose(operator.adjoint().to_dense(), dense.T, atol=1e-6)


def test_what_does_not_fit_a_spectrum() -> None:
    for make in (
        lambda: L.LinearOperatorCirculant(3.0),
        lambda: L.LinearOperatorCirculant2D([3.0, 1.0]),
        lambda: L.LinearOperatorCirculant3D([[3.0, 1.0]]),
        lambda: L.LinearOperatorCirculant([3.0, 1.0], is_self_adjoint=False),
        lambda: L.LinearOperatorCirculant([3.0, 1.0], is_square=False),
    ):
        with pytest.raises(ValueError):
            make()
    assert not issubclass(L.LinearOperatorCirculant2D, L.LinearOperatorCirculant)


def test_parallel_stack_is_for_functions() -> None:
    with pytest.raises(RuntimeError):
        tf.parallel_stack([[1, 2], [3, 4]])
    stack = tf.function(lambda x: tf.parallel_stack([x, x + 1]))
    assert stack(tf.constant([1, 2])).numpy().tolist() == [[1, 2], [2, 3]]


MATRIX = np.array([[1.0, 2.0], [3.0, 5.0]], "float32")


@pytest.mark.parametrize("adjoint_a", [False, True])
@pytest.mark.parametrize("adjoint_b", [False, True])
def test_products_with_an_operator_on_each_side(adjoint_a: bool, adjoint_b: bool) -> None:
    one, other = L.LinearOperatorFullMatrix(MATRIX), X[0, 1]
    given = {"adjoint_a": adjoint_a, "adjoint_b": adjoint_b}
    turn = lambda x, wanted: x.T if wanted else x  # noqa: E731
    right = turn(MATRIX, adjoint_a) @ turn(other, adjoint_b)
    np.testing.assert_allclose(tf.matmul(one, other, **given).numpy(), right)
    left = turn(other, adjoint_a) @ turn(MATRIX, adjoint_b)
    np.testing.assert_allclose(tf.matmul(other, one, **given).numpy(), left)
    both = turn(MATRIX, adjoint_a) @ turn(MATRIX, adjoint_b)
    np.testing.assert_allclose(tf.matmul(one, one, **given).to_dense().numpy(), both)


def test_functions_of_operators() -> None:
    one = L.LinearOperatorFullMatrix(MATRIX, is_non_singular=True)
    assert L.matvec(one, [1.0, 2.0]).numpy().tolist() == [5.0, 13.0]
    assert L.matvec(one, [1.0, 2.0], adjoint_a=True).numpy().tolist() == [7.0, 12.0]
    np.testing.assert_allclose(L.logdet(one).numpy(), 0.0, atol=1e-5)
    np.testing.assert_allclose(L.solve(matrix=one, rhs=MATRIX).numpy(), np.eye(2), atol=1e-5)
    for call in (
        lambda: tf.matmul(one, MATRIX, transpose_a=True),
        lambda: tf.matmul(MATRIX, one, transpose_b=True),
        lambda: L.matvec(one, [1.0, 2.0], transpose_a=True),
    ):
        with pytest.raises(ValueError):
            call()


FULL = L.LinearOperatorFullMatrix


@pytest.mark.parametrize(
    "call",
    [
        lambda: L.LinearOperatorAdjoint(FULL(MATRIX, is_non_singular=False), is_non_singular=True),
        lambda: L.LinearOperatorAdjoint(FULL(MATRIX, is_self_adjoint=False), is_self_adjoint=True),
        lambda: L.LinearOperatorInversion(
            FULL(MATRIX, is_self_adjoint=True), is_self_adjoint=False
        ),
        lambda: L.LinearOperatorInversion(FULL(MATRIX), is_non_singular=False),
        lambda: L.LinearOperatorIdentity(2, is_self_adjoint=False),
        lambda: L.LinearOperatorZeros(2, is_non_singular=True),
        lambda: L.LinearOperatorHouseholder([1.0, 0.0], is_self_adjoint=False),
        lambda: L.LinearOperatorComposition(
            [FULL(MATRIX, is_non_singular=True)], is_non_singular=False
        ),
        lambda: FULL(MATRIX, is_square=False).is_square,
        lambda: L.LinearOperatorBlockDiag(
            [FULL(MATRIX, is_non_singular=True)], is_non_singular=False
        ),
        lambda: L.LinearOperatorBlockLowerTriangular([[FULL(MATRIX)], [FULL([[1.0]])] * 2]),
        lambda: L.LinearOperatorLowRankUpdate(FULL(MATRIX), np.ones((3, 1), "float32")),
        lambda: L.LinearOperatorLowRankUpdate(FULL(MATRIX), np.ones((2, 1), "float32"), [1.0, 1.0]),
        lambda: L.LinearOperatorLowRankUpdate(
            FULL(MATRIX), np.ones((2, 1), "float32"), v=np.ones((2, 2), "float32")
        ),
        lambda: L.LinearOperatorLowRankUpdate(FULL(X[0]), np.ones((2, 2, 1), "float32")),
        lambda: L.LinearOperatorLowerTriangular([1.0, 2.0]),
        lambda: L.LinearOperatorPermutation(0),
        lambda: L.LinearOperatorPermutation([0, 0]),
        lambda: L.LinearOperatorPermutation([0, 3]),
        lambda: L.LinearOperatorBlockLowerTriangular([[FULL(X[0, :, 0])], [FULL(MATRIX)] * 2]),
    ],
)
def test_contradictions(call) -> None:
    with pytest.raises(ValueError):
        call()
    with pytest.raises(TypeError):
        L.LinearOperatorPermutation([0.0, 1.0])


def test_known_properties() -> None:
    zeros = L.LinearOperatorZeros(2)
    assert zeros.is_self_adjoint and zeros.is_positive_definite is False
    assert L.LinearOperatorZeros(2, 3).is_self_adjoint is None
    positive = FULL(2 * np.eye(2, dtype="float32"), is_self_adjoint=True, is_positive_definite=True)
    assert positive.cholesky().is_self_adjoint is False
    known = FULL(MATRIX, is_non_singular=True)
    assert L.LinearOperatorComposition([known, known], is_non_singular=None).is_non_singular
    assert L.LinearOperatorDiag([1.0], is_self_adjoint=None, name=None).is_self_adjoint
    diag = L.LinearOperatorDiag(tf.constant([1 + 1j, 2], tf.complex64))
    diag.assert_positive_definite()
    assert positive.tensor_rank_tensor().numpy() == 2
