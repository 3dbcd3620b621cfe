"""Folders and archives of exported files: atomic writes, and reads of untrusted files."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator

from keraslike.core.errors import DamagedFile, NoSuchFile, naming_file

ZIP = ".zip"


@contextlib.contextmanager
def placing(path: str, marks: tuple[str, ...]) -> Iterator[str]:
    """A new folder that replaces `path` when the block ends without an error.

    If the path ends in `.zip`, the folder's files become the members of an archive. An existing
    archive is replaced, and so is a folder that is empty or holds one of the files `marks`.
    """
    path = os.path.realpath(path)
    parent, name = os.path.split(path)
    archive = path.endswith(ZIP)
    if os.path.isdir(path):
        inside = os.listdir(path)
        if archive or (inside and not set(marks) & set(inside)):
            raise FileExistsError(
                f"Cannot export to '{path}': it is a folder with files that no export wrote. "
                "Give another path, or remove the folder."
            )
    elif os.path.exists(path) and not archive:
        raise FileExistsError(
            f"Cannot export to '{path}': it is a file, and the format writes a folder."
        )
    os.makedirs(parent, exist_ok=True)
    folder = tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".tmp", dir=parent)
    with naming_file(path), folder as temporary:
        new, old = os.path.join(temporary, "new"), os.path.join(temporary, "old")
        os.mkdir(new)
        yield new
        if archive:
            packed = os.path.join(temporary, name)
            with zipfile.ZipFile(packed, "x") as file:  # uncompressed, as weights hardly compress
                for member in sorted(os.listdir(new)):
                    file.write(os.path.join(new, member), member)
            os.replace(packed, path)
            return
        if os.path.isdir(path):
            os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            if os.path.isdir(old):
                os.rename(old, path)
            raise


def place_file(path: str, data: bytes) -> None:
    """Replaces a file atomically. Raises FileExistsError if there is a folder at the path."""
    parent, name = os.path.split(os.path.realpath(path))
    if os.path.isdir(path):
        raise FileExistsError(f"Cannot export to '{path}': it is a folder.")
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".tmp", dir=parent) as folder:
        new = os.path.join(folder, name)
        with naming_file(path):
            write_new(new, data)
        os.replace(new, os.path.join(parent, name))


def write_new(path: str, data: bytes) -> None:
    """Writes a file that does not exist yet, and waits until the disk has it."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read(path: str, name: str, most: int | None = None) -> bytes:
    """The bytes of a file in a folder, or of a member of an archive.

    Raises NoSuchFile if `path` does not exist, DamagedFile if the folder or archive has no such
    file, is damaged, or the file has more than `most` bytes.
    """
    if not os.path.exists(path):
        raise NoSuchFile(f"There is nothing at '{path}'.")
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise DamagedFile(f"'{path}' names a file outside of it: {name!r}.")
    try:
        if os.path.isdir(path):
            with open(os.path.join(path, name), "rb") as file:
                data = file.read() if most is None else file.read(most + 1)
        else:
            with zipfile.ZipFile(path) as archive:
                info = archive.getinfo(name)
                if info.compress_type != zipfile.ZIP_STORED:
                    raise DamagedFile(f"'{path}': its member {name!r} is compressed.")
                data = archive.read(info)
    except (KeyError, FileNotFoundError) as e:
        raise DamagedFile(f"'{path}' is no exported model, or is damaged: no {name!r}.") from e
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as e:
        raise DamagedFile(f"'{path}' is no exported model, or is damaged: {e}.") from e
    if most is not None and len(data) > most:
        raise DamagedFile(f"'{path}': its {name!r} has more than {most:,} bytes.")
    return data
