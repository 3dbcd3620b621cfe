"""Which masks a call is given, and which its outputs get."""

import jax.numpy as jnp
import pytest

from keraslike import Input, layers
from keraslike.backend import get_keras_mask, set_keras_mask

MASK = jnp.array([True, True, False, False])


def masked(value=1.0):
    x = jnp.full((4, 4), value)
    set_keras_mask(x, MASK)
    return x


class Two(layers.Layer):
    supports_masking = True

    def call(self, first, second, first_mask=None, second_mask=None):
        self.seen = first_mask is not None, second_mask is not None
        return first + second


class One(layers.Layer):
    supports_masking = True

    def call(self, x, mask=None):
        self.seen = mask is not None
        set_keras_mask(x, None)
        return x + 0


@pytest.mark.parametrize("by_name", [False, True])
def test_each_argument_gives_its_mask(by_name):
    layer = Two()
    y = layer(first=masked(), second=masked(2.0)) if by_name else layer(masked(), masked(2.0))
    assert layer.seen == (True, True) and get_keras_mask(y) is MASK
    layer(masked(), jnp.ones((4, 4)))
    assert layer.seen == (True, False)


def test_an_explicit_mask_goes_on():
    layer = One()
    y = layer(jnp.ones((4, 4)), mask=MASK)
    assert layer.seen and (get_keras_mask(y) == MASK).all()
    assert get_keras_mask(layer(jnp.ones((4, 4)))) is None


def test_a_mask_outlasts_a_cast_and_the_call():
    layer = One(dtype="float16")
    y = layer(masked())
    assert layer.seen and y.dtype == "float16" and get_keras_mask(y) is MASK


def test_shapes_of_a_layer_that_says_them_keep_their_structure():
    class Both(layers.Layer):
        def call(self, x):
            raise RuntimeError("not to be called")

        def compute_output_shape(self, input_shape):
            return {"a": input_shape, "b": (input_shape, input_shape)}

    spec = Both().compute_output_spec(Input((3,)))
    assert spec["a"].shape == (None, 3) and isinstance(spec["b"], tuple)
