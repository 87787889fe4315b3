"""What `simt` tells of a candidate at sizes that it cannot run: faults that come of the sizes alone.

The kernels in kernels/rehearsed/right are right with their real data, or with the work of the other threads.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.candidate import Candidate, parse_source
from evaluation.plan import Plan, plan
from evaluation.problem import Instance, Tensor
from evaluation.verdict import Refusal
from tests.evaluation.simt_runs import SETTINGS

KERNELS = Path(__file__).parent / "kernels" / "rehearsed"
WRONG = sorted((KERNELS / "wrong").glob("*.cu"))
RIGHT = sorted((KERNELS / "right").glob("*.cu"))


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


def rehearsed(backend: SimtBackend, source: str) -> Refusal | None:
    """Of a problem with x (rows, cols), integers j of cols and an output of the shape of x."""
    rows, cols = map(int, re.findall(r"^// sizes: (\d+) (\d+)$", source, re.MULTILINE)[0])
    x = Tensor(name="x", shape=(rows, cols), dtype="float32")
    instance = Instance(
        program="",
        sizes={"rows": rows, "cols": cols},
        inputs=(x, Tensor(name="j", shape=(cols,), dtype="int32")),
        outputs=(x.model_copy(update={"name": "out"}),),
    )
    candidate = parse_source(source)
    assert isinstance(candidate, Candidate), candidate.reason
    planned = plan(candidate, instance)
    assert isinstance(planned, Plan), planned.reason
    built = backend.build(candidate.source, planned.kernels)
    assert not isinstance(built, Refusal), built.reason
    return backend.rehearse(built, planned)


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_goes_wrong_by_the_sizes_alone_is_told(backend, path):
    source = path.read_text()
    refusal = rehearsed(backend, source)
    assert refusal is not None
    expected = re.findall(r"^// expect: (.*)$", source, re.MULTILINE)[0]
    assert re.match(expected, f"{refusal.status.value}: {refusal.reason}"), refusal


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_what_data_or_other_threads_would_put_right_is_not_told(backend, path):
    assert rehearsed(backend, path.read_text()) is None


def test_a_rehearsal_repeats(backend):
    source = WRONG[0].read_text()
    assert rehearsed(backend, source) == rehearsed(backend, source)
