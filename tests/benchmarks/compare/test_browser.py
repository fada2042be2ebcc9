"""The page in a real browser: it opens without an error, sorts at a click on a head, and asks for nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium, of the extra `dev`, is not installed")


def found(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no {names[0]} on this machine (Debian's packages are chromium and chromium-driver)")


@pytest.fixture(scope="module")
def browser(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, without a window, at the page."""
    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium", "chromium-browser", "google-chrome")
    service = webdriver.ChromeService(found("chromedriver"))  # named, so that selenium fetches none
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, service)
    try:
        driver.get((compared / "comparison.html").as_uri())
        yield driver
    finally:
        driver.quit()


def column(browser: Any, number: int) -> list[str]:
    cells = browser.find_elements("css selector", f"#schemes tbody td:nth-child({number})")
    return [cell.get_attribute("data-value") for cell in cells]


def click(browser: Any, head: str) -> int:
    """Clicks on a head and gives its place, from 1."""
    buttons = browser.find_elements("css selector", "#schemes th button")
    place = [button.text.partition(" ")[0] for button in buttons].index(head)
    buttons[place].click()
    return place + 1


def test_it_opens_without_an_error_and_asks_for_nothing(browser: Any) -> None:
    assert browser.title.endswith(": 8 schemes, the same weights")  # and was not taken over by the title of the run
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = {each["request"]["url"].partition(",")[0] for each in sent if each["documentURL"] == browser.current_url}
    assert browser.current_url in asked
    assert all(address == browser.current_url or address.startswith("data:") for address in asked)


def test_its_pictures_are_shown(browser: Any) -> None:
    pictures = browser.find_elements("css selector", "img")
    assert len(pictures) == 3
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) > 100 for picture in pictures)


def test_a_click_on_a_head_sorts_by_numbers_and_another_turns_it_round(browser: Any) -> None:
    place = click(browser, "evaluations")
    rising = [float(value) for value in column(browser, place)]
    assert rising == sorted(rising)
    assert len(rising) == 8
    click(browser, "evaluations")
    assert [float(value) for value in column(browser, place)] == rising[::-1]


def test_a_click_on_a_head_of_text_sorts_by_letters(browser: Any) -> None:
    place = click(browser, "family")
    names = column(browser, place)
    assert names == sorted(names)
    heads = browser.find_elements("css selector", "#schemes th")
    states = [head.get_attribute("aria-sort") for head in heads]
    assert states[place - 1] == "ascending"
    assert states.count("none") == len(states) - 1
