"""Writes docs/settings.md, every setting of a profile with its flag: `python -m tasks.report.settings_page`.

Settings are described once, where they are declared; a test compares the page with them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from evaluation.marks import Affects, mark
from tasks.profile import SECTIONS
from training.arguments.catalogue import Flag, flag_table
from training.arguments.help import describe

PAGE = Path("docs", "settings.md")
_HEAD = """\
# Settings

Made from the code by `python -m tasks.report.settings_page`; a test says when that has to be run again. A
profile (`infra/profiles/`) sets them by section, and each is a flag of `python -m flows.run nightly` too. A
change of what is part of the result runs the stages again that read the section; the rest says where and how
fast things are computed. Sections `megatron` and `sglang` also take every field of Megatron-core's configs
that this trainer honours and of SGLang's ServerArgs; `python -m flows.run --help` lists them.
"""


def settings_page() -> str:
    """The page as Markdown."""
    lines = [_HEAD]
    flags = [flag for flag in flag_table(SECTIONS).values() if flag.alias is None]
    for section in SECTIONS:
        own = [flag for flag in flags if flag.settings[0].path[0] == section and _is_ours(flag)]
        lines += [f"## {section}\n", "| setting | flag | type | default | part of | what it is |"]
        lines += ["|---|---|---|---|---|---|", *_rows(own), ""]
    return "\n".join(lines)


def _is_ours(flag: Flag) -> bool:
    """Whether a class of ours declares it: fields of libraries are their versions' affair."""
    return isinstance(flag.settings[0].declared_in, type)


def _rows(flags: list[Flag]) -> Iterator[str]:
    for flag in sorted(flags, key=lambda flag: flag.settings[0].path):
        (setting,) = flag.settings
        declared = setting.declared_in
        assert isinstance(declared, type) and issubclass(declared, BaseModel)
        affects = mark(declared, setting.path[-1])
        part = "" if affects is None else "result" if affects is Affects.RESULT else "machine"
        cells = [
            f"`{'.'.join(setting.path[1:])}`",
            f"`--{flag.name}`",
            f"`{setting.type_text}`",
            f"`{setting.default_text}`",
            part,
            describe(setting),
        ]
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(settings_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
