"""`tf.distribute.cluster_resolver`: the processes of a cluster, and the number of this process."""

from __future__ import annotations

import json
import os
from typing import Any

import jax


class ClusterSpec:
    """The addresses of processes by the names of their jobs.

    >>> ClusterSpec({"worker": ["a:1", "b:1"]}).num_tasks("worker")
    2
    """

    def __init__(self, cluster: Any):
        known = isinstance(cluster, ClusterSpec)
        given: dict[str, Any] = cluster.as_dict() if known else dict(cluster or {})
        self._jobs = {
            job: [tasks[i] for i in sorted(tasks)] if isinstance(tasks, dict) else list(tasks)
            for job, tasks in given.items()
        }

    @property
    def jobs(self) -> list[str]:
        return list(self._jobs)

    def as_dict(self) -> dict[str, list[str]]:
        return {job: list(tasks) for job, tasks in self._jobs.items()}

    def num_tasks(self, job_name: str) -> int:
        return len(self.job_tasks(job_name))

    def job_tasks(self, job_name: str) -> list[str]:
        """The addresses of a job. Raises ValueError for an unknown job."""
        if job_name not in self._jobs:
            raise ValueError(f"No such job in cluster: {job_name!r}")
        return list(self._jobs[job_name])

    def task_address(self, job_name: str, task_index: int) -> str:
        return self.job_tasks(job_name)[task_index]

    def task_indices(self, job_name: str) -> list[int]:
        return list(range(self.num_tasks(job_name)))

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._jobs == other._jobs

    def __repr__(self) -> str:
        return f"ClusterSpec({dict(sorted(self._jobs.items()))})"

    __hash__ = None  # type: ignore[assignment]


class SimpleClusterResolver:
    """A resolver of a given cluster."""

    def __init__(
        self,
        cluster_spec: ClusterSpec,
        master: str = "",
        task_type: str | None = None,
        task_id: int | None = None,
        environment: str = "",
        num_accelerators: Any = None,
        rpc_layer: str | None = None,
    ):
        self._spec, self._master = cluster_spec, master
        self.task_type, self.task_id = task_type, task_id
        self.environment, self.rpc_layer = environment, rpc_layer

    def cluster_spec(self) -> ClusterSpec:
        """The processes."""
        return self._spec

    def master(self, task_type: Any = None, task_id: Any = None, rpc_layer: Any = None) -> str:
        """The address of a process, by default of the master."""
        if task_type is not None and task_id is not None:
            return self._spec.task_address(task_type, task_id)
        return self._master

    def num_accelerators(self, *_: Any, **__: Any) -> dict[str, int]:
        """The number of accelerators of this process, by type."""
        kind = jax.default_backend().upper()
        return {} if kind == "CPU" else {kind: jax.local_device_count()}


class TFConfigClusterResolver(SimpleClusterResolver):
    """The cluster of the environment variable `TF_CONFIG`.

    >>> os.environ["TF_CONFIG"] = json.dumps(
    ...     {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    ... )
    >>> resolver = TFConfigClusterResolver()
    >>> resolver.task_type, resolver.task_id, resolver.cluster_spec().as_dict()
    ('worker', 1, {'worker': ['a:1', 'b:1']})
    >>> del os.environ["TF_CONFIG"]
    """

    def __init__(
        self,
        task_type: str | None = None,
        task_id: int | None = None,
        rpc_layer: str | None = None,
        environment: str | None = None,
    ):
        read = json.loads(os.environ.get("TF_CONFIG", "{}"))
        task = read.get("task", {})
        index = task.get("index")
        super().__init__(
            ClusterSpec(read.get("cluster", {})),
            task_type=task.get("type") if task_type is None else task_type,
            task_id=int(index) if task_id is None and index is not None else task_id,
            environment=environment or read.get("environment", ""),
            rpc_layer=rpc_layer or read.get("rpc_layer", "grpc"),
        )


class TPUClusterResolver(SimpleClusterResolver):
    """The TPU of this machine. Raises ValueError if JAX finds none."""

    def __init__(self, tpu: Any = None, zone: Any = None, project: Any = None, **_: Any):
        if jax.default_backend() != "tpu":
            raise ValueError("Please provide a TPU Name to connect to. JAX finds no TPU here.")
        super().__init__(ClusterSpec({}), environment="tpu")
        self.tpu = tpu

    @classmethod
    def connect(cls, tpu: Any = None, zone: Any = None, project: Any = None) -> TPUClusterResolver:
        """The TPU that JAX is connected to."""
        return cls(tpu, zone, project)


def workers(resolver: Any) -> list[str]:
    """The addresses of the training processes, the chief first."""
    jobs = resolver.cluster_spec().as_dict()
    return [*jobs.get("chief", []), *jobs.get("worker", [])]


def number_of(resolver: Any) -> int:
    """The number of this process in `workers`."""
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
    return int(resolver.task_id or 0) + (chiefs if resolver.task_type == "worker" else 0)


__all__ = [
    *("ClusterSpec", "SimpleClusterResolver", "TFConfigClusterResolver", "TPUClusterResolver"),
]
__dir__ = __all__.copy
