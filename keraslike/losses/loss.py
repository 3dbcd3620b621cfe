"""`Loss`, the base class of losses, and the reduction of the values of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.core import context, dtypes, policies, precision, serialization
from keraslike.core.base import Object
from keraslike.core.boxed import boxed_if_asked, dispatcher
from keraslike.core.naming import auto_name, to_snake_case
from keraslike.core.repeated import compiled_if_repeated
from keraslike.core.structures import tree_map
from keraslike.core.tensor_methods import with_tensors
from keraslike.core.tracebacks import handled, is_ours, shorten
from keraslike.ops.wrap import array

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Object):
    """A value to be minimized. A subclass implements `call(y_true, y_pred)`, one value per sample.

    Args:
        name: a name; by default one is generated.
        reduction: how the values are reduced: `"sum_over_batch_size"` or `"mean"` (their mean),
            `"sum"`, `"mean_with_sample_weight"` (the weighted mean), or `None` or `"none"`, which
            returns the values.
        dtype: the dtype or policy of the computation, by default `floatx()`.

    Raises ValueError for another reduction, and if `call` does not return one value, or one array
    of values, per sample.

    >>> class Distance(Loss):
    ...     def __init__(self, factor=1.0, **kwargs):
    ...         self.factor = factor
    ...         super().__init__(**kwargs)
    ...     def call(self, y_true, y_pred):
    ...         return self.factor * jnp.mean(jnp.abs(y_true - y_pred), axis=-1)
    >>> loss = Distance(2.0)
    >>> float(loss([[0.0], [0.0]], [[1.0], [3.0]]))
    4.0
    >>> float(loss([[0.0], [0.0]], [[1.0], [3.0]], sample_weight=[1.0, 0.0]))
    1.0
    """

    # Arguments that Keras leaves out of a config. They are written if they are not the default.
    _left_out: ClassVar[dict[str, Any]] = {"dtype": None}

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self.reduction = standardize_reduction(reduction)
        self._policy = None if dtype is None else policies.get(dtype)

    @property
    def dtype(self) -> str:
        """The dtype that targets and predictions are cast to."""
        return self._policy.compute_dtype if self._policy else dtypes.floatx()

    def _is_in_float64(self) -> bool:
        return self.dtype == "float64"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values of the samples. Every subclass implements it."""
        raise NotImplementedError(f"{type(self).__name__} has no call(y_true, y_pred) method.")

    @handled
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array:
        args = (y_true, y_pred, sample_weight)
        try:
            dispatch = dispatcher(args, {})
            if dispatch is not None:
                return dispatch(self._call_as_loss, args, {}, owner=self)
            return boxed_if_asked(self, self._call_as_loss, *args)
        except Exception as error:
            shorten(error, self.call, args)
            raise

    @precision.kept
    @compiled_if_repeated
    def _call_as_loss(self, y_true: Any, y_pred: Any, sample_weight: Any) -> jax.Array:
        mask = context.get_mask(y_pred)
        dtype = self.dtype
        y_true, y_pred = (_cast_all(y, dtype) for y in (y_true, y_pred))
        y_true = as_column(y_true, y_pred)
        losses = with_tensors(self.call, type(self))(y_true, y_pred)
        own_mask = context.get_mask(losses)
        if own_mask is not None:
            mask = own_mask if mask is None else mask & own_mask
        losses = array(losses).astype(dtype)
        self._check_values(losses, y_true, y_pred)
        return reduce_weighted_values(losses, sample_weight, mask, self.reduction, dtype)

    def _check_values(self, losses: jax.Array, y_true: Any, y_pred: Any) -> None:
        ours = is_ours(getattr(self, "fn", type(self)))
        if losses.size == 1 or ours:  # keraslike's own losses may be told to reduce axis 0
            return
        shapes = [y.shape for y in jax.tree.leaves((y_true, y_pred)) if y.ndim]
        n = losses.shape[0] if losses.ndim else 0
        if n > 1 and losses.shape == (n, n) and all(math.prod(s) == n for s in shapes):
            raise ValueError(
                f"Loss '{self.name}' compared every target with every prediction: it returned "
                f"values of shape {losses.shape} for shapes {' and '.join(map(str, shapes))}. "
                "Does it squeeze one of them and not the other?"
            )
        batches = {shape[0] for shape in shapes}
        of_elements = losses.shape[:1] == (1,) and losses.size in map(math.prod, shapes)
        if batches and losses.shape[0] not in batches and not of_elements:
            given = " and ".join(map(str, shapes))
            raise ValueError(
                f"Loss '{self.name}' returned values of shape {losses.shape} for targets and "
                f"predictions of shapes {given}. Expected one value, or one array of values, for "
                f"each sample: a first axis of size {' or '.join(map(str, sorted(batches)))}. "
                "Does it take a mean over axis 0 where it should over axis -1?"
            )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self._policy is None:
            config.pop("dtype", None)
        for name, default in self._left_out.items():
            if config.get(name, default) == default:
                config.pop(name, None)
        return config


