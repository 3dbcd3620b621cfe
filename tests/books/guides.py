"""Files that TensorFlow's guides, and its tutorials on loading data, download: random ones."""

from __future__ import annotations

import gzip
import io
import pathlib
import shutil
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

TITANIC = "survived,sex,age,n_siblings_spouses,parch,fare,class,deck,embark_town,alone"
HEART = "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,target"
TRAFFIC = (
    "holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time,"
    "traffic_volume"
)
FONT = "font,fontVariant,m_label,strength,italic,orientation,m_top,m_left,originalH,originalW,h,w"


def write_files(folder: pathlib.Path) -> None:
    """Adds the files of the guides, and of the tutorials on loading data, to a folder."""
    from stand_ins import sentence  # beside this file

    rng = np.random.default_rng(1)

    def write(name: str, head: str, rows: Iterable[Iterable[Any]], separator: str = ",") -> None:
        lines = [head] * bool(head) + [separator.join(map(str, row)) for row in rows]
        text = "".join(f"{line}\n" for line in lines)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".gz"):
            (folder / name).write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (folder / name).write_text(text)

    def numbers(count: int, digits: int = 4) -> list[float]:
        return np.round(rng.uniform(0, 1, count), digits).tolist()

    titanic = (
        (
            rng.integers(2),
            rng.choice(["male", "female"]),
            f"{rng.integers(1, 80)}.0",
            rng.integers(3),
            rng.integers(3),
            round(rng.uniform(5, 90), 4),
            rng.choice(["First", "Second", "Third"]),
            rng.choice(["unknown", *"ABCDEF"]),
            rng.choice(["Southampton", "Cherbourg", "Queenstown"]),
            rng.choice(["y", "n"]),
        )
        for _ in range(627)
    )
    write("train.csv", TITANIC, titanic)
    shutil.copyfile(folder / "train.csv", folder / "eval.csv")
    heart = (
        (
            *(rng.integers(30, 75), rng.integers(2), rng.integers(4), rng.integers(100, 180)),
            *(rng.integers(150, 350), rng.integers(2), rng.integers(3), rng.integers(90, 190)),
            *(rng.integers(2), round(rng.uniform(0, 4), 1), rng.integers(1, 4), rng.integers(4)),
            *(rng.choice(["fixed", "normal", "reversible"]), rng.integers(2)),
        )
        for _ in range(303)
    )
    write("heart.csv", HEART, heart)
    abalone = ((*numbers(7, 3), rng.integers(3, 20)) for _ in range(3320))
    write("abalone_train.csv", "", abalone)
    cars = (
        f"{rng.uniform(10, 40):.1f}   {rng.choice([4, 6, 8])}   {rng.uniform(70, 450):.1f}      "
        f"{'?' if i % 60 == 30 else f'{rng.uniform(50, 220):.1f}'}      "
        f"{rng.integers(1700, 5000)}.      {rng.uniform(8, 24):.1f}   {rng.integers(70, 83)}  "
        f'{rng.integers(1, 4)}\t"car {i}"'
        for i in range(398)
    )
    write("auto-mpg.data", "", ([car] for car in cars))
    cells = ((10000 + i, rng.choice(["M", "B"]), *numbers(30)) for i in range(569))
    write("wdbc.data", "", cells)
    traffic = (
        (
            *("None", round(rng.uniform(270, 300), 2), 0.0, 0.0, rng.integers(100), "Clouds"),
            *("scattered clouds", f"2012-10-02 {i % 24:02}:00:00", rng.integers(7000)),
        )
        for i in range(1200)
    )
    write("traffic/Metro_Interstate_Traffic_Volume.csv.gz", TRAFFIC, traffic)
    head = ",".join((FONT, *(f"r{row}c{column}" for row in range(20) for column in range(20))))
    for name in ("AGENCY", "ARIAL", "BAITI", "BANKGOTHIC", "CAARD"):
        glyphs = ((name, name, i, 0.4, 0, 0.0, *numbers(4, 1), 20, 20) for i in range(33, 100))
        pixels = rng.integers(0, 256, (67, 400)).tolist()
        rows = ((*g, *p) for g, p in zip(glyphs, pixels, strict=True))
        write(f"fonts/{name}.csv", head, rows)
    for name in ("cowper.txt", "derby.txt", "butler.txt"):
        write(name, "", ([f"{sentence(rng, 8).capitalize()},"] for _ in range(3000)))
    write("HIGGS.csv.gz", "", ((float(i % 2), *numbers(28)) for i in range(11500)))
    for part in ("train", "test"):
        for label in ("csharp", "java", "javascript", "python"):
            for i in range(1700, 1760):
                write(f"stack_overflow/{part}/{label}/{i}.txt", "", [[sentence(rng, 60)]])
    shutil.copytree(folder / "aclImdb", folder / "aclImdb_v1/aclImdb")
    (folder / "aclImdb_v1/aclImdb/train/unsup").mkdir()
    write("aclImdb_v1/aclImdb/train/pos/1181_9.txt", "", [["A very good film."]])
    images, labels = rng.integers(0, 256, (70, 28, 28), "uint8"), rng.integers(0, 10, 70, "uint8")
    train, test = slice(60), slice(60, 70)
    np.savez(
        folder / "mnist.npz",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
    )


def write_signs(path: pathlib.Path) -> None:
    """Pictures of words in a TFRecord file, written by the library with which a notebook is run."""
    from PIL import Image
    from stand_ins import WORDS

    tf, rng = sys.modules["tensorflow"], np.random.default_rng(2)

    def feature(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(path)) as file:
        for word in WORDS[:12]:
            png = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (15, 60, 3), "uint8")).save(png, "png")
            features = {
                "image/text": feature(word.encode()),
                "image/encoded": feature(png.getvalue()),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            file.write(example.SerializeToString())
