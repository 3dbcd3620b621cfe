"""Each update rule against Keras's: 200 steps of a small network, state, and configs."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import optimizers
from keraslike.core import lowering
from keraslike.core.variable import Variable

pytestmark = pytest.mark.slow

RULES = ["SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adagrad", "Adadelta", "Adamax", "Lion"]
RULES += ["Ftrl", "Adafactor", "Lamb", "Muon", "ScheduleFreeAdamW"]
STEPS = 200


def loss(params, x, y):
    w, b = params
    return jnp.mean((jnp.tanh(x @ w + b).sum(-1, keepdims=True) - y) ** 2)


def initial():
    rng = np.random.default_rng(0)
    return [(rng.normal(size=s) * 0.5).astype("float32") for s in ((3, 8), (8,))]


def batches(steps=STEPS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(steps, 16, 3)).astype("float32")
    return x, np.sin(x.sum(-1, keepdims=True)).astype("float32")


def train_keras(optimizer, steps=STEPS):
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(initial())]
    optimizer.build(variables)

    def step(carry, batch):
        params, state = carry
        scale = optimizer.loss_scale_factor or 1.0
        value, grads = jax.value_and_grad(lambda p: scale * loss(p, *batch))(params)
        return optimizer.stateless_apply(state, grads, params), value / scale

    start = [v.value for v in variables], [v.value for v in optimizer.variables]
    (params, state), losses = jax.jit(lambda c, b: jax.lax.scan(step, c, b))(start, batches(steps))
    return losses, params, state


def train(optimizer, steps=STEPS):
    variables = [Variable(p, name=f"v{i}") for i, p in enumerate(initial())]
    optimizer.build(variables)
    everything = [*variables, *optimizer.variables]

    def one(batch):
        params = list(lowering.values_of(variables))
        value, grads = jax.value_and_grad(lambda p: optimizer.scale_loss(loss(p, *batch)))(params)
        optimizer.apply(grads, variables)
        return value / (optimizer.loss_scale_factor or 1.0)

    def step(values, batch):
        value, new = lowering.lower(one, everything)(values, batch)
        return new, value

    start = lowering.values_of(everything)
    new, losses = jax.jit(lambda c, b: jax.lax.scan(step, c, b))(start, batches(steps))
    return losses, new[: len(variables)], new[len(variables) :]


def check(name, settings, rtol=1e-4, steps=STEPS):
    ours, theirs = getattr(optimizers, name)(**settings), getattr(keras.optimizers, name)
    settings = {
        k: getattr(keras.optimizers.schedules, type(v).__name__)(**v.get_config())
        if isinstance(v, optimizers.schedules.LearningRateSchedule)
        else v
        for k, v in settings.items()
    }
    expected, got = train_keras(theirs(**settings), steps), train(ours, steps)
    assert len(got[2]) == len(expected[2])
    np.testing.assert_allclose(got[0], expected[0], rtol=rtol)
    for g, e in zip(got[1], expected[1]):
        np.testing.assert_allclose(g, e, rtol=rtol, atol=1e-5)
    for g, e in zip(got[2], expected[2]):
        assert g.dtype == e.dtype
        np.testing.assert_allclose(g, e, rtol=1e-3, atol=1e-5)
    return got


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {"learning_rate": 0.1}),
        ("SGD", {"momentum": 0.8}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ("RMSprop", {}),
        ("RMSprop", {"rho": 0.8, "momentum": 0.5, "centered": True, "epsilon": 1e-3}),
        ("Adam", {}),
        (
            "Adam",
            {
                "learning_rate": 0.01,
                "beta_1": 0.8,
                "beta_2": 0.99,
                "amsgrad": True,
                "epsilon": 1e-4,
            },
        ),
        ("AdamW", {"learning_rate": 0.01}),
        ("Nadam", {}),
        ("Nadam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
        ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5}),
        ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
        ("Adamax", {"learning_rate": 0.01}),
        ("Lion", {"beta_1": 0.8, "weight_decay": 0.01}),
        ("Ftrl", {"learning_rate": 0.1}),
        (
            "Ftrl",
            {
                "learning_rate": 0.5,
                "learning_rate_power": -0.7,
                "initial_accumulator_value": 0.2,
                "l1_regularization_strength": 0.01,
                "l2_regularization_strength": 0.02,
                "l2_shrinkage_regularization_strength": 0.03,
                "beta": 0.1,
            },
        ),
        ("Adafactor", {"learning_rate": 0.1}),
        (
            "Adafactor",
            {
                "learning_rate": 0.5,
                "beta_2_decay": -0.6,
                "epsilon_1": 1e-3,
                "epsilon_2": 0.5,
                "clip_threshold": 0.1,
                "relative_step": False,
                "weight_decay": 0.001,
            },
        ),
        ("Lamb", {"learning_rate": 0.01}),
        ("Lamb", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "weight_decay": 0.01}),
        ("ScheduleFreeAdamW", {"learning_rate": 0.01}),
        ("ScheduleFreeAdamW", {"beta_1": 0.8, "warmup_steps": 50, "weight_decay": 0.01}),
    ],
)
def test_200_steps_equal_keras(name, settings):
    losses = check(name, settings)[0]
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exclude_layers": ["v0$"], "adam_lr_ratio": 0.5, "adam_weight_decay": 0.1},
        {"learning_rate": 0.1, "nesterov": False, "rms_rate": None, "ns_steps": 3, "muon_a": 3.0},
    ],
)
def test_10_steps_of_muon_equal_keras(settings):
    check("Muon", settings, steps=10)


decay = optimizers.schedules.ExponentialDecay(0.05, 20, 0.5)


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {"learning_rate": 0.1, "clipnorm": 0.1}),
        ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.2}),
        ("SGD", {"learning_rate": 0.1, "clipvalue": 0.05}),
        ("SGD", {"learning_rate": decay, "momentum": 0.9, "loss_scale_factor": 64.0}),
        ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
        ("Nadam", {"use_ema": True}),
        (
            "Nadam",
            {
                "learning_rate": decay,
                "gradient_accumulation_steps": 3,
                "use_ema": True,
                "ema_overwrite_frequency": 5,
                "weight_decay": 0.1,
                "clipnorm": 0.5,
            },
        ),
        ("AdamW", {"gradient_accumulation_steps": 4, "global_clipnorm": 0.3}),
    ],
)
def test_what_surrounds_the_rule_equals_keras(name, settings):
    check(name, settings)


def name_of(path):
    return "u_product" if path.startswith("variable") else path.split("/")[-1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", RULES)
def test_state_has_keras_order_shapes_and_dtypes(name, dtype):
    variants = [{}, {"use_ema": True, "gradient_accumulation_steps": 2}]
    if name in ("SGD", "RMSprop"):
        variants.append({"momentum": 0.5})
    if name == "RMSprop":
        variants.append({"momentum": 0.5, "centered": True})
    if name in ("Adam", "AdamW"):
        variants.append({"amsgrad": True})
    for settings in variants:
        theirs = getattr(keras.optimizers, name)(**settings)
        shapes = {"kernel": (2, 3), "bias": (3,)}
        theirs.build([keras.Variable(jnp.ones(s, dtype), name=n) for n, s in shapes.items()])
        ours = getattr(optimizers, name)(name=theirs.name, **settings)
        ours.build([Variable(jnp.ones(s, dtype), name=n) for n, s in shapes.items()])
        expected = [(name_of(v.path), v.shape, v.dtype) for v in theirs.variables]
        # Keras calls what Adafactor keeps of axes by the variable's name.
        names = [v.name.removesuffix("_r").removesuffix("_c") for v in ours.variables]
        kinds = [(n, v.shape, str(v.dtype)) for n, v in zip(names, ours.variables)]
        assert kinds == expected
        for o, t in zip(ours.variables, theirs.variables):
            np.testing.assert_array_equal(np.asarray(o, "float32"), np.asarray(t, "float32"))


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Nadam", "Adamax", "Lion", "Ftrl", "Adafactor"])
def test_half_precision_step_equals_keras(name):
    theirs, ours = getattr(keras.optimizers, name)(0.1), getattr(optimizers, name)(0.1)
    value, grad = jnp.asarray([1.0, -2.0], "bfloat16"), jnp.asarray([0.5, 3.0], "float32")
    w, v = keras.Variable(value, dtype="bfloat16"), Variable(value)
    theirs.apply([grad], [w])
    ours.apply([grad], [v])
    assert v.dtype == "bfloat16"
    np.testing.assert_allclose(np.asarray(v, "float32"), np.asarray(w.value, "float32"), rtol=2**-7)


@pytest.mark.parametrize("name", RULES)
def test_config_and_signature_are_keras(name):
    ours, theirs = getattr(optimizers, name), getattr(keras.optimizers, name)
    assert ours(name="x").get_config() == theirs(name="x").get_config()
    settings = {"learning_rate": 0.5, "clipnorm": 1.0, "use_ema": True, "weight_decay": 0.25}
    assert ours(name="x", **settings).get_config() == theirs(name="x", **settings).get_config()
    schedule = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}
    mine = ours(optimizers.schedules.ExponentialDecay(**schedule), name="x")
    his = theirs(keras.optimizers.schedules.ExponentialDecay(**schedule), name="x")
    assert optimizers.serialize(mine) == keras.optimizers.serialize(his)
    parameters = [inspect.signature(c.__init__).parameters.values() for c in (ours, theirs)]
    assert [(p.name, p.default) for p in parameters[0]] == [
        (p.name, p.default) for p in parameters[1]
    ]


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Nadam", "Adagrad"])
def test_serialization_round_trip_with_state_goes_on_the_same(name):
    def run(optimizer, variable, steps):
        for i in range(steps):
            optimizer.apply([jnp.cos(variable.value + i)], [variable])

    first, v = getattr(optimizers, name)(0.05, weight_decay=0.01), Variable(np.arange(3.0))
    run(first, v, 3)
    second = optimizers.deserialize(optimizers.serialize(first))
    assert type(second) is type(first) and second.get_config() == first.get_config()
    w = Variable(v.numpy())
    second.build([w])
    second.set_weights([s.numpy() for s in first.variables])
    run(first, v, 3)
    run(second, w, 3)
    np.testing.assert_array_equal(v.numpy(), w.numpy())
    assert int(second.iterations) == 6


@pytest.mark.parametrize("name", ["Adam", "Nadam"])
def test_a_subset_of_the_variables_leaves_the_others_state_alone(name):
    theirs, ours = getattr(keras.optimizers, name)(0.1), getattr(optimizers, name)(0.1)
    values = [np.ones(2, "float32"), np.ones(3, "float32")]
    w, v = [keras.Variable(x) for x in values], [Variable(x) for x in values]
    theirs.build(w)
    ours.build(v)
    for chosen in ([0, 1], [1], [0], [1, 0]):
        grads = [jnp.full(values[i].shape, 0.5 + i) for i in chosen]
        theirs.apply(grads, [w[i] for i in chosen])
        ours.apply(grads, [v[i] for i in chosen])
    for o, t in zip([*v, *ours.variables], [*w, *theirs.variables]):
        np.testing.assert_allclose(o.numpy(), t.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "name, settings, text",
    [
        ("SGD", {"momentum": 2.0}, "momentum=2.0"),
        ("SGD", {"momentum": 1}, "momentum. must be a float"),
        ("AdamW", {"weight_decay": None}, "`weight_decay` must be a float"),
        ("Lion", {"beta_1": 0.0}, "beta_1=0.0"),
        ("Ftrl", {"learning_rate_power": 0.5}, "learning_rate_power. needs to be negative or zero"),
        ("Ftrl", {"l1_regularization_strength": -1.0}, "l1_regularization_strength=-1.0"),
    ],
)
def test_bad_hyperparameters_are_errors_as_in_keras(name, settings, text):
    with pytest.raises(ValueError, match=text):
        getattr(optimizers, name)(**settings)
    with pytest.raises(ValueError):
        getattr(keras.optimizers, name)(**settings)


@pytest.mark.parametrize("name", ["SGD", "Nadam", "Lamb"])
def test_to_optax_makes_the_same_updates(name):
    import optax

    make = getattr(optimizers, name)
    schedule = optimizers.schedules.InverseTimeDecay(0.1, 2, 1.0)
    settings = {"learning_rate": schedule, "global_clipnorm": 1.0, "weight_decay": 0.1}
    optimizer, tx = make(**settings), optimizers.to_optax(make(**settings))
    v = [Variable(np.arange(4.0)), Variable(np.ones(2))]
    params = {"a": v[0].value, "b": v[1].value}
    state = tx.init(params)
    for _ in range(5):
        grads = {k: jnp.sin(p) + 1 for k, p in params.items()}
        optimizer.apply(list(grads.values()), v)
        updates, state = jax.jit(tx.update)(grads, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(v[0].numpy(), params["a"], rtol=1e-6)
    np.testing.assert_allclose(v[1].numpy(), params["b"], rtol=1e-6)
    with pytest.raises(ValueError, match="use_ema"):
        optimizers.to_optax(make(use_ema=True))
