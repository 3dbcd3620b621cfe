"""A job of several processes that is killed again and again, and goes on each time.

KERASLIKE_KILLS=20 says how often; `make test-killed` runs it so. One in two times a process dies
alone; otherwise process 0 dies with the service that all find each other by, as where its machine
is lost, or the service hangs.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import time

import jax
import numpy as np
import pytest

from keraslike.saving import orbax_store

from .restartable import EVERY, TIMEOUT
from .test_distribution import start

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KERASLIKE_KILLS", "2"))
COUNTS = (4, 2) if KILLS > 2 else (2, 2)  # processes of a job; each takes seconds to start
_LEAST_PORT = 2**16 - 2**12  # JAX adds the number of a job of SLURM's
UNFINISHED = orbax_store._UNFINISHED


def as_slurm_has_it(count, process):
    """The variables by which SLURM tells a process of a job step who it is; and a port that JAX
    takes for a job of this number."""
    step = {"SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count)}
    return {**step, "SLURM_PROCID": str(process), "SLURM_LOCALID": str(process)}


def free_port(least=0):
    for _ in range(1000):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("localhost", random.randrange(least, 2**16) if least else 0))
            return free.getsockname()[1]
    raise OSError("There is no free port.")


class Job:
    """So many processes of one run, whose output goes to files; `slurm` starts them without a word
    on where the others are, as SLURM does."""

    def __init__(self, count, devices, folder, epochs, logs, slurm=False):
        port = free_port(_LEAST_PORT if slurm else 0)
        address = f"localhost:{port}"
        number = {"SLURM_JOB_ID": str(port - _LEAST_PORT)}
        self.outs = [logs / f"{time.monotonic_ns()}-{i}" for i in range(count)]
        arguments = [str(count), address, str(folder), str(epochs)]
        self.processes = [
            start(
                "restartable",
                *(str(i), *arguments),
                devices=devices // count,
                out=out,
                **(number | as_slurm_has_it(count, i) if slurm else {}),
            )
            for i, out in enumerate(self.outs)
        ]

    def last_step(self):
        """The step that the first process has said last."""
        said = [line for line in self.outs[0].read_text().splitlines() if line.startswith("step")]
        return int(said[-1].split()[1]) if said else 0

    def wait(self, reached):
        until = time.monotonic() + 120
        while not reached():
            ended = [p.returncode for p in self.processes if p.poll() is not None]
            assert not ended and time.monotonic() < until, self.all()
            time.sleep(0.002)

    def service(self):
        """The process that runs the service, which the first one has started."""
        first = self.processes[0].pid
        (child,) = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return int(child)

    def ended(self, seconds):
        for process in self.processes:
            process.wait(seconds)

    def all(self):
        return "\n".join(out.read_text()[-3000:] for out in self.outs)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()


def being_saved(folder):
    return folder.is_dir() and any(UNFINISHED in name for name in os.listdir(folder))


def test_killed_and_started_again(tmp_path):
    folder, logs = tmp_path / "backup", tmp_path / "logs"
    logs.mkdir()
    draw = random.Random(os.environ.get("KERASLIKE_SEED", "0"))
    epochs, done = 3 + KILLS, 0
    for kill in range(KILLS):
        count, service = COUNTS[kill % 2], None
        job = Job(count, 4, folder, epochs, logs, slurm=kill % 2 == 1)
        try:
            target = done + draw.randint(1, 5)
            job.wait(lambda job=job, target=target: job.last_step() >= target)
            if kill == 0:
                job.wait(lambda: being_saved(folder))
            else:
                time.sleep(draw.uniform(0, 0.1))
            victim, said = draw.randrange(count), "of process 0, is gone"
            if kill % 2 == 0:
                said = f"ProcessLost: Process {victim} of {count} "
            elif kill % 4 == 3:
                victim, said = -1, f"of process 0, has not answered for {TIMEOUT:g} seconds"
                service = job.service()
                os.kill(service, signal.SIGSTOP)
            else:
                victim = 0
                os.kill(job.service(), signal.SIGKILL)
            if victim >= 0:
                job.processes[victim].kill()
            job.ended(TIMEOUT + 30)
            for i, (process, out) in enumerate(zip(job.processes, job.outs, strict=True)):
                if i != victim:
                    text = out.read_text()
                    assert process.returncode == 1 and said in text, text
                    assert "Check failure" not in text, text  # JAX's stack of native code
        finally:
            job.kill()
            if service is not None:
                os.kill(service, signal.SIGKILL)
        said = job.last_step()
        done = max(orbax_store.finished(folder), default=0)
        # Each step begins when the backup after the one before is on the disk.
        assert done >= (said - 1) // EVERY * EVERY, (done, said)
    job = Job(1, 2, folder, epochs, logs)
    try:
        job.ended(120)
        assert job.processes[0].returncode == 0, job.all()
    finally:
        job.kill()
    lines = job.outs[0].read_text().splitlines()
    assert next(line for line in lines if line.startswith("step")) == f"step {done + 1}"
    resumed, whole = json.loads(next(line for line in lines if line.startswith("[[")))
    assert len(resumed[0]["loss"]) == epochs
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), resumed, whole
    )
