"""Arrays of other libraries (torch, TensorFlow, pandas, polars, scipy), recognised by their
methods. None of the libraries is imported, except by `library`."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import sparsity
from keraslike.core.structures import flatten
from keraslike.core.symbolic import KerasTensor, is_symbolic


def library(name: str, needed_by: str, package: str | None = None) -> Any:
    """Imports an optional library; raises ImportError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        package = package or name
        raise ImportError(f"{needed_by} needs the library {name}: pip install {package}") from e


def as_numpy(value: Any) -> np.ndarray:
    """A value of any library as a numpy array; lists and numbers are converted as numpy does.

    >>> as_numpy([1, 2])
    array([1, 2])
    """
    found = array_of(value)
    return np.asarray(value if found is None else found)


def array_of(value: Any) -> np.ndarray | jax.Array | None:
    """The numbers in another library's array, or `None` for a value that is no array of any kind.

    A sparse matrix becomes a dense array, a frame an array of all its columns. Raises InGraph for a
    tensor in a graph of TensorFlow's.

    >>> class Tensor:
    ...     def numpy(self):
    ...         return np.ones(2)
    >>> array_of(Tensor()).tolist(), array_of("text")
    ([1.0, 1.0], None)
    """
    if isinstance(value, (type, str, bytes, int, float)):
        return None
    if is_sparse(value):
        found: Any = csr(value).toarray() if len(value.shape) == 2 else _scattered(value)
    elif hasattr(value, "detach"):
        found = _of_torch(value)
    elif hasattr(value, "numpy"):
        found = value.numpy()
    elif hasattr(value, "to_numpy"):
        found = _of_columns(value) if is_frame(value) else value.to_numpy()
    elif hasattr(value, "__array__"):
        if is_in_graph(value):
            raise InGraph(f"{value} is part of a graph of TensorFlow's: it has no values yet.")
        found = np.asarray(value)
    else:
        return None
    return found if isinstance(found, jax.Array) else np.asarray(found)


def _of_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach()  # Detached from the gradient's graph.
    if "sparse" in str(getattr(tensor, "layout", "")):
        tensor = tensor.to_dense()
    tensor = tensor.cpu()
    if str(getattr(tensor, "dtype", "")).endswith(
        "bfloat16"
    ):  # numpy does not know the dtype, and torch cannot convert it.
        return tensor.float().numpy().astype(jnp.bfloat16)
    return tensor.numpy()


# -- graphs of TensorFlow ------------------------------------------------------------------------


class InGraph(TypeError):
    """A tensor in a graph of TensorFlow's (as in the map of a `tf.data.Dataset`) has no numbers."""


def is_in_graph(value: Any) -> bool:
    """Whether a value is a tensor in a graph of TensorFlow's."""
    return hasattr(value, "graph") and hasattr(value, "op")


def in_graph(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether a call has tensors of a graph of TensorFlow's among its arguments."""
    if "tensorflow" not in sys.modules:
        return False
    # Ragged and sparse tensors are represented by the tensor of their values.
    leaves = jax.tree.leaves((args, kwargs))
    return any(is_in_graph(getattr(x, "flat_values", getattr(x, "values", x))) for x in leaves)


def autograph() -> Any:
    """A context in which TensorFlow's AutoGraph converts functions that are passed to operations,
    as it does within a converted function."""
    found: Any = sys.modules.get("tensorflow.python.autograph.core.ag_ctx")
    if found is None:
        return contextlib.nullcontext()
    return found.ControlStatusCtx(found.Status.ENABLED)


def graph_method(method: Callable) -> Callable:
    """Makes a layer's method an operation of TensorFlow's when it is called with tensors of a
    graph."""

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return self._traced_spec(args, kwargs, functools.partial(method, self))
        return method(self, *args, **kwargs)

    @functools.wraps(method)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        if in_graph(args, kwargs):
            return through_graph(functools.partial(run, self), args, kwargs)
        return method(self, *args, **kwargs)

    either.autograph_info__ = {}  # type: ignore[attr-defined]  # see `Layer`
    return either


def through_graph(function: Callable, args: tuple, kwargs: dict[str, Any], spec: Any = None) -> Any:
    """Makes a call an operation of TensorFlow's, which runs it when the graph is executed.

    Args:
        spec: the result's shapes and dtypes; by default those that the function returns
            for symbolic tensors.
    """
    tf: Any = sys.modules["tensorflow"]
    leaves, structure = flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf)]
    tensors = [leaves[i] for i in places]

    def called(values: Any) -> Any:
        filled = dict(zip(places, values, strict=True))
        given = [filled.get(i, leaf) for i, leaf in enumerate(leaves)]
        args, kwargs = jax.tree.unflatten(structure, given)
        return function(*args, **kwargs)

    if spec is None:
        spec = called([KerasTensor(tuple(t.shape), t.dtype.name) for t in tensors])
    specs, structure_out = flatten(spec)
    dtypes = [tf.as_dtype(s.dtype) for s in specs]

    def compute(*values: Any) -> list[np.ndarray]:
        found = jax.tree.leaves(called(values), is_leaf=is_sparse)
        found = [x if isinstance(x, (bool, int, float)) else array_of(x) for x in found]
        return [np.asarray(x, t.as_numpy_dtype) for x, t in zip(found, dtypes)]

    compute.autograph_info__ = {}  # type: ignore[attr-defined]  # see `Layer`
    outputs = tf.numpy_function(compute, tensors, dtypes)
    for output, known in zip(outputs, specs):
        output.set_shape(known.shape)
    outputs = [tf.sparse.from_dense(x) if s.sparse else x for x, s in zip(outputs, specs)]
    return jax.tree.unflatten(structure_out, outputs)


