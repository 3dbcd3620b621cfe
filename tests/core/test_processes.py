"""Who writes a file, and what the others hear of it; tests/distribution does it with processes."""

import jax
import pytest

from keraslike.core import processes


class Store:
    def __init__(self):
        self.texts = {}

    def put(self, key, text):
        assert key not in self.texts
        self.texts[key] = text

    def wait(self, key, seconds):
        return self.texts.get(key)


@pytest.fixture
def on(monkeypatch):
    """Runs `write_once` as the process of a number."""
    store, counts = Store(), [type(processes._counts)(), type(processes._counts)()]
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes.jax_internals, "shared_store", lambda: store)

    def run(process, write):
        monkeypatch.setattr(jax, "process_index", lambda: process)
        monkeypatch.setattr(processes, "_counts", counts[process])
        processes.write_once("some/file", write)

    return run


def never():
    raise AssertionError("written by another than the first")


def failing(error):
    def write():
        raise error

    return write


def test_the_first_writes_and_the_others_follow(on):
    written = []
    for _ in range(2):
        on(0, lambda: written.append(1))
        on(1, never)
    assert written == [1, 1]
    with pytest.raises(TimeoutError, match="'some/file' was not written by the first process"):
        on(1, never)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError("read only"), PermissionError),
        (KeyboardInterrupt("read only"), RuntimeError),
        (type("Own", (ValueError,), {})("read only"), RuntimeError),
        (UnicodeEncodeError("utf-8", "a", 0, 1, "read only"), RuntimeError),
    ],
)
def test_errors_reach_the_others(on, error, kind):
    with pytest.raises(type(error)):
        on(0, failing(error))
    with pytest.raises(kind, match="first process could not write 'some/file'.*read only"):
        on(1, never)
