"""Data that comes in batches: fetched ahead by a thread, several in a dispatch where steps are
short, and nothing of it to be noticed but the time."""

import threading
import time
import traceback

import numpy as np
import pytest

import keraslike as keras
from keraslike.training.loop import Feed
from keraslike.training.prefetch import Ahead
from keraslike.training.stream_data import StreamData

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
Y = X.sum(axis=1)


def model(steps_per_execution="auto"):
    k = keras.initializers.GlorotUniform(seed=1)
    made = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, kernel_initializer=k)])
    made.compile(
        loss="mse", optimizer="sgd", metrics=["mae"], steps_per_execution=steps_per_execution
    )
    return made


def batches(size=16):
    for i in range(0, len(X), size):
        yield X[i : i + size], Y[i : i + size]


class Dataset(keras.utils.PyDataset):
    ended = 0

    def __len__(self):
        return 13

    def __getitem__(self, n):
        return X[n * 16 : n * 16 + 16], Y[n * 16 : n * 16 + 16]

    def on_epoch_end(self):
        self.ended += 1


@pytest.fixture(scope="module")
def expected():
    return model(1).fit(X, Y, batch_size=16, shuffle=False, verbose=0).history


@pytest.mark.parametrize("steps", ["auto", 1, 5])
@pytest.mark.parametrize(
    "source",
    [batches, Dataset, lambda: Dataset(workers=3)],
    ids=["generator", "dataset", "threads"],
)
def test_the_same_numbers_as_from_arrays(source, steps, expected):
    assert model(steps).fit(source(), shuffle=False, verbose=0).history == expected


def test_processes_that_make_batches(expected):
    dataset = Dataset(workers=2, use_multiprocessing=True)
    assert model().fit(dataset, shuffle=False, verbose=0).history == expected
    assert dataset.ended == 1


class Sequence(Dataset):
    """As those of Keras 2, it does not call `PyDataset.__init__`."""

    def __init__(self, ends=13):
        self.ends = ends

    def __getitem__(self, n):
        if n == self.ends:
            raise StopIteration
        return super().__getitem__(n)


def test_a_dataset_that_does_not_call_its_base(expected):
    assert model().fit(Sequence(), shuffle=False, verbose=0).history == expected
    assert len(list(Sequence())) == 13  # The base class defines the iteration, as in Keras.
    with pytest.raises(NotImplementedError, match="no __len__"):
        keras.utils.PyDataset().num_batches  # noqa: B018


def test_a_batch_that_raises_stop_iteration_does_not_shorten_the_data():
    with pytest.raises(RuntimeError, match="StopIteration"):
        model().predict(Sequence(ends=3), verbose=0)


def test_what_a_dataset_cannot_be_used_for_is_said():
    with pytest.raises(ValueError, match="validation_split needs x to be arrays.*type Dataset"):
        model().fit(Dataset(), validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match="A batch must hold x"):
        model().predict((None for _ in range(2)), verbose=0)


def test_arrays_that_do_not_fit_on_the_device(monkeypatch, expected):
    monkeypatch.setattr("keraslike.training.loop._resident_limit", lambda: 0)
    history = model().fit(X, Y, batch_size=16, shuffle=False, verbose=0).history
    assert history == expected
    m = model()
    np.testing.assert_allclose(m.predict(X, verbose=0), m(X), rtol=1e-6)


def test_a_batch_whose_memory_is_used_again(expected):
    def same_memory():
        x, y = np.empty((16, 4), "float32"), np.empty(16, "float32")
        for some_x, some_y in batches():
            n = len(some_x)
            x[:n], y[:n] = some_x, some_y
            yield (x, y) if n == 16 else (x[:n], y[:n])

    assert model().fit(same_memory(), verbose=0).history == expected


def test_an_exception_comes_at_its_place_with_its_traceback():
    def failing():
        for i, batch in enumerate(batches()):
            if i == 3:
                raise KeyError("my own mistake")
            yield batch

    m = model()
    with pytest.raises(KeyError, match="my own mistake") as caught:
        m.fit(failing(), verbose=0)
    assert "in failing" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert int(m.optimizer.iterations) == 3
    assert not [t for t in threading.enumerate() if t.name == "keraslike-batches"]


def test_memory_is_bounded(monkeypatch):
    """Nobody runs ahead of a step that takes long by more than a few batches."""
    given, ran, most = 0, 0, 0

    def counted():
        nonlocal given
        for _ in range(60):
            given += 1
            yield X[:8], Y[:8]

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            nonlocal ran, most
            ran += 1
            time.sleep(0.002)
            most = max(most, given - ran)

    model().fit(counted(), callbacks=[Slow()], verbose=0)
    assert ran == 60 and most <= 5


def deep(layers=4, width=256):
    made = keras.Sequential([keras.layers.Input((4,))])
    for n in range(layers):
        k = keras.initializers.GlorotUniform(seed=n)
        made.add(keras.layers.Dense(width, "tanh", kernel_initializer=k))
    made.add(keras.layers.Dense(1, kernel_initializer="ones"))
    made.compile(loss="mse", optimizer="sgd")
    return made


