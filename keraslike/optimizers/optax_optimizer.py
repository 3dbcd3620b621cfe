"""Conversion between optimizers and optax transforms: `OptaxOptimizer` and `to_optax`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from keraslike.optimizers.optimizer import Optimizer
from keraslike.optimizers.state import key_of, label


class OptaxOptimizer(Optimizer):
    """An optax transform with its state in Variables, as `compile(optimizer=tx)` creates it.

    The transform's params are a dict from the variables' paths to arrays, so that masks and labels
    can depend on names: `optax.masked(tx, lambda params: {k: "bias" not in k for k in params})`.

    Args:
        transform: an `optax.GradientTransformation`.
        **kwargs: those of `Optimizer`, except `learning_rate` and `weight_decay`, which belong to
            the transform.

    `learning_rate` is known, and can be assigned to, if the transform was made by
    `optax.inject_hyperparams`. Raises TypeError if `transform` is not a transform.

    >>> from keraslike.core.variable import Variable
    >>> w = Variable([1.0, 2.0])
    >>> optimizer = OptaxOptimizer(optax.inject_hyperparams(optax.sgd)(0.5))
    >>> optimizer.apply([jnp.array([1.0, -1.0])], [w])
    >>> w.numpy().tolist(), float(optimizer.learning_rate)
    ([0.5, 2.5], 0.5)
    """

    _begins_with_weights = True

    def __init__(self, transform: optax.GradientTransformation, **kwargs: Any):
        if not is_transform(transform):
            raise TypeError(f"transform must be an optax transform. Received: {transform!r}")
        for name in ("learning_rate", "weight_decay"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"An optax transform has its own {name}: give it to optax, as in "
                    f"optax.adamw(learning_rate=..., weight_decay=...). Received: {name}"
                )
        super().__init__(learning_rate=lambda: None, **kwargs)
        self._learning_rate = None
        self._given = transform

    def transform(self) -> optax.GradientTransformation:
        """The transform that was passed."""
        return self._given

    def _current_rate(self) -> None:
        return None

    @property
    def learning_rate(self) -> Any:
        """The Variable with the learning rate of a transform made by `optax.inject_hyperparams`."""
        found = optax.tree_utils.tree_get_all_with_path(self._skeleton, "learning_rate")
        places = [place for _, place in found if isinstance(place, int)]
        if len(places) != 1:
            raise AttributeError(
                "The learning rate is inside the optax transform, out of reach. Make the transform "
                "as optax.inject_hyperparams(optax.adam)(learning_rate=0.001) to read and change "
                "it (after the optimizer is built)."
            )
        return self._slots[places[0]]

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.learning_rate.assign(value)

    def _param_keys(self, variables: Sequence[nnx.Variable]) -> tuple[str, ...]:
        keys: dict[str, None] = {}
        for i, v in enumerate(variables):
            path = label(v, i)
            keys[f"{path}_{i}" if path in keys else path] = None
        return tuple(keys)

    def _slot_order(self, paths: Sequence[Any], owners: Sequence[Any]) -> list[int]:
        # A dict is flattened in the order of its keys, and names such as dense_9 and dense_10
        # depend on what was created before: state is listed in the order of the variables.
        def place(i: int) -> tuple[int, int]:
            kind = tuple(k for k in paths[i] if getattr(k, "key", None) not in names)
            return kinds.setdefault(kind, len(kinds)), -1 if owners[i] is None else owners[i]

        names, kinds = set(self._keys), {}
        return sorted(range(len(paths)), key=[place(i) for i in range(len(paths))].__getitem__)

    def get_config(self) -> dict[str, Any]:
        raise TypeError(
            "An optax transform is made of functions and cannot be written to a file. Give the "
            "loaded model its optimizer again: model.compile(optimizer=...)."
        )


def is_transform(value: Any) -> bool:
    """Whether a value is an optax transform, or an object with its interface such as
    `optax.MultiSteps`."""
    if isinstance(value, (type, Optimizer)):
        return False
    return callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))


def to_optax(optimizer: Optimizer) -> optax.GradientTransformationExtraArgs:
    """An optimizer's rule, with clipping and weight decay, as a transform for any params.

    It counts its steps by itself, from 0; the learning rate is read when it updates. Raises
    ValueError if averages or accumulation are on, for which `optax.ema` and `optax.MultiSteps`
    serve, where variables are excluded from weight decay, or where the rule is an `update_step`.

    >>> from keraslike.optimizers.adam import Nadam
    >>> tx, params = to_optax(Nadam(0.1)), {"w": jnp.ones(2)}
    >>> updates, state = tx.update({"w": jnp.ones(2)}, tx.init(params), params)
    >>> bool((optax.apply_updates(params, updates)["w"] < 1).all())
    True
    """
    for name in ("use_ema", "gradient_accumulation_steps", "_excluded"):
        if getattr(optimizer, name):
            raise ValueError(f"to_optax() has no equal of {name}={getattr(optimizer, name)}.")
    if optimizer._overrides("update_step"):
        raise ValueError(f"{type(optimizer).__name__} updates by update_step(), not transform().")
    rule = optax.with_extra_args_support(optimizer.transform())

    def init(params: Any) -> tuple[jax.Array, Any]:
        return jnp.zeros((), "int32"), rule.init(params)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        count, inner = state
        rate, decayed = optimizer._rate_at(count), params
        leaves, structure = jax.tree.flatten(updates)
        grads = structure.unflatten(optimizer._clip_gradients(leaves))
        # Weight decay comes before the rule, which may depend on the parameters.
        if params is not None:
            decayed = jax.tree_util.tree_map_with_path(
                lambda path, p: optimizer._decayed(key_of(path), p, rate), params
            )
        elif optimizer.weight_decay is not None:
            raise ValueError("Weight decay needs params: update(grads, state, params).")
        updates, inner = rule.update(grads, inner, decayed, learning_rate=rate, iterations=count)
        if params is not None:
            updates = jax.tree.map(
                lambda u, new, old: u if new is old else u + (new - old).astype(u.dtype),
                *(updates, decayed, params),
            )
        return updates, (count + 1, inner)

    return optax.GradientTransformationExtraArgs(init, update)
