"""The processor's time of decoding, where the input is longer by a token in each step.

    python benchmarks/growing.py {keraslike,keras} {call,predict} LENGTHS

A decoder of two blocks is called by `model(x)` or by `predict` for 1, 2, ... LENGTHS tokens, twice:
what compiling costs is the difference. Keras runs on the backend of `KERAS_BACKEND`.
"""

import sys
import time

import numpy as np

name, way, lengths = sys.argv[1], sys.argv[2], int(sys.argv[3])
if name == "keraslike":
    import keraslike as keras
else:
    import keras
layers = keras.layers


def decoder():
    x = tokens = keras.Input((None,), dtype="int32")
    x = layers.Embedding(1000, 64)(x)
    for _ in range(2):
        x = layers.LayerNormalization()(
            x + layers.MultiHeadAttention(4, 16)(x, x, use_causal_mask=True)
        )
        y = layers.Dense(64)(layers.Dense(256, activation="relu")(x))
        x = layers.LayerNormalization()(x + y)
    return keras.Model(tokens, layers.Dense(1000)(x))


def decode(model):
    tokens = np.zeros((1, 1), "int32")
    for _ in range(lengths):
        logits = model.predict(tokens, verbose=0) if way == "predict" else np.array(model(tokens))
        tokens = np.append(tokens, [[logits[0, -1].argmax()]], axis=1).astype("int32")


keras.utils.set_random_seed(0)
model = decoder()
for attempt in ("first", "again"):
    began = time.process_time()
    decode(model)
    print(f"{name} {way} {lengths} {attempt}: {time.process_time() - began:.2f} s")
