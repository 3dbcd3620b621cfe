"""`import keras` as keraslike: each in a process of its own, since it is for the whole process."""

import os
import pathlib
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# Run by pytest itself, with `-p keraslike.as_keras`; its conftest has to be too late.
TESTS = """
import importlib

import numpy as np
import pytest


def test_public_modules():
    import keras
    import keras.api.layers
    import keras.layers
    import keraslike
    from keras import layers, ops
    from keras.optimizers import schedules

    assert layers is keras.layers is keras.api.layers is keraslike.layers
    assert keras.Model is keraslike.Model and schedules is keraslike.optimizers.schedules
    assert keras.version() == keras.__version__ != keraslike.__version__
    assert keras.__version__.startswith("3.") and keras.backend.backend() == "jax"
    assert importlib.util.find_spec("keras") is not None
    names = {}
    exec("from keras import *", names)
    assert names["Sequential"] is keraslike.Sequential


def test_names_that_only_tf_keras_has():
    import keras._tf_keras.keras
    from keras._tf_keras import keras as tf_keras
    from keras._tf_keras.keras.layers import Dense, RandomHeight, ThresholdedReLU
    from keras.layers import Dense as same
    from keras.src.backend.tensorflow.numpy import arange
    from keras.src.backend.tensorflow import convert_to_numpy
    from keras.src.utils.tf_utils import get_tensor_spec

    assert Dense is same and tf_keras.layers.RandomHeight is RandomHeight
    assert callable(tf_keras.losses.MAE) and tf_keras.Model is keras.Model
    assert "RandomHeight" in tf_keras.layers.__all__ and issubclass(ThresholdedReLU, keras.Layer)
    with pytest.raises(ImportError, match="Denze"):
        from keras._tf_keras.keras.layers import Denze  # noqa: F401
    assert convert_to_numpy([1.0]).shape == (1,) and arange(2).tolist() == [0, 1]
    spec = get_tensor_spec(np.ones((2, 3), "float32"), dynamic_batch=True, name="x")
    assert list(spec.shape) == [None, 3] and spec.dtype == "float32" and spec.name == "x"
    assert get_tensor_spec("text") is None


def test_what_is_replaced_there():
    from unittest import mock

    from keras.src.saving import saving_lib
    from keraslike.saving import keras_archive

    before = keras_archive._FLOOR, saving_lib.load_model
    with mock.patch("keras.src.saving.saving_lib._ZIP_MEMBER_BOMB_FLOOR_BYTES", 64):
        assert keras_archive._FLOOR == 64
    with mock.patch.object(saving_lib, "load_model", lambda path: path):
        assert saving_lib.load_model("m.keras") == "m.keras"
    assert (keras_archive._FLOOR, saving_lib.load_model) == before
    saving_lib.of_the_program = 1
    assert saving_lib.of_the_program == 1


def test_tensorflow():
    import keraslike.tf
    import tensorflow as tf
    import tensorflow.keras.backend
    from tensorflow import keras
    from tensorflow.keras.layers import Dense

    assert tf is keraslike.tf and keras is tf.keras and tf.math is keraslike.tf.math
    assert isinstance(Dense(2)(tf.ones((1, 3))), tf.Tensor)
    assert keras.__version__.startswith("3.") and tf.__version__.startswith("2.")
    with pytest.raises(ImportError, match="python"):
        import tensorflow.python


def test_modules_of_keras_2():
    import keras
    import keraslike
    from keras import objectives
    from keras.engine.topology import InputSpec, Layer
    from keras.layers.core import Dense
    from keras.layers.merge import concatenate
    from keras.utils import np_utils
    from tensorflow.keras.utils import vis_utils

    assert keras.utils.generic_utils.get_custom_objects is keraslike.utils.get_custom_objects
    assert Dense is keraslike.layers.Dense and concatenate is keraslike.layers.concatenate
    assert (InputSpec, Layer) == (keraslike.InputSpec, keraslike.Layer)
    assert np_utils.to_categorical([1]).tolist() == [[0.0, 1.0]]
    assert objectives is keraslike.losses and vis_utils.plot_model is keraslike.utils.plot_model
    assert "np_utils" not in dir(keras.utils)


def test_source_modules():
    import keraslike
    from keras.src import backend, layers, ops
    from keras.src.backend.common.keras_tensor import KerasTensor
    from keras.src.layers.core.dense import Dense
    from keras.src.ops.numpy import Mean, mean
    from keras.src.saving import saving_lib, serialization_lib

    assert layers.Dense is Dense is keraslike.layers.Dense
    assert ops.mean is mean is keraslike.ops.mean is backend.numpy.mean
    assert KerasTensor is backend.KerasTensor is keraslike.KerasTensor
    assert backend.standardize_dtype is keraslike.backend.standardize_dtype
    assert Mean(axis=1, keepdims=True)([[1.0, 2.0]]).tolist() == [[1.5]]
    assert Mean(axis=1)(keraslike.Input((3,))).shape == (None,)
    names = {}
    exec("from keras.src.ops.numpy import *", names)
    assert names["mean"] is mean


def test_what_packages_use_of_source_modules():
    import keraslike
    from keras.src.api_export import keras_export
    from keras.src.applications.imagenet_utils import correct_pad
    from keras.src.backend.common.backend_utils import canonicalize_axis
    from keras.src.layers.convolutional.base_conv import BaseConv
    from keras.src.layers.merging.base_merge import Merge
    from keras.src.saving.keras_saveable import KerasSaveable
    from keras.src.saving.saving_lib import _walk_saveable
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split
    from keras.src.utils.argument_validation import standardize_tuple
    from keras.src.utils.traceback_utils import filter_traceback
    from keras.src.version import __version__

    @keras_export("keras.layers.RandomAverage")
    class Weighted(Merge):
        def _merge_function(self, inputs):
            return 0.25 * inputs[0] + 0.75 * inputs[1]

    layer = Weighted()
    layer.inner = keraslike.layers.Dense(2)
    assert isinstance(layer, KerasSaveable) and __version__.startswith("3.")
    assert layer([np.ones((1, 2)), np.zeros((1, 2))]).tolist() == [[0.25, 0.25]]
    assert dict(_walk_saveable(layer))["inner"] is layer.inner
    (x, y, _), (x_val, _, _) = train_validation_split((np.ones(4), np.zeros(4), None), 0.25)
    assert len(x) == len(y) == 3 and len(x_val) == 1
    assert issubclass(keraslike.layers.Conv2D, BaseConv)
    assert correct_pad(keraslike.Input((5, 6, 3)), (5, 3)) == ((2, 2), (0, 1))
    assert canonicalize_axis(-1, 3) == 2 and standardize_tuple(2, 2, "strides") == (2, 2)
    with pytest.raises(ValueError, match="strides"):
        filter_traceback(standardize_tuple)((1, 2, 3), 2, "strides")


def test_a_seed_generator_of_a_named_backend():
    import keras.src.backend.jax as module
    from keras import random

    first, second = random.SeedGenerator(3, backend=module), random.SeedGenerator(3)
    drawn = module.random.uniform((2,), seed=first)
    assert drawn.tolist() == random.uniform((2,), seed=second).tolist()
    with pytest.raises(ValueError, match="Unrecognized"):
        random.SeedGenerator(3, backends=module)


def test_names_that_packages_add_for_get():
    import keraslike
    from keras.src import activations, initializers

    def bent(x):
        return 2 * x

    activations.ALL_OBJECTS_DICT["bent"] = bent
    try:
        assert keraslike.layers.Dense(1, activation="bent").activation is bent
        assert activations.ALL_OBJECTS_DICT["relu"] is keraslike.activations.relu
        assert "GlorotUniform" in initializers.ALL_OBJECTS_DICT
    finally:
        del activations.ALL_OBJECTS_DICT["bent"]


def test_a_package_that_deserializes_on_its_own_can_share_objects():
    import keraslike
    from keras.src.saving import serialization_lib as lib

    layer, other = keraslike.layers.Dense(1), keraslike.layers.Dense(1)
    config = {**keraslike.layers.serialize(other), "shared_object_id": 3}
    lib.record_object_after_deserialization(layer, 3)  # outside of a block, without effect
    with lib.ObjectSharingScope():
        lib.record_object_after_deserialization(layer, 3)
        assert keraslike.layers.deserialize(config) is layer
    assert keraslike.layers.deserialize(config) is not layer


@pytest.mark.parametrize(
    "line",
    [
        "from keras.src.layers.core.dense import Denze",
        "import keras.src.layers.core.denze",
        "from keras.src.layers.core.denze import Dense",
        "from keras import denze",
        "from keras.layers import Denze",
    ],
)
def test_what_is_not_there(line):
    with pytest.raises(ImportError, match="[Dd]enze") as raised:
        exec(line)
    assert "keras.src" not in line or "src_names.py" in str(raised.value)


def test_a_package_can_take_the_place_of_deserialize_for_nested_values():
    import inspect
    from unittest import mock

    import keras

    original = keras.saving.deserialize_keras_object

    def other(config):
        return int if config == "int" else original(config)

    place = inspect.getmodule(original), original.__name__
    with mock.patch.object(*place, other):
        assert other({"a": ["int", 2]}) == {"a": [int, 2]}
    assert original(["int"]) == ["int"]


def test_classes_of_packages_for_keras_need_not_be_registered():
    import keras
    import keras_hub

    config = keras.layers.serialize(keras_hub.Doubling(name="d"))
    assert type(keras.layers.deserialize(config)) is keras_hub.Doubling
    for other in ({"module": "pytest"}, {"class_name": "Path"}):
        with pytest.raises(TypeError, match="not known"):
            keras.layers.deserialize(config | other)


def test_absent_attributes():
    import keras
    import keras.src.layers as source

    assert not hasattr(keras, "Denze") and not hasattr(source, "Denze")
    with pytest.raises(AttributeError, match="keraslike has no such name"):
        keras.Denze

def test_results_have_the_method_numpy_of_tensors():
    import keras
    found = keras.layers.Dense(2)(keras.ops.ones((1, 3))).numpy()
    found += 1
    assert found.shape == (1, 2)
    assert {"b": 1}[["a", "b"][keras.ops.argmax(keras.ops.ones(3)).numpy() + 1]] == 1
"""


