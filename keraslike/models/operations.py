"""Functions of `keraslike.ops` in graphs, and their form in files.

Keras has a class for each function. Arguments that distinguish operations, such as an axis or a
shape, belong to the class and are stored in its config. All others (tensors, operands, indices,
masks) belong to the call, and calls are stored separately.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import registry, serialization
from keraslike.core.naming import to_snake_case
from keraslike.core.operation import FunctionOperation, Operation
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.masks_and_losses import MaskOf

# Arguments that Keras's operations receive when they are called: by name, for all functions and for
# some functions only.
_CALL_ARGUMENTS = (
    "a abs_ angle array bias bins branches choicelist condition condlist constant_values "
    "coordinates data default depthwise_kernel elements elems end_points f false_fn "
    "fill_value fun image1 image2 images index indices init init_val inputs kernel key "
    "loop_vars mask operands output output_length output_shape pattern pointwise_kernel pred "
    "predictions primals q query scale segment_ids sequence_lengths sorted_sequence start "
    "start_indices start_points step stop tangents target target_length targets tensor "
    "transform translation true_fn updates value values variable x x1 x2 xs y"
)
_OF_CALL_IN = {
    "average": ("weights",),
    "batch_normalization": ("mean", "variance", "offset"),
    "isclose": ("rtol", "atol"),
    "layer_normalization": ("gamma", "beta"),
    "lstsq": ("b",),
    "solve": ("b",),
    "solve_triangular": ("b",),
}
# Arguments with these names that some functions pass to the constructor instead.
_CLASS_ARGUMENTS_IN = {
    "affine_transform": ("fill_value",),
    "elastic_transform": ("fill_value",),
    "histogram": ("bins",),
    "map_coordinates": ("fill_value",),
    "perspective_transform": ("fill_value",),
    "resize": ("fill_value",),
    "trapezoid": ("x",),
    "unique": ("fill_value",),
}

# The modules of Keras's operations outside of `numpy`, and the classes whose names differ from
# those of their functions.
_MODULES = {
    "core": (
        "associative_scan cast cond convert_to_tensor fori_loop map saturate_cast scan scatter "
        "scatter_update slice slice_update stop_gradient switch unstack vectorized_map while_loop"
    ),
    "einops": "rearrange",
    "image": (
        "affine_transform crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb "
        "map_coordinates pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv "
        "scale_and_translate sobel_edges ssim"
    ),
    "linalg": (
        "cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm pinv qr "
        "solve solve_triangular svd"
    ),
    "math": (
        "cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet "
        "logsumexp rfft rsqrt segment_max segment_min segment_prod segment_sum stft top_k "
        "view_as_complex view_as_real"
    ),
    "nn": (
        "adaptive_average_pool adaptive_max_pool average_pool batch_normalization "
        "binary_crossentropy categorical_crossentropy celu conv conv_transpose ctc_decode "
        "ctc_loss depth_to_space depthwise_conv dot_product_attention elu fold gelu glu "
        "hard_shrink hard_sigmoid hard_silu hard_tanh layer_normalization leaky_relu log_sigmoid "
        "log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6 "
        "rms_normalization selu separable_conv sigmoid silu soft_shrink softmax softplus softsign "
        "space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax "
        "squareplus tanh_shrink threshold unfold"
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
_CLASSES = {
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "hsv_to_rgb": "HSVToRGB",
    "isin": "IsIn",
    "layer_normalization": "LayerNorm",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    **{name: name.upper() for name in ("fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft")},
    **{name: name.upper() for name in ("jvp", "psnr", "ssim", "svd")},
}
# Keras has no such operation: there a mask is the output of the operation that computed it.
_MASK_OPERATION = "GetMask"
# Constructor arguments with which Keras's class computes the same as the function here.
_ALWAYS = {"layer_normalization": {"rms_scaling": False}}
_NAMES = {cls: name for name, cls in _CLASSES.items()}


def _is_of_call(function: str, argument: str) -> bool:
    if argument in _CLASS_ARGUMENTS_IN.get(function, ()):
        return False
    return argument in _CALL_ARGUMENTS.split() or argument in _OF_CALL_IN.get(function, ())


# -- to plain values --------------------------------------------------------------------------


def operation_entry(
    op: FunctionOperation, calls: Sequence[tuple[tuple, dict[str, Any]]]
) -> tuple[dict[str, Any], list[tuple[tuple, dict[str, Any]]]]:
    """The entry of an operation in a graph's config, and the remaining arguments of its calls.

    Raises TypeError for a function that is none of `keraslike.ops`.
    """
    name = getattr(op.function, "__name__", "")
    if not isinstance(op, MaskOf) and registry.public_name(op.function)[0] != "keras.ops":
        raise TypeError(
            f"The graph calls {name or op.function!r}, which is no function of keraslike.ops "
            "and cannot be saved: wrap it in a layer or a Lambda."
        )
    config: dict[str, Any] = {"name": str(op.name)}
    rest = []
    for args, kwargs in calls:
        of_class, *of_call = _split_arguments(name, op.function, args, kwargs)
        config |= {k: serialization.serialize(v) for k, v in of_class.items()}
        rest.append(tuple(of_call))
    class_name = class_name_of(op)
    entry = {
        "module": f"keras.src.ops.{_MODULE_OF.get(name, 'numpy')}",
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }
    return entry, rest


def class_name_of(op: FunctionOperation) -> str:
    """The name of Keras's class for a function."""
    name = getattr(op.function, "__name__", "function")
    return _CLASSES.get(name) or "".join(part.capitalize() for part in name.split("_"))


