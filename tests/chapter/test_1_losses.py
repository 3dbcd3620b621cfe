"""12.3.1: losses of one's own."""

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


def test_the_history_is_that_of_keras(data):
    import keras as oracle

    x, y = data
    y = y[:, None]  # given (N,), Keras's metrics compare every target with every prediction
    labels = (y > 0).astype("float32")
    weights = np.linspace(0.1, 2.0, len(y)).astype("float32")
    histories, initial = [], make("mse").get_weights()
    for k in (keras, oracle):
        model = k.Sequential([k.layers.Input((8,)), k.layers.Dense(30, "selu"), k.layers.Dense(1)])
        model.set_weights(initial)
        model.compile(
            loss=create_huber(2.0),
            optimizer="nadam",
            metrics=[huber_fn],
            weighted_metrics=[create_huber(0.5)],
        )
        arguments = {"epochs": 3, "batch_size": 10, "shuffle": False, "verbose": 0}
        weighted = model.fit(x, y, sample_weight=weights, **arguments).history
        by_class = model.fit(x, labels, class_weight={0: 0.5, 1: 3.0}, **arguments).history
        histories.append((weighted, by_class))
    for ours, theirs in zip(*histories, strict=True):
        assert set(ours) == set(theirs) == {"loss", "huber_fn", "weighted_huber_fn"}
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)


def test_a_loss_with_a_reduction_and_a_name_of_its_own():
    loss = HuberLoss(2.0, reduction="sum", name="mine")
    assert float(loss([[0.0], [0.0]], [[1.0], [5.0]])) == pytest.approx(0.5 + 8.0)
    assert float(loss([[0.0], [0.0]], [[1.0], [5.0]], sample_weight=[1.0, 0.5])) == 4.5
    config = loss.get_config()
    assert config == {"name": "mine", "reduction": "sum", "threshold": 2.0}
    assert HuberLoss.from_config(config).get_config() == config
    each = HuberLoss(2.0, reduction=None)(np.zeros((2, 1)), np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(each, [[0.5], [8.0]])


def test_a_loss_an_output(data):
    x, y = data
    inputs = keras.layers.Input((8,))
    hidden = keras.layers.Dense(4)(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("a", "b")}
    model = keras.Model(inputs, outputs)
    model.compile(loss={"a": huber_fn, "b": HuberLoss(2.0)}, loss_weights={"a": 1.0, "b": 0.5})
    got = model.evaluate(x, {"a": y, "b": -y}, batch_size=len(x), verbose=0, return_dict=True)
    predictions = model.predict(x, verbose=0)
    a, b = mean_huber(1.0, y, predictions["a"]), mean_huber(2.0, -y, predictions["b"])
    assert got["a_loss"] == pytest.approx(a, rel=1e-5)
    assert got["b_loss"] == pytest.approx(b, rel=1e-5)
    assert got["loss"] == pytest.approx(a + 0.5 * b, rel=1e-5)
