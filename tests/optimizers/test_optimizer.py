"""What all optimizers share: building, applying, state, rates, arguments, copies."""

import copy

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import errors, nnx

from keraslike import optimizers
from keraslike.core import context, lowering, serialization
from keraslike.core.variable import Param, Variable
from keraslike.optimizers import SGD, Adam, AdamW, Nadam, Optimizer, RMSprop


def make_variables(n=2):
    return [Variable(np.arange(3.0, dtype="float32") + i, name=f"v{i}") for i in range(n)]


def ones(n=2):
    return [jnp.ones(3)] * n


# -- applying -----------------------------------------------------------------------------------


def test_apply_gradients_counts_and_builds():
    optimizer, variables = Adam(0.1), make_variables()
    assert not optimizer.built
    count = optimizer.apply_gradients(zip(ones(), variables))
    assert optimizer.built and int(count) == int(optimizer.iterations) == 1
    np.testing.assert_allclose(variables[0].numpy(), np.arange(3) - 0.1, rtol=1e-5)
    optimizer.apply(ones())  # those it was built with
    assert int(optimizer.iterations) == 2
    optimizer.apply([])
    assert int(optimizer.iterations) == 2


@pytest.mark.parametrize("settings", [{}, {"use_ema": True}, {"gradient_accumulation_steps": 2}])
def test_eager_lowered_and_stateless_steps_agree(settings):
    def grads(values):
        return [jnp.sin(v) for v in values]

    eager, lowered, stateless = (make_variables() for _ in range(3))
    a, b, c = (Nadam(0.1, **settings) for _ in range(3))
    b.build(lowered)
    c.build(stateless)
    everything = [*lowered, *b.variables]
    pure = jax.jit(
        lowering.lower(lambda: b.apply(grads(lowering.values_of(lowered)), lowered), everything)
    )
    values, state = [v.value for v in stateless], [v.value for v in c.variables]
    for _ in range(5):
        a.apply(grads(lowering.values_of(eager)), eager)
        lowering.write(everything, pure(lowering.values_of(everything))[1])
        values, state = c.stateless_apply(state, grads(values), values)
    assert int(c._iterations) == 0 and stateless[0].numpy().tolist() == [0.0, 1.0, 2.0]
    for x, y, z in zip([*eager, *a.variables], everything, [*values, *state]):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(x.numpy(), z, rtol=1e-5, atol=1e-7)


def test_a_step_that_is_not_lowered_is_an_error_and_leaks_no_tracer():
    optimizer, variables = Adam(0.1), make_variables()
    optimizer.build(variables)
    with pytest.raises(errors.TraceContextError):
        jax.jit(lambda g: optimizer.apply(g, variables))(ones())
    for v in [*variables, *optimizer.variables]:
        assert not isinstance(v._raw_value, jax.core.Tracer)


def test_building_inside_a_trace_makes_state_that_stays():
    optimizer, variables = Adam(0.1), make_variables()
    pure = jax.jit(lowering.lower(lambda g: optimizer.apply(g, variables), variables))
    with pytest.raises(errors.TraceContextError):  # the state was not among what is lowered
        pure(lowering.values_of(variables), ones())
    assert optimizer.built
    assert all(isinstance(v.numpy(), np.ndarray) for v in optimizer.variables)
    optimizer.apply(ones())


def test_constraints_hold_after_the_update():
    w = Variable([1.0, -1.0], constraint=lambda x: jnp.maximum(x, 0.0))
    SGD(0.5).apply([jnp.array([3.0, -1.0])], [w])
    assert w.numpy().tolist() == [0.0, 0.0]


def test_sparse_gradients_are_taken():
    from jax.experimental import sparse

    w, gradient = Variable(jnp.ones((3, 2))), jnp.zeros((3, 2)).at[1].set(2.0)
    optimizers.SGD(0.5).apply([sparse.BCOO.fromdense(gradient)], [w])
    assert w.numpy().tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]


