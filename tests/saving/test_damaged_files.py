"""A fault while saving leaves the old file; a damaged or hostile file is refused."""

import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest

import keraslike as keras
from keraslike import saving
from keraslike.saving import keras_archive

from .small_models import small, weights_equal

# -- faults while saving ----------------------------------------------------------------------


class _FullDisk(io.FileIO):
    """A file on a disk with room for so many bytes."""

    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


def _opening(room):
    def opened(path, mode="r", *args, **kwargs):
        if "x" in mode:
            file = _FullDisk(path, mode.replace("b", ""))
            file.room = room
            return file
        return open(path, mode, *args, **kwargs)

    return opened


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("room", [0, 40, 900, 4000])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, ending, room):
    path = tmp_path / f"model.{ending}"
    save = "save" if ending == "keras" else "save_weights"
    getattr(small(), save)(path)
    old = path.read_bytes()
    monkeypatch.setattr(keras_archive, "open", _opening(room), raising=False)
    with pytest.raises(OSError, match=f"No space left on device: '.*{path.name}'"):
        getattr(small(8), save)(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_fault_at_the_end_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / "model.keras"
    small().save(path)
    old = path.read_bytes()

    def fault(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras_archive.os, name, fault)
    with pytest.raises(KeyboardInterrupt):
        small().save(path)
    monkeypatch.undo()
    assert path.read_bytes() == old and os.listdir(tmp_path) == [path.name]


def test_what_cannot_be_saved_touches_no_file(tmp_path):
    path = tmp_path / "model.keras"
    model = small()
    model.save(path)
    old = path.read_bytes()
    model.layers[-1].get_config = lambda: {"thing": object()}
    with pytest.raises(TypeError, match="Cannot serialize"):
        model.save(path)
    assert path.read_bytes() == old and os.listdir(tmp_path) == [path.name]


# -- damaged and hostile files ----------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model = small(optimizer="adam", loss="mse")
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return model, path.read_bytes()


@pytest.fixture
def saved(tmp_path, trained):
    model, data = trained
    (tmp_path / "model.keras").write_bytes(data)
    return model, tmp_path / "model.keras"


def test_truncated(saved):
    _, path = saved
    data = path.read_bytes()
    for end in (0, 1, 4, 30, 100, len(data) // 3, len(data) // 2, len(data) - 30, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match="model.keras"):
            saving.load_model(path)


@pytest.mark.slow
def test_a_flipped_bit_is_seen_or_harmless(saved, rng):
    model, path = saved
    data = path.read_bytes()
    seen = 0
    for place in [*rng.integers(0, len(data), 60), *range(30), *range(len(data) - 60, len(data))]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        try:
            again = saving.load_model(path)
        except ValueError as e:
            assert "model.keras" in str(e)
            seen += 1
        else:
            assert weights_equal(again, model)
    assert seen > 60


def test_foreign_files(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        saving.load_model(path)
    path.write_text("hello")
    with pytest.raises(ValueError, match="no zip archive"):
        saving.load_model(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(ValueError, match="holds no model"):
        saving.load_model(path)
    weights = tmp_path / "w.weights.h5"
    weights.write_text("hello")
    with pytest.raises(ValueError, match="w.weights.h5"):
        small().load_weights(weights)


def rewrite(path, change=None, **members):
    """The archive with members replaced, added or (None) left out."""
    with zipfile.ZipFile(path) as archive:
        old = {m.filename: archive.read(m) for m in archive.infolist()}
    names = {"config": "config.json", "weights": "model.weights.h5"}
    old.update({names.get(k, k): v for k, v in members.items()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in old.items():
            if value is not None:
                archive.writestr(name, value)


def test_missing_members(saved):
    _, path = saved
    whole = path.read_bytes()
    for name in ("config.json", "model.weights.h5"):
        path.write_bytes(whole)
        rewrite(path, **{name: None})
        with pytest.raises(ValueError, match=f"it has no '{name}'"):
            saving.load_model(path)
    path.write_bytes(whole)
    rewrite(path, **{"metadata.json": None})
    saving.load_model(path)


def test_a_member_that_is_there_twice(saved):
    _, path = saved
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="2 times 'config.json'"):
        saving.load_model(path)


@pytest.mark.parametrize("name", ["../up", "/top", "a/../../b", "c:\\x"])
def test_members_that_point_outside(saved, name):
    _, path = saved
    rewrite(path, **{name: b""})
    with pytest.raises(ValueError, match="outside"):
        saving.load_model(path)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b"[]", "describes no model"),
        (b'{"class_name": "Sequential"}', "describes no model"),
        (b"[" * 100_000, "too deeply"),
        (b'{"class_name":"a","config":' + b'{"a":' * 300 + b"1" + b"}" * 301, "levels deep"),
        (b'{"class_name": "Dense", "module": "keras.layers", "config": 3}', "to be a dict"),
        (b'{"class_name": "Sequential", "module": "keras", "config": {}}', "could not be loaded"),
        (b'{"class_name": "Zeros", "module": "keras.initializers", "config": {}}', "no model"),
    ],
)
def test_bad_configs(saved, config, what):
    _, path = saved
    rewrite(path, config=config)
    with pytest.raises((ValueError, TypeError), match=what) as error:
        saving.load_model(path)
    assert str(path) in str(error.value)


def test_a_config_runs_nobody_s_code(saved):
    _, path = saved
    for module, name in (("os", "system"), ("builtins", "eval"), ("subprocess", "Popen")):
        rewrite(path, config=json.dumps({"module": module, "class_name": name, "config": {}}))
        with pytest.raises(TypeError, match=f"'{name}' is not known"):
            saving.load_model(path)


def test_a_bomb_is_refused(saved):
    _, path = saved
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (70 << 20))
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ValueError, match="not safe to load: 'config.json'"):
        saving.load_model(path)


