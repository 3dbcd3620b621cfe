"""What is relied on of the insides of flax and jax: a newer one that differs fails here first."""

import contextlib
import functools
import gc
import signal
import threading
import weakref

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import errors, nnx
from jax._src.export import shape_poly

import keraslike as keras
from keraslike.core import flax_internals, jax_internals
from keraslike.core.base import Object


def test_a_variable_keeps_value_trace_and_metadata_in_slots():
    v = nnx.Param(jnp.ones(2), note="mine")
    assert flax_internals.read_value(v) is v.get_raw_value()
    flax_internals.write_value(v, jnp.zeros(2))
    assert v[...].tolist() == [0.0, 0.0]
    trace = flax_internals.read_trace(v)
    assert isinstance(trace, flax_internals.TraceState) and trace.is_valid()
    flax_internals.write_trace(v, flax_internals.TraceState())
    metadata = flax_internals.metadata_of(v)
    assert metadata["note"] == "mine"
    flax_internals.write_metadata(v, {**metadata, "note": "other"})
    assert v.note == "other"


def test_a_computed_array_has_a_type_and_can_have_attributes():
    x = jnp.ones(2)
    assert type(x) is type(jax.jit(lambda a: a)(x)) is jax_internals.Computed
    x.mine = 3
    assert x.mine == 3 and not hasattr(jnp.ones(2), "mine")


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.checkpoint, jax.vmap])
def test_a_trace_that_an_exception_ends_keeps_no_array(transform):
    def captured():
        array = jnp.ones((3, 1)) * 2

        def failing(x):
            jnp.sin(x * array)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            jax.eval_shape(transform(failing), jnp.ones(3))
        return weakref.ref(array)

    ref = captured()
    gc.collect()
    assert ref() is None


def test_flax_reads_and_writes_a_subclass_by_its_properties():
    v = keras.Variable([1.0, 2.0])
    _, state = nnx.split(v)
    assert jax.tree.leaves(state)[0].tolist() == [1.0, 2.0]
    nnx.update(v, jax.tree.map(lambda x: x + 1, state))
    assert v.value.tolist() == [2.0, 3.0]


def test_a_trace_state_is_valid_in_its_own_trace_alone():
    outside, inside = flax_internals.TraceState(), []

    def traced(x):
        assert not outside.is_valid()
        inside.append(flax_internals.TraceState())
        assert inside[0].is_valid()
        return x

    jax.jit(traced)(1.0)
    assert outside.is_valid() and not inside[0].is_valid()


def test_the_outermost_trace_is_current_outside_of_any_trace_alone():
    seen = []

    def traced(x):
        seen.append(jax_internals.current_trace() is jax_internals.OUTERMOST)
        return x

    jax.jit(traced)(1.0)
    jax.grad(traced)(1.0)
    jax.vmap(traced)(jnp.ones(2))
    assert seen == [False] * 3
    assert jax_internals.current_trace() is jax_internals.OUTERMOST


def test_a_variable_of_another_trace_refuses_changes():
    v = nnx.Param(jnp.ones(2))
    flax_internals.check_can_update(v)

    def traced(x):
        with pytest.raises(errors.TraceContextError):
            flax_internals.check_can_update(v)
        return x

    jax.jit(traced)(1.0)


def test_what_does_not_depend_on_arguments_is_no_tracer_in_derivatives_and_vmap():
    v = nnx.Param(jnp.ones(2))

    def derived(x):
        flax_internals.check_can_update(v, v[...] + 1)
        with pytest.raises(errors.TraceContextError):
            flax_internals.check_can_update(v, x)
        return x

    jax.grad(derived)(1.0)
    jax.jvp(derived, (1.0,), (1.0,))
    jax.vmap(jax.grad(derived))(jnp.ones(3))
    with pytest.raises(errors.TraceContextError):
        jax.jit(jax.grad(derived))(1.0)


