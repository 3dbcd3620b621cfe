"""Metrics: values over several batches, weights and configs are Keras's; state is a pytree."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import sklearn.metrics

import keraslike
from keraslike import layers, losses, metrics, models
from keraslike.core import context, lowering
from keraslike.core.variable import MetricState
from keraslike.src_functions import compute_output_spec

pytestmark = pytest.mark.slow

rng = np.random.default_rng(1)


def batches(make_true, make_pred, sizes=(5, 3)):
    return [(make_true(n), make_pred(n)) for n in sizes]


def normal(*shape):
    return lambda n: rng.normal(size=(n, *shape)).astype("float32")


def share(*shape):
    return lambda n: rng.uniform(0.01, 0.99, size=(n, *shape)).astype("float32")


def classes(n):
    return rng.integers(0, 4, n)


def one_hot(n):
    return np.eye(4, dtype="float32")[classes(n)]


def bits(*shape):
    return lambda n: rng.integers(0, 2, (n, *shape)).astype("float32")


REAL = batches(normal(3), normal(3))
POSITIVE = batches(lambda n: share(3)(n) * 5, lambda n: share(3)(n) * 5)
HOT = batches(one_hot, share(4))
NUMBERS = batches(classes, share(4))
COLUMN = batches(lambda n: classes(n)[:, None], share(4))
STEPS = batches(lambda n: rng.integers(0, 4, (n, 6)), share(6, 4))
BITS = batches(bits(1), share(1))
FLAT_BITS = batches(bits(), share(1))
MANY_BITS = batches(bits(4), share(4))
LOGITS = batches(bits(3), lambda n: 3 * normal(3)(n))
NUMBER_PAIRS = batches(lambda n: rng.integers(-1, 5, n), lambda n: rng.integers(0, 4, n))
AUC_OPTIONS = [
    *({"curve": curve} for curve in ("ROC", "PR", "PRGAIN")),
    {"curve": "ROC", "summation_method": "minoring"},
    {"curve": "PR", "summation_method": "majoring"},
]
OWN = {"thresholds": [0.7, 0.1, 0.35], "curve": "pr"}

CASES = [
    ("MeanSquaredError", REAL, {}),
    ("RootMeanSquaredError", REAL, {}),
    ("MeanAbsoluteError", REAL, {}),
    ("MeanAbsolutePercentageError", POSITIVE, {}),
    ("MeanSquaredLogarithmicError", POSITIVE, {}),
    ("LogCoshError", REAL, {}),
    ("CosineSimilarity", REAL, {}),
    ("R2Score", REAL, {}),
    ("R2Score", REAL, {"class_aggregation": None}),
    ("R2Score", REAL, {"class_aggregation": "variance_weighted_average", "num_regressors": 2}),
    ("KLDivergence", HOT, {}),
    ("Poisson", POSITIVE, {}),
    ("BinaryCrossentropy", MANY_BITS, {"label_smoothing": 0.1}),
    ("CategoricalCrossentropy", HOT, {"from_logits": True}),
    ("SparseCategoricalCrossentropy", NUMBERS, {}),
    ("Hinge", MANY_BITS, {}),
    ("SquaredHinge", MANY_BITS, {}),
    ("CategoricalHinge", HOT, {}),
    ("Accuracy", batches(classes, classes), {}),
    ("BinaryAccuracy", BITS, {}),
    ("BinaryAccuracy", FLAT_BITS, {"threshold": 0.3}),
    ("CategoricalAccuracy", HOT, {}),
    ("SparseCategoricalAccuracy", NUMBERS, {}),
    ("SparseCategoricalAccuracy", COLUMN, {}),
    ("SparseCategoricalAccuracy", STEPS, {}),
    ("TopKCategoricalAccuracy", HOT, {"k": 2}),
    ("SparseTopKCategoricalAccuracy", NUMBERS, {"k": 2}),
    ("Precision", BITS, {}),
    ("Precision", MANY_BITS, {"thresholds": [0.2, 0.5, 0.7]}),
    ("Precision", MANY_BITS, {"top_k": 2, "class_id": 1}),
    ("Recall", MANY_BITS, {"thresholds": 0.4}),
    ("Recall", MANY_BITS, {"top_k": 2}),
    ("TruePositives", MANY_BITS, {}),
    ("TrueNegatives", MANY_BITS, {"thresholds": [0.1, 0.9]}),
    ("FalsePositives", FLAT_BITS, {}),
    ("FalseNegatives", MANY_BITS, {}),
    ("Recall", MANY_BITS, {"thresholds": [0.8, 0.05, *np.linspace(0.2, 0.7, 11).tolist()]}),
    *(("AUC", MANY_BITS, options) for options in AUC_OPTIONS),
    *(
        ("AUC", MANY_BITS, {**o, "multi_label": True, "num_thresholds": 7})
        for o in AUC_OPTIONS[::4]
    ),
    ("AUC", FLAT_BITS, OWN),
    ("AUC", MANY_BITS, {"label_weights": [1.0, 0.0, 2.0, 0.5], "num_thresholds": 20}),
    (
        *("AUC", MANY_BITS),
        {"label_weights": [1.0, 0.0, 2.0, 0.5], "multi_label": True, "num_labels": 4, **OWN},
    ),
    ("AUC", LOGITS, {"from_logits": True}),
    ("SensitivityAtSpecificity", MANY_BITS, {"specificity": 0.6}),
    ("SpecificityAtSensitivity", MANY_BITS, {"sensitivity": 0.6, "class_id": 2}),
    ("PrecisionAtRecall", MANY_BITS, {"recall": 0.4, "num_thresholds": 30}),
    ("RecallAtPrecision", BITS, {"precision": 0.5, "num_thresholds": 1}),
    ("F1Score", HOT, {}),
    ("F1Score", MANY_BITS, {"average": "weighted", "threshold": 0.4}),
    ("FBetaScore", MANY_BITS, {"average": "micro", "beta": 2.0, "threshold": 0.5}),
    ("IoU", NUMBER_PAIRS, {"num_classes": 4, "target_class_ids": (1, 3), "ignore_class": 2}),
    ("MeanIoU", NUMBER_PAIRS, {"num_classes": 4, "dtype": "float32"}),
    ("BinaryIoU", FLAT_BITS, {"threshold": 0.3}),
    ("OneHotIoU", HOT, {"num_classes": 4, "target_class_ids": [1, 2]}),
    ("OneHotMeanIoU", HOT, {"num_classes": 4, "ignore_class": 1}),
    ("PearsonCorrelation", REAL, {}),
    ("ConcordanceCorrelation", REAL, {}),
]


@pytest.mark.parametrize("name, data, arguments", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_keras_s(name, data, arguments, weighted):
    ours = getattr(metrics, name)(**arguments)
    theirs = getattr(keras.metrics, name)(**arguments)
    update, result = theirs.stateless_update_state, theirs.stateless_result
    if name != "R2Score" and "label_weights" not in arguments:  # where Keras looks at values
        update, result = jax.jit(update), jax.jit(result)
    if not getattr(theirs, "_built", True):  # its variables are made for what it is shown
        theirs.update_state(*data[0])
        theirs.reset_state()
    state = [v.value for v in theirs.variables]
    if weighted:  # both of one size, which is one program
        data = [data[0], (data[0][0][::-1], data[0][1])]
    for number, (y_true, y_pred) in enumerate(data):
        weights = np.arange(len(y_true), dtype="float32") + number if weighted else None
        if weighted and name == "RootMeanSquaredError":
            assert ours.update_state(y_true, y_pred, sample_weight=weights) is None
        else:
            ours.update_state(y_true, y_pred, weights)
        state = update(state, y_true, y_pred, weights)
        np.testing.assert_allclose(ours.result(), result(state), rtol=2e-6, atol=1e-6)
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    ours.reset_state()
    assert not any(np.any(v.numpy()) for v in ours.variables)
    if name != "R2Score":  # Keras divides by zero there
        np.testing.assert_allclose(ours.result(), result(theirs.stateless_reset_state()))


@pytest.mark.parametrize("name, data, arguments", CASES)
def test_configs_are_keras_s(name, data, arguments):
    ours = getattr(metrics, name)(**arguments, name="mine")
    config = metrics.serialize(ours)
    assert config == keras.metrics.serialize(getattr(keras.metrics, name)(**arguments, name="mine"))
    again = metrics.deserialize(config)
    assert type(again) is type(ours)
    assert metrics.serialize(again) == config
    np.testing.assert_allclose(again(*data[0]), ours(*data[0]))


@pytest.mark.parametrize("name", [c for c in metrics.__all__ if c[0].isupper()])
def test_signatures_are_keras_s(name):
    ours = inspect.signature(getattr(metrics, name)).parameters
    theirs = inspect.signature(getattr(keras.metrics, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize(
    "name, cls",
    [
        ("mse", "MeanSquaredError"),
        ("MSE", "MeanSquaredError"),
        ("mae", "MeanAbsoluteError"),
        ("mape", "MeanAbsolutePercentageError"),
        ("msle", "MeanSquaredLogarithmicError"),
        ("bce", "BinaryCrossentropy"),
        ("accuracy", "Accuracy"),
        ("binary_accuracy", "BinaryAccuracy"),
        ("mean_squared_error", "MeanSquaredError"),
        ("root_mean_squared_error", "RootMeanSquaredError"),
        ("r2_score", "R2Score"),
        ("hinge", "Hinge"),
        ("poisson", "Poisson"),
        ("sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy"),
        ("Precision", "Precision"),
    ],
)
def test_names(name, cls):
    assert type(metrics.get(name)).__name__ == cls
    assert type(keras.metrics.get(name)).__name__ == cls


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(
        ValueError,
        match="Could not interpret metric identifier: 'mean_abs_error'. Did you mean 'mean_abs",
    ):
        metrics.get("mean_abs_error")


# -- means and sums ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("weights", [None, (), (4,), (4, 1), (4, 3)])
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_means_and_sums_are_keras_s(name, shape, weights):
    if weights is not None and len(weights) > len(shape) and weights != (4, 1):
        return
    if weights == (4, 1) and len(shape) not in (1, 2):
        return
    values = rng.normal(size=shape).astype("float32")
    weight = None if weights is None else np.float32(rng.uniform(size=weights))
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        ours.update_state(values, weight)
        theirs.update_state(values, weight)
    np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)
    for a, b in zip(ours.variables, theirs.variables):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


def test_a_mean_of_nothing_is_zero():
    assert float(metrics.Mean().result()) == 0.0
    mean = metrics.Mean()
    mean.update_state([1.0, 2.0], sample_weight=[0.0, 0.0])
    assert float(mean.result()) == 0.0


def test_a_mean_is_few_operations():
    mean = metrics.Mean()
    step = lowering.lower(lambda x: mean.update_state(x), mean.variables)
    jaxpr = jax.make_jaxpr(step)([0.0, 0.0], jnp.float32(1.0))
    assert len(jaxpr.eqns) <= 4


def test_masks_count_as_weights():
    y_true, y_pred = (rng.normal(size=(2, 4, 3)).astype("float32") for _ in range(2))
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    ours, theirs = jnp.asarray(y_pred), jnp.asarray(y_pred)
    context.set_mask(ours, jnp.asarray(mask))
    theirs._keras_mask = jnp.asarray(mask)
    a, b = metrics.MeanSquaredError(), keras.metrics.MeanSquaredError()
    a.update_state(y_true, ours)
    b.update_state(y_true, theirs)
    np.testing.assert_allclose(a.result(), b.result(), rtol=1e-6)
    expected = (((y_true - y_pred) ** 2).mean(-1) * mask).sum(1) / 4
    assert float(a.result()) == pytest.approx(expected.sum() / (mask.sum() / 4), rel=1e-5)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        linear = threshold * jnp.abs(error) - threshold**2 / 2
        return jnp.where(jnp.abs(error) < threshold, jnp.square(error) / 2, linear)

    return huber_fn


def test_a_function_as_a_metric():
    metric = metrics.MeanMetricWrapper(create_huber(2.0), name="huber_fn")
    expected = metrics.MeanMetricWrapper(losses.huber, name="huber", delta=2.0)
    for y_true, y_pred in REAL:
        metric.update_state(y_true, y_pred)
        expected.update_state(y_true, y_pred)
    np.testing.assert_allclose(metric.result(), expected.result(), rtol=1e-5)
    again = metrics.deserialize(metrics.serialize(expected))
    assert again.get_config() == expected.get_config()
    assert again.get_config()["delta"] == 2.0
    np.testing.assert_allclose(again(*REAL[0]), losses.Huber(2.0)(*REAL[0]), rtol=1e-6)


def test_a_column_and_a_vector_are_the_same():
    y_true, y_pred = REAL[0][0][:, 0], REAL[0][1][:, :1]
    metric, same = (metrics.MeanMetricWrapper(create_huber()) for _ in range(2))
    np.testing.assert_allclose(metric(y_true, y_pred), same(y_true[:, None], y_pred))


# -- own metrics ------------------------------------------------------------------------------


class HuberMetric(metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.huber_fn = create_huber(threshold)
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        metric = self.huber_fn(y_true, y_pred)
        self.total.assign_add(jnp.sum(metric))
        self.count.assign_add(jnp.asarray(jnp.size(y_true), "float32"))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def test_the_huber_metric_streams():
    metric = HuberMetric(2.0, name="huber")
    for y_true, y_pred in REAL:
        metric.update_state(y_true, y_pred)
    everything = [np.concatenate(ys) for ys in zip(*REAL)]
    np.testing.assert_allclose(metric.result(), losses.Huber(2.0)(*everything), rtol=1e-5)
    assert [v.path for v in metric.variables] == ["huber/total", "huber/count"]
    assert all(isinstance(v, MetricState) and not v.trainable for v in metric.variables)
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0, 0.0]
    assert metric.get_config() == {"threshold": 2.0, "name": "huber", "dtype": "float32"}
    again = metrics.deserialize(
        metrics.serialize(metric), custom_objects={"HuberMetric": HuberMetric}
    )
    assert again.threshold == 2.0


def test_a_metric_is_a_pytree():
    metric = HuberMetric(2.0)
    metric.update_state(*REAL[0])
    assert len(jax.tree.leaves(metric)) == 2
    doubled = jax.tree.map(lambda v: 2 * v, metric)
    assert float(doubled.total) == 2 * float(metric.total)
    assert jax.tree.structure(HuberMetric(2.0)) == jax.tree.structure(metric)
    assert jax.tree.structure(HuberMetric(3.0)) != jax.tree.structure(metric)
    np.testing.assert_allclose(jax.jit(lambda m: m.result())(metric), metric.result())


@pytest.mark.parametrize(
    "make", [lambda: HuberMetric(2.0), metrics.MeanAbsoluteError, metrics.Recall]
)
def test_pure_functions_leave_the_state_alone(make):
    metric, same = make(), make()
    update = jax.jit(metric.stateless_update_state)
    state = metric.stateless_reset_state()
    for y_true, y_pred in MANY_BITS:
        state = update(state, y_true, y_pred)
        same.update_state(y_true, y_pred)
    np.testing.assert_allclose(metric.stateless_result(state), same.result(), rtol=1e-6)
    assert not any(np.any(v.numpy()) for v in metric.variables)
    with pytest.raises(ValueError, match="metric_variables.*Received: 1"):
        metric.stateless_update_state(state[:1] if len(state) > 1 else [], *MANY_BITS[0])


def test_a_metric_runs_in_a_scan():
    metric, same = metrics.SparseCategoricalAccuracy(), metrics.SparseCategoricalAccuracy()
    y_true, y_pred = rng.integers(0, 4, (7, 5)), share(5, 4)(7)

    def step(state, batch):
        return tuple(metric.stateless_update_state(state, *batch)), None

    state, _ = jax.lax.scan(step, tuple(metric.stateless_reset_state()), (y_true, y_pred))
    for a, b in zip(y_true, y_pred):
        same.update_state(a, b)
    np.testing.assert_allclose(metric.stateless_result(state), same.result(), rtol=1e-6)


def test_metrics_in_metrics_share_their_state():
    class Both(metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.parts = {"mse": metrics.MeanSquaredError(), "mae": metrics.MeanAbsoluteError()}
            self.seen = self.add_weight(name="seen")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen.assign_add(len(y_true))
            for part in self.parts.values():
                part.update_state(y_true, y_pred, sample_weight)

        def result(self):
            return {name: part.result() for name, part in self.parts.items()}

    both = Both()
    result = both(*REAL[0])
    assert result.keys() == {"mse", "mae"}
    assert [v.name for v in both.variables] == ["seen", "total", "count", "total", "count"]
    both.reset_state()
    assert not any(np.any(v.numpy()) for v in both.variables)


def test_attributes_may_come_before_the_constructor_of_the_base_but_state_may_not():
    class Early(metrics.Metric):
        def __init__(self, factor, **kwargs):
            self.factor = factor
            super().__init__(**kwargs)
            self.add_weight(name="nameless")  # in no attribute, state all the same

        def update_state(self, value):
            self.variables[0].assign_add(self.factor * value)

        def result(self):
            return self.variables[0].value

    metric = Early(3.0)
    assert float(metric(2.0)) == 6.0
    assert metric.name.startswith("early")

    class Forgetful(metrics.Metric):
        def __init__(self):
            self.total = self.add_weight(name="total")

    with pytest.raises(RuntimeError, match=r"Forgetful.*super\(\).__init__\(\)"):
        Forgetful()


def test_state_of_other_kinds():
    metric = metrics.Metric(name="m")
    counts = metric.add_variable((2,), "ones", dtype="int32", name="counts")
    assert counts.dtype == "int32"
    assert counts.numpy().tolist() == [1, 1]
    assert metric.add_weight("x", shape=(3,)).shape == (3,)
    with pytest.raises(NotImplementedError, match="Metric has no update_state"):
        metric.update_state(1.0)
    with pytest.raises(NotImplementedError, match="Metric has no result"):
        metric.result()


def test_dtypes():
    assert metrics.Mean(dtype="float16").total.dtype == "float16"
    assert metrics.Mean(dtype="float16").get_config()["dtype"] == "float16"
    assert metrics.Mean(dtype="mixed_bfloat16").dtype == "bfloat16"


# -- curves, F-scores, overlaps ----------------------------------------------------------------


def test_they_are_scikit_learn_s():
    y_true, y_pred = bits(3)(50), (rng.integers(0, 20, (50, 3)) + 0.5) / 20  # between thresholds
    weights = rng.uniform(size=50)
    area = sklearn.metrics.roc_auc_score
    for ours, theirs in (
        (metrics.AUC(21), area(y_true.ravel(), y_pred.ravel(), sample_weight=weights.repeat(3))),
        (metrics.AUC(21, multi_label=True), area(y_true, y_pred, sample_weight=weights)),
        (
            metrics.AUC(21, multi_label=True, label_weights=[1.0, 0.0, 0.0]),
            area(y_true[:, 0], y_pred[:, 0], sample_weight=weights),
        ),
        *(
            (
                metrics.FBetaScore(average, 2.0, 0.5),
                sklearn.metrics.fbeta_score(
                    y_true, y_pred > 0.5, beta=2, average=average, sample_weight=weights
                ),
            )
            for average in (None, "micro", "macro", "weighted")
        ),
        (
            metrics.OneHotMeanIoU(3, dtype="float32"),
            sklearn.metrics.jaccard_score(
                *(y.argmax(1) for y in (y_true, y_pred)), average="macro", sample_weight=weights
            ),
        ),
    ):
        np.testing.assert_allclose(ours(y_true, y_pred, weights), theirs, rtol=1e-5)


def test_they_are_the_same_in_evaluate():
    def make():
        return [
            metrics.AUC(name="together"),
            metrics.AUC(20, "PR", multi_label=True, name="each"),
            metrics.SensitivityAtSpecificity(0.5, name="best"),
            metrics.F1Score("macro"),
            metrics.BinaryIoU(dtype="float32", name="overlap"),
            metrics.PearsonCorrelation(),
        ]

    x, y, weights = normal(5)(12), bits(3)(12), share()(12)
    model = models.Sequential([layers.Dense(3, activation="sigmoid")])
    model.compile(loss="mse", weighted_metrics=make())
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=5, verbose=0, return_dict=True)
    y_pred = model.predict(x, verbose=0)
    for metric in make():
        expected = metric(y, y_pred, weights)
        np.testing.assert_allclose(logs[metric.name], expected, rtol=1e-5, err_msg=metric.name)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_variable_is_an_argument_of_compiled_functions(steps):
    smaller = jax.jit(jnp.minimum)  # A new one, which nothing has traced yet.

    class Lowest(metrics.Metric):
        def __init__(self):
            super().__init__(name="lowest")
            self.low = self.add_weight(name="low", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.low.assign(smaller(self.low, jnp.min(y_pred)))

        def result(self):
            return self.low.value

    model, x = models.Sequential([layers.Input((3,)), layers.Dense(2)]), normal(3)(6)
    sgd = keraslike.optimizers.SGD(0.0)
    model.compile(sgd, "mse", metrics=[Lowest()], steps_per_execution=steps)
    seen = keraslike.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    history = model.fit(x, x[:, :2], batch_size=2, verbose=0, callbacks=[seen]).history
    assert history["lowest"] == [min(0.0, model.predict(x, verbose=0).min())]


def test_the_score_of_equal_targets_is_zero_as_in_keras():
    metric = metrics.R2Score()
    weights = np.random.default_rng(0).random((50, 6, 1), "float32")
    for weight in weights:  # whose sums of squares differ from the squares of sums by rounding
        metric.reset_state()
        assert metric(np.ones((6, 1)), np.zeros((6, 1)), sample_weight=weight) == 0


def test_classes_along_another_axis_and_weights_of_samples():
    y_true, y_pred = np.eye(4)[rng.integers(0, 4, (5, 6))], share(6, 4)(5)
    weights = np.arange(5)
    maps = metrics.IoU(4, [0, 3], sparse_y_true=False, sparse_y_pred=False, axis=1)  # not in Keras
    result = maps(*(np.moveaxis(y, -1, 1) for y in (y_true, y_pred)), weights)
    each = keras.metrics.OneHotIoU(4, [0, 3])
    each.update_state(y_true, y_pred, weights[:, None] * np.ones((1, 6), int))
    np.testing.assert_allclose(result, each.result(), rtol=1e-6)
    with pytest.warns(
        UserWarning, match="sample_weight is in float32.*int32, to which weights are truncated"
    ):
        maps.update_state(np.moveaxis(y_true, -1, 1), np.moveaxis(y_pred, -1, 1), weights / 2)


def test_the_shape_of_a_result_changes_no_state():
    mean = metrics.Mean()
    symbolic = keraslike.KerasTensor((None, 2))
    assert compute_output_spec(mean, symbolic, symbolic).shape == ()
    assert [float(v) for v in mean.variables] == [0.0, 0.0]


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: metrics.MeanSquaredError()(np.ones((3, 2)), np.ones((3, 4))),
            r"\(3, 2\).*\(3, 4\)",
        ),
        (
            lambda: metrics.RootMeanSquaredError()(np.ones((3, 2)), np.ones((3, 4))),
            r"\(3, 2\).*\(3, 4",
        ),
        (lambda: metrics.SparseCategoricalAccuracy()(*HOT[0]), r"\(5, 4\).*class numbers"),
        (
            lambda: metrics.CategoricalAccuracy()(np.ones((3, 2)), np.ones((3, 4))),
            r"\(3, 2\).*\(3, 4",
        ),
        (
            lambda: metrics.Precision()(np.ones((3, 2)), np.ones((3, 4))),
            r"'precision.*\(3, 2\).*\(3, 4",
        ),
        (lambda: metrics.Precision(thresholds=1.5), "Threshold.*1.5"),
        (lambda: metrics.AUC(curve="F"), r"curve value: .F.*PRGAIN"),
        (lambda: metrics.AUC(num_labels=2), "num_labels.*multi_label"),
        (lambda: metrics.AUC(1), "num_thresholds.*1"),
        (lambda: metrics.AUC(thresholds=[0.5, 1.5]), "Threshold.*1.5"),
        (lambda: metrics.AUC(multi_label=True)(np.ones(3), np.ones(3)), r"multi_label.*\(3,\)"),
        (
            lambda: metrics.AUC(label_weights=[1.0, 2.0])(np.ones((3, 4)), np.ones((3, 4))),
            r"2 label_weights.*\(3, 4\)",
        ),
        (lambda: metrics.PrecisionAtRecall(1.5), "recall.*1.5"),
        (lambda: metrics.RecallAtPrecision(0.5, 0), "num_thresholds.*0"),
        (lambda: metrics.IoU(3, [3]), r"target_class_ids.*\[0, 3\).*3"),
        (lambda: metrics.MeanIoU(3)(np.ones(3), np.ones(4)), r"\(3,\).*\(4,\)"),
        (lambda: metrics.OneHotIoU(3, [0])(np.ones(3), np.ones(3)), r"y_true must .*\(3,\)"),
        (lambda: metrics.FBetaScore("mean"), "average.*=mean"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta.*0"),
        (lambda: metrics.FBetaScore(beta=1), "beta.*float.*1"),
        (lambda: metrics.F1Score(threshold=1.5), "threshold.*1.5"),
        (lambda: metrics.F1Score()(np.ones(3), np.ones(3)), r"2D.*\(3,\)"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation.*'mean'"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors.*-1"),
        (lambda: metrics.R2Score()(np.ones(3), np.ones(3)), r"R2Score.*\(3,\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dir_lists_metrics_only():
    assert not {"metric", "accuracy", "confusion", "registry", "Any"} & set(dir(metrics))
    assert {"Metric", "Mean", "mean_squared_error", "binary_accuracy", "get"} <= set(dir(metrics))
