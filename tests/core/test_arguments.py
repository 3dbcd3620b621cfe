"""Arguments of a wrong kind: an error at once that names the argument and shows what was given."""

import functools
import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import keraslike as keras
from keraslike import layers
from keraslike.core.annotations import kind_of

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def _model(**compiled):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def _fit(x=X, y=Y, **arguments):
    return _model().fit(x, y, verbose=0, **arguments)


def _numbers():
    while True:
        yield 3, 4


WRONG = [
    (lambda: _model().predict(X, batch_size="2", verbose=0), "batch_size='2'"),
    (lambda: _model().predict(X, steps="2", verbose=0), "steps='2'"),
    (lambda: _model().evaluate(X, Y, batch_size=-1), "batch_size=-1"),
    (lambda: _model().evaluate(X, Y, return_dict="no"), "return_dict='no'"),
    (lambda: _fit(validation_data=(X, Y), validation_freq="a"), "validation_freq='a'"),
    (lambda: _fit(validation_data=(X, Y), validation_freq=0), "validation_freq=0"),
    (lambda: _fit(validation_data=(X, Y), validation_batch_size="a"), "validation_batch_size='a'"),
    (lambda: _fit(shuffle="yes"), "shuffle='yes'"),
    (lambda: _fit([[1, 2, 3], [1, 2]]), "x must be an array. Received lists"),
    (lambda: _fit(X, [[1], [1, 2]] * 4), "y must be an array. Received lists"),
    (lambda: _fit("a", "b"), "y must hold numbers.*StringLookup"),
    (
        lambda: _fit(_numbers(), None, steps_per_epoch=2),
        "x of a batch must be an array.* number: 3",
    ),
    (lambda: _model(loss_weights="a"), "loss_weights='a'"),
    (lambda: _model(loss=3), "loss must be a name, a function or a Loss.* loss=3"),
    (lambda: _model(loss=["mse", 3]), "loss must be a name"),
    (lambda: _model(metrics=3), "metrics must be a name.* metrics=3"),
    (lambda: _model(weighted_metrics=["mse", 3]), "weighted_metrics must be a name"),
    (lambda: _model(jit_compile="nope"), "jit_compile='nope'"),
    (lambda: _model(run_eagerly="nope"), "run_eagerly='nope'"),
    (lambda: _model().summary(line_length="a"), "line_length='a'"),
    (lambda: _model().summary(print_fn=3), "print_fn must be callable or None"),
    (lambda: _model().set_weights(3), "weights must be a list. Received: weights=3"),
    (lambda: _model().get_layer(index="a"), "index='a'"),
    (
        lambda: keras.Model(np.ones((99, 99)), 3),
        r"inputs. values must be KerasTensors.* <shape \(99, 99\), float",
    ),
    (lambda: keras.Sequential(name=3), "name must be a string or None. Received: name=3"),
    (lambda: keras.models.clone_model(3), "model must be a Model. Received: model=3"),
    (lambda: keras.models.model_from_json(3), "json_string must be a string"),
    (lambda: layers.BatchNormalization(axis="a"), "axis must be an integer. Received: axis='a'"),
    (lambda: layers.Reshape("a"), "target_shape must be a list of integers.* target_shape='a'"),
    (lambda: layers.Reshape(3), "target_shape=3"),
    (lambda: layers.Reshape(("a",)), r"target_shape=\('a',\)"),
    (lambda: layers.ZeroPadding2D(1.5), "padding=1.5"),
    (lambda: layers.LSTM(2, return_sequences="yes"), "return_sequences='yes'"),
    (lambda: layers.Dense(2, dtype="a"), "Invalid dtype: 'a'"),
    (lambda: layers.Dense(2, dtype={}), "dtype={}"),
    (lambda: layers.Dense(2, kernel_regularizer={}), "kernel_regularizer: Could not interpret reg"),
    (
        lambda: layers.Dense(2, bias_constraint="no"),
        "bias_constraint: Could not interpret constraint identifier: 'no'",
    ),
    (
        lambda: layers.LSTM(2, "no"),
        "activation: Could not interpret activation function identifier: 'no'",
    ),
    (lambda: keras.Variable(1.0).assign("a"), "takes numbers of shape.* value='a'"),
    (lambda: keras.Variable(1.0).assign_add([1, [2]]), r"value=\[1, \[2\]\]"),
    (lambda: keras.utils.to_categorical("a"), "x must hold integer labels.* x='a'"),
    (lambda: keras.random.normal((2,), seed="a"), "must be either an integer.* seed='a'"),
    (lambda: _model().summary(positions=[0.5, 0.4, 1.0]), r"positions=\[0.5, 0.4, 1.0\]"),
    (lambda: _model().summary(layer_range=["a"]), r"layer_range=\['a'\]"),
    (lambda: _model().summary(layer_range=["a", "b"]), "names layers that are not there"),
    (lambda: layers.Dense(2).build("a"), "input_shape must be a shape. Received: 'a'"),
    (lambda: layers.Layer().add_weight(shape="a"), "shape must be a list of integers"),
    (lambda: keras.Input(("a",)), "shape must be a list of integers or None"),
    (lambda: keras.callbacks.ModelCheckpoint(3), "filepath must be a string or a path"),
    (lambda: keras.callbacks.LearningRateScheduler(3), "schedule must be callable"),
    (lambda: keras.callbacks.EarlyStopping(patience="a"), "patience='a'"),
    (lambda: keras.Variable(None), "initializer=None"),
    (lambda: keras.Variable(1.0, trainable="no"), "trainable='no'"),
    (lambda: keras.Variable("zeros", shape="a"), "shape='a'"),
    (lambda: keras.Variable(1.0, dtype="nope"), "Invalid dtype: 'nope'"),
    (lambda: keras.optimizers.SGD().apply_gradients(3), "grads_and_vars=3"),
    (lambda: keras.optimizers.SGD().apply_gradients([3]), r"must be pairs.*grads_and_vars=\[3\]"),
    (lambda: setattr(keras.optimizers.SGD(), "learning_rate", "a"), "learning_rate='a'"),
    (lambda: keras.ops.concatenate(3), "xs must be a list. Received: xs=3"),
    (lambda: keras.ops.mean(X, axis=7), r"axis 7 .*from -2 to 1 for <shape \(8, 3\).* axis=7"),
    (lambda: keras.random.normal("a"), "shape='a'"),
    (lambda: keras.utils.to_categorical([1, 2], num_classes="a"), "num_classes='a'"),
]


