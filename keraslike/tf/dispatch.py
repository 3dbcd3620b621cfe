"""Users' implementations of TensorFlow's functions for their extension types."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import operator
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

# The functions that `dispatch_for_unary_elementwise_apis` concerns.
_UNARY = (
    "abs acos acosh asin asinh atan atanh cast clip_by_value cos cosh exp floor logical_not "
    "negative ones_like round saturate_cast sigmoid sign sin sinh sqrt square tan tanh "
    "zeros_like as_string bitwise.invert debugging.check_numerics image.adjust_brightness "
    "image.adjust_gamma image.convert_image_dtype image.random_brightness "
    "image.stateless_random_brightness io.decode_base64 io.decode_compressed io.encode_base64 "
    "math.abs math.angle math.bessel_i0 math.bessel_i0e math.bessel_i1 math.bessel_i1e "
    "math.ceil math.conj math.digamma math.erf math.erfc math.erfcinv math.erfinv math.expm1 "
    "math.imag math.is_finite math.is_inf math.is_nan math.lgamma math.log math.log1p "
    "math.log_sigmoid math.ndtri math.real math.reciprocal math.reciprocal_no_nan math.rint "
    "math.rsqrt math.softplus math.special.bessel_j0 math.special.bessel_j1 "
    "math.special.bessel_k0 math.special.bessel_k0e math.special.bessel_k1 "
    "math.special.bessel_k1e math.special.bessel_y0 math.special.bessel_y1 math.special.dawsn "
    "math.special.expint math.special.fresnel_cos math.special.fresnel_sin math.special.spence "
    "nn.elu nn.gelu nn.leaky_relu nn.log_softmax nn.relu nn.relu6 nn.selu nn.silu nn.softsign "
    "strings.length strings.lower strings.regex_full_match strings.regex_replace strings.strip "
    "strings.substr strings.to_hash_bucket strings.to_hash_bucket_fast "
    "strings.to_hash_bucket_strong strings.to_number strings.unicode_transcode strings.upper "
)
_BINARY = (
    "add atan2 bitwise.bitwise_and bitwise.bitwise_or bitwise.bitwise_xor bitwise.left_shift "
    "bitwise.right_shift complex divide equal greater greater_equal less less_equal logical_and "
    "logical_or math.divide_no_nan math.floordiv math.floormod math.logical_xor "
    "math.multiply_no_nan math.nextafter math.squared_difference math.xdivy math.xlog1py "
    "math.xlogy math.zeta maximum minimum multiply nn.sigmoid_cross_entropy_with_logits "
    "not_equal pow realdiv scalar_mul subtract truediv truncatediv truncatemod "
)
_COMPARED = "equal greater greater_equal less less_equal"

# By functions of TensorFlow, the annotations of parameters and the implementations for them.
_for_api: dict[Any, list[tuple[dict[str, Any], Callable]]] = {}
# By the kind of functions, the types of operands and the implementations for them.
_elementwise: dict[str, list[tuple[tuple[Any, ...], Callable]]] = {
    "unary": [],
    "binary": [],
    "binary assert": [],
}


def dispatch_for_api(api: Callable, *signatures: dict[str, Any]) -> Callable:
    """A decorator that makes a function the implementation of one of TensorFlow's functions for
    arguments of given types.

    Args:
        api: a function of `tf`.
        signatures: dicts from the names of parameters to types; by default the annotations of the
            decorated function. A type is a class, or `List`, `Tuple` or `Union` of types.

    Raises ValueError for a function of other parameters than `api`, for one that no type is named
    for, and where `api` does not support dispatch.

    >>> class Masked(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    >>> @tf.experimental.dispatch_for_api(tf.reduce_sum)
    ... def total(input_tensor: Masked, axis=None, keepdims=False):
    ...     return tf.reduce_sum(input_tensor.values, axis, keepdims)
    >>> tf.reduce_sum(Masked([1, 2])).numpy().tolist()
    3
    """
    if not getattr(api, "_dispatches", False):
        raise ValueError(f"{api} does not support dispatch.")
    expected = inspect.signature(api)

    def decorate(function: Callable) -> Callable:
        names = list(inspect.signature(function).parameters)
        wanted = list(expected.parameters)
        if names != wanted and [*names, "name"] != wanted:
            raise ValueError(
                f"A function for tf.{api.__name__} needs its parameters {wanted}. Received: {names}"
            )
        hints = {k: h for k, h in typing.get_type_hints(function).items() if k != "return"}
        found = signatures or ((hints,) if hints else ())
        if not found:
            raise ValueError(
                "dispatch_for_api() needs a signature, or annotations of the function's parameters."
            )
        handlers = _for_api.setdefault(_key(api), [])
        handlers += [(signature, function) for signature in found]
        return function

    return decorate


def dispatch_for_unary_elementwise_apis(x_type: Any) -> Callable:
    """A decorator that makes `function(api, x)` the implementation of all functions that compute
    each element from one other, for arguments of a type.

    Raises ValueError if there is one for the type already.

    >>> class Wrapped(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    >>> @tf.experimental.dispatch_for_unary_elementwise_apis(Wrapped)
    ... def of_values(api, x):
    ...     return Wrapped(api(x.values))
    >>> tf.abs(Wrapped([1, -2])).values.numpy().tolist()
    [1, 2]
    """
    return functools.partial(_register, "unary", (x_type,))


def dispatch_for_binary_elementwise_apis(x_type: Any, y_type: Any) -> Callable:
    """A decorator that makes `function(api, x, y)` the implementation of all functions that compute
    each element from two others, for arguments of two types.

    Raises ValueError if there is one for the types already.

    >>> class Wrapped(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    >>> @tf.experimental.dispatch_for_binary_elementwise_apis(Wrapped, Wrapped)
    ... def of_values(api, x, y):
    ...     return Wrapped(api(x.values, y.values))
    >>> tf.add(Wrapped([1, 2]), Wrapped([3, 4])).values.numpy().tolist()
    [4, 6]
    """
    return functools.partial(_register, "binary", (x_type, y_type))


def dispatch_for_binary_elementwise_assert_apis(x_type: Any, y_type: Any) -> Callable:
    """A decorator that makes `function(api, x, y)` the implementation of the assertions that
    compare two tensors, for arguments of two types.

    >>> class Wrapped(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    >>> @tf.experimental.dispatch_for_binary_elementwise_assert_apis(Wrapped, Wrapped)
    ... def of_values(api, x, y):
    ...     return api(x.values, y.values)
    >>> tf.debugging.assert_equal(Wrapped([1]), Wrapped([1]))
    """
    return functools.partial(_register, "binary assert", (x_type, y_type))


def unregister_dispatch_for(dispatch_target: Callable) -> None:
    """Undoes what one of the decorators of this module has done for a function.

    Raises ValueError for another function.

    >>> class Wrapped(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    >>> @tf.experimental.dispatch_for_unary_elementwise_apis(Wrapped)
    ... def of_values(api, x):
    ...     return Wrapped(api(x.values))
    >>> tf.experimental.unregister_dispatch_for(of_values)
    """
    known = False
    for handlers in (*_for_api.values(), *_elementwise.values()):
        kept = [pair for pair in handlers if pair[1] is not dispatch_target]  # type: ignore[misc]
        known = known or len(kept) < len(handlers)
        handlers[:] = kept  # type: ignore[assignment]
    if not known:
        raise ValueError(f"No decorator of tf.experimental was applied to {dispatch_target}.")


def _register(kind: str, operands: tuple[Any, ...], function: Callable) -> Callable:
    if any(known == operands for known, _ in _elementwise[kind]):
        shown = ", ".join(getattr(x, "__name__", str(x)) for x in operands)
        raise ValueError(f"There is a {kind} elementwise dispatch for {shown} already.")
    _elementwise[kind].append((operands, function))
    return function


def operate(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of the user's implementation of a function of TensorFlow for arguments, or
    `NotImplemented`.

    Raises ValueError if several implementations match.
    """
    key = _key(function)
    found: list[Callable[[], Any]] = []
    handlers = _for_api.get(key, ())
    if handlers:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        for signature, handler in handlers:
            if all(_matches(given.get(name), hint) for name, hint in signature.items()):
                takes = inspect.signature(handler).parameters
                found.append(
                    functools.partial(handler, **{k: v for k, v in given.items() if k in takes})
                )
    kind = _kinds().get(key)
    count = 1 if kind == "unary" else 2
    if kind and len(args) + len(kwargs) >= count:
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
        operands, rest = list(given.values())[:count], dict(list(given.items())[count:])
        for hints, handler in _elementwise[kind]:
            if all(map(_matches, operands, hints)):
                api = functools.partial(function, **rest)
                found.append(functools.partial(handler, api, *operands))
    if len(found) > 1:
        raise ValueError(f"Several dispatch functions match the arguments of {function.__name__}.")
    return found[0]() if found else NotImplemented


def _key(function: Callable) -> Any:
    return inspect.unwrap(function)


@functools.cache
def _kinds() -> dict[Any, str]:
    """The kinds of elementwise functions."""
    root = sys.modules["keraslike.tf"]
    asserted = [f"debugging.assert_{name}" for name in _COMPARED.split()]
    names = {"unary": _UNARY.split(), "binary": _BINARY.split(), "binary assert": asserted}
    return {_key(operator.attrgetter(n)(root)): kind for kind, of in names.items() for n in of}


def _matches(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_matches(value, each) for each in args)
    if origin in (list, collections.abc.Sequence):
        return isinstance(value, (list, tuple)) and all(_matches(x, args[0]) for x in value)
    if origin is tuple:
        hints = args[:1] * len(value) if isinstance(value, tuple) and args[1:] == (...,) else args
        return (
            isinstance(value, tuple)
            and len(hints) == len(value)
            and all(map(_matches, value, hints))
        )
    return hint is Any or (isinstance(hint, type) and isinstance(value, hint))
