"""`tf.summary`: logs values for TensorBoard, from callbacks and custom loops.

>>> import os, tempfile
>>> with tempfile.TemporaryDirectory() as logs:
...     writer = tf.summary.create_file_writer(logs)
...     with writer.as_default(step=0):
...         written = tf.summary.scalar("loss", 0.5)
...         written = tf.summary.image("kernels", tf.zeros((2, 5, 5, 3)), step=1)
...     writer.close()
...     len(os.listdir(logs))
1
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from flax import nnx

from keraslike.core import context
from keraslike.core.arguments import warn_user
from keraslike.tf import function
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.effects import call_back
from keraslike.tf.module import name_scope
from keraslike.tf.profiler import experimental as profiling
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import Tensor, raw
from keraslike.training.event_files import EventFile, nodes_of


class _Defaults(threading.local):
    def __init__(self):
        self.writer: SummaryWriter | None = None
        self.step: Any = None
        self.recording: Any = True


_defaults = _Defaults()


class SummaryWriter:
    """A writer of event files, which `create_file_writer` returns.

    >>> import tempfile
    >>> isinstance(tf.summary.create_file_writer(tempfile.mkdtemp()), tf.summary.SummaryWriter)
    True
    """

    def __init__(
        self,
        logdir: Any,
        filename_suffix: str = ".v2",
        max_queue: int | None = None,
        flush_millis: int | None = None,
    ):
        self._events = EventFile(logdir, filename_suffix)
        self._events.create()
        self._closed = False
        self._most = 10 if max_queue is None else max_queue
        self._seconds = (120_000 if flush_millis is None else flush_millis) / 1000
        self.flush()

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Makes this the default writer in the block, with a default step of values."""
        self._check()
        with context.changing(_defaults, writer=self, **({} if step is None else {"step": step})):
            yield self
        if not self._closed:
            self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Makes this the default writer from now on."""
        self._check()
        _defaults.writer = self
        if step is not None:
            _defaults.step = step

    def init(self) -> None:
        """Does nothing, since the file is created with the writer.

        Raises RuntimeError if it is closed.
        """
        self._check()

    def flush(self) -> None:
        """Writes the logged values to the disk."""
        self._waiting, self._flushed = 0, time.monotonic()
        self._events.flush()

    def _wrote(self) -> None:
        self._waiting += 1
        if self._waiting > self._most or time.monotonic() - self._flushed > self._seconds:
            self.flush()

    def close(self) -> None:
        """Closes the file."""
        self._closed = True
        self._events.close()

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError(
                "This SummaryWriter is closed. Use tf.summary.create_file_writer() for a new one."
            )


def create_file_writer(
    logdir: Any,
    max_queue: int | None = None,
    flush_millis: int | None = None,
    filename_suffix: str | None = None,
    name: str | None = None,
    experimental_trackable: bool = False,
    experimental_mesh: Any = None,
) -> SummaryWriter:
    """A writer of an event file in a directory, both of which it creates.

    Args:
        max_queue: more values than this, by default 10, are written to the disk at once.
        flush_millis: the longest time, by default two minutes, after which a value that is logged
            is written to the disk with those before it.

    >>> import os, tempfile
    >>> path = tempfile.mkdtemp()
    >>> writer = tf.summary.create_file_writer(path)
    >>> with writer.as_default():
    ...     written = tf.summary.scalar("loss", 0.5, step=1)
    >>> writer.flush()
    >>> len(os.listdir(path))
    1
    """
    suffix = ".v2" if filename_suffix is None else filename_suffix
    return SummaryWriter(logdir, suffix, max_queue, flush_millis)


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:
    """Flushes a writer, by default the default one.

    >>> import tempfile
    >>> writer = tf.summary.create_file_writer(tempfile.mkdtemp())
    >>> tf.summary.flush(writer)
    """
    writer = _defaults.writer if writer is None else writer
    if writer is not None and not isinstance(writer, SummaryWriter):
        raise ValueError(f"writer must be a SummaryWriter. Received: {writer!r}")
    if writer is not None:
        writer.flush()


def record_if(condition: Any) -> contextlib.AbstractContextManager:
    """A context in which values are logged only if the condition, or function, is true.

    >>> import tempfile
    >>> with (
    ...     tf.summary.create_file_writer(tempfile.mkdtemp()).as_default(),
    ...     tf.summary.record_if(False),
    ... ):
    ...     print(bool(tf.summary.scalar("loss", 0.5, step=1)))
    False
    """
    return context.changing(_defaults, recording=condition)


def should_record_summaries() -> Any:
    """Whether values are logged: there is a default writer, and `record_if` does not disable it.

    In a traced function the result is a tensor if the condition is a tensor.

    >>> bool(tf.summary.should_record_summaries())
    False
    """
    if _defaults.writer is None:
        return False
    condition = _defaults.recording
    if callable(condition) and not isinstance(condition, nnx.Variable):
        condition = condition()
    return convert_to_tensor(condition) if is_traced(condition) else bool(condition)


def set_step(step: Any) -> None:
    """Sets the default step of values."""
    _defaults.step = step


def get_step() -> Any:
    """The default step of values."""
    return _defaults.step


@contextlib.contextmanager
def summary_scope(
    name: str | None, default_name: str = "summary", values: Any = None
) -> Iterator[tuple[str, str]]:
    """A context with the name of a value as `tf.name_scope`; gives the tag, which has the names of
    the enclosing ones as prefix, and the scope."""
    allowed = re.sub(r"[^A-Za-z0-9_.\-/]", "", name or default_name)
    tag = _tag(name or default_name)
    with name_scope(allowed or default_name) as scope:
        yield tag, scope


def _tag(name: str) -> str:
    """The tag of a value, which has the names of the enclosing scopes."""
    return "/".join([*context.state.names, name])


experimental = SimpleNamespace(set_step=set_step, get_step=get_step, summary_scope=summary_scope)


def _log(write: Callable[..., None], tag: str, data: Any, step: Any, **options: Any) -> Tensor:
    """Logs a value, which may be a function, and returns whether it was logged.

    A traced function logs whenever it runs.
    """
    recorded = should_record_summaries()  # once, since the condition may be a function with state
    if recorded is False:
        return constant(False)
    step = _defaults.step if step is None else step
    if step is None:
        raise ValueError(
            f"No step set for '{tag}': pass step=, or one to as_default() or "
            "tf.summary.experimental.set_step()."
        )
    if hasattr(step, "read_value"):
        step = step.read_value()
    data = data() if callable(data) and not isinstance(data, nnx.Variable) else data
    data, step = (raw(v) if isinstance(v, Tensor) else v for v in (data, step))
    writer = _defaults.writer
    tag = tag if write is EventFile.tensor else _tag(tag)

    def log(given: Sequence[Any]) -> None:
        data, step, wanted = given
        if wanted and writer is not None:
            write(writer._events, tag, data, int(step), **options)
            writer._wrote()

    call_back(log, [data, step, recorded if recorded is True else raw(recorded)])
    return convert_to_tensor(recorded)


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Logs a number, and returns whether it was logged.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.scalar("loss", 0.5, step=1)))
    True
    """
    return _log(EventFile.scalar, name, data, step, description=description or "")


