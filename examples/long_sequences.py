"""A transformer whose weights, or whose sequences, are sharded over several devices.

python examples/long_sequences.py --quick
XLA_FLAGS=--xla_force_host_platform_device_count=8 python examples/long_sequences.py --quick

At every place it is to say which token is the most frequent one of the sequence. Three layouts do
the same sums: the batch is divided, or heads and hidden units (Megatron-LM), or sequences. Of two
sequences a step there is no more to divide for the first one.
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops
from keraslike.distribution import (
    DataParallel,
    DeviceMesh,
    LayoutMap,
    ModelParallel,
    list_devices,
    plan,
)


def build(vocabulary, length, width, heads, blocks):
    tokens = keras.Input((length,), dtype="int32")
    places = layers.Embedding(length, width, name="place")(ops.arange(length))
    x = layers.Embedding(vocabulary, width, name="token")(tokens) + places
    for n in range(blocks):
        x = Block(width, heads, name=f"block_{n}")(x)
    return keras.Model(tokens, layers.Dense(vocabulary, name="scores")(x))


class Block(layers.Layer):
    """Self-attention and two dense layers, each added to what it is given."""

    def __init__(self, width, heads, **kwargs):
        super().__init__(**kwargs)
        self.norm_1 = layers.LayerNormalization(name="norm_1")
        self.attention = layers.MultiHeadAttention(heads, width // heads, name="attention")
        self.norm_2 = layers.LayerNormalization(name="norm_2")
        self.up = layers.Dense(4 * width, activation="gelu", name="up")
        self.down = layers.Dense(width, name="down")

    def call(self, x):
        y = self.norm_1(x)
        x = x + self.attention(y, y)
        return x + self.down(self.up(self.norm_2(x)))


def megatron(replicas, parts):
    """Each device has some heads and some hidden units (arXiv:1909.08053): the first matrix of a
    pair is divided along its outputs, the second along its inputs, whose products are summed."""
    layouts = LayoutMap(DeviceMesh((replicas, parts), ("batch", "model")))
    layouts[".*attention/(query|key|value)/kernel"] = (None, "model", None)
    layouts[".*attention/(query|key|value)/bias"] = ("model", None)
    layouts[".*attention/attention_output/kernel"] = ("model", None, None)
    layouts[".*up/kernel"], layouts[".*up/bias"] = (None, "model"), ("model",)
    layouts[".*down/kernel"] = ("model", None)
    return ModelParallel(layout_map=layouts)


def along_sequences(replicas, parts):
    """Each device has some places of every sequence, and all weights. Its queries meet all keys and
    values, which are gathered, so of the scores, length by length, it has some rows."""
    layouts = LayoutMap(DeviceMesh((replicas, parts), ("batch", "sequence")))
    layouts["token|.*norm_[12]|.*attention|.*up|.*down"] = ("batch", "sequence", None)
    layouts[".*attention/query"] = ("batch", "sequence", None, None)
    layouts[".*attention/(key|value)"] = ("batch", None, None, None)
    return ModelParallel(layout_map=layouts)


def distributions(heads):
    """The devices there are in three layouts: two of them in a grid, if they divide so."""
    count = len(list_devices())
    if count == 1:
        return {"one device": DataParallel()}
    parts = next(n for n in (4, 2, 1) if count % n == 0 and heads % n == 0)
    grid = count // parts, parts
    return {
        "batch": DataParallel(),
        "megatron": megatron(*grid),
        "sequence": along_sequences(*grid),
    }


def main(quick=False, epochs=None):
    vocabulary, length, width, heads, blocks = (4, 64, 16, 4, 1) if quick else (64, 2048, 256, 8, 4)
    batch_size, count = 2, 128 if quick else 4096
    rng = np.random.default_rng(0)
    most = rng.integers(0, vocabulary, (count, 1))
    others = rng.integers(0, vocabulary, (count, length))
    tokens = np.where(rng.uniform(size=(count, length)) < 0.4, most, others)
    wanted = np.broadcast_to(most, tokens.shape)
    results = {}
    for name, distribution in distributions(heads).items():
        with distribution.scope():
            keras.utils.set_random_seed(0)
            model = build(vocabulary, length, width, heads, blocks)
            model.compile(
                keras.optimizers.Adam(0.01 if quick else 0.001),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            history = model.fit(
                tokens, wanted, batch_size=batch_size, epochs=epochs or 2, verbose=0
            ).history
            batch = tokens[:batch_size], wanted[:batch_size]
            (needed,) = plan(model, batch_size, batch=batch, distributions=[distribution])
        print(f"{name}: loss {history['loss'][-1]:.4f}; a device: {needed}")
        results[name] = {"loss": history["loss"], "plan": needed}
    return results


if __name__ == "__main__":
    main(**shared.options(__doc__))
