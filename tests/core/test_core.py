"""Variables, objects as pytrees, lowering, symbolic tensors, the registry."""

import copy
import operator
import pickle
import weakref

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import optax
import pytest
from flax import nnx

import keraslike as keras
from keraslike import layers, tf
from keraslike.core import context, lowering, serialization
from keraslike.core.operation import op
from keraslike.core.symbolic import KerasTensor


def mlp(**kwargs):
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="tanh", **kwargs), layers.Dense(1)]
    )
    return model


class Chapter(layers.Layer):
    """Sublayers in every kind of place, one of them shared."""

    def __init__(self, **kwargs):
        self.scale = 2.0  # before super().__init__()
        super().__init__(**kwargs)
        self.first = layers.Dense(3)
        self.hidden = [layers.Dense(3), layers.Dense(3)]
        self.named = {"z": layers.Dense(3), "a": self.first}
        self.pair = (layers.Dense(3), "text")
        self.later = []
        self.options = {"unhashable": [1, 2]}

    def build(self, input_shape):
        self.made = layers.Dense(3)
        self.later.append(layers.Dense(3))

    def call(self, x):
        for layer in (self.first, *self.hidden, *self.named.values(), self.pair[0], self.made):
            x = layer(x)
        return self.later[0](x) * self.scale


# -- Variable ---------------------------------------------------------------------------------


def test_variable_assigns_and_computes():
    v = keras.Variable([[1.0, 2.0], [3.0, 4.0]], name="v")
    assert v.shape == (2, 2) and v.dtype == "float32" and v.trainable and v.name == "v"
    assert isinstance(v, nnx.Param)
    v.assign_add(jnp.ones((2, 2)))
    v.assign_sub(0.5 * np.ones((2, 2)))
    np.testing.assert_allclose(v.numpy(), [[1.5, 2.5], [3.5, 4.5]])
    np.testing.assert_allclose(np.asarray(v), v.numpy())
    np.testing.assert_allclose(jnp.sum(v), 12.0)
    np.testing.assert_allclose(v[0], [1.5, 2.5])
    x = np.ones((2, 2), "float32")
    for left, right in ((v + 1, 1 + v), (v * x, x * v), (v @ x, v.value @ x)):
        np.testing.assert_allclose(left, right)
    np.testing.assert_allclose(x @ v, x @ v.numpy())
    np.testing.assert_allclose(2 - v, 2 - v.numpy())
    assert v.value is v.assign(v.value)


def test_variable_state_is_not_the_callers_array():
    given = jnp.ones(3)
    v = keras.Variable(given)
    assert v.value is not given


@pytest.mark.parametrize(
    "value, error, words",
    [
        (np.ones(3), ValueError, r"'v' has shape \(2,\).*\(3,\)"),
        (1.0, ValueError, r"shape \(2,\)"),
        (np.array([1j, 2j]), TypeError, "complex64"),
    ],
)
def test_variable_refuses(value, error, words):
    v = keras.Variable([1.0, 2.0], name="v")
    with pytest.raises(error, match=words):
        v.assign(value)
    np.testing.assert_allclose(v.numpy(), [1.0, 2.0])


def test_integer_variable_refuses_floats():
    count = keras.Variable(3, name="count", trainable=False)
    assert not isinstance(count, nnx.Param)
    with pytest.raises(TypeError, match="'count' has dtype int32.*float32"):
        count.assign(2.5)
    count.assign(7)
    assert int(count) == 7
    count.assign(8.0)  # of known values those that are whole, and in traces any, as in Keras
    assert int(count) == 8


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize(
    "arguments",
    [
        {"initializer": 1.0, "dtype": "float64"},
        {"initializer": np.zeros(2, "float64")},
        {"initializer": "zeros", "shape": (2,), "dtype": "int64"},
        {"initializer": "ones", "shape": (2,), "dtype": "float64"},
    ],
)
def test_variable_says_the_dtype_that_was_asked_for(arguments):
    """JAX has 32 bits in their place, unless it is told otherwise."""
    ours, theirs = (module.Variable(**arguments) for module in (keras, oracle))
    assert ours.dtype == theirs.dtype and ours.value.dtype == theirs.value.dtype
    ours.assign(ours + 1)
    assert ours.value.dtype == theirs.value.dtype
    assert copy.deepcopy(ours).dtype == theirs.dtype


