"""Reviews of films."""

from __future__ import annotations

import numpy as np

from keraslike.datasets.files import Arrays, fetch, read_json, read_npz, shuffle
from keraslike.datasets.words import keep_frequent, keep_short, mark_starts


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Arrays:
    """IMDB: 25,000 and 25,000 reviews of films, and whether they are favourable.

    A word is a number: its rank by frequency, plus `index_from`.

    Args:
        path: the file's name in `~/.keras/datasets`.
        num_words: numbers from this one on become `oov_char`; `None` keeps all.
        skip_top: numbers below this one become `oov_char`.
        maxlen: longer texts, `start_char` included, are left out.
        seed: the seed of the order of texts.
        start_char: the number at the start of each text, or `None`.
        oov_char: the number that replaces other words; `None` removes them.
        index_from: one less than the number of the most frequent word.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists of numbers, and of 0 or 1.

    Maas et al., Learning word vectors for sentiment analysis, 2011.

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data(num_words=10_000)
    """
    data = read_npz(fetch("imdb.npz", path))
    texts, labels, random = [], [], np.random.RandomState(seed)
    for part in ("train", "test"):
        x, y = shuffle(random, data[f"x_{part}"], data[f"y_{part}"])
        x, y = keep_short(mark_starts(x, start_char, index_from), y, maxlen)
        texts.append(x)
        labels.append(y)
    n = len(texts[0])
    x = keep_frequent(texts[0] + texts[1], num_words, skip_top, oov_char)
    return (x[:n], labels[0]), (x[n:], labels[1])


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The rank of each word, from 1; `load_data` adds `index_from` to it.

    Example (it downloads):

        ranks = get_word_index()
    """
    return read_json(fetch("imdb_word_index.json", path))


__all__ = ["get_word_index", "load_data"]
__dir__ = __all__.copy
