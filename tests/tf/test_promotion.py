"""The modes "all" and "safe" of `tf.experimental.numpy.experimental_enable_numpy_behavior`.

All values are TensorFlow's.
"""

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf import operators, promotion

tnp = tf.experimental.numpy
METHODS = (
    "T __round__ astype data reshape tolist clip flatten max mean min ravel transpose __getitem__"
)


@pytest.fixture
def enable(monkeypatch):
    """Enables a mode for the time of a test."""
    for name in METHODS.split():
        monkeypatch.setattr(tf.Tensor, name, getattr(tf.Tensor, name, None), raising=False)
    monkeypatch.setattr(operators, "promoted", None)
    monkeypatch.setattr(promotion, "mode", "off")
    monkeypatch.setattr(promotion, "hook", None)

    def enable(mode):
        tnp.experimental_enable_numpy_behavior(dtype_conversion_mode=mode)

    return enable


def kind(x):
    return x.dtype.name + "*" * ("weak=True" in repr(x))


# A row for each dtype: what it becomes together with those of the columns; `!` in mode "all" only.
# Weak dtypes are those of numbers (i is int32, f is float32, F is float64, c is complex128).
TABLE = """
     u8   u16  u32  u64  i8   i16  i32  i64  bf   f16  f32  f64  c64  c128 i*   f*   F*   c*
b    u8   u16  u32  u64  i8   i16  i32  i64  bf   f16  f32  f64  c64  c128 i*   f*   F*   c*
u8   u8   u16  u32  u64  i16! i16  i32  i64  bf   f16  f32  f64  c64  c128 u8   F*!  F*   c*
u16  u16  u16  u32  u64  i32! i32! i32  i64  bf!  f16! f32  f64  c64  c128 u16  F*!  F*   c*
u32  u32  u32  u32  u64  i64! i64! i64! i64  bf!  f16! f32! f64  c64! c128 u32  F*!  F*   c*
u64  u64  u64  u64  u64  F*!  F*!  F*!  F*!  bf!  f16! f32! f64! c64! c128! u64 F*!  F*!  c*!
i8   i16! i32! i64! F*!  i8   i16  i32  i64  bf   f16  f32  f64  c64  c128 i8   F*!  F*   c*
i16  i16  i32! i64! F*!  i16  i16  i32  i64  bf!  f16! f32  f64  c64  c128 i16  F*!  F*   c*
i32  i32  i32  i64! F*!  i32  i32  i32  i64  bf!  f16! f32! f64  c64! c128 i32  F*!  F*   c*
i64  i64  i64  i64  F*!  i64  i64  i64  i64  bf!  f16! f32! f64! c64! c128! i64 F*!  F*!  c*!
bf   bf   bf!  bf!  bf!  bf   bf!  bf!  bf!  bf   f32! f32  f64  c64  c128 bf   bf   bf   c64!
f16  f16  f16! f16! f16! f16  f16! f16! f16! f32! f16  f32  f64  c64  c128 f16  f16  f16  c64!
f32  f32  f32  f32! f32! f32  f32  f32! f32! f32  f32  f32  f64  c64  c128 f32  f32  f32  c64!
f64  f64  f64  f64  f64! f64  f64  f64  f64! f64  f64  f64  f64  c128! c128 f64 f64  f64  c128
c64  c64  c64  c64! c64! c64  c64  c64! c64! c64  c64  c64  c128! c64 c128 c64  c64  c64  c64
i*   u8   u16  u32  u64  i8   i16  i32  i64  bf   f16  f32  f64  c64  c128 i*   f*   F*   c*
f*   F*!  F*!  F*!  F*!  F*!  F*!  F*!  F*!  bf   f16  f32  f64  c64  c128 f*   f*   F*   c*
F*   F*   F*   F*   F*!  F*   F*   F*   F*!  bf   f16  f32  f64  c64  c128 F*   F*   F*   c*
"""
NAMES = {"b": "bool", "bf": "bfloat16", "i*": "int32*", "f*": "float32*", "F*": "float64*"}
NAMES |= {"c*": "complex128*", "c64": "complex64", "c128": "complex128"}
NAMES |= {f"{k[0]}{n}": f"{k}{n}" for k in ("uint", "int", "float") for n in (8, 16, 32, 64)}


def test_the_table_of_dtypes():
    columns, *rows = [line.split() for line in TABLE.strip("\n").splitlines()]
    pair = lambda name: (tf.as_dtype(NAMES[name].rstrip("*")), name.endswith("*"))  # noqa: E731
    for row, *cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            found = pair(cell.rstrip("!"))
            assert promotion.joined(pair(row), pair(column), "all") == found, (row, column)
            assert promotion.joined(pair(column), pair(row), "all") == found
            if not cell.endswith("!"):
                assert promotion.joined(pair(row), pair(column), "safe") == found
                continue
            with pytest.raises(TypeError, match="mode 'safe' does not allow"):
                promotion.joined(pair(row), pair(column), "safe")


