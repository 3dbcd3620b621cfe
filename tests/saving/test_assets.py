"""What objects of the user's own save for themselves: files, and arrays by names of their own."""

import pathlib
import zipfile
from contextlib import nullcontext as nothing

import keras as oracle
import numpy as np
import pytest

import keraslike
from keraslike import saving

LIBRARIES = {"ours": keraslike, "theirs": oracle}


class Kept:
    """A mixin: what an object knows goes into a file, and an array of its own into the weights."""

    known = ""
    note = 0.0

    def save_assets(self, dir_path):
        inner = pathlib.Path(dir_path, "inner")
        inner.mkdir()
        (inner / "words.txt").write_text(self.known)
        (inner / "empty").write_bytes(b"")

    def load_assets(self, dir_path):
        self.known = (pathlib.Path(dir_path) / "inner" / "words.txt").read_text()
        assert (pathlib.Path(dir_path) / "inner" / "empty").stat().st_size == 0

    def save_own_variables(self, store):
        if hasattr(super(), "save_own_variables"):
            super().save_own_variables(store)
        store["note"] = np.float32(self.note)

    def load_own_variables(self, store):
        self.note = float(np.asarray(store["note"]))
        if hasattr(super(), "load_own_variables"):
            super().load_own_variables({k: store[k] for k in list(store.keys()) if k != "note"})


def classes(k):
    """Layers, metrics, losses, optimizers and models that keep something, of one library."""

    class Inner(Kept, k.layers.Dense):
        pass

    class Outer(Kept, k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.blocks = [Inner(2), {"deep": (Inner(2),)}]
            self.branches = {"a": Inner(2)}

        def call(self, x):
            x = self.blocks[1]["deep"][0](self.blocks[0](x))
            return self.branches["a"](x)

        def build(self, shape):
            for layer in self.layers_inside():
                layer.build((None, shape[-1]) if layer is self.blocks[0] else (None, 2))

        def layers_inside(self):
            return [self.blocks[0], self.blocks[1]["deep"][0], self.branches["a"]]

    class Root(Kept, k.Sequential):
        pass

    class Counts(Kept, k.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            return super().update_state(y_pred)

    class Error(Kept, k.losses.MeanSquaredError):
        pass

    class Rule(Kept, k.optimizers.Adam):
        pass

    found = {c.__name__: c for c in (Inner, Outer, Root, Counts, Error, Rule)}
    model = Root([k.layers.Input((3,)), Outer(name="outer")], name="root")
    model.compile(Rule(0.1), Error(), metrics=[Counts(name="counts")])
    model.train_on_batch(np.ones((2, 3), "float32"), np.ones((2, 2), "float32"))
    for i, part in enumerate(parts(model)):
        part.known, part.note = f"word {i}", float(i)
    return found, model


def parts(model):
    outer = model.layers[0]
    return [model, outer, *outer.layers_inside(), model.optimizer, model.loss]


def check(model):
    for i, part in enumerate(parts(model)):
        assert part.known == f"word {i}"
        assert part.note == i


@pytest.mark.slow
@pytest.mark.parametrize("reader", LIBRARIES)
@pytest.mark.parametrize("writer", LIBRARIES)
def test_keras_archives(tmp_path, writer, reader):
    _, model = classes(LIBRARIES[writer])
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {n for n in archive.namelist() if n.startswith("assets/")}
    wanted = tmp_path / "wanted.keras"
    classes(oracle)[1].save(wanted)
    with zipfile.ZipFile(wanted) as archive:
        assert members == {n for n in archive.namelist() if n.startswith("assets/")}
    found, _ = classes(LIBRARIES[reader])
    again = LIBRARIES[reader].saving.load_model(path, custom_objects=found)
    check(again)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_checkpoints(tmp_path):
    found, model = classes(keraslike)
    keep = keraslike.callbacks.OrbaxCheckpoint(str(tmp_path / "all"))
    weights = keraslike.callbacks.OrbaxCheckpoint(str(tmp_path / "w"), save_weights_only=True)
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0, callbacks=[keep, weights])
    check(saving.load_model(tmp_path / "all", custom_objects=found))
    _, other = classes(keraslike)
    for part in parts(other):
        part.known, part.note = "", -1.0
    other.load_weights(tmp_path / "w")
    assert {part.known for part in parts(other)} == {""}
    assert [part.note for part in parts(other)[:-2]] == [
        0,
        1,
        2,
        3,
        4,
    ]  # the optimizer's is not there


@pytest.mark.parametrize("ending", ["weights.h5", "h5"])
def test_h5_has_no_place_for_assets(tmp_path, ending, recwarn):
    found, model = classes(keraslike)
    path = tmp_path / f"m.{ending}"
    if ending == "h5":
        with pytest.warns(UserWarning, match="without what save_assets"):
            model.save(path)
        again = saving.load_model(path, custom_objects=found)
    else:
        model.save_weights(path)
        again = classes(keraslike)[1]
        again.load_weights(path)
    assert [part.note for part in parts(again)[:5]] == [0, 1, 2, 3, 4]
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Simple(keraslike.Layer):
    def save_assets(self, dir_path):
        pathlib.Path(dir_path, "x").write_text("x")

    def load_assets(self, dir_path):
        self.found = sorted(p.name for p in pathlib.Path(dir_path).rglob("*"))


def with_member(path, name, data=b"", **kwargs):
    with zipfile.ZipFile(path, "a", **kwargs) as archive:
        archive.writestr(name, data)
    return path


@pytest.fixture
def simple(tmp_path):
    path = tmp_path / "folder" / "m.keras"
    path.parent.mkdir()
    keraslike.Sequential([keraslike.Input((2,)), Simple()]).save(path)
    return path


def load(path):
    return saving.load_model(path, custom_objects={"Simple": Simple}).layers[0].found


def test_folders_without_files(simple):
    assert load(simple) == ["x"]
    assert load(with_member(simple, "assets/layers/simple/empty/")) == ["empty", "x"]


@pytest.mark.parametrize(
    "name",
    ["../x", "layers/simple/../../../../x", "//x", "layers/simple/x", "layers/simple/x/y"]
    + ["layers/simple/a\\b", "C:/x", "layers//simple/y", "layers/simple/" + "n" * 5000],
)
def test_members_that_are_no_assets(simple, tmp_path, name):
    """They lead elsewhere, or are there twice: refused, and nothing is written."""
    before = set(tmp_path.rglob("*"))
    with pytest.warns(UserWarning, match="Duplicate") if name.endswith("le/x") else nothing():
        with_member(simple, f"assets/{name}")
    with pytest.raises(ValueError, match="m.keras"):
        load(simple)
    assert set(tmp_path.rglob("*")) == before


def test_assets_that_unpack_to_more_than_there_is(simple):
    for i in range(3):
        packed = {"compression": zipfile.ZIP_DEFLATED}
        with_member(simple, f"assets/layers/simple/{i}", bytes(60 << 20), **packed)
    with pytest.raises(ValueError, match="not safe to load.*assets"):
        load(simple)


def test_assets_that_fail(simple, monkeypatch):
    monkeypatch.setattr(Simple, "load_assets", lambda self, dir_path: 1 / 0)
    with pytest.raises(ValueError, match="assets/layers/simple: ZeroDivisionError"):
        load(simple)
    data = simple.read_bytes()
    monkeypatch.setattr(Simple, "save_assets", lambda self, dir_path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keraslike.Sequential([keraslike.Input((2,)), Simple()]).save(simple)
    assert simple.read_bytes() == data and len(list(simple.parent.iterdir())) == 1
