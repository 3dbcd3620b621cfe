"""Functions of `keras.src` that packages use and that keraslike has in another form; `src_names.py`
lists them."""

from __future__ import annotations

import base64
import contextlib
import enum
import functools
import hashlib
import importlib
import json
import marshal
import math
import os
import pathlib
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import layers, ops, tree
from keraslike.core import context, messages, naming, registry, serialization, session
from keraslike.core.arguments import one_of, sizes
from keraslike.core.dtypes import is_float, standardize_dtype
from keraslike.core.promotion import FLOAT_TYPES, INT_TYPES
from keraslike.core.scopes import StatelessScope
from keraslike.core.structures import map_items
from keraslike.core.symbolic import is_symbolic, output_spec
from keraslike.training.arrays import class_weights_of

# Properties of Keras's JAX backend.
SUPPORTS_SPARSE_TENSORS = True
SUPPORTS_RAGGED_TENSORS = False
SUPPORTS_COMPLEX_DTYPES = True
IS_THREAD_SAFE = True
DYNAMIC_SHAPES_OK = False
DYNAMIC_BATCH_SIZE_OK = False

AUCCurve = enum.StrEnum("AUCCurve", [(name, name) for name in ("ROC", "PR", "PRGAIN")])
AUCSummationMethod = enum.StrEnum("AUCSummationMethod", ["INTERPOLATION", "MAJORING", "MINORING"])

_attributes: dict[str, Any] = {}
session.at_clear_session(_attributes.clear)


def get_global_attribute(name: str, default: Any = None, set_to_default: bool = False) -> Any:
    """Reads a value that was set for the whole process.

    >>> get_global_attribute("an_example", default=2)
    2
    """
    value = _attributes.get(name)
    if value is None:
        value = default
        if set_to_default and default is not None:
            _attributes[name] = default
    return value


def set_global_attribute(name: str, value: Any) -> None:
    """Sets a value for the whole process."""
    _attributes[name] = value


def random_seed_dtype() -> str:
    """The dtype of a seed."""
    return "uint32"


def any_symbolic_tensors(args: tuple | None = None, kwargs: dict[str, Any] | None = None) -> bool:
    """Whether an argument is, or contains, a symbolic tensor.

    >>> any_symbolic_tensors(([2.0],))
    False
    """
    return is_symbolic(args or (), kwargs or {})


