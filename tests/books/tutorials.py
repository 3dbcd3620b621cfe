"""Stand-ins for what TensorFlow's tutorials download: files, models of TensorFlow Hub, packages."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import types
import wave
import zipfile
from typing import Any

import numpy as np

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
COMMANDS = ("down", "go", "left", "no", "right", "stop", "up", "yes")
WEATHER = [
    "p (mbar)",
    "T (degC)",
    "Tpot (K)",
    "Tdew (degC)",
    "rh (%)",
    "VPmax (mbar)",
    "VPact (mbar)",
    "VPdef (mbar)",
    "sh (g/kg)",
    "H2OC (mmol/mol)",
    "rho (g/m**3)",
    "wv (m/s)",
    "max. wv (m/s)",
    "wd (deg)",
]
PETS = {
    "Type": ("Cat", "Dog"),
    "Breed1": ("Tabby", "Mixed Breed", "Terrier"),
    "Gender": ("Male", "Female"),
    "Color1": ("Black", "White", "Brown"),
    "Color2": ("No Color", "White"),
    "MaturitySize": ("Small", "Medium", "Large"),
    "FurLength": ("Short", "Medium", "Long"),
    "Vaccinated": ("No", "Yes", "Not Sure"),
    "Sterilized": ("No", "Yes"),
    "Health": ("Healthy", "Minor Injury"),
}
SENTENCES = 300  # of the pairs of a translator
# Changes of the source of a notebook: loops that take few batches, small sizes, packages of which
# a notebook needs one function, and names that the current Keras no longer has.
FEW = (r"(for .+ in (?:tqdm\.tqdm\()?)(train_dataset|test_dataset|dataset|ds|train_ds)(\)?:)",)
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "dcgan": (
        (*FEW, r"\1\2.take(2)\3"),
        ("EPOCHS = 50", "EPOCHS = 15"),
        ("BATCH_SIZE = 256", "BATCH_SIZE = 8"),
    ),
    "cvae": (
        (*FEW, r"\1\2.take(3)\3"),
        ("import tensorflow_probability as tfp", "from tutorials import tfp"),
        (r"latent_images\(model, 20", "latent_images(model, 4"),
    ),
    "cyclegan": (
        ("EPOCHS = 10", "EPOCHS = 1"),
        (r"_horses, train_zebras\)\)", "_horses, train_zebras)).take(1)"),
        (r"take\(5\)", "take(1)"),
    ),
    "pix2pix": (("steps=40000", "steps=2"), (r"take\(5\)", "take(1)")),
    "deepdream": (("steps=100", "steps=2"), ("steps_per_octave=50", "steps_per_octave=1")),
    "style_transfer": (
        ("steps_per_epoch = 100", "steps_per_epoch = 1"),
        ("max_dim = 512", "max_dim = 128"),
    ),
    "data_augmentation": (("epochs=5", "epochs=1"),),
    "text_generation": (
        (r"enumerate\(dataset\)", "enumerate(dataset.take(2))"),
        ("EPOCHS = 10", "EPOCHS = 2"),
        ("rnn_units = 1024", "rnn_units = 64"),
        (r"super\(\).__init__\(self\)", "super().__init__()"),
        (r"get_initial_state\(x\)", "get_initial_state(tf.shape(x)[0])"),
        (r"ckpt_\{epoch\}", "ckpt_{epoch}.weights.h5"),
        ("reset_states", "reset_state"),
        (r"range\(1000\)", "range(50)"),
    ),
    "nmt_with_attention": (
        ("import tensorflow_text as tf_text", "from tutorials import tf_text"),
        ("UNITS = 256", "UNITS = 32"),
        (r"get_initial_state\(embedded\)", "get_initial_state(batch_size)"),
    ),
    "transformer": (
        ("import tensorflow_text", "import stand_ins, tutorials"),
        (r"tf.saved_model.load\(model_name\)", "tutorials.tokenizers(stand_ins.WORDS)"),
        ("num_layers = 4", "num_layers = 2"),
        ("d_model = 128", "d_model = 32"),
        ("dff = 512", "dff = 64"),
        ("num_heads = 8", "num_heads = 2"),
        ("MAX_TOKENS=128", "MAX_TOKENS=10"),
    ),
    "segmentation": (
        (r"include_top=False\)", "include_top=False, weights=None)"),
        ("BATCH_SIZE = 64", "BATCH_SIZE = 4"),
    ),
    "image_captioning": (
        ("include_preprocessing=True", "include_preprocessing=True, weights=None"),
        ("import tensorflow_text as text", "pass"),
        (r"< 16197", "< 0"),
        (r"from tensorflow_docs.*", ""),
    ),
    "simple_audio": (("batch_size=64", "batch_size=8"),),
    "time_series": (
        (r"csv_path, _ = os.path.splitext\(zip_path\)", "csv_path = 'jena_columns.csv'"),
    ),
    "preprocessing_layers": (
        (
            r"train, val, test = np\.split\(dataframe.sample\(frac=1\), .*",
            "rows = dataframe.sample(frac=1, random_state=0)\n"
            "train, val, test = rows[:480], rows[480:540], rows[540:]",
        ),
    ),
    "imbalanced_data": (("BATCH_SIZE = 2048", "BATCH_SIZE = 256"),),
    "music_generation": (("import fluidsynth", ""),),
    "actor_critic": (
        ("import gym\n", "import gymnasium as gym\n"),
        ("max_episodes = 10000", "max_episodes = 12"),
    ),
    "integrated_gradients": (("m_steps=240", "m_steps=20"),),
}

tf_text = types.SimpleNamespace(normalize_utf8=lambda text, form: text)  # the texts are ASCII


class _Normal:
    """`tfp.distributions.Normal`, of which a notebook needs the quantiles."""

    def __init__(self, mean: float, deviation: float) -> None:
        self.mean, self.deviation = mean, deviation

    def quantile(self, p: Any) -> Any:
        tf = sys.modules["tensorflow"]
        values = self.mean + self.deviation * tf.math.ndtri(tf.constant(p))
        return tf.cast(values, tf.float32)


tfp = types.SimpleNamespace(distributions=types.SimpleNamespace(Normal=_Normal))


def write_files(folder: pathlib.Path, words: list[str]) -> None:
    """Adds the tutorials' files to a folder."""
    rng = np.random.default_rng(1)

    def table(name: str, lines: Any) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"{','.join(map(str, line))}\n" for line in lines))

    def sentence(count: int) -> str:
        return " ".join(rng.choice(words, count))

    values = np.round(rng.normal(10, 3, (6000, len(WEATHER))), 2)
    values[:, -1] = rng.uniform(0, 360, len(values)).round(1)
    stamps = (np.datetime64("2009-01-01T00:10") + np.arange(len(values)) * 10).astype(object)
    table("jena_columns.csv", [("Date Time", *WEATHER)])
    with (folder / "jena_columns.csv").open("a") as file:
        for stamp, row in zip(stamps, values.tolist(), strict=True):
            file.write(f"{stamp:%d.%m.%Y %H:%M:%S},{','.join(map(str, row))}\n")
    ecg = np.round(rng.normal(0, 1, (900, 141)), 4)
    ecg[:, -1] = rng.integers(0, 2, len(ecg))
    table("ecg.csv", ecg.tolist())
    card = np.round(rng.normal(0, 1, (4000, 28)), 5).tolist()
    names = ("Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class")
    rows = ((i, *row, round(abs(row[0]) * 50, 2), int(i % 40 == 0)) for i, row in enumerate(card))
    table("creditcard.csv", [names, *rows])
    columns = (*PETS, "Age", "Fee", "PhotoAmt", "Description", "AdoptionSpeed")
    pets = (
        (
            *(rng.choice(kinds) for kinds in PETS.values()),
            *rng.integers((1, 0, 0), (60, 200, 9)).tolist(),
            sentence(5),
            rng.integers(0, 5),
        )
        for _ in range(600)
    )
    table("datasets/petfinder-mini/petfinder-mini.csv", [columns, *pets])
    (folder / "ImageNetLabels.txt").write_text("".join(f"label {i}\n" for i in range(1001)))
    write_pictures(folder, rng, sentence)
    write_sounds(folder / "data", rng)
    with contextlib.suppress(ImportError):
        write_videos(folder / "UCF101_videos.zip", rng)


