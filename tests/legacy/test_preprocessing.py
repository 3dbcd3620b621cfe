"""What `tf.keras` keeps of Keras 1 and 2, beside Keras's own."""

import random
import types

import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as k_image
from keras.src.legacy.preprocessing import sequence as k_sequence
from keras.src.legacy.preprocessing import text as k_text

from keraslike import losses, tf

ours = tf.keras.preprocessing
TEXTS = ["Be good, be kind!", "to be or not; to BE", ["To", "list", "or"], "x y z"]
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 8, 3)).astype("float32")
ROWS = np.arange(40.0).reshape(20, 2)


def same(a, b):
    """Whether two nested results are equal."""
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.allclose(a, b, atol=1e-4) if isinstance(a, np.ndarray) else a == b


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_words": 4, "oov_token": "?"},
        {"num_words": 3},
        {"char_level": True, "lower": False},
    ],
)
def test_a_tokenizer_is_keras_s(arguments):
    results = []
    for text in (k_text, ours.text):
        tokenizer = text.Tokenizer(**arguments)
        tokenizer.fit_on_texts(TEXTS)
        tokenizer = text.tokenizer_from_json(tokenizer.to_json())
        numbers = tokenizer.texts_to_sequences([*TEXTS, "new words be"])
        modes = ("binary", "count", "freq", "tfidf")
        matrices = [tokenizer.texts_to_matrix(TEXTS, mode) for mode in modes]
        texts = tokenizer.sequences_to_texts(numbers)
        hashed = text.hashing_trick(TEXTS[0], 30, "md5")
        results.append([numbers, texts, tokenizer.get_config(), *matrices, hashed])
    assert same(*results)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"sampling_rate": 2, "stride": 3, "reverse": True}, {"shuffle": True, "start_index": 3}],
)
def test_a_series_is_keras_s(arguments):
    results = []
    for sequence in (k_sequence, ours.sequence):
        np.random.seed(0)
        series = sequence.TimeseriesGenerator(ROWS, ROWS[:, 0], 4, batch_size=5, **arguments)
        results.append([series[i] for i in range(len(series))])
    assert same(*results)


def test_skipgrams_are_keras_s():
    results = []
    for sequence in (k_sequence, ours.sequence):
        random.seed(1)
        table = sequence.make_sampling_table(10, 0.1)
        more = sequence.skipgrams([1, 2, 0, 4, 5, 1], 10, 2, sampling_table=table, categorical=True)
        results.append([table, *sequence.skipgrams([1, 2, 0, 4], 10, 2, seed=3), *more])
    assert same(*results)


