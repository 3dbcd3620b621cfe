"""What is to hold on four devices: each function is run in a process that has them.

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m tests.distribution.four_devices

prints a JSON object, the name of each check to "" or what went wrong.
"""

import contextlib
import json
import os
import tempfile
import traceback
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import keraslike as keras
from keraslike import layers
from keraslike.callbacks import BackupAndRestore, Callback, OrbaxCheckpoint
from keraslike.distribution import (
    DataParallel,
    DeviceMesh,
    LayoutMap,
    ModelParallel,
    TensorLayout,
    distribute_tensor,
    list_devices,
    set_distribution,
)
from keraslike.training import loop, program

N = 21  # batches of 8, the last one of 5
X = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


@keras.saving.register_keras_serializable()
class Noise(layers.Layer):
    def call(self, x, training=False):
        return x + 0.1 * keras.random.normal(x.shape) if training else x  # of the global stream


def make(deep=False, steps_per_execution=1, **kwargs):
    """`steps_per_execution="auto"` would be a second program to compile for each."""
    keras.utils.set_random_seed(5)
    hidden = [layers.Dense(6, activation="tanh")]
    if deep:
        hidden += [layers.BatchNormalization(), Noise(), layers.Dropout(0.5)]
    model = keras.Sequential([layers.Input((4,)), *hidden, layers.Dense(1)])
    optimizer = "adam" if deep else keras.optimizers.SGD(0.05, momentum=0.9)
    kwargs = {"metrics": ["mae"] if deep else None, **kwargs}
    kwargs["steps_per_execution"] = steps_per_execution
    model.compile(loss="mse", optimizer=optimizer, **kwargs)
    return model


def fit(model, x=X[:16], y=Y[:16], **kwargs):
    """With whole batches: one of another size is a second program to compile for each."""
    kwargs = {"batch_size": 8, "epochs": 1, "verbose": 0, **kwargs}
    return model.fit(x, y, **kwargs).history


def where(model):
    """The numbers of devices that the weights and the optimizer's state are on."""
    variables = [*model.variables, *model.optimizer.variables]
    return {len(v._raw_value.sharding.device_set) for v in variables}


def close(a, b):
    jax.tree.map(lambda v, w: np.testing.assert_allclose(v, w, rtol=2e-5, atol=2e-6), a, b)


