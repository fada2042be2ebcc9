"""A whole archive: checked, unpacked in one step, and never outside of its folder."""

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmarks.data import DataChecksumWarning, DataFileError, DownloadError, MissingDataError, locate
from benchmarks.data import unpacked as module
from benchmarks.data.locate import Layout
from benchmarks.data.unpacked import PublishedArchive, unpack, unpacked

FILES = {"set/one.txt": b"1" * 100, "set/deep er/two.txt": b"2" * 50}
LAYOUT = Layout("A set", ("one.txt", "deep er/two.txt"), ("", "set"))


def packed_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def packed_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


KINDS = {"tar": packed_tar, "zip": packed_zip}


def published(path: Path, algorithm: str = "sha256") -> PublishedArchive:
    content = path.read_bytes()
    digest = hashlib.new(algorithm, content).hexdigest()
    return PublishedArchive(path.name, len(content), algorithm, digest, ("http://127.0.0.1:9/",))


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedArchive:
    """An archive in the folder `given`; the user's cache is in `cache`."""
    monkeypatch.delenv("ODERNN_DATA", raising=False)
    monkeypatch.setattr(locate.pooch, "os_cache", lambda project: str(tmp_path / "cache"))
    (tmp_path / "given").mkdir()
    path = tmp_path / "given" / "a set.packed"
    KINDS[request.param](path, FILES)
    return published(path)


def test_all_files_are_unpacked_once_and_the_archive_is_not_kept(archive: PublishedArchive, tmp_path: Path) -> None:
    place = unpacked(archive, "set", tmp_path / "given")
    assert {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*.txt")} == FILES
    assert [path.name for path in place.parent.iterdir()] == [archive.checksum[:16]]
    assert unpacked(archive, "set", None) == place  # from the cache, without a download


def test_a_download_is_unpacked_and_verified(
    archive: PublishedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(file: PublishedArchive, folder: Path, *, mirrors: tuple[str, ...], deadline: float) -> Path:
        assert (mirrors, deadline) == (archive.mirrors, archive.deadline)
        (folder / file.file_name).write_bytes((tmp_path / "given" / file.file_name).read_bytes())
        return folder / file.file_name

    monkeypatch.setattr(module, "download", download)
    paths, verified = module.locate(LAYOUT, archive, "set", None)
    assert verified
    assert [paths[name].read_bytes() for name in LAYOUT.names] == list(FILES.values())


def test_an_archive_in_the_named_folder_is_taken_and_verified(archive: PublishedArchive, tmp_path: Path) -> None:
    paths, verified = module.locate(LAYOUT, archive, "set", tmp_path / "given")
    assert verified
    assert paths["one.txt"].read_bytes() == FILES["set/one.txt"]


def test_single_files_in_the_named_folder_are_taken_with_a_warning(archive: PublishedArchive, tmp_path: Path) -> None:
    unpack(tmp_path / "given" / archive.file_name, tmp_path / "plain")
    with pytest.warns(DataChecksumWarning, match="no checksum tells whether the files of A set in .*plain are the pub"):
        paths, verified = module.locate(LAYOUT, archive, "set", tmp_path / "plain")
    assert not verified
    assert paths["one.txt"] == tmp_path / "plain" / "set" / "one.txt"


def test_the_environment_variable_names_a_folder_too(
    archive: PublishedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODERNN_DATA", str(tmp_path / "given"))
    assert module.locate(LAYOUT, archive, "set", None)[1]
    monkeypatch.setenv("ODERNN_DATA", str(tmp_path / "cache"))
    with pytest.raises(MissingDataError, match="A set is not in the folder that the environment variable ODERNN_DATA"):
        module.locate(LAYOUT, archive, "set", None)


def test_another_archive_of_the_same_name_is_refused(archive: PublishedArchive, tmp_path: Path) -> None:
    other = dataclasses.replace(archive, checksum="0" * 64)
    with pytest.raises(DataFileError, match=r"a set.packed: its content has sha256 .*, the published one 000"):
        unpacked(other, "set", tmp_path / "given")
    assert not (tmp_path / "cache" / "set" / ("0" * 16)).exists()


def test_a_download_that_fails_leaves_nothing(archive: PublishedArchive, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"no mirror gave a set\.packed"):
        unpacked(archive, "set", None)
    assert list((tmp_path / "cache" / "set").iterdir()) == []


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_checksum_is_of_the_algorithm_that_is_published(algorithm: str, tmp_path: Path) -> None:
    packed_zip(tmp_path / "a.zip", FILES)
    archive = published(tmp_path / "a.zip", algorithm)
    archive.verify(tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(b"other")
    with pytest.raises(DataFileError, match=f"its content has {algorithm} "):
        archive.verify(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_outside_of_the_folder(kind: str, tmp_path: Path) -> None:
    path, folder = tmp_path / "a.packed", tmp_path / "in" / "out"
    KINDS[kind](path, {"../../evil.txt": b"evil", "good.txt": b"good"})
    if kind == "tar":
        with pytest.raises(DataFileError, match="the archive is damaged"):
            unpack(path, folder)
    else:
        unpack(path, folder)
    assert not [found for found in tmp_path.rglob("evil.txt") if folder not in found.parents]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.packed"
    KINDS[kind](path, FILES)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataFileError, match="the archive is damaged"):
        unpack(path, tmp_path / "out")
