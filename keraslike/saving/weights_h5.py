"""The layout of a weights file: objects by the attributes that hold them, and back.

It is Keras's layout, so that each library reads the other's files. The group of an object is named
by the path to it from the model: the names of attributes and, inside a container, the snake-case
name of the object's class with a number (`blocks/dense_1`). Its own arrays are in `<group>/vars`,
numbered as well, the trainable ones first. An object that can be reached in two ways is stored
under the first path: Sequential and Functional models begin with `layers`; attributes follow in
alphabetical order, private ones last. Metrics have no state in a file.

Two kinds of groups exist that Keras does not write, and ignores when it reads: random streams
(`<layer>/seed_generator/vars/0`), and modules of plain flax.nnx, whose arrays have the names of
attributes (`<module>/vars/linear.kernel`).
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import base, host, lowering, naming, precision
from keraslike.core.arguments import warn_user
from keraslike.core.rng import SeedGenerator
from keraslike.core.tracebacks import is_ours
from keraslike.core.variable import Variable, spec_of
from keraslike.layers import keras_names
from keraslike.layers.layer import Layer
from keraslike.metrics import Metric
from keraslike.models import Sequential
from keraslike.optimizers import Optimizer
from keraslike.saving import h5_writer, old_optimizer, old_weights
from keraslike.saving.h5_reader import Store, read
from keraslike.saving.old_weights import KERAS_3, Layout

_CONTAINERS = (list, tuple, dict, nnx.List, nnx.Dict)

# -- the walk ---------------------------------------------------------------------------------


def walk(
    root: Any, layout: Layout = KERAS_3, skip: Iterable[Any] = ()
) -> Iterator[tuple[str, Any]]:
    """`(group, object)` for an object and those below it, each once. The root's group is `""`.

    Args:
        layout: that of an older version. Objects that it does not store get a group that no file
            contains.
        skip: objects to omit, including those below them that no other object holds.

    >>> class Block(Layer):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.steps = [Layer(), {"last": Layer()}]
    ...         self.again = self.steps[0]
    >>> [path for path, _ in walk(Block())]
    ['', 'again', 'steps/container/layer']
    """
    visited: _Visited = {id(obj): obj for obj in skip}
    yield from _walk(root, "", visited, layout)
    if layout.is_old:
        for path, obj in walk(root, skip=skip):
            if id(obj) not in visited:
                yield f"{path} (of which Keras 2 stores nothing)", obj


# By id, together with the objects: a property may create an object for this walk alone, and if it
# were freed, the next object could get the same id.
_Visited = dict[int, Any]


class _Revisits(dict):
    """Objects by id, and the further paths at which a walk reached them."""

    def __init__(self):
        super().__init__()
        self.found: list[tuple[str, Any]] = []


def _other_names(root: Any) -> list[tuple[str, str]]:
    """`(group, other group)` for objects that are reachable under another name, such as a
    property's."""
    visited = _Revisits()
    first = {id(obj): path for path, obj in _walk(root, "", visited, KERAS_3)}
    return [(first[id(obj)], path) for path, obj in visited.found if id(obj) in first]


def _walk(obj: Any, path: str, visited: _Visited, layout: Layout) -> Iterator[tuple[str, Any]]:
    if id(obj) in visited:
        if isinstance(visited, _Revisits):
            visited.found.append((path, obj))
        return
    visited[id(obj)] = obj
    yield path, obj
    # A module of flax's is stored as one object, with everything in it.
    if not isinstance(obj, base.Object):
        visited.update((id(inner), inner) for inner in base.iter_objects(obj))
        return
    for name, child in children(obj, layout):
        yield from _enter(child, f"{path}/{name}" if path else name, visited, {}, layout)


def _enter(
    value: Any, path: str, visited: _Visited, containers: _Visited, layout: Layout
) -> Iterator[tuple[str, Any]]:
    if isinstance(value, _CONTAINERS):
        if id(value) in containers or (containers and not layout.enters_containers):
            return  # It contains itself, or is contained in another one.
        containers[id(value)] = value
        used: dict[str, int] = {}
        for item in list(value.values() if isinstance(value, (dict, nnx.Dict)) else value):
            if isinstance(item, _CONTAINERS):
                name = "container"
            elif _is_saveable(item):
                if not layout.counts_all and id(item) in visited:
                    continue
                name = naming.to_snake_case(type(item).__name__)
            else:
                continue
            used[name] = number = used.get(name, -1) + 1
            name = f"{name}_{number}" if number else name
            yield from _enter(item, f"{path}/{name}", visited, containers, layout)
    elif _is_saveable(value):
        yield from _walk(value, path, visited, layout)


