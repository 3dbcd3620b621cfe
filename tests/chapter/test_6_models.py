"""12.3.6: models of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import FORMATS, THESE, THOSE

pytestmark = pytest.mark.slow


class ResidualBlock(keras.layers.Layer):
    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(n_neurons, activation="elu", kernel_initializer="he_normal")
            for _ in range(n_layers)
        ]

    def call(self, inputs):
        Z = inputs
        for layer in self.hidden:
            Z = layer(Z)
        return inputs + Z


class ResidualRegressor(keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden1 = keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal")
        self.block1 = ResidualBlock(2, 30)
        self.block2 = ResidualBlock(2, 30)
        self.out = keras.layers.Dense(output_dim)

    def call(self, inputs):
        Z = self.hidden1(inputs)
        for _ in range(1 + 3):
            Z = self.block1(Z)
        Z = self.block2(Z)
        return self.out(Z)


class ConfiguredBlock(ResidualBlock):
    """With a config written by hand."""

    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(n_layers, n_neurons, **kwargs)
        self.n_layers, self.n_neurons = n_layers, n_neurons

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "n_layers": self.n_layers, "n_neurons": self.n_neurons}


class ConfiguredRegressor(keras.Model):
    """Made of a list, a dict and a tuple of layers, some of them in two places."""

    def __init__(self, output_dim, block_layers=2, **kwargs):
        super().__init__(**kwargs)
        self.output_dim, self.block_layers = output_dim, block_layers
        block = ConfiguredBlock(block_layers, 8)
        self.blocks = [block, keras.layers.BatchNormalization(), block]
        self.heads = {"out": keras.layers.Dense(output_dim)}
        self.first = (keras.layers.Dense(8, activation="elu"), keras.layers.Dropout(0.2))

    def call(self, inputs, training=None):
        Z = inputs
        for layer in (*self.first, *self.blocks):
            Z = layer(Z)
        return self.heads["out"](Z)

    def get_config(self):
        base_config = super().get_config()
        return {
            **base_config,
            "output_dim": self.output_dim,
            "block_layers": self.block_layers,
        }


CUSTOM = {
    c.__name__: c for c in (ResidualBlock, ResidualRegressor, ConfiguredBlock, ConfiguredRegressor)
}


def sequential():
    return keras.Sequential(
        [
            keras.layers.Input((8,)),
            ResidualBlock(2, 8),
            ConfiguredBlock(1, 8),
            keras.layers.Dense(1),
        ]
    )


def functional():
    inputs = keras.layers.Input((8,))
    block = ResidualBlock(1, 8)
    Z = inputs
    for _ in range(4):
        Z = block(Z)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Add()([Z, inputs])))


def nested():
    return keras.Sequential([keras.layers.Input((8,)), ResidualRegressor(4), keras.layers.Dense(1)])


MODELS = {
    "residual": lambda: ResidualRegressor(1),
    "configured": lambda: ConfiguredRegressor(1),
    "sequential": sequential,
    "functional": functional,
    "nested": nested,
}


@pytest.mark.parametrize(
    "build, formats",
    [
        ("residual", THOSE),
        ("configured", FORMATS),
        ("sequential", THESE),
        ("functional", THOSE),
        ("nested", THESE),
    ],
)
def test_round_trip(round_trip, build, formats):
    def make():
        model = MODELS[build]()
        model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.003))
        return model

    model, copies = round_trip(make, CUSTOM, formats=formats)
    for again in copies:
        assert len(again.weights) == len({id(v) for v in again.weights}) == len(model.weights)
        if build == "configured":
            assert again.blocks[0] is again.blocks[2] and type(again.first) is tuple


def test_a_block_used_four_times_is_counted_once(data):
    x, _ = data
    model = ResidualRegressor(1)
    model(x)
    assert model.count_params() == (8 * 30 + 30) + 2 * 2 * (30 * 30 + 30) + 31
    assert len({id(v) for v in model.weights}) == len(model.weights) == 12
    z = np.asarray(model.hidden1(x))
    for block in [model.block1] * 4 + [model.block2]:
        z = np.asarray(block(z))
    np.testing.assert_allclose(model(x), model.out(z), rtol=1e-5)


def test_a_block_used_four_times_in_a_graph_is_counted_once():
    model = functional()
    assert model.count_params() == (8 * 8 + 8) + 9
    assert len(model.layers) == 4  # input, block, add, dense


def test_weights_that_do_not_train_are_left_alone(data):
    x, y = data
    model = ResidualRegressor(1)
    model.block1.trainable = False
    model.compile(loss="mse", optimizer="nadam")
    model(x)
    assert len(model.trainable_weights) == 8 and len(model.non_trainable_weights) == 4
    before = [w.copy() for w in model.block1.get_weights()], model.block2.get_weights()
    model.fit(x, y, verbose=0)
    for w, b in zip(model.block1.get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(w, b)
    assert (model.block2.get_weights()[0] != before[1][0]).any()


# -- steps of one's own: the same class for keraslike and for Keras -------------------------------


def stateless_steps(keras):
    """All steps in Keras's form for JAX, as its guide writes them."""

    class Stateless(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = keras.layers.Dense(8, activation="tanh")
            self.norm = keras.layers.BatchNormalization()
            self.out = keras.layers.Dense(1)

        def call(self, x, training=None):
            return self.out(self.norm(self.hidden(x), training=training))

        def loss_of(self, trainable, others, x, y, training):
            y_pred, others = self.stateless_call(trainable, others, x, training=training)
            return 2 * jnp.mean(jnp.square(y - y_pred)), (y_pred, others)

        def logs_of(self, metrics, y, y_pred, loss):
            new, logs, i = [], {}, 0
            for metric in self.metrics:
                n = len(metric.variables)
                state = metrics[i : i + n]
                if metric.name == "loss":
                    state = metric.stateless_update_state(state, loss)
                else:
                    state = metric.stateless_update_state(state, y, y_pred)
                result = metric.stateless_result(state)
                logs.update(result if isinstance(result, dict) else {metric.name: result})
                new += state
                i += n
            return logs, new

        def train_step(self, state, data):
            trainable, others, optimizer, metrics = state
            x, y = data[:2]
            (loss, (y_pred, others)), grads = jax.value_and_grad(self.loss_of, has_aux=True)(
                trainable, others, x, y, True
            )
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            logs, metrics = self.logs_of(metrics, y, y_pred, loss)
            return logs, (trainable, others, optimizer, metrics)

        def test_step(self, state, data):
            trainable, others, metrics = state
            x, y = data[:2]
            loss, (y_pred, others) = self.loss_of(trainable, others, x, y, False)
            logs, metrics = self.logs_of(metrics, y, y_pred, loss)
            return logs, (trainable, others, metrics)

        def predict_step(self, state, data):
            trainable, others = state
            x = data[0] if isinstance(data, tuple) else data
            y_pred, others = self.stateless_call(trainable, others, x, training=False)
            return y_pred - 1.0, others

    return Stateless


def test_steps_in_the_stateless_form_do_what_they_do_in_keras(data):
    import keras as oracle

    x, y = data
    y = y[:, None]
    results, initial = [], None
    for k in (keras, oracle):
        model = stateless_steps(k)()
        model(x[:2])
        initial = model.get_weights() if initial is None else initial
        model.set_weights(initial)
        model.compile(loss="mse", optimizer="nadam", metrics=[k.metrics.MeanAbsoluteError("mae")])
        fitted = model.fit(
            x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, validation_data=(x, y)
        )
        results.append(
            {
                "history": {name: np.asarray(v) for name, v in fitted.history.items()},
                "evaluate": model.evaluate(x, y, verbose=0, return_dict=True),
                "predict": model.predict(x, verbose=0),
                "batch": model.train_on_batch(x, y, return_dict=True),
            }
        )
    ours, theirs = results
    assert set(ours["history"]) == {"loss", "mae", "val_loss", "val_mae"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours, theirs)


def test_steps_in_the_stateful_form(data):
    x, y = data

    class Custom(ResidualRegressor):
        def __init__(self, output_dim, **kwargs):
            super().__init__(output_dim, **kwargs)
            self.seen = keras.metrics.Sum(name="seen")

        def train_step(self, data):
            x, y = data[:2]

            def loss_of(model):
                y_pred = model(x, training=True)
                return model.compute_loss(x, y, y_pred), y_pred

            (loss, y_pred), grads = keras.value_and_grad(loss_of, has_aux=True)(self)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables, strict=True))
            self.seen.update_state(jnp.ones(len(x)))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss, sample_weight=len(x))
            return self.compute_metrics(x, y, y_pred)

        def test_step(self, data):
            return {**super().test_step(data), "extra": jnp.asarray(7.0)}

        def predict_step(self, data):
            return super().predict_step(data) * 0 + 3.0

    model, plain = Custom(1), ResidualRegressor(1)
    for m in (model, plain):
        m.compile(loss="mse", optimizer="nadam", metrics=["mae"])
        m(x)
    plain.set_weights(model.get_weights())
    arguments = {"batch_size": 10, "epochs": 3, "shuffle": False, "verbose": 0}
    ours, theirs = (m.fit(x, y, **arguments).history for m in (model, plain))
    assert ours.pop("seen") == [len(x)] * 3
    assert set(ours) == set(theirs) == {"loss", "mae"}
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, err_msg=name)
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    assert result["extra"] == 7.0
    assert result["mae"] == pytest.approx(plain.evaluate(x, y, verbose=0)[1], rel=1e-4)
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.full((len(x), 1), 3.0))


def own_loss(keras):
    class OwnLoss(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.out = keras.layers.Dense(1, kernel_regularizer="l2")

        def call(self, x):
            return self.out(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            return loss + 0.1 * jnp.mean(jnp.abs(y_pred)) * jnp.mean(jnp.square(x))

    return OwnLoss


def test_compute_loss_overridden_does_what_it_does_in_keras(data):
    import keras as oracle

    x, y = data
    results, initial = [], None
    for k in (keras, oracle):
        model = own_loss(k)()
        model(x[:2])
        initial = model.get_weights() if initial is None else initial
        model.set_weights(initial)
        model.compile(loss="mse", optimizer="nadam")
        history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
        results.append((history["loss"], model.evaluate(x, y, verbose=0), model.get_weights()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *results)
