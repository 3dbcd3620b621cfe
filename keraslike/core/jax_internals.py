"""Every use of jax's internals, under one name each, with the behaviour that is relied on.

`tests/core/test_internals.py` checks each of these, so that a new version of jax shows what it
changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from jax import export
from jax._src import (
    ad_checkpoint,
    array,
    compiler,
    config,
    core,
    distributed,
    sharding_impls,
    xla_bridge,
)
from jax._src.export import _export as export_internals
from jax._src.export import shape_poly, shape_poly_decision
from jax._src.interpreters import ad, batching, pxla
from jax._src.interpreters import mlir as mlir_internals
from jax._src.lax import convolution
from jax._src.lax.control_flow import loops
from jax._src.lib import _jax, xla_client
from jax._src.lib.mlir import ir
from jax.experimental.compilation_cache import compilation_cache
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend import core as jex
from jax.extend import random
from jax.interpreters import mlir
from jax.interpreters.partial_eval import dce_jaxpr
from jaxlib import utils

# Whether jax has initialized its devices; environment variables have no effect afterwards.
backends_are_initialized = xla_bridge.backends_are_initialized

# Raised for a question about unknown sizes whose answer is not the same for all sizes.
Inconclusive: Any = getattr(jax.errors, "InconclusiveDimensionOperation", None)
if Inconclusive is None:  # jax before 0.11
    Inconclusive = jax.core.InconclusiveDimensionOperation
# Raised where a symbol for a size is in the shapes of no arguments, such as outside of the trace.
UnexpectedSize = shape_poly.UnexpectedDimVar

# The class of concrete arrays, which does not include tracers. Its instances can have attributes.
Computed = array.ArrayImpl

# The current trace of this thread, and its value outside of any trace.
current_trace = core.unsafe_get_current_trace
OUTERMOST = core.eval_trace

# The traces of derivatives and `vmap`: what does not depend on their arguments is computed in the
# trace around them, `parent_trace`. `with in_trace(t):` that one is current.
TRANSPARENT = (ad.JVPTrace, ad.LinearizeTrace, batching.BatchTrace)
in_trace = core.set_current_trace

# `with outside_of_traces():` operations run eagerly, even while a function is traced.
outside_of_traces = core.eval_context

# `with tracebacks("off"):` errors of this thread keep all their frames. Removing them takes jax
# longer than a trace, so code that expects errors switches that off.
tracebacks = config.traceback_filtering

# Makes jax read the settings of its cache on disk again, which it otherwise reads once.
reread_cache_setting = compilation_cache.reset_cache


# Dtypes that jax keeps whether or not 64-bit numbers are enabled.
_KEPT = {np.dtype(name) for name in ("float32", "int32", "uint32", "bool", "float16", "uint8")}
# Dtypes that are kept where 64-bit numbers are enabled.
_WIDE = {np.dtype(name) for name in ("float64", "int64", "uint64")}


def known_value(tracer: Any) -> Any:
    """The array that a tracer stands for, if JAX computes values while it traces, as it does to
    differentiate; otherwise the tracer."""
    value = core.to_concrete_value(tracer)
    return tracer if value is None else value


def enabled_64_bits_in_block() -> bool:
    """Whether JAX's 64-bit dtypes are enabled by a `with` statement, not for the whole program."""
    return config.enable_x64.value and not config.enable_x64.get_global()


def put(value: Any) -> Any:
    """`jax.device_put(value)`, but six times as fast for a small numpy array."""
    if type(value) is not np.ndarray or not (
        value.dtype in _KEPT or (value.dtype in _WIDE and config.enable_x64.value)
    ):
        return jax.device_put(value)
    device = pxla.get_default_device()
    with config.explicit_device_put_scope():
        aval, sharding = _place(value.shape, value.dtype, device)
        return xla_client.batched_device_put(aval, sharding, [value], [device], False)


@functools.lru_cache(maxsize=1024)
def _place(shape: tuple[int, ...], dtype: np.dtype, device: Any) -> tuple[Any, Any]:
    aval = core.ShapedArray(shape, dtype)
    return aval, sharding_impls.make_single_device_sharding(device)


