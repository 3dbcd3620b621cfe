"""No path around `fit` compiles anything twice for the same shapes."""

import contextlib

import jax.monitoring
import numpy as np

import keraslike as keras

TRACED, COMPILED = (
    f"/jax/core/compile/{name}_duration" for name in ("jaxpr_trace", "backend_compile")
)
counts = dict.fromkeys((TRACED, COMPILED), 0)


def _listen(event, seconds, **_):
    if event in counts:
        counts[event] += 1


@contextlib.contextmanager
def counted():
    """A dict that holds the number of traces and compilations after the block."""
    jax.monitoring.register_event_duration_secs_listener(_listen)
    counts.update(dict.fromkeys(counts, 0))
    found = {}
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(_listen)
        found.update(traced=counts[TRACED], compiled=counts[COMPILED])


def batches():
    while True:
        yield X[:8], Y[:8]


RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = X.sum(1, keepdims=True)
VALID = X[:10], Y[:10]


class Rescale(keras.callbacks.Callback):
    """Changes the weights and reads them."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([0.9 * w for w in self.model.get_weights()])


class Count(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.seen = batch


def network():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse", optimizer="adam", metrics=["mae"])
    return model


def script(model):
    """Each path by name; what it does to the model leaves the model fit for the others."""
    fit = {"batch_size": 8, "verbose": 0}
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=0)

    def other_rate():
        model.optimizer.learning_rate = 0.5 * float(np.asarray(model.optimizer.learning_rate))
        model.fit(X, Y, **fit)

    return {
        "epochs": lambda: model.fit(X, Y, epochs=2, **fit),
        "validation": lambda: model.fit(X, Y, validation_data=VALID, epochs=2, **fit),
        "stopping": lambda: model.fit(
            X, Y, validation_data=VALID, callbacks=[stop, plateau], **fit
        ),
        "weights": lambda: model.fit(X, Y, callbacks=[Rescale()], epochs=2, **fit),
        "each batch": lambda: model.fit(X, Y, callbacks=[Count()], **fit),
        "class weights": lambda: model.fit(X, Y > 0, class_weight={0: 1.0, 1: 2.0}, **fit),
        "another rate": other_rate,
        "generator": lambda: model.fit(batches(), steps_per_epoch=2, verbose=0),
        "evaluate": lambda: model.evaluate(X, Y, **fit),
        "predict": lambda: model.predict(X, **fit),
        "train_on_batch": lambda: model.train_on_batch(*VALID),
        "test_on_batch": lambda: model.test_on_batch(*VALID),
        "predict_on_batch": lambda: model.predict_on_batch(VALID[0]),
        "call": lambda: [model(X, training=t) for t in (False, True)],
    }


def test_nothing_is_compiled_twice(tmp_path):
    model = network()
    paths = script(model)
    with counted() as first:
        for run in paths.values():
            for _ in range(3):  # how many steps a dispatch has is found out, and calls compiled
                run()
    assert first["compiled"] > 0  # the listener hears something
    again = {}
    for name, run in paths.items():
        with counted() as found:
            run()
        again[name] = found["compiled"]
    assert again == dict.fromkeys(paths, 0)
    # Of those that a script calls over and over, nothing is traced either.
    for name in ("validation", "stopping", "train_on_batch", "test_on_batch", "predict_on_batch"):
        with counted() as found:
            paths[name]()
        assert (name, found["traced"]) == (name, 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    paths = script(loaded)
    for name in ("epochs", "train_on_batch", "predict_on_batch"):
        paths[name]()
    for name in ("epochs", "train_on_batch", "predict_on_batch"):
        with counted() as found:
            paths[name]()
        assert (name, found["compiled"]) == (name, 0)
