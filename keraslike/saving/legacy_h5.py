"""The whole model in one HDF5 file (`.h5`, `.hdf5`), Keras's older format.

The attribute `model_config` contains the config and `training_config` the arguments of `compile`,
both as JSON. The weights of each layer directly below the model are a list, the trainable ones
first, in `model_weights/<layer>`, whose attribute `weight_names` gives their order. The model's own
weights are in `model_weights/top_level_model_weights`, the optimizer's state is in
`optimizer_weights`. Weights are matched by order, not by name.

Files are written as Keras 3 writes them. Files of all versions from Keras 1 on are read: each
config is first converted to the form of Keras 3 (`old_config`) and then treated like that of a
`.keras` file.

The group `keraslike`, which Keras ignores, has the layout of a weights file. It contains the random
streams and what a class's own `save_own_variables` saves. The format has no place for the files of
`save_assets`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keraslike.core.arguments import warn_user
from keraslike.core.registry import KERAS_VERSION
from keraslike.core.rng import SeedGenerator
from keraslike.layers import InputLayer
from keraslike.optimizers import OptaxOptimizer, Optimizer
from keraslike.saving import (
    h5_reader,
    hdf5_texts,
    keras_archive,
    legacy_config,
    old_config,
    old_optimizer,
    old_weights,
    weights_h5,
)
from keraslike.saving.old_names import Origin, origin_of

ENDINGS = (".h5", ".hdf5")

_MODEL, _TRAINING = "model_config", "training_config"
_WEIGHTS, _OPTIMIZER, _EXTRA = "model_weights", "optimizer_weights", "keraslike"
_TOP = "top_level_model_weights"

# The maximum size of an attribute in bytes; longer lists are split into numbered attributes.
_MOST_BYTES = 64512


# -- writing ----------------------------------------------------------------------------------


def write(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Writes a model to an open `h5py.File`.

    Args:
        include_optimizer: whether to write the arguments of `compile` and the optimizer's state.
    """
    entry = keras_archive.config_of(model)
    compiled = entry.pop("compile_config", None) if include_optimizer else None
    config = legacy_config.legacy_model(entry)
    # Keras identifies the root's class by name; the other keys are for keraslike.
    config["class_name"] = entry["class_name"]
    config |= {k: entry[k] for k in ("registered_name", "build_config") if entry.get(k)}
    version = KERAS_VERSION
    file.attrs.update({"keras_version": version, "backend": "jax"})
    file.attrs["keraslike_version"] = keras_archive.version()
    file.attrs[_MODEL] = json.dumps(config)
    if compiled is not None:
        rule = legacy_config.legacy_model(compiled.pop("optimizer"))
        training = {k: legacy_config.legacy_identifiers(v) for k, v in compiled.items()}
        training["loss"] = legacy_config.legacy_loss(training.get("loss"))
        file.attrs[_TRAINING] = json.dumps({**training, "optimizer_config": rule})

    group = file.create_group(_WEIGHTS)
    group.attrs.update({"keras_version": version, "backend": "jax"})
    layers = _layers_of(model)
    names = _group_names(layers)
    _write_names(group, "layer_names", names)
    for name, layer in zip(names, layers, strict=True):
        _write_weights(group.create_group(name), _weights_of(layer))
    _write_weights(group.create_group(_TOP), _own_weights(model))
    optimizer = getattr(model, "optimizer", None)
    if include_optimizer and isinstance(optimizer, Optimizer):
        _write_weights(file.create_group(_OPTIMIZER), optimizer.variables)
    if any(_is_extra(obj) for _, obj in weights_h5.walk(model)):
        weights_h5.write(model, file.create_group(_EXTRA), _is_extra)


def _is_extra(obj: Any) -> bool:
    own = weights_h5.own_method(obj, "save_own_variables") is not None
    return own or isinstance(obj, SeedGenerator)


def _layers_of(model: Any) -> list[Any]:
    others = (x for x in model._sublayers if not isinstance(x, InputLayer))
    layers = [*getattr(model, "layers", ()), *others]
    # A layer that occurs more than once is stored once.
    return list({id(x): x for x in layers}.values())


