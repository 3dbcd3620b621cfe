"""The state of a layer: weights, random streams, metrics and sublayers, in order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from flax import nnx

from keraslike.core import base, context, dtypes, host, lowering, precision, rng, serialization
from keraslike.core.annotations import checked
from keraslike.core.arguments import boolean
from keraslike.core.rng import SeedGenerator
from keraslike.core.tracebacks import entry
from keraslike.core.variable import Buffer, Param, Variable
from keraslike.layers import keras_names

_numbers = itertools.count(1)

# Types whose values hold no state.
_PLAIN = frozenset((type(None), bool, int, float, str))


class LayerState:
    """The part of `Layer` that keeps weights and sublayers."""

    # These three determine the order of the sublayers, see `_in_order`.
    # A counter value; it increases with each layer that is created or assigned.
    _creation_number = 0
    # The counter value at which a sublayer was assigned, by the sublayer's number.
    _sublayer_ranks: Any = MappingProxyType({})
    # In a copy, the order of the sublayers as indices into the order of attributes.
    _sublayer_places: tuple[int, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any):
        self = super().__new__(cls, *args, **kwargs)
        object.__setattr__(self, "_creation_number", next(_numbers))
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in _PLAIN:
            object.__setattr__(self, name, value)
            if base.awaited:
                base.notify(self)
            return
        found = tuple(base.iter_state(value))
        if not found:
            object.__setattr__(self, name, value)
            if base.awaited:
                base.notify(self)
            return
        if not context.state.tracking:
            object.__setattr__(self, "_untracked", self._untracked | {name, "_untracked"})
            object.__setattr__(self, name, value)
            return
        if self._state_complete and any(map(_is_state_of_layers, found)):
            self._check_open(f"attribute '{name}'")
        if "_added_weights" in vars(self):
            # `_added_weights` is for weights without an attribute.
            self._added_weights[:] = [v for v in self._added_weights if v is not value]
        objects = [o for o in found if not base.is_variable(o)]
        before = vars(self).get(name)
        if objects and before is not value:
            # What was added to a container before keeps its place, as a graph is assigned.
            containers = [
                v
                for k, v in vars(self).items()
                if isinstance(v, (list, dict)) and k != "_sublayer_ranks"
            ]
            self._rank_sublayers(objects, {id(o) for o in base.iter_state(containers)})
        if (objects and before is not value) or next(base.iter_state(before), None) is None:
            # Keeps attributes in the order in which their values were assigned.
            vars(self).pop(name, None)
        object.__setattr__(self, name, value)
        if base.awaited:
            base.notify(self)

    def _rank_sublayers(self, objects: list[Any], there: Collection[int] = ()) -> None:
        if "_sublayer_ranks" not in vars(self):
            object.__setattr__(self, "_sublayer_ranks", {})
        for o in objects:
            n = number_of(o)
            self._sublayer_ranks.setdefault(n, n if id(o) in there else next(_numbers))

    def _in_order(self) -> list[Any]:
        """The objects in this layer's attributes, in the order in which Keras lists them: by when
        they were assigned, or, if they were added to a container later, by when they were created.
        """
        return self._sorted_sublayers(self._in_attributes())

    def _sorted_sublayers(self, natural: list[Any]) -> list[Any]:
        if self._sublayer_places:
            if len(self._sublayer_places) == len(natural):
                self._rank_sublayers([natural[i] for i in self._sublayer_places])
            object.__setattr__(self, "_sublayer_places", ())
        ranks = {
            id(o): self._sublayer_ranks.get(n, n) for o, n in zip(natural, map(number_of, natural))
        }
        return sorted(natural, key=lambda o: ranks[id(o)])

    def _in_attributes(self) -> list[Any]:
        return [o for o in base.own_state(self) if not base.is_variable(o)]

    def _places_in_order(self) -> tuple[int, ...]:
        """`_sublayer_places` of a copy, which is empty if the order is that of the attributes."""
        natural = self._in_attributes()
        if len(natural) < 2:
            return ()
        place = {id(o): i for i, o in enumerate(natural)}
        places = tuple(place[id(o)] for o in self._sorted_sublayers(natural))
        return () if places == tuple(range(len(places))) else places

    def _persistent_attributes(self) -> dict[str, Any]:
        places = self._places_in_order()
        return super()._persistent_attributes() | ({"_sublayer_places": places} if places else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Objects are unpickled in another order than that in which they were created.
        vars(self).update(state, _creation_number=0)

    def _graph_node_flatten(self):
        nodes, metadata = super()._graph_node_flatten()
        places = self._places_in_order()
        return nodes, (*metadata, places) if places else metadata

    @staticmethod
    def _graph_node_create_empty(metadata: Any) -> Any:
        node = base.Object._graph_node_create_empty(metadata[:2])
        for places in metadata[2:]:
            object.__setattr__(node, "_sublayer_places", places)
        return node

    # -- weights ------------------------------------------------------------------------------

    @entry
    @precision.kept
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
        """Creates a weight of this layer; all but the first three arguments are keyword-only.

        Args:
            shape: the shape; a scalar if omitted.
            initializer: a name, a function `(shape, dtype=...)` or a value; by default Glorot
                uniform for floats and zeros for others.
            dtype: the layer's variable dtype if omitted.
            trainable: whether an optimizer changes it.
            regularizer: a function of the weight whose value is added to the loss.
            constraint: a function applied after every update.
            layout: how it is sharded over devices, as for a Variable.
            overwrite_with_gradient: whether an optimizer sets it to its gradient.
        """
        self._check_open("a weight")
        shape = () if shape is None else tuple(_size(s, shape) for s in shape)
        dtype = dtypes.standardize_dtype(self.variable_dtype if dtype is None else dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        names = context.state.names
        if not names and self._path is not None:  # Outside of build and call.
            names = tuple(self._path.split("/"))
        elif not names or names[-1] != self.name:
            names = (*names, self.name)
        with context.using(names=names, boxes=self._gives_boxes or context.state.boxes):
            variable = (Param if trainable else Buffer)(
                serialization.get("initializers", initializer)
                if isinstance(initializer, (str, dict, type))
                else initializer,
                shape=shape,
                dtype=dtype,
                trainable=trainable and self._trainable,
                autocast=autocast,
                aggregation=aggregation,
                layout=layout,
                name=name,
                regularizer=serialization.get("regularizers", regularizer),
                constraint=serialization.get("constraints", constraint),
            )
        if overwrite_with_gradient:
            variable.overwrite_with_gradient = overwrite_with_gradient
        self._track_variable(variable)
        return variable

    add_variable = add_weight

    def _check_open(self, what: str) -> None:
        if self._state_complete and not self._build_running and not context.state.depth:
            raise ValueError(
                f"You cannot add new elements of state to layer '{self.name}', which is built. "
                f"Received: {what}. Create weights and layers in __init__(), build() or the "
                "first call()."
            )

    def _is_in_float64(self) -> bool:
        return any(layer.compute_dtype == "float64" for layer in self._flatten_layers())

    @property
    def _sublayers(self) -> list[Any]:
        return [o for o in self._in_order() if isinstance(o, LayerState)]

    # Keras's private names, which packages that derive from Layer use.
    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """The layers below this one in Keras's order: each before those below it, which are listed
        from the last to the first where they are not this layer's own."""
        found: list[Any] = [self] if include_self else []
        seen = {id(self)}
        pending = deque(self._in_order() if recursive else self._sublayers)
        while pending:
            obj = pending.popleft()
            if id(obj) in seen:
                continue
            seen.add(id(obj))
            if isinstance(obj, LayerState):
                found.append(obj)
            if recursive:
                pending.extendleft(_below(obj))
        return found

    @property
    def _seed_generators(self) -> list[SeedGenerator]:
        return [o for o in base.own_state(self) if isinstance(o, SeedGenerator)]

    def _gather_variables(self, everything: bool) -> list[nnx.Variable]:
        """The layer's own weights (trainable ones first), then those of each sublayer, as in
        Keras."""
        known = self._cached_facts()
        if everything not in known:
            known[everything] = self._walk_variables(everything)
        return list(known[everything])

    def _keeps_states(self) -> bool:
        """Whether a layer keeps states between batches, which it does for one batch size."""
        return any(getattr(layer, "stateful", False) for layer in self._flatten_layers())

    def _known_layers(self) -> list[Any]:
        known = self._cached_facts()
        if "layers" not in known:
            known["layers"] = self._flatten_layers()
        return known["layers"]

    def _walk_variables(self, everything: bool) -> list[nnx.Variable]:
        found: dict[int, nnx.Variable] = {}
        seen: set[int] = set()

        def visit(obj: Any) -> None:
            if id(obj) in seen:
                return
            seen.add(id(obj))
            for v in sorted(base.own_variables(obj), key=lambda v: not isinstance(v, nnx.Param)):
                if everything or not isinstance(v, nnx.RngState):
                    found.setdefault(id(v), v)
            objects = _below(obj)
            if everything:  # Random streams come before sublayers.
                objects.sort(key=lambda o: not isinstance(o, rng.SeedGenerator))
            for o in objects:
                # Optimizers and metrics keep their own state.
                if getattr(o, "_object_kind", None) in ("optimizer", "metric"):
                    continue
                # Of keraslike's objects only layers have weights; any of flax's may.
                if everything or isinstance(o, LayerState) or not isinstance(o, base.Object):
                    visit(o)

        visit(self)
        return list(found.values())

    @property
    def variables(self) -> list[Any]:
        """The weights and the random streams. Variables of metrics are in `metrics_variables`."""
        return self._gather_variables(everything=True)

    @property
    def weights(self) -> list[Any]:
        """The weights of this layer and its sublayers, each once."""
        return self._gather_variables(everything=False)

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

    def _metrics_of(self, counts: Callable[[Any], bool]) -> list[Any]:
        """The metrics in the attributes of this layer and all layers below it, for which `counts`
        is true."""
        known = self._cached_facts()
        if "metrics" not in known:
            found = [
                item
                for layer in self._flatten_layers()
                if counts(layer)
                for item in base.own_state(layer)
                if isinstance(item, base.Object) and item._object_kind == "metric"
            ]
            known["metrics"] = list({id(m): m for m in found}.values())
        return known["metrics"]

    @property
    def metrics(self) -> list[Any]:
        """The metrics in the attributes of this layer and its sublayers, each once."""
        return list(self._metrics_of(lambda layer: True))

    @property
    def metrics_variables(self) -> list[Any]:
        """The Variables of the metrics."""
        return list({id(v): v for m in self.metrics for v in m.variables}.values())

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = self._trainable = boolean(trainable=value)
        for item in base.own_state(self):
            if isinstance(item, (Param, LayerState)):
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
        """The values of the weights as numpy arrays, all from the same training step."""
        weights = self.weights
        with lowering.undisturbed(weights):
            return [np.array(host.whole(v._raw_value)) for v in weights]

    @checked
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights' values, in the order of `get_weights()`.

        Raises ValueError, without changes, for another number of arrays or another shape.
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

    # -- what a layer keeps in a file of its own weights; a subclass may override both ---------

    def save_own_variables(self, store: Any) -> None:
        """Stores this layer's own weights, without those of sublayers, in a dict by name."""
        own = sorted(base.own_variables(self), key=lambda v: not isinstance(v, nnx.Param))
        store.update({str(i): v for i, v in enumerate(own)})

    def load_own_variables(self, store: Any) -> None:
        """Sets this layer's own weights from arrays with the names of `save_own_variables`."""
        own: dict[str, Any] = {}
        LayerState.save_own_variables(self, own)
        if set(store.keys()) != set(own):
            raise ValueError(
                f"Layer '{self.name}' has {len(own)} weights of its own; "
                f"the file has {len(store.keys())} for it."
            )
        for name, v in own.items():
            v.assign(store[name])


def _below(obj: Any) -> list[Any]:
    """The objects right below one, in order."""
    if isinstance(obj, LayerState):
        return obj._in_order()
    return [o for o in base.own_state(obj) if not base.is_variable(o)]


def number_of(obj: Any) -> int:
    """The counter value at which an object was created; for a copy, when this was first called."""
    if isinstance(obj, LayerState) and not obj._creation_number:
        object.__setattr__(obj, "_creation_number", next(_numbers))
    return getattr(obj, "_creation_number", 0)


def _is_state_of_layers(value: Any) -> bool:
    return isinstance(value, (LayerState, nnx.Variable))


def _trains(variable: Any) -> bool:
    trainable = getattr(variable, "trainable", None)
    return isinstance(variable, nnx.Param) if trainable is None else trainable


def _size(size: Any, shape: Any) -> int:
    if size is None:
        raise ValueError(f"A weight cannot have a size that is unknown. Received: shape={shape}")
    return int(size)
