"""The format `litert`: a `.tflite` file, which LiteRT (formerly TensorFlow Lite) runs on phones.

The program becomes a graph of those TensorFlow operations that LiteRT's converter translates to
LiteRT's. The converter is part of TensorFlow, and runs in a separate process.
"""

from __future__ import annotations

import enum
import functools
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from keraslike.core import tensorflow_host
from keraslike.export import (
    files,
    primitives,
    tf_graph,
    tf_loops,
    tf_slices,
    tf_windows,
    vocabularies,
)
from keraslike.export.endpoints import Endpoint
from keraslike.export.litert_process import SIGNATURE
from keraslike.export.tf_graph import type_

SUFFIX = ".tflite"
_RULES = (tf_loops, tf_slices, tf_windows)  # importing them registers their rules with `tf_graph`
_PROGRAM = os.path.join(os.path.dirname(__file__), "litert_process.py")
_MAX_BYTES = 2 << 30
_NEEDED = (
    "Files of LiteRT are written by TensorFlow's converter: pip install keraslike[litert], or name "
    "an interpreter that has TensorFlow in the environment variable "
    f"{tensorflow_host.INTERPRETER}."
)


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Writes endpoints into a file, as signatures of their names. A single endpoint becomes the
    signature `serving_default`.

    Args:
        settings: attributes of TensorFlow's `tf.lite.TFLiteConverter`.

    Raises ImportError if TensorFlow is not installed; ValueError for an endpoint that changes
    state, for settings that the converter does not have, and, with the layer's name, for a
    computation that LiteRT has no operation for.
    """
    del collections, platforms
    if not path.endswith(SUFFIX):
        raise ValueError(
            f"The name of a LiteRT file must end in '{SUFFIX}'. Received: filepath='{path}'"
        )
    data = converted(endpoints, arrays, settings or {})
    vocabularies.write_beside(path, vocabularies.roots(endpoints))
    files.place_file(path, data)


def converted(
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    settings: Mapping[str, Any],
) -> bytes:
    """The bytes of a file with the endpoints: see `write`."""
    described: list[dict[str, Any]] = []
    values: list[np.ndarray] = []
    places: dict[str, str] = {}
    inputs: list[str] | None = None
    for endpoint in endpoints:
        primitives.check_sizes(endpoint, "A file of LiteRT")
        graph = _Graph()
        given, outputs = graph.fill(endpoint, arrays)
        inputs = list(given) if len(endpoints) == 1 else None
        places |= graph.places
        values += graph.values.values()
        about = {"graph": graph.as_json(), "outputs": list(outputs), "values": list(graph.values)}
        described.append({"signature": endpoint.name, **about})
    if len(endpoints) == 1:
        described[0]["signature"] = SIGNATURE
    elif settings.get("representative_dataset") is not None:
        names = [endpoint.name for endpoint in endpoints]
        raise ValueError(
            "representative_dataset can only be given with one endpoint. "
            f"Received the endpoints: {names}"
        )
    # The file holds weights that several endpoints share only once.
    if sum({id(array): array.nbytes for array in values}.values()) >= _MAX_BYTES:
        raise ValueError("A LiteRT file must be smaller than 2 GiB, and these weights are larger.")
    keys = [one["signature"] for one in described]
    about = {"graphs": described, "saved_model": None, "signature_keys": keys}
    return _convert(about, values, inputs, settings, places)


def converted_saved_model(
    path: str, signatures: Sequence[str] | None, settings: Mapping[str, Any]
) -> bytes:
    """The bytes of a file made from signatures of a TensorFlow SavedModel."""
    about = {"saved_model": os.path.abspath(path), "signature_keys": signatures}
    return _convert(about, (), None, settings, {})


def _convert(
    about: dict[str, Any],
    values: Sequence[np.ndarray],
    inputs: list[str] | None,
    settings: Mapping[str, Any],
    places: Mapping[str, str],
) -> bytes:
    settings = {name: value for name, value in settings.items() if value is not None}
    samples = _example_inputs(settings.pop("representative_dataset", None), inputs)
    plain = {name: _encoded(name, value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory(prefix="keraslike-export-") as staged:
        described = None if samples is None else [names for names, _ in samples]
        about = {**about, "settings": plain, "samples": described}
        with open(os.path.join(staged, "about.json"), "x", encoding="utf-8") as file:
            json.dump(about, file)
        np.savez(os.path.join(staged, "values.npz"), *values)
        flat = [array for _, arrays in samples or () for array in arrays]
        np.savez(os.path.join(staged, "samples.npz"), *flat)
        target = os.path.join(staged, "model.tflite")
        try:
            tensorflow_host.run_program(_PROGRAM, staged, target, needed=_NEEDED)
        except (KeyError, OSError, TypeError, ValueError, RuntimeError) as error:
            raise _explained(error, places) from None
        with open(target, "rb") as file:
            return file.read()


def _explained(error: Exception, places: Mapping[str, str]) -> Exception:
    """The converter's error; where an operation is missing, with the layers that need it."""
    text = str(error)
    lacking = re.findall(r"(?:TF Select|Custom) ops: (.+)", text)
    if not lacking:
        kind = type(error) if isinstance(error, (OSError, TypeError, ValueError)) else RuntimeError
        return kind(f"TensorFlow's converter: {text[:2000]}")
    names = dict.fromkeys(
        places[node] for node in re.findall(r"error: loc\(.*?\"(\w+)@", text) if places.get(node)
    )
    what = ", ".join(sorted({name for line in lacking for name in line.split(", ")}))
    where = " and ".join(f"'{name}'" for name in names) or "the endpoint's function"
    return ValueError(
        f"LiteRT cannot express what {where} computes: it has none of TensorFlow's operations "
        f"{what}. Where the program that runs the file links TensorFlow's (Select TF ops), pass "
        'target_spec={"supported_ops": ["TFLITE_BUILTINS", "SELECT_TF_OPS"]}.'
    )


