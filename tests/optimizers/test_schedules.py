"""Learning rate schedules against Keras's numbers and configs."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike.core import registry
from keraslike.core.variable import Variable
from keraslike.optimizers import SGD, Adam, deserialize, schedules, serialize

CASES = [
    ("ExponentialDecay", (0.1, 10, 0.7), {}),
    ("ExponentialDecay", (0.1, 10, 0.7), {"staircase": True}),
    ("PiecewiseConstantDecay", ([3, 10, 25], [1.0, 0.5, 0.25, 0.1]), {}),
    ("PiecewiseConstantDecay", ([7], [0.5, 0.1]), {"name": "mine"}),
    ("PolynomialDecay", (0.1, 20), {}),
    ("PolynomialDecay", (0.1, 20, 0.01, 2.0, True), {}),
    ("PolynomialDecay", (0.1, 20), {"power": 0.5, "end_learning_rate": 0.0}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("CosineDecay", (0.1, 20), {}),
    ("CosineDecay", (0.01, 20, 0.1), {"warmup_target": 0.2, "warmup_steps": 10}),
    ("CosineDecay", (0.01, 20), {"warmup_target": 0.2}),
    ("CosineDecayRestarts", (0.1, 7), {}),
    ("CosineDecayRestarts", (0.1, 7), {"t_mul": 1.0, "m_mul": 0.8, "alpha": 0.1}),
    ("CosineDecayRestarts", (0.1, 7), {"t_mul": 1.5, "m_mul": 0.9}),
]


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_numbers_and_configs_equal_keras(name, args, kwargs):
    ours = getattr(schedules, name)(*args, **kwargs)
    theirs = getattr(keras.optimizers.schedules, name)(*args, **kwargs)
    assert schedules.serialize(ours) == keras.optimizers.schedules.serialize(theirs)
    got, expected = jax.jit(lambda s: (jax.vmap(ours)(s), jax.vmap(theirs)(s)))(jnp.arange(60))
    assert got.shape == (60,) and got.dtype == "float32"
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    if not kwargs:
        np.testing.assert_allclose(ours(13), got[13], rtol=1e-5)
        step = Variable(np.int32(13), trainable=False)
        np.testing.assert_allclose(ours(step), got[13], rtol=1e-5)


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_serialization_round_trip(name, args, kwargs):
    schedule = getattr(schedules, name)(*args, **kwargs)
    config = schedules.serialize(schedule)
    again = schedules.deserialize(config)
    assert again == schedule and type(again) is type(schedule)
    assert keras.optimizers.schedules.deserialize(config).get_config() == again.get_config()
    assert schedules.deserialize({"class_name": name, "config": config["config"]}) == schedule


class Noam(schedules.LearningRateSchedule):
    def __init__(self, size, warmup=10):
        self.size = size
        self.warmup = warmup

    def __call__(self, step):
        step = jnp.asarray(step, "float32") + 1
        return self.size**-0.5 * jnp.minimum(step**-0.5, step * self.warmup**-1.5)


def test_a_users_schedule_trains_and_is_saved():
    optimizer, w = SGD(Noam(4)), Variable([1.0])
    rates = []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        before = float(w[0])
        optimizer.apply([jnp.ones(1)], [w])
        np.testing.assert_allclose(before - float(w[0]), rates[-1], rtol=1e-4)
    np.testing.assert_allclose(rates, [float(Noam(4)(i)) for i in range(3)])
    config = serialize(optimizer)
    assert config["config"]["learning_rate"]["config"] == {"size": 4, "warmup": 10}
    with pytest.raises(TypeError, match="custom_objects"):
        deserialize(config)
    again = deserialize(config, custom_objects={"Noam": Noam})
    assert again._learning_rate == Noam(4)
    with registry.custom_object_scope({"Noam": Noam}):
        assert deserialize(config).get_config() == optimizer.get_config()


def test_a_schedule_cannot_be_assigned_a_number():
    optimizer = Adam(schedules.CosineDecay(0.1, 10))
    with pytest.raises(TypeError, match="LearningRateSchedule` .CosineDecay."):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.CosineDecay(0.5, 10)
    assert float(optimizer.learning_rate) == 0.5
    assert [v.name for v in optimizer.variables] == ["iteration"]


def test_a_variable_rate_gives_way_to_a_schedule():
    optimizer, w = Adam(0.1), Variable([1.0])
    optimizer.apply([jnp.ones(1)], [w])
    optimizer.learning_rate = schedules.ExponentialDecay(0.1, 1, 0.5)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)
    before = w.numpy()
    optimizer.apply([jnp.ones(1)], [w])
    np.testing.assert_allclose(before - w.numpy(), 0.05, rtol=1e-3)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps=0"),
        (lambda: schedules.PolynomialDecay(0.1, -1), "decay_steps=-1"),
        (lambda: schedules.InverseTimeDecay(0.1, 0, 0.5), "decay_steps=0"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps=0"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps=0"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "one number more"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_schedule_without_a_call_says_so():
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(1)