def test_variable_cannot_be_changed_from_a_trace_that_does_not_hold_it():
    v = keras.Variable(1.0)
    with pytest.raises(Exception, match="different trace level"):
        jax.jit(lambda x: v.assign(x))(2.0)
    assert float(v) == 1.0


def test_variable_made_while_tracing_has_a_value():
    made = []
    jax.jit(lambda x: made.append(keras.Variable("glorot_uniform", shape=(2, 2))) or x)(1.0)
    assert np.isfinite(made[0].numpy()).all()
    made[0].assign(np.zeros((2, 2)))


def test_variable_copies_and_pickles():
    v = keras.Variable([1.0, 2.0], name="v", constraint=keras.constraints.NonNeg())
    for other in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert type(other) is type(v) and other.name == "v" and other.constraint == v.constraint
        other.assign([5.0, 6.0])
    np.testing.assert_allclose(v.numpy(), [1.0, 2.0])


# -- objects as pytrees -----------------------------------------------------------------------


def test_leaves_are_the_variables_arrays_each_once():
    layer = Chapter()
    layer(jnp.ones((2, 3)))
    leaves = jax.tree.leaves(layer)
    assert len(leaves) == len(layer.weights) == 14
    assert {id(a) for a in leaves} == {id(v._raw_value) for v in layer.weights}


def test_models_built_alike_have_equal_trees():
    one, two = Chapter(), Chapter()
    for layer in (one, two):
        layer(jnp.ones((2, 3)))
    assert one.name != two.name
    assert jax.tree.structure(one) == jax.tree.structure(two)
    assert hash(jax.tree.structure(one)) == hash(jax.tree.structure(two))
    assert jax.tree.structure(mlp()) == jax.tree.structure(mlp())
    assert jax.tree.structure(mlp()) != jax.tree.structure(mlp(use_bias=False))


def test_a_lambda_from_the_same_line_is_the_same():
    def make(factor):
        return layers.Lambda(lambda x: factor * x)

    assert jax.tree.structure(make(2.0)) == jax.tree.structure(make(2.0))
    assert jax.tree.structure(make(2.0)) != jax.tree.structure(make(3.0))


