"""Losses, metrics, targets and weights of outputs in any nesting, beside Keras."""

from collections import namedtuple

import keras as oracle
import numpy as np
import pytest

import keraslike as ours

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3)).astype("float32")
A, B, C = (rng.normal(size=(24, 1)).astype("float32") for _ in range(3))
W, V = (rng.uniform(0.5, 2.0, size=24).astype("float32") for _ in range(2))
Pair = namedtuple("Pair", ["one", "two"])


def dense(k, x, count=3):
    return [k.layers.Dense(1, name=name)(x) for name in ("p", "q", "r")[:count]]


def in_dicts(k, x):
    p, q, r = dense(k, x)
    return {"a": p, "b": {"c": q, "d": r}}


def in_lists(k, x):
    p, q, r = dense(k, x)
    return [p, (q, r)]


def mixed(k, x):
    p, q, r = dense(k, x)
    return {"a": [p, q], "b": r}


def together(y_true, y_pred):
    return abs(y_true["c"] - y_pred["c"]) * (y_true["d"] - y_pred["d"]) ** 2


CASES = {
    "several losses of an output": (
        dense,
        {"loss": ["mse", ["mae", "mse"], None], "loss_weights": [1.0, [0.5, 2.0], 1.0]},
        [A, B, C],
        None,
    ),
    "a loss of outputs together": (
        in_dicts,
        {"loss": {"a": ["mse", "mae"], "b": [together, {"d": "mae"}]}},
        {"a": A, "b": {"c": B, "d": C}},
        None,
    ),
    "dicts": (
        in_dicts,
        {"loss": {"a": "mse", "b": {"c": "mae", "d": "mse"}}},
        {"a": A, "b": {"c": B, "d": C}},
        {"a": W, "b": {"c": V, "d": W}},
    ),
    "dicts, one loss, metrics": (
        in_dicts,
        {"loss": "mse", "metrics": {"a": ["mae"], "b": {"c": ["mae", "mse"], "d": ["mae"]}}},
        {"a": A, "b": {"c": B, "d": C}},
        None,
    ),
    "dicts, None": (
        in_dicts,
        {"loss": {"a": None, "b": {"c": "mae", "d": None}}},
        {"a": A, "b": {"c": B, "d": C}},
        None,
    ),
    "lists": (in_lists, {"loss": ["mse", ("mae", "mse")]}, [A, (B, C)], [W, (V, W)]),
    "lists, None": (in_lists, {"loss": ["mse", (None, "mae")]}, [A, (B, C)], None),
    "lists, flat losses": (in_lists, {"loss": ["mse", "mae", "mse"]}, [A, (B, C)], None),
    "lists, weights": (
        in_lists,
        {"loss": ["mse", ("mae", "mse")], "loss_weights": [1.0, (0.5, 2.0)]},
        [A, (B, C)],
        None,
    ),
    "a dict of lists": (
        mixed,
        {"loss": {"a": ["mse", "mae"], "b": "mae"}},
        {"a": [A, B], "b": C},
        None,
    ),
    "a named tuple": (
        lambda k, x: Pair(*dense(k, x, 2)),
        {"loss": Pair("mse", "mae"), "metrics": Pair(["mae"], ["mse"])},
        Pair(A, B),
        None,
    ),
    "a list of one": (
        lambda k, x: dense(k, x, 1),
        {"loss": ["mse"], "metrics": [["mae"]]},
        A,
        W,
    ),
    "a loss for one of three, one target": (
        dense,
        {"loss": [None, "mse", None]},
        A,
        None,
    ),
    "losses for two of three, two targets": (dense, {"loss": ["mse", None, "mae"]}, [A, B], None),
    "a list by the names of outputs": (
        dense,
        {"loss": {"p": "mse", "q": "mae", "r": "mse"}, "metrics": {"q": ["mae"]}},
        {"p": A, "q": B, "r": C},
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_and_metrics_of_nested_outputs_are_those_of_keras(case):
    make, arguments, y, weights = CASES[case]
    # A program more to compile, of the same losses: once for each form of outputs.
    validation = (X, y) if weights is not None or "metrics" in arguments else None
    results, start = [], None
    for k in (oracle, ours):
        x = k.Input((3,))
        model = k.Model(x, make(k, x))
        start = start or model.get_weights()
        model.set_weights(start)
        model.compile("sgd", **arguments)
        history = model.fit(
            X, y, sample_weight=weights, epochs=2, batch_size=8, shuffle=False, verbose=0,
            validation_data=validation,
        ).history  # fmt: skip
        results.append((list(history), list(history.values()), model.get_weights()))
    assert results[0][0] == results[1][0]
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-4)
    for a, b in zip(results[0][2], results[1][2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, y, words",
    [
        (
            {"loss": {"a": "mse", "c": "mse"}},
            {"a": A},
            r"\['c'\] in the `loss`.*\['a', 'b/c', 'b/d'\]",
        ),
        ({"loss": ["mse", "mae"]}, [A, (B, C)], "loss has 2 entries, but the model has 3"),
        ({"loss": "mse"}, [A, B], "y has 2 entries, but the model has 3 outputs"),
        ({"loss": "mse"}, A, "y is one value, but the model has 3 outputs"),
        ({"loss": "mse", "metrics": {"x": "mae"}}, [A, B, C], r"\['x'\] in the `metrics`"),
        ({"loss": [None, (None, None)]}, [A, (B, C)], "gives no loss for any output"),
        ({"loss": {"a": "mse", "b": {"c": "mse", "e": "mse"}}}, A, r"\('b', 'e'\) can't be found"),
        ({"loss": ["mse", ["mse", "mae"]], "loss_weights": [1.0]}, A, "Expected 3. Received: 1"),
    ],
)
def test_what_fits_no_output_is_named(arguments, y, words):
    x = ours.Input((3,))
    model = ours.Model(x, in_dicts(ours, x) if "c" in str(arguments) else in_lists(ours, x))
    model.compile("sgd", **arguments)
    with pytest.raises(ValueError, match=words):
        model.fit(X, y, verbose=0)


def test_targets_in_tuples_fit_outputs_in_lists():  # Keras stacks them
    x = ours.Input((3,))
    model = ours.Model(x, in_lists(ours, x))
    model.compile("sgd", ("mse", ["mae", "mse"]))
    expected = model.evaluate(X, [A, (B, C)], verbose=0)
    assert model.evaluate(X, (A, [B, C]), verbose=0) == expected and len(expected) == 4


@pytest.mark.parametrize(
    ("loss_weights", "y", "sample_weight", "words"),
    [
        ({"a": 1.0, "b": {"c": 2.0}}, "dict", None, "loss_weights must match the number of losses"),
        (None, "dict", {"a": W}, r"sample_weight has no entry for the outputs \['b/c', 'b/d'\]"),
        (None, "list", [W], "sample_weight has 1 entries, but the model has 3 outputs"),
        (None, "list", [W, W, W, W], "sample_weight has 4 entries, but the model has 3 outputs"),
        (None, "list", [W, [W, [W, W]]], "sample_weight has several arrays for the output"),
        (None, [A, (B, [C, C])], None, "y has several arrays for the output"),
    ],
)
def test_weights_are_for_all_outputs(loss_weights, y, sample_weight, words):
    x = ours.Input((3,))
    dicts = y == "dict"
    model = ours.Model(x, in_dicts(ours, x) if dicts else in_lists(ours, x))
    loss = {"a": "mse", "b": {"c": "mse", "d": "mse"}} if dicts else "mse"
    model.compile("sgd", loss, loss_weights=loss_weights)
    y = {"dict": {"a": A, "b": {"c": B, "d": C}}, "list": [A, (B, C)]}.get(str(y), y)
    for step in (model.train_on_batch, model.evaluate):
        with pytest.raises(ValueError, match=words):
            step(X, y, sample_weight=sample_weight)
