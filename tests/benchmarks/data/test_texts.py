"""Texts as tokens: the Penn Treebank's character files, and plain texts."""

import platform
from pathlib import Path

import pytest
import torch

from benchmarks.data import DataChecksumWarning, DataFileError, MissingDataError, ptb
from benchmarks.data.plain_text import ALPHABET, load_text, reference
from benchmarks.data.ptb import load_ptb, symbols_of

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


def write(folder: Path, train: str, valid: str = " a b \n", test: str = " b a \n") -> Path:
    for name, text in zip(ptb.FILES, (train, valid, test), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_symbols_stand_between_blanks_and_a_line_ends_a_sentence() -> None:
    assert symbols_of(" n o _ i t \n < u n k > \n") == [*"no_it", "<eos>", *"<unk>", "<eos>"]


def test_tokens_are_places_in_the_alphabet_of_the_training_text(tmp_path: Path) -> None:
    data = load_ptb(write(tmp_path, " b _ a \n a \n"))
    assert data.alphabet == ("<eos>", "_", "a", "b")
    assert data.train.tolist() == [3, 1, 2, 0, 2, 0]
    assert (data.val.tolist(), data.test.tolist()) == ([2, 3, 0], [3, 2, 0])
    assert set(data.checksum) == set(ptb.FILES)
    assert not any(check["verified"] for check in data.checksum.values())


def test_symbols_that_training_does_not_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataFileError, match=r"ptb.char.test.txt: it has symbols outside of its alphabet of 3, 'z', 'é'; the"
    ):
        load_ptb(write(tmp_path, " a b \n", test=" b a z é z \n"))
    with pytest.raises(DataFileError, match=r"'5' and 2 more; the first one is symbol 2"):
        load_ptb(write(tmp_path, " a b \n", valid=" a 7 6 5 4 3 2 1 \n"))


def test_more_symbols_than_published_are_refused(tmp_path: Path) -> None:
    every = " ".join(map(chr, range(0x4E00, 0x4E00 + 49)))
    assert len(load_ptb(write(tmp_path, f" {every} \n", f" {every} \n", f" {every} \n")).alphabet) == 50
    with pytest.raises(
        DataFileError, match=r"ptb.char.train.txt: it has 51 symbols, at most 50 were wanted, with blanks"
    ):
        load_ptb(write(tmp_path, f" a {every} \n"))


@pytest.mark.parametrize(
    ("content", "fault"), [(b" \n \n", "it holds no text"), (b"\xff\xfe a", "it is not text in UTF-8")]
)
def test_what_is_no_text_is_refused(content: bytes, fault: str, tmp_path: Path) -> None:
    write(tmp_path, " a b \n")
    (tmp_path / ptb.TEST).write_bytes(content)
    with pytest.raises(DataFileError, match=f"ptb.char.test.txt: {fault}"):
        load_ptb(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, " a b \n")
    (tmp_path / ptb.VALID).unlink()
    with pytest.raises(MissingDataError, match=r"lacks ptb\.char\.valid\.txt"):
        load_ptb(tmp_path)


def test_a_plain_text_is_cut_in_three(small_text_dir: Path) -> None:
    data, title = load_text(small_text_dir)
    text = (small_text_dir / "text.txt").read_text()
    whole = torch.cat([data.train, data.val, data.test])
    assert title == "text.txt"
    assert "".join(ALPHABET[token] for token in whole.tolist()) == text
    assert [len(part) / len(text) for part in (data.train, data.val, data.test)] == pytest.approx(
        [0.9, 0.05, 0.05], abs=1e-3
    )


def test_what_is_on_no_typewriter_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("naïve café\n", encoding="utf-8")
    with pytest.raises(
        DataFileError, match=r"text.txt: it has symbols outside of its alphabet of 96, 'é', 'ï'; the first"
    ):
        load_text(tmp_path)


def test_without_a_folder_the_text_is_the_reference_of_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ODERNN_DATA", raising=False)
    data, title = load_text(None)
    assert title == f"Python {platform.python_version()}'s reference"
    assert len(data.train) > 200_000
    assert set(reference()) <= set(ALPHABET)
    monkeypatch.setenv("ODERNN_DATA", str(tmp_path))  # a folder of other data
    assert load_text(None)[1] == title
    (tmp_path / "text.txt").write_text("words\n")
    assert load_text(None)[1] == "text.txt"
    with pytest.raises(MissingDataError, match="A plain text is not in the folder"):
        load_text(tmp_path / "nowhere")
