"""Callbacks that save the whole state of training in orbax's layout, and resume from it."""

from __future__ import annotations

import os
from typing import Any

from keraslike.core import registry, serialization
from keraslike.core.messages import say
from keraslike.training.callbacks import Callback
from keraslike.training.loop import Position
from keraslike.training.monitors import MonitorCallback


class _Saver(Callback):
    """Base of callbacks that save to a directory after every epoch, or after a number of steps."""

    _comes_last = True
    _opened: Any = None

    def _set_directory(self, argument: str, value: Any) -> None:
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise ValueError(
                f"Empty `{argument}` argument passed: it must be a path. "
                f"Received: {argument}={value!r}"
            )
        setattr(self, argument, os.fspath(value))

    def _set_frequency(self, save_freq: Any) -> None:
        steps = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not steps:
            raise ValueError(
                "Invalid value: save_freq must be 'epoch' or a positive number of steps. "
                f"Received: save_freq={save_freq!r}"
            )
        self.save_freq = save_freq
        if steps:
            self.on_train_batch_end = self._after_steps

    def _checkpoints(self, directory: str, max_to_keep: int | None, background: bool) -> Any:
        if self._opened is None:
            open_checkpoints = serialization.get("saving", "open_checkpoints")
            self._opened = open_checkpoints(directory, max_to_keep, background)
        return self._opened

    @property
    def _position(self) -> Position:
        position = self.model._position
        if position is None:
            raise RuntimeError(f"{type(self).__name__} works within fit() only.")
        return position

    def _after_steps(self, batch: int, logs: dict | None = None) -> None:
        position, every = self._position, int(self.save_freq)
        if position.updates // every > position.before // every:
            self._save(position.updates, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, number: int, logs: dict | None) -> None:
        raise NotImplementedError


class OrbaxCheckpoint(_Saver, MonitorCallback):
    """Saves checkpoints with orbax in the background of training.

    A checkpoint holds architecture, compile arguments, weights, optimizer state, metrics, random
    streams and the position in the data. `keraslike.saving.load_model(directory)` loads the newest
    one, `model.load_weights(directory)` reads its weights; both also take the folder
    of a single checkpoint, `directory/<number>`. Its `state` is a tree of arrays that any program
    with orbax can read. A crash while saving leaves earlier checkpoints intact.

    Args:
        directory: a path; created if it does not exist.
        monitor, mode: the value that determines which model is best; `mode` is `"min"`, `"max"` or
            `"auto"`.
        verbose: 1 prints what is saved.
        save_best_only: whether to save only models that are the best so far.
        save_freq: `"epoch"`, with folders numbered by epoch, from 0; or a number of steps, with
            folders numbered by step. If the directory contains a higher number, numbering continues
            from there.
        initial_value_threshold: the best value before training.
        max_to_keep: the number of newest checkpoints to keep, `None` for all.
        save_on_background: `False` waits until each checkpoint is on the disk.
        save_weights_only: whether to omit architecture, optimizer and metrics.

    Raises ValueError for an argument out of its range, TypeError for a model that cannot be
    serialized, and from `fit` the errors of the file system.

    >>> import keraslike, numpy as np, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     saver = OrbaxCheckpoint(directory, max_to_keep=2)
    ...     h = model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0, callbacks=[saver])
    ...     sorted(os.listdir(directory))
    ...     again = keraslike.saving.load_model(directory)
    ['1', '2']
    >>> bool((again.get_weights()[0] == model.get_weights()[0]).all())
    True
    """

    _kept = ("best",)
    directory: str

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ):
        self._set_directory("directory", directory)
        MonitorCallback.__init__(self, monitor, mode, initial_value_threshold)
        self._set_frequency(save_freq)
        if max_to_keep is not None and (not isinstance(max_to_keep, int) or max_to_keep < 1):
            raise ValueError(
                f"max_to_keep must be None or at least 1. Received: max_to_keep={max_to_keep!r}"
            )
        self.verbose, self.save_best_only = verbose, save_best_only
        self.max_to_keep, self.save_on_background = max_to_keep, save_on_background
        self.save_weights_only = save_weights_only

    def on_train_begin(self, logs: dict | None = None) -> None:
        os.makedirs(self.directory, exist_ok=True)

    def _save(self, number: int, logs: dict | None) -> None:
        if self.save_best_only and not self._is_best(logs):
            return
        position = self._position.get_state()
        if self.save_weights_only:
            position = {k: position[k] for k in ("epoch", "step", "updates")}
        store = self._checkpoints(self.directory, self.max_to_keep, self.save_on_background)
        path = store.save(
            number,
            self.model,
            position,
            config=not self.save_weights_only,
            weights_only=self.save_weights_only,
        )
        if self.verbose:
            say(f"\nEpoch {self._position.epoch}: saving to {path}")

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._opened is not None:
            self._opened.close()

    def wait_until_finished(self) -> None:
        """Waits until all checkpoints are on disk; raises errors that occurred while they were
        saved."""
        if self._opened is not None:
            self._opened.wait_until_finished()


class BackupAndRestore(_Saver):
    """Lets a `fit` that was killed resume from its last backup.

    Run the same program again: `fit` with the same arguments finds the backup, and training
    continues in the middle of the epoch with weights, optimizer, metrics, random streams, the
    `History`, the state of `EarlyStopping` and of checkpoint callbacks, and the samples of the
    epoch that had not been seen. The result is that of an uninterrupted run.

    The rest of the epoch has the same order, for arrays and for a `PyDataset`. A generator produces
    the batches that were used again, and they are skipped.

    Args:
        backup_dir: a directory that contains nothing else.
        save_freq: `"epoch"`, or a number of steps.
        double_checkpoint: whether to keep the last two backups, in case the last is damaged.
        delete_checkpoint: whether to delete the backup at the end of training.

    Raises ValueError for an argument out of its range, and from `fit` if the backup is damaged, or
    belongs to another model (which is left unchanged) or other data.

    >>> import keraslike, numpy as np, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     backup = BackupAndRestore(directory, delete_checkpoint=False)
    ...     for epochs in (2, 3):
    ...         h = model.fit(
    ...             np.ones((4, 2)), np.ones(4), epochs=epochs, verbose=0, callbacks=[backup]
    ...         )
    >>> h.epoch, len(h.history["loss"])
    ([0, 1, 2], 3)
    """

    backup_dir: str

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        self._set_directory("backup_dir", backup_dir)
        self._set_frequency(save_freq)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint

    @property
    def _store(self) -> Any:
        return self._checkpoints(self.backup_dir, 2 if self.double_checkpoint else 1, False)

    def _before_training(self) -> None:
        self._store.resume(self.model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        state = self._store.resume(self.model)  # Again, as other callbacks may have changed it.
        if state is not None:
            self._position.set_state(state)

    def _save(self, number: int, logs: dict | None) -> None:
        position = self._position
        self._store.save(position.updates, self.model, position.get_state(), config=False)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.delete_checkpoint:
            self._store.delete()
        else:
            self._store.close()


registry.publish("keras.callbacks", {c.__name__: c for c in (BackupAndRestore, OrbaxCheckpoint)})
