"""`tf.print`, which prints values in TensorFlow's form, also when a compiled function runs."""

from __future__ import annotations

import pprint
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.effects import call_back
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import Tensor
from keraslike.tf.text_numbers import as_string, shown

_OTHERS = (RaggedTensor, SparseTensor)


class _Mark:
    """A placeholder of a tensor in a structure."""

    def __init__(self, number: int):
        self.number = number

    def __repr__(self) -> str:
        return f"\0{self.number}\0"


def print_(*inputs: Any, **kwargs: Any) -> None:
    """Prints tensors, texts and structures of them; in a traced function, each time that it runs.

    Only the elements at the ends of long axes are shown.

    Args:
        output_stream: `sys.stderr` (the default), `sys.stdout` or another open file, a function
            that is called with the text, such as a logger's, or `"file://PATH"`, to which the text
            is appended.
        summarize: the number of elements to show at each end of an axis, by default 3; -1 for all.
        sep: the separator of values, by default a space.
        end: the text after the values, by default a newline.

    Raises ValueError for unknown arguments and other streams; TypeError if `summarize` is not an
    int.

    >>> import sys
    >>> tf.print("x =", tf.constant([1.0, 2.5]), {"n": tf.range(10)}, output_stream=sys.stdout)
    x = [1 2.5] {'n': [0 1 2 ... 7 8 9]}
    """
    settings = {"sep": " ", "end": "\n", "output_stream": None, "summarize": 3, "name": None}
    unknown = {name: value for name, value in kwargs.items() if name not in settings}
    if unknown:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {unknown}")
    settings |= kwargs
    sep, end, edge = settings["sep"], settings["end"], settings["summarize"]
    if not isinstance(edge, int):
        raise TypeError(f"summarize must be an int. Received: {edge!r}")
    write = _writer(settings["output_stream"])
    tensors: list[Any] = []
    template = sep.join(one if isinstance(one, str) else _pattern(one, tensors) for one in inputs)
    arrays, structure = jax.tree.flatten(tensors)

    def show(arrays: Sequence[Any]) -> None:
        values = jax.tree.unflatten(structure, arrays)
        if template == "\x000\0" and _is_text(values[0]):
            write(values[0].numpy().decode("utf-8", "replace") + end)
            return
        write(re.sub("\0(\\d+)\0", lambda m: _text(values[int(m[1])], edge), template) + end)

    call_back(show, arrays)


def _pattern(value: Any, tensors: list[Any]) -> str:
    """A structure as text with marks for its tensors, which are appended to a list."""

    def marked(one: Any) -> Any:
        if isinstance(one, (Tensor, nnx.Variable, jax.Array, *_OTHERS)):
            tensors.append(one if isinstance(one, _OTHERS) else convert_to_tensor(one))
            return _Mark(len(tensors) - 1)
        if isinstance(one, dict):
            return {key: marked(one[key]) for key in one}
        if type(one) in (list, tuple, range):
            items = [marked(item) for item in one]
            return tuple(items) if isinstance(one, tuple) else items
        return one

    return pprint.pformat(marked(value))


def _is_text(tensor: Any) -> bool:
    return (
        isinstance(tensor, Tensor) and not is_traced(tensor) and isinstance(tensor.numpy(), bytes)
    )


def _text(value: Any, edge: int) -> str:
    if isinstance(value, RaggedTensor):
        return _rows(value.to_list(), edge)
    if isinstance(value, SparseTensor):
        parts = {"indices": value.indices, "values": value.values, "shape": value.dense_shape}
        said = ", ".join(f"{name}={_text(part, edge)}" for name, part in parts.items())
        return f"'SparseTensor({said})'"
    return shown(np.asarray(value.numpy() if isinstance(value, Tensor) else value), edge)


def _rows(value: Any, edge: int) -> str:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace").replace("\\", "\\\\").replace("'", "\\'")
        return f"'{text}'"
    if not isinstance(value, list):
        return as_string(value).numpy().decode()
    cut = 0 <= 2 * edge < len(value)
    items = value[:edge] + value[len(value) - edge :] if cut else value
    rows = [_rows(item, edge) for item in items]
    if cut:
        rows.insert(edge, "...")
    return f"[{', '.join(rows)}]"


def _writer(stream: Any) -> Callable[[str], Any]:
    if stream is None:
        return lambda text: sys.stderr.write(text)  # sys.stderr may be replaced before the call
    if hasattr(stream, "write"):
        return stream.write
    if callable(stream):
        return stream
    if not isinstance(stream, str) or not stream.startswith("file://"):
        raise ValueError(
            "output_stream must be sys.stdout, sys.stderr, an open file, a function, or "
            f"'file://PATH'. Received: {stream!r}"
        )

    def add(text: str) -> None:
        with open(stream.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(text)

    return add
