"""Layers-models of TensorFlow.js (`tf.loadLayersModel`), which a browser can train further.

TensorFlow.js has the layers of Keras 2. A model is written as a layers-model if all of its layers
are among them, with arguments that have the same meaning there; `write` returns False for any
other. Initializers, regularizers and constraints are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keraslike import layers
from keraslike.core import lowering
from keraslike.export import tfjs_format
from keraslike.models import Model, Sequential
from keraslike.models.functional import Functional
from keraslike.saving import keras_archive, legacy_h5

_VERSION = "2.15.0"  # the version of Keras whose config format is written
_ACTIVATIONS = {
    **{n: n for n in ("elu", "linear", "relu", "relu6", "selu", "sigmoid", "softmax", "softplus")},
    **{n: n for n in ("softsign", "tanh")},
} | {"silu": "swish", "keras2_hard_sigmoid": "hard_sigmoid"}
_CHANNELS = {"data_format": ("channels_last", None)}
_CONV = "filters kernel_size strides padding dilation_rate activation use_bias"
_DEPTHWISE = "depth_multiplier kernel_size strides padding dilation_rate activation use_bias"
_RECURRENT = (
    "units activation recurrent_activation use_bias return_sequences go_backwards dropout "
    "recurrent_dropout unroll"
)
_PLAIN_RECURRENT = {
    "return_state": (False,),
    "stateful": (False,),
    "zero_output_for_mask": (False,),
    "unit_forget_bias": (True, False),
}

# Class -> the arguments that are written, and the values that the other arguments must have.
_LAYERS: dict[str, tuple[str, dict[str, tuple]]] = {
    "Activation": ("activation", {}),
    "Add": ("", {}),
    "AlphaDropout": ("rate", {"noise_shape": (None,)}),
    "Average": ("", {}),
    "AveragePooling1D": ("pool_size strides padding", _CHANNELS),
    "AveragePooling2D": ("pool_size strides padding", _CHANNELS),
    "BatchNormalization": (
        "axis momentum epsilon center scale",
        {"synchronized": (False,), "renorm": (False,), "renorm_clipping": (None,)},
    ),
    "Bidirectional": ("layer merge_mode", {}),
    "Concatenate": ("axis", {}),
    "Conv1D": (_CONV, {"groups": (1,), **_CHANNELS}),
    "Conv2D": (_CONV, {"groups": (1,), **_CHANNELS}),
    "Conv2DTranspose": (
        "filters kernel_size strides padding activation use_bias",
        {
            "groups": (1,),
            "output_padding": (None,),
            "dilation_rate": ((1, 1), [1, 1], 1),
            **_CHANNELS,
        },
    ),
    "Cropping2D": ("cropping", _CHANNELS),
    "Dense": ("units activation use_bias", {"lora_rank": (None,), "quantization_config": (None,)}),
    "DepthwiseConv2D": (_DEPTHWISE, {"groups": (1,), "filters": (None,), **_CHANNELS}),
    "Dropout": ("rate", {"noise_shape": (None,)}),
    "ELU": ("", {"alpha": (1, 1.0)}),
    "Embedding": (
        "input_dim output_dim mask_zero",
        {"lora_rank": (None,), "quantization_config": (None,), "sparse": (False,)},
    ),
    "Flatten": ("", _CHANNELS),
    "GRU": (_RECURRENT, {"reset_after": (False,), **_PLAIN_RECURRENT}),
    "GaussianDropout": ("rate", {}),
    "GaussianNoise": ("stddev", {}),
    "GlobalAveragePooling1D": ("", {"keepdims": (False,), **_CHANNELS}),
    "GlobalAveragePooling2D": ("", {"keepdims": (False,), **_CHANNELS}),
    "GlobalMaxPooling1D": ("", {"keepdims": (False,), **_CHANNELS}),
    "GlobalMaxPooling2D": ("", {"keepdims": (False,), **_CHANNELS}),
    "LSTM": (f"{_RECURRENT} unit_forget_bias", _PLAIN_RECURRENT),
    "LayerNormalization": ("axis epsilon center scale", {"rms_scaling": (False,)}),
    "LeakyReLU": ("negative_slope", {}),
    "Masking": ("mask_value", {}),
    "MaxPooling1D": ("pool_size strides padding", _CHANNELS),
    "MaxPooling2D": ("pool_size strides padding", _CHANNELS),
    "Maximum": ("", {}),
    "Minimum": ("", {}),
    "Multiply": ("", {}),
    "Permute": ("dims", {}),
    "ReLU": ("max_value", {"negative_slope": (0, 0.0), "threshold": (0, 0.0)}),
    "RepeatVector": ("n", {}),
    "Reshape": ("target_shape", {}),
    "SeparableConv2D": (f"filters {_DEPTHWISE}", {"groups": (1,), **_CHANNELS}),
    "SimpleRNN": (_RECURRENT.replace("recurrent_activation ", ""), _PLAIN_RECURRENT),
    "Softmax": ("axis", {}),
    "SpatialDropout1D": ("rate", {"noise_shape": (None,)}),
    "TimeDistributed": ("layer", {}),
    "UpSampling2D": ("size", {"interpolation": ("nearest",), **_CHANNELS}),
    "ZeroPadding2D": ("padding", _CHANNELS),
}
_RENAMED = {"negative_slope": "alpha"}
_IGNORED = ("name", "trainable", "dtype", "seed", "autocast", "renorm_momentum")
_IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
# The layers that a model with masks may have.
_OF_MASKS = {"Embedding", "Masking", "LSTM", "SimpleRNN", "Dense", "Dropout", "InputLayer"}


class _NoLayer(Exception):
    """TensorFlow.js lacks a layer, or this use of it."""


def write(model: Any, path: str) -> bool:
    """Writes a model as a layers-model if TensorFlow.js has all of its layers, and returns whether
    it does. Raises what `files.placing` does."""
    try:
        topology = _model(model)
        weights = dict(_weights(model))
    except _NoLayer:
        return False
    with lowering.undisturbed(list(weights.values())):
        arrays = {n: np.asarray(v, "float32") for n, v in weights.items()}
    about = {"keras_version": _VERSION, "backend": "tensorflow", "model_config": topology}
    tfjs_format.place(path, "layers-model", about, arrays, [model])
    return True


def _model(model: Any) -> dict[str, Any]:
    entry = keras_archive.config_of(model)
    own = type(model) in (Functional, Sequential, Model)
    if not own or not isinstance(model, (Functional, Sequential)):
        raise _NoLayer("a model of a class of its own")
    if isinstance(model, Sequential) and not model.built:
        raise _NoLayer("a model without an input")
    found = _entry(entry, model)
    kinds = {kind for kind, _ in _classes(found)}
    masked = any(kind == "Masking" or config.get("mask_zero") for kind, config in _classes(found))
    if masked and not kinds <= _OF_MASKS | {"Functional", "Sequential"}:
        raise _NoLayer("masks")
    return found


def _classes(entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    config = entry["config"]
    yield entry["class_name"], config
    inner = [*config.get("layers", []), *([config["layer"]] if "layer" in config else [])]
    for layer in inner:
        yield from _classes(layer)


def _entry(entry: dict[str, Any], layer: Any) -> dict[str, Any]:
    """The entry of a layer or model in the form of Keras 2."""
    kind, config = entry["class_name"], entry["config"]
    if entry.get("registered_name") not in (None, kind):
        raise _NoLayer(kind)
    if kind == "InputLayer":
        if config.get("sparse") or config.get("ragged"):
            raise _NoLayer("a sparse input")
        if config["dtype"] not in ("float32", "int32", "bool"):
            raise _NoLayer(f"an input of {config['dtype']}")
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        about = {"batch_input_shape": shape, "dtype": config["dtype"], "sparse": False}
        return {"class_name": kind, "config": {**about, "name": config["name"]}}
    if kind in ("Sequential", "Functional"):
        by_name = {x.name: x for x in layer._flatten_layers() if x is not layer}
        made = []
        for one in config["layers"]:
            inner = by_name.get(one["config"]["name"])
            made.append(
                _node(one, _entry(one, inner)) if kind == "Functional" else _entry(one, inner)
            )
        about = {"name": config["name"], "layers": made}
        if kind == "Functional":
            about |= {n: _places(config[n]) for n in ("input_layers", "output_layers")}
        return {"class_name": kind, "config": about}
    if kind not in _LAYERS or type(layer) is not getattr(layers, kind, None):
        raise _NoLayer(kind)
    if str(layer.dtype_policy.name) != "float32":
        raise _NoLayer(f"the policy {layer.dtype_policy.name}")
    if kind == "Bidirectional":
        config = _merged_bidirectional(config)
    kept, required = _LAYERS[kind]
    about = {"name": config["name"], "trainable": bool(config.get("trainable", True))}
    for name, value in dict[str, Any](config).items():
        if name in kept.split():
            about[_RENAMED.get(name, name)] = _value(name, value, layer)
        elif name in required:
            if value not in required[name]:
                raise _NoLayer(f"{kind} with {name}={value!r}")
        elif name not in _IGNORED and not name.endswith(_IGNORED_ENDINGS):
            raise _NoLayer(f"{kind} with {name}={value!r}")
    if "data_format" in config:
        about["data_format"] = "channels_last"
    return {"class_name": kind, "config": about}


def _merged_bidirectional(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a Bidirectional whose backward layer is like its forward layer but for the
    direction; the backward layer is left out."""
    one, other = (dict(config[n]["config"]) for n in ("layer", "backward_layer"))
    ways = {bool(x.pop("go_backwards")) for x in (one, other)}
    for x in (one, other):
        x.pop("name")
    same = config["layer"]["class_name"] == config["backward_layer"]["class_name"]
    if not same or one != other or len(ways) != 2:
        raise _NoLayer("Bidirectional with a layer of its own for each way")
    return {k: v for k, v in config.items() if k != "backward_layer"}


