"""Code that all networks share: arguments, input, classifier and weights."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from typing import Any

from keraslike import activations, layers
from keraslike.core.arguments import image_data_format
from keraslike.core.symbolic import KerasTensor
from keraslike.models import Functional
from keraslike.utils import get_file, get_source_inputs

SITE = "https://storage.googleapis.com/tensorflow/keras-applications/"

ARGUMENTS: dict[str, Any] = {
    "include_top": True,
    "weights": "imagenet",
    "input_tensor": None,
    "input_shape": None,
    "pooling": None,
    "classes": 1000,
    "classifier_activation": "softmax",
    "name": None,
}

_DESCRIPTIONS = {
    "include_top": "whether the classifier is part of it.",
    "weights": '`"imagenet"` for those trained on ImageNet, which are downloaded, the path of a '
    "weights file, or `None` for initial ones.",
    "input_tensor": "the output of an `Input`, or of what follows one; a new `Input`, if `None`.",
    "input_shape": "of an image, channels included. With the classifier and ImageNet's weights it "
    "is the size that the network was trained on.",
    "pooling": 'without the classifier: `"avg"` or `"max"` over all places, or `None`.',
    "classes": "how many classes it tells apart.",
    "classifier_activation": "of the classifier; `None` for logits.",
    "include_preprocessing": "whether the network scales the pixels, from 0 to 255, itself.",
    "alpha": "the factor of the numbers of filters.",
    "depth_multiplier": "how many filters a depthwise convolution has for a channel.",
    "dropout": "the rate of dropout before the classifier.",
    "dropout_rate": "the rate of dropout before the classifier.",
    "minimalistic": "whether to leave out squeeze-and-excite, hard swish and 5 x 5 convolutions.",
    "name": "of the model.",
}


def channel_axis() -> int:
    """The axis of the channels in the default data format."""
    return 1 if image_data_format() == "channels_first" else 3


def place_axis() -> int:
    """The first spatial axis."""
    return 2 if image_data_format() == "channels_first" else 1


def padding_before_strides(
    inputs: KerasTensor, kernel_size: int | tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    """The padding before a "valid" convolution with strides of 2 that halves the sides."""
    axis = place_axis()
    kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    sizes = inputs.shape[axis : axis + 2]
    return tuple((k // 2 - (1 if n is None else 1 - n % 2), k // 2) for n, k in zip(sizes, kernel))


def divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of a divisor that is at least nine tenths of the value.

    >>> divisible(33), divisible(3)
    (32, 8)
    """
    near = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * value else near


def dense_top(x: Any, classes: int, activation: Any, pool: str | None = "avg_pool", **options: Any):
    """Global average pooling and a dense layer of class scores."""
    x = layers.GlobalAveragePooling2D(name=pool)(x)
    return layers.Dense(classes, activation=activation, name="predictions", **options)(x)


