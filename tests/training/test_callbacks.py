"""Callbacks in what their arguments and odd cases mean."""

import copy
import http.server
import io
import json
import os
import threading
import urllib.parse

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf

X = np.ones((8, 3), "float32")
Y = np.ones((8, 1), "float32")


def make():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("kind", ["ModelCheckpoint", "OrbaxCheckpoint"])
def test_a_model_that_cannot_be_told_to_be_better_is_saved_with_a_warning(kind, tmp_path):
    path = tmp_path / ("m.keras" if kind == "ModelCheckpoint" else "checkpoints")
    saver = getattr(keras.callbacks, kind)(path, monitor="unknown", save_best_only=True, mode="min")
    with pytest.warns(UserWarning, match="'unknown', which is not among the logs: loss"):
        model = make()
        model.fit(X, Y, verbose=0, callbacks=[saver])
    loaded = keras.saving.load_model(path)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_no_better_is_not_saved_but_orbaxs_directory_is_made(tmp_path):
    saver = keras.callbacks.OrbaxCheckpoint(
        tmp_path / "a" / "b", monitor="loss", save_best_only=True, initial_value_threshold=-1.0
    )
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "m.keras", monitor="loss", save_best_only=True, initial_value_threshold=-1.0
    )
    make().fit(X, Y, verbose=0, callbacks=[saver, best])
    assert os.listdir(tmp_path / "a" / "b") == [] and not (tmp_path / "m.keras").exists()


def test_save_freq_counts_batches_however_many_a_dispatch_runs(tmp_path):
    model = make()
    in_threes = ["3", "6", "9"]  # Of 8 batches: an execution counts as a whole one.
    for steps, freq, expected in (1, 2, ["2", "4", "6", "8"]), (3, 2, in_threes), (3, 3, in_threes):
        model.compile("sgd", "mse", steps_per_execution=steps)
        folder = tmp_path / f"{steps}-{freq}"
        saver = keras.callbacks.ModelCheckpoint(folder / "{batch}.weights.h5", save_freq=freq,
                                                save_weights_only=True)  # fmt: skip
        model.fit(X, Y, batch_size=1, shuffle=False, verbose=0, callbacks=[saver])
        assert sorted(name.split(".")[0] for name in os.listdir(folder)) == expected
    with pytest.raises(ValueError, match="positive number of steps"):
        keras.callbacks.ModelCheckpoint(tmp_path / "m.keras", save_freq=0)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("source", ["arrays", "generator"])
def test_an_execution_of_several_steps_is_told_as_in_keras(source, eagerly):
    """By the numbers that it may have, and it is not cut short by a number of steps."""
    import keras as real

    def run(framework, method, steps, count, of):
        k = framework
        model = k.Sequential([k.Input((3,)), k.layers.Dense(1, kernel_initializer="ones")])
        optimizer = k.optimizers.SGD(0.01)
        model.compile(optimizer, "mse", steps_per_execution=count, run_eagerly=eagerly)
        told = []
        hooks = {
            f"on_{mode}_batch_{end}": lambda batch, logs, end=end: told.append((end, batch))
            for mode in ("train", "test", "predict")
            for end in ("begin", "end")
        }
        hooks["on_train_begin"] = lambda logs: told.append(callback.params["steps"])
        callback = k.callbacks.LambdaCallback(**hooks)
        batches = ((X[i % 6 : i % 6 + 2], Y[i % 6 : i % 6 + 2]) for i in range(0, 99, 2))
        data = {"x": batches} if source == "generator" else {"x": X[:7], "batch_size": 2}
        if method != "predict" and source == "arrays":
            data["y"] = Y[:7]
        named = {"steps_per_epoch" if method == "fit" else "steps": steps} | of
        given = getattr(model, method)(**data, **named, verbose=0, callbacks=[callback])
        return told, given.history["loss"] if method == "fit" else np.asarray(given)

    once = {"shuffle": False, "epochs": 2}
    for case in (("fit", 3, 2, once), ("evaluate", 3, 2, {}), ("predict", 2, 4, {})):
        (told, given), (expected, numbers) = run(keras, *case), run(real, *case)
        assert told == expected, case
        np.testing.assert_allclose(given, numbers, rtol=1e-5)
    if source == "arrays":
        assert run(keras, "fit", None, 5, once)[0] == [4, *[("begin", 0), ("end", 4)] * 2]


