"""Layers that another library computes; here numpy is that library."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike
from keraslike import layers
from keraslike.core import serialization, tensorflow_host
from keraslike.layers.hosted import _Hosted


class Tanh(_Hosted):
    """`tanh(x @ w)`, and how often it has run in training."""

    def __init__(self):
        super().__init__()
        self._parameter_variables = [self.add_weight((4, 3), name="w")]
        self._state_variables = [self.add_weight((), "zeros", trainable=False, name="count")]

    def call(self, inputs, training=False):
        return self._hosted({"x": inputs}, bool(training), jnp.zeros(2, "uint32"))

    def _compute(self, values, how):
        trained, others, inputs = values
        return np.tanh(inputs[0] @ trained[0]), [others[0] + 1]

    def _derive(self, values, how, cotangents):
        trained, _, inputs = values
        along = cotangents[0] * (1 - np.tanh(inputs[0] @ trained[0]) ** 2)
        return [inputs[0].T @ along, along @ trained[0].T]


class Same(keraslike.layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight((4, 3), name="w")

    def call(self, inputs):
        return jnp.tanh(inputs @ self.w.value)


def test_what_is_computed_on_the_host_trains_with_the_rest(rng):
    x, y = rng.normal(size=(8, 5)).astype("float32"), rng.normal(size=(8, 3))
    models = [
        keraslike.Sequential([keraslike.Input((5,)), layers.Dense(4), layer])
        for layer in (Tanh(), Same())
    ]
    assert models[0].output_shape == (None, 3)
    host = models[0].layers[1]
    models[1].set_weights([w.numpy() for w in models[0].weights if w.name != "count"])
    for model in models:
        model.compile(keraslike.optimizers.SGD(0.1), "mse")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(models[0].predict(x, verbose=0), models[1](x), rtol=1e-5, atol=1e-6)
    assert float(host._state_variables[0]) == 4  # steps of training, and neither shapes nor predict


def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    bare = tmp_path / "python"
    bare.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tensorflow'\" >&2\nexit 1\n"
    )
    bare.chmod(0o755)
    monkeypatch.setenv(tensorflow_host.INTERPRETER, str(bare))
    with pytest.raises(ImportError, match="pip install torch"):
        layers.TorchModuleWrapper(3)
    with pytest.raises(ImportError, match=r"pip install keraslike\[tensorflow\]"):
        layers.TFSMLayer("model")


@pytest.mark.parametrize(
    ("cls", "config"),
    [(layers.TorchModuleWrapper, {"module": ""}), (layers.TFSMLayer, {"filepath": "model"})],
)
def test_code_in_a_file_is_refused(cls, config):
    entry = {"module": "keras.layers", "class_name": cls.__name__, "config": config}
    with pytest.raises(ValueError, match="safe_mode=False"):
        serialization.deserialize(entry)
