"""Checkpoints of training, written and read by orbax.

A directory contains one folder for each checkpoint, named by its number, as orbax's
CheckpointManager creates them; one that a crash left incomplete is ignored. Each has three items:

- `state`, a tree of arrays that any program with orbax can read: `model`, nested as the groups of
  a weights file are (see `weights_h5`); `metrics`, the state of metrics and losses; `arrays`,
  those that `training` refers to; `updates`.
- `model`, JSON: the architecture and the arguments of `compile`, as in a `.keras` file.
- `training`, JSON: epoch, step, random streams, history and the position in the data; the names of
  the files that `save_assets` wrote, whose bytes are in `arrays`.

JSON and arrays have checksums of their own, since orbax verifies only small arrays.

Directories are untrusted: only arrays of the shapes that the model has are read, and nothing that
is named there is imported. orbax itself is imported on first use.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import shutil
import time
import weakref
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.core import base, json_texts, lowering, processes, rng
from keraslike.core.errors import DamagedCheckpoint, NoCheckpoint, naming_file
from keraslike.core.text import Text, is_text
from keraslike.core.variable import spec_of
from keraslike.optimizers import Optimizer
from keraslike.saving import assets, keras_archive, weights_h5
from keraslike.saving.orbax_arrays import Array, Weights, checksum, group_of

_STATE, _MODEL, _TRAINING = "state", "model", "training"
_FORMAT = 1
# The suffix with which orbax marks the folder of a save in progress.
_UNFINISHED = ".orbax-checkpoint-tmp"

# The open writer of each directory, so that no other call reads or writes during a save.
_writers: weakref.WeakValueDictionary[str, Checkpoints] = weakref.WeakValueDictionary()


# -- writing ----------------------------------------------------------------------------------


def open_checkpoints(directory: str, max_to_keep: int | None, background: bool) -> Checkpoints:
    """The checkpoints in a directory, for writing.

    Args:
        directory: a path, created with the first checkpoint.
        max_to_keep: the number of newest checkpoints to keep; `None` keeps all.
        background: whether to write arrays in the background.
    """
    return Checkpoints(directory, max_to_keep, background)


class Checkpoints:
    """The object that `open_checkpoints` returns."""

    def __init__(self, directory: str, max_to_keep: int | None, background: bool):
        self.directory = os.path.abspath(directory)
        self.max_to_keep, self.background = max_to_keep, background
        self._opened: Any = None

    def _manager(self) -> Any:
        if self._opened is None:
            settle(self.directory)
            _clear_unfinished(self.directory)
            _writers[self.directory] = self
            import orbax.checkpoint as ocp

            keep = None
            if self.max_to_keep is not None:
                keep = ocp.checkpoint_managers.LatestN(self.max_to_keep)
            options = ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                enable_async_checkpointing=self.background,
                cleanup_tmp_directories=True,
            )
            # Uncompressed: weights hardly compress, and a compressed chunk could expand to any
            # size.
            plain = ocp.PyTreeCheckpointHandler(use_compression=False)
            handlers = ocp.handlers.DefaultCheckpointHandlerRegistry()
            handlers.add(_STATE, ocp.args.PyTreeSave, plain)
            for item in (_MODEL, _TRAINING):
                handlers.add(item, ocp.args.JsonSave, ocp.JsonCheckpointHandler())
            self._opened = ocp.CheckpointManager(
                self.directory, options=options, handler_registry=handlers
            )
        return self._opened

    def save(
        self,
        number: int,
        model: Any,
        position: dict[str, Any],
        config: bool = True,
        weights_only: bool = False,
    ) -> str:
        """Writes a checkpoint and returns its path.

        Args:
            number: its number, or the next free one if the directory contains a number as high.
            model: a built model.
            position: plain values and arrays that describe the position of the training.
            config: whether to write the architecture too.
            weights_only: whether to leave out the optimizer and the metrics.
        """
        manager = self._manager()
        import orbax.checkpoint as ocp

        latest = manager.latest_step()
        number = number if latest is None else max(number, latest + 1)
        tree, empty = _tree(model, weights_only)
        arrays: dict[str, Any] = {}
        plain = _take_arrays(position, arrays)
        files = {} if weights_only else assets.collect(model)
        kept = {name: np.frombuffer(data, "uint8") for name, data in files.items() if data}
        tree["arrays"], tree["updates"] = arrays, np.asarray(position["updates"])
        training = {
            "format": _FORMAT,
            "keraslike_version": keras_archive.version(),
            "empty": empty,
            "checksums": _checksums(tree),
            "position": plain,
            "assets": {**dict.fromkeys(files), **_take_arrays(kept, arrays)},
        }
        items = {_STATE: ocp.args.PyTreeSave(tree), _TRAINING: _json_item(training)}
        if config:
            items[_MODEL] = _json_item(keras_archive.config_of(model))
        with naming_file(self.directory):
            manager.save(number, args=ocp.args.Composite(**items), force=True)
        return os.path.join(self.directory, str(number))

    def resume(self, model: Any) -> dict[str, Any] | None:
        """Restores the state of the newest checkpoint and returns its position.

        If the newest is damaged an older one is used; without any the result is `None`. Raises
        ValueError, without changes, if the state does not fit the model.
        """
        settle(self.directory)
        damage: DamagedCheckpoint | None = None
        for number in reversed(self._finished()):
            position, found = None, None
            try:
                checkpoint = Checkpoint(os.path.join(self.directory, str(number)))
                position = checkpoint.position()
                checkpoint.load(model, exactly=True)
            except DamagedCheckpoint as e:
                damage, found = damage or e, e
            # If one process cannot read it, none resumes from it.
            if not processes.any_of("damage", found is not None):
                return position
            damage = damage or DamagedCheckpoint(
                f"The checkpoint {number} in '{self.directory}' is damaged for another process."
            )
        if damage is not None:
            raise damage
        return None

    def _finished(self) -> list[int]:
        """The steps of the finished checkpoints, as the first process finds them: other processes
        might look at another time."""
        what = f"checkpoints in '{self.directory}'"
        return processes.of_first(what, lambda: finished(self.directory))

    def wait_until_finished(self) -> None:
        """Waits until everything is on disk; raises errors that occurred during writing."""
        if self._opened is not None:
            with naming_file(self.directory):
                self._opened.wait_until_finished()

    def close(self) -> None:
        """Finishes the save in progress; the next save opens the directory again."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            try:
                with naming_file(self.directory):
                    opened.wait_until_finished()
            finally:
                opened.close()

    def delete(self) -> None:
        """Deletes all checkpoints, and the directory if it contains nothing else."""
        manager = self._manager()
        for number in self._finished():  # orbax synchronizes all processes for each
            manager.delete(number)
        self.close()
        with contextlib.suppress(OSError):
            os.rmdir(self.directory)


