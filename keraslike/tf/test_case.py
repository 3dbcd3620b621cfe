"""`tf.test.TestCase`: assertions for tensors, arrays, and structures of these."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl.testing import absltest

from keraslike.core import base, rng
from keraslike.tf import errors, nest
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.sparse_tensor import SparseTensor, SparseTensorValue


class _Session:
    """A session, for tests that have been written for both graphs and eager execution."""

    def __init__(self, evaluate: Callable):
        self._evaluate = evaluate

    def run(self, fetches: Any, feed_dict: Any = None) -> Any:
        """The values of tensors. Raises NotImplementedError for a `feed_dict`."""
        if feed_dict:
            raise NotImplementedError("There are no placeholders to feed: operations run eagerly.")
        return self._evaluate(fetches)


class _CheckedThread(threading.Thread):
    """A thread whose exception `join` raises."""

    def __init__(self, target: Callable, args: tuple, kwargs: dict[str, Any]):
        super().__init__(daemon=True)
        self._work = lambda: target(*args, **kwargs)
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self._error is not None:
            raise self._error


class _Written:
    """What has been written to a stream so far."""

    def __init__(self, text: io.StringIO):
        self._text = text

    def contents(self) -> str:
        return self._text.getvalue()


class TestCase(absltest.TestCase):
    """A test case with assertions for tensors, arrays, and structures of these, beside those of
    `absl.testing.absltest.TestCase`.

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
        if not hasattr(self, "_temporary"):
            folder = tempfile.TemporaryDirectory()
            self.addCleanup(folder.cleanup)
            self._temporary = folder.name
        return self._temporary

    def evaluate(self, tensors: Any) -> Any:
        """The values of a structure of tensors as numpy arrays; of a function, those of what it
        returns."""
        if callable(tensors) and not base.is_variable(tensors):
            tensors = tensors()
        return nest.map_structure(_value, tensors)

    @contextlib.contextmanager
    def session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = True, force_gpu: bool = False
    ) -> Iterator[_Session]:
        """A block in which the value's `run(tensors)` evaluates tensors."""
        yield _Session(self.evaluate)

    cached_session = session

    def test_session(self, *args: Any, **kwargs: Any) -> Any:
        """`session`, under its former name."""
        if self.id().endswith(".test_session"):
            self.skipTest("The name is that of a test, but it is none.")
        return self.session(*args, **kwargs)

    def checkedThread(  # noqa: N802
        self, target: Callable, args: Any = None, kwargs: Any = None
    ) -> _CheckedThread:
        """A thread whose exception is raised by `join`."""
        return _CheckedThread(target, tuple(args or ()), dict(kwargs or {}))

    @contextlib.contextmanager
    def captureWritesToStream(self, stream: Any) -> Iterator[_Written]:  # noqa: N802
        """A block in which `contents()` of the value is what has been written to `sys.stdout` or
        `sys.stderr`."""
        text = io.StringIO()
        redirect = (
            contextlib.redirect_stderr if stream is sys.stderr else contextlib.redirect_stdout
        )
        with redirect(text):
            yield _Written(text)

    # -- comparisons of two values ----------------------------------------------------------------

    def _pairs(self, a: Any, b: Any, path: str = "") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The arrays of two structures that belong together."""
        if isinstance(a, Mapping) or isinstance(b, Mapping):
            self.assertIsInstance(a, Mapping)
            self.assertIsInstance(b, Mapping)
            self.assertCountEqual(a, b, f"The keys{path} differ.")
            for key in a:
                yield from self._pairs(a[key], b[key], f"{path}[{key!r}]")
            return
        a, b = (x.to_list() if isinstance(x, RaggedTensor) else x for x in (a, b))
        left, right = _array(a), _array(b)
        if left is not None and right is not None:
            self.assertEqual(left.shape, right.shape, f"The shapes{path} differ.")
            yield left, right
            return
        a, b = (self.evaluate(x) if y is None else y for x, y in ((a, left), (b, right)))
        self.assertEqual(len(a), len(b), f"The lengths{path} differ.")
        for i, (x, y) in enumerate(zip(a, b)):
            yield from self._pairs(x, y, f"{path}[{i}]")

    def assertAllClose(  # noqa: N802
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Fails unless all elements are close."""
        for x, y in self._pairs(a, b):
            if x.dtype == object:
                np.testing.assert_array_equal(x, y, err_msg=msg or "")
            else:
                np.testing.assert_allclose(_wide(x), _wide(y), rtol, atol, err_msg=msg or "")

    def assertAllCloseAccordingToType(  # noqa: N802
        self,
        a: Any,
        b: Any,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        float_rtol: float = 1e-6,
        float_atol: float = 1e-6,
        half_rtol: float = 1e-3,
        half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2,
        bfloat16_atol: float = 1e-2,
        msg: Any = None,
    ) -> None:
        """Fails unless all elements are as close as the less precise of the two dtypes allows."""
        tolerances = {
            "float32": (float_rtol, float_atol),
            "complex64": (float_rtol, float_atol),
            "float16": (half_rtol, half_atol),
            "bfloat16": (bfloat16_rtol, bfloat16_atol),
        }
        for x, y in self._pairs(a, b):
            least = [(rtol, atol)]
            least += [tolerances[v.dtype.name] for v in (x, y) if v.dtype.name in tolerances]
            relative, absolute = (max(values) for values in zip(*least))
            self.assertAllClose(x, y, relative, absolute, msg)

    def assertNotAllClose(  # noqa: N802
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Fails if all elements are close."""
        try:
            self.assertAllClose(a, b, rtol, atol)
        except AssertionError:
            return
        raise AssertionError(msg or "The two values are close at all elements.")

    def assertAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless all elements are equal."""
        for x, y in self._pairs(a, b):
            np.testing.assert_array_equal(x, y, err_msg=msg or "")

    def assertNotAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails if all elements are equal."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise AssertionError(msg or "The two values are equal at all elements.")

    def assertNear(self, f1: float, f2: float, err: float, msg: Any = None) -> None:  # noqa: N802
        """Fails unless two numbers differ by at most `err`."""
        self.assertTrue(f1 == f2 or abs(f1 - f2) <= err, msg or f"{f1} and {f2} differ by {err}.")

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the numbers of two lists differ by at most `err`."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for x, y in zip(farray1, farray2):
            self.assertNear(float(x), float(y), err, msg)

    def assertNDArrayNear(self, ndarray1: Any, ndarray2: Any, err: float, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the norm of the difference of two arrays is less than `err`."""
        for x, y in self._pairs(ndarray1, ndarray2):
            self.assertLess(np.linalg.norm(x - y), err, msg)

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless the shapes are equal."""
        self.assertEqual(list(np.shape(input_a)), list(np.shape(input_b)), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:  # noqa: N802
        """Fails unless the dtype is the given one."""
        self.assertEqual(convert_to_tensor(target).dtype, expected_dtype)

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: Any = None) -> None:  # noqa: N802
        """Fails unless two names of devices are equal."""
        self.assertEqual(str(device1), str(device2), msg)

    def assertProtoEquals(  # noqa: N802
        self, expected_message_maybe_ascii: Any, validate_message: Any, msg: Any = None
    ) -> None:
        """Fails unless a protocol buffer equals another, or its text."""
        expected = expected_message_maybe_ascii
        if isinstance(expected, str):
            from google.protobuf import text_format

            expected = text_format.Parse(expected, type(validate_message)())
        self.assertEqual(expected, validate_message, msg)

    # -- all elements of one value ----------------------------------------------------------------

    def _all(self, holds: Callable, a: Any, what: str) -> None:
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

    def assertAllInRange(  # noqa: N802
        self,
        target: Any,
        lower_bound: Any,
        upper_bound: Any,
        open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:
        """Fails unless all elements are between the bounds, by default inclusively."""

        def inside(values: np.ndarray) -> np.ndarray:
            above = values > lower_bound if open_lower_bound else values >= lower_bound
            return above & (values < upper_bound if open_upper_bound else values <= upper_bound)

        self._all(inside, target, f"between {lower_bound} and {upper_bound}")

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:  # noqa: N802
        """Fails unless all elements are among the values."""
        self._all(lambda v: np.isin(v, list(expected_set)), target, f"in {expected_set}")

    # -- errors -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(  # noqa: N802
        self, exception_type: Any, expected_err_re_or_predicate: Any
    ) -> Iterator[None]:
        """Fails unless the block raises such an error, whose message a regular expression finds or
        for which a predicate is true."""
        expected = expected_err_re_or_predicate
        with self.assertRaises(exception_type) as raised:
            yield
        error = raised.exception
        if not (expected(error) if callable(expected) else re.search(expected, str(error))):
            raise AssertionError(f"The error is not the expected one: {error!r}") from error

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> Any:  # noqa: N802
        """Fails unless the block raises such an error of an operation."""
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)


def _value(x: Any) -> Any:
    if x is None or isinstance(x, RaggedTensor):
        return x
    if isinstance(x, SparseTensor):
        return SparseTensorValue(*map(_value, (x.indices, x.values, x.dense_shape)))
    return convert_to_tensor(x).numpy()


def _array(x: Any) -> np.ndarray | None:
    """A value as one array, whose text is bytes; None of a list with items of several shapes."""
    if isinstance(x, (list, tuple)):
        items = [array for item in x if (array := _array(item)) is not None]
        if len(items) < len(x) or len({item.shape for item in items}) > 1:
            return None
        array = np.asarray(items)
    elif isinstance(x, Mapping):
        return None
    elif isinstance(x, (np.ndarray, np.generic, bool, int, float, complex, str, bytes)):
        array = np.asarray(x)
    elif isinstance(x, SparseTensor):
        return None
    else:
        array = np.asarray(_value(x))
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8")
    return array.astype(object) if array.dtype.kind == "S" else array


def _wide(x: np.ndarray) -> np.ndarray:
    # numpy's comparisons do not know the dtypes of ml_dtypes.
    return x.astype(np.float32) if x.dtype.kind == "V" or x.dtype.itemsize <= 2 else x


__all__ = ["TestCase"]
__dir__ = __all__.copy
