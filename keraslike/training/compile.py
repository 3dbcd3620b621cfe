"""Matches the arguments of `compile` (losses, loss weights, metrics) to a model's outputs."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import serialization
from keraslike.core.base import Object, variables_of
from keraslike.core.boxed import inherits_boxes
from keraslike.core.errors import NoSuchOutput
from keraslike.core.naming import to_snake_case
from keraslike.core.structures import iter_leaves, map_items
from keraslike.losses import Loss, LossFunctionWrapper
from keraslike.losses.loss import as_column
from keraslike.metrics import Mean, MeanMetricWrapper, Metric
from keraslike.training.arrays import is_tree


class Output(NamedTuple):
    """An output of a model: its path in the returned structure, and its name, which is only a
    number if the model does not name it."""

    path: tuple[Any, ...]
    name: str
    tensor: Any
    is_named: bool = True

    @property
    def label(self) -> str:
        """The path in the returned structure, if the output has no key and its name is a number."""
        return self.labelled(self.name)

    def labelled(self, loss: str) -> str:
        """The name under which its loss is reported; without a name, that of the loss."""
        if not self.path or isinstance(self.path[-1], int):
            name = self.name if self.is_named else loss
            return "/".join(map(str, (*self.path[:-1], name)))
        return "/".join(map(str, self.path))


def outputs_of(y_pred: Any, names: Sequence[str] | None) -> list[Output]:
    """The outputs of a model, in any structure, with their names.

    >>> [o.label for o in outputs_of([1, (2, {"b": 3})], ["x", "y", "z"])]
    ['x', '1/y', '1/1/b']
    """
    found = list(_leaves(y_pred, ()))
    paths = [path for path, _ in found]
    if isinstance(y_pred, dict) and all(len(path) == 1 for path in paths):
        by_name = {path[0]: tensor for path, tensor in found}
        order = names if names and set(names) == set(by_name) else y_pred
        return [Output((name,), str(name), by_name[name]) for name in order]
    is_named = names is not None and len(names) == len(found)
    if names is None or not is_named:
        one = len(found) == 1
        names = ["output"] if one else [f"output_{i}" for i in range(len(found))]
    return [Output(p, name, tensor, is_named) for (p, tensor), name in zip(found, names)]


def _items(node: Any) -> list[tuple[Any, Any]] | None:
    """The keys and values of a list, tuple or dict, or `None`."""
    if isinstance(node, dict):
        return sorted(node.items(), key=lambda item: str(item[0]))
    return list(enumerate(node)) if isinstance(node, (list, tuple)) else None


def _leaves(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = _items(node)
    if items is not None:
        for key, value in items:
            yield from _leaves(value, (*path, key))
    elif node is not None:
        yield path, node


def _misfit(what: str, said: str) -> NoSuchOutput:
    """The error for an argument that does not match the outputs. Other code recognizes it by its
    beginning."""
    begins = {
        "y": "y_true and y_pred have different structures.",
        "loss_weights": "loss_weights must match the number of losses.",
    }
    return NoSuchOutput(f"{begins.get(what, f'Invalid `{what}`.')} {said}")


class _Mismatch(Exception):
    """Raised for a value whose structure differs from that of the outputs."""


def _matched(value: Any, node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple, Any]]:
    """The parts of `value` for outputs in `node`, in the order of `value`."""
    items = _items(node)
    if items is None:
        yield path, value
    elif value is None:
        yield from ((p, None) for p, _ in _leaves(node, path))
    elif isinstance(node, dict) and isinstance(value, dict):
        if value.keys() - node.keys():
            raise _Mismatch
        for key, part in value.items():
            yield from _matched(part, node[key], (*path, key))
    elif isinstance(value, (list, tuple)) and len(value) == len(items):
        for part, (key, inside) in zip(value, items):
            yield from _matched(part, inside, (*path, key))
    else:
        raise _Mismatch


def per_output(
    value: Any,
    y_pred: Any,
    outputs: Sequence[Output],
    what: str,
    repeat: bool = False,
    having: Sequence[tuple] | None = None,
    needed: Sequence[tuple] = (),
) -> dict[tuple, Any]:
    """One entry an output, by its path: from a structure like that of the outputs, from a flat list
    or a dict by name, or from a single value for all, if there is one or `repeat` is set.

    Args:
        having: paths of the outputs that need an entry; a flat list may be of these only.
        needed: paths of the outputs that a dict must have an entry for.

    Raises ValueError if the number of entries or a name does not fit the outputs, and for several
    arrays of y or sample_weight for one output.
    """
    found = _assigned(value, y_pred, outputs, what, repeat, having, needed)
    for o in outputs if what in ("y", "sample_weight") else ():
        if is_tree(_single_item(found[o.path])):
            raise _misfit(what, f"{what} has several arrays for the output '{o.label}'.")
    return found


def _assigned(
    value: Any,
    y_pred: Any,
    outputs: Sequence[Output],
    what: str,
    repeat: bool,
    having: Sequence[tuple] | None,
    needed: Sequence[tuple],
) -> dict[tuple, Any]:
    paths, names = [o.path for o in outputs], [o.name for o in outputs]
    n = len(outputs)

    def complete(found: dict[tuple, Any]) -> dict[tuple, Any]:
        missing = [o.label for o in outputs if o.path in needed and o.path not in found]
        if missing:
            raise _misfit(what, f"{what} has no entry for the outputs {missing}.")
        return found | {path: None for path in paths if path not in found}

    if _items(y_pred) is not None:
        try:
            return complete(dict(_matched(value, y_pred, ())))
        except _Mismatch:
            pass
    if value is None:
        return dict.fromkeys(paths)
    if isinstance(value, dict):
        unknown = sorted(set(value) - set(names) - set(y_pred if isinstance(y_pred, dict) else ()))
        if unknown or isinstance(y_pred, dict):
            raise _misfit(
                what,
                f"{unknown or list(value)} in the `{what}` argument, can't be found in either the "
                f"model's outputs or their names. Expected keys: {[o.label for o in outputs]}.",
            )
        return complete({o.path: value[o.name] for o in outputs if o.name in value})
    several = isinstance(value, (list, tuple))
    flat = list(value) if several else [value]
    if isinstance(y_pred, dict):
        paths.sort(key=lambda path: [str(key) for key in path])
    if several and len(flat) == n:
        return dict(zip(paths, flat))
    if having is not None and len(flat) == len(having):
        return dict.fromkeys(paths) | dict(zip(having, flat))
    if several and (not repeat or n == 1 or what == "sample_weight"):
        raise _misfit(
            what, f"{what} has {len(value)} entries, but the model has {n} outputs: {names}."
        )
    if n > 1 and not repeat:
        raise _misfit(
            what,
            f"{what} is one value, but the model has {n} outputs: {names}. "
            "Pass a list or a dict by output name.",
        )
    return dict.fromkeys(paths, value)


class _Weighted(NamedTuple):
    """A loss as it was passed, and its weight."""

    loss: Any
    weight: Any


_Losses = list[tuple[tuple, _Weighted]]  # Each with the path of its outputs.


def _nested(loss: Any, node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple, _Weighted]]:
    """The losses of a structure with several losses for one output, or one loss for several
    outputs.

    A list of losses has one for each item if the model returns a list, or for each output.
    Otherwise all of them apply to the same outputs.
    """
    if loss is None:
        return
    leaves = list(_leaves(node, path))
    if isinstance(loss, _Weighted):
        yield path, loss
    elif isinstance(loss, dict) or (isinstance(node, type(loss)) and not _is_flat(loss, leaves)):
        inside = dict(_items(node) or ()) if isinstance(node, type(loss)) else {}
        for key, part in _items(loss) or ():
            if part is not None and key not in inside:
                raise _misfit(
                    "loss", f"The path {(*path, key)} can't be found in the model's output."
                )
            yield from _nested(part, inside.get(key), (*path, key))
    else:
        places = leaves if _is_flat(loss, leaves) else [(path, node)] * len(loss)
        for part, (below, tensor) in zip(loss, places):
            yield from _nested(part, tensor, below)


def _is_flat(loss: Any, leaves: list[Any]) -> bool:
    return len(loss) == len(leaves) and all(map(_is_leaf, loss))


def _inside(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def _packed(values: dict[tuple, Any], node: Any, path: tuple[Any, ...]) -> Any:
    """The values of the outputs in `node`, with its structure."""
    items = _items(node)
    if items is None:
        return _single_item(values.get(path))
    parts = {key: _packed(values, inside, (*path, key)) for key, inside in items}
    if isinstance(node, dict):
        return {key: parts[key] for key in node}
    in_order = iter(parts.values())
    return map_items(lambda _: next(in_order), node)


class CompileLoss(Object):
    """The weighted sum of the losses of all outputs, with a running mean of each if there are
    several."""

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Any = None):
        self.loss, self.loss_weights, self.output_names = loss, loss_weights, output_names
        _check_identifiers("losses", loss=loss)
        self.built = False

    @inherits_boxes
    def build(self, y_true: Any, y_pred: Any) -> None:
        """Selects the loss of each output, from the structure and shapes of targets and outputs."""
        outputs = outputs_of(y_pred, self.output_names)
        losses = self._losses(y_pred, outputs)
        names = [o.name for o in outputs]
        if not losses:
            raise ValueError(f"loss={self.loss!r} gives no loss for any output of {names}.")
        by_path = {o.path: o for o in outputs}
        self._paths = [p for p in by_path if any(p[: len(path)] == path for path, _ in losses)]
        targets = per_output(y_true, y_pred, outputs, "y", having=self._paths)
        self._terms = []  # (path of the outputs, loss, weight).
        self.trackers = []
        taken: dict[str, tuple[Any, ...]] = {}  # Reported names and the paths of their outputs.
        for path, (identifier, weight) in losses:
            node = _inside(y_pred, path)
            loss = _as_loss(identifier, _packed(targets, node, path), node)
            self._terms.append((path, loss, weight))
            if len(losses) > 1:
                label = "/".join(map(str, path)) or "_".join(names)
                if path in by_path:
                    name = identifier if isinstance(identifier, str) else loss.name
                    label = by_path[path].labelled(name)
                label = next(n for n in _numbered(f"{label}_loss") if taken.get(n, path) == path)
                taken[label] = path
                self.trackers.append(Mean(name=label))
        self.built = True

    def _losses(self, y_pred: Any, outputs: list[Output]) -> _Losses:
        try:
            all_alike = not isinstance(self.loss, list)
            chosen = per_output(self.loss, y_pred, outputs, "loss", repeat=all_alike)
            chosen = {path: _single_item(loss) for path, loss in chosen.items() if loss is not None}
            if all(map(_is_leaf, chosen.values())):
                given = self.loss_weights
                own = list(chosen)
                weights = per_output(given, y_pred, outputs, "loss_weights", False, own, own)
                return [(path, _Weighted(loss, weights[path])) for path, loss in chosen.items()]
        except NoSuchOutput:
            if all(_is_leaf(part) for _, part in _items(self.loss) or ()):
                raise
        losses, structure = jax.tree.flatten(self.loss, is_leaf=_is_leaf)
        weights = [None] * len(losses)
        if self.loss_weights is not None:
            weights = jax.tree.leaves(self.loss_weights, is_leaf=lambda x: x is None)
        if len(weights) != len(losses):
            raise _misfit("loss_weights", f"Expected {len(losses)}. Received: {len(weights)}")
        pairs = [None if x is None else _Weighted(x, w) for x, w in zip(losses, weights)]
        return list(_nested(jax.tree.unflatten(structure, pairs), y_pred))

    @property
    def metrics(self) -> list[Metric]:
        return list(self.trackers) if self.built else []

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array:
        if not self.built:
            self.build(y_true, y_pred)
        outputs = outputs_of(y_pred, self.output_names)
        names = {o.path: o.name for o in outputs}
        targets = per_output(y_true, y_pred, outputs, "y", having=self._paths)
        sample_weights = per_output(
            sample_weight, y_pred, outputs, "sample_weight", repeat=True, needed=self._paths
        )
        total = jnp.zeros(())
        for k, (path, loss, factor) in enumerate(self._terms):
            pred = _inside(y_pred, path)
            name = names.get(path, path)
            true, weight = (_packed(values, pred, path) for values in (targets, sample_weights))
            if any(part is None for part in iter_leaves(true)):
                raise ValueError(f"Output '{name}' has a loss, but y has no targets for it.")
            if path not in names:
                weights = {id(part): part for part in iter_leaves(weight)}
                weight = weights.popitem()[1] if len(weights) == 1 else weight
            value = loss(true, pred, weight)
            if self.trackers:  # Each loss is reported without its weight.
                batch = _batch_size(next(iter_leaves(pred)))
                self.trackers[k].update_state(value, sample_weight=batch)
            total = total + (value if factor is None else value * factor)
        return total


def _single_item(value: Any) -> Any:
    """The item of a list with one item; other lists are returned unchanged."""
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


class CompileMetrics(Metric):
    """The metrics of all outputs as one metric, whose result is a dict by reported names."""

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: Any = None):
        super().__init__(name="compile_metrics")
        self.given, self.given_weighted, self.output_names = metrics, weighted_metrics, output_names
        _check_identifiers("metrics", metrics=metrics)
        _check_identifiers("metrics", weighted_metrics=weighted_metrics)
        self.built = False

    @inherits_boxes
    def build(self, y_true: Any, y_pred: Any) -> None:
        """Creates the metrics of each output; `"accuracy"` becomes the variant that fits the
        shapes."""
        outputs = outputs_of(y_pred, self.output_names)
        several = len(outputs) > 1
        groups = [
            (self._groups(given, y_pred, outputs, what), what)
            for given, what in ((self.given, "metrics"), (self.given_weighted, "weighted_metrics"))
        ]
        self._paths = [o.path for o in outputs if any(group[o.path] for group, _ in groups)]
        self._entries = []  # (path of the output, reported name, metric, whether it is weighted).
        self.built = True
        if not self._paths:
            return
        targets = per_output(y_true, y_pred, outputs, "y", having=self._paths)
        taken: set[str] = set()
        for group, what in groups:
            for path, output, pred, is_named in outputs:
                weighted = what == "weighted_metrics"
                for identifier in jax.tree.leaves(group[path], is_leaf=_is_identifier):
                    metric, name = _as_metric(identifier, _single_item(targets[path]), pred)
                    prefix = f"{output}_" if several and is_named else ""
                    if weighted and prefix + name in taken:
                        name = f"weighted_{name}"
                    name = _unique_name(prefix + name, taken)
                    self._entries.append((path, name, metric, weighted))

    def _groups(
        self, given: Any, y_pred: Any, outputs: list[Output], what: str
    ) -> dict[tuple, Any]:
        if len(outputs) == 1 and not isinstance(given, dict):
            return {outputs[0].path: given}
        return per_output(given, y_pred, outputs, what)

    @property
    def is_given(self) -> bool:
        """Whether `compile` was given any metrics."""
        return self.given is not None or self.given_weighted is not None

    @property
    def metrics(self) -> list[Metric]:
        return [entry[2] for entry in self._entries] if self.built else []

    @property
    def variables(self) -> list[Any]:
        return variables_of(self.metrics)

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.built:
            self.build(y_true, y_pred)
        if not self._entries:
            return
        outputs = outputs_of(y_pred, self.output_names)
        by_path = {o.path: o.tensor for o in outputs}
        targets = per_output(y_true, y_pred, outputs, "y", having=self._paths)
        weights = per_output(sample_weight, y_pred, outputs, "sample_weight", repeat=True)
        for path, _, metric, weighted in self._entries:
            target, weight = _single_item(targets[path]), _single_item(weights[path])
            if target is None:
                continue
            true = as_column(target, by_path[path])
            if weighted and weight is not None:
                metric.update_state(true, by_path[path], sample_weight=weight)
            else:
                metric.update_state(true, by_path[path])

    def result(self) -> dict[str, Any]:
        """The results by the names of the metrics; that of a metric may be a dict."""
        entries = self._entries if self.built else ()
        return {name: metric.result() for _, name, metric, _ in entries}


def _unique_name(name: str, taken: set[str]) -> str:
    """The name, with a number appended if it is taken; it is reserved from then on."""
    found = next(n for n in _numbered(name) if n not in taken)
    taken.add(found)
    return found


def _numbered(name: str) -> Iterator[str]:
    return itertools.chain([name], (f"{name}_{k}" for k in itertools.count(1)))


def _is_leaf(value: Any) -> bool:
    return value is None or _is_identifier(value) or isinstance(value, _Weighted)


def _is_identifier(value: Any) -> bool:
    if isinstance(value, dict):
        return "class_name" in value
    return value is not None and not isinstance(value, (list, tuple))


def _check_identifiers(family: str, **argument: Any) -> None:
    """Raises ValueError for values that are no losses or metrics, and for unknown names."""
    ((what, given),) = argument.items()
    for identifier in jax.tree.leaves(given, is_leaf=_is_identifier):
        if isinstance(identifier, str) and identifier not in _BY_SHAPE:
            serialization.get(family, identifier)
        elif not callable(identifier) and not isinstance(identifier, (str, dict)):
            raise ValueError(
                f"{what} must be a name, a function or a {'Loss' if what == 'loss' else 'Metric'}, "
                f"or a list or dict of them. Received: {what}={given!r}"
            )


def _batch_size(tensor: Any) -> Any:
    return tensor.shape[0] if jnp.ndim(tensor) else 1


def function_name(function: Any) -> str:
    """The name under which a function, or an object such as a Loss, is reported."""
    named = getattr(function, "name", None) or getattr(function, "__name__", None)
    name = str(named or to_snake_case(type(function).__name__))
    return "lambda" if name == "<lambda>" else name


def _as_loss(identifier: Any, y_true: Any, y_pred: Any) -> Loss:
    if isinstance(identifier, str) and identifier in ("crossentropy", "ce"):
        identifier = f"{_kind(y_true, y_pred)}_crossentropy"
    loss = serialization.get("losses", identifier)
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
    true, pred = (tuple(getattr(y, "shape", np.shape(y))) for y in (y_true, y_pred))
    if len(pred) < 2 or pred[-1] == 1:
        return "binary"
    return "sparse_categorical" if len(true) < len(pred) or true[-1] == 1 else "categorical"


def _as_metric(identifier: Any, y_true: Any, y_pred: Any) -> tuple[Metric, str]:
    if isinstance(identifier, Metric):
        return identifier, identifier.name
    name = identifier if isinstance(identifier, str) else None
    if name in ("accuracy", "acc"):
        identifier = f"{_kind(y_true, y_pred)}_accuracy"
    elif name in ("crossentropy", "ce"):
        identifier = f"{_kind(y_true, y_pred)}_crossentropy"
    metric = serialization.get("metrics", identifier)
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
