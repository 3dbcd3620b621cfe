"""Quantizers and the arithmetic of quantized numbers: scales, zero points and packing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.configured import Configured
from keraslike.core.operation import op
from keraslike.ops.wrap import array

INT4 = (-8, 7)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def straight_through(exact: Callable, smooth: Callable, *arrays: Any) -> Any:
    """`exact(*arrays)`, whose derivative is that of `smooth(*arrays)`.

    >>> jax.grad(lambda x: straight_through(jnp.round, lambda x: 2 * x, x))(1.3).tolist()
    2.0
    """
    return exact(*arrays)


@straight_through.defjvp
def _(exact: Callable, smooth: Callable, arrays: Any, tangents: Any) -> Any:
    return exact(*arrays), jax.jvp(smooth, arrays, tangents)[1]


class Quantizer(Configured):
    """The base class of quantizers. A subclass implements `__call__(x)`.

    Args:
        output_dtype: the dtype of quantized values.

    >>> Quantizer().output_dtype
    'int8'
    """

    def __init__(self, output_dtype: str = "int8"):
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        return x


class AbsMaxQuantizer(Quantizer):
    """Quantizes to integers in a range whose end represents the largest absolute value.

    Args:
        axis: the default axes over which the largest value is taken; if `None`, the last one.
        value_range: the least and the greatest integer.
        epsilon: added to the largest value, so that the scale is finite.
        output_dtype: the dtype of the integers.

    A call returns the integers and the scale, by which they must be divided. Raises ValueError for
    a range outside of the dtype's.

    >>> values, scale = AbsMaxQuantizer()(jnp.array([1.0, -2.0, 0.5]))
    >>> values.tolist(), scale.tolist()
    ([64, -127, 32], [63.5])
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        value_range: Sequence[int] = (-127, 127),
        epsilon: float = 1e-7,
        output_dtype: str = "int8",
    ):
        super().__init__(output_dtype)
        self.axis = (axis,) if isinstance(axis, int) else None if axis is None else (*axis,)
        self.value_range = tuple(value_range)
        self.epsilon = epsilon
        if output_dtype == "int8" and (value_range[0] < -128 or value_range[1] > 127):
            raise ValueError(
                "Quantizer with output_dtype='int8' requires value_range to be within the interval "
                f"[-128, 127]. Received: value_range={value_range}"
            )

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[Any, Any]:
        axis = self.axis if axis is None else axis
        how = (self.value_range, self.output_dtype, self.epsilon, to_numpy)
        return abs_max_quantize(x, -1 if axis is None else axis, *how)

    def get_config(self) -> dict[str, Any]:
        names = ("axis", "value_range", "epsilon", "output_dtype")
        config = {name: getattr(self, name) for name in names}
        return {name: value for name, value in config.items() if value is not None}


def _library(x: Any) -> Any:
    """numpy for numpy arrays, which so stay on the host, otherwise jax.numpy."""
    return np if isinstance(x, np.ndarray) else jnp


def _host(x: Any) -> np.ndarray:
    return np.asarray(getattr(x, "value", x))


