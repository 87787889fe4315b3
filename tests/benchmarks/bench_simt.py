"""Evaluations (compile and run) per minute and core of the `simt` backend on the mix of eight kernels.

Every source differs (a comment with the round's number), so nothing is cached. Prints; asserts nothing.
"""

from __future__ import annotations

import argparse
import time

from evaluation.backends.simt.backend import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal
from tests.benchmarks.simt_mix import cases


def main() -> None:
    """Time every case some times, one after another, in one process; again with NVRTC if it is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_simt", description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=10, help="runs of each kernel (default 10)")
    rounds = parser.parse_args().rounds
    for require_sm90 in sorted({False, EvaluationSettings().require_sm90}):
        print(f"with `evaluation.require_sm90: {str(require_sm90).lower()}`")
        measure(rounds, EvaluationSettings(require_sm90=require_sm90))


def measure(rounds: int, settings: EvaluationSettings) -> None:
    """Print the times of every case under some settings."""
    mix = list(cases())
    compile_s = {case.name: 0.0 for case in mix}
    run_s = dict(compile_s)
    with SimtBackend(settings) as backend:
        for number in range(rounds):
            for case in mix:
                start = time.perf_counter()
                built = backend.build(f"// {number}\n{case.source}", case.kernels)
                assert not isinstance(built, Refusal), (case.name, built)
                middle = time.perf_counter()
                outcome = backend.run(built, [case.run])
                assert not isinstance(outcome, Refusal), (case.name, outcome)
                compile_s[case.name] += middle - start
                run_s[case.name] += time.perf_counter() - middle
    for name in compile_s:
        compile_ms, run_ms = compile_s[name] / rounds * 1e3, run_s[name] / rounds * 1e3
        print(f"{name:10s} compile {compile_ms:6.1f} ms   run {run_ms:6.1f} ms")
    total = sum(compile_s.values()) + sum(run_s.values())
    print(f"simt: {rounds * len(mix) / total * 60:.0f} evaluations a minute on one core")


if __name__ == "__main__":
    main()
