"""What test files use of TensorFlow's tools for tests, for eager execution on a CPU.

`VALUES` has attributes by their full names, `PUBLIC` the public names of private objects that have
one under another name, and `MODULES` whole modules.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import os
import pathlib
import socket
import sys
import tempfile
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

from keraslike import tf
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.tf import operators
from tests.conformance.harness import OF_PYTEST, Absent

PYTHON = "tensorflow.python"


def _graphs(*args: Any, **kwargs: Any) -> Any:
    raise unittest.SkipTest("It is a test of graphs.")


def _unchanged(*args: Any, **kwargs: Any) -> Any:
    """A decorator, or a function that makes one, that leaves functions and classes as they are."""
    if len(args) == 1 and not kwargs and (inspect.isroutine(args[0]) or inspect.isclass(args[0])):
        return args[0]
    return lambda decorated: decorated


def _skipped(*args: Any, **kwargs: Any) -> Any:
    """A decorator, or a function that makes one, of tests that need graphs or a GPU."""
    skip = unittest.skip("It is a test of graphs or of a GPU.")
    return skip(args[0]) if len(args) == 1 and callable(args[0]) else skip


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _yes(*args: Any, **kwargs: Any) -> bool:
    return True


def _none(*args: Any, **kwargs: Any) -> None:
    return None


@contextlib.contextmanager
def _block(*args: Any, **kwargs: Any) -> Iterator[None]:
    yield


@functools.cache
def _main_enables_numpy(module: str) -> bool:
    """Whether a test file, if it is run as a program, gives tensors numpy's methods."""
    source = inspect.getsource(sys.modules[module])
    return "enable_numpy_methods_on_tensor()" in source


