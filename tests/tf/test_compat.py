"""`tf.compat`: what eager code uses of TensorFlow 1's names. Values are TensorFlow 2.21's."""

import os

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf.compat import v1 as module

v1 = tf.compat.v1
Y, P = tf.constant([[1.0, 2.0], [3.0, 0.0]]), tf.constant([[1.5, 1.0], [0.0, 0.5]])
LABELS, WEIGHTS = tf.constant([[0.0, 1.0], [1.0, 0.0]]), tf.constant([[1.0], [0.0]])


@pytest.mark.parametrize(
    ("name", "values", "each"),
    [
        ("mean_squared_error", [2.625, 0.625, 5.25, 10.5], [[0.25, 1.0], [9.0, 0.25]]),
        ("absolute_difference", [1.25, 0.75, 2.5, 5.0], [[0.5, 1.0], [3.0, 0.5]]),
        ("huber_loss", [0.8125, 0.3125, 1.625, 3.25], [[0.125, 0.5], [2.5, 0.125]]),
    ],
)
def test_losses_are_reduced_by_weights(name, values, each):
    loss, kinds = getattr(v1.losses, name), v1.losses.Reduction
    found = [loss(Y, P), loss(Y, P, WEIGHTS), loss(Y, P, 2.0), loss(Y, P, reduction=kinds.SUM)]
    assert [x.numpy() for x in found] == values
    assert loss(Y, P, reduction=kinds.NONE).numpy().tolist() == each
    assert loss(Y, P, WEIGHTS, reduction=kinds.MEAN).numpy() == values[1]
    with pytest.raises(ValueError, match="Invalid Reduction"):
        loss(Y, P, reduction="sum")


def test_losses_of_logits():
    losses = v1.losses
    found = [
        losses.softmax_cross_entropy(LABELS, P),
        losses.softmax_cross_entropy(LABELS, P, label_smoothing=0.1),
        losses.sparse_softmax_cross_entropy([1, 0], P, weights=[1.0, 0.0]),
        losses.sigmoid_cross_entropy(LABELS, P),
        losses.sigmoid_cross_entropy(LABELS, P, label_smoothing=0.1),
        losses.log_loss(LABELS, tf.sigmoid(P)),
        losses.hinge_loss(LABELS, P),
        losses.cosine_distance(tf.math.l2_normalize(Y, 1), tf.math.l2_normalize(P, 1), axis=1),
    ]
    wanted = [0.97407699, 0.94907701, 0.97407699, 0.92047477, 0.90797484, 0.92047447, 1.25]
    np.testing.assert_allclose(found, [*wanted, 0.56587845], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda t: t.AdamOptimizer(0.1), [0.6039403676986694, 1.6104029417037964]),
        (lambda t: t.GradientDescentOptimizer(0.1), [0.4095999598503113, 0.10239998251199722]),
        (
            lambda t: t.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
            [-0.3248229920864105, -0.5885464549064636],
        ),
        (lambda t: t.AdagradOptimizer(0.1), [0.7381935715675354, 1.7582776546478271]),
    ],
)
def test_optimizers(make, wanted):
    optimizer, v, step = make(v1.train), tf.Variable([1.0, 2.0]), tf.Variable(0)
    for _ in range(3):
        optimizer.minimize(lambda: tf.reduce_sum(v**2 * [1.0, 3.0]), step, var_list=[v])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(v**2)
    optimizer.apply_gradients([(tape.gradient(loss, v), v)])
    np.testing.assert_allclose(v.numpy(), wanted, rtol=1e-5)
    assert step.numpy() == 3
    with pytest.raises(TypeError, match="function without arguments"):
        optimizer.minimize(loss, var_list=[v])


def test_names_that_moved_are_there():
    for name in module._RENAMED:
        found = v1
        for part in name.split("."):
            found = getattr(found, part)
    assert v1.nn.relu is tf.nn.relu and v1.train.Checkpoint is tf.train.Checkpoint
    assert v1.div(7, 2).numpy() == 3 and v1.div(7.0, 2.0).numpy() == 3.5
    assert v1.to_int32(2.7).numpy() == 2 and v1.assign(tf.Variable(1.0), 3.0).numpy() == 3


@pytest.mark.parametrize(
    "name",
    ["Session", "placeholder", "nn.nce_loss", "image.resize", "metrics", "train.Saver", "layers"],
)
def test_what_means_something_else_is_an_error(name):
    *modules, last = name.split(".")
    of = getattr(v1, modules[0]) if modules else v1
    with pytest.raises(AttributeError, match=f"tf.compat.v1.{name}.*tf.function"):
        getattr(of, last)


