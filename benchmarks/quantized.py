"""A Dense of int8 beside the same one of float32, ms.

As in `lowerings.py` the two take turns, the ratio is the median of the turns' ratios, and `cpu` is
that of processor time.

    python benchmarks/quantized.py [--rounds 40]
"""

from __future__ import annotations

import argparse
import functools

import jax
from lowerings import compare, normal

from keraslike.core.compilation import compiler_options
from keraslike.layers import Dense

SHAPES = [(1, 4096, 4096), (16, 4096, 4096), (1, 1024, 1024), (32, 512, 512)]


def prepared(layer: Dense, x: jax.Array) -> functools.partial:
    """The call of a layer, compiled for its weights as arguments."""
    weights, tree = jax.tree.flatten(layer)

    def call(weights: list[jax.Array], x: jax.Array) -> jax.Array:
        return jax.tree.unflatten(tree, weights)(x)

    return functools.partial(jax.jit(call, compiler_options=compiler_options()), weights, x)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    print(f"jax {jax.__version__}, {jax.devices()[0].platform}")
    print(f"{'':30}{'float32':>9}{'int8':>9}{'ratio':>8}{'cpu':>7}")
    for rows, inside, new in SHAPES:
        runs = []
        for mode in (None, "int8"):
            layer = Dense(new)
            layer.build((None, inside))
            if mode is not None:
                layer.quantize(mode)
            runs.append(prepared(layer, normal(rows, inside)))
        a, b, wall, cpu = compare(*runs, args.rounds)
        name = f"{rows}x{inside} @ {inside}x{new}"
        print(f"{name:30}{a:9.3f}{b:9.3f}{wall:8.2f}{cpu:7.2f}", flush=True)


if __name__ == "__main__":
    main()
