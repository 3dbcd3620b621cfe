"""`InputSpec`, which describes the inputs that a layer accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keraslike import tree
from keraslike.core import dtypes, symbolic
from keraslike.core.annotations import checked


class InputSpec:
    """A layer's requirements for an input: dtype, rank, shape and sizes along axes.

    A layer whose `input_spec` is an InputSpec, or a structure with one per input, rejects other
    inputs.

    Args:
        dtype: the dtype of the input after the layer has cast it.
        shape: sizes including the batch size, with `None` for any size.
        ndim, max_ndim, min_ndim: the number of axes.
        axes: a dict from axis to size.
        allow_last_axis_squeeze: whether a last axis of size 1, in the input or in `shape`, is
            optional.
        name: the key of the input in a dict of inputs.
        optional: whether the input may be `None`.

    Raises TypeError for axes that are not integers, ValueError for an axis that does not exist.

    >>> InputSpec(min_ndim=2, axes={-1: 8})
    InputSpec(min_ndim=2, axes={-1: 8})
    """

    @checked
    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Any = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
        self.shape = None if shape is None else symbolic.standardize_shape(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        try:
            self.axes = {int(k): v for k, v in dict(axes or {}).items()}
        except (TypeError, ValueError):
            raise TypeError(
                f"axes must be a dict with integer keys. Received: axes={axes}"
            ) from None
        most = max_ndim if self.ndim is None else self.ndim
        if self.axes and most is not None and max(self.axes) >= most:
            raise ValueError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: {most - 1}"
            )
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name, self.optional = name, optional

    def __repr__(self) -> str:
        given = {k: v for k, v in vars(self).items() if v not in (None, {}, False)}
        if self.shape is not None:
            given.pop("ndim")
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in given.items())})"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The spec with this `get_config()`."""
        return cls(**config)

    def problem(self, shape: tuple[int | None, ...], dtype: Any = None) -> str | None:
        """Describes why an input of this shape and dtype is rejected; `None` if it is accepted."""
        rank, squeezes = len(shape), self.allow_last_axis_squeeze
        if self.ndim is not None and rank != self.ndim and not squeezes:
            return f"expected ndim={self.ndim}, found ndim={rank}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={rank}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={rank}"
        if None not in (self.dtype, dtype) and dtypes.standardize_dtype(dtype) != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={dtypes.standardize_dtype(dtype)}"
        for axis, size in self.axes.items():
            if size is not None and (not -rank <= axis < rank or shape[axis] not in (size, None)):
                return f"expected axis {axis} of input shape to have value {size}"
        if self.shape is not None:
            wanted, found = tuple(self.shape), shape
            if squeezes:
                wanted, found = (s[:-1] if s and s[-1] == 1 else s for s in (wanted, found))
            fits = (None in (a, b) or a == b for a, b in zip(wanted, found))
            if len(wanted) != len(found) or not all(fits):
                return (
                    f"expected shape={tuple(self.shape)}, found shape={symbolic.show_shape(shape)}"
                )
        return None


def check_inputs(specs: Any, inputs: Any, layer: str) -> None:
    """Raises ValueError for inputs that do not match a layer's spec, or its structure of specs."""
    wanted = [s for s in tree.flatten(specs) if s is not None or not isinstance(specs, InputSpec)]
    names = [None if spec is None else spec.name for spec in wanted]
    if isinstance(inputs, dict) and all(names):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary with keys '
                f"{list(inputs)}. Expected the following keys: {names}"
            )
        inputs = [inputs[name] for name in names]
    tensors = tree.flatten(inputs)
    if len(tensors) != len(wanted):
        named = f"named input(s) with keys {names}" if names and all(names) else "input(s)"
        raise ValueError(
            f"Layer {layer} expects {len(wanted)} {named}, "
            f"but it received {len(tensors)} input tensors."
        )
    for i, (tensor, spec) in enumerate(zip(tensors, wanted)):
        if spec is None or (tensor is None and spec.optional):
            continue
        if tensor is None or not hasattr(tensor, "shape"):
            raise ValueError(
                f"Layer {layer} must be called on arrays or symbolic tensors. Received: {tensor!r}"
            )
        problem = spec.problem(tuple(tensor.shape), getattr(tensor, "dtype", None))
        if problem:
            name = f" '{spec.name}'" if spec.name else ""
            raise ValueError(
                f"Input {i}{name} of layer {layer} is incompatible with the layer: {problem}, but "
                f"received input with shape {symbolic.show_shape(tensor.shape)}."
            )
