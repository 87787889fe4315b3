"""GRPO steps of ours and of TRL's GRPOTrainer on the same model, prompts and reward, in one run.

    python -m tests.benchmarks.bench_trl --profile infra/profiles/h200.yaml --steps 8
    python -m tests.benchmarks.bench_trl --side ours --steps 12      # where the time of our steps goes

Needs a GPU, SGLang, and TRL importable by the interpreter that `--trl-python` names. Both sides start from
the same random Qwen3 of 0.6B shape, answer the same prompts with the same number of samples and tokens, and
take one optimizer step per rollout; each side runs alone in processes of its own. What is compared is the
tokens of prompts and responses that a second of wall time trains on, after the first steps, which warm up.

Of ours it also prints a step's time by the clock over the sum of its parts (generate, score, train, new
weights): 1 where they follow each other without loss, less where they overlap. For asynchronous steps with an
engine on a second GPU add `--flags --grpo-asynchronous --rollout-colocate false`; for two GPUs that train and
generate in turn, `--flags --nproc-per-node 2 --tensor-model-parallel-size 2 --rollout-num-engines 2`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

_WARM_UP_STEPS = 2


def ascii_share(text: str) -> float:
    """The reward of both sides: what share of a response's characters is ASCII."""
    return sum(character < "\x80" for character in text) / max(len(text), 1)


def reward(responses: Sequence) -> list:
    """Ours, as `rollout.reward_function` takes it."""
    from training.rollout.rewards.rewards import Reward

    return [Reward(ascii_share(response.text)) for response in responses]


def prompts(count: int) -> list[str]:
    """Short questions of about fifty tokens."""
    return [f"Write a kernel that adds {n} to each of {n * 17} elements of x. " * 2 for n in range(count)]


def make_model(folder: Path) -> None:
    """A random bf16 model with a byte-level tokenizer, and the prompts as slime rows."""
    import torch
    from transformers import Qwen3ForCausalLM

    from tests.benchmarks.qwen3_shapes import MODELS, hf_config
    from training.model.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(prompts(64), 400)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = hf_config(replace(MODELS["0.6B"].architecture, max_positions=4096))
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, None
    with torch.device("cuda"):
        Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def ours(options: argparse.Namespace, model: Path) -> list[tuple[float, float]]:
    """(tokens, seconds) of each step of `training.grpo`; prints where the time went."""
    from training.checkpoint.commands import to_megatron
    from training.command import READS, resolve
    from training.launch.local import run_job
    from training.model.tokenizer import encode_prompt, load_tokenizer
    from training.settings.jobs import GrpoJob

    settings = resolve(
        options.profile,
        [
            "--grpo-steps", str(options.steps), "--grpo-prompts-per-step", str(options.prompts),
            "--grpo-samples-per-prompt", str(options.samples), "--grpo-minibatches", "1",
            "--rollout-max-new-tokens", str(options.tokens), "--rollout-reward-function",
            "tests.benchmarks.bench_trl:reward", "--grpo-save-every", "1000", "--grpo-lr", "1e-6",
            "--grpo-eval-interval", "none", *options.flags,
        ],
        READS["grpo"],
    )  # fmt: skip
    out = options.out / "ours"
    to_megatron(model, options.out / "torch_dist")
    rows = [
        {"prompt": [{"role": "user", "content": text}], "label": str(number), "metadata": {}}
        for number, text in enumerate(prompts(64))
    ]
    (options.out / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (options.out / "problems.jsonl").write_text("")
    job = GrpoJob(
        settings=settings.training, evaluation=settings.evaluation, checkpoint=options.out / "torch_dist",
        prompts=options.out / "prompts.jsonl", problems=options.out / "problems.jsonl", out_dir=out,
    )  # fmt: skip
    run_job("training.grpo", job, out, settings.training.megatron.nproc_per_node)
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    tokenizer = load_tokenizer(model)
    asked = [len(encode_prompt(tokenizer, [{"role": "user", "content": text}])) for text in prompts(64)]
    prompt_tokens = statistics.mean(asked) * options.prompts * options.samples
    print_parts(steps[_WARM_UP_STEPS:])
    return [(step["rollout/tokens"] + prompt_tokens, step["perf/step_seconds"]) for step in steps]


def print_parts(steps: Sequence[dict[str, float]]) -> None:
    """Seconds of a step and of its parts, and the step over their sum; medians."""
    for name in ("generate", "score", "train", "sync", "step"):
        seconds = [step[f"perf/{name}_seconds"] for step in steps]
        print(f"ours: {name:8} {statistics.median(seconds):7.3f} s", flush=True)
    ratios = [1 - step["perf/overlap"] for step in steps]
    print(
        f"ours: a step takes {statistics.median(ratios):.3f} of the sum of its parts "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {len(steps)} steps)",
        flush=True,
    )