def compute_output_spec(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """The symbolic outputs of a function of arrays for symbolic arguments.

    Its assignments to Variables are discarded.

    >>> from keraslike import KerasTensor
    >>> compute_output_spec(lambda x: x[:, 0], KerasTensor((None, 3))).shape
    (None,)
    """

    def apart(*args: Any, **kwargs: Any) -> Any:
        with StatelessScope():
            return fn(*args, **kwargs)

    return output_spec(apart, args, kwargs)


# -- names, files, text ---------------------------------------------------------------------------


def get_object_name(obj: Any) -> str:
    """The name of an object, or one derived from its class.

    >>> from keraslike import KerasTensor
    >>> get_object_name(len), get_object_name(KerasTensor((2,), name="x"))
    ('len', 'x')
    """
    if hasattr(obj, "name"):
        return obj.name
    return naming.to_snake_case(getattr(obj, "__name__", type(obj).__name__))


def print_msg(message: Any, line_break: bool = True) -> None:
    """Prints a message, or logs it if interactive logging is off.

    >>> print_msg("Saved.")
    Saved.
    """
    messages.say(str(message), end="\n" if line_break else "")


def set_logging_verbosity(level: str) -> None:
    """Sets the logging level: FATAL, ERROR, WARNING, INFO or DEBUG."""
    from absl import logging

    one_of(("fatal", "error", "warning", "info", "debug"), level=level)
    logging.set_verbosity(getattr(logging, level.upper()))


# The share of the free memory that weights may take while they are packed for saving.
MEMORY_UPPER_BOUND = 1.0


def is_remote_path(filepath: Any) -> bool:
    """Whether a path belongs to a remote file system.

    >>> is_remote_path("gs://bucket/model.keras"), is_remote_path("model.keras")
    (True, False)
    """
    stores = "cns|cfs|gcs|hdfs|readahead|placer|tfhub"
    return re.match(rf"^(/({stores})/|.*://)", str(filepath)) is not None


def raise_if_no_gfile(path: Any) -> None:
    """Raises ValueError for a remote path, which only TensorFlow can read."""
    raise ValueError(
        "Handling remote paths requires installing TensorFlow (its tf.io.gfile). "
        f"Received path: {path}"
    )


def path_to_string(path: Any) -> Any:
    """Converts a path to text; other values are returned unchanged.

    >>> path_to_string(None), path_to_string("model.keras")
    (None, 'model.keras')
    """
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def resolve_sub_path(base_dir: str, relative_path: str) -> str | None:
    """A path below a folder, with links resolved; `None` for one that leaves the folder.

    >>> resolve_sub_path("/data", "../secret")
    """
    path = os.path.realpath(os.path.join(base_dir, relative_path))
    return path if pathlib.PurePath(path).is_relative_to(base_dir) else None


def resolve_hasher(algorithm: str, file_hash: str | None = None) -> Any:
    """A hash object of `hashlib`: SHA-256 if that is requested or a hash has its length, else MD5.

    >>> resolve_hasher("auto", "a" * 64).name, resolve_hasher("other").name
    ('sha256', 'md5')
    """
    of_length = algorithm == "auto" and file_hash is not None and len(file_hash) == 64
    return hashlib.new("sha256" if algorithm == "sha256" or of_length else "md5")


def dtype_size(dtype: str) -> int:
    """The number of bits of a dtype; ValueError for a dtype that is neither numeric nor boolean.

    >>> dtype_size("bfloat16"), dtype_size("bool")
    (16, 1)
    """
    if dtype == "bool":
        return 1
    if dtype not in (*INT_TYPES, *FLOAT_TYPES):
        raise ValueError(f"Invalid dtype: {dtype}")
    return 8 * jnp.dtype(dtype).itemsize


def names_float(dtype: str) -> bool:
    """Whether the name of a dtype is that of a floating-point dtype.

    >>> names_float("float8_e5m2"), names_float("int8")
    (True, False)
    """
    return "float" in dtype


def cast_to_common_dtype(tensors: Sequence[Any]) -> Sequence[Any]:
    """Casts tensors to the widest floating-point dtype among them; without one they are unchanged.

    >>> [x.dtype.name for x in cast_to_common_dtype([jnp.ones(2), jnp.ones(2, "int32")])]
    ['float32', 'float32']
    """
    found = {standardize_dtype(x.dtype) for x in tensors}
    widest = max((d for d in FLOAT_TYPES if d in found), key=dtype_size, default=None)
    if {"float16", "bfloat16"} <= found and widest in ("float16", "bfloat16"):
        widest = "float32"
    return tensors if widest is None else [ops.cast(x, widest) for x in tensors]


def func_dump(func: types.FunctionType) -> tuple[str, Any, Any]:
    """The `(bytecode, defaults, closure)` of a function, for `func_load` in the same version of
    Python.

    >>> func_load(func_dump(lambda x: 2 * x))(3)
    6
    """
    code = base64.b64encode(marshal.dumps(func.__code__)).decode("ascii")
    closure = tuple(cell.cell_contents for cell in func.__closure__ or ()) or None
    return code, func.__defaults__, closure


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: Any = None) -> Callable:
    """The function described by the result of `func_dump`. It executes the code that it is
    given."""
    if isinstance(code, (tuple, list)):
        code, defaults, closure = code
    cells = tuple(c if isinstance(c, types.CellType) else types.CellType(c) for c in closure or ())
    raw = marshal.loads(base64.b64decode(code.encode("ascii")))
    defaults = tuple(defaults) if isinstance(defaults, list) else defaults
    return types.FunctionType(
        raw, globals() if globs is None else globs, raw.co_name, defaults, cells
    )


