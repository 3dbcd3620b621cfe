"""optax transforms where an optimizer is wanted."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from keraslike import optimizers
from keraslike.core import context, lowering
from keraslike.core.variable import Variable
from keraslike.optimizers import OptaxOptimizer


def make_variables():
    rng = np.random.default_rng(0)
    variables = []
    for name in ("dense_9", "dense_10"):  # out of alphabetical order
        with context.using(names=(name,)):
            variables.append(Variable(rng.normal(size=(3, 3)).astype("float32"), name="kernel"))
            variables.append(Variable(rng.normal(size=3).astype("float32"), name="bias"))
    return variables


def gradients(values):
    return [jnp.sin(v) + 0.5 * v for v in values]


def no_bias(params):
    return {k: "bias" not in k for k in params}


TRANSFORMS = {
    "chain": optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1, momentum=0.9)),
    "masked": optax.chain(
        optax.masked(optax.add_decayed_weights(0.1), no_bias), optax.rmsprop(0.01)
    ),
    "multi": optax.multi_transform(
        {"slow": optax.adam(1e-3), "fast": optax.sgd(0.1)},
        lambda params: {k: "fast" if "bias" in k else "slow" for k in params},
    ),
    "multisteps": optax.MultiSteps(optax.adam(1e-2), 2),
    "schedule": optax.adamw(optax.cosine_decay_schedule(0.1, 10), weight_decay=0.1),
    "adafactor": optax.adafactor(0.01),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMS)
def test_equals_a_plain_optax_loop(name):
    tx, variables = TRANSFORMS[name], make_variables()
    params = {v.path: v.value for v in variables}
    state = tx.init(params)
    optimizer = optimizers.get(tx)
    optimizer.build(variables)

    @jax.jit
    def plain(params, state):
        grads = dict(zip(params, gradients(params.values())))
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    everything = [*variables, *optimizer.variables]
    pure = jax.jit(
        lowering.lower(
            lambda: optimizer.apply(gradients(lowering.values_of(variables)), variables), everything
        )
    )
    order = [v.path for v in variables]
    for _ in range(6):
        params, state = plain({k: params[k] for k in order}, state)
        lowering.write(everything, pure(lowering.values_of(everything))[1])
    for v in variables:
        np.testing.assert_allclose(v.numpy(), params[v.path], rtol=1e-5, atol=1e-6)
    assert int(optimizer.iterations) == 6
    expected = len(jax.tree.leaves(state))
    assert len(optimizer.variables) == 1 + expected


def test_state_is_listed_in_the_order_of_the_variables_not_of_their_names():
    optimizer, variables = OptaxOptimizer(optax.adam(0.1)), make_variables()
    optimizer.build(variables)
    names = [v.name for v in optimizer.variables]
    labels = [v.path.replace("/", "_") for v in variables]
    assert names == [
        "iteration",
        "count",
        *(f"{label}_mu" for label in labels),
        *(f"{label}_nu" for label in labels),
    ]
    assert [v.shape for v in optimizer.variables[2:6]] == [v.shape for v in variables]


def test_learning_rate_of_inject_hyperparams_can_be_changed():
    optimizer = optimizers.get(optax.inject_hyperparams(optax.sgd)(learning_rate=0.5))
    w = Variable([0.0])
    with pytest.raises(AttributeError, match="inject_hyperparams"):
        _ = optimizer.learning_rate
    optimizer.apply([jnp.ones(1)], [w])
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    optimizer.apply([jnp.ones(1)], [w])
    assert w.numpy().tolist() == [-0.75]


def test_learning_rate_of_other_transforms_is_unknown():
    optimizer = optimizers.get(optax.sgd(0.5))
    optimizer.build([Variable([1.0])])
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(AttributeError, match="inject_hyperparams"):
        optimizer.learning_rate = 0.1


def test_cannot_be_serialized_and_says_what_to_do():
    with pytest.raises(TypeError, match="compile"):
        optimizers.serialize(OptaxOptimizer(optax.sgd(0.1)))


def test_what_surrounds_the_rule_works_for_it_too():
    optimizer = OptaxOptimizer(
        optax.sgd(0.5), clipvalue=1.0, gradient_accumulation_steps=2, loss_scale_factor=2.0
    )
    w = Variable([0.0])
    optimizer.apply([jnp.array([2.0])], [w])
    assert w.numpy().tolist() == [0.0]
    optimizer.apply([jnp.array([8.0])], [w])  # mean (1 + 4) / 2, clipped to 1
    assert w.numpy().tolist() == [-0.5]


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_arguments_that_belong_to_optax(name):
    with pytest.raises(ValueError, match=name):
        OptaxOptimizer(optax.sgd(0.1), **{name: 0.1})


def test_not_a_transform():
    with pytest.raises(TypeError, match="transform must be an optax transform"):
        OptaxOptimizer("adam")


def test_missing_gradients_leave_variable_and_state_alone():
    optimizer, variables = OptaxOptimizer(optax.adam(0.1)), make_variables()
    optimizer.apply(gradients([v.value for v in variables]), variables)
    before = {v.path: v.numpy() for v in [*variables, *optimizer.variables]}
    with pytest.warns(UserWarning, match="dense_9/bias"):
        optimizer.apply([jnp.ones((3, 3)), None, jnp.ones((3, 3)), jnp.ones(3)])
    same = [
        v.path for v in [*variables, *optimizer.variables] if (v.numpy() == before[v.path]).all()
    ]
    prefix = optimizer.name
    assert same == ["dense_9/bias", f"{prefix}/dense_9_bias_mu", f"{prefix}/dense_9_bias_nu"]


def test_plain_nnx_params_and_a_tree_of_the_optimizer():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    params = [model.kernel, model.bias]
    optimizer = optimizers.get(optax.adam(0.1))
    before = np.asarray(model.kernel[...])
    optimizer.apply([jnp.ones((2, 1)), jnp.ones(1)], params)
    np.testing.assert_allclose(before - model.kernel[...], 0.1, rtol=1e-4)
    leaves = jax.tree.leaves(optimizer)
    assert len(leaves) == len(optimizer.variables) == 2 + 4
