"""`python -m keraslike doctor` checks this installation, and `bench` measures its speed."""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np

from keraslike import layers, models, saving

# Extras for users; those for the development of keraslike are excluded.
_EXTRAS = ("images", "safetensors", "onnx", "openvino", "litert", "tensorflow")


def main(arguments: Sequence[str]) -> int:
    """Runs `doctor` or `bench`; returns the exit code, 1 if a check fails."""
    parser = argparse.ArgumentParser(prog="python -m keraslike")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "doctor", help="report versions, devices and missing packages; run a self-test"
    )
    bench = commands.add_parser("bench", help="time a step of some small models in fit")
    bench.add_argument("--seconds", type=float, default=2.0, help="seconds to spend on each model")
    given = parser.parse_args(arguments)
    if given.command == "bench":
        for line in benched(given.seconds):
            print(line, flush=True)
        return 0
    healthy = True
    for line, is_fine in examined():
        print(line, flush=True)
        healthy = healthy and is_fine
    return 0 if healthy else 1


# -- doctor -----------------------------------------------------------------------------------


def examined() -> Iterator[tuple[str, bool]]:
    """Lines that describe this installation, each with whether its check passed."""
    yield f"Python {platform.python_version()} on {platform.platform()}, {_cores()} CPU cores", True
    yield from _versions()
    yield from _devices()
    for extra in _EXTRAS:
        missing = [name for name in _requirements(extra) if _version(name) is None]
        if missing:
            yield (
                f"not installed: {', '.join(missing)}; `pip install keraslike[{extra}]` if needed",
                True,
            )
    yield from _self_test()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements(extra: str | None) -> dict[str, str]:
    """The packages that keraslike, or one of its extras, requires, and the bounds of their
    versions."""
    found = {}
    for line in metadata.requires("keraslike") or []:
        requirement, _, marker = line.partition(";")
        of = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if (of.group(1) if of else None) == extra:
            name = re.match(r"[\w.-]+", requirement)
            if name is not None:
                bounds = requirement[name.end() :].strip()
                found[name.group()] = re.sub(r"^\[.*?\]", "", bounds)
    return found


def _versions() -> Iterator[tuple[str, bool]]:
    yield f"keraslike {_version('keraslike')} in {os.path.dirname(__file__)}", True
    for name, bounds in _requirements(None).items():
        version = _version(name)
        if version is None:
            yield f"{name} is missing: pip install '{name}{bounds}'", False
        elif not _is_within(version, bounds):
            yield f"{name} {version}, but keraslike needs {bounds}", False
        else:
            yield f"{name} {version}", True


def _is_within(version: str, bounds: str) -> bool:
    """Whether a version satisfies bounds such as `>=0.10,<0.13`."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.match(r"[\d.]+", text).group().strip(".").split(".")]  # type: ignore[union-attr]

    have = numbers(version)
    for bound in filter(None, bounds.split(",")):
        sign, limit = re.match(r"([<>]=?)(.*)", bound.strip()).groups()  # type: ignore[union-attr]
        at_least = have >= numbers(limit)
        if at_least != (sign == ">="):
            return False
    return True


def _devices() -> Iterator[tuple[str, bool]]:
    try:
        for device in jax.devices():
            yield f"device: {device.platform}:{device.id}, {device.device_kind}", True
    except RuntimeError as error:
        yield f"no device: {error}", False


def _self_test() -> Iterator[tuple[str, bool]]:
    """Trains, saves, loads and predicts with a small model."""
    began = time.perf_counter()
    try:
        x = np.linspace(-1, 1, 256, dtype="float32").reshape(64, 4)
        model = models.Sequential(
            [layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(1)]
        )
        model.compile("adam", "mse")
        losses = model.fit(x, x.sum(1), epochs=30, verbose=0).history["loss"]
        file = io.BytesIO()
        saving.save_model(model, file)
        file.seek(0)
        again = saving.load_model(file)
        error = float(np.abs(again.predict(x, verbose=0) - model.predict(x, verbose=0)).max())
    except Exception as failure:  # Whatever the error is, it is reported to the user.
        yield f"self-test failed: {type(failure).__name__}: {failure}", False
        return
    seconds = time.perf_counter() - began
    if not losses[-1] < losses[0]:
        yield f"self-test failed: the loss went from {losses[0]:.3g} to {losses[-1]:.3g}", False
    elif error > 1e-6:
        yield f"self-test failed: a reloaded model differs by {error:.3g}", False
    else:
        yield f"self-test passed: trained, saved, loaded and compared in {seconds:.1f} s", True


# -- bench ------------------------------------------------------------------------------------


def _dense() -> tuple[list, tuple[int, ...]]:
    return [layers.Dense(n, activation="relu") for n in (300, 100)], (784,)


def _convolutional() -> tuple[list, tuple[int, ...]]:
    body = [layers.Conv2D(n, 3, activation="relu") for n in (16, 32)]
    return [body[0], layers.MaxPooling2D(), body[1], layers.Flatten()], (28, 28, 1)


def _recurrent() -> tuple[list, tuple[int, ...]]:
    return [layers.GRU(64)], (50, 16)


_MODELS: dict[str, Callable[[], tuple[list, tuple[int, ...]]]] = {
    "dense, 784-300-100-10": _dense,
    "convolutional, 28 x 28 x 1": _convolutional,
    "recurrent, GRU of 64, 50 steps": _recurrent,
}


def benched(seconds: float, batch_size: int = 64) -> Iterator[str]:
    """Lines of a table: for each model the time of the first epoch, and of a step in later ones."""
    device = jax.devices()[0]
    yield f"keraslike {_version('keraslike')}, jax {jax.__version__}, {device.device_kind}"
    yield f"{'model':32}{'first epoch':>14}{'a step':>12}{'samples/s':>14}"
    rng = np.random.default_rng(0)
    samples = 32 * batch_size
    for name, make in _MODELS.items():
        body, shape = make()
        model = models.Sequential([layers.Input(shape), *body, layers.Dense(10, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        x = rng.normal(size=(samples, *shape)).astype("float32")
        y = rng.integers(0, 10, samples)

        def epochs(n: int, model: Any = model, x: Any = x, y: Any = y) -> float:
            began = time.perf_counter()
            model.fit(x, y, batch_size=batch_size, epochs=n, verbose=0)
            return time.perf_counter() - began

        first, one = epochs(1), epochs(1)
        n = max(1, round(seconds / one))
        step = epochs(n) / (n * samples / batch_size)
        yield f"{name:32}{first:12.2f} s{step * 1e3:9.3f} ms{batch_size / step:14,.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
