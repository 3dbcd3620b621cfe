"""Calls of Keras 2's functional backend, and what they give under TensorFlow, in a file:

KERAS_BACKEND=tensorflow python tests/backend/backend_calls.py
"""

import json
import pathlib

import numpy as np

FILE = pathlib.Path(__file__).with_suffix(".json")

_rng = np.random.default_rng(0)
x = _rng.normal(size=(2, 3)).astype("float32").round(2)
y = _rng.normal(size=(2, 3)).astype("float32").round(2)
p = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]], "float32")
one = np.array([[0, 0, 1], [1, 0, 0]], "float32")
three = _rng.normal(size=(2, 4, 3)).astype("float32").round(2)
image = _rng.normal(size=(1, 4, 4, 2)).astype("float32").round(2)
volume = _rng.normal(size=(1, 2, 2, 2, 1)).astype("float32").round(2)
kernel = _rng.normal(size=(3, 3, 2, 2)).astype("float32").round(2)
steps = np.array([[[0.1, 0.7, 0.2], [0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]], "float32")

# name -> arguments by place and by name
UNARY = (
    "abs cos exp round sigmoid sign sin sqrt square tanh all any argmax argmin cumprod cumsum max "
    "mean min prod std sum var l2_normalize batch_flatten expand_dims flatten int_shape ndim "
    "transpose dtype cast_to_floatx eval ones_like zeros_like count_params elu hard_sigmoid relu "
    "softplus softsign softmax"
)
BINARY = "equal greater greater_equal less less_equal maximum minimum not_equal"
CALLS = [(name, (x,), {}) for name in UNARY.split()]
CALLS += [(name, (x, y), {}) for name in BINARY.split()]
CALLS += [
    ("pow", (x, 2), {}),
    ("sum", (x, 0, True), {}),
    ("mean", (x > 0,), {"axis": 1}),
    ("l2_normalize", (x, 1), {}),
    ("relu", (x,), {"alpha": 0.1, "max_value": 0.5, "threshold": 0.2}),
    ("clip", (x, 0.5, -0.5), {}),
    ("clip", (x, None, 0.1), {}),
    ("concatenate", ([x, y],), {}),
    ("stack", ([x, y],), {"axis": 1}),
    ("squeeze", (x[:1], 0), {}),
    ("gather", (x, [1, 0]), {}),
    ("permute_dimensions", (three, (2, 0, 1)), {}),
    ("repeat_elements", (x, 2, 1), {}),
    ("repeat", (x, 2), {}),
    ("reshape", (x, (3, 2)), {}),
    ("reverse", (x, 1), {}),
    ("tile", (x, (1, 2)), {}),
    ("dot", (three, x.T), {}),
    ("dot", (three, three.transpose(0, 2, 1)), {}),
    ("batch_dot", (x, y), {"axes": 1}),
    ("batch_dot", (three, x), {"axes": (2, 1)}),
    ("batch_dot", (three, three), {"axes": (1, 1)}),
    ("batch_dot", (three, three.transpose(0, 2, 1)), {}),
    ("cast", (x, "int32"), {}),
    ("constant", ([1, 2],), {}),
    ("constant", (3,), {"shape": (2, 2)}),
    ("arange", (1, 7, 2), {}),
    ("eye", (2,), {}),
    ("ones", ((2, 1),), {}),
    ("zeros", ((2, 1),), {"dtype": "int32"}),
    ("one_hot", (np.array([2, 0]), 3), {}),
    ("in_top_k", (p, np.array([1, 0]), 2), {}),
    ("batch_normalization", (x, y[0], np.abs(y[1]), x[0], x[1]), {}),
    ("bias_add", (image, image[0, 0, 0]), {}),
    ("bias_add", (image, image[0, :, 0, 0]), {"data_format": "channels_first"}),
    ("bias_add", (image, image[0]), {}),
    ("conv1d", (three, kernel[0, :, :1].repeat(3, 1)), {"padding": "causal"}),
    ("conv2d", (image, kernel), {"padding": "same", "strides": (2, 2)}),
    ("conv2d_transpose", (image, kernel, (1, 8, 8, 2)), {"padding": "same", "strides": (2, 2)}),
    ("conv2d_transpose", (image, kernel, (1, 6, 6, 2)), {}),
    ("conv2d_transpose", (image, kernel, (1, 10, 9, 2)), {"strides": (2, 2)}),
    ("conv3d", (volume, volume[0, :, :, :, :, None]), {"padding": "same"}),
    ("depthwise_conv2d", (image, kernel), {"padding": "same"}),
    ("separable_conv2d", (image, kernel, kernel[:1, :1].repeat(2, 2)), {}),
    ("pool2d", (image, (2, 2)), {"pool_mode": "avg", "padding": "same"}),
    ("pool2d", (image, (2, 2)), {"strides": (2, 2)}),
    ("pool3d", (volume, (2, 2, 2)), {}),
    ("resize_images", (image, 2, 2, "channels_last"), {}),
    ("resize_images", (image, 2, 1, "channels_last"), {"interpolation": "bilinear"}),
    ("resize_volumes", (volume, 2, 1, 1, "channels_last"), {}),
    ("temporal_padding", (three,), {}),
    ("spatial_2d_padding", (image,), {"padding": ((1, 0), (0, 1))}),
    ("spatial_3d_padding", (volume,), {}),
    ("binary_crossentropy", (one, p), {}),
    ("binary_focal_crossentropy", (one, p), {"apply_class_balancing": True}),
    ("categorical_crossentropy", (one, x), {"from_logits": True}),
    ("categorical_focal_crossentropy", (one, p), {}),
    ("sparse_categorical_crossentropy", (np.array([2, 0]), p), {}),
    ("sparse_categorical_crossentropy", (np.array([2, 0]), p), {"ignore_class": 2}),
    ("switch", (np.array([[True] * 4, [False] * 4]), three, 2 * three), {}),
    ("switch", (np.array([True, False, True]), x, y), {}),
    ("switch", (np.array(True), x, y), {}),
    ("foldl", (lambda a, b: a - 2 * b, x), {}),
    ("foldr", (lambda a, b: a - 2 * b, x), {}),
    ("foldr", (lambda a, b: a - 2 * b, x), {"initializer": y[0]}),
    ("map_fn", (lambda a: 2 * a, x), {}),
    ("ctc_batch_cost", (np.array([[1, 0]]), steps, np.array([[3]]), np.array([[2]])), {}),
    ("ctc_decode", (steps, np.array([3])), {}),
]  # fmt: skip


def outcome(backend, name, args, kwargs):
    """What a call gives, as plain values."""
    found = getattr(backend, name)(*args, **kwargs)
    if isinstance(found, (str, int)):
        return found
    leaves = found[0] + [found[1]] if name == "ctc_decode" else [found]
    return [np.asarray(v).astype(float).round(6).tolist() for v in leaves]


def run(backend, tensor):
    for name, args, kwargs in CALLS:
        args = [tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        if isinstance(args[0], list) and isinstance(args[0][0], np.ndarray):
            args[0] = list(map(tensor, args[0]))
        if "initializer" in kwargs:
            kwargs = {"initializer": tensor(kwargs["initializer"])}
        yield outcome(backend, name, args, kwargs)


if __name__ == "__main__":
    import tensorflow as tf
    from keras.src.legacy import backend as legacy

    lines = [json.dumps(v).replace(".0,", ",").replace(".0]", "]")
             for v in run(legacy, tf.convert_to_tensor)]  # fmt: skip
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n")
