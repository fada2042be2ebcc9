"""One self-contained HTML page: its pictures and its script are in it, and it asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from benchmarks.pages.document import Document, Rendered

HERE = Path(__file__).parent
SCRIPT = HERE / "page.js"
TEMPLATE = "page.html.jinja"


def to_html(document: Document, pictures: Mapping[str, Rendered]) -> str:
    """The page. Every text in it is escaped; its policy lets no script run but its own, and nothing be loaded.

    Args:
        document: what it says.
        pictures: its drawings, by their names.
    """
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    script = SCRIPT.read_text(encoding="utf-8")
    return environment.get_template(TEMPLATE).render(
        document=document,
        policy=_policy(script),
        pictures={name: _inline(picture) for name, picture in pictures.items()},
        script=Markup(script),
    )


def _policy(script: str) -> str:
    """What a browser lets the page do: show its own pictures and styles, and run this script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _inline(picture: Rendered) -> str:
    """A picture as an address, in its lighter form; as an image of its own an SVG shares its names with no other."""
    kind, content = min(("svg+xml", picture.svg), ("png", picture.png), key=lambda form: len(form[1]))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
