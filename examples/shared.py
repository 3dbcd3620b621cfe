"""What the examples share: their command line, and data for a try without a download."""

import argparse

import numpy as np


def options(doc: str | None) -> dict:
    """`--quick` and `--epochs` of the command line, as arguments of an example's `main`."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small network on made-up data of the same form"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="default: what suits the data")
    return vars(parser.parse_args())


def pictures(n: int, shape: tuple[int, ...], classes: int, seed: int = 0):
    """Grey or coloured pictures of bright bars, a place and a tint a class, with noise.

    Returns `(x, y)` as `keras.datasets` gives them: `x` uint8 of shape `(n, *shape)`, `y` int64 of
    shape `(n,)`.
    """
    rng = np.random.default_rng(seed)
    patterns = np.zeros((classes, *shape), "float32")
    for label, pattern in enumerate(patterns):
        row = label * shape[0] // classes
        pattern[row : row + max(2, shape[0] // classes)] = 160
        if len(shape) == 3:
            pattern[..., label % shape[-1]] += 60
    y = rng.integers(0, classes, n)
    x = patterns[y] + rng.uniform(0, 60, (n, *shape))
    return x.clip(0, 255).astype("uint8"), y
