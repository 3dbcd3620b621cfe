"""LossScaleOptimizer and MultiOptimizer, beside Keras's and in training."""

import copy

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import Variable, layers, optimizers

GRADIENTS = np.random.default_rng(0).normal(size=(10, 2, 3)).astype("float32")
GRADIENTS[[2, 3, 7], 1, 0] = [np.inf, np.nan, -np.inf]


def scaled(K):
    inner = K.optimizers.Adam(0.1, loss_scale_factor=3.0, clipnorm=1.0)
    return K.optimizers.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=3)


def by_name(K):
    chosen = K.optimizers.OptimizerMap(K.optimizers.SGD(0.1, momentum=0.9))
    chosen["v.*1"] = K.optimizers.Adam(0.1)
    return K.optimizers.MultiOptimizer(chosen, loss_scale_factor=4.0)


def both(K):
    return K.optimizers.LossScaleOptimizer(by_name(K), initial_scale=2.0)


@pytest.mark.parametrize("make", [scaled, by_name, both])
def test_10_steps_equal_keras(make):
    gradients = np.nan_to_num(GRADIENTS) if make is by_name else GRADIENTS
    seen = []
    for K in (keras, keraslike):
        optimizer, variables = make(K), [K.Variable(np.ones(3), name=f"v{i}") for i in range(2)]
        optimizer.build(variables)
        params = [jnp.asarray(v) for v in variables]
        state = [jnp.asarray(v) for v in optimizer.variables]
        for step in gradients:
            params, state = optimizer.stateless_apply(state, list(map(jnp.asarray, step)), params)
        seen.append([*params, *state])
        if K is keraslike:  # the same where each step changes the Variables
            for step in gradients:
                optimizer.apply(list(step), variables)
            seen.append([jnp.asarray(v) for v in (*variables, *optimizer.variables)])
    for theirs, ours, in_place in zip(*seen, strict=True):
        assert theirs.dtype == ours.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(in_place, ours, rtol=1e-6)
    configs = [make(K).get_config() for K in (keras, keraslike)]
    assert configs[0].keys() == configs[1].keys()
    again = optimizers.deserialize(optimizers.serialize(make(keraslike)))
    assert optimizers.serialize(again) == optimizers.serialize(optimizers.get(again))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_through_overflows_as_in_keras(policy, tmp_path):
    """Targets of the size of 1000 overflow float16 at the first scales: those steps are left out,
    and the scale is halved, in the compiled fit."""
    x = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    y = 1000 * x.sum(1, keepdims=True)
    start = [np.full((4, 1), 0.1, "float32"), np.zeros(1, "float32")]
    seen = []
    for K in (keras, keraslike):
        model = K.Sequential([K.Input((4,)), K.layers.Dense(1, dtype=policy)])
        model.dtype_policy = policy
        model.compile(K.optimizers.SGD(1e-3, momentum=0.5), "mse")
        model.set_weights(start)
        losses = model.fit(x, y, epochs=20, batch_size=8, shuffle=False, verbose=0).history["loss"]
        assert all(w.dtype == "float32" for w in model.weights)
        assert str(model(x).dtype) == policy.removeprefix("mixed_")
        seen.append((model, losses))
    (theirs, _), (ours, losses) = seen
    np.testing.assert_allclose(losses, seen[0][1], rtol=1e-3)
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    if policy == "mixed_bfloat16":
        assert isinstance(ours.optimizer, optimizers.SGD)
        return
    left_out = losses.count(losses[0]) - 1
    assert 3 < left_out < 19 and losses[-1] < losses[0]
    assert int(ours.optimizer.iterations.value) == 20 - left_out
    assert float(ours.optimizer.dynamic_scale.value) == 2.0 ** (15 - left_out)
    assert float(theirs.optimizer.dynamic_scale.value) == 2.0 ** (15 - left_out)

    ours.save(tmp_path / "model.keras")  # and goes on with the scale it has
    again = keraslike.saving.load_model(tmp_path / "model.keras")
    for model in (ours, again):
        model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(ours.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_auto_scale_loss_can_be_off_and_is_remembered():
    keraslike.config.set_dtype_policy("mixed_float16")
    try:
        model = keraslike.Sequential([layers.Input((2,)), layers.Dense(1)])
    finally:
        keraslike.config.set_dtype_policy("float32")
    model.compile("sgd", "mse", auto_scale_loss=False)
    assert isinstance(model.optimizer, optimizers.SGD)
    config = model.get_compile_config()
    model.compile("sgd", "mse")
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    model.compile_from_config(config)
    assert isinstance(model.optimizer, optimizers.SGD)


def test_settings_of_the_parts_are_theirs():
    inner = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.0)
    optimizer, w = optimizers.LossScaleOptimizer(inner, initial_scale=2.0), Variable(1.0)
    optimizer.learning_rate = 0.25
    optimizer.apply([jnp.asarray(4.0)], [w])
    assert float(inner.learning_rate) == 0.25 and float(w) == 0.5
    w.assign(7.0)
    optimizer.finalize_variable_values([w])
    assert float(w) == 0.5
    rates = iter([1.0, 2.0])
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(lambda: next(rates)), 1.0)
    w = Variable(0.0)
    for _ in range(2):
        optimizer.apply([jnp.asarray(1.0)], [w])
    assert float(w) == -3.0


