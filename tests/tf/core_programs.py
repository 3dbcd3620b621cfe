"""One-line programs over tensors, with what TensorFlow gives: `python tests/tf/core_programs.py`,
where it is installed, writes `core_programs.json`."""

import json
import os

import numpy as np

PATH = os.path.splitext(__file__)[0] + ".json"
NAN, INF = float("nan"), float("inf")


def names(tf):
    def seeded(program):
        tf.random.set_seed(5)
        return program()

    def runs(function):
        traced = tf.function(function)
        return [traced(), traced()]

    def slope(function, *given):
        given = [tf.convert_to_tensor(x) for x in given]
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = function(*given)
        return tape.gradient(y, given)

    def projected(x, interpolation, fill_mode, shape=(2, 5)):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.reshape(x, [1, 3, 4, 1]),
            transforms=[[1.0, 0.2, 0.5, -0.1, 0.9, 1.0, 0.01, 0.0]],
            output_shape=shape,
            fill_value=0.5,
            interpolation=interpolation,
            fill_mode=fill_mode,
        )

    @tf.custom_gradient
    def half(x, y):
        return x * y, lambda upstream: (upstream * y, None)

    return {
        "seeded": seeded,
        "runs": runs,
        "slope": slope,
        "projected": projected,
        "half": half,
        "power": lambda x: tf.while_loop(lambda y: y < 20.0, lambda y: (y * x,), (x,))[0],
        "slices": tf.IndexedSlices(_two_rows(tf), tf.constant([0, 0]), tf.constant([3, 2])),
        "g": tf.random.Generator.from_seed,
        "tf": tf,
        "np": np,
        "c": tf.constant,
        "S": tf.TensorShape,
        "nan": NAN,
        "inf": INF,
        "v": tf.Variable([1.0, 2.0, 3.0]),
        "rows": lambda indices, values: tf.IndexedSlices(tf.constant(values), tf.constant(indices)),
    }


def _two_rows(tf):
    return tf.constant([[1.0, 2.0], [3.0, 4.0]])


# Numbers as tensors of a dtype that is asked for, or that an operand has.
_VALUES = (
    "1|-1|300|2**31|2**70|1.5|1e40|True|[True,False]|1j|'a'|[]|np.float64(1.5)|np.array([1.5])"
    "|np.array([True])|np.array([-1,300])|np.array([1j])|[np.float64(1.5)]|[np.float16(1.5)]"
    "|[np.int64(3)]|[np.uint8(3)]|[1,np.float64(1.5)]|np.array([1],dtype=object)|np.array(['a'])"
)
CONVERSIONS = [
    f"c({value}, {dtype})"
    for value in _VALUES.split("|")
    for dtype in ("None", "tf.float32", "tf.int32", "tf.uint8", "tf.bool", "tf.complex64")
] + [f"c([1, 2], tf.int32) + {value}" for value in _VALUES.split("|")]

SHAPES = """
S(None)
str(S(None))
S(None).rank
len(S(None))
list(S(None))
S(None).as_list()
S(None)[0]
S(None)[1:3]
S(None) + [2]
S([2]) + S(None)
S(None) == S([None])
S([2]).is_compatible_with(None)
S([2, 3]).merge_with([None, 3])
S([2, 3]).merge_with([2, 4])
S([2, 3]).most_specific_compatible_shape([2, 4])
S([2, 3]).most_specific_compatible_shape([2])
S([2, 3]).is_subtype_of(S([None, 3]))
S([2, 3]).with_rank(3)
S(None).with_rank(2)
S([2]).assert_same_rank([1, 2])
S([-1])
S("a")
tf.TensorSpec(None).shape
tf.uint8.is_unsigned
tf.bool.is_numeric
tf.complex64.real_dtype
tf.uint8.limits
"""

