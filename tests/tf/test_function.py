import copy
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import keraslike as keras
from keraslike import tf

pytestmark = pytest.mark.slow


def test_traced_once_a_signature(capsys):
    @tf.function
    def scaled(x, factor):
        print("tracing")
        return x * factor

    for x, factor in [([1.0], 2.0), ([3.0], 2.0), ([1.0], 3.0), ([1.0, 2.0], 2.0), ([5.0], 2.0)]:
        np.testing.assert_array_equal(scaled(tf.constant(x), factor), np.array(x) * factor)
    assert capsys.readouterr().out == "tracing\n" * 3
    assert scaled.experimental_get_tracing_count() == 3
    assert scaled(tf.constant([1]), 2).dtype is tf.int32
    assert scaled.experimental_get_tracing_count() == 4
    assert scaled(np.ones(1, "float32"), 2.0).numpy().tolist() == [2.0]
    assert scaled.experimental_get_tracing_count() == 4


def test_structures_go_in_and_out():
    @tf.function
    def swap(pair, *, named):
        return {"sum": pair[0] + pair[1]["x"], "rest": (named["y"], 3, None)}

    found = swap((tf.constant(1.0), {"x": tf.constant(2.0)}), named={"y": tf.constant([4])})
    assert float(found["sum"]) == 3.0
    y, three, none = found["rest"]
    assert y.numpy().tolist() == [4] and int(three) == 3 and none is None


