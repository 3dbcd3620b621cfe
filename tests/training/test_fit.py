"""fit, evaluate and predict: sources of data, callbacks, interrupts, and what is refused."""

import _thread
import contextlib
import random
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import keraslike as keras
from keraslike import layers
from keraslike.core import lowering, rng
from keraslike.training.arrays import class_weights_of

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


def make(loss="mse", optimizer="sgd", metrics=("mae",), **kwargs):
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)]
    )
    model.compile(loss=loss, optimizer=optimizer, metrics=list(metrics), **kwargs)
    return model


def clone(model, **kwargs):
    other = make(**kwargs)
    other.set_weights(model.get_weights())
    return other


class Dataset(keras.utils.PyDataset):
    def __init__(self, size=8):
        super().__init__()
        self.size, self.ended = size, 0

    def __len__(self):
        return -(-len(X) // self.size)

    def __getitem__(self, i):
        rows = slice(i * self.size, (i + 1) * self.size)
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.ended += 1


def batches(size=8):
    for i in range(0, len(X), size):
        yield X[i : i + size], Y[i : i + size]


def forever():
    while True:
        yield from batches()


# -- data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        lambda: {"x": list(batches()), "steps_per_epoch": None},
        lambda: {"x": forever(), "steps_per_epoch": 7},
        lambda: {"x": Dataset(), "shuffle": False},
        lambda: {"x": X.astype("float64"), "y": Y.tolist(), "batch_size": 8, "shuffle": False},
        lambda: {"x": jnp.asarray(X), "y": jnp.asarray(Y), "batch_size": 8, "shuffle": False},
    ],
    ids=["list of batches", "generator", "PyDataset", "float64 and lists", "jax arrays"],
)
def test_every_source_gives_the_same_training(source):
    arguments = source()
    if isinstance(arguments["x"], list):
        batch_list = arguments["x"]
        arguments["x"] = type("Loader", (), {"__iter__": lambda self: iter(batch_list)})()
    reference = make()
    model = clone(reference)
    expected = reference.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    got = model.fit(epochs=2, verbose=0, **arguments).history
    for key in expected:
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-5)


def test_large_arrays_are_sent_batch_by_batch(monkeypatch):
    reference = make()
    model = clone(reference)
    expected = reference.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history
    monkeypatch.setattr("keraslike.training.loop._resident_limit", lambda: 0)
    got = model.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history
    assert got["loss"] == pytest.approx(expected["loss"])


def test_the_last_partial_batch_counts_exactly():
    model = make()
    per_sample = (model.predict(X, verbose=0) - Y) ** 2
    loss, mae = model.evaluate(X, Y, batch_size=16, verbose=0)
    assert loss == pytest.approx(per_sample.mean(), rel=1e-5)
    assert mae == pytest.approx(np.sqrt(per_sample).mean(), rel=1e-5)


def test_shuffling_is_reproducible_and_shuffles():
    histories = []
    reference = make()
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = clone(reference)
        histories.append(model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history["loss"])
    assert histories[0] == histories[1] != histories[2]


def test_pythons_seed_repeats_weights_and_orders(monkeypatch):
    monkeypatch.setattr(rng, "_global", None)  # it comes to be in the first `fit`
    losses = []
    for seed in (1, 1, 2):
        random.seed(seed)
        model = keras.Sequential([layers.Dense(1), layers.Dropout(0.5)])
        model.compile(loss="mse", optimizer="sgd")
        losses.append(model.fit(X, Y, batch_size=8, verbose=0).history["loss"])
    assert losses[0] == losses[1] != losses[2]


