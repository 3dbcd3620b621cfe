"""`tf.function`: a Python function, traced once a signature and compiled; and control flow.

A trace runs the function on tracers while every variable that is alive holds one too; those that it
read or changed become arguments and results of the compiled program. Python, and with it `print`,
runs while tracing only.
"""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors, nnx
from jax import export

from keraslike.core import context, lowering
from keraslike.core.boxed import Boxed, unbox
from keraslike.core.context import trace_state_clean
from keraslike.core.pickling import find, is_found, picklable
from keraslike.core.structures import map_leaves
from keraslike.core.tracebacks import entry
from keraslike.core.variable import Variable, every_variable, spec_of
from keraslike.data.pipeline import NeedsPython
from keraslike.tf import autograph as rewriting
from keraslike.tf import dtypes, graph
from keraslike.tf.calls import Reader
from keraslike.tf.conversion import _as_operand, convert_to_tensor
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.signatures import (
    MISMATCH,
    TensorSpec,
    call_key,
    common,
    has_unknown,
    is_leaf,
    is_tensor,
)
from keraslike.tf.tensor import WIDE, Tensor, run, wrap

run_eagerly = False  # whether Python runs the functions: `tf.config.run_functions_eagerly`


# A trace ends where a variable is changed that came to be in it: the weights of a layer, then the
# slots of an optimizer, then the state of a metric.
_MOST_TRACES = 8


