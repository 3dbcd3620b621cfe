"""Translation of a program of JAX primitives to a graph of another format's operators.

A format derives a class from `Graph`, which has a table from primitives to operators, one from
primitives to functions, and methods that add nodes and constants. Unknown sizes are symbols;
expressions of symbols become nodes as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from keraslike.core import dtypes
from keraslike.core.jax_internals import Inconclusive
from keraslike.export.endpoints import Endpoint, is_spec

_CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "checkpoint", "remat")
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Pow: "pow"}
_FUNCTIONS = ("max", "min", "mod", "floordiv")


def is_number(n: Any) -> bool:
    """Whether a size is known, and no expression of symbols."""
    return isinstance(n, (int, np.integer))


class NoOperator(Exception):
    """The format has no operator for a primitive, or for this use of it."""


class Graph:
    """A graph under construction, in which tensors are names.

    `simple` maps primitives to operators without attributes, `rules` to functions
    `(graph, eqn, *inputs)` that return the names of the outputs, as one string or a list.
    """

    format = ""
    simple: dict[str, str]
    rules: dict[str, Callable[..., Any]]

    def __init__(self) -> None:
        self.where = ""  # the name stack of the layer that is being translated
        self.symbols: dict[str, str] = {}  # symbol of a size -> tensor of one element

    @classmethod
    def rule(cls, *names: str) -> Callable:
        """A decorator that registers a function as the rule of primitives."""

        def register(function: Callable) -> Callable:
            cls.rules.update(dict.fromkeys(names, function))
            return function

        return register

    def node(self, kind: str, *inputs: str, **options: Any) -> Any:
        """Adds a node, and returns the names of its outputs."""
        raise NotImplementedError

    def constant(self, value: Any, dtype: Any = None) -> str:
        raise NotImplementedError

    def size_op(self, kind: str, *inputs: str) -> str:
        """Adds an integer operation on sizes, one of `_ARITHMETIC`, `_FUNCTIONS` and `"neg"`."""
        raise NotImplementedError

    def integers(self, values: Sequence[int]) -> str:
        """A constant of the integer dtype that the format uses for shapes."""
        raise NotImplementedError

    def size(self, n: Any) -> str:
        """A size, which may be an expression of symbols, as a tensor of one element."""
        if is_number(n):
            return self.integers([int(n)])
        return self._size(ast.parse(str(n).replace("^", "**"), mode="eval").body)

    def _size(self, e: ast.expr) -> str:
        if isinstance(e, ast.Constant) and isinstance(e.value, int):
            return self.integers([e.value])
        if isinstance(e, ast.Name) and e.id in self.symbols:
            return self.symbols[e.id]
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
            return self.size_op("neg", self._size(e.operand))
        if isinstance(e, ast.BinOp) and type(e.op) in _ARITHMETIC:
            return self.size_op(_ARITHMETIC[type(e.op)], self._size(e.left), self._size(e.right))
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in _FUNCTIONS:
            return self.size_op(e.func.id, *map(self._size, e.args))
        raise NoOperator(f"a size of {ast.unparse(e)}")

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[str]) -> list[str]:
        """Adds the nodes of a program, and returns the names of its results.

        Raises ValueError, with the name of the layer, for a primitive without an operator.
        """
        names: dict[Any, str] = dict(zip(jaxpr.invars, arguments, strict=True))
        names.update((v, self.constant(c)) for v, c in zip(jaxpr.constvars, consts, strict=True))

        def read(v: Any) -> str:
            return self.constant(v.val, v.aval.dtype) if isinstance(v, Literal) else names[v]

        for eqn in jaxpr.eqns:
            kind, outer = eqn.primitive.name, self.where
            self.where = str(eqn.source_info.name_stack) or outer
            given = [read(v) for v in eqn.invars]
            try:
                found = self.primitive(kind, eqn, given)
            except (NoOperator, Inconclusive) as e:
                where = self.where or "the endpoint's function"
                raise ValueError(
                    f"{self.format} cannot express what '{where}' computes: the primitive "
                    f"'{kind}': {e}."
                ) from e
            self.where = outer
            found = [found] if isinstance(found, str) else found
            names.update(zip(eqn.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def unnamed_sizes(self, aval: Any) -> list[tuple[int, str]]:
        """The axes of an input that are symbols without a tensor yet, with the symbols."""
        sizes = [(axis, str(n)) for axis, n in enumerate(aval.shape) if not is_number(n)]
        return [(axis, n) for axis, n in sizes if n.isidentifier() and n not in self.symbols]

    def program(
        self, endpoint: Endpoint, arrays: dict[str, tuple[Any, np.ndarray]]
    ) -> tuple[Any, Any]:
        """The program of an endpoint and the structure of its outputs. Raises ValueError if it
        changes state."""
        program, outputs, changes = endpoint.program([v for v, _ in arrays.values()])
        if changes:
            raise ValueError(
                f"The endpoint '{endpoint.name}' changes state, which a graph of {self.format} "
                "cannot."
            )
        return program, outputs

    def primitive(self, kind: str, eqn: Any, given: Sequence[str]) -> Any:
        """Adds the nodes of one primitive, and returns the names of its outputs."""
        if kind in self.simple:
            return self.node(self.simple[kind], *given)
        if kind in self.rules:
            return self.rules[kind](self, eqn, *given)
        if kind in _CALLS:
            inner = eqn.params.get("call_jaxpr", eqn.params.get("jaxpr"))
            program, consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            return self.run(program, consts, given)
        if kind == "on_cpu":  # the parameter `plain` is the form for all platforms
            specs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
            plain = jax.make_jaxpr(eqn.params["plain"])(*specs)
            return self.run(plain.jaxpr, plain.consts, given)
        raise NoOperator("it has no counterpart")


def fill_value(fill: Any, dtype: Any) -> Any:
    """The value of a gather outside of the array: `fill`, or JAX's default for the dtype."""
    if fill is not None:
        return fill
    if dtypes.is_float(dtype):
        return np.nan
    limits = jnp.iinfo(dtype)
    return limits.min if limits.min < 0 else limits.max


def only(endpoints: Sequence[Endpoint], what: str) -> Endpoint:
    """The only endpoint. Raises ValueError if there are several, or as `check_sizes` does."""
    if len(endpoints) != 1:
        raise ValueError(
            f"{what} is written with one endpoint. Received: {[e.name for e in endpoints]}"
        )
    check_sizes(endpoints[0], what)
    return endpoints[0]


def check_sizes(endpoint: Endpoint, what: str) -> None:
    """Raises ValueError for an endpoint whose unknown sizes must be multiples of a number, which
    most formats cannot check."""
    if endpoint.multiple > 1:
        raise ValueError(
            f"The endpoint '{endpoint.name}' needs sizes that are multiples of "
            f"{endpoint.multiple}, which {what[0].lower()}{what[1:]} cannot say. Give an "
            f"`input_signature` with numbers for them. {endpoint.reason}."
        )


def names_of(tree: Any, default: str) -> list[str]:
    """Distinct names of a structure's leaves: their own, those of their keys, or numbered ones."""
    names: list[str] = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_spec)[0]:
        name = getattr(leaf, "name", None) if is_spec(leaf) else None
        keys = [str(k.key) for k in path if isinstance(k, jax.tree_util.DictKey)]
        name = name or (keys[-1] if keys else f"{default}_{len(names)}")
        names.append(f"{name}_{len(names)}" if name in names else name)
    return names
