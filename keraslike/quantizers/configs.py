"""Configurations of `quantize`: a mode and its options."""

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
    """The base class of configurations. A subclass has a `mode`.

    Args:
        weight_quantizer: the quantizer of weights, in modes that have a choice.
        activation_quantizer: the quantizer of inputs, or `None` to leave them floats.

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
        """The prefix of the name of a quantized layer's policy."""
        return self.mode


class Int8QuantizationConfig(QuantizationConfig):
    """8-bit weights and, by default, 8-bit inputs.

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
    """4-bit weights, two in a byte.

    Args:
        weight_quantizer: by default an `AbsMaxQuantizer` with a scale for each output.
        activation_quantizer: by default none, so that inputs stay floats.
        block_size: the number of inputs of an output that share a scale and a zero point; `None`
            or -1 for one scale for each output. Only then may quantizers be given.

    Raises ValueError for other block sizes and for quantizers of another range.

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
        return super().from_config({"block_size": None, **config})  # the default in older files

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
    """Training with products of 8-bit floats.

    >>> Float8QuantizationConfig().mode
    'float8'
    """

    mode = "float8"  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(None, None)

    def get_config(self) -> dict[str, Any]:
        return {}


class _CalibratedConfig(QuantizationConfig):
    """The common options of GPTQ and AWQ, which calibrate layers with samples of their inputs."""

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
        """The arguments, without those that are only needed during quantization."""
        once = ("dataset", "tokenizer", "quantization_layer_structure")
        names = inspect.signature(type(self)).parameters
        return {name: None if name in once else getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def dtype_policy_string(self) -> str:
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"


class GPTQConfig(_CalibratedConfig):
    """GPTQ (Frantar et al., arXiv:2210.17323): the rounding error of each weight is compensated by
    the weights that are rounded later, as far as their inputs are correlated.

    Args:
        dataset: texts, or arrays of token ids.
        tokenizer: an object whose `tokenize(text)` returns token ids.
        weight_bits: 2, 3, 4 or 8.
        num_samples: the number of sequences for calibration.
        per_channel: whether each output has its own range.
        sequence_length: the length of a sequence.
        hessian_damping: the fraction of the mean of the Hessian's diagonal that is added to it.
        group_size: the number of inputs of an output that share a scale; -1 for all.
        symmetric: whether ranges are symmetric around 0.
        activation_order: whether the largest inputs are rounded first.
        quantization_layer_structure: `{"pre_block_layers": [...], "sequential_blocks": [...]}`,
            layers that are called one after the other; by default the result of the model's
            `get_quantization_layer_structure`.

    Raises ValueError for numbers outside of these ranges.

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
    """AWQ (Lin et al., arXiv:2306.00978): weights of large inputs are scaled up before rounding, by
    factors that a search finds.

    Args:
        dataset: texts, or arrays of token ids.
        tokenizer: an object whose `tokenize(text)` returns token ids.
        weight_bits: 4.
        num_samples: the number of sequences for calibration.
        sequence_length: the length of a sequence.
        group_size: the number of inputs of an output that share a scale; -1 for all.
        num_grid_points: the number of scales to try.
        quantization_layer_structure: see `GPTQConfig`.

    Raises ValueError for numbers outside of these ranges.

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
    """The configuration for a mode or a configuration, or for both.

    Raises ValueError if they contradict each other, for an unknown mode, and for GPTQ or AWQ
    without a configuration.

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
    """Whether a layer passes the filters: regular expressions for its name, or a predicate."""
    if filters is None:
        return True
    if isinstance(filters, Callable):
        return bool(filters(layer))
    return any(
        re.search(f, layer.name) for f in ([filters] if isinstance(filters, str) else filters)
    )
