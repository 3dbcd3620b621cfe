"""Sparse arrays of JAX's through layers and operations, beside dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import keraslike as keras
from keraslike import layers, ops

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
DENSE = rng.normal(size=(5, 4)).astype("float32") * (rng.random((5, 4)) < 0.4)
SPARSE = sparse.BCOO.fromdense(DENSE)


def is_sparse(x):
    return isinstance(x, sparse.BCOO)


def test_dense_layer():
    layer = layers.Dense(3, activation="relu")
    np.testing.assert_allclose(layer(SPARSE), layer(DENSE), rtol=1e-5, atol=1e-6)
    assert layer.built and layer.kernel.shape == (4, 3)
    with pytest.raises(ValueError, match="value 4"):
        layer(sparse.BCOO.fromdense(np.ones((2, 3), "float32")))
    half = layers.Dense(3, dtype="mixed_bfloat16")
    assert half(SPARSE).dtype == "bfloat16"


def test_gradients_are_those_of_the_dense_array():
    layer = layers.Dense(3)
    layer.build((None, 4))

    def loss(kernel, x):
        return jnp.sum(ops.matmul(x, kernel) ** 2)

    kernel = layer.kernel.value
    np.testing.assert_allclose(
        jax.jit(jax.grad(loss))(kernel, SPARSE), jax.grad(loss)(kernel, DENSE), rtol=1e-4
    )


def test_embedding():
    ids = np.array([[0, 2, 0], [1, 0, 0]])
    layer = layers.Embedding(4, 2)
    np.testing.assert_array_equal(layer(sparse.BCOO.fromdense(ids)), layer(ids))
    np.testing.assert_array_equal(layer.call(sparse.BCOO.fromdense(ids)), layer(ids))
    taken = ops.take(layer.embeddings, sparse.BCOO.fromdense(ids), axis=0)
    np.testing.assert_array_equal(taken, layer(ids))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum"])
def test_sums_and_products(name):
    op = getattr(ops, name)
    other = sparse.BCOO.fromdense(np.roll(DENSE, 1, 0))
    np.testing.assert_allclose(
        op(SPARSE, other).todense() if is_sparse(op(SPARSE, other)) else op(SPARSE, other),
        op(DENSE, np.roll(DENSE, 1, 0)),
        rtol=1e-6,
    )
    assert is_sparse(op(SPARSE, other))
    for array in (np.ones((5, 4), "float32") * 3, np.arange(4.0, dtype="float32"), 2.0):
        for a, b, c, d in ((SPARSE, array, DENSE, array), (array, SPARSE, array, DENSE)):
            found, wanted = op(a, b), op(c, d)
            found = found.todense() if is_sparse(found) else found
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
            assert found.dtype == wanted.dtype


def test_matmul():
    weights = rng.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(ops.matmul(SPARSE, weights), DENSE @ weights, rtol=1e-4, atol=1e-6)
    both = ops.matmul(SPARSE, sparse.BCOO.fromdense(weights))
    assert is_sparse(both)
    np.testing.assert_allclose(both.todense(), DENSE @ weights, rtol=1e-4, atol=1e-6)
    left = ops.matmul(np.ones((2, 5), "float32"), SPARSE)
    np.testing.assert_allclose(left, np.ones((2, 5)) @ DENSE, rtol=1e-4, atol=1e-6)
    stack = np.ones((2, 4, 3), "float32")
    np.testing.assert_allclose(ops.matmul(SPARSE, stack), DENSE @ stack, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("x", [[1, 0, 2], [[1, -1], [3, 2]], 2])
def test_one_hot(axis, x):
    axis = min(axis, np.ndim(x))
    found = ops.one_hot(np.array(x), 3, axis=axis, sparse=True)
    assert is_sparse(found) and found.dtype == "float32"
    np.testing.assert_array_equal(found.todense(), ops.one_hot(np.array(x), 3, axis=axis))
    assert ops.one_hot(keras.KerasTensor((None, 2), "int32"), 3, sparse=True).shape == (None, 2, 3)


def test_other_operations_compute_with_a_dense_array():
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.sum(SPARSE, axis=1)), DENSE.sum(1), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(ops.exp(SPARSE), np.exp(DENSE), rtol=1e-5)
    assert ops.is_tensor(SPARSE) and ops.shape(SPARSE) == (5, 4)
    assert is_sparse(ops.cast(SPARSE, "float16")) and is_sparse(ops.convert_to_tensor(SPARSE))
    np.testing.assert_array_equal(ops.convert_to_numpy(SPARSE), DENSE)
    assert not is_sparse(ops.convert_to_tensor(SPARSE, sparse=False))


@pytest.mark.parametrize(
    "layer",
    [layers.Add(), layers.Subtract(), layers.Average(), layers.Multiply(), layers.Maximum()]
    + [layers.Minimum(), layers.Concatenate(), layers.Concatenate(0), layers.Dot(1)],
    ids=lambda layer: layer.name,
)
def test_merging_sparse_arrays_gives_a_sparse_one(layer):
    other = sparse.BCOO.fromdense(np.roll(DENSE, 1, 0))
    found, wanted = layer([SPARSE, other]), layer([DENSE, np.roll(DENSE, 1, 0)])
    assert is_sparse(found)
    np.testing.assert_allclose(found.todense(), wanted, rtol=1e-5, atol=1e-6)
    symbolic = layer([layers.Input((4,), sparse=True), layers.Input((4,), sparse=True)])
    assert symbolic.sparse and symbolic.shape[1:] == found.shape[1:]
    batches = sparse.BCOO(([[1.0, 2.0]], [[[0], [2]]]), shape=(5, 4))
    np.testing.assert_allclose(
        layer([batches, batches]).todense(), layer([batches.todense()] * 2), rtol=1e-6
    )


@pytest.mark.parametrize(
    "layer",
    [layers.Flatten(), layers.Flatten("channels_first"), layers.Reshape((4, -1))]
    + [layers.Permute((3, 1, 2)), layers.Identity()],
    ids=lambda layer: layer.name,
)
def test_reshaping_a_sparse_array_gives_a_sparse_one(layer):
    dense = (rng.random((5, 2, 3, 4)) < 0.3).astype("float32")
    found = layer(sparse.BCOO.fromdense(dense))
    assert is_sparse(found) and layer(layers.Input((2, 3, 4), sparse=True)).sparse
    np.testing.assert_array_equal(found.todense(), layer(dense))


def test_a_model_with_a_sparse_input(tmp_path):
    i = layers.Input((4,), sparse=True)
    assert i.sparse
    model = keras.Model(i, layers.Dense(2)(i))
    assert model.output_shape == (None, 2)
    np.testing.assert_allclose(model(SPARSE), model(DENSE), rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.input.sparse
    np.testing.assert_allclose(again(SPARSE), model(DENSE), rtol=1e-5, atol=1e-6)
    j = layers.Input((4,))
    dense = keras.Model(j, layers.Reshape((2, 2))(j))  # which is given a dense array
    np.testing.assert_array_equal(dense(SPARSE), DENSE.reshape(5, 2, 2))


@pytest.mark.parametrize("declared", [True, False])
def test_sparse_data_trains_a_model(declared):
    def made():
        keras.utils.set_random_seed(0)
        i = layers.Input((4,), sparse=declared)
        model = keras.Model(i, layers.Dense(2)(i))
        model.compile("sgd", "mse")
        return model

    y = np.ones((5, 2), "float32")
    histories = [
        made().fit(x, y, batch_size=2, shuffle=False, epochs=2, verbose=0).history["loss"]
        for x in (SPARSE, DENSE)
    ]
    np.testing.assert_allclose(*histories, rtol=1e-5)
    model = made()
    np.testing.assert_allclose(
        model.predict(SPARSE, verbose=0), model.predict(DENSE, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_places_that_occur_twice_add_up():
    twice = sparse.BCOO((jnp.array([1.0, 2.0]), jnp.array([[0, 1], [0, 1]])), shape=(2, 4))
    model = keras.Sequential([layers.Identity()])
    assert model.predict(twice, verbose=0)[0].tolist() == [0.0, 3.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "layer", [layers.LayerNormalization, layers.BatchNormalization, layers.Masking, layers.Softmax]
)
def test_other_layers_compute_with_a_dense_array(layer):
    layer = layer()
    np.testing.assert_allclose(layer(SPARSE), layer(DENSE), rtol=1e-5, atol=1e-6)
    assert not is_sparse(layer(SPARSE))
    merged = layers.Add()([SPARSE, DENSE])
    np.testing.assert_allclose(merged, 2 * DENSE, rtol=1e-6)


def test_a_layer_of_ones_own_is_given_the_sparse_array():
    class Own(layers.Layer):
        def call(self, x):
            self.seen = type(x)
            return ops.matmul(x, jnp.ones((4, 2)))

    layer = Own()
    np.testing.assert_allclose(
        layer(SPARSE), DENSE.sum(1, keepdims=True).repeat(2, 1), rtol=1e-4, atol=1e-6
    )
    assert layer.seen is sparse.BCOO
