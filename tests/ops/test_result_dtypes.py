"""Dtypes of results where JAX's function of the name gives another than Keras's."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike

FULL = np.full((2, 2), 100)


def both(name, *args):
    results = []
    for framework in (keras, keraslike):
        operation = getattr(framework.ops, name)
        result = operation(*args)
        symbols = [
            framework.KerasTensor(a.shape, str(a.dtype)) if hasattr(a, "dtype") else a for a in args
        ]
        assert str(operation(*symbols).dtype) == str(result.dtype)
        results.append(result)
    theirs, ours = results
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(np.asarray(ours, "float32"), np.asarray(theirs, "float32"))
    return ours


@pytest.mark.parametrize("name", ["floor", "ceil"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "float16", "bfloat16"])
def test_whole_numbers_are_floats(name, dtype):
    both(name, jnp.asarray([0, 1, 1], dtype))


def test_products_of_narrow_integers_do_not_overflow():
    a = jnp.asarray(FULL, "int8")
    assert both("matmul", a, a).tolist() == [[20000, 20000], [20000, 20000]]
    assert both("matmul", a[None], a).tolist() == [[[20000, 20000], [20000, 20000]]]
    assert both("einsum", "ij,jk->ik", a, a).tolist() == [[20000, 20000], [20000, 20000]]
    both("matmul", a, a.astype("int16"))
    both("einsum", "ij,jk->ik", a, a.astype("int32"))
