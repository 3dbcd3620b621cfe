"""Sentiment of film reviews, from text files to a model that accepts plain strings.

python examples/text_classification.py      # film reviews (IMDB), downloaded once (84 MB)
python examples/text_classification.py --quick
"""

import pathlib
import re
import shutil
import tempfile

import numpy as np
import shared

import keraslike as keras
from keraslike import layers

ADDRESS = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"


def write_reviews(folder, n):
    """Made-up reviews, a folder a class, those for training and for tests apart."""
    rng = np.random.default_rng(0)
    words = {"neg": ["dull", "bad", "awful"], "pos": ["fine", "good", "lovely"]}
    for part in ("train", "test"):
        for label, its_words in words.items():
            (folder / part / label).mkdir(parents=True)
            for i in range(n):
                text = [*rng.choice(["the", "film", "was", "and", "<br />"], 8), *its_words[:1]]
                text[rng.integers(8)] = rng.choice(its_words)
                (folder / part / label / f"{i}.txt").write_text(" ".join(text))


def fetch():
    folder = pathlib.Path(keras.utils.get_file(origin=ADDRESS, extract=True), "aclImdb")
    shutil.rmtree(folder / "train" / "unsup", ignore_errors=True)  # reviews without a label
    return folder


def without_tags(texts):
    """Lower case, line breaks of HTML as spaces, no punctuation."""
    texts = [re.sub("<br />", " ", str(text).lower()) for text in texts]
    return [re.sub(r"[^\w\s]", "", text) for text in texts]


def build(vocabulary, width):
    tokens = keras.Input((None,), dtype="int32")
    x = layers.Dropout(0.5)(layers.Embedding(vocabulary, width)(tokens))
    for _ in range(2):
        x = layers.Conv1D(width, 7, padding="same", strides=3, activation="relu")(x)
    x = layers.Dense(width, activation="relu")(layers.GlobalMaxPooling1D()(x))
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(x)))


def main(quick=False, epochs=None):
    with tempfile.TemporaryDirectory() as made_up:
        folder = pathlib.Path(made_up) if quick else fetch()
        if quick:
            write_reviews(folder, 96)
        batch_size = 16 if quick else 32
        train, valid = keras.utils.text_dataset_from_directory(
            folder / "train", batch_size=batch_size, validation_split=0.2, subset="both", seed=1337
        )
        test = keras.utils.text_dataset_from_directory(folder / "test", batch_size=batch_size)

        vocabulary = 50 if quick else 20000
        vectorize = layers.TextVectorization(
            vocabulary, standardize=without_tags, output_sequence_length=12 if quick else 500
        )
        vectorize.adapt(train.map(lambda text, label: text))
        train, valid, test = (
            part.map(lambda text, label: (vectorize(text), label)).cache().prefetch(2)
            for part in (train, valid, test)
        )
        model = build(vocabulary, 16 if quick else 128)
        model.compile(
            keras.optimizers.Adam(0.01 if quick else 0.001),
            "binary_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(train, validation_data=valid, epochs=epochs or (5 if quick else 3), verbose=2)
        _, accuracy = model.evaluate(test, verbose=0)
        print(f"Test accuracy {accuracy:.3f}")

    text = keras.Input((), dtype="string")
    whole = keras.Model(text, model(vectorize(text)))
    reviews = ["The film was lovely and good", "The film was dull, awful and bad"]
    said = whole.predict(np.array(reviews), verbose=0)[:, 0]
    for review, value in zip(reviews, said):
        print(f"{value:.2f}  {review}")
    return {"accuracy": accuracy, "said": said}


if __name__ == "__main__":
    main(**shared.options(__doc__))
