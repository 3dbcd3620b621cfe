"""What packages use of `keras.src` and keraslike has in another form; `src_names.py` names it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context
from keraslike.core.symbolic import is_symbolic, output_spec

# What Keras asks of its backends, for JAX's.
SUPPORTS_SPARSE_TENSORS = True
SUPPORTS_RAGGED_TENSORS = False
SUPPORTS_COMPLEX_DTYPES = True
IS_THREAD_SAFE = True
DYNAMIC_SHAPES_OK = False
DYNAMIC_BATCH_SIZE_OK = False

BOOL_TYPES = ("bool",)
INT_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
FLOAT8_TYPES = ("float8_e4m3fn", "float8_e5m2")
COMPLEX_TYPES = ("complex64", "complex128")
WEAK_TYPES = ("int", "float")
ALLOWED_DTYPES = (*FLOAT_TYPES[1:], *INT_TYPES, "bfloat16", *BOOL_TYPES, "string") + (
    *FLOAT8_TYPES,
    *COMPLEX_TYPES,
)

_attributes: dict[str, Any] = {}


def get_global_attribute(name: str, default: Any = None, set_to_default: bool = False) -> Any:
    """A value that was set for the whole process.

    >>> get_global_attribute("an_example", default=2)
    2
    """
    value = _attributes.get(name)
    if value is None:
        value = default
        if set_to_default and default is not None:
            _attributes[name] = default
    return value


def set_global_attribute(name: str, value: Any) -> None:
    """Sets a value for the whole process."""
    _attributes[name] = value


def random_seed_dtype() -> str:
    """The dtype of a seed."""
    return "uint32"


def any_symbolic_tensors(args: tuple | None = None, kwargs: dict[str, Any] | None = None) -> bool:
    """Whether any argument is or holds a symbolic tensor.

    >>> any_symbolic_tensors(([2.0],))
    False
    """
    return is_symbolic(args or (), kwargs or {})


def compute_output_spec(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """The symbolic tensors that a function of arrays gives for symbolic arguments.

    >>> from keraslike import KerasTensor
    >>> compute_output_spec(lambda x: x[:, 0], KerasTensor((None, 3))).shape
    (None,)
    """
    return output_spec(fn, args, kwargs)


def shape_equal(a_shape: Sequence[Any], b_shape: Sequence[Any]) -> bool:
    """Whether two shapes are the same where both sizes are known.

    >>> shape_equal((2, None), (2, 3)), shape_equal((2,), (3,))
    (True, False)
    """
    pairs = zip(a_shape, b_shape)
    return len(a_shape) == len(b_shape) and all(a is None or b is None or a == b for a, b in pairs)


def in_symbolic_scope() -> bool:
    """Whether shapes are being computed, and no values."""
    return bool(context.state.symbolic)


def convert_tf_tensor(outputs: Any, dtype: Any = None) -> Any:
    """What a preprocessing layer gives, which is an array of JAX's here anyway."""
    return outputs if dtype is None else jax.tree.map(lambda x: jnp.asarray(x, dtype), outputs)


def class_weight_to_sample_weights(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample, by its class number or its one-hot target.

    >>> class_weight_to_sample_weights(np.array([0, 1, 1]), {1: 2.0}).tolist()
    [1.0, 2.0, 2.0]
    """
    from keraslike.training.data import class_weights_of

    return class_weights_of(np.asarray(y), class_weight)


def no_automatic_dependency_tracking(fn: Callable) -> Callable:
    """Decorator of a method: what attributes it sets do not make layers and variables the object's.

    >>> from keraslike import layers
    >>> class Beside(layers.Layer):
    ...     @no_automatic_dependency_tracking
    ...     def watch(self, layer):
    ...         self.watched = layer
    >>> beside, dense = Beside(), layers.Dense(2)
    >>> dense.build((None, 3))
    >>> beside.watch(dense)
    >>> beside.watched is dense, len(beside.weights)
    (True, 0)
    """

    @functools.wraps(fn)
    def untracked(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fn(self, *args, **kwargs)
        finally:
            new = {k for k, v in vars(self).items() if k not in before or before[k] is not v}
            names = getattr(self, "_untracked", frozenset())
            object.__setattr__(self, "_untracked", names | new | {"_untracked"})

    return untracked
