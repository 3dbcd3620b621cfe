"""`tf.train.Checkpoint`: the state of objects, in TensorFlow's checkpoint format.

A checkpoint has the tensors by their paths from the `Checkpoint` (`model/bias/.ATTRIBUTES/...`),
and the graph of the objects. Restoring follows this graph by the names of attributes. Objects that
do not exist yet, such as the weights of a layer before its first call, are restored when they are
created.

>>> import os, tempfile
>>> v = tf.Variable(1.0)
>>> with tempfile.TemporaryDirectory() as folder:
...     manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=v), folder, max_to_keep=2)
...     path = manager.save()
...     _ = v.assign(5.0)
...     status = tf.train.Checkpoint(v=v).restore(manager.latest_checkpoint)
...     os.path.basename(path), v.numpy()
('ckpt-1', np.float32(1.0))
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import base, lowering
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.core.variable import OptimizerState, spec_of
from keraslike.data.pipeline import DatasetIterator
from keraslike.layers.layer import Layer
from keraslike.models import Sequential
from keraslike.optimizers import Optimizer
from keraslike.saving import weights_h5
from keraslike.tf import bundle, containers, lookup, messages
from keraslike.tf.checkpoint_files import latest_checkpoint, note, path_of
from keraslike.tf.conversion import static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.python_state import PythonState
from keraslike.tf.tensor import WIDE
from keraslike.tf.text_variable import TextVariable
from keraslike.tf.variables import Variable

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# -- objects and their children -------------------------------------------------------------------


_LEAVES = (DatasetIterator, lookup.MutableHashTable, TextVariable, PythonState)


def _is_leaf(obj: Any) -> bool:
    return base.is_variable(obj) or isinstance(obj, _LEAVES)


def _is_kept(obj: Any) -> bool:
    """Whether an object or a container may contain state to save."""
    if isinstance(obj, (list, tuple)):
        return any(map(_is_kept, obj))
    if isinstance(obj, dict):
        return any(map(_is_kept, obj.values()))
    return base.is_state(obj) or isinstance(obj, (*_LEAVES, lookup.Table))


def _children(obj: Any) -> dict[str, Any]:
    """The children of an object, by the names that TensorFlow with Keras 3 gives them."""
    if _is_leaf(obj):
        return {}
    if isinstance(obj, (list, tuple)):
        held: Any = enumerate(obj)
    elif isinstance(obj, dict):
        held = obj.items()
    elif isinstance(obj, Checkpoint):
        around = {} if obj._root is None else _children(obj._root)
        held = {**around, **obj._tracked()}.items()
    elif isinstance(obj, Optimizer):
        held = _of_optimizer(obj).items()
    elif isinstance(obj, base.Object):
        held = _of_object(obj)
    else:
        held = ((k, v) for k, v in vars(obj).items() if base.is_state(v))  # a module of flax
    return {str(name): child for name, child in held if _is_kept(child)}


def _of_object(obj: Any) -> Iterator[tuple[str, Any]]:
    operations: Any = None
    if isinstance(obj, Sequential):
        yield "_functional", {"_operations": [None, *obj.layers]}
        names: set[str] = set()
    elif getattr(obj, "_tensor_graph", None) is not None:
        operations = list(obj.operations)
        yield "_operations", operations
        names = set()
    else:
        names = {name for name, _ in obj._state_attributes()}
    inner = _optimizer_of(obj)
    if inner is not None:
        yield "optimizer", inner
    known = {id(inner), *map(id, operations or ())}
    for name, value in obj._state_attributes():
        if name in names and name not in _NEVER and id(value) not in known:
            yield name, value


def _optimizer_of(obj: Any) -> Any:
    found = getattr(obj, "optimizer", None)
    return found if isinstance(found, Optimizer) else None


# Attributes that are not children, since their values are children under other names.
_NEVER = frozenset({"optimizer", "_layers", "_added_weights"})


def _of_optimizer(optimizer: Any) -> dict[str, Any]:
    held = {"_iterations": optimizer._iterations, "_learning_rate": optimizer._learning_rate}
    if optimizer.built:
        held["_variables"] = list(optimizer.variables)
        held["_trainable_variables"] = list(optimizer._trainable_variables)
    inner = getattr(optimizer, "inner_optimizer", None)
    return held if inner is None else {**held, "inner_optimizer": inner}


def _child(obj: Any, children: dict[str, Any], name: str) -> Any:
    """The child of a name, in the naming of this or another version of Keras, or `None`."""
    for known in (name, name.lstrip("_"), f"_{name}"):
        if known in children:
            return children[known]
    of_layers = re.fullmatch(r"layer(_with_weights)?-(\d+)", name)  # Keras 2
    if of_layers and hasattr(obj, "layers"):
        found = [x for x in obj.layers if x.weights or not of_layers[1]]
        number = int(of_layers[2])
        return found[number] if number < len(found) else None
    return None


def _values_of(leaf: Any) -> tuple[str, dict[str, np.ndarray]]:
    """TensorFlow's name for the state of a variable, an iterator or a table, and its tensors by the
    suffixes of their names."""
    if isinstance(leaf, lookup.MutableHashTable):
        return "table", leaf._stored()
    if isinstance(leaf, DatasetIterator):
        state = json.dumps(leaf.get_state(), default=static)
        return "ITERATOR_STATE", {"": _text(state)}
    if isinstance(leaf, PythonState):
        return "py_state", {"": _text(leaf.serialize())}
    if isinstance(leaf, TextVariable):
        return "VARIABLE_VALUE", {"": leaf._tensor._value}
    value = weights_h5.as_numpy(leaf)
    if isinstance(leaf, OptimizerState) and value.dtype == np.int32:
        value = value.astype(np.int64)  # TensorFlow requires this dtype for the step count
    return "VARIABLE_VALUE", {"": value}


def _text(value: str | bytes) -> np.ndarray:
    text = np.empty((), object)
    text[()] = value.encode() if isinstance(value, str) else value
    return text


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S")


def _saved(root: Any) -> dict[str, np.ndarray]:
    """All tensors of an object and its descendants, by name, and the graph of the objects."""
    proto = messages.message("TrackableObjectGraph")()
    objects, paths = [root], [""]
    numbers = {id(root): 0}
    tensors: dict[str, np.ndarray] = {}
    for number, obj in enumerate(objects):  # the loop appends to the list
        node, path = proto.nodes.add(), paths[number]
        if _is_leaf(obj):
            name, values = _values_of(obj)
            key = f"{path}/.ATTRIBUTES/{name}"
            tensors |= {f"{key}{ending}": value for ending, value in values.items()}
            label = str(getattr(obj, "name", "")).partition(":")[0]
            node.attributes.add(name=name, full_name=label, checkpoint_key=key)
        for name, child in _children(obj).items():
            if id(child) not in numbers:
                numbers[id(child)] = len(objects)
                objects.append(child)
                paths.append(f"{path}/{_escaped(name)}" if path else _escaped(name))
            node.children.add(node_id=numbers[id(child)], local_name=name)
    return {**tensors, _GRAPH: _text(proto.SerializeToString())}


# -- restoring --------------------------------------------------------------------------------


def _check_dtype(leaf: Any, value: np.ndarray, key: str) -> None:
    """Raises InvalidArgumentError if a variable has another dtype than its value in a file.

    That of what Keras keeps besides weights (steps, seeds) is another kind of integer here.
    """
    text = value.dtype.kind == "O"
    if base.is_variable(leaf):
        own = np.dtype(spec_of(leaf).dtype) if not weights_h5.is_key(spec_of(leaf)) else value.dtype
        integers = not isinstance(leaf, Variable) and own.kind in "iu" and value.dtype.kind in "iu"
        if text or not (own == value.dtype or integers):
            raise InvalidArgumentError(
                f"tensor_name = {key}; expected dtype {own.name} does not equal original dtype "
                f"{'string' if text else value.dtype.name}"
            )
    elif isinstance(leaf, TextVariable) and not text:
        raise InvalidArgumentError(
            f"tensor_name = {key}; expected dtype string does not equal original dtype "
            f"{value.dtype.name}"
        )


def _nodes_of(reader: bundle.Reader) -> Any:
    """The graph of the objects of a checkpoint."""
    if not reader.has_tensor(_GRAPH):
        raise ValueError(
            f"{reader.prefix} was written by TensorFlow 1: it has no graph of objects to restore "
            "from."
        )
    return messages.message("TrackableObjectGraph").FromString(reader.get_tensor(_GRAPH)).nodes


class _Restoration:
    """A checkpoint from which objects are restored, now or when they are created."""

    def __init__(self, path: str, root: Any):
        self.reader = bundle.Reader(path)
        self.nodes = _nodes_of(self.reader)
        self._has_values = [bool(node.attributes) for node in self.nodes]
        changed = True
        while changed:
            changed = False
            for number, node in enumerate(self.nodes):
                if not self._has_values[number] and any(
                    self._has_values[c.node_id] for c in node.children
                ):
                    self._has_values[number] = changed = True
        self.root = root
        self.filled: dict[int, Any] = {}  # restored leaves by the numbers of their nodes
        self.objects: dict[int, list[Any]] = {}
        self._first = True
        self._busy = False
        self._fill(root, 0)
        self._first = False

    def _fill(self, obj: Any, number: int) -> None:
        values: list[tuple[Any, Any]] = []
        self._busy, self._waiting = True, []
        try:
            self._match(obj, number, values)
        finally:
            self._busy = False
        self._put(values)
        for waiter, what in self._waiting:  # objects with missing children are watched for changes
            if what is None:
                base.awaited.pop(waiter)
            else:
                base.awaited.set(waiter, functools.partial(self._again, *what))

    def _put(self, values: list[tuple[Any, Any]]) -> None:
        """Assigns the values to leaves, after all shapes were checked."""
        for leaf, value in values:
            if isinstance(leaf, lookup.MutableHashTable):
                leaf._restore(value)
                continue
            if isinstance(leaf, DatasetIterator):
                leaf.set_state(json.loads(value.item()))
                continue
            if isinstance(leaf, TextVariable):
                leaf.assign(value)
                continue
            if isinstance(leaf, PythonState):
                leaf.deserialize(value.item())
                continue
            with WIDE(True), jax.ensure_compile_time_eval():
                array = jnp.asarray(value.astype(weights_h5.as_numpy(leaf).dtype))
            if weights_h5.is_key(leaf._raw_value):
                weights_h5.assign(leaf, value)
            elif lowering.is_held(leaf):  # the variable was created during a trace
                leaf.assign(array)
            else:
                lowering.store([leaf], [array])

    def _match(self, obj: Any, number: int, values: list[Any]) -> bool:
        """Finds the leaves for the values below a node. Returns whether none is missing."""
        if not isinstance(obj, (list, tuple, dict)):  # which may get further items
            seen = self.objects.setdefault(number, [])
            if any(obj is other for other in seen):
                return True
            seen.append(obj)
        node = self.nodes[number]
        if _is_leaf(obj):
            for attribute in node.attributes if number not in self.filled else ():
                values.append((obj, self._read(obj, attribute.checkpoint_key)))
                self.filled[number] = obj
            return True
        if isinstance(obj, Optimizer) and not obj.built and self._first:
            self._build(obj, node)
        children, complete = _children(obj), True
        for reference in node.children:
            if not self._has_values[reference.node_id] or reference.node_id == number:
                continue
            child = _child(obj, children, reference.local_name)
            if child is not None and isinstance(obj, Optimizer):
                child = self._of_old_optimizer(node, reference.local_name, child)
            whole = child is not None and self._match(child, reference.node_id, values)
            complete = complete and (whole or isinstance(child, base.Object))
            if not whole:
                containers.watch(obj, reference.local_name)
        for waiter in (obj, obj._root) if isinstance(obj, Checkpoint) else (obj,):
            if isinstance(waiter, base.Object):
                self._waiting.append((waiter, None if complete else (obj, number)))
        return complete

    def _again(self, obj: Any, number: int) -> None:
        """Restores new children of an object."""
        if not self._busy:
            self.objects[number] = [x for x in self.objects[number] if x is not obj]
            self._fill(obj, number)

    def _read(self, leaf: Any, key: str) -> Any:
        if isinstance(leaf, lookup.MutableHashTable):
            return {end: self.reader.read(f"{key}{end}") for end in ("-keys", "-values")}
        value = self.reader.read(key)
        _check_dtype(leaf, value, key)
        if base.is_variable(leaf) and value.shape != weights_h5.shape_of(leaf):
            raise ValueError(
                f"Received incompatible tensor with shape {value.shape} when attempting to restore "
                f"variable with shape {weights_h5.shape_of(leaf)} and name {leaf.name}: {key}"
            )
        return value

    def _build(self, optimizer: Any, node: Any) -> None:
        """Builds an optimizer, if the variables that the checkpoint names for it exist."""
        numbers = {c.local_name: c.node_id for c in node.children}
        if "_trainable_variables" in numbers:
            lists = self.nodes[numbers["_trainable_variables"]].children
            variables = [self.filled.get(c.node_id) for c in lists]
        else:  # Keras 2 stores the variables only for optimizers of models
            found = [x for objects in self.objects.values() for x in objects]
            models = [x for x in found if isinstance(x, Layer) and _optimizer_of(x) is optimizer]
            variables = models[0].trainable_variables if models else []
        if variables and None not in variables:
            optimizer.build(variables)

    def _of_old_optimizer(self, node: Any, name: str, child: Any) -> Any:
        """The child as Keras 2 has it, where an optimizer's variables exclude the learning rate."""
        numbers = {c.local_name: c.node_id for c in node.children}
        if name != "_variables" or "_learning_rate" not in numbers:
            return child
        listed = {c.node_id for c in self.nodes[numbers[name]].children}
        return child if numbers["_learning_rate"] in listed else [child[0], *child[2:]]

    def missing(self) -> Iterator[str]:
        """The values of the checkpoint that were not restored to any object."""
        for number, node in enumerate(self.nodes):
            if number not in self.filled:
                yield from (a.checkpoint_key for a in node.attributes)

    def unfilled(self) -> Iterator[Any]:
        """The leaves that were not restored."""
        known = {id(leaf) for leaf in self.filled.values()}
        objects, seen = [self.root], {id(self.root)}
        for obj in objects:
            if _is_leaf(obj) and id(obj) not in known:
                yield obj
            for child in _children(obj).values():
                if id(child) not in seen:
                    seen.add(id(child))
                    objects.append(child)


