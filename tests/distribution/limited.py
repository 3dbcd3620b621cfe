"""Runs a module with a time limit, at which it writes what each of its threads is doing and ends.

python -m tests.distribution.limited SECONDS MODULE ARGUMENTS...
"""

import faulthandler
import runpy
import sys

if __name__ == "__main__":
    seconds, module, *sys.argv[1:] = sys.argv[1:]
    faulthandler.dump_traceback_later(float(seconds), exit=True)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
