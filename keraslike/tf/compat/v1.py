"""`tf.compat.v1`, for code that runs eagerly.

Names with the same meaning in TensorFlow 1 and 2, and names that TensorFlow 2 has moved, are those
of `keraslike.tf`. Names with another order of arguments or other defaults in TensorFlow 1 raise
AttributeError, and so do graphs, sessions and placeholders without a default.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from keraslike.tf import documentation
from keraslike.tf import gfile as _files
from keraslike.tf.compat import v1_data, v1_losses, v1_nn, v1_train
from keraslike.tf.compat.v1_losses import library as _library
from keraslike.tf.conversion import convert_to_tensor as _convert
from keraslike.tf.dimensions import Dimension
from keraslike.tf.indexing import where as _where
from keraslike.tf.ops import cast as _cast
from keraslike.tf.ops import expand_dims as _expand_dims
from keraslike.tf.sparse_tensor import SparseTensor, SparseTensorValue

# Names of TensorFlow 2 that have another meaning in TensorFlow 1, by module.
_OTHERS = {
    "": "random_normal_initializer random_uniform_initializer initializers metrics summary lite",
    "image": "resize extract_glimpse",
    "math": "confusion_matrix in_top_k",
    "nn": "embedding_lookup_sparse fractional_avg_pool fractional_max_pool nce_loss "
    "safe_embedding_lookup_sparse sampled_softmax_loss space_to_batch",
    "random": "poisson",
    "strings": "split",
}
# Names of TensorFlow 1 that TensorFlow 2 has only in a module, by module.
_MOVED = {
    "debugging": "assert_greater_equal assert_less_equal assert_near "
    "assert_negative assert_non_negative assert_non_positive assert_none_equal assert_positive "
    "assert_rank_at_least assert_rank_in assert_type "
    "check_numerics",
    "io": "FixedLenFeature FixedLenSequenceFeature SparseFeature VarLenFeature decode_csv "
    "decode_raw matching_files parse_example parse_single_example parse_tensor read_file "
    "write_file decode_base64 decode_compressed decode_json_example encode_base64 "
    "parse_single_sequence_example serialize_tensor",
    "linalg": "cholesky cholesky_solve cross diag_part global_norm matrix_transpose qr svd trace",
    "math": "accumulate_n is_non_decreasing is_strictly_increasing lbeta logical_xor polygamma "
    "unsorted_segment_sqrt_n "
    "angle betainc bincount ceil conj cumprod digamma divide_no_nan erf erfc expm1 "
    "floordiv floormod igamma igammac imag invert_permutation is_finite is_inf is_nan lgamma log "
    "log1p log_sigmoid mod polyval real reciprocal rint rsqrt segment_max segment_mean segment_min "
    "segment_prod segment_sum squared_difference unsorted_segment_max unsorted_segment_mean "
    "unsorted_segment_min unsorted_segment_prod unsorted_segment_sum xdivy zeta",
    "nn": "depth_to_space space_to_depth",
    "quantization": "fake_quant_with_min_max_args fake_quant_with_min_max_args_gradient "
    "fake_quant_with_min_max_vars fake_quant_with_min_max_vars_gradient "
    "fake_quant_with_min_max_vars_per_channel fake_quant_with_min_max_vars_per_channel_gradient",
    "random": "truncated_normal",
    "signal": "fft fft2d fft3d ifft ifft2d ifft3d",
    "strings": "regex_replace",
}
_OF_SPARSE = (
    "fill_empty_rows mask maximum minimum reorder reset_shape reshape retain slice softmax "
    "to_indicator transpose"
)
_RENAMED = {
    **{name: f"{module}.{name}" for module, names in _MOVED.items() for name in names.split()},
    **{f"sparse_{name}": f"sparse.{name}" for name in _OF_SPARSE.split()},
    **{f"tensor_scatter_{name}": f"tensor_scatter_nd_{name}" for name in ("add", "sub", "update")},
    "VERSION": "__version__",
    "batch_to_space_nd": "batch_to_space",
    "diag": "linalg.tensor_diag",
    **{name: f"compat.{name}" for name in ("dimension_at_index", "dimension_value")},
    "div_no_nan": "math.divide_no_nan",
    "glorot_normal_initializer": "keras.initializers.GlorotNormal",
    "glorot_uniform_initializer": "keras.initializers.GlorotUniform",
    "floor_div": "math.floordiv",
    "lin_space": "linspace",
    "matrix_band_part": "linalg.band_part",
    "matrix_diag_part": "linalg.diag_part",
    "matrix_set_diag": "linalg.set_diag",
    "matrix_triangular_solve": "linalg.triangular_solve",
    "matrix_determinant": "linalg.det",
    "matrix_diag": "linalg.diag",
    "matrix_inverse": "linalg.inv",
    "matrix_solve": "linalg.solve",
    "nn.softmax_cross_entropy_with_logits_v2": "nn.softmax_cross_entropy_with_logits",
    "orthogonal_initializer": "keras.initializers.Orthogonal",
    "random.set_random_seed": "random.set_seed",
    **{f"python_io.{name}": f"io.{name}" for name in ("TFRecordOptions", "TFRecordWriter")},
    "py_func": "numpy_function",
    "random_crop": "image.random_crop",
    "random_gamma": "random.gamma",
    "random_normal": "random.normal",
    "random_shuffle": "random.shuffle",
    "random_uniform": "random.uniform",
    "reverse_v2": "reverse",
    "self_adjoint_eig": "linalg.eigh",
    "self_adjoint_eigvals": "linalg.eigvalsh",
    "set_random_seed": "random.set_seed",
    "sparse_tensor_dense_matmul": "sparse.sparse_dense_matmul",
    "sparse_tensor_to_dense": "sparse.to_dense",
    "string_join": "strings.join",
    "string_strip": "strings.strip",
    "string_to_hash_bucket_fast": "strings.to_hash_bucket_fast",
    "string_to_hash_bucket_strong": "strings.to_hash_bucket_strong",
    "string_to_number": "strings.to_number",
    "where_v2": "where",
}


def _absent(name: str) -> AttributeError:
    return AttributeError(
        f"keraslike has no tf.compat.v1.{name}: it needs graphs of TensorFlow 1, or its meaning "
        "differs from TensorFlow 2. Use TensorFlow 2's API: functions are called eagerly, or "
        "compiled by tf.function."
    )


def _found(module: str, name: str) -> Any:
    """The object for a name in a module of TensorFlow 1, if TensorFlow 2 has the same."""
    full = f"{module}.{name}" if module else name
    if name in _OTHERS.get(module, "").split() or name.startswith("__"):
        raise _absent(full)
    obj = _library()
    for part in _RENAMED.get(full, full).split("."):
        try:
            obj = getattr(obj, part)
        except AttributeError:
            raise _absent(full) from None
    if isinstance(obj, ModuleType) and name in (*_OTHERS, *_ADDED):
        return _Module(name)
    return obj


class _Module(ModuleType):
    """A module of TensorFlow 1, with the names that are the same in TensorFlow 2."""

    def __init__(self, name: str):
        super().__init__(f"{__name__}.{name}")
        self._name = name

    def __getattr__(self, name: str) -> Any:
        added = _ADDED.get(vars(self)["_name"])
        if added is not None and name in added.__all__:
            return getattr(added, name)
        return _found(vars(self)["_name"], name)


_ADDED: dict[str, Any] = {
    **dict.fromkeys(["data", "io", "python_io"], v1_data),
    **{"losses": v1_losses, "nn": v1_nn, "train": v1_train},
}
losses = v1_losses
train, python_io = _Module("train"), _Module("python_io")


def __getattr__(name: str) -> Any:
    return _found("", name)


# -- switches of behaviour ---------------------------------------------------------------------


def _no_effect(name: str) -> Any:
    def function() -> None:
        return None

    function.__name__ = name
    function.__doc__ = f"`tf.compat.v1.{name}`: does nothing, since this is always enabled."
    return function


_ALREADY = (
    *("enable_control_flow_v2", "enable_resource_variables"),
    *("enable_tensor_equality", "enable_v2_behavior", "enable_v2_tensorshape"),
)
globals().update({_name: _no_effect(_name) for _name in _ALREADY})


def enable_eager_execution(
    config: Any = None, device_policy: Any = None, execution_mode: Any = None
) -> None:
    """Does nothing, since functions always run eagerly.

    >>> tf.compat.v1.enable_eager_execution()
    """


def _refused(name: str) -> Any:
    def function() -> None:
        raise NotImplementedError(
            f"tf.compat.v1.{name}() needs the graphs of TensorFlow 1, which keraslike does not "
            "have. Remove the call: functions are called eagerly, or compiled by tf.function."
        )

    function.__name__ = name
    function.__doc__ = f"`tf.compat.v1.{name}`: raises NotImplementedError."
    return function


_NEVER = (
    *("disable_control_flow_v2", "disable_eager_execution", "disable_resource_variables"),
    *("disable_tensor_equality", "disable_v2_behavior", "disable_v2_tensorshape"),
)
globals().update({_name: _refused(_name) for _name in _NEVER})


def executing_eagerly_outside_functions() -> bool:
    """True: code outside of functions always runs eagerly.

    >>> executing_eagerly_outside_functions()
    True
    """
    return True


def _initializer(name: str, of_list: bool = False) -> Any:
    def function(name: str | None = None) -> None:
        return None

    def function_of_list(var_list: Any, name: str | None = None) -> None:
        return None

    made = function_of_list if of_list else function
    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"""Nothing, since variables and tables are initialized when they are created.

    >>> tf.compat.v1.{name}({"[]" if of_list else ""}) is None
    True
    """
    return made


_INITIALIZERS = (
    *("global_variables_initializer", "initialize_all_tables", "initialize_all_variables"),
    *("initialize_local_variables", "local_variables_initializer", "tables_initializer"),
)
_OF_LISTS = ("initialize_variables", "variables_initializer")
globals().update({_name: _initializer(_name) for _name in _INITIALIZERS})
globals().update({_name: _initializer(_name, of_list=True) for _name in _OF_LISTS})


# -- functions that only TensorFlow 1 has ------------------------------------------------------


def _cast_to(dtype: str) -> Any:
    def convert(x: Any, name: str | None = None) -> Any:
        return _cast(x, dtype)

    convert.__doc__ = f"A tensor cast to {dtype}."
    return convert


to_float, to_double = _cast_to("float32"), _cast_to("float64")
to_int32, to_int64 = _cast_to("int32"), _cast_to("int64")
to_bfloat16 = _cast_to("bfloat16")


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """`tf.where`, in which a condition of one axis selects rows.

    >>> where([True, False], [[1, 2], [3, 4]], [[5, 6], [7, 8]]).numpy().tolist()
    [[1, 2], [7, 8]]
    """
    if x is None or y is None:
        return _where(condition, x, y)
    condition, x = _convert(condition), _convert(x)
    if len(condition.shape) == 1:
        for _ in x.shape[1:]:
            condition = _expand_dims(condition, -1)
    return _where(condition, x, y)


def div(x: Any, y: Any, name: str | None = None) -> Any:
    """The quotient, rounded down for integers, as in Python 2.

    >>> div(7, 2).numpy()
    np.int32(3)
    """
    x = _convert(x)
    tf = _library()
    return tf.math.floordiv(x, y) if x.dtype.is_integer else tf.divide(x, y)


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Any:
    """`tf.convert_to_tensor`, with TensorFlow 1's order of arguments.

    >>> tf.compat.v1.convert_to_tensor([1, 2], tf.float32).numpy().tolist()
    [1.0, 2.0]
    """
    hint = preferred_dtype if dtype_hint is None else dtype_hint
    return _convert(value, dtype=dtype, dtype_hint=hint)


def convert_to_tensor_or_sparse_tensor(value: Any, dtype: Any = None, name: Any = None) -> Any:
    """A tensor; a `tf.SparseTensor` stays one, and a `SparseTensorValue` becomes one.

    Raises RuntimeError for a sparse tensor of another dtype than the given one.

    >>> tf.compat.v1.convert_to_tensor_or_sparse_tensor([1, 2]).numpy().tolist()
    [1, 2]
    """
    if isinstance(value, SparseTensorValue):
        value = SparseTensor(*value)
    if not isinstance(value, SparseTensor):
        return _convert(value, dtype)
    if dtype is not None and dtype != value.dtype:
        raise RuntimeError(f"The sparse tensor is {value.dtype.name}, not {dtype}.")
    return value


def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Any:
    """`tf.expand_dims`, with `dim` as an older name of `axis`.

    >>> tf.compat.v1.expand_dims([1, 2], dim=0).numpy().tolist()
    [[1, 2]]
    """
    if (axis is None) == (dim is None):
        raise ValueError(
            f"expand_dims: either axis or dim must be given. Received: axis={axis}, dim={dim}"
        )
    return _expand_dims(input, dim if axis is None else axis)


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Any:
    """The input as a tensor: functions are called with the values that they compute.

    >>> tf.compat.v1.placeholder_with_default([1, 2], [None]).numpy().tolist()
    [1, 2]
    """
    return _convert(input)


def assign(
    ref: Any,
    value: Any,
    validate_shape: Any = None,
    use_locking: Any = None,
    name: str | None = None,
) -> Any:
    """Sets a variable.

    >>> v = tf.Variable(1.0)
    >>> tf.compat.v1.assign(v, 5.0).numpy().tolist()
    5.0
    """
    return ref.assign(value)


def assign_add(ref: Any, value: Any, use_locking: Any = None, name: Any = None) -> Any:
    """Adds to a variable.

    >>> v = tf.Variable(1.0)
    >>> tf.compat.v1.assign_add(v, 5.0).numpy().tolist()
    6.0
    """
    return ref.assign_add(value)


def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: Any = None) -> Any:
    """Subtracts from a variable.

    >>> v = tf.Variable(1.0)
    >>> tf.compat.v1.assign_sub(v, 5.0).numpy().tolist()
    -4.0
    """
    return ref.assign_sub(value)


# -- files and the log ---------------------------------------------------------------------------


class gfile:  # noqa: N801 (TensorFlow's name)
    """`tf.compat.v1.gfile`: `tf.io.gfile` under older names.

    >>> tf.compat.v1.gfile.Exists("/no/such/file")
    False
    """

    GFile = FastGFile = Open = _files.GFile
    Copy, DeleteRecursively = staticmethod(_files.copy), staticmethod(_files.rmtree)
    Exists, Glob = staticmethod(_files.exists), staticmethod(_files.glob)
    IsDirectory, ListDirectory = staticmethod(_files.isdir), staticmethod(_files.listdir)
    MakeDirs, MkDir = staticmethod(_files.makedirs), staticmethod(_files.mkdir)
    Remove, Rename = staticmethod(_files.remove), staticmethod(_files.rename)
    Stat, Walk = staticmethod(_files.stat), staticmethod(_files.walk)


class logging:  # noqa: N801 (TensorFlow's name)
    """`tf.compat.v1.logging`: the logger `tf.get_logger()`.

    >>> tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    >>> tf.compat.v1.logging.get_verbosity()
    40
    """

    DEBUG, INFO, WARN, ERROR, FATAL = 10, 20, 30, 40, 50

    @staticmethod
    def set_verbosity(v: int) -> None:
        """Sets the level below which messages are dropped."""
        _library().get_logger().setLevel(v)

    @staticmethod
    def get_verbosity() -> int:
        """The level below which messages are dropped."""
        return _library().get_logger().getEffectiveLevel()

    @staticmethod
    def log(level: int, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        _library().get_logger().log(level, msg, *args, **kwargs)

    @classmethod
    def debug(cls, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        cls.log(cls.DEBUG, msg, *args, **kwargs)

    @classmethod
    def info(cls, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        cls.log(cls.INFO, msg, *args, **kwargs)

    @classmethod
    def warn(cls, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        cls.log(cls.WARN, msg, *args, **kwargs)

    warning = warn

    @classmethod
    def error(cls, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        cls.log(cls.ERROR, msg, *args, **kwargs)

    @classmethod
    def fatal(cls, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs a message."""
        cls.log(cls.FATAL, msg, *args, **kwargs)


documentation.describe(globals(), "compat.v1")

__all__ = [
    *_ALREADY,
    *_NEVER,
    *_INITIALIZERS,
    *_OF_LISTS,
    *("assign", "assign_add", "assign_sub", "convert_to_tensor", "div", "enable_eager_execution"),
    "Dimension",
    "SparseTensorValue",
    *("convert_to_tensor_or_sparse_tensor", "placeholder_with_default"),
    *("executing_eagerly_outside_functions", "expand_dims", "gfile", "logging", "losses"),
    *("to_bfloat16", "to_double", "to_float", "to_int32", "to_int64", "train", "where"),
]


__dir__ = __all__.copy
