"""A downloaded archive: its members are checked one by one, and nothing else of it reaches the disk."""

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from benchmarks.data import DataFileError, DownloadError, archive, cifar10, locate
from benchmarks.data.archive import Archive, ArchiveMember, download_archive, extract

CONTENTS = {"one.bin": bytes(range(200)), "two.bin": b"2" * 300}


def member(name: str) -> ArchiveMember:
    content = CONTENTS[name]
    return ArchiveMember(f"folder/{name}", name, len(content), hashlib.sha256(content).hexdigest())


MEMBERS = tuple(member(name) for name in CONTENTS)


def packed(path: Path, entries: dict[str, bytes | tarfile.TarInfo]) -> Archive:
    """Writes an archive and describes it as published."""
    with tarfile.open(path, "w:gz") as tar:
        for name, entry in entries.items():
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(entry, bytes):
                info.size = len(entry)
            tar.addfile(info, io.BytesIO(entry) if isinstance(entry, bytes) else None)
    content = path.read_bytes()
    return Archive("data.tar.gz", len(content), hashlib.sha256(content).hexdigest(), MEMBERS)


def good() -> dict[str, bytes | tarfile.TarInfo]:
    return {f"folder/{name}": content for name, content in CONTENTS.items()}


def link(kind: bytes, target: str, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname, info.size = kind, target, size
    return info


def test_the_members_are_written_and_nothing_else(tmp_path):
    path, folder = tmp_path / "a.tar.gz", tmp_path / "out"
    folder.mkdir()
    entries = good() | {"../evil.bin": b"evil", "/evil.bin": b"evil", "folder/more.bin": b"more"}
    extract(packed(path, entries), path, folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENTS
    assert {file.name for file in tmp_path.rglob("*.bin")} == set(CONTENTS)


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"folder/one.bin": CONTENTS["one.bin"]}, "the archive lacks folder/two.bin"),
        (good() | {"folder/two.bin": b"2" * 299}, "folder/two.bin in it is not a file of 300 bytes"),
        (good() | {"folder/two.bin": b"3" * 300}, "its content has sha256 "),
        (good() | {"folder/two.bin": link(tarfile.SYMTYPE, "/etc/passwd")}, "is not a file of 300 bytes"),
        (good() | {"folder/two.bin": link(tarfile.SYMTYPE, "one.bin", 300)}, "is not a file of 300 bytes"),
        (good() | {"folder/two.bin": link(tarfile.LNKTYPE, "folder/one.bin")}, "is not a file of 300 bytes"),
        (good() | {"folder/two.bin": link(tarfile.CHRTYPE, "")}, "is not a file of 300 bytes"),
    ],
    ids=["missing", "short", "other content", "symbolic link", "symbolic link with a size", "hard link", "device"],
)
def test_a_wrong_member_is_refused(entries, fault, tmp_path):
    path = tmp_path / "a.tar.gz"
    with pytest.raises(DataFileError, match=fault):
        extract(packed(path, entries), path, tmp_path)


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    published = packed(path, good())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(DataFileError, match="the archive is damaged"):
        extract(published, path, tmp_path)
    with pytest.raises(DataFileError, match="its content has sha256"):
        published.verify(path)


@pytest.fixture
def served(tmp_path, monkeypatch) -> Archive:
    """An archive that the download finds; how often it was asked for is in its folder's `asked`."""
    path = tmp_path / "served.tar.gz"
    published = packed(path, good())

    def download(file, folder, *, mirrors):
        with (tmp_path / "asked").open("a") as stream:
            stream.write("x")
        target = folder / file.file_name
        target.write_bytes(path.read_bytes())
        return target

    monkeypatch.setattr(archive, "download", download)
    return published


def test_a_download_is_kept_and_asked_for_once(served, tmp_path):
    folder = tmp_path / "cache"
    for _ in range(2):
        paths = download_archive(served, folder, mirrors=["https://example.org"])
        assert {name: path.read_bytes() for name, path in paths.items()} == CONTENTS
    assert sorted(file.name for file in folder.iterdir()) == sorted(CONTENTS)
    assert (tmp_path / "asked").read_text() == "x"


def test_a_member_that_is_damaged_on_disk_is_fetched_again(served, tmp_path):
    folder = tmp_path / "cache"
    download_archive(served, folder, mirrors=["https://example.org"])
    (folder / "one.bin").write_bytes(b"half")
    download_archive(served, folder, mirrors=["https://example.org"])
    assert (folder / "one.bin").read_bytes() == CONTENTS["one.bin"]


def test_a_wrong_archive_leaves_nothing_in_place(served, tmp_path):
    wrong = dataclasses.replace(MEMBERS[1], sha256="0" * 64)
    with pytest.raises(DataFileError):
        download_archive(dataclasses.replace(served, members=(MEMBERS[0], wrong)), tmp_path / "cache", mirrors=["x"])
    assert list((tmp_path / "cache").iterdir()) == []


def test_cifar_is_downloaded_into_the_cache_where_no_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ODERNN_DATA", raising=False)
    monkeypatch.setattr(locate.pooch, "os_cache", lambda project: str(tmp_path / project))
    monkeypatch.setattr(cifar10, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(DownloadError, match=r"no mirror gave cifar-10-binary\.tar\.gz"):
        cifar10.locate_cifar10(None)
    assert list((tmp_path / "odernn" / "cifar10").iterdir()) == []


def test_the_mirrors_are_encrypted():
    assert all(mirror.startswith("https://") for mirror in cifar10.MIRRORS)
