"""Files from elsewhere, kept in a folder of the user's."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, BinaryIO

from keraslike.core.messages import say
from keraslike.utils.archives import extract_archive

_CHUNK = 2**18
_ATTEMPTS = 5  # at a download whose connection breaks off
_TIMEOUT = 60.0  # seconds without a byte


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of a file that is downloaded unless it is there already.

    A download that was broken off goes on where it ended, if the server says that the file is the
    same. The file appears under its name once it is whole and its hash is right. Of several
    processes that want the same file, one downloads it.

    Args:
        fname: its name in the folder; that at `origin`, if `None`.
        origin: its address: `https://…`, `http://…`, `ftp://…` or `file://…`.
        untar: an older form of `extract=True, archive_format="tar"`.
        md5_hash: an older form of `file_hash` with `hash_algorithm="md5"`.
        file_hash: what its contents must hash to, in hexadecimal digits.
        cache_subdir: the folder, within `cache_dir`.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"`: the one whose hashes are that long.
        extract: whether to unpack it, as `extract_archive` does.
        archive_format: `"auto"`, `"tar"` or `"zip"`.
        cache_dir: `$KERAS_HOME`, or `~/.keras`, if `None`.
        force_download: whether to download it even if it is there.

    Returns:
        The path of the file, or of the folder it was unpacked to.

    Raises:
        ConnectionError: it cannot be downloaded; the message says where to put it by hand.
        ValueError: the hash is another, the archive is refused, or an argument is wrong.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("abc")
    >>> path = get_file("b.txt", (folder / "a.txt").as_uri(), cache_dir=folder)
    Downloading data from file://...
    >>> pathlib.Path(path).relative_to(folder).as_posix(), pathlib.Path(path).read_text()
    ('datasets/b.txt', 'abc')
    """
    from filelock import FileLock  # which takes a good part of a start

    if origin is None:
        raise ValueError("origin is the address of the file, not None")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if file_hash is not None:
        _hasher(hash_algorithm, file_hash)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name or os.path.basename(name) != name or name in (".", ".."):
        raise ValueError(
            f"fname is the name of a file, not {name!r}; cache_dir and cache_subdir are its folder"
        )
    folder = os.path.join(_cache(cache_dir), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    unpacked = None
    if extract or untar:
        # Keras's names, so that each finds what the other has downloaded.
        stem = name.split(".", 1)[0] if fname else name
        unpacked = os.path.join(folder, f"{stem}_extracted" if fname and "." in name else stem)
        name = name if fname and "." in name else f"{name}_archive"
    target = os.path.join(folder, name)
    with FileLock(os.path.join(folder, f".{name}.lock")):
        if force_download or not _is_there(target, file_hash, hash_algorithm):
            say(f"Downloading data from {origin}")
            _download(origin, target, file_hash, hash_algorithm)
        if unpacked is None:
            return target
        if not extract_archive(target, unpacked, "tar" if untar else archive_format):
            raise ValueError(f"{target} is no archive of the format {archive_format!r}")
        return unpacked


def _cache(cache_dir: Any) -> str:
    if cache_dir is not None:
        return os.path.expanduser(os.fspath(cache_dir))
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    with contextlib.suppress(OSError):
        os.makedirs(home, exist_ok=True)
    if os.access(home, os.W_OK):
        return home
    # A folder of this user's only: another user could put files of his own into a shared one.
    user = os.getuid() if hasattr(os, "getuid") else "user"
    spare = os.path.join(tempfile.gettempdir(), f"keras-{user}")
    os.makedirs(spare, mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and os.stat(spare).st_uid != os.getuid():
        raise PermissionError(f"{home} cannot be written to: set KERAS_HOME to a folder of yours")
    return spare


def _is_there(path: str, file_hash: str | None, algorithm: str) -> bool:
    if not os.path.exists(path):
        return False
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    say(f"{path} is there, but its hash is not {file_hash}: it is downloaded again.")
    return False


def hash_file(fpath: Any, algorithm: str = "sha256", chunk_size: int = 65535) -> str:
    """The hash of a file's contents in hexadecimal digits, by `"sha256"` or `"md5"`."""
    hasher = _hasher(algorithm, None)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            hasher.update(chunk)
    return hasher.hexdigest()


def validate_file(
    fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 65535
) -> bool:
    """Whether a file's contents have this hash, by `"sha256"`, `"md5"`, or whichever fits."""
    name = _hasher(algorithm, file_hash).name
    return hash_file(fpath, name, chunk_size) == str(file_hash).lower()


def _hasher(algorithm: str, file_hash: str | None) -> Any:
    if algorithm == "auto":
        algorithm = "sha256" if file_hash is None or len(file_hash) == 64 else "md5"
    if algorithm not in ("sha256", "md5"):
        raise ValueError(f"hash_algorithm is 'auto', 'sha256' or 'md5', not {algorithm!r}")
    if file_hash is not None and not re.fullmatch(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}", file_hash):
        raise ValueError(f"file_hash has 32 or 64 hexadecimal digits, not {file_hash!r}")
    return hashlib.new(algorithm, usedforsecurity=False)


class _BrokenOff(ConnectionError):
    """The connection ended before the file did."""


def _download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    # What a broken-off download has left goes on only if the server still has the same version.
    part, version = f"{target}.part", f"{target}.part.version"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch(origin, part, version)
            break
        except (_BrokenOff, TimeoutError, ConnectionResetError) as error:
            if attempt == _ATTEMPTS:
                raise _failure(origin, target, error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if getattr(error, "code", None) == 416 and os.path.exists(version):
                os.remove(version)  # all of it was there already: which, nobody can say any more
                continue
            raise _failure(origin, target, error) from error
    os.remove(version)
    if file_hash is not None and not validate_file(part, file_hash, algorithm):
        found = hash_file(part, _hasher(algorithm, file_hash).name)
        os.remove(part)
        raise ValueError(
            f"Incomplete or corrupted file: what {origin} gives has the hash {found}, where "
            f"{file_hash} was expected. It is not kept"
        )
    os.replace(part, target)


def _failure(origin: str, target: str, error: Exception) -> ConnectionError:
    reason = getattr(error, "reason", None) or error
    return ConnectionError(
        f"URL fetch failure on {origin}: {reason}. Without a connection, put the file from there "
        f"to {target} by hand"
    )


def _fetch(origin: str, part: str, version: str) -> None:
    """Brings a file, or what is missing of it, to `part`."""
    begun, known = _begun(part, version)
    request = urllib.request.Request(origin, headers={"User-Agent": "keraslike"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
        request.add_header("If-Range", known)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        headers = response.headers
        if getattr(response, "status", None) != 206:
            begun = 0
            _begin(part, version, headers.get("ETag") or headers.get("Last-Modified") or "")
        length = headers.get("Content-Length")
        size = None if length is None else begun + int(length)
        with open(part, "ab") as file:
            for count in _shown(_copy(response, file), begun, size, os.path.basename(part)[:-5]):
                begun += count
    if size is not None and begun < size:
        raise _BrokenOff(f"the connection ended after {begun:,} of {size:,} bytes")


def _begun(part: str, version: str) -> tuple[int, str]:
    """How many bytes of a file are there, and of which version of it."""
    try:
        with open(version, encoding="utf-8") as file:
            known = file.read()
        # A weak tag does not promise the same bytes, so no server goes on from it.
        return (0, "") if not known or known.startswith("W/") else (os.path.getsize(part), known)
    except OSError:
        return 0, ""


def _begin(part: str, version: str, known: str) -> None:
    # In this order: at no moment are there bytes of another version than is said.
    open(part, "wb").close()
    with open(version, "w", encoding="utf-8") as file:
        file.write(known)


def _copy(response: Any, file: BinaryIO) -> Iterator[int]:
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        yield len(chunk)


def _shown(counts: Iterator[int], begun: int, size: int | None, name: str) -> Iterator[int]:
    """The same counts, with a bar on a terminal."""
    from rich import get_console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    # Where nobody would see the bar it is not begun: one that is disabled later draws on for ever.
    with progress.Progress(*columns, disable=not get_console().is_terminal) as bar:
        task = bar.add_task(name, total=size, completed=begun)
        for count in counts:
            bar.advance(task, count)
            yield count