def _is_saveable(value: Any) -> bool:
    return isinstance(value, nnx.Pytree) and not isinstance(value, nnx.Variable)


def children(obj: base.Object, layout: Layout = KERAS_3) -> Iterator[tuple[str, Any]]:
    """The attributes that may contain saved objects, and their values, in the order of files."""
    names = {name for name, _ in obj._state_attributes()}
    # A user's property may determine the name of an object in the file.
    for cls in type(obj).__mro__:
        if not is_ours(cls) and not cls.__module__.startswith(("flax.", "builtins")):
            names.update(vars(cls))
    names.update(n for n in _OF_MODELS if hasattr(obj, n))
    names = {n for n in names if not n.startswith("__") and n not in _NEVER}
    has_graph = isinstance(obj, Sequential) or getattr(obj, "_tensor_graph", None) is not None
    if has_graph:
        names -= old_weights.OF_GRAPHS
    if layout.is_old:
        yield from layout.children(obj, {*names, "layers"} if has_graph else names)
        return
    if has_graph:
        yield "layers", obj.layers
    order = sorted(names, key=lambda n: f"~{n}" if n.startswith("_") else n)
    for name in order:
        try:
            child = getattr(obj, name)
        except Exception:  # A property that raises contains nothing to save.
            continue
        yield name, child


# Attributes of models, whether or not they are in the tree.
_OF_MODELS = ("layers", "loss", "metrics", "optimizer")

# Attributes without state of their own: what they contain is stored elsewhere.
_NEVER = frozenset(dir(Layer)) - set(keras_names.ANSWERS) | {"_added_weights"}


# -- what an object keeps of its own ----------------------------------------------------------


def _own_variables(obj: Any) -> dict[str, nnx.Variable]:
    """An object's own Variables by the names of their arrays in its group."""
    if isinstance(obj, Optimizer):
        own = list(obj.variables)
    elif isinstance(obj, SeedGenerator):
        own = [obj.state]
    elif isinstance(obj, Layer):
        found: dict[str, nnx.Variable] = {}
        Layer.save_own_variables(obj, found)
        return found
    elif isinstance(obj, base.Object):
        own = []
    else:
        flat = nnx.to_flat_state(nnx.state(obj))
        return {".".join(map(str, path)): variable for path, variable in flat}
    return {str(i): v for i, v in enumerate(own)}


def own_method(obj: Any, name: str) -> Any:
    """`save_own_variables` or `load_own_variables`, if a class overrides it."""
    of = next((cls for cls in type(obj).__mro__ if name in vars(cls)), None)
    if of is None or (is_ours(of) and not getattr(obj, "_has_own_format", False)):
        return None
    return getattr(obj, name)


def is_key(value: Any) -> bool:
    """Whether an array contains keys of `jax.random`."""
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def as_numpy(value: Any) -> np.ndarray:
    """The stored form of an array or a Variable."""
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    if isinstance(value, jax.Array) and is_key(value):
        value = jax.random.key_data(value)
    return host.whole(value)


def shape_of(variable: nnx.Variable) -> tuple[int, ...]:
    value = spec_of(variable)
    return tuple(jax.random.key_data(value).shape if is_key(value) else value.shape)


def assign(variable: nnx.Variable, value: Any, is_new: bool = False) -> None:
    """Assigns a stored array to a Variable; a JAX array is sharded as the Variable is.

    Args:
        is_new: whether nothing else refers to the memory of one of numpy's, which it may be a
            part of.
    """
    raw = spec_of(variable)
    if isinstance(value, jax.Array):
        array = value
    else:  # A new buffer, since a step may donate it.
        with precision.of_dtype(raw.dtype):
            array = host.put(value) if is_new or value.base is None else host.array(value)
    if isinstance(variable, Variable):
        variable.assign(array)
    elif is_key(raw):
        variable.set_value(jax.random.wrap_key_data(array, impl=jax.random.key_impl(raw)))
    else:
        variable.set_value(array.astype(raw.dtype))


