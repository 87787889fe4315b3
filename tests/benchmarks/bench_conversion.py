"""How much memory a conversion needs: the peak of every process over its share of the weights, both ways.

    python -m tests.benchmarks.bench_conversion --layers 12 --layouts 1x1 2x1 1x2

Makes a random checkpoint of Qwen3-1.7B's widths (bf16, 28 layers are the whole model), converts it at each
TPxPP and back, and compares all tensors. A process's peak is its highest resident set (VmHWM, which counts
pages of files that it has mapped) less that of the same conversion of a tiny model, which is what imports
need. The second figure adds what the processes that Megatron forks for writing have to themselves, sampled.
Prints; asserts nothing about memory or time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open

from training.checkpoint.hf_files import find_tensors
from training.checkpoint.hf_tensors import write_tensors
from training.settings.architecture import read_architecture

_CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
_TINY = {"hidden_size": 64, "intermediate_size": 64, "vocab_size": 512}


@dataclass
class Peaks:
    """The highest memory of a conversion's processes, in bytes."""

    resident: dict[int, int] = field(default_factory=dict)
    """By process: VmHWM."""
    with_writers: dict[int, int] = field(default_factory=dict)
    """By process: the same, and what the processes that it forked do not share with it."""
    seconds: float = 0.0
    """Wall time of the whole command."""


def make_checkpoint(folder: Path, layers: int, **changes: int) -> Path:
    """A random checkpoint, in files of 1 GB."""
    folder.mkdir()
    config = _CONFIG | changes | {"num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    shapes = read_architecture(folder).weight_shapes()
    values = ((name, torch.randn(shape).bfloat16()) for name, shape in shapes.items())
    write_tensors(values, shapes, "bfloat16", folder, 10**9)
    return folder


def convert(*arguments: str) -> Peaks:
    """Run `python -m training.checkpoint` and watch its processes."""
    begin, peaks = time.monotonic(), Peaks()
    process = subprocess.Popen([sys.executable, "-m", "training.checkpoint", *arguments])
    while process.poll() is None:
        for rank in _workers(process.pid):
            _watch(rank, peaks)
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(process.returncode)
    peaks.seconds = time.monotonic() - begin
    return peaks


def _watch(rank: int, peaks: Peaks) -> None:
    resident = _field(rank, "status", "VmHWM:")
    forked = sum(_field(process, "smaps_rollup", "Private_Dirty:") for process in _descendants(rank))
    peaks.resident[rank] = max(peaks.resident.get(rank, 0), resident)
    peaks.with_writers[rank] = max(peaks.with_writers.get(rank, 0), resident + forked)


def _field(process: int, file: str, name: str) -> int:
    """A number of bytes from a file under /proc; 0 for a process that has just ended."""
    try:
        lines = Path("/proc", str(process), file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _workers(command: int) -> Iterator[int]:
    """The conversion's processes, which are torchrun's children."""
    for torchrun in _children(command):
        yield from _children(torchrun)


def _descendants(process: int) -> Iterator[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _children(process: int) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def shares(torch_dist: Path, ranks: int) -> list[int]:
    """Bytes that each rank wrote."""
    return [sum(file.stat().st_size for file in torch_dist.glob(f"__{rank}_*")) for rank in range(ranks)]


def assert_same(one: Path, other: Path) -> None:
    """Bit for bit, one tensor at a time."""
    architecture = read_architecture(one)
    first, second = find_tensors(one, architecture), find_tensors(other, architecture)
    for name in first:
        with safe_open(first[name], "pt") as left, safe_open(second[name], "pt") as right:
            assert torch.equal(left.get_tensor(name), right.get_tensor(name)), name


def measure(source: Path, tiny: Path, folder: Path, layout: str) -> None:
    """Convert there and back and print both ways' figures."""
    tp, pp = map(int, layout.split("x"))
    sizes = ["--tensor-model-parallel-size", str(tp), "--pipeline-model-parallel-size", str(pp)]
    figures = {}
    for model in (tiny, source):
        there, back = folder / "there", folder / "back"
        forward = convert("to-megatron", str(model), str(there), *sizes)
        share = max(shares(there, tp * pp))
        backward = convert("to-hf", str(there), str(back))
        assert_same(model, back)
        figures[model] = (forward, share), (backward, sum(shares(there, tp * pp)))
        shutil.rmtree(there)
        shutil.rmtree(back)
    for way, (idle, _), (peaks, share) in zip(
        ("HF -> torch_dist", "torch_dist -> HF"), *figures.values(), strict=True
    ):
        own = max(peaks.resident.values()) - max(idle.resident.values())
        forked = max(peaks.with_writers.values()) - max(idle.with_writers.values())
        print(
            f"{way} TP{tp} PP{pp}: largest share {share / 2**20:.0f} MiB, peak {own / 2**20:.0f} MiB = "
            f"{own / share:.2f} x; with forked writers {forked / 2**20:.0f} MiB = {forked / share:.2f} x; "
            f"{peaks.seconds:.0f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_conversion", description=__doc__)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--layouts", nargs="+", default=["1x1", "2x1", "1x2"], metavar="TPxPP")
    parser.add_argument("--folder", type=Path, help="where to write (a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        tiny = make_checkpoint(folder / "tiny", 2, **_TINY)
        source = make_checkpoint(folder / "source", options.layers)
        for layout in options.layouts:
            measure(source, tiny, folder, layout)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