NUMBERS = """
c(7) // c(0)
c(7) % c(0)
c([1.0, -1.0]) // c([0.1, inf])
tf.sign(c([-0.0, nan]))
tf.math.divide_no_nan(c(7), c([0, 2]))
tf.reduce_max(c([], tf.float32))
tf.reduce_min(c([], tf.int32))
tf.reduce_max(tf.zeros([2, 0], tf.int64), axis=1)
tf.argmax(c([nan, 1.0]))
tf.argmin(c([1.0, nan, 0.0]))
tf.clip_by_value(c([1.0, 5.0]), 6.0, 2.0)
tf.clip_by_value(c([1, 5]), 6, 2)
tf.clip_by_global_norm([c([inf]), c([4.0])], 1.0)
tf.norm(c([3 + 4j, 0]))
tf.norm(c([3, 4]))
tf.cast(c([nan, inf, -inf, 1e20, -1e20, 3.9, -3.9]), tf.int32)
tf.cast(c([nan, inf, -inf, 1e20, -1e20, 3.9, -3.9]), tf.int64)
tf.cast(c([300.0, -1.0, 3.9, 1e10]), tf.uint8)
tf.cast(c([300.0, -1.0, 200.0]), tf.int8)
tf.cast(c([300.0, -1.0, 3e9, 1e20]), tf.uint32)
tf.cast(c([300.0, -1.0], tf.float16), tf.uint8)
tf.saturate_cast(c([1e20, -1e20, nan]), tf.int32)
tf.saturate_cast(c([-5]), tf.uint32)
tf.saturate_cast(c([-1, 255]), tf.uint64)
tf.saturate_cast(c([300, -300]), tf.int8)
tf.saturate_cast(c([1e10]), tf.float16)
tf.saturate_cast(c([1 + 2j]), tf.float32)
tf.bitwise.left_shift(c([1, -1, 1]), c([31, 33, -1]))
tf.bitwise.right_shift(c([-8, 8]), c([1, 40]))
~c([5])
~c([True])
c(1) == None
c(1) != None
c([1, 2]) == c([1, 2, 3])
c([1, 2]) != c([1, 2, 3])
tf.equal(c([1, 2]), c([1, 2, 3]))
tf.math.segment_mean(c([1, 2, -4, -3]), c([0, 0, 2, 2]))
tf.linspace(0, 10, 5)
"""

ERRORS = """
c([1, 2, 3])[5]
c([1, 2])[0, 0]
c(1)[0]
tf.squeeze(c([[1, 2]]), 1)
tf.transpose([1, 2], [1, 0])
tf.expand_dims([1], 5)
tf.concat([[[1]], [2]], 0)
c([1, 2]) + c([1, 2, 3])
tf.broadcast_to([1, 2], [3])
tf.reduce_sum([1], 5)
tf.argmax([1], 3)
tf.roll([1], 1, 3)
tf.pad([1], [[1, 1], [0, 0]])
tf.matmul([[1.0]], [[1.0], [2.0]])
tf.nn.conv2d(tf.zeros([1, 2, 2, 3]), tf.zeros([1, 1, 2, 1]), 1, "SAME")
tf.reduce_sum([1], no_such_argument=1)
"""

LOOPS = """
tf.while_loop(lambda a, b: a < 3, lambda a, b: [a + 1, b], (c(0), c(1)))
tf.while_loop(lambda *a: False, lambda *a: a, {"a": c(0)})
tf.cond(c([True]), lambda: 1.0, lambda: 2.0)
tf.map_fn(tf.range, c([1, 2]), fn_output_signature=tf.RaggedTensorSpec([None], tf.int32))
tf.map_fn(tf.strings.length, c(["a", "bc"]), fn_output_signature=tf.int32)
tf.map_fn(tf.reduce_sum, tf.ragged.constant([[1, 2], [3]]), fn_output_signature=tf.int32)
tf.map_fn(lambda t: (tf.as_string(t), t), c([1, 2]), fn_output_signature=(tf.string, tf.int32))
c([[1, 2], [3, 4]])[[0, 1]]
bool(c([]))
tf.is_tensor(tf.ragged.constant([[1]]))
"""

