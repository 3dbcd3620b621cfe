"""All that is taken from inside jax: one name for each thing, with what is relied on.

`tests/core/test_internals.py` checks each of these, so that a new jax tells what it changed.
"""

from __future__ import annotations

from typing import Any

from jax._src import xla_bridge
from jax.experimental.compilation_cache import compilation_cache

# Whether jax has begun to use its devices: what the environment says is read before that.
backends_are_initialized = xla_bridge.backends_are_initialized

# Makes jax read the setting of its cache on the disk again, which it reads once.
reread_cache_setting = compilation_cache.reset_cache


def compile_for(function: Any, *args: Any) -> Any:
    """Traces and compiles what `jax.jit` gave, for arguments like these: the trace, which has the
    jaxpr.

    The next call with such arguments neither traces nor compiles.
    """
    traced = function.trace(*args)
    traced.lower().compile()
    return traced
