"""Serialization of objects in the form of Keras 2."""

from keraslike.utils.legacy import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
