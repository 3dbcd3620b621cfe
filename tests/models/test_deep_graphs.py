"""Graphs that are longer than Python's stack is deep: all that is done with a model works."""

import copy
import pickle

import numpy as np
import pytest

import keraslike as keras
from keraslike import layers

LENGTH = 250  # of several frames each, where 1,000 are allowed
X = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")


def chain():
    x = inputs = keras.Input((3,))
    for _ in range(LENGTH):
        x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def of_one_layer():
    x = inputs = keras.Input((3,))
    dense = layers.Dense(3)
    for _ in range(LENGTH):
        x = dense(x)
    return keras.Model(inputs, x)


def with_skips():
    x = inputs = keras.Input((3,))
    for i in range(LENGTH // 2):
        x = layers.Add()([x, keras.ops.tanh(x)]) if i % 2 else 0.5 * x
    return keras.Model(inputs, [layers.Dense(2)(x), x])


def with_masks():
    inputs = keras.Input((3,))
    x = layers.Embedding(9, 2, mask_zero=True)(inputs)
    for _ in range(LENGTH // 4):
        x = layers.Activation("tanh")(x)
    return keras.Model(inputs, layers.LSTM(2)(x))


def pickled(x):
    return pickle.loads(pickle.dumps(x))


@pytest.mark.parametrize("make", [chain, of_one_layer, with_skips, with_masks])
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies(make, copied):
    model = make()
    x = np.abs(X * 3).astype("int32") if make is with_masks else X
    twin = copied(model)
    expected = model.get_weights()
    for ours, theirs in zip(twin.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for w in twin.weights:
        w.assign(w + 1.0)
    for ours, theirs in zip(model.get_weights(), expected):
        np.testing.assert_array_equal(ours, theirs)  # the copy has weights of its own
    twin.set_weights(expected)
    if make is not of_one_layer:  # whose program takes seconds to compile
        for ours, theirs in zip(
            *[keras.tree.flatten(m.predict(x, verbose=0)) for m in (twin, model)], strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    # The copy's graph is whole, and its own: a part of it is a model, too.
    part = keras.Model(twin.inputs, twin.outputs)
    assert len(part.layers) == len(model.layers)
    assert not {id(o) for o in twin.layers} & {id(o) for o in model.layers}
    assert twin.get_config()["layers"][-1] == model.get_config()["layers"][-1]


def test_a_layer_or_a_tensor_alone_brings_what_is_before_it():
    model = chain()
    for copied in (copy.deepcopy, pickled, lambda x: pickle._loads(pickle._dumps(x))):
        for part in (model.layers[-1].output, copied(model.layers[-1]).output):
            again = copied(part)
            assert len(keras.Model(again._keras_history.operation.input, again).layers) == 2
            count, tensor = 0, again
            while tensor._keras_history.node.inputs:
                (tensor,), count = tensor._keras_history.node.inputs, count + 1
            assert count == LENGTH + 1


def test_files_clones_and_summaries(tmp_path):
    model = chain()
    model.save(tmp_path / "model.keras")
    for twin in (
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(twin(X), model(X))
    lines = []
    model.summary(print_fn=lines.append)
    assert "Total params: 8" in "\n".join(lines)
