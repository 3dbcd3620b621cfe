"""The commands `python -m keraslike export` and `inspect`, which run no code from model files."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import h5py

from keraslike.core import serialization
from keraslike.export import archive, files, signatures, stablehlo
from keraslike.saving import keras_archive, legacy_h5, saving_api, tfjs_folder


def main(arguments: Sequence[str]) -> int:
    """Runs the command that the arguments name, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m keraslike")
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="write a model in a format of other programs")
    export.add_argument("model", help="a .keras or .h5 file, or a folder of either format")
    export.add_argument("--format", default="tf_saved_model", choices=sorted(archive.FORMATS))
    export.add_argument("out", help="the folder to write")
    inspect = commands.add_parser("inspect", help="say what is in the file of a model")
    inspect.add_argument("model", help="a file of a model, or what `export` wrote")
    given = parser.parse_args(arguments)
    try:
        if given.command == "export":
            saving_api.load_model(given.model, compile=False).export(given.out, given.format)
        else:
            print("\n".join(inspected(given.model)))
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def inspected(path: str) -> Iterator[str]:
    """Lines about a model's file: files and sizes, the custom objects it needs, and the layers.

    Raises ValueError if the file is not that of a model, FileNotFoundError if it does not exist.
    """
    if stablehlo.is_exported(path):
        yield from _stablehlo_lines(path)
        return
    described = signatures.described(path) if os.path.exists(path) else None
    if described is not None:
        yield from _other_format(path, described)
        return
    config = _config(path)
    yield from _file_sizes(path)
    custom = sorted(set(_unregistered(config)))
    yield f"Custom objects needed: {', '.join(custom) or 'none'}"
    if custom:
        yield from _layers(config)
        return
    lines: list[str] = []
    model = saving_api.load_model(path, compile=False)
    model.summary(print_fn=lambda text, **_: lines.append(text))
    yield from lines


def _stablehlo_lines(path: str) -> Iterator[str]:
    manifest = stablehlo.read_manifest(path)
    yield f"StableHLO, exported by jax {manifest['jax_version']} for {manifest['platforms']}"
    yield from _file_sizes(path)
    yield "Custom objects needed: none"
    for about in manifest["endpoints"]:
        yield f"Endpoint '{about['name']}'"
        for what in ("inputs", "outputs"):
            yield f"    {what}: {_shown(stablehlo.spec_tree(about[what]))}"
        if about["updates"]:
            yield f"    changes: {', '.join(about['updates'])}"
    for name, about in manifest["variables"].items():
        yield f"Variable '{name}': {about['dtype']}{about['shape']}"


def _other_format(path: str, about: signatures.Described) -> Iterator[str]:
    yield about.kind
    yield from _file_sizes(path)
    yield f"Operators of other libraries: {', '.join(about.custom) or 'none'}"
    for signature in about.signatures:
        yield f"Signature '{signature.name}'" if signature.name else "Signature"
        for what, specs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
            yield f"    {what}: {', '.join(f'{s.name}: {_shown(s)}' for s in specs)}"


def _shown(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_shown(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (list, tuple)):
        return ", ".join(map(_shown, tree))
    return f"{tree.dtype}{list(tree.shape)}"


def _file_sizes(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        sizes = {
            os.path.relpath(os.path.join(folder, name), path): os.path.getsize(
                os.path.join(folder, name)
            )
            for folder, _, names in os.walk(path)
            for name in names
        }
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            sizes = {info.filename: info.file_size for info in file.infolist()}
    else:
        beside = [f"{os.path.splitext(path)[0]}.bin"] if path.endswith(".xml") else []
        sizes = {
            os.path.basename(p): os.path.getsize(p) for p in (path, *beside) if os.path.isfile(p)
        }
    yield f"{path}: {sum(sizes.values()):,} bytes"
    yield from (f"    {name}: {size:,}" for name, size in sorted(sizes.items()))


def _config(path: str) -> Any:
    if not os.path.exists(path):
        raise files.NoSuchFile(f"There is nothing at '{path}'.")
    if os.path.isfile(path) and h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return legacy_h5.read(file, path, False)
    if not keras_archive.is_folder(path) and tfjs_folder.is_there(path):
        return tfjs_folder.Folder(path).model_config(compile=False)
    return keras_archive.read(path)[0]


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str) and "config" in config:
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _unregistered(config: Any) -> Iterator[str]:
    """The names in a config that are neither public keraslike names nor registered."""
    for entry in _entries(config):
        name, is_function = entry["class_name"], entry["class_name"] == "function"
        if name == "__lambda__":
            yield "a lambda (its bytecode is read with safe_mode=False only)"
        if name.startswith("__"):
            continue
        wanted, registered = entry["config"] if is_function else name, entry.get("registered_name")
        registered = None if registered == "function" else registered
        try:
            serialization.find(entry.get("module"), wanted, registered, is_function)
        except (TypeError, ValueError):
            yield str(wanted)


def _layers(config: Any) -> Iterator[str]:
    yield "Layers (their shapes need the custom objects):"
    inner = config.get("config", {})
    for layer in inner.get("layers", []) if isinstance(inner, dict) else []:
        about = layer.get("config", {})
        name = about.get("name") if isinstance(about, dict) else None
        yield f"    {name} ({layer.get('class_name')})"
