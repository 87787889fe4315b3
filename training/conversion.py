"""One process of a checkpoint conversion; started under torchrun by `training.checkpoint`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.architecture import Architecture, read_architecture
from training.config import MegatronSettings
from training.launch import run_worker
from training.model import build_model
from training.processes import process_groups
from training.torch_dist import HF_FOLDER, load_model, save_model
from training.weights import HEAD, hf_names, hf_weights, load_hf_weights

_MAX_SHARD_BYTES = 5 * 10**9


def convert_to_megatron(hf_dir: Path, out_dir: Path, tensor_parallel: int, pipeline_parallel: int) -> None:
    """This rank's part of Hugging Face -> torch_dist, in the weights' own type."""
    settings = MegatronSettings(
        nproc_per_node=tensor_parallel * pipeline_parallel,
        tensor_model_parallel_size=tensor_parallel,
        pipeline_model_parallel_size=pipeline_parallel,
    )
    architecture = read_architecture(hf_dir)
    with process_groups(settings), ExitStack() as files:
        model = build_model(architecture, settings, getattr(torch, architecture.dtype))
        load_hf_weights(model, architecture, open_hf_weights(hf_dir, architecture, files))
        save_model(model, out_dir)


def convert_to_hf(megatron_dir: Path, out_dir: Path) -> None:
    """torch_dist -> Hugging Face in one process."""
    settings = MegatronSettings(nproc_per_node=1)
    architecture = read_architecture(megatron_dir / HF_FOLDER)
    dtype = getattr(torch, architecture.dtype)
    with process_groups(settings):
        model = build_model(architecture, settings, dtype)
        load_model(model, megatron_dir)
        write_hf_weights({name: value.cpu() for name, value in hf_weights(model, architecture)}, out_dir)


def open_hf_weights(hf_dir: Path, architecture: Architecture, files: ExitStack) -> Callable[[str], Tensor]:
    """A function that reads a tensor of the checkpoint by name; `files` keeps its files open.

    Raises WarpsmithError if a tensor is missing, or there is one that the architecture has no place for.
    """
    where = {}
    for path in sorted(hf_dir.glob("*.safetensors")):
        try:
            opened = files.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise WarpsmithError(f"{path} cannot be read ({error}); download the checkpoint again") from None
        where.update(dict.fromkeys(opened.keys(), opened))
    expected = set(hf_names(architecture))
    missing, unknown = sorted(expected - set(where)), sorted(set(where) - expected - {HEAD})
    if missing or unknown:
        kind, name = ("lacks the tensor", missing[0]) if missing else ("has an unknown tensor,", unknown[0])
        raise WarpsmithError(f"{hf_dir} {kind} {name}; its weights do not fit its config.json")
    return lambda name: where[name].get_tensor(name)


def write_hf_weights(tensors: dict[str, Tensor], out_dir: Path) -> None:
    """Write safetensors, in one file or, above 5 GB, in several with an index."""
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=_MAX_SHARD_BYTES)
    for filename, names in split.filename_to_tensors.items():
        shard = {name: tensors[name].contiguous() for name in names}
        try:
            save_file(shard, out_dir / filename, metadata={"format": "pt"})
        except SafetensorError as error:
            raise WarpsmithError(
                f"{out_dir / filename} cannot be written ({error}); free some space"
            ) from None
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (out_dir / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def main(argv: Sequence[str]) -> None:
    """`to-megatron HF_DIR OUT_DIR TP PP` or `to-hf MEGATRON_DIR OUT_DIR`."""
    command, source, target, *sizes = argv
    if command == "to-megatron":
        convert_to_megatron(Path(source), Path(target), *map(int, sizes))
    else:
        convert_to_hf(Path(source), Path(target))


if __name__ == "__main__":
    run_worker(lambda: main(sys.argv[1:]))
