import ctypes
import os
import subprocess
import sys

import pytest

import keraslike as keras

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
    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        code = code.replace("keras.config.keep_memory()", "pass", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "before anything is computed" in done.stdout, done.stderr
