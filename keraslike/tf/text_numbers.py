"""Conversions between numbers and text: `tf.strings.to_number`, `as_string`, `format`."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.core import context
from keraslike.core.text import Text
from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import host, is_traced
from keraslike.tf.tensor import Tensor
from keraslike.tf.unicode import of_ragged, texts

_TRACED = "text has no place in compiled functions; call it outside."
_TARGETS = (
    dtypes.float32,
    dtypes.float64,
    dtypes.int32,
    dtypes.int64,
    dtypes.uint32,
    dtypes.uint64,
)


@of_ragged
def to_number(input: Any, out_type: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """Texts parsed as numbers.

    Raises InvalidArgumentError for a text that is not a number of `out_type`.

    >>> to_number(["3", "4e2"]).numpy().tolist()
    [3.0, 400.0]
    """
    wanted = dtypes.as_dtype(out_type)
    if wanted not in _TARGETS:
        raise InvalidArgumentError(
            f"out_type must be one of {[d.name for d in _TARGETS]}. Received: {wanted.name}"
        )
    given = texts(input)
    out = np.empty(given.shape, wanted.as_numpy_dtype)
    for place, item in np.ndenumerate(given):
        try:
            with np.errstate(over="ignore"):
                out[place] = _number(item.strip(b" \t\n\v\f\r"), wanted)
        except (ValueError, OverflowError) as e:
            raise InvalidArgumentError(f"{item!r} is not a number of dtype {wanted.name}.") from e
    return constant(out)


def _number(text: bytes, wanted: dtypes.DType) -> Any:
    if b"_" in text:
        raise ValueError(text)
    if wanted.is_integer:
        value, limits = int(text), np.iinfo(wanted.as_numpy_dtype)
        if not limits.min <= value <= limits.max:
            raise OverflowError(text)
        return value
    if text.lower().lstrip(b"+-").startswith(b"0x"):
        return np.float64(float.fromhex(text.decode()))
    return np.float64(float(text))


@of_ragged
def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Tensor:
    """Numbers formatted as text.

    Args:
        precision: the number of digits after the point, by default 6.
        scientific: whether to use an exponent.
        shortest: whether to use the shorter of the two notations, with six significant digits.
        width: the minimum number of characters.
        fill: the padding: "0", " ", "+" (with a sign) or "-" (left-aligned).

    Raises InvalidArgumentError for settings that contradict each other or the dtype.

    >>> as_string([3.14159, 2.0], precision=2).numpy().tolist()
    [b'3.14', b'2.00']
    """
    given = convert_to_tensor(input)
    kind = given.dtype
    if context.state.makes_text and is_traced(given):
        settings = {"precision": precision, "scientific": scientific, "shortest": shortest}
        step = ("as_string", (), tuple({**settings, "width": width, "fill": fill}.items()))
        return Text(None, given._value.shape, chosen=(None, given._value)).after(step)  # type: ignore
    numbers = host(given, "The text of a number", _TRACED)
    floats = kind.is_floating or kind.is_complex
    if scientific and shortest:
        raise InvalidArgumentError("Choose either scientific or shortest.")
    for setting, name in (
        (precision >= 0, "precision"),
        (scientific, "scientific"),
        (shortest, "shortest"),
    ):
        if setting and not floats:
            raise InvalidArgumentError(f"{name} is for floating-point numbers, not {kind.name}.")
    if fill not in ("", "0", " ", "+", "-"):
        raise InvalidArgumentError(f"fill must be '0', ' ', '+' or '-'. Received: {fill!r}")
    style = fill if fill in ("+", "-") or width >= 0 else ""
    style += str(width) if width >= 0 else ""
    digits = f".{precision}" if precision >= 0 else ""
    form = f"%{style}{digits}{'e' if scientific else 'g' if shortest else 'f'}"

    def text(x: Any) -> bytes:
        if kind is dtypes.string:
            return f"%{style}s".encode() % x
        if kind.is_bool:
            return str(bool(x)).lower().encode()
        if kind.is_complex:
            return f"({form % x.real},{form % x.imag})".encode()
        return (form % x if floats else f"%{style}d" % x).encode()

    out = np.empty(numbers.shape, object)
    for place, x in np.ndenumerate(numbers):
        out[place] = text(x)
    return Tensor(out)


def format(  # noqa: A001
    template: str,
    inputs: Any,
    placeholder: str = "{}",
    summarize: int = 3,
    name: str | None = None,
) -> Tensor:
    """The template with its placeholders replaced by tensors.

    Args:
        summarize: the number of elements to show at each end of an axis; -1 for all.

    >>> format("x: {}", constant([1.5, 2.0])).numpy()
    b'x: [1.5 2]'
    """
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    parts = template.split(placeholder)
    if len(parts) - 1 != len(given):
        raise ValueError(
            f"template has {len(parts) - 1} placeholders, but {len(given)} tensors were given."
        )
    said = [shown(host(convert_to_tensor(x), "Text", _TRACED), summarize) for x in given]
    pieces = [piece for pair in zip(parts, [*said, ""], strict=True) for piece in pair]
    out = np.empty((), object)
    out[()] = "".join(pieces).encode()
    return Tensor(out)


def shown(x: np.ndarray, edge: int, depth: int = 0) -> str:
    """An array as text, in TensorFlow's format.

    Args:
        edge: the number of elements to show at each end of an axis; -1 for all.

    >>> shown(np.arange(10.0), 1)
    '[0 ... 9]'
    """
    if not x.ndim:
        return _scalar(x.item() if x.dtype.kind == "O" else x[()])
    edge = min(edge, x.size)
    cut = 0 <= 2 * edge < len(x)
    items = [*x[:edge], *x[len(x) - edge :]] if cut else list(x)
    parts = [shown(np.asarray(i), edge, depth + 1) for i in items]
    between = " " if x.ndim == 1 else "\n" * (x.ndim - 1) + " " * (depth + 1)
    if cut:
        parts.insert(edge, "..." if edge else f"{between}...")
    return f"[{between.join(parts)}]"


_ESCAPED = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "'": r"\'", "\\": r"\\"}


def _scalar(x: Any) -> str:
    if isinstance(x, bytes):
        text = x.decode("utf-8", "replace")
        said = [_ESCAPED.get(c, c if c >= " " and c != "\x7f" else f"\\{ord(c):03o}") for c in text]
        return f'"{"".join(said)}"'
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    if isinstance(x, np.complexfloating):
        return "?"  # TensorFlow does not format this dtype
    if isinstance(x, np.integer):
        return str(x)
    kind, few, many = (np.float64, 15, 17) if isinstance(x, np.float64) else (np.float32, 6, 9)
    text = f"%.{few}g" % x
    return text if kind(text) == kind(x) else f"%.{many}g" % x


__all__ = ["as_string", "format", "to_number"]
