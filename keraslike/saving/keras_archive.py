"""The `.keras` file: a zip of `config.json`, `metadata.json`, `model.weights.h5` and `assets/`, as
Keras's.

Files are untrusted, so sizes and names are checked before anything is unpacked, and nothing in the
archive is written to the disk. Every fault raises a ValueError that names the file.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import io
import json
import os
import secrets
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from keraslike.core import json_texts, registry, serialization
from keraslike.core.checksums import crc32_of_file
from keraslike.core.errors import DamagedFile, naming_file
from keraslike.saving import old_config, seal
from keraslike.saving.h5_writer import WriteBehind, pieces_of
from keraslike.saving.old_names import origin_of

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ASSETS = "assets/"

# Keras stores members without compression. A member that is larger than the floor, and expands to
# more than this multiple of its stored size, is a decompression bomb and no repacked model.
_FLOOR, _MOST_EXPANSION = 64 << 20, 100

# The deepest nesting of lists and dicts in a config: about sixty nested models.
_MOST_LEVELS = 200


# -- writing ----------------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A new file that replaces `path` when the block ends without an error.

    It is written beside the old one, which is unchanged until the new one is on disk.
    """
    path = os.path.realpath(path)  # A symbolic link keeps pointing to the file.
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot save '{name}': there is no folder '{folder}'.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"Cannot save '{path}': it is a folder.")
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with naming_file(path), open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def write(
    to: str | IO[bytes], config: dict[str, Any], weights: Any, assets: dict[str, bytes]
) -> None:
    """Writes a `.keras` file, completely or not at all.

    Args:
        to: the path of the file, or a file object.
        config: what `serialization.serialize(model)` gives.
        weights: a `.weights.h5` file, an `Image` or its bytes.
        assets: files by their paths.
    """
    target = replacing(to) if isinstance(to, str) else contextlib.nullcontext(to)
    with target as file, WriteBehind(file) as behind, zipfile.ZipFile(behind, "w") as archive:
        for name, data in _members(config, weights, assets):
            if name == WEIGHTS:
                _write_pieces(archive, name, data)
            else:
                archive.writestr(name, data)


