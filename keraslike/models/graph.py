"""The graph of a functional model, as plain data: which operation is applied to which tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from keraslike import ops
from keraslike.core import context, sparsity
from keraslike.core.annotations import shown
from keraslike.core.arguments import warn_user
from keraslike.core.probing import SizeTooLarge
from keraslike.core.static import Shape, Static
from keraslike.core.structures import map_leaves, tree_map
from keraslike.core.symbolic import KerasTensor, Node, nodes_before, show_shape
from keraslike.core.text import Text, is_text
from keraslike.layers import InputLayer


@dataclasses.dataclass(frozen=True)
class Ref:
    """A reference to a tensor of the graph, by number."""

    index: int


@dataclasses.dataclass
class Step:
    """One application of an operation, which is given by its index in the model's list."""

    operation: int
    args: tuple
    kwargs: dict[str, Any]
    outputs: tuple[int, ...]


@dataclasses.dataclass
class Input:
    """The specification of an input of the graph."""

    name: str = dataclasses.field(compare=False)
    shape: Shape
    dtype: str
    index: int
    optional: bool = False
    sparse: bool = False
    # Whether the sizes are only an example, so that only the rank is checked.
    any_size: bool = False
    # The path in the structure of all inputs.
    path: str = dataclasses.field(compare=False, default="")


class Graph:
    """The steps in an executable order, and the structures of inputs and outputs."""

    def __init__(
        self,
        inputs: list[Input],
        structure: Any,
        steps: list[Step],
        outputs: Any,
        output_names: list[str],
    ):
        self.inputs, self.structure, self.steps, self.outputs = inputs, structure, steps, outputs
        self.output_names = output_names

    def _key(self) -> Static:
        return Static((self.inputs, self.structure, self.steps, self.outputs))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((len(self.inputs), len(self.steps)))

    def run(self, operations: list[Any], inputs: Any, name: str, masks: Any = None) -> Any:
        """The outputs for input arrays, with the given masks or those that they carry."""
        values: dict[int, Any] = {}
        for spec, value in zip(self.inputs, self._flatten(inputs, name), strict=True):
            values[spec.index] = standardize_input(value, spec, name)
        given: list[Any] = []
        if masks is not None:
            given = list(zip(values.values(), self._flatten(masks, name)))
        with context.masked([(x, m) for x, m in given if m is not None]):
            return self.run_steps(operations, values)

    def run_steps(self, operations: list[Any], values: dict[int, Any]) -> Any:
        def fill(x: Any) -> Any:
            return values[x.index] if type(x) is Ref else x

        for step in self.steps:
            args = step.args
            if len(args) == 1 and type(args[0]) is Ref and not step.kwargs:
                result = operations[step.operation](values[args[0].index])
            else:
                args, kwargs = tree_map(fill, (args, step.kwargs))
                result = operations[step.operation](*args, **kwargs)
            if context.state.symbolic:
                jax.tree.map(_check_sizes, result)
            if len(step.outputs) == 1 and not isinstance(result, (list, tuple, dict)):
                values[step.outputs[0]] = result
            else:
                found = jax.tree.leaves(result)
                # compute_output_shape may have announced an output where the call returns None.
                if len(found) < len(step.outputs):
                    found = jax.tree.leaves(result, is_leaf=lambda x: x is None)
                values.update(zip(step.outputs, found, strict=True))
        outputs = map_leaves(fill, self.outputs)
        one = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        # A list with a single tensor is equivalent to the tensor.
        return outputs[0] if one else outputs

    def output_spec(self, operations: list[Any], inputs: Any, name: str) -> Any:
        """The outputs for symbolic inputs; each operation computes its own shapes."""
        return self.run([op.compute_output_spec for op in operations], inputs, name)

    def _flatten(self, inputs: Any, name: str) -> list[Any]:
        """The input arrays in the order of `self.inputs`, matched by structure or by name.

        Raises ValueError for inputs that cannot be told apart so.
        """
        names = [spec.name for spec in self.inputs]
        found: dict[int, Any] = {}
        extra: list[str] = []
        if not _match(self.structure, inputs, found, extra):
            found, extra = {}, []
            keys = list(self.structure) if isinstance(self.structure, dict) else None
            if isinstance(inputs, dict):
                flat = keys and all(isinstance(x, Ref) for x in self.structure.values())
                if flat or not set(names) <= set(inputs):
                    missing = [k for k in keys or names if k not in inputs]
                    lacks = missing or "some of what is inside"
                    raise ValueError(
                        f"{_OTHER} Model '{name}' has inputs {keys or names}; the dict it was "
                        f"given lacks {lacks}. Its keys: {list(inputs)}"
                    )
                found = {spec.index: inputs[spec.name] for spec in self.inputs}
                extra = [k for k in inputs if k not in names]
                if keys and not extra:
                    said = f"Model '{name}' has inputs {keys}; it was given {list(inputs)}."
                    _warn(inputs, said)
            else:
                flat = _leaves(inputs)
                if len(flat) != len(names):
                    named = f"named input(s) with keys {keys}" if keys else f"input(s) {names}"
                    raise ValueError(
                        f"Model '{name}' expects {len(names)} {named}; "
                        f"{len(flat) if isinstance(inputs, (list, tuple)) else 'one'} "
                        f"{'were' if len(flat) != 1 else 'was'} given."
                    )
                if keys and len(flat) > 1:
                    kind = type(inputs).__name__
                    if not _in_order(self.structure):
                        raise ValueError(
                            f"{_OTHER} Model '{name}' has inputs {keys} and takes a dict: of a "
                            f"{kind} nobody knows which is which."
                        )
                    _warn(inputs, f"Model '{name}' has inputs {keys}; it was given a {kind}.")
                found = {spec.index: x for spec, x in zip(self.inputs, flat)}
        if extra:
            _warn(
                inputs,
                f"Model '{name}' has inputs {names}; it was also given {extra}, which it ignores.",
            )
        return [found[spec.index] for spec in self.inputs]