# -- writing ----------------------------------------------------------------------------------


def contents(root: Any, skip: Iterable[Any] = ()) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """`(group, object, its arrays or Variables by name)` for an object and all objects below it."""
    for path, obj in walk(root, skip=skip):
        save_own_variables = own_method(obj, "save_own_variables")
        own: dict[str, Any] = {}
        if save_own_variables is not None:
            save_own_variables(own)
        else:
            own.update(_own_variables(obj))
        yield path, obj, own


def write(
    root: Any,
    file: Any,
    wanted: Callable[[Any], bool] = lambda obj: True,
    skip: Iterable[Any] = (),
) -> None:
    """Writes the arrays of an object and of all objects below it to an `h5py.File` or a group.

    Args:
        wanted: which of the objects to write.
        skip: objects to omit, including those below them that no other object holds.
    """
    for path, obj, own in contents(root, skip):
        if not wanted(obj):
            continue
        if own or isinstance(_name(obj), str):
            group = group_of(file, path, obj)
            for key, value in own.items():
                write_array(group, str(key), value)


def group_of(file: Any, path: str, obj: Any) -> Any:
    """The group for an object's own arrays, which is created if it does not exist."""
    group = file.require_group(f"{path}/vars" if path else "vars")
    name = _name(obj)
    if isinstance(name, str):
        group.attrs["name"] = str(name)
    return group


def _name(obj: Any) -> Any:
    return getattr(obj, "name", None) if isinstance(obj, (Layer, Optimizer)) else None


def write_array(group: Any, name: str, value: Any) -> None:
    """Writes an array or a Variable as a dataset."""
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    array = as_numpy(value)
    dataset = h5_writer.dataset_of(group, name, array, owner=value)
    if array.dtype.kind == "V":  # bfloat16 and similar dtypes, for which HDF5 has no name.
        dataset.attrs["dtype"] = array.dtype.name


# -- reading ----------------------------------------------------------------------------------

# A call of an object's own loading method: `(where, method, argument)`.
Call = tuple[str, Callable[[Any], Any], Any]


def load(
    root: Any,
    reader: Any,
    skip_mismatch: bool = False,
    calls: Iterable[Call] = (),
    skip: Sequence[Any] = (),
) -> None:
    """Loads the arrays of a file into an object and all objects below it.

    Args:
        root: a model or layer whose weights exist.
        reader: the `Reader` of the file, or an object with the same methods.
        skip_mismatch: whether to leave weights that do not fit unchanged, with a warning for each,
            and those of the same layer that come after them.
        calls: calls of methods that load other things, made after the arrays are assigned.
        skip: objects to leave unchanged, including those below them that no other object holds.

    Raises ValueError, without changes, if a weight is missing or has another shape; the message
    names each, with what was expected and what was found.
    """
    fitting: list[tuple[str, nnx.Variable, Any]] = []
    own_methods: list[Call] = []
    problems: list[str] = []
    places: set[str] = set()
    wanted = {id(obj) for _, obj in walk(root, skip=skip)} if skip else None
    others: list[tuple[str, str]] | None = None
    for path, obj in _walk_of(root, reader):
        places.add(path)
        if wanted is not None and id(obj) not in wanted:
            continue
        stored = reader.own(path)
        # The file may contain it under another name.
        if not stored and _is_layer(obj) and _own_variables(obj):
            others = _other_names(root) if others is None else others
            for first, other in others:
                if not stored and f"{path}/".startswith(f"{first}/"):
                    place = other + path.removeprefix(first)
                    stored = reader.own(place)
                    places.add(place)
        load_own_variables = own_method(obj, "load_own_variables")
        if isinstance(obj, Optimizer) and not stored:
            continue  # The file contains only weights.
        if load_own_variables is not None:
            if isinstance(obj, Optimizer):
                _build_optimizer(obj, root, stored)
            own_methods.append((_where(path), load_own_variables, Store(stored)))
            continue
        if isinstance(obj, Optimizer):
            own, stored = of_optimizer(obj, root, stored)
        elif isinstance(obj, Metric) or (isinstance(obj, SeedGenerator) and not stored):
            # Files of Keras contain no random streams, and only those of Keras 2 contain metrics.
            continue
        else:
            own = _own_variables(obj)
        found, wrong = _match(path, obj, own, stored)
        fitting += found
        problems += wrong
    unused = _unused(reader, places)  # Checked before anything is changed.
    put(root, reader, fitting, [*own_methods, *calls], problems, skip_mismatch)
    if unused:
        warn_user(
            f"'{reader.label}' has weights that the model has no place for: {', '.join(unused)}"
        )


