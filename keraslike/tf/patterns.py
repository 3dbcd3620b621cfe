"""Patterns in the syntax of RE2, as patterns of Python's `re`."""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np

from keraslike.tf import scripts
from keraslike.tf.errors import InvalidArgumentError

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}

_TOKEN = re.compile(r"\\[pP](?:\{[^}]*\}|\w)|\[:\^?\w+:\]|\\.|.", re.DOTALL)


@functools.lru_cache(256)
def compiled(pattern: bytes) -> re.Pattern:
    r"""The Python pattern for a pattern in the syntax of RE2.

    Raises InvalidArgumentError for what RE2 refuses.

    >>> compiled(rb"\pL+").findall("ab, cd")
    ['ab', 'cd']
    """
    text = pattern.decode("utf-8", "surrogateescape")
    refused = re.search(r"(?<!\\)(?:\\\\)*(\(\?<?[=!]|\(\?P=|\\[1-9])", text)
    if refused:
        raise InvalidArgumentError(
            f"Invalid pattern: {text!r}: {refused.group(1)} is not supported here."
        )
    out, in_class = "", False
    for part in _TOKEN.findall(text):
        if part[:2] in (r"\p", r"\P") or (in_class and part[:2] == "[:"):
            out += _characters(part) if in_class else f"[{_characters(part)}]"
            continue
        in_class = part == "[" or (in_class and part != "]")
        # Python's $ also matches before a last newline.
        out += r"\Z" if part in ("$", r"\z") and not in_class else part
    try:
        return re.compile(out, re.ASCII)
    except re.error as e:
        raise InvalidArgumentError(f"Invalid pattern: {text!r}: {e}") from e


@functools.lru_cache(64)
def _characters(part: str) -> str:
    """The characters that `\\p{Lu}`, `\\P{Greek}`, `[:alpha:]` or `[:^alpha:]` stands for."""
    name = part[2:-2] if part[0] == "[" else part[2:].strip("{}")
    positive, name = not name.startswith("^"), name.removeprefix("^")
    if part[0] == "[" and name in _POSIX:
        if positive:
            return _POSIX[name]
        found = np.zeros(0x110000, bool)
        found[:128] = [re.match(f"[{_POSIX[name]}]", chr(i)) is not None for i in range(128)]
    elif part[0] == "\\" and name in scripts.NUMBERS and name != "Unknown":
        found = scripts.of_all() == scripts.NUMBERS[name]
    else:
        found = np.char.startswith(_categories(), "" if name == "Any" else name or "-")
        if part[0] == "[" or not found.any():
            raise InvalidArgumentError(f"Invalid pattern: {part} is not supported here.")
    wanted = (found == (positive != part.startswith(r"\P"))) & (_categories() != "Cs")
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False)).reshape(-1, 2)
    return "".join(f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in edges.tolist())


@functools.cache
def _categories() -> np.ndarray:
    return np.array([unicodedata.category(chr(i)) for i in range(0x110000)])
