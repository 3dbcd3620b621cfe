"""Callbacks that report the progress of training: a progress bar, a CSV file, a server."""

from __future__ import annotations

import csv
import json
import os
import time
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from keraslike.core.arguments import verbosity, warn_user
from keraslike.core.errors import naming_file
from keraslike.core.messages import say
from keraslike.core.processes import is_first
from keraslike.training.callbacks import Callback
from keraslike.training.progress import Bar, summary_line

_TIMEOUT = 10  # The timeout for the server's response, in seconds.


class ProgbarLogger(Callback):
    """Shows the progress of an epoch and its logs in one line, drawn by rich.

    `fit`, `evaluate` and `predict` add one unless `verbose=0`.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> history = model.fit(x, x, verbose=0, callbacks=[ProgbarLogger()])
    >>> sorted(history.history)
    ['loss']
    """

    _reads_arrays = True  # Logs may still be on the device: they are read when they are drawn.

    def __init__(self) -> None:
        self._bar: Any = None
        self._in_epoch = False  # Validation within an epoch has no line of its own.
        self._seen, self._began = 0, 0.0
        # The number of steps in an epoch, known from the previous epoch.
        self._steps: int | None = None

    @property
    def _verbose(self) -> int:
        return verbosity(self.params.get("verbose", 1)) if is_first() else 0

    def _start(self) -> None:
        self._began, self._seen = time.perf_counter(), 0
        if self._verbose == 1:
            self._bar = Bar(self.params.get("steps") or self._steps)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._steps = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        epochs = self.params.get("epochs")
        if is_first() and epochs != 1 and self._verbose:
            say(f"Epoch {epoch + 1}/{epochs}" if epochs else f"Epoch {epoch + 1}")
        self._start()
        self._in_epoch = True

    def _step(self, seen: int, logs: Any) -> None:
        # The last execution may have had fewer steps than its number says.
        self._seen = seen = min(seen, self.params.get("steps") or seen)
        if self._bar is not None:
            self._bar.update(seen, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._step(batch + 1, logs or {})

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._step(batch + 1, logs or {})

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._step(batch + 1, {})  # Outputs are not shown.

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._in_epoch = False
        self._steps = self._seen
        self._finish(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._steps = None
            self._start()

    def on_test_end(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._finish(logs)

    on_predict_begin = on_test_begin

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._finish({})

    def _finish(self, logs: dict | None) -> None:
        if self._bar is not None:
            self._bar.finish(self._seen, logs or {})
            self._bar = None
        elif self._verbose:
            seconds = time.perf_counter() - self._began
            say(summary_line(self._seen, self.params.get("steps"), seconds, logs or {}))

    def abandon(self) -> None:
        """Leaves the line unfinished, after an exception."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class CSVLogger(Callback):
    """Writes the logs of every epoch to a row of a file, as soon as the epoch has ended.

    The columns are `epoch` and the names of the first epoch's logs, and their `val_` names if that
    epoch had no validation. Missing values are `NA`.

    Args:
        filename: a path.
        separator: the text between two values.
        append: whether to append rows to an existing file instead of replacing it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     logger = CSVLogger(os.path.join(folder, "log.csv"))
    ...     logger.on_train_begin()
    ...     logger.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75})
    ...     logger.on_train_end()
    ...     print(*open(logger.filename))
    epoch,loss,val_loss
     0,0.5,0.75
    """

    def __init__(self, filename: str | os.PathLike, separator: str = ",", append: bool = False):
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self.csv_file: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._close()
        self.keys = None
        if not is_first():
            return
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        file: Any = self.csv_file
        if not is_first():
            return
        logs = logs or {}
        writer = csv.writer(file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in logs):
                self.keys += [f"val_{key}" for key in self.keys]
            if not os.path.getsize(self.filename):
                writer.writerow(["epoch", *self.keys])
        with naming_file(self.filename):
            writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
            file.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            file, self.csv_file = self.csv_file, None
            file.close()


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not hasattr(value, "__iter__") or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class RemoteMonitor(Callback):
    """Sends the logs of every epoch to a server, by HTTP POST.

    Args:
        root: the address of the server, `http://` or `https://`.
        path: the path at this address.
        field: the form field with the logs as JSON.
        headers: further headers of the request.
        send_as_json: whether the body is the JSON itself instead of a form.

    If the server cannot be reached or refuses the request, there is a warning and training
    continues.

    Raises ValueError for another kind of address.

    >>> RemoteMonitor("http://localhost:9000", send_as_json=True).root
    'http://localhost:9000'
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ):
        if not isinstance(root, str) or not root.startswith(("http://", "https://")):
            raise ValueError(f"root must begin with http:// or https://. Received: root={root!r}")
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if not is_first():
            return
        values = {k: _plain(v) for k, v in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body = urllib.parse.urlencode({self.field: text})
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT).close()
        except OSError as e:  # urllib's errors are subclasses of OSError.
            warn_user(f"Could not reach RemoteMonitor root server at {self.root}: {e}")


def _plain(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        return value
    return value.item() if value.size == 1 else value.tolist()
