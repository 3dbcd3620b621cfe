"""Decoding and encoding of images: `tf.io.decode_png` and similar functions.

JPEGs are decoded by libjpeg-turbo through simplejpeg, with the same values as in TensorFlow, which
uses the fast cosine transform that Pillow does not offer. Pillow decodes the data of PNGs, GIFs and
WebPs.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Container
from typing import Any

import numpy as np

from keraslike.core import foreign
from keraslike.tf import dtypes, gif, png
from keraslike.tf.conversion import _as_operand, constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ops import cast, saturate_cast, stack
from keraslike.tf.structure import operates
from keraslike.tf.tensor import Tensor

_JPEG = b"\xff\xd8\xff"
_BEGINNINGS = {"JPEG": _JPEG, "PNG": png.SIGNATURE, "GIF": b"GIF8", "BMP": b"BM", "WebP": b"RIFF"}
# The values of `channels` that each format allows.
_CHANNELS = {
    "JPEG": (0, 1, 3),
    "PNG": (0, 1, 3, 4),
    "GIF": (0, 3),
    "BMP": (0, 3, 4),
    "WebP": (0, 3, 4),
}


def format_of(data: bytes) -> str | None:
    """The format of an image by its first bytes, such as `"JPEG"`; `None` for any other."""
    return next((k for k, begin in _BEGINNINGS.items() if data.startswith(begin)), None)


def _decoded(operation: str, contents: Any, channels: Any, **how: Any) -> tuple[np.ndarray, str]:
    """The frames of an image, (frames, height, width, channels), and the format.

    Args:
        operation: the name of the function, which determines the allowed formats.
        how: further arguments of `_jpeg`.
    """
    data, channels = convert_to_tensor(contents).numpy(), channels or 0
    kind = format_of(data)
    if kind is None:
        raise InvalidArgumentError(
            f"The bytes are not an image of one of the formats {', '.join(_BEGINNINGS)}."
        )
    if channels not in _CHANNELS[kind]:
        raise InvalidArgumentError(
            f"channels must be one of {_CHANNELS[kind]} for {kind}. Received: channels={channels}"
        )
    of_bmp = operation == "decode_bmp"
    if (of_bmp and kind not in ("BMP", "WebP")) or (
        kind == "BMP" and not of_bmp and operation != "decode_image"
    ):
        raise InvalidArgumentError(f"tf.io.{operation}() does not decode {kind}.")
    if kind == "JPEG":
        return _jpeg(data, channels, **how)[None], kind
    try:
        if kind == "PNG":
            frames = png.decoded(data, channels)[None]
        elif kind == "GIF":
            frames = gif.decoded(data)
        elif kind == "BMP":
            frames = _bmp(data, channels)[None]
        else:
            frames = _webp(data, channels)
    except InvalidArgumentError:
        raise
    except Exception as e:
        raise InvalidArgumentError(f"The bytes cannot be decoded as a {kind}: {e}") from None
    if kind == "GIF" and len(frames) > 1 and operation in ("decode_jpeg", "decode_png"):
        raise InvalidArgumentError(
            f"tf.io.{operation}() decodes single images. Received: a GIF of {len(frames)} frames"
        )
    return frames, kind


def _webp(data: bytes, channels: int) -> np.ndarray:
    pillow = foreign.library("PIL.Image", "tf.io.decode_webp()", "pillow")
    picture = pillow.open(io.BytesIO(data), formats=("WEBP",))
    count = picture.n_frames
    frames = []
    for number in range(count):
        picture.seek(number)
        frames.append(np.asarray(picture.convert("RGBA") if count > 1 else picture))
    have = frames[0].shape[-1]
    if channels not in (0, have):
        raise InvalidArgumentError(
            f"channels must be {have}, as in the file. Received: channels={channels}"
        )
    return np.stack(frames)


def _bmp(data: bytes, channels: int = 0) -> np.ndarray:
    """The bytes of the pixels; as in TensorFlow, a palette is ignored."""
    if len(data) < 32:
        raise InvalidArgumentError(f"A BMP has at least 32 bytes. Received: {len(data)} bytes")
    begin, width, height, bits = struct.unpack_from("<I4xiixxH", data, 10)
    count = bits // 8
    if count not in (1, 3, 4) or width < 1 or not height:
        raise InvalidArgumentError(
            f"A BMP of 8, 24 or 32 bits a pixel was expected. Received: {bits} bits, {width} times "
            f"{abs(height)} pixels"
        )
    line = -(-width * count // 4) * 4
    if len(data) < begin + line * abs(height):
        raise InvalidArgumentError("The BMP ends before its last pixel.")
    rows = np.frombuffer(data, np.uint8, line * abs(height), begin).reshape(-1, line)
    rows = rows[:, : width * count].reshape(-1, width, count)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[count]
    pixels = (rows[::-1] if height > 0 else rows)[..., order]
    return png.of_channels(np.ascontiguousarray(pixels), channels or count, 255)


@operates
def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: Any = None) -> Tensor:
    """An image converted to another dtype: floats range from 0 to 1, integers up to their maximum.

    >>> tf.image.convert_image_dtype([[[0.0, 1.0]]], tf.uint8).numpy().tolist()
    [[[0, 255]]]
    """
    image, wanted = _as_operand(image), dtypes.as_dtype(dtype)
    given = dtypes.as_dtype(image.dtype)
    for kind in (given, wanted):
        if not kind.is_integer and not kind.is_floating:
            raise AttributeError(
                "tf.image.convert_image_dtype: images are of integers or floating-point numbers. "
                f"Received: {kind.name}"
            )
    if given is wanted:
        return image
    if given.is_integer and wanted.is_integer:
        convert = saturate_cast if saturate else cast
        if given.max > wanted.max:
            return convert(image // ((given.max + 1) // (wanted.max + 1)), wanted)
        return convert(image, wanted) * ((wanted.max + 1) // (given.max + 1))
    if given.is_integer:
        return cast(image, wanted) * (1.0 / given.max)
    if wanted.is_integer:
        scaled = image * (wanted.max + 0.5)
        return saturate_cast(scaled, wanted) if saturate else cast(scaled, wanted)
    return cast(image, wanted)


def _of_dtype(frames: np.ndarray, kind: str, dtype: Any) -> Tensor:
    """The frames in a dtype. 8 bits become 16 by repetition for PNGs, by a shift for others."""
    wanted = dtypes.as_dtype(dtype)
    if kind == "WebP" and wanted is not dtypes.uint8:
        raise InvalidArgumentError(f"dtype must be uint8 for WebP. Received: {wanted.name}")
    wide = (
        wanted is dtypes.uint16
        or wanted is not dtypes.uint8
        and (kind == "PNG" or wanted is not dtypes.float32)
    )
    if frames.dtype == np.uint8 and wide:
        frames = frames.astype(np.uint16) * (257 if kind == "PNG" else 256)
    elif frames.dtype == np.uint16 and not wide:
        frames = (frames >> 8).astype(np.uint8)
    found = Tensor(frames)
    return found if found.dtype is wanted else convert_image_dtype(found, wanted)


def _jpeg(data: bytes, channels: int = 0, ratio: int = 1, recover: bool = False, **how: bool):
    """A JPEG as (height, width, channels), by default with the fast cosine transform."""
    library = foreign.library("simplejpeg", "tf.io.decode_jpeg()")

    def decoded(colors: str, strict: bool) -> np.ndarray:
        options = {"fastdct": True, **how, "strict": strict}
        if ratio != 1:  # libjpeg chooses the smallest size that is at least as large
            options.update(min_height=-(-height // ratio), min_width=-(-width // ratio))
        return library.decode_jpeg(data, colors, **options)

    try:
        height, width, space, _ = library.decode_jpeg_header(data)
        of_ink = space in ("CMYK", "YCCK")
        if of_ink and channels == 1:
            raise ValueError("an image in CMYK cannot be converted to grey")
        gray = channels == 1 or (space == "Gray" and not channels)
        colors = "CMYK" if of_ink else "Gray" if gray else "RGB"
        try:
            array = decoded(colors, True)
        except ValueError as e:
            if "remature end" in str(e) and not recover:
                raise
            array = decoded(colors, False)  # libjpeg has only warned, so decode without strictness
    except ValueError as e:
        raise InvalidArgumentError(f"The bytes cannot be decoded as a JPEG: {e}") from None
    if of_ink:  # Adobe's CMYK files store complements
        inks = array.astype(np.uint16)
        return (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)
    return array


def decode_jpeg(
    contents: Any,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """A JPEG, or an image of another format, as uint8 of shape (height, width, channels).

    Args:
        channels: 1 for grey, 3 for colours, 0 for the channels of the file.
        ratio: the factor by which to reduce the size: 1, 2, 4 or 8.
        fancy_upscaling: whether to interpolate colours that are stored at half the resolution.
        try_recover_truncated: whether to accept truncated files.
        dct_method: `"INTEGER_ACCURATE"`, or `"INTEGER_FAST"`, the default.

    Raises InvalidArgumentError for bytes that cannot be decoded.

    >>> coded = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
    >>> tf.image.decode_jpeg(coded).shape
    TensorShape([8, 8, 3])
    """
    how = _how(ratio, fancy_upscaling, try_recover_truncated, dct_method)
    return _single(*_decoded("decode_jpeg", contents, channels, **how))


def _how(ratio: int, fancy_upscaling: bool, recover: bool, dct_method: str) -> dict[str, Any]:
    """The arguments of `_jpeg` for those of `decode_jpeg`."""
    if ratio not in (1, 2, 4, 8):
        raise InvalidArgumentError(f"ratio must be 1, 2, 4 or 8. Received: ratio={ratio}")
    if dct_method not in ("", "INTEGER_FAST", "INTEGER_ACCURATE"):
        raise InvalidArgumentError(
            "dct_method must be 'INTEGER_FAST' or 'INTEGER_ACCURATE'. "
            f"Received: dct_method={dct_method!r}"
        )
    fast = dct_method != "INTEGER_ACCURATE"
    upsampling = {"fastdct": fast, "fastupsample": not fancy_upscaling}
    return {"ratio": ratio, "recover": recover, **upsampling}


def _single(frames: np.ndarray, kind: str) -> Tensor:
    """What TensorFlow's functions for single images give: WebP keeps the axis of frames."""
    frames = frames if frames.dtype == np.uint8 else (frames >> 8).astype(np.uint8)
    return Tensor(frames if kind == "WebP" else frames[0])


