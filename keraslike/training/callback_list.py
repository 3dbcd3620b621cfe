"""`CallbackList`, which calls all callbacks of a `fit`, `evaluate` or `predict`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import jax

from keraslike.training.callbacks import Callback, History, Logs
from keraslike.training.loggers import ProgbarLogger


class CallbackList(Callback):
    """Calls the hooks of several callbacks; batch hooks only if a callback defines them.

    Args:
        callbacks: a Callback or (nested) lists of them.
        add_history: whether to add a `History` if there is none.
        add_progbar: whether to add a `ProgbarLogger` if there is none.
        model: the callbacks' model.
        params: the dict for `set_params`: `verbose`, `epochs` and `steps`.

    Arrays in `logs` become floats when a callback reads one.

    Raises TypeError for objects that are not callbacks.

    >>> from keraslike.callbacks import LambdaCallback
    >>> said = []
    >>> say = LambdaCallback(on_epoch_end=lambda epoch, logs: said.append((epoch, logs)))
    >>> CallbackList([say]).on_epoch_end(0, {"loss": jax.numpy.float32(0.5)})
    >>> said
    [(0, {'loss': 0.5})]
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        self.callbacks: list[Any] = _flat(callbacks)
        self.history = self._find_or_add(History, add_history)
        self.progbar = self._find_or_add(ProgbarLogger, add_progbar)
        self._arrange()
        self.set_model(model)
        self.set_params(params)

    @classmethod
    def of_call(
        cls, callbacks: Any, model: Any, add_history: bool, add_progbar: bool, **params: Any
    ) -> CallbackList:
        """The list for a call of `fit`, `evaluate` or `predict`, whose argument may already be a
        list."""
        if not isinstance(callbacks, CallbackList):
            return cls(callbacks, add_history, add_progbar, model, **params)
        callbacks.history = callbacks._find_or_add(History, add_history)
        callbacks._arrange()
        callbacks.set_model(model)
        callbacks.set_params({**params, **callbacks.params})
        return callbacks

    def _find_or_add(self, kind: type, add: bool) -> Any:
        found = next((c for c in self.callbacks if isinstance(c, kind)), None)
        if found is None and add:
            found = kind()
            self.callbacks.append(found)
        return found

    def _arrange(self) -> None:
        self.callbacks.sort(key=lambda c: getattr(c, "_comes_last", False))
        self._of = {
            hook: [c for c in self.callbacks if "batch" not in hook or _overrides(c, hook)]
            for hook in _HOOKS
        }
        self._by_name = {
            (id(callback), hook)
            for hook, callbacks in self._of.items()
            for callback in callbacks
            if "batch" in hook and _takes_logs_by_name(getattr(callback, hook))
        }

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)
        if self.history is not None:
            model.history = self.history

    @property
    def has_only_history(self) -> bool:
        """Whether only the History of `fit` receives the logs of an epoch."""
        return [type(c) for c in self.callbacks] == [History]

    def needs_each_batch(self, mode: str) -> bool:
        """Whether a callback defines a batch hook of this mode and therefore needs every step. A
        progress bar does not: it shows what is available."""
        return any(
            type(callback) is not ProgbarLogger
            for end in ("begin", "end")
            for callback in self._of[f"on_{mode}_batch_{end}"]
        )

    def receives_batches(self, mode: str) -> bool:
        """Whether a user's callback receives each batch, and may stop the training or change
        metrics. keraslike's own callbacks decide by the logs, which are the same in all
        processes, and change none."""
        hook = f"on_{mode}_batch_end"
        return any(
            not type(callback).__module__.startswith("keraslike.")
            or not {hook, "on_batch_end"}.isdisjoint(vars(callback))  # As in a LambdaCallback.
            for callback in self._of[hook]
        )

    def before_training(self) -> None:
        """Called before `on_train_begin`, in which all callbacks find a model that was restored."""
        self._tell("_before_training")

    def before_finalizing(self) -> None:
        """Called after the last step, before the optimizer replaces variables by their averages."""
        self._tell("_before_finalizing")

    def _tell(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook, lambda: None)()

    def abandon(self) -> None:
        """Called at the very end, also after an exception."""
        if self.progbar is not None:
            self.progbar.abandon()

    def _call(self, hook: str, args: tuple[Any, ...], logs: Any) -> None:
        callbacks = self._of[hook]
        if not callbacks:
            return
        if isinstance(logs, dict) and "predict" not in hook:  # The outputs in it are not converted.
            arrays = any(hasattr(v, "__array__") for v in logs.values())
            if arrays and not all(getattr(c, "_reads_arrays", False) for c in callbacks):
                logs = Logs(logs)
        for callback in callbacks:
            method = getattr(callback, hook)
            if self._by_name and (id(callback), hook) in self._by_name:
                method(*args, logs=logs)
            else:
                method(*args, logs)


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        callbacks = [callbacks]
    elif not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        raise TypeError(f"callbacks must be a list of Callback objects. Received: {callbacks!r}")
    found = jax.tree.leaves(list(callbacks))
    for callback in found:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise TypeError(f"callbacks must hold Callback objects. Received: {callback!r}")
    return found


def _overrides(callback: Any, hook: str) -> bool:
    def own(name: str) -> bool:
        mine = getattr(type(callback), name, None)
        return mine is not getattr(Callback, name, None) or name in vars(callback)

    return own(hook) or ("train" in hook and own(hook.replace("train_", "")))


def _takes_logs_by_name(hook: Any) -> bool:
    """Whether a batch hook accepts `logs` as a keyword only, by which Keras passes it."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = [p.kind for p in parameters]
    by_position = kinds.count(_POSITIONAL) + kinds.count(inspect.Parameter.POSITIONAL_ONLY)
    return by_position < 2 and inspect.Parameter.VAR_POSITIONAL not in kinds


_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD

_HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


def _of_all(hook: str) -> Callable:
    """The method of a CallbackList that calls this hook of all its callbacks."""
    of_number = "batch" in hook or "epoch" in hook

    def call(self: CallbackList, number: int, logs: Any = None) -> None:
        self._call(hook, (number,), logs)

    def call_once(self: CallbackList, logs: Any = None) -> None:
        self._call(hook, (), logs)

    method = call if of_number else call_once
    method.__name__, method.__doc__ = hook, getattr(Callback, hook).__doc__
    return method


for _hook in _HOOKS:
    setattr(CallbackList, _hook, _of_all(_hook))
