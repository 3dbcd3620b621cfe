"""Functions of `tf` that TensorFlow's results were written down for, and a few that draw."""

import json
import sys
import unittest

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf.experimental import numpy_shapes
from tests.tf import more_reference

pytestmark = pytest.mark.slow

with open(more_reference.PATH) as _file:
    REFERENCE = json.load(_file)


def _same(found, wanted):
    if isinstance(wanted, list) and len(wanted) == 3 and isinstance(wanted[0], str):
        dtype, shape, values = wanted
        assert found[:2] == [dtype, shape]
        if dtype == "string":
            assert found[2] == values
        else:
            np.testing.assert_allclose(found[2], values, rtol=1e-4, atol=1e-5)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted):
            _same(f, w)
    else:
        assert found == wanted


def test_results_are_those_of_tensorflow():
    known = more_reference.names(tf)
    assert list(REFERENCE) == more_reference.PROGRAMS
    for program, wanted in REFERENCE.items():
        try:
            _same(more_reference.result(program, known), wanted)
        except AssertionError as e:
            raise AssertionError(f"{program}: {e}") from None


def test_draws_that_follow_from_a_seed():
    r, grid = tf.random, tf.reshape(tf.range(400), [20, 20, 1])
    for draw in (
        lambda s: r.stateless_uniform([4], s),
        lambda s: r.stateless_truncated_normal([4], s, stddev=3.0),
        lambda s: r.stateless_categorical(tf.zeros([1, 1000]), 4, s),
        lambda s: tf.image.stateless_random_brightness(tf.ones([2, 2, 3]), 0.3, s),
        lambda s: tf.image.stateless_random_crop(grid, (2, 2, 1), s),
    ):
        one, again, other = (draw(s).numpy() for s in ([1, 2], tf.constant([1, 2]), (1, 3)))
        assert (one == again).all() and (one != other).any()
    assert len({tuple(s) for s in r.split([1, 2], 3).numpy().tolist()}) == 3
    rates = r.poisson([500], [1.0, 30.0]).numpy()
    assert abs(rates[:, 0].mean() - 1) < 0.3 and abs(rates[:, 1].mean() - 30) < 1.5
    compiled = tf.function(lambda seed: r.stateless_normal([2], seed))
    np.testing.assert_allclose(compiled(tf.constant([1, 2])), r.stateless_normal([2], [1, 2]), 1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Need value.shape >= size"):
        tf.image.random_crop(tf.ones([2, 2, 1]), [3, 2, 1])


def test_checks_in_traced_functions_and_what_is_refused():
    @tf.function
    def positive(x):
        tf.debugging.assert_positive(x, "too small")
        return x + 1

    assert float(positive(tf.constant(1.0))) == 2.0
    with pytest.raises(Exception, match="too small"):
        positive(tf.constant(-1.0)).numpy()
    with pytest.raises(ValueError, match="data_format must fit the 4 axes of input"):
        tf.nn.conv2d(tf.ones([1, 3, 4, 4]), tf.ones([2, 2, 3, 1]), 1, "SAME", data_format="NCW")
    with pytest.raises(ValueError, match="no field 'age'"):
        known = more_reference.names(tf)["described"]
        tf.io.decode_proto([b""], "Person", ["age"], [tf.int32], known)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        tf.raw_ops.Add(x=1.0, z=2.0)


def test_a_test_case():
    class Case(tf.test.TestCase):
        def test_equal(self):
            self.assertAllClose(tf.constant([1.0, 2.0]), [1.0, 2.0 + 1e-7])
            self.assertAllEqual({"a": tf.constant([1])}, {"a": [1]})
            self.assertAllInRange(tf.constant([1, 2]), 1, 2)
            self.assertNotAllClose([1.0], [2.0])
            self.assertDTypeEqual(tf.constant(1), tf.int32)
            self.assertAllEqual(tf.ragged.constant([[1], [2, 3]]), [[1], [2, 3]])
            self.assertAllEqual(tf.constant(["a"]), ["a"])
            self.assertAllClose([tf.ones([1]), (tf.ones([2]),)], [[1.0], ([1.0, 1.0],)])
            self.assertAllCloseAccordingToType(tf.constant(1, tf.bfloat16), 1.003)
            sparse = tf.sparse.from_dense([[0, 1]])
            self.assertAllEqual(sparse, self.evaluate(sparse))

        def test_differences(self):
            for a, b in (([1], [2]), ([1], [1, 2]), ([[1], [1, 2]], [[1], [1, 3]]), ("a", "b")):
                with self.assertRaises(AssertionError):
                    self.assertAllClose(a, b)
                self.assertNotAllEqual(a, b)

        def test_blocks(self):
            with self.cached_session() as session:
                self.assertEqual(session.run(tf.constant(3)), 3)
            with self.assertRaisesOpError("2"):
                tf.matmul(tf.ones([2, 3]), tf.ones([2, 3]))
            with self.captureWritesToStream(sys.stderr) as written:
                tf.print("x =", tf.constant(3))
            self.assertEqual(written.contents(), "x = 3\n")
            thread = self.checkedThread(lambda: 1 / 0)
            thread.start()
            with self.assertRaises(ZeroDivisionError):
                thread.join()

        def test_other(self):
            self.assertAllClose([1.0], [1.1])

    outcome = unittest.TestResult()
    unittest.TestLoader().loadTestsFromTestCase(Case).run(outcome)
    assert len(outcome.skipped) == 1  # test_session
    assert outcome.testsRun == 5 and len(outcome.failures) == 1 and not outcome.errors


def test_sounds_in_event_files(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default(step=1):
        assert tf.summary.audio("tone", tf.zeros([2, 8, 1]), 8000)
        with tf.name_scope("outer"), tf.summary.experimental.summary_scope("in") as (tag, scope):
            assert tf.summary.scalar("mean", 1.0) and (tag, scope) == ("outer/in", "outer/in/")
    writer.close()
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    assert data.count(b"RIFF") == 2 and b"audio" in data and b"outer/in/mean" in data
    with tf.summary.create_noop_writer().as_default():
        assert not tf.summary.scalar("a", 1.0, step=0)
    for refused in (writer.init, writer.set_as_default):
        with pytest.raises(RuntimeError, match="closed"):
            refused()
    for error, refused in (
        (ValueError, lambda: tf.summary.flush(())),
        (ValueError, lambda: tf.summary.graph("x")),
    ):
        with pytest.raises(error), tf.summary.create_file_writer(tmp_path).as_default():
            refused()


def test_conditions_and_queues_of_summaries(tmp_path):
    path = tmp_path / "queue"

    def size():
        return sum(file.stat().st_size for file in path.iterdir())

    writer = tf.summary.create_file_writer(path, max_queue=1)
    step, sizes = tf.Variable(-1), [size()]

    def condition():
        step.assign_add(1)
        return step % 2 == 0

    with writer.as_default(), tf.summary.record_if(condition):
        written = [tf.summary.write("tag", 1, step=step) for _ in range(3)]
        with tf.summary.record_if(tf.Variable(True)), tf.summary.create_noop_writer().as_default():
            written.append(tf.summary.scalar("tag", 1.0, step=4))
    assert [bool(w.numpy()) for w in written] == [True, False, True, True]
    with writer.as_default(step=0):
        sizes.append(size())
        for _ in range(2):
            tf.summary.write("tag", 1)
            sizes.append(size())
    assert 0 < sizes[0] < sizes[1] == sizes[2] < sizes[3]  # the second value is one too many


def test_histograms_count_as_tensorflow():
    count = tf.histogram_fixed_width
    known = [1, 1, 1, 1, 1, 1, 2, 0, 2, 0, 1, 1, 2, 1, 0, 1, 1, 2, 1, 0]
    assert count([0.1 * i for i in range(20)], [0.0, 2.0], 20).numpy().tolist() == known
    assert count([3e38, 100.0], [-1e38, 3e38], 2).numpy().tolist() == [1, 1]
    for values, bounds, bins in (
        ([1.0], [5.0, 0.0], 3),
        ([1.0], [0.0, 5.0], 0),
        ([1.0], [0.0, 1.0, 2.0], 3),
        ([float("nan")], [0.0, 5.0], 3),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            count(values, bounds, bins)


def test_asserted_shapes():
    x, y = tf.ones([1, 2, 3]), tf.ones([2, 3])
    check = tf.debugging.assert_shapes
    check([(x, "*NQ"), (y, "NQ"), (x, (..., "N", 3)), (y, ".3"), (y, None), (1.0, ()), ([1], ())])
    check([(tf.sparse.from_dense([[1, 2]]), (1, 2)), (y, np.array([2, 3])), (2, "a")])
    for wrong in (
        [(y, "22")],
        [(x, ("N", ..., "Q"))],
        [(y, 2)],
        [([2, 2], ())],
        [(1.0, "a"), (y, "a3")],
        [(y, "*ABC")],
    ):
        with pytest.raises(ValueError):
            check(wrong)
    for error, rank in ((TypeError, 0.5), (ValueError, [1, 2])):
        with pytest.raises(error, match="rank"):
            tf.debugging.assert_rank(y, rank)


def test_windows_of_channels_are_pooled():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    largest = tf.nn.max_pool(x, ksize=(1, 1, 1, 3), strides=(1, 1, 1, 3), padding="VALID")
    assert np.array_equal(largest, x.reshape(2, 4, 5, 2, 3).max(-1))
    means = tf.nn.avg_pool(x, (1, 1, 1, 2), (1, 1, 1, 2), "VALID")
    assert np.allclose(means, x.reshape(2, 4, 5, 3, 2).mean(-1), atol=1e-6)


def test_each_picture_of_a_batch_is_mirrored_for_itself():
    x = tf.reshape(tf.range(20 * 6), (20, 2, 3, 1))
    for random, flip in (
        (tf.image.random_flip_left_right, tf.image.flip_left_right),
        (tf.image.random_flip_up_down, tf.image.flip_up_down),
    ):
        for call in (random, tf.function(random)):
            made, flipped = call(x).numpy(), flip(x).numpy()
            same = [bool((m == one).all()) for m, one in zip(made, x.numpy())]
            assert 0 < sum(same) < 20
            assert all((m == f).all() for m, f, s in zip(made, flipped, same) if not s)
        assert random(x[0]).shape == (2, 3, 1)


def test_sizes_that_are_joined_are_known_while_a_function_is_traced():
    @tf.function
    def split(x):
        shape = tf.concat([tf.shape(x)[:-1], [2, 2]], axis=0)
        rows = tf.zeros(tf.stack([tf.shape(x)[0], 7]))
        return tf.reshape(x, shape), rows

    parts, rows = split(tf.ones((3, 5, 4)))
    assert (parts.shape, rows.shape) == ((3, 5, 2, 2), (3, 7))


def test_categories_have_the_dtypes_that_tensorflow_gives_them():
    layers, texts = tf.keras.layers, tf.constant(["a b", "b"])
    words = {"vocabulary": ["a", "b"]}
    made = {
        mode: layers.TextVectorization(output_mode=mode, **words)
        for mode in ("int", "multi_hot", "count")
    }
    weighed = layers.TextVectorization(output_mode="tf_idf", idf_weights=[1.0, 2.0], **words)
    mapped = next(iter(tf.data.Dataset.from_tensors(texts).map(made["count"])))
    results = [layer(given) for layer in made.values() for given in (texts, ["a b", "b"])]
    results += [mapped, layers.IntegerLookup(vocabulary=[3, 4], output_mode="one_hot")([3, 9])]
    results += [layers.StringLookup(**words)(["a"]), layers.Hashing(5)(["a"])]
    assert {r.dtype for r in results} == {tf.int64}
    assert mapped.numpy().tolist() == [[0, 1, 1], [0, 0, 1]]
    assert layers.CategoryEncoding(3)([0, 2]).dtype == weighed(texts).dtype == tf.float32
    assert layers.Discretization([1.0])([2.0]).dtype == tf.int32


def test_words_of_texts_are_ragged_where_a_layer_is_asked_for_that():
    layer = tf.keras.layers.TextVectorization(ragged=True)
    layer.adapt(["a b c", "a b"])
    (batch,) = tf.data.Dataset.from_tensor_slices(["a c", "b a a"]).batch(2).map(layer)
    for found in (layer(["a c", "b a a"]), layer(tf.constant([["a c"], ["b a a"]])), batch):
        assert isinstance(found, tf.RaggedTensor) and found.dtype == tf.int64
        assert found.to_list() == [[3, 4], [2, 3, 3]]
    again = tf.keras.layers.TextVectorization.from_config(layer.get_config())
    assert again.ragged and layer.get_vocabulary()[2:] == ["b", "a", "c"]


def test_parsed_features_are_in_the_order_of_their_names():
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    data = tf.train.Example(features=tf.train.Features(feature={"b": feature, "a": feature}))
    kinds = {"b": tf.io.FixedLenFeature([], tf.int64), "a": tf.io.VarLenFeature(tf.int64)}
    assert list(tf.io.parse_single_example(data.SerializeToString(), kinds)) == ["a", "b"]


def test_a_function_s_dict_keeps_the_order_of_its_keys():
    call = tf.function(lambda x: {"b": x, "a": [{"d": x + 1, "c": (x, x)}]})
    for found in (call(tf.constant(1)), call(tf.constant(2))):
        assert (list(found), list(found["a"][0])) == (["b", "a"], ["d", "c"])


def test_a_train_step_from_before_keras_3():
    class Model(tf.keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                predictions = self(x, training=True)
                loss = self.compiled_loss(y, predictions, regularization_losses=self.losses)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
            self.compiled_metrics.update_state(y, predictions)
            return {m.name: m.result() for m in self.metrics}

    inputs = tf.keras.Input((2,))
    model = Model(inputs, tf.keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0).history
    assert history["loss"] == pytest.approx([4.0])
    assert np.allclose(model.get_weights()[0], 1 - 0.01 * 4)


def test_the_difference_of_lists():
    out, idx = tf.raw_ops.ListDiff(x=tf.constant(["a", "b", "c"]), y=["b"], out_idx=tf.int64)
    assert (out.numpy().tolist(), idx.numpy().tolist()) == ([b"a", b"c"], [0, 2])
    assert (out.dtype, idx.dtype) == (tf.string, tf.int64)
    assert tf.raw_ops.ListDiff(x=[1, 2, 3, 4], y=[2, 4]).out.numpy().tolist() == [1, 3]


TABLE = [[1.0, 2.0], [3.0, 4.0]]
OUTSIDE = [
    ("gather", lambda i: tf.gather(TABLE, i)),
    ("gather along an axis", lambda i: tf.gather(TABLE, [i], axis=1)),
    ("gather of a batch", lambda i: tf.gather(TABLE, [[0], i], batch_dims=1)),
    ("gather_nd", lambda i: tf.gather_nd(TABLE, [[0, i[0]]])),
    ("texts", lambda i: tf.gather(["a", "b"], i)),
    ("embedding_lookup", lambda i: tf.nn.embedding_lookup(tf.Variable(TABLE), i)),
    ("tensor_scatter_nd_update", lambda i: tf.tensor_scatter_nd_update([1, 2], [i], [3])),
    ("tensor_scatter_nd_add", lambda i: tf.tensor_scatter_nd_add([1, 2], [i], [3])),
    ("scatter_nd", lambda i: tf.scatter_nd([i], [3], [2])),
]


@pytest.mark.parametrize("call", [c for _, c in OUTSIDE], ids=[name for name, _ in OUTSIDE])
def test_an_index_outside_of_its_axis_is_an_error(call):
    """Also a negative one: XLA alone would take it from the end, or give NaN."""
    call([1])
    for index in (2, -1):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"= {index} is not in \[0, 2\)"):
            call([index])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: tf.split(tf.range(5), [2, 2]), "must add up to 5"),
        (lambda: tf.split(tf.range(5), 2), "cannot be divided into 2 equal parts"),
        (lambda: tf.slice([1, 2], [1], [5]), "size.0.=5 are not within"),
        (lambda: tf.slice([1, 2], [-1], [1]), "begin.0.=-1"),
        (lambda: tf.tile([1], [1, 2]), "a number for each of 1 axes"),
        (lambda: tf.math.segment_sum([1, 2], [1, 0]), "do not decrease"),
        (lambda: tf.math.unsorted_segment_sum([1, 2], [5, 0], 2), "below num_segments=2"),
        (lambda: tf.range(0, 5, 0), "delta must lead from start to limit"),
        (lambda: tf.range(5, 0), "delta must lead from start to limit"),
        (lambda: tf.constant([1, 2, 3])[True], "Received: True"),
    ],
)
def test_what_does_not_fit_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_numbers_of_a_range_are_computed_in_its_dtype():
    """The last numbers as TensorFlow 2.21 has them: the start and so many times the step."""
    for arguments, last in {
        (0.0, 1.0, 0.3): 0.9000000357627869,
        (0.0, 10.0, 0.1): 9.90000057220459,
        (5.0, 0.0, -0.7): 0.09999990463256836,
    }.items():
        assert float(tf.range(*arguments)[-1]) == last
    assert tf.range(0.0, 1.0, 0.1, dtype=tf.float64).numpy().tolist()[-1] == 0.9


