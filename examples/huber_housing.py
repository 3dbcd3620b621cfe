"""House prices with a custom Huber loss: train, save, reload, and train on.

    python examples/huber_housing.py                   # California housing, downloaded once
    python examples/huber_housing.py --data FILE.npz   # a local copy, arrays X and y

Where California housing cannot be downloaded, the diabetes data that scikit-learn ships serves
instead. The trained model and a plot of its learning curves are written to --out.
"""

import argparse
import socket
import sys
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import keraslike as keras


class HuberLoss(keras.losses.Loss):
    """Squared error below the threshold, linear above: outliers pull less than with MSE."""

    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = jnp.abs(error) < self.threshold
        squared_loss = jnp.square(error) / 2
        linear_loss = self.threshold * jnp.abs(error) - self.threshold**2 / 2
        return jnp.where(is_small_error, squared_loss, linear_loss)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


@dataclass
class Dataset:
    name: str
    X: np.ndarray
    y: np.ndarray
    target: str
    unit: str
    epochs: int  # enough for the validation loss to level off


def california(X, y, source):
    return Dataset(
        name=f"California housing ({source})",
        X=X,
        y=y,
        target="median house value",
        unit="$100,000",
        epochs=30,
    )


def load_npz(path):
    if not zipfile.is_zipfile(path):  # what an .npz file is
        raise SystemExit(f"--data {path}: no such file, or not an .npz file")
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    missing = [key for key in ("X", "y") if key not in arrays]
    if missing:
        raise SystemExit(
            f"--data {path}: no array named {' or '.join(missing)}; expected X (samples, features) "
            f"and y (samples,), found {', '.join(sorted(arrays)) or 'nothing'}"
        )
    X, y = arrays["X"], arrays["y"]
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise SystemExit(
            f"--data {path}: expected X (samples, features) and y (samples,), "
            f"found X {X.shape} and y {y.shape}"
        )
    return california(X, y, source=Path(path).name)


def fetch_california():
    from sklearn.datasets import fetch_california_housing

    # Without a network this should fail in seconds. scikit-learn has no timeout of its own.
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its "retrying" warning
            X, y = fetch_california_housing(return_X_y=True, n_retries=1, delay=0.1)
    finally:
        socket.setdefaulttimeout(previous)
    return california(X, y, source="scikit-learn")


def load_diabetes():
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True, scaled=False)
    # The score runs from 25 to 346. In hundreds it has the size of the house prices, so the
    # same Huber threshold and learning rate suit it.
    return Dataset(
        name="diabetes (shipped with scikit-learn)",
        X=X,
        y=y / 100,
        target="disease progression after one year",
        unit="100 points",
        epochs=100,
    )


def load_data(path=None):
    if path:
        return load_npz(path)
    print(
        "Looking for California housing (a download of 0.4 MB, kept for next time) ...", flush=True
    )
    try:
        return fetch_california()
    except OSError as error:  # no network, a time-out, a broken download
        print(f"It cannot be fetched ({error}); using the diabetes data instead.")
        return load_diabetes()


def split_and_standardize(data, seed):
    """70 % for training, 15 % each for validation and test, scaled by the training set."""
    order = np.random.default_rng(seed).permutation(len(data.X))
    train, valid, test = np.split(order, [int(0.7 * len(order)), int(0.85 * len(order))])
    mean, std = data.X[train].mean(axis=0), data.X[train].std(axis=0)
    X = ((data.X - mean) / std).astype("float32")
    y = data.y.astype("float32").reshape(-1, 1)
    return [(X[part], y[part]) for part in (train, valid, test)]


def build_model(n_features):
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(n_features,)),
            keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=["mae"])
    return model


class EpochLines(keras.callbacks.Callback):
    """Prints a line for some of the epochs, the first and the last among them: a screen in all."""

    def __init__(self, epochs, lines=15):
        super().__init__()
        self.epochs = epochs
        self.shown = set(np.linspace(1, epochs, min(epochs, lines)).astype(int))

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in self.shown:
            values = "   ".join(f"{name} {value:.4f}" for name, value in logs.items())
            print(f"  epoch {epoch + 1:>{len(str(self.epochs))}}   {values}", flush=True)


