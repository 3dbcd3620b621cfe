"""How `tf.function` takes arguments, traces, gives results and raises. The values are those of
TensorFlow 2.21, but for programs that it refuses and which have a value in Python."""

import collections
import copy
import sys

import numpy as np
import pytest

from keraslike import tf

number = tf.constant


def traces(function, *calls):
    """How often the function has been traced after each of these calls."""
    counts = []
    for args, kwargs in calls:
        function(*args, **kwargs)
        counts.append(function.experimental_get_tracing_count())
    return counts


def test_equal_calls_are_one_trace_however_the_arguments_are_given():
    @tf.function
    def product(x, y=2):
        return x * y

    calls = [((1, 2), {}), ((1,), {}), ((), {"x": 1}), ((), {"y": 2, "x": 1}), ((1, 3), {})]
    assert traces(product, *calls) == [1, 1, 1, 1, 2]
    x = number([1.0, 2.0])
    assert traces(product, ((x,), {}), ((), {"x": x + 1.0})) == [3, 3]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def doubled(x, times=2):
        return x * times

    assert traces(doubled, (([1.0],), {}), ((), {"x": [1.0, 2.0]})) == [1, 1]
    assert doubled(x=[1.0, 2.0]).numpy().tolist() == [2.0, 4.0]
    with pytest.raises(TypeError, match="1 arguments"):
        tf.function(lambda x, y: x, input_signature=[tf.TensorSpec([None])])([1.0], [2.0])

    part = tf.function(lambda x: x * 2)
    whole = tf.function(lambda x: part(x) + part(x + 1))
    assert int(whole(number(1))) == 6
    assert part.experimental_get_tracing_count() == whole.experimental_get_tracing_count() == 1


def test_input_signatures_of_dicts_and_of_any_rank():
    of_dict = tf.function(
        lambda d: d["a"] * d["b"],
        input_signature=[{"b": tf.TensorSpec([None]), "a": tf.TensorSpec([], tf.float32)}],
    )
    assert of_dict({"a": 2.0, "b": [1.0, 2.0]}).numpy().tolist() == [2.0, 4.0]
    rank = tf.function(tf.rank, input_signature=[tf.TensorSpec(None, tf.float32)])
    assert [int(rank(x)) for x in (1.0, [1.0], [[1.0]])] == [0, 1, 2]


def test_concrete_functions_take_arguments_by_name_and_without_what_is_no_tensor():
    add = tf.function(lambda x, k: x + k).get_concrete_function(tf.TensorSpec([None]), 2.0)
    assert add(number([1.0])).numpy().tolist() == add(x=number([1.0])).numpy().tolist() == [3.0]
    assert add(number([1.0]), 2.0).numpy().tolist() == [3.0]
    signature = "((TensorSpec(shape=(None,), dtype=tf.float32, name='x'), 2.0), {})"
    assert str(add.structured_input_signature) == signature
    named = tf.function(lambda x: x).get_concrete_function(tf.TensorSpec([2], name="inputs"))
    assert named.structured_input_signature[0][0].name == "inputs"
    assert named([1.0, 2.0]).numpy().tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="was traced for"):
        named()
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32 tensor but is a int32"):
        named(number([1, 2]))
    v = tf.Variable(2.0)
    times = tf.function(lambda: v * 1.0).get_concrete_function()
    assert times.trainable_variables == (v,) and len(times.captured_inputs) == 1


def test_text_shapes_and_ranges_leave_a_function():
    @tf.function
    def several(x):
        return {"text": f"{x.shape}", "shape": x.shape, "two": range(2), "sum": tf.reduce_sum(x)}

    for values in ([1, 2], [3, 4]):
        found = several(number(values))
        assert found["text"].numpy() == b"(2,)" and found["text"].dtype is tf.string
        assert found["shape"].numpy().tolist() == [2] and int(found["sum"]) == sum(values)
        assert [int(n) for n in found["two"]] == [0, 1]
    assert several.experimental_get_tracing_count() == 1


@tf.function
def in_one_branch(x):
    if x > 0:
        return x


@tf.function
def in_a_loop(x):
    for i in tf.range(5):
        if x == i:
            return i


@tf.function
def in_branches_within(x):
    if x > 0:
        if x > 5:
            return x * 2
    else:
        return x
    return x * 3


