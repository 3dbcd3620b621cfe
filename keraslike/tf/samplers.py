"""Functions of `tf.random` that draw classes other than the true ones, for losses over many
classes: with a seed, the classes that TensorFlow draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keraslike import random
from keraslike.core import rng
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.data import philox as words_of
from keraslike.tf import philox
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.effects import check_range
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, array_in


class Words:
    """The 32-bit numbers of a generator one by one, and what others are made of them."""

    def __init__(self, state: np.ndarray):
        start, high, key = (int(word) for word in state)
        self._words = self._all((key, high), start)

    @staticmethod
    def _all(seeds: tuple[int, int], start: int) -> Iterator[int]:
        for count in itertools.chain([16, 256], itertools.repeat(4096)):
            yield from words_of.draw(seeds, start, count).tolist()
            start += count

    def unit(self) -> float:
        """A number of [0, 1) with 23 bits."""
        return (next(self._words) & 0x7FFFFF) / 2**23

    def double(self) -> float:
        """A number of [0, 1) with 52 bits."""
        high, low = next(self._words) & 0xFFFFF, next(self._words)
        return (high << 32 | low) / 2**52

    def below(self, end: int, bits: int = 32) -> int:
        """An integer below `end`, of numbers of 32 or 64 bits."""
        while True:
            drawn = next(self._words)
            if bits == 64:
                drawn |= next(self._words) << 32
            if end & (end - 1) == 0:
                return drawn & (end - 1)
            if drawn >= (2**bits - 1) % end + 1:
                return drawn % end


def state_of(name: str, seed: int | None, count: int, gap: int = 256) -> np.ndarray:
    """The state of an operation that draws with every call: of the seeds, or else a random one.

    Args:
        count, gap: how many values of the counter it keeps for itself: `count * gap`.

    Raises NeedsPython in a trace, so that functions are run by Python.
    """
    if not trace_state_clean():
        raise NeedsPython(f"{name} draws on the host: it cannot be traced.")
    state = philox.state_now(name, None if seed is None else int(static(seed)), count, gap)
    if state is not None:
        return state
    key = None if seed is None else rng.operation_key(int(static(seed)))
    drawn = np.asarray(random.randint((2,), 0, 2**31 - 1, "int32", seed=key))
    return np.array([0, *drawn], np.uint64)


class Candidates(NamedTuple):
    sampled_candidates: Any
    true_expected_count: Any
    sampled_expected_count: Any


def check_classes(
    name: str, true: Any, num_true: int, count: int, unique: bool, end: int, kinds: int
) -> None:
    """Raises InvalidArgumentError for true classes of another shape or not below `end`, and for
    more distinct classes than exist."""
    shape = tuple(true.shape)
    if len(shape) != 2 or shape[1] != num_true:
        raise InvalidArgumentError(
            f"{name}: true_classes must have shape (batch, num_true={num_true}). Received: {shape}"
        )
    check_range(f"{name}: true_classes", array_in(true), 0, end - 1)
    if unique and count > kinds:
        raise InvalidArgumentError(f"{name}: {count} different classes cannot be drawn of {kinds}.")


def _candidates(
    name: str,
    true_classes: Any,
    sizes: tuple[Any, Any, Any],
    unique: bool,
    seed: int | None,
    sample: Callable[[Words], int],
    probability: Callable[[np.ndarray], np.ndarray],
) -> Candidates:
    true = host(_as_operand(true_classes), f"tf.random.{name}", "call it outside of tf.function.")
    width, count, end = (int(static(n)) for n in sizes)
    check_classes(f"tf.random.{name}", true, width, count, unique, end, end)
    label = f"{name} {width} {count} {end} {unique}"
    words = Words(state_of(label, seed, 2 * count))
    if unique:
        chosen: dict[int, None] = {}
        tries = 0
        while len(chosen) < count:
            tries += 1
            chosen.setdefault(sample(words))
        found = list(chosen)
    else:
        found, tries = [sample(words) for _ in range(count)], count

    def expected(classes: np.ndarray) -> Tensor:
        share = probability(classes.astype(np.float64)).astype(np.float32)
        if tries == count:
            return constant(share * np.float32(count))
        exact = -np.expm1(tries * np.log1p(-share.astype(np.float64)))
        return constant(exact.astype(np.float32))

    numbers = np.asarray(found, np.int64)
    return Candidates(constant(numbers), expected(true), expected(numbers))


def uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Draws classes below `range_max`, all equally likely.

    Args:
        true_classes: int64 `(batch, num_true)`.
        unique: whether no class is drawn twice.

    Returns `(sampled_candidates, true_expected_count, sampled_expected_count)`: the classes, and
    the expected number of each true and each sampled class among them.

    >>> drawn, true, _ = tf.random.uniform_candidate_sampler([[0]], 1, 4, False, 8)
    >>> drawn.shape, true.numpy().tolist()
    (TensorShape([4]), [[0.5]])
    """
    end = int(static(range_max))
    return _candidates(
        "uniform_candidate_sampler",
        true_classes,
        (num_true, num_sampled, range_max),
        unique,
        seed,
        lambda words: words.below(end, 64),
        lambda classes: np.full(classes.shape, 1 / np.float32(end)),
    )