def compile_trace(traced: Any) -> Any:
    """Compiles a trace of a function of `jax.jit`, and returns the compiled function.

    The next call of that function with such arguments neither traces nor compiles.
    """
    lowered = traced.lower()
    if jax.default_backend() != "cpu":
        return lowered.compile()
    # XLA warns of each array that is larger than the blocks that `compiler_options` asks for.
    utils.absl_set_min_log_level(_LOG_LEVELS["ERROR"])
    try:
        return lowered.compile()
    finally:
        utils.absl_set_min_log_level(_log_level())


_LOG_LEVELS = {
    "DEBUG": 0,
    "INFO": 0,
    "WARNING": 1,
    "WARN": 1,
    "ERROR": 2,
    "FATAL": 3,
    "CRITICAL": 3,
}


def _log_level() -> int:
    """The least level of XLA's messages that jax shows."""
    name = jax.config.jax_logging_level  # type: ignore[attr-defined]
    if name in _LOG_LEVELS:
        return _LOG_LEVELS[name]
    given = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "")
    return int(given) if given.isdigit() else _LOG_LEVELS["WARNING"]


_compile = compiler.backend_compile_and_load


def _compile_in_thread(*args: Any, **kwargs: Any) -> Any:
    """XLA's compiler, never in the main thread.

    While that compiles, jaxlib lets handlers of signals raise (Ctrl-C, a time limit). It then frees
    the module, which the compiler goes on reading: memory is corrupted. Python runs handlers in the
    main thread only, which here waits for a thread that owns the module until it is compiled.
    """
    if threading.current_thread() is not threading.main_thread():
        return _compile(*args, **kwargs)
    compiled: Future = Future()

    def run() -> None:
        try:
            compiled.set_result(_compile(*args, **kwargs))
        except BaseException as error:
            compiled.set_exception(error)

    threading.Thread(target=run, name="keraslike-compile").start()
    return compiled.result()


compiler.backend_compile_and_load = _compile_in_thread

_ensure_no_leaks = core.ensure_no_leaks


@contextlib.contextmanager
def _ended(trace: Any) -> Iterator[None]:
    """The context of a trace, which ends the trace if an exception leaves it, too.

    JAX ends only the traces of functions that return. The others keep the arrays that they captured
    until the process ends, and the first trace of a step that creates state does not return.
    """
    try:
        with _ensure_no_leaks(trace):
            yield
    except BaseException:
        trace.invalidate()
        raise


core.ensure_no_leaks = _ended


def keep_nothing(*_: Any, **__: Any) -> bool:
    """The policy of a `jax.checkpoint` that keeps no intermediate values, on the CPU either.

    XLA's CPU backend removes JAX's barriers before it eliminates common subexpressions, so that
    nothing would be recomputed there. It does not look into a function that must not be inlined:
    with this policy the inputs of the recomputation are the outputs of such a function.
    """
    return False