class Doubling(optimizers.Adam):
    """As those who subclass one of Keras's optimizers write it."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(2 * gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        for v in variables:
            self.assign(v, v * 0.5)


def test_a_rule_of_keras_can_be_called_in_a_step_of_ones_own():
    v = make_variables()
    w = make_variables()
    ours, plain = Doubling(0.1), optimizers.Adam(0.1)
    for _ in range(3):
        ours.apply(ones(), v)
        for x in w:
            x.assign(x * 0.5)
        plain.apply([2 * g for g in ones()], w)
    for a, b in zip([*v, *ours.variables], [*w, *plain.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)

    class Step(optimizers.Nadam):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)

    v, w, ours, plain = make_variables(), make_variables(), Step(0.1), optimizers.Nadam(0.1)
    for _ in range(3):
        ours.apply(ones(), v)
        plain.apply(ones(), w)
    for a, b in zip([*v, *ours.variables], [*w, *plain.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_plain_nnx_params_train():
    w = nnx.Param(jnp.array([1.0, 2.0]))
    optimizer = RMSprop(0.1)
    optimizer.apply([jnp.array([1.0, 1.0])], [w])
    assert (np.asarray(w[...]) < [1.0, 2.0]).all()
    assert [v.name for v in optimizer.variables] == [
        "iteration",
        "learning_rate",
        "variable_0_velocity",
    ]


def test_numpy_gradients_and_other_dtypes_are_taken():
    w = Variable(jnp.ones(2, "bfloat16"))
    SGD(0.5).apply([np.ones(2, "float32")], [w])
    assert w.dtype == "bfloat16"
    assert np.asarray(w, "float32").tolist() == [0.5, 0.5]


def test_none_gradients():
    optimizer, variables = Adam(0.1), make_variables()
    with pytest.warns(UserWarning, match="v1"):
        optimizer.apply([jnp.ones(3), None], variables)
    assert variables[1].numpy().tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="All 2 gradients are None"):
        optimizer.apply([None, None], variables)


def test_mistakes_with_variables_and_gradients_are_named():
    optimizer, variables = Adam(0.1), make_variables()
    with pytest.raises(ValueError, match="not tied to any variables"):
        optimizer.apply(ones())
    optimizer.build(variables)
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        optimizer.apply(ones(1))
    with context.using(names=("other",)):
        stranger = Variable(np.ones(3, "float32"), name="kernel")
    with pytest.raises(ValueError, match="other/kernel"):
        optimizer.apply(ones(1), [stranger])
    with pytest.raises(ValueError, match=r"'v1' has shape \(2,\).*\(3,\)"):
        optimizer.apply([jnp.ones(3), jnp.ones(2)], variables)
    with pytest.raises(ValueError, match="hold 6 and 2 values. Received: 1 and 2"):
        optimizer.stateless_apply([0], ones(), [1, 2])
    with pytest.raises(ValueError, match="build"):
        Adam().stateless_apply([], [], [])
    with pytest.raises(ValueError, match="build"):
        Adam().set_weights([])
    with pytest.raises(ValueError, match="weights must hold 6 arrays. Received: 1"):
        optimizer.set_weights([0])


# -- the learning rate --------------------------------------------------------------------------


def test_learning_rate_changes_while_training():
    optimizer, w = SGD(0.5), Variable([0.0])
    one = [jnp.ones(1)]
    optimizer.apply(one, [w])
    optimizer.learning_rate = 0.25
    optimizer.apply(one, [w])
    optimizer.learning_rate.assign(1.0)
    optimizer.apply(one, [w])
    optimizer.learning_rate = Variable(1.0)
    assert len(optimizer.variables) == 2
    assert w.numpy().tolist() == [-1.75]
    assert optimizer.get_config()["learning_rate"] == 1.0
    assert isinstance(optimizer.learning_rate, Variable)
    assert not isinstance(optimizer.learning_rate, Param)


def test_learning_rate_as_a_function_is_asked_at_every_step():
    rates = iter([0.5, 0.25])
    optimizer, w = SGD(lambda: next(rates)), Variable([0.0])
    optimizer.apply([jnp.ones(1)], [w])
    optimizer.apply([jnp.ones(1)], [w])
    assert w.numpy().tolist() == [-0.75]
    with pytest.raises(TypeError, match="function"):
        optimizer.learning_rate = 0.5


def test_hyperparameters_changed_between_eager_steps_count():
    optimizer, w = SGD(1.0, momentum=0.5), Variable([0.0])
    one = [jnp.ones(1)]
    optimizer.apply(one, [w])
    optimizer.momentum = 0.25
    optimizer.apply(one, [w])  # m: -1, then -0.25 - 1
    assert w.numpy().tolist() == [-2.25]


# -- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"learning_rate": 1}, "learning_rate=1"),
        ({"learning_rate": "fast"}, "learning_rate='fast'"),
        ({"learning_rate": None}, "learning_rate=None"),
        ({"learning_rate": np.float32(0.1)}, "learning_rate=.*0.1"),
        ({"clipnorm": 1.0, "clipvalue": 2.0}, "Only one of.*clipnorm.*clipvalue"),
        ({"clipnorm": 1.0, "global_clipnorm": 2.0}, "Only one of"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps=1"),
        ({"use_ema": True, "ema_momentum": 1.5}, "ema_momentum=1.5"),
        ({"use_ema": True, "ema_momentum": -0.1}, "ema_momentum=-0.1"),
        ({"use_ema": True, "ema_overwrite_frequency": 2.5}, "ema_overwrite_frequency=2.5"),
        ({"use_ema": True, "ema_overwrite_frequency": -1}, "ema_overwrite_frequency=-1"),
        ({"lr": 0.1}, r"no such arguments: \['lr'\]"),
    ],
)
def test_bad_arguments_are_errors_as_in_keras(settings, text):
    with pytest.raises(ValueError, match=text):
        Adam(**settings)
    with pytest.raises(ValueError):
        keras.optimizers.Adam(**settings)


def test_arguments_that_are_fine_in_keras_are_fine_here():
    for settings in (
        {"ema_momentum": 5.0},  # not used
        {"gradient_accumulation_steps": 0},
        {"clipnorm": 0.0},
    ):
        theirs, ours = keras.optimizers.SGD(0.1, **settings), SGD(0.1, **settings)
        w, v = keras.Variable(np.ones(3, "float32")), Variable(np.ones(3, "float32"))
        for _ in range(2):
            theirs.apply([jnp.full(3, 2.0)], [w])
            ours.apply([jnp.full(3, 2.0)], [v])
        np.testing.assert_allclose(v.numpy(), w.numpy())
    with pytest.warns(UserWarning, match="decay"):
        SGD(decay=0.1)


# -- clipping, decay, averages ------------------------------------------------------------------


def test_global_norm_that_is_not_finite_spoils_all_gradients_as_in_keras():
    theirs, ours = keras.optimizers.SGD(0.1, global_clipnorm=1.0), SGD(0.1, global_clipnorm=1.0)
    w = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    v = [Variable(np.ones(2, "float32")) for _ in range(2)]
    grads = [jnp.array([jnp.inf, 1.0]), jnp.ones(2)]
    theirs.apply(grads, w)
    ours.apply(grads, v)
    for x, y in zip(v, w):
        np.testing.assert_array_equal(x.numpy(), y.numpy())
        assert np.isnan(x.numpy()).all()


def test_a_zero_gradient_is_clipped_to_zero():
    for settings in ({"clipnorm": 1.0}, {"global_clipnorm": 1.0}):
        w = Variable([1.0])
        SGD(0.1, **settings).apply([jnp.zeros(1)], [w])
        assert w.numpy().tolist() == [1.0]


@pytest.mark.parametrize("early", [True, False])
def test_exclude_from_weight_decay(early):
    def start(module, variable):
        optimizer = module.AdamW(0.1, weight_decay=0.5)
        names = ("kernel", "bias", "gamma")
        return optimizer, [variable(np.ones(2, "float32"), name=n) for n in names]

    results = []
    for module, variable in ((keras.optimizers, keras.Variable), (optimizers, Variable)):
        optimizer, variables = start(module, variable)
        if not early:
            optimizer.build(variables)
        optimizer.exclude_from_weight_decay(var_list=[variables[2]], var_names=["bias"])
        for _ in range(2):
            optimizer.apply([jnp.zeros(2)] * 3, variables)
        results.append([np.asarray(v) for v in variables])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)
    assert results[1][1].tolist() == results[1][2].tolist() == [1.0, 1.0]
    assert (results[1][0] < 1).all()


def test_a_copy_excludes_its_own_variables_from_weight_decay():
    """Variables are excluded, not the places in memory where they were."""
    optimizer, variable = optimizers.AdamW(0.1, weight_decay=0.5), Variable(np.ones(2, "float32"))
    optimizer.exclude_from_weight_decay(var_list=[variable])
    optimizer, variable = copy.deepcopy((optimizer, variable))
    optimizer.apply([jnp.zeros(2)], [variable])
    assert variable.numpy().tolist() == [1.0, 1.0]


def test_finalize_gives_the_averages():
    theirs = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    ours = SGD(0.1, use_ema=True, ema_momentum=0.5)
    w, v = keras.Variable(np.ones(3, "float32")), Variable(np.ones(3, "float32"))
    for _ in range(3):
        theirs.apply([jnp.ones(3)], [w])
        ours.apply([jnp.ones(3)], [v])
    last = v.numpy()
    theirs.finalize_variable_values([w])
    ours.finalize_variable_values([v])
    np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-6)
    assert (v.numpy() > last).all()
    with pytest.raises(ValueError, match="1 averages for 2 variables"):
        ours.finalize_variable_values([v, v])
    SGD().finalize_variable_values([v, v])  # nothing to do


def test_iterations_counts_updates_where_gradients_accumulate():
    optimizer, variables = SGD(0.1, gradient_accumulation_steps=3), make_variables()
    seen = []
    for _ in range(7):
        optimizer.apply(ones(), variables)
        seen.append(int(optimizer.iterations))
    assert seen == [0, 0, 1, 1, 1, 2, 2]


def test_scale_loss():
    assert SGD(loss_scale_factor=8.0).scale_loss(2.0) == 16.0
    assert SGD().scale_loss(2.0) == 2.0


# -- trees and copies ---------------------------------------------------------------------------


def test_the_tree_holds_the_state_and_not_the_model():
    optimizer, variables = Adam(0.1), make_variables()
    optimizer.build(variables)
    assert len(jax.tree.leaves(optimizer)) == len(optimizer.variables) == 2 + 4
    other = Adam(0.1)
    other.build(make_variables())
    assert jax.tree.structure(optimizer) == jax.tree.structure(other)


def test_a_copy_by_tree_operations_is_tied_to_its_own_variables():
    optimizer, variables = Nadam(0.1), make_variables()
    optimizer.apply(ones(), variables)
    twin, values = jax.tree.map(jnp.copy, (optimizer, [v.value for v in variables]))
    others = [Variable(v) for v in values]
    with pytest.raises(ValueError, match="built for 2 variables"):
        twin.apply(ones(1), others[:1])
    twin.apply(ones(), others)
    optimizer.apply(ones(), variables)
    for a, b in zip([*variables, *optimizer.variables], [*others, *twin.variables]):
        np.testing.assert_allclose(a.numpy(), b.numpy())


def test_an_ensemble_of_optimizers_is_vmapped():
    def make(rate):
        optimizer, w = Adam(rate), Variable(np.ones(3, "float32"), name="w")
        optimizer.build([w])
        return optimizer, w

    pairs = [make(0.1), make(0.2)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *pairs)

    def step(pair):
        optimizer, w = pair
        optimizer.apply([jnp.ones(3)], [w])
        return pair

    _, w = jax.vmap(step)(stacked)
    np.testing.assert_allclose(w.value, [[0.9] * 3, [0.8] * 3], rtol=1e-5)


def test_deepcopy_goes_on_by_itself():
    optimizer, variables = Adam(0.1), make_variables()
    optimizer.apply(ones(), variables)
    twin, others = copy.deepcopy((optimizer, variables))
    twin.apply(ones(), others)
    assert int(twin.iterations) == 2 and int(optimizer.iterations) == 1
    optimizer.apply(ones(), variables)
    np.testing.assert_allclose(variables[0].numpy(), others[0].numpy())


# -- a user's own -------------------------------------------------------------------------------


class KerasStyle(Optimizer):
    """Momentum as Keras's guide to writing an optimizer has it."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = []
        for variable in variables:
            self.momentums.append(
                self.add_variable_from_reference(
                    variable,
                    name="momentum",
                    initializer=lambda shape, dtype: jnp.zeros(shape, dtype),
                )
            )

    def update_step(self, gradient, variable, learning_rate):
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, m * self.momentum - gradient * learning_rate)
        self.assign_add(variable, m)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