def settle(directory: str) -> None:
    """Waits for this process's saves in progress in a directory."""
    writer = _writers.get(os.path.abspath(directory))
    if writer is not None:
        writer.close()


def _clear_unfinished(directory: str) -> None:
    """Removes the remains of failed saves.

    orbax does so too, but fails if a file vanishes meanwhile: a thread may still be writing for a
    save that has just failed.
    """
    if jax.process_index() or not os.path.isdir(directory):
        return
    for name in os.listdir(directory):
        if not name.endswith(_UNFINISHED):
            continue
        path = os.path.join(directory, name)
        for _ in range(50):
            shutil.rmtree(path, ignore_errors=True)
            if not os.path.lexists(path):
                break
            time.sleep(0.02)


def _tree(model: Any, weights_only: bool) -> tuple[dict[str, Any], list[Any]]:
    """The arrays of a model in nested dicts; and those without elements, which orbax does not
    write."""
    tree: dict[str, Any] = {"model": {}}
    empty: list[Any] = []
    with lowering.undisturbed(base.variables_of(model, getattr(model, "optimizer", None))):
        for path, obj, own in weights_h5.contents(model):
            if weights_only and isinstance(obj, Optimizer):
                continue
            for key, value in own.items():
                array = _array(value)
                if array.size == 0:
                    empty.append([path, str(key), list(array.shape), array.dtype.name])
                    continue
                group = tree["model"]
                for part in group_of(path):
                    group = group.setdefault(part, {})
                group[str(key)] = array
        if not weights_only:
            tree["metrics"] = {str(i): _array(v) for i, v in enumerate(_gathered(model))}
    return tree, empty


