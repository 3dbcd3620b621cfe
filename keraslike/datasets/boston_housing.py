"""Prices of houses in Boston."""

import numpy as np

from keraslike.datasets.files import Arrays, fetch, read_npz, shuffle, split


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Arrays:
    """Boston housing: 506 suburbs in the 1970s, 13 features and the median price of a house.

    One of the features is based on a racist assumption of its authors. Use `california_housing`
    for anything but the discussion of this problem.

    Args:
        path: the file's name in `~/.keras/datasets`.
        test_split: the fraction of rows in the test set.
        seed: the seed of the order of rows.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, float64: features `(n, 13)`, prices `(n,)` in
        thousands of dollars.

    Harrison and Rubinfeld, Hedonic prices and the demand for clean air, 1978.

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    data = read_npz(fetch("boston_housing.npz", path))
    x, y = shuffle(np.random.RandomState(seed), data["x"], data["y"])
    return split(x, y, test_split)


__all__ = ["load_data"]
__dir__ = __all__.copy
