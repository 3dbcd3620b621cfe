"""`Object`, the base class of layers, models, losses, metrics and optimizers.

An Object is a flax.nnx graph node and a JAX pytree. Its leaves are the arrays of the Variables that
it holds, each once however often it is shared. Everything else is static structure, compared by
`Static`.
"""

from __future__ import annotations

import collections
import copy
import inspect
import itertools
import operator
from collections.abc import Iterator, Set
from typing import Any, ClassVar, TypeVar

import jax
from flax import nnx

from keraslike.core import context, flax_internals, pickling, serialization
from keraslike.core.annotations import check_constructor, with_defaults
from keraslike.core.guards import Guard, Locks, guards_of
from keraslike.core.static import Static
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.core.tracebacks import handled, is_ours, shorten


class _Children:
    """A list, tuple, dict or set of Objects and Variables as a pytree that keeps the container's
    type and order."""

    __slots__ = ("values", "structure")

    def __init__(self, values: list[Any], structure: Static):
        self.values, self.structure = values, structure


jax.tree_util.register_pytree_with_keys(
    _Children,
    lambda c: (
        [(jax.tree_util.SequenceKey(i), v) for i, v in enumerate(c.values)],
        c.structure,
    ),
    lambda structure, values: _Children(list(values), structure),
    flatten_func=lambda c: (c.values, c.structure),
)


class _Placeholder:
    """A placeholder for a child in a container's structure."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Placeholder) and self.index == other.index

    def __hash__(self) -> int:
        return hash(self.index)


# Results of `is_state` and `is_variable` by type: isinstance() on flax's classes takes longer than
# the rest of a traversal.
_STATE: dict[type, bool] = {}
_VARIABLE: dict[type, bool] = {}


def is_state(value: Any) -> bool:
    """Whether a value is a Variable or an object that may hold some."""
    kind = type(value)
    known = _STATE.get(kind)
    if known is None:
        known = _STATE[kind] = isinstance(value, (nnx.Variable, nnx.Pytree))
    return known


def is_variable(value: Any) -> bool:
    """Whether a value is a Variable."""
    kind = type(value)
    known = _VARIABLE.get(kind)
    if known is None:
        known = _VARIABLE[kind] = isinstance(value, nnx.Variable)
    return known


def iter_state(value: Any) -> Iterator[Any]:
    """The Variables and Objects in an attribute's value, in order, without entering Objects."""
    if is_state(value):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        yield from filter(is_state, iter_leaves(value, is_state))
    elif isinstance(value, set):
        # By name, since the order of a set is another one in each of its copies.
        yield from sorted(filter(is_state, value), key=lambda v: str(getattr(v, "name", "")))


def _pack(value: Any) -> flax_internals.DataElem | flax_internals.StaticElem:
    if is_state(value):
        return flax_internals.DataElem(value)
    if isinstance(value, set):
        found = list(iter_state(value))
        if found:
            others = value.difference(found)
            places = map(_Placeholder, range(len(found)))
            return flax_internals.DataElem(_Children(found, Static(others.union(places))))
    if not isinstance(value, (list, tuple, dict)):
        return flax_internals.StaticElem(Static(value))
    children: list[Any] = []

    def replace(item: Any) -> Any:
        if is_state(item):
            children.append(item)
            return _Placeholder(len(children) - 1)
        return item

    structure = map_leaves(replace, value, is_state)
    if not children:
        return flax_internals.StaticElem(Static(value))
    return flax_internals.DataElem(_Children(children, Static(structure)))


def _unpack(value: Any) -> Any:
    if isinstance(value, Static):
        return value.value
    if not isinstance(value, _Children):
        return value

    def restore(item: Any) -> Any:
        return value.values[item.index] if isinstance(item, _Placeholder) else item

    if isinstance(value.structure.value, set):
        return set(map(restore, value.structure.value))
    return map_leaves(restore, value.structure.value)


class ConstructorSignature:
    """The signature that `help(cls)` shows: that of `__init__`, which a `__new__` would hide."""

    def __get__(self, obj: Any, cls: type) -> inspect.Signature:
        if obj is not None:  # An object that can be called has the signature of its `__call__`.
            raise AttributeError("__signature__")
        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


