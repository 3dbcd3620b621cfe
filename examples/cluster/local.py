"""Starts `train.py` as several processes on this machine, and again when one of them dies.

python examples/cluster/local.py --processes 2 --folder /tmp/backup
"""

import argparse
import os
import pathlib
import socket
import subprocess
import sys

TRAIN = pathlib.Path(__file__).with_name("train.py")


def launch(processes: int, folder: str, restarts: int = 3, epochs: int = 3) -> None:
    """Runs all processes to their end; raises RuntimeError where `restarts` did not suffice."""
    for _ in range(restarts + 1):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"localhost:{free.getsockname()[1]}"
        started = []
        for i in range(processes):
            env = {
                **os.environ,
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
                "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
                "KERAS_DISTRIBUTION_PROCESS_ID": str(i),
            }
            command = [sys.executable, str(TRAIN), folder, "--epochs", str(epochs)]
            started.append(subprocess.Popen(command, env=env))
        # Where one dies the others end by themselves, with an error that names it.
        codes = [process.wait() for process in started]
        if not any(codes):
            return
    raise RuntimeError(f"The job ended with an error {restarts + 1} times: see above.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", default="backup", help="for backups")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    launch(given.processes, given.folder, epochs=given.epochs)
