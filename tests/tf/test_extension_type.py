"""`tf.experimental.ExtensionType`: what TensorFlow 2.21 gives for the same programs."""

import typing

import pytest

from keraslike import tf


class Masked(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor
    name: str = "n"

    def total(self):
        return tf.reduce_sum(tf.where(self.mask, self.values, 0.0))

    def __validate__(self):
        self.values.shape.assert_is_compatible_with(self.mask.shape)


def _masked():
    return Masked([1.0, 2.0, 3.0], [True, False, True])


def test_objects_pass_through_functions_tapes_and_data_sets():
    x = _masked()
    double = tf.function(lambda m: Masked(m.values * 2.0, m.mask, m.name))
    with tf.GradientTape() as tape:
        tape.watch(x.values)
        total = double(x).total()
    assert total.numpy() == 8.0 and double(x).name == "n"
    assert tape.gradient(total, x.values).numpy().tolist() == [2.0, 0.0, 2.0]
    assert [type(e) for e in tf.data.Dataset.from_tensors(x)] == [Masked]
    data = tf.data.Dataset.range(3).map(
        lambda i: Masked(tf.fill([2], tf.cast(i, tf.float32)), tf.constant([True, False]))
    )
    assert [e.total().numpy() for e in data] == [0.0, 1.0, 2.0]
    assert [e.values.shape for e in data.batch(2)] == [(2, 2), (1, 2)]
    assert [tuple(t.shape) for t in tf.nest.flatten(x, expand_composites=True)] == [(3,), (3,)]
    assert bool(x == _masked()) and not bool(x == Masked([1.0], [True]))
    assert repr(x).startswith("Masked(values=<tf.Tensor: shape=(3,), dtype=float32")


@pytest.mark.parametrize(
    "attempt, error",
    [
        (lambda: Masked([1.0, 2.0], [True]), ValueError),
        (lambda: Masked([1.0]), TypeError),
        (lambda: Masked([1.0], [True], name=3), TypeError),
        (lambda: Masked([1.0], [True], other=3), TypeError),
        (lambda: setattr(_masked(), "name", "m"), AttributeError),
    ],
)
def test_objects_that_do_not_fit_are_refused(attempt, error):
    with pytest.raises(error):
        attempt()


def test_fields_are_converted_to_their_annotations():
    class Parts(tf.experimental.ExtensionType):
        x: tf.Tensor
        count: int = 3
        several: tuple[tf.Tensor, ...] = ()
        named: typing.Mapping[str, tf.Tensor] = {}
        other: tf.Tensor | None = None
        kind: tf.DType = tf.int32
        ragged: tf.RaggedTensor | None = None

        def __init__(self, x, **named):
            self.x, self.named, self.kind, self.several = x, named, "float32", [1, 2.0]

    class Whole(tf.experimental.ExtensionType):
        parts: Parts
        name: str

    parts = Parts([1], a=1)
    assert (parts.count, parts.other, parts.kind) == (3, None, tf.float32)
    assert [t.numpy() for t in parts.several] == [1, 2.0] and parts.named["a"].numpy() == 1
    traced = tf.function(lambda w: w.parts.x + 1)
    for name in ("a", "a", "b"):
        assert traced(Whole(parts, name)).numpy().tolist() == [2]
    assert traced.experimental_get_tracing_count() == 2


def test_objects_in_loops():
    x = _masked()

    def step(i, m):
        return i + 1, Masked(m.values + 1.0, m.mask)

    assert tf.while_loop(lambda i, m: i < 3, step, [0, x])[1].total() == 10.0
    assert tf.cond(tf.constant(False), lambda: x, lambda: step(0, x)[1]).total() == 6.0
    rows = Masked([[1.0, 2.0], [3.0, 4.0]], [[True, True], [False, True]])
    twice = tf.map_fn(lambda m: Masked(m.values * 2.0, m.mask), rows)
    assert twice.values.numpy().tolist() == [[2.0, 4.0], [6.0, 8.0]]
    sums = tf.map_fn(lambda pair: pair[0].total() + pair[1], (rows, tf.constant([1.0, 2.0])))
    assert sums.numpy().tolist() == [4.0, 6.0]


def test_specs():
    x = _masked()
    spec = tf.type_spec_from_value(x)
    numbers = "TensorSpec(shape=(3,), dtype=tf.float32, name=None)"
    assert repr(spec) == f"Masked.Spec(values={numbers}, mask={spec.mask}, name='n')"
    vector = [tf.TensorSpec([None], dtype) for dtype in (tf.float32, tf.bool)]
    wide = Masked.Spec(*vector, name="n")
    assert spec == tf.type_spec_from_value(x) != wide and spec.value_type is Masked
    total = tf.function(lambda m: m.total(), input_signature=[wide])
    assert (total(x), total(Masked([1.0], [True]))) == (4.0, 1.0)
    with pytest.raises(TypeError, match="does not fit Masked.Spec"):
        total(Masked([[1.0]], [[True]]))
    concrete = tf.function(Masked.total).get_concrete_function(spec)
    assert concrete(x) == 4.0

    class Ranked(tf.experimental.ExtensionType):
        values: tf.Tensor

        class Spec:
            def __init__(self, rank):
                self.values = tf.TensorSpec([None] * rank)

            rank = property(lambda self: len(self.values.shape))

    assert Ranked.Spec(2) == Ranked.Spec(2) and tf.type_spec_from_value(Ranked([1.0])).rank == 1
    first = tf.function(lambda r: r.values[0], input_signature=[Ranked.Spec(1)])
    assert first(Ranked([3.0, 4.0])) == 3.0
