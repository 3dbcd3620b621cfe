"""Runs the cells of one notebook in this process: python cells.py NOTEBOOK RESULT, for run.py.

Training is cut short: two epochs, 256 rows or two batches; and prediction, to 256 rows or 400,000
numbers. A cell that takes too long is ended.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import io
import json
import linecache
import math
import os
import pathlib
import re
import signal
import sys
import textwrap
import time
import types
import warnings
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
EPOCHS, ROWS, BATCHES, NUMBERS = 2, 256, 2, 400_000
# Numbers that a notebook sets, made smaller for a processor.
SIZES = {
    "chapter12_object-detection": {"image_size": 224},
    "chapter16_text-generation": {
        "batch_size": 4,
        "hidden_dim": 64,
        "intermediate_dim": 128,
        "num_layers": 2,
    },
}


class TooLong(BaseException):
    """Not an Exception, so that no cell catches it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notebook", type=pathlib.Path)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--library", choices=("keraslike", "tensorflow"), required=True)
    parser.add_argument("--seed", type=int, default=0, help="added to what a notebook sets")
    parser.add_argument("--limit", type=int, default=60, help="seconds of processor time a cell")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    prepare_libraries(options.library, options.seed)
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(module)["display"] = lambda *values, **kwargs: None  # which IPython shows
    sys.path.insert(0, os.getcwd())
    for which in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(which, raise_too_long)
    import tutorials  # beside this file

    results = []
    for number, cell in enumerate(json.loads(options.notebook.read_text())["cells"]):
        source = "".join(cell["source"])
        for name, size in SIZES.get(options.notebook.stem, {}).items():
            source = re.sub(rf"^({name} = )[\d_]+", rf"\g<1>{size}", source, flags=re.M)
        for old, new in tutorials.CHANGES.get(options.notebook.stem, ()):
            source = re.sub(old, new, source)
        if cell["cell_type"] != "code" or not source.strip():
            continue
        known = {"cell": number, "published": published(cell)}
        results.append(known | run_cell(source, f"<cell {number}>", vars(module), options.limit))
        options.result.write_text(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)  # whatever threads the notebook has left


def raise_too_long(*args: Any) -> None:
    raise TooLong("the cell took too long")


def published(cell: dict[str, Any]) -> str:
    """What the notebook says that a cell has printed."""
    found = []
    for output in cell.get("outputs", ()):
        if output.get("name") == "stdout":
            found += output["text"]
        elif output["output_type"] == "execute_result":
            found += output["data"].get("text/plain", [])
    return "".join(found)


def run_cell(source: str, name: str, space: dict[str, Any], limit: int) -> dict[str, Any]:
    """Runs one cell as IPython would: what it printed, with its last value, or its error, and the
    processor time that it took."""
    source = without_magics(source)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    printed, error, start = io.StringIO(), "", time.process_time()
    signal.setitimer(signal.ITIMER_PROF, limit)
    signal.alarm(6 * limit)
    try:
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(tree, name, "exec"), space)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), name, "eval"), space)
                if value is not None and not source.rstrip().endswith(";"):
                    print(repr(value))
    except (Exception, SystemExit, TooLong) as raised:
        error = f"{type(raised).__name__}: {raised}"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    return {
        "first": source.strip().partition("\n")[0],
        "printed": printed.getvalue(),
        "error": error,
        "seconds": round(time.process_time() - start, 2),
    }


def without_magics(source: str) -> str:
    """The source as Python: magics and shell commands do nothing, loops of training are short."""
    if source.startswith(" "):
        source = textwrap.dedent(source)
    head, _, rest = source.lstrip().partition("\n")
    if head.startswith("%%writefile"):
        return f"open({head.split()[-1]!r}, 'w').write({rest!r});"
    if head.startswith("%%"):
        source = rest if head.split()[0] in ("%%time", "%%timeit") or "tensorflow" in head else ""
    if "register_cell_magic" in source:
        return ""
    source = re.sub(r"^(\s*)%(?:timeit|time)\s+(?:-\S+\s+)*", r"\1", source, flags=re.M)
    source = re.sub(r"^(\s*)[%!](?:.*\\\n)*.*$", r"\1pass", source, flags=re.M)
    source = re.sub(r"weights=.imagenet.", "weights=None", source)
    source = re.sub(r"(epochs\s*=\s*)\d[\d_]*", rf"\g<1>{EPOCHS}", source)
    source = re.sub(r"(\biterations\s*=\s*)\d[\d_]*", r"\g<1>3", source)
    source = re.sub(r"/Users/fchollet/Downloads/kaggle_original_data", "train", source)
    source = re.sub(r"/(?:home/ubuntu(?:/data)?|Users/fchollet/Downloads)/", "./", source)
    return re.sub(r"(for \w+ in range\()\d{3,}\)", r"\g<1>5)", source)


