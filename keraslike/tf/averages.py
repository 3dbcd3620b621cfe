"""`tf.train.ExponentialMovingAverage`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flax import nnx

from keraslike.core import context
from keraslike.tf import dtypes, ops, table
from keraslike.tf.tensor import Tensor
from keraslike.tf.variables import Variable

_KINDS = ("bfloat16", "float16", "float32", "float64")


class ExponentialMovingAverage:
    """Moving averages of variables: `average = decay * average + (1 - decay) * variable`.

    Args:
        decay: a number, a tensor or a variable.
        num_updates: how often the averages have been updated, where the decay is to be smaller at
            first: `min(decay, (1 + num_updates) / (10 + num_updates))`.
        zero_debias: accepted without effect: it concerns averages of tensors in graphs.

    >>> v = tf.Variable(1.0)
    >>> ema = tf.train.ExponentialMovingAverage(0.75)
    >>> ema.apply([v])
    >>> v.assign(5.0).numpy().tolist()
    5.0
    >>> ema.apply([v])
    >>> ema.average(v).numpy().tolist()
    2.0
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ):
        self._decay, self._updates, self._name = decay, num_updates, name
        self._averages: dict[int, tuple[Any, Variable]] = {}

    @property
    def name(self) -> str:
        """The name, which those of the averages end with."""
        return self._name

    def apply(self, var_list: Iterable[Any] | None = None) -> None:
        """Updates the averages of variables; the first time they are the values themselves.

        Raises TypeError for tensors, and for variables of integers.
        """
        if var_list is None:
            raise ValueError("var_list must be given: the variables to average.")
        variables = list(var_list)
        for variable in variables:
            if not isinstance(variable, nnx.Variable):
                raise TypeError(
                    "tf.train.ExponentialMovingAverage takes variables. Received: "
                    f"{type(variable).__name__}"
                )
            if dtypes.as_dtype(variable.dtype).name not in _KINDS:
                raise TypeError(
                    f"The variables must be half, float, or double: {variable.name} is "
                    f"{dtypes.as_dtype(variable.dtype).name}"
                )
        decay = ops.cast(self._decay, dtypes.float32)
        if self._updates is not None:
            updates = ops.cast(self._updates, dtypes.float32)
            decay = table.minimum(decay, (1.0 + updates) / (10.0 + updates))
        for variable in variables:
            average = self.average(variable)
            if average is None:
                average = self._made(variable)
            rate = ops.cast(1.0 - decay, average.dtype)
            average.assign_sub((average.value() - Tensor(variable._raw_value)) * rate)

    def _made(self, variable: Any) -> Variable:
        held, context.state.held = context.state.held, {}
        try:
            value = Tensor(variable._raw_value)  # that outside of a trace
        finally:
            context.state.held = held
        average = Variable(value, trainable=False, name=self.average_name(variable))
        self._averages[id(variable)] = variable, average
        return average

    def average(self, var: Any) -> Variable | None:
        """The variable that holds the average of another one; `None` where there is none."""
        return self._averages.get(id(var), (None, None))[1]

    def average_name(self, var: Any) -> str:
        """The name of the variable that holds, or would hold, the average of another one."""
        return f"{var.name.partition(':')[0]}/{self._name}"


__all__ = ["ExponentialMovingAverage"]
