"""The page, the Markdown and the pictures: whole by themselves, and no text of a run is taken for mark-up."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import pytest

HOSTILE = "<script>document.title"


class Links(HTMLParser):
    """Collects what a page would load, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


@pytest.fixture(scope="module")
def page(compared: Path) -> str:
    return (compared / "comparison.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing(page: str) -> None:
    links = Links(page)
    assert links.loaded
    assert all(address.startswith("data:") for address in links.loaded)
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in html.unescape(page)


def test_the_title_of_a_run_is_text(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;document.title" in page
    assert Links(page).scripts == 1


def test_every_scheme_stands_on_the_page_and_in_markdown(page: str, compared: Path) -> None:
    markdown = (compared / "comparison.md").read_text(encoding="utf-8")
    for label in ("leapfrog", "euler ×2", "implicit-midpoint ×2"):
        assert f">{label}</td>" in page
        assert f"| {label} |" in markdown
    for text in (page, markdown):
        assert "LawsonEuler needs a linear part" in text
    assert HOSTILE not in markdown


def test_markdown_shows_the_pictures_beside_it(compared: Path) -> None:
    markdown = (compared / "comparison.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^\]]+\]\((\S+)\)", markdown)
    assert names == ["work.png", "regions.png", "moduli.png"]
    for name in names:
        assert matplotlib.image.imread(compared / name).std() > 0.01  # something is drawn
        svg = ElementTree.parse((compared / name).with_suffix(".svg"))
        assert any(element.tag.endswith("}text") for element in svg.iter())


def test_rows_of_markdown_have_as_many_cells_as_its_head(compared: Path) -> None:
    lines = (compared / "comparison.md").read_text(encoding="utf-8").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    head = next(line for line in tables if line.startswith("| scheme | trained by"))
    cells = head.count("|") - head.count("\\|")
    body = [line for line in tables if line.startswith(("| leapfrog ", "| rk4 "))]
    assert body
    assert all(line.count("|") - line.count("\\|") == cells for line in body)
