"""The objects that `tf.saved_model.load` returns, whose functions are programs from files."""

from __future__ import annotations

import inspect
import json
import os
import types
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import base, context, dtypes, lowering
from keraslike.core.context import trace_state_clean
from keraslike.core.structures import map_leaves
from keraslike.core.tensorflow_host import Arguments, HostedModel
from keraslike.core.tensorflow_server import RaggedParts, packed, unpacked
from keraslike.data.sources import paths
from keraslike.export import stablehlo
from keraslike.export.endpoints import Spec, is_spec, stored
from keraslike.export.endpoints import restored as restored_value
from keraslike.export.tensorflow_texts import text_of
from keraslike.tf import strings
from keraslike.tf.concrete import ConcreteFunction
from keraslike.tf.conversion import _as_operand, constant, convert_to_tensor
from keraslike.tf.dtypes import as_dtype
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.function import Function
from keraslike.tf.indexing import gather
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.recording import Call
from keraslike.tf.signatures import TensorSpec
from keraslike.tf.tensor import WIDE, Tensor, run, wrap
from keraslike.tf.variables import Variable, _Unread

ASSETS_DIRECTORY = "assets"


class _UserObject(base.Object):
    """A restored object, with the attributes of the saved one."""

    tensorflow_version = "2.21.0"
    graph_debug_info = None