def write_pictures(folder: pathlib.Path, rng: np.random.Generator, sentence: Any) -> None:
    from PIL import Image

    def picture(name: str, width: int, height: int) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 255, (height, width, 3)).astype("uint8")
        Image.fromarray(noise).save(folder / name, "JPEG")

    for i in range(40):
        for kind in FLOWERS:
            picture(f"flower_photos_extracted/flower_photos/{kind}/{i:03}.jpg", 40, 36)
        for part, count in (("train", 40), ("validation", 20)):
            for kind in ("cats", "dogs"):
                if i < count:
                    picture(f"cats_and_dogs_filtered/{part}/{kind}/{i}.jpg", 40, 36)
    for i in (1, 2, 3, 100):
        for part in ("train", "test"):
            picture(f"facades_extracted/facades/{part}/{i}.jpg", 512, 256)
    files = [f"{i}.jpg" for i in range(80)]
    captions = [f"{file}#{i}\t{sentence(7).capitalize()} ." for file in files for i in range(5)]
    for file in files:
        picture(f"flickr8k/Flicker8k_Dataset/{file}", 40, 36)
    lists = {"token": captions, "trainImages": files[:64], "testImages": files[64:]}
    for name, lines in lists.items():
        stem = "Flickr8k" if name == "token" else "Flickr_8k"
        (folder / f"flickr8k/{stem}.{name}.txt").write_text("\n".join(lines))
    for name in ("Fireboat", "Giant Panda", "surf.jpg", "image.jpg", "Red_sunflower"):
        picture(name, 90, 60)


