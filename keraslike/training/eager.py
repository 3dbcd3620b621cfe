"""Calls outside of traces, compiled as one program each.

`model(x)` runs op by op, with Python's overhead for each op. A call that is repeated with the same
shapes is compiled, like a step; a large model is compiled on its first call, since its ops would
all be compiled one by one. This applies to objects that consist of keraslike's own layers and
functions. User code may have effects that a trace does not repeat (printing, counting, branching on
values), so it runs as plain Python; the layers that it calls are compiled separately.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import arguments, base, config, context, dtypes, rng
from keraslike.core.jax_internals import Computed, put
from keraslike.core.operation import FunctionOperation
from keraslike.core.repeated import MISSED, Repeated
from keraslike.core.structures import flatten_in_order, holds_dict, iter_leaves, map_leaves
from keraslike.core.tracebacks import is_ours
from keraslike.layers import data_layer, hosted, image_base
from keraslike.layers.layer import Layer
from keraslike.training import any_size
from keraslike.training.program import Program
from keraslike.training.steps import Steps

# The number of calls with the same shapes that run op by op before one is compiled: of a layer, and
# of another object's method, which takes less time. From this number of layers on, the first call
# is compiled.
_CALLS_OP_BY_OP, _METHODS_OP_BY_OP, _LARGE = 2, 32, 16
_MOST = 64  # The most shapes that are remembered for a layer.
# The number of calls with the same shapes before a program is compiled for them, where one for
# several sizes exists, which takes longer.
_CALLS_PADDED = 16
_CHANGES = 16  # The number of changes of a layer after which its calls are no longer compiled.
# Layers that compute concrete values with numpy, or in Python.
_HOST_LAYERS = (data_layer.DataLayer, image_base.DataLayer, hosted._Hosted)
# Modules in which some functions depend on values.
_VALUE_DEPENDENT_MODULES = ("keraslike.ops.linalg", "keraslike.ops.choosing")


def call(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of a layer's call on converted arguments, or `MISSED` if it should run op by
    op."""
    calls = layer._eager_calls
    if calls is None:
        calls = vars(layer)["_eager_calls"] = _Calls(layer, layer._call_as_layer)
    if not calls.left or not _is_unobserved():
        return MISSED
    found = _leaves_of(args, kwargs)
    if found is None or not found[0] or not all(type(x) is Computed for x in found[0]):
        return MISSED
    return calls.run(*found)


def call_padded(layer: Layer, x: Any) -> Any:
    """The result of `layer(x, training=False)` by a program for several sizes, or `MISSED`."""
    calls = layer._eager_calls
    if calls is None:
        calls = vars(layer)["_eager_calls"] = _Calls(layer, layer._call_as_layer)
    if not calls.left or not _is_unobserved():
        return MISSED
    found = _leaves_of((layer._convert_input(x),), {"training": False})
    if found is None or any(x.dtype.kind not in "biuf" for x in found[0]):
        return MISSED
    leaves, structure, training = found
    batch = leaves, [None] * len(leaves)
    return calls.run_padded(batch, (structure, training, _signature(batch)))


