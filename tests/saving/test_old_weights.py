"""Weights as Keras 1, Theano and cuDNN laid them out, against sums written down with numpy."""

import h5py
import numpy as np
import pytest

import keraslike
from keraslike import saving

from . import keras2
from .test_old_files import old_file


def file_of(path, version, layers, weights, training=None, state=(), backend=None):
    """A file with a Sequential, whose config was a list at first."""
    config = [{"class_name": name, "config": config} for name, config in layers]
    config = {"class_name": "Sequential", "config": config}
    stored = {entry["name"]: weights[entry["name"]] for _, entry in layers}
    old_file(path, config, stored, training, state, version, backend)


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm(x, gates):
    """The equations of an LSTM whose gates i, c, f and o have weights of their own."""
    h = c = np.zeros((len(x), gates[0][1].shape[0]))
    for t in range(x.shape[1]):
        i, new, f, o = (x[:, t] @ w + h @ u + b for w, u, b in gates)
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(new)
        h = hard_sigmoid(o) * np.tanh(c)
    return h


def gru(x, gates):
    """The equations of a GRU whose gates z, r and h have weights of their own."""
    h = np.zeros((len(x), gates[0][1].shape[0]))
    for t in range(x.shape[1]):
        (wz, uz, bz), (wr, ur, br), (wh, uh, bh) = gates
        z = hard_sigmoid(x[:, t] @ wz + h @ uz + bz)
        r = hard_sigmoid(x[:, t] @ wr + h @ ur + br)
        new = np.tanh(x[:, t] @ wh + (r * h) @ uh + bh)
        h = z * h + (1 - z) * new
    return h


def of_gates(count, first=0):
    shapes = [(3, 2), (2, 2), (2,)]
    return [
        [keras2.numbers(s, first + 3 * gate + i) for i, s in enumerate(shapes)]
        for gate in range(count)
    ]


def recurrent(class_name):
    return class_name, {
        "name": "r",
        "output_dim": 2,
        "activation": "tanh",
        "inner_activation": "hard_sigmoid",
        "return_sequences": False,
        "input_dim": 3,
        "batch_input_shape": [None, 4, 3],
        "consume_less": "cpu",
    }