@op
def abs_max_quantize(
    inputs: Any,
    axis: int | Sequence[int],
    value_range: Sequence[int] = (-127, 127),
    dtype: str = "int8",
    epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[Any, Any]:
    """The integers of an `AbsMaxQuantizer` and their scale, which keeps the axes with size 1.

    With `to_numpy` they are computed on the host.

    >>> abs_max_quantize(jnp.array([[1.0, -2.0]]), axis=-1)[0].tolist()
    [[64, -127]]
    """
    x = _host(inputs) if to_numpy else array(inputs)
    low, high = value_range
    xp, axis = _library(x), tuple(axis) if isinstance(axis, (list, tuple)) else axis
    scale = high / (xp.max(xp.abs(x), axis=axis, keepdims=True) + epsilon)
    if not to_numpy:  # For float16 numpy computes the scale in float32 and rounds only the result.
        scale = scale.astype(x.dtype)
    outputs = xp.clip(xp.round(x * scale), low, high).astype(dtype)
    return jnp.asarray(outputs), jnp.asarray(scale, x.dtype)


@op
def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: Sequence[int] = INT4,
    dtype: str = "int8",
    epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[Any, Any, Any]:
    """Quantizes a matrix to integers, with a scale and a zero point for each block of a column.

    Args:
        inputs: `(rows, columns)`.
        block_size: the number of rows of a block.
        value_range: the least and the greatest integer.
        dtype: the dtype of the integers.
        epsilon: added to the width of a block's range, so that it is not 0.
        to_numpy: whether to compute on the host.

    Returns the integers, and the scales and the zero points, both `(blocks, columns)`:
    `(integers - zero) * scale` approximates the matrix.

    >>> x = jnp.array([[0.0], [3.0], [-1.0], [0.5]])
    >>> values, scale, zero = abs_max_quantize_grouped_with_zero_point(x, 2)
    >>> values.ravel().tolist(), zero.ravel().tolist()
    ([-8, 7, -8, 7], [-8, 2])
    """
    x = _host(inputs) if to_numpy else array(inputs)
    xp, (rows, columns), (low, high) = _library(x), x.shape, value_range
    groups = -(-rows // block_size)
    blocks = xp.pad(x, ((0, groups * block_size - rows), (0, 0)))
    blocks = blocks.reshape(groups, block_size, columns)
    if to_numpy:
        least, greatest = blocks.min(axis=1), blocks.max(axis=1)
        scale = (greatest - least + epsilon) / (high - low)
        zero = xp.clip(xp.round(-least / scale) + low, low, high)
    else:
        bits = (high - low + 1).bit_length() - 1
        how = {"per_channel": True, "group_size": block_size, "compute_dtype": x.dtype}
        scale, zero, _ = compute_quantization_parameters(
            x.T, bits=bits, epsilon=epsilon, signed=True, **how
        )
        scale, zero = scale.T, zero.T
    outputs = xp.round(blocks / scale[:, None]) + zero[:, None]
    outputs = xp.clip(outputs, low, high).astype(dtype).reshape(-1, columns)[:rows]
    return jnp.asarray(outputs), jnp.asarray(scale, x.dtype), jnp.asarray(zero.astype("int8"))


@op
def fake_quant_with_min_max_vars(
    inputs: Any,
    min_vals: Any,
    max_vals: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> jax.Array:
    """Floats rounded to the values of a quantization with `num_bits`, evenly from min to max.

    Args:
        inputs: an array of floats.
        min_vals, max_vals: the range, a scalar or one for each entry of `axis`. It is shifted
            slightly so that 0 is one of the values.
        num_bits: the number of bits, such as 8 for 256 values.
        narrow_range: whether to use one value less.
        axis: the axis along which ranges differ.

    Gradients flow to inputs within the range, and otherwise to the ends of the range.

    >>> fake_quant_with_min_max_vars(jnp.array([0.1, 0.9, 5.0]), 0.0, 3.0, num_bits=2).tolist()
    [0.0, 1.0, 3.0]
    """
    x, least, greatest = array(inputs), array(min_vals), array(max_vals)
    if axis is not None:
        axis %= x.ndim
        spread = (-1, *(1 for _ in range(x.ndim - axis - 1)))
        least, greatest = least.reshape(spread), greatest.reshape(spread)
    dtype = jnp.result_type(least.dtype, jnp.float32)
    low, high = int(narrow_range), 2 ** int(num_bits) - 1

    def ends(least: Any, greatest: Any) -> tuple[Any, ...]:
        least, greatest = least.astype(dtype), greatest.astype(dtype)
        scale, inverse = (greatest - least) / (high - low), (high - low) / (greatest - least)
        zero = jnp.round(jnp.clip(low - least / scale, low, high))
        return (low - zero) * scale, (high - zero) * scale, scale, inverse

    def exact(x: Any, least: Any, greatest: Any) -> Any:
        start, end, scale, inverse = ends(least, greatest)
        zero = jnp.floor(-start * inverse + 0.5)
        steps = (jnp.clip(x.astype(dtype), start, end) - start) * inverse
        return (jnp.floor(steps - zero + 0.5) * scale).astype(x.dtype)

    def smooth(x: Any, least: Any, greatest: Any) -> Any:
        start, end = map(jax.lax.stop_gradient, ends(least, greatest)[:2])
        parts = ((x >= start) & (x <= end), x), (x <= start, least), (x >= end, greatest)
        return sum(jnp.where(mask, value.astype(x.dtype), 0) for mask, value in parts)

    return straight_through(exact, smooth, x, least, greatest)


# -- 8-bit floats -----------------------------------------------------------------------------


@op
def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> jax.Array:
    """The scale by which values up to `amax` must be divided to fit into a dtype.

    It is the previous `scale` if `amax` is 0 or not finite.

    >>> float(compute_float8_scale(448.0, 1.0, 448.0))
    1.0
    """
    amax, scale = jnp.asarray(amax), jnp.asarray(scale)
    fits = (amax > 0) & jnp.isfinite(amax)
    return 1 / jnp.where(fits, dtype_max / amax / 2**margin, 1 / scale)


@op
def compute_float8_amax_history(x: Any, amax_history: Any) -> jax.Array:
    """The largest absolute values of the last steps, with that of `x` first.

    >>> compute_float8_amax_history(jnp.array([-3.0]), jnp.array([1.0, 2.0])).tolist()
    [3.0, 1.0]
    """
    history = array(amax_history)
    return jnp.roll(history, -1).at[0].set(jnp.max(jnp.abs(array(x))).astype(history.dtype))


@op
def quantize_and_dequantize(
    inputs: Any, scale: Any, quantized_dtype: str, compute_dtype: str
) -> jax.Array:
    """The values after a conversion to `quantized_dtype`, divided by a scale, and back.

    >>> quantize_and_dequantize(jnp.array([1.06]), 1.0, "float8_e4m3fn", "float32").tolist()
    [1.0]
    """
    largest = float(jnp.finfo(quantized_dtype).max)
    scale = jnp.asarray(scale, compute_dtype)
    x = jnp.clip(array(inputs) / scale, -largest, largest).astype(quantized_dtype)
    return x.astype(compute_dtype) * scale


# -- packing of two 4-bit integers in a byte --------------------------------------------------


@op
def pack_int4(arr: Any, axis: int = 0, dtype: str = "int8") -> tuple[Any, tuple[int, ...], int]:
    """Packs 4-bit integers, two in a byte, the first of a pair in the lower half.

    Args:
        arr: integers from -8 to 7, or from 0 to 15 with uint8.
        axis: the axis along which neighbours are packed.
        dtype: the dtype of `arr` and of the bytes, `"int8"` or `"uint8"`.

    Returns the bytes, their shape and the original size of the axis. Raises ValueError for another
    dtype, and TypeError if `arr` has a different one.

    >>> packed, shape, size = pack_int4(jnp.array([[-3, 7], [2, -8], [1, 0]], "int8"))
    >>> packed.tolist(), shape, size
    ([[45, -121], [1, 0]], (2, 2), 3)
    """
    _one_byte(dtype)
    x = arr if isinstance(arr, np.ndarray) else array(arr)
    if x.dtype != dtype:
        raise TypeError(f"Expected {dtype} tensor for packing, got {x.dtype}.")
    x = jnp.moveaxis(jnp.asarray(x), axis, 0)
    size = x.shape[0]
    x = jnp.pad(x, ((0, size % 2), *((0, 0),) * (x.ndim - 1)))
    packed = jnp.moveaxis((x[::2] & 15) | (x[1::2] << 4), 0, axis)
    return packed, tuple(packed.shape), size


@op
def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: str = "int8") -> jax.Array:
    """The integers that `pack_int4` packed.

    Args:
        packed: the bytes, of int8 or uint8.
        orig_len: the original size of the axis.
        axis: the axis along which integers are packed.
        dtype: `"int8"` for integers from -8 to 7, `"uint8"` for those from 0 to 15.

    Raises ValueError for another dtype, and TypeError for bytes of another dtype.

    >>> unpack_int4(jnp.array([[45, -121], [1, 0]], "int8"), 3).tolist()
    [[-3, 7], [2, -8], [1, 0]]
    """
    _one_byte(dtype)
    x = array(packed)
    if x.dtype not in (jnp.int8, jnp.uint8):
        raise TypeError(f"Packed numbers must be int8 or uint8. Received: dtype={x.dtype}")
    axis %= x.ndim
    pairs = jnp.stack([x & 15, (x >> 4) & 15], axis=axis + 1)
    if dtype == "int8":
        pairs = (pairs ^ 8).astype(dtype) - 8
    pairs = pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
    return jax.lax.slice_in_dim(pairs, 0, orig_len, axis=axis).astype(dtype)


def _one_byte(dtype: str) -> None:
    if dtype not in ("int8", "uint8"):
        raise ValueError(f"Expected dtype to be 'int8' or 'uint8', but got '{dtype}'.")


# -- scales and zero points of matrices (outputs, inputs) -------------------------------------


def compute_quantization_parameters(
    x: Any,
    *,
    bits: int,
    symmetric: bool = False,
    per_channel: bool = False,
    group_size: int = -1,
    compute_dtype: Any = "float32",
    epsilon: float = 0.0,
    signed: bool = False,
) -> tuple[Any, Any, Any]:
    """Scales and zero points, `(outputs, groups)`, and the greatest integer, for quantizing a
    matrix.

    Args:
        x: `(outputs, inputs)`.
        bits: the number of bits of an integer.
        symmetric: whether the range is symmetric around 0.
        per_channel: whether each output has its own range.
        group_size: the number of inputs that share a range; -1 for all.
        compute_dtype: the dtype of the greatest integer.
        epsilon: added to the width of the range.
        signed: whether integers begin at `-2 ** (bits - 1)` instead of 0.

    Raises ValueError for an array of fewer than two axes, or without elements.
    """
    if x is None:
        raise ValueError("Input tensor cannot be None.")
    if len(x.shape) < 2:
        raise ValueError(f"Input weight tensor must have a rank of at least 2. Got: {x.shape}")
    if not x.size:
        raise ValueError("Input tensor 'x' cannot be empty.")
    xp, outputs, inputs = _library(x), x.shape[0], x.shape[1]
    if per_channel and 0 < group_size < inputs:
        groups = -(-inputs // group_size)
        rows = xp.pad(x, ((0, 0), (0, groups * group_size - inputs)))
        rows = rows.reshape(outputs, groups, group_size)
    else:
        rows = x.reshape(outputs if per_channel else 1, 1, -1)
    least, greatest = rows.min(axis=-1), rows.max(axis=-1)
    if symmetric:
        greatest = xp.maximum(xp.abs(least), greatest)
        least = xp.where(least < 0, -greatest, least)
    empty = least == greatest
    least, greatest = xp.where(empty, least - 1, least), xp.where(empty, greatest + 1, greatest)
    most = xp.asarray(2**bits - 1, compute_dtype)
    scale = (greatest - least + epsilon) / most
    scale = xp.where(scale <= 0, xp.asarray(1e-8, scale.dtype), scale)
    zero = xp.full_like(scale, 2 ** (bits - 1)) if symmetric else xp.round(-least / scale)
    if signed:
        start = -(2 ** (bits - 1))
        zero = xp.clip(zero + start, start, -start - 1)
    else:
        zero = xp.clip(zero, 0, 255)  # XLA's cast saturates, numpy's would wrap around
    if not per_channel:
        scale, zero = xp.tile(scale, (outputs, 1)), xp.tile(zero, (outputs, 1))
    return scale, zero.astype("int8" if signed else "uint8"), most


def quantize_with_zero_point(input_tensor: Any, scale: Any, zero: Any, maxq: Any) -> Any:
    """Floats quantized to integers from 0 to `maxq`, in the floats' dtype."""
    xp = _library(input_tensor)
    scale = xp.where(scale == 0, xp.asarray(1e-8, scale.dtype), scale)
    return xp.clip(xp.round(input_tensor / scale + zero.astype(scale.dtype)), 0, maxq)


def dequantize_with_zero_point(input_tensor: Any, scale: Any, zero: Any) -> Any:
    """The floats for quantized integers."""
    return scale * (input_tensor - zero.astype(scale.dtype))


def quantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, maxq: Any, group_axis: int = -1
) -> Any:
    """`quantize_with_zero_point` by the scale and zero of the group, `g_idx`, of each entry."""
    return quantize_with_zero_point(
        weights_matrix, *_of_groups(scale, zero, g_idx, group_axis), maxq
    )


def dequantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, group_axis: int = -1
) -> Any:
    """`dequantize_with_zero_point` by the scale and zero of the group, `g_idx`, of each entry."""
    return dequantize_with_zero_point(weights_matrix, *_of_groups(scale, zero, g_idx, group_axis))


def _of_groups(scale: Any, zero: Any, g_idx: Any, axis: int) -> tuple[Any, Any]:
    xp, groups = _library(scale), g_idx.astype("int32")
    return xp.take(scale, groups, axis=axis), xp.take(zero, groups, axis=axis)
