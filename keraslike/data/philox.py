"""The random numbers of TensorFlow's data sets, so that a seed gives the same order here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keraslike.core import rng
from keraslike.core.iteration import Failed

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85
# The key with which TensorFlow's stateless random operations scramble their seeds.
_SCRAMBLING = 0x3EC8F720, 0x02461E29
_DEFAULT = 87654321  # TensorFlow's global seed if only the data set has one
_MODULUS = 2**31 - 1  # TensorFlow takes seeds modulo this number
Seeds = tuple[int, int]


def seeds(seed: int | None) -> Seeds:
    """The two seeds of a data set: the global one, and its own."""
    if seed is None and rng.chosen is not None:
        pair = rng.chosen % _MODULUS, rng.operation_seed()
    elif seed is None:
        pair = _DEFAULT, int(np.random.randint(2**31))
    else:
        pair = (_DEFAULT if rng.chosen is None else rng.chosen) % _MODULUS, int(seed) % _MODULUS
    return (0, _MODULUS) if pair == (0, 0) else pair


def draw(seeds: Seeds, start: int, count: int) -> np.ndarray:
    """32-bit numbers of the generator Philox 4x32-10 (Salmon et al., 2011), four for each of
    `count` values of its counter.

    >>> draw((87654321, 4), 0, 1).tolist()
    [3128586565, 2023892699, 452966358, 4293674553]
    """
    key, high = (seed & 0xFFFFFFFFFFFFFFFF for seed in seeds)
    number = np.arange(start, start + count, dtype=np.uint64)
    counter = number & _LOW, number >> _HALF, np.uint64(high & 0xFFFFFFFF), np.uint64(high >> 32)
    words = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    return np.stack([np.asarray(w) for w in mixed(counter, words)], 1).reshape(-1)


def mixed(counter: Sequence[Any], key: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """The ten rounds of Philox, for counters of four words and a key of two."""
    a, b, c, d = counter
    for _ in range(10):
        first, second = a * _FACTORS[0], c * _FACTORS[1]
        a, b = (second >> _HALF) ^ b ^ key[0], second & _LOW
        c, d = (first >> _HALF) ^ d ^ key[1], first & _LOW
        key = [(k + np.uint64(step)) & _LOW for k, step in zip(key, _STEPS)]
    return a, b, c, d


def scrambled(seeds: Any) -> tuple[Any, Any, Any, Any]:
    """The key and the upper half of the counter, two words each, with which TensorFlow's stateless
    operations draw; `seeds` has the two seeds along its first axis."""
    words = [half for seed in seeds for half in (seed & _LOW, seed >> _HALF)]
    return mixed(words, [np.uint64(k) for k in _SCRAMBLING])


def units(pairs: np.ndarray) -> np.ndarray:
    """A number in `[0, 1)` for each pair of seeds: the first one that TensorFlow's stateless random
    operations draw.

    >>> round(float(units(np.array([[1, 2]]))[0]), 5)
    0.75248
    """
    seeds = np.asarray(pairs, np.uint64)
    first, second, *upper = scrambled(seeds.T)
    zero = np.zeros_like(first)
    high, low, *_ = mixed((zero, zero, *upper), (first, second))
    return (((high & np.uint64(0xFFFFF)) << _HALF) | low).astype(float) * 2.0**-52


def chosen(shares: Iterable[np.ndarray], draws: Iterator[int]) -> Iterator[int]:
    """Random classes, one for each array of probabilities, as `tf.random.stateless_categorical`
    draws them with pairs of the draws as seeds."""
    shares = iter(shares)
    for size in itertools.chain([16], itertools.repeat(512)):
        some = list(itertools.islice(shares, size))
        if not some:
            return
        pairs = np.array(list(itertools.islice(draws, 2 * len(some)))).reshape(-1, 2)
        for unit, share in zip(units(pairs).tolist(), some):
            yield int(np.searchsorted(edges := np.cumsum(share), unit * edges[-1], "right"))


def rates(seeds: Seeds) -> Iterator[float]:
    """Numbers in `[0, 1)`, as consecutive runs of TensorFlow's stateful operation draw them."""
    for start in itertools.count(0, 256):
        yield float(np.float32((int(draw(seeds, start, 1)[0]) & 0x7FFFFF) / 2**23))


def numbers(seeds: Seeds) -> Iterator[int]:
    """The sequence of all 32-bit numbers of the seeds."""
    start = 0
    for count in itertools.chain([16, 64], itertools.repeat(1024)):
        yield from draw(seeds, start, count).tolist()
        start += count


def of_iteration(seeds: Seeds, times: int) -> Seeds:
    """The seeds of iteration number `times` of a data set that is reshuffled in each."""
    pair = draw(seeds, times // 2, 1)[2 * (times % 2) :]
    return int(pair[0]), int(pair[1])


def rolled(items: Iterator, size: int, draws: Iterator[int]) -> Iterator:
    """The items, each drawn from a buffer of the next `size`; a `Failed` is passed on at once."""
    buffer: list[Any] = []
    for item in items:
        if type(item) is Failed:
            yield item
            continue
        buffer.append(item)
        if len(buffer) == size:
            break
    place = 0
    if len(buffer) == size:
        for new in items:
            if type(new) is Failed:
                yield new
                continue
            at = (place + next(draws)) % size
            out, buffer[at] = buffer[at], buffer[place]
            buffer[place] = new
            place = (place + 1) % size
            yield out
    rest = buffer[place:] + buffer[:place]
    for place in range(len(rest)):
        at = place + next(draws) % (len(rest) - place)
        rest[place], rest[at] = rest[at], rest[place]
        yield rest[place]
