"""Layers-models of TensorFlow.js: `model.json` and binary files of weights beside it.

`modelTopology` contains a config of Keras 2, which the converter and TensorFlow.js itself write, or
of Keras 3, which only the converter writes. `weightsManifest` lists the name, shape and dtype of
each weight, in the order of their bytes in the files.

Files are untrusted: names of files must not lead elsewhere, sizes are compared with those of the
files before memory is allocated, and the config is checked like any other.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keraslike.core.arguments import warn_user
from keraslike.core.errors import DamagedFile
from keraslike.layers import Bidirectional, Wrapper
from keraslike.models import Model
from keraslike.saving import (
    h5_reader,
    keras_archive,
    legacy_h5,
    old_config,
    old_weights,
    weights_h5,
)
from keraslike.saving.old_names import Origin, origin_of

MODEL = "model.json"
_DTYPES = {"float32": 4, "int32": 4, "bool": 1, "uint8": 1, "uint16": 2, "float16": 2}
_OWN_BACKEND = "tensor_flow.js"  # The name that TensorFlow.js itself writes.


def is_there(path: str) -> bool:
    """Whether a path is that of a `model.json`, or of a folder with one."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, MODEL))
    return path.endswith(".json") and not path.endswith(".weights.json") and os.path.isfile(path)


