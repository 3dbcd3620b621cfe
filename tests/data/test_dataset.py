"""Pipelines: their elements, orders and lengths."""

import threading

import numpy as np
import pytest

import keraslike
from keraslike.data import AUTOTUNE, INFINITE, UNKNOWN, Dataset

N = Dataset.from_tensor_slices(np.arange(6))

PROGRAMS = {  # as TensorFlow runs them: elements, and their number
    "batch": (lambda d: d.batch(4), [[0, 1, 2, 3], [4, 5]], 2),
    "whole batches": (lambda d: d.batch(4, drop_remainder=True), [[0, 1, 2, 3]], 1),
    "unbatch": (lambda d: d.batch(4).unbatch(), [0, 1, 2, 3, 4, 5], UNKNOWN),
    "take": (lambda d: d.take(2), [0, 1], 2),
    "take all": (lambda d: d.take(-1), [0, 1, 2, 3, 4, 5], 6),
    "take more": (lambda d: d.take(9), [0, 1, 2, 3, 4, 5], 6),
    "skip": (lambda d: d.skip(4), [4, 5], 2),
    "skip all": (lambda d: d.skip(-1), [], 0),
    "repeat": (lambda d: d.take(2).repeat(2), [0, 1, 0, 1], 4),
    "endless": (lambda d: d.repeat().skip(5).take(3), [5, 0, 1], 3),
    "repeat nothing": (lambda d: d.take(0).repeat(), [], 0),
    "filter": (lambda d: d.filter(lambda n: n % 2), [1, 3, 5], UNKNOWN),
    "map": (lambda d: d.map(lambda n: n * n), [0, 1, 4, 9, 16, 25], 6),
    "threads": (lambda d: d.map(lambda n: -n, AUTOTUNE), [0, -1, -2, -3, -4, -5], 6),
    "enumerate": (lambda d: d.skip(4).enumerate(7), [(7, 4), (8, 5)], 2),
    "zip": (lambda d: Dataset.zip((d.skip(4), d.repeat())), [(4, 0), (5, 1)], 2),
    "concatenate": (lambda d: d.take(1).concatenate(d.skip(5)), [0, 5], 2),
    "cache": (lambda d: d.cache().prefetch(2).take(2), [0, 1], 2),
    "structures": (
        lambda d: d.map(lambda n: {"a": n, "b": (n, [n, 1])}).batch(2).take(1),
        [{"a": [0, 1], "b": ([0, 1], ([0, 1], [1, 1]))}],
        1,
    ),
}


def _plain(element):
    if isinstance(element, dict):
        return {k: _plain(v) for k, v in element.items()}
    return tuple(map(_plain, element)) if isinstance(element, tuple) else element.tolist()


@pytest.mark.parametrize("name", PROGRAMS)
def test_elements_and_their_number(name):
    program, elements, count = PROGRAMS[name]
    dataset = program(N)
    for _ in range(2):
        assert [_plain(e) for e in dataset] == elements
    assert int(dataset.cardinality()) == count
    if count < 0:
        with pytest.raises(TypeError, match="has no len"):
            len(dataset)
    assert dataset


def test_shuffled_elements():
    def order(dataset):
        return [int(n) for n in dataset]

    dataset = N.shuffle(6, seed=1)
    first, second = order(dataset), order(dataset)
    assert sorted(first) == sorted(second) == list(range(6)) and first != second
    assert [order(N.shuffle(6, seed=1)), order(dataset)][0] == first
    fixed = N.shuffle(6, seed=1, reshuffle_each_iteration=False)
    assert order(fixed) == order(fixed) != order(dataset)
    near = order(Dataset.from_tensor_slices(np.arange(100)).shuffle(5))
    assert sorted(near) == list(range(100)) and all(n <= i + 5 for i, n in enumerate(near))
    with pytest.raises(ValueError, match="buffer_size must be a positive integer"):
        N.shuffle(0)
    keraslike.utils.set_random_seed(3)
    one = order(N.shuffle(6))
    keraslike.utils.set_random_seed(3)
    assert order(N.shuffle(6)) == one
    orders = dataset.orders
    third = order(dataset)
    dataset.orders = orders
    assert order(dataset) == third


