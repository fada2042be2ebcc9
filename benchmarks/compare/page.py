"""One self-contained HTML page: its pictures and its script are in it, and it asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from benchmarks.compare.document import Document, Drawing
from benchmarks.support.plotting import to_png, to_svg

HERE = Path(__file__).parent
SCRIPT = HERE / "page.js"
TEMPLATE = "page.html.jinja"

HEAVY = 100_000
"""Bytes from which on a picture is drawn as a PNG on the page."""


def to_html(document: Document) -> str:
    """The page. Every text in it is escaped; its policy lets no script run but its own, and nothing be loaded."""
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    script = SCRIPT.read_text(encoding="utf-8")
    return environment.get_template(TEMPLATE).render(
        document=document,
        policy=_policy(script),
        pictures={drawing.name: _inline(drawing) for drawing in document.drawings},
        script=Markup(script),
    )


def _policy(script: str) -> str:
    """What a browser lets the page do: show its own pictures and styles, and run this script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _inline(drawing: Drawing) -> str:
    """A picture as an address; an SVG that is an image of its own shares its names with no other."""
    svg = to_svg(drawing.figure)
    kind, content = ("svg+xml", svg) if len(svg) < HEAVY else ("png", to_png(drawing.figure))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
