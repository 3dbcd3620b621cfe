"""`Pipeline`: several layers as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keraslike.core import context, serialization
from keraslike.layers.layer import Layer
from keraslike.layers.signatures import call_takes


class Pipeline(Layer):
    """Applies layers one after another, as a single layer that is not a model: for preprocessing.

    Args:
        layers: the layers, or anything else that can be called.
        name: a name; generated if it is omitted.

    It calls them in training mode, unless `training=False` is passed.

    >>> import jax.numpy as jnp
    >>> from keraslike.layers import Rescaling
    >>> Pipeline([Rescaling(2.0), Rescaling(1.0, offset=1.0)])(jnp.array([1.0, 2.0])).tolist()
    [3.0, 5.0]
    """

    _takes_text = True
    _says_shapes = False

    def __init__(self, layers: Sequence[Any], name: str | None = None):
        super().__init__(name=name)
        self._pipeline_layers = layers

    @property
    def layers(self) -> Sequence[Any]:
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool | None = True, mask: Any = None) -> Any:
        if mask is not None:
            context.set_mask(inputs, mask)
        for layer in self.layers:
            takes = training is not None and isinstance(layer, Layer)
            takes = takes and "training" in call_takes(type(layer).call)
            inputs = layer(inputs, training=training) if takes else layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"layers": serialization.serialize(list(self.layers)), "name": str(self.name)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(
                "The config of a `Pipeline` must contain a `layers` key with a list of configs of "
                f"layers. Received: layers={layers!r}"
            )
        return cls(**{**config, "layers": [serialization.deserialize(layer) for layer in layers]})
