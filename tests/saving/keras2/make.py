"""Records what Keras 2 makes of small models.

The command is `python tests/saving/keras2/make.py`: with TensorFlow 2.21 and tf_keras for all but
the files of older versions, and with tensorflow-cpu 2.12.1, 2.13.1, 2.14.1 and 2.15.1 for those.
"""

import importlib.util
import json
import os
import pathlib
import sys
import zipfile

os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

import h5py
import numpy as np
import tensorflow as tf

try:
    import tf_keras as K
except ImportError:
    from tensorflow import keras as K

FOLDER = pathlib.Path(__file__).parent


def _module(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


records, subclassed = _module("__init__"), _module("subclassed")

L = K.layers


def recurrent():
    x = i = K.Input((5, 3))
    x = L.Bidirectional(L.LSTM(2, return_sequences=True, recurrent_activation="hard_sigmoid"))(x)
    x = L.GRU(3, return_sequences=True, reset_after=False, recurrent_activation="hard_sigmoid")(x)
    x = L.GRU(3, return_sequences=True, go_backwards=True)(x)
    x = L.Bidirectional(
        L.SimpleRNN(2, return_sequences=True),
        backward_layer=L.SimpleRNN(2, return_sequences=True, go_backwards=True, activation="relu"),
        merge_mode="sum",
    )(x)
    x = L.RNN([L.LSTMCell(2, recurrent_activation="hard_sigmoid"), L.GRUCell(2)])(x)
    return K.Model(i, x)


def images():
    x = i = K.Input((8, 8, 2))
    x = L.Rescaling(0.5, offset=-0.1)(x)
    x = L.Conv2D(3, 3, padding="same", activation="hard_sigmoid")(x)
    x = L.BatchNormalization()(x)
    x = L.LeakyReLU(alpha=0.1)(x)
    x = L.DepthwiseConv2D(2, depth_multiplier=2)(x)
    x = L.ThresholdedReLU(theta=0.2)(x)
    x = L.SeparableConv2D(3, 2, padding="same")(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    x = L.MaxPooling2D(2)(x)
    x = L.Conv2DTranspose(2, 3, strides=2, output_padding=1)(x)
    x = L.ReLU(max_value=1.5, negative_slope=0.1)(x)
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = L.Cropping2D(((0, 1), (2, 0)))(x)
    x = L.AveragePooling2D(3, strides=2, padding="same")(x)
    return K.Model(i, L.GlobalAveragePooling2D()(x))


def sequences_and_volumes():
    a = K.Input((6, 2))
    x = L.Conv1D(3, 2, padding="causal", dilation_rate=2)(a)
    x = L.DepthwiseConv1D(2)(x)
    x = L.SeparableConv1D(3, 2)(x)
    x = L.Conv1DTranspose(2, 2, strides=2)(x)
    x = L.MaxPooling1D(2)(x)
    b = K.Input((3, 3, 3, 1))
    y = L.Conv3D(2, 2)(b)
    y = L.Conv3DTranspose(2, 2)(y)
    y = L.AveragePooling3D(2)(y)
    return K.Model([a, b], [L.Flatten()(x), L.Flatten()(y)])


def attention():
    i = K.Input((4, 6))
    x = L.MultiHeadAttention(2, 3, value_dim=2, output_shape=6)(i, i)
    x = L.Add()([x, i])
    x = L.LayerNormalization()(x)
    y = L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(x)
    z = L.Attention(use_scale=True)([x, i])
    z = L.AdditiveAttention()([z, x])
    return K.Model(i, L.Concatenate(axis=2)([y, z]))


def words():
    model = K.Sequential(
        [
            L.Embedding(7, 3, input_length=4, mask_zero=True),
            L.SpatialDropout1D(0.2),
            L.LSTM(3, return_sequences=True, dropout=0.1),
            L.TimeDistributed(L.Dense(2, activation="hard_sigmoid")),
            L.GaussianNoise(0.1),
            L.Flatten(),
        ]
    )
    return model


def activations():
    i = K.Input((4,))
    names = ["hard_sigmoid", "LeakyReLU", "leaky_relu", "swish", "gelu", "mish", "exponential"]
    names += ["softsign", "selu", "elu", "softmax", "relu6", "softplus", "tanh", "sigmoid", "silu"]
    return K.Model(i, [L.Dense(3, activation=n)(i) for n in [*names, L.ELU(0.3)]])


def nested():
    inner_in = K.Input((3,))
    shared = L.Dense(3, activation="hard_sigmoid", name="shared")
    inner = K.Model(inner_in, L.BatchNormalization()(shared(shared(inner_in))), name="inner")
    inner.get_layer("shared").trainable = False
    deepest_in = K.Input((3,))
    deepest = K.Model(deepest_in, L.Dense(3, activation="hard_sigmoid")(deepest_in))
    middle = K.Sequential([L.Dense(3, input_shape=(3,)), deepest], name="middle")
    a, b = K.Input((3,), name="a"), K.Input((3,), name="b")
    x = L.Dot(1, normalize=True)([inner(a), middle(b)])
    y = L.Maximum()([inner(b), L.Subtract()([a, b])])
    last_in = K.Input((3,))
    last = K.Model(last_in, [L.Dense(2)(last_in), L.Activation("hard_sigmoid")(last_in)])
    return K.Model([a, b], [*last(y), L.Average()([x, L.Dense(1)(y)])])


def slices():
    i = K.Input((4, 6))
    found = [i[:, 1], i[:, ::-1], i[..., 0], i[:, None], i[:, 1:3, -1], i[:, -2:]]
    return K.Model(i, found)


def tensorflow_functions():
    i, j = K.Input((2, 4)), K.Input((2, 4))
    pair = [
        *(i + j, i - 2.0, 3.0 * i, i / (j + 2.0), (i + 2.0) ** 2.0, -i, abs(i), i // 0.3, i % 0.4),
        *(tf.math.maximum(i, j), tf.minimum(i, 0.5), i @ tf.transpose(j, [0, 2, 1])),
        *(tf.cast(i > j, "float32"), tf.cast(tf.math.logical_not(i <= 0.1), "int32")),
        *(tf.where(i > 0.0, i, j), tf.multiply(i, [1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0] - i),
        *(
            tf.math.divide_no_nan(i, j),
            tf.math.atan2(i, j),
            tf.equal(i, j),
            tf.tensordot(i, j, [[2], [2]]),
        ),
    ]
    one = [
        *(tf.exp(i), tf.math.log(i + 2.0), tf.sqrt(i + 2.0), tf.math.rsqrt(i + 2.0), tf.square(i)),
        *(tf.sin(i), tf.tanh(i), tf.sigmoid(i), tf.math.erf(i), tf.floor(i), tf.round(3.0 * i)),
        *(tf.nn.relu(i), tf.nn.relu6(9.0 * i), tf.nn.leaky_relu(i), tf.nn.leaky_relu(i, alpha=0.4)),
        *(tf.nn.elu(i), tf.nn.selu(i), tf.nn.silu(i), tf.nn.gelu(i), tf.nn.softplus(i)),
        *(tf.nn.gelu(i, approximate=True), tf.nn.softmax(i), tf.nn.softmax(i, axis=1)),
        *(tf.nn.log_softmax(i), tf.nn.softsign(i), tf.clip_by_value(i, -0.3, 0.4), tf.sign(i)),
    ]
    over = [
        *(tf.reduce_sum(i, 1), tf.reduce_mean(i, axis=-1, keepdims=True), tf.reduce_max(i, [1, 2])),
        *(tf.reduce_min(i, 2), tf.reduce_prod(i, 1), tf.math.reduce_std(i, 2)),
        *(tf.math.reduce_variance(i, 1), tf.reduce_logsumexp(i, 1), tf.cumsum(i, axis=1)),
        *(tf.argmax(i, axis=1), tf.argmin(i, axis=-1), tf.reduce_any(i > 0.8, axis=1)),
        *tf.math.top_k(i, 2),
    ]
    shaped = [
        *(tf.reshape(i, [-1, 8]), tf.expand_dims(i, 1), tf.squeeze(tf.expand_dims(i, 2), axis=2)),
        *(tf.transpose(i, perm=[0, 2, 1]), tf.concat([i, j], axis=1), tf.stack([i, j], axis=1)),
        *(*tf.unstack(i, axis=1), *tf.split(i, 2, axis=2), *tf.split(i, [1, 3], axis=-1)),
        *(tf.tile(i, [1, 2, 1]), tf.repeat(i, 2, axis=1), tf.reverse(i, axis=[1])),
        *(tf.pad(i, [[0, 0], [1, 0], [0, 2]]), tf.roll(i, 1, axis=2), tf.gather(i, [2, 0], axis=2)),
        *(tf.ones_like(i), tf.zeros_like(i), tf.one_hot(tf.argmax(i, axis=2), 4), tf.identity(i)),
        *(tf.stop_gradient(i), tf.sort(i, axis=1)),
    ]
    return K.Model([i, j], [*pair, *one, *over, *shaped])


MODELS = {
    f.__name__: f
    for f in (
        *(recurrent, images, sequences_and_volumes, attention, words, activations, nested, slices),
        tensorflow_functions,
    )
}


def prepared(make):
    K.backend.clear_session()
    model = make()
    if not model.built:
        model.build((None, 4))
    model.set_weights(records.weights([w.shape for w in model.get_weights()]))
    return model


def data_for(model):
    return [
        records.numbers((2, *t.shape[1:]), seed, "int32" if "embedding" in t.name else "float32")
        for seed, t in enumerate(model.inputs)
    ]


def outputs(model):
    found = model.predict(data_for(model), verbose=0)
    found = found if isinstance(found, list) else [found]
    return [[round(float(v), 6) for v in np.ravel(a)] for a in found]


# -- optimizers -------------------------------------------------------------------------------


def trained(optimizer):
    """A model after two steps, what a `.h5` file has of it, and its weights two steps later."""
    K.backend.clear_session()
    make = [L.Dense(2, use_bias=False, name=n) for n in ("a", "b")]
    model = K.Sequential([K.Input((2,)), *make])
    model.set_weights(records.weights([(2, 2), (2, 2)]))
    # Compiled, tf_keras multiplies a Nadam's product of momentums once for each weight.
    model.compile(optimizer, "mse", run_eagerly=isinstance(optimizer, K.optimizers.Nadam))
    x, y = records.numbers((4, 2), 5), records.numbers((4, 2), 6)
    for _ in range(3):
        model.train_on_batch(x, y)
    path = FOLDER / "made.h5"
    model.save(path)
    with h5py.File(path) as file:
        training = json.loads(file.attrs["training_config"])
        group = file["optimizer_weights"]
        names = [n if isinstance(n, str) else n.decode() for n in group.attrs["weight_names"]]
        state = [[n, np.asarray(group[n]).tolist(), str(group[n].dtype)] for n in names]
        config = json.loads(file.attrs["model_config"])
    os.remove(path)
    weights = [w.tolist() for w in model.get_weights()]
    for _ in range(3):
        model.train_on_batch(x, y)
    return {
        "model": config,
        "training": training,
        "state": state,
        "weights": weights,
        "later": [w.tolist() for w in model.get_weights()],
    }


def optimizers():
    new, old = K.optimizers, K.optimizers.legacy
    inverse = new.schedules.ExponentialDecay(0.1, 2, 0.5)
    return {
        "Adam": new.Adam(0.1),
        "Adam amsgrad": new.Adam(0.1, amsgrad=True),
        "Adam schedule": new.Adam(inverse),
        "Adam ema": new.Adam(0.1, use_ema=True),
        "AdamW": new.AdamW(0.1, weight_decay=0.1),
        "SGD": new.SGD(0.1),
        "SGD momentum": new.SGD(0.1, momentum=0.9, nesterov=True),
        "SGD clipnorm": new.SGD(0.1, clipnorm=0.1),
        "RMSprop": new.RMSprop(0.1),
        "RMSprop momentum": new.RMSprop(0.1, momentum=0.5),
        "RMSprop centered": new.RMSprop(0.01, centered=True, momentum=0.5),
        "Adagrad": new.Adagrad(0.1),
        "Adadelta": new.Adadelta(1.0),
        "Adamax": new.Adamax(0.1),
        "Nadam": new.Nadam(0.1),
        "Lion": new.Lion(0.1),
        "Ftrl": new.Ftrl(0.1, l1_regularization_strength=0.01, beta=0.1),
        "Adafactor": new.Adafactor(0.1),
        "legacy Adam": old.Adam(0.1),
        "legacy Adam amsgrad": old.Adam(0.1, amsgrad=True),
        "legacy Adam decay": old.Adam(0.1, decay=0.5, epsilon=1e-3),
        "legacy SGD": old.SGD(0.1),
        "legacy SGD momentum": old.SGD(0.1, momentum=0.9, nesterov=True),
        "legacy SGD clipnorm": old.SGD(0.1, clipnorm=0.1, decay=0.1),
        "legacy RMSprop": old.RMSprop(0.1),
        "legacy RMSprop momentum": old.RMSprop(0.1, momentum=0.5, epsilon=1e-3),
        "legacy RMSprop centered": old.RMSprop(0.01, momentum=0.5, centered=True),
        "legacy Adagrad": old.Adagrad(0.1),
        "legacy Adadelta": old.Adadelta(1.0),
        "legacy Adamax": old.Adamax(0.1),
        "legacy Nadam": old.Nadam(0.1),
        "legacy Ftrl": old.Ftrl(0.1, l2_shrinkage_regularization_strength=0.01),
    }


# -- whole files ------------------------------------------------------------------------------


def small_archive(path):
    """The same `.keras` file, packed."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)


def whole():
    """A model with one of everything that a file lays out in its own way, trained a little."""
    i = K.Input((4, 3), name="i")
    x = L.Bidirectional(L.LSTM(2, return_sequences=True, recurrent_activation="hard_sigmoid"))(i)
    x = L.MultiHeadAttention(1, 2)(x, x)
    x = L.TimeDistributed(L.Dense(2, activation="hard_sigmoid"))(x)
    x = L.BatchNormalization()(x)
    x = tf.nn.relu(x)[:, -1] + tf.reduce_mean(x, axis=1)
    x = L.Dense(3, name="first")(x)
    j = K.Input((3,))
    inner = K.Model(j, L.Dense(3)(L.LayerNormalization()(L.Dense(2)(j))))
    x = K.Sequential([K.Input((3,)), L.Dense(2), L.Dense(3), inner])(x)
    return K.Model(i, L.Dense(2, kernel_regularizer="l2", kernel_initializer="orthogonal")(x))


def files(version=""):
    x, y = records.numbers((2, 4, 3)), records.numbers((2, 2), 3)
    found = {}
    for ending in ("keras",) if version else ("keras", "h5"):
        model = prepared(whole)
        rule = K.optimizers.SGD(0.1, momentum=0.9)
        model.compile(rule, K.losses.Huber(), metrics=["mae"])
        model.train_on_batch(x, y)
        path = str(FOLDER / f"whole{version}.{ending}")
        # 2.12 writes HDF5 to a name in `.keras` unless it is told not to.
        model.save(path, **({"save_format": "keras_v3"} if version == "_2_12" else {}))
        found[ending] = np.round(model.predict(x, verbose=0), 6).tolist()
        model.train_on_batch(x, y)
        found[f"{ending} later"] = np.round(model.predict(x, verbose=0), 6).tolist()
    small_archive(FOLDER / f"whole{version}.keras")
    return found


def of_subclassed():
    """The shape and the first number of each array in the files of models of their own classes."""
    found = {}
    for name, make in subclassed.models(K).items():
        model = make()
        model.built = True
        path = str(FOLDER / "made.weights.h5")
        model.save_weights(path)
        arrays = found[name] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda place, item, arrays=arrays: arrays.update(
                    {place: [list(item.shape), float(np.ravel(item[()])[0])]}
                    if isinstance(item, h5py.Dataset)
                    else {}
                )
            )
        os.remove(path)
    return found


def write(name, value):
    (FOLDER / f"{name}.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")


def main():
    if not tf.__version__.startswith("2.21"):
        version = "_" + "_".join(tf.__version__.split(".")[:2])
        write(f"subclassed{version}", of_subclassed())
        if version != "_2_14":
            write(f"files{version}", files(version))
        return
    models = {}
    for name, make in MODELS.items():
        model = prepared(make)
        models[name] = {
            "json": json.loads(model.to_json()),
            "inputs": [[list(a.shape), str(a.dtype)] for a in data_for(model)],
            "outputs": outputs(model),
        }
    write("models", models)
    write("optimizers", {name: trained(rule) for name, rule in optimizers().items()})
    write("files", files())


if __name__ == "__main__":
    sys.exit(main())
