"""What `make conformance` makes of tests that fail, hang, crash or cannot be imported."""

import importlib.util
import pathlib

import pytest

TESTS = """
import os, time, unittest

class Things(unittest.TestCase):
    def test_1_passes(self): pass
    def test_2_fails(self): self.assertEqual(1, 2)
    def test_3_words(self):
        with self.assertRaisesRegex(ValueError, "these words"): raise ValueError("others")
    def test_4_hangs(self): time.sleep(60)
    def test_5_crashes(self): os._exit(9)
    def test_6_after_all(self): pass
    def test_7_skipped(self): self.skipTest("on purpose")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("run", pathlib.Path(__file__).with_name("run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("EXPECTED", "RESULTS"):
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(module, "SOURCES", tmp_path)
    folder = tmp_path / "keras/src/things"
    folder.mkdir(parents=True)
    (folder / "good_test.py").write_text(TESTS)
    (folder / "bad_test.py").write_text("import no_such_module\n")
    return module


@pytest.mark.slow
def test_a_directory(run, capsys):
    files = run.test_files(["things"])
    assert files == ["things/bad_test.py", "things/good_test.py"]
    outcomes = run.run("keras", files, limit=2)
    prefix = "things/good_test.py::Things::test_"
    assert run.passed(outcomes) == {prefix + "1_passes", prefix + "6_after_all"}
    assert outcomes[prefix + "7_skipped"]["outcome"] == "skipped"
    assert "no_such_module" in capsys.readouterr().out
    said = {t: run.reason_of(t, outcomes) for t in outcomes}
    assert said[prefix + "2_fails"].startswith("? AssertionError: 1 != 2")
    assert said[prefix + "3_words"] == "The error is raised, with a message of its own."
    assert said[prefix + "4_hangs"].startswith("? TimeoutError")
    assert said[prefix + "5_crashes"].startswith("? Crash")
    absent = {"t": {"outcome": "failed", "error": "ImportError: keras.src.a.B is not in keraslike"}}
    assert run.reason_of("t", absent) == "Private to Keras's own implementation: keras.src.a.B"
    absent["t"]["error"] = "AttributeError: keras.src.layers.Dense is not in keraslike"
    assert run.reason_of("t", absent) == "? missing: keras.src.layers.Dense"
    assert "no_such_module" in run.reason_of("things/bad_test.py::Any::test", outcomes)


def test_what_is_expected(run):
    private = "Private to Keras's own implementation: "
    written = ["somebody's reason", f"{private}a part in somebody's words"]
    reasons = ["? KeyError: 'x'", f"{private}keras.src.a.B", *written]
    expected = {f"a/b_test.py::C::{i}": reason for i, reason in enumerate(reasons)}
    run.write_expected(expected)
    assert run.read_expected() == expected
    failed = {t: {"outcome": "failed", "error": "TypeError: y"} for t in expected}
    run.expect(expected, expected, list(expected), failed)
    assert list(expected.values()) == ["? TypeError: y"] * 2 + written
    run.expect(expected, expected, [], {})
    assert not expected


def test_the_table(run):
    rows = {"losses": (10, 8, 6), "ops/nn": (5, 0, 0)}
    private = {"losses/a_test.py::T::test_1": "Private to Keras's own implementation: of a part."}
    run.write_results(rows, {**private, "losses/a_test.py::T::test_2": "Another reason."})
    assert run._read_rows() == rows
    assert run.RESULTS.read_text().splitlines()[-3:] == [
        "| losses | 10 | 8 | 6 | 75.0 | 1 | 85.7 |",
        "| ops/nn | 5 | 0 | 0 |  | 0 |  |",
        "| all | 15 | 8 | 6 | 75.0 | 1 | 85.7 |",
    ]