def decode_png(
    contents: Any, channels: int = 0, dtype: Any = dtypes.uint8, name: str | None = None
) -> Tensor:
    """A PNG, or an image of another format, as (height, width, channels), uint8 or uint16.

    >>> coded = tf.io.encode_png(tf.constant([[[1], [2]]], tf.uint8))
    >>> tf.image.decode_png(coded).numpy().tolist()
    [[[1], [2]]]
    """
    wanted = dtypes.as_dtype(dtype)
    if wanted not in (dtypes.uint8, dtypes.uint16):
        raise InvalidArgumentError(f"dtype must be uint8 or uint16. Received: {wanted.name}")
    frames, kind = _decoded("decode_png", contents, channels)
    return _of_dtype(frames if kind == "WebP" else frames[0], kind, wanted)


def decode_bmp(contents: Any, channels: int = 0, name: str | None = None) -> Tensor:
    """A BMP as uint8 of shape (height, width, channels).

    >>> header = b"BM" + bytes(
    ...     [
    ...         58,
    ...         0,
    ...         0,
    ...         0,
    ...         0,
    ...         0,
    ...         0,
    ...         0,
    ...         54,
    ...         0,
    ...         0,
    ...         0,
    ...         40,
    ...         0,
    ...         0,
    ...         0,
    ...         1,
    ...         0,
    ...         0,
    ...         0,
    ...         1,
    ...         0,
    ...         0,
    ...         0,
    ...         1,
    ...         0,
    ...         24,
    ...         0,
    ...     ]
    ... )
    >>> tf.io.decode_bmp(header + bytes(24) + bytes([1, 2, 3, 0])).numpy().tolist()
    [[[3, 2, 1]]]
    """
    return _single(*_decoded("decode_bmp", contents, channels))


