"""Each format in its own runtime, for `make test-export`: models of the zoo at two batch sizes.

What was found is written to `docs/export.md`. These tests need the packages of all formats, so that
`make test` leaves them out.
"""

import importlib
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf as ktf
from keraslike.export import command
from tests.export import zoo

TABLE = pathlib.Path(__file__).parents[2] / "docs" / "export.md"

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
        pathlib.Path(__file__).with_name("tfjs_run.js"),
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


ABOUT = """# Models and the formats they are exported in

`make test-export` writes this table: for each of twelve small models the largest difference from
`predict`, at batch sizes of 1 and 3, in the format's own runtime without keraslike; the size of the
files beside that of the weights; and microseconds for one sample, conversion to and from numpy
included, beside `predict`.

`tfjs` runs in Node there, on its backend of plain JavaScript; `make test-browser` runs the same
models in Chromium, on WebGL, and demands the numbers of `predict` to 1e-4. A model all of whose
layers TensorFlow.js has is written as a layers-model (`tf.loadLayersModel`), any other as a
graph-model (`tf.loadGraphModel`); where that has loops, it is run by `executeAsync`.

`litert` is run by `ai_edge_litert`, with LiteRT's own operations, without those of TensorFlow that
only some programs have. It has no pooling along three axes, and 16-bit numbers only of weights, by
the converter's setting `supported_types`: models that need more are refused by the layer's name.
A model that is quantized to 8 bits gives the same numbers there, and its weights stay so;
`optimizations=["DEFAULT"]` is the converter's own way to them.

Height and width may be unknown. Where a model only works for multiples of 2, 4, ... (one that
halves them and doubles them again), `stablehlo` and `tf_saved_model` have programs that check it
when they are called; the other formats, which cannot, need an `input_signature` with numbers.

`openvino` is compiled for the CPU with `{"INFERENCE_PRECISION_HINT": "f32"}`. Without that OpenVINO
computes in bfloat16 on processors that have it, and results differ by a hundredth or so.

A damaged file is an error of what reads it, wherever the format has checksums: `stablehlo`, the
variables of `tf_saved_model`, and the folders of `tfjs` that keraslike wrote. The others have none:
a part that is cut off is noticed, a weight with other bits is not.

"""


