"""`tf.types`: names for annotations."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from keraslike.tf.concrete import ConcreteFunction
from keraslike.tf.function import Function
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor
from keraslike.tf.variables import Variable

_Numbers = bool | int | float | complex | str | bytes | list[Any] | tuple[Any, ...]


class TraceType:
    """The type of what an object's method `__tf_tracing_type__(context)` returns: arguments of
    `tf.function` share a trace if these are equal.

    >>> class Kind(tf.types.experimental.TraceType):
    ...     def __eq__(self, other):
    ...         return type(other) is Kind
    ...     def __hash__(self):
    ...         return 0
    >>> class Fruit:
    ...     def __tf_tracing_type__(self, context):
    ...         return Kind()
    >>> taste = tf.function(lambda fruit: tf.constant(1))
    >>> taste(Fruit()), taste(Fruit())
    (<tf.Tensor: shape=(), dtype=int32, numpy=1>, <tf.Tensor: shape=(), dtype=int32, numpy=1>)
    >>> taste.experimental_get_tracing_count()
    1
    """


experimental = SimpleNamespace(
    Callable=ConcreteFunction | Function,
    ConcreteFunction=ConcreteFunction,
    GenericFunction=Function,
    PolymorphicFunction=Function,
    TraceType=TraceType,
    # What can be converted to a tensor.
    TensorLike=Tensor | Variable | RaggedTensor | SparseTensor | np.ndarray | np.generic | _Numbers,
)

__all__ = ["experimental"]
__dir__ = __all__.copy
