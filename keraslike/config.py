"""Settings: dtypes, policies, epsilon, memory, logging, limits, tracebacks."""

import importlib
from typing import Any

from keraslike.core.arguments import (
    image_data_format,
    nan_in_data,
    set_image_data_format,
    set_nan_in_data,
)
from keraslike.core.boxed import BoxedResults
from keraslike.core.compilation import keep_memory, set_compilation_cache
from keraslike.core.config import (
    disable_flash_attention,
    enable_flash_attention,
    enable_unsafe_deserialization,
    is_flash_attention_enabled,
    max_epochs,
    max_steps_per_epoch,
    set_max_epochs,
    set_max_steps_per_epoch,
)
from keraslike.core.dtypes import (
    epsilon,
    floatx,
    set_epsilon,
    set_floatx,
)
from keraslike.core.lowering import set_copy_before_donation
from keraslike.core.messages import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from keraslike.core.policies import dtype_policy, set_dtype_policy
from keraslike.core.tracebacks import (
    disable_traceback_filtering,
    enable_traceback_filtering,
    is_traceback_filtering_enabled,
)


def backend() -> str:
    """The backend, which is always `"jax"`.

    >>> backend()
    'jax'
    """
    return "jax"


def set_backend(backend: Any) -> None:
    """Accepts `"jax"`, for programs that select a backend; raises ValueError for any other.

    >>> set_backend("jax")
    """
    if backend != "jax":
        raise ValueError(f"keraslike computes with JAX only. Received: backend={backend!r}")


def is_nnx_enabled() -> bool:
    """Whether layers are modules of flax.nnx, and variables its Variables; always true.

    >>> is_nnx_enabled()
    True
    """
    return True


def tensor_type() -> str:
    """The type of the results of eager calls: `"jax"` for JAX arrays, or `"tensorflow"`.

    >>> tensor_type()
    'jax'
    """
    return "tensorflow" if BoxedResults.everywhere else "jax"


def set_tensor_type(value: Any) -> None:
    """Sets what eager calls of layers, models, losses, metrics, optimizers and ops return.

    `"tensorflow"`: `keraslike.tf.Tensor`s, for programs that use TensorFlow's API, with
    TensorFlow's gradients at kinks and ties. `"jax"`, the default: JAX arrays. Names in
    `keraslike.tf.keras` always return tensors. Traced code, such as a step of `fit`, is not
    affected. Raises ValueError for another value.

    >>> import keraslike
    >>> set_tensor_type("tensorflow")
    >>> keraslike.ops.sum([1.0, 2.0]).numpy()
    np.float32(3.0)
    >>> set_tensor_type("jax")
    """
    if value not in ("jax", "tensorflow"):
        raise ValueError(f"The tensor type is 'jax' or 'tensorflow'. Received: {value!r}")
    if value == "tensorflow":
        importlib.import_module("keraslike.tf")  # It defines the tensor class.
    BoxedResults.everywhere = value == "tensorflow"


__all__ = [
    "backend",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "keep_memory",
    "max_epochs",
    "max_steps_per_epoch",
    "nan_in_data",
    "set_backend",
    "set_compilation_cache",
    "set_copy_before_donation",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "set_nan_in_data",
    "set_tensor_type",
    "tensor_type",
]
__dir__ = __all__.copy
