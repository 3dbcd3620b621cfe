"""What the pages of the site show runs as it stands, and every public name has a page."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import keraslike

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / name for name in ("index.md", "start.md")]
PAGES += sorted((ROOT / "docs" / "guides").glob("*.md"))


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks_of(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks, names = blocks_of(page), {}
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)


def test_the_layer_of_the_contributing_page_is_one():
    import typing

    import jax
    import jax.numpy as jnp

    (block,) = blocks_of(ROOT / "CONTRIBUTING.md")
    names = {"Layer": keraslike.layers.Layer, "Any": typing.Any, "jax": jax, "jnp": jnp}
    exec(block, names)
    layer = names["Clip"](1.0)
    assert layer(jnp.array([-2.0, 0.5])).tolist() == [-1.0, 0.5]
    assert names["Clip"].from_config(layer.get_config()).limit == 1.0
    with pytest.raises(ValueError, match="limit=-1"):
        names["Clip"](-1)


def test_pages_of_the_reference(site):
    pages = site.reference()
    dense = pages["reference/layers/Dense.md"]
    assert "units: int," in dense and 'kernel_initializer: Any = "glorot_uniform"' not in dense
    assert "kernel_initializer: Any = 'glorot_uniform'," in dense
    assert ">>> layer = Dense(3" in dense and "[Layer](../../reference/layers/Layer.md)" in dense
    assert "## add_weight" in pages["reference/layers/Layer.md"] and "## add_weight" not in dense
    for name in ("ops/matmul", "losses/Huber", "tf/GradientTape", "saving/load_model"):
        assert f"reference/{name}.md" in pages


def test_links_between_files_become_links_between_pages(site):
    text = (
        "[a](../benchmarks/RESULTS.md#top) [b](../examples/x.py) [c](start.md) [d](https://e.org)"
    )
    wanted = "[a](project/speed.md#top) b (`examples/x.py`) [c](start.md) [d](https://e.org)"
    assert site._site_links(text, "docs/page.md") == wanted
    assert site._site_links("[h](docs/start.md)", "CONTRIBUTING.md") == "[h](../start.md)"


def test_every_public_name_has_documentation_with_an_example(site):
    lacking = []
    for entry in site.entries():
        own = entry.value.__dict__ if isinstance(entry.value, type) else {}
        text = own.get("__doc__", entry.value.__doc__) or ""
        # One that needs the network, another process or a large library is not run.
        if ">>> " not in text and "\n\nExample (" not in inspect.cleandoc(text):
            lacking.append(entry.names[0])
    assert [name for name in lacking if not name.startswith("tf.")] == []