@pytest.mark.parametrize(
    "settings", [{}, {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "clipnorm": 1.0}]
)
def test_an_optimizer_written_for_keras_equals_sgd(settings):
    mine, sgd = KerasStyle(**settings), SGD(0.1, momentum=0.9, **settings)
    a, b = make_variables(), make_variables()
    for i in range(4):
        mine.apply([jnp.cos(v.value + i) for v in a], a)
        sgd.apply([jnp.cos(v.value + i) for v in b], b)
    assert [v.name for v in mine.variables] == [v.name for v in sgd.variables]
    for x, y in zip([*a, *mine.variables], [*b, *sgd.variables]):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
    config = optimizers.serialize(mine)
    again = optimizers.deserialize(config, custom_objects={"KerasStyle": KerasStyle})
    assert again.get_config() == mine.get_config()
    assert mine.get_config()["momentum"] == 0.9


def test_add_optimizer_variables_lists_one_for_each_name():
    class Two(Optimizer):
        def update_step(self, gradient, variable, learning_rate): ...

    optimizer, variables = Two(0.1), make_variables()
    make = (
        lambda shape, dtype: jnp.zeros(shape, dtype),
        lambda shape, dtype: jnp.ones(shape, dtype),
    )
    optimizer.build(variables)
    a, b = optimizer.add_optimizer_variables(variables, ["a", "b"], make)
    assert [v.name for v in optimizer.variables[2:]] == ["v0_a", "v0_b", "v1_a", "v1_b"]
    assert float(a[0][0]) == 0.0 and float(b[1][0]) == 1.0
    with pytest.raises(ValueError, match="initializer"):
        optimizer.add_optimizer_variables(variables, ["a", "b"], [make[0]])


