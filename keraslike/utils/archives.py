"""Safe extraction of untrusted archives."""

from __future__ import annotations

import lzma
import os
import pathlib
import posixpath
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_FREE = 2**30  # unpacked bytes that every archive may have
_RATIO = 200  # the largest ratio of unpacked to packed bytes above that

_DAMAGE = (EOFError, OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class UnsafeArchive(ValueError):
    """An archive has a member outside of its folder, or is a decompression bomb."""


def extract_archive(
    file_path: Any, path: Any = ".", archive_format: str | Sequence[str] | None = "auto"
) -> bool:
    """Extracts an archive into a folder, completely or not at all.

    Members with absolute paths or paths outside of the folder, links to the outside, devices, and
    archives that extract to more than 1 GiB and 200 times their size raise UnsafeArchive.

    Args:
        file_path: a tar file, plain or compressed with gzip, bzip2 or xz, or a zip file.
        path: the folder; other files that are in it already are kept.
        archive_format: `"tar"`, `"zip"`, a list of these, `"auto"` for both, or `None` for none.

    Returns:
        Whether the file is an archive of that format.

    Raises:
        UnsafeArchive: a member is unsafe, as above.
        ValueError: the archive is damaged, or `archive_format` is unknown.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "a.zip", "w") as archive:
    ...     archive.writestr("numbers/one.txt", "1")
    >>> extract_archive(folder / "a.zip", folder / "out")
    True
    >>> (folder / "out" / "numbers" / "one.txt").read_text()
    '1'
    """
    file_path, path = os.fspath(file_path), os.fspath(path)
    for kind in _formats(archive_format):
        is_archive, extract = _KINDS[kind]
        if not is_archive(file_path):
            continue
        parent = os.path.dirname(os.path.abspath(path))
        os.makedirs(parent, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=parent) as scratch:
            # A subfolder, since a temporary directory has permissions for its owner only.
            folder = os.path.join(os.path.realpath(scratch), "contents")
            os.mkdir(folder)
            try:
                extract(file_path, folder)
            except _DAMAGE as error:
                raise ValueError(f"The archive {file_path} cannot be unpacked: {error}") from error
            _move_into(folder, path)
        return True
    return False


def _formats(archive_format: str | Sequence[str] | None) -> Sequence[str]:
    if archive_format is None:
        return ()
    if archive_format == "auto":
        return ("tar", "zip")
    formats = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    for kind in formats:
        if kind not in _KINDS:
            raise ValueError(
                "archive_format must be 'auto', 'tar', 'zip', a list of these, or None. "
                f"Received: {kind!r}"
            )
    return formats


class _Contents:
    """The total size and the links of the members of one archive that were admitted so far."""

    def __init__(self, archive: str):
        self.archive, self.size, self.links = archive, 0, set[str]()
        self.limit = max(_FREE, _RATIO * os.path.getsize(archive))

    def refuse(self, member: str, why: str) -> UnsafeArchive:
        return UnsafeArchive(f"The archive {self.archive} is not unpacked: {member!r} {why}")

    def admit(self, name: str, size: int) -> None:
        """Raises unless a member of this name and number of bytes is safe to write."""
        parts = re.split(r"[\\/]", name)
        if ".." in parts or name.startswith(("/", "\\")) or pathlib.PureWindowsPath(name).drive:
            raise self.refuse(name, "would leave the folder")
        path = posixpath.normpath(name)
        while path := posixpath.dirname(path):
            if path in self.links:
                raise self.refuse(name, f"would be written through the link {path!r}")
        self.size += size + 512  # headers count, since very many empty members are a bomb as well
        if self.size > self.limit:
            raise self.refuse(name, f"makes it more than {self.limit:,} bytes unpacked")


def _extract_tar(file_path: str, folder: str) -> None:
    contents, links = _Contents(file_path), []

    def admitted(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for member in archive:
            contents.admit(member.name, member.size)
            if member.islnk():
                contents.admit(member.linkname, 0)
            elif member.issym():
                contents.links.add(posixpath.normpath(member.name))
                links.append(member)
            elif not member.isfile() and not member.isdir():
                raise contents.refuse(member.name, "is neither a file, a folder nor a link")
            yield member

    with tarfile.open(file_path) as archive:
        try:
            archive.extractall(folder, admitted(archive), filter="data")
        except tarfile.FilterError as error:
            raise contents.refuse(error.tarinfo.name, f"is not safe: {error}") from error
    for member in links:  # checked at the end, when the targets of links exist
        try:
            target = os.path.realpath(os.path.join(folder, member.name), strict=True)
        except OSError:
            raise contents.refuse(member.name, "is a link that leads nowhere") from None
        if os.path.commonpath([target, folder]) != folder:
            raise contents.refuse(member.name, "is a link that leaves the folder")


def _extract_zip(file_path: str, folder: str) -> None:
    contents = _Contents(file_path)
    with zipfile.ZipFile(file_path) as archive:
        for member in archive.infolist():
            contents.admit(member.filename, member.file_size)
        archive.extractall(folder)  # zipfile writes links as files that contain their target


_KINDS: dict[str, tuple[Callable[[str], bool], Callable[[str, str], None]]] = {
    "tar": (tarfile.is_tarfile, _extract_tar),
    "zip": (zipfile.is_zipfile, _extract_zip),
}


def _move_into(source: str, target: str) -> None:
    """Moves the contents of a folder into another, file by file."""
    if not os.path.lexists(target):
        os.replace(source, target)
        return
    for name in os.listdir(source):
        ours, theirs = os.path.join(source, name), os.path.join(target, name)
        if _is_folder(ours) and _is_folder(theirs):
            _move_into(ours, theirs)
            continue
        if _is_folder(theirs):
            shutil.rmtree(theirs)
        elif os.path.lexists(theirs):
            os.remove(theirs)
        os.replace(ours, theirs)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
