"""Low-rank adaptation (LoRA): a frozen weight, to which the product of two small ones is added."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from keraslike import initializers
from keraslike.core import context
from keraslike.core.arguments import whole
from keraslike.layers.layer import Layer
from keraslike.layers.weighted import Weighted


class _AdaptedWeight:
    """The attribute of a weight that can be adapted: the Variable, or the adapted value."""

    def __set_name__(self, cls: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, cls: type) -> Any:
        if layer is None:
            return self
        return layer._adapted_value(self.name)

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)[self.name] = value

    def __delete__(self, layer: Any) -> None:
        del vars(layer)[self.name]


class _BareWeight:
    """The Variable of an `_AdaptedWeight`, without the added product."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else vars(layer).get(self.name)


class Adaptable(Weighted):
    """Base of layers with a weight that can be adapted (LoRA; Hu et al., arXiv:2106.09685).

    `weight + lora_alpha / lora_rank * a @ b` replaces the weight, which is no longer trained; `a`
    and `b` are. Files contain the sum instead of these three.

    Args:
        lora_rank: the number of columns of `a` and rows of `b`. If it is given the layer is adapted
            when it is built, otherwise when `enable_lora` is called.
        lora_alpha: a factor; `lora_rank` by default.

    A subclass declares `kernel`, or the attribute named by `_adapted`, as an `_AdaptedWeight`, and
    calls `_adapt_built` at the end of its `build`.
    """

    _adapted = "kernel"
    lora_enabled = False

    def __init__(self, cls: type, lora_rank: Any = None, lora_alpha: Any = None, **kwargs: Any):
        super().__init__(cls, **kwargs)
        self.lora_rank: Any = None if lora_rank is None else whole(1, lora_rank=lora_rank)
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Enables LoRA. The layer must be built, and a compiled model with it must be compiled
        again.

        Raises ValueError for a layer that is not built, is adapted already or has a constraint.
        """
        self._refuse_constraint()
        if not self.built:
            raise ValueError(
                "Cannot enable lora on a layer that isn't yet built. "
                f"Received: layer '{self.name}' ({type(self).__name__})"
            )
        if self.lora_enabled:
            raise ValueError(
                "lora is already enabled. This can only be done once per layer. "
                f"Received: layer '{self.name}' ({type(self).__name__})"
            )
        self._build_running = True
        try:
            self._adapt(whole(1, rank=rank), lora_alpha, a_initializer, b_initializer)
        finally:
            del self._build_running

    def _refuse_constraint(self) -> None:
        constraint = getattr(self, f"{self._adapted}_constraint")
        if constraint is not None:
            raise ValueError(
                f"Lora is incompatible with {self._adapted.removesuffix('s')} constraints. "
                f"Received: {constraint!r} in layer '{self.name}'"
            )

    def _adapt_built(self) -> None:
        if self.lora_rank is not None:
            self._refuse_constraint()
            self._adapt(self.lora_rank, self.lora_alpha)

    def _adapt(self, rank: int, alpha: Any, a: Any = "he_uniform", b: Any = "zeros") -> None:
        weight, shape = vars(self)[self._adapted], self._adapted_shape()
        shapes = {"a": ((*shape[:-1], rank), a), "b": ((rank, shape[-1]), b)}
        with context.using(names=tuple(weight.path.split("/")[:-1]), autocast=None):
            for letter, (shape, initializer) in shapes.items():
                name = f"lora_{self._adapted}_{letter}"
                made = self._add(
                    name,
                    shape,
                    self._adapted,
                    initializer=initializers.get(initializer),
                    constraint=None,
                    dtype="float32",  # half precision would lose small updates
                )
                setattr(self, name, made)
        weight.trainable = False
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = rank if alpha is None else alpha

    def _adapted_shape(self) -> tuple[int, ...]:
        return vars(self)[self._adapted].shape

    def _adapted_value(self, name: str) -> Any:
        """The value of the attribute of the weight."""
        if name not in vars(self):
            raise AttributeError(f"Layer '{self.name}' has no {name} before it is built.")
        return self._merged().astype(self.compute_dtype) if self.lora_enabled else vars(self)[name]

    def _factors(self) -> tuple[Any, Any]:
        return tuple(getattr(self, f"lora_{self._adapted}_{letter}") for letter in "ab")

    def _merged(self) -> Any:
        """The value of the weight with the product added to it."""
        value = self._unadapted()
        if not self.lora_enabled:
            return value
        a, b = self._factors()
        added = self.lora_alpha / self.lora_rank * jnp.matmul(a.value, b.value)
        return (value + added).astype(value.dtype)

    def _unadapted(self) -> Any:
        return vars(self)[self._adapted].value

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]
        if self.lora_enabled:
            vars(self)[self._adapted].trainable = False

    @property
    def _has_own_format(self) -> bool:
        return self.lora_enabled

    def _stored_variables(self) -> dict[str, Any]:
        own: dict[str, Any] = {}
        Layer.save_own_variables(self, own)
        added = [id(v) for v in self._factors()]
        return {str(i): v for i, v in enumerate(v for v in own.values() if id(v) not in added)}

    def _stored_values(self) -> dict[int, Any]:
        """Values to store in place of those of Variables, by the Variables' ids."""
        return {id(vars(self)[self._adapted]): self._merged()} if self.lora_enabled else {}

    def save_own_variables(self, store: Any) -> None:
        if not self._has_own_format:
            super().save_own_variables(store)
            return
        changed = self._stored_values()
        for name, v in self._stored_variables().items():
            store[name] = changed.get(id(v), v)

    def load_own_variables(self, store: Any) -> None:
        if not self._has_own_format:
            super().load_own_variables(store)
            return
        own = self._stored_variables()
        expected = {name: v.shape for name, v in own.items()}
        found = {name: tuple(store[name].shape) for name in store.keys()}  # noqa: SIM118
        if found != expected:
            raise ValueError(
                f"Layer '{self.name}' has weights of shapes {expected}; the file has {found}."
            )
        for name, v in own.items():
            v.assign(store[name])
        if self.lora_enabled:
            _, b = self._factors()
            b.assign(jnp.zeros(b.shape, b.dtype))  # The stored weight includes the product.

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.lora_rank is None:
            del config["lora_rank"], config["lora_alpha"]
        return config
