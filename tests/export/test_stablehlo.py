"""StableHLO: what is exported computes as the model does, and what is read is checked first."""

import dataclasses
import hashlib
import io
import json
import pathlib
import pickle
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import keraslike as keras
from keraslike import layers, tf
from keraslike.core import tensorflow_host
from keraslike.saving import load_exported
from tests.export import zoo

SPEC = keras.InputSpec(shape=(None, 3), dtype="float32")


def _assert_close(found, wanted, atol=1e-5):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=atol, rtol=0)


def _small():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2)])


def _exported(folder, model=None, **kwargs):
    path = folder / "exported"
    (model or _small()).export(path, format="stablehlo", verbose=False, **kwargs)
    return path


@pytest.mark.parametrize("name", zoo.MODELS)
def test_it_gives_what_predict_gives(name, tmp_path):
    model = zoo.made(name)
    path = _exported(tmp_path, model)
    reloaded = load_exported(path)
    x = zoo.inputs_for(model, 3)
    wanted = model.predict(x, verbose=0)
    for count in (1, 3):
        first = [jax.tree.map(lambda a, n=count: a[:n], both) for both in (x, wanted)]
        _assert_close(reloaded.serve(first[0]), first[1])
    size = sum(file.stat().st_size for file in path.iterdir())
    assert size < 1.2 * sum(v.value.nbytes for v in model.weights) + 100_000


def test_a_model_in_float64(tmp_path):
    parts = layers.GRU(2, dtype="float64"), layers.Dense(1, dtype="float64")
    model = keras.Sequential([keras.Input((4, 3), dtype="float64"), *parts])
    x = np.random.default_rng(0).normal(size=(2, 4, 3))
    found = load_exported(_exported(tmp_path, model)).serve(x)
    wanted = np.asarray(model(x))
    assert found.dtype == wanted.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


PLAIN = """
import pickle, sys
import jax, numpy
for folder, x, wanted in pickle.load(open(sys.argv[1], "rb")):
    found = jax.export.deserialize(bytearray(open(f"{folder}/serve.jax_export", "rb").read())).call(
        dict(numpy.load(f"{folder}/weights.npz")), x)
    numpy.testing.assert_allclose(found, wanted, atol=1e-5)
assert not any(name.startswith(("keraslike", "flax")) for name in sys.modules)
print("agreed")
"""


def test_plain_jax_runs_it(tmp_path):
    half = keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="bfloat16")])
    cases = []
    for number, model in enumerate((zoo.made("LSTM"), half)):
        model.export(tmp_path / str(number), format="stablehlo", verbose=False)
        x = zoo.inputs_for(model, 2)
        wanted = np.asarray(model.predict(x, verbose=0), "float32")
        cases.append((str(tmp_path / str(number)), x, wanted))
    data = tmp_path / "cases.pickle"
    data.write_bytes(pickle.dumps(cases))
    done = subprocess.run([sys.executable, "-c", PLAIN, data], capture_output=True, text=True)
    assert done.stdout.strip() == "agreed", done.stderr


def test_it_is_portable():
    # Neither the forms that are fast on the CPU only, nor a choice among platforms.
    from keraslike.export.endpoints import Endpoint, signature_of

    model = zoo.made("convolution, batch norm")
    endpoint = Endpoint("serve", model, signature_of(model), [model])
    exported = endpoint.export(endpoint.variables, [v.path for v in endpoint.variables])
    text = exported.mlir_module()
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    assert text.count("stablehlo.convolution") == 1 and "stablehlo.case" not in text
    assert "keraslike" not in text  # nor paths of this machine


