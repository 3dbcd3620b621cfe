"""Random numbers as TensorFlow's data sets draw them, so that a seed gives its order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from keraslike.core import rng

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85
_DEFAULT = 87654321  # TensorFlow's, where only a data set is given a seed
Seeds = tuple[int, int]


def seeds(seed: int | None) -> Seeds:
    """The two seeds of a data set's draws: the global one, and its own."""
    if seed is None:
        own = int(np.random.randint(2**31))
        return (_DEFAULT if rng.chosen is None else rng.chosen), own
    return (_DEFAULT if rng.chosen is None else rng.chosen), int(seed)


def draw(seeds: Seeds, start: int, count: int) -> np.ndarray:
    """32-bit numbers of the generator Philox 4x32-10 (Salmon et al., 2011), four for each of
    `count` values of its counter.

    >>> draw((87654321, 4), 0, 1).tolist()
    [3128586565, 2023892699, 452966358, 4293674553]
    """
    key, high = (seed & 0xFFFFFFFFFFFFFFFF for seed in seeds)
    number = np.arange(start, start + count, dtype=np.uint64)
    a, b = number & _LOW, number >> _HALF
    c, d = np.uint64(high & 0xFFFFFFFF), np.uint64(high >> 32)
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = a * _FACTORS[0], c * _FACTORS[1]
        a, b = (second >> _HALF) ^ b ^ np.uint64(keys[0]), second & _LOW
        c, d = (first >> _HALF) ^ d ^ np.uint64(keys[1]), first & _LOW
        keys = [(k + step) & 0xFFFFFFFF for k, step in zip(keys, _STEPS)]
    return np.stack([a, b, c, d], 1).reshape(-1)


def numbers(seeds: Seeds) -> Iterator[int]:
    """All of them, one after the other."""
    start = 0
    for count in itertools.chain([16, 64], itertools.repeat(1024)):
        yield from draw(seeds, start, count).tolist()
        start += count


def of_iteration(seeds: Seeds, times: int) -> Seeds:
    """The seeds of iteration number `times` of a data set that has an order of its own in each."""
    pair = draw(seeds, times // 2, 1)[2 * (times % 2) :]
    return int(pair[0]), int(pair[1])


def rolled(items: Iterator, size: int, draws: Iterator[int]) -> Iterator:
    """The items, each drawn among the next `size` of them."""
    buffer = list(itertools.islice(items, size))
    place = 0
    if len(buffer) == size:
        for new in items:
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
