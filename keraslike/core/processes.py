"""Files of a program that runs as several processes: the first one writes, the others wait."""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax

from keraslike.core import jax_internals

# How long a process waits for the first one to write a file, in seconds.
_PATIENCE = 900

_counts: Counter[str] = Counter()
_counts_lock = threading.Lock()


def write_once(path: str, write: Callable[[], Any]) -> None:
    """Runs `write` in the first process only; in the others returns when it is done there.

    What it raises is raised in all of them. The first process waits for nobody, so that a program
    may also leave the call to it alone.

    Args:
        path: of the file; processes that write the same one wait for each other's same call.
        write: writes it.

    Raises TimeoutError where the first process does not write.

    >>> write_once("model.keras", lambda: print("written"))
    written
    """
    store = jax_internals.shared_store() if jax.process_count() > 1 else None
    if store is None:  # one process, or several that cannot tell each other anything
        if jax.process_index() == 0:
            write()
        return
    with _counts_lock:
        _counts[path] += 1
        number = _counts[path]
    key = f"keraslike/written/{hashlib.sha256(path.encode(errors='replace')).hexdigest()}/{number}"
    if jax.process_index() == 0:
        try:
            write()
        except BaseException as e:
            store.put(key, json.dumps([type(e).__name__, str(e)]))
            raise
        store.put(key, "null")
        return
    found = store.wait(key, _PATIENCE)
    if found is None:
        raise TimeoutError(
            f"'{path}' was not written by the first process within {_PATIENCE} seconds. All "
            "processes must save, or the first one alone."
        )
    failure = json.loads(found)
    if failure is not None:
        name, text = failure
        raise _error(name, text, path)


def _error(name: str, text: str, path: str) -> BaseException:
    kind: Any = getattr(builtins, name, None)
    text = f"The first process could not write '{path}'. {text}"
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # one that needs other arguments
            return kind(text)
    return RuntimeError(f"{text} ({name})")
