"""Runs Keras's own tests against keraslike and says what it does not pass.

    python tests/conformance/run.py                 all directories; writes RESULTS.md, expected.txt
    python tests/conformance/run.py ops/nn_test.py  only what is below these paths of keras/src
    python tests/conformance/run.py --sample        the fixed sample; fails on a regression
    python tests/conformance/run.py --choose        chooses the sample anew

Keras's sources, which its tests are in, are downloaded once into `.conformance/`, where the
outcomes of Keras itself are kept as well: what keraslike has to pass is what Keras passes here.
Test files that import TensorFlow, in the directories of `WITH_TENSORFLOW`, are run in an
environment that has it, which `make conformance` makes there.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from tests import quick  # noqa: E402

VERSION = "3.15.1"
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".conformance"
SOURCES = CACHE / f"keras-{VERSION}"
TENSORFLOW = CACHE / "tensorflow/bin/python"  # of an environment that has it
# Where test files that import it are run there.
WITH_TENSORFLOW = ("layers/preprocessing/", "distribution/")
ON_EIGHT_DEVICES = ("distribution/",)  # virtual ones
EXPECTED, RESULTS, SAMPLE = (HERE / n for n in ("expected.txt", "RESULTS.md", "sample.txt"))

LIMIT = 120  # seconds a test may take
SAMPLE_SIZE = 400
AT_MOST = 0.7  # seconds of processor time that a test of the sample took Keras

# Reasons that are found by the error; any other that is in expected.txt somebody has written.
_WORDS = "The error is raised, with a message of its own."
_PRIVATE = "Private to Keras's own implementation"
_AUTOMATIC = ("?", _WORDS, f"{_PRIVATE}: keras.src.")

Outcomes = dict[str, dict]  # a test -> its outcome, and the error if it failed


class Suite(NamedTuple):
    """Tests, and how they are run."""

    root: pathlib.Path  # pytest's
    folder: str  # below it, which the names of tests leave out
    plugins: Mapping[str, Sequence[str]]  # a library -> pytest's plugins for it, besides `outcomes`
    options: Sequence[str] = ()  # of pytest
    python: str = sys.executable
    env: Mapping[str, str] = {}


def keras_suite() -> Suite:
    """Keras's own tests."""
    both = ("harness",)
    options = ("-o", "python_files=*_test.py")
    return Suite(SOURCES, "keras/src", {"keras": both, "keraslike": both}, options)


# -- running --------------------------------------------------------------------------------------


