"""Layers, the building blocks of models, with Keras's names, arguments and defaults."""

from __future__ import annotations

from typing import Any

from keraslike.core import registry, serialization
from keraslike.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from keraslike.layers.attention import AdditiveAttention, Attention
from keraslike.layers.categorical import CategoryEncoding, Discretization
from keraslike.layers.conv_recurrent import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from keraslike.layers.convolutional import Conv1D, Conv2D, Conv3D
from keraslike.layers.core import (
    Activation,
    Identity,
    Input,
    InputLayer,
    Lambda,
    Masking,
)
from keraslike.layers.dense import Dense, EinsumDense
from keraslike.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from keraslike.layers.embedding import Embedding, ReversibleEmbedding
from keraslike.layers.hashing import HashedCrossing, Hashing
from keraslike.layers.hosted import TFSMLayer, TorchModuleWrapper
from keraslike.layers.image_color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGaussianBlur,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    RandomSharpness,
    Solarization,
)
from keraslike.layers.image_geometry import (
    RandomElasticTransform,
    RandomFlip,
    RandomPerspective,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from keraslike.layers.image_histogram import (
    AutoContrast,
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
)
from keraslike.layers.image_mixing import (
    AugMix,
    CutMix,
    MixUp,
    RandAugment,
    RandomErasing,
)
from keraslike.layers.image_sizes import (
    CenterCrop,
    MaxNumBoundingBoxes,
    RandomCrop,
    Resizing,
)
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.jax_layers import FlaxLayer, JaxLayer
from keraslike.layers.layer import Layer
from keraslike.layers.lookup import IntegerLookup, StringLookup
from keraslike.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from keraslike.layers.multi_head_attention import GroupedQueryAttention, MultiHeadAttention
from keraslike.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    SpectralNormalization,
    UnitNormalization,
)
from keraslike.layers.pipeline import Pipeline
from keraslike.layers.pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from keraslike.layers.preprocessing import Normalization, Rescaling
from keraslike.layers.recurrent import GRU, LSTM, RNN, SimpleRNN
from keraslike.layers.recurrent_cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
)
from keraslike.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from keraslike.layers.reshaping import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from keraslike.layers.spectrogram import MelSpectrogram, STFTSpectrogram
from keraslike.layers.text import TextVectorization
from keraslike.layers.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from keraslike.layers.wrappers import Bidirectional, TimeDistributed, Wrapper

# Aliases in Keras.
GroupQueryAttention = GroupedQueryAttention
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
GlobalAvgPool3D, GlobalMaxPool3D = GlobalAveragePooling3D, GlobalMaxPooling3D


def serialize(layer: Layer) -> dict[str, Any]:
    """The config dict of a layer.

    >>> serialize(Dense(3))["class_name"]
    'Dense'
    """
    return serialization.serialize(layer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Layer:
    """The layer that a config of `serialize` describes.

    Raises ValueError for the config of something else.

    >>> deserialize(serialize(Dense(3))).units
    3
    """
    layer = serialization.deserialize(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"config must be that of a layer. Received: config={config!r}")
    return layer


__all__ = [
    name for name in registry.members(globals(), "layers") if name != "GroupedQueryAttention"
]

# Keras does not export this class's own name, but its older files contain it.
_older = {"GroupedQueryAttention": GroupedQueryAttention}
_in_files = [name for name in __all__ if name not in ("serialize", "deserialize")]
registry.publish("keras.layers", {name: globals()[name] for name in _in_files} | _older)
__dir__ = __all__.copy
