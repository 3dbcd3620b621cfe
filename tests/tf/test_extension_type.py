"""`tf.experimental.ExtensionType`: what TensorFlow 2.21 gives for the same programs."""

import inspect
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


@pytest.mark.parametrize(
    "name, annotation, error",
    [
        ("x", typing.List[int], TypeError),  # noqa: UP006
        ("x", typing.Mapping, TypeError),
        ("x", typing.Mapping[tf.Tensor, int], TypeError),
        ("x", typing.Set[int] | None, TypeError),  # noqa: UP006
        ("x", dict, TypeError),
        ("x", object, TypeError),
        ("Spec", int, ValueError),
        ("is_compatible_with", int, ValueError),
        ("_tf_extension_type_x", int, ValueError),
        ("_type_spec", int, ValueError),
    ],
)
def test_annotations_of_other_kinds_and_reserved_names_are_refused(name, annotation, error):
    with pytest.raises(error, match=name):
        type(Masked)(
            "New", (tf.experimental.ExtensionType,), {"__annotations__": {name: annotation}}
        )


def test_only_classes_of_users_have_objects_and_their_annotations_must_be_known():
    class Broken(tf.experimental.ExtensionType):
        x: "Missing"  # noqa: F821

    with pytest.raises(AssertionError, match="abstract"):
        tf.experimental.ExtensionType()
    with pytest.raises(TypeError, match="x has an annotation .* 'Missing'"):
        Broken(x=3)
    with pytest.raises(ValueError, match="Spec must be a nested class.*12"):
        type(Masked)("New", (tf.experimental.ExtensionType,), {"Spec": 12})


def test_annotations_may_be_text_and_name_classes_of_a_function():
    class Inner(tf.experimental.ExtensionType):
        x: "tf.Tensor"

    class Outer(tf.experimental.ExtensionType):
        inner: "Inner"

    assert Outer(Inner(1)).inner.x.numpy() == 1
    with pytest.raises(TypeError):
        Outer(3)


def test_a_class_without_a_constructor_has_one_that_takes_its_fields():
    class Doubled(tf.experimental.ExtensionType):
        x: tf.Tensor

        def __init__(self, half):
            self.x = half * 2

    class Named(Doubled):
        name: str = "a"

    names = [(p.name, p.default) for p in inspect.signature(Named.__init__).parameters.values()]
    empty = inspect.Parameter.empty
    assert names == [("self", empty), ("x", empty), ("name", "a")]
    assert (Doubled(tf.constant(1)).x.numpy(), Named(tf.constant(1)).x.numpy()) == (2, 1)


def test_specs_are_immutable_and_as_dict_gives_the_fields():
    spec = tf.type_spec_from_value(_masked())
    for change in (lambda: setattr(spec, "name", "m"), lambda: delattr(spec, "name")):
        with pytest.raises(AttributeError, match="immutable: 'name'"):
            change()
    fields = tf.experimental.extension_type.as_dict(_masked())
    assert list(fields) == ["values", "mask", "name"] and fields["name"] == "n"


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


