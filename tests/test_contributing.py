"""What CONTRIBUTING.md says is enough to add something is enough: one of each kind, in a copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keraslike

PACKAGE = Path(keraslike.__file__).parent
PAGE = PACKAGE.parent / "CONTRIBUTING.md"

OP = '''

@op
def cube(x: Any) -> jax.Array:
    """`x ** 3`."""
    return array(x) ** 3
'''
METRIC = '''

class LargestError(Metric):
    """The largest absolute error."""

    def __init__(self, name: str | None = "largest_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest.assign(jnp.maximum(self.largest.value, jnp.max(jnp.abs(y_true - y_pred))))

    def result(self) -> jax.Array:
        return self.largest.value
'''
OPTIMIZER = '''

class SignDescent(Optimizer):
    """`w = w - rate * sign(g)`."""

    def __init__(self, learning_rate: LearningRate = 0.01, **shared: Unpack[Shared]):
        super().__init__(learning_rate, **shared)

    def transform(self) -> optax.GradientTransformationExtraArgs:
        def update(grads, state, params=None, *, learning_rate, iterations):
            return jax.tree.map(lambda g: -learning_rate * jnp.sign(g), grads), state

        return rule(lambda params: None, update)
'''
CALLBACK = '''

class Counter(Callback):
    """Counts epochs."""

    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
'''
FORMAT = '''"""Names of endpoints."""


def write(path, endpoints, arrays, collections, platforms):
    with open(path, "w") as file:
        file.write(" ".join(e.name for e in endpoints))
'''
USE = """
import sys, numpy as np, keraslike as keras
from keraslike import layers, ops

folder = sys.argv[1]
x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
model = keras.Sequential([keras.Input((2,)), layers.Clip(0.5), layers.Dense(1)])
model.compile("signdescent", "mse", metrics=["largest_error"])
counter = keras.callbacks.Counter()
history = model.fit(x, y, epochs=2, verbose=0, callbacks=[counter]).history
assert counter.epochs == 2 and set(history) == {"loss", "largest_error"}, history
model.save(f"{folder}/m.keras")
again = keras.models.load_model(f"{folder}/m.keras")
assert again.layers[0].limit == 0.5 and type(again.optimizer).__name__ == "SignDescent"
assert ops.cube(keras.Input((3,))).shape == (None, 3) and float(ops.cube(2.0)) == 8
model.export(f"{folder}/m.txt", format="names", verbose=False)
assert open(f"{folder}/m.txt").read() == "serve"
for module, name in (("layers", "Clip"), ("metrics", "LargestError"), ("callbacks", "Counter"),
                     ("optimizers", "SignDescent"), ("ops", "cube")):
    assert name in dir(getattr(keras, module)), name
"""


def add(file, text, before=None):
    """Puts text at the end of a file, or before something in it."""
    old = file.read_text() if file.exists() else ""
    at = len(old) if before is None else old.index(before)
    file.write_text(old[:at] + text + old[at:])


def name_in_import(file, module, name):
    old = file.read_text()
    (start,) = re.findall(rf"from {re.escape(module)} import \(?", old)
    end = old.index(start) + len(start)
    file.write_text(f"{old[:end]}{name}, {old[end:]}")


def test_one_of_each_kind(tmp_path):
    package = tmp_path / "keraslike"
    shutil.copytree(PACKAGE, package)
    (layer,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    add(package / "ops/math.py", OP.lstrip() + "\n\n", before="__all__ =")
    for module, text, name, face in (
        ("layers.regularization", f"\n\n{layer}", "Clip", "layers/__init__.py"),
        ("metrics.regression", METRIC, "LargestError", "metrics/__init__.py"),
        ("optimizers.gradient_descent", OPTIMIZER, "SignDescent", "optimizers/__init__.py"),
        ("training.callbacks", CALLBACK, "Counter", "callbacks.py"),
    ):
        add(package / f"{module.replace('.', '/')}.py", text)
        name_in_import(package / face, f"keraslike.{module}", name)
    add(package / "export/names_format.py", FORMAT)
    archive = package / "export/archive.py"
    name_in_import(archive, "keraslike.export", "names_format")
    add(archive, '    "names": names_format.write,\n', before='    "onnx": ')
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", USE, str(tmp_path)]
    run = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)
    assert not run.returncode, run.stderr
