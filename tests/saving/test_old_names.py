"""Each name in a file means what it meant in the version of Keras that wrote the file."""

import json

import numpy as np
import pytest

import keraslike
from keraslike import activations, constraints, initializers, layers, models, regularizers
from keraslike.core import registry, serialization
from keraslike.saving import old_config, old_names
from keraslike.saving.old_names import Origin, origin_of

from . import keras2


def read(class_name, version, family="layers", **config):
    """The object of an entry in a file of some version."""
    entry = {"class_name": class_name, "config": config}
    return serialization.deserialize(old_config.modern(entry, family, origin_of(version)))


def optimizer(class_name, version, **config):
    entry = {"optimizer_config": {"class_name": class_name, "config": config}}
    found = old_config.compile_config(entry, origin_of(version))["optimizer"]
    return serialization.deserialize(found)


def test_which_keras_wrote_a_file():
    assert origin_of("1.2.2").is_standalone and origin_of("2.3.1").is_standalone
    for version in ("2.1.6-tf", "2.2.4-tf", "2.4.0", "2.15.0"):
        assert origin_of(version).is_old and not origin_of(version).is_standalone
    assert not origin_of("3.0.0").is_old and not origin_of(b"3.15.0").is_old
    assert origin_of("tfjs-layers v2").is_old and origin_of(None) == origin_of(7) == Origin()


# -- activations ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2.2", "2.1.6-tf", "2.3.1", "2.15.0", None, "3.0.0"])
def test_hard_sigmoid(version):
    today = activations.hard_sigmoid
    then = today if version == "3.0.0" else activations.keras2_hard_sigmoid
    assert read("Dense", version, units=2, activation="hard_sigmoid").activation is then
    assert read("Activation", version, activation="hard_sigmoid").activation is then
    lstm = read("LSTM", version, units=2, recurrent_activation="hard_sigmoid")
    assert lstm.cell.recurrent_activation is then
    wrapped = {"class_name": "GRU", "config": {"units": 2, "recurrent_activation": "hard_sigmoid"}}
    both = read("Bidirectional", version, layer=wrapped)
    assert both.backward_layer.cell.recurrent_activation is then
    function = {"class_name": "function", "config": "hard_sigmoid", "module": "builtins"}
    assert read("Dense", version, units=2, activation=function).activation is then


def test_hard_sigmoid_goes_through_new_files(tmp_path):
    text = {
        "class_name": "Sequential",
        "keras_version": "2.3.1",
        "config": {"name": "s", "layers": [DENSE]},
    }
    model = models.model_from_json(json.dumps(text))
    x = np.linspace(-4, 4, 9)[:, None].astype("float32")
    expected = np.clip(0.2 * x * model.get_weights()[0] + 0.5, 0, 1)
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
        again = keraslike.saving.load_model(tmp_path / f"m.{ending}")
        np.testing.assert_allclose(again.predict_on_batch(x), expected, rtol=1e-5, atol=1e-6)


DENSE = {
    "class_name": "Dense",
    "config": {"units": 3, "activation": "hard_sigmoid", "batch_input_shape": [None, 1]},
}


def test_the_user_s_own_hard_sigmoid_is_left_alone():
    def hard_sigmoid(x):
        return x

    with registry.custom_object_scope({"hard_sigmoid": hard_sigmoid}):
        assert read("Dense", "2.3.1", units=2, activation="hard_sigmoid").activation is hard_sigmoid


def test_arguments_of_activations():
    assert read("LeakyReLU", "2.15.0", alpha=0.3).negative_slope == pytest.approx(0.3)
    x = np.array([-1.0, 0.5, 1.0, 1.5], "float32")
    thresholded = read("ThresholdedReLU", "2.15.0", theta=1.0)
    assert np.asarray(thresholded(x)).tolist() == [0, 0, 0, 1.5]
    assert read("ELU", "1.2.2", alpha=0.5).alpha == 0.5


# -- defaults ---------------------------------------------------------------------------------


