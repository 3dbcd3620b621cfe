"""Tensors without elements, sparse tensors in signatures, arguments that TensorFlow refuses. The
values are those of TensorFlow 2.21."""

import numpy as np
import pytest

from keraslike import tf

OPEN = tf.TensorSpec([None, None], tf.float32)


def sparse(indices, values, sizes):
    return tf.SparseTensor(np.reshape(indices, (-1, len(sizes))), tf.constant(values), sizes)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: x * 2, np.zeros([0, 2])),
        (lambda x: tf.reduce_sum(x, 0), [0, 0]),
        (lambda x: tf.reduce_max(x, 0), [-np.inf, -np.inf]),
        (lambda x: tf.concat([x, tf.ones([1, 2])], 0), [[1, 1]]),
    ],
)
def test_sizes_that_a_signature_leaves_open_may_be_zero(function, wanted):
    compiled = tf.function(function, input_signature=[OPEN])
    assert compiled(tf.ones([3, 2])).shape == function(tf.ones([3, 2])).shape
    np.testing.assert_array_equal(compiled(tf.zeros([0, 2])), wanted)
    concrete = tf.function(function).get_concrete_function(OPEN)
    np.testing.assert_array_equal(concrete(tf.zeros([0, 2])), wanted)


def test_ragged_tensors_of_a_signature_may_be_empty():
    size = tf.function(tf.size, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    assert int(size(tf.ragged.constant([[1, 2], [3]]))) == 3
    assert int(size(tf.ragged.constant([], tf.int32, 1))) == 0


@pytest.mark.parametrize("shape", [[None, None], [None, 3], [1, 3], None])
def test_sparse_tensors_of_a_signature(shape):
    dense = tf.function(
        lambda xs: tf.sparse.to_dense(xs["a"]),
        input_signature=[{"a": tf.SparseTensorSpec(shape, tf.float32)}],
    )
    given = sparse([], np.zeros(0, "float32"), [1, 3]), sparse([[0, 1]], [2.0], [1, 3])
    assert [dense({"a": s}).numpy().tolist() for s in given] == [[[0, 0, 0]], [[0, 2, 0]]]
    with pytest.raises(TypeError, match="does not fit"):
        dense({"a": sparse([[0, 1]], [2], [1, 3])})


def test_a_sparse_tensor_of_a_known_shape_is_traced_once():
    spec = tf.SparseTensorSpec([2, 3], tf.float32)
    dense = tf.function(tf.sparse.to_dense, input_signature=[spec])
    concrete = dense.get_concrete_function()
    assert concrete(sparse([[0, 1]], [2.0], [2, 3])).numpy().tolist() == [[0, 2, 0], [0, 0, 0]]
    dense(sparse([[0, 1], [1, 1]], [2.0, 3.0], [2, 3]))
    assert dense.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "part",
    [
        lambda x: tf.boolean_mask(x, [False, False]),
        lambda x: tf.reduce_mean(tf.boolean_mask(x, [False, False])),
        lambda x: tf.gather(x, tf.zeros([0], tf.int32)),
        lambda x: x[:0],
    ],
)
def test_gradients_of_parts_without_elements_are_zeros(part):
    x = tf.ones([2, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = part(x)
    gradient = tf.convert_to_tensor(tape.gradient(y, x))
    np.testing.assert_array_equal(gradient, np.zeros([2, 3]))


def test_functions_without_a_gradient_have_none_for_no_elements():
    x = tf.ones([0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.floor(x)
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: tf.tensor_scatter_nd_update(tf.ones([2, 2]), [0, 1], 5.0),
        lambda: tf.tensor_scatter_nd_add(tf.ones([2, 1]), [0], [2.0]),
        lambda: tf.scatter_nd([2], -3, [3]),
        lambda: tf.scatter_nd(0, [5], [3]),
        lambda: tf.gather_nd([[1, 2], [3, 4]], 0),
        lambda: tf.random.stateless_uniform([2], [1, 2, 3]),
        lambda: tf.random.stateless_normal([2], 1),
        lambda: tf.random.stateless_uniform([2], [1.0, 2.0]),
        lambda: tf.image.non_max_suppression([0.0, 0.0, 1.0, 1.0], [0.5], 2),
        lambda: tf.image.non_max_suppression([[0.0, 0.0, 1.0]], [0.5], 2),
        lambda: tf.image.non_max_suppression([[0.0, 0.0, 1.0, 1.0]], [0.5, 0.6], 2),
        lambda: tf.image.non_max_suppression([[0.0, 0.0, 1.0, 1.0]], [0.5], [2]),
        lambda: tf.image.non_max_suppression([[0.0, 0.0, 1.0, 1.0]], [0.5], 2, 2.0),
        lambda: tf.image.non_max_suppression([[0.0, 0.0, 1.0, 1.0]], [0.5], -1),
        lambda: tf.image.non_max_suppression_overlaps([[0.0]], [0.5, 0.3], 2),
        lambda: tf.image.crop_and_resize(tf.ones([1, 1, 1, 1]), tf.ones([1, 4]), [0, 0], [1, 1]),
        lambda: tf.image.draw_bounding_boxes(tf.ones([1, 2, 2, 3]), tf.ones([2, 1, 4]), None),
        lambda: tf.image.draw_bounding_boxes(tf.ones([2, 2, 3]), tf.ones([2, 1, 4]), None),
        lambda: tf.image.draw_bounding_boxes(tf.ones([1, 2, 2, 3]), tf.ones([1, 1, 4]), [[1.0]]),
        lambda: tf.image.draw_bounding_boxes(
            tf.ones([1, 2, 2, 3], tf.uint8), tf.ones([1, 1, 4]), None
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call):
    with pytest.raises(tf.errors.InvalidArgumentError):
        call()


def test_a_condition_needs_both_functions():
    with pytest.raises(TypeError, match="false_fn"):
        tf.cond(True, lambda: 1)


def test_a_box_that_is_one_pixel_is_drawn():
    drawn = tf.image.draw_bounding_boxes(
        np.zeros([1, 2, 2, 1], np.uint8), np.zeros([1, 1, 4]), None
    )
    assert drawn.dtype is tf.float32
    assert drawn.numpy().ravel().tolist() == [1, 0, 0, 0]


def test_an_image_of_two_axes_cannot_be_cropped_or_padded():
    with pytest.raises(ValueError, match="3 or 4 axes"):
        tf.image.resize_with_crop_or_pad(tf.ones([3, 1]), 4, 4)


@pytest.mark.parametrize("join", [tf.ragged.stack, tf.stack, tf.concat])
def test_ragged_tensors_are_joined_with_their_dtype_of_splits(join):
    short = tf.ragged.constant([[1], [2, 3]], row_splits_dtype=tf.int32)
    for given in ([short], [short, short], [short, tf.ones([2, 1], tf.int32)]):
        assert join(given, 1).row_splits.dtype is tf.int32
    with pytest.raises(ValueError, match="splits"):
        join([short, tf.ragged.constant([[1], [2]])], 1)


def test_the_splits_of_a_ragged_tensor_are_of_32_or_64_bits():
    with pytest.raises(ValueError, match="int32 or int64"):
        tf.ragged.constant([[1]]).with_row_splits_dtype(tf.int16)


def test_products_of_ragged_matrices_have_as_many_columns_as_the_second():
    ragged = tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1)
    square = tf.ragged.constant([[[1, 2], [3, 4]], [[3, 4], [5, 6]]], ragged_rank=1)
    made = tf.matmul(ragged, tf.ones([2, 2, 2], tf.int32))
    assert made.shape.as_list() == [2, None, 2]
    assert made.to_list() == [[[3, 3]], [[7, 7], [11, 11]]]
    assert tf.matmul(ragged, square).shape.as_list() == [2, None, 2]
    assert tf.matmul(tf.ones([2, 2, 2], tf.int32), square).shape.as_list() == [2, 2, 2]
    columns = tf.ragged.constant([[[1, 2], [3, 4]], [[3], [5]]])
    assert tf.matmul(ragged, columns).to_list() == [[[7, 10]], [[29], [45]]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: tf.argmin([1.0, 2.0], output_type=tf.uint16),
        lambda: tf.argmax([1.0, 2.0], output_type=tf.float32),
        lambda: tf.math.top_k([1.0, 2.0], index_type=tf.float32),
        lambda: tf.unique([1, 2], out_idx=tf.int16),
        lambda: tf.searchsorted([1, 2], [1], out_type=tf.int16),
        lambda: tf.shape([1, 2], out_type=tf.float32),
        lambda: tf.histogram_fixed_width([1.0], [0.0, 5.0], dtype=tf.float32),
        lambda: tf.bitwise.bitwise_and(True, False),
        lambda: tf.bitwise.left_shift(True, True),
        lambda: tf.bitwise.invert(True),
        lambda: tf.bitwise.bitwise_or(1.0, 2.0),
    ],
)
def test_dtypes_that_an_operation_does_not_have(call):
    with pytest.raises(tf.errors.InvalidArgumentError):
        call()


def test_the_dtype_of_the_shape_and_size_of_a_sparse_tensor():
    given = sparse([[0, 1]], [2.0], [1, 3])
    for function, wanted in ((tf.shape, [1, 3]), (tf.size, 3)):
        assert function(given).dtype is tf.int32
        for made in (function(given, tf.int64), function(given, out_type=tf.int64)):
            assert made.dtype is tf.int64
            assert made.numpy().tolist() == wanted


def test_sums_of_differences_of_an_image_keep_its_dtype():
    image = tf.constant([[[100]], [[-100]], [[50]]], tf.int8)
    assert tf.image.total_variation(image).dtype is tf.int8
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.total_variation(tf.ones([2, 2, 1], tf.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.sobel_edges(tf.ones([1, 3, 3, 1], tf.int32))


def test_least_squares_that_are_not_fast_have_no_regularizer():
    a, b = [[1.0, 2.0], [3.0, 5.0], [1.0, 1.0]], [[1.0], [2.0], [4.0]]
    exact = tf.linalg.lstsq(a, b, l2_regularizer=1.0, fast=False)
    np.testing.assert_allclose(exact, [[7.0], [-11 / 3]], rtol=1e-4)
    np.testing.assert_allclose(
        tf.linalg.lstsq(a, b, l2_regularizer=1.0), [[1.1041667], [-0.125]], rtol=1e-4
    )


def test_images_of_two_channels_have_no_hue():
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.adjust_hue(tf.ones([2, 2, 2]), 0.1)


def test_a_matrix_is_transposed_or_adjoint():
    with pytest.raises(tf.errors.InvalidArgumentError, match="transposed or"):
        tf.matmul([[1.0]], [[2.0]], transpose_a=True, adjoint_a=True)


def test_no_boxes_are_chosen_of_none():
    found = tf.image.non_max_suppression_overlaps(tf.zeros([0, 0]), tf.zeros([0]), 3)
    assert found.shape == (0,)


def test_strides_of_a_pool_are_not_above_its_window():
    with pytest.raises(ValueError, match="strides"):
        tf.nn.pool(tf.ones([1, 4, 1]), [1], "AVG", strides=[2])
