"""Python's control flow over tensors in `tf.function`. The values are TensorFlow 2.21's, but for
the programs that it refuses, where they are Python's."""

import contextlib
import functools

import numpy as np
import pytest

import keraslike
from keraslike import tf


def numbers(result):
    if isinstance(result, (tuple, list)):
        return [numbers(r) for r in result]
    return result if result is None else np.asarray(result).tolist()


@tf.function
def absolute(x):
    if x > 0:
        y = x
    else:
        y = -x
    return y


@tf.function
def early(x):
    if x > 10:
        return x
    elif x > 5:
        return x * 2
    for i in tf.range(3):
        x += tf.cast(i, tf.float32)
        if x > 4:
            return x * 100
    return x


@tf.function
def sum_of_squares(n):
    s = 0
    for i in tf.range(n + 1):
        s += i**2
    return s


@tf.function
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@tf.function
def continued_and_broken_off(xs):
    total = 0.0
    for x in xs:
        if x < 0:
            continue
        if x > 10:
            break
        total += x
    return total


@tf.function
def doubled_to_100(x):
    i = tf.constant(0)
    while True:
        x = x * 2
        i += 1
        if x > 100:
            break
    return x, i


@tf.function
def ternary(x):
    return x if x > 0 else -x


@tf.function
def logic(x, y):
    if x > 0 and not y > 0 or x > 5:
        return tf.constant(1)
    else:
        return tf.constant(0)


def away_from_zero(x):
    if x > 0:
        return x + 1
    return x - 1


@tf.function
def calls(x):
    return away_from_zero(x) + tf.map_fn(away_from_zero, tf.stack([x, -x]))


@tf.function
def gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in tf.range(3):
            if y > 4:
                y = y * x
            else:
                y = y + x
    return tape.gradient(y, x)


@tf.function
def over_a_list(x, steps):
    for step in steps:
        x = x + step
        if x > 2:
            break
    return x


@tf.function
def in_one_another(n, m):
    t = 0
    for i in tf.range(n):
        for j in tf.range(m):
            if (i + j) % 2 == 0:
                t += i * j
    return t


@tf.function
def written(x):
    array = tf.TensorArray(tf.float32, size=3)
    for i in tf.range(3):
        array = array.write(i, x * tf.cast(i, tf.float32))
    return array.stack()


@tf.function
def pairs(x):
    if x > 0:
        return x, x * 2
    return -x, x * 3


@tf.function
def entries(x):
    found = {"a": x}
    if x > 0:
        found["b"] = x * 2
    else:
        found["b"] = x * 3
    return found["b"]


@tf.function
def nothing(x):
    if x > 0:
        return None
    return None


@tf.function
def casts(x):
    return int(x) + 1, float(x)


@tf.function
def ranges(a, b):
    t = a
    for i in range(a, b, 2):
        t += i
    for i in tf.range(b, -3, -2):
        t += 100 * i
    return t


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def of_any_length(xs):
    t = 0.0
    for x in xs:
        t += x
    return t


@tf.function
def square_root(x):
    y = x / 2
    for _ in tf.range(20):
        tf.autograph.experimental.set_loop_options(maximum_iterations=3)
        y = (y + x / y) / 2
    return y


@tf.function
def only_in_the_loop(n):
    for i in tf.range(n):
        last = i * 10
    return last


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (absolute, [-3.0], 3.0),
        (absolute, [2.0], 2.0),
        (early, [12.0], 12.0),
        (early, [6.0], 12.0),
        (early, [3.5], 450.0),
        (early, [0.0], 3.0),
        (sum_of_squares, [5], 55),
        (collatz, [27], 111),
        (continued_and_broken_off, [[1.0, -2.0, 3.0, 20.0, 5.0]], 4.0),
        (doubled_to_100, [3.0], [192.0, 6]),
        (ternary, [-1.0], 1.0),
        (logic, [1.0, 1.0], 0),
        (logic, [1.0, -1.0], 1),
        (logic, [6.0, 6.0], 1),
        (calls, [1.0], [4.0, 0.0]),
        (gradient, [1.0], 4.0),
        (gradient, [3.0], 54.0),
        (in_one_another, [5, 4], 28),
        (written, [2.0], [0.0, 2.0, 4.0]),
        (pairs, [-1.0], [1.0, -3.0]),
        (entries, [-1.0], -3.0),
        (nothing, [1.0], None),
        (casts, [2.5], [3, 2.5]),
        (ranges, [1, 8], 17 + 100 * (8 + 6 + 4 + 2 + 0 - 2)),
        (of_any_length, [[1.0, 2.0]], 3.0),
        (of_any_length, [[1.0, 2.0, 3.0]], 6.0),
        (square_root, [2.0], 1.4142156839370728),
        (only_in_the_loop, [4], 30),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_values(function, args, expected):
    result = numbers(function(*map(tf.constant, args)))
    assert result == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_python_loops_are_left_by_a_tensor():
    assert float(over_a_list(tf.constant(1.0), [1, 2, 3])) == 4.0
    assert float(over_a_list(tf.constant(-9.0), [1, 2, 3])) == -3.0


