"""What layers and packages written for Keras rely on beyond its public names."""

import jax
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers, ops, tf

pytestmark = pytest.mark.slow


class Counting(layers.Layer):
    """A layer with a weight, a sublayer and a metric."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.scale = self.add_weight((), "ones", name="scale")
        self.inner = layers.Dense(units)
        self.seen = keras.metrics.Sum(name="seen")

    def call(self, x):
        self.seen.update_state(ops.sum(x))
        return self.inner(x) * self.scale

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Inner(layers.Layer):
    def __init__(self, registers=True):
        super().__init__()
        if registers:
            self._register_call_context_args("extra")

    def call(self, x, extra=None):
        return x + (1 if extra else 0)


def test_metrics_are_not_among_the_variables():
    layer = Counting()
    layer(np.ones((1, 3), "float32"))
    assert [v.name for v in layer.variables] == ["scale", "kernel", "bias"]
    assert layer.non_trainable_variables == [] and len(layer.metrics_variables) == 1

    # They count in a model that trains, and a stateless call leaves them alone.
    values = [v.value for v in layer.trainable_variables]
    before = float(layer.seen.result())
    call = jax.jit(lambda values, x: layer.stateless_call(values, [], x))
    outputs, state = call(values, np.ones((1, 3), "float32"))
    assert outputs.shape == (1, 2) and state == [] and float(layer.seen.result()) == before
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert model.non_trainable_variables == [] and float(layer.seen.result()) == 12


def test_what_is_tracked():
    layer = Counting()
    assert layer._metrics == [layer.seen]
    assert layer._layers == [layer.inner] and layer._trainable_variables == [layer.scale]
    layer(np.ones((1, 3), "float32"))
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        layer.more = layer.add_weight((2,))
    layer._tracker.unlock()
    layer.more = layer.add_weight((2,), name="more")
    layer._tracker.lock()
    assert layer.more.path == f"{layer.name}/more" and len(layer.weights) == 4
    layer._untrack_variable(layer.more)
    assert layer.more is None and len(layer.weights) == 3

    class Own(layers.Layer):
        def __init__(self):
            super().__init__()
            self._layers = [layers.Dense(1), layers.Dense(1)]  # an attribute of its own

    assert len(Own()._layers) == 2


def test_arguments_that_calls_inherit():
    model = keras.Sequential([layers.Identity(), Inner(), Inner(registers=False)])
    model._register_call_context_args("extra")
    x = np.zeros((1, 1), "float32")
    assert model(x, extra=True).item() == 1 and model(x).item() == 0
    assert model(layers.Input((1,)), extra=True).shape == (None, 1)
    with pytest.raises(RuntimeError, match="after the layer has been called"):
        model._register_call_context_args("other")


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "said"),
    [
        (("kernel",), {}, ValueError, "`name` must be passed as a keyword argument"),
        (("kernel", (2,)), {}, ValueError, "add_weight.name='kernel'"),
        (((2,),), {"shape": (2,)}, ValueError, "`shape` was passed both"),
        (((2,), "zeros", "float32", "w"), {}, TypeError, "at most 3 positional"),
    ],
)
def test_what_add_weight_takes_by_position(args, kwargs, error, said):
    with pytest.raises(error, match=said):
        layers.Layer().add_weight(*args, **kwargs)


@pytest.mark.parametrize("name", ["bar", "baz_shape"])
def test_a_build_whose_arguments_are_none_of_the_call(name):
    scope = {}
    exec(f"def build(self, foo_shape, {name}): self.built = True", scope)
    layer = type("Odd", (layers.Layer,), {"build": scope["build"], "call": lambda s, foo, bar: foo})
    with pytest.raises(ValueError, match=f"`{name}`.*"):
        layer()(np.ones((1, 2)), np.ones((1, 2)))


def test_a_file_names_no_class_that_is_not_registered(tmp_path):
    keras.Sequential([layers.Input((2, 3)), layers.TimeDistributed(Counting(3))]).save(
        tmp_path / "m.keras"
    )
    with pytest.raises(TypeError, match="'Counting' is not known here"):
        keras.models.load_model(tmp_path / "m.keras")


def test_what_a_layer_was_built_for_is_in_its_config():
    attention = layers.MultiHeadAttention(2, 4)
    attention.build((1, 2, 3), (1, 4, 3), (1, 4, 3))
    again = layers.MultiHeadAttention(2, 4)
    again.build_from_config(attention.get_build_config())
    assert again.built and len(again.weights) == 8

    class OfDict(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((input_shape["a"][-1],))

        def call(self, x):
            return x["a"] * self.w + x["b"]

    layer, other = OfDict(), OfDict()
    layer({"a": np.ones((1, 2)), "b": np.ones((1, 2))})
    other.build_from_config(layer.get_build_config())
    assert other.w.shape == (2,)


@pytest.mark.parametrize("knows", [True, False])
def test_attention_of_ones_own_gets_the_causal_mask(knows):
    seen = []

    class Own(layers.MultiHeadAttention):
        def _compute_attention(self, query, key, value, attention_mask=None, training=None, **more):
            seen.append(attention_mask)
            return super()._compute_attention(query, key, value, attention_mask, training, **more)

    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    layer = Own(2, 4)
    mask = np.ones((2, 5, 5), bool) if knows else None
    found = layer(x, x, attention_mask=mask, use_causal_mask=True)
    plain = layers.MultiHeadAttention(2, 4)
    plain.build(x.shape, x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(found, plain(x, x, use_causal_mask=True), rtol=1e-4, atol=1e-5)
    assert seen[0] is not None and not bool(seen[0][0, 0, 1])


def test_a_causal_mask_is_added_to_one_that_is_given():
    layer = layers.MultiHeadAttention(1, 2)
    x = np.random.default_rng(0).normal(size=(1, 3, 1, 2)).astype("float32")
    layer.build((1, 3, 2), (1, 3, 2))
    given = np.array([[[1, 1, 1], [0, 1, 1], [1, 0, 1]]], bool)
    _, weights = layer._compute_attention(
        x, x, x, given, return_attention_scores=True, use_causal_mask=True
    )
    assert (np.asarray(weights[0, 0]) > 0).tolist() == (given[0] & np.tri(3, dtype=bool)).tolist()


def test_paths_are_the_same_whether_built_by_a_call_or_from_a_config():
    paths = [[], []]
    for found, by_call in zip(paths, (True, False)):
        layer = Counting(name="counting")
        layer.inner.name = "inner"
        layer(np.ones((1, 3))) if by_call else layer.build_from_config({"input_shape": (None, 3)})
        found += [w.path for w in layer.inner.weights]
        assert layer.inner.path == "counting/inner"
    assert paths[0] == paths[1] == ["counting/inner/kernel", "counting/inner/bias"]


def test_a_class_that_is_a_trainer_and_a_layer_initializes_both():
    from keraslike.training.trainer import Trainer

    class Both(Trainer, layers.Layer):
        def __init__(self):
            layers.Layer.__init__(self, dtype="mixed_float16", name="both")
            Trainer.__init__(self)

        def call(self, x):
            return x

    model = Both()
    assert (model.name, model.compute_dtype) == ("both", "float16")
    assert not hasattr(model, "_compile_config")
    model.compile("sgd", "mse")
    assert model._compile_config.config["loss"] == "mse"
    assert model._compile_config.serialize() == model.get_compile_config()


def tracking(k):
    class Heads(k.layers.Layer):
        def build(self, shape):
            self.heads, self.flat = {"a": {}}, {}
            for i, name in enumerate(("z", "b")):
                head = self._tracker.track(k.layers.Dense(i + 1, name=name))
                assert self._tracker.track(head) is head
                head.build(shape)
                self.heads["a"][name] = self.flat[name] = head
            self.kept = self._tracker.track([k.layers.Dense(3, name="c")])
            self.kept[0].build(shape)

        def call(self, x):
            return [head(x) for head in self.flat.values()]

    return Heads()


def test_what_is_tracked_by_hand_equals_keras():
    """As packages do with layers that lie in dicts of dicts, which Keras does not look into."""
    found = []
    for k in (keras, oracle):
        layer = tracking(k)
        assert [y.shape for y in layer(np.ones((2, 4), "float32"))] == [(2, 1), (2, 2)]
        parts = layer._flatten_layers(include_self=False)
        found.append(([tuple(w.shape) for w in layer.weights], [x.name for x in parts]))
        with pytest.raises(ValueError, match="cannot add new elements of state"):
            layer._tracker.track(k.layers.Dense(3))
    assert found[0] == found[1]


def nested(k):
    class Block(k.layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.several = [k.layers.Dense(1, name=f"{name}{i}") for i in range(3)]
            self.last = k.layers.Dense(1, name=f"{name}z")

    rows = k.Sequential([Block("s"), k.layers.Dense(2, name="end")], name="rows")
    model = k.Model(name="all")
    model.first, model.rows = Block("f"), rows
    return model


def test_the_order_of_all_layers_below_one_is_kerass():
    """bayesflow compares the layers of two models by it."""
    for options in ({}, {"include_self": False}, {"recursive": False}):
        names = [[x.name for x in nested(k)._flatten_layers(**options)] for k in (keras, oracle)]
        assert names[0] == names[1]


def test_a_layer_is_cloned_with_other_weights_as_built_as_it_is():
    layer = layers.Dense(3)
    layer.build((None, 2))
    twin = keras.models.clone_model(layer)
    assert twin.name == layer.name and twin.kernel is not layer.kernel
    assert twin.kernel.shape == (2, 3)


def test_the_array_of_a_variable_by_kerass_name():
    """As KerasHub does, which frees it."""
    weight = keras.Variable([1.0, 2.0])
    assert isinstance(weight._value, jax.Array) and weight._value.sharding is not None
    weight._value.delete()
    weight.assign([3.0, 4.0])
    assert weight._value.tolist() == [3, 4]


def test_layers_may_take_what_they_are_given():
    """As KerasHub's tokenizers do: text as Python has it, and arrays as they are."""

    class Lengths(layers.Layer):
        def __init__(self):
            super().__init__()
            self._convert_input_args = False
            self._allow_non_tensor_positional_args = True

        def call(self, words, of=str):
            assert type(words) in (list, str) or isinstance(words, np.ndarray), type(words)
            return [len(w) for w in words]

    layer = Lengths()
    assert layer(["a", "bcd"]) == [1, 3] and layer("ab") == [1, 1]
    assert layer([[1, 2], [3]]) == [2, 1] and layer(np.ones((2, 3))) == [3, 3]


