"""Reuse of exported models, with the interface of `tensorflow_hub`: `KerasLayer`, `load`,
`resolve`."""

from __future__ import annotations

import hashlib
import os
import pathlib
import urllib.parse
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes, serialization, tensorflow_host
from keraslike.core.tracebacks import entry
from keraslike.export import stablehlo
from keraslike.layers.hosted import TFSMLayer
from keraslike.layers.layer import Layer
from keraslike.utils.downloads import get_file, hash_file

__all__ = ["KerasLayer", "load", "resolve"]

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_SCHEMES = ("http", "https", "ftp", "file")
__dir__ = __all__.copy


@entry
def resolve(handle: str | os.PathLike) -> str:
    """The folder of the model that a handle names; archives are downloaded and unpacked once.

    Args:
        handle: the path of a folder, the path of an archive (`.tar.gz`, `.tgz`, `.tar`, `.zip`), or
            the address of an archive (`https://…`, `file://…`), which `utils.get_file` fetches.

    Raises FileNotFoundError if there is nothing, ConnectionError for what cannot be downloaded,
    ValueError for an archive that is damaged, unsafe, or without a model.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> resolve(folder) == folder
    True
    """
    path = os.fspath(handle)
    address = urllib.parse.urlsplit(path)
    if address.scheme in _SCHEMES:
        name = f"{hashlib.sha256(path.encode()).hexdigest()[:16]}.archive"
        if address.hostname == "tfhub.dev" and not address.query:
            path += "?tf-hub-format=compressed"
    elif os.path.isdir(path):
        return path
    elif not os.path.exists(path):
        raise FileNotFoundError(f"There is nothing at '{path}'.")
    elif path.endswith(_ARCHIVES):
        name, path = f"{hash_file(path)[:16]}.archive", pathlib.Path(path).resolve().as_uri()
    else:
        raise ValueError(
            f"A handle is a folder, an archive ({', '.join(_ARCHIVES)}) or the address of one. "
            f"Received: handle={path!r}"
        )
    folder = get_file(name, path, extract=True, cache_subdir="hub")
    found = [folder, *(e.path for e in os.scandir(folder) if e.is_dir())]
    models = [at for at in found if _is_model(at)]
    if not models:
        raise ValueError(
            f"The archive '{handle}' has neither a SavedModel nor a model exported as StableHLO."
        )
    return models[0]


def _is_model(path: str) -> bool:
    return tensorflow_host.is_saved_model(path) or stablehlo.is_exported(path)


@entry
def load(handle: str | os.PathLike, tags: Any = None, options: Any = None) -> Any:
    """The model that a handle names (see `resolve`), as `tf.saved_model.load` gives it; one that
    was exported as StableHLO by `model.export`, as `saving.load_exported` gives it.

    Args:
        tags: of the graph of a SavedModel.
        options: none are taken.

    Raises what `resolve` does, and ImportError for a SavedModel where there is no TensorFlow.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> path = os.path.join(tempfile.mkdtemp(), "exported")
    >>> model.export(path, format="stablehlo", verbose=False)
    >>> load(path).serve([[1.0, 2.0]]).shape
    (1, 1)
    """
    if options is not None:
        raise ValueError("`options` of TensorFlow's are not taken: pass options=None.")
    path = resolve(handle)
    if not tensorflow_host.is_saved_model(path) and "objects" not in stablehlo.read_manifest(path):
        if tags is not None:
            raise ValueError(f"Only SavedModels have tags. Received: tags={tags!r}")
        return stablehlo.load_exported(path)
    from keraslike.tf import saved_model  # Importing it takes a second.

    return saved_model.load(path, tags=tags)


