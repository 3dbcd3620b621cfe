"""The published advisories against Keras, each as a class of attack and in every format.

Loading runs nobody's code, follows no path out of a file and takes no memory or time that the file
does not account for. What each number stands for:

- code of the file's: CVE-2024-3660, CVE-2025-9905 (bytecode in `.h5`), CVE-2025-1550 (any module's
  functions), CVE-2025-49655 (a pickle in a config), CVE-2026-1462 (another program in a config),
  CVE-2026-12481 (`from_config` outside of a loader);
- functions of the framework's own: CVE-2025-8747 (download a file), CVE-2025-9906 (turn safe mode
  off), CVE-2024-55459, CVE-2025-12060 and CVE-2025-12638 (unpack an archive);
- files named by a config or a path: CVE-2025-12058 (vocabularies), CVE-2026-12479 (layer names),
  GHSA-hqp4-2352-xf5r (members of archives), CVE-2026-1669 and CVE-2026-12480 (HDF5 links, outside
  storage and virtual datasets);
- memory: CVE-2026-0897 (shapes without data); in releases of Keras without a number of their own,
  zip bombs, links in archives, linked groups on the way to a dataset.
"""

import base64
import inspect
import marshal
import os
import shutil
import sys
import zipfile

import h5py
import numpy as np
import pytest

import keraslike
from keraslike import layers, saving
from keraslike.core import registry, serialization
from keraslike.saving import load_model