def test_input_signature_with_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([], tf.int32)])
    def total(x, n):
        return tf.reduce_sum(x, axis=0) * tf.cast(n, tf.float32), tf.shape(x)[0]

    for size in (2, 5):
        sums, rows = total(np.ones((size, 3)), 2)
        assert sums.numpy().tolist() == [2.0 * size] * 3
        assert int(rows) == size and rows.dtype is tf.int32
    assert total.experimental_get_tracing_count() == 1
    with pytest.raises(TypeError, match=r"\(2, 4\).*None, 3"):
        total(np.ones((2, 4)), 2)
    with pytest.raises(TypeError, match="missing a required argument: 'n'"):
        total(np.ones((2, 3)))
    x = tf.constant(np.ones((2, 3), "float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(total(x, 3)[0])
    assert tape.gradient(y, x).numpy().tolist() == [[3.0] * 3] * 2


def test_concrete_functions():
    @tf.function
    def add(x, y, double=False):
        return (x + y) * (2 if double else 1)

    concrete = add.get_concrete_function(tf.TensorSpec([2]), tf.constant([1.0, 1.0]), double=True)
    named = [tf.TensorSpec([2], name=name) for name in "xy"]
    signature = ((*named, True), {})
    assert concrete.structured_input_signature == signature
    assert [spec.name for spec in concrete.structured_input_signature[0][:2]] == ["x", "y"]
    assert concrete(tf.constant([1.0, 2.0]), tf.constant([0.0, 0.0])).numpy().tolist() == [2.0, 4.0]
    with pytest.raises(TypeError, match=r"\(3,\)"):
        concrete(tf.constant([1.0, 2.0, 3.0]), tf.constant([0.0, 0.0]))


def test_variables_are_read_and_changed():
    v = tf.Variable(2.0)
    weights = keras.Variable([1.0, 2.0])

    @tf.function
    def step(x):
        v.assign_add(x)
        return v * tf.reduce_sum(weights)

    assert [float(step(tf.constant(1.0))) for _ in range(2)] == [9.0, 12.0]
    assert float(v) == 4.0 and step.experimental_get_tracing_count() == 1
    v.assign(0.0)
    weights.assign([0.0, 1.0])
    assert float(step(tf.constant(5.0))) == 5.0
    with tf.GradientTape() as tape:
        y = step(tf.constant(1.0)) ** 2
    assert float(tape.gradient(y, v)) == 12.0
    fn = tf.function(lambda x: x * v)
    first = fn.get_concrete_function(tf.constant(1.0))
    assert first.variables == [v] or first.variables[0] is v and not first.changed


def test_a_variable_made_by_the_first_call():
    class Counter:
        def __init__(self):
            self.count = None

        @tf.function
        def __call__(self, x):
            if self.count is None:
                self.count = tf.Variable(10.0)
            return self.count.assign_add(x).value()

    counter = Counter()
    assert [float(counter(tf.constant(1.0))) for _ in range(3)] == [11.0, 12.0, 13.0]
    other = Counter()
    assert float(other(tf.constant(2.0))) == 12.0 and float(counter.count) == 13.0


def test_python_control_flow_on_a_tensor_says_what_to_use():
    @tf.function(autograph=False)
    def absolute(x):
        return x if x > 0 else -x

    with pytest.raises(TypeError, match="tf.cond.*tf.while_loop"):
        absolute(tf.constant(1.0))
    with pytest.raises(AttributeError, match="numpy"):
        tf.function(lambda x: x.numpy())(tf.constant(1.0))
    sized = tf.function(lambda x: tf.zeros([x]))
    with pytest.raises(TypeError, match="tf.shape"):
        sized.get_concrete_function(tf.constant(1))
    assert sized(tf.constant(2)).shape == (2,)  # it runs in Python
    assert tf.function(lambda x: x)(tf.constant("a")).numpy() == b"a"  # it runs in Python


def test_control_flow():
    v = tf.Variable(1.0)

    @tf.function
    def chosen(x):
        def positive():
            v.assign_add(1.0)
            return x * v

        return tf.cond(x > 0, positive, lambda: -x)

    assert float(chosen(tf.constant(3.0))) == 6.0 and float(v) == 2.0
    assert float(chosen(tf.constant(-3.0))) == 3.0 and float(v) == 2.0
    w = tf.Variable(5.0)
    fn = tf.function(lambda x: tf.cond(x > 0, lambda: x * w, lambda: x))
    with tf.GradientTape(persistent=True) as tape:
        y, z = fn(tf.constant(3.0)), fn(tf.constant(-3.0))
    assert float(tape.gradient(y, w)) == 3.0 and float(tape.gradient(z, w)) == 0.0
    total = tf.function(
        lambda n: tf.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + i), [0, 0])[1]
    )
    assert int(total(tf.constant(5))) == 10
    bounded = tf.function(
        lambda x: tf.while_loop(
            lambda s: s < 100.0, lambda s: (s * w,), [x], maximum_iterations=10
        )[0]
    )
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        y = bounded(x)
    assert float(y) == 250.0 and float(tape.gradient(y, w)) == 150.0
    with pytest.raises(TypeError, match="same shapes and dtypes.*int32.*float32"):
        tf.function(lambda x: tf.cond(x > 0, lambda: x, lambda: tf.constant(1)))(x)
    with pytest.raises(TypeError, match="structure"):
        tf.function(lambda x: tf.cond(x > 0, lambda: x, lambda: (x, x)))(x)
    with pytest.raises(ValueError, match="Loop variable 0.*float32"):
        tf.function(lambda x: tf.while_loop(lambda s: s[0] < 1, lambda s: (s[:1],), [x]))(
            tf.constant([1.0, 2.0])
        )


