"""Pages of the site that are made of the code: the reference, the notebooks, the examples.

MkDocs calls the functions named `on_...`, see `hooks` in mkdocs.yml.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import types
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import keraslike

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Files of the repository that are pages of the site as they are.
COPIES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "benchmarks/RESULTS.md": "project/speed.md",
    "tests/conformance/RESULTS.md": "project/conformance.md",
    "tests/packages/RESULTS.md": "project/packages.md",
    "tests/books/RESULTS.md": "project/books.md",
    "tests/files/RESULTS.md": "project/files.md",
}
SECTIONS = ("Args", "Arguments", "Returns", "Raises", "Yields", "Call arguments", "Attributes")

# The namespaces with a page each, in the order of the menu.
NAMESPACES = (
    *("models", "layers", "losses", "metrics", "optimizers", "callbacks", "activations"),
    *("initializers", "regularizers", "constraints", "ops", "random", "saving", "export"),
    *("distribution", "data", "datasets", "applications", "preprocessing", "utils", "tree"),
    *("dtype_policies", "mixed_precision", "quantizers", "config", "visualization"),
    *("distillation", "wrappers", "errors", "backend", "tf"),
)


class Entry(NamedTuple):
    """A public object, and the names by which it is reached; the first one names its page."""

    names: list[str]
    value: Any

    @property
    def page(self) -> str:
        return f"reference/{self.names[0].replace('.', '/')}.md"


_pages: dict[int, str] = {}  # of objects, by identity


# -- what there is --------------------------------------------------------------------------------


def public_names(module: types.ModuleType, path: str) -> Iterator[tuple[str, Any]]:
    """Each public name in a module and in the modules below it, and its value."""
    listed = dir(module) if "__dir__" in vars(module) else getattr(module, "__all__", dir(module))
    for name in sorted(listed):
        if name.startswith("_") or (path, name) == ("tf", "keras"):  # whose names are keraslike's
            continue
        try:
            value = getattr(module, name)
        except ImportError:  # of an optional package's own class, as tf.lite.Interpreter is
            continue
        if isinstance(value, types.ModuleType):
            if value.__name__ == f"{module.__name__}.{name}":
                yield from public_names(value, f"{path}.{name}")
        elif (
            callable(value) and (getattr(value, "__module__", None) or "").split(".")[0] != "numpy"
        ):
            yield f"{path}.{name}", value


def entries() -> list[Entry]:
    """Every public object once."""
    found: dict[int, Entry] = {}
    for namespace in NAMESPACES:
        module = importlib.import_module(f"keraslike.{namespace}")
        for name, value in public_names(module, namespace):
            found.setdefault(id(value), Entry([], value)).names.append(name)
    for name in sorted(dir(keraslike)):
        value = getattr(keraslike, name)
        if not name.startswith("_") and callable(value) and not isinstance(value, types.ModuleType):
            entry = found.setdefault(id(value), Entry([], value))
            entry.names.append(name)
    return list(found.values())


# -- one object -----------------------------------------------------------------------------------


class _Bare(str):
    """An annotation, which is text in modules that postpone annotations, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def signature_of(value: Any, name: str) -> str:
    """How it is called, an argument a line where they do not fit one."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name

    def bare(annotation: Any) -> Any:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    parameters = [
        p.replace(annotation=bare(p.annotation))
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]
    returned = bare(signature.return_annotation)
    shown = _plain(str(signature.replace(parameters=parameters, return_annotation=returned)))
    if len(name) + len(shown) <= 78:
        return name + shown
    star, lines = False, []
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not star:
            lines.append("    *,")
        star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        lines.append(f"    {_plain(str(p))},")
    end = "" if returned is signature.empty else f" -> {inspect.formatannotation(returned)}"
    return "\n".join([f"{name}(", *lines, f"){end}"])


def _plain(shown: str) -> str:
    """A default that is a class or a function by its name."""
    return re.sub(r"<(?:class |function |jitted function )?'?([\w.]+)[^>]*>", r"\1", shown)


def as_markdown(text: str) -> str:
    """A docstring: examples as blocks of code, sections of arguments as lists."""
    out: list[str] = []
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.lstrip().startswith(">>>"):
            block = []
            while i < len(lines) and lines[i].strip():
                block.append(lines[i].strip() if not block else lines[i])
                i += 1
            indent = len(line) - len(line.lstrip())
            block = [block[0], *(b[indent:] for b in block[1:])]
            out += ["", "```pycon", *block, "```", ""]
        elif line.rstrip(":") in SECTIONS and line.endswith(":"):
            out += ["", f"**{line.rstrip(':')}**", ""]
            i += 1
            while i < len(lines) and (not lines[i].strip() or lines[i].startswith(" ")):
                out.append(_item(lines[i]))
                i += 1
            out.append("")
        else:
            out.append(line)
            i += 1
    return "\n".join(out)


def _item(line: str) -> str:
    named = re.fullmatch(r"    (\*{0,2}[\w, .*`]+): (.*)", line)
    if named:
        return f"- `{named[1].strip('`')}`: {named[2]}"
    return re.sub(r"^    ", "  ", line)


def own_methods(cls: type) -> list[tuple[str, Any]]:
    """The documented methods and properties of a class, but for those of the classes it derives
    from that have a page of their own."""
    parents = [base for base in cls.__mro__[1:] if base.__name__ in _SHOWN_ELSEWHERE]
    elsewhere = {base for parent in parents for base in parent.__mro__}
    found = {}
    for base in cls.__mro__:
        if base in elsewhere or not str(base.__module__).startswith("keraslike."):
            continue
        for name, value in vars(base).items():
            target = value.fget if isinstance(value, property) else value
            target = getattr(target, "__func__", target)
            documented = callable(target) and getattr(target, "__doc__", None)
            if not name.startswith("_") and documented and name not in found:
                found[name] = value
    return list(found.items())


# Classes with pages of their own, whose methods are not shown again on those of their subclasses.
_SHOWN_ELSEWHERE = {
    *("Layer", "Model", "Loss", "Metric", "Optimizer", "Callback", "Object", "Operation"),
    *("Initializer", "Regularizer", "Constraint", "Quantizer", "Dataset", "Functional"),
}


def _further_arguments(cls: type, up: str) -> str:
    """What is common to the arguments of layers that their docstrings do not repeat."""
    try:
        names = list(inspect.signature(cls).parameters)
    except (TypeError, ValueError):
        return ""
    said = inspect.getdoc(cls) or ""
    lines = []
    for kind, effect in _OF_WEIGHTS.items():
        found = [n for n in names if n.endswith(f"_{kind}") and n not in said]
        if found:
            listed = ", ".join(f"`{n}`" for n in found)
            link = f"[{kind}s]({up}reference/{kind}s/index.md)"
            lines.append(f"- {listed}: names, configs or instances of {link}, which {effect}.")
    if "lora_rank" in names and "lora_rank" not in said:
        lines.append(
            "- `lora_rank`, `lora_alpha`: the rank and the factor of a low-rank adaptation of the "
            "weight (Hu et al., arXiv:2106.09685); `None` for none."
        )
    if "kwargs" in names and issubclass(cls, keraslike.layers.Layer):
        layer = f"[Layer]({up}reference/layers/Layer.md)"
        lines.append(f"- `**kwargs`: the arguments of {layer}, such as `name` and `dtype`.")
    return "\n".join(["**Further arguments**", "", *lines]) if lines else ""


# Families of objects that arguments for weights or outputs name, and what they do.
_OF_WEIGHTS = {
    "initializer": "draw initial values",
    "regularizer": "add to the loss",
    "constraint": "are applied after each update",
}


def page_of(entry: Entry) -> str:
    name, value = entry.names[0], entry.value
    short = name.rpartition(".")[2]
    public = "keraslike." + name
    kind = "class " if inspect.isclass(value) else ""
    parts = [f"# {short}", f"```python\n{kind}{signature_of(value, public)}\n```"]
    if len(entry.names) > 1:
        others = ", ".join(f"`keraslike.{n}`" for n in entry.names[1:])
        parts.append(f"Also {others}.")
    parts.append(as_markdown(inspect.getdoc(value) or ""))
    if inspect.isclass(value):
        parents = [b for b in value.__mro__[1:] if b.__name__ in _SHOWN_ELSEWHERE - {"Object"}]
        if parents and (parent := _pages.get(id(parents[0]))):
            up = "../" * entry.page.count("/")
            parts.append(f"Derives from [{parents[0].__name__}]({up}{parent}).")
        if further := _further_arguments(value, "../" * entry.page.count("/")):
            parts.append(further)
        for method, of in own_methods(value):
            if isinstance(of, property):
                parts.append(f"## {method} {{ .property }}")
                parts.append(as_markdown(inspect.getdoc(of) or ""))
            else:
                of = getattr(value, method)
                parts.append(f"## {method}")
                parts.append(f"```python\n{signature_of(of, method)}\n```")
                parts.append(as_markdown(inspect.getdoc(of) or ""))
    return "\n\n".join(parts) + "\n"


def first_line(value: Any) -> str:
    text = (inspect.getdoc(value) or "").strip().split("\n\n")[0].replace("\n", " ")
    return text.replace("|", "\\|")


def reference() -> dict[str, str]:
    """The pages, by their paths in the site."""
    pages, groups = {}, defaultdict(list)
    found = entries()
    _pages.update((id(entry.value), entry.page) for entry in found)
    for entry in found:
        pages[entry.page] = page_of(entry)
        groups[entry.names[0].partition(".")[0] if "." in entry.names[0] else ""].append(entry)
    for namespace in ("", *NAMESPACES):
        if not groups[namespace]:
            continue
        module = importlib.import_module(f"keraslike.{namespace}") if namespace else keraslike
        lines = [f"# keraslike.{namespace}" if namespace else "# keraslike", ""]
        lines += [as_markdown(inspect.getdoc(module) or ""), ""]
        if not namespace:
            lines += [", ".join(f"[{n}]({n}/index.md)" for n in NAMESPACES if groups[n]), ""]
        lines += ["| name | |", "| --- | --- |"]
        folder = f"reference/{namespace}" if namespace else "reference"
        for entry in sorted(groups[namespace], key=lambda e: e.names[0].lower()):
            to = entry.page.removeprefix(folder + "/")
            shown = entry.names[0].removeprefix(namespace + ".")
            lines.append(f"| [{shown}]({to}) | {first_line(entry.value)} |")
        pages[f"{folder}/index.md"] = "\n".join(lines) + "\n"
    return pages


# -- notebooks, examples, files of the repository -------------------------------------------------


def notebooks() -> dict[str, str | bytes]:
    """The notebooks with the outputs they are kept with."""
    from nbconvert import MarkdownExporter

    pages: dict[str, str | bytes] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        resources = {"output_files_dir": path.stem}
        text, made = MarkdownExporter().from_filename(str(path), resources=resources)
        pages[f"notebooks/{path.stem}.md"] = text
        for name, data in made["outputs"].items():
            pages[f"notebooks/{name}"] = data
    return pages


def gallery() -> dict[str, str]:
    """A page an example, and one that lists them."""
    pages, lines = {}, []
    for path in sorted((ROOT / "examples").glob("*.py")):
        if path.stem == "shared":
            continue
        source = path.read_text()
        said = ast.get_docstring(ast.parse(source)) or ""
        title, _, rest = said.partition("\n")
        body = source[source.index('"""', 3) + 3 :].lstrip()
        name = path.stem.replace("_", " ").capitalize()
        name = re.sub("(?i)dcgan|gpt|lstm|mnist", lambda m: m.group().upper(), name)
        rest = re.sub(r"(?m)((?:^    .*\n?)+)", r"\n```console\n\1```\n", rest + "\n")
        rest = re.sub(r"(?m)^    ", "", rest)
        pages[f"examples/{path.stem}.md"] = (
            f"# {name}\n\n{title}\n\n{rest}\n\n`examples/{path.name}`:\n\n```python\n{body}```\n"
        )
        lines.append(f"| [{name}]({path.stem}.md) | {title} |")
    head = (
        "# Examples\n\nEach is a program of one file; with `--quick` it runs in seconds.\n\n"
        "| example | |\n| --- | --- |\n"
    )
    pages["examples/index.md"] = head + "\n".join(lines) + "\n"
    return pages