def test_endpoints_change_state(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(momentum=0.5), layers.Dropout(0.5, seed=1)]
    )
    archive = keras.export.ExportArchive(format="stablehlo")
    archive.track(model)
    archive.add_endpoint("serve", model.call, [SPEC])
    archive.add_endpoint("train", lambda x: model(x, training=True), [SPEC])
    archive.add_variable_collection("moments", model.layers[0].non_trainable_variables)
    archive.write_out(tmp_path / "m", verbose=False)
    assert [v.path for v in archive.variables] == [
        v.path for v in (*model.trainable_variables, *model.non_trainable_variables)
    ]
    reloaded, x = load_exported(tmp_path / "m"), 3 + np.random.rand(4, 3).astype("float32")
    before = model.predict(x, verbose=0)
    _assert_close(reloaded.serve(x), before)
    first, second = reloaded.train(x), reloaded.train(x)
    assert (np.asarray(first) != np.asarray(second)).any()
    model(x, training=True), model(x, training=True)
    _assert_close(reloaded.serve(x), model.predict(x, verbose=0))
    moments = [v.path for v in model.layers[0].non_trainable_variables]
    assert reloaded.manifest["collections"] == {"moments": moments}


def test_a_stateful_layer_goes_on_where_it_was(tmp_path):
    model = keras.Sequential([layers.GRU(2, stateful=True)])
    x = np.ones((2, 4, 3), "float32")
    model(x)
    assert model.input_shape == (2, 4, 3)
    model.export(tmp_path / "m", format="stablehlo", verbose=False)
    reloaded = load_exported(tmp_path / "m")
    for _ in range(2):
        _assert_close(reloaded.serve(x), model.predict(x, verbose=0))
    spec = keras.InputSpec(shape=(None, 4, 3), dtype="float32")
    with pytest.raises(ValueError, match="states for a batch size of 2"):
        model.export(tmp_path / "n", "stablehlo", verbose=False, input_signature=[spec])


class Sum(keras.Model):
    def call(self, x, y):
        return [x + y, {"first": x}]


class Concatenates(keras.Model):
    def call(self, inputs):
        return keras.ops.concatenate(list(inputs.values()), axis=-1)


def test_models_that_read_their_inputs_by_order(tmp_path):
    model, x = Concatenates(), {"b": np.ones((2, 1), "float32"), "a": np.zeros((2, 1), "float32")}
    assert np.asarray(model(x)).tolist() == [[1, 0]] * 2
    assert np.asarray(load_exported(_exported(tmp_path, model))(x)).tolist() == [[1, 0]] * 2