def test_a_variable_as_an_array_of_ones_own():
    """numpy's `np.array` copies, unless it is told not to."""
    weight = keras.Variable([1.0, 2.0])
    for value in (weight, tf.constant([1.0, 2.0]), tf.Variable([1.0, 2.0])):
        own = np.array(value)
        own += 1
        assert own.tolist() == [2, 3] and np.asarray(value).tolist() == [1, 2]
        assert np.asarray(value, "int32").tolist() == [1, 2]
        own = value.numpy()
        own += 1
        assert own.tolist() == [2, 3] and value.numpy().tolist() == [1, 2]


def test_the_structures_of_a_models_tensors_by_kerass_names():
    a, b = layers.Input((2,)), layers.Input((3,))
    model = keras.Model({"b": b, "a": a}, [layers.Dense(1)(a), layers.Dense(1)(b)])
    assert model._inputs_struct == {"b": b, "a": a} and len(model._outputs_struct) == 2


def test_functions_know_that_a_pipeline_of_grains_asks():
    import grain

    from keraslike.src_functions import in_grain_data_pipeline as asks

    assert not asks()
    assert list(grain.MapDataset.source([1, 2]).map(lambda _: asks())) == [True, True]


def test_the_shape_of_a_tensor_in_a_graph_of_tensorflows():
    class InGraph:
        graph = op = None
        shape = (None, 3)

        def __array__(self, *_, **__):
            raise NotImplementedError

    assert ops.shape(InGraph()) == (None, 3)


