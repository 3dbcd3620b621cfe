"""`tf.strings`: functions of text, which is stored as numpy arrays of bytes in UTF-8.

Compiled functions cannot contain text. In a traced function these operations run during the trace,
on known text; they raise an error for traced numbers.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.tf import documentation, dtypes, ops, ragged
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError, OutOfRangeError
from keraslike.tf.patterns import compiled
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor
from keraslike.tf.text_hash import to_hash_bucket, to_hash_bucket_fast, to_hash_bucket_strong
from keraslike.tf.text_numbers import as_string, format, to_number
from keraslike.tf.unicode import (
    of_ragged,
    text_of,
    texts,
    to_rows,
    unicode_decode,
    unicode_decode_with_offsets,
    unicode_encode,
    unicode_script,
    unicode_split,
    unicode_split_with_offsets,
    unicode_transcode,
)


def _each(function: Callable[[bytes], Any], input: Any, dtype: Any = object) -> Tensor:
    given = texts(input)
    out = np.empty(given.size, dtype)
    out[:] = list(map(function, given.reshape(-1).tolist()))
    return constant(out.reshape(given.shape))


# -- functions of single texts -----------------------------------------------------------------


@of_ragged
def length(input: Any, unit: str = "BYTE", name: str | None = None) -> Tensor:
    """The number of bytes, or of characters with `unit="UTF8_CHAR"`; int32.

    >>> length("café"), length("café", unit="UTF8_CHAR")
    (<tf.Tensor: shape=(), dtype=int32, numpy=5>, <tf.Tensor: shape=(), dtype=int32, numpy=4>)
    """
    return _each(len if _in_bytes(unit) else _characters, input, np.int32)


def _in_bytes(unit: str) -> bool:
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise InvalidArgumentError(f"unit must be 'BYTE' or 'UTF8_CHAR'. Received: {unit!r}")
    return unit == "BYTE"


def _characters(text: bytes) -> int:
    return sum(byte & 0xC0 != 0x80 for byte in text)


def _case(name: str) -> Callable:
    def change(input: Any, encoding: str = "", name: str | None = None) -> Tensor:
        if encoding not in ("", "utf-8"):
            raise InvalidArgumentError(f"encoding must be '' or 'utf-8'. Received: {encoding!r}")
        method = change.__name__
        if not encoding:
            return _each(operator.methodcaller(method), input)
        return _each(lambda b: text_of(getattr(str(b, "utf-8", "replace"), method)()), input)

    change.__name__ = change.__qualname__ = name
    change.__doc__ = (
        f"The text in {name} case: ASCII letters only, or with `encoding='utf-8'` all letters."
    )
    return of_ragged(change)


lower, upper = _case("lower"), _case("upper")


@of_ragged
def strip(input: Any, name: str | None = None) -> Tensor:
    """The texts without leading and trailing whitespace.

    >>> tf.strings.strip("  text ").numpy()
    b'text'
    """
    return _each(lambda b: b.strip(b" \t\n\v\f\r"), input)


@of_ragged
def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None) -> Tensor:
    """`len` bytes (or characters) from `pos` on; a negative `pos` counts from the end.

    Raises InvalidArgumentError if `pos` is outside of a text.

    >>> substr(["hello", "world"], -3, 2).numpy().tolist()
    [b'll', b'rl']
    """
    in_bytes = _in_bytes(unit)
    starts, counts = (host(convert_to_tensor(x), "A part of a text", _TRACED) for x in (pos, len))
    if any(x.dtype not in (np.int32, np.int64) for x in (starts, counts)):
        raise InvalidArgumentError(
            f"pos and len must be of dtype int32 or int64. Received: {starts.dtype}, {counts.dtype}"
        )
    if starts.shape != counts.shape:
        raise InvalidArgumentError(f"pos and len differ in shape: {starts.shape}, {counts.shape}")
    given, starts, counts = np.broadcast_arrays(texts(input), starts, counts)
    out = np.empty(given.shape, object)
    for place, item in np.ndenumerate(given):
        text = item if in_bytes else _split_characters(item)
        start, count, size = int(starts[place]), int(counts[place]), text.__len__()
        if not -size <= start <= size:
            raise InvalidArgumentError(f"pos {start} is out of range for {item!r}.")
        start += size if start < 0 else 0
        part = text[start:] if count < 0 else text[start : start + count]
        out[place] = part if in_bytes else b"".join(part)
    return Tensor(out)


_TRACED = "text has no place in compiled functions; call it outside."


def _split_characters(text: bytes) -> list[bytes]:
    return re.findall(rb"[^\x80-\xbf][\x80-\xbf]*|[\x80-\xbf]+", text, re.DOTALL)


# -- patterns ----------------------------------------------------------------------------------


def _as_str(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _plain(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(texts(text).item())


@of_ragged
def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Tensor:
    """Whether the whole text matches a pattern, in the syntax that RE2 and Python's `re` share.

    >>> tf.strings.regex_full_match(["abc", "xyz"], "a.*").numpy().tolist()
    [True, False]
    """
    wanted = compiled(_plain(pattern))
    return _each(lambda b: wanted.fullmatch(_as_str(b)) is not None, input, bool)


@of_ragged
def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> Tensor:
    r"""The text with matches of a pattern replaced, `\1` standing for what group 1 matched.

    Args:
        pattern: in the syntax that RE2 and Python's `re` share.
        replace_global: all matches, or only the first.

    >>> regex_replace("hello world", r"(\w+) (\w+)", r"\2 \1").numpy()
    b'world hello'
    """
    wanted, new = compiled(_plain(pattern)), _as_str(_plain(rewrite))
    parts = re.split(r"\\(\d|\\)", new)
    groups = [int(p) for p in parts[1::2] if p != "\\"]
    if any(g > wanted.groups for g in groups):  # an invalid rewrite replaces nothing
        return _each(lambda b: b, input)

    def rewritten(match: re.Match) -> str:
        named = ["\\" if p == "\\" else match.group(int(p)) or "" for p in parts[1::2]]
        return "".join(itertools.chain(*itertools.zip_longest(parts[::2], named, fillvalue="")))

    def replaced(text: bytes) -> bytes:
        given, out, end = _as_str(text), "", 0
        last = -1  # RE2 ignores an empty match right after another match
        for match in wanted.finditer(given):
            if match.start() == match.end() == last:
                continue
            out += given[end : match.start()] + rewritten(match)
            end = last = match.end()
            if not replace_global:
                break
        return (out + given[end:]).encode("utf-8", "surrogateescape")

    return _each(replaced, input)


# -- joining and splitting ---------------------------------------------------------------------


def join(inputs: Sequence[Any], separator: str = "", name: str | None = None) -> Any:
    """The elementwise concatenation of several tensors of one shape, or scalars.

    >>> join([["a", "b"], "x"], "-").numpy().tolist()
    [b'a-x', b'b-x']
    """
    if any(isinstance(x, RaggedTensor) for x in inputs):
        parts = lambda *xs: join(xs, separator)  # noqa: E731
        return ragged.map_flat_values(parts, *inputs)
    given = [texts(x) for x in inputs]
    shapes = {x.shape for x in given if x.shape}
    if len(shapes) > 1:
        raise InvalidArgumentError(
            f"inputs must have the same shape. Received: {[x.shape for x in given]}"
        )
    out = np.empty(shapes.pop() if shapes else (), object)
    for place in np.ndindex(out.shape):
        found: list[Any] = [x[place] if x.shape else x.item() for x in given]
        out[place] = _plain(separator).join(found)
    return Tensor(out)


def reduce_join(
    inputs: Any,
    axis: Any = None,
    keepdims: bool = False,
    separator: str = "",
    name: str | None = None,
) -> Any:
    """The texts joined along axes; the first given axis varies fastest.

    >>> reduce_join([["a", "b"], ["c", "d"]], axis=1, separator="-").numpy().tolist()
    [b'a-b', b'c-d']
    """
    between = _plain(separator)
    if isinstance(inputs, RaggedTensor):
        return _join_ragged(inputs, axis, between, keepdims)
    given = texts(inputs)
    rank, axis = given.ndim, static(axis)
    axes = list(range(rank))[::-1] if axis is None else np.atleast_1d(axis).tolist()
    if any(not -rank <= a < rank for a in axes):
        raise OutOfRangeError(f"axis={axis} is out of bounds for a tensor of rank {rank}.")
    axes = [a % rank for a in axes]
    kept = [a for a in range(rank) if a not in axes]
    moved = given.transpose(*kept, *axes[::-1])
    sizes = moved.shape[: len(kept)]
    moved = moved.reshape(*sizes, math.prod(moved.shape[len(kept) :]))
    out = np.empty(moved.shape[:-1], object)
    for place in np.ndindex(out.shape):
        out[place] = between.join(moved[place])
    if keepdims:
        out = out.reshape([1 if a in axes else n for a, n in enumerate(given.shape)])
    return Tensor(out)


def _join_ragged(r: RaggedTensor, axis: Any, between: bytes, keepdims: bool) -> Any:
    """Joined along the last of the axes first, in whatever order they are given."""
    rank = len(r.shape)
    axes = range(rank) if axis is None else {r._axis(a) for a in np.atleast_1d(static(axis))}
    found: Any = r.to_list()
    for gone, a in enumerate(sorted(axes, reverse=True)):
        found = _joined_along(found, a, rank - gone, between)
    inner = [a for a in range(rank) if a not in axes][1:]
    uneven = sum(a <= r.ragged_rank for a in inner)
    out = ragged.constant(found, dtypes.string, ragged_rank=uneven)
    for a in sorted(axes) if keepdims else ():
        out = ops.expand_dims(out, a)
    return out


def _joined_along(rows: list, axis: int, rank: int, between: bytes) -> Any:
    if axis:
        return [_joined_along(row, axis - 1, rank - 1, between) for row in rows]
    if rank == 1:
        return between.join(rows)
    columns = itertools.zip_longest(*rows)
    present = [[x for x in column if x is not None] for column in columns]
    return [_joined_along(column, 0, rank - 1, between) for column in present]


def split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    """A row of the parts between separators, by default whitespace, for each text.

    >>> split(["hello world", "a b c"])
    <tf.RaggedTensor [[b'hello', b'world'], [b'a', b'b', b'c']]>
    """
    between = None if sep is None else _plain(sep) or None
    return to_rows(input, lambda text: text.split(between, maxsplit), object)


def bytes_split(input: Any, name: str | None = None) -> Any:
    """A row of the bytes of each text.

    >>> tf.strings.bytes_split(["ab", "c"]).to_list()
    [[b'a', b'b'], [b'c']]
    """
    return to_rows(input, lambda text: [bytes([b]) for b in text], object)


def ngrams(
    data: Any,
    ngram_width: Any,
    separator: str = " ",
    pad_values: Any = None,
    padding_width: int | None = None,
    preserve_short_sequences: bool = False,
    name: str | None = None,
) -> Any:
    """The joined n-grams of `ngram_width` consecutive texts of each row.

    Args:
        ngram_width: a number or several.
        pad_values: a text, or a pair of texts, for padding before and after each row.
        padding_width: the width of the padding, by default one less than the n-gram.
        preserve_short_sequences: whether a row that is too short becomes one n-gram.

    >>> tf.strings.ngrams(["a", "b", "c"], 2).numpy().tolist()
    [b'a b', b'b c']
    """
    widths = np.atleast_1d(static(ngram_width)).tolist()
    pads = list(pad_values) if isinstance(pad_values, (tuple, list)) else [pad_values] * 2
    if pad_values is not None and not all(isinstance(pad, (str, bytes)) for pad in pads):
        raise TypeError(f"pad_values must be a text or a pair of texts. Received: {pad_values!r}")
    if padding_width is not None and (padding_width < 1 or pad_values is None):
        raise ValueError(
            f"padding_width must be above 0, and pad_values given. Received: {padding_width}, "
            f"{pad_values}"
        )
    if min(widths) < 1:
        raise ValueError(f"ngram_width must be above 0. Received: {ngram_width}")
    between, (left, right) = _plain(separator), pads

    def joined(row: list[bytes], pad: int) -> list[bytes]:
        return [_plain(left)] * pad + row + [_plain(right)] * pad if pad else row

    def grams(row: list[bytes]) -> list[bytes]:
        found = []
        for width in widths:
            pad = width - 1 if padding_width is None else min(padding_width, width - 1)
            full = joined(row, pad if pad_values is not None else 0)
            found += [between.join(full[i : i + width]) for i in range(len(full) - width + 1)]
        if not found and preserve_short_sequences and row:
            found = [between.join(joined(row, padding_width or 0))]
        return found

    def of(given: Any) -> Any:
        if isinstance(given, RaggedTensor) and len(given.shape) > 2:
            return given.with_values(of(given.values))
        ragged = isinstance(given, RaggedTensor)
        if not ragged and not given.ndim:
            raise ValueError("tf.strings.ngrams: data must have at least one axis.")
        sizes = tuple(given.shape)
        known = None if ragged else texts(given).reshape(math.prod(sizes[:-1]), sizes[-1])
        made = [grams(row) for row in (given.to_list() if known is None else known.tolist())]
        flat = np.empty(sum(map(len, made)), object)
        flat[:] = list(itertools.chain(*made))
        if ragged:
            return RaggedTensor.from_row_lengths(
                Tensor(flat), np.array([*map(len, made)], np.int64)
            )
        return Tensor(flat.reshape(*sizes[:-1], len(grams([b""] * sizes[-1]))))

    return of(data if isinstance(data, RaggedTensor) else convert_to_tensor(data, dtypes.string))


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: Any, separator: str = "", name: str | None = None
) -> Tensor:
    """The joined texts of each segment.

    >>> tf.strings.unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 2, ":").numpy().tolist()
    [b'b', b'a:c']
    """
    ids, given = host(convert_to_tensor(segment_ids), "What is joined", _TRACED), texts(inputs)
    if given.shape[: ids.ndim] != ids.shape:
        raise InvalidArgumentError(
            f"segment_ids of shape {ids.shape} are no beginning of the shape {given.shape}."
        )
    inner, count = given.shape[ids.ndim :], int(static(num_segments))
    if (ids < 0).any() or (ids >= count).any():
        raise InvalidArgumentError(
            f"segment_ids must be from 0 to num_segments - 1, {count - 1}. Received: {ids}"
        )
    out = np.empty((count, math.prod(inner)), object)
    given = given.reshape(ids.size, math.prod(inner))
    for i, row in enumerate(out):
        row[:] = [_plain(separator).join(column) for column in given[ids.reshape(-1) == i].T]
    return Tensor(out.reshape(-1, *inner))


documentation.describe(globals(), "strings")

__all__ = [
    "as_string",
    "bytes_split",
    "format",
    "join",
    "length",
    "lower",
    "ngrams",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_hash_bucket",
    "to_hash_bucket_fast",
    "to_hash_bucket_strong",
    "to_number",
    "unicode_decode",
    "unicode_decode_with_offsets",
    "unicode_encode",
    "unicode_script",
    "unicode_split",
    "unicode_split_with_offsets",
    "unicode_transcode",
    "unsorted_segment_join",
    "upper",
]
__dir__ = __all__.copy
