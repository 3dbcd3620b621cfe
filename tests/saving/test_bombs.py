"""Loading takes no memory and no time that a file does not account for: CVE-2026-0897 and what is
like it, in every format and by every door."""

import json
import shutil
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import tensorstore

import keraslike
from keraslike import layers, models, saving
from keraslike.core import json_texts, serialization
from keraslike.models import graph_config
from keraslike.saving import load_model

from .hostile import (
    FORMATS,
    INPUT,
    PLACES,
    TENSOR,
    dense,
    entry,
    function,
    graph,
    refused,
    sequential,
    weights_file,
    write,
)
from .small_models import small

pytestmark = pytest.mark.slow

# -- arrays ------------------------------------------------------------------------------------


def store_of(path):
    base = {"driver": "file", "path": f"{path}/state/"}
    return tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()


@pytest.mark.parametrize("kind", ["zstd", "zlib", "blosc", "zarr 3", "chunks", "JSON"])
def test_checkpoints_that_unpack_or_grow(template, tmp_path, kind):  # CVE-2026-0897
    path = shutil.copytree(template / "orbax", tmp_path / "orbax")
    (step,) = path.iterdir()
    store, name = store_of(step), "model.layers.dense.vars.0/.zarray"
    said = json.loads(store.read(name).result().value)
    assert said["compressor"] is None  # what is written here does not need to be unpacked
    index = step / "state" / "_METADATA"
    if kind == "zarr 3":
        index.write_text(json.dumps({**json.loads(index.read_text()), "use_zarr3": True}))
    elif kind == "JSON":
        index.write_text(f"[{'[],' * (1 << 18)}[]]")
    elif kind == "chunks":
        store.write(name, json.dumps({**said, "chunks": [1 << 30, 64]}).encode()).result()
    else:
        said["compressor"] = {"id": kind}
        store.write(name, json.dumps(said).encode()).result()
    match = "compressed|does not write|not safe to load|too large"
    refused(lambda: load_model(path), match, step)
    refused(lambda: small().load_weights(path), match, step)


def chunked(dtype="f4", shape=(4, 3), **options):
    return lambda file, kernel: replace(file, kernel, shape, dtype, **options)


def replace(file, kernel, shape, dtype, **options):
    del file[kernel]
    return file.create_dataset(kernel, shape, dtype, **options)


def inflated(file, kernel):
    """A piece of the right shape that unpacks to 64 MB."""
    data = replace(file, kernel, (4, 3), "f4", chunks=(4, 3), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(b"\0" * (64 << 20), 9))


def one_text_many_times(file, kernel, count=4000, size=1_234_567):
    """A list of names, of which the first is as long as all of them are to be."""
    group = file["model_weights"]
    texts = np.array(["x" * size, *(f"{i:06d}" for i in range(count))], object)
    del group.attrs["layer_names"]
    group.attrs.create("layer_names", texts, dtype=h5py.string_dtype())


def point_all_to_the_first(path, attribute, length):
    raw = bytearray(path.read_bytes())
    ends = [i for i in range(len(raw)) if raw.startswith(attribute, i)]
    said = length.to_bytes(4, "little")
    (place,) = {i for end in ends if (i := raw.find(said, end, end + 200)) >= 0}
    first, count = raw[place : place + 16], 4001
    raw[place : place + 16 * count] = first * count
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("where", ["keras", "h5", "weights"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (chunked(shape=(1 << 40,), chunks=(1 << 20,)), "are stored for it"),
        (chunked(shape=(1 << 15, 1 << 15)), "are stored for it"),
        (chunked(np.dtype(("f4", (1 << 20,)))), "not numbers|are stored for it"),
        (chunked(maxshape=(None, None), chunks=(1 << 14, 1 << 13)), "are stored for it"),
        (chunked(compression="gzip"), "is compressed"),
        (chunked(compression="lzf"), "is compressed"),
        (chunked("i4", scaleoffset=3), "is compressed"),
        (inflated, "is compressed"),
    ],
    ids=["chunks", "plain", "arrays", "large chunk", "gzip", "lzf", "scaled", "inflated"],
)
def test_shapes_without_data(template, tmp_path, where, change, match):  # CVE-2026-0897
    path = weights_file(template, tmp_path, where, change)
    model = small()
    before = model.get_weights()
    refused(lambda: model.load_weights(path), match, path)
    assert all(map(np.array_equal, before, model.get_weights()))
    if where != "weights":
        refused(lambda: load_model(path), match, path)