def histogram(
    name: str,
    data: Any,
    step: Any = None,
    buckets: int | None = None,
    description: str | None = None,
) -> Tensor:
    """Logs a histogram of values, by default with 30 buckets.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.histogram("weights", [1.0, 2.0], step=1)))
    True
    """
    more = {"buckets": 30 if buckets is None else buckets, "description": description or ""}
    return _log(EventFile.histogram, name, data, step, **more)


def image(
    name: str,
    data: Any,
    step: Any = None,
    max_outputs: int = 3,
    description: str | None = None,
) -> Tensor:
    """Logs images `(samples, height, width, channels)`, floats from 0 to 1 or uint8.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.image("picture", tf.zeros([1, 2, 2, 1]), step=1)))
    True
    """
    more = {"max_outputs": max_outputs, "description": description or ""}
    return _log(EventFile.image, name, data, step, **more)


def audio(
    name: str,
    data: Any,
    sample_rate: Any,
    step: Any = None,
    max_outputs: int = 3,
    encoding: Any = None,
    description: str | None = None,
) -> Tensor:
    """Logs audio `(clips, frames, channels)`, floats from -1 to 1.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.audio("sound", tf.zeros([1, 8, 1]), 8000, step=1)))
    True
    """
    more = {"rate": int(sample_rate), "max_outputs": max_outputs, "description": description or ""}
    return _log(EventFile.audio, name, data, step, **more)


def create_noop_writer() -> SummaryWriter:
    """A writer that writes nothing.

    >>> with tf.summary.create_noop_writer().as_default():
    ...     print(bool(tf.summary.scalar("loss", 0.5, step=1)))
    False
    """
    return _Nowhere()


