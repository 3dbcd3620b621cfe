"""Operations on bounding boxes, under Keras's names."""

from keraslike.ops.bounding_boxes import *  # noqa: F403
from keraslike.ops.bounding_boxes import __all__ as __all__

__dir__ = __all__.copy
