"""An error in a layer's call says which layer it was, and what the layer was called with."""

import traceback

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


class Wrong(layers.Layer):
    def call(self, x, scale=2.0, training=None):
        return jnp.dot(x, jnp.ones((7, 2)))


class Many(layers.Layer):
    def call(self, tensors, table):
        raise RuntimeError("mine")


def _notes(function):
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        function()
    text = "".join(traceback.format_exception_only(caught.value))
    return [n for n in getattr(caught.value, "__notes__", []) if "In the call" in n], text


def test_the_layer_and_its_arguments_are_named():
    notes, text = _notes(lambda: Wrong(name="mine")(X, scale=3.0, training=True))
    assert notes == [
        "In the call of layer 'mine' (Wrong) with\n"
        "  x=<shape (8, 3), float32>\n  scale=3.0\n  training=True"
    ]
    assert notes[0] in text


def test_tensors_are_described_in_any_nesting_and_long_arguments_by_their_type():
    notes, _ = _notes(lambda: Many(name="many")([X, (Y,)], table={"a": X[0], "b": "c" * 99}))
    assert notes == [
        "In the call of layer 'many' (Many) with\n"
        "  tensors=[<shape (8, 3), float32>, [<shape (8, 1), float32>]]\n"
        "  table={'a': <shape (3,), float32>, 'b': <str>}"
    ]


def _fit(model, loss="mse"):
    model.compile("sgd", loss)
    model.fit(X, Y, verbose=0)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = keras.Sequential([layers.Dense(3), Wrong(name="inner")])

    def call(self, x):
        return self.block(x)


@pytest.mark.parametrize(
    "run",
    [
        lambda: Own()(X),
        lambda: _fit(Own()),
        lambda: keras.Sequential([keras.Input((3,)), Wrong(name="inner")]),
        lambda: Wrong(name="inner")(keras.Input((3,))),
    ],
)
def test_only_the_innermost_layer_is_named_and_unknown_sizes_are_none(run):
    (note,), _ = _notes(run)
    assert note.startswith("In the call of layer 'inner' (Wrong) with\n  x=<shape (")
    assert "d0" not in note and "Traced" not in note


def test_an_error_that_names_its_layer_has_no_note():
    notes, text = _notes(lambda: Own()(np.ones((8,), "float32")))
    assert not notes and "layer 'dense" in text


def test_an_error_without_a_layer_has_no_note():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    notes, text = _notes(lambda: _fit(model, lambda y, p: jnp.dot(p, jnp.ones(9))))
    assert not notes and "dot_general" in text


def test_what_cannot_be_described_does_not_hide_the_error():
    class Nameless:
        def __repr__(self):
            raise KeyError("no name")

    notes, text = _notes(lambda: Many()([X], table=Nameless()))
    assert not notes and text == "RuntimeError: mine\n"
