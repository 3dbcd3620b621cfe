"""`Function`, a graph of operations between symbolic tensors that is an operation itself."""

from __future__ import annotations

from typing import Any

import jax

from keraslike import ops, tree
from keraslike.core.operation import Operation
from keraslike.core.symbolic import KerasTensor, show_shape
from keraslike.core.tracebacks import handled
from keraslike.models.graph import trace_graph


class Function(Operation):
    """The computation between symbolic tensors, which can be applied to other tensors and arrays.

    It uses the weights of its layers.

    Args:
        inputs: symbolic tensors, or a structure of them; also intermediate ones.
        outputs: symbolic tensors that depend only on the inputs, or a structure of them.
        name: a name; generated if it is omitted.

    Raises ValueError if there are no tensors, if outputs depend on other tensors, and for inputs
    that do not match.

    >>> from keraslike import KerasTensor
    >>> a, b = KerasTensor((None, 2)), KerasTensor((None, 2))
    >>> f = Function([a, b], {"sum": a + b})
    >>> f([jax.numpy.ones((1, 2)), jax.numpy.ones((1, 2))])["sum"].tolist()
    [[2.0, 2.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name=name)
        for argument, given in (("inputs", inputs), ("outputs", outputs)):
            if not tree.flatten(given):
                raise ValueError(f"`{argument}` argument cannot be empty.")
        self._tensor_graph, self._operations = trace_graph(inputs, outputs)
        self._inputs_struct = tree.map_structure(lambda x: x, inputs)
        self._outputs_struct = tree.map_structure(lambda x: x, outputs)

    @property
    def operations(self) -> list[Any]:
        """The operations in topological order."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in a flat list."""
        return tree.flatten(self._inputs_struct)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in a flat list."""
        return tree.flatten(self._outputs_struct)

    @handled
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)

    def call(self, inputs: Any) -> Any:
        inputs = tree.map_structure(ops.convert_to_tensor, inputs)
        return self._run(self._operations, inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        return self._run([op.compute_output_spec for op in self._operations], inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The outputs' shapes for the inputs' shapes."""
        dtypes = iter([x.dtype for x in self.inputs])
        inputs = tree.map_shape_structure(lambda s: KerasTensor(s, next(dtypes)), input_shape)
        return tree.map_structure(lambda x: x.shape, self.compute_output_spec(inputs))

    def _run(self, operations: list[Any], inputs: Any) -> Any:
        self._check(inputs)
        values = {
            spec.index: x for spec, x in zip(self._tensor_graph.inputs, jax.tree.leaves(inputs))
        }
        found = self._tensor_graph.run_steps(operations, values)
        return tree.pack_sequence_as(self._outputs_struct, tree.flatten(found))

    def _check(self, inputs: Any) -> None:
        try:
            tree.assert_same_structure(inputs, self._inputs_struct)
        except ValueError as error:
            raise ValueError(
                f"Function '{self.name}' was called with an invalid input structure. {error}"
            ) from None
        for x, own in zip(tree.flatten(inputs), self.inputs):
            shape = tuple(x.shape)
            if len(shape) != len(own.shape) or any(
                None not in (a, b) and a != b for a, b in zip(shape, own.shape)
            ):
                raise ValueError(
                    f"Function '{self.name}' was passed incompatible inputs. For input "
                    f"'{own.name}', expected shape {tuple(own.shape)}, received a tensor of shape "
                    f"{show_shape(shape)}."
                )
