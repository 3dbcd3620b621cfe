"""Functions of small arrays that XLA's CPU backend compiles to one kernel.

XLA compiles each elementwise operation on each array to a separate kernel, and distributes ready
kernels over the threads. For an optimizer's update of a few small weights this takes longer than
the computation: waking up another thread alone takes 30 us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jaxlib.version
from jax.core import eval_jaxpr
from jax.experimental.xla_metadata import set_xla_metadata
from jax.interpreters.partial_eval import dce_jaxpr

from keraslike.core import context

_TRIED = (0, 10)  # The version of jaxlib whose treatment of the attribute is known.
# For larger arrays several threads are faster, and more arrays in one kernel take long to compile.
_MOST_ELEMENTS, _MOST_ARRAYS = 2**17, 128
# The operations that one kernel may consist of: elementwise ones, and reductions.
_NAMES = """
    abs add and broadcast_in_dim clamp convert_element_type copy copy_p div eq exp ge gt integer_pow
    is_finite le log log1p lt max min mul ne neg not or pow reduce_max reduce_min reduce_sum reshape
    rsqrt select_n sign sqrt square squeeze stop_gradient sub
"""
_ELEMENTWISE = frozenset(_NAMES.split())


def run_in_one_kernel(function: Callable, *args: Any) -> Any:
    """`function(*args)`, within a trace; on the CPU in one kernel, if the arrays are small and the
    function is elementwise.

    >>> jax.jit(lambda x: run_in_one_kernel(lambda a: 2 * a + 1, x))(3.0).tolist()
    7.0
    """
    arrays = [leaf for leaf in jax.tree.leaves(args) if hasattr(leaf, "size")]
    if (
        jaxlib.version.__version_info__[:2] != _TRIED
        or jax.default_backend() != "cpu"
        or context.state.distribution is not None
        or context.state.replicas is not None
        or len(arrays) > _MOST_ARRAYS
        or sum(array.size for array in arrays) > _MOST_ELEMENTS
    ):
        return function(*args)
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    # XLA ends the process where a loop calls such a function with an argument that it does not use.
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    if closed.consts or not _is_elementwise(jaxpr):
        return function(*args)
    leaves = [leaf for leaf, is_used in zip(jax.tree.leaves(args), used) if is_used]
    with set_xla_metadata(inlineable="false", xla_cpu_small_call="true"):
        results = jax.jit(lambda *leaves: eval_jaxpr(jaxpr, (), *leaves))(*leaves)
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def _is_elementwise(jaxpr: Any) -> bool:
    results = {id(v) for equation in jaxpr.eqns for v in equation.outvars}
    if not all(id(v) in results for v in jaxpr.outvars):
        return False
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("jit", "pjit"):
            if not _is_elementwise(equation.params["jaxpr"].jaxpr):
                return False
        elif equation.primitive.name not in _ELEMENTWISE:
            return False
    return True