_Made = TypeVar("_Made")  # Tells type checkers that calling the class returns an instance of it.


class _ObjectType(type(nnx.Module)):
    """The metaclass of Objects, whose call makes an object."""

    @handled
    def __call__(cls: type[_Made], *args: Any, **kwargs: Any) -> _Made:  # type: ignore[misc]
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            if hasattr(error, "identifier"):
                _name_argument(error, cls, args, kwargs)
            shorten(error)
            raise


def _name_argument(error: Any, cls: type, args: tuple, kwargs: dict[str, Any]) -> None:
    """Marks an error with the constructor's argument that caused it."""
    names = [p.name for p in inspect.signature(cls).parameters.values()]
    given = {**dict(zip(names, args)), **kwargs}
    found = [name for name, value in given.items() if value is error.identifier]
    if found:
        error.args = (f"{found[0]}: {error}",)
        error.identifier = object()  # Enclosing constructors must not mark the error again.


# Functions to call when an object gets an attribute: `tf.train.Checkpoint` restores values into
# attributes that are created after `restore` was called.
awaited = context.Attached()


def notify(obj: Any) -> None:
    """Notifies those who wait for attributes that an object got one."""
    function = awaited.get(obj)
    if function is not None:
        function()


class Object(nnx.Module, pytree=False, metaclass=_ObjectType):
    """A stateful Python object that can be flattened as a pytree."""

    __signature__ = ConstructorSignature()

    # "metric" or "optimizer", by which packages that must not import theirs recognise these
    # objects.
    _object_kind: ClassVar[str] = ""

    # Attributes that belong to the Python object and not to the tree: they are excluded from its
    # structure, and copies made by tree operations have the class's default in their place.
    _untracked: ClassVar[frozenset[str]] = frozenset(
        {"_init_args", "_gathered", "_recorded_calls", "_gives_boxes", "_eager_calls", "_by_calls"}
    )
    # The names of attributes in which a recorded call leaves results: see `tf.attributes`.
    _by_calls: Set[str] = frozenset()

    # For a class that inherits its constructor: see `with_defaults`.
    _shown_defaults: ClassVar[dict[str, Any]]

    _gives_boxes = False  # Whether callers get results as boxed arrays: see `boxed.BoxedResults`.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "_stands_for" in vars(cls):  # A class of `tf.keras`, which has no instances of its own.
            return
        super().__init_subclass__(pytree=False, **kwargs)
        check_constructor(cls)
        if "_shown_defaults" in vars(cls):
            cls.__init__ = with_defaults(cls.__init__, cls._shown_defaults)
        jax.tree_util.register_pytree_with_keys(
            cls, _tree_flatten_with_keys, _tree_unflatten, _tree_flatten
        )

    def __new__(cls, *args: Any, **kwargs: Any):
        self = object.__new__(cls)
        object.__setattr__(self, "_init_args", (args, kwargs))
        if context.state.boxes:
            object.__setattr__(self, "_gives_boxes", True)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        # nnx has to know which attributes hold data. This is decided when the tree is flattened:
        # lists may be filled later, and attributes may be set before `super().__init__()`.
        object.__setattr__(self, name, value)
        if awaited:
            notify(self)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        _Flattening.count += 1

    def _state_attributes(self) -> Iterator[tuple[str, Any]]:
        untracked = self._untracked | self._by_calls
        # Copied to a list, since another thread may set an attribute during the iteration.
        for name, value in list(vars(self).items()):
            if name not in untracked and not name.startswith(flax_internals.OWN_PREFIX):
                yield name, value

    # -- the graph protocol of flax.nnx -------------------------------------------------------

    def _graph_node_flatten(self):
        attributes = dict(self._state_attributes())
        nodes = [(name, _pack(attributes[name])) for name in sorted(attributes)]
        return nodes, (type(self), tuple(attributes))

    @staticmethod
    def _graph_node_create_empty(metadata: tuple[type, tuple[str, ...]]) -> Any:
        cls, order = metadata
        node = flax_internals.new_node(cls)
        vars(node).update(dict.fromkeys(order))  # Weights are listed in the order of attributes.
        return node

    def _graph_node_clear(self) -> None:
        vars(self).update((name, None) for name, _ in list(self._state_attributes()))

    def _graph_node_init(self, attributes: Any) -> None:
        present = {name: _unpack(value) for name, value in attributes}
        for name in [name for name, _ in self._state_attributes() if name not in present]:
            delattr(self, name)
        vars(self).update(present)

    def _graph_node_set_key(self, key: Any, value: Any) -> None:
        current = vars(self).get(key)
        if isinstance(current, nnx.Variable) and isinstance(value, nnx.Variable):
            current.update_from_state(value)
        else:
            vars(self)[key] = _unpack(value)

    def _graph_node_pop_key(self, key: Any) -> Any:
        value = vars(self)[key]
        delattr(self, key)
        return value

    def _check_valid_context(self, error_msg: Any) -> None:
        """Does nothing: attributes may be set during a trace, and `lowering` removes tracers
        afterwards."""

    # Attributes that are not copied and not pickled.
    _transient: ClassVar = frozenset({"_gathered", "_recorded_calls", "_eager_calls"})

    def _persistent_attributes(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in self._transient}

    def _cached_facts(self) -> dict[Any, Any]:
        """A cache of facts about this object and all objects below it, which is dropped when they
        change."""
        snapshot, known = vars(self).get("_gathered", (None, {}))
        if snapshot is None or not snapshot.is_current():
            snapshot, known = vars(self)["_gathered"] = Snapshot(self), {}
        return known

    def __getstate__(self) -> dict[str, Any]:
        return pickling.picklable(self._persistent_attributes())

    __reduce_ex__ = pickling.reduce

    # nnx copies through split and merge, which would lose what is not in the tree (the optimizer,
    # the arguments of `compile`). Python's own mechanism copies everything.
    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new = object.__new__(type(self))
        memo[id(self)] = new
        vars(new).update(copy.deepcopy(self._persistent_attributes(), memo))
        return new

    def __repr__(self) -> str:
        name = getattr(self, "name", None)
        built = getattr(self, "built", None)
        return (
            f"<{type(self).__name__}{f' name={name}' if name else ''}"
            f"{'' if built is None else f', built={built}'}>"
        )

    __str__ = __repr__

    # -- configuration ------------------------------------------------------------------------

    def _constructor_args(self) -> dict[str, Any]:
        """The constructor's arguments that make an equal object.

        keraslike's own classes keep each argument in the attribute of the same name, so that later
        changes are included. For other classes, the arguments that were passed are used.
        """
        args, kwargs = vars(self).get("_init_args", ((), {}))
        found: dict[str, Any] = {}
        mro = type(self).__mro__
        # A class that overrides get_config adds its own arguments to those found here.
        own = [i for i, c in enumerate(mro) if "get_config" in vars(c) and not is_ours(c)]
        outermost = True
        # `None` stands for all names; otherwise the names that the constructor accepts.
        accepted: set[str] | None = None
        for i, cls in enumerate(mro):
            if "__init__" not in vars(cls):
                continue
            parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
            overrides = bool(own) and i <= own[-1]
            given = dict(kwargs)
            if outermost:
                given.update(zip([p.name for p in parameters], args, strict=False))
                outermost = False
            for p in parameters:
                if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or p.name in found:
                    continue
                if overrides or (accepted is not None and p.name not in accepted):
                    continue
                if is_ours(cls) and hasattr(self, p.name):
                    found[p.name] = getattr(self, p.name)
                elif p.name in given:
                    found[p.name] = given[p.name]
                elif p.default is not p.empty and not is_ours(cls):
                    found[p.name] = p.default
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                if not overrides:
                    break
                names = {p.name for p in parameters}
                accepted = names if accepted is None else accepted & names
        return found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, for `from_config` to make an equal one."""
        return {k: serialization.serialize_argument(v) for k, v in self._constructor_args().items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """An object like the one whose `get_config()` this is."""
        return cls(**serialization.deserialize_arguments(cls, config))


class _Flattening:
    """A cached flattening: the Variables in the order of the leaves, and the static structure. It
    is valid until something other than values changes in the tree."""

    __slots__ = ("variables", "structure", "guards", "objects", "types", "removals")

    # Counts removed attributes of any object: one that is set again under another name changes no
    # value, so that a snapshot alone would not detect it.
    count = 0

    def __init__(self, obj: Object):
        graphdef, state = nnx.split(obj)
        leaves, treedef = jax.tree_util.tree_flatten(state)
        self.structure = graphdef, treedef
        self.variables = jax.tree_util.tree_leaves(state, is_leaf=is_variable)
        self.guards: list[Guard] = []  # The guards of the Variables, kept once they exist.
        # Classes are compared too, since `__class__` may be assigned.
        self.objects = list(iter_objects(obj))
        self.types = list(map(type, self.objects))
        self.removals = _Flattening.count
        own = all(is_variable(v) and hasattr(type(v), "_guard") for v in self.variables)
        if not own or len(leaves) != len(self.variables):
            # Variables of flax's own class, or with several arrays each: flattened anew each time.
            self.variables = []

    def is_current(self) -> bool:
        same = all(map(operator.is_, map(type, self.objects), self.types))
        return same and self.removals == _Flattening.count

    def leaves(self) -> list[Any]:
        """The values of the leaves, which are marked as referenced from outside from now on."""
        if context.state.held or not context.trace_state_clean():
            return [v.get_raw_value() for v in self.variables]
        self.guards = self.guards or guards_of(self.variables)
        with Locks(guard.values for guard in self.guards):
            for guard in self.guards:
                guard.uses += 1
            values = list(map(flax_internals.read_value, self.variables))
        if not all(isinstance(v, jax.Array) for v in dict(zip(map(type, values), values)).values()):
            # At least one value is still pending.
            return [v.get_raw_value() for v in self.variables]
        lend = map(
            object.__setattr__, self.variables, itertools.repeat("_escaped"), map(id, values)
        )
        collections.deque(lend, maxlen=0)
        return values


def _flat(obj: Object) -> _Flattening:
    known = obj._cached_facts()
    found = known.get(_Flattening)
    if found is None or not found.is_current():
        found = known[_Flattening] = _Flattening(obj)
    return found


def _tree_flatten(obj: Object):
    flat = _flat(obj)
    if flat.variables:
        return flat.leaves(), flat.structure
    graphdef, state = nnx.split(obj)
    leaves, treedef = jax.tree_util.tree_flatten(state)
    return leaves, (graphdef, treedef)


def _tree_flatten_with_keys(obj: Object):
    graphdef, state = nnx.split(obj)
    flat, treedef = jax.tree_util.tree_flatten_with_path(state)
    keyed = [(jax.tree_util.GetAttrKey(_dotted(path)), leaf) for path, leaf in flat]
    return keyed, (graphdef, treedef)


def _dotted(path: tuple[Any, ...]) -> str:
    keys = [str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path]
    return ".".join(keys[:-1] if keys[-1] == "value" else keys)


def _tree_unflatten(aux: Any, leaves: Any) -> Any:
    graphdef, treedef = aux
    return nnx.merge(graphdef, jax.tree_util.tree_unflatten(treedef, leaves))


# -- traversal --------------------------------------------------------------------------------


def own_state(obj: Any) -> Iterator[Any]:
    """The Variables and Objects in an object's own attributes, in order, each once."""
    attributes = obj._state_attributes() if isinstance(obj, Object) else list(vars(obj).items())
    seen: set[int] = set()
    for name, value in attributes:
        if name.startswith(flax_internals.OWN_PREFIX):
            continue
        for item in iter_state(value):
            if id(item) not in seen:
                seen.add(id(item))
                yield item


