"""Models cut behind the layers that look up text: their vocabularies come along."""

import json

import numpy as np
import pytest

import keraslike as keras
from keraslike import layers
from keraslike.saving import load_exported

WORDS = ["hello", "two\nlines", "größe"]


def _model():
    text, colour = keras.Input((), dtype="string"), keras.Input((1,), dtype="string")
    x = layers.TextVectorization(
        output_mode="tf_idf", vocabulary=WORDS, idf_weights=[0.5, 1.0, 2.0], name="words"
    )(text)
    y = layers.StringLookup(vocabulary=["red", "blue"], name="colours")(colour)
    y = layers.Flatten()(layers.Embedding(3, 2)(y))
    return keras.Model([text, colour], layers.Dense(2)(layers.Concatenate()([x, y])))


def _cut(model):
    return keras.Model([model.get_layer(n).output for n in ("words", "colours")], model.outputs)


def _check(found):
    assert set(found) == {"words", "colours"}
    assert found["words"]["vocabulary"] == ["[UNK]", *WORDS]
    assert found["words"]["idf_weights"][1:] == [0.5, 1.0, 2.0]
    assert found["words"]["config"]["standardize"] == "lower_and_strip_punctuation"
    assert found["colours"]["vocabulary"] == ["[UNK]", "red", "blue"]
    assert found["colours"]["class_name"] == "StringLookup"


def test_the_whole_model_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"Layer '(words|colours)' computes on the host.*get_layer"
    ):
        _model().export(tmp_path / "m", format="stablehlo", verbose=False)


def test_stablehlo(tmp_path):
    model = _model()
    _cut(model).export(tmp_path / "m", format="stablehlo", verbose=False)
    loaded = load_exported(tmp_path / "m")
    _check(loaded.vocabularies)
    text, colours = np.array(["hello größe", "other"], object), np.array([["red"], ["x"]], object)
    parts = model.get_layer("words")(text), model.get_layer("colours")(colours)
    found = loaded.serve(list(parts))
    found = found[0] if isinstance(found, (list, tuple)) else found
    np.testing.assert_allclose(found, model.predict([text, colours], verbose=0), atol=1e-6)
    (tmp_path / "m" / "vocabularies.json").write_text("{}")
    with pytest.raises(ValueError, match="vocabularies.json' is damaged"):
        load_exported(tmp_path / "m")


def test_tfjs(tmp_path):
    _cut(_model()).export(tmp_path / "m", format="tfjs", verbose=False)
    _check(json.loads((tmp_path / "m" / "vocabularies.json").read_text(encoding="utf-8")))


def test_tracked_layers_and_models_without_text(tmp_path):
    model, words = keras.Sequential([keras.Input((3,)), layers.Dense(1)]), _model()
    spec = keras.InputSpec(shape=(None, 3), dtype="float32")
    for tracked in (False, True):
        archive = keras.export.ExportArchive(format="stablehlo")
        archive.track(model)
        if tracked:
            archive.track(words)
        archive.add_endpoint("serve", model.call, [spec])
        archive.write_out(tmp_path / "m", verbose=False)
        found = load_exported(tmp_path / "m").vocabularies
        _check(found) if tracked else None
        assert tracked or found == {}
