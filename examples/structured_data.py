"""Predicts heart disease from numbers, categories and text, with a FeatureSpace.

python examples/structured_data.py          # 303 patients, downloaded once
python examples/structured_data.py --quick
"""

import csv

import numpy as np
import shared

import keraslike as keras
from keraslike import layers
from keraslike.utils import FeatureSpace

ADDRESS = "http://storage.googleapis.com/download.tensorflow.org/data/heart.csv"
NUMBERS = ("age", "trestbps", "chol", "thalach", "oldpeak", "slope")
INTEGERS = ("sex", "cp", "fbs", "restecg", "exang", "ca")


def patients(n):
    """Made-up patients, of whom the elder and those with `thal` "fixed" are ill."""
    rng = np.random.default_rng(0)
    table = {name: rng.normal(size=n).astype("float32") for name in NUMBERS}
    table |= {name: rng.integers(0, 3, n) for name in INTEGERS}
    table["age"] = rng.uniform(30, 80, n).astype("float32")
    table["thal"] = rng.choice(["fixed", "normal", "reversible"], n)
    return table, ((table["age"] > 60) | (table["thal"] == "fixed")).astype("float32")


def fetch():
    with open(keras.utils.get_file(origin=ADDRESS), newline="") as file:
        rows = list(csv.DictReader(file))
    table = {name: np.array([float(row[name]) for row in rows], "float32") for name in NUMBERS}
    table |= {name: np.array([int(row[name]) for row in rows]) for name in INTEGERS}
    table["thal"] = np.array([row["thal"] for row in rows])
    return table, np.array([float(row["target"]) for row in rows], "float32")


def main(quick=False, epochs=None):
    table, ill = patients(384) if quick else fetch()
    space = FeatureSpace(
        features={
            **{name: FeatureSpace.integer_categorical(num_oov_indices=0) for name in INTEGERS},
            "thal": FeatureSpace.string_categorical(num_oov_indices=0),
            "age": FeatureSpace.float_discretized(num_bins=20),
            **{name: FeatureSpace.float_normalized() for name in NUMBERS if name != "age"},
        },
        crosses=[
            FeatureSpace.cross(feature_names=("sex", "age"), crossing_dim=64),
            FeatureSpace.cross(feature_names=("thal", "ca"), crossing_dim=16),
        ],
        output_mode="concat",
    )
    order = np.random.default_rng(1).permutation(len(ill))
    valid, train = np.split(order, [len(order) // 5])

    def rows(chosen):
        return {name: column[chosen] for name, column in table.items()}

    space.adapt(rows(train))
    features = space.get_encoded_features()
    x = layers.Dropout(0.5)(layers.Dense(32, activation="relu")(features))
    probability = layers.Dense(1, activation="sigmoid")(x)
    model = keras.Model(features, probability)
    model.compile(
        keras.optimizers.Adam(0.005 if quick else 0.001),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        space(rows(train)),
        ill[train],
        epochs=epochs or (10 if quick else 20),
        validation_data=(space(rows(valid)), ill[valid]),
        verbose=2,
    ).history

    # The model that takes a patient as it stands in the table.
    whole = keras.Model(space.get_inputs(), probability)
    patient = {name: column[valid[:1]] for name, column in table.items()}
    chance = float(whole.predict(patient, verbose=0)[0, 0])
    print(f"This patient has heart disease with a probability of {chance:.2f}")
    return {**history, "chance": chance, "ill": float(ill[valid[0]])}


if __name__ == "__main__":
    main(**shared.options(__doc__))
