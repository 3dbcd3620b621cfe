"""The format `stablehlo`: programs by `jax.export`, which plain JAX runs, and weights by numpy.

A folder, or an archive whose name ends in `.zip`, with these files:

- `NAME.jax_export` for each endpoint, which `jax.export.deserialize` reads: a function of a dict of
  the weights and of the endpoint's arguments. If it changes state, it returns the outputs and a
  dict of the new values;
- `weights.npz`, the weights by their paths, without pickles. bfloat16 and similar dtypes are stored
  as the bits of integers, which the program reinterprets;
- `manifest.json`: signatures, names and dtypes of the weights, and a checksum of each file;
- `vocabularies.json`, if layers in front of the model look up text: see `vocabularies.py`.

To run an endpoint where keraslike is not installed:

    jax.export.deserialize(bytearray(open("model/serve.jax_export", "rb").read())).call(
        dict(numpy.load("model/weights.npz")), x)

Files are untrusted. One that does not match the manifest raises DamagedFile, and so does a program
with callbacks or custom calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from keraslike.core import jax_internals, json_texts, precision
from keraslike.core.errors import DamagedFile
from keraslike.core.tracebacks import entry
from keraslike.export import files, vocabularies
from keraslike.export.endpoints import Endpoint, Spec, is_spec, restored, stored, stored_dtype

FORMAT, VERSION = "keraslike-stablehlo", 1
MANIFEST, WEIGHTS = "manifest.json", "weights.npz"
_MAX_MANIFEST_BYTES = 64 << 20


def place(path: str, *args: Any) -> None:
    """Writes a folder or an archive, and replaces an older one: see `write`."""
    with files.placing(path, (MANIFEST,)) as folder:
        write(folder, *args)


# -- writing --------------------------------------------------------------------------------------


def write(
    folder: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
    modules: bool = False,
    objects: dict[str, Any] | None = None,
) -> None:
    """Writes the files into an existing folder.

    Args:
        arrays: the variables by name, each with its value.
        collections: lists of names of variables, by the names that users gave the collections.
        modules: whether the MLIR modules are written instead of gradients in the `jax_export`
            files, with their calling conventions, for readers without JAX.
        objects: the description by `tf.saved_model` of the objects that hold the endpoints.
    """
    variables = {
        name: {
            "shape": list(value.shape),
            "dtype": value.dtype.name,
            "stored": stored_dtype(value.dtype).name,
            "trainable": bool(getattr(variable, "trainable", True)),
        }
        for name, (variable, value) in arrays.items()
    }
    weights = _npz({name: stored(value) for name, (_, value) in arrays.items()})
    sums = {WEIGHTS: _write(folder, WEIGHTS, weights)}
    owners = [variable for variable, _ in arrays.values()]
    described = []
    for number, endpoint in enumerate(endpoints):
        exported = endpoint.export(owners, list(arrays), platforms)
        file = f"{endpoint.name}.jax_export"
        sums[file] = _write(folder, file, _serialized(exported, not modules))
        outputs = jax.tree.unflatten(exported.out_tree, _specs(exported))
        used = set(map(id, endpoint.variables))
        updates: list[str] = []
        if endpoint.changes:
            outputs, new = outputs
            updates = sorted(new)
        about = {
            "name": endpoint.name,
            "file": file,
            "arguments": endpoint.argument_names,
            "inputs": structure_of(endpoint.signature),
            "outputs": structure_of(outputs),
            "updates": updates,
            "texts": endpoint.texts,
            "made": endpoint.made,
            "reads": [name for name, v in zip(arrays, owners) if id(v) in used],
        }
        if modules:
            about["program"] = _write_module(folder, f"{number}.mlirbc", exported)
            gradient = None
            # A program without a gradient, such as a loop of unknown length, is exported alone.
            with contextlib.suppress(Exception):
                gradient = endpoint.export_gradient(exported, owners, list(arrays))
            name = f"{number}.gradient.mlirbc"
            about["gradient"] = gradient and _write_module(folder, name, gradient)
        described.append(about)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "jax_version": jax.__version__,
        "platforms": list(platforms),
        "endpoints": described,
        "variables": variables,
        "collections": collections,
        "sha256": sums,
    }
    if objects is not None:
        manifest["objects"] = objects
    words = vocabularies.text_of(vocabularies.roots(endpoints))
    if words is not None:
        sums[vocabularies.NAME] = _write(folder, vocabularies.NAME, words)
    _write(folder, MANIFEST, json.dumps(manifest, indent=1).encode())


def _serialized(exported: export.Exported, with_gradient: bool) -> bytes:
    if with_gradient:
        # A program without a gradient, such as a loop of unknown length, is written alone.
        with contextlib.suppress(Exception):
            return bytes(exported.serialize(vjp_order=1))
    return bytes(exported.serialize())


def _write_module(folder: str, name: str, exported: export.Exported) -> dict[str, Any]:
    """Writes the MLIR module of a program, and returns what is needed to call it without JAX."""
    _write(folder, name, exported.mlir_module_serialized)
    return {
        "file": name,
        "kept": list(exported.module_kept_var_idx),
        "calling_convention": exported.calling_convention_version,
        "platforms": list(exported.platforms),
        "outputs": [structure_of(spec) for spec in _specs(exported)],
    }


def _specs(exported: export.Exported) -> list[Spec]:
    return [
        Spec(tuple(n if isinstance(n, int) else None for n in a.shape), a.dtype.name)
        for a in exported.out_avals
    ]


def _write(folder: str, name: str, data: bytes) -> str:
    """Writes a file, and returns its checksum."""
    files.write_new(os.path.join(folder, name), data)
    return hashlib.sha256(data).hexdigest()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # np.savez cannot write an array named "file"
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                array = np.ascontiguousarray(array).reshape(array.shape)
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def structure_of(tree: Any) -> Any:
    """A structure of `Spec` encoded for JSON."""
    if isinstance(tree, Spec):
        return {"shape": list(tree.shape), "dtype": tree.dtype, "name": tree.name}
    if isinstance(tree, dict):
        return {"dict": {str(key): structure_of(tree[key]) for key in sorted(tree)}}
    if isinstance(tree, (list, tuple)):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [structure_of(item) for item in tree]}
    if tree is None:
        return None
    raise TypeError(
        "The inputs and outputs of an exported function must be arrays in lists, tuples and dicts. "
        f"Received: {type(tree).__name__}"
    )


# -- reading --------------------------------------------------------------------------------------


class ExportedModel:
    """A model that was exported as StableHLO, with its endpoints as methods.

    `model.serve(x)` calls the endpoint `serve`, `model(x)` the first one. `variables` holds the
    weights by name: calls read them from there, and endpoints that change state update them.
    `vocabularies` holds the vocabularies of the layers in front of the model, by layer name.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        programs: dict[str, export.Exported],
        variables: dict[str, jax.Array],
        words: dict[str, Any] | None = None,
    ):
        self.manifest, self.variables, self.programs = manifest, variables, programs
        self.vocabularies = words or {}
        self.endpoints = {
            about["name"]: self._endpoint(about, programs[about["name"]])
            for about in manifest["endpoints"]
        }

    def _endpoint(self, about: dict[str, Any], program: export.Exported) -> Callable:
        call, spec = jax.jit(program.call), spec_tree(about["inputs"])

        def endpoint(*args: Any) -> Any:
            outputs, new = run(call, spec, about["updates"], self.variables, list(args))
            self.variables.update(new)
            return outputs

        endpoint.__name__ = about["name"]
        endpoint.__doc__ = f"Inputs: {about['inputs']}. Outputs: {about['outputs']}."
        return endpoint

    def __getattr__(self, name: str) -> Callable:
        try:
            return vars(self)["endpoints"][name]
        except KeyError:
            raise AttributeError(
                f"The exported model has no endpoint '{name}'. It has: {list(self.endpoints)}."
            ) from None

    def __call__(self, *args: Any) -> Any:
        return next(iter(self.endpoints.values()))(*args)


