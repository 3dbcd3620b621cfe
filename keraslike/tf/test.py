"""`tf.test`: a test case with assertions on tensors, and queries of the available devices."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.core import rng
from keraslike.core.structures import iter_leaves
from keraslike.tf import config, ops
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.tape import GradientTape, UnconnectedGradients


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


class TestCase(unittest.TestCase):
    """A test case with assertions for tensors, arrays, and structures of these.

    >>> class Check(tf.test.TestCase):
    ...     def test_sum(self):
    ...         self.assertAllEqual(tf.constant([1, 2]) + 1, [2, 3])
    >>> Check("test_sum").run().wasSuccessful()
    True
    """

    __test__ = False  # a base class without tests

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    def setUp(self) -> None:
        super().setUp()
        rng.set_random_seed(87654321)

    def get_temp_dir(self) -> str:
        """A directory that is removed after the test."""
        found = tempfile.TemporaryDirectory()
        self.addCleanup(found.cleanup)
        return found.name

    def evaluate(self, tensors: Any) -> Any:
        """The values as numpy arrays."""
        if isinstance(tensors, (list, tuple)):
            return type(tensors)(map(self.evaluate, tensors))
        if isinstance(tensors, dict):
            return {k: self.evaluate(v) for k, v in tensors.items()}
        return convert_to_tensor(tensors).numpy()

    def _pairs(self, a: Any, b: Any) -> list[tuple[Any, Any]]:
        if isinstance(a, dict) or isinstance(b, dict):
            self.assertCountEqual(a, b)
            return [pair for k in a for pair in self._pairs(a[k], b[k])]
        structured = any(isinstance(x, (list, tuple)) and _is_ragged(x) for x in (a, b))
        if structured:
            self.assertEqual(len(a), len(b))
            return [pair for x, y in zip(a, b) for pair in self._pairs(x, y)]
        return [(np.asarray(self.evaluate(a)), np.asarray(self.evaluate(b)))]

    def assertAllClose(  # noqa: N802
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Fails unless all elements are close."""
        for x, y in self._pairs(a, b):
            self.assertEqual(x.shape, y.shape, msg)
            np.testing.assert_allclose(x, y, rtol, atol, err_msg=msg or "")

    def assertNotAllClose(self, a: Any, b: Any, **kwargs: Any) -> None:  # noqa: N802
        """Fails if all elements are close."""
        try:
            self.assertAllClose(a, b, **kwargs)
        except AssertionError:
            return
        raise AssertionError(kwargs.get("msg") or "The two values are close at all elements.")

    def assertAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless all elements are equal."""
        for x, y in self._pairs(a, b):
            self.assertEqual(x.shape, y.shape, msg)
            np.testing.assert_array_equal(x, y, err_msg=msg or "")

    def assertNotAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails if all elements are equal."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise AssertionError(msg or "The two values are equal at all elements.")

    def _all(self, holds: Any, a: Any, what: str) -> None:
        values = np.asarray(self.evaluate(a))
        if not np.all(holds(values)):
            raise AssertionError(f"Not all elements are {what}: {values}")

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fails unless all elements are greater."""
        self._all(lambda v: v > comparison_target, a, f"greater than {comparison_target}")

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fails unless all elements are less."""
        self._all(lambda v: v < comparison_target, a, f"less than {comparison_target}")

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fails unless all elements are greater or equal."""
        self._all(lambda v: v >= comparison_target, a, f"at least {comparison_target}")

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fails unless all elements are less or equal."""
        self._all(lambda v: v <= comparison_target, a, f"at most {comparison_target}")

    def assertAllInRange(self, target: Any, lower_bound: Any, upper_bound: Any) -> None:  # noqa: N802
        """Fails unless all elements are between the bounds, by default inclusively."""
        self._all(
            lambda v: (v >= lower_bound) & (v <= upper_bound),
            target,
            f"{lower_bound}..{upper_bound}",
        )

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:  # noqa: N802
        """Fails unless all elements are among the values."""
        self._all(lambda v: np.isin(v, list(expected_set)), target, f"in {expected_set}")

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the shapes are equal."""
        self.assertEqual(list(np.shape(input_a)), list(np.shape(input_b)), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:  # noqa: N802
        """Fails unless the dtype is the given one."""
        self.assertEqual(convert_to_tensor(target).dtype, expected_dtype)

    def assertLen(self, container: Any, expected_len: int, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the length is the given one."""
        self.assertEqual(len(container), expected_len, msg)

    def assertEmpty(self, container: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the container is empty."""
        self.assertEqual(len(container), 0, msg)


def _is_ragged(items: Any) -> bool:
    """Whether a list cannot be converted to one array, so that its items are compared
    separately."""
    try:
        np.asarray([np.shape(x) for x in items])
    except ValueError:
        return True
    return any(isinstance(x, dict) for x in iter_leaves(items, lambda v: isinstance(v, dict)))


def compute_gradient(f: Callable, x: Any, delta: float | None = None) -> tuple[list, list]:
    """The Jacobians of a function for each of its arguments, by its gradient and by finite
    differences: two lists of arrays `(size of the result, size of the argument)`.

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
        for value in given:
            tape.watch(value)
        out = ops.reshape(f(*given), [-1])
        parts = [out[i] for i in range(out.shape[0])]
    exact, near = [], []
    for place, value in enumerate(given):
        rows = [
            tape.gradient(part, value, unconnected_gradients=UnconnectedGradients.ZERO)
            for part in parts
        ]
        exact.append(np.stack([np.asarray(row).reshape(-1) for row in rows]))
        columns = []
        for i in range(np.size(value)):
            ends = []
            for sign in (1, -1):
                moved = np.array(value)
                moved.reshape(-1)[i] += sign * step
                changed = [*given[:place], convert_to_tensor(moved), *given[place + 1 :]]
                ends.append(np.asarray(f(*changed)).reshape(-1))
            columns.append((ends[0] - ends[1]) / (2 * step))
        near.append(np.stack(columns, -1).astype(exact[-1].dtype))
    return exact, near


__all__ = [
    "compute_gradient",
    *("TestCase", "gpu_device_name", "is_built_with_cuda", "is_built_with_gpu_support"),
    *("is_built_with_rocm", "is_built_with_xla", "is_gpu_available", "main"),
]
__dir__ = __all__.copy