_OTHER = "The structure of `inputs` doesn't match the expected structure."


def _warn(inputs: Any, said: str) -> None:
    shapes_only = context.state.symbolic or any(isinstance(x, KerasTensor) for x in _leaves(inputs))
    if not shapes_only:
        warn_user(f"{_OTHER} {said}")


def _is_leaf(x: Any) -> bool:
    return x is None or is_text(x)


def _leaves(inputs: Any) -> list[Any]:
    return jax.tree.leaves(inputs, is_leaf=_is_leaf)


def _match(structure: Any, given: Any, found: dict[int, Any], extra: list[str]) -> bool:
    """Whether inputs have a structure; lists, tuples and named tuples are equivalent.

    Adds the inputs by number to `found`, and the names of superfluous dict entries to `extra`.
    """
    if isinstance(structure, Ref):
        if isinstance(given, (list, tuple)) and len(given) == 1:  # A list with a single tensor.
            (given,) = given
        if isinstance(given, (list, tuple, dict)):
            return False
        found[structure.index] = given
        return True
    if isinstance(structure, dict):
        if not isinstance(given, dict) or not set(structure) <= set(given):
            return False
        extra += [k for k in given if k not in structure]
        return all(_match(s, given[k], found, extra) for k, s in structure.items())
    if len(structure) == 1 and not isinstance(given, (list, tuple)):
        given = [given]
    if not isinstance(given, (list, tuple)) or len(given) != len(structure):
        return False
    return all(_match(s, g, found, extra) for s, g in zip(structure, given))


def _in_order(structure: Any) -> bool:
    """Whether the order of the inputs is unambiguous: for a dict, if it is sorted by key."""
    if isinstance(structure, dict):
        return list(structure) == sorted(structure) and all(map(_in_order, structure.values()))
    return isinstance(structure, Ref) or all(map(_in_order, structure))


# The largest size in traces of shapes, and the most characters of a symbolic one. Otherwise a few
# layers that square a size would create numbers or formulas that exhaust memory.
_MOST, _LONGEST = 2**63, 2000


def _check_sizes(tensor: Any) -> None:
    for size in getattr(tensor, "shape", ()):
        if size >= _MOST if isinstance(size, int) else len(str(size)) > _LONGEST:
            raise SizeTooLarge(
                "A tensor in the graph has a size that is too large for any computer."
            )


def standardize_input(value: Any, spec: Input, model: str) -> Any:
    """Converts an input array to the rank and the dtype that the model's Input declares.

    Raises ValueError for a shape that does not match, naming the axis. The batch may have any size.
    """
    if value is None:
        if spec.optional:
            return None
        raise ValueError(f"Input '{spec.name}' of model '{model}' is not optional, but is None.")
    given = value
    shape, wanted = tuple(value.shape), spec.shape
    if (value.dtype == "string") != (spec.dtype == "string"):
        raise ValueError(
            f"Input '{spec.name}' of model '{model}' takes {_content(spec.dtype)}. "
            f"Received {_content(value.dtype)}, of shape {show_shape(shape)}."
        )
    if spec.dtype == "string":
        value = _reshaped(value, wanted)
    elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
        value = ops.squeeze(value, -1)
    elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        value = ops.expand_dims(value, -1)
    got = tuple(value.shape)
    problem = None
    if len(got) != len(wanted):
        problem = f"expected ndim={len(wanted)}, found ndim={len(shape)}"
    elif not spec.any_size:
        for axis, (g, w) in enumerate(zip(got, wanted)):
            if axis and w is not None and g != w and isinstance(g, int):
                problem = f"expected axis {axis} of input shape to have value {w}"
                break
    if problem:
        raise ValueError(
            f"The input with name '{spec.name}' and path '{spec.path}' of model '{model}': "
            f"{problem} (expected shape={tuple(wanted)}, found shape={show_shape(shape)})."
        )
    if not spec.sparse:
        value = sparsity.dense(value)
    same = value.dtype == spec.dtype
    # Without 64-bit numbers this includes int64.
    if not same and not isinstance(value, (KerasTensor, Text)):
        same = value.dtype == jax.dtypes.canonicalize_dtype(spec.dtype)
    if not same:
        value = ops.cast(value, spec.dtype)
    mask = None if value is given else context.get_mask(given)
    if mask is not None:
        context.set_mask(value, mask)
    return value


