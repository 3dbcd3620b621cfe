"""What Keras's layers for text and categories give with TensorFlow, and models that it saved.

Writes text_facts.json and text_models/*.keras beside this file, in an environment that has Keras
and TensorFlow, by

    KERAS_BACKEND=tensorflow python tests/layers/text_facts.py
"""

from __future__ import annotations

import json
import os
import pathlib

HERE = pathlib.Path(__file__).parent
WORDS = ["foo bar", "bar baz", "baz bada boom"]
TEXTS = [
    "Hello, World! (it's) a-b_c #1 50% [x]{y} \\ ^ ~ `",
    "tabs\tand\nlines\r\n\x0b\x0cmore",
    "no\u00a0break\u2003em\u3000wide \u200bzero \x85nel \x1cfs",
    "ÀÉÎ Straße ΑΒΓ İI ﬁ 中文 字 e\u0301 \U0001f600!",
    "  lead and trail  ",
    "",
    "¡Hola! «quoted» „low“ – dash — … €5",
]
NUMBERS = [[0, 1, 12], [-7, 1138, 2**40], [12, 12, 0]]
IDF = [0.25, 0.75, 0.5]

# [class, arguments, what it is adapted to, inputs], and whether they are of one feature each.
CASES: list[list] = [
    *(
        ["TextVectorization", {"standardize": s, "split": p}, TEXTS, TEXTS]
        for s in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
        for p in ("whitespace", "character")
    ),
    ["TextVectorization", {"split": None}, TEXTS, [[t] for t in TEXTS]],
    ["TextVectorization", {"ngrams": 2}, WORDS, [["foo bar baz"], ["baz"]]],
    ["TextVectorization", {"ngrams": [1, 3]}, WORDS, ["bada boom baz bada boom", "x"]],
    ["TextVectorization", {"output_sequence_length": 2}, WORDS, ["foo bar baz", "bar", ""]],
    ["TextVectorization", {"output_sequence_length": 6}, WORDS, ["foo bar baz", "bar", ""]],
    ["TextVectorization", {"max_tokens": 4}, WORDS, "foo bar baz"],
    *(
        ["TextVectorization", {"output_mode": m, **more}, WORDS, ["foo bar foo x", "boom", ""]]
        for m in ("multi_hot", "count", "tf_idf")
        for more in ({}, {"max_tokens": 9, "pad_to_max_tokens": True}, {"ngrams": 2})
    ),
    ["StringLookup", {}, ["b", "a", "a", "c", "b"], [["a", "b"], ["z", ""]]],
    ["StringLookup", {"mask_token": "", "num_oov_indices": 3}, [["a", "", "b"]], ["", "q", "r"]],
    ["StringLookup", {"num_oov_indices": 5, "salt": [3, 4]}, [["a", "b"]], list("abcdefg")],
    *(
        ["StringLookup", {"output_mode": m, "mask_token": "", **more}, [["a", "b"], ["b", "c"]],
         [["a", "b", "b"], ["", "z", "y"]]]
        for m in ("one_hot", "multi_hot", "count", "tf_idf")
        for more in ({}, {"num_oov_indices": 2, "max_tokens": 8, "pad_to_max_tokens": True})
    ),
    ["StringLookup", {"vocabulary": ["a", "b", "c"], "output_mode": "tf_idf", "idf_weights": IDF},
     None, [["a", "c", "c"], ["z", "a", "b"]]],
    ["IntegerLookup", {}, NUMBERS, NUMBERS],
    ["IntegerLookup", {"mask_token": 0, "num_oov_indices": 3}, [[1, 12, 0]], NUMBERS],
    ["IntegerLookup", {"num_oov_indices": 4, "oov_method": "farmhash"}, [[1]], NUMBERS],
    ["IntegerLookup", {"num_oov_indices": 4, "oov_method": "farmhash", "salt": 7}, [[1]], NUMBERS],
    ["IntegerLookup", {"output_mode": "count", "mask_token": 0}, NUMBERS, NUMBERS],
    ["IntegerLookup", {"vocabulary": [5, 7], "invert": True, "mask_token": 0}, None, [0, 1, 2, 3]],
    ["IntegerLookup", {"vocabulary": [5, 7], "invert": True, "num_oov_indices": 2}, None, [3, 9]],
    ["Hashing", {"num_bins": 7}, None, [["a", "bb"], ["", "a longer text of more than 16 bytes"]]],
    ["Hashing", {"num_bins": 1000}, None, TEXTS],
    ["Hashing", {"num_bins": 1000, "salt": [133, 137]}, None, TEXTS],
    ["Hashing", {"num_bins": 5, "mask_value": ""}, None, ["", "a", "b"]],
    ["Hashing", {"num_bins": 5, "mask_value": 0}, None, NUMBERS],
    ["Hashing", {"num_bins": 5}, None, [1.0, 2.9, -3.5]],
    ["Hashing", {"num_bins": 4, "output_mode": "one_hot"}, None, [["a"], ["b"]]],
    ["Hashing", {"num_bins": 4, "output_mode": "multi_hot"}, None, [["a", "b"], ["c", "c"]]],
    ["Hashing", {"num_bins": 4, "output_mode": "count", "salt": 1}, None, NUMBERS],
    ["HashedCrossing", {"num_bins": 1000}, None, [["a", "b", "é"], [1, -2, 3]]],
    ["HashedCrossing", {"num_bins": 1000}, None, [["a", "b"], ["x", "y"], ["", "z"]]],
    ["HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, None, [[[5], [6]], [[7], [8]]]],
]  # fmt: skip

ROWS = {"a": [["x"], ["q"]], "b": [[5], [8]], "c": ["v z", "u u"]}
TABLE = {
    "f": [0.0, 0.1, 0.2, 0.7],
    "g": [1.0, 2.0, 3.0, 9.0],
    "h": [0.0, 0.1, 0.2, 0.7],
    "i": [1, 2, 3, 3],
    "j": [1, 2, 3, 3],
    "s": ["a", "b", "b", "c"],
    "t": ["x", "y", "z", "z"],
}
KINDS = {"f": "float", "g": "float_normalized", "h": "float_discretized"}
KINDS |= {"i": "integer_categorical", "j": "integer_hashed"}
KINDS |= {"s": "string_categorical", "t": "string_hashed"}
SPACE = {"crosses": [["s", "i"], ["t", "j"]], "crossing_dim": 4, "hashing_dim": 5}
SPACE |= {"num_discretization_bins": 3}


def facts() -> list[dict]:
    import keras
    import numpy as np
    import tensorflow as tf

    found = []
    for name, arguments, adapted, inputs in CASES:
        given = {k: tuple(v) if k == "ngrams" and v != 2 else v for k, v in arguments.items()}
        layer = getattr(keras.layers, name)(**given)
        fact = {"layer": name, "arguments": arguments, "adapt": adapted, "inputs": inputs}
        if adapted is not None:
            layer.adapt(np.array(adapted))
            fact["vocabulary"] = [
                x if isinstance(x, str) else int(x) for x in layer.get_vocabulary()
            ]
        if name == "HashedCrossing":
            output = layer([tf.constant(column) for column in inputs])
        else:
            kinds = {"Hashing": None, "IntegerLookup": tf.int64}
            output = layer(tf.constant(inputs, kinds.get(name, tf.string)))
        fact["output"] = np.asarray(output).tolist()
        found.append(fact)
    return found


def models() -> dict[str, list]:
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(0)
    outputs = {}

    def keep(name: str, model: keras.Model, inputs: object) -> None:
        model.save(HERE / "text_models" / f"{name}.keras")
        outputs[name] = model.predict(inputs, verbose=0).tolist()

    words = layers.TextVectorization(output_sequence_length=4, ngrams=2)
    words.adapt(WORDS)
    stack = [layers.Input((1,), dtype="string"), words, layers.Embedding(16, 3)]
    model = keras.Sequential([*stack, layers.GlobalAveragePooling1D(), layers.Dense(1)])
    keep("sequence", model, tf.constant([["foo bar x"], ["baz"]]))

    a, c = (keras.Input(s, dtype="string", name=n) for n, s in (("a", (1,)), ("c", ())))
    b = keras.Input((1,), dtype="int64", name="b")
    looked = layers.StringLookup(output_mode="one_hot", num_oov_indices=2)
    looked.adapt(["x", "y", "y"])
    numbers = layers.IntegerLookup()
    numbers.adapt([5, 5, 7])
    weighted = layers.TextVectorization(output_mode="tf_idf")
    weighted.adapt(["u v", "v w v"])
    crossed = layers.HashedCrossing(4, output_mode="one_hot")([a, b])
    hashed = layers.Hashing(3, output_mode="one_hot", salt=5)(a)
    embedded = layers.Flatten()(layers.Embedding(4, 2)(numbers(b)))
    every = layers.Concatenate()([looked(a), embedded, crossed, hashed, weighted(c)])
    model = keras.Model({"a": a, "b": b, "c": c}, layers.Dense(1)(every))
    keep("features", model, {name: tf.constant(rows) for name, rows in ROWS.items()})

    space = keras.utils.FeatureSpace(KINDS, **SPACE)
    space.adapt(tf.data.Dataset.from_tensor_slices(TABLE))
    space.save(HERE / "text_models" / "space.keras")
    outputs["space"] = np.asarray(space(TABLE)).tolist()
    return outputs


if __name__ == "__main__":
    assert os.environ.get("KERAS_BACKEND") == "tensorflow"
    text = json.dumps({"layers": facts(), "models": models()}, ensure_ascii=True, indent=None)
    (HERE / "text_facts.json").write_text(text + "\n")