def write_sounds(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """Recordings of commands, and piano pieces as MIDI files."""
    for command in COMMANDS:
        place = folder / "mini_speech_commands" / command
        place.mkdir(parents=True)
        for i in range(20):
            name = "01bb6a2a_nohash_0.wav" if i == 0 else f"{i:08x}_nohash_0.wav"
            length = 16000 if i % 3 else 14000
            with wave.open(str(place / name), "wb") as file:
                file.setparams((1, 2, 16000, length, "NONE", ""))
                file.writeframes(rng.integers(-9000, 9000, length).astype("<i2").tobytes())
    (folder / "maestro-v2.0.0/2004").mkdir(parents=True)
    for i in range(6):
        events = bytearray(b"\x00\xc0\x00")  # a piano
        for pitch in rng.integers(30, 90, 150).tolist():
            wait, hold = rng.integers(1, 127, 2).tolist()
            events += bytes([wait, 0x90, pitch, 64, hold, 0x80, pitch, 0])
        track = bytes(events) + b"\x00\xff\x2f\x00"
        head = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 220])
        content = head + b"MTrk" + len(track).to_bytes(4, "big") + track
        (folder / f"maestro-v2.0.0/2004/piece_{i}.midi").write_bytes(content)


def write_videos(path: pathlib.Path, rng: np.random.Generator) -> None:
    import cv2  # or the notebooks of videos cannot run

    place = path.with_name("one_video.avi")
    with zipfile.ZipFile(path, "w") as archive:
        for kind in range(10):
            for i in range(50):
                if i < 5:
                    size = (32, 24)
                    code = cv2.VideoWriter.fourcc(*"MJPG")
                    writer = cv2.VideoWriter(str(place), code, 25, size)
                    for _ in range(20):
                        writer.write(rng.integers(0, 255, (24, 32, 3)).astype("uint8"))
                    writer.release()
                archive.write(place, f"UCF101/Sport{kind}/v_Sport{kind}_g{i:02}_c01.avi")
    place.unlink()