def test_lambda_callback_keeps_other_functions_as_attributes():
    callback = keras.callbacks.LambdaCallback(custom=max, on_train_end=lambda logs: None)
    assert callback.custom(1, 2) == 2
    with pytest.raises(ValueError, match="on_nothing is not a hook"):
        keras.callbacks.LambdaCallback(on_nothing=print)


def test_history_sorts_its_names_and_callbacks_add_theirs_at_the_end():
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["added"] = "text"

        def on_train_end(self, logs=None):
            assert "added" not in logs  # as in Keras

    model = make()
    model.compile("sgd", "mse", metrics=["mae", "accuracy"])
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[Adds()]).history
    assert list(history) == [
        "accuracy", "loss", "mae", "val_accuracy", "val_loss", "val_mae", "added"
    ]  # fmt: skip
    assert history["added"] == ["text"]


def test_utilities_give_jax_arrays_of_jax_arrays():
    labels, rows = jnp.array([0, 2]), jnp.array([[3.0, 4.0]])
    one_hot, unit = keras.utils.to_categorical(labels, 3), keras.utils.normalize(rows)
    assert isinstance(one_hot, jax.Array) and isinstance(unit, jax.Array)
    of_list = keras.utils.to_categorical([0, 2], 3)
    np.testing.assert_array_equal(one_hot, of_list)
    assert one_hot.dtype == "float32" and of_list.dtype == "float64"  # as in Keras
    np.testing.assert_allclose(unit, [[0.6, 0.8]], rtol=1e-6)
    assert isinstance(keras.utils.normalize([[3.0, 4.0]]), np.ndarray)


