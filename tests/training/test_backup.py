"""A run that was killed and started again is the run that was never killed."""

import inspect
import os

import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers
from keraslike.callbacks import BackupAndRestore, Callback, EarlyStopping, LearningRateScheduler
from keraslike.training import loop

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")
STEPS = 6  # an epoch, of 4 samples each


class Noise(layers.Layer):
    def call(self, x, training=False):
        return x + 0.1 * keras.random.normal(x.shape) if training else x  # of the global stream


def make(*more, **kwargs):
    hidden = [layers.Dense(6, activation="tanh"), layers.Dropout(0.5), *more]
    model = keras.Sequential([layers.Input((4,)), *hidden, layers.Dense(1)])
    model.compile(**{"loss": "mse", "optimizer": "adam", "metrics": ["mae"], **kwargs})
    return model


class Killed(Exception):
    pass


class Kill(Callback):
    """Ends a run after so many steps; with `hook`, after so many calls of that."""

    def __init__(self, after, hook="on_train_batch_end"):
        self.left = after
        setattr(self, hook, self.count)

    def count(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Killed


def fit(model, callbacks=(), data=None, epochs=2, samples=24, **kwargs):
    x = {"x": X[:samples], "y": Y[:samples], "batch_size": 4} if data is None else {"x": data()}
    model.fit(**x, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs)
    return model


def assert_same(a, b):
    assert a.history.history == b.history.history
    assert a.history.epoch == b.history.epoch
    for v, w in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    for v, w in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())


def check(directory, kills, save_freq, more=lambda: [], model=make, **kwargs):
    """Trains without a break; then with breaks, each followed by what a new process would do."""

    def begin():
        keras.utils.set_random_seed(7)
        return model()

    whole = fit(begin(), more(), **kwargs)
    state = keras.core.rng.get_state()
    for kill in kills:
        kill = Kill(kill) if isinstance(kill, int) else kill
        with pytest.raises(Killed):
            fit(begin(), [BackupAndRestore(directory, save_freq), *more(), kill], **kwargs)
    assert os.listdir(directory)
    again = fit(begin(), [BackupAndRestore(directory, save_freq), *more()], **kwargs)
    assert_same(whole, again)
    assert keras.core.rng.get_state() == state
    assert not os.path.exists(directory)
    return again


# -- where it was killed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kill", "save_freq", "samples"),  # of 22 samples the last batch has 2
    [(2, 1, 24), (STEPS, 5, 22), (STEPS + 1, STEPS, 22), (2 * STEPS, 4, 24)],
)
def test_killed_at_a_step(tmp_path, kill, save_freq, samples):
    check(tmp_path / "backup", [kill], save_freq, samples=samples)


def test_killed_twice_between_two_backups(tmp_path):
    check(tmp_path / "backup", [8, 4], 3)


def test_killed_at_the_end_of_an_epoch_and_within_one(tmp_path):
    check(tmp_path / "backup", [Kill(2, "on_epoch_end"), 4], "epoch")


def test_moving_averages_and_draws_from_the_global_stream(tmp_path):
    model = lambda: make(layers.BatchNormalization(), Noise())  # noqa: E731
    check(tmp_path / "backup", [STEPS + 3], 2, model=model)


def test_killed_while_validating(tmp_path):
    kill = Kill(2, "on_test_begin")
    check(tmp_path / "backup", [kill], 2, validation_data=(X, Y))


# -- what else belongs to the state -----------------------------------------------------------


def test_other_callbacks_go_on_too(tmp_path):
    def more():
        stop = EarlyStopping("loss", patience=0, mode="max", restore_best_weights=True)
        return [LearningRateScheduler(lambda epoch, rate: rate * 0.5), stop]

    again = check(tmp_path / "backup", [STEPS + 3], 2, more, epochs=3, samples=22)
    rates = again.history.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.0005, 0.00025])  # the loss fell, which was to end it


def test_other_callbacks_begin_with_the_restored_model(tmp_path):
    begun = []

    class Begun(Callback):
        def on_train_begin(self, logs=None):
            begun.append(int(self.model.optimizer.iterations))
            self.model.optimizer.iterations.assign(0)

    check(tmp_path / "backup", [STEPS + 3], 2, lambda: [Begun()])
    assert begun == [0, 0, STEPS + 2]


def test_of_several_steps_a_dispatch(tmp_path):
    check(tmp_path / "backup", [3], 1, model=lambda: make(steps_per_execution=4))


def test_data_that_does_not_stay_on_the_device(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_resident_limit", lambda: 0)
    check(tmp_path / "backup", [STEPS + 2], 3)


def test_losses_and_metrics_with_a_state_of_their_own(tmp_path):
    class Largest(keras.metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.largest = self.add_weight("largest", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest.assign(jnp.maximum(self.largest, jnp.max(jnp.abs(y_pred))))

        def result(self):
            return {"largest": self.largest.value, "both": jnp.stack([self.largest, 1.0])}

    model = lambda: make(metrics=[Largest()])  # noqa: E731
    directory = tmp_path / "backup"
    keras.utils.set_random_seed(7)
    whole = fit(model())
    keras.utils.set_random_seed(7)
    with pytest.raises(Killed):
        fit(model(), [BackupAndRestore(directory, 1), Kill(STEPS + 3)])
    again = fit(model(), [BackupAndRestore(directory, 1)])
    assert again.history.history["largest"] == whole.history.history["largest"]
    np.testing.assert_array_equal(again.history.history["both"], whole.history.history["both"])


def test_an_optax_transform_and_lambdas_need_no_config(tmp_path):
    import optax

    def model():
        factor = jnp.ones(())
        made = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * factor), *[]])
        made.add(layers.Dense(1))
        made.compile(optax.adam(1e-2), lambda t, p: jnp.mean((t - p) ** 2) * factor)
        return made

    check(tmp_path / "backup", [STEPS + 2], 3, model=model)


