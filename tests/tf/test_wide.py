"""`tf` outside of nn and math: the results of TensorFlow, and what has state or writes files."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from keraslike import tf
from tests.tf import more_reference, wide_reference
from tests.tf.test_more import _same

with open(wide_reference.PATH) as _file:
    REFERENCE = json.load(_file)


@pytest.mark.slow
def test_results_are_those_of_tensorflow():
    known = wide_reference.names(tf)
    assert list(REFERENCE) == wide_reference.PROGRAMS
    wrong = []
    for program, wanted in REFERENCE.items():
        try:
            _same(more_reference.result(program, known), wanted)
        except AssertionError as e:
            wrong.append(f"{program}: {e}")
    assert not wrong, "\n".join(wrong)


def test_checks_of_all_numbers():
    log = tf.function(lambda x: tf.reduce_sum(tf.math.log(x)))
    tf.debugging.enable_check_numerics()
    try:
        for call in (tf.math.log, log):
            with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
                call(tf.constant([1.0, -1.0]))
    finally:
        tf.debugging.disable_check_numerics()
    assert np.isinf(tf.constant(1.0) / 0.0)


def test_averages_of_variables():
    v, steps = tf.Variable([1.0, 2.0]), tf.Variable(3)
    ema = tf.train.ExponentialMovingAverage(0.9)
    limited = tf.train.ExponentialMovingAverage(0.9, steps)

    @tf.function
    def step():
        v.assign_add([2.0, 3.0])
        ema.apply([v])
        limited.apply([v])

    ema.apply([v])
    step()
    assert np.allclose(ema.average(v), [1.2, 2.3]) and not ema.average(v).trainable
    step()
    assert np.allclose(limited.average(v), [4.1952662, 6.7928996])  # from [1, 2] on, by 9 / 13
    assert ema.average(steps) is None and ema.average_name(v).endswith("/ExponentialMovingAverage")
    for wrong in (steps, tf.constant(1.0)):
        with pytest.raises(TypeError):
            ema.apply([wrong])


class Holder(tf.Module):
    def __init__(self):
        super().__init__()
        self.items, self.named = [], {}


def test_checkpoints_fill_what_is_put_into_lists_later(tmp_path):
    saved = Holder()
    saved.items += [tf.Variable(1.0), tf.Variable(2.0)]
    saved.named["x"] = tf.Variable(3.0)
    path = tf.train.Checkpoint(holder=saved).write(tmp_path / "ckpt")
    made = Holder()
    status = tf.train.Checkpoint(holder=made).read(path)
    for _ in range(2):
        made.items.append(tf.Variable(0.0))
    made.named["x"] = tf.Variable(0.0)
    assert [v.numpy() for v in (*made.items, made.named["x"])] == [1.0, 2.0, 3.0]
    status.assert_consumed()
    assert "save_counter" not in tf.train.CheckpointView(path).children(0)


@pytest.mark.parametrize(
    ("written", "read"), [(3, 1.0), (3.0, np.float64(1)), ("a", 1.0), (1.0, "a")]
)
def test_checkpoints_refuse_another_dtype(tmp_path, written, read):
    path = tf.train.Checkpoint(v=tf.Variable(written)).write(tmp_path / "ckpt")
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not equal original dtype"):
        tf.train.Checkpoint(v=tf.Variable(read)).read(path)


def test_variables_of_text(tmp_path):
    names = tf.Variable(["a", "b"])
    assert isinstance(names, tf.Variable) and names.dtype is tf.string and names.trainable
    assert names[0].assign("c").numpy().tolist() == [b"c", b"b"]
    assert tf.strings.join([names, "x"]).numpy().tolist() == [b"cx", b"bx"]

    @tf.function
    def renamed(text):
        names.assign([text, "z"])
        return names[0]

    assert renamed("y").numpy() == b"y" and names.numpy().tolist() == [b"y", b"z"]
    with pytest.raises(ValueError, match="of shape"):
        names.assign(["a"])
    path = tf.train.Checkpoint(names=names).write(tmp_path / "ckpt")
    found = tf.Variable(["", ""])
    tf.train.Checkpoint(names=found).read(path).assert_consumed()
    assert found.numpy().tolist() == [b"y", b"z"]


def test_generators_in_checkpoints(tmp_path):
    generator, other = (tf.random.Generator.from_seed(n) for n in (5, 1))
    generator.normal([3])
    path = tf.train.Checkpoint(g=generator).save(tmp_path / "ckpt")
    assert "g/_state_var/.ATTRIBUTES/VARIABLE_VALUE" in dict(tf.train.list_variables(path))
    tf.train.Checkpoint(g=other).restore(path).assert_consumed()
    assert np.array_equal(generator.normal([2]), other.normal([2]))
    assert list(tf.train.checkpoints_iterator(tmp_path, timeout=0)) == [path]


def test_summaries_of_graphs_and_tensors(tmp_path):
    square = tf.function(lambda x: x @ x)
    with tf.summary.create_file_writer(tmp_path).as_default():
        tf.summary.trace_on()
        square(tf.ones([2, 2]))
        tf.summary.trace_export("square", step=0)
        assert tf.summary.write("values", [[1, 2]], step=1)
        with pytest.raises(ValueError, match="trace_on"):
            tf.summary.trace_export("square", step=0)
    (name,) = os.listdir(tmp_path)
    written = (tmp_path / name).read_bytes()
    assert b"MatMul" in written and b"graph_run_metadata_graph" in written and b"values" in written


def test_the_profiler_is_started_once():
    with pytest.raises(tf.errors.UnavailableError):
        tf.profiler.experimental.stop()
    with tf.profiler.experimental.Trace("step", step_num=1, _r=1):
        pass


def test_functions_of_tf_keras_keep_wide_arrays():
    x = np.array([[1.0, 2.0]])
    for y in (
        tf.keras.activations.gelu(x),
        tf.keras.ops.concatenate([x, x]),
        tf.keras.losses.mse(x, x),
    ):
        assert y.dtype == tf.float64


def test_hues_with_nan():
    images = np.float32([[[np.nan, 0.5, 0.2], [0.5, np.nan, 0.2], [0.5, 0.9, np.nan]]])
    expected = np.float32([[[np.nan, 0.2, np.nan], [0.5, np.nan, np.nan], [0.9, 0.5, np.nan]]])
    np.testing.assert_array_equal(tf.image.adjust_hue(images, 0.1).numpy(), expected)
    turned = tf.function(tf.image.adjust_hue)(images, tf.constant(0.1))
    np.testing.assert_array_equal(turned.numpy(), expected)


def test_arguments_of_images_are_checked():
    x = tf.ones([4, 4, 3])
    for call in (
        lambda: tf.image.adjust_gamma(x, -1),
        lambda: tf.image.adjust_hue(x, 2.0),
        lambda: tf.image.adjust_contrast(x, [1.0, 2.0]),
        lambda: tf.image.central_crop(x[0], 0.5),
        lambda: tf.image.crop_to_bounding_box(x, 0, 0, 0, 3),
        lambda: tf.image.crop_to_bounding_box(x[:0], 0, 0, 0, 1),
        lambda: tf.image.pad_to_bounding_box(x[0], 0, 0, 5, 5),
        lambda: tf.image.pad_to_bounding_box(x[:0], 0, 0, 5, 5),
        lambda: tf.image.pad_to_bounding_box(x, 1, 1, 5191549470, 5191549470),
        lambda: tf.signal.frame([1], [1], 1),
    ):
        with pytest.raises(ValueError):
            call()
