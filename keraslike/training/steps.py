"""What a model is compiled with, and one step of training, evaluation or prediction on a batch."""

from __future__ import annotations

import functools
import inspect
import operator
import warnings
from collections.abc import Callable
from typing import Any

import jax

from keraslike import ops, optimizers
from keraslike.core import base, context, lowering, registry, rng
from keraslike.core.boxed import unbox
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.layer import Layer
from keraslike.metrics import Mean, Metric
from keraslike.training.compile import CompileLoss, CompileMetrics
from keraslike.training.data import unpack_x_y_sample_weight
from keraslike.training.loop import Position, Program


class Steps(Layer):
    """A layer that can do one step on a batch: the half of `Trainer` that knows no data."""

    # What compile() and fit() leave on a model is no part of its tree.
    _untracked = Layer._untracked | {
        "optimizer",
        "loss",
        "history",
        "stop_training",
        "_compile_args",
        "_compile_loss",
        "_compile_metrics",
        "_loss_tracker",
        "_position",
        "_programs",
    }

    _transient = Layer._transient | {"_position", "_programs"}

    optimizer: Any = None
    loss: Any = None
    history: Any = None
    stop_training = False
    output_names: Any = None  # of a model that has a graph
    _compile_args: dict[str, Any] | None = None
    _compile_loss: CompileLoss | None = None
    _compile_metrics: CompileMetrics | None = None
    _loss_tracker: Any = None
    _position: Position | None = None  # while fit() runs

    # -- compile ------------------------------------------------------------------------------

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
        """Says how the model is to be trained.

        Args:
            optimizer: a name, an Optimizer or any optax transform.
            loss: a name, a function `(y_true, y_pred)` or a Loss; a list or a dict of them by
                output name for a model of several outputs.
            loss_weights: a factor for the loss of each output.
            metrics: names, functions and Metrics; lists or dicts of them for several outputs.
            weighted_metrics: metrics that take sample weights into account.
            run_eagerly: runs each step as plain Python, for debugging.
            steps_per_execution: steps that are run on the device at a time. `"auto"` measures how
                many are fastest, and runs one where a callback has a hook for batches.
            jit_compile: `False` is the same as `run_eagerly`.

        Raises ValueError for a name that does not exist.
        """
        number = isinstance(steps_per_execution, int) and steps_per_execution >= 1
        if not number and steps_per_execution != "auto":
            raise ValueError(
                "steps_per_execution must be a positive integer or 'auto'. "
                f"Received: steps_per_execution={steps_per_execution!r}"
            )
        # Everything is checked before anything is changed.
        new_optimizer = optimizers.get(optimizer)
        compile_loss = None if loss is None else CompileLoss(loss, loss_weights, self.output_names)
        compile_metrics = CompileMetrics(metrics, weighted_metrics, self.output_names)
        self.optimizer, self.loss = new_optimizer, loss
        self._compile_loss, self._compile_metrics = compile_loss, compile_metrics
        self._loss_tracker = Mean(name="loss")
        self._compile_args = {
            "optimizer": new_optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly or jit_compile is False,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self._programs = {}
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        return self._compile_args is not None

    @property
    def run_eagerly(self) -> bool:
        return bool(self._compile_args and self._compile_args["run_eagerly"])

    @property
    def steps_per_execution(self) -> int | str:
        return self._compile_args["steps_per_execution"] if self._compile_args else "auto"

    def _need_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"The model must be compiled before {method}(): call model.compile(loss=..., "
                "optimizer=...) first."
            )

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain values; `None` where an optax transform is among
        them, which no file can hold."""
        if self._compile_args is None:
            return None
        if isinstance(self.optimizer, optimizers.OptaxOptimizer):
            warnings.warn(
                f"'{self.name}' is saved without the arguments of compile(): its optimizer is an "
                "optax transform, which is made of functions. The optimizer's state is saved: "
                "compile() the loaded model with the transform, then load_weights() the same file.",
                stacklevel=2,
            )
            return None
        config = {k: registry.serialize_argument(v) for k, v in self._compile_args.items()}
        if config["steps_per_execution"] == "auto":  # which Keras does not know
            config["steps_per_execution"] = 1
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as another was, of which this is the `get_compile_config()`."""
        arguments = set(inspect.signature(Steps.compile).parameters)
        config = {k: v for k, v in registry.deserialize(config).items() if k in arguments}
        if config.get("steps_per_execution") == 1:  # the default of Keras
            config["steps_per_execution"] = "auto"
        self.compile(**config)
        if self._all_built() and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # -- metrics ------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The loss's running mean, the compiled metrics and those in attributes."""
        found = [self._loss_tracker] if self._loss_tracker is not None else []
        found += [o for o in base.iter_objects(self) if isinstance(o, Metric)]
        if self._compile_metrics is not None:
            found += self._compile_metrics.metrics
        if self._compile_loss is not None:
            found += self._compile_loss.metrics
        return list({id(m): m for m in found}.values())

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    @property
    def metrics_variables(self) -> list[Any]:
        return base.variables_of(self.metrics)

    @property
    def non_trainable_variables(self) -> list[Any]:
        of_metrics = {id(v) for v in self.metrics_variables}
        return [v for v in super().non_trainable_variables if id(v) not in of_metrics]

    def reset_metrics(self) -> None:
        """Makes every metric forget what it has seen."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' values by the names they are reported under."""
        results: dict[str, Any] = {}
        if self._compile_metrics is None:
            return results
        compiled = {id(m) for m in self._compile_metrics.metrics}
        for metric in self.metrics:
            if id(metric) in compiled:
                continue
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        if self._compile_loss is None and not self.losses and "loss" in results:
            del results["loss"]
        return {**results, **self._compile_metrics.result()}

    # -- one step -----------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> jax.Array:
        """The scalar that is minimized: the compiled loss and what layers and weights add to it."""
        terms = []
        if self._compile_loss is not None and y is not None:
            terms.append(self._compile_loss(y, y_pred, sample_weight))
        elif self._compile_loss is not None:
            raise ValueError("The model was compiled with a loss, which needs y: pass targets.")
        terms += [ops.sum(loss) for loss in self.losses]
        if not terms:
            raise ValueError(
                "There is no loss to minimize: compile the model with loss=..., or add_loss() "
                "in a layer."
            )
        return functools.reduce(operator.add, terms)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the compiled metrics with a batch and returns all metrics' values."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch; runs on tracers, compiled to one program."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)

        def forward() -> tuple[Any, Any]:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            # A mask belongs to a tensor, and the gradient's trace gives out others.
            masks = jax.tree.map(context.get_mask, y_pred)
            return self.optimizer.scale_loss(loss), (loss, y_pred, masks)

        trainable = self.trainable_variables
        chosen = {id(v) for v in trainable}
        others = [v for v in base.variables_of(*self._state_roots()) if id(v) not in chosen]
        (_, (loss, y_pred, masks)), grads = lowering.gradient(
            forward, trainable, others, has_aux=True
        )
        _restore_masks(y_pred, masks)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        self.optimizer.apply(grads, trainable)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation on a batch."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The predictions for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _state_roots(self) -> list[Any]:
        """Everything but the optimizer that a step may change."""
        compiled = [self._loss_tracker, self._compile_metrics, self._compile_loss]
        return [self, *[o for o in compiled if o is not None], rng.global_stream()]

    # -- lowering -----------------------------------------------------------------------------

    def _prepare(self, example: Any, mode: str) -> None:
        """Makes all state there is to be, from the shapes of a batch."""
        x, y, _ = unpack_x_y_sample_weight(example)

        def symbol(a: Any) -> KerasTensor:
            return KerasTensor((None, *a.shape[1:]), a.dtype)

        y_pred = None
        if not self._all_built():
            y_pred = self._trace(jax.tree.map(symbol, x))
        if mode == "predict":
            return
        containers = [c for c in (self._compile_loss, self._compile_metrics) if c is not None]
        missing = y is not None and not all(c.built for c in containers)
        if missing and type(self).call is not Layer.call:
            if y_pred is None:
                y_pred = self._trace(jax.tree.map(symbol, x))
            for c in containers:
                c.build(jax.tree.map(symbol, y), y_pred)
        if mode == "train":
            self.optimizer.build(self.trainable_variables)

    def _all_built(self) -> bool:
        known = self._known()
        if "built" not in known:
            known["built"] = self.built and all(layer.built for layer in self._flatten_layers())
        return known["built"]

    def _trace(self, x: Any) -> Any:
        if not self.built:
            self._maybe_build((x,), {})
        return self.compute_output_spec(x)

    def _program(self, mode: str) -> Program:
        programs = vars(self).setdefault("_programs", {})
        program = programs.get(mode)
        if program is not None and program.is_current():
            return program
        step = getattr(self, f"{mode}_step")
        roots = self._state_roots() if mode != "predict" else [self, rng.global_stream()]
        fixed: list[Any] = []
        if mode == "train":
            roots.append(self.optimizer)
        else:
            fixed = self.trainable_variables
        if _takes_state(step):
            step = _stateful(self, step, mode)
        step = functools.partial(_on_given, step)
        stack = mode == "predict"
        if not stack:
            step = _Named(step)
        programs[mode] = Program(step, roots, fixed, jit=not self.run_eagerly, stack=stack)
        return programs[mode]


