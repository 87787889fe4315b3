"""Prepares sources alone, without a profile or a night."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.solutions import Evaluator
from data.sources.answers import judged
from data.sources.counts import Counts
from data.sources.datasheet import datasheet
from data.sources.intake import Intake
from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.output import Output, file_hash
from data.sources.readers import SourceError
from data.sources.registry import parse_source
from data.sources.rows import Outcome
from data.trusted import TrustedReference
from evaluation.errors import WarpsmithError
from evaluation.pool import EvaluationPool
from evaluation.problem import Split
from evaluation.reference.pool import ReferencePool
from evaluation.settings import EvaluationSettings

Say = Callable[[str], None]
#: Seconds between two lines of progress.
_PROGRESS_SECONDS = 5.0


@dataclass
class Source:
    """One source and what became of its rows."""

    name: str
    """As it was asked for."""
    kind: Kind
    location: Location
    split: Split | None
    """Where all of its rows belong; none goes by the operators of each."""
    counts: Counts = field(default_factory=Counts)
    error: str | None = None
    """Why it could not be read, or not to its end."""

    @classmethod
    def of(cls, name: str, split: Split | None = None) -> Source:
        """The source that a person named; raises WarpsmithError for an unknown kind."""
        kind, location = parse_source(name)
        return cls(name, kind, location, split or kind.split)

    def summary(self) -> dict[str, Any]:
        """What the manifest says of it."""
        path = self.location.path
        return {
            "source": self.name,
            "kind": self.kind.name,
            "licence": self.kind.licence,
            "sha256": file_hash(path) if path.is_file() else None,
            "error": self.error,
            **self.counts.summary(),
        }


def prepare_sources(
    sources: Sequence[Source], options: Options, *, out: Path, workers: int, say: Say
) -> dict[str, Any]:
    """Write the files of `data.sources.output` to `out`; returns the manifest.

    Held-out sources are read first. One that cannot be read says so in its `error`, and the rest goes on.
    The same sources, settings and seed give the same bytes, whatever the workers.
    """
    ordered = sorted(sources, key=lambda source: source.split is not Split.HELDOUT)
    with (
        Output(out, options.settings.prompt_style) as output,
        ReferencePool(workers) as confined,
        TrustedReference() as trusted,
        EvaluationPool(EvaluationSettings(workers=workers), confined) as pool,
    ):
        intake = Intake(confined, trusted, options)
        for source in ordered:
            _take(source, intake.take(source.kind, source.location, source.split), output, pool, say)
        manifest = _manifest(sources, options, output.hashes())
        if not manifest["rows_in"]:
            raise WarpsmithError("; ".join(f"{source.error}" for source in sources))
        output.finish(manifest, datasheet(manifest))
    return manifest


def _take(
    source: Source, outcomes: Iterable[Outcome], output: Output, evaluator: Evaluator, say: Say
) -> None:
    """Read one source to its end, and say now and then how far it is."""
    said = time.monotonic()
    try:
        for outcome in judged(outcomes, evaluator, seed=0) if source.kind.answers else outcomes:
            source.counts.add(outcome)
            output.add(source.name, outcome)
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                say(f"{source.name}: {source.counts.line()} so far")
        if not source.counts.rows_in:
            source.error = f"source {source.name} has no rows"
    except SourceError as error:
        source.error = str(error)
    say(f"{source.name}: {source.error or source.counts.line()}")


def _manifest(sources: Sequence[Source], options: Options, files: dict[str, str]) -> dict[str, Any]:
    total = Counts.of_all(source.counts for source in sources)
    version = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files.items()).encode())
    return {
        "data_version": version.hexdigest(),
        **total.summary(),
        "operators": dict(sorted(total.operators.items())),
        "sources": [source.summary() for source in sources],
        "seed": options.settings.seed,
        "night": options.night,
        "prompt_style": options.settings.prompt_style.value,
        "files": files,
    }
