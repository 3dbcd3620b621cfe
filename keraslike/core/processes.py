"""Coordination of several processes: files that the first one writes, values that it computes, and
decisions that must be the same in all."""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from keraslike.core import context, host, jax_internals, lowering

# How long a process waits for the first one to write a file, in seconds.
_TIMEOUT = 900

_counts: Counter[str] = Counter()
_counts_lock = threading.Lock()


def write_once(path: str, write: Callable[[], Any]) -> None:
    """Runs `write` in the first process only; the other processes return when it has finished.

    An exception is raised in all of them. The first process does not wait, so a program may also
    make the call only there.

    Args:
        path: the path of the file, by which the calls of the processes are matched.
        write: the function that writes it.

    Raises TimeoutError if the first process does not write.

    >>> write_once("model.keras", lambda: print("written"))
    written
    """

    def act() -> None:
        write()

    _by_first(path, act, f"'{path}' was not written", f"could not write '{path}'")


def of_first(what: str, find: Callable[[], Any]) -> Any:
    """The plain value that `find` returns in the first process, returned in all processes.

    Args:
        what: a description for errors, by which the calls of the processes are matched.
        find: a function, which is called only in the first process.

    >>> of_first("newest", lambda: 3)
    3
    """
    return _by_first(what, find, f"The {what} was not found", f"could not find the {what}", True)


def any_of(what: str, mine: bool) -> bool:
    """Whether the argument is true in any process. All processes must call this.

    >>> any_of("stop", False)
    False
    """
    store = _store()
    if store is None:
        return mine
    number, count, process = _next(f"any {what}"), jax.process_count(), jax.process_index()
    start = f"keraslike/any/{what}/"
    store.put(f"{start}{number}/{process}", str(int(mine)))
    # All processes have read the values of the round before last: they have written in the last
    # one.
    if number > 2:
        store.remove(f"{start}{number - 2}/{process}")
    found = mine
    for i in range(count):
        said = store.wait(f"{start}{number}/{i}", _TIMEOUT)
        if said is None:
            raise TimeoutError(f"Process {i} did not report '{what}' within {_TIMEOUT} seconds.")
        found |= said == "1"
    return found


@contextlib.contextmanager
def gathered(variables: Sequence[Any]) -> Iterator[None]:
    """A block in which each process holds complete values of what is sharded over processes, so
    that the first one may read and write them alone. All processes must enter the block.

    >>> with gathered([]):
    ...     pass
    """
    with lowering.undisturbed(variables):
        parts = [array for array in lowering.stored(variables) if host.is_in_processes(array)]
    with context.using(gathered={id(array): host.whole(array) for array in parts}):
        yield


def is_first() -> bool:
    """Whether this is the first process, which writes files and chooses shared values."""
    return jax.process_index() == 0


def are_several() -> bool:
    """Whether the program consists of several processes."""
    return jax.process_count() > 1


def _store() -> jax_internals.SharedStore | None:
    return jax_internals.shared_store() if are_several() else None


def _next(key: str) -> int:
    with _counts_lock:
        _counts[key] += 1
        return _counts[key]


def _by_first(
    what: str, act: Callable[[], Any], missing: str, failing: str, each: bool = False
) -> Any:
    store = _store()
    if store is None:  # There is one process, or no way for several to communicate.
        return act() if jax.process_index() == 0 or each else None
    number = _next(what)
    key = f"keraslike/first/{hashlib.sha256(what.encode(errors='replace')).hexdigest()}/{number}"
    if jax.process_index() == 0:
        try:
            found = act()
            text = json.dumps({"value": found})
        except BaseException as e:
            store.put(key, json.dumps({"error": [type(e).__name__, str(e)]}))
            raise
        store.put(key, text)
        return found
    text = store.wait(key, _TIMEOUT)
    if text is None:
        raise TimeoutError(
            f"{missing} by the first process within {_TIMEOUT} seconds. All processes must ask "
            "for it, or the first one alone."
        )
    said = json.loads(text)
    if "error" in said:
        name, text = said["error"]
        raise _error(name, f"The first process {failing}. {text}")
    return said["value"]


def _error(name: str, text: str) -> BaseException:
    kind: Any = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # The call needs other arguments.
            return kind(text)
    return RuntimeError(f"{text} ({name})")
