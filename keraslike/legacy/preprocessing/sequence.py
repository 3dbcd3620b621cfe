"""Preparation of sequences, as in Keras 1 and 2."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.training.py_dataset import PyDataset
from keraslike.utils.numerical import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


class TimeseriesGenerator(PyDataset):
    """Batches of `length` successive rows of `data`, each with the target of the row after them.

    Args:
        data, targets: arrays or lists of the same length.
        length: the number of rows of `data` that a sample covers.
        sampling_rate: the distance between the rows of a sample that are used.
        stride: the number of rows between samples.
        start_index, end_index: the first and the last row that is used.
        shuffle: whether samples are drawn at random.
        reverse: whether the rows of a sample are in reverse order.
        batch_size: the number of samples in a batch.
        kwargs: arguments of `PyDataset`.

    >>> x, y = TimeseriesGenerator(np.arange(5), np.arange(5), length=2, batch_size=2)[0]
    >>> x.tolist(), y.tolist()
    ([[0, 1], [1, 2]], [2, 3])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(
                "data and targets have to be of one length. Received lengths: "
                f"{len(data)} and {len(targets)}"
            )
        self.data, self.targets, self.length = data, targets, length
        self.sampling_rate, self.stride, self.batch_size = sampling_rate, stride, batch_size
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse = shuffle, reverse
        if self.start_index > self.end_index:
            raise ValueError(
                f"start_index + length = {self.start_index} is beyond end_index="
                f"{self.end_index}: no sample is left."
            )

    def __len__(self) -> int:
        covered = self.batch_size * self.stride
        return (self.end_index - self.start_index + covered) // covered

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            rows = np.arange(first, last, self.stride)
        samples = np.array([self.data[r - self.length : r : self.sampling_rate] for r in rows])
        return samples[:, :: -1 if self.reverse else 1], np.array([self.targets[r] for r in rows])

    def get_config(self) -> dict[str, Any]:
        names = ("length", "sampling_rate", "stride", "start_index", "end_index")
        names += ("shuffle", "reverse", "batch_size")
        texts = {}
        for name in ("data", "targets"):
            value = getattr(self, name)
            texts[name] = json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)
        return texts | {name: getattr(self, name) for name in names}

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON; `kwargs` are those of `json.dumps`."""
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """The probability with which word2vec keeps a word, by its rank, under Zipf's law.

    >>> make_sampling_table(3).round(5).tolist()
    [0.00315, 0.00315, 0.00548]
    """
    rank = np.maximum(np.arange(size), 1)
    inverse_frequency = rank * (np.log(rank) + 0.577) + 0.5 - 1 / (12 * rank)
    return np.minimum(1, np.sqrt(sampling_factor * inverse_frequency))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: np.ndarray | None = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of words: with a neighbour, labelled 1, and with a random word, labelled 0.

    Args:
        sequence: numbers of words; 0 is no word.
        vocabulary_size: numbers of words are below this.
        window_size: how far a neighbour may be.
        negative_samples: random pairs for each pair of neighbours.
        shuffle: whether pairs are in random order.
        categorical: whether labels are `[1, 0]` and `[0, 1]`.
        sampling_table: the probability of each word to be used.
        seed: of the order.

    >>> skipgrams([1, 2], 3, negative_samples=0, shuffle=False)
    ([[1, 2], [2, 1]], [1, 1])
    """
    couples = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            if j != i and sequence[j]:
                couples.append([word, sequence[j]])
    labels: list[Any] = [[0, 1] if categorical else 1] * len(couples)
    if negative_samples > 0:
        number = int(len(labels) * negative_samples)
        words = [word for word, _ in couples]
        random.shuffle(words)
        couples += [
            [words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(number)
        ]
        labels += [[1, 0] if categorical else 0] * number
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for values in (couples, labels):  # In the same order.
            random.seed(seed)
            random.shuffle(values)
    return couples, labels
