"""Supervised fine-tuning on verified kernels, under torchrun.

    torchrun --nproc-per-node N -m training.sft --config JOB.json

The loss is next-token cross-entropy on the assistant's tokens, averaged over all of them in the batch. Each
answer of a conversation is an example of its own, behind the prompt that the model gets when it answers: chat
templates may write an earlier answer otherwise (Qwen3 drops what it thought).
Writes `metrics.jsonl` and `checkpoints/` while it runs and `torch_dist/` at the end, in the job's `out_dir`.
Killed at any time and started again, it ends with the same weights, bit for bit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from evaluation.errors import WarpsmithError
from evaluation.rows import read_lines
from training.checkpoint.torch_dist import HF_FOLDER
from training.launch.agreement import require_same_job
from training.launch.local import run_stoppable_worker
from training.launch.processes import is_main, process_groups
from training.launch.signals import StopRequest
from training.model.tokenizer import encode_prompt, encode_response, load_tokenizer
from training.objective.batch import Example, Tokens
from training.objective.losses import LossOutput, sft_loss
from training.optimize.speed import speed_metrics
from training.optimize.trainer import Trainer
from training.output import Run
from training.rollout.prompts import Message, PromptCursor, first_problem
from training.settings.architecture import read_architecture
from training.settings.jobs import SftJob

_PROGRESS_EVERY = 10


class Row(BaseModel):
    """A row of the training data: a conversation, of which the assistant's answers are learnt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    messages: tuple[Message, ...] = Field(min_length=2)
    """The turns; the first is not the assistant's, the last is."""

    @model_validator(mode="after")
    def _answers(self) -> Row:
        first, last = self.messages[0], self.messages[-1]
        if first.role == "assistant" or last.role != "assistant":
            raise ValueError("the last of the messages must be the assistant's, and the first another's")
        if not all(self.messages[turn].content.strip() for turn in self.turns):
            raise ValueError("an answer of the assistant is empty")
        return self

    @property
    def turns(self) -> list[int]:
        """Positions of the assistant's answers."""
        return [turn for turn, message in enumerate(self.messages) if message.role == "assistant"]


Conversation: TypeAlias = tuple[Example, ...]
"""An example for each of the assistant's answers, whose prompt is all that was said before."""


def read_conversations(
    rows: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, max_positions: int
) -> tuple[list[Conversation], int]:
    """Tokenise the conversations of a JSONL file.

    Returns those of at most `max_length` tokens (`sft.max_length`) that the model has positions for, in the
    file's order, and how many were longer.
    Raises WarpsmithError if the file or a row is unusable, or nothing is left.
    """
    conversations = [
        _conversation(line, tokenizer, f"{rows} line {number}") for number, line in read_lines(rows)
    ]
    if not conversations:
        raise WarpsmithError(f"{rows} holds no conversation; run the stage that writes it, or name another")
    limit = min(max_length, max_positions)
    short = [turns for turns in conversations if max(turn.length for turn in turns) <= limit]
    if not short:
        name, remedy = (
            (f"sft.max_length {max_length}", "raise it")
            if max_length <= max_positions
            else (f"the model's max_position_embeddings {max_positions}", "use shorter ones or another model")
        )
        raise WarpsmithError(f"{rows} has no conversation of at most {name} tokens; {remedy}")
    return short, len(conversations) - len(short)


def _conversation(line: str, tokenizer: PreTrainedTokenizerBase, where: str) -> Conversation:
    """The examples of a line of the file; `where` names the line."""
    try:
        row = Row.model_validate_json(line)
    except ValidationError as error:
        raise WarpsmithError(
            f"{where} is not a conversation ({first_problem(error)}); fix or drop it"
        ) from None
    messages = [message.model_dump() for message in row.messages]
    try:
        return tuple(
            Example(
                tuple(encode_prompt(tokenizer, messages[:turn])),
                tuple(encode_response(tokenizer, messages[turn]["content"])),
            )
            for turn in row.turns
        )
    except WarpsmithError as error:
        raise WarpsmithError(f"{where}: {error}") from None


def train(job: SftJob, stop: StopRequest | None = None) -> None:
    """Run the whole job on this rank, or until `stop` says so; collective."""
    settings = job.settings.sft
    hf_dir = job.checkpoint / HF_FOLDER
    architecture = read_architecture(hf_dir)
    tokenizer = load_tokenizer(hf_dir, job.settings.model.chat_template_kwargs)
    conversations, too_long = read_conversations(
        job.rows, tokenizer, settings.max_length, architecture.max_positions
    )
    settings = settings.counted(len(conversations))
    cursor = PromptCursor(len(conversations), settings.seed)
    trainer = Trainer(architecture, job.settings.megatron, settings, settings.steps)
    relevant = [settings, job.settings.megatron, job.settings.model]
    run = Run(job, settings, trainer, cursor, relevant=relevant, inputs=[job.rows], stop=stop)
    if is_main():
        print(
            f"sft: {len(conversations)} conversations ({too_long} too long), from step {run.step}", flush=True
        )
    while run.step < settings.steps:
        start = time.perf_counter()
        drawn = cursor.take(settings.batch_size)
        batch = [example for index in drawn for example in conversations[index]]
        metrics = step(trainer, batch)
        seconds = metrics["perf/step_seconds"] = time.perf_counter() - start
        metrics |= speed_metrics(metrics["train/flops"], seconds, trainer.peak_rate)
        metrics["perf/tokens_per_second"] = sum(e.length for e in batch) / metrics["perf/step_seconds"]
        done = run.step + 1
        if is_main() and (done % _PROGRESS_EVERY == 0 or done == settings.steps):
            print(_progress(done, settings.steps, metrics), flush=True)
        run.finish_step(metrics)
    run.finish()


def step(trainer: Trainer, batch: Sequence[Example]) -> dict[str, float]:
    """One optimizer step on the examples of a batch of conversations; what to log about it."""
    tokens = sum(len(example.response) for example in batch)

    def loss(logprobs: Tensor, _entropies: Tensor, predicted: Tokens) -> LossOutput:
        return sft_loss(logprobs, predicted.mask, normalizer=tokens)

    sums = trainer.step(batch, loss)
    return {f"train/{name}": sums[name] for name in ("loss", "grad_norm", "lr", "tokens", "flops")}


def _progress(step: int, steps: int, metrics: dict[str, float]) -> str:
    loss, seconds = metrics["train/loss"], metrics["perf/step_seconds"]
    return f"sft {step}/{steps}: loss {loss:.4f}, {seconds:.2f} s a step"


def main(stop: StopRequest) -> None:
    """Read the job that `--config` names and run it until `stop` says so."""
    parser = argparse.ArgumentParser(prog="python -m training.sft")
    parser.add_argument("--config", type=Path, required=True, metavar="JOB.json")
    job = SftJob.model_validate_json(parser.parse_args().config.read_text())
    with process_groups(job.settings.megatron, job.settings.sft.seed):
        require_same_job(job)
        train(job, stop)


if __name__ == "__main__":
    run_stoppable_worker(main)