# -- other data -------------------------------------------------------------------------------


class Dataset(keras.utils.PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, i):
        return X[i * 4 : i * 4 + 4], Y[i * 4 : i * 4 + 4]


def forever():
    generator = np.random.default_rng(5)
    while True:
        rows = generator.integers(0, len(X), 4)
        yield X[rows], Y[rows]


def once():
    return (Dataset()[i % STEPS] for i in range(15))


@pytest.mark.parametrize(
    ("data", "steps"),
    [(Dataset, None), (Dataset, 3), (forever, 5), (once, 5)],
    ids=["PyDataset", "PyDataset by steps", "endless generator", "generator"],
)
def test_streams(tmp_path, data, steps):
    kill = (steps or STEPS) + 3
    check(tmp_path / "backup", [kill], 4, data=data, steps_per_epoch=steps)


def test_a_loader_that_is_iterated_anew_each_epoch(tmp_path):
    class Loader:
        def __iter__(self):
            return (Dataset()[i] for i in range(STEPS))

    check(tmp_path / "backup", [STEPS + 3], 2, data=Loader)


# -- the backup itself ------------------------------------------------------------------------


def test_the_same_objects_go_on_after_an_interrupt(tmp_path):
    keras.utils.set_random_seed(7)
    whole = fit(make())
    keras.utils.set_random_seed(7)
    model, backup, kill = make(), BackupAndRestore(tmp_path / "backup", 1), Kill(STEPS + 2)
    with pytest.raises(Killed):
        fit(model, [backup, kill])
    fit(model, [backup, kill])
    assert_same(whole, model)


def test_more_epochs_with_a_backup_that_was_kept(tmp_path):
    backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    keras.utils.set_random_seed(7)
    model = make()
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[backup])
    assert os.listdir(tmp_path / "backup") == [str(STEPS)]
    again = fit(make(), [BackupAndRestore(tmp_path / "backup")])
    keras.utils.set_random_seed(7)
    assert_same(fit(make()), again)


def test_a_directory_that_holds_something_else_is_left(tmp_path):
    (tmp_path / "notes").write_text("mine")
    fit(make(), [BackupAndRestore(tmp_path)])
    assert os.listdir(tmp_path) == ["notes"]


def test_of_two_backups_the_whole_one_counts(tmp_path):
    keras.utils.set_random_seed(7)
    whole = fit(make())
    for double in (False, True):
        directory = tmp_path / f"backup_{double}"
        keras.utils.set_random_seed(7)
        with pytest.raises(Killed):
            fit(make(), [BackupAndRestore(directory, 2, double), Kill(STEPS + 1)])
        kept = sorted(os.listdir(directory), key=int)
        assert len(kept) == 1 + double
        (directory / kept[-1] / "training" / "metadata").write_text("{")
        if double:
            assert_same(whole, fit(make(), [BackupAndRestore(directory, 2, double)]))
        else:
            with pytest.raises(ValueError, match=f"{kept[-1]}' is damaged"):
                fit(make(), [BackupAndRestore(directory)])


def test_a_backup_of_something_else_is_refused(tmp_path):
    directory = tmp_path / "backup"
    with pytest.raises(Killed):
        fit(make(), [BackupAndRestore(directory, 1), Kill(3)])
    narrow = keras.Sequential([layers.Input((4,)), layers.Dense(1)])
    narrow.compile("adam", "mse", metrics=["mae"])
    for model, match in (
        (narrow, "do not fit|does not fit"),
        (make(optimizer="sgd"), "another optimizer, loss or metrics"),
        (make(metrics=[]), "another optimizer, loss or metrics"),
    ):
        before = model.get_weights()
        with pytest.raises(ValueError, match=match) as error:
            fit(model, [BackupAndRestore(directory)])
        assert str(directory) in str(error.value)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="batch_size=4; fit.. was now given .*batch_size=5"):
        make().fit(X, Y, batch_size=5, verbose=0, callbacks=[BackupAndRestore(directory)])
    with pytest.raises(ValueError, match="num_samples=24"):
        make().fit(X[:9], Y[:9], batch_size=4, verbose=0, callbacks=[BackupAndRestore(directory)])


def test_a_source_that_has_too_little_is_refused(tmp_path):
    directory, batches = tmp_path / "backup", [Dataset()[i] for i in range(STEPS)]
    with pytest.raises(Killed):
        fit(make(), [BackupAndRestore(directory, 1), Kill(5)], lambda: iter(batches))
    with pytest.raises(ValueError, match="has 2 batches, but 4 were used before"):
        fit(make(), [BackupAndRestore(directory, 1)], lambda: iter(batches[:2]))


def test_arguments():
    def arguments(cls):
        return [(p.name, p.default) for p in inspect.signature(cls).parameters.values()]

    assert arguments(BackupAndRestore) == arguments(oracle.callbacks.BackupAndRestore)
    with pytest.raises(ValueError, match="Empty `backup_dir` argument"):
        BackupAndRestore("")
    for bad in ("step", 0, -1, True, 1.5):
        with pytest.raises(ValueError, match="save_freq"):
            BackupAndRestore("x", save_freq=bad)
