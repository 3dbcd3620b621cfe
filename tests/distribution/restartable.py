"""One of several processes of a job that may be killed at any moment, and started again.

python -m tests.distribution.restartable ID COUNT ADDRESS FOLDER EPOCHS prints a line a step, and
at the end the losses and weights as JSON, beside those of a run that was never stopped where it is
the only process.
"""

import json
import os
import pathlib
import sys
import tempfile

import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.distribution import ModelParallel, initialize, set_distribution

N = 48
X = np.random.default_rng(0).normal(size=(N, 3)).astype("float32")
Y = X[:, :1] * 2
TIMEOUT = float(os.environ.get("KERASLIKE_TIMEOUT", "4"))
EVERY = 2  # steps from one backup to the next


class Steps(keras.callbacks.Callback):
    """Says which step was made, before it is saved."""

    def on_train_batch_end(self, batch, logs=None):
        updates = self.model._position.updates
        print(f"step {updates}", flush=True)


def train(folder, epochs):
    keras.utils.set_random_seed(4)
    set_distribution(ModelParallel.fsdp(min_size=8))
    stack = [layers.Dense(8, "tanh"), layers.Dropout(0.2), layers.Dense(1)]
    model = keras.Sequential([layers.Input((3,)), *stack])
    model.compile(loss="mse", optimizer="adam", metrics=["mae"])
    backup = keras.callbacks.BackupAndRestore(folder, save_freq=EVERY, delete_checkpoint=False)
    history = model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[Steps(), backup])
    return [history.history, [w.tolist() for w in model.get_weights()]]


if __name__ == "__main__":
    process, count, address, folder, epochs = sys.argv[1:]
    if "SLURM_JOB_ID" in os.environ:  # JAX reads there who is who
        initialize(timeout=TIMEOUT)
    elif count != "1":
        initialize(address, int(count), int(process), timeout=TIMEOUT)
    results = [train(pathlib.Path(folder), int(epochs))]
    if count == "1":
        with tempfile.TemporaryDirectory() as empty:
            results.append(train(pathlib.Path(empty), int(epochs)))
    print(json.dumps(results), flush=True)
