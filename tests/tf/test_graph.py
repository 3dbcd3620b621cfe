"""A traced function seen from outside. The lists of operations are TensorFlow 2.21's."""

import pytest

from keraslike import tf


@tf.function
def cube(x):
    return x**3


def operations(concrete):
    return [(op.name, op.type) for op in concrete.graph.get_operations()]


def test_operations():
    concrete = cube.get_concrete_function(tf.constant(2.0))
    assert operations(concrete) == [
        ("x", "Placeholder"),
        ("pow/y", "Const"),
        ("pow", "Pow"),
        ("Identity", "Identity"),
    ]
    power = concrete.graph.get_operations()[2]
    assert repr(power) == "<tf.Operation 'pow' type=Pow>"
    assert repr(list(power.inputs)) == (
        "[<tf.Tensor 'x:0' shape=() dtype=float32>, <tf.Tensor 'pow/y:0' shape=() dtype=float32>]"
    )
    assert repr(power.outputs) == "[<tf.Tensor 'pow:0' shape=() dtype=float32>]"
    assert concrete.graph.get_operation_by_name("x").type == "Placeholder"
    assert str(concrete.graph.get_tensor_by_name("Identity:0")) == (
        'Tensor("Identity:0", shape=(), dtype=float32)'
    )
    spec = "TensorSpec(shape=(), dtype=tf.float32, name=None)"
    assert repr(concrete).startswith(f"<ConcreteFunction (x: {spec}) -> {spec} at 0x")
    with pytest.raises(KeyError, match="no operation 'y'.*pow"):
        concrete.graph.get_operation_by_name("y")
    with pytest.raises(KeyError, match="1 outputs"):
        concrete.graph.get_tensor_by_name("x:1")


def test_signatures_and_names_of_arguments():
    weight = tf.Variable(2.0)

    @tf.function
    def scaled(x, y=2, *more, z=None):
        return {"a": tf.nn.relu(x * weight)}, None

    given = tf.TensorSpec([None], tf.float32, "given")
    concrete = scaled.get_concrete_function(given)
    assert scaled.pretty_printed_concrete_signatures() == (
        "Input Parameters:\n"
        f"  x (POSITIONAL_ONLY): {given}\n"
        "  y (POSITIONAL_ONLY): Literal[2]\n"
        "  z (KEYWORD_ONLY): Literal[None]\n"
        "Output Type:\n"
        "  Tuple[Dict[['a', TensorSpec(shape=(None,), dtype=tf.float32, name=None)]], "
        "Literal[None]]\n"
        "Captures:\n"
        f"  {id(weight)}: TensorSpec(shape=(), dtype=tf.resource, name=None)"
    )
    kinds = dict(operations(concrete))
    assert kinds["given"] == "Placeholder" and kinds["Relu"] == "Relu"
    assert [t.op.name for t in concrete.inputs] == ["given", "variable_resource"]


def test_loops():
    @tf.function
    def unrolled(x):
        for _ in range(3):
            x += 1
        return x

    @tf.function
    def rolled(x):
        for _ in tf.range(10):
            x = x + 1
        return x

    kinds = [kind for _, kind in operations(unrolled.get_concrete_function(tf.constant(5)))]
    assert kinds == ["Placeholder", *["Const", "AddV2"] * 3, "Identity"]
    assert operations(unrolled.get_concrete_function(tf.constant(5)))[-3:] == [
        ("add_2/y", "Const"),
        ("add_2", "AddV2"),
        ("Identity", "Identity"),
    ]
    assert ("while", "StatelessWhile") in operations(rolled.get_concrete_function(tf.constant(0)))


def test_signatures():
    counter = tf.Variable(0)

    @tf.function
    def increment(counter, c=1):
        return counter.assign_add(c)

    @tf.function
    def increment_it(c=1):
        return counter.assign_add(c)

    given = increment.get_concrete_function(counter).function_def.signature.input_arg[0]
    assert repr(given) == 'name: "counter"\ntype: DT_RESOURCE\n'
    taken = increment_it.get_concrete_function().function_def.signature.input_arg[0]
    assert taken.type == "DT_RESOURCE"
    signature = cube.get_concrete_function(tf.constant(2.0)).function_def.signature
    name = signature.name
    assert repr(signature) == (
        f'name: "{name}"\ninput_arg {{\n  name: "x"\n  type: DT_FLOAT\n}}\n'
        'output_arg {\n  name: "identity"\n  type: DT_FLOAT\n}\n'
    )

    @tf.function
    def several(batch, *rest, scale):
        return {"sum": batch["a"] + rest[0] * scale, "b": batch["b"]}

    concrete = several.get_concrete_function(
        {"a": tf.ones(2), "b": tf.ones(3)}, tf.ones(2), scale=tf.constant(2.0)
    )
    assert [t.op.name for t in concrete.inputs] == ["batch_a", "batch_b", "rest_0", "scale"]
    assert concrete.structured_outputs["b"] == tf.TensorSpec([3])
    assert [tuple(t.shape) for t in concrete.outputs] == [(3,), (2,)]


def test_arguments_are_printed_by_their_names(capsys):
    @tf.function
    def shown(x):
        print(f"x = {x}", [x])
        return x

    shown(tf.constant(2.0))
    assert capsys.readouterr().out == (
        "x = Tensor(\"x:0\", shape=(), dtype=float32) [<tf.Tensor 'x:0' shape=() dtype=float32>]\n"
    )
