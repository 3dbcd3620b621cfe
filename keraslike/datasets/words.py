"""Preparation of the data sets of texts, which are lists of word ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def mark_starts(
    texts: Iterable[Sequence[int]], start_char: int | None, index_from: int
) -> list[list[int]]:
    """Texts of ranks with `index_from` added, each after `start_char`."""
    start = [] if start_char is None else [start_char]
    return [start + [w + index_from for w in text] for text in texts]


def keep_short(
    texts: list[list[int]], labels: np.ndarray, maxlen: int | None
) -> tuple[list[list[int]], np.ndarray]:
    """Texts of fewer than `maxlen` numbers, and their labels."""
    if not maxlen:
        return texts, labels
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise ValueError(f"All texts are longer than maxlen. Received: maxlen={maxlen}")
    return [texts[i] for i in kept], labels[kept]


def keep_frequent(
    texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> np.ndarray:
    """The texts with numbers from `skip_top` to below `num_words`; others become `oov_char` or,
    if that is `None`, are removed.

    Returns:
        An array of lists.
    """
    end = num_words or max(max(text) for text in texts)
    result = np.empty(len(texts), object)
    for i, text in enumerate(texts):
        if oov_char is None:
            result[i] = [w for w in text if skip_top <= w < end]
        else:
            result[i] = [w if skip_top <= w < end else oov_char for w in text]
    return result
