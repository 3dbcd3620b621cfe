"""Connectionist temporal classification (`tf.nn.ctc_*`)."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.ops import ctc
from keraslike.tf import effects, ops, sorting, sparse_tensor, table
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.errors import FailedPreconditionError, InvalidArgumentError
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, raw, run


def ctc_loss(
    labels: Any,
    logits: Any,
    label_length: Any,
    logit_length: Any,
    logits_time_major: bool = True,
    unique: Any = None,
    blank_index: Any = None,
    name: Any = None,
) -> Tensor:
    """The CTC loss of each sample, for labels and a longer sequence of logits.

    Args:
        labels: `(batch, labels)`, or a sparse tensor of that shape, which requires `blank_index`
            and ignores `label_length`.
        logits: `(steps, batch, classes)`; `(batch, steps, classes)` if not `logits_time_major`.
        blank_index: the class of the blank, counted from the end if negative; 0 by default.

    >>> logits = tf.zeros([2, 1, 3])
    >>> tf.nn.ctc_loss([[1]], logits, [1], [2], blank_index=0).numpy().round(4)
    array([1.0986], dtype=float32)
    """
    logits = _as_operand(logits)
    if isinstance(labels, SparseTensor):
        if blank_index is None:
            raise ValueError("blank_index must be given where labels are a SparseTensor.")
        last = int(static(blank_index)) % int(logits.shape[-1]) == logits.shape[-1] - 1
        if last:
            return ctc_loss_of_sparse(labels, logits, logit_length, logits_time_major, False)
        labels, label_length = _dense(labels)
    labels, lengths, steps = (ops.cast(v, "int32") for v in (labels, label_length, logit_length))
    blank = 0 if blank_index is None else int(static(blank_index)) % int(logits.shape[-1])
    return run(_ctc, (logits, labels, lengths, steps), (bool(logits_time_major), blank))


def ctc_loss_of_sparse(
    labels: SparseTensor, logits: Any, steps: Any, time_major: bool, ignore_longer: bool
) -> Tensor:
    """The CTC loss of sparse labels, with the last class as the blank.

    Raises InvalidArgumentError for more labels than steps, unless those cost 0 (`ignore_longer`).
    """
    logits = _as_operand(logits)
    labels, lengths, steps = (ops.cast(v, "int32") for v in (*_dense(labels), steps))
    if not ignore_longer:
        effects.checked(_check_labels, raw(lengths), raw(steps))
    rest = (bool(time_major), int(logits.shape[-1]) - 1, ignore_longer)
    return run(_ctc_of_sparse, (logits, labels, lengths, steps), rest)


def _check_labels(lengths: Any, steps: Any) -> None:
    if (lengths > steps).any():
        raise InvalidArgumentError(
            f"Not enough steps for the labels: there are {lengths} labels and {steps} steps."
        )


def _ctc_of_sparse(
    logits: Any,
    labels: Any,
    lengths: Any,
    steps: Any,
    time_major: bool,
    blank: int,
    ignore_longer: bool,
) -> Any:
    logits = jnp.swapaxes(logits, 0, 1) if time_major else logits
    losses = ctc.ctc_loss(labels, logits, lengths, steps, blank).astype(logits.dtype)
    # If there are fewer steps than labels and the blanks between equal labels, the loss is infinite
    # and its gradient is the softmax.
    counts = jnp.arange(labels.shape[1]) < lengths[:, None]
    twins = jnp.sum((labels[:, 1:] == labels[:, :-1]) & counts[:, 1:], 1)
    counts = jnp.arange(logits.shape[1]) < steps[:, None]
    sums = jnp.sum(jnp.where(counts, jax.nn.logsumexp(logits, -1), 0), 1)
    endless = sums - jax.lax.stop_gradient(sums) + jnp.inf
    losses = jnp.where(lengths + twins > steps, endless, losses)
    return jnp.where(lengths > steps, 0, losses) if ignore_longer else losses


def merged(labels: SparseTensor) -> SparseTensor:
    """The labels with repeated ones merged.

    >>> merged(sparse_tensor.from_dense([[1, 1, 2]])).values.numpy().tolist()
    [1, 2]
    """
    what = "The count of labels"
    indices, values = (host(v, what, "call it outside.") for v in (labels.indices, labels.values))
    rows: list[list[int]] = [[] for _ in range(int(labels._sizes[0]))]
    before: tuple = (None, None)
    for row, value in zip(indices[:, 0].tolist(), values.tolist()):
        if (row, value) != before:
            rows[row].append(value)
        before = (row, value)
    return _sparse_rows([np.asarray(row, np.int64) for row in rows])


def _dense(labels: SparseTensor) -> tuple[Tensor, Tensor]:
    """Sparse labels as dense ones, and their number in each row."""
    filled = sparse_tensor.to_dense(labels, default_value=-1)
    lengths = table.reduce_sum(ops.cast(filled >= 0, "int32"), 1)
    return table.maximum(filled, 0), lengths


def _ctc(logits: Any, labels: Any, lengths: Any, steps: Any, time_major: bool, blank: int) -> Any:
    logits = jnp.swapaxes(logits, 0, 1) if time_major else logits
    return ctc.ctc_loss(labels, logits, lengths, steps, blank).astype(logits.dtype)


def _checked(inputs: Any, sequence_length: Any) -> tuple[Any, Any]:
    inputs, lengths = _as_operand(inputs), ops.cast(sequence_length, "int32")
    if len(inputs.shape) != 3:
        raise InvalidArgumentError(
            f"inputs must have shape (steps, batch, classes). Received: {tuple(inputs.shape)}"
        )
    steps, batch, _ = inputs.shape
    if tuple(lengths.shape) != (batch,):
        raise FailedPreconditionError(
            f"sequence_length must have shape ({batch},). Received: {tuple(lengths.shape)}"
        )
    effects.checked(functools.partial(_check_lengths, steps), raw(lengths))
    return inputs, lengths


def _check_lengths(steps: int, lengths: Any) -> None:
    if (lengths > steps).any():
        raise FailedPreconditionError(
            f"sequence_length must be at most {steps}, the steps of inputs. Received: {lengths}"
        )


def _greedy(inputs: Any, lengths: Any, merged: bool, blank: int) -> Any:
    x = jnp.swapaxes(inputs, 0, 1)
    return ctc.ctc_decode(x, lengths, "greedy", merge_repeated=merged, mask_index=blank)


class _Beginning:
    """A node in the tree of a beam search: a sequence of labels, with the log probabilities of all
    alignments, of those that end in a blank and of those that end in the last label."""

    def __init__(self, parent: _Beginning | None, label: int):
        self.parent, self.label = parent, label
        self.longer: dict[int, _Beginning] = {}
        self.before = self.now = _NOTHING

    def labels(self) -> list[int]:
        found, node = [], self
        while node.parent is not None:
            found.append(node.label)
            node = node.parent
        return found[::-1]


_NOTHING = (-math.inf, -math.inf, -math.inf)


def _beam_search(logits: np.ndarray, width: int, top: int) -> list[tuple[list[int], float]]:
    """The most probable label sequences of one sample `(steps, classes)`, and their log
    probabilities.

    A prefix that a more probable one removes from the beam is not extended in the same step if its
    parent was processed first. This is TensorFlow's order, and the sums depend on it.
    """
    root = _Beginning(None, -1)
    root.now = (0.0, 0.0, -math.inf)
    kept = [root]
    order = itertools.count()
    blank = logits.shape[1] - 1
    for row in _log_softmax(logits):
        branches = sorted(kept, key=lambda node: -node.now[0])
        for node in branches:
            node.before = node.now
        for node in branches:
            of_label = node.now[2]
            if node.parent is not None:
                if node.parent.now[0] > -math.inf:
                    of_label = _added(of_label, _leading(node.parent, node.label))
                of_label += row[node.label]
            of_blank = node.before[0] + row[blank]
            node.now = (_added(of_blank, of_label), of_blank, of_label)
        heap = [(node.now[0], -next(order), node) for node in branches]
        heapq.heapify(heap)
        for node in branches:
            if not _enters(node.before[0], heap, width):
                continue
            more = node.before[0] + row[:blank]
            if node.label >= 0:
                more[node.label] = node.before[1] + row[node.label]
            least = heap[0][0] if len(heap) == width else -math.inf
            for label in sorted({*np.flatnonzero(more > least).tolist(), *node.longer}):
                found = node.longer.get(label)
                if found is not None and found.now[0] > -math.inf:
                    continue
                if not _enters(more[label], heap, width):
                    if found is not None:
                        found.before = found.now = _NOTHING
                    continue
                found = node.longer.setdefault(label, _Beginning(node, label))
                found.now = (more[label], -math.inf, more[label])
                entry = (more[label], -next(order), found)
                if len(heap) == width:
                    heapq.heapreplace(heap, entry)[2].now = _NOTHING
                else:
                    heapq.heappush(heap, entry)
        kept = [node for _, _, node in heap]
    if len(kept) < top:
        raise InvalidArgumentError(f"The search has {len(kept)} results, fewer than {top}.")
    best = sorted(kept, key=lambda node: -node.now[0])[:top]
    return [(node.labels(), node.now[0]) for node in best]


def _leading(parent: _Beginning, label: int) -> float:
    """The log probability of the alignments that a label can extend: only those that end in a blank
    if it repeats the last label."""
    return parent.before[1 if label == parent.label else 0]


def _enters(value: float, heap: list, width: int) -> bool:
    return value > -math.inf and (len(heap) < width or value > heap[0][0])


def _added(a: float, b: float) -> float:
    return float(np.logaddexp(a, b))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _sparse_rows(rows: list[np.ndarray]) -> SparseTensor:
    """Rows of labels as a sparse tensor whose width is that of the longest."""
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int64)
    indices = np.asarray(places, np.int64).reshape(-1, 2)
    return SparseTensor(indices, values, (len(rows), max(map(len, rows), default=0)))


def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: Any = None
) -> tuple[list[SparseTensor], Tensor]:
    """The most probable class at each step, without blanks.

    Args:
        inputs: `(steps, batch, classes)`, logits.
        sequence_length: `(batch,)`, the number of valid steps of each sample.

        merge_repeated: whether repeated labels are merged.
        blank_index: the class of the
            blank, the last one by default.

    Returns a list of one sparse tensor of labels `(batch, labels)`, and minus the sums of the
    logits that were chosen, `(batch, 1)`.

    >>> logits = tf.one_hot([[0], [0], [2], [1]], 3)
    >>> decoded, _ = tf.nn.ctc_greedy_decoder(logits, [4])
    >>> tf.sparse.to_dense(decoded[0]).numpy().tolist()
    [[0, 1]]
    """
    classes = _as_operand(inputs).shape[-1]
    blank = classes - 1 if blank_index is None else int(static(blank_index))
    if not -classes <= blank < classes:
        raise InvalidArgumentError(f"blank_index must be one of {classes} classes, not {blank}.")
    given = _checked(inputs, sequence_length)
    paths, scores = run(_greedy, given, (bool(merge_repeated), blank % classes), constant=(0, 1))
    found = host(paths, "The count of labels that are decoded", "call it outside.")
    return [_sparse_rows([row[row >= 0] for row in path]) for path in found], scores


def ctc_beam_search_decoder(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[SparseTensor], Tensor]:
    """The most probable label sequences, by a search that keeps the `beam_width` best prefixes.

    Args:
        inputs: `(steps, batch, classes)`, logits; the last class is the blank.
        sequence_length: `(batch,)`, how many steps of each sample count.
        top_paths: how many sequences are returned, the most probable first.

    Returns a list of sparse tensors of labels `(batch, labels)`, one for each sequence, and their
    log probabilities `(batch, top_paths)`.

    >>> logits = 9 * tf.one_hot([[0], [0], [2], [1]], 3)
    >>> decoded, _ = tf.nn.ctc_beam_search_decoder(logits, [4])
    >>> tf.sparse.to_dense(decoded[0]).numpy().tolist()
    [[0, 1]]
    """
    if top_paths > beam_width:
        raise InvalidArgumentError(
            f"top_paths must be at most beam_width. Received: {top_paths}, {beam_width}"
        )
    given = _checked(inputs, sequence_length)
    what = "The count of labels that are decoded"
    logits, lengths = (host(v, what, "call it outside.") for v in given)
    samples = zip(logits.swapaxes(0, 1), lengths.tolist())
    found = [_beam_search(x[:n], int(beam_width), int(top_paths)) for x, n in samples]
    scores = np.asarray([[value for _, value in row] for row in found], logits.dtype)
    readings = [[np.asarray(row[k][0], np.int64) for row in found] for k in range(top_paths)]
    return [_sparse_rows(rows) for rows in readings], constant(scores.reshape(-1, top_paths))


def ctc_unique_labels(labels: Any, name: Any = None) -> tuple[Tensor, Tensor]:
    """The distinct labels of each row, padded with 0, and the index of each label among them.

    >>> found, places = tf.nn.ctc_unique_labels([[3, 4, 4, 3]])
    >>> found.numpy().tolist(), places.numpy().tolist()
    ([[3, 4, 0, 0]], [[0, 1, 1, 0]])
    """

    def of_row(row: Any) -> tuple[Any, Any]:
        values, places = sorting.unique(row)
        more = places.shape[0] - values.shape[0]
        return ops.cast(ops.pad(values, [[0, more]]), "int64"), places

    rows = [of_row(row) for row in _as_operand(labels)]
    return ops.stack([r[0] for r in rows]), ops.stack([r[1] for r in rows])


def collapse_repeated(labels: Any, seq_length: Any, name: Any = None) -> tuple[Tensor, Tensor]:
    """The labels with repeated ones merged, padded with 0, and their number in each row.

    >>> found, lengths = tf.nn.collapse_repeated([[1, 1, 2, 2, 1]], [4])
    >>> found.numpy().tolist(), lengths.numpy().tolist()
    ([[1, 2]], [2])
    """
    given = (_as_operand(labels), _as_operand(seq_length))
    rows, lengths = (host(v, "The count of labels", "call it outside.") for v in given)
    kept = [row[:n][np.diff(row[:n], prepend=row[:1] - 1) != 0] for row, n in zip(rows, lengths)]
    counts = np.asarray([len(row) for row in kept], lengths.dtype)
    out = np.zeros((len(kept), max(counts, default=0)), rows.dtype)
    for row, own in zip(out, kept):
        row[: len(own)] = own
    return constant(out), constant(counts)


__all__ = [
    *("collapse_repeated", "ctc_beam_search_decoder", "ctc_greedy_decoder", "ctc_loss"),
    "ctc_unique_labels",
]
