"""12.3.1 and 12.3.2: losses of one's own, and models that have them, saved and loaded."""

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    is_small_error = jnp.abs(error) < 1
    squared_loss = jnp.square(error) / 2
    linear_loss = jnp.abs(error) - 0.5
    return jnp.where(is_small_error, squared_loss, linear_loss)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        is_small_error = jnp.abs(error) < threshold
        squared_loss = jnp.square(error) / 2
        linear_loss = threshold * jnp.abs(error) - threshold**2 / 2
        return jnp.where(is_small_error, squared_loss, linear_loss)

    return huber_fn


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = jnp.abs(error) < self.threshold
        squared_loss = jnp.square(error) / 2
        linear_loss = self.threshold * jnp.abs(error) - self.threshold**2 / 2
        return jnp.where(is_small_error, squared_loss, linear_loss)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


def make(loss, metrics=None):
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss=loss, optimizer="nadam", metrics=metrics)
    return model


def mean_huber(threshold, y, pred):
    error = np.abs(np.asarray(y) - np.asarray(pred)[:, 0])
    return np.where(error < threshold, error**2 / 2, threshold * error - threshold**2 / 2).mean()


@pytest.mark.parametrize(
    "loss, custom_objects",
    [
        (huber_fn, {"huber_fn": huber_fn}),
        (create_huber(2.0), {"huber_fn": create_huber(2.0)}),
        (HuberLoss(2.0), {"HuberLoss": HuberLoss}),
    ],
    ids=["function", "closure", "class"],
)
def test_round_trip(round_trip, loss, custom_objects):
    _, again = round_trip(lambda: make(loss, ["mae"]), custom_objects)
    if isinstance(loss, HuberLoss):
        assert again.loss.threshold == 2.0


@pytest.mark.parametrize("threshold", [1.0, 2.0])
def test_the_loss_is_the_mean_over_samples(data, threshold):
    x, y = data
    for loss in (create_huber(threshold), HuberLoss(threshold)):
        model = make(loss)
        got = model.evaluate(x, y, batch_size=7, verbose=0)
        assert got == pytest.approx(mean_huber(threshold, y, model(x)), rel=1e-5)


def test_losses_of_each_sample_take_class_and_sample_weights(data):
    x, y = data
    weights = np.linspace(0.1, 2.0, len(y)).astype("float32")
    model = make(huber_fn)
    error = np.abs(y - np.asarray(model(x))[:, 0])
    each = np.where(error < 1, error**2 / 2, error - 0.5)
    got = model.evaluate(x, y, sample_weight=weights, batch_size=len(y), verbose=0)
    assert got == pytest.approx((each * weights).mean(), rel=1e-5)
    labels = (y > 0).astype("float32")
    one, two = make(huber_fn), make(huber_fn)
    two.set_weights(one.get_weights())
    a = one.fit(x, labels, class_weight={0: 1.0, 1: 4.0}, shuffle=False, verbose=0).history
    b = two.fit(x, labels, sample_weight=1 + 3 * labels, shuffle=False, verbose=0).history
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)


def test_a_loss_that_compares_all_with_all_is_an_error(data):
    x, y = data

    class Squeezes(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return jnp.abs(y_true - jnp.squeeze(y_pred, -1))

    with pytest.raises(ValueError, match=r"every target with every prediction.*\(16, 16\)"):
        make(Squeezes()).fit(x, y, batch_size=16, verbose=0)


def test_the_same_functions_as_metrics(data):
    x, y = data
    model = make("mse", [create_huber(2.0), huber_fn])
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
    assert set(history) == {"loss", "huber_fn", "huber_fn_1"}
    results = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    assert results["huber_fn"] == pytest.approx(mean_huber(2.0, y, model(x)), rel=1e-5)
    assert results["huber_fn_1"] == pytest.approx(mean_huber(1.0, y, model(x)), rel=1e-5)


def test_a_custom_object_that_is_not_given_is_named(tmp_path, data):
    model = make(HuberLoss(2.0))
    model.save(tmp_path / "m.keras")
    with pytest.raises(
        TypeError, match=r"m\.keras(.|\n)*custom_objects=\{'HuberLoss': HuberLoss\}"
    ):
        keras.saving.load_model(tmp_path / "m.keras")
    model = make(huber_fn)
    model.save(tmp_path / "f.keras")
    with pytest.raises(TypeError, match="'huber_fn'"):
        keras.saving.load_model(tmp_path / "f.keras")
    with keras.utils.custom_object_scope({"huber_fn": huber_fn}):
        keras.saving.load_model(tmp_path / "f.keras")
