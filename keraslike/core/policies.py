"""Dtype policies: the dtype of a layer's weights, and the dtype in which it computes."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from keraslike.core import precision, registry, serialization, session
from keraslike.core.dtypes import floatx, is_float, standardize_dtype
from keraslike.core.path_map import PathMap

QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")


class DTypePolicy:
    """The dtypes of a layer: `compute_dtype` and `variable_dtype`.

    Args:
        name: a dtype for both, or `"mixed_float16"` or `"mixed_bfloat16"` (compute in half
            precision, keep weights in float32); that of the default policy if omitted.

    `quantization_mode` is `None` except for a `QuantizedDTypePolicy`. Raises TypeError for a name
    that is not a string, ValueError for an unknown one.

    >>> DTypePolicy("mixed_bfloat16").compute_dtype
    'bfloat16'
    """

    name: str
    compute_dtype: str
    variable_dtype: str
    quantization_mode: str | None = None

    def __init__(self, name: str | None = None):
        self.name = dtype_policy().name if name is None else name
        self._set_dtypes(self.name)

    def _set_dtypes(self, name: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"'name' must be a string. Received: name={name!r}")
        if name in ("mixed_float16", "mixed_bfloat16"):
            self.compute_dtype, self.variable_dtype = name.removeprefix("mixed_"), "float32"
            return
        try:
            self.compute_dtype = self.variable_dtype = standardize_dtype(name)
            precision.ask(self.compute_dtype)
        except ValueError:
            raise ValueError(
                f"Invalid dtype: {name!r}. Cannot convert it to a DTypePolicy: expected "
                "'mixed_float16', 'mixed_bfloat16' or the name of a dtype."
            ) from None

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """Casts an array of floats to a dtype if `autocast` is true; other values are returned
        unchanged."""
        dtype = standardize_dtype(dtype)
        if not hasattr(x, "_keras_history"):  # A symbolic tensor.
            if not hasattr(x, "__array__"):
                return x
            x = jnp.asarray(x)
        return x.astype(dtype) if autocast and is_float(x.dtype) else x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def _key(self) -> Any:
        return DTypePolicy if type(self) is FloatDTypePolicy else type(self), self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<{self._key()[0].__name__} "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """An alias of `DTypePolicy`.

    >>> FloatDTypePolicy("float16") == DTypePolicy("float16")
    True
    """


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a layer whose weights are quantized.

    Args:
        mode: one of `"int8"`, `"float8"`, `"int4"`, `"gptq"` and `"awq"`.
        source_name: the policy for everything that is not quantized; the default policy if omitted.

    Raises ValueError for another mode, and for `"int8"` with float16.

    >>> QuantizedDTypePolicy("int8", "mixed_bfloat16")
    <QuantizedDTypePolicy "int8_from_mixed_bfloat16">
    """

    def __init__(self, mode: str, source_name: str | None = None):
        source_name = dtype_policy().name if source_name is None else source_name
        self._set_dtypes(source_name)
        if mode not in QUANTIZATION_MODES:
            raise ValueError(
                f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. "
                f"Received: mode={mode!r}"
            )
        if mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(
                f"mode='int8' doesn't work well with compute_dtype='float16', whose range is too "
                f"small. Received: source_name={source_name!r}"
            )
        self.name = f"{mode}_from_{source_name}"
        self.quantization_mode = mode
        self._source_name = source_name

    def get_config(self) -> dict[str, Any]:
        return {"mode": self.quantization_mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """A `QuantizedDTypePolicy` whose scales depend on the largest values of recent steps.

    Args:
        mode: `"float8"`.
        source_name: the policy for all that is not quantized.
        amax_history_length: the number of steps.

    >>> QuantizedFloat8DTypePolicy("float8", "float32").amax_history_length
    1024
    """

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise TypeError(
                "`amax_history_length` must be an integer. "
                f"Received: amax_history_length={amax_history_length!r}"
            )
        self.amax_history_length = amax_history_length

    def _key(self) -> Any:
        return *super()._key(), self.amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class _Sized(QuantizedDTypePolicy):
    """A policy whose name contains numbers, such as `"gptq/4/128"`."""

    mode: str
    _sizes: ClassVar[tuple[str, ...]]  # The names of these numbers.
    _bits: ClassVar[tuple[int, ...]] = ()  # The allowed values of `weight_bits`.

    def __init__(self, mode: str, source_name: str | None = None):
        name = type(self).__name__
        base, *sizes = mode.split("/")
        form = "/".join((self.mode, *(f"<{size}>" for size in self._sizes)))
        if base != self.mode or len(sizes) != len(self._sizes):
            raise ValueError(
                f"Invalid mode for {name}. Expected format '{form}'. Received: mode={mode!r}"
            )
        for size, text in zip(self._sizes, sizes):
            try:
                value = int(text)
            except ValueError:
                raise ValueError(
                    f"Invalid mode for {name}. {size} must be an integer. Received: mode={mode!r}"
                ) from None
            one_of = self._bits if size == "weight_bits" else ()
            if value not in one_of if one_of else value < -1 or value == 0:
                expected = f"must be one of {one_of}" if one_of else "must be -1 or positive"
                if len(one_of) == 1:
                    expected = f"only supports {one_of[0]}-bit numbers"
                raise ValueError(f"Invalid {size} in mode. It {expected}. Received: mode={mode!r}")
            setattr(self, size, value)
        super().__init__(base, source_name)
        self.name = f"{mode}_from_{self._source_name}"

    def get_config(self) -> dict[str, Any]:
        mode = "/".join((self.mode, *(str(getattr(self, size)) for size in self._sizes)))
        return {"mode": mode, "source_name": self._source_name}


class Int4DTypePolicy(_Sized):
    """A `QuantizedDTypePolicy` of 4-bit integers with one scale per block of a column.

    Args:
        mode: `"int4/<block_size>"`; -1 for one scale per column.
        source_name: the policy for all that is not quantized.

    >>> Int4DTypePolicy("int4/128", "float32").block_size
    128
    """

    mode, _sizes = "int4", ("block_size",)
    block_size: int


class GPTQDTypePolicy(_Sized):
    """A `QuantizedDTypePolicy` of weights that GPTQ has quantized.

    Args:
        mode: `"gptq/<weight_bits>/<group_size>"` with 2, 3, 4 or 8 bits; -1 for one group.
        source_name: the policy for all that is not quantized.

    >>> GPTQDTypePolicy("gptq/4/128", "float32").weight_bits
    4
    """

    mode, _sizes, _bits = "gptq", ("weight_bits", "group_size"), (2, 3, 4, 8)
    weight_bits: int
    group_size: int


class AWQDTypePolicy(_Sized):
    """A `QuantizedDTypePolicy` of weights that AWQ has quantized.

    Args:
        mode: `"awq/4/<group_size>"`; -1 for one group.
        source_name: the policy for all that is not quantized.

    >>> AWQDTypePolicy("awq/4/128", "float32").group_size
    128
    """

    mode, _sizes, _bits = "awq", ("weight_bits", "group_size"), (4,)
    weight_bits: int
    group_size: int


class DTypePolicyMap(DTypePolicy, PathMap):
    """Policies by the paths of layers, or by regular expressions for them.

    A layer with this map as its `dtype` has the policy of the key equal to its path, otherwise that
    of the regular expression that matches the whole path, otherwise the default policy. The dtypes
    of the map are those of the default policy.

    Args:
        default_policy: a policy or its name. If omitted, it is the global default policy, also when
            the map is loaded.
        policy_map: an initial dict.

    Raises ValueError if several expressions match a path, and where a key is set twice.

    >>> policies = DTypePolicyMap("float32")
    >>> policies["encoder/.*"] = "mixed_bfloat16"
    >>> policies["encoder/dense"], policies["decoder"]
    (<DTypePolicy "mixed_bfloat16">, <DTypePolicy "float32">)
    """

    _what = "dtype policy "

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("`default_policy` cannot be a DTypePolicyMap itself.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(
                f"If specified, `policy_map` must be a dict. Received: policy_map={policy_map!r}"
            )
        PathMap.__init__(self, policy_map)
        self._given_default = default_policy
        self.default_policy = get(default_policy)
        self.name = f"map_{self.default_policy.name}"
        for attribute in ("variable_dtype", "compute_dtype", "quantization_mode"):
            setattr(self, attribute, getattr(self.default_policy, attribute))

    def _default(self) -> DTypePolicy:
        return self.default_policy

    def _checked(self, value: Any) -> DTypePolicy:
        try:
            return get(value)
        except (TypeError, ValueError) as e:
            raise ValueError(f"Cannot interpret the assigned value {value!r}: {e}") from e

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def _key(self) -> Any:
        return DTypePolicyMap, self.default_policy, self._values

    def get_config(self) -> dict[str, Any]:
        """The arguments. A missing default policy stays missing, so that the program that loads the
        map uses its own default."""
        policies = {k: serialization.serialize(v) for k, v in self._values.items()}
        if self._given_default is None:
            for entry in policies.values():
                config = entry["config"]
                config["name" if "name" in config else "source_name"] = None
        return {"default_policy": self._given_default, "policy_map": policies}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> DTypePolicyMap:
        with registry.custom_object_scope(custom_objects or {}):
            return cls(**serialization.deserialize_arguments(cls, config))

    def __repr__(self) -> str:
        mapping = [(k, v.name) for k, v in self._values.items()]
        default = self.default_policy.name
        return f"<DTypePolicyMap at {id(self):#x} default_policy={default}, mapping={mapping}>"

    __hash__ = DTypePolicy.__hash__


_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The default policy of layers.

    >>> dtype_policy().name
    'float32'
    """
    return _policy or DTypePolicy(floatx())


@session.at_clear_session
def _reset() -> None:
    global _policy
    _policy = None


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Sets the default policy of layers, for example `"mixed_bfloat16"`.

    Raises ValueError for an object that is not a policy.

    >>> set_dtype_policy("mixed_bfloat16")
    >>> dtype_policy().compute_dtype
    'bfloat16'
    >>> set_dtype_policy("float32")
    """
    global _policy
    if not isinstance(policy, (str, DTypePolicy)):
        raise ValueError(
            "Invalid `policy` argument. Expected a name or a DTypePolicy. "
            f"Received: policy={policy!r}"
        )
    _policy = get(policy)


def get(identifier: Any) -> DTypePolicy:
    """A policy from a policy, a name, a dtype, its config or `None` (that of layers that are given
    none).

    Raises ValueError for anything else.

    >>> get("int8_from_float32").quantization_mode, get(jnp.float16).name
    ('int8', 'float16')
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        if "class_name" in identifier:
            found = serialization.deserialize(identifier)
            if isinstance(found, DTypePolicy):
                return found
        elif "name" in identifier:
            return DTypePolicy(identifier["name"])
        raise ValueError(f"dtype must be the config of a policy. Received: dtype={identifier}")
    if isinstance(identifier, str):
        return _by_name(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except ValueError:
        raise ValueError(
            "Cannot interpret `dtype` argument. Expected a name, a dtype or a DTypePolicy. "
            f"Received: dtype={identifier!r}"
        ) from None


def _by_name(name: str) -> DTypePolicy:
    dtype = name in ("int8", "int4") or name.startswith("float8_e")
    quantized = name.startswith(QUANTIZATION_MODES) and not dtype
    return get_quantized(name) if quantized else DTypePolicy(name)


def get_quantized(name: str) -> QuantizedDTypePolicy:
    """A quantized policy from its name; raises ValueError for the name of another."""
    if not isinstance(name, str):
        raise TypeError(f"`policy` must be a string. Received: policy={name!r}")
    if not name.startswith(QUANTIZATION_MODES):
        raise ValueError(
            "`policy` is incompatible with the current supported quantization. Its modes are "
            f"{QUANTIZATION_MODES}. "
            f"Received: policy={name!r}"
        )
    mode, *source = name.split("_from_")
    if len(source) != 1:
        raise ValueError(
            "Cannot convert `policy` into a valid pair of a mode and a policy: expected a name "
            f"such as 'int8_from_float32'. Received: policy={name!r}"
        )
    base = mode.partition("/")[0]
    sized = {cls.mode: cls for cls in (Int4DTypePolicy, GPTQDTypePolicy, AWQDTypePolicy)}
    kind = QuantizedFloat8DTypePolicy if base == "float8" else sized.get(base, QuantizedDTypePolicy)
    return (QuantizedDTypePolicy if mode == "int4" else kind)(mode, source[0])


PUBLIC = {
    cls.__name__: cls
    for cls in (
        *(DTypePolicy, FloatDTypePolicy, QuantizedDTypePolicy, QuantizedFloat8DTypePolicy),
        *(Int4DTypePolicy, GPTQDTypePolicy, AWQDTypePolicy, DTypePolicyMap),
    )
}
registry.publish("keras", {k: PUBLIC[k] for k in ("DTypePolicy", "FloatDTypePolicy")})
registry.publish("keras.dtype_policies", PUBLIC)
