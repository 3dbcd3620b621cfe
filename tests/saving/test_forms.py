"""The other forms of a saved model: a folder, weights in several files, and files edited."""

import json
import os

import h5py
import keras
import numpy as np
import pytest

import keraslike

BOTH = pytest.mark.parametrize("K", [keras, keraslike], ids=["keras", "keraslike"])


@keraslike.saving.register_keras_serializable("test_forms")
class Words(keraslike.layers.Layer):
    def call(self, x):
        return x

    def save_assets(self, directory):
        with open(os.path.join(directory, "words.txt"), "w") as file:
            file.write(self.words)

    def load_assets(self, directory):
        with open(os.path.join(directory, "words.txt")) as file:
            self.words = file.read()


def make(K, hidden=4, seed=0):
    K.utils.set_random_seed(seed)
    layers = [K.Input((3,)), K.layers.Dense(hidden), K.layers.BatchNormalization()]
    model = K.Sequential([*layers, K.layers.Dense(2, name="last")])
    model.compile("adam", "mse")
    return model


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def other(K):
    return keraslike if K is keras else keras


# -- folders --------------------------------------------------------------------------------------


@BOTH
def test_a_folder_goes_from_keras_to_keraslike_and_back(K, tmp_path):
    model = make(K)
    model.save(tmp_path / "m", zipped=False)
    assert {"config.json", "metadata.json", "model.weights.h5"} <= set(os.listdir(tmp_path / "m"))
    loaded = other(K).saving.load_model(tmp_path / "m")
    same(model, loaded)
    assert loaded.compiled
    again = make(keraslike, seed=1)
    again.load_weights(tmp_path / "m")
    same(model, again)