def _hostile(file, kind, outside):
    del file["layers/dense/vars/0"]
    place = "layers/dense/vars/0"
    if kind == "soft":
        file[place] = h5py.SoftLink("/layers/dense_1/vars/0")
    elif kind == "external link":
        file[place] = h5py.ExternalLink(outside, "x")
    elif kind == "external data":
        file.create_dataset(place, (4, 3), "f4", external=[(outside, 0, 48)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource(outside, "x", (4, 3))
        file.create_virtual_dataset(place, layout)
    elif kind == "huge":
        file.create_dataset(place, (1 << 40,), "f4", chunks=(1 << 20,))
    elif kind == "text":
        file[place] = "hello"
    elif kind == "group":
        file.create_group(place)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("soft", "is a link"),
        ("external link", "is a link"),
        ("external data", "outside the file"),
        ("virtual", "outside the file"),
        ("huge", "are stored for it"),
        ("text", "not numbers"),
        ("group", "should be a dataset"),
    ],
)
def test_hostile_weights(tmp_path, kind, what):
    outside = str(tmp_path / "outside.h5")
    with h5py.File(outside, "w") as file:
        file["x"] = np.zeros((4, 3), "f4")
    model = small()
    before = model.get_weights()
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        _hostile(file, kind, outside)
    with pytest.raises(ValueError, match=what) as error:
        model.load_weights(path)
    assert str(path) in str(error.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_linked_groups_are_not_followed(tmp_path):
    model = small()
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        file.move("layers/dense", "elsewhere")
        file["layers/dense"] = h5py.SoftLink("/elsewhere")
    with pytest.raises(ValueError, match="'layers/dense' is a link"):
        model.load_weights(path)


def test_weights_in_pieces_are_read(tmp_path):
    model, other = small(), small()
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        value = file["layers/dense/vars/0"][()]
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", data=value, chunks=(3, 2))
    other.load_weights(path)
    assert weights_equal(model, other)


def test_a_config_that_asks_for_more_than_the_file_can_hold(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members["config.json"].replace(b'"units": 2', b'"units": 2000000000')
    assert config != members["config.json"]
    with zipfile.ZipFile(tmp_path / "big.keras", "w") as archive:
        for name, data in {**members, "config.json": config}.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match="32,000,000,000 bytes, far more than its file can hold"):
        keras.saving.load_model(tmp_path / "big.keras")