# -- sparse matrices ----------------------------------------------------------------------------


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix of scipy's, a `SparseTensor` of tf's or our own, or a
    sparse array of JAX's."""
    return (
        _is_scipy_sparse(value)
        or sparsity.is_sparse(value)
        or all(hasattr(value, name) for name in ("indices", "values", "dense_shape"))
    )


def _is_scipy_sparse(value: Any) -> bool:
    """A matrix of scipy's can only exist if scipy.sparse was imported, which takes 60 ms."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and module.issparse(value)


def _coordinates(value: Any) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The coordinates of a sparse tensor's values, the values, and the tensor's shape."""
    if sparsity.is_sparse(value):
        indices, values, shape = sparsity.coordinates(value)
    else:
        indices, values, shape = value.indices, value.values, np.asarray(value.dense_shape)
    return np.asarray(indices), np.asarray(values), tuple(int(size) for size in shape)


def csr(value: Any) -> Any:
    """A sparse matrix in scipy's CSR format, from which rows can be taken."""
    if not _is_scipy_sparse(value):
        import scipy.sparse

        indices, values, shape = _coordinates(value)
        value = scipy.sparse.coo_array((values, tuple(indices.T)), shape=shape)
    return value.tocsr()


def _scattered(value: Any) -> np.ndarray:
    """A dense array of a sparse tensor whose rank is not two."""
    if _is_scipy_sparse(value):
        return value.toarray()
    indices, values, shape = _coordinates(value)
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, tuple(indices.T), values)
    return dense


# -- frames -------------------------------------------------------------------------------------


def is_frame(value: Any) -> bool:
    """Whether a value is a table of named columns, as pandas and polars have them."""
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def is_column(value: Any) -> bool:
    """Whether a value is a column, with the name of it, as pandas and polars have them."""
    return hasattr(value, "to_numpy") and hasattr(value, "name") and not is_frame(value)


def _of_columns(frame: Any) -> np.ndarray:
    """The columns of a frame as one array, in a dtype that can represent all of their numbers."""
    columns = [_column(frame[name]) for name in frame.columns]
    if not columns or not all(is_numeric(column) for column in columns):
        return np.empty(tuple(frame.shape), object)
    # pandas gives an object array for booleans and numbers together.
    whole = np.asarray(frame.to_numpy())
    return whole if is_numeric(whole) else np.stack(columns, axis=1)


def _column(series: Any) -> np.ndarray:
    try:
        return np.asarray(series.to_numpy())
    except Exception:  # polars does not support every dtype.
        return np.asarray(list(series), object)


def is_numeric(array: Any) -> bool:
    """Whether an array holds numbers or booleans."""
    kind = array.dtype.kind
    return kind in "biufc" or (kind == "V" and jnp.issubdtype(array.dtype, jnp.number))


def refuse_wide(array: np.ndarray, name: str) -> None:
    """Raises ValueError for integers that do not fit into 32 bits, to which they would be
    truncated."""
    if not array.size or array.dtype not in (np.int64, np.uint64):
        return
    low, high = (0, 2**32) if array.dtype == np.uint64 else (-(2**31), 2**31)
    least, most = array.min(), array.max()
    if not low <= least <= most < high:
        raise ValueError(
            f"{name} holds integers from {least} to {most}: compiled steps have 32-bit integers. "
            "Call IntegerLookup or Hashing on the array first to map them to small integers."
        )


def not_numeric(value: Any, array: Any) -> str:
    """Describes the parts of `value` that are not numeric: a frame's columns by name, or the
    dtype."""
    if is_frame(value):
        bad = [n for n in value.columns if not is_numeric(_column(value[n]))]
        shown = ", ".join(_shown(n, value[n]) for n in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        return f"a frame whose column{'s' * (len(bad) > 1)} {shown}{more} cannot be used"
    if hasattr(value, "to_numpy") and getattr(value, "name", None) is not None:
        return f"column {_shown(value.name, value)}"
    return f"an array of dtype {array.dtype}"


def _shown(name: Any, series: Any) -> str:
    first = next(iter(_column(series)), None)
    return f"{name!r} ({series.dtype}, such as {first!r})"