def _value(name: str, value: Any, layer: Any) -> Any:
    if name.endswith("activation"):
        if not isinstance(value, str) or value not in _ACTIVATIONS:
            raise _NoLayer(f"the activation {value!r}")
        return _ACTIVATIONS[value]
    if name == "layer":  # models with masks have no wrappers, so the argument for masks is unused
        inner = {k: v for k, v in value["config"].items() if k != "zero_output_for_mask"}
        return _entry({**value, "config": inner}, layer.layer)
    if name == "axis" and isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise _NoLayer("several axes")
        return value[0]
    if name == "padding" and value == "causal":
        raise _NoLayer("causal padding")
    if name == "target_shape" and -1 in value:
        sizes = {tuple(call.outputs[0].shape[1:]) for call in layer._inbound_nodes}
        if len(sizes) != 1 or None in next(iter(sizes)):
            raise _NoLayer("a shape that is not known")
        (value,) = sizes
    return list(value) if isinstance(value, tuple) else value


def _node(entry: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """The calls of a layer as lists of `[layer, call, output, arguments]`."""
    calls = []
    for call in entry["inbound_nodes"]:
        if any(value is not None for value in call["kwargs"].values()) or len(call["args"]) != 1:
            raise _NoLayer("a call with arguments")
        (given,) = call["args"]
        tensors = given if isinstance(given, list) else [given]
        if not all(
            isinstance(t, dict) and t.get("class_name") == "__keras_tensor__" for t in tensors
        ):
            raise _NoLayer("a call on something else than tensors")
        calls.append([[*t["config"]["keras_history"], {}] for t in tensors])
    return {**made, "name": made["config"]["name"], "inbound_nodes": calls}


def _places(places: Any) -> list[Any]:
    if isinstance(places, dict):
        raise _NoLayer("tensors that have names of their own")
    return [places] if isinstance(places[0], str) else list(places)


def _weights(model: Any) -> Iterator[tuple[str, Any]]:
    """The weights by the names that TensorFlow.js gives them."""
    taken: set[str] = set()
    for layer in model.layers:
        if isinstance(layer, Model):
            found = _weights(layer)
        elif isinstance(layer, layers.Bidirectional):
            inner = layer.get_config()["layer"]["config"]["name"]
            found = (
                (f"{layer.name}/{way}_{inner}/{v.name}", v)
                for way, half in (
                    ("forward", layer.forward_layer),
                    ("backward", layer.backward_layer),
                )
                for v in legacy_h5._weights_of(half)
            )
        else:
            first = "depthwise_" if isinstance(layer, layers.DepthwiseConv2D) else ""
            found = (
                (f"{layer.name}/{first if v.name == 'kernel' else ''}{v.name}", v)
                for v in legacy_h5._weights_of(layer)
            )
        for name, variable in found:
            if name in taken:
                raise _NoLayer(f"two weights '{name}'")
            taken.add(name)
            yield name, variable
