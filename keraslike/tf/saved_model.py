"""`tf.saved_model`: saves objects with their variables and functions, without their code.

If TensorFlow is available (`keraslike[tensorflow]`, or an interpreter that has it), `save` writes a
SavedModel with it; otherwise it writes a folder with StableHLO, which `load` reads as well.

>>> import os, tempfile
>>> class Scaled(tf.Module):
...     def __init__(self):
...         self.w = tf.Variable(2.0)
...     @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
...     def __call__(self, x):
...         return self.w * x
>>> with tempfile.TemporaryDirectory() as folder:
...     tf.saved_model.save(Scaled(), os.path.join(folder, "scaled"))
...     loaded = tf.saved_model.load(os.path.join(folder, "scaled"))
>>> loaded([1.0, 2.0]).numpy().tolist()
[2.0, 4.0]
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from keraslike.core import base
from keraslike.core.errors import NeedsPython
from keraslike.core.processes import gathered, write_once
from keraslike.core.structures import map_leaves
from keraslike.core.tensorflow_host import interpreter, is_saved_model
from keraslike.core.tensorflow_server import RaggedParts, packed
from keraslike.core.text import Text
from keraslike.core.tracebacks import entry
from keraslike.export import archive, endpoints, stablehlo
from keraslike.export import saved_model as writing
from keraslike.layers.layer import Layer
from keraslike.models.model import Model
from keraslike.tf import dtypes, restored
from keraslike.tf.checkpoint import Checkpoint
from keraslike.tf.concrete import ConcreteFunction, names_of_sizes, wrap_values
from keraslike.tf.errors import NotFoundError
from keraslike.tf.extension_type import ExtensionType
from keraslike.tf.function import Function, _Method
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.restored import ASSETS_DIRECTORY, Asset
from keraslike.tf.saved_options import LoadOptions, SaveOptions  # noqa: F401
from keraslike.tf.signatures import TensorSpec, encoded_parameters, name_of
from keraslike.tf.tensor import WIDE, Tensor, wrap
from keraslike.tf.untraced import BySize, TextFunction

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"
SERVING, TRAINING, GPU, TPU = "serve", "train", "gpu", "tpu"
VARIABLES_DIRECTORY, VARIABLES_FILENAME = "variables", "variables"
ASSETS_KEY, SAVED_MODEL_SCHEMA_VERSION = "saved_model_assets", 1
DEBUG_DIRECTORY, DEBUG_INFO_FILENAME_PB = "debug", "saved_model_debug_info.pb"
CLASSIFY_INPUTS = PREDICT_INPUTS = REGRESS_INPUTS = "inputs"
PREDICT_OUTPUTS = REGRESS_OUTPUTS = "outputs"
CLASSIFY_OUTPUT_CLASSES, CLASSIFY_OUTPUT_SCORES = "classes", "scores"
CLASSIFY_METHOD_NAME, PREDICT_METHOD_NAME, REGRESS_METHOD_NAME = (
    f"tensorflow/serving/{_name}" for _name in ("classify", "predict", "regress")
)
_FUNCTIONS = (Function, _Method, ConcreteFunction)
SAVED_MODEL_FILENAME_PB, SAVED_MODEL_FILENAME_PBTXT = "saved_model.pb", "saved_model.pbtxt"


# -- saving --------------------------------------------------------------------------------------


@entry
def save(
    obj: Any, export_dir: str | os.PathLike, signatures: Any = None, options: Any = None
) -> None:
    """Saves an object with the variables of it and its attributes, and its `tf.function`s with all
    signatures that they were traced for.

    Args:
        obj: a `tf.Module`, layer, model or `tf.train.Checkpoint`.
        export_dir: the path of the folder, which must not contain other files.
        signatures: a function with an input signature, a concrete function, or a dict of such, to
            be called with named tensors. The default is the only function of `obj` with an
            `input_signature`, or the call of a model.

    Functions may return known texts, and those that `tf.strings.as_string` makes of numbers.

    Raises ValueError for other objects and signatures, and for a function that cannot be compiled,
    and NotFoundError for an `Asset` whose file does not exist.

    Example (runs TensorFlow in a process of its own)::

        module = tf.Module()
        module.double = tf.function(
            lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)]
        )
        tf.saved_model.save(module, "folder")
    """
    if not isinstance(obj, base.Object):
        raise ValueError(
            "tf.saved_model.save() takes a tf.Module, a layer, a model or a tf.train.Checkpoint. "
            f"Received: {obj!r} of type {type(obj)}"
        )
    with WIDE(True):  # preserves 64-bit tensors
        graph = _Graph(obj)
        described = {"nodes": graph.nodes, "signatures": graph.signatures(signatures)}
        used = [v for one in graph.endpoints for v in one.variables]
        variables = list({id(v): v for v in [*graph.variables, *used]}.values())
        if extra := [v for v in variables if all(v is not known for known in graph.variables)]:
            graph.add("_captured", extra)  # variables of closures
        names = archive.variables_by_path(variables)
        by_id = {id(v): name for name, v in names.items()}
        for node in graph.nodes:
            if node["kind"] == "variable":
                node["name"] = by_id[id(node.pop("of"))]
        path = os.fspath(export_dir)
        with gathered(variables):
            write_once(path, lambda: _write(path, graph, names, described))


def _write(path: str, graph: _Graph, names: dict[str, Any], described: dict[str, Any]) -> None:
    found = graph.endpoints
    arrays = archive.arrays_of(names)
    if interpreter() is not None:
        writing.write(path, found, arrays, {}, endpoints.PLATFORMS, described)
        return
    for node in described["nodes"]:
        node.pop("path", None)  # of an asset, on this machine
    with stablehlo.files.placing(path, (stablehlo.MANIFEST, SAVED_MODEL_FILENAME_PB)) as folder:
        stablehlo.write(folder, found, arrays, {}, endpoints.PLATFORMS, objects=described)
        for name, source in graph.assets.items():
            os.makedirs(os.path.join(folder, ASSETS_DIRECTORY), exist_ok=True)
            shutil.copyfile(source, os.path.join(folder, ASSETS_DIRECTORY, name))


class _Graph:
    """The graph of an object's descendants, and their functions to save."""

    def __init__(self, root: Any):
        self.root = root
        self.endpoints: list[endpoints.Endpoint] = []
        self.nodes: list[dict[str, Any]] = []
        self.variables: list[Any] = []
        self.assets: dict[str, str] = {}  # the paths of files by the names of their copies
        self._numbers: dict[Any, int] = {}
        self._kept: list[Any] = []  # keeps objects alive, so that their ids stay unique
        self._number(root)

    def add(self, name: str, value: Any) -> None:
        """Adds an attribute to the root."""
        self.nodes[0]["children"][name] = self._number(value)

    def _number(self, obj: Any) -> int:
        key = (id(obj.__self__), id(obj._function)) if isinstance(obj, _Method) else id(obj)
        if key in self._numbers:
            return self._numbers[key]
        number = self._numbers[key] = len(self.nodes)
        self._kept.append(obj)
        node: dict[str, Any] = {}
        self.nodes.append(node)
        if base.is_variable(obj):
            self.variables.append(obj)
            node |= {"kind": "variable", "of": obj, "trainable": bool(obj.trainable)}
        elif isinstance(obj, restored.RestoredFunction):
            node |= self._restored(obj)
        elif isinstance(obj, _FUNCTIONS):
            node |= self._function(obj)
        elif isinstance(obj, Asset):
            node |= {"kind": "asset", "path": obj._path, "file": self._file_of(obj._path)}
        else:
            kinds = (("dict", dict), ("list", list), ("tuple", tuple))
            kind = next((k for k, cls in kinds if isinstance(obj, cls)), "object")
            node |= {"kind": kind, "children": {}}
            for name, child in _children(obj):
                node["children"][name] = self._number(child)
        return number

    def _file_of(self, path: str) -> str:
        """The name under which an asset is saved: its own, or with a number if that is taken."""
        if not os.path.isfile(path):
            raise NotFoundError(f"{path}; No such file or directory")
        path, own = os.path.realpath(path), os.path.basename(path)
        names = (f"{own}_{n}" if n else own for n in itertools.count())
        return next(n for n in names if self.assets.setdefault(n, path) == path)

    def _function(self, function: Any) -> dict[str, Any]:
        of = getattr(function, "_function", function)
        fixed = isinstance(of, ConcreteFunction) or of.input_signature is not None
        if isinstance(of, ConcreteFunction):
            name, traced = name_of(of._of), [of]
        else:
            name, traced = name_of(of.python_function), list(of._traced.values())
            if fixed:
                traced = [concrete_of(function)]
            elif of._in_python:
                raise ValueError(
                    f"The tf.function '{name}' cannot be saved: it uses data sets, makes text, or "
                    "runs Python, and so it is not compiled. A function that makes text needs an "
                    "input_signature."
                )
        owner, overloads = getattr(function, "__self__", None), []
        for concrete in [c for found in traced for c in _by_rank(found)]:
            args, kwargs = _arguments(concrete)
            if owner is not None:
                if not args or args[0].value is not owner:
                    continue  # a trace for another object of the class
                args = args[1:]
            arguments = restored.canonical(_signature_of(function), args, kwargs)
            try:
                structure = _structure(arguments)
            except TypeError as error:
                raise ValueError(f"The tf.function '{name}' cannot be saved: {error}") from None
            endpoint = self._endpoint(concrete)
            overloads.append({"endpoint": endpoint.name, "arguments": structure})
        parameters = encoded_parameters(_signature_of(function))
        return {
            "kind": "function",
            "parameters": parameters,
            "overloads": overloads,
            "fixed": fixed,
        }

    def _restored(self, function: restored.RestoredFunction) -> dict[str, Any]:
        overloads = []
        for program, arguments in function._overloads:
            specs = [TensorSpec(spec.shape, spec.dtype) for spec in program.specs]
            called = Function(lambda *tensors, of=program: of.on(tensors), specs, autograph=False)
            endpoint = self._endpoint(called.get_concrete_function())
            overloads.append({"endpoint": endpoint.name, "arguments": arguments})
        parameters = encoded_parameters(function.__signature__)
        return {
            "kind": "function",
            "parameters": parameters,
            "overloads": overloads,
            "fixed": False,
        }

    def _endpoint(self, concrete: ConcreteFunction, result: Callable | None = None) -> Any:
        endpoint = endpoint_of(concrete, f"function_{len(self.endpoints)}", result, makes_text=True)
        self.endpoints.append(endpoint)
        return endpoint

    # -- signatures --------------------------------------------------------------------------

    def signatures(self, given: Any) -> dict[str, Any]:
        """The functions that are called with named tensors."""
        if given is None:
            given = self._default_signature()
        named = given if isinstance(given, dict) else {DEFAULT_SERVING_SIGNATURE_DEF_KEY: given}
        return {name: self._signature(concrete_of(function)) for name, function in named.items()}

    def _default_signature(self) -> Any:
        if isinstance(self.root, Model):
            return _call_of(self.root) or {}
        found = [f for _, f in _functions(self.root) if isinstance(f, _FUNCTIONS)]
        concrete = [
            concrete_of(f)
            for f in found
            if isinstance(f, ConcreteFunction) or f.input_signature is not None
        ]
        fit = [c for c in concrete if _in_python(c) or _is_flat(c.structured_outputs)]
        return fit[0] if len(fit) == 1 else {}

    def _signature(self, concrete: ConcreteFunction) -> dict[str, Any]:
        found: list[str] = []

        def named(outputs: Any) -> Any:
            if not _is_flat(outputs):
                raise ValueError(
                    f"The function '{name_of(concrete._of)}' of a signature must return a tensor, "
                    f"or flat tensors by name or in a list. It returns {outputs}."
                )
            outputs = by_name(outputs)
            found[:] = sorted(outputs)
            return outputs

        by_rank = [self._endpoint(one, named).name for one in _by_rank(concrete)]
        return {
            "endpoint": by_rank[0],
            "by_rank": by_rank[1:] and by_rank,
            "inputs": input_names(concrete),
            "outputs": found,
        }


