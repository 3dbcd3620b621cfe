"""Endpoints: functions of a model at a signature, as pure functions of its weights.

A function is traced with symbols for unknown sizes, and lowered for several platforms at once. The
program has none of the CPU-specific forms of `ops/cpu.py`, donates nothing, and has no callbacks
into Python.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors
from jax import export

from keraslike.core import base, context, dtypes, jax_internals, lowering, rng
from keraslike.core.boxed import unbox
from keraslike.core.errors import NeedsPython
from keraslike.core.guards import Locks, known_guards
from keraslike.core.jax_internals import Inconclusive
from keraslike.core.structures import flatten, tree_map
from keraslike.core.symbolic import KerasTensor
from keraslike.core.text import (
    Key,
    Place,
    Text,
    Wanted,
    is_text,
    lists_of_results,
    made,
    with_results,
)
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.models.model import Model
from keraslike.models.sequential import Sequential
from keraslike.ops import cpu

PLATFORMS = ("cpu", "cuda", "tpu")
_MULTIPLES = (2, 4, 8, 16, 32, 64)


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape (`None` for an unknown size), dtype and name of an input or output."""

    shape: tuple[int | None, ...]
    dtype: str
    name: str | None = None


def is_spec(x: Any) -> bool:
    return isinstance(x, Spec)


def spec_of(x: Any) -> Spec:
    """The `Spec` of an InputSpec, a tensor, or any other object with a shape and a dtype.

    A tensor serves as an example, so its batch size becomes unknown.
    """
    if isinstance(x, Spec):
        return x
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if isinstance(x, InputSpec) and (shape is None or dtype is None):
        raise ValueError(f"The `shape` and `dtype` must be provided. Received: x={x}")
    if shape is None or dtype is None or isinstance(x, type):
        raise TypeError(
            f"Unsupported x={x} of the type ({type(x)}). An input signature is made of "
            "`keras.InputSpec`, `keras.KerasTensor` and tensors."
        )
    name = getattr(dtype, "name", None) or str(dtype)
    name = name if name == "string" else dtypes.standardize_dtype(name)
    sizes = tuple(None if n is None else int(n) for n in shape)
    spec = Spec(sizes, name, getattr(x, "name", None))
    return (
        _with_unknown_batch(spec) if isinstance(x, (KerasTensor, jax.Array, np.ndarray)) else spec
    )


