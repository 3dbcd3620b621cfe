"""The graph of a traced function: its jaxpr, with TensorFlow's names of operations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
from jax.extend import core as jex

from keraslike.tf import dtypes
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.signatures import TensorSpec

# JAX primitive -> TensorFlow's name of the operation, and its type if that differs.
_OPERATIONS = {
    primitive: tuple(names.split())
    for primitive, names in {
        "abs": "Abs", "acos": "Acos", "add": "add AddV2", "add_any": "add AddV2",
        "and": "and LogicalAnd", "argmax": "ArgMax", "argmin": "ArgMin", "asin": "Asin",
        "atan": "Atan", "atan2": "Atan2", "broadcast_in_dim": "BroadcastTo", "ceil": "Ceil",
        "cholesky": "Cholesky", "clamp": "clip_by_value ClipByValue",
        "concatenate": "concat ConcatV2", "cond": "cond If", "conv_general_dilated": "Conv2D",
        "convert_element_type": "Cast", "cos": "Cos", "cosh": "Cosh", "cumprod": "Cumprod",
        "cumsum": "Cumsum", "div": "truediv RealDiv", "dot_general": "MatMul",
        "dynamic_slice": "strided_slice StridedSlice", "eq": "Equal", "erf": "Erf", "exp": "Exp",
        "expm1": "Expm1", "floor": "Floor", "gather": "GatherV2", "ge": "GreaterEqual",
        "gt": "Greater", "integer_pow": "pow Pow", "iota": "range Range", "is_finite": "IsFinite",
        "le": "LessEqual", "lgamma": "Lgamma", "log": "Log", "log1p": "Log1p",
        "logistic": "Sigmoid", "lt": "Less", "max": "Maximum", "min": "Minimum", "mul": "mul Mul",
        "ne": "NotEqual", "neg": "Neg", "not": "LogicalNot", "or": "or LogicalOr",
        "pad": "Pad PadV2", "pow": "pow Pow", "random_bits": "random_uniform RandomUniform",
        "reduce_and": "All", "reduce_max": "Max", "reduce_min": "Min", "reduce_or": "Any",
        "reduce_prod": "Prod", "reduce_sum": "Sum", "rem": "mod Mod", "reshape": "Reshape",
        "rev": "ReverseV2", "round": "Round", "rsqrt": "Rsqrt", "scan": "while StatelessWhile",
        "scatter": "TensorScatterUpdate", "scatter-add": "TensorScatterAdd", "select_n": "SelectV2",
        "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "slice": "strided_slice StridedSlice",
        "sort": "SortV2", "sqrt": "Sqrt", "square": "Square", "squeeze": "Squeeze",
        "stop_gradient": "StopGradient", "sub": "sub Sub", "tan": "Tan", "tanh": "Tanh",
        "top_k": "TopKV2", "transpose": "transpose Transpose", "while": "while StatelessWhile",
    }.items()
}  # fmt: skip
# Functions of JAX's that are one operation in TensorFlow.
_CALLS = {"relu": "Relu", "relu6": "Relu6", "elu": "Elu", "selu": "Selu", "softplus": "Softplus"}
_TYPES = {
    "bool": "BOOL", "string": "STRING", "float16": "HALF", "bfloat16": "BFLOAT16",
    "float32": "FLOAT", "float64": "DOUBLE", "resource": "RESOURCE",
}  # fmt: skip


class SymbolicTensor:
    """A result of an operation of a graph."""

    def __init__(self, op: Operation, number: int, shape: Any, dtype: Any):
        self.op, self.value_index = op, number
        self.shape = TensorShape(shape)
        self.dtype = dtype

    @property
    def name(self) -> str:
        return f"{self.op.name}:{self.value_index}"

    @property
    def graph(self) -> Graph:
        return self.op.graph

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={self.shape} dtype={_name_of(self.dtype)}>"

    def __str__(self) -> str:
        return f'Tensor("{self.name}", shape={self.shape}, dtype={_name_of(self.dtype)})'


def _name_of(dtype: Any) -> str:
    return dtype if isinstance(dtype, str) else dtypes.as_dtype(dtype).name


class Operation:
    """An operation of the graph of a traced function: its `type`, `inputs` and `outputs`.

    >>> from keraslike import tf
    >>> double = tf.function(lambda x: x * 2.0).get_concrete_function(tf.TensorSpec([3]))
    >>> [operation.type for operation in double.graph.get_operations()]
    ['Placeholder', 'Const', 'Mul', 'Identity']
    """

    def __init__(self, graph: Graph, name: str, kind: str, inputs: Sequence[SymbolicTensor]):
        self.graph, self.name, self.type = graph, name, kind
        self.inputs = tuple(inputs)
        self.outputs: list[SymbolicTensor] = []

    def __repr__(self) -> str:
        return f"<tf.Operation {self.name!r} type={self.type}>"


class Graph:
    """The operations of a traced function, in the order in which they run.

    Calls of functions are inlined.
    """

    def __init__(self) -> None:
        self._operations: dict[str, Operation] = {}

    def get_operations(self) -> list[Operation]:
        """All operations."""
        return list(self._operations.values())

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of a name. Raises KeyError for an unknown name."""
        if name not in self._operations:
            raise KeyError(
                f"The graph has no operation {name!r}. It has: {', '.join(self._operations)}."
            )
        return self._operations[name]

    def get_tensor_by_name(self, name: str) -> SymbolicTensor:
        """The result `operation:number`. Raises KeyError for an unknown name."""
        operation, _, number = name.partition(":")
        outputs = self.get_operation_by_name(operation).outputs
        if not number.isdecimal() or int(number) >= len(outputs):
            raise KeyError(f"{operation!r} has {len(outputs)} outputs. Received: {name!r}.")
        return outputs[int(number)]

    def as_graph_element(self, name: str) -> Operation | SymbolicTensor:
        """The operation of a name, or the result of a name with a number."""
        return (self.get_tensor_by_name if ":" in name else self.get_operation_by_name)(name)

    def free(self, name: str) -> str:
        """The name, with a number appended if an operation has it already."""
        found, number = name, 0
        while found in self._operations:
            number += 1
            found = f"{name}_{number}"
        return found

    def add(
        self, name: str, kind: str, inputs: Sequence[SymbolicTensor], avals: Sequence[tuple]
    ) -> list[SymbolicTensor]:
        """Adds an operation, and returns its results, of the given shapes and dtypes."""
        name = self.free(name)
        operation = self._operations[name] = Operation(self, name, kind, inputs)
        operation.outputs = [SymbolicTensor(operation, i, *a) for i, a in enumerate(avals)]
        return operation.outputs

    def __repr__(self) -> str:
        return f"PyGraph<{id(self)}>"


