"""Data sets: small files of the same form, read as Keras reads them."""

import gzip
import importlib
import io
import json
import pathlib
import pickle
import tarfile

import numpy as np
import pytest

from keraslike import config, datasets
from keraslike.datasets import files


def of_lists(rng, n):
    lists = np.empty(n, object)
    lists[:] = [rng.integers(1, 30, rng.integers(2, 9)).tolist() for _ in range(n)]
    return lists


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in place of the addresses, without hashes, for the test to fill."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files, "_HASHES", {})
    folder = tmp_path / "site"
    folder.mkdir()
    real = files.get_file
    monkeypatch.setattr(
        files,
        "get_file",
        lambda name, origin, **options: real(
            name, (folder / origin.rsplit("/", 1)[1]).as_uri(), **options
        ),
    )
    return folder


def keras_load(name, path, monkeypatch, **options):
    """Keras's reading of a file that is there."""
    module = importlib.import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(module, "get_file", lambda *_, **__: str(path))
    return module.load_data(**options)


def assert_same(ours, theirs):
    for a, b in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert a.tolist() == b.tolist()


def test_mnist(site, rng, monkeypatch):
    x, y = rng.integers(0, 256, (7, 28, 28), np.uint8), rng.integers(0, 10, 7, np.uint8)
    np.savez(site / "mnist.npz", x_train=x[:5], y_train=y[:5], x_test=x[5:], y_test=y[5:])
    assert_same(datasets.mnist.load_data(), keras_load("mnist", site / "mnist.npz", monkeypatch))


def test_fashion_mnist(site, rng):
    x, y = rng.integers(0, 256, (3, 28, 28), np.uint8), rng.integers(0, 10, 3, np.uint8)
    for part in ("train", "t10k"):
        (site / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"h" * 16 + x.tobytes()))
        (site / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"h" * 8 + y.tobytes()))
    assert_same(datasets.fashion_mnist.load_data(), ((x, y), (x, y)))


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
def test_housing(name, site, rng, monkeypatch):
    path = site / f"{name}.npz"
    np.savez(path, x=rng.normal(size=(650, 3)), y=rng.normal(size=650))
    load = getattr(datasets, name).load_data
    for options in ({}, {"test_split": 0.5, "seed": 7}, {"test_split": 0.0}):
        assert_same(load(**options), keras_load(name, path, monkeypatch, **options))
    if name == "california_housing":
        small = keras_load(name, path, monkeypatch, version="small")
        assert_same(load("small"), small)
        with pytest.raises(ValueError, match="version"):
            load("huge")
    with pytest.raises(ValueError, match="test_split"):
        load(test_split=1.0)


OF_TEXTS = [
    {},
    {"num_words": 20, "skip_top": 5},
    {"maxlen": 6, "num_words": 15, "oov_char": None},
    {"start_char": None, "index_from": 0, "seed": 1},
]


@pytest.mark.parametrize("options", OF_TEXTS, ids=str)
@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_texts(name, options, site, rng, monkeypatch):
    path = site / f"{name}.npz"
    if name == "imdb":
        y = rng.integers(0, 2, 20)
        parts = {"x_train": of_lists(rng, 20), "y_train": y}
        np.savez(path, **parts, x_test=of_lists(rng, 10), y_test=y[:10])
    else:
        np.savez(path, x=of_lists(rng, 30), y=rng.integers(0, 46, 30))
    theirs = keras_load(name, path, monkeypatch, **options)
    assert_same(getattr(datasets, name).load_data(**options), theirs)
    with pytest.raises(ValueError, match="All texts are longer than maxlen"):
        getattr(datasets, name).load_data(maxlen=1)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_words(name, site):
    (site / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "élan": 2}))
    assert getattr(datasets, name).get_word_index() == {"the": 1, "élan": 2}


def test_reuters_topics():
    import keras

    assert datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
@pytest.mark.parametrize("classes", [10, 100])
def test_cifar(classes, order, site, rng):
    inner = {10: "cifar-10-batches-py", 100: "cifar-100-python"}[classes]
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    x = rng.integers(0, 256, (len(names), 2, 3072), np.uint8)
    with tarfile.open(site / f"cifar-{classes}-python.tar.gz", "w:gz") as archive:
        for i, name in enumerate(names if classes == 10 else ["train", "test"]):
            labels = {b"labels": [i, 9]} if classes == 10 else {}
            labels |= {b"fine_labels": [i, 99], b"coarse_labels": [i, 19]} if classes == 100 else {}
            content = pickle.dumps({b"data": x[i], **labels}, protocol=3)
            info = tarfile.TarInfo(f"{inner}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    config.set_image_data_format(order)
    try:
        load = getattr(datasets, f"cifar{classes}").load_data
        (x_train, y_train), (x_test, y_test) = load() if classes == 10 else load("coarse")
    finally:
        config.set_image_data_format("channels_last")
    rows = {10: 5, 100: 1}[classes]
    images = x[: rows + 1].reshape(-1, 3, 32, 32)
    if order == "channels_last":
        images = images.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), images)
    last = {10: 9, 100: 19}[classes]
    assert y_train.tolist() == [[v] for i in range(rows) for v in (i, last)]
    assert y_test.tolist() == [[rows], [last]] and y_train.dtype == y_test.dtype == np.uint8
    if classes == 100:
        with pytest.raises(ValueError, match="label_mode"):
            load("medium")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_a_pickle_that_calls_something_is_refused(site, tmp_path):
    evil = np.array([Evil(tmp_path / "evil")], object)
    np.savez(site / "imdb.npz", x_train=evil, y_train=evil, x_test=evil, y_test=evil)
    with pytest.raises(pickle.UnpicklingError, match="Refusing to load"):
        datasets.imdb.load_data()
    assert not (tmp_path / "evil").exists()


def test_another_file_under_the_name_is_refused(site, monkeypatch):
    monkeypatch.setattr(files, "_HASHES", {"mnist.npz": "0" * 64})
    np.savez(site / "mnist.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="Incomplete or corrupted"):
        datasets.mnist.load_data()
