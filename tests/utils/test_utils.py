"""The small helpers: numbers and errors as Keras's."""

import json
import pickle

import keras
import numpy as np
import pytest

import keraslike

U = keraslike.utils

RAGGED = [[1], [2, 3], [], [4, 5, 6, 7]]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"maxlen": 2},
        {"maxlen": 0},
        {"maxlen": 6, "padding": "post", "value": -1, "dtype": "float32"},
        {"maxlen": 2, "truncating": "post", "padding": "post"},
    ],
    ids=str,
)
def test_padded_sequences_are_those_of_keras(more):
    ours = keraslike.preprocessing.sequence.pad_sequences(RAGGED, **more)
    if more.get("maxlen") != 0:  # with which Keras fails
        wanted = keras.utils.pad_sequences(RAGGED, **more)
        np.testing.assert_array_equal(ours, wanted)
        assert ours.dtype == wanted.dtype
    assert ours.shape == (4, more.get("maxlen", 4))
    rows = [np.ones((n, 2)) for n in (3, 1)]
    np.testing.assert_array_equal(U.pad_sequences(rows), keras.utils.pad_sequences(rows))
    texts = [["a"], ["b", "c"]]
    padded = U.pad_sequences(texts, dtype=object, value="")
    assert padded.tolist() == [["", "a"], ["b", "c"]]


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda u: u.pad_sequences(3), "must be iterable"),
        (lambda u: u.pad_sequences([1, 2]), "must be a list of iterables"),
        (lambda u: u.pad_sequences([[1]], padding="left"), 'Padding type "left" not understood'),
        (lambda u: u.pad_sequences([[1]], maxlen=1, truncating="x"), 'Truncating type "x" not'),
        (lambda u: u.pad_sequences([[1]], value="a"), "is not compatible with"),
        (lambda u: u.pad_sequences([[[1, 2]], [[1]]]), "Shape of sample .* at position 1"),
        (lambda u: u.split_dataset([], 0.5), "empty list"),
        (lambda u: u.split_dataset(([1, 2], [1]), 0.5), "with different lengths"),
        (lambda u: u.split_dataset(np.ones(4)), "left_size or right_size must be given"),
        (lambda u: u.split_dataset(np.ones(4), 1.5), "`left_size` should be either"),
        (lambda u: u.split_dataset(np.ones(4), right_size=4), "`right_size` should be either"),
        (lambda u: u.split_dataset(np.ones(4), 2, 3), "The sum of `left_size` and `right_size`"),
        (lambda u: u.split_dataset(np.ones(4), 0.1), "parts would be empty: 0 and 4 of 4"),
        (lambda u: u.split_dataset(iter(()), 0.5), "empty dataset"),
        (lambda u: u.to_categorical([0, 3], 3), "between 0 and num_classes - 1 = 2"),
        (lambda u: u.get_source_inputs(3.0), "must be a KerasTensor"),
        (lambda u: u.legacy.serialize_keras_object(object()), "get_config"),
        (lambda u: u.legacy.deserialize_keras_object("none", {}), "Unknown object: 'none'"),
        (lambda u: u.legacy.deserialize_keras_object({"a": 1}), "Improper config format"),
        (lambda u: u.legacy.deserialize_keras_object(3), "Could not interpret"),
    ],
)
def test_errors_say_what_is_wrong(call, match):
    with pytest.raises(ValueError, match=match):
        call(U)


def test_configs():
    config = U.Config(rate=0.1)
    config.steps, config["name"] = 3, "a"
    assert dict(config) == config.as_dict() == {"rate": 0.1, "steps": 3, "name": "a"}
    assert json.loads(config.to_json()) == config.as_dict() and "steps" in config
    assert list(config) == ["name", "rate", "steps"] and config.get("none", 5) == 5
    del config["name"]
    config.update(seed=1)
    assert config.pop("seed") == 1 and len(config) == 2
    with pytest.raises(AttributeError, match="Unknown attribute: 'step'. Did you mean 'steps'"):
        str(config.step)
    with pytest.raises(AttributeError, match="'update' is an attribute of the class"):
        config.update = 3
    config.freeze()
    assert config.frozen and pickle.loads(pickle.dumps(config)).frozen
    for change in (
        lambda: config.update(rate=1),
        lambda: config.pop("rate"),
        lambda: setattr(config, "rate", 1),
    ):
        with pytest.raises(ValueError, match="Config is frozen"):
            change()
    config.unfreeze()
    config.rate = 1
    assert config.rate == 1 and repr(config) == "<Config {'rate': 1, 'steps': 3}>"