VARIABLES = """
v.scatter_mul(rows([0, 2], [2.0, 3.0]))
v.scatter_div(rows([0, 2], [2.0, 3.0]))
v.scatter_max(rows([0, 2], [2.0, 1.0]))
v.scatter_min(rows([0, 2], [2.0, 1.0]))
v.batch_scatter_update(rows([0, 2], [2.0, 1.0]))
v.scatter_nd_max([[0]], [5.0])
v.scatter_nd_min([[0]], [-5.0])
v.scatter_mul(rows([5], [1.0]))
v.sparse_read([2, 0])
v.sparse_read([7])
v.gather_nd([[2], [0]])
v.set_shape([3])
v.set_shape([4])
bool(tf.Variable(0))
"""

RANDOM = """
tf.random.stateless_uniform([3], [1, 2])
tf.random.stateless_uniform([2, 3], [1, 2], -1, 3)
tf.random.stateless_uniform([3], [1, 2], 0, 10, tf.int32)
tf.random.stateless_uniform([3], [1, 2], -5, 10**12, tf.int64)
tf.random.stateless_uniform([3], [1, 2], dtype=tf.float64)
tf.random.stateless_uniform([3], [1, 2], dtype=tf.float16)
tf.random.stateless_uniform([3], [1, 2], None, None, tf.int32)
tf.random.stateless_normal([5], [1, -2], 3.0, 2.0)
tf.random.stateless_normal([3], [1, 2], dtype=tf.float64)
tf.random.stateless_truncated_normal([9], [1, 2])
tf.random.experimental.stateless_shuffle(tf.range(9), [1, 2])
tf.random.experimental.stateless_shuffle(tf.range(9), [1, 2, 3])
tf.py_function(lambda: [1, 2], [], tf.int64)
tf.py_function(lambda: [1, 2], [], [tf.int64])
tf.py_function(lambda: 1.5, [], tf.int64)
tf.py_function(Tout=tf.float32)(lambda x, y: x + y)(1.0, tf.constant(2.0))
tf.numpy_function(Tout=tf.int32)(lambda x: x * x)(tf.constant([3]))
tf.map_fn(tf.square, tf.ragged.constant([[3, 1], [], [5]]))
tf.map_fn(lambda x: (x[0] + x[1], x[1]), (tf.ragged.constant([[3, 1], [], [5]]), tf.range(3)))
tf.function(lambda: tf.map_fn(tf.square, tf.ragged.constant([[3, 1], [], [5]])))()
tf.io.decode_base64("a+/a")
tf.random.stateless_truncated_normal([40], [5, 6])
tf.random.stateless_categorical([[1.0, 2.0, 3.0], [0.0, -inf, 1.0]], 5, [1, 2])
tf.random.split([1, 2], 2)
tf.random.fold_in([1, 2], 3)
g(7).normal([3])
g(7).uniform([3], 1.0, 2.0)
g(7).uniform([3], 0, 10, tf.int32)
g(7).truncated_normal([3])
g(7).uniform_full_int([2], tf.int64)
g(7).state.value()
g(7).split(2)[1].normal([2])
g(7).make_seeds(2)
(lambda x: [x.normal([2]), x.normal([2]), x.state.value()])(g(7))
(lambda x: [x.skip(10), x.normal([2])])(g(7))
(lambda x: [x.reset_from_seed(3), x.normal([2])])(g(7))
tf.random.Generator.from_state([1, 2, 3], alg="philox").normal([2])
tf.random.Generator.from_key_counter(1, [0, 0], "philox").normal([2])
seeded(lambda: [tf.random.uniform([3]), tf.random.uniform([3])])
seeded(lambda: tf.random.normal([2, 3], 1.0, 2.0))
seeded(lambda: [tf.random.uniform([3], seed=1), tf.random.uniform([3], seed=1)])
seeded(lambda: [tf.random.normal([3], seed=1), tf.random.normal([3], seed=2)])
seeded(lambda: tf.random.uniform([3], 0, 10, tf.int32))
seeded(lambda: tf.random.truncated_normal([3]))
seeded(lambda: tf.random.shuffle([1, 2, 3, 4, 5]))
seeded(lambda: tf.random.categorical([[1.0, 2.0]], 5))
seeded(lambda: tf.nn.dropout(tf.ones([8]), 0.5))
seeded(lambda: [tf.random.gamma([2], [0.5, 1.0, 2.5], seed=4) for _ in range(2)])
seeded(lambda: tf.random.gamma([3], 30.0, beta=2.0, dtype=tf.float64))
seeded(lambda: [tf.random.poisson([2], [0.5, 12.0, 2.5], seed=4) for _ in range(2)])
seeded(lambda: tf.random.poisson([3], 70.0, dtype=tf.int32))
seeded(lambda: tf.random.truncated_normal([5], dtype=tf.float64))
seeded(lambda: [tf.random.categorical([[0.0, 1.0, 2.0]], 3, seed=3) for _ in range(2)])
seeded(lambda: [tf.random.shuffle([1, 2, 3, 4, 5], seed=3) for _ in range(2)])
seeded(lambda: runs(lambda: [tf.random.uniform([2], seed=1), tf.random.normal([2], seed=1)]))
seeded(lambda: runs(lambda: [tf.random.poisson([2], 4.0, seed=1), tf.random.shuffle([1, 2, 3], 1)]))
seeded(lambda: runs(lambda: tf.random.categorical([[0.0, 1.0]], 3, seed=1)))
tf.random.stateless_gamma([2, 3], [1, 2], alpha=[0.7, 1.0, 9.0], beta=3.0)
tf.random.stateless_poisson([2, 3], [1, 2], lam=[0.7, 10.0, 90.0])
slope(lambda a: tf.random.stateless_gamma([2, 2], [1, 2], alpha=a), [0.5, 3.0])
seeded(lambda: tf.image.random_flip_left_right(tf.reshape(tf.range(8), [4, 1, 2, 1])))
seeded(lambda: tf.image.random_crop(tf.range(24), [3]))
seeded(lambda: tf.image.random_brightness(tf.zeros([1, 1, 3]), 0.3))
tf.image.stateless_random_flip_left_right(tf.reshape(tf.range(8), [4, 1, 2, 1]), [1, 2])
tf.image.stateless_random_contrast(c([[[1.0, 0.0, 0.5]], [[0.0, 1.0, 0.0]]]), 0.3, 0.9, [1, 2])
tf.image.stateless_random_crop(tf.range(24), [3], [1, 2])
tf.random.uniform([2], 5, 1, tf.int32)
tf.function(lambda n: tf.random.stateless_uniform([4], [1, 2], 2, n, tf.int32))(c(50))
tf.function(lambda n: tf.random.stateless_uniform([2], [1, 2], 0, n, tf.int32))(c(0))
seeded(lambda: tf.function(lambda n: tf.random.uniform([4], n, 50, tf.int32, seed=3))(c(2)))
slope(lambda w: tf.random.stateless_uniform([3], [1, 2], 0.0, w), 3.0)
tf.map_fn(lambda x: 2 * x, c([1, 2]), fn_output_signature=np.dtype("int32"))
tf.random.uniform([2], dtype=tf.int32)
"""