def of_jaxpr(
    closed: Any,
    inputs: Sequence[tuple[str, bool, tuple] | None],
    count: int,
    captured: Collection[int] = (),
) -> tuple[Graph, list[SymbolicTensor], list[SymbolicTensor]]:
    """The graph of a jaxpr, its placeholders and its results.

    Args:
        count: the number of results; further outputs are new values of Variables.
        inputs: for each input its name, whether it is the value of a Variable, and its shape and
            dtype; `None` for an unused input.
        captured: which inputs are no arguments. They come after those that are.
    """
    graph, known = Graph(), {}
    jaxpr = closed.jaxpr
    placeholders = []
    places = [i for i, given in enumerate(inputs) if given is not None]
    for place in sorted(places, key=lambda i: i in captured):
        var, given = jaxpr.invars[place], inputs[place]
        assert given is not None
        name, resource, aval = given
        shown = ((), "resource") if resource else aval
        (tensor,) = graph.add(name, "Placeholder", (), [shown])
        placeholders.append(tensor)
        if resource:
            (tensor,) = graph.add("ReadVariableOp", "ReadVariableOp", (tensor,), [aval])
        known[var] = tensor
    _add_constants(graph, closed, known)
    _add(graph, jaxpr, known)
    results = []
    for number, var in enumerate(jaxpr.outvars):
        tensor = _input(graph, known, var, "Const")
        if number >= count:
            graph.add("AssignVariableOp", "AssignVariableOp", (tensor,), ())
            continue
        results += graph.add("Identity", "Identity", (tensor,), [(tensor.shape, tensor.dtype)])
    return graph, placeholders, results