def test_variables_in_branches_and_loops():
    v = tf.Variable(0.0)

    @tf.function
    def add_up(n):
        for i in tf.range(n):
            v.assign_add(tf.cast(i, tf.float32))
            if v > 5:
                v.assign(v * 10)
        if n > 3:
            v.assign(v * 10)
        return v

    assert float(add_up(tf.constant(4))) == 600.0 and float(v) == 600.0
    v.assign(1.0)
    assert float(add_up(tf.constant(2))) == 2.0 and float(v) == 2.0


def largest(n):
    found = None
    for i in tf.range(n):
        found = i - 10 if found is None else tf.maximum(found, i - 10)
    return found


def twice_the_last(n):
    for i in tf.range(n):
        found = 2 * i
    return found


@pytest.mark.parametrize(("function", "expected"), [(largest, 0), (twice_the_last, 4)])
def test_names_that_only_a_loop_sets_are_zeros_before_it(function, expected):
    function = tf.function(function)
    assert int(function(tf.constant(3))) == expected
    with pytest.raises(tf.errors.InvalidArgumentError, match="must iterate at least once"):
        function(tf.constant(0))


@tf.function
def last_of(values):
    for value in values:
        last = value
    return last


@tf.function
def digits(first, then):
    number = 0
    for i in first:
        number = number * 10 + i
    for i in then:
        number = number * 10 + i
    return number


def test_loops_over_nothing_and_over_iterators():
    data = tf.data.Dataset.from_tensor_slices(tf.constant([3, 4]))
    nothing = tf.constant([], tf.int32)
    assert int(digits(nothing, tf.constant([1, 2]))) == 12
    assert int(digits(nothing, nothing)) == 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="must iterate at least once"):
        last_of(nothing)
    # The trace stops at the iterator of a data set, after it has advanced that of Python.
    assert int(digits(iter([1, 2]), iter(data))) == 1234


def test_a_branch_or_a_loop_makes_a_variable_a_tensor():
    v, w = tf.Variable(2.0), tf.Variable(1.0)

    @tf.function
    def power(n):
        with tf.GradientTape() as tape:
            y = w
            if n > 1:
                y = v
            for _ in tf.range(n):
                y = y * v
        return y, tape.gradient(y, v)

    assert numbers(power(tf.constant(3))) == [16.0, 32.0]
    assert numbers(power(tf.constant(1))) == [2.0, 1.0]


def by_tensors(count):
    i = tf.constant(0)
    while i < 100:
        count.assign_add(1)
        i += 1
    return i


def by_numbers(count):
    seen = []
    while len(seen) < 100:
        count.assign_add(1)
        seen.append(count)
    return len(seen)


def limited(count):
    i = tf.constant(0)
    while i < 100:
        tf.autograph.experimental.set_loop_options(maximum_iterations=10)
        i += 1
    count.assign(10 * i)
    return 10 * i


def while_loop(count):
    return tf.while_loop(lambda i: i < 100, lambda i: [count.assign_add(1)], [tf.constant(0)])[0]


@pytest.mark.parametrize("loop", [by_tensors, by_numbers, limited, while_loop])
def test_each_step_of_a_loop_with_a_known_condition_changes_a_variable_once(loop):
    count = tf.Variable(0)
    assert int(tf.function(lambda: loop(count))()) == int(count) == 100


