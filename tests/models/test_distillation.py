"""A student learns from a teacher as in Keras, and is saved with it."""

import numpy as np
import pytest

import keraslike

X = np.random.RandomState(1).normal(size=(8, 4)).astype("float32")
Y = np.random.RandomState(2).randint(0, 2, 8)


def _net(k, units):
    inputs = k.Input((4,))
    x = k.layers.Dense(units, activation="relu", name="hidden")(inputs)
    x = k.layers.Dense(3, name="features")(x)
    model = k.Model(inputs, k.layers.Dense(2, name="logits")(x))
    random = np.random.RandomState(units)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def _distiller(k, weight=0.4):
    d = k.distillation
    losses = [
        d.LogitsDistillation(2.0, k.losses.KLDivergence()),
        d.FeatureDistillation("mae", "features", "features"),
        d.LogitsDistillation(1.5, "mse"),
    ]
    model = d.Distiller(_net(k, 5), _net(k, 3), losses, [0.5, 2.0, 0.3], weight)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.SGD(0.1), loss, ["accuracy"])
    return model


@pytest.mark.slow
def test_training_and_files_are_those_of_keras(tmp_path):
    keras = pytest.importorskip("keras")
    found = []
    for k in (keraslike, keras):
        model = _distiller(k)
        history = model.fit(
            X, Y, batch_size=4, shuffle=False, epochs=2, verbose=0, validation_data=(X, Y)
        ).history
        found.append((history, model.predict(X, verbose=0)))
        model.save(tmp_path / f"{k.__name__}.keras")
    (ours, predictions), (theirs, _) = found
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, err_msg=name)
    loaded = keraslike.saving.load_model(tmp_path / "keraslike.keras")
    assert loaded.compiled and loaded.distillation_losses[1].teacher_layer_name == "features"
    np.testing.assert_allclose(loaded.predict(X, verbose=0), predictions, rtol=1e-5)
    loaded.fit(X, Y, verbose=0)
    with pytest.warns(UserWarning, match="without its loss"):
        of_keras = keraslike.saving.load_model(tmp_path / "keras.keras")
    np.testing.assert_allclose(of_keras.predict(X, verbose=0), predictions, rtol=1e-4)


def test_divergence_is_of_probabilities_however_it_is_named():
    d = keraslike.distillation
    teacher, student = X[:, :2], X[:, 2:]
    values = [
        float(d.LogitsDistillation(3.0, loss).compute_loss(teacher, student))
        for loss in ("kl_divergence", keraslike.losses.KLDivergence())
    ]
    p, q = (np.exp(a / 3) / np.exp(a / 3).sum(1, keepdims=True) for a in (teacher, student))
    np.testing.assert_allclose(values, 9 * (p * np.log(p / q)).sum(1).mean(), rtol=1e-4)
    several = d.LogitsDistillation(1.0, {"a": "mse", "b": None})
    value = several.compute_loss({"a": teacher, "b": 1}, {"a": student, "b": 2})
    np.testing.assert_allclose(value, ((teacher - student) ** 2).mean(), rtol=1e-5)


def test_the_teacher_stays_and_sample_weights_count():
    model = _distiller(keraslike, weight=1.0)
    teacher = [w.copy() for w in model.teacher.get_weights()]
    student = model.student.get_weights()
    model.fit(X, Y, sample_weight=np.zeros(8), verbose=0)
    assert all((a == b).all() for a, b in zip(student, model.student.get_weights()))
    model.fit(X, Y, verbose=0)
    assert all((a == b).all() for a, b in zip(teacher, model.teacher.get_weights()))
    assert not any((a == b).all() for a, b in zip(student, model.student.get_weights()))
    assert not model.teacher.trainable


D = keraslike.distillation
REFUSED = [
    (lambda t, s: D.Distiller(t, X, D.LogitsDistillation()), "Student must be a Model"),
    (lambda t, s: D.Distiller(t, s, None), "distillation_losses must be"),
    (lambda t, s: D.Distiller(t, s, D.LogitsDistillation(), None, 2.0), "student_loss_weight"),
    (lambda t, s: D.Distiller(t, s, [D.LogitsDistillation()], [1, 2]), "Number of"),
    (lambda t, s: D.Distiller(t, s, D.FeatureDistillation("mse", "no")), "In teacher model"),
    (lambda t, s: D.Distiller(t, s, D.LogitsDistillation()).compile(), "'loss' cannot be"),
    (lambda t, s: D.LogitsDistillation(0.0), "temperature must be positive"),
    (lambda t, s: D.LogitsDistillation("a"), "temperature must be a number"),
    (lambda t, s: D.FeatureDistillation([None, None]), "at least one"),
    (
        lambda t, s: D.Distiller(
            t, keraslike.Sequential([keraslike.Input((5,)), keraslike.layers.Dense(2)]), []
        ),
        "input shapes are incompatible",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(_net(keraslike, 5), _net(keraslike, 3))


def test_a_loss_of_ones_own_must_be_a_scalar():
    class Rows(D.DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return keraslike.ops.abs(teacher_outputs - student_outputs)

    model = D.Distiller(_net(keraslike, 5), _net(keraslike, 3), Rows())
    with pytest.raises(ValueError, match="non-scalar"):
        model.compute_loss(X, None)