def test_names_that_are_all_one_long_text(template, tmp_path):
    path = weights_file(template, tmp_path, "h5", one_text_many_times)
    point_all_to_the_first(path, b"layer_names\0", 1_234_567)
    refused(lambda: load_model(path), "'layer_names' says to hold 4,939,502,567 bytes", path)
    refused(lambda: small().load_weights(path), "says to hold", path)


@pytest.mark.parametrize("attribute", ["model_config", "training_config"])
def test_a_text_that_says_to_be_longer_than_its_file(template, tmp_path, attribute):
    path = shutil.copy(template / "m.h5", tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        text = "{" + " " * 54321 + "}"
        file.attrs[attribute] = text
    raw = path.read_bytes()
    assert raw.count(len(text).to_bytes(4, "little")) == 1 + raw.count(
        len(text).to_bytes(8, "little")
    )
    place = raw.index(attribute.encode() + b"\0")
    place = raw.index(len(text).to_bytes(4, "little"), place)
    path.write_bytes(raw[:place] + b"\xf0\xff\xff\xff" + raw[place + 4 :])
    refused(lambda: load_model(path), "says to hold 4,294,967,280 bytes", path)


def test_a_dtype_s_name_that_says_to_be_long(template, tmp_path):
    model = small()
    model.layers[0].dtype_policy = "bfloat16"
    half = keraslike.Sequential([keraslike.Input((4,)), layers.Dense(3, dtype="bfloat16")])
    path = tmp_path / "m.weights.h5"
    half.save_weights(path)
    half.load_weights(path)
    raw = path.read_bytes()
    place = raw.index((8).to_bytes(4, "little"), raw.index(b"dtype\0") + 40)
    raw = raw[:place] + b"\xf0\xff\xff\xff" + raw[place + 4 :]
    path.write_bytes(raw[: -len(b"keraslk\0") - 4])
    refused(lambda: half.load_weights(path), "'dtype' says to hold", path)


def test_a_heap_of_texts_that_has_no_end(template, tmp_path):
    """HDF5 goes round for ever over a free piece of no size."""
    path = shutil.copy(template / "m.h5", tmp_path / "m.h5")
    raw = bytearray(path.read_bytes())
    heap = raw.index(b"GCOL")
    place = heap + 16
    while index := int.from_bytes(raw[place : place + 2], "little"):
        place += 16 + -(-int.from_bytes(raw[place + 8 : place + 16], "little") // 8) * 8
    assert index == 0
    raw[place + 8 : place + 16] = bytes(8)
    path.write_bytes(bytes(raw[:-12]))
    code = f"from keraslike import saving; saving.load_model({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "not safe to load" in done.stderr


def test_a_text_of_a_kind_that_there_is_not(template, tmp_path):
    """HDF5 breaks down over a list of varying length that is neither list nor text."""
    path = shutil.copy(template / "m.h5", tmp_path / "m.h5")
    raw = path.read_bytes()
    place = raw.index(b"training_config\0") + 16
    assert raw[place : place + 2] == b"\x19\x01"
    path.write_bytes(raw[: place + 1] + b"\x09" + raw[place + 2 : -12])
    code = f"from keraslike import saving; saving.load_model({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "'training_config' is no text" in done.stderr


# -- configs -----------------------------------------------------------------------------------

op = lambda name: function(name, "keras.ops")  # noqa: E731


def lambda_layer(name, **arguments):
    return entry("Lambda", {"function": op(name), "arguments": arguments})


def op_entry(name, args, **config):
    calls = [{"args": args, "kwargs": {}}]
    found = {**entry(name, {"name": "l", **config}, "keras.ops"), "name": "l"}
    found["inbound_nodes"] = calls
    made = graph(dense())
    made["config"]["layers"][1] = found
    return made


def input_of(*shape):
    return entry("InputLayer", {"batch_shape": [None, *shape], "dtype": "float32", "name": "in"})


def stack(*all_of_them):
    return entry("Sequential", {"name": "s", "layers": list(all_of_them)}, "keras")


def squares(times):
    """A nested model each step of which squares a size that is not known."""
    history = lambda name: {  # noqa: E731
        "class_name": "__keras_tensor__",
        "config": {"keras_history": [name, 0, 0]},
    }
    stacked, last = [{**input_of(None), "name": "in", "inbound_nodes": []}], "in"
    for i in range(times):
        outer = {**entry("Einsum", {"name": f"o{i}"}, "keras.ops"), "name": f"o{i}"}
        outer["inbound_nodes"] = [{"args": ["bi,bj->bij", history(last), history(last)]}]
        flat = {**entry("Flatten", {"name": f"f{i}"}), "name": f"f{i}"}
        flat["inbound_nodes"] = [{"args": [history(f"o{i}")]}]
        longer = lambda_layer("pad", pad_width=[[0, 0], [1, 0]])
        longer = {**longer, "name": f"p{i}", "inbound_nodes": [{"args": [history(f"f{i}")]}]}
        longer["config"]["name"] = last = f"p{i}"
        stacked += [outer, flat, longer]
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[last, 0, 0]]}
    return entry("Functional", {"name": "g", "layers": stacked, **ends}, "keras")