def of_python(
    given: Sequence[tuple[str, TensorSpec]], made: Sequence[TensorSpec]
) -> tuple[Graph, list[SymbolicTensor], list[SymbolicTensor]]:
    """The graph of a function that Python runs, which is one operation in it."""
    graph = Graph()
    inputs = [graph.add(n, "Placeholder", (), [(s.shape, s.dtype)])[0] for n, s in given]
    outputs = graph.add("PyFunc", "EagerPyFunc", inputs, [(s.shape, s.dtype) for s in made])
    return graph, inputs, list(outputs)


def _input(graph: Graph, known: dict[Any, SymbolicTensor], var: Any, name: str) -> SymbolicTensor:
    """An input of an operation. A literal becomes a constant named after the operation."""
    if isinstance(var, jex.Literal) or var not in known:
        return graph.add(name, "Const", (), [(var.aval.shape, var.aval.dtype)])[0]
    return known[var]


def _add_constants(graph: Graph, closed: Any, known: dict[Any, SymbolicTensor]) -> Any:
    """Adds the constants of a jaxpr, except for scalars, and returns the jaxpr."""
    jaxpr = getattr(closed, "jaxpr", closed)
    for var in jaxpr.constvars:
        if var.aval.shape:
            (known[var],) = graph.add("Const", "Const", (), [(var.aval.shape, var.aval.dtype)])
    return jaxpr


def _add(graph: Graph, jaxpr: Any, known: dict[Any, SymbolicTensor]) -> None:
    for eqn in jaxpr.eqns:
        primitive, params = eqn.primitive.name, eqn.params
        inner = params.get("call_jaxpr", params.get("fun_jaxpr"))
        if inner is None and primitive in ("jit", "pjit", "closed_call", "checkpoint", "remat2"):
            inner = params.get("jaxpr")
        about = getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
        call = _CALLS.get(getattr(about, "func_name", "")) if len(eqn.invars) == 1 else None
        if inner is not None and call is None:
            _inline(graph, inner, eqn, known)
            continue
        names = _OPERATIONS.get(primitive) or ["".join(map(str.title, primitive.split("_")))]
        names = [call] if call else names
        name, kind = names[0], names[-1]
        at = graph.free(name)
        inputs = [
            _input(graph, known, var, f"{at}/{'xyz'[min(i, 2)]}")
            for i, var in enumerate(eqn.invars)
        ]
        if primitive == "integer_pow":
            inputs += graph.add(f"{at}/y", "Const", (), [((), eqn.outvars[0].aval.dtype)])
        avals = [(v.aval.shape, v.aval.dtype) for v in eqn.outvars]
        known |= dict(zip(eqn.outvars, graph.add(name, kind, inputs, avals)))


def _inline(graph: Graph, inner: Any, eqn: Any, known: dict[Any, SymbolicTensor]) -> None:
    ours: dict[Any, SymbolicTensor] = {}
    inner = _add_constants(graph, inner, ours)
    for var, given in zip(inner.invars, eqn.invars):
        if not isinstance(given, jex.Literal) and given in known:
            ours[var] = known[given]
    _add(graph, inner, ours)
    for var, given in zip(eqn.outvars, inner.outvars):
        known[var] = _input(graph, ours, given, "Const")


class Argument:
    """An argument or result in the signature of a function."""

    def __init__(self, name: str, dtype: Any):
        self.name, self._dtype = name, _name_of(dtype)

    @property
    def type(self) -> str:
        return f"DT_{_TYPES.get(self._dtype, self._dtype.upper())}"

    def __repr__(self) -> str:
        return f'name: "{self.name}"\ntype: {self.type}\n'


class Signature:
    """The name, arguments and results of a function."""

    def __init__(self, name: str, input_arg: list[Argument], output_arg: list[Argument]):
        self.name, self.input_arg, self.output_arg = name, input_arg, output_arg

    def __repr__(self) -> str:
        lines = [f'name: "{self.name}"']
        for field in ("input_arg", "output_arg"):
            for each in getattr(self, field):
                inside = repr(each).splitlines()
                lines += [f"{field} {{", *(f"  {line}" for line in inside), "}"]
        return "\n".join(lines) + "\n"


