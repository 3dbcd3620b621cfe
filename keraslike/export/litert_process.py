"""Writes a LiteRT file.

`main` runs in a process that has TensorFlow, where keraslike and JAX may be missing.
"""

import json
import os
import tempfile
from typing import Any

import numpy as np

tf: Any
json_format: Any

SIGNATURE = "serving_default"


def main(staged: str, target: str) -> None:
    """Converts a staged folder to a file.

    Args:
        staged: a folder that `litert_format` filled. Its `about.json` has graphs, or the path of a
            SavedModel.
        target: the path of the file.
    """
    global tf, json_format
    import tensorflow as tf  # type: ignore[import-not-found]
    from google.protobuf import json_format

    with open(os.path.join(staged, "about.json"), encoding="utf-8") as file:
        about = json.load(file)
    with tempfile.TemporaryDirectory(dir=staged) as folder:
        keys = about["signature_keys"]
        path = about["saved_model"]
        if path is None:
            path = folder
            _save(about["graphs"], iter(_arrays(os.path.join(staged, "values.npz"))), path)
        converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=keys)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        for name, value in about["settings"].items():
            _set(converter, name, _decoded(value))
        if about["samples"] is not None:
            arrays = _arrays(os.path.join(staged, "samples.npz"))
            samples = list(_samples(about["samples"], iter(arrays)))
            converter.representative_dataset = lambda: iter(samples)
        data = _with_packed_weights(converter.convert())
    with open(target, "xb") as file:
        file.write(data)


def _with_packed_weights(data: Any) -> Any:
    """The file, with weights in 8 bits where it would quantize constants each time it is loaded."""
    from tensorflow.lite.python import schema_py_generated as schema  # type: ignore
    from tensorflow.lite.tools import flatbuffer_utils  # type: ignore

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    kinds = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    found = False
    for graph in model.subgraphs:
        for operator in list(graph.operators):
            if kinds[operator.opcodeIndex] != schema.BuiltinOperator.QUANTIZE:
                continue
            before, after = (graph.tensors[t[0]] for t in (operator.inputs, operator.outputs))
            content, about = model.buffers[before.buffer].data, after.quantization
            if (
                content is None
                or before.type != schema.TensorType.FLOAT32
                or after.type != schema.TensorType.UINT8
            ):
                continue
            values = np.frombuffer(np.asarray(content, "uint8").tobytes(), "float32")
            whole = np.round(values / about.scale[0] + about.zeroPoint[0])
            buffer = schema.BufferT()
            buffer.data = np.clip(whole, 0, 255).astype("uint8")
            model.buffers.append(buffer)
            after.buffer, after.shape = len(model.buffers) - 1, before.shape
            graph.operators.remove(operator)
            users = [i for g in model.subgraphs for o in g.operators for i in o.inputs]
            if operator.inputs[0] not in users:
                before.buffer, before.shape = 0, [0]
                before.shapeSignature = None
            found = True
    if not found:
        return data
    kept = {t.buffer for g in model.subgraphs for t in g.tensors}
    kept |= {m.buffer for m in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in kept:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _save(graphs: list[dict], arrays: Any, path: str) -> None:
    """Writes graphs as a SavedModel with one signature each."""
    root = tf.Module()
    root.functions = [
        _function(about, {name: next(arrays) for name in about["values"]}) for about in graphs
    ]
    signatures = {about["signature"]: f for about, f in zip(graphs, root.functions, strict=True)}
    tf.saved_model.save(root, path, signatures=signatures)


def _function(about: dict, values: Any) -> Any:
    """A graph as a concrete function, whose arguments have the names of the graph's inputs."""
    graph = json_format.ParseDict(about["graph"], tf.compat.v1.GraphDef())
    for function in graph.library.function:
        _name_outputs(function)
    for node in [*graph.node, *(n for f in graph.library.function for n in f.node_def)]:
        if node.op == "Const":
            made = tf.make_tensor_proto(values[node.name], dtype=node.attr["dtype"].type)
            node.attr["value"].tensor.CopyFrom(made)
    specs = {}
    for node in graph.node:
        if node.op == "Placeholder":
            sizes = [None if d.size == -1 else d.size for d in node.attr["shape"].shape.dim]
            specs[node.name] = tf.TensorSpec(sizes, node.attr["dtype"].type, node.name)
    outputs = about["outputs"]

    def serve(**tensors: Any) -> Any:
        found = tf.graph_util.import_graph_def(
            graph,
            input_map={f"{name}:0": tensor for name, tensor in tensors.items()},
            return_elements=[f"{name}:0" for name in outputs],
            name="",
        )
        return dict(zip(outputs, found, strict=True))

    return tf.function(serve, autograph=False).get_concrete_function(**specs)


def _name_outputs(function: Any) -> None:
    """Converts references to outputs from a graph's form, `node:0`, to a function's,
    `node:output:0`."""
    from tensorflow.python.framework import op_def_registry  # type: ignore[import-not-found]

    nodes = {node.name: node for node in function.node_def}

    def named(at: str) -> str:
        name, _, number = at.partition(":")
        if name not in nodes:
            return name  # an argument
        node, place = nodes[name], int(number or 0)
        for output in op_def_registry.get(node.op).output_arg:
            count = node.attr[output.number_attr].i if output.number_attr else 1
            if output.type_list_attr:
                count = len(node.attr[output.type_list_attr].list.type)
            if place < count:
                return f"{name}:{output.name}:{place}"
            place -= count
        raise ValueError(f"The operation {node.op} has no output {number}.")

    for node in function.node_def:
        node.input[:] = [named(at) for at in node.input]
    for name, at in list(function.ret.items()):
        function.ret[name] = named(at)


def _decoded(value: Any) -> Any:
    """A setting that `litert_format` encoded for JSON."""
    if not isinstance(value, dict):
        return value
    ((kind, item),) = value.items()
    if kind == "list":
        return [_decoded(one) for one in item]
    if kind == "dict":
        return {name: _decoded(one) for name, one in item.items()}
    return tf.dtypes.as_dtype(item)


_ENUMS = {"optimizations": "Optimize", "supported_ops": "OpsSet"}
_LISTS = (*_ENUMS, "supported_types")


def _set(owner: Any, name: str, value: Any) -> None:
    if not hasattr(owner, name) or callable(getattr(owner, name)):
        raise ValueError(f"'{name}' is no setting of TensorFlow's {type(owner).__name__}.")
    if name == "target_spec":
        if not isinstance(value, dict):
            raise ValueError(f"target_spec must be a dict. Received: {value!r}")
        for key, one in value.items():
            _set(owner.target_spec, key, one)
        return
    if name in _LISTS and not isinstance(value, list):
        raise ValueError(f"{name} must be a list. Received: {value!r}")
    if name in _ENUMS:
        kind = getattr(tf.lite, _ENUMS[name])
        if missing := [one for one in value if one not in kind.__members__]:
            raise ValueError(f"{name}: expected {list(kind.__members__)}. Received: {missing}")
        value = [kind[one] for one in value]
    if name == "supported_types":
        value = [tf.dtypes.as_dtype(one) for one in value]
    if name in ("inference_input_type", "inference_output_type"):
        value = tf.dtypes.as_dtype(value)
    setattr(owner, name, value)


def _arrays(path: str) -> list:
    with np.load(path) as found:
        return [found[f"arr_{i}"] for i in range(len(found.files))]


def _samples(described: list, arrays: Any) -> Any:
    """The example inputs, each as a list or a dict of arrays."""
    for names in described:
        if isinstance(names, list):
            yield {name: next(arrays) for name in names}
        else:
            yield [next(arrays) for _ in range(names)]
