"""Data sets of files and of arrays: what Keras with TensorFlow gives, and what is ours."""

import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

import keraslike
from keraslike import tf
from keraslike import utils as U
from keraslike.core import rng
from tests.utils import directories


def test_files_images_sounds_texts_and_windows_are_those_of_keras(tmp_path, monkeypatch):
    monkeypatch.setattr(rng, "chosen", None)  # the orders of a program without a global seed
    wanted = json.loads(pathlib.Path(directories.__file__).with_suffix(".json").read_text())
    found = directories.found(U, tmp_path)
    for arguments, (shape, values), (got_shape, got) in zip(
        directories.IMAGES, wanted.pop("images"), found.pop("images"), strict=True
    ):
        assert got_shape == shape, arguments
        np.testing.assert_allclose(got, values, atol=0.01, err_msg=str(arguments))
    assert found == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return directories.make(tmp_path_factory.mktemp("files"))


def test_both_parts_differ_from_epoch_to_epoch_in_training_only(folder):
    arguments = {"image_size": (2, 2), "batch_size": 4, "seed": 3, "verbose": False}
    train, valid = U.image_dataset_from_directory(
        folder, validation_split=0.3, subset="both", **arguments
    )
    assert (len(train), int(train.cardinality()), len(valid)) == (2, 2, 1)
    assert not set(train.file_paths) & set(valid.file_paths) and train.class_names == ["a", "b"]

    def epoch(dataset):
        return np.concatenate([x for x, _ in dataset.as_numpy_iterator()])

    assert (epoch(train) != epoch(train)).any() and (epoch(valid) == epoch(valid)).all()
    images, labels = next(iter(train))
    assert images.numpy().dtype == "float32" and type(images.numpy()) is np.ndarray
    assert labels.dtype == "int32" and train.element_spec[0].shape == (None, 2, 2, 3)
    same = U.image_dataset_from_directory(folder, format="grain", **arguments)
    assert (epoch(same) == epoch(same)).all()


def test_labels_that_are_fractions_stay_such(folder):
    given = [i / 2 for i in range(11)]
    data = U.image_dataset_from_directory(
        folder, given, image_size=(2, 2), shuffle=False, verbose=False
    )
    labels = next(iter(data))[1]
    assert labels.dtype == "float32" and labels.tolist() == given


def test_a_model_trains_on_files_and_on_what_they_are_mapped_to(folder):
    train, valid = U.image_dataset_from_directory(
        folder, image_size=(2, 2), validation_split=0.3, subset="both", seed=1, verbose=False
    )
    train = train.map(lambda x, y: (keraslike.ops.flip(x / 255, 2), y), num_parallel_calls=2)
    scale = keraslike.layers.Normalization()
    scale.adapt(train.map(lambda x, y: x))
    np.testing.assert_allclose(
        scale.mean.ravel(), np.mean([x for x, _ in train.unbatch()], (0, 1, 2)), rtol=1e-4
    )
    model = keraslike.Sequential([scale, keraslike.layers.Flatten(), keraslike.layers.Dense(2)])
    loss = keraslike.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    history = model.fit(train.cache().prefetch(1), validation_data=valid, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2 and np.isfinite(history.history["loss"]).all()
    assert model.predict(valid, verbose=0).shape == (len(valid.file_paths), 2)
    left, right = U.split_dataset(valid.unbatch().batch(2), 0.5)
    assert (len(left), [len(y) for _, y in right]) == (1, [1])


def test_a_broken_file_is_named_or_left_out(folder, tmp_path):
    directories.make(tmp_path)
    (tmp_path / "a" / "bad.png").write_bytes(b"no picture")
    arguments = {"image_size": (2, 2), "verbose": False}
    with pytest.raises(ValueError, match=r"a.bad\.png cannot be read"):
        list(U.image_dataset_from_directory(tmp_path, **arguments))
    dataset = U.image_dataset_from_directory(tmp_path, skip_broken=True, **arguments)
    with pytest.warns(UserWarning, match=r"bad\.png .* left out"):
        assert sum(len(y) for _, y in dataset) == 11
    assert int(dataset.cardinality()) == -2


def test_sounds_are_resampled_and_ragged(folder):
    at = {"shuffle": False, "labels": None, "verbose": False}
    (batch,) = U.audio_dataset_from_directory(folder, sampling_rate=2000, **at)
    (plain,) = U.audio_dataset_from_directory(folder, **at)
    assert batch.shape == (11, 2 * plain.shape[1], 2)
    (batch,) = U.audio_dataset_from_directory(folder, ragged=True, **at)
    lengths = [len(x) for x in U.audio_dataset_from_directory(folder, batch_size=None, **at)]
    assert batch.row_lengths().numpy().tolist() == lengths
    spec = U.audio_dataset_from_directory(folder, output_sequence_length=4, **at).element_spec
    assert spec.shape == (None, 4, None)  # of any number of channels, as in TensorFlow


def test_silence_and_sounds_with_more_channels_are_padded(tmp_path):
    for name, shape in (("0", (0, 1)), ("1", (2, 1)), ("2", (1, 2))):
        wavfile.write(tmp_path / f"{name}.wav", 1000, np.full(shape, 2**14, "int16"))
    (batch,) = U.audio_dataset_from_directory(tmp_path, labels=None, shuffle=False, verbose=False)
    nothing, half = [0.0, 0.0], [0.5, 0.0]
    assert batch.tolist() == [[nothing, nothing], [half, half], [[0.5, 0.5], nothing]]


@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
def test_of_16_bits_the_upper_8_are_taken(tmp_path, color_mode):
    pixels = np.array([[0x1234, 0xFFFF], [0, 0x80FF]], "uint16")
    Image.fromarray(pixels).save(tmp_path / "0.png")
    (batch,) = U.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(2, 2), color_mode=color_mode, verbose=False
    )
    assert batch[0, :, :, 0].tolist() == [[0x12, 0xFF], [0, 0x80]]


