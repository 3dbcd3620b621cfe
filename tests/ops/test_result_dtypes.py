"""Dtypes of results where JAX's function of the name gives another than Keras's."""

import inspect

import jax
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


@pytest.mark.parametrize("name", ["arctan2", "logaddexp", "logaddexp2"])
@pytest.mark.parametrize("operands", [("bfloat16", 1.5), (1.5, "float16"), ("float32", 1.5)])
def test_python_floats_that_are_arrays(name, operands):
    args = [jnp.asarray([1, 3], x) if isinstance(x, str) else x for x in operands]
    ours, theirs = (getattr(framework.ops, name)(*args) for framework in (keraslike, keras))
    assert ours.dtype == theirs.dtype == "float32"
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_products_of_narrow_integers_do_not_overflow():
    a = jnp.asarray(FULL, "int8")
    assert both("matmul", a, a).tolist() == [[20000, 20000], [20000, 20000]]
    assert both("matmul", a[None], a).tolist() == [[[20000, 20000], [20000, 20000]]]
    assert both("einsum", "ij,jk->ik", a, a).tolist() == [[20000, 20000], [20000, 20000]]
    both("matmul", a, a.astype("int16"))
    both("einsum", "ij,jk->ik", a, a.astype("int32"))


# -- all ops over some dtypes -----------------------------------------------------------------

DTYPES = ["bool", "uint8", "int32", "bfloat16"]
PAIRS = [
    *[("bool", "int8"), ("uint8", "int8"), ("uint32", "int32"), ("int32", "float16")],
    *[("bfloat16", "float16"), ("uint8", 2.5), (2, "bool"), ("bfloat16", 2)],
]
SQUARE = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "dot",
    "eig",
    "eigh",
    "inv",
    "logdet",
    "matmul",
    "slogdet",
    "solve",
    "trace",
]
VECTORS = ["bincount", "correlate", "histogram", "vander"]
# Keras refuses what is computed here, or is of two minds about it (its symbolic tensors differ).
MORE = ["erf", "normalize"]
OTHERS = {
    "arange": [(3,), (0, 3, 1.5), (0.0, 3), (True,)],
    "clip": [("bool", 0, 1), ("bool", "bool", "bool"), ("int32", 0.5, 2), ("bfloat16", 0.0, 1.0)],
    "cumsum": [("int8", 0), ("bool", 0), ("float16", 0, "int32")],
    "full": [((2,), 1), ((2,), True), ((2,), "int8")],
    "linspace": [(1, 2), ("int32", 2), ("float16", 2), ("bfloat16", 1.5)],
    "max_pool": [("uint8",), ("bool",), ("float16",)],
    "mean": [("int8", 1), ("bool", 1), ("float16", 1)],
    "prod": [("uint8", 1), ("int8", 1), ("bool", 1)],
    "quantile": [("int32", 0.5), ("bfloat16", 0.5)],
    "round": [("uint8", -1), ("bool", 0), ("float16", 1)],
    "sparse_categorical_crossentropy": [("uint8", "bfloat16"), ("int32", "float32")],
    "sum": [("uint8", 1), ("int8", 1), ("bool", 1), ("bfloat16", 1)],
    "where": [("bool", "int8", 1.5), ("bool", "float16", "int32"), ("bool", 1, "uint8")],
}


def dtypes_of(function, args, shape):
    """The dtypes of a call's results, without computing them; "error" where it is refused."""

    def called(*arrays):
        arrays = iter(arrays)
        return function(*[next(arrays) if isinstance(a, str) else a for a in args])

    if function.__name__ == "max_pool":
        args, shape = (*args, 2, 1), (1, 2, 2, 1)
    structs = [jax.ShapeDtypeStruct(shape, jnp.dtype(a)) for a in args if isinstance(a, str)]
    if function.__name__ == "full":
        structs = [jax.ShapeDtypeStruct((), s.dtype) for s in structs]
    if function.__name__ == "cumsum":
        structs, called = structs[:1], lambda x: function(x, *args[1:])
    if function.__name__ == "sparse_categorical_crossentropy":
        structs[0] = jax.ShapeDtypeStruct(shape[:1], structs[0].dtype)
    try:
        return [str(x.dtype) for x in jax.tree.leaves(jax.eval_shape(called, *structs))]
    except Exception:
        return "error"


def calls():
    for name in keraslike.ops.__all__:
        parameters = inspect.signature(getattr(keraslike.ops, name)).parameters.values()
        needed = [p.name for p in parameters if p.default is p.empty and "VAR" not in p.kind.name]
        if needed in (["x"], ["x1", "x2"], ["x", "y"]) and hasattr(keras.ops, name):
            for args in [(d,) for d in DTYPES] if needed == ["x"] else PAIRS:
                yield name, args
    for name, several in OTHERS.items():
        for args in several:
            yield name, args


@pytest.mark.slow
def test_dtypes_are_promoted_as_keras_has_it():
    different = []
    for name, args in calls():
        shape = (4,) if name in VECTORS else (3, 3) if name in SQUARE else (3, 2)
        ours, theirs = getattr(keraslike.ops, name), getattr(keras.ops, name)
        expected, found = dtypes_of(theirs, args, shape), dtypes_of(ours, args, shape)
        if found != expected and not (name in MORE and expected == "error"):
            different.append((name, args, expected, found))
    assert not different