CHANGES = [
    {"rotation_range": 40, "horizontal_flip": True, "vertical_flip": True, "rescale": 1 / 255},
    {"width_shift_range": 0.3, "height_shift_range": [1, 2], "shear_range": 10, "zoom_range": 0.2},
    {"brightness_range": (0.5, 1.5), "channel_shift_range": 20.0, "fill_mode": "constant"},
    {"samplewise_std_normalization": True, "featurewise_std_normalization": True},
    {"zca_whitening": True, "featurewise_center": True},
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_images_are_keras_s(change):
    results = []
    for image in (k_image, ours.image):
        generator = image.ImageDataGenerator(**change, validation_split=0.25)
        generator.fit(IMAGES, augment=True, seed=2)
        more = {"batch_size": 3, "seed": 7, "subset": "training"}
        flow = generator.flow(IMAGES, np.arange(10) % 2, **more)
        results.append([flow[1], next(flow), next(flow), next(flow), next(flow), len(flow)])
    assert same(*results)


def test_weights_of_samples_are_those_of_the_subset():
    numbers = np.arange(10)  # Keras leaves the weights as they are: those of other images
    generator = ours.image.ImageDataGenerator(validation_split=0.25)
    options = {"subset": "training", "ignore_class_split": True, "sample_weight": numbers}
    _, labels, weights = generator.flow(IMAGES, numbers, **options)[0]
    assert sorted(labels) == list(range(2, 10)) and labels.tolist() == weights.tolist()


def test_functions_of_one_image_are_keras_s():
    results = []
    for image in (k_image, ours.image):
        np.random.seed(5)
        first = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
        last = np.moveaxis(IMAGES[0], 2, 0)
        results.append(
            [
                image.random_rotation(last, 30),
                image.random_shift(IMAGES[0], 0.2, 0.3, **first),
                image.random_shear(last, 20, fill_mode="wrap"),
                image.random_zoom(IMAGES[0], (0.5, 2.0), **first),
                image.random_channel_shift(last, 30),
                image.random_brightness(IMAGES[0], (0.2, 2.0)),
                image.apply_brightness_shift(IMAGES[0] - 100, 0.5, scale=False),
            ]
        )
    assert same(*results)


def test_files_in_folders_and_tables_are_read(tmp_path):
    for i, kind in enumerate(["cat", "dog", "cat", "dog", "cat"]):
        (tmp_path / kind).mkdir(exist_ok=True)
        ours.image.save_img(tmp_path / kind / f"{i}.png", IMAGES[i])
    for mode in ("categorical", "binary", "sparse", "input", None):
        arguments = {"target_size": (4, 5), "batch_size": 2, "class_mode": mode, "seed": 3}
        results = []
        for image in (k_image, ours.image):
            generator = image.ImageDataGenerator(horizontal_flip=True, validation_split=0.5)
            flow = generator.flow_from_directory(str(tmp_path), subset="training", **arguments)
            results.append([flow[0], flow[1], next(flow), flow.class_indices, list(flow.labels)])
        assert same(*results)
    names = ["cat/0.png", "dog/1.png", "cat/absent.png", "dog/3.png"]
    table = Table(filename=names, kind=["c", "d", "c", "d"], weight=[1.0, 2.0, 3.0, 4.0])
    generator = ours.image.ImageDataGenerator()
    arguments = {"y_col": "kind", "weight_col": "weight", "class_mode": "binary", "shuffle": False}
    with pytest.warns(UserWarning, match="1 invalid image filename"):
        flow = generator.flow_from_dataframe(table, tmp_path, target_size=(6, 8), **arguments)
    images, labels, weights = flow[0]
    assert np.allclose(images, np.round(IMAGES[[0, 1, 3]]), atol=255)
    assert (labels.tolist(), weights.tolist()) == ([0, 1, 1], [1, 2, 4])
    with pytest.raises(ValueError, match="there must be 2 classes"):
        generator.flow_from_dataframe(table, tmp_path, classes=["c"], **arguments)


class Table(dict):
    """What is used of a table of pandas."""

    @property
    def iloc(self):
        return Rows(self)

    def __init__(self, **columns):
        super().__init__({k: Column(np.array(v)) for k, v in columns.items()})


class Rows:
    def __init__(self, table):
        self.table = table

    def __getitem__(self, rows):
        return Table(**{name: column.values[rows] for name, column in self.table.items()})


class Column(types.SimpleNamespace):
    def __init__(self, values):
        super().__init__(values=values, tolist=values.tolist)

    def __iter__(self):
        return iter(self.values.tolist())


def test_old_names_are_those_of_tf_keras():
    assert tf.keras.losses.mse([1.0, 2.0], [1.0, 4.0]).numpy() == 2
    divergence = tf.keras.losses.kullback_leibler_divergence([1.0], [0.5])
    assert divergence.numpy() == pytest.approx(np.log(2))
    assert tf.keras.losses.Reduction.SUM == "sum" and "MAPE" in dir(tf.keras.metrics)
    assert not hasattr(losses, "mse")  # as in Keras
    layer = tf.keras.layers.ThresholdedReLU(theta=1.5)
    copy = tf.keras.layers.ThresholdedReLU.from_config(layer.get_config())
    assert copy(np.array([1.0, 2.0])).numpy().tolist() == [0, 2]


def test_a_model_learns_from_changed_images():
    flow = ours.image.ImageDataGenerator(rescale=1 / 255).flow(IMAGES, np.arange(10.0), 4)
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(flow, epochs=2, verbose=0).history["loss"]).all()
