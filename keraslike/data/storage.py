"""Methods of data sets that store elements in memory and in files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.core.iteration import Enduring, Failed, tried
from keraslike.data import records
from keraslike.data.elements import ArraySpec, arguments
from keraslike.data.fingerprints import fingerprint
from keraslike.data.pipeline import Fetched, Pipeline, enduring

_INFO = "dataset.json"
# Specs of the values in `records.STRUCTURES`: the class, a function that returns its arguments as
# plain values, and one that makes a spec of these.
SPECS: dict[str, tuple[type, Any, Any]] = {}


class Storage(Pipeline):
    """Methods that store elements."""

    def cache(self, filename: Any = "", name: str | None = None) -> Any:
        """The same elements, which are stored during the first complete iteration.

        Args:
            filename: the file to store them in, which later programs read too; by default they are
                kept in memory.
        """
        path = records_path(filename)
        kept: list[list[Any]] = []

        def remembered() -> Iterator[Any]:
            elements = []
            for element in tried(self._start(0)):
                if type(element) is not Failed:  # as in TensorFlow, errors are not kept
                    elements.append(element)
                if len(elements) == self._count:  # the reader may not ask for one more
                    kept[:] = [elements]
                yield element
            kept[:] = [elements]

        def start(first: int) -> Iterator[Any]:
            if not path:
                return iter(kept[0][first:]) if kept else enduring(remembered)(first)
            if os.path.exists(path):
                return self._like_ours(records.read_back(path, first=first))
            return enduring(lambda: records.kept(tried(self._start(0)), path, self._count))(first)

        def fetched() -> Fetched | None:
            found = None if path else self._fetched()
            # Computed elements and random orders must be cached, so only plain rows bypass it.
            if found is None or found.arrays is None:
                return None
            return found if all(each._seeds is None for each in self._all()) else None

        made = self._then(start, fetched=fetched)
        made.inputs_at_once = 0
        return made

    def _like_ours(self, elements: Iterator[Any]) -> Iterator[Any]:
        """Elements read from a file, converted to this data set's named tuples."""
        return (_retyped(element, self._known_spec) for element in elements)

    def snapshot(
        self,
        path: Any,
        compression: str | None = "AUTO",
        reader_func: Callable | None = None,
        shard_func: Callable | None = None,
        name: str | None = None,
    ) -> Any:
        """The same elements, which the first complete iteration writes to a directory; later
        iterations and programs read them from there. Data sets that were constructed in different
        ways keep their elements apart. For the arguments see `save` and `load`."""
        folder = os.path.join(records_path(path), str(fingerprint(self, seeds=False)))

        def start(first: int) -> Iterator[Any]:
            if os.path.exists(os.path.join(folder, _INFO)):
                return self.load(folder, compression=compression, reader_func=reader_func)._start(
                    first
                )
            return enduring(lambda: self._saved(folder, compression, shard_func))(first)

        return self._then(start)

    def save(
        self,
        path: Any,
        compression: str | None = None,
        shard_func: Callable | None = None,
        checkpoint_args: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Writes all elements, which must be arrays and texts, to a directory, for `load`.

        Args:
            compression: `"GZIP"`, `"ZLIB"` or `None`.
            shard_func: gives the number of the file that an element is written to.
        """
        for _ in Enduring(self._saved(records_path(path), compression, shard_func)):
            pass

    def _saved(
        self, folder: str, compression: str | None, shard_func: Callable | None
    ) -> Iterator[Any]:
        kind = records.compression(compression)
        above = os.path.dirname(os.path.abspath(folder))
        os.makedirs(above, exist_ok=True)
        shard_of = None if shard_func is None else self._view.function(shard_func)
        temporary = tempfile.mkdtemp(dir=above, prefix=os.path.basename(folder) + ".part")
        writers: dict[int, records.RecordWriter] = {}
        try:
            counts: dict[str, int] = {}  # The elements in each file.
            failed = False
            for element in tried(self._start(0)):
                if type(element) is Failed:
                    failed = True
                    yield element
                    continue
                shard = 0 if shard_of is None else int(shard_of(*arguments(element)))
                name = f"{shard:08d}.records"
                if shard not in writers:
                    writers[shard] = records.RecordWriter(os.path.join(temporary, name), kind)
                writers[shard].write(records.packed(element))
                counts[name] = counts.get(name, 0) + 1
                yield element
            if failed:
                return
            for writer in writers.values():
                writer.close()
            try:
                spec = _plain(self._spec())
            except ValueError:  # there are no elements
                spec = None
            info = {"compression": kind, "counts": counts, "spec": spec}
            with open(os.path.join(temporary, _INFO), "w") as file:
                json.dump(info, file)
            if os.path.isdir(folder) and os.path.exists(os.path.join(folder, _INFO)):
                shutil.rmtree(folder)
            os.replace(temporary, folder)
        finally:
            for writer in writers.values():
                writer.close()
            shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def load(
        cls,
        path: Any,
        element_spec: Any = None,
        compression: str | None = None,
        reader_func: Callable | None = None,
        wait: bool = False,
        name: str | None = None,
    ) -> Any:
        """The elements that `save` wrote to a directory.

        Args:
            element_spec, compression, wait: accepted for TensorFlow's sake; the directory has them.
            reader_func: combines a data set of data sets, one for each file, into one.

        Raises NoSuchFile if the directory has no saved data set; iteration raises DataLossError for
        a damaged file.
        """
        folder = records_path(path)
        file = os.path.join(folder, _INFO)
        try:
            with open(file, "rb") as opened:
                info = json.load(opened)
            counts, kind, known = info["counts"], info["compression"], _typed(info["spec"])
        except FileNotFoundError:
            raise cls._own_view().missing(f"There is no saved data set in {folder}.") from None
        except (ValueError, LookupError, TypeError) as error:
            raise records.DataLossError(f"{file} is damaged: {error!r}") from None

        def of_file(name: str, count: int) -> Any:
            def start(first: int) -> Iterator[Any]:
                path, found = os.path.join(folder, name), first
                for element in records.read_back(path, kind, first):
                    found += 1
                    yield element
                if found < count:
                    raise records.DataLossError(f"{path} ends after {found} of {count} elements.")

            return cls._make(start, count, (), lambda: known)

        files = [of_file(*pair) for pair in sorted(counts.items())]
        if not files:
            return cls._make(lambda first: iter(()), 0, (), lambda: known)
        if reader_func is None and len(files) == 1:
            return files[0]
        of_files = cls._make(lambda first: iter(files[first:]), len(files))
        if reader_func is None:
            made = of_files.interleave(lambda dataset: dataset, cycle_length=len(files))
            return made._then(made._start, sum(counts.values()))
        return reader_func(of_files)


def records_path(path: Any) -> str:
    path = getattr(path, "numpy", lambda: path)()
    return os.fsdecode(path)


def _retyped(element: Any, spec: Any) -> Any:
    if isinstance(spec, dict) and isinstance(element, dict):
        return {k: _retyped(v, spec.get(k)) for k, v in element.items()}
    if isinstance(spec, tuple) and isinstance(element, tuple):
        parts = [_retyped(*pair) for pair in zip(element, spec)]
        return type(spec)(*parts) if hasattr(spec, "_fields") else tuple(parts)
    return element


def _plain(spec: Any) -> Any:
    if spec is None:
        return None
    if isinstance(spec, dict):
        return {"dict": [[k, _plain(v)] for k, v in spec.items()]}
    if isinstance(spec, tuple):
        return {"tuple": [_plain(v) for v in spec]}
    for name, (kind, parts_of, _) in SPECS.items():
        if isinstance(spec, kind):
            return {"of": name, "parts": parts_of(spec)}
    return [None if spec.shape is None else list(spec.shape), spec.dtype]


def _typed(spec: Any) -> Any:
    if spec is None:
        return None
    if isinstance(spec, dict):
        if "of" in spec:
            return SPECS[spec["of"]][2](*spec["parts"])
        if "dict" in spec:
            return {k: _typed(v) for k, v in spec["dict"]}
        return tuple(_typed(v) for v in spec["tuple"])
    return ArraySpec(None if spec[0] is None else tuple(spec[0]), spec[1])
