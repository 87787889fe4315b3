"""The worker pool: order, independence, caching, and workers that die."""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from evaluation.cache import VerdictCache, VerdictCacheError, machine, verdict_key
from evaluation.check import SizeSet, check
from evaluation.pool import EvaluationPool, EvaluationPoolError, Request
from evaluation.settings import BackendName, EvaluationSettings, RewardSettings
from evaluation.toolchain import find_compiler
from evaluation.verdict import Status, Verdict

KERNEL = """\
```cuda
// launch k<<<{grid}, 32>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float s = {start};
    for (int i = 0; i < cols; ++i) s += fmaxf(x[r * cols + i], 0.f);
    out[r] = s;
}}
```
"""
GOOD = KERNEL.format(grid="ceil_div(rows, 32)", start="0.f")
SHORT = KERNEL.format(grid="rows / 32", start="0.f")
WRONG = KERNEL.format(grid="ceil_div(rows, 32)", start="1.f")
BROKEN = KERNEL.format(grid="ceil_div(rows, 32)", start="zero")
EMPTY = "I cannot do that."
EXPECTED = {
    GOOD: Status.CORRECT, SHORT: Status.WRONG, WRONG: Status.WRONG,
    BROKEN: Status.COMPILE_ERROR, EMPTY: Status.UNPARSABLE,
}  # fmt: skip


@pytest.fixture
def make_pool(reference, simt):
    pools = []

    def make(**settings):
        pools.append(EvaluationPool(EvaluationSettings(**settings), reference))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def test_verdicts_come_in_order_and_are_those_of_check(make_pool, row_sum, simt, reference):
    responses = [*EXPECTED, *reversed(EXPECTED)]
    seen = []
    verdicts = make_pool(workers=2).evaluate(
        [Request(row_sum, response) for response in responses],
        seed=5,
        progress=lambda *done: seen.append(done),
    )
    assert [verdict.status for verdict in verdicts] == [EXPECTED[response] for response in responses]
    alone = [
        check(row_sum, response, sizes=SizeSet.CHECKS, seed=5, backend=simt, reference=reference)
        for response in EXPECTED
    ]
    assert verdicts[: len(alone)] == alone
    assert seen[0] == (2, 10)  # the responses that do not parse need no worker
    assert seen[-1] == (10, 10)
    assert seen == sorted(seen)


def test_a_compiler_that_is_not_there_is_named(make_pool, row_sum):
    with pytest.raises(EvaluationPoolError, match="no-such-compiler"):
        make_pool(workers=1, compiler="no-such-compiler").evaluate([Request(row_sum, GOOD)], seed=0)


def test_sizes_and_cached_verdicts(make_pool, row_sum):
    pool = make_pool(workers=1)
    requests = [Request(row_sum, SHORT), Request(row_sum.model_copy(update={"id": "other"}), SHORT)]
    ragged = pool.evaluate(requests, seed=0)
    assert [verdict.status for verdict in ragged] == [Status.WRONG] * 2
    aligned = pool.evaluate(requests[:1], seed=0, sizes=SizeSet.ALIGNED)
    assert aligned[0].correct
    for worker in pool._workers:
        worker.kill()
    assert pool.evaluate(requests, seed=0) == ragged  # needs no worker


def test_a_worker_that_dies_is_replaced(make_pool, row_sum, caplog):
    pool = make_pool(workers=1)

    def kill_once(done, total):
        if done == 1:
            os.kill(pool._workers[0]._process.pid, signal.SIGKILL)

    responses = [GOOD, WRONG, BROKEN]
    verdicts = pool.evaluate([Request(row_sum, r) for r in responses], seed=0, progress=kill_once)
    assert [verdict.status for verdict in verdicts] == [EXPECTED[r] for r in responses]
    assert "died and is replaced" in caplog.text


def test_a_reference_that_fails_is_no_candidates_fault(make_pool, row_sum):
    instance = row_sum.checks[0].model_copy(update={"program": row_sum.checks[0].program + "\nrows = 38\n"})
    broken = row_sum.model_copy(update={"checks": (instance,)})
    verdicts = make_pool(workers=1).evaluate([Request(broken, GOOD), Request(row_sum, GOOD)], seed=0)
    assert [verdict.status for verdict in verdicts] == [Status.NOT_JUDGED, Status.CORRECT]
    assert "reference program failed" in verdicts[0].reason


