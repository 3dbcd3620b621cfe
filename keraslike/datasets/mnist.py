"""Handwritten digits."""

from keraslike.datasets.files import Arrays, fetch, read_npz


def load_data(path: str = "mnist.npz") -> Arrays:
    """MNIST: 60,000 and 10,000 images of 28 x 28 pixels of handwritten digits.

    Args:
        path: the file's name in `~/.keras/datasets`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: images `(n, 28, 28)` from 0 to 255, labels
        `(n,)` from 0 to 9.

    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
    recognition, 1998.

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    data = read_npz(fetch("mnist.npz", path))
    return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])


__all__ = ["load_data"]
__dir__ = __all__.copy
