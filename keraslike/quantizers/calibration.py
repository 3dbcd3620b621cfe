"""GPTQ and AWQ of a model: each block is run on data, and then its layers are quantized."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.quantizers.awq import AWQ
from keraslike.quantizers.configs import should_quantize_layer
from keraslike.quantizers.gptq import GPTQ, Calibrator


def get_dataloader(
    tokenizer: Any,
    sequence_length: int,
    dataset: Any,
    num_samples: int = 128,
    *,
    strategy: str = "strided",
    seed: int = 42,
    stride: int | None = None,
    eos_id: int | None = None,
) -> np.ndarray:
    """Sequences from a stream of tokens, `(num_samples, 1, sequence_length)`.

    Args:
        tokenizer: an object whose `tokenize(text)` returns token ids, if the data are texts.
        sequence_length: the length of a sequence.
        dataset: an iterable of texts or of arrays of token ids, which is repeated if it is short.
        num_samples: the number of sequences.
        strategy: where the sequences begin: `"strided"`, at multiples of `stride` from a random
            start, `"linspace"`, evenly spaced, or `"random"`.
        seed: the seed of random starts.
        stride: by default such that the sequences are spread over all data.
        eos_id: a token between two texts.

    Raises TypeError unless the data are an iterable of texts or arrays, ValueError if it is empty.
    """
    if not hasattr(dataset, "__iter__") or isinstance(dataset, (str, bytes)):
        raise TypeError(
            "The `dataset` argument must be an iterable (e.g., a list of strings, a generator, or "
            f"a NumPy array). Got type: {type(dataset).__name__}. Please pass the loaded dataset "
            "directly."
        )
    pieces: list[Any] = []
    for item in dataset:
        is_text = isinstance(item, str)
        if pieces and is_text and eos_id is not None:
            pieces.append([eos_id])
        pieces.append(np.asarray(tokenizer.tokenize(item) if is_text else item).ravel())
    if not pieces:
        raise ValueError("Provided dataset is empty.")
    tokens = np.concatenate(pieces).astype("int32")
    if not tokens.size:
        raise ValueError("Provided dataset has no tokens.")
    tokens = np.tile(tokens, max(1, -(-num_samples * sequence_length // tokens.size)))
    starts = tokens.size - sequence_length + 1  # the number of possible starts
    if strategy == "random":
        first = np.random.default_rng(seed).integers(0, starts, num_samples)
    elif strategy == "linspace":
        first = np.linspace(0, starts - 1, num_samples, dtype=np.int64)
    elif strategy == "strided":
        stride = max(1, starts // num_samples) if stride is None else stride
        offset = np.random.default_rng(seed).integers(0, starts)
        first = (offset + np.arange(num_samples) * stride) % starts
    else:
        raise ValueError(f"Unknown strategy: {strategy}")
    windows = np.lib.stride_tricks.sliding_window_view(tokens, sequence_length)
    return windows[first][:, None]


def layers_in(block: Any, mode: str, filters: Any) -> list[Any]:
    """The layers of a block that support the mode and pass the filters."""
    return [
        layer
        for layer in block._flatten_layers()
        if mode in getattr(layer, "_modes", ()) and should_quantize_layer(layer, filters)
    ]


@contextlib.contextmanager
def _watched(calibrators: Sequence[Calibrator]) -> Iterator[None]:
    """Updates calibrators with the inputs of their layers during the block."""

    def watch(calibrator: Calibrator) -> Callable:
        call = calibrator.layer.call

        def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            calibrator.update(np.asarray(inputs).reshape(-1, calibrator.rows))
            return call(inputs, *args, **kwargs)

        return watched

    for calibrator in calibrators:
        vars(calibrator.layer)["call"] = watch(calibrator)
    try:
        yield
    finally:
        for calibrator in calibrators:
            del vars(calibrator.layer)["call"]


def calibrate(config: Any, quantization_layer_structure: Any, filters: Any = None) -> None:
    """Quantizes the layers of blocks, which `quantize` has prepared.

    Args:
        config: a configuration of GPTQ or AWQ.
        quantization_layer_structure: `{"pre_block_layers": [...], "sequential_blocks": [...]}`.
        filters: which layers to quantize; see `Model.quantize`.

    Raises ValueError without data, tokenizer, structure or blocks.
    """
    structure = quantization_layer_structure
    check_calibration(config, structure)
    kind = GPTQ if config.mode == "gptq" else AWQ
    data = get_dataloader(
        config.tokenizer, config.sequence_length, config.dataset, config.num_samples
    )
    samples = [jnp.asarray(piece) for piece in data]
    for layer in structure.get("pre_block_layers", []):
        samples = [layer(x) for x in samples]
    for block in structure["sequential_blocks"]:
        calibrators = [kind(layer, config) for layer in layers_in(block, config.mode, filters)]
        with _watched(calibrators):
            for x in samples if calibrators else ():
                block(x)
        for calibrator in calibrators:
            calibrator.quantize()
            calibrator.free()
        outputs = [block(x) for x in samples]
        samples = [y[0] if isinstance(y, (list, tuple)) else y for y in outputs]


def check_calibration(config: Any, structure: Any) -> None:
    """Raises ValueError if data, tokenizer, structure or blocks are missing."""
    mode = config.mode
    if structure is None:
        raise ValueError(
            f"For '{mode}' mode, a valid quantization structure must be provided either via "
            "`config.quantization_layer_structure` or by overriding "
            "`model.get_quantization_layer_structure(mode)`. The structure should be a dictionary "
            "with keys 'pre_block_layers' and 'sequential_blocks'."
        )
    if not structure.get("sequential_blocks"):
        raise ValueError(
            "The quantization structure must have blocks under 'sequential_blocks'. "
            f"Received: {structure!r}"
        )
    if config.dataset is None or config.tokenizer is None:
        raise ValueError(
            f"{mode.upper()} needs a `dataset` and a `tokenizer` in the `{type(config).__name__}`. "
            f"Received: dataset={config.dataset!r}, tokenizer={config.tokenizer!r}"
        )
