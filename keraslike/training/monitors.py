"""Callbacks that monitor a logged value: early stopping, checkpoints, learning-rate reduction."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keraslike import ops
from keraslike.core import registry
from keraslike.core.arguments import warn_user
from keraslike.core.messages import say
from keraslike.training.callbacks import Callback, each_optimizer, rate_of, rates_of


class MonitorCallback(Callback):
    """The base of callbacks that compare a logged value with the best one so far, `self.best`.

    Args:
        monitor: the name of the logged value.
        mode: `"min"`, `"max"`, or `"auto"` by the metric.
        baseline: the best value before training.
        min_delta: the smallest change that counts as an improvement.

    >>> monitor = MonitorCallback("val_loss", min_delta=0.5)
    >>> monitor._is_improvement(1.0, 2.0), monitor._is_improvement(1.75, 2.0)
    (True, False)
    """

    best: float | None = None
    monitor_op: Any = None  # `ops.greater` or `ops.less`, once the direction is known.

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        if mode not in ("auto", "min", "max"):
            warn_user(
                f"{type(self).__name__} mode {mode!r} is unknown: it must be 'auto', 'min' or "
                "'max'. 'auto' is taken."
            )
            mode = "auto"
        self.monitor, self.mode, self.best, self.min_delta = monitor, mode, baseline, abs(min_delta)
        self.monitor_op = {"max": ops.greater, "min": ops.less}.get(mode)

    def _set_monitor_op(self) -> None:
        if self.monitor_op is None:
            larger = _direction(self.model, self.monitor.removeprefix("val_"))
            if larger is None:
                raise ValueError(
                    f"{type(self).__name__} cannot tell whether monitor={self.monitor!r} is better "
                    "when larger or smaller: pass mode='max' or 'min'."
                )
            self.monitor_op = ops.greater if larger else ops.less

    def _is_improvement(self, value: float, best: float | None) -> bool:
        self._set_monitor_op()
        if best is None:
            return not np.isnan(value)
        if self.monitor_op is ops.greater:
            return value - self.min_delta > best
        return value + self.min_delta < best

    def _is_best(self, logs: dict | None) -> bool:
        """Whether the value is the best so far; if so, it is kept. A missing value counts as the
        best, so that nothing is lost, and causes a warning."""
        value = self._value(logs)
        if value is None:
            return True
        if not self._is_improvement(value, self.best):
            return False
        self.best = value
        return True

    def _value(self, logs: dict | None) -> float | None:
        self._set_monitor_op()  # If the direction is unknown, the name may be wrong.
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn_user(
                f"{type(self).__name__} watches '{self.monitor}', which is not among the logs: "
                f"{', '.join(sorted(logs or {}))}."
            )
        return value


class EarlyStopping(MonitorCallback):
    """Stops training when a monitored value has stopped improving.

    Args:
        monitor: the name of the logged value.
        min_delta: the smallest change that counts as an improvement.
        patience: the number of epochs without an improvement after which training stops.
        verbose: 1 prints a message.
        mode: `"min"`, `"max"`, or `"auto"` by the metric.
        baseline: a value that must be exceeded as well.
        restore_best_weights: whether to restore the weights of the best epoch.
        start_from_epoch: the number of epochs that are ignored at the beginning.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1)])
    >>> model.compile(keraslike.optimizers.SGD(0.0), "mse")
    >>> stopping = EarlyStopping("loss", patience=2)
    >>> x = np.ones((4, 1))
    >>> history = model.fit(x, x, epochs=9, verbose=0, callbacks=[stopping])
    >>> len(history.epoch)
    3
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
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._begin()

    def _begin(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._begin()

    def get_monitor_value(self, logs: dict | None) -> float | None:
        """The value that is compared, which a subclass may compute from several."""
        return self._value(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, as it trains.

    Args:
        filepath: a path that may contain `{epoch}` and logged values, as in
            `"{epoch:02d}-{val_loss:.2f}.keras"`, and ends in `.keras` or `.h5`, or in `.weights.h5`
            with `save_weights_only`.
        monitor, mode: the value that determines which model is best.
        verbose: 1 prints what was saved.
        save_best_only: whether to save only models that are the best so far.
        save_weights_only: whether to save only the weights.
        save_freq: `"epoch"`, or a number of steps.
        initial_value_threshold: the best value before training.

    >>> import keraslike, tempfile
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, folder = np.ones((4, 1)), tempfile.mkdtemp()
    >>> checkpoint = ModelCheckpoint(folder + "/{epoch}.keras")
    >>> _ = model.fit(x, x, epochs=2, verbose=0, callbacks=[checkpoint])
    >>> sorted(os.listdir(folder))
    ['1.keras', '2.keras']
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
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only = verbose, save_best_only
        self.save_weights_only, self.save_freq = save_weights_only, save_freq
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"filepath must end in {' or '.join(map(repr, endings))} where save_weights_only="
                f"{save_weights_only}. Received: filepath={self.filepath!r}"
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                "Unrecognized save_freq: it must be 'epoch' or a positive number of steps. "
                f"Received: save_freq={save_freq!r}"
            )
        self._steps = self._epoch = 0
        self._last_batch: int | None = None
        if isinstance(save_freq, int):
            self.on_train_batch_end = self._after_batch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: dict | None = None) -> None:
        # As in Keras, executions count as whole ones, even beyond the end of the data.
        begins = self._last_batch is None or batch <= self._last_batch
        self._steps += batch + 1 if begins else batch - self._last_batch  # type: ignore[operator]
        self._last_batch = batch
        if self._steps >= self.save_freq:  # type: ignore[operator]
            self._steps = 0
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
            say(f"\nEpoch {epoch + 1}: saved to {path}")


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a monitored value has stopped improving.

    Args:
        monitor: the name of the logged value.
        factor: the factor, less than 1.
        patience: the number of epochs without an improvement after which the rate is reduced.
        verbose: 1 prints a message.
        mode: `"min"`, `"max"`, or `"auto"` by the metric.
        min_delta: the smallest change that counts as an improvement.
        cooldown: the number of epochs after a reduction that are not counted.
        min_lr: a lower bound of the rate.

    The rate is among the logs of every epoch, as `learning_rate`.

    Raises ValueError for a factor that is not below 1, and from `fit` if the optimizer's rate
    follows a schedule.

    >>> import keraslike, numpy as np
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> model.compile(keraslike.optimizers.SGD(0.1), "mse")
    >>> reduce = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0, callbacks=[reduce])
    >>> [round(rate, 3) for rate in history.history["learning_rate"]]
    [0.1, 0.1, 0.05]
    """

    _kept = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        if "epsilon" in kwargs:  # The argument's name in Keras 1.
            min_delta = kwargs.pop("epsilon")
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau has no such arguments: {sorted(kwargs)}")
        if factor >= 1.0:
            raise ValueError(
                f"`factor` of ReduceLROnPlateau must be below 1. Received: factor={factor}"
            )
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = {} if logs is None else logs
        logs.update(rates_of(self.model.optimizer))
        value = self._value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int) -> bool:
        """Reduces the learning rate; returns whether it was above its minimum."""
        reduced = False
        for optimizer in each_optimizer(self.model.optimizer):
            rate = rate_of(optimizer)
            if rate > np.float32(self.min_lr):
                optimizer.learning_rate = new = max(rate * self.factor, self.min_lr)
                reduced = True
                if self.verbose:
                    say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return reduced


# Metrics for which a larger value is better.
_ACCURACIES = ["", "Binary", "Categorical", "SparseCategorical", "TopKCategorical"]
_LARGER = frozenset(
    [f"{kind}Accuracy" for kind in [*_ACCURACIES, "SparseTopKCategorical"]]
    + ["AUC", "Precision", "Recall", "PrecisionAtRecall", "RecallAtPrecision"]
    + ["SensitivityAtSpecificity", "SpecificityAtSensitivity", "FBetaScore", "F1Score"]
    + ["IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "CosineSimilarity"]
    + ["R2Score", "PearsonCorrelation", "ConcordanceCorrelation"]
)
_LARGER_NAMES = ("acc", "accuracy", "auc", "precision", "recall", "f1_score")


def _direction(model: Any, name: str) -> bool | None:
    """Whether a larger value of the metric with this name is better, if that is known."""
    compiled = getattr(model, "_compile_metrics", None)
    entries = compiled._entries if compiled is not None and compiled.built else ()
    found = {reported: metric for _, reported, metric, _ in entries}
    for metric in getattr(model, "metrics", ()):
        found.setdefault(metric.name, metric)
    metric = found.get(name)
    if name.endswith("loss"):
        return False
    own = getattr(metric, "_direction", None)  # The attribute's name in Keras's metrics.
    if own is not None:
        return own == "up"
    if {cls.__name__ for cls in type(metric).__mro__} & _LARGER:
        return True
    function = getattr(metric, "fn", None)
    is_error = type(metric).__name__ in ("RootMeanSquaredError", "LogCoshError")
    if is_error or registry.public_name(function)[0] == "keras.losses":
        return False
    return True if name.endswith(_LARGER_NAMES) else None
