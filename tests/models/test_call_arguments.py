"""What is given to the call of a model or of its parts besides the inputs: masks, training."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike

STEPS = np.arange(8, dtype="float32").reshape(1, 4, 2)
FIRST_TWO = np.array([[True, True, False, False]])


def mean_model(framework, kind):
    layers = framework.layers
    if kind == "functional":
        inputs = framework.Input((4, 2))
        return framework.Model(inputs, layers.GlobalAveragePooling1D()(layers.ReLU()(inputs)))
    first = [framework.Input((4, 2))] if kind == "sequential" else []
    return framework.Sequential([*first, layers.ReLU(), layers.GlobalAveragePooling1D()])


@pytest.mark.parametrize("kind", ["functional", "sequential", "sequential without Input"])
def test_a_mask_given_to_the_call_of_a_model(kind):
    theirs, ours = mean_model(keras, kind), mean_model(keraslike, kind)
    for dtype in ("float32", "float64"):  # the inputs are cast, and keep the mask
        x = STEPS.astype(dtype)
        expected = theirs(x, mask=FIRST_TWO)
        np.testing.assert_allclose(ours(x, mask=FIRST_TWO), expected)
    assert np.asarray(expected).tolist() == [[1.0, 2.0]]
    x = jnp.asarray(STEPS)
    ours(x, mask=FIRST_TWO)
    assert ours(x).tolist() == [[3.0, 4.0]]  # the mask was that call's


def test_masks_of_several_inputs():
    results = []
    for framework in (keras, keraslike):
        layers = framework.layers
        a, b = framework.Input((4, 2)), framework.Input((4, 2))
        pooled = [layers.GlobalAveragePooling1D()(x) for x in (a, b)]
        model = framework.Model([a, b], pooled)
        results.append(model([STEPS, STEPS + 1], mask=[None, FIRST_TWO]))
    for theirs, ours in zip(*results):
        np.testing.assert_allclose(ours, theirs)


def test_a_symbolic_mask_given_to_an_inner_model():
    x, mask = keraslike.Input((4, 2)), keraslike.Input((4,), dtype="bool")
    outer = keraslike.Model([x, mask], mean_model(keraslike, "functional")(x, mask=mask))
    assert outer([STEPS, FIRST_TWO]).tolist() == [[1.0, 2.0]]


# -- the training argument -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["layer", "functional", "sequential"])
def test_training_given_while_a_model_is_made_is_what_the_layer_runs_with(kind):
    """As Keras's guide to transfer learning has it: statistics of a part that is called with
    `training=False` stay, however the whole is trained."""
    layers = keraslike.layers
    normalization, inputs = layers.BatchNormalization(), keraslike.Input((2,))
    part = normalization
    if kind == "functional":
        inner = keraslike.Input((2,))
        part = keraslike.Model(inner, normalization(inner))
    elif kind == "sequential":
        part = keraslike.Sequential([layers.Input((2,)), normalization])
    model = keraslike.Model(inputs, part(inputs, training=False))
    model.compile("sgd", "mse")
    x = STEPS[0]
    model.fit(x, x, verbose=0)
    model(x, training=True)
    assert normalization.moving_mean.numpy().tolist() == [0.0, 0.0]
    dropped = keraslike.Model(inputs, layers.Dropout(0.5, seed=1)(inputs, training=True))
    assert (dropped.predict(np.ones((50, 2)), verbose=0) == 0).any()


def test_a_functional_model_and_its_layers_take_their_input_by_name():
    x = keraslike.Input((3,))
    dense = keraslike.layers.Dense(2)
    model = keraslike.Model(x, dense(inputs=x))
    data = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(model(inputs=data), model(data))
    assert model(inputs=keraslike.Input((3,))).shape == (None, 2)
    with pytest.raises(ValueError, match="expected axis -1"):
        dense(inputs=np.ones((1, 4), "float32"))
    with pytest.raises(TypeError, match="missing .* 'inputs'"):
        model()


def test_models_of_classes_take_several_arrays(tmp_path):
    class Pair(keraslike.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = keraslike.layers.Dense(2), keraslike.layers.Dense(3)

        def call(self, image, text, scale=1):
            return self.one(image) + scale * self.two(text)[:, :2]

        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls()

    x, symbol = np.ones((1, 2), "float32"), keraslike.Input((2,))
    for args, kwargs in (((x, x), {}), ((x,), {"text": x}), ((), {"image": x, "text": x})):
        model = Pair()
        assert model(*args, **kwargs).shape == (1, 2) and len(model.weights) == 4
    assert Pair()(image=symbol, text=symbol).shape == (None, 2)
    model.save(tmp_path / "m.keras")
    again = keraslike.saving.load_model(tmp_path / "m.keras", {"Pair": Pair})
    np.testing.assert_array_equal(again(x, x, scale=2), model(x, x, scale=2))
