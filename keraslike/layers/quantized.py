"""Quantized weights: in which variables they are kept, and how products with them are computed.

A layer says which of its weights are factors of products (`_matrices`), over which axes of them a
product sums, and how it is computed (`_product`). The rest is the same for all of them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import quantizers
from keraslike.core import context, policies
from keraslike.core.tracebacks import is_ours
from keraslike.layers.lora import Adaptable
from keraslike.quantizers import AbsMaxQuantizer, QuantizationConfig
from keraslike.quantizers.configs import validate_and_resolve_config
from keraslike.quantizers.quantizers import INT4, dequantize_with_sz_map, straight_through


class Matrix(NamedTuple):
    """A weight that a product sums over some axes of."""

    name: str  # of its attribute
    shape: tuple[int, ...]
    summed: tuple[int, ...]
    flat: tuple[int, ...]  # the matrix whose numbers of four bits are packed
    side: int = 0  # the axis of that which is summed over
    pack: int = -1  # the axis of that along which two numbers share a byte

    def groups(self, block: int) -> tuple[int, ...]:
        """The shape of what there is for each block of `flat`."""
        shape = list(self.flat)
        shape[self.side] = -(-shape[self.side] // block)
        return tuple(shape)


# In which order files have a layer's variables; what a layer lacks is left out.
_ORDER = {
    None: "{0} bias",
    "int8": "{0} bias {0}_scale",
    "int4": "{0} bias {0}_scale {0}_zero g_idx",
    "float8": "{0} bias inputs_scale inputs_amax_history {0}_scale {0}_amax_history "
    "outputs_grad_scale outputs_grad_amax_history",
    "gptq": "bias quantized_kernel kernel_scale kernel_zero g_idx",
    "awq": "bias quantized_kernel kernel_scale kernel_zero awq_scales g_idx",
}
_CALIBRATED = ("gptq", "awq")  # modes whose numbers come of data, see `keraslike.quantizers.gptq`


class Quantizable(Adaptable):
    """Base of the layers whose weights can be quantized.

    Args:
        quantization_config: how, where `dtype` is a policy of quantization and does not say it.

    A subclass has `_matrices()` and makes its weights by `_add_matrix`.
    """

    _modes: tuple[str, ...] = policies.QUANTIZATION_MODES
    _is_quantized = False
    is_gptq_calibrated = is_awq_calibrated = False
    inputs_quantizer: Any = None
    _quantizes_inputs = ("int8",)  # modes in which inputs are, where no configuration says

    def __init__(self, *args: Any, quantization_config: Any = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not isinstance(quantization_config, (QuantizationConfig, type(None))):
            raise ValueError(
                "quantization_config must be a QuantizationConfig. "
                f"Received: quantization_config={quantization_config!r}"
            )
        self.quantization_config = quantization_config

    def _matrices(self) -> list[Matrix]:
        raise NotImplementedError

    def _product(self, inputs: Any, weight: Any) -> Any:
        """The product with a weight; of two arrays of int8 it is one of int32."""
        raise NotImplementedError

    # -- which mode ---------------------------------------------------------------------------

    def _check_quantized(self, policy: policies.DTypePolicy) -> None:
        if policy.quantization_mode not in (None, *self._modes):
            raise self._not_a_mode(policy.quantization_mode)
        if self.built and not self._is_quantized and policy.quantization_mode in _CALIBRATED:
            raise ValueError(
                f"Layer '{self.name}' cannot be quantized by setting its dtype policy to "
                f"{policy!r}: call quantize({policy.quantization_mode!r}, config=...), which looks "
                "at data."
            )

    def _policy_changed(self) -> None:
        if self.built and not self._is_quantized and self.quantization_mode is not None:
            self.quantize(self.quantization_mode, type_check=False)

    def _not_a_mode(self, mode: Any) -> NotImplementedError:
        return NotImplementedError(
            f"Invalid quantization mode. Expected one of {self._modes} for layer '{self.name}' "
            f"({type(self).__name__}). Received: quantization_mode={mode!r}"
        )

    def _setting(self, name: str) -> Any:
        """`block_size`, `group_size` or `weight_bits`, of the configuration or else the policy."""
        config = self.quantization_config
        of = config if hasattr(config, name) else self._own_policy()
        return getattr(of, name, None)

    @property
    def _int4_block_size(self) -> int | None:
        size = self._setting("block_size")
        return None if size == -1 else size

    @property
    def _mode_in_use(self) -> str | None:
        """The mode by which products are computed: none before data were looked at."""
        mode = self.quantization_mode
        waits = mode in _CALIBRATED and not getattr(self, f"is_{mode}_calibrated")
        return None if waits else mode

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Quantizes the weights, which takes their floats away but for `"float8"`.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`; the last two are done by
                `Model.quantize`, which looks at data.
            type_check: whether to refuse a layer of a class of one's own.
            config: a configuration, which may say the mode as well.

        Raises ValueError for an unknown mode and for a layer that is not built or is quantized
        already, NotImplementedError for a mode that this layer does not have.
        """
        config = validate_and_resolve_config(mode, config)
        mode = config.mode
        self._check_quantize(mode)
        if type_check and not is_ours(type(self)):
            raise NotImplementedError(
                f"Layer {type(self).__name__} is of a class of your own, whose call may need the "
                "floats of its weights: quantize(..., type_check=False) quantizes it anyway."
            )
        if mode not in self._modes:
            raise self._not_a_mode(mode)
        if self.lora_enabled and mode in ("float8", *_CALIBRATED):
            raise NotImplementedError(
                f"lora is not supported with {mode} quantization. Received: layer '{self.name}'"
            )
        self.quantization_config = config
        values: dict[str, Any] = {}
        for m in self._matrices() if mode in ("int8", "int4") else ():
            values |= self._rounded(m, mode, np.asarray(vars(self)[m.name]._raw_value))
        with self._adding():
            self.quantized_build(None, mode, config)
        for name, value in values.items():
            self._variable(name).assign(value)
        policy = self._own_policy()
        if policy.quantization_mode is None:
            self.dtype_policy = f"{config.dtype_policy_string()}_from_{policy.name}"

    @contextlib.contextmanager
    def _adding(self) -> Iterator[None]:
        """While variables are made after the layer was built."""
        self._building = True
        try:
            with context.using(names=tuple(self.path.split("/")), autocast=None):
                yield
        finally:
            del self._building

    # -- variables ----------------------------------------------------------------------------

    def _add_matrix(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Makes a weight of floats by `add_weight`, but where it is quantized already."""
        mode = self.quantization_mode
        if mode is not None and not self._is_quantized:
            self.quantized_build(None, mode, self.quantization_config)
        if mode in (None, "float8"):
            setattr(self, name, self.add_weight(*args, name=name, **kwargs))

    def _variable(self, name: str) -> Any:
        return vars(self).get(name)

    def quantized_build(self, input_shape: Any, mode: str, config: Any = None) -> None:
        """Makes the variables of a mode."""
        if mode not in self._modes:
            raise self._not_a_mode(mode)
        if mode == "float8":
            length = getattr(self._own_policy(), "amax_history_length", 1024)
            for of in ("inputs", "kernel", "outputs_grad"):
                how = {"dtype": "float32", "autocast": False, "overwrite_with_gradient": True}
                for name, shape, start in (("scale", (), "ones"), ("amax_history", length, "zeros")):
                    shape = (shape,) if isinstance(shape, int) else shape
                    made = self.add_weight(shape, start, name=f"{of}_{name}", **how)
                    setattr(self, f"{of}_{name}", made)
        elif mode in _CALIBRATED:
            self._build_calibrated(mode)
        else:
            self.inputs_quantizer = (
                (AbsMaxQuantizer() if mode in self._quantizes_inputs else None)
                if config is None
                else config.activation_quantizer
            )
            for m in self._matrices():
                self._build_rounded(m, mode)
        self._is_quantized = True

    def _fixed(self, name: str, shape: Any, initializer: Any, dtype: Any, called: Any = None) -> None:
        made = self.add_weight(shape, initializer, dtype, trainable=False, name=called or name)
        setattr(self, name, made)

    def _build_rounded(self, m: Matrix, mode: str) -> None:
        block = self._int4_block_size
        if mode == "int8":
            self._fixed(m.name, m.shape, "zeros", "int8")
            sizes = [1 if i in m.summed else n for i, n in enumerate(m.shape)]
            self._fixed(f"{m.name}_scale", self._to_outputs(m, np.empty(sizes)).shape, "ones", None)
            return
        packed = list(m.flat)
        packed[m.pack] = -(-packed[m.pack] // 2)
        self._fixed(m.name, packed, "zeros", "int8")
        if block is None:
            self._fixed(f"{m.name}_scale", (m.flat[1 - m.side],), "ones", None)
            return
        self._fixed(f"{m.name}_scale", m.groups(block), "ones", None)
        self._fixed(f"{m.name}_zero", m.groups(block), "zeros", self._zero_dtype(m))
        if "g_idx" not in vars(self):
            self._fixed("g_idx", (m.flat[m.side],), "zeros", "float32")
            self.g_idx.assign(np.arange(m.flat[m.side]) // block)

    def _zero_dtype(self, m: Matrix) -> Any:
        return "int8"

    def _build_calibrated(self, mode: str) -> None:
        rows, columns = self._calibrated_shape()
        group = self._setting("group_size")
        groups = 1 if group == -1 else math.ceil(rows / group)
        zero = "kernel_zero" if len(self._matrices()[0].shape) == len(self._scale_axes()) else None
        bytes_ = -(-columns // 2) if self._setting("weight_bits") == 4 else columns
        self._fixed("quantized_kernel", (bytes_, rows), "zeros", "uint8", "kernel")
        self._fixed("kernel_scale", (columns, groups), "ones", None)
        self._fixed("kernel_zero", (columns, groups), "zeros", "uint8", zero)
        if mode == "awq":
            self._fixed("awq_scales", (rows,), "ones", None)
        self._fixed("g_idx", (rows,), "zeros", "float32")