def test_operands(enable):
    enable("all")
    i8, i32 = tf.constant(2, tf.int8), tf.constant(10, tf.int32)
    f16, f32 = tf.constant(3.2, tf.float16), tf.constant(5.0, tf.float32)
    assert [kind(x) for x in (i32 + f32, tf.constant(1, tf.int64) + f16)] == ["float32", "float16"]
    assert kind(i8 + tf.constant(5, tf.uint32)) == "int64" and float(i32 - f32) == 5
    assert kind(i32 / i8) == "float64" and kind(2.0 * i8) == kind(i8 * 2.0) == "float64*"
    assert kind(i8 * 2) == "int8" and kind(f16 * 2.5) == "float16"
    assert kind(np.float64(2) + f16) == "float64" and kind(f16 + np.ones(2, np.int8)) == "float16"
    assert kind(tf.constant(1.2) + f16) == "float16" and kind(tf.constant(5) / 2) == "float64*"
    assert kind(5 // tf.constant(2)) == "int32*" and kind(tf.constant(2) ** 2.5) == "float32*"
    assert (tf.constant(5) == 5.0).numpy() and kind(tf.maximum(tf.constant(1), 2.5)) == "float32"
    for compare in (lambda: i32 < f32, lambda: i32 != f32, lambda: tf.atan2(f16, f32)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            compare()
    a, c = np.array(1, np.int8), np.array(1, np.float16)
    assert (
        kind(tf.add(tf.add(a, tf.constant(1)), c)) == kind(tf.add(c, tf.constant(1))) == "float16"
    )
    found = tf.matmul(tf.constant([[1, 2]]), tf.constant([[1.5], [2]], tf.float16))
    assert kind(found) == "float16" and found.numpy().tolist() == [[5.5]]
    assert kind(tf.clip_by_value(tf.constant([1, 5]), 2.0, 4.0)) == "float64*"
    with pytest.raises(OverflowError, match="int32"):
        i32 + 2**40
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    assert (ragged * 2.0).to_list() == [[2], [4, 6]]  # what has no dtype is as it was


def test_safe_mode(enable):
    enable("safe")
    i32, f32 = tf.constant(10, tf.int32), tf.constant(5.0, tf.float32)
    for unsafe in (
        lambda: i32 + f32,
        lambda: tf.constant(10, tf.int8) + tf.constant(5, tf.uint32),
        lambda: i32 * 2.5,
        lambda: tf.multiply(tf.constant(1, tf.int64), tf.constant(1.0, tf.float64)),
        lambda: tf.Variable(1.0).assign_add(i32),
    ):
        with pytest.raises(TypeError, match="mode 'safe' does not allow"):
            unsafe()
    assert kind(i32 + tf.constant(1.0, tf.float64)) == "float64" and kind(f32 * 2) == "float32"
    assert kind(tf.constant(1) + 2.5) == "float32*"


def test_weak_tensors(enable):
    enable("all")
    x = tf.constant([5.0, 10.0, 3])
    assert repr(tf.constant(5)) == "<tf.Tensor: shape=(), dtype=int32, numpy=5, weak=True>"
    assert str(tf.constant(5)) == "tf.Tensor(5, shape=(), dtype=int32, weak=True)"
    assert kind(x) == "float32*" and [kind(e) for e in x] == ["float32*"] * 3
    assert kind(tf.constant(5, tf.int32)) == "int32" and kind(tf.constant(np.ones(1))) == "float64"
    assert kind(tf.constant([])) == "float32*" and kind(tf.constant(1j)) == "complex128*"
    assert kind(tf.constant(True)) == "bool" and kind(tf.constant("a")) == "string"
    assert kind(tf.math.abs([100.0, 4.0])) == kind(-x) == kind(tf.reshape(x, [3, 1])) == "float32*"
    assert kind(tf.reduce_sum([1, 2])) == "int32*" and kind(abs(tf.constant(-5))) == "int32*"
    strong = [
        *(x[0], tf.convert_to_tensor(x), tf.convert_to_tensor([1.0]), tf.concat([x, x], 0)),
        *(tf.cast(x, tf.float32), x.to_tensor(), tf.zeros([1]), tf.nn.relu(x), tf.linalg.norm(x)),
        *(tf.square(np.float32(2)), tf.square(tf.Variable(2.0)), tf.nn.softmax(x)),
    ]
    assert [kind(y) for y in strong] == ["float32"] * len(strong)
    assert kind(tf.constant(tf.constant(10, tf.int16), tf.float32)) == "float32"
    assert kind(tf.constant(x, tf.float16)) == "float16"
    with pytest.raises((TypeError, ValueError), match="float32"):
        tf.constant(tf.constant(1.5, tf.float32), tf.int32)


def test_variables(enable):
    enable("all")
    v = tf.Variable(10)
    assert v.dtype is tf.int32 and v.assign_add(tf.constant(5, tf.int16)).numpy() == 15
    assert kind(v * 2.0) == "float64*" and kind(v * 2) == "int32"
    assert tf.Variable(1.0).assign(tf.constant(3, tf.int32)).numpy() == 3
    for value in (2.5, tf.constant(1, tf.int64)):
        with pytest.raises(TypeError, match="cannot change from int32"):
            v.assign(value)
    assert v.numpy() == 15


def test_gradients_and_functions(enable):
    enable("all")
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.constant([3, 4], tf.int16) * tf.square(x))
    assert kind(y) == "float64*"
    gradient = tape.gradient(y, x)
    assert kind(gradient) == "float32*" and gradient.numpy().tolist() == [6, 16]
    traced = []

    @tf.function
    def doubled(a):
        traced.append(kind(a))
        return a * 2.0, 1.5

    assert [kind(r) for r in doubled(x)] == ["float32*", "float32*"]
    assert kind(doubled(tf.constant([1.0, 2.0], tf.float32))[0]) == "float32"
    assert kind(doubled(tf.constant([1.0, 2.0], tf.float16))[0]) == "float16"
    doubled(x)
    assert traced == ["float32*", "float32", "float16"]


def test_numpy_functions(enable):
    enable("all")
    weak, i32, f32 = tf.constant([1, 2]), tf.constant([1, 2], tf.int32), tf.ones(2)
    assert kind(tnp.array(1)) == "int32*" and kind(tnp.array(1.0)) == "float32*"
    assert kind(tnp.array(1.0, np.float64)) == "float64" and kind(tnp.zeros(2)) == "float32"
    assert kind(tnp.arange(3)) == kind(tnp.sum(weak)) == "int32*" and kind(tnp.sum(i32)) == "int32"
    assert kind(tnp.sum(tf.constant([1], tf.uint8))) == "uint32"
    assert kind(tnp.sin(weak)) == kind(tnp.mean(weak)) == kind(weak.mean()) == "float32*"
    assert kind(tnp.sin(i32)) == "float32" and kind(weak.T) == kind(weak.reshape(2, 1)) == "int32*"
    assert kind(tnp.tile([0.5], 2)) == "float32" and kind(tnp.nansum([1, 2])) == "int32"
    assert kind(tnp.log2(f32)) == "float64" and kind(tnp.log10(weak)) == "float64*"
    image = [[[[1.0], [2]], [[3], [4]]]]
    assert kind(tf.nn.space_to_depth(image, 2)) == "float32*"
    assert kind(tnp.cumsum(tf.constant([1], tf.int8))) == "int32"
    assert kind(tnp.argsort(i32)) == "int32" and kind(tnp.stack([i32, f32])) == "float32"
    assert tnp.result_type(i32, f32) is tf.float32 and tnp.result_type(1, 2.5) is tf.float32
    assert kind(tnp.add(i32, f32)) == "float64"  # TensorFlow has numpy's dtype here
    assert (
        kind(tnp.matmul(i32, f32)) == "float32"
        and kind(tnp.where([True, False], i32, f32)) == "float32"
    )


def test_calls_within_the_package_are_not_promoted(enable):
    x = tf.random.stateless_uniform([1, 4, 4, 3], (1, 2))
    calls = [
        lambda: tf.image.adjust_hue(x, 0.1),
        lambda: tf.nn.softmax_cross_entropy_with_logits(x, x),
        lambda: tf.keras.layers.Conv2D(2, 3, kernel_initializer="ones")(x),
        lambda: tf.signal.stft(x[0, 0, :, 0], 2, 1),
    ]
    expected = [call() for call in calls]
    enable("all")
    for call, value in zip(calls, expected):
        found = call()
        assert found.dtype == value.dtype
        np.testing.assert_allclose(found, value)


def test_off_again(enable):
    enable("all")
    weak = tf.constant(1)
    enable("off")
    assert kind(tf.constant(1)) == "int32" and kind(weak + 1) == "int32"
    with pytest.raises(tf.errors.InvalidArgumentError):
        weak + tf.constant(1.0)