def test_defaults_of_what_a_file_lacks():
    assert not read("GRU", "2.1.0", units=2).reset_after
    assert not read("GRUCell", "2.1.0", units=2).reset_after
    assert read("GRU", "3.0.0", units=2).reset_after
    hard, soft = activations.keras2_hard_sigmoid, activations.sigmoid
    assert read("LSTM", "2.1.0", units=2).cell.recurrent_activation is hard
    assert read("LSTM", "2.15.0", units=2).cell.recurrent_activation is soft
    assert read("CuDNNLSTM", "2.1.0", units=2).cell.recurrent_activation is soft
    gru = read("CuDNNGRU", "2.1.0", units=2)
    assert gru.reset_after and gru.cell.recurrent_activation is soft
    assert optimizer("Adam", "1.2.2", lr=0.1).epsilon == 1e-8
    assert optimizer("Adam", "2.3.1", lr=0.1, epsilon=None).epsilon == 1e-7
    assert float(optimizer("Lion", "2.15.0").learning_rate) == pytest.approx(1e-4)


# -- initializers, regularizers, constraints --------------------------------------------------


def deviation(initializer):
    return float(np.std(np.asarray(initializer((200, 200)))))


def test_scales_of_initializers():
    def of_layer(version, initializer, argument="kernel_initializer"):
        return read("Dense", version, units=2, **{argument: initializer}).kernel_initializer

    old_normal = {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": 1}
    glorot = {"class_name": "VarianceScaling", "config": old_normal}
    wanted = np.sqrt(1 / 200)
    # Without a correction, a normal distribution cut off at two deviations has 0.88 of one.
    assert deviation(of_layer("2.1.6", glorot)) == pytest.approx(0.88 * wanted, rel=0.02)
    assert deviation(of_layer("2.1.6", "glorot_normal")) == pytest.approx(0.88 * wanted, rel=0.02)
    assert deviation(of_layer("2.2.4", glorot)) == pytest.approx(wanted, rel=0.02)
    assert deviation(of_layer("2.1.6-tf", glorot)) == pytest.approx(wanted, rel=0.02)
    first = of_layer("1.2.2", "he_normal", "init")
    assert deviation(first) == pytest.approx(np.sqrt(2) * wanted, rel=0.02)
    largest = np.abs(np.asarray(first((200, 200)))).max()
    assert largest > 3 * np.sqrt(2) * wanted  # nothing was cut off
    assert of_layer("1.2.2", "orthogonal", "init").gain == 1.1
    assert isinstance(of_layer("2.3.1", "orthogonal"), initializers.Orthogonal)
    one = {"class_name": "OrthogonalInitializer", "config": {"gain": 1.0, "dtype": "float32"}}
    assert of_layer("2.4.0", one).gain == 1.0


def test_regularizers_and_constraints_of_keras_1():
    dense = read(
        "Dense",
        "1.2.2",
        output_dim=2,
        W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5},
        b_regularizer={"name": "L1L2Regularizer", "l1": 0.25, "l2": 0.0},
        activity_regularizer={"name": "ActivityRegularizer", "l1": 0.1, "l2": 0.0},
        W_constraint={"name": "MaxNorm", "m": 3, "axis": 0},
        b_constraint={"name": "NonNeg"},
        input_dim=4,
        bias=False,
    )
    assert dense.kernel_regularizer == regularizers.L1L2(0.0, 0.5)
    assert dense.bias_regularizer == regularizers.L1L2(0.25, 0.0)
    assert dense.activity_regularizer == regularizers.L1L2(0.1, 0.0)
    assert dense.kernel_constraint == constraints.MaxNorm(3, 0)
    assert dense.bias_constraint == constraints.NonNeg()
    assert (dense.units, dense.use_bias) == (2, False)


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("Dropout", {"p": 0.25}, layers.Dropout(0.25)),
        ("GaussianNoise", {"sigma": 0.5}, layers.GaussianNoise(0.5)),
        ("SpatialDropout2D", {"p": 0.5, "dim_ordering": "tf"}, layers.SpatialDropout2D(0.5)),
        (
            "Convolution1D",
            {"nb_filter": 3, "filter_length": 2, "subsample_length": 2, "border_mode": "same"},
            layers.Conv1D(3, 2, 2, "same"),
        ),
        (
            "Convolution2D",
            {"nb_filter": 3, "nb_row": 2, "nb_col": 4, "subsample": [1, 2], "dim_ordering": "th"},
            layers.Conv2D(3, (2, 4), (1, 2), data_format="channels_first"),
        ),
        (
            "AtrousConvolution2D",
            {"nb_filter": 3, "nb_row": 2, "nb_col": 2, "atrous_rate": [2, 2], "bias": False},
            layers.Conv2D(3, 2, dilation_rate=2, use_bias=False),
        ),
        (
            "Convolution3D",
            {"nb_filter": 1, "kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3},
            layers.Conv3D(1, (1, 2, 3)),
        ),
        (
            "SeparableConvolution2D",
            {"nb_filter": 3, "nb_row": 2, "nb_col": 2, "init": "zero", "b_constraint": None},
            layers.SeparableConv2D(
                3, 2, depthwise_initializer="zeros", pointwise_initializer="zeros"
            ),
        ),
        (
            "MaxPooling1D",
            {"pool_length": 3, "stride": 2, "border_mode": "same"},
            layers.MaxPooling1D(3, 2, "same"),
        ),
        (
            "AveragePooling2D",
            {"pool_size": [2, 2], "strides": [1, 1], "border_mode": "valid", "dim_ordering": "th"},
            layers.AveragePooling2D(2, 1, data_format="channels_first"),
        ),
        ("UpSampling1D", {"length": 3}, layers.UpSampling1D(3)),
        ("Embedding", {"input_dim": 3, "output_dim": 2, "dropout": 0.0}, layers.Embedding(3, 2)),
        (
            "LSTM",
            {
                "output_dim": 2,
                "inner_init": "zero",
                "forget_bias_init": "zero",
                "inner_activation": "sigmoid",
                "dropout_W": 0.25,
                "dropout_U": 0.5,
                "consume_less": "gpu",
                "input_dim": 3,
                "input_length": None,
            },
            layers.LSTM(
                2,
                recurrent_initializer="zeros",
                unit_forget_bias=False,
                dropout=0.25,
                recurrent_dropout=0.5,
            ),
        ),
        (
            "BatchNormalization",
            {"mode": 0, "axis": 1, "epsilon": 1e-5, "momentum": 0.9},
            layers.BatchNormalization(1, 0.9, 1e-5),
        ),
        (
            "BatchNormalizationV1",
            {"axis": [3], "renorm": False, "fused": True, "virtual_batch_size": None},
            layers.BatchNormalization(3),
        ),
        ("Merge", {"mode": "concat", "concat_axis": 1}, layers.Concatenate(1)),
        ("Merge", {"mode": "dot", "dot_axes": [1, 2]}, layers.Dot([1, 2])),
        ("Merge", {"mode": "sum", "concat_axis": -1, "dot_axes": -1}, layers.Add()),
        (
            "Conv2DTranspose",
            {"filters": 2, "kernel_size": 2, "groups": 1},
            layers.Conv2DTranspose(2, 2),
        ),
        ("SimpleRNN", {"units": 2, "time_major": False, "implementation": 2}, layers.SimpleRNN(2)),
    ],
)
def test_arguments(class_name, config, expected):
    found = read(class_name, "1.2.2", **config)
    assert type(found) is type(expected)
    left_out = ("name", "kernel_initializer", "embeddings_initializer")
    found, wanted = ({**v.get_config(), **dict.fromkeys(left_out)} for v in (found, expected))
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(wanted))


