"""The launchers of examples/cluster: on this machine, started again after a process was killed."""

import ast
import importlib.util
import os
import pathlib
import stat
import subprocess
import sys

import pytest
import yaml

CLUSTER = pathlib.Path(__file__).parents[2] / "examples" / "cluster"


def limited(folder):
    """A PYTHONPATH by which each process has a time limit, at which it writes its stacks."""
    program = "import faulthandler\nfaulthandler.dump_traceback_later(200, exit=True)\n"
    (folder / "sitecustomize.py").write_text(program)
    return os.pathsep.join((str(folder), str(CLUSTER.parents[1])))


@pytest.mark.slow
def test_local_processes_train(tmp_path, monkeypatch, capfd):
    spec = importlib.util.spec_from_file_location("local_launcher", CLUSTER / "local.py")
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", limited(tmp_path))
    launcher.launch(2, str(tmp_path / "backup"), restarts=0, epochs=2)
    out = capfd.readouterr().out
    losses = [line for line in out.splitlines() if line.startswith("[") and "." in line]
    losses = [line for line in losses if "Gloo" not in line]
    assert len(losses) == 2 and losses[0] == losses[1]  # of both processes
    first, last = [float(x) for x in losses[0].strip("[]").split(",")]
    assert last < first
    assert out.count("Epoch 1/2") == 1  # said by the first process only


@pytest.mark.parametrize("code", [0, 1])
def test_the_script_for_slurm(tmp_path, code):
    """What it asks of SLURM: the training on all nodes, and the job once more where that fails."""
    script = CLUSTER / "slurm.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    for name, ends in (("srun", code), ("scontrol", 0)):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*"\nexit {ends}\n')
        (tmp_path / name).chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(CLUSTER.parents[1]),
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run(
        [script, "--epochs", "2"], env=env, capture_output=True, text=True, check=True
    )
    run, *again = done.stdout.splitlines()
    *_, program, folder, option, epochs = run.split()
    assert run.startswith("srun --kill-on-bad-exit=0 python ")
    assert pathlib.Path(program) == CLUSTER / "train.py" and (option, epochs) == ("--epochs", "2")
    assert folder.endswith("backup-7")
    assert again == ["scontrol requeue 7"] * code


def test_the_jobset():
    """It says to each process what `initialize` asks for, in the names that JobSet gives pods."""
    jobset = yaml.safe_load((CLUSTER / "jobset.yaml").read_text())
    name, (workers,) = jobset["metadata"]["name"], jobset["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    said = {v["name"]: v["value"] for v in container["env"]}
    (port,) = [p["containerPort"] for p in container["ports"]]
    assert said == {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"{name}-{workers['name']}-0-0.{name}:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(job["completions"]),
    }
    assert job["completions"] == job["parallelism"] and job["completionMode"] == "Indexed"
    (command,) = container["args"]
    assert command.startswith("KERAS_DISTRIBUTION_PROCESS_ID=$JOB_COMPLETION_INDEX exec python ")
    assert (CLUSTER.parents[1] / command.split()[3]).exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray`")
def test_workers_of_ray_train(tmp_path):
    command = [sys.executable, str(CLUSTER / "ray_train.py"), "--epochs", "2"]
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": limited(tmp_path)}
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "backup")],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # Ray prints the lines of its workers as they come, some after those of the driver.
    (result,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    reported = ast.literal_eval(result)
    assert reported["processes"] == 2 and reported["last"] < reported["first"]
