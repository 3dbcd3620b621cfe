import jax
import jax.numpy as jnp
import numpy as np

import keraslike as keras
from keraslike import layers, ops, tf


@keras.saving.register_keras_serializable()
class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return ops.where(
            ops.abs(error) < self.threshold, ops.square(error) / 2, self.threshold * ops.abs(error)
        )

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class MyDense(layers.Layer):
    def __init__(self, units: int, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=[input_shape[-1], self.units], name="kernel", initializer="glorot_normal"
        )
        self.bias = self.add_weight(shape=[self.units], name="bias", initializer="zeros")

    def call(self, x):
        return self.activation(x @ self.kernel + self.bias)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(30, activation="relu")
        self.out = layers.Dense(1)
        self.total = keras.metrics.Mean(name="total")

    def call(self, x, training=False):
        return self.out(self.hidden(x))

    def train_step(self, data):
        x, y = data
        self.total.update_state(ops.mean(y))
        return super().train_step(data)


class Recurrent(layers.LSTM):
    def double(self) -> int:
        return 2 * self.units if self.return_sequences and self.recurrent_dropout < 0.5 else 0


class Cell(layers.GRUCell):
    def size(self) -> int:
        return self.units + self.state_size


inputs = keras.Input(shape=(8,))
x = layers.Dense(16, activation="relu")(inputs)
x = layers.Concatenate()([x, inputs])
outputs = MyDense(1)(x)
model = keras.Model(inputs, outputs)
model.compile(loss=HuberLoss(2.0), optimizer=keras.optimizers.Adam(1e-3), metrics=["mae"])
data, target = np.ones((32, 8), "float32"), np.ones((32, 1), "float32")
history = model.fit(
    data,
    target,
    epochs=2,
    validation_split=0.25,
    callbacks=[keras.callbacks.EarlyStopping(patience=3)],
)
print(history.history["loss"][0], model.predict(data).shape)
print(keras.callbacks.BackupAndRestore("b").backup_dir)
for weight in model.weights:
    print(weight.name, weight.shape, weight.path)
loss, mae = model.evaluate(data, target)
model.save("m.keras")
again = keras.models.load_model("m.keras", custom_objects={"HuberLoss": HuberLoss})
again.summary()
w = keras.Variable([1.0, 2.0])
w.assign(w * 2)
with tf.GradientTape() as tape:
    z = tf.reduce_sum(tf.square(model(data)))
grads = tape.gradient(z, model.trainable_variables)
model.optimizer.apply_gradients(zip(grads, model.trainable_variables))
model.optimizer.learning_rate = 0.1


class Log(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            print(epoch, logs["loss"])


def f(v: jax.Array) -> jax.Array:
    return jnp.sum(ops.square(v))


print(jax.grad(f)(jnp.ones(3)))
schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 1000, 0.9)
m = keras.metrics.MeanSquaredError()
m.update_state([1.0], [2.0])
print(float(m.result()))
t = tf.constant([[1.0, 2.0], [3.0, 4.0]])
print(t[:, 1:], t.shape, t @ tf.transpose(t), t + 10)
v = tf.Variable([[1.0, 2.0]])
v[0, 1].assign(3.0)
