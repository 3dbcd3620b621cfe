"""The functions `tf.strings.unicode_...`, over Python's codecs."""

from __future__ import annotations

import codecs
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.core import context
from keraslike.core.errors import NeedsPython
from keraslike.core.text import Text, narrow
from keraslike.tf import dtypes, scripts
from keraslike.tf.conversion import constant, convert_to_tensor, mismatch
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.structure import Operating, host
from keraslike.tf.tensor import Tensor

_OUTPUT_ENCODINGS = ("UTF-8", "UTF-16-BE", "UTF-32-BE")


def texts(input: Any) -> np.ndarray:
    """The bytes of a tensor of text. Raises TypeError for other tensors."""
    tensor = convert_to_tensor(input, dtype_hint=dtypes.string)
    if tensor.dtype is not dtypes.string:
        raise TypeError(f"Expected text, received a tensor of {tensor.dtype.name}: {input!r}")
    return tensor._value


def text_of(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def of_ragged(function: Callable) -> Callable:
    """A decorator that extends a function of a tensor to the elements of ragged tensors."""

    @functools.wraps(function)
    def call(input: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(input, RaggedTensor):
            return input.with_flat_values(function(input.flat_values, *args, **kwargs))
        if isinstance(input, Operating):
            return input._operate(function.__name__, call, (input, *args), kwargs)
        if type(input) is Text and input.values is None and not context.state.symbolic:
            return _traced(function, input, args, kwargs)
        return function(input, *args, **kwargs)

    call._dispatches = True  # type: ignore[attr-defined]
    return call


def _traced(function: Callable, input: Text, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of a function of each text in a trace: the host computes it before the program
    runs, and TensorFlow where a program is exported."""
    plain = [x.name if isinstance(x, dtypes.DType) else x for x in (*args, *kwargs.values())]
    rest, name = input.shape[1:], function.__name__
    if not all(isinstance(x, (str, bool, int, float, type(None))) for x in (*plain, *rest)):
        raise NeedsPython(
            f"tf.strings.{name} needs plain arguments, and texts of a known shape but for the "
            "batch, to be part of a program."
        )
    step = (name, tuple(plain[: len(args)]), tuple(zip(kwargs, plain[len(args) :])))

    keeps_wide = bool(context.state.tapes)

    def on_host(texts: np.ndarray) -> np.ndarray:
        out = function(constant(texts), *args, **kwargs)
        return narrow(np.asarray(out._value if out.dtype is dtypes.string else out), keeps_wide)

    if not context.state.exports_text and input.chosen is None:
        return input.apply(("tf.strings", step), on_host, None)
    texts, dtype = input.after(step), function("0", *args, **kwargs).dtype
    if dtype is dtypes.string:
        return texts
    return texts.apply("steps", on_host, None, texts.described((None, *rest), dtype.name))


def to_rows(input: Any, pieces: Callable[[bytes], list], dtype: Any) -> Any:
    """The parts of each text as a row: a vector for a scalar, otherwise a ragged tensor."""
    if isinstance(input, RaggedTensor):
        return input.with_flat_values(to_rows(input.flat_values, pieces, dtype))
    given = texts(input)
    rows = [pieces(item) for item in given.reshape(-1)]
    flat = np.empty(sum(map(len, rows)), dtype)
    flat[:] = [piece for row in rows for piece in row]
    if not given.ndim:
        return constant(flat)
    lengths = np.asarray([len(row) for row in rows], np.int64)
    out = RaggedTensor.from_row_lengths(constant(flat), lengths)
    for i in range(given.ndim - 1, 0, -1):
        out = RaggedTensor.from_uniform_row_length(out, given.shape[i], math.prod(given.shape[:i]))
    return out


# -- decoding -----------------------------------------------------------------------------------


_MARKS = {
    "utf-16": {"be": codecs.BOM_UTF16_BE, "le": codecs.BOM_UTF16_LE},
    "utf-32": {"be": codecs.BOM_UTF32_BE, "le": codecs.BOM_UTF32_LE},
}


def _codec(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
    except LookupError:
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise InvalidArgumentError(f"Unknown encoding: {encoding!r}")
    return found.name


def _check_errors(errors: str, replacement: int) -> None:
    if not 0 <= replacement <= 0x10FFFF:
        raise InvalidArgumentError(
            f"replacement_char must be a code point up to 0x10FFFF. Received: {replacement}"
        )
    if errors not in ("strict", "replace", "ignore"):
        raise InvalidArgumentError(
            f"errors must be 'strict', 'replace' or 'ignore'. Received: {errors!r}"
        )


def _decoded(
    text: bytes, codec: str, errors: str, replacement: int, controls: bool
) -> list[tuple[int, int]]:
    """The code points of a text and their byte offsets."""
    out: list[tuple[int, int]] = []
    at = 0
    if codec in _MARKS:  # big-endian unless a mark says otherwise
        marks = _MARKS[codec]
        kind = next((end for end, mark in marks.items() if text.startswith(mark)), None)
        at = 0 if kind is None else len(marks[kind])
        codec = f"{codec}-{kind or 'be'}"

    def take(part: str) -> None:
        nonlocal at
        for character in part:
            point = ord(character)
            is_control = controls and point < 32
            if not is_control or errors != "ignore":
                out.append((replacement if is_control else point, at))
            at += len(character.encode(codec, "surrogatepass"))

    while at < len(text):
        try:
            take(text[at:].decode(codec))
        except UnicodeDecodeError as e:
            if errors == "strict":
                raise InvalidArgumentError(f"{text!r} is not valid {codec}: {e.reason}") from e
            start, end = at + e.start, at + e.end
            take(text[at:start].decode(codec))
            if errors == "replace":
                out.append((replacement, start))
            at = end
    return out


def unicode_decode(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> Any:
    """A row of the code points of each text, int32.

    Args:
        input_encoding: "UTF-8", "UTF-16-BE" or any other encoding of Python's.
        errors: whether invalid bytes are replaced ("replace"), left out ("ignore"), or raise
            InvalidArgumentError ("strict").
        replacement_char: the code point that replaces invalid bytes.
        replace_control_characters: whether to replace code points below 32 as well, or to leave
            them out if errors="ignore".

    >>> unicode_decode(["é", "ab"], "UTF-8")
    <tf.RaggedTensor [[233], [97, 98]]>
    """
    points = unicode_decode_with_offsets(
        input, input_encoding, errors, replacement_char, replace_control_characters
    )
    return points[0]


def unicode_decode_with_offsets(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Like `unicode_decode`, with the byte offset of each character, int64.

    >>> codes, starts = tf.strings.unicode_decode_with_offsets("ab", "UTF-8")
    >>> codes.numpy().tolist(), starts.numpy().tolist()
    ([97, 98], [0, 1])
    """
    codec = _codec(input_encoding)
    _check_errors(errors, replacement_char)

    rest = (codec, errors, replacement_char, replace_control_characters)
    decoded = functools.cache(lambda text: _decoded(text, *rest))  # shared by both results

    def column(i: int) -> Callable[[bytes], list[int]]:
        return lambda text: [found[i] for found in decoded(text)]

    return to_rows(input, column(0), np.int32), to_rows(input, column(1), np.int64)


def unicode_split(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    name: str | None = None,
) -> Any:
    """A row of the characters of each text, in the same encoding.

    >>> tf.strings.unicode_split("ab", "UTF-8").numpy().tolist()
    [b'a', b'b']
    """
    return unicode_split_with_offsets(input, input_encoding, errors, replacement_char)[0]


def unicode_split_with_offsets(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Like `unicode_split`, with the byte offset of each character, int64.

    >>> parts, starts = tf.strings.unicode_split_with_offsets("ab", "UTF-8")
    >>> parts.numpy().tolist(), starts.numpy().tolist()
    ([b'a', b'b'], [0, 1])
    """
    _check_output(input_encoding, "input_encoding")
    points, offsets = unicode_decode_with_offsets(input, input_encoding, errors, replacement_char)
    flat = points.flat_values if isinstance(points, RaggedTensor) else points
    characters = np.empty(flat.shape, object)
    codec = _codec(input_encoding)
    characters[:] = [chr(point).encode(codec, "replace") for point in np.asarray(flat)]
    if isinstance(points, RaggedTensor):
        return points.with_flat_values(Tensor(characters)), offsets
    return Tensor(characters), offsets


# -- encoding -----------------------------------------------------------------------------------


def _check_output(encoding: str, argument: str = "output_encoding") -> None:
    if encoding not in _OUTPUT_ENCODINGS:
        raise InvalidArgumentError(
            f"{argument} must be one of {', '.join(_OUTPUT_ENCODINGS)}. Received: {encoding!r}"
        )


def _encoded(points: Any, codec: str, errors: str, replacement: int) -> bytes:
    out = []
    for point in points:
        if not 0 <= point < 0x110000 or 0xD800 <= point < 0xE000:
            if errors == "strict":
                raise InvalidArgumentError(f"{point} is not a valid code point.")
            if errors == "ignore":
                continue
            point = replacement if not 0xD800 <= replacement < 0xE000 else 0xFFFD
        out.append(chr(point))
    return "".join(out).encode(codec)


def unicode_encode(
    input: Any,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    name: str | None = None,
) -> Any:
    """Texts from rows of code points, int32, dense or ragged.

    Args:
        output_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".

    >>> unicode_encode([99, 97, 102, 233], "UTF-8").numpy()
    b'caf\\xc3\\xa9'
    """
    _check_output(output_encoding)
    _check_errors(errors, replacement_char)
    encode = functools.partial(
        _encoded, codec=_codec(output_encoding), errors=errors, replacement=replacement_char
    )
    if isinstance(input, RaggedTensor):
        if len(input.values.shape) > 1:
            inner = unicode_encode(input.values, output_encoding, errors, replacement_char)
            return input.with_values(inner)
        rows = input.to_list()
        out = np.empty(len(rows), object)
        out[:] = [encode(row) for row in rows]
        return Tensor(out)
    points = host(convert_to_tensor(input), "The text", "call it outside.")
    if not points.ndim:
        raise ValueError("input must have at least one axis. Received a scalar.")
    out = np.empty(points.shape[:-1], object)
    for place in np.ndindex(out.shape):
        out[place] = encode(points[place].tolist())
    return Tensor(out)


@of_ragged
def unicode_script(input: Any, name: str | None = None) -> Tensor:
    """The scripts of code points as ICU's numbers, int32; -1 for what is no code point.

    >>> unicode_script([ord("a"), ord("芸"), ord("Б")]).numpy().tolist()
    [25, 17, 8]
    """
    given = input if isinstance(input, Tensor) else convert_to_tensor(input, dtypes.int32)
    if given.dtype is not dtypes.int32:
        raise InvalidArgumentError(mismatch("strings.unicode_script", dtypes.int32, given.dtype, 0))
    points = host(given, "The script of a character", "call it outside of compiled functions.")
    found = [scripts.of(i) if 0 <= i < 0x110000 else -1 for i in points.reshape(-1).tolist()]
    return constant(np.asarray(found, np.int32).reshape(points.shape))


@of_ragged
def unicode_transcode(
    input: Any,
    input_encoding: str,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> Tensor:
    """Texts converted to another encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".

    >>> coded = tf.strings.unicode_transcode("hi", "UTF-8", "UTF-16-BE")
    >>> tf.strings.length(coded).numpy().tolist()
    4
    """
    _check_output(output_encoding)
    _check_errors(errors, replacement_char)
    source, target, given = _codec(input_encoding), _codec(output_encoding), texts(input)
    out = np.empty(given.shape, object)
    for place, item in np.ndenumerate(given):
        found = _decoded(item, source, errors, replacement_char, replace_control_characters)
        out[place] = _encoded([point for point, _ in found], target, errors, replacement_char)
    return Tensor(out)