def test_a_compile_that_takes_other_arguments_is_left_to_its_author(tmp_path):
    @keras.saving.register_keras_serializable(package="test_callbacks")
    class Own(keras.Sequential):
        def compile(self, rate):
            super().compile(keras.optimizers.SGD(rate), "mse")

    model = Own([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(0.1)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="model's `compile\\(\\)` method is custom"):
        loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.compiled and not hasattr(
        loaded, "optimizer"
    )  # Keras says that it is, and fails in fit()
    loaded.compile(0.1)
    loaded.fit(X, Y, verbose=0)


# -- tables, servers and event files ------------------------------------------------------------


def test_csv_files_are_those_of_keras(tmp_path):
    import keras as real

    epochs = [
        {"loss": 0.5, "acc": np.array([1.0, 2.0])},
        {"loss": 0.25, "acc": 1, "val_loss": 2.0, "other": 3},
    ]
    for library, name in ((keras, "ours.csv"), (real, "keras.csv")):
        for append in (False, True, True):
            logger = library.callbacks.CSVLogger(tmp_path / name, separator=";", append=append)
            logger.on_train_begin()
            for epoch, logs in enumerate(epochs):
                logger.on_epoch_end(epoch, logs)
            logger.on_train_end()
    ours = (tmp_path / "ours.csv").read_bytes()
    assert ours == (tmp_path / "keras.csv").read_bytes() and ours.count(b"epoch;acc;loss") == 1


def test_remote_monitor_posts_a_form_or_json():
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, self.headers["Content-Type"], self.headers["Key"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        for as_json in (False, True):
            monitor = keras.callbacks.RemoteMonitor(
                root, path="/p", headers={"Key": "k"}, send_as_json=as_json
            )
            monitor.on_epoch_end(3, {"loss": np.float32(0.5), "list": np.arange(2)})
        server.shutdown()
    sent = {"epoch": 3, "loss": 0.5, "list": [0, 1]}
    (form, as_json) = received
    assert form[:3] == ("/p", "application/x-www-form-urlencoded", "k")
    assert json.loads(urllib.parse.parse_qs(form[3])["data"][0]) == sent
    assert as_json[:3] == ("/p", "application/json", "k") and json.loads(as_json[3]) == sent
    with pytest.warns(UserWarning, match="Could not reach RemoteMonitor root server at http"):
        monitor.on_epoch_end(0, {})  # the server is gone
    with pytest.raises(ValueError, match="root must begin with http"):
        keras.callbacks.RemoteMonitor("file:///tmp")


def events_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(e.step, make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_reads_its_event_files(tmp_path):
    from PIL import Image
    from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def

    inputs = keras.Input((3,))
    hidden = [keras.layers.Dense(2, name=name)(inputs) for name in "ab"]
    model = keras.Model(
        inputs, keras.layers.Dense(1, name="c")(keras.layers.Add(name="add")(hidden))
    )
    model.compile("sgd", "mse")
    board = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=2, write_images=True, update_freq=2, write_steps_per_second=True,
        profile_batch=(2, 3),
    )  # fmt: skip
    writer = tf.summary.create_file_writer(str(tmp_path / "own"))

    def draw(epoch, logs):
        with writer.as_default(step=epoch):
            tf.summary.image("pictures", np.full((1, 4, 6, 3), 0.5 * epoch))
            tf.summary.text("words", "*so*")

    own = keras.callbacks.LambdaCallback(on_epoch_end=draw)
    history = model.fit(
        X, Y, batch_size=2, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[board, own]
    ).history
    writer.close()
    train, validation = events_of(tmp_path / "train"), events_of(tmp_path / "validation")
    assert [(s, float(v)) for s, v in train["epoch_loss"]] == list(enumerate(history["loss"]))
    assert [float(v) for _, v in validation["epoch_loss"]] == history["val_loss"]
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [4, 8]
    assert [step for step, _ in train["batch_loss"]] == [2, 4, 6, 8]
    assert {"batch_steps_per_second", "epoch_steps_per_second", "epoch_learning_rate"} <= set(train)
    ((step, table),) = train["a/kernel/histogram"]
    assert step == 0 and table.shape == (30, 3) and table[:, 2].sum() == 6
    (graph,) = [json.loads(value.item()) for _, value in train["keras"]]
    nodes = {node.name.split("/")[1]: node.input for node in keras_model_to_graph_def(graph).node}
    assert [i.split("/")[1] for i in nodes["add"]] == ["a", "b"] and "c" in nodes
    pictures = events_of(tmp_path / "own")
    width, height, png = pictures["pictures"][1][1]
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert (width, height) == (b"6", b"4") and picture.shape == (4, 6, 3)
    assert (picture == 128).all() and pictures["words"][0][1].item() == b"*so*"
    assert list((tmp_path / "train" / "plugins" / "profile").rglob("*.xplane.pb"))
    with pytest.raises(ValueError, match="profile_batch must be"):
        keras.callbacks.TensorBoard(tmp_path, profile_batch=(3, 2))


def test_tensorboard_shows_embeddings_in_the_projector(tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    layers = [keras.Input((2,)), keras.layers.Embedding(5, 3, name="words"), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    board = keras.callbacks.TensorBoard(
        tmp_path, embeddings_freq=1, embeddings_metadata={"words": "words.txt"}
    )
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[board])
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (shown,) = config.embeddings
    assert shown.metadata_path == "words.txt"
    vectors = np.loadtxt(tmp_path / shown.tensor_path, delimiter="\t")
    np.testing.assert_allclose(vectors, model.layers[0].get_weights()[0], rtol=1e-5)
    with pytest.raises(ValueError, match="Received: .'other'."):
        keras.callbacks.TensorBoard(
            tmp_path, embeddings_freq=1, embeddings_metadata={"other": "a"}
        ).set_model(model)


def test_event_files_of_odd_values_can_be_read(tmp_path):
    writer = tf.summary.create_file_writer(tmp_path)
    with writer.as_default(), tf.summary.record_if(lambda: True):
        for tag, values in {"nan": [np.nan, 1.0, 3.0], "one": [2.0, 2.0], "none": []}.items():
            tf.summary.histogram(tag, values, step=2**40, buckets=4)

        @tf.function
        def traced(x):
            tf.summary.scalar("traced", tf.reduce_sum(x), step=-1)
            return x

        traced(tf.ones((3,)))
        with pytest.raises(ValueError, match="No step set for 'a'"):
            tf.summary.scalar("a", 1.0)
        with pytest.raises(ValueError, match="1 to 4 channels"):
            tf.summary.image("a", np.ones((2, 2)), step=0)
        with tf.summary.record_if(False):
            assert not tf.summary.scalar("a", 1.0, step=0)
    writer.close()
    events = events_of(tmp_path)
    assert [(tag, events[tag][0][1][:, 2].tolist()) for tag in ("nan", "one", "none")] == [
        ("nan", [1, 0, 0, 1]), ("one", [0, 0, 0, 2]), ("none", [0, 0, 0, 0])
    ]  # fmt: skip
    assert events["nan"][0][0] == 2**40 and events["traced"] == [(-1, 3.0)]


# -- the others ---------------------------------------------------------------------------------


def test_rates_fall_on_a_plateau_as_those_of_keras():
    import keras as real

    values = [5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.5, 3.5, 3.5, 3.5, 3.5]
    rates = []
    for library in (keras, real):
        model = library.Sequential([library.Input((3,)), library.layers.Dense(1)])
        model.compile(library.optimizers.SGD(1.0), "mse")
        reduce = library.callbacks.ReduceLROnPlateau(
            "loss", factor=0.5, patience=2, cooldown=1, min_lr=0.2
        )
        reduce.set_model(model)
        reduce.on_train_begin()
        logs = [{"loss": value} for value in values]
        for epoch, log in enumerate(logs):
            reduce.on_epoch_end(epoch, log)
        rates.append([log["learning_rate"] for log in logs])
    assert rates[0] == rates[1] and rates[0][-1] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="must be below 1"):
        keras.callbacks.ReduceLROnPlateau(factor=1)
    with pytest.raises(TypeError, match="no such arguments: .'patiance'"):
        keras.callbacks.ReduceLROnPlateau(patiance=3)


@pytest.mark.parametrize(
    "metric, larger",
    [
        ("accuracy", True),
        (keras.metrics.CosineSimilarity(name="alike"), True),
        (keras.metrics.R2Score(name="r2"), True),
        ("mae", False),
        (keras.metrics.RootMeanSquaredError(name="wrong"), False),
        (lambda y_true, y_pred: y_pred, None),
    ],
)
def test_what_is_best_is_told_by_the_metric_or_refused(metric, larger):
    model = make()
    model.compile("sgd", "mse", metrics=[metric])
    name = metric if isinstance(metric, str) else getattr(metric, "name", "lambda")
    stop = keras.callbacks.EarlyStopping(name, patience=5)
    assert (stop.wait, stop.stopped_epoch, stop.best_weights) == (0, 0, None)
    if larger is None:
        with pytest.raises(ValueError, match="when larger or smaller: pass mode='max' or"):
            model.fit(X, Y, verbose=0, callbacks=[stop])
    else:
        model.fit(X, Y, verbose=0, callbacks=[stop])
        assert stop._is_improvement(2.0, 1.0) is larger


@pytest.mark.slow
def test_the_averages_of_weights_are_in_the_model_where_it_is_evaluated(tmp_path):
    def averaged():
        keras.utils.set_random_seed(3)
        model = make()
        model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
        return model

    class StopEarly(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    data = {"batch_size": 2, "epochs": 2, "verbose": 0, "shuffle": False}
    plain = averaged()
    validated = plain.fit(X, Y, validation_data=(X, Y), **data).history["val_loss"]
    expected = plain.get_weights()  # fit ends with the averages
    for data["epochs"], swap_on_epoch in ((2, False), (2, True), (9, True)):
        model = averaged()
        path = tmp_path / "m.weights.h5"
        history = model.fit(
            X, Y, validation_data=(X, Y), **data,
            callbacks=[
                keras.callbacks.SwapEMAWeights(swap_on_epoch),
                StopEarly(),
                keras.callbacks.ModelCheckpoint(path, save_weights_only=True),
            ],
        ).history  # fmt: skip
        for found, wanted in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        loss = model.evaluate(X, Y, verbose=0)
        assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-5) != validated[-1]
        model.load_weights(path)
        assert (model.evaluate(X, Y, verbose=0) == pytest.approx(loss, rel=1e-5)) == swap_on_epoch
    with pytest.raises(ValueError, match="must be used when `use_ema=True` is set"):
        make().fit(X, Y, validation_data=(X, Y), callbacks=[keras.callbacks.SwapEMAWeights()])


def test_a_list_of_callbacks_serves_a_loop_of_ones_own_and_fit(capsys):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs))

        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, dict(logs), self.params["steps"]))
            logs["added"] = 1.0

    model = make()
    callbacks = keras.callbacks.CallbackList(
        [[Watch()]], add_history=True, add_progbar=True, model=model, epochs=1, steps=2, verbose=2
    )
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for step in range(2):
        callbacks.on_train_batch_begin(step)
        callbacks.on_train_batch_end(step, {"loss": jnp.float32(0.5)})
    callbacks.on_epoch_end(0, logs={"loss": jnp.float32(0.25)})
    callbacks.on_train_end({})
    assert seen == [(0, {"loss": 0.5}), (1, {"loss": 0.5}), (0, {"loss": 0.25}, 2)]
    assert model.history.history == {"loss": [0.25], "added": [1.0]}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2/2 - 0s - ")  # a single epoch has no number, as in Keras
    assert lines[0].endswith("loss: 0.2500 - added: 1.0000")
    del seen[:]
    history = model.fit(X, Y, batch_size=4, callbacks=callbacks)
    assert [entry[0] for entry in seen] == [0, 1, 0] and history is model.history
    assert history.history["loss"][-1] == seen[-1][1]["loss"]
    with pytest.raises(TypeError, match="must hold Callback objects"):
        keras.callbacks.CallbackList([print])


