"""Runs functions of SavedModels, and programs, for `tensorflow_host`: `python
tensorflow_server.py`.

The interpreter needs TensorFlow, but neither keraslike nor JAX. A message on standard input or
output consists of two numbers of eight bytes, a header in JSON, and the bytes of arrays.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import os
import struct
import sys
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

SIZES = struct.Struct("<QQ")


def send(stream: IO[bytes], message: dict, arrays: list) -> None:
    """Writes a message with arrays; arrays of text are arrays of bytes objects."""
    about, parts = [], []
    for array in arrays:
        array = np.asarray(array, object if isinstance(array, bytes) else None)
        if array.dtype == object:
            texts = [base64.b64encode(text).decode() for text in array.ravel().tolist()]
            about.append({"shape": array.shape, "texts": texts})
            continue
        parts.append(np.ascontiguousarray(array).tobytes())
        about.append({"shape": array.shape, "dtype": array.dtype.name})
    header = json.dumps({**message, "arrays": about}).encode()
    stream.write(SIZES.pack(len(header), sum(map(len, parts))))
    for part in (header, *parts):
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict, list]:
    """Reads the next message and its arrays. Raises EOFError at the end of the stream."""
    sizes = stream.read(SIZES.size)
    if len(sizes) < SIZES.size:
        raise EOFError("The other process has ended.")
    of_header, of_arrays = SIZES.unpack(sizes)
    message, data = json.loads(stream.read(of_header)), stream.read(of_arrays)
    arrays: list[np.ndarray] = []
    place = 0
    for about in message.pop("arrays"):
        if "texts" in about:
            array = np.empty(len(about["texts"]), object)
            array[:] = [base64.b64decode(text) for text in about["texts"]]
        else:
            dtype = _dtype(about["dtype"])
            size = math.prod(about["shape"])
            array = np.frombuffer(data, dtype, size, place)
            place += size * dtype.itemsize
        arrays.append(array.reshape(about["shape"]))
    return message, arrays


def _dtype(name: str) -> np.dtype:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


class RaggedParts(tuple):
    """The values and splits of a ragged tensor."""


def packed(tree: Any, leaves: list, is_leaf: Any) -> Any:
    """A description of a structure that JSON can hold; its leaves are appended to `leaves`.

    A ragged tensor is a structure of its values and the splits of its axes, the outermost first.

    Raises TypeError for a value that is neither a leaf, nor a list, tuple, dict or plain value.
    """
    if hasattr(tree, "nested_row_splits"):
        tree = RaggedParts((tree.flat_values, *tree.nested_row_splits))
    if isinstance(tree, RaggedParts):
        return {"ragged": [packed(part, leaves, is_leaf) for part in tree]}
    if is_leaf(tree):
        leaves.append(tree)
        return {"leaf": len(leaves) - 1}
    if isinstance(tree, (list, tuple)):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [packed(item, leaves, is_leaf) for item in tree]}
    if hasattr(tree, "items"):
        return {"dict": {str(key): packed(item, leaves, is_leaf) for key, item in tree.items()}}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": tree}
    raise TypeError(
        f"A function of a SavedModel takes tensors and plain values. Received: {tree!r}"
    )


def unpacked(tree: Any, leaves: list, ragged: Any = RaggedParts) -> Any:
    """The structure that `packed` described, with these leaves.

    Args:
        ragged: a function from the values and splits of a ragged tensor to what stands for it.
    """
    ((kind, items),) = tree.items()
    if kind in ("leaf", "value"):
        return leaves[items] if kind == "leaf" else items
    if kind == "dict":
        return {key: unpacked(item, leaves, ragged) for key, item in items.items()}
    kinds = {"list": list, "tuple": tuple, "ragged": ragged}
    return kinds[kind]([unpacked(item, leaves, ragged) for item in items])


class _Model:
    """A loaded SavedModel."""

    def __init__(self, tf: Any, path: str, tags: Any):
        self.tf = tf
        self.loaded = tf.saved_model.load(path, tags=tags)
        self.variables: list[Any] = []
        self.functions: list[Any] = []
        self.changing: list[bool] = []  # For each function, whether it assigns to variables.
        self._numbers: dict[int, int] = {}  # The numbers of variables by id.
        self.nodes = self._walked()

    def _walked(self) -> list[dict]:
        """The objects below the loaded one, which comes first, each with its children by name."""
        objects: list[Any] = [self.loaded]
        numbers, nodes = {id(self.loaded): 0}, []
        for obj in objects:  # The list grows during the loop.
            node, children = self._node(obj), {}
            for name, child in _children(obj) if node["kind"] in _HOLDING else ():
                if id(child) not in numbers:
                    if self._node(child, dry=True) is None:
                        continue
                    numbers[id(child)] = len(objects)
                    objects.append(child)
                children[name] = numbers[id(child)]
            nodes.append({**node, "children": children})
        return nodes

    def _node(self, obj: Any, dry: bool = False) -> Any:
        if isinstance(obj, self.tf.Variable):
            return True if dry else {"kind": "variable", "number": self._number(obj)}
        if isinstance(obj, self.tf.saved_model.Asset):
            return {"kind": "asset", "path": obj.asset_path.numpy().decode()}
        if hasattr(obj, "concrete_functions") or hasattr(obj, "structured_input_signature"):
            return True if dry else self._function(obj)
        for kind, kinds in (("dict", dict), ("list", list), ("tuple", tuple)):
            if isinstance(obj, kinds):
                return {"kind": kind}
        if hasattr(obj, "items"):  # The signatures.
            return {"kind": "dict"}
        known = hasattr(obj, "_trackable_children") and not isinstance(obj, self.tf.Tensor)
        return {"kind": "object"} if known else None

    def _number(self, variable: Any) -> int:
        found = self._numbers.setdefault(id(variable), len(self.variables))
        if found == len(self.variables):
            self.variables.append(variable)
        return found

    def _function(self, function: Any) -> dict:
        concrete = list(getattr(function, "concrete_functions", [function]))
        used = sorted({self._number(v) for one in concrete for v in one.variables})
        self.functions.append(function)
        self.changing.append(any(map(_changes, concrete)))
        node = {"kind": "function", "number": len(self.functions) - 1, "variables": used}
        node["changes"] = self.changing[-1]
        node["parameters"] = list(concrete[0].function_type.parameters) if concrete else []
        node["overloads"] = [str(one.structured_input_signature) for one in concrete]
        if not hasattr(function, "concrete_functions"):
            inputs, outputs = function.structured_input_signature[1], function.structured_outputs
            node["inputs"], node["outputs"] = map(_specs, (inputs, outputs))
        return node

    def _unpacked(self, structure: Any, leaves: list) -> Any:
        def ragged(parts: list) -> Any:
            return self.tf.RaggedTensor.from_nested_row_splits(parts[0], parts[1:], validate=False)

        return unpacked(structure, leaves, ragged)

    def _in_form(self, function: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """The arguments with lists and tuples where the function was traced with these: TensorFlow
        distinguishes the two."""
        for one in getattr(function, "concrete_functions", [function]):
            wanted = getattr(one, "structured_input_signature", ((), {}))[0]
            if len(wanted) >= len(args):
                return tuple(map(_like, args, wanted)), kwargs
        return args, kwargs

    def described(self) -> tuple[dict, list]:
        about = [
            {"name": v.name.removesuffix(":0"), "trainable": bool(v.trainable)}
            for v in self.variables
        ]
        return {"nodes": self.nodes, "variables": about}, [v.numpy() for v in self.variables]

    def run(self, message: dict, arrays: list) -> tuple[dict, list]:
        """Calls a function, or computes its gradients.

        The arrays are the values of the variables in `set`, those of the arguments, and the
        cotangents.
        """
        tf, values = self.tf, iter(arrays)
        before = {}
        for number in message["set"]:
            variable = self.variables[number]
            if message["trial"]:
                before[number] = variable.numpy()
            variable.assign(next(values))
        function = self.functions[message["function"]]
        given = [next(values) for _ in range(message["count"])]
        # An array that was no tensor becomes one of the dtype that the function expects.
        inputs = [x if i in message["plain"] else tf.constant(x) for i, x in enumerate(given)]
        used = [self.variables[n] for n in message["variables"]]
        may_change = self.changing[message["function"]]
        old = [v.numpy() for v in used] if may_change else []
        along = [tf.constant(value) for value in values]
        with tf.GradientTape() as tape:
            tape.watch([x for x in inputs if tf.is_tensor(x) and x.dtype.is_floating])
            args, kwargs = self._in_form(function, *self._unpacked(message["arguments"], inputs))
            outputs: list[Any] = []
            structure = packed(function(*args, **kwargs), outputs, tf.is_tensor)
        if message["gradient"]:
            moving = [y for y in outputs if y.dtype.is_floating]
            found = tape.gradient(moving, [*used, *map(tf.convert_to_tensor, inputs)], along)
            given = [g is not None for g in found]
            dense = [tf.convert_to_tensor(g).numpy() for g in found if g is not None]
            answer: tuple[dict, list] = {"given": given}, dense
        else:
            pairs = [(n, v.numpy()) for n, v in zip(message["variables"], used)] * may_change
            new = [p for p, o in zip(pairs, old) if p[1].tobytes() != o.tobytes()]
            results = [y.numpy() for y in outputs] + [value for _, value in new]
            answer = {"structure": structure, "changed": [n for n, _ in new]}, results
        if message["trial"] or message["gradient"]:
            for variable, value in zip(used, old):
                variable.assign(value)
            for number, value in before.items():
                self.variables[number].assign(value)
        return answer


def _revive_optimizers(tf: Any) -> None:
    """Lets TensorFlow load a model that Keras 2 saved with its optimizer. The optimizer is replaced
    by an object that makes no variables, since it is not used."""

    class SavedOptimizer(tf.__internal__.tracking.AutoTrackable):
        def add_slot(self, var: Any, *args: Any, **kwargs: Any) -> Any:
            return tf.Variable(tf.zeros_like(var), trainable=False)

    kinds = tf.__internal__.saved_model.load
    version = kinds.VersionedTypeRegistration(
        object_factory=lambda proto: SavedOptimizer(),
        version=2,
        min_producer_version=1,
        min_consumer_version=1,
    )
    kinds.register_revived_type(
        "optimizer", lambda obj: isinstance(obj, SavedOptimizer), versions=[version]
    )


def _like(given: Any, wanted: Any) -> Any:
    """A structure with the list and tuple types of another one."""
    if isinstance(given, (list, tuple)) and isinstance(wanted, (list, tuple)):
        if len(given) != len(wanted):
            return given
        return (tuple if isinstance(wanted, tuple) else list)(map(_like, given, wanted))
    if isinstance(given, dict) and isinstance(wanted, dict):
        return {k: _like(v, wanted[k]) if k in wanted else v for k, v in given.items()}
    return given


_HOLDING = ("object", "dict", "list", "tuple")


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, (list, tuple)):
        yield from ((str(i), item) for i, item in enumerate(obj))
        return
    if hasattr(obj, "items"):
        yield from ((str(key), item) for key, item in obj.items())
        return
    for name, child in vars(obj).items():
        if not name.startswith(("_self_", "__")):
            yield name, child
    # A property of the class, if any.
    call = getattr(type(obj), "__call__", None)  # noqa: B004
    if call is not None and hasattr(call, "__get__"):
        found = vars(obj).get("__call__")
        if found is not None:
            yield "__call__", found


def _changes(concrete: Any) -> bool:
    definition = concrete.graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    kinds = {node.op for node in nodes}
    return any(
        kind.startswith("ResourceScatter") or (kind.startswith("Assign") and "Variable" in kind)
        for kind in kinds
    )


def _specs(specs: Any) -> dict:
    specs = specs if isinstance(specs, dict) else {}
    return {
        name: {
            "shape": None if spec.shape.rank is None else spec.shape.as_list(),
            "dtype": spec.dtype.name,
        }
        for name, spec in specs.items()
    }


def _program(path: str) -> Any:
    """The module in a file, loaded once."""
    if path not in _programs:
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        _programs[path] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_programs[path])
    return _programs[path]


_programs: dict[str, Any] = {}


def main() -> None:
    """Answers messages until the end of standard input."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Output of TensorFlow must not be mistaken for a message.
    import tensorflow as tf  # type: ignore[import-not-found]

    _revive_optimizers(tf)
    models: dict[int, _Model] = {}
    while True:
        try:
            message, arrays = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if message["what"] == "load":
                number = len(models)
                model = _Model(tf, message["path"], message["tags"])
                models[number] = model
                about, values = model.described()
                answer: tuple[dict, list] = {**about, "model": number}, values
            elif message["what"] == "program":
                _program(message["path"]).main(*message["arguments"])
                answer = {}, []
            else:
                answer = models[message["model"]].run(message, arrays)
        except Exception as error:
            answer = {"error": [type(error).__name__, str(error)]}, []
        send(answers, *answer)


if __name__ == "__main__":
    main()
