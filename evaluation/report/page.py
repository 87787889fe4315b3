"""What the report's pages are made of: templates that escape all text, and show what would hide in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unicodedata import category

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

Part = Callable[..., Markup]
"""Makes a piece of HTML of named values."""


def part(text: str) -> Part:
    """A template; values are escaped unless they were made by one."""
    compiled = _ENVIRONMENT.from_string(text)
    return lambda **values: Markup(compiled.render(**values))


def visible(value: Any) -> Any:
    """Text of others without the characters that would hide or reorder what stands there."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    lines = value.replace("\r\n", "\n")
    return "".join("\ufffd" if _deceives(character) else character for character in lines)


def _deceives(character: str) -> bool:
    """Whether it is a control, a format (such as a bidirectional override) or a line separator."""
    return character not in "\n\t" and category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def percent(share: float | None) -> str:
    """A share for people."""
    return "unknown" if share is None else f"{100 * share:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Rows of cells."""
    return _TABLE(head=head, rows=rows)


_ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, finalize=visible, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters["percent"] = percent
_TABLE = part(
    "<table><tr>{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr>"
    "{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>"
)
