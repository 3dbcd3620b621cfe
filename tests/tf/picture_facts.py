"""What TensorFlow makes of pictures: `python tests/tf/picture_facts.py`, where it and Pillow are
installed, writes `picture_facts.json`, digests of the values for `test_pictures.py`."""

import base64
import hashlib
import io
import json
import os

import numpy as np

PATH = os.path.join(os.path.dirname(__file__), "picture_facts.json")
SIZES = [((24, 31, 3), (16, 16)), ((9, 7, 3), (9, 30)), ((20, 20, 1), (57, 61))]


def image(height, width, channels=3):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 6 + 1, width // 6 + 1, channels))
    image = blocks.repeat(6, 0).repeat(6, 1)[:height, :width]
    return (image + rng.integers(-20, 20, image.shape)).clip(0, 255).astype("uint8")


def files():
    """Images of the kinds that there are, by name."""
    from PIL import Image

    made = {}
    for name, mode, options in (
        ("colours at half size", "RGB", {"subsampling": 2}),
        ("colours at full size, progressive", "RGB", {"subsampling": 0, "progressive": True}),
        ("grey", "L", {}),
        ("inks", "CMYK", {}),
    ):
        out = io.BytesIO()
        Image.fromarray(image(29, 35)).convert(mode).save(out, "JPEG", quality=85, **options)
        made[name] = out.getvalue()
    whole = made["colours at half size"]
    made["no end"] = whole[:-2]
    made["half"] = whole[: len(whole) // 2]
    made["more behind"] = whole + b"more"
    made["wrong in the middle"] = whole[:700] + b"\xff\x00\x12\x34" * 3 + whole[712:]
    pixels = Image.fromarray(image(9, 7))
    alpha = Image.fromarray(image(9, 7, 4))
    few = pixels.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    dark = [Image.new("RGB", (6, 5), color) for color in ("black", "red")]
    dark[1].paste("blue", (2, 1, 4, 3))
    for name, picture, kind, options in (
        ("PNG", pixels, "PNG", {}),
        ("PNG with alpha", alpha, "PNG", {}),
        ("PNG of 2 bits", few, "PNG", {"bits": 2}),
        ("PNG with a transparent colour", pixels, "PNG", {"transparency": pixels.getpixel((0, 0))}),
        (
            "PNG of 16 bits",
            Image.fromarray(image(9, 7, 1)[..., 0].astype("uint16") * 259),
            "PNG",
            {},
        ),
        ("GIF", few, "GIF", {}),
        (
            "moving GIF",
            dark[0],
            "GIF",
            {"save_all": True, "append_images": dark[1:], "disposal": 2},
        ),
        ("BMP", pixels, "BMP", {}),
        ("BMP with a palette", few, "BMP", {}),
        ("BMP with alpha", alpha, "BMP", {}),
        ("WebP", pixels, "WEBP", {"lossless": True}),
        ("TIFF", pixels, "TIFF", {}),
    ):
        out = io.BytesIO()
        picture.save(out, kind, **options)
        made[name] = out.getvalue()
    made["half a PNG"] = made["PNG"][:90]
    made["half a BMP"] = made["BMP"][:90]
    made["PNG of 16 bits in colours"] = colours_of_16_bits()
    return made


def colours_of_16_bits():
    """A PNG as libpng writes it, with rows of all filters, which Pillow does not write."""
    import struct
    import zlib

    rng = np.random.default_rng(0)
    lines = [bytes([n]) + rng.integers(0, 256, 7 * 6, "uint8").tobytes() for n in range(5)]
    chunks = {b"IHDR": struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)}
    chunks |= {b"IDAT": zlib.compress(b"".join(lines)), b"IEND": b""}
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks.items():
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    return data


CALLS = {
    "decode_jpeg": {},
    "decode_jpeg 1": {"channels": 1},
    "decode_jpeg 3": {"channels": 3},
    "decode_jpeg 4": {"channels": 4},
    "decode_jpeg half": {"ratio": 2},
    "decode_jpeg eighth, grey": {"ratio": 8, "channels": 1},
    "decode_jpeg plain": {"fancy_upscaling": False},
    "decode_jpeg accurate": {"dct_method": "INTEGER_ACCURATE"},
    "decode_image": {},
    "decode_png 1": {"channels": 1},
    "decode_png 4": {"channels": 4},
    "decode_png wide": {"dtype": "uint16"},
    "decode_bmp": {},
    "decode_bmp 3": {"channels": 3},
    "decode_gif": {},
    "extract_jpeg_shape": {},
}


def digest(value):
    value = np.ascontiguousarray(value)
    return [list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()[:16]]


def decoded(tf, data):
    """Digests of what the calls give; `None` where they raise."""
    found = {}
    for name, options in CALLS.items():
        try:
            found[name] = digest(getattr(tf.io, name.split()[0])(data, **options).numpy())
        except tf.errors.InvalidArgumentError:
            found[name] = None
    return found


def resized(tf, shape, size):
    """Of bytes and of floats."""
    small = image(*shape)
    return [digest(tf.image.resize(x, size).numpy()) for x in (small, small / np.float32(7))]


if __name__ == "__main__":
    import tensorflow as tf

    facts = {"files": {}, "resized": [resized(tf, *each) for each in SIZES]}
    for name, data in files().items():
        facts["files"][name] = [base64.b64encode(data).decode(), decoded(tf, data)]
    with open(PATH, "w") as file:
        json.dump(facts, file, indent=1)
