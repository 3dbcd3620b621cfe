"""Elements of data sets as tensors, and the functions of tensors that transform them.

These functions are traced and compiled once for each signature of the elements, and run on the CPU.
A function that cannot be traced, because it depends on values or receives text, is called eagerly.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import lowering, rng
from keraslike.core.boxed import Boxed
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import AsksForValue, NeedsPython
from keraslike.core.iteration import Steps
from keraslike.core.structures import iter_leaves, map_items, map_leaves
from keraslike.data import records, storage
from keraslike.data.composed import apart, is_composed, whole
from keraslike.data.elements import ArraySpec, Datasets, Function, View, check_known, leaf_of
from keraslike.data.pipeline import Optional, Pipeline
from keraslike.tf import autograph, dtypes, effects, ragged, sparse, specs
from keraslike.tf.concrete import ConcreteFunction
from keraslike.tf.conversion import _numpy_of, convert_to_tensor
from keraslike.tf.data import names
from keraslike.tf.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OperatorNotAllowedInGraphError,
    OutOfRangeError,
    of_python,
)
from keraslike.tf.function import Function as CompiledFunction
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.signatures import TensorSpec
from keraslike.tf.sparse_tensor import SparseTensor, SparseTensorValue
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import WIDE, Tensor, _on_device
from keraslike.tf.tensor_array import TensorArray

# Batches smaller than this are computed element by element, without compiling a program for them.
_FEW = 4


debugging = False  # whether functions are run by Python, as `enable_debug_mode` asks


# Parts of elements that are not arrays.
_OBJECTS = (Structure, Optional, Pipeline, Datasets, TensorArray)


class Row(np.ndarray):
    """A row of a ragged tensor. Batches of rows are ragged as well."""


class TensorView(View):
    """Shows elements as dense, ragged and sparse tensors."""

    copies = True
    error = InvalidArgumentError
    missing = NotFoundError
    unready = FailedPreconditionError
    damaged = DataLossError
    ended = OutOfRangeError

    def array(self, value: Any, dtype: str | None = None) -> Any:
        if value is None or isinstance(value, _OBJECTS):
            return value
        if isinstance(value, list) and value and isinstance(value[0], Pipeline):
            return Datasets.of(value)
        if is_composed(value):
            return apart(value, self._part)
        if isinstance(value, SparseTensorValue):
            return SparseTensor.from_value(value)
        several = isinstance(value, list) and any(isinstance(v, (Boxed, jax.Array)) for v in value)
        if several or isinstance(value, Boxed) or hasattr(value, "_raw_value"):
            tensor = convert_to_tensor(value)
            check_known(tensor)
            return leaf_of(np.asarray(tensor._value))
        if dtype is None and isinstance(value, list):  # arrays of one dtype keep it
            leaves = list(iter_leaves(value))
            kinds = {leaf.dtype for leaf in leaves if isinstance(leaf, np.ndarray)}
            arrays = all(isinstance(leaf, np.ndarray) for leaf in leaves)
            if arrays and len(kinds) == 1 and (kind := kinds.pop()).kind in "biufc":
                dtype = kind.name
        return leaf_of(_numpy_of(value, None if dtype is None else dtypes.as_dtype(dtype), None))

    def is_leaf(self, part: Any) -> bool:
        return isinstance(part, (list, SparseTensorValue))

    def called(self, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        def tried(step: Callable[[], Any]) -> Any:
            try:
                return step()
            except StopIteration:
                raise
            except Exception as error:
                raise of_python(error) from error

        elements = tried(begin)
        return Steps(lambda: tried(elements.__next__))

    def element(self, returned: Any) -> Any:
        if isinstance(returned, list):
            returned = tuple(returned)
        try:
            return self._part(returned)
        except ValueError as error:
            raise TypeError(f"A function of a data set cannot return {returned!r}.") from error

    def _part(self, value: Any) -> Any:
        if isinstance(value, (dict, tuple)) and not self.is_leaf(value):
            return map_items(self._part, value)
        return self.array(value)

    def show(self, leaf: Any) -> Any:
        if isinstance(leaf, (str, bytes)):
            return Tensor(np.array([leaf, None], object)[:1].reshape(()))
        if isinstance(leaf, Datasets) or not isinstance(leaf, (np.ndarray, np.generic)):
            return leaf
        return Tensor(_on_device(np.asarray(leaf)))

    def given(self, leaf: Any) -> Any:
        return leaf._kept() if isinstance(leaf, TensorArray) else self.show(leaf)

    def function(self, function: Callable) -> Function:
        return Traced(function, self)

    def spec(self, leaf: Any) -> Any:
        if leaf is None:
            return specs.NoneTensorSpec()
        if isinstance(leaf, (Structure, Optional, TensorArray)):
            return specs.type_spec_from_value(leaf)
        if isinstance(leaf, Row):
            return specs.RaggedTensorSpec(leaf.shape, leaf.dtype, 0)
        return super().spec(leaf)

    def show_spec(self, spec: Any) -> Any:
        return specs.shown(spec)

    def unsized(self, spec: Any) -> Any:
        if isinstance(spec, specs.SparseTensorSpec):
            return specs.SparseTensorSpec([None] * len(spec.shape), spec.dtype)
        return spec

    def row(self, leaf: Any, index: int) -> Any:
        if isinstance(leaf, RaggedTensor):
            found: Any = leaf[index]  # type: ignore[index]
            if isinstance(found, RaggedTensor):
                return found
            return np.asarray(found._value).view(Row)
        if isinstance(leaf, SparseTensor):
            places = np.asarray(leaf.indices)
            chosen = places[:, 0] == index
            return SparseTensor(
                places[chosen, 1:], np.asarray(leaf.values)[chosen], tuple(leaf.shape)[1:]
            )
        return leaf if leaf is None else leaf[index]

    def stack(self, leaves: list[Any]) -> Any:
        first = leaves[0]
        if isinstance(first, Row):
            return self.ragged(leaves, (None, *first.shape[1:]))
        if isinstance(first, RaggedTensor):
            return ragged.stack(leaves)
        if isinstance(first, SparseTensor):
            places = [np.asarray(leaf.indices) for leaf in leaves]
            numbers = np.repeat(np.arange(len(leaves)), list(map(len, places)))
            values = np.concatenate([np.asarray(leaf.values) for leaf in leaves])
            indices = np.column_stack([numbers, np.concatenate(places)]).astype(np.int64)
            sizes = np.max([tuple(leaf.shape) for leaf in leaves], axis=0)
            return SparseTensor(indices, values, (len(leaves), *sizes.tolist()))
        return super().stack(leaves)

    def ragged(
        self, leaves: list[Any], shape: tuple[int | None, ...] | None, splits: Any = np.int64
    ) -> Any:
        varying = [axis for axis, n in enumerate(shape or leaves[0].shape) if n is None]
        arrays = [np.asarray(leaf) for leaf in leaves]
        if not varying or varying[-1] == 0:
            made = RaggedTensor.from_row_lengths(np.concatenate(arrays), list(map(len, arrays)))
        else:
            rank = varying[-1]
            made = ragged.stack([RaggedTensor.from_tensor(a, ragged_rank=rank) for a in arrays])
        return made.with_row_splits_dtype(splits)

    def ragged_spec(self, spec: ArraySpec, splits: Any = np.int64) -> Any:
        rank = 1 + max(axis for axis, n in enumerate(spec.shape[1:]) if n is None)  # type: ignore
        return specs.RaggedTensorSpec(spec.shape, spec.dtype, rank, dtypes.as_dtype(splits))

    def sparse(self, leaves: list[Any], sizes: list[int | None]) -> SparseTensor:
        arrays = [np.asarray(leaf) for leaf in leaves]
        if {a.ndim for a in arrays} != {len(sizes)}:
            ranks = [a.ndim for a in arrays]
            raise self.error(f"Elements of {ranks} axes do not fit row_shape={sizes}.")
        largest = np.max([a.shape for a in arrays], 0).astype(int).tolist()
        shape = [most if n is None else n for n, most in zip(sizes, largest, strict=True)]
        if any(most > n for n, most in zip(shape, largest)):
            raise self.damaged(f"An element of shape {largest} is larger than row_shape={shape}.")
        places = [np.argwhere(np.ones(a.shape, bool)) for a in arrays]
        numbers = np.repeat(np.arange(len(arrays)), list(map(len, places)))
        indices = np.column_stack([numbers, np.concatenate(places)]).astype(np.int64)
        values = np.concatenate([a.ravel() for a in arrays])
        return SparseTensor(indices, values, (len(arrays), *shape))

    def sparse_spec(self, spec: ArraySpec) -> specs.SparseTensorSpec:
        return specs.SparseTensorSpec(spec.shape, spec.dtype)

    def example(self, spec: Any, size: int) -> Any:
        if not isinstance(spec, specs.RaggedTensorSpec):
            return super().example(spec, size)
        shape = [size if n is None else n for n in spec.shape]
        array = np.full(shape, b"0" if spec.dtype is dtypes.string else 0, spec.dtype.dtype)
        if not spec.ragged_rank:
            return array.view(Row)
        made = RaggedTensor.from_tensor(array, ragged_rank=spec.ragged_rank)
        return made.with_row_splits_dtype(spec.row_splits_dtype)

    def plain(self, leaf: Any) -> Any:
        if isinstance(leaf, RaggedTensor):
            return leaf.numpy()
        if isinstance(leaf, SparseTensor):
            return sparse.to_dense(leaf).numpy()
        if isinstance(leaf, _OBJECTS):
            raise TypeError(
                f"There is no numpy array for an element of type {type(leaf).__name__}."
            )
        if not isinstance(leaf, np.ndarray):
            return leaf
        array = leaf.view(np.ndarray)
        array.flags.writeable = False  # it may be the array of the data set itself
        return array[()]

    def check_single(self, spec: Any) -> None:
        if not isinstance(spec, ArraySpec):
            raise InvalidArgumentError(
                f"unique() is for elements of one part. Received elements of {spec}"
            )
        if spec.dtype not in ("int32", "int64", "string"):
            raise TypeError(f"unique() is for int32, int64 and text. Received: {spec.dtype}")

    def check_numbers(self, spec: Any) -> None:
        if spec != ArraySpec((), "int64"):
            raise TypeError(
                f"Elements of choice_dataset must be scalars of tf.int64. Received: {spec}"
            )

    def holds(self, returned: Any) -> bool:
        found = np.asarray(returned) if isinstance(returned, (np.ndarray, np.generic)) else None
        if found is None or found.dtype != bool or found.ndim:
            self.check_predicate(map_leaves(self.spec, returned))
        return bool(found)

    def check_predicate(self, specs: Any) -> None:
        if specs != ArraySpec((), "bool"):
            raise ValueError(f"predicate must return one tf.bool, a scalar. Received: {specs}")

    def check_state(self, known: Any, state: Any) -> Any:
        """Raises TypeError for a state of other parts or dtypes: nothing is cast."""

        def kinds(tree: Any) -> list[Any]:
            return [getattr(self.spec(leaf), "dtype", None) for leaf in iter_leaves(tree)]

        before, after = kinds(known), kinds(state)
        if before != after:
            raise TypeError(
                "A new state must have the dtypes of the one before it. "
                f"Expected: {before}. Received: {after}"
            )
        return state


def on_cpu() -> Any:
    """A context in which arrays are created and computed on the CPU."""
    if jax.default_backend() == "cpu":
        return contextlib.nullcontext()
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:  # JAX was configured without the CPU backend
        return contextlib.nullcontext()


class Untraceable(TypeError):
    """A function cannot be traced: it uses text, ragged or sparse tensors, or Python functions."""


# Errors of traces that the function itself does not raise.
_OF_TRACES = (
    *(NeedsPython, AsksForValue, jax.errors.JAXTypeError, jax.errors.JAXIndexError),
    OperatorNotAllowedInGraphError,
)


class Traced(Function):
    """A function of tensors, compiled once for each structure, shape and dtype of its arguments."""

    def __init__(self, function: Callable, view: View):
        if isinstance(function, CompiledFunction):  # this class compiles it instead
            function = function.python_function
        super().__init__(names.fixed(function), view)
        self._programs: dict[Any, _Program | None] = {}
        self._tracing = threading.RLock()
        self._refused: type[Exception] | None = None  # the kind of error of a trace
        self._counter = 0  # the counters of runs, for programs with seeded draws
        self._runs: Iterator[int] | None = None  # the numbers of the runs of the function itself
        # A data set that a function returns for each element does not restart draws without a seed.
        self._inner = rng.in_run() or not trace_state_clean()

    def begin(self) -> None:
        """Restarts seeded draws, as each iteration does in TensorFlow."""
        self._runs = itertools.count(1)
        if self._counter:
            rng.begin_at(self._counter, 0)

    def skip(self, count: int) -> None:
        """Advances seeded draws as if the function had been called this number of times."""
        self._runs = itertools.count(1 + count)
        rng.begin_at(self._counted(), count)

    def _counted(self) -> int:
        if not self._counter:
            self._counter = rng.new_counter()
            rng.begin_at(self._counter, 0)
        return self._counter

    def raw(self, *arguments: Any) -> Any:
        number = 0 if self._runs is None else next(self._runs)
        with on_cpu(), rng.one_run(number, numbered=not self._inner):
            return super().raw(*arguments)

    def __call__(self, *arguments: Any) -> Any:
        leaves: list[Any] = []
        key = None if debugging else _flattened(arguments, leaves)
        program = None if key is None else self._program(key, arguments, leaves)
        if program is None:
            return super().__call__(*arguments)
        return self.unended(lambda: program(leaves))

    def _program(self, key: Any, arguments: Any, leaves: Sequence[Any]) -> _Program | None:
        if key not in self._programs:
            with self._tracing:
                if key not in self._programs:
                    self._programs[key] = self._traced(arguments, leaves)
        return self._programs[key]

    def _traced(self, arguments: Any, leaves: Sequence[Any]) -> _Program | None:
        for form in (lambda f: f, autograph.converted):  # AutoGraph is tried only if necessary
            try:
                with on_cpu(), rng.counted_at(self._counted(), numbered=not self._inner):
                    return _Program(form(self._function), arguments, leaves)
            except Untraceable:
                break
            except Exception as error:  # the eager call raises the user's error
                self._refused = self._refused or type(error)
        return None

    def _of_specs(self, given: Sequence[Any], size: int = 0) -> _Program | None:
        def example(spec: Any) -> Any:
            if not isinstance(spec, ArraySpec) or spec.shape is None or spec.dtype == "string":
                raise Untraceable
            shape = [size if n is None else n for n in spec.shape]
            return jax.ShapeDtypeStruct(tuple(shape), dtypes.as_dtype(spec.dtype).dtype)

        try:
            examples = tuple(map_leaves(example, spec) for spec in given)
        except Untraceable:
            return None
        leaves: list[Any] = []
        key = _flattened(examples, leaves)
        return None if key is None else self._program(key, examples, leaves)

    def specs(self, specs: Sequence[Any]) -> Any:
        sizes = (1, 7) if _is_open(specs) else (0,)
        found = [self._of_specs(specs, size) for size in sizes]
        if None in found:
            return None
        both = iter([p.out_specs for p in found][-1])  # type: ignore[union-attr]
        out = [spec.common(next(both)) for spec in found[0].out_specs]  # type: ignore[union-attr]
        built = found[0].rebuilt(out)  # type: ignore[union-attr]
        return map_leaves(lambda s: self._view.spec(s) if s is None else s, built)

    def traced(self, specs: Sequence[Any]) -> Any:
        if debugging or _is_open(specs):
            return None
        found = self.specs(specs)
        if found is None and self._refused and not issubclass(self._refused, _OF_TRACES):
            self._raise_as_refused(specs)
        return found

    def _raise_as_refused(self, specs: Sequence[Any]) -> None:
        """Raises the error of a trace, if it is that of the eager function as well."""
        try:
            zeros = [map_leaves(lambda s: np.zeros(s.shape, s.dtype)[()], s) for s in specs]
            super().__call__(*zeros)
        except Exception as error:
            if type(error) is self._refused:
                raise

    def many(self, specs: Sequence[Any]) -> Callable | None:
        if debugging or _is_open(specs):
            return None
        program = self._of_specs(specs)
        if program is None or program.changes:
            return None

        def run(*arguments: Any) -> Any:
            leaves: list[Any] = []
            _flattened(arguments, leaves)
            return program.many(leaves)

        return run


def _is_open(specs: Sequence[Any]) -> bool:
    """Whether a size is unknown."""
    return any(None in (getattr(s, "shape", None) or ()) for s in iter_leaves(tuple(specs)))


class _Program:
    """A compiled function of flat arrays, and the structure of its results."""

    def __init__(self, function: Callable, arguments: Any, leaves: Sequence[Any]):
        def flat(*tensors: Any) -> list[Any]:
            left = iter(tensors)
            given = whole(map_leaves(lambda leaf: leaf if leaf is None else next(left), arguments))
            out: list[Any] = []
            with effects.watched() as self._watch:
                returned = function(*given)
                returned = tuple(returned) if isinstance(returned, list) else returned
                self._structure = _numbered(returned, out)
            return [*out, *map(Tensor, self._watch.values)]

        given = [TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves]
        structure = jax.tree.structure((tuple(range(len(given))), {}))
        self._concrete = concrete = ConcreteFunction(flat, given, structure)
        count = len(concrete.out_avals) - len(concrete.changed)
        self._count, count = count, count - len(self._watch.values)
        self.changes = bool(concrete.changed)
        self.out_specs = [
            ArraySpec(tuple(a.shape), dtypes.as_dtype(a.dtype).name)
            for a in concrete.out_avals[:count]
        ]
        self._loop = jax.jit(self._looped)

    def rebuilt(self, items: Sequence[Any]) -> Any:
        return map_leaves(lambda n: n if n is None else items[n], self._structure)

    def _held(self) -> list[Any]:
        """The values of the variables and the captured tensors that the function reads."""
        concrete = self._concrete
        return [
            *[np.asarray(_value(v)) for v in concrete.variables],
            *[np.asarray(t._value) for t in concrete.captured],
        ]

    def __call__(self, leaves: Sequence[Any]) -> Any:
        if self.changes:
            with rng.drawing, on_cpu():
                out = self._run(leaves)
                lowering.write(self._concrete.changed, out[self._count :])
        else:
            with on_cpu():
                out = self._run(leaves)
        return self.rebuilt([np.asarray(a)[()] for a in out[: len(self.out_specs)]])

    def _awaited(self) -> Any:
        return effects.awaited() if self._concrete.has_effects else contextlib.nullcontext()

    def _run(self, leaves: Sequence[Any]) -> Any:
        with self._awaited():
            out = self._concrete.run(*self._held(), *leaves)
        self._watch.verify(out[len(self.out_specs) : self._count])
        return out

    def many(self, leaves: Sequence[Any]) -> Any:
        """The results for arguments that are stacked along a first axis, computed in a loop."""
        if len(leaves[0]) < _FEW:
            rows = [self([leaf[i] for leaf in leaves]) for i in range(len(leaves[0]))]
            columns = zip(*[iter_leaves(row) for row in rows])
            stacked = iter([np.stack(c) for c in columns if c[0] is not None])
            return map_leaves(lambda n: n if n is None else next(stacked), self._structure)
        with on_cpu(), WIDE(True), self._awaited():
            out = self._loop(self._held(), list(leaves))
        for row in zip(*[np.asarray(a) for a in out[len(self.out_specs) :]]):
            self._watch.verify(row)
        return self.rebuilt([np.asarray(a) for a in out])

    def _looped(self, held: Sequence[Any], leaves: Sequence[Any]) -> Any:
        function = self._concrete.run.function
        return jax.lax.map(lambda row: function(*held, *row), leaves)


def _leaf(tensor: Any) -> np.ndarray:
    return np.asarray(tensor._value)


def _value(variable: Any) -> Any:
    get = getattr(variable, "get_value", None)
    return variable._raw_value if get is None else get()


def _numbered(returned: Any, out: list[Any]) -> Any:
    """The structure of the positions of results, which are appended to the list."""
    return map_leaves(lambda leaf: _number(leaf, out), returned, TensorView().is_leaf)


def _number(leaf: Any, out: list[Any]) -> Any:
    """Appends a result to the list, and returns its position."""
    if leaf is None:
        return None
    if is_composed(leaf):
        return apart(leaf, lambda part: _numbered(part, out))
    if isinstance(leaf, (*_OBJECTS, SparseTensorValue, str, bytes)):
        raise Untraceable(f"{type(leaf).__name__} is not an array.")
    tensor = convert_to_tensor(leaf)
    if tensor.dtype is dtypes.string:
        raise Untraceable("Text is not an array.")
    out.append(Tensor(jnp.asarray(tensor._value)))
    return len(out) - 1


def _flattened(tree: Any, leaves: list[Any]) -> Any:
    """A hashable key of the structure, shapes and dtypes; `None` unless all leaves are numbers."""
    if isinstance(tree, tuple):
        return _all(type(tree), [_flattened(item, leaves) for item in tree])
    if isinstance(tree, dict):
        return _all(tuple(tree), [_flattened(item, leaves) for item in tree.values()])
    if tree is None:
        return "nothing"
    dtype = getattr(tree, "dtype", None)
    if isinstance(tree, Row) or not isinstance(dtype, np.dtype) or dtype.kind == "O":
        return None
    leaves.append(tree)
    return tree.shape, dtype


def _all(kind: Any, parts: list[Any]) -> Any:
    return None if None in parts else (kind, *parts)


def _sizes(spec: Any) -> list[int | None]:
    return list(spec.shape)


records.STRUCTURES.update(
    row=(Row, lambda row: (row.view(np.ndarray),), lambda parts: np.asarray(parts[0]).view(Row)),
    ragged=(
        RaggedTensor,
        lambda r: (_leaf(r.flat_values), *map(_leaf, r.nested_row_splits)),
        lambda parts: RaggedTensor.from_nested_row_splits(parts[0], parts[1:]),
    ),
    sparse=(
        SparseTensor,
        lambda s: (_leaf(s.indices), _leaf(s.values), np.asarray(tuple(s.shape), np.int64)),
        lambda parts: SparseTensor(parts[0], parts[1], tuple(parts[2].tolist())),
    ),
)
storage.SPECS.update(
    ragged=(
        specs.RaggedTensorSpec,
        lambda s: [_sizes(s), s.dtype.name, s.ragged_rank, s.row_splits_dtype.name],
        specs.RaggedTensorSpec,
    ),
    sparse=(specs.SparseTensorSpec, lambda s: [_sizes(s), s.dtype.name], specs.SparseTensorSpec),
)
View.of_tensors = TensorView()
