"""The arguments of `compile`: optimizer, losses, metrics."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from keraslike import optimizers
from keraslike.core import base, serialization
from keraslike.core.annotations import checked
from keraslike.core.arguments import warn_user
from keraslike.core.boxed import inherits_boxes
from keraslike.core.tracebacks import is_ours
from keraslike.layers.layer import Layer
from keraslike.losses.loss import Loss
from keraslike.metrics import Mean, Metric
from keraslike.training.compile import CompileLoss, CompileMetrics
from keraslike.training.loop import Position
from keraslike.training.program import Program


def _per_fit(name: str, default: Any, holder: str = "_per_fit") -> property:
    """An attribute that changes in every `fit`. All of these are kept in one object, so that they
    do not invalidate a `base.Snapshot` of the model."""

    def get(self: Compiled) -> Any:
        return vars(self).get(holder, {}).get(name, default)

    def put(self: Compiled, value: Any) -> None:
        vars(self).setdefault(holder, {})[name] = value

    return property(get, put)


class Compiled(Layer):
    """A layer that can be compiled."""

    # Attributes that compile() and fit() set are not part of the model's tree.
    _untracked = Layer._untracked | {
        "optimizer",
        "loss",
        "_steps_eagerly",
        "_compile_args",
        "_compile_loss",
        "_compile_metrics",
        "_step_functions",
        "_loss_tracker",
        "_per_fit",
        "_needs_python",
        "_step_programs",
        "_running_fit",
    }

    _transient = Layer._transient | {"_step_functions", "_step_programs", "_running_fit"}

    optimizer: Any  # Declared only: a model that was not compiled has no such attribute.
    loss: Any = None
    _needs_python = False  # Whether its steps cannot be compiled.
    history: Any = _per_fit("history", None)
    # A callback sets one of these to end the loop after the current batch.
    stop_training = _per_fit("stop_training", False)
    stop_evaluating = _per_fit("stop_evaluating", False)
    stop_predicting = _per_fit("stop_predicting", False)
    _steps_eagerly = False
    output_names: Any = None  # Set in models with a graph.
    _compile_args: dict[str, Any] | None = None
    _compile_loss: CompileLoss | None = None
    _compile_metrics: CompileMetrics | None = None
    _loss_tracker: Any = None
    # The position of the running `fit`.
    _position: Position | None = _per_fit("_position", None, "_running_fit")  # type: ignore[assignment]

    # -- compile ------------------------------------------------------------------------------

    @checked
    @inherits_boxes
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures the model for training.

        A model that is compiled again without `loss` keeps its loss, and without `metrics` and
        `weighted_metrics` its metrics. A saved file contains only the arguments of the last call.

        Args:
            optimizer: a name, an Optimizer or any optax transform.
            loss: a name, a function `(y_true, y_pred)` or a Loss; for a model with several outputs
                a list or a dict of them by output name.
            loss_weights: a factor for the loss of each output.
            metrics: names, functions and Metrics; lists or dicts of them for several outputs.
            weighted_metrics: metrics that take sample weights into account.
            run_eagerly: runs each step as plain Python, for debugging.
            steps_per_execution: the number of steps that run on the device in one dispatch, after
                which callbacks are notified once; numbers of steps are rounded up to a multiple of
                it. `"auto"` measures which number is fastest, and uses 1 if a callback has a batch
                hook.
            jit_compile: `False` is the same as `run_eagerly`. `"auto"` runs eagerly if a layer's
                `supports_jit` is false; `True` compiles even then.
            auto_scale_loss: whether the optimizer is wrapped in a `LossScaleOptimizer` if the
                model's policy is `"mixed_float16"`.

        Raises ValueError for a name that does not exist.
        """
        number = isinstance(steps_per_execution, int) and steps_per_execution >= 1
        if not number and steps_per_execution != "auto":
            raise ValueError(
                "steps_per_execution must be a positive integer or 'auto'. "
                f"Received: steps_per_execution={steps_per_execution!r}"
            )
        if jit_compile not in (True, False, None, "auto"):
            raise ValueError(
                f"jit_compile must be True, False or 'auto'. Received: jit_compile={jit_compile!r}"
            )
        # All arguments are checked before anything is changed. An array among the weights would
        # make the loss an array, which has no gradient.
        if any(isinstance(w, str) or np.ndim(w) for w in jax.tree.leaves(loss_weights)):
            raise ValueError(
                "loss_weights must be a number, or a list or dict of one for each output. "
                f"Received: loss_weights={loss_weights!r}"
            )
        new_optimizer = optimizers.get(optimizer)
        compile_loss, compile_metrics = self._compile_loss, self._compile_metrics
        if loss is not None:
            compile_loss = CompileLoss(loss, loss_weights, self.output_names)
        given = metrics is not None or weighted_metrics is not None
        if given or compile_metrics is None:
            compile_metrics = CompileMetrics(metrics, weighted_metrics, self.output_names)
        self.optimizer, self.loss = new_optimizer, self.loss if loss is None else loss
        scales = auto_scale_loss and self.dtype_policy.name == "mixed_float16"
        if scales and not isinstance(new_optimizer, (optimizers.LossScaleOptimizer, type(None))):
            name = "loss_scale_optimizer"
            self.optimizer = optimizers.LossScaleOptimizer(new_optimizer, name=name)
        self._compile_loss, self._compile_metrics = compile_loss, compile_metrics
        self._loss_tracker = Mean(name="loss")
        self._steps_eagerly = run_eagerly or jit_compile is False
        self._compile_args = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": self._steps_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            **({} if auto_scale_loss else {"auto_scale_loss": False}),
        }
        self._step_programs, self._step_functions, self._needs_python = {}, {}, False
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        return self._compile_args is not None

    @property
    def _compile_config(self) -> Any:
        """The arguments of `compile`, under the name that other packages use in Keras."""
        if not self.compiled:
            raise AttributeError(f"'{self.name}' is not compiled: it has no _compile_config.")
        return SimpleNamespace(config=self._compile_args, serialize=self.get_compile_config)

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run as plain Python; may be set."""
        return self._steps_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: Any) -> None:
        self._steps_eagerly, self._step_programs, self._step_functions = bool(value), {}, {}

    @property
    def steps_per_execution(self) -> int | str:
        return self._compile_args["steps_per_execution"] if self._compile_args else "auto"

    def _need_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"You must call `compile()` before {method}(): model.compile(loss=..., "
                "optimizer=...)."
            )

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain values; `None` if they contain an optax transform,
        which cannot be stored in a file."""
        if self._compile_args is None:
            return None
        rule = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if isinstance(rule, optimizers.OptaxOptimizer):
            warn_user(
                f"'{self.name}' is saved without the arguments of compile(): its optimizer is an "
                "optax transform, which is made of functions. The optimizer's state is saved: "
                "compile() the loaded model with the transform, then load_weights() the same file."
            )
            return None
        config = {k: serialization.serialize_argument(v) for k, v in self._compile_args.items()}
        if config["steps_per_execution"] == "auto":  # Keras does not know this value.
            config["steps_per_execution"] = 1
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model with the `get_compile_config()` of another one.

        Warns and leaves the model unchanged if its class has its own `compile`, since only that
        class knows its arguments.
        """
        if not is_ours(type(self).compile):
            warn_user(
                f"'{self.name}' was not compiled when it was loaded: `compile()` was not called as "
                "part of model loading because the model's `compile()` method is custom. Call it, "
                f"or write get_compile_config() and compile_from_config(config) of "
                f"{type(self).__name__} as well."
            )
            return
        arguments = set(inspect.signature(Compiled.compile).parameters)
        config = {k: v for k, v in serialization.deserialize(config).items() if k in arguments}
        if config.get("steps_per_execution") == 1:  # Keras's default.
            config["steps_per_execution"] = "auto"
        self.compile(**config)
        if self._all_built() and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # -- metrics ------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The running mean of the loss, the compiled metrics as one, the running means of the
        losses if there are several, and the metrics in attributes of the model and its layers.

        Metrics of a nested model are excluded, since that model may be trained separately.
        """
        found: list[Any] = [self._loss_tracker] if self._loss_tracker is not None else []
        inside: set[int] = set()
        if self._compile_metrics is not None:
            inside = {id(m) for m in self._compile_metrics.metrics}
            if self._compile_metrics.is_given:
                found.append(self._compile_metrics)
        if self._compile_loss is not None:
            found += self._compile_loss.metrics
        found += self._metrics_of(lambda layer: layer is self or not isinstance(layer, Compiled))
        return list({id(m): m for m in found if id(m) not in inside}.values())

    def _is_in_float64(self) -> bool:
        given = (self._compile_loss, self._compile_metrics)
        parts = [part for each in given if each is not None for part in base.iter_objects(each)]
        return super()._is_in_float64() or any(
            part._is_in_float64() for part in parts if isinstance(part, (Loss, Metric))
        )

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """Resets the state of all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' values by the names they are reported under."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _listed(self, logs: dict[str, Any], program: Program | None = None) -> Any:
        """The values of logs as a list in the order of the metrics, or the only one of them: one
        for each metric, so that two of one name give its value twice. The order is cached in the
        program that computed them.

        If the program of the step is given, the order is determined once for it.
        """
        order = None if program is None else program.listed.get(tuple(logs))
        if order is None:
            names: list[str] = []
            for metric in self.metrics:
                several = metric is self._compile_metrics
                names += [m.name for m in metric.metrics] if several else [metric.name]
            known = [name for name in names if name in logs]
            order = [*known, *sorted(logs.keys() - set(known))]
            if program is not None and type(self).metrics is Compiled.metrics:
                program.listed[tuple(logs)] = order
        values = [logs[name] for name in order]
        return values[0] if len(values) == 1 else values
