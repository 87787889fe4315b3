"""How candidates are judged and rewarded: the `evaluation:` section of a profile."""

from __future__ import annotations

from enum import StrEnum
from math import log2
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from evaluation.marks import Machine, Result
from evaluation.problem import Frozen


class BackendName(StrEnum):
    """Where a candidate runs."""

    SIMT = "simt"  #: compiled by the machine's C++ compiler and run on the CPU; correctness only
    CUDA = "cuda"  #: compiled by NVRTC and run on the GPU


class RewardSettings(Frozen):
    """What a verdict is worth to GRPO; 0 is for a response that does not even parse."""

    parsed: Result[float] = 0.1
    """The response has a kernel with launch lines that obeys the rules, but does not compile."""
    compiled: Result[float] = 0.2
    """The kernel compiles, but does not give the right outputs."""
    correct: Result[float] = 1.0
    """The kernel passes every check."""
    speed_weight: Result[float] = Field(default=0.3, ge=0)
    """What twice the speed is worth: a timed kernel's reward is `correct` plus this times the logarithm to
    base 2 of its speed-up over PyTorch, at the lower end of the 95 % interval, so that noise never pays. 0
    leaves speed out, and nothing is timed. Only a backend that times gives speed-ups (`cuda`)."""
    slowest: Result[float] = Field(default=0.25, gt=0, le=1)
    """Speed-ups below this count as this."""
    fastest: Result[float] = Field(default=8.0, ge=1)
    """Speed-ups above this count as this, so that one problem with a slow baseline does not outweigh all."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0 <= self.parsed <= self.compiled < self.correct:
            raise ValueError("rewards must rise: 0 <= parsed <= compiled < correct")
        if self.correct + self.speed_weight * log2(self.slowest) <= self.compiled:
            raise ValueError(
                "the slowest correct kernel must be worth more than one that only compiles: "
                "correct + speed_weight * log2(slowest) > compiled"
            )
        return self


class EvaluationSettings(Frozen):
    """Everything that a verdict depends on besides the problem, the candidate and the seed."""

    backend: Result[BackendName] = BackendName.SIMT
    """`simt` needs no GPU; `cuda` needs one, and PyCUDA."""
    workers: Machine[int] = Field(default=2, ge=1, le=256)
    """Processes that judge candidates side by side (one core each)."""
    devices: Machine[tuple[Annotated[int, Field(ge=0)], ...]] = ()
    """GPUs that the `cuda` backend judges and times on, by their numbers among those that this process sees;
    none means all. Workers are spread over them; each times one problem's candidates at a time."""
    compiler: Machine[str | None] = None
    """C++ compiler of the `simt` backend (name or path); `None` takes the first of g++, clang++, c++."""
    optimization: Result[str] = Field(default="-O0", pattern=r"^-O[0-3]$")
    """Optimisation level of the `simt` build; compiling outweighs running at the small check sizes."""
    require_sm90: Result[bool] = True
    """Whether the `simt` backend asks that candidates also compile for sm_90 with NVRTC, which needs no GPU
    and takes half as long again."""
    simt_first: Result[bool] = True
    """Whether the `cuda` backend has `simt` look first, on a spare core: it sees what hardware hides."""
    time_limit_s: Result[float] = Field(default=20.0, gt=0)
    """Seconds for one run of a candidate. On a GPU by the clock, and a timeout counts if it happens twice,
    the second time within two seconds at least. In `simt` CPU seconds (ten times as many by the clock): a
    backstop behind `access_budget`, which ends a run at the same point on every machine."""
    access_budget: Result[int] = Field(default=50_000_000, gt=0)
    """Steps (loads, stores, basic blocks, started threads) that the `simt` backend allows until a thread ends
    or a barrier opens, up to twice as many where many threads take turns; a run may take 20 times as many.
    Ends a spinning kernel at the same point on every machine, mostly within half a second."""
    compile_cpu_s: Result[int] = Field(default=10, gt=0)
    """CPU seconds for one compilation; ends a template bomb."""
    memory_mb: Result[int] = Field(default=1024, gt=0)
    """Address space of a compilation and of a run, in MiB."""
    file_mb: Result[int] = Field(default=64, gt=0)
    """Largest file that a compilation or a run may write, in MiB."""
    failures_in_a_row: Machine[int] = Field(default=10, ge=1)
    """How many evaluations may fail one after the other, by no fault of the candidates (a full disk, a GPU
    whose memory others hold), before the run stops with the cause. Single failures are counted only."""
    require_confinement: Machine[bool] = False
    """Whether reference programs are refused on a kernel without Landlock, where nothing but the user's own
    permissions limits which files they read and write; without it a warning says so."""
    cache_path: Machine[Path | None] = None
    """SQLite file that keeps verdicts between runs; `None` keeps them in memory only."""
    rewards: RewardSettings = RewardSettings()
    """What each kind of verdict is worth."""
