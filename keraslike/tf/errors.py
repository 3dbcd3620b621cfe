"""`tf.errors`: the exceptions that operations raise."""

from typing import Any

from keraslike.core.errors import AsksForValue
from keraslike.data.records import DataLossError


class OpError(Exception):
    """The base class of errors of operations.

    >>> error = tf.errors.OpError(None, None, "what happened", 3)
    >>> error.message
    'what happened'
    """

    def __init__(self, *args: Any, **kwargs: Any):
        # Either a message, or TensorFlow's arguments: a node, an operation and a message.
        given = dict(zip(("node_def", "op", "message"), args)) if len(args) > 1 else {}
        self.node_def, self.op = (kwargs.get(n, given.get(n)) for n in ("node_def", "op"))
        first = args[0] if len(args) == 1 else ""
        self.message = str(kwargs.get("message", given.get("message", first)))
        self._code = kwargs.get("error_code", args[3] if len(args) > 3 else None)
        super().__init__(self.message)

    @property
    def error_code(self) -> int | None:
        """The number of the kind of error, as `tf.errors.NOT_FOUND`."""
        own = next((_CODES[t.__name__] for t in type(self).__mro__ if t.__name__ in _CODES), None)
        return own if self._code is None else self._code

    @property
    def experimental_payloads(self) -> dict[bytes, bytes]:
        """Always empty: only servers add payloads."""
        return {}


class InvalidArgumentError(OpError, ValueError):
    """Arguments have incompatible dtypes, shapes or values.

    >>> try:
    ...     tf.reshape([1, 2, 3], [2, 2])
    ... except tf.errors.InvalidArgumentError:
    ...     print("does not fit")
    does not fit
    """


class _InvalidIndex(InvalidArgumentError, IndexError):
    """An index beyond its axis; both an InvalidArgumentError and an IndexError."""


_InvalidIndex.__name__ = _InvalidIndex.__qualname__ = "InvalidArgumentError"


def as_invalid_argument(error: Exception, name: str = "") -> InvalidArgumentError:
    """The error of an operation whose function rejects the arguments, with the same message.

    Args:
        error: the error of that function.
        name: the name of the operation, if known, with which the message begins.
    """
    text = str(error)
    if name and not text.startswith("tf."):
        text = f"tf.{name}: {text}"
    made = (_InvalidIndex if isinstance(error, IndexError) else InvalidArgumentError)(text)
    for note in getattr(error, "__notes__", ()):
        made.add_note(note)
    return made.with_traceback(error.__traceback__)


class OutOfRangeError(OpError, IndexError):
    """Raised at the end of an iterator, or if a queue is closed and empty.

    >>> try:
    ...     next(iter(tf.data.Dataset.range(0)))
    ... except (StopIteration, tf.errors.OutOfRangeError):
    ...     print("at the end")
    at the end
    """


class CancelledError(OpError):
    """An operation was cancelled, such as one on a closed queue.

    >>> issubclass(tf.errors.CancelledError, tf.errors.OpError)
    True
    """


class FailedPreconditionError(OpError):
    """The system is not in the state that an operation needs.

    >>> issubclass(tf.errors.FailedPreconditionError, tf.errors.OpError)
    True
    """


class NotFoundError(OpError, FileNotFoundError):
    """A file, or a tensor in a file, does not exist.

    >>> try:
    ...     tf.train.load_checkpoint("/no/such/file")
    ... except tf.errors.NotFoundError:
    ...     print("not found")
    not found
    """


class AlreadyExistsError(OpError, FileExistsError):
    """Raised if something to be created, such as a file, exists already.

    >>> issubclass(tf.errors.AlreadyExistsError, FileExistsError)
    True
    """


class PermissionDeniedError(OpError, PermissionError):
    """Raised for an operation that is not permitted, such as reading a file opened for writing.

    >>> issubclass(tf.errors.PermissionDeniedError, PermissionError)
    True
    """


class UnimplementedError(OpError, NotImplementedError):
    """Raised for an operation that is not implemented.

    >>> issubclass(tf.errors.UnimplementedError, tf.errors.OpError)
    True
    """


class OperatorNotAllowedInGraphError(AsksForValue, TypeError):
    """An operator of Python was used on a tensor that is being traced.

    >>> issubclass(tf.errors.OperatorNotAllowedInGraphError, TypeError)
    True
    """


# What services and other processes raise, of which keraslike itself raises none.
_OTHERS = {
    "AbortedError": "An operation was aborted, as by another one at the same time.",
    "DeadlineExceededError": "An operation took longer than it may.",
    "InternalError": "Something that must always hold did not: a fault of the system.",
    "ResourceExhaustedError": "There is not enough of something, such as memory.",
    "UnauthenticatedError": "A request lacks valid credentials.",
    "UnavailableError": "A service is not available for now.",
    "UnknownError": "An error of another kind.",
}
for _name, _text in _OTHERS.items():
    _example = f">>> tf.errors.{_name}(None, None, 'why').message"
    globals()[_name] = type(
        _name, (OpError,), {"__doc__": f"{_text}\n\n{_example}\n'why'", "__module__": __name__}
    )


def of_python(error: Exception) -> OpError:
    """What an operation raises for the error of a user's function that it has called."""
    if isinstance(error, OpError):
        name = "UnknownError"
    else:
        name = next((n for kinds, n in _OF_PYTHON if isinstance(error, kinds)), "UnknownError")
    return globals()[name](None, None, f"{type(error).__name__}: {error}")


_OF_PYTHON = (
    ((ValueError, TypeError), "InvalidArgumentError"),
    (StopIteration, "OutOfRangeError"),
    (MemoryError, "ResourceExhaustedError"),
    (NotImplementedError, "UnimplementedError"),
)

_KINDS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
globals().update({_kind: _number for _number, _kind in enumerate(_KINDS)})
_CODES = {f"{_kind.title().replace('_', '')}Error": _number for _number, _kind in enumerate(_KINDS)}

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "DataLossError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OperatorNotAllowedInGraphError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "UnimplementedError",
    *_KINDS,
    *_OTHERS,
]
__dir__ = __all__.copy
