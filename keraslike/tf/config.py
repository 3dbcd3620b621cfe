"""`tf.config`: the devices of this machine, and settings of JAX and XLA for them.

Settings that JAX reads when it initializes devices raise RuntimeError afterwards, as in TensorFlow,
if they would change results or if a program depends on them.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
from jax.extend import backend

from keraslike.core import jax_internals
from keraslike.core.arguments import warn_user
from keraslike.distribution import devices as found
from keraslike.tf import control, function


class PhysicalDevice(NamedTuple):
    """A device of this machine.

    >>> isinstance(tf.config.list_physical_devices("CPU")[0], tf.config.PhysicalDevice)
    True
    """

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device by the name that programs use.

    >>> isinstance(tf.config.list_logical_devices()[0], tf.config.LogicalDevice)
    True
    """

    name: str
    device_type: str


class LogicalDeviceConfiguration(NamedTuple):
    """The configuration of one of the virtual devices of a device.

    >>> tf.config.LogicalDeviceConfiguration(memory_limit=1024).memory_limit
    1024
    """

    memory_limit: Any = None
    experimental_priority: Any = None
    experimental_device_ordinal: Any = None


class _Settings:
    """Settings that JAX does not store."""

    def __init__(self) -> None:
        self.hidden: set[PhysicalDevice] = set()
        self.inter_op = 0
        self.optimizer: dict[str, Any] = {}
        self.jit = ""
        self.policy, self.synchronous = "silent", True


_settings = _Settings()


# -- devices --------------------------------------------------------------------------------------


def _all() -> dict[PhysicalDevice, Any]:
    """The devices of this process, the CPU first."""
    there = [] if jax.default_backend() == "cpu" else jax.local_devices(backend="cpu")[:1]
    there += jax.local_devices()
    named: dict[PhysicalDevice, Any] = {}
    for device in there:
        kind = device.platform.upper()
        number = sum(d.device_type == kind for d in named)
        named[PhysicalDevice(f"/physical_device:{kind}:{number}", kind)] = device
    return named


def _of_type(devices: Any, device_type: str | None) -> list[Any]:
    return [d for d in devices if device_type is None or d.device_type == device_type.upper()]


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this process, of all types or of one (`"CPU"`, `"GPU"` or `"TPU"`).

    >>> list_physical_devices("CPU")[0]
    PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')
    """
    return _of_type(_all(), device_type)


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The visible devices; see `set_visible_devices`.

    >>> [device.device_type for device in tf.config.get_visible_devices("CPU")][0]
    'CPU'
    """
    return [d for d in list_physical_devices(device_type) if d not in _settings.hidden]


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Makes only some devices visible: results are placed on the first of them, and strategies use
    all of them.

    Args:
        devices: a device, or a list.
        device_type: the type whose other devices are hidden; `None` for all types.

    Raises ValueError for an unknown device, and if no device would be visible.

    >>> tf.config.set_visible_devices(tf.config.list_physical_devices())
    """
    chosen = [devices] if isinstance(devices, PhysicalDevice) else list(devices)
    there = list_physical_devices(device_type)
    unknown = [d for d in chosen if d not in there]
    if unknown:
        raise ValueError(f"Unrecognized device: {unknown[0]!r}. Expected one of: {there}")
    hidden = _settings.hidden - set(there) | {d for d in there if d not in chosen}
    left = [d for d in _all() if d not in hidden]
    if not left:
        raise ValueError(f"At least one device must stay visible. Received: devices={devices!r}")
    _settings.hidden = hidden
    best = max(left, key=lambda d: d.device_type != "CPU")
    device = _all()[best]
    is_default = device == jax.local_devices()[0]
    jax.config.update("jax_default_device", None if is_default else device)


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The visible devices, with the names that `tf.device` takes.

    >>> list_logical_devices("CPU")[0]
    LogicalDevice(name='/device:CPU:0', device_type='CPU')
    """
    return [
        LogicalDevice(d.name.replace("/physical_device", "/device"), d.device_type)
        for d in get_visible_devices(device_type)
    ]


def get_device_details(device: PhysicalDevice) -> dict[str, Any]:
    """Details of a device: its name and, for a GPU, its compute capability."""
    device = _all()[_known(device)]
    details = {} if device.platform == "cpu" else {"device_name": device.device_kind}
    capability = getattr(device, "compute_capability", None)
    if capability is not None:
        details["compute_capability"] = tuple(map(int, str(capability).split(".")))
    return details


def _known(device: Any) -> PhysicalDevice:
    if device not in _all():
        raise ValueError(f"Unrecognized device: {device!r}. Expected one of: {list(_all())}")
    return device