def bring_sources() -> None:
    """Downloads Keras's source distribution, once."""
    if SOURCES.exists():
        return
    CACHE.mkdir(exist_ok=True)
    print(f"Downloading the sources of Keras {VERSION}, which its tests are in ...", flush=True)
    options = ["--no-binary", ":all:", "--no-deps", "-q", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, f"keras=={VERSION}"]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        subprocess.run([*command, "-d", folder], check=True)
        with tarfile.open(next(pathlib.Path(folder).glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        unpacked = next(pathlib.Path(folder).glob("keras-*/"))
        for module in (unpacked / "keras/api").iterdir():  # which is the package once installed
            module.rename(unpacked / "keras" / module.name)
        unpacked.rename(SOURCES)


def test_files(paths: Iterable[str]) -> list[str]:
    """The test files below some paths of `keras/src`."""
    source = SOURCES / "keras/src"
    found: set[pathlib.Path] = set()
    for path in paths:
        if not (source / path).exists():
            raise SystemExit(f"Keras {VERSION} has no keras/src/{path}")
        found |= set((source / path).rglob("*_test.py")) or {source / path}
    return sorted(str(file.relative_to(source)) for file in found)


def directory(test: str) -> str:
    """The directory that a test or test file is in."""
    return test.partition("::")[0].rpartition("/")[0]


def needs_tensorflow(file: str) -> bool:
    """Whether a test file is run where TensorFlow is."""
    if not file.startswith(WITH_TENSORFLOW):
        return False
    text = (SOURCES / "keras/src" / file).read_text()
    return re.search(r"^(import|from) tensorflow\b", text, re.MULTILINE) is not None


def run(
    library: str,
    files: Sequence[str],
    only: Iterable[str] | None = None,
    limit: int = LIMIT,
    suite: Suite | None = None,
) -> Outcomes:
    """Runs tests in a process of their own; a new one goes on after a crash or a test that hangs.

    Args:
        library: keraslike or keras.
        files: the test files, below the suite's folder.
        only: the tests of them to run, if not all.
        limit: the seconds that a test may take.
        suite: the suite, if not Keras's own.
    """
    if suite is None:
        suite = keras_suite()
        if apart := [file for file in files if needs_tensorflow(file)]:
            if others := [file for file in files if file not in apart]:
                return run(library, others, only, limit) | run(library, apart, only, limit)
            suite = suite._replace(python=str(TENSORFLOW))
    outcomes: Outcomes = {}
    wanted = None if only is None else set(only)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        log = pathlib.Path(folder, "log")
        while wanted is None or wanted:
            log.write_text("")
            process = _start(suite, library, files, log, wanted, limit)
            ended = _wait(process, log)
            found, started = _read(log)
            outcomes |= found
            if ended:
                break
            if not started:
                said = log.with_name("output").read_text()[-2000:]
                raise RuntimeError(f"pytest ended with {process.returncode}:\n{said}")
            # What was running is at fault; the others are still to be run.
            error = f"Crash: the process ended with {process.returncode} in this test"
            last = started[-1]
            outcomes.setdefault(last, {"id": last, "outcome": "failed", "error": error})
            wanted = set(wanted or collected(library, files, suite)) - set(outcomes)
    return outcomes


def _start(
    suite: Suite,
    library: str,
    files: Sequence[str],
    log: pathlib.Path,
    only: set[str] | None,
    limit: int,
    *more: str,
) -> subprocess.Popen:
    env = {
        **os.environ,
        "CONFORMANCE_SOURCES": str(suite.root),
        "CONFORMANCE_FOLDER": suite.folder,
        "CONFORMANCE_LIBRARY": library,
        "CONFORMANCE_LOG": str(log),
        "CONFORMANCE_LIMIT": str(limit),
        "KERAS_BACKEND": "jax",
        "KERAS_HOME": str(log.parent / "home"),  # no settings or files of the user's
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE), os.environ.get("PYTHONPATH", ""))),
        "PYTHONWARNINGS": "ignore",
        **suite.env,
    }
    env.setdefault("JAX_PLATFORMS", "cpu")
    env.setdefault("XLA_FLAGS", quick.FLAGS)
    env.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
    if all(file.startswith(ON_EIGHT_DEVICES) for file in files):
        env["XLA_FLAGS"] += " --xla_force_host_platform_device_count=8"
    env.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "programs"))
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    if only is not None:
        listed = log.with_name("only")
        listed.write_text("\n".join(sorted(only)))
        env["CONFORMANCE_ONLY"] = str(listed)
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-o", "addopts=", "--tb=short"]
    options += [f"-p{plugin}" for plugin in ("outcomes", *suite.plugins[library])]
    # Only conftest.py files of the suite: the suite imports from a stand-in for Keras's.
    options += [f"--rootdir={suite.root}", f"--confcutdir={suite.root}"]
    options += ["--continue-on-collection-errors"]
    options += [*suite.options, *more]
    paths = [str(suite.root / suite.folder / file) for file in files]
    with open(log.with_name("output"), "w") as output:
        command = [suite.python, "-m", "pytest", *options, *paths]
        return subprocess.Popen(command, env=env, cwd=log.parent, stdout=output, stderr=output)


def _wait(process: subprocess.Popen, log: pathlib.Path) -> bool:
    """Waits for a process, which is ended if it does not get on; whether it ended by itself."""
    while True:
        try:
            return process.wait(timeout=5) in (0, 1, 2, 5)  # of pytest: passed, failed, ...
        except subprocess.TimeoutExpired:
            if time.time() - log.stat().st_mtime > 3 * LIMIT:  # stuck where no signal helps
                process.kill()


def _read(log: pathlib.Path) -> tuple[Outcomes, list[str]]:
    outcomes: Outcomes = {}
    started = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if "start" in entry:
            started.append(entry["start"])
        elif "id" in entry:
            outcomes.setdefault(entry["id"], entry)
        else:
            print(f"{entry['file']} cannot be imported:\n{entry['error']}", flush=True)
            outcomes[entry["file"]] = {"outcome": "failed", "error": entry["error"].split("\n")[-1]}
    return outcomes, started


def collected(library: str, files: Sequence[str], suite: Suite | None = None) -> list[str]:
    """The tests that are in test files."""
    suite = suite or keras_suite()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        log = pathlib.Path(folder, "log")
        log.write_text("")
        _start(suite, library, files, log, None, LIMIT, "--collect-only").wait()
        lines = log.with_name("output").read_text().splitlines()
    if not any("::" in line for line in lines):
        print("There are no tests:", *lines[-20:], sep="\n", flush=True)
    found = (line.removeprefix(f"{suite.folder}/") for line in lines if "::" in line)
    return [re.sub(r"0x[0-9a-f]+", "0x", test) for test in found]  # as outcomes.py has them


