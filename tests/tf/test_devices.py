"""`tf.config`, `tf.distribute` and `tf.Module`; names and values that TensorFlow has on a CPU."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from keraslike import distribution, tf

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]


def test_devices():
    config = tf.config
    cpu = config.list_physical_devices("CPU")[0]
    assert cpu == config.PhysicalDevice("/physical_device:CPU:0", "CPU")
    assert str(config.list_logical_devices()[0]) == (
        "LogicalDevice(name='/device:CPU:0', device_type='CPU')"
    )
    assert config.list_physical_devices("GPU") == []
    assert tf.constant(1.0).device == "/job:localhost/replica:0/task:0/device:CPU:0"
    assert tf.Variable(1.0).device == "/job:localhost/replica:0/task:0/device:CPU:0"
    cluster = tf.train.ClusterSpec({"worker": ["a:1", "b:2"], "ps": ["c:3"]})
    assert str(cluster) == "ClusterSpec({'ps': ['c:3'], 'worker': ['a:1', 'b:2']})"
    for name in ("/GPU:0", "/cpu:0", "CPU", "/job:localhost/replica:0/task:0/device:CPU:0"):
        with tf.device(name):  # what is not there is passed over
            assert tf.constant(1.0).device.endswith("CPU:0")
    assert config.get_soft_device_placement()
    config.set_soft_device_placement(False)
    missing = "no device '/job:localhost/replica:0/task:0/device:GPU:1000'"
    with pytest.raises(tf.errors.InvalidArgumentError, match=missing) as raised:
        tf.device("/gpu:1000")
    assert str(raised.value).endswith("Devices: [/job:localhost/replica:0/task:0/device:CPU:0].")
    config.set_soft_device_placement(True)
    with pytest.raises(ValueError, match="At least one device must stay visible"):
        config.set_visible_devices([])
    with pytest.raises(ValueError, match="Unrecognized device"):
        config.set_visible_devices(config.PhysicalDevice("/physical_device:TPU:9", "TPU"))
    with pytest.raises(ValueError, match="non-GPU"):
        config.experimental.set_memory_growth(cpu, True)
    config.set_visible_devices(cpu, "CPU")
    assert config.get_visible_devices() == [cpu]
    config.set_logical_device_configuration(cpu, [config.LogicalDeviceConfiguration()])
    with pytest.raises(RuntimeError, match="cannot be modified"):
        config.set_logical_device_configuration(cpu, [config.LogicalDeviceConfiguration()] * 2)
    with pytest.raises(RuntimeError, match="after initialization"):
        config.threading.set_intra_op_parallelism_threads(7)
    config.experimental.enable_op_determinism()  # a CPU is so


def test_functions_run_by_python():
    seen = []

    @tf.function
    def f(x):
        seen.append(x)
        return x + 1

    for eagerly, count in ((False, 1), (True, 3), (False, 3)):
        tf.config.run_functions_eagerly(eagerly)
        assert tf.config.functions_run_eagerly() == eagerly
        assert [int(f(tf.constant(1))) for _ in range(2)] == [2, 2]
        assert len(seen) == count


def test_modules_and_scopes():
    class Dense(tf.Module):
        def __init__(self, size, name=None):
            super().__init__(name)
            self.w = tf.Variable(tf.ones([2, size]), name="w")
            self.b = tf.Variable(tf.zeros([size]), name="b", trainable=False)

        @tf.Module.with_name_scope
        def __call__(self, x):
            if not hasattr(self, "late"):
                self.late = tf.Variable(1.0, name="late")
            return x @ self.w + self.b * self.late

    class Both(tf.Module):
        def __init__(self):
            super().__init__()
            self.parts = [Dense(2), {"second": Dense(1, "second")}]
            self.a = tf.Variable(0.0)
            self.again = self.parts[0].w

        @tf.function
        def __call__(self, x):
            return self.parts[1]["second"](self.parts[0](x))

    both = Both()
    assert both(tf.ones([1, 2])).numpy().tolist() == [[4.0]]
    names = ["Variable:0", "w:0", "b:0", "dense/late:0", "b:0", "second/late:0", "w:0"]
    assert [v.name for v in both.variables] == names  # TensorFlow's order
    assert [v.name for v in both.non_trainable_variables] == ["b:0"] * 2
    assert [m.name for m in both.submodules] == ["dense", "second"]
    with tf.GradientTape() as tape:
        out = tf.reduce_sum(both(tf.ones([1, 2])))
    assert [g is None for g in tape.gradient(out, both.trainable_variables)] == [True, *[False] * 4]
    with pytest.raises(ValueError, match="not a valid module name"):
        tf.Module("a b")
    with tf.name_scope("a"), tf.name_scope("b/c") as scope:
        assert (scope, tf.Variable(1.0, name="x/y").name) == ("a/b/c/", "a/b/c/x/y:0")
        with tf.name_scope("d/") as scope:
            assert scope == "d/"


def test_flattened_modules():
    """The paths, orders and errors of TensorFlow 2.21."""

    class Part(tf.Module):
        _TF_MODULE_IGNORED_PROPERTIES = frozenset({"hidden"})

    def is_variable(x):
        return isinstance(x, tf.Variable)

    m = Part()
    m.w, m.t = tf.Variable(1.0), (tf.Variable(2.0), [tf.Variable(3.0)])
    m.d = {"b": tf.Variable(4.0), "a": tf.Variable(5.0)}
    m.hidden, m.text = tf.Variable(6.0), "text"
    m.sub = tf.Module()
    m.sub.x, m.sub.back = tf.Variable(7.0), m
    paths = [("d", "a"), ("d", "b"), ("t", 0), ("t", 1, 0), ("w",)]
    assert [float(v) for v in m.variables] == [5.0, 4.0, 2.0, 3.0, 1.0, 7.0]
    named = [path for path, _ in m._flatten(predicate=is_variable, with_path=True)]
    assert named == [*paths, ("sub", "x"), *(("sub", "back", *path) for path in paths)]
    own = [path for path, _ in m._flatten(recursive=False, with_path=True)]
    assert own == [
        ("_name",),
        ("_name_scope",),
        *paths[:2],
        ("sub",),
        *paths[2:4],
        ("text",),
        ("w",),
    ]
    turned = m._flatten(predicate=is_variable, attribute_traversal_key=lambda name: -ord(name[0]))
    assert [float(v) for v in turned] == [1.0, 2.0, 3.0, 5.0, 4.0, 7.0]

    held = tf.Module()
    held.r, held.s = tf.ragged.constant([[1]]), tf.sparse.from_dense([1])
    parts = held._flatten(predicate=tf.is_tensor, with_path=True, expand_composites=True)
    kinds = [("r", "RaggedTensor", i) for i in range(2)]
    kinds += [("s", "SparseTensor", i) for i in range(3)]
    assert [path for path, _ in parts] == kinds
    assert list(held._flatten(predicate=tf.is_tensor)) == [held.r, held.s]

    class Overrides(tf.Module):
        def _flatten(self, *args, **kwargs):
            yield from super()._flatten(*args, **kwargs)
            yield "more"

    assert Overrides().variables == ("more",)
    held.unordered = {object(): None, object(): None}
    with pytest.raises(ValueError, match="Error processing property 'unordered'"):
        held.variables  # noqa: B018


def test_the_scope_of_a_module_can_be_entered_again():
    module = tf.Module("m")
    assert module.name_scope is module.name_scope
    with module.name_scope, module.name_scope as name:
        assert name == "m/"
    with module.name_scope:
        with module.name_scope:
            pass
        assert tf.get_current_name_scope() == "m"
    assert tf.get_current_name_scope() == ""
    assert jax.tree.structure(module) == jax.tree.structure(tf.Module("m"))


def test_strategies(monkeypatch):
    distribute = tf.distribute
    assert distribute.get_strategy().num_replicas_in_sync == 1 and not distribute.has_strategy()
    assert not distribute.in_cross_replica_context()
    for strategy in (
        distribute.MirroredStrategy(),
        distribute.MirroredStrategy([]),
        distribute.MultiWorkerMirroredStrategy(),
        distribute.OneDeviceStrategy("/cpu:0"),
        distribute.experimental.CentralStorageStrategy(),
    ):
        with strategy.scope() as current:
            assert current is distribute.get_strategy() and distribute.has_strategy()
            assert distribute.get_replica_context() is None
            assert isinstance(distribution.distribution(), distribution.DataParallel)
        out = strategy.run(lambda x: x + 1, args=(tf.constant([1.0, 2.0]),))
        assert strategy.reduce("MEAN", out, axis=None).numpy().tolist() == [2.0, 3.0]
        assert float(strategy.reduce(distribute.ReduceOp.SUM, out, axis=0)) == 5.0
    distribution.set_distribution(None)
    with pytest.raises(ValueError, match="provide a TPU Name"):
        distribute.cluster_resolver.TPUClusterResolver()
    cluster = {"worker": ["a:1", "b:1"], "chief": ["c:1"]}
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    resolver = distribute.cluster_resolver.TFConfigClusterResolver()
    assert resolver.cluster_spec().as_dict() == cluster
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)


def test_two_replicas():
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.tf.replicas"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["count"] == 2 and found["numbers"] == [0, 1]
    one, two = (jax.tree.leaves(found[name]) for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=1e-5)
    assert two[-1] == 8.0
    # Without a seed of its own, an operation draws other numbers on each replica.
    assert found["random"] == [6, 6, 3] and found["streams"] == 12
    expected = [[-0.8793045, 0.0206616], [-1.5822568, 0.7753924]]
    np.testing.assert_allclose(found["own streams"], expected, rtol=1e-5)
    assert found["state"] == [513, 0, 0]
    assert found["shown"] == [
        "PerReplica:{\n  0: tf.Tensor([0 1], shape=(2,), dtype=int64),\n"
        "  1: tf.Tensor([2 3], shape=(2,), dtype=int64)\n}",
        "PerReplica:{\n  0: <tf.Tensor: shape=(), dtype=int32, numpy=1>,\n"
        "  1: <tf.Tensor: shape=(), dtype=int32, numpy=1>\n}",
    ]
    assert found["more"] is False and found["twice"] == [[0, 2], [4, 6]]
    assert found["all_reduce"] == [3.0, 0.0] and found["mean"] == [1.5, 0.0]
    assert found["mean of all"] == 0.75 and found["gathered"] == [1.0, 0.0, 2.0, 0.0]
    assert found["from function"] == [[[0, 1], [2, 3]]]
    assert "aggregation" in found["errors"][0] and "cannot be divided" in found["errors"][1]