def _split_arguments(
    name: str, function: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[dict[str, Any], tuple, dict[str, Any]]:
    """Splits the arguments of a call into those of the class, and those of the call by position and
    by name."""
    signature = inspect.signature(function)
    given = signature.bind(*args, **kwargs).arguments
    of_class: dict[str, Any] = {}
    by_place: list[Any] = []
    by_name: dict[str, Any] = {}
    in_order = True  # Whether all positional arguments of the call were included so far.
    for parameter in signature.parameters.values():
        key = parameter.name
        if key not in given:
            in_order = in_order and not _is_of_call(name, key)
            continue
        value = _index(given[key]) if (name, key) == ("get_item", "key") else given[key]
        if parameter.kind is parameter.VAR_POSITIONAL:
            by_place += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            by_name |= value
        elif _is_of_call(name, key) and in_order:
            by_place.append(value)
        elif _is_of_call(name, key) or _holds_tensor(value):
            by_name[key] = value
        else:
            of_class[key] = value
    return of_class, tuple(by_place), by_name


def _holds_tensor(value: Any) -> bool:
    return any(isinstance(t, KerasTensor) for t in jax.tree.leaves(value))


def _index(key: Any) -> Any:
    """The key of an indexing operation, in which files store only tuples as lists, to distinguish
    it from an array index."""
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    return np.asarray(key) if isinstance(key, list) else key


# -- from plain values ------------------------------------------------------------------------


def is_operation_entry(entry: dict[str, Any]) -> bool:
    """Whether an entry in a graph's config is that of a function."""
    module = str(entry.get("module") or "")
    return module.startswith(("keras.src.ops", "keras.ops", "keraslike.ops"))


def operation(entry: dict[str, Any]) -> FunctionOperation:
    """The operation of an entry; raises ValueError if `keraslike.ops` has no such function."""
    if entry["class_name"] == _MASK_OPERATION:
        return MaskOf(entry["config"].get("name"))
    function = serialization.get("ops", _function_name(entry))
    return FunctionOperation(function, entry["config"].get("name"))


def _function_name(entry: dict[str, Any]) -> str:
    class_name = str(entry["class_name"])
    return _NAMES.get(class_name) or to_snake_case(class_name)


def call_arguments(
    entry: dict[str, Any], function: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a function, from those of a call in a file and those in the config.

    Raises TypeError for arguments that the function does not have.
    """
    name = _function_name(entry)
    always = {"name": entry["config"].get("name"), **_ALWAYS.get(name, {})}
    of_class = {k: v for k, v in entry["config"].items() if k not in always or v != always[k]}
    try:
        return _combined_arguments(
            function, name, serialization.deserialize(of_class), args, kwargs
        )
    except TypeError as error:
        raise TypeError(f"The file calls keraslike.ops.{name} wrongly: {error}") from None


def _combined_arguments(
    function: Any, name: str, of_class: dict[str, Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Combines the arguments of Keras's class for a function with those of a call."""
    given = {**of_class, **kwargs}
    parameters = inspect.signature(function).parameters
    by_place = [
        key
        for key, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and key not in given
    ]
    by_place.sort(key=lambda key: not _is_of_call(name, key))
    given |= dict(zip(by_place, args, strict=False))
    rest = tuple(args[len(by_place) :])
    for key, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            given[key], rest = rest, ()
        elif parameter.kind is parameter.VAR_KEYWORD:
            given[key] = {k: given.pop(k) for k in list(given) if k not in parameters}
    unknown = [key for key in given if key not in parameters]
    if unknown or rest:
        raise TypeError(
            f"{name} has not these arguments: {unknown or f'{len(args)} by their place'}."
        )
    if name == "get_item" and isinstance(given.get("key"), list):
        given["key"] = tuple(given["key"])
    in_order = {key: given[key] for key in parameters if key in given}
    bound = inspect.BoundArguments(inspect.signature(function), in_order)  # type: ignore[arg-type]
    return bound.args, bound.kwargs


# -- as Keras's classes ----------------------------------------------------------------------


def operation_class(class_name: str) -> type:
    """Keras's class for a function, which is constructed with the class's arguments and called with
    the call's.

    Raises ValueError if `keraslike.ops` has no such function.

    >>> operation_class("Sum")(axis=0)([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [4.0, 6.0]
    """
    name = _NAMES.get(class_name) or to_snake_case(class_name)
    return _class_of(serialization.get("ops", name), name, class_name)


@functools.cache
def _class_of(function: Any, name: str, class_name: str) -> type:
    parameters = inspect.signature(function).parameters
    of_class = [key for key in parameters if not _is_of_call(name, key)]

    def init(self: Any, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        self._of_class = {**dict(zip(of_class, args, strict=False)), **kwargs}
        self._operation = FunctionOperation(function, name)
        self.name = self._operation.name

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = _combined_arguments(function, name, self._of_class, args, kwargs)
        return self._operation(*args, **kwargs)

    def compute_output_spec(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = _combined_arguments(function, name, self._of_class, args, kwargs)
        return self._operation.compute_output_spec(*args, **kwargs)

    def argument(self: Any, key: str) -> Any:
        given = vars(self).get("_of_class", {})
        if key in given or key in of_class:
            return given.get(key, parameters[key].default)
        raise AttributeError(f"{class_name!r} object has no attribute {key!r}")

    members = {
        "__init__": init,
        "__call__": call,
        "__doc__": f"`keraslike.ops.{name}` with some of its arguments given beforehand.",
        "call": call,
        "compute_output_spec": compute_output_spec,
        "__getattr__": argument,
    }
    return type(class_name, (Operation,), members)
