"""Functions for `Dataset.apply`, which `tf.data.experimental` has besides methods of data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.core.structures import map_leaves
from keraslike.data.elements import AUTOTUNE, UNKNOWN, arguments
from keraslike.data.pipeline import passing, unless


class Reducer:
    """What `group_by_reducer` does with the elements of a key.

    Args:
        init_func: gives the first state of a key.
        reduce_func: gives the next state for a state and an element.
        finalize_func: gives the result for the last state.

    >>> reducer = tf.data.experimental.Reducer(
    ...     lambda key: tf.constant(0, tf.int64), lambda state, n: state + n, lambda state: state
    ... )
    >>> sums = tf.data.experimental.group_by_reducer(lambda n: n % 2, reducer)
    >>> [int(n) for n in tf.data.Dataset.range(5).apply(sums)]
    [6, 4]
    """

    def __init__(self, init_func: Callable, reduce_func: Callable, finalize_func: Callable):
        self.init_func, self.reduce_func = init_func, reduce_func
        self.finalize_func = finalize_func


def group_by_reducer(key_func: Callable, reducer: Reducer) -> Callable:
    """A function for `Dataset.apply` that gives one element for each key, in the order of the keys.

    Args:
        key_func: gives the key of an element, an integer of 64 bits.
        reducer: what becomes of the elements of a key.

    >>> reducer = tf.data.experimental.Reducer(
    ...     lambda key: 0, lambda state, n: state + 1, lambda state: state
    ... )
    >>> counts = tf.data.experimental.group_by_reducer(lambda n: n % 3, reducer)
    >>> [int(n) for n in tf.data.Dataset.range(5).apply(counts)]
    [2, 2, 1]
    """

    def grouped(dataset: Any) -> Any:
        function = dataset._view.function
        key_of, initial, step, last = map(
            function, (key_func, reducer.init_func, reducer.reduce_func, reducer.finalize_func)
        )

        def make() -> Any:
            states: dict[Any, Any] = {}
            for element in dataset._start(0):
                key = np.int64(key_of(*arguments(element)))
                state = states[key] if key in states else initial(key)
                states[key] = dataset._view.check_state(state, step(state, element))
            return (last(*arguments(states[key])) for key in sorted(states))

        return dataset._then(passing(make), unless(dataset._count), spec=None, batch_size=None)

    return grouped


def pad_to_cardinality(cardinality: Any, mask_key: str = "valid") -> Callable:
    """A function for `Dataset.apply` that adds zeros to a data set of dicts until there are so many
    elements, and says in each whether it was there before.

    >>> dataset = tf.data.Dataset.from_tensor_slices({"a": [7]})
    >>> padded = dataset.apply(tf.data.experimental.pad_to_cardinality(2))
    >>> [(int(e["a"]), bool(e["valid"])) for e in padded]
    [(7, True), (0, False)]
    """

    def padded(dataset: Any) -> Any:
        spec = dataset.element_spec
        if not isinstance(spec, dict):
            raise ValueError(f"pad_to_cardinality needs elements that are dicts. Received: {spec}")
        if mask_key in spec:
            raise ValueError(f"mask_key={mask_key!r} is a key of the elements already: {spec}")
        count = dataset._count
        if not 0 <= count <= cardinality:
            raise ValueError(
                "pad_to_cardinality needs a data set of a known number of elements, at most "
                f"cardinality. Received: cardinality={cardinality} and a number of {count}"
            )

        def padding(leaf: Any) -> np.ndarray:
            text = leaf.dtype.name == "string"
            sizes = [n or 0 for n in leaf.shape]
            return np.full(sizes, b"" if text else 0, leaf.dtype.as_numpy_dtype)

        nothing = {**map_leaves(padding, spec), mask_key: False}
        filling = dataset.from_tensors(nothing).repeat()
        return dataset.map(lambda e: {**e, mask_key: True}).concatenate(filling).take(cardinality)

    return padded


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Callable:
    """`shuffle` and `repeat` as a function for `Dataset.apply`.

    >>> dataset = tf.data.Dataset.range(2).apply(
    ...     tf.data.experimental.shuffle_and_repeat(2, count=2)
    ... )
    >>> sorted(int(n) for n in dataset)
    [0, 0, 1, 1]
    """
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def map_and_batch(
    map_func: Callable,
    batch_size: Any,
    num_parallel_batches: Any = None,
    drop_remainder: bool = False,
    num_parallel_calls: Any = None,
) -> Callable:
    """`map` and `batch` as a function for `Dataset.apply`.

    >>> dataset = tf.data.Dataset.range(4).apply(
    ...     tf.data.experimental.map_and_batch(lambda n: n * n, 2)
    ... )
    >>> [b.numpy().tolist() for b in dataset]
    [[0, 1], [4, 9]]
    """
    return lambda d: d.map(map_func, num_parallel_calls).batch(batch_size, drop_remainder)


def parallel_interleave(
    map_func: Callable,
    cycle_length: Any,
    block_length: Any = 1,
    sloppy: bool = False,
    buffer_output_elements: Any = None,
    prefetch_input_elements: Any = None,
) -> Callable:
    """`interleave` as a function for `Dataset.apply`.

    >>> twice = tf.data.experimental.parallel_interleave(
    ...     lambda n: tf.data.Dataset.from_tensors(n).repeat(2), 2
    ... )
    >>> [int(n) for n in tf.data.Dataset.range(2).apply(twice)]
    [0, 1, 0, 1]
    """
    return lambda d: d.interleave(map_func, cycle_length, block_length, cycle_length)


def prefetch_to_device(device: Any, buffer_size: Any = None) -> Callable:
    """`prefetch` as a function for `Dataset.apply`. Tensors are moved to the device by iteration.

    >>> dataset = tf.data.Dataset.range(2).apply(
    ...     tf.data.experimental.prefetch_to_device("/cpu:0")
    ... )
    >>> [int(n) for n in dataset]
    [0, 1]
    """
    size = AUTOTUNE if buffer_size is None else buffer_size
    return lambda dataset: _moved(dataset.prefetch(size))


def copy_to_device(target_device: Any, source_device: str = "/cpu:0") -> Callable:
    """A function for `Dataset.apply`. Tensors are moved to the device by iteration.

    >>> dataset = tf.data.Dataset.range(2).apply(tf.data.experimental.copy_to_device("/cpu:0"))
    >>> [int(n) for n in dataset]
    [0, 1]
    """
    return lambda dataset: _moved(dataset.take(-1))


def _moved(dataset: Any) -> Any:
    """The data set, of which TensorFlow does not know the length."""
    dataset._count = UNKNOWN
    return dataset


def assert_cardinality(expected_cardinality: Any) -> Callable:
    """A function for `Dataset.apply` that asserts the number of elements. Iteration raises an error
    if there are more or fewer.

    >>> dataset = tf.data.Dataset.range(9).filter(lambda n: n < 2)
    >>> len(dataset.apply(tf.data.experimental.assert_cardinality(2)))
    2
    """
    return lambda dataset: dataset.of_known_length(int(expected_cardinality))


__all__ = [
    "Reducer",
    "group_by_reducer",
    "pad_to_cardinality",
    "shuffle_and_repeat",
    "map_and_batch",
    "parallel_interleave",
    "prefetch_to_device",
    "copy_to_device",
    "assert_cardinality",
]