class ConcreteFunction:
    """A function traced for one signature."""

    def __init__(
        self, function: Callable, leaves: list[Any], structure: Any, of: Callable | None = None
    ):
        self.leaves, self.structure, self._of = leaves, structure, of or function
        self.function = function
        self.tensors = [i for i, leaf in enumerate(leaves) if is_tensor(leaf)]
        self.structured_input_signature = [TensorSpec(leaves[i].shape, leaves[i].dtype)
                                           for i in self.tensors]  # fmt: skip
        self._trace(function)

    # -- seen from outside --------------------------------------------------------------------

    @property
    def name(self) -> str:
        return f"__inference_{self._of.__name__}_{id(self) % 10**6}"

    @property
    def graph(self) -> graph.Graph:
        """The operations, under TensorFlow's names."""
        return self._seen[0]

    @property
    def inputs(self) -> list[graph.SymbolicTensor]:
        """The placeholders of its arguments and of the variables that it uses."""
        return self._seen[1]

    @property
    def outputs(self) -> list[graph.SymbolicTensor]:
        return self._seen[2]

    @property
    def structured_outputs(self) -> Any:
        """The shapes and dtypes of the results, in their structure."""
        shapes = self.output_shapes[: self.output_structure.num_leaves]
        specs = [TensorSpec(s.shape, s.dtype) for s in shapes]
        return jax.tree.unflatten(self.output_structure, specs)

    @property
    def function_def(self) -> graph.FunctionDef:
        """Its signature and operations."""
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
        for i, variable in zip(used, variables, strict=True):
            stem = str(variable.name or "variable").partition(":")[0].lower()
            name = ours.get(id(variable), f"{stem}_resource")
            value = variable._raw_value
            inputs[i] = (name, True, (value.shape, value.dtype))
        for i, spec in zip(reversed(range(len(inputs))), reversed(self.structured_input_signature)):
            name = names[self.tensors[i - len(inputs)]]
            inputs[i] = (name, False, (spec.shape, spec.dtype))
        return graph.of_jaxpr(closed, inputs, self.output_structure.num_leaves)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(graph.argument_names(self._of, self.structure)))
        return f"<ConcreteFunction {self._of.__name__}({names}) at 0x{id(self):X}>"

    # -- traced and called ----------------------------------------------------------------------

    def _trace(self, function: Callable) -> None:
        traced, of_flax = 0, []
        for left in reversed(range(_MOST_TRACES)):
            variables = [*live_variables(), *of_flax]
            known = {id(v) for v in variables}
            try:
                self._trace_with(function, variables)
            except errors.TraceContextError:
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
            if traced == 2 or all(id(v) in known for v in live_variables()):
                return
            # Once more, with the variables that the function itself has made.

    def _constants(self) -> set[int]:
        """The ids of the arrays that the trace took for constants."""
        taken = {id(t._value) for t in self.captured}
        return {id(c) for c in self._closed[0].consts if isinstance(c, jax.Array)} - taken

    def _trace_with(self, function: Callable, variables: list[Any]) -> None:
        specs = self.structured_input_signature
        wide = any(s.dtype.size >= 8 and s.dtype is not dtypes.string for s in specs)
        wide = wide or bool(jax.config.read("jax_enable_x64"))
        changed: list[int] = []
        found: list[Any] = []
        reader = Reader()
        names = graph.argument_names(self._of, self.structure)

        def pure(state: Sequence[Any], tensors: Sequence[Any]) -> Any:
            filled = list(self.leaves)
            for i, tensor in zip(self.tensors, tensors):
                filled[i] = Tensor(tensor)
                filled[i]._label = names[i]
            args, kwargs = jax.tree.unflatten(self.structure, filled)
            with (
                WIDE(wide),
                lowering.holding(variables, state),
                context.using(tapes=(reader,)),
            ):
                out = unbox(wrap_values(function(*args, **kwargs)))
                new = lowering.values_of(variables)
            changed[:] = [i for i, (a, b) in enumerate(zip(state, new)) if a is not b]
            flat, tree = jax.tree.flatten(out)
            if any(isinstance(x, rewriting.Unsized) for x in flat):
                raise NeedsPython("A range of unknown size cannot leave a traced function.")
            if any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in flat):
                raise NeedsPython("Text cannot leave a traced function: XLA has no strings.")
            found[:] = [tree, map_leaves(lambda _: None, out)]
            return [*flat, *[new[i] for i in changed]]

        state = [jax.ShapeDtypeStruct(s.shape, s.dtype) for s in map(spec_of, variables)]
        shapes = [_struct(s, i) for i, s in enumerate(specs)]
        with WIDE(True):
            closed = jax.make_jaxpr(pure)(state, shapes)
        jaxpr = closed.jaxpr
        read = {id(v) for eqn in jaxpr.eqns for v in eqn.invars}
        read |= {id(v) for v in jaxpr.outvars}
        n = len(variables)
        used = [i for i in range(n) if id(jaxpr.invars[i]) in read]
        # Tensors from outside are arguments as well: a tape may follow them.
        places = [i for i, c in enumerate(closed.consts) if id(c) in reader.tensors]
        self.captured = [reader.tensors[id(closed.consts[i])] for i in places]

        def on_values(*values: Any) -> list[Any]:
            ours, captured = values[: len(used)], values[len(used) : len(used) + len(places)]
            state, consts = dict(zip(used, ours)), list(closed.consts)
            for i, value in zip(places, captured):
                consts[i] = value
            full = [state.get(i) for i in range(n)]
            return jax.core.eval_jaxpr(jaxpr, consts, *full, *values[len(used) + len(places) :])

        if any(None in s.shape for s in specs):
            with WIDE(True):
                held = [jax.ShapeDtypeStruct(t._value.shape, t._value.dtype) for t in self.captured]
                exported = export.export(jax.jit(on_values))(
                    *[state[i] for i in used], *held, *shapes
                )
            self.run = _Call(exported.call)
        else:
            self.run = _Call(on_values)
        self.output_structure, self._order = found
        self.output_shapes = closed.out_avals  # what changed comes last
        self.variables = [variables[i] for i in used]
        self._closed = closed, self.variables, used
        self.changed = [variables[i] for i in changed]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = jax.tree.leaves((args, kwargs), is_leaf=is_leaf)
        if len(leaves) == len(self.leaves):
            leaves = [leaves[i] for i in self.tensors]
        return self.on(leaves)

    def on(self, tensors: Sequence[Any]) -> Any:
        """Runs on tensors, in the order in which they stand in the arguments."""
        given = [_as_operand(t) for t in tensors]
        _check_all(self.structured_input_signature, given)
        out = run(self.run, [*self.variables, *self.captured, *given])
        count = len(out) - len(self.changed)
        lowering.write(self.changed, [t._value for t in out[count:]])
        # The tensors themselves, since tapes know them: no pytree functions.
        return _in_order(_unflatten(self.output_structure, out[:count]), self._order)


class BySize(ConcreteFunction):
    """A function of a signature with unknown sizes that asks for more than a trace can tell of
    them: it is traced anew for the sizes that it is called with.

    What a trace would show, the graph or the outputs, raises the error of the trace.
    """

    def __init__(self, function: Function, leaves: list[Any], structure: Any, error: Exception):
        self._by, self._error = function, error
        super().__init__(function._counted, leaves, structure, function.python_function)

    def _trace(self, function: Callable) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        error = vars(self).get("_error")
        if error is None or name.startswith("__"):
            raise AttributeError(name)
        raise error

    def on(self, tensors: Sequence[Any]) -> Any:
        given = [_as_operand(t) for t in tensors]
        _check_all(self.structured_input_signature, given)
        leaves = list(self.leaves)
        for place, tensor in zip(self.tensors, given, strict=True):
            leaves[place] = tensor
        found = self._by._traced.get(call_key(self.structure, leaves))
        if found is None:
            found = self._by._trace(leaves, leaves, self.structure)
        return found.on(given)