@pytest.mark.parametrize("make", [scaled, by_name])
def test_copies_go_on_by_themselves(make):
    optimizer, w = make(keraslike), [Variable(np.ones(3), name=f"v{i}") for i in range(2)]
    optimizer.apply(list(GRADIENTS[0]), w)
    tree = jax.tree.map(lambda x: x, optimizer)
    v = [Variable(x.value, name=x.name) for x in w]
    tree.apply(list(GRADIENTS[1]), v)
    u, deep = copy.deepcopy((w, optimizer))
    deep.apply(list(GRADIENTS[1]), u)
    optimizer.apply(list(GRADIENTS[1]), w)
    for a, b, c in zip(w, v, u):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(a.numpy(), c.numpy())


def test_constraints_hold_and_are_not_applied_to_a_step_that_is_left_out():
    w = Variable([-1.0, 1.0])
    w.constraint = keraslike.constraints.NonNeg()
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=1.0)
    optimizer.apply([jnp.full(2, jnp.inf)], [w])
    assert w.numpy().tolist() == [-1.0, 1.0]
    optimizer.apply([jnp.zeros(2)], [w])
    assert w.numpy().tolist() == [0.0, 1.0]


def test_a_schedule_of_learning_rates_sets_those_of_all():
    slow, fast = optimizers.SGD(0.1), optimizers.SGD(0.5)
    model = keraslike.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile(optimizers.MultiOptimizer(optimizers.OptimizerMap(slow, {".*bias": fast})), "mse")
    halve = keraslike.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    h = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[halve])
    np.testing.assert_allclose(h.history[f"learning_rate_{fast.name}"], [0.25, 0.125])
    np.testing.assert_allclose(h.history[f"learning_rate_{slow.name}"], [0.05, 0.025])


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda k: k.LossScaleOptimizer("sgd"), "inner_optimizer must be an Optimizer"),
        (lambda k: k.LossScaleOptimizer(k.SGD(), clipnorm=1.0), "on the `inner_optimizer`"),
        (lambda k: k.LossScaleOptimizer(k.SGD(), dynamic=False), "dynamic=False"),
        (lambda k: k.LossScaleOptimizer(k.SGD(), foo=1), "`foo`"),
        (lambda k: k.MultiOptimizer(k.SGD()), "OptimizerMap or a function"),
        (lambda k: k.MultiOptimizer(lambda v: k.SGD()).learning_rate, "no learning rate"),
        (lambda k: k.MultiOptimizer(lambda v: 3).build([Variable(1.0)]), "Received: 3"),
        (lambda k: k.OptimizerMap("sgd"), "default_optimizer must be"),
        (lambda k: k.OptimizerMap(k.SGD(), {"a.": k.SGD(), ".b": k.SGD()})["ab"], "multiple"),
        (
            lambda k: k.OptimizerMap(k.SGD()).update({"a": k.LossScaleOptimizer(k.SGD())}),
            "cannot be LossScaleOptimizer",
        ),
        (lambda k: k.OptimizerMap(k.SGD(), {"a": k.SGD()}).update({"a": k.SGD()}), "exist"),
        (lambda k: k.legacy.Adam(), "keras.optimizers.Adam"),
    ],
)
def test_mistakes_are_named(call, text):
    with pytest.raises((ValueError, TypeError, AttributeError, ImportError), match=text):
        call(optimizers)
