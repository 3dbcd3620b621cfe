"""`Dataset`: a pipeline whose elements are computed on demand, as numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keraslike.data.batching import Batching
from keraslike.data.combining import Combining
from keraslike.data.elementwise import Elementwise
from keraslike.data.fingerprints import fingerprint
from keraslike.data.naming import name_results
from keraslike.data.pipeline import Pipeline, passing
from keraslike.data.sources import Sources
from keraslike.data.storage import Storage


class Dataset(Sources, Elementwise, Batching, Combining, Storage):
    """A sequence of elements, computed on demand; each is an array, or a tuple or dict of arrays.

    `fit`, `evaluate`, `predict` and `adapt` accept a data set whose elements are batches, and
    prefetch them in a thread. The methods are those of `tf.data.Dataset`, and return new data sets.
    Users' functions receive numpy arrays, a tuple as several arguments, and may return arrays of
    any library; functions of data sets made by `tf.data` and `tf.keras` receive tensors.

    Args:
        make: returns a new iterator of the elements each time it is called.
        count: the number of elements, `INFINITE` or `UNKNOWN`.
        inputs: the data sets that `make` iterates over.
        spec: returns the specs of the elements, in their structure.
        batch_size: the batch size, if the elements are batches.

    >>> import numpy as np
    >>> squares = Dataset.from_tensor_slices(np.arange(5)).map(lambda n: n * n).batch(2)
    >>> [batch.tolist() for batch in squares], len(squares)
    ([[0, 1], [4, 9], [16]], 3)
    """

    def fingerprint(self) -> Any:
        """A 64-bit number that differs between data sets that were constructed differently."""
        return self._view.show(np.asarray(fingerprint(self)))

    def __init__(
        self,
        make: Callable[[], Iterable[Any]],
        count: int,
        inputs: tuple[Any, ...] = (),
        spec: Callable[[], Any] | None = None,
        batch_size: int | None = None,
    ):
        self._set(passing(make), count, inputs, spec, batch_size)


Pipeline._base = Dataset
name_results(Dataset)