def run(*arguments, cwd=None, code=0, **env):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=env, text=True, capture_output=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_as_a_plugin_of_pytest(tmp_path):
    (tmp_path / "conftest.py").write_text("import keras\n")
    (tmp_path / "test_face.py").write_text(TESTS)
    package = "import keras\nfrom pathlib import Path\nclass Doubling(keras.Layer): pass\n"
    (tmp_path / "keras_hub.py").write_text(package)
    run("-m", "pytest", "-q", "-n", "1", "-p", "keraslike.as_keras", tmp_path, cwd=tmp_path)


@pytest.mark.slow
def test_around_a_script(tmp_path):
    script = tmp_path / "program.py"
    (tmp_path / "beside.py").write_text("from keras.layers import Dense\n")
    script.write_text(
        "import sys, keras, keraslike, beside\n"
        "print(__name__, sys.argv[1:], keras.layers is keraslike.layers, beside.Dense)\n"
        "import pickle\n"
        "class C: pass\n"
        "pickle.loads(pickle.dumps(C()))\n"
    )
    said = "__main__ ['--some', 'x'] True <class 'keraslike.layers.dense.Dense'>"
    assert said in run("-m", "keraslike", script, "--some", "x")
    assert said in run("-m", "keraslike", "run", "-m", "program", "--some", "x", cwd=tmp_path)


