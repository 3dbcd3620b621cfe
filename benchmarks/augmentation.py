"""Random changes of a batch of images, by layers of `keras` or `keraslike`, called `k`.

Each library does it its fastest way: keraslike's layers are called as they are, those of Keras on
JAX in a jitted `stateless_call`, those of Keras on TensorFlow in a `tf.function`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SHAPE = (64, 224, 224, 3)
_LAYERS: dict[str, Callable[[Any], Any]] = {
    "RandomFlip": lambda k: k.layers.RandomFlip(seed=1),
    "RandomRotation": lambda k: k.layers.RandomRotation(0.1, seed=1),
    "RandomZoom": lambda k: k.layers.RandomZoom(0.2, seed=1),
    "RandomContrast": lambda k: k.layers.RandomContrast(0.2, seed=1),
}
AUGMENTATIONS = {"all four": lambda k: k.Sequential([make(k) for make in _LAYERS.values()])}
AUGMENTATIONS |= _LAYERS


def timed(name: str, k: Any) -> Callable[[], Any]:
    """Changes the batch once and waits for it."""
    x = np.random.default_rng(0).uniform(0, 255, SHAPE).astype("float32")
    layer = AUGMENTATIONS[name](k)
    if k.__name__ == "keras" and k.backend.backend() == "tensorflow":
        import tensorflow as tf

        images, function = tf.constant(x), tf.function(lambda x: layer(x, training=True))
        return lambda: function(images)[0, 0, 0, 0].numpy()
    import jax

    images = jax.device_put(x)
    if k.__name__ != "keras":
        return lambda: jax.block_until_ready(layer(images, training=True))
    layer(images[:1], training=True)
    state = [v.value for v in layer.non_trainable_variables]
    program = jax.jit(lambda state, x: layer.stateless_call([], state, x, training=True))
    return lambda: jax.block_until_ready(program(state, images))
