"""Floating-point defaults and the policies that say in what dtype a layer computes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The dtype of floats where none is given.

    >>> floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype: float16, bfloat16, float32 or float64."""
    global _floatx
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(
            f"floatx must be float16, bfloat16, float32 or float64. Received: {value!r}"
        )
    _floatx = str(value)


def epsilon() -> float:
    """The small number added where a division or a logarithm could fail.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the small number that `epsilon()` returns."""
    global _epsilon
    _epsilon = float(value)


def standardize_dtype(dtype: Any) -> str:
    """The canonical name of a dtype; `None` gives `floatx()`.

    >>> standardize_dtype(jnp.int32)
    'int32'
    """
    if dtype is None:
        return floatx()
    if isinstance(dtype, str):
        dtype = {"float": floatx(), "int": "int32"}.get(dtype, dtype)
        if not hasattr(jnp, dtype):  # numpy has abbreviations, some of them deprecated
            raise ValueError(f"Invalid dtype: {dtype!r}")
    try:
        found = jnp.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as e:  # of numpy's ways of writing a dtype
        raise ValueError(f"Invalid dtype: {dtype!r}") from e
    numeric = jnp.issubdtype(found, jnp.number) or found == jnp.bool_
    if found.shape or found.fields or not numeric:
        raise ValueError(f"Invalid dtype: {dtype!r}")
    return found.name


def is_float(dtype: Any) -> bool:
    """Whether a dtype is floating point, bfloat16 included."""
    return jnp.issubdtype(dtype, jnp.floating)


def is_half(dtype: Any) -> bool:
    """Whether a dtype is float16 or bfloat16, in which sums are not to be computed."""
    return dtype in ("float16", "bfloat16")


class DTypePolicy:
    """The pair of dtypes a layer works in: `compute_dtype` and `variable_dtype`.

    `name` is a dtype (both the same), or `"mixed_float16"` or `"mixed_bfloat16"` (compute in
    half precision, keep weights in float32); `floatx()` where it is left out.

    >>> DTypePolicy("mixed_bfloat16").compute_dtype
    'bfloat16'
    """

    def __init__(self, name: str | None = None):
        name = floatx() if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"A DTypePolicy is made from a name. Received: {name!r}")
        self.name = name
        if name.startswith("mixed_"):
            self.compute_dtype, self.variable_dtype = name.removeprefix("mixed_"), "float32"
            if not is_half(self.compute_dtype):
                raise ValueError(
                    "A mixed policy is 'mixed_float16' or 'mixed_bfloat16'. "
                    f"Received: name={name!r}"
                )
        else:
            self.compute_dtype = self.variable_dtype = standardize_dtype(name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none."""
    return _policy or DTypePolicy(floatx())


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Sets the policy of layers that are given none, e.g. `"mixed_bfloat16"`.

    Raises ValueError for what is none.
    """
    global _policy
    if policy is None:
        raise ValueError("policy must be a name or a DTypePolicy. Received: policy=None")
    _policy = get_policy(policy)


def get_policy(identifier: Any) -> DTypePolicy:
    """A DTypePolicy from a policy, a name, a dtype, its config or `None` (the default one)."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        config = identifier.get("config", identifier)
        if not isinstance(config, dict) or "name" not in config:
            raise ValueError(f"dtype must be the config of a policy. Received: dtype={identifier}")
        return DTypePolicy(config["name"])
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))
