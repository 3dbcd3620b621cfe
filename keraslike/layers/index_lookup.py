"""`IndexLookup`, which maps tokens to their indices in a vocabulary."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes, foreign, registry, serialization
from keraslike.core.arguments import one_of
from keraslike.core.text import Text, as_bytes, as_characters
from keraslike.layers.adapting import batches
from keraslike.layers.data_layer import DataLayer, encode, encoded_shape, hash_buckets, hash_key

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
# Indices of special tokens: not in the vocabulary; the mask token in modes where it has no index.
_MISSING, _DROPPED = -2, -1


class IndexLookup(DataLayer):
    """The indices of tokens in a vocabulary, or with `invert` the tokens for indices.

    `IntegerLookup` and `StringLookup` derive from this class and document the arguments.
    """

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary_dtype: str,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        kind = type(self).__name__
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(
                f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"
            )
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(
                "If pad_to_max_tokens is True, must set `max_tokens`. "
                f"Received: max_tokens={max_tokens}"
            )
        if not isinstance(num_oov_indices, (int, np.integer)) or num_oov_indices < 0:
            raise ValueError(
                "`num_oov_indices` must be greater than or equal to 0, and an integer. "
                f"Received: num_oov_indices={num_oov_indices}"
            )
        one_of(("floormod", "farmhash"), oov_method=oov_method)
        if salt is not None:
            if vocabulary_dtype != "string" and oov_method != "farmhash":
                raise ValueError(
                    f"`salt` requires `oov_method='farmhash'`. Received: oov_method={oov_method}"
                )
            salt = hash_key(salt, kind)
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
        one_of(MODES, output_mode=output_mode)
        if invert and output_mode != "int":
            raise ValueError(
                "`output_mode` must be `'int'` when `invert` is true. "
                f"Received: output_mode={output_mode}"
            )
        if sparse and output_mode == "int":
            raise ValueError(
                "`sparse` may only be true if `output_mode` is `'one_hot'`, `'multi_hot'`, "
                f"`'count'` or `'tf_idf'`. Received: sparse={sparse} and output_mode={output_mode}"
            )
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(
                "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: "
                f"idf_weights={idf_weights} and output_mode={output_mode}"
            )
        size = kwargs.pop("vocabulary_size", None)
        given = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        trainable = kwargs.pop("trainable", True)
        kwargs.pop("dtype", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword argument(s): {kwargs}")
        super().__init__(name=name, trainable=trainable)
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, oov_token
        self.vocabulary_dtype = dtypes.standardize_dtype(vocabulary_dtype)
        self.invert, self.output_mode, self.sparse = invert, output_mode, sparse
        self.pad_to_max_tokens, self.oov_method, self.salt = pad_to_max_tokens, oov_method, salt
        # A vocabulary that was passed to the constructor is stored in the config, any other one in
        # a file of the archive.
        is_file = isinstance(vocabulary, (str, os.PathLike))
        self._given = _Words(None if is_file else vocabulary, idf_weights)
        self._has_input_vocabulary = bool(given)
        self._frozen_vocab_size = size
        self.idf_weights: np.ndarray | None = None
        if invert and self._of_text:
            self.supports_jit = False  # Compiled programs cannot return text.
        if output_mode == "tf_idf" and vocabulary is not None and idf_weights is None:
            raise ValueError(
                "A `vocabulary` requires `idf_weights` if output_mode is 'tf_idf'. "
                "Received: idf_weights=None"
            )
        for argument, token in (("mask_token", mask_token), ("oov_token", oov_token)):
            if not (self._of_text or token is None or isinstance(token, (int, np.integer))):
                raise ValueError(f"{argument} must be an integer. Received: {argument}={token}")
        self._set_tokens([])
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    @property
    def input_vocabulary(self) -> Any:
        """The vocabulary that was passed to the constructor, unless it was a file."""
        return self._given.tokens

    @property
    def input_idf_weights(self) -> Any:
        """The weights that were passed to the constructor."""
        return self._given.table

    @property
    def _of_text(self) -> bool:
        return self.vocabulary_dtype == "string"

    @property
    def compute_dtype(self) -> str:
        """The dtype of the tokens."""
        return self.vocabulary_dtype

    variable_dtype = compute_dtype

    @property
    def _takes_text(self) -> bool:  # type: ignore[override]
        return self._of_text and not self.invert

    def _start(self) -> int:
        """The first index of out-of-vocabulary tokens."""
        return int(self.mask_token is not None and self.output_mode == "int")

    def _token_start(self) -> int:
        return self._start() + self.num_oov_indices

    # -- the vocabulary -----------------------------------------------------------------------

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their numbers.

        Args:
            include_special_tokens: whether to include the mask and out-of-vocabulary tokens, which
                come first.
        """
        tokens = [self._plain(token) for token in self._words.tokens]
        return [*self._special(), *tokens] if include_special_tokens else tokens

    def _special(self) -> list[Any]:
        return [self.mask_token] * self._start() + [self.oov_token] * self.num_oov_indices

    def _plain(self, token: Any) -> Any:
        return token.decode(self._encoding) if isinstance(token, bytes) else token

    _encoding = "utf-8"

    def vocabulary_size(self) -> int:
        """The number of tokens, including the mask token and the out-of-vocabulary tokens."""
        return len(self._words.tokens) + self._token_start()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary directly, instead of `adapt`.

        Args:
            vocabulary: a list or an array of distinct tokens, with or without the special tokens
                that `get_vocabulary` lists first; or the path of a file with one per line.
            idf_weights: with `output_mode="tf_idf"`, the weight of each of them.

        Raises ValueError for repeated tokens, and for too many.
        """
        if self.output_mode == "tf_idf" and idf_weights is None:
            raise ValueError("output_mode 'tf_idf' needs `idf_weights`. Received: None")
        if self.output_mode != "tf_idf" and idf_weights is not None:
            raise ValueError(
                "`idf_weights` should only be set if output_mode is `'tf_idf'`. Received: "
                f"output_mode={self.output_mode} and idf_weights={idf_weights}"
            )
        if isinstance(vocabulary, (str, os.PathLike)):
            if serialization.in_safe_mode():
                raise ValueError(
                    "The config names a vocabulary file outside of the archive, which may be any "
                    "file of this machine. If you trust where the config comes from, load it with "
                    f"safe_mode=False. Vocabulary file: '{vocabulary}'"
                )
            if not os.path.exists(vocabulary):
                raise ValueError(
                    f"Vocabulary file {vocabulary} does not exist. "
                    f"Received: vocabulary={vocabulary!r}"
                )
            if self.output_mode == "tf_idf":
                raise ValueError(
                    "A vocabulary file has no weights, which output_mode 'tf_idf' requires: "
                    "pass a list and `idf_weights`."
                )
            # A vocabulary file contains no special tokens.
            lines = _lines(os.fspath(vocabulary))
            self._take_tokens(self._parsed([line.removesuffix("\r") for line in lines]))
            return
        tokens = self._flat(vocabulary, "vocabulary")
        if not tokens:
            raise ValueError(f"Cannot set an empty vocabulary. Received: vocabulary={vocabulary}")
        special = [_bytes(token) for token in self._special()]
        has_special = tokens[: len(special)] == special
        weights = None
        if idf_weights is not None:
            weights = np.asarray(idf_weights, dtypes.floatx())
            if weights.ndim != 1:
                raise ValueError(
                    "TF-IDF data must be a 1-index array. "
                    f"Received: type(idf_weights)={type(idf_weights)}"
                )
            if len(weights) != len(tokens):
                raise ValueError(
                    "`idf_weights` must have a weight for each token of the vocabulary. Received: "
                    f"{len(weights)} weights and {len(tokens)} tokens"
                )
            if not has_special:
                weights = np.concatenate([np.full(len(special), weights.mean()), weights])
        tokens = tokens[len(special) :] if has_special else tokens
        repeated = [self._plain(t) for t, n in Counter(tokens).items() if n > 1]
        if repeated:
            raise ValueError(
                "The passed vocabulary has at least one repeated term. Please uniquify your "
                f"dataset. The repeated terms are: {repeated}"
            )
        self._refuse_special("mask", self.mask_token, tokens)
        if self.invert:
            self._refuse_special("OOV", self.oov_token, tokens)
        self._take_tokens(tokens, weights)

    def _refuse_special(self, what: str, token: Any, tokens: list[Any]) -> None:
        if token is None or _bytes(token) not in tokens:
            return
        raise ValueError(
            f"Found reserved {what} token at unexpected location in `vocabulary`. Reserved "
            "tokens must either be omitted or all be at the beginning, as "
            f"{self._special()}. Received: {token!r}"
        )

    def _take_tokens(self, tokens: list[Any], weights: np.ndarray | None = None) -> None:
        size = len(tokens) + self._token_start()
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"The vocabulary must have at most max_tokens={self.max_tokens} tokens, including "
                f"the mask token and the out-of-vocabulary tokens. Received: {size}"
            )
        fixed = self.output_mode != "int" and not self.pad_to_max_tokens
        if fixed and self._frozen_vocab_size not in (None, size):
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, the "
                "vocabulary size cannot be changed after the layer is called. Old vocab size is "
                f"{self._frozen_vocab_size}, new vocab size is {size}"
            )
        self._set_tokens(tokens)
        self._frozen_vocab_size = size
        if weights is not None:
            missing = self.max_tokens - len(weights) if self.pad_to_max_tokens else 0  # type: ignore[operator]
            self.idf_weights = np.pad(weights, (0, missing)).astype(dtypes.floatx())
        self._adapted += 1

    def _set_tokens(self, tokens: list[Any]) -> None:
        if self.invert:
            every = np.empty(len(tokens) + self._token_start(), object)
            every[:] = [*map(_bytes, self._special()), *tokens]
            table: Any = every if self._of_text else every.astype(np.int64)
        else:
            table = {token: number for number, token in enumerate(tokens, self._token_start())}
            if self.mask_token is not None:
                table[_bytes(self.mask_token)] = 0 if self.output_mode == "int" else _DROPPED
            if not self._of_text:
                keys = np.array(sorted(table), np.int64)
                table = keys, np.array([table[k] for k in keys.tolist()], np.int64)
        self._words = _Words(tokens, table)

    def _flat(self, tokens: Any, name: str = "data") -> list[Any]:
        """Tokens from arrays of any library, or from lists, as a list of Python values."""
        found = foreign.array_of(tokens)
        array = np.asarray(tokens if found is None else found).reshape(-1)
        if not array.size:
            return []
        if not self._of_text:
            if array.dtype.kind not in "iub":
                raise ValueError(
                    f"Layer '{self.name}' takes integers. Received: {name} of dtype {array.dtype}"
                )
            return array.astype(np.int64).tolist()
        texts = as_bytes(array)
        if texts is None:
            raise ValueError(
                f"Layer '{self.name}' takes text. Received: {name} of dtype {array.dtype}"
            )
        return texts.tolist()

    def _parsed(self, lines: list[str]) -> list[Any]:
        return [line.encode() if self._of_text else int(line) for line in lines]

    # -- adapting -----------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Builds the vocabulary from the tokens in data, the most frequent ones first.

        Args:
            data: an array or a list, or batches in any iterable.
            steps: the most batches to take.

        Raises ValueError if `vocabulary` was given.
        """
        self.reset_state()
        for batch in [data] if hasattr(data, "flat_values") else batches(data, steps):
            if batch is data and np.ndim(batch) == 1:
                batch = np.asarray(batch).reshape(-1, 1)
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the counts."""
        if hasattr(data, "flat_values"):  # A ragged tensor.
            splits = np.asarray(data.row_splits)[1:-1]
            return self._count(map(self._flat, np.split(np.asarray(data.values), splits)))
        found = foreign.array_of(data)
        array = np.asarray(data if found is None else found)
        documents = array.reshape(1, -1)
        if self.output_mode == "tf_idf" and array.ndim > 1:
            documents = array.reshape(len(array), -1)
        self._count(self._flat(row) for row in documents)

    def _count(self, documents: Iterable[list[Any]]) -> None:
        if self._has_input_vocabulary:
            raise ValueError(
                f"Layer '{self.name}' was given its vocabulary, which adapt() would replace. "
                "Create a layer without `vocabulary` to adapt it."
            )
        for tokens in documents:
            self._counts.update(tokens)
            if self.output_mode == "tf_idf":
                self._document_counts.update(set(tokens))
            self._documents += 1

    def finalize_state(self) -> None:
        """Computes the vocabulary from the batches that were counted."""
        if self._has_input_vocabulary or not self._counts:
            self._frozen_vocab_size = self.vocabulary_size()
            return
        counts = self._counts
        for token in (self.mask_token, self.oov_token):
            counts.pop(_bytes(token), None)
        tokens = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        if self.max_tokens is not None:
            tokens = tokens[: max(self.max_tokens - self._token_start(), 0)]
        weights = None
        if self.output_mode == "tf_idf":
            within = np.array([self._document_counts[t] for t in tokens], float)
            weights = np.log(1 + self._documents / (1 + within)).astype(dtypes.floatx())
            weights = np.concatenate([np.full(self._token_start(), weights.mean()), weights])
        self._take_tokens(tokens, weights)
        self.reset_state()

    def reset_state(self) -> None:
        """Discards the counts."""
        self._counts: Counter = Counter()
        self._document_counts: Counter = Counter()
        self._documents = 0

    # -- looking up ---------------------------------------------------------------------------

    def _computed(self, values: np.ndarray) -> np.ndarray:
        if self.invert:
            return self._inverted(np, values)
        if self._of_text:
            if (texts := as_bytes(values)) is None:
                raise ValueError(
                    f"Layer '{self.name}' takes text. Received: an array of {values.dtype}"
                )
            numbers = self._numbers(texts.reshape(-1).tolist()).reshape(values.shape)
            return self._encoded(numbers)
        return self._encoded(self._searched(np, self._as_integers(values)))

    def _described(self, texts: Text) -> dict[str, Any] | None:
        if self.invert or not self._of_text:
            return None
        if self.output_mode != "int":
            self._check_known()
        table, count = self._words.table, self.num_oov_indices
        weights = np.asarray(self.idf_weights).tolist() if self.output_mode == "tf_idf" else None
        return {
            "table": {
                "words": as_characters(table),
                "indices": list(table.values()),
                "default": self._start() if count == 1 else _MISSING,
                "unknown": {"count": count, "first": self._start(), "salt": self.salt},
            },
            "mode": self.output_mode,
            "depth": self._depth(),
            "weights": weights,
        }

    def _as_integers(self, values: Any) -> Any:
        if values.dtype.kind not in "iub":
            raise ValueError(
                f"Layer '{self.name}' takes integers. Received: an array of {values.dtype}"
            )
        return values.astype(np.int64)

    def _numbers(self, tokens: list[Any]) -> np.ndarray:
        """The indices of text tokens."""
        table, count = self._words.table, self.num_oov_indices
        default = self._start() if count == 1 else _MISSING
        numbers = np.array([table.get(token, default) for token in tokens], np.int64)
        return numbers if count == 1 else self._hashed(numbers, tokens)

    def _hashed(self, numbers: np.ndarray, tokens: Sequence[Any]) -> np.ndarray:
        """The indices with those of unknown tokens replaced by indices that their hashes
        determine."""
        missing = np.flatnonzero(numbers == _MISSING)
        others = [tokens[i] for i in missing.tolist()]
        if others and not self.num_oov_indices:
            raise ValueError(
                "With `num_oov_indices=0` all tokens must be in the vocabulary. Received: "
                f"{[self._plain(t) for t in others[:10]]}. `num_oov_indices=1` accepts others."
            )
        texts = others if self._of_text else [str(t).encode() for t in others]
        numbers[missing] = hash_buckets(texts, self.num_oov_indices, self.salt) + self._start()
        return numbers

    def _searched(self, xp: Any, values: Any) -> Any:
        """The indices of integers, computed by numpy or in a compiled program."""
        keys, numbers = self._words.table
        if xp is jnp:
            fits = abs(keys) < 2**31
            keys, numbers = keys[fits].astype("int32"), numbers[fits].astype("int32")
            keys, numbers = jnp.asarray(keys), jnp.asarray(numbers)
        if not len(keys):
            found = xp.full(values.shape, _MISSING)
        else:
            place = xp.minimum(xp.searchsorted(keys, values), len(keys) - 1)
            found = xp.where(keys[place] == values, numbers[place], _MISSING)
        count = self.num_oov_indices
        if count and self.oov_method == "floormod":
            return xp.where(found == _MISSING, values % count + self._start(), found)
        return self._hashed(found.reshape(-1), values.reshape(-1).tolist()).reshape(values.shape)

    def _inverted(self, xp: Any, numbers: Any) -> Any:
        table = self._words.table
        if not len(table):
            return xp.full(numbers.shape, _bytes(self.oov_token))
        inside = (numbers >= 0) & (numbers < len(table))
        found = xp.asarray(table)[xp.where(inside, numbers, 0)]
        return xp.where(inside, found, _bytes(self.oov_token))

    def _encoded(self, numbers: Any) -> Any:
        if self.output_mode == "int":
            return numbers
        self._check_known()
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        out = encode(numbers, mode, self._depth(), self._output_dtype())
        return out * self.idf_weights if self.output_mode == "tf_idf" else out

    def _check_known(self) -> None:
        if self._depth() is None:
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, the "
                "vocabulary must be set before the layer is called, since its size is that of the "
                f"output. Layer '{self.name}' has none: call adapt() or set_vocabulary()."
            )

    def _traced(self, values: jax.Array) -> jax.Array:
        if self.invert:
            return self._inverted(jnp, values)
        if self.num_oov_indices and self.oov_method == "floormod":
            return self._encoded(self._searched(jnp, values))
        return super()._traced(values)

    def call(self, inputs: Any) -> Any:
        if self.invert and self._of_text:
            return Text(self._inverted(np, np.asarray(inputs)))
        return super().call(inputs)

    def _depth(self) -> Any:
        return self.max_tokens if self.pad_to_max_tokens else self._frozen_vocab_size

    @property
    def _counts_wide(self) -> bool:  # type: ignore[override]
        return not self.invert

    def _output_dtype(self) -> str:
        if self.invert:
            return self.vocabulary_dtype
        return "int64" if self.output_mode == "int" else dtypes.floatx()

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self._depth())

    # -- files --------------------------------------------------------------------------------

    def get_build_config(self) -> dict[str, Any]:
        return {}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Does nothing: the layer has no weights."""

    @property
    def _has_own_format(self) -> bool:
        return self.output_mode == "tf_idf"

    def save_own_variables(self, store: Any) -> None:
        if self.output_mode == "tf_idf" and self.idf_weights is not None:
            store["idf_weights"] = self.idf_weights

    def load_own_variables(self, store: Any) -> None:
        if self.output_mode == "tf_idf" and "idf_weights" in store.keys():  # noqa: SIM118
            self.idf_weights = np.asarray(store["idf_weights"])

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary to `vocabulary.txt`, unless the config contains it."""
        if self.input_vocabulary is None:
            tokens = [str(token) for token in self.get_vocabulary()]
            if any("\n" in token for token in tokens):
                raise ValueError(
                    f"Layer '{self.name}' cannot be saved: a token of its vocabulary contains a "
                    "line break, and the vocabulary file has one token per line. Pass the "
                    "vocabulary as the argument `vocabulary`, which is saved in the config."
                )
            path = os.path.join(dir_path, "vocabulary.txt")
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write("\n".join(tokens))

    def load_assets(self, dir_path: str) -> None:
        """Reads the file of `save_assets`."""
        if self.input_vocabulary is not None:
            return
        lines = _lines(os.path.join(dir_path, "vocabulary.txt"))
        # Empty tokens at the end of the file.
        lines += [""] * ((self._frozen_vocab_size or 0) - len(lines))
        self._take_tokens(self._parsed(lines[self._token_start() :]))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["idf_weights"] = _listed(self.input_idf_weights)
        config["vocabulary"] = _listed(self.input_vocabulary)
        config["vocabulary_size"] = self._frozen_vocab_size
        return config


class _Words:
    """A vocabulary and its lookup table, wrapped so that traversals of a layer's attributes do not
    enter them."""

    def __init__(self, tokens: Any, table: Any):
        self.tokens, self.table = tokens, table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Words) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(_Words)


def _bytes(token: Any) -> Any:
    return token.encode() if isinstance(token, str) else token


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _listed(values: Any) -> Any:
    """Converts values to lists that a config can contain."""
    found = foreign.array_of(values)
    values = values if found is None else np.asarray(found)
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        values = [v.decode() if isinstance(v, bytes) else v for v in values]
    return values


registry.publish("keras.src.layers.preprocessing.index_lookup", {"IndexLookup": IndexLookup})
