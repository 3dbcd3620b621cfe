"""`ExportArchive`, which collects endpoints, and `export_model`, which exports a model's call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import base, host, lowering, messages
from keraslike.core.processes import gathered, write_once
from keraslike.core.tracebacks import entry
from keraslike.core.variable import Variable
from keraslike.export import (
    litert_format,
    onnx_format,
    openvino_format,
    saved_model,
    stablehlo,
    tfjs_format,
    tfjs_layers,
)
from keraslike.export.endpoints import PLATFORMS, Endpoint, is_spec, signature_of
from keraslike.layers.layer import Layer

_WRITERS: dict[str, Callable] = {
    "litert": litert_format.write,
    "onnx": onnx_format.write,
    "openvino": openvino_format.write,
    "saved_model": saved_model.write,
    "stablehlo": stablehlo.place,
    "tfjs": tfjs_format.write,
}
FORMATS = {name: name for name in _WRITERS if name != "saved_model"}
FORMATS["tf_saved_model"] = "saved_model"
# Formats that Keras writes and keraslike does not, each with an alternative.
_UNSUPPORTED = {
    "torch": "save a `.keras` file, which Keras exports as an ExportedProgram on its PyTorch "
    "backend only, or export with format='onnx', whose files onnxruntime runs beside PyTorch"
}


class ExportArchive:
    """Endpoints of layers and models, written as one artifact that needs none of their code.

    Args:
        format: `"saved_model"`, which TensorFlow reads and writes, `"stablehlo"`, for JAX,
            `"litert"`, which TensorFlow writes, or, of one endpoint, `"onnx"`, `"openvino"` or
            `"tfjs"`, a graph-model for TensorFlow.js.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(1)])
    >>> archive = ExportArchive(format="stablehlo")
    >>> archive.track(model)
    >>> spec = keraslike.InputSpec(shape=(None, 3), dtype="float32")
    >>> serve = archive.add_endpoint("serve", model.call, [spec])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive.write_out(os.path.join(folder, "model"), verbose=False)
    ...     sorted(os.listdir(os.path.join(folder, "model")))
    ['manifest.json', 'serve.jax_export', 'weights.npz']
    """

    def __init__(self, format: str = "saved_model", **kwargs: Any):
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {sorted(kwargs)}")
        if format not in _WRITERS:
            raise ValueError(f"Unsupported format: {format}. The formats are {sorted(_WRITERS)}.")
        self.format = format
        self._tracked: list[Layer] = []
        self._endpoints: dict[str, Endpoint] = {}
        self._collections: dict[str, list[Variable]] = {}

    @property
    def variables(self) -> list[Variable]:
        """The variables of all tracked layers: the trainable ones, then the others."""
        return [*self.trainable_variables, *self.non_trainable_variables]

    @property
    def trainable_variables(self) -> list[Variable]:
        return _unique(v for layer in self._tracked for v in layer.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return _unique(v for layer in self._tracked for v in layer.non_trainable_variables)

    @entry
    def track(self, resource: Any) -> None:
        """Adds the variables of a layer or model to the artifact, even if no endpoint uses them.

        Raises ValueError for any other object, and for a layer that is not built.
        """
        if not isinstance(resource, Layer):
            raise ValueError(
                "Invalid resource type. Expected a Keras `Layer` or `Model`. Received object "
                f"{resource} of type '{type(resource)}'."
            )
        if not resource.built:
            raise ValueError(
                "The layer provided has not yet been built. It must be built before export."
            )
        if all(resource is not layer for layer in self._tracked):
            self._tracked.append(resource)

    @entry
    def add_endpoint(
        self, name: str, fn: Callable, input_signature: Any = None, **kwargs: Any
    ) -> Callable:
        """Adds a function to the artifact under a name, and returns the function.

        Args:
            name: a name for the endpoint.
            fn: a function of arrays. The variables that it uses become part of the artifact.
            input_signature: a list with a structure of `keras.InputSpec`, symbolic tensors or
                arrays for each argument. A size of `None` accepts any size.

        Raises ValueError for a name that is taken, without a signature, and where `fn` computes on
        the host; the error then names the layer that does.
        """
        _check_options(kwargs)
        if name in self._endpoints:
            raise ValueError(f"Endpoint name '{name}' is already taken.")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(
                f"The name of an endpoint must be a Python identifier. Received: name={name!r}"
            )
        if input_signature is None:
            raise ValueError(
                "If the `fn` argument provided is not a `tf.function`, you must provide an "
                "`input_signature` argument to specify the shape and dtype of the function "
                "arguments. Example: add_endpoint(name='call', fn=model.call, input_signature="
                "[keras.InputSpec(shape=(None, 224, 224, 3), dtype='float32')])"
            )
        takes_text = self.format == "saved_model"
        self._endpoints[name] = Endpoint(name, fn, input_signature, self._tracked, takes_text)
        return fn

    @entry
    def track_and_add_endpoint(
        self, name: str, resource: Any, input_signature: Any, **kwargs: Any
    ) -> Callable:
        """Tracks a layer or model and adds its `__call__` as an endpoint."""
        self.track(resource)
        return self.add_endpoint(name, resource.__call__, input_signature, **kwargs)

    @entry
    def add_variable_collection(self, name: str, variables: Sequence[Variable]) -> None:
        """Adds a list of variables to the artifact under a name."""
        if not isinstance(variables, (list, tuple, set)):
            raise ValueError(
                "Expected `variables` to be a list/tuple/set. "
                f"Received instead object of type '{type(variables)}'."
            )
        if not all(map(base.is_variable, variables)):
            kinds = sorted({str(type(v)) for v in variables})
            raise ValueError(
                "Expected all elements in `variables` to be variables. Found instead the "
                f"following types: {kinds}"
            )
        self._collections[name] = list(variables)

    @entry
    def write_out(
        self,
        filepath: str | os.PathLike,
        options: Any = None,
        verbose: bool | None = True,
        platforms: Sequence[str] = PLATFORMS,
    ) -> None:
        """Writes the artifact atomically, and replaces an older artifact at the same path.

        Args:
            filepath: the path of the folder. With the format `"stablehlo"` a path that ends in
                `.zip` is that of an archive; `"litert"` needs a path that ends in `.tflite`, and
                `"openvino"` one that ends in `.xml`.
            options: with the format `"litert"`, a dict of attributes of TensorFlow's
                `tf.lite.TFLiteConverter`; other formats accept none.
            verbose: whether the endpoints are printed.
            platforms: those of `"cpu"`, `"cuda"`, `"rocm"` and `"tpu"` that it is lowered for.

        Raises ValueError if no endpoint was added, ImportError if the format needs a package that
        is not installed, FileExistsError if something other than an artifact is at `filepath`.
        """
        litert = self.format == "litert"
        if options is not None and not (litert and isinstance(options, dict)):
            raise ValueError(
                "`options` are taken with format='litert' only, as a dict. "
                f"Received: options={options!r}"
            )
        if not self._endpoints:
            raise ValueError("No endpoints have been set yet. Call add_endpoint().")
        path = os.fspath(filepath)
        variables = _unique(
            [*self.variables]
            + [v for endpoint in self._endpoints.values() for v in endpoint.variables]
            + [v for some in self._collections.values() for v in some]
        )
        names = variables_by_path(variables)
        known = {id(v): name for name, v in names.items()}
        collections = {
            name: [known[id(v)] for v in some] for name, some in self._collections.items()
        }

        def write() -> None:
            arrays = arrays_of(names)
            endpoints = list(self._endpoints.values())
            given = (path, endpoints, arrays, collections, tuple(platforms))
            _WRITERS[self.format](*given, *([options] if litert else []))

        with gathered(variables):
            write_once(path, write)
        if verbose:
            messages.say(f"Saved artifact at '{path}'. Endpoints:\n{self._shown()}")

    def _shown(self) -> str:
        lines = []
        for name, endpoint in self._endpoints.items():
            lines.append(f"* '{name}'")
            for spec in jax.tree.leaves(endpoint.signature, is_leaf=is_spec):
                lines.append(f"    {spec.name or 'input'}: {spec.dtype}{list(spec.shape)}")
            if endpoint.multiple > 1:
                lines.append(f"    for sizes that are multiples of {endpoint.multiple}")
        return "\n".join(lines)


def _check_options(kwargs: dict[str, Any]) -> None:
    """Raises ValueError for unknown options. Keras's options for jax2tf are accepted and ignored:
    tracing finds which state changes, and programs are always StableHLO of the signature."""
    kwargs = {k: v for k, v in kwargs.items() if k not in ("is_static", "jax2tf_kwargs")}
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {sorted(kwargs)}")


def _unique(variables: Any) -> list[Any]:
    return list({id(v): v for v in variables}.values())


def variables_by_path(variables: Sequence[Any]) -> dict[str, Any]:
    """The variables by their paths; a number is appended to a path that occurs again."""
    names: dict[str, Any] = {}
    for v in variables:
        path = getattr(v, "path", None) or type(v).__name__
        path = path if isinstance(path, str) else "variable"
        name, count = path, 1
        while name in names:
            name, count = f"{path}_{count}", count + 1
        names[name] = v
    return names


def arrays_of(names: dict[str, Any]) -> dict[str, tuple[Any, np.ndarray]]:
    """Each variable with a copy of its value, by name. All values are of the same moment."""
    variables = list(names.values())
    with lowering.undisturbed(variables):
        values = lowering.values_of(variables)
        return {n: (v, np.array(host.whole(a))) for (n, v), a in zip(names.items(), values)}


def export_model(
    model: Any,
    filepath: str | os.PathLike,
    format: str = "tf_saved_model",
    verbose: bool | None = None,
    input_signature: Any = None,
    **kwargs: Any,
) -> None:
    """Exports a model's call as the endpoint `serve`: see `Model.export`."""
    if format in _UNSUPPORTED:
        raise ValueError(
            f"keraslike does not write the format '{format}', which Keras has, but "
            f"{sorted(FORMATS)}. Instead, {_UNSUPPORTED[format]}."
        )
    if format not in FORMATS:
        raise ValueError(f"Unrecognized format={format}. Supported formats are: {sorted(FORMATS)}.")
    if (
        format == "tfjs"
        and input_signature is None
        and not kwargs
        and getattr(model, "built", False)
    ):
        written: list[bool] = []
        path = os.fspath(filepath)
        with gathered(base.variables_of(model)):
            write_once(path, lambda: written.append(tfjs_layers.write(model, path)))
        if written != [False]:
            if verbose is None or verbose:
                messages.say(f"Saved a layers-model at '{path}'.")
            return
    options: dict[str, Any] = {k: kwargs.pop(k) for k in ("platforms",) if k in kwargs}
    if format == "litert":
        options["options"], kwargs = kwargs, {}
    archive = ExportArchive(FORMATS[format])
    if input_signature is None:
        input_signature = signature_of(model)
    archive.track_and_add_endpoint("serve", model, input_signature, **kwargs)
    archive.write_out(filepath, verbose=verbose is None or bool(verbose), **options)