class _Nowhere(SummaryWriter):
    def __init__(self) -> None:
        pass

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        yield self  # the writer of an enclosing block stays the default

    def set_as_default(self, step: Any = None) -> None:
        pass

    def init(self) -> None:
        pass

    flush = close = init


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Logs text, or an array of texts, which TensorBoard renders as Markdown.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.text("note", "started", step=1)))
    True
    """
    data = data.numpy() if isinstance(data, Tensor) else data
    return _log(EventFile.text, name, data, step, description=description or "")


def write(
    tag: Any, tensor: Any, step: Any = None, metadata: Any = None, name: Any = None
) -> Tensor:
    """Logs a tensor, for a plugin of TensorBoard that its metadata name.

    Args:
        tensor: a tensor of numbers or of text, or a function that gives one.
        metadata: a message `SummaryMetadata`, or its bytes.

    >>> import tempfile
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(bool(tf.summary.write("values", [1.0, 2.0], step=1)))
    True
    """
    serialize = getattr(metadata, "SerializeToString", None)
    content = serialize() if serialize is not None else metadata or b""
    value = lambda: convert_to_tensor(tensor() if callable(tensor) else tensor)  # noqa: E731
    return _log(EventFile.tensor, tag, value, step, metadata=content)


def graph(graph_data: Any) -> bool:
    """Logs a graph, such as that of a `ConcreteFunction`.

    >>> import tempfile
    >>> concrete = tf.function(lambda x: x + 1).get_concrete_function(tf.constant(1.0))
    >>> with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    ...     print(tf.summary.graph(concrete.graph))
    True
    """
    if should_record_summaries() is False:
        return False
    _defaults.writer._events.graph_def(_graph_def(graph_data))  # type: ignore[union-attr]
    return True


def _graph_def(graph_data: Any) -> bytes:
    if isinstance(graph_data, bytes):
        return graph_data
    serialize = getattr(graph_data, "SerializeToString", None)
    if serialize is not None:
        return serialize()
    if not hasattr(graph_data, "get_operations"):
        raise ValueError(
            f"graph_data must be a graph or a message of one. Received: {graph_data!r}"
        )
    nodes = (
        (op.name, op.type, [t.name.removesuffix(":0") for t in op.inputs])
        for op in graph_data.get_operations()
    )
    return nodes_of(nodes)


class _Tracing:
    """What `trace_on` has begun."""

    def __init__(self) -> None:
        self.graphs: Any = None  # functions by identity
        self.directory: Any = None


_tracing = _Tracing()


def trace_on(graph: bool = True, profiler: bool = False, profiler_outdir: Any = None) -> None:
    """Begins to record the graphs of functions that are called, and what the program does.

    Args:
        profiler_outdir: where the profiler writes, if `profiler`.

    Example (it writes files, which TensorBoard shows)::

        tf.summary.trace_on()
        function(x)
        with writer.as_default():
            tf.summary.trace_export("function", step=0)
    """
    if _tracing.graphs is not None or _tracing.directory is not None:
        warn_user("Must stop the trace before starting another one.")
        return
    if profiler and profiler_outdir is None:
        warn_user("No `profiler_outdir` passed to trace_on(): the profiler is not started.")
    elif profiler:
        profiling.start(profiler_outdir)
        _tracing.directory = profiler_outdir
    if graph:
        _tracing.graphs = {}
        function.called = lambda concrete: _tracing.graphs.setdefault(id(concrete), concrete)


def trace_export(name: Any, step: Any = None, profiler_outdir: Any = None) -> None:
    """Logs the graphs of the functions that were called since `trace_on`, and ends the recording.

    Example (see `trace_on`)::

        with writer.as_default():
            tf.summary.trace_export("function", step=0)
    """
    if _tracing.graphs is None and _tracing.directory is None:
        raise ValueError("Must enable trace before export through tf.summary.trace_on.")
    if _defaults.writer is None:
        raise ValueError("There is no default writer: use SummaryWriter.as_default().")
    step = _defaults.step if step is None else step
    if step is None:
        raise ValueError(f"No step set for '{name}': pass step=, or one to as_default().")
    if should_record_summaries():
        functions = (_tracing.graphs or {}).values()
        graphs = [_graph_def(concrete.graph) for concrete in functions]
        _defaults.writer._events.function_graphs(str(name), graphs, int(step))
    trace_off()


def trace_off() -> None:
    """Ends what `trace_on` began.

    >>> tf.summary.trace_off()
    """
    if _tracing.directory is not None:
        profiling.stop()
    function.called = None
    _tracing.graphs = _tracing.directory = None


__all__ = [
    *("graph", "trace_export", "trace_off", "trace_on", "write"),
    *("SummaryWriter", "audio", "create_file_writer", "create_noop_writer", "experimental"),
    *("flush", "histogram", "image", "record_if", "scalar", "should_record_summaries", "text"),
]


def __dir__() -> list[str]:
    return list(__all__)