def _lower_checkpoint(ctx: Any, *args: Any, **params: Any) -> Any:
    if params["policy"] is not keep_nothing or not params["differentiated"]:
        return _rule(ctx, *args, **params)

    def again(*args: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            args = jax.jit(lambda *args: args)(*args)
        return jax.core.eval_jaxpr(params["jaxpr"], (), *args)

    return mlir.lower_fun(again, multiple_results=True)(ctx, *args)


_general = mlir_internals._lowerings[ad_checkpoint.remat_p]
_rule: Any = getattr(_general, "rule", _general)
mlir.register_lowering(ad_checkpoint.remat_p, _lower_checkpoint, platform="cpu")


def _hoist(jaxpr: Any, consts: Sequence[Any], residuals: int) -> tuple:
    """Takes the residuals that are the same in each step out of a scan that is differentiated.

    JAX rewrites the program of the scan for that, and replaces calls of `jax.custom_jvp` functions
    by their computations: second derivatives would not be those of their rules. Here the program
    is kept, without the outputs that were taken out.
    """
    if not has_operation(jaxpr.jaxpr, "custom_jvp_call"):
        return _hoisting(jaxpr, consts, residuals)
    if jaxpr.effects:
        return jaxpr, consts, [False] * residuals, []
    _, _, hoisted, values = _hoisting(jaxpr, consts, residuals)
    kept = [True] * (len(jaxpr.out_avals) - residuals) + [not h for h in hoisted]
    program, _ = dce_jaxpr(jaxpr.jaxpr, kept, instantiate=True)
    return jaxpr.replace(jaxpr=program), consts, hoisted, values


_hoisting, loops._scan_known_hoisting = loops._scan_known_hoisting, _hoist


# -- export -----------------------------------------------------------------------------------


def export_with(
    function: Any, rules: Sequence[tuple[Any, Any]], platforms: Sequence[str], *args: Any
) -> export.Exported:
    """Exports a function of `jax.jit` for several platforms; the primitives in the pairs
    `(primitive, rule)` are lowered by these rules on all of them. Prints and checks of values,
    which call Python, are left out."""
    rules = (*rules, *_SAME)
    traced = function.trace(*args)
    if traced.jaxpr.effects:
        closed, structure = traced.jaxpr, jax.tree.structure(traced.out_info)
        program = without_callbacks(closed.jaxpr)

        def without(*args: Any) -> Any:
            found = jax.core.eval_jaxpr(program, closed.consts, *jax.tree.leaves(args))
            return jax.tree.unflatten(structure, found)

        function = jax.jit(without)
    exporter = export.export(function, platforms=platforms, _override_lowering_rules=rules)
    # A file should not contain paths of the machine that wrote it.
    with config.traceback_in_locations_limit(0):
        return exporter(*args)


def without_callbacks(jaxpr: Any) -> Any:
    """The program without its debug callbacks, such as prints and checks of values."""
    if not jaxpr.effects:
        return jaxpr
    eqns = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "debug_callback":
            continue
        params = {name: _parts_without(value) for name, value in eqn.params.items()}
        eqns.append(eqn.replace(params=params, effects=frozenset()))
    return jaxpr.replace(eqns=eqns, effects=frozenset())


def has_operation(jaxpr: Any, name: str) -> bool:
    """Whether a program, or one that it calls, has an operation of this name."""
    if any(eqn.primitive.name == name for eqn in jaxpr.eqns):
        return True
    return any(has_operation(inner, name) for inner in jex.subjaxprs(jaxpr))


def _parts_without(value: Any) -> Any:
    if isinstance(value, jex.ClosedJaxpr):
        return value.replace(jaxpr=without_callbacks(value.jaxpr))
    if isinstance(value, jex.Jaxpr):
        return without_callbacks(value)
    return type(value)(map(_parts_without, value)) if type(value) in (list, tuple) else value


def _rule_of(primitive: Any, rules: Any = mlir_internals._lowerings) -> Any:
    return getattr(rules[primitive], "rule", rules[primitive])


# Primitives for which jax has several equivalent lowering rules. A program for several platforms
# would choose among them in a conditional, which XLA executes slowly.
_ON_CPU = mlir_internals._platform_specific_lowerings["cpu"]
_SAME = (
    (ad_checkpoint.remat_p, _rule),
    (convolution.conv_general_dilated_p, _rule_of(convolution.conv_general_dilated_p, _ON_CPU)),
    (jax.lax.dot_general_p, _rule_of(jax.lax.dot_general_p)),
    (random.threefry2x32_p, _rule_of(random.threefry2x32_p)),
)


# -- unknown sizes ------------------------------------------------------------------------------

# Bounding a size takes jax a time that is exponential in the number of maxima and minima
# within each other: 6 s for the fourth convolution with strides and padding "valid", whose
# size is max((n - 3) // 2 + 1, 0) of the size before. From this number on, the bounds of the
# operands are enough.
_MOST_NESTED = 2


def _bounds(size: Any, precision: Any) -> tuple[float, float]:
    """The least and the largest value that a size may have, at most as tight as they are."""
    if not isinstance(size, shape_poly._DimExpr) or _nested(size) < _MOST_NESTED:
        return shape_poly_decision.bounds_decision(size, precision)
    return _bounds_of_terms(size)


@functools.lru_cache(maxsize=4096)
def _nested(size: Any) -> int:
    """How many maxima and minima of a size are within each other."""
    factors = [factor for term, _ in size._sorted_terms for factor, _ in term._factors]
    return max(
        (
            (f.operation in ("max", "min")) + max(map(_nested, f.operands), default=0)
            for f in factors
        ),
        default=0,
    )


@functools.lru_cache(maxsize=4096)
def _bounds_of_terms(size: Any) -> tuple[float, float]:
    least = most = 0.0
    for term, count in size._sorted_terms:
        ends = [float(count)]
        for factor, exponent in term._factors:
            for _ in range(exponent):
                # 0 times infinity is 0, since each size is finite.
                ends = [a * b if a and b else 0.0 for a in ends for b in _bounds_of(factor, size)]
        least, most = least + min(ends), most + max(ends)
    return least, most


def _bounds_of(factor: Any, size: Any) -> tuple[float, float]:
    best = shape_poly.BoundsPrecision.BEST
    if not factor.operands:
        return _bounds(shape_poly._DimExpr._from_var(factor.var, size.scope), best)
    (a, b), (c, d) = (_bounds(operand, best) for operand in factor.operands)
    if factor.operation == "max":
        return max(a, c), max(b, d)
    if factor.operation == "min":
        return min(a, c), min(b, d)
    if c <= 0:
        return -math.inf, math.inf
    if factor.operation == "mod":
        return 0, d - 1
    ends = [x if math.isinf(x) else x // y for x in (a, b) for y in (c, d)]
    return min(ends), max(ends)


shape_poly._bounds_decision = _bounds


# What a program from a file must not do: call Python in this process, or communicate with other
# devices.
_FORBIDDEN = ("infeed", "outfeed", "send", "recv")


def check_harmless(exported: export.Exported) -> None:
    """Raises ValueError for a program that does more than compute, or that cannot be parsed."""
    if exported.disabled_safety_checks:
        raise ValueError("it was exported with safety checks disabled")
    known = export_internals._CUSTOM_CALL_TARGETS_GUARANTEED_STABLE - {"tf.call_tf_function"}

    def check(op: Any) -> None:
        name = op.name.removeprefix("stablehlo.")
        if name == "custom_call":
            target = op.attributes["call_target_name"].value
            if target not in known:
                raise ValueError(f"it calls {target!r}, which is not a computation of JAX")
        elif name in _FORBIDDEN:
            raise ValueError(f"it has the operation {name!r}")
        for region in op.regions:
            for block in region:
                for inner in block:
                    check(inner.operation)

    with mlir.make_ir_context():
        check(ir.Module.parse(exported.mlir_module()).operation)


class SharedStore:
    """A key-value store of texts that all processes of a program share."""

    def __init__(self, client: Any):
        self._client = client

    def put(self, key: str, text: str) -> None:
        """Stores a new key."""
        self._client.key_value_set(key, text)

    def replace(self, key: str, text: str) -> None:
        """Stores a key that may exist."""
        self._client.key_value_set(key, text, allow_overwrite=True)

    def remove(self, key: str) -> None:
        """Deletes a key."""
        self._client.key_value_delete(key)

    def below(self, start: str) -> dict[str, str]:
        """The texts of all keys that start with `start`, which ends with a slash, by the rest of
        the key."""
        found = self._client.key_value_dir_get(start)
        return {key.removeprefix(start): text for key, text in found}

    def wait(self, key: str, seconds: float) -> str | None:
        """The text of a key, as soon as it exists; `None` after this many seconds.

        An exception that another thread raises in this one arrives within a second.
        """
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            try:
                return self._client.blocking_key_value_get(
                    key, int(1000 * max(0.001, min(1, left)))
                )
            except jax.errors.JaxRuntimeError as e:
                if "DEADLINE_EXCEEDED" not in str(e):
                    raise
                if left <= 1:
                    return None


def shared_store() -> SharedStore | None:
    """The key-value store of the processes that `jax.distributed.initialize` connected."""
    client = distributed.global_state.client
    return None if client is None else SharedStore(client)


@contextlib.contextmanager
def service_elsewhere(
    start: Callable[..., Any], connected: Callable[[str], AbstractContextManager[str]]
) -> Iterator[None]:
    """Within the block, `jax.distributed.initialize` obtains the service that connects the
    processes from `start(address, count, heartbeat_timeout=..., ...)`; it must have a method
    `shutdown()`. Its client is made in the block `connected(address)`, and connects to the address
    that this gives."""

    def client(address: str, *args: Any, **kwargs: Any) -> Any:
        with connected(address) as instead:
            return _jax.get_distributed_runtime_client(instead, *args, **kwargs)

    class Instead:
        get_distributed_runtime_service = staticmethod(start)
        get_distributed_runtime_client = staticmethod(client)

        def __getattr__(self, name: str) -> Any:
            return getattr(_jax, name)

    before = distributed._jax
    distributed._jax = Instead()  # type: ignore[assignment]
    try:
        yield
    finally:
        distributed._jax = before


def raise_in(thread: threading.Thread, kind: type[BaseException]) -> None:
    """Raises an exception in another thread when that next executes Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(kind)
    )