@pytest.mark.parametrize("color_mode, channels", [("grayscale", 1), ("rgb", 3), ("rgba", 3)])
def test_jpegs_have_the_values_of_tensorflow(tmp_path, color_mode, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "0.jpg")
    (batch,) = U.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(16, 24), color_mode=color_mode, verbose=False
    )
    wanted = tf.io.decode_jpeg(tf.io.read_file(str(tmp_path / "0.jpg")), channels).numpy()
    np.testing.assert_array_equal(batch[0, :, :, :channels], wanted)
    assert (batch[0, :, :, channels:] == 255).all()


@pytest.mark.parametrize("how", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
def test_the_nearest_pixels_keep_their_dtype(folder, how):
    arguments = {"image_size": (3, 4), "interpolation": "nearest", "verbose": False, **how}
    images, _ = next(iter(U.image_dataset_from_directory(folder, **arguments)))
    assert images.dtype == "uint8"
    images, _ = next(iter(U.image_dataset_from_directory(folder, format="grain", **arguments)))
    assert images.dtype == "float32"


def test_strings_come_with_format_grain(folder):
    (texts,) = U.text_dataset_from_directory(
        folder, labels=None, shuffle=False, max_length=8, format="grain", verbose=False
    )
    assert [type(t) for t in texts[:2]] == [str, str] and texts[1] == "text 3\né"


def test_what_is_found_is_told(folder, capsys):
    U.text_dataset_from_directory(folder, validation_split=0.2, subset="both", seed=1)
    assert capsys.readouterr().out.splitlines() == [
        "Found 11 files belonging to 2 classes.",
        "Using 9 files for training.",
        "Using 2 files for validation.",
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": "other"}, "`labels` argument should be"),
        ({"label_mode": "other"}, "`label_mode` argument must be"),
        ({"color_mode": "other"}, "`color_mode` must be one of"),
        ({"format": "other"}, "`format` should be"),
        ({"interpolation": "other"}, "`interpolation` should be one of"),
        ({"image_size": (1, 2, 3)}, "Invalid `image_size`"),
        ({"image_size": (0, 2)}, "`image_size` must be positive"),
        ({"labels": [0] * 11, "class_names": ["a"]}, "only pass `class_names` if"),
        ({"labels": None, "class_names": ["a"]}, "`class_names`"),
        ({"labels": [0]}, "lengths of `labels` to match"),
        ({"labels": ["a"] * 11}, "`labels` must be integers"),
        ({"labels": [0.5] * 11, "label_mode": "categorical"}, "`labels` must be integers"),
        ({"class_names": ["a", "c"]}, "`class_names` passed did not match"),
        ({"class_names": ["a"], "label_mode": "binary"}, "there must be exactly 2"),
        ({"validation_split": 2}, "`validation_split` must be between"),
        ({"validation_split": 0.2}, "together with `subset`"),
        ({"validation_split": 0.2, "subset": "other"}, "`subset` must be either"),
        ({"validation_split": 0.2, "subset": "both"}, "must provide a `seed`"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "Only one of"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
    ],
)
def test_wrong_arguments_are_named(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        U.image_dataset_from_directory(folder, verbose=False, **arguments)


def test_a_directory_without_files_is_refused(tmp_path):
    for kind in ("image", "text", "audio"):
        with pytest.raises(ValueError, match="found in directory"):
            getattr(U, f"{kind}_dataset_from_directory")(tmp_path, verbose=False)


def test_images_and_arrays():
    keras = pytest.importorskip("keras").utils
    x = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype("uint8")
    for shape in ((4, 6, 3), (4, 6, 4), (4, 6, 1)):
        values = np.random.default_rng(1).normal(size=shape)
        for arguments in ({}, {"scale": False, "dtype": "uint8"}):
            ours, theirs = (u.array_to_img(values, **arguments) for u in (U, keras))
            assert ours.mode == theirs.mode
            assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1
    assert U.array_to_img(np.full((2, 2, 1), 300), scale=False).mode == "I"
    first = U.img_to_array(U.array_to_img(x), data_format="channels_first")
    assert first.shape == (3, 4, 6) and first.dtype == "float32"
    file = io.BytesIO()
    U.save_img(file, x, file_format="png")
    for arguments in (
        {"target_size": (3, 2), "interpolation": "bicubic"},
        {"target_size": (5, 5), "keep_aspect_ratio": True},
        {"color_mode": "grayscale"},
        {"color_mode": "rgba", "target_size": (8, 8)},
    ):
        ours, theirs = (np.asarray(u.load_img(file, **arguments)) for u in (U, keras))
        assert (ours == theirs).all(), arguments
    for arguments in ({"color_mode": "cmyk"}, {"interpolation": "best", "target_size": (1, 1)}):
        with pytest.raises(ValueError):
            U.load_img(file, **arguments)
    resize = keraslike.preprocessing.image.smart_resize
    np.testing.assert_allclose(resize(x, (3, 3)), resize(x[:, 1:5], (3, 3)))