def test_a_loop_returns_what_it_was_given_the_form_of():
    def loop(variables):
        return tf.while_loop(lambda i, j: i < 3, lambda i, j: (i + 1, j), variables)

    i, j = tf.constant(0), tf.constant(1)
    for call in (loop, tf.function(loop)):
        assert isinstance(call((i, j)), tuple)
        assert [int(x) for x in call((i, j))] == [3, 1]
    # What the body gives where it runs at once, and what was given where it is compiled.
    assert isinstance(loop([i, j]), tuple) and isinstance(tf.function(loop)([i, j]), list)


def test_formatted_text_has_the_number():
    x = tf.constant([1.5, 2.0])
    assert (
        f"{tf.constant(1.5)} {x} {tf.constant(2)} {tf.constant(1.25):.1f}" == "1.5 [1.5 2. ] 2 1.2"
    )


@pytest.mark.parametrize(
    "name, arguments, expected",
    [
        ("Mod", {"x": [7, -7], "y": [3, 3]}, [1, -1]),
        ("Angle", {"input": [1j]}, [np.pi / 2]),
        ("ComplexAbs", {"x": [3 + 4j]}, [5.0]),
        ("RFFT", {"input": [1.0, 2.0, 3.0], "fft_length": [3]}, [6, -1.5 + 0.8660254j]),
        ("DecodeRaw", {"bytes": [b"\x01\x00"], "out_type": tf.int16}, [[1]]),
    ],
)
def test_operations_by_name(name, arguments, expected):
    given = {k: tf.constant(v) if isinstance(v, list) else v for k, v in arguments.items()}
    np.testing.assert_allclose(getattr(tf.raw_ops, name)(**given), expected, rtol=1e-6)


def test_a_tuple_within_a_key_is_an_index_array_in_numpys_behavior():
    x = np.arange(24).reshape(2, 3, 4)
    for key in ((slice(None), (True, False, True)), (1, (0, 0, 1), np.array([0, 1, 1]))):
        found = numpy_shapes.get_item(tf.constant(x), key)
        np.testing.assert_array_equal(found, x[key])


def test_targets_have_the_shape_of_the_logits():
    logits, targets = tf.ones([3]), tf.ones([2, 3])
    for loss in (
        tf.nn.sigmoid_cross_entropy_with_logits,
        tf.nn.log_poisson_loss,
        lambda y, z: tf.nn.weighted_cross_entropy_with_logits(y, z, 2.0),
    ):
        with pytest.raises(ValueError, match="same shape"):
            loss(targets, logits)
