"""Compiler options for XLA, the compilation cache on disk, and memory allocation."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Any

import jax
import jaxlib.version

from keraslike.core import jax_internals

# jaxlib 0.10 passes convolutions on the CPU to a library that computes their gradients at half the
# speed of XLA's own code. Its default also passes products and sums, where that library is faster.
# In jaxlib 0.11 and 0.12 the default is the better choice.
_WITHOUT_CONVOLUTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,"
    "LIBRARY_FUSION_TYPE_REDUCE"
}

# Schedules operations for memory rather than for many threads. This copies less, and in a loop over
# steps of a few microseconds additional threads do not help.
_IN_ORDER = {"xla_cpu_enable_concurrency_optimized_scheduler": False}

# Parameters of glibc's mallopt. M_MMAP_THRESHOLD and M_TRIM_THRESHOLD get the values that they
# reach once an array of 32 MB was freed; before that, memory that a step frees is returned to the
# system and cleared page by page for the next step. M_TOP_PAD is how much more is requested at a
# time.
_STEADY_MEMORY = ((-3, 32 << 20), (-1, 64 << 20), (-2, 8 << 20))
# One arena for all threads (M_ARENA_MAX), no separate mappings for arrays (M_MMAP_MAX), and no
# memory is returned to the system (M_TRIM_THRESHOLD).
_KEEP_MEMORY = ((-8, 1), (-4, 0), (-1, 2**31 - 1))


def compiler_options(in_loop: bool = False) -> dict[str, Any] | None:
    """The value for `jax.jit(compiler_options=...)` on the default backend.

    Only the outermost `jit` counts.

    Args:
        in_loop: whether the program is a loop over short steps.

    >>> jax.jit(lambda x: x + 1, compiler_options=compiler_options())(1.0).tolist()
    2.0
    """
    if jax.default_backend() != "cpu":
        return None
    steady_memory()
    options: dict[str, Any] = dict(_IN_ORDER) if in_loop else {}
    if jaxlib.version.__version_info__[:2] == (0, 10):
        options.update(_WITHOUT_CONVOLUTIONS)
    return options or None


def keep_memory() -> None:
    """Keeps the memory that a step on the CPU frees for the next step.

    By default the memory of large arrays is returned to the system when a step ends, and cleared
    page by page when the next one begins, which takes up to a quarter of the time of a step with
    large intermediate results. The disadvantage is that the process never returns memory and has a
    higher peak. This works on Linux with glibc.

    It must be called before any computation: raises RuntimeError if JAX has been initialized, and
    with another C library.

    >>> devices = jax.devices()
    >>> keep_memory()
    Traceback (most recent call last):
        ...
    RuntimeError: keep_memory() must be called before anything is computed: ...
    """
    if jax_internals.backends_are_initialized():
        raise RuntimeError(
            "keep_memory() must be called before anything is computed: right after the imports."
        )
    if _glibc() is None:
        raise RuntimeError("keep_memory() needs Linux with glibc.")
    steady_memory()  # It would undo these settings later.
    for parameter, value in _KEEP_MEMORY:
        if not _glibc().mallopt(parameter, value):
            raise RuntimeError(f"glibc refused mallopt({parameter}, {value}).")


@functools.cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


@functools.cache
def steady_memory() -> None:
    """Makes programs on the CPU and pipelines of data reuse memory that they have freed, unless the
    user configured malloc."""
    if _glibc() is None or any(n.startswith(("MALLOC_", "GLIBC_TUNABLES")) for n in os.environ):
        return
    for parameter, value in _STEADY_MEMORY:
        _glibc().mallopt(parameter, value)


def set_compilation_cache(directory: str | os.PathLike | None) -> None:
    """Stores every compiled program in a directory, for later processes.

    A program is reused for the same model, shapes, device and version of JAX. Anyone who can write
    to the directory can change what runs, so treat it like code.

    Args:
        directory: a path, created if it does not exist; `None` disables the cache.

    Raises TypeError for an object that is not a path, OSError if the directory cannot be created.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     set_compilation_cache(directory)
    ...     compiled = jax.jit(lambda x: 3 * x + 1)(2.0)
    ...     kept = len(os.listdir(directory)) > 0
    ...     set_compilation_cache(None)
    >>> kept
    True
    """
    path = None if directory is None else os.path.abspath(os.fspath(directory))
    if path is not None:
        os.makedirs(path, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", path)
    # Small programs are cached too: a model has many, and reading one takes a tenth of the time
    # that compiling takes.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0 if path else 1.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1 if path else 0)
    jax_internals.reread_cache_setting()