def trl(options: argparse.Namespace, model: Path) -> None:
    """Run TRL in this process and print (tokens, seconds) of each step as JSON."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, *_: object, **__: object) -> None:
            torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    clock = Clock()
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in prompts(64)]
    size = options.prompts * options.samples
    trainer = GRPOTrainer(
        model=str(model),
        reward_funcs=lambda completions, **_: [ascii_share(turns[0]["content"]) for turns in completions],
        args=GRPOConfig(
            output_dir=str(options.out / "trl"), max_steps=options.steps, per_device_train_batch_size=32,
            gradient_accumulation_steps=size // 32, generation_batch_size=size, num_iterations=1,
            num_generations=options.samples, max_completion_length=options.tokens, temperature=1.0, beta=0.0,
            epsilon=0.2, epsilon_high=0.28, loss_type="dapo", learning_rate=1e-6, bf16=True,
            model_init_kwargs={"dtype": "bfloat16"}, save_strategy="no", report_to=[], logging_steps=1,
            gradient_checkpointing=False, optim="adamw_torch_fused", disable_tqdm=True, seed=0,
            use_transformers_continuous_batching=options.continuous_batching,
        ),
        train_dataset=Dataset.from_list(rows * (1 + size * options.steps // 64)),
        processing_class=AutoTokenizer.from_pretrained(model),
        callbacks=[clock],
    )  # fmt: skip
    begin = time.perf_counter()
    trainer.train()
    tokens = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry]
    ends = [begin, *clock.times]
    seconds = [after - before for before, after in pairwise(ends)]
    per_step = [after - before for before, after in pairwise([0, *tokens])]
    print(json.dumps(list(zip(per_step, seconds, strict=True))), flush=True)


def rate(steps: Sequence[tuple[float, float]]) -> float:
    """Median tokens a second after the warm-up."""
    return statistics.median(tokens / seconds for tokens, seconds in steps[_WARM_UP_STEPS:])


def main() -> None:
    """Run both sides, TRL in a process of its own, and print the ratio."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench_trl", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--profile", default="infra/profiles/h200.yaml")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("artifacts/bench_trl"))
    parser.add_argument("--trl-python", default=sys.executable)
    parser.add_argument("--trl-path", default="", help="PYTHONPATH of TRL's process")
    parser.add_argument("--continuous-batching", action="store_true")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="settings of ours; last")
    parser.add_argument("--side", choices=["both", "ours", "trl"], default="both")
    options = parser.parse_args()
    model = options.out / "model"
    if options.side == "trl":
        trl(options, model)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    make_model(model)
    found = {"ours": rate(ours(options, model))}
    print(f"ours: {found['ours']:.0f} tokens/s", flush=True)
    if options.side == "ours":
        return
    path = os.pathsep.join(filter(None, [options.trl_path, os.getcwd(), os.environ.get("PYTHONPATH")]))
    command = [options.trl_python, "-m", "tests.benchmarks.bench_trl", "--side", "trl", *sys.argv[1:]]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True
    )
    found["trl"] = rate(json.loads(done.stdout.splitlines()[-1]))
    print(f"TRL: {found['trl']:.0f} tokens/s; ours is {found['ours'] / found['trl']:.2f} times that")


if __name__ == "__main__":
    main()