def _restore_masks(y_pred: Any, masks: Any) -> None:
    if not jax.tree.leaves(masks):
        return
    is_none = lambda m: m is None  # noqa: E731
    flat_masks = jax.tree.leaves(masks, is_leaf=is_none)
    for tensor, mask in zip(jax.tree.leaves(y_pred), flat_masks):
        context.set_mask(tensor, mask)


def _batch_size(x: Any) -> int:
    return jax.tree.leaves(x)[0].shape[0]


def _on_given(step: Callable, batch: Any) -> Any:
    """A step on what was given of `(x, y, sample_weight)`: a user's may say `x, y = data`."""
    given = len(batch)
    while given > 1 and batch[given - 1] is None:
        given -= 1
    return step(batch[:given])


class _Named:
    """A step whose logs come as a list, their names, in order, aside: a compiled function would
    sort them."""

    def __init__(self, step: Callable):
        self.step = step
        self.names: list[str] = []

    def __call__(self, data: Any) -> list[Any]:
        logs = self.step(data)
        if not isinstance(logs, dict):
            raise TypeError(f"A step must return a dict of logs. It returned {type(logs)}.")
        self.names[:] = logs
        return unbox(list(logs.values()))


# -- steps written in Keras's stateless form ----------------------------------------------------


def _takes_state(step: Callable) -> bool:
    return len(inspect.signature(step).parameters) >= 2


def _stateful(model: Steps, step: Callable, mode: str) -> Callable:
    """A step `(state, data) -> (logs, state)` over lists of values, as one that changes state."""

    def run(data: Any) -> Any:
        parts = [model.trainable_variables, model.non_trainable_variables]
        if mode == "train":
            parts.append(model.optimizer.variables)
        if mode != "predict":
            parts.append(model.metrics_variables)
        result, new = step(tuple(list(lowering.values_of(p)) for p in parts), data)
        if mode == "predict":  # Keras's predict_step gives back only what it may change
            new = (parts[0], new)
        for variables, values in zip(parts, new):
            for v, value in zip(variables, values):
                v.assign(value) if hasattr(v, "assign") else lowering.write([v], [value])
        return result

    return run
