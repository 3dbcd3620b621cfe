"""When a data set's functions read what is around them: values are those of TensorFlow 2.21, which
traces a function when the data set is made."""

# ruff: noqa: B023 (functions that do not bind a loop's variable are what is tested)

import pytest

from keraslike import tf

D = tf.data.Dataset
scale = 1
number = 0


def numbers(dataset):
    return [int(x) for x in dataset]


def label(text, index):
    return text, tf.cast(index, tf.int64)


def test_a_loop_makes_data_sets_of_its_variable():
    texts, mapped, opened, nested = [], [], [], []
    for k in range(3):
        texts.append(D.from_tensor_slices(["a", "b"]).map(lambda x: label(x, k)))
        mapped.append(D.range(5).batch(3).map(lambda x: x + k).unbatch())
        opened.append(D.range(2).flat_map(lambda x: D.range(k)).filter(lambda x: x < k))
        nested.append(
            D.range(2).map(
                lambda x: tf.cond(x > 0, lambda: x + k, lambda: x) + sum([k for _ in "ab"])
            )
        )
    assert [[int(n) for _, n in each] for each in texts] == [[0, 0], [1, 1], [2, 2]]
    assert list(map(numbers, mapped)) == [[k, k + 1, k + 2, k + 3, k + 4] for k in range(3)]
    assert list(map(numbers, opened)) == [[], [0, 0], [0, 1, 0, 1]]
    assert list(map(numbers, nested)) == [[0, 1], [2, 4], [4, 7]]


def test_a_loop_of_a_module_makes_data_sets_of_its_variable():
    global number
    made = []
    for number in range(3):
        made.append(D.from_tensor_slices(["a"]).map(lambda x: label(x, number)))
    assert [[int(n) for _, n in each] for each in made] == [[0], [1], [2]]


def test_what_python_runs_in_each_call_has_the_values_of_that_time():
    global scale
    own = scale = 1
    by_python = [
        D.range(2).map(lambda x: tf.py_function(lambda v: v * own, [x], tf.int64)),
        D.range(2).map(lambda x: tf.py_function(lambda v: v * scale, [x], tf.int64)),
    ]
    own = scale = 5
    assert list(map(numbers, by_python)) == [[0, 5], [0, 5]]
    calls, state = 0, tf.Variable(1, dtype=tf.int64)

    def counted(x):
        nonlocal calls
        calls += 1
        return x + state

    dataset = D.range(2).map(counted)
    state.assign(5)
    assert numbers(dataset) == [5, 6] and calls


def test_what_a_traced_function_reads_is_of_the_time_when_the_data_set_is_made():
    held, several = {"a": 1}, [1]
    dataset = D.range(2).map(lambda x: x + held["a"] + len(several))
    held["a"] = 7
    several.append(1)
    assert numbers(dataset) == [2, 3]


def wrong(*_):
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: D.range(3).map(wrong), KeyError),
        (lambda: D.range(3).map(wrong, num_parallel_calls=2), KeyError),
        (lambda: D.range(4).batch(2, drop_remainder=True).map(lambda x: x).map(wrong), KeyError),
        (lambda: D.range(3).filter(wrong), KeyError),
        (lambda: D.range(3).take_while(wrong), KeyError),
        (lambda: D.range(3).scan(tf.constant(0), wrong), KeyError),
        (lambda: D.range(3).rejection_resample(wrong, [0.5, 0.5]), KeyError),
        (lambda: D.range(3).map(lambda x, y: x), TypeError),
        (lambda: D.range(3).map(lambda x: tf.matmul(x, x)), Exception),
        (lambda: D.from_tensors([1.0, 2.0]).map(lambda x: tf.reshape(x, [3])), Exception),
        (lambda: D.range(3).filter(lambda x: x), ValueError),
        (lambda: D.range(3).filter(lambda x: tf.stack([x > 0, x > 1])), ValueError),
        (lambda: D.range(3).take_while(lambda x: x), ValueError),
        (lambda: D.sample_from_datasets([D.range(3), D.from_tensors(1.0)]), TypeError),
        (lambda: D.range(3).enumerate("a"), TypeError),
    ],
)
def test_errors_of_functions_come_when_the_data_set_is_made(make, kind):
    with pytest.raises(kind):
        make()


def test_errors_that_depend_on_values_come_with_the_elements():
    def refuses_zero(x):
        if x == 0:
            raise ValueError("zero")
        return x

    dataset = D.range(3).map(lambda x: tf.debugging.check_numerics(1.0 / tf.cast(x, "float32"), ""))
    assert len(list(dataset.ignore_errors())) == 2
    assert D.range(1, 3).map(refuses_zero).element_spec == tf.TensorSpec([], tf.int64)