def _gathered(model: Any) -> list[nnx.Variable]:
    """The Variables that a step may change, besides those in a weights file."""
    elsewhere = [v for _, _, own in weights_h5.contents(model) for v in own.values()]
    known = {id(v) for v in [*elsewhere, rng.global_stream().state]}
    roots = [*model._state_roots(), model.optimizer] if model.compiled else []
    return [v for v in base.variables_of(*roots) if id(v) not in known and spec_of(v).size]


def _array(value: Any) -> Any:
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    if isinstance(value, jax.Array):
        return jax.random.key_data(value) if weights_h5.is_key(value) else value
    return np.asarray(value)


def _kind(array: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(array.shape), np.dtype(array.dtype)


def _checksums(tree: dict[str, Any]) -> dict[str, int]:
    """The CRC-32 of every array by path, except for arrays that are distributed over hosts."""
    paths = jax.tree_util.tree_leaves_with_path(tree)
    here = {
        "/".join(key.key for key in path): array
        for path, array in paths
        if getattr(array, "is_fully_addressable", True)
    }
    with ThreadPoolExecutor() as pool:
        return dict(zip(here, pool.map(checksum, jax.device_get(list(here.values())))))


def _json_item(value: Any) -> Any:
    import orbax.checkpoint as ocp

    return ocp.args.JsonSave({"checksum": _json_checksum(value), "value": value})


def _json_checksum(value: Any) -> int:
    return zlib.crc32(json.dumps(value).encode())


def _take_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """A copy of plain values with numbers in place of arrays, which are appended to `arrays`."""
    if isinstance(value, dict):
        return {k: _take_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_arrays(v, arrays) for v in value]
    if isinstance(value, jax.ShapeDtypeStruct):
        return {"shape": list(value.shape), "dtype": value.dtype.name}
    if is_text(value):
        return {"shape": list(value.shape), "dtype": "string"}
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (np.ndarray, jax.Array)):
        return value
    arrays[str(len(arrays))] = np.array(value)
    return {"__array__": len(arrays) - 1}


# -- reading ----------------------------------------------------------------------------------


def finished(directory: str) -> list[int]:
    """The numbers of the finished checkpoints in a directory, the newest last."""
    import orbax.checkpoint as ocp

    found = ocp.path.step.standard_name_format().find_all(directory)
    return sorted(metadata.step for metadata in found)


def find(directory: str) -> Checkpoint:
    """The newest checkpoint in a directory, or the checkpoint whose own folder is given.

    Raises an error that is both a FileNotFoundError and a ValueError where there is none.
    """
    import orbax.checkpoint as ocp

    directory = os.path.abspath(directory)
    for entry in os.scandir(directory):
        _check_entry(entry)
    if os.path.exists(os.path.join(directory, "_CHECKPOINT_METADATA")):
        if not ocp.path.step.is_path_finalized(directory):
            raise NoCheckpoint(f"'{directory}' is a checkpoint that was never finished.")
        return Checkpoint(directory)
    settle(directory)
    numbers = finished(directory)
    if not numbers:
        held = ", ".join(sorted(os.listdir(directory))[:10]) or "nothing"
        raise NoCheckpoint(
            f"'{directory}' is a folder without a finished checkpoint. It holds: {held}."
        )
    return Checkpoint(os.path.join(directory, str(numbers[-1])))


def _check_entry(entry: os.DirEntry) -> None:
    """Rejects links, which may lead anywhere, and special files, which may never end."""
    if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
        kind = "a link" if entry.is_symlink() else "no file"
        raise DamagedCheckpoint(f"Not safe to load: '{entry.path}' is {kind}.")


def _check_folder(directory: str) -> None:
    """Rejects unexpected entries anywhere in a checkpoint, and JSON files of unreasonable size."""
    for entry in os.scandir(directory):
        _check_entry(entry)
        if entry.is_dir():
            _check_folder(entry.path)
        elif os.path.basename(directory) != "d" and entry.name != "manifest.ocdbt":
            json_texts.check_json(_text(entry.path))