def set_logical_device_configuration(
    device: PhysicalDevice, logical_devices: list[LogicalDeviceConfiguration]
) -> None:
    """Divides the CPU into several virtual devices, before there is any array.

    Raises RuntimeError afterwards, and for GPUs, which XLA cannot divide. The environment variable
    `XLA_PYTHON_CLIENT_MEM_FRACTION` limits the memory of a GPU.

    Example (at the beginning of a program)::

        (cpu,) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    """
    if device.device_type != "CPU":
        raise RuntimeError(
            f"XLA cannot divide {device.name}. Set XLA_PYTHON_CLIENT_MEM_FRACTION in the "
            "environment to limit the memory that is allocated on it."
        )
    if len(logical_devices) == len(list_physical_devices("CPU")):
        return
    if jax.live_arrays():
        raise RuntimeError(
            "Virtual devices cannot be modified after being initialized: set them before anything "
            f"is computed. Received: {len(logical_devices)} devices"
        )
    backend.clear_backends()  # listing the devices has made them
    jax.config.update("jax_num_cpu_devices", len(logical_devices))


def get_logical_device_configuration(device: PhysicalDevice) -> None:
    """`None`, since devices are not divided.

    >>> device = tf.config.list_physical_devices("CPU")[0]
    >>> tf.config.get_logical_device_configuration(device)
    """
    _known(device)


# -- memory ---------------------------------------------------------------------------------------

_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


def set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Sets whether memory of a GPU is allocated on demand rather than preallocated.

    JAX reads the setting when it initializes devices, which listing them does. There is a warning
    if it comes too late.
    """
    if device.device_type == "CPU":
        raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")
    if enable != get_memory_growth(device):
        os.environ[_PREALLOCATE] = "false" if enable else "true"
        warn_user(
            f"set_memory_growth({device.name}, {enable}) has no effect, since JAX has initialized "
            "the device. "
            f"Set {_PREALLOCATE}={os.environ[_PREALLOCATE]} in the environment of the program."
        )


def get_memory_growth(device: PhysicalDevice) -> bool:
    """Whether memory of a GPU is allocated on demand."""
    if device.device_type == "CPU":
        raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")
    return os.environ.get(_PREALLOCATE, "true").lower() in ("0", "false")


def get_memory_info(device: str) -> dict[str, int]:
    """The current and the peak number of bytes in use on a device. Raises ValueError if the device
    does not report them."""
    stats = found.find_device(device.rpartition("/")[2].removeprefix("device:").lower())
    stats = stats.memory_stats()
    if not stats:
        raise ValueError(f"Allocator stats not available for device {device!r}")
    return {"current": stats["bytes_in_use"], "peak": stats["peak_bytes_in_use"]}


def get_memory_usage(device: str) -> int:
    """The number of bytes in use on a device."""
    return get_memory_info(device)["current"]


# -- settings of computations ---------------------------------------------------------------------


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Sets whether functions made by `tf.function` run in Python, without tracing.

    >>> tf.config.run_functions_eagerly(True)
    >>> tf.config.functions_run_eagerly()
    True
    >>> tf.config.run_functions_eagerly(False)
    """
    function.run_eagerly = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    """The setting of `run_functions_eagerly`.

    >>> tf.config.functions_run_eagerly()
    False
    """
    return function.run_eagerly


def enable_op_determinism() -> None:
    """Makes operations on GPUs deterministic; those on other devices always are.

    Raises RuntimeError if JAX has initialized a GPU already.
    """
    flag = "--xla_gpu_deterministic_ops=true"
    flags = os.environ.get("XLA_FLAGS", "")
    if flag in flags:
        return
    if jax_internals.backends_are_initialized():
        if jax.default_backend() == "gpu":
            raise RuntimeError(
                "Determinism cannot be enabled after JAX has initialized devices. Set "
                f"XLA_FLAGS={flag} in the environment of the program."
            )
        return
    os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def enable_tensor_float_32_execution(enabled: bool) -> None:
    """Sets whether float32 products may use TensorFloat-32, which is faster on some GPUs."""
    jax.config.update("jax_default_matmul_precision", None if enabled else "highest")


def tensor_float_32_execution_enabled() -> bool:
    """Whether float32 products may use TensorFloat-32."""
    return jax.config.jax_default_matmul_precision not in ("highest", "float32")


def set_soft_device_placement(enabled: bool) -> None:
    """Sets whether `tf.device` falls back to another device if the named one does not exist.

    >>> tf.config.set_soft_device_placement(True)
    """
    control.soft_placement = bool(enabled)


def get_soft_device_placement() -> bool:
    """Whether `tf.device` falls back to another device if the named one does not exist.

    >>> tf.config.set_soft_device_placement(True)
    >>> tf.config.get_soft_device_placement()
    True
    """
    return control.soft_placement


