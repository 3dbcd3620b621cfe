"""`tf.profiler.experimental`: JAX's profiler by TensorFlow's names.

Example (what it writes is shown in TensorBoard's tab "Profile")::

    with tf.profiler.experimental.Profile("logs"):
        model.fit(x, y)
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax

from keraslike.tf.errors import AlreadyExistsError, UnavailableError

_running: list[str] = []


class ProfilerOptions(NamedTuple):
    """What a profiler records of the host, of Python and of devices, from 0 (nothing) on.

    >>> tf.profiler.experimental.ProfilerOptions(python_tracer_level=1).python_tracer_level
    1
    """

    host_tracer_level: int = 2
    python_tracer_level: int = 0
    device_tracer_level: int = 1
    delay_ms: int | None = None


def start(logdir: Any, options: ProfilerOptions | None = None) -> None:
    """Begins to record, into a directory.

    Raises AlreadyExistsError if a profiler records already.

    Example (it writes files)::

        tf.profiler.experimental.start("logs")
        model.fit(x, y)
        tf.profiler.experimental.stop()
    """
    if _running:
        raise AlreadyExistsError("Another profiler is running.")
    given, wanted = options or ProfilerOptions(), jax.profiler.ProfileOptions()
    wanted.host_tracer_level = given.host_tracer_level
    wanted.python_tracer_level = given.python_tracer_level
    wanted.device_tracer_level = given.device_tracer_level
    jax.profiler.start_trace(os.fspath(logdir), profiler_options=wanted)
    _running.append(os.fspath(logdir))


def stop(save: bool = True) -> None:
    """Ends what `start` began, and writes what was recorded.

    Args:
        save: must be True: JAX's profiler always writes.

    Raises UnavailableError if no profiler records.

    >>> tf.profiler.experimental.stop()
    Traceback (most recent call last):
        ...
    keraslike.tf.errors.UnavailableError: No profiler is running, so none can be stopped.
    """
    if not _running:
        raise UnavailableError("No profiler is running, so none can be stopped.")
    if not save:
        raise NotImplementedError("tf.profiler.experimental.stop: save must be True.")
    _running.clear()
    jax.profiler.stop_trace()


class Profile:
    """A block that is recorded.

    Example (it writes files)::

        with tf.profiler.experimental.Profile("logs"):
            model.fit(x, y)
    """

    def __init__(self, logdir: Any, options: ProfilerOptions | None = None):
        self._logdir, self._options = logdir, options

    def __enter__(self) -> None:
        start(self._logdir, self._options)

    def __exit__(self, *error: Any) -> None:
        stop()


class Trace:
    """A block that is shown by a name in what is recorded; with `step_num`, as a step.

    >>> with tf.profiler.experimental.Trace("train", step_num=1, _r=1):
    ...     print("a step")
    a step
    """

    def __init__(self, name: str, **kwargs: Any):
        step = kwargs.pop("_r", None)
        kind = jax.profiler.StepTraceAnnotation if step else jax.profiler.TraceAnnotation
        self._annotation = kind(name, **kwargs)

    def set_metadata(self, **kwargs: Any) -> None:
        """Adds values that are shown with the block."""
        self._annotation.set_metadata(**kwargs)

    def __enter__(self) -> Trace:
        self._annotation.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._annotation.__exit__(*error)


# Lets TensorBoard record what this process does, from the given port on.
server = SimpleNamespace(start=jax.profiler.start_server)

__all__ = ["Profile", "ProfilerOptions", "Trace", "server", "start", "stop"]
__dir__ = __all__.copy
