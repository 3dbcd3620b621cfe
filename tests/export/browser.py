"""TensorFlow.js in headless Chromium, for `make test-browser`: what the page of `examples/browser`
shows of a picture, and what the twelve models give, is what `predict` says.
`KERASLIKE_SCREENSHOTS` names a folder for pictures of the page."""

import contextlib
import functools
import html
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "examples" / "browser"
SCRIPT = pathlib.Path(sys.prefix, "node_modules", "@tensorflow", "tfjs", "dist", "tf.min.js")
sys.path.insert(0, str(PAGE))

sys.path.insert(0, str(ROOT))

import digits  # noqa: E402  # pyright: ignore[reportMissingImports]

import keraslike as keras  # noqa: E402
from tests.export import zoo  # noqa: E402
from tests.export.runtimes import operations, programs  # noqa: E402


@contextlib.contextmanager
def served(folder):
    """A folder, which TensorFlow.js is put into, at an address."""
    shutil.copy(SCRIPT, folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page with a model and TensorFlow.js in a folder that is served, and the model."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("index.html", "page.js"):
        shutil.copy(PAGE / name, folder)
    model = digits.trained(epochs=2)
    model.export(folder / "model", format="tfjs", verbose=False)
    with served(folder) as address:
        yield address, model


def chromium(folder, *options):
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    done = subprocess.run(
        [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={folder}", "--virtual-time-budget=2000000", *options],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_page_shows_what_predict_says(site, tmp_path):
    address, model = site
    x, y = digits.digits()
    for number in (3, 1000):
        picture = x[4 * 1797 + number]
        pixels = ",".join(f"{n:.6g}" for n in picture.ravel())
        url = f"{address}?{urllib.parse.urlencode({'pixels': pixels})}"
        shown = chromium(tmp_path / f"profile{number}", "--dump-dom", url)
        assert 'data-ready="yes"' in shown, shown[-2000:]
        shares = [float(n) for n in re.findall(r'data-share="([^"]+)"', shown)]
        (wanted,) = model.predict(picture[None], verbose=0)
        np.testing.assert_allclose(shares, wanted, atol=1e-5)
        assert f"This looks like a {wanted.argmax()}." in shown
        percents = [float(n) for n in re.findall(r'class="number">([\d.]+) %', shown)]
        np.testing.assert_allclose(percents, 100 * wanted, atol=0.051)
    pictures = os.environ.get("KERASLIKE_SCREENSHOTS")
    for width, height in ((1100, 760), (390, 1000)) if pictures else ():
        file = pathlib.Path(pictures, f"page-{width}.png")
        size = f"--window-size={width},{height}"
        chromium(tmp_path / f"profile{width}", size, f"--screenshot={file}", url)
        assert file.stat().st_size > 1000


# Functions whose graphs have more axes on the way than TensorFlow.js has for each operation.
MANY_AXES = ("transposed", "scanned", "taken")


def test_the_models_give_what_predict_gives(tmp_path):
    models = {name: zoo.made(name) for name in zoo.MODELS}
    functions = operations.operations()[0] | operations.functions()
    for name in MANY_AXES:
        inputs = keras.Input((7, 6, 4))
        models[name] = keras.Model(inputs, functions[name](inputs))
    cases, wanted = [], []
    for number, model in enumerate(models.values()):
        inputs = [zoo.inputs_for(model, n) for n in (1, 3)]
        model.export(tmp_path / f"{number}", format="tfjs", verbose=False)
        cases.append((tmp_path / f"{number}", inputs))
        wanted.append([model.predict(x, verbose=0) for x in inputs])
    (tmp_path / "cases.json").write_text(programs.for_tfjs(cases, tmp_path))
    shutil.copy(pathlib.Path(__file__).with_name("tfjs_run.js"), tmp_path)
    scripts = '<script src="tf.min.js"></script><script type="module" src="tfjs_run.js"></script>'
    (tmp_path / "models.html").write_text(f"<!doctype html><body>{scripts}</body>")
    with served(tmp_path) as address:
        shown = chromium(tmp_path / "profile", "--dump-dom", f"{address}models.html")
    (text,) = re.findall(r"<body data-ready=[^>]*>(.*)</body>", shown, re.DOTALL)
    found = programs.of_tfjs(html.unescape(text))
    for name, (outputs, _), values in zip(models, found, wanted, strict=True):
        for some, value in zip(outputs, values, strict=True):
            assert programs.difference(some, value) < 1e-4, name
