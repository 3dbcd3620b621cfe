"""Sampled losses for many classes, and their samplers (`tf.nn`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.tf import derivatives, documentation, dtypes, ops, random
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.embeddings import partitioned
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.gfile import GFile
from keraslike.tf.samplers import Candidates, check_classes, log_uniform_candidate_sampler
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, run


def _drawn(
    name: str,
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    seed: Any,
    of: Any,
    kinds: int,
    end: int,
) -> Candidates:
    """Classes drawn from the distribution `of`, over `kinds` of the classes below `end`."""
    classes, count = ops.cast(true_classes, dtypes.int32), int(static(num_sampled))
    width = int(static(num_true))
    check_classes(f"tf.nn.{name}", classes, width, count, unique, end, kinds)
    start = random.uniform([2], maxval=np.iinfo(np.int32).max, dtype=dtypes.int32, seed=seed)
    found = run(_sampled, (classes, start), (count, bool(unique), of))
    sampled, *counts = found
    return Candidates(ops.cast(sampled, dtypes.int64), *counts)


def _sampled(classes: Any, start: Any, count: int, unique: bool, of: Any) -> Any:
    key = jax.random.wrap_key_data(start.astype(jnp.uint32), impl="threefry2x32")
    if unique:
        sampled, tries = _different(key, count, of.draw)
    else:
        sampled, tries = of.draw(jax.random.uniform(key, (count,), jnp.float32)), count

    def expected(numbers: Any) -> Any:
        p = of.chances(numbers)
        if not unique:
            return (p * count).astype(jnp.float32)
        # Classes were drawn until enough of them were distinct.
        among = -jnp.expm1(tries * jnp.log1p(-p))
        return jnp.where(tries == count, p * count, among).astype(jnp.float32)

    return sampled, expected(classes), expected(sampled)


def _different(key: Any, count: int, draw: Callable) -> tuple[Any, Any]:
    """`count` distinct classes, and the number of draws."""

    def more(state: tuple) -> Any:
        return state[1] < count

    def one(state: tuple) -> tuple:
        found, filled, tries = state
        new = draw(jax.random.uniform(jax.random.fold_in(key, tries), (1,), jnp.float32))[0]
        known = jnp.any(found == new)
        found = jnp.where(known, found, found.at[filled].set(new))
        return found, filled + ~known, tries + 1

    zero = jnp.zeros((), jnp.int32)
    found, _, tries = jax.lax.while_loop(more, one, (jnp.full(count, -1, jnp.int32), zero, zero))
    return found, tries.astype(jnp.float32)


class _LogUniform(NamedTuple):
    range_max: int

    def draw(self, drawn: Any) -> Any:
        found = jnp.floor(jnp.exp(drawn * np.log1p(self.range_max))).astype(jnp.int32) - 1
        return found % self.range_max

    def chances(self, classes: Any) -> Any:
        n = classes.astype(jnp.float32)
        return (jnp.log((n + 2) / (n + 1)) / np.log1p(self.range_max)).astype(jnp.float32)


class _Given(NamedTuple):
    weights: tuple[float, ...]

    def draw(self, drawn: Any) -> Any:
        ends = np.cumsum(self.weights)
        found = jnp.searchsorted(jnp.asarray(ends / ends[-1], jnp.float32), drawn, side="right")
        return jnp.minimum(found, len(self.weights) - 1).astype(jnp.int32)

    def chances(self, classes: Any) -> Any:
        shares = np.asarray(self.weights) / np.sum(self.weights)
        return jnp.asarray(shares, jnp.float32)[classes]


def fixed_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    vocab_file: str = "",
    distortion: float = 1.0,
    num_reserved_ids: int = 0,
    num_shards: int = 1,
    shard: int = 0,
    unigrams: Any = (),
    seed: Any = None,
    name: Any = None,
) -> Candidates:
    """Classes drawn in proportion to given counts.

    Args:
        true_classes: `(batch, num_true)`.
        num_sampled: how many classes are drawn.
        unique: whether they are distinct.
        vocab_file: a file with lines that end in a comma and a count; or
        unigrams: the counts.
        distortion: the power to which counts are raised.
        num_reserved_ids: how many classes before them are never drawn.
        num_shards, shard: draws only classes `shard`, `shard + num_shards` and so on.

    Raises InvalidArgumentError if both or neither of `vocab_file` and `unigrams` are given.

    >>> drawn = tf.nn.fixed_unigram_candidate_sampler([[1]], 1, 4, False, 3, unigrams=[0, 1, 0])
    >>> drawn.sampled_candidates.numpy().tolist(), drawn.true_expected_count.numpy().tolist()
    ([1, 1, 1, 1], [[4.0]])
    """
    if bool(vocab_file) == bool(len(unigrams)):
        raise InvalidArgumentError("Exactly one of vocab_file and unigrams must be given.")
    counts = list(static(unigrams))
    if vocab_file:
        with GFile(vocab_file) as file:
            counts = [float(line.rpartition(",")[2]) for line in file if line.strip()]
    weights = [0.0] * num_reserved_ids + [float(c) ** distortion for c in counts]
    if len(weights) != static(range_max):
        raise InvalidArgumentError(f"range_max={range_max}, but there are {len(weights)} counts.")
    own = tuple(w if i % num_shards == shard else 0.0 for i, w in enumerate(weights))
    given = (true_classes, num_true, num_sampled, unique, seed)
    kinds = sum(w > 0 for w in own)
    return _drawn("fixed_unigram_candidate_sampler", *given, _Given(own), kinds, len(own))


def compute_accidental_hits(
    true_classes: Any,
    sampled_candidates: Any,
    num_true: int,
    seed: Any = None,
    name: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The candidates that are true classes: rows, positions among the candidates, and weights,
    which are the lowest float32.

    >>> rows, places, _ = tf.nn.compute_accidental_hits([[3], [5]], [5, 7, 3], 1)
    >>> rows.numpy().tolist(), places.numpy().tolist()
    ([0, 1], [2, 0])
    """
    true, sampled = (
        host(_as_operand(v), "The count of hits", "tf.nn.nce_loss and others need none.")
        for v in (true_classes, sampled_candidates)
    )
    if true.ndim != 2 or true.shape[1] != num_true:
        raise InvalidArgumentError(
            f"true_classes must have shape (batch, {num_true}). Received shape: {true.shape}"
        )
    places = {n: i for i, n in enumerate(sampled.tolist())}
    found = [(i, places[n]) for i, row in enumerate(true.tolist()) for n in row if n in places]
    rows, columns = np.asarray(found, np.int64).reshape(-1, 2).T
    lowest = np.full(len(found), np.finfo(np.float32).min, np.float32)
    return constant(rows.astype(np.int32)), constant(columns), constant(lowest)