def copies() -> dict[str, str]:
    return {to: _site_links((ROOT / of).read_text(), of) for of, to in COPIES.items()}


def _site_links(text: str, of: str) -> str:
    """Links between files of the repository as links between pages of the site; one to a file that
    is no page becomes its name."""
    here = pathlib.PurePosixPath(of).parent

    def link(found: re.Match) -> str:
        shown, target = found[1], found[2]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        resolved = str(_normal(here / path))
        page = COPIES.get(resolved)
        if page is None and resolved.startswith("docs/"):
            page = resolved.removeprefix("docs/")
        if page is None:
            return shown if shown.startswith("`") else f"{shown} (`{resolved}`)"
        own = COPIES.get(of, of.removeprefix("docs/"))
        up = "../" * own.count("/")
        return f"[{shown}]({up}{page}{'#' + anchor if anchor else ''})"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def _normal(path: pathlib.PurePosixPath) -> pathlib.PurePosixPath:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return pathlib.PurePosixPath(*parts)


# -- MkDocs ---------------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """The namespaces go into the menu."""
    place = next(item for item in config.nav if "Reference" in item)
    names = [n for n in NAMESPACES if n not in ("preprocessing", "errors")]
    place["Reference"] = ["reference/index.md", *({n: f"reference/{n}/index.md"} for n in names)]
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for path, content in {**reference(), **notebooks(), **gallery(), **copies()}.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    path = page.file.src_uri
    return markdown if page.file.generated_by else _site_links(markdown, f"docs/{path}")
