"""Weights in several files, and a `.weights.json` that maps groups to files.

The format is Keras's: `model.weights.json` beside `model_00000.weights.h5`,
`model_00001.weights.h5` and so on, each an HDF5 file with some of the arrays, in the layout of
`weights_h5`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keraslike.core import base, lowering
from keraslike.core.errors import DamagedFile, NoSuchFile
from keraslike.saving import h5_reader, h5_writer, keras_archive, seal, weights_h5

ENDING = ".weights.json"


def write(root: Any, path: str, max_bytes: float, skip: Iterable[Any] = ()) -> None:
    """Writes the arrays of an object and of all objects below it, with at most `limit` bytes in
    each file.

    Older files are replaced once all new ones are on disk, the one at `path` last. Objects in
    `skip`, and objects that are only reachable through them, are left out.

    Raises ValueError for an array that is larger.
    """
    folder, name = os.path.split(path)
    total, checksums = 0, {}
    weight_map: dict[str, Any] = {}
    state = base.variables_of(root, getattr(root, "optimizer", None))
    with contextlib.ExitStack() as files:
        index = files.enter_context(keras_archive.replacing(path))  # Entered first, replaced last.
        with lowering.undisturbed(state):
            shards = _shards(root, max_bytes, skip)
            for number, (data, groups, size) in enumerate(shards):
                shard = f"{name.removesuffix(ENDING)}_{number:05}.weights.h5"
                file = files.enter_context(keras_archive.replacing(os.path.join(folder, shard)))
                checksums[shard] = seal.write(file, data).hex()
                total += size
                for group in groups:
                    known = weight_map.get(group)
                    several = [*known, shard] if isinstance(known, list) else [known, shard]
                    weight_map[group] = shard if known is None else several
        metadata = {"total_size": total, "checksums": checksums}
        text = json.dumps({"metadata": metadata, "weight_map": weight_map}, indent=4)
        index.write(text.encode())


def _shards(
    root: Any, max_bytes: float, skip: Iterable[Any]
) -> Iterator[tuple[h5_writer.Image, list[str], int]]:
    """Each file, its groups, and the size of its arrays."""
    with contextlib.ExitStack() as stack:
        image, file = stack.enter_context(h5_writer.filled())
        size, groups = 0, []
        for path, obj, own in weights_h5.contents(root, skip):
            for key, value in own.items():
                nbytes = weights_h5.as_numpy(value).nbytes
                if nbytes > max_bytes:
                    raise ValueError(
                        f"The weight '{key}' of '{path}' has {nbytes:,} bytes, which exceeds the "
                        f"maximum shard size, {max_bytes:,.0f}: increase `max_shard_size`."
                    )
                if size + nbytes > max_bytes:
                    stack.close()
                    yield image, groups, size
                    image, file = stack.enter_context(h5_writer.filled())
                    size, groups = 0, []
                group = weights_h5.group_of(file, path, obj)
                if group.name not in groups:
                    groups.append(group.name)
                weights_h5.write_array(group, str(key), value)
                size += nbytes
    yield image, groups, size


class Reader:
    """The arrays of all files, with the interface that `weights_h5.load` reads from."""

    def __init__(self, label: str, readers: list[h5_reader.Reader]):
        self.label, self._readers = label, readers

    def own(self, path: str) -> dict[str, Any]:
        """The datasets of an object by name."""
        return {k: v for reader in self._readers for k, v in reader.own(path).items()}

    def fetch(self, datasets: list[Any]) -> None:
        """Called with the datasets that are read next."""

    def unused(self, places: set[str]) -> list[str]:
        """The groups with arrays that are not among `places`."""
        return list({path: None for reader in self._readers for path in reader.unused(places)})


@contextlib.contextmanager
def opened(path: str, open_h5: Callable[[str], Any]) -> Iterator[Reader]:
    """A `Reader` of the files that a `.weights.json` names, which are in the same folder.

    Args:
        open_h5: gives a context with the open HDF5 file at a path.

    Raises FileNotFoundError if one of them is missing, ValueError for what is damaged, or where
    they were not written together.
    """
    with open(path, "rb") as file:
        index = keras_archive.parse_json(path, file.read(), os.path.basename(path))
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise DamagedFile(f"'{path}' is damaged: it has no 'weight_map'.")
    names: dict[str, None] = {}
    for found in weight_map.values():
        names.update(dict.fromkeys(found if isinstance(found, list) else [found]))
    metadata = index.get("metadata")
    checksums = metadata.get("checksums") if isinstance(metadata, dict) else None
    with contextlib.ExitStack() as files:
        readers = []
        for name in names:
            if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".."):
                raise DamagedFile(f"'{path}' is not safe to load: it names a file {name!r}.")
            shard = os.path.join(os.path.dirname(path), name)
            if not os.path.exists(shard):
                raise NoSuchFile(f"'{path}' names a file that is not beside it: '{name}'.")
            seal.check_seal(shard)
            if isinstance(checksums, dict) and checksums.get(name) != seal.of_file(shard).hex():
                raise DamagedFile(f"'{shard}' was not written together with '{path}'.")
            file = files.enter_context(open_h5(shard))
            readers.append(h5_reader.Reader(file, shard))
        yield Reader(path, readers)


def as_size(max_shard_size: Any) -> float:
    """Converts GB to bytes; raises ValueError unless the number is positive."""
    valid = isinstance(max_shard_size, (int, float, np.number))
    if not valid or isinstance(max_shard_size, bool) or not max_shard_size > 0:
        raise ValueError(
            "max_shard_size must be a positive number, of GB. "
            f"Received: max_shard_size={max_shard_size!r}"
        )
    return float(max_shard_size) * 2**30
