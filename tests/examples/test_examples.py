"""Each example runs top to bottom in its quick form and learns what it is to learn."""

import importlib
import pathlib

import numpy as np
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

# What an example has to reach. By chance they would have 0.1 of ten classes and 0.25 of four.
REACHED = {
    "actor_critic": lambda r: np.mean(r["lengths"][-20:]) > 1.5 * np.mean(r["lengths"][:20]),
    "autoencoder": lambda r: r["after"] < 0.6 * r["before"],
    "conv_lstm": lambda r: falls(r["loss"]) and r["film"].shape == (1, 5, 8, 8, 1),
    "convmixer": lambda r: r["accuracy"] > 0.6,
    "dcgan": lambda r: falls(r["d_loss"]) and r["drawn"].shape == (4, 28, 28, 1),
    "image_classification": lambda r: r["val_accuracy"][-1] > 0.9,
    "knowledge_distillation": lambda r: min(r["teacher"], r["student"]) > 0.8,
    "long_sequences": lambda r: falls(r["one device"]["loss"]),  # others: tests/distribution
    "miniature_gpt": lambda r: r["text"] == [2, 3, 4, 1] * 3,
    "mnist_convnet": lambda r: r["accuracy"] > 0.6,
    "siamese_network": lambda r: r["accuracy"] > 0.9,
    "structured_data": lambda r: r["val_accuracy"][-1] > 0.8 and (r["chance"] > 0.5) == r["ill"],
    "text_classification": lambda r: r["accuracy"] > 0.9 and r["said"][0] > 0.5 > r["said"][1],
    "timeseries_classification": lambda r: r["accuracy"] > 0.8,
    "translation_transformer": lambda r: (
        sum(f"[start] {t[1]} [end]" == e for t, e in zip(r["translations"], r["expected"])) > 2
    ),
    "variational_autoencoder": lambda r: falls(r["loss"]) and r["drawn"].shape == (4, 28, 28, 1),
    "vision_transformer": lambda r: r["accuracy"] > 0.8,
}


def falls(losses):
    return all(np.isfinite(losses)) and losses[-1] < 0.97 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REACHED))
def test_an_example_learns(name, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    result = importlib.import_module(name).main(quick=True)
    assert REACHED[name](result), result


def test_every_example_is_run():
    """`make demo` is a test of its own."""
    found = {path.stem for path in EXAMPLES.glob("*.py")} - {"shared", "huber_housing"}
    assert found == set(REACHED)