class Batches(keraslike.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        x = np.arange(4.0) + 4 * index
        return {"a": x[:, None], "b": (x, x)}, -x


class Mapped:  # as torch's data sets are
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return {"a": np.array([float(index)]), "b": (index, index)}, -float(index)


X = np.arange(12.0)


@pytest.mark.parametrize(
    "source",
    [
        Batches(),
        Mapped(),
        ({"a": X[i : i + 4, None], "b": (X[i : i + 4],) * 2} for i in (0, 4, 8)),
    ],
    ids=["PyDataset", "torch", "generator"],
)
def test_data_sets_are_split_by_samples(source):
    left, right = U.split_dataset(source, left_size=0.75, right_size=2)
    assert (len(left), right.cardinality()) == (9, 2)
    samples = [s[0] if isinstance(s, tuple) else s for s in right]
    assert [s["a"].tolist() for s in samples] == [[10.0], [11.0]]
    assert [float(s["b"][1]) for s in samples] == [10.0, 11.0]


def test_arrays_are_split_and_trained_on():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 1)).astype("float32")
    (left, right), again = (U.split_dataset([x, y], 0.8, shuffle=True, seed=1) for _ in range(2))
    assert [s[0] for s in left] == [s[0] for s in again[0]]
    rows = np.concatenate([np.stack([s[0] for s in part]) for part in (left, right)])
    assert sorted(rows.ravel()) == sorted(x.ravel()) and (rows != x).any()
    model = keraslike.Sequential([keraslike.Input((1,)), keraslike.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(left.batch(5), validation_data=right.batch(3), verbose=0, epochs=2)
    assert len(history.history["val_loss"]) == 2 and int(model.optimizer.iterations) == 8
    assert [len(b[0]) for b in left.batch(5, True)] == [5, 5, 5]
    assert len(left.batch(5)) == 4 and len(left.batch(5, drop_remainder=True)) == 3


def test_objects_in_the_form_of_keras_2_are_those_of_keras():
    ours = U.legacy.serialize_keras_object(keraslike.layers.Dense(3, kernel_regularizer="l2"))
    wanted = keras.utils.legacy.serialize_keras_object(
        keras.layers.Dense(3, kernel_regularizer="l2")
    )
    assert ours["class_name"] == wanted["class_name"] == "Dense"
    own = {"half": lambda x: x / 2}
    config = {"class_name": "Activation", "config": {"activation": "half", "name": "half"}}
    read = keraslike.legacy.saving.deserialize_keras_object
    layer = read(config, vars(keraslike.layers), own)
    assert layer.name == "half" and float(layer(np.float32(4.0))) == 2.0
    assert read(None) is None and read("half", {}, own) is own["half"]
    with U.CustomObjectScope(own):
        assert read("half") is own["half"]


def test_symbolic_tensors_and_batches_are_told_of():
    a, b = keraslike.Input((2,), name="a"), keraslike.Input((2,), name="b")
    c = keraslike.layers.Dense(2)(b)
    for _ in range(2000):  # deeper than Python's stack
        c = c + a
    assert [t.name for t in U.get_source_inputs(c)] == ["b", "a"]
    assert U.is_keras_tensor(c) and not U.is_keras_tensor(np.ones(2))
    for batch in [(1,), ([1],), (1, 2), (1, 2, 3)]:
        assert U.pack_x_y_sample_weight(*batch) == keras.utils.pack_x_y_sample_weight(*batch)
        assert U.unpack_x_y_sample_weight(U.pack_x_y_sample_weight(*batch))[0] == batch[0]
    assert U.standardize_dtype(np.float16) == "float16"

    class TensorFlows:
        name, as_numpy_dtype = "int64", np.int64

    assert U.standardize_dtype(TensorFlows()) == "int64"
    keraslike.layers.Dense(2)
    U.clear_session(free_memory=False)
    assert keraslike.layers.Dense(2).name == "dense"


def test_clear_session_sets_settings_back():
    settings = []
    for lib in (keraslike, keras):
        config = lib.config
        before = config.floatx(), config.epsilon()
        config.set_dtype_policy("mixed_bfloat16")
        config.disable_interactive_logging()
        config.disable_flash_attention()
        config.enable_unsafe_deserialization()
        lib.distribution.set_distribution(lib.distribution.DataParallel())
        lib.utils.clear_session()
        unsafe = getattr(config, "is_unsafe_deserialization_enabled", lambda: False)()
        assert not unsafe and before == (config.floatx(), config.epsilon())
        settings.append(
            (
                config.dtype_policy().name,
                config.is_interactive_logging_enabled(),
                config.is_flash_attention_enabled(),
                config.is_traceback_filtering_enabled(),
                lib.distribution.distribution(),
            )
        )
    assert settings[0] == settings[1] == ("float32", True, None, True, None)


def test_a_model_as_dot():
    inner = keraslike.Sequential(
        [keraslike.Input((4,)), keraslike.layers.Dense(4, name="in")], name="inner"
    )
    inputs = keraslike.Input((4,), name="x")
    outputs = keraslike.layers.Dense(1, name="out", activation="relu")(inner(inputs) + inputs)
    model = keraslike.Model(inputs, outputs)
    dot = U.model_to_dot(model, show_shapes=True, show_layer_activations=True, rankdir="LR")
    labels = [node.get_label() for node in dot.get_nodes() if node.get_label()]
    assert len(labels) == 4 and len(dot.get_edges()) == 4 and dot.get_rankdir() == "LR"
    (last,) = [label for label in labels if "out (Dense)" in label]
    assert "Activation: relu" in last and "(None, 1)" in last
    nested = U.model_to_dot(model, expand_nested=True)
    (cluster,) = nested.get_subgraphs()
    assert "inner" in cluster.get_label()
    assert any("in (Dense)" in (node.get_label() or "") for node in cluster.get_nodes())
    assert U.model_to_dot(model, subgraph=True).get_name().startswith("cluster")
