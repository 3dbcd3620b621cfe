"""`Trainer`: fit, evaluate and predict, which every model has."""

from __future__ import annotations

import heapq
from typing import Any

import jax
import numpy as np

from keraslike.core import arguments, config, context, host, lowering, precision
from keraslike.core.annotations import checked
from keraslike.core.arguments import fraction, verbosity, whole
from keraslike.core.processes import any_of
from keraslike.core.structures import Structured, tree_map
from keraslike.core.tracebacks import entry, handled, shorten
from keraslike.core.variable import spec_of
from keraslike.training import eager
from keraslike.training.arrays import (
    check,
    pack,
    to_array,
    to_arrays,
    unpack_x_y_sample_weight,
    with_class_weights,
)
from keraslike.training.callback_list import CallbackList
from keraslike.training.callbacks import History, floats
from keraslike.training.data import ArrayData, adapt, in_executions, one_batch, split
from keraslike.training.interrupts import interruptible
from keraslike.training.loop import Feed, Position, Throttle
from keraslike.training.steps import Steps, flat_logs
from keraslike.training.stream_data import StreamData


class Trainer(Steps):
    """A layer that can be trained. `Model` is the class to use."""

    def __init__(self, *args: Any, **kwargs: Any):
        # A class that also derives from a layer initializes each of its bases, the layer first.
        if args or kwargs or self._name is None:
            super().__init__(*args, **kwargs)

    def _steps_a_dispatch(self, events: CallbackList, mode: str) -> int | None:
        """The argument for `Feed`: `None` lets it measure."""
        if self.steps_per_execution != "auto":
            return int(self.steps_per_execution)
        return 1 if self.run_eagerly or events.needs_each_batch(mode) else None

    @property
    def _execution(self) -> int:
        """The number of steps that callbacks are notified of together."""
        steps = self.steps_per_execution
        return steps if isinstance(steps, int) else 1

    # -- fit ----------------------------------------------------------------------------------

    @checked
    @precision.kept
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float | None = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> History:
        """Trains the model and returns the History of its logs.

        Args:
            x, y, sample_weight: arrays, lists or dicts of them; or x alone, a generator or
                `PyDataset` of `(x, y)` or `(x, y, sample_weight)`.
            batch_size: samples per step; the last batch may be smaller. By default 32, or the
                number that gives `steps_per_epoch` batches.
            epochs: the epoch to stop after; `initial_epoch` is the first one.
            verbose: 0 for no output, 1 for a progress bar, 2 for one line per epoch.
            callbacks: Callbacks.
            validation_split: the fraction of samples, from the end, used for validation.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or a source of batches.
            shuffle: whether each epoch has a new order of samples; `"batch"` means the same.
            class_weight: a dict from class to the weight of its samples in the loss.
            steps_per_epoch, validation_steps: the number of steps per epoch and per validation. An
                epoch continues in the data where the previous one ended.
            validation_freq: validate every so many epochs, or after the epochs listed.

        After an interrupt or an exception the model has the state of the last finished step.
        """
        self._need_compiled("fit")
        verbosity(verbose)
        epochs = _within(config.max_epochs(), epochs, whole(epochs=epochs), "epochs")
        whole(initial_epoch=initial_epoch)
        _at_least_1(
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=None if hasattr(validation_freq, "__len__") else validation_freq,
        )
        if shuffle not in (True, False, None, "batch"):
            raise ValueError(f"shuffle must be True or False. Received: shuffle={shuffle!r}")
        if validation_data is None and validation_split is not None:
            fraction(validation_split=validation_split)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split((x, y, sample_weight), validation_split)
        source = adapt(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps_per_epoch,
            execution=self._execution,
            shuffle=bool(shuffle),
            class_weight=class_weight,
        )
        steps_per_epoch = _limited(steps_per_epoch, source)
        validate = None
        if validation_data is not None and not _is_empty(validation_data):
            validate = _validation_source(
                validation_data,
                validation_batch_size or batch_size,
                validation_steps,
                self._execution,
            )
            validation_steps = _limited(validation_steps, validate)
        example = source.example()
        self._prepare_program(example, "train")
        program = self._program_of("train")
        program.place_state()
        validation = None
        steps = source.steps if steps_per_epoch is None else steps_per_epoch
        source.goes_on = steps_per_epoch is not None
        shown = verbosity(verbose) != 0
        events = CallbackList.of_call(
            callbacks, self, True, shown, verbose=verbose, epochs=epochs, steps=steps
        )
        history = events.history
        at_a_time = self._steps_a_dispatch(events, "train")
        feed = Feed(program, source, at_a_time, epochs - initial_epoch)
        # If nothing waits for the logs, the next epoch is dispatched while this one is computed.
        wait = not events.has_only_history
        self.stop_training = False
        sources = [source] if validate is None else [source, validate]
        updates = 0 if self.optimizer is None else lowering.number_in(self.optimizer.iterations)
        position = Position(initial_epoch, updates, sources, example, history, events.callbacks)
        self._position = position
        try:
            with interruptible():
                events.before_training()
                events.on_train_begin({})  # This may move the position to that of another fit().
                logs: dict[str, Any] = {}
                for epoch in range(position.epoch, epochs):
                    if position.step == 0:
                        self.reset_metrics()
                        events.on_epoch_begin(epoch, {})
                    else:  # The state already includes the effects of the epoch's beginning.
                        with program.unchanged():
                            events.on_epoch_begin(epoch, {})
                    given = self._run_one_epoch(feed, events, "train", steps_per_epoch, position)
                    if given is None:
                        break
                    logs = floats(given) if wait else given
                    due = _validates(epoch, validation_freq)
                    if due and validation is None and validate is not None and _is_empty(validate):
                        validate = None
                    if due and validate is not None:
                        if validation is None:
                            validation = self._evaluation_feed(validate, events, epochs - epoch)
                        val = self._evaluate_feed(validation, events, validation_steps)
                        val = {f"val_{k}": v for k, v in sorted((val or {}).items())}
                        logs = dict(heapq.merge(logs.items(), val.items(), key=_name))
                    position.next_epoch()
                    # A copy: as in Keras, on_train_end does not receive what callbacks add.
                    events.on_epoch_end(epoch, dict(logs))
                    if program.is_spread:  # Processes stop together, whichever of them decided it.
                        self.stop_training = any_of("stop_training", bool(self.stop_training))
                    if self.stop_training:
                        break
                events.before_finalizing()
                if self.optimizer is not None:
                    self.optimizer.finalize_variable_values(self.trainable_variables)
                events.on_train_end(logs)
        finally:
            history.settle()
            self._position = None
            sources.clear()  # A traceback may keep the position alive for long.
            events.abandon()
        return history

    def _run_one_epoch(
        self,
        feed: Feed,
        events: CallbackList,
        mode: str,
        max_steps: int | None,
        position: Position | None = None,
    ) -> dict[str, Any] | None:
        """Runs an epoch and returns the logs of the last step; `None` if there was no data left."""
        begin = getattr(events, f"on_{mode}_batch_begin")
        end = getattr(events, f"on_{mode}_batch_end")
        stop = "stop_training" if mode == "train" else "stop_evaluating"
        throttle = Throttle()
        results: dict[str, Any] = {} if position is None else position.logs
        count = 0 if position is None else position.step
        watched, metrics = events.receives_batches(mode), None
        # Another process may have none of the callbacks of this one.
        together = feed.program.is_spread and any_of("may_stop", watched)
        # As in Keras, callbacks receive whole executions, even beyond the end of the data.
        most = self._execution
        for step, run, n in feed.epoch(in_executions(max_steps, most), count):
            begin(step, {})
            values = run()
            results = dict(zip(values.structure, values.leaves))
            count = step + n
            if position is not None:
                position.advance(count, results)
            throttle.add(values, n)
            metrics = self._metric_values() if watched else None
            end(max(count, step + most) - 1, results)
            if together:
                setattr(self, stop, any_of(stop, bool(getattr(self, stop))))
            if getattr(self, stop):
                break
        short = not count or (max_steps is not None and count < max_steps)
        if short and not getattr(self, stop):
            _tell_of_end(feed.source)
        if not count:
            return None
        # A callback may have updated or reset metrics after the last step.
        if metrics is not None and list(map(id, metrics)) != list(map(id, self._metric_values())):
            changed = flat_logs(self.get_metrics_result())
            return changed if changed.keys() == results.keys() else results
        return results

    def _metric_values(self) -> list[Any]:
        return [spec_of(v) for metric in self.metrics for v in metric.variables]

    # -- evaluate and predict -----------------------------------------------------------------

    @checked
    @precision.kept
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on data: a list of floats, one alone, or a dict."""
        self._need_compiled("evaluate")
        verbosity(verbose)
        _at_least_1(batch_size=batch_size, steps=steps)
        source = adapt(
            x, y, sample_weight, batch_size=batch_size, steps=steps, execution=self._execution
        )
        steps = _limited(steps, source)
        planned = source.steps if steps is None else steps
        shown = verbosity(verbose) != 0
        events = CallbackList.of_call(
            callbacks, self, False, shown, verbose=verbose, epochs=1, steps=planned
        )
        feed = self._evaluation_feed(source, events)
        try:
            with interruptible():
                logs = self._evaluate_feed(feed, events, steps) or {}
        finally:
            events.abandon()
        return logs if return_dict else self._listed(logs)

    def _evaluation_feed(
        self, source: ArrayData | StreamData, events: CallbackList, epochs: int = 1
    ) -> Feed:
        self._prepare_program(source.example(), "test")
        at_a_time = self._steps_a_dispatch(events, "test")
        return Feed(self._program_of("test"), source, at_a_time, epochs)

    def _evaluate_feed(
        self, feed: Feed, events: CallbackList, steps: int | None
    ) -> dict[str, Any] | None:
        self.stop_evaluating = False
        feed.program.place_state()
        events.on_test_begin({})
        self.reset_metrics()  # Afterwards, as a callback may have evaluated the model as well.
        given = self._run_one_epoch(feed, events, "test", steps)
        logs = None if given is None else floats(given)
        events.on_test_end(dict(logs or {}))
        return logs

    @handled
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's outputs for all samples, as numpy arrays."""
        try:
            if batch_size is not None or steps is not None:
                _at_least_1(batch_size=batch_size, steps=steps)
            with precision.of(self):
                if verbose == 0 and steps is None and callbacks is None:
                    outputs = self._predict_few(x, batch_size)
                    if outputs is not None:
                        return outputs
                return self._predict_all(x, batch_size, verbose, steps, callbacks)
        except Exception as error:
            shorten(error)
            raise

    def _predict_all(
        self, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any
    ) -> Any:
        verbosity(verbose)
        source = adapt(x, batch_size=batch_size, steps=steps, execution=self._execution)
        steps = _limited(steps, source)
        self._prepare_program(source.example(), "predict")
        program = self._program_of("predict")
        program.place_state()
        planned = source.steps if steps is None else steps
        shown = verbosity(verbose) != 0
        events = CallbackList.of_call(
            callbacks, self, False, shown, verbose=verbose, epochs=1, steps=planned
        )
        feed = Feed(program, source, self._steps_a_dispatch(events, "predict"))
        throttle = Throttle()
        self.stop_predicting = False
        outputs, count = [], 0
        try:
            with interruptible():
                events.on_predict_begin({})
                for step, run, n in feed.epoch(in_executions(steps, self._execution)):
                    events.on_predict_batch_begin(step, {})
                    out = run()
                    throttle.add(out)
                    outputs.append(out)
                    count = step + n
                    last = max(count, step + self._execution) - 1
                    events.on_predict_batch_end(last, {"outputs": _of_step(out)})
                    if self.stop_predicting:
                        break
                events.on_predict_end({})
        finally:
            events.abandon()
        if not outputs:
            raise ValueError("x gave no batches to predict on.")
        if steps is not None and count < steps and not self.stop_predicting:
            _tell_of_end(source)
        outputs = jax.tree.map(
            lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *outputs
        )
        return _of_step(outputs)

    def _predict_few(self, x: Any, batch_size: int | None) -> Any:
        """The outputs for an array that is a single batch, or `None` for other data. A server calls
        this repeatedly, so it skips the setup that only many batches need."""
        program = vars(self).get("_step_programs", {}).get("predict")
        if (
            not isinstance(x, np.ndarray)
            or not x.ndim
            or not 0 < len(x) <= (32 if batch_size is None else batch_size)
            or context.state.distribution is not None
            or program is None
            or program.placement is not None
            or not program.is_current()
        ):
            return None
        check([x := to_array(x, "x")], ["x"])
        batch, out = pack(x), eager.MISSED
        if not program.knows(batch) and program.jit and self.predict_function is None:
            out = eager.call_padded(self, x)
        out = program.run_batch(batch) if out is eager.MISSED else out
        return _on_host(out)

    # -- single batches -----------------------------------------------------------------------

    @checked
    @precision.kept
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on the given batch; returns the loss and metrics of this batch."""
        self._need_compiled("train_on_batch")
        sample_weight = with_class_weights(sample_weight, y, class_weight)
        return self._on_batch("train", (x, y, sample_weight), return_dict)

    @checked
    @precision.kept
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and metrics of the given batch."""
        self._need_compiled("test_on_batch")
        return self._on_batch("test", (x, y, sample_weight), return_dict)

    @entry
    @precision.kept
    def predict_on_batch(self, x: Any) -> Any:
        """The model's outputs for one batch."""
        batch = pack(to_arrays(x, "x"))
        program = self._ready_program("predict", batch)
        return _on_host(program.run_batch(batch))

    def _on_batch(self, mode: str, batch: Any, return_dict: bool) -> Any:
        data = one_batch(*batch)
        program = self._ready_program(mode, data)
        if program.begin is None:
            self.reset_metrics()
        with interruptible():
            values = program.run_batch(data, anew=program.begin is not None)
            names, values = values.structure, values.leaves
            if isinstance(values, jax.Array):
                logs = dict(zip(names, np.asarray(host.awaited(values)).tolist()))
            else:
                logs = floats(dict(zip(names, values)))
        return logs if return_dict else self._listed(logs, program)


