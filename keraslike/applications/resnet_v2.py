"""ResNet V2."""

from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.applications.resnet import resnet

ResNet50V2, ResNet101V2, ResNet152V2 = (resnet(depth, "V2") for depth in (50, 101, 152))

preprocess_input = preprocessing("tf")

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
