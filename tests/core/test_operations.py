"""Operations, functions of symbolic tensors, what layers ask of inputs, variables' places."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import keraslike
from keraslike import layers
from keraslike.core.symbolic import KerasTensor


@keraslike.saving.register_keras_serializable("tests")
class Scale(keraslike.Operation):
    def __init__(self, factor, name=None):
        super().__init__(name=name)
        self.factor = factor

    def call(self, x, more=0.0):
        return x * self.factor + more


def test_an_operation_is_part_of_a_model(tmp_path):
    x = layers.Input((2,))
    scale = Scale(3.0, name="scale")
    outputs = scale(layers.Dense(2)(x), more=1.0)
    assert outputs.shape == (None, 2) and scale.output is outputs and scale(2.0) == 6.0
    model = keraslike.Model(x, outputs)
    assert scale in model.operations and scale not in model.layers
    model.save(tmp_path / "model.keras")
    loaded = keraslike.saving.load_model(tmp_path / "model.keras")
    data = np.ones((3, 2), "float32")
    np.testing.assert_array_equal(model.predict(data, verbose=0), loaded.predict(data, verbose=0))
    same, other = (
        keraslike.Model(x, Scale(factor)(model.layers[1](x), more=1.0)) for factor in (3.0, 4.0)
    )
    assert jax.tree.structure(model) == jax.tree.structure(same) != jax.tree.structure(other)


def test_layers_and_functions_of_ops_are_operations():
    x = layers.Input((2,))
    dense = layers.Dense(1)
    found = [dense(x), keraslike.ops.sin(x)]
    assert all(isinstance(t._keras_history.operation, keraslike.Operation) for t in found)
    with pytest.raises(AttributeError, match="never been called"):
        Scale(1.0).input  # noqa: B018
    with pytest.raises(ValueError, match="cannot contain character"):
        Scale(1.0, name="a/b")
    with pytest.raises(NotImplementedError, match="no call"):
        keraslike.Operation()(1.0)


def walked(k, sequential):
    """What packages that draw or convert models find on their way through a graph."""
    x, dense, add = k.Input((2,), name="x"), k.layers.Dense(2, name="a"), k.layers.Add(name="b")
    if sequential:
        model = k.Sequential([x, dense, k.layers.ReLU(name="c")])
    else:
        first = dense(x)
        model = k.Model(x, add([first, dense(first)]))

    def described(node):
        before = [(n.operation.name, n.is_input) for n in node.parent_nodes]
        inputs = [tuple(t._keras_history)[1:] for t in node.input_tensors]
        assert node.input_tensors == node.arguments.keras_tensors
        return before, inputs, [tuple(t.shape) for t in node.output_tensors]

    history = model.outputs[0]._keras_history
    assert history[0] is history.operation is model.layers[-1]
    assert list(k.layers.Dense(2)._inbound_nodes) == []
    found = [(layer.name, [described(n) for n in layer._inbound_nodes]) for layer in model._layers]
    return found, history.node_index, history.tensor_index


@pytest.mark.parametrize("sequential", [False, True])
def test_packages_walk_a_graph_as_in_keras(sequential):
    assert walked(keraslike, sequential) == walked(keras, sequential)


def test_a_function_computes_what_is_between_tensors():
    a, b = KerasTensor((None, 2)), KerasTensor((None, 2))
    total = a + b
    function = keraslike.Function({"a": a, "b": b}, {"x": [keraslike.ops.sin(total)], "y": total})
    given = {"a": np.ones((3, 2)), "b": np.full((3, 2), 2.0)}
    found = function(given)
    np.testing.assert_allclose(found["x"][0], np.sin(3.0) * np.ones((3, 2)), rtol=1e-6)
    assert [t.shape for t in function.outputs] == [(None, 2)] * 2
    assert function.compute_output_shape({"a": (5, 2), "b": (5, 2)})["y"] == (5, 2)
    assert function({"a": KerasTensor((4, 2)), "b": KerasTensor((4, 2))})["y"].shape == (4, 2)
    assert [op.name for op in function.operations][-1].startswith("sin")
    part = keraslike.Function(total, [keraslike.ops.cos(total)])  # from within a graph
    np.testing.assert_allclose(part(np.zeros((1, 2)))[0], np.ones((1, 2)))
    for wrong, message in (
        ([np.ones((3, 2))] * 2, "invalid input structure"),
        ({"a": np.ones((3, 2, 1)), "b": np.ones((3, 2))}, "incompatible inputs"),
        ({"a": np.ones((3, 3)), "b": np.ones((3, 2))}, "incompatible inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            function(wrong)
    with pytest.raises(ValueError, match="`inputs` argument cannot be empty"):
        keraslike.Function([], total)
    with pytest.raises(ValueError, match=r"Output with path `y` is not connected to `inputs`"):
        keraslike.Function(a, {"x": keraslike.ops.sin(a), "y": total})


class Picky(layers.Layer):
    def __init__(self, spec):
        super().__init__()
        self.input_spec = spec

    def call(self, x):
        return x


Spec = keraslike.InputSpec


@pytest.mark.parametrize(
    ("spec", "fits", "wrong", "message"),
    [
        ({"dtype": "int32"}, np.ones(2, "int32"), np.ones(2), "expected dtype=int32"),
        ({"shape": (None, 3)}, np.ones((2, 3)), np.ones((2, 4)), "expected shape="),
        ({"ndim": 2}, np.ones((2, 3)), np.ones(2), "expected ndim=2"),
        ({"max_ndim": 2}, np.ones(2), np.ones((1, 1, 1)), "expected max_ndim=2"),
        ({"axes": {-1: 3}}, np.ones((2, 3)), np.ones((2, 4)), "expected axis -1"),
        ({"axes": {2: 3}}, np.ones((1, 1, 3)), np.ones((2, 4)), "expected axis 2"),
    ],
)
def test_a_layer_refuses_what_its_spec_does_not_allow(spec, fits, wrong, message):
    layer = Picky(Spec(**spec))
    layer(fits)
    with pytest.raises(ValueError, match=message):
        layer(wrong)
    assert Spec.from_config(layer.input_spec.get_config()).get_config() == (
        layer.input_spec.get_config()
    )


def test_a_last_axis_may_be_squeezed():
    layer = Picky(Spec(shape=(None, 28, 1), allow_last_axis_squeeze=True))
    for shape in ((2, 28), (2, 28, 1)):
        layer(np.ones(shape))
    with pytest.raises(ValueError, match="expected shape"):
        layer(np.ones((2, 27)))


def test_named_and_optional_inputs():
    layer = Picky([Spec(ndim=1, name="b"), Spec(ndim=2, name="a", optional=True)])
    layer({"a": np.ones((1, 1)), "b": np.ones(1)})
    layer([np.ones(1), None])
    with pytest.raises(ValueError, match="Missing data for input"):
        layer({"b": np.ones(1)})
    with pytest.raises(ValueError, match="expects 2 named"):
        layer([np.ones(1)])
    with pytest.raises(ValueError, match="greater than the maximum allowed value: 1"):
        Spec(ndim=2, axes={2: 3})
    with pytest.raises(TypeError, match="integer keys"):
        Spec(axes={"channels": 3})


def test_variables_say_where_they_are():
    mesh = jax.make_mesh((1,), ("batch",))
    layout = NamedSharding(mesh, PartitionSpec("batch"))
    variable = keraslike.Variable(jnp.ones(2), aggregation="mean", layout=layout)
    assert variable.value.sharding == layout and variable.aggregation == "mean"
    assert keraslike.Variable(1.0, aggregation=None).synchronization == "auto"
    with pytest.raises(ValueError, match="aggregation must be one of"):
        keraslike.Variable(1.0, aggregation="all")


def test_symbolic_tensors_stay_what_they_are():
    tensor = KerasTensor((None, 2), sparse=True)
    for name in ("shape", "dtype", "sparse", "ragged", "ragged_rank", "row_splits_dtype"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(tensor, name, None)
    with pytest.raises(ValueError, match="both"):
        KerasTensor((2,), sparse=True, ragged=True)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "float16", "float32"])
def test_variables_operators_have_the_dtypes_of_keras(dtype):
    names = ("add", "sub", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "eq", "ne")
    names += ("lt", "le", "gt", "ge", "radd", "rsub")

    def outcomes(library):
        found = []
        for other in ("bool", "uint32", "int16", "bfloat16", "float32"):
            a, b = (library.Variable(np.ones(2), dtype=d) for d in (dtype, other))
            for name in names:
                try:
                    out = jax.eval_shape(lambda: getattr(a, f"__{name}__")(b))  # noqa: B023
                    found.append((other, name, str(out.dtype)))
                except Exception as error:
                    found.append((other, name, type(error).__name__))
        return found

    assert outcomes(keraslike) == outcomes(keras)


def test_variables_are_numbers_only_where_they_are_scalars():
    one, two = keraslike.Variable(3.5), keraslike.Variable([1.0, 2.0])
    assert (float(one), int(one), (+two).tolist(), round(one)) == (3.5, 3, [1.0, 2.0], 4.0)
    assert [10, 20][keraslike.Variable(1)] == 20
    assert (two == np.array([1.0, 3.0])).tolist() == [True, False] and one != None  # noqa: E711
    for wrong in (lambda: float(two), lambda: bool(one), lambda: [10, 20][one]):
        with pytest.raises(TypeError):
            wrong()