class CheckpointLoadStatus:
    """The result of a restoration, with assertions about its completeness."""

    def __init__(self, restoration: _Restoration | None):
        self._of = restoration

    def assert_consumed(self) -> CheckpointLoadStatus:
        """Raises AssertionError unless all values and all objects were matched."""
        if self._of is not None and (missing := list(self._of.missing())):
            raise AssertionError(f"Unresolved values in the checkpoint: {missing}")
        return self.assert_existing_objects_matched()

    def assert_existing_objects_matched(self) -> CheckpointLoadStatus:
        """Raises AssertionError if an object was not restored."""
        if self._of is None:
            raise AssertionError("There was no checkpoint to restore.")
        unfilled = [getattr(x, "name", repr(x)) for x in self._of.unfilled()]
        if unfilled:
            raise AssertionError(f"Objects that the checkpoint has no value for: {unfilled}")
        return self

    def assert_nontrivial_match(self) -> CheckpointLoadStatus:
        """Raises AssertionError if nothing but the `Checkpoint` itself was matched."""
        if self._of is None or len({*self._of.filled, *self._of.objects}) < 2:
            raise AssertionError("Nothing except the root object matched a checkpointed value.")
        return self

    def expect_partial(self) -> CheckpointLoadStatus:
        """Declares that not all values of the checkpoint are needed. There is no warning anyway."""
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Nothing, since all objects have been restored or initialized already."""

    run_restore_ops = initialize_or_restore


# -- checkpoints --------------------------------------------------------------------------------


class CheckpointOptions:
    """TensorFlow's options of checkpoints. All but the callbacks are accepted and have no effect.

    Args:
        experimental_write_callbacks: functions that are called in this order after a checkpoint has
            been written, with its path if they take an argument.

    Raises TypeError for what is not callable, AssertionError for a function of several arguments.

    >>> import tempfile
    >>> paths = []
    >>> options = tf.train.CheckpointOptions(experimental_write_callbacks=[paths.append])
    >>> checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    >>> checkpoint.write(tempfile.mkdtemp() + "/ckpt", options) == paths[0]
    True
    """

    def __init__(
        self,
        experimental_io_device: str | None = None,
        experimental_enable_async_checkpoint: bool = False,
        experimental_write_callbacks: Any = None,
        enable_async: bool = False,
        experimental_skip_slot_variables: bool = False,
        experimental_sharding_callback: Any = None,
    ):
        for callback in experimental_write_callbacks or ():
            if len(inspect.signature(callback).parameters) > 1:
                raise AssertionError(
                    "experimental_write_callbacks: a function takes the path or nothing. "
                    f"Received: {callback}"
                )
        self.experimental_io_device = experimental_io_device
        self.enable_async = experimental_enable_async_checkpoint or enable_async
        self.experimental_enable_async_checkpoint = self.enable_async
        self.experimental_write_callbacks = experimental_write_callbacks
        self.experimental_skip_slot_variables = experimental_skip_slot_variables
        self.experimental_sharding_callback = experimental_sharding_callback

    def __copy__(self) -> CheckpointOptions:
        made = object.__new__(type(self))
        callbacks = copy.copy(self.experimental_write_callbacks)
        vars(made).update(vars(self), experimental_write_callbacks=callbacks)
        return made

    def _written(self, path: str) -> None:
        for callback in self.experimental_write_callbacks or ():
            callback(*[path][: len(inspect.signature(callback).parameters)])


class CheckpointView:
    """The objects in a checkpoint, by numbers; the `Checkpoint` itself is 0.

    >>> import tempfile
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(tempfile.mkdtemp() + "/ckpt")
    >>> sorted(tf.train.CheckpointView(path).children(0))
    ['save_counter', 'v']
    """

    def __init__(self, save_path: Any, options: Any = None):
        self._nodes = _nodes_of(bundle.Reader(os.fspath(save_path)))

    def children(self, node_id: int) -> dict[str, int]:
        """The numbers of the objects in the attributes of one, by name."""
        return {c.local_name: c.node_id for c in self._nodes[node_id].children}

    def descendants(self) -> list[int]:
        """The numbers of all objects, those nearest to the `Checkpoint` first."""
        found = [0]
        for number in found:  # the loop appends to the list
            found += [n for n in self.children(number).values() if n not in found]
        return found


def _check_at_once() -> None:
    """Raises NeedsPython while a function is traced, since files are written by Python."""
    if not trace_state_clean():
        raise NeedsPython("A checkpoint cannot be written by a compiled function.")


class Checkpoint(base.Object):
    """A group of named objects that are saved and restored together.

    Args:
        root: an object whose attributes are saved like those of the checkpoint.
        kwargs: variables, layers, models, optimizers, modules, data iterators, tables, lists and
            dicts.

    Raises ValueError for other objects.

    >>> import tempfile
    >>> v = tf.Variable(1.0)
    >>> checkpoint = tf.train.Checkpoint(v=v)
    >>> path = checkpoint.save(tempfile.mkdtemp() + "/ckpt")
    >>> w = v.assign(5.0)
    >>> status = checkpoint.restore(path)
    >>> v.numpy().tolist()
    1.0
    """

    def __init__(self, root: Any = None, **kwargs: Any):
        self._root = root
        for name, value in kwargs.items():
            if not (
                base.is_state(value)
                or isinstance(value, (list, tuple, dict, *_LEAVES, lookup.Table))
            ):
                raise ValueError(
                    f"`Checkpoint` was expecting {name} to be a trackable object: a variable, "
                    f"layer, model, optimizer, module, iterator, table, list or dict. "
                    f"Received: {value!r}"
                )
            if getattr(root, name, value) is not value:
                raise ValueError(
                    f"Checkpoint: root.{name} already exists, and is another object than the "
                    f"argument {name}."
                )
            setattr(self, name, value)

    @property
    def save_counter(self) -> Variable:
        """The number of checkpoints that were saved."""
        found = vars(self).get("_counter")
        if found is None:
            with WIDE(True):
                found = Variable(np.int64(0), trainable=False, name="save_counter")
            self._counter = found
        return found

    def _tracked(self) -> dict[str, Any]:
        own = {name: v for name, v in vars(self).items() if name[0] != "_"}
        counter = vars(self).get("_counter")  # which `write` and `read` do without
        return own if counter is None else {**own, "save_counter": counter}

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Writes the checkpoint `file_prefix-N`, where N is their count, and returns its path."""
        self.save_counter.assign_add(1)
        _check_at_once()
        name = f"{path_of(file_prefix)}-{int(self.save_counter.numpy())}"
        path = self.write(name, options)
        note(os.path.dirname(path), path, [path])
        return path

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Writes a checkpoint of this name and returns its path."""
        _check_at_once()
        path = path_of(file_prefix)
        bundle.write(path, _saved(self))
        if options is not None:
            options._written(path)
        return path

    def sync(self) -> None:
        """Waits for checkpoints that are being written: none is, since `save` returns after it."""

    def read(self, save_path: Any, options: Any = None) -> CheckpointLoadStatus:
        """Restores the objects from the checkpoint at a path that `save` returned; does nothing for
        `None`. State that objects create later is restored at that time.

        Raises NotFoundError if the checkpoint does not exist, ValueError for a different shape.
        """
        if save_path is None:
            return CheckpointLoadStatus(None)
        path = path_of(save_path)
        if os.path.isdir(path):
            inside = os.path.join(path, "variables", "variables")  # of a SavedModel
            path = inside if os.path.exists(f"{inside}.index") else latest_checkpoint(path) or path
        return CheckpointLoadStatus(_Restoration(path, self))

    def restore(self, save_path: Any, options: Any = None) -> CheckpointLoadStatus:
        """Like `read`; the checkpoints that are saved later are counted from that of the file."""
        status = self.read(save_path, options)
        _ = self.save_counter
        return status


__all__ = ["Checkpoint", "CheckpointOptions", "CheckpointView"]
