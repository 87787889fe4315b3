"""Finalists under compute-sanitizer: what its reports mean, and the real tools where they are installed."""

from __future__ import annotations

import pytest

from evaluation.errors import WarpsmithError
from evaluation.report.sanitize import Tool, find_sanitizer, judge_report, sanitize
from evaluation.verdict import Status
from tests.evaluation.cuda_kernels import ADD, body, needs_gpu, runs

GPU_MARK, SKIP = needs_gpu


def on_gpu(test):
    """Mark a test that needs a GPU."""
    return GPU_MARK(SKIP(test))


CLEAN = "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n"
INVALID = (
    "========= COMPUTE-SANITIZER\n========= Invalid __global__ read of size 4 bytes\n"
    "=========     at k+0x90\n========= ERROR SUMMARY: 3 errors\n"
)
RACE = "========= COMPUTE-SANITIZER\n========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n"


def test_a_clean_report_passes():
    assert judge_report(Tool.MEMCHECK, 0, CLEAN) is None


@pytest.mark.parametrize(
    ("tool", "report", "words"),
    [(Tool.MEMCHECK, INVALID, "Invalid __global__ read"), (Tool.RACECHECK, RACE, "")],
)
def test_a_finding_is_a_fault(tool, report, words):
    refusal = judge_report(tool, 99, report)
    assert refusal.status is Status.FAULT
    assert refusal.reason.startswith(f"{tool}: ")
    assert words in refusal.reason


def test_a_tool_that_does_not_run_is_an_error():
    with pytest.raises(WarpsmithError, match="does not run here: Device not supported"):
        judge_report(Tool.INITCHECK, 1, "Device not supported\n")


@pytest.fixture(scope="module")
def backend():
    from evaluation.backends.cuda.backend import CudaBackend
    from evaluation.settings import BackendName, EvaluationSettings

    if find_sanitizer() is None:
        pytest.skip("compute-sanitizer is not installed")
    backend = CudaBackend(EvaluationSettings(backend=BackendName.CUDA))
    yield backend
    backend.close()


def sanitized(backend, source, kernel, tools):
    (run,) = runs(source, (1000,))
    return sanitize(backend.build(source, [kernel]), run.plan, dict(run.inputs), tools)


@on_gpu
def test_an_honest_kernel_passes_all_tools(backend):
    assert sanitized(backend, ADD, "add", tuple(Tool)) is None


@on_gpu
@pytest.mark.parametrize(
    ("tool", "text"),
    [
        (Tool.MEMCHECK, "if (i < n) out[i] = x[i] + (i == 999 ? x[i + 6] * 0 : 0);"),
        (Tool.RACECHECK, "__shared__ int s; s = i; __syncthreads(); if (i < n) out[i] = s;"),
        (Tool.INITCHECK, "if (i < n) out[i] = out[i] + x[i];"),
    ],
)
def test_each_tool_finds_what_it_is_for(backend, tool, text):
    refusal = sanitized(backend, body(text), "k", (tool,))
    assert refusal.status is Status.FAULT
    assert refusal.reason.startswith(tool)