def test_a_tape_within_a_function_and_a_function_within_a_tape():
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(w**2 * x)
        return tape.gradient(y, w)

    assert slope(tf.constant(3.0)).numpy().tolist() == [6.0, 12.0]
    x = tf.constant(3.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        y = tf.reduce_sum(slope(x))
    assert float(outer.gradient(y, x)) == 6.0


def test_64_bits():
    fn = tf.function(lambda x: tf.exp(x) * 2.0)
    x = np.linspace(0, 1, 3)
    assert fn(x).dtype is tf.float64
    np.testing.assert_allclose(fn(x), 2 * np.exp(x), rtol=1e-15)
    v = tf.Variable(np.float64(1.0))
    tf.function(lambda: v.assign_add(1e-12))()
    assert float(v) == 1.0 + 1e-12


@tf.function
def doubled(x):
    return x * 2


def test_pickles_and_copies():
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    factor = 3.0
    inner = tf.function(lambda x: x * factor)
    again = pickle.loads(pickle.dumps(inner))
    assert float(again(tf.constant(2.0))) == 6.0 and copy.deepcopy(inner) is inner
    assert "doubled" in repr(doubled)
    spec = tf.TensorSpec([None, 3])
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_unknown_sizes_become_tensors_of_the_wanted_dtype():
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def sizes(x):
        rows = tf.shape(x)[0]
        return tf.size(x, tf.int64), tf.convert_to_tensor([rows, 3], tf.int64), tf.stack([rows, 3])

    wanted = [(tf.int64, 12), (tf.int64, [4, 3]), (tf.int32, [4, 3])]
    for found in (sizes(tf.zeros([4, 3])), sizes.get_concrete_function()(tf.zeros([4, 3]))):
        assert [(x.dtype, x.numpy().tolist()) for x in found] == wanted


def test_printing_values_while_it_runs(capfd):
    @tf.function
    def shown(x):
        tf.print("x is", x, "{}", {"twice": 2 * x})
        return x

    shown(tf.constant(1.5))
    shown(tf.constant([2.5, 1 / 3]))
    jax.effects_barrier()
    lines = ["x is 1.5 {} {'twice': 3}", "x is [2.5 0.333333343] {} {'twice': [5 0.666666687]}"]
    assert capfd.readouterr().err.splitlines() == lines
    tf.print("now", tf.constant(3))
    assert capfd.readouterr() == ("", "now 3\n")


# What TensorFlow 2.21 prints.
PRINTED = [
    ((1 / 3, tf.constant(1 / 3), 3, True, None), {}, "0.3333333333333333 0.333333343 3 True None"),
    ((tf.constant([1e10, 1e-7, 123456789.0, np.nan, -np.inf, -0.0]),), {"summarize": -1},
     "[1e+10 1e-07 123456792 nan -inf -0]"),
    ((tf.constant(1 / 3, tf.float64), tf.constant(0.1, tf.float16)), {},
     "0.33333333333333331 0.0999755859"),
    ((tf.constant([[1, 2], [3, 4]]), tf.range(10)), {}, "[[1 2]\n [3 4]] [0 1 2 ... 7 8 9]"),
    ((tf.reshape(tf.range(8), [4, 2]),), {"summarize": 1}, "[[0 1]\n ...\n [6 7]]"),
    ((tf.zeros([2, 0]), tf.zeros([0, 3]), tf.zeros([2, 0, 3])), {}, "[\n ...] [] [\n\n ...]"),
    ((tf.constant("a"),), {}, "a"),
    ((tf.constant("a"), tf.constant(["b", "\n\"é"]), "c"), {}, '"a" ["b" "\\n\\"é"] c'),
    ((tf.constant([True, False]), tf.Variable([1.0]), tf.constant(1 + 2j)), {}, "[1 0] [1] ?"),
    (({"b": (tf.constant(1),), "a": [tf.constant(2.0), "x"]},), {}, "{'a': [2, 'x'], 'b': (1,)}"),
    ((tf.ragged.constant([[1.5], [], [1 / 3]]), tf.ragged.constant([["a"]])), {},
     "[[1.500000], [], [0.333333]] [['a']]"),
    ((tf.ragged.constant([[i] for i in range(5)]),), {"summarize": 1}, "[[0], ..., [4]]"),
    ((tf.sparse.from_dense([[0.0, 1.5]]),), {},
     "'SparseTensor(indices=[[0 1]], values=[1.5], shape=[1 2])'"),
    ((np.array([1.5, 2]), tf.float32, range(2)), {}, "array([1.5, 2. ]) tf.float32 [0, 1]"),
    (("a", "b"), {"sep": ", "}, "a, b"),
]  # fmt: skip


@pytest.mark.parametrize("values, settings, text", PRINTED)
def test_printing(capsys, values, settings, text):
    tf.print(*values, output_stream=sys.stdout, end="~", **settings)
    assert capsys.readouterr() == (f"{text}~", "")


def test_where_printed_text_goes(tmp_path, capsys):
    said, path = [], tmp_path / "log"
    tf.print(tf.constant([1.0]), output_stream=said.append)
    for _ in range(2):
        tf.print(1, output_stream=f"file://{path}")
    assert said == ["[1]\n"] and path.read_text() == "1\n1\n"
    with pytest.raises(ValueError, match="output_stream must be .* Received: 'log'"):
        tf.print(1, output_stream="log")
    with pytest.raises(ValueError, match="Unrecognized keyword arguments for tf.print: {'to': 1}"):
        tf.print(1, to=1)
    with pytest.raises(TypeError, match="summarize must be an int. Received: 'a'"):
        tf.print(1, summarize="a")
    assert capsys.readouterr() == ("", "")


def test_a_step_whose_first_trace_makes_all_state_there_is():
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model, optimizer = keras.Sequential(layers), keras.optimizers.Adam(0.1)
    loss_fn, seen = keras.losses.MeanSquaredError(), keras.metrics.MeanAbsoluteError()
    x, y = tf.constant([[1.0, 2.0], [3.0, 5.0]]), tf.constant([[1.0], [2.0]])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            predicted = model(x, training=True)
            loss = loss_fn(y, predicted)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        seen.update_state(y, predicted)
        return loss

    losses = [float(step()) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    moving = model.layers[1].moving_mean
    assert optimizer.iterations.numpy() == 3 and np.any(moving.numpy() != 0)
    assert float(seen.result()) > 0


# -- unknown sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function, expected",
    [
        (lambda x: x / tf.cast(tf.shape(x)[0], tf.float32), [[0.5, 0.5], [0.5, 0.5]]),
        (lambda x: tf.shape(x), [2, 2]),
        (lambda x: tf.stack([tf.shape(x)[0], 1]), [2, 1]),
        (lambda x: tf.concat([tf.shape(x)[:1], [1]], 0), [2, 1]),
        (lambda x: tf.range(tf.shape(x)[0]), [0, 1]),
        (lambda x: tf.range(1, tf.shape(x)[0] + 2, 2), [1, 3]),
        (lambda x: tf.eye(tf.shape(x)[0]), [[1, 0], [0, 1]]),
        (lambda x: tf.zeros([tf.shape(x)[0], 1]), [[0], [0]]),
        (lambda x: tf.tile([[1.0, 2.0]], [tf.shape(x)[0], 1]), [[1, 2], [1, 2]]),
        (lambda x: x[tf.shape(x)[0] - 1] * tf.cast(tf.size(x), tf.float32), [4, 4]),
        (lambda x: tf.cond(tf.shape(x)[0] > 2, lambda: x, lambda: x * 3.0), [[3, 3], [3, 3]]),
    ],
)
def test_sizes_that_a_signature_leaves_open_are_used_as_numbers(function, expected):
    traced = tf.function(function, input_signature=[tf.TensorSpec([None, 2])])
    assert traced(tf.ones((2, 2))).numpy().tolist() == expected
    assert traced(tf.ones((5, 2))).numpy().tolist() != expected


@pytest.mark.parametrize("made", [tf.zeros, tf.ones, lambda shape: tf.range(shape[0])[:, None]])
def test_tensors_of_sizes_that_a_signature_leaves_open(made):
    traced = tf.function(lambda x: made([tf.shape(x)[0], 3]))
    concrete = traced.get_concrete_function(tf.TensorSpec([None, 2]))
    assert concrete.structured_outputs.shape.as_list()[0] is None
    assert concrete(tf.ones((5, 2))).shape[0] == 5 and traced.experimental_get_tracing_count() == 1


def test_a_gradient_through_a_size_that_a_signature_leaves_open():
    mean = tf.function(
        lambda x: x / tf.cast(tf.shape(x)[0], tf.float32),
        input_signature=[tf.TensorSpec([None, 2])],
    )
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape(persistent=True) as tape:
        z = mean(w)
        y = tf.reduce_sum(z**2)
    assert tape.gradient(y, w).numpy().tolist() == [[0.5, 1.0], [1.5, 2.0]]
    assert tape.jacobian(z, w).numpy().reshape(4, 4).tolist() == (0.5 * np.eye(4)).tolist()


def test_an_open_size_is_shown_as_none():
    shown = []

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def function(x):
        shown.extend([str(x.shape), repr(x.shape), x.shape.as_list()])
        return x

    function(tf.ones((3, 2)))
    assert shown == ["(None, 2)", "TensorShape([None, 2])", [None, 2]]


def test_a_mistake_in_a_function_with_open_sizes_is_told_as_it_is():
    traced = tf.function(lambda x: x + "text", input_signature=[tf.TensorSpec([None])])
    for _ in range(2):
        with pytest.raises((TypeError, ValueError), match="float32"):
            traced(tf.ones(3))


def test_an_error_that_is_not_about_sizes_is_raised_at_once():
    traces = []

    @tf.function
    def wrong(x):
        traces.append(x.shape)
        return absent  # noqa: F821

    with pytest.raises(NameError):
        wrong.get_concrete_function(tf.TensorSpec([None]))
    assert len(traces) == 1


def test_all_sizes_of_one_signature_draw_from_one_stream():
    def drawn(x):
        tf.ones([int(x.shape[0])])
        return tf.random.uniform([])

    specs = [tf.TensorSpec([None])]
    signed = tf.function(drawn, input_signature=specs)
    for function in (signed, tf.function(drawn).get_concrete_function(*specs)):
        tf.random.set_seed(1)
        found = [function(tf.ones([n])).numpy() for n in (2, 3)]
        np.testing.assert_allclose(found, [0.8126965, 0.5272893], rtol=1e-5)


def test_sizes_of_an_argument_that_is_used_for_nothing_else():
    ones = tf.function(lambda x: tf.ones(tf.shape(x)), input_signature=[tf.TensorSpec([None])])
    assert [ones(tf.zeros([n])).shape[0] for n in (2, 3)] == [2, 3]


@pytest.mark.parametrize(
    "shapes, count", [([1, 2, 3, 4], 2), ([(1, 2), (2, 2), (3, 2), (3, 3), (5, 5)], 3)]
)
def test_reduced_retracing(shapes, count):
    traces = []

    @tf.function(reduce_retracing=True)
    def doubled(x):
        traces.append(x.shape)
        return x * 2.0

    for shape in shapes:
        assert (doubled(tf.ones(shape)).numpy() == 2 * np.ones(shape)).all()
    assert len(traces) == doubled.experimental_get_tracing_count() == count


def test_variables_of_flax_s_own_are_read_and_changed():
    """A module of flax's is called as it is; what it holds is no constant of the trace."""
    module = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    count = nnx.Variable(jnp.zeros(()))

    @tf.function
    def call(x):
        count[...] += 1
        return tf.cond(x[0, 0] > 0, lambda: module(x), lambda: module(-x))

    x = tf.constant([[1.0, 2.0]])
    for scale in (1.0, 3.0):
        module.kernel[...] = jnp.full((2, 1), scale)
        assert call(x).numpy().tolist() == [[3.0 * scale]]
    assert count[...] == 2.0


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: tf.range(tf.shape(x)[0] - 1), [0, 1, 2, 3, 4]),
        (lambda x: tf.reshape(x, (2, -1)), [[3, 1, 4], [1, 5, 9]]),
        (lambda x: tf.split(x, 2)[1], [1, 5, 9]),
        (lambda x: tf.math.top_k(x, 3).values, [9, 5, 4]),
        (lambda x: tf.scan(lambda a, v: a + v, x), [3, 4, 8, 9, 14, 23]),
        (lambda x: x[: tf.minimum(tf.shape(x)[0], 3)], [3, 1, 4]),
        (lambda x: tf.zeros([tf.maximum(tf.shape(x)[0] // 2, 4)]), [0, 0, 0, 0]),
        (lambda x: tf.cond(tf.shape(x)[0] > 3, lambda: x[:3], lambda: tf.zeros([3])), [3, 1, 4]),
        (lambda x: x[: tf.cast(tf.cast(tf.size(x), tf.float32) * 0.5, tf.int32)], [3, 1, 4]),
    ],
)
def test_sizes_that_are_computed(function, wanted):
    # Where a trace with an unknown size fails, the function is traced for each.
    x = tf.constant([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    tf.constant([1]) - 1, tf.constant([1]) // 2, tf.constant([1.0]) * 0.5  # numbers met before
    compiled = tf.function(function)
    concrete = compiled.get_concrete_function(tf.TensorSpec([None], tf.float32))
    for found in (compiled(x), concrete(x)):
        assert found.numpy().tolist() == wanted
    with pytest.raises(TypeError, match="traced for"):
        concrete(tf.constant([[1.0]]))


def test_what_is_asked_of_a_function_traced_by_size():
    compiled = tf.function(lambda x: tf.split(x, x.shape[0]))
    concrete = compiled.get_concrete_function(tf.TensorSpec([None], tf.float32))
    assert [t.numpy().tolist() for t in concrete(tf.constant([1.0, 2.0]))] == [[1], [2]]
    assert [t.shape for t in concrete(tf.ones([3]))] == [(1,), (1,), (1,)]
    assert compiled.experimental_get_tracing_count() >= 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="split"):
        concrete.graph  # noqa: B018
    halves = tf.function(lambda x: tf.split(x, 2))  # traced once, for sizes that are even
    concrete = halves.get_concrete_function(tf.TensorSpec([None], tf.float32))
    assert [t.shape for t in concrete(tf.ones([6]))] == [(3,), (3,)]
    assert [t.shape for t in concrete(tf.ones([4]))] == [(2,), (2,)]
    assert halves.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "function, expected",
    [
        (lambda x, m, i: tf.boolean_mask(x, m), [3.0, 3.0, 0.0]),
        (lambda x, m, i: x[m], [3.0, 3.0, 0.0]),
        (lambda x, m, i: tf.reduce_sum(tf.boolean_mask(x, m)), 6.0),
        (lambda x, m, i: tf.unique(x)[0], [3.0, 1.0, 0.0]),
        (lambda x, m, i: tf.unique_with_counts(x)[2], [2, 1, 1]),
        (lambda x, m, i: tf.where(m), [[0], [2], [3]]),
        (lambda x, m, i: tf.gather(x, tf.where(x > 1.0)[:, 0]), [3.0, 3.0]),
        (lambda x, m, i: tf.math.bincount(i), [0, 1, 2, 0, 0, 1]),
        (lambda x, m, i: tf.dynamic_partition(x, tf.cast(m, tf.int32), 2)[1], [3.0, 3.0, 0.0]),
        (lambda x, m, i: tf.range(tf.reduce_max(i)), [0, 1, 2, 3, 4]),
        (lambda x, m, i: tf.range(tf.reduce_max(i)) * 2, [0, 2, 4, 6, 8]),
        (lambda x, m, i: tf.repeat(i, i)[:4], [1, 2, 2, 2]),
        (lambda x, m, i: tf.reduce_sum(tf.cast(tf.sequence_mask(i), tf.int32)), 10),
    ],
)
def test_sizes_that_values_say(function, expected):
    """Of TensorFlow; also with an input_signature of unknown sizes, and within another function."""
    x, m = tf.constant([3.0, 1.0, 3.0, 0.0]), tf.constant([True, False, True, True])
    i = tf.constant([1, 2, 2, 5])
    specs = [tf.TensorSpec([None], d) for d in (tf.float32, tf.bool, tf.int32)]
    inner = tf.function(function)
    for made in (
        inner,
        tf.function(function, input_signature=specs),
        tf.function(lambda *given: inner(*given)),
    ):
        for _ in range(2):
            assert made(x, m, i).numpy().tolist() == expected
    with pytest.raises(TypeError, match="traced"):
        tf.function(function).get_concrete_function(x, m, i)


def test_gradients_through_sizes_that_values_say():
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])

    @tf.function
    def gradient(least):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(v, tf.where(v > least)[:, 0]) ** 2)
        return tf.convert_to_tensor(tape.gradient(loss, v))

    assert gradient(tf.constant(2.0)).numpy().tolist() == [0, 0, 6, 8]
    assert gradient(tf.constant(3.0)).numpy().tolist() == [0, 0, 0, 8]