def test_graph_nodes_are_made_and_flattened_by_flax():
    class Node(Object):
        def __init__(self):
            self.weight, self.size = keras.Variable([1.0]), 3

    node = Node()
    made = flax_internals.new_node(Node)
    assert type(made) is Node
    assert all(name.startswith(flax_internals.OWN_PREFIX) for name in vars(made))
    nodes, _ = node._graph_node_flatten()
    kinds = {name: type(element) for name, element in nodes}
    assert kinds == {"size": flax_internals.StaticElem, "weight": flax_internals.DataElem}
    graph, state = nnx.split(node)
    assert nnx.merge(graph, state).size == 3


def test_what_is_compiled_before_the_first_call_serves_for_it():
    traces = []

    def function(state, x):
        traces.append(1)
        return state + x, x

    compiled = jax.jit(function, donate_argnums=0)
    state = jnp.ones(3)
    traced = compiled.trace(state, 2.0)
    jax_internals.compile_trace(traced)
    assert [e.primitive.name for e in traced.jaxpr.eqns][-1] == "add"
    state, _ = compiled(state, 2.0)
    compiled(state, 2.0)
    assert len(traces) == 1 and compiled._cache_size() == 1


def test_the_main_thread_compiles_nothing(monkeypatch):
    """Handlers of signals could end a compilation there, whose memory jaxlib frees too early."""
    threads, compiled = [], jax_internals._compile

    def interrupted(*args, **kwargs):
        threads.append(threading.current_thread())
        signal.raise_signal(signal.SIGTERM)
        return compiled(*args, **kwargs)

    def handle(*args):
        raise InterruptedError

    monkeypatch.setattr(jax_internals, "_compile", interrupted)
    before = signal.signal(signal.SIGTERM, handle)
    try:
        function = jax.jit(lambda x: x + 3)
        with pytest.raises(InterruptedError):
            function(1.0)
    finally:
        signal.signal(signal.SIGTERM, before)
    threads[0].join()
    monkeypatch.undo()
    assert threads[0].name == "keraslike-compile" and function(1.0) == 4


def test_whether_jax_has_begun():
    jax.devices()
    assert jax_internals.backends_are_initialized() is True
    jax_internals.reread_cache_setting()


def test_errors_keep_their_frames_where_that_is_asked_for():
    def modules():
        with pytest.raises(TypeError) as raised:
            jax.jit(jnp.add)(jnp.ones(2), jnp.ones(3))
        return {entry.frame.f_globals["__name__"] for entry in raised.traceback}

    with jax_internals.tracebacks("auto"):
        shown = modules()
        with jax_internals.tracebacks("off"):
            assert shown < modules()
        assert modules() == shown


def test_processes_share_texts():
    """`shared_store` relies on the client's methods; tests/distribution has two processes."""
    from jax._src import distributed
    from jax._src.distributed import global_state
    from jax._src.lib import _jax

    assert global_state.client is None and jax_internals.shared_store() is None
    methods = ("set", "delete", "dir_get")
    for name in ("blocking_key_value_get", *(f"key_value_{method}" for method in methods)):
        assert callable(getattr(_jax.DistributedRuntimeClient, name))
    before = distributed._jax
    assert callable(before.get_distributed_runtime_service)
    asked = []

    @contextlib.contextmanager
    def connected(address):
        asked.append(address)
        yield "localhost:2"

    with jax_internals.service_elsewhere(print, connected):
        assert distributed._jax.get_distributed_runtime_service is print
        assert distributed._jax.DistributedRuntimeClient is _jax.DistributedRuntimeClient
        # It connects to nobody before it is told to.
        client = distributed._jax.get_distributed_runtime_client("localhost:1", 0, init_timeout=1)
        assert isinstance(client, _jax.DistributedRuntimeClient) and asked == ["localhost:1"]
    assert distributed._jax is before


def test_a_program_for_several_platforms_has_each_product_once():
    def products(x, key):
        images = jax.lax.conv(x, jnp.ones((1, 1, 2, 2)), (1, 1), "SAME")
        return images @ images, jax.random.uniform(key, x.shape)

    batch = jax.export.symbolic_shape("batch, 1, 4, 4")
    args = jax.ShapeDtypeStruct(batch, "float32"), jax.ShapeDtypeStruct((2,), "uint32")
    exported = jax_internals.export_with(jax.jit(products), (), ("cpu", "cuda", "tpu"), *args)
    text = exported.mlir_module()
    for name in ("convolution", "dot_general"):
        assert text.count(f"stablehlo.{name} ") + text.count(f"stablehlo.{name}(") == 1
    assert "stablehlo.case" not in text and __file__ not in text
    jax_internals.check_harmless(exported)
    called = jax.export.export(
        jax.jit(lambda x: jax.ffi.ffi_call("other", x)(x)),
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("other")],
    )(jnp.ones(2))
    with pytest.raises(ValueError, match="disabled"):
        jax_internals.check_harmless(called)


