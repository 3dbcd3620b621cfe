"""Hashing of text to buckets, with the same results as TensorFlow's functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.core import hashing
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor
from keraslike.tf.unicode import of_ragged, texts


def _buckets(hashed: Callable[[bytes], int], input: Any, num_buckets: Any) -> Tensor:
    count = int(static(num_buckets))
    if count < 1:
        raise InvalidArgumentError(f"num_buckets must be at least 1. Received: {count}")
    given = texts(input)
    found = hashing.hashed(hashed, given.reshape(-1).tolist()) % np.uint64(count)
    return constant(found.astype(np.int64).reshape(given.shape))


@of_ragged
def to_hash_bucket(input: Any, num_buckets: Any, name: str | None = None) -> Tensor:
    """The bucket of each text, an int64 below `num_buckets`, by MurmurHash64A.

    >>> to_hash_bucket(["Hello", "TensorFlow"], 3).numpy().tolist()
    [2, 0]
    """
    return _buckets(hashing.murmur, input, num_buckets)


@of_ragged
def to_hash_bucket_fast(input: Any, num_buckets: Any, name: str | None = None) -> Tensor:
    """The bucket of each text, an int64 below `num_buckets`, by FarmHash's Fingerprint64.

    >>> tf.strings.to_hash_bucket_fast(["a", "b"], 10).numpy().tolist()
    [9, 2]
    """
    return _buckets(hashing.farm, input, num_buckets)


@of_ragged
def to_hash_bucket_strong(
    input: Any, num_buckets: Any, key: Sequence[int], name: str | None = None
) -> Tensor:
    """The bucket of each text, an int64 below `num_buckets`, by SipHash-2-4.

    Args:
        key: a secret key of two integers, which prevents attacks with colliding texts.

    >>> tf.strings.to_hash_bucket_strong(["a", "b"], 10, [1, 2]).numpy().tolist()
    [6, 4]
    """
    if len(key) != 2:
        raise InvalidArgumentError(f"key must be two integers. Received: {key!r}")
    return _buckets(lambda text: hashing.sip(text, *map(int, key)), input, num_buckets)


__all__ = ["to_hash_bucket", "to_hash_bucket_fast", "to_hash_bucket_strong"]


def fingerprint(data: Any, method: str = "farmhash64", name: str | None = None) -> Tensor:
    """The FarmHash fingerprint of each text, or of the bytes of each row, as 8 numbers (uint8).

    Raises InvalidArgumentError for a scalar and ValueError for another method.

    >>> tf.fingerprint(["a"]).numpy().tolist()
    [[227, 117, 223, 182, 101, 66, 69, 179]]
    """
    if static(method) not in ("farmhash64", b"farmhash64"):
        raise ValueError(f"method must be 'farmhash64'. Received: {method!r}")
    given = host(convert_to_tensor(data), "A fingerprint", "call it outside.")
    if not given.ndim:
        raise InvalidArgumentError("data must be at least a vector. Received a scalar.")
    rows = given.reshape(len(given), math.prod(given.shape[1:]))
    if given.dtype.kind != "O":
        found = [hashing.farm(row.tobytes()) for row in rows]
    elif rows.shape[1] == 1:
        found = [hashing.farm(row[0]) for row in rows]
    else:
        each = [[hashing.farm(text) for text in row] for row in rows]
        found = [hashing.farm(np.array(row, "<u8").tobytes()) for row in each]
    return constant(np.array(found, "<u8").view(np.uint8).reshape(-1, 8))
