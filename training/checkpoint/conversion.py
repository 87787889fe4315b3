"""One process of a checkpoint conversion; started under torchrun by `training.checkpoint`.

No model is built and no GPU is used: tensors go from file to file. A process that reads Hugging Face
weights holds its own share of them, because a torch_dist checkpoint is written at once; the process that
writes them holds one layer, or the embedding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from megatron.core.dist_checkpointing import ShardedTensor
from torch import Tensor

from training.checkpoint.hf_files import DEFAULT_SHARD_BYTES, find_tensors
from training.checkpoint.hf_tensors import check_finite, read_slice, write_tensors
from training.checkpoint.tensor_map import VOCABULARY, Block, blocks
from training.checkpoint.torch_dist import HF_FOLDER, check_stored, load, save
from training.launch.local import run_worker
from training.model.families.base import Weight
from training.model.fusion import join, separate
from training.model.vocabulary import padded_vocab_size
from training.settings.architecture import Architecture, read_architecture

_SECONDS_BETWEEN_REPORTS = 10.0


def write_torch_dist(
    hf_dir: Path, out_dir: Path, tensor_parallel: int = 1, pipeline_parallel: int = 1
) -> None:
    """Hugging Face -> torch_dist in the weights' own type, into the existing folder `out_dir`.

    Collective over TP x PP processes, of which each reads and writes its own slices.
    """
    architecture = read_architecture(hf_dir)
    files = find_tensors(hf_dir, architecture)
    stage, rank = divmod(dist.get_rank(), tensor_parallel)
    mine = _of_stage(blocks(architecture), stage, pipeline_parallel)
    shares = {}
    for block in _reported(mine, "read"):
        for share in _shares(architecture, block, files, rank, tensor_parallel):
            shares[f"{share.key} {share.global_offset}"] = share
    save(shares, out_dir)


def write_hf_weights(megatron_dir: Path, out_dir: Path, max_shard_bytes: int = DEFAULT_SHARD_BYTES) -> None:
    """torch_dist -> safetensors in the type that config.json names, in one process."""
    architecture = read_architecture(megatron_dir / HF_FOLDER)
    shapes, all_blocks = architecture.weight_shapes(), blocks(architecture)
    wanted = [part for block in all_blocks for part in _whole(architecture, block, "meta").values()]
    check_stored(wanted, megatron_dir)
    names = [block.hf_name(part) for block in all_blocks for weight in block.weights for part in weight.parts]
    tensors = (
        tensor
        for block in _reported(all_blocks, "wrote")
        for tensor in _read_block(architecture, block, megatron_dir)
    )
    write_tensors(
        tensors, {name: shapes[name] for name in names}, architecture.dtype, out_dir, max_shard_bytes
    )


def _of_stage(all_blocks: Sequence[Block], stage: int, stages: int) -> Sequence[Block]:
    """The blocks of one of `stages` groups of processes."""
    return all_blocks[len(all_blocks) * stage // stages : len(all_blocks) * (stage + 1) // stages]


def _shares(
    architecture: Architecture, block: Block, files: Mapping[str, Path], rank: int, ranks: int
) -> Iterator[ShardedTensor]:
    """What tensor-parallel rank `rank` of `ranks` stores of a block's tensors."""
    for weight in block.weights:
        if weight.split is None and rank > 0:
            continue  # the first rank stores what all of them have
        parts = [_read_share(architecture, block, weight, part, files, rank, ranks) for part in weight.parts]
        if len(parts) == 2:  # all ranks' gates come before all ranks' ups
            for number, part in enumerate(parts):
                yield _sharded(architecture, block, weight, part, number * ranks + rank, 2 * ranks)
        else:
            yield _sharded(architecture, block, weight, join(architecture, parts), rank, ranks)


def _read_share(
    architecture: Architecture,
    block: Block,
    weight: Weight,
    part: str,
    files: Mapping[str, Path],
    rank: int,
    ranks: int,
) -> Tensor:
    """A rank's slice of one Hugging Face tensor, with its share of a vocabulary's padding."""
    name, dtype = block.hf_name(part), getattr(torch, architecture.dtype)
    if weight.split is None:
        return read_slice(files[name], name).to(dtype)
    size = architecture.weight_shapes()[name][weight.split]
    each = (padded_vocab_size(size, ranks) if weight in VOCABULARY else size) // ranks
    return read_slice(files[name], name, weight.split, rank * each, (rank + 1) * each).to(dtype)


def _read_block(architecture: Architecture, block: Block, megatron_dir: Path) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face names and values of a block's tensors; WarpsmithError if a value is not finite."""
    loaded = load(_whole(architecture, block, "cpu"), megatron_dir, partial=True)
    for weight in block.weights:
        value = loaded.pop(weight.key)
        parts = separate(architecture, weight, value if block.layer is None else value[0])
        for name, part in zip(map(block.hf_name, weight.parts), parts, strict=True):
            check_finite(part, name, megatron_dir)
            yield name, part


def _whole(architecture: Architecture, block: Block, device: str) -> dict[str, ShardedTensor]:
    """A block's tensors as one process with all of the model has them, with arbitrary values."""
    shapes, dtype = architecture.weight_shapes(), getattr(torch, architecture.dtype)
    whole = {}
    for weight in block.weights:
        parts = [shapes[block.hf_name(part)] for part in weight.parts]
        rows = sum(shape[0] for shape in parts)
        value = torch.empty(rows, *parts[0][1:], dtype=dtype, device=device)
        whole[weight.key] = _sharded(architecture, block, weight, value, 0, 1)
    return whole


def _sharded(
    architecture: Architecture, block: Block, weight: Weight, value: Tensor, number: int, count: int
) -> ShardedTensor:
    """`value` as piece `number` of `count` of a tensor of a torch_dist checkpoint, which stacks layers."""
    key, pieces, split = weight.key, [], weight.split
    if block.layer is not None:
        key, value = f"decoder.layers.{key}", value[None]
        pieces.append((0, block.layer, architecture.num_layers))
        split = None if split is None else split + 1
    if split is not None:
        pieces.append((split, number, count))
    return ShardedTensor.from_rank_offsets(key, value, *pieces, allow_shape_mismatch=weight in VOCABULARY)


def _reported(all_blocks: Sequence[Block], verb: str) -> Iterator[Block]:
    """The blocks; the first process tells every few seconds how many are done."""
    begin = last = time.monotonic()
    for number, block in enumerate(all_blocks):
        now = time.monotonic()
        if dist.get_rank() == 0 and now - last > _SECONDS_BETWEEN_REPORTS:
            last = now
            print(
                f"{verb} {number} of {len(all_blocks)} blocks of tensors in {now - begin:.0f} s", flush=True
            )
        yield block


def main(argv: Sequence[str]) -> None:
    """`to-megatron HF_DIR OUT_DIR TP PP` or `to-hf MEGATRON_DIR OUT_DIR MAX_SHARD_BYTES`."""
    command, source, target, *numbers = argv
    convert = write_torch_dist if command == "to-megatron" else write_hf_weights
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        convert(Path(source), Path(target), *map(int, numbers))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    run_worker(lambda: main(sys.argv[1:]))
