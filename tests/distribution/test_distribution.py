"""`keraslike.distribution`: training on several devices is training on one, but quicker."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike import distribution as d
from keraslike import layers
from keraslike.data import Dataset

from . import eight_devices, four_devices, shared_data, two_processes

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]


LIMIT = 200  # seconds that a process may take; it then writes its stacks and ends


def start(module, *args, devices=1, out, **variables):
    """A process that has so many devices; what it writes goes to a file.

    (A pipe that nobody reads may stop it, and with it all others that wait for it.)
    """
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    env |= variables
    limited = ["-m", "tests.distribution.limited", str(LIMIT), f"tests.distribution.{module}"]
    with open(out, "w") as file:
        return subprocess.Popen(
            [sys.executable, *limited, *args], env=env, cwd=ROOT, stdout=file, stderr=file
        )


def finish(*processes):
    """What each has printed last.

    Args:
        processes: pairs of a process and the file that it writes to.
    """
    try:
        codes = [process.wait(LIMIT + 20) for process, _ in processes]
    finally:
        for process, _ in processes:
            process.kill()
            process.wait()
        written = [pathlib.Path(out).read_text() for _, out in processes]
        print(*(f"process {i}:\n{text[-8000:]}" for i, text in enumerate(written)), sep="\n")
    assert not any(codes), codes
    lines = [[line for line in text.splitlines() if line.startswith("{")] for text in written]
    return [json.loads(found[-1]) for found in lines]


def run(module, devices, folder):
    """What one process prints."""
    return finish((start(module, devices=devices, out=folder / module), folder / module))[0]


@pytest.fixture(scope="module")
def on_four(tmp_path_factory):
    return run("four_devices", 4, tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize("name", [check.__name__ for check in four_devices.CHECKS])
def test_four_devices(on_four, name):
    assert on_four[name] == "", on_four[name]


@pytest.fixture(scope="module")
def on_eight(tmp_path_factory):
    return run("eight_devices", 8, tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize("name", [check.__name__ for check in eight_devices.CHECKS])
def test_eight_devices(on_eight, name):
    assert on_eight[name] == "", on_eight[name]


def test_two_processes(tmp_path, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    outs = [tmp_path_factory.mktemp("outs") / str(i) for i in range(2)]
    started = [
        start("two_processes", str(i), address, str(tmp_path), devices=2, out=out)
        for i, out in enumerate(outs)
    ]
    first, second = finish(*zip(started, outs, strict=True))
    _check_shares(first.pop("shares"), second.pop("shares"), tmp_path / "shares")
    saved, waited = first.pop("saved"), second.pop("saved")
    assert "no folder" in saved["error"] and "no folder" in waited.pop("error")
    del saved["error"]
    assert saved == waited | {"seen": saved["seen"]}
    names = {"backup", "best.keras", "m.h5", "m.keras", "m.weights.h5", "orbax"}
    assert names <= set(saved["seen"]) and names <= set(waited["seen"])
    assert saved["written by"] == "0" and saved["equal"]
    assert saved["epochs"] == [0, 1]  # the first came from the backup
    parts = {"parts.keras", "parts.h5", "parts.weights.h5"}
    others = {"alone.keras", "board", "log.csv", "orbax in parts", "program", "shares"}
    assert {p.name for p in tmp_path.iterdir()} == {*names, *others, *parts}
    assert [p["agreed"].pop("said") for p in (first, second)] == [3, 0]
    rows = first["agreed"].pop("rows")
    assert rows == 4 and second["agreed"].pop("rows") <= rows
    assert first["agreed"] == {
        "on_epoch_end": [[0, 1], 6],
        "on_train_batch_end": [[0], 2],
        "epochs": 1,
    }
    assert first == second  # the same seeds, the same order of samples, the same weights
    assert first["devices"] == 4
    assert "auto_shard_dataset=False" in first["error"] and "4 devices" in first["error"]
    try:
        here = two_processes.train(None)
    finally:
        d.set_distribution(None)
    for name in ("ordered", "parts"):
        for a, b in zip(first[name], here["parts"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    model, here = two_processes.fit_in_parts()
    here += model.get_weights()
    for a, b in zip(first["in parts"], here, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    alone = keras.saving.load_model(tmp_path / "orbax in parts")
    assert [w.tolist() for w in alone.get_weights()] == first["orbax"]
    with d.ModelParallel.fsdp().scope():
        alone = keras.saving.load_model(tmp_path / "orbax in parts")
        assert [w.tolist() for w in alone.get_weights()] == first["orbax"]
    program = keras.saving.load_exported(tmp_path / "program")
    np.testing.assert_allclose(program.serve(two_processes.X), here[1], atol=1e-6)
    loaded = keras.saving.load_model(tmp_path / "parts.h5")  # in one process, on one device
    np.testing.assert_allclose(loaded.predict(two_processes.X, verbose=0), here[1], atol=1e-6)


def _check_shares(first, second, folder):
    """Two processes that read a share each are one that reads all, in the same order."""
    here = shared_data.alone(folder)
    samples = set(range(shared_data.N))
    for name in shared_data.SOURCES:
        whole, resumed, read = first.pop(name)
        others = second.pop(name)
        assert others[:2] == [whole, resumed], name
        for found in (resumed, *here[name]):  # each goes on where another was ended, but the second
            for a, b in zip(found, whole, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)
        if name in shared_data.READ_ONCE:  # what only the other one needs is read with batch 0
            assert len(read) + len(others[2]) == 2 * shared_data.N + shared_data.BATCH
            assert {*read, *others[2]} == samples
    assert [first.pop("part"), second.pop("part")] == [
        [[0, 1, 2, 3], [8, 9, 10, 11]],
        [[4, 5, 6, 7], [12, 13, 14, 15]],
    ]
    assert first == second
    np.testing.assert_allclose(*first["of parts"], rtol=1e-6)
    np.testing.assert_allclose(first["evaluated"], here["evaluated"], rtol=1e-6)
    np.testing.assert_allclose(first["predicted"], here["predicted"], atol=1e-6)


# -- in this process, where there may be one device only ------------------------------------------


def make():
    keras.utils.set_random_seed(2)
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile(loss="mse", optimizer="adam")
    return model


def test_one_device():
    x, y = np.ones((10, 3)), np.ones((10, 2))
    expected = make().fit(x, y, batch_size=4, epochs=2, verbose=0).history["loss"]
    device = d.list_devices()[0]
    with d.DataParallel(devices=[device]).scope():
        model = make()
        loss = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history["loss"]
        assert model.predict(x, verbose=0).shape == (10, 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_an_axis_of_one_device_divides_nothing():
    """So that every layout of one device is the same program, which no constraint makes slower."""
    mesh = d.DeviceMesh((1, 1), ["batch", "model"], d.list_devices()[:1])
    layouts = d.LayoutMap(mesh)
    layouts[".*kernel"] = (None, "model")
    found = set()
    for distribution in (
        d.ModelParallel.fsdp(mesh, min_size=1),
        d.ModelParallel(layout_map=layouts),
    ):
        with distribution.scope():
            found.add(distribution.sharding_of(make().layers[0].kernel))
    assert len(found) == 1 and found.pop().is_fully_replicated


def test_without_a_distribution_nothing_is_placed():
    model = make()
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert not any(v._raw_value.committed for v in model.weights)


def test_devices_are_named_as_in_keras():
    assert d.list_devices() == oracle.distribution.list_devices()
    assert d.list_devices("CPU") == oracle.distribution.list_devices("CPU")
    assert d.get_device_count("cpu") == len(jax.devices("cpu"))


def test_scope():
    outer, inner = d.DataParallel(), d.DataParallel()
    assert d.distribution() is None
    with outer.scope():
        with pytest.raises(KeyError), inner.scope():
            assert d.distribution() is inner
            raise KeyError
        assert d.distribution() is outer
    assert d.distribution() is None
    d.set_distribution(outer)
    assert d.distribution() is outer
    d.set_distribution(None)
    assert d.distribution() is None


def test_attributes_are_those_of_keras():
    names = ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    for shape, axes in (((4,), ["batch"]), ((2, 2), ("data", "model"))):
        ours = d.DeviceMesh(shape, axes, names)
        theirs = oracle.distribution.DeviceMesh(shape, axes, names)
        assert ours.shape == theirs.shape and ours.axis_names == theirs.axis_names
        np.testing.assert_array_equal(ours.devices, theirs.devices)
    ours, theirs = d.DataParallel(devices=names), oracle.distribution.DataParallel(devices=names)
    for name in ("batch_dim_name", "auto_shard_dataset", "num_processes", "num_model_replicas"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert repr(ours) == repr(theirs)
    layouts = [x.get_data_layout((8, 3, 2)) for x in (ours, theirs)]
    assert layouts[0].axes == tuple(layouts[1].axes)
    variable = keras.Variable(np.ones((2, 3)))
    assert ours.get_variable_layout(variable).axes == (None, None)


def test_public_names_are_those_of_keras():
    known = {n for n in dir(oracle.distribution) if not n.startswith("_")}
    ours = set(dir(d))
    assert ours - known == {"Distribution", "Plan", "plan"}
    assert not known - ours


def test_layouts():
    mesh = d.DeviceMesh((1,), ["batch"], d.list_devices()[:1])
    layout = d.TensorLayout((None, "batch"))
    with pytest.raises(ValueError, match="no device_mesh"):
        _ = layout.backend_layout
    layout.device_mesh = mesh
    assert layout.backend_layout.mesh == mesh.backend_mesh
    with pytest.raises(ValueError, match="device_mesh is set"):
        layout.device_mesh = mesh
    symbol = keras.KerasTensor((None, 2))
    assert d.distribute_tensor(symbol, layout) is symbol


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: d.list_devices("abacus"), "device_type='abacus'"),
        (lambda: d.get_device_count(3), "device_type=3"),
        (lambda: d.DeviceMesh((), ()), "axis_names"),
        (lambda: d.DeviceMesh((1,), ("a", "b")), r"axis_names=\('a', 'b'\)"),
        (lambda: d.DeviceMesh((1, 1), ("a", "a"), ["cpu:0"]), "axis_names must differ"),
        (lambda: d.DeviceMesh((3,), ("a",), ["cpu:0"]), r"shape=\(3,\), 1 device"),
        (lambda: d.DeviceMesh((2,), ("a",), ["cpu:0"] * 2), "devices must differ"),
        (lambda: d.DeviceMesh((0,), ("a",), []), r"shape=\(0,\)"),
        (lambda: d.DeviceMesh((1,), ("a",), ["cpu:99"]).backend_mesh, "'cpu:99' in devices"),
        (lambda: d.TensorLayout(("x",), d.DeviceMesh((1,), ("a",), ["cpu:0"])), r"\['x'\]"),
        (lambda: d.DataParallel(device_mesh=(4,)), r"device_mesh=\(4,\)"),
        (lambda: d.DataParallel(devices=[]), r"devices=\[\]"),
        (lambda: d.set_distribution("all"), "value='all'"),
        (lambda: d.set_distribution(d.DataParallel(devices=["cpu:99"])), "'cpu:99' in devices"),
        (lambda: d.initialize("a:1,b:1", num_processes=3), "num_processes=3"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    assert d.distribution() is None


def test_a_mesh_comes_before_devices():
    mesh = d.DeviceMesh((1,), ("a",), ["cpu:0"])
    with pytest.warns(UserWarning, match="devices is not used"):
        assert d.DataParallel(mesh, d.LayoutMap(mesh)).device_mesh is mesh


def test_initialize_reads_the_environment(monkeypatch):
    given = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **_: given.append(args))
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "a:1,b:1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    before = keras.core.rng.get_state()
    d.initialize()
    assert given == [("a:1", 2, 1)]
    assert keras.core.rng.get_state() == before  # of one process nothing is changed
    monkeypatch.setenv("KERAS_DISTRIBUTION_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="TIMEOUT must be a number"):
        d.initialize()
    with pytest.raises(ValueError, match="timeout=0"):
        d.initialize(timeout=0)
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "one")
    with pytest.raises(ValueError, match="KERAS_DISTRIBUTION_PROCESS_ID"):
        d.initialize()


class OfTwoProcesses(d.DataParallel):
    def __init__(self, **kwargs):
        super().__init__(d.DeviceMesh((2,), ["batch"], ["cpu:0", "cpu:1"]), **kwargs)
        self._num_processes, self._is_multi_process = 2, True


def test_a_part_of_a_dataset():
    whole = Dataset.range(12).batch(4)
    part = OfTwoProcesses().distribute_dataset(whole)
    assert [b.tolist() for b in part.as_numpy_iterator()] == [[0, 1], [4, 5], [8, 9]]
    assert part.map(lambda n: n).is_part and not whole.is_part
    assert OfTwoProcesses(auto_shard_dataset=False).distribute_dataset(whole) is whole
    for data, message in (
        ([1, 2], "list.*not supported for auto-sharding"),
        (Dataset.range(4), "batch size of dataset is unknown"),
        (Dataset.range(12).batch(3), "divisible by the number.*batches of 3 samples, and 2 parts"),
    ):
        with pytest.raises(ValueError, match=message):
            OfTwoProcesses().distribute_dataset(data)


def test_layout_maps():
    mesh = d.DeviceMesh((1, 1), ["batch", "model"], d.list_devices()[:1])
    layouts = d.LayoutMap(mesh)
    layouts[".*kernel"] = (None, "model")
    layouts["net/.*"] = d.TensorLayout(["batch"])
    assert layouts["dense/kernel"].axes == (None, "model")
    assert layouts["net/bias"].device_mesh is mesh and layouts["other/bias"] is None
    assert len(layouts) == 2 and list(layouts) == [".*kernel", "net/.*"]
    with pytest.raises(ValueError, match="net/kernel.*multiple"):
        layouts["net/kernel"]
    with pytest.raises(ValueError, match="already exist"):
        layouts[".*kernel"] = ("model",)
    with pytest.raises(ValueError, match="should be a TensorLayout"):
        layouts["bias"] = "model"
    with pytest.raises(ValueError, match="axis_names.*other"):
        layouts["bias"] = ("other",)
    del layouts["net/.*"]
    assert layouts["net/bias"] is None
    for wrong, message in (
        ({}, "specify a layout_map"),
        ({"layout_map": {}}, "must be a `LayoutMap`"),
        ({"layout_map": layouts, "batch_dim_name": "rows"}, "axis_names.*'rows'"),
    ):
        with pytest.raises(ValueError, match=message):
            d.ModelParallel(**wrong)
    model_parallel = d.ModelParallel(layout_map=layouts)
    assert model_parallel.batch_dim_name == "batch"
    variable = keras.Variable(np.ones((2, 3)), layout=d.TensorLayout(("model", None), mesh))
    assert model_parallel.get_variable_layout(variable).axes == ("model", None)
    assert model_parallel.get_variable_layout(keras.Variable(1.0)).axes == ()
