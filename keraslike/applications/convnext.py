"""ConvNeXt: convolutional networks modelled on transformers."""

from __future__ import annotations

from typing import Any

from keraslike import layers, ops, random
from keraslike.applications.building import ARGUMENTS, SITE, by_hash, constructor, pooled
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.core.arguments import image_data_format
from keraslike.initializers import Constant
from keraslike.models import Sequential

_PAPER = "Liu et al., A ConvNet for the 2020s, 2022, https://arxiv.org/abs/2201.03545"
_HASHES = {
    "tiny": (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "small": (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "base": (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    "large": (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    "xlarge": (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
}
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class StochasticDepth(layers.Layer):
    """In training, zeroes whole samples with probability `drop_path_rate`, scales the others up.

    Huang et al., Deep networks with stochastic depth, 2016, https://arxiv.org/abs/1603.09382

    >>> import numpy as np
    >>> StochasticDepth(0.5)(np.ones((1, 2)), training=False).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, drop_path_rate: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.drop_path_rate = drop_path_rate

    def call(self, x: Any, training: bool | None = None) -> Any:
        if not training:
            return x
        kept = 1 - self.drop_path_rate
        shape: Any = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        return x / kept * ops.floor(kept + random.uniform(shape))


class LayerScale(layers.Layer):
    """`x * gamma`, with one trainable factor for each channel.

    >>> import numpy as np
    >>> LayerScale(0.5, 2)(np.ones((1, 2))).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight((self.projection_dim,), Constant(self.init_values))

    def call(self, x: Any) -> Any:
        return x * self.gamma


def _normalization(name: str | None = None) -> layers.Layer:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _body(
    x: Any,
    variant: str,
    depths: tuple[int, ...],
    widths: tuple[int, ...],
    include_preprocessing: bool,
    name: str,
) -> Any:
    if image_data_format() == "channels_first":
        raise ValueError("ConvNeXt takes images whose channels are the last axis")
    if include_preprocessing and x.shape[-1] == 3:
        mean = [255 * m for m in _MEANS]
        variance = [(255 * d) ** 2 for d in _DEVIATIONS]
        named = f"{name}_prestem_normalization"
        x = layers.Normalization(mean=mean, variance=variance, name=named)(x)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage == 0:
            parts = [
                layers.Conv2D(width, 4, strides=4, name=f"{name}_stem_conv"),
                _normalization(f"{name}_stem_layernorm"),
            ]
            x = Sequential(parts, name=f"{name}_stem")(x)
        else:
            parts = [
                _normalization(f"{name}_downsampling_layernorm_{stage - 1}"),
                layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{stage - 1}"),
            ]
            x = Sequential(parts, name=f"{name}_downsampling_block_{stage - 1}")(x)
        for i in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{i}")
    return x


def _block(inputs: Any, width: int, name: str) -> Any:
    x = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(inputs)
    x = _normalization(f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(1e-6, width, name=f"{name}_layer_scale")(x)
    return inputs + layers.Activation("linear", name=f"{name}_identity")(x)


def _top(x: Any, classes: int, activation: Any, name: str) -> Any:
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    x = _normalization(f"{name}_head_layernorm")(x)
    return layers.Dense(classes, activation=activation, name=f"{name}_head_dense")(x)


def _end(x: Any, pooling: str | None) -> Any:
    return _normalization()(pooled(x, pooling))


def _convnext(title: str, last_but_one: int, *widths: int) -> Any:
    variant = title.lower()
    arguments = {"include_top": True, "include_preprocessing": True} | ARGUMENTS
    return constructor(
        f"ConvNeXt{title}",
        _PAPER,
        _body,
        by_hash(f"{SITE}convnext/convnext_{{0}}{{1}}.h5", _HASHES),
        name=f"convnext_{variant}",
        size=224,
        top=_top,
        end=_end,
        arguments=arguments,
        variant=variant,
        depths=(3, 3, last_but_one, 3),
        widths=widths,
    )


ConvNeXtTiny = _convnext("Tiny", 9, 96, 192, 384, 768)
ConvNeXtSmall = _convnext("Small", 27, 96, 192, 384, 768)
ConvNeXtBase = _convnext("Base", 27, 128, 256, 512, 1024)
ConvNeXtLarge = _convnext("Large", 27, 192, 384, 768, 1536)
ConvNeXtXLarge = _convnext("XLarge", 27, 256, 512, 1024, 2048)

preprocess_input = preprocessing(None)

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "decode_predictions",
    "preprocess_input",
]
__dir__ = __all__.copy
