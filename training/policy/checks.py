"""What can be said of a GRPO job without Megatron: its command asks first, and its processes again."""

from __future__ import annotations

from evaluation.errors import WarpsmithError
from training.settings.architecture import Architecture
from training.settings.jobs import GrpoJob
from training.settings.rollout import Engine


def require_validation(job: GrpoJob) -> None:
    """Raise WarpsmithError if the job is to evaluate, but on nothing."""
    interval = job.settings.grpo.eval_interval
    if interval is not None and job.validation is None:
        raise WarpsmithError(
            f"grpo.eval_interval is {interval}, but there are no prompts to evaluate on (the job names no "
            "validation prompts); name some with --validation, or use a profile without eval_interval"
        )


def prompt_room(job: GrpoJob, architecture: Architecture, *, evaluates: bool = False) -> int:
    """Most tokens of a prompt beside its response; WarpsmithError if a response takes them all.

    `evaluates`: beside the responses of evaluations while training.
    """
    name, longest, context = "rollout.max_new_tokens", None, architecture.max_positions
    if evaluates and job.settings.grpo.eval_max_new_tokens is not None:
        name, longest = "grpo.eval_max_new_tokens", job.settings.grpo.eval_max_new_tokens
    rollout = job.settings.rollout.limited(longest)
    served = job.settings.sglang.extra.get("context_length")
    if rollout.engine is Engine.SGLANG and served is not None:
        context = min(int(served), context)
    if context <= rollout.max_new_tokens:
        raise WarpsmithError(
            f"{name} {rollout.max_new_tokens} leaves no room for a prompt in a context of "
            f"{context} tokens; lower it"
        )
    return context - rollout.max_new_tokens
