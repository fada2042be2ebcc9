"""The table paper | ours | parameters | epochs | time, and its two forms."""

import pytest

from benchmarks.report.render import show, to_markdown
from benchmarks.report.table import COLUMNS, NONE, Row, build_table, format_seconds, notes
from tests.benchmarks.synthetic import make_result


def by_method(rows: list[Row]) -> dict[str, Row]:
    return {row.method: row for row in rows}


def test_ours_is_mean_and_sample_deviation_over_seeds() -> None:
    results = [make_result(seed=seed, test=test) for seed, test in enumerate((0.90, 0.92, 0.97))]
    (row,) = build_table("digits", results)
    assert row == Row("antisymmetric", NONE, "93.0 ± 3.6", NONE, "3", "9,674", "3", "60 s")


def test_one_seed_has_no_deviation() -> None:
    (row,) = build_table("digits", [make_result(test=0.5)])
    assert (row.ours, row.seeds) == ("50.0", "1")


def test_lines_of_the_paper_stand_beside_ours() -> None:
    results = [
        make_result("pmnist", "antisymmetric", title="AntisymmetricRNN", test=0.951),
        make_result("pmnist", "lstm", title="LSTM", solver=None, parameters=68_362, training=7_300.0),
        make_result("pmnist", "gru", title="GRU", solver=None),
        make_result("pmnist", "hamiltonian-leapfrog", title="Hamiltonian", solver="leapfrog"),
    ]
    rows = build_table("pmnist", results)
    assert [row.method for row in rows] == [
        "GRU",
        "LSTM",
        "FC uRNN, 116 / 512 units",
        "Soft orthogonal",
        "KRU, 512 units",
        "AntisymmetricRNN",
        "AntisymmetricRNN, gated",
        "Hamiltonian",
    ]
    found = by_method(rows)
    missed = "not reproduced"
    assert found["AntisymmetricRNN"] == Row("AntisymmetricRNN", "95.8", "95.1", missed, "1", "9,674", "3", "60 s")
    assert found["LSTM"] == Row("LSTM", "92.6", "90.0", missed, "1", "68,362", "3", "2.0 h")
    assert found["KRU, 512 units"] == Row("KRU, 512 units", "94.5", NONE, NONE, NONE, "11k", NONE, NONE)
    assert found["AntisymmetricRNN, gated"].ours == NONE
    assert found["GRU"].paper == NONE


def test_diverged_runs_are_counted_and_explained() -> None:
    some = [make_result(seed=0, test=0.9), make_result(seed=1, test=None), make_result(seed=2, test=0.8)]
    none = [make_result(row="gated", test=None)]
    rows = by_method(build_table("digits", some + none))
    assert rows["antisymmetric"].ours == "85.0 ± 7.1 (1 diverged)"
    assert rows["gated"].ours == "diverged"
    assert "gated, seed 0: the training loss is nan in epoch 2 at step 3" in notes(some + none)


def test_runs_with_other_settings_are_lines_of_their_own() -> None:
    results = [make_result(seed=0), make_result(seed=1, epochs=1), make_result(seed=2, dt=0.2), make_result(seed=3)]
    assert [row.seeds for row in build_table("digits", results)] == ["1", "2", "1"]


def test_unverified_data_are_marked() -> None:
    results = [make_result(test=0.5, verified=False), make_result(row="gated")]
    rows = by_method(build_table("digits", results))
    assert rows["antisymmetric"].ours == "50.0†"
    assert "†" not in rows["gated"].ours
    assert any(note.startswith("†") for note in notes(results))
    assert not any(note.startswith("†") for note in notes([make_result()]))


def test_the_column_against_the_paper_is_there_where_the_paper_is() -> None:
    results = [
        make_result("pmnist", "antisymmetric", title="A", test=0.955),
        make_result("pmnist", "gated", title="B", test=0.92),
        make_result("pmnist", "lstm", title="C", solver=None, test=0.94),
        make_result("pmnist", "oscillator", title="D", test=0.968),
        make_result("pmnist", "hamiltonian-leapfrog", title="E", test=0.95),
        make_result("pmnist", "ablation", title="F", test=None),
    ]
    rows = by_method(build_table("pmnist", results))
    assert {name: rows[name].verdict for name in "ABCDEF"} == {
        "A": "reproduced",
        "B": "not reproduced",
        "C": "beyond",
        "D": "beyond",
        "E": NONE,
        "F": NONE,
    }
    assert "| C | 92.6 | 94.0 | beyond | 1 |" in to_markdown(build_table("pmnist", results))
    assert any("*not reproduced*" in note for note in notes(results))
    assert not any("*not reproduced*" in note for note in notes([make_result()]))


@pytest.mark.parametrize(
    ("variants", "verified", "judged"),
    [
        ((), True, True),
        ((), False, False),
        (("CIFAR-10 (JPEG)",), False, True),
        (("one fixed noise block",), True, False),
        (("CIFAR-10 (JPEG)", "first 256 samples"), False, False),
        (("not the published CIFAR-10",), False, False),
    ],
)
def test_only_what_is_comparable_is_judged(variants: tuple[str, ...], verified: bool, judged: bool) -> None:
    result = make_result("noise-padded-cifar", "gated", test=0.6, variants=variants, verified=verified)
    row = build_table("noise-padded-cifar", [result])[-1]
    assert row.verdict == ("beyond" if judged else NONE)
    assert row.paper == "54.7"


def test_numbers_are_in_the_unit_of_the_objective() -> None:
    tests = enumerate((0.01, 0.03))
    results = [make_result("adding", seed=seed, test=test, objective="regression") for seed, test in tests]
    (row,) = build_table("adding", results)
    assert row.ours == "0.02 ± 0.014"
    assert notes(results)[0].startswith("ours: mean squared error (MSE) on the test data")


def test_variants_are_lines_of_their_own_and_named() -> None:
    results = [make_result(), make_result(seed=1, variants=("fixed noise",))]
    assert [row.method for row in build_table("digits", results)] == ["antisymmetric", "antisymmetric (fixed noise)"]
    assert "(fixed noise): test 90.00 %" in results[1].summary


def test_results_of_another_task_are_refused() -> None:
    with pytest.raises(ValueError, match="`results` has runs of smnist; give those of digits only"):
        build_table("digits", [make_result("smnist")])


def test_markdown_is_a_table() -> None:
    lines = to_markdown(build_table("digits", [make_result(title="a | b")])).splitlines()
    assert lines[0] == "| method | paper | ours | n | parameters | epochs | time |"
    assert lines[1] == "| :-- | --: | --: | --: | --: | --: | --: |"
    assert lines[2].startswith("| a \\| b | – | 90.0 | 1 |")


def test_terminal_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    show("digits", build_table("digits", [make_result(title="[bold]")]), ["a note"])
    out = capsys.readouterr().out
    assert "[bold]" in out  # a name is no markup
    for text in ("digits", "90.0", "9,674", "a note", *(head for head in COLUMNS if head != "against the paper")):
        assert text in out


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (720, "12 min"), (5_960, "99 min"), (7_200, "2.0 h")],
)
def test_time_is_in_the_unit_that_suits(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown


def test_metrics_that_do_not_select_stand_in_the_notes_and_the_summary() -> None:
    result = make_result(objective="unbalanced-classification", test=0.9)
    shown = "balanced accuracy 90.00 %, share of the most frequent class 90.00 %"
    assert result.beside == shown
    assert result.summary.endswith(f"; test {shown}")
    assert f"{result.method}, seed 0, test: {shown}" in notes([result])
    assert make_result().beside == make_result(test=None).beside == ""