@pytest.mark.parametrize(
    ("class_name", "config", "match"),
    [
        ("LSTM", {"units": 2, "time_major": True}, "LSTM 'x' was made with time_major=True"),
        ("BatchNormalization", {"renorm": True}, "renorm=True"),
        ("BatchNormalization", {"mode": 1}, "mode=1"),
        ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "groups": 2}, "groups=2"),
        ("Attention", {"causal": True}, "causal=True"),
        ("Embedding", {"input_dim": 2, "output_dim": 2, "dropout": 0.5}, "dropout=0.5"),
    ],
)
def test_arguments_that_cannot_be_left_out(class_name, config, match):
    with pytest.raises(ValueError, match=match):
        read(class_name, "2.3.1", name="x", **config)


def test_a_class_of_the_user_s_own_keeps_its_arguments():
    class Conv2DTranspose(keraslike.Layer):
        def __init__(self, groups, alpha, activation, **kwargs):
            super().__init__(**kwargs)
            self.given = (groups, alpha, activation)

    with registry.custom_object_scope({"Conv2DTranspose": Conv2DTranspose}):
        layer = read("Conv2DTranspose", "2.3.1", groups=3, alpha=0.5, activation="relu")
        assert layer.given == (3, 0.5, "relu")
        wrapped = {"class_name": "Conv2DTranspose", "config": {"groups": 1, "alpha": 2}}
        wrapped["config"]["activation"] = "hard_sigmoid"
        layer = read("TimeDistributed", "2.3.1", layer=wrapped).layer
        assert layer.given == (1, 2, activations.keras2_hard_sigmoid)


