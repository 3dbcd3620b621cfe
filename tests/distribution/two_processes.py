"""One of two processes that train together: python -m tests.distribution.two_processes ID ADDRESS

Prints what it trained as JSON.
"""

import json
import random
import sys

import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.distribution import DataParallel, get_device_count, initialize, set_distribution

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = X[:, :1] * 2


def make():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    return model


def train(process):
    """Results of fits with all data given to each process, or its own part of each batch."""
    results = {}
    set_distribution(DataParallel())
    model = make()
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    results["whole"] = [history["loss"], model.predict(X, batch_size=8, verbose=0).tolist()]
    for name, whole in (("ordered", True), ("parts", False)):
        set_distribution(DataParallel(auto_shard_dataset=whole))
        model = make()
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        size, first = (8, 0) if whole or process is None else (4, 4 * process)
        own = [np.concatenate([a[i + first : i + first + size] for i in (0, 8)]) for a in (X, Y)]
        history = model.fit(*own, batch_size=size, shuffle=False, verbose=0).history
        results[name] = [history["loss"], *[w.tolist() for w in model.get_weights()]]
    if process is not None:
        try:
            model.fit(X[:3], Y[:3], batch_size=3, verbose=0)
        except ValueError as e:
            results["error"] = str(e)
    return results


if __name__ == "__main__":
    process, address = int(sys.argv[1]), sys.argv[2]
    random.seed(process)  # what one process draws is another's business
    initialize(address, num_processes=2, process_id=process)
    print(json.dumps({"devices": get_device_count(), **train(process)}))
