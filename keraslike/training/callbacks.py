"""Callbacks, which run at the steps and epochs of training."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import host, lowering
from keraslike.core.annotations import check_constructor
from keraslike.core.messages import say
from keraslike.training.interrupts import no_interrupt


class Callback:
    """The base of all callbacks. Subclass it and define the hooks that you need.

    `self.model` is the model and `self.params` a dict of `verbose`, `epochs` and `steps`. Hooks
    receive `logs`, a dict of floats. A hook may change the model, its weights and its optimizer.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print("epoch", epoch, sorted(logs))
    """

    params: dict[str, Any] = {}
    _model: Any = None
    # A callback that saves the state of training runs after all that may change it.
    _comes_last = False
    # Whether the callback accepts logs with arrays that the device still computes. If no callback
    # needs floats, no call waits for the device.
    _reads_arrays = False
    # Attributes that are restored when training is resumed.
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
        """An alias of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """An alias of `on_train_batch_end`."""

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


def floats(logs: Any) -> dict[str, Any]:
    """The logs as Python floats (arrays with several values as numpy arrays); waits for the
    device."""
    if jax.default_backend() != "cpu":  # The transfers of all of them begin together.
        logs = dict(zip(logs, jax.device_get(list(logs.values()))))
    # On the CPU `np.asarray` takes a tenth of the time of `jax.device_get`.
    arrays = {name: np.asarray(host.awaited(value)) for name, value in logs.items()}
    return {name: a if a.ndim else float(a) for name, a in arrays.items()}


class Logs(dict):
    """Logs whose arrays are converted to floats on the first access, so that callers who do not
    read them need not wait for the device.

    >>> logs = Logs(loss=jax.numpy.float32(0.5))
    >>> list(logs), logs["loss"], dict(logs)
    (['loss'], 0.5, {'loss': 0.5})
    """

    __slots__ = ("_read",)

    def settle(self) -> None:
        """Converts the arrays to floats, which waits for the device; once only."""
        if not hasattr(self, "_read"):
            self._read = True
            arrays = {k: v for k, v in dict.items(self) if hasattr(v, "__array__")}
            dict.update(self, floats(arrays))

    def __iter__(self) -> Iterator[str]:  # Defined here so that dict(logs) calls __getitem__.
        return iter(self.keys())

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


def _reading(name: str) -> Callable:
    method = getattr(dict, name)

    def read(self: Logs, *args: Any, **kwargs: Any) -> Any:
        self.settle()
        return method(self, *args, **kwargs)

    return read


for _name in (
    *("__getitem__", "get", "items", "values", "pop", "popitem", "setdefault", "copy"),
    *("__eq__", "__ne__", "__or__", "__ror__", "__repr__"),
):
    setattr(Logs, _name, _reading(_name))


class History(Callback):
    """Keeps the logs of every epoch: `history["loss"]` is a list of floats. `fit` returns one.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(keraslike.optimizers.SGD(0.25), "mse")
    >>> x = np.ones((4, 1))
    >>> model.fit(x, x, epochs=2, verbose=0).history["loss"]
    [1.0, 0.0]
    """

    _reads_arrays = True

    def __init__(self) -> None:
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []
        self._pending: dict[str, Any] = {}  # Logs that the device may still compute.

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
        arrays = {k: v for k, v in self._pending.items() if hasattr(v, "__array__")}
        values = self._pending | floats(arrays)  # Other values, such as text, are callbacks' own.
        # An interrupt is raised before or after the logs are stored, never in between.
        with no_interrupt:
            self._pending = {}
            for k, v in values.items():
                self.history.setdefault(k, []).append(v)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    Args:
        schedule: a function of the epoch (from 0), and of the current rate if it takes two
            arguments, that returns the new one.
        verbose: 1 prints the rate.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> _ = model.fit(x, x, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.5)])
    >>> float(model.optimizer.learning_rate)
    0.5
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        takes_rate = len(inspect.signature(self.schedule).parameters) > 1
        for optimizer in each_optimizer(self.model.optimizer):
            rate: Any = rate_of(optimizer)
            rate = self.schedule(epoch, rate) if takes_rate else self.schedule(epoch)
            if rate is None or isinstance(rate, str) or np.ndim(rate) != 0:
                raise ValueError(f"schedule must return a number. It returned {rate!r}.")
            optimizer.learning_rate = float(rate)
            if self.verbose:
                rate = float(rate)
                say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs.update(rates_of(self.model.optimizer))


def each_optimizer(optimizer: Any) -> Iterator[Any]:
    """The optimizer, or the inner ones that have their own learning rate and averages."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # For a LossScaleOptimizer.
    yield from getattr(optimizer, "optimizers", [optimizer])


def rate_of(optimizer: Any) -> float:
    """An optimizer's current learning rate."""
    return float(np.asarray(optimizer.learning_rate))


def rates_of(optimizer: Any) -> dict[str, float]:
    """The learning rates by the names under which they are logged."""
    several = list(each_optimizer(optimizer))
    if len(several) == 1:
        return {"learning_rate": rate_of(several[0])}
    return {f"learning_rate_{o.name}": rate_of(o) for o in several}


class SwapEMAWeights(Callback):
    """Replaces the model's weights by their averages during evaluation.

    For optimizers that keep averages, with `use_ema=True`.

    Args:
        swap_on_epoch: whether to replace them at the end of every epoch as well, for callbacks
            after this one, such as `ModelCheckpoint`.

    Raises ValueError if the optimizer keeps no averages.

    >>> import keraslike
    >>> optimizer = keraslike.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> model.compile(optimizer, "mse")
    >>> x, y = np.ones((4, 2)), np.ones(4)
    >>> h = model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[SwapEMAWeights()])
    >>> bool(np.isclose(model.evaluate(x, y, verbose=0), h.history["val_loss"][0]))
    True
    """

    _kept = ("_swapped",)

    def __init__(self, swap_on_epoch: bool = False):
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _swap_averages(self, swapped: bool) -> None:
        optimizers = [o for o in each_optimizer(self.model.optimizer) if getattr(o, "use_ema", 0)]
        if not optimizers:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. "
                f"Received: optimizer={self.model.optimizer!r}"
            )
        if swapped == self._swapped:
            return
        for optimizer in optimizers:
            variables = [
                *getattr(optimizer, "_trainable_variables", ()),
                *optimizer._model_variables_moving_average,
            ]
            values, half = lowering.values_of(variables), len(variables) // 2
            lowering.write(variables, [*values[half:], *values[:half]])
        self._swapped = swapped

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_averages(False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_averages(True)

    def _before_finalizing(self) -> None:
        # Otherwise the optimizer would overwrite the model's weights by the values in place of the
        # averages.
        if self.swap_on_epoch:
            self._swap_averages(False)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._swap_averages(True)

    def on_test_end(self, logs: dict | None = None) -> None:
        self._swap_averages(False)

    on_predict_begin, on_predict_end = on_test_begin, on_test_end


class LambdaCallback(Callback):
    """A callback from plain functions; other keywords become attributes.

    Raises ValueError for a name that begins with `on_` and is not a hook.

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
                raise ValueError(f"{name} is not a hook of a callback, such as on_epoch_end.")
            if function is not None:
                setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise a RuntimeError instead of ending training, so that callbacks
            are not called at its end.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.full((4, 1), np.inf)
    >>> history = model.fit(x, x, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    Batch 0: the loss is ...; training stops.
    >>> len(history.epoch)
    1
    """

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or np.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"NaN or Inf loss encountered at batch {batch}: {loss}.")
        say(f"Batch {batch}: the loss is {loss}; training stops.")
        self.model.stop_training = True
