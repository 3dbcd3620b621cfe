"""`tf.data`: the pipelines of `keraslike.data`, with tensors as elements.

>>> dataset = tf.data.Dataset.range(6).map(lambda n: n * n).batch(4)
>>> [batch.numpy().tolist() for batch in dataset], dataset.element_spec
([[0, 1, 4, 9], [16, 25]], TensorSpec(shape=(None,), dtype=tf.int64, name=None))
"""

from keraslike.data import files as _files
from keraslike.data.options import Options, ThreadingOptions
from keraslike.data.pipeline import DatasetIterator as Iterator
from keraslike.tf import face as _face
from keraslike.tf.data import experimental
from keraslike.tf.data import view as _view
from keraslike.tf.data.experimental import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
)
from keraslike.tf.specs import DatasetSpec, IteratorSpec

TextLineDataset = _face.stand_for(_files.TextLineDataset)
TFRecordDataset = _face.stand_for(_files.TFRecordDataset)
FixedLengthRecordDataset = _face.stand_for(_files.FixedLengthRecordDataset)
NumpyIterator = Iterator

__all__ = [
    "AUTOTUNE",
    "Dataset",
    "DatasetSpec",
    "FixedLengthRecordDataset",
    "INFINITE_CARDINALITY",
    "Iterator",
    "IteratorSpec",
    "NumpyIterator",
    "Options",
    "TFRecordDataset",
    "TextLineDataset",
    "ThreadingOptions",
    "UNKNOWN_CARDINALITY",
    "experimental",
]
__dir__ = __all__.copy
