"""The part of TensorFlow's API that textbooks use, on JAX: `from keraslike import tf`.

It has tensors, variables, tapes, `tf.function` and related structures, with TensorFlow's results,
dtypes and names. `tf.keras` is keraslike, whose eager results are tensors there. All values convert
to and from JAX and numpy arrays, so that code can be ported from `tf` to `jax.numpy` step by step.
The examples of all its functions begin after this import:

>>> from keraslike import tf
>>> w1, w2 = tf.Variable(5.0), tf.Variable(3.0)
>>> with tf.GradientTape() as tape:
...     z = 3 * w1**2 + 2 * w1 * w2
>>> tape.gradient(z, [w1, w2])
[<tf.Tensor: shape=(), dtype=float32, numpy=36.0>, <tf.Tensor: shape=(), dtype=float32, numpy=10.0>]
"""

import sys
from types import SimpleNamespace as _Namespace

from keraslike.core import registry
from keraslike.tf import (
    audio,
    autodiff,
    autograph,
    bitwise,
    candidates,
    circulants,
    compat,
    config,
    data,
    debugging,
    distribute,
    dtypes,
    errors,
    experimental,
    face,
    general,
    image,
    io,
    linalg,
    linear_operator,
    linear_operators,
    lite,
    lookup,
    math,
    nest,
    nn,
    operators,
    profiler,
    quantization,
    queue,
    ragged,
    random,
    raw_ops,
    saved_model,
    sets,
    signal,
    sparse,
    statements,  # noqa: F401
    strings,
    summary,
    table,
    test,
    train,
    types,
)
from keraslike.tf.autodiff import gradients, hessians
from keraslike.tf.blocks import (
    batch_to_space,
    required_space_to_batch_paddings,
    space_to_batch,
    space_to_batch_nd,
)
from keraslike.tf.conjugate_gradient import conjugate_gradient
from keraslike.tf.control import (
    CriticalSection,
    case,
    cond,
    device,
    switch_case,
    while_loop,
)
from keraslike.tf.conversion import (
    constant,
    convert_to_tensor,
    is_tensor,
    register_tensor_conversion_function,
)
from keraslike.tf.custom import custom_gradient, grad_pass_through, recompute_grad
from keraslike.tf.debugging import (
    Assert,
    assert_equal,
    assert_greater,
    assert_less,
    assert_rank,
    get_logger,
)
from keraslike.tf.device_spec import DeviceSpec
from keraslike.tf.dtypes import (
    DType,
    TensorShape,
    as_dtype,
    bfloat16,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
)
from keraslike.tf.dtypes import bool_ as bool
from keraslike.tf.function import function
from keraslike.tf.graph import Operation
from keraslike.tf.image_measures import extract_volume_patches
from keraslike.tf.indexing import (
    boolean_mask,
    gather,
    gather_nd,
    scatter_nd,
    split,
    strided_slice,
    tensor_scatter_nd_add,
    tensor_scatter_nd_max,
    tensor_scatter_nd_min,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
    unstack,
    where,
)
from keraslike.tf.indexing import slice_ as slice
from keraslike.tf.initial_values import Constant as constant_initializer
from keraslike.tf.initial_values import Ones as ones_initializer
from keraslike.tf.initial_values import RandomNormal as random_normal_initializer
from keraslike.tf.initial_values import RandomUniform as random_uniform_initializer
from keraslike.tf.initial_values import Zeros as zeros_initializer
from keraslike.tf.linalg import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    einsum,
    matmul,
    norm,
    tensordot,
)
from keraslike.tf.mapping import foldl, foldr, map_fn, scan, vectorized_map
from keraslike.tf.math import complex, scalar_mul, truncatediv, truncatemod
from keraslike.tf.module import Module, name_scope
from keraslike.tf.ops import (
    add_n,
    argmax,
    argmin,
    broadcast_to,
    cast,
    concat,
    cumsum,
    expand_dims,
    eye,
    fill,
    identity,
    meshgrid,
    ones,
    pad,
    range,
    repeat,
    reshape,
    reverse,
    roll,
    saturate_cast,
    squeeze,
    stack,
    stop_gradient,
    tile,
    transpose,
    zeros,
)
from keraslike.tf.ops import tuple_ as tuple
from keraslike.tf.printing import print_ as print
from keraslike.tf.python import numpy_function, py_function
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.signatures import TensorSpec
from keraslike.tf.sizes import rank, shape, size
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.sorting import (
    argsort,
    searchsorted,
    sequence_mask,
    sort,
    unique,
    unique_with_counts,
)
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.specs import (
    IndexedSlicesSpec,
    NoneTensorSpec,
    OptionalSpec,
    RaggedTensorSpec,
    SparseTensorSpec,
    TensorArraySpec,
    type_spec_from_value,
)
from keraslike.tf.tape import GradientTape, UnconnectedGradients
from keraslike.tf.tensor import Tensor
from keraslike.tf.tensor_array import TensorArray
from keraslike.tf.text_hash import fingerprint
from keraslike.tf.type_spec import TypeSpec
from keraslike.tf.variables import (
    Variable,
    VariableAggregation,
    VariableSynchronization,
    variable_creator_scope,
)
from keraslike.tf.windows import conv

