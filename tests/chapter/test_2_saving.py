"""12.3.2: models with objects of one's own, saved and loaded."""

import copy
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import BATCH, FORMATS, THESE, THOSE, X, Y, assert_same, next_epoch, predictions
from .test_1_losses import HuberLoss, create_huber, huber_fn, make
from .test_3_functions import CUSTOM as FUNCTIONS
from .test_3_functions import make as make_functions
from .test_4_metrics import HuberMetric
from .test_5_layers import CUSTOM as LAYERS
from .test_5_layers import functional
from .test_6_models import CUSTOM as MODELS
from .test_6_models import ResidualBlock, ResidualRegressor

pytestmark = pytest.mark.slow

CUSTOM = {"HuberLoss": HuberLoss, "HuberMetric": HuberMetric, **FUNCTIONS, **LAYERS, **MODELS}


@pytest.mark.parametrize(
    "loss, custom_objects, formats",
    [
        (huber_fn, {"huber_fn": huber_fn}, THESE),
        (create_huber(2.0), {"huber_fn": create_huber(2.0)}, THOSE),
        (HuberLoss(2.0), {"HuberLoss": HuberLoss}, FORMATS),
    ],
    ids=["function", "closure", "class"],
)
def test_round_trip(round_trip, loss, custom_objects, formats):
    _, copies = round_trip(lambda: make(loss, ["mae"]), custom_objects, formats=formats)
    if isinstance(loss, HuberLoss):
        assert [again.loss.threshold for again in copies] == [2.0] * len(copies)


def test_a_closure_does_not_keep_its_threshold_and_a_class_does(tmp_path, data):
    x, y = data
    model = make(create_huber(2.0))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", {"huber_fn": create_huber(0.1)})
    assert again.evaluate(x, y, verbose=0) < 0.5 * model.evaluate(x, y, verbose=0)
    model.compile(loss=HuberLoss(2.0))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", {"HuberLoss": HuberLoss})
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_a_custom_object_that_is_not_given_is_named(tmp_path):
    model = make(HuberLoss(2.0))
    model.save(tmp_path / "m.keras")
    with pytest.raises(
        TypeError, match=r"m\.keras(.|\n)*custom_objects=\{'HuberLoss': HuberLoss\}"
    ):
        keras.saving.load_model(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras", compile=False).loss is None
    model = make(huber_fn)
    model.save(tmp_path / "f.keras")
    with pytest.raises(TypeError, match="'huber_fn'"):
        keras.saving.load_model(tmp_path / "f.keras")
    with keras.utils.custom_object_scope({"huber_fn": huber_fn}):
        assert keras.saving.load_model(tmp_path / "f.keras").loss is huber_fn


def test_registered_objects_need_no_custom_objects(round_trip):
    @keras.saving.register_keras_serializable(package="chapter")
    class RegisteredLoss(HuberLoss):
        pass

    @keras.saving.register_keras_serializable(package="chapter")
    def registered_softplus(z):
        return jnp.log(jnp.exp(z) + 1.0)

    def model():
        hidden = keras.layers.Dense(8, activation=registered_softplus)
        model = keras.Sequential([keras.layers.Input((8,)), hidden, keras.layers.Dense(1)])
        model.compile(loss=RegisteredLoss(2.0), optimizer="nadam")
        return model

    _, copies = round_trip(model)
    for again in copies:
        assert type(again.loss) is RegisteredLoss and again.loss.threshold == 2.0


@pytest.mark.parametrize("direction", ["from Keras", "to Keras"])
def test_files_go_to_keras_and_back(tmp_path, data, direction):
    import keras as oracle

    x, y = data[0], data[1][:, None]
    custom = {"huber_fn": create_huber(2.0)}
    writer, reader = (oracle, keras) if direction == "from Keras" else (keras, oracle)
    layers = writer.layers
    model = writer.Sequential(
        [layers.Input((8,)), layers.Dense(16, "elu", kernel_constraint="non_neg"), layers.Dense(1)]
    )
    model.compile(loss=custom["huber_fn"], optimizer="nadam", metrics=[custom["huber_fn"]])
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    again = reader.saving.load_model(tmp_path / "m.keras", custom_objects=custom)
    arguments = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    np.testing.assert_allclose(
        again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    ours, theirs = (m.fit(x, y, **arguments).history for m in (again, model))
    for name in ("loss", "huber_fn"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)


# -- one model with an object of each kind, through all that makes a model of a model -------------


def everything():
    model = functional()
    model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=[HuberMetric(2.0)])
    return model


def regressor():
    model = ResidualRegressor(1)
    model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=[HuberMetric(2.0)])
    return model


def functions():
    return make_functions({"activation": "elu", **_class_arguments()})


def _class_arguments():
    return {
        name: FUNCTIONS[f]
        for name, f in (
            ("kernel_regularizer", "my_l1_regularizer"),
            ("kernel_constraint", "my_positive_weights"),
        )
    }