def _within(limit: int | None, given: Any, known: int | None, what: str) -> Any:
    """The given number, or the limit if the number is unknown or larger."""
    if limit is None or (known is not None and known <= limit):
        return given
    arguments.warn_user(f"{what} is limited to {limit}, as keraslike.config says.")
    return limit


def _limited(steps: int | None, source: ArrayData | StreamData) -> int | None:
    known = source.steps if steps is None else steps
    return _within(config.max_steps_per_epoch(), steps, known, "The number of steps")


def _at_least_1(**arguments: Any) -> None:
    """Raises ValueError for an argument that is given but no integer of at least 1."""
    for name, value in arguments.items():
        if value is not None:
            whole(1, **{name: value})


def _tell_of_end(source: ArrayData | StreamData) -> None:
    if source.warned_of_end:
        return
    source.warned_of_end = True
    arguments.warn_user(
        "Your input ran out of data before all the steps asked for were made. It must give at "
        "least steps_per_epoch * epochs batches, or `steps` of them for each evaluation."
    )


def _of_step(outputs: Any) -> Any:
    """The outputs of a step as the step returned them."""
    if not isinstance(outputs, Structured):
        return outputs
    return jax.tree.unflatten(outputs.structure, outputs.leaves)


def _on_host(outputs: Any) -> Any:
    """The outputs of a program as numpy arrays, which share no memory with them."""
    if isinstance(outputs, jax.Array):
        return np.array(host.awaited(outputs))
    return _of_step(tree_map(lambda a: np.array(host.awaited(a)), outputs))


def _name(log: tuple[str, Any]) -> str:
    return log[0]


def _is_empty(validation_data: Any) -> bool:
    """Whether validation data are arrays without samples or a source without batches. The model is
    trained without validation then, which a warning says."""
    if isinstance(validation_data, StreamData):
        empty = validation_data.is_empty()
    else:
        arrays = [a for a in jax.tree.leaves(validation_data) if hasattr(a, "shape")]
        empty = bool(arrays) and all(a.shape and a.shape[0] == 0 for a in arrays)
    if empty:
        arguments.warn_user("validation_data is empty: the model is trained without validation.")
    return empty


def _validation_source(
    given: Any, batch_size: int | None, steps: int | None, execution: int
) -> Any:
    if isinstance(given, (ArrayData, StreamData)):
        return given
    parts = (given, None, None)
    if isinstance(given, (tuple, list)):
        parts = unpack_x_y_sample_weight(tuple(given))
    names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
    return adapt(*parts, batch_size=batch_size, steps=steps, execution=execution, names=names)


def _validates(epoch: int, freq: int | list[int]) -> bool:
    if isinstance(freq, int):
        return (epoch + 1) % freq == 0
    return epoch + 1 in freq
