"""Arrays of other libraries in `fit`, `predict` and calls. scipy is the real one; of torch 2.13,
TensorFlow 2.21, pandas 3.1 and polars 2.1 that is imitated in which they differ from numpy."""

import functools
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

import keraslike as keras
import keraslike.tf as tf
from keraslike import layers, ops
from keraslike.training import arrays

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3)).astype("float32")
X[rng.uniform(size=X.shape) < 0.5] = 0.0
Y = X.sum(1, keepdims=True)


class TorchTensor:
    """Gives its memory only on the host, out of the gradient, dense, and in a dtype of numpy's."""

    def __init__(self, array, dtype=None, where="cuda", grad=True, layout="torch.strided"):
        self.array, self.where, self.grad, self.layout = array, where, grad, layout
        self.dtype = dtype or f"torch.{array.dtype}"
        self.shape = array.shape

    def _like(self, **changes):
        given = {k: v for k, v in vars(self).items() if k not in ("array", "shape")}
        return TorchTensor(self.array, **{**given, **changes})

    def detach(self):
        return self._like(grad=False)

    def cpu(self):
        return self._like(where="cpu")

    def float(self):
        return self._like(dtype="torch.float32")

    def to_dense(self):
        return self._like(layout="torch.strided")

    def numpy(self):
        if self.where != "cpu" or self.grad or self.layout != "torch.strided":
            raise RuntimeError("Can't call numpy() on this tensor.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return self.numpy()


class TFTensor:
    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def numpy(self):
        return self.array

    def __array__(self, dtype=None, copy=None):
        return self.array


class TFSparse:
    """TensorFlow's `SparseTensor`."""

    def __init__(self, array):
        places = np.argwhere(array)
        self.indices, self.values = TFTensor(places), TFTensor(array[tuple(places.T)])
        self.dense_shape = TFTensor(np.array(array.shape))
        self.shape, self.dtype = array.shape, array.dtype


class Series:
    def __init__(self, name, array):
        self.name, self.array, self.dtype, self.shape = name, array, array.dtype, array.shape

    def to_numpy(self):
        return self.array

    def __iter__(self):
        return iter(self.array)


class Frame:
    """As pandas has it: all columns together are objects where one of them is not like the rest."""

    def __init__(self, columns):
        self.data = {name: np.asarray(values) for name, values in columns.items()}
        self.columns = list(columns)
        self.shape = len(next(iter(self.data.values()))), len(columns)

    def __getitem__(self, name):
        return Series(name, self.data[name])

    def to_numpy(self):
        kinds = {array.dtype.kind in "iuf" for array in self.data.values()}
        columns = [a if kinds == {True} else a.astype(object) for a in self.data.values()]
        return np.stack(columns, axis=1)


def own_sparse(array):
    places = np.argwhere(array)
    return tf.SparseTensor(places, array[tuple(places.T)], array.shape)


KINDS = {
    "torch": TorchTensor,
    "torch sparse": lambda a: TorchTensor(a, layout="torch.sparse_coo"),
    "tensorflow": TFTensor,
    "tensorflow sparse": TFSparse,
    "keraslike.tf": tf.constant,
    "keraslike.tf sparse": own_sparse,
    "scipy csr": scipy.sparse.csr_matrix,
    "scipy coo": scipy.sparse.coo_array,
    "frame": lambda a: Frame({f"c{i}": a[:, i] for i in range(a.shape[1])}),
}


def make():
    ones = keras.initializers.Ones()
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1, kernel_initializer=ones)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_give_the_same_training(kind):
    results = []
    for convert in (np.asarray, KINDS[kind]):
        model = make()
        x, y = convert(X), convert(Y)
        history = model.fit(
            x, y, epochs=2, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y)
        ).history
        values = [*history["loss"], *history["val_loss"], *model.predict(x, verbose=0)[:, 0]]
        called = model(x)
        batch = model.train_on_batch(x, y)
        results.append([*values, *np.asarray(called)[:, 0], batch])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["torch", "tensorflow", "scipy csr", "frame"])
