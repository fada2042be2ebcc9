"""The page beside torch.nn.RNN is what the calls give, and no row differs without a reason."""

from pathlib import Path

from odernn.comparison import REASONS, ROWS, comparison


def test_the_page_is_not_stale(repository: Path) -> None:
    page = (repository / "docs" / "torch-rnn.md").read_text(encoding="utf-8")
    assert page == comparison(), "run `python -m odernn.comparison > docs/torch-rnn.md`"


def test_every_reason_is_one_of_a_row() -> None:
    assert {row.why for rows in ROWS.values() for row in rows} - {""} == set(REASONS)