def _check_all(specs: Sequence[TensorSpec], tensors: Sequence[Any]) -> None:
    """Raises TypeError for a tensor that is not of its spec."""
    for spec, tensor in zip(specs, tensors, strict=True):
        if not spec.is_compatible_with(tensor):
            raise TypeError(
                f"This function was traced for {spec}. Received a tensor of shape "
                f"{TensorShape(tensor.shape)}, dtype {dtypes.as_dtype(tensor.dtype).name}."
            )


class _Call:
    """A compiled function on flat values; long-lived, so that tapes compile its gradient once."""

    def __init__(self, function: Callable):
        self._function = function
        self.programs: dict[Any, Any] = {}  # of tapes
        self._compiled = jax.jit(function)

    def __call__(self, *values: Any) -> Any:
        with WIDE(True):
            return self._compiled(*values)


def _in_order(tree: Any, order: Any) -> Any:
    """With the keys of dicts as they stand in `order`: JAX sorts them."""
    if isinstance(order, dict):
        return {key: _in_order(tree[key], inner) for key, inner in order.items()}
    if isinstance(order, (list, tuple)):
        items = map(_in_order, tree, order)
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def _unflatten(structure: Any, tensors: list[Tensor]) -> Any:
    return jax.tree.unflatten(structure, tensors)


def _struct(spec: TensorSpec, number: int) -> jax.ShapeDtypeStruct:
    if spec.dtype is dtypes.string:
        raise NeedsPython("Text cannot enter a traced function: XLA has no strings.")
    shape = spec.shape
    if not spec.shape.is_fully_defined():
        names = ",".join(f"d{axis}" if s is None else str(s) for axis, s in enumerate(spec.shape))
        shape = export.symbolic_shape(names, scope=_scope)
    return jax.ShapeDtypeStruct(tuple(shape), spec.dtype.dtype)


# Two tensors of unknown size along an axis are taken to have one size there: a batch.
_scope = export.SymbolicScope()


def live_variables() -> list[Any]:
    """Every variable that is alive and holds a value."""
    return [v for v in every_variable() if not isinstance(v._spec, jax.core.Tracer)]


def flax_variables() -> list[Any]:
    """The variables of flax's own that are alive: of modules which a function calls as they are.

    Only who refers to their classes tells, which takes a pass over all objects of the process.
    """
    kinds: set[type] = set()
    left = [nnx.Variable]
    while left:
        kind = left.pop()
        if kind not in kinds and not issubclass(kind, Variable):
            kinds.add(kind)
            left += type.__subclasses__(kind)
    # A list of all objects would hold, among them, the tuples that other threads are just building,
    # which Python then refuses to finish.
    found = [o for o in gc.get_referrers(*kinds) if type(o) in kinds]
    values = [(v, getattr(v, "_raw_value", None)) for v in found]
    return [v for v, x in values if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)]