@pytest.fixture(params=[everything, regressor, functions], scope="module")
def trained(request):
    keras.utils.set_random_seed(1)
    model = request.param()
    model.fit(X, Y, batch_size=BATCH, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"],
)
def test_copies_train_on_by_themselves(trained, copied, data):
    again, original = copied(trained), copied(trained)
    before = trained.get_weights()
    assert_same(again, original)
    for a, b in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not {id(v) for v in again.weights} & {id(v) for v in trained.weights}
    assert again.optimizer is not trained.optimizer
    assert next_epoch(again, *data) == next_epoch(original, *data)


def test_save_after_load(trained, tmp_path):
    original = copy.deepcopy(trained)
    original.save(tmp_path / "0.keras")
    again = keras.saving.load_model(tmp_path / "0.keras", CUSTOM)
    for i in (1, 2):
        again.save(tmp_path / f"{i}.keras")
        again = keras.saving.load_model(tmp_path / f"{i}.keras", CUSTOM)
    assert_same(again, original)


def test_a_model_of_the_architecture_only(trained, data):
    x, _ = data
    with keras.utils.custom_object_scope(CUSTOM):
        clones = [
            keras.models.clone_model(trained),
            type(trained).from_config(trained.get_config()),
            type(trained).from_config(json.loads(json.dumps(trained.get_config()))),
        ]
    assert type(clones[0].optimizer) is type(trained.optimizer)  # a clone is compiled, as in Keras
    assert clones[0].optimizer is not trained.optimizer
    assert not any(hasattr(clone, "optimizer") for clone in clones[1:])
    # The text has what compile() was told, too, as Keras's has.
    clones.append(keras.models.model_from_json(trained.to_json(), custom_objects=CUSTOM))
    assert type(clones[-1].optimizer) is type(trained.optimizer)
    for clone in clones:
        assert type(clone) is type(trained)
        clone(x[:2])
        assert not {id(v) for v in clone.weights} & {id(v) for v in trained.weights}
        assert any(
            (a != b).any() for a, b in zip(clone.get_weights(), trained.get_weights(), strict=True)
        )
        clone.set_weights(trained.get_weights())
        np.testing.assert_array_equal(predictions(clone, x)[0], predictions(trained, x)[0])


def test_model_from_json_without_a_custom_object_names_it():
    with pytest.raises(TypeError, match="'MyDense'"):
        keras.models.model_from_json(functional().to_json())


def test_weights_that_do_not_fit(tmp_path, data):
    x, _ = data
    model = ResidualRegressor(1)
    model(x)
    model.save_weights(tmp_path / "m.weights.h5")
    other = ResidualRegressor(2)
    other(x)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"(?s)\(30, 1\).*\(30, 2\)|\(30, 2\).*\(30, 1\)"):
        other.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match=r"vars/0.*\(30, 2\).*\(30, 1\)"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.hidden1.kernel.numpy(), model.hidden1.kernel.numpy())
    np.testing.assert_array_equal(other.out.kernel.numpy(), before[-2])


def test_weights_of_a_part_of_a_model(tmp_path, data):
    x, _ = data
    model = ResidualRegressor(1)
    model(x)
    block = ResidualBlock(2, 30)
    block(np.ones((1, 30)))
    block.set_weights(model.block1.get_weights())
    z = np.ones((2, 30), "float32")
    np.testing.assert_array_equal(block(z), model.block1(z))

    def with_body(units):
        body = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(5)], name="body")
        return keras.Sequential([keras.layers.Input((8,)), body, keras.layers.Dense(units)])

    one, two = with_body(1), with_body(3)
    one.layers[0].save_weights(tmp_path / "body.weights.h5")
    two.get_layer("body").load_weights(tmp_path / "body.weights.h5")
    np.testing.assert_array_equal(one.layers[0](x), two.layers[0](x))
    # A model over some of another's layers shares their weights.
    model = make("mse")
    lower = keras.Model(model.inputs, model.layers[0].output)
    lower.set_weights([np.zeros((8, 30)), np.ones(30)])
    assert model.layers[0].kernel.numpy().max() == 0.0
    lower.save_weights(tmp_path / "lower.weights.h5")
    model.layers[0].set_weights([np.ones((8, 30)), np.zeros(30)])
    lower.load_weights(tmp_path / "lower.weights.h5")
    np.testing.assert_array_equal(model.layers[0].bias.numpy(), np.ones(30))


def test_the_tree_of_a_copy_is_that_of_the_model(trained):
    again = pickle.loads(pickle.dumps(trained))
    one, two = jax.tree.structure(again), jax.tree.structure(trained)
    assert one == two


def test_pickles_hold_closures_and_lambdas(data):
    x, y = data

    def create_softplus(base):
        return lambda z: jnp.log(jnp.exp(z) + base)

    softplus = create_softplus(1.0)

    def create_regularizer(factor, inner=softplus):
        def regularizer(w):
            return factor * jnp.sum(inner(w))

        return regularizer

    activation = create_softplus(2.0)
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(4, activation, kernel_regularizer=create_regularizer(0.01)),
            keras.layers.Dense(4, activation),
            keras.layers.Lambda(lambda z: z * 2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss=create_huber(2.0), optimizer="nadam", metrics=[create_huber(0.5)])
    model.fit(x, y, verbose=0)
    again = pickle.loads(pickle.dumps(model))
    assert again.layers[0].activation is again.layers[1].activation is not activation
    assert_same(again, model)
