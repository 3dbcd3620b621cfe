"""`KerasFileEditor`, which changes the contents of a weights file."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keraslike.core.messages import say
from keraslike.core.rng import SeedGenerator
from keraslike.saving import h5_reader, keras_archive, saving_api, seal, weights_h5


class KerasFileEditor:
    """Shows, edits and saves the contents of a weights file.

    It adapts old files to a changed model. `weights_dict` contains the arrays in nested dicts by
    the names of objects and weights; `config` and `metadata` are those of a `.keras` file.

    Args:
        filepath: a path ending in `.keras` or `.weights.h5`.

    Raises FileNotFoundError if there is no such file, ValueError for another suffix and for a
    damaged file.

    >>> import keraslike, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.h5")
    ...     model.save_weights(path)
    ...     editor = KerasFileEditor(path)
    Keras weights file 'm.weights.h5'
    >>> editor.rename_object("dense", "last")
    >>> editor.summary()
    Weights structure
      layers
        last
          0: shape=(2, 1), dtype=float32
          1: shape=(1,), dtype=float32
    """

    def __init__(self, filepath: str | os.PathLike):
        path = self.filepath = saving_api._path(filepath)
        saving_api._check_exists(path)
        self.config = self.metadata = None
        data: Any = None
        if path.endswith(".keras"):
            self.config, self.metadata, data, _ = keras_archive.read_members(path)
        elif path.endswith(".weights.h5"):
            seal.check_seal(path)
        else:
            raise ValueError(
                "KerasFileEditor reads files whose name ends in `.keras` or `.weights.h5`. "
                f"Received: filepath={path!r}"
            )
        self.object_metadata: dict[str, dict[str, Any]] = {}  # By path: the name of a layer.
        with data or contextlib.nullcontext(), saving_api._h5(data or path, path) as file:
            self.weights_dict = self._read(file, h5_reader.Reader(file, path, data), "")
        say(f"Keras {'model' if data else 'weights'} file {os.path.basename(path)!r}")
        if isinstance(self.metadata, dict):
            version, date = (self.metadata.get(k) for k in ("keras_version", "date_saved"))
            say(f"Saved with Keras {version}, on {date}")

    def _read(self, group: Any, reader: h5_reader.Reader, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own = reader.own(path)
        if own:
            found.update({k: h5_reader.read(d) for k, d in own.items()})
            name = group["vars"].attrs.get("name")
            if isinstance(name, str):
                self.object_metadata[path] = {"name": name}
        for name in group:
            if name == "vars":
                continue
            child = reader.child(group, name)
            inner = self._read(child, reader, f"{path}/{name}" if path else name)
            if inner:
                found[name] = inner
        return found

    # -- looking ------------------------------------------------------------------------------

    def summary(self) -> None:
        """Prints the objects and weights in the file."""
        say("Weights structure")

        def show(inside: dict[str, Any], indent: str) -> None:
            for name, value in inside.items():
                if isinstance(value, dict):
                    say(f"{indent}{name}")
                    show(value, indent + "  ")
                else:
                    say(f"{indent}{name}: shape={np.shape(value)}, dtype={value.dtype}")

        show(self.weights_dict, "  ")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Prints the differences between the file and the weights of a model.

        Returns `{"status", "error_count", "match_count"}`: `"success"` or `"error"`, the number of
        objects and weights that do not fit, and that of the weights that do.
        """
        say("Running comparison")
        wanted: dict[str, Any] = {}
        for path, obj, own in weights_h5.contents(reference_model):
            place = _down(self.weights_dict, path)
            if isinstance(obj, SeedGenerator) and not isinstance(place, dict):
                continue  # Random streams, which Keras does not save.
            for name, value in own.items():
                inside = wanted
                for part in path.split("/") if path else ():
                    inside = inside.setdefault(part, {})
                inside[str(name)] = weights_h5.as_numpy(value)
        errors = list(_differences(self.weights_dict, wanted, ""))
        matches = _count(self.weights_dict, wanted)
        for error in errors:
            say(f"...{error}")
        if errors:
            say(f"Found {len(errors)} errors: the file does not fit the reference model")
        else:
            say(f"Comparison successful: {matches} weights of the file fit the reference model")
        status = "error" if errors else "success"
        return {"status": status, "error_count": len(errors), "match_count": matches}

    # -- changing -----------------------------------------------------------------------------

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Renames an object, such as a layer.

        Args:
            object_name: its name, or its path (`"layers/dense_2"`) if several objects have this
                name.
            new_name: a name without a path.
        """
        if "/" in new_name:
            raise ValueError(f"new_name must be a name, no path. Received: new_name={new_name!r}")
        inside, name = self._find(object_name)
        if new_name in inside and new_name != name:
            raise ValueError(f"There is an object '{new_name}' beside '{object_name}' already.")
        inside[new_name] = inside.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Removes an object, given by its name or path, from the file."""
        inside, name = self._find(object_name)
        del inside[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Adds or replaces an object at a path whose parents exist.

        Args:
            weights: arrays by their names, which are usually `"0"`, `"1"` and so on.
        """
        weights = _arrays(weights)
        parent, _, name = object_path.rpartition("/")
        inside = _down(self.weights_dict, parent)
        if not isinstance(inside, dict):
            raise ValueError(f"Path '{parent}' not found in model.")
        inside[name] = weights

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Removes a weight from an object."""
        inside, name = self._find(object_name)
        if weight_name not in inside[name]:
            raise ValueError(
                f"Weight {weight_name} not found in object {object_name}. "
                f"Weights found: {list(inside[name])}"
            )
        del inside[name][weight_name]

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Adds weights to an object, or replaces some: arrays by their names."""
        weights = _arrays(weights)
        inside, name = self._find(object_name)
        inside[name].update(weights)

    def _find(self, object_name: str) -> tuple[dict[str, Any], str]:
        """The dict that contains an object, and its name there."""
        if "/" in object_name:
            parent, _, name = object_name.rpartition("/")
            inside = _down(self.weights_dict, parent)
            if not isinstance(inside, dict) or not isinstance(inside.get(name), dict):
                raise ValueError(f"Path '{object_name}' not found in model.")
            return inside, name
        found = list(_holding(self.weights_dict, object_name))
        if len(found) > 1:
            raise ValueError(
                f"Name '{object_name}' occurs more than once in the model; pass a complete path."
            )
        if not found:
            raise ValueError(
                f"Source name '{object_name}' does not appear in the model. `editor.summary()` "
                "lists all objects."
            )
        return found[0], object_name

    # -- saving -------------------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike) -> None:
        """Saves the current contents to a `.weights.h5` file."""
        path = saving_api._path(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(
                "Invalid `filepath` argument: expected a `.weights.h5` extension. "
                f"Received: filepath={path!r}"
            )
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            self._write(file, "", self.weights_dict)
        saving_api.write_h5(path, buffer.getbuffer())

    def resave_weights(self, filepath: str | os.PathLike) -> None:
        """Another name of `save`."""
        self.save(filepath)

    def _write(self, file: Any, path: str, inside: dict[str, Any]) -> None:
        for name, value in inside.items():
            if isinstance(value, dict):
                self._write(file, f"{path}/{name}" if path else name, value)
                continue
            group = file.require_group(f"{path}/vars" if path else "vars")
            with contextlib.suppress(KeyError):
                group.attrs["name"] = self.object_metadata[path]["name"]
            weights_h5.write_array(group, name, value)


def _down(inside: Any, path: str) -> Any:
    """The value at a path; `None` if there is none."""
    for part in path.split("/") if path else ():
        inside = inside.get(part) if isinstance(inside, dict) else None
    return inside


def _holding(inside: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The dicts that contain an object with this name."""
    if isinstance(inside.get(name), dict):
        yield inside
    for value in inside.values():
        if isinstance(value, dict):
            yield from _holding(value, name)


def _arrays(weights: Any) -> dict[str, Any]:
    if not isinstance(weights, dict):
        raise ValueError(
            "weights must be a dict of arrays by their names, which are usually '0', '1', etc. "
            f"Received: weights={weights!r}"
        )
    return {str(name): np.asarray(value) for name, value in weights.items()}


def _differences(found: Any, wanted: Any, path: str) -> Iterator[str]:
    for name in dict.fromkeys([*wanted, *found]):
        where = f"{path}/{name}" if path else name
        kind = "Object" if isinstance(wanted.get(name, found.get(name)), dict) else "Weight"
        if name not in found or name not in wanted:
            has, lacks = ("reference model", "saved file")[:: 1 if name in wanted else -1]
            yield f"{kind} {where} present in {has}, missing from {lacks}"
            continue
        a, b = found[name], wanted[name]
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, where)
        elif isinstance(a, dict) or isinstance(b, dict):
            yield f"{where} is an object in one of them, and a weight in the other"
        elif np.shape(a) != np.shape(b):
            yield (
                f"Weight shape mismatch for {where}: {np.shape(b)} in reference model, "
                f"{np.shape(a)} in saved file"
            )


def _count(found: Any, wanted: Any) -> int:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return sum(_count(found[name], wanted[name]) for name in found if name in wanted)
    return int(not isinstance(found, dict) and np.shape(found) == np.shape(wanted))
