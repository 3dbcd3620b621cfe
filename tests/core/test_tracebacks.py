"""What is left of a traceback: the user's own lines, and the error."""

import dataclasses
import pathlib
import subprocess
import sys
import traceback

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers, tf
from keraslike.core import jax_internals

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


@pytest.fixture(autouse=True)
def _filtering():
    keras.config.enable_traceback_filtering()
    with jax_internals.tracebacks("auto"):
        yield
    keras.config.disable_traceback_filtering()


def _frames(function):
    """The functions in the traceback of the error that a function ends with, and the error."""
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        function()
    error = caught.value
    frames = traceback.extract_tb(error.__traceback__)[1:]  # without this function
    return [(pathlib.Path(f.filename).name, f.name) for f in frames], error


def _here(*names):
    return [(pathlib.Path(__file__).name, name) for name in names]


def _model(*more, **compiled):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1), *more])
    model.compile("sgd", "mse", **compiled)
    return model


class Wrong(layers.Layer):
    def call(self, x):
        return self.help(x)

    def help(self, x):
        return jnp.dot(x, jnp.ones((7, 2)))


def test_a_wrong_number_of_features_in_fit_shows_the_call_and_the_error():
    def wrong():
        _model().fit(np.ones((8, 5)), Y, verbose=0)

    frames, error = _frames(wrong)
    assert frames == _here("wrong")
    text = "".join(traceback.format_exception(error))
    assert len(text.splitlines()) < 10
    assert "site-packages" not in text and "JAX_TRACEBACK_FILTERING" not in text
    assert text.rstrip().splitlines()[-1].startswith("ValueError: Input 0 of layer 'dense")


def _calls_back(epoch, logs):
    raise KeyError("mine")


def _loss(y, p):
    return jnp.dot(p, jnp.ones(99))


def _batches():
    yield X, Y
    raise RuntimeError("mine")


class Own(keras.Model):
    def __init__(self, size):
        super().__init__()
        self.dense = layers.Dense(size)
        self.part = 1 / size

    def train_step(self, data):
        return self.dense(data[0], 3)


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (lambda: Wrong()(X), ["call", "help"]),
        (lambda: _model(Wrong()), ["_model", "call", "help"]),
        (lambda: Wrong()(keras.Input((3,))), ["call", "help"]),
        (
            lambda: _model().fit(
                X,
                Y,
                verbose=0,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=_calls_back)],
            ),
            ["_calls_back"],
        ),
        (lambda: keras.losses.LossFunctionWrapper(_loss)(Y, Y), ["_loss"]),
        (lambda: _model().fit(_batches(), verbose=0), ["_batches"]),
        (lambda: Own(0), ["__init__"]),
        (lambda: layers.Dense(0), []),
        (lambda: layers.Dense(2, nothing=3), []),
        (lambda: layers.Dense(2).build(3, 4, 5), []),
        (lambda: keras.optimizers.Adam("a"), []),
        (lambda: keras.metrics.Mean().update_state("a"), []),
        (lambda: keras.losses.MeanSquaredError()("a", 3), []),
        (lambda: keras.initializers.Zeros()("a"), []),
        (lambda: keras.ops.matmul(X, X), []),
        (lambda: keras.ops.matmul(keras.Input((3,)), X), []),
        (lambda: keras.Input(("a",)), []),
        (lambda: tf.exp(tf.constant(1)), []),
        (lambda: tf.add(tf.ones(2), tf.ones(3)), []),
        (lambda: _model().predict(np.ones((2, 5)), verbose=0), []),
        (lambda: _model().evaluate(np.ones((2, 5)), Y, verbose=0), []),
        (lambda: _model().train_on_batch(np.ones((2, 5)), Y), []),
        (lambda: _model().compile(optimizer="nothing"), []),
        (lambda: _model().set_weights([1]), []),
        (lambda: _model().save("model.txt"), []),
        (lambda: keras.models.load_model("nothing.keras"), []),
    ],
)
def test_only_the_lines_of_the_user_are_shown(run, names):
    frames, _ = _frames(run)
    assert frames == _here("<lambda>", *names)


def test_user_code_shows_the_library_functions_that_it_calls():
    class Parses(layers.Layer):
        def call(self, x):
            import json

            return json.loads("{")

    frames, _ = _frames(lambda: Parses()(X))
    assert frames[:2] == _here("<lambda>", "call")
    assert {name for name, _ in frames[2:]} == {"__init__.py", "decoder.py"}


def test_an_error_raised_by_a_step_shows_the_step():
    model = Own(1)
    model.compile("sgd")
    frames, _ = _frames(lambda: model.fit(X, Y, verbose=0))
    assert frames == _here("<lambda>", "train_step")


def test_causes_are_shortened_and_what_was_handled_inside_is_left_out():
    class Translates(layers.Layer):
        def call(self, x):
            try:
                return layers.Dense("a")(x)
            except ValueError as e:
                raise RuntimeError("mine") from e

    frames, error = _frames(lambda: Translates()(X))
    assert frames == _here("<lambda>", "call")
    causes = traceback.extract_tb(error.__cause__.__traceback__)
    assert [f.name for f in causes] == ["call"]
    # Of what keraslike caught itself (an integer was expected, and Python raised TypeError).
    assert error.__cause__.__context__ is None

    def after_another():
        try:
            raise KeyError("the user's")
        except KeyError:
            layers.Dense("a")

    _, error = _frames(after_another)
    assert isinstance(error.__context__, KeyError)


def test_an_error_that_cannot_be_changed_is_raised_as_it_is():
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        number: int

    class Raises(layers.Layer):
        def call(self, x):
            raise Frozen(3)

    frames, error = _frames(lambda: Raises()(X))
    assert isinstance(error, Frozen) and frames == _here("<lambda>", "call")


def test_an_error_caught_on_the_way_keeps_its_frames_until_it_leaves():
    seen = []

    class Catches(layers.Layer):
        def call(self, x):
            try:
                return layers.Dense(2)(x, 3)
            except ValueError as e:
                seen.append(traceback.extract_tb(e.__traceback__))
            return x

    Catches()(X)
    assert len(seen[0]) > 1


def test_it_can_be_disabled():
    assert keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    assert not keras.config.is_traceback_filtering_enabled()
    frames, _ = _frames(lambda: layers.Dense("a"))
    assert ("annotations.py", "run") in frames


def test_an_uncaught_error_prints_a_few_lines():
    program = (
        "import numpy as np, keraslike as k\n"
        "m = k.Sequential([k.Input((3,)), k.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse')\n"
        "m.fit(np.ones((8, 5)), np.ones((8, 1)), verbose=0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("Traceback") and '"<string>", line 4' in lines[1]
    assert len(lines) == 3 and lines[2].startswith("ValueError: Input 0 of layer 'dense'")


@pytest.mark.parametrize(
    "run",
    [
        lambda: keras.optimizers.SGD(0.1, decay=0.1),
        lambda: layers.Flatten()(layers.Embedding(3, 2, mask_zero=True)(np.array([[1, 0]]))),
        lambda: keras.losses.CategoricalCrossentropy()(Y, Y),
        lambda: _model().fit(X, Y, verbose=0, callbacks=[keras.callbacks.EarlyStopping()]),
        lambda: Own(1).save("model.keras"),
        lambda: layers.LayerNormalization(rms_scaling=True),
    ],
)
def test_a_warning_is_at_the_line_of_the_user(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(Warning) as told:
        run()
    assert {w.filename for w in told} == {__file__}