@pytest.mark.slow
def test_in_spawned_processes(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        "import multiprocessing, keras\n"
        "def tell(): print(keras.layers.Dense, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=tell)\n"
        "    child.start(); child.join()\n"
        "    print('code', child.exitcode)\n"
    )
    said = run("-m", "keraslike", script)
    assert "keraslike.layers.dense.Dense" in said and "code 0" in said


def test_usage(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keraslike"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("keraslike", run_name="__main__")
    assert "SCRIPT" in capsys.readouterr().err


def test_by_the_environment():
    program = "import keraslike, keras; print(keras.Model is keraslike.Model)"
    assert "True" in run("-c", program, KERASLIKE_AS_KERAS="1")


def test_refused_after_keras_itself():
    import keras

    import keraslike

    with pytest.raises(RuntimeError, match="before the first `import keras`"):
        keraslike.as_keras()
    assert sys.modules["keras"] is keras


@pytest.mark.slow
def test_beside_tensorflow(tmp_path):
    """As TensorFlow does: `tf.keras` comes from the package keras once it is asked for."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import importlib\n"
        "real = True\n"
        "def __getattr__(name):\n"
        "    if name == 'keras':\n"
        "        return importlib.import_module('keras._tf_keras.keras')\n"
        "    raise AttributeError(name)\n"
    )
    (package / "data.py").write_text("")
    program = (
        "import keraslike; keraslike.as_keras(); keraslike.as_keras()\n"
        "import tensorflow as tf, tensorflow.data\n"
        "assert tf.real and tf.keras.Model is keraslike.Model\n"
        "from tensorflow.keras.layers import Dense\n"
        "from tensorflow import keras\n"
        "assert Dense is keraslike.layers.Dense and keras.__version__ != keraslike.__version__\n"
    )
    run("-c", program, PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path))))