# -- settings of the converter --------------------------------------------------------------------


def _example_inputs(
    given: Any, inputs: list[str] | None
) -> list[tuple[list[str] | int, list[np.ndarray]]] | None:
    """Example inputs, from which the converter takes ranges of values, each with its names."""
    if given is None:
        return None
    given = getattr(given, "input_gen", given)
    if not callable(given):
        raise ValueError(
            "representative_dataset must be a function that yields lists or dicts of arrays. "
            f"Received: {given!r}"
        )
    found: list[tuple[list[str] | int, list[np.ndarray]]] = []
    examples: Any = given()
    for one in examples:
        if isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], dict):
            one = one[1]  # the first item is the name of the signature
        names: Any = list(one) if isinstance(one, dict) else inputs
        arrays = list(one.values()) if isinstance(one, dict) else list(one)
        if inputs is not None and (set(names) != set(inputs) or len(arrays) != len(inputs)):
            what = sorted(names) if isinstance(one, dict) else f"{len(arrays)} arrays"
            raise ValueError(
                f"representative_dataset must give an array for each of {inputs}. Received: {what}"
            )
        found.append((names or len(arrays), [np.asarray(x) for x in arrays]))
    if not found:
        raise ValueError("representative_dataset must yield at least one example; it yielded none.")
    return found


