"""AWQ (Lin et al., arXiv:2306.00978), for one layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.quantizers.configs import AWQConfig
from keraslike.quantizers.gptq import Calibrator
from keraslike.quantizers.quantizers import (
    compute_quantization_parameters,
    dequantize_with_sz_map,
    quantize_with_sz_map,
)


class AWQ(Calibrator):
    """Quantizes a layer's kernel by the largest absolute values of its inputs."""

    def __init__(self, layer: Any, config: Any = None):
        super().__init__(layer, AWQConfig(None, None) if config is None else config)
        self.activation_magnitudes: Any = np.zeros(self.rows, "float32")

    def update(self, inputs: Any) -> None:
        """Updates the maxima with more inputs."""
        seen = np.abs(self._samples(inputs)).max(axis=0)
        self.activation_magnitudes = np.maximum(self.activation_magnitudes, seen)

    update_activation_magnitudes = update

    def quantize(self) -> None:
        """Quantizes the kernel."""
        quantized, scale, zero, scales, g_idx = awq_quantize_matrix(
            self._weights(),
            self.activation_magnitudes,
            num_grid_points=self.config.num_grid_points,
            group_size=self.config.group_size,
        )
        found = {"kernel_scale": scale, "kernel_zero": zero, "awq_scales": scales, "g_idx": g_idx}
        self._assign(quantized, **found)

    quantize_layer = quantize

    def free(self) -> None:
        """Releases the statistics."""
        del self.activation_magnitudes, self.layer


def _rounded(weights: np.ndarray, group_size: int) -> tuple[Any, ...]:
    """4-bit integers, their scales and zero points, and the group of each input."""
    scale, zero, most = compute_quantization_parameters(
        weights, bits=4, per_channel=True, group_size=group_size
    )
    inputs = weights.shape[1]
    g_idx = np.arange(inputs) // (inputs if group_size == -1 else group_size)
    return quantize_with_sz_map(weights, scale, zero, g_idx, most), scale, zero, g_idx


def awq_search_optimal_scales(
    weights: Any, activation_magnitudes: Any, *, num_grid_points: int = 20, group_size: int = -1
) -> np.ndarray:
    """The best scales of the weights of each input before rounding.

    The candidates are the inputs' magnitudes to powers from 0 to 1. The result is the candidate
    with the least squared error, in which each input is weighted by its squared magnitude.

    Args:
        weights: `(outputs, inputs)`.
        activation_magnitudes: `(inputs,)`.
        num_grid_points: the number of powers to try besides 0.
        group_size: the number of inputs that share a range; -1 for all.
    """
    weights, seen = np.asarray(weights, "float32"), np.asarray(activation_magnitudes, "float32")
    seen = np.where(seen < 1e-8, np.float32(1), seen)
    best, least = np.ones_like(seen), np.inf
    for i in range(num_grid_points + 1):
        scales = np.maximum(seen ** np.float32(i / num_grid_points), np.float32(1e-4))
        scales = scales / np.maximum(np.sqrt(scales.max() * scales.min()), np.float32(1e-8))
        restored = dequantize_with_sz_map(*_rounded(weights * scales, group_size)) / scales
        loss = np.mean(np.square(weights - restored) * np.square(seen))
        if loss < least:
            best, least = scales, loss
    return best


def awq_quantize_matrix(
    weights_transpose: Any,
    activation_magnitudes: Any,
    *,
    num_grid_points: int = 20,
    group_size: int = -1,
) -> tuple[np.ndarray, ...]:
    """Quantizes a matrix to 4-bit integers, with inputs scaled by `awq_search_optimal_scales`.

    Returns the integers, their scales and zero points, the inputs' scales, by which dequantized
    values must be divided, and the group of each input. For the arguments see there.
    """
    how = {"num_grid_points": num_grid_points, "group_size": group_size}
    scales = awq_search_optimal_scales(weights_transpose, activation_magnitudes, **how)
    weights = np.asarray(weights_transpose, "float32") * scales
    quantized, scale, zero, g_idx = _rounded(weights, group_size)
    return quantized, scale, zero, scales, g_idx.astype("float32")