def _by_rank(concrete: ConcreteFunction) -> list[ConcreteFunction]:
    """The concrete functions that a function of tensors of unknown rank is saved as."""
    if isinstance(concrete, BySize):
        if concrete.has_unknown_rank:
            return concrete.by_rank()
        if _in_python(concrete):
            return [concrete]
        raise ValueError(
            f"The tf.function '{name_of(concrete._of)}' cannot be saved: it cannot be traced with "
            f"the unknown sizes of its input_signature. {concrete._error}"
        )
    return [concrete]


def _in_python(concrete: ConcreteFunction) -> bool:
    """Whether calls run in Python, since the function takes text or makes it."""
    if isinstance(concrete, BySize) and not concrete.has_unknown_rank:
        return isinstance(concrete._error, NeedsPython)
    return isinstance(concrete, TextFunction)


@dataclasses.dataclass
class _Leaf:
    """A leaf of the arguments of a concrete function: a value, or the spec of a tensor with its
    position among the tensors."""

    value: Any
    place: int | None = None


def _is_leaf(x: Any) -> bool:
    return isinstance(x, _Leaf)


def _arguments(concrete: ConcreteFunction) -> tuple[tuple, dict[str, Any]]:
    places = {i: place for place, i in enumerate(concrete.tensors)}
    leaves = [_Leaf(leaf, places.get(i)) for i, leaf in enumerate(concrete.leaves)]
    return jax.tree.unflatten(concrete.structure, leaves)


