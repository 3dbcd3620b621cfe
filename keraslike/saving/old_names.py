"""A table of names whose meaning changed between Keras 1 and Keras 3.

It lists the names that a file may contain and that Keras 3 has removed or changed: classes,
arguments, values of arguments, and defaults of arguments that a file may lack. `old_config`
traverses a config and consults this table; no other module contains the history.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from keraslike.core import registry


@dataclasses.dataclass(frozen=True)
class Origin:
    """The version of Keras that wrote a file.

    Args:
        version: major, minor and further numbers. A file without a version counts as Keras 2.
        in_tensorflow: whether it was `tf.keras` and not the package `keras`. The two had different
            rules until `tf.keras` replaced the package with version 2.4.
        backend: `"tensorflow"`, `"theano"`, ..., or `None` if it is not recorded.
    """

    version: tuple[int, ...] = (2,)
    in_tensorflow: bool = False
    backend: str | None = None

    @property
    def is_old(self) -> bool:
        """Whether it is older than Keras 3."""
        return self.version < (3,)

    @property
    def is_standalone(self) -> bool:
        """Whether it is the package `keras` of Keras 1, or of Keras 2 before 2.4."""
        return self.version < (2, 4) and not self.in_tensorflow


def origin_of(version: Any, backend: Any = None) -> Origin:
    """The origin that a file states in its `keras_version` and `backend`.

    >>> origin_of("2.2.4-tf").version, origin_of("2.2.4-tf").is_standalone
    ((2, 2, 4), False)
    >>> origin_of("1.2.2").is_standalone, origin_of(None).is_old
    (True, True)
    """
    texts = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in (version, backend)]
    version, backend = (v if isinstance(v, str) else None for v in texts)
    found = re.match(r"\d{1,4}(\.\d{1,4})*", version or "")
    numbers = tuple(map(int, found.group().split("."))) if found else (2,)
    return Origin(numbers, "tf" in (version or ""), backend)


# -- classes ----------------------------------------------------------------------------------

# Class -> its equivalent in Keras 3, and the arguments that select it.
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "AtrousConvolution1D": ("Conv1D", {}),
    "AtrousConvolution2D": ("Conv2D", {}),
    "BatchNormalizationV1": ("BatchNormalization", {}),
    "BatchNormalizationV2": ("BatchNormalization", {}),
    "CuDNNGRU": ("GRU", {"reset_after": True, "recurrent_activation": "sigmoid"}),
    "CuDNNLSTM": ("LSTM", {"recurrent_activation": "sigmoid"}),
    "SyncBatchNormalization": ("BatchNormalization", {"synchronized": True}),
    "ThresholdedReLU": ("ReLU", {}),
    "TimeDistributedDense": ("Dense", {}),
    "UnifiedGRU": ("GRU", {}),
    "UnifiedLSTM": ("LSTM", {}),
}

# The layer that corresponds to a Merge of Keras 1, by its mode.
MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "dot": "Dot",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}

# -- arguments that have another name now -----------------------------------------------------

_KERNEL = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
_RECURRENT = {
    **{k: v for k, v in _KERNEL.items() if k != "bias"},
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}
_POOLING = {
    "pool_length": "pool_size",
    "stride": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
}
_CONVOLUTION = {
    **_KERNEL,
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample_length": "strides",
    "subsample": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "atrous_rate": "dilation_rate",
}
_EMBEDDING = {
    "init": "embeddings_initializer",
    "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}
_OPTIMIZERS = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam", "Ftrl")

# Current class, as a pattern -> argument -> its current name. A current argument is unchanged.
RENAMED: list[tuple[str, dict[str, str]]] = [
    ("Dense", {**_KERNEL, "output_dim": "units"}),
    ("SimpleRNN|LSTM|GRU", _RECURRENT),
    (r"(Separable)?Conv\dD", _CONVOLUTION),
    (r"(Global)?(Max|Average)Pooling\dD", _POOLING),
    (r"(UpSampling|ZeroPadding|Cropping|SpatialDropout)\dD", {"dim_ordering": "data_format"}),
    ("UpSampling1D", {"length": "size"}),
    ("Embedding", _EMBEDDING),
    (r"(Spatial|Gaussian)?Dropout(\dD)?", {"p": "rate"}),
    ("GaussianNoise", {"sigma": "stddev"}),
    ("PReLU", {"init": "alpha_initializer"}),
    ("LeakyReLU", {"alpha": "negative_slope"}),
    ("ReLU", {"theta": "threshold"}),
    ("BatchNormalization", {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"}),
    ("Concatenate", {"concat_axis": "axis"}),
    ("Dot", {"dot_axes": "axes"}),
    ("InputLayer", {"input_dtype": "dtype"}),
    ("MaxNorm", {"m": "max_value"}),
    ("MinMaxNorm", {"low": "min_value", "high": "max_value"}),
    ("|".join(_OPTIMIZERS), {"lr": "learning_rate"}),
]

# -- arguments that are gone ------------------------------------------------------------------


class _Anything:
    def __contains__(self, value: Any) -> bool:
        return True


# A model without the argument computes the same, whatever its value.
ANY = _Anything()

# Current class, as a pattern -> argument -> the values with which it has no effect.
GONE: list[tuple[str, dict[str, Any]]] = [
    (".*", {"time_major": (False,), "dynamic": (False,), "input_dtype": ANY}),
    ("Dense|SimpleRNN|LSTM|GRU|Conv1D", {"input_dim": ANY, "input_length": ANY}),
    ("(SimpleRNN|LSTM|GRU)(Cell)?", {"implementation": ANY, "consume_less": ANY}),
    (r"Conv\dDTranspose|(Depthwise|Separable)Conv\dD", {"groups": (1,)}),
    (
        r"(Depthwise|Separable)Conv\dD",
        {"kernel_initializer": ANY, "kernel_regularizer": ANY, "kernel_constraint": ANY},
    ),
    (r"SpatialDropout\dD", {"trainable": ANY, "noise_shape": (None,)}),
    ("Embedding", {"input_length": ANY, "dropout": (0,), "sparse": (False,)}),
    (
        "BatchNormalization",
        {
            "mode": (0,),
            "fused": ANY,
            "renorm": (False, None),
            "renorm_clipping": ANY,
            "renorm_momentum": ANY,
            "virtual_batch_size": (None, 0),
            "adjustment": (None,),
        },
    ),
    (
        "MultiHeadAttention",
        {
            "query_shape": ANY,
            "key_shape": ANY,
            "value_shape": ANY,
            "softmax_robust_masking": (False,),
        },
    ),
    ("Attention|AdditiveAttention", {"causal": (False,)}),
    ("InputLayer", {"ragged": (False, None), "type_spec": (None,)}),
    # For a Merge of Keras 1: the merging layer was determined before.
    (
        "|".join(sorted(set(MERGES.values()))),
        {
            "mode": ANY,
            "mode_type": ANY,
            "concat_axis": ANY,
            "dot_axes": ANY,
            "arguments": ({},),
            "output_shape": ANY,
            "output_shape_type": ANY,
            "output_mask": ANY,
            "output_mask_type": ANY,
            "node_indices": (None,),
            "tensor_indices": (None,),
        },
    ),
    (
        "|".join((*_OPTIMIZERS, "AdamW", "Lion", "Adafactor")),
        {"jit_compile": ANY, "is_legacy_optimizer": ANY},
    ),
]

# -- defaults of arguments that a file may lack -----------------------------------------------


class Default(NamedTuple):
    """The default of an argument at the time, where it differs from the current one."""

    classes: str
    argument: str
    value: Any
    applies: Callable[[Origin], bool]


DEFAULTS = [
    Default("GRU(Cell)?", "reset_after", False, lambda o: o.is_old),
    Default("(LSTM|GRU)(Cell)?", "recurrent_activation", "hard_sigmoid", lambda o: o.is_standalone),
    Default("Adagrad", "initial_accumulator_value", 0.0, lambda o: o.is_standalone),
    Default(
        "Adam|Adamax|Nadam|RMSprop|Adagrad|Adadelta", "epsilon", 1e-8, lambda o: o.version < (2,)
    ),
    Default("Lion", "learning_rate", 1e-4, lambda o: o.is_old),
]

# -- values that meant something else ---------------------------------------------------------

# Functions: name -> current name. Keras 3 uses another slope for `hard_sigmoid`.
FUNCTIONS = {
    "hard_sigmoid": "keras2_hard_sigmoid",
    "softmax_v2": "softmax",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}

DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}


def _scaling(scale: float, mode: str, distribution: str) -> tuple[str, dict[str, Any]]:
    return "VarianceScaling", {"scale": scale, "mode": mode, "distribution": distribution}


# Initializers by name in Keras 1: class and arguments. Its normal distributions were not truncated.
INITIALIZERS_1: dict[str, tuple[str, dict[str, Any]]] = {
    "glorot_normal": _scaling(1.0, "fan_avg", "untruncated_normal"),
    "he_normal": _scaling(2.0, "fan_in", "untruncated_normal"),
    "orthogonal": ("Orthogonal", {"gain": 1.1}),
}

# Until 2.2.2 the package `keras` did not correct the deviation of a truncated normal distribution,
# which is smaller than that of the full one.
TRUNCATED_VARIANCE = 0.87962566103423978**2
NOT_MADE_UP = (2, 2, 2)

# The initializers, by name, that this concerns.
TRUNCATED = {
    "glorot_normal": (1.0, "fan_avg"),
    "he_normal": (2.0, "fan_in"),
    "lecun_normal": (1.0, "fan_in"),
}


def is_custom(class_name: str) -> bool:
    """Whether the user has registered or passed an object with this name."""
    short = class_name.rpartition(">")[2]
    return any(registry.get_registered_object(n) is not None for n in (class_name, short))
