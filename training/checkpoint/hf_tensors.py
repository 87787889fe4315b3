"""Reads slices of safetensors files and writes such files in a stream, in little memory.

Reading maps the file into memory, and pages that were looked at count as the process's own until the file
is closed. So it is opened anew for every block. Writing needs only the tensor that is being written: the
safetensors library takes all of a file's tensors at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.checkpoint.hf_files import DEFAULT_SHARD_BYTES, DTYPES, INDEX_FILE, SINGLE_FILE

_BLOCK_BYTES = 32 * 2**20


def read_slice(path: Path, name: str, dim: int = 0, start: int = 0, stop: int | None = None) -> Tensor:
    """Elements `start` to `stop` of tensor `name` along dimension `dim` (0 or 1), in memory of its own.

    What lies beyond the tensor's end is zero, as padding of a vocabulary is.
    Raises WarpsmithError if a number is not finite.
    """
    with safe_open(path, framework="pt") as file:
        whole = list(file.get_slice(name).get_shape())
        dtype = file.get_slice(name)[:0].dtype
    shape = [*whole]
    shape[dim] = (whole[dim] if stop is None else stop) - start
    target = torch.zeros(shape, dtype=dtype)
    first = start if dim == 0 else 0
    last = min(first + shape[0], whole[0])
    rows = max(1, _BLOCK_BYTES // (prod(whole[1:]) * dtype.itemsize))
    for begin in range(first, last, rows):
        end = min(begin + rows, last)
        with safe_open(path, framework="pt") as file:
            block = file.get_slice(name)[begin:end]
            check_finite(block, name, path)
            target[begin - first : end - first] = block if dim == 0 else block.narrow(dim, start, shape[dim])
        del block  # the last thing that keeps the file mapped
    return target


def check_finite(value: Tensor, name: str, source: Path) -> None:
    """Raise WarpsmithError if a number of the tensor `name` in `source` is NaN or infinite.

    The extremes tell it at 5 GB/s and without another tensor; `isfinite` takes a dozen times as long.
    """
    if not all(extreme.isfinite() for extreme in value.aminmax()):
        raise WarpsmithError(
            f"{source} holds {name} with numbers that are NaN or infinite, which spoil the model; use a "
            "checkpoint from before they came about"
        )


@dataclass(frozen=True)
class _Shard:
    """One file to write: its name and the shapes of its tensors, in order."""

    filename: str
    shapes: Mapping[str, tuple[int, ...]]


def write_tensors(
    tensors: Iterable[tuple[str, Tensor]],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: str,
    out_dir: Path,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> None:
    """Write a checkpoint's safetensors into the folder `out_dir`, holding one tensor at a time.

    Args:
        tensors: names and values, exactly those of `shapes` and in that order.
        shapes: shape of every tensor by name.
        dtype: type of all of them, by torch's name.
        out_dir: an existing folder.
        max_shard_bytes: above this the checkpoint becomes several files with an index; a single larger
            tensor has a file to itself.
    """
    shards = _plan(shapes, getattr(torch, dtype).itemsize, max_shard_bytes)
    source = iter(tensors)
    for shard in shards:
        _write_shard(shard, source, dtype, out_dir)
    if len(shards) > 1:
        size = sum(map(prod, shapes.values())) * getattr(torch, dtype).itemsize
        files = {name: shard.filename for shard in shards for name in shard.shapes}
        index = {"metadata": {"total_size": size}, "weight_map": files}
        (out_dir / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n")


def _plan(shapes: Mapping[str, tuple[int, ...]], itemsize: int, max_bytes: int) -> list[_Shard]:
    """Fill one file after the other."""
    groups: list[dict[str, tuple[int, ...]]] = [{}]
    room = max_bytes
    for name, shape in shapes.items():
        size = prod(shape) * itemsize
        if size > room and groups[-1]:
            groups.append({})
            room = max_bytes
        groups[-1][name] = shape
        room -= size
    if len(groups) == 1:
        return [_Shard(SINGLE_FILE, groups[0])]
    count = len(groups)
    return [
        _Shard(f"model-{number:05}-of-{count:05}.safetensors", group)
        for number, group in enumerate(groups, start=1)
    ]


def _write_shard(shard: _Shard, tensors: Iterator[tuple[str, Tensor]], dtype: str, out_dir: Path) -> None:
    with (out_dir / shard.filename).open("wb") as file:
        file.write(_header(shard, dtype))
        for expected, shape in shard.shapes.items():
            name, value = next(tensors)
            if (name, tuple(value.shape)) != (expected, shape):
                raise ValueError(f"got {name} {tuple(value.shape)} in place of {expected} {shape}")
            content = value.to(getattr(torch, dtype)).contiguous()
            file.write(content.view(torch.uint8).numpy().data)


def _header(shard: _Shard, dtype: str) -> bytes:
    """A file's beginning: the length of a JSON text in 8 bytes, then the text (safetensors' format 0.3)."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shard.shapes.items():
        end = offset + prod(shape) * getattr(torch, dtype).itemsize
        entries[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    return len(text).to_bytes(8, "little") + text
