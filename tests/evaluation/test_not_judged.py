"""What the evaluator fails at is no verdict: it is counted, not kept, and stops the run when it goes on."""

import shutil

import pytest

from evaluation import pool as pool_module
from evaluation.pool import EvaluationPool, EvaluationPoolError, Request
from evaluation.reference.pool import ReferencePool
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Status
from tests.evaluation.reference.test_forged_replies import forged
from tests.evaluation.test_pool import BROKEN, EMPTY, GOOD, WRONG

NO_ROOM = 1 << 40
"""MiB that no machine has left: with files as large as that, every disk is as good as full."""


def test_a_full_disk_is_no_candidates_fault(row_sum, reference, simt, caplog):
    settings = EvaluationSettings(workers=1, file_mb=NO_ROOM)
    with EvaluationPool(settings, reference) as pool:
        verdicts = pool.evaluate([Request(row_sum, text) for text in (GOOD, EMPTY)], seed=0)
        assert [one.status for one in verdicts] == [Status.NOT_JUDGED, Status.UNPARSABLE]
        assert "MiB left" in verdicts[0].reason and not verdicts[0].judged
        assert not pool._cache._verdicts
        assert not pool._workers  # a worker that failed is not used again
    assert caplog.text.count("was not judged") == 1


def test_many_failures_in_a_row_stop_the_run_with_the_cause(row_sum, reference, simt):
    settings = EvaluationSettings(workers=1, file_mb=NO_ROOM, failures_in_a_row=2)
    stopped = pytest.raises(EvaluationPoolError, match=r"2 evaluations in a row failed.*MiB left")
    with EvaluationPool(settings, reference) as pool, stopped:
        pool.evaluate([Request(row_sum, text) for text in (GOOD, WRONG, BROKEN)], seed=0)


def test_a_worker_that_always_dies_is_no_candidates_fault(row_sum, reference, simt, monkeypatch):
    begin = pool_module._Worker.begin

    def die_of_it(worker, job, task):
        if job.candidate.source == dying:
            worker.kill()
        begin(worker, job, task)

    monkeypatch.setattr(pool_module._Worker, "begin", die_of_it)
    dying = pool_module.parse(WRONG).source
    settings = EvaluationSettings(workers=1, failures_in_a_row=2)
    with EvaluationPool(settings, reference) as pool:
        for _ in range(2):  # a verdict between two failures begins the count anew
            verdicts = pool.evaluate([Request(row_sum, text) for text in (WRONG, GOOD)], seed=0)
            assert [one.status for one in verdicts] == [Status.NOT_JUDGED, Status.CORRECT]
            pool._cache = pool_module.VerdictCache()


def test_a_forged_trial_is_no_candidates_fault(row_sum, reference, simt):
    instances = tuple(
        one.model_copy(update={"program": forged({"tensors": ["a"]})}) for one in row_sum.checks
    )
    broken = row_sum.model_copy(update={"checks": instances})
    with EvaluationPool(EvaluationSettings(workers=1, failures_in_a_row=1), reference) as pool:
        verdicts = pool.evaluate([Request(broken, GOOD), Request(row_sum, GOOD)], seed=0)
    assert [verdict.status for verdict in verdicts] == [Status.NOT_JUDGED, Status.CORRECT]
    assert "reference program failed" in verdicts[0].reason


def test_a_reference_that_cannot_even_start_is_no_candidates_fault(row_sum, simt):
    with ReferencePool() as lost:
        shutil.rmtree(lost._scratch.path)
        with EvaluationPool(EvaluationSettings(workers=1), lost) as pool:
            (verdict,) = pool.evaluate([Request(row_sum, GOOD)], seed=0)
    assert verdict.status is Status.NOT_JUDGED
    assert "could not be run (FileNotFoundError" in verdict.reason
