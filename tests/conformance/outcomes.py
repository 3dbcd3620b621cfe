"""A pytest plugin that tells which tests passed, and how the others failed.

`run.py` starts it, beside others, and says by the environment:

    CONFORMANCE_FOLDER   the folder below pytest's root that the names of tests leave out
    CONFORMANCE_LOG      a file that gets a line of JSON as a test starts and as it ends
    CONFORMANCE_ONLY     a file with the tests to run, a line each; all of them without it
    CONFORMANCE_LIMIT    the seconds that a test may take
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

FOLDER = f"{os.environ.get('CONFORMANCE_FOLDER', '')}/"

began = [0.0]  # when the test that is running did, in this process's time


def _log(**entry: Any) -> None:
    with open(os.environ["CONFORMANCE_LOG"], "a") as log:
        log.write(json.dumps(entry) + "\n")


def _id(item: Any) -> str:
    # An address of an object in it is another one in each process.
    return re.sub(r"0x[0-9a-f]+", "0x", item.nodeid.removeprefix(FOLDER))


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keeps the tests that are asked for."""
    if only := os.environ.get("CONFORMANCE_ONLY"):
        wanted = set(pathlib.Path(only).read_text().split("\n"))
        items[:] = [item for item in items if _id(item) in wanted]


def _over(signum: int, frame: Any) -> None:
    raise TimeoutError(f"The test took over {os.environ['CONFORMANCE_LIMIT']} seconds.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    _log(start=_id(item))
    signal.signal(signal.SIGALRM, _over)
    signal.setitimer(signal.ITIMER_REAL, float(os.environ["CONFORMANCE_LIMIT"]))
    began[:] = [time.process_time()]
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _forget_programs()


def _forget_programs() -> None:
    # As in the conftest.py of our own tests: jax keeps a program for whatever was ever run.
    jax = sys.modules.get("jax")
    if jax is not None and len(jax.devices()[0].client.live_executables()) > 400:
        jax.clear_caches()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        seconds = round(time.process_time() - began[0], 2)
        entry = {"id": _id(item), "outcome": outcome, "seconds": seconds}
        if outcome == "failed":
            error = call.excinfo
            said = str(error.value).strip().split("\n")[0][:200]
            entry |= {"error": f"{error.type.__name__}: {said}", "at": _last_line(error)}
        _log(**entry)
    return report


def _last_line(error: Any) -> str:
    path, line = error.traceback[-1].path, error.traceback[-1].lineno
    return f"{'/'.join(pathlib.Path(path).parts[-3:])}:{line + 1}"


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        _log(file=report.nodeid.removeprefix(FOLDER), error=str(report.longrepr)[-3000:])