@tf.function
def in_branches_within_but_one(x):
    if x > 0:
        if x > 5:
            return x * 2
    else:
        return x


@tf.function
def after_a_loop(x):
    for i in tf.range(5):
        if x == i:
            return i
    return -x


def test_a_function_that_may_return_nothing_is_refused():
    for function in (in_one_branch, in_a_loop, in_branches_within_but_one):
        with pytest.raises(ValueError, match="must also have a return statement"):
            function(number(1))
    assert [int(in_branches_within(number(x))) for x in (-1, 3, 9)] == [-1, 9, 18]
    assert [int(after_a_loop(number(x))) for x in (1, 9)] == [1, -9]


@tf.function
def none_in_one_branch(x):
    if x > 0:
        y = None
    else:
        y = x
    return y


def test_none_in_one_branch_only_is_refused():
    with pytest.raises(ValueError, match="'y' is None in one branch"):
        none_in_one_branch(number(1))


@tf.function
def collected(x, n):
    array = tf.TensorArray(tf.float32, size=1, dynamic_size=True)
    for i in tf.range(n):
        array = array.write(i, x * tf.cast(i, tf.float32))
    return array.stack(), array.size()


@tf.function
def collected_until(x, n):
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(6):
        if i >= n:
            break
        array = array.write(i, x * tf.cast(i, tf.float32))
    return array.stack()


@tf.function
def growing(x, n):
    v = tf.zeros([0])
    for _ in tf.range(n):
        tf.autograph.experimental.set_loop_options(shape_invariants=[(v, tf.TensorShape([None]))])
        v = tf.concat([v, [x]], 0)
    return v


@tf.function
def growing_all_the_same(x, n):
    v = tf.zeros([0])
    for _ in tf.range(n):
        v = tf.concat([v, [x]], 0)
    return v


def test_arrays_that_grow_in_loops():
    for count in (4, number(4)):
        stacked, size = collected(number(2.0), count)
        assert stacked.numpy().tolist() == [0.0, 2.0, 4.0, 6.0] and int(size) == 4
        assert growing(number(2.0), count).numpy().tolist() == [2.0] * 4
        with pytest.raises(ValueError, match="'v' must keep its shape"):
            growing_all_the_same(number(2.0), count)
    assert collected_until(number(2.0), number(3)).numpy().tolist() == [0.0, 2.0, 4.0]
    both = tf.function(
        lambda x, n: tf.while_loop(
            lambda i, v: i < n,
            lambda i, v: (i + 1, tf.concat([v, [x]], 0)),
            (number(0), tf.zeros([0])),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )[1]
    )
    assert both(number(2.0), number(3)).numpy().tolist() == [2.0] * 3


changing = tf.Variable(0)


@tf.function
def printing(x):
    tf.print("first", x, output_stream=sys.stdout)
    if x > 1:
        tf.print("large", output_stream=sys.stdout)
    else:
        tf.print("small", output_stream=sys.stdout)
    for i in tf.range(2):
        changing.assign_add(i + 1)
        tf.print("loop", i, changing, output_stream=sys.stdout)
    tf.print("last", output_stream=sys.stdout)
    return x


def test_what_is_printed_comes_in_the_order_of_the_program(capsys):
    for x in (2.0, 0.5):
        changing.assign(0)
        printing(number(x))
        size = "large" if x > 1 else "small"
        lines = [f"first {x:g}", size, "loop 0 1", "loop 1 3", "last"]
        assert capsys.readouterr().out.splitlines() == lines