def build_pos_neg_masks(
    query_labels: Any, key_labels: Any, remove_diagonal: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Masks `(q, k)` of the pairs of a query and a key with the same label, and of the others. With
    `remove_diagonal` a query and the key at its own position do not count as the same.

    >>> build_pos_neg_masks([0, 1], [0, 0])[0].tolist()
    [[False, True], [False, False]]
    """
    same = jnp.asarray(query_labels).reshape(-1, 1) == jnp.asarray(key_labels).reshape(1, -1)
    positive = same & ~jnp.eye(*same.shape, dtype=bool) if remove_diagonal else same
    return positive, ~same


def to_list(x: Any) -> list[Any]:
    """A list unchanged, any other value in a new list.

    >>> to_list(2), to_list([2])
    ([2], [2])
    """
    return x if isinstance(x, list) else [x]


def remove_long_seq(maxlen: int, seq: Sequence[Any], label: Sequence[Any]) -> tuple[list, list]:
    """The sequences that are shorter than `maxlen`, and their labels.

    >>> remove_long_seq(2, [[1], [1, 2]], [0, 1])
    ([[1]], [0])
    """
    short = [i for i, values in enumerate(seq) if len(values) < maxlen]
    return [seq[i] for i in short], [label[i] for i in short]


def standardize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """The sizes along `n` axes; ValueError for what is no size, or not one an axis.

    >>> standardize_tuple(2, 3, "strides")
    (2, 2, 2)
    """
    return sizes(n, 0 if allow_zero else 1, **{name: value})


def standardize_padding(value: Any, allow_causal: bool = False) -> Any:
    """A padding mode in lower case; lists of numbers are returned unchanged.

    >>> standardize_padding("SAME")
    'same'
    """
    if isinstance(value, (list, tuple)):
        return value
    return one_of(("valid", "same", "causal")[: 2 + allow_causal], padding=value.lower())


def count_params(weights: Sequence[Any]) -> int:
    """The number of elements of all weights.

    >>> count_params([np.ones((2, 3)), np.ones(4)])
    10
    """
    return sum(math.prod(weight.shape) for weight in weights)


def is_in_jax_tracing_scope(x: Any = None) -> bool:
    """Whether JAX is tracing, or, for an array, whether it is a tracer.

    >>> is_in_jax_tracing_scope(), is_in_jax_tracing_scope(jnp.ones(2))
    (False, False)
    """
    return not context.trace_state_clean() if x is None else isinstance(x, jax.core.Tracer)


class keras_export:  # noqa: N801 (Keras's name)
    """A decorator without effect: the public names of a package are those of its modules.

    >>> keras_export("keras.layers.Mine")(int) is int
    True
    """

    def __init__(self, path: str | Sequence[str]):
        self.path = path

    def __call__(self, symbol: Any) -> Any:
        return symbol


class LazyModule:
    """A module that is imported on first use.

    >>> LazyModule("json").available, LazyModule("no_such_module").available
    (True, False)
    """

    def __init__(self, name: str, pip_name: str | None = None, import_error_msg: str | None = None):
        self.name = name
        self.pip_name = pip_name or name
        self.import_error_msg = (
            import_error_msg
            or f"{name} is needed here: install it by `pip install {self.pip_name}`."
        )

    @property
    def available(self) -> bool:
        """Whether it can be imported."""
        try:
            self.initialize()
        except ImportError:
            return False
        return True

    def initialize(self) -> Any:
        """Imports it, or raises ImportError with the message."""
        try:
            return importlib.import_module(self.name)
        except ImportError as error:
            raise ImportError(self.import_error_msg) from error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Attributes that Python and its tools look up in any object.
            raise AttributeError(name)
        return getattr(self.initialize(), name)


tensorflow, tensorflow_io, scipy, jax_module, h5py, optree, grain, orbax = map(
    LazyModule,
    ("tensorflow", "tensorflow_io", "scipy", "jax", "h5py", "optree", "grain", "orbax.checkpoint"),
)
gfile = LazyModule("tensorflow.io.gfile", pip_name="tensorflow")
dmtree = LazyModule("tree", pip_name="dm-tree")


class Encoder(json.JSONEncoder):
    """A JSON encoder that represents tuples, bytes and serializable objects as entries, and
    enumeration members by their values.

    >>> decode(Encoder().encode({"sizes": (2, [b"ab"])}))
    {'sizes': (2, [b'ab'])}
    """

    def default(self, o: Any) -> Any:
        """The entry of a value without a JSON form; TypeError if it has none."""
        return o.value if isinstance(o, enum.Enum) else serialization.serialize(o)

    def encode(self, o: Any) -> str:
        """The JSON text of a value."""
        return super().encode(_in_entries(o))


def _in_entries(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"class_name": "__tuple__", "items": [_in_entries(v) for v in value]}
    if isinstance(value, bytes):
        return {"class_name": "__bytes__", "value": value.decode()}
    return map_items(_in_entries, value)


def decode(json_string: str) -> Any:
    """The value of a text of an `Encoder`; entries of objects are not deserialized."""
    kinds: dict[Any, Callable[[dict], Any]] = {
        "__tuple__": lambda entry: tuple(entry["items"]),
        "__bytes__": lambda entry: entry["value"].encode(),
        "__ellipsis__": lambda entry: ...,
    }
    return json.loads(json_string, object_hook=lambda e: kinds.get(e.get("class_name"), dict)(e))


# -- scopes, data and attributes ------------------------------------------------------------------


def autocast_scope(dtype: Any) -> contextlib.AbstractContextManager[None]:
    """Within the block variables of floating-point numbers are read in a dtype, or, with `None`, in
    their own. Raises ValueError for a dtype that is not one of floating-point numbers.

    >>> from keraslike import Variable
    >>> weight = Variable(1.0)
    >>> with autocast_scope("bfloat16"):
    ...     print((weight + 1).dtype)
    bfloat16
    """
    if dtype is not None and not is_float(dtype):
        raise ValueError(
            f"`AutocastScope` can only be used with a floating-point dtype. Received: dtype={dtype}"
        )
    return context.using(autocast=None if dtype is None else jnp.dtype(standardize_dtype(dtype)))


def convert_tf_tensor(outputs: Any, dtype: Any = None) -> Any:
    """The output of a preprocessing layer, which is a JAX array already."""
    return outputs if dtype is None else jax.tree.map(lambda x: jnp.asarray(x, dtype), outputs)


def in_tf_graph() -> bool:
    """Whether a graph of TensorFlow's is being built, which is never the case."""
    return False


def in_grain_data_pipeline() -> bool:
    """Whether it is called by a data pipeline of grain's, which expects numpy arrays.

    >>> in_grain_data_pipeline()
    False
    """
    place = os.path.join("grain", "_src", "python", "data")  # dataset/, data_loader.py.
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and place not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def in_safe_mode() -> bool | None:
    """Whether deserialization rejects the bytecode of lambdas."""
    return registry.scope.safe_mode


def class_weight_to_sample_weights(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample, from its class number or its one-hot target.

    >>> class_weight_to_sample_weights(np.array([0, 1, 1]), {1: 2.0}).tolist()
    [1.0, 2.0, 2.0]
    """
    return class_weights_of(y, class_weight)


def ConvLSTM(rank: int, *args: Any, **kwargs: Any) -> Any:
    """The ConvLSTM layer with this number of spatial axes.

    >>> type(ConvLSTM(2, 4, 3)).__name__
    'ConvLSTM2D'
    """
    return getattr(layers, f"ConvLSTM{rank}D")(*args, **kwargs)


@tree.register_tree_node_class
class TrackedSet(set):
    """A set that `keraslike.tree` traverses like a list.

    >>> tree.flatten(TrackedSet([1.0]))
    [1.0]
    """

    def tree_flatten(self) -> tuple[list[Any], None]:
        """The items of the set."""
        return list(self), None

    @classmethod
    def tree_unflatten(cls, metadata: None, children: Any) -> TrackedSet:
        """The set with these items."""
        return cls(children)


class DotNotTrackScope:
    """Within the block, layers and variables that are assigned to attributes are not tracked.

    >>> from keraslike import layers
    >>> beside, dense = layers.Layer(), layers.Dense(2)
    >>> dense.build((None, 3))
    >>> with DotNotTrackScope():
    ...     beside.watched = dense
    >>> beside.watched is dense, len(beside.weights)
    (True, 0)
    """

    def __enter__(self) -> DotNotTrackScope:
        self._before, context.state.tracking = context.state.tracking, False
        return self

    def __exit__(self, *error: Any) -> None:
        context.state.tracking = self._before


def is_tracking_enabled() -> bool:
    """Whether layers and variables in attributes are tracked."""
    return context.state.tracking


def no_automatic_dependency_tracking(fn: Callable) -> Callable:
    """Decorator for a method: layers and variables that it assigns to attributes are not tracked.

    >>> from keraslike import layers
    >>> class Beside(layers.Layer):
    ...     @no_automatic_dependency_tracking
    ...     def watch(self, layer):
    ...         self.watched = layer
    >>> beside, dense = Beside(), layers.Dense(2)
    >>> dense.build((None, 3))
    >>> beside.watch(dense)
    >>> beside.watched is dense, len(beside.weights)
    (True, 0)
    """

    @functools.wraps(fn)
    def untracked(*args: Any, **kwargs: Any) -> Any:
        with DotNotTrackScope():
            return fn(*args, **kwargs)

    return untracked


def get_tensor_spec(t: Any, dynamic_batch: bool = False, name: str | None = None) -> Any:
    """The `tf.TensorSpec` of an array, a tensor or a spec; None for a value of another kind.

    Args:
        dynamic_batch: whether the size of the first axis is left open.
        name: the name of the spec.
    """
    if not (hasattr(t, "shape") and hasattr(t, "dtype")):
        return None
    shape = list(t.shape)
    if dynamic_batch:
        shape[:1] = [None] * len(shape[:1])
    return tensorflow.TensorSpec(shape, t.dtype, name)
