"""Random data in the form of what notebooks download, so that nothing is downloaded."""

from __future__ import annotations

import contextlib
import datetime
import json
import pathlib
import shutil
import sys
import types
import zipfile
from typing import Any

import numpy as np

COMMON = (
    "the a of and to in is it you that he was for on are with as I his they be at one have this "
    "from or had by hot but some what there we can out other were all your when up use word how "
    "said an each she which do their time if will way about many then them would write like so "
    "these her long make thing see him two has look more day could go come did my sound no most "
    "number who over know water than call first people may down side been now find great awful "
    "movie film bad good"
)
WORDS = COMMON.split()
PICTURES = ("cat", "elephant", "coast", "sf", "starry_night", "fruits", "learned-python")
FLOWERS = ("dandelion", "daisy", "tulips", "sunflowers", "roses")
IMAGES = {"mnist": (28, 28), "fashion_mnist": (28, 28), "cifar10": (32, 32, 3)}


def sentence(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(WORDS, words))


def write_files(folder: pathlib.Path) -> None:
    """Fills a folder with the files that notebooks read or download."""
    rng = np.random.default_rng(0)

    def write(name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    for part in ("train", "test"):
        for label, rating, end in (("pos", 8, "<br />great"), ("neg", 2, "awful")):
            for i in range(240):
                rare = " ".join(f"{label}{i:03}{c:02}" for c in range(60))  # for large vocabularies
                review = f"{sentence(rng, int(rng.integers(40, 120)))} {rare} {end}"
                write(f"aclImdb/{part}/{label}/{i}_{rating}.txt", review)
    pairs = (f"{sentence(rng, 4)}.\t¿{sentence(rng, 5)}?\n" for _ in range(3000))
    write("spa-eng/spa.txt", "".join(pairs))
    verse = "".join(
        f"{sentence(rng, 7).capitalize()};\n"
        + ("" if i % 4 else f"\nKing {WORDS[i % 90]}:\nWhy? 3 o'clock-q x z jv & k $!\n")
        for i in range(2500)
    )
    for name in ("shakespeare.txt", "moby10b.txt"):
        write(name, f"First Citizen:\nSpeak, speak.\n\nKING RICHARD III:\n{verse}")
    vectors = (f"{w} {' '.join(f'{x:.3f}' for x in rng.normal(size=100))}\n" for w in WORDS)
    write("glove.6B.100d.txt", "".join(vectors))
    weather = 10 + 5 * np.sin(np.arange(12000)[:, None] / 1440) + rng.normal(size=(12000, 14))
    header = ",".join(('"Date Time"', *(f'"quantity {i}"' for i in range(14))))
    rows = ("01.01.2009 00:10:00," + ",".join(f"{x:.2f}" for x in row) for row in weather)
    write("jena_climate_2009_2016.csv", "\n".join((header, *rows)))
    for part, number in (("train", 12), ("valid", 4), ("test", 4)):
        for i in range(number):
            notes = np.repeat(rng.choice([0, *range(36, 82)], (30, 4)), 4, 0)
            lines = ("note0,note1,note2,note3", *(",".join(map(str, row)) for row in notes))
            write(f"jsb_chorales/{part}/chorale_{i:03}.csv", "\n".join(lines))
    table = ["service_date,day_type,bus,rail_boardings,total_rides"]
    for i in range(7640):
        date = datetime.date(2001, 1, 1) + datetime.timedelta(i)
        kind = "WWWWWAU"[date.weekday()]
        bus, rail = rng.integers(0, 90000, 2) + (600000, 400000) + (kind == "W") * 250000
        table.append(f"{date:%m/%d/%Y},{kind},{bus},{rail},{bus + rail}")
    write("ridership/CTA_-_Ridership_-_Daily_Boarding_Totals.csv", "\n".join(table))
    for i in range(4):
        lines = (sentence(rng, 50) + "\\n" + sentence(rng, 90) for _ in range(500))
        write(f"mini-c4/shard{i}.txt", "".join(f"{line}\n" for line in lines))
    orders = (
        {"instruction": sentence(rng, 8), "context": "", "response": sentence(rng, 20)}
        for _ in range(220)
    )
    write("databricks-dolly-15k.jsonl", "".join(f"{json.dumps(order)}\n" for order in orders))
    classes = {str(i): [f"n{i:08}", f"class_{i}"] for i in range(1000)}
    write("imagenet_class_index.json", json.dumps(classes))
    write_pictures(folder, rng)
    write("annotations/instances_train2017.json", json.dumps(scenes(rng)))
    import guides  # beside this file
    import tutorials

    tutorials.write_files(folder, WORDS)
    guides.write_files(folder)


def scenes(rng: np.random.Generator) -> dict[str, Any]:
    """Boxes in pictures, of which a notebook keeps the first 8000 for validation."""
    count = 8600
    pictures = [{"width": 50, "height": 40, "file_name": f"{i % 60}.jpg"} for i in range(count)]
    boxes = [
        {"image_id": i, "bbox": [*rng.integers(0, 20, 2).tolist(), 25, 15], "category_id": label}
        for i in range(count)
        for label in (1 + i % 90, 17)
    ]
    return {
        "images": [{"id": i, **picture} for i, picture in enumerate(pictures)],
        "annotations": boxes,
    }


def write_pictures(folder: pathlib.Path, rng: np.random.Generator) -> None:
    from PIL import Image

    def picture(name: str, width: int, height: int) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 255, (height, width, 3)).astype("uint8")
        Image.fromarray(noise).save(folder / name)

    for i in range(60):
        picture(f"images/pet_{i:03}.jpg", 50, 40)
        mask = Image.fromarray(rng.integers(1, 4, (40, 50)).astype("uint8"))
        (folder / "annotations/trimaps").mkdir(parents=True, exist_ok=True)
        mask.save(folder / f"annotations/trimaps/pet_{i:03}.png")
    for i in range(60, 1060):  # of which notebooks keep the last thousand for validation
        for place in ("images/pet_{:03}.jpg", "annotations/trimaps/pet_{:03}.png"):
            shutil.copyfile(folder / place.format(i % 60), folder / place.format(i))
    for i in range(60):  # the flowers of Oxford
        (folder / "jpg").mkdir(exist_ok=True)
        shutil.copyfile(folder / f"images/pet_{i:03}.jpg", folder / f"jpg/image_{i:05}.jpg")
        (folder / "train2017").mkdir(exist_ok=True)
        shutil.copyfile(folder / f"images/pet_{i:03}.jpg", folder / f"train2017/{i}.jpg")
    for name in PICTURES:
        picture(f"{name}.jpg", 320, 240)
    shutil.copyfile(folder / "learned-python.jpg", folder / "learned-python.png")
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        for i in range(110):
            for kind in ("cat", "dog"):
                picture(f"train/{kind}.{i}.jpg", 40, 36)
                archive.write(folder / f"train/{kind}.{i}.jpg", f"train/{kind}.{i}.jpg")
    for i in range(110, 2500):  # notebooks take as many of each
        for kind in ("cat", "dog"):
            known = folder / f"train/{kind}.{i % 110}.jpg"
            shutil.copyfile(known, folder / f"train/{kind}.{i}.jpg")


