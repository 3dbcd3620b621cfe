"""The devices that there are, and how several processes become one program."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import jax_internals, rng
from keraslike.distribution import watch
from keraslike.distribution.relay import Relay, without_proxy


def list_devices(device_type: str | None = None) -> list[str]:
    """The names of all devices of one type, in all processes: `["tpu:0", "tpu:1", ...]`.

    Args:
        device_type: `"cpu"`, `"gpu"` or `"tpu"`; by default the fastest type available.

    Raises ValueError if there are no devices of that type.

    >>> list_devices("cpu")[0]
    'cpu:0'
    """
    return [f"{d.platform}:{d.id}" for d in devices(device_type, "device_type")]


def get_device_count(device_type: str | None = None) -> int:
    """The number of devices that `list_devices(device_type)` names.

    >>> get_device_count() == len(list_devices())
    True
    """
    return len(devices(device_type, "device_type"))


def devices(device_type: Any, argument: str) -> list[Any]:
    """JAX's devices of a type; `argument` is what an error calls it."""
    if device_type is not None and not isinstance(device_type, str):
        raise ValueError(f"{argument} must be a string. Received: {argument}={device_type!r}")
    try:
        return jax.devices(None if device_type is None else device_type.lower())
    except RuntimeError as e:
        raise ValueError(f"There are no devices of {argument}={device_type!r}: {e}") from e


def find_device(device: Any) -> Any:
    """JAX's device of a name, `"gpu:1"`, or `"gpu"` for the first; a device is itself."""
    if isinstance(device, jax.Device):
        return device
    kind, _, number = str(device).partition(":")
    found = {str(d.id): d for d in devices(kind, "devices")}
    if (number or "0") not in found:
        names = ", ".join(f"{d.platform}:{d.id}" for d in found.values())
        raise ValueError(f"There is no device {str(device)!r} in devices. There are: {names}.")
    return found[number or "0"]


def device(device_name: Any) -> Any:
    """A context manager in which arrays are created and computed on a device.

    Args:
        device_name: `"cpu:0"`, `"gpu"` for the first one, or one of JAX's devices.

    Raises ValueError if there is no such device.

    >>> with device("cpu:0"):
    ...     jax.numpy.ones(2).device
    CpuDevice(id=0)
    """
    if not isinstance(device_name, (str, jax.Device)):
        raise ValueError(
            "device_name must be a string like 'gpu:0' or one of JAX's devices. "
            f"Received: device_name='{device_name}'"
        )
    return jax.default_device(find_device(device_name))


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: float | None = None,
) -> None:
    """Connects this process with others, on one or several machines, that run the same program.

    Each process must call it before any computation; `list_devices()` then lists the devices of all
    processes. On a TPU pod and under Slurm no argument is needed. If a launcher, such as Ray, has
    called `jax.distributed.initialize`, its processes are used. All processes use the random
    streams of process 0, and therefore create the same weights and orders of samples.

    Args:
        job_addresses: `"address:port"` of process 0, or a comma-separated list for all processes;
            by default the environment variable `KERAS_DISTRIBUTION_JOB_ADDRESSES`.
        num_processes: the number of processes, or `KERAS_DISTRIBUTION_NUM_PROCESSES`.
        process_id: the number of this process, from 0, or `KERAS_DISTRIBUTION_PROCESS_ID`.
        timeout: the seconds after which a silent process counts as lost. All others then end with a
            `ProcessLost` error that names it, or reports that the service on the machine of process
            0 is gone. By default `KERAS_DISTRIBUTION_TIMEOUT`, or 60.

    Raises ValueError if the numbers of addresses and processes differ or the timeout is not
    positive, and the errors of `jax.distributed.initialize`.

    Example (one of two processes):

        initialize("10.0.0.1:1234,10.0.0.2:1234", 2, process_id=0)
    """
    environment = "KERAS_DISTRIBUTION_"
    if job_addresses is None:
        job_addresses = os.environ.get(f"{environment}JOB_ADDRESSES")
    if num_processes is None:
        num_processes = _number(f"{environment}NUM_PROCESSES")
    if process_id is None:
        process_id = _number(f"{environment}PROCESS_ID")
    addresses = job_addresses.split(",") if job_addresses else [None]
    if len(addresses) > 1 and num_processes not in (None, len(addresses)):
        raise ValueError(
            "job_addresses must name process 0, or each of the processes. Received: "
            f"num_processes={num_processes}, job_addresses={job_addresses!r}"
        )
    if timeout is None:
        timeout = _number(f"{environment}TIMEOUT", float, "a number")
    timeout = 60.0 if timeout is None else float(timeout)
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a positive number. Received: timeout={timeout}")

    def start(address: str, count: int, **_: Any) -> Any:
        return _Coordinator(address, count, timeout)

    relays = []

    @contextlib.contextmanager
    def connected(address: str) -> Iterator[str]:
        relays.append(relay := Relay(address))
        relay.start()
        with without_proxy():
            yield relay.address

    if not jax.distributed.is_initialized():
        with jax_internals.service_elsewhere(start, connected):
            # After its own timeout JAX aborts the process, so that one must be longer.
            heartbeat = max(100, int(4 * timeout))
            jax.distributed.initialize(
                addresses[0], num_processes, process_id, heartbeat_timeout_seconds=heartbeat
            )
    watch.begin(timeout, *relays)
    _share_random_streams()


class _Coordinator:
    """The process that runs the service by which all find each other."""

    def __init__(self, address: str, count: int, timeout: float):
        linger, heartbeat = 2 * timeout + 30, max(100, int(4 * timeout))
        script = os.path.join(os.path.dirname(__file__), "coordinator.py")
        command = [sys.executable, script, address, str(count), str(heartbeat), str(linger)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        if self._process.stdout.readline().strip() != "ready":  # type: ignore[union-attr]
            raise RuntimeError(
                f"The service by which processes find each other did not start at '{address}': see "
                "what it wrote to standard error. The port may be in use."
            )

    def shutdown(self) -> None:
        """JAX calls it when this process ends as it should: the service continues for the
        others."""
        self._process.stdin.close()  # type: ignore[union-attr]


def _number(variable: str, kind: Any = int, what: str = "an integer") -> Any:
    value = os.environ.get(variable)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{variable} must be {what}. Received: {value!r}") from None


def _share_random_streams() -> None:
    from jax.experimental import multihost_utils

    if jax.process_count() == 1:
        return
    state = rng.get_state()
    version, words, _ = state["seeds"]
    seed, *pair = state["global"]
    own = np.asarray([*words, seed % 2**32, seed // 2**32, *pair], dtype="uint32")
    shared = multihost_utils.broadcast_one_to_all(own).tolist()
    *words, low, high, first, second = shared
    seeds = [version, words, None]
    rng.share_state({"seeds": seeds, "global": [low + high * 2**32, first, second]})