@pytest.mark.parametrize("start", [lambda n: tf.constant(0), lambda n: 0 * n])  # known, traced
def test_each_step_of_a_loop_draws_its_own_number(start):
    def drawn(n):
        i, out = start(n), tf.TensorArray(tf.float32, 4)
        while i < 4:
            out = out.write(i, tf.random.uniform([], seed=5))
            i += 1
        return out.stack()

    tf.random.set_seed(1)
    found = sorted(tf.function(drawn)(tf.constant(1)).numpy())
    np.testing.assert_allclose(found, [0.19561, 0.28997, 0.44306, 0.93946], atol=1e-5)


def draws_around_a_branch(n):
    first = tf.random.uniform([])
    inner = tf.random.uniform([]) if n > 0 else tf.zeros([])
    return tf.stack([first, inner, tf.random.uniform([])])


def seeded_draws_around_a_branch(n):
    first = tf.random.uniform([], seed=7)
    inner = tf.random.uniform([], seed=7) if n > 0 else tf.zeros([])
    return tf.stack([first, inner])


def draws_in_a_loop(n):
    i, total = 0 * n, tf.zeros([])
    while i < 3:
        total += tf.random.uniform([])
        i += 1
    return total


@pytest.mark.parametrize(
    "function, expected",
    [
        (draws_around_a_branch, [[0.8127, 0.8127, 0.05554], [0.52729, 0.52729, 0.83883]]),
        (seeded_draws_around_a_branch, [[0.78785, 0.78785], [0.88994, 0.88994]]),
        (draws_in_a_loop, [2.18893, 2.25535]),
    ],
)
def test_branches_and_loops_draw_tensorflows_numbers(function, expected):
    tf.random.set_seed(1)
    traced = tf.function(function)
    found = [traced(tf.constant(1)).numpy() for _ in range(2)]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_methods_and_training_steps():
    class Model:
        def __init__(self):
            self.weight = tf.Variable(2.0)
            self.optimizer = keraslike.optimizers.SGD(0.1)

        @tf.function
        def power(self, x):
            while x < 50:
                x = x * self.weight
            return x

        @tf.function
        def train(self, xs):
            loss = 0.0
            for x in xs:
                with tf.GradientTape() as tape:
                    loss = (self.weight * x - 1.0) ** 2
                gradient = tape.gradient(loss, self.weight)
                if tf.abs(gradient) > 1.0:
                    gradient = tf.sign(gradient)
                self.optimizer.apply_gradients([(gradient, self.weight)])
            return loss

    model = Model()
    assert float(model.power(tf.constant(3.0))) == 96.0
    weight = 2.0
    xs = [1.0, 0.5, -0.2]
    for x in xs:
        loss = (weight * x - 1) ** 2
        gradient = 2 * (weight * x - 1) * x
        weight -= 0.1 * (np.sign(gradient) if abs(gradient) > 1 else gradient)
    assert float(model.train(tf.constant(xs))) == pytest.approx(loss, rel=1e-5)
    assert float(model.weight) == pytest.approx(weight, rel=1e-5)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("x", [1.0, -1.0])
def test_what_both_branches_must_give(x):
    @tf.function
    def unset(x):
        if x > 0:
            z = x
        return z

    @tf.function
    def of_two_dtypes(x):
        if x > 0:
            z = x
        else:
            z = 0
        return z

    @tf.function
    def no_tensor(x):
        z = "a"
        if x > 0:
            z = "b"
        return z

    @tf.function
    def growing(x):
        t = 0
        for _ in tf.range(3):
            t += x
        return t

    x = tf.constant(x)
    with pytest.raises(ValueError, match="'z' must also be set in the else branch"):
        unset(x)
    with pytest.raises(TypeError, match="'z' int32.*float32") as error:
        of_two_dtypes(x)
    assert "of_two_dtypes" in error.value.__notes__[0] and "if x > 0" in error.value.__notes__[0]
    assert no_tensor(x).numpy() == (b"b" if x > 0 else b"a")  # by Python: XLA has no text
    with pytest.raises(TypeError, match="expected to be a int32 tensor but is a float"):
        growing(x)


