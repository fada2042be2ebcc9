"""The download against a server on loopback that fails in every way a mirror can."""

import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.data import DownloadError, locate, mnist
from benchmarks.data.checksum import IdxFile
from benchmarks.data.download import download

# Incompressible, and long enough that a half of it is more than what sits in buffers.
PAYLOAD = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(8192))
CONTENT = struct.pack(">BBBBI", 0, 0, 8, 1, len(PAYLOAD)) + PAYLOAD
PACKED = gzip.compress(CONTENT, mtime=0)
FILE = IdxFile("numbers-idx1-ubyte", (len(PAYLOAD),), hashlib.sha256(CONTENT).hexdigest())
NAME = "numbers-idx1-ubyte.gz"
HALF = len(PACKED) // 2
SECONDS_A_DROP = 60.0


@dataclass
class Clock:
    """The time that downloads go by here: it stands, but where a mirror drips."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


class Server(ThreadingHTTPServer):
    """A server on loopback that keeps what it was asked for; clients that give up are what the tests are about."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)
        self.requests: list[str] = []
        self.closing, self.stalled, self.clock = threading.Event(), threading.Event(), Clock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Mirror(BaseHTTPRequestHandler):
    """Does what the first folder of the address says."""

    @property
    def kept(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def do_GET(self):
        self.kept.requests.append(self.path)
        getattr(self, self.path.split("/")[1])()

    def log_message(self, format, *args):
        pass

    def answer(self, body: bytes, length: int | None = None, code: int = 200):
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def good(self):
        self.answer(PACKED, len(PACKED))

    def plain(self):
        self.answer(CONTENT, len(CONTENT))

    def truncated(self):
        self.answer(PACKED[:HALF], len(PACKED))

    def truncated_without_length(self):
        self.answer(PACKED[:HALF])

    def flipped(self):
        self.answer(PACKED[:HALF] + bytes([PACKED[HALF] ^ 1]) + PACKED[HALF + 1 :], len(PACKED))

    def other(self):
        body = gzip.compress(CONTENT[:-1] + b"\0")
        self.answer(body, len(body))

    def page(self):
        self.answer(b"<html>log in to this network</html>", 35)

    def endless(self):
        self.answer(b"")
        for _ in range(100):
            self.wfile.write(bytes(2**16))

    def bomb(self):
        body = gzip.compress(bytes(100 * len(CONTENT)))
        self.answer(body, len(body))

    def hangs_up(self):
        self.answer(PACKED[:HALF], len(PACKED))
        # Closing with a linger of zero seconds sends a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def says_nothing(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def stalls(self):
        self.answer(PACKED[:HALF], len(PACKED))
        self.kept.stalled.set()
        self.kept.closing.wait(30)

    def drips(self):
        self.answer(b"", len(PACKED))
        for start in range(0, len(PACKED), 2048):
            self.kept.clock.now += SECONDS_A_DROP
            self.wfile.write(PACKED[start : start + 2048])

    def gone(self):
        self.answer(b"no such file", 12, code=404)

    def error(self):
        self.answer(b"internal error", 14, code=500)


@pytest.fixture
def server(monkeypatch):
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    with Server() as server:
        monkeypatch.setattr("benchmarks.data.download.time", server.clock)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_good_mirror_is_installed_whole_and_nothing_else(server, tmp_path):
    folder = tmp_path / "new" / "cache"
    path = download(FILE, folder, mirrors=[f"{server.url}/good/"])
    assert path == folder / NAME
    assert gzip.decompress(path.read_bytes()) == CONTENT
    assert names(folder) == [NAME]
    assert server.requests == [f"/good/{NAME}"]


def test_a_mirror_that_unpacks_on_the_way_is_good(server, tmp_path):
    path = download(FILE, tmp_path, mirrors=[f"{server.url}/plain"])
    assert path.read_bytes() == CONTENT
    assert download(FILE, tmp_path, mirrors=[f"{server.url}/gone"]) == path


# What is wrong, and words of the error that say so.
FAULTS = {
    "truncated": "IncompleteRead",
    "truncated_without_length": "truncated or corrupt",
    "flipped": "truncated or corrupt",
    "other": "its content has sha256",
    "page": "its content has sha256",
    "endless": "more bytes than the file can have",
    "bomb": "it holds more than the",
    "hangs_up": "Connection",
    "says_nothing": "Connection",
    "drips": "not whole after 600 seconds",
    "gone": "404",
    "error": "500",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_mirror_is_passed_over(fault, server, tmp_path):
    path = download(FILE, tmp_path, mirrors=[f"{server.url}/{fault}/", f"{server.url}/good/"])
    assert gzip.decompress(path.read_bytes()) == CONTENT
    assert names(tmp_path) == [NAME]
    assert server.requests == [f"/{fault}/{NAME}", f"/good/{NAME}"]


def test_a_mirror_that_stalls_is_passed_over(server, tmp_path):
    """The second is none, and so needs no time: a timeout this short would be one on any busy machine."""
    with pytest.raises(DownloadError) as caught:
        download(FILE, tmp_path, mirrors=[f"{server.url}/stalls", "no address at all"], timeout=0.1)
    _, stalled, second, _ = str(caught.value).splitlines()
    assert f"{server.url}/stalls/{NAME}" in stalled
    assert "timed out" in stalled
    assert "no address at all" in second
    assert names(tmp_path) == []


def test_when_all_fail_the_error_says_what_each_did_and_nothing_is_installed(server, tmp_path):
    mirrors = [f"{server.url}/{fault}/" for fault in FAULTS]
    with pytest.raises(DownloadError) as caught:
        download(FILE, tmp_path, mirrors=mirrors)
    lines = str(caught.value).splitlines()
    assert NAME in lines[0]
    for (fault, words), line in zip(FAULTS.items(), lines[1:-1], strict=True):
        assert f"{server.url}/{fault}/{NAME}" in line
        assert words in line
    assert "--data DIR" in lines[-1]
    assert names(tmp_path) == []


def test_a_mirror_that_nobody_serves_is_passed_over(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        download(FILE, tmp_path, mirrors=[nobody, "no address at all", f"{server.url}/good"])
    assert names(tmp_path) == [NAME]


def test_what_is_there_and_whole_is_not_asked_for_again(server, tmp_path):
    (tmp_path / NAME).write_bytes(PACKED)
    assert download(FILE, tmp_path, mirrors=[f"{server.url}/good"]) == tmp_path / NAME
    assert server.requests == []


@pytest.mark.parametrize("broken", [b"", PACKED[:HALF], gzip.compress(b"other")], ids=["empty", "half", "other"])
def test_what_is_there_and_broken_is_downloaded_again(broken, server, tmp_path):
    (tmp_path / NAME).write_bytes(broken)
    path = download(FILE, tmp_path, mirrors=[f"{server.url}/good"])
    assert path.read_bytes() == PACKED
    assert names(tmp_path) == [NAME]


def test_downloads_at_the_same_time_do_not_disturb_each_other(server, tmp_path):
    mirrors = [f"{server.url}/flipped", f"{server.url}/good"]
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: download(FILE, tmp_path, mirrors=mirrors), range(6)))
    assert {path.read_bytes() for path in paths} == {PACKED}
    assert names(tmp_path) == [NAME]


CHILD = """
import sys
from pathlib import Path
from benchmarks.data.checksum import IdxFile
from benchmarks.data.download import download
url, folder, name, length, sha256 = sys.argv[1:]
download(IdxFile(name, (int(length),), sha256), Path(folder), mirrors=[url])
"""


def test_a_process_killed_in_the_middle_leaves_nothing_in_place(server, tmp_path):
    arguments = [f"{server.url}/stalls", str(tmp_path), FILE.name, str(len(PAYLOAD)), FILE.sha256]
    root = Path(__file__).parents[3]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=root)
    try:
        assert server.stalled.wait(60)
        drafts = wait_for_bytes(tmp_path)
    finally:
        child.kill()
        child.wait()
    assert drafts
    assert not (tmp_path / NAME).exists()
    assert download(FILE, tmp_path, mirrors=[f"{server.url}/good"]).read_bytes() == PACKED