def _encoded(name: str, value: Any) -> Any:
    """A setting encoded for JSON: an enum as its name, a dtype as a dict with its name."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, Mapping):
        return {"dict": {key: _encoded(key, one) for key, one in value.items()}}
    if isinstance(value, (list, tuple, set, frozenset)):
        return {"list": [_encoded(name, one) for one in value]}
    dtype = getattr(value, "name", None)
    if not isinstance(dtype, str):
        try:
            dtype = np.dtype(value).name
        except TypeError:
            raise ValueError(
                f"The setting '{name}' cannot be {value!r}. Expected a plain value, an enum, a "
                "dtype, or a list or dict of these."
            ) from None
    return {"dtype": dtype}


# -- the graph ------------------------------------------------------------------------------------


_EIGHT_BIT_TYPES = {"int8": "DT_INT8", "uint8": "DT_UINT8"}
_EIGHT_BITS = {
    "min": {"f": -128.0},
    "max": {"f": 127.0},
    "num_bits": {"i": "8"},
    "narrow_range": {"b": False},
}  # with these, fake quantization changes no whole number


class _Graph(tf_graph.Graph):
    """A graph of operations that LiteRT's converter can translate."""

    format = "LiteRT"

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}  # node -> the layer that it belongs to
        # int32 tensor -> the 8-bit tensor that it is a cast of, and its type
        self._eight_bit: dict[str, tuple[str, str]] = {}

    def node(self, kind: str, *inputs: str, outputs: Any = 1, of: Any = None, **more: Any) -> Any:
        found = super().node(kind, *inputs, outputs=outputs, of=of, **more)
        self.places[found if isinstance(found, str) else found[0]] = self.where
        return found

    def constant(self, value: Any, dtype: Any = None, name: str | None = None) -> str:
        array = np.asarray(value, dtype)
        kind = _EIGHT_BIT_TYPES.get(array.dtype.name)  # these take a quarter of the space of int32
        if kind is None or array.size < 16:
            return super().constant(array, name=name)
        name = name or self.name()
        self.values[name] = array
        shape = {"dim": [{"size": str(n)} for n in array.shape]}
        value = {"tensor": {"dtype": kind, "tensorShape": shape}}
        attributes = {"dtype": type_(kind), "value": value}
        self.nodes.append({"name": name, "op": "Const", "attr": attributes})
        return self._cast_to_int32(name, kind)

    def input(self, name: str, aval: Any, kind: str | None = None) -> str:
        kind = _EIGHT_BIT_TYPES.get(aval.dtype.name)
        super().input(name, aval, kind)
        return name if kind is None else self._cast_to_int32(name, kind)

    def cast(self, x: str, before: Any, after: Any) -> str:
        if x in self._eight_bit and tf_graph.kind_of(after) == "float32":
            at, kind = self._eight_bit[x]
            found = self.node("Cast", at, SrcT=type_(kind), DstT=type_("float32"))
            # The converter folds this cast of a weight, and `litert_process` undoes the folding.
            known = kind == "DT_INT8" and at in self.values
            return self.node("FakeQuantWithMinMaxArgs", found, **_EIGHT_BITS) if known else found
        return super().cast(x, before, after)

    def gathered(self, x: str, at: str, axis: int, kind: str) -> str:
        if x not in self._eight_bit:
            return super().gathered(x, at, axis, kind)
        whole, small = self._eight_bit[x]
        return self._cast_to_int32(super().gathered(whole, at, axis, small), small)

    def slice(
        self, x: str, starts: Any, ends: Any, kind: str, steps: Any = None, shape: Any = None
    ) -> str:
        at = self._eight_bit.get(x, ("", ""))[0]
        if at not in self.values or not all(map(tf_graph.is_number, (*starts, *ends))):
            return super().slice(x, starts, ends, kind, steps, shape)
        parts = map(slice, starts, ends, steps or [1] * len(starts))
        return self.constant(self.values[at][tuple(parts)])

    def _cast_to_int32(self, x: str, kind: str) -> str:
        found = self.node("Cast", x, SrcT=type_(kind), DstT=type_("int32"))
        self._eight_bit[found] = x, kind
        return found

    def primitive(self, kind: str, eqn: Any, given: Sequence[str]) -> Any:
        if kind not in _COMPOSED:
            return super().primitive(kind, eqn, given)
        specs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
        composed = jax.make_jaxpr(functools.partial(_COMPOSED[kind], eqn.params))(*specs)
        return self.run(composed.jaxpr, composed.consts, given)


def _erf(p: Any, x: Any) -> Any:
    """Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: to 1.5e-7."""
    t = 1 / (1 + 0.3275911 * jnp.abs(x))
    series = 1.061405429
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + coefficient
    return jnp.sign(x) * (1 - series * t * jnp.exp(-x * x))


def _cumprod(p: Any, x: Any) -> Any:
    return lax.associative_scan(jnp.multiply, x, reverse=p["reverse"], axis=p["axis"])


def _complementary(x: Any) -> Any:
    """The cosine of an angle between -90 and 90 degrees whose sine is `x`, or the reverse."""
    return jnp.sqrt((1 - x) * (1 + x))


# Functions that LiteRT lacks, composed of those that it has. `p`: the primitive's parameters.
_COMPOSED: dict[str, Callable[..., Any]] = {
    "acos": lambda p, x: jnp.arctan2(_complementary(x), x),
    "acosh": lambda p, x: jnp.log(x + jnp.sqrt((x - 1) * (x + 1))),
    "asin": lambda p, x: jnp.arctan2(x, _complementary(x)),
    "asinh": lambda p, x: jnp.sign(x) * jnp.log(jnp.abs(x) + jnp.sqrt(x * x + 1)),
    "atan": lambda p, x: jnp.arctan2(x, 0 * jnp.sign(x) + 1),  # ones of the shape of x
    "atanh": lambda p, x: (jnp.log1p(x) - jnp.log1p(-x)) / 2,
    "cosh": lambda p, x: (jnp.exp(x) + jnp.exp(-x)) / 2,
    "cumprod": _cumprod,
    "erf": _erf,
    "erfc": lambda p, x: 1 - _erf(p, x),
    "sinh": lambda p, x: (jnp.exp(x) - jnp.exp(-x)) / 2,
    "tan": lambda p, x: jnp.sin(x) / jnp.cos(x),
}
