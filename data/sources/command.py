"""The command line of `python -m data.prepare`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from data.settings import DataSettings, PromptStyle
from data.sources.kind import Options
from data.sources.location import BARE
from data.sources.registry import all_kinds
from data.sources.run import Source, prepare_sources
from evaluation.errors import WarpsmithError
from evaluation.problem import Split

_DESCRIPTION = """\
Prepare published sets of problems to train on or to hold out, without a profile or a night.

A source is KIND:PATH; PATH is a JSONL or parquet file, a folder, or a name on the Hugging Face hub (with the
package `datasets`), and path@[a:b] takes its rows a to b. A path without a kind holds programs. The kinds:
"""
_EPILOGUE = """\
DIR gets rows.jsonl (prompt, label, metadata), problems.jsonl, sft.jsonl (answers that were judged
correct), outputs.csv, quarantine.jsonl (what was left out, where it stands and why), manifest.json (counts
by source and reason, hashes), datasheet.md, and expectations.json with docs/: what should hold of the rows.
Exit status: 0 if every source was read, 1 if one was not or no row could be used, 2 if nothing was.
"""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one sentence, like every other error."""

    def error(self, message: str) -> NoReturn:
        raise WarpsmithError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    try:
        return _run(_parser().parse_args(arguments))
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"error: {error.filename or 'the output'} cannot be written ({error.strerror})", file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def _run(asked: argparse.Namespace) -> int:
    sources = [Source.of(name, Split.HELDOUT) for name in asked.heldout] + [
        Source.of(name) for name in asked.source
    ]
    if not sources:
        raise WarpsmithError("name at least one --source KIND:PATH; see python -m data.prepare --help")
    if asked.out.exists() and not asked.out.is_dir():
        raise WarpsmithError(f"--out {asked.out} is a file; name a folder")
    settings = DataSettings(seed=asked.seed, prompt_style=PromptStyle(asked.prompt_style))
    options = Options(
        settings=settings,
        night=asked.night,
        input_key=asked.input_key,
        label_key=asked.label_key,
        metadata_key=asked.metadata_key,
        workers=asked.workers,
    )

    def say(text: str) -> None:
        print(f"[prepare] {text}", file=sys.stderr, flush=True)

    manifest = prepare_sources(sources, options, out=asked.out, workers=asked.workers, say=say)
    failed = None if asked.no_gate else _judged(sources, asked.out, asked.baseline, say)
    numbers = (manifest[name] for name in ("rows_in", "rows_out", "quarantined", "duplicates"))
    print(
        "{} rows in: {} kept, {} quarantined, {} duplicates".format(*numbers),
        f"({asked.out / 'manifest.json'})",
    )
    return int(any(source.error for source in sources) or not manifest["rows_out"] or failed is not None)


def _judged(
    sources: Sequence[Source], out: Path, baseline: Path | None, say: Callable[[str], None]
) -> str | None:
    """Judge what was written; why it must not be used, if it must not."""
    from data.expectations.prepared_sources import RESULT, judge_prepared
    from data.expectations.suite import broken

    outcomes = judge_prepared(out, [source.name for source in sources if source.kind.whole_numbers], baseline)
    warned = [outcome.name for outcome in outcomes if not outcome.success]
    say(f"{len(outcomes)} expectations, not met: {', '.join(warned) or 'none'}; see {out / RESULT}")
    failed = broken(outcomes)
    if failed is not None:
        print(f"error: the prepared rows break {failed}; do not use them", file=sys.stderr)
    return failed


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(
        f"  {name:15}{kind.about}" for name, kind in sorted(all_kinds().items()) if name != BARE
    )
    parser = _Parser(
        prog="python -m data.prepare",
        description=_DESCRIPTION + kinds,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--source", action="append", default=[], metavar="KIND:PATH", help="take in this source (repeatable)")
    add("--heldout", action="append", default=[], metavar="KIND:PATH", help="the same, all of it held out")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the files below")
    add("--workers", type=_workers, default=os.cpu_count() or 1, help="programs run side by side (all cores)")
    add(
        "--seed",
        type=int,
        default=0,
        help="of what is drawn, and of the sizes that problems are judged at (0)",
    )
    add("--night", default="0", help="joined with the seed, as a night's name is")
    styles = [style.value for style in PromptStyle]
    add("--prompt-style", choices=styles, default=PromptStyle.FULL.value, help="how problems are put (full)")
    add("--baseline", type=Path, metavar="DIR", help="warn of what differs from the data there")
    add("--no-gate", action="store_true", help="leave out the expectations, which take some seconds")
    add("--input-key", default="prompt", help="slime: column of the prompt (prompt)")
    add("--label-key", default="label", help="slime: column of the answer (label)")
    add("--metadata-key", default="metadata", help="slime: column of anything else (metadata)")
    return parser


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 256, not {text!r}")
    return int(text)