def _match(
    path: str, obj: Any, own: dict[str, nnx.Variable], stored: dict[str, Any]
) -> tuple[list[tuple[str, nnx.Variable, Any]], list[str]]:
    """An object's Variables with the datasets that they receive, and descriptions of what does not
    fit.

    As in Keras, an object takes its arrays in order, up to the first that does not fit, and none if
    the file has more or fewer: a bias is not taken without the kernel that it belongs to.
    """
    fitting: list[tuple[str, nnx.Variable, Any]] = []
    problems: list[str] = []
    for key, variable in own.items():
        where, shape = _where(path, key, variable), shape_of(variable)
        if key not in stored:
            none = "none" if stored else "none (the layer received 0 variables)"
            problems.append(f"{where}: expected shape {shape}, found {none}")
        elif tuple(stored[key].shape) != shape:
            problems.append(f"{where}: expected shape {shape}, found {tuple(stored[key].shape)}")
        elif not problems:
            fitting.append((where, variable, stored[key]))
    if not isinstance(obj, Optimizer):
        problems.extend(
            f"{_where(path, key)}: expected none, found shape {tuple(stored[key].shape)}"
            for key in stored
            if key not in own
        )
    if problems and len(stored) != len(own):
        fitting.clear()
    return fitting, problems


def _walk_of(root: Any, reader: Any) -> list[tuple[str, Any]]:
    """The walk that matches the file's arrays: among the possible layouts, the one with which all
    weights and all arrays have counterparts, or else most of them.

    Raises ValueError if two layouts match that assign different arrays to a weight.
    """
    if not hasattr(reader, "layouts"):
        return list(walk(root))
    layouts = reader.layouts()
    may_be_either = layouts[0] is KERAS_3 and any(layout.is_old for layout in layouts)
    own = functools.cache(reader.own)
    best: list[tuple[str, Any]] = []
    best_places: dict[int, str] = {}
    fewest = math.inf
    for layout in layouts:
        walked = list(walk(root, layout))
        places = {id(obj): path for path, obj in walked if _is_layer(obj) and _own_variables(obj)}
        if best and places == best_places:
            continue
        misfits = _count_misfits(reader, walked, own)
        if misfits < fewest:
            best, best_places, fewest = walked, places, misfits
            if not misfits and not may_be_either:
                break
        elif not misfits:
            one = next(obj for _, obj in walked if best_places.get(id(obj)) != places.get(id(obj)))
            raise ValueError(
                f"'{reader.label}' does not say which weights are of which layer: those of {one} "
                f"are in '{best_places[id(one)]}' if Keras 3 wrote it, and in '{places[id(one)]}' "
                "if Keras 2 did, which lists layers in another order (dicts by their keys, and "
                "lists where they were assigned). A `.keras` file says which it was."
            )
    return best


def _is_layer(obj: Any) -> bool:
    """Whether an object's weights are stored under its path in every version."""
    return not isinstance(obj, (Metric, Optimizer, SeedGenerator))


def _count_misfits(reader: Any, walked: list[tuple[str, Any]], own: Callable[[str], Any]) -> int:
    """The number of objects whose weights differ from those in the file, plus the number of groups
    without an object."""
    count = len(_unused(reader, {path for path, _ in walked}))
    for path, obj in walked:
        if _is_layer(obj) and own_method(obj, "load_own_variables") is None:
            wanted = {key: shape_of(v) for key, v in _own_variables(obj).items()}
            count += wanted != {key: tuple(dataset.shape) for key, dataset in own(path).items()}
    return count


