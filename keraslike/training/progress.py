"""The progress bar of an epoch, drawn by rich."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from keraslike.core.messages import is_interactive_logging_enabled, say

# The least seconds between two updates in `fit`: reading logs waits for the device.
_INTERVAL = 0.1


def _console(**options: Any) -> Console:
    # Created for each bar, since standard output may have been redirected meanwhile. In a notebook
    # rich would create an output for each line; this console writes plain text there.
    return Console(highlight=False, markup=False, soft_wrap=True, force_jupyter=False, **options)


def show_value(value: Any) -> str:
    """The text for a logged value.

    >>> show_value(0.00002), show_value(1.5), show_value(0.0)  # zero as in Keras
    ('2.0000e-05', '1.5000', '0.0000e+00')
    """
    number = float(np.mean(np.asarray(value)))
    return f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"


def show_time(seconds: float) -> str:
    """The text for the duration of a step.

    >>> show_time(0.0021), show_time(0.000034), show_time(2.4)
    ('2ms', '34us', '2s')
    """
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _pieces(seconds: float, steps: int, logs: dict[str, Any], unit: str = "step") -> str:
    shown = [f"{show_time(seconds / steps)}/{unit}"] if steps else []
    head = f"{seconds:.0f}s {' '.join(shown)}".rstrip()
    return " - ".join([head, *(f"{k}: {show_value(v)}" for k, v in logs.items())])


def summary_line(
    steps: int, total: int | None, seconds: float, logs: dict[str, Any], unit: str = "step"
) -> str:
    """The line for an epoch if no bar is drawn (`verbose=2`)."""
    rest = _pieces(seconds, steps, logs, unit).replace(" ", " - ", 1)
    return f"{steps}/{total or steps} - {rest}"


class Bar:
    """A line such as `12/363 ━━━━━━━━━━ 1s 2ms/step - loss: 0.5000`, updated in place on a terminal
    and in a notebook.

    Elsewhere only the finished line is written.

    Args:
        total: the number of steps, or `None` if it is unknown.
        width: of the bar, in characters.
        interval: seconds between two drawings at least.
        unit: what a step is called.
        everywhere: whether updates are also written if the output is a file.
    """

    def __init__(
        self,
        total: int | None,
        width: int = 20,
        interval: float = _INTERVAL,
        unit: str = "step",
        everywhere: bool = False,
    ):
        self.total, self.width, self.interval, self.unit = total, width, interval, unit
        # A notebook supports colours and carriage returns, but no cursor movements.
        notebook = Console().is_jupyter
        self.console = _console(force_terminal=True if notebook else None)
        live = self.console.is_terminal and not notebook and is_interactive_logging_enabled()
        self._live = Live(console=self.console, auto_refresh=False) if live else None
        self._returns = (notebook or everywhere) and not live
        self._length = 0  # The length of the line that the next carriage return overwrites.
        self._began = time.perf_counter()
        self._drawn = self._began if interval else 0.0
        if self._live is not None:
            self._live.start()

    def _line(self, seen: int, logs: dict[str, Any]) -> Text:
        total, width = self.total or seen, self.width
        done = min(width, width * seen // max(total, 1)) if self.total else width
        text = Text(f"{seen}/{self.total or 'Unknown'} ")
        text.append("━" * done, style="green")
        text.append("━" * (width - done), style="bright_black")
        seconds = time.perf_counter() - self._began
        left = (
            f"{seconds / seen * (total - seen):.0f}s" if self.total and 0 < seen < total else None
        )
        pieces = _pieces(seconds, seen, logs, self.unit)
        if left is not None:  # While it runs, the remaining time is shown, as in Keras.
            pieces = pieces.replace(pieces.split(" ", 1)[0], left, 1)
        return text.append(f" {pieces}")

    def update(self, seen: int, logs: Any) -> None:
        """Draws logs, which may still be on the device, unless the last update was just now."""
        now = time.perf_counter()
        if not (self._live or self._returns) or now - self._drawn < self.interval:
            return
        self._drawn = now
        self._draw(self._line(seen, logs))

    def _draw(self, line: Text) -> None:
        if self._live is not None:
            self._live.update(line, refresh=True)
        elif self._returns:
            length, self._length = self._length, len(line)
            line.append(" " * max(0, length - len(line)))
            with self.console.capture() as drawn:
                self.console.print(line, end="")
            say(f"\r{drawn.get()}", end="")

    def finish(self, seen: int, logs: dict[str, Any]) -> None:
        """Draws the final state. If the number of steps was unknown, it is known from then on."""
        self.total = self.total or seen
        line = self._line(seen, logs)
        if self._live is None and not self._returns:
            say(str(line)) if not self.console.is_terminal else self.console.print(line)
        else:
            self._draw(line)
        self.stop()

    def stop(self) -> None:
        """Ends the drawing."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._returns:
            say("")
            self._returns = False


class Progbar:
    """A progress bar for custom loops.

    Args:
        target: the number of steps, or `None` if it is unknown.
        width: of the bar, in characters.
        verbose: 0 for no output, 1 for a bar, 2 for one line at the end.
        interval: seconds between two drawings at least.
        stateful_metrics: the names of values that are shown directly; of others the mean over the
            steps is shown.
        stateless_metrics: alternatively, the names of values whose mean is shown.
        unit_name: what a step is called.

    Raises ValueError if both kinds of names are given.

    >>> bar = Progbar(target=4, verbose=2)
    >>> for step in range(1, 5):
    ...     bar.update(step, [("loss", step / 2)])
    4/4 - 0s - ...s/step - loss: 1.2500
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of stateful_metrics and stateless_metrics can be given. Received: "
                f"stateful_metrics={stateful_metrics}, stateless_metrics={stateless_metrics}"
            )
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._seen_so_far, self._began = 0, time.perf_counter()
        # By name: the sum, and the number of steps in it.
        self._sums: dict[str, tuple[Any, int]] = {}
        self._bar: Bar | None = None

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows the progress of the loop.

        Args:
            current: the number of finished steps.
            values: pairs of a name and the value of the last step.
            finalize: `True` ends the bar with these values as they are; by default it ends when
                `current` has reached the target.
        """
        final = bool(finalize)  # Values for all steps, not for the last one.
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(current - self._seen_so_far, 1)
        for name, value in values or ():
            value = np.mean(np.asarray(value))
            total, count = self._sums.get(name, (0.0, 0))
            if final or not self._is_averaged(name):
                self._sums[name] = value, 1
            else:
                self._sums[name] = total + value * steps, count + steps
        self._seen_so_far = current
        if self.verbose == 1:
            if self._bar is None:
                self._bar = Bar(self.target, self.width, self.interval, self.unit_name, True)
                self._bar._began = self._began
            if not finalize:
                self._bar.update(current, self._logs())
                return
            self._bar.finish(current, self._logs())
            self._bar = None
        elif self.verbose == 2 and finalize:
            seconds = time.perf_counter() - self._began
            say(summary_line(current, self.target, seconds, self._logs(), self.unit_name))

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """`update` with `n` more steps."""
        self.update(self._seen_so_far + n, values)

    def _is_averaged(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def _logs(self) -> dict[str, Any]:
        return {name: total / count for name, (total, count) in self._sums.items()}