def test_bincount():
    """As TensorFlow's, whose second argument is weights."""
    counts = tf.math.bincount
    assert counts([1, 2, 2, 5], [0.5, 1, 2, 3], maxlength=4).numpy().tolist() == [0, 0.5, 3, 0]
    rows = [[1, 2], [2, 2]]
    assert counts(rows, axis=-1).numpy().tolist() == [[0, 1, 1], [0, 0, 2]]
    assert counts(rows, axis=-1, binary_output=True).numpy().tolist() == [[0, 1, 1], [0, 0, 1]]
    assert counts(rows, axis=0).numpy().tolist() == [0, 1, 3]
    assert counts([1, 9], minlength=3, maxlength=2).numpy().tolist() == [0, 1]
    assert counts([1, 2, 2], [1.0, 2, 3], axis=-1).numpy().tolist() == [0, 1, 5]
    assert counts(tf.constant([], tf.int32)).shape == (0,)
    assert counts([1], dtype=tf.int64).dtype is tf.int64
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative"):
        counts([-1, 2])
    with pytest.raises(ValueError, match="weights"):
        counts([1], weights=[1], binary_output=True)
    with pytest.raises(ValueError, match="axis"):
        counts([1], axis=1)


def test_unseeded_draws_of_a_function_are_those_of_tensorflow():
    """Each function numbers its operations, which go on from run to run."""
    tf.random.set_seed(7)

    @tf.function
    def inner():
        return tf.random.uniform([])

    @tf.function
    def outer():
        return tf.stack([tf.random.uniform([]), inner(), inner(), tf.random.uniform([])])

    rounded = lambda x: np.round(x.numpy(), 4).tolist()  # noqa: E731
    np.testing.assert_allclose(outer(), [0.7537, 0.7537, 0.7537, 0.4604], atol=1e-4)
    np.testing.assert_allclose(outer(), [0.5876, 0.5876, 0.5876, 0.519], atol=1e-4)
    kinds = tf.function(
        lambda: (
            tf.nn.dropout(tf.ones([6]), 0.5),
            tf.random.shuffle(tf.range(5)),
            tf.random.gamma([2], 1.0),
            tf.random.categorical([[0.0, 0.0]], 4),
            tf.random.truncated_normal([2]),
        )
    )
    drawn = [*kinds(), *kinds()]
    assert [rounded(x) for x in drawn[:2]] == [[2, 0, 0, 2, 0, 0], [3, 4, 1, 0, 2]]
    np.testing.assert_allclose(drawn[2], [0.2495, 2.4421], atol=1e-4)
    assert [rounded(x) for x in (drawn[3], drawn[8])] == [[[0, 0, 1, 0]], [[1, 1, 0, 0]]]
    np.testing.assert_allclose(drawn[9], [0.3009, 0.7176], atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_functions_of_slices_draw_and_assign(compiled):
    v = tf.Variable(0.0)

    def counted(x):
        v.assign_add(x)
        return v * 2.0

    def programs():
        ones = tf.ones([3])
        return (
            tf.map_fn(lambda x: x * tf.random.uniform([]), ones),
            tf.vectorized_map(lambda x: x * tf.random.uniform([]), ones),
            tf.map_fn(counted, ones),
        )

    first, second, third = (tf.function(programs) if compiled else programs)()
    assert len(set(first.numpy().tolist())) == len(set(second.numpy().tolist())) == 3
    assert third.numpy().tolist() == [2.0, 4.0, 6.0] and v.numpy() == 3.0


@pytest.mark.parametrize(
    "body, sizes",
    [
        (lambda x, y: tf.concat([x, y], 0), [(2, 3), (2, 2), (1, 3)]),
        (lambda x, y: tf.reduce_sum(x) + tf.reduce_sum(y), [(2, 3), (5, 4)]),
        (lambda x, y: x + y, [(2, 2), (2, 1)]),  # it can only be traced for these sizes
    ],
)
def test_unknown_sizes_of_two_tensors_may_differ(body, sizes):
    function = tf.function(body, input_signature=[tf.TensorSpec([None])] * 2)
    concrete = function.get_concrete_function()
    for m, n in sizes:
        given = tf.ones([m]), tf.ones([n])
        for each in (function, concrete):
            np.testing.assert_array_equal(each(*given), body(*given))
    assert function.experimental_get_tracing_count() <= 4


def test_what_is_known_of_a_function_of_text():
    double = tf.function(lambda a, n=2: tf.strings.join([a] * n))
    assert double(tf.constant("b")).numpy() == b"bb"
    concrete = double.get_concrete_function(tf.TensorSpec([], tf.string))
    assert concrete is double.get_concrete_function(tf.constant("c"))
    assert double.experimental_get_tracing_count() == 1
    assert concrete(a=tf.constant("d")).numpy() == b"dd"
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="to be a string tensor but is a int32"
    ):
        concrete(tf.constant(1))
    with pytest.raises(TypeError, match="value 2 of an argument. Received: 3"):
        concrete(tf.constant("a"), 3)
    assert "Output Type:\n  TensorSpec(shape=(), dtype=tf.string, name=None)" in str(concrete)
    assert (concrete.inputs[0].name, concrete.outputs[0].dtype) == ("a:0", tf.string)
    batch = double.get_concrete_function(tf.TensorSpec([None, 3], tf.string))
    assert batch.structured_outputs == tf.TensorSpec([None, 3], tf.string)
    assert double(tf.constant(["a"])).numpy().tolist() == [b"aa"]


