"""The checkpoints of a directory, and the tensors in one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from google.protobuf import text_format

from keraslike.tf import bundle, messages
from keraslike.tf.errors import NotFoundError
from keraslike.tf.tensor import Tensor


def path_of(given: Any) -> str:
    """The path that a text or a tensor of text is."""
    if isinstance(given, Tensor):
        given = os.fsdecode(given.numpy())
    return os.fspath(given)


def _state_path(directory: str, name: str | None = None) -> str:
    return os.path.join(directory, name or "checkpoint")


def get_checkpoint_state(checkpoint_dir: Any, latest_filename: str | None = None) -> Any:
    """The contents of the file `checkpoint` of a directory, or `None` if it does not exist or is
    not such a file. Raises ValueError for one that names no newest checkpoint.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(folder + "/ckpt")
    >>> tf.train.get_checkpoint_state(folder).model_checkpoint_path == path
    True
    """
    directory = path_of(checkpoint_dir)
    state = messages.message("CheckpointState")()
    try:
        with open(_state_path(directory, latest_filename), encoding="utf-8") as file:
            text_format.Parse(file.read(), state)
    except (FileNotFoundError, text_format.ParseError):
        return None
    if not state.model_checkpoint_path:
        raise ValueError(f"The state of checkpoints in {directory} has no model_checkpoint_path.")
    state.model_checkpoint_path = os.path.join(directory, state.model_checkpoint_path)
    paths = state.all_model_checkpoint_paths
    paths[:] = [os.path.join(directory, path) for path in paths]
    return state


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The path of the newest checkpoint of a directory, or `None` if there is none.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(folder + "/ckpt")
    >>> tf.train.latest_checkpoint(folder) == path
    True
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None or not os.path.exists(f"{state.model_checkpoint_path}.index"):
        return None
    return state.model_checkpoint_path


def note(directory: str, latest: str, paths: Iterable[str], **times: Any) -> None:
    """Writes the file `checkpoint` of a directory.

    Args:
        times: when the checkpoints were written, and other fields of the message.
    """
    state = messages.message("CheckpointState")(
        model_checkpoint_path=os.path.relpath(latest, directory or "."),
        all_model_checkpoint_paths=[os.path.relpath(path, directory or ".") for path in paths],
        **times,
    )
    path = _state_path(directory)
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(state, as_utf8=True))
    os.replace(f"{path}.part", path)


def load_checkpoint(ckpt_dir_or_file: Any) -> bundle.Reader:
    """The tensors of a checkpoint, or of the newest one of a directory.

    Raises NotFoundError if there is no checkpoint.

    >>> import tempfile
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(tempfile.mkdtemp() + "/ckpt")
    >>> tf.train.load_checkpoint(path).get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE").tolist()
    1.0
    """
    path = path_of(ckpt_dir_or_file)
    if os.path.isdir(path):
        latest = latest_checkpoint(path)
        if latest is None:
            raise NotFoundError(f"Couldn't find 'checkpoint' file or checkpoints in {path}")
        path = latest
    return bundle.Reader(path)


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """The names and shapes of the tensors of a checkpoint.

    >>> import tempfile
    >>> path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).save(tempfile.mkdtemp() + "/ckpt")
    >>> [
    ...     (name, shape)
    ...     for name, shape in tf.train.list_variables(path)
    ...     if name.startswith("v/")
    ... ]
    [('v/.ATTRIBUTES/VARIABLE_VALUE', [2])]
    """
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def load_variable(ckpt_dir_or_file: Any, name: str) -> Any:
    """A tensor of a checkpoint as a numpy array.

    >>> import tempfile
    >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(tempfile.mkdtemp() + "/ckpt")
    >>> tf.train.load_variable(path, "v/.ATTRIBUTES/VARIABLE_VALUE").tolist()
    1.0
    """
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name)


__all__ = [
    *("get_checkpoint_state", "latest_checkpoint", "list_variables", "load_checkpoint"),
    *("load_variable",),
]