def test_signatures(tmp_path):
    model, x = _small(), np.ones((4, 3), "float32")
    want = model.predict(x, verbose=0)
    for spec in (
        SPEC,
        keras.KerasTensor((None, 3)),
        jnp.ones((1, 3)),
        jax.ShapeDtypeStruct((4, 3), "float32"),
    ):
        reloaded = load_exported(_exported(tmp_path, model, input_signature=[spec]))
        _assert_close(reloaded(x), want)
    with pytest.raises(ValueError, match="4"):  # the last one said how many
        reloaded(x[:2])
    several = Sum()
    with pytest.raises(ValueError, match="never called|not yet been built"):
        _exported(tmp_path, several)
    several(x, x)
    # Two unknown sizes that have to be one.
    specs = [keras.InputSpec(shape=(None, None), dtype="float32")] * 2
    for kwargs in ({}, {"input_signature": specs}):
        found = load_exported(_exported(tmp_path, several, **kwargs)).serve(x, x)
        _assert_close(found, [2 * x, {"first": x}])
    odd = keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x[: x.shape[0] // 2 > 1])])
    for signature, message in (
        (SPEC, "must be a list"),
        ([3], "Unsupported x=3"),
        ([keras.InputSpec(ndim=2)], "must be provided"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            _exported(tmp_path, model, input_signature=signature)
    with pytest.raises(ValueError, match="Give an `input_signature` with numbers"):
        _exported(tmp_path, odd)


def test_what_an_archive_refuses(tmp_path):
    archive = keras.export.ExportArchive()
    model = _small()
    with pytest.raises(ValueError, match="No endpoints have been set yet"):
        archive.write_out(tmp_path / "m")
    with pytest.raises(ValueError, match="not yet been built"):
        archive.track(layers.Dense(1))
    with pytest.raises(ValueError, match="Invalid resource type"):
        archive.track([])
    with pytest.raises(ValueError, match="you must provide an `input_signature`"):
        archive.add_endpoint("serve", model.call)
    archive.track_and_add_endpoint("serve", model, [SPEC])
    with pytest.raises(ValueError, match="'serve' is already taken"):
        archive.add_endpoint("serve", model.call, [SPEC])
    with pytest.raises(ValueError, match="identifier"):
        archive.add_endpoint("../serve", model.call, [SPEC])
    with pytest.raises(ValueError, match="to be a list/tuple/set"):
        archive.add_variable_collection("mine", "abc")
    with pytest.raises(ValueError, match="Expected all elements"):
        archive.add_variable_collection("mine", ["abc"])
    with pytest.raises(ValueError, match="Unsupported format"):
        keras.export.ExportArchive(format="other")
    with pytest.raises(ValueError, match="Unrecognized format=other"):
        model.export(tmp_path / "m", format="other")
    with pytest.raises(ValueError, match="does not write the format 'torch'.*Instead, save a"):
        model.export(tmp_path / "m", format="torch")


@pytest.mark.parametrize("format, ending", [("onnx", ".onnx"), ("openvino", ".xml")])
def test_a_format_without_its_package(tmp_path, monkeypatch, format, ending):
    monkeypatch.setitem(sys.modules, format, None)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ImportError, match=rf"pip install keraslike\[{format}\]"):
        model.export(tmp_path / f"m{ending}", format=format, verbose=False)
    assert not list(tmp_path.iterdir())


def test_without_tensorflow(tmp_path, monkeypatch):
    # An interpreter that does not have it says so, whether or not this one does.
    bare = tmp_path / "python"
    bare.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tensorflow'\" >&2\nexit 1\n"
    )
    bare.chmod(0o755)
    monkeypatch.setenv(tensorflow_host.INTERPRETER, str(bare))
    with pytest.raises(ImportError, match=r"pip install keraslike\[tensorflow\]"):
        _small().export(tmp_path / "m", verbose=False)
    assert [p.name for p in tmp_path.iterdir()] == ["python"]


def test_layers_of_the_host_are_named(tmp_path):
    lookup = layers.StringLookup(vocabulary=["a", "b"], name="words")
    text = keras.Input((2,), dtype="string")
    numbers = layers.Embedding(3, 4)(lookup(text))
    model = keras.Model(text, layers.Dense(1)(layers.Flatten()(numbers)))
    with pytest.raises(ValueError, match="Layer 'words' .*get_layer\\('words'\\).output"):
        _exported(tmp_path, model)
    behind = keras.Model(model.get_layer("words").output, model.outputs)
    reloaded = load_exported(_exported(tmp_path, behind))
    words = np.array([["a", "b"], ["c", "a"]])
    _assert_close(reloaded.serve(lookup(words)), model.predict(words, verbose=0))
    hashed = keras.Sequential([keras.Input((1,), dtype="int32"), layers.Hashing(3, name="buckets")])
    with pytest.raises(ValueError, match="Layer 'buckets'"):
        _exported(tmp_path, hashed)


# -- files ----------------------------------------------------------------------------------------


def test_it_takes_the_place_of_an_export_and_of_nothing_else(tmp_path):
    model, x = _small(), np.ones((2, 3), "float32")
    path = _exported(tmp_path, model)
    model.layers[0].kernel.assign(np.zeros((3, 2)))
    _exported(tmp_path, model)
    assert not np.asarray(load_exported(path).serve(x)).any()
    with pytest.raises(ValueError):
        _exported(
            tmp_path, layers=None, model=keras.Sequential([keras.Input((1,)), layers.Hashing(3)])
        )
    assert not np.asarray(load_exported(path).serve(x)).any()
    archive = tmp_path / "m.zip"
    model.export(archive, format="stablehlo", verbose=False)
    assert not np.asarray(load_exported(archive).serve(x)).any()
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for place in (other, other / "notes.txt"):
        with pytest.raises(FileExistsError):
            model.export(place, format="stablehlo", verbose=False)
    assert (other / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exported", "m.zip", "other"]


def _change(name, change):
    def damage(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def _seal(folder, name):
    """Makes the checksum in the manifest that of the file, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _manifest(change):
    def damage(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def _forge(program, vjp_order=0):
    """Another program in place of the model's, with a checksum that fits."""

    def damage(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        weights = {
            n: jax.ShapeDtypeStruct(v["shape"], v["stored"])
            for n, v in manifest["variables"].items()
        }
        x = jax.ShapeDtypeStruct((2, 3), "float32")
        allowed = [export.DisabledSafetyCheck.custom_call("some_library")]
        made = export.export(jax.jit(program), platforms=["cpu"], disabled_checks=allowed)
        whole = made(weights, x)
        safe: dict = {"disabled_safety_checks": ()}
        exported = dataclasses.replace(
            whole, _get_vjp=lambda _: dataclasses.replace(whole.vjp(), **safe), **safe
        )
        (folder / "serve.jax_export").write_bytes(bytes(exported.serialize(vjp_order=vjp_order)))
        _seal(folder, "serve.jax_export")
        shape = {"shape": [2, 3], "dtype": "float32"}
        _manifest(lambda m: m["endpoints"][0].update(inputs={"list": [shape]}))(folder)

    return damage


@jax.custom_vjp
def _calls_in_its_gradient(weights, x):
    return x


_calls_in_its_gradient.defvjp(
    lambda weights, x: (x, weights),
    lambda weights, g: (
        jax.tree.map(jnp.zeros_like, weights),
        jax.ffi.ffi_call("some_library", g)(g),
    ),
)


def _pickled(folder):
    with zipfile.ZipFile(folder / "weights.npz") as old:
        names = old.namelist()
    with zipfile.ZipFile(folder / "weights.npz", "w") as new:
        for name in names:
            member = io.BytesIO()
            np.lib.format.write_array(member, np.array([{}], object), allow_pickle=True)
            new.writestr(name, member.getvalue())
    _seal(folder, "weights.npz")


def _huge(folder):
    """Headers that promise more than there is."""
    with zipfile.ZipFile(folder / "weights.npz") as old:
        names = old.namelist()
    with zipfile.ZipFile(folder / "weights.npz", "w") as new:
        for name in names:
            member = io.BytesIO()
            header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 2)}
            np.lib.format.write_array_header_1_0(member, header)
            new.writestr(name, member.getvalue())
    _seal(folder, "weights.npz")
    _manifest(lambda m: [v.update(shape=[1 << 40, 2]) for v in m["variables"].values()])(folder)


def _garbage(folder):
    (folder / "serve.jax_export").write_bytes(b"\x10\x00\x00\x00" + bytes(range(256)) * 8)
    _seal(folder, "serve.jax_export")


DAMAGES = {
    "weights": (_change("weights.npz", lambda b: b[:-9] + b"x" + b[-8:]), "checksum"),
    "program": (_change("serve.jax_export", lambda b: b[:-1]), "checksum"),
    "manifest": (_change("manifest.json", lambda b: b[:99]), "damaged"),
    "version": (_manifest(lambda m: m.update(version=2)), "version"),
    "format": (_manifest(lambda m: m.update(format="x")), "format"),
    "list": (_change("manifest.json", lambda b: b"[]"), "damaged"),
    "outside": (_manifest(lambda m: m["endpoints"][0].update(file="../a")), "outside"),
    "no file": (_manifest(lambda m: m["endpoints"][0].update(file="a")), "no 'a'"),
    "another signature": (
        _manifest(lambda m: m["endpoints"][0]["inputs"]["list"][0].update(shape=[None, 4])),
        "manifest",
    ),
    "pickle": (_pickled, "not the array|cannot be used"),
    "huge": (_huge, "cannot be used"),
    "garbage": (_garbage, "cannot be used"),
    "foreign call": (
        _forge(lambda w, x: jax.ffi.ffi_call("some_library", x)(x)),
        "calls 'some_library', which is not a computation",
    ),
    "foreign call of the gradient": (
        _forge(_calls_in_its_gradient, vjp_order=1),
        "calls 'some_library', which is not a computation",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_hostile_file_is_refused(name, tmp_path):
    damage, message = DAMAGES[name]
    path = _exported(tmp_path)
    damage(path)
    with pytest.raises(keras.errors.DamagedFile, match=message):
        load_exported(path)


def test_nothing_and_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_exported(tmp_path / "m")
    (tmp_path / "m.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(keras.errors.DamagedFile):
        load_exported(tmp_path / "m.zip")


def test_images_of_any_size(tmp_path):
    inputs = keras.Input((None, None, 1))
    high = layers.Conv2D(2, 3, padding="same")(inputs)
    low = layers.Conv2D(2, 3, padding="same")(layers.MaxPooling2D(2)(layers.MaxPooling2D(2)(high)))
    up = layers.UpSampling2D(2)(layers.Conv2DTranspose(2, 3, strides=2, padding="same")(low))
    model = keras.Model(inputs, layers.Concatenate(name="both")([up, high]))
    loaded = load_exported(_exported(tmp_path, model))
    for shape in ((2, 8, 12, 1), (1, 4, 8, 1)):
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        _assert_close(loaded.serve(x), model.predict(x, verbose=0))
    for shape in ((2, 8, 10, 1), (1, 5, 8, 1)):
        with pytest.raises(ValueError, match="Division had remainder"):
            loaded.serve(np.ones(shape, "float32"))
    sizes = keras.InputSpec(shape=(None, None, None, 1), dtype="float32")
    with pytest.raises(ValueError, match="multiples of 4, which a graph.*In the call of layer 'bo"):
        model.export(tmp_path / "js", format="tfjs", input_signature=[sizes])
    row = keras.Input((None, 2))
    thirds = layers.UpSampling1D(3)(layers.MaxPooling1D(3)(row))
    model = keras.Model(row, layers.Add(name="sum")([row, thirds]))
    with pytest.raises(ValueError, match="Give an `input_signature` with .*call of layer 'sum'"):
        _exported(tmp_path, model)


# -- the command ----------------------------------------------------------------------------------


def _command(*arguments):
    from keraslike.export import command

    return command.main([str(a) for a in arguments])


def test_command(tmp_path, capsys):
    model = _small()
    model.save(tmp_path / "m.keras")
    assert _command("export", tmp_path / "m.keras", "--format", "stablehlo", tmp_path / "out") == 0
    x = np.ones((2, 3), "float32")
    _assert_close(load_exported(tmp_path / "out").serve(x), model.predict(x, verbose=0))
    capsys.readouterr()
    assert _command("inspect", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "weights.npz" in said and "inputs: float32[None, 3]" in said
    assert _command("inspect", tmp_path / "m.keras") == 0
    said = capsys.readouterr().out
    assert "Custom objects needed: none" in said and "Total params: 8" in said
    zoo.made("custom layer and activation").save(tmp_path / "own.keras")
    assert _command("inspect", tmp_path / "own.keras") == 0
    said = capsys.readouterr().out
    assert "Custom objects needed: Scaling, softened" in said and "(Scaling)" in said
    assert _command("export", tmp_path / "own.keras", "--format", "stablehlo", tmp_path / "o") == 1
    assert "is not known here" in capsys.readouterr().err and not (tmp_path / "o").exists()
    assert _command("inspect", pathlib.Path(__file__)) == 1


class Counting(tf.Module):
    """Multiplies by a variable, and counts how often."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(2.0, name="w")
        self.calls = tf.Variable(0, trainable=False, name="calls")

    def plain(self, x):
        self.calls.assign_add(1)
        return {"y": self.w * x}

    @tf.function
    def traced(self, x):
        return self.plain(x)


@pytest.mark.parametrize("kind", ["plain", "traced", "closure"])
def test_variables_of_a_tf_module_are_followed(kind, tmp_path):
    module = Counting()
    function = (lambda x: module.plain(x)) if kind == "closure" else getattr(module, kind)
    archive = keras.export.ExportArchive("stablehlo")
    archive.add_endpoint("run", function, [keras.InputSpec(shape=(None,), dtype="float32")])
    archive.write_out(tmp_path / "m", verbose=False)
    loaded = load_exported(tmp_path / "m")
    assert sorted(loaded.variables) == ["calls", "w"] and int(module.calls.numpy()) == 0
    assert loaded.manifest["endpoints"][0]["arguments"] == ["x"]
    loaded.variables["w"] = loaded.variables["w"] + 1
    for calls in (1, 2):
        assert loaded.run(np.array([1.0, 2.0]))["y"].tolist() == [3.0, 6.0]
        assert int(loaded.variables["calls"]) == calls