def decode_gif(contents: Any, name: str | None = None) -> Tensor:
    """The frames of a GIF as uint8 of shape (frames, height, width, 3).

    >>> import io
    >>> import PIL.Image
    >>> file = io.BytesIO()
    >>> PIL.Image.new("RGB", (4, 2)).save(file, "GIF")
    >>> tf.io.decode_gif(file.getvalue()).shape
    TensorShape([1, 2, 4, 3])
    """
    frames, kind = _decoded("decode_gif", contents, 3)
    return _of_dtype(frames, kind, dtypes.uint8)


def decode_webp(
    contents: Any, channels: int = 0, dtype: Any = dtypes.uint8, name: str | None = None
) -> Tensor:
    """The frames of a WebP as uint8 of shape (frames, height, width, channels).

    Args:
        channels: 3 or 4; 0 for those of the file.

    >>> import io
    >>> import PIL.Image
    >>> file = io.BytesIO()
    >>> PIL.Image.new("RGB", (4, 2)).save(file, "WEBP")
    >>> tf.io.decode_webp(file.getvalue()).shape
    TensorShape([1, 2, 4, 3])
    """
    frames, kind = _decoded("decode_webp", contents, channels)
    if kind != "WebP":
        raise InvalidArgumentError(f"decode_webp decodes WebPs. Received: a {kind}.")
    return _of_dtype(frames, kind, dtype)


