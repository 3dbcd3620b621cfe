"""How much memory a device needs for a model's training under one layout or another."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import base
from keraslike.core.arguments import whole
from keraslike.distribution.devices import list_devices
from keraslike.distribution.layout import DeviceMesh
from keraslike.distribution.parallel import DataParallel, Distribution, ModelParallel
from keraslike.training.data import adapt
from keraslike.training.placement import Placement


@dataclasses.dataclass(frozen=True)
class Plan:
    """Bytes per device under one distribution, from the program that XLA compiled for it.

    Attributes:
        distribution: the distribution, for `set_distribution`.
        weights, slots: the state of the model, and of its optimizer, loss and metrics.
        gradients: the gradients of the trainable weights, as large as their shards.
        activations: the peak of all other values within a step.
        total: the sum, including the batch.
        collectives: bytes of the results of all-gather, all-reduce, reduce-scatter and similar
            operations in one step; those in a loop of the model count once.
        fits: whether `total` is within the given memory; `None` if none was given.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> keraslike.distribution.plan(model, 4, devices=1)[0].weights
    32
    """

    distribution: Distribution
    weights: int
    slots: int
    gradients: int
    activations: int
    total: int
    collectives: int
    fits: bool | None

    def __str__(self) -> str:
        parts = [
            f"{name} {_said(getattr(self, name))}"
            for name in ("weights", "slots", "gradients", "activations", "total", "collectives")
        ]
        fits = {None: "", True: ", fits", False: ", does not fit"}[self.fits]
        return f"{type(self.distribution).__name__}: {', '.join(parts)}{fits}"


def _said(size: int) -> str:
    """Bytes for people.

    >>> _said(80), _said(1536), _said(3 * 2**29)
    ('80 bytes', '1.5 KiB', '1.5 GiB')
    """
    if size < 1024:
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def plan(
    model: Any,
    batch_size: int,
    devices: int | Sequence[Any] | None = None,
    memory: float | None = None,
    distributions: Sequence[Distribution] | None = None,
    batch: Any = None,
) -> list[Plan]:
    """The memory and communication of a model's training step on each device, under several
    distributions.

    Each step is compiled, but nothing is placed or run. The devices may be virtual devices of a
    CPU (`XLA_FLAGS=--xla_force_host_platform_device_count=8`). The sizes of weights, slots and
    gradients are the same on all devices; those of activations are those of XLA's CPU backend.

    Args:
        model: a compiled model whose input shapes are known.
        batch_size: the total batch size over all devices.
        devices: the number of devices, or a list of them; all by default.
        memory: the memory of a device in bytes.
        distributions: the distributions to compare; by default `DataParallel` and
            `ModelParallel.fsdp`.
        batch: `(x, y)`, if the input shapes are unknown, or if targets differ from outputs in shape
            or dtype, as class numbers do.

    Returns a `Plan` for each distribution. Raises ValueError for a model that is not compiled or
    has no known inputs, and for more devices than there are.

    >>> import keraslike as keras
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(64)])
    >>> model.compile(loss="mse", optimizer="adam")
    >>> found = plan(model, 32, devices=1, memory=2**30)
    >>> found[0].weights, found[0].fits
    (2304, True)
    """
    whole(1, batch_size=batch_size)
    if not getattr(model, "compiled", False):
        raise ValueError("model must be compiled: its step is what needs the memory.")
    if distributions is None:
        mesh = _mesh(devices)
        distributions = [DataParallel(mesh), ModelParallel.fsdp(mesh)]
    example = _example(model, batch_size, batch)
    return [_planned(model, example, each, memory) for each in distributions]


def _mesh(devices: int | Sequence[Any] | None) -> DeviceMesh:
    names: Sequence[Any] = list_devices()
    if isinstance(devices, int):
        if not 0 < devices <= len(names):
            raise ValueError(
                f"There are {len(names)} devices. Received: devices={devices}. Virtual ones of the "
                "CPU are there in a program that is started with "
                f"XLA_FLAGS=--xla_force_host_platform_device_count={devices} JAX_PLATFORMS=cpu."
            )
        names = names[:devices]
    elif devices is not None:
        names = devices
    return DeviceMesh((len(names),), ["batch"], names)


def _example(model: Any, batch_size: int, batch: Any) -> Any:
    """The shapes of a batch, as a step takes it."""
    if batch is None:
        inputs = getattr(model, "_inputs_struct", None)
        if inputs is None:
            raise ValueError(
                "model must have inputs of known shape: begin it with keras.Input(shape), or give "
                "a batch."
            )
        batch = jax.tree.map(lambda t: _zeros(t, batch_size), (inputs, model._outputs_struct))
    elif not isinstance(batch, (tuple, list)):
        batch = (batch,)
    return adapt(*batch, batch_size=batch_size).example()


def _zeros(tensor: Any, batch_size: int) -> np.ndarray:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise ValueError(f"A size of {tensor} is unknown: give a batch.")
    # All its numbers are the same one, so that it takes no memory.
    return np.broadcast_to(np.zeros((), jax.numpy.dtype(tensor.dtype)), (batch_size, *shape))


_COLLECTIVE = re.compile(
    r"= (.*?) (?:all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)(-start)?\("
)
_ARRAY = re.compile(r"([a-z]+)(\d*)[a-z0-9]*\[([\d,]*)\]")


def _collectives(text: str) -> int:
    """The bytes of the results of collectives in the text of a program.

    >>> _collectives("%a.1 = f32[8,4]{1,0} all-gather(%p), dimensions={0}")
    128
    """
    moved = 0
    for result, begins in _COLLECTIVE.findall(text):
        arrays = [
            math.prod(map(int, filter(None, shape.split(",")))) * max(8, int(bits or 8)) // 8
            for _, bits, shape in _ARRAY.findall(result)
        ]
        moved += max(arrays, default=0) if begins else sum(arrays)  # of a pair of input and result
    return moved


def _planned(model: Any, example: Any, distribution: Distribution, memory: float | None) -> Plan:
    with distribution.scope():
        model._prepare_program(example, "train")
        program = model._program_of("train")
        placement = Placement(distribution, program.state, program.fixed)
        compiled = program.compiled_for(example, placement)
        found, moved = compiled.memory_analysis(), _collectives(compiled.as_text())
    owned = {id(v) for v in base.variables_of(model)}
    trained = {id(v) for v in model.trainable_variables}
    weights = slots = gradients = 0
    for variables, shardings in (
        (program.state, placement.state),
        (program.fixed, placement.fixed),
    ):
        for variable, sharding in zip(variables, shardings, strict=True):
            value = variable._raw_value
            size = math.prod(sharding.shard_shape(value.shape)) * value.dtype.itemsize
            weights += size if id(variable) in owned else 0
            slots += 0 if id(variable) in owned else size
            gradients += size if id(variable) in trained else 0
    inside = found.temp_size_in_bytes
    total = found.argument_size_in_bytes + inside
    total += max(0, found.output_size_in_bytes - found.alias_size_in_bytes)
    fits = None if memory is None else total <= memory
    activations = max(0, inside - gradients)
    return Plan(distribution, weights, slots, gradients, activations, total, moved, fits)