def _write_pieces(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """`archive.writestr(name, data)` for data that need not be in memory at once."""
    member = zipfile.ZipInfo(name, time.localtime()[:6])
    member.external_attr = 0o600 << 16
    member.file_size = len(data)
    with archive.open(member, "w") as file:
        for piece in pieces_of(data):
            file.write(piece)


def write_folder(path: str, config: dict[str, Any], weights: Any, assets: dict[str, bytes]) -> None:
    """Writes the contents of a `.keras` file as files in a folder.

    Existing files are replaced once all new ones are on disk; other files are kept.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot save '{name}': there is no folder '{folder}'.")
    if os.path.exists(path) and not os.path.isdir(path):
        raise FileExistsError(f"Cannot save '{path}': it is a file, and no folder.")
    with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".tmp", dir=folder) as parent:
        new, old = os.path.join(parent, "new"), os.path.join(parent, "old")
        os.makedirs(os.path.join(new, ASSETS))
        os.mkdir(old)
        for member, data in _members(config, weights, assets):
            place = os.path.join(new, *member.split("/"))
            if member.endswith("/"):
                os.makedirs(place, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as file:
                if member == WEIGHTS:
                    seal.write(file, data)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if not os.path.exists(path):
            os.rename(new, path)
            return
        for member in os.listdir(new):
            place = os.path.join(path, member)
            if os.path.isdir(place):  # The assets, which cannot be replaced in one step.
                os.rename(place, os.path.join(old, member))
            os.replace(os.path.join(new, member), place)


def _members(
    config: dict[str, Any], weights: Any, assets: dict[str, bytes]
) -> Iterator[tuple[str, Any]]:
    metadata = {
        "keras_version": registry.KERAS_VERSION,
        "keraslike_version": version(),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    yield METADATA, json.dumps(metadata).encode()
    yield CONFIG, json.dumps(config).encode()
    yield WEIGHTS, weights
    yield from ((f"{ASSETS}{name}", data) for name, data in assets.items())


def config_of(model: Any) -> dict[str, Any]:
    """The config of a model as nested plain values."""
    return serialization.serialize_shared(model)


def version() -> str:
    """The version of keraslike."""
    try:
        return importlib.metadata.version("keraslike")
    except importlib.metadata.PackageNotFoundError:  # Imported from a checkout.
        return "unknown"


# -- reading ----------------------------------------------------------------------------------


class Stored(io.RawIOBase):
    """A part of a file on disk as a file object, which has to be closed.

    It is read from the file and not mapped into memory: a mapping would crash the process if the
    file was truncated meanwhile.
    """

    def __init__(self, descriptor: int, begin: int, size: int):
        self._descriptor, self._begin, self._size = os.dup(descriptor), begin, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view, done = view[: max(0, self._size - self._position)], 0
        while done < len(view):
            place = self._begin + self._position + done
            n = os.preadv(self._descriptor, [view[done:]], place)
            if not n:
                break
            done += n
        self._position += done
        return done

    def checksum(self) -> int:
        """The CRC-32 of the whole part."""
        return crc32_of_file(self._descriptor, self._begin, self._size)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def read(path: str) -> tuple[dict[str, Any], IO[bytes], dict[str, bytes]]:
    """The config, the weights file (which has to be closed) and the assets in a `.keras` file, or
    in a folder with the contents of one.

    The config is converted to its current form; names in it are looked up among the custom objects
    in scope.
    """
    config, metadata, weights, assets = read_members(path)
    version = _keras_version(metadata)
    return old_config.from_archive(checked_config(path, config), version), weights, assets


def read_members(path: str) -> tuple[Any, Any, IO[bytes], dict[str, bytes]]:
    """The config, the metadata, the weights file and the assets, unconverted."""
    with _opened(path) as archive:
        config = parse_json(path, _member(path, archive, CONFIG), CONFIG)
        metadata = _metadata(path, archive)
        files = _assets(path, archive)
        return config, metadata, _weights(path, archive), files


def is_folder(path: str) -> bool:
    """Whether it is a folder with the contents of a `.keras` file."""
    return os.path.isdir(path) and os.path.isfile(os.path.join(path, CONFIG))


class _Folder:
    """The files in a folder by path, with the interface of a `ZipFile`."""

    def __init__(self, path: str):
        self.path = path

    def namelist(self) -> list[str]:
        found = []
        for directory, folders, files in os.walk(self.path):
            place = os.path.relpath(directory, self.path).replace(os.sep, "/")
            prefix = "" if place == "." else f"{place}/"
            found += [prefix + name for name in files]
            if not files and not folders:
                found.append(prefix)
        return found

    def read(self, name: str) -> bytes:
        place = os.path.join(self.path, *name.split("/"))
        if name == WEIGHTS:
            seal.check_seal(place)
        with open(place, "rb") as file:
            return file.read()


def _metadata(path: str, archive: Any) -> Any:
    if METADATA not in archive.namelist():
        return None
    return parse_json(path, _member(path, archive, METADATA), METADATA)


def _keras_version(metadata: Any) -> Any:
    return metadata.get("keras_version") if isinstance(metadata, dict) else None


def version_of(path: str) -> tuple[int, ...] | None:
    """The version of Keras that wrote a `.keras` file; `None` if it is not recorded."""
    with _opened(path) as archive:
        version = _keras_version(_metadata(path, archive))
    return None if version is None else origin_of(version).version


def read_weights(path: str) -> IO[bytes]:
    """The weights file in a `.keras` file, which has to be closed."""
    with _opened(path) as archive:
        return _weights(path, archive)


def _weights(path: str, archive: Any) -> Any:
    """The weights file. If it is not compressed it is read from disk, after its checksum was
    verified."""
    if not hasattr(os, "preadv"):
        return io.BytesIO(_member(path, archive, WEIGHTS))
    if isinstance(archive, _Folder):
        place = os.path.join(path, WEIGHTS)
        if not os.path.isfile(place):
            # This raises the error for a missing member.
            return io.BytesIO(_member(path, archive, WEIGHTS))
        seal.check_seal(place)
        with open(place, "rb") as file:
            return Stored(file.fileno(), 0, os.path.getsize(place))
    member = _checked(path, archive, WEIGHTS)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        return io.BytesIO(_member(path, archive, WEIGHTS))
    archive.open(member).close()  # This checks the member's local header.
    archived: Any = archive.fp
    archived.seek(member.header_offset + _NAMES)
    begin = member.header_offset + _HEADER + sum(struct.unpack("<HH", archived.read(4)))
    stored = Stored(archived.fileno(), begin, member.file_size)
    try:
        if stored.checksum() != member.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {WEIGHTS!r}")
    except BaseException:
        stored.close()
        raise
    return stored


# The size of the header before a member, and the offset of the sizes of the variable-length name
# and extra field.
_HEADER, _NAMES = 30, 26


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    if is_folder(path):
        yield _Folder(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
                    raise ValueError(f"its member {name!r} points outside of it")
            yield archive
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except DamagedFile:
        raise
    except zipfile.BadZipFile as e:
        raise DamagedFile(
            f"'{path}' is no `.keras` file, or is damaged: {_looks_like(path, e)}."
        ) from e
    except (ValueError, OSError, EOFError, RuntimeError, zlib.error, struct.error) as e:
        raise DamagedFile(f"'{path}' cannot be read as a `.keras` file: {e}.") from e


def _looks_like(path: str, error: Exception) -> str:
    with open(path, "rb") as file:
        start = file.read(8)
    if not start:
        return "it is empty"
    if start.startswith(b"PK\x03\x04"):
        return f"it begins as a zip archive and was cut off or changed ({error})"
    return "it is no zip archive"


def _member(path: str, archive: Any, name: str) -> bytes:
    if isinstance(archive, _Folder):
        try:
            return archive.read(name)
        except FileNotFoundError as e:
            raise DamagedFile(f"'{path}' is no folder of a model: it has no '{name}'.") from e
    member = _checked(path, archive, name)
    size = member.file_size
    # No more than the stated size is read, whatever it expands to.
    with archive.open(member) as file:
        data = file.read(size)
        if len(data) != size or file.read(1):
            raise DamagedFile(
                f"'{path}' is damaged: '{name}' is not as long as it says, {size} bytes."
            )
    return data


def _checked(path: str, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The only member with this name, after a check of its stated size."""
    members = [m for m in archive.infolist() if m.filename == name]
    if len(members) != 1:
        found = ", ".join(sorted(set(archive.namelist()))[:10]) or "nothing"
        times = "no" if not members else f"{len(members)} times"
        raise DamagedFile(
            f"'{path}' is no `.keras` file that can be read here: it has {times} '{name}'. "
            f"It holds: {found}."
        )
    member = members[0]
    size, stored = member.file_size, member.compress_size
    if stored > os.path.getsize(path) or size > max(_FLOOR, _MOST_EXPANSION * stored):
        raise DamagedFile(
            f"'{path}' is damaged or not safe to load: '{name}' says to hold {size} bytes, with "
            f"{stored} stored for them, as a decompression bomb does."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DamagedFile(f"'{path}': '{name}' is packed in a way that `.keras` files are not.")
    return member


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member; ValueError for one whose stated size is impossible."""
    return _member(archive.filename or "archive", archive, name)


def _assets(path: str, archive: Any) -> dict[str, bytes]:
    if isinstance(archive, _Folder):
        names = [n for n in archive.namelist() if n.startswith(ASSETS) and n != ASSETS]
        return {n.removeprefix(ASSETS): b"" if n.endswith("/") else archive.read(n) for n in names}
    members = [m for m in archive.infolist() if m.filename.startswith(ASSETS)]
    size = sum(m.file_size for m in members)
    if size > max(_FLOOR, _MOST_EXPANSION * os.path.getsize(path)):
        raise DamagedFile(
            f"'{path}' is damaged or not safe to load: '{ASSETS}' says to hold {size} bytes, as a "
            "decompression bomb does."
        )
    names = [m.filename for m in members if m.filename != ASSETS]
    return {name.removeprefix(ASSETS): _member(path, archive, name) for name in names}


def parse_json(path: str, data: bytes | str, what: str) -> Any:
    """Parses a part of a file as JSON; ValueError if it is invalid."""
    try:
        return json_texts.parse_json(data)
    except ValueError as e:
        raise DamagedFile(f"'{path}': '{what}' cannot be read. {e}") from e


def checked_config(path: str, config: Any) -> dict[str, Any]:
    """A model's config that was read from a file; ValueError if it cannot be one."""
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise DamagedFile(f"'{path}': its config describes no model.")
    level = [config]
    for _ in range(_MOST_LEVELS):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return config
    raise DamagedFile(f"'{path}': its config is nested more than {_MOST_LEVELS} levels deep.")