def _median(run):
    times = []
    for _ in range(30):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e6 * sorted(times)[len(times) // 2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Of each model: bytes of its weights and microseconds of `predict`; and by format the bytes of
    the files, the largest difference and microseconds."""
    folder = tmp_path_factory.mktemp("exported")
    cases, facts = {name: {} for name in KINDS}, {}
    for number, name in enumerate(zoo.MODELS):
        model = zoo.made(name)
        pairs = [
            (x, model.predict(x, verbose=0)) for x in (zoo.inputs_for(model, n) for n in (1, 3))
        ]
        one, nbytes = pairs[0][0], sum(v.value.nbytes for v in model.weights)
        facts[name] = {
            "weights": nbytes,
            "predict": _median(lambda m=model, x=one: m.predict(x, verbose=0)),
        }
        for kind, of_kind in cases.items():
            path = folder / f"{number}-{kind}{ENDINGS.get(kind, '')}"
            model.export(path, format=kind, verbose=False)
            files = [path, *path.rglob("*"), path.with_suffix(".bin")]
            size = sum(f.stat().st_size for f in files if f.is_file())
            facts[name][kind], facts[name].setdefault("paths", {})[kind] = [size], path
            of_kind[name] = (str(path), pairs)
    given = [(path, [x for x, _ in pairs]) for path, pairs in cases[NODE].values()]
    for (name, (_, pairs)), (outputs, micro) in zip(cases[NODE].items(), in_node(given, folder)):
        worst = max(difference(y, wanted) for y, (_, wanted) in zip(outputs, pairs, strict=True))
        facts[name][NODE] += [worst, micro]
    for kind in LOADERS:
        of_kind, data = cases[kind], folder / f"{kind}.pickle"
        data.write_bytes(pickle.dumps(of_kind))
        program = RUN.format(loader=LOADERS[kind])
        done = subprocess.run(
            [sys.executable, "-c", program, data], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        for name, values in json.loads(done.stdout.splitlines()[-1]).items():
            facts[name][kind] += values
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(_table(facts))
    write_summary()
    return facts


README = TABLE.parents[1] / "README.md"
MARKS = "<!-- differences: by make test-export -->\n", "<!-- end of differences -->\n"


def write_summary():
    """Puts the differences that the table has into the README, between two marks."""
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    found = [i for i, head in enumerate(rows[0]) if head.endswith(": difference")]
    heads = [rows[0][i].removesuffix(": difference") for i in found]
    lines = [["model", *heads], ["---", *["---:"] * len(heads)]]
    lines += [[row[0], *(row[i] for i in found)] for row in rows[2:]]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    README.write_text(before + MARKS[0] + table + MARKS[1] + after, encoding="utf-8")


def _table(facts):
    lines = ABOUT.splitlines()
    heads = ["model", "weights", "predict"]
    for kind in KINDS:
        heads += [f"`{kind}`: difference", "size", "µs"]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, fact in facts.items():
        row = [name, f"{fact['weights'] / 1000:.1f} kB", f"{fact['predict']:.0f} µs"]
        for kind in KINDS:
            size, worst, micro = fact[kind]
            row += [f"{worst:.1e}" if worst else "0", f"{size / 1000:.0f} kB", f"{micro:.0f}"]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", zoo.MODELS)
def test_it_gives_what_predict_gives(found, name, kind):
    size, worst, _ = found[name][kind]
    assert worst < 1e-5
    assert size < 1.2 * found[name]["weights"] + 100_000


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_what_onnx_cannot_express_is_refused(tmp_path, kind):
    path = tmp_path / f"m.{'xml' if kind == 'openvino' else kind}"
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(keras.ops.erfinv, name="inverse")]
    )
    with pytest.raises(ValueError, match="/inverse' computes: the primitive 'erf_inv'"):
        model.export(path, format=kind, verbose=False)
    spec = keras.InputSpec(shape=(None, 4), dtype="float32")
    archive = keras.export.ExportArchive(format=kind)
    archive.add_endpoint("a", lambda x: x, [spec])
    archive.add_endpoint("b", lambda x: x, [spec])
    with pytest.raises(ValueError, match="with one endpoint"):
        archive.write_out(path, verbose=False)
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    archive = keras.export.ExportArchive(format=kind)
    archive.track(model)
    archive.add_endpoint("train", lambda x: model(x, training=True), [spec])
    with pytest.raises(ValueError, match="changes state"):
        archive.write_out(path, verbose=False)
    if kind == "openvino":
        with pytest.raises(ValueError, match="end in '.xml'"):
            zoo.made("MLP").export(tmp_path / "m", format=kind)
    assert not list(tmp_path.iterdir())


def test_files_say_what_is_in_them(found, capsys, tmp_path):
    paths = found["several inputs, embeddings"]["paths"]
    wanted = ["a: float32[None, 3], b: int32[None, 2]", "p: float32[None, 1], q: float32[None, 2]"]
    for kind, path in paths.items():
        capsys.readouterr()
        assert command.main(["inspect", str(path)]) == 0
        shown = capsys.readouterr().out
        if kind != "stablehlo":
            assert f"    inputs: {wanted[0]}\n    outputs: {wanted[1]}\n" in shown, kind
        assert f"{path}: " in shown and ": none\n" in shown
    runs = {
        "onnx": lambda p: importlib.import_module("onnxruntime").InferenceSession(p),
        "litert": lambda p: importlib.import_module("ai_edge_litert.interpreter").Interpreter(p),
        "openvino": lambda p: importlib.import_module("openvino").Core().read_model(p),
        "tf_saved_model": None,
        "tfjs": None,
    }
    inside = {"tf_saved_model": "saved_model.pb", "tfjs": "model.json"}
    for kind, run in runs.items():  # what is damaged is an error, here and where it runs
        path = shutil.copytree(paths[kind], tmp_path / kind) if kind in inside else paths[kind]
        file, at = pathlib.Path(paths[kind], inside.get(kind, "")), tmp_path / f"cut-{path.name}"
        at = path / inside[kind] if kind in inside else at
        for share in (0, 0.1, 0.5, 0.97):
            at.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
            assert command.main(["inspect", str(path if kind in inside else at)]) == 1, (
                kind,
                share,
            )
            if run is not None:
                with pytest.raises(Exception):  # noqa: B017 (each has errors of its own)
                    run(str(at))


def test_operations_in_openvino(tmp_path):
    import openvino  # pyright: ignore[reportMissingImports]

    def backwards(x):  # a loop over no array
        return jax.lax.scan(lambda c, _: (c / 2, c), x[:, 0, 0], length=4, reverse=True)[1]

    of_images, x = operations()
    functions_of = of_images | functions() | placed()
    functions_of["backwards"] = keras.layers.Lambda(lambda x: backwards(x).swapaxes(0, 1))
    inputs = keras.Input((7, 6, 4), name="x")
    model = keras.Model(inputs, {f"o{i}": f(inputs) for i, f in enumerate(functions_of.values())})
    model.export(tmp_path / "m.xml", format="openvino", verbose=False)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(tmp_path / "m.xml", "CPU", settings)
    for part in (x, x[:1]):
        found, wanted = run({"x": part}), model.predict(part, verbose=0)
        for i, name in enumerate(functions_of):
            a, b = found[f"o{i}"], wanted[f"o{i}"]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["m.bin", "m.xml"]
    for file in files:  # a damaged file is an error of OpenVINO's
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RuntimeError):
            openvino.Core().read_model(tmp_path / "m.xml")
        file.write_bytes(whole)


def in_litert(path, *inputs):
    """The outputs, by their names, of a file's only input for each of several arrays."""
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    (name,) = runner.get_input_details()
    return [{k: np.copy(v) for k, v in runner(**{name: x}).items()} for x in inputs]


def test_operations_in_litert(tmp_path):
    ops, (of_images, x) = keras.ops, operations()
    composed = (ops.arctan, ops.arcsinh, ops.sinh, ops.cosh, ops.tan, ops.erf, ops.gelu)
    within = (ops.arcsin, ops.arccos, ops.arctanh)  # of numbers up to 1
    more = {
        "composed": lambda x: ops.stack([f(x) for f in composed]),
        "within": lambda x: ops.stack([f(ops.tanh(x)) for f in within]),
        "without": lambda x: ops.arccosh(1 + ops.abs(x)),
        "products": lambda x: ops.cumprod(x, 1),
        "largest": lambda x: ops.top_k(x, 2)[1],
        "tiled": lambda x: ops.tile(x, (1, 2, 1, 1)),
        "mean": keras.layers.Lambda(lambda x: ops.mean(x, axis=(1, 2)) * ops.shape(x)[0]),
    }
    functions_of = of_images | functions() | scattered() | more
    del functions_of["pooled"]  # along three axes: it has none
    inputs = keras.Input((7, 6, 4))
    outputs = {f"o{i}": f(inputs) for i, f in enumerate(functions_of.values())}
    model = keras.Model(inputs, outputs)
    model.export(tmp_path / "m.tflite", format="litert", verbose=False)
    for part, found in zip((x, x[:1]), in_litert(tmp_path / "m.tflite", x, x[:1]), strict=True):
        wanted = model.predict(part, verbose=0)
        for i, name in enumerate(functions_of):
            a, b = found[f"o{i}"], wanted[f"o{i}"]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def narrowed(x):
    """Floats as narrow integers, which saturate, and integers as narrower ones, which wrap."""
    parts = [x.astype(dtype) for dtype in ("uint8", "int8", "uint16", "int16")]
    parts += [(3 * x).astype("int32").astype(dtype) for dtype in ("uint8", "int8", "int16")]
    parts += [parts[0].astype("int16")]
    return keras.ops.stack([part.astype("float32") for part in parts], -1)


def test_narrow_integers_in_litert_and_tensorflow_js(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Lambda(narrowed)])
    x = np.array(
        [[-70000, -300, -1.5, -0.5, 0, 0.7], [127.5, 128, 255.9, 256, 300, 66000]], "float32"
    )
    wanted = model.predict(x, verbose=0)
    model.export(tmp_path / "m.tflite", format="litert", verbose=False)
    ((found,),) = (list(outputs.values()) for outputs in in_litert(tmp_path / "m.tflite", x))
    np.testing.assert_array_equal(found, wanted)
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    (((outputs,), _),) = in_node([(tmp_path / "m", [x])], tmp_path, 0)
    np.testing.assert_array_equal(next(iter(outputs.values())), wanted)