def test_dict_inputs_and_validation_split():
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))
    model.compile(loss="mse", optimizer="sgd")
    x = {"a": X[:, :2], "b": X[:, 2:]}
    assert "val_loss" not in model.fit(x, Y, validation_split=None, verbose=0).history
    history = model.fit(x, Y, validation_split=0.2, verbose=0).history
    expected = model.evaluate({"a": X[40:, :2], "b": X[40:, 2:]}, Y[40:], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_sample_weights_and_class_weights_agree():
    labels = (X[:, 0] > 0).astype("int32")
    reference = make("binary_crossentropy")
    one, two = (
        clone(reference, loss="binary_crossentropy"),
        clone(reference, loss="binary_crossentropy"),
    )
    weights = np.where(labels == 1, 3.0, 0.5).astype("float32")
    a = one.fit(X, labels, sample_weight=weights, shuffle=False, verbose=0).history["loss"]
    b = two.fit(X, labels, class_weight={0: 0.5, 1: 3.0}, shuffle=False, verbose=0).history["loss"]
    assert a == pytest.approx(b)


@pytest.mark.parametrize(
    ("y", "class_weight", "expected"),
    [
        ([-1.0, 1.0, -1.0], {-1: 2.0, 1: 5.0}, [2.0, 5.0, 2.0]),
        ([[-1], [1], [3]], {-1.0: 2.0}, [2.0, 1.0, 1.0]),
        ([[0.2, 0.8], [0.9, 0.1]], {1: 3.0}, [3.0, 1.0]),
        ([True, False], {}, [1.0, 1.0]),
        ([np.array([0, 1])], {1: 3.0}, [1.0, 3.0]),
    ],
)
def test_class_weights(y, class_weight, expected):
    y = y if isinstance(y[0], np.ndarray) else np.array(y)
    assert class_weights_of(y, class_weight).tolist() == expected


def test_predict_shapes_and_single_batches():
    model = make()
    out = model.predict(X, batch_size=7, verbose=0)
    assert isinstance(out, np.ndarray) and out.shape == (50, 1)
    np.testing.assert_allclose(out, model(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X), out, rtol=1e-5, atol=1e-6)
    fused = clone(model, steps_per_execution=3).predict(X, batch_size=7, verbose=0)
    np.testing.assert_allclose(fused, out, rtol=1e-5, atol=1e-6)
    tested = model.test_on_batch(X, Y, return_dict=True)
    assert set(tested) == {"loss", "mae"}
    # The logs are those of the batch alone, whatever came before.
    first = model.train_on_batch(X, Y)
    assert first == pytest.approx(list(tested.values()), rel=1e-5)
    assert model.train_on_batch(X, Y)[0] < first[0]
    half = model.test_on_batch(X[:25], Y[:25])
    assert half == pytest.approx(model.evaluate(X[:25], Y[:25], batch_size=25, verbose=0), rel=1e-5)


def test_a_model_may_contain_the_size_of_a_batch():
    class Noisy(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x * keras.random.uniform((8, 1)))

    x = np.ones((16, 3), "float32")
    model = Noisy()
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=8, verbose=0)
    assert model.predict(x, batch_size=8, verbose=0).shape == (16, 3)


def test_optax_transforms_train():
    model = make(optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.01)))
    losses = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_run_eagerly_gives_the_same_and_runs_python_each_step():
    calls = []

    def loss(y, p):
        calls.append(1)
        return jnp.mean((y - p) ** 2, axis=-1)

    reference = make(loss=loss)
    reference_history = clone(reference, loss=loss).fit(X, Y, shuffle=False, verbose=0).history
    compiled = len(calls)
    calls.clear()
    model = clone(reference, loss=loss, run_eagerly=True)
    history = model.fit(X, Y, batch_size=32, shuffle=False, verbose=0).history
    assert history["loss"] == pytest.approx(reference_history["loss"], rel=1e-5)
    assert len(calls) >= 2 and compiled <= 3


def test_freezing_needs_no_recompilation_by_the_user():
    model = make()
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[2] - after[2]).max() > 0


def test_a_second_fit_compiles_nothing(monkeypatch):
    model = make()
    model.fit(X, Y, epochs=2, verbose=0)
    program = model._step_programs["train"]
    traces = []
    step = type(model).train_step
    monkeypatch.setattr(type(model), "train_step", lambda s, d: traces.append(1) or step(s, d))
    model.fit(X, Y, epochs=2, verbose=0)
    assert model._step_programs["train"] is program and not traces


# -- arrays that a user holds -----------------------------------------------------------------


def test_arrays_a_user_holds_stay_valid():
    model = make()
    kernel = model.layers[0].kernel
    held = [kernel.value]
    copies = [np.array(kernel.value)]

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            held.append(kernel.value)
            copies.append(np.array(kernel.value))

        def on_train_batch_end(self, batch, logs=None):
            held.append(kernel.value)
            copies.append(np.array(kernel.value))

    model.fit(X, Y, epochs=3, verbose=0, callbacks=[Keep()])
    model.fit(X, Y, epochs=2, verbose=0)
    for array, copied in zip(held, copies, strict=True):
        np.testing.assert_array_equal(array, copied)
    model.layers[0].bias.assign(held[0][0])
    model.layers[1].bias.assign(held[0][0, :1])
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(held[0], copies[0])


# -- callbacks --------------------------------------------------------------------------------


