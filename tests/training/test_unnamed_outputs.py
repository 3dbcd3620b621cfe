"""Several outputs of a model that gives them no names: what their losses and metrics go by."""

import keras
import numpy as np
import pytest

import keraslike

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = (X[:, :1], X[:, 1:2] + 1)


def model_of(framework, as_list=False):
    class TwoHeads(framework.Model):
        def __init__(self):
            super().__init__()
            ones = {"kernel_initializer": "ones"}
            self.first, self.second = (framework.layers.Dense(1, **ones) for _ in range(2))

        def call(self, x):
            outputs = (self.first(x), self.second(x))
            return list(outputs) if as_list else outputs

    return TwoHeads()


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]},
        {"loss": ["mse", "mae"], "metrics": [["mae"], ["mae"]], "weighted_metrics": [["mse"], []]},
        {"loss": ["mse", "huber"]},
        {"loss": ["mse", None], "metrics": [None, ["mae"]]},
    ],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_names_as_in_keras(settings, as_list):
    results = []
    for framework in (keras, keraslike):
        model = model_of(framework, as_list)
        model.compile("sgd", **settings)
        y = list(Y) if as_list else Y
        history = model.fit(X, y, validation_data=(X, y), verbose=0).history
        results.append((history, model.evaluate(X, y, verbose=0, return_dict=True)))
    for theirs, ours in zip(*results):
        assert list(ours) == list(theirs)
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)


def test_losses_of_one_name_are_all_told():
    """Of which Keras reports the last alone."""
    model = model_of(keraslike)
    model.compile("sgd", "mse", metrics=[["mae"], ["mae"]])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert sorted(logs) == ["loss", "mae", "mae_1", "mse_loss", "mse_loss_1"]
    assert logs["mse_loss"] != logs["mse_loss_1"]
    assert logs["mse_loss"] + logs["mse_loss_1"] == pytest.approx(logs["loss"])
