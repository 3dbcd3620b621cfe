"""Calls of layers on symbolic tensors: the shapes, dtypes and masks of their outputs."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import errors

from keraslike.core import base, context, lowering, operation, rng, symbolic
from keraslike.core.pending import Pending
from keraslike.core.structures import tree_map
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tracebacks import entry, is_ours
from keraslike.core.variable import spec_of
from keraslike.layers import specs
from keraslike.layers.masks_and_losses import MaskOf, MasksAndLosses
from keraslike.layers.shapes import as_shapes, leaves, map_shapes, tensors_of
from keraslike.layers.signatures import call_takes

# A call that makes variables in each of its traces is not traced forever.
_MOST_OUTSIDE = 10_000


class SymbolicCalls:
    """The part of `Layer` for symbolic tensors, and `call`, which it traces."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Every layer has to define it."""
        raise NotImplementedError(
            f"Layer '{self.name}' ({type(self).__name__}) does not have a `call` method "
            "implemented."
        )

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        with context.using(tapes=()):
            try:
                if not self.built:
                    self._maybe_build(args, kwargs)
                self._check_call_inputs(args, kwargs)
                spec = self.compute_output_spec(*args, **kwargs)
            except Exception as error:
                self._note_call(error, args, kwargs)
                raise
        outputs = operation.record(self, args, kwargs, spec)
        for tensor in symbolic.tensors_in(outputs):
            if tensor._keras_mask is not None and tensor._keras_mask._keras_history is None:
                said = self._symbolic_mask(args, outputs)
                if said is not None and said.shape == tensor._keras_mask.shape:
                    tensor._keras_mask = said
                else:
                    operation.record(MaskOf(), (tensor,), {}, tensor._keras_mask)
        return outputs

    def _symbolic_mask(self, args: tuple, outputs: Any) -> KerasTensor | None:
        """The result of `compute_mask` on symbolic tensors, as graph operations that Keras has
        as well. `None` where that fails, since the method may use functions that only accept
        arrays."""
        by_default = type(self).compute_mask is MasksAndLosses.compute_mask
        passes = self.supports_masking and len(self._flatten_layers()) == 1
        if not isinstance(outputs, KerasTensor) or (by_default and not passes):
            return None  # A sublayer may provide the mask.
        try:
            previous = tree_map(lambda x: getattr(x, "_keras_mask", None), args[0])
            mask = self.compute_mask(args[0], previous)
        except Exception:
            return None
        recorded = isinstance(mask, KerasTensor) and mask._keras_history is not None
        return mask if recorded else None

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the outputs for symbolic inputs, from a class's own
        `compute_output_shape` or else from a trace of the call."""
        own = type(self).compute_output_shape
        trusted = self._says_shapes and own is not SymbolicCalls.compute_output_shape
        given = symbolic.tensors_in((args, kwargs))
        if not trusted or not all(o.built for o in self._flatten_layers() if o is not self):
            try:
                return specs.remembered(self, args, kwargs, self._traced_spec)
            except (TypeError, ValueError):
                # A trace cannot know that one unknown size is twice another one.
                if not trusted or not any(None in x.shape[1:] for x in given):
                    raise
        shapes, by_name = self._shapes_for(own, args, kwargs)
        outputs = tensors_of(self.compute_output_shape(*shapes, **by_name), self.compute_dtype)
        if self.supports_masking and len(given) == 1 and isinstance(outputs, KerasTensor):
            outputs._keras_mask = given[0]._keras_mask
        return outputs

    def _traced_spec(self, args: tuple, kwargs: dict[str, Any], method: Any = None) -> Any:
        called: Any = self if method is None else method
        masks = [getattr(x, "_keras_mask", None) for x in jax.tree.leaves(args)]

        def traced(masks: list[Any], *a: Any, **k: Any) -> Any:
            for value, mask in zip(leaves(a), masks, strict=True):
                if mask is not None:
                    context.set_mask(value, mask)

            def run() -> Any:
                outputs = called(*a, **k)
                return outputs, [context.get_mask(x) for x in leaves(outputs)]

            variables = base.variables_of(self, rng.global_stream())
            variables += [v for v in outside.values() if all(v is not w for w in variables)]
            lowered = lowering.lower(run, variables, roots=[self])
            return lowered([_seen(v) for v in variables])[0]

        # keraslike's own code does not inspect values to determine shapes, so pending values need
        # not be computed for it.
        is_known = all(map(is_ours, map(type, base.iter_objects(self))))

        def _seen(variable: Any) -> Any:
            spec = spec_of(variable) if is_known else None
            if type(spec) is Pending:
                return jnp.zeros(spec.shape, spec.dtype)
            return lowering.values_of([variable])[0]

        # An error means that the trace created a sublayer and changed its state, or changed a
        # variable that belongs to no object below the layer, such as one in a closure. The next
        # attempt includes these; a trace ends at the first of them.
        outside: dict[int, Any] = {}
        outputs, found = None, []
        known: set[int] | None = None
        while True:
            noted: dict[int, Any] = {}
            try:
                with context.using(outsiders=noted):
                    outputs, found = symbolic.output_spec(traced, (masks, *args), kwargs)
                break
            except errors.TraceContextError:
                outside |= {key: pair[0] for key, pair in noted.items() if pair is not None}
                before, known = known, {*outside, *map(id, base.variables_of(self))}
                if known == before or len(outside) > _MOST_OUTSIDE:
                    raise
        if context.state.outsiders is not None:
            for key, v in outside.items():
                context.state.outsiders.setdefault(key, (v, True))
        for tensor, mask in zip(jax.tree.leaves(outputs), found, strict=True):
            tensor._keras_mask = mask
        return outputs

    @entry
    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for the shape of an input, with `None` for unknown sizes."""
        if type(self).call is SymbolicCalls.call:
            raise NotImplementedError(
                f"Layer '{self.name}' ({type(self).__name__}) does not have a "
                "`compute_output_shape` method implemented, nor a `call` to infer it from."
            )
        make = functools.partial(map_shapes, lambda s: KerasTensor(s, self.compute_dtype))
        kwargs = {k.removesuffix("_shape"): v for k, v in kwargs.items()}
        if not args and "input" in kwargs and "input" not in call_takes(type(self).call):
            # `input_shape` is accepted whatever the layer calls its input.
            args = (kwargs.pop("input"),)
        args = tuple(make(as_shapes(a)) for a in args)
        kwargs = {k: make(as_shapes(v)) for k, v in kwargs.items()}
        if not self.built:
            self._maybe_build(args, kwargs)
        if type(self).compute_output_spec is SymbolicCalls.compute_output_spec:
            spec = self._traced_spec(args, kwargs)  # A class's own method may have called this one.
        else:
            spec = self.compute_output_spec(*args, **kwargs)
        return tree_map(lambda t: t.shape, spec)
