"""`tf.errors`: the exceptions that tensors raise."""

from keraslike.data.records import DataLossError


class OpError(Exception):
    """The base of what an operation raises."""

    def __init__(self, message: str = ""):
        super().__init__(message)
        self.message = message


class InvalidArgumentError(OpError, ValueError):
    """Arguments that do not fit one another: dtypes or shapes."""


class OutOfRangeError(OpError, IndexError):
    """An element beyond the last was asked for; a queue that is closed and empty."""


class CancelledError(OpError):
    """An operation that was given up: a queue that is closed."""


class FailedPreconditionError(OpError):
    """Something that is not ready for the operation."""


class NotFoundError(OpError, FileNotFoundError):
    """Something of this name that there is not: a file, a tensor in one."""


class UnimplementedError(OpError, NotImplementedError):
    """What there is no kernel for."""


__all__ = [
    "CancelledError",
    "DataLossError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "UnimplementedError",
]
__dir__ = __all__.copy