def write_sketches(folder: pathlib.Path) -> None:
    """Drawings of `quickdraw`, each a sequence of strokes, in TFRecord files, written by the
    library with which the notebook is run."""
    tf, rng = sys.modules["tensorflow"], np.random.default_rng(0)
    lists = {"int64_list": tf.train.Int64List, "float_list": tf.train.FloatList}

    def feature(kind: str, values: list) -> Any:
        return tf.train.Feature(**{kind: lists[kind](value=values)})

    for part in ("training", "eval"):
        (folder / f"{part}.tfrecord.classes").write_text("".join(f"{w}\n" for w in WORDS[:20]))
        for i in range(10):
            with tf.io.TFRecordWriter(str(folder / f"{part}.tfrecord-{i:05}-of-00010")) as file:
                for _ in range(8):
                    length = int(rng.integers(40, 120))
                    ink = rng.normal(size=(length, 3))
                    ink[:, 2] = np.arange(length) % 10 == 9  # where a stroke ends
                    features = {
                        "ink": feature("float_list", ink.ravel().tolist()),
                        "shape": feature("int64_list", [length, 3]),
                        "class_index": feature("int64_list", [int(rng.integers(20))]),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    file.write(example.SerializeToString())


def write_convnet(keras: Any) -> None:
    """The model that one chapter trains and another one uploads."""
    layers = keras.layers
    inputs = keras.Input((180, 180, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for i, filters in enumerate((32, 64, 128, 256, 256)):
        if i:
            x = layers.MaxPooling2D(2)(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    outputs = layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(layers.Flatten()(x)))
    model = keras.Model(inputs, outputs)
    model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    model.save("convnet_from_scratch_with_augmentation.keras")


def get_file(fname: str | None = None, origin: str = "", *args: Any, **kwargs: Any) -> str:
    """`keras.utils.get_file`: the contents of archives are in the current folder already."""
    folder = pathlib.Path.cwd() / kwargs.get("cache_dir", "") / kwargs.get("cache_subdir", "")
    folder = folder if folder.is_dir() else pathlib.Path.cwd()
    path = folder / (fname or origin).rsplit("/", 1)[-1].partition("?")[0]
    if fname == "creditcard.zip":  # beside which a notebook expects the table
        return str(path)
    if fname == "flower_photos":
        path = folder / "flower_photos_extracted/flower_photos"
    elif kwargs.get("extract") or kwargs.get("untar"):
        path = path.with_name(path.name.partition(".")[0] + "_extracted")
        if not path.exists():
            path.symlink_to(".")
        if path.name.startswith("quickdraw"):
            write_sketches(path.parent)
    if path.name == "fsns.tfrec":
        import guides  # beside this file

        guides.write_signs(path)
    if path.name == "vocabulary.proto":
        import presets  # beside this file

        words = [*WORDS, *(f"{word}{i}" for i in range(300) for word in WORDS)]
        path.write_bytes(presets.pieces(words, ["<|endoftext|>"]))
    if "pt_en_converter" in path.name:  # tutorials.tokenizers
        return str(path)
    if path.suffix == ".jpg" and not path.exists():  # some picture
        path = path.with_name(f"{PICTURES[0]}.jpg")
    if not path.exists():
        raise OSError(f"there is no stand-in for {origin or fname}")
    return str(path)


def load_images(name: str) -> Any:
    def load_data() -> Any:
        rng, large = np.random.default_rng(0), "cifar" in name

        def part(n: int) -> tuple[np.ndarray, np.ndarray]:
            some = rng.integers(0, 256, (500, *IMAGES[name]), "uint8")
            labels = rng.integers(0, 10, (n, 1) if large else n, "uint8")
            return np.resize(some, (n, *IMAGES[name])), labels

        return part(50000 if large else 60000), part(10000)

    return load_data


def load_texts(train: int, test: int, classes: int) -> Any:
    def load_data(path: str = "", num_words: int = 20000, **kwargs: Any) -> Any:
        rng = np.random.default_rng(0)

        def part(n: int) -> tuple[np.ndarray, np.ndarray]:
            lengths = rng.integers(30, 250, 300)
            some = [[1, *np.minimum(rng.zipf(1.3, k) + 3, num_words - 1).tolist()] for k in lengths]
            texts = np.empty(n, object)
            texts[:] = [some[i % 300] for i in range(n)]
            return texts, rng.integers(0, classes, n)

        return part(train), part(test)

    return load_data


def load_table(train: int, test: int, columns: int, dtype: str) -> Any:
    def load_data(*args: Any, **kwargs: Any) -> Any:
        rng = np.random.default_rng(0)
        sizes = (480, 120) if kwargs.get("version") == "small" else (train, test)
        tables = ((rng.normal(2, 1, (n, columns)), rng.uniform(5, 50, n)) for n in sizes)
        return tuple((x.astype(dtype), y.astype(dtype)) for x, y in tables)

    return load_data


def put_in(keras: Any, tensorflow: Any) -> None:
    """Replaces functions that download, in the imported libraries, by stand-ins."""
    index = {f"{w}{i or ''}": i * len(WORDS) + k for i in range(200) for k, w in enumerate(WORDS)}
    loaders = {
        **{name: load_images(name) for name in IMAGES},
        "imdb": load_texts(25000, 25000, 2),
        "reuters": load_texts(8982, 2246, 46),
        "boston_housing": load_table(404, 102, 13, "float64"),
        "california_housing": load_table(16512, 4128, 8, "float32"),
    }
    for home in (keras, tensorflow.keras):
        home.utils.get_file = get_file
        for name, loader in loaders.items():
            module = getattr(home.datasets, name)
            module.load_data = loader
            if hasattr(module, "get_word_index"):
                module.get_word_index = lambda *args: {w: i + 1 for w, i in index.items()}
    for place in ("keras.src.utils.file_utils", "keraslike.applications.imagenet_utils"):
        if place in sys.modules:  # where a function of its own downloads
            sys.modules[place].get_file = get_file
    import presets  # beside this file
    import sklearn.datasets
    import tutorials  # beside this file

    names = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup")
    names += ("Latitude", "Longitude")
    (data, target), _ = load_table(4000, 1, len(names), "float64")()
    housing = types.SimpleNamespace(data=data, target=target / 10, feature_names=list(names))
    sklearn.datasets.fetch_california_housing = lambda *args, **kwargs: housing
    kaggle, tfds = types.ModuleType("kagglehub"), types.ModuleType("tensorflow_datasets")
    kaggle.login, kaggle.competition_download = lambda: None, lambda name: "."
    kaggle.model_download = presets.download
    colab = types.ModuleType("google.colab")
    colab.files = types.SimpleNamespace(upload=lambda: write_convnet(keras))
    tfds.load = lambda *args, **kwargs: load_tfds(tensorflow.data.Dataset, *args, **kwargs)
    tfds.__version__, tfds.as_dataframe = "0", lambda data, info: list(data.as_numpy_iterator())
    tfds.disable_progress_bar = lambda: None
    sys.modules["tensorflow_hub"] = tutorials.Hub("tensorflow_hub")
    remotezip = sys.modules["remotezip"] = types.ModuleType("remotezip")
    remotezip.RemoteZip = tutorials.remote_zip
    put_in_tables()
    errors = types.ModuleType("kagglehub.exceptions")  # which KerasHub imports
    errors.KaggleApiHTTPError = OSError
    kaggle.exceptions = errors
    sys.modules.update({"kagglehub": kaggle, "kagglehub.exceptions": errors})
    sys.modules.update({"tensorflow_datasets": tfds, "google.colab": colab})
    with contextlib.suppress(ImportError):
        import google  # noqa: F401 -- which other packages are parts of
    sys.modules.setdefault("google", types.ModuleType("google"))


def put_in_tables() -> None:
    """Lets `pandas.read_csv` find the stand-in for a table at an address."""
    with contextlib.suppress(ImportError):
        import pandas

        read = pandas.read_csv

        def read_csv(place: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(place, str) and place.startswith("http"):
                place = get_file(origin=place)
            return read(place, *args, **kwargs)

        pandas.read_csv = read_csv


def load_tfds(
    dataset: Any,
    name: str,
    split: Any = None,
    as_supervised: bool = False,
    with_info: bool = False,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Any:
    """`tensorflow_datasets.load`."""
    import tutorials  # beside this file

    rng, key, number = np.random.default_rng(0), "image", 300
    known = tutorials.tfds_parts(name, rng, sentence)
    if known:
        found = {part: dataset.from_tensor_slices(data) for part, data in known.items()}
        counts = {
            part: types.SimpleNamespace(num_examples=len(data)) for part, data in found.items()
        }
        return (found, types.SimpleNamespace(splits=counts)) if with_info else found
    if name == "imdb_reviews":
        key, names = "text", ("neg", "pos")
        values = np.array([sentence(rng, 60) for _ in range(number)])
    elif name == "mnist":
        names, values = tuple("0123456789"), rng.integers(0, 256, (number, 28, 28, 1), "uint8")
    elif name.startswith("penguins"):
        key, names = "features", ("Adélie", "Chinstrap", "Gentoo")
        values = rng.uniform(0, 1, (number, 4)).astype("float32")
    else:
        names, number = FLOWERS, 60
        values = rng.integers(0, 256, (number, 240, 320, 3), "uint8")
    labels = rng.integers(0, len(names), number)
    whole = dataset.from_tensor_slices(
        (values, labels) if as_supervised else {key: values, "label": labels}
    )
    label = types.SimpleNamespace(
        names=list(names), num_classes=len(names), int2str=lambda i: names[int(i)]
    )
    sizes = {part: types.SimpleNamespace(num_examples=number) for part in ("train", "test")}
    parts: Any = whole
    if split is None:
        parts = {"train": whole, "test": whole}
    elif isinstance(split, (list, tuple)):
        parts = [whole.take(number // 2) for _ in split]
    if batch_size is not None:
        batches = [
            part.batch(number if batch_size < 0 else batch_size)
            for part in (parts if isinstance(parts, list) else [parts])
        ]
        batches = [next(iter(part)) for part in batches] if batch_size < 0 else batches
        parts = batches if isinstance(parts, list) else batches[0]
    info = types.SimpleNamespace(splits=sizes, features={"label": label})
    return (parts, info) if with_info else parts