def test_what_is_not_rewritten():
    @tf.autograph.experimental.do_not_convert
    def kept(x):
        return x if x > 0 else -x

    with pytest.raises(TypeError, match="truth value"):
        tf.function(lambda x: kept(x))(tf.constant(1.0))
    with pytest.raises(TypeError, match="truth value"):
        tf.function(kept, autograph=False)(tf.constant(1.0))
    namespace = {}
    exec("def unseen(x):\n    return x if x > 0 else -x", namespace)
    with pytest.raises(TypeError, match="source"):
        tf.function(namespace["unseen"])(tf.constant(1.0))
    code = tf.autograph.to_code(absolute.python_function)
    assert "if_stmt" in code and "return" in code
    compile(code, "rewritten", "exec")  # with its indentation
    with pytest.raises(ValueError, match="source"):
        tf.autograph.to_code(namespace["unseen"])


def test_superclasses_closures_and_defaults():
    offset = 10.0

    class Base:
        def shift(self, x):
            return x + offset if x > 0 else x

    class Derived(Base):
        def shift(self, x, *, times=2):
            if x > 5:
                return super().shift(x) * times
            return super().shift(x)

    shifted = tf.function(Derived().shift)
    assert [float(shifted(tf.constant(x))) for x in (6.0, 1.0, -1.0)] == [32.0, 11.0, -1.0]


def test_a_tape_in_a_loop_watches_what_the_loop_changes():
    @tf.function
    def climb(x, steps):
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = x * x
            x = x + 0.1 * tape.gradient(y, x)
            x.set_shape([2])
        return x

    x = climb(tf.constant([1.0, 2.0]), tf.constant(3))
    np.testing.assert_allclose(x, [1.728, 3.456], rtol=1e-6)


@tf.function
def next_one(elements):
    return next(elements)


@tf.function
def last_range(count):
    i = 0
    while i < count:
        made = tf.range(i)
        i += 1
    return made


@tf.function
def doubled(times):
    found = tf.sparse.eye(1)
    for _ in times:
        tf.autograph.experimental.set_loop_options(shape_invariants=[(found, tf.TensorShape(None))])
        found = tf.sparse.concat(0, [found, found])
    return tf.sparse.to_dense(found)


def test_the_end_of_a_data_set_in_a_function_is_out_of_range():
    elements = iter(tf.data.Dataset.range(2))
    assert [int(next_one(elements)) for _ in range(2)] == [0, 1]
    for _ in range(2):
        with pytest.raises(tf.errors.OutOfRangeError):
            next_one(elements)


def test_loops_whose_ranges_and_sparse_tensors_change_their_sizes():
    assert last_range(tf.constant(3)).numpy().tolist() == [0, 1]
    assert doubled(tf.range(2)).numpy().tolist() == [[1.0]] * 4
    options = tf.autograph.experimental.Feature.all_but(["LISTS"])
    same = tf.function(lambda x: x, experimental_autograph_options=options)
    assert int(same(tf.constant(2))) == 2


@tf.function
def caught(x):
    try:
        raise ValueError(2.0)
    except (KeyError, ValueError) as error:
        factor = error.args[0]
    if x > 0:
        x = x * factor
    while x < 10:
        try:
            x = x + 1
        except ValueError as error:
            x = x - float(str(error))
    return x


def test_functions_that_name_the_exceptions_they_catch():
    assert float(caught(tf.constant(3.0))) == 10.0
    assert float(caught(tf.constant(7.0))) == 14.0
    assert "except (KeyError, ValueError) as error:" in tf.autograph.to_code(caught.python_function)


def magnitude(x):
    if x > 0:
        return x
    return -x


@contextlib.contextmanager
def nothing():
    yield


class Magnitudes:
    @classmethod
    def of_class(cls, x):
        return magnitude(x)

    @functools.cached_property
    def kept(self):
        return functools.singledispatch(magnitude)


def of_object(x):
    return Magnitudes().kept(x)


@pytest.mark.parametrize(
    "function",
    [
        functools.singledispatch(magnitude),
        nothing()(magnitude),
        functools.partial(functools.singledispatch(magnitude)),
        Magnitudes.of_class,
        of_object,
    ],
)
def test_functions_decorated_by_the_standard_library_are_converted(function):
    assert float(tf.function(lambda x: function(x))(tf.constant(-2.0))) == 2.0