def run(
    call: Callable, spec: Any, updates: Any, variables: dict[str, jax.Array], args: list[Any]
) -> tuple[Any, dict[str, jax.Array]]:
    """The outputs of a program, and the new values of the variables that it changes.

    Args:
        spec: the structure of its inputs.
        updates: the names of the variables that it changes.
        variables: the values of all its variables.
    """
    with _precision(spec, variables):
        given = jax.tree.map(
            lambda s, x: jnp.asarray(x, jax.dtypes.canonicalize_dtype(s.dtype)),
            spec,
            args,
            is_leaf=is_spec,
        )
        found = call({name: stored(value) for name, value in variables.items()}, *given)
    if not updates:
        return found, {}
    outputs, new = found
    return outputs, {name: restored(v, variables[name].dtype) for name, v in new.items()}


def _precision(*structures: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which JAX keeps float64, if these specifications or arrays have it."""
    leaves = jax.tree.leaves(structures, is_leaf=is_spec)
    return precision.of_dtype("float64" if any(x.dtype == "float64" for x in leaves) else None)


@entry
def load_exported(filepath: str | os.PathLike) -> ExportedModel:
    """The model that `model.export(format="stablehlo")` wrote: `keraslike.saving.load_exported`."""
    path = os.fspath(filepath)
    manifest = read_manifest(path)
    programs = {}
    for about in manifest["endpoints"]:
        data = _read_checked(path, manifest, about["file"])
        try:
            program = export.deserialize(bytearray(data))
            derivative = program
            while derivative is not None:  # a file may have a program for each order of gradients
                jax_internals.check_harmless(derivative)
                derivative = derivative.vjp() if derivative.has_vjp() else None
            _check_signature(program, about, manifest["variables"])
        except Exception as e:  # damaged bytes can cause errors of many types
            raise DamagedFile(f"'{path}': its {about['file']!r} cannot be used: {e}") from e
        programs[about["name"]] = program
    data = _read_checked(path, manifest, WEIGHTS)
    try:
        arrays = _arrays(data, manifest["variables"])
    except (ValueError, KeyError, zipfile.BadZipFile, NotImplementedError, EOFError) as e:
        raise DamagedFile(f"'{path}': its {WEIGHTS!r} cannot be used: {e}") from e
    words: Any = None
    if vocabularies.NAME in manifest["sha256"]:
        words = json_texts.parse_json(_read_checked(path, manifest, vocabularies.NAME).decode())
    with _precision(arrays):
        variables = {n: jnp.asarray(a) for n, a in arrays.items()}
    return ExportedModel(manifest, programs, variables, words)


def is_exported(path: str) -> bool:
    """Whether the names of the files at `path` are those of this format."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, MANIFEST))
    return path.endswith(files.ZIP) and os.path.isfile(path)


def read_manifest(path: str) -> dict[str, Any]:
    """The manifest. Raises DamagedFile for one that does not conform to the format."""
    text = files.read(path, MANIFEST, _MAX_MANIFEST_BYTES)
    try:
        manifest = json_texts.parse_json(text.decode())
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}")
        if manifest["version"] != VERSION:
            raise ValueError(f"its version is {manifest['version']!r}, and this reads {VERSION}")
        for about in manifest["endpoints"]:
            for what in ("inputs", "outputs"):
                spec_tree(about[what])
            if not isinstance(about["name"], str) or not isinstance(about["file"], str):
                raise ValueError("an endpoint's name or file is no text")
            if not set(about["updates"]) <= set(manifest["variables"]):
                raise ValueError(f"{about['name']!r} changes variables that are not there")
        for name, about in manifest["variables"].items():
            if not all(isinstance(n, int) and n >= 0 for n in about["shape"]):
                raise ValueError(f"the shape of {name!r} is {about['shape']!r}")
            if about["stored"] != stored_dtype(jnp.dtype(about["dtype"])).name:
                raise ValueError(f"the dtype of {name!r} is {about['dtype']!r}")
        if not all(isinstance(manifest[key], dict) for key in ("collections", "sha256")):
            raise ValueError("a part of it is no table")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise DamagedFile(
            f"'{path}' is no exported model, or its {MANIFEST!r} is damaged: {e}"
        ) from e
    return manifest