def test_a_check_that_fails_in_a_function_raises_as_outside(capfd):
    @tf.function
    def checked(x):
        tf.print("before", output_stream=sys.stdout)
        tf.debugging.assert_positive(x, message="not so")
        tf.print("after", output_stream=sys.stdout)
        changing.assign(7)
        return x

    changing.assign(0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not so"):
        checked(number(-1.0))
    assert capfd.readouterr().out == "before\n"
    assert float(checked(number(1.0))) == 1.0
    assert capfd.readouterr().out == "before\nafter\n"
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(lambda x: tf.debugging.Assert(x > 0, [x]))(number(-1))


def test_the_names_of_a_module_are_those_of_where_it_was_made():
    class Inner(tf.Module):
        @tf.Module.with_name_scope
        def __call__(self):
            return tf.Variable(1.0, name="v").name

    class Outer(tf.Module):
        def __init__(self):
            super().__init__()
            self.before = Inner()
            with self.name_scope:
                self.within = Inner()

        @tf.Module.with_name_scope
        def __call__(self):
            return self.before(), self.within()

    outer = Outer()
    assert outer.name_scope.name == "outer/"
    assert outer() == ("inner/v:0", "outer/inner/v:0")


def test_numbers_of_numpy_are_one_trace():
    identity = tf.function(lambda x: x)
    assert traces(identity, ((np.float32(3.0),), {}), ((number(1.0),), {})) == [1, 1]


@pytest.mark.parametrize(
    "change, given",
    [
        (lambda x: x.append(x[0] * 2.0), [tf.constant(1.0)]),
        (lambda x: x.pop(), [tf.constant(1.0), tf.constant(2.0)]),
        (lambda x: x.update(b=x["a"]), {"a": tf.constant(1.0)}),
        (lambda x: x.update(a=x["a"] * 2.0), {"a": tf.constant(1.0)}),
        (lambda x: x[0]["a"].append(1.0), ({"a": [tf.constant(1.0)]},)),
    ],
)
def test_arguments_that_a_function_modifies_are_refused(change, given):
    before = repr(given)
    with pytest.raises(ValueError, match="should not modify its Python input arguments"):
        tf.function(change)(given)
    assert repr(given) == before
    tf.function(lambda x: change(copy.deepcopy(x)))(given)  # a copy may be modified


def test_functions_in_control_dependencies_run():
    ran = []
    with tf.control_dependencies([tf.constant(1), lambda: ran.append(1)]):
        assert ran == [1]


def test_dicts_keep_the_order_of_their_keys_in_functions_and_loops():
    first = tf.function(lambda d: next(iter(d.values())))
    given = {"z": number(1.0), "a": {"y": number(2.0), "b": number(3.0)}}
    assert float(first(given)) == 1.0
    assert float(first({"a": given["a"], "z": number(4.0)})) == 4.0  # by the order of the trace
    assert first.experimental_get_tracing_count() == 1
    keys = tf.function(lambda d, **others: {"q": d["a"], **d, "others": others})
    out = keys(given, z=number(1), a=number(2))
    assert [*out] == ["q", "z", "a", "others"] and [*out["q"]] == ["y", "b"]
    assert [*out["others"]] == ["a", "z"]  # TensorFlow sorts these
    assert [*keys.get_concrete_function(given).structured_outputs] == [*out]

    pair = {"z": number([1.0]), "a": number([2.0])}
    for each in (lambda f: f(), lambda f: tf.function(f)()):
        value = each(
            lambda: tf.map_fn(lambda d: [*d.values()][0], pair, fn_output_signature="float32")
        )
        assert value.numpy().tolist() == [1.0]
        value = each(lambda: tf.vectorized_map(lambda d: [*d.values()][0], pair))
        assert value.numpy().tolist() == [1.0]
        value = each(lambda: tf.scan(lambda c, d: c + [*d.values()][0], pair, number(0.0)))
        assert value.numpy().tolist() == [1.0]

    @tf.function
    def loop(d):
        for _ in tf.range(2):
            d = {key: value * 2.0 for key, value in d.items()}
        return list(d.values())

    assert [x.numpy().tolist() for x in loop(pair)] == [[4.0], [8.0]]


def test_arguments_conform_to_the_structure_of_an_input_signature():
    scalar = tf.TensorSpec([], tf.float32)
    total = tf.function(
        lambda d: d["a"] + d["b"][0][0], input_signature=[{"a": scalar, "b": ([scalar],)}]
    )
    assert float(total({"b": ([2.0],), "a": 1})) == 3.0
    wrong = [
        *({"a": 1.0}, {"a": 1.0, "b": ([2.0],), "c": 3.0}, {"a": 1.0, "b": [[2.0]]}),
        *({"a": 1.0, "b": ((2.0,),)}, {"a": 1.0, "b": ([2.0, 3.0],)}, {"a": None, "b": ([2.0],)}),
    ]
    for given in wrong:
        with pytest.raises(TypeError, match="does not fit"):
            total(given)
    point = collections.namedtuple("point", "x y")
    of_point = tf.function(lambda p: p.x - p.y, input_signature=[point(scalar, scalar)])
    assert float(of_point(point(3.0, 2))) == 1.0
    with pytest.raises(TypeError, match="does not fit"):
        of_point((3.0, 2.0))


def test_arguments_beyond_an_input_signature_have_their_defaults():
    scalar = tf.TensorSpec([], tf.float32)

    @tf.function(input_signature=[scalar])
    def scaled(x, by=3.0, *, training=None):
        return x * by

    assert float(scaled(2.0)) == float(scaled(2.0, 3.0)) == float(scaled(2.0, by=3.0)) == 6.0
    for args, kwargs in [((2.0, 4.0), {}), ((2.0,), {"by": 4.0}), ((2.0,), {"training": True})]:
        with pytest.raises(TypeError, match="defaults"):
            scaled(*args, **kwargs)
    for more in ((1.0, 2.0), (1.0, 2.0, 3.0)):
        with pytest.raises(TypeError, match="defaults"):
            tf.function(lambda *xs: xs, input_signature=[scalar])(*more)
    for signature in (scalar, [1], [None], "ab", {"x": scalar}, [tf.float32]):
        with pytest.raises(TypeError, match="list of specs"):
            tf.function(lambda x: x, input_signature=signature)
    with pytest.raises(TypeError, match="must have a default"):
        tf.function(lambda x, *, k: x, input_signature=[scalar])


def test_input_signatures_of_sparse_and_ragged_tensors():
    sparse = tf.sparse.from_dense([[0, 1], [2, 0]])
    for shape in ([None, None], [2, 2], None):
        spec = tf.SparseTensorSpec(shape, tf.int32)
        dense = tf.function(tf.sparse.to_dense, input_signature=[spec])
        assert dense(sparse).numpy().tolist() == [[0, 1], [2, 0]]
        with pytest.raises(TypeError, match="does not fit"):
            dense([[0, 1], [2, 0]])
    spec = tf.RaggedTensorSpec(None, tf.int32, 1)
    same = tf.function(lambda x: x, input_signature=[spec])
    assert same(tf.ragged.constant([[1], [2, 3]])).to_list() == [[1], [2, 3]]
    for wrong in ([[1], [2]], tf.constant([[1]]), tf.ragged.constant([[1.0]])):
        with pytest.raises(TypeError, match="does not fit"):
            same(wrong)


def test_a_function_has_one_gradient_for_all_its_results():
    """It is zero for what only other results depend on, as in TensorFlow."""
    x, y, v, w = (tf.Variable(n) for n in (1.0, 2.0, 3.0, 4.0))
    function = tf.function(lambda: (x * 2.0, y * v, tf.constant(1.0), tf.cast(w, tf.int32)))
    with tf.GradientTape(persistent=True) as tape:
        double, product, one, _ = function()
    for result, expected in ((double, [2, 0, 0]), (product, [0, 3, 2]), (one, [0, 0, 0])):
        *found, none = tape.gradient(result, [x, y, v, w])
        assert none is None and [float(g) for g in found] == expected


def test_a_function_within_a_function_has_one_gradient_for_all_its_results():
    v = tf.Variable(3.0)
    several = tf.function(lambda x, y: (x * x, [y * v], tf.constant(1.0), tf.floor(x)))
    same = tf.function(lambda x: {"same": x})

    @tf.function
    def gradients(x, y, z, by_tape):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, y])
            results = tf.nest.flatten(several(x, y))
            other = same(z)["same"]
        gradient = tape.gradient if by_tape else tf.gradients
        assert gradient(results, z) is None if by_tape else gradient(results, z) == [None]
        assert not by_tape or tape.gradient(other, z) is None  # it is a result, and not followed
        return [gradient(result, [x, y, v]) for result in results]

    for by_tape in (True, False):
        found = gradients(number(1.0), number(2.0), number(4.0), by_tape)
        values = [[float(g) for g in each] for each in found]
        assert values == [[2, 0, 0], [0, 3, 2], [0, 0, 0], [0, 0, 0]]