def test_steps_of_more_work_go_several_a_dispatch(monkeypatch):
    """As they do where arrays are trained on: in a loop, XLA spends no time on its threads."""
    there, made = [], threading.Event()

    def noted(self, items, most):
        there.append((len(items), most))
        return runner(self, items, most)

    class Slow(Dataset):  # all batches are there before the first is taken
        def __getitem__(self, n):
            if n == 11:
                made.set()
            return super().__getitem__(n)

    def waiting(self, most, wait=False):
        made.wait(10)
        return take(self, most, wait)

    runner, take = Feed._runner, Ahead.take
    monkeypatch.setattr(Feed, "_runner", noted)
    monkeypatch.setattr(Ahead, "take", waiting)
    streamed, arrays = deep(), deep()
    losses = streamed.fit(Slow(), shuffle=False, verbose=0).history["loss"]
    expected = arrays.fit(X, Y, batch_size=16, shuffle=False, verbose=0).history["loss"]
    assert losses == pytest.approx(expected, rel=1e-5)
    assert max(there)[0] > 1 and {most for _, most in there} == {32}


def test_how_many_steps_a_dispatch(monkeypatch):
    """As many as take about 50 ms, and one where the batches are large or the loop slow."""

    def together(work, width):
        feed = Feed.__new__(Feed)
        x = np.zeros((16, width), "float32")
        feed.source = StreamData(iter([(x,)]))
        feed.program = type("Program", (), {"work": lambda *_: work})
        return feed._find_most_batches()

    assert [together(w, 4) for w in (0.5, 10, 40, 41)] == [32, 25, 6, 1]
    assert [together(10, w) for w in (2**14, 2**16, 2**18)] == [8, 2, 1]


def test_a_generator_gives_no_more_than_was_asked_for():
    given = []

    def endless():
        while True:
            given.append(len(given))
            yield X[:8], Y[:8]

    m = model()
    source = endless()
    m.fit(source, steps_per_epoch=4, epochs=2, verbose=0)
    assert len(given) == 8 and int(m.optimizer.iterations) == 8
    m.fit(source, steps_per_epoch=3, verbose=0)
    assert len(given) == 11


def test_a_dataset_shorter_than_the_steps_asked_for_ends_the_epoch():
    """As in Keras."""
    m = model()
    m.fit(Dataset(), steps_per_epoch=13, epochs=2, verbose=0)
    m.fit(Dataset(), steps_per_epoch=30, verbose=0)
    assert int(m.optimizer.iterations) == 26 + 13


def test_stopping_leaves_no_thread():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    def endless():
        while True:
            yield X[:8], Y[:8]

    m = model()
    m.fit(endless(), steps_per_epoch=1000, callbacks=[Stop()], verbose=0)
    assert int(m.optimizer.iterations) == 3
    assert not [t for t in threading.enumerate() if t.name == "keraslike-batches"]


class Unsized:
    """As a `tf.data.Dataset` that does not know its length."""

    def __len__(self):
        raise TypeError("The dataset length is unknown.")

    def __iter__(self):
        return batches()


def test_a_dataset_of_unknown_length(expected):
    assert model().fit(Unsized(), verbose=0, epochs=2).history["loss"][0] == expected["loss"][0]


def test_predict_and_evaluate(expected):
    m = model()
    assert m.evaluate(batches(), verbose=0) == pytest.approx(m.evaluate(X, Y, verbose=0), rel=1e-5)
    predicted = m.predict((x for x, _ in batches()), verbose=0)
    np.testing.assert_allclose(predicted, m(X), rtol=1e-6)


class Counted(Dataset):
    """A dataset without an end that writes down when its epochs begin and end."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.told = []

    @property
    def num_batches(self):
        return None

    def __getitem__(self, n):
        assert self.told, "a batch before the first epoch has begun"
        return super().__getitem__(n % 12)

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_dataset_without_an_end_and_its_epochs(eagerly):
    ours = model(2)
    ours.run_eagerly = eagerly  # after compile(), as one does to debug
    assert ours.run_eagerly is eagerly and ours.jit_compile is not eagerly
    source, ends = Counted(workers=2), []
    hook = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(batch))
    history = ours.fit(source, steps_per_epoch=4, epochs=2, verbose=0, callbacks=[hook])
    assert source.told == ["begin", "end"] * 2 and len(history.history["loss"]) == 2
    assert ends == [1, 3, 1, 3]  # once for the steps of an execution


@pytest.mark.parametrize("method, hook", [("evaluate", "test"), ("predict", "predict")])
def test_a_callback_ends_evaluation_and_prediction(method, hook):
    ours, seen = model(), []

    def stop(batch, logs):
        seen.append(batch)
        setattr(ours, {"evaluate": "stop_evaluating", "predict": "stop_predicting"}[method], True)

    callback = keras.callbacks.LambdaCallback()
    setattr(callback, f"on_{hook}_batch_end", stop)
    for _ in range(2):  # it is of one call
        getattr(ours, method)(
            X if method == "predict" else batches(), callbacks=[callback], verbose=0
        )
    assert seen == [0, 0]
