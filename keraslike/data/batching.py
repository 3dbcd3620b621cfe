"""Methods of data sets that combine several elements into one, and split one into several."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keraslike.core.iteration import Failed, Steps, attempted, begun, tried
from keraslike.core.shares import Rows, share_of
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data.elements import (
    UNKNOWN,
    ArraySpec,
    Nested,
    Value,
    arguments,
    as_int,
    is_text_scalar,
    length,
    merged,
    no_rows,
    positive,
    row,
    stack,
    texts,
)
from keraslike.data.pipeline import Pipeline, RowsOf, enduring, passing, unless


class Batching(Pipeline):
    """Batches, windows and groups of elements."""

    def batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Batches of `batch_size` elements, whose arrays are stacked along a new first axis.

        With `drop_remainder`, elements at the end that do not fill a batch are left out.
        """
        return self.grouped(batch_size, self._stacked, drop_remainder, keyed=True)

    def _stacked(self, elements: list[Any]) -> Any:
        return stack(elements, self._view)

    def grouped(
        self,
        batch_size: Any,
        combine: Callable[[list], Any],
        drop_remainder: bool = False,
        spec: Callable[[Any, int | None], Any] | None = None,
        keyed: bool = False,
    ) -> Any:
        """The results of `combine` for lists of `batch_size` elements each.

        Args:
            spec: maps the spec of an element and the number of elements to the spec of a result.
            keyed: whether `combine` only stacks, so that batches may be gathered by keys.
        """
        size = positive("batch_size", batch_size, error=self._view.error)
        drop = bool(drop_remainder)

        def start(first: int, rows: Rows | None = None) -> Iterator[Any]:
            found = self._fetched() if keyed else None
            make = combine if found is None else found.many
            elements = (self._start if found is None else found.keys)(first * size)
            whole = keyed and self.is_map and found is None  # an error is that of the whole batch
            if whole or found is not None:  # keys raise no errors
                elements = tried(elements)

            def following() -> Any:
                group = list(itertools.islice(elements, size))
                for element in group if whole else ():
                    if type(element) is Failed:
                        raise element.error
                if not group or (drop and len(group) < size):
                    raise StopIteration
                return make(group) if rows is None else share_of(group, rows, make)

            return Steps(following)

        def known() -> Any:
            rows = size if drop else None
            if spec is not None:
                return spec(self._spec(), rows)
            return map_leaves(lambda leaf: leaf.inside(rows), self._spec()) if keyed else None

        count = self._count
        if count >= 0:
            count = count // size if drop else -(-count // size)
        made = self._then(start, count, spec=known, batch_size=size)
        if keyed:
            made._shares = lambda rows: functools.partial(start, rows=rows)

            def rows_of() -> RowsOf | None:
                found = self._fetched()
                if found is None or found.arrays is None:
                    return None
                return RowsOf(found.arrays, found.keys, size, drop)

            made._rows = rows_of
        return made

    def unbatch(self, name: str | None = None) -> Any:
        """The rows of each element, as elements of their own."""

        def make() -> Iterator[Any]:
            for element in tried(self._start(0)):
                rows = attempted(length)(element)
                if type(rows) is Failed:
                    yield rows
                else:
                    yield from (row(element, i, self._view) for i in range(rows))

        def known() -> Any:
            return map_leaves(lambda leaf: leaf.rows(), self._spec())

        return self._then(enduring(make), self._count_of_rows(), spec=known, batch_size=None)

    def _count_of_rows(self) -> int:
        """The number of rows of each element, if the specs determine it."""
        if self._known_spec is None and self._find_spec is None:
            return unless(self._count)
        try:
            shapes = [getattr(s, "shape", None) for s in iter_leaves(self._spec())]
        except Exception:  # raised by an element that cannot be made
            return unless(self._count)
        if any(shape is not None and not len(shape) for shape in shapes):
            raise ValueError(
                f"Elements without a first axis have no rows. Received: {self._spec()}"
            )
        sizes = [tuple(shape)[0] for shape in shapes if shape is not None and len(shape)]
        known = {size for size in sizes if size is not None}
        if len(known) > 1:
            raise ValueError(f"Arrays must have the same length. Received lengths: {sorted(known)}")
        if self._count < 0:
            return unless(self._count)
        return self._count * int(sizes[0]) if sizes and sizes[0] is not None else UNKNOWN

    def rebatch(
        self, batch_size: Any, drop_remainder: bool = False, name: str | None = None
    ) -> Any:
        """The rows of all batches, regrouped into batches of another size, or of sizes in turn."""
        error, one = self._view.error, as_int(batch_size)
        given = batch_size if one is None else [one]
        sizes = [positive("batch_size", n, 0, error) for n in given]
        if not any(sizes):
            raise error(f"batch_size must have a positive number. Received: {batch_size!r}")
        rows = self.unbatch()
        if len(set(sizes)) == 1:
            inputs = [(getattr(s, "shape", None) or (None,))[0] for s in iter_leaves(self._spec())]
            divided = all(size is not None and size % sizes[0] == 0 for size in inputs)
            made = rows.batch(sizes[0], drop_remainder or divided)
            made._count = UNKNOWN
            return made

        def make() -> Iterator[Any]:
            elements, turns = rows._start(0), itertools.cycle(sizes)
            ahead: list[Any] = []
            row, ended = None, False  # `row` was read: an empty batch is like it

            def following() -> Any:
                nonlocal row, ended
                size = next(turns)
                if not size and not ended:
                    if row is None:
                        ahead.extend(itertools.islice(elements, 1))
                        row, ended = (ahead[0], False) if ahead else (None, True)
                    return map_leaves(no_rows, rows._spec()) if ended else self._nothing_of(row)
                group = [] if ended else [*ahead, *itertools.islice(elements, size - len(ahead))]
                ahead.clear()
                ended = len(group) < size
                if not group or (drop_remainder and ended):
                    raise StopIteration
                row = group[-1]
                return self._stacked(group)

            return Steps(following)

        spec = lambda: map_leaves(lambda s: s.inside(None), rows._spec())  # noqa: E731
        return rows._then(passing(make), spec=spec)

    def _nothing_of(self, element: Any) -> Any:
        """An empty batch of such elements."""
        return map_leaves(lambda leaf: leaf[:0], self._stacked([element]))

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Batches of arrays of different sizes, which are padded at their ends to equal sizes.

        Args:
            padded_shapes: the padded shape of each array. A size of `None` or -1 is the largest of
                the batch.
            padding_values: the value of the padding of each array, by default 0 or an empty text.

        Raises ValueError for an array that is larger than its padded shape.
        """

        def combine(elements: list[Any]) -> Any:
            first = elements[0]
            shapes, values = _alike(padded_shapes, first, True), _alike(padding_values, first)
            parts = zip(iter_leaves(merged(elements, list), _is_group), shapes, values)
            padded = iter([self._padded(*part) for part in parts])
            return map_leaves(lambda _: next(padded), first)

        def known(spec: Any, rows: int | None) -> Any:
            shapes = iter(_alike(padded_shapes, spec, True))

            def padded(leaf: ArraySpec) -> ArraySpec:
                if not isinstance(leaf, ArraySpec):
                    raise TypeError(
                        f"padded_batch() needs elements that are arrays. Received: {leaf}"
                    )
                sizes = next(shapes)
                given = leaf.shape if sizes is None else tuple(_sizes(sizes))
                if given is None:
                    raise ValueError(f"padded_shapes must be given for elements of {leaf}.")
                if leaf.shape is not None and not _holds(given, leaf.shape):
                    raise ValueError(
                        f"An element of shape {leaf.shape} cannot be padded to {given}, which "
                        "padded_shapes has for it."
                    )
                return ArraySpec(given, leaf.dtype).inside(rows)

            return map_leaves(padded, spec)

        if not self._inputs and self._find_spec is not None:  # nothing is computed for this
            known(self._spec(), None)
        return self.grouped(batch_size, combine, drop_remainder, known)

    def _padded(self, arrays: list[Any], sizes: Any, value: Any) -> np.ndarray:
        if not all(is_text_scalar(a) or _is_plain(a) for a in arrays):
            raise TypeError(
                "padded_batch() needs elements that are arrays. Received elements of type "
                f"{type(arrays[0]).__name__}."
            )
        arrays = [np.asarray(a, object) if is_text_scalar(a) else np.asarray(a) for a in arrays]
        largest = tuple(np.max([a.shape for a in arrays], axis=0).astype(int))
        wanted = largest
        if sizes is not None:
            given = list(_sizes(sizes))
            if len(given) != len(largest):
                raise ValueError(
                    f"padded_shapes must have a size for each of the {len(largest)} axes of an "
                    f"array. Received: {tuple(given)}"
                )
            wanted = tuple(n if g is None else g for n, g in zip(largest, given))
        if any(n > w for n, w in zip(largest, wanted)):
            sizes = tuple(map(int, largest))
            raise self._view.damaged(f"An array of shape {sizes} is larger than {wanted}.")
        dtype = arrays[0].dtype
        text = dtype.kind == "O"
        if value is None:
            value = b"" if text else 0
        else:
            exact = isinstance(value, float) and dtype.kind == "f"
            value = self._view.array(value, dtype.name if exact else None)
            given = np.asarray(value).dtype
            if (given.kind in "OSU") != text or not text and np.result_type(given, dtype) != dtype:
                raise TypeError(f"padding_values of dtype {given} do not fit {dtype} arrays.")
        out = np.full((len(arrays), *wanted), value, dtype)
        for place, array in zip(out, arrays) if wanted else ():
            place[tuple(map(slice, array.shape))] = array
        if wanted:
            return out
        return texts(a.item() for a in arrays) if text else np.array(arrays, dtype)

    def ragged_batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        row_splits_dtype: Any = np.int64,
        name: str | None = None,
    ) -> Any:
        """Batches of arrays of different sizes as ragged tensors, for data sets of `tf.data`."""

        def combine(elements: list[Any]) -> Any:
            known = iter_leaves(self._spec())

            def joined(leaves: list[Any]) -> Any:
                spec = next(known)
                if not isinstance(spec, ArraySpec):
                    return self._stacked(leaves)
                shape = spec.shape
                sizes = [np.shape(leaf) for leaf in leaves]
                both = [shape, *sizes] if shape is not None else sizes
                shape = tuple(n[0] if len(set(n)) == 1 else None for n in zip(*both))
                if None not in shape:
                    return self._stacked(leaves)
                return self._view.ragged(leaves, shape, row_splits_dtype)

            return merged(elements, joined)

        def known(spec: Any, rows: int | None) -> Any:
            def inside(leaf: Any) -> Any:
                whole = leaf.inside(rows)
                varies = isinstance(leaf, ArraySpec) and (leaf.shape is None or None in leaf.shape)
                return self._view.ragged_spec(whole, row_splits_dtype) if varies else whole

            return map_leaves(inside, spec)

        return self.grouped(batch_size, combine, drop_remainder, known)

    def sparse_batch(self, batch_size: Any, row_shape: Any, name: str | None = None) -> Any:
        """Batches of arrays of different sizes as sparse tensors, for data sets of `tf.data`.

        Args:
            row_shape: the shape of the rows, in which an unknown size is the largest of the batch.

        Raises DataLossError for an array that is larger.
        """
        sizes, given = list(_sizes(row_shape)), self._spec()
        if not isinstance(given, ArraySpec):
            raise TypeError(f"sparse_batch() is for elements of one array. Received: {given}")

        def combine(elements: list[Any]) -> Any:
            return self._view.sparse(elements, sizes)

        def known(spec: Any, rows: int | None) -> Any:
            return self._view.sparse_spec(ArraySpec((rows, *sizes), spec.dtype))

        return self.grouped(batch_size, combine, False, known)

    def window(
        self,
        size: Any,
        shift: Any = None,
        stride: Any = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Windows of `size` elements, every `stride`-th of the data set, as data sets.

        Windows begin `shift` elements apart, by default `size`. Each array in the structure of an
        element becomes a data set of its own.

        >>> from keraslike.data import Dataset
        >>> windows = Dataset.range(5).window(3, shift=2, drop_remainder=True)
        >>> [[int(n) for n in window] for window in windows]
        [[0, 1, 2], [2, 3, 4]]
        """
        error = self._view.error
        size, stride = (
            positive(n, v, error=error) for n, v in (("size", size), ("stride", stride))
        )
        shift = size if shift is None else positive("shift", shift, error=error)
        reach = (size - 1) * stride + 1

        def make() -> Iterator[Any]:
            elements, held = tried(self._start(0)), []
            while True:
                held += itertools.islice(elements, max(reach - len(held), 0))
                chosen = held[:reach:stride]
                if not chosen or (drop_remainder and len(chosen) < size):
                    return
                failed = [e for e in chosen if type(e) is Failed]
                yield failed[0] if failed else self._datasets_of(chosen)
                passed = shift - len(held)
                del held[:shift]
                if passed > 0:
                    next(itertools.islice(elements, passed - 1, None), None)

        count = self._count
        if count >= 0:
            count = (
                max(count - reach, -shift) // shift + 1 if drop_remainder else -(-count // shift)
            )
        return self._then(
            enduring(make), count, spec=lambda: map_leaves(Nested, self._spec()), batch_size=None
        )

    def _datasets_of(self, elements: list[Any]) -> Any:
        """A data set of each array of the elements, in their structure."""

        def of(leaves: list[Any]) -> Any:
            return self._make(
                lambda first: iter(leaves[first:]),
                len(leaves),
                (),
                lambda: self._view.spec(leaves[0]),
                view=self._view,
            )

        return merged(elements, of)

    def _of_elements(self, elements: list[Any]) -> Any:
        """A data set of some of the elements."""
        return self._make(
            lambda first: iter(elements[first:]), len(elements), (), self._spec, view=self._view
        )

    def group_by_window(
        self,
        key_func: Callable,
        reduce_func: Callable,
        window_size: Any = None,
        window_size_func: Callable | None = None,
        name: str | None = None,
    ) -> Any:
        """The elements of `reduce_func(key, dataset)` for groups of elements with the same key.

        A group is reduced once it has `window_size` elements, and the rest at the end, in the order
        of their keys.

        Args:
            key_func: gives the key of an element, an integer.
            window_size_func: gives the window size of a key, in place of one size for all.
        """
        if (window_size is None) == (window_size_func is None):
            raise ValueError("One of window_size and window_size_func must be given.")
        key_of = self._view.function(key_func)
        size_of = None if window_size_func is None else self._view.function(window_size_func)
        reduce = self._view.function(reduce_func)

        def make() -> Iterator[Any]:
            groups: dict[Any, list[Any]] = {}
            sizes: dict[Any, int] = {}

            def key_and_size(element: Any) -> Any:
                key = np.int64(key_of(*arguments(element)))
                if key not in sizes:
                    given = window_size if size_of is None else size_of(key)
                    sizes[key] = positive("window_size", given, error=self._view.error)
                return key, sizes[key]

            def reduced(key: Any) -> Iterator[Any]:
                def begin() -> Iterator[Any]:
                    made = reduce.raw(key, self._of_elements(groups.pop(key)))
                    if not isinstance(made, Pipeline):
                        raise TypeError(f"reduce_func must return a data set. Received: {made!r}")
                    return made._start(0)

                return begun(begin)

            for element in tried(self._start(0)):
                found = attempted(key_and_size)(element)
                if type(found) is Failed:
                    yield found
                    continue
                group = groups.setdefault(found[0], [])
                group.append(element)
                if len(group) == found[1]:
                    yield from reduced(found[0])
            for key in sorted(groups):
                yield from reduced(key)

        def known() -> Any:
            try:
                return reduce.raw(np.int64(0), self._of_elements([]))._spec()
            except Exception:  # `reduce_func` may fail for a group without elements
                return None

        made = self._then(enduring(make), unless(self._count), spec=known, batch_size=None)
        made.computes_spec = True
        return made

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable,
        bucket_boundaries: Any,
        bucket_batch_sizes: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Padded batches of elements of similar lengths.

        Args:
            element_length_func: gives the length of an element.
            bucket_boundaries: the exclusive upper limits of the lengths in each bucket.
            bucket_batch_sizes: the batch size of each bucket, one more than there are boundaries.
            padded_shapes, padding_values: see `padded_batch`.
            pad_to_bucket_boundary: whether unknown sizes are padded to one less than the boundary
                of the bucket, rather than to the largest size of the batch.
            no_padding: batches without padding, for elements of one size in each bucket.
        """
        bounds, sizes = [int(b) for b in bucket_boundaries], [int(n) for n in bucket_batch_sizes]
        if len(sizes) != len(bounds) + 1:
            raise ValueError(
                "bucket_batch_sizes must have one entry more than bucket_boundaries. "
                f"Received: {len(sizes)} and {len(bounds)}"
            )
        length_of = self._view.function(element_length_func)

        def bucket(element: Any) -> int:
            return int(np.searchsorted(bounds, int(length_of(*arguments(element))), "right"))

        def padded(key: int, group: Any) -> Any:
            if no_padding:
                return group.batch(sizes[key], drop_remainder)
            shapes = padded_shapes
            if pad_to_bucket_boundary:
                if key == len(bounds):
                    raise self._view.error(
                        "With pad_to_bucket_boundary elements must be shorter than "
                        f"{bounds[-1]}, the last of the boundaries."
                    )
                shapes = self._bounded(padded_shapes, bounds[key] - 1)
            return group.padded_batch(sizes[key], shapes, padding_values, drop_remainder)

        def make() -> Iterator[Any]:
            groups: dict[int, list[Any]] = {}
            for element in tried(self._start(0)):
                key = attempted(bucket)(element)
                if type(key) is Failed:
                    yield key
                    continue
                groups.setdefault(key, []).append(element)
                if len(groups[key]) == sizes[key]:
                    group = self._of_elements(groups.pop(key))
                    yield from begun(lambda key=key, group=group: padded(key, group)._start(0))
            for key in sorted(groups):
                group = self._of_elements(groups[key])
                yield from begun(lambda key=key, group=group: padded(key, group)._start(0))

        def known() -> Any:
            group = self._of_elements([])
            if no_padding:
                return group.batch(1)._spec()
            return group.padded_batch(1, padded_shapes, padding_values)._spec()

        return self._then(enduring(make), unless(self._count), spec=known, batch_size=None)

    def _bounded(self, shapes: Any, size: int) -> Any:
        """The padded shapes, with `size` for each unknown size."""
        spec = self._spec()
        given = iter(_alike(shapes, spec, True))

        def filled(leaf: ArraySpec) -> list[int]:
            sizes = next(given)
            known = leaf.shape if sizes is None else tuple(_sizes(sizes))
            return [size if n is None else n for n in known or ()]

        return map_leaves(filled, spec)


def _is_plain(array: Any) -> bool:
    return type(array) in (np.ndarray, Value) or isinstance(array, np.generic)


def _is_group(part: Any) -> bool:
    return isinstance(part, list)


def _sizes(shape: Any) -> Iterator[int | None]:
    sizes = np.atleast_1d(np.asarray(() if shape is None else shape, object))
    if sizes.ndim > 1:
        raise ValueError(f"A shape must be one list of sizes. Received: {shape!r}")
    for size in sizes.tolist():
        number = as_int(size)
        if number is None and size is not None:
            raise TypeError(f"A shape must consist of integers and None. Received: {shape!r}")
        if number is not None and number < -1:
            raise ValueError(f"A size must be -1, None or at least 0. Received: {shape!r}")
        yield None if number == -1 else number


def _holds(sizes: tuple[int | None, ...], shape: tuple[int | None, ...]) -> bool:
    """Whether arrays of a shape can be padded to the sizes, of which `None` is any."""
    return len(sizes) == len(shape) and all(
        n is None or m is None or n >= m for n, m in zip(sizes, shape)
    )


def _alike(given: Any, structure: Any, shapes: bool = False) -> list[Any]:
    """The values given for the leaves of a structure, in order; one value may be for all leaves."""
    leaves = list(iter_leaves(structure))
    if given is None:
        return [None] * len(leaves)
    if isinstance(structure, dict):
        return [x for k in structure for x in _alike(given[k], structure[k], shapes)]
    if isinstance(structure, tuple):
        whole = not isinstance(given, (tuple, list, dict))
        if whole and not shapes:
            return [given] * len(leaves)
        if len(given) != len(structure):
            raise ValueError(
                "padded_shapes and padding_values must have one entry for each of the "
                f"{len(structure)} parts of an element. Received: {given}"
            )
        return [x for g, s in zip(given, structure) for x in _alike(g, s, shapes)]
    return [given]
