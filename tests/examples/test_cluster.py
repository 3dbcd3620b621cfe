"""The launchers of examples/cluster: on this machine, started again after a process was killed."""

import ast
import importlib.util
import os
import pathlib
import stat
import subprocess
import sys

import pytest

CLUSTER = pathlib.Path(__file__).parents[2] / "examples" / "cluster"


@pytest.mark.slow
def test_local_processes_train(tmp_path, monkeypatch, capfd):
    spec = importlib.util.spec_from_file_location("local_launcher", CLUSTER / "local.py")
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(CLUSTER.parents[1]))
    launcher.launch(2, str(tmp_path / "backup"), restarts=0, epochs=2)
    out = capfd.readouterr().out
    losses = [line for line in out.splitlines() if line.startswith("[") and "." in line]
    losses = [line for line in losses if "Gloo" not in line]
    assert len(losses) == 2 and losses[0] == losses[1]  # of both processes
    first, last = [float(x) for x in losses[0].strip("[]").split(",")]
    assert last < first
    assert out.count("Epoch 1/2") == 1  # said by the first process only


def test_the_script_for_slurm_can_be_run():
    assert (CLUSTER / "slurm.sh").stat().st_mode & stat.S_IXUSR


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray`")
def test_workers_of_ray_train(tmp_path):
    command = [sys.executable, str(CLUSTER / "ray_train.py"), "--epochs", "2"]
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(CLUSTER.parents[1])}
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "backup")],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    reported = ast.literal_eval(done.stdout.splitlines()[-1])
    assert reported["processes"] == 2 and reported["last"] < reported["first"]