def call_method(method: Callable, owner: base.Object, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of a method of an object that is not a layer, or `MISSED` if it should run op by
    op."""
    if not _is_unobserved():
        return MISSED
    every = vars(owner).setdefault("_eager_calls", {})
    calls = every.get(method)
    if calls is None:
        calls = every[method] = _Calls(owner, functools.partial(method, owner))
    if not calls.left:
        return MISSED
    found = _leaves_of(args, kwargs)
    if found is None:
        return MISSED
    leaves = found[0]
    for i, x in enumerate(leaves):
        if type(x) is np.ndarray and x.dtype.kind in "biuf":
            # A copy, since the caller may change the array before the program has read it.
            leaves[i] = x.astype(jax.dtypes.canonicalize_dtype(x.dtype))
        elif type(x) is not Computed or x.dtype.itemsize == 8:
            return MISSED
    out = calls.known(*found)
    return calls.run(*found) if out is MISSED else out


Repeated.run_layer = staticmethod(call)
Repeated.run_method = staticmethod(call_method)


def _is_unobserved() -> bool:
    """Whether a call is outside of traces, tapes and other contexts that observe single
    operations."""
    state = context.state
    return not (
        state.held
        or state.plain
        or state.symbolic
        or state.inherited
        or state.tapes
        or state.scope is not None
        or state.remat is not None
        or state.choices is not None
        or state.distribution is not None
        or not context.trace_state_clean()
        or jax.config.jax_disable_jit  # type: ignore[attr-defined]
    )


def _leaves_of(args: tuple, kwargs: dict[str, Any]) -> tuple[list[Any], Any, bool | None] | None:
    """The arrays in the arguments of a call, their structure, and whether it is a training call."""
    training = kwargs.get("training")
    if training is None:
        training = context.state.training
    elif type(training) is not bool:
        return None
    if "training" in kwargs:
        kwargs = {k: v for k, v in kwargs.items() if k != "training"}
    # The order of arguments by name does not matter.
    has_dicts = any(map(holds_dict, args)) or any(map(holds_dict, kwargs.values()))
    leaves, structure = (flatten_in_order if has_dicts else jax.tree.flatten)((args, kwargs))
    return leaves, structure, training


class _Calls:
    """The calls of one layer, or of one method of another object: how often each kind was made, and
    the programs for them."""

    def __init__(self, owner: base.Object, function: Callable):
        self.owner, self.function = owner, function
        self.left = _CHANGES
        self._times: dict[Any, int] = {}  # By signature; -1 for calls that cannot be compiled.
        self._needed: int | None = None
        self._sizes = any_size.Sizes()
        self._compiled: _Compiled | None = None

    def again(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The result of a call on unconverted arguments if there is a compiled program for it, else
        `MISSED`."""
        compiled = self._compiled
        if compiled is None or not compiled.known or not _is_unobserved():
            return MISSED
        found = _leaves_of(args, kwargs)
        if found is None or not found[0]:
            return MISSED
        leaves, structure, training = found
        for i, x in enumerate(leaves):
            kind = type(x)
            if not (kind is Computed or (kind is np.ndarray and self.owner._convert_input_args)):
                return MISSED
            if x.dtype not in compiled.as_they_are:
                return MISSED
            # The caller may change the array before the program has read it.
            if kind is np.ndarray:
                leaves[i] = x.copy()
        return self.known(leaves, structure, training)

    def known(self, leaves: list[Any], structure: Any, training: bool | None) -> Any:
        """The result of a call if there is a compiled program for it, else `MISSED`."""
        compiled = self._compiled
        if compiled is None:
            return MISSED
        batch = leaves, [context.get_mask(x) for x in leaves]
        known = compiled.known.get((structure, training, _signature(batch)))
        if known is None or not compiled.is_current():
            return MISSED
        program, key, result = known
        out = program.run_known(key, batch)
        if out is None:
            return MISSED
        if not result.is_one:  # Outputs may alias inputs.
            leaves = [x if type(x) is Computed else put(x) for x in leaves]
        return result.given(self.owner, leaves, *out)

    def run(self, leaves: list[Any], structure: Any, training: bool | None) -> Any:
        masks = [context.get_mask(x) for x in leaves]
        batch = leaves, masks
        key = (structure, training, _signature(batch))
        out = self.run_padded(batch, key)
        if out is not MISSED:
            return out
        times = self._times.get(key, 0)
        if times < self._threshold():
            self._note(key, times if times < 0 else times + 1)
            return MISSED
        compiled = self._current()
        if compiled is None:
            return MISSED
        try:
            program = compiled.program(structure, training)
            out = program.run_batch(batch)
        # If the call is wrong, running it op by op gives a better error; otherwise it succeeds.
        except Exception:
            self._times[key] = -1
            return MISSED
        result = compiled.results[key]
        compiled.known[key] = program, program.key_of(batch), result
        return result.given(self.owner, leaves, *out)

    def _current(self) -> _Compiled | None:
        """The programs of the owner as it is now, if its calls can be compiled."""
        compiled = self._compiled
        if compiled is None or not compiled.is_current():
            compiled = self._compiled = _Compiled(self.owner, self.function)
            self.left = self.left - 1 if compiled.is_pure else 0
        return compiled if compiled.is_pure else None

    def _note(self, key: Any, times: int) -> None:
        if len(self._times) >= _MOST:
            self._times.clear()
        self._times[key] = times

    def run_padded(self, batch: Any, key: tuple[Any, bool | None, Any]) -> Any:
        """The result of a call by a program for several sizes, if the last calls differed in one
        size only, else `MISSED`.

        Args:
            key: the structure of the arguments, whether it is a training call, and the signature.
        """
        structure, training, _ = key
        times = self._times.get(key, 0)
        if not 0 <= times < _CALLS_PADDED or jax.default_backend() != "cpu":
            return MISSED
        flat, tree = jax.tree.flatten(batch)
        shapes = [x.shape for x in flat]
        kind = structure, training, tree, tuple([(x.ndim, x.dtype) for x in flat])
        axes = self._sizes.changing(kind, shapes)
        if not axes:
            return MISSED
        compiled = self._current()
        (size,) = {x.shape[i] for x, of in zip(flat, axes) for i in of}
        if compiled is None or size < 2:  # Functions may treat an axis of one element differently.
            return MISSED
        padded = any_size.padded_size(size)
        flat = [any_size.pad(x, of, padded) for x, of in zip(flat, axes)]
        try:
            program = compiled.program(structure, training, axes)
            arrays = program.run_batch((jax.tree.unflatten(tree, flat), np.int32(size)))
        except Exception:
            self._sizes.refuse(kind)
            return MISSED
        self._note(key, times + 1)
        result, of_results = compiled.padded[structure, training, axes]
        arrays = [any_size.cut(x, of, size) if of else x for x, of in zip(arrays, of_results)]
        out = jax.tree.unflatten(result.parts, map(put, arrays))
        return result.given(self.owner, batch[0], *out)

    def _threshold(self) -> int:
        if self._needed is None:
            large = isinstance(self.owner, Steps) and len(self.owner._known_layers()) >= _LARGE
            few = _CALLS_OP_BY_OP if isinstance(self.owner, Layer) else _METHODS_OP_BY_OP
            self._needed = 0 if large else few
        return self._needed


class _Compiled:
    """The programs of an object in its current configuration."""

    def __init__(self, owner: base.Object, function: Callable):
        self.owner, self.function = owner, function
        self.results: dict[Any, _Result] = {}
        self.known: dict[Any, tuple[Program, Any, _Result]] = {}  # The compiled calls.
        self.padded: dict[Any, tuple[_Result, list]] = {}  # With the axes of results.
        # Arrays of these dtypes are not converted before a call.
        self.as_they_are = {np.dtype(name) for name in ("int32", "uint32", "uint8", "bool")}
        if isinstance(owner, Layer) and owner.compute_dtype == "float32":
            self.as_they_are.add(np.dtype("float32"))
        self._programs: dict[Any, Program] = {}
        self._snapshot, self._settings = base.Snapshot(owner), _settings()
        self._stream = rng.global_stream().state
        objects = list(base.iter_objects(owner))
        kinds = {type(o) for o in objects if isinstance(o, Layer)}
        self._methods = [(kind, kind.call) for kind in kinds]
        self.is_pure = all(map(_is_pure, objects))

    def is_current(self) -> bool:
        """Whether nothing has changed since: setting an attribute of a layer affects its next
        call."""
        return (
            # The strict check: a `Program` only compares its Variables.
            self._snapshot.is_current()
            and all(kind.call is method for kind, method in self._methods)
            and self._stream is rng.global_stream().state
            and self._settings == _settings()
        )

    def program(self, structure: Any, training: bool | None, axes: tuple = ()) -> Program:
        """The program of a call; with `axes`, of its arguments padded along these, and a size."""
        key = structure, training
        program = self._programs.get((*key, axes))
        if program is None:

            def call(batch: Any) -> _Result:
                leaves, masks = batch
                for leaf, mask in zip(leaves, masks):
                    context.set_mask(leaf, mask)
                args, kwargs = jax.tree.unflatten(structure, leaves)
                with context.using(training=training):
                    out = self.function(*args, **kwargs)
                return _Result(self.owner, leaves, out)

            def step(batch: Any) -> Any:
                result = self.results[*key, _signature(batch)] = call(batch)
                return result.traced

            def padded_step(given: Any) -> Any:
                batch, size = given
                flat, tree = jax.tree.flatten(batch)
                results: list[_Result] = []

                def of_size(*flat: Any) -> list[Any]:
                    results[:] = [call(jax.tree.unflatten(tree, flat))]
                    arrays, results[0].parts = jax.tree.flatten(results[0].traced)
                    return arrays

                out, of_results = any_size.run_padded(of_size, flat, axes, size)
                self.padded[*key, axes] = results[0], of_results
                return out

            roots = [self.owner, rng.global_stream()]
            program = Program(padded_step if axes else step, roots, [], stack=True)
            self._programs[*key, axes] = program
        program.place_state()
        return program


class _Result:
    """The outputs of a traced call: its arrays and their structure."""

    def __init__(self, owner: base.Object, leaves: list[Any], out: Any):
        given = {id(x): i for i, x in enumerate(leaves)}
        arrays: list[Any] = []

        def place(x: Any) -> Any:
            if id(x) in given:
                return _Place(given[id(x)], of_input=True)
            if x is None or isinstance(x, (bool, str)):
                return x
            if not isinstance(x, jax.Array):
                raise TypeError(f"{type(x)} is no array")
            arrays.append(x)
            return _Place(len(arrays) - 1)

        self.structure = map_leaves(place, out)
        masks = [context.get_mask(x) for x in arrays]
        added = owner._added_losses() if isinstance(owner, Layer) else []
        self.owners = [layer for layer, _ in added]
        self.traced: Any = arrays, masks, [values for _, values in added]
        self.parts: Any = None  # The structure of what was traced.
        self.is_one = type(self.structure) is _Place and not self.structure.of_input

    def given(
        self, owner: base.Object, leaves: list[Any], arrays: Any, masks: Any, losses: Any
    ) -> Any:
        """The same structure with values."""
        self.traced = None
        for array, mask in zip(arrays, masks):
            if mask is not None:
                context.set_mask(array, mask)
        state = context.state
        if state.depth == 0 and state.losses and isinstance(owner, Layer):
            owner._forget_losses()
        for layer, added in zip(self.owners, losses):
            state.losses.set(layer, [*state.losses.get(layer, []), *added])
        if self.is_one:
            return arrays[0]
        return map_leaves(
            lambda x: (leaves if x.of_input else arrays)[x.number] if type(x) is _Place else x,
            self.structure,
        )


class _Place:
    __slots__ = ("number", "of_input")

    def __init__(self, number: int, of_input: bool = False):
        self.number, self.of_input = number, of_input


def _signature(batch: tuple[list[Any], list[Any]]) -> tuple:
    leaves, masks = batch
    return tuple(
        [(x.shape, x.dtype, None if m is None else m.shape) for x, m in zip(leaves, masks)]
    )


def _settings() -> tuple:
    return (
        dtypes.floatx(),
        dtypes.epsilon(),
        arguments.image_data_format(),
        config.is_flash_attention_enabled(),
    )


def _is_pure(obj: Any) -> bool:
    """Whether all code that an object's call runs is keraslike's own, and runs on the device."""
    if not isinstance(obj, base.Object) or not is_ours(type(obj)) or isinstance(obj, _HOST_LAYERS):
        return False
    if isinstance(obj, Layer) and not (obj.supports_jit and obj.built):
        return False
    return all(map(_is_pure_value, _parts([v for _, v in obj._state_attributes()])))


def _parts(value: Any) -> Iterator[Any]:
    for x in iter_leaves(value, base.is_state):
        yield x.function if isinstance(x, FunctionOperation) else x


_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic, Computed, type)


def _is_pure_value(x: Any) -> bool:
    if isinstance(x, _PLAIN) or base.is_state(x):
        return True
    if isinstance(x, types.FunctionType) or not is_ours(type(x)):
        module = getattr(x, "__module__", None) or ""
        ours = module.partition(".")[0] in ("keraslike", "jax")
        return callable(x) and ours and module not in _VALUE_DEPENDENT_MODULES
    return True
