"""Configurations of `quantize`: the mode, and what it is told besides."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from keraslike.core import serialization
from keraslike.core.configured import Configured
from keraslike.core.policies import QUANTIZATION_MODES
from keraslike.quantizers.quantizers import INT4, AbsMaxQuantizer


class QuantizationConfig(Configured):
    """Base of the configurations; a subclass has a `mode`.

    Args:
        weight_quantizer: how weights are quantized, where the mode lets one choose.
        activation_quantizer: how inputs are quantized; `None` where they are not.

    >>> Int8QuantizationConfig().mode
    'int8'
    """

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None):
        self.weight_quantizer = weight_quantizer
        self.activation_quantizer = activation_quantizer

    @property
    def mode(self) -> str:
        raise NotImplementedError(
            "A subclass has a `mode`. Do not instantiate QuantizationConfig directly."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            name: serialization.serialize(value) for name, value in super().get_config().items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**{name: serialization.deserialize(value) for name, value in config.items()})

    def dtype_policy_string(self) -> str:
        """What the name of a quantized layer's policy begins with."""
        return self.mode


class Int8QuantizationConfig(QuantizationConfig):
    """Weights, and by default inputs, of one byte.

    Args:
        weight_quantizer: by default an `AbsMaxQuantizer` with a scale for each output.
        activation_quantizer: by default an `AbsMaxQuantizer` with a scale for each sample; `None`
            to quantize only the weights.

    Raises ValueError for a weight quantizer of another dtype.

    >>> Int8QuantizationConfig().activation_quantizer.value_range
    (-127, 127)
    """

    mode = "int8"  # type: ignore[assignment]

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default"):
        if isinstance(activation_quantizer, str) and activation_quantizer == "default":
            activation_quantizer = AbsMaxQuantizer()
        super().__init__(weight_quantizer, activation_quantizer)
        _check_weight_quantizer(self)


class Int4QuantizationConfig(QuantizationConfig):
    """Weights of four bits, two in a byte.

    Args:
        weight_quantizer: by default an `AbsMaxQuantizer` with a scale for each output.
        activation_quantizer: by default none: inputs stay floats.
        block_size: how many inputs of an output have a scale and a zero point of their own; `None`
            or -1 for a scale for each output, which alone may have quantizers of one's own.

    Raises ValueError for other block sizes and for quantizers that are not of that range.

    >>> Int4QuantizationConfig(block_size=64).dtype_policy_string()
    'int4/64'
    """

    mode = "int4"  # type: ignore[assignment]

    def __init__(
        self,
        weight_quantizer: Any = None,
        activation_quantizer: Any = "default",
        block_size: int | None = 128,
    ):
        if isinstance(activation_quantizer, str) and activation_quantizer == "default":
            activation_quantizer = None
        super().__init__(weight_quantizer, activation_quantizer)
        if block_size is not None and block_size != -1 and block_size <= 0:
            raise ValueError(
                f"block_size must be None, -1, or a positive integer. Received: {block_size=}"
            )
        self.block_size = block_size
        blocks = block_size is not None and block_size > 0
        if blocks and (weight_quantizer is not None or activation_quantizer is not None):
            raise ValueError(
                "Int4 sub-channel quantization (block_size > 0) does not support custom "
                "quantizers: give block_size=None or -1 for one scale for each output. "
                f"Received: block_size={block_size}"
            )
        _check_weight_quantizer(self, INT4)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return super().from_config({"block_size": None, **config})  # what files once meant

    def dtype_policy_string(self) -> str:
        return f"int4/{-1 if self.block_size is None else self.block_size}"


def _check_weight_quantizer(config: Any, value_range: Any = None) -> None:
    quantizer, name = config.weight_quantizer, type(config).__name__
    if quantizer is None:
        return
    if value_range is not None and tuple(quantizer.value_range) != value_range:
        raise ValueError(
            f"The weight_quantizer of {name} must have value_range={value_range}. "
            f"Received: value_range={quantizer.value_range}"
        )
    if quantizer.output_dtype != "int8":
        raise ValueError(
            f"The weight_quantizer of {name} must have output_dtype='int8'. "
            f"Received: output_dtype={quantizer.output_dtype}"
        )


class Float8QuantizationConfig(QuantizationConfig):
    """Training with products of floats of one byte.

    >>> Float8QuantizationConfig().mode
    'float8'
    """

    mode = "float8"  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(None, None)

    def get_config(self) -> dict[str, Any]:
        return {}


