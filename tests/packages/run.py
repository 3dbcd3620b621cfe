"""Runs the tests of packages written for Keras, on keraslike (`as_keras()`) and on Keras itself.

    make packages                          all of `PACKAGES`; writes RESULTS.md and expected.txt
    make packages ARGS="scikeras autokeras"    only some
    make packages ARGS=--again             only the tests in expected.txt

The packages are installed as they are, from `requirements.txt`; of their repositories, only the
tests are taken, which their distributions leave out. Of a package with more than `at_most` tests,
that many are run, chosen by a hash of their names. Each test has `LIMIT` seconds. Small tables of
random values take the place of those that tests download.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.conformance import run as conformance  # noqa: E402

CACHE = conformance.CACHE / "packages"
RESULTS = HERE / "RESULTS.md"
EXPECTED = HERE / "expected.txt"
INSTALLED = pathlib.Path(sysconfig.get_path("purelib"))

AT_MOST = 120
LIMIT = 120


class Package(NamedTuple):
    """A package and its tests."""

    repository: str
    commit: str  # of the release, or the nearest one that has tests
    tests: str  # where they are in the repository
    module: str = ""  # the installed module that they belong into, if they are not beside it
    files: str = "test_*.py"
    at_most: int = AT_MOST
    draw: int = 0  # another one chooses other tests
    env: dict[str, str] = {}
    reference: dict[str, str] = {}  # of the environment where Keras itself runs them
    marks: str = ""  # of pytest's: which tests are run
    note: str = ""
    downloads: dict[str, Callable[[], str]] = {}  # what takes the place of files it would download


def titanic() -> str:
    """A table of the columns of that data set, with random values."""
    draw = random.Random(0)
    columns = {
        "survived": ("0", "1"),
        "sex": ("male", "female"),
        "age": ("22.0", "38.0", "4.0"),
        "n_siblings_spouses": ("0", "1", "2"),
        "parch": ("0", "1", "2"),
        "fare": ("7.25", "71.2833", "8.4583"),
        "class": ("First", "Second", "Third"),
        "deck": ("C", "E", "unknown"),
        "embark_town": ("Southampton", "Cherbourg", "Queenstown"),
        "alone": ("y", "n"),
    }
    rows = [[draw.choice(values) for values in columns.values()] for _ in range(300)]
    return "\n".join(",".join(row) for row in [list(columns), *rows]) + "\n"


PACKAGES = {
    "scikeras": Package("adriangb/scikeras", "v0.13.0", "tests"),
    "keras-tcn": Package(
        "philipperemy/keras-tcn",
        "7576256b8b2a138b88ae2483b8616681686e424f",
        "tasks/tcn_call_test.py",
        files="*_test.py",
    ),
    "keras-tuner": Package(
        "keras-team/keras-tuner",
        "417e5b5e8df924d428a3c64007f3ed47bd4c7026",
        "keras_tuner",
        module="keras_tuner/src",
        files="*_test.py",
    ),
    "keras-rs": Package(
        "keras-team/keras-rs", "v0.4.0", "keras_rs/src", module="keras_rs/src", files="*_test.py"
    ),
    "segmentation-models": Package(
        "qubvel/segmentation_models",
        "1.0.1",
        "tests",
        files="test_[mu][et]*.py",  # not test_models.py, which downloads weights
        env={"SM_FRAMEWORK": "keras"},
        reference={"SM_FRAMEWORK": "tf.keras", "TF_USE_LEGACY_KERAS": "1"},
        note="Made for Keras 2, and not to be imported with Keras 3: beside tf_keras.",
    ),
    "bayesflow": Package(
        "bayesflow-org/bayesflow", "d870175aaea99963752ddeacacb371bba72753fb", "tests", at_most=300
    ),
    "autokeras": Package(
        "keras-team/autokeras",
        "3.0.0",
        "autokeras",
        module="autokeras",
        files="*_test.py",
        downloads={"train.csv": titanic, "eval.csv": titanic},
    ),
    "keras-hub": Package(
        "keras-team/keras-hub",
        "71453d08f59edc90d276e999319fc51e61cbf82c",
        "keras_hub/src",
        module="keras_hub/src",
        files="*_test.py",
        at_most=300,
        draw=1,
        marks="not (large or extra_large or kaggle_key_required or tf_only)",
    ),
}


def bring(name: str) -> conformance.Suite:
    """The tests of a package, which are brought from its repository once."""
    package = PACKAGES[name]
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"{name}: bringing its tests ...", flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            checkout, new = pathlib.Path(place, "checkout"), pathlib.Path(place, "new")
            _checkout(package, checkout)
            new.mkdir()
            kept = checkout / package.tests
            (shutil.copytree if kept.is_dir() else shutil.copy)(kept, new / kept.name)
            new.rename(folder)
    root = folder
    if package.module:
        _add_tests(folder / pathlib.Path(package.tests).name, INSTALLED / package.module)
        root = INSTALLED
    options = ("-o", f"python_files={package.files}", "-m", package.marks)
    home = CACHE / "home"
    for file, text in package.downloads.items():
        (home / "datasets").mkdir(parents=True, exist_ok=True)
        (home / "datasets" / file).write_text(text())
    env = {"PYTHONHASHSEED": "0", "KERAS_HOME": str(home), **package.env}
    plugins = {"keras": (), "keraslike": ("keraslike.as_keras",)}
    return conformance.Suite(root, package.module, plugins, options, env=env)


def _checkout(package: Package, folder: pathlib.Path) -> None:
    address = f"https://github.com/{package.repository}"
    for command in (
        ["init", "-q", str(folder)],
        ["-C", str(folder), "fetch", "-q", "--depth", "1", address, package.commit],
        ["-C", str(folder), "checkout", "-q", "FETCH_HEAD"],
    ):
        subprocess.run(["git", *command], check=True)


def _add_tests(source: pathlib.Path, module: pathlib.Path) -> None:
    """Adds to an installed module the files that its distribution left out: tests, their tools and
    their data.
    What is `a.b` in the repository may be `a.src.b` there; then the tests are changed as the
    package's own build changes its other files."""
    for file in source.rglob("*.*"):
        place = module / file.relative_to(source)
        if place.exists() or not file.is_file():
            continue
        is_python, is_test = file.suffix == ".py", "test" in str(place.relative_to(module))
        if is_test or (is_python and place.parent.is_dir()):
            content = file.read_bytes()
            if is_python and module.name != source.name:
                pattern = rf"\b{source.name}(?=\.[a-z]| import)"
                content = re.sub(pattern, rf"{source.name}.src", content.decode()).encode()
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def test_files(suite: conformance.Suite, name: str) -> list[str]:
    """The test files of a package, below the folder of its suite."""
    folder = suite.root / suite.folder
    return sorted(str(f.relative_to(folder)) for f in folder.rglob(PACKAGES[name].files))