def _text(path: str) -> bytes:
    """The content of one of orbax's text files, truncated to a maximum length."""
    with open(path, "rb") as file:
        return file.read(json_texts.MOST_JSON[0] + 1)


class Checkpoint:
    """A finished checkpoint, for reading.

    Raises DamagedCheckpoint, a ValueError, for a folder that keraslike did not write.
    """

    def __init__(self, directory: str):
        self.directory = directory
        with self._reading():
            _check_folder(directory)
        self._training = self._json(_TRAINING)
        if not isinstance(self._training, dict) or self._training.get("format") != _FORMAT:
            raise DamagedCheckpoint(f"'{directory}' was written by a newer version of keraslike.")

    @property
    def checksums(self) -> dict[str, int]:
        """The CRC-32 of each array by its path."""
        return self._training["checksums"]

    def config(self) -> dict[str, Any]:
        """The architecture, as in a `.keras` file; ValueError if only weights were saved."""
        if not os.path.isdir(os.path.join(self.directory, _MODEL)):
            raise ValueError(
                f"'{self.directory}' holds weights without the model's architecture: make the "
                "model, then model.load_weights() this directory."
            )
        return keras_archive.checked_config(self.directory, self._json(_MODEL))

    def position(self) -> dict[str, Any]:
        """The position of the training: the argument of `Checkpoints.save`."""
        with self._reading():
            return _put_arrays(self._training["position"], self._tree.get("arrays", {}))

    def files(self) -> assets.Assets:
        """The files that `save_assets` wrote."""
        with self._reading():
            stored = _put_arrays(self._training.get("assets", {}), self._tree.get("arrays", {}))
            return {
                k: b"" if v is None else np.asarray(v, "uint8").tobytes() for k, v in stored.items()
            }

    def weights(self) -> Weights:
        """The weights, in the form that `weights_h5.load` reads."""
        with self._reading():
            groups = self._tree.get("model", {})
            for path, key, shape, dtype in self._training["empty"]:
                if math.prod(shape):
                    raise ValueError(f"'{path}' should have no elements")
                group = groups
                for part in group_of(path):
                    group = group.setdefault(part, {})
                group[key] = Array(self, (), tuple(shape), dtype)
            return Weights(self, groups)

    def load(self, model: Any, exactly: bool = False) -> None:
        """Restores a model's weights, random streams, optimizer state and metrics.

        Args:
            exactly: whether to raise ValueError if the optimizer or the metrics do not fit, instead
                of leaving them unchanged.
        """
        weights = self.weights()
        with self._reading():
            arrays = list(self._tree.get("metrics", {}).items())
            arrays = [array for _, array in sorted(arrays, key=lambda item: int(item[0]))]
            example = _example(self._training["position"].get("example"))
        if example is not None and not exactly and model.compiled:
            # Creates the metrics, and the weights that call() creates.
            model._prepare_program(example, "train")
        variables = _gathered(model)
        fits = [_kind(a) for a in arrays] == [_kind(_array(v)) for v in variables]
        if exactly:
            places = {id(obj): path for path, obj in weights_h5.walk(model)}
            states = weights.own(places[id(model.optimizer)])
            if not fits or len(states) != len(model.optimizer.variables):
                raise ValueError(
                    f"'{self.directory}' does not fit {model!r}, which was left as it was: it was "
                    "compiled with another optimizer, loss or metrics."
                )
        if fits:
            self.fetch(arrays)
        with assets.unpacked(model, self.files()) as calls:
            weights_h5.load(model, weights, calls=calls)
        for variable, array in zip(variables, arrays if fits else []):
            weights_h5.assign(variable, array[()])

    def fetch(self, arrays: list[Array]) -> None:
        """Reads arrays together."""
        arrays = [a for a in arrays if a.value is None]
        if not arrays:
            return
        for array in arrays:
            array.check()
        import orbax.checkpoint as ocp

        item: dict[str, Any] = {}
        for array in arrays:
            group = item
            for part in array.path[:-1]:
                group = group.setdefault(part, {})
            group[array.path[-1]] = array
        how = jax.tree.map(_restored, item, is_leaf=lambda leaf: isinstance(leaf, Array))
        item = jax.tree.map(lambda _: 0, item, is_leaf=lambda leaf: isinstance(leaf, Array))
        args = ocp.args.PyTreeRestore(item=item, restore_args=how, partial_restore=True)
        with self._reading():
            read = ocp.PyTreeCheckpointHandler().restore(self._item(_STATE), args=args)
            for array in arrays:
                value = read
                for part in array.path:
                    value = value[part]
                array.accept(value if array.sharding else np.asarray(value))

    def _item(self, name: str) -> Any:
        from etils import epath

        return epath.Path(self.directory) / name

    def _json(self, name: str) -> Any:
        if not os.path.isdir(os.path.join(self.directory, name)):
            held = ", ".join(sorted(os.listdir(self.directory))[:10]) or "nothing"
            raise DamagedCheckpoint(
                f"'{self.directory}' is no checkpoint of keraslike's: it has no '{name}'. "
                f"It holds: {held}."
            )
        with self._reading():
            item: Any = json_texts.parse_json(_text(os.path.join(self.directory, name, "metadata")))
            if item["checksum"] != _json_checksum(item["value"]):
                raise ValueError(f"'{name}' is not what was written")
            return item["value"]

    @functools.cached_property
    def _tree(self) -> dict[str, Any]:
        """The shapes and dtypes of the stored arrays, in nested dicts."""
        import orbax.checkpoint as ocp
        import tensorstore

        # Detects a damaged index immediately, where orbax would leave many calls hanging.
        folder = os.path.join(self.directory, _STATE, "")
        base = {"driver": "file", "path": folder}
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
        said = json_texts.parse_json(_text(f"{folder}_METADATA"))
        paths = [
            ".".join(str(key["key"]) for key in item["key_metadata"])
            for item in said["tree_metadata"].values()
            if not item["value_metadata"].get("skip_deserialize")
        ]
        if said.get("use_zarr3"):
            raise ValueError("its arrays are in a form that keraslike does not write")
        for read in [store.read(f"{path}/.zarray") for path in paths]:
            array = json_texts.parse_json(read.result().value)
            if array["compressor"] is not None or array["filters"] is not None:
                raise ValueError("an array in it is compressed, and may unpack to any size")
        metadata = ocp.PyTreeCheckpointHandler().metadata(self._item(_STATE))

        def arrays(value: Any, path: tuple[str, ...]) -> Any:
            if isinstance(value, dict):
                return {str(k): arrays(v, (*path, str(k))) for k, v in value.items()}
            storage = getattr(value, "storage", None)
            chunk = getattr(storage, "chunk_shape", None) or ()
            return Array(self, path, tuple(value.shape), value.dtype, tuple(chunk))

        return arrays(getattr(metadata, "tree", metadata), ())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except DamagedCheckpoint:
            raise
        except (Exception, RecursionError) as e:  # orbax, tensorstore and json raise various types.
            raise DamagedCheckpoint(
                f"The checkpoint '{self.directory}' is damaged or incomplete: {e}"
            ) from e


def _restored(array: Array) -> Any:
    """How orbax restores an array: complete, or only the shards on this process's devices."""
    import orbax.checkpoint as ocp

    if array.sharding is None:
        return ocp.RestoreArgs(restore_type=np.ndarray)
    return ocp.ArrayRestoreArgs(sharding=array.sharding, global_shape=array.shape)


def _put_arrays(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__array__"}:
            return arrays[str(value["__array__"])][()]
        return {k: _put_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, list):
        return [_put_arrays(v, arrays) for v in value]
    return value


def _example(value: Any) -> Any:
    """The shapes and dtypes of a batch, from their plain form."""
    if isinstance(value, dict):
        if set(value) == {"shape", "dtype"} and isinstance(value["dtype"], str):
            if value["dtype"] == "string":
                return Text(None, tuple(value["shape"]))
            return jax.ShapeDtypeStruct(tuple(value["shape"]), np.dtype(value["dtype"]))
        return {k: _example(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_example(v) for v in value]
    return value
