"""Second gradients by the result of an operation, for any TensorFlow: what `outcomes` gives.

What TensorFlow 2.21 gave is in `results_as_sources.json`:

    python tests/tf/results_as_sources.py
"""

import json
import pathlib

RECORDED = pathlib.Path(__file__).with_suffix(".json")

_M = [[0.5, -0.3, 0.8], [0.2, 0.9, -0.6]]
_POSITIVE = [0.2, 0.7]
_ABOVE_ONE = [1.5, 2.0]
_MATRIX = [[2.0, 0.3, 0.1], [-0.2, 1.5, 0.4], [0.3, 0.2, 1.8]]

# name: (expression, argument)
OPERATIONS = {
    **{name: (f"tf.{name}(x)", _M) for name in ("exp", "tanh", "sigmoid", "square")},
    **{f"nn.{n}": (f"tf.nn.{n}(x)", _M) for n in ("selu", "relu6", "softmax", "log_softmax")},
    **{n: (f"tf.math.{n}(x)", _M) for n in ("reciprocal", "asinh", "erfinv", "softplus")},
    **{n: (f"tf.math.{n}(x)", _POSITIVE) for n in ("sqrt", "rsqrt", "ndtri")},
    "acosh": ("tf.math.acosh(x)", _ABOVE_ONE),
    "softmax along the first": ("tf.nn.softmax(x, axis=0)", _M),
    "reduce_std along an axis": ("tf.math.reduce_std(x, axis=1, keepdims=True)", _M),
    "reduce_euclidean_norm": ("tf.math.reduce_euclidean_norm(x, axis=0)", _M),
    "global_norm": ("tf.linalg.global_norm([x])", _M),
    "det": ("tf.linalg.det(x)", _MATRIX),
    "inv": ("tf.linalg.inv(x)", _MATRIX),
    "cholesky": ("tf.linalg.cholesky(x)", _MATRIX),
}


def outcomes(tf, name):
    """Gradients of gradients by an operation's result and argument, flat, or None."""
    expression, argument = OPERATIONS[name]
    x = tf.constant(argument)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(x)
            y = eval(expression, {"tf": tf, "x": x})
            z = y * y
        g, h = inner.gradient(y, x), inner.gradient(z, x)
    found = [outer.gradient(a, b) for a in (g, h) for b in (x, y)]
    with tf.GradientTape() as later:  # which knows nothing of how the result came about
        later.watch(y)
        g = inner.gradient(y, x)
    found.append(later.gradient(g, y))
    return [f if f is None else [float(v) for v in f.numpy().ravel()] for f in found]


if __name__ == "__main__":
    import tensorflow

    made = {name: outcomes(tensorflow, name) for name in OPERATIONS}
    rounded = {
        name: [f if f is None else [float(f"{v:.6g}") for v in f] for f in found]
        for name, found in made.items()
    }
    RECORDED.write_text(json.dumps(rounded, separators=(",", ":")) + "\n")
