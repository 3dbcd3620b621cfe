"""The names of the older optimizers of TensorFlow's Keras 2, which Keras 3 does not have."""

from typing import Any


class Optimizer:
    """Raises ImportError, as in Keras 3: these optimizers have other update rules than the current
    ones.

    >>> SGD(0.1)
    Traceback (most recent call last):
        ...
    ImportError: `keras.optimizers.legacy.SGD` is an optimizer of Keras 2, which Keras 3 does ...
    """

    def __init__(self, *args: Any, **kwargs: Any):
        name = type(self).__name__
        raise ImportError(
            f"`keras.optimizers.legacy.{name}` is an optimizer of Keras 2, which Keras 3 does "
            f"not have. Use `keras.optimizers.{name}`, with a schedule in place of `decay`."
        )


class SGD(Optimizer):
    __doc__ = Optimizer.__doc__


class Adam(Optimizer):
    __doc__ = Optimizer.__doc__


class Adagrad(Optimizer):
    __doc__ = Optimizer.__doc__


class Ftrl(Optimizer):
    __doc__ = Optimizer.__doc__


class RMSprop(Optimizer):
    __doc__ = Optimizer.__doc__


__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]
__dir__ = __all__.copy