def _content(dtype: Any) -> str:
    return "text" if dtype == "string" else f"numbers of dtype {dtype}"


def _reshaped(value: Any, wanted: Shape) -> Any:
    """Text with a last axis of size 1 added or removed."""
    shape = tuple(value.shape)
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        shape = (*shape, 1)
    else:
        return value
    return value.reshaped(shape) if isinstance(value, Text) else KerasTensor(shape, "string")


def trace_graph(inputs: Any, outputs: Any) -> tuple[Graph, list[Any]]:
    """The graph between symbolic tensors, and its operations in Keras's order.

    The order (by depth, with the inputs deepest, then by first visit) is that of `model.layers`,
    and therefore of the weights and of the names in a saved file.
    """
    flat_inputs: list[KerasTensor] = jax.tree.leaves(inputs)
    flat_outputs: list[KerasTensor] = jax.tree.leaves(outputs)
    for what, tensors in (("inputs", flat_inputs), ("outputs", flat_outputs)):
        for t in tensors:
            if not isinstance(t, KerasTensor):
                raise ValueError(
                    f"All `{what}` values must be KerasTensors, the symbolic tensors made by "
                    f"Input() and layers called on them. Received: {shown(t)}"
                )
    if not flat_inputs or not flat_outputs:
        raise ValueError("A model needs at least one input and one output.")
    is_input = {id(t) for t in flat_inputs}
    order: list[Node] = []
    first_visit: dict[int, int] = {}
    finished: set[int] = set()

    def enter(tensor: KerasTensor) -> Node | None:
        if tensor._keras_history is None:
            if id(tensor) in is_input:
                return None
            raise ValueError(f"{connected} {tensor!r}, which comes from no Input().")
        node = tensor._keras_history.node
        if id(node) in finished:
            return None
        if node.inputs and id(tensor) in is_input:
            finished.add(id(node))
            return None
        first_visit.setdefault(id(node.operation), len(first_visit))
        if not node.inputs and id(tensor) not in is_input:
            raise ValueError(f"{connected} {tensor!r}, which is not among the inputs.")
        finished.add(id(node))
        return node

    for path, t in zip(jax.tree.leaves_with_path(outputs), flat_outputs):
        connected = (
            f"Output with path `{_dotted(path[0])}` is not connected to `inputs`: it depends on"
        )
        order += nodes_before(t, enter)
    in_graph = {id(n) for n in order}

    node_depth: dict[int, int] = {}
    operation_depth: dict[int, int] = {}
    by_id: dict[int, Any] = {}
    for node in reversed(order):
        op = node.operation
        by_id[id(op)] = op
        depth = max(node_depth.setdefault(id(node), 0), operation_depth.get(id(op), 0))
        operation_depth[id(op)] = node_depth[id(node)] = depth
        for t in node.inputs:
            parent = t._keras_history and t._keras_history.node
            if parent is not None and id(parent) in in_graph:
                node_depth[id(parent)] = max(depth + 1, node_depth.get(id(parent), 0))

    specs = []
    deepest = max(operation_depth.values(), default=0) + 1
    paths = [_dotted(path) for path, _ in jax.tree.leaves_with_path(inputs)]
    for i, t in enumerate(flat_inputs):
        node = t._keras_history and t._keras_history.node
        op = node and node.operation
        if node is None or node.inputs:  # An input of another graph is an input of this one.
            op = InputLayer(batch_shape=t.shape, dtype=t.dtype)
            operation_depth[id(op)], first_visit[id(op)] = deepest, i - len(flat_inputs)
        elif id(op) not in operation_depth:  # An input without dependents.
            operation_depth[id(op)], first_visit[id(op)] = 0, -1
        by_id[id(op)] = op
        optional = bool(getattr(op, "optional", False))
        name = str(op.name)  # type: ignore[union-attr]
        specs.append(Input(name, t.shape, t.dtype, i, optional, t.sparse, path=paths[i]))

    operations = sorted(by_id.values(), key=lambda o: (-operation_depth[id(o)], first_visit[id(o)]))
    names = [str(o.name) for o in operations]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ValueError(f"Layers of a model must have different names. Used twice: {twice}")
    place = {id(o): i for i, o in enumerate(operations)}

    number = {id(t): i for i, t in enumerate(flat_inputs)}

    def ref(x: Any) -> Any:
        return Ref(number[id(x)]) if isinstance(x, KerasTensor) else x

    steps = []
    for node in order:
        if not node.inputs:
            continue
        args, kwargs = tree_map(ref, (node.args, node.kwargs))
        for t in node.outputs:
            number.setdefault(id(t), len(number))
        produced = tuple(number[id(t)] for t in node.outputs)
        steps.append(Step(place[id(node.operation)], args, kwargs, produced))
    structure = map_leaves(ref, inputs)  # jax would sort the keys of a dict.
    output_names = [str(t._keras_history.operation.name) for t in jax.tree.leaves(outputs)]
    graph = Graph(specs, structure, steps, map_leaves(ref, outputs), output_names)
    return graph, operations


def _dotted(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
