"""What `model.metrics` lists, in which order logs come, and the training loops for JAX that Keras
documents, run beside Keras itself."""

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike as ours

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
Y = (X[:, :1] - X[:, 1:2]).astype("float32")
W = rng.uniform(0.5, 2.0, size=40).astype("float32")
BATCH = 20  # a last batch of another size is another program to compile


def one_output(k, cls=None):
    x = k.Input((4,))
    return (cls or k.Model)(x, k.layers.Dense(1, name="only")(x))


def two_outputs(k, names=("first", "second"), as_dict=False):
    x = k.Input((4,))
    outputs = [k.layers.Dense(1, name=name)(x) for name in names]
    return k.Model(x, dict(zip(names, outputs)) if as_dict else outputs)


def keys_that_no_layer_has(k):
    outputs = two_outputs(k).outputs
    return k.Model(outputs[0]._keras_history.operation.input, dict(zip("za", outputs)))


def with_own_metrics(k):
    class Noted(k.layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.mean_input = k.metrics.Mean(name=f"{name}_mean_input")

        def call(self, x):
            return x

    class Own(k.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.late = k.metrics.Mean(name="late")
            self.noted = Noted("noted")
            self.submodel = one_output(k)
            self.submodel.inside = k.metrics.Mean(name="left_to_the_submodel")

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.late.update_state(y_pred)
            self.noted.mean_input.update_state(x)
            return super().compute_metrics(x, y, y_pred, sample_weight)

    return one_output(k, Own)


def of_dicts(k):
    class Sums(k.metrics.Metric):
        def __init__(self):
            super().__init__(name="sums")
            self.total = self.add_variable((), "zeros", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(k.ops.sum(y_pred))

        def result(self):
            return {"sum": self.total + 0.0, "double": self.total * 2.0}

    return [[Sums()], [Sums(), "mae"]]


CASES = {
    "a loss alone": (one_output, {"loss": "mse"}),
    "metrics": (one_output, {"loss": "mse", "metrics": ["mae", "mse"]}),
    "an empty list": (one_output, {"loss": "mse", "metrics": []}),
    "weighted metrics": (
        one_output,
        {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mae", "mse"]},
    ),
    "two outputs": (two_outputs, {"loss": ["mse", "mae"], "metrics": [["mse"], ["mae"]]}),
    "two outputs in a dict": (
        lambda k: two_outputs(k, ("z", "a"), as_dict=True),
        {"loss": {"z": "mse", "a": "mae"}, "metrics": {"a": ["mse", "mae"], "z": ["mae"]}},
    ),
    "dicts with the same keys": (
        lambda k: two_outputs(k, ("z", "a")),
        {"loss": ["mse", "mse"], "metrics": of_dicts},
    ),
    "in attributes and layers": (with_own_metrics, {"loss": "mse", "metrics": ["mae"]}),
    "two of one name": (one_output, {"loss": "mse", "metrics": ["mae", "mae"]}),
    "keys that no layer has": (
        keys_that_no_layer_has,
        {"loss": {"z": "mse", "a": "mae"}, "metrics": [["mse"], ["mae"]]},
    ),
    "compiled again": (one_output, {"loss": "mse", "metrics": ["mae"]}, [{}]),
    "compiled again with another loss": (
        one_output,
        {"loss": "mse", "weighted_metrics": ["mse"]},
        [{}, {"loss": "mae", "loss_weights": 2.0}],
    ),
    "compiled again with other metrics": (
        one_output,
        {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]},
        [{"metrics": ["mape"]}],
    ),
}


def results_of(k, weights, make, arguments, again=()):
    model = make(k)
    if weights is not None:
        model.set_weights(weights)
    weights = model.get_weights()
    arguments = {name: v(k) if callable(v) else v for name, v in arguments.items()}
    model.compile(optimizer="sgd", **arguments)
    for more in again:
        model.evaluate(X, Y, BATCH, verbose=0)
        model.compile(optimizer="adam", **more)
    outputs = arguments["loss"]
    if isinstance(outputs, dict):
        y, w = dict.fromkeys(outputs, Y), dict.fromkeys(outputs, W)
    elif isinstance(outputs, list):
        y, w = [Y, Y], [W, W]
    else:
        y, w = Y, W
    history = model.fit(
        X, y, sample_weight=w, epochs=2, shuffle=False, verbose=0, validation_data=(X, y, w),
        batch_size=BATCH,
    ).history  # fmt: skip
    model.reset_metrics()
    return weights, {
        "names": [m.name for m in model.metrics],
        "output_names": list(model.output_names),
        "metrics_names": model.metrics_names,
        "history": list(history.items()),
        "results": sorted(model.get_metrics_result()),
        "evaluate": model.evaluate(X, y, BATCH, sample_weight=w, verbose=0),
        "by name": list(
            model.evaluate(X, y, BATCH, sample_weight=w, verbose=0, return_dict=True).items()
        ),
        "variables": [v.name for v in model.metrics_variables],
    }


def same(a, b):
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b), (a, b)
        for x, y in zip(a, b):
            same(x, y)
    elif isinstance(a, str):
        assert a == b
    else:
        np.testing.assert_allclose(a, b, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_metrics_and_logs_are_listed_as_keras_lists_them(case):
    weights, expected = results_of(oracle, None, *CASES[case])
    _, given = results_of(ours, weights, *CASES[case])
    for what in expected:
        same(expected[what], given[what])


def test_metrics_of_a_layer_are_those_in_it():
    class Inner(ours.layers.Layer):
        def __init__(self):
            super().__init__()
            self.m = ours.metrics.Mean(name="inner")

    class Outer(ours.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
            self.all = [ours.metrics.MeanSquaredError(name="own"), self.inner.m]

    layer = Outer()
    assert [m.name for m in layer.metrics] == ["own", "inner"]
    assert len(layer.metrics_variables) == 4
    assert layer.metrics_variables[2] is layer.inner.m.variables[0]


def test_a_metric_that_compile_is_given_and_an_attribute_holds_is_listed_once():
    model = one_output(ours)
    model.held = ours.metrics.MeanAbsoluteError(name="held")
    model.compile("sgd", "mse", metrics=[model.held])
    history = model.fit(X, Y, verbose=0).history
    assert list(history) == ["held", "loss"]
    assert model.metrics_names == ["loss", "compile_metrics"]


# -- the documented loops -----------------------------------------------------------------------


# A bias in front of BatchNormalization has no gradient but rounding errors, which Adam makes large.


def custom_train_step(k):
    """As in the guide "Customizing what happens in fit() with JAX"."""

    class CustomModel(k.Model):
        def compute_loss_and_updates(
            self, trainable_variables, non_trainable_variables, x, y, sample_weight, training=False
        ):
            y_pred, non_trainable_variables = self.stateless_call(
                trainable_variables, non_trainable_variables, x, training=training
            )
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            return loss, (y_pred, non_trainable_variables)

        def update_metrics(self, metrics_variables, loss, y, y_pred):
            new_metrics_vars, logs = [], {}
            for metric in self.metrics:
                start = len(new_metrics_vars)
                these = metrics_variables[start : start + len(metric.variables)]
                if metric.name == "loss":
                    these = metric.stateless_update_state(these, loss)
                else:
                    these = metric.stateless_update_state(these, y, y_pred)
                logs[metric.name] = metric.stateless_result(these)
                new_metrics_vars += these
            return logs, new_metrics_vars

        def train_step(self, state, data):
            trainable, non_trainable, optimizer_variables, metrics_variables = state
            x, y, sample_weight = k.utils.unpack_x_y_sample_weight(data)
            grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
            (loss, (y_pred, non_trainable)), grads = grad_fn(
                trainable, non_trainable, x, y, sample_weight, training=True
            )
            trainable, optimizer_variables = self.optimizer.stateless_apply(
                optimizer_variables, grads, trainable
            )
            logs, metrics_variables = self.update_metrics(metrics_variables, loss, y, y_pred)
            return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

        def test_step(self, state, data):
            trainable, non_trainable, metrics_variables = state
            x, y, sample_weight = k.utils.unpack_x_y_sample_weight(data)
            y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=False)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            logs, metrics_variables = self.update_metrics(metrics_variables, loss, y, y_pred)
            return logs, (trainable, non_trainable, metrics_variables)

    x = k.Input((4,))
    h = k.layers.Dropout(0.0)(k.layers.BatchNormalization()(k.layers.Dense(6, use_bias=False)(x)))
    model = CustomModel(x, k.layers.Dense(1)(h))
    model.compile(k.optimizers.Adam(0.01), "mse", metrics=["mae", "mse"])
    return model


def test_the_documented_custom_step_runs_as_written():
    results, weights = [], None
    for k in (oracle, ours):
        model = custom_train_step(k)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        history = model.fit(
            X, Y, sample_weight=W, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y)
        ).history
        evaluated = model.evaluate(X, Y, verbose=0, return_dict=True)
        results.append([list(history.items()), list(evaluated.items()), model.get_weights()[-1]])
        assert model.metrics_names == ["loss", "compile_metrics"]
    same(*results)


def hand_written_loop(k, weights=None):
    """As in the guide "Writing a training loop from scratch in JAX", with the model's own loss."""
    x = k.Input((4,))
    h = k.layers.BatchNormalization()(k.layers.Dense(6, use_bias=False, kernel_regularizer="l2")(x))
    model = k.Model(x, k.layers.Dense(1)(h))
    if weights is not None:
        model.set_weights(weights)
    start = model.get_weights()
    model.compile(k.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.evaluate(X[:8], Y[:8], verbose=0)  # builds the compiled metrics
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)
    loss_tracker, compiled = model.metrics

    def compute_loss(trainable, non_trainable, metrics_variables, x, y):
        y_pred, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
        loss, (trainable, non_trainable, metrics_variables) = model.stateless_compute_loss(
            trainable, non_trainable, metrics_variables, x=x, y=y, y_pred=y_pred, training=True
        )
        return loss, (y_pred, non_trainable, metrics_variables)

    grad_fn = jax.value_and_grad(compute_loss, has_aux=True)

    @jax.jit
    def train_step(state, x, y):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        (loss, (y_pred, non_trainable, metrics_variables)), grads = grad_fn(
            trainable, non_trainable, metrics_variables, x, y
        )
        trainable, optimizer_variables = model.optimizer.stateless_apply(
            optimizer_variables, grads, trainable
        )
        n = len(loss_tracker.variables)
        means, others = metrics_variables[:n], metrics_variables[n:]
        means = loss_tracker.stateless_update_state(means, loss)
        others = compiled.stateless_update_state(others, y, y_pred)
        logs = {"loss": loss_tracker.stateless_result(means), **compiled.stateless_result(others)}
        return logs, (trainable, non_trainable, optimizer_variables, [*means, *others])

    state = tuple(
        [v.value for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    losses = []
    for _ in range(3):
        for i in range(0, 40, 8):
            logs, state = train_step(state, X[i : i + 8], Y[i : i + 8])
            losses.append([float(logs["loss"]), float(logs["mae"])])
    for variable, value in zip(model.trainable_variables, state[0]):
        variable.assign(value)
    for variable, value in zip(model.non_trainable_variables, state[1]):
        variable.assign(value)
    return start, [losses, model.predict(X, verbose=0)]


def test_the_documented_loop_by_hand_runs_as_written():
    start, expected = hand_written_loop(oracle)
    _, given = hand_written_loop(ours, start)
    same(expected, given)
    assert given[0][-1][0] < given[0][0][0]


def test_compute_loss_and_updates_is_a_pure_function_as_keras_has_it():
    results, weights = [], None
    for k in (oracle, ours):
        x = k.Input((4,))
        h = k.layers.BatchNormalization()(
            k.layers.Dense(6, use_bias=False, kernel_regularizer="l2")(x)
        )
        model = k.Model(x, k.layers.Dense(1, activity_regularizer="l1")(h))
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile(k.optimizers.SGD(0.1), "mse")
        model.optimizer.build(model.trainable_variables)
        before = model.get_weights()
        values = [
            [v.value for v in variables]
            for variables in (
                model.trainable_variables, model.non_trainable_variables, model.metrics_variables
            )
        ]  # fmt: skip
        loss = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
        (scaled, (unscaled, y_pred, others, metrics)), grads = loss(
            *values, X, Y, W, training=True,
            optimizer_variables=[v.value for v in model.optimizer.variables],
        )  # fmt: skip
        assert jnp.allclose(scaled, unscaled) and len(metrics) == len(values[2])
        same(before, model.get_weights())
        results.append([scaled, list(map(np.asarray, others)), list(map(np.asarray, grads))])
    same(*results)


def test_a_state_of_the_wrong_length_is_named():
    model = one_output(ours)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"lists of \[2, 0, 2\] values. Received: \[1, 0, 0\]"):
        model.stateless_compute_loss([jnp.ones(1)], [], [], x=X, y=Y, y_pred=Y)


def small(k):
    layers = [k.layers.Dense(2, name="d"), k.layers.BatchNormalization(name="bn")]
    model = k.Sequential([k.Input((4,), name="i"), *layers], name="s")
    model.compile(k.optimizers.Adam(name="adam"), "mse", metrics=["mae"])
    model.fit(X, np.ones((40, 2)), verbose=0)
    return model


def test_a_state_tree_has_the_paths_that_keras_has_and_can_be_set():
    def shapes(tree):
        return {k: shapes(v) if isinstance(v, dict) else np.shape(v) for k, v in tree.items()}

    model, other = small(ours), small(ours)
    tree = model.get_state_tree()
    assert shapes(tree) == shapes(small(oracle).get_state_tree())
    assert isinstance(tree["trainable_variables"]["s"]["d"]["kernel"], jax.Array)
    as_numpy = model.get_state_tree(value_format="numpy_array")
    assert type(as_numpy["metrics_variables"]["loss"]["total"]) is np.ndarray
    other.set_state_tree(as_numpy)
    model.fit(X, np.ones((40, 2)), shuffle=False, verbose=0)  # does not touch what was given out
    other.fit(X, np.ones((40, 2)), shuffle=False, verbose=0)
    same(model.get_weights(), other.get_weights())
    part = {"non_trainable_variables": {"s": {"bn": {"moving_mean": np.full(2, 7.0)}}}}
    other.set_state_tree(part)
    assert other.layers[1].moving_mean.numpy().tolist() == [7.0, 7.0]


def test_a_state_tree_of_a_model_that_was_not_compiled():
    model = ours.Sequential([ours.Input((2,)), ours.layers.Dense(1, name="d")], name="s")
    tree = model.get_state_tree()
    assert tree["trainable_variables"]["s"]["d"].keys() == {"kernel", "bias"}
    assert tree["optimizer_variables"] == {}


@pytest.mark.parametrize(
    "tree, words",
    [
        ({"variables": {}}, r"Received: \['variables'\]"),
        ({"trainable_variables": {"s": {"e": jnp.ones(2)}}}, "no variable 's/e'"),
        (
            {"trainable_variables": {"s": {"d": {"bias": jnp.ones(2), "kernel": jnp.ones(2)}}}},
            r"'s/d/kernel' of 's' has shape \(4, 2\). Received: a value of shape \(2,\)",
        ),
    ],
)
def test_a_state_tree_that_does_not_fit_changes_nothing(tree, words):
    model = small(ours)
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        model.set_state_tree(tree)
    same(before, model.get_weights())


def test_one_loss_for_a_dict_of_outputs_is_told_in_the_order_of_their_names():
    """As in Keras, whose lists of values have that order."""
    x = ours.Input((3,))
    outputs = {"zz": ours.layers.Dense(2)(x), "aa": ours.layers.Dense(1)(x)}
    model = ours.Model(x, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    y = {"zz": np.full((4, 2), 9.0), "aa": np.zeros((4, 1))}
    total, aa, zz = model.evaluate(np.zeros((4, 3)), y, verbose=0)
    assert model.metrics_names == ["loss", "aa_loss", "zz_loss"] and (total, aa, zz) == (81, 0, 81)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_accuracy_of_outputs_without_an_axis_is_binary(shape):
    x = ours.Input(())
    model = ours.Model(x, ours.ops.sigmoid(x))
    model.compile(loss="mse", metrics=["accuracy"])
    y = np.array([0, 1, 1, 1]).reshape(shape)
    logs = model.evaluate(np.array([-1.0, 2.0, -3.0, 4.0]), y, verbose=0, return_dict=True)
    assert logs["accuracy"] == 0.75
