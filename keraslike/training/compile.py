"""What `compile` was told, matched to a model's outputs: losses, their weights, and metrics."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import registry
from keraslike.core.base import Object
from keraslike.core.boxed import is_boxed
from keraslike.losses import Loss, LossFunctionWrapper
from keraslike.losses.loss import as_column
from keraslike.metrics import Mean, MeanMetricWrapper, Metric


def named_outputs(y_pred: Any, names: Sequence[str] | None) -> list[tuple[str, Any]]:
    """The output tensors of a model with their names."""
    if isinstance(y_pred, dict):
        return list(y_pred.items())
    tensors = jax.tree.leaves(y_pred, is_leaf=is_boxed)
    if not names or len(names) != len(tensors):
        one = len(tensors) == 1
        names = ["output"] if one else [f"output_{i}" for i in range(len(tensors))]
    return list(zip(names, tensors, strict=True))


def per_output(value: Any, names: Sequence[str], what: str, repeat: bool = False) -> list[Any]:
    """One entry an output from a single value, a list or a dict by output name.

    Raises ValueError where the number of entries or a name does not fit the outputs.
    """
    n = len(names)
    if value is None:
        return [None] * n
    if isinstance(value, dict):
        unknown = sorted(set(value) - set(names))
        if unknown:
            raise ValueError(
                f"{what} has entries for {unknown}, but the model's outputs are {list(names)}."
            )
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) == n:
            return list(value)
        if not repeat or n == 1:
            raise ValueError(
                f"{what} has {len(value)} entries, but the model has {n} outputs: {list(names)}."
            )
    if n > 1 and not repeat:
        raise ValueError(
            f"{what} is one value, but the model has {n} outputs: {list(names)}. "
            "Pass a list or a dict by output name."
        )
    return [value] * n


class CompileLoss(Object):
    """The weighted sum of the losses of all outputs, and a running mean of each if several."""

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Any = None):
        self.loss, self.loss_weights, self.output_names = loss, loss_weights, output_names
        for identifier in jax.tree.leaves(loss, is_leaf=_is_identifier):
            if isinstance(identifier, str) and identifier not in _BY_SHAPE:
                registry.get("losses", identifier)  # a name that does not exist is said at once
        self.built = False

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Chooses the loss of each output from the structure and shapes of targets and outputs."""
        outputs = named_outputs(y_pred, self.output_names)
        names = [name for name, _ in outputs]
        targets = per_output(y_true, names, "y")
        chosen = per_output(self.loss, names, "loss", repeat=not isinstance(self.loss, list))
        weights = per_output(self.loss_weights, names, "loss_weights")
        self._terms = []
        for i, ((name, pred), loss, weight) in enumerate(zip(outputs, chosen, weights)):
            if isinstance(loss, (list, tuple)) and len(loss) == 1:
                loss = loss[0]
            if loss is not None:
                self._terms.append((i, name, _as_loss(loss, targets[i], pred), weight))
        if not self._terms:
            raise ValueError(f"loss={self.loss!r} gives no loss for any output of {names}.")
        several = len(self._terms) > 1
        self.trackers = [Mean(name=f"{t[1]}_loss") for t in self._terms] if several else []
        self.built = True

    @property
    def metrics(self) -> list[Metric]:
        return list(self.trackers) if self.built else []

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array:
        if not self.built:
            self.build(y_true, y_pred)
        outputs = named_outputs(y_pred, self.output_names)
        names = [name for name, _ in outputs]
        targets = per_output(y_true, names, "y")
        sample_weights = per_output(sample_weight, names, "sample_weight", repeat=True)
        total = jnp.zeros(())
        for k, (i, name, loss, weight) in enumerate(self._terms):
            pred = outputs[i][1]
            if targets[i] is None:
                raise ValueError(f"Output '{name}' has a loss, but y has no targets for it.")
            value = loss(targets[i], pred, sample_weights[i])
            if jnp.ndim(value):
                raise ValueError(
                    f"The loss of output '{name}' has shape {jnp.shape(value)}; a scalar is "
                    "needed to train. Use a reduction other than None."
                )
            if self.trackers:  # each loss is reported as it is, before its weight
                self.trackers[k].update_state(value, sample_weight=_batch_size(pred))
            total = total + (value if weight is None else value * weight)
        return total


