"""`tf.data.Options`: what a program may ask of TensorFlow's runtime; elements do not change."""

from __future__ import annotations

from typing import Any

_KINDS = {
    **dict.fromkeys(["deterministic", "experimental_deterministic", "experimental_slack"], bool),
    **dict.fromkeys(["enabled", "map_fusion", "filter_fusion", "noop_elimination"], bool),
    **dict.fromkeys(["private_threadpool_size", "max_intra_op_parallelism", "cpu_budget"], int),
}


class _Options:
    """Attributes by name; others are refused, as in TensorFlow."""

    _names: dict[str, Any] = {}

    def __init__(self) -> None:
        for name, kind in self._names.items():
            vars(self)[name] = kind() if isinstance(kind, type) else kind

    def __setattr__(self, name: str, value: Any) -> None:
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


def _kind(name: str, names: str) -> type[_Options]:
    return type(name, (_Options,), {"_names": dict.fromkeys(names.split())})


AutotuneOptions = _kind("AutotuneOptions", "enabled cpu_budget ram_budget autotune_algorithm")
DistributeOptions = _kind("DistributeOptions", "auto_shard_policy num_devices")
OptimizationOptions = _kind(
    "OptimizationOptions",
    "apply_default_optimizations filter_fusion filter_parallelization inject_prefetch "
    "map_and_batch_fusion map_and_filter_fusion map_fusion map_parallelization noop_elimination "
    "parallel_batch seq_interleave_prefetch shuffle_and_repeat_fusion warm_start",
)
ThreadingOptions = _kind("ThreadingOptions", "max_intra_op_parallelism private_threadpool_size")


class Options(_Options):
    """Options of a data set, for `Dataset.with_options`.

    >>> options = Options()
    >>> options.deterministic = False
    >>> options.threading.private_threadpool_size = 4
    """

    _names = {
        **dict.fromkeys(["deterministic", "experimental_deterministic", "experimental_slack"]),
        **dict.fromkeys(["experimental_symbolic_checkpoint", "experimental_warm_start"]),
        **dict.fromkeys(["framework_type", "dataset_name"]),
        "autotune": AutotuneOptions,
        "experimental_distribute": DistributeOptions,
        "experimental_optimization": OptimizationOptions,
        "experimental_threading": ThreadingOptions,
        "threading": ThreadingOptions,
    }

    def merge(self, options: Options) -> Options:
        """These options, and those of the other where it has set them."""
        merged = Options()
        for each in (self, options):
            for name, value in vars(each).items():
                if value is not None and not isinstance(value, _Options):
                    setattr(merged, name, value)
                elif isinstance(value, _Options):
                    known = {k: v for k, v in vars(value).items() if v is not None}
                    vars(getattr(merged, name)).update(known)
        return merged
