"""Writes a SavedModel of StableHLO programs.

`main` runs in a process that has TensorFlow, where keraslike and JAX may be missing.
"""

import importlib.util
import inspect
import json
import os
from typing import Any

import numpy as np

ml_dtypes: Any  # imported by `main`
tf: Any
xla: Any
text_tables: list = []  # the tables that the SavedModel must contain


def _load_sibling(*names: str) -> Any:
    """A keraslike module without imports of others, loaded by path: the package may be missing."""
    spec = importlib.util.spec_from_file_location(
        names[-1].removesuffix(".py"), os.path.join(os.path.dirname(__file__), *names)
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_unpacked = _load_sibling("..", "core", "tensorflow_server.py").unpacked
_texts = _load_sibling("tensorflow_texts.py")


def _dtype(name: str) -> Any:
    return np.dtype(object if name == "string" else getattr(ml_dtypes, name, name))


def _flat(structure: Any) -> list[dict]:
    """The leaves of an encoded structure, in JAX's order."""
    if structure is None:
        return []
    if "shape" in structure:
        return [structure]
    ((kind, items),) = structure.items()
    return [x for i in (items.values() if kind == "dict" else items) for x in _flat(i)]


def _filled(structure: Any, leaves: Any) -> Any:
    """The structure, with the next of the leaves in each position."""
    if structure is None:
        return None
    if "shape" in structure:
        return next(leaves)
    ((kind, items),) = structure.items()
    if kind == "dict":
        return {key: _filled(item, leaves) for key, item in items.items()}
    return {"list": list, "tuple": tuple}[kind](_filled(item, leaves) for item in items)


def _values(structure: Any, value: Any) -> list:
    """The parts of `value` in the positions of the structure's leaves."""
    if structure is None:
        return []
    if "shape" in structure:
        return [value]
    ((kind, items),) = structure.items()
    pairs = items.items() if kind == "dict" else enumerate(items)
    return [x for key, item in pairs for x in _values(item, value[key])]


class _Program:
    """A StableHLO program as an operation on a flat list of tensors."""

    def __init__(self, folder: str, about: dict):
        with open(os.path.join(folder, about["file"]), "rb") as file:
            module = file.read()
        self.kept = about["kept"]
        self.options = {
            "version": about["calling_convention"],
            "module": module,
            "Sout": [spec["shape"] for spec in about["outputs"]],
            "Tout": [_tf_dtype(spec["dtype"]) for spec in about["outputs"]],
            "platforms": [name.upper() for name in about["platforms"]],
        }

    def __call__(self, tensors: list) -> list:
        return list(xla.call_module([tensors[i] for i in self.kept], **self.options))


def _tf_dtype(name: str) -> Any:
    return tf.dtypes.as_dtype(_dtype(name))


def _differentiable(forward: _Program, backward: _Program | None) -> Any:
    """The operation, whose gradient `backward` computes from inputs and cotangents."""
    if backward is None:
        return forward

    @tf.custom_gradient
    def run(*tensors: Any) -> Any:
        outputs = forward(list(tensors))

        def gradient(*cotangents: Any) -> list:
            floats = [y for x, y in zip(outputs, cotangents, strict=True) if x.dtype.is_floating]
            found = iter(backward([*tensors, *floats]))
            return [next(found) if t.dtype.is_floating else None for t in tensors]

        return outputs, gradient

    return lambda tensors: list(run(*tensors))


def main(staged: str, target: str) -> None:
    """Converts a folder that `stablehlo.write(modules=True)` filled to a SavedModel at `target`."""
    global ml_dtypes, tf, xla
    import ml_dtypes
    import tensorflow as tf  # type: ignore[import-not-found]
    from tensorflow.compiler.tf2xla.python import xla  # type: ignore[import-not-found]

    with open(os.path.join(staged, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    arrays = np.load(os.path.join(staged, "weights.npz"))
    root = tf.__internal__.tracking.AutoTrackable()
    variables, stored_as = {}, {}
    for name, about in sorted(manifest["variables"].items()):
        value, dtype, stored = arrays[name], _dtype(about["dtype"]), np.dtype(about["stored"])
        if dtype != stored and dtype.itemsize == stored.itemsize and dtype.kind == "V":
            value, stored_as[name] = value.view(dtype), tf.dtypes.as_dtype(stored)
        trainable = about["trainable"] and tf.dtypes.as_dtype(value.dtype).is_floating
        variables[name] = tf.Variable(value, trainable=trainable, name=name)
    root.trainable_variables = [v for v in variables.values() if v.trainable]
    root.non_trainable_variables = [v for v in variables.values() if not v.trainable]
    root.variables = root.trainable_variables + root.non_trainable_variables
    for name, members in manifest["collections"].items():
        setattr(root, name, [variables[n] for n in members])

    signatures = {}
    if "objects" in manifest:
        root, signatures = _objects(staged, manifest, variables, stored_as)
    for about in () if "objects" in manifest else manifest["endpoints"]:
        serve = _endpoint(staged, about, variables, stored_as)
        setattr(root, about["name"], serve)
        signatures[about["name"]] = _signature(serve, about)
    if "objects" not in manifest:
        signatures.setdefault("serving_default", signatures[manifest["endpoints"][0]["name"]])
    root.text_tables = text_tables
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(root, target, signatures=signatures, options=options)


def _endpoint(staged: str, about: dict, variables: dict, stored_as: dict) -> Any:
    serve = _runner(staged, about, variables, stored_as)
    return _function(serve, about, _tensor_specs(about))


def _runner(staged: str, about: dict, variables: dict, stored_as: dict) -> Any:
    """A function of an endpoint's arguments that runs its program on the variables."""
    outputs = _flat(about["outputs"])
    gradient = about["gradient"] and _Program(staged, about["gradient"])
    run = _differentiable(_Program(staged, about["program"]), gradient)
    of_texts = []
    for functions in about["texts"]:
        made = [_texts.function_of(tf, function) for function in functions]
        of_texts.append([run_on_texts for run_on_texts, _ in made])
        text_tables.extend(table for _, tables in made for table in tables)

    def serve(*args: Any) -> Any:
        given, texts, strings = [], iter(of_texts), []
        for tensor in _values(about["inputs"], args):
            if tensor.dtype == tf.string:
                strings.append(tensor)
                given += [function(tensor) for function in next(texts)]
            else:
                given.append(tensor)
        weights = [
            tf.bitcast(v, stored_as[n]) if n in stored_as else tf.convert_to_tensor(v)
            for n, v in variables.items()
        ]
        found = run([*weights, *given])
        for name, new in zip(about["updates"], found[len(outputs) :]):
            variable = variables[name]
            variable.assign(tf.bitcast(new, variable.dtype) if name in stored_as else new)
        for i, described in enumerate(about["made"]):
            if described is not None:
                found[i] = _texts.text_of(tf, described, found[i], strings)
        return _with_ragged(_filled(about["outputs"], iter(found[: len(outputs)])))

    return serve


def _with_ragged(outputs: Any) -> Any:
    """The outputs with ragged tensors in the places of their values and splits."""
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(map(_with_ragged, outputs))
    if not isinstance(outputs, dict):
        return outputs
    if list(outputs) != ["ragged tensor"]:
        return {key: _with_ragged(value) for key, value in outputs.items()}
    values, *splits = outputs["ragged tensor"]
    return tf.RaggedTensor.from_nested_row_splits(values, splits, validate=False)


def _ragged_spec(parts: list) -> Any:
    values, *splits = parts
    rows = splits[0].shape[0]
    shape = [None if rows is None else rows - 1, *[None] * len(splits), *values.shape[1:]]
    return tf.RaggedTensorSpec(shape, values.dtype, len(splits), splits[0].dtype)


def _tensor_specs(about: dict) -> Any:
    def tensor_spec(spec: dict) -> Any:
        return tf.TensorSpec(spec["shape"], _tf_dtype(spec["dtype"]), spec.get("name"))

    return _filled(about["inputs"], iter(map(tensor_spec, _flat(about["inputs"]))))


def _objects(staged: str, manifest: dict, variables: dict, stored_as: dict) -> Any:
    """The object that `tf.saved_model.save` was given, and its signatures."""
    nodes = manifest["objects"]["nodes"]
    endpoints = {about["name"]: about for about in manifest["endpoints"]}
    made: dict[int, Any] = {}

    def overload(name: str) -> Any:
        about = endpoints[name]
        return _runner(staged, about, variables, stored_as), _tensor_specs(about)

    def make(number: int) -> Any:
        if number in made:
            return made[number]
        node = nodes[number]
        if node["kind"] == "variable":
            made[number] = variables[node["name"]]
        elif node["kind"] == "function":
            made[number] = _overloaded(node, overload)
        elif node["kind"] == "asset":
            made[number] = tf.saved_model.Asset(node["path"])
        elif node["kind"] == "object":
            obj = made[number] = tf.__internal__.tracking.AutoTrackable()
            for name, child in node["children"].items():
                setattr(obj, name, make(child))
        else:
            held = {name: make(child) for name, child in node["children"].items()}
            made[number] = held if node["kind"] == "dict" else list(held.values())
        return made[number]

    signatures = {}
    for name, node in manifest["objects"]["signatures"].items():
        run, specs = overload(node["endpoint"])
        if node["by_rank"]:
            run, specs = _by_rank([overload(endpoint) for endpoint in node["by_rank"]])
        named = [tf.TensorSpec(s.shape, s.dtype, n) for s, n in zip(specs, node["inputs"])]
        about = {"arguments": node["inputs"]}
        signatures[name] = _function(_keyed(run, node["outputs"]), about, named)
    return make(0), signatures


def _by_rank(overloads: list) -> Any:
    """A function of tensors of unknown rank that chooses the function for the ranks of a call, and
    its specs."""
    ranks = [[len(spec.shape) for spec in specs] for _, specs in overloads]

    def call(*tensors: Any) -> Any:
        def branch(run: Any, specs: Any) -> Any:
            run = tf.function(run, autograph=False)  # the gradient of a branch needs one operation

            def call() -> Any:
                given = [tf.identity(t) for t in tensors]
                for tensor, spec in zip(given, specs, strict=True):
                    tensor.set_shape(spec.shape)  # the program raises an error for other shapes
                return run(*given)

            return call

        given = tf.stack([tf.rank(t) for t in tensors])
        fit = tf.cast(tf.reduce_all(tf.equal(given, ranks), axis=1), tf.int32)
        index = tf.argmax(fit, output_type=tf.int32)
        return tf.switch_case(index, [branch(*overload) for overload in overloads])

    specs = [
        tf.TensorSpec(spec.shape if len(set(of_one)) == 1 else None, spec.dtype)
        for spec, of_one in zip(overloads[0][1], zip(*ranks))
    ]
    return call, specs


def _keyed(run: Any, names: list) -> Any:
    return lambda *args: dict(zip(names, tf.nest.flatten(run(*args)), strict=True))


def _overloaded(node: dict, overload: Any) -> Any:
    """A `tf.function` with one program for each of its signatures."""
    runs: dict[Any, Any] = {}

    def call(*args: Any, **kwargs: Any) -> Any:
        flat = tf.nest.flatten((args, kwargs), expand_composites=True)
        run, order = runs[_key(flat)]
        given = zip(order, filter(tf.is_tensor, flat), strict=True)
        return run(*(tensor for _, tensor in sorted(given, key=lambda pair: pair[0])))

    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name, getattr(inspect.Parameter, kind), default=default.get("value", _NONE)
            )
            for name, kind, default in node["parameters"]
        ]
    )
    found = [(about, *overload(about["endpoint"])) for about in node["overloads"]]
    function = tf.function(call, autograph=False)
    if node["fixed"] and len(found) == 1:
        args, kwargs = _unpacked(found[0][0]["arguments"], found[0][2], _ragged_spec)
        if not kwargs and all(isinstance(x, tf.TypeSpec) for x in tf.nest.flatten(args)):
            function = tf.function(call, input_signature=args, autograph=False)
    for about, run, specs in found:
        args, kwargs = _unpacked(about["arguments"], specs, _ragged_spec)
        places = _unpacked(about["arguments"], [_Position(i) for i in range(len(specs))])
        order = [x for x in tf.nest.flatten(places) if isinstance(x, _Position)]
        runs[_key(tf.nest.flatten((args, kwargs), expand_composites=True))] = run, order
        function.get_concrete_function(*args, **kwargs)
    return function


_NONE = inspect.Parameter.empty


class _Position(int):
    """The position of a tensor in a program's arguments."""


def _key(flat: list) -> tuple:
    """The key of a signature's arguments: shapes and dtypes of tensors, and other values."""
    return tuple(
        (str(x.shape), x.dtype.name) if hasattr(x, "dtype") else (type(x).__name__, x) for x in flat
    )


def _function(function: Any, about: dict, specs: Any) -> Any:
    """A `tf.function` whose arguments have the names of the model's."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in about["arguments"]]
    function.__signature__ = inspect.Signature(parameters)
    return tf.function(function, input_signature=specs, autograph=False)


def _signature(serve: Any, about: dict) -> Any:
    """The endpoint as a signature, whose outputs are one tensor or a flat dict of tensors."""
    if all("shape" in x for x in _parts(about["outputs"])):
        return serve

    def flat(*args: Any) -> dict:
        return {f"output_{i}": x for i, x in enumerate(tf.nest.flatten(serve(*args)))}

    return _function(flat, about, serve.input_signature)


def _parts(structure: Any) -> list:
    if "shape" in structure:
        return [structure]
    ((_, items),) = structure.items()
    return list(items.values() if isinstance(items, dict) else items)
