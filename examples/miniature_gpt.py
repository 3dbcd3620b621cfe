"""A transformer generates text word by word.

python examples/miniature_gpt.py            # film reviews (IMDB), downloaded once
python examples/miniature_gpt.py --quick
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops


class Block(layers.Layer):
    """Causal self-attention and two dense layers, each added to what it is given."""

    def __init__(self, width, heads, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads, self.rate = width, heads, rate
        self.attention = layers.MultiHeadAttention(heads, width // heads, dropout=rate)
        self.hidden = layers.Dense(2 * width, activation="relu")
        self.back = layers.Dense(width)
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropout = layers.Dropout(rate)

    def call(self, x):
        x = self.norms[0](x + self.attention(x, x, use_causal_mask=True))
        return self.norms[1](x + self.dropout(self.back(self.hidden(x))))

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "heads": self.heads,
            "rate": self.rate,
        }


class TokenAndPlace(layers.Layer):
    """The vector of a token plus that of its place."""

    def __init__(self, vocabulary, length, width, **kwargs):
        super().__init__(**kwargs)
        self.sizes = {"vocabulary": vocabulary, "length": length, "width": width}
        self.token = layers.Embedding(vocabulary, width)
        self.place = layers.Embedding(length, width)

    def call(self, tokens):
        return self.token(tokens) + self.place(ops.arange(ops.shape(tokens)[-1]))

    def get_config(self):
        return {**super().get_config(), **self.sizes}


def build(vocabulary, length, width, heads, blocks):
    tokens = keras.Input((length,), dtype="int32")
    x = TokenAndPlace(vocabulary, length, width)(tokens)
    for _ in range(blocks):
        x = Block(width, heads)(x)
    return keras.Model(tokens, layers.Dense(vocabulary)(x))


class Writer(keras.callbacks.Callback):
    """Goes on with a text at the end of each epoch, with draws from the likeliest words."""

    def __init__(self, start, words, count=20, choices=10):
        super().__init__()
        self.start, self.words, self.count, self.choices = list(start), words, count, choices
        self.rng = np.random.default_rng(0)

    def write(self):
        length = self.model.input_shape[1]
        tokens = list(self.start)
        while len(tokens) < min(length, len(self.start) + self.count):
            padded = np.zeros((1, length), "int32")
            padded[0, : len(tokens)] = tokens
            scores = self.model.predict(padded, verbose=0)[0, len(tokens) - 1]
            best = np.argsort(scores)[-self.choices :]
            chances = np.exp(scores[best] - scores[best].max())
            tokens.append(int(self.rng.choice(best, p=chances / chances.sum())))
        return tokens

    def on_epoch_end(self, epoch, logs=None):
        print(f"Epoch {epoch + 1}:", *(self.words.get(token, "?") for token in self.write()))


def load(quick):
    """Texts as tokens, `(texts, length + 1)`, the words of the tokens, and a beginning."""
    if quick:  # "b c d a b ...": after each word there is only one that may follow
        starts = np.random.default_rng(0).integers(0, 4, (256, 1))
        return 1 + (starts + np.arange(13)) % 4, dict(enumerate("-abcd")), [2]
    (train, _), (test, _) = keras.datasets.imdb.load_data(num_words=20000)
    texts = keras.utils.pad_sequences([*train, *test], 81, padding="post", truncating="post")
    # `load_data` puts three marks before the words.
    index = keras.datasets.imdb.get_word_index()
    words = {number + 3: word for word, number in index.items()}
    return texts, words, [1, *(index[word] + 3 for word in ("this", "movie", "is"))]


def main(quick=False, epochs=None):
    texts, words, start = load(quick)
    length = texts.shape[1] - 1
    sizes = (5, length, 16, 2, 1) if quick else (20000, length, 256, 2, 2)
    model = build(*sizes)
    model.compile(
        keras.optimizers.Adam(0.01 if quick else 0.001),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    writer = Writer(start, words, choices=1 if quick else 10)
    history = model.fit(
        texts[:, :-1],
        texts[:, 1:],
        batch_size=32 if quick else 128,
        epochs=epochs or (3 if quick else 25),
        callbacks=[writer],
        verbose=2,
    ).history
    return {**history, "text": writer.write()}


if __name__ == "__main__":
    main(**shared.options(__doc__))