def test_hooks_are_called_in_order_with_true_values():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append("train")

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(f"epoch {epoch}")

        def on_train_batch_begin(self, batch, logs=None):
            seen.append(f"batch {batch}")

        def on_train_batch_end(self, batch, logs=None):
            assert isinstance(logs["loss"], float)
            seen.append(int(self.model.optimizer.iterations))

        def on_test_begin(self, logs=None):
            seen.append("test")

        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(logs))

        def on_train_end(self, logs=None):
            seen.append("end")

    make().fit(
        X, Y, batch_size=25, epochs=4, initial_epoch=3, verbose=0, callbacks=[Watch()],
        validation_data=(X, Y),
    )  # fmt: skip
    assert seen == [
        "train", "epoch 3", "batch 0", 1, "batch 1", 2, "test",
        ["loss", "mae", "val_loss", "val_mae"], "end",
    ]  # fmt: skip


def test_logs_that_nobody_reads_are_in_the_history_as_those_that_somebody_reads():
    model = make(metrics=["mae", "mse"])
    other = clone(model, metrics=["mae", "mse"])
    read = []
    watcher = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: read.append(logs))
    more = {"epochs": 4, "shuffle": False, "verbose": 0, "batch_size": 8}
    quiet = model.fit(X, Y, **more)
    watched = other.fit(X, Y, callbacks=[watcher], **more)
    assert quiet.history == watched.history and quiet.epoch == watched.epoch == [0, 1, 2, 3]
    assert [logs["mae"] for logs in read] == quiet.history["mae"]
    assert all(type(v) is float for values in quiet.history.values() for v in values)
    mine = keras.callbacks.History()
    assert model.fit(X, Y, callbacks=[mine], **more).history == mine.history
    validated = model.fit(X, Y, validation_data=(X, Y), **more).history
    assert [len(values) for values in validated.values()] == [4] * 6


def test_an_epoch_that_ends_in_an_error_leaves_the_history_of_those_before(monkeypatch):
    model, drawn = make(), []

    def draw(source):
        drawn.append(source)
        if len(drawn) > 4:
            raise RuntimeError("no more")

    monkeypatch.setattr("keraslike.training.data.ArrayData.draw", draw)
    with pytest.raises(RuntimeError, match="no more"):
        model.fit(X, Y, epochs=9, verbose=0, shuffle=False)
    history = model.history
    assert history.epoch == [0, 1] and len(history.history["loss"]) == 2


def test_early_stopping_by_a_value_of_its_own():
    class Falling(keras.callbacks.EarlyStopping):
        def get_monitor_value(self, logs):
            return -logs["loss"]  # which rises from epoch to epoch

    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((4, 1))
    assert len(model.fit(x, 0 * x, epochs=5, verbose=0, callbacks=[Falling("loss")]).epoch) == 2


def test_early_stopping_restores_the_best_weights():
    model = make(optimizer=keras.optimizers.SGD(0.05))
    kept = []

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append((logs["val_loss"], self.model.get_weights()))
            if epoch == 2:
                self.model.optimizer.learning_rate = 5.0

    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    history = model.fit(
        X, Y, epochs=30, verbose=0, validation_data=(X, Y), callbacks=[Spoil(), stop]
    )
    assert len(history.epoch) < 30
    best = min(range(len(kept)), key=lambda i: kept[i][0])
    for a, b in zip(model.get_weights(), kept[best][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_learning_rate_changes_take_effect_at_once():
    rates = []

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(round(float(np.asarray(self.model.optimizer.learning_rate)), 6))

    model = make(optimizer=keras.optimizers.SGD(0.1))
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[schedule, Read()]).history
    assert rates == [0.05, 0.025, 0.0125]
    assert history["learning_rate"] == pytest.approx(rates)
    model.optimizer.learning_rate.assign(0.0)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_model_checkpoint(tmp_path):
    model = make()
    path = tmp_path / "{epoch}-{val_loss:.3f}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
    model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[checkpoint])
    saved = sorted(tmp_path.glob("*.keras"))
    assert len(saved) == 2
    loaded = keras.saving.load_model(saved[-1])
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    older = keras.callbacks.ModelCheckpoint(tmp_path / "model.h5")
    model.fit(X, Y, verbose=0, callbacks=[older])
    loaded = keras.saving.load_model(tmp_path / "model.h5")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"must end in '\.keras' or '\.h5'"):
        keras.callbacks.ModelCheckpoint("model.txt")


