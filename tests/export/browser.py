"""The page of `examples/browser` in headless Chromium, for `make test-browser`: what it shows of a
picture is what `predict` says. `KERASLIKE_SCREENSHOTS` names a folder for pictures of the page."""

import functools
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

import digits  # noqa: E402  # pyright: ignore[reportMissingImports]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page with a model and TensorFlow.js in a folder that is served, and the model."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("index.html", "page.js"):
        shutil.copy(PAGE / name, folder)
    shutil.copy(SCRIPT, folder)
    model = digits.trained(epochs=2)
    model.export(folder / "model", format="tfjs", verbose=False)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", model
        server.shutdown()


def chromium(folder, *options):
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    done = subprocess.run(
        [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={folder}", "--virtual-time-budget=60000", *options],
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
