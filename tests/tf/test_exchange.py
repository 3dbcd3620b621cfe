"""`tf.experimental.dlpack`, and modes of numpy's behaviour: what TensorFlow 2.21 gives."""

import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf
from keraslike.tf import operators

dlpack = tf.experimental.dlpack


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "bfloat16",
        "float16",
        "float32",
        "float64",
        "complex64",
        "int8",
        "int32",
        "int64",
        "uint8",
        "uint64",
    ],
)
def test_tensors_are_exchanged_in_capsules(dtype):
    x = tf.cast([[1, 2], [3, 0]], dtype)
    found = dlpack.from_dlpack(dlpack.to_dlpack(x))
    assert found.dtype == dtype and np.array_equal(found.numpy(), x.numpy())


def test_other_libraries_exchange_tensors():
    x = tf.constant([1.0, 2.0])
    assert np.from_dlpack(x).tolist() == jnp.from_dlpack(x).tolist() == [1.0, 2.0]
    array = np.arange(6.0).reshape(2, 3)
    assert dlpack.from_dlpack(array.__dlpack__()).numpy().tolist() == array.tolist()
    assert dlpack.from_dlpack(dlpack.to_dlpack(tf.zeros([0, 3]))).shape == [0, 3]


def test_errors_of_capsules():
    used = dlpack.to_dlpack(tf.constant(1.0))
    dlpack.from_dlpack(used)
    with pytest.raises(tf.errors.InvalidArgumentError, match="until it is used"):
        dlpack.from_dlpack(used)
    for given in (np.ones(3), 3.0, tf.Variable(1.0), tf.constant("a")):
        with pytest.raises(tf.errors.InvalidArgumentError, match="takes a tensor of numbers"):
            dlpack.to_dlpack(given)
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside of functions"):
        tf.function(dlpack.to_dlpack)(tf.constant(1.0))
    for given in (np.ones(3), 3):
        with pytest.raises(TypeError, match="takes a capsule"):
            dlpack.from_dlpack(given)


def test_modes_of_conversion(monkeypatch):
    enable = tf.experimental.numpy.experimental_enable_numpy_behavior
    monkeypatch.setattr(operators, "promoted", None)
    for name in ("T", "reshape", "astype"):  # these are set for the time of the test only
        monkeypatch.setattr(tf.Tensor, name, getattr(tf.Tensor, name, None), raising=False)
    with pytest.raises(ValueError, match="'legacy', 'all', 'safe' or 'off'"):
        enable(dtype_conversion_mode="x")
