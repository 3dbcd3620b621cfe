"""`tf.compat.v1.train`: TensorFlow 1's optimizers, eagerly or in a `tf.function`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keraslike.optimizers import SGD, Adagrad, Adam
from keraslike.tf.tape import GradientTape


class Optimizer:
    """An optimizer with TensorFlow 1's methods, over one of Keras's.

    >>> v1 = tf.compat.v1.train
    >>> isinstance(v1.GradientDescentOptimizer(0.1), v1.Optimizer)
    True
    """

    def __init__(self, optimizer: Any, name: str):
        self._optimizer, self._name = optimizer, name

    def get_name(self) -> str:
        """The name of the optimizer."""
        return self._name

    def variables(self) -> list[Any]:
        """The state of the optimizer."""
        return list(self._optimizer.variables)

    def compute_gradients(
        self, loss: Callable[[], Any], var_list: Sequence[Any] | None = None, **_: Any
    ) -> list[tuple[Any, Any]]:
        """Pairs of the gradient of a loss with respect to a variable, and the variable.

        Raises TypeError unless `loss` is a function, since a value cannot be differentiated.
        """
        if not callable(loss):
            raise TypeError(
                "loss must be a function without arguments that returns the loss. "
                f"Received: {loss!r}"
            )
        with GradientTape() as tape:
            if var_list is not None:
                tape.watch(var_list)
            value = loss()
        variables = list(tape.watched_variables() if var_list is None else var_list)
        return list(zip(tape.gradient(value, variables), variables))

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Any]],
        global_step: Any = None,
        name: str | None = None,
    ) -> None:
        """Makes a step, and counts it in `global_step`.

        Raises ValueError if all gradients are None.
        """
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError("No gradients provided for any variable.")
        if not self._optimizer.built:
            self._optimizer.build([v for _, v in pairs])
        self._optimizer.apply_gradients(pairs)
        if global_step is not None:
            global_step.assign_add(1)

    def minimize(
        self,
        loss: Callable[[], Any],
        global_step: Any = None,
        var_list: Sequence[Any] | None = None,
        **_: Any,
    ) -> None:
        """Makes a step against the gradient of a loss."""
        self.apply_gradients(self.compute_gradients(loss, var_list), global_step)


class GradientDescentOptimizer(Optimizer):
    """`v -= learning_rate * g`.

    >>> v = tf.Variable(1.0)
    >>> optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.25)
    >>> optimizer.minimize(lambda: v * v, var_list=[v])
    >>> v.numpy().round(4).tolist()
    0.5
    """

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ):
        super().__init__(SGD(learning_rate), name)


class MomentumOptimizer(Optimizer):
    """`a = momentum * a + g`, `v -= learning_rate * a`, or Nesterov's variant.

    >>> v = tf.Variable(1.0)
    >>> optimizer = tf.compat.v1.train.MomentumOptimizer(0.25, 0.9)
    >>> optimizer.minimize(lambda: v * v, var_list=[v])
    >>> v.numpy().round(4).tolist()
    0.5
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: float,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ):
        super().__init__(SGD(learning_rate, momentum, use_nesterov), name)


class AdamOptimizer(Optimizer):
    """Adam, with the `epsilon` of `keras.optimizers.Adam`.

    >>> v = tf.Variable(1.0)
    >>> optimizer = tf.compat.v1.train.AdamOptimizer(0.25)
    >>> optimizer.minimize(lambda: v * v, var_list=[v])
    >>> v.numpy().round(4).tolist()
    0.75
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ):
        super().__init__(Adam(learning_rate, beta1, beta2, epsilon), name)


class AdagradOptimizer(Optimizer):
    """`a += g**2`, `v -= learning_rate * g / sqrt(a)`.

    >>> v = tf.Variable(1.0)
    >>> optimizer = tf.compat.v1.train.AdagradOptimizer(0.25)
    >>> optimizer.minimize(lambda: v * v, var_list=[v])
    >>> v.numpy().round(4).tolist()
    0.7530999779701233
    """

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ):
        if initial_accumulator_value <= 0:
            raise ValueError(
                f"initial_accumulator_value must be positive. Received: {initial_accumulator_value}"
            )
        super().__init__(Adagrad(learning_rate, initial_accumulator_value, epsilon=0.0), name)


__all__ = [
    *("AdagradOptimizer", "AdamOptimizer", "GradientDescentOptimizer", "MomentumOptimizer"),
    "Optimizer",
]
__dir__ = __all__.copy
