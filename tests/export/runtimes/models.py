"""The models of the zoo in all formats, at two batch sizes; the results are written to
`docs/export.md` and the README."""

import importlib
import json
import pathlib
import pickle
import shutil
import subprocess
import sys
import time

import pytest

import keraslike as keras
from keraslike.export import command
from tests.export import zoo
from tests.export.runtimes.programs import (
    ENDINGS,
    KINDS,
    LOADERS,
    NODE,
    RUN,
    difference,
    in_node,
)

TABLE = pathlib.Path(__file__).parents[3] / "docs" / "export.md"


ABOUT = """# Exported models in each format

`make test-export` writes the tables on this page, for twelve small models: the largest difference
from `predict` at batch sizes 1 and 3, in the format's own runtime without keraslike; the size of
the files, beside that of the weights; and microseconds per sample, including conversion to and from
numpy, beside `predict`.

- **`tfjs`** runs in Node, on the plain JavaScript backend. `make test-browser` runs the same
  models in Chromium on WebGL and requires the numbers of `predict` to 1e-4. If TensorFlow.js has
  all layers of a model, it is written as a layers model (`tf.loadLayersModel`), otherwise as a
  graph model (`tf.loadGraphModel`), which `executeAsync` runs if it has loops.
- **`litert`** runs in `ai_edge_litert`, with LiteRT's built-in operations only. It has no pooling
  along three axes and stores only weights in 16 bits, by the converter's setting
  `supported_types`; models that need more are rejected with the name of the layer. A model
  quantized to 8 bits keeps its weights and numbers; `optimizations=["DEFAULT"]` lets the converter
  quantize instead.
- **`openvino`** is compiled for the CPU with `{"INFERENCE_PRECISION_HINT": "f32"}`. Otherwise
  OpenVINO computes in bfloat16 on processors that support it, and results differ by about a
  hundredth.

Height and width may be unknown. If a model only accepts multiples of 2, 4, ..., because it halves
sizes and doubles them again, programs in `stablehlo` and `tf_saved_model` check this when they are
called; the other formats cannot, and need an `input_signature` with fixed sizes.

Formats with checksums detect damaged files: `stablehlo`, the variables of `tf_saved_model`, and
`tfjs` directories written by keraslike. In the others truncation is detected, but not a changed
weight.

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
    """Copies the table of differences into the README, between two marks."""
    table = TABLE.read_text(encoding="utf-8").partition("## Differences\n\n")[2]
    table = table.partition("\n\n")[0] + "\n"
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    README.write_text(before + MARKS[0] + table + MARKS[1] + after, encoding="utf-8")


def _table(facts):
    """The page: its text, and a table each of differences, sizes and times."""
    kinds = [f"`{kind}`" for kind in KINDS]

    def table(heads, cells):
        rows = [["model", *heads, *kinds], ["---", *["---:"] * len([*heads, *kinds])]]
        rows += [[name, *cells(fact)] for name, fact in facts.items()]
        return "".join("| " + " | ".join(row) + " |\n" for row in rows)

    def differences(fact):
        return [f"{fact[kind][1]:.1e}" if fact[kind][1] else "0" for kind in KINDS]

    def sizes(fact):
        return [f"{fact['weights'] / 1000:.1f}", *(f"{fact[k][0] / 1000:.0f}" for k in KINDS)]

    def times(fact):
        return [f"{fact['predict']:.0f}", *(f"{fact[kind][2]:.0f}" for kind in KINDS)]

    return (
        f"{ABOUT}## Differences\n\n{table([], differences)}\n"
        f"## Sizes\n\nIn kB:\n\n{table(['weights'], sizes)}\n"
        f"## Times\n\nMicroseconds per sample:\n\n{table(['`predict`'], times)}"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", zoo.MODELS)
def test_it_gives_what_predict_gives(found, name, kind):
    size, worst, _ = found[name][kind]
    assert worst < 1e-5
    assert size < 1.2 * found[name]["weights"] + 120_000


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
