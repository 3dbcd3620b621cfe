"""Output shapes for unknown sizes do not depend on which sizes are tried to find them out."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, ops
from keraslike.core.symbolic import KerasTensor

X = (None, None, 4)
IMAGE = (None, None, None, 3)

# What is called, and the shapes of x and y.
OPS = {
    "ops.reshape(x, (-1, 100))": [X],
    "ops.reshape(x, (100, -1))": [X],
    "ops.reshape(x, (-1, 7, 4))": [X],
    "ops.reshape(x, (-1, 1031))": [X],
    "ops.reshape(x, (-1, 10))": [(None,) * 9],
    "ops.reshape(x, (-1, 6))": [(None, None)],
    "ops.ravel(x)": [X],
    "ops.top_k(x, 100)": [(None, None)],
    "ops.top_k(x, 5000)": [(None, None)],
    "ops.top_k(ops.max_pool(x, 100)[..., 0], 100)": [(None, None, 1)],
    "ops.split(x, 2, axis=1)": [X],
    "ops.split(x, 100, axis=1)": [X],
    "ops.split(x, [3], axis=1)": [X],
    "ops.repeat(x, 500, axis=1)": [X],
    "ops.tile(x, (500, 1, 2))": [X],
    "ops.pad(x, ((0, 0), (500, 3), (1, 1)))": [X],
    "ops.roll(x, 500, axis=1)": [X],
    "ops.take(x, [[1, 500]], axis=1)": [X],
    "ops.diagonal(x, offset=500)": [(None, None)],
    "ops.diag(x, k=3)": [(None,)],
    "ops.tril(x, k=500)": [(None, None)],
    "ops.broadcast_to(x, (5, 7, 3))": [(None, 3)],
    "ops.diff(x, n=20, axis=1)": [X],
    "ops.unstack(x, axis=2)": [X],
    "ops.quantile(x, [0.1, 0.5], axis=1)": [X],
    "ops.median(x, axis=1)": [X],
    "ops.max_pool(x, 100, strides=7)": [X],
    "ops.average_pool(x, (100, 2), strides=3, padding='same')": [IMAGE],
    "ops.conv(x, y, strides=3)": [X, (200, 4, 5)],
    "ops.conv_transpose(x, y, strides=3)": [X, (200, 5, 4)],
    "ops.linalg.inv(x)": [(None, None, None)],
    "ops.linalg.cholesky(x)": [(None, None, None)],
    "ops.slice(x, (0, 3, 0), (2, 100, 4))": [X],
    "ops.slice_update(x, (0, 3, 0), y)": [X, (2, 100, 4)],
    "ops.concatenate([x, x[:, :100]], 1)": [X],
}
LAYERS = {
    "Cropping1D(5000)": X,
    "Cropping1D((0, 3))": X,
    "ZeroPadding1D(500)": X,
    "MaxPooling1D(100)": X,
    "AveragePooling1D(100, strides=7, padding='same')": X,
    "Conv1D(3, 200, strides=7)": X,
    "Conv1D(3, 200, dilation_rate=9, padding='causal')": X,
    "SeparableConv1D(3, 200)": X,
    "Conv1DTranspose(3, 200, strides=7)": X,
    "Reshape((-1, 100))": X,
    "Reshape((100, -1))": X,
    "Flatten()": X,
    "Permute((2, 1))": X,
    "RepeatVector(500)": (None, 4),
    "Cropping2D(((3, 4), (500, 2)))": IMAGE,
    "UpSampling2D((500, 3))": IMAGE,
    "MaxPooling2D((100, 3))": IMAGE,
    "Conv2D(3, (100, 3), strides=(7, 1))": IMAGE,
    "DepthwiseConv2D(100)": IMAGE,
    "Cropping3D(5000)": (None, None, None, None, 2),
}
SIZES = (1, 42, 100, 1031, 12000)


def shapes_of(tree):
    return [tuple(t.shape) for t in jax.tree.leaves(tree, is_leaf=lambda t: hasattr(t, "shape"))]


def called(text, tensors, library):
    return eval(text, {"ops": library.ops, "x": tensors[0], "y": tensors[-1]})


def check(claimed, keras_says, at_size):
    """A size that is claimed is that of every size tried, and all that Keras tells is told.

    Keras takes a size for known, too, where it would be an error to be of another.
    """
    tried = 0
    for n in SIZES:
        try:
            shapes = at_size(n)
        except Exception:
            continue
        tried += 1
        assert list(map(len, shapes)) == list(map(len, claimed)), n
        for shape, claim in zip(shapes, claimed):
            assert all(c is None or c == s for c, s in zip(claim, shape)), (n, shape, claim)
    assert tried
    if keras_says is not None:
        for claim, theirs in zip(claimed, keras_says, strict=True):
            assert all(t is None or t == c for t, c in zip(theirs, claim)), (claim, theirs)


def check_operation(text, shapes):
    def at_size(n):
        given = [
            jax.ShapeDtypeStruct([n if s is None else s for s in shape], jnp.float32)
            for shape in shapes
        ]
        return shapes_of(jax.eval_shape(lambda *t: called(text, t, keraslike), *given))

    claimed = shapes_of(called(text, [KerasTensor(s) for s in shapes], keraslike))
    try:
        theirs = shapes_of(called(text, [keras.KerasTensor(s) for s in shapes], keras))
    except ValueError:  # Keras cannot say
        theirs = None
    check(claimed, theirs, at_size)
    return claimed


@pytest.mark.slow
@pytest.mark.parametrize("text", OPS)
def test_operations(text):
    check_operation(text, OPS[text])


@pytest.mark.parametrize("seed", range(4))
def test_slices(seed):
    rng = np.random.default_rng(seed)
    ends, steps = ["", 0, 1, 3, 100, 5000, -1, -3, -100, -5000], ["", 1, 2, 3, -1, -2, -7]
    for _ in range(15):
        start, stop, step = (rng.choice(list(map(str, c))) for c in (ends, ends, steps))
        others = rng.choice([":, {}", ":, {}, 0", "..., {}, :", ":, None, {}", "1:, {}, ::-1"])
        check_operation(f"x[{others.format(f'{start}:{stop}:{step}')}]", [X])


@pytest.mark.slow
@pytest.mark.parametrize("text", LAYERS)
def test_layers(text):
    shape = LAYERS[text]
    layer = eval(f"layers.{text}", {"layers": layers})
    theirs = eval(f"layers.{text}", {"layers": keras.layers})(keras.KerasTensor(shape))

    def at_size(n):
        sizes = [2, *(n if s is None else s for s in shape[1:])]
        return shapes_of(layer(KerasTensor(sizes)))

    check(shapes_of(layer(KerasTensor(shape))), shapes_of(theirs), at_size)


# -- code of the user's -----------------------------------------------------------------------


def spec(function, *shapes):
    class Own(layers.Layer):
        def call(self, *tensors):
            return function(*tensors)

    return jax.tree.map(lambda t: t.shape, Own()(*map(KerasTensor, shapes)))


@pytest.mark.parametrize(
    "function, shape",
    [
        (lambda x: x[:, : x.shape[1] % 100], (None, None, 4)),
        (lambda x: x[:, : min(100, x.shape[1])], (None, None, 4)),
        (lambda x: x[:, :2] if x.shape[1] > 5000 else x[:, :4], (None, None, 4)),
        (lambda x: sum(x[:, i] for i in range(x.shape[1])), (None, 4)),
        (lambda x: x + np.arange(x.shape[1])[:, None], (None, None, 4)),
        (lambda x: jnp.reshape(x, (-1, int(np.prod(x.shape[1:])))), (None, None)),
        (lambda x: jnp.squeeze(x[:, :1]), (None, 4)),
        (lambda x: jax.lax.dynamic_slice_in_dim(x, 0, 70, 1), (None, 70, 4)),
        (lambda x: ops.top_k(x[..., 0], 100)[0], (None, 100)),
        (
            lambda x: jnp.pad(x, ((0, 0), (0, -x.shape[1] % 100), (0, 0))).reshape(
                x.shape[0], -1, 100, 4
            ),
            (None, None, 100, 4),
        ),
    ],
)
def test_code_that_asks_for_sizes(function, shape):
    assert spec(function, X) == shape


def test_nothing_is_claimed_of_what_no_size_suits():
    with pytest.raises(TypeError, match="contracting"):
        spec(lambda x: x @ jnp.ones((5, 3)), X)
    with pytest.raises(IndexError, match="Too many indices"):
        spec(lambda x: x[:, :, 0][:, :, 0], X)


def test_large_sizes_take_no_memory():
    """None of the sizes that are tried makes an array, or has Python count to it."""
    counted = []

    def count(x):
        counted.append(len(np.zeros(x.shape[1])))
        return x[:, : len(counted)]

    spec(count, X)
    assert max(counted) < 1000


def test_a_model_with_an_axis_that_is_cropped():
    inputs = layers.Input((None, 2))
    model = keraslike.Model(inputs, layers.Conv1D(1, 3)(layers.Cropping1D(5000)(inputs)))
    assert model.output_shape == (None, None, 1)
    assert model(np.ones((1, 10010, 2))).shape == (1, 8, 1)


def test_sizes_that_grow_without_end_are_tried_once():
    """Each step squares a size that is not known: a formula of it doubles in length."""
    x = inputs = layers.Input((None,))
    for _ in range(30):
        x = ops.reshape(ops.einsum("bi,bj->bij", x, x), (-1, 1))[:, 0]
        x = ops.pad(x[None], ((0, 0), (1, 0)))
    model = keraslike.Model(inputs, x)
    traced = []

    def call(tensor):
        traced.append(tensor.shape)
        return model(tensor)

    with pytest.raises(ValueError, match="too large for any computer"):
        spec(call, (1, None))
    assert len(traced) == 1
