"""The best kernel of each problem is kept; on a GPU only if compute-sanitizer finds nothing."""

from __future__ import annotations

import pytest

from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.report.finalists import _prepared, _verdict, choose_finalists, save_finalists
from evaluation.report.sanitize import find_sanitizer
from evaluation.report.summary import Contender, Sample
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Measurements, Status, Verdict
from tests.evaluation.report.test_drafts import BAD, CUDA, GOOD, GPU_MARK, SKIP, large

RACY = GOOD.replace(
    "{\n", "{\n    __shared__ int s; s = threadIdx.x; __syncthreads(); if (s < 0) return;\n", 1
)


def sample(
    response: str, index: int, speedup: float | None = None, status: Status = Status.CORRECT
) -> Sample:
    numbers = Measurements(instances=2, max_error=0.1, speedup=speedup)
    measured = numbers if status is Status.CORRECT else None
    verdict = Verdict(status=status, reason="", measurements=measured)
    return Sample(
        problem_id="double",
        contender=Contender.TRAINED,
        index=index,
        response=response,
        checks=verdict,
        aligned=verdict,
    )


def chosen(samples, settings):
    return choose_finalists([large()], samples, settings, seed=1)


def test_the_fastest_is_kept(tmp_path):
    samples = [sample(GOOD, 0, 1.5), sample(GOOD + " ", 1, 2.0), sample(BAD, 2, status=Status.WRONG)]
    finalists = chosen(samples, EvaluationSettings())
    assert [(one.index, one.speedup) for one in finalists] == [(1, 2.0)]
    save_finalists(tmp_path, finalists, [large()], samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["double.md", "double.py", "finalists.jsonl"]
    assert (tmp_path / "double.py").read_text() == large().shipped.program


def test_what_an_earlier_run_kept_is_removed_and_nothing_else(tmp_path):
    samples = [sample(GOOD, 0)]
    save_finalists(tmp_path, chosen(samples, EvaluationSettings()), [large()], samples)
    (tmp_path / "mine.py").write_text("")
    save_finalists(tmp_path, [], [large()], samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finalists.jsonl", "mine.py"]


def test_the_first_of_equals_is_kept():
    assert chosen([sample(GOOD, 0), sample(GOOD + " ", 1)], EvaluationSettings())[0].index == 0


def test_a_problem_without_a_correct_kernel_has_no_finalist():
    assert chosen([sample(BAD, 0, status=Status.WRONG)], EvaluationSettings()) == []


@GPU_MARK
@SKIP
def test_what_the_sanitizer_refuses_makes_room_for_the_next():
    if find_sanitizer() is None:
        pytest.skip("compute-sanitizer is not installed")
    (finalist,) = chosen([sample(RACY, 0, 3.0), sample(GOOD, 1, 2.0)], CUDA)
    assert (finalist.index, finalist.sanitizer) == (1, "passed")
    assert finalist.refused and finalist.refused[0].startswith("racecheck")


@pytest.mark.parametrize("error", [EvaluatorFailure("the GPU is full"), WarpsmithError("the GPU is full")])
def test_a_kernel_that_could_not_be_sanitized_is_no_worse_for_it(error):
    class Broken:
        def build(self, *_):
            raise error

    found = _verdict(_prepared(large(), sample(GOOD, 0), Broken(), None, seed=1))
    assert found == "not run: the GPU is full"
