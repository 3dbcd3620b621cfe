"""The `input_signature` of a function, and arguments that conform to it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax

from keraslike.core.structures import iter_leaves
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.dtypes import UNKNOWN_SHAPE
from keraslike.tf.signatures import TensorSpec, is_leaf, key_of
from keraslike.tf.specs import RaggedTensorSpec, SparseTensorSpec
from keraslike.tf.tensor import Tensor
from keraslike.tf.type_spec import TypeSpec


def checked_signature(name: str, given: Any, parameters: inspect.Signature | None) -> tuple | None:
    """An `input_signature` as a tuple.

    Raises TypeError unless it is a list or tuple of specs or structures of these, and for a
    function with a keyword-only argument that has no default.
    """
    if given is None:
        return None
    if not isinstance(given, (list, tuple)) or not all(map(_is_of_specs, iter_leaves(given))):
        raise TypeError(
            f"The input_signature of {name}() must be a list of specs such as tf.TensorSpec, or of "
            f"structures of these. Received: {given!r}"
        )
    for parameter in parameters.parameters.values() if parameters else ():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(
                f"{name}() has an input_signature, so its keyword-only argument {parameter.name!r} "
                "must have a default."
            )
    return tuple(given)


def _is_of_specs(leaf: Any) -> bool:
    inside = jax.tree.leaves(leaf, is_leaf=is_leaf)  # those of the values of replicas
    return leaf is not None and all(isinstance(x, TypeSpec) for x in inside)


def check_others(
    name: str, parameters: inspect.Signature, count: int, args: tuple, kwargs: dict[str, Any]
) -> None:
    """Raises TypeError if arguments beyond the first `count`, which a signature describes, are
    others than their defaults."""
    by_position = [p for p in parameters.parameters.values() if _is_single(p)]
    defaults = {p.name: p.default for p in by_position[count:]}
    given = {p.name: value for p, value in list(zip(by_position, args))[count:]}
    more = args[max(count, len(by_position)) :]
    for key, value in kwargs.items():
        given[key] = value
        if key in parameters.parameters:
            defaults[key] = parameters.parameters[key].default
    wrong = {
        key: value
        for key, value in given.items()
        if key not in defaults or key_of(value) != key_of(defaults[key])
    }
    if wrong or more:
        raise TypeError(
            f"{name}() has an input_signature of {count} arguments. Others can only have their "
            f"defaults. Received: {[*wrong.items(), *more]}"
        )


def _is_single(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def fitted(name: str, spec: Any, given: Any) -> tuple[Any, Any]:
    """An argument as tensors, and the argument for which the function is traced: the spec, or the
    argument itself where a trace needs to know more than the spec.

    Raises TypeError if the argument does not conform to the spec.
    """
    if isinstance(given, TypeSpec) and type(given) is type(spec):
        return given, given
    if isinstance(spec, RaggedTensorSpec) and not spec.ragged_rank:
        spec = TensorSpec(spec.shape, spec.dtype)
    if isinstance(spec, TensorSpec):
        return _tensor(name, spec, given), spec
    if isinstance(spec, TypeSpec):
        if not _conforms(given, spec):
            raise _mismatch(name, spec, given)
        return given, spec if _is_enough(spec) else given
    if isinstance(spec, dict):
        if not isinstance(given, Mapping) or given.keys() != spec.keys():
            raise _mismatch(name, spec, given)
        pairs = {key: fitted(name, inner, given[key]) for key, inner in spec.items()}
        return tuple({key: pair[i] for key, pair in pairs.items()} for i in (0, 1))  # type: ignore[return-value]
    if isinstance(spec, (list, tuple)):
        kind = tuple if type(spec) is tuple else type(spec)
        if not isinstance(given, kind) or len(given) != len(spec):
            raise _mismatch(name, spec, given)
        made = [fitted(name, *pair) for pair in zip(spec, given)]
        values, signs = ([pair[i] for pair in made] for i in (0, 1))
        if hasattr(spec, "_fields"):
            return type(spec)(*values), type(spec)(*signs)
        return type(spec)(values), type(spec)(signs)
    values = jax.tree.map(lambda s, g: _tensor(name, s, g), spec, given, is_leaf=is_leaf)
    return values, spec  # of replicas


def _is_enough(spec: Any) -> bool:
    """Whether a function can be traced for a spec. The rank of a ragged tensor and the shape of a
    sparse one belong to their structure."""
    if isinstance(spec, SparseTensorSpec):
        return spec.shape.is_fully_defined()
    return hasattr(spec, "in_parts") and getattr(spec, "shape", None) is not UNKNOWN_SHAPE


def _tensor(name: str, spec: TensorSpec, given: Any) -> Any:
    try:
        tensor = convert_to_tensor(given, dtype_hint=spec.dtype)
    except (TypeError, ValueError):
        raise _mismatch(name, spec, given) from None
    if not spec.is_compatible_with(tensor):
        raise _mismatch(name, spec, tensor)
    return tensor


def _conforms(given: Any, spec: TypeSpec) -> bool:
    try:
        return spec.is_compatible_with(given)
    except (TypeError, ValueError):
        return False


def _mismatch(name: str, spec: Any, given: Any) -> TypeError:
    if isinstance(given, Tensor):
        given = f"a tensor of shape {given.shape}, dtype {given.dtype.name}"
    return TypeError(f"{name}() was given {given}, which does not fit {spec}.")
