"""An encoder-decoder transformer translates English to Spanish.

    python examples/translation_transformer.py  # pairs of sentences, downloaded once (3 MB)
    python examples/translation_transformer.py --quick

Vaswani et al., Attention is all you need, https://arxiv.org/abs/1706.03762
"""

import pathlib
import re

import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops

ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/data/spa-eng.zip"


class Embedded(layers.Layer):
    """The vector of a token plus that of its place; token 0 is padding, and masked."""

    def __init__(self, vocabulary, length, width, **kwargs):
        super().__init__(**kwargs)
        self.token = layers.Embedding(vocabulary, width, mask_zero=True)
        self.place = layers.Embedding(length, width)

    def call(self, tokens):
        return self.token(tokens) + self.place(ops.arange(ops.shape(tokens)[-1]))

    def compute_mask(self, tokens, mask=None):
        return self.token.compute_mask(tokens)


def feed_forward(x, width):
    y = layers.Dense(2 * width, activation="relu")(x)
    return layers.LayerNormalization()(x + layers.Dense(width)(y))


def build(vocabulary, length, width, heads):
    source = keras.Input((length,), dtype="int32", name="source")
    x = Embedded(vocabulary, length, width)(source)
    attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
    encoded = feed_forward(layers.LayerNormalization()(x + attended), width)

    target = keras.Input((length,), dtype="int32", name="target")
    y = Embedded(vocabulary, length, width)(target)
    attended = layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
    y = layers.LayerNormalization()(y + attended)
    attended = layers.MultiHeadAttention(heads, width // heads)(y, encoded)
    y = feed_forward(layers.LayerNormalization()(y + attended), width)
    return keras.Model([source, target], layers.Dense(vocabulary)(layers.Dropout(0.1)(y)))


def sentences(quick):
    """Pairs of sentences; those of the second language stand between [start] and [end]."""
    if quick:  # the second language has other words and says them in the other order
        words = ["one", "two", "three", "four", "five"]
        rng = np.random.default_rng(0)
        first = [rng.choice(words, rng.integers(2, 4)) for _ in range(512)]
        pairs = [(" ".join(s), " ".join(f"{word}o" for word in s[::-1])) for s in first]
    else:
        folder = keras.utils.get_file(origin=ADDRESS, extract=True)
        path = next(pathlib.Path(folder).rglob("spa.txt"))
        pairs = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
        np.random.default_rng(0).shuffle(pairs)
    return [(first, f"[start] {second} [end]") for first, second in pairs]


def standardize(texts):
    """Lower case without punctuation, but for the brackets of [start] and [end]."""
    return [re.sub(r"[^\w\s\[\]]", "", text.lower()) for text in texts]


def translate(model, read, write, sentence):
    """The likeliest word, one after the other, until [end]."""
    words = write.get_vocabulary()
    source, said = read([sentence]), ["[start]"]
    while said[-1] != "[end]" and len(said) < model.input_shape[1][1]:
        target = write([" ".join(said)])[:, :-1]
        scores = model.predict([source, target], verbose=0)[0, len(said) - 1]
        said.append(words[int(np.argmax(scores))])
    return " ".join(said[1:]).removesuffix(" [end]")


def main(quick=False, epochs=None):
    vocabulary, length = (20, 6) if quick else (15000, 20)
    pairs = sentences(quick)
    first, second = (list(texts) for texts in zip(*pairs))
    read = layers.TextVectorization(vocabulary, output_sequence_length=length)
    # One more, since what is given to the decoder and what it is to say are one word apart.
    write = layers.TextVectorization(
        vocabulary, standardize=standardize, output_sequence_length=length + 1
    )
    read.adapt(first)
    write.adapt(second)
    source, target = (np.asarray(layer(texts)) for layer, texts in ((read, first), (write, second)))
    said = target[:, 1:]

    model = build(vocabulary, length, *((32, 4) if quick else (256, 8)))
    model.compile(
        keras.optimizers.Adam(0.01 if quick else 0.001),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
    )
    history = model.fit(
        [source, target[:, :-1]],
        said,
        batch_size=32 if quick else 64,
        epochs=epochs or (12 if quick else 30),
        validation_split=0.1,
        verbose=2,
    ).history
    translations = [(s, translate(model, read, write, s)) for s in first[-4:]]
    for pair in translations:
        print(*pair, sep=" -> ")
    return {**history, "translations": translations, "expected": second[-4:]}


if __name__ == "__main__":
    main(**shared.options(__doc__))
