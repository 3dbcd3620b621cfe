"""Functions that are traced for one signature and compiled, which `tf.function` calls."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors, nnx
from jax import export
from jax.extend.core import jaxpr_as_fun

from keraslike.core import context, lowering, rng
from keraslike.core.boxed import Boxed, unbox
from keraslike.core.errors import NeedsPython
from keraslike.core.structures import flatten, keeping_order, map_items, map_leaves
from keraslike.core.variable import Variable, every_variable, spec_of
from keraslike.data.pipeline import DatasetIterator, Optional, Pipeline
from keraslike.tf import autograph as rewriting
from keraslike.tf import dtypes, effects, graph, promotion
from keraslike.tf.autodiff import recorded
from keraslike.tf.calls import Reader
from keraslike.tf.conversion import _as_operand, convert_to_tensor
from keraslike.tf.dependence import constant_when_assigned
from keraslike.tf.dtypes import UNKNOWN_SHAPE, TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.moves import is_text
from keraslike.tf.parts import Gathers, RowsOfInputs
from keraslike.tf.recording import Call, trains
from keraslike.tf.signatures import TensorSpec, is_leaf, is_tensor, name_of
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.specs import of_parts
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import WIDE, Tensor, WeakTensor, _identity, run, weakened, wrap
from keraslike.tf.variables import Variable as TFVariable

# A trace fails when it changes a variable that it has created: the weights of a layer, then the
# slots of an optimizer, then the state of a metric. So a function may need several traces.
_MOST_TRACES = 8


# Errors of a trace that unknown sizes never cause. JAX has no common class for those that they do.
OF_ANY_SIZES = (NameError, ImportError, OSError)


_PLAIN = (bool, int, float, complex, str, bytes)


class ConcreteFunction:
    """A function traced for one signature."""

    def __init__(
        self,
        function: Callable,
        leaves: list[Any],
        structure: Any,
        of: Callable | None = None,
        sizes: Sequence[Any] = (),
        counter: int = 0,
        constraints: tuple[str, ...] = (),
    ):
        self.leaves, self.structure, self._of = leaves, structure, of or function
        self.function = function
        self.tensors = [i for i, leaf in enumerate(leaves) if is_tensor(leaf)]
        self.specs = [TensorSpec(leaves[i].shape, leaves[i].dtype) for i in self.tensors]
        self._texts: dict[int, Any] = {}
        # The names of unknown sizes. Those along the same axis of several tensors are assumed to be
        # equal, as for a batch, until a call has others.
        self._sizes = sizes or _names(self.specs, self.specs)
        self.symbols = self._sizes, constraints
        self._variants: dict[Any, ConcreteFunction] = {}
        # The counter of runs, which all traces for one signature share.
        self._counter = counter or rng.new_counter()
        self._trace(function)

    # -- the public attributes ----------------------------------------------------------------

    @property
    def name(self) -> str:
        return f"__inference_{name_of(self._of)}_{id(self) % 10**6}"

    @property
    def graph(self) -> graph.Graph:
        """The operations, with TensorFlow's names."""
        return self._seen[0]

    @property
    def inputs(self) -> list[graph.SymbolicTensor]:
        """The placeholders of the arguments and of the variables that it uses."""
        return self._seen[1]

    @property
    def outputs(self) -> list[graph.SymbolicTensor]:
        return self._seen[2]

    @property
    def structured_input_signature(self) -> tuple[tuple, dict[str, Any]]:
        """The arguments that it was traced for, with named specs in place of tensors."""
        names = graph.argument_names(self._of, self.structure)
        leaves = list(self.leaves)
        for i, spec in zip(self.tensors, self.specs):
            name = getattr(leaves[i], "name", None) if isinstance(leaves[i], TensorSpec) else None
            leaves[i] = TensorSpec(spec.shape, spec.dtype, name or names[i])
        return of_parts(jax.tree.unflatten(self.structure, leaves))

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """The parameters with their types, the results and, if `verbose`, the captures, a line
        each."""
        given, made = self.structured_input_signature, self.structured_outputs
        return graph.pretty(given, self._of, made, self.captured_inputs, verbose)

    @property
    def function_type(self) -> inspect.Signature:
        """The parameters and the result, annotated with their types."""
        return graph.signature(self.structured_input_signature, self._of, self.structured_outputs)

    @property
    def inference_fn(self) -> ConcreteFunction:
        """The function without gradients of its own, which is the function itself here."""
        return self

    @property
    def structured_outputs(self) -> Any:
        """The shapes and dtypes of the results, in their structure."""
        return self._results_as(lambda s: TensorSpec(s.shape, s.dtype))

    @property
    def output_shapes(self) -> Any:
        """The shapes of the results, in their structure."""
        return self._results_as(lambda s: TensorShape(s.shape))

    @property
    def output_dtypes(self) -> Any:
        """The dtypes of the results, in their structure."""
        return self._results_as(lambda s: dtypes.as_dtype(s.dtype))

    def _results_as(self, function: Callable) -> Any:
        found = self._with_texts([function(s) for s in self.out_avals[: self._results]])
        return of_parts(jax.tree.unflatten(self.output_structure, found))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The trainable ones of its variables."""
        return tuple(v for v in self.variables if trains(v))

    @property
    def captured_inputs(self) -> list[Any]:
        """The variables and tensors that it captures."""
        return [*self.variables, *self.captured]

    @property
    def function_def(self) -> graph.FunctionDef:
        """The signature and the operations of the function."""
        given, found = (
            [graph.Argument(t.op.name.lower(), t.dtype) for t in ts]
            for ts in (self.inputs, self.outputs)
        )
        signature = graph.Signature(self.name, given, found)
        return graph.FunctionDef(signature, self.graph.get_operations())

    @functools.cached_property
    def _seen(self) -> tuple[graph.Graph, list, list]:
        names = graph.argument_names(self._of, self.structure)
        ours = {id(leaf): names[i] for i, leaf in enumerate(self.leaves)}
        closed, variables, used = self._closed
        inputs: list[Any] = [None] * len(closed.jaxpr.invars)
        captured = set()
        for i, variable in zip(used, variables, strict=True):
            if id(variable) not in ours:
                captured.add(i)
            stem = str(variable.name or "variable").partition(":")[0].lower()
            name = ours.get(id(variable), f"{stem}_resource")
            value = variable._raw_value
            inputs[i] = (name, True, (value.shape, value.dtype))
        for i, spec in zip(reversed(range(len(inputs))), reversed(self.specs)):
            leaf = self.leaves[self.tensors[i - len(inputs)]]
            own = getattr(leaf, "name", None) if isinstance(leaf, TensorSpec) else None
            name = own or names[self.tensors[i - len(inputs)]]
            inputs[i] = (name, False, (spec.shape, spec.dtype))
        return graph.of_jaxpr(closed, inputs, self._results, captured)

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self.pretty_printed_signature(False)} at 0x{id(self):X}>"

    def __str__(self) -> str:
        return f"ConcreteFunction {self.pretty_printed_signature()}"

    # -- traces and calls -----------------------------------------------------------------------

    def _trace(self, function: Callable) -> None:
        traced, of_flax = 0, []
        for left in reversed(range(_MOST_TRACES)):
            variables = [*live_variables(), *of_flax]
            known, made = {id(v) for v in variables}, TFVariable.made_in_traces
            try:
                self._trace_with(function, variables)
            except errors.TraceContextError:
                if not left and TFVariable.made_in_traces > made:
                    raise makes_variables(self._of) from None
                of_flax = flax_variables()
                if not left or all(id(v) in known for v in (*live_variables(), *of_flax)):
                    raise
                continue
            constants = self._constants()
            if constants and (
                read := [v for v in flax_variables() if id(v._raw_value) in constants]
            ):
                of_flax += read
                continue
            traced += 1
            if TFVariable.made_in_traces > made:
                if traced == 2:
                    raise makes_variables(self._of)
                continue
            if traced == 2 or all(id(v) in known for v in live_variables()):
                return
            # Traces again, with the variables that the function has created.

    def _constants(self) -> set[int]:
        """The ids of the arrays that are constants of the trace."""
        taken = {id(t._value) for t in self.captured}
        return {id(c) for c in self._closed[0].consts if isinstance(c, jax.Array)} - taken

    def _trace_with(self, function: Callable, variables: list[Any]) -> None:
        specs = self.specs
        wide = any(s.dtype.size >= 8 and s.dtype is not dtypes.string for s in specs)
        wide = wide or bool(jax.config.read("jax_enable_x64"))
        changed: list[int] = []
        found: list[Any] = []
        reader = Reader()
        labels = graph.argument_names(self._of, self.structure)

        def pure(state: Sequence[Any], tensors: Sequence[Any]) -> Any:
            filled = list(self.leaves)
            for i, tensor in zip(self.tensors, tensors):
                weak = isinstance(self.leaves[i], WeakTensor)
                filled[i] = WeakTensor(tensor) if weak else Tensor(tensor)
                filled[i]._label = labels[i]
            args, kwargs = jax.tree.unflatten(self.structure, filled)
            with (
                WIDE(wide),
                lowering.holding(variables, state),
                context.using(tapes=(reader,), gathers=(gathers := Gathers())),
                rng.counted_operations(),
            ):
                constant_when_assigned(variables)
                out = map_leaves(_result, wrap_values(recorded(function)(*args, **kwargs)))
                new = lowering.values_of(variables)
            changed[:] = [i for i, (a, b) in enumerate(zip(state, new)) if a is not b]
            flat, tree = flatten(out)
            if any(isinstance(x, rewriting.Unsized) for x in flat):
                raise NeedsPython("A range of unknown size cannot leave a traced function.")
            if any(isinstance(x, (Pipeline, DatasetIterator, Optional)) for x in flat):
                raise NeedsPython("A data set or an iterator cannot leave a traced function.")
            # XLA has no strings, so text among the results is a constant of the trace.
            self._texts = {i: x for i, x in enumerate(flat) if is_text(x)}
            flat = [x for x in flat if not is_text(x)]
            found[:] = [tree]
            return [*flat, *[new[i] for i in changed]], gathers.noted

        state = [jax.ShapeDtypeStruct(s.shape, s.dtype) for s in map(spec_of, variables)]
        names, constraints = self.symbols
        scope = export.SymbolicScope(constraints) if constraints else _scope
        shapes = [_struct(*pair, scope) for pair in zip(specs, names)]
        with WIDE(True), rng.one_function(self._counter):
            closed, (made, noted) = jax.make_jaxpr(pure, return_shape=True)(state, shapes)
        jaxpr, gathered = closed.jaxpr, []
        if noted:
            outvars = jaxpr.outvars[len(made) :]
            gathered = [outvars[i : i + 3] for i in range(0, len(outvars), 3)]
            jaxpr = jaxpr.replace(outvars=jaxpr.outvars[: len(made)])
            closed = closed.replace(jaxpr=jaxpr)
        read = {id(v) for eqn in jaxpr.eqns for v in eqn.invars}
        read |= {id(v) for v in jaxpr.outvars}
        n = len(variables)
        used = [i for i in range(n) if id(jaxpr.invars[i]) in read]
        # Captured tensors are arguments as well, since a tape may follow them.
        places = [i for i, c in enumerate(closed.consts) if id(c) in reader.tensors]
        self.captured = [reader.tensors[id(closed.consts[i])] for i in places]

        inputs = [*(jaxpr.invars[i] for i in used), *(jaxpr.constvars[i] for i in places)]
        others = [i for i in range(len(closed.consts)) if i not in places]
        program = jaxpr.replace(
            invars=[*inputs, *jaxpr.invars[n:]], constvars=[jaxpr.constvars[i] for i in others]
        )
        program = closed.replace(jaxpr=program, consts=[closed.consts[i] for i in others])

        def compiled(function: Callable, program: Any) -> Call:
            if not any(None in s.shape for s in specs):
                return Call(function, program)
            with WIDE(True):
                exported = export.export(jax.jit(function))(*program.in_avals)
            if exported.nr_devices > 1:
                raise NeedsSizes("A program of several replicas is compiled for known sizes only.")
            return Call(exported.call, program)

        self.run = compiled(jaxpr_as_fun(program), program)
        rows = RowsOfInputs(program, gathered, compiled)
        self._rows = rows if rows.gathered else None
        (self.output_structure,) = found
        self.out_avals = closed.out_avals  # changed variables come last
        self.variables = [variables[i] for i in used]
        self._closed = closed, self.variables, used
        self.changed = [variables[i] for i in changed]
        results = closed.out_avals[: len(closed.out_avals) - len(changed)]
        self.run.results = [jnp.issubdtype(a.dtype, jnp.inexact) for a in results]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, _ = flatten((args, kwargs), is_leaf)
        if kwargs or len(leaves) not in (len(self.leaves), len(self.tensors)):
            leaves = self._matched(args, kwargs)
        if len(leaves) == len(self.leaves):
            for own, given in zip(self.leaves, leaves):
                if isinstance(own, _PLAIN) and isinstance(given, _PLAIN) and own != given:
                    raise TypeError(
                        f"{name_of(self._of)}() was traced for the value {own!r} of an argument. "
                        f"Received: {given!r}"
                    )
            leaves = [leaves[i] for i in self.tensors]
        return self.on(leaves)

    def _matched(self, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
        """The leaves of the arguments of the signature. Arguments other than tensors are
        optional."""
        bound = inspect.signature(self._of).bind_partial(*args, **kwargs)
        traced = list(self.leaves)
        for i, spec in zip(self.tensors, self.specs, strict=True):  # in place of tensors
            traced[i] = spec
        ours, theirs = jax.tree.unflatten(self.structure, traced)
        names = [n for n in inspect.signature(self._of).parameters if n not in theirs]
        filled = list(bound.args) + [
            bound.arguments.get(name, value)
            for name, value in list(zip(names, ours))[len(bound.args) :]
        ]
        try:
            leaves = self.structure.flatten_up_to(
                keeping_order((tuple(filled), theirs | bound.kwargs))
            )
        except ValueError:
            leaves = None
        if leaves is None or any(isinstance(leaves[i], TensorSpec) for i in self.tensors):
            wanted, _ = self.structured_input_signature
            raise TypeError(
                f"{name_of(self._of)}() was traced for {wanted}. Received: {args}, {kwargs}"
            )
        return leaves

    def on(self, tensors: Sequence[Any]) -> Any:
        """Runs the function on tensors, in their order in the arguments."""
        given = [_as_operand(t) for t in tensors]
        _check_all(self.specs, given)
        if any(self._sizes) and _without_elements(self.specs, given):
            return self._variant(None, given).on(given)  # JAX's symbols stand for sizes from 1 on
        if any(self._sizes) and (sizes := _names(self.specs, given)) != self._sizes:
            return self._variant(sizes, given).on(given)
        try:
            with effects.awaited() if self.has_effects else contextlib.nullcontext():
                inputs, function = [*self.variables, *self.captured, *given], self.run
                if self._rows is not None and self._rows.are_recorded(inputs):
                    inputs, function = self._rows.apart(inputs, function.results)
                out = run(function, inputs, own=False)
        except ValueError:
            if not self.symbols[1]:
                raise
            return self._variant(None, given).on(given)  # the sizes violate a constraint
        count = len(out) - len(self.changed)
        lowering.write(self.changed, [t._value for t in out[count:]])
        return jax.tree.unflatten(self.output_structure, self._with_texts(out[:count]))

    def _variant(self, sizes: tuple[Any, ...] | None, given: Sequence[Any]) -> ConcreteFunction:
        """The function traced for other sizes than it was first, such as batches of two lengths,
        with names for those that are unknown, or for the sizes of some tensors."""
        shapes = tuple(tuple(t.shape) for t in given)
        found = self._variants.get(sizes) or self._variants.get(shapes)
        if found is not None:
            return found
        leaves, made = list(self.leaves), None
        if sizes is not None:
            try:
                made = self._again(leaves, sizes)
            except OF_ANY_SIZES:
                raise
            except Exception:  # it can only be traced for these sizes
                sizes = None
        if made is None:
            for place, shape in zip(self.tensors, shapes):
                leaves[place] = TensorSpec(shape, leaves[place].dtype)
            made = self._again(leaves, ())
        self._variants[sizes or shapes] = made
        return made

    def _again(self, leaves: list[Any], sizes: tuple[Any, ...]) -> ConcreteFunction:
        args = (self.function, leaves, self.structure, self._of, sizes, self._counter)
        return ConcreteFunction(*args)

    @property
    def has_effects(self) -> bool:
        """Whether the compiled program has side effects."""
        return bool(self._closed[0].effects)

    @property
    def _results(self) -> int:
        """The number of results of the compiled program, which are all but text."""
        return self.output_structure.num_leaves - len(self._texts)

    def _with_texts(self, results: list[Any]) -> list[Any]:
        if not self._texts:
            return results
        left = iter(results)
        return [
            Tensor(self._texts[i]) if i in self._texts else next(left)
            for i in range(self.output_structure.num_leaves)
        ]


def makes_variables(function: Callable) -> ValueError:
    return ValueError(
        f"{function.__name__}() makes a tf.Variable each time that it is traced. "
        "Make it outside of the function, or in its first call only."
    )


def _check_all(specs: Sequence[TensorSpec], tensors: Sequence[Any]) -> None:
    """Raises InvalidArgumentError for a tensor of another dtype, TypeError for another shape."""
    for number, (spec, tensor) in enumerate(zip(specs, tensors, strict=True)):
        if not spec.is_compatible_with(tensor):
            if dtypes.as_dtype(tensor.dtype) is not spec.dtype:
                raise InvalidArgumentError(
                    f"Argument {number} was expected to be a {spec.dtype.name} tensor but is a "
                    f"{dtypes.as_dtype(tensor.dtype).name} tensor."
                )
            raise TypeError(
                f"This function was traced for {spec}. Received a tensor of shape "
                f"{TensorShape(tensor.shape)}, dtype {dtypes.as_dtype(tensor.dtype).name}."
            )


class NeedsSizes(ValueError):
    """A function cannot be traced without more knowledge of the shapes of its arguments."""


def _names(specs: Sequence[TensorSpec], given: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    """For each tensor, the names of its sizes if some are unknown: the same name for sizes that are
    equal along the same axis."""
    known: dict[int, list[Any]] = {}
    found = []
    for spec, tensor in zip(specs, given):
        if spec.shape is UNKNOWN_SHAPE or None not in spec.shape:
            found.append(())
            continue
        names = []
        for axis, (size, own) in enumerate(zip(spec.shape, tensor.shape)):
            if size is None:
                sizes = known.setdefault(axis, [])
                sizes += [] if own in sizes else [own]
                number = sizes.index(own)
                names.append(f"d{axis}_{number}" if number else f"d{axis}")
            else:
                names.append(str(size))
        found.append(tuple(names))
    return tuple(found)


def _without_elements(specs: Sequence[TensorSpec], given: Sequence[Any]) -> bool:
    """Whether a size that a signature leaves open is 0."""
    return any(
        size is None and own == 0
        for spec, tensor in zip(specs, given)
        if spec.shape is not UNKNOWN_SHAPE
        for size, own in zip(spec.shape, tensor.shape)
    )


def names_of_sizes(specs: Sequence[TensorSpec]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Names of the unknown sizes of tensors: first those for sizes that are equal along the same
    axis, then different ones for all."""
    if any(s.shape is UNKNOWN_SHAPE or s.dtype is dtypes.string for s in specs):
        return
    yield _names(specs, specs)
    if len(specs) > 1:
        yield tuple(
            tuple(f"d{axis}_{i}" if n is None else str(n) for axis, n in enumerate(spec.shape))
            if None in spec.shape
            else ()
            for i, spec in enumerate(specs)
        )


