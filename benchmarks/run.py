"""keraslike beside Keras 3 on JAX and on TensorFlow, PyTorch, and a loop of jax and optax by hand.

    make bench                      # or: python benchmarks/run.py [--only MLP] [--rounds 7]
    python benchmarks/run.py --tensorflow /path/to/python --write benchmarks/RESULTS.md

Each column is a process of its own that waits while another works; for a workload they take turns,
round by round, and the medians of the rounds are printed, and the medians of the ratios within a
round: machines are noisy. The columns of TensorFlow and PyTorch are there where these can be
imported, by this Python or by the one that is named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from augmentation import AUGMENTATIONS, SHAPE
from layers_alone import LAYERS
from pipelines import COUNTS
from workloads import EVERY, LARGER, WORKLOADS

OURS, HAND, SCAN = "keraslike", "by hand", "by hand, scan"
KEPT = "keraslike, memory kept"  # with config.keep_memory()
KERAS, FUSED, TENSORFLOW = "Keras JAX", "Keras JAX, 32", "Keras TensorFlow"
PLAIN = "TensorFlow"  # without Keras
TORCH, TORCH_COMPILED = "PyTorch", "PyTorch, compiled"
SERVED = ("chapter's MLP 8-30-1", "MLP 1024x4", "conv 32-64")  # for predict and model(x)
ALONE = "in memory"  # where the step is all there is to do
SOURCES = (ALONE, "generator", "PyDataset", "Dataset", "grain", "torch", "tf.data")
STREAMED = ("chapter's MLP 8-30-1", "MLP 1024x4", "embedding, LSTM 64")
HERE = Path(__file__).parent
_PAUSE = 0.05  # before a turn: threads of the column before may still look for work


class Column:
    """A process that trains when it is told to."""

    def __init__(self, name: str, python: str, *options: str):
        self.name = name
        # Threads of PyTorch that wait for a core would count as work.
        waiting = {"OMP_WAIT_POLICY": "passive"} if "--cpu" in options else {}
        self.process = subprocess.Popen(
            [python, str(HERE / "column.py"), name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | waiting,
        )
        self.imported = self._answer()["import"]

    def _answer(self) -> Any:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}.")
        return json.loads(line)

    def ask(self, **order: Any) -> Any:
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


@contextlib.contextmanager
def started(names: list[str], args: Any) -> Iterator[list[Column]]:
    """Starts the columns; of `args` the fields `cpu`, `tensorflow` and `torch` count, if there."""
    options = ["--cpu"] if getattr(args, "cpu", False) else []
    pythons = dict.fromkeys((TENSORFLOW, PLAIN), args.tensorflow)
    if torch := getattr(args, "torch", None):
        pythons |= dict.fromkeys((TORCH, TORCH_COMPILED), torch)
    columns = [Column(name, pythons.get(name, sys.executable), *options) for name in names]
    yield columns
    for column in columns:
        column.end()


def measure(
    columns: list[Column], kind: str, workload: str, epochs: int, args: Any, warm: bool = True
) -> dict[str, Any]:
    """For each column its first epoch, rounds and peak memory; a column that has none is absent."""
    found: dict[str, Any] = {}
    for column in columns:
        reply = column.ask(make=workload, kind=kind, warm=epochs if warm else 0)
        if "none" not in reply:
            found[column.name] = {"first": reply["first"], "build": reply["build"]}
            found[column.name].update(rounds=[], share=[])
            found[column.name]["import"] = column.imported
    for _ in range(args.rounds):
        for column in columns:
            if column.name in found:
                time.sleep(_PAUSE)
                reply = column.ask(run=epochs)
                found[column.name]["rounds"].append(reply["seconds"] / epochs)
                found[column.name]["share"].append(reply["share"])  # of processors
                found[column.name]["peak"] = reply["peak"]
    return found


def restarted(workload: str, args: Any) -> dict[str, Any]:
    """Building and the first epoch in a new process, and once more with what that one compiled."""
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for start in ("first start", "second start"):
            with started([OURS], args) as (column,):
                reply = column.ask(make=workload, kind="fit", warm=0, cache=cache)
            found[start] = {"seconds": reply["build"] + reply["first"]}
    return found


def ratio(found: dict[str, Any], name: str) -> float:
    """Of keraslike's time to another's: below 1, keraslike is faster."""
    pairs = zip(found[OURS]["rounds"], found[name]["rounds"])
    return statistics.median(ours / other for ours, other in pairs)


def columns_of(results: dict[str, dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for found in results.values() for name in found))


def header(title: str, corner: str, names: list[str]) -> Iterator[str]:
    yield f"\n### {title}\n"
    yield f"| {corner} | " + " | ".join(names) + " |"
    yield "| --- |" + " ---: |" * len(names)


def table(
    title: str, results: dict[str, dict[str, Any]], units: str, scale: dict[str, float]
) -> Iterator[str]:
    names = columns_of(results)
    yield from header(title, units, names)
    for workload, found in results.items():
        cells = []
        for name in names:
            if name not in found:
                cells.append("")
                continue
            median = statistics.median(found[name]["rounds"]) * scale[workload]
            cells.append(f"{median:.3g}" if median < 100 else f"{median:.0f}")
            if name != OURS:
                cells[-1] += f" ({ratio(found, name):.2f})"
        yield f"| {workload} | " + " | ".join(cells) + " |"


def once(title: str, results: dict[str, dict[str, Any]], key: str, form: str) -> Iterator[str]:
    names = columns_of(results)
    yield from header(title, "", names)
    for workload, found in results.items():
        cells = [format(found[n][key], form) if n in found else "" for n in names]
        yield f"| {workload} | " + " | ".join(cells) + " |"


def has(python: str, package: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(not u.find_spec({package!r}))"
    return subprocess.run([python, "-c", code]).returncode == 0


def machine() -> str:
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("jax", "flax", "optax", "keras"))
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads with this in their name")
    parser.add_argument("--kinds", default="fit,start,stream,predict,call,layer,augment,pipelines")
    parser.add_argument("--tensorflow", default=sys.executable, help="a Python that has it")
    parser.add_argument("--larger", action="store_true", help="the larger models instead")
    parser.add_argument("--torch", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument(
        "--columns", default="", help="of fit: only these and keraslike's, by semicolons"
    )
    parser.add_argument(
        "--cpu", action="store_true", help="processor time, where others use the machine"
    )
    parser.add_argument("--write", help="a file for the tables")
    args = parser.parse_known_args()[0]
    keras = [KERAS, FUSED] + [TENSORFLOW] * has(args.tensorflow, "tensorflow")
    torch = [TORCH, TORCH_COMPILED] * has(args.torch, "torch")
    chosen = [name for name in (LARGER if args.larger else WORKLOADS) if args.only in name]
    kinds = args.kinds.split(",")
    lines = [
        "# Results",
        "",
        f"{machine()}.",
        "",
        f"`python benchmarks/run.py {' '.join(a for a in sys.argv[1:] if '/' not in a)}`: medians "
        f"of {args.rounds} rounds in which the columns took turns. In parentheses: keraslike's "
        "time by that column's, below 1 where keraslike is faster.",
    ]
    print("\n".join(lines), flush=True)

    def add(new: Iterator[str]) -> None:
        some = list(new)
        print("\n".join(some), flush=True)
        lines.extend(some)

    def all_of(kind: str, workloads: list[str], names: list[str], epochs: int | None = None) -> Any:
        found = {}
        for name in workloads:
            some = names + [SCAN] if kind == "fit" and name == next(iter(WORKLOADS)) else names
            with started(some, args) as columns:
                found[name] = measure(columns, kind, name, epochs or EVERY[name].epochs, args)
            print(f"  {kind}, {name}: done", file=sys.stderr, flush=True)
        return found

    if "fit" in kinds:
        names = [OURS, KEPT, *([] if args.larger else [HAND]), *keras, *torch]
        only = [name.strip() for name in args.columns.split(";") if name]
        found = all_of("fit", chosen, [n for n in names if not only or n in (OURS, *only)])
        steps = {name: 1e3 / EVERY[name].steps for name in chosen}
        add(table("A step of `fit`", found, "ms a step", steps))
        add(once("The first epoch, compilation included, seconds", found, "first", ".2f"))
        add(once("Building and compiling the model before it, seconds", found, "build", ".2f"))
        add(once("Peak memory of the process, MiB", found, "peak", ".0f"))
        add(once("Import, seconds", dict(list(found.items())[:1]), "import", ".2f"))
    if "start" in kinds:
        found = {name: restarted(name, args) for name in chosen}
        title = "Building and the first epoch with a compilation cache, seconds"
        add(once(title, found, "seconds", ".2f"))
    if "stream" in kinds:
        for workload in (name for name in chosen if name in STREAMED):
            found, steps, epochs = {}, WORKLOADS[workload].steps, WORKLOADS[workload].epochs
            for source in SOURCES:
                kind = f"stream {source}" if source != ALONE else "fit"
                with started([OURS, *keras], args) as columns:
                    reply = measure(columns, kind, workload, max(2, epochs // 5), args)
                if OURS in reply:
                    found[source] = reply
                print(f"  {kind}, {workload}: done", file=sys.stderr, flush=True)
            title = f"{workload}: a step of `fit` on batches of others"
            add(table(title, found, "ms a step", dict.fromkeys(found, 1e3 / steps)))
    if "predict" in kinds:
        some = [name for name in chosen if name in SERVED]
        found = all_of("predict 1", some, [OURS, HAND, *keras], 5)
        add(table("`predict` on one sample", found, "ms", dict.fromkeys(some, 1e3)))
        found = all_of("predict 2048", some, [OURS, *keras], 2)
        add(table("`predict` on 2048 samples", found, "ms", dict.fromkeys(some, 1e3)))
    if "call" in kinds:
        some = [name for name in chosen if name in SERVED]
        found = all_of("call", some, [OURS, HAND, *keras], 3)
        add(table("`model(x)` on one sample", found, "ms", dict.fromkeys(some, 1e3)))
    for kind, title, names, others in (
        ("layer", "A layer alone, forward and backward", LAYERS, [HAND, *keras]),
        ("augment", f"Augmentation of a batch {SHAPE}", AUGMENTATIONS, keras),
    ):
        if kind in kinds:
            some = [name for name in names if args.only in name]
            with started([OURS, *(n for n in others if n != FUSED)], args) as columns:
                found = {name: measure(columns, kind, name, 1, args) for name in some}
            add(table(title, found, "ms", dict.fromkeys(some, 1e3)))
    if "pipelines" in kinds:
        some = [name for name in COUNTS if args.only in name]
        with started([OURS] + [PLAIN] * (TENSORFLOW in keras), args) as columns:
            found = {name: measure(columns, "pipeline", name, 1, args) for name in some}
        scale = {name: 1e6 / COUNTS[name] for name in some}
        add(table("Pipelines of `tf.data`, wall time", found, "µs an element", scale))
        for each in (each for row in found.values() for each in row.values()):
            each["rounds"] = [s * r for s, r in zip(each["rounds"], each["share"])]
        add(table("The same, processor time in all threads", found, "µs an element", scale))
    if args.write:
        Path(args.write).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