ARRAY = "__numpy__"
LONG = {"value": "a", "dtype": "<U500000000"}
MANY = {"value": ["a"] * 20_000 + ["b" * 20_000], "dtype": "<U20000"}

# Configs that ask for memory or time out of proportion: refused, or made at no cost.
BOMBS = {
    "units": sequential(dense(units=10**12)),
    "units beyond numbers": sequential(dense(units=10**400)),
    "infinite units": sequential(dense(units=float("inf"))),
    "embedding": sequential(entry("Embedding", {"input_dim": 10**12, "output_dim": 8})),
    "weights of many layers": sequential(
        *(dense(units=4096, name=f"d{i}") for i in range(400)),
    ),
    "build_config": entry("Dense", {"units": 2}, build_config={"input_shape": [None, 10**12]}),
    "orthogonal": sequential(dense(units=10**9, kernel_initializer="orthogonal")),
    "input": stack(input_of(10**12), entry("Flatten", {})),
    "input beyond numbers": stack(input_of(10**400), entry("Flatten", {})),
    "unknown sizes": stack(input_of(*[None] * 100), entry("Flatten", {})),
    "RepeatVector": sequential(entry("RepeatVector", {"n": 10**12})),
    "padding": stack(input_of(4, 4), entry("ZeroPadding1D", {"padding": 10**12})),
    "pooling": stack(input_of(4, 4), entry("MaxPooling1D", {"pool_size": 10**12})),
    "an op on no tensor": op_entry("Ones", [], shape=[10**5, 10**5]),
    "a Lambda on no tensor": graph(lambda_layer("ones"), ([10**5, 10**5],)),
    "a constant in a trace": sequential(lambda_layer("one_hot", num_classes=10**10)),
    "a range in a trace": sequential(lambda_layer("linspace", stop=1, num=10**10)),
    "scatter": sequential(lambda_layer("scatter", values=[1.0], shape=[10**5, 10**5])),
    "parts": sequential(
        entry("RepeatVector", {"n": 10**9}),
        lambda_layer("split", indices_or_sections=10**9, axis=1),
    ),
    "other parts": sequential(
        entry("RepeatVector", {"n": 10**9}),
        lambda_layer("array_split", indices_or_sections=10**9, axis=1),
    ),
    "unstack": sequential(entry("RepeatVector", {"n": 10**9}), lambda_layer("unstack", axis=1)),
    "reflections": sequential(lambda_layer("pad", pad_width=[[0, 0], [10**9, 0]], mode="reflect")),
    "differences": sequential(lambda_layer("diff", n=10**9)),
    "orders of operands": op_entry(
        "Einsum",
        [",".join(f"a{chr(98 + i)}" for i in range(20)) + "->a", *[TENSOR] * 20],
        optimize="optimal",
    ),
    "squares": stack(input_of(None), squares(30)),
    "squares of numbers": sequential(squares(30)),
    "a dtype with a shape": sequential(
        dense(kernel_initializer={"class_name": ARRAY, "config": {"value": 1, "dtype": "(9,)f4"}})
    ),
    "a dtype that is no dtype": sequential(dense(dtype="(1,,2)f4")),
    "a long text": sequential(lambda_layer("add", x2={"class_name": ARRAY, "config": LONG})),
    "texts as long as one": sequential(
        lambda_layer("add", x2={"class_name": ARRAY, "config": MANY})
    ),
    "a long name": sequential(entry("N" * 5_000_000, {})),
}