MORE = """
tf.unique([1.0, nan, nan])
tf.signal.hamming_window(5)
tf.signal.hann_window(5)
tf.signal.hann_window(6)
tf.math.in_top_k([5, 1], [[0.1, 0.9], [0.1, 0.9]], 1)
tf.nn.softmax_cross_entropy_with_logits(labels=[[0, 1]], logits=[[2.0, 1.0]])
tf.nn.sparse_softmax_cross_entropy_with_logits([5], [[2.0, 1.0]])
tf.nn.sparse_softmax_cross_entropy_with_logits([[1]], [[2.0, 1.0]])
tf.nn.bias_add(tf.zeros([1, 2]), [1.0])
tf.nn.dropout(c([1.0]), 1.5)
tf.searchsorted([[1, 3], [2, 4]], [[3], [3]])
tf.math.count_nonzero(c(["a", ""]))
tf.linalg.inv(tf.zeros([2, 2]))
tf.linalg.solve(tf.zeros([2, 2]), tf.zeros([2, 2]))
tf.linalg.solve(tf.eye(2), c([1.0, 2.0]))
tf.linalg.lu(tf.zeros([2, 2]))
tf.tile(c(["a"]), [2])
tf.fill([2], "x")
tf.zeros([2], tf.string)
tf.where(c([True, False]), "a", "b")
tf.pad(c(["a"]), [[1, 0]], constant_values="z")
tf.constant("a", shape=[2])
tf.image.rgb_to_grayscale(c([[[140, 203, 53], [7, 9, 250]]], tf.uint8))
"""

