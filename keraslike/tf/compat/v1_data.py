"""What `tf.compat.v1.data` and `tf.compat.v1.io` have besides TensorFlow 2's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keraslike.core.structures import map_leaves
from keraslike.data import records
from keraslike.tf import ragged, sparse, specs
from keraslike.tf.tensor import Tensor


def make_one_shot_iterator(dataset: Any) -> Any:
    """An iterator of a data set, which is that of `iter`.

    >>> elements = tf.compat.v1.data.make_one_shot_iterator(tf.data.Dataset.range(2))
    >>> int(elements.get_next()), int(elements.get_next())
    (0, 1)
    """
    return iter(dataset)


def get_output_types(dataset_or_iterator: Any) -> Any:
    """The dtypes of the elements, in their structure.

    >>> tf.compat.v1.data.get_output_types(tf.data.Dataset.range(2))
    tf.int64
    """
    return map_leaves(lambda spec: spec.dtype, dataset_or_iterator.element_spec)


def get_output_shapes(dataset_or_iterator: Any) -> Any:
    """The shapes of the elements, in their structure.

    >>> tf.compat.v1.data.get_output_shapes(tf.data.Dataset.range(2).batch(2))
    TensorShape([None])
    """
    return map_leaves(lambda spec: spec.shape, dataset_or_iterator.element_spec)


def get_output_classes(dataset_or_iterator: Any) -> Any:
    """The classes of the elements, in their structure.

    >>> tf.compat.v1.data.get_output_classes(tf.data.Dataset.range(2)) is tf.Tensor
    True
    """
    kinds = {
        specs.RaggedTensorSpec: ragged.RaggedTensor,
        specs.SparseTensorSpec: sparse.SparseTensor,
    }
    return map_leaves(lambda s: kinds.get(type(s), Tensor), dataset_or_iterator.element_spec)


def tf_record_iterator(path: Any, options: Any = None) -> Iterator[bytes]:
    """The records of a TFRecord file.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     writer.write(b"one")
    >>> list(tf.compat.v1.io.tf_record_iterator(path))
    [b'one']
    """
    kind = getattr(options, "compression_type", options)
    return (bytes(record) for record in records.records(path, kind or ""))


__all__ = [
    *("get_output_classes", "get_output_shapes", "get_output_types", "make_one_shot_iterator"),
    "tf_record_iterator",
]