# Made of symbols only, and without weights.
HARMLESS = ("input", "unknown sizes", "RepeatVector", "padding", "a constant in a trace")
HARMLESS += ("a range in a trace", "squares")

# How large weights may be a file says by its size, and a text alone does not.
OF_WEIGHTS = ("units", "embedding", "weights of many layers", "build_config", "orthogonal")

_CHILD = """
import json, resource, sys, time
from keraslike import models, saving, Sequential, Model
def memory(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
def forget():  # what earlier loads took at most, where the system can
    try:
        with open("/proc/self/clear_refs", "w") as file: file.write("5")
    except OSError: pass
saving.load_model(sys.argv[1])  # what every load needs
models.model_from_json(open(sys.argv[2]).read())
for line in sys.stdin:
    what, path = json.loads(line)
    forget()
    before, start = memory(), time.process_time()
    try:
        saving.load_model(path) if what == "load" else models.model_from_json(open(path).read())
        said = ""
    except Exception as e:
        said = f"{type(e).__name__}: {e}"
    print(json.dumps([memory() - before, time.process_time() - start, said[:300]]), flush=True)
"""


@pytest.fixture(scope="module")
def measured(template, tmp_path_factory):
    """`load(path)` in a process of its own: `(MB that memory grew, seconds of CPU time, error)`."""
    text = tmp_path_factory.mktemp("child") / "m.json"
    text.write_text(small().to_json())
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, template / "m.keras", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def load(path, what="load"):
        child.stdin.write(json.dumps([what, str(path)]) + "\n")
        child.stdin.flush()
        return json.loads(child.stdout.readline())

    yield load
    child.stdin.close()
    child.wait(60)


@pytest.mark.parametrize("name", BOMBS)
def test_configs_that_ask_for_too_much(template, tmp_path, measured, name):
    config = json.loads(json.dumps(BOMBS[name]))
    for kind in FORMATS:
        path = write(template, tmp_path, kind, json.loads(json.dumps(config)))
        grown, seconds, said = measured(path)
        assert not said or str(path) in said
        assert not said or said.startswith(("ValueError", "TypeError", "DamagedCheckpoint"))
        assert said or name in HARMLESS
        assert grown < 200 and seconds < 20


@pytest.mark.parametrize("name", [n for n in BOMBS if n not in OF_WEIGHTS])
def test_configs_that_ask_for_too_much_without_a_file(tmp_path, measured, name):
    (tmp_path / "m.json").write_text(json.dumps(BOMBS[name]))
    grown, seconds, said = measured(tmp_path / "m.json", "json")
    assert not said or said.startswith(("ValueError", "TypeError", "OverflowError"))
    assert grown < 200 and seconds < 20


# -- archives and JSON -------------------------------------------------------------------------


def zipped(path, text, say=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", b"")
    if say is not None:
        data = bytearray(path.read_bytes())
        for start in (22, data.find(b"PK\x01\x02") + 24):
            data[start : start + 4] = say.to_bytes(4, "little")
        path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "a/b/more.json"])
