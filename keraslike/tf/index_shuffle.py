"""`tf.random.experimental.index_shuffle`: single positions of a permutation that is never computed
as a whole, by a block cipher whose results beyond the last index are encrypted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.tf.conversion import _as_operand, constant
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor

_FIRST_KEY = 498247692  # before the two numbers of a seed
_CONSTANTS = 0x7369F885192C0EF5  # a bit for each round key
_ROUNDS = 4
_KNOWN = "An index that is shuffled", "shuffle in the map() of a data set, or outside."


def index_shuffle(index: Any, seed: Any, max_index: Any) -> Tensor:
    """The positions of indices in a permutation of `[0, ..., max_index]`, which a seed determines.

    Args:
        index: an index, or a vector of them.
        seed: two numbers, or two numbers for each index.
        max_index: the last index of what is permuted, or one for each index.

    Raises InvalidArgumentError for an index outside of the range.

    >>> tf.random.experimental.index_shuffle(tf.range(4), seed=[5, 9], max_index=3).numpy().tolist()
    [2, 0, 1, 3]
    """
    given = _as_operand(index)
    indices = host(given, *_KNOWN)
    seeds = host(_as_operand(seed), *_KNOWN).astype(np.int64) % 2**32
    last = host(_as_operand(max_index), *_KNOWN)
    if seeds.shape[-1:] != (2,) or seeds.ndim > 2:
        raise InvalidArgumentError(f"seed must have the shape (2,) or (N, 2): {seeds.shape}")
    if (indices < 0).any() or (indices > last).any():
        raise InvalidArgumentError("index must be in the range [0, max_index].")
    shape = np.broadcast_shapes(indices.shape, seeds.shape[:-1], last.shape)
    each = np.broadcast_to(indices, shape).reshape(-1).tolist()
    keys = np.broadcast_to(seeds, (*shape, 2)).reshape(-1, 2).tolist()
    ends = np.broadcast_to(last, shape).reshape(-1).tolist()
    found = [_position(i, key, end) for i, key, end in zip(each, keys, ends)]
    return constant(np.array(found, indices.dtype).reshape(shape))


def _position(index: int, seed: list[int], last: int) -> int:
    if last == 0:
        return 0
    bits = (last - 1).bit_length()
    half = max(bits + bits % 2, 16) // 2
    mask = (1 << half) - 1

    def rotated(x: int, left: int) -> int:
        return (x << left | x >> half - left) & mask

    keys = [key & mask for key in (_FIRST_KEY, *seed)]
    for i in range(_ROUNDS - 3):
        mixed = rotated(keys[-1], half - 3) ^ rotated(keys[-1], half - 4)
        keys.append((0xFFFFFFFC & mask) ^ (_CONSTANTS >> i & 1) ^ keys[i] ^ mixed)
    while True:
        index = _encrypted(index, keys, half, rotated)
        if index <= last:
            return index


def _encrypted(value: int, keys: list[int], half: int, rotated: Callable[[int, int], int]) -> int:
    left, right = value >> half, value & (1 << half) - 1
    for key in keys:  # each round changes the left half by the right one, and exchanges them
        new = left ^ rotated(right, 1) & rotated(right, 8 % half) ^ rotated(right, 2) ^ key
        left, right = right, new
    return left << half | right