def keras_outcomes(files: Sequence[str]) -> Outcomes:
    """What Keras itself passes, of a file in the cache or from a run."""

    def cached(file: str) -> pathlib.Path:
        kind = "-tensorflow" * needs_tensorflow(file)
        return CACHE / f"keras-{VERSION}-outcomes{kind}" / f"{file}.json"

    outcomes: Outcomes = {}
    for name, group in by_directory(files).items():
        missing = [file for file in group if not cached(file).exists()]
        if missing:
            print(f"{name}: Keras itself ...", flush=True)
            found = run("keras", missing)
            for file in missing:
                path = cached(file)
                path.parent.mkdir(parents=True, exist_ok=True)
                of_file = {t: o for t, o in found.items() if t.partition("::")[0] == file}
                path.with_suffix(".new").write_text(json.dumps(of_file))
                path.with_suffix(".new").replace(path)
        for file in group:
            outcomes |= json.loads(cached(file).read_text())
    return outcomes


def by_directory(tests: Iterable[str]) -> dict[str, list[str]]:
    """Tests or test files by the directories they are in."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        grouped[directory(test)].append(test)
    return dict(grouped)


# -- what is expected -----------------------------------------------------------------------------


def passed(outcomes: Outcomes) -> set[str]:
    """The tests that passed."""
    return {test for test, entry in outcomes.items() if entry["outcome"] == "passed"}


def read_expected(path: pathlib.Path | None = None) -> dict[str, str]:
    """The tests that keraslike is known not to pass, and why."""
    path = path or EXPECTED
    expected, reason = {}, ""
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("    "):
            expected[line.strip()] = reason
        elif not line.startswith("#"):
            reason = line.strip()
    return expected


def write_expected(
    expected: dict[str, str], path: pathlib.Path | None = None, by: str = "make conformance"
) -> None:
    """Writes them by their reasons."""
    lines = [
        f"# Tests that Keras passes and keraslike does not, by reason. `{by}` writes",
        "# this file: of a test that has no reason yet, the error, after a question mark. A reason",
        "# that somebody has written in its place stays until the test passes.",
    ]
    by_reason: dict[str, list[str]] = defaultdict(list)
    for test, reason in expected.items():
        by_reason[reason].append(test)
    for reason, tests in sorted(by_reason.items()):
        lines += [reason, *(f"    {test}" for test in sorted(tests))]
    write(path or EXPECTED, lines)


def expect(
    expected: dict[str, str], ran: Iterable[str], lacking: Sequence[str], outcomes: Outcomes
) -> None:
    """Brings up to date what is expected of the tests that were run."""
    for test in set(ran) - set(lacking):
        expected.pop(test, None)
    for test in lacking:
        if expected.get(test, "?").startswith(_AUTOMATIC):
            expected[test] = reason_of(test, outcomes)


def write(path: pathlib.Path, lines: Sequence[str]) -> None:
    """Writes a file, whole or not at all."""
    path.with_suffix(".new").write_text("\n".join(lines) + "\n")
    path.with_suffix(".new").replace(path)


def reason_of(test: str, outcomes: Outcomes) -> str:
    """Why a test is not passed, as far as its outcome says."""
    entry = outcomes.get(test) or outcomes.get(test.partition("::")[0])
    if entry is None:
        return "? not run: its parameters are made of what keraslike has not"
    error = entry.get("error") or entry["outcome"]
    if re.match(r'AssertionError: "[^"]*" does not match "', error):  # assertRaisesRegex
        return _WORDS
    if (found := re.search(r"keras\.src\.(\S*\.)?(\w+) is not in keraslike", error)) is not None:
        names = runpy.run_path(str(ROOT / "keraslike/src_names.py"))["PUBLIC"]
        is_public = re.search(rf"[ .=]{found[2]}\s", names)
        kind = "? missing" if is_public else _PRIVATE
        return f"{kind}: keras.src.{found[1] or ''}{found[2]}"
    return f"? {error}"


# -- commands -------------------------------------------------------------------------------------


def compare(paths: Sequence[str], whole: bool) -> None:
    """Runs what is below some paths; says what is not passed, and writes the files."""
    files = test_files(paths or [""])
    expected = read_expected()
    rows = _read_rows()
    for name, group in by_directory(files).items():
        keras = keras_outcomes(group)
        wanted = passed(keras)
        print(f"{name}: keraslike ...", flush=True)
        ours = run("keraslike", group)
        lacking = sorted(wanted - passed(ours))
        done = len(wanted) - len(lacking)
        print(
            f"{name}: of {len(keras)} tests Keras passes {len(wanted)}, keraslike {done} of those"
        )
        for test in lacking:
            print(f"  - {test} | {reason_of(test, ours)} | {ours.get(test, {}).get('at', '')}")
        if paths_are_whole(name, group):
            rows[name] = (len(keras), len(wanted), done)
        if whole:
            expect(expected, {t for t in expected if t.partition("::")[0] in group}, lacking, ours)
            write_expected(expected)
            write_results(rows, expected)


def paths_are_whole(name: str, group: Sequence[str]) -> bool:
    """Whether these are all test files of a directory."""
    return sorted(group) == [file for file in test_files([name]) if directory(file) == name]


def _read_rows() -> dict[str, tuple[int, int, int]]:
    rows = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        found = re.match(r"\| (\S+) \| (\d+) \| (\d+) \| (\d+) \|", line)
        if found and found[1] != "all":
            rows[found[1]] = (int(found[2]), int(found[3]), int(found[4]))
    return rows


def write_results(rows: dict[str, tuple[int, int, int]], expected: dict[str, str]) -> None:
    """Writes the table of directories."""
    lines = [
        f"# Keras {VERSION}'s own tests",
        "",
        "How many of them Keras passes through this harness on its JAX backend, and how many of",
        "those keraslike passes. `make conformance` writes this table and `expected.txt`, where",
        "the tests stand that keraslike does not pass, by reason. Of these, those are private that",
        "ask for what is private to Keras's own implementation; the last column leaves them out.",
        "Below `layers/preprocessing` and `distribution` tests that import TensorFlow run where it",
        "is installed; those of `distribution` on eight virtual devices.",
        "Of `applications` eight variants of each test are run, with the smallest networks of the",
        "families, and none that downloads weights.",
        "",
        "| directory of `keras/src` | tests | Keras passes | keraslike too | % | private | % |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    private = Counter(directory(t) for t, why in expected.items() if why.startswith(_PRIVATE))
    table = [(name, *rows[name], private[name]) for name in sorted(rows)]
    total = [sum(row[i] for row in table) for i in range(1, 5)]
    for name, tests, wanted, done, kept in [*table, ("all", *total)]:
        shares = [percent(done, wanted), percent(done, wanted - kept)]
        lines.append(
            f"| {name} | {tests} | {wanted} | {done} | {shares[0]} | {kept} | {shares[1]} |"
        )
    write(RESULTS, lines)


def percent(part: int, whole: int) -> str:
    """A share in percent, if there is one."""
    return f"{100 * part / whole:.1f}" if whole else ""


def read_sample() -> list[str]:
    """The tests of the sample."""
    return SAMPLE.read_text().splitlines()


def choose() -> None:
    """Chooses the sample: of each directory some tests that Keras passes quickly, by a hash of
    their names, the more of them the more there are."""
    groups = by_directory(collected("keras", test_files([""])))
    whole = sum(len(tests) ** 0.5 for tests in groups.values())
    shares = {n: round(SAMPLE_SIZE * len(tests) ** 0.5 / whole) for n, tests in groups.items()}
    for name, tests in groups.items():
        tests.sort(key=lambda test: zlib.crc32(test.encode()))
        del tests[2 * shares[name] :]  # some are slow, or Keras does not pass them
    candidates = [test for tests in groups.values() for test in tests]
    print(f"Keras itself, {len(candidates)} tests ...", flush=True)
    files = sorted({test.partition("::")[0] for test in candidates})
    found = run("keras", files, candidates, limit=10)
    quick = {test for test in passed(found) if found[test]["seconds"] <= AT_MOST}
    chosen = [
        t for n, tests in groups.items() for t in [t for t in tests if t in quick][: shares[n]]
    ]
    write(SAMPLE, sorted(chosen))
    print(f"{len(chosen)} tests are in {SAMPLE.name}")


def sample(write: bool) -> int:
    """Runs the sample, half of the files at a time; the number of tests that should have passed.

    Args:
        write: whether to note what is not passed as expected.
    """
    wanted, expected = read_sample(), read_expected()
    files = sorted({test.partition("::")[0] for test in wanted})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        halves = [files[::2], files[1::2]]
        outcomes: Outcomes = {}
        for found in pool.map(lambda half: run("keraslike", half, wanted), halves):
            outcomes |= found
    lacking = [test for test in wanted if test not in passed(outcomes)]
    if write:
        expect(expected, set(wanted), lacking, outcomes)
        write_expected(expected)
    lost = [test for test in lacking if test not in expected]
    print(f"Of {len(wanted)} of Keras's tests keraslike passes {len(wanted) - len(lacking)}.")
    for test in lost:
        print(f"  FAILED and is not in {EXPECTED.name}: {test} | {reason_of(test, outcomes)}")
    return len(lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="*", help="below keras/src; nothing is written then")
    parser.add_argument("--sample", action="store_true", help="run the fixed sample")
    parser.add_argument("--choose", action="store_true", help="choose the sample anew")
    parser.add_argument(
        "--write", action="store_true", help="write down what part of the tests gave"
    )
    given = parser.parse_args()
    bring_sources()
    if given.sample:
        raise SystemExit(1 if sample(given.write) else 0)
    if given.choose:
        choose()
    else:
        compare(given.paths, given.write or not given.paths)


if __name__ == "__main__":
    main()
