"""Programs whose results TensorFlow gives: `python tests/tf/more_reference.py`, where it is
installed, writes `more_reference.json`."""

import gzip
import json
import os

import numpy as np
from google.protobuf import descriptor_pb2

PATH = os.path.splitext(__file__)[0] + ".json"


def described():
    """What `protoc` writes of `message Person { string name = 1; int32 id = 2; repeated string
    email = 3; }`, in proto2."""
    files = descriptor_pb2.FileDescriptorSet()
    person = files.file.add(name="person.proto").message_type.add(name="Person")
    for number, (name, kind, label) in enumerate((("name", 9, 1), ("id", 5, 1), ("email", 9, 3))):
        person.field.add(name=name, number=number + 1, type=kind, label=label)
    return files.SerializeToString()


def names(tf):
    def slopes(function, *given):
        """The gradients of a weighted sum of what a function gives."""
        given = [tf.constant(v) for v in given]
        with tf.GradientTape() as tape:
            tape.watch(given)
            out = tf.reshape(function(*given), [-1])
            total = tf.reduce_sum(out * tf.range(1.0, float(out.shape[0]) + 1))
        return [tf.convert_to_tensor(g) for g in tape.gradient(total, given)]

    rng = np.random.default_rng(0)
    picture = rng.random((2, 6, 5, 3)).astype("float32")
    return {
        "tf": tf,
        "np": np,
        "im": tf.constant(picture),
        "u8": tf.constant((picture * 255).astype("uint8")),
        "large": tf.constant(rng.random((1, 14, 13, 2)).astype("float32")),
        "sound": tf.constant(rng.normal(size=60).astype("float32")),
        "boxes": tf.constant([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3], [0.5, 0.2, 1.2, 0.9]]),
        "scores": tf.constant([0.9, 0.75, 0.6, 0.95]),
        "m": tf.constant([[4.0, 1.0], [2.0, 3.0]]),
        "x": tf.constant(rng.normal(size=(1, 4, 5, 4)).astype("float32")),
        "described": b"bytes://" + described(),
        "ann": b"\n\x03Ann\x10\x07\x1a\x01x\x1a\x01y",
        "fields": ["name", "id", "email"],
        "kinds": [tf.string, tf.int32, tf.string],
        "in_json": '{"features": {"feature": {"a": {"int64List": {"value": [3]}}}}}',
        "one": tf.io.FixedLenFeature([], tf.int64),
        "gzipped": gzip.compress(b"text"),
        "k": tf.constant(rng.normal(size=(3, 2, 6, 4)).astype("float32")),
        "slopes": slopes,
        "two": tf.constant([[1], [0]], tf.int64),
        "q": tf.quantization,
        "raw": tf.raw_ops,
        "v1": tf.compat.v1.nn,
        "ones": [1, 1, 1, 1],
        "table": tf.constant([[1.0, 0.5], [2.0, -1.0], [0.0, 4.0]]),
        "ids": tf.SparseTensor([[0, 0], [0, 1], [2, 0], [3, 1]], [1, -2, 2, 0], [4, 2]),
        "good": tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [1, 0, 2], [3, 2]),
        "shares": tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [2.0, 0.5, 3.0], [3, 2]),
        "logits": tf.constant(rng.normal(size=(6, 2, 4)).astype("float32")),
        "written": tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [1, 1, 2], [2, 2]),
        "drawn": (
            tf.constant([1, 2], tf.int64),
            tf.constant([[0.5], [0.2]]),
            tf.constant([0.5, 0.3]),
        ),
    }