def signature_of(model: Any) -> list[Any]:
    """The arguments that a model is called with, as structures of `Spec`.

    Raises TypeError if `model` is not a Model, ValueError if it is not built or was never called.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"The model must be a `keras.Model`. Received: model={model} of the type {type(model)}"
        )
    if not model.built:
        raise ValueError(
            "The model provided has not yet been built. It must be built before export."
        )
    if isinstance(model, Sequential):
        return [_argument_of(model, model.inputs[0])]
    if "_inputs" in vars(model):
        return [tree_map(functools.partial(_argument_of, model), model.input)]
    if not isinstance(model._called, tuple):
        raise ValueError(
            "The model provided has never called. It must be called at least once before export."
        )
    return [tree_map(functools.partial(_argument_of, model), given) for given in model._called]


def _argument_of(model: Any, example: Any) -> Spec:
    """The `Spec` of an argument. Layers that keep states keep them for one batch size."""
    spec = _with_unknown_batch(example)
    return dataclasses.replace(spec, shape=tuple(example.shape)) if model._keeps_states() else spec


def _with_unknown_batch(example: Any) -> Spec:
    spec = spec_of(example)
    return dataclasses.replace(spec, shape=(None, *spec.shape[1:])) if spec.shape else spec


class Endpoint:
    """A function that is exported under a name, for the arguments of a signature.

    Args:
        roots: layers and models whose weights it may use. Variables of no root that the function
            uses are found by its trace.
        takes_text: whether layers may be applied to texts in the arguments. `texts` then has their
            descriptions for each of these arguments: see `Text.apply`. The exported program takes
            lists of their results in place of the texts.
        symbols: the names of all sizes of each argument, of known ones as well, and constraints on
            them. The default are names for unknown sizes, which are the same along an axis if
            different ones fail, and no constraints.
        makes_text: whether the function may return texts. `made` then has a description of each
            output that is text, for which the program returns numbers: see `text.made`.
    """

    def __init__(
        self,
        name: str,
        function: Callable,
        signature: Any,
        roots: Sequence[Any],
        takes_text: bool = False,
        symbols: tuple[Sequence[Sequence[str]], tuple[str, ...]] = ((), ()),
        makes_text: bool = False,
    ):
        if not isinstance(signature, (list, tuple)):
            raise ValueError(
                "`input_signature` must be a list with a structure of specs for each argument. "
                f"Received: input_signature={signature!r}"
            )
        self.name, self.function, self.roots = name, function, list(roots)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, base.Object) and all(owner is not root for root in self.roots):
            self.roots.append(owner)
        self.signature: list[Any] = [tree_map(spec_of, part) for part in signature]
        self._arguments = flatten(self.signature, is_leaf=is_spec)[1]
        self.variables: list[Any] = []  # the variables that the function uses
        specs = jax.tree.leaves(self.signature, is_leaf=is_spec)
        count = sum(spec.dtype == "string" for spec in specs)
        self._takes_text, self._makes_text = takes_text, makes_text
        self.made: list[dict[str, Any] | None] = []
        self._names, constraints = symbols
        self._scope = export.SymbolicScope(constraints)
        self._functions: dict[Place, dict[Key, dict[str, Any]]] = {str(i): {} for i in range(count)}
        self.changes = False  # whether the function changes some of them
        self._shared_symbols = False  # whether all inputs have one symbol for an unknown axis
        self.multiple = 1  # unknown sizes, other than the batch, are multiples of this number
        self.reason = ""  # the call that needs these multiples
        self._trace()

    @property
    def argument_names(self) -> list[str]:
        """The function's parameter names for the arguments of the signature."""
        owner = getattr(self.function, "__self__", None)
        function = self.function
        if isinstance(owner, Layer) and function == owner.__call__:
            function = owner.call
        parameters = inspect.signature(function).parameters.values()
        names = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        missing = range(len(names), len(self.signature))
        return [*names, *(f"argument_{i}" for i in missing)][: len(self.signature)]

    @property
    def texts(self) -> list[list[dict[str, Any]]]:
        """The descriptions of the functions that are applied to each argument that is text."""
        return [list(functions.values()) for functions in self._functions.values()]

    def arguments(self) -> list[Any]:
        """The arguments as abstract arrays, with symbols for unknown sizes. Texts have the results
        of the functions that are applied to them."""
        count, texts = itertools.count(), iter(self._functions.items())
        given = iter(self._names)

        def argument(spec: Spec) -> Any:
            names = [
                str(n)
                if n is not None
                else "batch"
                if axis == 0
                else f"{self.multiple}*d{axis}".removeprefix("1*")
                if self._shared_symbols
                else f"n{next(count)}"
                for axis, n in enumerate(spec.shape)
            ]
            names = next(given, ()) or names
            shape = tuple(export.symbolic_shape(", ".join(names), scope=self._scope))
            if spec.dtype == "string":
                place, functions = next(texts)
                results = {
                    key: argument(Spec(about["result"], about["dtype"]))
                    for key, about in functions.items()
                }
                return Text(None, shape, results, place)
            return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(spec.dtype))

        return [jax.tree.map(argument, part, is_leaf=is_spec) for part in self.signature]

    def _trace(self) -> None:
        """Traces the function, and records which variables it uses."""
        known = base.variables_of(*self.roots, rng.global_stream())
        used: dict[int, Any] = {}
        noted: dict[int, Any] = {}

        def trace() -> None:
            noted.clear()
            values = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in lowering.values_of(known)]
            with context.using(outsiders=noted):
                jaxpr = jax.make_jaxpr(self._pure(known))(values, *self.arguments())
            read = {id(v) for eqn in jaxpr.jaxpr.eqns for v in eqn.invars}
            read |= {id(v) for v in jaxpr.jaxpr.outvars}
            used.clear()
            used.update((id(v), v) for v, at in zip(known, jaxpr.jaxpr.invars) if id(at) in read)

        def outsiders() -> list[Any]:
            return [pair[0] for pair in noted.values() if pair is not None]

        while True:
            try:
                trace()
            except errors.TraceContextError:  # the function changes a variable that no root holds
                if not outsiders():
                    raise
            except Wanted as wanted:
                if wanted.described is None:
                    raise NeedsPython(
                        "Functions of text become operations of TensorFlow, in SavedModels only."
                    ) from None
                dtype = jax.dtypes.canonicalize_dtype(wanted.described["dtype"]).name
                self._functions[wanted.place][wanted.key] = {**wanted.described, "dtype": dtype}
                continue
            except Exception as error:
                if not self._try_shared_symbols() and not self._try_multiples(error):
                    raise self._explained(error) from error
                continue
            found = outsiders()
            if not found:
                break
            known += found
        self.variables = list(used.values())

    def _try_shared_symbols(self) -> bool:
        free = [n for part in self.signature for s in jax.tree.leaves(part, is_leaf=is_spec)
                for n in s.shape[1:]]  # fmt: skip
        if self._names or self._shared_symbols or None not in free:
            return False
        self._shared_symbols = True
        return True

    def _try_multiples(self, error: Exception) -> bool:
        """Requires larger multiples: an axis that is halved and doubled again keeps its size only
        if the size is a multiple of 2."""
        larger = [n for n in _MULTIPLES if n > self.multiple]
        if not self._shared_symbols or not larger or "floordiv" not in str(error):
            return False
        self.multiple, self.reason = larger[0], _caller(error)
        return True

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, Inconclusive) and "floordiv" not in str(error):
            return error
        return ValueError(
            f"The endpoint '{self.name}' does not work for all sizes that its signature leaves "
            f"open. Give an `input_signature` with numbers for them. {_caller(error)}: {error}"
        )

    def _pure(self, variables: Sequence[Any]) -> Callable:
        """`(values, *args) -> (outputs, {position: new value} of the variables that changed)`."""

        def pure(values: Sequence[Any], *args: Any) -> tuple[Any, dict[int, Any]]:
            args = jax.tree.unflatten(self._arguments, jax.tree.leaves(args, is_leaf=is_text))
            lowered = lowering.lower(self.function, variables, self.roots)
            with (
                Locks(guard.tracing for guard in known_guards(variables)),
                context.using(
                    tapes=(),
                    training=None,
                    exporting=True,
                    exports_text=self._takes_text,
                    makes_text=self._makes_text,
                ),
            ):
                outputs, new = lowered(values, *args)
            if self._makes_text:
                leaves, tree = jax.tree.flatten(outputs, is_leaf=is_text)
                pairs = [made(x) for x in leaves]
                outputs = jax.tree.unflatten(tree, [numbers for numbers, _ in pairs])
                self.made = [about for _, about in pairs]
            pairs = enumerate(zip(values, new))
            changed = {i: after for i, (before, after) in pairs if after is not before}
            return jax.tree.map(jnp.asarray, unbox(outputs)), changed

        return pure

    def export(
        self, variables: Sequence[Any], names: Sequence[str], platforms: Sequence[str] = PLATFORMS
    ) -> export.Exported:
        """The lowered function of `({name: stored weight}, *arguments)`.

        It returns the outputs or, if it changes state, `(outputs, {name: new stored value})`.
        """
        specs = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in lowering.values_of(variables)]
        weights = {
            n: jax.ShapeDtypeStruct(s.shape, stored_dtype(s.dtype)) for n, s in zip(names, specs)
        }
        function = self._function_of_stored(variables, names)
        try:
            return _lowered(function, platforms, weights, *lists_of_results(self.arguments()))
        except Inconclusive as error:
            raise self._explained(error) from error

    def program(self, variables: Sequence[Any]) -> tuple[Any, Any, bool]:
        """The function of `(*weights, *arguments)` as a jaxpr, the structure of its outputs, and
        whether it changes state."""
        values = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in lowering.values_of(variables)]
        changes: list[bool] = []

        def function(values: Sequence[Any], *args: Any) -> Any:
            outputs, changed = self._pure(variables)(values, *args)
            changes.append(bool(changed))
            return outputs

        try:
            traced = jax.make_jaxpr(function, return_shape=True)(values, *self.arguments())
        except Inconclusive as error:
            raise self._explained(error) from error
        return *traced, changes[-1]

    def export_gradient(
        self, exported: export.Exported, variables: Sequence[Any], names: Sequence[str]
    ) -> export.Exported:
        """The lowered gradients with respect to the floating-point arguments.

        The program takes all arguments and the cotangents of the floating-point outputs, as the
        flat lists of arrays that `exported` has.
        """
        function = self._function_of_stored(variables, names)

        def pullback(inputs: list[Any], cotangents: list[Any]) -> list[Any]:
            floats = [x for x in inputs if dtypes.is_float(x.dtype)]

            def of_floats(floats: list[Any]) -> list[Any]:
                rest = iter(floats)
                flat = [next(rest) if dtypes.is_float(x.dtype) else x for x in inputs]
                args, kwargs = jax.tree.unflatten(exported.in_tree, flat)
                outputs = jax.tree.leaves(function(*args, **kwargs))
                return [y for y in outputs if dtypes.is_float(y.dtype)]

            return jax.vjp(of_floats, floats)[1](cotangents)[0]

        inputs, outputs = (
            [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
            for avals in (exported.in_avals, exported.out_avals)
        )
        cotangents = [y for y in outputs if dtypes.is_float(y.dtype)]
        return _lowered(pullback, exported.platforms, inputs, cotangents)

    def _function_of_stored(self, variables: Sequence[Any], names: Sequence[str]) -> Callable:
        pure = self._pure(variables)
        kinds = [v.dtype for v in lowering.values_of(variables)]

        def of_stored(weights: dict[str, Any], *args: Any) -> Any:
            args = with_results(self.arguments(), args)
            values = [restored(weights[n], dtype) for n, dtype in zip(names, kinds, strict=True)]
            outputs, changed = pure(values, *args)
            new = {names[i]: stored(value) for i, value in changed.items()}
            self.changes = bool(new)
            return (outputs, new) if new else outputs

        return of_stored


def _caller(error: Exception) -> str:
    """The layer call in which an error was raised, from the note that layers add to errors."""
    note = next(iter(getattr(error, "__notes__", ())), "In the endpoint's function with")
    return note.partition("\n")[0].removesuffix(" with")


def _lowered(function: Callable, platforms: Sequence[str], *args: Any) -> export.Exported:
    return jax_internals.export_with(jax.jit(function), cpu.PORTABLE, platforms, *args)


# -- weights as they are stored in files ----------------------------------------------------------


def stored_dtype(dtype: Any) -> np.dtype:
    """The numpy dtype in which a file stores weights of `dtype`.

    A float dtype that numpy lacks, such as bfloat16, is stored as the bits of an unsigned integer,
    and integers of fewer than 8 bits as 8-bit integers.
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "biufc" and dtype.isbuiltin == 1:
        return dtype
    if jnp.issubdtype(dtype, jnp.integer):
        return np.dtype("int8" if jnp.issubdtype(dtype, jnp.signedinteger) else "uint8")
    return np.dtype(f"uint{8 * dtype.itemsize}")


def stored(value: Any) -> Any:
    """The value converted to its stored dtype."""
    to = stored_dtype(value.dtype)
    if to == value.dtype:
        return value
    if jnp.issubdtype(value.dtype, jnp.integer):
        return value.astype(to)
    if isinstance(value, np.ndarray):
        return value.view(to)
    return jax.lax.bitcast_convert_type(value, to)


def restored(value: Any, dtype: Any) -> Any:
    """The value of dtype `dtype` whose stored form is `value`: the inverse of `stored`."""
    if value.dtype == dtype:
        return value
    if jnp.issubdtype(dtype, jnp.integer):
        return value.astype(dtype)
    if isinstance(value, np.ndarray):
        return value.view(dtype)
    return jax.lax.bitcast_convert_type(value, dtype)
