"""Losses: values, gradients and configs are Keras's; shapes that do not fit are named."""

import inspect
import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import losses
from keraslike.core import context, serialization

rng = np.random.default_rng(0)
REAL = (rng.normal(size=(6, 4)).astype("float32"), rng.normal(size=(6, 4)).astype("float32"))
POSITIVE = tuple(np.abs(y) + 0.1 for y in REAL)
SIGNS = (np.where(REAL[0] > 0, 1.0, -1.0).astype("float32"), REAL[1])
ZERO_ONE = ((REAL[0] > 0).astype("float32"), rng.uniform(0.01, 0.99, (6, 4)).astype("float32"))
LOGITS = (ZERO_ONE[0], 3 * REAL[1])
ONE_HOT = (np.eye(4, dtype="float32")[[0, 1, 2, 3, 1, 0]], ZERO_ONE[1])
HOT_LOGITS = (ONE_HOT[0], 3 * REAL[1])
NUMBERS = (np.array([0, 1, 2, 3, 1, 0], "int32"), ZERO_ONE[1])
LABELS = (np.array([[1, 2, 0], [3, 3, 1], [0, 0, 0], [1, 0, 0], [1, 1, 0], [3, 2, 1]], "int32"),)
LABELS += (rng.normal(size=(6, 7, 4)).astype("float32"),)
EMBEDDED = (NUMBERS[0], REAL[1] / np.linalg.norm(REAL[1], axis=1, keepdims=True))
COLUMN = (NUMBERS[0][:, None], 3 * REAL[1])

CASES = [
    ("MeanSquaredError", "mean_squared_error", REAL, {}),
    ("MeanAbsoluteError", "mean_absolute_error", REAL, {}),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", REAL, {}),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", POSITIVE, {}),
    ("Huber", "huber", REAL, {}),
    ("Huber", "huber", REAL, {"delta": 0.4}),
    ("LogCosh", "log_cosh", REAL, {}),
    ("CosineSimilarity", "cosine_similarity", REAL, {}),
    ("CosineSimilarity", "cosine_similarity", REAL, {"axis": 0}),
    ("Hinge", "hinge", SIGNS, {}),
    ("Hinge", "hinge", ZERO_ONE, {}),
    ("SquaredHinge", "squared_hinge", SIGNS, {}),
    ("CategoricalHinge", "categorical_hinge", ONE_HOT, {}),
    ("KLDivergence", "kl_divergence", ONE_HOT, {}),
    ("Poisson", "poisson", POSITIVE, {}),
    ("BinaryCrossentropy", "binary_crossentropy", ZERO_ONE, {}),
    ("BinaryCrossentropy", "binary_crossentropy", ZERO_ONE, {"label_smoothing": 0.2}),
    ("BinaryCrossentropy", "binary_crossentropy", LOGITS, {"from_logits": True}),
    ("BinaryFocalCrossentropy", "binary_focal_crossentropy", ZERO_ONE, {}),
    (
        *("BinaryFocalCrossentropy", "binary_focal_crossentropy", LOGITS),
        {"from_logits": True, "apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5},
    ),
    ("CategoricalCrossentropy", "categorical_crossentropy", ONE_HOT, {}),
    ("CategoricalCrossentropy", "categorical_crossentropy", ONE_HOT, {"label_smoothing": 0.2}),
    ("CategoricalCrossentropy", "categorical_crossentropy", HOT_LOGITS, {"from_logits": True}),
    ("CategoricalFocalCrossentropy", "categorical_focal_crossentropy", ONE_HOT, {}),
    (
        *("CategoricalFocalCrossentropy", "categorical_focal_crossentropy", HOT_LOGITS),
        {"from_logits": True, "alpha": 0.5},
    ),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", NUMBERS, {}),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        NUMBERS,
        {"ignore_class": 1},
    ),
    (
        *("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", COLUMN),
        {"from_logits": True},
    ),
    ("CTC", "ctc", LABELS, {}),
    ("Circle", "circle", EMBEDDED, {}),
    ("Circle", "circle", EMBEDDED, {"remove_diagonal": False, "gamma": 2.0, "margin": 0.25}),
    (
        *("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy"),
        *(NUMBERS, {"q": 0.7}),
    ),
    ("Dice", "dice", ZERO_ONE, {}),
    ("Dice", "dice", ZERO_ONE, {"axis": (-1,)}),
    ("Tversky", "tversky", ZERO_ONE, {"alpha": 0.3, "beta": 0.7}),
]
WEIGHTS = np.array([0.5, 1.0, 0.0, 2.0, 1.0, 3.0], "float32")


