"""Basic layers: Input, Activation, Masking, Identity, Lambda."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import activations, ops
from keraslike.core import dtypes, operation, serialization, symbolic
from keraslike.core.arguments import warn_user, whole
from keraslike.core.structures import tree_map
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tensor_methods import applied
from keraslike.core.tracebacks import entry
from keraslike.layers.layer import Layer
from keraslike.layers.shapes import map_shapes


class Activation(Layer):
    """`activation(inputs)`, element by element or along the last axis, as the function has it.

    Args:
        activation: a function or its name.

    >>> Activation("relu")(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    built = True
    supports_masking = True

    def __init__(self, activation: str | Callable | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: jax.Array) -> jax.Array:
        return applied(self.activation, inputs)


class Masking(Layer):
    """Masks out steps in which all features equal `mask_value`, and sets them to zero.

    Accepts `(batch, steps, ..., features)` and returns the same shape.

    >>> Masking()(jnp.array([[[1.0, 2.0], [0.0, 0.0]]])).tolist()
    [[[1.0, 2.0], [0.0, 0.0]]]
    """

    built = True
    supports_masking = True

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.where(self.compute_mask(inputs)[..., None], inputs, 0)

    def compute_mask(self, inputs: jax.Array, mask: Any = None) -> jax.Array:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)


class Identity(Layer):
    """Returns its inputs.

    >>> Identity()(jnp.array([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    built = True
    _keeps_sparse = _takes_text = True
    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """Wraps a function as a layer: `function(inputs, **arguments)`.

    A function with an argument `training` or `mask` receives it. Weights that the function uses do
    not belong to the layer; a function with weights should be written as a layer.

    Args:
        function: of one array or a structure of them.
        output_shape: the output's shape without the batch, or a function of the inputs' shapes;
            needed only if the function cannot be traced.
        mask: the output's mask, or a function `(inputs, mask)` of it; by default there is none.
        arguments: further keyword arguments for the function.

    Raises TypeError if `function` is not callable. A model with a lambda in it (rather than a named
    function) can be loaded only with `safe_mode=False`.

    >>> Lambda(lambda x: x**2)(jnp.array([3.0])).tolist()
    [9.0]
    """

    _keeps_sparse = _takes_text = _is_users = True

    def __init__(
        self,
        function: Callable,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"function must be callable. Received: function={function!r}")
        self.function = function
        self.output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape
        self.mask = mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        context = {"mask": mask, "training": training}
        wanted = _parameter_names(self.function)
        context = {name: value for name, value in context.items() if name in wanted}
        return applied(self.function, inputs, **{**self.arguments, **context})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        if self.output_shape is None:
            return super().compute_output_spec(inputs, **kwargs)
        shapes = tree_map(lambda tensor: tensor.shape, inputs)
        if callable(self.output_shape):
            return map_shapes(self._output, self.output_shape(shapes))
        batch = symbolic.tensors_in(inputs)[0].shape[0]
        return map_shapes(lambda shape: self._output((batch, *shape)), self.output_shape)

    def _output(self, shape: Any) -> KerasTensor:
        return KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["function"] = _serialize_function(self.function)
        for name in ("output_shape", "mask"):
            value = getattr(self, name)
            if value is None:
                del config[name]
            elif callable(value):
                config[name] = _serialize_function(value)
        return config

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        safe_mode: bool | None = None,
    ) -> Lambda:
        return cls(**serialization.deserialize(config, custom_objects, safe_mode))


def _parameter_names(function: Callable) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # Some functions written in C have no signature.
        return frozenset()


def _serialize_function(function: Callable) -> Any:
    """The config of a function in a Lambda layer, where a lambda's parts are a dict and not a
    list."""
    config = serialization.serialize(function)
    if isinstance(config, dict) and config["class_name"] == "__lambda__":
        names = ("code", "defaults", "closure")
        config["config"] = dict(zip(names, config["config"]["value"], strict=True))
    return config


class InputLayer(Layer):
    """The input of a model; `output` is the symbolic tensor that represents it.

    Args:
        shape: the shape of one sample, with `None` for unknown sizes.
        batch_size: the number of samples, if it is fixed.
        dtype: the dtype of the data, `floatx()` by default.
        batch_shape: the shape including the batch size, instead of both.
        input_tensor: a symbolic tensor to use instead of a new one.
        optional: whether a model may be called with `None` for this input.

    Raises ValueError for contradictory arguments.

    >>> InputLayer(shape=(8,)).output.shape
    (None, 8)
    """

    _keeps_sparse = _takes_text = _is_users = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        if "input_shape" in kwargs:  # The argument's name in Keras 2.
            warn_user("Argument `input_shape` is deprecated. Use `shape` instead.")
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if ragged:
            raise ValueError("`ragged=True` is not supported: there are no ragged arrays in JAX.")
        if batch_size is not None:
            whole(batch_size=batch_size)
        if input_tensor is not None:
            batch_shape, dtype = _agreed(
                input_tensor, shape, batch_size, batch_shape, dtype, sparse
            )
        elif batch_shape is None and shape is None:
            raise ValueError("An input needs its shape: pass a `shape` argument.")
        elif batch_shape is None:
            batch_shape = (batch_size, *symbolic.standardize_shape(shape))
        elif shape is not None or batch_size is not None:
            other = "shape" if shape is not None else "batch_size"
            raise ValueError(
                f"You cannot pass both `{other}` and `batch_shape` at the same time. "
                f"Received: {batch_shape=}, {shape=}, {batch_size=}"
            )
        super().__init__(name=name, dtype=dtypes.standardize_dtype(dtype), **kwargs)
        self.batch_shape = symbolic.standardize_shape(batch_shape)
        self.sparse = bool(sparse if input_tensor is None else input_tensor.sparse)
        self.ragged = False
        self.optional = optional
        self.built = True
        if input_tensor is None:
            input_tensor = KerasTensor(self.batch_shape, self.dtype, self.sparse, name=name)
        operation.record(self, (), {}, input_tensor)

    def call(self, inputs: Any = None) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": serialization.serialize(self.batch_shape),
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _agreed(
    tensor: Any, shape: Any, batch_size: Any, batch_shape: Any, dtype: Any, sparse: Any
) -> tuple:
    """The shape and dtype of the given tensor; raises where another argument contradicts them."""
    if not isinstance(tensor, KerasTensor):
        raise ValueError(
            f"Argument `input_tensor` must be a KerasTensor. Received: input_tensor={tensor!r}"
        )
    for name, given, found in (
        ("shape", shape and tuple(shape), tensor.shape[1:]),
        ("batch_size", batch_size, tensor.shape[0] if tensor.shape else None),
        ("batch_shape", batch_shape and tuple(batch_shape), tensor.shape),
        ("dtype", dtype and dtypes.standardize_dtype(dtype), tensor.dtype),
        ("sparse", sparse, tensor.sparse),
    ):
        if given is not None and given != found:
            raise ValueError(
                f"When providing the `input_tensor` argument, you cannot provide an incompatible "
                f"`{name}` argument: it has {found}. Received: {name}={given}"
            )
    return tensor.shape, tensor.dtype


@entry
def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor to build a model from. The arguments are those of `InputLayer`.

    >>> Input((8,), name="features")
    <KerasTensor shape=(None, 8), dtype=float32, sparse=False, ragged=False, name=features>
    """
    return InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    ).output