@pytest.mark.parametrize(("class_name", "function", "count"), [("LSTM", lstm, 4), ("GRU", gru, 3)])
def test_gates_of_keras_1(class_name, function, count, tmp_path):
    x = keras2.numbers((2, 4, 3), 20)
    path, gates = tmp_path / "m.h5", of_gates(count)
    flat = [w for gate in gates for w in gate]
    file_of(path, "1.2.2", [recurrent(class_name)], {"r": flat})
    model = saving.load_model(path)
    np.testing.assert_allclose(model.predict_on_batch(x), function(x, gates), rtol=1e-4, atol=1e-5)

    # In a wrapper, whose two layers' weights come one after the other.
    inner = {"class_name": class_name, "config": recurrent(class_name)[1]}
    both = {"name": "b", "layer": inner, "merge_mode": "sum", "batch_input_shape": [None, 4, 3]}
    other = of_gates(count, 40)
    weights = [*flat, *(w for gate in other for w in gate)]
    file_of(path, "1.2.2", [("Bidirectional", both)], {"b": weights})
    expected = function(x, gates) + function(x[:, ::-1], other)
    found = saving.load_model(path).predict_on_batch(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("class_name", "count"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
def test_layers_for_cudnn(class_name, count, tmp_path):
    """A gate's kernel lies in memory as (units, features), and there are two biases a gate."""
    x = keras2.numbers((2, 4, 3), 20)
    kernels = [keras2.numbers((3, 2), i) for i in range(count)]
    recurrent_kernels = [keras2.numbers((2, 2), 10 + i) for i in range(count)]
    biases = keras2.numbers((2, count, 2), 30)
    stored = [
        np.hstack([k.T.reshape(3, 2) for k in kernels]),
        np.hstack([u.T for u in recurrent_kernels]),
        biases.reshape(-1),
    ]
    config = {"name": "r", "units": 2, "batch_input_shape": [None, 4, 3]}
    file_of(
        tmp_path / "m.h5", "2.2.4", [(class_name, config)], {"r": stored}, None, (), "tensorflow"
    )
    model = saving.load_model(tmp_path / "m.h5")

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    h = c = np.zeros((2, 2))
    for t in range(4):
        a = [x[:, t] @ k + biases[0, i] for i, k in enumerate(kernels)]
        b = [h @ u + biases[1, i] for i, u in enumerate(recurrent_kernels)]
        if count == 4:  # i, f, c, o
            i, f, new, o = (p + q for p, q in zip(a, b))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
            h = sigmoid(o) * np.tanh(c)
        else:  # z, r, h
            z, r = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
            h = z * h + (1 - z) * np.tanh(a[2] + r * b[2])
    np.testing.assert_allclose(model.predict_on_batch(x), h, rtol=1e-4, atol=1e-5)


def correlated(x, kernel):
    """`x` (batch, rows, columns, channels) with a kernel (rows, columns, channels, filters)."""
    rows, columns = kernel.shape[:2]
    out = [
        [
            np.einsum("brci,rcio->bo", x[:, i : i + rows, j : j + columns], kernel)
            for j in range(x.shape[2] - columns + 1)
        ]
        for i in range(x.shape[1] - rows + 1)
    ]
    return np.moveaxis(np.array(out), 2, 0)


@pytest.mark.parametrize("backend", [None, "theano"])
@pytest.mark.parametrize("ordering", ["th", "tf"])
def test_kernels(ordering, backend, tmp_path):
    kernel, bias = keras2.numbers((2, 3, 2, 4)), keras2.numbers((4,), 1)
    x = keras2.numbers((2, 4, 5, 2), 2)
    shape = [None, 2, 4, 5] if ordering == "th" else [None, 4, 5, 2]
    config = {
        "name": "c",
        "nb_filter": 4,
        "nb_row": 2,
        "nb_col": 3,
        "border_mode": "valid",
        "dim_ordering": ordering,
        "batch_input_shape": shape,
    }
    stored = kernel.transpose(3, 2, 0, 1) if ordering == "th" else kernel
    path = tmp_path / "m.h5"
    layers = [("Convolution2D", config)]
    file_of(path, "1.2.2", layers, {"c": [stored, bias]}, backend=backend)
    model = saving.load_model(path)
    expected = correlated(x, kernel if backend is None else kernel[::-1, ::-1]) + bias
    found = model.predict_on_batch(x.transpose(0, 3, 1, 2) if ordering == "th" else x)
    found = found.transpose(0, 2, 3, 1) if ordering == "th" else found
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(path)
    kernel_found = np.asarray(model.layers[0].kernel)
    np.testing.assert_array_equal(kernel_found, kernel if backend is None else kernel[::-1, ::-1])


@pytest.mark.parametrize("layout", ["1.2", "1.0"])
def test_kernels_of_one_dimension(layout, tmp_path):
    """They had an axis of size 1 more, and first of all the filters in front."""
    kernel = keras2.numbers((3, 2, 4))
    stored = kernel[:, None] if layout == "1.2" else kernel.transpose(2, 1, 0)[..., None]
    config = {"name": "c", "nb_filter": 4, "filter_length": 3, "batch_input_shape": [None, 5, 2]}
    path = tmp_path / "m.h5"
    file_of(path, "1.2.2", [("Convolution1D", config)], {"c": [stored, np.zeros(4, "f4")]})
    x = keras2.numbers((2, 5, 2), 2)
    expected = correlated(x[:, :, None], kernel[:, None])[:, :, 0]
    found = saving.load_model(path).predict_on_batch(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_in_a_model(tmp_path):
    """Its weights are one list: first those of its layers that train."""
    conv = {"nb_filter": 2, "nb_row": 2, "nb_col": 2, "dim_ordering": "th", "name": "c"}
    inner = [
        {"class_name": "Convolution2D", "config": {**conv, "batch_input_shape": [None, 2, 3, 3]}},
        {"class_name": "BatchNormalization", "config": {"name": "n", "mode": 0, "axis": 1}},
        {"class_name": "Convolution2D", "config": {**conv, "name": "d"}},
    ]
    kernels = [keras2.numbers((2, 2, 2, 2), i) for i in range(2)]
    ones, stds = np.ones(2, "f4"), [np.full(2, v, "f4") for v in (0.5, 4.0)]
    trained = [kernels[0], 0 * ones, ones, 0 * ones, kernels[1], 0 * ones]
    path = tmp_path / "m.h5"
    file_of(
        path,
        "1.2.2",
        [("Sequential", {"name": "inner", "layers": inner})],
        {"inner": [*trained, *stds]},
    )
    model = saving.load_model(path)
    x = keras2.numbers((2, 3, 3, 2), 5)
    hidden = correlated(x, kernels[0].transpose(2, 3, 1, 0))
    hidden = (hidden - 0.5) / np.sqrt(4.001)
    expected = correlated(hidden, kernels[1].transpose(2, 3, 1, 0))
    found = model.predict_on_batch(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# -- the state of the package `keras`'s optimizers ---------------------------------------------


DENSE = [
    ("Dense", {"name": n, "units": 2, "use_bias": False, "batch_input_shape": [None, 2]})
    for n in ("a", "b")
]


def trained(tmp_path, class_name, state, version="2.2.4", **config):
    """A model with this state of its optimizer, from a file of the package `keras`."""
    weights = {n: [keras2.numbers((2, 2), i)] for i, n in enumerate("ab")}
    rule = {"class_name": class_name, "config": {"lr": 0.1, "decay": 0.0, **config}}
    training = {"optimizer_config": rule, "loss": "mse"}
    file_of(tmp_path / "m.h5", version, DENSE, weights, training, state, "tensorflow")
    return saving.load_model(tmp_path / "m.h5")


def slots(model, count):
    """The slots of the optimizer by their kinds, each for both weights."""
    found = [np.asarray(v) for v in model.optimizer.variables if v.shape == (2, 2)]
    assert len(found) == 2 * count
    return found


def test_state_of_adam_and_sgd(tmp_path):
    arrays = [keras2.numbers((2, 2), 7 + i) for i in range(4)]
    m_a, m_b, v_a, v_b = arrays
    for version, extra in (("1.2.2", []), ("2.2.4", [np.zeros(1, "f4")] * 2)):
        model = trained(tmp_path, "Adam", [np.int64(5), *arrays, *extra], version)
        assert int(model.optimizer.iterations) == 5
        np.testing.assert_array_equal(slots(model, 2), [m_a, v_a, m_b, v_b])
    model = trained(tmp_path, "SGD", [np.float32(3), m_a, m_b], momentum=0.9)
    assert int(model.optimizer.iterations) == 3
    np.testing.assert_array_equal(slots(model, 1), [m_a, m_b])
    model = trained(tmp_path, "SGD", [np.int64(3), m_a, m_b])  # kept, and never used
    assert int(model.optimizer.iterations) == 3 and slots(model, 0) == []


def test_state_without_a_step_count(tmp_path):
    arrays = [keras2.numbers((2, 2), 7 + i) ** 2 for i in range(4)]
    for class_name, count in (("RMSprop", 1), ("Adagrad", 1), ("Adadelta", 2)):
        model = trained(tmp_path, class_name, arrays[: 2 * count])
        g_a, g_b, d_a, d_b = arrays
        wanted = [g_a, g_b] if count == 1 else [g_a, d_a, g_b, d_b]
        np.testing.assert_array_equal(slots(model, count), wanted)
        assert int(model.optimizer.iterations) == 0


def test_state_that_does_not_fit(tmp_path):
    for state in ([np.int64(3)] + [np.zeros((2, 2), "f4")] * 3, [np.zeros(7, "f4")] * 5):
        with pytest.warns(UserWarning, match="starts afresh"):
            model = trained(tmp_path, "Adam", state)
        assert int(model.optimizer.iterations) == 0
        assert isinstance(model.optimizer, keraslike.optimizers.Adam)


class KeepsLayersInDicts(keraslike.Model):
    def __init__(self, keys):
        super().__init__()
        self.stack = [{key: keraslike.layers.Dense(3) for key in keys}]

    def call(self, x):
        for layer in self.stack[0].values():
            x = layer(x)
        return x


@pytest.mark.parametrize("keys", ["ba", "ab"])
@pytest.mark.parametrize("names", [True, False])
def test_layers_that_keras_2_takes_in_another_order(keys, names, tmp_path):
    """The names of layers, which Keras 2 does not write, say that a file is not of it."""
    x, path = np.ones((2, 3), "float32"), str(tmp_path / "m.weights.h5")
    model, again = KeepsLayersInDicts(keys), KeepsLayersInDicts(keys)
    expected = model(x)
    again(x)
    before = again.get_weights()
    model.save_weights(path)
    if not names:
        with h5py.File(path, "r+") as file:
            groups = []
            file.visit(groups.append)
            for group in groups:
                file[group].attrs.pop("name", None)
    if names or keys == "ab":
        again.load_weights(path)
        np.testing.assert_array_equal(again(x), expected)
    else:
        with pytest.raises(ValueError, match="does not say which weights are of which layer"):
            again.load_weights(path)
        for a, b in zip(again.get_weights(), before):
            np.testing.assert_array_equal(a, b)
