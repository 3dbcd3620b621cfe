"""What the pages of the site show runs as it stands, and every public name has a page."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import io
import re
import sys
import types
from pathlib import Path

import pytest

import keraslike.tf

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
    assert lacking == []


def _is_collected(value):
    """Whether pytest finds an example by itself: of a function, if its module defines it."""
    home = sys.modules.get(getattr(value, "__module__", None) or "")
    function = inspect.unwrap(value)
    return not inspect.isfunction(function) or function.__globals__ is vars(home)


def test_examples_of_functions_that_others_make(site):
    """Those of `tf` come of tables and of decorators, where doctest does not look for examples."""
    parser, said = doctest.DocTestParser(), io.StringIO()
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
    )
    for entry in site.entries():
        if entry.names[0].startswith("tf.") and not _is_collected(entry.value):
            text = inspect.getdoc(entry.value)
            example = parser.get_doctest(text, {"tf": keraslike.tf}, entry.names[0], None, 0)
            runner.run(example, out=said.write)
    found = runner.summarize(verbose=False)
    assert found.attempted > 500 and not found.failed, said.getvalue()


def _seen(module, path, visited):
    """The public modules below one, as `dir` shows them."""
    if id(module) in visited:
        return
    visited.add(id(module))
    yield path, module
    for name in dir(module):
        if name.startswith("_") or (path, name) == ("tf.lite", "Interpreter"):  # another package's
            continue
        value = getattr(module, name, None)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("keraslike."):
            yield from _seen(value, f"{path}.{name}", visited)


def test_completion_shows_public_names_only(site):
    roots = [("keraslike", keraslike)]
    roots += [(n, importlib.import_module(f"keraslike.{n}")) for n in site.NAMESPACES]
    visited, wrong = set(), []
    for path, root in roots:
        for name, module in _seen(root, path, visited):
            listed = [n for n in dir(module) if not n.startswith("_")]
            hidden = set(listed) - set(getattr(module, "__all__", listed))
            if name.startswith("tf.keras"):  # shows names of Keras 2 besides those that `*` imports
                hidden = set()
            wrong += [
                f"{name}.{n}"
                for n in listed
                if isinstance(value := vars(module).get(n), types.ModuleType)
                and not value.__name__.startswith("keraslike.")
                or getattr(value, "__module__", None) in ("typing", "collections.abc", "types")
                or n in hidden
                and not isinstance(value, types.ModuleType)
                and f"{name}.{n}" != "tf.lite.Interpreter"
            ]
    assert wrong == [] and len(visited) > 60