def test_only_callbacks_that_ask_for_batches_make_the_loop_stop_at_each(tmp_path):
    C = keras.callbacks
    quiet = [C.TensorBoard(tmp_path), C.CSVLogger(tmp_path / "a"), C.SwapEMAWeights()]
    quiet += [C.ReduceLROnPlateau(), C.RemoteMonitor(), C.History(), C.ProgbarLogger()]
    assert not C.CallbackList(quiet).needs_each_batch("train")
    for asking in ({"update_freq": 2}, {"profile_batch": 1}):
        assert C.CallbackList([C.TensorBoard(tmp_path, **asking)]).needs_each_batch("train")
    read = []

    class Array:  # a log that is still on the device
        ndim = 0

        def __array__(self, *args, **kwargs):
            read.append(1)
            return np.array(1.0, "float32")

    logs = {"loss": Array()}
    C.CallbackList(quiet).on_train_batch_end(0, logs)
    board = C.TensorBoard(tmp_path, update_freq=3)
    callbacks = C.CallbackList([board])
    for step in range(3):
        assert not read
        callbacks.on_train_batch_begin(step)
        callbacks.on_train_batch_end(step, logs)
    assert read


def test_progress_goes_to_the_log_where_that_is_asked_for(capsys, caplog):
    keras.utils.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", logger="absl"):
            make().fit(X, Y, verbose=2)
    finally:
        keras.utils.enable_interactive_logging()
    assert capsys.readouterr().out == "" and keras.config.is_interactive_logging_enabled()
    said = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert said[0].startswith("1/1 - ") and "loss: " in said[0]