# -- losses -------------------------------------------------------------------------------------


def _logits(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int,
    sampled_values: Any,
    without_hits: bool,
    seed: Any = None,
    strategy: str = "div",
) -> tuple[Tensor, Tensor]:
    """Logits of the true and the sampled classes, minus the logarithms of their expected counts,
    and their targets."""
    labels = ops.cast(labels, dtypes.int32)
    if len(labels.shape) == 1:
        labels = ops.expand_dims(labels, -1)
    if sampled_values is None:
        given = (labels, num_true, num_sampled, True)
        if trace_state_clean():
            sampled_values = log_uniform_candidate_sampler(*given, num_classes, seed)
        else:  # if TensorFlow's numbers cannot be drawn one by one
            end = int(static(num_classes))
            sampled_values = _drawn("sampler", *given, seed, _LogUniform(end), end, end)
    sampled, true_count, sampled_count = (ops.stop_gradient(v) for v in sampled_values)
    sampled = ops.cast(sampled, dtypes.int32)
    classes = ops.concat([ops.reshape(labels, [-1]), sampled], 0)
    rows = partitioned(weights, classes, strategy)
    offsets = partitioned(biases, classes, strategy)
    given = (_as_operand(inputs), rows, offsets, labels, sampled, true_count, sampled_count)
    return run(_logits_of, given, (num_true, without_hits))


def _logits_of(
    x: Any,
    rows: Any,
    offsets: Any,
    labels: Any,
    sampled: Any,
    true_count: Any,
    sampled_count: Any,
    num_true: int,
    without_hits: bool,
) -> Any:
    count = labels.size
    of_true = rows[:count].reshape(-1, num_true, rows.shape[-1])
    true = jnp.einsum("bd,btd->bt", x, of_true) + offsets[:count].reshape(-1, num_true)
    others = x @ rows[count:].T + offsets[count:]
    if without_hits:
        hits = jnp.sum(labels[:, :, None] == sampled, 1)
        others = others + hits.astype(others.dtype) * jnp.finfo(jnp.float32).min
    true = true - jnp.log(true_count).astype(x.dtype)
    others = others - jnp.log(sampled_count).astype(x.dtype)
    targets = jnp.concatenate([jnp.ones_like(true) / num_true, jnp.zeros_like(others)], 1)
    return jnp.concatenate([true, others], 1), jax.lax.stop_gradient(targets)


def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    name: Any = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation (Gutmann and Hyvärinen 2010): the cross-entropies of
    distinguishing true from sampled classes, summed for each row of `inputs`.

    Args:
        weights: `(num_classes, features)`, or a list of tensors that it is divided into.
        biases: `(num_classes,)`.
        labels: `(batch, num_true)`.
        inputs: `(batch, features)`.
        sampled_values: the result of a sampler, by default `log_uniform_candidate_sampler`.
        remove_accidental_hits: whether sampled classes that are true ones are excluded.

    >>> drawn = tf.nn.all_candidate_sampler([[0]], 1, 2, True)
    >>> weights, biases = tf.zeros([2, 3]), tf.zeros([2])
    >>> loss = tf.nn.nce_loss(weights, biases, [[0]], tf.ones([1, 3]), 2, 2, sampled_values=drawn)
    >>> loss.numpy().round(4)
    array([2.0794], dtype=float32)
    """
    given = (weights, biases, labels, inputs, num_sampled, num_classes, num_true)
    logits, targets = _logits(*given, sampled_values, remove_accidental_hits)
    return run(_binary, (targets, logits))


def _binary(targets: Any, logits: Any) -> Any:
    return jnp.sum(derivatives.sigmoid_loss(targets, logits), -1)


def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    seed: Any = None,
    name: Any = "sampled_softmax_loss",
) -> Tensor:
    """The softmax cross-entropy over the true and the sampled classes, for each row of `inputs`.

    Args: see `nce_loss`.

    >>> drawn = tf.nn.all_candidate_sampler([[0]], 1, 2, True)
    >>> weights, biases = tf.zeros([2, 3]), tf.zeros([2])
    >>> tf.nn.sampled_softmax_loss(
    ...     weights, biases, [[0]], tf.ones([1, 3]), 2, 2, sampled_values=drawn
    ... ).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    given = (weights, biases, labels, inputs, num_sampled, num_classes, num_true)
    logits, targets = _logits(*given, sampled_values, remove_accidental_hits, seed)
    return run(derivatives.softmax_loss, (targets, logits), (-1,))


documentation.describe(globals(), "nn")

__all__ = [
    *("compute_accidental_hits", "fixed_unigram_candidate_sampler", "nce_loss"),
    "sampled_softmax_loss",
]
