"""Writes a SavedModel of StableHLO programs: `python tensorflow_process.py STAGED TARGET`.

Run by an interpreter that has TensorFlow, and need not have keraslike or JAX. `STAGED` is a folder
that `stablehlo.write(modules=True)` filled.
"""

import inspect
import json
import os
import sys
from typing import Any

import numpy as np

ml_dtypes: Any  # imported where the program is run
tf: Any
xla: Any


def _dtype(name: str) -> Any:
    return np.dtype(getattr(ml_dtypes, name, name))


def _flat(structure: Any) -> list[dict]:
    """The leaves in the order in which JAX has them."""
    if structure is None:
        return []
    if "shape" in structure:
        return [structure]
    ((kind, items),) = structure.items()
    return [x for i in (items.values() if kind == "dict" else items) for x in _flat(i)]


def _filled(structure: Any, leaves: Any) -> Any:
    """The structure with the next of the leaves at each place."""
    if structure is None:
        return None
    if "shape" in structure:
        return next(leaves)
    ((kind, items),) = structure.items()
    if kind == "dict":
        return {key: _filled(item, leaves) for key, item in items.items()}
    return {"list": list, "tuple": tuple}[kind](_filled(item, leaves) for item in items)


def _values(structure: Any, value: Any) -> list:
    """What is at the places of the structure's leaves."""
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
    """The operation with the gradient that another program computes of inputs and cotangents."""
    if backward is None:
        return forward

    @tf.custom_gradient
    def run(*tensors: Any) -> Any:
        outputs = forward(list(tensors))

        def gradient(*along: Any) -> list:
            moving = [y for x, y in zip(outputs, along, strict=True) if x.dtype.is_floating]
            found = iter(backward([*tensors, *moving]))
            return [next(found) if t.dtype.is_floating else None for t in tensors]

        return outputs, gradient

    return lambda tensors: list(run(*tensors))


def main(staged: str, target: str) -> None:
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
    for about in manifest["endpoints"]:
        serve = _endpoint(staged, about, variables, stored_as)
        setattr(root, about["name"], serve)
        signatures[about["name"]] = _signature(serve, about)
    signatures.setdefault("serving_default", signatures[manifest["endpoints"][0]["name"]])
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(root, target, signatures=signatures, options=options)


def _endpoint(staged: str, about: dict, variables: dict, stored_as: dict) -> Any:
    outputs = _flat(about["outputs"])
    gradient = about["gradient"] and _Program(staged, about["gradient"])
    run = _differentiable(_Program(staged, about["program"]), gradient)

    def serve(*args: Any) -> Any:
        given = _values(about["inputs"], args)
        weights = [
            tf.bitcast(v, stored_as[n]) if n in stored_as else tf.convert_to_tensor(v)
            for n, v in variables.items()
        ]
        found = run([*weights, *given])
        for name, new in zip(about["updates"], found[len(outputs) :]):
            variable = variables[name]
            variable.assign(tf.bitcast(new, variable.dtype) if name in stored_as else new)
        return _filled(about["outputs"], iter(found[: len(outputs)]))

    def tensor_spec(spec: dict) -> Any:
        return tf.TensorSpec(spec["shape"], _tf_dtype(spec["dtype"]), spec.get("name"))

    specs = _filled(about["inputs"], iter(map(tensor_spec, _flat(about["inputs"]))))
    return _function(serve, about, specs)


def _function(function: Any, about: dict, specs: Any) -> Any:
    """A function of tensors whose arguments have the names of the model's own."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in about["arguments"]]
    function.__signature__ = inspect.Signature(parameters)
    return tf.function(function, input_signature=specs, autograph=False)


def _signature(serve: Any, about: dict) -> Any:
    """The endpoint as a signature, which has a flat dict of tensors or one for its outputs."""
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


if __name__ == "__main__":
    main(*sys.argv[1:])
