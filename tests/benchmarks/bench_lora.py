"""Memory and speed of LoRA steps on one GPU, at the shapes of Qwen3-4B and -8B, with random weights.

    python -m tests.benchmarks.bench_lora [--cases 4b-sft 8b-sft 8b-grpo] [--rank 16] [--json FILE]

Prints one line of JSON: by case the peak of GPU memory, the time and the MFU of a step in bfloat16 with
adapters beside all linear layers; each case also to the standard error, as it ends. `sft` is a step on 2
sequences of 4 096 tokens, all learnt; with all layers recomputed, and (`-kept`) without. `grpo` is all that a
GRPO step does but for sampling and judging: scores under the old policy and under the reference (the model
without its adapters), two optimizer steps on 32 responses of 2 048 tokens, and every merged weight as an
engine would get it. The goal of 4b-sft is 24 GiB.

Each case is measured in a process of its own; one that fails, fails alone. `tiny-...` runs everywhere.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

from tests.benchmarks.bench_trainer import _batch, _memory, _synchronize, sft_step
from tests.benchmarks.qwen3_shapes import MODELS, Model
from tests.training.tiny import one_process
from training.objective.batch import Example
from training.optimize.speed import peak_rate, training_flops
from training.optimize.trainer import Trainer
from training.policy.policy import Policy
from training.rollout.buffer import Sample
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import Message, PromptRow
from training.rollout.rewards.rewards import Reward
from training.settings.jobs import MegatronSettings
from training.settings.optimization import GrpoSettings, SftSettings
from training.settings.rollout import RolloutSettings
from training.settings.sizes import adapter_weights

GOAL_GIB = 24.0
_RECOMPUTE = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
_WARM_UP, _TIMED = {"sft": 2, "grpo": 1}, {"sft": 3, "grpo": 1}
_GROUPS, _SAMPLES, _PROMPT = 8, 4, 128
CASES = ("4b-sft", "4b-sft-kept", "8b-sft", "8b-grpo", "tiny-sft", "tiny-grpo")


def settings(model: Model, rank: int, *, recompute: bool) -> MegatronSettings:
    """bfloat16 on a GPU, micro-batches of two of the shape's sequences."""
    return MegatronSettings(
        nproc_per_node=1,
        bf16=torch.cuda.is_available(),
        use_dynamic_batch_size=True,
        max_tokens_per_gpu=2 * model.length,
        lora_rank=rank,
        lora_alpha=2.0 * rank,
        **(_RECOMPUTE if recompute else {}),
    )


def sft_case(model: Model, megatron: MegatronSettings) -> tuple[Callable[[], Any], float]:
    """A step of SFT, and the FLOPs that it needs."""
    optimization = SftSettings(lr=1e-4, warmup_steps=0, decay_fraction=0.0)
    trainer, batch = Trainer(model.architecture, megatron, optimization, 1000), _batch(model)
    flops = training_flops(model.architecture, megatron, [example.length for example in batch])
    return lambda: sft_step(trainer, batch), flops


def grpo_case(model: Model, megatron: MegatronSettings) -> tuple[Callable[[], Any], float]:
    """A step of GRPO without its rollout, and the FLOPs that its optimizer steps need."""
    grpo = GrpoSettings(
        minibatches=2, kl_coefficient=1e-3, importance_cap=2.0, lr=1e-5, mismatch_tolerance=1.0
    )
    trainer = Trainer(model.architecture, megatron, grpo, 1000)
    rollout = RolloutSettings(max_new_tokens=model.length // 2)
    policy = Policy(trainer, grpo, rollout, trainer.base_logprobs)
    drawn = np.random.default_rng(0)
    row = PromptRow(prompt=(Message(role="user", content="x"),), label="x")

    def ids(count: int) -> tuple[int, ...]:
        return tuple(drawn.integers(model.architecture.vocab_size, size=count).tolist())

    groups = [group for group in range(_GROUPS) for _ in range(_SAMPLES)]
    texts = [(group, ids(_PROMPT), ids(rollout.max_new_tokens)) for group in groups]
    scores = trainer.logprobs([Example(prompt, response) for _, prompt, response in texts], 1.0)
    samples = [
        Sample(
            group,
            row,
            prompt,
            Completion(response, tuple(score.tolist()), FinishReason.STOP, 0),
            "",
            Reward(float(number % 2)),
        )
        for number, ((group, prompt, response), score) in enumerate(zip(texts, scores, strict=True))
    ]
    steps = iter(range(10**6))

    def step() -> None:
        policy.update(samples, next(steps))
        for _name, _weight in policy.weights():
            pass

    lengths = [_PROMPT + rollout.max_new_tokens] * len(samples)
    return step, training_flops(model.architecture, megatron, lengths)


def measure(case: str, rank: int) -> dict[str, Any]:
    """Build the case's model and time its steps."""
    name, kind, *kept = case.split("-")
    model = MODELS[name.replace("b", "B") if name != "tiny" else name]
    megatron = settings(model, rank, recompute=not kept)
    torch.manual_seed(0)
    if torch.cuda.is_available():
        model_parallel_cuda_manual_seed(0)
        torch.cuda.reset_peak_memory_stats()
    make = sft_case if kind == "sft" else grpo_case
    step, flops = make(model, megatron)
    built = _memory("memory_allocated")
    rate = peak_rate(torch.bfloat16 if megatron.bf16 else torch.float32)
    seconds = [_timed(step) for _ in range(_WARM_UP[kind] + _TIMED[kind])]
    typical = statistics.median(seconds[_WARM_UP[kind] :])
    record = {
        "seconds": typical,
        "seconds_all": seconds,
        "adapters": adapter_weights(model.architecture, megatron),
        "tflops": flops / typical / 1e12,
        "mfu": flops / typical / rate,
    }
    if not torch.cuda.is_available():
        return record
    peak = _memory("max_memory_allocated")
    record |= {"peak_gib": peak, "reserved_gib": _memory("max_memory_reserved"), "built_gib": built}
    return record | ({"goal_gib": GOAL_GIB, "within_goal": peak <= GOAL_GIB} if case == "4b-sft" else {})


def _timed(step: Callable[[], Any]) -> float:
    _synchronize()
    start = time.perf_counter()
    step()
    _synchronize()
    return time.perf_counter() - start


def _in_child(case: str, rank: int) -> dict[str, Any]:
    """The record of a case, or why there is none."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_lora", "--child", case, "--rank", str(rank)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        record: dict[str, Any] = json.loads(lines[-1])
        return record
    return {"error": done.stderr[-1500:]}


def main() -> None:
    """Read the command line and print the line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_lora")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES[:4])
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        with one_process():
            print(json.dumps(measure(options.child, options.rank)), flush=True)
        return
    cases = {}
    for case in options.cases:
        cases[case] = _in_child(case, options.rank)
        print(f"{case}: {json.dumps(cases[case])}", file=sys.stderr, flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    line = json.dumps({"device": device, "rank": options.rank, "cases": cases})
    if options.json:
        options.json.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