def test_members_that_unpack_to_more_than_they_may(template, tmp_path, name):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(template / "m.keras") as old:
        held = {n: old.read(n) for n in old.namelist()} | {name: b" " * (65 << 20)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in held.items():
            archive.writestr(member, data)
    if name in ("config.json", "model.weights.h5"):
        refused(lambda: load_model(path), f"not safe to load: '{name}'", path)
    else:  # nobody looks into it
        load_model(path)


def test_members_that_say_to_be_smaller_than_they_are(tmp_path, measured):
    path = zipped(tmp_path / "m.keras", b" " * (400 << 20), say=1000)
    grown, _, said = measured(path)
    assert said.startswith("DamagedFile") and str(path) in said and grown < 50


@pytest.mark.parametrize("text", [b"[],", b"{},", b'{"a":1},', b"0,", b'"",', b"1.5,"])
def test_json_that_grows_in_memory(tmp_path, measured, text):
    path = zipped(tmp_path / "m.keras", b"[" + text * ((60 << 20) // len(text)) + b"0]")
    grown, _, said = measured(path)
    assert "too large" in said and grown < 200
    text = b"[" + text * ((30 << 20) // len(text)) + b"0]"
    refused(lambda: json_texts.parse_json(text), "too large")
    refused(lambda: models.model_from_json(text.decode()), "too large")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 100_000, "too deeply|no JSON"),
        ('{"a":' * 100_000, "too deeply|no JSON"),
        ("1" * 5000, "no JSON"),
        ('{"a": NaN}', "no model"),
        ('"\\ud800"', "no model"),
        ("null", "no model"),
        ('{"class_name": "Sequential", "class_name": "eval", "config": {}}', "not known here"),
    ],
)
def test_odd_json(template, tmp_path, kind, text, match):
    path = write(template, tmp_path, kind, sequential(dense()))
    if kind == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", b"")
    elif kind == "h5":
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = text
    else:
        (step,) = path.iterdir()
        known = json.loads(text) if match in ("no model", "not known here") else None
        checksum = zlib.crc32(json.dumps(known).encode())
        said = f'{{"checksum": {checksum}, "value": {text}}}'
        (step / "model" / "metadata").write_text(said)
    refused(lambda: load_model(path), match, path)


@pytest.mark.parametrize("place", ["layer", "nested", "cell", "deep inside", "in a graph"])
def test_configs_nested_without_end(template, tmp_path, place):
    config = dense()
    for _ in range(70):
        config = PLACES[place](config)
    for kind in FORMATS:
        path = write(template, tmp_path, kind, json.loads(json.dumps(config)))
        refused(lambda: load_model(path), "deep", path)  # noqa: B023
    for _ in range(2000):
        config = PLACES[place](config)
    refused(lambda: saving.deserialize_keras_object(config), "too deeply")
    refused(lambda: type(small()).from_config(config["config"]), "too deeply")


def test_objects_that_hold_themselves():
    """A shared object is known by its number when it has been made, and not before."""
    inner = sequential(shared_object_id=7)
    inner["config"]["layers"].append(entry("Dense", {"units": 2}, shared_object_id=7))
    with serialization.sharing():
        model = serialization.deserialize(inner)
    assert [type(x).__name__ for x in model.layers] == ["Dense"]
    level = entry("Dense", {"units": 2, "name": "a"}, shared_object_id=0)
    for i in range(1, 40):  # of which each would hold two of the one before
        two = [
            level,
            {
                **entry("Sequential", {"name": None, "layers": []}, "keras"),
                "shared_object_id": i - 1,
            },
        ]
        level = entry("Sequential", {"layers": two, "name": f"s{i}"}, "keras", shared_object_id=i)
    with serialization.sharing():
        model = serialization.deserialize(level)
    for _ in range(39):
        model, other = model.layers
        assert other is not model and not getattr(other, "layers", ())


def test_calls_in_any_order_take_time_in_proportion(monkeypatch):
    """Each call waits for what it needs, and is not tried again before that."""
    count, name = 40, "in"
    chain = [{**INPUT, "name": "in", "inbound_nodes": []}]
    for i in range(count):
        source = {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
        name = f"l{i}"
        layer = entry("Activation", {"activation": "relu", "name": name})
        chain.append({**layer, "name": name, "inbound_nodes": [{"args": [source]}]})
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[name, 0, 0]]}
    tried = []
    known = graph_config._call_arguments
    monkeypatch.setattr(graph_config, "_call_arguments", lambda *a: tried.append(None) or known(*a))
    model = models.Model.from_config({"layers": chain[::-1], **ends})
    assert len(model.layers) == count + 1 and len(tried) < 3 * count
    lost = {"layers": chain[:1] + chain[2:], **ends}
    refused(lambda: models.Model.from_config(lost), "nowhere made")
