import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

import keraslike as keras
from keraslike.core import compilation
from keraslike.core.compilation import _glibc

pytestmark = pytest.mark.slow

PROGRAM = """
import sys, numpy as np, jax, keraslike as keras
counted = []
jax.monitoring.register_event_listener(lambda name, **_: counted.append(name))
keras.config.set_compilation_cache(sys.argv[1])
model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
x = np.ones((64, 2), "float32")
model.fit(x, x[:, 0], verbose=0)
print(counted.count("/jax/compilation_cache/cache_misses"),
      counted.count("/jax/compilation_cache/cache_hits"))
"""


def test_a_second_start_compiles_nothing(tmp_path):
    cache = tmp_path / "deep" / "cache"

    def start():
        args = [sys.executable, "-c", PROGRAM, str(cache)]
        done = subprocess.run(args, capture_output=True, text=True, check=True, env=os.environ)
        return tuple(map(int, done.stdout.split()))

    misses, hits = start()
    assert misses > 0
    assert start() == (0, misses + hits)


@pytest.mark.parametrize("directory", [3, object()])
def test_what_is_no_path(directory):
    with pytest.raises(TypeError):
        keras.config.set_compilation_cache(directory)


@pytest.mark.skipif(_glibc() is None, reason="of glibc only")
@pytest.mark.parametrize("steady", [True, False])
def test_what_a_step_frees_is_there_for_the_next(steady):
    code = (
        "import resource, numpy as np\n"
        "from keraslike.core.compilation import compiler_options\n"
        f"compiler_options() if {steady} else None\n"
        "def step():\n"
        "    arrays = [np.ones(9 << 20, 'uint8') for _ in range(3)]\n"
        "def faults():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5): step()\n"
        "before = faults()\n"
        "for _ in range(10): step()\n"
        "print((faults() - before) / 10)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pages = 3 * (9 << 20) / resource.getpagesize()
    assert (float(done.stdout) < 0.1 * pages) == steady, done.stderr


@pytest.mark.skipif(_glibc() is None, reason="of glibc only")
def test_the_temporary_memory_of_a_step_is_kept_for_the_next_one():
    """It is larger than one block that malloc keeps. Of a single array that is larger XLA gives no
    warning."""
    code = (
        "import resource, numpy as np, keraslike as keras\n"
        "layers = [keras.layers.Dense(16, 'tanh') for _ in range(8)]\n"
        "model = keras.Sequential([keras.Input((16,)), *layers, keras.layers.Dense(90)])\n"
        "model.compile('sgd', 'mse')\n"
        "def faults(size):\n"
        "    found = []\n"
        "    def note(*_):\n"
        "        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "    noting = keras.callbacks.LambdaCallback(on_epoch_end=note)\n"
        "    x = np.ones((size, 16), 'float32')\n"
        "    options = {'batch_size': size, 'verbose': 0, 'callbacks': [noting]}\n"
        "    model.fit(x, x[:, :1], epochs=8, **options)\n"
        "    return min(np.diff(found))\n"
        "print(faults(50_000))\n"
        "def in_blocks():\n"
        "    return all(p._in_blocks for p in model._step_programs.values())\n"
        "print(int(in_blocks()), faults(100_000) and int(in_blocks()))\n"
    )
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert not done.stderr
    kept, *in_blocks = map(int, done.stdout.split())
    pages = 50_000 * 8 * 16 * 4 / resource.getpagesize()
    assert kept < 0.1 * pages
    assert in_blocks == [True, False]  # Most arrays of the last program are larger than a block.


@pytest.mark.skipif(_glibc() is None, reason="of glibc only")
@pytest.mark.parametrize("share, seconds", [(0.01, 0.1), (0.01, 5), (0.5, 0.1), (0.5, 5)])
def test_too_large_a_share_of_the_memory_is_returned(share, seconds, monkeypatch):
    """What malloc does with it depends on what is free, so that its settings are compared."""
    calls = []
    glibc = SimpleNamespace(
        mallopt=lambda *args: calls.append(args),
        malloc_trim=lambda pad: calls.append(("trim", pad)),
    )
    monkeypatch.setattr(compilation, "_glibc", lambda: glibc)
    monkeypatch.setattr(compilation, "steady_memory", lambda: True)
    size = share * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    stats = SimpleNamespace(temp_size_in_bytes=size)
    compilation.adapt_memory(SimpleNamespace(memory_analysis=lambda: stats), seconds)
    trimmed, returned = [("trim", 0)], [(compilation._MMAP_THRESHOLD, 4 << 20)]
    assert calls == trimmed * (seconds > 1) + returned * (share > 1 / 16)


def test_keep_memory_comes_first():
    code = (
        "import keraslike as keras, numpy as np\n"
        "keras.config.keep_memory()\n"
        "model = keras.Sequential([keras.layers.Dense(1)])\n"
        "model.compile(loss='mse')\n"
        "model.fit(np.ones((8, 2)), np.ones(8), verbose=0)\n"
        "try:\n"
        "    keras.config.keep_memory()\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    if _glibc() is None:
        code = code.replace("keras.config.keep_memory()", "pass", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "before anything is computed" in done.stdout, done.stderr