def test_settings_of_the_converter_of_litert(tmp_path):
    layers, path = keras.layers, tmp_path / "m.tflite"
    model = keras.Sequential([keras.Input((1500,), dtype="uint8"), layers.Rescaling(1 / 255),
                              layers.Dense(64, activation="relu"), layers.Dense(4)])  # fmt: skip
    nbytes = sum(v.value.nbytes for v in model.weights)
    x = np.random.default_rng(0).integers(0, 256, (3, 1500)).astype("uint8")
    samples = ktf.lite.RepresentativeDataset(lambda: ([row[None]] for row in x))
    dtypes = {"inference_output_type": np.int8, "representative_dataset": samples}
    quantized = {"optimizations": ["DEFAULT"]}
    for settings, ratio in (({}, 1), (quantized, 0.25), (quantized | dtypes, 0.25)):
        model.export(path, format="litert", verbose=False, **settings)
        assert ratio * nbytes < path.stat().st_size < 1.1 * ratio * nbytes + 9000
        wanted = model.predict(x, verbose=0)
        (found,) = in_litert(path, x)
        (y,) = found.values()
        if "inference_output_type" in settings:
            assert y.dtype == np.int8 and (y.argmax(1) == wanted.argmax(1)).all()
        else:
            np.testing.assert_allclose(y, wanted, atol=0.02 if settings else 1e-4)
    for settings, words in (
        ({"speed": 1}, "'speed' is no setting"),
        ({"target_spec": {"speed": 1}}, "'speed' is no setting"),
        ({"optimizations": ["SMALL"]}, "optimizations: expected"),
        ({"representative_dataset": lambda: [[x, x]]}, "an array for each"),
        ({"optimizations": [object()]}, "'optimizations' cannot be"),
    ):
        with pytest.raises(ValueError, match=words):
            model.export(path, format="litert", **settings)
    model.quantize("int8")
    model.export(path, format="litert", verbose=False)  # sums of more than float32 has exactly
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in model.weights) + 10_000
    (y,) = in_litert(path, x)[0].values()
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)
    words = keras.Sequential([keras.Input((6,), dtype="int32"), layers.Embedding(2000, 64)])
    words.quantize("int8")
    words.export(path, format="litert", verbose=False)
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in words.weights)
    x = np.arange(12, dtype="int32").reshape(2, 6)
    (y,) = in_litert(path, x)[0].values()
    np.testing.assert_allclose(y, words.predict(x, verbose=0), rtol=1e-6)