def test_elements_are_made_as_they_are_asked_for_and_once_by_a_cache():
    made = []
    dataset = N.map(lambda n: made.append(int(n)) or n)
    iterator = iter(dataset)
    next(iterator)
    assert made == [0]
    kept = dataset.cache()
    list(kept.take(1))  # not all of them: nothing is kept
    made.clear()
    assert [list(kept), list(kept)] and made == [0, 1, 2, 3, 4, 5]


def test_functions_run_at_the_same_time_and_their_errors_are_raised():
    meeting = threading.Barrier(3, timeout=20)
    assert len(list(N.map(lambda n: [meeting.wait(), n][1], num_parallel_calls=3))) == 6
    with pytest.raises(ZeroDivisionError):
        list(N.map(lambda n: 1 // int(n), num_parallel_calls=2).prefetch(1))
    with pytest.raises(ValueError, match="must have the same shape"):
        list(N.map(lambda n: np.ones(int(n))).batch(2))


def test_what_functions_return_becomes_arrays():
    from keraslike import tf

    def mixed(n):
        return keraslike.ops.multiply(n, 2), tf.constant([n]), 0.5, True, "text", None

    dataset = N.map(mixed).batch(2)
    two, n, half, true, text, none = next(dataset.as_numpy_iterator())
    assert [type(a) for a in (two, n, half, true, text)] == [np.ndarray] * 5 and none is None
    assert (half.dtype, true.dtype, text.tolist()) == ("float32", "bool", ["text"] * 2)
    assert dataset.element_spec[1].shape == (None, 1) and dataset.element_spec[4].dtype == "string"
    assert next(Dataset.from_tensor_slices(["a", "é"]).batch(2).as_numpy_iterator()).tolist() == [
        b"a",
        "é".encode(),
    ]
    with pytest.raises(ValueError, match="must have the same length"):
        Dataset.from_tensor_slices((np.ones(2), np.ones(3)))


def test_fit_knows_the_length_and_goes_on_in_the_same_order(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 1)).astype("float32")

    def trained(*callbacks, epochs=2):
        keraslike.utils.set_random_seed(0)
        model = keraslike.Sequential([keraslike.Input((1,)), keraslike.layers.Dense(1)])
        model.compile(keraslike.optimizers.SGD(0.3, momentum=0.9), "mse")
        data = Dataset.from_tensor_slices((x, x**2)).shuffle(12, seed=1).batch(4)
        model.fit(data, epochs=epochs, callbacks=list(callbacks), verbose=0)
        return model

    class Stop(keraslike.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == self.at:
                raise InterruptedError

    whole = trained(epochs=3)
    assert int(whole.optimizer.iterations) == 9
    for at in (4, 6):  # within an epoch, and at its end
        folder, stop = tmp_path / str(at), Stop()
        stop.at = at
        backup = {"backup_dir": folder, "save_freq": 1, "double_checkpoint": True}
        with pytest.raises(InterruptedError):
            trained(keraslike.callbacks.BackupAndRestore(**backup), stop, epochs=3)
        again = trained(keraslike.callbacks.BackupAndRestore(**backup), epochs=3)
        assert int(again.optimizer.iterations) == 9
        np.testing.assert_allclose(again.get_weights()[0], whole.get_weights()[0], rtol=1e-6)


def test_an_endless_one_needs_a_number_of_steps():
    data = Dataset.from_tensor_slices((np.ones((4, 1)), np.ones((4, 1)))).batch(2).repeat()
    assert int(data.cardinality()) == INFINITE
    model = keraslike.Sequential([keraslike.Input((1,)), keraslike.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data, steps_per_epoch=3, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 6
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(data, verbose=0)


def test_callers_of_tf_keras_get_tensors():
    from keraslike import tf

    windows = tf.keras.utils.timeseries_dataset_from_array(np.arange(8), np.arange(8), 3)
    for x, y in windows.map(lambda x, y: (x * 2, y)).take(1):
        assert isinstance(x, tf.Tensor) and x.dtype == tf.int64 and x.shape == (6, 3)
        assert y.numpy().tolist() == [0, 1, 2, 3, 4, 5]
    of_lists = tf.keras.utils.timeseries_dataset_from_array([0, 1, 2], [0.5, 1.5, 2.5], 2)
    assert [spec.dtype for spec in of_lists.element_spec] == [tf.int32, tf.float32]
