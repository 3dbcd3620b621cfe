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

# Parameters of glibc's mallopt. Freed memory that is returned to the system is mapped and cleared
# page by page for the next step. Blocks of less than M_MMAP_THRESHOLD (32 MB is the largest value)
# are kept for the next step instead, and of the main arena's memory M_TRIM_THRESHOLD. M_ARENA_MAX
# limits how many threads can keep the memory of a step. M_TOP_PAD is how much more is requested at
# a time.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX, _TOP_PAD, _MMAP_MAX = -3, -1, -8, -2, -4
_STEADY_MEMORY = (
    (_MMAP_THRESHOLD, 32 << 20),
    (_TRIM_THRESHOLD, 256 << 20),
    (_ARENA_MAX, 4),
    (_TOP_PAD, 64 << 20),
)
# No separate mappings for arrays, and no memory is returned to the system.
_KEEP_MEMORY = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
# XLA allocates the temporary memory of a program as one block by default. It is divided into blocks
# below M_MMAP_THRESHOLD. A larger array has a block of its own, which no other array reuses.
BLOCK = 30 << 20
# The fraction of the machine's memory that the temporary memory of a program may take to be kept:
# up to one copy for each arena. Blocks of at least `_SMALL_BLOCK` are then returned.
_KEPT_SHARE, _SMALL_BLOCK = 1 / 16, 4 << 20
# Compilation leaves several hundred MB in malloc after this number of seconds.
_LONG_COMPILATION = 1.0


def compiler_options(in_loop: bool = False, in_blocks: bool = True) -> dict[str, Any] | None:
    """The value for `jax.jit(compiler_options=...)` on the default backend.

    Only the outermost `jit` counts.

    Args:
        in_loop: whether the program is a loop over short steps.
        in_blocks: whether its temporary memory may consist of blocks of up to `BLOCK` bytes, which
            malloc keeps for the next step.

    >>> jax.jit(lambda x: x + 1, compiler_options=compiler_options())(1.0).tolist()
    2.0
    """
    if jax.default_backend() != "cpu":
        return None
    steady_memory()
    options: dict[str, Any] = dict(_IN_ORDER) if in_loop else {}
    if jaxlib.version.__version_info__[:2] == (0, 10):
        options.update(_WITHOUT_CONVOLUTIONS)
    if in_blocks and uses_blocks():
        options["xla_multiheap_size_constraint_per_heap"] = BLOCK
    return options or None


def uses_blocks() -> bool:
    """Whether the temporary memory of programs is divided into blocks."""
    # jaxlib cannot write a program with several blocks to the compilation cache.
    cached = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    return jax.default_backend() == "cpu" and _glibc() is not None and not cached


def adapt_memory(compiled: Any, seconds: float) -> None:
    """Adapts malloc to a program of `compiler_options`, given the seconds of its compilation."""
    if jax.default_backend() != "cpu" or not steady_memory():
        return
    temporary = compiled.memory_analysis().temp_size_in_bytes
    if seconds > _LONG_COMPILATION:
        _glibc().malloc_trim(0)
    if temporary > _KEPT_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        _glibc().mallopt(_MMAP_THRESHOLD, _SMALL_BLOCK)


def keep_memory() -> None:
    """Keeps the memory that a step on the CPU frees for the next step.

    By default the memory of arrays of 30 MB and more is returned to the system when a step ends,
    and cleared page by page when the next one begins, and so is that of all intermediate results
    where they take more than a sixteenth of the machine's memory, or with a compilation cache. It
    can take half of the time of a step. The disadvantage is that the process never returns memory
    and has a higher peak. This works on Linux with glibc.

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
            raise RuntimeError(f"glibc rejected mallopt({parameter}, {value}).")


@functools.cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


@functools.cache
def steady_memory() -> bool:
    """Makes programs on the CPU and pipelines of data reuse memory that they have freed, unless the
    user configured malloc. Returns whether it did."""
    if _glibc() is None or any(n.startswith(("MALLOC_", "GLIBC_TUNABLES")) for n in os.environ):
        return False
    for parameter, value in _STEADY_MEMORY:
        _glibc().mallopt(parameter, value)
    return True


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
