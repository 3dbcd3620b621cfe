"""`fit` on data sets whose batches are rows of arrays, which go to the device once."""

import numpy as np
import pytest

import keraslike
from keraslike import layers
from keraslike.data import Dataset
from keraslike.training.rows import RowData
from keraslike.training.stream_data import StreamData

RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3)).astype("float32")
Y = RNG.integers(0, 2, (23, 1))
WEIGHTS = np.arange(23.0)


def model():
    keraslike.utils.set_random_seed(3)
    made = keraslike.Sequential([layers.Input((3,), name="a"), layers.Dense(2), layers.Dense(1)])
    made.compile(optimizer="sgd", loss="mse", metrics=["mae"])
    return made


def data(parts=(X, Y), size=5, drop=False):
    rows = Dataset.from_tensor_slices(parts).cache().shuffle(7, seed=1).skip(2).repeat(2)
    return rows.batch(size, drop).prefetch(1)


def streamed(dataset):
    """The same batches, which nobody knows to be rows of arrays."""
    return dataset.filter(lambda *parts: True).of_known_length(len(dataset))


@pytest.mark.parametrize(
    "parts, options",
    [
        ((X, Y), {}),
        ((X, Y), {"drop": True}),
        ((X, Y, WEIGHTS), {"size": 7}),
        ((X, Y), {"size": 100}),
    ],
)
def test_as_the_same_batches_one_by_one(parts, options):
    dataset = data(parts, **options)
    assert RowData.of(StreamData(dataset)) is not None
    assert RowData.of(StreamData(streamed(dataset))) is None
    found = []
    for wrap in (lambda d: d, streamed):
        one, dataset = model(), wrap(data(parts, **options))
        history = one.fit(dataset, epochs=3, validation_data=dataset, verbose=0).history
        results = one.evaluate(dataset, verbose=0, return_dict=True)
        after = [np.asarray(batch[0])[0].tolist() for batch in dataset]  # the orders go on
        found.append((history, results, one.predict(dataset, verbose=0), after))
    (ours, ours_after, predicted, orders), (history, after, others, known) = found
    for name, values in history.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5)
        assert ours_after.get(name, 0) == pytest.approx(after.get(name, 0), rel=1e-5)
    np.testing.assert_allclose(predicted, others, rtol=1e-5, atol=1e-6)
    assert orders == known


def test_class_weights_and_dicts():
    named = Dataset.from_tensor_slices(({"a": X}, Y)).batch(4)
    one, other = model(), model()
    one.fit(named, class_weight={1: 3.0}, verbose=0)
    other.fit(streamed(named), class_weight={1: 3.0}, verbose=0)
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-5)


def test_training_that_stopped_draws_no_order_too_many():
    class Stop(keraslike.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    one, two = data(), data()
    model().fit(one, epochs=5, callbacks=[Stop()], verbose=0)
    model().fit(streamed(two), epochs=5, callbacks=[Stop()], verbose=0)
    assert one.orders == two.orders
    assert [b[0].tolist() for b in one] == [b[0].tolist() for b in two]


@pytest.mark.parametrize(
    "dataset",
    [
        lambda: data().map(lambda x, y: (2 * x, y)),
        lambda: Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (2 * x, y)).batch(4),
        lambda: Dataset.from_tensor_slices(["a", "b"]).batch(2),
        lambda: Dataset.from_tensor_slices((X, Y)).enumerate().batch(2),
        lambda: Dataset.from_tensor_slices((X, Y)).shuffle(9).cache().batch(2),
        lambda: Dataset.from_tensor_slices((X, Y)).repeat().batch(2),
    ],
    ids=["map", "map of rows", "text", "enumerate", "a kept order", "endless"],
)
def test_what_is_more_than_rows_is_a_stream(dataset):
    assert RowData.of(StreamData(dataset())) is None


def test_a_training_that_was_killed_goes_on_in_the_same_order(tmp_path):
    class Kill(keraslike.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 13:
                raise RuntimeError("killed")

    def fit(made, *callbacks):
        made.fit(data(), epochs=3, callbacks=list(callbacks), verbose=0)
        return made.get_weights()

    whole = fit(model())

    def backup():
        return keraslike.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=4)

    with pytest.raises(RuntimeError, match="killed"):
        fit(model(), backup(), Kill())
    for ours, known in zip(fit(model(), backup()), whole, strict=True):
        np.testing.assert_allclose(ours, known, rtol=1e-6)
