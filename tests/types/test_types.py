"""What a type checker says of users' programs: nothing of a right one, else its mistakes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.types import stubs

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("module", stubs.MODULES)
def test_stubs_are_current(module):
    written = stubs.path_of(module)
    same = ast.dump(ast.parse(written.read_text())) == ast.dump(ast.parse(stubs.stub(module)))
    assert same, f"{written.name} is not what its module has now: run `make stubs`"


@pytest.mark.slow
def test_findings_in_programs():
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "-p", str(SAMPLES)], capture_output=True, text=True)
    found = {
        (Path(finding["file"]).name, finding["range"]["start"]["line"] + 1, finding["message"])
        for finding in json.loads(done.stdout)["generalDiagnostics"]
    }
    expected = {
        (path.name, number)
        for path in SAMPLES.glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith("# expected")
    }
    unexpected = [finding for finding in found if finding[:2] not in expected]
    assert unexpected == []
    assert expected == {finding[:2] for finding in found}
