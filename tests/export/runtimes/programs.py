"""How models are run in their own runtimes: programs without keraslike, one for each format."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

# Programs without keraslike: what loads a model gives a function.
LOADERS = {
    "stablehlo": """
import jax
def load(folder):
    with open(folder + "/serve.jax_export", "rb") as file:
        run = jax.jit(jax.export.deserialize(bytearray(file.read())).call)
    weights = {k: jax.numpy.asarray(v) for k, v in numpy.load(folder + "/weights.npz").items()}
    return lambda x: jax.tree.map(numpy.asarray, run(weights, x))
""",
    "onnx": """
import onnxruntime
def load(path):
    session = onnxruntime.InferenceSession(path)
    inputs = [a.name for a in session.get_inputs()]
    outputs = [a.name for a in session.get_outputs()]
    def run(x):
        found = session.run(None, x if isinstance(x, dict) else {inputs[0]: x})
        return found[0] if len(found) == 1 else dict(zip(outputs, found))
    return run
""",
    "openvino": """
import openvino
core = openvino.Core()
def load(path):
    model = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = [o.any_name for o in model.outputs]
    def run(x):
        found = model(x if isinstance(x, dict) else [x])
        return found[0] if len(outputs) == 1 else {name: found[name] for name in outputs}
    return run
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
def load(path):
    runner = Interpreter(path).get_signature_runner()  # of LiteRT's own operations
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    def run(x):
        found = runner(**(x if isinstance(x, dict) else {next(iter(inputs)): x}))
        return found if len(outputs) > 1 else next(iter(found.values()))
    return run
""",
    "tf_saved_model": """
import tensorflow as tf
def load(folder):
    loaded = tf.saved_model.load(folder)
    return lambda x: tf.nest.map_structure(
        lambda t: t.numpy(), loaded.serve(tf.nest.map_structure(tf.constant, x)))
""",
}


NODE = "tfjs"  # runs in Node


ENDINGS = {"litert": ".tflite", "openvino": ".xml"}


KINDS = (*LOADERS, NODE)


RUN = """
import json, pickle, sys, time
import numpy
{loader}
def flat(tree):
    return [tree[k] for k in sorted(tree)] if isinstance(tree, dict) else [tree]
found = {{}}
for name, (folder, pairs) in pickle.load(open(sys.argv[1], "rb")).items():
    run, worst = load(folder), 0.0
    for x, wanted in pairs:
        for a, b in zip(flat(run(x)), flat(wanted), strict=True):
            assert a.shape == b.shape, (a.shape, b.shape)
            worst = max(worst, float(abs(a - b).max()))
    one = pairs[0][0]
    times = []
    for _ in range(30):
        start = time.perf_counter()
        run(one)
        times.append(time.perf_counter() - start)
    found[name] = [worst, 1e6 * sorted(times)[len(times) // 2]]
assert not any(name.partition(".")[0] == "keraslike" for name in sys.modules)
print(json.dumps(found))
"""


def for_tfjs(cases, root=None):
    """What `tfjs_run.js` reads of cases, `(path, inputs)` with inputs as dicts of arrays or single
    ones; paths are said from a root."""

    def plain(x):
        x = np.asarray(x)
        return {"values": x.ravel().tolist(), "shape": x.shape, "dtype": x.dtype.name}

    described = []
    for path, inputs in cases:
        about = json.loads(pathlib.Path(path, "model.json").read_text())
        (name, *_) = about.get("signature", {"inputs": ["x"]})["inputs"]
        given = [x if isinstance(x, dict) else {name: x} for x in inputs]
        calls = [{k: plain(v) for k, v in x.items()} for x in given]
        folder = path if root is None else pathlib.Path(path).relative_to(root)
        described.append({"folder": str(folder), "calls": calls})
    return json.dumps(described)


def of_tfjs(text):
    """The outputs by their names, and microseconds, of each case in what `tfjs_run.js` says."""
    results = []
    for one in json.loads(text):
        assert one["error"] is None, one["error"]
        outputs = [
            {k: np.reshape(v["values"], v["shape"]) for k, v in of.items()} for of in one["outputs"]
        ]
        results.append((outputs, one["micro"]))
    return results


def in_node(cases, folder, rounds=10):
    """Runs models in TensorFlow.js. Of each case, as in `for_tfjs`, gives the outputs and the
    median of microseconds for the first inputs."""
    (folder / "cases.json").write_text(for_tfjs(cases))
    node = pathlib.Path(sys.executable).with_name("node")
    files = [
        pathlib.Path(__file__).parents[1] / "tfjs_run.js",
        "cases.json",
        "found.json",
        str(rounds),
    ]
    modules = pathlib.Path(sys.prefix) / "node_modules"
    environment = {**os.environ, "NODE_PATH": str(modules)}
    subprocess.run([node, *files], cwd=folder, env=environment, check=True, capture_output=True)
    return of_tfjs((folder / "found.json").read_text())


def difference(found, wanted):
    """The largest of a call's outputs by name."""
    if not isinstance(wanted, dict):
        ((_, one),) = found.items()
        found, wanted = {"": one}, {"": wanted}
    assert all(found[k].shape == v.shape for k, v in wanted.items())
    return max(float(np.abs(found[k] - v).max()) for k, v in wanted.items())
