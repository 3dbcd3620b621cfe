"""JSON that may come from anywhere."""

from __future__ import annotations

import json
from typing import Any

# The most characters, containers and values of a JSON text, which takes about fifteen times its
# size in memory once it is parsed.
MOST_JSON = (32 << 20, 1 << 18, 1 << 21)


def check_json(text: str | bytes) -> None:
    """Raises ValueError for JSON that would take memory out of proportion to any model."""
    brackets, comma = ("{[", ",") if isinstance(text, str) else ((b"{", b"["), b",")
    found = (len(text), sum(map(text.count, brackets)), text.count(comma))  # type: ignore[arg-type]
    if any(n > most for n, most in zip(found, MOST_JSON, strict=True)):
        raise ValueError(
            "Refused as too large: it has {:,} characters, {:,} lists and dicts and {:,} commas. "
            "At most {:,}, {:,} and {:,} are read.".format(*found, *MOST_JSON)
        )


def parse_json(text: str | bytes) -> Any:
    """What JSON that may come from anywhere holds.

    Raises ValueError where it is no JSON, is nested too deeply or, before it is read, is too large.
    """
    check_json(text)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except ValueError as e:
        raise ValueError(f"It is no JSON: {e}.") from e
