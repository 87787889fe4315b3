"""Reading what was prepared: a file that is cut short, or not even text, is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.expectations.suite import GateError
from evaluation.errors import WarpsmithError
from evaluation.rows import read_lines


@contextmanager
def broken_file_named(name: str) -> Iterator[None]:
    """Say that a file is not what prepare writes."""
    try:
        yield
    except GateError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, WarpsmithError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GateError(f"{name} cannot be read ({reason}): run prepare again.") from None


def read_objects(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    with broken_file_named(path.name):
        return [dict(json.loads(line)) for _, line in read_lines(path)]
