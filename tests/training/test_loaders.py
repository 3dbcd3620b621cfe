"""Loaders that others wrote. grain is the real one; torch and TensorFlow are gigabytes, so what of
theirs differs is imitated, as it was seen in torch 2.14 and TensorFlow 2.21."""

import gc
import time
import traceback
import weakref

import grain
import ml_dtypes
import numpy as np
import pytest

import keraslike as keras

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
Y = X.sum(axis=1)


def model():
    k = keras.initializers.GlorotUniform(seed=1)
    made = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, kernel_initializer=k)])
    made.compile(loss="mse", optimizer="sgd", metrics=["mae"])
    return made


class Samples:
    """What grain calls a random access source, and torch a dataset."""

    def __init__(self, fails_at=None, sample=lambda i: (X[i], Y[i])):
        self.fails_at, self.sample, self.read = fails_at, sample, 0

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        self.read += 1
        if i == self.fails_at:
            raise KeyError("my own mistake")
        return self.sample(i)


def grain_map(samples):
    return grain.MapDataset.source(samples).batch(16)


def grain_iter(samples):
    return grain.MapDataset.source(samples).to_iter_dataset().batch(16)


def grain_loader(samples):
    return grain.DataLoader(
        data_source=samples,
        sampler=grain.samplers.IndexSampler(len(samples), num_epochs=1, shuffle=False),
        operations=[grain.transforms.Batch(16)],
        worker_count=0,
    )


class Tensor:
    """As torch's, which gives its memory only once it is on the host and out of the gradient."""

    def __init__(self, array, where="cuda", requires_grad=True):
        self.array, self.where, self.requires_grad = array, where, requires_grad
        self.shape = array.shape

    def detach(self):
        return Tensor(self.array, self.where, False)

    def cpu(self):
        return Tensor(self.array, "cpu", self.requires_grad)

    def numpy(self):
        assert self.where == "cpu" and not self.requires_grad
        return self.array


class TorchLoader:
    """As torch's `DataLoader`: lists of tensors; each `iter()` may start worker processes, which
    end when nothing holds the iterator any more."""

    def __init__(self, samples):
        self.samples, self.iterators = samples, []

    def __len__(self):
        return -(-len(self.samples) // 16)

    def __iter__(self):
        iterator = self._batches()
        self.iterators.append(weakref.ref(iterator))
        return iterator

    def _batches(self):
        for first in range(0, len(self.samples), 16):
            rows = [self.samples[i] for i in range(first, min(first + 16, len(self.samples)))]
            yield [Tensor(np.stack(column)) for column in zip(*rows)]


LOADERS = [grain_map, grain_iter, grain_loader, TorchLoader]


@pytest.fixture(scope="module")
def by_arrays():
    m = model()
    history = m.fit(X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0).history
    return history, m.evaluate(X, Y, batch_size=16, verbose=0), m.predict(X, verbose=0)


@pytest.mark.parametrize("loader", LOADERS)
def test_the_same_numbers_as_from_arrays(loader, by_arrays):
    history, evaluated, predicted = by_arrays
    m = model()
    assert m.fit(loader(Samples()), epochs=2, verbose=0).history == history
    assert m.evaluate(loader(Samples()), verbose=0) == pytest.approx(evaluated, rel=1e-5)
    np.testing.assert_allclose(m.predict(loader(Samples()), verbose=0), predicted, rtol=1e-5)


@pytest.mark.parametrize("loader", LOADERS)
def test_an_iterator_is_one_pass(loader, by_arrays):
    history = model().fit(iter(loader(Samples())), verbose=0).history
    assert history["loss"] == by_arrays[0]["loss"][:1]


@pytest.mark.parametrize(("loader", "steps"), list(zip(LOADERS, [13, None, None, 13])))
def test_the_length_is_taken_where_it_is_known(loader, steps):
    seen = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: None)
    model().fit(loader(Samples()), callbacks=[seen], verbose=0)
    assert seen.params["steps"] == steps


def test_a_loader_without_end():
    m = model()
    m.fit(grain_map(Samples()).repeat(), steps_per_epoch=20, epochs=2, verbose=0)
    assert int(m.optimizer.iterations) == 40


@pytest.mark.parametrize("loader", LOADERS)
def test_an_exception_in_the_samples_comes_with_its_traceback(loader):
    m = model()
    with pytest.raises(KeyError, match="my own mistake") as caught:
        m.fit(loader(Samples(fails_at=70)), verbose=0)
    assert "in __getitem__" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert int(m.optimizer.iterations) == 4


def test_nobody_reads_far_ahead():
    """A few batches, where grain itself is told not to."""
    samples, ran, most = Samples(), 0, 0
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    source = grain.MapDataset.source(samples).to_iter_dataset(options).batch(4)

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            nonlocal ran, most
            ran += 1
            time.sleep(0.002)
            most = max(most, samples.read // 4 - ran)

    model().fit(source, callbacks=[Slow()], verbose=0)
    assert ran == 50 and most <= 5


def test_one_iterator_an_epoch_and_none_is_kept():
    loader = TorchLoader(Samples())
    m = model()
    m.fit(loader, epochs=3, verbose=0)
    assert len(loader.iterators) == 3

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    m.fit(loader, callbacks=[Stop()], verbose=0)  # in the middle of an epoch
    assert [i() for i in loader.iterators] == [None] * 4


def test_the_data_is_let_go_of():
    samples = Samples()
    ended, m = weakref.ref(samples), model()
    m.fit(TorchLoader(samples), verbose=0)
    del samples
    gc.collect()  # jax leaves frames in a cycle where it has tried a symbol as a size
    assert ended() is None


@pytest.mark.parametrize("loader", LOADERS)
def test_named_inputs_integer_labels_and_other_dtypes(loader):
    def sample(i):
        return {"a": X[i].astype("float64"), "b": X[i].astype(ml_dtypes.bfloat16)}, int(labels[i])

    labels = np.arange(200) % 3
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    dense = keras.layers.Dense(3, kernel_initializer="zeros")
    m = keras.Model({"a": a, "b": b}, dense(keras.layers.Add()([a, b])))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    m.compile(loss=loss, optimizer="sgd")
    if loader is TorchLoader:  # grain puts dicts together itself
        source = _dicts(sample)
    else:
        source = loader(Samples(sample=sample))
    found = m.fit(source, verbose=0).history["loss"]
    m.set_weights([np.zeros((4, 3)), np.zeros(3)])
    data = {"a": X, "b": X.astype(ml_dtypes.bfloat16)}, labels
    expected = m.fit(*data, batch_size=16, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _dicts(sample):
    """As torch puts dicts together."""
    for first in range(0, 200, 16):
        rows = [sample(i) for i in range(first, min(first + 16, 200))]
        x = {k: Tensor(np.stack([row[0][k] for row in rows])) for k in "ab"}
        yield [x, Tensor(np.asarray([row[1] for row in rows]))]
