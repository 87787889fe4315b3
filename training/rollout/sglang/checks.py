"""What is found wrong with a model or with servers before any work is given to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.model.tokenizer import check_token_ids
from training.rollout.sglang.placement import Place
from training.rollout.sglang.protocol import Limits, ServerInfo
from training.settings.architecture import Architecture
from training.settings.jobs import TrainingSettings


def require_model_fits(settings: TrainingSettings, hf_dir: Path, architecture: Architecture) -> None:
    """Raise WarpsmithError for a model that would kill a server, or that it would refuse to serve."""
    check_token_ids(hf_dir, architecture.vocab_size)
    context = settings.sglang.extra.get("context_length")
    if context is not None and int(context) > architecture.max_positions:
        raise WarpsmithError(
            f"sglang.context_length {context} exceeds the model's max_position_embeddings "
            f"{architecture.max_positions}; lower it"
        )


def require_fixed_addresses(places: Sequence[Place]) -> None:
    """Raise WarpsmithError if weights are to be shared from memory that PyTorch may move."""
    allocator = os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "")
    if any(place.trainer_ranks for place in places) and "expandable_segments:true" in allocator.lower():
        raise WarpsmithError(
            "PYTORCH_CUDA_ALLOC_CONF has expandable_segments, whose memory SGLang servers on the trainer's "
            "GPUs cannot share; remove it, or set rollout.colocate: false"
        )


def require_room(limits: Limits, max_new_tokens: int) -> None:
    """Raise WarpsmithError if a response leaves no room for a prompt."""
    if max_new_tokens >= limits.longest:
        raise WarpsmithError(
            f"rollout.max_new_tokens {max_new_tokens} leaves no room for a prompt in the {limits.longest} "
            "tokens that the SGLang server can take; lower it, or raise sglang.context_length and "
            "sglang.max_total_tokens"
        )


def require_same(infos: Sequence[ServerInfo]) -> None:
    """Raise WarpsmithError unless all engines take the same weights in the same way."""
    for name in ("device", "dtype", "tp_size", "quantization"):
        values = {str(getattr(info, name)) for info in infos}
        if len(values) > 1:
            raise WarpsmithError(
                f"the SGLang servers differ in {name} ({', '.join(sorted(values))}); start them alike"
            )
