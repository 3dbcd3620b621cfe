"""Initializers: the same seed gives Keras's own numbers; configs are Keras's."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import initializers, random
from keraslike.core.variable import Variable
from keraslike.utils import set_random_seed

pytestmark = pytest.mark.slow

SEEDED = {
    "RandomNormal": {"mean": 1.0, "stddev": 2.0},
    "RandomUniform": {"minval": -2.0, "maxval": 3.0},
    "TruncatedNormal": {"mean": 1.0, "stddev": 2.0},
    "VarianceScaling": {"scale": 0.7, "mode": "fan_out", "distribution": "untruncated_normal"},
    "GlorotUniform": {},
    "GlorotNormal": {},
    "HeUniform": {},
    "HeNormal": {},
    "LecunUniform": {},
    "LecunNormal": {},
    "Orthogonal": {"gain": 1.5},
}
SHAPES = [(6, 4), (4, 6), (3, 3, 2, 8), (5, 4, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_gives_keras_s_numbers(name, shape):
    for seed in (0, 42, 2**31 + 5):
        ours = getattr(initializers, name)(**SEEDED[name], seed=seed)(shape)
        theirs = getattr(keras.initializers, name)(**SEEDED[name], seed=seed)(shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
        assert ours.dtype == "float32"


@pytest.mark.parametrize("name", [n for n in SEEDED if n != "Orthogonal"])
def test_vectors_and_scalars(name):
    for shape in ((7,), ()):
        ours = getattr(initializers, name)(seed=3)(shape)
        theirs = getattr(keras.initializers, name)(seed=3)(shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", SEEDED)
def test_configs_are_keras_s(name):
    for arguments in ({}, {"seed": 7}, {**SEEDED[name], "seed": 7}):
        ours = getattr(initializers, name)(**arguments)
        theirs = getattr(keras.initializers, name)(**arguments)
        assert ours.get_config() == theirs.get_config()
        entry = initializers.serialize(ours)
        assert entry == keras.initializers.serialize(theirs)
        assert initializers.deserialize(entry) == ours


@pytest.mark.parametrize(
    "name, arguments", [("Zeros", {}), ("Ones", {}), ("Constant", {"value": 2.5})]
)
def test_constants(name, arguments):
    ours = getattr(initializers, name)(**arguments)
    theirs = getattr(keras.initializers, name)(**arguments)
    for dtype in (None, "float16", "int32"):
        a, b = ours((2, 3), dtype), theirs((2, 3), dtype)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert initializers.serialize(ours) == keras.initializers.serialize(theirs)


def test_identity():
    ours = initializers.Identity(gain=3.0)((3, 2))
    np.testing.assert_array_equal(ours, keras.initializers.Identity(gain=3.0)((3, 2)))
    with pytest.raises(ValueError, match="matrices"):
        initializers.Identity()((2, 2, 2))


def test_fans_by_axes():
    arguments = {"seed": 1, "input_axes": [0, 1], "output_axes": [2]}
    ours = initializers.GlorotUniform(**arguments)((3, 4, 5))
    theirs = keras.initializers.GlorotUniform(**arguments)((3, 4, 5))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_glorot_normal_has_the_variance_it_promises():
    values = initializers.GlorotNormal(seed=0)((500, 300))
    assert float(jnp.std(values)) == pytest.approx(np.sqrt(2 / 800), rel=0.01)


def test_orthogonal_columns():
    q = initializers.Orthogonal(seed=0)((8, 3))
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-5)
    with pytest.raises(ValueError, match="two sizes"):
        initializers.Orthogonal()((3,))


def test_without_a_seed_an_initializer_repeats_itself_but_no_other():
    one, other = initializers.RandomNormal(), initializers.RandomNormal()
    np.testing.assert_array_equal(one((4,)), one((4,)))
    assert not np.array_equal(one((4,)), other((4,)))
    assert one == other  # equal by what they were asked for


def test_without_a_seed_the_global_one_decides():
    set_random_seed(3)
    first = initializers.RandomNormal()((4,))
    set_random_seed(3)
    np.testing.assert_array_equal(initializers.RandomNormal()((4,)), first)


def test_a_seed_generator_goes_on():
    initializer = initializers.RandomNormal(seed=random.SeedGenerator(1))
    assert not np.array_equal(initializer((4,)), initializer((4,)))
    again = initializers.deserialize(initializers.serialize(initializer))
    assert again.seed.seed == 1


@pytest.mark.parametrize(
    "name, cls",
    [
        ("zero", "Zeros"),
        ("zeros", "Zeros"),
        ("one", "Ones"),
        ("normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("glorot_normal", "GlorotNormal"),
        ("HeNormal", "HeNormal"),
        ("lecun_uniform", "LecunUniform"),
        ("orthogonal", "Orthogonal"),
        ("identity", "Identity"),
        ("IdentityInitializer", "Identity"),
    ],
)
def test_names(name, cls):
    assert type(initializers.get(name)) is getattr(initializers, cls)
    assert type(keras.initializers.get(name)).__name__ == cls


def my_glorot(shape, dtype="float32"):
    return random.normal(shape, stddev=(2.0 / (shape[0] + shape[1])) ** 0.5, dtype=dtype)


def test_functions_arrays_and_none():
    assert initializers.get(my_glorot) is my_glorot
    assert Variable(my_glorot, shape=(3, 2)).shape == (3, 2)
    assert initializers.get(None) is None
    assert type(initializers.get(initializers.Ones)) is initializers.Ones
    given = initializers.get(np.array([1.0, 2.0]))
    assert given((2,), "float16").dtype == "float16"
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        given((3,))


def test_own_classes_have_configs_without_writing_them():
    class Sevens(initializers.Initializer):
        def __init__(self, value=7):
            self.value = value

        def __call__(self, shape, dtype=None):
            return jnp.full(shape, self.value, dtype)

    config = initializers.serialize(Sevens(8))
    assert config["config"] == {"value": 8}
    assert initializers.deserialize(config, {"Sevens": Sevens}) == Sevens(8)
    assert Sevens(8).clone() == Sevens(8) != Sevens(9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"scale": 0.0}, "scale"),
        ({"mode": "fan"}, "mode.*'fan'"),
        ({"distribution": "gauss"}, "distribution.*'gauss'"),
        ({"seed": 1.5}, "seed.*1.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        initializers.VarianceScaling(**arguments)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean.*glorot_uniform"):
        initializers.get("glorot_unifrom")
