"""`python -m keraslike`: the commands that are about the installation."""

from __future__ import annotations

import re
import sys
from importlib import metadata

import pytest

from keraslike import __main__ as program
from keraslike import doctor


def lines_of(capsys, *arguments):
    code = doctor.main(arguments)
    return code, capsys.readouterr().out.splitlines()


def test_doctor_of_a_sound_installation(capsys):
    code, lines = lines_of(capsys, "doctor")
    assert code == 0
    assert f"jax {metadata.version('jax')}" in lines
    assert any(line.startswith("device: cpu:0") for line in lines)
    assert re.match(r"self-test passed: .* in \d+\.\d s", lines[-1])


def test_doctor_names_what_is_missing_or_of_the_wrong_version(monkeypatch, capsys):
    needs = ["numpy>=99", "optax<0.2", "not-there>=1.5,<2", 'no-format>=3; extra == "onnx"']
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    code, lines = lines_of(capsys, "doctor")
    assert code == 1
    assert f"numpy {metadata.version('numpy')}, but keraslike needs >=99" in lines
    assert f"optax {metadata.version('optax')}, but keraslike needs <0.2" in lines
    assert "not-there is missing: pip install 'not-there>=1.5,<2'" in lines
    assert "not installed: no-format; `pip install keraslike[onnx]` if needed" in lines


def test_doctor_reports_a_self_test_that_fails(monkeypatch, capsys):
    def fails(*_args, **_kwargs):
        raise OSError("no space")

    monkeypatch.setattr(doctor.saving, "save_model", fails)
    code, lines = lines_of(capsys, "doctor")
    assert code == 1 and lines[-1] == "self-test failed: OSError: no space"


@pytest.mark.parametrize(
    "version, bounds, fits",
    [
        ("0.10.2", ">=0.10,<0.13", True),
        ("0.13.0", ">=0.10,<0.13", False),
        ("0.9", ">=0.10", False),
        ("2.0", ">=2.0", True),
        ("2.1.0rc1", ">=2.0", True),
        ("1.0", "", True),
    ],
)
def test_bounds_of_versions(version, bounds, fits):
    assert doctor._is_within(version, bounds) is fits


def test_bench_times_each_model(monkeypatch, capsys):
    models = {name: doctor._MODELS[name] for name in list(doctor._MODELS)[:1]}
    monkeypatch.setattr(doctor, "_MODELS", models)
    code, lines = lines_of(capsys, "bench", "--seconds", "0")
    assert code == 0 and len(lines) == 3
    assert re.search(r"\d+\.\d\d s +\d+\.\d+ ms +[\d,]+$", lines[2])


def test_a_script_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keraslike", "run", "nothing.py"])
    with pytest.raises(SystemExit) as exit:
        program.main()
    assert exit.value.code == 2 and "no file 'nothing.py'" in capsys.readouterr().err