def test_attention_may_make_its_projections_itself():
    """As KerasHub's Whisper and Moonshine do, by names that are private in Keras."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")

    def outputs(k):
        class Own(k.layers.MultiHeadAttention):
            def build(self, query_shape, value_shape, key_shape=None):
                sizes = (None, self._num_heads, self._key_dim)
                for name in ("query", "key", "value"):
                    common = self._get_common_kwargs_for_sublayer()
                    layer = k.layers.EinsumDense("abc,cde->abde", sizes, name=name, **common)
                    layer.build(query_shape)
                    setattr(self, f"_{name}_dense", layer)
                self._build_attention(4)
                layer = k.layers.EinsumDense("abcd,cde->abe", (None, 4), **common)
                layer.build((*query_shape[:-1], self._num_heads, self._value_dim))
                self._output_dense = layer
                self.built = True

        layer = Own(2, 3, use_bias=False)
        layer(x, x)
        assert not layer._use_bias and layer._output_shape is None
        assert isinstance(layer._kernel_initializer, k.initializers.GlorotUniform)
        for i, weight in enumerate(layer.weights):
            weight.assign(np.random.default_rng(i).normal(size=weight.shape))
        return np.asarray(layer(x, x))

    np.testing.assert_allclose(outputs(keras), outputs(oracle), atol=1e-5)
