"""Downloads, whole or not at all, and archives that cannot leave their folder."""

import functools
import hashlib
import http.server
import io
import os
import pathlib
import tarfile
import threading
import zipfile
from typing import Any

import pytest
import rich
from rich.console import Console

from keraslike.utils import get_file
from keraslike.utils.archives import UnsafeArchive, extract_archive

BODY = bytes(range(256)) * 4096


class Server(http.server.BaseHTTPRequestHandler):
    """Serves BODY; the first `drops` answers end in the middle of what they promise."""

    drops, etag, asked = 0, '"one"', []

    def do_GET(self):
        cls = type(self)
        begun = 0
        cls.asked.append(self.headers.get("Range"))
        if self.path != "/data.bin":
            self.send_error(404)
            return
        if "Range" in self.headers and self.headers.get("If-Range") == cls.etag:
            begun = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if begun else 200)
        self.send_header("ETag", cls.etag)
        self.send_header("Content-Length", str(len(BODY) - begun))
        self.end_headers()
        body = BODY[begun:]
        if cls.drops:
            cls.drops -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True).start()
        handler.url = f"http://127.0.0.1:{site.server_address[1]}/data.bin"
        yield handler
        site.shutdown()


@pytest.fixture
def get(tmp_path, server):
    return functools.partial(get_file, origin=server.url, cache_dir=tmp_path)


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def test_a_file_is_downloaded_once(get, server, tmp_path):
    digest = hashlib.sha256(BODY).hexdigest()
    path = get(file_hash=digest)
    assert path == str(tmp_path / "datasets" / "data.bin")
    assert pathlib.Path(path).read_bytes() == BODY
    assert get(file_hash=digest, md5_hash="ignored") == path
    assert len(server.asked) == 1
    get(force_download=True)
    assert len(server.asked) == 2
    assert files(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("terminal", [False, True])
def test_the_bar_ends_with_the_download(get, terminal, monkeypatch, capsys):
    monkeypatch.setattr(rich, "_console", Console(force_terminal=terminal))
    get()
    assert ("1.0 MB" in capsys.readouterr().out) == terminal
    for thread in [t for t in threading.enumerate() if type(t).__module__.startswith("rich")]:
        thread.join(10)  # it has been told to end
        assert not thread.is_alive()


def test_keras_home(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert get_file(origin=server.url) == str(tmp_path / "home" / "datasets" / "data.bin")


def test_a_changed_file_is_downloaded_again(get, tmp_path, capsys):
    path = pathlib.Path(get("other.bin"))
    path.write_bytes(b"half")
    assert get("other.bin", md5_hash=hashlib.md5(BODY).hexdigest()) == str(path)
    assert path.read_bytes() == BODY
    assert "hash" in capsys.readouterr().out


def test_a_download_goes_on_where_it_broke_off(get, server):
    server.drops = 3
    assert pathlib.Path(get()).read_bytes() == BODY
    assert server.asked[0] is None
    assert server.asked[1:] == [f"bytes={len(BODY) * k // 8}-" for k in (4, 6, 7)]


def test_a_later_call_goes_on_and_asks_whether_the_file_is_the_same(get, server, tmp_path):
    server.drops = 5
    with pytest.raises(ConnectionError, match=r"URL fetch failure .*save it as .*data\.bin"):
        get()
    assert files(tmp_path) == ["data.bin.part", "data.bin.part.version"]
    server.etag = '"two"'  # what is there belongs to a file that is no more
    assert pathlib.Path(get()).read_bytes() == BODY
    assert files(tmp_path) == ["data.bin"]


def test_what_has_the_wrong_hash_is_not_kept(get, tmp_path):
    with pytest.raises(ValueError, match="Incomplete or corrupted"):
        get(file_hash="0" * 64)
    assert files(tmp_path) == []


def test_failures_say_what_to_do(tmp_path, server):
    options: dict[str, Any]
    with pytest.raises(ConnectionError, match="Not Found.*save it as"):
        get_file(origin=server.url + "x", cache_dir=tmp_path)
    with pytest.raises(ConnectionError, match="save it as"):
        get_file(origin="http://127.0.0.1:9/x.bin", cache_dir=tmp_path)
    for options, words in (
        ({}, "origin must be the URL"),
        ({"origin": server.url, "fname": "../x"}, "must be a file name"),
        ({"origin": "http://127.0.0.1/"}, "must be a file name"),
        ({"origin": server.url, "hash_algorithm": "sha1", "file_hash": "0" * 40}, "hash_algorithm"),
        ({"origin": server.url, "file_hash": "xyz"}, "32 or 64"),
    ):
        with pytest.raises(ValueError, match=words):
            get_file(cache_dir=tmp_path, **options)
    assert files(tmp_path) == []


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                archive.addfile(info)
    return path


FILE, SYM, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("name", ["set.tar.gz", "set", None])
def test_an_archive_is_unpacked_to_the_folder_that_keras_chooses(name, tmp_path):
    from keras.utils import get_file as keras_get_file

    members = [("a/x.txt", FILE, b"1"), ("a/y.txt", SYM, "x.txt"), ("a/z.txt", HARD, "a/x.txt")]
    origin = tar_of(tmp_path / "origin.tar.gz", *members).as_uri()
    folders = []
    for function in (get_file, keras_get_file):
        home = tmp_path / function.__module__
        home.mkdir()
        folder = pathlib.Path(function(name, origin, extract=True, cache_dir=str(home)))
        assert [(folder / "a" / f"{n}.txt").read_text() for n in "xyz"] == ["1"] * 3
        folders.append([str(p.relative_to(home)) for p in sorted(home.rglob("*.txt"))])
    assert folders[0] == folders[1]


def test_unpacking_again_keeps_what_else_is_there(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/x.txt", "1")
    out = tmp_path / "out"
    assert extract_archive(tmp_path / "a.zip", out)
    (out / "a" / "mine.txt").write_text("2")
    (out / "a" / "x.txt").write_text("changed")
    assert extract_archive(tmp_path / "a.zip", out, ["zip"])
    assert [(out / "a" / n).read_text() for n in ("x.txt", "mine.txt")] == ["1", "2"]
    assert not extract_archive(tmp_path / "a.zip", out, "tar")
    assert not extract_archive(tmp_path / "a.zip", out, None)
    with pytest.raises(ValueError, match="archive_format"):
        extract_archive(tmp_path / "a.zip", out, "rar")


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, b"")],
        [("a/../../x", FILE, b"")],
        [("/x", FILE, b"")],
        [("C:\\x", FILE, b"")],
        [("..\\x", FILE, b"")],
        [("link", SYM, "/etc/passwd")],
        [("link", SYM, "../..")],
        [("link", SYM, "nowhere")],
        [("link", HARD, "../x")],
        [("link", HARD, "/etc/passwd")],
        [("d", SYM, "."), ("d/x", FILE, b"")],
        [("a/f", FILE, b""), ("a/b", SYM, ".."), ("c", SYM, "a/b/.."), ("e", SYM, "c/..")],
        [("pipe", tarfile.FIFOTYPE, "")],
        [("device", tarfile.CHRTYPE, "")],
    ],
    ids=lambda members: members[-1][0] + ":" + str(members[-1][2]),
)
def test_members_that_would_leave_the_folder_are_refused(members, tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", ("good", FILE, b"1"), *members)
    with pytest.raises(UnsafeArchive, match=r"a\.tar\.gz is not unpacked: "):
        extract_archive(archive, tmp_path / "in" / "out")
    assert files(tmp_path) == ["a.tar.gz"]
    assert not os.path.lexists(tmp_path / "in" / "out")


@pytest.mark.parametrize("name", ["../x", "/x", "a\\..\\..\\x", "D:x"])
def test_zip_members_that_would_leave_the_folder_are_refused(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", "1")
        archive.writestr(name, "2")
    with pytest.raises(UnsafeArchive):
        extract_archive(tmp_path / "a.zip", tmp_path / "in" / "out")
    assert files(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_bombs_are_refused(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("keraslike.utils.archives._FREE", 2**16)
    zeros, path = b"\0" * 2**22, tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", zeros)
    else:
        tar_of(path, ("x", FILE, zeros))
    with pytest.raises(UnsafeArchive, match="bytes unpacked"):
        extract_archive(path, tmp_path / "out")
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_truncated_archive_leaves_nothing(kind, tmp_path):
    path = tmp_path / f"a.{kind}"
    noise = os.urandom(2**16)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", noise)
        data = bytearray(path.read_bytes())
        data[1000] ^= 255
        path.write_bytes(data)
    else:
        path.write_bytes(tar_of(path, ("x", FILE, noise)).read_bytes()[:40000])
    with pytest.raises(ValueError, match="cannot be unpacked"):
        extract_archive(path, tmp_path / "out")
    assert files(tmp_path) == [path.name]


def test_what_is_no_archive_is_an_error(get, tmp_path):
    with pytest.raises(ValueError, match="is not an archive"):
        get(extract=True)