PROGRAMS = """
tf.image.rgb_to_hsv(im)
tf.image.hsv_to_rgb(im)
tf.image.rgb_to_yiq(im)
tf.image.rgb_to_yuv(im)
tf.image.adjust_gamma(u8, 0.7, 1.1)
tf.image.adjust_hue(im, 0.3)
tf.image.adjust_saturation(im, 1.7)
tf.image.sobel_edges(im)
tf.image.image_gradients(im)
tf.image.extract_patches(im, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 1, 1], "VALID")
tf.image.extract_patches(im, [1, 2, 2, 1], [1, 2, 2, 1], [1, 2, 1, 1], "SAME")
tf.image.resize_with_crop_or_pad(im, 4, 8)
tf.image.resize_with_crop_or_pad(im[0], 9, 2)
tf.image.resize_with_pad(im, 9, 9)
tf.image.ssim(large, large * 0.8 + 0.1, 1.0)
tf.image.crop_and_resize(im, boxes[:2], [1, 0], [3, 4])
tf.image.crop_and_resize(im, [[0.9, 0.1, 0.2, 0.8]], [0], [1, 3], "nearest", 7.0)
tf.image.non_max_suppression(boxes, scores, 3, 0.5)
tf.image.non_max_suppression(boxes, scores, 3, 0.1, 0.7)
tf.image.non_max_suppression_with_scores(boxes, scores, 4, 1.0, 0.2, 0.5)
tf.image.draw_bounding_boxes(im, [[[0.1, 0.2, 0.7, 0.9], [-1, -1, 0.5, 0.5]]] * 2, [[1.0, 0, 0]])
tf.image.extract_glimpse(im, [3, 2], [[0.4, -0.9], [-0.7, 0.1]], noise="zero")
tf.image.extract_glimpse(im, [9, 3], [[0.4, -0.9], [-2.0, 1.5]], True, False, "zero")
tf.image.extract_glimpse(im, [4, 3], [[0.4, -0.3], [-0.2, 0.5]], False, True, "zero")
tf.nn.isotonic_regression([[1.0, 3.0, 2.0, 0.0], [0.0, 1.0, 2.0, 2.0]])
tf.nn.isotonic_regression(im[0, :, :, 0], False, 0)
[tf.io.decode_png(c) for c in tf.io.encode_png(u8)]
tf.math.sobol_sample(5, 4, skip=9)
tf.signal.rfft2d(im[0, :, :, 0])
tf.signal.irfft2d(tf.signal.rfft2d(im[0, :, :4, 0]))
tf.signal.kaiser_window(7, 5.0)
tf.signal.vorbis_window(6)
tf.signal.inverse_stft_window_fn(4)(8, tf.float32)
tf.signal.linear_to_mel_weight_matrix(5, 17, 8000)
tf.signal.mfccs_from_log_mel_spectrograms(im[0, :, :, 0])
tf.linalg.sqrtm(m)
tf.linalg.eigvals(m)
tf.linalg.lu(m)
tf.linalg.tensor_diag([[1.0, 2.0]])
tf.linalg.tensor_diag_part(tf.linalg.tensor_diag([[1.0, 2.0]]))
tf.math.confusion_matrix([0, 2, 1, 2], [0, 1, 1, 2])
tf.math.confusion_matrix([0, 1], [1, 1], 3, [0.5, 2.0], tf.float32)
tf.math.bessel_i0(scores)
tf.math.betainc(scores, 2 * scores, scores)
tf.math.igamma(scores, 2 * scores)
tf.math.lbeta([[1.0, 2.0, 3.5]])
tf.math.is_non_decreasing([1.0, 1.0, 2.0])
tf.math.is_strictly_increasing([1.0, 1.0, 2.0])
tf.math.accumulate_n([m, m])
tf.nn.conv2d_transpose(x, k, [1, 8, 10, 6], 2, "SAME")
tf.nn.conv2d_transpose(x, k, [1, 9, 11, 6], [2, 2], "VALID")
tf.nn.conv1d_transpose(x[0], k[0], [4, 10, 6], 2)
tf.nn.separable_conv2d(x, k[:, :, :4, :2], tf.ones([1, 1, 8, 3]), [1, 1, 1, 1], "SAME")
tf.nn.depth_to_space(x, 2)
tf.nn.space_to_depth(x[:, :, :4], 2)
tf.nn.weighted_cross_entropy_with_logits([0.0, 1.0, 0.3], [2.0, -1.0, 0.5], 3.0)
tf.nn.local_response_normalization(x, 1, 1.5, 0.3, 0.7)
tf.nn.log_poisson_loss([1.0, 3.0], [0.5, 1.5], True)
tf.nn.weighted_moments(x, [0, 1], tf.abs(x) + 1)
tf.nn.ctc_loss([[1, 2, 0], [3, 3, 1]], tf.transpose(x[0], [1, 0, 2])[:, :2], [2, 3], [5, 5])
tf.nn.compute_average_loss([1.0, 2.0, 6.0], sample_weight=[1.0, 0.5, 1.0], global_batch_size=6)
tf.nn.scale_regularization_loss([1.0, 2.0])
tf.dynamic_partition([[1, 2], [3, 4], [5, 6]], [1, 0, 1], 3)
tf.dynamic_stitch([[0, 3], [2, 1]], [[10, 40], [30, 20]])
tf.reverse_sequence([[1, 2, 3], [4, 5, 6]], [2, 3], seq_axis=1, batch_axis=0)
tf.histogram_fixed_width_bins([-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], nbins=5)
tf.bitcast([1.0, -2.0], tf.int32)
tf.unravel_index([2, 5], [2, 3])
tf.shape_n([m, x])
tf.as_string([1, 2])
tf.realdiv([1.0], [4.0])
tf.bitwise.bitwise_and([6, 3], [3, 1])
tf.bitwise.invert([6, 3])
tf.bitwise.left_shift([6, 3], [1, 2])
tf.constant(tf.make_ndarray(tf.make_tensor_proto([[1.5, 2.5]])))
tf.constant(tf.make_tensor_proto([1, 2], shape=[2, 1]).SerializeToString())
tf.raw_ops.Mean(input=m, axis=[0], keep_dims=True)
tf.raw_ops.Sub(x=m, y=m * 2)
tf.raw_ops.Cast(x=m, DstT=tf.int32)
tf.raw_ops.Conv2D(input=im, filter=tf.ones([2, 2, 3, 1]), strides=[1, 1, 1, 1], padding="SAME")
tf.raw_ops.GatherV2(params=m, indices=[1], axis=0)
tf.raw_ops.Relu(features=m - 2)
tf.nn.convolution(x, k[:, :, :4], padding="SAME", dilations=[2, 1])
tf.nn.convolution(x, k[:, :, :4], strides=2, dilations=2)
slopes(lambda x: tf.nn.conv2d(x, k[:, :, :4], [1, 1, 2, 1], "SAME", data_format="NCHW"), x)
tf.nn.max_pool(x, [1, 1, 2, 2], [1, 1, 2, 1], "VALID", data_format="NCHW")
tf.nn.conv_transpose(x, k, [1, 8, 10, 6], 2)
tf.nn.atrous_conv2d_transpose(x, k, [1, 4, 5, 6], 2, "SAME")
tf.nn.pool(x, [2, 2], "MAX", dilations=[2, 1])
tf.nn.max_pool_with_argmax(x, 2, 2, "SAME", include_batch_in_index=True)
slopes(lambda x: tf.nn.max_pool_with_argmax(x, 2, 1, "VALID")[0], x)
slopes(lambda x, f: tf.nn.dilation2d(x, f, ones, "SAME", "NHWC", [1, 2, 1, 1]), x, k[:, :, 0])
tf.nn.erosion2d(x, k[:, :, 0], ones, "VALID", "NHWC", ones)
slopes(lambda x: tf.nn.fractional_max_pool(x, [1.0, 2.0, 1.0, 1.0], overlapping=True)[0], x)
tf.nn.fractional_avg_pool(x[:, :, :4], [1.0, 2.0, 2.0, 1.0])
tf.space_to_batch(x, [2, 3], [[0, 2], [1, 0]])
tf.batch_to_space(tf.reshape(x, [4, 5, 4]), [4], [[3, 1]])
tf.space_to_batch(x, [3, 1], [[0, 0], [0, 0]])
tf.required_space_to_batch_paddings([5, 6], [2, 4], [[1, 1], [0, 2]])
slopes(lambda t: tf.nn.embedding_lookup_sparse(t, good, shares, "sqrtn"), table)
tf.nn.embedding_lookup_sparse(table, good, None)
slopes(lambda t: tf.nn.safe_embedding_lookup_sparse(t, ids, default_id=2), table)
tf.nn.embedding_lookup([table[:2], table[2:]], [[2, 0]])
slopes(lambda t: tf.nn.nce_loss(t, t[:, 0], two, m, 2, 3, 1, drawn, True), table)
tf.nn.sampled_softmax_loss(table, table[:, 0], two, m, 2, 3, sampled_values=drawn)
tf.nn.ctc_greedy_decoder(logits, [6, 4])[1]
tf.sparse.to_dense(tf.nn.ctc_greedy_decoder(logits, [6, 4])[0][0], -1)
tf.sparse.to_dense(tf.nn.ctc_beam_search_decoder(logits, [6, 4], 5, 2)[0][1], -1)
tf.nn.ctc_beam_search_decoder(logits, [6, 4], 5, 2)[1]
slopes(lambda z: v1.ctc_loss(written, z, [6, 4]), logits)
v1.ctc_loss(written, logits, [1, 4])
tf.nn.ctc_loss(written, logits, None, [6, 4])
tf.edit_distance(good, ids)
tf.nn.collapse_repeated([[1, 1, 2, 2, 1], [1, 2, 3, 3, 3]], [5, 4])
slopes(lambda v, a, b: q.fake_quant_with_min_max_vars(v, a, b, 3), [-2.0, 0.3, 4.0], -1.0, 2.0)
q.fake_quant_with_min_max_args([-9.0, 0.3, 4.0], -1.3, 2.7, 4, True)
q.fake_quant_with_min_max_vars_per_channel([[0.1, 0.3]], [-0.6250955, 0.0], [0.6250955, 0.0])
q.quantize_and_dequantize_v2([-9.0, 0.3, 4.0], -3.0, 2.0, num_bits=4, range_given=True)
tf.audio.decode_wav(tf.audio.encode_wav([[0.3, -2.0], [0.7, 0.1]], 8000), 1, 3)
tf.signal.inverse_mdct(tf.signal.mdct(sound, 8, pad_end=True))
[slopes(getattr(tf.math.special, n), [0.7, 2.5]) for n in ("bessel_k0", "bessel_y1", "spence")]
tf.math.special.expint([-1.0, 0.0, 0.5])
tf.image.ssim_multiscale(large, large * 0.8 + 0.1, 1.0, [0.4, 0.6], 5)
tf.image.combined_non_max_suppression(boxes[None, :, None], [[[s, s / 2] for s in scores]], 3, 4)
tf.nn.experimental.stateless_dropout([1.0, 2.0, 3.0, 4.0], 0.5, [1, 2])
raw.FusedBatchNormV3(x=im, scale=im[0, 0, 0], offset=im[0, 0, 1], mean=[], variance=[])[:3]
raw.Select(condition=[True, False], x=m, y=-m)
raw.SoftmaxCrossEntropyWithLogits(features=m, labels=[[0.0, 1.0], [0.5, 0.5]])
raw.TopKV2(input=m, k=1)
v1.fused_batch_norm(im, [1.0, 2.0, 3.0], [0.0, 1.0, 2.0])
v1.max_pool(value=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
v1.moments(m, [0], keep_dims=True)
v1.embedding_lookup([table[:2], table[2:]], [2, 1])
tf.io.decode_base64(tf.io.encode_base64(["ab", "x"]))
tf.io.encode_base64(["ab?>", "x"], pad=True)
list(tf.io.decode_proto([ann, b""], "Person", fields, kinds, described))
tf.io.decode_compressed(gzipped, "GZIP")
tf.io.parse_single_example(tf.io.decode_json_example(in_json), {"a": one})["a"]
tf.zeros_initializer()([2])
tf.constant_initializer([1, 2, 3, 4])([2, 2])
tf.constant_initializer([[1, 2], [3, 4]])(shape=[4], dtype=tf.float32)
tf.constant_initializer(3)([2])
tf.constant_initializer([1, 2])([2, 2])
tf.keras.layers.Dense(2, kernel_initializer=tf.constant_initializer([1, 2, 3, 4]))(tf.ones([1, 2]))
tf.zeros_initializer()([2], "float64")
tf.ones_initializer()([4], tf.int32, partition_shape=[2])
tf.random_normal_initializer(seed=3)([2])
tf.random_normal_initializer()([2], tf.int32)
tf.random_uniform_initializer(0, 9, seed=3)([4], tf.int64)
(lambda init: bool(tf.reduce_all(init([9]) == init([9]))))(tf.random_normal_initializer())
tf.range([3])
tf.range(np.array([1.0]), np.array([3.0]), 0.5)
tf.range([[3]])
tf.linspace(0.0, 1.0, [3])
tf.concat([[1], [2]], [0])
tf.debugging.assert_equal(m, m)
tf.debugging.assert_less([1], [0])
tf.debugging.assert_near([1.0], [1.1])
tf.debugging.assert_positive([1.0, 0.0])
tf.debugging.assert_rank(m, 3)
tf.debugging.assert_shapes([(m, ("n", "n")), (x, (1, "h", "w", "c"))])
tf.debugging.assert_shapes([(m, ("n", "n")), (x, ("n", None, None, 4))])
tf.debugging.assert_type(m, tf.int32)
tf.debugging.Assert(tf.constant(False), [m])
tf.nn.conv2d_transpose(tf.ones([1, 2, 2, 1], "int32"), [[[[2]]]], [1, 2, 2, 1], 1)
tf.nn.conv2d_transpose(tf.ones([1, 2, 2, 6]), tf.ones([3, 3, 2, 6]), [1, 2, 2, 4], 1)
tf.nn.conv2d(im, tf.ones([3, 3, 3, 2]), [2, 1, 1, 1], "SAME")
tf.nn.conv2d(im, tf.ones([9, 3, 3, 2]), 1, "VALID")
tf.nn.max_pool2d(im, [2, 2, 2, 1], 1, "SAME")
tf.nn.max_pool2d(im, [1, 1, 1, 3], 1, "SAME")
tf.nn.max_pool2d(im, 2, 1, [[0, 0], [2, 0], [0, 1], [0, 0]])
tf.nn.avg_pool2d(im, 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]])
tf.nn.avg_pool2d(im, 2, [2, 1, 1, 1], "SAME")
tf.nn.max_pool_with_argmax(im, [1, 1, 1, 3], 1, "SAME")
tf.nn.fractional_avg_pool(tf.reshape(tf.range(36), [1, 6, 6, 1]), [1.0, 2.0, 3.0, 1.0])
tf.nn.batch_normalization(tf.ones([1, 2], "float16"), tf.range(2.0), tf.ones([2]), None, None, 0.1)
tf.nn.batch_normalization(tf.ones([1, 2], "int32"), tf.range(2.0), tf.range(2.0), None, None, 0.1)
tf.nn.moments(tf.constant([[1, 3], [4, 5]]), [0])
tf.nn.moments(tf.constant([[10.0, 1000.0], [11.0, 1001.0], [10.0, 1003.0]], tf.float16), [0])
tf.nn.weighted_moments(tf.constant([1.0, 3.0]), [0], tf.zeros([2]))
tf.nn.sparse_softmax_cross_entropy_with_logits(0, 1.0)
tf.nn.softmax(tf.constant([1, 2]))
tf.nn.local_response_normalization(im[0])
tf.nn.bias_add(tf.ones([3]), tf.ones([3]))
tf.nn.leaky_relu(tf.constant([-2, 3], tf.int64))
tf.nn.separable_conv2d(im, tf.ones([3, 3, 3, 1]), tf.ones([2, 1, 3, 1]), [1, 1, 1, 1], "SAME")
tf.nn.embedding_lookup([[2.0]], tf.ragged.constant([[0, 0], [0]]), max_norm=1.0)
tf.nn.compute_average_loss([1.0, 3.0], global_batch_size=0)
tf.nn.compute_average_loss([1.0, 3.0], global_batch_size=2.0)
tf.nn.compute_average_loss([1.0, 3.0], global_batch_size=[2])
tf.nn.ctc_loss([[1, 2]], tf.zeros([4, 1, 3], tf.float16), [2], [4], blank_index=0).dtype.name
tf.extract_volume_patches(tf.ones([1, 2, 3, 3, 2]), [1, 2, 2, 1, 1], [1, 1, 1, 2, 1], "SAME")
tf.extract_volume_patches(tf.zeros([1, 2, 3, 3, 2]), [1, 2, 2, 1, 2], [1, 1, 1, 2, 1], "SAME")
tf.image.extract_patches(im, [1, 2, 2, 2], [1, 1, 1, 1], [1, 1, 1, 1], "SAME")
tf.image.draw_bounding_boxes(tf.zeros([1, 3, 3, 3]), [[[0, 0, 1.0, 1], [0.5, 0.5, 1, 1]]], None)
tf.io.decode_raw(tf.constant([], tf.string), tf.float16)
tf.executing_eagerly()
tf.test.is_gpu_available()
tf.test.gpu_device_name()
""".strip().splitlines()


def result(program, known):
    """Dtype, shape and values of each tensor; the value of what is none; an error's name."""

    def plain(x):
        if isinstance(x, (list, tuple)):
            return [plain(v) for v in x]
        if hasattr(x, "flat_values"):
            return [plain(x.flat_values), [plain(n) for n in x.nested_row_lengths()]]
        if not hasattr(x, "numpy"):
            return x
        values = x.numpy()
        if x.dtype.name == "string":
            return ["string", list(x.shape), str(np.asarray(values).tolist())]
        if x.dtype.is_complex:
            values = np.stack([values.real, values.imag], -1)
        return [x.dtype.name, list(x.shape), np.asarray(values).astype("float64").tolist()]

    try:
        return plain(eval(program, known))
    except Exception as e:
        return type(e).__name__


if __name__ == "__main__":
    import tensorflow as tf

    with open(PATH, "w") as file:
        json.dump({p: result(p, names(tf)) for p in PROGRAMS}, file, separators=(",", ":"))