SLICES = """
tf.convert_to_tensor(slices)
slices * tf.ones([3, 2])
tf.reduce_sum(slices, 1)
[slices.shape, slices.dtype.name, slices.dense_shape, (-slices).values]
tf.clip_by_value(slices, 1.5, 3.5).values
tf.clip_by_norm(slices, 1.0).values
[tf.clip_by_global_norm([slices, None, tf.ones(2)], 1.0)[0][i] for i in (1, 2)]
tf.clip_by_global_norm([slices, None, tf.ones(2)], 1.0)[0][0].values
tf.linalg.global_norm([slices, None, tf.ones(2)])
tf.math.scalar_mul(2.0, slices).values
tf.add_n([slices, tf.ones([3, 2])])
len(tf.nest.flatten([slices, tf.ragged.constant([[1], [2]])], expand_composites=True))
slope(half, 2.0, 3.0)
tf.function(lambda x, y: slope(half, x, y))(c(2.0), c(3.0))
slope(tf.function(half), 2.0, 3.0)
tf.function(lambda x: tf.while_loop(lambda i, x: i < 99, lambda i, x: (i + 1, x + 1), (0, x)))(c(1))
tf.function(lambda x: tf.gradients(power(x), x))(c(2.0))
tf.function(lambda x: tf.gradients(power(x * 2.0) * x, x))(c(2.0))
tf.function(lambda x: tf.gradients(tf.map_fn(lambda e: e * x, x), x))(c([2.0, 3.0]))
tf.function(lambda x: tf.gradients(tf.cond(x > 1.0, lambda: x * x, lambda: x), x))(c(2.0))
tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([None])).output_shapes
tf.function(lambda x: tf.Variable(1.0) * x)(c(2.0))
tf.map_fn(lambda e: e[0] + 2 * e[1], [c([1, 2]), c([3, 4])], fn_output_signature=tf.int32)
tf.map_fn(lambda e: {"s": e["a"] + 1}, {"a": c([1, 2])}, fn_output_signature={"s": tf.int32})
list(tf.vectorized_map(lambda x: {"z": x, "a": x}, c([1])))
list(tf.scan(lambda s, x: {"z": s["z"] + x, "a": x}, c([1]), {"z": 0, "a": 0}))
list(tf.function(lambda x: tf.cond(x > 0, lambda: dict(z=x, a=x), lambda: dict(z=x, a=-x)))(c(1)))
tf.function(lambda p: tf.cond(p, lambda: 1, lambda: 2))(c([[False]]))
tf.function(lambda p: 1 if p else 2)(c([True]))
tf.split(tf.RaggedTensor.from_row_lengths(tf.reshape(tf.range(8), [2, 4]), [0, 2]), [1, 3], -1)
tf.concat([tf.RaggedTensor.from_row_lengths(tf.reshape(tf.range(8), [2, 4]), [0, 2])] * 2, -1)
tf.switch_case(c(0), [(1, lambda: c(1)), (0, lambda: c(2))])
tf.function(lambda i: tf.switch_case(i, [(1, lambda: c(1)), (0, lambda: c(2))]))(c(1))
tf.switch_case(c(1), {0: lambda: c(1), 2: lambda: c(2)})
tf.map_fn(lambda n: tf.reduce_sum(tf.range(n)), c([1, 2, 4]))
tf.scan(lambda s, x: [s[0] + x[0], s[1] * x[1]], [c([1, 2, 3]), c([3, 4, 5])])
tf.scan(lambda s, x: (s[0] + x[0], s[1] - x[1]), (c([1, 2]), c([3, 4])), reverse=True)
tf.foldl(lambda s, x: [s[0] + x[0], s[1] - x[1]], [c([1, 2, 3]), c([3, 4, 5])])
tf.foldr(lambda s, x: {"a": s["a"] - x["a"]}, {"a": c([1, 2, 3])})
[projected(tf.range(12.0), "NEAREST", m) for m in ("CONSTANT", "REFLECT", "WRAP", "NEAREST")]
[projected(tf.range(12.0), "BILINEAR", m) for m in ("CONSTANT", "REFLECT", "WRAP", "NEAREST")]
projected(tf.cast(tf.range(12), tf.uint8), "BILINEAR", "CONSTANT")
slope(lambda x: projected(x, "BILINEAR", "CONSTANT", (3, 4)) * tf.range(3.0), tf.range(12.0))
tf.gather(tf.ragged.constant([[1, 2, 3], [4, 5]]), [[0, 1], [1, 0]], batch_dims=1)
tf.gather(tf.ragged.constant([[1, 2, 3], [4, 5]]), tf.ragged.constant([[2], [1, 0]]), batch_dims=1)
tf.gather(tf.reshape(tf.range(6), (2, 3)), tf.ragged.constant([[2], [1, 0, 0]]), batch_dims=1)
tf.gather(tf.reshape(tf.range(6), (2, 3)), tf.ragged.constant([[[2], []], [[1]]]), batch_dims=-2)
tf.gather(tf.reshape(tf.range(6), (2, 3)), tf.ragged.constant([[2], [1, 0, 0]]), axis=1)
tf.gather(tf.ragged.constant([[1, 2, 3], [4, 5]]), [1, 0], axis=1)
tf.gather(tf.ragged.constant([[[1, 2], [3]], [[4, 5]]]), [0], axis=2)
tf.gather(tf.ragged.constant([[[1, 2], [3]], [[4]]]), tf.ragged.constant([[1], [0]]), batch_dims=1)
tf.gather(tf.ragged.constant([["a", "b"], ["c"]]), tf.ragged.constant([[1], [0]]), batch_dims=1)
tf.gather(tf.ragged.constant([[1, 2, 3], [4, 5]]), [[2], [2]], batch_dims=1)
tf.map_fn(lambda x: x * 2, tf.ragged.constant([[[1], [2, 3]], [[4, 5, 6]]]))
tf.map_fn(lambda x: (x[0], x[1] + x[0][0]), (tf.ragged.constant([[1, 2], [3]]), c([1, 2])))
tf.map_fn(lambda x: tf.cast(x, tf.float32), tf.ragged.constant([[1, 2], [3]]))
tf.map_fn(lambda x: x * 2.0, tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]]))
tf.function(lambda r: tf.map_fn(lambda x: x * 2, r))(tf.ragged.constant([[1, 2], [3]]))
tf.gather(c([["a", "b"], ["c", "d"]]), [[1], [0]], batch_dims=1)
tf.gather_nd(c([["a", "b"], ["c", "d"]]), [[1], [0]], batch_dims=1)
c([["a", "b"], ["c", "d"]])[c(1)]
tf.function(lambda i: c(["a", "b"])[i])(c(1))
tf.function(lambda i: tf.gather(c(["a", "b"]), i))(c([1, 0]))
tf.function(lambda i: tf.reverse(c(["a", "b"]), [0]) if i > 0 else c(["a", "b"]))(c(1))
tf.gather_nd(tf.ragged.constant([[1, 2], [3]]), tf.ragged.constant([[[0, 1]], []], ragged_rank=1))
tf.strings.reduce_join(tf.ragged.constant([["b", "a"], ["c"]]))
tf.strings.reduce_join(tf.ragged.constant([["b", "a"], ["c"]]), -1, True, ",")
tf.strings.reduce_join(tf.ragged.constant([[["a", "b"], ["c"]], [["d"]]]), [1, 2], False, ".")
tf.strings.reduce_join(tf.ragged.constant([[["a", "b"], ["c"]], [["d"]]]), axis=0)
tf.identity(tf.ragged.constant([[1.0], []]))
tf.identity(tf.sparse.from_dense([[0, 1]]))
tf.clip_by_value(tf.ragged.constant([[3, 1], [5]]), 2, 4)
tf.nn.dropout(tf.ragged.constant([[3.0], []]), 0.0)
tf.io.decode_base64(tf.io.encode_base64(tf.ragged.constant([["b", "a"], ["c"]])))
tf.debugging.check_numerics(tf.ragged.constant([[1.0], []]), "x")
tf.scatter_nd([[1], [1]], ["y", "z"], [3])
tf.scatter_nd([[2]], [["y", "z"]], [3, 2])
tf.function(lambda i: tf.scatter_nd(i, ["z"], [3]))(c([[1]]))
runs(lambda: tf.while_loop(lambda i, _: i < c(3), lambda i, s: [i + 1, s + "x"], [c(0), c("")])[1])
tf.one_hot(tf.ragged.constant([[0, 1], [2]]), 3, axis=2)
tf.one_hot(tf.ragged.constant([[0, 1], [2]]), 3, axis=1)
tf.nn.relu6(tf.ragged.constant([[7.0, -1.0], [2.0]]))
tf.math.in_top_k([2, 0], [[0.5, float("nan"), 0.7], [0.5, 0.1, -0.2]], 1)
tf.range(2**31 - 3, 2**31 + 2)
tf.range(tf.constant(3), tf.constant(5, tf.int64))
tf.range(tf.constant(3, tf.float16), tf.constant(5.0, tf.float64))
tf.range(2.5, dtype=tf.int32)
[tf.reduce_mean(x) for x in ([16777217, 16777217], [-3, -4], tf.constant([250, 251], tf.uint8))]
tf.reduce_mean(tf.zeros([0, 2], tf.int32), 0)
tf.reduce_mean([[5, 6], [-7, -8]], 1, keepdims=True)
tf.tensordot([[1, 2], [3, 4]], [[1, 2], [3, 4]], [[0], [7]])
tf.math.polyval((1.0, 2.0), 3.0)
tf.math.real([True])
tf.math.angle(tf.constant([-3, 2]))
tf.math.conj("a")
tf.math.invert_permutation([1, 0, 1])
tf.sparse.segment_sum(tf.zeros([0, 4]), [], [], num_segments=2)
tf.searchsorted(tf.ones([2, 0]), tf.ones([2, 3]))
tf.searchsorted(tf.ones([3]), tf.ones([2, 3]))
tf.fill([3, 2], [1.0, 2.0])
tf.convert_to_tensor(tf.TensorShape([]))
tf.convert_to_tensor(tf.TensorShape([1, 2]), tf.float32)
tf.linalg.diag_part(tf.zeros([2, 0, 0]))
tf.linalg.tensor_diag_part(tf.zeros([0, 0]))
tf.gather([[10, 11, 12], [13, 14, 15]], [1, 0], axis=1, batch_dims=None)
tf.fingerprint([])
tf.reverse_sequence([[1, 2], [3, 4]], [2, 2, 2], seq_axis=1)
tf.reverse_sequence([[1, 2], [3, 4]], [2, 2], seq_axis=0)
tf.tile(tf.ones([1, 1, 1]), [100000000, 100000000, 100000000])
tf.expand_dims(1, [0, 1])
tf.boolean_mask(1, True)
tf.split([1, 2, 3, 4], [1, 3], num=3)
tf.sequence_mask([10, 20], [10, 20])
tf.meshgrid([1, 2, 3], [[1, 2], [3, 4]])
tf.reshape(tf.zeros([0, 3]), [-1, 0])
tf.convert_to_tensor([tf.constant(0.0), tf.constant(1)], tf.float64)
tf.convert_to_tensor([2.5, tf.constant(2)], tf.int32)
tf.quantization.quantize_and_dequantize_v2([2.5], [0.0], [1.0], axis=10)
tf.py_function(tf.reduce_sum, [tf.ragged.constant([[1, 2, 3], [4]])], tf.int32)
tf.py_function(lambda v: v, [tf.ragged.constant([[1]])], tf.RaggedTensorSpec([1, None], "int32"))
tf.py_function(lambda v: v, [tf.constant([[1, 2]])], tf.RaggedTensorSpec([None, None], tf.int32))
tf.py_function(lambda v: v, [tf.constant([[1.0, 2]])], tf.int32)
tf.Variable(1.0, synchronization=tf.VariableSynchronization.ON_READ).trainable
tf.function(lambda: tf.while_loop(lambda x: x < 9, lambda x: [tf.cast(x + 1, "half")], [0.0]))()
tf.random.uniform([10**14])
tf.random.uniform([2**62, 4])
tf.range(10**14)
"""

