"""Quantized weights: the variables in which they are kept, and products with them.

A layer specifies which of its weights are factors of products (`_matrices`), over which axes of
them a product sums, and how it is computed (`_product`). All other code is shared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import quantizers
from keraslike.core import policies
from keraslike.core.tensor_methods import applied
from keraslike.core.tracebacks import is_ours
from keraslike.layers.lora import Adaptable
from keraslike.quantizers import AbsMaxQuantizer, QuantizationConfig
from keraslike.quantizers.configs import validate_and_resolve_config
from keraslike.quantizers.quantizers import INT4, dequantize_with_sz_map, straight_through


class Matrix(NamedTuple):
    """A weight that a product sums over some axes of."""

    name: str  # The name of the attribute.
    shape: tuple[int, ...]
    summed: tuple[int, ...]
    flat: tuple[int, ...]  # The matrix that is packed in modes with four-bit numbers.
    side: int = 0  # The axis of `flat` that the product sums over.
    pack: int = -1  # The axis of `flat` along which two numbers share a byte.
    mixed: bool = False  # Whether rows of `flat` may belong to several outputs.
    zero: str | None = "int8"  # The dtype of zero points.

    def groups(self, block: int) -> tuple[int, ...]:
        """The shape of an array with one entry for each block of `flat`."""
        shape = list(self.flat)
        shape[self.side] = -(-shape[self.side] // block)
        return tuple(shape)


# The order of a layer's variables in files; variables that the layer does not have are skipped.
_ORDER = {
    None: "{0} bias",
    "int8": "{0} bias {0}_scale",
    "int4": "{0} bias {0}_scale {0}_zero g_idx",
    "float8": "{0} bias inputs_scale inputs_amax_history {0}_scale {0}_amax_history "
    "outputs_grad_scale outputs_grad_amax_history",
    "gptq": "bias quantized_kernel kernel_scale kernel_zero g_idx",
    "awq": "bias quantized_kernel kernel_scale kernel_zero awq_scales g_idx",
}
# Modes that calibrate the weights on data, see `keraslike.quantizers.gptq`.
_CALIBRATED = ("gptq", "awq")


class Quantizable(Adaptable):
    """Base of the layers whose weights can be quantized.

    Args:
        quantization_config: the configuration, if `dtype` is a quantized policy that does not
            contain it.

    A subclass defines `_matrices()` and creates its weights by `_add_matrix`.
    """

    _modes: tuple[str, ...] = policies.QUANTIZATION_MODES
    is_gptq_calibrated = is_awq_calibrated = False
    inputs_quantizer: Any = None
    bias: Any
    _quantizes_inputs = ("int8",)  # Modes in which inputs are quantized by default.

    def __init__(self, cls: type, quantization_config: Any = None, **kwargs: Any):
        super().__init__(cls, **kwargs)
        if not isinstance(quantization_config, (QuantizationConfig, type(None))):
            raise ValueError(
                "quantization_config must be a QuantizationConfig. "
                f"Received: quantization_config={quantization_config!r}"
            )
        self.quantization_config = quantization_config

    def call(self, inputs: jax.Array) -> jax.Array:
        outputs = self._multiplied(inputs)
        if self.bias is not None:
            outputs = outputs + self._bias()
        return outputs if self.activation is None else applied(self.activation, outputs)

    def _matrices(self) -> list[Matrix]:
        raise NotImplementedError

    def _product(self, inputs: Any, weight: Any) -> Any:
        """The product of inputs and a weight; for two int8 arrays it is int32."""
        raise NotImplementedError

    # -- modes --------------------------------------------------------------------------------

    def _check_quantized(self, policy: policies.DTypePolicy) -> None:
        if policy.quantization_mode not in (None, *self._modes):
            raise self._mode_not_supported(policy.quantization_mode)
        if self.built and not self._is_quantized and policy.quantization_mode in _CALIBRATED:
            mode = policy.quantization_mode
            raise ValueError(
                f"Implicitly enabling {mode.upper()} quantization by setting the dtype policy of a "
                f"layer is not supported: call quantize({mode!r}, config=...), which calibrates "
                f"on data. Received: dtype_policy={policy!r} for layer '{self.name}'"
            )

    def _policy_changed(self) -> None:
        if self.built and not self._is_quantized and self.quantization_mode is not None:
            self.quantize(self.quantization_mode, type_check=False)

    def _mode_not_supported(self, mode: Any) -> NotImplementedError:
        return NotImplementedError(
            f"Invalid quantization mode. Expected one of {self._modes} for layer '{self.name}' "
            f"({type(self).__name__}). Received: quantization_mode={mode!r}"
        )

    def _setting(self, name: str) -> Any:
        """`block_size`, `group_size` or `weight_bits` of the configuration or, by default, of the
        policy."""
        config = self.quantization_config
        of = config if hasattr(config, name) else self._own_policy()
        return getattr(of, name, None)

    @property
    def _block(self) -> int | None:
        """How many inputs share a scale in the four-bit mode; `None` for all of an output."""
        size = self._setting("block_size")
        return None if size == -1 else size

    # Keras's private names, which packages that derive from its layers use.
    _int4_block_size = property(lambda self: self._setting("block_size"))
    _orig_output_dim = property(lambda self: self._matrices()[0].flat[-1])

    @property
    def _mode_in_use(self) -> str | None:
        """The mode in which products are computed: none before the calibration."""
        if not self._is_quantized:
            return None
        mode = self.quantization_mode
        waits = mode in _CALIBRATED and not getattr(self, f"is_{mode}_calibrated")
        # A layer that was loaded from a file has no `kernel`.
        waits = waits and "kernel" in vars(self)
        return None if waits else mode

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Quantizes the weights, and removes the float weights except with `"float8"`.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`; the last two need data, and
                therefore `Model.quantize`.
            type_check: whether to reject a layer of a user-defined class.
            config: a configuration, which may contain the mode as well.

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
            raise self._mode_not_supported(mode)
        if self.lora_enabled and mode in ("float8", *_CALIBRATED):
            raise NotImplementedError(
                f"lora is not supported with {mode} quantization. Received: layer '{self.name}'"
            )
        self.quantization_config = config
        values: dict[str, Any] = {}
        for m in self._matrices() if mode in ("int8", "int4") else ():
            values |= self._rounded(m, mode, np.asarray(vars(self)[m.name]._raw_value))
        with self._adding_variables():
            self.quantized_build(None, mode, config)
        for name, value in values.items():
            self._variable(name).assign(value)
        policy = self._own_policy()
        if policy.quantization_mode is None:
            self.dtype_policy = f"{config.dtype_policy_string()}_from_{policy.name}"

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation with quantized weights; `call` is the same."""
        if self.quantization_mode not in self._modes:
            raise self._mode_not_supported(self.quantization_mode)
        return self.call(*args, **kwargs)

    # -- variables ----------------------------------------------------------------------------

    def _add_matrix(self, name: str, shape: Any, kind: str | None = None, **options: Any) -> None:
        """Makes a weight of floats by `_add`, unless it is quantized from the beginning."""
        mode = self.quantization_mode
        if mode is not None and not self._is_quantized:
            self.quantized_build(None, mode, self.quantization_config)
        if mode in (None, "float8"):
            setattr(self, name, self._add(name, shape, kind, **options))

    def _variable(self, name: str) -> Any:
        return vars(self).get(name)

    def quantized_build(self, input_shape: Any, mode: str, config: Any = None) -> None:
        """Creates the variables of a mode."""
        if mode not in self._modes:
            raise self._mode_not_supported(mode)
        if mode == "float8":
            length = getattr(self._own_policy(), "amax_history_length", 1024)
            for of in ("inputs", "kernel", "outputs_grad"):
                how = {"dtype": "float32", "autocast": False, "overwrite_with_gradient": True}
                for name, shape, start in (
                    ("scale", (), "ones"),
                    ("amax_history", length, "zeros"),
                ):
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

    def _fixed(
        self, name: str, shape: Any, initializer: Any, dtype: Any, called: Any = None
    ) -> None:
        made = self.add_weight(shape, initializer, dtype, trainable=False, name=called or name)
        vars(self).pop(name, None)  # Keeps the variables in the order in which they are created.
        setattr(self, name, made)

    def _build_rounded(self, m: Matrix, mode: str) -> None:
        block = self._block
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
        self._fixed(f"{m.name}_zero", m.groups(block), "zeros", m.zero)
        if "g_idx" not in vars(self):
            self._fixed("g_idx", (m.flat[m.side],), "zeros", "float32")
            self.g_idx.assign(np.arange(m.flat[m.side]) // block)

    def _build_calibrated(self, mode: str) -> None:
        rows, columns = self._calibrated_shape()
        group = self._setting("group_size")
        groups = 1 if group == -1 else -(-rows // group)
        stored = -(-columns // 2) if self._setting("weight_bits") == 4 else columns
        self._fixed("quantized_kernel", (stored, rows), "zeros", "uint8", "kernel")
        self._fixed("kernel_scale", (columns, groups), "ones", None)
        self._fixed("kernel_zero", (columns, groups), "zeros", "uint8")
        if mode == "awq":
            self._fixed("awq_scales", (rows,), "ones", None)
        self._fixed("g_idx", (rows,), "zeros", "float32")

    def _calibrated_shape(self) -> tuple[int, int]:
        """The rows and columns of the matrix that GPTQ and AWQ quantize."""
        rows, columns = self._matrices()[0].shape
        return rows, columns

    # -- conversion between floats and quantized values ---------------------------------------

    def _rounded(self, m: Matrix, mode: str, value: np.ndarray) -> dict[str, Any]:
        """The values of the variables that represent a matrix of these floats."""
        config, block = self.quantization_config, self._block
        quantizer = None if config is None else config.weight_quantizer
        if mode == "int8":
            quantizer = quantizer or AbsMaxQuantizer(axis=m.summed)
            value, scale = quantizer(value, to_numpy=True)
            return {m.name: value, f"{m.name}_scale": self._to_outputs(m, scale)}
        value = value.reshape(m.flat)
        found: dict[str, Any] = {}
        if block is None:
            quantizer = quantizer or AbsMaxQuantizer(m.side, INT4)
            value, scale = quantizer(value, to_numpy=True)
            scale = jnp.squeeze(scale, m.side)
        else:
            turn = np.transpose if m.side else np.asarray
            found = quantizers.abs_max_quantize_grouped_with_zero_point(
                turn(value), block, to_numpy=True
            )
            value, scale, zero = map(turn, found)
            found = {f"{m.name}_zero": zero}
        packed = quantizers.pack_int4(value, axis=m.pack)[0]
        return {m.name: packed, f"{m.name}_scale": scale, **found}

    def _numbers(self, m: Matrix, rows: Any = None) -> tuple[Any, Any]:
        """A matrix, or some of its rows, without its scale, and the scale by which outputs are
        divided: `None` where it is applied to the matrix already."""
        mode, block = self._mode_in_use, self._block

        def get(name: str) -> Any:
            value = self._variable(name).value
            return value if rows is None else jnp.take(value, rows, axis=0)

        if mode in _CALIBRATED:
            scales = get("kernel_scale"), get("kernel_zero"), get("g_idx")
            value = dequantize_with_sz_map(self._unpacked_kernel(), *scales).T
            if mode == "awq":
                value = value / get("awq_scales")[:, None]
            return value.reshape(m.shape).astype(self.compute_dtype), None
        value, scale = get(m.name), get(f"{m.name}_scale")
        if mode == "int8":
            return value, scale
        value = quantizers.unpack_int4(value, m.flat[m.pack], axis=m.pack)
        if block is None and not m.mixed:
            return value, scale
        if block is None:
            value = value / scale
        else:
            scales = scale, get(f"{m.name}_zero"), self.g_idx.value
            value = dequantize_with_sz_map(value, *scales, group_axis=m.side - 2)
        value = value.astype(self.compute_dtype)
        return value.reshape(m.shape) if rows is None else value, None

    def _dequantized(self, m: Matrix) -> Any:
        """The floats that a quantized matrix represents."""
        value, scale = self._numbers(m)
        return value if scale is None else value / self._from_outputs(m, scale)

    def _to_outputs(self, m: Matrix, scale: Any) -> Any:
        """Converts a scale from the axes of the matrix to those of the output."""
        return scale.squeeze(m.summed)

    def _from_outputs(self, m: Matrix, scale: Any) -> Any:
        return jnp.expand_dims(scale, m.summed)

    def _unpacked_kernel(self) -> Any:
        if self._setting("weight_bits") != 4:
            return self.quantized_kernel.value
        columns = self._calibrated_shape()[1]
        return quantizers.unpack_int4(self.quantized_kernel.value, columns, dtype="uint8")

    # -- products -----------------------------------------------------------------------------

    def _multiplied(self, inputs: Any) -> Any:
        """The product of inputs and the first matrix, including the LoRA product."""
        mode = self._mode_in_use
        if mode is None:
            return self._product(inputs, self._merged())
        if mode == "float8":
            return self._float8_product(inputs)
        outputs = self._rounded_product(inputs, self._matrices()[0])
        if self.lora_enabled:
            outputs = outputs + self.lora_alpha / self.lora_rank * self._adapted_product(inputs)
        return outputs.astype(self.compute_dtype)

    def _rounded_product(self, inputs: Any, m: Matrix) -> Any:
        weight, scale = self._numbers(m)
        divisor = 1 if scale is None else scale
        dtype, quantizer = inputs.dtype, self.inputs_quantizer

        def smooth(x: Any, weight: Any, divisor: Any) -> Any:
            weight, divisor = map(jax.lax.stop_gradient, (weight, divisor))
            return self._product(x, weight.astype(dtype)) / divisor

        def exact(x: Any, weight: Any, divisor: Any) -> Any:
            x, x_scale = self._rounded_inputs(x)
            if scale is None:
                x = x.astype(dtype)
            return self._product(x, weight).astype(dtype) / (x_scale * divisor)

        if quantizer is None:
            return smooth(inputs, weight, divisor)
        return straight_through(exact, smooth, inputs, weight, divisor)

    def _rounded_inputs(self, inputs: Any) -> tuple[Any, Any]:
        return self.inputs_quantizer(inputs, axis=-1)

    def _adapted_product(self, inputs: Any) -> Any:
        a, b = self._factors()
        return self._product(self._product(inputs, a.value), b.value)

    def _float8_product(self, inputs: Any) -> Any:
        state = {k: self._variable(k).value for k in _ORDER["float8"].format("kernel").split()[2:]}
        rounded = {}
        for of, x in (("inputs", inputs), ("kernel", self.kernel.value)):
            scale, history = state[f"{of}_scale"], state[f"{of}_amax_history"]
            rounded[of] = _to_float8(x, scale, history)
        outputs = self._product(rounded["inputs"], rounded["kernel"])
        scales = state["outputs_grad_scale"], state["outputs_grad_amax_history"]
        return _gradient_to_float8(outputs, *scales)

    def _bias(self) -> Any:
        """The bias; in float8 mode it is rounded to bfloat16, which fuses with the products."""
        bias = self.bias.value
        if self._is_quantized and self._mode_in_use == "float8" and self.compute_dtype == "float32":
            return bias.astype("bfloat16").astype(bias.dtype)
        return bias

    # -- the attribute `kernel`, and files -----------------------------------------------------

    def _adapted_value(self, name: str) -> Any:
        mode = self._mode_in_use
        if mode in (None, "float8") or self.lora_enabled or not self.built:
            return super()._adapted_value(name)
        if mode in _CALIBRATED:
            return self._unpacked_kernel()
        m = next(m for m in self._matrices() if m.name == name)
        if mode == "int4":
            value = quantizers.unpack_int4(vars(self)[name].value, m.flat[m.pack], axis=m.pack)
            return value.reshape(m.shape)
        return vars(self)[name]

    def _adapted_shape(self) -> tuple[int, ...]:
        return self._matrices()[0].shape

    def _unadapted(self) -> Any:
        if self._mode_in_use in (None, "float8"):
            return super()._unadapted()
        return self._dequantized(self._matrices()[0])

    def _adapt(self, *args: Any, **kwargs: Any) -> None:
        if self.quantization_mode in ("float8", *_CALIBRATED):
            raise NotImplementedError(
                f"lora is not supported with {self.quantization_mode} quantization. "
                f"Received: layer '{self.name}'"
            )
        super()._adapt(*args, **kwargs)

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The names of the variables for each mode, in the order in which files contain them."""
        modes = (None, *self._modes)
        return {mode: _ORDER[mode].format(self._adapted).split() for mode in modes}

    @property
    def _has_own_format(self) -> bool:
        return self._is_quantized or super()._has_own_format

    def _stored_variables(self) -> dict[str, Any]:
        names = self.variable_serialization_spec[self.quantization_mode]
        found = [v for v in map(self._variable, names) if v is not None]
        return {str(i): v for i, v in enumerate(found)}

    def _stored_values(self) -> dict[int, Any]:
        """Values to store in place of those of Variables, by the Variables' ids: weights with the
        LoRA product added."""
        mode = self.quantization_mode
        if mode in _CALIBRATED and self._mode_in_use is None:
            raise ValueError(
                f"Layer '{self.name}' cannot be saved: its policy has mode {mode}, for which it "
                f"is not calibrated. Call model.quantize('{mode}', ...) first."
            )
        if mode not in ("int8", "int4") or not self.lora_enabled:
            return super()._stored_values()
        values = self._rounded(self._matrices()[0], mode, np.asarray(self._merged()))
        return {id(self._variable(name)): value for name, value in values.items()}

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.quantization_mode in _CALIBRATED:
            setattr(self, f"is_{self.quantization_mode}_calibrated", True)


# -- products of float8 -----------------------------------------------------------------------

# The gradients of scales and histories are their new values, which the optimizer assigns.


def _next(x: Any, scale: Any, history: Any, dtype: Any) -> tuple[Any, Any]:
    largest = float(jnp.finfo(dtype).max)
    scale = quantizers.compute_float8_scale(jnp.max(history), scale, largest)
    return scale, quantizers.compute_float8_amax_history(x, history)


@jax.custom_vjp
def _to_float8(x: Any, scale: Any, history: Any) -> Any:
    return quantizers.quantize_and_dequantize(x, scale, "float8_e4m3fn", x.dtype)


_to_float8.defvjp(
    lambda x, scale, history: (
        _to_float8(x, scale, history),
        _next(x, scale, history, "float8_e4m3fn"),
    ),
    lambda new, gradient: (gradient, *new),
)


@jax.custom_vjp
def _gradient_to_float8(x: Any, scale: Any, history: Any) -> Any:
    return x


def _gradient_in_float8(kept: Any, gradient: Any) -> tuple[Any, ...]:
    scale, history = kept
    dtype = "float8_e5m2"
    rounded = quantizers.quantize_and_dequantize(gradient, scale, dtype, gradient.dtype)
    return (rounded, *_next(gradient, scale, history, dtype))


_gradient_to_float8.defvjp(lambda x, *kept: (x, kept), _gradient_in_float8)
