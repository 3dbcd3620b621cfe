"""`Functional`, a model that is a graph of layers."""

from __future__ import annotations

from typing import Any

from keraslike.models.model import Model


class _OfGraph(type(Model)):
    def __instancecheck__(cls, instance: Any) -> bool:
        graph = isinstance(instance, Model) and instance._tensor_graph is not None
        of_graph = cls is Functional and graph and not instance._is_sequential
        return of_graph or super().__instancecheck__(instance)


class Functional(Model, metaclass=_OfGraph):
    """The class of `Model(inputs, outputs)`.

    A subclass of `Model` that is constructed from inputs and outputs is an instance of it as well.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

    @property
    def operations(self) -> list[Any]:
        """The layers and other operations, in topological order."""
        return list(self._operations)


Model._functional_class = Functional
