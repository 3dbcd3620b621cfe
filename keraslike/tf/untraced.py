"""Concrete functions that are not one compiled program: functions of text, which Python runs, and
those that are traced for each size or rank of their arguments."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import lowering
from keraslike.core.errors import NeedsPython
from keraslike.core.structures import map_leaves
from keraslike.tf import dtypes, graph
from keraslike.tf.concrete import ConcreteFunction, _check_all, live_variables, wrap_values
from keraslike.tf.conversion import _as_operand
from keraslike.tf.dtypes import UNKNOWN_SHAPE
from keraslike.tf.signatures import (
    MISMATCH,
    TensorSpec,
    call_key,
    common,
    has_unknown,
    is_leaf,
    name_of,
)
from keraslike.tf.tensor import Tensor

# The ranks for which a function of tensors of unknown rank is saved, by the number of tensors.
_RANKS = {1: range(7), 2: range(4)}


class _Untraced(ConcreteFunction):
    """A concrete function without a program of its own."""

    def __init__(self, function: Any, leaves: list[Any], structure: Any):
        self._by = function
        super().__init__(function._counted, leaves, structure, function.python_function)

    def _trace(self, function: Callable) -> None:
        pass

    def _filled(self, tensors: Sequence[Any]) -> list[Any]:
        given = [_as_operand(t) for t in tensors]
        _check_all(self.specs, given)
        leaves = list(self.leaves)
        for place, tensor in zip(self.tensors, given, strict=True):
            leaves[place] = tensor
        return leaves

    def _by_python(self, leaves: list[Any]) -> Any:
        args, kwargs = jax.tree.unflatten(self.structure, leaves)
        return wrap_values(self._by.python_function(*args, **kwargs))

    def _with_sizes(self, size: int) -> list[TensorSpec]:
        """The signature with a number for all unknown sizes."""
        return [
            TensorSpec([size if n is None else n for n in s.shape], s.dtype) for s in self.specs
        ]


class TextFunction(_Untraced):
    """A function of text for one signature. XLA has no strings, so Python runs it in each call."""

    def __init__(self, function: Any, leaves: list[Any], structure: Any):
        super().__init__(function, leaves, structure)
        function._count += 1
        self._specs: Any = None  # the structure of its results

    def __getattr__(self, name: str) -> Any:
        if name in ("variables", "captured"):
            raise NeedsPython(
                f"The variables of {name_of(self._of)}() are not known: it is a function of text, "
                "which is not traced."
            )
        raise AttributeError(name)

    def on(self, tensors: Sequence[Any]) -> Any:
        out = self._by_python(self._filled(tensors))
        if self._specs is None and not has_unknown(self.specs):
            self._specs = _specs_of(out)
        return out

    def _results_as(self, function: Callable) -> Any:
        if self._specs is None:
            self._specs = self._found_specs()
        return map_leaves(lambda s: function(s) if isinstance(s, TensorSpec) else s, self._specs)

    def _found_specs(self) -> Any:
        """The shapes and dtypes of the results for texts that hold a number; sizes that differ for
        arguments of other sizes are unknown."""
        if any(spec.shape is UNKNOWN_SHAPE for spec in self.specs):
            raise ValueError(f"The results of {name_of(self._of)}() need the ranks of its tensors.")

        def of(size: int) -> Any:
            stand_ins = [
                Tensor(
                    np.full(s.shape, b"0", object)
                    if s.dtype is dtypes.string
                    else np.zeros(s.shape, s.dtype.as_numpy_dtype)
                )
                for s in self._with_sizes(size)
            ]
            variables = live_variables()
            with lowering.holding(variables, lowering.values_of(variables)):
                return _specs_of(self._by_python(self._filled(stand_ins)))

        found = of(2)
        if not has_unknown(self.specs):
            return found
        others = iter(jax.tree.leaves(of(3), is_leaf=is_leaf))
        return map_leaves(
            lambda s: common(s, next(others)) if isinstance(s, TensorSpec) else s, found
        )

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        given, made = self.structured_input_signature, self.structured_outputs
        return graph.pretty(given, self._of, made, (), verbose)

    @functools.cached_property
    def _seen(self) -> tuple[graph.Graph, list, list]:
        names = graph.argument_names(self._of, self.structure)
        given = [(names[i], spec) for i, spec in zip(self.tensors, self.specs)]
        made = jax.tree.leaves(self.structured_outputs, is_leaf=is_leaf)
        return graph.of_python(given, made)


class BySize(_Untraced):
    """A function of a signature with unknown sizes that cannot be traced with symbols for them, so
    that it is traced again for the sizes of each call; or one that uses text within, whose calls
    run in Python.

    Attributes that depend on the trace, such as the graph, raise the error of the trace.
    """

    def __init__(self, function: Any, leaves: list[Any], structure: Any, error: Exception):
        self._error = error
        super().__init__(function, leaves, structure)

    def __getattr__(self, name: str) -> Any:
        error = vars(self).get("_error")
        if error is None or name.startswith("__"):
            raise AttributeError(name)
        if name in ("variables", "captured") and self.has_unknown_rank:
            return getattr(self._examples[0], name)
        raise error

    def on(self, tensors: Sequence[Any]) -> Any:
        leaves = self._filled(tensors)
        found = self._by._traced.get(call_key(self.structure, leaves))
        try:
            if found is None:
                found = self._by._trace(leaves, leaves, self.structure, self._counter)
        except NeedsPython:
            return self._by_python(leaves)
        return found.on([leaves[i] for i in self.tensors])

    @property
    def has_unknown_rank(self) -> bool:
        return any(spec.shape is UNKNOWN_SHAPE for spec in self.specs)

    def by_rank(self, ranks: Sequence[int] | None = None) -> list[ConcreteFunction]:
        """The function traced for all ranks of a few, by default those for which it is saved. Those
        for which it cannot be traced are left out.

        Raises the error of the last trace if there are none.
        """
        unknown = [i for i, s in zip(self.tensors, self.specs) if s.shape is UNKNOWN_SHAPE]
        if ranks is None and len(unknown) not in _RANKS:
            raise ValueError(
                f"{name_of(self._of)}() has {len(unknown)} tensors of unknown rank, and can be "
                f"saved with {max(_RANKS)} at most."
            )
        ranks, count = _RANKS[len(unknown)] if ranks is None else ranks, self._by._count
        found, error = [], self._error
        for some in itertools.product(ranks, repeat=len(unknown)):
            leaves = list(self.leaves)
            for place, rank in zip(unknown, some):
                leaves[place] = TensorSpec([None] * rank, leaves[place].dtype)
            try:
                traced = self._by._traced.get(call_key(self.structure, leaves))
                traced = traced or self._by._trace(leaves, leaves, self.structure, self._counter)
            except Exception as failed:
                error = failed
                continue
            if isinstance(traced, BySize):
                error = traced._error
            else:
                found.append(traced)
        self._by._count = count
        if not found:
            raise error
        return found

    def _results_as(self, function: Callable) -> Any:
        if not self.has_unknown_rank:
            raise self._error
        first, *others = [c.structured_outputs for c in self._examples]
        others = [iter(jax.tree.leaves(other, is_leaf=is_leaf)) for other in others]

        def joined(spec: Any) -> Any:
            if not isinstance(spec, TensorSpec):
                return spec
            for other in others:
                both = common(spec, next(other))
                spec = TensorSpec(None, spec.dtype) if both is MISMATCH else both
            return function(spec)

        return map_leaves(joined, first)

    @functools.cached_property
    def _examples(self) -> list[ConcreteFunction]:
        try:
            return self.by_rank((1, 2))
        except Exception:
            return self.by_rank()


def _specs_of(results: Any) -> Any:
    return map_leaves(
        lambda t: TensorSpec(t.shape, t.dtype) if isinstance(t, Tensor) else t, results
    )