@pytest.mark.parametrize(("run", "said"), WRONG)
def test_the_argument_is_named(run, said):
    with pytest.raises((TypeError, ValueError), match=said):
        run()


@pytest.mark.parametrize(
    ("run", "call"),
    [
        (lambda: keras.metrics.Mean().update_state("a"), "Mean.update_state with\n  values='a'"),
        (lambda: keras.losses.MeanSquaredError()("a", 3), "call with\n  y_true='a'\n  y_pred=3"),
        (lambda: keras.ops.matmul(X, X), r"ops.matmul with\n  x1=<shape (8, 3), float32>"),
    ],
)
def test_what_jax_refuses_has_a_note_of_what_was_given(run, call):
    with pytest.raises((TypeError, ValueError)) as caught:
        run()
    (note,) = [n for n in caught.value.__notes__ if n.startswith("In the call")]
    assert call.replace("\\n", "\n") in note


def test_what_keras_takes_is_taken():
    keras.callbacks.EarlyStopping(patience=2.5, min_delta=np.float32(0.1), verbose=True)
    layers.LSTM(np.int64(2), return_sequences=1, unroll=None)
    layers.Reshape(np.array([3, 1]))
    layers.Reshape([-1])
    keras.regularizers.L1L2(l1=None, l2=0.1)
    keras.constraints.MaxNorm(2, axis=None)
    keras.optimizers.Adam(0.1, beta_1=jnp.float32(0.9), weight_decay=np.float64(0.1))
    optimizer, variable = keras.optimizers.SGD(), keras.Variable(1.0)
    optimizer.apply_gradients(zip([jnp.ones(())], [variable]))  # an iterator that is read once
    assert float(variable.value) < 1.0
    _model(loss_weights=3, jit_compile=None)
    _fit(shuffle="batch", validation_data=(X, Y), validation_freq=[1], batch_size=np.int64(4))


def test_classes_of_users_check_nothing_by_their_annotations():
    class Odd(layers.Layer):
        def __init__(self, size: int):
            super().__init__()
            self.size = size

    assert Odd("large").size == "large"


class _Fails:
    """What no signature is known of, and nothing can be looked up by."""

    __hash__ = None
    __signature__ = "none"

    def __call__(self, x):
        raise KeyError("mine")


@pytest.mark.parametrize("function", [_Fails(), functools.partial(_Fails()), lambda x: {}["mine"]])
def test_the_error_of_any_function_as_an_op_is_its_own(function):
    with pytest.raises(KeyError, match="mine"):
        keras.op(function)(1)


@pytest.mark.parametrize(
    ("annotation", "fits", "fits_not"),
    [
        ("bool", [True, 0, None, np.bool_(1), np.array(True)], [2, "a", [], 1.0]),
        ("int", [1, 2.5, np.int32(1), jnp.ones(())], ["1", None, [1], {}]),
        ("str | None", ["a", None], [1, b"a", []]),
        ("float | Sequence[float] | None", [1, [1.5], (), None], ["a", ["a"], {1: "a"}.values()]),
        ("int | Sequence[int | None]", [3, (3, None)], [1.5, (1.5,), "a"]),
        ("str | os.PathLike", ["a"], [1, None]),
        ("dict[str, Any] | None", [{}, None], [[], "a"]),
        ("Callable[..., float]", [len], ["a", None]),
    ],
)
def test_kinds_of_annotations(annotation, fits, fits_not):
    kind = kind_of(annotation)
    assert all(map(kind.fits, fits))
    assert not any(map(kind.fits, fits_not))


