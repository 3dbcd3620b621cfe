"""What Keras with TensorFlow gives for the files of a small directory, written to directories.json:

KERAS_BACKEND=tensorflow python tests/utils/directories.py
"""

import json
import pathlib
import struct
import sys
import tempfile
import wave
import zlib

import numpy as np

INTERPOLATIONS = [
    "bilinear",
    "nearest",
    "bicubic",
    "area",
    "lanczos3",
    "lanczos5",
    "gaussian",
    "mitchellcubic",
]
IMAGES = [
    {"interpolation": method, "image_size": size}
    for method in INTERPOLATIONS
    for size in ((3, 4), (9, 8))
] + [
    {"crop_to_aspect_ratio": True, "image_size": (4, 4)},
    {"pad_to_aspect_ratio": True, "image_size": (4, 4)},
    {"pad_to_aspect_ratio": True, "image_size": (12, 5), "interpolation": "nearest"},
    {"color_mode": "grayscale", "image_size": (3, 3)},
    {"color_mode": "rgba", "image_size": (3, 3), "data_format": "channels_first"},
]
PARTS = [
    {"seed": 1337, "validation_split": 0.2, "subset": "training"},
    {"seed": 1337, "validation_split": 0.2, "subset": "validation"},
    {"seed": 5, "label_mode": "categorical"},
    {"seed": 5, "class_names": ["b", "a"], "shuffle": False},
    {"labels": list(range(11)), "seed": 2},
    {"labels": list(range(11)), "seed": 2, "batch_size": 1},
]
SOUNDS = [{"output_sequence_length": 6}, {"output_sequence_length": None}]


def png(pixels):
    """A file of these pixels, made without Pillow, which TensorFlow does not bring."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def make(folder):
    """Files of two classes, one of them with a folder inside."""
    random, folder = np.random.RandomState(0), pathlib.Path(folder)
    for number in range(11):
        parent = folder / ("a", "b", "a/inner")[number % 3]
        parent.mkdir(parents=True, exist_ok=True)
        pixels = random.randint(0, 256, (6 + number % 3, 7, 3))
        (parent / f"{number}.png").write_bytes(png(pixels.astype("uint8")))
        (parent / f"{number}.txt").write_bytes(b"text %d\r\n\xc3\xa9" % number)
        with wave.open(str(parent / f"{number}.wav"), "wb") as sound:
            sound.setnchannels(2)
            sound.setsampwidth(2)
            sound.setframerate(1000)
            sound.writeframes(random.randint(-(2**15), 2**15, (4 + number, 2)).astype("<i2"))
    return folder


def found(utils, folder):
    """What the functions of `utils` give, as plain values."""
    folder = make(folder)

    def images(**arguments):
        return utils.image_dataset_from_directory(folder, verbose=False, **arguments)

    def listed(dataset):
        (batch,) = list(dataset)
        return [np.asarray(part).round(3).tolist() for part in batch]

    facts = {"images": [], "parts": [], "sounds": []}
    for arguments in IMAGES:
        image = np.asarray(next(iter(images(shuffle=False, labels=None, **arguments))))[0]
        plane = image[0] if "data_format" in arguments else image[:, :, 0]
        facts["images"].append([list(image.shape), plane.round(2).tolist()])
    for arguments in PARTS:
        dataset = images(image_size=(2, 2), **arguments)
        paths = [pathlib.Path(p).relative_to(folder).as_posix() for p in dataset.file_paths]
        labels = np.concatenate([np.asarray(y) for _, y in dataset])
        facts["parts"].append([paths, dataset.class_names, labels.tolist()])
    for arguments in SOUNDS:
        dataset = utils.audio_dataset_from_directory(
            folder, shuffle=False, batch_size=11, verbose=False, **arguments
        )
        facts["sounds"].append(listed(dataset))
    texts, labels = next(
        iter(
            utils.text_dataset_from_directory(
                folder, label_mode="binary", shuffle=False, max_length=9, verbose=False
            )
        )
    )
    facts["texts"] = [text.decode("latin1") for text in texts.numpy()]
    facts["labels"] = np.asarray(labels).tolist()
    windows = utils.timeseries_dataset_from_array(
        np.arange(20.0), np.arange(20), 4, 3, 2, 3, start_index=1, end_index=18
    )
    facts["windows"] = [[np.asarray(part).tolist() for part in batch] for batch in windows]
    return facts


if __name__ == "__main__":
    import keras

    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(__file__).with_suffix(".json")
        here.write_text(json.dumps(found(keras.utils, scratch), separators=(",", ":")) + "\n")
    sys.exit(0)
