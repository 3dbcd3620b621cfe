"""Runs TensorFlow's own tests against `keraslike.tf`, and counts what passes.

    python tests/tensorflow/run.py SOURCES PYTHON            the directories of `DIRECTORIES`
    python tests/tensorflow/run.py SOURCES PYTHON ops/ragged  what is below these paths

SOURCES is a checkout of TensorFlow, PYTHON an interpreter that has TensorFlow, which is asked for
the public names of what its private modules contain. With `--write` the rows of RESULTS.md are
written. Tests of graphs, of TensorFlow 1 and of GPUs are left out. A test is private if it uses a
name or an attribute that TensorFlow does not make public.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
from collections import Counter

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.conformance import run as conformance  # noqa: E402

RESULTS = HERE / "RESULTS.md"
NAMES = conformance.CACHE / "tensorflow-names.json"
FOLDER = "tensorflow/python"
LIMIT = 60  # seconds a test may take
DIRECTORIES = (
    *("autograph/tests", "checkpoint", "data/experimental/kernel_tests", "data/kernel_tests"),
    *("eager", "eager/polymorphic_function", "framework", "kernel_tests/array_ops"),
    *("kernel_tests/control_flow", "kernel_tests/data_structures", "kernel_tests/image_ops"),
    *("kernel_tests/io_ops", "kernel_tests/linalg", "kernel_tests/math_ops", "kernel_tests/nn_ops"),
    *("kernel_tests/random", "kernel_tests/signal", "kernel_tests/sparse_ops"),
    *("kernel_tests/strings_ops", "kernel_tests/variables", "module", "ops", "ops/numpy_ops"),
    *("ops/parallel_for", "ops/ragged", "ops/structured", "saved_model", "trackable", "training"),
)
Row = tuple[int, int, int]  # tests, those that are private, those that pass


def suite(sources: pathlib.Path) -> conformance.Suite:
    """TensorFlow's tests, as `conformance.run` takes them."""
    env = {"TENSORFLOW_SOURCES": str(sources), "TENSORFLOW_NAMES": str(NAMES)}
    options = ("-o", "python_files=*_test.py", "--import-mode=importlib")
    plugins = {"keraslike": ("tests.tensorflow.harness",)}
    return conformance.Suite(sources, FOLDER, plugins, options, env=env)


def is_private(error: str) -> bool:
    """Whether a test failed for a name or an attribute that TensorFlow does not make public, or
    for a name that only TensorFlow 1 has."""
    if re.search(r"has no attribute '_", error):
        return True
    found = re.search(r"(\S+) is not in keraslike", error)
    private = ("tensorflow.", "tf.compat.v1.", "tf.raw_ops.", "tf.__internal__.")
    return found is not None and found[1].startswith(private)


def run(sources: pathlib.Path, directory: str, files: list[str]) -> Row:
    """Runs test files of a directory and says what fails."""
    print(f"{directory} ...", flush=True)
    outcomes = conformance.run("keraslike", files, None, LIMIT, suite(sources))
    failed = {t: o.get("error", "") for t, o in outcomes.items() if o["outcome"] == "failed"}
    private = {test for test, error in failed.items() if is_private(error)}
    passed = len(conformance.passed(outcomes))
    for test, error in sorted(failed.items()):
        if test not in private:
            print(f"  - {test} | {error} | {outcomes[test].get('at', '')}")
    for error, times in Counter(failed[test] for test in private).most_common(10):
        print(f"  {times} private: {error}")
    row = (passed + len(failed), len(private), passed)
    print(f"{directory}: {row[0]} tests, {row[1]} private, {row[2]} of the others pass", flush=True)
    return row


def rows() -> dict[str, Row]:
    """The rows of the table as it is."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    found = re.findall(r"^\| ([\w/]+) \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    return {name: tuple(map(int, counts)) for name, *counts in found if name != "all"}


def write(table: dict[str, Row]) -> None:
    """Writes the table."""
    lines = [
        "# TensorFlow's own tests",
        "",
        "The tests of these directories of TensorFlow's sources that run eagerly, without those of",
        "graphs, of TensorFlow 1 and of GPUs. Those are private that use names or attributes which",
        "TensorFlow does not make public. `make tensorflow-tests` runs them on `keraslike.tf`, and",
        "writes this table with `ARGS=--write`. The classes of errors are compared, their words",
        "are not. `kernel_tests/linalg` and `ops/ragged` are those of TensorFlow 2.6.",
        "",
        "| directory of `tensorflow/python` | tests | private | pass | % of the public ones |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    total = tuple(sum(row[i] for row in table.values()) for i in range(3))
    for name, (tests, private, passed) in [*sorted(table.items()), ("all", total)]:
        share = conformance.percent(passed, tests - private)
        lines.append(f"| {name} | {tests} | {private} | {passed} | {share} |")
    conformance.write(RESULTS, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", type=pathlib.Path, help="a checkout of TensorFlow")
    parser.add_argument("python", help="an interpreter that has TensorFlow")
    parser.add_argument(
        "paths", nargs="*", help="directories or test files below tensorflow/python"
    )
    parser.add_argument("--write", action="store_true", help="write the rows of whole directories")
    given = parser.parse_args()
    sources = given.sources.resolve()
    if not NAMES.exists():
        NAMES.parent.mkdir(exist_ok=True)
        command = [given.python, str(HERE / "names.py"), str(sources), str(NAMES)]
        subprocess.run(command, check=True)
    for path in given.paths or DIRECTORIES:
        place = sources / FOLDER / path
        if not place.exists():
            raise SystemExit(f"There is no {place}.")
        files = sorted(place.glob("*_test.py")) if place.is_dir() else [place]
        names = [str(file.relative_to(sources / FOLDER)) for file in files]
        row = run(sources, path, names)
        if given.write and place.is_dir():
            write({**rows(), path: row})


if __name__ == "__main__":
    main()
