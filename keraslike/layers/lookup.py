"""Layers that map entries of a vocabulary to indices: IntegerLookup and StringLookup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keraslike.layers.index_lookup import IndexLookup


class IntegerLookup(IndexLookup):
    """Maps integers to their indices in a vocabulary.

    Args:
        max_tokens: the maximal size of the vocabulary, including special tokens.
        num_oov_indices: the number of indices for tokens that are not in it; with 0 they are an
            error.
        mask_token: a token whose index is 0, and that is ignored in other output modes.
        oov_token: the token that represents all others, in the vocabulary and with `invert`.
        vocabulary: the tokens, or the path of a file with one per line; by default `adapt` finds
            it.
        idf_weights: the weights of the vocabulary's tokens, for `output_mode="tf_idf"`.
        invert: whether to map indices to tokens instead.
        output_mode: `"int"` for indices; `"one_hot"`, `"multi_hot"` or `"count"` as in
            `CategoryEncoding`; `"tf_idf"` for counts times weights.
        sparse: whether to return a sparse JAX array.
        pad_to_max_tokens: whether the arrays of other modes have the size `max_tokens`.
        oov_method: how tokens that are not in it are mapped to indices: by the remainder
            (`"floormod"`) or by a hash (`"farmhash"`).
        salt: one or two integers on which the hash depends, with `oov_method="farmhash"`.

    >>> IntegerLookup(vocabulary=[12, 36])([36, 12, 7]).tolist()
    [2, 1, 0]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if vocabulary_dtype != "int64":
            raise ValueError(
                f"`vocabulary_dtype` must be 'int64'. Received: vocabulary_dtype={vocabulary_dtype}"
            )
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary_dtype,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            sparse,
            pad_to_max_tokens,
            oov_method,
            name,
            salt,
            **kwargs,
        )


class StringLookup(IndexLookup):
    """Maps strings to their indices in a vocabulary.

    The arguments are those of `IntegerLookup`, for tokens that are strings; those that are not in
    the vocabulary are mapped to indices by TensorFlow's hash.

    Args:
        encoding: the encoding of tokens that are bytes, for `get_vocabulary`.

    Accepts arrays and lists of strings and returns integers, or in other output modes floats; with
    `invert` an array of Python's strings.

    >>> layer = StringLookup()
    >>> layer.adapt(["a", "b", "b"])
    >>> layer(["a", "b", "c"]).tolist(), layer.get_vocabulary()
    ([2, 1, 0], ['[UNK]', 'b', 'a'])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        self.encoding = self._encoding = encoding
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            "string",
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            sparse,
            pad_to_max_tokens,
            name=name,
            salt=salt,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("vocabulary_dtype", None)
        return config | {"oov_method": self.oov_method}