class Hub(types.ModuleType):
    """`tensorflow_hub`, with small models of random weights."""

    def load(self, handle: str) -> Any:
        if "stylization" not in handle:
            raise OSError(f"there is no stand-in for {handle}")
        return lambda content, style: (0.5 * content,)

    def KerasLayer(self, handle: Any, **options: Any) -> Any:  # noqa: N802 -- its name there
        keras = sys.modules["keras"]
        outputs = {"classification": 1001, "feature_vector": 1280}
        units = next((n for kind, n in outputs.items() if kind in str(handle)), None)
        if units is None:
            raise OSError(f"there is no stand-in for {handle}")

        class Model(keras.layers.Layer):
            def build(self, shape: Any) -> None:
                values = np.random.default_rng(0).normal(size=(shape[-1], units))
                given = keras.initializers.Constant(values.astype("float32"))
                self.kernel = self.add_weight(shape=values.shape, initializer=given)

            def call(self, images: Any) -> Any:
                return keras.ops.matmul(keras.ops.mean(images, (1, 2)), self.kernel)

        return Model(**options)


def tokenizers(words: list[str]) -> Any:
    """Two tokenizers that split text at spaces, in the place of those of a SavedModel."""
    tf = sys.modules["tensorflow"]
    vocabulary = ["[PAD]", "[UNK]", "[START]", "[END]", *words, *".,?!"]

    class Tokenizer(tf.Module):
        def __init__(self) -> None:
            self.vocab = tf.constant(vocabulary)
            values = tf.range(len(vocabulary), dtype=tf.int64)
            keys = tf.lookup.KeyValueTensorInitializer(self.vocab, values)
            self.table = tf.lookup.StaticHashTable(keys, 1)

        def tokenize(self, strings: Any) -> Any:
            found = tf.strings.split(tf.strings.lower(strings))
            tokens = found.with_values(self.table.lookup(found.values))
            ends = tf.ones([tf.shape(strings)[0], 1], tf.int64)
            return tf.concat([2 * ends, tokens, 3 * ends], 1)

        def lookup(self, tokens: Any) -> Any:
            return tf.gather(self.vocab, tokens)

        def detokenize(self, tokens: Any) -> Any:
            inner = tf.ragged.boolean_mask(tokens, tokens > 3)
            return tf.strings.reduce_join(tf.gather(self.vocab, inner), axis=-1, separator=" ")

        def get_vocab_size(self) -> Any:
            return tf.shape(self.vocab)[0]

    module = tf.Module()
    module.pt, module.en = Tokenizer(), Tokenizer()
    return module


def tfds_parts(name: str, rng: np.random.Generator, sentence: Any) -> dict[str, Any] | None:
    """The parts of a data set of `tensorflow_datasets`, as features or as pairs."""

    def pictures(count: int, height: int, width: int) -> np.ndarray:
        return rng.integers(0, 256, (count, height, width, 3)).astype("uint8")

    if name.startswith("cycle_gan"):
        parts = ("trainA", "trainB", "testA", "testB")
        return {p: (pictures(6, 256, 256), np.zeros(6, np.int64)) for p in parts}
    if name.startswith("oxford_iiit_pet"):
        return {
            p: {
                "file_name": np.array([f"pet_{i}.jpg" for i in range(130)]),
                "image": pictures(130, 60, 50),
                "label": rng.integers(0, 37, 130),
                "segmentation_mask": rng.integers(1, 4, (130, 60, 50, 1)).astype("uint8"),
            }
            for p in ("train", "test")
        }
    if name.startswith("ted_hrlr"):
        return {
            p: tuple(np.array([sentence(rng, 9) + " ." for _ in range(n)]) for _ in range(2))
            for p, n in (("train", SENTENCES), ("validation", 100))
        }
    return None


def remote_zip(url: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(url.rsplit("/", 1)[-1])
