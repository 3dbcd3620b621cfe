"""`tf.profiler`: records what a program does, for TensorBoard, by JAX's profiler."""

from keraslike.tf.profiler import experimental

__all__ = ["experimental"]
__dir__ = __all__.copy
