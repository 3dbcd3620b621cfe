"""Layers of many shapes beside PyTorch and TensorFlow, alone and within a small network.

    python benchmarks/sweep.py --tensorflow PYTHON --torch PYTHON      # a sample: some minutes
    python benchmarks/sweep.py --all --only "convolution 16"           # whole families

Each is a forward and a backward pass, with the gradients by all weights and by the input: compiled
in keraslike and in Keras on TensorFlow, eager in PyTorch. What is counted is the time of the
processor in all threads. Each column is a process of its own; they take turns, and the medians are
printed, with those of keraslike's time by the other's.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from layers_alone import Alone

HEAD = 32  # the width of a head of attention
_MOST = 3e10  # multiplications of the forward pass: no case of `--all` has more


class Case(NamedTuple):
    """A shape of a family: what it is called, and what is built of it.

    Args:
        family: `"convolution"` with batch normalization and relu, `"attention"`, or `"dense"`.
        width: channels, or features.
        size: pixels along each side, or tokens; 1 for `"dense"`.
        batch: samples.
        option: strides, or what of the other tokens is hidden: `""`, `"padding"`, `"causal"`.
        network: whether a few such layers in a network, or one alone.
    """

    family: str
    width: int
    size: int
    batch: int
    option: Any = ""
    network: bool = False

    def __str__(self) -> str:
        if self.family == "convolution":
            what = f"{self.width} channels, {self.size} x {self.size}"
            what += f" /{self.option}" if self.option > 1 else ""
        elif self.family == "attention":
            what = f"{self.width} wide, {self.size} tokens" + f" {self.option}".rstrip()
        else:
            what = f"{self.width}"
        end = ", network" if self.network else ""
        return f"{self.family} {what}, batch {self.batch}{end}"

    @property
    def shape(self) -> tuple[int, ...]:
        inner = {"convolution": (self.size, self.size), "attention": (self.size,), "dense": ()}
        return self.batch, *inner[self.family], self.width

    def mask(self) -> np.ndarray:
        """Which sources are no padding: sequences of a half to all of the tokens."""
        lengths = np.linspace(self.size // 2, self.size, self.batch).astype(int)
        return np.arange(self.size) < lengths[:, None]

    def work(self) -> float:
        """Multiplications of the forward pass of one layer, about."""
        tokens = self.batch * self.size
        if self.family == "convolution":
            return 9 * tokens * self.size * (self.width / self.option) ** 2
        if self.family == "attention":
            return tokens * self.width * (4 * self.width + 2 * self.size)
        return tokens * self.width**2


def alone(case: Case) -> Alone:
    """How `keras` or `keraslike` make and call it."""
    return Alone(_FAMILIES[case.family](case), case.shape, _call)


def _call(layer: Any, x: Any, **options: Any) -> Any:
    return layer(x, **options)


def _convolution(case: Case) -> Callable[[Any], Any]:
    def make(k: Any) -> Any:
        def block(x: Any, strides: int = 1) -> Any:
            conv = k.layers.Conv2D(case.width, 3, strides, padding="same", use_bias=False)
            return k.layers.BatchNormalization()(conv(x))

        def relu(x: Any) -> Any:
            return k.layers.Activation("relu")(x)

        inputs = k.Input(case.shape[1:])
        x = relu(block(inputs, case.option))
        if case.network:
            x = relu(k.layers.Add()([x, block(relu(block(x)))]))
            x = k.layers.Dense(10)(k.layers.GlobalAveragePooling2D()(x))
        return k.Model(inputs, x)

    return make


def _attention(case: Case) -> Callable[[Any], Any]:
    mask = case.mask()[:, None]
    given: dict[str, Any] = {
        "padding": {"attention_mask": mask},
        "causal": {"use_causal_mask": True},
    }
    options = given.get(case.option, {})

    def make(k: Any) -> Any:
        class Attending(k.layers.Layer):
            """Self-attention that hides tokens, in its block where it is in a network."""

            def __init__(self) -> None:
                super().__init__()
                self.attention = k.layers.MultiHeadAttention(case.width // HEAD, HEAD)
                if case.network:
                    self.norms = [k.layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
                    self.wide = k.layers.Dense(4 * case.width, activation="relu")
                    self.narrow = k.layers.Dense(case.width)

            def call(self, x: Any) -> Any:
                y = self.attention(x, x, **options)
                if not case.network:
                    return y
                x = self.norms[0](x + y)
                return self.norms[1](x + self.narrow(self.wide(x)))

        return Attending()

    return make


def _dense(case: Case) -> Callable[[Any], Any]:
    def make(k: Any) -> Any:
        count = 4 if case.network else 1
        hidden = [k.layers.Dense(case.width, activation="relu") for _ in range(count)]
        end = [k.layers.Dense(10)] if case.network else []
        return k.Sequential([k.Input((case.width,)), *hidden, *end])

    return make


_FAMILIES = {"convolution": _convolution, "attention": _attention, "dense": _dense}


def every() -> Iterator[Case]:
    """All shapes but those that take seconds."""
    several = itertools.product(
        (8, 16, 32, 64, 128), (4, 8, 16, 32, 64), (8, 32, 128, 256), (1, 2), (False, True)
    )
    cases = [Case("convolution", *some) for some in several]
    several = itertools.product(
        (32, 64, 128, 256, 512), (32, 128, 512, 1024), (1, 8, 32), ("", "padding", "causal"),
        (False, True),
    )  # fmt: skip
    cases += [Case("attention", *some) for some in several]
    several = itertools.product((32, 128, 512, 1024), (1,), (1, 8, 64, 512, 4096))
    cases += [Case("dense", *some, network=n) for some in several for n in (False, True)]
    yield from (case for case in cases if case.work() < _MOST)


SAMPLE = [
    case._replace(network=network)
    for case in (
        Case("convolution", 8, 64, 8, 1),
        Case("convolution", 8, 64, 32, 2),
        Case("convolution", 16, 32, 32, 1),
        Case("convolution", 16, 32, 256, 2),
        Case("convolution", 32, 16, 8, 1),
        Case("convolution", 32, 16, 128, 2),
        Case("convolution", 32, 64, 8, 1),
        Case("convolution", 64, 8, 32, 1),
        Case("convolution", 64, 16, 64, 2),
        Case("convolution", 128, 4, 256, 1),
        Case("convolution", 128, 8, 32, 2),
        Case("attention", 32, 128, 32),
        Case("attention", 64, 32, 64, "padding"),
        Case("attention", 64, 512, 8, "causal"),
        Case("attention", 128, 128, 16, "causal"),
        Case("attention", 256, 64, 16, "padding"),
        Case("attention", 256, 1024, 1, "causal"),
        Case("attention", 512, 128, 4),
        Case("dense", 64, 1, 1),
        Case("dense", 256, 1, 32),
        Case("dense", 512, 1, 512),
        Case("dense", 128, 1, 4096),
    )
    for network in (False, True)
]  # fmt: skip


def named(name: str) -> Case:
    """The case that prints so."""
    return next(case for case in itertools.chain(SAMPLE, every()) if str(case) == name)


def main() -> None:
    import run

    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--all", action="store_true", help="every shape in place of a sample")
    parser.add_argument("--tensorflow", default=sys.executable, help="a Python that has it")
    parser.add_argument("--torch", default=sys.executable, help="a Python that has PyTorch")
    args = parser.parse_known_args()[0]
    args.cpu = True
    names = [run.OURS]
    names += [run.TENSORFLOW] * run.has(args.tensorflow, "tensorflow")
    names += [run.TORCH] * run.has(args.torch, "torch")
    cases = [str(case) for case in (every() if args.all else SAMPLE)]
    found: dict[str, list[float]] = {name: [] for name in names}
    print("\n".join(run.header("A layer, forward and backward", "ms of the processor", names)))
    with run.started(names, args) as columns:
        for name in (case for case in cases if args.only in case):
            row = run.measure(columns, "sweep", name, 1, args, warm=False)
            print(next(itertools.islice(run.table("", {name: row}, "", {name: 1e3}), 3, None)))
            sys.stdout.flush()
            for other in names[1:]:
                found[other].append(run.ratio(row, other))
    for other in names[1:]:
        ratios = found[other]
        print(
            f"\nBy {other}: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to "
            f"{max(ratios):.2f}, above 1.2 in {sum(r > 1.2 for r in ratios)} of {len(ratios)}."
        )


if __name__ == "__main__":
    main()