def _struct(spec: TensorSpec, names: Sequence[str], scope: Any) -> jax.ShapeDtypeStruct:
    if spec.dtype is dtypes.string:
        raise NeedsPython("Text cannot enter a traced function: XLA has no strings.")
    shape = spec.shape
    if shape is UNKNOWN_SHAPE:
        raise NeedsSizes("A tensor of unknown rank cannot be traced: XLA needs the rank.")
    if names:
        shape = export.symbolic_shape(",".join(names), scope=scope)
    return jax.ShapeDtypeStruct(tuple(shape), spec.dtype.dtype)


_scope = export.SymbolicScope()


def live_variables() -> list[Any]:
    """All live variables that hold a value."""
    return [v for v in every_variable() if not isinstance(v._spec, jax.core.Tracer)]


def flax_variables() -> list[Any]:
    """All live variables of flax's own classes, in modules that a function calls directly.

    They are found by the referrers of their classes, which takes a pass over all objects.
    """
    kinds: set[type] = set()
    left = [nnx.Variable]
    while left:
        kind = left.pop()
        if kind not in kinds and not issubclass(kind, Variable):
            kinds.add(kind)
            left += type.__subclasses__(kind)
    # gc.get_objects() would keep references to tuples that other threads are still building, which
    # is an error in those threads.
    found = [o for o in gc.get_referrers(*kinds) if type(o) in kinds]
    values = [(v, getattr(v, "_raw_value", None)) for v in found]
    return [v for v, x in values if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)]


