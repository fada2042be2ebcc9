"""A page in a real browser: Chromium without a window, and what the tests ask of a table on it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def found(*names: str) -> str:
    """The path of a program; skips where there is none."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no {names[0]} on this machine (Debian's packages are chromium and chromium-driver)")


@contextmanager
def started(profile: Path) -> Iterator[Any]:
    """Chromium; skips where it or selenium is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium, of the extra `dev`, is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium", "chromium-browser", "google-chrome")
    service = webdriver.ChromeService(found("chromedriver"))  # named, so that selenium fetches none
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, service)
    try:
        yield driver
    finally:
        driver.quit()


def column(browser: Any, table: str, number: int) -> list[str]:
    """The values of a table's column, from 1, from top to bottom."""
    cells = browser.find_elements("css selector", f"#{table} tbody td:nth-child({number})")
    return [cell.get_attribute("data-value") for cell in cells]


def click(browser: Any, table: str, head: str) -> int:
    """Clicks on the head of a table that begins with a word, and gives its place, from 1."""
    buttons = browser.find_elements("css selector", f"#{table} th button")
    place = [button.text.partition(" ")[0] for button in buttons].index(head)
    buttons[place].click()
    return place + 1


def states(browser: Any, table: str) -> list[str]:
    """How each column of a table says that it is sorted."""
    return [head.get_attribute("aria-sort") for head in browser.find_elements("css selector", f"#{table} th")]


def assert_it_asks_for_nothing(browser: Any) -> None:
    """No error in its log, and no address but its own and those that hold their content."""
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = {each["request"]["url"].partition(",")[0] for each in sent if each["documentURL"] == browser.current_url}
    assert browser.current_url in asked
    assert all(address == browser.current_url or address.startswith("data:") for address in asked)