class FunctionDef:
    """The signature and the operations of a function, as TensorFlow prints them."""

    def __init__(self, signature: Signature, node_def: list[Operation]):
        self.signature, self.node_def = signature, node_def

    def __repr__(self) -> str:
        nodes = "".join(
            f'node_def {{\n  name: "{op.name}"\n  op: "{op.type}"\n'
            + "".join(f'  input: "{tensor.name}"\n' for tensor in op.inputs)
            + "}\n"
            for op in self.node_def
        )
        inside = "".join(f"  {line}\n" for line in repr(self.signature).splitlines())
        return f"signature {{\n{inside}}}\n{nodes}"


def argument_names(function: Callable, structure: Any) -> list[str]:
    """The name of each leaf of `(args, kwargs)`: its parameter, and its path within that."""
    names: list[str] = []
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    places = [
        p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    rest = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), "args")
    filled = jax.tree.unflatten(structure, range(structure.num_leaves))
    for (_, place, *inside), _ in jax.tree_util.tree_leaves_with_path(filled):
        key = _key(place)
        if isinstance(key, int):
            key = places[key] if key < len(places) else f"{rest}_{key - len(places)}"
        names.append("_".join(map(str, [key, *map(_key, inside)])))
    return names


def pretty(
    signature: Any, function: Callable, results: Any, captures: Any, verbose: bool = True
) -> str:
    """A traced function's parameters with the types they were traced for, its results, and the
    variables and tensors that it captures, a line each; if not `verbose`, one line without these.
    """
    given = _parameters(signature, function)
    if not verbose:
        shown = ", ".join(f"{name}: {_pretty(value, name)}" for name, _, value in given)
        return f"({shown}) -> {_pretty(results)}"
    lines = [f"  {name} ({kind}): {_pretty(value, name)}" for name, kind, value in given]
    captured = [
        f"  {id(x)}: TensorSpec(shape={TensorShape(x.shape)}, "
        f"dtype=tf.{'resource' if hasattr(x, '_raw_value') else _name_of(x.dtype)}, name=None)"
        for x in captures
    ]
    output = ["Output Type:", f"  {_pretty(results)}", "Captures:", *(captured or ["  None"])]
    return "\n".join(["Input Parameters:", *lines, *output])


def _parameters(given: Any, function: Callable) -> list[tuple[str, str, Any]]:
    """The name, the kind and the type of each parameter."""
    args, kwargs = given
    parameters = inspect.signature(function).parameters
    kinds = inspect.Parameter
    places = [n for n, p in parameters.items() if p.kind.value < kinds.VAR_POSITIONAL.value]
    varied = any(p.kind is kinds.VAR_POSITIONAL for p in parameters.values())
    kind = "POSITIONAL_ONLY" if varied else "POSITIONAL_OR_KEYWORD"
    found = [(places[i] if i < len(places) else f"args_{i - len(places)}", kind, value)
             for i, value in enumerate(args)]  # fmt: skip
    return found + [(name, "KEYWORD_ONLY", value) for name, value in kwargs.items()]


def signature(given: Any, function: Callable, results: Any) -> inspect.Signature:
    """The parameters and results of a traced function, as `inspect` describes them."""
    kinds = inspect.Parameter
    parameters = [
        kinds(name, getattr(kinds, kind), annotation=_Shown(_pretty(value, name)))
        for name, kind, value in _parameters(given, function)
    ]
    return inspect.Signature(parameters, return_annotation=_Shown(_pretty(results)))


class _Shown(str):
    __repr__ = str.__str__


def _pretty(value: Any, name: str = "") -> str:
    if isinstance(value, dict):
        items = [f"[{key!r}, {_pretty(v, f'{name}_{key}')}]" for key, v in value.items()]
        return f"Dict[{', '.join(items)}]"
    if isinstance(value, (list, tuple)):
        items = [_pretty(v, f"{name}_{i}") for i, v in enumerate(value)]
        return f"{type(value).__name__.capitalize()}[{', '.join(items)}]"
    if not hasattr(value, "shape"):
        return f"Literal[{value!r}]"
    if not isinstance(value, TensorSpec):  # of several tensors
        return f"{type(value).__name__}Spec"
    named = value.name
    return repr(value).replace(f"name={named!r}", "name=None") if named == name else repr(value)


def _key(part: Any) -> Any:
    return next(getattr(part, n) for n in ("key", "idx", "name") if hasattr(part, n))