PROGRAMS = [
    *CONVERSIONS,
    *(
        line
        for text in (SHAPES, NUMBERS, ERRORS, LOOPS, VARIABLES, RANDOM, MORE, SLICES)
        for line in text.strip().splitlines()
    ),
]
_ERRORS = (
    *("InvalidArgumentError", "UnimplementedError", "NotFoundError", "OutOfRangeError"),
    "ResourceExhaustedError",
)
_BUILT_IN = (TypeError, AttributeError, KeyError, IndexError, ValueError)


def result(program, known):
    """Dtype, shape and values of each tensor; a text of what is none; an error's kind."""
    tf = known["tf"]

    def plain(x):
        if isinstance(x, tf.TensorShape):
            return repr(x)
        if isinstance(x, (list, tuple)):
            return [plain(v) for v in x]
        if isinstance(x, dict):
            return {key: plain(v) for key, v in x.items()}
        if isinstance(x, tf.SparseTensor):
            return [plain(v) for v in (x.indices, x.values, x.dense_shape)]
        if isinstance(x, tf.RaggedTensor):
            return [x.dtype.name, str(x.shape), str(x.to_list())]
        if not hasattr(x, "numpy"):
            return x if isinstance(x, (bool, int, float, str, type(None))) else repr(x)
        values = x.numpy()
        if x.dtype.name == "string":
            return ["string", list(x.shape), str(np.asarray(values).tolist())]
        if x.dtype.is_complex:
            values = np.stack([values.real, values.imag], -1)
        if x.dtype.is_integer:
            return [x.dtype.name, list(x.shape), np.asarray(values).tolist()]
        return [x.dtype.name, list(x.shape), np.asarray(values).astype("float64").tolist()]

    try:
        return plain(eval(program, known))
    except Exception as e:
        kinds = [kind for kind in _ERRORS if isinstance(e, getattr(tf.errors, kind))]
        return (kinds or [kind.__name__ for kind in _BUILT_IN if isinstance(e, kind)])[0]


if __name__ == "__main__":
    import tensorflow as tf

    known = names(tf)
    lines = [f"{json.dumps(p)}: {json.dumps(result(p, known))}" for p in PROGRAMS]
    with open(PATH, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
