"""`Dataset`: a pipeline of elements in numpy, made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keraslike.data.batching import Batching
from keraslike.data.combining import Combining
from keraslike.data.elementwise import Elementwise
from keraslike.data.naming import name_results
from keraslike.data.pipeline import Pipeline, passing
from keraslike.data.sources import Sources
from keraslike.data.storage import Storage


class Dataset(Sources, Elementwise, Batching, Combining, Storage):
    """Elements that are made as they are asked for, each an array or a tuple or dict of arrays.

    `fit`, `evaluate`, `predict` and `adapt` take one whose elements are batches, and fetch them
    ahead by a thread. Its methods, which are those of `tf.data.Dataset`, give new data sets.
    Functions of the user's are given numpy arrays, a tuple as several arguments, and may return
    arrays of any kind; those of data sets made by `tf.data` and `tf.keras` are given tensors.

    Args:
        make: gives an iterator of the elements, each time it is called.
        count: how many there are, `INFINITE` or `UNKNOWN`.
        inputs: the data sets that `make` asks.
        spec: gives what is known of the elements, in their structure.
        batch_size: of elements that are batches.

    >>> import numpy as np
    >>> squares = Dataset.from_tensor_slices(np.arange(5)).map(lambda n: n * n).batch(2)
    >>> [batch.tolist() for batch in squares], len(squares)
    ([[0, 1], [4, 9], [16]], 3)
    """

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
