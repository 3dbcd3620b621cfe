"""CIFAR-10: small colour photographs of ten classes."""

from keraslike.datasets.cifar import load
from keraslike.datasets.files import Arrays


def load_data() -> Arrays:
    """CIFAR-10: 50,000 and 10,000 colour images of 32 x 32 pixels of ten classes.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: images `(n, 32, 32, 3)` from 0 to 255, or
        `(n, 3, 32, 32)` where `channels_first` is set, and labels `(n, 1)`: 0 airplane,
        1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    Krizhevsky, Learning multiple layers of features from tiny images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    return load(10, [f"data_batch_{i}" for i in range(1, 6)], "test_batch", "labels")


__all__ = ["load_data"]
__dir__ = __all__.copy