from .hostile import (
    FORMATS,
    INPUT,
    PLACES,
    Around,
    dense,
    doors,
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

# -- no code that a file names or holds --------------------------------------------------------


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module whose import, and whose functions, leave a mark."""
    mark = tmp_path / "mark"
    (tmp_path / "trapmodule.py").write_text(
        f"open({str(mark)!r}, 'a').close()\n"
        f"class Trap:\n    def __init__(self, *a, **k): open({str(mark)!r}, 'a').close()\n"
        "    from_config = classmethod(lambda cls, config: cls())\n"
        "def trap(*a, **k): Trap()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield mark
    assert not mark.exists() and "trapmodule" not in sys.modules


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", FORMATS)
def test_no_module_is_imported(template, tmp_path, trap, kind, place):  # CVE-2025-1550
    for named in (
        entry("Trap", {}, "trapmodule"),
        entry("trapmodule.Trap", {}, "builtins"),
        entry("Trap", {}, "keras", registered_name="trapmodule>Trap"),
        function("trap", "trapmodule"),
        function("trapmodule.trap"),
        function("system", "os"),
        entry("eval", {}, "builtins"),
    ):
        path = write(template, tmp_path, kind, PLACES[place](named))
        refused(lambda: load_model(path), "is not known here", path)  # noqa: B023
        if kind == "keras":
            for door in doors(PLACES[place](named)):
                refused(door, "is not known here|stands where|Unknown")


def marked(mark):
    """The parts of a lambda that leaves a mark when it is called."""
    code = compile(f"lambda *a, **k: open({str(mark)!r}, 'a').close()", "<l>", "eval").co_consts[0]
    return [base64.b64encode(marshal.dumps(code)).decode(), None, None]


@pytest.mark.parametrize("place", [p for p in PLACES if p != "root"])
@pytest.mark.parametrize("kind", FORMATS)
def test_no_bytecode_is_read(template, tmp_path, trap, kind, place, monkeypatch):
    # CVE-2024-3660, CVE-2025-9905, CVE-2026-12481
    monkeypatch.setattr(serialization.marshal, "loads", lambda *_: pytest.fail("bytecode was read"))
    parts = marked(trap)
    names = ("code", "defaults", "closure")
    for value in ({"value": parts}, dict(zip(names, parts, strict=True))):
        hostile = {"class_name": "__lambda__", "config": value}
        path = write(template, tmp_path, kind, PLACES[place](hostile))
        refused(lambda: load_model(path), "safe_mode=False", path)  # noqa: B023
        for door in doors(PLACES[place](hostile)) if kind == "keras" else ():
            refused(door, "safe_mode=False")
    assert registry.scope.safe_mode is None


def test_a_layer_from_its_own_config(trap):  # CVE-2026-12481
    hostile = {"class_name": "__lambda__", "config": {"value": marked(trap)}}
    for config in ({"function": hostile}, {"function": hostile, "safe_mode": False}):
        refused(lambda: layers.Lambda.from_config(config), "safe_mode=False")  # noqa: B023
    refused(lambda: Around.from_config({"fn": hostile}), "safe_mode=False")


@pytest.mark.parametrize("wrapper", ["alone", "nested", "in a wrapper"])
def test_bytecode_in_the_form_of_keras_2(template, tmp_path, trap, wrapper):  # CVE-2025-9905
    old = {"function": marked(trap), "function_type": "lambda", "module": "__main__"}
    old = {"class_name": "Lambda", "config": {**old, "output_shape_type": "raw"}}
    stack = {
        "alone": old,
        "nested": {"class_name": "Sequential", "config": {"name": "n", "layers": [old]}},
        "in a wrapper": {"class_name": "advisories>Around", "config": {"layer": old}},
    }[wrapper]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [INPUT, stack]}}
    path = write(template, tmp_path, "h5", config)
    refused(lambda: load_model(path), "safe_mode=False", path)


# Functions and classes that read, write, download, unpack or change how loading works.
TOOLS = (
    *("BackupAndRestore", "CSVLogger", "ModelCheckpoint", "OrbaxCheckpoint", "TensorBoard"),
    *("audio_dataset_from_directory", "custom_object_scope", "deserialize"),
    *("enable_unsafe_deserialization", "extract_archive", "get_file", "load_data", "load_img"),
    *("load_model", "load_weights", "model_from_json", "open_checkpoints", "plot_model"),
    *("plot_image_gallery", "save_img", "save_model", "save_weights", "set_dtype_policy"),
    *("set_floatx",),
)


@pytest.mark.parametrize("name", TOOLS)
def test_tools_of_the_framework_cannot_be_named(template, tmp_path, name):
    # CVE-2025-8747, CVE-2025-9906, CVE-2025-12058, CVE-2025-49655, CVE-2026-1462
    homes = ("keras", "keras.callbacks", "keras.config", "keras.layers", "keras.models")
    homes += ("keras.saving", "keras.src.saving.saving_lib", "keras.utils", "keraslike", None)
    for home in homes:
        arguments = {"arguments": {"safe_mode": False}, "function": function(name, home)}
        for config in (
            sequential(entry(name, {"vocabulary": "/etc/passwd", "filepath": "/etc"}, home)),
            graph(entry("Lambda", arguments), (), {"inputs": str(tmp_path / "made")}),
        ):
            refused(lambda: saving.deserialize_keras_object(config), "not known here|is a class")  # noqa: B023
    for kind in FORMATS:
        path = write(template, tmp_path, kind, config)
        refused(lambda: load_model(path), "not known here", path)  # noqa: B023
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["StringLookup", "TextVectorization"])
def test_a_config_names_no_vocabulary_outside_of_its_file(template, tmp_path, name):
    # CVE-2025-12058
    config = sequential(entry(name, {"vocabulary": "/etc/passwd"}, "keras.layers"))
    for load in doors(config):
        refused(load, "outside of the archive")
    for kind in FORMATS:
        path = write(template, tmp_path, kind, config)
        refused(lambda: load_model(path), "outside of the archive", path)  # noqa: B023


def test_a_class_is_no_function():
    for name in ("Dense", "Model", "SeedGenerator", "Mean", "Adam"):
        refused(lambda: serialization.deserialize(function(name, "keras")), "is a class")  # noqa: B023


def test_files_may_name_what_models_are_made_of_and_no_more():
    """Another family's objects are found by Python, and by no file."""
    probe = type("Probe", (layers.Layer,), {})
    for home in ("keras.callbacks", "keras.datasets.mnist", "keras.anything"):
        registry.publish(home, {"Probe": probe})
        refused(lambda: serialization.deserialize(entry("Probe", {}, home)), "not known")  # noqa: B023
        registry._families.pop(home.rpartition(".")[2], None) if "any" in home else None
    homes = {obj.__module__ for obj in registry._public.values() if hasattr(obj, "__module__")}
    rooms = {home.split(".")[1] for home in homes if home.startswith("keraslike.")}
    assert rooms <= {
        *("activations", "constraints", "core", "initializers", "layers", "losses", "metrics"),
        *("distillation", "models", "ops", "optimizers", "quantizers", "random", "regularizers"),
        "utils",
    }
    of_utils = {name for home, name in registry._public if "utils" in home}
    assert of_utils == {"FeatureSpace"}


# -- no path out of a file ---------------------------------------------------------------------

_watched: list[str] | None = None


def _watch(event, args):
    if _watched is not None and event.startswith(("open", "os.", "shutil.", "socket.", "urllib.")):
        _watched.extend(str(a) for a in args if isinstance(a, (str, bytes, os.PathLike)))


sys.addaudithook(_watch)


@pytest.fixture
def watched(monkeypatch):
    """What files, addresses and the like Python is asked for."""
    found: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_watched", found)
    return found


@pytest.mark.parametrize("given", ["/nowhere/secret.txt", "http://nowhere.invalid/secret.txt"])
def test_no_argument_of_anything_public_names_a_file(watched, given):  # CVE-2025-12058
    """Every class and function that files can name, with a path for every argument."""
    tried = 0
    for (_, name), thing in registry._public.items():
        if name in ("while_loop", "fori_loop"):  # which ask for functions and loop on them
            continue
        try:
            parameters = inspect.signature(thing).parameters
        except (TypeError, ValueError):
            continue
        for parameter in parameters:
            for make in (
                lambda: thing(**{parameter: given}),  # noqa: B023
                lambda: serialization.deserialize(entry(name, {parameter: given}, None)),  # noqa: B023
                lambda: thing(given),  # noqa: B023
            ):
                tried += 1
                try:
                    make()
                except Exception:  # noqa: S112
                    continue
    assert tried > 2000
    assert not [w for w in watched if "secret" in w and "::" not in w]  # but the test's own name


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name", ["../../up", "/top", "..", ".", "", "a/b", "a\\b", "C:\\x", "n" * 5000, "\udc80", "é\n"]
)
def test_names_are_no_paths(template, tmp_path, kind, name):  # CVE-2026-12479
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    config = {
        "name": "s",
        "layers": [INPUT, dense(name=name), entry("Activation", {"activation": "relu"})],
    }
    path = write(template, folder, kind, entry("Sequential", config, "keras"))
    before = set(tmp_path.rglob("*"))
    try:
        model = load_model(path, compile=False)
    except ValueError as e:  # the weights are another model's
        assert "do not fit" in str(e)
    model = saving.deserialize_keras_object(entry("Sequential", config, "keras"))
    for ending in ("keras", "h5", "weights.h5"):
        save = model.save_weights if ending == "weights.h5" else model.save
        try:
            save(folder / f"again.{ending}")
        except ValueError as e:
            assert name == "\udc80" and "surrogate" in str(e)
            continue
        model.load_weights(folder / f"again.{ending}")
    made = set(tmp_path.rglob("*")) - before
    assert {p.parent for p in made} <= {folder}
    assert all(p.name.startswith("again.") for p in made)


