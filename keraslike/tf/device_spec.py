"""`tf.DeviceSpec`: the parts of the name of a device."""

from __future__ import annotations

from typing import Any, NamedTuple

_NUMBERS = ("replica", "task")


class _Fields(NamedTuple):
    job: Any = None
    replica: Any = None
    task: Any = None
    device_type: Any = None
    device_index: Any = None


class DeviceSpec(_Fields):
    """The parts of the name of a device, each of which may be left out.

    Args:
        job: the name of a job.
        replica, task: numbers.
        device_type: such as `"GPU"`.
        device_index: the number of the device.

    >>> tf.DeviceSpec(job="worker", task=1, device_type="GPU", device_index=0).to_string()
    '/job:worker/task:1/device:GPU:0'
    """

    __slots__ = ()

    def __new__(
        cls,
        job: Any = None,
        replica: Any = None,
        task: Any = None,
        device_type: Any = None,
        device_index: Any = None,
    ):
        replica, task, device_index = (
            None if x is None else int(x) for x in (replica, task, device_index)
        )
        job = None if job is None else str(job)
        kind = None if device_type is None else str(device_type)
        kind = kind.upper() if kind in ("cpu", "gpu") else kind
        return super().__new__(cls, job, replica, task, kind, device_index)

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """The parts of a name such as `"/job:worker/task:1/device:GPU:0"` or `"/gpu:0"`.

        Raises ValueError for an unknown part, and for two types of devices.
        """
        found: dict[str, Any] = {}
        for part in filter(None, spec.split("/")):
            name, *rest = part.split(":")
            if name in ("cpu", "gpu", "CPU", "GPU") and len(rest) <= 1:
                name, rest = "device", [name, *rest]
            if name == "device" and 1 <= len(rest) <= 2:
                if "device_type" in found:
                    raise ValueError(f"The name of a device has more than one type: {spec!r}")
                found["device_type"] = rest[0]
                found["device_index"] = None if rest[1:] in ([], ["*"]) else int(rest[1])
            elif name in ("job", *_NUMBERS) and len(rest) == 1:
                found[name] = rest[0]
            else:
                raise ValueError(f"Unknown part {part!r} of the name of a device: {spec!r}")
        return cls(**found)

    def parse_from_string(self, spec: str) -> DeviceSpec:
        """The parts of a name, without those of this spec."""
        return self.from_string(spec)

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """The parts of `dev`, and those of this spec where it has none."""
        return type(self)(*(ours if new is None else new for ours, new in zip(self, dev)))

    def replace(self, **kwargs: Any) -> DeviceSpec:
        """The spec with other parts."""
        return type(self)(**{**self._asdict(), **kwargs})

    def to_string(self) -> str:
        """The name, of which `tf.device` makes a context."""
        names = ("job", *_NUMBERS)
        parts = [f"/{name}:{value}" for name, value in zip(names, self) if value is not None]
        if self.device_type is not None:
            number = "*" if self.device_index is None else self.device_index
            parts.append(f"/device:{self.device_type}:{number}")
        return "".join(parts)

    def __repr__(self) -> str:
        return f"<DeviceSpec({', '.join(f'{k}={v}' for k, v in self._asdict().items())})>"

    __str__ = __repr__