# -- optimizers and losses --------------------------------------------------------------------


def test_arguments_of_optimizers():
    rule = optimizer("SGD", "2.2.4", lr=0.5, decay=0.25, momentum=0.9, nesterov=True)
    rates = [float(rule._learning_rate(i)) for i in (0, 2)]
    np.testing.assert_allclose(rates, [0.5, 0.5 / 1.5], rtol=1e-6)
    assert (rule.momentum, rule.nesterov) == (0.9, True)
    assert optimizer("Nadam", "2.2.4", lr=0.5, schedule_decay=0.004).epsilon == 1e-7
    assert float(optimizer("Nadam", "2.4.0", learning_rate=1, decay=0.004).learning_rate) == 1
    # The package `keras` clipped the norm of all gradients together.
    assert optimizer("SGD", "2.2.4", lr=0.5, clipnorm=2.0).global_clipnorm == 2.0
    assert optimizer("SGD", "2.2.4-tf", learning_rate=0.5, decay=0.0, clipnorm=2.0).clipnorm == 2.0
    adagrad = optimizer("Adagrad", "2.2.4", lr=0.5, epsilon=1e-7, decay=0.0)
    assert adagrad.initial_accumulator_value == 0.0


def test_an_epsilon_that_had_another_place():
    with pytest.warns(UserWarning, match="added its epsilon, 0.001, to a root"):
        assert optimizer("RMSprop", "2.4.0", learning_rate=0.1, decay=0.0, epsilon=1e-3)
    rule = optimizer("RMSprop", "2.4.0", learning_rate=0.1, decay=0.0, epsilon=1e-7)
    assert rule.epsilon == pytest.approx(1e-14)
    rule = optimizer("RMSprop", "2.15.0", learning_rate=0.1, epsilon=1e-3, jit_compile=True)
    assert rule.epsilon == 1e-3  # of the newer family, which had it where it is today


@pytest.mark.parametrize("name", ["cosine_proximity", "kullback_leibler_divergence", "logcosh"])
def test_names_of_losses(name):
    training = {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1}}, "loss": name}
    found = old_config.compile_config(training, origin_of("2.2.4"))["loss"]
    assert keraslike.losses.get(found).__name__ == old_names.FUNCTIONS[name]


# -- TensorFlow's functions -------------------------------------------------------------------


def test_functions_that_have_no_op():
    config = keras2.record("models")["slices"]["json"]
    text = json.dumps(config)
    for new, match in (
        ("audio.decode_wav", "TensorFlow's 'audio.decode_wav', for which keraslike.ops has no"),
        ("cumsum", "with slice_spec="),
    ):
        with pytest.raises(ValueError, match=match):
            models.model_from_json(text.replace("__operators__.getitem", new))
    with pytest.raises(ValueError, match="is a ClassMethod: an operation of TensorFlow's"):
        models.model_from_json(text.replace("SlicingOpLambda", "ClassMethod"))
