"""One set-up for all tests: Keras, the oracle, runs on its JAX backend, and a program that one
test has compiled is compiled for all."""

import contextlib
import gc
import os
import tempfile
import threading

import numpy as np
import pytest

from tests import quick

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_FLAGS", quick.FLAGS)
# Lines of Python that jax notes with each operation that it lowers, which no test looks at.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

collect_ignore_glob = ["types/samples/*"]  # programs for a type checker


def _folder_of_programs():
    """Gives this run a folder for compiled programs, which the workers of pytest-xdist and all
    other processes that tests start share: a model and its copies in files are one program, and
    compiling is what takes the time. A conftest.py further down may import jax, which reads the
    variables then."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:  # a worker's, or the user's own
        return None
    folder = tempfile.TemporaryDirectory(prefix="keraslike-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    return folder


_programs = _folder_of_programs()


def pytest_configure(config):
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        _set_up()


def _set_up():
    """Garbage collection passes over the objects of the packages that tests import."""
    import flax.nnx  # noqa: F401
    import jax
    import keras  # noqa: F401
    import optax  # noqa: F401

    # jax takes longer to leave its frames out of the traceback of an error than for most else.
    jax.config.update("jax_traceback_filtering", "off")
    _share_contexts()
    _keep_programs()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # tests drop little that is large


def _share_contexts():
    """jax makes a context of MLIR's for each program that it lowers, and keeps it with the program:
    milliseconds and a megabyte, of which some hundred programs may just as well use one. A program
    that is lowered while another one is has its own."""
    from jax._src.interpreters import mlir

    make, of_thread = mlir.make_ir_context, threading.local()

    def context():
        if mlir.ir.Context.current is not None:
            return make()
        uses = getattr(of_thread, "uses", 0)
        if uses % 200 == 0:
            of_thread.context = make()
        of_thread.uses = uses + 1
        return of_thread.context

    mlir.make_ir_context = context


_kept = {}  # the key of a program in jax's cache -> the program, how it is written to the folder


def _keep_programs():
    """Most programs are needed once, and writing one takes a good part of the time that compiling
    it does: a program stays in memory, and goes to the folder when it is needed again."""
    import jax
    from jax._src import compilation_cache as cache

    read, write = cache.get_executable_and_time, cache.put_executable_and_time
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"]

    def get(key, *others):
        if key not in _kept or jax.config.jax_compilation_cache_dir != folder:  # a test's own
            return read(key, *others)
        program, rest = _kept[key]
        if rest is not None:
            _kept[key] = program, None
            module_name, *others = rest
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # one that cannot be written
                write(key, module_name, program, *others)
        return program, 0

    def put(key, module_name, program, *others):
        if jax.config.jax_compilation_cache_dir != folder:
            write(key, module_name, program, *others)
        else:
            _kept[key] = program, (module_name, *others)

    cache.get_executable_and_time, cache.put_executable_and_time = get, put


def pytest_unconfigure(config):
    if _programs is not None:
        _programs.cleanup()


@pytest.fixture
def rng():
    """Reproducible random numbers."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _whole_tracebacks():
    """A test that fails shows where."""
    import keraslike

    keraslike.config.disable_traceback_filtering()


@pytest.fixture(autouse=True)
def _seeded():
    import keraslike

    keraslike.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def _few_programs_in_memory():
    """jax keeps a program, of a tenth of a megabyte or more, for each operation and shape that was
    ever run by itself, and tests run thousands. What is needed again comes from the folder."""
    import jax

    yield
    if len(jax.devices()[0].client.live_executables()) > 2000:
        _kept.clear()
        jax.clear_caches()
