"""The HTML page of a mail: one column that a phone shows without zooming, styles inline because mail programs drop all others."""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from alerts.escape import html_text
from alerts.message.model import Message

_COLOURS = {"page": "#b3261e", "warn": "#8a5a00", "info": "#1a5fb4"}
_OVER = "#1e6b34"

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title | name }}</title></head>
<body style="margin:0;padding:12px;font:16px/1.4 sans-serif;color:#1b1b1b;background:#ffffff">
<div style="max-width:560px;border-left:6px solid {{ colour }};padding-left:12px">
<p style="margin:0 0 8px;font-size:18px;font-weight:bold">{{ title | name }}</p>
{% for line in message.lines %}<p style="margin:0 0 4px">{{ line | name }}</p>
{% endfor %}{% if message.links %}<p style="margin:12px 0">
{% for link in message.links %}<a href="{{ link.url }}" style="display:inline-block;margin:0 8px 8px 0;padding:8px 12px;\
border:1px solid {{ colour }};border-radius:4px;color:{{ colour }};text-decoration:none">{{ link.label | name }}</a>
{% endfor %}</p>
{% endif %}{% for command in message.commands %}<p style="margin:0 0 4px">{{ command.label | name }}: \
<code style="white-space:pre-wrap">{{ command.text | name }}</code></p>
{% endfor %}{% if message.details %}<hr style="border:0;border-top:1px solid #cccccc;margin:16px 0 8px">
<div style="font-size:13px;color:#555555">
{% for line in message.details %}<p style="margin:0 0 2px">{{ line | name }}</p>
{% endfor %}</div>
{% endif %}</div>
</body>
</html>
"""


def _name(text: str) -> Markup:
    """Return data as text that can be neither markup nor a mention nor a link of its own."""
    return Markup(html_text(text))  # noqa: S704 - html_text escapes


_environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
_environment.filters["name"] = _name
_template = _environment.from_string(_PAGE)


def page(message: Message, title: str) -> str:
    """Return the page.

    Args:
        message: What to tell.
        title: Its title, with the mark of a possible repeat.
    """
    colour = _OVER if message.state == "resolved" else _COLOURS.get(message.severity, _COLOURS["info"])
    return _template.render(message=message, title=title, colour=colour)
