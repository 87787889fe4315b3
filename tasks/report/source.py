"""Source text of others with syntax colours, escaped, without what would hide or reorder it."""

from __future__ import annotations

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import CudaLexer, PythonLexer

from evaluation.report.page import visible

#: A page is read by people: of a text that is longer, they see so much.
_MOST = 20_000
_LEXERS = {"cuda": CudaLexer(stripnl=False), "python": PythonLexer(stripnl=False)}
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)
#: The style sheet of the colours.
STYLE = str(HtmlFormatter(style="friendly").get_style_defs("pre.code"))


def coloured(text: str, language: str) -> Markup:
    """A `pre` of the text; `language` is `cuda` or `python`."""
    shown = str(visible(text[:_MOST])) + ("\n..." if len(text) > _MOST else "")
    made = highlight(shown, _LEXERS[language], _FORMATTER)
    return Markup("<pre class='code'>{}</pre>").format(Markup(made))