class _CalibratedConfig(QuantizationConfig):
    """What GPTQ and AWQ share: they look at what comes into a layer for a number of samples."""

    def __init__(self, given: dict[str, Any]):
        super().__init__()
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)
        for name in ("num_samples", "sequence_length", "num_grid_points"):
            if getattr(self, name, 1) <= 0:
                value = getattr(self, name)
                raise ValueError(f"{name} must be a positive integer. Received: {name}={value}")
        if self.group_size < -1 or self.group_size == 0:
            raise ValueError(
                "Invalid group_size. Supported values are -1 (one group) or a positive integer, "
                f"but got {self.group_size}."
            )

    dataset: Any
    tokenizer: Any
    weight_bits: int
    group_size: int
    num_samples: int
    sequence_length: int
    quantization_layer_structure: Any

    def get_config(self) -> dict[str, Any]:
        """The arguments, without what is of use only while a model is quantized."""
        once = ("dataset", "tokenizer", "quantization_layer_structure")
        names = inspect.signature(type(self)).parameters
        return {name: None if name in once else getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def dtype_policy_string(self) -> str:
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"


class GPTQConfig(_CalibratedConfig):
    """GPTQ (Frantar et al., arXiv:2210.17323): each weight's rounding error is made up for by the
    weights that are rounded after it, as far as inputs go together.

    Args:
        dataset: texts, or arrays of token ids.
        tokenizer: an object whose `tokenize(text)` gives token ids.
        weight_bits: 2, 3, 4 or 8.
        num_samples: how many pieces of the data the layers are run on.
        per_channel: whether each output has a range of its own.
        sequence_length: the length of a piece.
        hessian_damping: the part of the mean of its diagonal that is added to the Hessian.
        group_size: how many inputs of an output have one scale; -1 for all.
        symmetric: whether ranges are as wide on both sides of 0.
        activation_order: whether the inputs that are largest are rounded first.
        quantization_layer_structure: `{"pre_block_layers": [...], "sequential_blocks": [...]}`:
            the layers of which each is called on the output of the one before; the model's
            `get_quantization_layer_structure` is asked where it is left out.

    Raises ValueError for numbers that are none of these.

    >>> GPTQConfig(dataset=None, tokenizer=None, group_size=64).dtype_policy_string()
    'gptq/4/64'
    """

    mode = "gptq"  # type: ignore[assignment]

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict | None = None,
    ):
        super().__init__(locals())
        if weight_bits not in (2, 3, 4, 8):
            raise ValueError(
                f"Unsupported weight_bits {weight_bits}. Supported values are 2, 3, 4, and 8."
            )
        if not 0 <= hessian_damping <= 1:
            raise ValueError(
                f"hessian_damping must be between 0 and 1. Received: {hessian_damping=}"
            )


class AWQConfig(_CalibratedConfig):
    """AWQ (Lin et al., arXiv:2306.00978): weights of inputs that are large are scaled up before
    they are rounded, by as much as is found to be best.

    Args:
        dataset: texts, or arrays of token ids.
        tokenizer: an object whose `tokenize(text)` gives token ids.
        weight_bits: 4.
        num_samples: how many pieces of the data the layers are run on.
        sequence_length: the length of a piece.
        group_size: how many inputs of an output have one scale; -1 for all.
        num_grid_points: how many scales are tried.
        quantization_layer_structure: as of a `GPTQConfig`.

    Raises ValueError for numbers that are none of these.

    >>> AWQConfig(dataset=None, tokenizer=None).dtype_policy_string()
    'awq/4/128'
    """

    mode = "awq"  # type: ignore[assignment]

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict | None = None,
    ):
        super().__init__(locals())
        if weight_bits != 4:
            raise ValueError(f"AWQ only supports 4-bit quantization. Received: {weight_bits=}")


_by_mode: dict[str, type[QuantizationConfig]] = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
    "gptq": GPTQConfig,
    "awq": AWQConfig,
}


def validate_and_resolve_config(mode: str | None, config: Any) -> QuantizationConfig:
    """The configuration that a mode and a configuration, of which one may be left out, mean.

    Raises ValueError where they contradict each other, for an unknown mode, and for one of GPTQ or
    AWQ without its configuration.

    >>> validate_and_resolve_config("int4", None).block_size
    128
    """
    if isinstance(config, str):
        mode, config = config, None
    if config is not None and not isinstance(config, QuantizationConfig):
        raise ValueError(
            "Argument `config` must be an instance of `QuantizationConfig`. "
            f"Received: config={config!r} (of type {type(config).__name__})"
        )
    for named in (mode, None if config is None else config.mode):
        if named is not None and named not in QUANTIZATION_MODES:
            raise ValueError(
                f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. "
                f"Received: mode={named!r}"
            )
    if config is None:
        if mode is None:
            raise ValueError("quantize() needs a `mode` or a `config`. Received: None for both")
        kind = _by_mode[mode]
        if issubclass(kind, _CalibratedConfig):
            raise ValueError(
                f"For {mode.upper()}, you must pass a `{kind.__name__}` object in the `config` "
                "argument."
            )
        return kind()
    if mode is not None and config.mode != mode:
        raise ValueError(f"Contradictory arguments: mode='{mode}' but config.mode='{config.mode}'")
    kind = _by_mode[config.mode]
    if issubclass(kind, _CalibratedConfig) and not isinstance(config, kind):
        raise ValueError(
            f"Mode '{config.mode}' requires a valid `config` argument of type `{kind.__name__}`. "
            f"Received: {type(config)}"
        )
    return config


def should_quantize_layer(layer: Any, filters: Any) -> bool:
    """Whether one of the regular expressions is found in a layer's name, or a function says so."""
    if filters is None:
        return True
    if isinstance(filters, Callable):
        return bool(filters(layer))
    return any(
        re.search(f, layer.name) for f in ([filters] if isinstance(filters, str) else filters)
    )
