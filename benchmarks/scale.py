"""Step time, memory a device and bytes of collectives on 1 to 8 virtual devices of the CPU.

    python benchmarks/scale.py                 # a table; about three minutes
    python benchmarks/scale.py --devices 8     # one row of it
    python benchmarks/scale.py --overhead      # of a distribution on one device, in turns

Virtual devices share the cores: step times say what a distribution costs, not what it gains. Bytes
are those of the compiled program, as `keras.distribution.plan` reads them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

COUNTS = (1, 2, 4, 8)
WIDTH, DEPTH, BATCH = 512, 4, 64


def build():
    import keraslike as keras
    from keraslike import layers

    keras.utils.set_random_seed(0)
    stack = [layers.Dense(WIDTH, "relu", name=f"dense_{i}") for i in range(DEPTH)]
    model = keras.Sequential([keras.Input((WIDTH,)), *stack])
    model.compile(loss="mse", optimizer="adam")
    return model


def distributions(count):
    from keraslike.distribution import DataParallel, DeviceMesh, LayoutMap, ModelParallel

    layouts = LayoutMap(DeviceMesh((1, count), ("batch", "model")))
    layouts[".*dense_[02]/kernel"] = (None, "model")
    layouts[".*dense_[02]/bias"] = ("model",)
    layouts[".*dense_[13]/kernel"] = ("model", None)
    named = {"none": None} if count == 1 else {}
    named |= {"data": DataParallel(), "fsdp": ModelParallel.fsdp()}
    return named | {"tensor": ModelParallel(layout_map=layouts)}


def measured(count, rounds=5, steps=20):
    """Rows of one process, in which each distribution has its turn in every round."""
    import numpy as np

    from keraslike.distribution import plan, set_distribution

    x = np.random.default_rng(0).normal(size=(BATCH * steps, WIDTH)).astype("float32")
    models, times, plans = {}, {}, {}
    named = distributions(count)
    for name, distribution in named.items():
        set_distribution(distribution)
        models[name], times[name] = build(), []
        models[name].fit(x, x, batch_size=BATCH, epochs=2, verbose=0)
        if distribution is not None:
            (plans[name],) = plan(models[name], BATCH, distributions=[distribution])
    for _ in range(rounds):
        for name, distribution in named.items():
            set_distribution(distribution)
            models[name].fit(x, x, batch_size=BATCH, verbose=0)  # is placed again
            began = time.perf_counter()
            models[name].fit(x, x, batch_size=BATCH, epochs=2, verbose=0)
            times[name].append((time.perf_counter() - began) / steps / 2 * 1e3)
    rows = []
    for name in named:
        found = plans.get(name)
        row = {"devices": count, "layout": name, "ms": round(statistics.median(times[name]), 2)}
        if found is not None:
            row |= {
                "state MiB": round((found.weights + found.slots) / 2**20, 2),
                "total MiB": round(found.total / 2**20, 2),
                "collectives MiB": round(found.collectives / 2**20, 2),
            }
        rows.append(row)
    return rows


def overhead(rounds=40, steps=20):
    """Times of a step with each distribution of one device, as ratios to those without one.

    All take turns in one process, in another order each round, since other programs run beside
    this one: medians over rounds of processor time and of wall time, and of the ratios of those
    that were measured in the same round.
    """
    import numpy as np

    from keraslike.distribution import set_distribution

    x = np.random.default_rng(0).normal(size=(BATCH * steps, WIDTH)).astype("float32")
    named, models, times = distributions(1), {}, {}
    for name, distribution in named.items():
        set_distribution(distribution)
        models[name], times[name] = build(), []
        models[name].fit(x, x, batch_size=BATCH, epochs=3, verbose=0)

    def measured_once(name, epochs=2):
        set_distribution(named[name])
        models[name].fit(x, x, batch_size=BATCH, verbose=0)  # is placed again
        began = time.process_time(), time.perf_counter()
        models[name].fit(x, x, batch_size=BATCH, epochs=epochs, verbose=0)
        ended = time.process_time(), time.perf_counter()
        return [(after - before) / steps / epochs * 1e3 for before, after in zip(began, ended)]

    names = list(named)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(measured_once(name))
    print("| layout | processor ms | wall ms | ratio of processor time | ratio of wall time |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found in times.items():
        columns = [f"{statistics.median(each):.2f}" for each in zip(*found)]
        for kind in (0, 1):
            ratios = [own[kind] / none[kind] for own, none in zip(found, times["none"])]
            low, middle, high = statistics.quantiles(ratios, n=4)
            columns.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        print("| " + " | ".join([name, *columns]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int)
    parser.add_argument("--overhead", action="store_true")
    given = parser.parse_args()
    if given.overhead:
        overhead()
        return
    if given.devices:
        print(json.dumps(measured(given.devices)))
        return
    print("| devices | layout | ms a step | state MiB | total MiB | collectives MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for count in COUNTS:
        flags = f"--xla_force_host_platform_device_count={count}"
        env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
        command = [sys.executable, __file__, "--devices", str(count)]
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        for row in json.loads(out.splitlines()[-1]):
            columns = ("devices", "layout", "ms", "state MiB", "total MiB", "collectives MiB")
            print("| " + " | ".join(str(row.get(column, "")) for column in columns) + " |")


if __name__ == "__main__":
    main()