def test_what_is_known_of_a_function_of_unknown_rank():
    power = tf.function(lambda a, b: a**b)
    square = power.get_concrete_function(a=tf.TensorSpec(None, tf.float32), b=2)
    assert square(tf.constant([3.0])).numpy().tolist() == [9] and square(tf.constant(3.0)) == 9
    assert square.structured_outputs == tf.TensorSpec(None, tf.float32)
    assert "a (POSITIONAL_OR_KEYWORD): TensorSpec(shape=<unknown>" in str(square)
    with pytest.raises(TypeError, match="value 2 of an argument. Received: 3"):
        square(tf.constant(10.0), b=3)


def test_a_concrete_function_needs_all_tensors():
    function = tf.function(lambda x, y: x + y)
    traced = function.get_concrete_function(tf.constant(1), tf.constant(2))
    assert int(traced(tf.constant(3), y=tf.constant(5))) == 8
    for arguments in ({"x": tf.constant(3)}, {"y": tf.constant(3)}):
        with pytest.raises(TypeError, match="traced for"):
            traced(**arguments)


def test_a_concrete_function_of_text_runs_in_python():
    @tf.function
    def longest(x):
        if x.dtype == tf.string:
            x = tf.strings.to_number(tf.strings.split(x))[tf.newaxis]
        place = tf.argmax(x, -1)
        return {"place": place, "name": tf.gather(tf.constant(["a", "b"]), place)}

    for spec, given, expected in (
        (tf.TensorSpec((), tf.string), "1 2", (1, b"b")),
        (tf.TensorSpec((None, 2)), [[3.0, 1.0]], (0, b"a")),
    ):
        for call in (longest.get_concrete_function(x=spec), longest):
            found = call(tf.constant(given))
            assert (int(found["place"][0]), found["name"].numpy()[0]) == expected
    lower = tf.function(tf.strings.lower, input_signature=[tf.TensorSpec([None], tf.string)])
    assert lower.get_concrete_function()(tf.constant(["A"])).numpy().tolist() == [b"a"]


@pytest.mark.parametrize("of", [np.array, np.sin, np.asarray])
def test_numpy_on_a_traced_tensor(of):
    with pytest.raises(NotImplementedError, match="cannot become a numpy array"):
        tf.function(lambda x: of(x))(tf.constant([1.0, 2.0]))
    assert of(tf.constant([0.0])).tolist() == [0]


def test_a_signature_holds_for_calls_within_functions():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def doubled(x):
        return x * 2.0

    assert tf.function(lambda: doubled([1, 2, 3]))().numpy().tolist() == [2.0, 4.0, 6.0]
    for wrong in (tf.constant([1, 2, 3]), tf.constant([[1.0, 2.0]])):
        with pytest.raises(TypeError, match="does not fit TensorSpec"):
            tf.function(lambda x=wrong: doubled(x))()
