"""Quantization of weights, inputs and products to few bits."""

from __future__ import annotations

from typing import Any

from keraslike.core import registry, serialization
from keraslike.quantizers.configs import (
    AWQConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from keraslike.quantizers.quantizers import (
    AbsMaxQuantizer,
    Quantizer,
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
    compute_float8_amax_history,
    compute_float8_scale,
    fake_quant_with_min_max_vars,
    pack_int4,
    quantize_and_dequantize,
    unpack_int4,
)

_classes = (
    *(Quantizer, AbsMaxQuantizer, QuantizationConfig, Int8QuantizationConfig),
    *(Int4QuantizationConfig, Float8QuantizationConfig, GPTQConfig, AWQConfig),
)
registry.publish("keras", {"Quantizer": Quantizer})
registry.publish("keras.quantizers", {c.__name__: c for c in _classes})


def get(identifier: Any, **kwargs: Any) -> Any:
    """A quantizer from a name, a config, a class, a function, or `None` itself.

    Arguments may follow the name or class. Raises ValueError for a name that does not exist.

    >>> get("abs_max_quantizer", axis=0).axis
    (0,)
    """
    if kwargs and isinstance(identifier, (str, type)):
        found = identifier if isinstance(identifier, type) else type(get(identifier))
        return found(**kwargs)
    return serialization.get("quantizers", identifier)


def serialize(initializer: Any) -> Any:
    """The config dict of a quantizer.

    >>> serialize(AbsMaxQuantizer())["class_name"]
    'AbsMaxQuantizer'
    """
    return serialization.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The quantizer for a config by `serialize`.

    >>> deserialize(serialize(AbsMaxQuantizer(axis=0))) == AbsMaxQuantizer(axis=0)
    True
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    *("AWQConfig", "AbsMaxQuantizer", "Float8QuantizationConfig", "GPTQConfig"),
    *("Int4QuantizationConfig", "Int8QuantizationConfig", "QuantizationConfig", "Quantizer"),
    *("abs_max_quantize", "abs_max_quantize_grouped_with_zero_point"),
    *("compute_float8_amax_history", "compute_float8_scale", "deserialize"),
    *("fake_quant_with_min_max_vars", "get", "pack_int4", "quantize_and_dequantize", "serialize"),
    "unpack_int4",
]
__dir__ = __all__.copy
