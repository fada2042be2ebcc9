"""The page in a real browser: it opens without an error, sorts at a click on a head, and asks for nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.pages.browser import assert_it_asks_for_nothing, click, column, states

TABLE = "schemes"


@pytest.fixture(scope="module")
def browser(compared: Path, chromium: Any) -> Any:
    """Chromium, without a window, at the page."""
    chromium.get((compared / "comparison.html").as_uri())
    return chromium


def test_it_opens_without_an_error_and_asks_for_nothing(browser: Any) -> None:
    assert browser.title.endswith(": 8 schemes, the same weights")  # and was not taken over by the title of the run
    assert_it_asks_for_nothing(browser)


def test_its_pictures_are_shown(browser: Any) -> None:
    pictures = browser.find_elements("css selector", "img")
    assert len(pictures) == 3
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) > 100 for picture in pictures)


def test_a_click_on_a_head_sorts_by_numbers_and_another_turns_it_round(browser: Any) -> None:
    place = click(browser, TABLE, "evaluations")
    rising = [float(value) for value in column(browser, TABLE, place)]
    assert rising == sorted(rising)
    assert len(rising) == 8
    click(browser, TABLE, "evaluations")
    assert [float(value) for value in column(browser, TABLE, place)] == rising[::-1]


def test_a_click_on_a_head_of_text_sorts_by_letters(browser: Any) -> None:
    place = click(browser, TABLE, "family")
    names = column(browser, TABLE, place)
    assert names == sorted(names)
    found = states(browser, TABLE)
    assert found[place - 1] == "ascending"
    assert found.count("none") == len(found) - 1
