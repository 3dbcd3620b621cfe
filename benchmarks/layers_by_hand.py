"""The same layers as `layers_alone.py`, as one writes them by hand with jax's own operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from by_hand import LAYOUTS, Weights, attention_of, dropped, gru_of, lstm_of, max_pool, simple_step
from jax import lax


def with_bias(w: Weights, y: Any) -> Any:
    return y + w(y.shape[-1], fill=0.0)


def conv(filters: int, size: int = 3, **options: Any) -> Callable:
    return lambda w, x, key: with_bias(w, w.conv(x, filters, size, **options))


def transposed(w: Weights, x: Any, key: Any) -> Any:
    kernel = w(4, 4, 32, x.shape[-1])
    y = lax.conv_transpose(
        x, kernel, (2, 2), "SAME", dimension_numbers=LAYOUTS[2], transpose_kernel=True
    )
    return with_bias(w, y)


def separable(w: Weights, x: Any, key: Any) -> Any:
    return with_bias(w, w.conv(w.conv(x, 64, groups=64), 64, 1))


def average_pool(x: Any) -> Any:
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def simple_rnn(w: Weights, x: Any, key: Any) -> Any:
    projected, recurrent = jnp.swapaxes(w.dense(x, 64), 0, 1), w(64, 64)

    def step(states: tuple, x: Any) -> Any:
        return simple_step(states, x, recurrent), None

    return lax.scan(step, (jnp.zeros((len(x), 64)),), projected)[0][0]


def bidirectional_lstm(w: Weights, x: Any, key: Any) -> Any:
    return jnp.concatenate([lstm_of(w, x, 32, reverse) for reverse in (False, True)], axis=-1)


def attention(w: Weights, x: Any, key: Any) -> Any:
    return jax.nn.softmax(x @ jnp.swapaxes(x, 1, 2)) @ x


def additive_attention(w: Weights, x: Any, key: Any) -> Any:
    scores = jnp.tanh(x[:, :, None] + x[:, None]) @ w(x.shape[-1])
    return jax.nn.softmax(scores) @ x


LAYERS: dict[str, Callable[[Weights, Any, Any], Any]] = {
    "Dense 512": lambda w, x, key: jax.nn.relu(w.dense(x, 512)),
    "Dense 256, 3 axes": lambda w, x, key: w.dense(x, 256),
    "EinsumDense": lambda w, x, key: jnp.einsum("abc,cde->abde", x, w(64, 4, 16)),
    "Embedding": lambda w, x, key: w(5000, 64)[x],
    "Conv1D": conv(64, 5),
    "Conv2D, 1 channel": conv(32, padding="VALID"),
    "Conv2D": conv(64),
    "Conv2D, strides 2": conv(64, strides=2),
    "Conv2D, dilated": conv(32, dilation=2),
    "Conv2D, 4 groups": conv(64, groups=4),
    "Conv2D, fewer filters": conv(16, padding="VALID"),
    "Conv2D, 2 x 2": conv(512),
    "Conv3D": conv(16),
    "Conv2DTranspose": transposed,
    "DepthwiseConv2D": conv(64, groups=64),
    "SeparableConv2D": separable,
    "MaxPooling2D": lambda w, x, key: max_pool(x),
    "AveragePooling2D": lambda w, x, key: average_pool(x),
    "GlobalAveragePooling2D": lambda w, x, key: x.mean((1, 2)),
    "BatchNormalization": lambda w, x, key: w.batch_norm(x),
    "LayerNormalization": lambda w, x, key: w.normalized(x, (-1,)),
    "Dropout": lambda w, x, key: dropped(x, 0.5, key),
    "UpSampling2D": lambda w, x, key: x.repeat(2, 1).repeat(2, 2),
    "SimpleRNN": simple_rnn,
    "LSTM": lambda w, x, key: lstm_of(w, x, 64),
    "GRU": lambda w, x, key: jnp.swapaxes(gru_of(w, x, 64)[1], 0, 1),
    "Bidirectional LSTM": bidirectional_lstm,
    "MultiHeadAttention": lambda w, x, key: attention_of(w, x, 4),
    "Attention": attention,
    "AdditiveAttention": additive_attention,
}
