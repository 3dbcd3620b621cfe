"""What the README shows runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    for block in blocks:
        exec(block, names)
    history, ensemble = names["model"].history.history, names["ensemble"]
    assert history["loss"][-1] < 0.5  # untrained it is 2.7
    assert (tmp_path / "huber.keras").exists()
    assert all(leaf.shape[0] == 8 for leaf in names["jax"].tree.leaves(ensemble))
    assert names["value"] > 0 and len(blocks) == 6