def test_validation_split_and_streams_take_them_too(kind):
    def batches():
        for i in range(0, 24, 8):
            yield KINDS[kind](X[i : i + 8]), KINDS[kind](Y[i : i + 8])

    model = make()
    expected = make().fit(X, Y, batch_size=8, shuffle=False, verbose=0).history["loss"]
    given = model.fit(batches(), shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(given, expected, rtol=1e-5)
    x, y = KINDS[kind](X), KINDS[kind](Y)
    assert "val_loss" in model.fit(x, y, validation_split=0.25, verbose=0).history


def test_a_column_is_one_feature_of_each_sample():
    column = Series("a", X[:, 0].astype("float64"))
    x = layers.Input((1,))
    assert keras.Model(x, x * 2.0).predict(column, verbose=0).shape == (24, 1)

    class Joined(keras.Model):
        def call(self, inputs):
            return keras.ops.concatenate([inputs["a"], inputs["b"]], axis=1)

    both = Joined().predict({"a": column, "b": column}, verbose=0)
    np.testing.assert_allclose(both, np.stack([X[:, 0]] * 2, axis=1))


class Placed:
    """A tensor of a graph: it has a shape and a dtype, and the numbers come when the graph runs."""

    def __init__(self, shape, dtype, compute):
        self.shape, self.dtype, self.compute = shape, Graphs.as_dtype(dtype), compute
        self.graph = self.op = None

    def set_shape(self, shape):
        self.shape = shape

    def __array__(self, dtype=None, copy=None):
        raise NotImplementedError("Cannot convert a symbolic tf.Tensor to a numpy array.")


class Graphs(types.ModuleType):
    """What of TensorFlow it takes to have a function of arrays in a graph."""

    is_tensor = staticmethod(lambda x: isinstance(x, Placed))

    @staticmethod
    def as_dtype(name):
        kind = np.object_ if name == "string" else np.dtype(name).type
        return types.SimpleNamespace(name=name, as_numpy_dtype=kind)

    @staticmethod
    def numpy_function(function, tensors, dtypes):
        def run(i):
            return function(*[t.compute() for t in tensors])[i]

        return [Placed(None, d.name, functools.partial(run, i)) for i, d in enumerate(dtypes)]


def test_layers_in_a_graph_of_tensorflow_run_once_it_has_numbers(monkeypatch):
    graphs = Graphs("tensorflow")
    graphs.__spec__ = sys.__spec__  # jax asks whether it is there
    monkeypatch.setitem(sys.modules, "tensorflow", graphs)
    numbers = Placed((None, 3), "float32", lambda: X[:4])
    layer = layers.Dense(2)
    out = layer(numbers)
    assert (out.shape, out.dtype.name, layer.built) == ((None, 2), "float32", True)
    np.testing.assert_allclose(out.compute(), layer(X[:4]), rtol=1e-6)
    words = np.array([b"a", b"z"], object)
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    found = lookup(Placed((None,), "string", lambda: words))
    assert (found.shape, found.compute().tolist()) == ((None,), [1, 0])
    flipped = layers.RandomFlip()(
        {"images": Placed((2, 2, 3), "float32", lambda: X[:4].reshape(2, 2, 3))}, training=False
    )
    np.testing.assert_array_equal(flipped["images"].compute().reshape(4, 3), X[:4])
    boxes = np.array([[[2, 1, 4, 3]]], "float32")
    flip = layers.RandomFlip("horizontal", bounding_box_format="xyxy")
    given = {"boxes": Placed((None, 1, 4), "float32", lambda: boxes)}
    given["labels"] = Placed((None, 1), "float32", lambda: np.ones((1, 1), "float32"))
    how = {"flips": np.array([[True]]), "input_shape": (1, 10, 8, 3)}
    moved = flip.transform_bounding_boxes(given, transformation=how, training=True)
    assert moved["boxes"].compute().tolist() == [[[4, 1, 6, 3]]]
    images = Placed((None, 2, 2, 3), "float32", lambda: np.ones((1, 2, 2, 3), "float32"))
    drawn = layers.RandAugment(seed=1).get_random_transformation(images)["layer_idxes"]
    assert len({tuple(drawn.compute()) for _ in range(6)}) > 1  # drawn anew as the graph runs
    space = keras.utils.FeatureSpace({"x": "float", "s": "string_hashed"}, hashing_dim=4)
    one = {
        "x": Placed((), "float32", lambda: np.float32(2)),
        "s": Placed((), "string", lambda: b"a"),
    }
    both = space(one)
    assert both.shape == both.compute().shape == (5,)
    with pytest.raises(TypeError, match="graph of TensorFlow's"):
        ops.sin(numbers)


def test_torchs_bfloat16_has_the_dtype_and_the_values_it_had():
    rounded = X.astype(jnp.bfloat16).astype("float32")
    tensor = TorchTensor(rounded, dtype="torch.bfloat16")
    seen = []

    class Sees(layers.Layer):
        def call(self, x):
            seen.append(x.dtype)
            return x

    out = Sees(dtype="bfloat16")(tensor)
    np.testing.assert_array_equal(np.asarray(out, "float32"), rounded)
    assert seen == [jnp.bfloat16] and ops.convert_to_tensor(tensor).dtype == jnp.bfloat16
    np.testing.assert_allclose(
        make().predict(tensor, verbose=0), rounded.sum(1, keepdims=True), rtol=2e-2, atol=2e-2
    )


def test_layers_losses_metrics_and_ops_take_them_in_structures_and_by_keyword():
    x = TorchTensor(X)
    np.testing.assert_array_equal(layers.Concatenate()([x, x]), np.concatenate([X, X], 1))
    out = layers.MultiHeadAttention(1, 2)(TorchTensor(X[None]), value=TorchTensor(X[None]))
    assert out.shape == (1, 24, 3)
    assert layers.Embedding(9, 2)(TorchTensor(np.array([[1, 2]]))).shape == (1, 2, 2)
    loss = keras.losses.MeanSquaredError()
    np.testing.assert_allclose(loss(x, TFTensor(X + 1)), 1.0, rtol=1e-6)
    metric = keras.metrics.MeanAbsoluteError()
    metric.update_state(x, TorchTensor(X - 2, dtype="torch.bfloat16"))
    np.testing.assert_allclose(metric.result(), 2.0, rtol=1e-2)
    np.testing.assert_array_equal(ops.add(x, 1.0), X + 1)


def test_a_large_sparse_matrix_becomes_dense_a_batch_at_a_time(monkeypatch):
    monkeypatch.setattr(arrays, "_DENSE", 10)
    shapes = []
    taken = arrays.SparseRows.__getitem__

    def watched(self, rows):
        array = taken(self, rows)
        shapes.append(array.shape)
        return array

    monkeypatch.setattr(arrays.SparseRows, "__getitem__", watched)
    x = scipy.sparse.csr_matrix(X)
    model, other = make(), make()
    history = model.fit(x, Y, epochs=2, batch_size=8, shuffle=False, verbose=0).history
    expected = other.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), other.predict(X, verbose=0), rtol=1e-5)
    assert max(rows for rows, _ in shapes) <= 24 and (8, 3) in shapes
    assert "val_loss" in model.fit(x, Y, validation_split=0.5, verbose=0).history
    model.train_on_batch(x, Y)
    holes = x.copy()
    holes.data[0] = np.nan
    with pytest.warns(UserWarning, match="x holds 1 NaN values in 72"):
        model.fit(holes, Y, verbose=0)


