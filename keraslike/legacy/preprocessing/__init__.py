"""Data preparation of Keras 1 and 2; public as `tf.keras.preprocessing`."""

from . import image, sequence, text

__all__ = ["image", "sequence", "text"]