def own_variables(obj: Any) -> list[nnx.Variable]:
    """The Variables in an object's own attributes, in the order in which it got them.

    A Variable in an attribute is ordered by when the attribute was set, one in a container by when
    it was made.
    """
    place = 0
    found: dict[int, tuple[int, nnx.Variable]] = {}
    attributes = obj._state_attributes() if isinstance(obj, Object) else list(vars(obj).items())
    for _, value in attributes:
        if is_variable(value):
            place = max(place, _number(value, place))
            found[id(value)] = (place, value)
            continue
        for v in iter_state(value):
            if is_variable(v) and id(v) not in found:
                found[id(v)] = (_number(v, place), v)
    return [v for _, v in sorted(found.values(), key=lambda pair: pair[0])]


def _number(variable: nnx.Variable, otherwise: int) -> int:
    return getattr(variable.get_metadata().get("info"), "number", otherwise)


def iter_objects(obj: Any, _seen: set[int] | None = None) -> Iterator[Any]:
    """An object and all objects below it, parents first, each once."""
    seen = set() if _seen is None else _seen
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield obj
    for item in own_state(obj):
        if not is_variable(item):
            yield from iter_objects(item, seen)


def variables_of(*roots: Any) -> list[nnx.Variable]:
    """All Variables in the given objects, containers and Variables, in order, each once."""
    found: dict[int, nnx.Variable] = {}
    seen: set[int] = set()
    for root in roots:
        for item in iter_state(root):
            if is_variable(item):
                found.setdefault(id(item), item)
                continue
            for obj in iter_objects(item, seen):
                for v in own_state(obj):
                    if is_variable(v):
                        found.setdefault(id(v), v)
    return list(found.values())


