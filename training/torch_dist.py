"""Megatron's distributed checkpoints (format torch_dist): saved at one TP and PP size, loaded at any."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.core import CheckpointingException
from megatron.core.models.gpt import GPTModel
from torch.distributed.checkpoint.api import CheckpointException

from evaluation.errors import WarpsmithError
from training.megatron_cpu import cpu_compat, save_in_process

#: Folder inside a torch_dist checkpoint with the Hugging Face config and tokenizer that belong to it.
HF_FOLDER = "hf"


def save(state: dict[str, Any], directory: Path) -> None:
    """Write a sharded state dict into the existing folder `directory`. Collective.

    WarpsmithError if it cannot be written; torch does not say whether it was for want of space.
    """
    try:
        with cpu_compat(), save_in_process():
            dist_checkpointing.save(state, str(directory))
    except (CheckpointException, OSError) as error:
        free = shutil.disk_usage(directory).free // 2**20
        raise WarpsmithError(
            f"the checkpoint {directory} cannot be written; the disk may be full ({free} MiB are free): "
            "free some space and run again"
        ) from error


def load(state: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Read what the sharded state dict `state` describes. Collective. WarpsmithError if it is not there."""
    try:
        with cpu_compat():
            return dict(dist_checkpointing.load(state, str(directory)))
    except CheckpointingException as error:
        raise WarpsmithError(
            f"{directory} is not a complete Megatron checkpoint ({error}); convert or train it again"
        ) from error


def save_model(model: GPTModel, directory: Path) -> None:
    """Write the weights alone. Collective."""
    save({"model": model.sharded_state_dict()}, directory)


def load_model(model: GPTModel, directory: Path) -> None:
    """Read the weights alone, also from a checkpoint that holds more. Collective."""
    loaded = load({"model": model.sharded_state_dict()}, directory)
    model.load_state_dict(loaded["model"], strict=True)
