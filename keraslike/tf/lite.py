"""`tf.lite`: conversion of models to LiteRT (formerly TensorFlow Lite), and their interpreter.

TensorFlow's converter writes files, in a separate process, and the package `ai_edge_litert` runs
them. `pip install keraslike[litert]` installs both.

>>> converter = tf.lite.TFLiteConverter.from_concrete_functions([])
Traceback (most recent call last):
...
ValueError: from_concrete_functions() takes a list of one function. Received: 0
>>> converter = tf.lite.TFLiteConverter.from_saved_model("served")
>>> converter.optimizations = [tf.lite.Optimize.DEFAULT]
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keraslike.core import foreign
from keraslike.core.tensorflow_host import is_saved_model
from keraslike.core.tracebacks import entry
from keraslike.export import archive, litert_format
from keraslike.export.endpoints import Endpoint, signature_of
from keraslike.tf import saved_model

__all__ = [
    "OpsSet",
    "Optimize",
    "RepresentativeDataset",
    "TFLiteConverter",
    "TargetSpec",
    "experimental",
]


class Optimize(enum.Enum):
    """Optimizations that make a file smaller and faster, at the cost of some accuracy.

    >>> tf.lite.Optimize.DEFAULT.name
    'DEFAULT'
    """

    DEFAULT = "DEFAULT"
    OPTIMIZE_FOR_SIZE = "OPTIMIZE_FOR_SIZE"
    OPTIMIZE_FOR_LATENCY = "OPTIMIZE_FOR_LATENCY"
    EXPERIMENTAL_SPARSITY = "EXPERIMENTAL_SPARSITY"


class OpsSet(enum.Enum):
    """Sets of operations that a file may use.

    >>> tf.lite.OpsSet.TFLITE_BUILTINS.name
    'TFLITE_BUILTINS'
    """

    TFLITE_BUILTINS = "TFLITE_BUILTINS"
    SELECT_TF_OPS = "SELECT_TF_OPS"
    TFLITE_BUILTINS_INT8 = "TFLITE_BUILTINS_INT8"
    EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 = (
        "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
    )
    EXPERIMENTAL_STABLEHLO_OPS = "EXPERIMENTAL_STABLEHLO_OPS"


class TargetSpec:
    """The target of a file: the supported operations, and the dtypes of weights.

    >>> tf.lite.TargetSpec().supported_types
    set()
    """

    def __init__(
        self,
        supported_ops: Iterable[OpsSet] | None = None,
        supported_types: Iterable[Any] | None = None,
        experimental_select_user_tf_ops: Iterable[str] | None = None,
        experimental_supported_backends: Iterable[str] | None = None,
    ):
        self.supported_ops = {OpsSet.TFLITE_BUILTINS} if supported_ops is None else supported_ops
        self.supported_types = supported_types or set()
        self.experimental_select_user_tf_ops = experimental_select_user_tf_ops or set()
        self.experimental_supported_backends = experimental_supported_backends


class RepresentativeDataset:
    """A function that yields examples of a model's inputs: lists or dicts of arrays.

    >>> data = tf.lite.RepresentativeDataset(lambda: iter([[1.0]]))
    >>> list(data.input_gen())
    [[1.0]]
    """

    def __init__(self, input_gen: Callable[[], Iterable[Any]]):
        self.input_gen = input_gen


class TFLiteConverter:
    """Converts a model to the bytes of a `.tflite` file, with its attributes as settings.

    All attributes of TensorFlow's own converter may be set.

    Example (runs TensorFlow in a separate process)::

        model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1)])
        data = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    """

    def __init__(self, write: Callable[[dict[str, Any]], bytes]):
        self._write = write
        self.optimizations: Sequence[Optimize] = []
        self.representative_dataset: Any = None
        self.target_spec = TargetSpec()

    @classmethod
    @entry
    def from_keras_model(cls, model: Any) -> TFLiteConverter:
        """A converter of a model's call. Raises ValueError for a model that is not built, and
        TypeError for other objects."""
        signature = signature_of(model)
        return cls(lambda settings: _converted(model.__call__, signature, [model], settings))

    @classmethod
    @entry
    def from_concrete_functions(cls, funcs: Any, trackable_obj: Any = None) -> TFLiteConverter:
        """A converter of the only function in a list, a concrete function or a `tf.function` with
        an `input_signature`. Raises ValueError for others."""
        if not isinstance(funcs, (list, tuple)) or len(funcs) != 1:
            count = len(funcs) if isinstance(funcs, (list, tuple)) else repr(funcs)
            raise ValueError(
                f"from_concrete_functions() takes a list of one function. Received: {count}"
            )
        concrete = saved_model.concrete_of(funcs[0])
        names = saved_model.input_names(concrete)
        endpoint = saved_model.endpoint_of(concrete, "serve", saved_model.by_name, names)
        return cls(lambda settings: _of_endpoint(endpoint, settings))

    @classmethod
    @entry
    def from_saved_model(
        cls, saved_model_dir: str | os.PathLike, signature_keys: Any = None, tags: Any = None
    ) -> TFLiteConverter:
        """A converter of one signature of a TensorFlow SavedModel, the only one or that of
        `signature_keys`. The path is checked by `convert`."""
        path = os.fspath(saved_model_dir)
        if tags not in (None, [saved_model.SERVING], {saved_model.SERVING}):
            raise ValueError(f"tags other than ['serve'] are not read. Received: tags={tags!r}")
        keys = None if signature_keys is None else list(signature_keys)

        def write(settings: dict[str, Any]) -> bytes:
            if not is_saved_model(path):
                raise OSError(f"There is no SavedModel of TensorFlow's in '{path}'.")
            return litert_format.converted_saved_model(path, keys, settings)

        return cls(write)

    @entry
    def convert(self) -> bytes:
        """The bytes of the file.

        Raises ImportError if TensorFlow is not installed; ValueError, with the layer's name, for a
        computation that LiteRT has no operation for, and for unknown settings.
        """
        settings = {name: value for name, value in vars(self).items() if name != "_write"}
        target = settings.pop("target_spec")
        settings["target_spec"] = {k: v for k, v in vars(target).items() if v}
        return self._write(settings)


def _converted(function: Any, signature: Any, roots: list[Any], settings: dict[str, Any]) -> bytes:
    return _of_endpoint(Endpoint("serve", function, signature, roots), settings)


def _of_endpoint(endpoint: Endpoint, settings: dict[str, Any]) -> bytes:
    arrays = archive.arrays_of(archive.variables_by_path(endpoint.variables))
    return litert_format.converted([endpoint], arrays, settings)


# -- the interpreter --------------------------------------------------------------------------


def _runtime() -> Any:
    return foreign.library("ai_edge_litert.interpreter", "tf.lite.Interpreter", "keraslike[litert]")


class _Experimental:
    """`tf.lite.experimental`, as far as `ai_edge_litert` has it."""

    def __getattr__(self, name: str) -> Any:
        if name in ("OpResolverType", "load_delegate"):
            return getattr(_runtime(), name)
        raise AttributeError(f"keraslike has no tf.lite.experimental.{name}.")


experimental = _Experimental()


def __getattr__(name: str) -> Any:
    if name == "Interpreter":
        return _runtime().Interpreter
    raise AttributeError(f"module 'keraslike.tf.lite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["Interpreter", *__all__]
