"""`tf.function`: a Python function that is traced once per signature, and compiled.

During a trace the arguments and all live variables hold tracers. Variables that the function reads
or changes become arguments and results of the compiled program. Python code, such as `print`, runs
only during the trace.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.core import rng, symbolic_sizes
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.pickling import find, is_found, picklable
from keraslike.core.structures import flatten
from keraslike.core.tracebacks import entry
from keraslike.tf import autograph as rewriting
from keraslike.tf import dtypes
from keraslike.tf.concrete import (
    OF_ANY_SIZES,
    ConcreteFunction,
    makes_variables,
    names_of_sizes,
    wrap_values,
)
from keraslike.tf.errors import OutOfRangeError
from keraslike.tf.fitting import check_others, checked_signature, fitted
from keraslike.tf.recording import as_one_operation
from keraslike.tf.signatures import (
    MISMATCH,
    TensorSpec,
    call_key,
    common,
    has_unknown,
    is_leaf,
    is_tensor,
    name_of,
)
from keraslike.tf.specs import DatasetSpec, in_parts
from keraslike.tf.tensor import wrap
from keraslike.tf.untraced import BySize, TextFunction
from keraslike.tf.variables import NeedsFirstCall

run_eagerly = False  # whether functions run eagerly: see `tf.config.run_functions_eagerly`

# If set, this is called for each call of a function outside of traces: see `tf.summary.trace_on`.
called: Callable[[ConcreteFunction], None] | None = None


class Function:
    """A Python function compiled by `tf.function`."""

    def __init__(
        self,
        function: Callable,
        input_signature: Any = None,
        reduce_retracing: bool = False,
        autograph: bool = True,
    ):
        functools.update_wrapper(self, function)
        self.python_function = function
        self.autograph = autograph
        self.reduce_retracing = reduce_retracing
        name = name_of(function)
        self.input_signature = checked_signature(name, input_signature, self._parameters)
        self._traced: dict[Any, ConcreteFunction] = {}
        self._parts: set[Any] = set()  # the signatures for which other functions have inlined it
        self._count = 0
        # Whether the function cannot be compiled, as those of data sets and iterators.
        self._in_python = any(isinstance(s, DatasetSpec) for s in self.input_signature or ())
        self._needs_sizes = False  # whether a trace with unknown sizes has failed
        self._counters: dict[Any, int] = {}  # of runs, by signatures with unknown sizes

    def experimental_get_tracing_count(self) -> int:
        """The number of times that the function was traced."""
        return self._count

    def pretty_printed_concrete_signatures(self) -> str:
        """The signatures that the function was traced for."""
        return "\n\n".join(c.pretty_printed_signature() for c in self._traced.values())

    @entry
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not trace_state_clean():  # the call becomes part of the enclosing trace
            self._note_part(args, kwargs)
            args, kwargs = wrap(self._conforming(args, kwargs))
            with rng.inlined():
                return as_one_operation(wrap_values(self._staged(*args, **kwargs)))
        if not (self._in_python or run_eagerly):
            again = _copied(args)  # a failed trace may have advanced iterators
            try:
                concrete, leaves = self._find(args, kwargs)
            except NeedsFirstCall:
                return self._first_call(again, kwargs)
            # It uses text or elements of a data set, or creates arrays of sizes that depend on
            # values.
            except NeedsPython:
                self._in_python, args = True, again
        if self._in_python or run_eagerly:
            return self._by_python(args, kwargs)
        if called is not None:
            called(concrete)
        return concrete.on([leaves[i] for i in concrete.tensors])

    def _by_python(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        args, kwargs = wrap(self._conforming(args, kwargs))
        try:
            return wrap_values(self.python_function(*args, **kwargs))
        except StopIteration as error:  # of an iterator of a data set
            if run_eagerly:
                raise
            raise OutOfRangeError("End of sequence") from error

    def _first_call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Runs a call that makes variables of values that it computes, and traces the next one.

        Raises ValueError if the next call would make variables as well.
        """
        out = self._by_python(args, kwargs)
        try:
            self._find(args, kwargs)
        except NeedsFirstCall:
            raise makes_variables(self.python_function) from None
        except NeedsPython:
            self._in_python = True
        return out

    def _note_part(self, args: tuple, kwargs: dict[str, Any]) -> None:
        """Counts a trace for each signature for which another function inlines this one."""
        leaves, structure = flatten(self._bound(args, kwargs), is_leaf)
        key = call_key(structure, leaves)
        if key not in self._parts and key not in self._traced:
            self._parts.add(key)
            self._count += 1

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The function traced for these tensors, `TensorSpec`s and Python values."""
        return self._concrete(args, kwargs, self._in_python)

    def _concrete(self, args: tuple, kwargs: dict[str, Any], in_python: bool) -> ConcreteFunction:
        """The concrete function for arguments; one whose calls run in Python if need be and if
        `in_python` is set."""
        if self.input_signature is not None and len(args) <= self._ours and not kwargs:
            args = (*args, *self.input_signature)
        try:
            return self._find(args, kwargs)[0]
        except NeedsPython as error:
            args, kwargs = self._bound(args, kwargs)
            if self.input_signature:
                _, args = self._fitted(args, kwargs)
            parts = in_parts((args, kwargs))
            if not in_python:
                raise
            return BySize(self, *flatten(parts, is_leaf), error)

    def _find(self, args: tuple, kwargs: dict[str, Any]) -> tuple[ConcreteFunction, list[Any]]:
        args, kwargs = self._bound(args, kwargs)
        specs = None
        if self.input_signature is not None:
            args, signed = self._fitted(args, kwargs)
            specs, _ = flatten(in_parts((signed, kwargs)), is_leaf)
        args, kwargs = in_parts((args, kwargs))
        leaves, structure = flatten((args, kwargs), is_leaf)
        specs = list(leaves) if specs is None else specs
        found = self._traced.get(call_key(structure, specs))
        if found is None:
            found = self._traced.get(call_key(structure, leaves))
        if found is None and self.reduce_retracing:
            specs = self._generalized(structure, specs)
            found = self._traced.get(call_key(structure, specs))
        return self._trace(specs, leaves, structure) if found is None else found, leaves

    def _trace(
        self, specs: list[Any], leaves: list[Any], structure: Any, counter: int = 0
    ) -> ConcreteFunction:
        """Traces the function for signatures or, if it cannot be traced with unknown sizes, for
        the arguments. A loop over an axis of unknown size is an example.
        """

        def traced(leaves: list[Any], counter: int, sizes: Any = (), *limits: Any) -> Any:
            of = self.python_function
            return ConcreteFunction(self._counted, leaves, structure, of, sizes, counter, *limits)

        found, unknown = None, has_unknown(specs)
        if any(is_tensor(s) and dtypes.as_dtype(s.dtype) is dtypes.string for s in specs):
            found = TextFunction(self, specs, structure)
        elif not (unknown and self._needs_sizes) or has_unknown(leaves):
            try:
                found = traced(specs, counter)
            except OF_ANY_SIZES:
                raise
            except Exception as error:
                if not unknown:
                    raise
                if has_unknown(leaves):
                    found = self._with_fixed_sizes(functools.partial(traced, specs, counter))
                    if found is None:  # each call traces it for its own sizes
                        found = BySize(self, specs, structure, error)
                        if not found.has_unknown_rank:
                            return found
        if found is None:
            counter = counter or self._counters.setdefault(
                call_key(structure, specs), rng.new_counter()
            )
            specs, found, self._needs_sizes = leaves, traced(leaves, counter), True
        self._traced[call_key(structure, specs)] = found
        return found

    def _with_fixed_sizes(self, traced: Callable) -> ConcreteFunction | None:
        """The function with constraints on the unknown sizes that it fixes, if these can be found
        from the errors of traces."""
        count, specs = self._count, traced.args[0]
        try:
            for sizes in names_of_sizes(
                [TensorSpec(s.shape, s.dtype) for s in specs if is_tensor(s)]
            ):
                names = [n for some in sizes for n in some if n.isidentifier()]
                trace = functools.partial(traced, sizes)
                found = symbolic_sizes.solved(trace, list(dict.fromkeys(names)), OF_ANY_SIZES)
                if found is not None:
                    return found
        finally:
            self._count = count
        return None

    def _generalized(self, structure: Any, specs: list[Any]) -> list[Any]:
        """Signatures for these arguments and those of an earlier trace, with `None` for different
        sizes; the arguments themselves if no earlier trace has the same ranks and dtypes."""
        for known in reversed(self._traced.values()):
            if known.structure == structure:
                both = [common(*pair) for pair in zip(specs, known.leaves, strict=True)]
                if all(b is not MISMATCH for b in both):
                    return both
        return specs

    def _counted(self, *args: Any, **kwargs: Any) -> Any:
        self._count += 1
        before = [(each, _items(each)) for each in _containers([args, kwargs])]
        out = self._staged(*args, **kwargs)
        for container, items in before:
            now = _items(container)
            if len(now) != len(items) or any(a is not b for a, b in zip(now, items)):
                raise ValueError(
                    f"{self.python_function.__qualname__}() should not modify its Python input "
                    f"arguments, since these are copies in a tf.function. It has modified {now!r}, "
                    f"which was {items!r}."
                )
        return out

    def _decorate(self, decorator: Callable[[Callable], Callable]) -> None:
        """Decorates the Python function, for metaclasses that decorate methods, as Sonnet's do.

        Raises ValueError if the function was called already.
        """
        if self._traced or self._in_python:
            raise ValueError(f"{self!r} was called before: it cannot be decorated now.")
        self.python_function = decorator(self.python_function)

    @functools.cached_property
    def _staged(self) -> Callable:
        """The function that is traced, after conversion by AutoGraph."""
        function = self.python_function
        return rewriting.converted(function) if self.autograph else function

    @functools.cached_property
    def _parameters(self) -> inspect.Signature | None:
        try:
            return inspect.signature(self.python_function)
        except (TypeError, ValueError):  # a built-in function without a signature
            return None

    def _bound(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments by position and with defaults, and others sorted by their names, so that
        equal calls share a trace."""
        if self._parameters is None:
            return args, kwargs
        bound = self._parameters.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.args, dict(sorted(bound.kwargs.items()))

    def _conforming(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments as tensors of the signature, if there is one."""
        if self.input_signature is None:
            return args, kwargs
        args, kwargs = self._bound(args, kwargs)
        return self._fitted(args, kwargs)[0], kwargs

    @functools.cached_property
    def _ours(self) -> int:
        """The number of arguments before those of the `input_signature`: 1 for `self`."""
        return int(
            next(iter(self._parameters.parameters if self._parameters else ()), "") == "self"
        )

    def _fitted(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, tuple]:
        """The arguments by position as tensors of the signature, and those for which the function
        is traced. Raises TypeError if one does not conform."""
        signature, name = self.input_signature or (), name_of(self.python_function)
        count = self._ours + len(signature)
        known = None if self._parameters is None else list(self._parameters.parameters.values())
        # Further arguments have defaults.
        without = [
            p
            for p in (known or ())[count:]
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if len(args) < count or without:
            raise TypeError(
                f"{name}() takes {len(signature)} arguments, by its input_signature. "
                f"Received: {len(args) - self._ours}."
            )
        if self._parameters is not None:
            check_others(name, self._parameters, count, args, kwargs)
        pairs = [fitted(name, *pair) for pair in zip(signature, args[self._ours : count])]
        values, signed = ([pair[i] for pair in pairs] for i in (0, 1))
        ours, others = args[: self._ours], args[count:]
        return (*ours, *values, *others), (*ours, *signed, *others)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _Method(self, instance)

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def __reduce__(self) -> Any:
        if is_found(self):
            return find, (self.__module__, self.__qualname__)
        given = (self.input_signature, self.reduce_retracing, self.autograph)
        return Function, (picklable(self.python_function), *given)

    def __repr__(self) -> str:
        return f"<tf.function of {self.python_function.__qualname__}>"


def _containers(tree: Any) -> Iterator[Any]:
    """The lists and dicts among the arguments of a function."""
    for item in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(item, (list, dict)):
            yield item
        if isinstance(item, (list, dict, tuple)):
            yield from _containers(item)


def _items(container: Any) -> list[Any]:
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


_ITERATORS = tuple(type(iter(x)) for x in ([], (), range(0), "", b"", set(), {}, {}.values()))


def _copied(args: tuple) -> tuple:
    """The arguments with copies of Python's iterators, where these can be copied."""
    return tuple([copy.copy(arg) if isinstance(arg, _ITERATORS) else arg for arg in args])


class _Method:
    """A `Function` bound to an object."""

    def __init__(self, function: Function, instance: Any):
        self._function, self.__self__ = function, instance

    @property
    def python_function(self) -> Callable:
        return self._function.python_function.__get__(self.__self__)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.python_function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(self.__self__, *args, **kwargs)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        return self._function.get_concrete_function(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_function"], name)


def function(
    func: Callable | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements: Any = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
) -> Any:
    """Compiles a function, which is traced once for each shape and dtype of its tensors, and for
    each value of its other arguments.

    Args:
        input_signature: a `TensorSpec` for each argument, the only signature that is traced. Sizes
            may be `None`; a function that cannot be traced so is traced for each size.
        autograph: whether Python's `if`, `while`, `for`, `and`, `or` and `not` on tensors are
            compiled (`keraslike.tf.autograph`), which needs the function's source.
        reduce_retracing: whether an argument of another shape leads to a trace for any size along
            the axes that differ.

    Raises TypeError for arguments that do not fit `input_signature`; and, where `autograph` is
    False or the function has no source, for Python's `if` and `while` on a tensor.

    >>> @function
    ... def cube(x):
    ...     return x ** 3
    >>> cube(tf.constant(2.0))
    <tf.Tensor: shape=(), dtype=float32, numpy=8.0>
    """
    if func is None:
        return functools.partial(
            function,
            input_signature=input_signature,
            autograph=autograph,
            reduce_retracing=reduce_retracing,
        )
    return Function(func, input_signature, reduce_retracing, autograph)