__version__ = "2.21.0"  # the version of TensorFlow whose API this is
version = _Namespace(VERSION=__version__, GIT_VERSION="unknown", COMPILER_VERSION="unknown")
sysconfig = _Namespace(
    get_build_info=lambda: {
        "is_cuda_build": test.is_built_with_cuda(),
        "is_rocm_build": test.is_built_with_rocm(),
        "is_tensorrt_build": False,
    }
)
tpu = _Namespace(experimental=_Namespace(initialize_tpu_system=lambda resolver=None: None))
newaxis = None
keras = face.Module(sys.modules["keraslike"], f"{__name__}.keras")
keras.__version__ = registry.KERAS_VERSION
initializers, losses, metrics, optimizers = (
    getattr(keras, _name) for _name in ("initializers", "losses", "metrics", "optimizers")
)
as_string, realdiv = strings.as_string, table.truediv
eig, eigvals, matrix_square_root = linalg.eig, linalg.eigvals, linalg.sqrtm
globals().update({_name: getattr(general, _name) for _name in general.__all__})

for _module in (linear_operator, linear_operators, circulants):
    vars(linalg).update({_name: getattr(_module, _name) for _name in _module.__all__})
    linalg.__all__ += _module.__all__
vars(linalg).update(experimental=_Namespace(conjugate_gradient=conjugate_gradient))
linalg.__all__.append("experimental")
vars(random).update(fixed_unigram_candidate_sampler=candidates.fixed_unigram_candidate_sampler)
random.__all__.append("fixed_unigram_candidate_sampler")
vars(dtypes).update(cast=cast, complex=complex, saturate_cast=saturate_cast)
_float8 = {_name: getattr(experimental, _name) for _name in ("float8_e4m3fn", "float8_e5m2")}
vars(dtypes).update(experimental=_Namespace(**_float8))

# The functions of tf.math that are also attributes of tf.
_SHARED = (
    "abs acos acosh add asin asinh atan atan2 atanh cos cosh divide equal exp floor greater "
    "greater_equal less less_equal logical_and logical_not logical_or maximum minimum "
    "multiply negative not_equal ones_like pow reduce_all reduce_any reduce_logsumexp "
    "reduce_max reduce_mean reduce_min reduce_prod reduce_sum round sigmoid sign sin sinh "
    "sqrt square subtract tan tanh truediv zeros_like "
)
globals().update({_name: getattr(table, _name) for _name in _SHARED.split()})

_MODULES = {
    *(
        "audio",
        "autodiff",
        "autograph",
        "bitwise",
        "compat",
        "config",
        "data",
        "debugging",
        "distribute",
        "dtypes",
        "errors",
        "experimental",
        "image",
        "io",
        "keras",
        "linalg",
        "lite",
        "lookup",
        "math",
        "nest",
        "nn",
        "profiler",
        "quantization",
        "queue",
        "ragged",
        "random",
        "raw_ops",
        "saved_model",
    ),
    *("sets", "signal", "sparse", "strings", "summary", "test", "train", "types"),
}
__all__ = sorted(
    name
    for name, value in list(globals().items())
    if name[0] != "_" and (name in _MODULES or not isinstance(value, type(sys)))
)
__dir__ = __all__.copy
