"""Data sets of arrays, numbers, generators and file names."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keraslike.core import host
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data import philox
from keraslike.data.composed import apart, is_composed
from keraslike.data.elements import (
    INFINITE,
    UNKNOWN,
    ArraySpec,
    Datasets,
    View,
    as_int,
    length,
    row,
    texts,
)
from keraslike.data.pipeline import Fetched, Pipeline, Start, passing


class Sources(Pipeline):
    """Methods that make data sets without inputs."""

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Any:
        """The rows of an array, or of the arrays of equal length in a tuple or dict."""
        view = cls._own_view()
        arrays = _converted(tensors, view)
        count = length(arrays)

        def start(first: int) -> Iterator[Any]:
            return (row(arrays, i, by) for i in range(first, count))

        def many(keys: list[int]) -> Any:
            places = np.asarray(keys)
            return map_leaves(lambda array: _gathered(array, places), arrays)

        plain = not any(
            isinstance(leaf, Datasets) or not isinstance(leaf, np.ndarray)
            for leaf in iter_leaves(arrays)
        )
        by = None if plain else view
        keys: Start = lambda first: iter(range(first, count))  # noqa: E731
        found = Fetched(keys, many, arrays) if plain else None
        return cls._make(
            start, count, (), lambda: _row_specs(arrays, view), fetched=lambda: found, view=view
        )

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Any:
        """A data set of one element."""
        view = cls._own_view()
        element = _converted(tensors, view)
        return cls._make(
            passing(lambda: iter([element])), 1, (), lambda: map_leaves(view.spec, element)
        )

    @classmethod
    def range(cls, *args: Any, output_type: Any = np.int64, name: str | None = None) -> Any:
        """The numbers of Python's `range`, by default int64.

        >>> from keraslike.data import Dataset
        >>> [int(n) for n in Dataset.range(5, 0, -2)]
        [5, 3, 1]
        """
        limits: Any = [as_int(a) for a in args]
        if limits[2:] == [0]:
            raise cls._own_view().error(f"The step of a range must not be 0. Received: {args}")
        numbers = range(*limits)
        dtype = np.dtype(getattr(output_type, "as_numpy_dtype", output_type))

        def keys(first: int) -> Iterator[int]:
            return iter(numbers[first:])

        found = Fetched(keys, lambda chosen: np.asarray(chosen, dtype))
        return cls._make(
            lambda first: map(dtype.type, keys(first)),
            len(numbers),
            (),
            lambda: ArraySpec((), dtype.name),
            fetched=lambda: found,
        )

    @classmethod
    def from_generator(
        cls,
        generator: Callable,
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Any:
        """The elements of the iterator that `generator` returns, called once for each iteration.

        Args:
            generator: a function that returns an iterator.
            output_types, output_shapes: the dtypes and shapes of the arrays in an element, or
            output_signature: their specs, such as `tf.TensorSpec`. If neither is given, the first
                elements determine the specs.
            args: the arguments of the function.

        Iteration raises TypeError for elements of other dtypes or shapes; that of `tf.data` raises
        InvalidArgumentError, UnknownError and others for what the generator raises.
        """
        if not callable(generator):
            raise TypeError(f"generator must be callable. Received: generator={generator!r}")
        view = cls._own_view()
        if output_signature is not None and (output_types, output_shapes) != (None, None):
            raise TypeError(
                "output_types and output_shapes cannot be given together with output_signature."
            )
        if output_signature is None and output_types is None and view is View.of_tensors:
            raise TypeError("output_signature or output_types must be given.")
        if output_signature is not None:
            specs = map_leaves(_as_spec, output_signature, lambda part: isinstance(part, list))
        elif output_types is not None:
            specs = _typed(output_types, output_shapes)
        else:
            specs = None
        # The function gets numbers for arrays without axes, as in TensorFlow.
        given = (
            ()
            if args is None
            else tuple(a if isinstance(a, bytes) else a[()] for a in map(view.array, args))
        )

        def make() -> Iterator[Any]:
            def fitted(element: Any) -> Any:
                found = view.element(element) if specs is None else _fitted(element, specs, view)
                return map_leaves(_copied, found)  # the function may reuse one array

            return view.called(lambda: map(fitted, iter(generator(*given))))

        return cls._make(
            passing(make), UNKNOWN, (), None if specs is None else lambda: specs, view=view
        )

    @classmethod
    def random(
        cls,
        seed: int | None = None,
        rerandomize_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Random numbers below 2**32, without end; each iteration the same by default."""

        def make() -> Iterator[Any]:
            return map(np.int64, philox.numbers(made._next_seeds(rerandomize_each_iteration)))

        made = cls._make(passing(make), INFINITE, (), lambda: ArraySpec((), "int64"))
        made._seeds = philox.seeds(seed)
        return made

    @classmethod
    def list_files(
        cls,
        file_pattern: Any,
        shuffle: bool | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Any:
        """The paths of the files that match one or several patterns, sorted or, with `shuffle` (the
        default), in a different random order in each iteration.

        Raises ValueError if no file matches.
        """
        try:
            found = matching(file_pattern)
        except ValueError as error:
            raise cls._own_view().error(str(error)) from None
        files = texts(path.encode() for path in found)
        dataset = cls.from_tensor_slices(files)
        return dataset.shuffle(len(files), seed) if shuffle or shuffle is None else dataset

    @classmethod
    def counter(cls, start: int = 0, step: int = 1, dtype: Any = np.int64, name: Any = None) -> Any:
        """The infinite sequence `start`, `start + step`, ..."""
        kind = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
        return cls._make(
            lambda first: map(kind.type, itertools.count(start + first * step, step)),
            INFINITE,
            (),
            lambda: ArraySpec((), kind.name),
        )


def _gathered(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Some rows of an array, as a copy."""
    if array.dtype.hasobject or array[:1].nbytes * len(places) < 2**12:
        return array[places]
    out = host.memory((len(places), *array.shape[1:]), array.dtype)
    return np.take(array, places, 0, out=out, mode="clip")


def paths(value: Any) -> list[str]:
    """File names as a list of str, from one or several texts or paths."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Iterator):
        value = list(value)
    if isinstance(value, (list, tuple)):
        items = [
            path
            for each in value
            for path in (paths(each) if isinstance(each, (list, tuple)) else [each])
        ]
    else:
        items = np.asarray(value).reshape(-1).tolist()
    names = (os.fsdecode(getattr(item, "numpy", lambda item=item: item)()) for item in items)
    return [name.removeprefix("file://") for name in names]


def matching(pattern: Any) -> list[str]:
    """The paths that match patterns, sorted. Raises ValueError if there are none."""
    patterns = paths(pattern)
    found = sorted(path for each in patterns for path in glob.glob(each))
    if not found:
        raise ValueError(f"No files matched pattern: {', '.join(patterns)}")
    return found


def _converted(value: Any, view: View) -> Any:
    """The arrays for a structure that a user gave, in which lists are arrays."""
    found = view.arrays(value)
    return map_leaves(_copied, found) if view.copies else found


def _copied(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _row_specs(arrays: Any, view: View) -> Any:
    return map_leaves(lambda array: view.spec(array).rows(), arrays)


def _as_spec(spec: Any) -> Any:
    """An `ArraySpec` for a spec of another type, such as `tf.TensorSpec`."""
    if isinstance(spec, list):
        raise TypeError(f"output_signature must have tuples for lists. Received: {spec}")
    if hasattr(spec, "in_parts") and not hasattr(spec, "rows"):  # of a user's class
        return apart(spec.in_parts(), _as_spec)
    if isinstance(spec, ArraySpec) or not hasattr(spec, "dtype") or hasattr(spec, "rows"):
        return spec
    shape = None if getattr(spec.shape, "rank", ()) is None else tuple(spec.shape)
    return ArraySpec(shape, getattr(spec.dtype, "name", str(spec.dtype)))


def _typed(types: Any, shapes: Any) -> Any:
    """The specs of dtypes and shapes; without shapes they are unknown."""
    if isinstance(types, dict):
        return {k: _typed(t, None if shapes is None else shapes[k]) for k, t in types.items()}
    if isinstance(types, tuple):
        return tuple(_typed(t, None if shapes is None else shapes[i]) for i, t in enumerate(types))
    name = getattr(types, "name", None) or np.dtype("float32" if types is float else types).name
    name = "string" if name == "object" or name.startswith(("str", "bytes")) else name
    if shapes is None or getattr(shapes, "rank", ()) is None:
        return ArraySpec(None, name)
    return ArraySpec(tuple(shapes) if isinstance(shapes, (list, tuple)) else (shapes,), name)


def _fitted(element: Any, specs: Any, view: View) -> Any:
    """An element as arrays of the given specs. Raises TypeError if it does not conform to them."""
    if hasattr(specs, "composed") and is_composed(element):
        element = apart(element, lambda part: part)
    if isinstance(specs, dict):
        if not isinstance(element, dict) or set(element) != set(specs):
            raise TypeError(f"The generator gave {element!r}, where {specs} was expected.")
        return {k: _fitted(element[k], s, view) for k, s in specs.items()}
    if isinstance(specs, tuple):
        # A list is a tensor in `tf.data`.
        kinds = tuple if view is View.of_tensors else (tuple, list)
        if not isinstance(element, kinds) or len(element) != len(specs):
            raise TypeError(f"The generator gave {element!r}, where {specs} was expected.")
        parts = [_fitted(e, s, view) for e, s in zip(element, specs)]
        return type(specs)(*parts) if hasattr(specs, "_fields") else tuple(parts)
    if not isinstance(specs, ArraySpec):
        return view.array(element)
    array = view.array(element, specs.dtype)
    if isinstance(array, np.ndarray) and array.dtype.kind != "O":
        if specs.dtype != "string":
            array = np.asarray(array, np.dtype(specs.dtype))  # TensorFlow casts elements, too
        elif not array.size:
            array = array.astype(object)
    found = view.spec(array)
    fits = getattr(found, "dtype", None) == specs.dtype and (
        specs.shape is None
        or len(found.shape) == len(specs.shape)
        and all(n in (None, m) for n, m in zip(specs.shape, found.shape))
    )
    if not fits:
        raise TypeError(f"The generator gave an array of {found}, where {specs} was expected.")
    return array
