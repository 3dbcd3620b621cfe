"""Runs notebooks cell by cell with keraslike in Keras's and TensorFlow's place.

    python tests/books/run.py FOLDER                          all notebooks in a folder, or one file
    python tests/books/run.py FOLDER --oracle PYTHON          compared with the TensorFlow of PYTHON
    python tests/books/run.py FOLDER --list                   also the cells that differ
    python tests/books/run.py FOLDER --oracle PYTHON --write  and writes the lines to RESULTS.md
    python tests/books/run.py FOLDER --kept ...               compares the results of earlier runs

One line per notebook: the number of its cells; how many TensorFlow runs (or all); how many of these
run here; how many of them print the same in TensorFlow with two seeds; and how many of those print
it here. Without an oracle, the outputs stored in the notebook are compared instead. Results are
kept in `.books`, and TensorFlow's are not computed again. `reasons.txt` says why a cell differs, by
its number, or `*` for all other cells of a notebook, after the notebook's name or `folder/name`.
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
LIMIT = 3600  # seconds that a notebook may take
RESULTS, REASONS = HERE / "RESULTS.md", HERE / "reasons.txt"
HEAD = """# Notebooks of books

Their code cells, run in order, with small data instead of downloads and with short training.
"TensorFlow" is how many of them TensorFlow 2.21 with Keras 3.15 runs, "here" how many of these
keraslike runs, "printed" how many of these print the same in TensorFlow with two seeds, and "same"
how many of these print it here. A cell that TensorFlow does not run needs a newer or older library,
a download, or a package that was not installed. A line without a count of TensorFlow's was run with
keraslike alone, some of them for one epoch of 16 rows or of one batch of 4. A line without a count
of "printed" comes from a run that did not compare what cells print. `make books DIR=...
ARGS="--oracle PYTHON --write"` writes a line for each notebook there.

| folder | notebook | cells | TensorFlow | here | printed | same | cells that differ |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=pathlib.Path)
    parser.add_argument("--oracle", help="a Python that has TensorFlow")
    parser.add_argument("--list", action="store_true", help="list the cells that differ")
    parser.add_argument("--write", action="store_true", help="write the lines to RESULTS.md")
    parser.add_argument("--kept", action="store_true", help="run nothing: compare what is kept")
    parser.add_argument("--limit", type=int, default=60, help="seconds of processor time per cell")
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
            row = report(path.name, ours, oracles, options.list)
            if options.write:
                write_row(path.resolve().parent.name, path.stem, row, bool(oracles))


def cells_of(
    path: pathlib.Path, data: pathlib.Path, options: Any, library: str, python: str, seed: int = 0
) -> dict[int, dict[str, Any]]:
    """The results of a notebook's cells by number; it runs in a folder and process of its own."""
    kept = options.keep / path.resolve().parent.name / f"{path.stem}.{library}.{seed}.json"
    if (library == "keraslike" and not options.kept) or not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
        environment["KERAS_BACKEND"] = "jax" if library == "keraslike" else "tensorflow"
        if options.oracle:  # writes and runs SavedModels
            environment["KERASLIKE_TENSORFLOW_PYTHON"] = options.oracle
        new = kept.with_suffix(".new")
        command = [python, str(HERE / "cells.py"), str(path.resolve()), str(new)]
        command += ["--library", library, "--seed", str(seed), "--limit", str(options.limit)]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(data, folder, dirs_exist_ok=True)
            log = kept.with_suffix(".log")
            with log.open("w") as out, contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    command, cwd=folder, env=environment, stdout=out, stderr=out, timeout=LIMIT
                )
        if not new.exists():
            raise SystemExit(
                f"{path.name} with {library} ended at once:\n{log.read_text()[-2000:]}"
            )
        new.replace(kept)
    return {cell["cell"]: cell for cell in json.loads(kept.read_text())}


def report(
    name: str, ours: dict, oracles: list[dict], listed: bool
) -> tuple[tuple[int, ...], dict[int, str]]:
    """Prints the line of a notebook, and the cells that differ; returns its numbers, and how each
    of these cells differs."""
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
    ended = {n: ours[n]["error"] if n in ours else "not reached" for n in expected if n not in run}
    return counts, ended | {n: "prints otherwise" for n in texts if n not in same}


def write_row(
    folder: str, name: str, row: tuple[tuple[int, ...], dict[int, str]], has_oracle: bool
) -> None:
    """Writes a notebook's line to `RESULTS.md`; without an oracle, it lists only the cells that do
    not run."""
    counts: tuple[Any, ...]
    counts, differing = row
    if not has_oracle:
        counts = (counts[0], "", counts[2], "", "")
        differing = {n: what for n, what in differing.items() if what != "prints otherwise"}
    known = dict(line.split(" ", 1) for line in REASONS.read_text().splitlines() if line.strip())
    reasons: dict[str, list[str]] = {}
    for n, what in differing.items():
        keys = (f"{folder}/{name}:{n}", f"{name}:{n}", f"{name}:*")
        why = next((known[key] for key in keys if key in known), f"? {what[:80]}")
        reasons.setdefault(why, []).append(str(n))
    said = " ".join(f"{', '.join(cells)}: {why}" for why, cells in reasons.items())
    said = " ".join(said.split()).replace("|", "\\|")
    rows = {}
    if RESULTS.exists():
        lines = [line for line in RESULTS.read_text().splitlines() if line.startswith("| ")]
        rows = {tuple(line.split(" | ", 2)[:2]): line for line in lines[2:]}
    rows[f"| {folder}", name] = f"| {' | '.join((folder, name, *map(str, counts), said))} |"
    RESULTS.write_text(HEAD + "".join(f"{rows[key]}\n" for key in sorted(rows)))


NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# What differs from run to run, is the name of a place in a library, or was drawn over.
PASSING = re.compile(
    r"^.*[\r\b](?!$)|\x1b\[[0-9;]*m|0x[0-9a-fA-F]+|\d+(?:\.\d+)?\s?[mµun]?s(?:/\w+)?\b"
    r"|(?:keras|keraslike|tensorflow\.python)\.[\w.]+\.|━+",
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
