"""The line that shows how far an epoch has come, drawn by rich."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

_WIDTH = 20  # of the bar, in characters
_INTERVAL = 0.1  # seconds between two drawings: reading logs waits for the device


def _console(**options: Any) -> Console:
    # Made anew each time: standard output may have been redirected since. To a notebook it writes
    # text as to anything else, where rich would make an output of its own of every line.
    return Console(highlight=False, markup=False, soft_wrap=True, force_jupyter=False, **options)


def say(line: str) -> None:
    """Prints a line."""
    _console().print(line)


def show_value(value: Any) -> str:
    """A logged value as it is shown.

    >>> show_value(0.00002), show_value(1.5)
    ('2.0000e-05', '1.5000')
    """
    number = float(np.mean(np.asarray(value)))
    return f"{number:.4f}" if abs(number) > 1e-3 or number == 0 else f"{number:.4e}"


def show_time(seconds: float) -> str:
    """A duration of a step.

    >>> show_time(0.0021), show_time(0.000034), show_time(2.4)
    ('2ms', '34us', '2s')
    """
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _pieces(seconds: float, steps: int, logs: dict[str, Any]) -> str:
    shown = [f"{show_time(seconds / steps)}/step"] if steps else []
    head = f"{seconds:.0f}s {' '.join(shown)}".rstrip()
    return " - ".join([head, *(f"{k}: {show_value(v)}" for k, v in logs.items())])


def summary_line(steps: int, total: int | None, seconds: float, logs: dict[str, Any]) -> str:
    """The line of an epoch where no bar is drawn (`verbose=2`)."""
    rest = _pieces(seconds, steps, logs).replace(" ", " - ", 1)
    return f"{steps}/{total or steps} - {rest}"


class Bar:
    """`12/363 ━━━━━━━━━━ 1s 2ms/step - loss: 0.5000`, in place on a terminal and in a notebook.

    Where the output is neither, only the finished line is written.
    """

    def __init__(self, total: int | None):
        self.total = total
        # A notebook knows colours and carriage returns, but not how to move a cursor.
        self._notebook = Console().is_jupyter
        self.console = _console(force_terminal=True if self._notebook else None)
        live = self.console.is_terminal and not self._notebook
        self._live = Live(console=self.console, auto_refresh=False) if live else None
        self._length = 0  # of the line in a notebook
        self._began = self._drawn = time.perf_counter()
        if self._live is not None:
            self._live.start()

    def _line(self, seen: int, logs: dict[str, Any]) -> Text:
        total = self.total or seen
        done = min(_WIDTH, _WIDTH * seen // max(total, 1)) if self.total else _WIDTH
        text = Text(f"{seen}/{self.total or 'Unknown'} " if seen < total or not self.total
                    else f"{seen}/{total} ")  # fmt: skip
        text.append("━" * done, style="green")
        text.append("━" * (_WIDTH - done), style="bright_black")
        seconds = time.perf_counter() - self._began
        left = (
            f"{seconds / seen * (total - seen):.0f}s" if self.total and 0 < seen < total else None
        )
        pieces = _pieces(seconds, seen, logs)
        if left is not None:  # while it runs: the time that is left, as Keras shows it
            pieces = pieces.replace(pieces.split(" ", 1)[0], left, 1)
        return text.append(f" {pieces}")

    def update(self, seen: int, logs: Any) -> None:
        """Shows logs, which may still be on the device, unless the last drawing was just now."""
        now = time.perf_counter()
        if not (self._live or self._notebook) or now - self._drawn < _INTERVAL:
            return
        self._drawn = now
        self._draw(self._line(seen, logs))

    def _draw(self, line: Text) -> None:
        if self._live is not None:
            self._live.update(line, refresh=True)
        elif self._notebook:
            self.console.file.write("\r")
            length, self._length = self._length, len(line)
            line.append(" " * max(0, length - len(line)))
            self.console.print(line, end="")

    def finish(self, seen: int, logs: dict[str, Any]) -> None:
        """Draws the last state and leaves it."""
        line = self._line(seen, logs)
        if self._live is None and not self._notebook:
            self.console.print(line)
        else:
            self._draw(line)
        self.stop()

    def stop(self) -> None:
        """Ends the drawing."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._notebook:
            self.console.print()
            self._notebook = False
