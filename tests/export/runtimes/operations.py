"""Layers and functions that are exported to several formats, by name."""

import numpy as np

import keraslike as keras


def operations():
    """Layers and functions of images by name, and three images."""
    ops, layers = keras.ops, keras.layers
    of_images = {
        "same pooling": layers.AveragePooling2D(3, 2, padding="same"),
        "max pooling": layers.MaxPooling2D(3, 2, padding="same"),
        "dilated": layers.Conv2D(3, 3, dilation_rate=2, padding="same"),
        "groups": layers.Conv2D(4, 3, groups=2),
        "transposed": layers.Conv2DTranspose(3, 4, strides=2, padding="valid"),
        "upsampled": layers.UpSampling2D(2),
        "padded": layers.ZeroPadding2D(1),
        "cropped": layers.Cropping2D(1),
        "reversed": lambda x: x[:, ::-1, 1::2],
        "argmax": lambda x: ops.argmax(x, -1),
        "sums": lambda x: ops.cumsum(x, 1) + ops.prod(x, 1, keepdims=True),
        "all": lambda x: ops.where(ops.all(x > -1, -1, keepdims=True), x, -x),
        "taken": lambda x: ops.take(x, [2, 0, 1], axis=2),
        "special": lambda x: ops.erf(x) + ops.log1p(ops.abs(x)) + ops.expm1(x) + ops.round(x),
        "modulo": lambda x: ops.mod(x, 0.7) + ops.floor(x),
        "einsum": lambda x: ops.einsum("bijc,bkjc->bikc", x, x),
    }
    return of_images, np.random.default_rng(0).normal(size=(3, 7, 6, 4)).astype("float32")


def functions():
    """Functions whose graphs have loops, branches and orders."""
    ops = keras.ops
    return {
        "sorted": lambda x: ops.sort(x, axis=1),
        "argsort": lambda x: ops.argsort(x, axis=-1),
        "halved": lambda x: ops.while_loop(
            lambda y: ops.max(y) > 1, lambda y: (y / 2,), (ops.sum(x, axis=(1, 2)),)
        )[0],
        "one way": keras.layers.Lambda(
            lambda x: ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x * 2)
        ),
        "along": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
        "strided": keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2),
        "three axes": lambda x: keras.layers.Conv3D(2, 2)(x[..., None]),
        "pooled": lambda x: keras.layers.MaxPooling3D(2)(x[..., None]),
        "one axis": lambda x: keras.layers.Conv1D(3, 2, dilation_rate=2)(x[:, 0]),
        "scanned": lambda x: ops.associative_scan(ops.add, x, axis=1),
    }


def placed():
    """Functions that put values at places, and others that ONNX has operators for."""
    ops, of = keras.ops, keras.layers.Lambda
    rows = np.array([0, 0, 1, 1, 2, 2, 2])

    def chosen(x):
        which = ops.cast(ops.argmax(ops.sum(x, (1, 2)), -1)[0] % 3, "int32")
        return ops.switch(which, [lambda y: y, lambda y: y * 2, lambda y: y - 1], x)

    return {
        "updated": lambda x: ops.slice_update(x, [0, 1, 0, 0], x[:, :1] * 2),
        "added at": of(lambda x: x.at[:, np.array([0, 2, 2])].add(1.0)),
        "set at, one outside": of(lambda x: x.at[:, np.array([0, 2, 9])].set(7.0)),
        "largest at": of(lambda x: x.at[:, :, 1].max(0.5)),
        "top": lambda x: ops.top_k(x, 2)[0],
        "places of the top": lambda x: ops.top_k(x, 2)[1],
        "counted": lambda x: ops.fori_loop(0, 3, lambda i, y: y * 1.5 + ops.cast(i, "float32"), x),
        "three ways": of(chosen),
        "segments": of(lambda x: ops.segment_sum(ops.transpose(x, (1, 0, 2, 3)), rows, 3)),
    }


def scattered():
    """Those functions that put values at places of which every format has them."""
    return {name: placed()[name] for name in ("added at", "set at, one outside", "segments")}
