"""Random draws: an integer seed gives Keras's own numbers."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import random
from keraslike.core.symbolic import KerasTensor
from keraslike.utils import set_random_seed

pytestmark = pytest.mark.slow

LOGITS = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], "float32"))
X = np.arange(24, dtype="float32").reshape(6, 4) + 1
CASES = [
    ("normal", ((3, 4),), {"mean": 1.0, "stddev": 2.0}),
    ("normal", (3,), {"dtype": "complex64"}),
    ("truncated_normal", ((3, 4),), {"mean": 1.0, "stddev": 2.0}),
    ("uniform", ((3, 4),), {"minval": -1.0, "maxval": 3.0}),
    ("uniform", ((3, 4),), {"dtype": "float16"}),
    ("uniform", (3,), {}),
    ("randint", ((3, 4), -2, 9), {}),
    ("randint", (3, -2, 9), {"dtype": None}),
    ("categorical", (LOGITS, 5), {}),
    ("dropout", (X, 0.4), {}),
    ("dropout", (X, 0.4), {"noise_shape": (None, 1)}),
    ("dropout", (X, 0.4), {"noise_shape": ()}),
    ("dropout", (X, 0.0), {}),
    ("dropout", (X, 1.0), {}),
    ("shuffle", (X,), {}),
    ("shuffle", (X,), {"axis": 1}),
    ("gamma", ((3, 4), 2.0), {}),
    ("beta", ((3, 4), 2.0, 0.5), {}),
    ("binomial", ((3, 4), 10.0, 0.3), {}),
]


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_a_seed_gives_keras_s_numbers(name, args, kwargs):
    for seed in (0, 1234):
        ours = getattr(random, name)(*args, **kwargs, seed=seed)
        theirs = getattr(keras.random, name)(*args, **kwargs, seed=seed)
        rtol, atol = (1e-5, 1e-6) if "normal" in name else (1e-6, 0)  # see core/host.py
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
        assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("name", sorted(set(random.__all__) - {"SeedGenerator"}))
def test_signatures_are_keras_s(name):
    ours = inspect.signature(getattr(random, name)).parameters
    theirs = inspect.signature(getattr(keras.random, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


def test_generators_follow_keras_s_stream():
    ours, theirs = random.SeedGenerator(5), keras.random.SeedGenerator(5)
    for _ in range(3):
        np.testing.assert_allclose(
            random.normal((4,), seed=ours), keras.random.normal((4,), seed=theirs), rtol=1e-6
        )


def test_no_seed_draws_from_the_global_stream():
    set_random_seed(1)
    first, second = random.normal((4,)), random.normal((4,))
    assert not np.array_equal(first, second)
    set_random_seed(1)
    np.testing.assert_array_equal(random.normal((4,)), first)


def test_a_jax_key_and_a_trace():
    key = jax.random.key(0)
    np.testing.assert_array_equal(random.normal((3,), seed=key), jax.random.normal(key, (3,)))
    drawn = jax.jit(lambda k: random.uniform((3,), seed=k))(key)
    np.testing.assert_array_equal(drawn, jax.random.uniform(key, (3,)))


def test_kerastensors():
    assert random.dropout(KerasTensor((None, 3)), 0.5, seed=1).shape == (None, 3)
    assert random.categorical(KerasTensor((None, 3)), 4, seed=1).shape == (None, 4)


def test_dropout_keeps_the_mean_and_a_share_of_the_values():
    x = random.dropout(jnp.ones(20000), 0.3, seed=0)
    assert float(x.mean()) == pytest.approx(1.0, abs=0.02)
    assert float((x == 0).mean()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: random.normal((2,), dtype="int32"), "normal.*int32"),
        (lambda: random.uniform((2,), dtype="int32"), "uniform.*int32"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), "randint.*float32"),
        (lambda: random.normal((2,), seed=1.5), "seed.*integer.*1.5"),
        (lambda: random.normal((2,), seed=[1, 2]), "seed.*integer"),
        (lambda: random.dropout(X, 1.5), "rate.*1.5"),
        (lambda: random.dropout(X, 0.5, noise_shape=(6, 4, 1)), r"noise_shape.*\(6, 4, 1\)"),
        (lambda: random.categorical(X[0], 2), r"logits.*\(4,\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
