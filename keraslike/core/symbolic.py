"""Symbolic tensors, which have a shape, a dtype and the history of how they were computed.

Shapes come from JAX: a function is traced by `jax.eval_shape`, with symbolic dimensions for unknown
sizes. Where that is inconclusive, `probing` tries numbers for them.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import threading
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors
from jax import export

from keraslike.core import context, dtypes, probing, sparsity, unification
from keraslike.core.errors import DEPENDS_ON_VALUES
from keraslike.core.jax_internals import tracebacks
from keraslike.core.naming import auto_name
from keraslike.core.notes import show_shape
from keraslike.core.operators import COMPARISONS, OF_ONE, OF_TWO, call_op
from keraslike.core.static import Shape
from keraslike.core.structures import flatten, keeping_order, tree_map
from keraslike.core.text import Text


class Arguments(NamedTuple):
    """The arguments of an application, and the symbolic tensors in them."""

    args: tuple
    kwargs: dict[str, Any]
    keras_tensors: list[KerasTensor]


class Node:
    """One application of an operation: its arguments and its symbolic outputs. The properties have
    Keras's names, by which packages walk the graph of a model."""

    __slots__ = ("operation", "args", "kwargs", "outputs")

    def __init__(self, operation: Any, args: tuple, kwargs: dict[str, Any]):
        self.operation, self.args, self.kwargs = operation, args, kwargs
        self.outputs: list[KerasTensor] = []

    @property
    def inputs(self) -> list[KerasTensor]:
        return tensors_in((self.args, self.kwargs))

    @property
    def arguments(self) -> Arguments:
        return Arguments(self.args, self.kwargs, self.inputs)

    @property
    def input_tensors(self) -> list[KerasTensor]:
        return self.inputs

    @property
    def output_tensors(self) -> list[KerasTensor]:
        return self.outputs

    @property
    def is_input(self) -> bool:
        return not self.inputs

    @property
    def parent_nodes(self) -> list[Node]:
        """The nodes that made the inputs, one for each input."""
        return [t._keras_history.node for t in self.inputs if t._keras_history is not None]


class History:
    """The origin of a symbolic tensor: a node, and the index of the tensor among its outputs. As a
    sequence it is Keras's `(operation, node_index, tensor_index)`."""

    __slots__ = ("node", "tensor_index")

    def __init__(self, node: Node, tensor_index: int):
        self.node, self.tensor_index = node, tensor_index

    @property
    def operation(self) -> Any:
        return self.node.operation

    @property
    def node_index(self) -> int:
        """The index of the node among those of its operation."""
        return self.operation._inbound_nodes.index(self.node)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.operation, self.node_index, self.tensor_index))

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]


_RAGGED = ("ragged_rank", "row_splits_dtype")
_FIXED = frozenset(("shape", "dtype", "sparse", "ragged", *_RAGGED))