class Function:
    """What `tf.function` makes of a Python function."""

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
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._traced: dict[Any, ConcreteFunction] = {}
        self._count = 0
        self._in_python = False  # what it does is nothing that can be compiled
        self._needs_sizes = False  # for a trace: with unknown ones it failed

    def experimental_get_tracing_count(self) -> int:
        """How often the function was traced."""
        return self._count

    def pretty_printed_concrete_signatures(self) -> str:
        """The signatures it was traced for."""
        return "\n".join(str(c.structured_input_signature) for c in self._traced.values())

    @entry
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not trace_state_clean():  # a part of what is being traced
            args, kwargs = wrap((args, kwargs))
            return wrap_values(self._staged(*args, **kwargs))
        if not (self._in_python or run_eagerly):
            try:
                concrete, leaves = self._find(args, kwargs)
            # It is given text, takes elements of a data set, or makes arrays whose sizes its values
            # say.
            except NeedsPython:
                self._in_python = True
        if self._in_python or run_eagerly:
            if self.input_signature is not None:
                args = self._fitted(args)
            args, kwargs = wrap((args, kwargs))
            return wrap_values(self.python_function(*args, **kwargs))
        return concrete.on([leaves[i] for i in concrete.tensors])

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The function traced for these tensors, `TensorSpec`s and Python values."""
        if not args and not kwargs and self.input_signature is not None:
            args = self.input_signature
        return self._find(args, kwargs)[0]

    def _find(self, args: tuple, kwargs: dict[str, Any]) -> tuple[ConcreteFunction, list[Any]]:
        if self.input_signature is not None:
            args = self._fitted(args)
        leaves, structure = jax.tree.flatten((args, kwargs), is_leaf=is_leaf)
        specs = list(leaves)
        if self.input_signature is not None:
            flat = jax.tree.leaves(self.input_signature, is_leaf=is_leaf)
            specs = [*specs[: len(specs) - len(flat)], *flat]
        found = self._traced.get(call_key(structure, specs))
        if found is None:
            found = self._traced.get(call_key(structure, leaves))
        if found is None and self.reduce_retracing:
            specs = self._generalized(structure, specs)
            found = self._traced.get(call_key(structure, specs))
        return self._trace(specs, leaves, structure) if found is None else found, leaves

    def _trace(self, specs: list[Any], leaves: list[Any], structure: Any) -> ConcreteFunction:
        """Traces the function for these signatures, or for these arguments.

        The second where sizes are unknown and the function asks for more than a trace can tell,
        the number of a loop's steps, say.
        """
        found, unknown = None, has_unknown(specs)
        if not (unknown and self._needs_sizes):
            try:
                found = ConcreteFunction(self._counted, specs, structure, self.python_function)
            except Exception as error:
                if not unknown:
                    raise
                if has_unknown(leaves):  # it is traced for the sizes that it is called with
                    return BySize(self, specs, structure, error)
        if found is None:
            specs, found = (
                leaves,
                ConcreteFunction(self._counted, leaves, structure, self.python_function),
            )
            self._needs_sizes = True
        self._traced[call_key(structure, specs)] = found
        return found

    def _generalized(self, structure: Any, specs: list[Any]) -> list[Any]:
        """Signatures that fit these arguments and those of an earlier trace, `None` where sizes
        differ; the arguments where there was none of such ranks and dtypes."""
        for known in reversed(self._traced.values()):
            if known.structure == structure:
                both = [common(*pair) for pair in zip(specs, known.leaves, strict=True)]
                if all(b is not MISMATCH for b in both):
                    return both
        return specs

    def _counted(self, *args: Any, **kwargs: Any) -> Any:
        self._count += 1
        return self._staged(*args, **kwargs)

    @functools.cached_property
    def _staged(self) -> Callable:
        """The function as it is traced."""
        function = self.python_function
        return rewriting.converted(function) if self.autograph else function

    def _fitted(self, args: tuple) -> tuple:
        """The arguments as tensors that fit the signature; TypeError where one does not."""
        signature = self.input_signature or ()
        ours = len(args) - len(signature)  # `self` comes before
        if ours not in (0, 1):
            raise TypeError(
                f"{self.python_function.__name__}() takes {len(signature)} arguments, by its "
                f"input_signature. Received: {len(args)}."
            )

        def fit(spec: Any, given: Any) -> Any:
            if not isinstance(spec, TensorSpec):
                return type(spec)(fit(s, g) for s, g in zip(spec, given, strict=True))
            if isinstance(given, TensorSpec):
                return given
            tensor = convert_to_tensor(given, dtype_hint=spec.dtype)
            if not spec.is_compatible_with(tensor):
                raise TypeError(
                    f"{self.python_function.__name__}() was given a tensor of shape "
                    f"{tensor.shape}, dtype {tensor.dtype.name}, which does not fit {spec}."
                )
            return tensor

        return (*args[:ours], *map(fit, signature, args[ours:]))

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


class _Method:
    """A `Function` bound to an object."""

    def __init__(self, function: Function, instance: Any):
        self._function, self.__self__ = function, instance

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function.python_function.__get__(self.__self__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(self.__self__, *args, **kwargs)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        signature = self._function.input_signature
        args = signature if not args and signature is not None else args
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
    """Compiles a function: it is traced once for each shape and dtype of its tensors, and for each
    value of its other arguments.

    Args:
        input_signature: a `TensorSpec` for each argument, which are all that it is then traced for;
            sizes may be `None`. A function that cannot be traced without a size is traced for each.
        autograph: whether Python's `if`, `while`, `for`, `and`, `or` and `not` on tensors are
            compiled (`keraslike.tf.autograph`); that needs the function's source.
        reduce_retracing: whether an argument of another shape leads to a trace for any size along
            the axes that differ.

    Raises TypeError for arguments that do not fit `input_signature`; and, where `autograph` is
    False or the function has no source, for Python's `if` and `while` on a tensor.

    >>> from keraslike import tf
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


def wrap_values(out: Any) -> Any:
    """Tensors in place of arrays and numbers, as a traced function gives them."""
    if isinstance(out, (list, tuple)):
        items = [wrap_values(o) for o in out]
        return type(out)(*items) if hasattr(out, "_fields") else type(out)(items)
    if isinstance(out, dict):
        return {k: wrap_values(v) for k, v in out.items()}
    if isinstance(out, (int, float, Boxed, nnx.Variable)):
        return convert_to_tensor(out)
    if export.is_symbolic_dim(out):
        return Tensor(jnp.asarray(out).astype(np.int32))
    return wrap(out)