@pytest.mark.slow
@pytest.mark.parametrize("cls, function, data, arguments", CASES)
def test_functions_are_keras_s(cls, function, data, arguments):
    y_true, y_pred = data
    ours, theirs = getattr(losses, function), getattr(keras.losses, function)
    np.testing.assert_allclose(
        ours(y_true, y_pred, **arguments),
        jax.jit(lambda *data: theirs(*data, **arguments))(y_true, y_pred),
        rtol=2e-6,
        atol=1e-6,
    )

    def slopes(y_true, y_pred):
        return [
            jax.grad(lambda p, f=f: jnp.sum(f(y_true, p, **arguments)))(y_pred)
            for f in (ours, theirs)
        ]

    np.testing.assert_allclose(*jax.jit(slopes)(y_true, y_pred), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls, function, data, arguments", CASES)
def test_classes_are_keras_s(cls, function, data, arguments):
    y_true, y_pred = data
    for reduction in (
        "sum_over_batch_size",
        "sum",
        "mean",
        "mean_with_sample_weight",
        "none",
        None,
    ):
        ours = getattr(losses, cls)(**arguments, reduction=reduction)
        theirs = getattr(keras.losses, cls)(**arguments, reduction=reduction)
        for weights in (None, WEIGHTS, WEIGHTS[:, None], 2.0):
            if weights is not None and arguments.get("axis") == 0:
                continue  # along axis 0 there are no samples left to weigh
            np.testing.assert_allclose(
                ours(y_true, y_pred, sample_weight=weights),
                theirs(y_true, y_pred, sample_weight=weights),
                **{"rtol": 2e-6, "atol": 2e-6},
            )


@pytest.mark.parametrize("cls, function, data, arguments", CASES)
def test_configs(cls, function, data, arguments):
    kind, theirs = getattr(losses, cls), getattr(keras.losses, cls)
    assert kind().get_config().keys() == theirs().get_config().keys()
    assert losses.serialize(kind())["module"] == "keras.losses"
    ours = kind(**arguments, reduction="sum", name="mine")
    config = ours.get_config()
    # What Keras writes is the same; what it leaves out (a Huber's delta) is kept.
    expected = keras.losses.serialize(theirs(**arguments, reduction="sum", name="mine"))["config"]
    found = [{k: config[k] for k in expected}, expected]
    assert json.dumps(found[0]) == json.dumps(found[1])
    again = losses.deserialize(losses.serialize(ours))
    assert json.dumps(again.get_config()) == json.dumps(config)  # a tuple may be a list there
    np.testing.assert_allclose(again(*data), ours(*data))
    np.testing.assert_allclose(theirs.from_config(config)(*data), ours(*data), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("cls", [c for c in losses.__all__ if c[0].isupper()])
def test_signatures_are_keras_s(cls):
    ours = inspect.signature(getattr(losses, cls)).parameters
    theirs = getattr(keras.losses, cls, None) or type(keras.losses.MeanSquaredError()).__mro__[1]
    theirs = inspect.signature(theirs).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("function", sorted({c[1] for c in CASES}))
def test_function_signatures_are_keras_s(function):
    ours = inspect.signature(getattr(losses, function)).parameters
    theirs = inspect.signature(getattr(keras.losses, function)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


NAMES = ("mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "bce", "BCE", "kld", "KLD")


@pytest.mark.parametrize("name", [*NAMES, "huber", "Huber", "log_cosh", "mean_squared_error"])
def test_names(name):
    ours, theirs = losses.get(name), keras.losses.get(name)
    assert getattr(ours, "__name__", type(ours)) == getattr(theirs, "__name__", type(ours))


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(
        ValueError,
        match="Could not interpret loss identifier: 'mean_square_error'. Did you mean.*mean_squ",
    ):
        losses.get("mean_square_error")


# -- extremes ---------------------------------------------------------------------------------


def test_certain_predictions_stay_finite():
    for p in (0.0, 1.0):
        for name in ("binary_crossentropy", "binary_focal_crossentropy"):
            f, k = getattr(losses, name), getattr(keras.losses, name)
            y_true, y_pred = jnp.array([[1.0, 0.0]]), jnp.full((1, 2), p)
            np.testing.assert_allclose(f(y_true, y_pred), k(y_true, y_pred), rtol=1e-6)
    y_pred = jnp.array([[0.0, 1.0]])
    assert np.isfinite(losses.categorical_crossentropy(jnp.array([[1.0, 0.0]]), y_pred)).all()
    assert np.isfinite(losses.sparse_categorical_crossentropy(jnp.array([0]), y_pred)).all()
    assert float(losses.log_cosh([[0.0]], [[1000.0]])[0]) == pytest.approx(1000 - np.log(2))
    assert float(losses.binary_crossentropy([[1.0]], [[-1000.0]], from_logits=True)[0]) == 1000.0


def test_the_gradient_of_the_cosine_is_finite_at_zero():
    grad = jax.grad(lambda p: losses.cosine_similarity(jnp.ones((1, 3)), p)[0])(jnp.zeros((1, 3)))
    assert np.isfinite(grad).all()


def test_gradients_agree_with_finite_differences():
    y_true, y_pred = map(np.float64, REAL)
    step = 1e-3
    for name in ("huber", "log_cosh", "mean_squared_error", "mean_absolute_percentage_error"):
        loss = getattr(losses, name)
        grad = jax.grad(lambda p, f=loss: f(y_true, p).sum())(jnp.float32(y_pred))
        moved = np.zeros_like(y_pred)
        moved[2, 1] = step
        up, down = (float(loss(y_true, y_pred + s * moved).sum()) for s in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(float(grad[2, 1]), rel=0.02, abs=0.01)


# -- the base ---------------------------------------------------------------------------------


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    return jnp.where(jnp.abs(error) < 1, jnp.square(error) / 2, jnp.abs(error) - 0.5)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        linear = threshold * jnp.abs(error) - threshold**2 / 2
        return jnp.where(jnp.abs(error) < threshold, jnp.square(error) / 2, linear)

    return huber_fn


class HuberLoss(losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class PlainHuber(losses.Loss):
    """As HuberLoss, its config left to the base."""

    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, y_true, y_pred):
        return create_huber(self.threshold)(y_true, y_pred)


@pytest.mark.parametrize("cls", [HuberLoss, PlainHuber])
def test_an_own_loss(cls):
    loss = cls(2.0, reduction="sum", name="h")
    expected = keras.losses.Huber(2.0, reduction="sum")
    np.testing.assert_allclose(loss(*REAL), 4 * expected(*REAL), rtol=1e-5)
    assert loss.get_config() == {"threshold": 2.0, "reduction": "sum", "name": "h"}
    again = losses.deserialize(losses.serialize(loss), custom_objects={cls.__name__: cls})
    assert again.threshold == 2.0
    np.testing.assert_allclose(again(*REAL), loss(*REAL))
    with pytest.raises(TypeError, match=rf"custom_objects=.*{cls.__name__}"):
        losses.deserialize(losses.serialize(loss))


def test_an_own_function():
    wrapped = losses.LossFunctionWrapper(huber_fn, name="huber_fn")
    np.testing.assert_allclose(wrapped(*REAL), keras.losses.Huber()(*REAL), rtol=1e-5)
    weighted = float(wrapped(*REAL, sample_weight=WEIGHTS))
    assert weighted == pytest.approx(
        float(keras.losses.Huber()(*REAL, sample_weight=WEIGHTS)), 1e-5
    )
    config = losses.serialize(wrapped)
    again = serialization.deserialize(config, custom_objects={"huber_fn": create_huber(1.0)})
    np.testing.assert_allclose(again(*REAL), wrapped(*REAL))


def test_a_wrapper_passes_its_arguments_on_and_saves_them():
    wrapped = losses.LossFunctionWrapper(losses.huber, delta=0.4)
    np.testing.assert_allclose(wrapped(*REAL), losses.Huber(0.4)(*REAL))
    config = wrapped.get_config()
    assert config["delta"] == 0.4
    again = losses.LossFunctionWrapper.from_config(config)
    np.testing.assert_allclose(again(*REAL), wrapped(*REAL))


def test_a_column_and_a_vector_are_the_same():
    y_true, y_pred = REAL[0][:, 0], REAL[1][:, :1]
    for wrapped in (losses.MeanSquaredError(), losses.LossFunctionWrapper(huber_fn)):
        flat = float(wrapped(y_true[:, None], y_pred))
        assert float(wrapped(y_true, y_pred)) == flat
        assert float(wrapped(y_true[:, None], y_pred[:, 0])) == flat
    assert losses.mean_squared_error(y_true, y_pred).shape == (6,)


def test_masks_are_keras_s():
    y_true, y_pred = (rng.normal(size=(3, 5, 2)).astype("float32") for _ in range(2))
    mask = np.arange(5)[None] < np.array([[5], [2], [3]])
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight", None):
        for weights in (None, WEIGHTS[:3], mask * 0.5):
            ours, theirs = jnp.asarray(y_pred), jnp.asarray(y_pred)
            context.set_mask(ours, jnp.asarray(mask))
            theirs._keras_mask = jnp.asarray(mask)
            if weights is not None and weights.ndim == 1:
                # Keras cannot broadcast these; each of them stands for all steps of a sample.
                spread = np.broadcast_to(weights[:, None], (3, 5))
            else:
                spread = weights
            expected = keras.losses.MeanSquaredError(reduction=reduction)(y_true, theirs, spread)
            got = losses.MeanSquaredError(reduction=reduction)(y_true, ours, weights)
            np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_an_ignored_class_leaves_the_mean():
    kept = NUMBERS[0] != 1
    loss = losses.SparseCategoricalCrossentropy(ignore_class=1)
    rest = losses.SparseCategoricalCrossentropy()(NUMBERS[0][kept], NUMBERS[1][kept])
    np.testing.assert_allclose(loss(*NUMBERS), rest, rtol=1e-6)


def test_classes_along_another_axis():
    y_pred = rng.uniform(0.1, 0.9, (2, 4, 3)).astype("float32")
    y_true = np.array([[0, 3, 1], [2, 2, 0]])
    ours = losses.sparse_categorical_crossentropy(y_true, y_pred, axis=1)
    last = losses.sparse_categorical_crossentropy(y_true, np.moveaxis(y_pred, 1, -1))
    np.testing.assert_allclose(ours, last, rtol=1e-6)
    hot = np.moveaxis(np.eye(4)[y_true], -1, 1)
    np.testing.assert_allclose(
        ours, losses.categorical_crossentropy(hot, y_pred, axis=1), rtol=1e-5
    )


def test_weights_of_samples_spread_over_their_values():
    loss = losses.LossFunctionWrapper(lambda a, b: (a - b) ** 2, reduction="sum")
    y_true, y_pred = REAL[0][:4], REAL[1][:4]  # as many samples as values: nothing to guess
    expected = (((y_true - y_pred) ** 2) * WEIGHTS[:4, None]).sum()
    assert float(loss(y_true, y_pred, WEIGHTS[:4])) == pytest.approx(float(expected), rel=1e-5)


def test_dtypes():
    assert losses.MeanSquaredError()(REAL[0].astype("float64"), REAL[1]).dtype == "float32"
    assert losses.MeanSquaredError(dtype="float16")(*REAL).dtype == "float16"
    assert losses.MeanSquaredError(dtype="float16").get_config()["dtype"]
    half = losses.MeanSquaredError(dtype="mixed_bfloat16")
    assert half(*REAL).dtype == "bfloat16"
    assert losses.deserialize(losses.serialize(half)).dtype == "bfloat16"
    integers = losses.MeanSquaredError()(np.array([[1]]), np.array([[3]]))
    assert float(integers) == 4.0


def test_under_jit_a_loss_is_the_same():
    loss = HuberLoss(2.0)
    np.testing.assert_allclose(jax.jit(lambda a, b: loss(a, b))(*REAL), loss(*REAL), rtol=1e-6)
    assert jax.tree.leaves(loss) == []  # no state, so no arrays
    np.testing.assert_allclose(
        jax.jit(lambda m, a, b: m(a, b))(loss, *REAL), loss(*REAL), rtol=1e-6
    )


def test_an_empty_batch_costs_nothing():
    assert np.isfinite(losses.MeanSquaredError()(np.zeros((0, 2)), np.zeros((0, 2)))).all()


# -- errors -----------------------------------------------------------------------------------


def test_shapes_that_cannot_match_are_named():
    for function in sorted({c[1] for c in CASES}):
        more = {"q": 0.5} if "generalized" in function else {}
        with pytest.raises(ValueError, match=rf"{function}.*\(6, 3\).*\(6, 4\)"):
            getattr(losses, function)(np.ones((6, 3)), np.ones((6, 4)), **more)
    with pytest.raises(ValueError, match="one-hot.*sparse_categorical_crossentropy"):
        losses.CategoricalCrossentropy()(*NUMBERS)
    with pytest.raises(ValueError, match="class numbers.*use categorical_crossentropy"):
        losses.SparseCategoricalCrossentropy()(*ONE_HOT)


def test_a_loss_of_the_wrong_shape_is_told_what_was_expected():
    class Columns(losses.Loss):
        def call(self, y_true, y_pred):
            return jnp.mean(jnp.square(y_true - y_pred), axis=0)

    with pytest.raises(ValueError, match=r"'columns'.*\(4,\).*\(6, 4\).*first axis of size 6"):
        jax.jit(Columns(name="columns"))(*REAL)
    row = losses.LossFunctionWrapper(lambda a, b: jnp.square(a - b)[None])  # a value per element
    assert float(row(*REAL)) == pytest.approx(float(losses.MeanSquaredError()(*REAL)))
    scalar = losses.LossFunctionWrapper(lambda a, b: jnp.mean(jnp.square(a - b)))
    assert float(scalar(*REAL)) == pytest.approx(float(losses.MeanSquaredError()(*REAL)))


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5])
def test_q_is_between_0_and_1(q):
    with pytest.raises(ValueError, match=rf"q must be in the interval.*q={q}"):
        losses.CategoricalGeneralizedCrossEntropy(q)


def test_class_numbers_may_be_a_column():
    loss = losses.CategoricalGeneralizedCrossEntropy(reduction=None)
    column = loss(NUMBERS[0][:, None], NUMBERS[1])  # Keras gives (6, 6) there
    np.testing.assert_allclose(column, loss(*NUMBERS))


def test_references_of_the_circle_loss():
    labels, embedded = EMBEDDED
    more = {"ref_labels": labels[:3], "ref_embeddings": embedded[:3], "remove_diagonal": False}
    np.testing.assert_allclose(
        *(k.circle(labels, embedded, **more) for k in (losses, keras.losses)), rtol=1e-5
    )


def test_weights_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"sample_weight of shape \(5,\).*\(6,\)"):
        losses.MeanSquaredError()(*REAL, sample_weight=np.ones(5))


def test_other_errors():
    with pytest.raises(ValueError, match="reduction.*'average'"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ValueError, match="axis.*True"):
        losses.categorical_crossentropy(*ONE_HOT, axis=True)
    with pytest.raises(NotImplementedError, match="Bare has no call"):
        type("Bare", (losses.Loss,), {})()(*REAL)
    with pytest.warns(SyntaxWarning, match="have only one class"):
        losses.CategoricalCrossentropy()(np.ones((3, 1)), np.ones((3, 1)))


def test_names_are_automatic_and_equal_in_trees():
    one, two = HuberLoss(), HuberLoss()
    assert one.name.startswith("huber_loss")
    assert one.name != two.name
    assert jax.tree.structure(one) == jax.tree.structure(two) != jax.tree.structure(HuberLoss(3.0))


def test_dir_lists_losses_only():
    assert not {"loss", "margin", "regression", "registry", "Any"} & set(dir(losses))
    assert {"Loss", "Huber", "mean_squared_error", "get"} <= set(dir(losses))


def test_keras_reads_the_names_of_functions_and_we_read_keras_s():
    for name in ("mean_squared_error", "huber", "binary_crossentropy", "categorical_hinge"):
        ours, theirs = getattr(losses, name), getattr(keras.losses, name)
        assert losses.serialize(ours) == keras.losses.serialize(theirs)
        assert keras.losses.deserialize(losses.serialize(ours)) is theirs
        # ... which is the same where no family is named, and ops of that name are there, too.
        assert serialization.deserialize(keras.saving.serialize_keras_object(theirs)) is ours
