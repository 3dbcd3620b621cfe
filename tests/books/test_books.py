"""The harness that runs notebooks, on one that is written here."""

import json
import pathlib
import subprocess
import sys

from tests.books import run

RUN = pathlib.Path(__file__).with_name("run.py")
CELLS = [
    ("%load_ext tensorboard\nimport numpy as np, tensorflow as tf", ""),
    ("tf.constant([1.0, 2.0]) * 2", "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([2., 4.]"),
    ("print(1 + 1)", "3"),
    ("undefined", ""),
    ("(x, y), _ = tf.keras.datasets.mnist.load_data()\nx.shape", "(60000, 28, 28)"),
    (
        "model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])\n"
        "model.compile(loss='sparse_categorical_crossentropy')\n"
        "len(model.fit(x, y, epochs=30, verbose=0).epoch)",
        "2",
    ),
    ("%timeit -r1 text = open(tf.keras.utils.get_file('shakespeare.txt', 'url')).read()", ""),
    ("text[:13]", "'First Citizen'"),
]


def test_a_notebook_is_run_and_compared_with_what_it_says(tmp_path):
    outputs = [
        [{"output_type": "execute_result", "data": {"text/plain": [text]}}] if text else []
        for _, text in CELLS
    ]
    cells = [
        {"cell_type": "code", "source": [source], "outputs": output}
        for (source, _), output in zip(CELLS, outputs, strict=True)
    ]
    (tmp_path / "tiny.ipynb").write_text(json.dumps({"cells": cells}))
    printed = subprocess.check_output(
        [sys.executable, str(RUN), str(tmp_path), "--list", "--keep", str(tmp_path / "kept")],
        text=True,
    ).splitlines()
    assert printed[1].split() == ["tiny.ipynb", "8", "8", "7", "5", "3"]
    assert printed[2].startswith("  3: \"NameError: name 'undefined' is not defined\"")
    assert printed[3].startswith("  1: prints '<tf.Tensor: shape=(2,), dtype=float32")
    assert printed[5:] == ["  2: prints '2\\n'", "       not '3'"]


def test_the_line_of_a_notebook_replaces_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(run, "REASONS", tmp_path / "reasons.txt")
    run.REASONS.write_text("b:7 Because | of it.\n")

    def cells(*printed, error=""):
        whole = {"first": "", "error": ""}
        return {n: whole | {"printed": text} for n, text in enumerate(printed)} | {
            7: whole | {"printed": "", "error": error}
        }

    theirs = [cells("1", "x", "seed"), cells("1", "x", "other")]
    for name, ours in (
        ("b", cells("", "")),
        ("a", cells("1", "x")),
        ("b", cells("2", "x", error="E")),
    ):
        run.write_row("book", name, run.report(name, ours, theirs, False), True)
    run.REASONS.write_text("b:7 Because | of it.\nc:* All of it.\n")
    alone = {n: cell | {"published": "x"} for n, cell in cells("x", "y", error="E").items()}
    run.write_row("book", "c", run.report("c", alone, [], False), False)
    assert run.RESULTS.read_text().splitlines()[-3:] == [
        "| book | a | 4 | 4 | 3 | 2 | 2 | 2: ? not reached |",
        "| book | b | 4 | 4 | 2 | 2 | 1 | "
        "2: ? not reached 7: Because \\| of it. 0: ? prints otherwise |",
        "| book | c | 3 |  | 2 |  |  | 7: All of it. |",
    ]


def test_what_was_drawn_over_is_not_compared():
    first, last = "\x1b[1m1/8\x1b[0m 1s\x08\x08", "\x1b[1m8/8\x1b[0m \x1b[32m━━\x1b[0m 2s 67ms/step"
    drawn = f"\r{first}\r{last} - loss: 2.3\n"
    assert run.alike(drawn, "8/8 ━━━━ 0s 3ms/step - loss: 2.3\n")
    assert not run.alike(drawn, "8/8 ━━━━ 0s 3ms/step - loss: 2.4\n")