class _CallableObject(_UserObject):
    """A restored object with a `tf.function` as its `__call__`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return vars(self)["__call__"](*args, **kwargs)


class Asset(base.Object):
    """A file that belongs to an object: `tf.saved_model.save` copies it, and the loaded object has
    the copy.

    Args:
        path: the path of the file, a text or a tensor of text.

    >>> from keraslike import tf
    >>> tf.saved_model.Asset("words.txt").asset_path.numpy()
    b'words.txt'
    """

    def __init__(self, path: Any):
        (self._path,) = paths(path)

    @property
    def asset_path(self) -> Tensor:
        """The path of the file, as a tensor."""
        return convert_to_tensor(self._path)

    def _as_tensor(self) -> Tensor:
        return self.asset_path

    def __fspath__(self) -> str:
        return self._path


def canonical(signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The arguments `(args, kwargs)` in a normal form that equivalent calls share."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


def _objects(nodes: list[dict[str, Any]], made: Callable[[dict[str, Any]], Any]) -> Any:
    """The object that nodes describe, given functions that make variables and functions."""
    known: dict[int, Any] = {}

    def make(number: int) -> Any:
        if number in known:
            return known[number]
        node = nodes[number]
        if node["kind"] in ("variable", "function", "asset"):
            known[number] = made(node)
            return known[number]
        if node["kind"] != "object":
            held = {name: make(child) for name, child in node["children"].items()}
            kinds = {"dict": lambda: held, "tuple": lambda: tuple(held.values())}
            known[number] = kinds.get(node["kind"], lambda: list(held.values()))()
            return known[number]
        kind = _CallableObject if "__call__" in node["children"] else _UserObject
        obj = known[number] = kind()
        for name, child in node["children"].items():
            object.__setattr__(obj, name, make(child))
        return obj

    return make(0)


def _variable(name: str, value: Any, trainable: bool) -> Variable:
    with WIDE(True):
        return Variable(value, trainable=trainable, name=name)


class _Signature:
    """A function from named tensors to named tensors."""

    def __init__(self, inputs: dict[str, Any], outputs: dict[str, Any]):
        self.structured_input_signature = ((), inputs)
        self.structured_outputs = outputs
        self.variables: tuple[Any, ...] = ()

    def _named(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Tensor]:
        specs = self.structured_input_signature[1]
        given = {**dict(zip(specs, args)), **kwargs}
        if (
            len(args) > len(specs)
            or list(given) != list(dict.fromkeys(given))
            or set(given) != set(specs)
        ):
            raise TypeError(
                f"The signature takes the tensors {list(specs)}. Received: {len(args)} by "
                f"position, and {list(kwargs)}."
            )
        tensors = {}
        for name, spec in specs.items():
            tensor = convert_to_tensor(given[name], dtype_hint=spec.dtype)
            if not spec.is_compatible_with(tensor):
                raise TypeError(
                    f"The signature's argument {name!r} is {spec}. Received a tensor of shape "
                    f"{tensor.shape}, dtype {tensor.dtype.name}."
                )
            tensors[name] = tensor
        return tensors

    def __repr__(self) -> str:
        inputs = ", ".join(f"{k}: {v}" for k, v in self.structured_input_signature[1].items())
        return f"<ConcreteFunction (*, {inputs}) -> {self.structured_outputs}>"


# -- programs of StableHLO -----------------------------------------------------------------------


def from_programs(path: str) -> Any:
    """The object that a folder of StableHLO describes or, for a folder by `Model.export`, which has
    no description, an object with the endpoints."""
    with WIDE(True):
        model = stablehlo.load_exported(path)
    manifest = model.manifest
    variables = {
        name: _variable(name, value, manifest["variables"][name]["trainable"])
        for name, value in model.variables.items()
    }
    programs = {
        about["name"]: _Program(about, model.programs[about["name"]], manifest, variables)
        for about in manifest["endpoints"]
    }
    if "objects" not in manifest:
        return _of_endpoints(manifest, variables, programs)
    described = manifest["objects"]

    def made(node: dict[str, Any]) -> Any:
        if node["kind"] == "variable":
            return variables[node["name"]]
        if node["kind"] == "asset":
            return Asset(os.path.join(path, ASSETS_DIRECTORY, node["file"]))
        overloads = [(programs[o["endpoint"]], o["arguments"]) for o in node["overloads"]]
        return RestoredFunction(node["parameters"], overloads)

    root = _objects(described["nodes"], made)
    root.signatures = {
        name: _ProgramSignature(
            [programs[n] for n in about.get("by_rank") or [about["endpoint"]]], about["inputs"]
        )
        for name, about in described["signatures"].items()
    }
    return root


def _of_endpoints(manifest: Any, variables: dict[str, Any], programs: dict[str, Any]) -> Any:
    root = _UserObject()
    for about in manifest["endpoints"]:
        name = about["name"]
        parameters = [[n, "POSITIONAL_OR_KEYWORD", {}] for n in about["arguments"]]
        leaves: list[Any] = []
        specs = (tuple(stablehlo.spec_tree(about["inputs"])), {})
        arguments = packed(specs, leaves, is_spec)
        setattr(root, name, RestoredFunction(parameters, [(programs[name], arguments)]))
    root.variables = list(variables.values())
    root.trainable_variables = [v for v in root.variables if v.trainable]
    root.non_trainable_variables = [v for v in root.variables if not v.trainable]
    for name, members in manifest["collections"].items():
        setattr(root, name, [variables[n] for n in members])
    return root


# What `text_of` uses of TensorFlow.
_TEXTS = types.SimpleNamespace(constant=constant, gather=gather, string="string", strings=strings)


class _Program:
    """A program, applied to its variables."""

    def __init__(self, about: Any, exported: Any, manifest: Any, variables: dict[str, Any]):
        self.about = about
        self.specs = jax.tree.leaves(stablehlo.spec_tree(about["inputs"]), is_leaf=is_spec)
        made, tree = jax.tree.flatten(stablehlo.spec_tree(about["outputs"]), is_leaf=is_spec)
        self._made = about.get("made") or [None] * len(made)
        self.outputs = jax.tree.unflatten(
            tree,
            [
                TensorSpec(s.shape, s.dtype if text is None else "string")
                for s, text in zip(made, self._made, strict=True)
            ],
        )
        names = sorted(variables)  # JAX sorts the keys of dicts
        needed = {*about.get("reads", names), *about["updates"]}
        used = [n for n in names if n in needed]
        absent = {
            n: np.zeros(variables[n].shape, manifest["variables"][n]["stored"])
            for n in names
            if n not in used
        }
        structure = stablehlo.spec_tree(about["inputs"])
        kinds = {n: jnp.dtype(manifest["variables"][n]["dtype"]) for n in about["updates"]}

        def on_values(*values: Any) -> list[Any]:
            weights = {n: stored(v) for n, v in zip(used, values)}
            given = _filled(structure, iter(values[len(used) :]))
            found = exported.call({**absent, **weights}, *given)
            outputs, new = found if about["updates"] else (found, {})
            return [
                *jax.tree.leaves(outputs),
                *(restored_value(new[n], kinds[n]) for n in about["updates"]),
            ]

        self.variables = tuple(variables[n] for n in used)
        self._changed = [variables[n] for n in about["updates"]]
        self._run = Call(on_values)

    def on(self, tensors: Sequence[Tensor]) -> Any:
        """The outputs for tensors in the order of the arguments."""
        found = run(self._run, [*self.variables, *tensors])
        count = len(found) - len(self._changed)
        lowering.write(self._changed, [t._value for t in found[count:]])
        for i, described in enumerate(self._made):
            if described is not None:
                found[i] = text_of(_TEXTS, described, found[i], ())
        structure = jax.tree.structure(self.outputs, is_leaf=lambda x: isinstance(x, TensorSpec))
        return with_ragged(jax.tree.unflatten(structure, found[:count]))


jax.tree_util.register_pytree_node(
    RaggedParts, lambda parts: (tuple(parts), None), lambda _, parts: RaggedParts(parts)
)
_RAGGED = "ragged tensor"  # the only key of a dict in the place of a ragged tensor


def without_ragged(outputs: Any) -> Any:
    """The outputs with the values and splits of ragged tensors in their places."""
    return map_leaves(
        lambda x: {_RAGGED: [x.flat_values, *x.nested_row_splits]} if _is_ragged(x) else x,
        outputs,
        _is_ragged,
    )


def with_ragged(outputs: Any) -> Any:
    """The inverse of `without_ragged`; also of ragged tensors that TensorFlow has returned."""
    if isinstance(outputs, RaggedParts) or (
        isinstance(outputs, dict) and list(outputs) == [_RAGGED]
    ):
        values, *splits = outputs[_RAGGED] if isinstance(outputs, dict) else outputs
        return RaggedTensor.from_nested_row_splits(values, splits, validate=False)
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(map(with_ragged, outputs))
    if isinstance(outputs, dict):
        return {key: with_ragged(value) for key, value in outputs.items()}
    return outputs


def _is_ragged(x: Any) -> bool:
    return isinstance(x, RaggedTensor)


def _filled(structure: Any, leaves: Any) -> Any:
    return jax.tree.map(lambda _: next(leaves), structure, is_leaf=is_spec)


class _ProgramSignature(_Signature):
    """A signature of one program, or of one for each rank of tensors whose rank is unknown."""

    def __init__(self, programs: list[_Program], inputs: list[str]):
        one = programs[0]
        specs = [
            TensorSpec(
                own[0].shape if len({len(s.shape) for s in own}) == 1 else None, own[0].dtype, name
            )
            for name, *own in zip(inputs, *(p.specs for p in programs))
        ]
        outputs = {
            name: spec if all(_rank(p.outputs[name]) == _rank(spec) for p in programs)
            else TensorSpec(None, spec.dtype)
            for name, spec in one.outputs.items()
        }  # fmt: skip
        super().__init__(dict(zip(inputs, specs)), outputs)
        self._programs, self.variables = programs, one.variables

    def concrete(self) -> ConcreteFunction:
        """The signature as a function of its tensors, to be saved again."""
        specs = self.structured_input_signature[1]

        def call(*tensors: Any) -> Any:
            return self(**dict(zip(specs, tensors)))

        kind = inspect.Parameter.POSITIONAL_ONLY
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(f"input_{i}", kind) for i in range(len(specs))]
        )
        return Function(call, list(specs.values()), autograph=False).get_concrete_function()

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        tensors = list(self._named(args, kwargs).values())
        ranks = [len(t.shape) for t in tensors]
        for program in self._programs:
            if [len(s.shape) for s in program.specs] == ranks:
                return program.on(tensors)
        raise InvalidArgumentError(f"The signature was not saved for tensors of the ranks {ranks}.")


def _rank(spec: Any) -> int:
    return len(spec.shape)


class RestoredFunction:
    """A restored `tf.function`, with the signatures that it was traced for.

    Raises ValueError for arguments that match none of them.
    """

    def __init__(self, parameters: list[Any], overloads: list[tuple[Any, Any]]):
        kinds = inspect.Parameter
        self.__signature__ = inspect.Signature(
            [
                kinds(name, getattr(kinds, kind), default=default.get("value", kinds.empty))
                for name, kind, default in parameters
            ]
        )
        self._overloads = overloads
        self.variables = tuple({id(v): v for p, _ in overloads for v in p.variables}.values())

    @property
    def concrete_functions(self) -> list[Any]:
        """The programs of its signatures."""
        return [program for program, _ in self._overloads]

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The function traced for these tensors, specs and values: by default those of its only
        signature."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        call.__signature__ = self.__signature__  # type: ignore[attr-defined]
        if not args and not kwargs and len(self._overloads) == 1:
            [(program, arguments)] = self._overloads
            specs = [TensorSpec(s.shape, s.dtype) for s in program.specs]
            args, kwargs = unpacked(arguments, specs)
        return Function(call, autograph=False).get_concrete_function(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._overloads:
            raise ValueError("Found zero restored functions for caller function.")
        given = canonical(self.__signature__, args, kwargs)
        for program, arguments in self._overloads:
            tensors = [None] * len(program.specs)
            if _fits(arguments, given, program.specs, tensors):
                return program.on(tensors)
        options = "\n".join(
            f"Option {n}: {_shown(arguments, program.specs)}"
            for n, (program, arguments) in enumerate(self._overloads, 1)
        )
        raise ValueError(
            "Could not find matching concrete function to call loaded from the SavedModel. Got: "
            f"{given}\n\nExpected these arguments to match one of the following "
            f"{len(self._overloads)} option(s):\n{options}"
        )


def _fits(wanted: Any, given: Any, specs: Sequence[Spec], tensors: list[Any]) -> bool:
    """Whether arguments match a signature; its tensors are appended to `tensors`."""
    ((kind, items),) = wanted.items()
    if kind == "value":
        return type(items) is type(given) and items == given
    if kind == "leaf":
        spec = TensorSpec(specs[items].shape, specs[items].dtype)
        try:
            tensor = convert_to_tensor(given, dtype_hint=spec.dtype)
        except (TypeError, ValueError):
            return False
        tensors[items] = tensor
        return spec.is_compatible_with(tensor)
    if kind == "dict":
        return (
            isinstance(given, dict)
            and set(given) == set(items)
            and all(_fits(item, given[key], specs, tensors) for key, item in items.items())
        )
    if kind == "ragged":
        if not isinstance(given, RaggedTensor):
            return False
        given = [given.flat_values, *given.nested_row_splits]
    return (
        isinstance(given, (list, tuple))
        and len(given) == len(items)
        and all(_fits(*pair, specs, tensors) for pair in zip(items, given))
    )


def _shown(arguments: Any, specs: Sequence[Spec]) -> str:
    return str(unpacked(arguments, [TensorSpec(s.shape, s.dtype) for s in specs]))


# -- functions that TensorFlow runs --------------------------------------------------------------


def from_saved_model(path: str, tags: Any) -> Any:
    """The object of a SavedModel, whose functions run in a process with TensorFlow."""
    model = HostedModel(path, tags)
    variables = [
        _variable(about["name"], value, about["trainable"])
        for about, value in zip(model.variables, model.values)
    ]

    def made(node: dict[str, Any]) -> Any:
        if node["kind"] == "variable":
            return variables[node["number"]]
        if node["kind"] == "asset":
            return Asset(node["path"])
        used = [variables[n] for n in node["variables"]]
        if "inputs" in node:
            return _HostedSignature(model, node, used)
        return _HostedFunction(model, node, used)

    return _objects(model.nodes, made)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (Tensor, Variable, _Unread, jax.Array, np.ndarray, np.generic))


class _HostedFunction:
    """A function of a SavedModel. TensorFlow selects the signature for its arguments."""

    def __init__(self, model: HostedModel, node: dict[str, Any], variables: list[Any]):
        self._model, self._node, self.variables = model, node, tuple(variables)
        self._calls: dict[str, _HostedCall] = {}

    @property
    def concrete_functions(self) -> list[str]:
        """The signatures that the function was traced for, in TensorFlow's form."""
        return list(self._node["overloads"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves: list[Any] = []
        structure = packed((args, kwargs), leaves, _is_tensor)
        plain = [i for i, x in enumerate(leaves) if isinstance(x, (np.ndarray, np.generic))]
        tensors = [_as_operand(x) for x in leaves]
        values = [t._value if isinstance(t, Tensor) else t._raw_value for t in tensors]
        is_text = any(isinstance(v, np.ndarray) and v.dtype == object for v in values)
        if is_text or (trace_state_clean() and not context.state.tapes):
            return self._at_once(Arguments(structure, values, plain))
        key = json.dumps([structure, plain])
        if key not in self._calls:
            self._calls[key] = _HostedCall(self._model, self._node, structure, plain)
        call = self._calls[key]
        found = run(call, [*self.variables, *tensors], own=False)
        changed = self.variables if self._node["changes"] else ()
        count = len(found) - len(changed)
        lowering.write(changed, [t._value for t in found[count:]])
        return with_ragged(jax.tree.unflatten(call.structure, found[:count]))

    def _at_once(self, arguments: Arguments) -> Any:
        state = [v._raw_value for v in self.variables]
        outputs, changed = self._model.call(self._node, arguments, state, trial=False)
        for number, variable in zip(self._node["variables"], self.variables):
            if number in changed:
                with WIDE(True):
                    lowering.write([variable], [jnp.asarray(changed[number])])
                self._model.keep(number, variable._raw_value)
        return with_ragged(wrap(outputs))


class _HostedCall:
    """A call with arguments of one structure, as a function of the values of variables and tensors
    that can be compiled and differentiated."""

    def __init__(self, model: HostedModel, node: dict[str, Any], structure: Any, plain: Any):
        self._model, self._node, self._how = model, node, (structure, plain)
        self._count = len(node["variables"])
        self._specs: dict[Any, Any] = {}
        self.structure: Any = None  # the structure of the outputs
        self.programs: dict[Any, Any] = {}  # programs that tapes compile for it

    def _asked(self, values: Sequence[Any]) -> tuple[Any, ...]:
        given = [np.asarray(v) for v in values]
        structure, plain = self._how
        inputs = Arguments(structure, given[self._count :], plain)
        return self._node, inputs, given[: self._count]

    def _compute(self, *values: Any) -> list[np.ndarray]:
        outputs, changed = self._model.call(*self._asked(values), trial=True)
        leaves, self.structure = jax.tree.flatten(outputs)  # which keeps RaggedParts
        state = zip(self._node["variables"], values) if self._node["changes"] else ()
        return [*leaves, *(np.asarray(changed.get(n, v)) for n, v in state)]

    def _spec(self, values: Sequence[Any]) -> list[Any]:
        """The shapes and dtypes of the outputs, found by a call with zeros."""
        key = tuple((tuple(v.shape), str(v.dtype)) for v in values)
        if key not in self._specs:
            zeros = [np.zeros([int(n) for n in v.shape], v.dtype) for v in values]
            found = self._compute(*zeros)
            self._specs[key] = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in found]
        return self._specs[key]

    def __call__(self, *values: Any) -> list[jax.Array]:
        with WIDE(True):
            specs = self._spec(values)
            count = len(specs) - (self._count if self._node["changes"] else 0)

            def compute(*values: Any) -> list[np.ndarray]:
                return self._compute(*values)

            def derive(values: Any, cotangents: Any) -> list[np.ndarray]:
                along = [c for c in cotangents[:count] if dtypes.is_float(c.dtype)]
                node, arguments, state = self._asked(values)
                found = self._model.derive(node, arguments, state, along)
                return [
                    np.zeros(v.shape, v.dtype) if g is None else np.asarray(g, v.dtype)
                    for g, v in zip(found, values, strict=True)
                ]

            @jax.custom_vjp
            def call(*values: Any) -> list[jax.Array]:
                return jax.pure_callback(compute, specs, *values, vmap_method="sequential")

            def forward(*values: Any) -> Any:
                return call(*values), values

            def backward(values: Any, cotangents: Any) -> Any:
                along = [
                    jnp.zeros(c.shape, s.dtype) if c.dtype == jax.dtypes.float0 else c
                    for c, s in zip(cotangents, specs)
                ]
                wanted = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in values]
                found = jax.pure_callback(derive, wanted, values, along, vmap_method="sequential")
                return tuple(
                    g if dtypes.is_float(g.dtype) else np.zeros(g.shape, jax.dtypes.float0)
                    for g in found
                )

            call.defvjp(forward, backward)
            return call(*values)


class _HostedSignature(_Signature):
    def __init__(self, model: HostedModel, node: dict[str, Any], variables: list[Any]):
        inputs, outputs = (
            {n: TensorSpec(s["shape"], as_dtype(s["dtype"]), n) for n, s in node[kind].items()}
            for kind in ("inputs", "outputs")
        )
        super().__init__(inputs, outputs)
        self._function = _HostedFunction(model, node, variables)
        self.variables = self._function.variables

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        return self._function(**self._named(args, kwargs))
