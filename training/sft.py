"""Supervised fine-tuning on verified kernels, under torchrun.

    torchrun --nproc-per-node N -m training.sft --config JOB.json

The loss is next-token cross-entropy on the assistant's tokens, averaged over all of them in the batch.
Writes `metrics.jsonl` and `checkpoints/` while it runs and `torch_dist/` at the end, in the job's `out_dir`.
Killed at any time and started again, it ends with the same weights, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from evaluation.errors import WarpsmithError
from training.batch import Example, Tokens
from training.checkpoint.torch_dist import HF_FOLDER
from training.config import SftJob
from training.launch import run_stoppable_worker
from training.losses import LossOutput, sft_loss
from training.model.architecture import read_architecture
from training.processes import is_main, process_groups
from training.rollout.prompts import PromptCursor
from training.run import Run
from training.signals import StopRequest
from training.tokenizer import encode_prompt, encode_response, load_tokenizer
from training.trainer import Trainer

_PROGRESS_EVERY = 10


def read_examples(
    rows: Path, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Example], int]:
    """Tokenise the conversations of a JSONL file.

    Returns those of at most `max_length` tokens, in the file's order, and how many were longer.
    Raises WarpsmithError if the file or a row is unusable, or nothing is left.
    """
    examples = []
    try:
        lines = rows.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 may be in a string
    except (OSError, UnicodeDecodeError) as error:
        raise WarpsmithError(f"{rows} cannot be read ({error}); run the stage that writes it") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            *context, answer = json.loads(line)["messages"]
            if answer["role"] != "assistant" or not context:
                raise ValueError("the last of several messages must be the assistant's")
            response = encode_response(tokenizer, answer["content"])
        except (ValueError, KeyError, TypeError) as error:
            raise WarpsmithError(
                f"{rows} line {number} is not a conversation ({error}); fix or drop it"
            ) from None
        examples.append(Example(tuple(encode_prompt(tokenizer, context)), tuple(response)))
    short = [example for example in examples if example.length <= max_length]
    if not short:
        raise WarpsmithError(
            f"{rows} has no conversation of at most sft.max_length {max_length} tokens; raise it"
        )
    return short, len(examples) - len(short)


def train(job: SftJob, stop: StopRequest | None = None) -> None:
    """Run the whole job on this rank, or until `stop` says so; collective."""
    settings = job.settings.sft
    hf_dir = job.checkpoint / HF_FOLDER
    examples, too_long = read_examples(job.rows, load_tokenizer(hf_dir), settings.max_length)
    cursor = PromptCursor(len(examples), settings.seed)
    trainer = Trainer(read_architecture(hf_dir), job.settings.megatron, settings, settings.steps)
    relevant = [settings, job.settings.megatron]
    run = Run(job, settings, trainer, cursor, relevant=relevant, inputs=[job.rows], stop=stop)
    if is_main():
        print(f"sft: {len(examples)} conversations ({too_long} too long), from step {run.step}", flush=True)
    while run.step < settings.steps:
        start = time.perf_counter()
        batch = [examples[index] for index in cursor.take(settings.batch_size)]
        metrics = step(trainer, batch)
        metrics["perf/step_seconds"] = time.perf_counter() - start
        metrics["perf/tokens_per_second"] = sum(e.length for e in batch) / metrics["perf/step_seconds"]
        done = run.step + 1
        if is_main() and (done % _PROGRESS_EVERY == 0 or done == settings.steps):
            print(_progress(done, settings.steps, metrics), flush=True)
        run.finish_step(metrics)
    run.finish()


def step(trainer: Trainer, batch: Sequence[Example]) -> dict[str, float]:
    """One optimizer step on a batch of conversations; what to log about it."""
    tokens = sum(len(example.response) for example in batch)

    def loss(logprobs: Tensor, _entropies: Tensor, predicted: Tokens) -> LossOutput:
        return sft_loss(logprobs, predicted.mask, normalizer=tokens)

    sums = trainer.step(batch, loss)
    return {f"train/{name}": sums[name] for name in ("loss", "grad_norm", "lr", "tokens")}


def _progress(step: int, steps: int, metrics: dict[str, float]) -> str:
    loss, seconds = metrics["train/loss"], metrics["perf/step_seconds"]
    return f"sft {step}/{steps}: loss {loss:.4f}, {seconds:.2f} s a step"


def main(stop: StopRequest) -> None:
    """Read the job that `--config` names and run it until `stop` says so."""
    parser = argparse.ArgumentParser(prog="python -m training.sft")
    parser.add_argument("--config", type=Path, required=True, metavar="JOB.json")
    job = SftJob.model_validate_json(parser.parse_args().config.read_text())
    with process_groups(job.settings.megatron, job.settings.sft.seed):
        train(job, stop)


if __name__ == "__main__":
    run_stoppable_worker(main)
