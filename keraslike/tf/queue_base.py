"""The base class of the queues of `tf.queue`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.tf import dtypes, ops
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.errors import CancelledError, InvalidArgumentError, OutOfRangeError
from keraslike.tf.tensor import Tensor

Item = tuple[Tensor, ...]
_numbers = itertools.count()


class QueueBase:
    """The base class of queues.

    Args:
        capacity: the maximum number of elements, for which `enqueue` waits; unlimited if negative.
        dtypes: the dtypes of the components of an element.
        shapes: the shapes of the components, which are needed to dequeue several elements at once.
        names: the names of the components; elements are then dicts.

    >>> isinstance(tf.queue.FIFOQueue(1, [tf.int32]), tf.queue.QueueBase)
    True
    """

    _takes_partial_shapes = False

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any = None, names: Any = None, name: str = "queue"
    ):
        self._capacity = int(static(capacity))
        self._dtypes = listed(dtypes)
        if not self._dtypes:
            raise InvalidArgumentError(
                "dtypes must have at least one dtype. Received an empty list."
            )
        self._shapes = shapes_of(shapes, len(self._dtypes), self._takes_partial_shapes)
        self._names = None if not names else [names] if isinstance(names, str) else list(names)
        if self._names is not None and len(self._names) != len(self._dtypes):
            raise ValueError(
                f"names and dtypes must have the same length: {self._names}, {self._dtypes}"
            )
        self._name = f"{name}_{next(_numbers)}"
        self._closed = self._cancelled = False
        self._changed = threading.Condition()

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes of the components."""
        return list(self._dtypes)

    @property
    def shapes(self) -> list[TensorShape | None]:
        """The shapes of the components, or `None` if they are not given."""
        return list(self._shapes)

    @property
    def names(self) -> list[str] | None:
        """The names of the components."""
        return self._names

    @property
    def name(self) -> str:
        return self._name

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements, int32."""
        with self._changed:
            return constant(np.int32(self._count()))

    def is_closed(self, name: str | None = None) -> Tensor:
        """Whether `close` was called."""
        return constant(self._closed)

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> None:
        """Closes the queue: no elements can be added, but the remaining ones can be taken out.

        Args:
            cancel_pending_enqueues: whether waiting calls of `enqueue` raise CancelledError.
        """
        with self._changed:
            if self._closed and not cancel_pending_enqueues:
                raise CancelledError(f"Queue {self._name} is closed already.")
            self._closed, self._cancelled = True, bool(cancel_pending_enqueues)
            self._changed.notify_all()

    # -- adding elements --------------------------------------------------------------------------

    def enqueue(self, vals: Any, name: str | None = None) -> None:
        """Adds an element, one tensor for each component. Waits while the queue is full.

        Raises CancelledError if the queue is closed.
        """
        item = self._components(vals, 0)
        self._put_all([item])

    def enqueue_many(self, vals: Any, name: str | None = None) -> None:
        """Adds the slices of tensors along their first axis, as one element each."""
        columns = self._components(vals, 1)
        counts = {column.shape[0] for column in columns}
        if len(counts) > 1:
            raise ValueError(f"The components are of different sizes: {sorted(counts)}")
        self._put_all([tuple(column[i] for column in columns) for i in range(counts.pop())])

    def _components(self, vals: Any, leading: int) -> Item:
        _check_eager(self)
        if self._names is not None:
            if not isinstance(vals, dict):
                raise ValueError("A queue with names takes a dict.")
            if sorted(vals) != sorted(self._names):
                raise ValueError(f"Expected {sorted(self._names)}, received {sorted(vals)}")
            vals = [vals[name] for name in self._names]
        elif not isinstance(vals, (list, tuple)):
            if isinstance(vals, dict):
                raise ValueError("A queue without names takes a list, not a dict.")
            vals = [vals]
        given = tuple(convert_to_tensor(v, d) for v, d in zip(vals, self._dtypes))
        for value, shape in zip(given, self._shapes):
            if value.ndim < leading:
                raise ValueError("Components of several elements must have at least one axis.")
            if shape is not None and not shape.is_compatible_with(value.shape[leading:]):
                raise ValueError(
                    f"A component must have shape {shape}. Received: {value.shape[leading:]}"
                )
        if len(vals) != len(self._dtypes):
            raise InvalidArgumentError(
                f"Elements have {len(self._dtypes)} components. Received: {len(vals)}"
            )
        return given

    def _put_all(self, items: Sequence[Item]) -> None:
        with self._changed:
            if self._closed:
                raise CancelledError(f"Queue {self._name} is closed.")
            for item in items:
                self._changed.wait_for(lambda: self._cancelled or not self._is_full())
                if self._cancelled:
                    raise CancelledError(f"Queue {self._name} was closed while enqueue() waited.")
                self._push(item)
                self._changed.notify_all()

    def _is_full(self) -> bool:
        return 0 <= self._capacity <= self._count()

    # -- taking elements --------------------------------------------------------------------------

    def dequeue(self, name: str | None = None) -> Any:
        """Removes an element and returns it: a tensor, or a list or a dict. Waits for one.

        Raises OutOfRangeError if the queue is closed and empty.
        """
        return self._given(self._take(1, 1)[0])

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """Removes `n` elements and returns them stacked along a new first axis. Waits for all.

        Raises OutOfRangeError if the queue is closed and has fewer.
        """
        count = self._several(n)
        return self._given(self._stacked(self._take(count, count)))

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """Like `dequeue_many`, but a closed queue may return fewer than `n` elements, at least
        one."""
        count = self._several(n)
        return self._given(self._stacked(self._take(count, min(count, 1))))

    def _several(self, n: Any) -> int:
        if None in self._shapes:
            raise InvalidArgumentError(
                "To dequeue several elements the shapes of components must be given: shapes=."
            )
        count = int(static(n))
        if count < 0:
            raise InvalidArgumentError(f"n must not be negative. Received: {count}")
        return count

    def _take(self, most: int, least: int) -> list[Item]:
        """Removes `most` elements, or at least `least` of a closed queue."""
        _check_eager(self)
        items: list[Item] = []
        with self._changed:
            try:
                while len(items) < most:
                    self._changed.wait_for(lambda: self._is_ready() or self._closed)
                    if not self._count():  # closed
                        break
                    items.append(self._pop())
                    self._changed.notify_all()
            except BaseException:
                self._put_back(items)
                raise
            if len(items) < least:
                self._put_back(items)
                raise OutOfRangeError(
                    f"Queue {self._name} is closed and does not have enough elements: {most} "
                    f"were requested, {len(items)} are left."
                )
        return items

    def _stacked(self, items: Sequence[Item]) -> Item:
        columns = list(zip(*items, strict=True)) if items else [()] * len(self._dtypes)
        return tuple(map(self._stack, columns, self._shapes, self._dtypes))

    def _stack(self, values: Sequence[Tensor], shape: Any, kind: DType) -> Tensor:
        if not values:
            sizes = (0, *[0 if n is None else n for n in shape])
            return constant(np.empty(sizes, kind.as_numpy_dtype))
        return ops.stack(list(values))

    def _given(self, values: Item) -> Any:
        if self._names is not None:
            return dict(zip(self._names, values, strict=True))
        return values[0] if len(values) == 1 else list(values)

    # -- the order, in which the classes differ
    # -----------------------------------------------------

    def _count(self) -> int:
        raise NotImplementedError

    def _push(self, item: Item) -> None:
        raise NotImplementedError

    def _pop(self) -> Item:
        raise NotImplementedError

    def _put_back(self, items: Sequence[Item]) -> None:
        for item in items:
            self._push(item)

    def _is_ready(self) -> bool:
        return self._count() > 0

    @staticmethod
    def from_list(index: Any, queues: Sequence[QueueBase]) -> QueueBase:
        """One of several queues with the same dtypes."""
        if not queues or any(not isinstance(q, QueueBase) for q in queues):
            raise TypeError(f"queues must be a list of queues. Received: {queues!r}")
        if any(q._dtypes != queues[0]._dtypes for q in queues):
            raise TypeError("Queues do not have matching component dtypes.")
        return queues[static(index)]

    def __repr__(self) -> str:
        return (
            f"<tf.queue.{type(self).__name__} {self._name!r}: {self._count()} elements, "
            f"dtypes={[d.name for d in self._dtypes]}, closed={self._closed}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        with self._changed:
            return {k: v for k, v in vars(self).items() if k != "_changed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._changed = threading.Condition()


def _check_eager(queue: QueueBase) -> None:
    if not trace_state_clean():
        raise TypeError(
            f"{type(queue).__name__}: a queue cannot be used in a traced function. Enqueue and "
            "dequeue outside, and pass the tensors to the function."
        )


def listed(dtypes_: Any) -> list[DType]:
    several = isinstance(dtypes_, (list, tuple))
    return [dtypes.as_dtype(d) for d in (dtypes_ if several else [dtypes_])]


def shapes_of(shapes: Any, count: int, partial: bool) -> list[TensorShape | None]:
    if shapes is None:
        if partial:
            raise ValueError("PaddingFIFOQueue needs a list of shapes=.")
        return [None] * count
    several = isinstance(shapes, (list, tuple)) and not isinstance(shapes, TensorShape)
    if not several or all(n is None or isinstance(n, int) for n in shapes):
        shapes = [shapes]
    given: list[TensorShape | None] = [TensorShape(s) for s in shapes]
    if len(given) != count:
        raise InvalidArgumentError(f"There are {count} components and {len(given)} shapes.")
    if not partial and any(s is None or None in s for s in given):
        raise ValueError(f"Shapes must be known in full, or use PaddingFIFOQueue: {given}")
    return given
