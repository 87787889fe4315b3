"""Megatron's distributed checkpoints (format torch_dist): saved at one TP and PP size, loaded at any."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing import ShardedTensor
from megatron.core.dist_checkpointing.core import CheckpointingException
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensorFactory
from megatron.core.models.gpt import GPTModel
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader

from evaluation.errors import WarpsmithError
from training.model.lora import is_adapter
from training.model.megatron_cpu import cpu_compat, save_in_process

#: Folder inside a torch_dist checkpoint with the Hugging Face config and tokenizer that belong to it.
HF_FOLDER = "hf"
#: What every checkpoint has besides its tensors: Megatron's format, what is no tensor, what lies where.
_DESCRIPTIONS = ("metadata.json", "common.pt", ".metadata")


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


def load(state: dict[str, Any], directory: Path, *, partial: bool = False) -> dict[str, Any]:
    """Read what the sharded state dict `state` describes. Collective.

    Args:
        state: what to read; tensors are read into those that it holds.
        directory: the checkpoint.
        partial: whether all ranks together may read less than whole tensors.

    Raises WarpsmithError if the checkpoint is damaged or lacks something.
    """
    try:
        with cpu_compat():
            check_stored(nested_values(state), directory, padding=True)
            return dict(dist_checkpointing.load(state, str(directory), validate_access_integrity=not partial))
    except (CheckpointingException, CheckpointException) as error:
        raise _incomplete(directory, _reason(error)) from error


def check_stored(wanted: Iterable[Any], directory: Path, *, padding: bool = False) -> None:
    """Raise WarpsmithError unless the checkpoint has the tensors of a sharded state dict, in their shapes.

    With `padding` the wanted vocabulary may be longer or shorter than the stored one, otherwise not longer.
    """
    stored = _stored_tensors(directory)
    for piece in wanted:
        if isinstance(piece, (ShardedTensor, ShardedTensorFactory)) and piece.key not in stored:
            raise WarpsmithError(f"{directory} lacks the tensor {piece.key}; convert or train it again")
        if not isinstance(piece, ShardedTensor):
            continue
        there, here = stored[piece.key].global_shape, piece.global_shape
        rows_fit = there[0] == here[0] or (piece.allow_shape_mismatch and (padding or there[0] > here[0]))
        if not rows_fit or there[1:] != here[1:]:
            raise WarpsmithError(
                f"{directory} holds {piece.key} in the shape {list(there)} where the model has {list(here)}; "
                f"its {HF_FOLDER}/config.json belongs to another model"
            )


def damage(directory: Path) -> str | None:
    """What is wrong with a checkpoint's files: one is missing, cannot be read or was cut off.

    Of the tensors only their files' lengths are looked at, so this takes milliseconds at any size.
    """
    missing = [name for name in _DESCRIPTIONS if not (directory / name).is_file()]
    if missing:
        return f"it lacks {missing[0]}"
    try:
        dist_checkpointing.load_common_state_dict(str(directory))
        lengths: dict[Path, int] = {}
        for piece in FileSystemReader(directory).read_metadata().storage_data.values():
            file = directory / piece.relative_path
            lengths[file] = max(lengths.get(file, 0), piece.offset + piece.length)
    except Exception as error:  # damage may make any: it is unpickled
        return _brief(error)
    cut_off = [file for file, length in lengths.items() if not file.is_file() or file.stat().st_size < length]
    return f"{cut_off[0].name} is cut off or missing" if cut_off else None


def _stored_tensors(directory: Path) -> dict[str, Any]:
    """Every tensor of a checkpoint by its key; WarpsmithError if the folder is none."""
    reason = damage(directory)
    if reason is not None:
        raise _incomplete(directory, reason)
    try:
        return dict(dist_checkpointing.load_tensors_metadata(str(directory)))
    except CheckpointingException as error:
        raise _incomplete(directory, _brief(error)) from error


def _incomplete(directory: Path, reason: str) -> WarpsmithError:
    return WarpsmithError(
        f"{directory} is not a complete Megatron checkpoint ({reason}); convert or train it again"
    )


def _brief(error: BaseException) -> str:
    """The first line of an error; torch goes on with advice and its own stack."""
    return (str(error).splitlines() or [""])[0].strip() or type(error).__name__


def _reason(error: BaseException) -> str:
    """Why reading failed; torch wraps the reasons of all ranks."""
    if isinstance(error, CheckpointException) and error.failures:
        return repr(next(iter(error.failures.values()))[0])
    return str(error)


def save_model(model: GPTModel, directory: Path) -> None:
    """Write the weights alone, without adapters: `training.model.lora.merge` them before. Collective."""
    save({"model": base_state(model)}, directory)


def load_model(model: GPTModel, directory: Path) -> None:
    """Read the weights alone, also from a checkpoint that holds more; adapters stay. Collective."""
    state = base_state(model)
    # What is no tensor is the state of 8-bit types, which we do not use and conversion does not write.
    tensors = {name: piece for name, piece in state.items() if not isinstance(piece, ShardedObject)}
    loaded = load({"model": tensors}, directory)["model"]
    adapters = {name: value for name, value in model.state_dict().items() if is_adapter(name)}
    model.load_state_dict({**dict.fromkeys(state), **loaded, **adapters}, strict=True)


def base_state(model: GPTModel) -> dict[str, Any]:
    """The sharded state dict of the model without its adapters."""
    return {name: piece for name, piece in model.sharded_state_dict().items() if not is_adapter(name)}


def trained_state(model: GPTModel) -> dict[str, Any]:
    """The sharded state dict of what is trained: the adapters if there are any, otherwise the model."""
    state = model.sharded_state_dict()
    adapters = {name: piece for name, piece in state.items() if is_adapter(name)}
    return adapters or state