def test_several_endpoints_in_a_file_of_litert(tmp_path):
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    inputs = keras.Input((40,))
    code = keras.layers.Dense(2000, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(code))
    encoder = keras.Model(inputs, code)
    archive = keras.export.ExportArchive("litert")
    archive.track(model)
    spec = keras.InputSpec(shape=(None, 40), dtype="float32")
    archive.add_endpoint("predict", model.call, [spec])
    archive.add_endpoint("encode", encoder.call, [spec])
    path = tmp_path / "m.tflite"
    archive.write_out(path, verbose=False)
    # A weight of both is in the file once.
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in model.weights) + 10_000
    interpreter = Interpreter(str(path))
    assert set(interpreter.get_signature_list()) == {"predict", "encode"}
    for name, of in (("predict", model), ("encode", encoder)):
        runner = interpreter.get_signature_runner(name)
        (at,) = runner.get_input_details()
        for count in (1, 3):
            x = np.random.default_rng(count).normal(size=(count, 40)).astype("float32")
            (y,) = runner(**{at: x}).values()
            np.testing.assert_allclose(y, of.predict(x, verbose=0), atol=1e-5)


def test_tf_lite(tmp_path):
    import tensorflow as tf

    model, lite = zoo.made("custom layer and activation"), ktf.lite
    x = zoo.inputs_for(model, 1)
    wanted = model.predict(x, verbose=0)
    converter = lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [ktf.float16]
    interpreter = lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["shape"].tolist() == [1, 4] and given["shape_signature"].tolist() == [-1, 4]
    interpreter.set_tensor(given["index"], ktf.constant(x))
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(found["index"]), wanted, atol=0.01)

    w = ktf.Variable([[1.0, 2.0]])

    @ktf.function(input_signature=[ktf.TensorSpec([None, 1]), ktf.TensorSpec([], name="b")])
    def f(a, b):
        return {"product": a @ w, "sum": ktf.reduce_sum(a) + b}

    data = lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()]).convert()
    run = lite.Interpreter(model_content=data).get_signature_runner()
    found = run(a=ktf.constant([[3.0], [4.0]]), b=ktf.constant(1.0))
    assert found["product"].tolist() == [[3, 6], [4, 8]] and found["sum"] == 8

    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None])])
        def __call__(self, x):
            return {"y": 2 * x}

    doubled = Doubled()
    tf.saved_model.save(doubled, str(tmp_path / "m"), signatures=doubled.__call__)
    converter = lite.TFLiteConverter.from_saved_model(str(tmp_path / "m"))
    converter.representative_dataset = lambda: [[np.ones(3, "float32")]]
    run = lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    assert run(x=np.array([1.0, 2.0], "float32"))["y"].tolist() == [2, 4]
    model.export(tmp_path / "ours", verbose=False)
    data = lite.TFLiteConverter.from_saved_model(str(tmp_path / "ours")).convert()
    (tmp_path / "ours.tflite").write_bytes(data)
    (y,) = in_litert(tmp_path / "ours.tflite", x)[0].values()
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    converter = lite.TFLiteConverter.from_saved_model(str(tmp_path / "no"))
    with pytest.raises(OSError, match="There is no SavedModel"):
        converter.convert()


def test_what_litert_cannot_express_is_refused(tmp_path):
    path, layers = tmp_path / "m.tflite", keras.layers
    model = keras.Sequential([keras.Input((4, 4, 4, 2)), layers.MaxPooling3D(2, name="deep")])
    with pytest.raises(ValueError, match="/deep' computes: .* operations MaxPool3D"):
        model.export(path, format="litert", verbose=False)
    assert not list(tmp_path.iterdir())
    both = {"supported_ops": ["TFLITE_BUILTINS", "SELECT_TF_OPS"]}
    model.export(path, format="litert", verbose=False, target_spec=both)
    with pytest.raises(RuntimeError, match="FlexMaxPool3D"):
        in_litert(path, np.ones((1, 4, 4, 4, 2), "float32"))


def operations():
    """Layers and functions of images by name, and three images."""
    ops, layers = keras.ops, keras.layers
    of_images = {
        "same pooling": layers.AveragePooling2D(3, 2, padding="same"),
        "max pooling": layers.MaxPooling2D(3, 2, padding="same"),
        "dilated": layers.Conv2D(3, 3, dilation_rate=2, padding="same"),
        "groups": layers.Conv2D(4, 3, groups=2),
        "transposed": layers.Conv2DTranspose(3, 4, strides=2, padding="valid"),
        "upsampled": layers.UpSampling2D(2),
        "padded": layers.ZeroPadding2D(1),
        "cropped": layers.Cropping2D(1),
        "reversed": lambda x: x[:, ::-1, 1::2],
        "argmax": lambda x: ops.argmax(x, -1),
        "sums": lambda x: ops.cumsum(x, 1) + ops.prod(x, 1, keepdims=True),
        "all": lambda x: ops.where(ops.all(x > -1, -1, keepdims=True), x, -x),
        "taken": lambda x: ops.take(x, [2, 0, 1], axis=2),
        "special": lambda x: ops.erf(x) + ops.log1p(ops.abs(x)) + ops.expm1(x) + ops.round(x),
        "modulo": lambda x: ops.mod(x, 0.7) + ops.floor(x),
        "einsum": lambda x: ops.einsum("bijc,bkjc->bikc", x, x),
    }
    return of_images, np.random.default_rng(0).normal(size=(3, 7, 6, 4)).astype("float32")