class Snapshot:
    """A record of what objects and all objects below them held, which is fast to compare."""

    def __init__(self, *roots: Any):
        seen: set[int] = set()
        self._records = [_Record(obj) for root in roots for obj in iter_objects(root, seen)]
        self._keep()

    def _keep(self) -> None:
        # A separator follows each view. Without it, an item that moves from the end of one view to
        # the beginning of the next would not be detected.
        self._views = [v for r in self._records for view in r.views() for v in (view, _END)]
        self._known = list(itertools.chain.from_iterable(self._views))

    def is_current(self) -> bool:
        """Whether every attribute, every item of its containers and every Variable's metadata (such
        as whether it trains) is still the same object."""
        now = itertools.chain.from_iterable(self._views)
        if all(map(operator.is_, now, self._known)):
            return True
        if not all(map(_Record.is_current, self._records)):
            return False
        self._keep()  # Attributes that hold no state may be added, changed and removed.
        return True


_END = (object(),)


class _Record:
    """The attributes of one object, and the items of the lists and dicts in them."""

    __slots__ = ("attributes", "containers", "obj", "results", "tracked", "untracked")

    def __init__(self, obj: Any):
        self.obj, self.attributes = obj, vars(obj)
        self.results = getattr(obj, "_by_calls", frozenset())
        self.untracked = getattr(type(obj), "_untracked", frozenset()) | self.results
        self.containers: list[tuple[Any, list[Any]]] = []
        self.tracked = self._tracked()
        found = list(self.tracked)
        entered: set[int] = set()
        for value in found:  # The list grows during the loop.
            if id(value) in entered:  # One container may be in several places, or contain itself.
                continue
            if is_variable(value):
                value = flax_internals.metadata_of(value).values()
                self.containers.append((value, list(value)))
            elif isinstance(value, (list, tuple, dict, set)):
                entered.add(id(value))
                if isinstance(value, dict):  # Views, which show later changes of the dict.
                    self.containers.append((value.keys(), list(value)))
                    value = value.values()
                items = list(value)
                found += items
                if not isinstance(value, tuple):
                    self.containers.append((value, items))

    def views(self) -> Iterator[Any]:
        """Live views of what the object holds."""
        yield self.attributes.values()
        yield from (container for container, _ in self.containers)

    def _tracked(self) -> list[Any]:
        return [v for name, v in list(self.attributes.items()) if name not in self.untracked]

    def is_current(self) -> bool:
        if self.results != getattr(self.obj, "_by_calls", frozenset()):
            return False
        return _same(self._tracked(), self.tracked) and all(
            _same(container, items) for container, items in self.containers
        )


def _same(now: Any, known: list[Any]) -> bool:
    return len(now) == len(known) and all(map(operator.is_, now, known))
