"""GPTQ (Frantar et al., arXiv:2210.17323), for one layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.quantizers.configs import GPTQConfig
from keraslike.quantizers.quantizers import (
    compute_quantization_parameters,
    dequantize_with_zero_point,
    pack_int4,
    quantize_with_zero_point,
)


class Calibrator:
    """The base class of GPTQ and AWQ: the matrix of a layer, and statistics of its inputs.

    Args:
        layer: a Dense or an EinsumDense that is in the configuration's mode, but whose kernel is
            not quantized yet.
        config: the configuration.

    Raises TypeError for another layer.
    """

    def __init__(self, layer: Any, config: Any):
        if config.mode not in getattr(layer, "_modes", ()):
            name = config.mode.upper()
            raise TypeError(f"Unsupported layer type for {name}: {type(layer).__name__}")
        self.layer = self.original_layer = layer
        self.config = config
        self.rows, self.columns = layer._calibrated_shape()
        self.num_samples = 0

    def update(self, inputs: Any) -> None:
        """Updates the statistics with more inputs."""
        raise NotImplementedError

    def _samples(self, inputs: Any) -> np.ndarray:
        """Inputs as a matrix with one row per sample. Adds them to the count of samples."""
        if inputs is None:
            raise ValueError("Input tensor cannot be None.")
        x = np.asarray(inputs, "float32")
        if not x.size:
            raise ValueError("Input tensor cannot be empty.")
        if x.ndim < 2:
            raise ValueError(f"Input tensor must have rank >= 2. Received: shape={x.shape}")
        x = x.reshape(-1, x.shape[-1])
        if x.shape[-1] != self.rows:
            raise ValueError(
                f"Statistics of {self.rows} features do not match input features ({x.shape[-1]})."
            )
        self.num_samples += len(x)
        return x

    def _weights(self) -> np.ndarray:
        """The kernel, `(outputs, inputs)`."""
        return np.asarray(self.layer._kernel.value, "float32").reshape(self.rows, self.columns).T

    def _assign(self, quantized: Any, **values: Any) -> None:
        """Assigns the quantized kernel to the layer, and removes the float kernel."""
        layer, quantized = self.original_layer, np.asarray(quantized, "uint8")
        if self.config.weight_bits == 4:
            quantized = pack_int4(quantized, axis=0, dtype="uint8")[0]
        for name, value in {"quantized_kernel": quantized, **values}.items():
            getattr(layer, name).assign(value)
        del layer.kernel
        setattr(layer, f"is_{self.config.mode}_calibrated", True)


class GPTQ(Calibrator):
    """Quantizes a layer's kernel by the Hessian of its squared error."""

    def __init__(self, layer: Any, config: Any = None):
        super().__init__(layer, GPTQConfig(None, None) if config is None else config)
        self.hessian: Any = np.zeros((self.rows, self.rows), "float32")

    def update(self, inputs: Any) -> None:
        """Updates the Hessian with more inputs."""
        before = self.num_samples
        x = self._samples(inputs)
        gram = x.T @ x
        gram = (gram + gram.T) / 2
        self.hessian = self.hessian * (before / self.num_samples) + gram * (2 / self.num_samples)

    update_hessian_with_batch = update

    def quantize(self, blocksize: int = 128) -> None:
        """Quantizes the kernel, `blocksize` rows at a time."""
        hessian = np.array(self.hessian, "float32")
        diagonal = np.diagonal(hessian).copy()
        diagonal[diagonal == 0] = 1  # for inputs that are always 0
        diagonal += self.config.hessian_damping * diagonal.mean()
        np.fill_diagonal(hessian, diagonal)
        config = self.config
        ranges = {"symmetric": config.symmetric, "per_channel": config.per_channel}
        ranges |= {"bits": config.weight_bits, "group_size": config.group_size}
        quantized, scale, zero, g_idx = gptq_quantize_matrix(
            self._weights(),
            np.linalg.inv(hessian),
            blocksize=blocksize,
            group_size=config.group_size,
            activation_order=config.activation_order,
            order_metric=diagonal,
            compute_scale_zero=lambda x: compute_quantization_parameters(x, **ranges),
        )
        self._assign(quantized, kernel_scale=scale, kernel_zero=zero, g_idx=g_idx)

    quantize_and_correct_layer = quantize

    def free(self) -> None:
        """Releases the statistics."""
        del self.hessian, self.layer


def _stable_permutation(metric: Any) -> np.ndarray:
    """The permutation that sorts in descending order, stable for equal values."""
    return np.argsort(-np.asarray(metric), kind="stable")


def gptq_quantize_matrix(
    weights_transpose: Any,
    inv_hessian: Any,
    *,
    blocksize: int = 128,
    group_size: int = -1,
    activation_order: bool = False,
    order_metric: Any = None,
    compute_scale_zero: Callable,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quantizes a matrix column by column; later columns compensate the error of each.

    Args:
        weights_transpose: `(outputs, inputs)`.
        inv_hessian: `(inputs, inputs)`, the inverse Hessian, which weights the compensation.
        blocksize: the number of columns after which all later columns are updated.
        group_size: the number of columns that share a scale; -1 for all.
        activation_order: whether the columns with the largest `order_metric` are first.
        order_metric: by default the inverse of the diagonal of `inv_hessian`.
        compute_scale_zero: returns scales, zero points and the greatest integer for columns.

    Returns the integers, scales and zero points, `(outputs, groups)`, and the group of each input.
    """
    weights, inverse = np.array(weights_transpose), np.asarray(inv_hessian)
    inputs = weights.shape[1]
    order = np.arange(inputs)
    if activation_order:
        metric = 1 / (np.diagonal(inverse) + 1e-12) if order_metric is None else order_metric
        order = _stable_permutation(np.where(np.isfinite(metric), metric, 0))
        weights, inverse = weights[:, order], inverse[order][:, order]
    group = inputs if group_size == -1 else group_size
    quantized, ranges, current = np.zeros(weights.shape, "int32"), [], None
    for start in range(0, inputs, blocksize):
        end = min(start + blocksize, inputs)
        block, errors = weights[:, start:end].copy(), np.zeros_like(weights[:, start:end])
        for j in range(start, end):
            if current != j // group:
                current = j // group
                columns = weights[:, current * group : (current + 1) * group]
                ranges.append([np.asarray(part) for part in compute_scale_zero(columns)])
            scale, zero, most = ranges[-1]
            column = block[:, j - start, None]
            numbers = quantize_with_zero_point(column, scale, zero, most)
            quantized[:, j] = numbers[:, 0]
            error = column - dequantize_with_zero_point(numbers, scale, zero)
            errors[:, j - start] = error = (error / inverse[j, j])[:, 0]
            block[:, j - start + 1 :] -= np.outer(error, inverse[j, j + 1 : end])
        weights[:, end:] -= errors @ inverse[start:end, end:]
    back = np.argsort(order)
    g_idx = (np.arange(inputs) / group).astype("float32")[back]
    scale, zero = (np.concatenate([r[i] for r in ranges], axis=1) for i in (0, 1))
    return quantized[:, back], scale, zero, g_idx
