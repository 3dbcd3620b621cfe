"""`tf.TypeSpec` and its subclasses, and functions by which users' objects become tensors: what
TensorFlow 2.21 gives for the same programs."""

import contextlib
import copy
import functools
import pickle

import numpy as np
import pytest

from keraslike import tf

T, R, S = tf.TensorSpec, tf.RaggedTensorSpec, tf.SparseTensorSpec
D = tf.data.DatasetSpec


class Point(tf.experimental.ExtensionType):
    x: tf.Tensor
    n: int = 1


class Tagged(tf.TypeSpec):
    """A spec of a user's class."""

    value_type = object

    def __init__(self, shape, tag):
        self.shape, self.tag = tf.TensorShape(shape), tag

    def _serialize(self):
        return self.shape, self.tag

    _component_specs = ()

    def _to_components(self, value):
        return ()

    def _from_components(self, components):
        return object()


# The spec and another; whether each is a subtype of the other, and whether they are compatible; the
# most specific common supertype.
@pytest.mark.parametrize(
    "spec, other, found, common",
    [
        (T([2, 3]), T([2, None]), (True, False, True), T([2, None])),
        (T([2, 3]), T([4, 3]), (False, False, False), T([None, 3])),
        (T([2]), T([2, 3]), (False, False, False), T(None)),
        (T([2]), T([2], tf.int32), (False, False, False), None),
        (T([2], name="a"), T([2]), (False, True, True), None),
        (T(None), T([2]), (False, True, True), T(None)),
        (R([None, None]), R([2, None]), (False, True, True), R([None, None])),
        (R([2, None]), R([2, None], row_splits_dtype=tf.int32), (False, False, False), None),
        (S([2, 3]), S([2, None]), (True, False, True), S([2, None])),
        (S([2, 3]), S([2]), (False, False, False), S(None)),
        (D(T([2])), D(T([None])), (True, False, True), D(T([None]))),
        (D({"a": T([2])}), D({"a": T([3])}), (False, False, False), D({"a": T([None])})),
        (D({"a": T([2])}), D({"b": T([2])}), (False, False, False), None),
        (
            tf.OptionalSpec(T([2])),
            tf.OptionalSpec(T([3])),
            (False,) * 3,
            tf.OptionalSpec(T([None])),
        ),
        (T([2, 3]), S([2, 3]), (False, False, False), None),
        (
            tf.IndexedSlicesSpec([3, 2]),
            tf.IndexedSlicesSpec([None, 2]),
            (True, False, True),
            tf.IndexedSlicesSpec([None, 2]),
        ),
        (
            Point.Spec(T([2]), 1),
            Point.Spec(T([None]), 1),
            (True, False, True),
            Point.Spec(T([None]), 1),
        ),
        (Point.Spec(T([2]), 1), Point.Spec(T([2]), 2), (False, False, False), None),
        (Tagged([2, 3], "x"), Tagged([2, 4], "x"), (False, False, False), Tagged([2, None], "x")),
        (Tagged([2, 3], "x"), Tagged([2, 3], "y"), (False, False, False), None),
    ],
)
def test_relations_of_specs(spec, other, found, common):
    subtypes = spec.is_subtype_of(other), other.is_subtype_of(spec)
    assert (*subtypes, spec.is_compatible_with(other)) == found
    assert spec.most_specific_common_supertype([other]) == common
    if common is None:
        with pytest.raises(ValueError, match="No TypeSpec is compatible with both"):
            spec.most_specific_compatible_type(other)
    else:
        assert spec.most_specific_compatible_type(other) == common
    assert spec != other and isinstance(spec, tf.TypeSpec) and spec.is_subtype_of(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec and hash(copy.copy(spec)) == hash(spec)


def test_specs_of_values_and_of_users_classes():
    wide = Point.Spec(T([None]), 1)
    given = Point([1.0]), Point([1.0], 2), 3
    assert [wide.is_compatible_with(x) for x in given] == [True, False, False]
    assert repr(Tagged([2], "x")) == "Tagged(TensorShape([2]), 'x')"
    with pytest.raises(TypeError, match="missing a required argument: 'n'"):
        Point.Spec(T([None]))
    with pytest.raises(TypeError, match="abstract"):
        tf.TypeSpec()
    shapes = tf.TensorShape([2, 3]).most_specific_common_supertype([tf.TensorShape([2, 4])])
    assert shapes == tf.TensorShape([2, None])
    assert tf.float32.is_subtype_of(tf.float32) and not tf.float32.is_subtype_of(tf.int32)


def test_specs_of_indexed_slices():
    rows = tf.IndexedSlices([[1.0, 2.0]], [0], [3, 2])
    shown = "(TensorShape([3, 2]), tf.float32, tf.int32, tf.int32, TensorShape([1]))"
    assert repr(tf.type_spec_from_value(rows)) == f"IndexedSlicesSpec{shown}"
    shown = "(TensorShape(None), tf.float32, tf.int64, None, TensorShape([None]))"
    assert repr(tf.IndexedSlicesSpec()) == f"IndexedSlicesSpec{shown}"
    assert not tf.IndexedSlicesSpec([3, None]).is_compatible_with(rows)  # of other dtypes
    spec = tf.IndexedSlicesSpec([3, None], tf.float32, tf.int32, tf.int32)
    assert spec.is_compatible_with(rows) and spec.value_type is tf.IndexedSlices
    double = tf.function(lambda x: x.values * 2.0, input_signature=[spec])
    assert double(rows).numpy().tolist() == [[2.0, 4.0]]


class Length:
    def __init__(self, metres):
        self.metres = metres


class Protocol:
    def __tf_tensor__(self, dtype=None, name=None):
        return tf.constant(4.0, dtype or tf.float32)


def test_users_objects_become_tensors():
    def convert(value, dtype=None, name=None, as_ref=False):
        found = tf.constant(value.metres)
        return NotImplemented if value.metres == 7 else tf.cast(found, dtype or found.dtype)

    class Wrong(Length):
        pass

    register = tf.register_tensor_conversion_function
    register(Length, convert)
    register(Wrong, lambda value, **_: value.metres, priority=10)
    length = Length(2.5)
    assert tf.convert_to_tensor(length, tf.float64).dtype == tf.float64
    assert tf.convert_to_tensor(Length(2), dtype_hint=tf.float64).dtype == tf.float64
    sums = [tf.add(length, 1.0), tf.constant(1.0) + length, length + tf.constant(1.0)]
    assert [float(x) for x in sums] == [3.5] * 3
    assert tf.stack([length, length]).numpy().tolist() == [2.5, 2.5]
    assert float(tf.Variable(length)) == 2.5
    assert float(tf.function(lambda x: tf.convert_to_tensor(x) * 2)(length)) == 5.0
    with pytest.raises(ValueError, match="Cannot convert"):
        tf.convert_to_tensor(Length(7))
    with pytest.raises(RuntimeError, match="no tensor: 3.0"):
        tf.convert_to_tensor(Wrong(3.0))
    with pytest.raises(RuntimeError, match="dtype int32. Requested: float32"):
        tf.convert_to_tensor(Wrong(tf.constant(1)), tf.float32)
    assert float(tf.add(Protocol(), 1.0)) == 5.0
    assert tf.convert_to_tensor(Protocol(), tf.float64).dtype == tf.float64
    for kind in (int, np.ndarray, np.float32, 3, (Length, 3)):
        with pytest.raises(TypeError, match="Received"):
            register(kind, convert)
    with pytest.raises(TypeError, match="conversion_func must be callable"):
        register(Length, 3)


def test_objects_that_are_made_by_a_method_of_an_object():
    class Pair:
        def __init__(self, *parts):
            self.parts = parts

        def __tf_flatten__(self):
            return (), self.parts

        def __tf_unflatten__(self, metadata, components):
            return Pair(*components)

    assert tf.nest.map_structure(lambda x: x + 1, Pair(3, 4)).parts == (4, 5)


@pytest.mark.parametrize(
    "one, other, same",
    [
        (tf.ragged.constant([[1], [2, 3]]), tf.RaggedTensorSpec([2, None], tf.int32), True),
        (tf.ragged.constant([[1], [2, 3]]), tf.RaggedTensorSpec([3, None], tf.int32), True),
        (tf.sparse.from_dense([1, 0]), tf.SparseTensorSpec([None], tf.int32), True),
        (tf.sparse.from_dense([1, 0]), tf.SparseTensorSpec([None], tf.float32), False),
        (tf.sparse.from_dense([1, 0]), tf.sparse.from_dense([1.0, 0.0]), False),
        (tf.sparse.from_dense([1, 0]), tf.ragged.constant([[1]]), False),
        (tf.sparse.from_dense([1, 0]), tf.constant([1, 0]), False),
        (Point(tf.constant(1)), Point(tf.constant(2)), True),
    ],
)
def test_structures_of_composites_and_specs_are_compared(one, other, same):
    compare = functools.partial(tf.nest.assert_same_structure, [one], [other])
    with contextlib.nullcontext() if same else pytest.raises(ValueError):
        compare(expand_composites=True)