def check_reloaded(model, reloaded, train, test):
    """The reloaded model is the same model: it has the same loss, predicts the same, and goes on
    training as the one that was never saved, optimizer state included."""
    assert reloaded.loss.threshold == model.loss.threshold
    print(f"  threshold           {reloaded.loss.threshold}")

    kept, loaded = (m.predict(test[0], verbose=0) for m in (model, reloaded))
    np.testing.assert_allclose(loaded, kept, rtol=1e-6, atol=1e-6)
    print(f"  predictions         differ by at most {np.abs(kept - loaded).max():.1e}")

    # Not shuffled, so that both see the same batches.
    kept, loaded = (m.fit(*train, shuffle=False, verbose=0).history for m in (model, reloaded))
    for key in ("loss", "mae"):
        np.testing.assert_allclose(loaded[key], kept[key], rtol=1e-5)
    print(f"  next epoch's loss   {loaded['loss'][0]:.6f}, never saved {kept['loss'][0]:.6f}")
    print(f"  next epoch's MAE    {loaded['mae'][0]:.6f}, never saved {kept['mae'][0]:.6f}")


def plot_learning_curves(history, data, path):
    import matplotlib

    matplotlib.use("Agg")  # draws to files, needs no screen
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.1)
    figure.suptitle(f"{data.name}: {data.target} (unit: {data.unit})")
    panels = [
        ("loss", "Huber loss, threshold 2", "loss (units squared)"),
        ("mae", "Mean absolute error", "MAE (units)"),
    ]
    for ax, (key, title, label) in zip(axes, panels):
        epochs = np.arange(1, len(history[key]) + 1)
        marker = "o" if len(epochs) == 1 else None  # one point makes no line
        ax.plot(epochs, history[key], marker=marker, label="training (mean over the epoch)")
        validation = history[f"val_{key}"]
        ax.plot(epochs, validation, marker=marker, label="validation (end of the epoch)")
        ax.set(title=title, xlabel="epoch", ylabel=label)
        ax.set_xlim(0, len(epochs) + 1)
        ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    # Below both panels: inside one it would lie on the curves of some data.
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FILE.npz", help="California housing as arrays X and y")
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: what suits the data")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--seed", type=int, default=42, help="of weights and splits; default: 42")
    args = parser.parse_args()

    data = load_data(args.data)
    print(f"Data: {data.name}, {len(data.X)} samples, {data.X.shape[1]} features")
    print(f"Target: {data.target}, in units of {data.unit}")

    keras.utils.set_random_seed(args.seed)
    train, valid, test = split_and_standardize(data, args.seed)
    model = build_model(n_features=data.X.shape[1])
    epochs = args.epochs or data.epochs
    print(f"Training, epochs: {epochs}. Compiling the step takes a few seconds ...", flush=True)
    history = model.fit(
        *train,
        epochs=epochs,
        validation_data=valid,
        verbose=0,
        callbacks=[EpochLines(epochs)],
    ).history
    test_loss, test_mae = model.evaluate(*test, verbose=0)

    print("Drawing the learning curves, saving and reloading the model ...", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    curves = args.out / "learning_curves.png"
    plot_learning_curves(history, data, curves)

    saved = args.out / "huber_housing.keras"
    model.save(saved)
    reloaded = keras.saving.load_model(saved, custom_objects={"HuberLoss": HuberLoss})
    print("\nThe reloaded model against the one that was never saved:")
    check_reloaded(model, reloaded, train, test)

    naive_mae = np.abs(test[1] - np.median(train[1])).mean()
    print(f"\nOn {data.name}, epochs of training: {epochs}")
    print(f"  test loss           {test_loss:.4f}")
    print(f"  test MAE            {test_mae:.4f} x {data.unit} (a constant guess: {naive_mae:.4f})")
    print(f"  model               {saved}")
    print(f"  learning curves     {curves}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