def _structure(arguments: Any) -> Any:
    """The arguments encoded for JSON, with tensors as their positions."""

    def plain(leaf: Any) -> Any:  # defaults are not among the leaves of the trace
        return leaf if not _is_leaf(leaf) or leaf.place is not None else leaf.value

    def in_parts(x: Any) -> Any:
        if isinstance(x, ExtensionType):  # whose `repr` may need tensors
            raise TypeError(f"It takes an extension type, {type(x).__name__}: pass its tensors.")
        if not isinstance(x, RaggedTensor):
            return x
        return RaggedParts([x.flat_values, *(level._splits for level in x._levels())])

    leaves: list[_Leaf] = []
    tree = jax.tree.map(plain, arguments, is_leaf=_is_leaf)
    tree = map_leaves(in_parts, tree, lambda x: isinstance(x, RaggedTensor))
    tree = packed(tree, leaves, _is_leaf)

    def numbered(tree: Any) -> Any:
        ((kind, items),) = tree.items()
        if kind == "leaf":
            return {kind: leaves[items].place}
        if kind == "dict":
            return {kind: {key: numbered(item) for key, item in items.items()}}
        return tree if kind == "value" else {kind: list(map(numbered, items))}

    return numbered(tree)


def _signature_of(function: Any) -> inspect.Signature:
    if isinstance(function, _Method):
        return function.__signature__
    if not isinstance(function, ConcreteFunction):
        return inspect.signature(function.python_function)
    # What is no tensor is part of a concrete function, and so it need not be given.
    signature = inspect.signature(function._of)
    args, kwargs = _arguments(function)
    given = signature.bind(*args, **kwargs).arguments
    parts = [
        p.replace(default=given[name].value)
        if _is_leaf(given.get(name)) and given[name].place is None
        else p
        for name, p in signature.parameters.items()
    ]
    return signature.replace(parameters=parts)


