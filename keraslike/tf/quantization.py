"""`tf.quantization`: numbers as they are after rounding to a few values."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation
from keraslike.tf.tensor import Tensor, run


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _quantized(x: Any, low: Any, high: Any, bits: int, narrow: bool, axis: int | None) -> Any:
    start, end, scale = _steps(x, low, high, bits, narrow, axis)
    inverse = 1 / scale
    zero = jnp.floor(-start * inverse + 0.5)
    steps = (jnp.clip(x, start, end) - start) * inverse
    made = jnp.floor(steps - zero + 0.5) * scale
    return jnp.where((low == 0) & (high == 0), 0, made).astype(x.dtype)


def _steps(x: Any, low: Any, high: Any, bits: int, narrow: bool, axis: int | None) -> Any:
    """The ends of the range, shifted so that 0 is one of the values, and the size of a step."""
    if not 2 <= bits <= 16:
        raise ValueError(f"num_bits must be from 2 to 16. Received: num_bits={bits}")
    if axis is None and (low.ndim or high.ndim):
        raise ValueError(f"min and max must be numbers. Received shapes {low.shape}, {high.shape}")
    least, most = int(narrow), 2**bits - 1
    # XLA would multiply by the reciprocal of a scalar, and 0 might not be representable.
    width = high - low
    scale = width / jax.lax.optimization_barrier(jnp.full(width.shape, most - least, low.dtype))
    nothing = (low == 0) & (high == 0)  # then all results are 0, and gradients pass
    scale = jnp.where(nothing, 1, scale)
    zero = jnp.floor(jnp.clip(least - low / scale, least, most) + 0.5)
    start, end = (least - zero) * scale, (most - zero) * scale
    return jnp.where(nothing, -jnp.inf, start), jnp.where(nothing, jnp.inf, end), scale


def _forwards(x: Any, low: Any, high: Any, *options: Any) -> Any:
    return _quantized(x, low, high, *options), (x, low, high)


def _backwards(bits: int, narrow: bool, axis: int | None, kept: Any, c: Any) -> Any:
    x, low, high = kept
    start, end, _ = _steps(x, low, high, bits, narrow, axis)
    axes = None if axis is None else tuple(range(x.ndim - 1))
    parts = ((x >= start) & (x <= end), x < start, x > end)
    inside, below, above = (jnp.where(part, c, 0).astype(c.dtype) for part in parts)
    return inside, *(jnp.sum(part, axes).reshape(low.shape) for part in (below, above))


_quantized.defvjp(_forwards, _backwards)


def _run(function: Any, arrays: tuple, num_bits: Any, narrow_range: Any, axis: int | None) -> Any:
    """The rounding, or its gradient, with a range for each index of an axis."""
    options = (int(num_bits), bool(narrow_range), axis)
    return run(function, tuple(map(_as_operand, arrays)), options, name="fake_quant")


def fake_quant_with_min_max_args(
    inputs: Any,
    min: float = -6,
    max: float = 6,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:
    """Floats rounded to `2**num_bits` values that are evenly spread from `min` to `max`.

    >>> tf.quantization.fake_quant_with_min_max_args([0.1, 0.9, 5.0], 0.0, 3.0, 2).numpy().tolist()
    [0.0, 1.0, 3.0]
    """
    if not min < max:
        raise InvalidArgumentError(f"min must be below max. Received: {min} and {max}")
    ends = (np.float32(min), np.float32(max))
    return fake_quant_with_min_max_vars(inputs, *ends, num_bits, narrow_range)


def fake_quant_with_min_max_vars(
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:
    """`fake_quant_with_min_max_args` with ends that are tensors, which receive the gradients of
    inputs beyond them.

    >>> tf.quantization.fake_quant_with_min_max_vars([0.1, 0.9, 5.0], 0.0, 3.0, 2).numpy().tolist()
    [0.0, 1.0, 3.0]
    """
    return _run(_quantized, (inputs, min, max), num_bits, narrow_range, None)


def fake_quant_with_min_max_vars_per_channel(
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:
    """`fake_quant_with_min_max_vars` with ends for each index along the last axis.

    >>> tf.quantization.fake_quant_with_min_max_vars_per_channel(
    ...     [[0.9, 0.9]], [0.0, 0.0], [3.0, 1.5], 2
    ... ).numpy().tolist()
    [[1.0, 1.0]]
    """
    return _run(_quantized, (inputs, min, max), num_bits, narrow_range, -1)


def _of_vars(
    gradients: Any, x: Any, low: Any, high: Any, bits: int, narrow: bool, axis: int | None
) -> Any:
    return _backwards(bits, narrow, axis, (x, low, high), gradients)


def fake_quant_with_min_max_args_gradient(
    gradients: Any,
    inputs: Any,
    min: float = -6,
    max: float = 6,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:
    """The gradient of `fake_quant_with_min_max_args` with respect to the inputs, given that of
    its result.

    >>> found = tf.quantization.fake_quant_with_min_max_args_gradient([1.0, 2.0], [0.5, 9.0])
    >>> found.numpy().tolist()
    [1.0, 0.0]
    """
    ends = (np.float32(min), np.float32(max))
    found = fake_quant_with_min_max_vars_gradient(gradients, inputs, *ends, num_bits, narrow_range)
    return found[0]


def fake_quant_with_min_max_vars_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Any:
    """The gradients of `fake_quant_with_min_max_vars` with respect to the inputs and both ends,
    given that of its result.

    >>> of_inputs, of_min, of_max = tf.quantization.fake_quant_with_min_max_vars_gradient(
    ...     [1.0, 2.0], [0.5, 9.0], -6.0, 6.0
    ... )
    >>> of_inputs.numpy().tolist(), float(of_min), float(of_max)
    ([1.0, 0.0], 0.0, 2.0)
    """
    return _run(_of_vars, (gradients, inputs, min, max), num_bits, narrow_range, None)


def fake_quant_with_min_max_vars_per_channel_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Any:
    """The gradients of `fake_quant_with_min_max_vars_per_channel`, given that of its result.

    >>> tf.quantization.fake_quant_with_min_max_vars_per_channel_gradient(
    ...     [[1.0]], [[9.0]], [-6.0], [6.0]
    ... )[2].numpy().tolist()
    [1.0]
    """
    return _run(_of_vars, (gradients, inputs, min, max), num_bits, narrow_range, -1)


@jax.custom_vjp
def _straight(x: Any, made: Any, inside: Any) -> Any:
    return made


_straight.defvjp(
    lambda x, made, inside: (made, inside), lambda inside, c: (jnp.where(inside, c, 0), None, None)
)


@operation("quantization.quantize_and_dequantize_v2", "input;input_min input_max")
def _to_steps(
    x: Any, low: Any, high: Any, signed: bool, bits: int, given: bool, mode: str, narrow: bool,
    axis: int | None,
) -> Any:  # fmt: skip
    if axis is not None:
        others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
        shape = [1 if i in others else -1 for i in range(x.ndim)]
        low, high = low.reshape(shape), high.reshape(shape)
    asked = (x >= low) & (x <= high)  # where the gradient is not 0
    if not given:
        axes = None if axis is None else others
        low, high = jnp.min(x, axes, keepdims=True), jnp.max(x, axes, keepdims=True)
        low, high = jax.lax.stop_gradient((low, high))
    least = -(2 ** (bits - 1)) + narrow if signed else 0
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    down = jnp.where(least * low > 0, least / jnp.where(low == 0, 1, low), np.finfo("f4").max)
    up = jnp.where(most * high > 0, most / jnp.where(high == 0, 1, high), np.finfo("f4").max)
    scale = jnp.minimum(down, up).astype(x.dtype)
    low = jnp.where(down < up, low, least / scale)
    high = jnp.where(down < up, most / scale, high)
    steps = jnp.clip(x, low, high) * scale
    steps = jnp.round(steps) if mode == "HALF_TO_EVEN" else jnp.floor(steps + 0.5)
    made = (steps / scale).astype(x.dtype)
    return _straight(x, made, asked)


def quantize_and_dequantize_v2(
    input: Any,
    input_min: Any,
    input_max: Any,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Tensor:
    """Floats after a conversion to integers of `num_bits` and back.

    Args:
        input_min, input_max: the range of the floats if `range_given`, a number or one for each
            index along `axis`; else it is that of the input.
        signed_input: whether there are integers below 0.
        round_mode: `"HALF_TO_EVEN"` or `"HALF_UP"`.
        narrow_range: whether the lowest integer is not used.

    >>> tf.quantization.quantize_and_dequantize_v2(
    ...     [0.3, -1.0, 0.6], -1.5, 1.5, num_bits=3, range_given=True
    ... ).numpy().tolist()
    [0.5, -1.0, 0.5]
    """
    if round_mode not in ("HALF_TO_EVEN", "HALF_UP"):
        raise InvalidArgumentError(
            f"round_mode must be 'HALF_TO_EVEN' or 'HALF_UP'. Received: {round_mode!r}"
        )
    axis = None if axis is None else int(static(axis))
    rank = len(_as_operand(input).shape)
    if axis is not None and not -rank <= axis < rank:
        raise InvalidArgumentError(f"axis must be below {rank}, the rank. Received: {axis}")
    return _to_steps(
        input, input_min, input_max, bool(signed_input), int(num_bits), bool(range_given),
        round_mode, bool(narrow_range), axis,
    )  # fmt: skip


__all__ = [
    *(
        f"fake_quant_with_min_max_{kind}{ending}"
        for kind in ("args", "vars", "vars_per_channel")
        for ending in ("", "_gradient")
    ),
    "quantize_and_dequantize_v2",
]
__dir__ = __all__.copy