def pooled(x: Any, pooling: str | None, named: bool = False) -> Any:
    """The output of a network without a classifier."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="max_pool" if named else None)(x)
    return x


def pooled_by_name(x: Any, pooling: str | None) -> Any:
    return pooled(x, pooling, named=True)


def constructor(
    title: str,
    reference: str,
    body: Callable[..., Any],
    weights: Callable[..., tuple[str, str | None]],
    *,
    name: str | Callable[..., str],
    size: int | None,
    min_size: int = 32,
    sizes: tuple[int, ...] = (),
    top: Callable[..., Any] = dense_top,
    end: Callable[..., Any] = pooled,
    arguments: dict[str, Any] = ARGUMENTS,
    check: Callable[..., None] | None = None,
    **variant: Any,
) -> Callable[..., Functional]:
    """A function that makes a network, with Keras's arguments for it.

    Args:
        title: the function's name.
        reference: the paper.
        body: `body(x, **options)` from the input to the last features, where the options are those
            of `variant`, the arguments that only this network has, and `weights` and `name` if it
            asks for them.
        weights: `weights(include_top, size, **options)`, the address of ImageNet's weights, and
            their hash.
        name: the model's default name, or `name(size, **options)`.
        size: of the images that the network was made for; `None` if its classifier takes any.
        min_size: of the smallest images it can do with.
        sizes: other sizes that there are weights for.
        top: `top(x, classes, activation, **options)`, the classifier, where the options are those
            that it has arguments for.
        end: `end(x, pooling)`, what there is in its place.
        arguments: names and defaults, in Keras's order.
        check: `check(weights, **options)` raises where there are no weights for the options.
        variant: further options of `body`.
    """
    if isinstance(name, str):
        arguments = arguments | {"name": name}
    of_top = inspect.signature(top).parameters
    of_body = inspect.signature(body).parameters

    def construct(*args: Any, **kwargs: Any) -> Functional:
        bound = construct.__signature__.bind(*args, **kwargs)  # type: ignore[attr-defined]
        bound.apply_defaults()
        given = dict(bound.arguments)
        common = {k: given.pop(k) for k in ARGUMENTS}
        options = variant | given
        include_top, source = common["include_top"], common["weights"]
        _check_weights(source, include_top, common["classes"], common["classifier_activation"])
        if not include_top and common["pooling"] not in ("avg", "max", None):
            raise ValueError(f"pooling is 'avg', 'max' or None, not {common['pooling']!r}")
        if check is not None:
            check(source, **options)
        shape, tensor = common["input_shape"], common["input_tensor"]
        default = _square(shape if tensor is None else tensor.shape[1:], sizes) or size
        if tensor is None:
            form = image_data_format()
            shape = obtain_input_shape(shape, default, min_size, form, include_top, source)
            tensor = inputs = layers.Input(shape)
        elif not isinstance(tensor, KerasTensor):
            raise TypeError(f"input_tensor is the output of an Input or a layer, not {tensor!r}")
        else:
            _check_shape(shape, tensor)
            shape, sources = tensor.shape[1:], get_source_inputs(tensor)
            inputs = sources[0] if len(sources) == 1 else sources
        x = body(tensor, **options, **{k: common[k] for k in ("weights", "name") if k in of_body})
        if include_top:
            known = options | {"name": common["name"]}
            known = {k: v for k, v in known.items() if k in of_top}
            x = top(x, common["classes"], common["classifier_activation"], **known)
        else:
            x = end(x, common["pooling"])
        rows = shape[place_axis() - 1]
        called = common["name"]
        if called is None and callable(name):
            called = name(rows, **options)
        model = Functional(inputs, x, name=called)
        if source == "imagenet":
            if sizes and rows not in sizes:
                rows = size
                warnings.warn(
                    f"{title} has weights for images of {sizes} pixels a side; those for {size} "
                    f"are taken for input_shape={shape}",
                    stacklevel=2,
                )
            address, file_hash = weights(include_top, rows, **options)
            source = get_file(
                address.rsplit("/", 1)[1], address, cache_subdir="models", file_hash=file_hash
            )
        if source is not None:
            model.load_weights(source)
        return model

    construct.__name__ = construct.__qualname__ = title
    construct.__module__ = body.__module__
    construct.__doc__ = _doc(title, reference, arguments)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    construct.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(k, kind, default=v) for k, v in arguments.items()]
    )
    return construct


def _doc(title: str, reference: str, arguments: dict[str, Any]) -> str:
    lines = [f"    {k}: {_DESCRIPTIONS[k]}" for k in arguments]
    return "\n".join(
        [
            f"{title}, a network that classifies images: {reference}",
            "",
            "Args:",
            *lines,
            "",
            "Returns:",
            "    A functional model: images `(batch, height, width, channels)` to class scores",
            "    `(batch, classes)`, or to features where `include_top` is false.",
            "",
            "Example (it takes seconds):",
            "",
            f"    model = keraslike.applications.{title}(weights=None, classes=10)",
        ]
    )


def _square(shape: Any, sizes: tuple[int, ...]) -> int | None:
    """The side of a square image, if it is one of these sizes."""
    if shape is None or len(shape) != 3:
        return None
    rows, columns = shape[place_axis() - 1 : place_axis() + 1]
    return rows if rows == columns and rows in sizes else None


def _check_weights(weights: Any, include_top: bool, classes: int, activation: Any) -> None:
    if weights not in (None, "imagenet") and not os.path.exists(weights):
        raise ValueError(
            f"weights is None, 'imagenet' or the path of a file that is there, not {weights!r}"
        )
    if weights == "imagenet" and include_top and classes != 1000:
        raise ValueError(f"ImageNet's weights are of 1000 classes, not {classes}")
    if weights is not None and include_top:
        chosen = activations.get(activation)
        if chosen not in (activations.softmax, activations.linear):
            raise ValueError(
                "classifier_activation is 'softmax' or None with trained weights, not "
                f"{activation!r}"
            )


def _check_shape(shape: Any, tensor: KerasTensor) -> None:
    if shape is None:
        return
    for wanted, found in zip(shape, tensor.shape[1:], strict=True):
        if None not in (wanted, found) and wanted != found:
            raise ValueError(
                f"input_shape={tuple(shape)} is not that of input_tensor, {tensor.shape[1:]}"
            )


def obtain_input_shape(
    input_shape: Any,
    default_size: int | None,
    min_size: int,
    data_format: str,
    require_flatten: bool,
    weights: Any = None,
) -> tuple[int | None, ...]:
    """The shape of an image: the given one, if the network supports it; with a classifier
    (`require_flatten`) all sizes have to be known."""
    first = data_format == "channels_first"

    def with_channels(channels: Any, *places: int | None) -> tuple[int | None, ...]:
        return (channels, *places) if first else (*places, channels)

    given = None if input_shape is None else tuple(input_shape)
    if given is not None and len(given) != 3:
        raise ValueError(f"input_shape has three numbers, of an image without its batch: {given}")
    channels = 3 if given is None else given[0 if first else -1]
    if weights == "imagenet":
        if channels != 3:
            raise ValueError(f"ImageNet's images have 3 channels; input_shape={given}")
        expected = with_channels(3, default_size, default_size)
        if require_flatten and default_size and given is not None and given != expected:
            raise ValueError(
                f"with the classifier and ImageNet's weights input_shape is {expected}, not {given}"
            )
    elif channels not in (1, 3):
        warnings.warn(f"input_shape={given} has {channels} channels", stacklevel=3)
    if given is None:
        size = default_size if require_flatten else None
        given = with_channels(channels, size, size)
    places = given[1:] if first else given[:-1]
    if any(n is not None and n < min_size for n in places):
        raise ValueError(f"images are at least {min_size} x {min_size}; input_shape={given}")
    if require_flatten and None in given:
        raise ValueError(f"with the classifier every size is known; input_shape={given}")
    return given


def by_hash(
    pattern: str, hashes: dict[str, tuple[str, str]] | tuple[str, str]
) -> Callable[..., Any]:
    """The location of weights whose address differs by variant, and by `_notop`."""

    def find(include_top: bool, size: int, variant: str = "", **_: Any) -> tuple[str, str]:
        of_variant = hashes if isinstance(hashes, tuple) else hashes[variant]
        address = pattern.format(variant, "" if include_top else "_notop")
        return address, of_variant[0 if include_top else 1]

    return find
