"""Finalists under NVIDIA's compute-sanitizer: memory, races and uninitialised reads, byte by byte.

Guard zones catch near overruns and two fills catch uninitialised reads that matter; the sanitizer catches all
of them, at half a second to three seconds a tool. So it runs on the best kernels of a night, not on every
candidate, at the check sizes. It needs CUDA's `compute-sanitizer` and a GPU.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.backends.cuda.arguments import typed_launches
from evaluation.backends.cuda.backend import CudaBuilt
from evaluation.backends.cuda.nvrtc import search_path
from evaluation.backends.cuda.process import environment
from evaluation.errors import WarpsmithError
from evaluation.plan import Plan, Role
from evaluation.verdict import Refusal, Status

_LIMIT_SECONDS = 120.0
_ERRORS = re.compile(r"ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard")
_FINDING = re.compile(
    r"^========= (?!COMPUTE-SANITIZER|ERROR SUMMARY|RACECHECK SUMMARY)(\S.*)$", re.MULTILINE
)
_FAILED = 99
"""Exit status with which the sanitizer reports that it found something."""


class Tool(StrEnum):
    """What the sanitizer looks for."""

    MEMCHECK = "memcheck"  #: out of bounds, misaligned, leaks
    RACECHECK = "racecheck"  #: hazards in shared memory
    INITCHECK = "initcheck"  #: global memory that is read before it is written


class SanitizerMissingError(WarpsmithError):
    """The machine has no compute-sanitizer."""


def find_sanitizer() -> Path | None:
    """compute-sanitizer on the path, in CUDA_HOME or in the usual folder, if there is one."""
    on_path = shutil.which("compute-sanitizer")
    folders = [os.environ.get("CUDA_HOME"), "/usr/local/cuda"]
    found = [on_path, *(f"{folder}/bin/compute-sanitizer" for folder in folders if folder)]
    return next((Path(path) for path in found if path and Path(path).exists()), None)


def sanitize(
    built: CudaBuilt, plan: Plan, inputs: dict[str, np.ndarray], tools: Sequence[Tool] = tuple(Tool)
) -> Refusal | None:
    """Run a correct candidate once under each tool; refuses with FAULT and the first finding.

    Every buffer is an allocation of its own, so an access beyond one is seen unless it falls into another;
    outputs and scratch are left as the allocator gives them.

    Raises:
        SanitizerMissingError: if there is no compute-sanitizer.
        WarpsmithError: if a tool does not run here.
    """
    sanitizer = find_sanitizer()
    if sanitizer is None:
        raise SanitizerMissingError("compute-sanitizer was not found; install the CUDA toolkit's sanitizer")
    names = {buffer.tensor.name: buffer.tensor.name for buffer in plan.buffers}
    launches = typed_launches(plan, names, built.kernels)
    if isinstance(launches, Refusal):
        return launches
    with tempfile.TemporaryDirectory(prefix="warpsmith-sanitize-") as folder:
        _write_job(Path(folder), built, plan, launches, inputs)
        for tool in tools:
            refusal = _run(sanitizer, tool, Path(folder))
            if refusal:
                return refusal
    return None


def _write_job(
    folder: Path, built: CudaBuilt, plan: Plan, launches: list[dict[str, Any]], inputs: dict[str, np.ndarray]
) -> None:
    """What `evaluation.backends.cuda.once` reads: the cubin, the inputs and the launches."""
    (folder / "module.cubin").write_bytes(built.cubin)
    buffers = {}
    for buffer in plan.buffers:
        name = buffer.tensor.name
        buffers[name] = buffer.tensor.nbytes
        if buffer.role is Role.INPUT:
            (folder / f"{name}.bin").write_bytes(np.ascontiguousarray(inputs[name]).tobytes())
    job = {"kernels": built.parameter_types, "launches": launches, "buffers": buffers}
    (folder / "job.json").write_text(json.dumps(job))


def _run(sanitizer: Path, tool: Tool, folder: Path) -> Refusal | None:
    command = [str(sanitizer), "--tool", tool, "--error-exitcode", str(_FAILED), "--print-limit", "1"]
    if tool is Tool.MEMCHECK:
        command += ["--report-api-errors", "no"]  # asking for one parameter too many ends our own list
    command += [sys.executable, "-m", "evaluation.backends.cuda.once", str(folder)]
    try:
        result = subprocess.run(
            command,
            env=environment(folder) | {"PYTHONPATH": search_path()},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Refusal(status=Status.TIMEOUT, reason=f"{tool} did not finish within {_LIMIT_SECONDS:g} s")
    report = result.stdout + result.stderr
    return judge_report(tool, result.returncode, report)


def judge_report(tool: Tool, returncode: int, report: str) -> Refusal | None:
    """What a tool's exit status and report mean.

    Raises:
        WarpsmithError: if the tool did not come to a summary.
    """
    summary = _ERRORS.search(report)
    found = int(summary[1] or summary[2]) if summary else 0
    if returncode == 0 and summary and not found:
        return None
    if not found:
        last = report.strip().splitlines()[-1][:200] if report.strip() else "no output"
        raise WarpsmithError(f"compute-sanitizer's {tool} does not run here: {last}")
    finding = _FINDING.search(report)
    what = finding[1].strip()[:300] if finding else "an error"
    return Refusal(status=Status.FAULT, reason=f"{tool}: {what}")
