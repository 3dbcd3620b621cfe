"""A save that fails anywhere leaves the old file; a file with any byte lost or changed gives an
error that names it, or does no harm, and changes nothing in the model that it is loaded into."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keraslike.saving import keras_archive, load_model, seal

from .small_models import small, weights_equal

pytestmark = pytest.mark.slow

# -- faults at every write ---------------------------------------------------------------------

FILES = ("m.keras", "m.h5", "m.weights.h5")


def save(model, path):
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)


class Failing(io.FileIO):
    """Writes half of what the call numbered `at` is given, and fails."""

    def write(self, data):
        type(self).check()
        type(self).calls += 1
        if self.calls - 1 == self.at:
            super().write(memoryview(data).cast("B")[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("name", FILES)
def test_a_fault_at_every_write_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    save(small(), path)
    old = path.read_bytes()
    other = small(8)

    def untouched():
        assert path.read_bytes() == old  # which is what a crash at this byte leaves

    def opened(path, mode):
        return Failing(path, mode.replace("b", ""))

    monkeypatch.setattr(Failing, "check", untouched, raising=False)
    monkeypatch.setattr(keras_archive, "open", opened, raising=False)
    at, failed = 0, True
    while failed:
        monkeypatch.setattr(Failing, "at", at, raising=False)
        monkeypatch.setattr(Failing, "calls", 0, raising=False)
        try:
            save(other, path)
            failed = False
        except OSError as e:
            assert "No space" in str(e) or name == "m.keras"
            untouched()
            assert os.listdir(tmp_path) == [name]
        at += 1
    assert Failing.calls == at - 1 >= (10 if name == "m.keras" else 2)
    monkeypatch.undo()
    assert path.read_bytes() != old and weights_equal(reloaded(small(8), path), other)


def reloaded(model, path):
    model.load_weights(path)
    return model


_CHECKPOINTS = """
import json, os, resource, shutil, sys
import numpy as np
import keraslike
from keraslike.callbacks import OrbaxCheckpoint
folder, x, y = sys.argv[1], np.ones((8, 4), "float32"), np.ones((8, 2), "float32")
Dense = keraslike.layers.Dense
model = keraslike.Sequential([keraslike.Input((4,)), Dense(40), Dense(2)])
model.compile("adam", "mse")
def save(to, background=False):
    model.fit(x, y, verbose=0, callbacks=[OrbaxCheckpoint(to, save_on_background=background)])
save(f"{folder}/first")
old = model.get_weights()
at, calls, watching = None, 0, None
def watch(event, args):
    global calls
    if watching is None or event not in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
        return
    if not str(args[0]).startswith(watching) or event == "open" and not args[2] & 3:
        return
    calls += 1
    if calls - 1 == at:
        raise OSError(28, "No space left on device")
sys.addaudithook(watch)
def attempt(name, background, most=resource.RLIM_INFINITY):
    global watching
    to = f"{folder}/{name}"
    shutil.copytree(f"{folder}/first", to)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        watching = to
        save(to, background)
        return False
    except Exception as e:
        return True
    finally:
        watching = None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        new, found = model.get_weights(), keraslike.saving.load_model(to).get_weights()
        whole = [all(map(np.array_equal, found, one)) for one in (old, new)]
        assert any(whole), (name, at, os.listdir(to))
sys.excepthook = lambda *e: (sys.__excepthook__(*e), sys.stderr.flush(), os._exit(1))
seen = []  # orbax's threads wait for minutes for what has failed: the process does not for them
for background in (False, True):
    at, failed = 0, 0
    while True:
        calls = 0
        failed += attempt(f"{background}{at}", background)
        if at >= calls:
            break
        at += 1
    seen.append([at, failed])
at, failed = None, 0
for most in (0, 1, 60, 150, 300, 450, 600, 900, 2000, 4000, 8000):
    failed += attempt(f"limit{most}", False, most)
