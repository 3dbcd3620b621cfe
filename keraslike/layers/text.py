"""`TextVectorization`, which maps the words of strings to indices."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keraslike.core import dtypes, foreign, serialization
from keraslike.core.arguments import one_of
from keraslike.core.boxed import BoxedResults
from keraslike.core.text import Text, as_bytes, is_text
from keraslike.layers.adapting import batches
from keraslike.layers.data_layer import DataLayer
from keraslike.layers.index_lookup import MODES
from keraslike.layers.lookup import StringLookup

_PUNCTUATION = string.punctuation.encode()
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")


class TextVectorization(DataLayer):
    """Maps strings to arrays of word indices, by a vocabulary that is given or found by `adapt`.

    Args:
        max_tokens: the maximal size of the vocabulary.
        standardize: how a string is normalized first: `"lower_and_strip_punctuation"`, `"lower"`,
            `"strip_punctuation"` (of ASCII characters, as TensorFlow does it), nothing for `None`,
            or a function of an array of strings.
        split: `"whitespace"`, `"character"`, not at all for `None`, or a function of an array of
            strings that gives a list of words for each.
        ngrams: `n` to add all sequences of up to `n` words to the words, or a tuple of lengths.
        output_mode: `"int"` for indices, padded with 0; `"multi_hot"` for ones where a word occurs;
            `"count"` for the number of occurrences; `"tf_idf"` for counts times weights;
            `"one_hot"` for an array per word.
        output_sequence_length: the number of indices per string; by default that of the longest
            string in the batch.
        pad_to_max_tokens: whether the arrays of other modes have the size `max_tokens`.
        vocabulary: the words, or the path of a file with one per line.
        idf_weights: their weights, for `output_mode="tf_idf"`.
        sparse: whether to return a sparse JAX array.
        ragged: whether to return a `tf.RaggedTensor`, which only layers of `tf.keras` support.
        encoding: the encoding of words that are bytes, for functions and `get_vocabulary`.

    Accepts strings, an array `(...)` or `(..., 1)` and returns `(..., length)` or `(..., words)`.
    Raises ValueError for arguments that contradict each other.

    >>> layer = TextVectorization(vocabulary=["good", "day"])
    >>> layer(["Good day!", "A day"]).tolist()
    [[2, 3], [1, 3]]
    """

    _takes_text = True
    _counts_wide = True

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable | None = "lower_and_strip_punctuation",
        split: str | Callable | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ):
        if standardize is not None and not callable(standardize):
            one_of(_STANDARDIZE, standardize=standardize)
        if split is not None and not callable(split):
            one_of(("whitespace", "character"), split=split)
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
        one_of(MODES, output_mode=output_mode)
        sizes = isinstance(ngrams, (tuple, list)) and all(isinstance(n, int) for n in ngrams)
        if ngrams is not None and not isinstance(ngrams, int) and not sizes:
            raise ValueError(
                f"`ngrams` must be None, an integer, or a tuple of integers. Received: {ngrams=}"
            )
        if output_sequence_length is not None and output_mode != "int":
            raise ValueError(
                "`output_sequence_length` must not be set if `output_mode` is not 'int'. "
                f"Received: output_sequence_length={output_sequence_length}"
            )
        if output_sequence_length is not None and not isinstance(output_sequence_length, int):
            raise ValueError(
                "`output_sequence_length` must be an integer or None with `output_mode='int'`. "
                f"Received: output_sequence_length={output_sequence_length}"
            )
        lookup = {k: kwargs.pop(k) for k in _KEPT if k in kwargs}
        super().__init__(name=name, **kwargs)
        self.standardize, self.split, self.encoding, self.ragged = (
            standardize,
            split,
            encoding,
            ragged,
        )
        if ragged and output_mode != "int":
            raise ValueError(f"`ragged=True` needs `output_mode='int'`. Received: {output_mode=}")
        if ragged and not (self._gives_boxes or BoxedResults.everywhere):
            raise ValueError("`ragged=True` is for layers of `tf.keras`: JAX has no ragged arrays.")
        self.ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams
        self.output_mode, self.output_sequence_length = output_mode, output_sequence_length
        self.sparse = sparse
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            encoding=encoding,
            **lookup,
        )

    @property
    def compute_dtype(self) -> str:
        """The dtype of the inputs, which are text."""
        return "string"

    variable_dtype = compute_dtype

    @property
    def _has_input_vocabulary(self) -> bool:
        return self._lookup_layer._has_input_vocabulary

    # -- words ------------------------------------------------------------------------------------

    def _split_texts(self, texts: np.ndarray) -> tuple[tuple, list[list[bytes]]]:
        """The shape of an array of strings, and the words of each string in it."""
        standardize, split = self.standardize, self.split
        if callable(standardize):
            texts = self._applied_by(standardize, texts)
        elif standardize is not None:
            lower, strip = "lower" in standardize, "strip" in standardize
            found = texts.reshape(-1).tolist()
            found = [t.lower() for t in found] if lower else found
            found = [t.translate(None, _PUNCTUATION) for t in found] if strip else found
            texts = _array(found).reshape(texts.shape)
        if split is None:
            shape = texts.shape[:-1]
            rows = texts.reshape(-1, *texts.shape[-1:]).tolist() if texts.ndim else [[texts.item()]]
            return shape, self._with_ngrams(rows)
        if texts.ndim > 1:
            if texts.shape[-1] != 1:
                raise ValueError(
                    "When using `TextVectorization` to tokenize strings, the input rank must be 1 "
                    f"or the last shape dimension must be 1. Received: shape {texts.shape} with "
                    f"rank={texts.ndim}"
                )
            texts = texts[..., 0]
        if callable(split):
            rows = _rows(split(self._strings(texts)))
        elif split == "whitespace":
            rows = [text.split() for text in texts.reshape(-1).tolist()]
        else:
            found = (text.decode("utf-8", "replace") for text in texts.reshape(-1).tolist())
            rows = [[character.encode() for character in text] for text in found]
        return texts.shape, self._with_ngrams(rows)

    def _with_ngrams(self, rows: list[list[bytes]]) -> list[list[bytes]]:
        if self.ngrams is None:
            return rows
        sizes = self._ngram_sizes()
        return [
            [b" ".join(row[i : i + n]) for n in sizes for i in range(len(row) - n + 1)]
            for row in rows
        ]

    def _ngram_sizes(self) -> Sequence[int]:
        ngrams = self.ngrams
        return range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams or ()

    def _strings(self, texts: np.ndarray) -> np.ndarray:
        found = [text.decode(self.encoding) for text in texts.reshape(-1).tolist()]
        return np.array(found, dtype=str).reshape(texts.shape)

    def _applied_by(self, standardize: Callable, texts: np.ndarray) -> np.ndarray:
        result = standardize(self._strings(texts))
        found = foreign.array_of(result)
        out = as_bytes(np.asarray(result if found is None else found))
        if out is None or out.shape != texts.shape:
            raise ValueError(
                f"The function `standardize` of layer '{self.name}' must give a text for each "
                f"text. It gave, for an array of shape {texts.shape}: {result!r}"
            )
        return out

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.ragged:
            return super().__call__(*args, **kwargs)
        texts = self._bytes_in(args[0] if args else kwargs["inputs"])
        shape, rows = self._split_texts(texts)
        if len(shape) != 1:
            raise ValueError(f"`ragged=True` needs texts of one axis. Received: {texts.shape}")
        rows = [row[: self.output_sequence_length] for row in rows]
        numbers = self._lookup_layer._numbers([word for row in rows for word in row])
        lengths = [len(row) for row in rows]
        return BoxedResults.ragged(np.asarray(numbers, np.int64), lengths)  # type: ignore[misc]

    def _computed(self, texts: np.ndarray) -> np.ndarray:
        shape, rows = self._split_texts(self._bytes_in(texts))
        lookup = self._lookup_layer
        length = self.output_sequence_length
        if length is None:
            length = max(map(len, rows), default=0)
        else:
            rows = [row[:length] for row in rows]
        sizes = np.array([len(row) for row in rows], np.int64)
        numbers = np.full((len(rows), length), 0 if self.output_mode == "int" else -1, np.int64)
        inside = np.arange(length) < sizes[:, None]
        numbers[inside] = lookup._numbers([word for row in rows for word in row])
        if self.output_mode == "int":
            return numbers.reshape(*shape, length)
        if self.output_mode == "one_hot":
            numbers = numbers[..., None]
            shape = (*shape, length)
        encoded = lookup._encoded(numbers)
        return encoded.reshape(*shape, encoded.shape[-1])

    def _described(self, texts: Text) -> dict[str, Any] | None:
        standardize = self.standardize or ""
        if callable(standardize):
            try:
                texts, standardize = standardize(texts), ""
            except Exception:  # It uses other functions than those of `tf.strings`.
                return None
        if callable(self.split) or not is_text(texts):
            return None
        words = {
            "lower": "lower" in standardize,
            "strip": "strip" in standardize,
            "split": self.split,
            "ngrams": None if self.ngrams is None else list(self._ngram_sizes()),
            "length": self.output_sequence_length,
        }
        lookup = self._lookup_layer._described(texts) or {}
        return {"steps": texts.steps, "words": words, **lookup}

    # -- the vocabulary ---------------------------------------------------------------------------

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Builds the vocabulary from the words in data, the most frequent ones first.

        Args:
            data: an array or a list of strings, or batches in any iterable.
            batch_size: is not used.
            steps: the most batches to take.

        Raises ValueError if `vocabulary` was given.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the counts."""
        self._lookup_layer._count(self._split_texts(self._bytes_in(data))[1])

    def _bytes_in(self, data: Any) -> np.ndarray:
        found = foreign.array_of(data)
        array = np.asarray(data if found is None else found)
        # numpy makes an array of floats for [].
        texts = as_bytes(array if array.size else array.astype(object))
        if texts is None:
            raise ValueError(
                f"Layer '{self.name}' takes text. Received an array of {array.dtype}: {data!r}"
            )
        return texts

    def finalize_state(self) -> None:
        """Computes the vocabulary from the batches that were counted."""
        self._lookup_layer.finalize_state()
        self._adapted += 1

    def reset_state(self) -> None:
        """Discards the counts."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in the order of their numbers.

        Args:
            include_special_tokens: whether to include the padding and out-of-vocabulary tokens,
                which come first.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """The number of words, including the padding and the out-of-vocabulary words."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the words and, with `output_mode="tf_idf"`, their weights: see
        `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)
        self._adapted += 1

    # -- shapes and files -------------------------------------------------------------------------

    def _output_dtype(self) -> str:
        return "int64" if self.output_mode == "int" else dtypes.floatx()

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = tuple(input_shape)
        if self.split is None:
            length = shape[-1] if shape else 1
            shape = shape[:-1]
        else:
            length, shape = None, shape[:-1] if len(shape) > 1 else shape
        if self.output_mode == "int":
            return (
                *shape,
                self.output_sequence_length or (length if self.ngrams is None else None),
            )
        self._lookup_layer._check_known()
        depth = self._lookup_layer._depth()
        return (*shape, length, depth) if self.output_mode == "one_hot" else (*shape, depth)

    @property
    def _has_own_format(self) -> bool:
        return self.output_mode == "tf_idf"

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary to `vocabulary.txt`, unless the config contains it."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Reads the file of `save_assets`."""
        self._lookup_layer.load_assets(dir_path)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = self._lookup_layer.get_config()
        for name in ("max_tokens", "pad_to_max_tokens", "vocabulary", "idf_weights"):
            config[name] = own[name]
        return config | {"ragged": self.ragged, "vocabulary_size": self.vocabulary_size()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**serialization.deserialize_arguments(cls, config))


_KEPT = ("vocabulary_size", "has_input_vocabulary")


def _array(texts: Sequence[bytes]) -> np.ndarray:
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


def _rows(words: Any) -> list[list[bytes]]:
    """The words of each string, from the result of a user's function on the strings."""
    if hasattr(words, "to_list"):  # A ragged tensor.
        words = words.to_list()
    elif (found := foreign.array_of(words)) is not None:
        words = np.asarray(found).tolist()
    if words and isinstance(words[0], (str, bytes)):  # The words of a single text.
        words = [words]
    return [list(_bytes_of(row)) for row in words]


def _bytes_of(row: Sequence[Any]) -> Iterator[bytes]:
    for word in row:
        yield word if isinstance(word, bytes) else str(word).encode()
