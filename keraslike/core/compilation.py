"""The compilation cache: programs that were compiled once, kept on the disk."""

from __future__ import annotations

import os

import jax
from jax.experimental.compilation_cache import compilation_cache


def set_compilation_cache(directory: str | os.PathLike | None) -> None:
    """Keeps every compiled program in a directory, for the next start to find it.

    A program is found again for the same model, shapes, device, and versions of JAX. Whoever can
    write to the directory can change what runs: share it as you share code.

    Args:
        directory: a path, made where there is none; `None` keeps nothing.

    Raises TypeError for what is no path, OSError where the directory cannot be made.

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
    # Small programs too: a model has many, and reading one takes a tenth of compiling it.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0 if path else 1.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1 if path else 0)
    compilation_cache.reset_cache()  # JAX reads the setting once