def state(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def same(train, **kwargs):
    """`train(model)` on one device and on four gives the same and leaves the same state."""
    one = make(**kwargs)
    expected = train(one)
    with DataParallel().scope():
        four = make(**kwargs)
        close(train(four), expected)
        assert where(four) == {4}
    close(state(four), state(one))
    return four


def fit_evaluate_and_predict_as_on_one_device():
    def train(model):
        history = fit(model, X, Y, epochs=2, validation_data=(X[:8], Y[:8]))
        loss = model.evaluate(X[:8], Y[:8], batch_size=8, verbose=0)
        return history, loss, model.predict(X, batch_size=8, verbose=0)

    same(train, deep=True, steps_per_execution="auto")
    # The global random stream, which belongs to no model, was on four devices and comes home.
    assert len(keras.random.normal((2,)).sharding.device_set) == 1


def several_steps_a_dispatch():
    same(
        lambda m: (fit(m, X, Y), m.predict(X[:16], batch_size=8, verbose=0)), steps_per_execution=2
    )


def streamed_batches_and_single_ones():
    def batches():
        for size in (8, 3):
            yield X[:size], Y[:size]

    def train(model):
        history = model.fit(batches(), verbose=0).history
        return history, model.train_on_batch(X[:3], Y[:3]), model.predict_on_batch(X[:8])

    same(train)


def data_too_large_to_stay_on_the_devices():
    before, loop._RESIDENT_BYTES = loop._RESIDENT_BYTES, X.nbytes * 3  # four copies are more
    try:
        model = same(lambda m: fit(m, X, Y))
    finally:
        loop._RESIDENT_BYTES = before
    with DataParallel().scope():  # what counts is the memory they take together
        assert any(kind == "batch" for kind, _ in model._step_programs["train"]._compiled)


def eager_steps():
    """Of a small model: each operation is a program."""
    losses = []
    for distributed in (False, True):
        with scope(distributed):
            keras.utils.set_random_seed(5)
            model = keras.Sequential([layers.Input((4,)), layers.Dense(1)])
            model.compile("sgd", "mse", run_eagerly=True)
            losses.append((fit(model, X[:8], Y[:8]), state(model)))
            assert where(model) == {4 if distributed else 1}
    close(*losses)


def batch_sizes_that_do_not_divide():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        same(lambda m: fit(m, X[:6], Y[:6], batch_size=3))
    said = "batch_size=3 is not a multiple of the 4 devices"
    assert any(said in str(w.message) and "to 4 rows" in str(w.message) for w in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(lambda m: fit(m, X[:6], Y[:6], batch_size=32))  # one small batch: nothing to warn of


def batches_are_spread():
    shapes = []

    class Look(Callback):
        def on_predict_batch_end(self, batch, logs=None):
            shapes.append(sorted({s.data.shape for s in logs["outputs"].addressable_shards}))

    with DataParallel().scope():
        make().predict(X, batch_size=8, verbose=0, callbacks=[Look()])
    assert shapes == [[(2, 1)], [(2, 1)], [(5, 1)]], shapes


def each_path(model):
    fit(model, X, Y, validation_data=(X[:8], Y[:8]))
    model.evaluate(X, Y, batch_size=8, verbose=0)
    model.predict(X, batch_size=8, verbose=0)
    model.train_on_batch(X[:8], Y[:8])


def each_program_is_compiled_once():
    compiled = []

    def listen(name, *_, fun_name="", **__):
        if "backend_compile" in name:
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    layout = LayoutMap(DeviceMesh((2, 2), ("batch", "model")))
    layout[".*kernel"] = ("model", None)
    parallel = ModelParallel(layout_map=layout, batch_dim_name="batch")
    for distribution in (DataParallel(), parallel, ModelParallel.fsdp()):
        with distribution.scope():
            # Of little work, so that "auto" has one program, too.
            model = make(steps_per_execution="auto")
            before = len(compiled)
            fit(model, X[:16], Y[:16], epochs=2)
            steps = [name for name in compiled[before:] if "program" in name]
            assert len(steps) == 1, compiled[before:]
            fit(model, X, Y, epochs=2)  # the last batch is a smaller one
            del compiled[:]
            fit(model, X, Y, epochs=2)
            assert not compiled, compiled
            each_path(model)
            model.optimizer.learning_rate = 0.01
            model.set_weights([0.9 * w for w in model.get_weights()])
            del compiled[:]
            each_path(model)
            assert not compiled, compiled
    with DataParallel().scope():
        model = make()
        fit(model, epochs=2)
    for _ in range(2):  # nor is anything when another such distribution comes
        with DataParallel().scope():
            del compiled[:]
            fit(model, epochs=2)
            assert not compiled, compiled


def only_what_somebody_holds_is_copied():
    """Not the whole state, which may take all the memory that there is."""
    copied, before = [], loop.Program._copied

    def noted(program, values):
        copied.extend(value.size for value in values)
        return before(program, values)

    with ModelParallel.fsdp(min_size=8).scope(), pytest.MonkeyPatch.context() as patch:
        model = make()
        fit(model)
        patch.setattr(loop.Program, "_copied", noted)
        fit(model, epochs=2)
        assert not [size for size in copied if size > 1], copied
        held = model.layers[0].kernel.value
        kept = np.asarray(held)
        fit(model)
        assert [size for size in copied if size > 1] == [held.size], copied
        np.testing.assert_array_equal(held, kept)


def a_first_step_that_fails_changes_nothing():
    """On accelerators the state is kept on the hosts meanwhile, each part where its device is."""

    class Accelerator:
        def __getattr__(self, name):
            return (lambda: "gpu") if name == "default_backend" else getattr(jax, name)

    attempt = program.Program._attempt

    def fails(self, function, args):
        attempt(self, function, args)
        raise KeyError("no luck")

    for stands_for in (jax, Accelerator()):
        with ModelParallel.fsdp(min_size=8).scope(), pytest.MonkeyPatch.context() as patch:
            model = keras.Sequential([layers.Input((4,)), layers.Dense(8)])
            model.compile("sgd", "mse", steps_per_execution=1)
            before = model.get_weights()
            patch.setattr(program, "jax", stands_for)
            patch.setattr(program.Program, "_attempt", fails)
            with pytest.raises(KeyError, match="no luck"):
                fit(model)
            patch.undo()
            for a, b in zip(model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(a, b)
            kernel = model.layers[0].kernel
            kind = jax.devices()[0].default_memory().kind
            assert shards(kernel) == {(4, 2)} and kernel.value.sharding.memory_kind == kind
            assert np.isfinite(fit(model)["loss"]).all()


def into_the_scope_and_out_again():
    one = make()
    expected = [fit(one) for _ in range(4)]
    model = make()
    history = [fit(model)]
    assert where(model) == {1}
    with DataParallel().scope():
        history.append(fit(model))
        assert where(model) == {4}
    history.append(fit(model))
    assert where(model) == {1}
    assert not any(v._raw_value.committed for v in model.variables)  # as if nothing had been
    with DataParallel(devices=["cpu:2", "cpu:1"]).scope():
        history.append(fit(model))
        assert where(model) == {2}
    close(history, expected)
    close(model.predict(X, batch_size=8, verbose=0), one.predict(X, batch_size=8, verbose=0))
    assert {len(v._raw_value.sharding.device_set) for v in model.weights} == {1}


def a_distribution_set_by_a_callback():
    class Switch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            set_distribution(DataParallel() if epoch == 0 else None)

    one = make()
    expected = fit(one, epochs=3, validation_data=(X[:8], Y[:8]))
    model = make()
    kwargs = {"validation_data": (X[:8], Y[:8]), "callbacks": [Switch()]}
    close(fit(model, epochs=3, **kwargs), expected)


def arrays_of_the_user_survive():
    kernel, x = jnp.ones((4, 6)), jnp.asarray(X)
    model = make()
    model.layers[0].kernel.assign(kernel)
    with DataParallel().scope():
        fit(model, x, Y)
        model.layers[0].kernel.assign(kernel)
        fit(model, x, Y)
    assert float(kernel.sum()) == 24.0
    np.testing.assert_array_equal(x, X)


def weights_that_a_user_spread_stay_spread():
    model = make()
    sharding = NamedSharding(Mesh(np.array(jax.devices()[:2]), ("mine",)), PartitionSpec())
    for v in model.variables:
        v.assign(jax.device_put(v.value, sharding))
    assert np.isfinite(fit(model)["loss"]).all()
    assert {len(v._raw_value.sharding.device_set) for v in model.weights} == {2}


def files():
    with tempfile.TemporaryDirectory() as folder, DataParallel().scope():
        model = make()
        fit(model)
        path = os.path.join(folder, "model.keras")
        model.save(path)
        inside = keras.models.load_model(path)
        set_distribution(None)
        outside = keras.models.load_model(path)
        close(state(outside), state(model))
        with DataParallel().scope():
            expected = fit(model, shuffle=False)
            close(fit(inside, shuffle=False), expected)
        close(fit(outside, shuffle=False), expected)


def checkpoints():
    with tempfile.TemporaryDirectory() as folder:
        with DataParallel().scope():
            model = make()
            fit(model, callbacks=[OrbaxCheckpoint(folder)])
            inside = keras.models.load_model(folder)
            rest = [fit(m, shuffle=False) for m in (model, inside)]
        outside = keras.models.load_model(folder)
        rest.append(fit(outside, shuffle=False))
        close(rest, [rest[0]] * 3)
        assert where(inside) == {4} and where(outside) == {1}


class Killed(Exception):
    pass


def backups():
    class Kill(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise Killed

    whole = make(deep=True)
    expected = fit(whole, epochs=2)
    for first, second in ((True, True), (True, False)):
        with tempfile.TemporaryDirectory() as folder:
            backup = [BackupAndRestore(folder, save_freq=1)]
            with scope(first), contextlib.suppress(Killed):
                fit(make(deep=True), epochs=2, callbacks=[*backup, Kill()])
            with scope(second):
                again = make(deep=True)
                close(fit(again, epochs=2, callbacks=[BackupAndRestore(folder)]), expected)
                close(state(again), state(whole))


def scope(distributed):
    return DataParallel().scope() if distributed else contextlib.nullcontext()


def several_inputs_and_sample_weights():
    def build():
        keras.utils.set_random_seed(5)
        a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
        y = layers.Dense(1)(layers.Concatenate()([layers.Dense(3)(a), b]))
        model = keras.Model({"a": a, "b": b}, y)
        model.compile(loss="mse", optimizer="sgd")
        return model

    weights = np.linspace(0, 1, N).astype("float32")
    results = []
    for distributed in (False, True):
        with scope(distributed):
            results.append(fit(build(), {"a": X, "b": X * 2}, Y, sample_weight=weights))
    close(*results)


def a_step_and_an_optimizer_of_ones_own():
    import optax

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data

            def loss(model):
                return jnp.mean((model(x) - y) ** 2)

            value, grads = keras.value_and_grad(loss)(self)
            self.optimizer.apply(grads, self.trainable_variables)
            self.seen.assign_add(float(len(x)))
            return {"loss": value}

    results = []
    for distributed in (False, True):
        with scope(distributed):
            keras.utils.set_random_seed(5)
            model = Own()
            model.compile(optimizer=optax.adam(1e-2))
            results.append((fit(model, X, Y), float(model.seen)))
    close(*results)
    assert results[1][1] == N


def meshes_and_layouts():
    assert list_devices() == [f"cpu:{i}" for i in range(4)]
    mesh = DeviceMesh((2, 2), ("data", "model"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        d = DataParallel(mesh)
    assert "'data' alone" in str(caught[0].message)
    assert d.num_model_replicas == 2 and d.batch_dim_name == "data"
    one = make()
    expected = fit(one)
    with d.scope():
        model = make()
        close(fit(model), expected)
        assert where(model) == {4}
    layout = TensorLayout(("data", None), mesh)
    for spread in (distribute_tensor, jax.jit(distribute_tensor, static_argnums=1)):
        array = spread(X[:4], layout)
        assert {s.data.shape for s in array.addressable_shards} == {(2, 4)}


class Split(DataParallel):
    """Keeps of every weight of 4 columns one on each device."""

    def get_variable_layout(self, variable):
        if variable.shape[-1:] == (4,):
            axes = [None] * (len(variable.shape) - 1)
            return TensorLayout([*axes, "batch"], self.device_mesh)
        return super().get_variable_layout(variable)


def layouts_of_ones_own():
    def build():
        keras.utils.set_random_seed(5)
        stack = [layers.Input((4,)), layers.Dense(4, activation="tanh"), layers.Dense(1)]
        model = keras.Sequential(stack)
        model.compile(loss="mse", optimizer="adam")
        return model

    one = build()
    expected = [fit(one), fit(one)]
    with Split().scope():
        model = build()
        history = [fit(model)]
        for v in [model.layers[0].kernel, *model.optimizer.variables]:
            if v.shape == (4, 4):
                assert {s.data.shape for s in v._raw_value.addressable_shards} == {(4, 1)}
    history.append(fit(model))
    close(history, expected)
    close(state(model), state(one))


def shards(variable):
    return {s.data.shape for s in variable._raw_value.addressable_shards}


def model_parallel():
    def build():
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                layers.Input((4,)),
                layers.Dense(6, activation="tanh", name="up"),
                layers.Dense(1, name="down"),
            ],
            name="net",
        )
        optimizer = keras.optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2)
        model.compile(loss="mse", optimizer=optimizer)
        return model

    one = build()
    expected = [fit(one), fit(one)]
    mesh = DeviceMesh((2, 2), ("batch", "model"))
    layouts = LayoutMap(mesh)
    layouts[".*up/kernel"] = (None, "model")
    layouts[".*up/bias"] = ("model",)
    layouts[".*down/kernel"] = ("model", None)
    layouts["net/up"] = ("batch", "model")
    d = ModelParallel(layout_map=layouts, batch_dim_name="batch")
    assert d.num_model_replicas == 2
    with d.scope():
        model = build()
        history = [fit(model)]
        up, down = model.layers
        assert shards(up.kernel) == {(4, 3)} and shards(up.bias) == {(3,)}
        assert shards(down.kernel) == {(3, 1)} and shards(down.bias) == {(1,)}
        slots = [v for v in model.optimizer.variables if v.shape == (4, 6)]
        assert len(slots) == 4  # momentum, velocity, the average, the sum of gradients
        assert {next(iter(shards(v))) for v in slots} == {(4, 3)}
        output = jax.jit(up)(X[:4])
        assert {s.data.shape for s in output.addressable_shards} == {(2, 3)}
    history.append(fit(model))  # on one device again
    close(history, expected)
    close(state(model), state(one))
    with d.scope(), tempfile.TemporaryDirectory() as folder:
        outputs = model.predict(X, verbose=0)
        model.save(path := os.path.join(folder, "m.keras"))
        close(keras.models.load_model(path).predict(X, verbose=0), outputs)
    layouts[".*down/bias"] = ("model",)
    message = (
        r"'net/down/bias' of shape \(1,\) .* layout \('model',\) .* axis 0, of size 1, .* 2 "
        r"devices along the axis 'model'"
    )
    with d.scope(), raises(message):  # neither what there is, nor what is made
        fit(model)
    with d.scope(), raises(message):
        build()
    fit(model)


def raises(message):
    return pytest.raises(ValueError, match=message)


def layouts_that_do_not_fit():
    mesh = DeviceMesh((2, 2), ("batch", "model"))
    for key, axes, message in (
        ("up/kernel", ("batch", "model", None), r"'up/kernel' of shape \(4, 5\) .* for 3 axes"),
        ("up/kernel", ("batch", "batch"), "several axes over 'batch'"),
        ("up/kernel", (None, "model"), "axis 1, of size 5, is no multiple of the 2 devices"),
        ("up", (None, None, "model"), r"layer 'up' of shape \(None, 5\) .* for 3 axes"),
    ):
        layouts = LayoutMap(mesh)
        layouts[key] = axes
        with ModelParallel(layout_map=layouts).scope(), raises(message):
            layers.Dense(5, name="up")(layers.Input((4,)))
    with raises(r"The tensor of shape \(5, 4\) .* axis 0, of size 5"):
        distribute_tensor(X[:5], TensorLayout(("batch", None), mesh))
    with raises(r"shape \(5,\) does not divide as its layout .* for 2 axes"):
        jax.jit(lambda x: distribute_tensor(x, TensorLayout(("batch", None), mesh)))(X[:5, 0])


def keys_that_match_nothing():
    layouts = LayoutMap(DeviceMesh((2, 2), ("batch", "model")))
    layouts[".*dense.*/kernel"], layouts[".*dense"] = (None, "model"), ("batch", None)
    layouts["kernel"], layouts[".*up"] = (None, "model"), ("batch", None)

    def told():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = keras.Sequential([layers.Input((4,)), layers.Dense(2, name="dense")])
            model.compile(loss="mse")
            fit(model)
        return [str(w.message) for w in caught if "LayoutMap" in str(w.message)]

    with ModelParallel(layout_map=layouts).scope():
        (said,) = told()
        assert "['kernel', '.*up']" in said and "/dense/bias" in said, said
        assert not told()  # once


def batches_that_do_not_divide_in_every_layout():
    """Padding is ignored, also in statistics over the batch."""

    def train(model):
        losses = fit(model, X[:12], Y[:12], batch_size=7)
        streamed = model.evaluate(iter([(X[:7], Y[:7]), (X[7:10], Y[7:10])]), verbose=0)
        return losses, streamed, model.train_on_batch(X[:5], Y[:5]), model.predict_on_batch(X[:1])

    layouts = LayoutMap(DeviceMesh((2, 2), ("batch", "model")))
    layouts[".*dense/kernel"] = (None, "model")
    one = make(deep=True)
    expected = train(one)
    with ModelParallel(layout_map=layouts).scope(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make(deep=True)
        close(train(model), expected)
        close(state(model), state(one))


def fully_sharded():
    def build():
        keras.utils.set_random_seed(5)
        stack = [layers.Dense(32, activation="tanh"), layers.Dropout(0.2), layers.Dense(1)]
        model = keras.Sequential([layers.Input((4,)), *stack])
        model.compile(loss="mse", optimizer="adam")
        return model

    def most_on_a_device(model):
        held = dict.fromkeys(jax.devices(), 0)
        for v in [*model.weights, *model.optimizer.variables]:
            for shard in v._raw_value.addressable_shards:
                held[shard.device] += shard.data.nbytes
        return max(held.values())

    one = build()
    expected = [fit(one, shuffle=False) for _ in range(2)]
    d = ModelParallel.fsdp(min_size=32)
    with d.scope():
        model = build()
        assert [shards(v) for v in model.weights] == [{(4, 8)}, {(8,)}, {(8, 1)}, {(1,)}]
        model.optimizer.build(model.trainable_variables)  # in parts from the beginning, all of it
        assert most_on_a_device(model) <= most_on_a_device(one) / 4 + 64
        history = [fit(model, shuffle=False)]
        assert most_on_a_device(model) <= most_on_a_device(one) / 4 + 64
        with tempfile.TemporaryDirectory() as folder:
            model.save(path := os.path.join(folder, "m.keras"))
            loaded = keras.models.load_model(path)
            assert most_on_a_device(loaded) <= most_on_a_device(one) / 4 + 64
            close(state(loaded), state(model))
        close(model(X).sum(), model.predict(X, verbose=0).sum())
        history.append(fit(model, shuffle=False))
    close(history, expected)
    set_distribution(None)
    fit(model)
    assert where(model) == {1}


CHECKS = [
    fit_evaluate_and_predict_as_on_one_device,
    several_steps_a_dispatch,
    streamed_batches_and_single_ones,
    data_too_large_to_stay_on_the_devices,
    eager_steps,
    batch_sizes_that_do_not_divide,
    batches_are_spread,
    each_program_is_compiled_once,
    only_what_somebody_holds_is_copied,
    a_first_step_that_fails_changes_nothing,
    into_the_scope_and_out_again,
    a_distribution_set_by_a_callback,
    arrays_of_the_user_survive,
    weights_that_a_user_spread_stay_spread,
    files,
    checkpoints,
    backups,
    several_inputs_and_sample_weights,
    a_step_and_an_optimizer_of_ones_own,
    meshes_and_layouts,
    layouts_of_ones_own,
    model_parallel,
    layouts_that_do_not_fit,
    keys_that_match_nothing,
    batches_that_do_not_divide_in_every_layout,
    fully_sharded,
]


def run(checks=CHECKS):
    results = {}
    for check in checks:
        keras.utils.set_random_seed(1)
        set_distribution(None)
        try:
            check()
            results[check.__name__] = ""
        except Exception:
            results[check.__name__] = traceback.format_exc()
    print(json.dumps(results))


if __name__ == "__main__":
    run()
