"""Functions of small arrays that XLA's CPU backend compiles to one kernel.

XLA makes a kernel of each elementwise operation on each array, and distributes kernels that are
ready to run over the threads. For an optimizer's update of a few small weights this takes longer
than the numbers: waking up another thread alone takes 30 us.

XLA has an attribute for calls that are to become one kernel, which it sets itself for small loops.
It ends the process where such a function has an argument that nothing depends on, as functions of
frozen weights have, and derivatives. So this is a primitive, which is lowered on the CPU to such a
call of the arguments that are read. Its derivatives and its batched form are those of the plain
function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jaxlib.version
from jax.core import eval_jaxpr
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
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
        or context.state.distribution is not None
        or context.state.replicas is not None
        or len(arrays) > _MOST_ARRAYS
        or sum(array.size for array in arrays) > _MOST_ELEMENTS
    ):
        return function(*args)
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    if closed.consts or not _is_elementwise(jaxpr):
        return function(*args)
    leaves = [leaf for leaf, is_used in zip(jax.tree.leaves(args), used) if is_used]
    results = _one_kernel.bind(*leaves, jaxpr=closed.replace(jaxpr=jaxpr))
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


_one_kernel = Primitive("one_kernel")
_one_kernel.multiple_results = True


@_one_kernel.def_impl
def _plain(*args: Any, jaxpr: Any) -> list[Any]:
    return eval_jaxpr(jaxpr.jaxpr, (), *args)


@_one_kernel.def_abstract_eval
def _(*args: Any, jaxpr: Any) -> list[Any]:
    return jaxpr.out_avals


def _called(*args: Any, jaxpr: Any) -> list[Any]:
    with set_xla_metadata(inlineable="false", xla_cpu_small_call="true"):
        return jax.jit(functools.partial(_plain, jaxpr=jaxpr))(*args)


mlir.register_lowering(_one_kernel, mlir.lower_fun(_plain, True))
mlir.register_lowering(_one_kernel, mlir.lower_fun(_called, True), platform="cpu")


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Any) -> tuple[Any, Any]:
    tangents = [ad.instantiate_zeros(t) for t in tangents]
    return jax.jvp(functools.partial(_plain, jaxpr=jaxpr), list(primals), tangents)


def _batch(args: Sequence[Any], axes: Sequence[Any], *, jaxpr: Any) -> tuple[Any, list[int]]:
    out = jax.vmap(functools.partial(_plain, jaxpr=jaxpr), axes)(*args)
    return out, [0] * len(out)


ad.primitive_jvps[_one_kernel] = _jvp
batching.primitive_batchers[_one_kernel] = _batch

# The rule with which `export` lowers the primitive on all platforms.
PORTABLE = ((_one_kernel, mlir.lower_fun(_plain, True)),)
