"""Fully sharded training on all devices of all processes; a job that is started again goes on.

python examples/cluster/local.py          # two processes on this machine
sbatch examples/cluster/slurm.sh          # on a SLURM cluster
kubectl apply -f examples/cluster/jobset.yaml
python examples/cluster/ray_train.py      # pip install "ray[train]"
"""

import argparse

import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.distribution import ModelParallel, initialize, set_distribution


def main(folder: str, epochs: int = 3) -> dict:
    """Trains a small network on made-up data, the same in each process; returns the history."""
    keras.utils.set_random_seed(0)
    set_distribution(ModelParallel.fsdp())
    x = np.random.default_rng(0).normal(size=(256, 16)).astype("float32")
    y = np.tanh(x[:, :4])
    stack = [layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(4)]
    model = keras.Sequential([keras.Input((16,)), *stack])
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.01))
    # A folder that all processes see; what a finished backup holds is never lost.
    backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=2, callbacks=[backup])
    set_distribution(None)
    return history.history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="for backups; all processes have to see it")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    # Under SLURM and on Cloud TPU there is nothing to say; elsewhere KERAS_DISTRIBUTION_… says it.
    initialize(timeout=60)
    print(main(given.folder, given.epochs)["loss"])