@pytest.mark.parametrize("where", ["x", "y", "a dict", "call", "many"])
def test_the_column_that_is_no_number_is_named(where):
    model = make()
    good = Frame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    bad = Frame({"a": X[:, 0], "city": ["Oslo"] * 24, "c": X[:, 2]})
    city = r"'city' \(<U4, such as .*'Oslo'"
    calls = {
        "x": (lambda: model.fit(bad, Y, verbose=0), f"x must hold numbers.*column {city}"),
        "y": (lambda: model.fit(good, bad["city"], verbose=0), f"y must .*column {city}"),
        "a dict": (lambda: model.fit({"i": bad}, Y, verbose=0), rf"x\['i'\] must.*column {city}"),
        "call": (lambda: model(bad), f"takes numbers.*column {city}"),
        "many": (
            lambda: model.fit(Frame({f"c{i}": ["s"] * 3 for i in range(7)}), Y[:3], verbose=0),
            r"columns 'c0' .*'c4' \(.*\) and 2 more",
        ),
    }
    call, words = calls[where]
    with pytest.raises(ValueError, match=words):
        call()


def test_columns_of_booleans_and_numbers_are_numbers():
    x = Frame({"a": X[:, 0], "b": np.arange(24) % 2 == 0, "c": np.arange(24)})
    assert x.to_numpy().dtype == object
    expected = X[:, 0] + (np.arange(24) % 2 == 0) + np.arange(24)
    np.testing.assert_allclose(make().predict(x, verbose=0)[:, 0], expected, rtol=1e-6)


class ArrayLike:
    """As a column of pandas has it: no array, but convertible to one."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


def test_tensors_of_objects_that_convert_to_arrays_have_the_dtypes_of_these():  # as in TensorFlow
    for kind in ("int64", "float64", "int8", "bool"):
        column = ArrayLike(np.ones(2, kind))
        assert tf.constant(column).dtype.name == kind
        assert (
            tf.data.Dataset.from_tensor_slices({"a": column}).element_spec["a"].dtype.name == kind
        )
    assert tf.constant(ArrayLike([1.5]), tf.int32).numpy().tolist() == [1]
    assert tf.convert_to_tensor(ArrayLike([1]), dtype_hint=tf.float32).dtype == tf.float32


def test_results_can_be_changed():
    model = make()
    model.predict(X, verbose=0)
    for found in (
        model.get_weights()[0],
        model.predict(X[:4], verbose=0),
        model.predict_on_batch(X),
    ):
        before = model.get_weights()[0]
        found *= 0
        assert not found.any() and (model.get_weights()[0] == before).all() and before.any()