def test_a_branch_on_a_tape_has_one_gradient_for_all_its_results():
    """It is none for what no result of a branch depends on, as in TensorFlow."""

    @tf.function
    def gradients(x, y, z):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, y, z])
            one, two, three = tf.cond(
                x > 0.0,
                lambda: (x * x, y * 1.0, tf.round(z)),
                lambda: (x * 2.0, y * 2.0, tf.stop_gradient(z)),
            )
            rounded = tf.cond(x > 0.0, lambda: 1.0, lambda: tf.round(x))
        assert tape.gradient([one, two, three], z) is None and tape.gradient(rounded, x) is None
        return [tape.gradient(result, [x, y]) for result in (one, two, three)]

    found = gradients(*(number(n) for n in (3.0, 4.0, 5.0)))
    assert [[float(g) for g in each] for each in found] == [[6, 0], [0, 1], [0, 0]]


def test_gradients_of_tensors_that_a_function_only_returns():
    x, y = number(1.0), number([2.0, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        one, (two,) = tf.function(lambda: (x, [y]))()
    assert [g.numpy().tolist() for g in tape.gradient(one, [x, y])] == [1.0, [0.0, 0.0]]
    assert [g.numpy().tolist() for g in tape.gradient(two, [x, y])] == [0.0, [1.0, 1.0]]


def test_no_gradient_passes_through_assignments_in_a_function():
    v, state = tf.Variable(1.0), tf.Variable(1.0, trainable=False)

    @tf.function
    def steps(x):
        for _ in range(2):
            v.assign(v * x)
            state.assign(state + 3.0 * x)
        return v * 5.0, state * 7.0

    with tf.GradientTape(persistent=True) as tape:
        x = number(2.0)
        tape.watch([x, state])
        of_v, of_state = steps(x)
    assert [float(of_v), float(of_state)] == [20.0, 91.0]
    assert tape.gradient(of_v, x) is None and tape.gradient(of_state, x) is None
    assert [float(g) for g in tape.gradient(of_state, [v, state])] == [0.0, 7.0]


def test_no_gradient_passes_through_an_assigned_value_of_unknown_size():
    v = tf.Variable([1.0, 2.0])

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def assigned(x):
        first = v.assign(x * 2.0)
        return first * x + v.assign_add(x)

    x = tf.constant([0.5, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = assigned(x)
    assert [g.numpy().tolist() for g in tape.gradient(y, [x, v])] == [[1.0, 4.0], [1.5, 3.0]]
    assert (y.numpy().tolist(), v.numpy().tolist()) == ([2.0, 14.0], [1.5, 6.0])


def test_no_second_derivative_passes_through_assignments_in_a_function():
    v = tf.Variable(1.0)

    @tf.function
    def assigned(x):
        v.assign(x * x * x)
        return v * v * x

    x = number(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = assigned(x)
        slopes = inner.gradient(y, [x, v])
    assert [float(g) for g in slopes] == [64.0, 32.0]  # v * v and 2 * v * x
    assert [float(g) for g in outer.gradient(slopes, [x, v])] == [16.0, 20.0]


def test_no_second_derivative_passes_through_assignments_of_a_mapped_function():
    v = tf.Variable(1.0)

    def assigned(x):
        with tf.GradientTape() as inner:
            loss = (v - x) ** 2
        v.assign_sub(0.1 * inner.gradient(loss, v))
        return v * x

    @tf.function
    def mapped(x):
        return tf.reduce_sum(tf.map_fn(assigned, tf.stack([x, 2.0 * x])))

    x = number(0.5)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        slopes = tape.gradient(mapped(x), [x, v])
    assert [float(g) for g in slopes] == pytest.approx([2.74, 1.5])
    assert [float(tape.gradient(slope, z)) for slope, z in zip(slopes, (v, x))] == [3.0, 3.0]


def test_results_of_traced_branches_depend_on_what_one_of_the_branches_differentiates():
    @tf.function
    def chosen(x, y, z):
        if tf.reduce_sum(y) > 0.0:
            return tf.floor(x) + z
        return tf.cast(tf.cast(x, tf.int32), tf.float32)

    x, y, z = (number(n) for n in (1.5, 2.0, 3.0))
    with tf.GradientTape() as tape:
        tape.watch([x, y, z])
        out = chosen(x, y, z)
    *none, found = tape.gradient(out, [x, y, z])
    assert none == [None, None] and float(found) == 1.0


def test_a_dict_with_defaults_keeps_the_order_of_its_keys():
    given = collections.defaultdict(int, {"z": tf.constant(1.0), "b": tf.constant(2.0)})
    first, made = tf.function(lambda d: (list(d.values())[0], d))(given)
    assert (first.numpy(), list(made)) == (1.0, ["z", "b"])
