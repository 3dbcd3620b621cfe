"""Hashes of texts, with the same values as TensorFlow's.

The algorithms are published: MurmurHash64A (Appleby), FarmHash's Fingerprint64 (Pike) and
SipHash-2-4 (Aumasson and Bernstein, 2012). All arithmetic is modulo 2^64.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_MASK = (1 << 64) - 1


def hashed(function: Callable[[bytes], int], texts: Sequence[bytes]) -> np.ndarray:
    """The hashes of texts as uint64. Hashes of words are cached, since words recur."""
    each = functools.cache(function)
    word = _of_words.get(function, each)
    if max(map(len, texts), default=0) <= 16:
        return np.fromiter(map(word, texts), np.uint64, len(texts))
    return np.array([(word if len(t) <= 16 else each)(t) for t in texts], np.uint64)


def combined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """FarmHash's FingerprintCat64 for arrays of uint64.

    >>> int(combined(np.uint64([1]), np.uint64([2]))[0])
    14454907135238785252
    """
    m, shift = np.uint64(_M), np.uint64(47)
    with np.errstate(over="ignore"):
        mixed = second * m
        out = (first ^ m ^ (mixed ^ mixed >> shift) * m) * m
        out = (out ^ out >> shift) * m
    return out ^ out >> shift


def _words(text: bytes, kind: str = "Q") -> tuple[int, ...]:
    return struct.unpack(f"<{len(text) // struct.calcsize(kind)}{kind}", text)


_M = 0xC6A4A7935BD1E995


def murmur(text: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """MurmurHash64A."""
    m = _M
    h = seed ^ (len(text) * m & _MASK)
    whole = len(text) // 8 * 8
    for k in _words(text[:whole]):
        k = k * m & _MASK
        h = (h ^ ((k ^ k >> 47) * m & _MASK)) * m & _MASK
    if len(text) > whole:
        h = (h ^ int.from_bytes(text[whole:], "little")) * m & _MASK
    h = (h ^ h >> 47) * m & _MASK
    return h ^ h >> 47


def sip(text: bytes, k0: int, k1: int) -> int:
    """SipHash-2-4 with a key of two numbers."""
    k0, k1 = k0 & _MASK, k1 & _MASK
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rounds(count: int) -> None:
        a, b, c, d = v
        for _ in range(count):
            a, c = a + b & _MASK, c + d & _MASK
            b, d = _left(b, 13) ^ a, _left(d, 16) ^ c
            a = _left(a, 32)
            c, a = c + b & _MASK, a + d & _MASK
            b, d = _left(b, 17) ^ c, _left(d, 21) ^ a
            c = _left(c, 32)
        v[:] = a, b, c, d

    whole = len(text) // 8 * 8
    last = int.from_bytes(text[whole:], "little") | (len(text) & 0xFF) << 56
    for m in (*_words(text[:whole]), last):
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _left(x: int, n: int) -> int:
    return (x << n | x >> (64 - n)) & _MASK


def _right(x: int, n: int) -> int:
    return _left(x, 64 - n)


_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _word(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 8], "little")


def _half(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 4], "little")


def _mix(u: int, v: int, m: int) -> int:
    a = (u ^ v) * m & _MASK
    b = (v ^ a ^ a >> 47) * m & _MASK
    return (b ^ b >> 47) * m & _MASK


def farm(s: bytes) -> int:
    """FarmHash's Fingerprint64."""
    n = len(s)
    if n <= 16:
        return _farm_to_16(s)
    m = _K2 + n * 2 & _MASK
    if n <= 32:
        a, b = _word(s, 0) * _K1 & _MASK, _word(s, 8)
        c, d = _word(s, n - 8) * m & _MASK, _word(s, n - 16) * _K2 & _MASK
        first = _right(a + b & _MASK, 43) + _right(c, 30) + d & _MASK
        return _mix(first, a + _right(b + _K2 & _MASK, 18) + c & _MASK, m)
    if n <= 64:
        a, b = _word(s, 0) * _K2 & _MASK, _word(s, 8)
        c, d = _word(s, n - 8) * m & _MASK, _word(s, n - 16) * _K2 & _MASK
        y = _right(a + b & _MASK, 43) + _right(c, 30) + d & _MASK
        z = _mix(y, a + _right(b + _K2 & _MASK, 18) + c & _MASK, m)
        e, f = _word(s, 16) * m & _MASK, _word(s, 24)
        g, h = (y + _word(s, n - 32)) * m & _MASK, (z + _word(s, n - 24)) * m & _MASK
        first = _right(e + f & _MASK, 43) + _right(g, 30) + h & _MASK
        return _mix(first, e + _right(f + a & _MASK, 18) + g & _MASK, m)
    return _farm_long(s)


def _farm_to_16(s: bytes) -> int:
    n = len(s)
    if n >= 8:
        m = _K2 + n * 2 & _MASK
        a, b = _word(s, 0) + _K2 & _MASK, _word(s, n - 8)
        c = _right(b, 37) * m + a & _MASK
        return _mix(c, (_right(a, 25) + b) * m & _MASK, m)
    if n >= 4:
        return _mix(n + (_half(s, 0) << 3) & _MASK, _half(s, n - 4), _K2 + n * 2 & _MASK)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[-1] << 2)
        x = (y * _K2 & _MASK) ^ (z * _K0 & _MASK)
        return (x ^ x >> 47) * _K2 & _MASK
    return _K2


def _farm_long(s: bytes) -> int:
    n, seed = len(s), 81
    x, y = seed, seed * _K1 + 113 & _MASK
    z = (y * _K2 + 113 & _MASK) ^ (y * _K2 + 113 & _MASK) >> 47
    z = z * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = x * _K2 + _word(s, 0) & _MASK

    def weak(at: int, a: int, b: int) -> tuple[int, int]:
        p, q, r, t = (_word(s, at + i) for i in (0, 8, 16, 24))
        a = a + p & _MASK
        b = _right(b + a + t & _MASK, 21)
        c = a
        a = a + q + r & _MASK
        b = b + _right(a, 44) & _MASK
        return a + t & _MASK, b + c & _MASK

    def block(at: int, m: int, last: bool) -> None:
        nonlocal x, y, z, v, w
        x = _right(x + y + v[0] + _word(s, at + 8) & _MASK, 37) * m & _MASK
        y = _right(y + v[1] + _word(s, at + 48) & _MASK, 42) * m & _MASK
        x ^= w[1] * 9 & _MASK if last else w[1]
        y = y + (v[0] * 9 if last else v[0]) + _word(s, at + 40) & _MASK
        z = _right(z + w[0] & _MASK, 33) * m & _MASK
        v = weak(at, v[1] * m & _MASK, x + w[0] & _MASK)
        w = weak(at + 32, z + w[1] & _MASK, y + _word(s, at + 16) & _MASK)
        z, x = x, z

    for at in range(0, (n - 1) // 64 * 64, 64):
        block(at, _K1, False)
    m = _K1 + ((z & 0xFF) << 1) & _MASK
    w = w[0] + (n - 1 & 63) & _MASK, w[1]
    v = v[0] + w[0] & _MASK, v[1]
    w = w[0] + v[0] & _MASK, w[1]
    block(n - 64, m, True)
    first = _mix(v[0], w[0], m) + (y ^ y >> 47) * _K0 + z & _MASK
    return _mix(first, _mix(v[1], w[1], m) + x & _MASK, m)


_of_words: dict[Callable[..., int], Any] = {
    function: functools.lru_cache(2**16)(function) for function in (farm, murmur)
}
