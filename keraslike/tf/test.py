"""`tf.test`: a test case with assertions on tensors, and queries of the available devices."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from keraslike.tf import config, ops
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.tape import GradientTape, UnconnectedGradients
from keraslike.tf.test_case import TestCase


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether a GPU is available.

    >>> isinstance(tf.test.is_gpu_available(), bool)
    True
    """
    return bool(config.list_physical_devices("GPU"))


def gpu_device_name() -> str:
    """The name of the first GPU, or an empty text if there is none.

    >>> isinstance(tf.test.gpu_device_name(), str)
    True
    """
    found = config.list_logical_devices("GPU")
    return found[0].name if found else ""


def is_built_with_cuda() -> bool:
    """Whether JAX runs on CUDA.

    >>> isinstance(tf.test.is_built_with_cuda(), bool)
    True
    """
    return "cuda" in jax.devices()[0].client.platform_version.lower()


def is_built_with_rocm() -> bool:
    """Whether JAX runs on ROCm.

    >>> tf.test.is_built_with_rocm()
    False
    """
    return "rocm" in jax.devices()[0].client.platform_version.lower()


def is_built_with_gpu_support() -> bool:
    """Whether JAX runs on a GPU.

    >>> isinstance(tf.test.is_built_with_gpu_support(), bool)
    True
    """
    return is_gpu_available()


def is_built_with_xla() -> bool:
    """True, since XLA compiles everything.

    >>> tf.test.is_built_with_xla()
    True
    """
    return True


def main(argv: Any = None) -> None:
    """Runs the tests of the program.

    Example (at the end of a file of tests)::

        if __name__ == "__main__":
            tf.test.main()
    """
    unittest.main(argv=argv)


def _numbers(value: Any) -> np.ndarray:
    """The elements of an array; of each complex one its real and its imaginary part."""
    array = np.asarray(value).reshape(-1)
    return array.view(array.real.dtype)


def _moves(start: np.ndarray, step: float) -> Iterator[np.ndarray]:
    """For each of its `_numbers`, the array with that number changed by `step`."""
    for i in range(_numbers(start).size):
        moved = np.array(start)
        _numbers(moved)[i] += step
        yield moved


def compute_gradient(f: Callable, x: Any, delta: float | None = None) -> tuple[list, list]:
    """The Jacobians of a function for each of its arguments, by its gradient and by finite
    differences: two lists of arrays `(size of the result, size of the argument)`. A complex
    value counts as two, its real and its imaginary part.

    Args:
        x: the arguments, a list.
        delta: half the distance between the values of a difference, by default 1 / 1024.

    >>> exact, near = tf.test.compute_gradient(tf.square, [tf.constant([1.0, 3.0])])
    >>> exact[0].tolist(), near[0].round(2).tolist()
    ([[2.0, 0.0], [0.0, 6.0]], [[2.0, 0.0], [0.0, 6.0]])
    """
    if not isinstance(x, (list, tuple)):
        raise ValueError(f"x must be a list of arguments. Received: {type(x).__name__}")
    step = 1 / 1024 if delta is None else float(delta)
    given = [convert_to_tensor(v) for v in x]
    with GradientTape(persistent=True) as tape:
        tape.watch(given)
        out = ops.reshape(f(*given), [-1])
    units = list(_moves(np.zeros(out.shape, out.dtype.as_numpy_dtype), 1))
    exact, near = [], []
    for place, value in enumerate(given):
        start = np.asarray(value)
        rows = [
            convert_to_tensor(  # of slices, such as those of `tf.gather`
                tape.gradient(
                    out,
                    value,
                    output_gradients=convert_to_tensor(unit),
                    unconnected_gradients=UnconnectedGradients.ZERO,
                )
            )
            for unit in units
        ]
        numbers = _numbers(start)
        found = np.array([_numbers(row) for row in rows], numbers.dtype)
        exact.append(found.reshape(len(units), numbers.size))
        near.append(np.zeros_like(exact[-1]))
        ends = zip(_moves(start, step), _moves(start, -step))
        for column, changed in enumerate(ends):
            up, down = (
                _numbers(f(*given[:place], convert_to_tensor(v), *given[place + 1 :]))
                for v in changed
            )
            near[-1][:, column] = (up - down) / (2 * step)
    return exact, near


__all__ = [
    "TestCase",
    "compute_gradient",
    *("gpu_device_name", "is_built_with_cuda", "is_built_with_gpu_support"),
    *("is_built_with_rocm", "is_built_with_xla", "is_gpu_available", "main"),
]
__dir__ = __all__.copy
