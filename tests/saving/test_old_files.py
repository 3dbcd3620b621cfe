"""Whole models as Keras 2 wrote them, put together by hand."""

import json

import h5py
import numpy as np
import pytest

import keraslike
from keraslike import saving
from keraslike.saving import old_config
from keraslike.saving.old_names import Origin

from .test_custom_objects_h5 import my_softplus
from .test_legacy_h5 import next_epochs

load_model = saving.load_model


def old_file(
    path,
    model_config,
    weights,
    training_config=None,
    optimizer_weights=(),
    version="2.4.0",
    backend="tensorflow",
):
    """A file as tf.keras wrote it; `weights` by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        if backend is not None:  # Keras 1 does not tell it
            file.attrs["backend"] = backend
        file.attrs["model_config"] = json.dumps(model_config).encode()
        if training_config is not None:
            file.attrs["training_config"] = json.dumps(training_config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/w{i}:0".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                inner[f"{name}/w{i}:0"] = array
        if optimizer_weights:
            group = file.create_group("optimizer_weights")
            group.attrs["weight_names"] = [f"Adam/{i}:0" for i in range(len(optimizer_weights))]
            for i, array in enumerate(optimizer_weights):
                group[f"Adam/{i}:0"] = array


def dense(name, units, **config):
    return {
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "units": units,
            "activation": "linear",
            "use_bias": True,
            "kernel_initializer": {
                "class_name": "VarianceScaling",
                "config": {
                    "scale": 1.0,
                    "mode": "fan_avg",
                    "distribution": "uniform",
                    "seed": None,
                    "dtype": "float32",
                },
            },
            "bias_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}},
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
            **config,
        },
    }


ADAM = {
    "class_name": "Adam",
    "config": {
        "name": "Adam",
        "lr": 0.25,
        "decay": 0.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-07,
        "amsgrad": False,
    },
}


def old_sequential():
    norm = {
        "name": "bn",
        "trainable": True,
        "dtype": {"class_name": "Policy", "config": {"name": "float32"}},
        "axis": [1],
        "momentum": 0.9,
        "epsilon": 0.001,
        "center": True,
        "scale": True,
        "beta_initializer": {"class_name": "Zeros", "config": {}},
        "gamma_initializer": {"class_name": "Ones", "config": {}},
        "moving_mean_initializer": {"class_name": "Zeros", "config": {}},
        "moving_variance_initializer": {"class_name": "Ones", "config": {}},
        "beta_regularizer": None,
        "gamma_regularizer": None,
        "beta_constraint": None,
        "gamma_constraint": None,
    }
    l1l2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    first = dense("d1", 3, batch_input_shape=[None, 4], kernel_regularizer=l1l2, activation="relu")
    norm = {"class_name": "BatchNormalization", "config": norm}
    return {"name": "seq", "layers": [first, norm, dense("d2", 2, activation="my_softplus")]}


OLD_WEIGHTS = {
    "d1": [np.full((4, 3), 0.5, "f4"), np.ones(3, "f4")],
    "bn": [np.full(3, v, "f4") for v in (2.0, 1.0, 0.5, 4.0)],
    "d2": [np.full((3, 2), 0.25, "f4"), np.zeros(2, "f4")],
}


def old_sequential_output(x):
    hidden = np.maximum(x @ OLD_WEIGHTS["d1"][0] + 1, 0)
    hidden = 2 * (hidden - 0.5) / np.sqrt(4.001) + 1
    return np.log(np.exp(hidden @ OLD_WEIGHTS["d2"][0]) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tf.keras", "a list"])
def test_an_old_sequential(tmp_path, batch, layout):
    x, y = batch
    config = old_sequential()
    config = {"class_name": "Sequential", "config": config}
    if layout == "a list":
        config["config"] = config["config"]["layers"]
    training = {
        "optimizer_config": ADAM,
        "loss": {"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "m"}},
        "metrics": [
            [
                {
                    "class_name": "MeanMetricWrapper",
                    "config": {"name": "mae", "dtype": "float32", "fn": "mean_absolute_error"},
                },
                {"class_name": "MeanSquaredError", "config": {"name": "mse", "dtype": "float32"}},
            ]
        ],
        "weighted_metrics": None,
        "loss_weights": None,
        "sample_weight_mode": None,
    }
    state = [np.int64(5), *(np.zeros(3, "f4") for _ in range(12))]  # no learning rate among it
    old_file(tmp_path / "m.h5", config, OLD_WEIGHTS, training, state)
    custom = {"my_softplus": my_softplus}
    with pytest.warns(UserWarning, match="starts afresh"):
        model = load_model(tmp_path / "m.h5", custom)
    np.testing.assert_allclose(model.predict_on_batch(x), old_sequential_output(x), rtol=1e-5)
    assert type(model.layers[0].kernel_regularizer) is keraslike.regularizers.L1L2
    assert model.layers[1].axis == 1 and model.input_shape == (None, 4)
    assert float(model.optimizer.learning_rate) == 0.25
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    error = old_sequential_output(x) - y
    assert set(result) == {"loss", "mae", "mse"}
    np.testing.assert_allclose(result["mae"], np.abs(error).mean(), rtol=1e-4)
    np.testing.assert_allclose(result["mse"], (error**2).mean(), rtol=1e-4)
    np.testing.assert_allclose(result["loss"], result["mse"] + 0.01 * 12 * 0.25, rtol=1e-4)
    model.save(tmp_path / "again.h5")
    again = load_model(tmp_path / "again.h5", custom)
    assert next_epochs(again, x, y) == next_epochs(model, x, y)


def old_input(name, size):
    config = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False}
    return {
        "class_name": "InputLayer",
        "config": {**config, "ragged": False, "name": name},
        "name": name,
        "inbound_nodes": [],
    }


def old_functional():
    """Two inputs, a shared layer, a nested model (whose calls count from 1), keywords, a Lambda
    with a function by name."""

    def called(entry, *nodes):
        return {**entry, "name": entry["config"]["name"], "inbound_nodes": list(nodes)}

    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [dense("d", 3, batch_input_shape=[None, 3])]},
    }
    add = {"class_name": "Add", "config": {"name": "add", "trainable": True, "dtype": "float32"}}
    twice = {
        "class_name": "Lambda",
        "config": {
            "name": "twice",
            "trainable": True,
            "dtype": "float32",
            "function": "times",
            "function_type": "function",
            "module": "builtins",
            "output_shape": None,
            "output_shape_type": "raw",
            "output_shape_module": None,
            "arguments": {"factor": 2.0},
        },
    }
    return {
        "class_name": "Model",
        "config": {
            "name": "net",
            "layers": [
                old_input("a", 3),
                old_input("b", 3),
                called(dense("shared", 3), [["a", 0, 0, {}]], [["b", 0, 0, {}]]),
                called(add, [["shared", 0, 0, {}], ["shared", 1, 0, {}]]),
                called(inner, [["add", 0, 0, {}]], [["inner", 1, 0, {"training": False}]]),
                called(twice, [["inner", 2, 0, {}]]),
            ],
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["twice", 0, 0]],
        },
    }


def times(x, factor):
    return x * factor


def test_an_old_functional_model(tmp_path, rng):
    kernels = {n: rng.normal(size=(3, 3)).astype("f4") for n in ("shared", "inner")}
    bias = np.ones(3, "f4")
    stored = {n: [k, bias] for n, k in kernels.items()}
    weights = {"a": [], "b": [], "shared": stored["shared"], "add": [], "inner": stored["inner"]}
    old_file(tmp_path / "m.h5", old_functional(), {**weights, "twice": []})
    with pytest.raises(TypeError, match="custom_objects={'times': times}"):
        load_model(tmp_path / "m.h5")
    model = load_model(tmp_path / "m.h5", {"times": times})
    assert [v.name for v in model.layers] == ["a", "b", "shared", "add", "inner", "twice"]
    a, b = rng.normal(size=(2, 5, 3)).astype("f4")
    hidden = a @ kernels["shared"] + b @ kernels["shared"] + 2
    for _ in range(2):
        hidden = hidden @ kernels["inner"] + 1
    np.testing.assert_allclose(model.predict_on_batch([a, b]), 2 * hidden, rtol=1e-4, atol=1e-5)
    config = old_functional()
    config["config"]["output_layers"] = [["inner", 1, 0], ["twice", 0, 0]]
    old_file(tmp_path / "m.h5", config, {**weights, "twice": []})
    first, last = load_model(tmp_path / "m.h5", {"times": times}).predict_on_batch([a, b])
    np.testing.assert_allclose(last, 2 * hidden, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first @ kernels["inner"] + 1, hidden, rtol=1e-4, atol=1e-5)


def test_old_shapes_tuples_and_keyword_tensors():
    modern = old_config.modern(
        {
            "a": {"class_name": "TensorShape", "items": [None, 3]},
            "b": {
                "class_name": "__tuple__",
                "items": [1, {"class_name": "__tuple__", "items": []}],
            },
        },
        "",
        Origin(),
    )
    assert modern == {"a": [None, 3], "b": [1, []]}
    layer = {"class_name": "MyLayer", "config": {"name": "c"}, "name": "c"}
    node = [["a", 0, 0, {"other": ["b", 0, 0], "n": 2}]]
    config = {
        "layers": [old_input("a", 3), old_input("b", 3), {**layer, "inbound_nodes": [node]}],
        "input_layers": [["a", 0, 0], ["b", 0, 0]],
        "output_layers": [["c", 0, 0]],
    }
    found = {"class_name": "Model", "config": config}
    found = old_config.modern(found, "layers", Origin())["config"]
    (call,) = found["layers"][2]["inbound_nodes"]
    assert call["args"][0]["config"] == {"keras_history": ["a", 0, 0]}
    assert call["kwargs"]["other"]["config"] == {"keras_history": ["b", 0, 0]}
    assert call["kwargs"]["n"] == 2
    assert found["output_layers"] == ["c", 0, 0]