def test_switches():
    v1.enable_eager_execution(), v1.enable_v2_behavior()
    assert v1.executing_eagerly_outside_functions()
    for name in ("disable_v2_behavior", "disable_eager_execution"):
        with pytest.raises(NotImplementedError, match=f"{name}.*Remove the call"):
            getattr(v1, name)()
    logger = tf.get_logger()
    before = logger.level
    v1.logging.set_verbosity(v1.logging.ERROR)
    assert v1.logging.get_verbosity() == logger.level == 40
    logger.setLevel(before)


def test_files(tmp_path):
    path = str(tmp_path / "a" / "b.txt")
    v1.gfile.MakeDirs(os.path.dirname(path))
    with v1.gfile.Open(path, "w") as file:
        file.write("text")
    assert v1.gfile.Exists(path) and v1.gfile.ListDirectory(os.path.dirname(path)) == ["b.txt"]
    assert v1.gfile.GFile(path).read() == "text"


def test_texts():
    compat = tf.compat
    assert compat.as_bytes("é") == b"\xc3\xa9" and compat.as_text(b"\xc3\xa9") == "é"
    assert compat.as_str_any(3) == "3" and compat.v2 is tf
    with pytest.raises(TypeError, match="Expected binary or unicode string"):
        compat.as_bytes(3)


def test_data_sets_and_records_of_before(tmp_path):
    v1, path = tf.compat.v1, str(tmp_path / "records")
    with v1.python_io.TFRecordWriter(path) as writer:
        writer.write(b"one")
    assert list(v1.io.tf_record_iterator(path)) == [b"one"]
    dataset = v1.data.Dataset.from_tensor_slices({"a": [1, 2]}).batch(2)
    assert v1.data.get_output_types(dataset) == {"a": tf.int32}
    assert v1.data.get_output_shapes(dataset)["a"].as_list() == [None]
    found = v1.data.make_one_shot_iterator(dataset).get_next()
    assert found["a"].numpy().tolist() == [1, 2]


def test_sizes_that_are_unknown_are_none():
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def traced(x):
        seen.extend([tf.compat.dimension_value(x.shape[0]), x.shape.is_fully_defined()])
        seen.extend([x.shape.num_elements(), x.shape == (None, 3), x.shape == (4, 3)])
        seen.append(x.shape.is_compatible_with([4, 3]))
        return x

    traced(tf.zeros([4, 3]))
    assert seen == [None, False, None, True, False, True]
    assert tf.compat.dimension_at_index(tf.TensorShape([2, 3]), 1) == 3


def test_dimensions_are_sizes_that_may_be_unknown():
    Dimension = tf.compat.v1.Dimension  # noqa: N806 (TensorFlow's name)
    dims = tf.TensorShape([2, None]).dims
    assert [d.value for d in dims] == [2, None] and isinstance(dims[1], Dimension)
    assert str(Dimension(None)) == "?" and (Dimension(3) == None) is None  # noqa: E711
    assert (5 - Dimension(3)).value == 2 and (Dimension(0) * None).value is None
    assert tf.constant([Dimension(2), 1]).dtype == tf.int32
    assert tf.cast(Dimension(3), tf.float32).numpy() == 3.0
    assert tf.TensorShape([Dimension(2), Dimension(None)]).as_list() == [2, None]
    assert list(range(Dimension(2))) == [0, 1] and tf.zeros(Dimension(2)).shape == [2]
    with pytest.raises(ValueError, match="0 or more"):
        Dimension(3) - 5
    with pytest.raises(TypeError, match="unknown"):
        int(Dimension(None))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Dimension(3))
    with pytest.raises(TypeError, match="integer"):
        Dimension(2.5)


def test_placeholders_with_a_default_are_the_default():
    with tf.GradientTape() as tape:
        x = tf.ones([2])
        tape.watch(x)
        y = tf.compat.v1.placeholder_with_default(x * 2, [None])
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 2.0]


def test_sparse_tensors_stay_sparse():
    convert = v1.convert_to_tensor_or_sparse_tensor
    sparse = tf.SparseTensor([[0, 1]], [5], [1, 2])
    assert convert(sparse) is sparse and convert([1], tf.int64).dtype == tf.int64
    assert isinstance(convert(v1.SparseTensorValue([[0, 1]], [5], [1, 2])), tf.SparseTensor)
    with pytest.raises(RuntimeError, match="int32"):
        convert(sparse, tf.float32)


def test_nothing_is_left_to_initialize():
    variable = tf.Variable([1.0, 2.0])
    assert v1.global_variables_initializer() is v1.variables_initializer([variable]) is None
    assert variable.numpy().tolist() == [1.0, 2.0]