def test_put_is_device_put():
    for value in (np.ones((2, 3), "float32"), np.array(True), np.arange(3), np.ones(2), 1.5):
        ours, theirs = jax_internals.put(value), jax.device_put(value)
        assert (ours.aval, ours.sharding, ours.committed) == (
            theirs.aval,
            theirs.sharding,
            theirs.committed,
        )
        assert np.array_equal(ours, theirs)
    with jax.transfer_guard("disallow"):
        jax_internals.put(np.ones(2, "float32"))


def test_tracers_of_derivatives_know_their_values():
    known = []
    jax.vjp(lambda x: known.append(jax_internals.known_value(x)) or x, 2.0)
    jax.make_jaxpr(lambda x: known.append(jax_internals.known_value(x)) or x)(2.0)
    assert known[0] == 2.0 and isinstance(known[1], jax.core.Tracer)


def test_rules_of_derivatives_hold_in_scans_that_are_differentiated_twice():
    @jax.custom_jvp
    def tripled(x):
        return x * 1.0

    tripled.defjvp(lambda x, t: (y := tripled(*x), 3 * y * t[0]))

    def total(x, scale, how):
        def step(carry, e):
            y = tripled(e * jnp.sin(scale))
            return carry + y, y

        return how(step, x, jnp.stack([x, 2 * x]))[1].sum()

    def looped(step, carry, xs):
        ys = []
        for x in xs:
            carry, y = step(carry, x)
            ys.append(y)
        return carry, jnp.stack(ys)

    def second(how):
        first = jax.grad(lambda x, scale: total(x, scale, how), (0, 1))
        return jax.jacrev(first, (0, 1))(0.5, 0.7)

    expected = jax.tree.leaves(second(looped))
    assert np.allclose(jax.tree.leaves(second(jax.lax.scan)), expected)
    assert expected[0] == pytest.approx(9 * (1 + 8) * 0.5 * np.sin(0.7) ** 3)
    # What is the same in each step is still computed and kept once, not stacked.
    first = jax.make_jaxpr(jax.grad(functools.partial(total, how=jax.lax.scan)))(0.5, 0.7)
    (forward, backward) = [e for e in first.eqns if e.primitive.name == "scan"]
    assert [v.aval.shape for v in forward.outvars].count((2,)) == 2


def test_sizes_after_many_convolutions_have_bounds_soon():
    (n,) = jax.export.symbolic_shape("n")
    size, number = n, 1000
    for _ in range(9):
        size, number = jax.core.max_dim((size - 3) // 2 + 1, 0), (number - 3) // 2 + 1
    bounds = jax_internals._bounds(size, shape_poly.BoundsPrecision.BEST)
    assert bounds == (0, float("inf")) and number >= 0
    assert jax.core.max_dim(size, 0) is size and jax.core.max_dim(-size, 0) == 0
    assert jax.core.min_dim(size, 5).scope is n.scope  # not known
    for op, least, most in ((jax.core.max_dim, 3, 7), (jax.core.min_dim, 0, 3)):
        limited = op(op(jax.core.min_dim(size, 7), 3) % 8, 3)
        assert jax_internals._bounds(limited, shape_poly.BoundsPrecision.BEST) == (least, most)


def test_where_64_bits_are_enabled():
    assert not jax_internals.enabled_64_bits_in_block()
    with jax.enable_x64(True):
        assert jax_internals.enabled_64_bits_in_block()
    jax.config.update("jax_enable_x64", True)
    try:
        assert not jax_internals.enabled_64_bits_in_block()
    finally:
        jax.config.update("jax_enable_x64", False)