class KerasLayer(Layer):
    """An exported model as a trainable layer.

    Args:
        handle: the handle of a SavedModel or of a model exported as StableHLO; see `resolve`.
        trainable: whether to train its trainable variables.
        arguments: further arguments for the function of a SavedModel, plain values.
        tags: the tags of the graph in a SavedModel; `None` if there is only one graph.
        signature: the signature or endpoint to call. By default the model itself if it can be
            called, otherwise `serve` or `serving_default`.
        signature_outputs_as_dict: whether to return the dict of all outputs.
        output_key: the output to return from a dict; by default `"default"`, or the only one.
        output_shape: sets the shape of the output, without the batch.

    A SavedModel runs in a separate process with TensorFlow; StableHLO becomes part of the compiled
    program. A file with the layer contains only the handle, and can only be loaded with
    `safe_mode=False`.

    Raises what `resolve` does, ImportError for a SavedModel where there is no TensorFlow, and
    ValueError for a signature there is not, and where it is to train and has no gradient.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(3)])
    >>> path = os.path.join(tempfile.mkdtemp(), "exported")
    >>> model.export(path, format="stablehlo", verbose=False)
    >>> keraslike.Sequential([keraslike.Input((2,)), KerasLayer(path)]).output_shape
    (None, 3)
    """

    def __init__(
        self,
        handle: str | os.PathLike,
        trainable: bool = False,
        arguments: dict[str, Any] | None = None,
        _sentinel: Any = None,
        tags: Any = None,
        signature: str | None = None,
        signature_outputs_as_dict: bool | None = None,
        output_key: str | None = None,
        output_shape: Sequence[int | None] | None = None,
        load_options: Any = None,
        **kwargs: Any,
    ):
        if _sentinel is not None or load_options is not None:
            raise ValueError(
                "Arguments after `arguments` are given by name, and no `load_options` are taken."
            )
        if output_key is not None and signature_outputs_as_dict:
            raise ValueError("Give one of `output_key` and `signature_outputs_as_dict`.")
        super().__init__(trainable=trainable, **kwargs)
        self.handle, self.arguments, self.tags = os.fspath(handle), dict(arguments or {}), tags
        self.signature, self.output_key = signature, output_key
        self.signature_outputs_as_dict = signature_outputs_as_dict
        self.fixed_shape = None if output_shape is None else tuple(output_shape)
        path = resolve(handle)
        if tensorflow_host.is_saved_model(path):
            self.inner: Any = _SavedModelFunction(path, signature, self.arguments, tags)
        elif self.arguments or tags is not None:
            raise ValueError("`arguments` and `tags` are for SavedModels.")
        else:
            self.inner = _StableHLOFunction(path, signature, trainable)
        self.inner.trainable = trainable
        self.built = True

    @property
    def resolved_object(self) -> Any:
        """The model, as `load` returns it."""
        return load(self.handle, self.tags)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs: Any = self.inner(inputs, training=bool(training) and self.trainable)
        if isinstance(outputs, dict) and not self.signature_outputs_as_dict:
            outputs = self._chosen(outputs)
        if self.fixed_shape is not None:
            shape = self.fixed_shape
            outputs = jax.tree.map(lambda y: jnp.reshape(y, (y.shape[0], *shape)), outputs)
        return outputs

    def _chosen(self, outputs: dict[str, Any]) -> Any:
        if self.output_key is None and self.signature is None:
            return outputs  # The model itself is called, so its outputs are returned unchanged.
        key = self.output_key or ("default" if "default" in outputs else None)
        if key is None and len(outputs) == 1:
            (key,) = outputs
        if key not in outputs:
            raise ValueError(
                f"Layer '{self.name}' has the outputs {sorted(outputs)}: say by `output_key` which "
                f"to return, or signature_outputs_as_dict=True. Received: output_key={key!r}"
            )
        return outputs[key]

    def get_config(self) -> dict[str, Any]:
        names = ("handle", "arguments", "tags", "signature", "signature_outputs_as_dict")
        own = {name: getattr(self, name) for name in (*names, "output_key")}
        shape = None if self.fixed_shape is None else list(self.fixed_shape)
        return {**super().get_config(), **own, "output_shape": shape}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KerasLayer:
        serialization.refuse_unless_trusted("the handle of an exported model")
        return cls(**config)


class _SavedModelFunction(TFSMLayer):
    """A function of a SavedModel, with additional arguments."""

    def __init__(self, path: str, signature: str | None, arguments: dict[str, Any], tags: Any):
        self._signature, self._arguments = signature, arguments
        super().__init__(path, signature or "", tags=tags)

    def _endpoint(self, name: str) -> dict[str, Any]:
        if self._signature is not None:
            found = self._loaded.node("signatures", name)
            return super()._endpoint(name) if found is None else found
        for own in ("__call__", "serve"):
            found = self._loaded.node(own)
            if found is not None and found["kind"] == "function":
                return found
        return super()._endpoint("serving_default")

    def _options(self, node: dict[str, Any], training: bool) -> dict[str, Any]:
        own = {"training": training} if "training" in node["parameters"] else {}
        return {**own, **self._arguments}


class _StableHLOFunction(Layer):
    """An endpoint of a model that was exported as StableHLO."""

    def __init__(self, path: str, signature: str | None, trainable: bool):
        super().__init__()
        loaded = stablehlo.load_exported(path)
        names = list(loaded.endpoints)
        name = signature or ("serve" if "serve" in names else names[0])
        if name not in names:
            raise ValueError(f"'{path}' has no endpoint '{name}', but {names}.")
        self._program = loaded.programs[name]
        if trainable and not self._program.has_vjp():
            raise ValueError(
                f"The endpoint '{name}' of '{path}' was written without a gradient, so that it "
                "cannot train. Received: trainable=True"
            )
        (about,) = (a for a in loaded.manifest["endpoints"] if a["name"] == name)
        self._inputs, self._updates = stablehlo.spec_tree(about["inputs"]), list(about["updates"])
        self._names = list(loaded.variables)
        self._state = [
            self._made(n, value, loaded.manifest["variables"][n])
            for n, value in loaded.variables.items()
        ]
        self.built = True

    def _made(self, name: str, value: jax.Array, about: dict[str, Any]) -> Any:
        trains = bool(about.get("trainable", True)) and dtypes.is_float(value.dtype)
        name = name.replace("/", "_")
        return self.add_weight(value.shape, value, value.dtype.name, trainable=trains, name=name)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        several = len(self._inputs) > 1 and isinstance(inputs, (list, tuple))
        args = list(inputs) if several else [_like(self._inputs[0], inputs)]
        state = dict(zip(self._names, self._state))
        values = {name: variable.value for name, variable in state.items()}
        outputs, new = stablehlo.run(self._program.call, self._inputs, self._updates, values, args)
        for name, value in new.items():
            state[name].assign(value)
        return outputs


def _like(wanted: Any, given: Any) -> Any:
    """The inputs with the list and tuple types that the endpoint expects."""
    if isinstance(wanted, (list, tuple)) and isinstance(given, (list, tuple)):
        return type(wanted)(given)
    return given
