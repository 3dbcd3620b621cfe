"""Functions of small arrays that XLA's CPU backend compiles to one kernel.

XLA compiles each elementwise operation on each array to a separate kernel, and distributes ready
kernels over the threads. For an optimizer's update of a few small weights this takes longer than
the computation: waking up another thread alone takes 30 us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import jaxpr_as_fun

from keraslike.core import context

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
        jax.default_backend() != "cpu"
        or context.state.distribution is not None
        or context.state.replicas is not None
        or len(arrays) > _MOST_ARRAYS
        or sum(array.size for array in arrays) > _MOST_ELEMENTS
    ):
        return function(*args)
    jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    if not _is_elementwise(jaxpr.jaxpr):
        return function(*args)
    with set_xla_metadata(inlineable="false", xla_cpu_small_call="true"):
        results = jax.jit(jaxpr_as_fun(jaxpr))(*jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def _is_elementwise(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("jit", "pjit"):
            if not _is_elementwise(equation.params["jaxpr"].jaxpr):
                return False
        elif equation.primitive.name not in _ELEMENTWISE:
            return False
    return True
