"""News by their topic."""

from __future__ import annotations

import numpy as np

from keraslike.datasets.files import Arrays, fetch, read_json, read_npz, shuffle, split
from keraslike.datasets.words import keep_frequent, keep_short, mark_starts

_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves "
    "ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin "
    "strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem "
    "dlr gas silver wpi hog lead"
)


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Arrays:
    """Reuters: 11,228 news of 46 topics.

    A word is a number: its rank by frequency, plus `index_from`.

    Args:
        path: the file's name in `~/.keras/datasets`.
        num_words: numbers from this one on become `oov_char`; `None` keeps all.
        skip_top: numbers below this one become `oov_char`.
        maxlen: longer texts, `start_char` included, are left out.
        test_split: the fraction of texts in the test set.
        seed: the seed of the order of texts.
        start_char: the number at the start of each text, or `None`.
        oov_char: the number that replaces other words; `None` removes them.
        index_from: one less than the number of the most frequent word.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists of numbers, and of topics, which
        `get_label_names` names.

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data(num_words=10_000)
    """
    data = read_npz(fetch("reuters.npz", path))
    x, y = shuffle(np.random.RandomState(seed), data["x"], data["y"])
    x, y = keep_short(mark_starts(x, start_char, index_from), y, maxlen)
    return split(keep_frequent(x, num_words, skip_top, oov_char), y, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The rank of each word, from 1; `load_data` adds `index_from` to it.

    Example (it downloads):

        ranks = get_word_index()
    """
    return read_json(fetch("reuters_word_index.json", path))


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of their numbers.

    >>> get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())


__all__ = ["get_label_names", "get_word_index", "load_data"]
__dir__ = __all__.copy