def _weights_of(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _own_weights(model: Any) -> list[Any]:
    """The weights of a model that belong to none of its layers."""
    of_layers = {id(v) for layer in _layers_of(model) for v in layer.weights}
    return [v for v in _weights_of(model) if id(v) not in of_layers]


def _write_weights(group: Any, variables: Sequence[Any]) -> None:
    taken: set[str] = set()
    paths = [str(getattr(v, "path", "")) or f"weight_{i}" for i, v in enumerate(variables)]
    names = [_free_name(path, taken) for path in paths]
    _write_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        weights_h5.write_array(group, name, variable)


def _write_names(group: Any, attribute: str, names: Iterable[str]) -> None:
    data = np.array([name.encode() for name in names])
    count = 1
    while any(part.nbytes > _MOST_BYTES for part in np.array_split(data, count)):
        count += 1
        if count > len(data):
            raise ValueError(f"A name is too long for a `.h5` file: it has {data.itemsize} bytes.")
    for i, part in enumerate(np.array_split(data, count)):
        group.attrs[attribute if count == 1 else f"{attribute}{i}"] = part


def _group_names(layers: Iterable[Any]) -> list[str]:
    """The name of each layer's group: the layer's name, with path separators replaced."""
    taken = {_TOP}
    return [_free_name(layer.name.replace("/", "_"), taken) for layer in layers]


def _free_name(path: str, taken: set[str]) -> str:
    """A variant of the path that is no group or dataset, and neither above nor below one.

    Args:
        taken: the names in use, and the groups that they lie in with a slash at the end.
    """
    parts = [p for p in path.replace("\0", "").split("/") if p not in ("", ".", "..")] or ["_"]
    name, number = "/".join(parts), 0
    while {name, f"{name}/", *_above(name)} & taken:
        number += 1
        name = f"{'_'.join(parts)}_{number}"
    taken.update((name, *(f"{group}/" for group in _above(name))))
    return name


def _above(name: str) -> list[str]:
    return [name[:i] for i, c in enumerate(name) if c == "/"]


# -- reading ----------------------------------------------------------------------------------


class Reader(h5_reader.Reader):
    """Attributes and lists of arrays from an untrusted file."""

    def text(self, attribute: str) -> str | bytes | None:
        """An attribute of the file with a text; `None` where there is none."""
        if attribute not in self.file.attrs:
            return None
        self._check_size(self.file, attribute, os.path.getsize(self.label))
        found = self.file.attrs.get_id(attribute)
        if found.shape != () or not hdf5_texts.is_text(found):
            raise ValueError(f"'{self.label}': '{attribute}' is no text.")
        if found.get_type().is_variable_str():
            self.check_texts(attribute, os.path.getsize(self.label))
        value = self.file.attrs[attribute]
        if not isinstance(value, (str, bytes)):
            raise ValueError(f"'{self.label}': '{attribute}' is no text.")
        return value

    def origin(self) -> Origin:
        """The version of Keras that wrote the file; the first one did not record it."""
        version, backend = self.text("keras_version"), self.text("backend")
        return origin_of("1" if version is None else version, backend)

    def has_older_optimizer(self) -> bool:
        """Whether the file's optimizer state belongs to the older family of Keras 2's
        optimizers."""
        text = self.text(_TRAINING)
        training = None if text is None else keras_archive.parse_json(self.label, text, _TRAINING)
        entry = training.get("optimizer_config") if isinstance(training, dict) else None
        config = entry.get("config") if isinstance(entry, dict) else None
        return old_optimizer.is_older(config, self.origin())

    def names(self, group: Any, attribute: str) -> list[str]:
        """An attribute of a group with a list of texts, which may be split; ValueError where there
        is none."""
        present = [attribute] if attribute in group.attrs else []
        while present[:1] != [attribute] and f"{attribute}{len(present)}" in group.attrs:
            present.append(f"{attribute}{len(present)}")
        if not present:
            raise ValueError(
                f"'{self.label}' is no `.h5` file that can be read here: "
                f"'{group.name.lstrip('/')}' has no attribute '{attribute}'."
            )
        found: list[str] = []
        for name in present:
            self._check_size(group, name, 2 * _MOST_BYTES)
            kind = group.attrs.get_id(name)
            if len(kind.shape or ()) != 1 or (kind.shape[0] and not hdf5_texts.is_text(kind)):
                raise ValueError(f"'{self.label}': '{name}' of '{group.name}' is no list of names.")
            if kind.shape[0] and kind.get_type().is_variable_str():
                self.check_texts(name, 2 * _MOST_BYTES)
            for item in group.attrs[name].tolist() if kind.shape[0] else ():
                item = item.decode(errors="replace") if isinstance(item, bytes) else item
                if not isinstance(item, str):
                    raise ValueError(f"'{self.label}': '{name}' of '{group.name}' has no names.")
                found.append(item)
        if len(set(found)) < len(found):
            raise ValueError(f"'{self.label}' is damaged: '{attribute}' has a name twice.")
        return found

    def weights(self, *path: str) -> list[Any]:
        """The datasets of the group at a path, in order."""
        group = self.group(*path)
        found = []
        for name in self.names(group, "weight_names"):
            *parents, last = self._parts(name)
            parent = self.group(*path, *parents)
            if last not in parent:
                raise ValueError(
                    f"'{self.label}' is damaged: it lacks '{'/'.join((*path, name))}'."
                )
            found.append(self._dataset(parent, last))
        return found

    def group(self, *path: str) -> Any:
        """The group at a path; ValueError where there is none."""
        group = self._group([part for name in path for part in self._parts(name)])
        if group is None:
            raise ValueError(f"'{self.label}' is damaged: it lacks '{'/'.join(path)}'.")
        return group

    def _parts(self, name: str) -> list[str]:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ValueError(f"'{self.label}' is not safe to load: it names {name!r}.")
        return parts

    def _check_size(self, holder: Any, attribute: str, most: int) -> None:
        found = holder.attrs.get_id(attribute)
        size = math.prod(found.shape or ()) * found.get_type().get_size()
        if size > most:
            raise ValueError(
                f"'{self.label}' is damaged or not safe to load: '{attribute}' says to hold "
                f"{size} bytes."
            )


def read(file: Any, path: str, compile: bool) -> dict[str, Any]:
    """The config of the model in an open `h5py.File`, for `serialization.deserialize`.

    Names are looked up among the custom objects that are now in scope.

    Args:
        compile: whether the arguments of `compile` are wanted.
    """
    reader = Reader(file, path)
    text, training = reader.text(_MODEL), reader.text(_TRAINING) if compile else None
    if text is None:
        held = ", ".join(sorted(map(str, file))[:10]) or "nothing"
        raise ValueError(
            f"'{path}' holds no model: it has no attribute '{_MODEL}'. It holds: {held}. "
            "Weights alone are read by load_weights()."
        )
    config = keras_archive.parse_json(path, text, _MODEL)
    compiled = None if training is None else keras_archive.parse_json(path, training, _TRAINING)
    keras_archive.checked_config(path, config)
    keras_archive.checked_config(path, {"class_name": "", "config": compiled})
    origin = reader.origin()
    model = old_config.modern(config, "layers", origin)
    if compiled is not None:
        compiled = old_config.compile_config(compiled, origin)
    return {**model, "compile_config": compiled}


def load(
    model: Any, file: Any, path: str, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Loads the weights and the random streams of an open `h5py.File` into a model.

    Args:
        skip_mismatch: whether to leave weights that do not fit unchanged, with a warning for each.
        by_name: match layers by their names, and leave those that the file does not have.

    Raises ValueError, having changed nothing, where something does not fit.
    """
    _load(model, Reader(file, path), skip_mismatch, by_name, _without_config(model, file))


def load_all(model: Any, file: Any, path: str) -> None:
    """Like `load`, including the optimizer's state."""
    optimizer = isinstance(getattr(model, "optimizer", None), Optimizer)
    _load(model, Reader(file, path), False, False, optimizer)


def _without_config(model: Any, file: Any) -> bool:
    """Whether the optimizer's state is loaded with the weights: only for an optimizer without a
    config, whose state load_model() could not restore."""
    given = isinstance(getattr(model, "optimizer", None), OptaxOptimizer)
    return given and _OPTIMIZER in file and _TRAINING not in file.attrs


def _load(model: Any, reader: Reader, skip_mismatch: bool, by_name: bool, optimizer: bool) -> None:
    # A file that contains only weights, as older versions wrote them, has no enclosing groups.
    root = (
        () if any(n in reader.file.attrs for n in ("layer_names", "layer_names0")) else (_WEIGHTS,)
    )
    fitting: list[Any] = []
    problems: list[str] = []
    names = reader.names(reader.group(*root), "layer_names")
    stored = {name: reader.weights(*root, name) for name in names}
    layers, origin = _layers_of(model), reader.origin()
    if by_name:
        places = dict(zip(_group_names(layers), layers, strict=True))
        pairs = [(n, places.get(n.replace("/", "_")), d) for n, d in stored.items()]
        pairs = [(name, layer, datasets) for name, layer, datasets in pairs if layer is not None]
    else:
        ours = [layer for layer in layers if layer.weights]
        theirs = {name: datasets for name, datasets in stored.items() if datasets}
        if len(ours) != len(theirs):
            raise ValueError(
                f"The weights in '{reader.label}' do not fit {model!r}, which was left as it was: "
                f"it has {len(ours)} layers with weights, and the file has {len(theirs)}."
            )
        pairs = [(n, layer, d) for (n, d), layer in zip(theirs.items(), ours, strict=True)]
    for name, layer, datasets in pairs:
        called = name if name == layer.name else f"{name}, here {layer.name}"
        arrays = old_weights.converted(layer, datasets, origin)
        _match(called, _weights_of(layer), arrays, fitting, problems)
    if _TOP in reader.group(*root):
        _match(_TOP, _own_weights(model), reader.weights(*root, _TOP), fitting, problems)
    own_methods = [] if by_name else _match_extra(model, reader, fitting, problems)
    if optimizer and _OPTIMIZER in reader.file:
        _match_optimizer(model, reader, fitting)
    weights_h5.put(model, reader, fitting, own_methods, problems, skip_mismatch)


def _match(
    where: str,
    variables: list[Any],
    datasets: list[Any],
    fitting: list[Any],
    problems: list[str],
) -> None:
    if len(variables) != len(datasets):
        problems.append(f"{where}: expected {len(variables)} weights, found {len(datasets)}")
        return
    for i, (variable, dataset) in enumerate(zip(variables, datasets, strict=True)):
        wanted, found = weights_h5.shape_of(variable), tuple(dataset.shape)
        place = f"{where}/{getattr(variable, 'name', i)}"
        if wanted == found:
            fitting.append((place, variable, dataset))
        else:
            problems.append(f"{place}: expected shape {wanted}, found {found}")


def _match_extra(
    model: Any, reader: Reader, fitting: list[Any], problems: list[str]
) -> list[weights_h5.Call]:
    """Adds the random streams, and the objects with a loading method of their own."""
    if _EXTRA not in reader.file:
        return []
    extra = h5_reader.Reader(reader.group(_EXTRA), reader.label)
    methods = []
    for path, obj in weights_h5.walk(model):
        method = weights_h5.own_method(obj, "load_own_variables")
        if method is None and not isinstance(obj, SeedGenerator):
            continue
        stored = extra.own(path)
        if stored and method is not None:
            methods.append((path, method, h5_reader.Store(stored)))
        elif stored:
            _match(path, [obj.state], list(stored.values()), fitting, problems)
    return methods


def _match_optimizer(model: Any, reader: Reader, fitting: list[Any]) -> None:
    stored = {str(i): dataset for i, dataset in enumerate(reader.weights(_OPTIMIZER))}
    older = reader.has_older_optimizer()
    own, arrays = weights_h5.of_optimizer(model.optimizer, model, stored, older)
    problems: list[str] = []
    found: list[Any] = []
    _match("optimizer", list(own.values()), [arrays[k] for k in own], found, problems)
    if problems:
        warn_user(f"The optimizer '{model.optimizer.name}' starts afresh: {problems[0]}.")
    else:
        fitting += found