class CompileMetrics(Object):
    """The metrics of all outputs, under the names they are reported by."""

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: Any = None):
        self.given, self.given_weighted, self.output_names = metrics, weighted_metrics, output_names
        for identifier in jax.tree.leaves((metrics, weighted_metrics), is_leaf=_is_identifier):
            if isinstance(identifier, str) and identifier not in _BY_SHAPE:
                registry.get("metrics", identifier)
        self.built = False

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the metrics of each output; `"accuracy"` becomes the kind that fits the shapes."""
        outputs = named_outputs(y_pred, self.output_names)
        names = [name for name, _ in outputs]
        targets = per_output(y_true, names, "y")
        self._entries = []  # (output index, reported name, metric, weighted)
        taken: set[str] = set()
        for given, weighted in ((self.given, False), (self.given_weighted, True)):
            what = "weighted_metrics" if weighted else "metrics"
            if len(names) == 1 and not isinstance(given, dict):
                groups = [given]
            else:
                groups = per_output(given, names, what)
            for i, (group, (output, pred)) in enumerate(zip(groups, outputs)):
                for identifier in jax.tree.leaves(group, is_leaf=_is_identifier):
                    metric, name = _as_metric(identifier, targets[i], pred)
                    prefix = f"{output}_" if len(names) > 1 else ""
                    if weighted and prefix + name in taken:
                        name = f"weighted_{name}"
                    name = base = prefix + name
                    k = 0
                    while name in taken:
                        k += 1
                        name = f"{base}_{k}"
                    taken.add(name)
                    self._entries.append((i, name, metric, weighted))
        self.built = True

    @property
    def metrics(self) -> list[Metric]:
        return [entry[2] for entry in self._entries] if self.built else []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.built:
            self.build(y_true, y_pred)
        if not self._entries:
            return
        outputs = named_outputs(y_pred, self.output_names)
        names = [name for name, _ in outputs]
        targets = per_output(y_true, names, "y")
        weights = per_output(sample_weight, names, "sample_weight", repeat=True)
        for i, _, metric, weighted in self._entries:
            pred = outputs[i][1]
            if targets[i] is None:
                continue
            true = as_column(targets[i], pred)
            if weighted and weights[i] is not None:
                metric.update_state(true, pred, sample_weight=weights[i])
            else:
                metric.update_state(true, pred)

    def result(self) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for _, name, metric, _ in self._entries if self.built else ():
            value = metric.result()
            results.update(value if isinstance(value, dict) else {name: value})
        return results


def _is_identifier(value: Any) -> bool:
    if isinstance(value, dict):
        return "class_name" in value
    return value is not None and not isinstance(value, (list, tuple))


def _batch_size(tensor: Any) -> Any:
    return tensor.shape[0] if jnp.ndim(tensor) else 1


def function_name(function: Any) -> str:
    """The name a plain function is reported by."""
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else name


def _as_loss(identifier: Any, y_true: Any, y_pred: Any) -> Loss:
    if isinstance(identifier, str) and identifier in ("crossentropy", "ce"):
        identifier = f"{_kind(y_true, y_pred)}_crossentropy"
    loss = registry.get("losses", identifier)
    if isinstance(loss, Loss):
        return loss
    if not callable(loss):
        raise ValueError(f"loss must be a name, a function or a Loss. Received: {identifier!r}")
    return LossFunctionWrapper(loss, name=function_name(loss))


# Names whose meaning depends on the shapes of targets and outputs.
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def _kind(y_true: Any, y_pred: Any) -> str:
    if y_true is None:
        return "categorical"
    true, pred = tuple(jnp.shape(y_true)), tuple(jnp.shape(y_pred))
    if pred and pred[-1] == 1:
        return "binary"
    if len(true) < len(pred) or (true and true[-1] == 1 and pred[-1] > 1):
        return "sparse_categorical"
    return "categorical" if pred and len(pred) > 1 else "binary"


def _as_metric(identifier: Any, y_true: Any, y_pred: Any) -> tuple[Metric, str]:
    if isinstance(identifier, Metric):
        return identifier, identifier.name
    name = identifier if isinstance(identifier, str) else None
    if name in ("accuracy", "acc"):
        identifier = f"{_kind(y_true, y_pred)}_accuracy"
    elif name in ("crossentropy", "ce"):
        identifier = f"{_kind(y_true, y_pred)}_crossentropy"
    metric = registry.get("metrics", identifier)
    if inspect.isroutine(metric) or not isinstance(metric, Metric):
        if not callable(metric):
            raise ValueError(
                f"A metric must be a name, a function or a Metric. Received: {identifier!r}"
            )
        name = name or function_name(metric)
        metric = MeanMetricWrapper(metric, name=name)
    elif name is not None:
        metric.name = name
    return metric, name or metric.name
