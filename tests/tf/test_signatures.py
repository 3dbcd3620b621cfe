"""Functions of `tf` are called as TensorFlow's are: names, order and defaults of arguments."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from keraslike import tf
from tests.tf import signatures

WRITTEN = {
    line.partition("(")[0]: line[line.index("(") :]
    for line in (Path(__file__).parent / "signatures.txt").read_text().splitlines()
}


def test_functions_show_how_tensorflow_is_called():
    names = set(signatures.names_of(tf, "tf"))
    known = {name: signatures.shown(signatures.resolved(tf, name)) for name in names & set(WRITTEN)}
    assert {n: s for n, s in known.items() if WRITTEN[n] != s} == {}
    assert len(known) > 700 and not set(WRITTEN) - names


def test_arguments_are_taken_by_the_names_and_places_that_are_shown():
    assert tf.atan2(y=1.0, x=[1.0, np.inf])[1] == tf.raw_ops.Atan2(x=np.float32(np.inf), y=1.0) == 0
    assert tf.abs([-1.0], "name").numpy().tolist() == [1.0]
    assert tf.signal.fft([1 + 0j], "name").numpy().tolist() == [1]
    assert tf.zeros_like(input=[1.5], dtype=tf.int64).dtype is tf.int64
    assert tf.zeros_like(["text"]).numpy().tolist() == [b""]
    assert tf.ones_like([1.0], tf.bool).numpy().tolist() == [True]
    assert tf.argmax([[1, 5], [7, 0]]).numpy().tolist() == [1, 0]
    assert tf.nn.silu([2.0], beta=0.0).numpy().tolist() == [1.0]
    assert tf.math.top_k([1, 2], index_type=tf.int64).indices.dtype is tf.int64
    assert tf.squeeze([[1]], axis=[]).shape == ()
    assert tf.compat.v1.convert_to_tensor(1, None, "name", tf.float32).dtype is tf.float32
    assert tf.image.stateless_random_crop(value=[1, 2, 3], size=[2], seed=(1, 2)).shape == (2,)
    assert tf.nn.max_pool([[[1.0], [2.0]]], 2, 2, "VALID").numpy().tolist() == [[[2.0]]]
    assert tf.errors.InvalidArgumentError(None, None, "what").message == "what"
    assert str(tf.errors.NotFoundError("what")) == "what"
    assert inspect.signature(tf.add).return_annotation == "Any"


def test_what_is_not_supported_raises():
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 elements"):
        tf.reshape([1, 2, 3], [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not fit"):
        tf.reshape([1, 2, 3], [2, -1])
    with pytest.raises(TypeError, match="MatMul.. lacks the arguments: b"):
        tf.raw_ops.MatMul(a=[[1.0]])
    with pytest.raises(NotImplementedError, match="use_cudnn_on_gpu can only be True"):
        tf.raw_ops.Conv2D(
            input=[[[[1.0]]]],
            filter=[[[[1.0]]]],
            strides=[1] * 4,
            padding="SAME",
            use_cudnn_on_gpu=False,
        )
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad_indices_policy must be"):
        tf.scatter_nd([[9]], [1], [2], bad_indices_policy="WEIRD")
    with pytest.raises(ValueError, match="not within an image"):
        tf.image.crop_to_bounding_box(tf.zeros([2, 2, 1]), 1, 0, 2, 2)


# TensorFlow's values.
M = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 8, 7, 6]]
_TEXT = """
tf.linalg.diag([[0, 8, 9], [1, 2, 3], [4, 5, 0]], k=(-1, 1))
[[1, 8, 0], [4, 2, 9], [0, 5, 3]]
tf.linalg.diag([1, 2], k=-1)
[[0, 0, 0], [1, 0, 0], [0, 2, 0]]
tf.linalg.diag([1, 2], k=1, num_rows=4, num_cols=3, padding_value=9)
[[9, 1, 9], [9, 9, 2], [9, 9, 9], [9, 9, 9]]
tf.linalg.diag([[8, 9, 0], [1, 2, 3]], k=(0, 1), align='LEFT_RIGHT')
[[1, 8, 0], [0, 2, 9], [0, 0, 3]]
tf.linalg.diag([[1, 2], [0, 3]], k=(-1, 0), num_rows=3, num_cols=2, align='RIGHT_RIGHT')
[[1, 0], [0, 2], [0, 3]]
tf.linalg.diag_part(m, k=1)
[2, 7, 6]
tf.linalg.diag_part(m, k=(-2, 2))
[[0, 3, 8], [2, 7, 6], [1, 6, 7], [5, 8, 0], [9, 0, 0]]
tf.linalg.diag_part(m, k=(-1, 3), padding_value=-1, align='LEFT_LEFT')
[[4, -1, -1], [3, 8, -1], [2, 7, 6], [1, 6, 7], [5, 8, -1]]
tf.linalg.diag_part(m, k=(-1, 3), padding_value=-1, align='LEFT_RIGHT')
[[4, -1, -1], [3, 8, -1], [2, 7, 6], [1, 6, 7], [-1, 5, 8]]
tf.linalg.set_diag([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[0, 20, 30], [10, 50, 90]], k=(0, 1))
[[10, 20, 3], [4, 50, 30], [7, 8, 90]]
tf.linalg.set_diag([[1, 2], [3, 4]], [7], k=-1)
[[1, 2], [7, 4]]
tf.linalg.matrix_transpose([[1 + 1j, 2 + 0j]], conjugate=True)
[[(1-1j)], [(2-0j)]]
tf.linalg.matvec([[1 + 1j, 2 + 0j]], [1 + 0j], adjoint_a=True)
[(1-1j), (2+0j)]
tf.linalg.lu([[1.0, 2.0], [4.0, 2.0]], tf.int64)[1]
[1, 0]
tf.linalg.pinv([[2.0, 0.0], [0.0, 1e-3]], rcond=0.1)
[[0.5, 0.0], [0.0, 0.0]]
tf.signal.dct([1.0, 2.0, 4.0], type=1)
[9.0, -3.0, 1.0]
tf.signal.idct([1.0, 2.0, 4.0])
[8.4640, -7.0, 1.5358]
tf.signal.dct([1.0, 2.0, 4.0], type=3, norm='ortho')
[3.6245, -2.6886, 0.7961]
tf.signal.dct([1.0, 2.0, 4.0], type=4, n=2)
[3.3784, -2.9302]
tf.signal.idct([1.0, 2.0, 4.0], type=3)
[14.0, -5.1961, 1.0]
tf.nn.avg_pool(tf.reshape(tf.range(8.0), [1, 2, 2, 2, 1]), 2, 2, 'VALID')
[[[[[3.5]]]]]
tf.math.top_k([1, 3, 2], 2, index_type=tf.int64)[1]
[1, 2]
tf.sparse.maximum(tf.sparse.from_dense([0, 1]), tf.sparse.from_dense([2, 0])).values
[2, 1]
tf.sparse.segment_mean(tf.constant([[2.0], [4.0]]), [0, 1], [0, 2], num_segments=4)
[[2.0], [0.0], [4.0], [0.0]]
tf.nn.embedding_lookup(tf.constant([[3.0, 4.0], [0.5, 0.0]]), [1, 0], max_norm=1.0)
[[0.5, 0.0], [0.6, 0.8]]
"""
LEADS_TO = _TEXT.strip().splitlines()


@pytest.mark.parametrize(("expression", "wanted"), list(zip(LEADS_TO[::2], LEADS_TO[1::2])))
def test_values_that_the_arguments_lead_to(expression, wanted):
    value = tf.convert_to_tensor(eval(expression, {"tf": tf, "m": M})).numpy()
    np.testing.assert_allclose(value, eval(wanted), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "call, expected",
    [
        (
            lambda ignore: tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [2, 0], [-1, 0]], **ignore),
            [2, 0, 0],
        ),
        (lambda ignore: tf.gather_nd([[1, 2], [3, 4]], [[0], [5]], **ignore), [[1, 2], [0, 0]]),
        (lambda ignore: tf.gather_nd([[1, 2], [3, 4]], [[[1]], [[2]]], 1, **ignore), [[2], [0]]),
        (lambda ignore: tf.gather_nd(["a", "b"], [[0], [5]], **ignore), [b"a", b""]),
        (lambda ignore: tf.scatter_nd([[0], [5], [-1]], [1, 2, 3], [3], **ignore), [1, 0, 0]),
        (lambda ignore: tf.scatter_nd([[0], [5]], ["x", "y"], [2], **ignore), [b"x", b""]),
        (lambda ignore: tf.tensor_scatter_nd_add([1, 2], [[0], [5]], [7, 8], **ignore), [8, 2]),
    ],
)
def test_indices_out_of_range_that_are_ignored(call, expected):
    assert call({"bad_indices_policy": "IGNORE"}).numpy().tolist() == expected


@pytest.mark.parametrize(
    "equation, shapes, error",
    [
        ("ij,ij->ij", [(2, 3), (1, 3)], tf.errors.InvalidArgumentError),
        ("...ij,jk->ik", [(2, 2, 3), (3, 4)], tf.errors.InvalidArgumentError),
        ("i1,jk->ik", [(2, 3), (3, 4)], ValueError),
        ("ij,jk->ik->", [(2, 3), (3, 4)], ValueError),
    ],
)
def test_equations_that_tensorflow_refuses(equation, shapes, error):
    with pytest.raises(error):
        tf.einsum(equation, *map(tf.ones, shapes))


def test_equations_with_an_ellipsis():
    assert tf.einsum("...ij, ...jk -> ...ik", tf.ones((5, 2, 3)), tf.ones((3, 4))).shape == (
        5,
        2,
        4,
    )
    assert tf.einsum("i...->i", tf.ones(2)).shape == (2,) and tf.einsum(
        "ij,jk", *[tf.eye(2)] * 2
    ).shape == (2, 2)
    with pytest.raises(TypeError, match="unexpected keyword arguments: invalid"):
        tf.einsum("ij->ji", tf.eye(2), invalid=1)