def test_nothing_to_do(make_pool):
    assert make_pool().evaluate([], seed=0) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_owner(row_sum, tmp_path, number, simt):
    """A trainer that is killed, or interrupted by Ctrl-C, leaves no process behind."""
    (tmp_path / "problem.json").write_text(row_sum.model_dump_json())
    (tmp_path / "response.txt").write_text(GOOD)
    script = """
import os, sys, time
from pathlib import Path
from evaluation.pool import EvaluationPool, EvaluationPoolError, Request
from evaluation.problem import Problem
from evaluation.settings import EvaluationSettings
folder = Path(sys.argv[1])
problem = Problem.model_validate_json((folder / "problem.json").read_text())
request = Request(problem, (folder / "response.txt").read_text())
with EvaluationPool(EvaluationSettings(workers=1)) as pool:
    assert pool.evaluate([request], seed=0)[0].correct
    print(*(worker._process.pid for worker in pool._workers), flush=True)
    time.sleep(60)
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    workers = [int(word) for word in owner.stdout.readline().split()]
    assert workers
    owner.send_signal(number)
    owner.communicate()
    give_up = time.monotonic() + 30
    while any(_alive(worker) for worker in workers):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_cache_file_outlives_the_process(tmp_path, row_sum):
    path = tmp_path / "cache" / "verdicts.sqlite"
    verdict = Verdict(status=Status.WRONG, reason="by 1")
    cache = VerdictCache(path)
    assert cache.get("a") is None
    cache.update({"a": verdict})
    cache.close()
    assert VerdictCache(path).get("a") == verdict


def test_a_cache_file_that_is_none(tmp_path):
    (tmp_path / "verdicts").write_text("not a database, and long enough to be seen as such" * 100)
    with pytest.raises(VerdictCacheError, match="delete it"):
        VerdictCache(tmp_path / "verdicts")


def test_keys_hold_what_verdicts_depend_on(row_sum):
    def key(problem=row_sum, source="k", seed=0, sizes=SizeSet.CHECKS, reference="ReferencePool", **settings):
        return verdict_key(
            problem, source,
            seed=seed, sizes=sizes, settings=EvaluationSettings(**settings), reference=reference,
        )  # fmt: skip

    different = [
        key(), key(source="l"), key(seed=1), key(sizes=SizeSet.ALIGNED), key(optimization="-O1"),
        key(reference="TrustedReference"),
        key(row_sum.model_copy(update={"tolerance": 1e-3})),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert key() == key(workers=7) == key(rewards=RewardSettings(parsed=0)) == key(failures_in_a_row=2)


def test_keys_hold_what_computes(monkeypatch):
    assert version("torch") in machine(BackendName.SIMT, None)
    assert find_compiler().version in machine(BackendName.SIMT, None)
    assert machine(BackendName.SIMT, "no-such-compiler")


def test_the_cache_holds_what_was_used_last(monkeypatch):
    monkeypatch.setattr("evaluation.cache._IN_MEMORY", 2)
    cache, verdict = VerdictCache(), Verdict(status=Status.WRONG, reason="by 1")
    cache.update({"a": verdict, "b": verdict})
    assert cache.get("a") == verdict
    cache.update({"c": verdict})
    assert [cache.get(key) for key in "abc"] == [verdict, None, verdict]


def test_workers_are_spread_over_the_gpus(monkeypatch, reference):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    settings = EvaluationSettings(backend=BackendName.CUDA, workers=3, devices=(0, 2))
    with EvaluationPool(settings, reference) as pool:
        workers = []
        for _ in range(3):
            workers.append(pool._idle_worker())
            workers[-1].job = object()  # busy, so that the next is another
        seen = [Path(f"/proc/{worker._process.pid}/environ").read_bytes() for worker in workers]
    variables = [dict(one.split(b"=", 1) for one in all.split(b"\0") if one) for all in seen]
    assert [one[b"CUDA_VISIBLE_DEVICES"] for one in variables] == [b"4", b"7", b"4"]
