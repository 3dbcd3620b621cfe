"""VGG19: sixteen 3 x 3 convolutions and three dense layers."""

from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.applications.vgg16 import vgg

VGG19 = vgg(
    "VGG19",
    (2, 2, 4, 4, 4),
    ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
)

preprocess_input = preprocessing("caffe")

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