def test_a_folder_is_replaced_whole_and_what_else_is_in_it_stays(tmp_path):
    layer = Words()
    layer.words = "to be"
    model = keraslike.Sequential([keraslike.Input((3,)), layer, keraslike.layers.Dense(1)])
    path = tmp_path / "m"
    model.save(path, zipped=False)
    (path / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    layer.words = 3  # which save_assets cannot write
    with pytest.raises(TypeError):
        model.save(path, zipped=False)
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    with pytest.raises(FileExistsError, match="overwrite=False"):
        model.save(path, overwrite=False, zipped=False)
    layer.words = "or not"
    model.layers[-1].set_weights([np.ones((3, 1)), np.ones(1)])
    model.save(path, zipped=False)
    loaded = keraslike.saving.load_model(path)
    same(model, loaded)
    assert loaded.layers[0].words == "or not" and (path / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["m"]
    data = bytearray((path / "model.weights.h5").read_bytes())
    data[-100] ^= 1
    (path / "model.weights.h5").write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        keraslike.saving.load_model(path)
    (path / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match="has no 'model.weights.h5'"):
        keraslike.saving.load_model(path)


def test_names_that_do_not_go_with_a_folder(tmp_path):
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ValueError, match="should not end in"):
            make(keraslike).save(tmp_path / name, zipped=False)
    with pytest.raises(ValueError, match="ends in `.keras`"):
        make(keraslike).save(tmp_path / "m", zipped=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file, and no folder"):
        make(keraslike).save(tmp_path / "file", zipped=False)
    assert os.listdir(tmp_path) == ["file"]


# -- shards ---------------------------------------------------------------------------------------

KB = 2**-20  # in GB


@pytest.mark.slow
@BOTH
def test_shards_go_from_keras_to_keraslike_and_back(K, tmp_path):
    model = make(K, hidden=20)
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    path = tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=0.3 * KB)
    shards = sorted(p.name for p in tmp_path.glob("*.h5"))
    assert shards[0] == "m_00000.weights.h5" and len(shards) > 4
    index = json.loads(path.read_text())
    assert any(isinstance(found, list) for found in index["weight_map"].values())
    new = make(other(K), hidden=20, seed=1)
    new.optimizer.build(new.trainable_variables)
    new.load_weights(path)
    same(model, new)
    for a, b in zip(model.optimizer.variables, new.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_the_index_is_keras_and_what_does_not_fit_changes_nothing(tmp_path):
    models = {K: make(K) for K in (keras, keraslike)}
    for K, model in models.items():
        (tmp_path / K.__name__).mkdir()
        model.save_weights(tmp_path / K.__name__ / "m.weights.json", max_shard_size=1)
    found = [json.loads((tmp_path / K.__name__ / "m.weights.json").read_text()) for K in models]
    flat = [{k: np.ravel(v).tolist() for k, v in index["weight_map"].items()} for index in found]
    assert flat[0] == flat[1]
    assert found[0]["metadata"]["total_size"] == found[1]["metadata"]["total_size"]
    path = tmp_path / "keraslike" / "m.weights.json"
    before = {p: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(ValueError, match="exceeds the maximum shard size"):
        make(keraslike, hidden=100).save_weights(path, max_shard_size=0.3 * KB)
    assert {p: p.read_bytes() for p in path.parent.iterdir()} == before
    wrong = make(keraslike, hidden=5)
    weights = wrong.get_weights()
    with pytest.raises(ValueError, match="do not fit"):
        wrong.load_weights(path)
    for a, b in zip(wrong.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="rather than to"):
        make(keraslike).save_weights(tmp_path / "n.weights.h5", max_shard_size=1)
    assert (tmp_path / "n.weights.json").exists() and not (tmp_path / "n.weights.h5").exists()
    for size in (0, True, "1"):
        with pytest.raises(ValueError, match="max_shard_size must be a"):
            make(keraslike).save_weights(path, max_shard_size=size)


def test_damaged_shards_are_refused(tmp_path):
    path = tmp_path / "m.weights.json"
    make(keraslike).save_weights(path, max_shard_size=0.1 * KB)
    model, index = make(keraslike, seed=1), json.loads(path.read_text())
    before = model.get_weights()
    make(keraslike, seed=2).save_weights(tmp_path / "o.weights.json", max_shard_size=0.1 * KB)
    first = tmp_path / "m_00000.weights.h5"
    whole = first.read_bytes()

    def refused(match, error=ValueError):
        with pytest.raises(error, match=match):
            model.load_weights(path)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)

    first.write_bytes((tmp_path / "o_00000.weights.h5").read_bytes())
    refused("was not written together with")
    first.unlink()
    refused("not beside it", FileNotFoundError)
    first.write_bytes(whole)
    for name in ("../x.h5", "/etc/passwd", "..", 3):
        path.write_text(json.dumps({"weight_map": {"/layers/dense/vars": name}}))
        refused("is not safe to load")
    path.write_text(json.dumps([index]))
    refused("no 'weight_map'")
    path.write_text("{")
    refused("no JSON")


# -- the editor -----------------------------------------------------------------------------------


@BOTH
def test_files_are_edited_and_fit_another_model(K, tmp_path, capsys):
    make(K).save(tmp_path / "m.keras")
    editor = keraslike.saving.KerasFileEditor(tmp_path / "m.keras")
    assert editor.config["class_name"] == "Sequential" and "keras_version" in editor.metadata
    editor.delete_object("optimizer")
    wide = make(keraslike, hidden=6)
    wide.optimizer = None
    report = editor.compare(wide)
    assert report["status"] == "error" and report["error_count"] == 7
    assert (
        "Weight shape mismatch for layers/dense/0: (3, 6) in reference" in capsys.readouterr().out
    )
    editor.rename_object("dense", "old")
    editor.add_object("layers/dense", {"0": np.ones((3, 6)), "1": np.ones(6)})
    editor.delete_object("layers/old")
    editor.delete_object("batch_normalization")
    with pytest.raises(ValueError, match="does not appear in the model"):
        editor.delete_object("batch_normalization")
    editor.add_object("layers/batch_normalization", {str(i): np.full(6, i) for i in range(4)})
    editor.delete_weight("dense_1", "0")
    with pytest.raises(ValueError, match="Weight 0 not found in object dense_1"):
        editor.delete_weight("dense_1", "0")
    editor.add_weights("layers/dense_1", {"0": np.zeros((6, 2))})
    assert editor.compare(wide) == {"status": "success", "error_count": 0, "match_count": 8}
    editor.save(tmp_path / "n.weights.h5")
    for library in (keras, keraslike):
        model = make(library, hidden=6)
        model.load_weights(tmp_path / "n.weights.h5")
        np.testing.assert_array_equal(model.layers[1].get_weights()[3], np.full(6, 3))
    capsys.readouterr()
    keraslike.saving.KerasFileEditor(tmp_path / "n.weights.h5").summary()
    assert "    dense\n      0: shape=(3, 6), dtype=float64" in capsys.readouterr().out
    for call, match in [
        (lambda: editor.rename_object("dense", "a/b"), "no path"),
        (lambda: editor.rename_object("dense", "dense_1"), "already"),
        (lambda: editor.add_object("none/dense", {}), "Path 'none' not found"),
        (lambda: editor.add_weights("dense", [1]), "must be a dict"),
        (lambda: editor.save(tmp_path / "n.keras"), "expected a `.weights.h5` extension"),
        (lambda: keraslike.saving.KerasFileEditor(__file__), "ends in `.keras`"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()


def test_an_object_with_weights_of_its_own_and_layers_keeps_both(tmp_path):
    class Block(keraslike.Model):
        def __init__(self):
            super().__init__()
            self.inner = keraslike.layers.Dense(1)
            self.scale = self.add_weight(shape=(2,))

        def call(self, x):
            return self.inner(x) * self.scale[0]

    model = Block()
    model(np.ones((1, 2)))
    model.save_weights(tmp_path / "m.weights.h5")
    editor = keraslike.saving.KerasFileEditor(tmp_path / "m.weights.h5")
    assert editor.compare(model)["match_count"] == 3
    editor.save(tmp_path / "n.weights.h5")
    new = Block()
    new(np.ones((1, 2)))
    new.load_weights(tmp_path / "n.weights.h5")
    same(model, new)


def test_links_in_an_edited_file_are_refused(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink("other.h5", "/layers")
    with pytest.raises(ValueError, match="is a link .ExternalLink."):
        keraslike.saving.KerasFileEditor(path)


# -- safe_mode ------------------------------------------------------------------------------------


def test_the_outermost_call_says_whether_bytecode_is_read():
    read = keraslike.saving.deserialize_keras_object
    inner = keraslike.saving.serialize_keras_object(lambda x: x + 1)

    class Outer:
        @classmethod
        def from_config(cls, config):
            cls.found = read(inner, **config)
            return cls()

    for safe_mode in ({}, {"safe_mode": True}, {"safe_mode": False}):
        config = {"class_name": "Outer", "config": safe_mode, "registered_name": "Outer"}
        read(config, {"Outer": Outer}, safe_mode=False)
        assert Outer.found(1) == 2
        with pytest.raises(ValueError, match="bytecode"):
            read(config, {"Outer": Outer})
    with pytest.raises(ValueError, match="bytecode"):
        read(inner)
    assert read("twice", module_objects={"twice": max}, printable_module_name="function") is max


# -- some objects only ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".weights.h5", ".weights.json"])
def test_objects_are_skipped_when_saving_and_loading(ending, tmp_path):
    model, path = make(keraslike), tmp_path / f"m{ending}"
    size = {"max_shard_size": 1} if ending.endswith("json") else {}
    save, load = keraslike.saving.save_weights, keraslike.saving.load_weights
    save(model, path, objects_to_skip=[model.layers[0]], **size)
    with pytest.raises(ValueError, match="layers/dense/vars/0"):
        make(keraslike).load_weights(path)
    for skipped in ([], [model.layers[0]]):
        save(model, path, objects_to_skip=skipped, **size)
        new = make(keraslike, seed=1)
        before = new.layers[0].get_weights()
        load(new, path, objects_to_skip=[new.layers[0]])
        np.testing.assert_array_equal(new.layers[0].get_weights()[0], before[0])
        same(new.layers[2], model.layers[2])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="only supports loading '.weights.h5' files"):
        model.load_weights(tmp_path / "m.keras", objects_to_skip=[])


def test_arguments_that_save_model_does_not_have(tmp_path):
    model = make(keraslike)
    with pytest.raises(ValueError, match=r"argument\(s\) are not supported: \['other'\]"):
        model.save(tmp_path / "m.keras", other=1)
    with pytest.raises(ValueError, match="The `save_format` argument is deprecated"):
        model.save(tmp_path / "m.tf", save_format="tf")
    with pytest.warns(UserWarning, match="The `save_format` argument is deprecated"):
        model.save(tmp_path / "m.keras", save_format="keras")
    for load in (keraslike.saving.load_model, model.load_weights):
        with pytest.raises(ValueError, match="File format not supported"):
            load(tmp_path / "m.pkl")


def test_a_class_of_ones_own_that_is_not_known_is_not_taken_for_a_built_in():
    read = keraslike.saving.deserialize_keras_object
    for entry in (
        {"class_name": "Dense", "config": {"units": 1}, "module": "keras.layers"},
        {"class_name": "function", "config": "relu", "module": "builtins"},
    ):
        read({**entry, "registered_name": None})
        read({**entry, "registered_name": entry["class_name"]})
        with pytest.raises(ValueError, match="resolved to a Keras built-in"):
            read({**entry, "registered_name": "mine>Other"})


# -- names that have changed ----------------------------------------------------------------------


@BOTH
def test_a_property_gives_a_layer_the_name_that_a_file_has_for_it(K, tmp_path):
    def model_of(K, name):
        class Model(K.Model):
            def __init__(self):
                super().__init__()
                stack = [K.layers.Dense(2), K.layers.Dense(3)]
                setattr(self, name, K.Sequential(stack))

            def call(self, x):
                return getattr(self, name)(x)

        if name == "a_new":
            Model.tower = property(lambda self: self.a_new)
        model = Model()
        model(np.ones((1, 2), "float32"))
        return model

    old, new = model_of(K, "tower"), model_of(keraslike, "a_new")
    old.save_weights(tmp_path / "m.weights.h5")
    new.load_weights(tmp_path / "m.weights.h5")
    same(old, new)