class KerasTensor:
    """A tensor with a shape and a dtype but without values.

    Args:
        shape: sizes, `None` where unknown.
        dtype: the dtype.

    >>> x = KerasTensor((None, 8))
    >>> (x @ jnp.ones((8, 3))).shape
    (None, 3)
    """

    shape: Shape
    dtype: str
    sparse: bool
    ragged: bool

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        ragged_rank, row_splits_dtype = (kwargs.pop(k, None) for k in _RAGGED)
        if kwargs:
            raise TypeError(f"Unexpected keyword arguments: {', '.join(kwargs)}")
        if sparse and ragged:
            raise ValueError("KerasTensor cannot have `sparse=True` and `ragged=True` both.")
        fixed = vars(self)
        fixed["shape"] = standardize_shape(shape)
        fixed["dtype"] = dtypes.standardize_dtype(dtype)
        fixed["sparse"], fixed["ragged"] = bool(sparse), bool(ragged)
        fixed["ragged_rank"] = None if ragged_rank is None else int(ragged_rank)
        fixed["row_splits_dtype"] = row_splits_dtype and dtypes.standardize_dtype(row_splits_dtype)
        self.name = name or auto_name("keras_tensor")
        self.record_history = record_history
        self._keras_history: History | None = None
        self._keras_mask: KerasTensor | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED:
            raise AttributeError(
                f"The `{name}` attribute of KerasTensor is immutable: make another KerasTensor."
            )
        object.__setattr__(self, name, value)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={tuple(self.shape)}, dtype={self.dtype}, "
            f"sparse={self.sparse}, ragged={self.ragged}, name={self.name}>"
        )

    def __serialize__(self) -> dict[str, Any]:
        if self._keras_history is None:
            raise ValueError(f"{self!r} is not an output of a layer and cannot be saved.")
        operation, number, index = self._keras_history
        history = [str(operation.name), number, index]
        config = {"shape": list(self.shape), "dtype": self.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    # Copies and pickles of a tensor contain the nodes before it, each after its inputs. Python's
    # own recursion would start at the last node and go as deep as the graph is long.

    def __copy__(self) -> KerasTensor:
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> KerasTensor:
        for node in nodes_before(self, _unseen(memo)):
            copy.deepcopy(node, memo)
        if id(self) not in memo:  # Otherwise it is an output of one of the nodes.
            memo[id(self)] = new = object.__new__(type(self))
            vars(new).update(copy.deepcopy(vars(self), memo))
        return memo[id(self)]

    def __getstate__(self) -> dict[str, Any]:
        return {"_before": _NodesBefore(self), **vars(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).pop("_before", None)

    def _no_values(self, wanted: str) -> TypeError:
        return TypeError(
            f"{self!r} has no values to make {wanted} of. To use it in a model, call "
            "keraslike.ops functions on it, or wrap JAX code in a layer or a Lambda."
        )

    # Makes numpy arrays return NotImplemented for `array + tensor`, so that our operator is used.
    __array_ufunc__ = None

    def __array__(self, *_args: Any, **_kwargs: Any):
        raise self._no_values("a numpy array")

    def __bool__(self):
        raise self._no_values("a truth value")

    def __float__(self):
        raise self._no_values("a number")

    __int__ = __float__

    def __iter__(self):
        if not self.shape or self.shape[0] is None:
            raise self._no_values("an iterator")
        return iter([self[i] for i in range(self.shape[0])])

    def astype(self, dtype: Any) -> KerasTensor:
        return call_op("cast", self, dtype)

    def _as_cast_input(self, dtype: str) -> KerasTensor:
        """The tensor that a layer passes to `call` after it cast its input; the graph records the
        uncast one."""
        seen = copy.copy(self)
        vars(seen).update(dtype=dtype, _cast_from=self)
        return seen

    def reshape(self, *shape: Any) -> KerasTensor:
        one = len(shape) == 1 and not isinstance(shape[0], int)
        return call_op("reshape", self, shape[0] if one else shape)

    def squeeze(self, axis: Any = None) -> KerasTensor:
        return call_op("squeeze", self, axis)

    def __getitem__(self, key: Any) -> KerasTensor:
        return call_op("get_item", self, key)


def nodes_before(
    tensor: KerasTensor, enter: Callable[[KerasTensor], Node | None]
) -> Iterator[Node]:
    """The nodes that made a tensor, each after those that it depends on, for graphs of any length.

    Args:
        enter: returns the node that made a tensor, or `None` to search no further.
    """
    path: list[tuple[Node | None, Iterator[KerasTensor]]] = [(None, iter([tensor]))]
    while path:
        node, inputs = path[-1]
        for t in inputs:
            made_by = enter(t)
            if made_by is not None:
                path.append((made_by, iter(made_by.inputs)))
                break
        else:
            path.pop()
            if node is not None:
                yield node


def _unseen(seen: Container[int]) -> Callable[[KerasTensor], Node | None]:
    """For `nodes_before`: a function that gives the node of a tensor the first time it is asked for
    it, unless the node's id is in `seen`."""
    entered: set[int] = set()

    def enter(tensor: KerasTensor) -> Node | None:
        node = tensor._keras_history and tensor._keras_history.node
        if node is None or id(node) in seen or id(node) in entered:
            return None
        entered.add(id(node))
        return node

    return enter


class _NodesBefore:
    """The nodes before a tensor, in a pickle. The list is computed while the pickle is written."""

    _written = threading.local()  # `seen` holds the nodes in the list that is being written.

    def __init__(self, tensor: KerasTensor):
        self.tensor = tensor

    def __reduce__(self) -> Any:
        return list, (), None, self._nodes()

    def _nodes(self) -> Iterator[Node]:
        written = vars(self._written)
        outermost = "seen" not in written
        seen = written.setdefault("seen", set())
        try:
            for node in nodes_before(self.tensor, _unseen(seen)):
                seen.add(id(node))
                yield node
        finally:
            if outermost:
                written.pop("seen", None)


def _give_operators() -> None:
    """Defines operators and comparisons as graph operations. `==` keeps its meaning for Python
    objects."""
    for operator, name in OF_TWO.items():
        setattr(KerasTensor, f"__{operator}__", lambda a, b, name=name: call_op(name, a, b))
        setattr(KerasTensor, f"__r{operator}__", lambda b, a, name=name: call_op(name, a, b))
    for operator, name in COMPARISONS.items():
        if operator != "eq":
            setattr(KerasTensor, f"__{operator}__", lambda a, b, name=name: call_op(name, a, b))
    for operator, name in OF_ONE.items():
        setattr(KerasTensor, f"__{operator}__", lambda a, name=name: call_op(name, a))


_give_operators()


# -- shapes -----------------------------------------------------------------------------------


def standardize_shape(shape: Any) -> Shape:
    """A shape from anything that lists sizes; raises ValueError for what cannot be one."""
    if hasattr(shape, "as_list"):
        shape = shape.as_list()
    if shape is None:
        raise ValueError("Undefined shapes are not supported. Received: shape=None")
    try:
        sizes = tuple(shape)
    except TypeError:
        raise ValueError(
            f"Cannot convert '{shape}' to a shape. It must be a sequence of integers and None."
        ) from None
    for s in sizes:
        if s is not None and not hasattr(s, "__index__"):
            raise ValueError(
                f"Cannot convert {shape!r} to a shape. Found invalid dimension '{s}': sizes are "
                "integers or None."
            )
    sizes = tuple(None if s is None else s.__index__() for s in sizes)
    if any(s is not None and s < 0 for s in sizes):
        raise ValueError(
            f"Cannot convert {shape!r} to a shape. Negative dimensions are not possible."
        )
    if any(s is not None and s >= 2**63 for s in sizes):
        raise ValueError(f"Sizes in a shape must be below 2**63. Received: shape={shape}")
    return Shape(sizes)


_dims_scope = export.SymbolicScope()

# The most unknown sizes that are traced as symbols: the size of JAX's formulas grows exponentially
# with their number.
_MOST_SYMBOLS = 8

# How many ways of matching unknown sizes are tried: for a single operation, and for a layer, which
# takes longer to trace.
_ATTEMPTS, _FEW_ATTEMPTS = 200, 4


@functools.cache
def _unknown_size(axis: int) -> Any:
    # Unknown sizes of several tensors along the same axis are taken to be equal, as for a batch. A
    # symbol is printed by its name where user code prints a shape; the batch's symbol is named
    # `None`.
    (dim,) = export.symbolic_shape(f"d{axis}" if axis else "None", scope=_dims_scope)
    return dim


@functools.cache
def size_of_values() -> Any:
    """The symbol, in a trace of shapes, for a size that depends on values."""
    (dim,) = export.symbolic_shape("found", scope=_dims_scope)
    return dim


def tensors_in(tree: Any) -> list[KerasTensor]:
    """The symbolic tensors in a structure of arguments."""
    return [x for x in jax.tree.leaves(tree) if isinstance(x, KerasTensor)]


def is_symbolic(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether an argument is a KerasTensor, or a list, tuple or dict that contains one."""
    return any(map(_symbolic, args)) or (bool(kwargs) and any(map(_symbolic, kwargs.values())))


def _symbolic(x: Any) -> bool:
    if isinstance(x, KerasTensor):
        return True
    if isinstance(x, (list, tuple)):
        return any(map(_symbolic, x))
    return isinstance(x, dict) and any(map(_symbolic, x.values()))


def output_spec(
    function: Callable, args: tuple, kwargs: dict[str, Any], attempts: int = _FEW_ATTEMPTS
) -> Any:
    """The structure of KerasTensors that a function of arrays gives for symbolic arguments.

    At most `attempts` ways of matching unknown sizes to each other are tried.
    """
    with context.using(tapes=()):
        flat, treedef = flatten((args, kwargs))
    symbols = [i for i, x in enumerate(flat) if isinstance(x, KerasTensor)]
    numbers = [i for i in symbols if flat[i].dtype != "string"]
    texts: dict[int, Text] = {}
    kinds: list[str] = []  # One entry for each output.

    def traced(*tensors: Any) -> Any:
        values = [texts.get(i, x) for i, x in enumerate(flat)]
        for i, tensor in zip(numbers, tensors, strict=True):
            values[i] = sparsity.empty(tensor) if flat[i].sparse else tensor
        a, k = jax.tree.unflatten(treedef, values)
        # A symbolic tensor has a shape, but not the shapes of a sparse array's components.
        out = function(*a, **k)

        def is_unknown(x: Any) -> bool:
            return _kind(x) != ""

        def numbers_for(x: Any) -> Any:
            kind = _kind(x)
            return jnp.zeros(x.shape, bool if kind == "string" else x.dtype) if kind else x

        kinds[:] = map(_kind, jax.tree.leaves(out, is_leaf=is_unknown))
        return keeping_order(tree_map(numbers_for, out, is_leaf=is_unknown))

    def trace(size: probing.Size) -> Any:
        shapes = {
            i: tuple(size(i, axis) if s is None else s for axis, s in enumerate(flat[i].shape))
            for i in symbols
        }
        texts.update((i, Text(None, shape)) for i, shape in shapes.items() if i not in numbers)
        structs = [jax.ShapeDtypeStruct(shapes[i], jnp.dtype(flat[i].dtype)) for i in numbers]
        with context.using(symbolic=True, tapes=()), tracebacks("off"):
            return jax.eval_shape(traced, *structs)

    unknown = max((sum(s is None for s in flat[i].shape) for i in symbols), default=0)
    try:
        if unknown > _MOST_SYMBOLS:
            raise ValueError(f"A tensor has {unknown} unknown sizes.")
        spec = trace(lambda operand, axis: _unknown_size(axis))
    except (errors.TraceContextError, probing.InvalidForAllSizes) as error:
        raise _in_users_words(error) from None
    except Exception as error:
        if not unknown:
            raise
        # JAX could not decide something about an unknown size, or the caller made a mistake. In the
        # second case other sizes do not help, and the first error is the most informative.
        sizes = [x for x in flat if type(x) is int]
        spec = probing.probed(trace, unknown, sizes)
        if spec is None:
            shapes = {i: tuple(x.shape) for i, x in enumerate(flat) if hasattr(x, "shape")}
            spec = unification.unified(trace, shapes, set(symbols), _unknown_size(0), attempts)
        if spec is None:
            with contextlib.suppress(Exception):  # whether the function asks for values
                error = _dependence_on_values(trace) or error
            raise _in_users_words(error) from None
    specs, outputs = flatten(spec)
    found = [
        KerasTensor(show_shape(s.shape), kind if kind == "string" else s.dtype, kind == "sparse")
        for s, kind in zip(specs, kinds)
    ]
    return jax.tree.unflatten(outputs, found)


def _dependence_on_values(trace: Callable) -> Exception | None:
    """The error of a function that asks for values, of which an error about sizes says nothing."""
    try:
        trace(lambda operand, axis: 2)
    except DEPENDS_ON_VALUES as error:
        return error
    return None


def _kind(x: Any) -> str:
    """`"sparse"` or `"string"` for an array that JAX does not know, otherwise nothing."""
    if isinstance(x, Text) or (isinstance(x, np.ndarray) and x.dtype.kind == "O"):
        return "string"
    return "sparse" if sparsity.is_sparse(x) else ""


def _in_users_words(error: Exception) -> Exception:
    """The error with `None` in place of the symbol that stood for an unknown size."""
    error.args = tuple(
        re.sub(r"\bd\d+\b", "None", a) if isinstance(a, str) else a for a in error.args
    )
    return error


# -- operations -------------------------------------------------------------------------------


def is_keras_tensor(x: Any) -> bool:
    """Whether it is a symbolic tensor, which `Input` makes.

    >>> is_keras_tensor(KerasTensor((None, 2))), is_keras_tensor(2.0)
    (True, False)
    """
    return isinstance(x, KerasTensor)


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The tensors that were given for a model's data and that a symbolic tensor was computed of.

    Raises ValueError for an object that is not a symbolic tensor.

    >>> from keraslike import Input
    >>> a, b = Input((2,), name="a"), Input((2,), name="b")
    >>> [tensor.name for tensor in get_source_inputs(a + b * a)]
    ['a', 'b']
    """
    if not isinstance(tensor, KerasTensor):
        raise ValueError(f"tensor must be a KerasTensor. Received: tensor={tensor!r}")
    found: list[KerasTensor] = []
    waiting, seen = [tensor], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        inputs = [] if tensor._keras_history is None else tensor._keras_history.node.inputs
        if not inputs:
            found.append(tensor)
        waiting += reversed(inputs)
    return found
