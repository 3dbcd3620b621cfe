"""Objects of the user's own in whole-model `.h5` files."""

import h5py
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, saving

from .small_models import small, weights_equal
from .test_keras_files import steps
from .test_legacy_h5 import attribute, next_epochs

pytestmark = pytest.mark.slow

load_model = saving.load_model


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    return jnp.where(jnp.abs(error) < 1, error**2 / 2, jnp.abs(error) - 0.5)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        linear = threshold * jnp.abs(error) - threshold**2 / 2
        return jnp.where(jnp.abs(error) < threshold, error**2 / 2, linear)

    return huber_fn


class HuberLoss(keraslike.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class HuberMetric(keraslike.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = create_huber(self.threshold)(y_true, y_pred)
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(float(np.prod(values.shape)))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class MyDense(keraslike.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keraslike.activations.get(activation)

    def build(self, batch_input_shape):
        shape = [batch_input_shape[-1], self.units]
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_normal")
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zero")
        super().build(batch_input_shape)

    def call(self, x):
        return self.activation(x @ self.kernel + self.bias)

    def get_config(self):
        activation = keraslike.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def my_softplus(z):
    return jnp.log(jnp.exp(z) + 1.0)


def my_glorot_initializer(shape, dtype="float32"):
    return keraslike.random.normal(shape, stddev=jnp.sqrt(2.0 / sum(shape)), dtype=dtype)


def my_l1_regularizer(weights):
    return jnp.sum(jnp.abs(0.01 * weights))


def my_positive_weights(weights):
    return jnp.where(weights < 0.0, 0.0, weights)


class MyL1(keraslike.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return self.factor * my_l1_regularizer(weights)

    def get_config(self):
        return {"factor": self.factor}


FUNCTIONS = [my_softplus, my_glorot_initializer, my_l1_regularizer, my_positive_weights]
CUSTOM = {o.__name__: o for o in (*FUNCTIONS, HuberLoss, HuberMetric, MyDense, MyL1)}


@pytest.mark.parametrize(
    ("loss", "given"),
    [(huber_fn, huber_fn), (create_huber(2.0), create_huber(2.0)), (HuberLoss(2.0), huber_fn)],
    ids=["function", "closure", "class"],
)
def test_custom_objects(tmp_path, batch, loss, given):
    hidden = layers.Dense(
        3,
        activation=my_softplus,
        kernel_initializer=my_glorot_initializer,
        kernel_regularizer=my_l1_regularizer,
        kernel_constraint=my_positive_weights,
        bias_regularizer=MyL1(0.1),
    )
    model = keraslike.Sequential([keraslike.Input((4,)), hidden, MyDense(2, "elu")])
    model.compile("nadam", loss, metrics=[HuberMetric(2.0), huber_fn])
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {**CUSTOM, "huber_fn": given})
    assert getattr(again.loss, "threshold", None) == getattr(loss, "threshold", None)
    assert again.layers[0].kernel_regularizer is my_l1_regularizer
    assert again.layers[0].bias_regularizer.factor == 0.1
    one, two = next_epochs(again, *batch), next_epochs(model, *batch)
    if given is not huber_fn:  # a file does not hold the closure's threshold
        one.pop("huber_fn"), two.pop("huber_fn")
    assert one == two


def test_a_custom_object_that_is_not_given_is_named(tmp_path):
    path = tmp_path / "m.h5"
    small(loss=huber_fn).save(path)
    for match in (r"m\.h5", r"custom_objects=\{'huber_fn': huber_fn\}"):
        with pytest.raises(TypeError, match=match):
            load_model(path)
    assert load_model(path, compile=False).loss is None
    with saving.custom_object_scope({"huber_fn": huber_fn}):
        assert load_model(path).loss is huber_fn
    keraslike.Sequential([keraslike.Input((4,)), MyDense(2)]).save(path)
    with pytest.raises(TypeError, match=r"m\.h5(.|\n)*custom_objects=\{'MyDense': MyDense\}"):
        load_model(path)


def test_registered_objects_go_by_their_registered_name(tmp_path, batch):
    @saving.register_keras_serializable(package="h5tests")
    class Registered(MyDense):
        pass

    @saving.register_keras_serializable(package="h5tests")
    def registered_loss(y_true, y_pred):
        return jnp.abs(y_true - y_pred)

    model = keraslike.Sequential([keraslike.Input((4,)), Registered(2)])
    model.compile(loss=registered_loss)
    model.save(tmp_path / "m.h5")
    config = attribute(tmp_path / "m.h5", "model_config")
    assert config["config"]["layers"][1]["class_name"] == "h5tests>Registered"
    again = load_model(tmp_path / "m.h5")
    assert type(again.layers[0]) is Registered and again.loss is registered_loss


def test_a_function_from_keras_s_file(tmp_path, batch):
    x, y = batch
    theirs = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, kernel_constraint="non_neg")]
    )
    theirs.compile("nadam", create_huber(2.0), metrics=[create_huber(2.0)])
    steps(theirs, x, y)
    theirs.save(tmp_path / "m.h5")
    ours = load_model(tmp_path / "m.h5", {"huber_fn": create_huber(2.0)})
    np.testing.assert_allclose(steps(ours, x, y), steps(theirs, x, y), rtol=1e-4)


class Tower(keraslike.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.drop, self.last = layers.Dropout(0.5), layers.Dense(2)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
        super().build(input_shape)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.last(self.drop(x)) * self.scale


def test_a_subclassed_model(tmp_path, batch):
    """Keras 3.15 makes no weights when it reads such a file, and fails."""
    model = Tower(5, name="tower")
    model.compile("nadam", "mse")
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {"Tower": Tower})
    assert (again.name, again.units) == ("tower", 5) and weights_equal(model, again)
    assert next_epochs(again, *batch) == next_epochs(model, *batch)


class Own(layers.Dense):
    """A layer with something of its own in the file."""

    note = 0

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["note"] = np.array([7])

    def load_own_variables(self, store):
        self.note = int(store["note"][0])
        super().load_own_variables({k: v for k, v in store.items() if k != "note"})


def test_a_layer_s_own_way_of_saving(tmp_path):
    model = keraslike.Sequential([keraslike.Input((4,)), Own(2)])
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {"Own": Own})
    assert again.layers[0].note == 7 and weights_equal(model, again)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["keraslike"]  # as if Keras had written it, which does not ask the layer
    again = load_model(tmp_path / "m.h5", {"Own": Own})
    assert again.layers[0].note == 0 and weights_equal(model, again)


def test_low_precision_weights(tmp_path):
    model = keraslike.Sequential([keraslike.Input((4,)), layers.Dense(2, dtype="bfloat16")])
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert again.layers[0].kernel.dtype == "bfloat16" and weights_equal(model, again)