def endpoint_of(
    concrete: ConcreteFunction,
    name: str,
    result: Callable | None = None,
    names: Sequence[str] | None = None,
    makes_text: bool = False,
) -> endpoints.Endpoint:
    """The exported endpoint of a concrete function: a function of its tensors in order."""
    specs = concrete.specs
    staged = concrete.function.__self__._staged  # type: ignore[attr-defined]

    def flat(*tensors: Any) -> Any:
        filled = list(concrete.leaves)
        for place, tensor in zip(concrete.tensors, tensors, strict=True):
            filled[place] = tensor if isinstance(tensor, Text) else Tensor(tensor)
        args, kwargs = jax.tree.unflatten(concrete.structure, filled)
        wide = any(s.dtype.size >= 8 for s in specs if s.dtype is not dtypes.string)
        wide = wide or bool(jax.config.read("jax_enable_x64"))
        with WIDE(wide):
            out = wrap_values(staged(*args, **kwargs))
        return restored.without_ragged(out) if result is None else result(out)

    signature = [
        endpoints.Spec(tuple(s.shape), s.dtype.name, n)
        for s, n in zip(specs, names or [None] * len(specs))
    ]
    takes_text = interpreter() is not None  # TensorFlow has operations of text
    different = list(names_of_sizes(specs))[1:]
    try:
        if different and not concrete.symbols[1]:
            # Other sizes of the arguments, such as the rows of two batches, differ if they can.
            with contextlib.suppress(Exception):
                given = different[0], ()
                return endpoints.Endpoint(name, flat, signature, (), takes_text, given, makes_text)
        given = concrete.symbols if concrete.symbols[1] else ((), ())
        return endpoints.Endpoint(name, flat, signature, (), takes_text, given, makes_text)
    except NeedsPython as error:
        raise ValueError(
            f"The tf.function '{name_of(concrete._of)}' cannot be saved: {error} Functions of text "
            "can be saved, as SavedModels, if they give it to StringLookup, TextVectorization, "
            "Hashing and functions of each text in tf.strings, or choose it from known texts."
        ) from error
    except Exception as error:
        error.add_note(f"In the tf.function '{name_of(concrete._of)}', which is to be saved.")
        raise


