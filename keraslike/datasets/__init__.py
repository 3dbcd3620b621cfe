"""Small data sets, which are downloaded once to `~/.keras/datasets` (or `$KERAS_HOME`)."""

from keraslike.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
__dir__ = __all__.copy