def _result(leaf: Any) -> Any:
    if isinstance(leaf, WeakTensor):
        return _Weak(leaf._value)
    if isinstance(leaf, IndexedSlices):
        return leaf
    if isinstance(leaf, Tensor) and not is_traced(leaf) and not is_text(leaf._value):
        leaf = run(_identity, (leaf,))  # so that a tensor that is only returned is captured
    return unbox(leaf)


class _Weak:
    """The place of a weak tensor among the results of a trace."""

    def __init__(self, value: Any):
        self.value = value


jax.tree_util.register_pytree_node(
    _Weak, lambda x: ((x.value,), None), lambda _, children: weakened(*children)
)


def wrap_values(out: Any) -> Any:
    """The structure with arrays and numbers converted to tensors."""
    if isinstance(out, (IndexedSlices, WeakTensor)):
        return out
    if isinstance(out, TensorShape):
        return convert_to_tensor(out)
    if isinstance(out, (list, tuple, dict)):
        return map_items(wrap_values, out)
    if isinstance(out, range):
        return [convert_to_tensor(number) for number in out]
    if isinstance(out, (int, float, str, bytes, Boxed, nnx.Variable)):
        made = convert_to_tensor(out)
        weak = promotion.hook is not None and isinstance(out, (int, float))
        return weakened(made) if weak and not isinstance(out, bool) else made
    if export.is_symbolic_dim(out):
        return Tensor(jnp.asarray(out).astype(np.int32))
    return wrap(out)
