"""Layers that wrap functions and modules of JAX: `JaxLayer` and `FlaxLayer`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from keraslike.core import base, dtypes, rng, serialization
from keraslike.core.rng import SeedGenerator
from keraslike.layers.layer import Layer
from keraslike.layers.shapes import map_shapes

_CALL = ("params", "state", "rng", "inputs", "training")
_INIT = ("rng", "inputs", "training")


def _leaves(values: Any) -> tuple[list[Any], Any]:
    return jax.tree.flatten(values, is_leaf=base.is_variable)


class JaxLayer(Layer):
    """A function of parameters and inputs as a layer.

    Args:
        call_fn: a function with the argument `inputs` and optionally `params`, `state`, `rng` and
            `training`. It returns the outputs or, if it has the argument `state`, outputs and a new
            state.
        init_fn: a function with the argument `inputs` (arrays of ones) and optionally `rng` and
            `training`. It returns `params` or, if `call_fn` has the argument `state`, params and
            state.
        params: initial values, in any pytree, instead of those of `init_fn`.
        state: initial values of the non-trainable state that calls change.
        seed: the seed of the keys passed as `rng` in training.
        native_serialization_platforms: has no effect.

    Arrays and numbers become weights, floats in the layer's dtype. Raises ValueError for a function
    with other arguments, if there are no values for weights, and for a new state of another
    structure.

    >>> layer = JaxLayer(lambda params, inputs: params["scale"] * inputs, params={"scale": 2.0})
    >>> layer(jnp.ones(3)).tolist(), len(layer.trainable_weights)
    ([2.0, 2.0, 2.0], 1)
    """

    def __init__(
        self,
        call_fn: Callable,
        init_fn: Callable | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.call_fn, self.init_fn = call_fn, init_fn
        self.native_serialization_platforms = native_serialization_platforms
        takes = _arguments("call_fn", call_fn, _CALL)
        if init_fn is not None:
            _arguments("init_fn", init_fn, _INIT)
        elif params is None and state is None and {"params", "state"} & set(takes):
            raise ValueError(
                "If `call_fn` takes `params` or `state`, pass `init_fn`, `params` or `state`. "
                "Received: None for all three"
            )
        self._begin(params, state, seed if "rng" in takes else False)

    def _begin(self, params: Any, state: Any, seed: Any) -> None:
        self.seed = None if seed is False else seed
        if seed is not False:
            self.seed_generator = SeedGenerator(seed)
        self._params, self._state = self._make(params, True), self._make(state, False)
        self._structures = _leaves(params)[1], _leaves(state)[1]
        self._given = params is not None or state is not None

    def _make(self, values: Any, trainable: bool) -> list[Any]:
        """The leaves of a structure of values; arrays and numbers become Variables."""

        def make(value: Any) -> Any:
            if base.is_variable(value):
                value = value.get_value()
            if not isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float)):
                return value
            value = jnp.asarray(value)
            dtype = None if dtypes.is_float(value.dtype) else value.dtype
            return self.add_weight(value.shape, value, dtype, trainable=trainable)

        return [make(value) for value in _leaves(values)[0]]

    @property
    def params(self) -> Any:
        """The trainable Variables, in the structure of the parameters."""
        return jax.tree.unflatten(self._structures[0], self._params)

    @property
    def state(self) -> Any:
        """The Variables of the state, in its structure."""
        return jax.tree.unflatten(self._structures[1], self._state)

    def _get_init_seed(self) -> jax.Array:
        return rng.global_stream().next()

    def _get_init_rng(self) -> Any:
        """The value for `rng` of `init_fn`; a subclass may return several keys."""
        return self._get_init_seed()

    def _get_call_seed(self) -> jax.Array:
        return self.seed_generator.next()

    def _get_call_rng(self, training: bool) -> Any:
        """The value for `rng` of `call_fn`; a subclass may return several keys."""
        return self._get_call_seed() if training else None

    def build(self, input_shape: Any) -> None:
        if self._given:
            return
        sizes = map_shapes(lambda s: jnp.ones([1 if n is None else n for n in s]), input_shape)
        params, state = self._initial(sizes)
        self._params, self._state = self._make(params, True), self._make(state, False)
        self._structures = _leaves(params)[1], _leaves(state)[1]

    def _initial(self, inputs: Any) -> tuple[Any, Any]:
        if self.init_fn is None:
            return None, None
        given = {"rng": self._get_init_rng, "inputs": lambda: inputs, "training": lambda: True}
        found = self.init_fn(*[given[n]() for n in _arguments("init_fn", self.init_fn, _INIT)])
        return found if "state" in _arguments("call_fn", self.call_fn, _CALL) else (found, None)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        training = bool(training)
        takes = _arguments("call_fn", self.call_fn, _CALL)
        given = {
            "params": lambda: self._values(0),
            "state": lambda: self._values(1),
            "rng": lambda: self._get_call_rng(training),
            "inputs": lambda: inputs,
            "training": lambda: training,
        }
        outputs = self.call_fn(*[given[name]() for name in takes])
        if "state" in takes:
            outputs, state = outputs
            self._keep(state)
        return outputs

    def _values(self, which: int) -> Any:
        leaves = (self._params, self._state)[which]
        values = [v.value if base.is_variable(v) else v for v in leaves]
        return jax.tree.unflatten(self._structures[which], values)

    def _keep(self, state: Any) -> None:
        values, structure = _leaves(state)
        if structure != self._structures[1]:
            raise ValueError(
                f"The new state of layer '{self.name}' has another structure than the previous "
                f"state. Received: {structure}, expected: {self._structures[1]}"
            )
        for variable, value in zip(self._state, values):
            if base.is_variable(variable):
                variable.assign(value)

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        for name in ("params", "state", "variables"):  # Saved files contain them as weights.
            args.pop(name, None)
        args.pop("seed", None)
        return args

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in {"call_fn", "init_fn"} & set(config):
            config[name] = serialization.serialize(getattr(self, name))
        return config


def _arguments(name: str, function: Callable, allowed: Sequence[str]) -> list[str]:
    found = list(inspect.signature(function).parameters)
    if "inputs" not in found:
        raise ValueError(f"Missing required argument in `{name}`: `inputs`. Received: {found}")
    for argument in found:
        if argument not in allowed:
            raise ValueError(
                f"Unsupported argument in `{name}`: `{argument}`; those supported are {allowed}"
            )
    return found


class FlaxLayer(JaxLayer):
    """A module of flax, of `flax.linen` or `flax.nnx`, as a layer.

    Args:
        module: the module. It is called with `inputs` and, if it has this argument, `training`. For
            an nnx module without it, `use_running_average` and `deterministic` of its submodules
            are set.
        method: the method to call instead of `__call__`, or a function whose first argument is the
            module; for an nnx module also the name of a method.
        variables: initial values: the result of `init` for linen, a state for nnx.

    Trainable are the collection `params` of linen, or each `nnx.Param`; all else is state. A file
    contains the `get_config()` of the module. Its class must define this and `from_config`, and be
    registered like any custom object.

    >>> layer = FlaxLayer(linen.Dense(3))
    >>> layer(jnp.ones((2, 4))).shape, sorted(w.shape for w in layer.weights)
    ((2, 3), [(3,), (4, 3)])
    """

    def __init__(
        self,
        module: Any,
        method: Any = None,
        variables: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        seed = kwargs.pop("seed", None)
        self.native_serialization_platforms = kwargs.pop("native_serialization_platforms", None)
        Layer.__init__(self, **kwargs)
        if not isinstance(module, (linen.Module, nnx.Module)):
            raise ValueError(
                "module must be a module of flax.linen or flax.nnx. "
                f"Received: module={module!r} of type {type(module).__name__}"
            )
        if isinstance(method, str):
            method = getattr(module, method, method)
        if method is not None and not callable(method):
            raise ValueError(
                "method must be a method of the module or a function that takes it. "
                f"Received: method={method!r}"
            )
        if variables is not None and not isinstance(variables, Mapping):
            raise ValueError(
                "variables must be a dict of collections, or a state of nnx. "
                f"Received: variables={variables!r}"
            )
        # Only the name of a bound method is kept, so that it works with a copied module.
        of_module = getattr(method, "__self__", None) is not None
        self.module: Any = module
        self.method: Any = getattr(method, "__name__", None) if of_module else method
        if self._is_nnx:
            if variables is not None:
                nnx.update(module, variables)
            self._begin({}, {}, False)
        else:
            self._begin(*_split_variables(variables), seed)

    @property
    def _is_nnx(self) -> bool:
        return isinstance(self.module, nnx.Module)

    def _takes_training(self) -> bool:
        method = self.method
        if not callable(method):
            method = getattr(self.module, method or "__call__")
        return "training" in inspect.signature(method).parameters

    def _get_init_rng(self) -> Any:
        return {"params": self._get_init_seed(), "dropout": self._get_init_seed()}

    def _get_call_rng(self, training: bool) -> Any:
        return {"dropout": self._get_call_seed()} if training else {}

    def _initial(self, inputs: Any) -> tuple[Any, Any]:
        more = {"training": True} if self._takes_training() else {}
        rngs = self._get_init_rng()
        return _split_variables(self.module.init(rngs, inputs, method=self.method, **more))

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        training = bool(training)
        more = {"training": training} if self._takes_training() else {}
        if self._is_nnx:
            modes = {"deterministic": not training, "use_running_average": not training}
            module = nnx.view(self.module, raise_if_not_found=False, **modes)
            if callable(self.method):
                return self.method(module, inputs, **more)
            return getattr(module, self.method or "__call__")(inputs, **more)
        outputs, state = self.module.apply(
            {**(self._values(0) or {}), **(self._values(1) or {})},
            inputs,
            rngs=self._get_call_rng(training),
            method=self.method,
            mutable=linen.DenyList(["params"]),
            **more,
        )
        self._keep(state)
        return outputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["native_serialization_platforms"] = self.native_serialization_platforms
        config["module"] = serialization.serialize(self.module)
        config["method"] = serialization.serialize(self.method)
        return config


def _split_variables(variables: Any) -> tuple[Any, Any]:
    """Splits a linen module's variables into the trainable collection and the others."""
    if variables is None:
        return None, None
    params = {name: values for name, values in variables.items() if name == "params"}
    return params, {name: values for name, values in variables.items() if name != "params"}
