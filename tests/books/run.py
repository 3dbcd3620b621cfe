"""Runs notebooks cell by cell with keraslike in Keras's and TensorFlow's place.

    python tests/books/run.py FOLDER                          all notebooks in a folder, or one file
    python tests/books/run.py FOLDER --oracle PYTHON          beside TensorFlow, which PYTHON has
    python tests/books/run.py FOLDER --list                   also the cells that differ

A line a notebook: its cells; how many TensorFlow runs (or all); how many of these run here; how
many of them print what TensorFlow prints with two seeds alike, and how many print the same here.
Without an oracle what the notebook has as its output takes the place of what TensorFlow prints.
TensorFlow's results are kept in `.books` and not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".books"
LIMIT = 3600  # seconds a notebook may take


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=pathlib.Path)
    parser.add_argument("--oracle", help="a Python that has TensorFlow")
    parser.add_argument("--list", action="store_true", help="list the cells that differ")
    parser.add_argument("--limit", type=int, default=60, help="seconds a cell may compute")
    parser.add_argument("--keep", type=pathlib.Path, default=KEPT, help="where results are kept")
    options = parser.parse_args()
    place = options.place.expanduser()
    notebooks = sorted(place.glob("*.ipynb")) if place.is_dir() else [place]
    if not notebooks or not all(path.is_file() for path in notebooks):
        raise SystemExit(f"There are no notebooks (*.ipynb) at {place}.")
    import stand_ins  # beside this file

    print(f"{'notebook':50} cells  expected  run here  printed  same here")
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder)
        stand_ins.write_files(data)
        for path in notebooks:
            oracles = [
                cells_of(path, data, options, "tensorflow", options.oracle, seed)
                for seed in ((0, 1000) if options.oracle else ())
            ]
            ours = cells_of(path, data, options, "keraslike", sys.executable)
            report(path.name, ours, oracles, options.list)


def cells_of(
    path: pathlib.Path, data: pathlib.Path, options: Any, library: str, python: str, seed: int = 0
) -> dict[int, dict[str, Any]]:
    """What a notebook's cells gave, by their number, run in a folder and a process of their own."""
    kept = options.keep / path.resolve().parent.name / f"{path.stem}.{library}.{seed}.json"
    if library == "keraslike" or not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        surroundings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
        surroundings["KERAS_BACKEND"] = "jax" if library == "keraslike" else "tensorflow"
        new = kept.with_suffix(".new")
        command = [python, str(HERE / "cells.py"), str(path.resolve()), str(new)]
        command += ["--library", library, "--seed", str(seed), "--limit", str(options.limit)]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(data, folder, dirs_exist_ok=True)
            log = kept.with_suffix(".log")
            with log.open("w") as out, contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    command, cwd=folder, env=surroundings, stdout=out, stderr=out, timeout=LIMIT
                )
        if not new.exists():
            raise SystemExit(
                f"{path.name} with {library} ended at once:\n{log.read_text()[-2000:]}"
            )
        new.replace(kept)
    return {cell["cell"]: cell for cell in json.loads(kept.read_text())}


def report(name: str, ours: dict, oracles: list[dict], listed: bool) -> None:
    """Prints the line of a notebook, and the cells that differ."""
    numbers = list(oracles[0] if oracles else ours)
    expected = [n for n in numbers if not oracles or not oracles[0][n]["error"]]
    run = [n for n in expected if n in ours and not ours[n]["error"]]
    if oracles:
        texts = {n: oracles[0][n]["printed"] for n in run}
        texts = {n: t for n, t in texts.items() if alike(t, oracles[1].get(n, {}).get("printed"))}
    else:
        texts = {n: ours[n]["published"] for n in run}
    texts = {n: text for n, text in texts.items() if text.strip()}
    same = [n for n, text in texts.items() if alike(text, ours[n]["printed"])]
    counts = (len(numbers), len(expected), len(run), len(texts), len(same))
    print("{:50} {:5}  {:8}  {:8}  {:7}  {:9}".format(name[:50], *counts), flush=True)
    if listed:
        for n in expected:
            if n not in run:
                cell = ours.get(n, {"error": "the process had ended", "first": ""})
                print(f"  {n}: {cell['error'][:200]!r} | {cell['first'][:70]}")
        for n, text in texts.items():
            if n not in same:
                print(f"  {n}: prints {ours[n]['printed'][:300]!r}\n       not {text[:300]!r}")


NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# What differs from run to run, is the name of a place in a library, or was drawn over.
PASSING = re.compile(
    r"^.*[\r\b](?!$)|\x1b\[[0-9;]*m|0x[0-9a-f]+|\d+(?:\.\d+)?\s?[mµun]?s(?:/\w+)?\b"
    r"|(?:keras|keraslike)\.[\w.]+\.|━+",
    re.MULTILINE,
)


def alike(first: str, second: str | None) -> bool:
    """Whether two outputs say the same, numbers to four digits."""
    if second is None:
        return False
    first, second = (" ".join(PASSING.sub("", text).split()) for text in (first, second))
    shapes = (re.sub(r"[\s,\[\]()]+", "", NUMBER.sub("#", text)) for text in (first, second))
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (first, second)]
    return len(set(shapes)) == 1 and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5) for a, b in zip(*numbers, strict=True)
    )


if __name__ == "__main__":
    main()