def put(
    root: Any,
    reader: Any,
    fitting: list[tuple[str, nnx.Variable, Any]],
    calls: list[Call],
    problems: list[str],
    skip_mismatch: bool,
) -> None:
    """Assigns the arrays of a file to an object and all objects below it; if there are problems
    that must not be skipped, it raises and assigns nothing.

    Args:
        fitting: `(where, variable, dataset)` for each weight whose dataset has its shape.
        calls: calls of the loading methods of objects: `(where, method, argument)`.
        problems: descriptions of what does not fit.
    """
    if problems and not skip_mismatch:
        raise ValueError(_misfit(root, reader, problems))
    for _, variable, dataset in fitting:
        if hasattr(dataset, "read_for"):
            dataset.read_for(variable._raw_value)
    reader.fetch([dataset for _, _, dataset in fitting])
    with _all_or_nothing(root):
        for where, variable, dataset in fitting:
            try:
                assign(variable, read(dataset), is_new=hasattr(dataset, "read_direct"))
            except TypeError as e:
                problems.append(f"{where}: {e}")
        for where, method, argument in calls:
            try:
                method(argument)
            except Exception as e:
                problems.append(f"{where}: {type(e).__name__}: {e}")
        if problems and not skip_mismatch:
            raise ValueError(_misfit(root, reader, problems))
    for problem in problems:
        warn_user(f"Left as it was, '{reader.label}' having no match: {problem}")


def _where(path: str, key: str = "", variable: Any = None) -> str:
    where = "/".join(part for part in (path, "vars", key) if part)
    name = getattr(variable, "path", "")
    return f"{where} ({name})" if name else where


def _misfit(root: Any, reader: Any, problems: list[str]) -> str:
    shown = "\n".join(f"  {p}" for p in problems[:10])
    more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
    unbuilt = ""
    if not getattr(root, "built", True):
        unbuilt = (
            f" The weights of '{root.name}' do not exist yet: its build() was not called, or "
            "build_from_config() does not make them."
        )
    return (
        f"The weights in '{reader.label}' do not fit {root!r}, whose shapes they must match. "
        f"It was left as it was."
        f"{unbuilt}\n{shown}{more}"
    )


def of_optimizer(
    optimizer: Any, root: Any, stored: dict[str, Any], older: bool = False
) -> tuple[dict[str, nnx.Variable], dict[str, Any]]:
    """The optimizer's Variables and the file's arrays for them, by common names.

    Args:
        root: the model.
        stored: the file's arrays, by their numbers.
        older: whether the file is from the older family of Keras 2's optimizers.
    """
    if not stored:
        return {}, {}
    _build_optimizer(optimizer, root, stored)
    own = _own_variables(optimizer)
    shapes = {k: shape_of(v) for k, v in own.items()}
    if shapes == {k: tuple(d.shape) for k, d in stored.items()} and not older:
        return own, stored
    # Saved before the first step: a step count and a learning rate, but no slots.
    first = {k: v for k, v in own.items() if k in stored}
    if len(first) == len(stored) <= 2 and all(d.shape == () for d in stored.values()):
        return first, stored
    numbered = [stored[str(i)] for i in range(len(stored)) if str(i) in stored]
    pairs = old_optimizer.places(optimizer, numbered, older)
    if pairs is not None and len(numbered) == len(stored):
        return (
            {str(i): variable for i, (variable, _) in enumerate(pairs)},
            {str(i): array for i, (_, array) in enumerate(pairs)},
        )
    if len(stored) == len(own) and not older:  # Mismatches are reported by name.
        return own, stored
    warn_user(
        f"The optimizer '{optimizer.name}' starts afresh: it has {len(own)} variables and the "
        f"file has {len(stored)}."
    )
    return {}, {}


def _build_optimizer(optimizer: Any, root: Any, stored: dict[str, Any]) -> None:
    """Creates the slots of the optimizer of compile() if the file has some. For other optimizers
    only their first step or build() knows the variables that they train."""
    of_compile = optimizer is getattr(root, "optimizer", None)
    if of_compile and not optimizer.built and any(tuple(d.shape) for d in stored.values()):
        optimizer.build(root.trainable_variables)


@contextlib.contextmanager
def _all_or_nothing(root: Any) -> Iterator[None]:
    variables = base.variables_of(*(obj for _, obj in walk(root)))
    before = tuple(map(spec_of, variables))
    try:
        yield
    except BaseException:
        lowering.write(variables, before)
        raise


def _unused(reader: Any, places: set[str]) -> list[str]:
    """The weights in the file that have no counterpart in the model."""
    others = ("metrics", "optimizer", "vars")
    return [p for p in reader.unused(places) if p.partition("/")[0] not in others]
