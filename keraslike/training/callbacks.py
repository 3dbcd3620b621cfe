"""Callbacks: what happens around the steps and epochs of training."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from keraslike.core.annotations import check_constructor
from keraslike.core.arguments import warn_user
from keraslike.training.interrupts import no_interrupt

_BATCH_HOOKS = tuple(
    f"on_{mode}batch_{end}"
    for mode in ("train_", "test_", "predict_", "")
    for end in ("begin", "end")
)


class Callback:
    """The base of all callbacks: subclass it and write the hooks you need.

    `self.model` is the model and `self.params` a dict of `verbose`, `epochs` and `steps`. Hooks
    get `logs`, a dict of floats. A hook may change the model, its weights and its optimizer.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print("epoch", epoch, sorted(logs))
    """

    params: dict[str, Any] = {}
    _model: Any = None
    # What saves the training's state comes after all that may change it.
    _comes_last = False
    # Attributes that a callback gets back when training is resumed.
    _kept: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_constructor(cls)

    @property
    def model(self) -> Any:
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch of training and its validation."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a step of training."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a step of training."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a step of evaluation."""

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a step of evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a step of prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a step of prediction; `logs["outputs"]` holds it."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """At the beginning of `fit`."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """At the end of `fit`."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """At the beginning of `evaluate` or validation."""

    def on_test_end(self, logs: dict | None = None) -> None:
        """At the end of `evaluate` or validation."""

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """At the beginning of `predict`."""

    def on_predict_end(self, logs: dict | None = None) -> None:
        """At the end of `predict`."""


class CallbackList:
    """Calls every callback's hooks; batch hooks only of those that have written them."""

    def __init__(self, callbacks: Any, model: Any, **params: Any):
        if callbacks is None:
            callbacks = []
        elif isinstance(callbacks, Callback):
            callbacks = [callbacks]
        elif not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
            raise TypeError(
                f"callbacks must be a list of Callback objects. Received: {callbacks!r}"
            )
        self.callbacks: list[Any] = list(callbacks)
        for c in self.callbacks:
            if isinstance(c, type) or not hasattr(c, "set_model"):
                raise TypeError(f"callbacks must hold Callback objects. Received: {c!r}")
        self.params = params
        for c in self.callbacks:
            c.set_params(params)
            c.set_model(model)
        self.callbacks.sort(key=_comes_last)
        self._batch = {
            hook: [c for c in self.callbacks if _overrides(c, hook)] for hook in _BATCH_HOOKS
        }

    def add(self, callback: Callback) -> None:
        """Adds one of our own, which needs no batch hooks, behind the user's."""
        self.callbacks.append(callback)
        self.callbacks.sort(key=_comes_last)

    @property
    def unread(self) -> bool:
        """Whether nobody but the History of `fit` is given the logs of an epoch."""
        return [type(c) for c in self.callbacks] == [History]

    def watches(self, mode: str) -> bool:
        """Whether a callback has written a batch hook of this mode."""
        return bool(self._batch[f"on_{mode}_batch_begin"] or self._batch[f"on_{mode}_batch_end"])

    def batch(self, hook: str, batch: int, logs: dict | None = None) -> None:
        """Calls a batch hook."""
        for c in self._batch[hook]:
            getattr(c, hook)(batch, logs)

    def __call__(self, hook: str, *args: Any) -> None:
        """Calls another hook, such as `"on_epoch_end"`."""
        for c in self.callbacks:
            getattr(c, hook)(*args)


def _comes_last(callback: Any) -> bool:
    return getattr(callback, "_comes_last", False)


def _overrides(callback: Any, hook: str) -> bool:
    def own(name: str) -> bool:
        mine = getattr(type(callback), name, None)
        return mine is not getattr(Callback, name, None) or name in vars(callback)

    return own(hook) or ("train" in hook and own(hook.replace("train_", "")))


