"""CIFAR-100: small colour photographs of a hundred classes."""

from keraslike.datasets.cifar import load
from keraslike.datasets.files import Arrays


def load_data(label_mode: str = "fine") -> Arrays:
    """CIFAR-100: 50,000 and 10,000 colour images of 32 x 32 pixels of a hundred classes.

    Args:
        label_mode: `"fine"` for the hundred classes, `"coarse"` for their twenty superclasses.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: images `(n, 32, 32, 3)` from 0 to 255, or
        `(n, 3, 32, 32)` where `channels_first` is set, and labels `(n, 1)`.

    Krizhevsky, Learning multiple layers of features from tiny images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode must be 'fine' or 'coarse'. Received: {label_mode!r}")
    return load(100, ["train"], "test", f"{label_mode}_labels")


__all__ = ["load_data"]
__dir__ = __all__.copy
