"""What layers, metrics and functions of Keras give in a `tf.function`."""

import contextlib

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf import keras

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made():
    layer = keras.layers.Dense(2, kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model, keras.metrics.Mean()


ROW = np.ones((1, 2), "float32")
GIVEN = {
    "a metric's result": lambda model, mean: mean.result(),
    "a metric's call": lambda model, mean: mean(tf.ones(3)),
    "results of metrics": lambda model, mean: model.get_metrics_result()["loss"],
    "a layer's losses": lambda model, mean: model.layers[0].losses[0],
    "a layer of an array": lambda model, mean: model.layers[0](ROW),
    "a model of an array": lambda model, mean: model(ROW),
    "a loss of arrays": lambda model, mean: keras.losses.MeanSquaredError()(ROW, ROW),
    "arithmetic of a weight": lambda model, mean: model.layers[0].kernel * 2.0,
    "a weight after an assignment": lambda model, mean: model.layers[0].bias.assign([0.0, 0.0]),
    "an op": lambda model, mean: keras.ops.ones((2,)),
    "random numbers": lambda model, mean: keras.random.normal((2,), seed=1),
    "initial values": lambda model, mean: keras.initializers.Ones()((2,)),
    "an activation": lambda model, mean: keras.activations.relu(ROW),
    "a constraint": lambda model, mean: keras.constraints.NonNeg()(model.layers[0].kernel),
    "a regularizer": lambda model, mean: keras.regularizers.L2()(model.layers[0].kernel),
    "a schedule": lambda model, mean: keras.optimizers.schedules.CosineDecay(0.1, 2)(3),
}


@pytest.mark.parametrize("under_tape", [False, True])
@pytest.mark.parametrize("case", GIVEN)
def test_what_keras_gives_in_a_function_is_a_tensor(case, under_tape, made):
    seen = []

    @tf.function
    def function():
        with tf.GradientTape() if under_tape else contextlib.nullcontext():
            given = GIVEN[case](*made)
        seen.append((given.dtype.is_floating, given.shape.rank))
        return given

    found = function()
    assert isinstance(found, tf.Tensor) and seen == [(True, found.shape.rank)]