def floats(logs: Any) -> dict[str, Any]:
    """Logs as Python floats (arrays with several values as numpy arrays); waits for the device."""
    values = jax.device_get(list(logs.values()))  # a list: a dict would come back sorted
    return {k: float(v) if np.ndim(v) == 0 else np.asarray(v) for k, v in zip(logs, values)}


class History(Callback):
    """Keeps the logs of every epoch: `history["loss"]` is a list of floats. `fit` returns one."""

    def __init__(self) -> None:
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []
        self._pending: dict[str, Any] = {}  # logs that the device may still compute

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.settle()
        self._pending = dict(logs or {})
        self.epoch.append(epoch)
        if not any(isinstance(v, jax.Array) for v in self._pending.values()):
            self.settle()
        self.model.history = self

    def settle(self) -> None:
        """Waits for the logs of the last epoch, if they were not known at its end."""
        values = floats(self._pending)
        with no_interrupt:  # which comes before the logs are kept, or after all of them are
            self._pending = {}
            for k, v in values.items():
                self.history.setdefault(k, []).append(v)


class _Monitor(Callback):
    """Compares a logged value with the best one so far."""

    def _set_monitor(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)

    def _larger_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        return name.endswith(("acc", "accuracy", "auc", "precision", "recall", "f1_score"))

    best: float | None = None

    def _improves(self, value: float, best: float | None) -> bool:
        if best is None:
            return not np.isnan(value)
        if self._larger_is_better():
            return value - self.min_delta > best
        return value + self.min_delta < best

    def _is_best(self, logs: dict | None) -> bool:
        """Whether the value is the best so far, as which it is kept. What cannot be told is saved
        rather than lost: a warning says that the value is missing."""
        value = self._value(logs)
        if value is None:
            return True
        if not self._improves(value, self.best):
            return False
        self.best = value
        return True

    def _value(self, logs: dict | None) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn_user(
                f"{type(self).__name__} watches '{self.monitor}', which is not among the logs: "
                f"{', '.join(sorted(logs or {}))}."
            )
        return value


class EarlyStopping(_Monitor):
    """Stops training when a monitored value has stopped improving.

    Args:
        monitor: the name of the logged value.
        min_delta: the least change that counts as an improvement.
        patience: epochs without one after which training stops.
        verbose: 1 says so.
        mode: `"min"`, `"max"`, or `"auto"` by the name.
        baseline: a value that has to be beaten as well.
        restore_best_weights: whether the model gets the weights of its best epoch back.
        start_from_epoch: epochs before which nothing is watched.
    """

    _kept = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        self._set_monitor(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        value = self._value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(_Monitor):
    """Saves the model, or its weights, as it trains.

    Args:
        filepath: may name `{epoch}` and logged values, as in `"{epoch:02d}-{val_loss:.2f}.keras"`;
            ends in `.keras`, or in `.weights.h5` with `save_weights_only`.
        monitor, mode: the value that says which model is best.
        verbose: 1 says what was saved.
        save_best_only: whether a model that is not the best so far is left out.
        save_weights_only: whether only weights are saved.
        save_freq: `"epoch"`, or a number of steps.
        initial_value_threshold: the best value before training.
    """

    _kept = ("best",)

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        self._set_monitor(monitor, mode)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only = verbose, save_best_only
        self.save_weights_only, self.save_freq = save_weights_only, save_freq
        self.best = initial_value_threshold
        suffix = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(suffix):
            raise ValueError(
                f"filepath must end in '{suffix}' where save_weights_only={save_weights_only}. "
                f"Received: filepath={self.filepath!r}"
            )
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"save_freq must be 'epoch' or a number of steps. Received: save_freq={save_freq!r}"
            )
        self._steps = 0
        self._epoch = 0
        if isinstance(save_freq, int):
            self.on_train_batch_end = self._after_batch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: dict | None = None) -> None:
        self._steps += 1
        if self._steps % self.save_freq == 0:  # type: ignore[operator]
            self._save(self._epoch, logs, batch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs, None)

    def _save(self, epoch: int, logs: dict | None, batch: int | None) -> None:
        if self.save_best_only and not self._is_best(logs):
            return
        fields = {"epoch": epoch + 1, **(logs or {})}
        if batch is not None:
            fields["batch"] = batch + 1
        try:
            path = self.filepath.format(**fields)
        except KeyError as e:
            raise KeyError(
                f"filepath {self.filepath!r} names {e}, which is not among the logs: "
                f"{', '.join(sorted(fields))}."
            ) from e
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: saved to {path}")


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    Args:
        schedule: a function of the epoch (from 0), and of the current rate if it takes two
            arguments, that returns the new one.
        verbose: 1 says so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        rate: Any = float(np.asarray(self.model.optimizer.learning_rate))
        arguments = len(inspect.signature(self.schedule).parameters)
        rate = self.schedule(epoch, rate) if arguments > 1 else self.schedule(epoch)
        if isinstance(rate, str) or np.ndim(rate) != 0:
            raise ValueError(f"schedule must return a number. It returned {rate!r}.")
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: learning rate {float(rate)}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))