def test_operations_in_onnxruntime(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    of_images, x = operations()
    for name, layer in (of_images | functions() | placed()).items():
        inputs = keras.Input((7, 6, 4))
        model = keras.Model(inputs, layer(inputs))
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for part in (x, x[:1]):
            (found,) = session.run(None, {session.get_inputs()[0].name: part})
            wanted = model.predict(part, verbose=0)
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


def functions():
    """Functions whose graphs have loops, branches and orders."""
    ops = keras.ops
    return {
        "sorted": lambda x: ops.sort(x, axis=1),
        "argsort": lambda x: ops.argsort(x, axis=-1),
        "halved": lambda x: ops.while_loop(
            lambda y: ops.max(y) > 1, lambda y: (y / 2,), (ops.sum(x, axis=(1, 2)),)
        )[0],
        "one way": keras.layers.Lambda(
            lambda x: ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x * 2)
        ),
        "along": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
        "strided": keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2),
        "three axes": lambda x: keras.layers.Conv3D(2, 2)(x[..., None]),
        "pooled": lambda x: keras.layers.MaxPooling3D(2)(x[..., None]),
        "one axis": lambda x: keras.layers.Conv1D(3, 2, dilation_rate=2)(x[:, 0]),
        "scanned": lambda x: ops.associative_scan(ops.add, x, axis=1),
    }


def placed():
    """Functions that put values at places, and others that ONNX has operators for."""
    ops, of = keras.ops, keras.layers.Lambda
    rows = np.array([0, 0, 1, 1, 2, 2, 2])

    def chosen(x):
        which = ops.cast(ops.argmax(ops.sum(x, (1, 2)), -1)[0] % 3, "int32")
        return ops.switch(which, [lambda y: y, lambda y: y * 2, lambda y: y - 1], x)

    return {
        "updated": lambda x: ops.slice_update(x, [0, 1, 0, 0], x[:, :1] * 2),
        "added at": of(lambda x: x.at[:, np.array([0, 2, 2])].add(1.0)),
        "set at, one outside": of(lambda x: x.at[:, np.array([0, 2, 9])].set(7.0)),
        "largest at": of(lambda x: x.at[:, :, 1].max(0.5)),
        "top": lambda x: ops.top_k(x, 2)[0],
        "places of the top": lambda x: ops.top_k(x, 2)[1],
        "counted": lambda x: ops.fori_loop(0, 3, lambda i, y: y * 1.5 + ops.cast(i, "float32"), x),
        "three ways": of(chosen),
        "segments": of(lambda x: ops.segment_sum(ops.transpose(x, (1, 0, 2, 3)), rows, 3)),
    }


