"""Every use of flax's internals, under one name each, with the behaviour that is relied on.

`tests/core/test_internals.py` checks each of these, so that a new version of flax shows what it
changed.
"""

from __future__ import annotations

from typing import Any

from flax import nnx
from flax.errors import TraceContextError
from flax.nnx import graphlib, pytreelib, tracers, variablelib

from keraslike.core import jax_internals

# The state of a trace. `TraceState().is_valid()` says whether the trace in which it was made is
# still the current one; outside of any trace, whether there is still none.
TraceState = tracers.TraceState

# The elements that a graph node gives for an attribute with data, and for a static one.
DataElem = graphlib.DataElem
StaticElem = graphlib.StaticElem

# The slots in which an `nnx.Variable` keeps its value and the trace that it was made in. Reading
# and writing slots runs no code of flax's or of a subclass's.
read_value = nnx.Variable._raw_value.__get__  # type: ignore[attr-defined]
write_value = nnx.Variable._raw_value.__set__  # type: ignore[attr-defined]
read_trace = nnx.Variable._trace_state.__get__  # type: ignore[attr-defined]
write_trace = nnx.Variable._trace_state.__set__  # type: ignore[attr-defined]

write_metadata = nnx.Variable._var_metadata.__set__  # type: ignore[attr-defined]

# The prefix of attributes that flax itself keeps on a graph node.
OWN_PREFIX = "_pytree__"


def metadata_of(variable: nnx.Variable) -> dict[str, Any]:
    """The metadata of a Variable: the dict itself, not a copy."""
    return variable._var_metadata


def fill(variable: nnx.Variable, value: Any, **metadata: Any) -> None:
    """A faster `nnx.Variable.__init__` for classes without hooks."""
    defaults = variablelib.var_defaults()
    if defaults.hijax or defaults.ref:
        nnx.Variable.__init__(variable, value, **metadata)
        return
    own = {"hijax": False, "ref": False, "eager_sharding": variablelib.using_eager_sharding()}
    write_trace(variable, TraceState())
    write_metadata(variable, metadata | own)
    write_value(variable, value)


def check_can_update(variable: nnx.Variable, value: Any = None) -> None:
    """Raises TraceContextError for a Variable that the current trace must not change to a value.

    In a derivative or `vmap` a value that does not depend on their arguments is one of the trace
    around them, as the next state of a random stream is. The error has the Variable as its
    attribute `variable`."""
    if value is not None and not read_trace(variable).is_valid():
        trace = jax_internals.current_trace()
        while isinstance(trace, jax_internals.TRANSPARENT) and trace is not getattr(
            value, "_trace", None
        ):
            trace = trace.parent_trace
            with jax_internals.in_trace(trace):
                if read_trace(variable).is_valid():
                    return
    try:
        variable._check_can_update()
    except TraceContextError as error:
        error.variable = variable  # type: ignore[attr-defined]
        raise


def new_node(cls: type) -> Any:
    """A graph node of the class without attributes, as flax makes one before it sets them."""
    return prepared(object.__new__(cls))


def prepared(node: Any) -> Any:
    """The object as a graph node: what flax's metaclass does before `__init__`."""
    vars(node)["_pytree__state"] = pytreelib.PytreeState()
    vars(node)["_pytree__nodes"] = type(node)._pytree__nodes
    return node
