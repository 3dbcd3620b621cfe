"""What Keras 2 made, recorded as data: configs, outputs, optimizer states and a few whole files.

`make.py` wrote all of it, and says how.
"""

import json
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def numbers(shape, seed=0, dtype="float32"):
    """The same numbers for all who ask for them, from -1 to 1."""
    count = int(np.prod(shape))
    values = np.sin(1.7 * np.arange(count) + 0.9 * seed + 0.3)
    if dtype == "int32":
        return (np.abs(values) * 5).astype("int32").reshape(shape)
    return values.reshape(shape).astype("float32")


def weights(shapes):
    """Weights of these shapes; none is below 0.1 that may be a variance."""
    found = [numbers(shape, seed) for seed, shape in enumerate(shapes)]
    return [np.abs(w) + 0.1 if w.ndim == 1 else 0.5 * w for w in found]


def record(name):
    return json.loads((FOLDER / f"{name}.json").read_text())