def prepare_libraries(library: str, seed: int) -> None:
    """Imports what a notebook imports, with stand-ins for downloads and with short training."""
    if library == "keraslike":
        sys.path.insert(0, str(HERE.parents[1]))
        import keraslike

        keraslike.as_keras()
    import keras
    import matplotlib
    import stand_ins
    import tensorflow
    from matplotlib.axes import Axes

    sys.modules["tf_keras"] = keras  # the notebooks are run with Keras 3
    matplotlib.use("Agg")
    stand_ins.put_in(keras, tensorflow)
    for method in ("fit", "evaluate", "predict"):
        shorten(keras.Model, method)
    plot = Axes.plot

    def plot_what_is_there(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return plot(self, *args, **kwargs)
        except ValueError:  # fewer epochs than the notebook counts on
            return [self.text(0, 0, "")]

    Axes.plot = plot_what_is_there
    with contextlib.suppress(ImportError):
        import tqdm.notebook

        tqdm.notebook.trange, tqdm.notebook.tqdm = tqdm.trange, tqdm.tqdm
    set_seed, set_random_seed = tensorflow.random.set_seed, keras.utils.set_random_seed
    np.random.seed(0)
    tensorflow.random.set_seed = lambda value: set_seed(value + seed)

    def seed_all(value: int) -> None:
        set_random_seed(value + seed)
        np.random.seed(value)

    keras.utils.set_random_seed = tensorflow.keras.utils.set_random_seed = seed_all


def rows_of(data: Any) -> Any:
    """The first rows of arrays, the first batches of a data set, the rest as it is."""
    if hasattr(data, "element_spec"):
        return data.take(BATCHES)
    if isinstance(data, dict):
        return {name: rows_of(value) for name, value in data.items()}
    if isinstance(data, (tuple, list)) and len(data) < 9:
        return type(data)(rows_of(value) for value in data)
    return data[:ROWS] if len(getattr(data, "shape", ())) else data


def as_many(result: Any, rows: int) -> Any:
    """Results of predictions, repeated to the number that a notebook expects."""
    if isinstance(result, list):
        return [as_many(part, rows) for part in result]
    if isinstance(result, dict):
        return {name: as_many(part, rows) for name, part in result.items()}
    return np.resize(result, (rows, *result.shape[1:]))


def shorten(model: Any, method: str) -> None:
    """Lets `fit`, `evaluate` or `predict` take a few steps."""
    whole = getattr(model, method)

    @functools.wraps(whole)
    def few(self: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        if method == "predict":
            shape = getattr(x, "shape", ())
            rows = max(1, min(ROWS, NUMBERS // max(1, math.prod(shape[1:]))))
            if len(shape) and shape[0] > 2 * rows:
                result = whole(self, x[:rows], *args, **kwargs)
                return as_many(result, shape[0])
            return whole(self, x, *args, **kwargs)
        if args:  # y
            args = (rows_of(args[0]), *args[1:])
        for name in ("y", "sample_weight", "validation_data"):
            if kwargs.get(name) is not None:
                kwargs[name] = rows_of(kwargs[name])
        if method == "fit":
            first = kwargs.get("initial_epoch", 0)
            kwargs["epochs"] = first + min(EPOCHS, max(1, kwargs.get("epochs", 1) - first))
            if hasattr(x, "element_spec"):
                kwargs["steps_per_epoch"] = kwargs["validation_steps"] = None
            elif not hasattr(x, "shape") and not isinstance(x, (list, tuple, dict)):
                kwargs["steps_per_epoch"] = BATCHES
        return whole(self, rows_of(x), *args, **kwargs)

    setattr(model, method, few)


if __name__ == "__main__":
    main()
