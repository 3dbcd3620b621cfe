"""Blocks in which code runs otherwise: stateless, named, on a device, rematerialized."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax.errors import TraceContextError

import keraslike
from keraslike import layers
from keraslike.core.remat import get_current_remat_mode
from keraslike.core.scopes import current_path


def small():
    return np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def test_a_stateless_scope_keeps_what_is_assigned():
    given, other = keraslike.Variable(1.0), keraslike.Variable(2.0)

    def step(x):
        with keraslike.StatelessScope([(given, x)]) as scope:
            other.assign(given * 3)
            given.assign_add(1.0)
        return scope.get_current_value(given), scope.get_current_value(other)

    assert [float(v) for v in jax.jit(step)(5.0)] == [float(v) for v in step(5.0)] == [6.0, 15.0]
    assert (float(given), float(other)) == (1.0, 2.0)
    with keraslike.StatelessScope([(given, 3.0)]) as outer:
        with keraslike.StatelessScope() as inner:
            given.assign(9.0)
        assert float(given) == 3.0
        assert inner.get_current_value(given) == 9.0 and outer.get_current_value(given) == 3.0
        assert inner.get_current_value(other) is None


def test_a_stateless_scope_lets_no_tracer_out():
    count = keraslike.Variable(0.0)

    def step(x):
        with keraslike.StatelessScope():
            jax.lax.scan(lambda c, _: (count.assign(c), c), x, None, length=2)

    with pytest.raises(TraceContextError):
        jax.jit(step)(1.0)
    assert float(count) == 0.0


def test_a_stateless_scope_trains_as_keras_documents_it():
    layer = layers.Dense(1)
    layer(small())

    def loss(kernel):
        with keraslike.StatelessScope([(layer.kernel, kernel)]):
            return jnp.sum(layer(small()))

    np.testing.assert_allclose(jax.grad(loss)(layer.kernel.value)[:, 0], small().sum(0), rtol=1e-5)


def test_a_stateless_scope_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="must be Variable"):
        keraslike.StatelessScope([("kernel", 1.0)])
    with pytest.raises(ValueError, match="matches the corresponding variable shape"):
        keraslike.StatelessScope([(keraslike.Variable([0.0, 0.0]), jnp.ones(3))])


def test_losses_are_collected():
    layer = layers.ActivityRegularization(l2=1.0)
    with keraslike.StatelessScope(collect_losses=True) as scope:
        layer(np.full((1, 2), 3.0, "float32"))
    assert [float(loss) for loss in scope.losses] == [18.0]


def test_name_scopes_are_those_of_keras():
    def paths(library):
        with library.name_scope("outer") as outer:
            first = library.Variable(0.0, name="x").path
            with (
                library.name_scope("outer", caller=outer),
                library.name_scope("outer", caller=outer),
            ):
                second = library.Variable(0.0, name="x").path
            with library.name_scope("last", override_parent="/absolute/path"):
                third = library.Variable(0.0, name="x").path
        return first, second, third

    class Keras:
        name_scope, Variable = keras.name_scope, keras.Variable

    assert paths(keraslike) == paths(Keras) == ("outer/x", "outer/outer/x", "absolute/path/last/x")
    assert current_path() == ""
    with pytest.raises(ValueError, match="cannot contain character"):
        keraslike.name_scope("a/b")


def test_a_device_is_named():
    with keraslike.device("cpu:0"):
        assert keraslike.Variable([1.0]).value.device == jax.devices("cpu")[0]
    with pytest.raises(ValueError, match="There is no device"):
        keraslike.device("cpu:99")
    with pytest.raises(ValueError, match="device_name"):
        keraslike.device(1)


def net(mode=None, **options):
    keraslike.utils.set_random_seed(0)
    with keraslike.RematScope(mode, **options):
        model = keraslike.Sequential(
            [
                layers.Input((4,)),
                layers.Dense(6, activation="tanh", activity_regularizer="l2", name="first"),
                layers.BatchNormalization(),
                layers.Dropout(0.5, seed=1),
                layers.Dense(1, name="last"),
            ]
        )
    model.compile("sgd", "mse")
    return model


def tanhs(model):
    """How often a gradient's program computes the activation."""

    def loss(x):
        with keraslike.StatelessScope():
            return jnp.sum(model(x, training=True))

    return str(jax.make_jaxpr(jax.grad(loss))(small())).count(" tanh ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "options", "times"),
    [
        ("full", {}, 3),  # in the model, which is computed again, too
        ("activations", {}, 2),
        ("larger_than", {"output_size_threshold": 40}, 2),
        ("larger_than", {"output_size_threshold": 50}, 1),
        ("list_of_layers", {"layer_names": ["first"]}, 2),
        ("list_of_layers", {"layer_names": ["last"]}, 1),
        ("list_of_layers", {"layer_names": ["[", "fir.*"]}, 2),  # an expression, and none
        ("list_of_layers", {"layer_names": ["fir"]}, 1),  # for whole names
        ("list_of_layers", {"layer_names": [layers.Dense]}, 2),
        ("list_of_layers", {"layer_names": [layers.Dropout]}, 1),
    ],
)
def test_a_remat_scope_computes_again_and_changes_no_number(mode, options, times):
    plain, again = net(), net(mode, **options)
    assert (tanhs(plain), tanhs(again)) == (1, times)
    if options not in ({}, {"output_size_threshold": 40}, {"layer_names": ["first"]}):
        return
    logs = [
        m.fit(small(), small()[:, :1], epochs=2, shuffle=False, verbose=0).history
        for m in (plain, again)
    ]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-5)
    for a, b in zip(plain.get_weights(), again.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert get_current_remat_mode() is None


def test_remat_takes_less_memory():
    weights = [keraslike.Variable(jnp.full((64, 64), 0.01)) for _ in range(12)]

    def part(x, some):
        for w in some:
            x = jnp.tanh(x @ w)
        return x

    def memory(wrap):
        def loss(x):
            for i in range(0, 12, 4):
                x = wrap(lambda x, i=i: part(x, weights[i : i + 4]))(x)
            return jnp.sum(x)

        compiled = jax.jit(jax.grad(loss)).lower(jnp.ones((1024, 64))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(keraslike.remat) < 0.7 * memory(lambda f: f)


def test_remat_keeps_masks():
    embed = layers.Embedding(5, 3, mask_zero=True)
    again, masks = keraslike.remat(embed), []

    def masked(scale):
        with keraslike.StatelessScope():
            out = again(jnp.array([[1, 0]]))
        masks[:] = [keraslike.core.context.get_mask(out)]
        return jnp.sum(out) * scale

    embed(jnp.array([[1, 0]]))
    assert jax.jit(masked)(1.0).shape == ()
    assert masks[0].shape == (1, 2)


def test_a_remat_scope_refuses_another_mode():
    with pytest.raises(ValueError, match="mode must be one of"):
        keraslike.RematScope("everything")
