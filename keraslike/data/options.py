"""`tf.data.Options`: settings of TensorFlow's runtime, which do not affect the elements."""

from __future__ import annotations

from typing import Any

_KINDS = {
    **dict.fromkeys(["deterministic", "experimental_slack"], bool),
    **dict.fromkeys(["enabled", "map_fusion", "filter_fusion", "noop_elimination"], bool),
    **dict.fromkeys(["private_threadpool_size", "max_intra_op_parallelism", "cpu_budget"], int),
}


class _Options:
    """A set of named attributes; setting any other raises AttributeError, as in TensorFlow."""

    _names: dict[str, Any] = {}
    _renamed: dict[str, str] = {}  # the present names of options with another one

    def __init__(self) -> None:
        for name, kind in self._names.items():
            vars(self)[name] = kind() if isinstance(kind, type) else kind

    def __getattr__(self, name: str) -> Any:
        if name not in self._renamed:
            raise AttributeError(f"{type(self).__name__} has no option {name}.")
        return getattr(self, self._renamed[name])

    def __setattr__(self, name: str, value: Any) -> None:
        name = self._renamed.get(name, name)
        if name not in self._names:
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        kind = _KINDS.get(name)
        if kind is not None and value is not None and not isinstance(value, kind):
            raise TypeError(
                f"Property {name!r} must be of type {kind.__name__}. Received: {value!r}"
            )
        vars(self)[name] = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {vars(self)}>"


class AutotuneOptions(_Options):
    """Options of the automatic tuning in TensorFlow's runtime. All are None until they are set.

    >>> options = Options()
    >>> options.autotune.enabled = True
    >>> options.autotune.enabled, options.autotune.cpu_budget
    (True, None)
    """

    _names = dict.fromkeys(
        [
            *("enabled", "cpu_budget", "ram_budget", "autotune_algorithm"),
            *("initial_parallelism", "min_parallelism"),
        ]
    )


class DistributeOptions(_Options):
    """Options of how data is sharded among workers.

    >>> options = Options()
    >>> options.experimental_distribute.num_devices = 1
    >>> options.experimental_distribute.num_devices
    1
    """

    _names = dict.fromkeys(["auto_shard_policy", "num_devices"])


class OptimizationOptions(_Options):
    """Options of how TensorFlow's runtime rewrites a pipeline. All are None until they are set.

    >>> options = Options()
    >>> options.experimental_optimization.map_fusion = True
    >>> options.experimental_optimization.map_fusion
    True
    """

    _names = dict.fromkeys(
        [
            *("apply_default_optimizations", "filter_fusion", "filter_parallelization"),
            *("inject_prefetch", "map_and_batch_fusion", "map_and_filter_fusion", "map_fusion"),
            *("map_parallelization", "noop_elimination", "parallel_batch"),
            *("seq_interleave_prefetch", "shuffle_and_repeat_fusion", "warm_start"),
        ]
    )


class ThreadingOptions(_Options):
    """Options of the threads of TensorFlow's runtime. All are None until they are set.

    >>> options = Options()
    >>> options.threading.private_threadpool_size = 2
    >>> options.threading
    <ThreadingOptions {'max_intra_op_parallelism': None, 'private_threadpool_size': 2}>
    """

    _names = dict.fromkeys(["max_intra_op_parallelism", "private_threadpool_size"])


class ServiceOptions(_Options):
    """Options of TensorFlow's data service; each is `None` until it is set.

    >>> Options().experimental_service
    <ServiceOptions {'pinned': None}>
    """

    _names = {"pinned": None}


class Options(_Options):
    """Options of a data set, for `Dataset.with_options`.

    >>> options = Options()
    >>> options.deterministic = False
    >>> options.threading.private_threadpool_size = 4
    """

    _renamed = {
        "experimental_deterministic": "deterministic",
        "experimental_threading": "threading",
    }
    _names = {
        **dict.fromkeys(["deterministic", "experimental_slack"]),
        **dict.fromkeys(["experimental_symbolic_checkpoint", "experimental_warm_start"]),
        **dict.fromkeys(["framework_type", "dataset_name", "experimental_external_state_policy"]),
        "autotune": AutotuneOptions,
        "experimental_distribute": DistributeOptions,
        "experimental_optimization": OptimizationOptions,
        "experimental_service": ServiceOptions,
        "threading": ThreadingOptions,
    }

    def merge(self, options: Options) -> Options:
        """These options, overridden by those that `options` has set."""
        merged = Options()
        for each in (self, options):
            for name, value in vars(each).items():
                if value is not None and not isinstance(value, _Options):
                    setattr(merged, name, value)
                elif isinstance(value, _Options):
                    known = {k: v for k, v in vars(value).items() if v is not None}
                    vars(getattr(merged, name)).update(known)
        return merged