class Values(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor


@pytest.fixture
def dispatched():
    """Applies decorators of `tf.experimental` until the end of a test."""
    known = []

    def apply(decorator, function):
        known.append(decorator(function))
        return known[-1]

    yield apply
    for function in known:
        tf.experimental.unregister_dispatch_for(function)


def _stacked(values: list[Values | tf.Tensor], axis=0):
    given = [x if isinstance(x, Values) else Values(x, tf.ones_like(x, tf.bool)) for x in values]
    stacked = tf.stack([x.values for x in given], axis)
    return Values(stacked, tf.stack([x.mask for x in given], axis))


def test_functions_of_users_types(dispatched):
    dispatched(tf.experimental.dispatch_for_api(tf.stack), _stacked)
    x = Values([1, -2], [True, False])
    found = tf.stack([x, tf.constant([4, 5])], axis=1)
    assert found.values.numpy().tolist() == [[1, 4], [-2, 5]]
    assert found.mask.numpy().tolist() == [[True, True], [False, True]]
    named = tf.experimental.dispatch_for_api(tf.concat, {"values": typing.List[Values]})  # noqa: UP006
    dispatched(named, lambda values, axis, name=None: ("concat", len(values), axis, name))
    assert tf.concat([x, x], axis=1, name="n") == ("concat", 2, 1, "n")
    with pytest.raises(ValueError, match="needs its parameters"):
        tf.experimental.dispatch_for_api(tf.concat)(lambda x: x)
    with pytest.raises(ValueError, match="does not support dispatch"):
        tf.experimental.dispatch_for_api(len)
    with pytest.raises(ValueError, match="a dense tensor is expected"):
        tf.reduce_sum(x)


def test_elementwise_functions_of_users_types(dispatched):
    experimental = tf.experimental
    one = experimental.dispatch_for_unary_elementwise_apis(Values)
    two = experimental.dispatch_for_binary_elementwise_apis(Values, Values)
    dispatched(one, lambda api, x: Values(api(x.values), x.mask))
    dispatched(two, lambda api, x, y: Values(api(x.values, y.values), x.mask & y.mask))
    x = Values([1, -2, -3], [True, False, True])
    y = Values([[4], [5]], [[True], [False]])
    assert tf.abs(x).values.numpy().tolist() == [1, 2, 3]
    assert tf.ones_like(x, dtype=tf.float32).values.numpy().tolist() == [1.0, 1.0, 1.0]
    assert tf.clip_by_value(x, -1, 1).values.numpy().tolist() == [1, -1, -1]
    assert tf.strings.upper(Values(["a"], [True])).values.numpy().tolist() == [b"A"]
    added = tf.function(tf.math.add)(x, y)
    assert added.values.numpy().tolist() == [[5, 2, 1], [6, 3, 2]]
    assert added.mask.numpy().tolist() == [[True, False, True], [False, False, False]]
    with pytest.raises(ValueError, match="already"):
        one(lambda api, x: x)
    with pytest.raises(ValueError, match="a dense tensor is expected"):
        tf.add(x, 1)
    with pytest.raises(ValueError, match="No decorator"):
        experimental.unregister_dispatch_for(len)


class Network(tf.experimental.BatchableExtensionType):
    shape: tf.TensorShape
    work: tf.Tensor

    def __init__(self, work):
        self.work = tf.convert_to_tensor(work)
        self.shape = self.work.shape[:-1]


def test_shapes_in_batches_of_objects():
    batch = Network([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    dataset = tf.data.Dataset.from_tensor_slices(batch)
    assert [network.shape.as_list() for network in dataset] == [[], [], []]
    assert [network.shape.as_list() for network in dataset.batch(2)] == [[2], [1]]
    assert [network.shape.rank for network in dataset.batch(2).unbatch()] == [0, 0, 0]
    doubled = tf.map_fn(lambda network: Network(network.work * 2), batch)
    assert (doubled.shape.as_list(), doubled.work.numpy()[2].tolist()) == ([3], [10.0, 12.0])


class Described(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor

    class Spec:
        def __init__(self, shape, dtype):
            self.values, self.mask = tf.TensorSpec(shape, dtype), tf.TensorSpec(shape, tf.bool)

        shape = property(lambda self: self.values.shape)
        dtype = property(lambda self: self.values.dtype)


def test_objects_from_a_generator():
    def generate():
        for i in range(3):
            yield Described([i, i + 1], [True, False])

    dataset = tf.data.Dataset.from_generator(
        generate, output_signature=Described.Spec([2], tf.int64)
    )
    found = [x.values.numpy().tolist() for x in dataset.batch(2)]
    assert found == [[[0, 1], [1, 2]], [[2, 3]]]
    assert next(iter(dataset.batch(3).unbatch())).values.dtype == tf.int64


def test_conjugate_gradients():
    linalg = tf.linalg
    known = {"is_self_adjoint": True, "is_positive_definite": True}
    operator = linalg.LinearOperatorFullMatrix([[4.0, 1.0], [1.0, 3.0]], **known)
    state = linalg.experimental.conjugate_gradient(operator, tf.constant([1.0, 2.0]), max_iter=1)
    assert (int(state.i), state.x.numpy().tolist()) == (1, [0.25, 0.5])
    assert (state.p.numpy().tolist(), float(state.gamma)) == ([-0.4375, 0.375], 0.3125)
    state = linalg.experimental.conjugate_gradient(operator, tf.constant([1.0, 2.0]))
    assert int(state.i) == 2 and abs(state.x.numpy()[0] - 0.09090909) < 1e-6
    with pytest.raises(ValueError, match="is_self_adjoint"):
        linalg.experimental.conjugate_gradient(
            linalg.LinearOperatorFullMatrix([[4.0]]), tf.constant([1.0])
        )


def test_mappings_in_fields_are_immutable():
    class Player(tf.experimental.ExtensionType):
        attributes: typing.Mapping[str, tf.Tensor]
        sizes: typing.Mapping[str, typing.Mapping[str, int]] = {}

    given = {"b": 1, "a": [2.0]}
    player = Player(given, {"x": {"y": 1}})
    given["c"] = 3
    assert list(player.attributes) == ["b", "a"] and player.sizes == {"x": {"y": 1}}
    assert repr(player.sizes) == "ImmutableDict({'x': ImmutableDict({'y': 1})})"
    with pytest.raises(TypeError):
        player.attributes["c"] = 1  # type: ignore[index]
    assert not hasattr(player.attributes, "update")
    spec = tf.type_spec_from_value(player)
    assert repr(spec.attributes["b"]) == "TensorSpec(shape=(), dtype=tf.int32, name=None)"
    assert repr(spec).endswith("sizes={'x': {'y': 1}})") and "Immutable" in repr(spec.attributes)

    @tf.function
    def doubled(player):
        more = {name: value * 2 for name, value in player.attributes.items()}
        return Player(more, player.sizes), player.attributes

    made, plain = doubled(player)
    assert made.attributes["a"].numpy().tolist() == [4] and made.sizes == player.sizes
    assert type(made.attributes) is type(plain) is type(player.attributes)
    doubled(Player({"b": 5, "a": [7.0]}, {"x": {"y": 1}}))
    assert doubled.experimental_get_tracing_count() == 1
    doubled(Player({"b": 5, "c": [7.0]}, {"x": {"y": 1}}))
    assert doubled.experimental_get_tracing_count() == 2
    assert [x.numpy().tolist() for x in tf.nest.flatten(player.attributes)] == [[2], 1]
