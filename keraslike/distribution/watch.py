"""Several processes watch each other, so that none waits for one that is gone.

Each process writes a number that grows to the store that all share, a few times within the time
that a process may be silent, and reads those of the others. XLA's collectives wait for a lost
process for ever, or fail with an error of the network's; here the main thread gets a `ProcessLost`
that names it. If the main thread is in native code, where no exception can reach it, the message is
printed and the process ends.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
import time
import traceback
from typing import Any

import jax

from keraslike.core import jax_internals
from keraslike.core.errors import ProcessLost
from keraslike.distribution.relay import Relay

_BEAT, _ENDED = "keraslike/beat/", "keraslike/ended/"
_SERVICE = "The service by which the processes find each other, on the machine of process 0,"
# Seconds that the main thread has to take the exception, and then to end by it.
_TO_TAKE, _TO_END = 1.0, 20.0
# Seconds that process 0, which keeps the others together, waits for them at its end.
_LAST = 300.0

# The exceptions that JAX raises for errors of its runtime; some are ValueErrors.
_NATIVE = re.compile("(UNKNOWN|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|ABORTED|CANCELLED)\\b")


class Watch(threading.Thread):
    """Publishes heartbeats of this process and monitors those of the others.

    Args:
        store: the key-value store that all processes share.
        process, count: the number of this process, and the number of processes.
        timeout: seconds without a heartbeat after which a process counts as lost.
    """

    def __init__(self, store: Any, process: int, count: int, timeout: float):
        super().__init__(name="keraslike-watch", daemon=True)
        self.store, self.process, self.count, self.timeout = store, process, count, timeout
        self.lost = threading.Event()
        self.message = ""
        self.failed = ""  # the error that this process has failed with
        self.ending = False  # the program is past its own code
        self._main = threading.current_thread()  # the thread that called `initialize`
        self._giving_up = threading.Lock()
        self._answered = time.monotonic()  # the time of the store's last answer
        self._pause = max(0.1, timeout / 8)

    def start(self) -> None:
        super().start()
        threading.Thread(target=self._expect_answers, name=f"{self.name}-2", daemon=True).start()

    def _expect_answers(self) -> None:
        """Ends the process if the store does not answer: a call of the store would return only
        minutes later."""
        before = time.monotonic()
        while not self.lost.is_set():
            time.sleep(self._pause)
            now = time.monotonic()
            if now - before > self.timeout / 2 + self._pause:  # this process had been suspended
                self._answered = now
            before = now
            if now - self._answered > self.timeout:
                self.give_up(f"{_SERVICE} has not answered for {self.timeout:g} seconds.")

    def run(self) -> None:
        now = self._answered = time.monotonic()
        seen = {i: ("", now) for i in range(self.count) if i != self.process}
        failures: dict[int, str] = {}
        number = 0
        while not self.lost.is_set():
            began = time.monotonic()
            number += 1
            try:
                self.store.replace(f"{_BEAT}{self.process}", f"{number} {self.failed}")
                signs, ended = self.store.below(_BEAT), self.store.below(_ENDED)
                self._answered = now = time.monotonic()
                for i, (before, _) in seen.items():
                    sign, _, failures[i] = signs.get(str(i), "").partition(" ")
                    if sign != before and not failures[i]:
                        seen[i] = sign, now
                silent = [
                    i
                    for i, (_, since) in seen.items()
                    if now - since > self.timeout and str(i) not in ended
                ]
                if silent:
                    self.give_up(" ".join(self._of(i, failures[i]) for i in silent))
            except jax.errors.JaxRuntimeError:
                pass  # no answer
            time.sleep(self._pause)
            if time.monotonic() - began > self.timeout / 2 + self._pause:  # it had been suspended
                now = time.monotonic()
                seen = {i: (sign, now) for i, (sign, _) in seen.items()}

    def _of(self, i: int, failure: str) -> str:
        if failure:
            return f"Process {i} of {self.count} has failed: {failure}"
        return (
            f"Process {i} of {self.count} has given no sign of life for {self.timeout:g} seconds: "
            "it has died, or hangs."
        )

    def service_lost(self) -> None:
        """The connection to the store is closed."""
        self.give_up(f"{_SERVICE} is gone: process 0, or the machine that it ran on, has died.")

    def give_up(self, message: str) -> None:
        """Ends this process with a `ProcessLost`, raised in the main thread, that begins with the
        message."""
        with self._giving_up:
            if self.lost.is_set():
                return
            self.message = (
                f"{message} This process ({self.process}) cannot go on without it. Start all "
                "processes again: fit() with BackupAndRestore goes on where its last backup was "
                "made, on as many processes or on fewer."
            )
            self.lost.set()
        if self.ending:
            time.sleep(_TO_END)
            os._exit(1)
        taken = ProcessLost.taken
        jax_internals.raise_in(self._main, ProcessLost)
        if not taken.wait(_TO_TAKE):
            self.say()
            os._exit(1)
        time.sleep(_TO_END)
        os._exit(1)

    def say(self) -> None:
        """Writes what has happened to standard error."""
        sys.stdout.flush()
        print(f"{ProcessLost.__name__}: {self.message}", file=sys.stderr, flush=True)

    def at_error(self, kind: type, error: BaseException, trace: Any, before: Any) -> None:
        """Shows what ended this process, and tells the others; what the network says of a lost
        process is followed by which one it is."""
        self.ending = True
        before(kind, error, trace)
        if issubclass(kind, ProcessLost):
            return
        native = issubclass(kind, jax.errors.JaxRuntimeError) or _NATIVE.match(str(error))
        if native and self.lost.wait(self.timeout + 2):
            self.say()
            return
        self.failed = traceback.format_exception_only(kind, error)[-1].strip()
        time.sleep(self.timeout / 4)  # until the others can see it

    def at_exit(self) -> None:
        """Ends without waiting for those that are gone; process 0 waits for all others."""
        self.ending = True
        if not self.lost.is_set() and not self.failed:
            self.store.replace(f"{_ENDED}{self.process}", "1")
            until = time.monotonic() + _LAST
            while self.process == 0 and time.monotonic() < until and not self.lost.is_set():
                if len(self.store.below(_ENDED)) == self.count:
                    return
                time.sleep(0.02)
        if self.lost.is_set() or self.failed:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)  # JAX would wait for the others


def begin(timeout: float, *relays: Relay) -> None:
    """Starts to watch the other processes and the service behind the relays; announces the end of
    this process to the others."""
    store = jax_internals.shared_store()
    if store is None or jax.process_count() == 1:
        return
    watch = Watch(store, jax.process_index(), jax.process_count(), timeout)
    ProcessLost.told = lambda: watch.message
    before = sys.excepthook
    sys.excepthook = lambda kind, error, trace: watch.at_error(kind, error, trace, before)
    atexit.register(watch.at_exit)  # before JAX's own, which was registered earlier
    watch.start()
    for relay in relays:
        relay.lost = watch.service_lost
