"""Prices of houses in California."""

import numpy as np

from keraslike.datasets.files import Arrays, fetch, read_npz, shuffle, split


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Arrays:
    """California housing: 20,640 districts in 1990, 8 features and the median value of a house.

    Args:
        version: `"large"`, or `"small"` for the first 600 districts.
        path: the file's name in `~/.keras/datasets`.
        test_split: the fraction of rows in the test set.
        seed: the seed of the order of rows.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, float32: features `(n, 8)` (median income in
        10,000 dollars, age of houses in years, rooms and bedrooms a household, population, people
        a household, latitude, longitude) and values `(n,)` in dollars.

    Pace and Barry, Sparse spatial autoregressions, 1997.

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    if version not in ("small", "large"):
        raise ValueError(f"version must be 'small' or 'large'. Received: {version!r}")
    data = read_npz(fetch("california_housing.npz", path))
    rows = slice(600 if version == "small" else None)
    x, y = shuffle(np.random.RandomState(seed), data["x"][rows], data["y"][rows])
    return split(x, y, test_split)


__all__ = ["load_data"]
__dir__ = __all__.copy