def _set_threads(num_threads: int) -> None:
    """Sets the number of threads of an operation. Raises RuntimeError after JAX has initialized
    devices."""
    if num_threads == _get_threads():
        return
    if jax_internals.backends_are_initialized():
        raise RuntimeError("Intra op parallelism cannot be modified after initialization.")
    if num_threads:
        os.environ["NPROC"] = str(int(num_threads))
    else:
        os.environ.pop("NPROC", None)


def _get_threads() -> int:
    return int(os.environ.get("NPROC", 0))


def _set_inter(num_threads: int) -> None:
    """Stores the value, which has no effect, since XLA has one pool of threads."""
    _settings.inter_op = int(num_threads)


def _set_jit(enabled: Any) -> None:
    """Stores the value, which has no effect, since XLA compiles everything."""
    _settings.jit = "autoclustering" if enabled in (True, "autoclustering") else ""


def experimental_connect_to_cluster(
    cluster_spec_or_resolver: Any,
    job_name: str = "localhost",
    task_index: int = 0,
    protocol: Any = None,
    make_master_device_default: bool = True,
    cluster_device_filters: Any = None,
) -> None:
    """Does nothing, since strategies connect the processes when they are created.

    >>> tf.config.experimental_connect_to_cluster(tf.train.ClusterSpec({"worker": ["host:1"]}))
    """


threading = SimpleNamespace(
    set_intra_op_parallelism_threads=_set_threads,
    get_intra_op_parallelism_threads=_get_threads,
    set_inter_op_parallelism_threads=_set_inter,
    get_inter_op_parallelism_threads=lambda: _settings.inter_op,
)
optimizer = SimpleNamespace(
    set_jit=_set_jit,
    get_jit=lambda: _settings.jit,
    # Stored without effect, since the options name passes of TensorFlow's optimizer.
    set_experimental_options=lambda options: _settings.optimizer.update(options),
    get_experimental_options=lambda: {
        **_settings.optimizer,
        "disable_model_pruning": _settings.optimizer.get("disable_model_pruning", False),
        "disable_meta_optimizer": _settings.optimizer.get("disable_meta_optimizer", False),
    },
)


def reset_memory_stats(device: str) -> None:
    """Raises ValueError: JAX keeps the peak of the memory of a device, and cannot forget it."""
    get_memory_info(device)
    raise ValueError(f"JAX cannot reset the memory statistics of {device!r}.")


_POLICIES = ("silent", "silent_for_int32", "explicit", "warn")


def set_device_policy(device_policy: str | None) -> None:
    """Stores what happens with operands on other devices than their operation; they are always
    moved."""
    if device_policy not in (None, *_POLICIES):
        raise ValueError(f"device_policy must be one of {_POLICIES}. Received: {device_policy!r}")
    _settings.policy = device_policy or "silent"


experimental = SimpleNamespace(
    get_device_policy=lambda: _settings.policy,
    set_device_policy=set_device_policy,
    # Stored without effect: what is computed is waited for when it is looked at.
    get_synchronous_execution=lambda: _settings.synchronous,
    set_synchronous_execution=lambda enable: setattr(_settings, "synchronous", bool(enable)),
    reset_memory_stats=reset_memory_stats,
    # There is no MLIR bridge to enable: XLA compiles everything.
    enable_mlir_bridge=lambda: None,
    disable_mlir_bridge=lambda: None,
    VirtualDeviceConfiguration=LogicalDeviceConfiguration,
    enable_op_determinism=enable_op_determinism,
    enable_tensor_float_32_execution=enable_tensor_float_32_execution,
    get_device_details=get_device_details,
    get_memory_growth=get_memory_growth,
    get_memory_info=get_memory_info,
    get_memory_usage=get_memory_usage,
    get_virtual_device_configuration=get_logical_device_configuration,
    get_visible_devices=get_visible_devices,
    list_logical_devices=list_logical_devices,
    list_physical_devices=list_physical_devices,
    set_memory_growth=set_memory_growth,
    set_virtual_device_configuration=set_logical_device_configuration,
    set_visible_devices=set_visible_devices,
    tensor_float_32_execution_enabled=tensor_float_32_execution_enabled,
)
experimental_functions_run_eagerly = functions_run_eagerly
experimental_run_functions_eagerly = run_functions_eagerly

__all__ = [
    *(
        "experimental_connect_to_cluster",
        "LogicalDevice",
        "LogicalDeviceConfiguration",
        "PhysicalDevice",
        "experimental",
    ),
    *("functions_run_eagerly", "get_logical_device_configuration", "get_soft_device_placement"),
    *("get_visible_devices", "list_logical_devices", "list_physical_devices", "optimizer"),
    *("run_functions_eagerly", "set_logical_device_configuration", "set_soft_device_placement"),
    *("set_visible_devices", "threading"),
]
__dir__ = __all__.copy