def test_a_name_with_a_nul_is_an_error(tmp_path):
    model = keraslike.Sequential([keraslike.Input((4,)), layers.Dense(2, name="a\0b")])
    for ending in ("keras", "h5", "weights.h5"):
        save = model.save_weights if ending == "weights.h5" else model.save
        try:
            save(tmp_path / f"m.{ending}")
        except ValueError:
            assert not list(tmp_path.glob(f"*{ending}*"))


@pytest.mark.parametrize("name", ["../up", "/top", "a/../../b", "c:\\x", "..", "a\\b"])
def test_members_that_point_outside(template, tmp_path, name):  # GHSA-hqp4-2352-xf5r
    path = write(template, tmp_path, "keras", sequential(dense()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"")
    refused(lambda: load_model(path), "outside", path)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_links_in_archives(template, tmp_path, name):
    """What is a link to an archiver is the text of a path here."""
    secret = tmp_path / "secret"
    secret.write_text('{"class_name": "Zeros", "config": {}}')
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(template / "m.keras") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            info = zipfile.ZipInfo(member)
            if member == name:
                info.create_system, info.external_attr = 3, 0o120777 << 16
            new.writestr(info, str(secret) if member == name else old.read(member))
    refused(lambda: load_model(path), "no JSON|no HDF5", path)


def hostile_data(file, kind, kernel, outside):
    """Puts something else in the place of a weight of shape (4, 3)."""
    group, _, name = kernel.rpartition("/")
    if kind == "linked group":
        file.move(group, "elsewhere")
        file[group] = h5py.SoftLink("/elsewhere")
        return
    if kind == "linked parent":
        parent = kernel.split("/")[0]
        file.move(parent, "elsewhere")
        file[parent] = h5py.ExternalLink(outside, "/")
        return
    del file[kernel]
    if kind == "soft link":
        file[kernel] = h5py.SoftLink("/x")
    elif kind == "external link":
        file[kernel] = h5py.ExternalLink(outside, "x")
    elif kind == "outside storage":
        file.create_dataset(kernel, (4, 3), "f4", external=[(outside, 0, 48)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource(outside, "x", (4, 3))
        file.create_virtual_dataset(kernel, layout)
    elif kind == "reference":
        file.create_dataset(kernel, (4, 3), h5py.ref_dtype)[...] = file[group].ref
    elif kind == "region":
        file.create_dataset(kernel, (4, 3), h5py.regionref_dtype)
    elif kind == "object":
        file.create_dataset(kernel, (4, 3), h5py.vlen_dtype("u1"))
    elif kind == "compound":
        file.create_dataset(kernel, (4, 3), [("a", "f4"), ("b", "S8")])


@pytest.mark.parametrize("where", ["keras", "h5", "weights"])
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("soft link", "is a link"),
        ("external link", "is a link"),
        ("linked group", "is a link"),
        ("linked parent", "is a link"),
        ("outside storage", "outside the file"),
        ("virtual", "outside the file"),
        ("reference", "not numbers"),
        ("region", "not numbers"),
        ("object", "not numbers"),
        ("compound", "not numbers"),
    ],
)
def test_weights_that_lie_elsewhere(template, tmp_path, where, kind, match):
    # CVE-2026-1669, CVE-2026-12480
    outside = str(tmp_path / "outside.h5")
    with h5py.File(outside, "w") as file:
        file["x"] = np.ones((4, 3), "f4")
    change = lambda file, kernel: hostile_data(file, kind, kernel, outside)  # noqa: E731
    path = weights_file(template, tmp_path, where, change)
    model = small()
    before = model.get_weights()
    refused(lambda: model.load_weights(path), match, path)
    assert all(map(np.array_equal, before, model.get_weights()))
    if where != "weights":
        refused(lambda: load_model(path), match, path)


@pytest.mark.parametrize("what", ["step", "state", "config", "array", "pipe", "top"])
def test_checkpoints_that_lead_elsewhere(template, tmp_path, what):
    path = shutil.copytree(template / "orbax", tmp_path / "orbax")
    (step,) = path.iterdir()
    data = max((step / "state").rglob("d/*"), key=os.path.getsize)
    place = {
        "step": step,
        "state": step / "state",
        "config": step / "model" / "metadata",
        "array": data,
        "pipe": step / "model" / "metadata",
        "top": path / "99",
    }[what]
    if place.exists():
        shutil.move(place, tmp_path / "elsewhere")
    if what == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path / "elsewhere")
    match = "is no file" if what == "pipe" else "is a link"
    refused(lambda: load_model(path), match, path)
    refused(lambda: small().load_weights(path), match, path)