def test_lambda_callback_and_terminate_on_nan(capsys):
    ends = []
    model = make(optimizer=keras.optimizers.SGD(1e30))
    history = model.fit(
        X, Y, batch_size=5, epochs=5, verbose=0,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: ends.append(b)),
        ],
    )  # fmt: skip
    assert len(history.epoch) == 1 and len(ends) < 10
    with pytest.raises(ValueError, match="on_nothing is not a hook"):
        keras.callbacks.LambdaCallback(on_nothing=print)


def test_an_exception_in_a_callback_leaves_the_last_finished_step():
    model = make()
    snapshots = []

    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            snapshots.append(self.model.get_weights())
            if batch == 2:
                raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Fails()])
    assert int(model.optimizer.iterations) == 3
    for a, b in zip(model.get_weights(), snapshots[-1], strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(X, Y, verbose=0)


def test_ctrl_c_in_the_middle_of_fit():
    assert threading.current_thread() is threading.main_thread()
    model = make()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" ignores it
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, batch_size=1, epochs=100_000, verbose=0)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    steps = int(model.optimizer.iterations)
    assert steps > 0
    losses = model.history.history.get("loss", [])
    assert steps // 50 - len(losses) in (0, 1) and all(type(loss) is float for loss in losses)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(X, Y, batch_size=1, verbose=0)
    assert int(model.optimizer.iterations) == steps + 50


class _Late(BaseException):
    pass


@pytest.mark.parametrize("signal_of", ["SIGALRM", "SIGTERM", "SIGINT"])
def test_handlers_of_signals_wait_for_the_end_of_a_dispatch(signal_of, monkeypatch):
    number, called = getattr(signal, signal_of), []
    model = make()
    model.fit(X, Y, verbose=0)
    store = lowering.store

    def disturbed(variables, values):
        monkeypatch.undo()
        signal.raise_signal(number)  # The old arrays are donated, the new ones not yet stored.
        store(variables, values)

    def handle(*args):
        called.append(args[0])
        if len(called) == 1:
            raise _Late

    before = signal.signal(number, handle)
    try:
        for _ in range(2):
            monkeypatch.setattr(lowering, "store", disturbed)
            with pytest.raises(_Late) if not called else contextlib.nullcontext():
                model.fit(X, Y, verbose=0)
            assert all(np.isfinite(w).all() for w in model.get_weights())
        assert called == [number] * 2 and signal.getsignal(number) is handle

        class Installs(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                signal.signal(number, print)

        model.fit(X, Y, verbose=0, callbacks=[Installs()])
        assert signal.getsignal(number) is print
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed(verbose, capsys):
    make().fit(X, Y, epochs=2, verbose=verbose, validation_data=(X, Y))
    out = capsys.readouterr().out
    if verbose == 0:
        assert out == ""
        return
    lines = out.strip().splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert len(lines) == 4 and lines[1].startswith("2/2 ")
    for name in ("loss: ", "mae: ", "val_loss: ", "val_mae: ", "/step"):
        assert name in lines[1]


# -- steps of the user's own --------------------------------------------------------------------


def test_train_step_overridden_with_state():
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data[:2]
            loss, grads = keras.value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(self)
            self.optimizer.apply(grads, self.trainable_variables)
            self.seen.update_state(loss)
            return {"seen": self.seen.result()}

    model = Custom()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(X, Y, epochs=5, verbose=0).history
    assert list(history) == ["seen"] and history["seen"][-1] < history["seen"][0]


def test_train_step_overridden_in_keras_stateless_form():
    class Stateless(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, state, data):
            trainable, others, optimizer, metrics = state
            x, y = data[:2]

            def loss_fn(values):
                pred, new = self.stateless_call(values, others, x, training=True)
                return jnp.mean((pred - y) ** 2), new

            (loss, others), grads = jax.value_and_grad(loss_fn, has_aux=True)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            return {"loss": loss}, (trainable, others, optimizer, metrics)

    model = Stateless()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    losses = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and int(model.optimizer.iterations) == 10


def test_empty_validation_data_are_none():
    """Keras, too, trains without validation where they are arrays."""
    batches = keras.data.Dataset.from_tensor_slices((X[:0], Y[:0])).batch(2)
    for empty in ((X[:0], Y[:0]), batches, batches.map(lambda x, y: (x, y))):
        with pytest.warns(UserWarning, match="validation_data is empty"):
            history = make().fit(X, Y, validation_data=empty, epochs=2, verbose=0).history
        assert sorted(history) == ["loss", "mae"]


# -- what is refused ----------------------------------------------------------------------------

BAD = {
    "empty": (lambda m: m.fit(X[:0], Y[:0]), ValueError, r"x is empty.*\(0, 4\)"),
    "features": (lambda m: m.fit(X[:, :3], Y), ValueError, r"axis -1 .*value 4.*\(None, 3\)"),
    "rank": (lambda m: m.fit(X[:, None], Y), ValueError, "ndim=2, found ndim=3"),
    "samples": (lambda m: m.fit(X, Y[:7]), ValueError, "x: 50, y: 7"),
    "no data": (lambda m: m.fit(), ValueError, "x is missing"),
    "no targets": (lambda m: m.fit(X), ValueError, "needs y"),
    "strings": (lambda m: m.fit(X.astype(str), Y), ValueError, "takes numbers of dtype"),
    "batch size": (
        lambda m: m.fit(X, Y, batch_size=0),
        ValueError,
        "batch_size must be an integer of at least 1",
    ),
    "split": (lambda m: m.fit(X, Y, validation_split=1.5), ValueError, "validation_split must"),
    "generator and y": (lambda m: m.fit(forever(), Y), ValueError, "`y` should not be passed"),
    "empty generator": (lambda m: m.fit(iter(())), ValueError, "no batches"),
    "callback": (lambda m: m.fit(X, Y, callbacks=[3]), TypeError, "callbacks must hold"),
    "loss name": (lambda m: m.compile(loss="msee"), ValueError, "'msee'.*Did you mean 'mse'"),
    "metric name": (lambda m: m.compile(metrics=["maee"]), ValueError, "'maee'.*Did you mean"),
    "optimizer": (lambda m: m.compile(optimizer="adamm"), ValueError, "'adamm'.*Did you mean"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, error, words = BAD[case]
    model = make()
    before, optimizer = model.get_weights(), model.optimizer
    with pytest.raises(error, match=words):
        call(model)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer is optimizer
    model.fit(X, Y, verbose=0)  # still usable


def test_fit_before_compile():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(1)])
    for method in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ValueError, match="You must call `compile"):
            method(X, Y)