def decode_image(
    contents: Any,
    channels: int | None = None,
    dtype: Any = dtypes.uint8,
    name: str | None = None,
    expand_animations: bool = True,
) -> Tensor:
    """An image of any format; with `expand_animations`, the frames of a GIF along a first axis.

    >>> coded = tf.io.encode_png(tf.constant([[[1], [2]]], tf.uint8))
    >>> tf.image.decode_image(coded).numpy().tolist()
    [[[1], [2]]]
    """
    frames, kind = _decoded("decode_image", contents, channels)
    moving = kind in ("GIF", "WebP") and expand_animations
    return _of_dtype(frames if moving else frames[0], kind, dtype)


def _picture(image: Any, dtypes_allowed: tuple[Any, ...], channels: Container[int]) -> np.ndarray:
    array = np.asarray(convert_to_tensor(image))
    if array.ndim != 3 or array.dtype not in dtypes_allowed or array.shape[-1] not in channels:
        raise InvalidArgumentError(
            f"A picture of {' or '.join(t.__name__ for t in dtypes_allowed)} of shape (height, "
            f"width, channels), with channels in {channels}, was expected. Received: "
            f"{array.dtype} of shape {array.shape}"
        )
    if not array.size:
        raise InvalidArgumentError(f"A picture without pixels. Received: shape {array.shape}")
    return array


def _saved(array: np.ndarray, **options: Any) -> bytes:
    pillow = foreign.library("PIL.Image", "tf.io.encode_png()", "pillow")
    out = io.BytesIO()
    pillow.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(out, **options)
    return out.getvalue()


# The channels that a format of `encode_jpeg` takes, and the numbers of units of a JPEG's density.
_FORMATS = {"": (1, 3), "grayscale": (1,), "rgb": (3,)}
_UNITS = {"in": 1, "cm": 2}


def encode_jpeg(
    image: Any,
    format: str = "",
    quality: int = 95,
    progressive: bool = False,
    optimize_size: bool = False,
    chroma_downsampling: bool = True,
    density_unit: str = "in",
    x_density: int = 300,
    y_density: int = 300,
    xmp_metadata: str = "",
    name: str | None = None,
) -> Tensor:
    """A uint8 image as the bytes of a JPEG.

    Args:
        format: `"grayscale"` or `"rgb"`; by default according to the number of channels.
        quality: from 0 to 100.
        progressive: whether the image can be shown before all of it has been read.
        optimize_size: whether to optimize the Huffman codes.
        chroma_downsampling: whether colours have half the resolution.
        density_unit, x_density, y_density: the pixels per inch (`"in"`) or centimetre (`"cm"`).
        xmp_metadata: XMP, if it is not empty.

    Raises InvalidArgumentError for images and options of other kinds.

    >>> coded = tf.image.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
    >>> tf.io.is_jpeg(coded).numpy().tolist()
    True
    """
    for known, argument, value in (
        (_FORMATS, "format", format),
        (_UNITS, "density_unit", density_unit),
    ):
        if value not in known:
            raise InvalidArgumentError(
                f"{argument} must be one of {list(known)}. Received: {argument}={value!r}"
            )
    if not 0 <= quality <= 100:
        raise InvalidArgumentError(f"quality must be from 0 to 100. Received: quality={quality}")
    array = _picture(image, (np.uint8,), _FORMATS[format])
    data = _saved(
        array,
        format="JPEG",
        quality=max(quality, 1),
        progressive=progressive,
        optimize=optimize_size,
        subsampling=2 if chroma_downsampling else 0,
    )
    density = struct.pack(">BHH", _UNITS[density_unit], x_density, y_density)
    more = b""
    if xmp_metadata:
        more = b"http://ns.adobe.com/xap/1.0/\0" + convert_to_tensor(xmp_metadata).numpy()
        more = b"\xff\xe1" + struct.pack(">H", 2 + len(more)) + more
    return constant(data[:13] + density + data[18:20] + more + data[20:])