print(json.dumps([*seen, failed]), flush=True)
os._exit(0)
"""


def test_a_fault_at_every_call_leaves_the_old_checkpoint(tmp_path):
    """At every file that Python makes, moves or removes, and, for those that tensorstore writes, at
    the byte where a file gets too large."""
    done = subprocess.run(
        [sys.executable, "-c", _CHECKPOINTS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (calls, failed), (_, in_background), limits = json.loads(done.stdout.splitlines()[-1])
    assert calls > 10 and failed > 5 and in_background > 5 and limits > 3


# -- bytes lost and bits changed ---------------------------------------------------------------


@pytest.fixture(scope="module")
def good(template):
    model = load_model(template / "m.keras")
    return model, {name: (template / name).read_bytes() for name in FILES}


def load_changed(path, data, good, sealed=True):
    """Loads a file of these bytes in both ways; says whether an error was seen. What is loaded
    without one is what was saved."""
    path.write_bytes(data)
    seen = False
    target = small()
    before = target.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target.load_weights(path)
        except ValueError as e:
            seen = True
            assert str(path) in str(e)
            assert all(map(np.array_equal, before, target.get_weights()))
        else:
            assert not sealed or weights_equal(target, good)
        if not path.name.endswith(".weights.h5"):
            try:
                again = load_model(path)
            except (ValueError, TypeError) as e:
                seen = True
                assert str(path) in str(e)
            else:
                assert not sealed or weights_equal(again, good)
                assert not sealed or np.array_equal(
                    *(m.optimizer.variables[-1].numpy() for m in (again, good))
                )
    return seen


hypothetical = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@pytest.mark.parametrize("name", FILES)
@hypothetical
@given(st.data())
def test_truncated_files(tmp_path, good, name, data):
    model, files = good
    whole = files[name]
    end = data.draw(st.integers(0, len(whole) - 1))
    seen = load_changed(tmp_path / name, whole[:end], model)
    assert seen or end >= len(whole) - 12  # where only the checksum is missing


@pytest.mark.parametrize("name", FILES)
@hypothetical
@given(st.data())
def test_changed_bits(tmp_path, good, name, data):
    model, files = good
    changed = bytearray(files[name])
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    seen = load_changed(tmp_path / name, bytes(changed), model)
    # Zip archives have bytes that mean nothing; of HDF5 files all are counted.
    assert seen or name == "m.keras" or place >= len(changed) - 12


@pytest.mark.parametrize("name", FILES)
@hypothetical
@given(st.data())
def test_bytes_put_in_taken_out_and_moved(tmp_path, good, name, data):
    model, files = good
    whole = files[name]
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    piece = data.draw(st.binary(max_size=40))
    for changed in (whole[:a] + piece + whole[b:], whole[:a] + whole[b:] + whole[a:b]):
        if changed != whole:
            load_changed(tmp_path / name, changed, model, sealed=changed.endswith(whole[-12:]))


@pytest.mark.parametrize("name", ["m.h5", "m.weights.h5"])
@hypothetical
@given(st.data())
def test_changed_files_of_other_programs(tmp_path, good, name, data):
    """They have no checksum: an error, or a number that is another, and nothing worse."""
    model, files = good
    changed = bytearray(files[name][:-12])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.sampled_from([0, 1, 127, 128, 254, 255]))
    load_changed(tmp_path / name, bytes(changed), model, sealed=False)


@settings(hypothetical, max_examples=25)
@given(st.data())
def test_changed_checkpoints(tmp_path, template, good, data):
    model, _ = good
    path = tmp_path / "orbax"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(template / "orbax", path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    file = data.draw(st.sampled_from(files))
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        file.write_bytes(whole[:place])
    else:
        bit = whole[place] ^ 1 << data.draw(st.integers(0, 7))
        file.write_bytes(whole[:place] + bytes([bit]) + whole[place + 1 :])
    target = small(optimizer="adam", loss="mse")
    before = target.get_weights()
    try:
        target.load_weights(path)
    except ValueError as e:
        assert str(path) in str(e)
        assert all(map(np.array_equal, before, target.get_weights()))
    else:
        assert weights_equal(target, model)
    with contextlib.suppress(ValueError):
        assert weights_equal(load_model(path), model)


# -- the checksum ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.h5", "m.weights.h5"])
def test_the_checksum_is_outside_of_what_hdf5_reads(tmp_path, good, name):
    model, files = good
    path = tmp_path / name
    path.write_bytes(files[name])
    seal.check_seal(str(path))
    theirs = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)]
    )
    theirs.load_weights(path)
    assert all(map(np.array_equal, theirs.get_weights(), model.get_weights()))
    with h5py.File(path, "a") as file:  # a change by hand is none by accident
        file.attrs["note"] = "mine"
    small().load_weights(path)
    assert seal._SEAL not in path.read_bytes()
    path.write_bytes(files[name][:-12])
    small().load_weights(path)