def concrete_of(function: Any) -> ConcreteFunction:
    if isinstance(function, restored._ProgramSignature):
        return function.concrete()
    if isinstance(function, ConcreteFunction):
        return function
    if isinstance(function, (Function, _Method)) and function.input_signature is not None:
        given = (function.__self__,) if isinstance(function, _Method) else ()
        return getattr(function, "_function", function)._concrete(given, {}, True)
    raise ValueError(
        f"Expected a TensorFlow function for which to generate a signature, but got {function!r}. "
        "Only `tf.functions` with an input signature or concrete functions can be used as a "
        "signature."
    )


def _call_of(model: Model) -> ConcreteFunction | None:
    """The call of a model as a function of its inputs, if it has been called with one argument."""
    try:
        given = endpoints.signature_of(model)
    except ValueError:  # it is not built
        return None
    if len(given) != 1:
        return None
    specs = jax.tree.map(lambda s: TensorSpec(s.shape, s.dtype), *given, is_leaf=endpoints.is_spec)

    def call(inputs: Any) -> Any:
        return wrap(model(inputs))

    return Function(call, [specs], autograph=False).get_concrete_function()


def _is_flat(outputs: Any) -> bool:
    kinds = (Tensor, TensorSpec, Text)
    if isinstance(outputs, dict):
        return all(isinstance(x, kinds) and isinstance(k, str) for k, x in outputs.items())
    if isinstance(outputs, (list, tuple)):
        return all(isinstance(x, kinds) for x in outputs)
    return isinstance(outputs, kinds)


def by_name(outputs: Any) -> dict[str, Any]:
    """The flat outputs of a function, with their names in a signature."""
    if isinstance(outputs, dict):
        return outputs
    items = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {f"output_{i}": item for i, item in enumerate(items)}


def input_names(concrete: ConcreteFunction) -> list[str]:
    """The names of a function's tensors: those of their specs, or of their arguments."""
    args, kwargs = _arguments(concrete)
    of_function = list(inspect.signature(concrete._of).parameters)
    found: dict[int, str] = {}
    for name, argument in [*zip(of_function, args), *kwargs.items()]:
        for leaf in jax.tree.leaves(argument, is_leaf=_is_leaf):
            if leaf.place is None:
                continue
            stem, count = getattr(leaf.value, "name", None) or name, 1
            unique = stem
            while unique in found.values():
                unique, count = f"{stem}_{count}", count + 1
            found[leaf.place] = unique
    return [found[place] for place in sorted(found)]


