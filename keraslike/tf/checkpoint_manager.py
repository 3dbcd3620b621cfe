"""The checkpoints of a directory: which are kept, and those that come to be there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.tf.checkpoint import Checkpoint
from keraslike.tf.checkpoint_files import get_checkpoint_state, latest_checkpoint, note
from keraslike.tf.conversion import static


class CheckpointManager:
    """Writes checkpoints into a directory, and deletes old ones.

    Args:
        checkpoint: the `Checkpoint` to save.
        directory: the directory, which is created with the first checkpoint.
        max_to_keep: the number of newest checkpoints to keep, or `None` for all.
        keep_checkpoint_every_n_hours: additionally keeps one checkpoint in so many hours.
        checkpoint_name: the prefix of the names of checkpoints.
        step_counter, checkpoint_interval: a variable, and the least increase of it between two
            checkpoints; `save` does nothing before that.
        last_checkpoint_step: the step of the last checkpoint, from which the interval counts.
        init_fn: called by `restore_or_initialize` if there is no checkpoint.

    Raises ValueError for a `max_to_keep` below 1, and for an interval without a counter.

    >>> import os, tempfile
    >>> manager = tf.train.CheckpointManager(
    ...     tf.train.Checkpoint(v=tf.Variable(1.0)), tempfile.mkdtemp(), max_to_keep=1
    ... )
    >>> paths = [manager.save() for _ in range(2)]
    >>> [os.path.basename(path) for path in manager.checkpoints]
    ['ckpt-2']
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable | None = None,
        last_checkpoint_step: int | None = None,
    ):
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(
                "Expected a positive integer or `None` for `max_to_keep`, "
                f"received: max_to_keep={max_to_keep!r}"
            )
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("`step_counter` must be passed with `checkpoint_interval`.")
        self.checkpoint, self.directory = checkpoint, os.fspath(directory)
        self._most, self._hours = max_to_keep, keep_checkpoint_every_n_hours
        self._prefix = os.path.join(self.directory, checkpoint_name)
        self._counter, self.checkpoint_interval = step_counter, checkpoint_interval
        self._init, self._last_step = init_fn, last_checkpoint_step
        state = get_checkpoint_state(self.directory)
        now = time.time()
        self._written: dict[str, float] = {}  # when, by the paths of the checkpoints
        self.latest_checkpoint, self._preserved = None, now - 1
        if state is not None:
            self.latest_checkpoint = state.model_checkpoint_path
            self._preserved = min(state.last_preserved_timestamp, now)
            paths, times = state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps
            # Without times they are not of a manager, and are not deleted.
            known = zip(paths, times or [0.0] * len(paths))
            self._written.update(
                (p, min(t, now)) for p, t in known if min(t, now) > self._preserved
            )

    @property
    def checkpoints(self) -> list[str]:
        """The paths of the kept checkpoints, the oldest first."""
        return list(self._written)

    def save(
        self, checkpoint_number: Any = None, check_interval: bool = True, options: Any = None
    ) -> str | None:
        """Writes a checkpoint, deletes the oldest one, and returns the path; returns `None` if the
        interval has not passed yet.

        Args:
            checkpoint_number: the number in the name, by default the count of checkpoints.
        """
        if self.checkpoint_interval is not None:
            step = int(static(self._counter))
            due = self._last_step is None or step - self._last_step >= self.checkpoint_interval
            if check_interval and not due:
                return None
            self._last_step = step
        counter = self.checkpoint.save_counter
        counter.assign_add(1)
        number = int(static(counter if checkpoint_number is None else checkpoint_number))
        path = self.checkpoint.write(f"{self._prefix}-{number}", options)
        self._written.pop(path, None)
        self._written[path] = time.time()
        self.latest_checkpoint = path
        extra = 0 if self._most is None else max(len(self._written) - self._most, 0)
        gone = [old for old in list(self._written)[:extra] if self._is_dropped(old)]
        note(
            self.directory,
            path,
            self._written,
            all_model_checkpoint_timestamps=self._written.values(),
            last_preserved_timestamp=self._preserved,
        )
        for old in gone:
            _remove(old)
        return path

    def _is_dropped(self, path: str) -> bool:
        """Forgets a checkpoint, and returns whether its files are to be deleted."""
        written = self._written.pop(path)
        if self._hours is None or written - self._preserved < self._hours * 3600:
            return True
        self._preserved = written
        return False

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint and returns its path; calls `init_fn` if there is none."""
        if self.latest_checkpoint is not None:
            self.checkpoint.restore(self.latest_checkpoint)
            if self.checkpoint_interval is not None:
                self._last_step = int(static(self._counter))
            return self.latest_checkpoint
        if self._init is not None:
            self._init()
        return None


def _remove(path: str) -> None:
    folder, name = os.path.split(path)
    for file in os.listdir(folder or "."):
        if file == f"{name}.index" or file.startswith(f"{name}.data-"):
            os.remove(os.path.join(folder, file))


def checkpoints_iterator(
    checkpoint_dir: Any,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable | None = None,
) -> Iterator[str]:
    """The newest checkpoint of a directory, whenever there is a new one.

    Args:
        min_interval_secs: the least time between two checkpoints.
        timeout: how many seconds to wait for one; then the iteration ends, unless `timeout_fn` is
            given and returns False.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(folder + "/ckpt")
    >>> list(tf.train.checkpoints_iterator(folder, timeout=0)) == [path]
    True
    """
    known = None
    while True:
        began = time.monotonic()
        found = latest_checkpoint(checkpoint_dir)
        while found in (None, known):
            if timeout is not None and time.monotonic() + 1 > began + timeout:
                break
            time.sleep(1)
            found = latest_checkpoint(checkpoint_dir)
        if found in (None, known):
            if timeout_fn is None or timeout_fn():
                return
            continue
        known, began = found, time.monotonic()
        yield found
        time.sleep(max(began + min_interval_secs - time.monotonic(), 0))


__all__ = ["CheckpointManager", "checkpoints_iterator"]