class LambdaCallback(Callback):
    """A callback from plain functions; other keywords become attributes.

    Raises ValueError for a name that begins with `on_` and is no hook.

    >>> done = []
    >>> c = LambdaCallback(on_train_end=lambda logs: done.append(True))
    >>> c.on_train_end({})
    >>> done
    [True]
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Callable,
    ):
        hooks = dict(
            on_epoch_begin=on_epoch_begin,
            on_epoch_end=on_epoch_end,
            on_train_begin=on_train_begin,
            on_train_end=on_train_end,
            on_train_batch_begin=on_train_batch_begin,
            on_train_batch_end=on_train_batch_end,
            **kwargs,
        )
        for name, function in hooks.items():
            if name.startswith("on_") and not hasattr(Callback, name):
                raise ValueError(f"{name} is no hook of a callback.")
            if function is not None:
                setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error: whether by a RuntimeError, which leaves out what callbacks do at the end of
            training, instead of an early end.
    """

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or np.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"Training stops at batch {batch}: the loss is {loss}.")
        print(f"Batch {batch}: the loss is {loss}; training stops.")
        self.model.stop_training = True


class ProgbarLogger(Callback):
    """Shows the progress of an epoch, and its logs, on one line that rich draws."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._in_epoch = False  # validation within an epoch has no line of its own

    def _start(self, total: int | None) -> None:
        from keraslike.training.progress import Bar

        self._bar = Bar(total)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        from keraslike.training.progress import say

        self._epoch = epoch
        if self.params["epochs"] > 1 or self.params["verbose"] != 0:
            say(f"Epoch {epoch + 1}/{self.params['epochs']}")
        if self.params["verbose"] == 1:
            self._start(self.params["steps"])
        self._began = time.perf_counter()
        self._seen, self._in_epoch = 0, True

    def step(self, seen: int, logs: Any) -> None:
        """Called by the loop after every dispatch with logs that are still on the device."""
        self._seen = seen
        if self._bar is not None:
            self._bar.update(seen, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._in_epoch = False
        self._finish(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._began, self._seen = time.perf_counter(), 0
            if self.params["verbose"] == 1:
                self._start(self.params["steps"])

    def on_test_end(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._finish(logs)

    on_predict_begin = on_test_begin

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._finish({})

    def _finish(self, logs: dict | None) -> None:
        from keraslike.training.progress import say, summary_line

        seconds = time.perf_counter() - self._began
        if self._bar is not None:
            self._bar.finish(self._seen, logs or {})
            self._bar = None
        else:
            say(summary_line(self._seen, self.params["steps"], seconds, logs or {}))

    def abandon(self) -> None:
        """Leaves the line as it is, after an exception."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
