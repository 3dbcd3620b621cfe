"""`Layer`, the base of all layers and models."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors, nnx

from keraslike.core import (
    base,
    context,
    dtypes,
    foreign,
    host,
    lowering,
    policies,
    registry,
    remat,
    rng,
    sparsity,
    symbolic,
    text,
)
from keraslike.core.annotations import checked
from keraslike.core.arguments import boolean, warn_user
from keraslike.core.boxed import Answers, answers, in_boxes, taker, unbox
from keraslike.core.errors import InvalidArgument
from keraslike.core.notes import note_call
from keraslike.core.rng import SeedGenerator
from keraslike.core.static import AutoName, Shape
from keraslike.core.structures import map_items
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tracebacks import entry, handled, is_ours, shorten
from keraslike.core.variable import Buffer, Param, Variable
from keraslike.layers import keras_names, specs
from keraslike.layers.input_spec import InputSpec, check_inputs  # noqa: F401 (layers look here)
from keraslike.quantizers.configs import validate_and_resolve_config

_numbers = itertools.count(1)

MISSED = object()  # what `Layer._eager_call` gives where it leaves a call to others


class Layer(base.Object, symbolic.Operation, keras_names.KerasNames):
    """A function with weights: `build` makes them from the input's shape, `call` computes.

    Args:
        activity_regularizer: a function of the output whose value is added to the loss.
        trainable: whether the weights train; can be changed at any time.
        dtype: a dtype or a policy such as `"mixed_bfloat16"`; of a `DTypePolicyMap` the policy
            of the layer's path.
        autocast: whether floating-point inputs are cast to the compute dtype.
        name: a name; one is made where none is given.

    A subclass may set attributes before `super().__init__()`, make sublayers anywhere (in
    attributes, lists, tuples and dicts), and call `super().build(input_shape)` or not.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...     def call(self, x):
    ...         return x * self.scale
    >>> Scale()(jnp.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    _untracked = base.Object._untracked | {
        *("_inbound_nodes", "_complete", "_build_lock", "_path"),
        *("_number", "_ranks", "_places", "_called", "_eager_calls"),
    }
    _transient = base.Object._transient | {
        *("_build_lock", "_number", "_ranks", "_places", "_eager_calls"),
    }

    # Runs a call as one compiled program, or gives `MISSED`: set by `training.eager`.
    _eager_call: Callable = staticmethod(lambda *_: MISSED)

    built = False
    input_spec: Any = None
    supports_masking = False
    supports_jit = True  # a model that has a layer which does not runs its steps as plain Python
    autocast = True
    activity_regularizer: Any = None
    _saves_activity_regularizer = False  # whether a config has it also where it is None
    _name: str | None = None
    _trainable = True
    _policy: policies.DTypePolicy | None = None
    _path: str | None = None  # where it was first built or called
    _building = False
    _is_quantized = False
    _keeps_sparse = True  # whether `call` is given sparse arrays as they are
    _takes_text = True  # whether `call` may be given text
    # Keras's names: whether inputs are made JAX's arrays, and whether others may be given
    # by position.
    _convert_input_args = True
    _allow_non_tensor_positional_args = False
    _says_shapes = True  # whether a `compute_output_shape` of a class's own is all that is asked
    _complete = False  # whether all state is there that there is to be
    autograph_info__: Any = MappingProxyType({})  # says to TensorFlow: no source to be rewritten
    _build_shapes: Any = None
    _given_input_shape: Any = None

    # What says in which order a layer got its sublayers, see `_in_order`.
    _number = 0  # counted up with each layer made and each that is assigned
    _ranks: Any = MappingProxyType({})  # the count when a sublayer was assigned, by its number
    _places: tuple[int, ...] = ()  # of a copy: its sublayers, by their places in the attributes

    def __new__(cls, *args: Any, **kwargs: Any):
        self = super().__new__(cls, *args, **kwargs)
        object.__setattr__(self, "_number", next(_numbers))
        return self

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        input_dim = kwargs.pop("input_dim", None)
        input_shape = kwargs.pop("input_shape", None if input_dim is None else (input_dim,))
        batch_shape = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        if input_shape is not None:
            if isinstance(input_shape, int):
                input_shape = (input_shape,)
            batch_shape = (None, *input_shape)
        if batch_shape is not None:
            self._given_input_shape = symbolic.standardize_shape(batch_shape)
        # Names are given in the order in which layers are made, as Keras gives them.
        self.name = (
            base.auto_name(base.to_snake_case(type(self).__name__)) if name is None else name
        )
        if activity_regularizer is not None:
            self.activity_regularizer = registry.get("regularizers", activity_regularizer)
        if not isinstance(trainable, (bool, np.bool_)):
            raise InvalidArgument(
                f"Expected `trainable` to be a boolean, True or False. Received: {trainable!r}"
            )
        if not trainable:
            self._trainable = False
        if not autocast:
            self.autocast = False
        self.dtype_policy = dtype
        if context.state.remat is not None:
            self._remat = context.state.remat

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _guard_build(cls.build)
            cls.built = False
        elif cls.build is Layer.build and cls.__module__.startswith("keraslike.layers."):
            cls.built = True  # there is nothing to be made
        if "quantize" in vars(cls):
            cls.quantize = _guard_quantize(cls.quantize)
        if "call" in vars(cls) and "_keeps_sparse" not in vars(cls):
            cls._keeps_sparse = not cls.__module__.startswith("keraslike.layers.")
        if "call" in vars(cls) and "_takes_text" not in vars(cls):
            cls._takes_text = not cls.__module__.startswith("keraslike.layers.")
        if "compute_output_shape" in vars(cls):
            cls.compute_output_shape = _give_shapes(cls.compute_output_shape)

    def __setattr__(self, name: str, value: Any) -> None:
        if not context.state.tracking and any(True for _ in base.iter_state(value)):
            object.__setattr__(self, "_untracked", self._untracked | {name, "_untracked"})
            object.__setattr__(self, name, value)
            return
        if self._complete and any(map(_is_state_of_layers, base.iter_state(value))):
            self._check_open(f"attribute '{name}'")
        if "_weights" in vars(self):
            # It has an attribute of its own now; the list is for what has none.
            self._weights[:] = [v for v in self._weights if v is not value]
        objects = [o for o in base.iter_state(value) if not base.is_variable(o)]
        if objects and vars(self).get(name) is not value:
            self._rank(objects)
            vars(self).pop(name, None)  # so that attributes lie in the order of their values
        object.__setattr__(self, name, value)
        if base.awaited:
            base.notice(self)

    def _rank(self, objects: list[Any]) -> None:
        if "_ranks" not in vars(self):
            object.__setattr__(self, "_ranks", {})
        for o in objects:
            self._ranks.setdefault(_number_of(o), next(_numbers))

    def _in_order(self) -> list[Any]:
        """The objects in this layer's attributes, in the order in which it got them, as Keras
        lists them. One that came to be in a container later counts from when it was made.
        """
        return self._sorted(self._in_attributes())

    def _sorted(self, natural: list[Any]) -> list[Any]:
        if self._places:
            if len(self._places) == len(natural):
                self._rank([natural[i] for i in self._places])
            object.__setattr__(self, "_places", ())
        ranks = {id(o): self._ranks.get(n, n) for o, n in zip(natural, map(_number_of, natural))}
        return sorted(natural, key=lambda o: ranks[id(o)])

    def _in_attributes(self) -> list[Any]:
        return [o for o in base.own_state(self) if not base.is_variable(o)]

    def _places_in_order(self) -> tuple[int, ...]:
        """What `_places` is of a copy; nothing where the order is that of attributes."""
        natural = self._in_attributes()
        if len(natural) < 2:
            return ()
        place = {id(o): i for i, o in enumerate(natural)}
        places = tuple(place[id(o)] for o in self._sorted(natural))
        return () if places == tuple(range(len(places))) else places

    def _lasting(self) -> dict[str, Any]:
        places = self._places_in_order()
        return super()._lasting() | ({"_places": places} if places else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Objects come out of a pickle in another order than that in which they were made.
        vars(self).update(state, _number=0)

    def _graph_node_flatten(self):
        nodes, metadata = super()._graph_node_flatten()
        places = self._places_in_order()
        return nodes, (*metadata, places) if places else metadata

    @staticmethod
    def _graph_node_create_empty(metadata: Any) -> Any:
        node = base.Object._graph_node_create_empty(metadata[:2])
        for places in metadata[2:]:
            object.__setattr__(node, "_places", places)
        return node

    # -- names and dtypes ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = base.auto_name(base.to_snake_case(type(self).__name__))
        return str(self._name)

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str):
            raise ValueError(f"name must be a string. Received: name={value!r}")
        self._name = value if isinstance(value, AutoName) else str(value)

    @property
    def path(self) -> str:
        """The names of the layers around this one where it was first built or called, and its."""
        return self._path or "/".join((*context.state.names, self.name))

    @property
    def dtype_policy(self) -> policies.DTypePolicy:
        """The policy as it was given; of a map, `dtype` and `compute_dtype` go by the path."""
        return self._policy or policies.dtype_policy()

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy, before = policies.get(value), self._policy
        self._check_quantized(policy)
        if isinstance(before, policies.DTypePolicyMap) and self._path:
            before.pop(self._path) if self._path in before else None
            before[self._path] = policy
        else:
            self._policy = policy
        self._policy_changed()

    def _policy_changed(self) -> None:
        """Where a built layer may follow another policy."""

    def _check_quantized(self, policy: policies.DTypePolicy) -> None:
        mode, cls = policy.quantization_mode, type(self)
        own = hasattr(cls, f"_{mode}_call") or cls.quantized_call is not Layer.quantized_call
        if mode is not None and not own:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) cannot work by {policy!r}: "
                "quantization is not supported."
            )

    def _own_policy(self) -> policies.DTypePolicy:
        policy = self.dtype_policy
        if isinstance(policy, policies.DTypePolicyMap):
            policy = policy[self.path]
            self._check_quantized(policy)
        return policy

    @property
    def quantization_mode(self) -> str | None:
        """How the weights are quantized, such as `"int8"`; `None` where they are not."""
        return self._own_policy().quantization_mode

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Quantizes the weights, in layers that can: `Dense`, `EinsumDense`, `Embedding` and
        `ReversibleEmbedding`. Raises NotImplementedError in all others."""
        self._check_quantize(validate_and_resolve_config(mode, config).mode)
        raise NotImplementedError(
            f"Layer '{self.name}' ({type(self).__name__}) does not have a `quantize` method "
            "implemented."
        )

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """What is computed in place of `call` once the layer is quantized: in a class of one's own
        the method that is named after the mode, such as `_int8_call`. Raises NotImplementedError
        where there is none."""
        call = getattr(self, f"_{self.quantization_mode}_call", None)
        if call is None:
            raise NotImplementedError(
                f"Invalid quantization mode: layer '{self.name}' ({type(self).__name__}) has no "
                f"call for it. Received: quantization_mode={self.quantization_mode!r}"
            )
        return call(*args, **kwargs)

    @contextlib.contextmanager
    def _adding(self) -> Iterator[None]:
        """While variables are made after the layer was built."""
        if self._building:
            yield
            return
        self._building = True
        try:
            with context.using(names=tuple(self.path.split("/")), autocast=None):
                yield
        finally:
            del self._building

    def _check_quantize(self, mode: str) -> None:
        if not self.built:
            raise ValueError(
                f"Cannot quantize a layer that isn't yet built. Received: layer '{self.name}' "
                f"({type(self).__name__})"
            )
        if self._is_quantized:
            raise ValueError(
                f"Layer '{self.name}' is already quantized with "
                f"dtype_policy='{self.dtype_policy.name}'. Received: mode={mode}"
            )
        if mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(
                "Quantization mode='int8' doesn't work well with compute_dtype='float16', whose "
                "range is too small. Use 'mixed_bfloat16' or 'float32'."
            )

    @property
    def dtype(self) -> str:
        """The dtype of the weights."""
        return self._own_policy().variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation, to which inputs and weights are cast."""
        return self._own_policy().compute_dtype

    input_dtype = compute_dtype

    @property
    def call_signature_parameters(self) -> list[str]:
        """The names of the parameters of `call`."""
        return [p.name for p in _parameters(type(self).call)]

    # -- weights ------------------------------------------------------------------------------

    @entry
    @keras_names.shape_first
    @checked
    def add_weight(
        self,
        shape: Sequence[int | None] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        layout: Any = None,
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight of this layer; all but the first three arguments are keywords.

        Args:
            shape: sizes; a scalar where it is left out.
            initializer: a name, a function `(shape, dtype=...)` or a value; Glorot uniform for
                floats and zeros for others where it is left out.
            dtype: the layer's variable dtype where it is left out.
            trainable: whether an optimizer changes it.
            regularizer: a function of the weight whose value is added to the loss.
            constraint: a function applied after every update.
            layout: on which devices which part of it is, as of a Variable.
            overwrite_with_gradient: whether an optimizer takes the gradient for the new value.
        """
        self._check_open("a weight")
        shape = () if shape is None else tuple(_size(s, shape) for s in shape)
        dtype = dtypes.standardize_dtype(self.variable_dtype if dtype is None else dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        names = context.state.names
        if not names and self._path is not None:  # outside build and call
            names = tuple(self._path.split("/"))
        elif not names or names[-1] != self.name:
            names = (*names, self.name)
        with context.using(names=names):
            variable = (Param if trainable else Buffer)(
                registry.get("initializers", initializer)
                if isinstance(initializer, (str, dict, type))
                else initializer,
                shape=shape,
                dtype=dtype,
                trainable=trainable and self._trainable,
                autocast=autocast,
                aggregation=aggregation,
                layout=layout,
                name=name,
                regularizer=registry.get("regularizers", regularizer),
                constraint=registry.get("constraints", constraint),
            )
        if overwrite_with_gradient:
            variable.overwrite_with_gradient = overwrite_with_gradient
        self._track_variable(variable)
        return variable

    add_variable = add_weight

    def _check_open(self, what: str) -> None:
        if self._complete and not self._building and not context.state.depth:
            raise ValueError(
                f"You cannot add new elements of state to layer '{self.name}', which is built. "
                f"Received: {what}. Make weights and layers in __init__(), build() or the first "
                "call()."
            )

    @property
    def _sublayers(self) -> list[Layer]:
        return [o for o in self._in_order() if isinstance(o, Layer)]

    # This and the next by Keras's names, since packages that derive from Layer use them.
    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Layer]:
        objects = base.iter_objects(self) if recursive else (self, *self._sublayers)
        return [o for o in objects if isinstance(o, Layer) and (include_self or o is not self)]

    @property
    def _seed_generators(self) -> list[SeedGenerator]:
        return [o for o in base.own_state(self) if isinstance(o, SeedGenerator)]

    def _gather(self, everything: bool) -> list[nnx.Variable]:
        """Own weights (those that train first), then each sublayer's: the order of Keras."""
        known = self._known()
        if everything not in known:
            known[everything] = self._walk(everything)
        return list(known[everything])

    def _known(self) -> dict[Any, Any]:
        """What was found out about this layer and all in it, as long as nothing changes there."""
        snapshot, known = vars(self).get("_gathered", (None, {}))
        if snapshot is None or not snapshot.is_current():
            snapshot, known = vars(self)["_gathered"] = base.Snapshot(self), {}
        return known

    def _known_layers(self) -> list[Layer]:
        known = self._known()
        if "layers" not in known:
            known["layers"] = self._flatten_layers()
        return known["layers"]

    def _walk(self, everything: bool) -> list[nnx.Variable]:
        found: dict[int, nnx.Variable] = {}
        seen: set[int] = set()

        def visit(obj: Any) -> None:
            if id(obj) in seen:
                return
            seen.add(id(obj))
            for v in sorted(base.own_variables(obj), key=lambda v: not isinstance(v, nnx.Param)):
                if everything or not isinstance(v, nnx.RngState):
                    found.setdefault(id(v), v)
            if isinstance(obj, Layer):
                objects = obj._in_order()
            else:
                objects = [o for o in base.own_state(obj) if not isinstance(o, nnx.Variable)]
            if everything:  # random streams before sublayers
                objects.sort(key=lambda o: not isinstance(o, rng.SeedGenerator))
            for o in objects:
                if getattr(o, "_kind", None) in ("optimizer", "metric"):  # their state is theirs
                    continue
                # Of our own objects only layers hold weights; those of flax all may.
                if everything or isinstance(o, Layer) or not isinstance(o, base.Object):
                    visit(o)

        visit(self)
        return list(found.values())

    @property
    def variables(self) -> list[Any]:
        """The weights and the random streams; not metrics, see `metrics_variables`."""
        return self._gather(everything=True)

    @property
    def weights(self) -> list[Any]:
        """The weights of this layer and of those in it, each once."""
        return self._gather(everything=False)

    @property
    def trainable_weights(self) -> list[Any]:
        if not self.trainable:
            return []
        return [v for v in self.weights if _trains(v)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        if not self.trainable:
            return self.weights
        return [v for v in self.weights if not _trains(v)]

    @property
    def trainable_variables(self) -> list[Any]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:
        trainable = {id(v) for v in self.trainable_weights}
        return [v for v in self.variables if id(v) not in trainable]

    def _metrics_of(self, counts: Callable[[Layer], bool]) -> list[Any]:
        """The metrics in attributes of those layers, of this one and of all in it, that count."""
        known = self._known()
        if "metrics" not in known:
            found = [
                item
                for layer in self._flatten_layers()
                if counts(layer)
                for item in base.own_state(layer)
                if isinstance(item, base.Object) and item._kind == "metric"
            ]
            known["metrics"] = list({id(m): m for m in found}.values())
        return known["metrics"]

    @property
    def metrics(self) -> list[Any]:
        """The metrics in attributes of this layer and of those in it, each once."""
        return list(self._metrics_of(lambda layer: True))

    @property
    def metrics_variables(self) -> list[Any]:
        """The state of the metrics."""
        return list({id(v): v for m in self.metrics for v in m.variables}.values())

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = self._trainable = boolean(trainable=value)
        for item in base.own_state(self):
            if isinstance(item, (Param, Layer)):
                item.trainable = value

    @entry
    def count_params(self) -> int:
        """The number of scalars in the weights."""
        if not self.built and not self.weights:
            raise ValueError(
                f"Layer '{self.name}' has no weights yet: call it on data, or build(input_shape)."
            )
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """The weights' values as numpy arrays, all of them as of the same step."""
        weights = self.weights
        with lowering.undisturbed(weights):
            return [host.whole(v._raw_value) for v in weights]

    @checked
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights' values, in the order of `get_weights()`.

        Raises ValueError, changing nothing, for another number of arrays or another shape.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(
                f"Layer '{self.name}' has {len(variables)} weights; "
                f"{len(weights)} arrays were given."
            )
        for v, w in zip(variables, weights):
            if tuple(np.shape(w)) != v.shape:
                raise ValueError(
                    f"Weight '{v.path}' of layer '{self.name}' has shape {v.shape}; "
                    f"an array of shape {tuple(np.shape(w))} was given for it."
                )
        for v, w in zip(variables, weights):
            v.assign(w)

    # What a layer keeps in a file of its own weights; a subclass may override both.

    def save_own_variables(self, store: Any) -> None:
        """Puts this layer's own weights, not those of its sublayers, into a dict by name."""
        own = sorted(base.own_variables(self), key=lambda v: not isinstance(v, nnx.Param))
        store.update({str(i): v for i, v in enumerate(own)})

    def load_own_variables(self, store: Any) -> None:
        """Sets this layer's own weights from arrays by the names of `save_own_variables`."""
        own: dict[str, Any] = {}
        Layer.save_own_variables(self, own)
        if set(store.keys()) != set(own):
            raise ValueError(
                f"Layer '{self.name}' has {len(own)} weights of its own; "
                f"the file has {len(store.keys())} for it."
            )
        for name, v in own.items():
            v.assign(store[name])

    # -- building -----------------------------------------------------------------------------

    def build(self, *input_shape: Any, **shapes: Any) -> None:
        """Makes the weights. A layer without a `build` of its own makes its sublayers' weights."""
        if type(self).build is Layer.build:  # else one of its own has called this, and goes on
            self._build_by_call(*input_shape, **shapes)

    def _build_by_call(self, *input_shape: Any, **shapes: Any) -> None:
        known = any(s is not None for s in (*input_shape, *shapes.values()))
        if known and not all(o.built for o in self._sublayers):
            make = functools.partial(_map_shapes, lambda s: KerasTensor(s, self.compute_dtype))
            kwargs = {k.removesuffix("_shape"): make(v) for k, v in shapes.items()}
            with context.using(names=context.state.names[:-1]):  # to which the call adds its own
                self.compute_output_spec(*map(make, input_shape), **kwargs)

    def _build_at_init(self) -> None:
        """Says that the layer is built, unless its class has a `build` that is still to be run."""
        if type(self).build is Layer.build:
            self.built = self._complete = True

    def _maybe_build(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.built:
            return
        # One thread builds, the others wait for it.
        with vars(self).setdefault("_build_lock", threading.RLock()):
            self._build_once(args, kwargs)

    def _build_once(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.built or self._building:
            return
        self._check_inputs(args, kwargs)  # before weights of a wrong shape are made
        if not args and not kwargs:
            inspect.signature(self.call).bind()  # a TypeError names what is missing
        if type(self).build is Layer.build:
            self.built = self._complete = True  # the call itself builds what is inside
            self._build_shapes = {"input_shape": _shapes_of(args[0])} if args else None
        else:
            shapes, by_name = self._shapes_for(type(self).build, args, kwargs)
            self.build(*shapes, **by_name)

    def _shapes_for(
        self, method: Callable, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[tuple, dict[str, Any]]:
        """What a method that takes shapes is given for the arguments of a call: the shape of the
        first, or those that it names, `x_shape` being that of the argument `x`."""
        parameters = [p for p in _parameters(method) if p.kind != p.VAR_KEYWORD]
        if len(parameters) <= 1 or any(p.kind == p.VAR_POSITIONAL for p in parameters):
            first = self._first_of(args, kwargs)
            if first is None:
                first = next(iter(kwargs.values()), None)
            return (_shapes_of(first),), {}
        names = [p.name for p in _parameters(type(self).call)]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        shapes = {}
        for p in parameters:
            name = p.name.removesuffix("_shape")
            if name == p.name or name not in names:
                raise ValueError(
                    f"Where {method.__name__}() takes several arguments, each has to be named as "
                    f"one of call({', '.join(names)}) with '_shape' after it. Layer '{self.name}' "
                    f"({type(self).__name__}): {method.__name__}() has argument `{p.name}`, "
                    + (
                        "which does not end in `_shape`."
                        if name == p.name
                        else f"but `call()` does not have argument `{name}`."
                    )
                )
            if name in given:
                shapes[p.name] = _shapes_of(given[name])
        return (), shapes

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build` was given, for a loaded layer to be built the same."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": self._build_shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer as another one was built, of which this is the `get_build_config()`."""
        if "input_shape" in config:
            self.build(config["input_shape"])
        elif "shapes_dict" in config:
            self.build(**config["shapes_dict"])

    # -- calling ------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; to be written by every layer."""
        raise NotImplementedError(
            f"Layer '{self.name}' ({type(self).__name__}) does not have a `call` method "
            "implemented."
        )

    @handled
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            take = taker(args, kwargs)
            if take is not None and not symbolic.is_symbolic(args, kwargs):
                return take(self._call, args, kwargs, owner=self)
            if self._boxes or Answers.everywhere:
                return in_boxes(self._call, args, kwargs)
            return self._call(*args, **kwargs)
        except foreign.InGraph:
            return foreign.through_graph(self, args, kwargs)
        except Exception as error:
            shorten(error)
            raise

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        state = context.state
        converts, takes_any = self._convert_input_args, self._allow_non_tensor_positional_args
        if args and (converts or not takes_any):
            args = tuple([self._convert(a) for a in args]) if converts else args
            for i, a in enumerate(() if takes_any else args):
                if a is not None and not hasattr(a, "shape"):
                    is_option = i > 0 and isinstance(a, (str, bytes))
                    if not is_option and (found := text.of_lists(a)) is not None:
                        args = (*args[:i], self._convert(found), *args[i + 1 :])
                    else:
                        self._check_positional(a)
        if kwargs and converts:
            kwargs = {k: self._convert(v) for k, v in kwargs.items()}
        if symbolic.is_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        if self.built and not state.held:
            outputs = self._eager_call(self, args, kwargs)
            if outputs is not MISSED:
                return outputs

        takes = _call_takes(type(self).call)
        training = kwargs.pop("training", None)
        if training is None:
            training = state.training
        if training is not None and "training" in takes:
            kwargs["training"] = training

        previous = self._pass_masks(takes, args, kwargs)
        before = (state.training, state.depth, state.autocast, state.names)
        inherited = state.inherited
        if before[1] == 0 and state.losses:
            self._forget_losses()
        if self._call_context_args is not keras_names.INHERITED:
            self._inherit(takes, kwargs)
        self._note_called(args)
        state.training, state.depth = training, before[1] + 1
        state.names = (*before[3], self.name)
        if self._path is None:
            self._path = "/".join(state.names)
        policy = self._own_policy()
        mixed = policy.compute_dtype != policy.variable_dtype
        state.autocast = jnp.dtype(policy.compute_dtype) if mixed and self.autocast else None
        try:
            if not self.built:
                state.names = before[3]
                self._maybe_build(args, kwargs)
                state.names = (*before[3], self.name)
            self._check_inputs(args, kwargs)
            call = self.quantized_call if self._is_quantized else self.call
            if self._remat is not None:
                call = self.rematerialized_call(call, *args, **kwargs)
            if state.exporting:  # an exporter's errors name the layer
                call = jax.named_scope(self.name)(call)
            outputs = unbox(call(*args, **kwargs))
            if before[1] == 0 and text.holds_text(outputs):
                outputs = text.outside(outputs)
            if state.distribution is not None:
                outputs = state.distribution.laid_out(self._path, outputs)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    # An empty batch adds nothing; a size that is a symbol is never 0.
                    self.add_loss(self.activity_regularizer(output) / (output.shape[0] or 1))
        except Exception as error:
            self._note_call(error, args, kwargs)
            raise
        finally:
            state.training, state.depth, state.autocast, state.names = before
            state.inherited = inherited
        passes = previous is not None and self.supports_masking
        if passes or type(self).compute_mask is not Layer.compute_mask:
            self._set_masks(self._first_of(args, kwargs), outputs, previous)
        return outputs

    def _note_called(self, args: tuple) -> None:
        if not self._called:
            self._called = tuple(map(_kinds_of, args)) or True

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """`layer_call` as the `RematScope` that the layer was made in says."""
        mode = self._remat
        if mode is not None and mode.mode == "activations":
            activation = getattr(self, "activation", None)
            if not callable(activation):
                return layer_call
            again = remat.remat(activation)

            def call(*args: Any, **kwargs: Any) -> Any:
                vars(self)["activation"] = again
                try:
                    return layer_call(*args, **kwargs)
                finally:
                    vars(self)["activation"] = activation

            return call
        if mode is not None and mode.mode == "list_of_layers":
            return remat.remat(layer_call) if self.name in mode.layer_names else layer_call
        return super().rematerialized_call(layer_call, *args, **kwargs)

    def _convert(self, x: Any) -> Any:
        """Arrays of any kind as JAX's, floats in the compute dtype."""
        if isinstance(x, nnx.Variable):
            x = x.get_value()
        if isinstance(x, (jax.Array, KerasTensor)):
            if self.autocast and dtypes.is_float(x.dtype):
                wanted = self.compute_dtype
                if x.dtype == wanted:
                    return x
                if isinstance(x, KerasTensor):
                    return x._seen_as(wanted)
                cast, mask = x.astype(wanted), context.get_mask(x)
                if mask is not None:
                    context.set_mask(cast, mask)
                return cast
            if isinstance(x, KerasTensor) and x.dtype == "string":
                self._check_text(x)
            return x
        if isinstance(x, text.Text):
            self._check_text(x)
            return x
        if isinstance(x, (np.ndarray, np.generic)):
            if isinstance(x, np.ndarray) and (texts := text.as_bytes(x)) is not None:
                return self._convert(text.Text(texts))
            if self.autocast and dtypes.is_float(x.dtype):
                return host.asarray(x, self.compute_dtype)
            if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
                foreign.refuse_wide(np.asarray(x), f"The input of layer '{self.name}'")
            return host.asarray(x)
        if hasattr(x, "__jax_array__"):
            return self._convert(x.__jax_array__())
        if sparsity.is_sparse(x):
            if not self._keeps_sparse:
                return self._convert(x.todense())
            if self.autocast and dtypes.is_float(x.dtype) and x.dtype != self.compute_dtype:
                return sparsity.cast(x, self.compute_dtype)
            return x
        if isinstance(x, (dict, list, tuple)):
            return map_items(self._convert, x)
        if x is None or isinstance(x, bool):
            return x
        found = foreign.array_of(x)  # of torch, pandas, …
        if found is not None and found.dtype.kind in "SO" and not foreign.is_frame(x):
            return self._convert(found)  # of text
        if found is None or not foreign.is_numeric(found):
            if foreign.is_frame(x):
                what = foreign.not_numeric(x, found)
                raise ValueError(f"Layer '{self.name}' takes numbers. Received {what}.")
            return x
        return self._convert(found)

    def _check_text(self, given: Any) -> None:
        if not self._takes_text:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes numbers. Received text, a "
                f"string tensor of shape {symbolic.show_shape(given.shape)}. Layers that make "
                "numbers of text are StringLookup, TextVectorization and Hashing."
            )

    def _check_positional(self, argument: Any) -> None:
        for value in jax.tree.leaves(argument):
            if not hasattr(value, "shape"):
                raise ValueError(
                    "Only input tensors may be passed as positional arguments; pass others by "
                    f"keyword. Received: {value!r} of type {type(value).__name__} for layer "
                    f"'{self.name}' ({type(self).__name__})"
                )

    def _note_call(self, error: Exception, args: tuple, kwargs: dict[str, Any]) -> None:
        what = f"layer '{self.name}' ({type(self).__name__})"
        note_call(error, what, _call_names(type(self).call), args, kwargs)

    def _check_inputs(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.input_spec is not None:
            first = self._first_of(args, kwargs)
            if args or first is not None:
                check_inputs(self.input_spec, first, f"'{self.name}' ({type(self).__name__})")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        with context.using(tapes=()):
            try:
                if not self.built:
                    self._maybe_build(args, kwargs)
                self._check_inputs(args, kwargs)
                spec = self.compute_output_spec(*args, **kwargs)
            except Exception as error:
                self._note_call(error, args, kwargs)
                raise
        outputs = symbolic.record(self, args, kwargs, spec)
        for tensor in symbolic.tensors_in(outputs):
            if tensor._keras_mask is not None and tensor._keras_mask._keras_history is None:
                said = self._symbolic_mask(args, outputs)
                if said is not None and said.shape == tensor._keras_mask.shape:
                    tensor._keras_mask = said
                else:
                    symbolic.record(MaskOf(), (tensor,), {}, tensor._keras_mask)
        return outputs

    def _symbolic_mask(self, args: tuple, outputs: Any) -> KerasTensor | None:
        """What `compute_mask` gives of symbolic tensors, as operations that Keras has too; `None`
        where that is not to be had: it may use functions that take arrays only."""
        by_default = type(self).compute_mask is Layer.compute_mask
        passes = self.supports_masking and len(self._flatten_layers()) == 1
        if not isinstance(outputs, KerasTensor) or (by_default and not passes):
            return None  # a layer within may give it
        try:
            previous = jax.tree.map(lambda x: getattr(x, "_keras_mask", None), args[0])
            mask = self.compute_mask(args[0], previous)
        except Exception:
            return None
        recorded = isinstance(mask, KerasTensor) and mask._keras_history is not None
        return mask if recorded else None

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shapes and dtypes for symbolic inputs, from `compute_output_shape` if a
        class has one of its own, and else from tracing the call."""
        own = type(self).compute_output_shape
        trusted = self._says_shapes and own is not Layer.compute_output_shape
        if not trusted or not all(o.built for o in self._flatten_layers() if o is not self):
            return specs.remembered(self, args, kwargs, self._traced_spec)
        shapes, by_name = self._shapes_for(own, args, kwargs)
        outputs = _tensors_of(self.compute_output_shape(*shapes, **by_name), self.compute_dtype)
        given = symbolic.tensors_in((args, kwargs))
        if self.supports_masking and len(given) == 1 and isinstance(outputs, KerasTensor):
            outputs._keras_mask = given[0]._keras_mask
        return outputs

    def _traced_spec(self, args: tuple, kwargs: dict[str, Any], method: Any = None) -> Any:
        masks = [getattr(x, "_keras_mask", None) for x in jax.tree.leaves(args)]

        def traced(masks: list[Any], *a: Any, **k: Any) -> Any:
            for value, mask in zip(_leaves(a), masks, strict=True):
                if mask is not None:
                    context.set_mask(value, mask)

            def run() -> Any:
                outputs = (method or self)(*a, **k)
                return outputs, [context.get_mask(x) for x in _leaves(outputs)]

            variables = base.variables_of(self, rng.global_stream())
            variables += [v for v in outside.values() if all(v is not w for w in variables)]
            lowered = lowering.lower(run, variables, roots=[self])
            return lowered(lowering.values_of(variables))[0]

        # An error means that a sublayer was made while tracing, and changed its state; or that a
        # variable of no object below was, one of a closure. Now it is known.
        outside: dict[int, Any] = {}
        outputs, found = None, []
        for is_last in (False, False, True):
            noted: dict[int, Any] = {}
            try:
                with context.using(outsiders=noted):
                    outputs, found = symbolic.output_spec(traced, (masks, *args), kwargs)
                break
            except errors.TraceContextError:
                if is_last:
                    raise
            outside |= {key: pair[0] for key, pair in noted.items() if pair is not None}
        if context.state.outsiders is not None:
            for key, v in outside.items():
                context.state.outsiders.setdefault(key, (v, True))
        for tensor, mask in zip(jax.tree.leaves(outputs), found, strict=True):
            tensor._keras_mask = mask
        return outputs

    @entry
    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for an input's shape, `None` where a size is unknown."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"Layer '{self.name}' ({type(self).__name__}) does not have a "
                "`compute_output_shape` method implemented, nor a `call` to find it from."
            )
        make = functools.partial(_map_shapes, lambda s: KerasTensor(s, self.compute_dtype))
        kwargs = {k.removesuffix("_shape"): v for k, v in kwargs.items()}
        if not args and "input" in kwargs and "input" not in _call_takes(type(self).call):
            args = (kwargs.pop("input"),)  # input_shape, whatever the layer calls its input
        args = tuple(make(_as_shapes(a)) for a in args)
        kwargs = {k: make(_as_shapes(v)) for k, v in kwargs.items()}
        if not self.built:
            self._maybe_build(args, kwargs)
        if type(self).compute_output_spec is Layer.compute_output_spec:
            spec = self._traced_spec(args, kwargs)  # a class's own may have asked for this
        else:
            spec = self.compute_output_spec(*args, **kwargs)
        return jax.tree.map(lambda t: t.shape, spec)

    @entry
    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The call as a pure function: `(outputs, non_trainable_variables[, losses])`.

        The two sequences hold values in the order of the properties of the same names.
        """
        if not self.built:
            raise ValueError(f"Layer '{self.name}' must be built before stateless_call().")
        trainable, others = self.trainable_variables, self.non_trainable_variables
        for name, variables, values in (
            ("trainable_variables", trainable, trainable_variables),
            ("non_trainable_variables", others, non_trainable_variables),
        ):
            if len(values) != len(variables):
                raise ValueError(
                    f"{name} must hold {len(variables)} values. Received: {len(values)}"
                )
        values = [v._raw_value if isinstance(v, nnx.Variable) else v
                  for v in (*trainable_variables, *non_trainable_variables)]  # fmt: skip

        def run() -> tuple[Any, list[Any]]:
            outputs = self(*args, **kwargs)
            return outputs, self.losses if return_losses else []

        counted = self.metrics_variables  # what the call makes of them is dropped
        pure = lowering.lower(run, [*trainable, *others, *counted], roots=[self])
        (outputs, losses), new = pure([*values, *lowering.values_of(counted)])
        others_new = list(new[len(trainable) : len(values)])
        return (outputs, others_new, losses) if return_losses else (outputs, others_new)

    # -- masks --------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output; by default the input's."""
        return previous_mask

    def _pass_masks(self, takes: frozenset[str], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Gives the call the masks that its tensors carry: that of the first as `mask`, that of an
        argument `x` as `x_mask`. Gives what the outputs' mask is made of, or `None`."""
        masks = _masks_of(self._first_of(args, kwargs))
        given = kwargs
        if _takes_masks(type(self).call):
            given = {**dict(zip(_call_names(type(self).call), args)), **kwargs}
        named = [k for k in given if f"{k}_mask" in takes]
        for name in named:
            if given.get(f"{name}_mask") is None and (found := _masks_of(given[name])) is not None:
                kwargs[f"{name}_mask"] = found
        if "mask" in takes and given.get("mask") is None:
            if masks is not None:
                kwargs["mask"] = masks
        elif masks is not None and not (self.supports_masking or named or "mask" in takes):
            warn_user(
                f"Layer '{self.name}' ({type(self).__name__}) was given an input with a mask, but "
                "does not support masking: the mask ends here."
            )
        return masks if given.get("mask") is None else given["mask"]

    def _first_of(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The first argument of a call, by place or by name."""
        if args:
            return args[0]
        names = _call_names(type(self).call)
        return next((kwargs[name] for name in names if name in kwargs), None)

    def _set_masks(self, inputs: Any, outputs: Any, previous: Any) -> None:
        masks = self.compute_mask(inputs, previous)
        flat = _leaves(outputs)
        if isinstance(masks, (list, tuple)):
            masks = list(masks)
        else:
            masks = [masks] * len(flat)
        for tensor, mask in zip(flat, masks, strict=False):
            if mask is not None:
                context.set_mask(tensor, mask)

    # -- losses -------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar (or several) to the loss that training minimizes; for use in `call`.

        Raises ValueError for what is not scalar, and for a symbolic tensor outside of a call.
        """
        for value in jax.tree.leaves(unbox(loss)):
            if isinstance(value, KerasTensor) and not context.state.depth:
                raise ValueError(
                    f"add_loss() of '{self.name}' was given a symbolic tensor, which has no value "
                    f"for any batch: {value!r}. Call add_loss() in the call() of a layer, on what "
                    "is computed there."
                )
            if jnp.ndim(value):
                raise ValueError(
                    f"add_loss() takes scalars. Layer '{self.name}' gave one of shape "
                    f"{jnp.shape(value)}: take its mean or sum."
                )
            scope = context.state.scope
            if scope is not None and scope.collect_losses:
                scope.add_loss(value)
            losses = context.state.losses
            losses.set(self, [*losses.get(self, ()), value])

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError: metrics are kept in attributes, or given to `compile`."""
        raise NotImplementedError(
            "add_metric() is of Keras 2. Keep a metric in an attribute and update it in call(), or "
            "give it to compile(metrics=...)."
        )

    # What was added is kept by the thread that called, not by the layer: another thread that calls
    # the same layer meanwhile, or traces it, has losses of its own.

    def _forget_losses(self) -> None:
        for layer in self._known_layers():
            context.state.losses.pop(layer)

    def _added_losses(self) -> list[tuple[Layer, list[Any]]]:
        """What each layer in this one added in the last call."""
        losses = context.state.losses
        found = [(layer, losses.get(layer)) for layer in self._known_layers()] if losses else []
        return [(layer, list(added)) for layer, added in found if added]

    @property
    @answers
    def losses(self) -> list[Any]:
        """The scalars that the last call added, and those of the weights' regularizers."""
        found = [value for _, added in self._added_losses() for value in added]
        for v in self.trainable_weights:
            regularizer = getattr(v, "regularizer", None)
            if regularizer is not None:
                take = taker((), {})
                found.append(unbox(regularizer(v)) if take is None else take(regularizer, (v,), {}))
        return found

    # -- configuration ------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer like the one whose `get_config()` this is. Its constructor is given a policy
        that is none of quantization or by paths by its name."""
        arguments = registry.deserialize_arguments(cls, config)
        if type(arguments.get("dtype")) in (policies.DTypePolicy, policies.FloatDTypePolicy):
            arguments["dtype"] = arguments["dtype"].name
        return cls(**arguments)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        if not self._saves_activity_regularizer and self.activity_regularizer is None:
            config.pop("activity_regularizer", None)
        if "dtype" in config:
            config["dtype"] = registry.serialize(self.dtype_policy)
        return config


class MaskOf(symbolic.FunctionOperation):
    """The mask that a tensor carries, as an operation of a graph."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(context.get_mask, base.auto_name("mask") if name is None else name)

    def again(self) -> MaskOf:
        return MaskOf()

    def compute_output_spec(self, x: KerasTensor) -> Any:
        mask = x._keras_mask
        return None if mask is None else KerasTensor(mask.shape, mask.dtype)


def _leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=lambda x: sparsity.is_sparse(x) or text.is_text(x))


def _masks_of(value: Any) -> Any:
    """The masks that arrays in a structure carry, in the same structure; `None` without any."""
    if isinstance(value, jax.Array):
        return context.get_mask(value)
    masks = jax.tree.map(context.get_mask, value)
    return masks if jax.tree.leaves(masks) else None


def _number_of(obj: Any) -> int:
    """When an object was made, as far as it tells: a copy, when this was first asked."""
    if isinstance(obj, Layer) and not obj._number:
        object.__setattr__(obj, "_number", next(_numbers))
    return getattr(obj, "_number", 0)


def _is_state_of_layers(value: Any) -> bool:
    return isinstance(value, (Layer, nnx.Variable))


def _trains(variable: Any) -> bool:
    trainable = getattr(variable, "trainable", None)
    return isinstance(variable, nnx.Param) if trainable is None else trainable


def _size(size: Any, shape: Any) -> int:
    if size is None:
        raise ValueError(f"A weight cannot have a size that is unknown. Received: shape={shape}")
    return int(size)


@functools.cache
def _parameters(function: Callable) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())[1:]


@functools.cache
def _call_takes(function: Callable) -> frozenset[str]:
    """The names of a call's parameters; `training` is among them where it takes any keyword."""
    parameters = _parameters(function)
    return frozenset(p.name for p in parameters if p.kind != p.VAR_KEYWORD)


@functools.cache
def _takes_masks(function: Callable) -> bool:
    return any(name.endswith("mask") for name in _call_takes(function))


@functools.cache
def _call_names(function: Callable) -> list[str]:
    """The names of a call's positional arguments."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in _parameters(function) if p.kind not in several]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        s is None or isinstance(s, (int, np.integer)) for s in value
    )


def _as_shapes(value: Any) -> Any:
    """Shapes in any nesting, each as a `Shape`."""
    if hasattr(value, "as_list") and not isinstance(value, Shape):
        value = value.as_list()
    if _is_shape(value):
        return Shape(value)
    return map_items(_as_shapes, value)


def _map_shapes(function: Callable, value: Any) -> Any:
    if _is_shape(value) and (value or isinstance(value, Shape)):
        return function(value)
    return map_items(functools.partial(_map_shapes, function), value)


def _tensors_of(shapes: Any, dtype: str) -> Any:
    """Symbolic tensors of shapes in any nesting, which stays as it is."""
    if hasattr(shapes, "as_list") or (_is_shape(shapes) and (shapes or isinstance(shapes, Shape))):
        return KerasTensor(shapes, dtype)
    return map_items(lambda inner: _tensors_of(inner, dtype), shapes)


def _shapes_of(inputs: Any) -> Any:
    if hasattr(inputs, "shape"):
        return Shape(symbolic.show_shape(inputs.shape))
    return map_items(_shapes_of, inputs)


def _kinds_of(inputs: Any) -> Any:
    """What an argument's arrays are like, without their values."""
    if isinstance(inputs, (list, tuple)):
        return [_kinds_of(i) for i in inputs]
    if isinstance(inputs, dict):
        return {k: _kinds_of(v) for k, v in inputs.items()}
    if not hasattr(inputs, "shape") or not hasattr(inputs, "dtype"):
        return inputs
    return InputSpec(inputs.dtype, symbolic.show_shape(inputs.shape))


def _give_shapes(method: Callable) -> Callable:
    """A user's `compute_output_shape` may call `as_list()` on what it is given."""

    @functools.wraps(method)
    def given(self: Layer, *args: Any, **kwargs: Any) -> Any:
        kwargs = {k: _as_shapes(v) for k, v in kwargs.items()}
        return method(self, *map(_as_shapes, args), **kwargs)

    return given


def only_traces(build: Callable) -> Callable:
    """Marks a `build` that computes nothing itself but traces the call of what is inside: a size
    in a config, such as the number of classes of a one-hot code, is to take no memory there."""
    build.only_traces = True  # type: ignore[attr-defined]
    return build


def _guard_build(build: Callable) -> Callable:
    """Around a class's own `build`: names, values that are no tracers, and what to remember."""

    @handled
    @functools.wraps(build)
    def guarded(self: Layer, *args: Any, **kwargs: Any) -> None:
        args = tuple(_as_shapes(a) for a in args)
        kwargs = {k: _as_shapes(v) for k, v in kwargs.items()}
        if self._building:  # a subclass's build has called super().build
            build(self, *args, **kwargs)
            return
        self._building = True
        try:
            for shape in (*args, *kwargs.values()) if is_ours(type(self)) else ():
                if isinstance(shape, (str, int, float)):
                    raise InvalidArgument(f"input_shape must be a shape. Received: {shape!r}")
            names = (*context.state.names, self.name)
            self._path = self._path or "/".join(names)
            traces = getattr(build, "only_traces", False)
            values = contextlib.nullcontext() if traces else jax.ensure_compile_time_eval()
            with context.using(names=names, autocast=None), values:
                build(self, *args, **kwargs)
        except Exception as error:
            shorten(error)
            raise
        finally:
            del self._building
        self.built = self._complete = True
        names = _call_names(build) or ["input_shape"]
        self._build_shapes = {**dict(zip(names, args)), **kwargs}
        if not self._trainable:
            self.trainable = False

    return guarded


def _guard_quantize(quantize: Callable) -> Callable:
    """Around a class's own `quantize`, which makes variables of a layer that is built."""

    @functools.wraps(quantize)
    def guarded(self: Layer, *args: Any, **kwargs: Any) -> None:
        with self._adding():
            quantize(self, *args, **kwargs)

    return guarded


Layer.build = _guard_build(only_traces(Layer.build))
