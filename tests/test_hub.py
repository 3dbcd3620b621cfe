"""Exported models as layers: from folders, archives and addresses; what trains, what does not."""

import functools
import http.server
import pathlib
import shutil
import tarfile
import threading

import numpy as np
import pytest

import keraslike as keras
from keraslike import hub, layers

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))


def _model():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.BatchNormalization()]
    )


def _exported(folder, model):
    model.export(folder / "m", format="stablehlo", verbose=False)
    return folder / "m"


def test_handles(tmp_path):
    model = _model()
    path, wanted = _exported(tmp_path, model), model.predict(X, verbose=0)
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        archive.add(path, arcname=".")
    with tarfile.open(tmp_path / "inner.tgz", "w:gz") as archive:
        archive.add(path, arcname="model")
    shutil.make_archive(str(tmp_path / "m"), "zip", path)
    for handle in (path, str(path), tmp_path / "m.tar.gz", tmp_path / "inner.tgz",
                   tmp_path / "m.zip", (tmp_path / "m.tar.gz").as_uri()):  # fmt: skip
        np.testing.assert_allclose(hub.KerasLayer(handle)(X), wanted, atol=1e-6)
    assert pathlib.Path(hub.resolve(tmp_path / "m.zip")).is_relative_to(tmp_path / "cache")


def test_a_handle_is_downloaded_once(tmp_path):
    model = _model()
    path, wanted = _exported(tmp_path, model), model.predict(X, verbose=0)
    shutil.make_archive(str(tmp_path / "served" / "m"), "gztar", path)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for _ in range(2):
            layer = hub.KerasLayer(f"{address}/m.tar.gz")
            np.testing.assert_allclose(layer(X), wanted, atol=1e-6)
        assert asked == ["/m.tar.gz"]
        with pytest.raises(OSError, match="URL fetch failure on"):
            hub.resolve(f"{address}/other.tar.gz")
        server.shutdown()


@pytest.mark.parametrize("trainable", [True, False])
def test_it_trains_as_the_model_does(tmp_path, trainable):
    model = _model()
    layer = hub.KerasLayer(_exported(tmp_path, model), trainable=trainable)
    assert len(layer.weights) == 6 and len(layer.trainable_weights) == 4 * trainable

    def loss(m):
        return (m(X, training=False) ** 2).sum()

    if trainable:
        (value, grads), (again, found) = map(keras.value_and_grad(loss), (model, layer))
        np.testing.assert_allclose(again, value, rtol=1e-5)
        paths = [v.name for v in layer.trainable_weights]
        by_path = {v.path.replace("/", "_"): g for v, g in zip(model.trainable_weights, grads)}
        for path, g in zip(paths, found, strict=True):
            np.testing.assert_allclose(g, by_path[path], rtol=1e-4, atol=1e-5)
    whole = keras.Sequential([keras.Input((3,)), layer, layers.Dense(1)])
    before = [np.array(v) for v in layer.trainable_weights or layer.weights]
    whole.compile("adam", "mse")
    whole.fit(X, X[:, :1], epochs=2, verbose=0)
    after = layer.trainable_weights or layer.weights
    moved = [(a != np.array(b)).any() for a, b in zip(before, after, strict=True)]
    assert all(moved) if trainable else not any(moved)


def test_a_file_with_the_layer(tmp_path):
    path = _exported(tmp_path, _model())
    whole = keras.Sequential([keras.Input((3,)), hub.KerasLayer(str(path), trainable=True)])
    for v in whole.trainable_weights:
        v.assign(v + 1)
    whole.save(tmp_path / "whole.keras")
    objects = {"KerasLayer": hub.KerasLayer}
    with pytest.raises(ValueError, match="safe_mode"):
        keras.saving.load_model(tmp_path / "whole.keras", custom_objects=objects)
    again = keras.saving.load_model(
        tmp_path / "whole.keras", custom_objects=objects, safe_mode=False
    )
    np.testing.assert_allclose(again.predict(X, verbose=0), whole.predict(X, verbose=0), atol=1e-6)


def test_inputs_and_endpoints(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], {"p": layers.Dense(1)(a), "q": layers.Dense(2)(b)})
    layer = hub.KerasLayer(_exported(tmp_path, model))
    x = [X, X[:, :2]]
    for given in (x, tuple(x)):
        assert {k: v.shape for k, v in layer(given).items()} == {"p": (5, 1), "q": (5, 2)}
    path = tmp_path / "m"
    assert hub.KerasLayer(path, output_key="q")(x).shape == (5, 2)
    with pytest.raises(ValueError, match="output_key='r'"):
        hub.KerasLayer(path, output_key="r")(x)
    with pytest.raises(ValueError, match=r"no endpoint 'other', but \['serve'\]"):
        hub.KerasLayer(path, signature="other")
    with pytest.raises(ValueError, match="for SavedModels"):
        hub.KerasLayer(path, arguments={"n": 1})


def test_what_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing at"):
        hub.KerasLayer(tmp_path / "missing")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="A handle is a folder"):
        hub.KerasLayer(tmp_path / "a.txt")
    shutil.make_archive(str(tmp_path / "none"), "zip", tmp_path, "a.txt")
    with pytest.raises(ValueError, match="neither a SavedModel nor"):
        hub.load(tmp_path / "none.zip")
    with pytest.raises(ConnectionError, match="URL fetch failure"):
        hub.load((tmp_path / "gone.tar.gz").as_uri())
    with tarfile.open(tmp_path / "out.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.txt", arcname="../a.txt")
    with pytest.raises(ValueError, match="leave the folder"):
        hub.load(tmp_path / "out.tar.gz")


def test_damaged_archives_are_errors(tmp_path):
    path = _exported(tmp_path, _model())
    with tarfile.open(tmp_path / "m.tar", "w") as archive:
        archive.add(path, arcname=".")
    data, numbers = (tmp_path / "m.tar").read_bytes(), np.random.default_rng(0)
    for number in range(30):
        damaged = bytearray(data)
        at = int(numbers.integers(len(data)))
        if number % 3 == 0:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << int(numbers.integers(8))
        handle = tmp_path / f"{number}.tar"
        handle.write_bytes(damaged)
        try:
            found = hub.load(handle).serve(X)
        except (ValueError, OSError):
            continue
        np.testing.assert_allclose(found, _wanted(path), atol=1e-6)  # a byte of a header


def _wanted(path):
    return hub.load(path).serve(X)
