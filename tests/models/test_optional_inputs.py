"""Inputs that may be `None`, wherever inputs go."""

import jax
import keras
import numpy as np
import pytest

import keraslike

ONES = np.ones((4, 2), "float32")
WITHOUT, WITH = 2.0, 4.0  # what the models below give


def adding(framework):
    class Adding(framework.layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

    return Adding()


def model_of(framework, structure):
    """Sums x, and y where it is given, over their two features; `structure(x, y)` is the input."""
    x = framework.Input((2,), name="x")
    y = framework.Input((2,), optional=True, name="y")
    outputs = framework.layers.Dense(1, kernel_initializer="ones")(adding(framework)(x, y))
    return framework.Model(structure(x, y), outputs)


STRUCTURES = {
    "list": lambda x, y: [x, y],
    "tuple": lambda x, y: (x, y),
    "none first": lambda x, y: [y, x],
    "dict": lambda x, y: {"x": x, "y": y},
    "nested": lambda x, y: {"x": [x, y]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name):
    structure = STRUCTURES[name]
    absent, present = structure(ONES, None), structure(ONES, ONES)
    seen = []
    for framework in (keras, keraslike):
        model = model_of(framework, structure)
        model.compile("sgd", "mse")
        results = [model(absent), model(present), model(absent)]
        results += [model.predict(data, batch_size=2, verbose=0) for data in (absent, present)]
        results.append(model.predict_on_batch(absent))
        for data in (absent, present):
            given = {"batch_size": 2, "verbose": 0}
            results += model.fit(data, ONES[:, :1], epochs=2, **given).history["loss"]
            results.append(model.evaluate(data, ONES[:, :1], **given))
            results.append(model.train_on_batch(data, ONES[:, :1]))
        seen.append(jax.tree.map(np.asarray, results))
    assert float(seen[1][0][0, 0]) == WITHOUT and float(seen[1][1][0, 0]) == WITH
    for theirs, ours in zip(*seen, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_batches_of_generators_and_datasets():
    seen = []
    for framework in (keras, keraslike):

        class Data(framework.utils.PyDataset):
            def __len__(self):
                return 2

            def __getitem__(self, index):
                return (ONES, None), ONES[:, :1]

        model = model_of(framework, STRUCTURES["list"])
        model.compile("sgd", "mse")
        losses = model.fit((Data()[i] for i in range(2)), verbose=0).history["loss"]
        losses += model.fit(Data(), verbose=0).history["loss"]
        seen.append([*losses, *model.predict(Data(), verbose=0).ravel()])
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-5)


def test_a_part_of_the_samples_for_validation():
    model = model_of(keraslike, STRUCTURES["dict"])
    model.compile("sgd", "mse")
    data = {"x": ONES, "y": None}
    history = model.fit(data, ONES[:, :1], validation_split=0.5, verbose=0).history
    assert history["loss"] == [(WITHOUT - 1) ** 2] and 0 < history["val_loss"][0] < 1


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files(suffix, tmp_path):
    model = model_of(keraslike, STRUCTURES["nested" if suffix == ".keras" else "list"])
    custom = {"Adding": type(model.layers[-2])}
    model.save(tmp_path / f"m{suffix}")
    loaded = keraslike.saving.load_model(tmp_path / f"m{suffix}", custom_objects=custom)
    data = {"x": [ONES, None]} if suffix == ".keras" else [ONES, None]
    np.testing.assert_array_equal(loaded(data), model(data))
    text = keraslike.models.model_from_json(model.to_json(), custom_objects=custom)
    for other in (loaded, text, keraslike.models.clone_model(model)):
        inputs = [x for x in other.layers if isinstance(x, keraslike.layers.InputLayer)]
        assert {x.name: x.optional for x in inputs} == {"x": False, "y": True}


def test_a_model_within_another():
    inner = model_of(keraslike, STRUCTURES["list"])
    x, y = keraslike.Input((2,)), keraslike.Input((2,), optional=True)
    outer = keraslike.Model([x, y], inner([x, y]))
    assert float(outer([ONES, None])[0, 0]) == WITHOUT
    assert float(outer([ONES, ONES])[0, 0]) == WITH
    x = keraslike.Input((2,))
    assert float(keraslike.Model(x, inner([x, None]))(ONES)[0, 0]) == WITHOUT


def test_a_single_input():
    class Default(keraslike.layers.Layer):
        def call(self, x):
            return np.zeros((1, 2), "float32") if x is None else x

    x = keraslike.Input((2,), optional=True)
    model = keraslike.Model(x, Default()(x))
    assert model(None).tolist() == [[0.0, 0.0]] and model(ONES).shape == (4, 2)


def test_none_for_another_input_is_refused():
    for framework in (keras, keraslike):
        model = model_of(framework, STRUCTURES["list"])
        model.compile("sgd", "mse")
        for use, targets in ((model, ()), (model.predict, ()), (model.fit, (ONES[:, :1],))):
            with pytest.raises(ValueError, match="'x'.* is not optional"):
                use([None, ONES], *targets)