def keras_outcomes(name: str, suite: conformance.Suite) -> conformance.Outcomes:
    """What Keras itself passes of the tests that are to be run, from a file or from a run."""
    files, most, draw = test_files(suite, name), PACKAGES[name].at_most, PACKAGES[name].draw
    path = CACHE / f"{name}-{importlib.metadata.version(name)}-{draw}-{most}-keras.json"
    if not path.exists():
        suite = suite._replace(env={**suite.env, **PACKAGES[name].reference})
        tests = conformance.collected("keras", files, suite)
        tests.sort(key=lambda test: zlib.crc32(test.encode(), draw))
        print(f"{name}: Keras itself, {min(len(tests), most)} of {len(tests)} tests", flush=True)
        found = conformance.run("keras", files, tests[:most], LIMIT, suite)
        path.with_suffix(".new").write_text(json.dumps({"there are": len(tests), "ran": found}))
        path.with_suffix(".new").replace(path)
    return json.loads(path.read_text())


def compare(name: str, only: str = "", again: bool = False) -> tuple[str, ...]:
    """Runs a package's tests, or those `again` that it did not pass; says what is not passed, and
    gives the row of the table."""
    suite = bring(name)
    kept = keras_outcomes(name, suite)
    wanted = {test for test in conformance.passed(kept["ran"]) if only in test}
    failed = conformance.read_expected(EXPECTED)
    asked = {test for test in wanted if not again or f"{name}: {test}" in failed}
    print(f"{name}: keraslike ...", flush=True)
    files = sorted({test.partition("::")[0] for test in asked})
    ours = conformance.run("keraslike", files, asked, LIMIT, suite) if files else {}
    lacking = sorted(asked - conformance.passed(ours))
    for test in lacking:
        print(
            f"  - {test} | {conformance.reason_of(test, ours)} | {ours.get(test, {}).get('at', '')}"
        )
    done = len(wanted) - len(lacking)
    print(
        f"{name}: of {len(kept['ran'])} tests Keras passes {len(wanted)}, keraslike {done} of those"
    )
    if not only:
        expected = conformance.read_expected(EXPECTED)
        mine = [test for test in expected if test.startswith(f"{name}: ")]
        named = {f"{name}: {test}": outcome for test, outcome in ours.items()}
        conformance.expect(expected, mine, [f"{name}: {test}" for test in lacking], named)
        conformance.write_expected(expected, EXPECTED, "make packages")
    ran = f"{len(kept['ran'])} of {kept['there are']}"
    return (importlib.metadata.version(name), ran, str(len(wanted)), str(done))


def write_results(rows: dict[str, Sequence[str]]) -> None:
    """Writes the table of packages."""
    lines = [
        "# Packages written for Keras",
        "",
        f"Their own tests, of many only some ({AT_MOST} mostly) that a hash chooses, on Keras",
        "with its JAX backend, and those that pass there on keraslike. `make packages` writes this",
        "table, and `expected.txt`, where the tests stand that do not pass.",
        "",
        "| package | version | tests run | Keras passes | keraslike too | % | reasons |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    expected = conformance.read_expected(EXPECTED)
    for name in (n for n in PACKAGES if n in rows):
        version, ran, wanted, done = rows[name]
        reasons = Counter(why for test, why in expected.items() if test.startswith(f"{name}: "))
        said = " ".join(f"{n}: {why}" if n > 1 else why for why, n in reasons.most_common())
        said = said or PACKAGES[name].note
        share = conformance.percent(int(done), int(wanted))
        cells = (name, version, ran, wanted, done, share, said.replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    conformance.write(RESULTS, lines)


def _read_rows() -> dict[str, Sequence[str]]:
    rows = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        cells = [cell.strip() for cell in line.split("|")[1:6]]
        if len(cells) == 5 and cells[0] in PACKAGES:
            rows[cells[0]] = cells[1:]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="PACKAGE")
    parser.add_argument("--only", default="", help="part of the tests' names; writes nothing")
    parser.add_argument("--again", action="store_true", help="only the tests in expected.txt")
    given = parser.parse_args()
    rows = _read_rows()
    for name in given.names or PACKAGES:
        row = compare(name, given.only, given.again)
        if not given.only:
            rows[name] = row
            write_results(rows)


if __name__ == "__main__":
    main()