def _read_checked(path: str, manifest: dict[str, Any], name: str) -> bytes:
    data = files.read(path, name)
    if hashlib.sha256(data).hexdigest() != manifest["sha256"].get(name):
        raise DamagedFile(f"'{path}': its {name!r} is damaged: the checksum is another.")
    return data


def spec_tree(structure: Any) -> Any:
    """The structure of `Spec` that `structure_of` encoded. Raises ValueError for other values."""
    if structure is None:
        return None
    if not isinstance(structure, dict):
        raise ValueError(f"{structure!r} describes no inputs")
    if "shape" in structure:
        shape = tuple(structure["shape"])
        if not all(n is None or (type(n) is int and n >= 0) for n in shape):
            raise ValueError(f"{shape!r} is no shape")
        jnp.dtype(structure["dtype"])
        return Spec(shape, structure["dtype"], structure.get("name"))
    ((kind, items),) = structure.items()
    if kind == "dict":
        return {key: spec_tree(item) for key, item in items.items()}
    return {"list": list, "tuple": tuple}[kind](map(spec_tree, items))


def _check_signature(program: Any, about: dict[str, Any], variables: dict[str, Any]) -> None:
    weights = {n: Spec(tuple(v["shape"]), v["stored"]) for n, v in variables.items()}
    wanted = ((weights, *spec_tree(about["inputs"])), {})
    specs, structure = jax.tree.flatten(wanted, is_leaf=is_spec)
    if structure != program.in_tree:
        raise ValueError("its arguments are not those of the manifest")
    with _precision(wanted):
        dtypes = [jax.dtypes.canonicalize_dtype(spec.dtype) for spec in specs]
    for spec, dtype, aval in zip(specs, dtypes, program.in_avals, strict=True):
        sizes = tuple(n if isinstance(n, int) else None for n in aval.shape)
        # The program may fix sizes that its signature leaves open.
        fit = len(sizes) == len(spec.shape) and all(
            open_ in (None, size) for open_, size in zip(spec.shape, sizes)
        )
        if not fit or aval.dtype != dtype:
            raise ValueError(f"it takes {aval} where the manifest has {spec.dtype}{spec.shape}")


def _arrays(data: bytes, variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """The weights. The headers of arrays are checked before memory is allocated for them."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in variables):
            raise ValueError("it has other arrays than the manifest")
        for name, about in variables.items():
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
                raise ValueError(f"{name!r} is compressed")
            member = io.BytesIO(archive.read(info))
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0
            shape, fortran, dtype = (read if version == (1, 0) else _no_header)(member)
            wanted = np.dtype(about["stored"])
            rest = member.read()
            if (
                dtype != wanted
                or fortran
                or list(shape) != about["shape"]
                or len(rest) != math.prod(shape) * wanted.itemsize
            ):
                raise ValueError(f"{name!r} is not the array that the manifest describes")
            found[name] = restored(
                np.frombuffer(rest, wanted).reshape(shape), jnp.dtype(about["dtype"])
            )
    return found


def _no_header(_: Any) -> Any:
    raise ValueError("an array is of a version of numpy's format other than 1.0")
