"""What Keras's networks consist of, and what they give for two images: written to `facts.json`.

    KERAS_BACKEND=jax python tests/applications/facts.py          asks Keras, and writes it anew
    KERAS_BACKEND=jax python tests/applications/facts.py --check  compares all forty of keraslike

The suite compares the small ones.
"""

import json
import pathlib
import sys
import zlib

import numpy as np

FILE = pathlib.Path(__file__).with_suffix(".json")
SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def weights_for(model):
    """Weights that depend on their place and shape only; vectors are nearly as they were."""
    new = []
    for i, w in enumerate(model.get_weights()):
        rng = np.random.default_rng(i)
        if w.ndim == 1:
            new.append((w * rng.uniform(0.9, 1.1, w.shape)).astype(w.dtype))
        elif w.ndim:
            fan = np.prod(w.shape[:-1]) if w.shape[-1] > 1 else np.prod(w.shape[:2])
            new.append(rng.normal(0, np.sqrt(2 / fan), w.shape).astype(w.dtype))
        else:
            new.append(w)
    return new


def facts_of(applications, name):
    """How many layers and weights it has, hashes of names and shapes, and some of its outputs."""
    side = SIZES.get(name, 32)
    options = {"weights": None, "include_top": False, "pooling": "avg"}
    model = getattr(applications, name)(input_shape=(side, side, 3), **options)
    shapes = [list(w.shape) for w in model.get_weights()]
    model.set_weights(weights_for(model))
    images = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype("float32")
    outputs = model.predict(images, verbose=0)
    scale = float(np.abs(outputs).max())
    return {
        "layers": len(model.layers),
        "names": zlib.crc32(json.dumps(steady([layer.name for layer in model.layers])).encode()),
        "parameters": model.count_params(),
        "shapes": zlib.crc32(json.dumps(shapes).encode()),
        "scale": scale,
        "outputs": [round(float(v), 5) for v in (outputs / scale)[:, :8].ravel()],
    }


def steady(names):
    """Names without the numbers that count up over a process: `conv2d_7` becomes `conv2d`."""
    known = "conv2d batch_normalization activation add concatenate re_lu multiply max_pooling2d"
    known = set(f"{known} average_pooling2d zero_padding2d cropping2d rescaling".split())
    heads = [name.rsplit("_", 1)[0] if name[-1].isdigit() else name for name in names]
    return [head if head in known else name for head, name in zip(heads, names, strict=True)]


def differences(ours, theirs):
    """The names of what differs."""
    found = [k for k in ("layers", "names", "parameters", "shapes") if ours[k] != theirs[k]]
    if not np.allclose(ours["scale"], theirs["scale"], rtol=1e-3):
        found.append("scale")
    if not np.allclose(ours["outputs"], theirs["outputs"], atol=1e-4):
        found.append("outputs")
    return found


def main():
    import keras

    import keraslike

    if "--check" in sys.argv:
        for name, theirs in json.loads(FILE.read_text()).items():
            keraslike.utils.clear_session()
            print(name, differences(facts_of(keraslike.applications, name), theirs) or "same")
        return
    facts = {}
    for name in sorted(n for n in dir(keras.applications) if n[0].isupper()):
        keras.utils.clear_session()
        facts[name] = facts_of(keras.applications, name)
        print(name, facts[name]["parameters"], facts[name]["scale"], flush=True)
        lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in facts.items())
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
