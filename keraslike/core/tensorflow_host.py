"""A child process with TensorFlow, which runs functions of SavedModels and programs.

TensorFlow is not imported in this process: `tensorflow_server.py` is run by an interpreter that has
it. One child serves all models and ends with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.machinery
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keraslike.core import tensorflow_server
from keraslike.core.tensorflow_server import unpacked

# The interpreter with TensorFlow, if it is another one than this.
INTERPRETER = "KERASLIKE_TENSORFLOW_PYTHON"

SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")  # A SavedModel contains one of them.


def interpreter() -> str | None:
    """The interpreter with TensorFlow; `None` where there is none."""
    named = os.environ.get(INTERPRETER)
    if named is not None:
        return named
    # `find_spec` is not used, since keraslike's own modules may be named `tensorflow` in this
    # process.
    found = importlib.machinery.PathFinder.find_spec("tensorflow")
    return sys.executable if found is not None and found.origin is not None else None


def environment() -> dict[str, str]:
    """The environment variables of a process in which TensorFlow runs."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONSAFEPATH": "1"}


class TensorFlowError(RuntimeError):
    """An error in TensorFlow of a type that Python does not have."""


_KINDS = {kind.__name__: kind for kind in (KeyError, OSError, TypeError, ValueError)}


class _Process:
    def __init__(self, path: str):
        # Closed with the process.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [path, tensorflow_server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment(),
        )
        self._lock, self.owner, self.path = threading.Lock(), os.getpid(), path
        atexit.register(self.end)

    def serves(self, path: str) -> bool:
        """Whether the child is alive, belongs to this process and runs the interpreter at a
        path."""
        alive = self._process.poll() is None and self.owner == os.getpid()
        return alive and self.path == path

    def end(self) -> None:
        if self.owner == os.getpid() and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait()

    def ask(self, message: dict, arrays: Sequence[np.ndarray]) -> tuple[dict, list[np.ndarray]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with self._lock:
            try:
                tensorflow_server.send(stdin, message, list(arrays))
                answer, found = tensorflow_server.receive(stdout)
            except (BrokenPipeError, EOFError):
                raise self._failed() from None
        if "error" in answer:
            kind, text = answer["error"]
            raise _KINDS.get(kind, TensorFlowError)(text)
        return answer, found

    def _failed(self) -> Exception:
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        if lines and lines[-1].startswith("ModuleNotFoundError"):
            return ImportError(_needed(lines[-1]))
        return TensorFlowError("TensorFlow's process has ended:\n" + "\n".join(lines[-15:]))


def _needed(said: str = "") -> str:
    return (
        "A SavedModel is run by TensorFlow: pip install keraslike[tensorflow], or name an "
        f"interpreter that has it in the environment variable {INTERPRETER}. {said}"
    ).strip()


_process: _Process | None = None
_starting = threading.Lock()


def _started() -> _Process:
    global _process
    with _starting:
        path = interpreter()
        if path is None:
            raise ImportError(_needed())
        if _process is None or not _process.serves(path):
            _process = _Process(path)
        return _process


def run_program(path: str, *arguments: str, needed: str) -> None:
    """Calls `main(*arguments)` of a file of Python's in that process.

    Args:
        needed: the error message if TensorFlow is not installed.

    Raises ImportError in that case, and the exceptions of the call, with TensorFlowError for types
    that only TensorFlow has.
    """
    if interpreter() is None:
        raise ImportError(needed)
    asked = {"what": "program", "path": path, "arguments": list(arguments)}
    try:
        _started().ask(asked, ())
    except ImportError as error:
        raise ImportError(f"{needed} {error}") from None


class Arguments(NamedTuple):
    """Arguments of a function of a SavedModel."""

    structure: Any  # `(args, kwargs)` as described by `tensorflow_server.packed`.
    inputs: Sequence[Any]  # The arrays that are its leaves.
    # The inputs that become tensors of the dtype that the function expects.
    plain: Sequence[int] = ()


class HostedModel:
    """A SavedModel that is loaded in the child process.

    Args:
        path: of the folder.
        tags: of the graph to load.

    Raises ImportError if there is no TensorFlow, OSError where there is no SavedModel.
    """

    def __init__(self, path: str, tags: Sequence[str] | None = None):
        self._process = _started()
        asked = {"what": "load", "path": os.path.abspath(path), "tags": tags and list(tags)}
        answer, values = self._process.ask(asked, ())
        self._model = answer["model"]
        self.nodes: list[dict[str, Any]] = answer["nodes"]
        self.variables: list[dict[str, Any]] = answer["variables"]
        self.values = values  # The variables' values in the files.
        self._sent: list[Any] = list(values)

    def __deepcopy__(self, memo: dict[int, Any]) -> HostedModel:
        return self

    def node(self, *names: str) -> dict[str, Any] | None:
        """The node at a path of names below the loaded object, or `None`."""
        node = self.nodes[0]
        for name in names:
            if name not in node["children"]:
                return None
            node = self.nodes[node["children"][name]]
        return node

    def _asked(self, node: Any, arguments: Arguments, values: Sequence[Any]) -> Any:
        numbers = node["variables"]
        changed = [(n, v) for n, v in zip(numbers, values) if self._sent[n] is not v]
        message = {
            "what": "run",
            "model": self._model,
            "function": node["number"],
            "variables": numbers,
            "arguments": arguments.structure,
            "count": len(arguments.inputs),
            "plain": list(arguments.plain),
            "set": [n for n, _ in changed],
            "trial": False,
            "gradient": False,
        }
        return message, [*(np.asarray(v) for _, v in changed), *map(np.asarray, arguments.inputs)]

    def call(
        self, node: Any, arguments: Arguments, values: Sequence[Any], trial: bool
    ) -> tuple[Any, dict[int, np.ndarray]]:
        """The outputs of a function, and the new values of the variables that it has changed.

        Args:
            node: which function.
            values: the values of the function's variables.
            trial: whether to restore the previous state afterwards.
        """
        message, arrays = self._asked(node, arguments, values)
        answer, found = self._process.ask({**message, "trial": trial}, arrays)
        new = found[len(found) - len(answer["changed"]) :]
        changed = dict(zip(answer["changed"], new, strict=True))
        if not trial:
            for number, value in zip(node["variables"], values):
                self._sent[number] = value
            for number in changed:
                # Whoever keeps the value will later have another array of it.
                self._sent[number] = None
        return unpacked(answer["structure"], found), changed

    def keep(self, number: int, value: Any) -> None:
        """Records that the child's variable holds a value, so that it is not sent again."""
        self._sent[number] = value

    def derive(
        self, node: Any, arguments: Arguments, values: Sequence[Any], along: Sequence[Any]
    ) -> list[np.ndarray | None]:
        """The gradients by the variables and by the inputs, `None` where there is none.

        Args:
            along: a cotangent for each floating-point output.
        """
        message, arrays = self._asked(node, arguments, values)
        message |= {"gradient": True, "trial": True}
        answer, found = self._process.ask(message, [*arrays, *map(np.asarray, along)])
        rest = iter(found)
        return [next(rest) if given else None for given in answer["given"]]


def is_saved_model(path: str) -> bool:
    """Whether a path holds a SavedModel."""
    return any(os.path.isfile(os.path.join(path, name)) for name in SAVED_MODEL_FILES)