# -- every argument of every constructor --------------------------------------------------------

NEEDED = {
    **dict.fromkeys(("precision", "recall", "sensitivity", "specificity"), 0.5),
    "target_class_ids": [0],
    "activation": "relu",
    "axes": 1,
    "backup_dir": "backup",
    "boundaries": [1],
    "cropping": 1,
    "decay_rate": 0.5,
    "decay_steps": 3,
    "dims": (1,),
    "directory": "checkpoints",
    "equation": "ab,bc->ac",
    "factor": 0.5,
    "filename": "log.csv",
    "filepath": "model.keras",
    "first_decay_steps": 3,
    "height_factor": 0.5,
    "width_factor": 0.5,
    "call_fn": lambda inputs: inputs,
    "module": linen.Dense(2),
    "fn": lambda y, p: p - y,
    "function": lambda x: x,
    "initial_learning_rate": 0.1,
    "learning_rate": 0.1,
    "inner_optimizer": keras.optimizers.SGD(),
    "default_optimizer": keras.optimizers.SGD(),
    "optimizer_map": lambda variable: keras.optimizers.SGD(),
    "layers": [],
    "rate": 0.5,
    "stddev": 0.5,
    "schedule": lambda epoch: 0.1,
    "scale": 2.0,
    "shape": (3,),
    "target_shape": (2,),
    "values": [0.1, 0.2],
}


# What other arguments make necessary.
ALSO_NEEDED = {
    layers.InputLayer: {"shape": (3,)},
    layers.CategoryEncoding: {"num_tokens": 3},
    layers.Discretization: {"num_bins": 3},
    layers.RandomPosterization: {"factor": 4},
}


def _needed(cls):
    """The least that a constructor has to be given."""
    found = {}
    for p in inspect.signature(cls.__init__).parameters.values():
        if p.name == "self" or p.default is not p.empty or p.kind == p.VAR_KEYWORD:
            continue
        if p.name == "layer":
            found[p.name] = layers.SimpleRNN(2)
        elif p.name in ("cell", "cells"):
            found[p.name] = layers.SimpleRNNCell(2) if p.name == "cell" else [layers.GRUCell(2)]
        else:
            found[p.name] = NEEDED.get(p.name, 2)
    return found


def _arguments(cls):
    """The arguments of a constructor, and those that it hands on to `Layer`."""
    parameters = [*inspect.signature(cls.__init__).parameters.values()][1:]
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    hands_on = issubclass(cls, layers.Layer) and len(names) < len(parameters)
    return [*names, "trainable", "dtype", "name"] if hands_on else names


CLASSES = {
    f"{family.__name__.rpartition('.')[2]}.{name}": cls
    for family in (
        keras.layers,
        keras.optimizers,
        keras.optimizers.schedules,
        keras.callbacks,
        keras.metrics,
        keras.losses,
        keras.initializers,
        keras.regularizers,
        keras.constraints,
    )
    for name, cls in vars(family).items()
    if inspect.isclass(cls)
    and cls.__name__ == name
    and not name.startswith("_")
    and cls.__module__.startswith("keraslike.")
}
# What takes no arguments, other libraries' objects only, or is made by keraslike itself.
for _name in ("callbacks.Callback", "callbacks.CallbackList", "optimizers.OptaxOptimizer"):
    CLASSES.pop(_name, None)
for _name in ("layers.TorchModuleWrapper", "layers.TFSMLayer"):
    CLASSES.pop(_name)


@pytest.mark.parametrize("name", CLASSES)
def test_an_argument_of_a_wrong_kind_is_taken_or_named(name):
    cls = CLASSES[name]
    needed = _needed(cls)
    needed |= ALSO_NEEDED.get(cls, {})
    cls(**needed)
    for argument in _arguments(cls):
        for value in ("a", 3, None, -1, [], 1.5, {}):
            try:
                cls(**{**needed, argument: value})
            except (TypeError, ValueError, NotImplementedError) as e:
                named = argument in str(e)
                family = any(
                    f"{word} {family}" in str(e)
                    for word in ("interpret", "Unknown")
                    for family in ("activation", "initializer", "regularizer", "constraint")
                )
                weights = argument == "weights" and "Weight '" in str(e)
                dtype = argument == "dtype" and "dtype: " in str(e)
                assert named or family or weights or dtype, (argument, value, e)
