"""Converts between Hugging Face checkpoints and Megatron's torch_dist format, bit for bit.

    python -m training.checkpoint to-megatron HF_DIR OUT_DIR \\
        --tensor-model-parallel-size 2 --pipeline-model-parallel-size 2
    python -m training.checkpoint to-hf MEGATRON_DIR OUT_DIR --max-shard-size 5GB

Both start the processes they need and no GPU. To Megatron, each process holds its share of the weights, so
that more processes need less memory each; to Hugging Face, one process holds one layer at a time. A
torch_dist folder carries the Hugging Face config and tokenizer in `hf/`, so it is all that training or the
way back needs. Output appears whole, by renaming a finished folder, or not at all.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.checkpoint.folders import ADAPTER, complete_or_absent
from training.checkpoint.hf_files import DEFAULT_SHARD_BYTES, find_tensors
from training.launch.local import ProcessError, run_processes
from training.settings.architecture import read_architecture

_WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.index.json", ".*")
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def to_megatron(hf_dir: Path, out_dir: Path, tensor_parallel: int = 1, pipeline_parallel: int = 1) -> None:
    """Convert the Hugging Face checkpoint `hf_dir` into torch_dist, in TP x PP processes.

    The sizes only decide how the work is divided: the result loads at any TP and PP.
    Raises WarpsmithError before any process is started if the checkpoint is incomplete, damaged or not
    supported, its tokenizer has more tokens than the model, it cannot be divided so, or `out_dir` exists.
    """
    check_hf_checkpoint(hf_dir)
    read_architecture(hf_dir).check_split(tensor_parallel, pipeline_parallel)
    with complete_or_absent(out_dir) as unfinished:
        sizes = [str(tensor_parallel), str(pipeline_parallel)]
        _convert(["to-megatron", str(hf_dir), str(unfinished), *sizes], tensor_parallel * pipeline_parallel)
        copy_hf_files(hf_dir, unfinished / "hf")


def to_hf(megatron_dir: Path, out_dir: Path, max_shard_bytes: int = DEFAULT_SHARD_BYTES) -> None:
    """Convert the torch_dist checkpoint `megatron_dir` into a Hugging Face folder.

    Weights are written in the type that its `hf/config.json` names, in files of at most `max_shard_bytes`.
    Adapters that were merged into them come along as they are, in `adapter/`.
    Raises WarpsmithError if it is not such a checkpoint or `out_dir` exists.
    """
    read_architecture(megatron_dir / "hf")
    with complete_or_absent(out_dir) as unfinished:
        _convert(["to-hf", str(megatron_dir), str(unfinished), str(max_shard_bytes)], 1)
        copy_hf_files(megatron_dir / "hf", unfinished)
        if (megatron_dir / ADAPTER).is_dir():
            shutil.copytree(megatron_dir / ADAPTER, unfinished / ADAPTER)


def check_hf_checkpoint(hf_dir: Path) -> None:
    """Raise WarpsmithError unless `hf_dir` holds a supported checkpoint, whole, with a fitting tokenizer."""
    from training.model.tokenizer import (
        check_token_ids,  # takes seconds to import, and most errors come before
    )

    architecture = read_architecture(hf_dir)
    find_tensors(hf_dir, architecture)
    check_token_ids(hf_dir, architecture.vocab_size)


def copy_hf_files(source: Path, target: Path) -> None:
    """Copy config, tokenizer and chat template (all but weights) of a Hugging Face folder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_WEIGHT_PATTERNS), dirs_exist_ok=True)


def _convert(arguments: Sequence[str], processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_processes("training.checkpoint.conversion", arguments, processes, Path(folder) / "stderr.log")


def _parser() -> argparse.ArgumentParser:
    summary = "Convert between Hugging Face and Megatron checkpoints, bit for bit."
    parser = argparse.ArgumentParser(prog="python -m training.checkpoint", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    forward = commands.add_parser("to-megatron", help="Hugging Face -> torch_dist")
    forward.add_argument("source", type=Path, metavar="HF_DIR")
    back = commands.add_parser("to-hf", help="torch_dist -> Hugging Face")
    back.add_argument("source", type=Path, metavar="MEGATRON_DIR")
    for command in (forward, back):
        command.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    for name in ("--tensor-model-parallel-size", "--pipeline-model-parallel-size"):
        forward.add_argument(name, type=_size, default=1, metavar="N", help="processes share the weights")
    back.add_argument(
        "--max-shard-size", type=_bytes, default=DEFAULT_SHARD_BYTES, metavar="SIZE", help="of a file (5GB)"
    )
    return parser


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more")
    return int(text)


def _bytes(text: str) -> int:
    """A number of bytes, as `500MB` or `5GB` (decimal, as Hugging Face counts)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(KB|MB|GB|)", text.upper())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 500MB or 5GB")
    return size


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 2 where an error message says what to do."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "to-megatron":
            sizes = options.tensor_model_parallel_size, options.pipeline_model_parallel_size
            to_megatron(options.source, options.out_dir, *sizes)
        else:
            to_hf(options.source, options.out_dir, options.max_shard_size)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; nothing was written to {options.out_dir}", file=sys.stderr)
        return 130
    print(f"wrote {options.out_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