def test_targets_that_cannot_match_the_predictions():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3)])
    model.compile(loss="mse", optimizer="sgd")
    with pytest.raises(ValueError, match=r"\(32, 5\).*\(32, 3\)"):
        model.fit(X, np.ones((50, 5)), verbose=0)


def test_a_loss_that_is_no_scalar_is_evaluated_but_does_not_train():
    model = make(loss=keras.losses.MeanSquaredError(reduction=None))
    with pytest.raises(ValueError, match=rf"\({len(X)},\)"):
        model.fit(X, Y, batch_size=len(X), verbose=0)
    loss = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(
        loss, rel=1e-5
    )


def test_without_a_loss_a_model_is_evaluated_but_not_trained():
    model = make(loss=None)
    loss, error = model.evaluate(X, Y, verbose=0)
    assert loss == 0
    assert error == pytest.approx(np.mean(np.abs(model.predict(X, verbose=0) - Y)), rel=1e-5)
    assert model.test_on_batch(X, Y) == pytest.approx([0, error], rel=1e-5)
    with pytest.raises(ValueError, match="no loss to minimize"):
        model.fit(X, Y, verbose=0)


def test_an_object_as_a_metric_is_reported_by_its_name():
    class OwnError:
        def __call__(self, y_true, y_pred):
            return y_true - y_pred

    model = make()
    model.compile("sgd", "mse", metrics=[keras.losses.MeanAbsoluteError(), OwnError()])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "mean_absolute_error", "own_error"}  # as in Keras


def test_a_metric_of_ones_own_sees_targets_as_a_column():
    class AbsoluteError(keras.metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.total = self.add_weight("total", initializer="zeros")
            self.count = self.add_weight("count", initializer="zeros")

        def update_state(self, y_true, y_pred):
            self.total.assign_add(jnp.sum(jnp.abs(y_true - y_pred)))
            self.count.assign_add(float(y_true.size))

        def result(self):
            # A Variable is reported as its value.
            return {"mine": self.total / self.count, "count": self.count}

    model = make(metrics=["mae", AbsoluteError()])
    results = model.evaluate(X, Y[:, 0], verbose=0, return_dict=True)
    assert results["mine"] == pytest.approx(results["mae"], rel=1e-5)
    assert results["count"] == len(X)


def test_state_that_the_first_batch_makes_is_taken_in():
    model = make(metrics=[keras.metrics.R2Score()])
    history = model.fit(X, Y, epochs=3, verbose=0).history["r2_score"]
    residual = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    r2 = model.evaluate(X, Y, verbose=0)[1]
    assert r2 == pytest.approx(1 - residual / Y.var(), rel=1e-4) and len(history) == 3