class TestCase(tf.test.TestCase):
    """TensorFlow's test case. The words of errors are not compared, since keraslike has its own."""

    def setUp(self) -> None:
        super().setUp()
        np.random.seed(1)
        if _main_enables_numpy(type(self).__module__):
            self._enable_numpy()

    def _enable_numpy(self) -> None:
        """Gives tensors numpy's behaviour for one test."""
        before, promoted = dict(vars(tf.Tensor)), operators.promoted
        tf.experimental.numpy.experimental_enable_numpy_behavior()

        def restore() -> None:
            operators.promoted = promoted
            for name in set(vars(tf.Tensor)) - set(before):
                delattr(tf.Tensor, name)
            tf.Tensor.__getitem__ = before["__getitem__"]

        self.addCleanup(restore)

    def assertAllClose(  # noqa: N802
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        # TensorFlow and XLA round differently in the last bits of a float32.
        super().assertAllClose(a, b, max(rtol, 2e-6), max(atol, 1e-6), msg)

    def assertRaisesRegex(self, error: Any, words: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
        for one in error if isinstance(error, tuple) else (error,):
            isinstance(one, Absent) and one()
        return self.assertRaises(error, *args, **kwargs)

    assertRaisesRegexp = assertRaisesWithLiteralMatch = assertRaisesRegex  # noqa: N815

    def assertRaisesWithPredicateMatch(self, error: Any, expected: Any) -> Any:  # noqa: N802
        return self.assertRaises(error)

    def assertRaisesIncompatibleShapesError(  # noqa: N802
        self, error: Any = (tf.errors.InvalidArgumentError, ValueError), *args: Any, **kwargs: Any
    ) -> Any:
        return self.assertRaises(error)


class Module(types.ModuleType):
    """A module of TensorFlow with these attributes; others are found when they are asked for."""

    def __init__(self, name: str, attributes: dict[str, Any], find: Callable | None = None):
        super().__init__(name)
        self.__path__: list[str] = []
        self.__file__ = f"<{name}>"
        self.__dict__.update(attributes)
        self.__dict__["_find"] = find or (lambda attribute: Absent(f"{name}.{attribute}"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", *OF_PYTEST)):
            raise AttributeError(name)
        value = self.__dict__[name] = self.__dict__["_find"](name)
        return value


# -- tensorflow.python.framework.test_util -------------------------------------------------------


@contextlib.contextmanager
def _run_functions_eagerly(eagerly: bool) -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eagerly)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _also_as_function(test: Callable) -> Callable:
    @functools.wraps(test)
    def both(*args: Any, **kwargs: Any) -> None:
        test(*args, **kwargs)
        tf.function(test, autograph=False)(*args, **kwargs)

    return both


def _skip_if(condition: Any) -> Callable:
    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def decided(*args: Any, **kwargs: Any) -> Any:
            if condition() if callable(condition) else condition:
                raise unittest.SkipTest("TensorFlow skips it here as well.")
            return test(*args, **kwargs)

        return decided

    return decorate


def _channels_first(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [x[0], x[-1], *x[1:-1]]
    return tf.transpose(x, [0, len(x.shape) - 1, *range(1, len(x.shape) - 1)])


def _channels_last(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [x[0], *x[2:], x[1]]
    return tf.transpose(x, [0, *range(2, len(x.shape)), 1])


def _unused_port() -> int:
    with socket.socket() as made:
        made.bind(("", 0))
        return made.getsockname()[1]


def _combinations(**options: Any) -> list[dict[str, Any]]:
    lists = [value if isinstance(value, list) else [value] for value in options.values()]
    return [
        dict(zip(options, values), testcase_name=f"_{i}")
        for i, values in enumerate(itertools.product(*lists))
    ]


def _max_error(exact: list, near: list) -> float:
    return max((np.abs(a - b).max() for a, b in zip(exact, near) if np.size(a)), default=0.0)


_TEST_UTIL = {
    "TensorFlowTestCase": TestCase,
    "IsBuiltWithXLA": _yes,
    "NCHWToNHWC": _channels_last,
    "NHWCToNCHW": _channels_first,
    "AbstractGradientTape": lambda use_tape, **options: tf.GradientTape(**options),
    "also_run_as_tf_function": _also_as_function,
    "generate_combinations_with_testcase_name": _combinations,
    "gpu_device_name": str,
    "matmul_without_tf32": lambda *args, **kwargs: tf.matmul(*args, **kwargs),
    "pick_unused_port": _unused_port,
    "run_functions_eagerly": _run_functions_eagerly,
    "set_producer_version": _none,
    "skip_if": _skip_if,
    **dict.fromkeys(("skip_if_error", "use_gpu", "force_gpu", "force_cpu", "device"), _block),
    "deterministic_ops": _block,
    **dict.fromkeys(("run_deprecated_v1", "run_v1_only", "deprecated_graph_mode_only"), _skipped),
    **dict.fromkeys(("run_all_in_deprecated_graph_mode_only", "run_gpu_only"), _skipped),
    **dict.fromkeys(("run_cuda_only", "run_gpu_or_tpu"), _skipped),
}  # fmt: skip


def _of_test_util(name: str) -> Any:
    if name[0].isupper() or name.startswith("is_"):  # IsMklEnabled, is_gpu_available
        return _no
    return _unchanged


# -- tensorflow.python.platform.test, googletest, eager.test -------------------------------------


def _source(path: str) -> str:
    return str(pathlib.Path(os.environ["TENSORFLOW_SOURCES"], "tensorflow", path))


_TEST = {
    "TestCase": TestCase,
    "TensorFlowTestCase": TestCase,
    "Benchmark": object,
    "SkipTest": unittest.SkipTest,
    "mock": mock,
    "main": _none,
    "create_local_cluster": lambda **_: ([types.SimpleNamespace(target="")], []),
    "is_built_with_xla": _yes,
    "is_cpu_target_available": _yes,
    "test_src_dir_path": _source,
    "gpu_device_name": str,
    **dict.fromkeys(("GetTempDir", "get_temp_dir"), tempfile.mkdtemp),
    **dict.fromkeys(("is_built_with_rocm", "is_built_with_cuda", "is_gpu_available"), _no),
    "is_built_with_gpu_support": _no,
    **dict.fromkeys(("with_eager_op_as_function", "disable_with_predicate"), _unchanged),
    **{name: getattr(unittest, name) for name in ("skip", "skipIf", "skipUnless")},
}
TEST = Module("tensorflow.test", {"TestCase": TestCase}, lambda name: getattr(tf.test, name))


# -- tensorflow.python.eager.context -------------------------------------------------------------

_CONTEXT: dict[str, Any] = {
    "executing_eagerly": tf.executing_eagerly,
    "ensure_initialized": _none,
    "num_gpus": lambda: 0,
    "set_global_seed": tf.random.set_seed,
    "graph_mode": _graphs,
    "run_eager_op_as_function_enabled": _no,
    **dict.fromkeys(("eager_mode", "device", "async_scope", "execution_mode"), _block),
    **dict.fromkeys(("function_config_scope",), _block),
    **dict.fromkeys(("async_wait", "async_clear_error", "set_soft_device_placement"), _none),
    **dict.fromkeys(("_reset_context", "LogicalDeviceConfiguration", "global_seed"), _none),
    "SYNC": 0, "ASYNC": 1, "GRAPH_MODE": 0, "EAGER_MODE": 1,
}  # fmt: skip
_CONTEXT["context"] = functools.cache(
    lambda: Module(f"{PYTHON}.eager.context.context()", _CONTEXT | {"summary_writer": None})
)

MODULES = {
    f"{PYTHON}.framework.test_util": Module("test_util", _TEST_UTIL, _of_test_util),
    f"{PYTHON}.eager.context": Module(f"{PYTHON}.eager.context", _CONTEXT),
    **{f"{PYTHON}.{n}": Module(n, _TEST) for n in ("platform.test", "platform.googletest")},
    f"{PYTHON}.eager.test": Module("test", _TEST),
}


# -- single attributes -----------------------------------------------------------------------


class _Export:
    """The decorators that give names of TensorFlow's interface."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self if not args or isinstance(args[0], str) else args[0]

    def export_constant(self, *args: Any) -> None:
        """No name is given."""


def _of_elements(attribute: str) -> Callable:
    return lambda dataset: tf.nest.map_structure(
        lambda spec: getattr(spec, attribute), dataset.element_spec
    )


def _is_leaf(part: Any) -> bool:
    return isinstance(part, (list, tf.TensorShape))  # lists are, in elements of data sets


def _flat(structure: Any) -> list[Any]:
    return list(iter_leaves(structure, _is_leaf))


def _mapped(function: Callable, *structures: Any, **_: Any) -> Any:
    values = map(function, *map(_flat, structures))
    return map_leaves(lambda leaf: next(values), structures[0], _is_leaf)


class _OfEager(type):
    """The type of `EagerTensor`, which tests make tensors with."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def __call__(cls, value: Any, device: Any = None, dtype: Any = None) -> Any:
        return tf.constant(value, None if dtype is None else tf.as_dtype(dtype))


def _pfor(function: Callable, iters: Any, fallback_to_while_loop: bool = True, **_: Any) -> Any:
    return tf.vectorized_map(function, tf.range(iters), fallback_to_while_loop)


def _for_loop(function: Callable, dtypes: Any, iters: Any, **_: Any) -> Any:
    found = [function(tf.constant(i)) for i in range(int(iters))]
    return tf.nest.map_structure(lambda *parts: tf.stack(parts), *found)


def _constant_value(*args: Any, **kwargs: Any) -> Any:
    made = tf.ragged.constant(*args, **kwargs)
    return made if isinstance(made, tf.RaggedTensor) else made.numpy()


def _check_same(*structures: Any, **_: Any) -> None:
    plain = [map_leaves(lambda leaf: 0, structure, _is_leaf) for structure in structures[:2]]
    tf.nest.assert_same_structure(*plain)


def _mapped_up_to(structure: Any, function: Callable, *structures: Any) -> Any:
    inputs = zip(*(iter_leaves(each, _is_leaf) for each in structures))
    return map_leaves(lambda leaf: function(*next(inputs)), structure, _is_leaf)


def _compatible(one: Any, other: Any) -> bool:
    try:
        _check_same(one, other)
    except (TypeError, ValueError):
        return False
    pairs = zip(_flat(one), _flat(other), strict=True)
    return all(a.is_compatible_with(b) and b.is_compatible_with(a) for a, b in pairs)


def _while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    shape_invariants: Any = None,
    *_: Any,
    return_same_structure: bool = False,
    **kwargs: Any,
) -> Any:
    """The loop of TensorFlow 1, which gives a single variable without its list."""
    kwargs.pop("name", None)
    out = tf.while_loop(cond, body, loop_vars, shape_invariants, **kwargs)
    single = isinstance(out, (list, tuple)) and len(out) == 1 and not return_same_structure
    return out[0] if single else out


def _cond(
    pred: Any, true_fn: Any = None, false_fn: Any = None, strict: bool = False, name: Any = None
) -> Any:
    """The condition of TensorFlow 1, which gives a single value without its list."""
    out = tf.cond(pred, true_fn, false_fn)
    return out[0] if isinstance(out, (list, tuple)) and len(out) == 1 and not strict else out


_DATASETS = f"{PYTHON}.data.ops.dataset_ops"
_OPS = f"{PYTHON}.framework.ops"
_GRAPHS = (
    *(f"{_OPS}.Graph", f"{_OPS}.get_default_graph", f"{PYTHON}.ops.array_ops.placeholder"),
    *(f"{PYTHON}.client.session.{name}" for name in ("Session", "InteractiveSession")),
    *(f"{PYTHON}.ops.{module}.gradients" for module in ("gradients", "gradients_impl")),
)
_VARIABLES = "global_variables_initializer local_variables_initializer variables_initializer"
_NOTHING = (
    *(f"{PYTHON}.ops.variables.{name}" for name in _VARIABLES.split()),
    *(
        f"{PYTHON}.ops.lookup_ops.tables_initializer",
        f"{PYTHON}.data.ops.test_mode.toggle_test_mode",
    ),
    *(f"{PYTHON}.compat.v2_compat.{name}_v2_behavior" for name in ("enable", "disable")),
    *(f"{_OPS}.{name}_eager_execution" for name in ("enable", "disable")),
    *(f"{_OPS}.reset_default_graph", f"{PYTHON}.tf2.enable"),
    f"{PYTHON}.framework.config.set_logical_device_configuration",
    f"{PYTHON}.framework.config.disable_op_determinism",
)
VALUES: dict[str, Any] = {
    **dict.fromkeys(_GRAPHS, _graphs),
    **dict.fromkeys(_NOTHING, _none),
    f"{PYTHON}.tf2.enabled": _yes,
    f"{PYTHON}.ops.cond.cond": _cond,
    f"{PYTHON}.ops.while_loop.while_loop": _while_loop,
    f"{_OPS}.executing_eagerly_outside_functions": _yes,
    f"{_OPS}.device": _block,
    f"{_OPS}.name_scope": lambda name, *_, **__: tf.name_scope(name),
    f"{_OPS}.colocate_with": _block,
    f"{_OPS}.get_collection": lambda *args, **kwargs: [],
    f"{PYTHON}.ops.array_ops.placeholder_with_default": lambda x, *_, **__: tf.convert_to_tensor(x),
    f"{PYTHON}.framework.sparse_tensor.is_sparse": lambda x: isinstance(x, tf.SparseTensor),
    f"{PYTHON}.ops.ragged.ragged_tensor.is_ragged": lambda x: isinstance(x, tf.RaggedTensor),
    **{f"{PYTHON}.pywrap_sanitizers.is_{kind}san_enabled": _no for kind in ("a", "m", "t", "ub")},
    f"{PYTHON}.compat.compat.forward_compatibility_horizon": _block,
    f"{PYTHON}.ops.gradient_checker_v2.max_error": _max_error,
    f"{PYTHON}.util.tf_decorator.unwrap": lambda function: ([], function),
    f"{PYTHON}.util.tf_export.tf_export": _Export(),
    f"{PYTHON}.util.tf_export.keras_export": _Export(),
    f"{PYTHON}.framework.config.list_physical_devices": lambda kind="CPU": (
        tf.config.list_physical_devices("CPU") if kind == "CPU" else []
    ),
    f"{PYTHON}.eager.core._NotOkStatusException": type("_NotOkStatusException", (Exception,), {}),
    f"{_OPS}.EagerTensor": _OfEager("EagerTensor", (), {}),
    f"{PYTHON}.ops.array_ops.newaxis": None,
    f"{PYTHON}.ops.parallel_for.control_flow_ops.pfor": _pfor,
    f"{PYTHON}.ops.parallel_for.control_flow_ops.for_loop": _for_loop,
    f"{PYTHON}.ops.numpy_ops.np_dtypes.is_allow_float64": _yes,
    f"{PYTHON}.ops.numpy_ops.np_dtypes.set_allow_float64": lambda allow: (
        allow or Absent(f"{PYTHON}.ops.numpy_ops.np_dtypes.set_allow_float64")()
    ),
    f"{PYTHON}.ops.ragged.ragged_array_ops.fill_empty_rows": Absent(
        f"{PYTHON}.ops.ragged.ragged_array_ops.fill_empty_rows"
    ),
    f"{PYTHON}.ops.ragged.ragged_factory_ops.constant_value": _constant_value,
    f"{PYTHON}.data.util.nest.assert_same_structure": _check_same,
    f"{PYTHON}.data.util.nest.flatten": _flat,
    f"{PYTHON}.data.util.nest.map_structure": _mapped,
    f"{PYTHON}.data.util.nest.map_structure_up_to": _mapped_up_to,
    f"{PYTHON}.data.util.structure.are_compatible": _compatible,
    f"{_DATASETS}.get_structure": lambda dataset: dataset.element_spec,
    f"{_DATASETS}.get_legacy_output_types": _of_elements("dtype"),
    f"{_DATASETS}.get_legacy_output_shapes": _of_elements("shape"),
    f"{_DATASETS}.get_legacy_output_classes": _of_elements("value_type"),
    **{
        f"{PYTHON}.data.experimental.ops.testing.{name}": lambda *_, **__: lambda dataset: dataset
        for name in ("assert_next", "assert_prev", "sleep")  # of the runtime's transformations
    },
    f"{_DATASETS}.make_one_shot_iterator": iter,
    f"{_DATASETS}.make_initializable_iterator": lambda dataset, **_: iter(dataset),
}
PUBLIC = {
    f"{PYTHON}.framework.constant_op.constant_v1": "constant",
    f"{PYTHON}.framework.ops.Tensor": "Tensor",
    f"{PYTHON}.ops.array_ops.diag_part": "linalg.tensor_diag_part",
    f"{PYTHON}.ops.array_ops.gather": "gather",
    f"{PYTHON}.ops.gradient_checker_v2.compute_gradient": "test.compute_gradient",
    **{
        f"{PYTHON}.ops.ragged.ragged_math_ops.segment_{name}": f"math.unsorted_segment_{name}"
        for name in ("max", "mean", "min", "prod", "sqrt_n", "sum")
    },
    f"{PYTHON}.ops.lookup_ops.HashTable": "lookup.StaticHashTable",
    f"{PYTHON}.ops.ragged.ragged_tensor_value.RaggedTensorValue": "RaggedTensor",
    f"{PYTHON}.ops.resource_variable_ops.ResourceVariable": "Variable",
    f"{PYTHON}.ops.variable_v1.VariableV1": "Variable",
    f"{PYTHON}.ops.variables.RefVariable": "Variable",
    f"{PYTHON}.trackable.autotrackable.AutoTrackable": "Module",
    f"{PYTHON}.ops.variables.VariableV1": "Variable",
}
