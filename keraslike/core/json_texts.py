"""JSON texts of unknown origin."""

from __future__ import annotations

import json
from typing import Any

# The most characters, containers and values in a JSON text. Parsed, it takes about fifteen times
# its size in memory.
MOST_JSON = (32 << 20, 1 << 18, 1 << 21)


def check_json(text: str | bytes) -> None:
    """Raises ValueError for JSON that would take a disproportionate amount of memory."""
    brackets, comma = ("{[", ",") if isinstance(text, str) else ((b"{", b"["), b",")
    found = (len(text), sum(map(text.count, brackets)), text.count(comma))  # type: ignore[arg-type]
    if any(n > most for n, most in zip(found, MOST_JSON, strict=True)):
        raise ValueError(
            "It is too large: it has {:,} characters, {:,} lists and dicts and {:,} commas. "
            "At most {:,}, {:,} and {:,} are read.".format(*found, *MOST_JSON)
        )


def parse_json(text: str | bytes) -> Any:
    """Parses JSON of unknown origin.

    Raises ValueError for invalid JSON, for one that is nested too deeply and, before it is parsed,
    for one that is too large.
    """
    check_json(text)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except ValueError as e:
        raise ValueError(f"It is no JSON: {e}.") from e