def _functions(obj: Any) -> Iterator[tuple[str, Any]]:
    """The `tf.function`s of an object and of its class, by name."""
    for name in dir(type(obj)):
        if (not name.startswith("__") or name == "__call__") and isinstance(
            inspect.getattr_static(type(obj), name), Function
        ):
            yield name, _Method(inspect.getattr_static(type(obj), name), obj)
    for name, value in list(vars(obj).items()):
        if isinstance(value, (*_FUNCTIONS, restored.RestoredFunction)):
            yield name, value
        elif isinstance(obj, restored._UserObject) and isinstance(value, restored._HostedFunction):
            raise ValueError(
                f"{name!r} cannot be saved: it is a function of a SavedModel that TensorFlow runs."
            )


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """The children of an object that are saved, by name."""
    if isinstance(obj, (list, tuple)):
        yield from ((str(i), x) for i, x in enumerate(obj) if _is_kept(x))
        return
    if isinstance(obj, dict):
        yield from ((str(key), x) for key, x in obj.items() if _is_kept(x))
        return
    yield from _functions(obj)
    if isinstance(obj, Checkpoint):
        yield from obj._tracked().items()
        return
    if isinstance(obj, Layer):
        for name in ("variables", "trainable_variables", "non_trainable_variables"):
            yield name, list(getattr(obj, name))
    for name, value in obj._state_attributes():
        if isinstance(obj, Layer) and name.startswith("_"):
            continue
        if _is_kept(value):
            yield name, value


def _is_kept(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_kept, value))
    if isinstance(value, dict):
        return bool(value) and all(map(_is_kept, value.values()))
    return base.is_variable(value) or isinstance(
        value, (base.Object, Function, ConcreteFunction, restored.RestoredFunction)
    )


# -- loading -------------------------------------------------------------------------------------


@entry
def load(export_dir: str | os.PathLike, tags: Any = None, options: Any = None) -> Any:
    """Loads an object from a folder that `save`, `Model.export` or TensorFlow wrote.

    Its attributes are variables, functions, and objects, lists and dicts of these; `signatures` has
    the functions of named tensors. Functions of a SavedModel run in a separate process with
    TensorFlow, those of StableHLO in this process.

    Raises OSError if the folder has neither format, ImportError if a function of a SavedModel needs
    TensorFlow and it is not installed.

    Example (runs TensorFlow in a process of its own)::

        module = tf.Module()
        module.v = tf.Variable(2.0)
        tf.saved_model.save(module, "folder")
        tf.saved_model.load("folder").v.numpy()
    """
    path = os.fspath(export_dir)
    tags = [tags] if isinstance(tags, str) else tags
    if os.path.isfile(os.path.join(path, stablehlo.MANIFEST)):
        if tags is not None and set(tags) != {SERVING}:
            raise ValueError(f"{path} was saved with the tag {SERVING!r}. Received: tags={tags}")
        return restored.from_programs(path)
    if not is_saved_model(path):
        raise OSError(
            f"SavedModel file does not exist at: {path}/{{{SAVED_MODEL_FILENAME_PBTXT}|"
            f"{SAVED_MODEL_FILENAME_PB}}}"
        )
    return restored.from_saved_model(path, tags)


def contains_saved_model(export_dir: str | os.PathLike) -> bool:
    """Whether a folder has a format that `load` reads.

    >>> contains_saved_model("nowhere")
    False
    """
    path = os.fspath(export_dir)
    return is_saved_model(path) or os.path.isfile(os.path.join(path, stablehlo.MANIFEST))


__all__ = [
    *("ASSETS_DIRECTORY", "DEFAULT_SERVING_SIGNATURE_DEF_KEY", "GPU", "LoadOptions"),
    *("SAVED_MODEL_FILENAME_PB", "SAVED_MODEL_FILENAME_PBTXT", "SERVING", "SaveOptions", "TPU"),
    *("TRAINING", "VARIABLES_DIRECTORY", "VARIABLES_FILENAME", "contains_saved_model"),
    *("Asset", "load", "save"),
    *("ASSETS_KEY", "CLASSIFY_INPUTS", "CLASSIFY_METHOD_NAME", "CLASSIFY_OUTPUT_CLASSES"),
    *("CLASSIFY_OUTPUT_SCORES", "DEBUG_DIRECTORY", "DEBUG_INFO_FILENAME_PB", "PREDICT_INPUTS"),
    *("PREDICT_METHOD_NAME", "PREDICT_OUTPUTS", "REGRESS_INPUTS", "REGRESS_METHOD_NAME"),
    *("REGRESS_OUTPUTS", "SAVED_MODEL_SCHEMA_VERSION"),
]
__dir__ = __all__.copy
