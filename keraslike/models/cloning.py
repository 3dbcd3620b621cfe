"""`clone_model`, which makes a model with the same architecture and new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from keraslike.core import registry, serialization
from keraslike.core.annotations import checked
from keraslike.core.arguments import warn_user
from keraslike.core.errors import InvalidArgument
from keraslike.core.notes import shown
from keraslike.core.structures import flatten
from keraslike.layers import Input, InputLayer
from keraslike.layers.layer import Layer
from keraslike.models.functional import Functional
from keraslike.models.model import Model, takes_graph
from keraslike.models.sequential import Sequential


@checked
def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """A copy of a model with new layers and new weights.

    Args:
        model: a Sequential or functional model, or a subclassed one with a `get_config`.
        input_tensors: symbolic tensors to build upon instead of new inputs.
        clone_function: a function from each layer, except Input, to the new one; by default from
            its config.
        call_function: `f(layer, *args, **kwargs)`, called instead of `layer(*args, **kwargs)`
            in a functional model.
        recursive: whether `clone_function` is given the layers of nested models, too; a layer that
            several of them share is then cloned once.

    A class that is constructed from inputs and outputs is that of the clone, too.

    Raises ValueError for arguments that a model of this kind has no use for.

    >>> from keraslike.layers import Dense
    >>> one = Sequential([Dense(3, input_shape=(2,)), Dense(1)])
    >>> two = clone_model(one)
    >>> two.count_params(), two.layers[0] is one.layers[0]
    (13, False)
    """
    if kwargs:
        raise ValueError(f"Unexpected arguments: {sorted(kwargs)}")
    if isinstance(model, Layer) and not isinstance(model, Model):
        return _as_built(model)
    if not isinstance(model, Model):
        raise InvalidArgument(f"model must be a Model. Received: model={shown(model)}")
    if isinstance(model, Sequential) and call_function is not None:
        raise ValueError(
            "call_function is for functional models, since a Sequential calls its layers itself. "
            f"Received: model={shown(model)}"
        )
    twin = _cloned(model, input_tensors, clone_function, call_function, recursive, {})
    if model.compiled and not twin.compiled:
        try:
            with serialization.keeping_functions():
                config = model.get_compile_config()
            if config is not None:
                twin.compile_from_config(config)
        except (TypeError, ValueError) as error:
            warn_user(f"The clone of '{model.name}' is not compiled: {error}")
    return twin


def _cloned(
    model: Model,
    input_tensors: Any,
    clone_function: Callable[[Layer], Layer] | None,
    call_function: Callable | None,
    recursive: bool,
    clones: dict[int, Any],
) -> Model:
    def clone(layer: Any) -> Any:
        if id(layer) not in clones:
            clones[id(layer)] = cloned(layer)
        return clones[id(layer)]

    def cloned(layer: Any) -> Any:
        if recursive and (isinstance(layer, Sequential) or issubclass(type(layer), Functional)):
            function = None if isinstance(layer, Sequential) else call_function
            return _cloned(layer, None, clone_function, function, True, clones)
        if clone_function is None or isinstance(layer, InputLayer) or not isinstance(layer, Layer):
            return _by_config(layer)
        return clone_function(layer)

    if isinstance(model, Sequential):
        layers = [clone(x) for x in (model._layers if input_tensors is None else model.layers)]
        if input_tensors is not None:
            layers = [*jax.tree.leaves(input_tensors), *layers]
        twin = Sequential(layers, trainable=model.trainable, name=model.name)
        if model._tensor_graph is not None and not twin.built:
            twin.build(model.input_shape)
        return twin
    if model._tensor_graph is None:
        if any(a is not None for a in (input_tensors, clone_function, call_function)):
            raise ValueError(
                f"Model '{model.name}' is a subclass without a graph of layers: it is cloned by "
                "its config, and takes no input_tensors, clone_function or call_function."
            )
        return _as_built(model)
    specs = model._tensor_graph.inputs
    if input_tensors is None:
        inputs = [
            Input(
                batch_shape=s.shape,
                dtype=s.dtype,
                name=s.name,
                sparse=s.sparse,
                optional=s.optional,
            )
            for s in specs
        ]
    else:
        inputs = jax.tree.leaves(input_tensors)
        if len(inputs) != len(specs):
            raise ValueError(f"input_tensors must hold {len(specs)} tensors, not {len(inputs)}.")
        if len(specs) > 1 and _shape_of(input_tensors) != _shape_of(model._inputs):
            raise ValueError(
                "`input_tensors` must have the same structure as model.input, "
                f"{_shape_of(model._inputs)}. Received: {_shape_of(input_tensors)}"
            )
    operations = [
        op if isinstance(op, InputLayer) else clone(op)  # Inputs are replaced, not called.
        for op in model._operations
    ]
    if call_function is not None:
        operations = [_CalledBy(call_function, op) for op in operations]
    structured = jax.tree.unflatten(flatten(model._inputs)[1], inputs)
    flat = model._tensor_graph._flatten(structured, model.name)
    # The new tensors may have other sizes than the inputs.
    values = {s.index: x for s, x in zip(specs, flat, strict=True)}
    outputs = model._tensor_graph.run_steps(operations, values)
    cls: Any = type(model) if takes_graph(type(model)) else Functional
    return cls(structured, outputs, name=model.name)


def _shape_of(tensors: Any) -> Any:
    """The structure of tensors, in which lists and tuples are equivalent."""
    if isinstance(tensors, dict):
        return {k: _shape_of(tensors[k]) for k in sorted(tensors)}
    if isinstance(tensors, (list, tuple)):
        return [_shape_of(t) for t in tensors]
    return "tensor"


def _as_built(layer: Layer) -> Any:
    """A layer or model with the same config, built for the same shapes."""
    own = {type(layer).__name__: type(layer)}
    with serialization.keeping_functions(), registry.custom_object_scope(own):
        return serialization.deserialize(serialization.serialize(layer))


def _by_config(layer: Any) -> Any:
    if not isinstance(layer, Layer):
        return layer.again()
    with serialization.keeping_functions():
        config = layer.get_config()
    return type(layer).from_config(config)


class _CalledBy:
    def __init__(self, function: Callable, layer: Any):
        self.function, self.layer = function, layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.layer, *args, **kwargs)
