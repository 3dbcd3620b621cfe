"""`tf.train.experimental.PythonState`: objects whose state is text in a checkpoint."""

from __future__ import annotations

import abc
from typing import Any


class PythonState(abc.ABC):
    """The base class of objects that say themselves how a checkpoint keeps their state.

    >>> import tempfile
    >>> class Count(tf.train.experimental.PythonState):
    ...     value = 0
    ...     def serialize(self):
    ...         return str(self.value)
    ...     def deserialize(self, string_value):
    ...         self.value = int(string_value)
    >>> checkpoint = tf.train.Checkpoint(count=Count())
    >>> checkpoint.count.value = 3
    >>> path = checkpoint.save(tempfile.mkdtemp() + "/ckpt")
    >>> checkpoint.count.value = 9
    >>> status = checkpoint.restore(path)
    >>> checkpoint.count.value
    3
    """

    @abc.abstractmethod
    def serialize(self) -> str | bytes:
        """The state, as text or bytes."""

    @abc.abstractmethod
    def deserialize(self, string_value: bytes) -> Any:
        """Sets the state to what `serialize` has returned."""


__all__ = ["PythonState"]