def test_images_of_any_size_in_onnxruntime_and_tfjs(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    model = keras.Model(inputs, layers.AveragePooling2D(3, 2, padding="same")(x))
    data = [np.random.default_rng(0).normal(size=s).astype("float32")
            for s in ((2, 16, 25, 3), (1, 9, 30, 3))]  # fmt: skip
    wanted = [model.predict(part, verbose=0) for part in data]
    model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    found = [session.run(None, {session.get_inputs()[0].name: part})[0] for part in data]
    spec = keras.InputSpec(shape=inputs.shape, dtype="float32")
    model.export(tmp_path / "js", format="tfjs", verbose=False, input_signature=[spec])
    ((outputs, _),) = in_node([(tmp_path / "js", data)], tmp_path)
    for y, js, z in zip(found, outputs, wanted, strict=True):
        np.testing.assert_allclose(y, z, atol=1e-5)
        assert difference(js, z) < 1e-5


def scattered():
    """Those functions that put values at places of which every format has them."""
    return {name: placed()[name] for name in ("added at", "set at, one outside", "segments")}


def test_quantized_weights_stay_small_in_openvino(tmp_path):
    import openvino  # pyright: ignore[reportMissingImports]

    x = np.random.default_rng(0).normal(size=(3, 512)).astype("float32")
    for mode in ("int8", "int4"):
        model = keras.Sequential([keras.Input((512,)), keras.layers.Dense(512)])
        model.quantize(mode)
        model.export(tmp_path / "m.xml", format="openvino", verbose=False)
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert size < 1.2 * sum(v.value.nbytes for v in model.weights) + 100_000
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        run = openvino.Core().compile_model(tmp_path / "m.xml", "CPU", settings)
        np.testing.assert_allclose(run([x])[0], model.predict(x, verbose=0), atol=1e-4)


def test_int4_in_onnxruntime(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    layers = keras.layers
    words = [keras.Input((4,), dtype="int32"), layers.Embedding(10, 4), layers.Flatten()]
    for stack in (words, [keras.Input((8,)), layers.Dense(15, activation="relu")]):
        model = keras.Sequential([*stack, layers.Dense(3)])
        model.quantize("int4")
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for count in (1, 3):
            x = zoo.inputs_for(model, count)
            (found,) = session.run(None, {session.get_inputs()[0].name: x})
            np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


def test_operations_in_tfjs(tmp_path):
    of_images, x = operations()
    cases, wanted = {}, {}
    for name, layer in (of_images | functions() | scattered()).items():
        inputs = keras.Input((7, 6, 4))
        model = keras.Model(inputs, layer(inputs))
        spec = keras.InputSpec(shape=(None, 7, 6, 4), dtype="float32")
        path = tmp_path / str(len(cases))
        model.export(path, format="tfjs", verbose=False, input_signature=[spec])
        cases[name] = (path, [x, x[:1]])
        wanted[name] = [model.predict(part, verbose=0) for part in (x, x[:1])]
    for name, (outputs, _) in zip(cases, in_node(cases.values(), tmp_path), strict=True):
        for y, z in zip(outputs, wanted[name], strict=True):
            assert difference(y, z) < 2e-5, name


def test_layers_models_in_tfjs(tmp_path):
    layers = keras.layers
    image, series, words = (7, 6, 4), (5, 4), (5,)
    stacks = {
        "activations": (image, [layers.Activation(a) for a in
                        ("elu", "relu6", "selu", "silu", "softplus", "softsign", "tanh")]),
        "softmax": (image, [layers.Softmax(axis=-1), layers.ReLU(0.2), layers.LeakyReLU(0.1)]),
        "norms": (image, [layers.BatchNormalization(), layers.LayerNormalization(), layers.ELU()]),
        "strides": (image, [layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False)]),
        "dilated": (image, [layers.Conv2D(3, 2, dilation_rate=2, activation="relu")]),
        "transposed": (image, [layers.Conv2DTranspose(3, 4, strides=2, padding="same")]),
        "separable": (image, [layers.SeparableConv2D(3, 3, depth_multiplier=2),
                              layers.DepthwiseConv2D(2, depth_multiplier=2)]),
        "pools": (image, [layers.MaxPooling2D(3, 1, padding="same"),
                          layers.AveragePooling2D(3, 2, padding="same")]),
        "around": (image, [layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Cropping2D(2),
                           layers.UpSampling2D((2, 3))]),
        "global": (image, [layers.GlobalMaxPooling2D(), layers.RepeatVector(3)]),
        "shapes": (image, [layers.Reshape((6, -1)), layers.Permute((2, 1)), layers.Flatten()]),
        "noise": (image, [layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.AlphaDropout(0.2),
                          layers.GaussianDropout(0.3), layers.GlobalAveragePooling2D()]),
        "series": (series, [layers.Conv1D(3, 2, padding="same"), layers.MaxPooling1D(2, 1),
                            layers.SpatialDropout1D(0.5), layers.GlobalAveragePooling1D()]),
        "two ways": (series, [layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                              layers.TimeDistributed(layers.Dense(2)),
                              layers.Bidirectional(layers.GRU(2, reset_after=False), "sum")]),
        "masks": (words, [layers.Embedding(10, 3, mask_zero=True),
                          layers.LSTM(3, return_sequences=True, go_backwards=True),
                          layers.Dropout(0.2), layers.SimpleRNN(3), layers.Dense(2)]),
        "skipped": (series, [layers.Masking(0.0), layers.LSTM(3)]),
        "a model": (series, [keras.Sequential([keras.Input(series), layers.Dense(3),
                             layers.BatchNormalization()]), layers.Dense(2, activation="relu")]),
    }  # fmt: skip
    cases, wanted, numbers = [], [], np.random.default_rng(0)
    for name, (shape, stack) in stacks.items():
        model = keras.Sequential([keras.Input(shape), *stack])
        for v in model.weights:
            v.assign(v + 0.1 * np.abs(numbers.normal(size=v.shape)))
        model.export(tmp_path / name, format="tfjs", verbose=False)
        assert '"layers-model"' in (tmp_path / name / "model.json").read_text(), name
        x = (
            numbers.integers(0, 4, (3, *shape))
            if shape == words
            else numbers.normal(size=(3, *shape))
        )
        x = x.astype("float32")
        x[1, 2:] = 0
        cases.append((tmp_path / name, [x, x[:1]]))
        wanted.append([model.predict(part, verbose=0) for part in (x, x[:1])])
        again = keras.saving.load_model(tmp_path / name)
        np.testing.assert_allclose(again.predict(x, verbose=0), wanted[-1][0], atol=1e-6)
    for (path, _), (outputs, _), pair in zip(cases, in_node(cases, tmp_path), wanted, strict=True):
        for y, z in zip(outputs, pair, strict=True):
            assert difference(y, z) < 1e-5, path.name


def test_a_saved_model_is_a_layer_that_trains(tmp_path):
    model = zoo.made("MLP")
    model.export(tmp_path / "m", verbose=False)
    layer = keras.layers.TFSMLayer(tmp_path / "m")
    x = zoo.inputs_for(model, 3)

    def loss(m):
        return (m(x) ** 2).sum()

    (value, gradients), (again, found) = map(keras.value_and_grad(loss), (model, layer))
    np.testing.assert_allclose(again, value, rtol=1e-5)
    by_shape = {v.shape: g for v, g in zip(layer.trainable_variables, found, strict=True)}
    for v, g in zip(model.trainable_variables, gradients, strict=True):
        np.testing.assert_allclose(by_shape[v.shape], g, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_saved_model_of_several_inputs_is_a_layer(tmp_path, kind):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
    model.export(tmp_path / "m", verbose=False)
    x = [np.ones((2, 2), "float32"), np.ones((2, 3), "float32")]
    wanted = model.predict(x, verbose=0)
    layer = keras.layers.TFSMLayer(tmp_path / "m")
    np.testing.assert_allclose(layer(kind(x)), wanted, rtol=1e-5)
    layer = keras.layers.TFSMLayer(tmp_path / "m", call_endpoint="serving_default")
    found = layer({"a": x[0], "b": x[1]})["output_0"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_damaged_saved_model_is_an_error(tmp_path):
    model, numbers = zoo.made("MLP"), np.random.default_rng(0)
    model.export(tmp_path / "whole", verbose=False)
    x = zoo.inputs_for(model, 3)
    wanted = np.asarray(keras.layers.TFSMLayer(tmp_path / "whole")(x))

    def harmless(name, damage):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
        try:  # bytes that nobody reads may be others
            return np.array_equal(keras.layers.TFSMLayer(folder)(x), wanted)
        except (ValueError, OSError, RuntimeError, AttributeError, KeyError):
            return True

    data = "variables/variables.data-00000-of-00001"
    for name in ("saved_model.pb", "variables/variables.index", data):
        for share in (0.0, 0.3, 0.9):
            assert harmless(name, lambda b, share=share: b[: int(len(b) * share)]), (name, share)
    for name in ("variables/variables.index", data):
        for at in numbers.random(6):

            def flipped(b, at=at):
                i = int(at * len(b))
                return b[:i] + bytes([b[i] ^ 16]) + b[i + 1 :]

            assert harmless(name, flipped), (name, at)
    # The process that read them goes on.
    np.testing.assert_array_equal(keras.layers.TFSMLayer(tmp_path / "whole")(x), wanted)


def test_vocabularies_are_beside_each_format(tmp_path):
    words = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            keras.layers.TextVectorization(
                vocabulary=["a", "b"], output_sequence_length=3, name="words"
            ),
            keras.layers.Embedding(4, 2),
            keras.layers.Flatten(),
        ]
    )
    cut = keras.Model(words.get_layer("words").output, words.outputs)
    for kind, place in {
        "stablehlo": "m/vocabularies.json",
        "tfjs": "m/vocabularies.json",
        "tf_saved_model": "m/vocabularies.json",
        "onnx": "m.vocabularies.json",
        "litert": "m.vocabularies.json",
        "openvino": "m.vocabularies.json",
    }.items():
        folder = tmp_path / kind
        ending = {"onnx": ".onnx", **ENDINGS}.get(kind, "")
        cut.export(folder / f"m{ending}", format=kind, verbose=False)
        found = json.loads((folder / place).read_text(encoding="utf-8"))
        assert found["words"]["vocabulary"] == ["", "[UNK]", "a", "b"]
        assert found["words"]["config"]["output_sequence_length"] == 3


def test_a_saved_model_in_the_hub(tmp_path):
    import tensorflow as tf

    class Shifted(tf.Module):
        def __init__(self):
            super().__init__()
            self.w, self.n = tf.Variable([2.0, 3.0], name="w"), tf.Variable(0.0, trainable=False)

        @tf.function
        def __call__(self, x, training=False, scale=1.0):
            if training:
                self.n.assign_add(1.0)
            return scale * x * self.w + self.n

    module, spec = Shifted(), tf.TensorSpec([None, 2], tf.float32)
    for training in (False, True):
        for scale in (1.0, 5.0):
            module.__call__.get_concrete_function(spec, training=training, scale=scale)
    both = tf.function(lambda x: {"default": x * module.w, "other": x}, input_signature=[spec])
    path = tmp_path / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": both})
    shutil.make_archive(str(path), "gztar", path)
    x = np.ones((2, 2), "float32")
    os.environ["KERAS_HOME"] = str(tmp_path / "cache")
    hub = keras.hub
    for handle in (path, tmp_path / "m.tar.gz", (tmp_path / "m.tar.gz").as_uri()):
        layer = hub.KerasLayer(handle, trainable=True)
        assert np.asarray(layer(x)).tolist() == [[2, 3]] * 2
        assert [v.name for v in layer.trainable_weights] == ["w"] and len(layer.weights) == 2
    assert np.asarray(hub.KerasLayer(path, arguments={"scale": 5.0})(x)).tolist() == [[10, 15]] * 2
    signature = {"signature": "serving_default"}
    for options, wanted in (({}, [2, 3]), ({"output_key": "other"}, [1, 1])):
        assert np.asarray(hub.KerasLayer(path, **signature, **options)(x)).tolist() == [wanted] * 2
    found = hub.KerasLayer(path, **signature, signature_outputs_as_dict=True)({"x": x})
    assert sorted(found) == ["default", "other"]
    model = keras.Sequential([keras.Input((2,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=3, verbose=0)
    w, n = map(np.asarray, layer.weights)
    assert (w != [2, 3]).all() and n == 3
    frozen = hub.KerasLayer(path)
    assert not frozen.trainable_weights
    assert np.asarray(frozen(x, training=True)).tolist() == [[2, 3]] * 2


class Scaled(ktf.Module):
    """What `tf.saved_model` is tried on."""

    def __init__(self):
        super().__init__()
        self.w = ktf.Variable(2.0, name="w")
        self.n = ktf.Variable(0, trainable=False, name="n")
        self.inner = ktf.Module()
        self.inner.k = ktf.Variable([[1.0, 2.0]], name="k")

    @ktf.function(input_signature=[ktf.TensorSpec([None], ktf.float32)])
    def f(self, x):
        self.n.assign_add(1)
        return self.w * x

    @ktf.function
    def g(self, x, training=False):
        return {"z": (x, x + 1), "y": self.w * x} if training else x @ self.inner.k


@pytest.mark.parametrize("library", ["tensorflow", "keraslike"])
def test_objects_in_a_saved_model(library, tmp_path):
    tf = importlib.import_module(library) if library == "tensorflow" else ktf
    module, path = Scaled(), str(tmp_path / "m")
    module.g(ktf.ones([3, 1])), module.g(training=True, x=ktf.ones([2]))
    ktf.saved_model.save(module, path)
    loaded = tf.saved_model.load(path)
    for x in (tf.constant([1.0, 2.0]), [1.0, 2.0], np.array([1.0, 2.0])):
        assert loaded.f(x).numpy().tolist() == [2, 4]
    assert loaded.n.numpy() == 3 and loaded.inner.k.shape == (1, 2)
    found = loaded.g(tf.ones([2]), True)
    assert found["y"].numpy().tolist() == [2, 2] and found["z"][1].numpy().tolist() == [2, 2]
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        loaded.g(tf.ones([4, 1]))
    serve = loaded.signatures["serving_default"]
    assert serve(x=tf.constant([1.0]))["output_0"].numpy().tolist() == [2]
    loaded.w.assign(3.0)
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(loaded.f(x) ** 2)
    by_w, by_x = tape.gradient(loss, [loaded.w, x])
    assert by_w.numpy() == 30 and by_x.numpy().tolist() == [18, 36]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded.g(tf.ones([3, 1])) * 3)
    assert tape.gradient(loss, loaded.inner.k).numpy().tolist() == [[9, 9]]


def test_what_tensorflow_saved_runs_in_its_process(tmp_path):
    import tensorflow as tf

    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0, dtype=tf.int64)
            keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(keys, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words):
            self.calls.assign_add(1)
            return {"upper": tf.strings.upper(words), "number": self.table.lookup(words)}

    tf.saved_model.save(Words(), str(tmp_path / "m"))
    loaded = ktf.saved_model.load(str(tmp_path / "m"))
    for calls in (1, 2):
        found = loaded(ktf.constant(["b", "c"]))
        assert found["upper"].numpy().tolist() == [b"B", b"C"]
        assert found["number"].numpy().tolist() == [2, -1] and found["number"].dtype == ktf.int64
        assert loaded.calls.numpy() == calls
    assert loaded.signatures["serving_default"](words=["a"])["number"].numpy().tolist() == [1]


def test_endpoints_of_a_saved_model_change_its_state(tmp_path):
    import tensorflow as tf

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(momentum=0.5), layers.Dropout(0.5, seed=1)]
    )
    spec = keras.InputSpec(shape=(None, 3), dtype="float32")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [spec])
    archive.add_endpoint("train", lambda x: model(x, training=True), [spec])
    archive.add_variable_collection("moments", model.layers[0].non_trainable_variables)
    archive.write_out(tmp_path / "m", verbose=False)
    loaded, x = tf.saved_model.load(str(tmp_path / "m")), 3 + np.random.rand(4, 3).astype("float32")
    assert (loaded.train(x) != loaded.train(x)).numpy().any()
    model(x, training=True), model(x, training=True)
    np.testing.assert_allclose(loaded.serve(x), model.predict(x, verbose=0), rtol=1e-5)
    assert len(loaded.moments) == 2 and len(loaded.variables) == len(model.variables)
    assert sorted(loaded.signatures) == ["serve", "serving_default", "train"]


class Repeated(keras.layers.Layer):
    """A layer of TensorFlow's operations, as KerasHub has them: words, as often as numbers say."""

    def __init__(self):
        super().__init__()
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True

    def call(self, inputs):
        import tensorflow as tf

        def one(count):
            total = 0
            for _ in range(count):  # a tensor, where this is rewritten by TensorFlow
                total += count
            return total

        if isinstance(inputs, tf.RaggedTensor):
            return inputs.with_flat_values(tf.map_fn(one, inputs.flat_values))
        return tf.map_fn(one, inputs)


@pytest.mark.parametrize("ragged", [False, True])
def test_loops_of_a_layer_in_a_graph_of_tensorflow(ragged):
    import tensorflow as tf

    rows = tf.ragged.constant([[1, 2], [3]]) if ragged else tf.constant([1, 2])
    found = next(iter(tf.data.Dataset.from_tensors(rows).map(Repeated())))
    if ragged:
        assert found.to_list() == [[1, 4], [9]]
    else:
        assert found.numpy().tolist() == [1, 4]
