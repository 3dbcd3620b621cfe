"""The walk through a program of JAX primitives that becomes a graph of another format's operators.

A format derives a class from `Graph`: a table from primitives to operators, one from primitives to
functions, and how nodes and constants come into its graph. Sizes that are unknown are symbols, and
expressions of them, which become nodes as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from keraslike.export.endpoints import Endpoint, Inconclusive, is_spec

_CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "checkpoint", "remat")
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Pow: "pow"}
_FUNCTIONS = ("max", "min", "mod", "floordiv")


class NoOperator(Exception):
    """A primitive, or a use of one, that has no operator in a format."""


class Graph:
    """A graph that is being made; tensors are names.

    `simple` has the operators of primitives that are one without attributes, `rules` functions
    `(graph, eqn, *inputs)` that give the names of the outputs, one or several.
    """

    format = ""
    simple: dict[str, str]
    rules: dict[str, Callable[..., Any]]

    def __init__(self) -> None:
        self.where = ""  # the layers whose part of the program is being run
        self.symbols: dict[str, str] = {}  # symbols for sizes, as arrays of one element

    def node(self, kind: str, *inputs: str, **options: Any) -> Any:
        """Adds a node, and gives the names of its outputs."""
        raise NotImplementedError

    def constant(self, value: Any, dtype: Any = None) -> str:
        raise NotImplementedError

    def whole(self, kind: str, *inputs: str) -> str:
        """The node of an operation on sizes, one of `_ARITHMETIC`, `_FUNCTIONS` and `"neg"`."""
        raise NotImplementedError

    def integers(self, values: Sequence[int]) -> str:
        """An array of integers of the kind that shapes are."""
        raise NotImplementedError

    def size(self, n: Any) -> str:
        """A size, which may be an expression of symbols, as an array of one element."""
        if isinstance(n, (int, np.integer)):
            return self.integers([int(n)])
        return self._size(ast.parse(str(n).replace("^", "**"), mode="eval").body)

    def _size(self, e: ast.expr) -> str:
        if isinstance(e, ast.Constant) and isinstance(e.value, int):
            return self.integers([e.value])
        if isinstance(e, ast.Name) and e.id in self.symbols:
            return self.symbols[e.id]
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
            return self.whole("neg", self._size(e.operand))
        if isinstance(e, ast.BinOp) and type(e.op) in _ARITHMETIC:
            return self.whole(_ARITHMETIC[type(e.op)], self._size(e.left), self._size(e.right))
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in _FUNCTIONS:
            return self.whole(e.func.id, *map(self._size, e.args))
        raise NoOperator(f"a size of {ast.unparse(e)}")

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[str]) -> list[str]:
        """Adds the nodes of a program, and gives the names of its results.

        Raises ValueError for what has no operator, with the name of the layer that computes it.
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

    def primitive(self, kind: str, eqn: Any, given: Sequence[str]) -> Any:
        """The outputs of one primitive."""
        if kind in self.simple:
            return self.node(self.simple[kind], *given)
        if kind in self.rules:
            return self.rules[kind](self, eqn, *given)
        if kind in _CALLS:
            inner = eqn.params.get("call_jaxpr", eqn.params.get("jaxpr"))
            program, consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            return self.run(program, consts, given)
        if kind == "on_cpu":  # whose other form is that of every platform
            specs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
            plain = jax.make_jaxpr(eqn.params["plain"])(*specs)
            return self.run(plain.jaxpr, plain.consts, given)
        raise NoOperator("it has no counterpart")


def only(endpoints: Sequence[Endpoint], what: str) -> Endpoint:
    """The only endpoint; ValueError where there are several, and as `check_sizes` raises it."""
    if len(endpoints) != 1:
        raise ValueError(
            f"{what} is written with one endpoint. Received: {[e.name for e in endpoints]}"
        )
    check_sizes(endpoints[0], what)
    return endpoints[0]


def check_sizes(endpoint: Endpoint, what: str) -> None:
    """Raises ValueError for an endpoint whose unknown sizes have to be multiples of a number, which
    is checked nowhere in most formats."""
    if endpoint.multiple > 1:
        raise ValueError(
            f"The endpoint '{endpoint.name}' needs sizes that are multiples of "
            f"{endpoint.multiple}, which {what[0].lower()}{what[1:]} cannot say. Give an "
            f"`input_signature` with numbers for them. {endpoint.reason}."
        )


def names_of(tree: Any, default: str) -> list[str]:
    """Names of a structure's leaves: their own, their keys' or numbered ones."""
    names: list[str] = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_spec)[0]:
        name = getattr(leaf, "name", None) if is_spec(leaf) else None
        keys = [str(k.key) for k in path if isinstance(k, jax.tree_util.DictKey)]
        name = name or (keys[-1] if keys else f"{default}_{len(names)}")
        names.append(f"{name}_{len(names)}" if name in names else name)
    return names