def test_the_line_of_a_stream_ends_with_the_number_of_its_steps(capsys):
    model = make()

    batches = lambda n: ((X[:4], Y[:4]) for _ in range(n))  # noqa: E731
    model.fit(batches(3), epochs=1)
    model.evaluate(batches(2))
    model.predict(batches(2))
    lines = [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["3/3", "2/2", "2/2"]  # as Keras prints them


@pytest.mark.parametrize(
    "names, shown",
    [
        ({}, "1.0000"),
        ({"stateful_metrics": ["v"]}, "2.0000"),
        ({"stateless_metrics": []}, "2.0000"),
    ],
)
def test_a_progress_bar_shows_means_of_what_is_not_stateful(names, shown, capsys):
    bar = keras.utils.Progbar(target=3, interval=0.0, unit_name="file", **names)
    bar.update(1, [("v", 0.0)])
    bar.add(1, [("v", [1.0, 3.0])])
    assert f"v: {shown}" in capsys.readouterr().out.rpartition("\r")[2]
    bar.add(1, [("v", 1.0)])
    assert capsys.readouterr().out.rpartition("\r")[2].startswith("3/3 " + 20 * "━" + " 0s ")
    with pytest.raises(ValueError, match="Only one of"):
        keras.utils.Progbar(1, stateful_metrics=[], stateless_metrics=[])


def test_logs_are_read_when_somebody_looks_at_them():
    import copy
    import json
    import pickle

    from keraslike.training.callbacks import Logs

    def logs():
        return Logs(loss=jnp.float32(0.5), each=jnp.arange(2.0), name="x")

    assert list(logs()) == ["loss", "each", "name"] and "loss" in logs() and len(logs()) == 3
    plain = {"loss": 0.5, "name": "x"}
    ways = [dict, copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
    ways += [lambda x: {**x}, lambda x: x.copy(), lambda x: x | {}, lambda x: {} | x]
    ways += [lambda x: dict(x.items()), lambda x: dict(zip(x, x.values()))]
    for read in ways:
        found = read(logs())
        assert type(found["each"]) is np.ndarray and found.pop("each").tolist() == [0.0, 1.0]
        assert type(found["loss"]) is float and found == plain
    one = Logs(loss=jnp.float32(0.5))
    assert (
        json.dumps(one) == '{"loss": 0.5}' and repr(one) == "{'loss': 0.5}" and one == {"loss": 0.5}
    )
    one = Logs(loss=jnp.float32(0.5))
    one["mine"] = 1
    assert one.pop("loss") == 0.5 and one.get("other", 3) == 3 and one == {"mine": 1}


def test_a_batch_callback_that_reads_nothing_does_not_wait(monkeypatch):
    from keraslike.training import callbacks

    read = []
    real = callbacks.floats
    monkeypatch.setattr(callbacks, "floats", lambda logs: read.append(1) or real(logs))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    losses, times = [], []
    for hook in (lambda batch, logs: None, lambda batch, logs: losses.append(logs["loss"])):
        read.clear()
        noting = keras.callbacks.LambdaCallback(on_train_batch_end=hook)
        model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, verbose=0, callbacks=[noting])
        times.append(len(read))
    assert times[1] - times[0] == len(losses) == 4
    assert all(type(loss) is float for loss in losses) and losses == sorted(losses, reverse=True)


def test_callbacks_are_told_verbose_as_it_was_given():
    for verbose in ("auto", 0, 2):
        assert make().fit(X, Y, verbose=verbose).params == {
            "verbose": verbose, "epochs": 1, "steps": 1
        }  # fmt: skip


def test_a_copy_of_tensorboard_writes_files_of_its_own(tmp_path):
    first = keras.callbacks.TensorBoard(tmp_path)
    for callback in (first, copy.deepcopy(first)):  # as KerasTuner does for each trial
        make().fit(X, Y, verbose=0, callbacks=[callback])
    assert len(list((tmp_path / "train").glob("events*"))) == 2
