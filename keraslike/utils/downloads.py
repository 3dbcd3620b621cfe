"""Downloads of files, with a cache in the user's home directory."""

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
_ATTEMPTS = 5  # attempts after interrupted connections
_TIMEOUT = 60.0  # seconds without data after which a connection is given up


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
    """The path of a file, which is downloaded if it is not in the cache.

    An interrupted download is resumed, if the server confirms that the file is unchanged. The file
    appears under its name once it is complete and its hash is verified. If several processes need
    the same file, one of them downloads it.

    Args:
        fname: the name of the file in the cache; by default that at `origin`.
        origin: the URL: `https://…`, `http://…`, `ftp://…` or `file://…`.
        untar: an older form of `extract=True, archive_format="tar"`.
        md5_hash: an older form of `file_hash` with `hash_algorithm="md5"`.
        file_hash: the expected hash of the contents, in hexadecimal digits.
        cache_subdir: the folder within `cache_dir`.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"` to choose by the length of the hash.
        extract: whether to extract the file, as `extract_archive` does.
        archive_format: `"auto"`, `"tar"` or `"zip"`.
        cache_dir: the cache, by default `$KERAS_HOME` or `~/.keras`.
        force_download: whether to download the file even if it is in the cache.

    Returns:
        The path of the file, or of the folder it was extracted to.

    Raises:
        ConnectionError: the download failed; the message has the path for a manual download.
        ValueError: the hash differs, the archive is unsafe, or an argument is invalid.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("abc")
    >>> path = get_file("b.txt", (folder / "a.txt").as_uri(), cache_dir=folder)
    Downloading data from file://...
    >>> pathlib.Path(path).relative_to(folder).as_posix(), pathlib.Path(path).read_text()
    ('datasets/b.txt', 'abc')
    """
    from filelock import FileLock  # imported on demand, since it slows down the start

    if origin is None:
        raise ValueError("origin must be the URL of the file. Received: origin=None")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if file_hash is not None:
        _hasher(hash_algorithm, file_hash)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name or os.path.basename(name) != name or name in (".", ".."):
        raise ValueError(
            "fname must be a file name without a folder; give cache_dir and cache_subdir for the "
            f"folder. Received: fname={name!r}"
        )
    folder = os.path.join(_cache(cache_dir), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    unpacked = None
    if extract or untar:
        # Keras's names, so that the two packages share a cache.
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
            raise ValueError(f"{target} is not an archive of the format {archive_format!r}.")
        return unpacked


def _cache(cache_dir: Any) -> str:
    if cache_dir is not None:
        return os.path.expanduser(os.fspath(cache_dir))
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    with contextlib.suppress(OSError):
        os.makedirs(home, exist_ok=True)
    if os.access(home, os.W_OK):
        return home
    # A folder with permissions for this user only: in a shared one others could place files.
    user = os.getuid() if hasattr(os, "getuid") else "user"
    spare = os.path.join(tempfile.gettempdir(), f"keras-{user}")
    os.makedirs(spare, mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and os.stat(spare).st_uid != os.getuid():
        raise PermissionError(
            f"The cache {home} is not writable. Set the environment variable KERAS_HOME to a "
            "folder that is."
        )
    return spare


def _is_there(path: str, file_hash: str | None, algorithm: str) -> bool:
    if not os.path.exists(path):
        return False
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    say(f"The hash of {path} is not {file_hash}: it is downloaded again.")
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
    """Whether a file's contents have this hash, by `"sha256"`, `"md5"`, or `"auto"`."""
    name = _hasher(algorithm, file_hash).name
    return hash_file(fpath, name, chunk_size) == str(file_hash).lower()


def _hasher(algorithm: str, file_hash: str | None) -> Any:
    if algorithm == "auto":
        algorithm = "sha256" if file_hash is None or len(file_hash) == 64 else "md5"
    if algorithm not in ("sha256", "md5"):
        raise ValueError(
            f"hash_algorithm must be 'auto', 'sha256' or 'md5'. Received: {algorithm!r}"
        )
    if file_hash is not None and not re.fullmatch(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}", file_hash):
        raise ValueError(
            f"file_hash must have 32 or 64 hexadecimal digits. Received: {file_hash!r}"
        )
    return hashlib.new(algorithm, usedforsecurity=False)


class _BrokenOff(ConnectionError):
    """The connection ended before the whole file was received."""


def _download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    # A partial download is resumed only if the server still has the same version of the file.
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
                os.remove(version)  # nothing is left to resume, so the download starts again
                continue
            raise _failure(origin, target, error) from error
    os.remove(version)
    if file_hash is not None and not validate_file(part, file_hash, algorithm):
        found = hash_file(part, _hasher(algorithm, file_hash).name)
        os.remove(part)
        raise ValueError(
            f"Incomplete or corrupted file: the file at {origin} has the hash {found}, but "
            f"{file_hash} was expected. It was deleted."
        )
    os.replace(part, target)


def _failure(origin: str, target: str, error: Exception) -> ConnectionError:
    reason = getattr(error, "reason", None) or error
    return ConnectionError(
        f"URL fetch failure on {origin}: {reason}. Without a connection, download the file by "
        f"other means and save it as {target}"
    )


def _fetch(origin: str, part: str, version: str) -> None:
    """Downloads a file, or the rest of a partial download, to `part`."""
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
    """The size of a partial download, and the version of its file."""
    try:
        with open(version, encoding="utf-8") as file:
            known = file.read()
        # A weak entity tag does not identify the bytes, so servers do not resume from it.
        return (0, "") if not known or known.startswith("W/") else (os.path.getsize(part), known)
    except OSError:
        return 0, ""


def _begin(part: str, version: str, known: str) -> None:
    # In this order, so that bytes never coexist with the name of another version.
    open(part, "wb").close()
    with open(version, "w", encoding="utf-8") as file:
        file.write(known)


def _copy(response: Any, file: BinaryIO) -> Iterator[int]:
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        yield len(chunk)


def _shown(counts: Iterator[int], begun: int, size: int | None, name: str) -> Iterator[int]:
    """The same counts, while a progress bar is shown on a terminal."""
    from rich import get_console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    # Without a terminal the bar is disabled from the start, since it cannot be stopped later.
    with progress.Progress(*columns, disable=not get_console().is_terminal) as bar:
        task = bar.add_task(name, total=size, completed=begun)
        for count in counts:
            bar.advance(task, count)
            yield count
