"""Text in the inputs of models: it stays on the host, and a compiled step gets the results of
functions that were applied to it there.

In a trace, a `Text` holds the results of the functions that are known to be applied to it. When
another function is applied, it raises `Wanted`: the caller that started the trace computes that
function on the actual texts and traces again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context
from keraslike.core.boxed import BoxedResults
from keraslike.core.errors import NeedsPython
from keraslike.core.jax_internals import put

# The key of a function, and the shape in which it receives the texts as far as it may differ
# between batches of one model.
Key = tuple[Any, ...]
Place = str | tuple[Any, Key]


class Wanted(Exception):
    """A function was applied to texts that are not available in a trace.

    Args:
        described: the function for programs without Python: see `Text.apply`.
    """

    def __init__(self, place: Place, key: Key, function: Callable, described: Any = None):
        super().__init__("Texts were asked for in a compiled function, which has none.")
        self.place, self.key, self.function, self.described = place, key, function, described


class Text:
    """An array of texts, in a call.

    Args:
        values: an array of bytes; `None` in a trace.
        shape: the shape that the receiver sees, by default that of the values.
        results: the results of functions applied to the texts, by the functions' keys; these may be
            texts as well.
        place: its position in a batch or, for a result, that of its argument and the key.
        steps: the functions of `tf.strings` that have been applied to it in an exported program,
            each with its arguments.
        chosen: for texts that an exported program makes, the array of words and the places in it
            that the program computes; in place of words `None` if the numbers are the texts.

    >>> text = Text(as_bytes(np.array(["a", "bc"])))
    >>> text.apply("sizes", lambda texts: np.array([len(t) for t in texts]), None).tolist()
    [1, 2]
    """

    dtype = "string"
    sparse = False

    def __init__(
        self,
        values: np.ndarray | None,
        shape: tuple | None = None,
        results: dict[Key, Any] | None = None,
        place: Place = "",
        steps: tuple = (),
        chosen: tuple[np.ndarray | None, Any] | None = None,
    ):
        self.chosen = chosen
        self.values, self.place, self.steps = values, place, steps
        self.shape = values.shape if shape is None else shape  # type: ignore[union-attr]
        self.results = {} if results is None else results

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def _as_tensor(self) -> np.ndarray:
        """The texts as an array of bytes, for functions of text.

        Raises NeedsPython in a trace; in one of shapes of known sizes, the texts stand for any.
        """
        if self.values is not None:
            return self.values.reshape(self.shape)
        if context.state.symbolic:
            return np.full([operator.index(n) for n in self.shape], _ANY, object)
        raise NeedsPython("Text cannot enter a compiled program: XLA has no strings.")

    def decoded(self) -> np.ndarray:
        """The texts as an array of Python's strings."""
        values = self._as_tensor()
        out = np.empty(values.size, object)
        out[:] = [item.decode("utf-8", "replace") for item in values.reshape(-1).tolist()]
        return out.reshape(self.shape)

    def reshaped(self, shape: tuple) -> Text:
        """The same texts in another shape."""
        return Text(self.values, shape, self.results, self.place, self.steps, self.chosen)

    def after(self, step: tuple) -> Text:
        """The texts that a step makes of these in an exported program."""
        steps = (*self.steps, step)
        return Text(None, self.shape, self.results, self.place, steps, self.chosen)

    def described(self, result: tuple[int | None, ...], dtype: str) -> dict[str, Any] | None:
        """The argument `described` of `apply` for a result of a shape and a dtype, without what the
        function does; `None` if sizes other than the first are unknown."""
        rest = self.shape[1:]
        if not self.shape or not all(isinstance(n, int) for n in rest):
            return None
        return {"steps": self.steps, "shape": rest, "result": result, "dtype": dtype}

    def apply(
        self,
        name: Any,
        function: Callable,
        spec: Callable[[tuple], Any] | None,
        described: dict[str, Any] | None = None,
    ) -> Any:
        """Applies a function from an array of bytes to an array of numbers or of bytes.

        Args:
            name: a key that distinguishes the function from others.
            spec: a function from the shape of the texts to the shape and dtype of the result, for
                traces of shapes.
            described: the function as plain values, from which `export/tensorflow_texts.py` makes
                one of TensorFlow's operations, with the shape and the dtype of its result.
        """
        key = (name, len(self.shape), *self.shape[1:], *self.steps)
        if self.values is not None:
            out = np.asarray(function(self.values.reshape(self.shape)))
            if out.dtype == object:
                return Text(out)
            if not context.trace_state_clean():
                return jnp.asarray(out)
            return put(out.astype(jax.dtypes.canonicalize_dtype(out.dtype), copy=False))
        if key in self.results:
            return self.results[key]
        if context.state.symbolic and spec is not None:
            shape, dtype = spec(self.shape)
            return jnp.zeros(shape, jax.dtypes.canonicalize_dtype(dtype))
        if self.chosen is not None:
            raise NeedsPython("Numbers cannot depend on texts that an exported program makes.")
        rest = self.shape[1:]
        raise Wanted(
            self.place,
            key,
            lambda texts: function(texts.reshape((*texts.shape[:1], *rest))),
            described,
        )

    def __repr__(self) -> str:
        return f"<text of shape {self.shape}>"

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"An operation was given text (a string tensor of shape {self.shape}), and takes "
            "numbers. Layers that convert text to numbers are StringLookup, TextVectorization "
            "and Hashing."
        )

    __jax_array__ = __array__ = __mul__ = __rmul__ = _refuse

    def _by_tensor(name: str) -> Callable:  # type: ignore[misc]  # noqa: N805
        def operate(self: Text, *args: Any) -> Any:
            if BoxedResults.box is None:
                self._refuse()
            return getattr(BoxedResults.box(self._as_tensor()), name)(*args)  # type: ignore[misc]

        return operate

    __getitem__, __add__, __radd__ = map(_by_tensor, ("__getitem__", "__add__", "__radd__"))
    __eq__, __ne__ = map(_by_tensor, ("__eq__", "__ne__"))  # type: ignore[assignment]
    __hash__ = object.__hash__


