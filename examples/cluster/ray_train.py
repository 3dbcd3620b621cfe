"""The training of `train.py` as workers of Ray Train, which starts them again when one dies.

    pip install "keraslike[ray]"
    python examples/cluster/ray_train.py --workers 2 --folder /tmp/backup

With `--gpu` each worker has a GPU, and Ray connects the processes; on CPUs they connect here.
"""

import argparse
import pathlib
import socket

from ray import train as ray_train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.jax import JaxTrainer


def work(config: dict) -> dict:
    """What each worker runs."""
    import sys

    sys.path.insert(0, config["examples"])
    from train import main

    from keraslike.distribution import initialize

    context = ray_train.get_context()
    address = config["address"]  # of a machine that is alone; on GPUs Ray has its own
    initialize(address, context.get_world_size(), context.get_world_rank(), timeout=30)
    loss = main(config["folder"], config["epochs"])["loss"]
    return {"first": loss[0], "last": loss[-1], "processes": context.get_world_size()}


def launch(workers: int, folder: str, epochs: int = 3, gpu: bool = False) -> dict:
    """Trains on so many workers and returns what the first one did."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    here = str(pathlib.Path(__file__).parent.absolute())
    trainer = JaxTrainer(
        work,
        train_loop_config={
            "examples": here,
            "address": address,
            "folder": folder,
            "epochs": epochs,
        },
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
        run_config=RunConfig(
            storage_path=str(pathlib.Path(folder).absolute().parent / "ray"),
            failure_config=FailureConfig(max_failures=3),
        ),
    )
    return trainer.fit().return_value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--folder", default="backup", help="for backups; all workers have to see it"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--gpu", action="store_true")
    given = parser.parse_args()
    print(launch(given.workers, given.folder, given.epochs, given.gpu))