def wait_for_bytes(folder: Path) -> list[Path]:
    """The files anywhere under `folder` that hold something, as soon as there are any; a minute is a hung test."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]:
            return found
        time.sleep(0.01)
    return []


@pytest.mark.skipif(os.name == "nt", reason="a file in place of a folder gives another error there")
def test_a_folder_that_cannot_be_written_is_an_error_of_its_own(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DownloadError, match=r"taken/cache cannot be written .*--data DIR"):
        download(FILE, tmp_path / "taken" / "cache", mirrors=[f"{server.url}/good"])
    assert server.requests == []


def test_no_mirrors_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`mirrors` is empty"):
        download(FILE, tmp_path, mirrors=[])


def test_mnist_is_downloaded_into_the_cache_where_no_folder_is_named(server, tmp_path, monkeypatch):
    monkeypatch.delenv("ODERNN_DATA", raising=False)
    monkeypatch.setattr(mnist, "FILES", (FILE,))
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server.url}/gone/", f"{server.url}/good/"))
    monkeypatch.setattr(locate.pooch, "os_cache", lambda project: str(tmp_path / project))
    for _ in range(2):
        assert mnist.locate_mnist(None) == {FILE.name: tmp_path / "odernn" / "mnist" / NAME}
    assert len(server.requests) == 2


def test_the_mirrors_are_several_and_encrypted():
    assert len(set(mnist.MIRRORS)) >= 2
    assert all(mirror.startswith("https://") for mirror in mnist.MIRRORS)
