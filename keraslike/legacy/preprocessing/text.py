"""Conversion of texts to lists of word indices, as in Keras 1 and 2."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "tfidf", "freq")

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text, without the characters of `filters`.

    >>> text_to_word_sequence("Be good, be kind!")
    ['be', 'good', 'be', 'kind']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate(str.maketrans(dict.fromkeys(filters, split)))
    return [word for word in text.split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Sequence[str]] | None = None,
) -> list[int]:
    """Hashes of words, from 1 to `n - 1`, by Python's own `hash`, `"md5"` or a function.

    >>> hashing_trick("be good be kind", 50, "md5")
    [5, 17, 5, 7]
    """
    if hash_function == "md5":
        hashed: Any = lambda word: int(hashlib.md5(word.encode()).hexdigest(), 16)  # noqa: E731
    else:
        hashed = hash_function or hash
    words = analyzer(text) if analyzer else text_to_word_sequence(text, filters, lower, split)
    return [hashed(word) % (n - 1) + 1 for word in words]


def one_hot(
    input_text: str,
    n: int,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Sequence[str]] | None = None,
) -> list[int]:
    """`hashing_trick` with Python's own `hash`, which differs from process to process.

    >>> len(one_hot("be good", 50))
    2
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


class Tokenizer:
    """Numbers the words of texts by how frequent they are, from 1 on; 0 is no word.

    Args:
        num_words: only words with numbers below this are kept.
        filters, lower, split: how a text is cut into words, as in `text_to_word_sequence`.
        char_level: whether each character is a word.
        oov_token: the word with number 1, which replaces unknown words.
        analyzer: a function that returns the words of a text.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["be good", "be kind"])
    >>> tokenizer.texts_to_sequences(["kind or good"])
    [[3, 2]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Sequence[str]] | None = None,
        **kwargs: Any,
    ):
        self.num_words = kwargs.pop("nb_words", num_words)
        self.document_count = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.filters, self.lower, self.split = filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: dict[str, int] = collections.OrderedDict()
        self.word_docs: dict[str, int] = collections.defaultdict(int)
        self.index_docs: dict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Sequence[str]:
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts, or of lists of words, and assigns indices to all words."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        known = [] if self.oov_token is None else [self.oov_token]
        known += sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        self.word_index = {word: i for i, word in enumerate(known, 1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Sequence[int]]) -> None:
        """Counts the sequences in which each index occurs, for `"tfidf"`."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def _translated(self, items: Iterable[Any], table: dict, number: Any, unknown: Any) -> list:
        """Looks items up in a table; items that it lacks become `unknown`, or are dropped if that
        is None."""
        found = []
        for item in items:
            value = table.get(item)
            if value is None:
                if self.oov_token is not None:
                    found.append(unknown)
            elif not self.num_words or number(item, value) < self.num_words:
                found.append(value)
            elif unknown is not None:
                found.append(unknown)
        return found

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        unknown = self.word_index.get(self.oov_token)  # type: ignore[arg-type]
        for text in texts:
            words = self._words(text)
            yield self._translated(words, self.word_index, lambda word, i: i, unknown)

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The indices of the words of each text."""
        return list(self.texts_to_sequences_generator(texts))

    def sequences_to_texts_generator(self, sequences: Iterable[Sequence[int]]) -> Iterator[str]:
        unknown = self.oov_token if self.oov_token in self.word_index else None
        for numbers in sequences:
            words = self._translated(numbers, self.index_word, lambda i, word: i, unknown)
            yield " ".join(words)

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The words of each sequence of indices, joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """`sequences_to_matrix` for texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> np.ndarray:
        """A row for each sequence: whether, or how often, each number is in it.

        `mode` is `"binary"`, `"count"`, `"freq"` (the part of the sequence) or `"tfidf"`.
        """
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}. Received: {mode!r}")
        if not self.num_words and not self.word_index:
            raise ValueError("There are no words: give num_words, or call fit_on_texts() first.")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Call fit_on_texts() or fit_on_sequences() before using tfidf mode.")
        matrix = np.zeros((len(sequences), self.num_words or len(self.word_index) + 1))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in collections.Counter(sequence).items():
                if number >= len(row):
                    continue
                if mode == "tfidf":
                    documents = self.document_count / (1 + self.index_docs.get(number, 0))
                    row[number] = (1 + np.log(count)) * np.log(1 + documents)
                else:
                    row[number] = {"count": count, "freq": count / len(sequence)}.get(mode, 1)
        return matrix

    def get_config(self) -> dict[str, Any]:
        plain = ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        config = {name: getattr(self, name) for name in (*plain, "document_count")}
        return config | {name: json.dumps(getattr(self, name)) for name in tables}

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON, for `tokenizer_from_json`; `kwargs` are those of `json.dumps`."""
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer described by a text of `to_json`.

    >>> tokenizer_from_json(Tokenizer(num_words=5).to_json()).num_words
    5
    """
    config = json.loads(json_string)["config"]
    tables = {
        name: json.loads(config.pop(name))
        for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    }
    tokenizer = Tokenizer(**config)
    for name, table in tables.items():  # JSON converts numeric keys to texts.
        by_number = name in ("index_docs", "index_word")
        table = {int(key): value for key, value in table.items()} if by_number else table
        setattr(tokenizer, name, table)
    return tokenizer