def encode_png(image: Any, compression: int = -1, name: str | None = None) -> Tensor:
    """An image of uint8 or uint16, with 1 to 4 channels, as the bytes of a PNG; several images as
    those of one each.

    Args:
        compression: from 0, for none, to 9, for the smallest file; -1 is a compromise.

    Raises InvalidArgumentError for images of other kinds.

    >>> coded = tf.image.encode_png(tf.constant([[[1], [2]]], tf.uint8))
    >>> tf.strings.substr(coded, 1, 3).numpy()
    b'PNG'
    """
    given = np.asarray(convert_to_tensor(image))
    if given.ndim > 3:
        return stack([encode_png(each, compression) for each in given])
    array = _picture(given, (np.uint8, np.uint16), range(1, 5))
    if not -1 <= compression <= 9:
        raise InvalidArgumentError(
            f"compression must be from -1 to 9. Received: compression={compression}"
        )
    if array.dtype == np.uint16:
        return constant(png.encoded(array, compression))
    level = {} if compression < 0 else {"compress_level": compression}
    return constant(_saved(array, format="PNG", **level))


def decode_and_crop_jpeg(
    contents: Any,
    crop_window: Any,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """A part of a JPEG, in the window `[top, left, height, width]`. Raises InvalidArgumentError for
    a window that is empty or not within the image.

    >>> coded = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
    >>> tf.image.decode_and_crop_jpeg(coded, [0, 0, 2, 4]).shape
    TensorShape([2, 4, 3])
    """
    window = np.ravel(static(crop_window)).tolist()
    if len(window) != 4:
        raise InvalidArgumentError(f"crop_window must have four numbers. Received: {window}")
    top, left, height, width = window
    how = _how(ratio, fancy_upscaling, try_recover_truncated, dct_method)
    whole = _decoded("decode_jpeg", contents, channels, **how)[0][0]
    rows, columns = whole.shape[:2]
    within = top >= 0 <= left and top + height <= rows and left + width <= columns
    if not within or height < 1 or width < 1:
        raise InvalidArgumentError(
            f"crop_window {window} is not a part of a picture of {rows} times {columns} pixels."
        )
    return Tensor(whole[top : top + height, left : left + width])


def extract_jpeg_shape(contents: Any, output_type: Any = dtypes.int32, name: Any = None) -> Tensor:
    """The height, width and number of channels of a JPEG.

    >>> coded = tf.io.encode_jpeg(tf.zeros([8, 4, 3], tf.uint8))
    >>> tf.image.extract_jpeg_shape(coded).numpy().tolist()
    [8, 4, 3]
    """
    library = foreign.library("simplejpeg", "tf.io.extract_jpeg_shape()")
    try:
        height, width, space, _ = library.decode_jpeg_header(convert_to_tensor(contents).numpy())
    except ValueError as e:
        raise InvalidArgumentError(f"The bytes are not a JPEG: {e}") from None
    channels = {"Gray": 1, "CMYK": 4, "YCCK": 4}.get(space, 3)
    return Tensor(np.asarray((height, width, channels), dtypes.as_dtype(output_type).dtype))


def is_jpeg(contents: Any, name: str | None = None) -> Tensor:
    """Whether bytes begin with the signature of a JPEG.

    >>> tf.image.is_jpeg(b"no picture").numpy().tolist()
    False
    """
    data = convert_to_tensor(contents, dtypes.string)
    if data.ndim:
        raise InvalidArgumentError(f"contents must be one string. Received shape: {data.shape}")
    return constant(data.numpy()[:3] == _JPEG)


__all__ = [
    *("decode_and_crop_jpeg", "decode_bmp", "extract_jpeg_shape"),
    *("decode_gif", "decode_image", "decode_jpeg", "decode_png", "decode_webp"),
    *("encode_jpeg", "encode_png", "is_jpeg"),
]
