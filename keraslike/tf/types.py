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

experimental = SimpleNamespace(
    Callable=ConcreteFunction | Function,
    ConcreteFunction=ConcreteFunction,
    GenericFunction=Function,
    PolymorphicFunction=Function,
    # What can be converted to a tensor.
    TensorLike=Tensor | Variable | RaggedTensor | SparseTensor | np.ndarray | np.generic | _Numbers,
)

__all__ = ["experimental"]
__dir__ = __all__.copy
