"""Bounding boxes of objects in images, by the names that Keras has for what is done with them."""

from keraslike.ops.bounding_boxes import *  # noqa: F403
from keraslike.ops.bounding_boxes import __all__ as __all__

__dir__ = __all__.copy
