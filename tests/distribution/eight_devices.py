"""What is to hold on eight devices; run as `four_devices` is.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.distribution.eight_devices
"""

import contextlib
import itertools
import os
import pathlib
import sys
import tempfile

import jax
import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.callbacks import OrbaxCheckpoint
from keraslike.distribution import (
    DataParallel,
    DeviceMesh,
    LayoutMap,
    ModelParallel,
    plan,
    set_distribution,
)

from . import four_devices

X = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
Y = np.tanh(X[:, :2] * 2).astype("float32")


def tensor_parallel():
    layouts = LayoutMap(DeviceMesh((2, 4), ("batch", "model")))
    layouts[".*up/kernel"], layouts[".*up/bias"] = (None, "model"), ("model",)
    layouts[".*down/kernel"] = ("model", None)
    return ModelParallel(layout_map=layouts)


def fully_sharded():
    return ModelParallel.fsdp(min_size=16)


REMAT = {
    "float32": {"mode": "full"},
    "mixed_bfloat16": {"mode": "list_of_layers", "layer_names": [layers.Dense]},
    "mixed_float16": {"mode": "list_of_layers", "layer_names": ["u.*"]},
}


def trained(remat, accumulate, policy):
    keras.utils.set_random_seed(3)
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        with keras.RematScope(**REMAT[policy]) if remat else contextlib.nullcontext():
            up = layers.Dense(16, "tanh", name="up")
            stack = [up, layers.Dropout(0.2), layers.Dense(2, name="down")]
        model = keras.Sequential([layers.Input((16,)), *stack])
        optimizer = keras.optimizers.Adam(0.01, gradient_accumulation_steps=accumulate)
        model.compile(optimizer, "mse", steps_per_execution=1, auto_scale_loss=True)
        scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scales == (policy == "mixed_float16")
        history = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return history.history["loss"], [w.astype("float32") for w in model.get_weights()]
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


def remat_accumulation_precision_and_every_distribution():
    policies = ("float32", "mixed_bfloat16", "mixed_float16")
    combinations = [(True, 2, policy) for policy in policies]
    whole = bool(os.environ.get("KERASLIKE_WHOLE"))  # 48 runs, two minutes
    if whole:
        combinations = itertools.product((False, True), (None, 2), policies)
    for how in combinations:
        set_distribution(None)
        losses, weights = trained(*how)
        assert losses[1] < losses[0]
        tight = {"float32": 2e-6, "mixed_bfloat16": 6e-3, "mixed_float16": 1e-3}[how[2]]
        for number, make in enumerate((DataParallel, fully_sharded, tensor_parallel)):
            if how[2] != "float32" and number != policies.index(how[2]) and not whole:
                continue
            set_distribution(d := make())
            found, others = trained(*how)
            np.testing.assert_allclose(found, losses, rtol=2 * tight, err_msg=str((d, how)))
            for a, b in zip(others, weights, strict=True):
                np.testing.assert_allclose(a, b, atol=tight, err_msg=str((d, how)))


def most_alive():
    """The largest part of any array that a device holds, in bytes."""
    return max(s.data.nbytes for a in jax.live_arrays() for s in a.addressable_shards)


def a_model_larger_than_a_device():
    width, depth = 512, 3
    whole = 3 * depth * width * width * 4  # weights and two moments
    limit = whole * 9 // 10  # what a device has: too little for the weights and moments alone

    def build():
        stack = [layers.Dense(width, "relu") for _ in range(depth)]
        model = keras.Sequential([layers.Input((width,)), *stack])
        model.compile(loss="mse", optimizer="adam")
        return model

    x = np.zeros((16, width), "float32")
    with ModelParallel.fsdp().scope(), tempfile.TemporaryDirectory() as folder:
        model = build()
        model.optimizer.build(model.trainable_variables)
        assert most_alive() <= width * width * 4 // 8
        layout = keras.distribution.TensorLayout(
            (None, "all"), keras.distribution.DeviceMesh((8,), ("all",))
        )
        random = keras.initializers.GlorotUniform(seed=1)
        made = keras.Variable(random, (width, width), layout=layout)
        assert made._raw_value.sharding == layout.backend_layout
        assert most_alive() <= width * width * 4 // 8
        whole_one = keras.initializers.GlorotUniform(seed=1)(made.shape)
        np.testing.assert_allclose(made, whole_one, atol=1e-8)
        del made, whole_one
        saver = OrbaxCheckpoint(folder, save_on_background=False)
        model.fit(x, x, batch_size=16, verbose=0, callbacks=[saver])
        assert most_alive() <= width * width * 4 // 8
        whole_plan, parts = plan(model, 16, memory=limit)
        assert parts.fits and not whole_plan.fits, (str(whole_plan), str(parts), limit)
        held = {
            kind: sum(v._raw_value.addressable_shards[0].data.nbytes for v in variables)
            for kind, variables in (
                ("weights", model.variables),
                ("slots", model.optimizer.variables),
            )
        }
        assert abs(parts.weights / held["weights"] - 1) < 0.1, (parts, held)
        assert abs(parts.slots / held["slots"] - 1) < 0.1, (parts, held)
        assert parts.weights + parts.slots + parts.gradients + parts.activations <= parts.total
        assert whole_plan.weights + whole_plan.slots >= whole
        again = keras.saving.load_model(folder)
        assert most_alive() <= width * width * 4 // 8
        for a, b in zip(again.weights, model.weights, strict=True):
            assert four_devices.shards(a) == four_devices.shards(b)
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def attention_in_parts():
    """Megatron's layout, and sequences that are divided, as the example has them."""
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))
    import long_sequences as example

    rng = np.random.default_rng(0)
    tokens, wanted = rng.integers(0, 4, (2, 2, 32))
    results, needed = {}, {}
    layouts = {
        "none": None,
        "batch": DataParallel(),
        "megatron": example.megatron(2, 4),
        "sequence": example.along_sequences(2, 4),
    }
    for name, d in layouts.items():
        set_distribution(d)
        keras.utils.set_random_seed(0)
        model = example.build(vocabulary=4, length=32, width=16, heads=4, blocks=1)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(0.01, epsilon=1e-3), loss=loss)
        losses = [model.train_on_batch(tokens, wanted) for _ in range(3)]
        assert losses[2] < losses[0], losses
        results[name] = [*losses, *model.get_weights()]
        if name in ("batch", "sequence"):
            (needed[name],) = plan(model, 2, batch=(tokens, wanted), distributions=[d])
        if name == "megatron":
            on_each = sum(v._raw_value.addressable_shards[0].data.nbytes for v in model.variables)
            block = model.get_layer("block_0")
            held = [*block.attention.variables, *block.up.variables, *block.down.variables]
            whole = {v.path for v in held if v._raw_value.sharding.is_fully_replicated}
            assert {path.partition("/")[2] for path in whole} == {
                "attention/attention_output/bias",
                "down/bias",
            }
    for name, found in results.items():
        for a, b in zip(found, results["none"], strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6, err_msg=name)
    assert needed["sequence"].activations < 0.6 * needed["batch"].activations, needed
    assert on_each < 0.5 * needed["batch"].weights, (on_each, needed)


CHECKS = [
    attention_in_parts,
    remat_accumulation_precision_and_every_distribution,
    a_model_larger_than_a_device,
]

if __name__ == "__main__":
    four_devices.run(CHECKS)
