"""The command line: `python -m keraslike run SCRIPT ARGS…`, or `run -m PACKAGE ARGS…`, runs a
program in which `import keras` imports keraslike (`as_keras`); `run` may be omitted. `export` and
`inspect` handle model files (`export/command.py`), `doctor` and `bench` the installation
(`doctor.py`)."""

import os
import runpy
import sys

import keraslike

_USAGE = """usage: python -m keraslike [run] SCRIPT [ARG ...]
       python -m keraslike [run] -m MODULE [ARG ...]
       python -m keraslike export MODEL [--format FORMAT] OUT
       python -m keraslike inspect MODEL
       python -m keraslike doctor
       python -m keraslike bench [--seconds SECONDS]

run      runs a program in which `import keras` imports keraslike
export   exports a model file to another format
inspect  shows the contents of a model file without running its code
doctor   reports versions, devices and missing packages, and runs a short self-test
bench    times a training step of small models"""


def main() -> None:
    """Runs the program in the command line, with its arguments."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("export", "inspect"):
        from keraslike.export import command

        raise SystemExit(command.main(arguments))
    if arguments and arguments[0] in ("doctor", "bench"):
        from keraslike import doctor

        raise SystemExit(doctor.main(arguments))
    arguments = arguments[bool(arguments) and arguments[0] == "run" :]
    module = arguments[0] == "-m" if arguments else False
    arguments = arguments[module:]
    if not arguments or (arguments[0].startswith("-") and not module):
        wanted = bool(arguments) and arguments[0] in ("-h", "--help")
        print(_USAGE, file=sys.stdout if wanted else sys.stderr)
        raise SystemExit(0 if wanted else 2)
    if not module and not os.path.exists(arguments[0]):
        print(f"There is no file {arguments[0]!r}.\n{_USAGE}", file=sys.stderr)
        raise SystemExit(2)
    keraslike.as_keras()
    sys.argv = arguments
    if module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        script = arguments[0]
        sys.path[0] = os.path.dirname(os.path.abspath(script))  # as Python does for a script
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