# What texts of unknown values are in a trace of shapes: one word, which is also a number.
_ANY = b"0"

jax.tree_util.register_pytree_node(
    Text,
    lambda t: (list(t.results.values()), (t.shape, tuple(t.results), t.place, t.steps)),
    lambda aux, results: Text(None, aux[0], dict(zip(aux[1], results)), *aux[2:]),
)


def made(x: Any) -> tuple[Any, dict[str, Any] | None]:
    """An output of an exported program as an array of numbers, and the description from which
    `export/tensorflow_texts.py` makes texts of these; `None` for other outputs."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = Text(None, x.shape, chosen=(x.reshape(-1), np.arange(x.size).reshape(x.shape)))
    if type(x) is not Text:
        return x, None
    if x.chosen is None:
        if not isinstance(x.place, str):
            raise NeedsPython("An exported program cannot return what a function made of texts.")
        return np.zeros((), np.int32), {"argument": int(x.place), "steps": x.steps}
    words, numbers = x.chosen
    listed = None if words is None else as_characters(words.tolist())
    return numbers, {"words": listed, "steps": x.steps}


def is_text(x: Any) -> bool:
    """Whether a value is text, for `jax.tree` as `is_leaf`."""
    return type(x) is Text


def holds_text(tree: Any) -> bool:
    """Whether lists, tuples and dicts contain text."""
    if type(tree) is Text:
        return True
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return False
    return any(map(holds_text, tree))


class Functions:
    """The functions that the steps of a program apply to the texts in a batch, before the steps
    run.

    Traces discover them by raising `Wanted`.
    """

    def __init__(self) -> None:
        # Keyed by the position of the texts in the batch.
        self._known: dict[Place, dict[Key, Callable]] = {}

    def applied(self, batch: Any) -> Any:
        """The batch with the results of all known functions added to its texts."""

        def ready(path: Any, x: Any) -> Any:
            is_known = is_text(x) and x.values is not None
            return self._with_results(x, jax.tree_util.keystr(path)) if is_known else x

        return jax.tree_util.tree_map_with_path(ready, batch, is_leaf=is_text)

    def _with_results(self, text: Text, place: Place) -> Text:
        results = dict(text.results)
        for key, function in list(self._known.get(place, {}).items()):
            found: Any = results.get(key)
            if found is None or (is_text(found) and found.values is None):
                found = function(text.values)
                if isinstance(found, np.ndarray) and found.dtype == object:
                    found = Text(found)
            results[key] = (
                self._with_results(found, (place, key)) if isinstance(found, Text) else found
            )
        return Text(text.values, text.shape, results, place)

    def run(self, function: Callable, batch: Any) -> Any:
        """`function(batch)`, called again with the results of the text functions that it asks
        for."""
        while True:
            batch = self.applied(batch)
            try:
                return function(batch)
            except Wanted as wanted:
                known = self._known.setdefault(wanted.place, {})
                # The function is known already, so these texts are not those of the batch.
                if wanted.key in known:
                    raise
                known[wanted.key] = wanted.function


def of_lists(value: Any) -> Text | None:
    """A `Text` made of lists of Python strings; `None` for anything else."""
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if not isinstance(first, (str, bytes)):
        return None
    values = as_bytes(np.asarray(value))
    return None if values is None else Text(values)


def outside(tree: Any) -> Any:
    """Replaces texts in lists, tuples and dicts by arrays of Python strings."""
    return jax.tree.map(lambda x: x.decoded() if is_text(x) else x, tree, is_leaf=is_text)


def no_text(tree: Any) -> Any:
    """The results of what a program computes. Raises NeedsPython if they include text."""
    if holds_text(tree):
        raise NeedsPython("Text cannot be a result of a compiled program: XLA has no strings.")
    return tree


def without_values(tree: Any) -> Any:
    """The tree with its texts as they are in a trace."""

    def bare(x: Any) -> Any:
        if not is_text(x):
            return x
        results = {key: bare(result) for key, result in x.results.items()}
        return Text(None, x.shape, results, x.place)

    return jax.tree.map(bare, tree, is_leaf=is_text)


def lists_of_results(tree: Any) -> Any:
    """The tree with, in place of each text, the list of the results that it has."""
    return jax.tree.map(
        lambda x: list(x.results.values()) if is_text(x) else x, tree, is_leaf=is_text
    )


def with_results(tree: Any, lists: Any) -> Any:
    """The texts of a tree with the results, and the other values, of `lists_of_results`."""

    def filled(x: Any, given: Any) -> Any:
        return Text(None, x.shape, dict(zip(x.results, given)), x.place) if is_text(x) else given

    return jax.tree.map(filled, tree, type(tree)(lists), is_leaf=is_text)


def keeping_text(function: Callable, tree: Any) -> Any:
    """`function(tree)`, a tree of the same structure, whose texts keep their values."""
    before = [x for x in jax.tree.leaves(tree, is_leaf=is_text) if is_text(x)]
    out = function(tree)
    after = [x for x in jax.tree.leaves(out, is_leaf=is_text) if is_text(x)]
    for old, new in zip(before, after, strict=True):
        new.values = old.values
    return out


# -- arrays of texts ------------------------------------------------------------------------------


def as_bytes(array: np.ndarray) -> np.ndarray | None:
    """The texts in an array as bytes, encoded in UTF-8 where they are strings; `None` for other
    arrays.

    >>> as_bytes(np.array([["é"]])).tolist(), as_bytes(np.array([1]))
    ([[b'\\xc3\\xa9']], None)
    """
    if array.dtype.kind not in "USTO":
        return None
    items = array.reshape(-1).tolist()
    if array.dtype.kind != "S":
        if not all(isinstance(x, (str, bytes)) for x in items):
            return None
        items = [x if isinstance(x, bytes) else x.encode() for x in items]
    out = np.empty(len(items), object)
    out[:] = items
    return out.reshape(array.shape)


def narrow(array: np.ndarray, keeps_wide: bool = False) -> np.ndarray:
    """The array, if a compiled program, which has 32 bits, can hold its numbers.

    Raises NeedsPython if it cannot.

    Args:
        keeps_wide: whether numbers of 64 bits must remain such, whatever their size.
    """
    kind, fits = array.dtype.kind, array.dtype.name not in ("float64", "complex128")
    if keeps_wide and kind in "iufc":
        fits = array.dtype.itemsize < (16 if kind == "c" else 8)
    elif kind in "iu" and array.size:
        limits = np.iinfo(np.int32 if kind == "i" else np.uint32)
        fits = bool(limits.min <= array.min() and array.max() <= limits.max)
    if not fits:
        raise NeedsPython(f"A function of text has results of {array.dtype}, of 64 bits.")
    return array


def as_characters(texts: Iterable[bytes]) -> list[str]:
    """Bytes as strings with a character for each byte, for JSON."""
    return [text.decode("latin-1") for text in texts]
