"""Building layers: once, by one thread, under the layer's name and outside of traces."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

import jax

from keraslike.core import base, context
from keraslike.core.errors import DEPENDS_ON_VALUES, InvalidArgument
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tracebacks import handled, is_ours, shorten
from keraslike.core.variable import Param
from keraslike.layers.shapes import as_shapes, given_dtypes_in, has_parts, map_shapes, shapes_of
from keraslike.layers.signatures import call_names, parameters_of


def only_traces(build: Callable) -> Callable:
    """Marks a `build` that computes no values but only traces the calls of sublayers. A large size
    in a config, such as the number of classes of a one-hot code, then takes no memory."""
    build.only_traces = True  # type: ignore[attr-defined]
    return build


def guard_build(build: Callable) -> Callable:
    """Wraps a class's own `build`: sets names, leaves traces, and records the shapes."""

    @handled
    @functools.wraps(build)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> None:
        args = tuple(as_shapes(a) for a in args)
        kwargs = {k: as_shapes(v) for k, v in kwargs.items()}
        if self._build_running:  # A subclass's build has called super().build.
            build(self, *args, **kwargs)
            return
        self._build_running = True
        try:
            for shape in (*args, *kwargs.values()) if is_ours(type(self)) else ():
                if isinstance(shape, (str, int, float)):
                    raise InvalidArgument(f"input_shape must be a shape. Received: {shape!r}")
            names = (*context.state.names, self.name)
            self._path = self._path or "/".join(names)
            traces = getattr(build, "only_traces", False)
            values = contextlib.nullcontext() if traces else jax.ensure_compile_time_eval()
            boxes = self._gives_boxes or context.state.boxes
            with context.using(names=names, boxes=boxes, autocast=None), values:
                build(self, *args, **kwargs)
        except Exception as error:
            shorten(error)
            raise
        finally:
            del self._build_running
        self.built = self._state_complete = True
        names = call_names(build) or ["input_shape"]
        self._build_shapes = {**dict(zip(names, args)), **kwargs}
        if not self._trainable:  # Its sublayers have marks of their own, as in Keras.
            for variable in base.own_state(self):
                if isinstance(variable, Param):
                    variable.trainable = False

    return guarded


class LayerBuilding:
    """The part of `Layer` that creates its weights from the shapes of its inputs."""

    @guard_build
    @only_traces
    def build(self, *input_shape: Any, **shapes: Any) -> None:
        """Creates the weights. A layer that does not override `build` creates its sublayers'
        weights."""
        if (
            type(self).build is LayerBuilding.build
        ):  # Otherwise a subclass's build has called this method.
            self._build_by_call(*input_shape, **shapes)

    def _build_by_call(self, *input_shape: Any, **shapes: Any) -> None:
        known = any(s is not None for s in (*input_shape, *shapes.values()))
        if known and not all(o.built for o in self._sublayers):
            dtypes = iter(vars(self).pop("_given_dtypes", ()))

            def symbol(shape: Any) -> KerasTensor:
                return KerasTensor(shape, next(dtypes, None) or self.compute_dtype)

            make = functools.partial(map_shapes, symbol)
            kwargs = {k.removesuffix("_shape"): make(v) for k, v in shapes.items()}
            # A call that must be told the mode, such as that of a layer in a loaded graph.
            needed = [p.name for p in parameters_of(type(self).call) if p.default is p.empty]
            kwargs |= {"training": False} if "training" in needed[len(input_shape) :] else {}
            # The call adds the layer's name itself.
            with context.using(names=context.state.names[:-1]):
                self.compute_output_spec(*map(make, input_shape), **kwargs)

    def _build_at_init(self) -> None:
        """Marks the layer as built, unless its class has a `build` method of its own."""
        if type(self).build is LayerBuilding.build:
            self.built = self._state_complete = True

    def _maybe_build(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.built:
            return
        # One thread builds while the others wait.
        with vars(self).setdefault("_build_lock", threading.RLock()):
            self._build_once(args, kwargs)

    def _build_once(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.built or self._build_running:
            return
        self._check_call_inputs(args, kwargs)  # Checked before weights of a wrong shape are made.
        if not args and not kwargs:
            # Raises a TypeError that names the missing arguments.
            inspect.signature(self.call).bind()
        build = type(self).build
        several = len(args) + len(kwargs.keys() - {"training", "mask"}) > 1
        # A model builds itself from the shape of one dense input.
        by_call = getattr(build, "of_one_input", False) and (several or has_parts((args, kwargs)))
        if build is LayerBuilding.build or by_call:
            self.built = self._state_complete = True  # The call builds the sublayers.
            self._build_shapes = {"input_shape": shapes_of(args[0])} if args else None
            if several and build is not LayerBuilding.build:
                named = {**dict(zip(call_names(type(self).call), args)), **kwargs}
                self._build_shapes = {
                    f"{name}_shape": shapes_of(value)
                    for name, value in named.items()
                    if jax.tree.leaves(value) and all(map(_has_shape, jax.tree.leaves(value)))
                }
        else:
            shapes, by_name = self._shapes_for(type(self).build, args, kwargs)
            vars(self)["_given_dtypes"] = given_dtypes_in(self._first_of(args, kwargs))
            try:
                self.build(*shapes, **by_name)
            except DEPENDS_ON_VALUES:  # The call needs values; it builds the sublayers.
                if not is_ours(type(self).build):
                    raise
                self.built = self._state_complete = True
            finally:
                vars(self).pop("_given_dtypes", None)

    def _shapes_for(
        self, method: Callable, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[tuple, dict[str, Any]]:
        """The arguments for a method that takes shapes, from the arguments of a call: the shape of
        the first one, or those that the method names, where `x_shape` is the shape of `x`; none
        for a method that takes none."""
        parameters = [p for p in parameters_of(method) if p.kind != p.VAR_KEYWORD]
        if not parameters:
            return (), {}
        if len(parameters) <= 1 or any(p.kind == p.VAR_POSITIONAL for p in parameters):
            first = self._first_of(args, kwargs)
            if first is None:
                first = next(iter(kwargs.values()), None)
            return (shapes_of(first),), {}
        names = [p.name for p in parameters_of(type(self).call)]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        shapes = {}
        for p in parameters:
            name = p.name.removesuffix("_shape")
            if name == p.name or name not in names:
                raise ValueError(
                    f"If {method.__name__}() takes several arguments, each must be one of "
                    f"call({', '.join(names)}), followed by '_shape'. Layer '{self.name}' "
                    f"({type(self).__name__}): {method.__name__}() has argument `{p.name}`, "
                    + (
                        "which does not end in `_shape`."
                        if name == p.name
                        else f"but `call()` does not have argument `{name}`."
                    )
                )
            if name in given:
                shapes[p.name] = shapes_of(given[name])
        return (), shapes

    def get_build_config(self) -> dict[str, Any] | None:
        """The arguments of `build`, with which a loaded layer is built again."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": self._build_shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer from the `get_build_config()` of another one."""
        shapes = (config["input_shape"],) if "input_shape" in config else ()
        by_name = {} if shapes else config.get("shapes_dict")
        if by_name is None:
            return
        self.build(*shapes, **by_name)
        # A user's build() may create sublayers without building them. If the call takes more than
        # these shapes, whoever loads their weights reports those that are missing.
        with contextlib.suppress(Exception):
            self._build_by_call(*shapes, **by_name)


def _has_shape(value: Any) -> bool:
    return hasattr(value, "shape")
