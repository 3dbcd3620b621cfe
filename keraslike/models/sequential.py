"""`Sequential`, a linear stack of layers."""

from __future__ import annotations

import inspect
from typing import Any

from keraslike.core import context, naming, registry, serialization, symbolic
from keraslike.core.arguments import boolean
from keraslike.core.structures import map_leaves
from keraslike.core.tracebacks import entry
from keraslike.layers import Input, InputLayer, Lambda
from keraslike.layers.layer import Layer
from keraslike.layers.layer_building import only_traces
from keraslike.layers.shapes import map_shapes
from keraslike.models.model import Model


class Sequential(Model):
    """A stack of layers, in which the output of each layer is the input of the next.

    A layer may occur several times; its weights are shared and counted once.

    Args:
        layers: the layers. If the first is an `Input`, or has `input_shape=`, the weights are
            created immediately, otherwise from the first data.
        trainable: whether the weights are trained.
        name: a name.

    >>> from keraslike.layers import Dense
    >>> model = Sequential([Dense(4, activation="relu", input_shape=(8,)), Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 41)
    """

    _rebuilding = True
    _is_sequential = True

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        boolean(trainable=trainable)
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        if layers is not None:
            self._rebuilding = False  # The model is built once, after the last layer.
            for layer in layers if isinstance(layers, (list, tuple)) else [layers]:
                self.add(layer)
            del self._rebuilding
            self._maybe_rebuild()

    @entry
    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Appends a layer; raises ValueError for another object."""
        if isinstance(layer, symbolic.KerasTensor) and layer._keras_history is not None:
            layer = layer._keras_history.operation  # The result of Input().
        if not isinstance(layer, Layer):
            if isinstance(layer, type) and issubclass(layer, Layer):
                raise ValueError(
                    f"Only layers can be added to a Sequential. Received the class "
                    f"{layer.__name__}: make a layer of it, {layer.__name__}(...)."
                )
            if not callable(layer) or isinstance(layer, type):
                raise ValueError(
                    f"Only instances of Layer can be added to a Sequential. Received: {layer!r}"
                )
            layer = Lambda(layer)
        if any(layer.name == other.name and layer is not other for other in self._layers):
            raise ValueError(
                f"All layers of a model should have unique names; '{layer.name}' is there already."
            )
        given = layer._given_input_shape
        if not self._layers and given is not None and not isinstance(layer, InputLayer):
            self._layers.append(InputLayer(batch_shape=given))
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(
                f"Sequential '{self.name}' has already been configured to use an input: only the "
                "first of its layers can be an Input."
            )
        self._layers.append(layer)
        if rebuild:
            self._maybe_rebuild()

    def _sorted_sublayers(self, natural: list[Any]) -> list[Any]:
        # Layers count by their place in the model, even if they were created in another order.
        layers = {id(layer): layer for layer in vars(self).get("_layers", ())}
        in_place = iter(layers.values())
        return [
            next(in_place) if id(o) in layers else o for o in super()._sorted_sublayers(natural)
        ]

    @entry
    def pop(self, rebuild: bool = True) -> Layer:
        """Removes the last layer and returns it."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        layer = self._layers.pop()
        if rebuild:
            self._maybe_rebuild()
        else:
            self._tensor_graph, self._operations, self.built = None, [], False
        return layer

    @property
    def input(self) -> Any:
        """The input of the first call in the graph of another model, as in Keras; before one, that
        of `inputs`."""
        return super(Model, self).input if self._inbound_nodes else super().input

    @property
    def output(self) -> Any:
        """The output of the first call in the graph of another model, as in Keras; before one, that
        of `outputs`."""
        return super(Model, self).output if self._inbound_nodes else super().output

    @property
    def _functional(self) -> Model | None:  # Other packages use this private name.
        return self._tensor_graph and Model(self._inputs, self._outputs, name=self.name)

    def _listed_layers(self) -> list[Layer]:
        return [x for x in self._layers if not isinstance(x, InputLayer)]

    def _maybe_rebuild(self) -> None:
        known = None if self._tensor_graph is None else self.input_shape
        self._tensor_graph, self._operations, self.built = None, [], False
        if not self._rebuilding or not self.layers:
            return
        first = self._layers[0]
        if known is not None:
            self.build(known)
        elif isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Model) and first._tensor_graph is not None:
            self.build(first.input_shape)

    @only_traces
    def build(self, input_shape: Any = None) -> None:
        """Creates all weights for an input of this shape, including the batch size, or for a list
        or a dict of shapes if the first layer has such inputs."""
        if not self.layers:
            raise ValueError(f"Sequential '{self.name}' has no layers: add() some first.")
        if input_shape is None:
            if self._tensor_graph is not None:
                return
            raise ValueError("build() of a Sequential needs input_shape.")
        first = self._layers[0]
        if isinstance(first, InputLayer):
            symbols = first.output
            if not _fits(input_shape, first.batch_shape):
                raise ValueError(
                    f"Sequential '{self.name}' has already been configured to use inputs of shape "
                    f"{first.batch_shape}. Received: input_shape={input_shape}"
                )
        elif isinstance(first, Model) and first._tensor_graph is not None:
            symbols = map_leaves(
                lambda t: Input(batch_shape=(None, *t.shape[1:]), dtype=t.dtype), first.input
            )
        else:
            keeps = self._keeps_states()

            def symbol(shape: Any) -> Any:
                batch = shape[0] if keeps else None
                return Input(batch_shape=(batch, *shape[1:]), dtype=first.variable_dtype)

            symbols = map_shapes(symbol, input_shape)
        x = symbols
        try:
            for layer in self.layers:
                x = layer(x)
        except NotImplementedError:  # A layer that cannot compute the shape of its output.
            return
        except TypeError as error:
            parameters = inspect.signature(layer.call).parameters.values()
            needed = [p.name for p in parameters if p.default is p.empty and p.kind in _PLACED]
            if len(needed) > 1:
                raise ValueError(
                    "Layers of a Sequential can only have a single positional argument, their "
                    f"input. That of {type(layer).__name__} '{layer.name}' has {needed}."
                ) from error
            raise
        self._set_graph(symbols, x)
        for spec in self._tensor_graph.inputs:  # type: ignore[union-attr]
            spec.any_size = True  # The layers determine which sizes they accept.
        naming.get_uid("functional")  # Keras's keeps a Functional, which automatic names count.

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._tensor_graph is not None:
            return super().call(inputs, mask=mask)
        if not self._layers:
            raise ValueError(f"Sequential '{self.name}' has no layers: add() some first.")
        with context.masked([] if mask is None else [(inputs, mask)]):
            for layer in self.layers:
                inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialization.serialize(self.dtype_policy),
            "layers": [serialization.serialize(x) for x in self._file_layers()],
        }
        if self._tensor_graph is not None:
            config["build_input_shape"] = map_leaves(lambda t: list(t.shape), self._inputs)
        return config

    def _file_layers(self) -> list[Layer]:
        of_one = isinstance(vars(self).get("_inputs"), symbolic.KerasTensor)
        if (
            self._tensor_graph is not None
            and of_one
            and not isinstance(self._layers[0], InputLayer)
        ):
            return [self._operations[0], *self._layers]
        return self._layers

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        if not isinstance(config, dict) or not {"name", "layers"} <= config.keys():
            raise ValueError(
                "A Sequential model configuration must be a dictionary containing the 'name' and "
                f"'layers' keys. Received: {config}"
            )
        with registry.custom_object_scope(custom_objects or {}):
            layers: list[Any] = []
            named: dict[str, Any] = {}
            for entry in config["layers"]:
                name = _name_in(entry)
                layer = named.get(name) if name is not None else None  # A layer that occurs again.
                if layer is None:
                    if not isinstance(entry, dict) or "config" not in entry:
                        raise ValueError(
                            "A layer of a Sequential is no layer's config. Expected a dictionary "
                            f"containing a 'config' key. Received: {entry!r}"
                        )
                    layer = serialization.deserialize(entry)
                    if name is not None:
                        named[name] = layer
                layers.append(layer)
        model = cls(layers, name=config["name"])
        if config.get("dtype") is not None:
            model.dtype_policy = config["dtype"]
        shape = config.get("build_input_shape")
        if not model.built and shape is not None and model.layers:
            model.build(shape)
        if config.get("trainable") is False:
            model._trainable = False  # The configs of the layers contain this for each of them.
        return model


def _fits(shape: Any, wanted: Any) -> bool:
    """Whether all known sizes of two shapes, except for the batch's, are equal."""
    if not isinstance(shape, (list, tuple)) or any(isinstance(n, (list, tuple)) for n in shape):
        return True  # There are several inputs.
    sizes = zip(shape[1:], wanted[1:])
    return len(shape) == len(wanted) and all(a == b or None in (a, b) for a, b in sizes)


_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _name_in(entry: Any) -> str | None:
    """The name of the layer that an entry of a config describes, if it contains one."""
    config = entry.get("config") if isinstance(entry, dict) else None
    name = config.get("name") if isinstance(config, dict) else None
    return name if isinstance(name, str) else None