class Folder:
    """The contents of a `model.json` and of the files that it names.

    Raises DamagedFile if it is not a layers-model, or if the files do not match it.
    """

    def __init__(self, path: str):
        self.label = path
        self.path = os.path.join(path, MODEL) if os.path.isdir(path) else path
        with open(self.path, "rb") as file:
            text = file.read(64 << 20)
        about = keras_archive.parse_json(path, text, os.path.basename(self.path))
        topology = about.get("modelTopology") if isinstance(about, dict) else None
        if not isinstance(topology, dict):
            raise DamagedFile(f"'{path}' is no model of TensorFlow.js: it has no `modelTopology`.")
        if about.get("format") == "graph-model" or "node" in topology:
            raise DamagedFile(
                f"'{path}' is a graph-model of TensorFlow.js, which has no layers. load_model() "
                "reads layers-models."
            )
        self.topology = topology
        self.config = topology.get("model_config", topology)
        version = topology.get("keras_version")
        if str(version).startswith("tfjs"):  # Its layers are those of Keras 2.
            version = "2"
        self.origin = origin_of(version, topology.get("backend"))
        self._manifest = about.get("weightsManifest")
        own = about.get("userDefinedMetadata")
        sums = own.get("sha256") if isinstance(own, dict) else None
        # Files that keraslike writes contain them.
        self._sums = sums if isinstance(sums, dict) else {}
        self.nbytes = os.path.getsize(self.path)

    def model_config(self, compile: bool) -> dict[str, Any]:
        """The config in its current form; names are looked up among the custom objects in scope."""
        config = keras_archive.checked_config(self.label, self.config)
        model = old_config.modern(config, "layers", self.origin)
        compiled = self.topology.get("training_config") or config.get("compile_config")
        if compiled is None or not compile:
            return {**model, "compile_config": None}
        if self.topology.get("backend") == _OWN_BACKEND:
            warn_user(
                f"'{self.label}': the arguments of TensorFlow.js's compile() are not taken over."
            )
            return {**model, "compile_config": None}
        keras_archive.checked_config(self.label, {"class_name": "", "config": compiled})
        return {**model, "compile_config": old_config.compile_config(compiled, self.origin)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, in the order of the manifest."""
        found: dict[str, np.ndarray] = {}
        groups = [] if self._manifest is None else self._manifest
        try:
            for group in groups:
                data = self._data(group["paths"])
                for name, array in self._group(group["weights"], data):
                    if name in found:
                        raise ValueError(f"it has two weights {name!r}")
                    found[name] = array
                    self.nbytes += array.nbytes  # Unpacked: up to four times the stored size.
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            if isinstance(e, DamagedFile):
                raise
            raise DamagedFile(
                f"'{self.label}' is damaged: its `weightsManifest` does not fit: {e}."
            ) from e
        return found

    def _data(self, names: Sequence[str]) -> bytes:
        parts = []
        for name in names:
            name = name.removeprefix("./") if isinstance(name, str) else name
            if (
                not isinstance(name, str)
                or os.path.basename(name) != name
                or name in ("", "..", ".")
            ):
                raise DamagedFile(f"'{self.label}' is not safe to load: it names a file {name!r}.")
            place = os.path.join(os.path.dirname(self.path), name)
            if not os.path.isfile(place):
                raise DamagedFile(
                    f"'{self.label}' is damaged: there is no file {name!r} beside it."
                )
            with open(place, "rb") as file:
                parts.append(file.read())
            if self._sums and self._sums.get(name) != hashlib.sha256(parts[-1]).hexdigest():
                raise DamagedFile(f"'{self.label}' is damaged: {name!r} has another checksum.")
        return b"".join(parts)

    @staticmethod
    def _group(weights: Sequence[Any], data: bytes) -> Iterator[tuple[str, np.ndarray]]:
        at = 0
        for about in weights:
            name, shape, dtype = about["name"], tuple(about["shape"]), about["dtype"]
            packed = about.get("quantization") or {}
            stored = packed.get("dtype", dtype)
            if not isinstance(name, str) or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError(f"{name!r} has the shape {shape}")
            if dtype not in ("float32", "int32", "bool", "uint8") or stored not in _DTYPES:
                raise ValueError(f"{name!r} is of {dtype!r}, stored as {stored!r}")
            size = math.prod(shape) * _DTYPES[stored]
            if size > len(data) - at:
                raise ValueError(f"{name!r} goes beyond the end of the files")
            array = np.frombuffer(data, stored, math.prod(shape), at).reshape(shape)
            if packed and stored != "float16":
                array = array * np.float32(packed["scale"]) + np.float32(packed["min"])
                array = np.round(array) if dtype == "int32" else array
            yield name, array.astype(dtype)
            at += size
        if at != len(data):
            raise ValueError(f"the files have {len(data)} bytes, and the weights {at}")

    def load(self, model: Any, arrays: dict[str, np.ndarray]) -> None:
        """Loads the weights into a model. Raises ValueError, having changed nothing, for weights
        that do not match."""
        if not self.origin.is_old:
            _load_by_place(model, arrays, self)
            return
        fitting: list[Any] = []
        problems: list[str] = []
        units, by_unit = _units(model), _by_unit(arrays, _units(model), problems)
        for name, unit in units.items():
            if unit.weights:
                stored = _in_order(unit, by_unit[name], self.origin)
                legacy_h5._match(name, legacy_h5._weights_of(unit), stored, fitting, problems)
        weights_h5.put(model, _Label(self.label), fitting, [], problems, False)


class _Label:
    """Replaces the reader of a file whose arrays were read already."""

    def __init__(self, label: str):
        self.label = label

    def fetch(self, datasets: Sequence[Any]) -> None:
        pass


def _load_by_place(model: Any, arrays: dict[str, np.ndarray], folder: Folder) -> None:
    """Loads weights that are identified by their places in a `.weights.h5` file, as in the form of
    Keras 3."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
                raise DamagedFile(f"'{folder.label}' is not safe to load: it names {name!r}.")
            if name.split("/")[0] != "optimizer":
                file[name] = array
    data, version = buffer.getvalue(), folder.origin.version
    with h5py.File(buffer, "r") as file:
        weights_h5.load(model, h5_reader.Reader(file, folder.label, data, version))


def _units(model: Any) -> dict[str, Any]:
    """The layers with weights of their own, including those of nested models."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, Model):
            inner = _units(layer)
        else:
            inner = {layer.name: layer}
        for name, unit in inner.items():
            if found.setdefault(name, unit) is not unit:
                raise ValueError(f"Two layers have the name '{name}', and weights go by names.")
    return found


def _by_unit(
    arrays: dict[str, np.ndarray], units: dict[str, Any], problems: list[str]
) -> dict[str, dict[str, np.ndarray]]:
    """The weights of each layer, by the last part of their names or by the full names."""
    places = {name: name for name in units}
    for name, unit in units.items():
        if isinstance(unit, Bidirectional):
            inner = (unit.forward_layer, unit.backward_layer)
        else:
            inner = (unit.layer,) if isinstance(unit, Wrapper) else ()
        places.update((layer.name, name) for layer in inner if layer.name not in units)
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in units}
    for name, array in arrays.items():
        # A layer's name may contain slashes, and may follow those of enclosing models.
        parts = name.split("/")
        starts = range(len(parts) - 1)
        spans = ("/".join(parts[i:j]) for i in starts for j in range(len(parts) - 1, i, -1))
        place = next((places[span] for span in spans if span in places), None)
        if place is None:
            problems.append(f"'{name}' is of no layer of the model")
        else:
            found[place][name] = array
    return found


def _in_order(unit: Any, stored: dict[str, np.ndarray], origin: Origin) -> list[Any]:
    """The arrays of a layer in the order of its weights: by name if the names are equal, else in
    the stored order, which is that of Keras 2."""
    names = [name.rpartition("/")[2] for name in stored]
    wanted = [v.name for v in legacy_h5._weights_of(unit)]
    if sorted(names) == sorted(wanted) and len(set(names)) == len(names):
        by_name = dict(zip(names, stored.values(), strict=True))
        return old_weights.converted(unit, [by_name[name] for name in wanted], origin)
    return old_weights.converted(unit, list(stored.values()), origin)