def test_an_optimizer_without_a_rule_says_so():
    with pytest.raises(NotImplementedError, match="transform"):
        Optimizer(0.1).apply(ones(1), make_variables(1))


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["adam", "Adam", "ADAM", "nadam", "sgd", "rmsprop", "RMSprop", "AdamW"]
)
def test_get_by_name_in_any_case(name):
    found = optimizers.get(name)
    assert type(found).__name__ == type(keras.optimizers.get(name)).__name__
    assert serialization.get("optimizers", name.lower()) is not found


def test_get_of_other_things():
    optimizer = Adam()
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None
    assert isinstance(optimizers.get(Adam), Adam)
    config = {"class_name": "adamw", "config": {"learning_rate": 0.5}}
    assert isinstance(optimizers.get(config), AdamW)
    assert isinstance(optimizers.get(keras.optimizers.serialize(keras.optimizers.Nadam())), Nadam)
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        optimizers.get("adan")
    for wrong in (3, lambda x: x):
        with pytest.raises(ValueError, match="interpret"):
            optimizers.get(wrong)


def test_keras_reads_our_configs():
    ours = RMSprop(0.5, rho=0.8, momentum=0.1, centered=True, clipnorm=2.0)
    theirs = keras.optimizers.deserialize(optimizers.serialize(ours))
    assert theirs.get_config() == ours.get_config()


def test_the_public_face():
    assert "schedules" in dir(optimizers) and "optimizer" not in dir(optimizers)
    assert optimizers.schedules.CosineDecay
    assert SGD().name.startswith("sgd") and AdamW().name.startswith("adam_w")
    assert SGD(name="mine").name == "mine"
    named = SGD(name="mine")
    assert [v.path for v in named.variables] == ["mine/iteration", "mine/learning_rate"]