def test_tree_operations_keep_order_types_and_sharing():
    layer = Chapter()
    x = jnp.ones((2, 3))
    y = layer(x)
    copied = jax.tree.map(lambda a: a, layer)
    np.testing.assert_allclose(copied(x), y)
    assert copied.named["a"] is copied.first and list(copied.named) == ["z", "a"]
    assert isinstance(copied.hidden, list) and copied.pair[1] == "text"
    for v, w in zip(layer.weights, copied.weights, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    doubled = jax.tree.map(lambda a: 2 * a, layer)
    np.testing.assert_allclose(doubled.first.kernel.numpy(), 2 * layer.first.kernel.numpy())


def test_plain_grad_jit_and_vmap():
    model = mlp()
    x = jnp.arange(6.0).reshape(2, 3)
    grads = jax.grad(lambda m: jnp.sum(m(x) ** 2))(model)
    eps = 1e-3
    kernel = model.layers[0].kernel
    before = kernel.numpy()
    values = []
    for sign in (1, -1):
        kernel.assign(before + sign * eps * (np.arange(12).reshape(3, 4) == 5))
        values.append(float(jnp.sum(model(x) ** 2)))
    kernel.assign(before)
    numeric = (values[0] - values[1]) / (2 * eps)
    np.testing.assert_allclose(grads.layers[0].kernel.numpy()[1, 1], numeric, rtol=1e-2)
    np.testing.assert_allclose(jax.jit(lambda m, x: m(x))(model, x), model(x), rtol=1e-6)
    members = [mlp() for _ in range(3)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *members)
    out = jax.vmap(lambda m: m(x))(stacked)
    np.testing.assert_allclose(out, [m(x) for m in members], rtol=1e-5, atol=1e-6)


def test_unhashable_options_do_not_break_jit():
    layer = Chapter()
    layer(jnp.ones((2, 3)))
    calls = []
    f = jax.jit(lambda m, x: calls.append(1) or m(x))
    f(layer, jnp.ones((2, 3)))
    f(layer, jnp.ones((2, 3)))
    assert len(calls) == 1
    layer.options["unhashable"].append(3)
    f(layer, jnp.ones((2, 3)))
    assert len(calls) == 2


def test_flax_nnx_takes_a_model_as_it_is():
    model = mlp()
    x, y = jnp.ones((4, 3)), jnp.zeros((4, 1))
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    assert len(jax.tree.leaves(params)) == 4 and not jax.tree.leaves(rest)
    np.testing.assert_allclose(nnx.merge(graphdef, params, rest)(x), model(x))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    losses = [float(step(model, optimizer)) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]
    assert [v.name for v in model.weights] == ["kernel", "bias"] * 2


def test_pickle_and_deepcopy_keep_everything():
    model = mlp()
    model.compile(loss="mse", optimizer="adam")
    x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    model.fit(x, y, verbose=0)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
        assert int(other.optimizer.iterations) == 1
        expected = copy.deepcopy(model).fit(x, y, verbose=0).history["loss"]
        assert other.fit(x, y, verbose=0).history["loss"] == expected


# -- lowering ---------------------------------------------------------------------------------


def test_value_and_grad_with_a_random_stream():
    model = keras.Sequential([layers.Input((3,)), layers.Dropout(0.5), layers.Dense(1)])
    with pytest.raises(TypeError, match="uint32|integer|real"):
        jax.grad(lambda m: jnp.sum(m(jnp.ones((2, 3)))))(model)
    stream = model.layers[0].seed_generator.state.numpy()
    value, grads = keras.value_and_grad(lambda m, x: jnp.sum(m(x, training=True)))(
        model, jnp.ones((2, 3))
    )
    assert [g.shape for g in grads] == [v.shape for v in model.trainable_variables]
    assert (model.layers[0].seed_generator.state.numpy() != stream).any()
    np.testing.assert_allclose(grads[1], [2.0])
    with pytest.raises(TypeError, match="first argument must be a model"):
        keras.value_and_grad(lambda x: x)(1.0)


def test_closures_over_variables_are_differentiated():
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    outer = layer.kernel
    _, (g,) = keras.value_and_grad(lambda m: jnp.sum(outer**2))(layer)
    np.testing.assert_allclose(g, 2 * outer.numpy())


def test_tracers_do_not_stay_in_attributes():
    class Remembers(layers.Layer):
        def __init__(self):
            super().__init__()
            self.log, self.named = ["kept"], {"kept": 1}

        def call(self, x):
            self.last = self.named["x"] = x
            self.log.append(x)
            return x * 2

    layer = Remembers()
    model = keras.Sequential([layers.Input((2,)), layer, layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    assert not isinstance(getattr(layer, "last", None), jax.core.Tracer)
    assert not any(isinstance(t, jax.core.Tracer) for t in [*layer.log, *layer.named.values()])
    assert layer.log[0] == "kept" and layer.named["kept"] == 1


def test_changing_a_variables_shape_is_an_error():
    class Grows(layers.Layer):
        def build(self, input_shape):
            self.seen = self.add_weight(shape=(2,), initializer="zeros", trainable=False)

        def call(self, x):
            object.__setattr__(self.seen, "_raw_value", jnp.zeros(3))
            return x

    model = keras.Sequential([layers.Dense(1), Grows()])
    model.compile(loss="mse", optimizer="sgd")
    with pytest.raises(ValueError, match=r"shape \(2,\).* to shape \(3,\)"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


# -- symbolic tensors -------------------------------------------------------------------------


def test_shapes_are_asked_of_jax():
    x = KerasTensor((None, 8))
    assert (x @ np.ones((8, 3))).shape == (None, 3)
    assert (1.0 - x[:, 2:] * 2).shape == (None, 6)
    assert (jnp.ones((8,)) + x).shape == (None, 8)
    assert keras.ops.concatenate([x, x], axis=0).shape == (None, 8)
    assert op(lambda a: jnp.reshape(a, (a.shape[0], -1)))(KerasTensor((None, 4, 5))).shape == (
        None,
        20,
    )
    assert op(lambda a: a[: a.shape[0] // 2])(x).shape == (None, 8)


def test_a_shape_is_a_sequence():
    for make in (KerasTensor, keras.Input, lambda shape: keras.layers.InputSpec(shape=shape)):
        with pytest.raises(ValueError, match="'4' to a shape|shape=4"):
            make(4)


def test_mismatched_shapes_are_reported():
    with pytest.raises(TypeError, match="8.*7|contracting"):
        KerasTensor((None, 8)) @ np.ones((7, 3))


def test_symbolic_tensors_have_no_values():
    x = KerasTensor((None, 8))
    for use in (bool, float, np.asarray, iter):
        with pytest.raises(TypeError, match="no values"):
            use(x)
    with pytest.raises(ValueError, match="shape"):
        KerasTensor("abc")
    with pytest.raises(ValueError, match="Negative"):
        KerasTensor((None, -3))


# -- context ----------------------------------------------------------------------------------


def test_users_read_and_set_masks_of_arrays_and_tensors():
    ids = np.array([[3, 0]])
    embedded = keras.layers.Embedding(5, 2, mask_zero=True)(ids)
    assert embedded._keras_mask.tolist() == [[True, False]]
    assert tf.keras.layers.Embedding(5, 2, mask_zero=True)(ids)._keras_mask.numpy().any()
    x = jnp.ones((1, 2, 1))
    x._keras_mask = jnp.array([[True, False]])
    pooled = keras.layers.GlobalAveragePooling1D()(x * jnp.array([[[1.0], [5.0]]]))
    assert pooled.tolist() == [[3.0]]  # what is computed of it has none
    x = jnp.array([[[1.0], [5.0]]])
    mask = jnp.array([[True, False]])
    for same in (x, tf.constant(x)):
        same._keras_mask = mask
        assert float(np.asarray(keras.layers.GlobalAveragePooling1D()(same))[0, 0]) == 1.0
        same._keras_mask = None
        assert float(np.asarray(keras.layers.GlobalAveragePooling1D()(same))[0, 0]) == 3.0


def test_masks_live_as_long_as_their_tensor():
    x = jnp.ones(3)
    context.set_mask(x, jnp.array([True, False, True]))
    assert context.get_mask(x) is not None and context.get_mask(jnp.ones(3)) is None
    kept = weakref.ref(context.get_mask(x))
    del x
    assert kept() is None


# -- registry ---------------------------------------------------------------------------------


def test_unknown_names_suggest_the_nearest():
    for get, wrong, right in (
        (keras.losses.get, "mean_square_error", "mean_squared_error"),
        (keras.metrics.get, "acuracy", "accuracy"),
        (keras.activations.get, "rellu", "relu"),
        (keras.optimizers.get, "nadan", "nadam"),
    ):
        with pytest.raises(ValueError, match=f"'{wrong}'.*Did you mean.*{right}"):
            get(wrong)


def test_plain_values_come_back_equal():
    value = {"a": [1, 2.5, None, "x"], "b": {"c": True}}
    assert serialization.deserialize(serialization.serialize(value)) == value
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(serialization.deserialize(serialization.serialize(array)), array)
    assert serialization.deserialize(serialization.serialize(slice(1, None, 2))) == slice(
        1, None, 2
    )


def test_custom_objects_must_be_given():
    @keras.utils.register_keras_serializable(package="tests")
    class Known(layers.Layer):
        def call(self, x):
            return x

    class Unknown(layers.Layer):
        def call(self, x):
            return x

    assert type(serialization.deserialize(serialization.serialize(Known()))) is Known
    config = serialization.serialize(Unknown())
    with pytest.raises(TypeError, match=r"'Unknown'.*custom_objects=\{'Unknown': Unknown\}"):
        serialization.deserialize(config)
    assert type(serialization.deserialize(config, {"Unknown": Unknown})) is Unknown


def test_bytecode_is_refused_unless_asked_for():
    config = serialization.serialize(lambda x: x + 1)
    with pytest.raises(ValueError, match="safe_mode=False"):
        serialization.deserialize(config)
    assert serialization.deserialize(config, safe_mode=False)(1) == 2


def test_nothing_a_file_names_is_imported():
    for module in ("os", "keras.src.os", "builtins"):
        entry = {"module": module, "class_name": "function", "config": "system"}
        with pytest.raises(TypeError, match="'system' is not known"):
            serialization.deserialize(entry)


def test_a_file_cannot_name_what_reads_and_writes_files():
    for module in ("keras.saving", "keras.models", "keras", "keraslike.saving", "builtins"):
        for name in ("load_model", "save_model", "load_weights", "save_weights", "ModelCheckpoint"):
            with pytest.raises(TypeError, match=f"'{name}' is not known"):
                serialization.deserialize(
                    {"module": module, "class_name": "function", "config": name}
                )


def test_an_allowance_for_weights_is_kept():
    def make(units):
        return keras.Sequential([layers.Input((10,)), layers.Dense(10), layers.Dense(units)])

    with context.using(allowance=[10_000]):
        make(10)
        with pytest.raises(ValueError, match="40,000,000,000 bytes"):
            make(10**9)


def test_config_of_a_users_class_without_get_config():
    class Mine(layers.Layer):
        def __init__(self, sizes, rate=0.5, **kwargs):
            super().__init__(**kwargs)
            self.hidden = [layers.Dense(s) for s in sizes]

        def call(self, x):
            return x

    config = Mine([3, 4], name="m").get_config()
    assert config["sizes"] == [3, 4] and config["rate"] == 0.5 and config["name"] == "m"
    again = Mine.from_config(config)
    assert [h.units for h in again.hidden] == [3, 4] and again.name == "m"


def test_lowered_function_leaves_variables_alone():
    v = keras.Variable(1.0)
    pure = lowering.lower(lambda x: v.assign_add(x), [v])
    out, (new,) = jax.jit(pure)((jnp.asarray(1.0),), 2.0)
    assert float(out) == float(new) == 3.0 and float(v) == 1.0


def test_variables_of_closures_are_changed_by_a_step():
    """Of a loss, a layer, a metric: no object of the model's holds them."""
    counts = [keras.Variable(0.0, trainable=False) for _ in range(3)]

    def loss(y, p):
        counts[0].assign_add(1.0)
        return keras.ops.mean((y - p) ** 2)

    class Counting(keras.layers.Layer):
        def call(self, x):
            counts[1].assign_add(1.0)
            return x

    class CountingMetric(keras.metrics.Metric):
        def update_state(self, y, p, sample_weight=None):
            counts[2].assign_add(1.0)

        def result(self):
            return counts[2].value

    model = keras.Sequential([keras.layers.Dense(1), Counting()])
    model.compile("sgd", loss, metrics=[CountingMetric()])
    model.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0)
    assert [float(c) for c in counts] == [3.0, 3.0, 3.0]
    model.evaluate(np.ones((6, 2)), np.ones((6, 1)), batch_size=6, verbose=0)
    assert [float(c) for c in counts] == [4.0, 4.0, 4.0]


def test_attributes_of_a_users_own():
    variable = keras.Variable(2.0)
    variable.grad = None  # what Keras's and TensorFlow's variables take, too
    variable.tag = ["x"]
    assert variable.grad is None and variable.tag == ["x"] and not hasattr(variable, "other")
    other = copy.deepcopy(variable)
    other.tag = "y"
    assert variable.tag == ["x"] and pickle.loads(pickle.dumps(other)).tag == "y"
    layer = layers.Dense(1)
    layer.build((None, 2))
    compiled = jax.jit(lambda layer, x: layer(x))
    before = compiled(layer, jnp.ones((1, 2)))
    layer.kernel.tag = "kernel"  # no part of what is compiled for
    assert compiled(layer, jnp.ones((1, 2))) == before and compiled._cache_size() == 1
    assert jax.tree.map(lambda x: x, layer).kernel.tag == "kernel"
    del variable.tag
    with pytest.raises(AttributeError, match="shape"):
        variable.shape = (3,)
    with pytest.raises(AttributeError, match="tag"):
        del variable.tag


def test_symbolic_tensors_have_the_operators_of_keras():
    a, b = (KerasTensor((2, 3), dtype="bool") for _ in range(2))
    x, y = (oracle.KerasTensor((2, 3), dtype="bool") for _ in range(2))
    for function in (lambda a, b: a ^ b, lambda a, b: a & b, lambda a, b: a | b, lambda a, b: ~a):
        ours, theirs = function(a, b), function(x, y)
        assert (tuple(ours.shape), ours.dtype) == (theirs.shape, theirs.dtype)


def test_assignments_with_an_operator_name_the_result():
    for of in (keras.Variable, tf.Variable):
        variable = value = of(np.array([3.0, 5.0], "float32"))
        value //= 2.0
        assert value is not variable and np.asarray(value).tolist() == [1.0, 2.0]
        assert np.asarray(variable).tolist() == [3.0, 5.0]
    value = variable = keras.Variable(1.0)
    value += 2
    value -= keras.Variable(0.5)
    assert float(value) == 2.5 and float(variable) == 1.0
    with pytest.raises(RuntimeError, match="assign_add"):
        operator.iadd(tf.Variable(1.0), 1.0)