def as_column(y_true: Any, y_pred: Any) -> Any:
    """Targets of shape `(N,)` as `(N, 1)` where the predictions are `(N, 1)`.

    Broadcasting between the two would compare every target with every prediction.

    >>> as_column(jnp.ones(3), jnp.ones((3, 1))).shape
    (3, 1)
    """
    if getattr(y_true, "ndim", None) != 1 or getattr(y_pred, "ndim", None) != 2:
        return y_true
    return y_true[:, None] if y_pred.shape[-1] == 1 else y_true


def _cast_all(tree: Any, dtype: str) -> Any:
    def cast(x: Any) -> jax.Array:
        return array(x).astype(dtype)

    if isinstance(tree, (dict, tuple)) or (isinstance(tree, list) and _holds_arrays(tree)):
        return tree_map(cast, tree)
    return tree if tree is None else cast(tree)


def _holds_arrays(items: list[Any]) -> bool:
    """Whether a list holds several outputs; a list of numbers is one array."""
    return any(hasattr(i, "shape") and len(i.shape) > 0 for i in items)


class LossFunctionWrapper(Loss):
    """A loss made from a function.

    Args:
        fn: a function `fn(y_true, y_pred, **kwargs)` that returns the values of the samples.
        reduction, name, dtype: see `Loss`.
        kwargs: passed to the function.

    >>> loss = LossFunctionWrapper(lambda y_true, y_pred: (y_true - y_pred) ** 2)
    >>> float(loss([0.0], [3.0]))
    9.0
    """

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if isinstance(y_true, jax.Array) and isinstance(y_pred, jax.Array):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return with_tensors(self.fn, self.fn)(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return with_function(super().get_config(), self)


def with_function(config: dict[str, Any], wrapper: Any) -> dict[str, Any]:
    """The config of the wrapper of a function, with the function and its arguments serialized."""
    if "fn" in config:
        config["fn"] = serialization.serialize(wrapper.fn)
        config.update(serialization.serialize(wrapper._fn_kwargs))
    return config


def standardize_reduction(reduction: str | None) -> str | None:
    """The reduction. Raises ValueError for an unknown one."""
    if reduction not in _REDUCTIONS:
        raise ValueError(
            "Invalid value for argument `reduction`. It must be one of "
            f"{list(_REDUCTIONS)}. Received: reduction={reduction!r}"
        )
    return reduction


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """The two arrays with the same rank, if one of them has an additional last axis of size 1.

    The axis is removed or, if the other array is a vector, added to the vector.

    >>> a, b = squeeze_or_expand_to_same_rank(jnp.ones(4), jnp.ones((4, 1)))
    >>> a.shape, b.shape
    ((4, 1), (4, 1))
    """
    if len(x1.shape) == len(x2.shape) + 1:
        x2, x1 = _match_rank(x2, x1, expand_rank_1)
    elif len(x2.shape) == len(x1.shape) + 1:
        x1, x2 = _match_rank(x1, x2, expand_rank_1)
    return x1, x2


def _match_rank(small: Any, large: Any, expand_rank_1: bool) -> tuple[Any, Any]:
    if large.shape[-1] != 1:
        return small, large
    if len(small.shape) == 1 and expand_rank_1:
        return small[..., None], large
    return small, large[..., 0]


def matched(y_true: Any, y_pred: Any, what: str) -> tuple[jax.Array, jax.Array]:
    """Targets and predictions as arrays of one dtype and of compatible shapes.

    Raises ValueError, with both shapes, if they are not compatible.
    """
    y_pred = array(y_pred)
    y_true = array(y_true).astype(y_pred.dtype)
    given = y_true.shape, y_pred.shape
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        try:
            jnp.broadcast_shapes(y_true.shape, y_pred.shape)
        except ValueError as e:
            raise ValueError(
                f"{what}: targets y_true of shape {given[0]} cannot be matched with predictions "
                f"y_pred of shape {given[1]}."
            ) from e
    return y_true, y_pred


def class_numbers(
    y_true: Any, y_pred: Any, what: str, axis: int = -1, instead: str = ""
) -> tuple[jax.Array, jax.Array]:
    """Class numbers, without an axis of size 1, and predictions, as arrays.

    Raises ValueError, with both shapes, unless there is one class number for each prediction.
    """
    y_true, y_pred = array(y_true), array(y_pred)
    given = y_true.shape
    if y_true.ndim and y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        y_true = jnp.squeeze(y_true, axis)
    if y_pred.ndim and y_true.shape != y_pred.shape[:axis] + y_pred.shape[axis:][1:]:
        raise ValueError(
            f"{what}: targets y_true of shape {given} cannot be matched with predictions y_pred of "
            f"shape {y_pred.shape}. Targets must be class numbers, one for each prediction"
            f"{instead and '; ' + instead}."
        )
    return y_true, y_pred


def apply_mask(sample_weight: Any, mask: Any, dtype: Any, reduction: str | None) -> Any:
    """The sample weights, set to 0 where a mask is `False`; `None` without weights and mask.

    For the mean over a batch, weights are scaled so that it is the mean of unmasked values.
    """
    if mask is None:
        return sample_weight
    mask = array(mask)
    weight = mask.astype(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        weight = weight * ops.divide_no_nan(float(math.prod(mask.shape)), jnp.sum(weight))
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(
        weight, array(sample_weight).astype(dtype)
    )
    return _along_first_axes(sample_weight, weight) * weight


def _along_first_axes(weights: Any, values: Any) -> Any:
    """Weights of samples (or of their time steps), reshaped to broadcast against their values."""
    n = len(weights.shape)
    if 0 < n < len(values.shape) and weights.shape == values.shape[:n]:
        return weights.reshape(weights.shape + (1,) * (len(values.shape) - n))
    return weights


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: Any = None,
) -> jax.Array:
    """The values of samples, reduced to one number.

    Args:
        values: `(batch, ...)`.
        sample_weight: a number, or an array of the first axes of `values`.
        mask: booleans, `(batch, ...)`.
        reduction: see `Loss`.
        dtype: the dtype of the computation, by default that of the values.

    >>> float(reduce_weighted_values([1.0, 3.0], mask=jnp.array([True, False])))
    1.0
    """
    standardize_reduction(reduction)
    values = array(values)
    values = values if dtype is None else values.astype(dtype)
    weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if weight is not None:
        values, weight = squeeze_or_expand_to_same_rank(values, array(weight).astype(values.dtype))
        weight = _along_first_axes(weight, values)
        try:
            values = values * weight
        except (TypeError, ValueError) as e:
            raise ValueError(
                f"sample_weight of shape {weight.shape} cannot be broadcast to the losses of the "
                f"samples, of shape {values.shape}."
            ) from e
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.divide_no_nan(total, jnp.sum(weight))
    return total / max(1, math.prod(values.shape))