def log_uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Draws classes below `range_max`, class `c` with the probability
    `log((c + 2) / (c + 1)) / log(range_max + 1)`: the distribution of words that are numbered by
    decreasing frequency. For the arguments and results see `uniform_candidate_sampler`.

    >>> drawn, _, _ = tf.random.log_uniform_candidate_sampler([[0]], 1, 4, True, 8, seed=1)
    >>> drawn.shape
    TensorShape([4])
    """
    end = int(static(range_max))
    length = math.log1p(end)
    return _candidates(
        "log_uniform_candidate_sampler",
        true_classes,
        (num_true, num_sampled, range_max),
        unique,
        seed,
        lambda words: (int(math.exp(words.double() * length)) - 1) % end,
        lambda classes: np.log((classes + 2) / (classes + 1)) / length,
    )


def learned_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Draws classes below `range_max`, with probabilities proportional to 1 plus how often each was
    a true class in earlier calls with the same arguments. For the arguments and results see
    `uniform_candidate_sampler`. Without a seed each call has its own counts, as in TensorFlow.

    >>> drawn, true, _ = tf.random.learned_unigram_candidate_sampler([[0]], 1, 4, False, 8, seed=1)
    >>> drawn.shape, true.numpy().tolist()
    (TensorShape([4]), [[0.5]])
    """
    end = int(static(range_max))
    sizes = num_true, num_sampled, range_max
    key = ("seen", *(int(static(n)) for n in sizes), unique, seed, rng.chosen)
    seen = np.ones(end, np.int64)
    if seed is not None:
        seen = rng.drawn.setdefault(key, seen)
    ends = np.cumsum(seen)
    found = _candidates(
        "learned_unigram_candidate_sampler",
        true_classes,
        sizes,
        unique,
        seed,
        lambda words: int(np.searchsorted(ends, words.below(int(ends[-1])), "right")),
        lambda classes: (seen[classes.astype(np.int64)] / np.float32(ends[-1])).astype(np.float32),
    )
    np.add.at(seen, np.ravel(static(true_classes)).astype(np.int64), 1)
    return found


def all_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """All `num_sampled` classes in order, each to be expected once; for the results see
    `uniform_candidate_sampler`.

    >>> tf.random.all_candidate_sampler([[1]], 1, 3, True)[0].numpy().tolist()
    [0, 1, 2]
    """
    count = int(static(num_sampled))
    true, width = _as_operand(true_classes), int(static(num_true))
    check_classes("tf.random.all_candidate_sampler", true, width, count, unique, count, count)
    once = constant(np.ones(tuple(true.shape), np.float32))
    return Candidates(constant(np.arange(count)), once, constant(np.ones(count, np.float32)))


__all__ = [
    *("all_candidate_sampler", "learned_unigram_candidate_sampler"),
    *("log_uniform_candidate_sampler", "uniform_candidate_sampler"),
]
