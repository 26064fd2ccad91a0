"""Pages as HTML, and the headers that keep a browser from doing more than showing them."""

from __future__ import annotations

import base64
from hashlib import sha256
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from floorwatch.web.page import Page

_TEMPLATES = files("floorwatch.web") / "templates"
_STYLE = (_TEMPLATES / "page.css").read_text(encoding="utf-8").strip()
_PAGES = Environment(
    loader=DictLoader({"page.html": (_TEMPLATES / "page.html").read_text(encoding="utf-8")}),
    autoescape=True,
    undefined=StrictUndefined,
)

_STYLE_SHA = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    # Nothing is loaded from anywhere, no script runs, nobody frames the page, and the form goes back here only.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_SHA}'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def html_of(page: Page) -> str:
    """Return a page as HTML. Every text is escaped."""
    return _PAGES.get_template("page.html").render(page=page, style=Markup(_STYLE))  # noqa: S704 - our own file
